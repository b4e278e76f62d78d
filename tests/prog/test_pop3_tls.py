"""STLS, SASL and limits of popup and pop3d, behind a UCSPI-TLS front end of
the tests' own."""
import base64
import hashlib
import os
import pathlib
import poplib
import re
import socket
import ssl
import sys
import time

import pytest

sys.path[:0] = [str(p) for p in pathlib.Path(__file__).resolve().parents[:2]]
import pop3lib  # noqa: E402
import postern  # noqa: E402
import ucspitls  # noqa: E402
import userhome  # noqa: E402
from pop3lib import USER, WORD  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = pop3lib.make(tmp_path_factory.mktemp("pop3"))
    authd = userhome.Authd(home)
    yield home
    authd.end()


@pytest.fixture
def server(running):
    s = pop3lib.Server(running)
    yield s
    s.clear()


class Raw:
    def __init__(self, port, greeting=rb"\+OK POP3\r\n"):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.sock.makefile("rb")
        said = self.line()
        assert re.fullmatch(greeting, said), said

    def line(self):
        return self.file.readline()

    def ask(self, text, n=1):
        self.sock.sendall(text)
        return b"".join(self.line() for _ in range(n))

    def lines(self, text):
        self.sock.sendall(text)
        out = []
        while not out or (out[0].startswith(b"+OK") and out[-1] != b".\r\n"):
            out.append(self.line())
            assert out[-1], out
        return b"".join(out)

    def stls(self):
        assert self.ask(b"STLS\r\n").startswith(b"+OK")
        self.file.close()
        self.sock = ucspitls.trusting().wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def rest(self):
        try:
            return self.file.read()
        except (ConnectionError, ssl.SSLError):
            return b""

    def close(self):
        self.file.close()
        self.sock.close()


def plain(user, word, other=""):
    return base64.b64encode(f"{other}\0{user}\0{word}".encode())


def test_a_mailbox_is_read_after_stls(server):
    server.deliver("1.a", b"Subject: x\n\nhello\n")
    f = server.front()
    p = poplib.POP3("127.0.0.1", f.port, timeout=20)
    p.stls(ucspitls.trusting())
    p.user(USER)
    p.pass_(WORD)
    assert p.stat() == (1, 21)
    assert p.retr(1)[1] == [b"Subject: x", b"", b"hello"]
    p.dele(1)
    p.quit()
    assert os.listdir(server.maildir / "new") == []
    assert re.search(r"popup: info: tls session=\S+ protocol=TLSv1\.[23] cipher=\S+\n"
                     r"|popup: info: tls protocol=TLSv1\.[23] cipher=\S+\n", f.said())


def test_a_mailbox_is_read_by_tls_at_once(server):
    server.deliver("1.a", b"Subject: x\n\nhello\n")
    p = poplib.POP3_SSL("127.0.0.1", server.front(at_once=True).port,
                        context=ucspitls.trusting(), timeout=20)
    capa = p.capa()
    assert "STLS" not in capa and "USER" in capa and capa["SASL"] == ["PLAIN"]
    p.user(USER)
    p.pass_(WORD)
    assert p.stat() == (1, 21)
    p.quit()


def test_a_large_message_crosses_tls_whole(server):
    text = b"A: b\n\n" + b".dots and lines\n" * 200000
    server.deliver("1.a", text)
    p = poplib.POP3("127.0.0.1", server.front().port, timeout=60)
    p.stls(ucspitls.trusting())
    p.user(USER)
    p.pass_(WORD)
    _, lines, octets = p.retr(1)
    assert b"\n".join(lines) + b"\n" == text
    p.quit()


def test_capabilities_say_what_is_so_now(server):
    c = Raw(server.front().port)
    before = c.lines(b"CAPA\r\n").split(b"\r\n")
    assert b"STLS" in before
    assert b"USER" not in before and b"SASL PLAIN" not in before
    c.stls()
    after = c.lines(b"CAPA\r\n").split(b"\r\n")
    assert b"STLS" not in after
    assert b"USER" in after and b"SASL PLAIN" in after
    for word in [b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING",
                 b"EXPIRE NEVER", b"UTF8", b"IMPLEMENTATION postern"]:
        assert word in before and word in after, word
    c.close()


def test_without_ucspi_tls_there_is_no_stls(server):
    c = Raw(server.front(tls=False).port)
    assert b"STLS" not in c.lines(b"CAPA\r\n")
    assert c.ask(b"STLS\r\n").startswith(b"-ERR")
    c.close()


def test_passwords_need_encryption_by_every_command(server):
    c = Raw(server.front().port)
    for said in [b"USER " + USER.encode(), b"PASS x", b"AUTH PLAIN",
                 b"AUTH PLAIN " + plain(USER, WORD)]:
        assert c.ask(said + b"\r\n").startswith(b"-ERR [SYS/PERM]"), said
    assert c.ask(b"AUTH\r\n", 2) == b"+OK\r\n.\r\n"
    c.close()


def test_what_stands_behind_stls_is_not_executed_encrypted(server):
    c = Raw(server.front(env={"PLAINTEXTAUTH": ""}).port)
    # as one write: it is all there when STLS is read
    said = c.ask(b"STLS\r\nUSER eve@v.example\r\n", 2)
    assert said.startswith(b"-ERR") and said.endswith(b"\r\n+OK\r\n")
    # and the connection is still a plain one
    assert c.ask(b"QUIT\r\n") == b"+OK\r\n"
    c.close()


def test_what_is_sent_between_stls_and_the_handshake_breaks_it(server):
    c = Raw(server.front(env={"PLAINTEXTAUTH": ""}).port)
    assert c.ask(b"STLS\r\n").startswith(b"+OK")
    c.sock.sendall(b"USER eve@v.example\r\nPASS x\r\n" * 10)
    said = c.rest()
    assert b"+OK" not in said and b"-ERR" not in said
    c.close()


def test_what_was_said_before_stls_is_forgotten(server):
    c = Raw(server.front(env={"PLAINTEXTAUTH": ""}).port)
    assert c.ask(b"USER " + USER.encode() + b"\r\n") == b"+OK\r\n"
    c.stls()
    assert c.ask(b"PASS " + WORD.encode() + b"\r\n").startswith(b"-ERR USER first")
    c.close()


def test_stls_only_once(server):
    c = Raw(server.front().port)
    c.stls()
    assert c.ask(b"STLS\r\n").startswith(b"-ERR")
    c.close()


def test_a_wrong_password_is_refused_inside(server):
    c = Raw(server.front().port)
    c.stls()
    c.ask(b"USER " + USER.encode() + b"\r\n")
    assert c.ask(b"PASS x\r\n") == b"-ERR [AUTH] authorization failed\r\n"
    assert c.rest() == b""
    c.close()


def test_auth_plain_with_and_without_initial_response(server):
    f = server.front()
    for say in [lambda c: c.ask(b"AUTH PLAIN " + plain(USER, WORD) + b"\r\n"),
                lambda c: c.ask(b"auth plain " + plain(USER, WORD, USER) + b"\r\n"),
                lambda c: (c.ask(b"AUTH PLAIN\r\n"),
                           c.ask(plain(USER, WORD) + b"\r\n"))[1]]:
        c = Raw(f.port)
        c.stls()
        assert c.ask(b"AUTH\r\n", 3) == b"+OK\r\nPLAIN\r\n.\r\n"
        assert say(c) == b"+OK\r\n"
        assert c.ask(b"STAT\r\n") == b"+OK 0 0\r\n"
        assert c.ask(b"QUIT\r\n") == b"+OK\r\n"
        c.close()
    c = Raw(f.port)
    c.stls()
    assert c.ask(b"AUTH PLAIN\r\n") == b"+ \r\n"
    c.close()


def test_auth_refuses_what_is_no_plain_message(server):
    c = Raw(server.front().port)
    c.stls()
    b64 = base64.b64encode
    for text in [b"=", b"!", b"AAA", b64(b"\0a"), b64(b"\0\0x"), b64(b"\0a\0"),
                 b64(b"a\0b\0c"), b64(b"\0a\0b\0c"), b64(b"abc"),
                 plain(USER, WORD) + b"=", plain("x" * 400, "y" * 200)]:
        said = c.ask(b"AUTH PLAIN " + text + b"\r\n")
        assert said.startswith(b"-ERR"), (text, said)
    assert c.ask(b"AUTH PLAIN\r\n") == b"+ \r\n"
    assert c.ask(b"*\r\n") == b"-ERR cancelled\r\n"
    assert c.ask(b"AUTH PLAIN\r\n") == b"+ \r\n"
    assert c.ask(b"x" * 3000 + b"\r\n") == b"-ERR line too long\r\n"
    assert c.ask(b"AUTH CRAM-MD5\r\n").startswith(b"-ERR unknown")
    assert c.ask(b"AUTH PLAINX\r\n").startswith(b"-ERR unknown")
    assert c.ask(b"UTF8\r\n") == b"+OK\r\n"
    assert c.ask(b"AUTH PLAIN " + plain(USER, WORD) + b"\r\n") == b"+OK\r\n"
    c.close()


def test_a_checkpassword_program_gets_the_clear_side_alone(server):
    f = server.front("sh", "-c", "cat <&3 >/dev/null; exec 3<&-; echo +OK; env | grep -c ^SSL;"
                                 "ls -l /proc/self/fd | grep -c socket; head -n 1")
    c = Raw(f.port)
    c.stls()
    c.ask(b"USER a\r\n")
    assert c.ask(b"PASS b\r\n", 3) == b"+OK\n0\n1\n"
    assert c.ask(b"hello\r\n") == b"hello\r\n"
    assert c.rest() == b""
    c.close()


def test_no_process_is_left_when_a_client_goes_away(server):
    f = server.front()
    for how in "greeted", "encrypted", "named":
        c = Raw(f.port)
        if how != "greeted":
            c.stls()
        if how == "named":
            c.ask(b"USER a\r\n")
        c.close()
        assert f.processes[-1].wait(10) == 0


def test_the_greeting_has_a_stamp_only_for_apop(server):
    Raw(server.front().port).close()
    server.control("apop", 1)
    c = Raw(server.front().port, rb"\+OK POP3 <[0-9]+\.[0-9]+@pop\.example>\r\n")
    c.close()


def test_apop_gives_digest_and_stamp_to_the_checkpassword_program(server):
    server.control("apop", 1)
    f = server.front("sh", "-c", "cat <&3 | tr '\\0' '\\n'")
    sock = socket.create_connection(("127.0.0.1", f.port), 20)
    file = sock.makefile("rb")
    stamp = file.readline().split()[2]
    digest = hashlib.md5(stamp + b"secret").hexdigest().encode()
    for bad in b"APOP joe", b"APOP joe x", b"APOP  " + digest:
        sock.sendall(bad + b"\r\n")
        assert file.readline().startswith(b"-ERR")
    sock.sendall(b"APOP joe " + digest + b"\r\n")
    assert file.read() == b"joe\n" + digest + b"\n" + stamp + b"\n"
    sock.close()


def login(f):
    c = Raw(f.port)
    c.ask(b"USER " + USER.encode() + b"\r\n")
    return c, c.ask(b"PASS " + WORD.encode() + b"\r\n")


def test_so_many_sessions_and_no_more(server):
    server.control("concurrencypop3peruser", 2)
    f = server.front(tls=False, env={"PLAINTEXTAUTH": ""})
    open_ = [login(f) for _ in range(3)]
    assert [said for _, said in open_[:2]] == [b"+OK\r\n"] * 2
    assert open_[2][1].startswith(b"-ERR [IN-USE]")
    # the place of one that ended badly is free again
    open_[0][0].close()
    deadline = time.monotonic() + 10
    while True:
        c, said = login(f)
        c.close()
        if said == b"+OK\r\n":
            break
        assert time.monotonic() < deadline
    for c, _ in open_[1:]:
        c.close()
    assert "pop3d: info: too many sessions" in f.said()


def test_any_number_of_sessions_if_told_so(server):
    server.control("concurrencypop3peruser", 0)
    f = server.front(tls=False, env={"PLAINTEXTAUTH": ""})
    open_ = [login(f) for _ in range(15)]
    assert {said for _, said in open_} == {b"+OK\r\n"}
    for c, _ in open_:
        c.close()


def test_the_default_limit_is_ten(server):
    f = server.front(tls=False, env={"PLAINTEXTAUTH": ""})
    open_ = [login(f) for _ in range(11)]
    assert [said[:3] for _, said in open_] == [b"+OK"] * 10 + [b"-ER"]
    for c, _ in open_:
        c.close()


def test_a_login_too_soon_is_told_so(server):
    server.control("pop3logindelay", 600)
    f = server.front(tls=False, env={"PLAINTEXTAUTH": ""})
    c, said = login(f)
    assert said == b"+OK\r\n"
    c.close()
    c, said = login(f)
    assert said.startswith(b"-ERR [LOGIN-DELAY]")
    c.close()
    c = Raw(f.port)
    assert b"\r\nLOGIN-DELAY 600\r\n" in c.lines(b"CAPA\r\n")
    c.close()
    os.utime(server.maildir / "pop3sessions", (time.time() - 601,) * 2)
    c, said = login(f)
    assert said == b"+OK\r\n"
    c.close()


def test_a_place_cannot_be_counted_without_its_file(server):
    """A directory stands in its way: mail is read all the same."""
    (server.maildir / "pop3sessions").mkdir()
    try:
        f = server.front(tls=False, env={"PLAINTEXTAUTH": ""})
        c, said = login(f)
        assert said == b"+OK\r\n"
        c.close()
        assert "unable to count sessions" in f.said()
    finally:
        (server.maildir / "pop3sessions").rmdir()


def test_maildirsize_is_kept_right(server):
    server.deliver("1.a,S=100,W=3", b"x\n")
    server.deliver("2.b", b"12345\n")
    server.deliver("3.c,S=7", b"stays\n")
    size = server.maildir / "maildirsize"
    size.write_text("1000S,10C\n113 3\n")
    st = os.stat(server.maildir)
    os.chown(size, st.st_uid, st.st_gid)
    c, said = login(server.front(tls=False, env={"PLAINTEXTAUTH": ""}))
    assert c.ask(b"DELE 1\r\nDELE 2\r\nQUIT\r\n", 3) == b"+OK\r\n" * 3
    c.close()
    assert size.read_text() == "1000S,10C\n113 3\n-106 -2\n"


def test_two_sessions_on_one_mailbox(server):
    """Shared: each has its own list; what one removed the other is told of."""
    for i in range(3):
        server.deliver(f"{i + 1}.m", b"a\n")
    f = server.front(tls=False, env={"PLAINTEXTAUTH": ""})
    (a, _), (b, _) = login(f), login(f)
    assert b.ask(b"STAT\r\n") == b"+OK 3 9\r\n"
    assert a.ask(b"DELE 2\r\nQUIT\r\n", 2) == b"+OK\r\n" * 2
    assert b.ask(b"STAT\r\n") == b"+OK 3 9\r\n"
    assert b.ask(b"RETR 2\r\n").startswith(b"-ERR [SYS/TEMP]")
    # moved to cur/ by the other one meanwhile: still there
    assert b.lines(b"RETR 3\r\n").startswith(b"+OK")
    a.close()
    b.close()
