import os
import pathlib
import pwd
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import postern  # noqa: E402
import userhome  # noqa: E402
from userhome import run  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")
WATCHED = ["users/assign", "users/cdb", "control/locals", "control/rcpthosts",
           "control/virtualdomains", "domains/v.example/vpasswd",
           "domains/v.example/vpasswd.cdb", "users/mailbox/v.example.cdb"]


@pytest.fixture
def empty(scratch):
    return userhome.make(scratch / "home")


@pytest.fixture
def vhome(empty):
    run(empty, "vadddomain", "v.example", "pm-secret", check=0)
    run(empty, "vadduser", "joe@v.example", "joe-secret", check=0)
    return empty


@pytest.fixture
def authd(vhome):
    (vhome / "control/authdelay").write_text("50\n")
    a = userhome.Authd(vhome)
    yield a
    a.end()


def state(home):
    return {f: (home / f).read_bytes() if (home / f).exists() else None
            for f in WATCHED}


def vpasswd(home):
    return (home / "domains/v.example/vpasswd").read_text()


def test_vadddomain_writes_what_vpopmail_writes(empty):
    (empty / "control/locals").write_text("test.example\nv.example\n")
    r = run(empty, "vadddomain", "V.Example", "secret", check=0)
    assert "v.example was a name of this host" in r.stderr
    vmail = userhome.roles()["vmail"]
    u = pwd.getpwnam(vmail)
    assert (empty / "users/assign").read_text() == (
        f"+v.example-:v.example:{u.pw_uid}:{u.pw_gid}:"
        f"{empty}/domains/v.example:-::\n.\n")
    assert (empty / "control/virtualdomains").read_text() == \
        "v.example:v.example\n"
    assert (empty / "control/rcpthosts").read_text() == \
        "test.example\nv.example\n"
    assert (empty / "control/locals").read_text() == "test.example\n"
    name, hash_, uid, gid, gecos, d, quota = vpasswd(empty).strip().split(":")
    assert (name, uid, gid, quota) == ("postmaster", "1", "0", "NOQUOTA")
    assert hash_.startswith("$y$") and gecos == "Postmaster"
    assert d == f"{empty}/domains/v.example/postmaster"
    assert (empty / "domains/v.example/.qmail-default").read_text() == \
        f"| {empty}/bin/vdelivermail '' bounce-no-mailbox\n"


def test_hashes_are_for_auth_and_mailboxes_for_vmail(vhome):
    r = userhome.roles()
    d = vhome / "domains/v.example"
    for f in "vpasswd", "vpasswd.cdb":
        assert userhome.owner(d / f) == r["auth"]
        assert stat.S_IMODE(os.stat(d / f).st_mode) == 0o600
    assert userhome.owner(d) == r["auth"]
    assert stat.S_IMODE(os.stat(d).st_mode) == 0o750
    for f in "joe", "joe/Maildir", "joe/Maildir/new", "joe/Maildir/tmp":
        assert userhome.owner(d / f) == r["vmail"]
        assert stat.S_IMODE(os.stat(d / f).st_mode) == 0o700
    table = vhome / "users/mailbox/v.example.cdb"
    assert stat.S_IMODE(os.stat(table).st_mode) == 0o644
    assert b"$y$" not in table.read_bytes()


def test_recipients_are_known_at_once(vhome):
    run(vhome, "rcptcheck", "joe@v.example", "postmaster@v.example", check=0)
    run(vhome, "rcptcheck", "ann@v.example", check=100)
    run(vhome, "vdeluser", "joe@v.example", check=0)
    run(vhome, "rcptcheck", RECIPIENT="joe@v.example", check=100)
    assert not (vhome / "domains/v.example/joe").exists()


def test_vdeldomain_leaves_nothing(empty):
    before = state(empty)
    run(empty, "vadddomain", "v.example", "x", check=0)
    run(empty, "vdeldomain", "v.example", check=0)
    after = state(empty)
    assert after.pop("users/cdb")
    before.pop("users/cdb")
    assert after.pop("control/virtualdomains") == b""
    before.pop("control/virtualdomains")
    assert after == before
    assert os.listdir(empty / "domains") == []


@pytest.mark.parametrize("args", [
    ["vadddomain", "v.example", "x"],
    ["vadddomain", "../x", "x"],
    ["vadddomain", "a/b.example", "x"],
    ["vadddomain", "x\n.example", "x"],
    ["vadddomain", "x" * 97 + ".example", "x"],
    ["vadddomain", "nodot", "x"],
    ["vadddomain", ".x.example", "x"],
    ["vdeldomain", "other.example"],
    ["vadduser", "joe@v.example", "x"],
    ["vadduser", "ann@other.example", "x"],
    ["vadduser", "ann", "x"],
    ["vadduser", "../ann@v.example", "x"],
    ["vadduser", "a:b@v.example", "x"],
    ["vadduser", "-c", "a:b", "ann@v.example", "x"],
    ["vadduser", "-q", "many", "ann@v.example", "x"],
    ["vadduser", "ann@v.example", ""],
    ["vadduser", "ann@v.example", "x" * 300],
    ["vdeluser", "ann@v.example"],
    ["vpasswd", "ann@v.example", "x"],
    ["vpasswd", "-e", "a:b", "joe@v.example"],
    ["vuserinfo", "ann@v.example"],
], ids=lambda a: " ".join(a)[:40].replace("\n", "LF"))
def test_bad_input_is_named_and_changes_nothing(vhome, args):
    before = state(vhome)
    r = run(vhome, *args, check=100)
    assert r.stderr.startswith(args[0] + ": ")
    assert state(vhome) == before
    assert sorted(os.listdir(vhome / "domains/v.example")) == [
        ".qmail-default", "joe", "postmaster", "vpasswd", "vpasswd.cdb"]


def test_a_domain_that_cannot_be_finished_is_not_begun(empty):
    before = state(empty)
    (empty / "bin/usersmake").write_text("#!/bin/sh\nexit 111\n")
    r = run(empty, "vadddomain", "v.example", "x", check=111)
    assert "nothing is changed" in r.stderr
    after = state(empty)
    assert after.pop("control/virtualdomains") in (b"", None)
    before.pop("control/virtualdomains")
    assert after == before
    assert os.listdir(empty / "domains") == []


def test_sixty_domains_spill_into_morercpthosts(empty):
    names = [f"d{i:02}.example" for i in range(51)]
    hosts = empty / "control/rcpthosts"
    hosts.write_text("".join(n + "\n" for n in names[:49]))
    for n in names[49:]:
        run(empty, "vadddomain", n, "x", check=0)
    assert hosts.read_text().split() == names[:50]
    assert (empty / "control/morercpthosts").read_text() == names[50] + "\n"
    assert names[50].encode() in \
        (empty / "control/morercpthosts.cdb").read_bytes()
    run(empty, "vdeldomain", names[50], check=0)
    assert names[50].encode() not in \
        (empty / "control/morercpthosts.cdb").read_bytes()


def test_tools_at_the_same_time_lose_nothing(vhome):
    tools = [subprocess.Popen(
        ["vadduser", "-e", "*", f"u{i}@v.example"],
        executable=str(vhome / "bin/vadduser"), env=postern.env(vhome))
        for i in range(20)]
    assert [t.wait(30) for t in tools] == [0] * 20
    users = [line.split(":")[0] for line in vpasswd(vhome).splitlines()]
    assert users == sorted(users) and len(users) == 22


def test_random_password_is_printed_and_works(vhome, authd):
    r = run(vhome, "vadduser", "-r", "ann@v.example", check=0)
    password = r.stdout.split(": ")[1].strip()
    assert len(password) == 12
    assert authd.ask("ann@v.example", password)[:1] == b"K"


def test_password_from_standard_input(vhome, authd):
    run(vhome, "vpasswd", "joe@v.example", text="new one\n", check=0)
    assert authd.ask("joe@v.example", "new one")[:1] == b"K"
    assert authd.ask("joe@v.example", "joe-secret") == b"N"


def test_lines_that_are_not_ours_are_kept(vhome, authd):
    f = vhome / "domains/v.example/vpasswd"
    odd = "zed:$1$abc$x:0:0::/d/zed:NOQUOTA:clear"
    f.write_text(f.read_text() + odd + "\n")
    run(vhome, "vadduser", "-n", "ann@v.example", check=0)
    assert odd in f.read_text().splitlines()
    assert authd.ask("zed@v.example", "clear") == b"N"


def test_quotas_are_bytes(vhome):
    run(vhome, "vadduser", "-n", "-q", "10M", "ann@v.example", check=0)
    r = run(vhome, "vuserinfo", "-q", "ann@v.example", check=0)
    assert r.stdout == "10485760S\n"
    r = run(vhome, "vdominfo", "-t", check=0)
    assert r.stdout == "3\n"


def test_root_is_told_who_the_user_is(vhome, authd):
    u = pwd.getpwnam(userhome.roles()["vmail"])
    assert authd.ask("joe@v.example", "joe-secret") == (
        f"Kjoe\0{u.pw_uid}\0{u.pw_gid}\0{vhome}/domains/v.example/joe\0"
        "/bin/false\0joe@v.example\0").encode()
    assert authd.ask("JOE%V.example", "joe-secret")[:1] == b"K"


def test_other_users_may_not_ask(vhome, authd):
    def ask(user):
        return subprocess.run(
            ["setpriv", "--reuid", user, "--init-groups",
             "--regid", str(pwd.getpwnam(user).pw_gid), sys.executable, "-c",
             "import socket; s = socket.socket(socket.AF_UNIX, "
             "socket.SOCK_SEQPACKET); "
             f"s.connect('{vhome}/socket/auth/authd'); "
             "s.send(b'joe@v.example\\0joe-secret\\0-\\0smtp\\0\\0'); "
             "print(s.recv(99))"],
            capture_output=True, text=True, timeout=20)
    assert ask(userhome.roles()["smtpd"]).stdout == "b'K'\n"
    assert "b'K'" not in ask("nobody").stdout


@pytest.mark.parametrize("login", [
    "ann@v.example", "joe@other.example", "' or 1=1 --@v.example", "../joe",
    "%n@v.example", "a/b@v.example", "", "@", "joe@", "@v.example",
    "joe@v.example.", "x" * 400, "joe\x1b\n@v.example", "..@.."])
def test_everybody_else_is_refused_in_one_way(vhome, authd, login):
    assert authd.ask(login, "joe-secret") == b"N"
    log = authd.log.read_text()
    assert log.count("\n") == 2 and log.isascii() and log.isprintable() == 0
    assert all(c == "\n" or " " <= c <= "~" for c in log)


def test_the_hash_that_stands_in_lets_nobody_in(vhome, authd):
    # an unknown name is compared with the postmaster's
    assert authd.ask("ann@v.example", "pm-secret") == b"N"


def test_a_failure_is_logged_as_vchkpw_does(vhome, authd):
    authd.ask("joe@v.example", "wrong")
    authd.ask("ann@v.example", "wrong", "192.0.2.2", "smtp")
    lines = authd.log.read_text().splitlines()
    assert lines[1] == \
        "authd: vchkpw-pop3: password fail joe@v.example:192.0.2.1"
    assert lines[3] == \
        "authd: vchkpw-smtp: vpopmail user not found ann@v.example:192.0.2.2"
    assert "wrong\n" not in authd.log.read_text()


def test_malformed_questions_are_not_answered(vhome, authd):
    for question in [b"\0", b"x", b"a\0b\0c\0d\0", b"a\0b\0c\0d\0e\0f\0g\0",
                     b"x" * 2000, b"\0" * 900]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(5)
            s.connect(str(vhome / "socket/auth/authd"))
            s.send(question)
            try:
                assert s.recv(99) == b""
            except ConnectionResetError:
                pass
    assert authd.ask("joe@v.example", "joe-secret")[:1] == b"K"


@pytest.fixture
def slow_authd(vhome):
    a = userhome.Authd(vhome)
    yield a
    a.end()


def test_guessing_is_slowed(vhome, slow_authd):
    def many(count):
        threads = [threading.Thread(
            target=slow_authd.ask, args=("joe@v.example", f"wrong{i}"))
            for i in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    start = time.monotonic()
    slow_authd.ask("joe@v.example", "wrong")
    first = time.monotonic() - start
    many(2)
    start = time.monotonic()
    slow_authd.ask("ann@v.example", "wrong")
    assert 0.9 < first < 1.9 < time.monotonic() - start


def test_an_address_is_blocked_after_many_failures(vhome, authd):
    assert authd.ask("joe@v.example", "joe-secret", "192.0.2.7")[:1] == b"K"
    threads = [threading.Thread(
        target=authd.ask, args=(f"u{i}@v.example", "x", "192.0.2.7"))
        for i in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert authd.ask("postmaster@v.example", "pm-secret",
                     "192.0.2.7") == b"N"
    assert "reason=blocked" in authd.log.read_text()
    assert authd.ask("postmaster@v.example", "pm-secret",
                     "192.0.2.8")[:1] == b"K"
    # who was good from there before is not locked out by others
    assert authd.ask("joe@v.example", "joe-secret", "192.0.2.7")[:1] == b"K"


def test_unknown_and_known_users_take_the_same_time(vhome, slow_authd):
    def took(login, i):
        start = time.monotonic()
        slow_authd.ask(login, "wrong", f"192.0.2.{i}")
        return time.monotonic() - start
    known = sorted(took("joe@v.example", i) for i in range(3))[1]
    unknown = sorted(took("ann@v.example", i + 9) for i in range(3))[1]
    assert abs(known - unknown) < 0.05 * known


def test_flags_close_a_service(vhome, authd):
    d = vhome / "domains/v.example"
    (d / "vpasswd").write_text(vpasswd(vhome).replace(":1:0:joe", ":1:2:joe"))
    (d / "vpasswd.cdb").unlink()
    assert authd.ask("joe@v.example", "joe-secret") == b"N"
    assert authd.ask("joe@v.example", "joe-secret",
                     service="smtp")[:1] == b"K"


def test_a_damaged_password_file_is_temporary_trouble(vhome, authd):
    (vhome / "domains/v.example/vpasswd.cdb").write_bytes(b"junk")
    assert authd.ask("joe@v.example", "joe-secret") == b"T"
    assert "unable to look the user up" in authd.log.read_text()


def test_helpers_that_die_are_replaced(vhome, authd):
    assert authd.ask("joe@v.example", "joe-secret")[:1] == b"K"
    children = pathlib.Path(
        f"/proc/{authd.process.pid}/task/{authd.process.pid}/children")
    for pid in children.read_text().split():
        os.kill(int(pid), 9)
    # who is given a dead one is put off
    end = time.monotonic() + 10
    while authd.ask("joe@v.example", "joe-secret")[:1] != b"K":
        assert time.monotonic() < end


def test_no_helper_is_temporary_trouble(vhome, authd):
    (vhome / "bin/pwhash").unlink()
    assert authd.ask("joe@v.example", "joe-secret") == b"T"


def checkpw(home, record, *prog, preexec=None):
    r, w = os.pipe()
    os.write(w, record)
    os.close(w)

    def child():
        os.dup2(r, 3)
    try:
        return subprocess.run(["checkpw", *prog], preexec_fn=child,
                              close_fds=False, env=postern.env(home),
                              capture_output=True, text=True, timeout=30,
                              executable=str(home / "bin/checkpw"), cwd="/")
    finally:
        os.close(r)


def test_checkpw_becomes_the_user(vhome, authd):
    r = checkpw(vhome, b"joe@v.example\0joe-secret\0stamp\0", "sh", "-c",
                "id -un; id -Gn; pwd; echo $USER $HOME $SHELL $VPOPUSER; "
                "ls /proc/$$/fd")
    vmail = userhome.roles()["vmail"]
    home = f"{vhome}/domains/v.example/joe"
    assert r.returncode == 0
    assert r.stdout.splitlines()[:4] == [
        vmail, vmail, home, f"joe {home} /bin/false joe@v.example"]
    assert "3" not in r.stdout.splitlines()[4:]


@pytest.mark.parametrize("record,code", [
    (b"joe@v.example\0wrong\0x\0", 1), (b"ann@v.example\0x\0x\0", 1),
    (b"", 2), (b"joe@v.example", 2), (b"joe\0pass", 2),
    (b"x" * 600, 1), (b"joe@v.example\0joe-secret\0" + b"x" * 500, 1)])
def test_checkpw_refuses(vhome, authd, record, code):
    r = checkpw(vhome, record, "echo", "in")
    assert (r.returncode, r.stdout) == (code, "")


def test_checkpw_without_authd_is_temporary(vhome):
    r = checkpw(vhome, b"joe@v.example\0joe-secret\0x\0", "true")
    assert r.returncode == 111
    assert "unable to ask authd" in r.stderr
