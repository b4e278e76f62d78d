"""scanq in a home directory of its own, with a recorded fake qmail-queue behind
it and, where a test wants one, a fake clamd beside it."""
import fcntl
import os
import shutil
import subprocess
import time

import postern
from fakeclamd import FakeClamd

QUEUE = """#!/bin/sh
# takes a message as qmail-queue does, and keeps all that it is given
n=$(ls -d "$RECORD"/[0-9]* 2>/dev/null | wc -l)
d=$RECORD/$n
{
	mkdir "$d" &&
	cat >"$d/message" &&
	cat <&1 >"$d/envelope" &&
	cp /proc/$$/environ "$d/environment" &&
	ls -l /proc/$$/fd >"$d/descriptors" &&
	echo $$ >"$d/pid"
} || exit 81
[ ! -s "$RECORD/text" ] || cat "$RECORD/text" >&4
exit "$(cat "$RECORD/code" 2>/dev/null || echo 0)"
"""

RULES = """.exe\t0\tExecutable File (.exe)
.* sex.*\tVirus-Subject:\tSpam Mail
"""


class Result:
    pass


class Scanq:
    def __init__(self, scratch):
        self.scratch = scratch
        self.home = scratch / "home"
        for d in ("bin", "control", "rules", "scan"):
            (self.home / d).mkdir(parents=True, exist_ok=True)
        for p in ("scanq", "scanrules"):
            shutil.copy(postern.TREE / "scanq" / p, self.home / "bin")
        self.record = scratch / "record"
        self.record.mkdir()
        self.queue = scratch / "fake-queue"
        self.queue.write_text(QUEUE)
        self.queue.chmod(0o755)
        self.control("me", "test.example")
        self.clamds = []

    def control(self, name, *lines):
        (self.home / "control" / name).write_text("".join(f"{l}\n" for l in lines))

    def rules(self, text, *options):
        (self.home / "rules/quarantine-attachments.txt").write_text(text)
        return subprocess.run([self.home / "bin/scanrules", *options], capture_output=True, text=True,
                              env=postern.env(self.home), timeout=30)

    def clamd(self, tcp=False, **more):
        path = None if tcp else self.scratch / f"clamd{len(self.clamds)}"
        self.clamds.append(FakeClamd(path, **more))
        self.control("clamd", *(c.name for c in self.clamds))
        return self.clamds[-1]

    def close(self):
        for c in self.clamds:
            c.close()

    def run(self, message, sender="a@b.example", recipients=("c@d.example",), envelope=None,
            text="both", during=None, under=(), **env):
        """One message.  text: which descriptors lead to one pipe for a text of
        scanq's: both (4 and 6), 4, 6, none; two: 4, and 6 to another pipe.
        during(pid): called until it says yes.  under: words in front of the
        program.  env: variables; None takes one away."""
        if isinstance(message, str):
            message = message.encode("latin-1")
        if envelope is None:
            envelope = b"F" + sender.encode() + b"\0" + b"".join(
                b"T" + r.encode() + b"\0" for r in recipients) + b"\0"
        e = postern.env(self.home, SCANQ_QUEUE=str(self.queue), RECORD=str(self.record))
        e.update({k: str(v) for k, v in env.items() if v is not None})
        for k, v in env.items():
            if v is None:
                e.pop(k, None)
        out, report = os.pipe()
        fds = {"both": (4, 6), "4": (4,), "6": (6,), "7": (7,), "two": (4,), "none": ()}[text]
        (self.scratch / "in").write_bytes(message)
        (self.scratch / "env").write_bytes(envelope)
        before = len(self.queued())
        with open(self.scratch / "in", "rb") as m, open(self.scratch / "env", "rb") as v, \
                open(self.scratch / "err", "wb") as err:
            high = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, 200)

            def descriptors():
                os.dup2(v.fileno(), 1)
                for fd in range(3, 8):
                    try:
                        os.close(fd)
                    except OSError:
                        pass
                for fd in fds:
                    os.dup2(high, fd)
                if text == "two":
                    os.dup2(os.pipe()[1], 6)
            p = subprocess.Popen([*under, self.home / "bin/scanq"], stdin=m, stderr=err, env=e,
                                 preexec_fn=descriptors, close_fds=False)
            os.close(report)
            os.close(high)
            r = Result()
            try:
                while during and p.poll() is None and not during(p.pid):
                    time.sleep(0.02)
                r.code = p.wait(120)
            finally:
                p.kill()
        r.pid = p.pid
        r.text = os.read(out, 4096).decode("latin-1") if fds else ""
        os.close(out)
        r.log = (self.scratch / "err").read_text("latin-1")
        r.queued = self.queued()[before:]
        return r

    def queued(self):
        """Directories of what the fake queue has taken, in order; the pid is the
        last that it writes there."""
        return sorted((p.parent for p in self.record.glob("*/pid")), key=lambda d: int(d.name))


def lines(directory):
    """Header lines of scanq's own, and what follows."""
    text = (directory / "message").read_bytes().decode("latin-1")
    own, rest = [], text.split("\n")
    while rest and (rest[0].startswith(("Received: (scanq", "X-Postern-")) or
                    (own and rest[0].startswith("  "))):
        own.append(rest.pop(0))
    return "\n".join(own), "\n".join(rest)


def mail(body="hello\n", subject="test", extra="", parts=()):
    """A message; parts: (name, content type, bytes)"""
    import base64
    if not parts:
        return f"From: a@b.example\nTo: c@d.example\nSubject: {subject}\n{extra}\n{body}"
    out = (f"From: a@b.example\nTo: c@d.example\nSubject: {subject}\nMIME-Version: 1.0\n{extra}"
           f"Content-Type: multipart/mixed; boundary=\"=b\"\n\n--=b\nContent-Type: text/plain\n\n{body}")
    for name, kind, data in parts:
        out += (f"\n--=b\nContent-Type: {kind}\nContent-Disposition: attachment; filename=\"{name}\"\n"
                f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(data).decode()}")
    return out + "\n--=b--\n"
