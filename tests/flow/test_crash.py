"""Processes die while messages flow: what was acknowledged is not lost."""
import hashlib
import os
import pathlib
import random
import smtplib
import threading
import time

import pytest

import suite as suites

SENDERS = 3
SECONDS = 4


def message(number):
    body = random.Random(number).randbytes(3000).hex()
    digest = hashlib.sha256(body.encode()).hexdigest()
    text = "\r\n".join(body[i:i + 70] for i in range(0, len(body), 70))
    return (f"Subject: number {number}\r\nX-Digest: {digest}\r\n"
            f"\r\n{text}\r\n").encode()


def whole(stored):
    """The number of a stored message, if it is whole."""
    head, _, body = stored.partition(b"\n\n")
    field = dict(l.split(": ", 1) for l in head.decode().splitlines()
                 if ": " in l)
    digest = hashlib.sha256(body.replace(b"\n", b"")).hexdigest()
    assert digest == field["X-Digest"], "torn: " + field["Subject"]
    return int(field["Subject"].split()[1])


class Traffic:
    """Clients that send until told to stop, and note what was acknowledged."""

    def __init__(self, suite):
        self.suite = suite
        self.acknowledged = []
        self.tried = 0
        self.lock = threading.Lock()
        self.until = time.monotonic() + SECONDS
        self.threads = [threading.Thread(target=self.client)
                        for _ in range(SENDERS)]

    def number(self):
        with self.lock:
            self.tried += 1
            return self.tried

    def client(self):
        while time.monotonic() < self.until:
            n = self.number()
            try:
                with self.suite.smtp() as s:
                    s.sendmail("a@b.example", ["alice@example.com"], message(n))
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)
                continue
            with self.lock:
                self.acknowledged.append(n)


def victims(suite, name, listeners):
    """An smtpd lives for milliseconds: no time to look through all of /proc."""
    if name != "smtpd":
        return suite.named(name)[:1]
    return [int(child) for pid in listeners for child in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("victim", ["queued", "send", "lspawn", "local",
                                    "smtpd", "start", "rspawn", "authd"])
def test_acknowledged_messages_survive_the_death_of(own_suite, victim):
    own_suite.start()
    traffic = Traffic(own_suite)
    for t in traffic.threads:
        t.start()
    killed = 0
    listeners = own_suite.named("listen")
    while time.monotonic() < traffic.until:
        for pid in victims(own_suite, victim, listeners):
            try:
                os.kill(pid, 9)
                killed += 1
                time.sleep(random.uniform(0.05, 0.4))
            except ProcessLookupError:
                pass
    for t in traffic.threads:
        t.join(30)
    assert killed > 0
    assert traffic.acknowledged
    # more than once: the one that hears it may still be starting

    def drained():
        own_suite.run("mailctl", "doqueue")
        time.sleep(0.3)
        return not own_suite.queue_ids()
    suites.wait_until(drained, 30, "empty queue")
    # pop3 would do as well; this is quicker
    stored = [whole(f.read_bytes()) for f in own_suite.home.glob(
        "domains/example.com/alice/Maildir/new/*")]
    assert set(traffic.acknowledged) - set(stored) == set()


def test_acknowledged_messages_survive_the_death_of_everything(own_suite):
    own_suite.start()
    traffic = Traffic(own_suite)
    for t in traffic.threads:
        t.start()
    time.sleep(1.5)
    for pid in own_suite.processes():
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    own_suite.svscan.wait()
    traffic.until = 0
    for t in traffic.threads:
        t.join(30)
    assert traffic.acknowledged
    suites.wait_until(lambda: not suites.answers(
        "127.0.0.1", own_suite.smtp_port), 10, "the end")
    own_suite.start()
    own_suite.wait_empty_queue(20)
    stored = [whole(f.read_bytes()) for f in own_suite.home.glob(
        "domains/example.com/alice/Maildir/new/*")]
    assert set(traffic.acknowledged) - set(stored) == set()
