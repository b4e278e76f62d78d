import os
import shutil
import subprocess

import pytest

MESSAGE = (b"From: <carol@elsewhere.example>\r\nTo: <alice@example.com>\r\n"
           b"Subject: \xc3\xbcber\r\n\r\n.\r\n..dots\r\nlast line\r\n"
           b"\r\nnul \0 and \xff\r\n")


def body_of(message, data):
    """What stands under the lines that the way added."""
    want = data.replace(b"\r\n", b"\n")
    assert message.endswith(want)
    return message[:-len(want)]


def test_message_arrives_byte_for_byte(suite):
    suite.send("carol@elsewhere.example", ["alice@example.com"], MESSAGE)
    got = suite.wait_mail("alice@example.com")
    added = body_of(got[-1], MESSAGE).decode()
    assert added.startswith("Return-Path: <carol@elsewhere.example>\n"
                            "Delivered-To: ")
    assert "Received: from " in added
    assert "(HELO client.test.example)" in added
    suite.wait_empty_queue()


def test_several_recipients_of_one_message(suite):
    suite.send("carol@elsewhere.example",
               ["alice@example.com", "bob@example.com"],
               b"Subject: both\r\n\r\nhello\r\n")
    for who in ["alice@example.com", "bob@example.com"]:
        assert any(b"Subject: both" in m for m in suite.wait_mail(who))


def test_unknown_mailbox_is_refused_in_the_dialogue(suite):
    with suite.smtp() as s:
        s.ehlo()
        s.mail("carol@elsewhere.example")
        code, text = s.rcpt("nobody@example.com")
    assert code == 550
    assert b"no mailbox here by that name" in text


def test_sendmail_delivers(suite):
    subprocess.run([suite.home / "bin/sendmail", "-f", "carol@example.com",
                    "bob@example.com"], check=True, timeout=20,
                   input=b"Subject: by sendmail\n\nhello\n",
                   env={"POSTERN_HOME": str(suite.home), "PATH": os.environ["PATH"]})
    got = suite.wait_mail("bob@example.com")
    suite.wait_empty_queue()
    assert any(b"Subject: by sendmail" in m
               for m in suite.mailbox("bob@example.com")), got


def test_failed_delivery_comes_back_as_a_bounce(suite):
    subprocess.run([suite.home / "bin/sendmail", "-f", "alice@example.com",
                    "nobody@example.com"], check=True, timeout=20,
                   input=b"Subject: lost\n\nhello\n",
                   env={"POSTERN_HOME": str(suite.home), "PATH": os.environ["PATH"]})
    suite.wait_log("send", "bounce msg")
    suite.wait_empty_queue()
    last = suite.mailbox("alice@example.com")
    bounce = [m for m in last if b"nobody@example.com" in m]
    assert bounce and b"Subject: lost" in bounce[-1]
    assert b"message/delivery-status" in bounce[-1]


def test_swaks_sends_and_curl_reads(suite):
    r = subprocess.run(["swaks", "-s", f"127.0.0.1:{suite.smtp_port}",
                        "-t", "bob@example.com", "-f", "dave@example.org",
                        "--header", "Subject: from swaks"],
                       capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r.stdout + r.stderr
    suite.wait_log("send", "success")
    suite.wait_empty_queue()
    if not shutil.which("curl"):
        pytest.fail("curl is missing")
    url = f"pop3://127.0.0.1:{suite.pop3_port}/"
    listing = subprocess.run(
        ["curl", "-sS", "--user", "bob@example.com:secret", url],
        capture_output=True, text=True, timeout=20, check=True).stdout
    number = listing.splitlines()[-1].split()[0]
    bodies = [subprocess.run(
        ["curl", "-sS", "--user", "bob@example.com:secret", url + str(i + 1)],
        capture_output=True, timeout=20, check=True).stdout
        for i in range(int(number))]
    assert any(b"Subject: from swaks" in b for b in bodies)


def test_fetchmail_empties_a_mailbox(suite, scratch):
    suite.add_user("erin@example.com")
    suite.send("carol@elsewhere.example", ["erin@example.com"],
               b"Subject: fetch me\r\n\r\nhello\r\n")
    suite.wait_mail("erin@example.com")
    rc = scratch / "rc"
    rc.write_text(f"poll 127.0.0.1 port {suite.pop3_port} proto pop3 "
                  "user erin@example.com pass secret sslproto '' "
                  f"mda \"cat >>{scratch}/got\"\n")
    rc.chmod(0o600)
    subprocess.run(["fetchmail", "-f", rc, "--pidfile", scratch / "pid",
                    "-i", scratch / "ids"], check=True, timeout=30,
                   env={"PATH": os.environ["PATH"], "HOME": str(scratch)})
    assert b"Subject: fetch me" in (scratch / "got").read_bytes()
    assert suite.mailbox("erin@example.com") == []


def test_every_accepted_recipient_has_a_log_line(suite):
    suite.send("frank@elsewhere.example", ["alice@example.com"],
               b"Subject: logged\r\n\r\nhello\r\n")
    suite.wait_log("smtpd", "from=<frank@elsewhere.example>")
    line = [l for l in suite.log("smtpd").splitlines()
            if "from=<frank@elsewhere.example>" in l][-1]
    assert "smtpd: info: accepted" in line
    assert "to=<alice@example.com>" in line
    assert "session=" in line and "qp=" in line


def test_wrong_password_is_refused(suite):
    import poplib
    with pytest.raises(poplib.error_proto, match="AUTH"):
        suite.pop("alice@example.com", "wrong")
