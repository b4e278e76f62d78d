"""AUTH and STARTTLS of smtpd with real clients: under a UCSPI-TLS parent of
our own, with checkpw and authd, and with a checkpassword program of others."""
import base64
import os
import pathlib
import pwd
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import postern  # noqa: E402
import ucspitls  # noqa: E402
import userhome  # noqa: E402
from userhome import run  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")
SMTPD = str(postern.TREE / "smtpd/smtpd")
KEEP = '#!/bin/sh\ncat >"$KEEP/$$.body"; cat <&1 >"$KEEP/$$.part"\n' \
       'echo "$SMTPAUTHUSER" >"$KEEP/$$.user"\n' \
       'mv "$KEEP/$$.part" "$KEEP/$$.env"\n'
# a checkpassword program: Exit codes and descriptor 3 as cr.yip.to has them
PLAIN_CHECK = r'''#!/bin/sh
# login, password, challenge: one line each
set -- "$@" "$(tr '\0' '\n' <&3)"
exec 3<&-
{ ls -l /proc/$$/fd; env; } >"$KEEP/seen"
for last; do :; done
[ "$last" = "joe
joe-secret" ] || exit 1
[ "$1" != slow ] || exit 111
exec "$1"
'''


class Front(ucspitls.Front):
    """Runs smtpd, as the user that it runs as."""

    def __init__(self, site, check, at_once, env):
        self.site = site
        super().__init__([SMTPD, *check], postern.env(site.home, **{
            "QMAILQUEUE": site.queue, "KEEP": str(site.kept), **env}), at_once)

    def start(self, fd, peer, pass_fds=(), **env):
        user = pwd.getpwnam(userhome.roles()["smtpd"])

        def become():
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        env = {**self.env, "TCPREMOTEIP": "192.0.2.9", "TCPLOCALPORT": "587", **env}
        with self.site.log.open("ab") as log:
            self.processes.append(subprocess.Popen(
                self.argv, stdin=fd, stdout=fd, stderr=log, env=env, pass_fds=pass_fds,
                preexec_fn=become))


class Site:
    """A home with authd, a user joe@v.example, and smtpd behind a front end
    that offers TLS."""

    def __init__(self, home):
        self.home = userhome.make(home)
        self.kept = home / "kept"
        self.kept.mkdir(mode=0o777)
        self.kept.chmod(0o777)
        self.log = home / "smtpd.log"
        self.log.touch()
        run(home, "vadddomain", "v.example", "pm-secret", check=0)
        run(home, "vadduser", "joe@v.example", "joe-secret", check=0)
        self.queue = self.program("queue", KEEP)
        (home / "control/authdelay").write_text("50\n")
        self.authd = userhome.Authd(home)
        self.fronts = []

    def program(self, name, text):
        path = self.home / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def front(self, *check, at_once=False, **more):
        f = Front(self, check or ("checkpw", "true"), at_once, more)
        self.fronts.append(f)
        return f

    def close(self):
        for f in self.fronts:
            f.end()
        self.authd.end()

    def messages(self):
        return [(e.with_suffix(".body").read_bytes(), e.read_bytes(),
                 e.with_suffix(".user").read_text().strip())
                for e in sorted(self.kept.glob("*.env"))]

    def wait_log(self, text):
        deadline = time.monotonic() + 10
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def shared():
    # not pytest's own place, which another pytest closes to other users
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-auth."))
    d.chmod(0o755)
    s = Site(d / "home")
    yield s
    s.close()
    postern.wipe(d)


@pytest.fixture
def site(shared):
    """The same for all, without what the tests before have left."""
    shared.log.write_text("")
    for f in shared.kept.iterdir():
        f.unlink()
    for f in "usersenders", "userlimits", "hideuser", "plaintextauth":
        (shared.home / "control" / f).unlink(missing_ok=True)
    run(shared.home, "authctl", "clear", "joe@v.example")
    run(shared.home, "authctl", "clear", "192.0.2.9")
    return shared


def client(front):
    return smtplib.SMTP("127.0.0.1", front.port, timeout=20,
                        local_hostname="c.example")


def encrypted(site, front):
    c = client(front)
    c.ehlo()
    c.starttls(context=ucspitls.trusting())
    c.ehlo()
    return c


def swaks(site, front, *args):
    return subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{front.port}", "--from", "joe@v.example",
         "--to", "u@far.example", "--ehlo", "c.example", "--timeout", "20s", *args],
        capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("tls", [[], ["-tls"], ["-tlsc"]],
                         ids=["clear", "starttls", "at once"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks_by_every_mechanism(site, mechanism, tls):
    f = site.home / "domains/v.example/vpasswd"
    was = f.read_text()
    cdb = f.with_suffix(".cdb")
    old = cdb.read_bytes()
    f.write_text(re.sub("^(joe:.*NOQUOTA)$", r"\1:clear-secret", was, flags=re.M))
    cdb.unlink()
    front = site.front(at_once=tls == ["-tlsc"], SMTPAUTH="+cram",
                       PLAINTEXTAUTH="")
    try:
        password = "clear-secret" if mechanism == "CRAM-MD5" else "joe-secret"
        args = ["--auth", mechanism, "--auth-user", "joe@v.example", *tls]
        r = swaks(site, front, *args, "--auth-password", password)
        assert r.returncode == 0, r.stdout
        assert "235 2.7.0 welcome" in r.stdout
        r = swaks(site, front, *args, "--auth-password", "wrong")
        assert r.returncode == 28 and "535 5.7.8" in r.stdout, r.stdout
    finally:
        f.write_text(was)
        cdb.write_bytes(old)
        userhome.shutil.chown(cdb, userhome.roles()["auth"])
        cdb.chmod(0o600)
    [(body, envelope, user)] = site.messages()
    assert envelope == b"Fjoe@v.example\0Tu@far.example\0\0" and user == "joe@v.example"
    assert b"(authenticated as joe@v.example)" in body
    assert (b"with ESMTPSA (TLSv1.3" if tls else b"with ESMTPA id ") in body


def test_a_secret_of_cram_is_no_password(site):
    """and the other way round: joe has no clear one here"""
    front = site.front(SMTPAUTH="+cram", PLAINTEXTAUTH="")
    r = swaks(site, front, "--auth", "CRAM-MD5", "--auth-user", "joe@v.example",
              "--auth-password", "joe-secret")
    assert r.returncode == 28, r.stdout


def test_without_tls_nothing_is_offered_and_nothing_taken(site):
    front = site.front()
    with client(front) as c:
        c.ehlo()
        assert c.has_extn("starttls") and not c.has_extn("auth")
        assert c.docmd("AUTH", "PLAIN AGpvZUB2LmV4YW1wbGUAam9lLXNlY3JldA==")[0] == 538
    assert "accepted" not in site.authd.log.read_text().splitlines()[-1:]
    assert "joe-secret" not in site.log.read_text()


def test_control_plaintextauth_allows_it(site):
    (site.home / "control/plaintextauth").write_text("1\n")
    with client(site.front()) as c:
        c.ehlo()
        c.login("joe@v.example", "joe-secret")


def test_smtplib_sends_through_starttls(site):
    front = site.front()
    with encrypted(site, front) as c:
        c.login("JOE%v.example", "joe-secret")
        c.sendmail("joe@v.example", ["u@far.example", "v@far.example"], "a: b\n\nc\n")
        with pytest.raises(smtplib.SMTPSenderRefused) as e:
            c.sendmail("boss@v.example", ["u@far.example"], "x")
        assert e.value.smtp_code == 553
    [(body, envelope, user)] = site.messages()
    assert envelope.count(b"T") == 2 and user == "JOE%v.example"
    site.wait_log("accepted")
    assert re.search(r"accepted .*tls=TLSv1.3 user=joe@v.example ", site.log.read_text())


def test_curl_sends_by_smtps(site):
    front = site.front(at_once=True, SMTPAUTH="!")
    r = subprocess.run(
        ["curl", "-sS", f"smtps://127.0.0.1:{front.port}/c.example", "--cacert",
         ucspitls.key() / "cert", "--mail-from", "joe@v.example", "--mail-rcpt", "u@far.example",
         "--user", "joe@v.example:joe-secret", "-T", "-"], input="Subject: curl\r\n\r\nx\r\n",
        capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert b"with ESMTPSA (TLSv1" in site.messages()[0][0]


def test_submission_wants_encryption_then_a_login(site):
    front = site.front(SMTPAUTH="!")
    with client(front) as c:
        c.ehlo()
        assert c.mail("joe@v.example") == (530, b"5.7.0 STARTTLS first (#5.7.0)")
    with encrypted(site, front) as c:
        assert c.mail("joe@v.example") == (530, b"5.7.0 AUTH first (#5.7.0)")
        c.login("joe@v.example", "joe-secret")
        assert c.mail("joe@v.example")[0] == 250


@pytest.mark.parametrize("behind", [b"RSET\r\nRSET\r\n", b"x", b"\r\n",
                                    b"MAIL FROM:<a@b.example>\r\n"])
def test_what_follows_starttls_in_clear_is_never_obeyed(site, behind):
    front = site.front()
    with socket.create_connection(("127.0.0.1", front.port), 20) as s:
        s.sendall(b"EHLO x\r\nSTARTTLS\r\n" + behind)
        got = b""
        while piece := s.recv(4096):
            got += piece
    replies = got.split(b"\r\n")
    assert replies[-2].startswith(b"503 5.5.1 nothing may follow STARTTLS")
    assert b"flushed" not in got and b"2.1.0" not in got
    assert "reason=starttls_injection" in site.log.read_text()


def test_after_starttls_all_is_new(site):
    with client(site.front(PLAINTEXTAUTH="")) as c:
        c.ehlo()
        c.login("joe@v.example", "joe-secret")
        assert c.docmd("STARTTLS", "now")[0] == 501
        c.starttls(context=ucspitls.trusting())
        assert c.docmd("AUTH", "LOGIN")[0] == 503     # EHLO first
        c.ehlo()
        assert not c.has_extn("starttls") and c.has_extn("auth")
        assert c.docmd("STARTTLS")[0] == 503
        c.mail("joe@v.example")
        assert c.rcpt("u@far.example")[0] == 553


def test_a_failed_handshake_ends_the_session(site):
    with socket.create_connection(("127.0.0.1", site.front().port), 20) as s:
        lines = s.makefile("rb")
        assert lines.readline().startswith(b"220 ")
        s.sendall(b"EHLO x\r\n")
        while (line := lines.readline())[3:4] == b"-":
            pass
        assert line.startswith(b"250 ")
        s.sendall(b"STARTTLS\r\n")
        assert lines.readline().startswith(b"220 ")
        s.sendall(b"MAIL FROM:<a@b.example>\r\n" * 3)
        got = b""
        try:
            while piece := s.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
    assert b"250" not in got
    site.wait_log("closed")
    assert "reason=tls" in site.log.read_text()


def test_who_may_write_as_whom(site):
    (site.home / "control/usersenders").write_text("joe@v.example:info@v.example\n"
                                                   "@v.example:@all.example\n")
    (site.home / "users/assign").write_text(
        (site.home / "users/assign").read_text().replace(
            "+v.example-", "+alias.example-", 1).split("\n")[0] + "\n" +
        (site.home / "users/assign").read_text())
    run(site.home, "usersmake", check=0)
    with encrypted(site, site.front()) as c:
        c.login("joe@v.example", "joe-secret")
        for sender, code in [("info@v.example", 250), ("any@all.example", 250),
                             ("joe@alias.example", 250), ("ann@alias.example", 553),
                             ("joe@far.example", 553), ("infoo@v.example", 553)]:
            assert c.mail(sender)[0] == code, sender
            c.rset()


def test_flags_of_the_mailbox_are_obeyed(site):
    run(site.home, "vadduser", "kim@v.example", "kim-secret")
    try:
        f = site.home / "domains/v.example/vpasswd"
        f.write_text(f.read_text().replace(":1:0:kim", ":1:32:kim"))
        run(site.home, "vpasswd", "kim@v.example", "kim-secret", check=0)
        with encrypted(site, site.front()) as c:
            c.login("kim@v.example", "kim-secret")
            c.mail("kim@v.example")
            assert c.rcpt("u@far.example")[0] == 553
            assert c.rcpt("joe@v.example")[0] == 250
        f.write_text(f.read_text().replace(":1:32:kim", ":1:2048:kim"))
        run(site.home, "vpasswd", "kim@v.example", "kim-secret", check=0)
        with encrypted(site, site.front()) as c:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                c.login("kim@v.example", "kim-secret")
    finally:
        run(site.home, "vdeluser", "kim@v.example", check=0)


def test_a_checkpassword_program_of_others(site):
    check = site.program("othercheck", PLAIN_CHECK)
    with encrypted(site, site.front(check, "true")) as c:
        assert c.login("joe", "joe-secret")[0] == 235
        assert c.mail("joe@test.example")[0] == 250     # me
        c.rset()
        assert c.mail("joe@v.example")[0] == 553
    seen = (site.kept / "seen").read_text()
    # nothing of the network: no socket, no descriptor but 0, 1, 2
    fds = re.findall(r" (\d+) -> (\S+)", seen)
    # (the shell's own are 10 and 11)
    assert {n for n, _ in fds} <= {"0", "1", "2", "10", "11", "255"} and "socket:" not in seen
    assert ("0", "/dev/null") in fds and "SSL_PROTOCOL=TLSv1.3" in seen
    with encrypted(site, site.front(check, "true")) as c:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            c.login("joe", "wrong")
    with encrypted(site, site.front(check, "slow")) as c:
        assert c.docmd("AUTH", "PLAIN AGpvZQBqb2Utc2VjcmV0")[0] == 454
    with encrypted(site, site.front("/nowhere/check", "true")) as c:
        assert c.docmd("AUTH", "PLAIN AGpvZQBqb2Utc2VjcmV0")[0] == 454


def test_three_failures_end_the_session_and_are_logged(site):
    with encrypted(site, site.front()) as c:
        for i in range(3):
            last = c.docmd("AUTH", "PLAIN " + base64.b64encode(
                b"\0joe@v.example\0wrong").decode())
            assert last[0] == 535
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            code, _ = c.getreply()
            assert code == 421
            c.noop()
    log = site.authd.log.read_text()
    assert "authd: vchkpw-submission: password fail joe@v.example:192.0.2.9\n" in log


def test_limits_of_a_user(site):
    (site.home / "control/userlimits").write_text(
        "* 2 - 5 -\njoe@other.example 9 9 9 9\n")
    with encrypted(site, site.front()) as c:
        c.login("joe@v.example", "joe-secret")
        c.sendmail("joe@v.example", ["a@far.example"] * 3, "x")
        with pytest.raises(smtplib.SMTPDataError) as e:
            c.sendmail("joe@v.example", ["a@far.example"] * 3, "x")
        assert e.value.smtp_code == 452
        assert e.value.smtp_error.startswith(b"4.5.3 sorry, too many recipients within an hour")
        c.sendmail("joe@v.example", ["a@far.example"] * 2, "x")
        with pytest.raises(smtplib.SMTPDataError) as e:
            c.sendmail("joe@v.example", ["a@far.example"], "x")
        assert e.value.smtp_code == 450
    assert len(site.messages()) == 2
    out = run(site.home, "authctl").stdout
    assert "sent     joe@v.example: 2 messages to 5 within an hour" in out
    (site.home / "control/userlimits").unlink()
    with encrypted(site, site.front()) as c:
        c.login("joe@v.example", "joe-secret")
        c.sendmail("joe@v.example", ["a@far.example"], "x")


def test_hostile_clients_get_nowhere(site):
    """Each a session, and what must not be in the answer."""
    front = site.front(PLAINTEXTAUTH="")
    b = base64.b64encode
    sessions = [
        b"AUTH PLAIN " + b(b"\0joe@v.example\0\0joe-secret"),
        b"AUTH PLAIN\r\n" + b"A" * 12288,
        b"AUTH PLAIN " + b(b"\0joe@v.example\0"),
        b"AUTH LOGIN\r\n" + b(b"joe@v.example\0") + b"\r\n" + b(b"joe-secret"),
        b"AUTH LOGIN " + b(b"joe@v.example\r\nX: y") + b"\r\n" + b(b"joe-secret"),
        b"AUTH LOGIN\r\nam9l\njoe\r\n",
        b"AUTH PLAIN\r\n*",
        b"AUTH PLAIN AG\0pvZQ==",
        b"AUTH \xff\xfe",
        b"AUTH PLAIN " + b(b"\0" + b"x" * 300 + b"\0" + b"y" * 300),
    ]
    for session in sessions:
        with socket.create_connection(("127.0.0.1", front.port), 20) as s:
            s.sendall(b"EHLO x\r\n" + session + b"\r\nMAIL FROM:<joe@v.example>\r\n"
                      b"RCPT TO:<u@far.example>\r\nQUIT\r\n")
            got = b""
            while piece := s.recv(4096):
                got += piece
        assert b"\r\n235 " not in got, session
        assert b"2.1.5 ok" not in got and b"\r\n553 5.7.1" in got, session
    log = site.log.read_bytes()
    assert all(32 <= c < 127 or c == 10 for c in log)
    assert b"joe-secret" not in log
