"""POP3 with TLS at once, and STLS, through the real tlsd, by real clients."""
import poplib
import re
import socket
import ssl
import subprocess

import pytest

import conftest
import suite as suites

USER = "alice@example.com"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A suite whose port 995 is open, too; a mailbox with one message."""
    with conftest.prepared(USER) as s:
        (s.home / "service/pop3s/down").unlink()
        s.rules("pop3s", ":allow\n")
        s.start()
        suites.wait_until(lambda: b"+OK" in clear(s), 15, "port 995")
        s.send("a@b.example", [USER], b"Subject: sealed\r\n\r\nhello\r\n")
        s.wait_mail(USER)
        s.ca = tmp_path_factory.mktemp("ca") / "pem"
        s.ca.write_text(suites.certificate())
        yield s


def clear(s):
    try:
        with socket.create_connection(("127.0.0.1", s.pop3s_port), 5) as c:
            with trusting().wrap_socket(c, server_hostname=suites.HOST) as t:
                return t.recv(100)
    except OSError:
        return b""


def trusting():
    return ssl.create_default_context(cadata=suites.certificate())


def sealed(s):
    """poplib at port 995, which is not where the certificate's host is."""
    p = poplib.POP3.__new__(poplib.POP3)
    p._debugging, p._tls_established = 0, True
    p.sock = trusting().wrap_socket(
        socket.create_connection(("127.0.0.1", s.pop3s_port), 20), server_hostname=suites.HOST)
    p.file = p.sock.makefile("rb")
    p.welcome = p._getresp()
    return p


def test_a_mailbox_is_read_by_tls_at_once(both):
    p = sealed(both)
    capa = p.capa()
    assert "STLS" not in capa and "USER" in capa
    p.user(USER)
    p.pass_("secret")
    assert b"Subject: sealed" in p.retr(1)[1]
    p.quit()
    both.wait_log("authd", "service=pop3s")


def test_a_wrong_password_is_logged_as_pop3s(both):
    p = sealed(both)
    p.user(USER)
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        p.pass_("wrong")
    p.close()
    both.wait_log("authd", f"vchkpw-pop3s: password fail {USER}:127.0.0.1")


def test_plain_text_gets_no_answer_at_port_995(both):
    with socket.create_connection(("127.0.0.1", both.pop3s_port), 20) as c:
        c.sendall(b"CAPA\r\nUSER x\r\n")
        try:
            assert b"+OK" not in c.recv(1000)
        except ConnectionError:
            pass


def test_what_is_sent_in_plain_text_behind_stls_is_not_executed(both):
    with socket.create_connection(("127.0.0.1", both.pop3_port), 20) as c:
        f = c.makefile("rb")
        assert f.readline().startswith(b"+OK")
        c.sendall(b"STLS\r\n")
        assert f.readline().startswith(b"+OK")
        c.sendall(b"USER %s\r\nPASS secret\r\nSTAT\r\n" % USER.encode())
        try:
            said = f.read()
        except ConnectionError:
            said = b""
        assert b"+OK" not in said and b"-ERR" not in said


@pytest.mark.parametrize("way", ["stls", "at once"])
def test_clients(both, way, scratch):
    port = both.pop3_port if way == "stls" else both.pop3s_port
    scheme = "pop3" if way == "stls" else "pop3s"
    r = subprocess.run(
        ["curl", "-sS", "--ssl-reqd", "--cacert", both.ca, "--user", f"{USER}:secret",
         "--resolve", f"{suites.HOST}:{port}:127.0.0.1", f"{scheme}://{suites.HOST}:{port}/1"],
        capture_output=True, text=True, timeout=60)
    assert "Subject: sealed" in r.stdout, r
    start = ["-starttls", "pop3"] if way == "stls" else []
    r = subprocess.run(
        ["openssl", "s_client", "-quiet", "-verify_return_error", "-verify_hostname",
         suites.HOST, "-CAfile", both.ca, "-crlf", "-connect", f"127.0.0.1:{port}", *start],
        input=f"USER {USER}\nPASS secret\nSTAT\nQUIT\n".encode(), capture_output=True, timeout=60)
    assert re.search(rb"\+OK 1 \d+\r\n", r.stdout), r
    rc = scratch / "rc"
    rc.write_text(f"account x\nhost 127.0.0.1\nport {port}\nuser {USER}\npassword secret\n"
                  f"tls on\ntls_starttls {'on' if way == 'stls' else 'off'}\n"
                  f"tls_trust_file {both.ca}\ntls_host_override {suites.HOST}\n"
                  f"delivery mbox {scratch}/got\nkeep on\nuidls_file {scratch}/uidls\n"
                  "account default : x\n")
    rc.chmod(0o600)
    subprocess.run(["mpop", "-C", rc, "-q"], check=True, timeout=60)
    assert "Subject: sealed" in (scratch / "got").read_text()
