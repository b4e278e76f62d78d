"""systemtest on the running suite: all five parts, and parts that fail."""
import re
import subprocess

import pytest

import postern
from dnsstub import LISTED, DnsStub, listing


@pytest.fixture
def tested(own_suite):
    """Lists, scanner, everything."""
    s = own_suite
    with DnsStub(listing) as dns:
        (s.home / "control/dnsbl").write_text("bl.example\n")
        (s.home / "control/scanadmin").write_text("alice@example.com\n")
        (s.home / "profiles/smtpd.local").write_text(
            f"connect {dns.address.rsplit(':', 1)[1]}\n")
        env = s.home / "service/smtpd/env"
        env.mkdir(exist_ok=True)
        (env / "QMAILQUEUE").write_text(f"{s.home}/bin/scanq\n")
        (env / "DNSCACHEIP").write_text(dns.address + "\n")
        (s.home / "control/virusscan").write_text("off\n")
        (s.home / "control/quarantine").write_text("quarantine@mx.test.example\n")
        s.rules("smtp", '127.0.0.1:allow,RELAYCLIENT="",MAXRATEIP="0"\n:allow,MAXRATEIP="0"\n')
        yield s.start()


def systemtest(s, password="secret"):
    return subprocess.run([s.home / "bin/systemtest", "-u", "alice@example.com"], text=True,
                          input=password + "\n", capture_output=True, timeout=300,
                          env=postern.env(s.home))


def test_report_of_a_server_that_works(tested):
    r = systemtest(tested)
    assert r.returncode == 0, r.stdout + r.stderr
    assert "\n6 tests, 0 failed\n" in r.stdout
    assert f"451 4.7.1 {LISTED}" in r.stdout or \
        re.search("<<< 451 .*Listed by ORDB", r.stdout), r.stdout
    assert "553 5.7.1 we don't relay (#5.7.1)" in r.stdout
    assert "passed: it is kept in quarantine" in r.stdout
    assert "secret" not in r.stdout
    assert tested.run("quarantine", "list").strip() == ""   # cleaned up
    tested.wait_mail("alice@example.com")                   # the alert


def test_report_of_a_server_that_does_not(tested):
    (tested.home / "control/dnsbl").write_text("other.example\n")
    tested.rules("smtp", ':allow,RELAYCLIENT="",MAXRATEIP="0"\n')
    r = systemtest(tested, "wrong")
    assert r.returncode == 1
    for text in ("a listed client is refused", "nobody may relay", "a mailbox is read by POP3"):
        assert f"FAILED: {text}" in r.stdout, r.stdout
