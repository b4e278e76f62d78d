"""namecheck by itself, and smtpd that asks it."""
import shutil
import subprocess

import pytest

import postern
from dnsstub import A, TXT, DnsStub, Later, rr, txt

NAMECHECK = postern.TREE / "rblcheck/namecheck"
SELF = b"\xc0\x0c"
LISTED = {"bad.example.dbl.example", "bad.example.two.example"}


def handler(q):
    if q.name not in LISTED:
        return q.reply(rcode=3)
    if q.kind == A:
        return q.a("127.0.1.2")
    return q.reply(rr(SELF, TXT, txt(b"spam domain")))


@pytest.fixture
def base(scratch):
    for d in "bin", "control", "users":
        (scratch / d).mkdir()
    for p in "rblcheck/dnsq", "rblcheck/namecheck", "smtpd/smtpd":
        shutil.copy(postern.TREE / p, scratch / "bin")
    (scratch / "control/me").write_text("mx.test.example\n")
    (scratch / "control/locals").write_text("test.example\n")
    (scratch / "control/rcpthosts").write_text("test.example\n")
    return scratch


def check(base, rhsbl, *names, answer=handler):
    with DnsStub(answer) as stub:
        e = postern.env(base, DNSCACHEIP=stub.address)
        if rhsbl is not None:
            e["RHSBL"] = rhsbl
        p = subprocess.run([NAMECHECK, *names], capture_output=True, text=True, timeout=30,
                           env=e)
        p.asked = {q.name for q in stub.seen}
    return p


def test_listed_name_is_told_with_the_text_of_the_list(base):
    p = check(base, "dbl.example", "good.example", "Bad.Example")
    assert (p.returncode, p.stdout) == (0, "spam domain")
    assert "name=good.example verdict=pass" in p.stderr
    assert "name=Bad.Example verdict=block" in p.stderr
    assert "listed=dbl.example:127.0.1.2" in p.stderr


def test_names_that_no_list_has(base):
    p = check(base, "dbl.example\ntwo.example", "good.example", "fine.example")
    assert (p.returncode, p.stdout) == (0, "")
    assert len(p.asked) == 4


def test_definition_says_codes_text_and_for_how_long(base):
    assert check(base, "dbl.example=127.0.1.3", "bad.example").stdout == ""
    assert check(base, "dbl.example bounce", "bad.example").stdout == "-spam domain"
    p = check(base, "dbl.example=127.0.1.2-99 message=see %IP%", "bad.example")
    assert p.stdout == "see bad.example"


def test_weight_0_only_logs(base):
    p = check(base, "dbl.example weight=0", "bad.example")
    assert p.stdout == "" and "listed=dbl.example" in p.stderr


@pytest.mark.parametrize("name", ["[192.0.2.1]", "localhost", "", "a b.example", "x..example",
                                  ".bad.example", "a" * 64 + ".example", "b\u00e4d.example"])
def test_what_is_no_name_is_not_asked(base, name):
    p = check(base, "dbl.example", name, "good.example")
    assert p.returncode == 0
    assert p.asked == {"good.example.dbl.example"}


def test_name_too_long_for_a_list_is_not_asked_there(base):
    name = ".".join(["a" * 60] * 4)     # 243
    p = check(base, "dbl.example\nd.b", name)
    assert p.returncode == 0 and p.asked == {name + ".d.b"}


def run_with_deadline(base, rhsbl):
    with DnsStub(lambda q: None) as stub:
        return subprocess.run([NAMECHECK, "-d", "1", "bad.example"], capture_output=True,
                              text=True, timeout=30,
                              env=postern.env(base, DNSCACHEIP=stub.address, RHSBL=rhsbl))


def test_list_that_is_silent_lists_nobody(base):
    p = run_with_deadline(base, "dbl.example")
    assert p.stdout == "" and "failed=dbl.example:timeout" in p.stderr


def test_closed_list_that_is_silent_refuses_for_now(base):
    assert run_with_deadline(base, "dbl.example bounce closed").stdout == \
        "temporary RBL lookup error"


def test_slow_lists_are_asked_at_once(base):
    p = check(base, "\n".join(f"l{i}.example" for i in range(8)), "a.example", "b.example",
              answer=lambda q: Later(0.5, q.reply(rcode=3)))
    assert p.stdout == ""
    ms = [int(x.split("ms=")[1].split()[0]) for x in p.stderr.splitlines()]
    assert len(ms) == 2 and max(ms) < 3000     # one after the other: 16 s


def test_without_lists_it_asks_nothing(base):
    for rhsbl in None, "":
        p = check(base, rhsbl, "bad.example")
        assert (p.returncode, p.stdout, p.stderr, p.asked) == (0, "", "", set())


def test_malformed_definition(base):
    p = check(base, "dbl.example nosuch", "bad.example")
    assert p.returncode == 100 and "unknown word" in p.stderr


# smtpd


def session(base, text, rhsbl="dbl.example", **env):
    with DnsStub(handler) as stub:
        e = postern.env(base, DNSCACHEIP=stub.address, RHSBL=rhsbl, TCPREMOTEIP="192.0.2.7",
                        **env)
        p = subprocess.run([base / "bin/smtpd"], input=text.encode(), capture_output=True,
                           timeout=30, env=e)
        p.asked = [q.name for q in stub.seen if q.kind == A]
    p.codes = [x[:9] for x in p.stdout.decode().splitlines()]
    return p


RCPT = "RCPT TO:<nobody@test.example>\r\n"


def test_smtpd_refuses_recipients_of_a_listed_sender(base):
    p = session(base, f"HELO good.example\r\nMAIL FROM:<x@bad.example>\r\n{RCPT}{RCPT}")
    assert p.codes[-2:] == ["451 4.7.1"] * 2
    assert b"spam domain" in p.stdout
    assert b"reason=name_listed" in p.stderr
    # once for the two recipients
    assert sorted(p.asked) == ["bad.example.dbl.example", "good.example.dbl.example"]


def test_smtpd_refuses_a_listed_helo_for_good(base):
    p = session(base, f"HELO bad.example\r\nMAIL FROM:<>\r\n{RCPT}", "dbl.example bounce")
    assert p.codes[-1] == "553 5.7.1"


def test_smtpd_asks_again_for_the_next_sender(base):
    p = session(base, f"HELO a.example\r\nMAIL FROM:<x@bad.example>\r\n{RCPT}RSET\r\n"
                f"MAIL FROM:<x@good.example>\r\n{RCPT}")
    assert p.codes[-4] == "451 4.7.1" and p.codes[-1] == "250 2.1.5"


def test_smtpd_asks_nothing_about_a_client_that_may_relay(base):
    p = session(base, f"HELO bad.example\r\nMAIL FROM:<x@bad.example>\r\n{RCPT}",
                RELAYCLIENT="")
    assert p.codes[-1] == "250 2.1.5" and p.asked == []


def test_smtpd_asks_nothing_before_a_recipient_of_ours(base):
    p = session(base, "HELO bad.example\r\nMAIL FROM:<x@bad.example>\r\n"
                "RCPT TO:<x@elsewhere.example>\r\n")
    assert p.codes[-1] == "553 5.7.1" and p.asked == []


def test_option_like_helo_is_a_name(base):
    p = session(base, f"HELO -d\r\nMAIL FROM:<x@bad.example>\r\n{RCPT}")
    assert p.codes[-1] == "451 4.7.1"


def test_smtpd_without_namecheck_refuses_nobody_and_says_so(base):
    (base / "bin/namecheck").unlink()
    p = session(base, f"HELO bad.example\r\nMAIL FROM:<x@bad.example>\r\n{RCPT}")
    assert p.codes[-1] == "250 2.1.5"
    assert b"unable to start session=" in p.stderr and b"program=namecheck" in p.stderr
