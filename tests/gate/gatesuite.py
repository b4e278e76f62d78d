"""The suite in a home of its own, its queue and mailboxes wherever a gate
wants them; run by the commands of its run scripts."""
import os
import pathlib
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import time

import postern

USERS = ["joe", "ann", "bob"]
UID = 61001
HOST = "test.example"


def until(what, seconds=15, say=lambda: ""):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain: {say()}")
        time.sleep(0.005)


free_port = postern.free_port


def empty_tree(queue, mailboxes):
    """What the two file systems hold before the first message."""
    owner = pwd.getpwnam("postern-queue")
    modes = {"": 0o750, "tmp": 0o700, "mess": 0o750, "bad": 0o750}
    modes.update({f"mess/{n:02}": 0o750 for n in range(64)})
    for name, mode in modes.items():
        d = queue / name
        d.mkdir(parents=True, exist_ok=True)
        os.chown(d, owner.pw_uid, owner.pw_gid)
        d.chmod(mode)
    os.mkfifo(queue / "trigger")
    os.chown(queue / "trigger", owner.pw_uid, owner.pw_gid)
    (queue / "trigger").chmod(0o660)
    for user in USERS:
        for name in ("", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            d = mailboxes / user / name
            d.mkdir(parents=True, exist_ok=True)
            os.chown(d, UID, UID)
            d.chmod(0o700)
    mailboxes.chmod(0o755)
    (mailboxes / "bob/.qmail").write_text("|echo no such thing; exit 100\n")
    os.chown(mailboxes / "bob/.qmail", UID, UID)


class GateSuite:
    """queue, mailboxes: directories made by empty_tree, maybe mounted later."""

    def __init__(self, home, mailboxes, **control):
        self.port = free_port()
        settings = {"me": HOST, "locals": HOST, "rcpthosts": HOST, "smtpaddress": "127.0.0.1",
                    "smtpport": self.port, "concurrencyqueue": 3, "queuereserve": 0,
                    "bouncemaxbytes": 1000000}  # so that a bounce shows what it is of
        settings.update(control)
        self.home = postern.install_home(home, {k: f"{v}\n" for k, v in settings.items()})
        self.queue = self.home / "queue"
        self.mailboxes = pathlib.Path(mailboxes)
        self.running = {}
        self.launcher = {}
        (self.home / "rules/smtp").write_text(":allow\n")
        self.tool("rulesmake", self.home / "rules/smtp.cdb", self.home / "rules/smtp.tmp",
                  stdin=open(self.home / "rules/smtp"))
        (self.home / "users/assign").write_text("".join(
            f"={u}:{u}:{UID}:{UID}:{self.mailboxes}/{u}:::\n" for u in USERS) + ".\n")
        self.tool("usersmake")

    def on_plain_directories(self):
        """Queue and mailboxes where they are, on no disk of a test's own."""
        (self.queue / "trigger").unlink()
        empty_tree(self.queue, self.mailboxes)
        return self

    def tool(self, name, *args, **kw):
        r = subprocess.run([self.home / "bin" / name, *map(str, args)], timeout=20, text=True,
                           capture_output=True, cwd=self.home, env=postern.env(self.home), **kw)
        if r.returncode:
            raise RuntimeError(f"{name}: {r.returncode}: {r.stdout}{r.stderr}")

    def replace(self, program, path):
        """Another program in the place of bin/PROGRAM."""
        (self.home / "bin" / program).unlink()
        shutil.copy(path, self.home / "bin" / program)

    def log(self, service):
        f = self.home / "log" / (service + ".gate")
        return f.read_text(errors="replace") if f.exists() else ""

    def logs(self):
        return "".join(f"[{s}]\n{self.log(s)}" for s in ("queued", "send", "smtpd"))

    def spawn(self, service):
        with open(self.home / "log" / (service + ".gate"), "ab") as log:
            self.running[service] = subprocess.Popen(
                [*self.launcher.get(service, []), "./run"], cwd=self.home / "service" / service,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=postern.env(self.home),
                start_new_session=True)

    def start(self, *services, seconds=15):
        ready = {"queued": "queued: info: ready", "send": "status: local 0/", "smtpd": None}
        for s in services:
            seen = self.log(s).count(ready[s]) if ready[s] else 0
            self.spawn(s)
            if ready[s]:
                until(lambda: self.log(s).count(ready[s]) > seen
                      or self.running[s].poll() is not None, seconds, self.logs)
            else:
                until(self.answers, say=self.logs)
        return self

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                return s.recv(3) == b"220"
        except OSError:
            return False

    def supervise(self):
        """As a supervisor does: starts again what has died."""
        for service, p in list(self.running.items()):
            if p.poll() is not None:
                self.spawn(service)

    def stop(self, *services):
        """False: one had to be killed."""
        ended = True
        for s in services or list(self.running):
            p = self.running.pop(s, None)
            if p is None:
                continue
            if p.poll() is None:
                p.terminate()
            try:
                p.wait(12)
            except subprocess.TimeoutExpired:
                ended = False
                p.kill()
                p.wait()
            self.kill_group(p.pid)
        return ended

    def kill_group(self, pid):
        """What a service has left behind; it was started as its own session."""
        if pid > 1:
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def smtp(self):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=60, local_hostname="client.example")

    def send(self, mail, smtp=None):
        """Over SMTP; an exception if not acknowledged."""
        with smtp or self.smtp() as s:
            s.sendmail(f"{mail.sender}@{HOST}", [f"{r}@{HOST}" for r in mail.to], mail.wire())

    def hurry(self):
        """ "Try everything now." """
        p = self.running["send"]
        if p.poll() is None and p.pid > 0:
            p.send_signal(signal.SIGALRM)

    def maildir(self, user):
        return self.mailboxes / user / "Maildir"

    def boxes(self, ledger):
        return {u: ledger.mailbox(self.maildir(u)) for u in ("joe", "ann")}

    def in_queue(self):
        """Nothing is what two looks have seen: one directory is read after the
        other, and meanwhile a bounce may come into one of the first and its
        message leave one of the last."""
        for _ in range(2):
            names = sorted(f.name for f in self.queue.glob("mess/*/*"))
            if names:
                return names
        return []

    def wait_empty(self, seconds=20):
        until(lambda: not self.in_queue(), seconds, lambda: f"{self.in_queue()}\n{self.logs()}")
