"""One program of the suite killed, or told of an error, at one system call;
then everything that was acknowledged has to arrive."""
import collections
import re
import shutil
import subprocess
import time
import types

import postern
import certs
from gatesuite import GateSuite, until
from hostile import Smtp
from mail import FAR, Ledger
from queuelib import Client, envelope

# "worker" is one of queued's, which strace joins when it is there already
PROGRAMS = ["queued", "worker", "start", "send", "lspawn", "local", "bounce", "rspawn", "remote"]
SERVICE = {"queued": "queued", "worker": "queued"}
ERRORS = ["EIO", "ENOSPC", "EDQUOT", "EMFILE", "ENOMEM", "EINTR"]
# A process cannot go on for the gate's purpose without these, or they are the
# C library's start, which looks at no result.
NOT = {"execve", "exit_group", "exit", "arch_prctl", "set_tid_address", "rt_sigreturn",
       "restart_syscall"}
# These do not fail on Linux.  (A close that strace makes fail is not even
# made; a real one that fails has closed.)
# Nor does a kill of one's own child.
NEVER_FAIL = {"brk", "close", "geteuid", "getpid", "getppid", "getresuid", "gettid", "kill",
              "munmap", "umask", "uname", "rt_sigaction", "rt_sigprocmask"}
# start asks for its children when one has ended, and does not wait.
NEVER_FAIL_OF = {"start": {"wait4"}}
FIRST, LAST = 12, 3     # of a call that is made often
# start has more to do when a spawner dies: at its first job
DEATH = "-e inject=recvmsg:signal=KILL:when=2"
MAILS = [("joe",), ("bob",), ("joe", "ann")]
FAR_MAILS = [("far",), ("gone",), ("far", "away"), ("joe", "far", "gone")]
WRAPPER = """#!/bin/sh
# the first one that is started after "next" was made runs under strace
cd {work} || exit 111
if mv {name}.next {name}.now 2>/dev/null; then
	read -r how <{name}.now
	cd {home} || exit 111
	exec strace -DD -qq -o {work}/{name}.trace $how {work}/{name} "$@"
fi
cd {home} || exit 111
exec {work}/{name} "$@"
"""


class Crashes(GateSuite):
    def __init__(self, scratch):
        super().__init__(scratch / "home", scratch / "users", concurrencyqueue=1)
        self.on_plain_directories()
        self.work = scratch / "work"
        self.work.mkdir()
        self.work.chmod(0o777)
        for name in PROGRAMS:
            if name == "worker":
                continue
            (self.home / "bin" / name).rename(self.work / name)
            (self.home / "bin" / name).write_text(
                WRAPPER.format(work=self.work, home=self.home, name=name))
            (self.home / "bin" / name).chmod(0o755)
        self.sink = Smtp(tls=certs.shared().self_signed.context(), RCPT=self.rcpt, DATA=self.data,
                         END=self.end)
        self.sink.__enter__()
        (self.home / "control/smtproutes").write_text(f":127.0.0.1:{self.sink.port}\n")
        (self.home / "control/timeoutremote").write_text("5\n")
        self.socket = types.SimpleNamespace(socket=str(self.home / "socket/queue/queued"))
        self.cases = 0

    def replace(self, program, path):
        """Behind the script that is called so."""
        (self.work / program).unlink()
        shutil.copy(path, self.work / program)

    @staticmethod
    def rcpt(session, line):
        if line.startswith(b"RCPT TO:<gone@"):
            return b"550 no such thing\r\n"
        session.to = getattr(session, "to", ()) + (line[9:].partition(b"@")[0].decode(),)
        return b"250 ok\r\n"

    @staticmethod
    def data(session, _):
        return b"354 go\r\n" if getattr(session, "to", ()) else b"503 for whom?\r\n"

    @staticmethod
    def end(session, data):
        """What is said to have been taken."""
        session.taken = getattr(session, "taken", []) + [(session.to, data)]
        session.to = ()
        return b"250 2.0.0 ok\r\n"

    COMMANDS = {"queued": ["bin/queued"], "send": ["bin/start", "./Maildir/"]}

    def spawn(self, service):
        with open(self.home / "log" / (service + ".gate"), "ab") as log:
            self.running[service] = subprocess.Popen(
                self.COMMANDS[service], cwd=self.home, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=postern.env(self.home), start_new_session=True)

    def start(self, *services):
        """The line that says "ready" may be the one that cannot be written."""
        for s in services:
            try:
                super().start(s, seconds=3)
            except TimeoutError:
                pass
        return self

    def plant(self, program, how):
        (self.work / f"{program}.now").unlink(missing_ok=True)
        (self.work / f"{program}.trace").unlink(missing_ok=True)
        (self.work / f"{program}.next").write_text(how + "\n")
        (self.work / f"{program}.next").chmod(0o666)

    def join(self, how):
        """strace, on a worker of queued that waits for its first client."""
        [worker] = [int(p) for p in subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.running["queued"].pid)],
            stdout=subprocess.PIPE, text=True).stdout.split()]
        (self.work / "worker.trace").unlink(missing_ok=True)
        p = subprocess.Popen(["strace", "-o", self.work / "worker.trace", *how.split(),
                              "-p", str(worker)], stderr=subprocess.PIPE, start_new_session=True)
        line = p.stderr.readline()
        assert b"attached" in line, line
        return p

    def await_first(self, program):
        """That it is the first message's that runs under strace: of two which
        start at once it may be either."""
        end = time.monotonic() + 3
        while (self.work / f"{program}.next").exists() and time.monotonic() < end:
            time.sleep(0.002)

    def queue_one(self, mail):
        """Until it is acknowledged."""
        def acknowledged():
            try:
                c = Client(self.socket)
                try:
                    return c.message(mail.data, envelope(
                        f"{mail.sender}@test.example".encode(),
                        *(f"{r}@{FAR.get(r, 'test.example')}".encode()
                          for r in mail.to)))[:1] == b"K"
                finally:
                    c.close()
            except OSError:
                self.supervise()
                time.sleep(0.02)
                return False
        until(acknowledged, 10, lambda: f"not acknowledged\n{self.logs()}")

    def deliver_all(self, patience):
        """Patience first, then "try again now", then a restart."""
        start, told, restarted = time.monotonic(), 0, False
        while self.in_queue():
            passed = time.monotonic() - start
            self.supervise()
            if passed > 0.4 * (told + 1):
                self.hurry()
                told += 1
            if passed > patience and not restarted:
                restarted = True
                if not self.stop("send"):
                    return ["send does not end: something waits for ever"]
                self.start("send")
            if passed > 20:
                return [f"still in the queue: {self.in_queue()}"]
            time.sleep(0.005)
        return []

    def case(self, program, how):
        """What it breaks, in words."""
        self.cases += 1
        service = SERVICE.get(program, "send")
        # a send that lost queued's connection would wait for a second
        if not self.stop(*{"send", service}):
            return ["does not end"]
        # not before: what a case delivers twice may come late
        for f in self.mailboxes.glob("*/Maildir/*/*"):
            f.unlink(missing_ok=True)
        if program != "worker":
            self.plant(program, how)
        if program == "start":
            self.plant("lspawn", DEATH)
        ledger = Ledger()
        self.sink.sessions.clear()
        mails = [ledger.new(f"{self.cases}.{i}", to=to, size=1500)
                 for i, to in enumerate(FAR_MAILS if program in ("rspawn", "remote") else MAILS)]
        try:
            self.start(service)
            if program == "worker":
                self.strace = self.join(how)
            for m in mails:
                self.queue_one(m)
                if program in ("local", "remote"):
                    self.await_first(program)
            if service != "send":
                self.start("send")
        except TimeoutError as e:
            return [str(e)]
        # it shall replace what has died: nobody else will
        bad = self.deliver_all(patience=60 if program == "start" else 4)
        if program == "worker":
            self.leave()
        boxes = self.boxes(ledger)
        took = [s for s in list(self.sink.sessions) if hasattr(s, "taken")]
        boxes.update({u: ledger.sink(u, took) for u in ("far", "away")})
        queued, torn = ledger.queue(self.queue)
        bad += ["lost: " + x for x in ledger.lost(ledger, boxes, queued)]
        bad += [f"torn at {u}'s: {t}" for u in boxes for t in boxes[u].torn]
        bad += [f"torn in the queue: {t}" for t in torn]
        bad += [f"set aside: {f.name}" for f in self.queue.glob("bad/*")]
        return bad

    def leave(self):
        if self.strace.poll() is None:
            self.strace.terminate()
        self.strace.wait(10)
        self.strace.stderr.close()

    def fresh(self):
        """After a case that went wrong: the next one has an empty queue."""
        self.stop()
        for place in ("mess/*", "tmp", "bad"):
            for f in self.queue.glob(place + "/*"):
                f.unlink()
        self.start("queued", "send")

    def trace(self, program):
        f = self.work / f"{program}.trace"
        return f.read_text(errors="replace").splitlines() if f.exists() else []

    def injected(self, program, seconds=1):
        """Did it happen?  strace may still be about to say so."""
        end = time.monotonic() + seconds
        while not any("(INJECTED)" in line or "killed by SIGKILL" in line
                      for line in self.trace(program)):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def pairs(self, program):
        """(system call, ordinal) of what the case costs that program."""
        bad = self.case(program, "")
        if bad:
            raise RuntimeError(f"goes wrong by itself: {bad}\n{self.logs()}")
        self.stop()             # its last calls too
        count = collections.Counter(m.group(1) for line in self.trace(program)
                                    if (m := re.match(r"(\w+)\(", line)))
        self.start("queued", "send")
        return [(call, n + 1) for call in sorted(count) if call not in NOT
                for n in range(count[call]) if n < FIRST or n >= count[call] - LAST]


def faults(program, pairs):
    """[(call, ordinal, what)] of everything that may happen at these."""
    never = NEVER_FAIL | NEVER_FAIL_OF.get(program, set())
    return [(call, n, what) for call, n in pairs
            for what in ["KILL"] + (ERRORS if call not in never else [])]


def inject(call, n, what):
    return f"-e inject={call}:{'signal=KILL' if what == 'KILL' else 'error=' + what}:when={n}"
