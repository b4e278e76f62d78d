"""DNS lists, of addresses and names, at the door of a running suite."""
import smtplib

import pytest

import suite as suites
from dnsstub import A, TXT, DnsStub, rr, txt

NAMES = {"2.0.0.127.bl.example": "127.0.0.2", "bad.example.dbl.example": "127.0.1.2"}
GOOD = ["x@good.example", ["alice@example.com"], b"Subject: x\r\n\r\nbody\r\n"]


def lists(q):
    if q.name not in NAMES:
        return q.reply(rcode=3)
    if q.kind == A:
        return q.a(NAMES[q.name])
    return q.reply(rr(b"\xc0\x0c", TXT, txt(b"Listed for testing purposes only")))


@pytest.fixture
def door(own_suite):
    """Starts the suite, with settings in control/ and in smtpd's env/."""
    stub = DnsStub(lists).__enter__()

    def start(env=None, **control):
        variables = own_suite.home / "service/smtpd/env"
        variables.mkdir()
        for name, value in {"DNSCACHEIP": stub.address, **(env or {})}.items():
            (variables / name).write_text(value + "\n")
        for name, value in control.items():
            (own_suite.home / "control" / name).write_text(value + "\n")
        return own_suite.start()
    yield start
    stub.__exit__()


def refusal(suite, source, sender="x@good.example"):
    """What RCPT gets: code and text."""
    with suite.smtp(source) as s:
        s.helo("client.example")
        s.mail(sender)
        return s.rcpt("alice@example.com")


def test_lists_are_asked_as_soon_as_they_are_named(door):
    suite = door()
    assert refusal(suite, "127.0.0.2")[0] == 250
    (suite.home / "control/dnsbl").write_text("bl.example=127.0.0.2-11\n")
    assert refusal(suite, "127.0.0.2") == (451, b"Listed for testing purposes only")
    assert refusal(suite, "127.0.0.3")[0] == 250
    suite.wait_log("smtpd", "listed=bl.example:127.0.0.2")
    (suite.home / "control/dnsbl").unlink()
    assert refusal(suite, "127.0.0.2")[0] == 250


def test_senders_that_a_list_of_names_has_are_refused_by_smtpd(door):
    suite = door(dnsbl="name dbl.example=127.0.1.2-99 bounce")
    assert refusal(suite, "127.0.0.3", "x@bad.example") == \
        (553, b"5.7.1 Listed for testing purposes only")
    suite.send(*GOOD, source="127.0.0.3")
    suite.wait_mail("alice@example.com")
    suite.wait_log("smtpd", "reason=name_listed")


def test_marked_client_is_refused_by_smtpd_unless_it_may_relay(door):
    suite = door(env={"RBLCHECK": "-i -b"}, dnsbl="bl.example")
    assert refusal(suite, "127.0.0.2") == (553, b"5.7.1 Listed for testing purposes only")
    suite.rules("smtp", '127.0.0.2:allow,RELAYCLIENT=""\n:allow\n')
    assert refusal(suite, "127.0.0.2")[0] == 250


def test_client_that_speaks_before_the_greeting_is_refused(door):
    suite = door(greetdelay="1")
    with suite.smtp() as s:     # one that waits
        assert s.noop()[0] == 250
    with suites.socket.create_connection(("127.0.0.1", suite.smtp_port), 10) as s:
        s.sendall(b"HELO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.com>\r\n")
        text = s.makefile("rb")
        assert [text.readline()[:4] for _ in range(4)] == [b"220 ", b"250 ", b"250 ", b"451 "]
    suite.wait_log("smtpd", "list=early")


def test_client_that_connects_too_often_has_to_wait(door):
    suite = door(connectionrate="3/600")
    codes = []
    for _ in range(5):
        try:
            with suite.smtp("127.0.0.9") as s:
                codes.append(s.noop()[0])
        except smtplib.SMTPConnectError as e:
            codes.append(e.smtp_code)
    assert codes == [250] * 3 + [421] * 2
    suite.wait_log("smtpd", "rate of address")
