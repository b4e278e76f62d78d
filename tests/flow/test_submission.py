"""Users send their mail: 587 and 465 under tlsd, with logins, limits, and
never for anybody who has not logged in."""
import re
import smtplib
import socket
import ssl
import subprocess

import pytest

import conftest
import suite as suites
from test_relay import TESTS

OUTSIDE = "127.9.9.9"


@pytest.fixture(scope="module")
def suite():
    with conftest.prepared("alice@example.com", "bob@example.com") as s:
        for service in "submission", "smtps":
            (s.home / "service" / service / "down").unlink()
        (s.home / "control/authdelay").write_text("50\n")
        s.start()
        for port in s.submission_port, s.smtp_port:
            suites.wait_until(lambda: suites.answers("127.0.0.1", port), 15, f"port {port}")
        suites.wait_until(lambda: at_once(s), 15, "smtps")
        yield s


def trusting():
    """The suite's certificate is signed by nobody."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


def at_once(s):
    try:
        with smtplib.SMTP_SSL("127.0.0.1", s.smtps_port, timeout=10, context=trusting()) as c:
            return c.noop()[0] == 250
    except OSError:
        return False


def client(s, door, source=None):
    """An encrypted connection to one of the three, EHLO said."""
    source = (source, 0) if source else None
    name = "client.test.example"
    if door == "smtps":
        c = smtplib.SMTP_SSL("127.0.0.1", s.smtps_port, timeout=20, context=trusting(),
                             local_hostname=name, source_address=source)
    else:
        port = s.submission_port if door == "submission" else s.smtp_port
        c = smtplib.SMTP("127.0.0.1", port, timeout=20, local_hostname=name,
                         source_address=source)
        c.ehlo()
        c.starttls(context=trusting())
    c.ehlo()
    return c


DOORS = ["smtp", "submission", "smtps"]


@pytest.mark.parametrize("door", DOORS)
def test_a_user_sends_to_another(suite, door):
    with client(suite, door, OUTSIDE) as c:
        c.login("alice@example.com", "secret")
        c.sendmail("alice@example.com", ["bob@example.com"], f"Subject: {door}\n\nx\n")
        # and to everywhere
        c.mail("alice@example.com")
        assert c.rcpt("x@elsewhere.example")[0] == 250
        c.rset()
        assert c.mail("bob@example.com")[0] == 553
    suite.wait_empty_queue()
    [got] = [m for m in suite.mailbox("bob@example.com") if f"Subject: {door}".encode() in m]
    assert re.search(rb"\(authenticated as alice@example.com\)\n"
                     rb" +by mx.test.example with ESMTPSA \(TLSv1.3 TLS_\w+\) id ", got), got
    suite.wait_log("smtpd" if door == "smtp" else door, "user=alice@example.com from=<alice@")
    assert re.search(r"authenticated session=\S+ .*tls=TLSv1.3 user=alice@example.com",
                     suite.log("smtpd" if door == "smtp" else door))


@pytest.mark.parametrize("door", DOORS)
def test_who_has_not_logged_in_relays_nowhere(suite, door):
    # from the 11th error on a session gets slow
    for some in TESTS[:9], TESTS[9:]:
        with client(suite, door, OUTSIDE) as c:
            for sender, recipient in some:
                code, _ = c.docmd("MAIL", f"FROM:<{sender}>")
                if code == 250:
                    code, _ = c.docmd("RCPT", f"TO:<{recipient}>")
                assert 500 <= code <= 599, (sender, recipient)
                assert c.rset()[0] == 250


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_password_opens_nothing(suite, door):
    with client(suite, door, OUTSIDE) as c:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            c.login("alice@example.com", "guess")
        c.rset()
        code = c.mail("alice@example.com")[0]
        assert code == 530 or c.rcpt("x@elsewhere.example")[0] == 553
    suite.wait_log("authd", f"vchkpw-{door}: password fail alice@example.com:{OUTSIDE}")
    suite.run("authctl", "clear", OUTSIDE)


def test_submission_lets_nobody_in_who_is_not_encrypted(suite):
    with smtplib.SMTP("127.0.0.1", suite.submission_port, timeout=20) as c:
        c.ehlo()
        assert not c.has_extn("auth") and c.has_extn("starttls")
        assert c.mail("alice@example.com")[0] == 530
        assert c.docmd("AUTH", "PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHNlY3JldA==")[0] == 538


@pytest.mark.parametrize("door", ["smtp", "submission"])
def test_bytes_behind_starttls_are_not_obeyed(suite, door):
    port = suite.submission_port if door == "submission" else suite.smtp_port
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(b"EHLO x\r\nSTARTTLS\r\nRSET\r\nRSET\r\n")
        got = b""
        try:
            while piece := s.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
    assert b"flushed" not in got and got.count(b"\r\n503 ") == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["-tls", "-tlsc"])
def test_swaks_logs_in(suite, mechanism, tls):
    port = suite.submission_port if tls == "-tls" else suite.smtps_port
    r = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{port}", tls, "--auth", mechanism, "--auth-user",
         "alice@example.com", "--auth-password", "secret", "--from", "alice@example.com",
         "--to", "bob@example.com", "--timeout", "20s"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout


def test_a_user_who_may_not_relay_sends_here_only(suite):
    suite.run("vmoduser", "-r", "bob@example.com")
    try:
        with client(suite, "submission") as c:
            c.login("bob@example.com", "secret")
            c.mail("bob@example.com")
            assert c.rcpt("x@elsewhere.example")[0] == 553
            assert c.rcpt("alice@example.com")[0] == 250
    finally:
        suite.run("vmoduser", "-x", "bob@example.com")


def test_a_limit_puts_mail_off_and_the_postmaster_is_told_once(suite):
    (suite.home / "control/userlimits").write_text("bob@example.com 1 - - -\n")
    # the host's own postmaster, as setup has him
    (suite.home / "alias/.qmail-postmaster").write_text("&alice@example.com\n")
    suite.run("usersmake")
    suite.run("mailctl", "reload")
    with client(suite, "submission") as c:
        c.login("bob@example.com", "secret")
        c.sendmail("bob@example.com", ["alice@example.com"], "Subject: first\n\nx\n")
        for _ in range(2):
            with pytest.raises(smtplib.SMTPDataError) as e:
                c.sendmail("bob@example.com", ["alice@example.com"], "Subject: more\n\nx\n")
            assert e.value.smtp_code == 450

    def letters():
        return [m for m in suite.mailbox("alice@example.com") if b"Subject: bob@example.com has sent"
                in m]
    suites.wait_until(letters, 20, f"a letter: {suite.log('authd')}{suite.log('send')}")
    suite.wait_empty_queue()
    [letter] = letters()
    assert b"too many messages within an hour" in letter and b"To: postmaster@mx.test.example" in letter
    assert suite.run("authctl").count("sent     bob@example.com: 1 messages to 1 within an hour") == 1


def test_a_restart_of_authd_forgets_nothing(suite):
    with client(suite, "submission") as c:
        c.login("bob@example.com", "secret")
        [pid] = suite.named("authd")
        subprocess.run(["s6-svc", "-t", suite.home / "service/authd"], check=True)
        suites.wait_until(lambda: suite.named("authd") not in ([pid], []), 10, "new authd")
        suites.wait_until(lambda: "bob@example.com" in suite.run("authctl"), 10, "its memory")
        with pytest.raises(smtplib.SMTPDataError):
            c.sendmail("bob@example.com", ["alice@example.com"], "x")
