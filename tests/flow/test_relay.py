"""The relay tests of www.abuse.net's checker, from outside and from inside."""
import pytest

OUTSIDE = "127.9.9.9"       # the rules let 127.0.0.1 relay, this one not
HOST = "mx.test.example"
IP = "127.0.0.1"
VICTIM = "relaytest", "abuse.example"

# (reverse-path, recipient) as in appendix C of the reference deployment
U, D = VICTIM
TESTS = [
    ("spamtest@abuse.example", f"{U}@{D}"),
    ("spamtest", f"{U}@{D}"),
    ("", f"{U}@{D}"),
    (f"spamtest@{HOST}", f"{U}@{D}"),
    (f"spamtest@[{IP}]", f"{U}@{D}"),
    (f"spamtest@{HOST}", f"{U}%{D}@{HOST}"),
    (f"spamtest@{HOST}", f"{U}%{D}@[{IP}]"),
    (f"spamtest@{HOST}", f'"{U}@{D}"'),
    (f"spamtest@{HOST}", f'"{U}%{D}"'),
    (f"spamtest@{HOST}", f"{U}@{D}@{HOST}"),
    (f"spamtest@{HOST}", f'"{U}@{D}"@{HOST}'),
    (f"spamtest@{HOST}", f"{U}@{D}@[{IP}]"),
    (f"spamtest@{HOST}", f"@{HOST}:{U}@{D}"),
    (f"spamtest@{HOST}", f"@[{IP}]:{U}@{D}"),
    (f"spamtest@{HOST}", f"{D}!{U}"),
    (f"spamtest@{HOST}", f"{D}!{U}@{HOST}"),
    (f"spamtest@{HOST}", f"{D}!{U}@[{IP}]"),
]


def verdict(suite, sender, recipient, source):
    with suite.smtp(source) as s:
        s.helo("abuse.example")
        assert s.docmd("MAIL", f"FROM:<{sender}>")[0] in (250, 550, 553, 555)
        return s.docmd("RCPT", f"TO:<{recipient}>")


def test_there_are_seventeen():
    assert len(TESTS) == 17


@pytest.mark.parametrize("sender,recipient", TESTS)
def test_outside_client_may_not_relay(suite, sender, recipient):
    code, text = verdict(suite, sender, recipient, OUTSIDE)
    assert 500 <= code <= 599, text


@pytest.mark.parametrize("domain", ["example.com", "[127.0.0.1]"])
@pytest.mark.parametrize("local", ["a%b", "a!b", '"a@b"'])
def test_second_address_in_a_local_part_is_named(suite, local, domain):
    code, text = verdict(suite, "x@y.example", f"{local}@{domain}", OUTSIDE)
    assert code == 553
    assert b"we don't relay (#5.7.1)" in text


def test_relay_client_may_relay(suite):
    assert verdict(suite, "a@b.example", f"{U}@{D}", "127.0.0.1")[0] == 250


def test_outside_client_reaches_our_own_mailboxes(suite):
    assert verdict(suite, "a@b.example", "alice@example.com", OUTSIDE)[0] == 250
