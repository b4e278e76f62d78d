"""For tests of send/: queued and start at work in one home, with users of
users/assign; and a delivery program of the test's own in the place of local."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import postern
from queuelib import Client, Queue, crc32c, envelope, until

UID = 61001
FAKE = r'''#!{python}
"""In place of bin/local: what control/fake/LOCALPART says, else K.  "wait
SECONDS" ends when the file says something else."""
import os, pathlib, socket, sys, time
home = pathlib.Path(os.environ["POSTERN_HOME"])
s = socket.socket(fileno=0)
while True:
    packet, fds, _, _ = socket.recv_fds(s, 70000, 1)
    if not packet:
        break
    user, _, local, dash, ext, host, sender, default = packet.split(b"\0")[:8]
    os.close(fds[0])
    with open(home / "fakelog", "ab") as log:
        log.write(b"%d %d %s <%s> %s\n" % (os.getpid(), os.getuid(), local, sender, default))
    f = home / "control/fake" / local.decode()
    text = f.read_bytes().decode() if f.exists() else "Kdid 1+0+0/"
    if text.startswith("sleep "):
        time.sleep(float(text.split()[1]))
        text = "Kslept"
    if text.startswith("wait "):
        end = time.monotonic() + float(text.split()[1])
        while time.monotonic() < end and f.read_bytes().decode() == text:
            time.sleep(0.02)
        text = "Kwaited"
    if text == "crash":
        os._exit(1)
    s.send(text.encode() + b"\0")
'''


def message_file(body=b"Subject: x\n\nhello\n", sender=b"s@a.example",
                 recipients=(b"joe@test.example",), birth=None, hold=b"-", done=()):
    """As lib/msgfile.h describes it."""
    def make(marks):
        out = b"u0\0p77\0stest-1\0h" + (hold if marks else b"-") + b"\0F" + sender + b"\0"
        for r in recipients:
            out += (b"D" if marks and r in done else b"T") + r + b"\0"
        return out
    birth = int((time.time() if birth is None else birth) * 1e6)
    end = b"END1 %016x %016x %016x %08x %08x " % (
        len(body), len(make(1)), birth, crc32c(body), crc32c(make(0)))
    return body + make(1) + end + b"%08x\n" % crc32c(end)


class Sender(Queue):
    def __init__(self, scratch, fake=True, **control):
        super().__init__(scratch)
        self.users = scratch / "users"
        self.start_process = None
        self.send_log = scratch / "send.log"
        self.control("locals", "test.example")
        self.control("smtproutes", ":127.0.0.1:1")  # where nobody listens
        for name, value in control.items():
            self.control(name, value)
        (self.home / "control/fake").mkdir()
        (self.home / "fakelog").touch()
        (self.home / "fakelog").chmod(0o666)
        if fake:
            local = self.home / "bin/local"
            local.unlink(missing_ok=True)
            local.write_text(FAKE.format(python=sys.executable))
            local.chmod(0o755)
        self.assign(f"+:joe:{UID}:{UID}:{scratch}:-::")

    def assign(self, *lines):
        (self.home / "users/assign").write_text("\n".join(lines) + "\n.\n")
        r = self.run("usersmake")
        assert r.returncode == 0, r.stderr

    def user(self, name, uid=UID):
        """A home with a Maildir."""
        home = self.users / name
        for d in ("", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            (home / d).mkdir(parents=True, exist_ok=True)
            os.chown(home / d, uid, uid)
            (home / d).chmod(0o700)
        self.users.chmod(0o755)
        return home

    def fake(self, name, text):
        """What the delivery program answers for that local part."""
        f = self.home / "control/fake" / name
        new = f.with_name(name + ".new")
        new.write_bytes(text.encode())
        new.rename(f)

    def fakelog(self):
        return [line.split(" ") for line in (self.home / "fakelog").read_text().splitlines()]

    def up(self, queued=True, args=(), before=()):
        """Starts queued, then start."""
        if queued:
            self.start()
        seen = self.log_of_send().count("status: local 0/")
        with open(self.send_log, "ab") as log:
            self.start_process = subprocess.Popen(
                [*before, self.home / "bin/start", *args], stderr=log, stdin=subprocess.DEVNULL,
                env=postern.env(self.home), start_new_session=True)
        until(lambda: self.log_of_send().count("status: local 0/") > seen
              or self.start_process.poll() is not None)
        return self

    def log_of_send(self):
        return self.send_log.read_text() if self.send_log.exists() else ""

    def logged(self, text, seconds=10, count=1):
        end = time.monotonic() + seconds
        while self.log_of_send().count(text) < count:
            assert time.monotonic() < end, \
                f"not logged {count} times: {text!r} in:\n{self.log_of_send()}"
            time.sleep(0.005)
        return self.log_of_send()

    def pid(self, program):
        """A process of that program of this home."""
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(p / "exe") == str(self.home / "bin" / program):
                    return int(p.name)
            except OSError:
                pass
        return None

    def send_signal(self, number):
        os.kill(self.start_process.pid, number)

    def down(self, number=signal.SIGTERM):
        """Ends it; the exit code of start."""
        if self.start_process is None:
            return None
        if self.start_process.poll() is None:
            self.send_signal(number)
        try:
            code = self.start_process.wait(15)
        except subprocess.TimeoutExpired:
            self.start_process.kill()
            code = self.start_process.wait()
        self.start_process = None
        return code

    def close(self):
        self.down()
        for program in ("send", "lspawn", "rspawn", "bounce"):
            pid = self.pid(program)
            if pid:
                os.kill(pid, signal.SIGKILL)
        self.stop()

    def mail(self, *to, sender=b"s@a.example", body=b"Subject: x\n\nhello\n"):
        """Queues a message; its id."""
        c = Client(self)
        answer = c.message(body, envelope(sender, *(t.encode() for t in to)))
        c.close()
        assert answer[:1] == b"K", answer
        return int(answer[1:].strip(b" \0"))

    def place(self, number, data):
        """A file in mess/, as if queued had made it."""
        path = self.path(number)
        path.write_bytes(data)
        os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
        path.chmod(0o640)
        return path
