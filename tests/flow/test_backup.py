"""What INSTALL says about backups: copied while mail flows, put back elsewhere."""
import re
import subprocess
import threading

import postern
import suite as suites

COMMANDS = re.search(r"^(\tcd /var/postern\n\ttar -czf .*?)\n\n",
                     (postern.TREE / "INSTALL").read_text(), re.S | re.M).group(1)



def test_a_copy_made_while_mail_flows_is_a_server(own_suite, scratch):
    own_suite.start()
    for i in range(5):
        own_suite.send("a@b.example", ["alice@example.com"], b"Subject: early\r\n\r\nx\r\n")
    own_suite.wait_mail("alice@example.com", 5)
    own_suite.send("alice@example.com", ["x@elsewhere.example"],
                   b"Subject: waiting\r\n\r\nx\r\n")
    own_suite.wait_log("send", "deferral")
    stop, sent = threading.Event(), []

    def flow():
        while not stop.is_set() and len(sent) < 500:
            own_suite.send("a@b.example", ["alice@example.com"], b"Subject: late\r\n\r\nx\r\n")
            sent.append(1)
    thread = threading.Thread(target=flow)
    thread.start()
    archive = scratch / "backup.tar.gz"
    env = own_suite.home / "service/smtpd/env"
    env.mkdir(exist_ok=True)
    (env / "MARK").write_text("kept\n")
    (own_suite.home / "profiles/smtpd.local").write_text("# kept\n")
    commands = COMMANDS.replace("/var/postern", str(own_suite.home)).replace(
        "/root/backup.tar.gz", str(archive))
    try:
        r = subprocess.run(["sh", "-c", commands], capture_output=True, text=True,
                           timeout=60)
    finally:
        stop.set()
        thread.join()
    # 1: a file went away, or grew, while it was read
    assert r.returncode in (0, 1), r.stderr
    own_suite.stop()

    own_suite.home.rename(scratch / "lost")
    other = suites.Suite(own_suite.home)
    subprocess.run(["tar", "-C", other.home, "-xzf", archive], check=True, timeout=60)
    assert (other.home / "service/smtpd/env/MARK").read_text() == "kept\n"
    assert (other.home / "profiles/smtpd.local").exists()
    # ports of its own
    (other.home / "control/smtpport").write_text(f"{other.smtp_port}\n")
    (other.home / "control/pop3port").write_text(f"{other.pop3_port}\n")
    try:
        other.start()
        mail = other.mailbox("alice@example.com")
        assert sum(b"Subject: early" in m for m in mail) == 5
        other.wait_log("send", "to remote x@elsewhere.example")
        assert len(other.queue_ids()) >= 1
        assert not list((other.home / "queue/bad").iterdir())
        other.send("a@b.example", ["alice@example.com"], b"Subject: new\r\n\r\nx\r\n")
        suites.wait_until(lambda: any(b"Subject: new" in m for m in
                                      other.mailbox("alice@example.com")), 15, "new mail")
    finally:
        other.stop()
