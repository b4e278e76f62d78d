import os
import pathlib
import poplib
import shutil
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import postern  # noqa: E402
import userhome  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")
# a stamp in "<>" would make clients try APOP
GREETING = b"+OK POP3\r\n"


class Client:
    """A connection to popup, as listen starts it."""

    def __init__(self, home, *prog, **env):
        env.setdefault("PLAINTEXTAUTH", "1")
        env.setdefault("TCPREMOTEIP", "192.0.2.1")
        for name in [n for n in env if env[n] is None]:
            del env[name]
        self.sock, other = socket.socketpair()
        self.sock.settimeout(20)
        self.err = open(home / "popup.log", "w+")
        self.process = subprocess.Popen(
            ["popup", "pop.example", *(prog or ("checkpw", "pop3d",
                                                "Maildir"))],
            executable=str(home / "bin/popup"), stdin=other, stdout=other,
            stderr=self.err, env=postern.env(home, **env))
        other.close()
        self.file = self.sock.makefile("rb")

    def line(self):
        return self.file.readline()

    def say(self, *lines):
        self.sock.sendall(b"".join(line + b"\r\n" for line in lines))

    def end(self):
        self.sock.close()
        self.file.close()
        self.process.wait(10)


@pytest.fixture
def pop(scratch):
    home = userhome.make(scratch / "home")
    userhome.run(home, "vadddomain", "v.example", "pm-secret", check=0)
    userhome.run(home, "vadduser", "joe@v.example", "joe secret", check=0)
    (home / "control/authdelay").write_text("50\n")
    authd = userhome.Authd(home)
    clients = []

    def connect(*prog, **env):
        clients.append(Client(home, *prog, **env))
        assert clients[-1].line().startswith(GREETING)
        return clients[-1]
    connect.home = home
    connect.maildir = home / "domains/v.example/joe/Maildir"
    yield connect
    for c in clients:
        c.end()
    authd.end()


def deliver(maildir, name, text):
    f = maildir / "new" / name
    f.write_bytes(text)
    st = os.stat(maildir)
    os.chown(f, st.st_uid, st.st_gid)


def test_a_mailbox_is_read(pop):
    deliver(pop.maildir, "1.a", b"Subject: x\n\n.dot\nend\n")
    c = pop()
    c.say(b"USER joe@v.example")
    assert c.line() == b"+OK\r\n"
    c.say(b"PASS joe secret")
    assert c.line() == b"+OK\r\n"
    c.say(b"STAT", b"RETR 1", b"DELE 1", b"QUIT")
    assert c.file.read() == (
        b"+OK 1 25\r\n+OK 25 octets\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\n"
        b"+OK\r\n+OK\r\n")
    assert c.process.wait(5) == 0
    assert os.listdir(pop.maildir / "new") == []


def test_what_is_pipelined_behind_pass_is_not_lost(pop):
    c = pop()
    c.say(b"USER joe@v.example", b"PASS joe secret", b"STAT", b"QUIT")
    assert c.file.read() == b"+OK\r\n+OK\r\n+OK 0 0\r\n+OK\r\n"


def test_byte_by_byte(pop):
    c = pop()
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for b in b"USER joe@v.example\r\nPASS joe secret\r\nQUIT\r\n":
        c.sock.send(bytes([b]))
    assert c.file.read() == b"+OK\r\n+OK\r\n+OK\r\n"


def test_wrong_password_and_unknown_user_look_alike(pop):
    answers = []
    for user, word in [(b"joe@v.example", b"x"), (b"ann@v.example", b"x"),
                       (b"../..", b"x"), (b"joe@v.example", b"joe  secret")]:
        c = pop()
        c.say(b"USER " + user, b"PASS " + word)
        answers.append(c.file.read())
    assert set(answers) == {b"+OK\r\n-ERR [AUTH] authorization failed\r\n"}


def test_no_password_over_plain_lines_unless_allowed(pop):
    c = pop(PLAINTEXTAUTH=None)
    c.say(b"CAPA", b"USER joe@v.example", b"PASS joe secret", b"QUIT")
    said = c.file.read()
    assert b"USER\r\n" not in said
    assert said.count(b"-ERR [SYS/PERM]") == 2
    (pop.home / "control/plaintextauth").write_text("1\n")
    c = pop(PLAINTEXTAUTH=None)
    c.say(b"CAPA", b"USER joe@v.example", b"PASS joe secret", b"QUIT")
    said = c.file.read()
    assert b"USER\r\n" in said and said.endswith(b"+OK\r\n+OK\r\n+OK\r\n")
    c = pop(PLAINTEXTAUTH="0")
    c.say(b"USER joe@v.example", b"QUIT")
    assert b"-ERR [SYS/PERM]" in c.file.read()


def test_authd_away_is_temporary(pop):
    os.unlink(pop.home / "socket/auth/authd")
    c = pop()
    c.say(b"USER joe@v.example", b"PASS joe secret")
    assert b"-ERR [SYS/TEMP]" in c.file.read()


def test_no_checkpassword_program_is_temporary(pop):
    c = pop("no-such-program", "pop3d")
    c.say(b"USER a", b"PASS b")
    assert c.line() == b"+OK\r\n"
    assert c.line().startswith(b"-ERR [SYS/TEMP]")
    c.end()
    assert c.process.returncode == 0
    assert "no-such-program" in (pop.home / "popup.log").read_text()


@pytest.mark.parametrize("code,word", [
    (1, b"[AUTH]"), (3, b"[AUTH]"), (111, b"[SYS/TEMP]"),
    (99, b"[SYS/TEMP]")])
def test_exit_codes_of_a_checkpassword_program(pop, code, word):
    c = pop("sh", "-c", f"cat <&3 >/dev/null; exit {code}")
    c.say(b"USER a", b"PASS b")
    assert word in c.file.read()


def test_any_checkpassword_program_gets_its_record(pop):
    c = pop("sh", "-c", "cat <&3; exec head -n 1")
    c.say(b"USER a", b"PASS b c", b"left")
    assert c.line() == b"+OK\r\n"
    said = c.file.read()
    assert said.startswith(b"a\0b c\0<") and said.endswith(
        b"@pop.example>\0left\r\n")


def test_what_does_not_fit_is_refused(pop):
    c = pop()
    c.say(b"USER " + b"x" * 600, b"USER " + b"x" * 5000, b"USER a",
          b"PASS " + b"x" * 500, b"USER a\0b", b"", b"STAT", b"APOP a b",
          b"QUIT")
    said = c.file.read().split(b"\r\n")
    assert [s[:4] for s in said] == [
        b"-ERR", b"-ERR", b"+OK", b"-ERR", b"-ERR", b"-ERR", b"-ERR",
        b"-ERR", b"+OK", b""]


def test_commands_without_a_login_end(pop):
    c = pop()
    c.say(*[b"NOOP"] * 100)
    try:
        assert b"too many commands" in c.file.read()
    except ConnectionResetError:
        pass
    assert c.process.wait(5) == 0


def test_a_client_that_keeps_talking_has_no_more_time(pop):
    (pop.home / "control/timeoutpop3login").write_text("2\n")
    c = pop()
    said = b"+OK\r\n"
    commands = 0
    while said == b"+OK\r\n":
        commands += 1
        try:
            c.say(b"UTF8")
        except BrokenPipeError:
            pass
        said = c.line()
        time.sleep(0.2)
    # all 30 would have been 6 seconds
    assert said == b"-ERR timeout\r\n" and 2 < commands < 30, commands
    assert c.process.wait(10) == 0


def test_popup_has_no_rights_while_it_talks(pop):
    c = pop()
    c.say(b"USER x")
    c.line()
    proc = pathlib.Path(f"/proc/{c.process.pid}")
    status = dict(line.split(":\t", 1) for line in
                  (proc / "status").read_text().splitlines())
    import pwd
    uid = str(pwd.getpwnam(userhome.roles()["popup"]).pw_uid)
    assert status["Uid"].split() == [uid] * 4
    assert status["NoNewPrivs"] == "1"
    assert os.readlink(proc / "root") == str(pop.home / "empty")
    assert "Max open files            1 " in (proc / "limits").read_text()
    assert len(os.listdir(proc / "fd")) == 4


def test_a_client_that_goes_away_leaves_no_process(pop):
    for said in b"", b"USER joe@v.example\r\n", b"USER joe@v.example\r\nPA":
        c = pop()
        children = pathlib.Path(
            f"/proc/{c.process.pid}/task/{c.process.pid}/children")
        child = children.read_text().split()[0]
        c.sock.sendall(said)
        c.sock.shutdown(socket.SHUT_RDWR)
        assert c.process.wait(5) == 0
        assert not os.path.exists(f"/proc/{child}")


def test_poplib_reads_100_messages(pop):
    texts = [b"A: %d\n\n" % i + b"x\n.\n\n" * i for i in range(100)]
    for i, text in enumerate(texts):
        deliver(pop.maildir, f"{1000 + i}.m", text)
    server = socket.create_server(("127.0.0.1", 0))
    p = poplib.POP3.__new__(poplib.POP3)
    here = socket.create_connection(server.getsockname())
    there, _ = server.accept()
    server.close()
    proc = subprocess.Popen(
        ["popup", "h", "checkpw", "pop3d", "Maildir"], stdin=there,
        stdout=there, executable=str(pop.home / "bin/popup"),
        env=postern.env(pop.home, PLAINTEXTAUTH="1"))
    there.close()
    p.sock = here
    p.file = here.makefile("rb")
    p._debugging = 0
    p._tls_established = False
    p.welcome = p._getresp()
    p.user("joe@v.example")
    p.pass_("joe secret")
    assert p.stat()[0] == 100
    sizes = [int(s.split()[1]) for s in p.list()[1]]
    for i, text in enumerate(texts):
        _, lines, octets = p.retr(i + 1)
        assert b"\n".join(lines) + b"\n" == text
        assert sizes[i] == len(text) + text.count(b"\n")
    p.quit()
    assert proc.wait(5) == 0
    assert len(os.listdir(pop.maildir / "cur")) == 100


def test_killed_sessions_delete_nothing(pop):
    deliver(pop.maildir, "1.a", b"x\n")
    c = pop()
    c.say(b"USER joe@v.example", b"PASS joe secret", b"DELE 1")
    assert [c.line() for _ in range(3)] == [b"+OK\r\n"] * 3
    c.end()
    deadline = time.monotonic() + 5
    while c.process.poll() is None:
        assert time.monotonic() < deadline
    assert os.listdir(pop.maildir / "new") == ["1.a"]


def test_what_deliveries_have_left_in_tmp_goes_after_36_hours(pop):
    tmp = pop.maildir / "tmp"
    now = time.time()
    for name, hours in ("1.torn", 37), ("2.slow", 35), (".hidden", 37), ("d", 37), ("l", 37):
        if name == "d":
            (tmp / name).mkdir()
        elif name == "l":
            (tmp / name).symlink_to("1.torn")
        else:
            (tmp / name).write_bytes(b"x")
        os.utime(tmp / name, (now, now - hours * 3600), follow_symlinks=False)
    shutil.chown(tmp / "1.torn", "postern-vmail")
    for last, left in (b"NOOP", {"1.torn"}), (b"QUIT", set()):
        c = pop()
        c.say(b"USER joe@v.example", b"PASS joe secret", last)
        assert [c.line() for _ in range(3)] == [b"+OK\r\n"] * 3
        c.end()
        assert c.process.wait(5) is not None
        assert set(os.listdir(tmp)) == {"2.slow", ".hidden", "d", "l"} | left
