"""smtpd with the real queue behind it."""
import os
import random
import signal
import socket
import subprocess
import threading

import pytest

import postern
import queuelib

UPTO = b"EHLO c.example\r\nMAIL FROM:<s@client.example>\r\n" \
       b"RCPT TO:<u@away.example>\r\nDATA\r\n"


@pytest.fixture
def queue(scratch):
    q = queuelib.Queue(scratch)
    q.control("rcpthosts", "away.example")
    q.start()
    yield q
    q.stop()


class Session:
    def __init__(self, queue, log=subprocess.DEVNULL):
        self.conn, theirs = socket.socketpair()
        self.conn.settimeout(20)
        with theirs:
            self.process = subprocess.Popen(
                [queue.home / "bin/smtpd"], stdin=theirs, stdout=theirs, stderr=log,
                user="postern-smtpd", group="postern-smtpd", extra_groups=[],
                env=postern.env(queue.home, TCPREMOTEIP="192.0.2.9",
                                POSTERN_SESSION="s-1"))
        self.file = self.conn.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.conn.close()
        assert self.process.wait(20) == 0

    def say(self, what):
        self.conn.sendall(what)

    def until(self, code):
        """The first reply with that code."""
        while True:
            line = self.file.readline()
            assert line, f"no {code}"
            if line.startswith(code):
                return line

    def message(self, body):
        self.say(UPTO)
        self.until(b"354")
        self.say(body + b"\r\n.\r\n")


def test_a_message_is_in_the_queue_when_250_is_said(queue):
    with Session(queue) as s:
        s.message(b"Subject: x\r\n\r\nhello")
        s.until(b"250 2.0.0 ok")
        [number] = queue.messages()
        m = queue.read(number)
        assert m.sender == b"s@client.example"
        assert m.recipients == [b"u@away.example"]
        body = m.without_received()
        assert body.startswith(b"Received: from unknown (HELO c.example) (192.0.2.9)\n"
                               b"  by test.example with ESMTP id s-1; ")
        assert body.endswith(b" -0000\nSubject: x\n\nhello\n")


def test_large_binary_messages_arrive_byte_for_byte(queue):
    r = random.Random(7)
    with Session(queue) as s:
        for size in (1, 8190, 8191, 8192, 8193, 2000000):
            text = bytes(r.choices(range(256), k=size))
            lines = text.replace(b"\r", b"x").split(b"\n")
            wire = b"\r\n".join(b"." + x if x[:1] == b"." else x for x in lines)
            before = set(queue.messages())
            s.message(b"\r\n" + wire)
            s.until(b"250 2.0.0 ok")
            [number] = set(queue.messages()) - before
            stored = queue.read(number).without_received()
            assert stored.split(b"\n\n", 1)[1] == b"\n".join(lines) + b"\n"


def test_a_client_that_leaves_within_a_message_leaves_nothing(queue):
    with Session(queue) as s:
        s.say(UPTO)
        s.until(b"354")
        s.say(b"Subject: x\r\n" * 10000)
        queuelib.until(lambda: queue.unfinished())
    queuelib.until(lambda: not queue.unfinished())
    assert queue.messages() == []


def test_a_refused_message_leaves_nothing_and_the_next_one_goes(queue):
    queue.control("databytes", "1000")
    with Session(queue) as s:
        s.message(b"x" * 2000)
        assert s.until(b"5") == b"552 5.3.4 sorry, that message size exceeds my " \
            b"databytes limit (#5.3.4)\r\n"
        s.message(b"short")
        s.until(b"250 2.0.0 ok")
    assert len(queue.messages()) == 1
    queuelib.until(lambda: not queue.unfinished())


def test_without_queued_the_client_is_told_to_come_again(queue):
    with Session(queue) as s:
        s.say(UPTO)
        s.until(b"354")
        for pid in [queue.daemon.pid, *queue.workers()]:
            os.kill(pid, signal.SIGKILL)
        queue.daemon.wait()
        s.say(b"x\r\n.\r\n")
        s.until(b"451 4.")
        s.say(UPTO)
        s.until(b"451 4.")
        queue.start()
        s.message(b"x")
        s.until(b"250 2.0.0 ok")
    assert len(queue.messages()) == 1


def test_a_restart_of_queued_costs_a_moment_and_no_refusal(queue):
    with Session(queue) as s:
        s.message(b"Subject: x\r\n\r\nbefore")
        s.until(b"250 2.0.0 ok")
        queue.stop()
        later = threading.Timer(0.3, queue.start)
        later.start()
        s.message(b"Subject: x\r\n\r\nwhile it is away")
        s.until(b"250 2.0.0 ok")
        later.join()
        assert len(queue.messages()) == 2
