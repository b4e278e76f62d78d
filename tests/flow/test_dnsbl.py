"""DNS lists, of addresses and names, at the door of a running suite."""
import smtplib
import time

import pytest

import suite as suites
from conftest import prepared
from dnsstub import A, TXT, DnsStub, rr, txt
from nsd import Nsd

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


# lists of a real name server, behind a suite that runs on

ZONE = (
    # of RFC 5782, 5: the address for testing, 127.0.0.1 never
    '2.0.0.127.relays A 127.0.0.2\n2.0.0.127.relays TXT "Listed by ORDB - for testing purposes only"\n'
    "4.0.0.127.relays A 127.0.0.9\n"
    '5.0.0.127.relays A 127.255.255.254\n5.0.0.127.relays TXT "Error: open resolver"\n'
    "1" + ".0" * 31 + '.relays A 127.0.0.2\n1' + ".0" * 31 + '.relays TXT "no v6 either"\n'
    "2.0.0.127.friends A 127.0.0.2\n")
LIST, FRIENDS = "relays.lists.example", "friends.lists.example"
REFUSED = [b"220 rblsmtpd.local", b"250 rblsmtpd.local",
           b"451 Listed by ORDB - for testing purposes only", b"221 rblsmtpd.local"]


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    with Nsd(tmp_path_factory.mktemp("nsd"), "lists.example", ZONE) as server:
        yield server


@pytest.fixture(scope="module")
def listed(nsd):
    """A suite that asks nsd; IPv6, too."""
    with prepared("alice@example.com") as s:
        (s.home / "control/smtpaddress").write_text("127.0.0.1,::1\n")
        env = s.home / "service/smtpd/env"
        env.mkdir()
        (env / "DNSCACHEIP").write_text(nsd.address + "\n")
        yield s.start()


def lists_are(suite, *lines):
    (suite.home / "control/dnsbl").write_text("".join(l + "\n" for l in lines))


def talk(suite, source, *lines, host="127.0.0.1"):
    """The first line of each reply."""
    with suites.socket.create_connection((host, suite.smtp_port), 20, (source, 0)) as s:
        f = s.makefile("rwb")
        out = [f.readline().rstrip(b"\r\n")]
        for line in lines:
            f.write(line + b"\r\n")
            f.flush()
            out.append(f.readline().rstrip(b"\r\n"))
        return out


DIALOGUE = [b"mail from:<me@x.example>", b"rcpt to:<alice@example.com>", b"quit"]


def checked(suite, before, word):
    """The line about the lists that came after so much of the log."""
    found = []

    def there():
        found[:] = [l for l in suite.log("smtpd")[before:].splitlines() if ": checked " in l and word in l]
        return found
    suites.wait_until(there, 10, word)
    return found[0]


def test_refused_as_the_reference_deployment_was(listed):
    lists_are(listed, LIST)
    before = len(listed.log("smtpd"))
    assert talk(listed, "127.0.0.2", *DIALOGUE) == REFUSED
    checked(listed, before, f"listed={LIST}:127.0.0.2/")
    listed.wait_log("smtpd", "reply=451\\x20Listed\\x20by\\x20ORDB")


def test_mail_of_others_reaches_the_mailbox(listed):
    lists_are(listed, LIST)
    had = len(listed.mailbox("alice@example.com"))
    before = len(listed.log("smtpd"))
    listed.send("x@good.example", ["alice@example.com"], b"Subject: not listed\r\n\r\nbody\r\n",
                source="127.0.0.3")
    assert b"Subject: not listed\n" in listed.wait_mail("alice@example.com", had + 1)[-1]
    checked(listed, before, f"not={LIST}/")


def test_list_of_friends_frees_who_is_listed(listed):
    lists_are(listed, "allow " + FRIENDS, LIST)
    assert refusal(listed, "127.0.0.2")[0] == 250
    lists_are(listed, LIST, "allow " + FRIENDS)
    assert refusal(listed, "127.0.0.2")[0] == 451


def test_ipv6_client_on_the_list(listed):
    lists_are(listed, LIST)
    assert talk(listed, "::1", *DIALOGUE, host="::1")[2] == b"451 no v6 either"
    lists_are(listed, FRIENDS)
    assert talk(listed, "::1", *DIALOGUE, host="::1")[2].startswith(b"250 ")


def test_codes_of_the_file_say_what_counts(listed):
    lists_are(listed, LIST + "=127.0.0.2-8")
    before = len(listed.log("smtpd"))
    assert refusal(listed, "127.0.0.4")[0] == 250
    assert refusal(listed, "127.0.0.2")[0] == 451
    checked(listed, before, f"not={LIST}:127.0.0.9/")
    lists_are(listed, LIST + "=127.0.0.2-9")
    assert refusal(listed, "127.0.0.4")[0] == 451


@pytest.mark.parametrize("definition", [LIST, LIST + "=127.*.*.* closed"])
def test_error_code_is_logged_and_lists_nobody(listed, definition):
    lists_are(listed, definition)
    before = len(listed.log("smtpd"))
    assert refusal(listed, "127.0.0.5")[0] == 250
    assert " warning: " in checked(listed, before, f"error={LIST}:127.255.255.254/")


def test_lists_that_are_down_stop_no_mail_unless_closed(listed, nsd):
    nsd.stop()
    try:
        lists_are(listed, LIST)
        before = len(listed.log("smtpd"))
        began = time.monotonic()
        assert refusal(listed, "127.0.0.2")[0] == 250
        assert time.monotonic() - began < 15    # the deadline is 4 s
        assert " warning: " in checked(listed, before, f"failed={LIST}:unreachable/")
        lists_are(listed, LIST + " closed")
        assert talk(listed, "127.0.0.3", *DIALOGUE)[2] == b"451 temporary RBL lookup error"
        lists_are(listed, f"allow {FRIENDS} closed", LIST + " closed")
        assert refusal(listed, "127.0.0.2")[0] == 451
    finally:
        nsd.start()
    lists_are(listed, LIST)
    assert refusal(listed, "127.0.0.2") == (451, b"Listed by ORDB - for testing purposes only")
    assert refusal(listed, "127.0.0.3")[0] == 250


def test_administrator_sees_what_each_list_does(listed):
    lists_are(listed, LIST, FRIENDS + " weight=0")
    refusal(listed, "127.0.0.6")
    listed.wait_log("smtpd", f"not={FRIENDS}/")
    text = listed.run("mailreport")
    rows = [l.split()[-1] for l in text.split("DNS lists\n")[1].splitlines()[1:3]]
    assert sorted(rows) == sorted([LIST, FRIENDS])
