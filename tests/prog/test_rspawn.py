"""rspawn, with programs of the test's own in the place of remote."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

import postern
from remotelib import REMOTE

FAKE = r'''#!{python}
"""In place of bin/remote: what control/fake says; its log has pid and host."""
import os, pathlib, socket, time
home = pathlib.Path(os.environ["POSTERN_HOME"])
s = socket.socket(fileno=0)
while True:
    packet, fds, _, _ = socket.recv_fds(s, 70000, 1)
    if not packet:
        break
    f = packet.split(b"\0")[:-1]
    pairs = list(zip(f[3::2], f[4::2]))
    with open(home / "remote/log", "ab") as log:
        log.write(b"%d %s %s %s\n" % (os.getpid(), f[2], b",".join(r for _, r in pairs),
                                      os.pread(fds[0], 5, 0)))
    os.close(fds[0])
    exec((home / "control/fake").read_text())
'''
ANSWER = 's.send(b"".join(n + b"\\0Kto %s\\n\\0" % r for n, r in pairs))'


class Spawn:
    def __init__(self, scratch, fake=ANSWER):
        self.home = scratch / "home"
        for d in ("bin", "control", "remote"):
            (self.home / d).mkdir(parents=True)
        shutil.copy(postern.TREE / "send/rspawn", self.home / "bin")
        program = self.home / "bin/remote"
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(0o755)
        os.chown(self.home / "remote", REMOTE.pw_uid, REMOTE.pw_gid)
        self.fake(fake)
        self.message = scratch / "message"
        self.message.write_bytes(b"hello")
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.process = subprocess.Popen(
            [self.home / "bin/rspawn"], stdin=theirs, env=postern.env(self.home),
            user=REMOTE.pw_uid, group=REMOTE.pw_gid, extra_groups=[], stderr=subprocess.PIPE)
        theirs.close()

    def fake(self, code):
        (self.home / "control/fake").write_text(code)

    def give(self, host, *pairs):
        record = b"7001\0s@a.example\0" + host.encode() + b"\0"
        for number, to in pairs:
            record += b"%d\0%s\0" % (number, to.encode())
        with open(self.message, "rb") as f:
            socket.send_fds(self.sock, [record], [f.fileno()])

    def answers(self, count):
        got = []
        while len(got) < count:
            parts = self.sock.recv(70000)[:-1].split(b"\0")
            got += zip(map(int, parts[::2]), parts[1::2])
        return sorted(got)

    def log(self):
        f = self.home / "remote/log"
        return [line.split(" ") for line in f.read_text().splitlines()] if f.exists() else []

    def remotes(self):
        return [p for p in pathlib.Path("/proc").glob("[0-9]*")
                if self.parent(p) == self.process.pid]

    def parent(self, p):
        try:
            return int((p / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return 0

    def end(self):
        self.sock.close()
        code = self.process.wait(15)
        self.process.stderr.close()
        return code


@pytest.fixture
def spawn(scratch):
    s = Spawn(scratch)
    yield s
    assert s.end() == 0


def test_job_and_message_go_on_as_they_are(spawn):
    spawn.give("d.example", (5, "a@d.example"), (6, "b@d.example"))
    assert spawn.answers(2) == [(5, b"Kto a@d.example\n"), (6, b"Kto b@d.example\n")]
    assert [x[1:] for x in spawn.log()] == [["d.example", "a@d.example,b@d.example", "hello"]]


def test_same_host_same_process(spawn):
    for number, host in enumerate(["a.example", "b.example", "a.example", "b.example"]):
        spawn.give(host, (number, "x@" + host))
        spawn.answers(1)
    pids = [x[0] for x in spawn.log()]
    assert pids[0] == pids[2] != pids[1] == pids[3]


def test_domains_with_one_relay_share_a_process(spawn):
    (spawn.home / "control/smtproutes").write_text(":relay.example\nother.example:\n")
    for number, host in enumerate(["a.example", "b.example", "other.example"]):
        spawn.give(host, (number, "x@" + host))
        spawn.answers(1)
    pids = [x[0] for x in spawn.log()]
    assert pids[0] == pids[1] != pids[2]


def test_no_more_processes_than_concurrencyremote(spawn):
    (spawn.home / "control/concurrencyremote").write_text("3\n")
    for number in range(8):
        spawn.give(f"h{number}.example", (number, "x@h"))
        spawn.answers(1)
    assert len(spawn.remotes()) == 3 and len(set(x[0] for x in spawn.log())) == 3


def test_another_hosts_process_serves_when_none_can_be_made(spawn):
    spawn.give("a.example", (1, "x@a.example"))
    spawn.answers(1)
    (spawn.home / "bin/remote").rename(spawn.home / "bin/gone")
    spawn.give("b.example", (2, "x@b.example"))
    assert spawn.answers(1) == [(2, b"Kto x@b.example\n")]


def test_jobs_of_one_host_run_side_by_side(spawn):
    spawn.fake("time.sleep(0.5);" + ANSWER)
    begin = time.monotonic()
    for number in range(6):
        spawn.give("d.example", (number, "x@d.example"))
    spawn.answers(6)
    assert time.monotonic() - begin < 2.5
    assert len(set(x[0] for x in spawn.log())) == 6


def test_remote_that_dies_is_a_deferral_and_the_next_one_works(spawn):
    for how in ("os._exit(0)", "os._exit(111)", "os.kill(os.getpid(), 11)", "s.close(); time.sleep(9)"):
        spawn.fake(how)
        spawn.give("d.example", (1, "a@d"), (2, "b@d"))
        assert spawn.answers(2) == [(1, b"Zremote crashed. (#4.3.0)\n"),
                                    (2, b"Zremote crashed. (#4.3.0)\n")]
    spawn.fake(ANSWER)
    spawn.give("d.example", (3, "c@d"))
    assert spawn.answers(1) == [(3, b"Kto c@d\n")]


def test_remote_that_dies_half_way_has_said_what_it_said(spawn):
    spawn.fake('s.send(pairs[0][0] + b"\\0Kyes\\0"); os._exit(1)')
    spawn.give("d.example", (1, "a@d"), (2, "b@d"))
    assert spawn.answers(2) == [(1, b"Kyes"), (2, b"Zremote crashed. (#4.3.0)\n")]


@pytest.mark.parametrize("lie", [
    b"99\\0Kyes\\0", b"1\\0Xwhat\\0", b"1\\0\\0", b"1\\0Kyes", b"\\0", b"x", b"1\\0", b" 1\\0Kyes\\0",
    b"01\\0Kyes\\0", b"Kyes\\0"])
def test_remote_speaks_only_of_what_it_was_given(spawn, lie):
    """A remote that a stranger has taken over says nothing about others."""
    spawn.fake(f"""if f[2] == b"other.example":
        time.sleep(0.3)
        {ANSWER}
    else:
        s.send(b"{lie.decode()}")
        time.sleep(5)""".replace("\n    ", "\n"))
    spawn.give("other.example", (99, "z@other.example"))
    spawn.give("d.example", (1, "a@d"))
    assert spawn.answers(2) == [(1, b"Zremote's report is malformed. (#4.3.0)\n"),
                                (99, b"Kto z@other.example\n")]


def test_each_delivery_is_answered_once(spawn):
    spawn.fake('s.send(b"1\\0Kyes\\x001\\0Dno\\0")')
    spawn.give("d.example", (1, "a@d"), (2, "b@d"))
    assert spawn.answers(2) == [(1, b"Kyes"), (2, b"Zremote's report is malformed. (#4.3.0)\n")]


def test_endless_report_is_none(spawn):
    spawn.fake('s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20); '
               's.send(b"1\\0K" + b"x" * 100000 + b"\\0")')
    spawn.give("d.example", (1, "a@d"))
    assert spawn.answers(1)[0][1][:1] == b"Z"


def test_missing_remote_is_a_deferral(spawn):
    (spawn.home / "bin/remote").unlink()
    spawn.give("d.example", (1, "a@d"))
    assert spawn.answers(1) == [(1, b"ZUnable to run remote. (#4.3.0)\n")]


def test_idle_remote_that_died_is_replaced(spawn):
    spawn.give("d.example", (1, "a@d"))
    spawn.answers(1)
    for p in spawn.remotes():
        os.kill(int(p.name), 9)
    spawn.give("d.example", (2, "b@d"))
    assert spawn.answers(1)[0][1][:1] in b"KZ"
    spawn.give("d.example", (3, "c@d"))
    assert spawn.answers(1) == [(3, b"Kto c@d\n")]


def test_it_ends_when_send_does_and_the_last_delivery_has(scratch):
    s = Spawn(scratch, "time.sleep(0.7);" + ANSWER)
    s.give("d.example", (1, "a@d"))
    while not s.log():
        time.sleep(0.01)
    s.sock.shutdown(socket.SHUT_WR)
    assert s.answers(1) == [(1, b"Kto a@d\n")]
    assert s.end() == 0


def test_what_is_no_job_ends_it(scratch):
    for n, record in enumerate((b"x", b"1\0s\0h\0", b"1\0s\0h\0" b"7\0", b"1\0s\0h\0" b"7\0r@d\0")):
        (scratch / str(n)).mkdir()
        s = Spawn(scratch / str(n))
        s.sock.send(record)
        assert s.process.wait(10) == 100
        s.end()
