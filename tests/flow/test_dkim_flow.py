"""Mail that leaves: signed where our own people send it, and good at its
receiver's, behind CR LF, dots and all; never what comes from outside."""
import pathlib
import re
import smtplib
import subprocess
import sys

import dkim
import pytest

import conftest
import postern
import suite as suites
from dnsstub import TXT, DnsStub, rr, txt
from hostile import Smtp
from test_submission import OUTSIDE, at_once, client

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "prog"))
from test_dkim import ODD, MESSAGE  # noqa: E402

TEXT = MESSAGE.replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def suite():
    """587 through scanq, 465 without; keys of example.com, made while all runs."""
    with Smtp() as server, conftest.prepared("alice@example.com", "bob@example.com") as s:
        s.server = server
        s.add_domain("other.example")
        s.add_user("eve@other.example")
        for service in "submission", "smtps":
            (s.home / "service" / service / "down").unlink()
        env = s.home / "service/submission/env"
        env.mkdir()
        (env / "QMAILQUEUE").write_text(f"{s.home}/bin/scanq\n")
        (s.home / "control/smtproutes").write_text(f":127.0.0.1:{server.port}\n")
        (s.home / "control/scanadmin").write_text("bob@example.com\n")
        (s.home / "rules/quarantine-attachments.txt").write_text(
            ".* sex.*\tVirus-Subject:\tSpam Mail\n")
        s.run("valias", "-i", "far@away.example", "forwarded@example.com")
        s.run("usersmake")
        s.run("mailctl", "cdb")
        s.start()
        suites.wait_until(lambda: suites.answers("127.0.0.1", s.submission_port), 15, "submission")
        suites.wait_until(lambda: at_once(s), 15, "smtps")
        assert "dkimd      off" in s.run("mailctl", "stat")
        s.run("dkimkey", "example.com")
        s.run("dkimkey", "-a", "ed25519", "example.com")
        assert s.named("dkimd")
        yield s


def dns(s):
    def answer(name, timeout=5):
        f = s.home / "dkim" / (name.decode().rstrip(".") + ".txt")
        return f.read_bytes().strip() if f.exists() else None
    return answer


def arrived(s, what):
    """The message with that Subject, as its receiver has it."""
    def found():
        return [m for m in s.server.messages if b"\r\nSubject: " + what.encode() + b"\r\n" in m]
    suites.wait_until(found, 30, f"{what}: {s.log('send')}")
    assert len(found()) == 1
    return re.sub(rb"(?m)^\.(?=.)", b"", found()[0])


def signatures(message):
    return len(re.findall(rb"(?m)^DKIM-Signature:", message))


def good(s, message):
    """Each of two signatures."""
    assert signatures(message) == 2, message
    d = dkim.DKIM(message)
    return all(d.verify(i, dnsfunc=dns(s)) for i in range(2))


def titled(name, message=TEXT):
    return message.replace(b"Subject: a  test", b"Subject: " + name.encode())


BODY = b"first \r\n.\r\n..two\r\n.x\r\n\r\nf\xc3\xbcr  alle\t\r\n" + b"y" * 3000 + b"\r\n\r\n \r\n\r\n"


@pytest.mark.parametrize("door", ["submission", "smtps", "smtp"])
def test_a_user_s_mail_arrives_with_good_signatures(suite, door):
    with client(suite, door, OUTSIDE) as c:
        c.login("alice@example.com", "secret")
        c.sendmail("alice@example.com", ["x@elsewhere.example"], titled(door, TEXT + BODY))
    got = arrived(suite, door)
    assert good(suite, got)
    assert (b"\r\nX-Postern-Scan:" in got) == (door == "submission")
    # in front of what this server adds, behind what it adds later
    assert got.index(b"DKIM-Signature") < got.index(b"ESMTPSA")


def test_a_receiver_s_perl_finds_them_good(suite):
    with client(suite, "smtps", OUTSIDE) as c:
        c.login("alice@example.com", "secret")
        c.sendmail("alice@example.com", ["x@elsewhere.example"], titled("perl", TEXT + BODY))
    got = arrived(suite, "perl")

    def answer(q):
        record = dns(suite)(q.name.encode())
        parts = [record[i:i + 255] for i in range(0, len(record), 255)] if record else []
        return q.reply(rr(b"\xc0\x0c", TXT, txt(*parts))) if parts else q.reply(rcode=3)
    script = r"""
        use Mail::DKIM::Verifier; use Net::DNS;
        my ($h, $p) = split /:/, shift;
        Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => [$h], port => $p));
        my $v = Mail::DKIM::Verifier->new(); local $/; my $m = <STDIN>;
        $v->PRINT($m); $v->CLOSE;
        print $_->algorithm, " ", $_->result_detail, "\n" for $v->signatures;
    """
    with DnsStub(answer) as stub:
        r = subprocess.run(["perl", "-e", script, stub.address], input=got, capture_output=True,
                           timeout=60)
    lines = r.stdout.decode().splitlines()
    assert "rsa-sha256 pass" in lines, r
    # older versions do not know the other
    assert [l for l in lines if l.startswith("ed25519") and "pass" not in l and
            "unsupported" not in l] == [], r


@pytest.mark.parametrize("odd", ["CR inside", "white space at ends of lines", "long lines", "dots",
                                 "blank lines at the end", "folded", "no LF at the end", "8 bits"])
def test_a_local_program_s_mail_arrives_with_good_signatures(suite, odd):
    subject = f"odd-{odd.replace(' ', '-')}"
    text = b"X-Odd: 1\nSubject: " + subject.encode() + b"\n" + \
        re.sub(rb"(?s)\nSubject:.*?\n(?=\S)", b"\n", ODD[odd], count=1)
    subprocess.run([suite.home / "bin/sendmail", "x@elsewhere.example"], input=text, check=True,
                   env=postern.env(suite.home), timeout=60)
    assert good(suite, arrived(suite, subject))


def test_who_may_relay_is_signed_for(suite):
    suite.send("alice@example.com", ["x@elsewhere.example"], titled("relay"))
    assert good(suite, arrived(suite, "relay"))


def test_mail_from_outside_is_never_signed(suite):
    # not what is for a mailbox, and not what an alias passes on
    suite.send("ceo@example.com", ["alice@example.com", "forwarded@example.com"],
               titled("forged"), OUTSIDE)
    assert signatures(arrived(suite, "forged")) == 0
    suite.wait_empty_queue()
    [got] = [m for m in suite.mailbox("alice@example.com") if b"Subject: forged" in m]
    assert signatures(got) == 0


def test_a_user_is_not_signed_for_in_another_domain(suite):
    with client(suite, "submission", OUTSIDE) as c:
        c.login("eve@other.example", "secret")
        c.sendmail("eve@other.example", ["x@elsewhere.example"], titled("eve"))
    assert signatures(arrived(suite, "eve")) == 0
    suite.wait_log("submission", "not signed session=")


def test_a_stranger_s_mail_gains_no_program(suite):
    real = suite.home / "bin/dkimsign"
    real.rename(real.with_suffix(".real"))
    try:
        suite.send("x@y.example", ["alice@example.com"], titled("stranger"), OUTSIDE)
        with pytest.raises(smtplib.SMTPDataError) as e:
            suite.send("alice@example.com", ["x@elsewhere.example"], titled("own"))
        assert e.value.smtp_code == 451
    finally:
        real.with_suffix(".real").rename(real)


def test_quarantine_keeps_what_it_takes_unsigned(suite):
    with client(suite, "submission", OUTSIDE) as c:
        c.login("alice@example.com", "secret")
        c.sendmail("alice@example.com", ["x@elsewhere.example"], titled("good sex!"))
    suites.wait_until(lambda: "<alice@example.com>" in suite.run("quarantine", "list"), 20, "kept")
    kept = suite.run("quarantine", "list").split()
    suite.run("quarantine", "release", kept[0])
    got = arrived(suite, "good sex!")
    assert b"X-Postern-Released: " in got and signatures(got) == 0


def test_mail_waits_while_dkimd_is_away(suite):
    subprocess.run(["s6-svc", "-wD", "-T", "20000", "-d", suite.home / "service/dkimd"], check=True,
                   timeout=30)
    try:
        with client(suite, "submission", OUTSIDE) as c:
            c.login("alice@example.com", "secret")
            with pytest.raises(smtplib.SMTPDataError) as e:
                c.sendmail("alice@example.com", ["x@elsewhere.example"], titled("waits"))
        assert e.value.smtp_code == 451 and b"cannot be signed" in e.value.smtp_error
        # nobody else waits
        suite.send("x@y.example", ["alice@example.com"], titled("others"), OUTSIDE)
    finally:
        subprocess.run(["s6-svc", "-u", suite.home / "service/dkimd"], check=True)
    suites.wait_until(lambda: suite.named("dkimd"), 20, "dkimd")
    with client(suite, "submission", OUTSIDE) as c:
        c.login("alice@example.com", "secret")
        c.sendmail("alice@example.com", ["x@elsewhere.example"], titled("waits"))
    assert good(suite, arrived(suite, "waits"))


def test_a_restart_costs_nothing(suite):
    suite.run("mailctl", "restart")
    suite.ready()
    suite.send("alice@example.com", ["x@elsewhere.example"], titled("restarted"))
    assert good(suite, arrived(suite, "restarted"))


def test_the_running_dkimd_is_what_the_table_says(suite):
    from test_security import facts, table
    [pid] = suite.named("dkimd")
    f = facts(pid)
    assert (f["users"], f["groups"]) == ({table()["dkimd"][0]}, {table()["dkimd"][1]})
    assert (f["nnp"], f["seccomp"]) == ("1", "2")


def test_the_last_key_gone_turns_it_off(suite):
    for f in list(suite.home.glob("dkim/*.pem")):
        suite.run("dkimkey", "-d", "-s", f.name.partition("._domainkey")[0], "example.com")
    assert "dkimd      off" in suite.run("mailctl", "stat")
    suite.send("alice@example.com", ["x@elsewhere.example"], titled("off"))
    assert signatures(arrived(suite, "off")) == 0
