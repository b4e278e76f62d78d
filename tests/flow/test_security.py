"""What /proc says of every running process, against the table in SECURITY."""
import os
import pathlib
import pwd
import re
import socket
import time

import pytest

import postern
import suite as suites


def table():
    """program -> (uid, gid, confined) of SECURITY's table of processes"""
    out = {}
    text = (postern.TREE / "SECURITY").read_text()
    for line in text.splitlines():
        m = re.match(r"\t(\S+)\s+(root|postern-\S+)\s+(\S+)\s+(yes|no)\s", line)
        if m:
            out[m[1]] = m[2], m[3], m[4] == "yes"
    return out


def group_name(gid):
    import grp
    return grp.getgrgid(gid).gr_name


def facts(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    field = dict(l.split(":\t", 1) for l in status.splitlines() if ":\t" in l)
    return {
        "name": field["Name"],
        "users": {pwd.getpwuid(int(u)).pw_name for u in field["Uid"].split()},
        "groups": {group_name(int(g)) for g in
                   field["Gid"].split() + field["Groups"].split()},
        "umask": field["Umask"],
        "nnp": field["NoNewPrivs"],
        "seccomp": field["Seccomp"],
        "fds": sorted(int(f) for f in os.listdir(f"/proc/{pid}/fd")),
    }


@pytest.fixture(scope="module")
def busy(suite):
    """Facts about each process while an SMTP and a POP3 session are open and
    messages flow, by name."""
    smtp = suite.smtp()
    smtp.ehlo()
    waiting = socket.create_connection(("127.0.0.1", suite.pop3_port))
    reading = suite.pop("alice@example.com")
    seen = {}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and "local" not in seen:
        smtp.sendmail("x@y.example", ["alice@example.com"], b"a: b\r\n\r\nc\r\n")
        for pid in suite.processes():
            try:
                f = facts(pid)
            except (OSError, KeyError):
                continue
            seen.setdefault(f["name"], []).append(f)
    reading.quit()
    waiting.close()
    smtp.quit()
    return seen


SUPERVISION = {"s6-svscan", "s6-supervise"}


def stray(seen):
    """What is seen for the moment between fork and exec."""
    return {n: fs for n, fs in seen.items()
            if n not in SUPERVISION | {"run", "sh", "confine", "logto"}}


def test_every_running_program_is_in_the_table(busy):
    assert set(stray(busy)) <= set(table())


def test_the_programs_of_the_way_were_seen(busy):
    assert {"queued", "authd", "tlsd", "start", "send", "lspawn", "rspawn", "listen",
            "smtpd", "popup", "popupwait", "pop3d", "local"} <= set(busy)


def test_users_and_groups_are_those_of_the_table(busy):
    want = table()
    bad = [(n, f["users"], f["groups"]) for n, fs in stray(busy).items()
           for f in fs
           if f["users"] != {want[n][0]} or not f["groups"] <= {want[n][1]}]
    # listen is root for smtp until it has bound, and for pop3
    bad = [b for b in bad if not (b[0] == "listen" and b[1] == {"postern-smtpd"}
                                  and b[2] <= {"postern-smtpd"})]
    # and tlsrun is root for pop3; tlsd until it has an empty root directory
    bad = [b for b in bad if b[:2] not in [("tlsrun", {"root"}), ("tlsd", {"root"})]]
    assert bad == []


def test_everything_runs_under_no_new_privs_and_a_filter(busy):
    bad = [(n, f["nnp"], f["seccomp"]) for n, fs in stray(busy).items()
           for f in fs if (f["nnp"], f["seccomp"]) != ("1", "2")]
    assert bad == []


def test_what_reads_the_network_is_not_root(busy):
    for name in ["smtpd", "popup", "pop3d"]:
        assert all("root" not in f["users"] for f in busy[name]), name


def test_what_reads_the_network_holds_no_stray_descriptor(busy):
    for f in busy["smtpd"]:
        # and three of UCSPI-TLS
        assert set(f["fds"]) <= set(range(10)), f


def test_keys_are_readable_by_tlsd_alone_and_open_nowhere(suite):
    tls = pwd.getpwnam("postern-tls")
    for f in [suite.home / "tls", *suite.home.glob("tls/*")]:
        st = f.stat()
        assert st.st_uid == tls.pw_uid and st.st_mode & 0o077 == 0, f
    holders = set()
    for pid in suite.processes():
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(fd).startswith(f"{suite.home}/tls/"):
                    holders.add(pid)
            except OSError:
                pass
    assert holders == set()


def test_tlsd_has_an_empty_root_directory(busy, suite):
    pids = suite.named("tlsd")
    assert len(pids) >= 3
    for pid in pids:
        assert os.readlink(f"/proc/{pid}/root") == str(suite.home / "empty")


def test_no_setuid_or_setgid_file(suite):
    found = [p for p in suite.home.rglob("*") if p.is_file()
             and not p.is_symlink() and p.stat().st_mode & 0o6000]
    assert found == []


def test_hashes_are_readable_by_authd_alone(suite):
    auth = pwd.getpwnam("postern-auth")
    files = list(suite.home.glob("domains/*/vpasswd*"))
    assert files
    for f in files:
        st = f.stat()
        assert st.st_uid == auth.pw_uid and st.st_mode & 0o077 == 0, f


def test_killed_service_is_back(suite):
    [pid] = suite.named("queued")[:1]
    os.kill(pid, 9)
    suites.wait_until(lambda: pid not in suite.named("queued"), 5, "death")
    suites.wait_until(lambda: suite.named("queued"), 10, "new queued")
