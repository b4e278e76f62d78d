"""Programs of others at our door, and ours at theirs, in front of the real
queue."""
import pwd
import smtplib
import subprocess

import pytest

import postern
from dnsstub import LISTED, DnsStub, listing

MESSAGE = b"Subject: %s\r\n\r\nbody\r\n"


@pytest.fixture
def serve(suite):
    """Runs a front end and what stands behind it, as user smtpd, in the home
    of the suite; gives a function that connects from an address."""
    running = []
    user = pwd.getpwnam("postern-smtpd")

    def start(front, *behind, rules=b":allow\n", **env):
        stub = DnsStub(listing).__enter__()
        cdb = suite.home / "rules/others.cdb"
        # by Debian's own compiler
        subprocess.run(["tcprules", cdb, f"{cdb}.tmp"], input=rules, check=True)
        p = subprocess.Popen(
            [front, "-1HR", "-lmx", f"-u{user.pw_uid}", f"-g{user.pw_gid}", "-x", cdb,
             "127.0.0.1", "0", *behind], cwd=suite.home, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=postern.env(suite.home, DNSCACHEIP=stub.address, **env))
        running.append((p, stub))
        port = int(p.stdout.readline())

        def client(source):
            return smtplib.SMTP("127.0.0.1", port, timeout=20, source_address=(source, 0),
                                local_hostname="client.test.example")
        return client
    yield start
    for p, stub in running:
        p.terminate()
        p.wait(10)
        p.stdout.close()
        stub.__exit__()


def arrived(suite, subject):
    suite.wait_empty_queue()
    return [m for m in suite.mailbox("alice@example.com") if b"Subject: " + subject in m]


def test_mailfront_behind_our_listen_and_rblcheck(suite, serve):
    client = serve("listen", "rblcheck", "-r", "bl.example", "smtpfront-qmail",
                   QMAILHOME=str(suite.home), QMAILQUEUE=str(suite.home / "bin/queue"))
    with client("127.0.0.3") as s:
        s.sendmail("x@y.example", ["alice@example.com"], MESSAGE % b"mailfront")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            s.sendmail("x@y.example", ["alice@elsewhere.example"], MESSAGE % b"relayed")
    [got] = arrived(suite, b"mailfront")
    assert b"client.test.example" in got
    with client("127.0.0.2") as s:
        s.helo()
        s.mail("x@y.example")
        assert s.rcpt("alice@example.com") == (451, LISTED.encode())


def test_mailfront_behind_our_listen_takes_variables_of_rules(suite, serve):
    client = serve("listen", "smtpfront-qmail", rules=b'127.0.0.4:allow,RELAYCLIENT=""\n',
                   QMAILHOME=str(suite.home), QMAILQUEUE=str(suite.home / "bin/queue"))
    for source, code in ("127.0.0.3", 550), ("127.0.0.4", 250):
        with client(source) as s:
            s.ehlo()
            s.mail("x@y.example")
            assert s.rcpt("z@elsewhere.example")[0] == code


def test_our_smtpd_behind_tcpserver_and_rblsmtpd(suite, serve):
    client = serve("tcpserver", "rblsmtpd", "smtpd",
                   rules=b'127.0.0.2:allow,RBLSMTPD="-go away"\n:allow\n')
    with client("127.0.0.3") as s:
        s.sendmail("x@y.example", ["alice@example.com"], MESSAGE % b"tcpserver")
    assert len(arrived(suite, b"tcpserver")) == 1
    with client("127.0.0.2") as s:
        s.helo()
        s.mail("x@y.example")
        assert s.rcpt("alice@example.com") == (553, b"go away")


def test_mailfront_hands_its_mail_to_scanq(suite, serve):
    client = serve("listen", "smtpfront-qmail", QMAILHOME=str(suite.home),
                   QMAILQUEUE=str(suite.home / "bin/scanq"))
    program = MESSAGE % b"scanned" + b"begin 644 evil.exe\r\n`\r\nend\r\n"
    rules = suite.home / "rules/quarantine-attachments.txt"
    was = rules.read_text()
    try:
        rules.write_text(".exe\t0 action=refuse\tprogram\n")
        suite.run("scanrules")
        with client("127.0.0.3") as s:
            s.sendmail("x@y.example", ["alice@example.com"], MESSAGE % b"scanned")
            with pytest.raises(smtplib.SMTPDataError) as e:
                s.sendmail("x@y.example", ["alice@example.com"], program)
        # mailfront takes no text: for good, and without a reason
        assert e.value.smtp_code in (550, 554)
    finally:
        rules.write_text(was)
        suite.run("scanrules")
    [got] = arrived(suite, b"scanned")
    assert b"X-Postern-Scan: clean" in got
