"""concurrencyremote at its most: 1000 remotes at once, with a server that is
slow to each of them."""
import os
import pathlib
import selectors
import socket
import threading
import time

import pytest

from queuelib import until
from sendlib import Sender, message_file

MOST = 1000
MORE = 100
FIRST = 1_700_000_000_000_000_000


class SlowServer(threading.Thread):
    """One thread with all connections.  Nobody gets an answer to MAIL before
    go(); .most were there at a time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most = 0
        self.open = {}              # socket -> [what it said, in a message]
        self.stopped = []           # those that have said MAIL
        self.messages = 0
        self.released = False
        self.poll = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.poll.register(self.listener, selectors.EVENT_READ)
        self.ends, self.end = socket.socketpair()
        self.poll.register(self.ends, selectors.EVENT_READ)
        self.start()

    def welcome(self):
        sock, _ = self.listener.accept()
        self.open[sock] = [b"", False]
        self.most = max(self.most, len(self.open))
        self.poll.register(sock, selectors.EVENT_READ)
        sock.send(b"220 slow.example ESMTP\r\n")

    def go(self):
        self.end.send(b"g")

    def release(self):
        self.released = True
        for sock in self.stopped:
            sock.send(b"250 ok\r\n")

    def command(self, sock, line):
        if self.open[sock][1]:
            if line == b".":
                self.open[sock][1] = False
                self.messages += 1
                sock.send(b"250 ok\r\n")
            return
        word = line[:4].upper()
        if word == b"MAIL" and not self.released:
            self.stopped.append(sock)
            return
        self.open[sock][1] = word == b"DATA"
        sock.send({b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n"))

    def hear(self, sock):
        try:
            data = sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.poll.unregister(sock)
            del self.open[sock]
            sock.close()
            return
        lines = (self.open[sock][0] + data).split(b"\r\n")
        self.open[sock][0] = lines.pop()
        for line in lines:
            self.command(sock, line)

    def run(self):
        while True:
            for key, _ in self.poll.select():
                if key.fileobj is self.ends:
                    if self.ends.recv(1) != b"g":
                        return
                    self.release()
                elif key.fileobj is self.listener:
                    self.welcome()
                else:
                    self.hear(key.fileobj)

    def close(self):
        self.end.send(b"x")
        self.join(10)
        for sock in [*self.open, self.listener, self.ends, self.end]:
            sock.close()


@pytest.fixture
def server():
    s = SlowServer()
    yield s
    s.close()


def remotes(sender):
    exe = str(sender.home / "bin/remote")
    found = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(p / "exe") == exe:
                found.append(p)
        except OSError:
            pass
    return found


def private(process):
    """KiB that are its own."""
    text = (process / "smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_thousand_remotes_at_once(scratch, server):
    s = Sender(scratch, concurrencyremote=MOST, smtproutes=f":127.0.0.1:{server.port}",
               timeoutremote=120)
    try:
        s.start()
        for n in range(MOST):
            s.place(FIRST + n * 1000, message_file(recipients=(b"x@d%d.example" % n,)))
        began = time.monotonic()
        s.up(queued=False, before=["prlimit", "--nofile=1024:4096"])    # systemd's, at most
        s.logged(f"remote {MOST}/{MOST}\n", 50)
        until(lambda: len(server.stopped) == MOST, 50)
        us = remotes(s)
        assert len(us) == MOST
        for n in range(MORE):       # have to wait, with their files open
            s.mail(f"x@more{n}.example")
        s.logged("new msg ", 20, MOST + MORE)
        memory = [private(p) for p in us[::20]]
        memory += [private(pathlib.Path(f"/proc/{s.pid(name)}")) for name in ("send", "rspawn")]
        print("KiB:", memory)
        assert max(memory[:-2]) < 200 and memory[-2] < 5000 and memory[-1] < 1000
        # one each for a message, or the end of a socket pair: more of send's
        # than it was given at first
        assert MOST + MORE < files(s.pid("send")) < MOST + MORE + 30
        assert MOST < files(s.pid("rspawn")) < MOST + 30
        assert {files(p.name) for p in us[::20]} <= set(range(10))
        server.go()
        until(lambda: not s.messages(), 50)
        assert time.monotonic() - began < 60
        assert server.most == MOST and server.messages == MOST + MORE
        log = s.log_of_send()
        assert log.count(": success: ") == MOST + MORE
        assert not [w for w in ("deferral", "alert", "warning") if w in log]
        assert s.down() == 0
        until(lambda: not remotes(s), 20)
    finally:
        s.close()


def test_above_a_thousand_is_a_thousand(scratch, server):
    s = Sender(scratch, concurrencyremote=5000, concurrencylocal=5000)
    try:
        s.up()
        assert f"status: local 0/{MOST} remote 0/{MOST}\n" in s.log_of_send()
    finally:
        s.close()
