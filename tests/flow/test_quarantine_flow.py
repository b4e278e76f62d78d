"""Section 5.4 of the reference deployment: a message with a forbidden subject is
accepted over SMTP, kept in quarantine, the administrator reads the alert by
POP3, and it can be let go."""
import email.message
import email.policy
import os
import re
import socket
import subprocess

import postern
import pytest
from fakeclamd import EICAR, FakeClamd

RULES = ".* sex.*\tVirus-Subject:\tSpam Mail\n.exe\t0\tExecutable File (.exe)\n"


@pytest.fixture
def filtered(own_suite):
    """A suite whose smtpd has its mail scanned."""
    s = own_suite
    (s.home / "control/scanadmin").write_text("alice@example.com\n")
    (s.home / "rules/quarantine-attachments.txt").write_text(RULES)
    s.rules("smtp", f'127.0.0.1:allow,RELAYCLIENT="",QMAILQUEUE="{s.home}/bin/scanq"\n:allow\n')
    s.run("usersmake")
    yield s.start()


def telnet(port, *commands):
    """Lines as the paper's reader typed them; all that came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as c:
        f = c.makefile("rwb")
        out = [f.readline()]
        for line in commands:
            f.write(line.encode() + b"\r\n")
            f.flush()
            if line.startswith("Subject") or line == "":
                continue
            out.append(f.readline())
        return b"".join(out).decode()


def test_dialogue_of_the_reference_deployment(filtered):
    s = filtered
    out = telnet(s.smtp_port, "mail from: admin@domain.com", "rcpt to: alice@example.com", "data",
                 "Subject: good sex!", "", ".", "quit")
    assert re.search(r"\n250 .*ok \d+ qp \d+", out), out
    alert = s.wait_mail("alice@example.com")[-1].decode()
    assert "Spam Mail" in alert and "MAIL FROM: admin@domain.com" in alert
    assert "\nSubject: good sex!\n" in alert
    kept = s.run("quarantine", "list").split()
    assert "<alice@example.com>" in kept
    s.run("quarantine", "release", kept[0])
    got = s.wait_mail("alice@example.com", 2)
    released = [m for m in got if b"X-Postern-Released: " in m]
    assert len(released) == 1 and b"\nSubject: good sex!\n\n" in released[0]
    assert " released " in s.run("quarantine", "list")


def test_names_in_archives_are_seen_by_the_confined_service(filtered, scratch):
    """As the service is confined, archivenames finds nothing but a locale."""
    s = filtered
    if not (s.home / "bin/archivenames").exists():
        pytest.skip("built without libarchive")
    name = scratch / "\u00fcbel.exe"
    name.write_text("x")
    subprocess.run(["bsdtar", "-cf", scratch / "a.7z", "--format", "7zip", "-C", scratch, name.name],
                   check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    message = email.message.EmailMessage()
    message["Subject"] = "archive"
    message.add_attachment((scratch / "a.7z").read_bytes(), maintype="application", subtype="octet-stream",
                           filename="a.bin")
    s.send("a@b.example", ["alice@example.com"], message.as_bytes(policy=email.policy.SMTP))
    alert = s.wait_mail("alice@example.com")[-1].decode()
    assert "'Executable File (.exe)' found in message: ??bel.exe" in alert


def test_virus_is_refused_and_clamd_away_is_temporary(filtered):
    s = filtered
    c = FakeClamd(s.home / "clamd")
    (s.home / "control/clamd").write_text(c.name + "\n")
    message = b"Subject: test\r\n\r\n%s\r\n"
    import smtplib
    with pytest.raises(smtplib.SMTPDataError) as e:
        s.send("a@b.example", ["alice@example.com"], message % EICAR)
    assert e.value.smtp_code == 554 and b"Test.Eicar" in e.value.smtp_error
    s.send("a@b.example", ["alice@example.com"], message % b"good")
    got = s.wait_mail("alice@example.com")[-1]
    assert b"X-Postern-Scan: clean" in got
    assert 0 in c.access or "zFILDES" in c.commands
    c.close()
    (s.home / "clamd").unlink()
    with pytest.raises(smtplib.SMTPDataError) as e:
        s.send("a@b.example", ["alice@example.com"], message % b"good")
    assert e.value.smtp_code == 451


def stat(s):
    r = subprocess.run([s.home / "bin/mailctl", "stat"], capture_output=True, text=True, timeout=60,
                       env=postern.env(s.home))
    return [l for l in r.stdout.splitlines() if l.startswith("viruses")]


def test_stat_tells_whether_viruses_are_looked_for(filtered):
    s = filtered
    assert "SCANNING IS OFF" in stat(s)[0]
    c = FakeClamd(s.home / "clamd")
    (s.home / "control/clamd").write_text(c.name + "\n")
    # a fake finds nothing in archives: no good clamd
    assert "DOES NOT WORK: mail is put off" in stat(s)[0]
    (s.home / "control/virusscan").write_text("optional\n")
    assert "DOES NOT WORK: mail passes unscanned" in stat(s)[0]
    c.verdict = lambda data: "Test.Eicar FOUND" if len(data) != len("Subject: test\n\nhello\n") else "OK"
    assert "scanned for" in stat(s)[0]
    c.close()


def test_clamd_is_configured_without_a_port():
    conf = "# kept\nLocalSocket /x\nTCPSocket 3310\nTCPAddr 0.0.0.0\nUser clamav\nAlertEncrypted false\n"
    out = subprocess.run([postern.TREE / "tools/clamavconf", "2000"], input=conf, capture_output=True,
                         text=True, check=True).stdout
    lines = out.splitlines()
    assert lines[:2] == ["# kept", "User clamav"] and "TCP" not in out
    assert "AlertEncrypted true" in lines and "AlertExceedsMax true" in lines
    assert "ConcurrentDatabaseReload false" in lines
    again = subprocess.run([postern.TREE / "tools/clamavconf", "2000"], input=out, capture_output=True,
                           text=True, check=True).stdout
    assert again == out
