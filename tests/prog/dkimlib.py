"""For tests of dkim/: a home directory with dkimd in it, as its own user, and a
fake queue that keeps what dkimsign hands over; dkimpy verifies."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

import dkim

import postern

QUEUE = """#!/bin/sh
cat >"$RECORD/message" && cat <&1 >"$RECORD/envelope" || exit 81
[ ! -s "$RECORD/text" ] || cat "$RECORD/text" >&4
exit "$(cat "$RECORD/code" 2>/dev/null || echo 0)"
"""
ENVELOPE = b"Fa@example.com\0Tb@elsewhere.example\0\0"
DKIM = pwd.getpwnam("postern-dkim")


def wait_until(true, seconds=20, what="condition"):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.02)


class Result:
    pass


class Signer:
    def __init__(self, home, scratch):
        self.home, self.scratch = home, scratch
        self.record = scratch / "record"
        self.record.mkdir()
        self.record.chmod(0o777)
        self.queue = scratch / "fake-queue"
        self.queue.write_text(QUEUE)
        self.queue.chmod(0o755)
        self.daemon = None
        self.log = scratch / "dkimd.log"

    def dkimkey(self, *args, code=0):
        r = subprocess.run([self.home / "bin/dkimkey", *args], env=postern.env(self.home), text=True,
                           capture_output=True, timeout=60)
        assert r.returncode == code, r.stdout + r.stderr
        return r.stdout

    def start(self, before=()):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([*before, self.home / "bin/confine", "dkimd",
                                            self.home / "bin/dkimd"],
                                           env=postern.env(self.home), stderr=log)
        wait_until(lambda: "info: ready" in self.logged() or self.daemon.poll() is not None,
                   what="dkimd")
        return self

    def logged(self):
        return self.log.read_text() if self.log.exists() else ""

    def reload(self, text="keys are in force"):
        before = self.logged().count(text)
        self.daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: self.logged().count(text) > before, what=self.logged())

    def stop(self, how=signal.SIGTERM):
        if self.daemon:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.send_signal(how)
            self.daemon.wait(20)
            self.daemon = None

    def dns(self, name, timeout=5):
        """What dkimkey has printed, to dkimpy."""
        f = self.home / "dkim" / (name.decode().rstrip(".") + ".txt")
        return f.read_bytes().strip() if f.exists() else None

    def sign(self, message, user=None, program="dkimsign", **environment):
        """dkimsign with that message: code, text, what the next program got."""
        for f in "message", "envelope":
            (self.record / f).unlink(missing_ok=True)
        e = postern.env(self.home, RECORD=str(self.record), DKIMSIGN_QUEUE=str(self.queue))
        e.update({k: v for k, v in environment.items() if v is not None})
        source = self.scratch / "source"
        source.write_bytes(message)
        source.chmod(0o644)
        (self.scratch / "envelope").write_bytes(ENVELOPE)
        text, to = os.pipe()
        env, one = os.open(self.scratch / "envelope", os.O_RDONLY), os.open(source, os.O_RDONLY)

        def descriptors():
            os.dup2(to, 104)
            os.dup2(env, 1)
            os.dup2(104, 4)
            os.dup2(104, 6)
        r = Result()
        p = subprocess.Popen([self.home / "bin" / program], stdin=one, stderr=subprocess.PIPE, env=e,
                             preexec_fn=descriptors, user=user, close_fds=False)
        os.close(to)
        os.close(env)
        os.close(one)
        r.stderr = p.communicate(timeout=120)[1].decode()
        r.code = p.returncode
        r.text = os.read(text, 1000).decode()
        os.close(text)
        r.message = r.envelope = None
        if (self.record / "message").exists():
            r.message = (self.record / "message").read_bytes()
            r.envelope = (self.record / "envelope").read_bytes()
        return r


def wire(message):
    """As remote puts it on the wire, dots apart (remote/wire.h)."""
    out, lines = [], message.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for line in lines:
        if line.endswith(b"\r"):
            line = line[:-1]
        out.append(line.replace(b"\r", b" ") + b"\r\n")
    return b"".join(out)


def split_off(signed):
    """The DKIM-Signature fields in front, and the rest."""
    fields = []
    while signed.startswith(b"DKIM-Signature:"):
        end = signed.index(b"\n") + 1
        while signed[end:end + 1] in (b"\t", b" "):
            end = signed.index(b"\n", end) + 1
        fields.append(signed[:end])
        signed = signed[end:]
    return fields, signed


def verify(signed, dns, count):
    """Do all of that many signatures hold?"""
    found, _ = split_off(signed)
    assert len(found) == count, signed[:400]
    d = dkim.DKIM(wire(signed))
    return all(d.verify(i, dnsfunc=dns) for i in range(count))


def ask(home, *records):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(20)
        s.connect(str(pathlib.Path(home) / "socket/dkim/dkimd"))
        for r in records:
            s.send(r)
            yield s.recv(1000)


def put_key(home, domain, selector, pem):
    f = home / f"dkim/{selector}._domainkey.{domain}.pem"
    f.touch(mode=0o600)
    f.write_bytes(pem)
    shutil.chown(f, DKIM.pw_uid, DKIM.pw_gid)
    return f
