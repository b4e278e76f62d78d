"""For tests of queue/: a home directory, queued in it, a client that speaks its
protocol by hand, and a reader of message files that shares no code with ours."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

import postern

TABLE = []
for _i in range(256):
    for _ in range(8):
        _i = _i >> 1 ^ (0x82F63B78 if _i & 1 else 0)
    TABLE.append(_i)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for b in data:
        crc = TABLE[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def uid(role):
    return pwd.getpwnam("postern-" + role).pw_uid


def install(home):
    """The parts of conf-files that are there: directories, fifo, our programs."""
    home = pathlib.Path(home)
    roles = dict(line.split() for line in (postern.TREE / "conf-users").read_text().splitlines()
                 if line and line[0] != "#")
    roles["root"] = "root"
    for line in (postern.TREE / "conf-files").read_text().splitlines():
        if not line or line[0] in "#M":
            continue
        kind, owner, group, mode, path, *source = line.split()
        where = home / path
        owner = pwd.getpwnam(roles[owner])
        group = pwd.getpwnam(roles[group]).pw_gid
        places = [where / f"{n:02}" for n in range(64)] if kind == "D" else [where]
        for place in places:
            if kind in "dD":
                place.mkdir(parents=True, exist_ok=True)
            elif kind == "p":
                os.mkfifo(place)
            elif kind in "xcf" and source and (postern.TREE / source[0]).exists():
                shutil.copy(postern.TREE / source[0], place)
            else:
                continue
            os.chown(place, owner.pw_uid, group)
            place.chmod(int(mode, 8))
    (home / "control/me").write_text("test.example\n")
    return home


def until(what, seconds=10):
    """Polls until what() is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            assert value, "waited in vain"
            return value
        time.sleep(0.005)


class Queue:
    """An installation with queued running in it."""

    def __init__(self, scratch, workers=3, **control):
        self.home = install(scratch / "home")
        self.dir = self.home / "queue"
        self.socket = str(self.home / "socket/queue/queued")
        self.log = scratch / "log"
        self.control("concurrencyqueue", workers)
        for name, value in control.items():
            self.control(name, value)
        self.daemon = None

    def control(self, name, value):
        (self.home / "control" / name).write_text(f"{value}\n")

    def start(self, before=()):
        count = self.log_text().count("queued: info: ready")
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([*before, self.home / "bin/queued"], stderr=log,
                                           env=postern.env(self.home))
        until(lambda: self.log_text().count("queued: info: ready") > count
              or self.daemon.poll() is not None)
        return self

    def log_text(self):
        return self.log.read_text() if self.log.exists() else ""

    def workers(self):
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.master())],
                             capture_output=True, text=True).stdout
        return [int(p) for p in out.split()]

    def master(self):
        """queued's own process, also behind strace."""
        exe = os.readlink(f"/proc/{self.daemon.pid}/exe")
        if exe.endswith("/queued"):
            return self.daemon.pid
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.daemon.pid)],
                             capture_output=True, text=True).stdout
        return int(out.split()[0])

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            try:
                os.kill(self.master(), signal.SIGTERM)
                self.daemon.wait(15)
            except (OSError, IndexError, subprocess.TimeoutExpired):
                self.daemon.kill()
                self.daemon.wait()

    def messages(self):
        return sorted(int(p.name) for p in self.dir.glob("mess/*/*"))

    def unfinished(self):
        return list(self.dir.glob("tmp/*"))

    def path(self, number):
        return self.dir / f"mess/{number // 1000 % 64:02}/{number}"

    def read(self, number):
        return Message(self.path(number).read_bytes())

    def run(self, program, *args, uid=None, **kw):
        """One of our programs, to its end."""
        env = postern.env(self.home)
        env.update(kw.pop("env", {}))
        return subprocess.run([self.home / "bin" / program, *args], env=env, timeout=20,
                              capture_output=True, user=uid, **kw)


class Message:
    """A message file, taken apart; ValueError if it is not whole."""

    def __init__(self, data):
        m = re.fullmatch(rb"END1 ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{8}) "
                         rb"([0-9a-f]{8}) ([0-9a-f]{8})\n", data[-83:])
        if not m:
            raise ValueError("no end record")
        body, envelope, self.birth, body_crc, envelope_crc, own = (int(g, 16) for g in m.groups())
        if body + envelope + 83 != len(data):
            raise ValueError("lengths")
        self.body = data[:body]
        self.raw = data[body:body + envelope]
        self.records = [(r[:1], r[1:]) for r in self.raw.split(b"\0")[:-1]]
        clean = b"".join(b"T" + v + b"\0" if k == b"D" else b"h-\0" if k == b"h" else k + v + b"\0"
                         for k, v in self.records)
        if crc32c(self.body) != body_crc or crc32c(clean) != envelope_crc:
            raise ValueError("crc")
        if crc32c(data[-83:-9]) != own:
            raise ValueError("crc of end record")

    def values(self, letter):
        return [v for k, v in self.records if k == letter]

    @property
    def sender(self):
        return self.values(b"F")[0]

    @property
    def recipients(self):
        return self.values(b"T")

    def without_received(self):
        return self.body.split(b"\n", 1)[1]


def envelope(sender=b"s@a.example", *recipients):
    return b"".join(b + b"\0" for b in
                    [b"F" + sender] + [b"T" + r for r in recipients or (b"r@b.example",)])


class Client:
    """Speaks queued's protocol."""

    def __init__(self, queue, uid=None):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10)
        if uid is not None:
            os.seteuid(uid)
        try:
            self.sock.connect(queue.socket)
        finally:
            os.seteuid(0)
        self.fd = None

    def ask(self, record):
        self.sock.send(record)
        return self.sock.recv(70000)

    def begin(self, session=b"test-1"):
        try:
            self.sock.send(b"N " + session)
        except BrokenPipeError:
            pass  # refused on arrival; the reason waits for us
        answer, fds, _, _ = socket.recv_fds(self.sock, 1000, 1)
        if answer[:1] == b"F":
            self.fd = fds[0]
            _, self.id, crc, _ = answer.split()
            self.crc = int(crc, 16)
        return answer

    def write(self, body):
        self.crc = crc32c(body, self.crc)
        self.size = len(body)
        os.write(self.fd, body)

    def commit(self, env, size=None):
        return self.ask(b"C %d %x\0" % (self.size if size is None else size, self.crc) + env)

    def message(self, body=b"Subject: x\n\nhello\n", env=None):
        answer = self.begin()
        if answer[:1] != b"F":
            return answer
        self.write(body)
        answer = self.commit(env or envelope())
        os.close(self.fd)
        return answer

    def close(self):
        self.sock.close()
