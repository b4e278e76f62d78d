"""Real clients read one mailbox, in plain text, after STLS, and by TLS at
once; programs of others stand in the places of popup, checkpw and pop3d."""
import os
import pathlib
import poplib
import subprocess
import sys

import pytest

sys.path[:0] = [str(p) for p in pathlib.Path(__file__).resolve().parents[:2]]
import pop3lib  # noqa: E402
import postern  # noqa: E402
import ucspitls  # noqa: E402
import userhome  # noqa: E402
from pop3lib import USER, WORD  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")

MESSAGES = {
    "1700000001.M1P1.mx,S=42,W=45": b"From: a@b.example\nSubject: one\n\n.dot\nend\n",
    "1700000002.M2P2.mx": b"From: a@b.example\nSubject: two\n\n..\n.\n\nnot the end",
    "1700000003.M3P3.mx": b"From: a@b.example\r\nSubject: three\r\n\r\n\xc3\xa4\r\n"
                          + b"x" * 997 + b"\r\n"}
SUBJECTS = ["one", "three", "two"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = pop3lib.make(tmp_path_factory.mktemp("pop3"))
    authd = userhome.Authd(home)
    yield home
    authd.end()


@pytest.fixture
def server(running):
    s = pop3lib.Server(running)
    for name, text in MESSAGES.items():
        s.deliver(name, text)
    yield s
    s.clear()


WAYS = ["plain", "stls", "at once"]


def door(server, way):
    if way == "plain":
        return server.front(tls=False, env={"PLAINTEXTAUTH": ""}).port
    return server.front(at_once=way == "at once").port


def run(*argv, cwd=None, **env):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60,
                       cwd=cwd, env={"PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C", **env})
    assert r.returncode == 0, r
    return r.stdout


def normal(data):
    return data.replace(b"\r\n", b"\n").rstrip(b"\n")


@pytest.mark.parametrize("way", WAYS)
def test_curl(server, way):
    port = door(server, way)
    scheme = "pop3s" if way == "at once" else "pop3"
    options = ["-s", "-S", "--user", f"{USER}:{WORD}", "--cacert", ucspitls.key() / "cert"]
    if way == "stls":
        options.append("--ssl-reqd")
    url = f"{scheme}://localhost:{port}"
    listing = run("curl", *options, f"{url}/")
    want = [1, 2, 3]
    assert [int(line.split()[0]) for line in listing.splitlines()] == want
    sizes = [len(t) + t.count(b"\n") - t.count(b"\r\n") + 2 * (not t.endswith(b"\n"))
             for t in MESSAGES.values()]
    assert [int(line.split()[1]) for line in listing.splitlines()] == [45, *sizes[1:]]
    for n, text in enumerate(MESSAGES.values()):
        got = run("curl", *options, f"{url}/{n + 1}")
        assert normal(got.encode()) == normal(text)
    assert server.names()


@pytest.mark.parametrize("way", WAYS)
def test_poplib(server, way):
    port = door(server, way)
    if way == "at once":
        p = poplib.POP3_SSL("localhost", port, context=ucspitls.trusting(), timeout=20)
    else:
        p = poplib.POP3("localhost", port, timeout=20)
    if way == "stls":
        p.stls(ucspitls.trusting())
    p.user(USER)
    p.pass_(WORD)
    assert [u.split()[1] for u in p.uidl()[1]] == [n.encode() for n in MESSAGES]
    assert p.top(1, 0)[1] == [b"From: a@b.example", b"Subject: one", b""]
    for n in 1, 2, 3:
        p.dele(n)
    p.quit()
    assert server.names() == []


def subjects(maildir):
    found = []
    for d in "new", "cur":
        for f in (maildir / d).iterdir():
            found += [line[9:].strip() for line in
                      f.read_text("latin-1").splitlines() if line.startswith("Subject: ")]
    return sorted(found)


def empty_maildir(d):
    for name in "tmp", "new", "cur":
        (d / name).mkdir(parents=True)
    return d


@pytest.mark.parametrize("way", WAYS)
def test_fetchmail(server, scratch, way):
    port = door(server, way)
    out = scratch / "got"
    rc = scratch / "rc"
    ssl = {"plain": "sslproto ''", "stls": "sslproto 'auto' sslcertck sslcertfile",
           "at once": "ssl sslcertck sslcertfile"}[way]
    if way != "plain":
        ssl += f" {ucspitls.key()}/cert"
    rc.write_text(f"poll localhost proto pop3 port {port} uidl\n"
                  f"user '{USER}' pass '{WORD}' {ssl} no keep no rewrite mda 'cat >>{out}'\n")
    rc.chmod(0o600)
    run("fetchmail", "-f", rc, "--pidfile", scratch / "pid", "-i", scratch / "ids",
        HOME=str(scratch))
    assert [s in out.read_text("latin-1") for s in SUBJECTS] == [True] * 3
    assert server.names() == []


@pytest.mark.parametrize("way", ["plain", "at once"])     # it knows no STLS
def test_getmail(server, scratch, way):
    port = door(server, way)
    d = empty_maildir(scratch / "got")
    kind = "SimplePOP3SSLRetriever" if way == "at once" else "SimplePOP3Retriever"
    ca = f"ca_certs = {ucspitls.key()}/cert\n" if way == "at once" else ""
    (scratch / "rc").write_text(
        f"[retriever]\ntype = {kind}\nserver = localhost\nport = {port}\n"
        f"username = {USER}\npassword = {WORD}\n{ca}"
        f"[destination]\ntype = Maildir\npath = {d}/\n[options]\ndelete = true\n")
    # it does not deliver as root
    user = postern_user(scratch)
    run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "getmail", "-g", scratch, "-r", "rc",
        HOME=str(scratch))
    assert subjects(d) == SUBJECTS
    assert server.names() == []


def postern_user(d):
    uid = 65534
    for p in [d, *d.rglob("*")]:
        os.chown(p, uid, -1)
    d.chmod(0o755)
    return uid


@pytest.mark.parametrize("way", WAYS)
def test_mpop(server, scratch, way):
    port = door(server, way)
    d = empty_maildir(scratch / "got")
    tls = {"plain": "tls off", "stls": "tls on\ntls_starttls on",
           "at once": "tls on\ntls_starttls off"}[way]
    rc = scratch / "rc"
    rc.write_text(
        f"account x\nhost localhost\nport {port}\nuser {USER}\npassword {WORD}\n{tls}\n"
        f"tls_trust_file {ucspitls.key()}/cert\nauth {'user' if way == 'plain' else 'plain'}\n"
        f"delivery maildir {d}\nkeep off\nuidls_file {scratch}/uidls\naccount default : x\n")
    rc.chmod(0o600)
    run("mpop", "-C", rc, "-q", HOME=str(scratch))
    assert subjects(d) == SUBJECTS
    assert server.names() == []


@pytest.mark.parametrize("way", WAYS[1:])
def test_openssl_s_client(server, way):
    port = door(server, way)
    start = ["-starttls", "pop3"] if way == "stls" else []
    p = subprocess.run(
        ["openssl", "s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost",
         "-CAfile", ucspitls.key() / "cert", "-crlf", "-connect", f"127.0.0.1:{port}", *start],
        input=f"USER {USER}\nPASS {WORD}\nSTAT\nQUIT\n".encode(), capture_output=True, timeout=60)
    assert b"+OK 3 " in p.stdout, p


@pytest.fixture
def secret(server):
    """Joe's password in clear text behind his quota, as vpopmail has it."""
    d = server.home / "domains/v.example"
    old = (d / "vpasswd").read_bytes(), (d / "vpasswd.cdb").read_bytes()
    lines = old[0].decode().splitlines()
    (d / "vpasswd").write_text("".join(
        line + (f":{WORD}" if line.startswith("joe:") else "") + "\n" for line in lines))
    (d / "vpasswd.cdb").unlink()
    server.control("apop", 1)
    yield
    (d / "vpasswd").write_bytes(old[0])
    (d / "vpasswd.cdb").write_bytes(old[1])
    os.chown(d / "vpasswd.cdb", os.stat(d / "vpasswd").st_uid, -1)


def test_apop_where_a_clear_secret_exists(server, secret, scratch):
    port = server.front(tls=False).port
    for word, good in (WORD, True), ("wrong", False):
        p = poplib.POP3("localhost", port, timeout=20)
        try:
            p.apop(USER, word)
            assert good and p.stat()[0] == 3
        except poplib.error_proto as e:
            assert not good and b"[AUTH]" in e.args[0]
        p.close()
    p = poplib.POP3("localhost", port, timeout=20)
    with pytest.raises(poplib.error_proto):      # no clear secret
        p.apop("postmaster@v.example", "pm-secret")
    p.close()
    d = empty_maildir(scratch / "got")
    rc = scratch / "rc"
    rc.write_text(f"account x\nhost localhost\nport {port}\nuser {USER}\npassword {WORD}\n"
                  f"tls off\nauth apop\ndelivery maildir {d}\nuidls_file {scratch}/uidls\n"
                  "account default : x\n")
    rc.chmod(0o600)
    run("mpop", "-C", rc, "-q", HOME=str(scratch))
    assert subjects(d) == SUBJECTS


def pwfile(server, scratch):
    """What cvm-pwfile reads: the mailbox's owner, with its own password."""
    owner = os.stat(server.maildir)
    f = scratch / "pwfile"
    f.write_text(f"joe:{WORD}:{owner.st_uid}:{owner.st_gid}::{server.maildir.parent}:/bin/sh\n")
    f.chmod(0o644)
    scratch.chmod(0o755)
    return {"CVM_PWFILE_PATH": str(f)}


def read_all(port, user=USER, stls=True):
    p = poplib.POP3("localhost", port, timeout=20)
    if stls:
        p.stls(ucspitls.trusting())
    p.user(user)
    p.pass_(WORD)
    got = [p.retr(n + 1)[1] for n in range(p.stat()[0])]
    p.quit()
    return sorted(line[9:].decode().strip() for m in got for line in m if line.startswith(b"Subject: "))


def test_another_checkpassword_program_in_place_of_ours(server, scratch):
    f = server.front("cvm-checkpassword", "/usr/bin/cvm-pwfile", "pop3d", "Maildir",
                     env=pwfile(server, scratch))
    assert read_all(f.port, "joe") == SUBJECTS
    p = poplib.POP3("localhost", f.port, timeout=20)
    p.stls(ucspitls.trusting())
    p.user("joe")
    with pytest.raises(poplib.error_proto):
        p.pass_("wrong")
    p.close()


def test_mailfronts_dialogue_in_front_of_our_pop3d(server, scratch):
    f = server.run("pop3front-auth", "/usr/bin/cvm-pwfile", "pop3d", "Maildir", tls=False,
                   env=pwfile(server, scratch))
    assert read_all(f.port, "joe", stls=False) == SUBJECTS


def test_mailfronts_maildir_reader_behind_our_popup(server):
    f = server.front("checkpw", "pop3front-maildir", "Maildir")
    # which sends a CR before LF twice if it is there already
    assert read_all(f.port) == SUBJECTS
