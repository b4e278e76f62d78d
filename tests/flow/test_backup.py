"""What INSTALL says about backups: copied while mail flows, put back elsewhere."""
import re
import subprocess
import threading

import postern
import suite as suites

PARTS = re.search(r"tar -C /var/postern -czf backup\.tar\.gz \\\n(.*?)\n\n",
                  (postern.TREE / "INSTALL").read_text(), re.S).group(1).split()


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
    parts = [p for part in PARTS for p in
             (own_suite.home.glob(part) if "*" in part else [own_suite.home / part]) if p.exists()]
    try:
        r = subprocess.run(["tar", "-C", own_suite.home, "-czf", archive,
                            *(p.relative_to(own_suite.home) for p in parts)],
                           capture_output=True, text=True, timeout=60)
    finally:
        stop.set()
        thread.join()
    # 1: a file went away, or grew, while it was read
    assert r.returncode in (0, 1), r.stderr
    own_suite.stop()

    own_suite.home.rename(scratch / "lost")
    other = suites.Suite(own_suite.home)
    subprocess.run(["tar", "-C", other.home, "-xzf", archive], check=True, timeout=60)
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
