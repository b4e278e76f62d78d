"""SPF, DKIM and DMARC on the whole way: from a client through dmarcq, scanq and
the queue into a mailbox, with a name server behind the resolver's address."""
import pathlib
import re
import smtplib
import subprocess
import sys
import threading

import pytest

import conftest
import postern
import suite as suites
from test_security import facts, stray, table
from test_submission import OUTSIDE

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "prog"))
import dmarclib  # noqa: E402
from dmarclib import MESSAGE, TXT, Zone, sign, wire  # noqa: E402
from dnsstub import DnsStub  # noqa: E402
from test_dmarc import rsa  # noqa: E402

US = suites.HOST


@pytest.fixture(scope="module")
def key():
    return rsa(2048)


@pytest.fixture(scope="module")
def suite(key):
    zone = Zone({("s._domainkey.friend.example", TXT): [key[1]],
                 ("_dmarc.friend.example", TXT): ["v=DMARC1; p=reject"],
                 ("_dmarc.careful.example", TXT): ["v=DMARC1; p=quarantine"]})
    with DnsStub(zone) as stub, conftest.prepared("alice@example.com", "bob@example.com") as s:
        s.zone = zone
        (s.home / "control/resolver").write_text(stub.address + "\n")
        (s.home / "profiles/dmarcd.local").write_text(f"connect {stub.port}\n")
        (s.home / "service/dmarcd/down").unlink()
        env = s.home / "service/smtpd/env"
        env.mkdir()
        (env / "QMAILQUEUE").write_text(f"{s.home}/bin/dmarcq\n")
        (s.home / "rules/quarantine-attachments.txt").write_text(
            rf"(?i)mx\.test\.example;.*dmarc=fail \(p=quarantine\).*" "\tVirus-Authentication-Results:\tfails DMARC\n")
        s.rules("smtp", '127.0.0.1:allow,RELAYCLIENT=""\n127.3.3.3:allow,DMARC="0"\n:allow\n')
        s.start()
        suites.wait_until((s.home / "socket/dmarc/dmarcd").exists, 20, "dmarcd")
        yield s


def author(domain, message=MESSAGE):
    return message.replace(b"alice@example.com", b"alice@" + domain.encode())


def arrived(s, subject, user="alice@example.com"):
    def found():
        return [m for m in s.mailbox(user) if b"Subject: " + subject.encode() in m]
    suites.wait_until(found, 30, f"{subject}: {s.everything_logged()}")
    [message] = found()
    return message


def titled(subject, message):
    return message.replace(b"a  test", subject.encode())


def test_a_good_signature_arrives_marked_in_front_of_scanq_s(suite, key):
    message = sign(titled("good", author("friend.example")), key[0], "friend.example")
    suite.send("x@friend.example", ["alice@example.com"], wire(message), OUTSIDE)
    got = arrived(suite, "good")
    field = re.search(rb"(?m)^Authentication-Results: (.*\n(?:\t.*\n)*)", got)[1].decode()
    assert "dkim=pass header.d=friend.example header.s=s;" in field
    assert "dmarc=pass (p=reject) header.from=friend.example" in field and field.startswith(US + ";")
    assert got.count(b"Authentication-Results") == 1
    # what scanq adds stands in front: it saw the field
    assert got.index(b"X-Postern-Scan") < got.index(b"Authentication-Results") < got.index(b"client.test.example")
    log = suite.log("smtpd")
    session = re.search(r"dmarcq: info: checked session=(\S+) spf=none dkim=pass dmarc=pass", log)[1]
    assert f"smtpd: info: accepted session={session} " in log


def test_what_is_to_be_in_quarantine_is_kept_by_a_rule(suite):
    suite.send("x@careful.example", ["alice@example.com"], wire(titled("kept", author("careful.example"))), OUTSIDE)
    suite.wait_log("smtpd", "fails\\x20DMARC", 20)
    suites.wait_until(lambda: suite.run("quarantine", "list"), 20, "the quarantine")
    assert "fails DMARC" in suite.run("quarantine", "list")
    # nor can the sender make it pass, or fail, by what he says himself
    forged = f"Authentication-Results: {US}; dmarc=fail (p=quarantine)\n".encode()
    suite.send("x@other.example", ["alice@example.com"], wire(forged + titled("forged", author("other.example"))),
               OUTSIDE)
    got = arrived(suite, "forged")
    assert b"\nX-Authentication-Claim: " + US.encode() in got and b"dmarc=none" in got


def test_the_policy_decides_at_once(suite):
    policy = suite.home / "control/dmarcpolicy"
    policy.write_text("dmarc refuse\n")
    try:
        with pytest.raises(smtplib.SMTPDataError) as e:
            suite.send("x@friend.example", ["alice@example.com"], wire(author("friend.example")), OUTSIDE)
        assert e.value.smtp_code == 554 and b"friend.example wants this refused" in e.value.smtp_error
        suite.wait_log("smtpd", "action=refused author=friend.example")
        report = suite.run("mailreport")
        assert re.search("^ +1  refused by control/dmarcpolicy$", report, re.M)
        assert re.search("Fail DMARC, by the author's domain\n(.+\n)* +1  friend.example\n", report)
        # who may relay, and whom the rules name, is not checked
        for source in "127.0.0.1", "127.3.3.3":
            suite.send("x@friend.example", ["bob@example.com"],
                       wire(titled("by " + source, author("friend.example"))), source)
            assert b"Authentication-Results" not in arrived(suite, "by " + source, "bob@example.com")
    finally:
        policy.unlink()


def test_each_process_is_as_security_says(suite):
    suite.zone.records["_dmarc.slow.example", TXT] = "silence"
    t = threading.Thread(target=lambda: suite.send("x@slow.example", ["alice@example.com"],
                                                   wire(author("slow.example")), OUTSIDE))
    t.start()
    seen = {}

    def look():
        for pid in suite.processes():
            try:
                f = facts(pid)
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                parent = status.split("PPid:\t")[1].split("\n")[0]
                f["filters"] = int(status.split("Seccomp_filters:\t")[1].split("\n")[0])
                f["parent"] = pathlib.Path(f"/proc/{parent}/comm").read_text().strip()
            except (OSError, KeyError, IndexError):
                continue
            seen.setdefault(f["name"], []).append(f)
        # the service, the process of one message, and its dnsq
        return {"dmarcq", "dnsq"} <= set(seen) and any(f["filters"] > 1 for f in seen["dmarcd"])
    suites.wait_until(look, 20, "dmarcq, dmarcd, dnsq")
    t.join(30)
    want = table()
    for name, all_of_it in stray(seen).items():
        for f in all_of_it:
            if name in ("dmarcd", "dmarcq") or f["parent"] == "dmarcd":
                user = "postern-dmarc" if f["parent"] == "dmarcd" else want[name][0]
                assert f["users"] == {user} and f["groups"] <= {user}, f
                assert (f["nnp"], f["seccomp"]) == ("1", "2"), f
    assert all(len(f["fds"]) < 10 for f in seen["dmarcd"])
    # the process that looks at the message has narrowed itself further
    assert any(f["parent"] == "dmarcd" and f["filters"] > 1 for f in seen["dmarcd"])


def authors(s):
    r = subprocess.run([s.home / "bin/doctor", "authors", "scanner"], env=postern.env(s.home), text=True,
                       capture_output=True, timeout=120)
    return r.stdout


def test_without_dmarcd_mail_arrives_and_doctor_says_so(suite):
    assert "DMARC of what comes in are checked; nothing is refused" in authors(suite)
    assert "does not name scanq" not in authors(suite)
    # alone in the row, it goes on to the queue
    row = suite.home / "control/queuefilters"
    row.write_text("dmarcq\n")
    assert "does not name scanq" in authors(suite)
    assert "viruses" not in suite.run("mailctl", "stat")
    row.unlink()
    assert "viruses" in suite.run("mailctl", "stat")
    subprocess.run(["s6-svc", "-wD", "-T", "10000", "-d", suite.home / "service/dmarcd"], check=True)
    try:
        suite.send("x@friend.example", ["alice@example.com"], wire(titled("away", author("friend.example"))), OUTSIDE)
        got = arrived(suite, "away")
        assert b"dmarc=temperror (dmarcd cannot be reached)" in got
        assert "dmarcd does not answer" in authors(suite)
    finally:
        subprocess.run(["s6-svc", "-u", suite.home / "service/dmarcd"], check=True)


def test_a_service_that_an_upgrade_has_brought_is_started(own_suite):
    s = own_suite
    (s.home / "service/dmarcd").rename(s.home / "dmarcd")
    s.start()
    (s.home / "dmarcd").rename(s.home / "service/dmarcd")
    s.run("mailctl", "start")
    assert not s.named("dmarcd")        # it is off
    (s.home / "service/dmarcd/down").unlink()
    s.run("mailctl", "start")
    suites.wait_until(lambda: s.named("dmarcd"), 20, "dmarcd")
