"""TLS through the real suite: the same programs and clients as without."""
import poplib
import smtplib
import ssl
import subprocess

import pytest

import suite as suites

MESSAGE = b"Subject: %s\r\n\r\nhello\r\n"


@pytest.fixture
def trusting():
    return ssl.create_default_context(cadata=suites.certificate())


def tls_pop(suite, context):
    p = poplib.POP3("127.0.0.1", suite.pop3_port, timeout=20)
    p.host = suites.HOST
    p.stls(context)
    return p


def test_mailbox_is_read_behind_stls(suite, trusting):
    suite.send("a@b.example", ["alice@example.com"], MESSAGE % b"stls")
    suite.wait_mail("alice@example.com")
    p = tls_pop(suite, trusting)
    p.user("alice@example.com")
    p.pass_("secret")
    assert p.stat()[0] >= 1
    assert any(b"Subject: stls" in b"\n".join(p.retr(i + 1)[1]) for i in range(p.stat()[0]))
    p.quit()


def offers_starttls(suite):
    with suite.smtp() as s:
        s.ehlo()
        return s.has_extn("starttls")


def test_message_is_taken_behind_starttls(suite, trusting):
    assert offers_starttls(suite)
    with suite.smtp() as s:
        s._host = suites.HOST
        s.starttls(context=trusting)
        s.ehlo()
        assert not s.has_extn("starttls")
        s.sendmail("a@b.example", ["bob@example.com"], MESSAGE % b"starttls")
    [got] = suite.wait_mail("bob@example.com")
    assert b"Subject: starttls" in got
    assert b"with ESMTPS" in got


def test_big_message_is_equal_behind_starttls(suite, trusting):
    assert offers_starttls(suite)
    body = b"".join(b"line %d of the message\r\n" % i for i in range(100000))
    with suite.smtp() as s:
        s._host = suites.HOST
        s.starttls(context=trusting)
        s.sendmail("a@b.example", ["bob@example.com"], b"Subject: big\r\n\r\n" + body)
    suites.wait_until(lambda: any(
        m.endswith(body.replace(b"\r\n", b"\n")) for m in suite.mailbox("bob@example.com")),
        20, "the message")


def test_pipelined_commands_behind_starttls_are_not_obeyed(suite, trusting):
    assert offers_starttls(suite)
    with suite.smtp() as s:
        s.ehlo()
        s.sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@b.example>\r\n")
        code, _ = s.getreply()
        if code != 220:
            return              # refused at once
        try:
            tls = trusting.wrap_socket(s.sock, server_hostname=suites.HOST)
        except (ssl.SSLError, OSError):
            return              # as good
        tls.sendall(b"RCPT TO:<alice@example.com>\r\n")
        assert tls.recv(100).startswith(b"503")


def test_without_tlsd_mail_goes_on_and_tls_is_not_offered(own_suite):
    suite = own_suite
    (suite.home / "service/tlsd/down").touch()
    suite.start(wait=False)
    suites.wait_until(lambda: suites.answers("127.0.0.1", suite.smtp_port), 15, "smtpd")
    with suite.smtp() as s:
        s.ehlo()
        assert not s.has_extn("starttls")
    suites.wait_until(lambda: suites.answers("127.0.0.1", suite.pop3_port), 15, "pop3")
    p = poplib.POP3("127.0.0.1", suite.pop3_port, timeout=20)
    assert "STLS" not in p.capa()
    p.quit()
    suite.wait_log("pop3", "TLS is not offered")


def test_tlsd_that_is_gone_costs_a_client_tls_and_no_mail(own_suite):
    suite = own_suite.start()
    subprocess.run(["s6-svc", "-wD", "-d", suite.home / "service/tlsd"], check=True, timeout=20)
    with suite.smtp() as s:
        s.ehlo()
        if s.has_extn("starttls"):      # its socket is still there
            assert s.docmd("STARTTLS")[0] == 454
        assert s.sendmail("a@b.example", ["alice@example.com"], b"Subject: x\r\n\r\n") == {}
    suite.wait_mail("alice@example.com")


@pytest.mark.parametrize("lineage", [suites.HOST, "zone.example", "wild.example"])
def test_certificate_is_changed_by_the_hook(own_suite, tmp_path, lineage):
    """certbot calls a certificate by the first of its names, which may be another."""
    suite = own_suite.start()
    tmp_path = tmp_path / lineage
    tmp_path.mkdir()
    name = "*." + suites.HOST.partition(".")[2] if lineage == "wild.example" else suites.HOST
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "30", "-subj", "/CN=new.example", "-addext",
         f"subjectAltName=DNS:zone.example,DNS:{name}", "-keyout", tmp_path / "privkey.pem",
         "-out", tmp_path / "fullchain.pem"], check=True, capture_output=True)
    new = ssl.create_default_context(cafile=tmp_path / "fullchain.pem")
    open_before = tls_pop(suite, ssl.create_default_context(cadata=suites.certificate()))
    suite.run("certbot-hook", tmp_path)
    suite.wait_log("tlsd", "certificates are in force files=2")

    def works():
        try:
            tls_pop(suite, new).quit()
            return True
        except ssl.SSLError:
            return False
    suites.wait_until(works, 10, "the new certificate")
    assert open_before.capa()
    open_before.quit()


def test_swaks_finds_no_fault(suite):
    assert offers_starttls(suite)
    r = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(suite.smtp_port), "--tls",
         "--to", "bob@example.com", "--from", "a@b.example", "--helo", "c.example",
         "--header", "Subject: swaks"], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr
    assert "TLS started with cipher TLSv1.3" in r.stdout
