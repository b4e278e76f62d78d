"""For tests of remote: a home with it and dnsq; it is run once, as qmail-remote,
or as rspawn runs it."""
import os
import pwd
import shutil
import socket
import subprocess

import postern
from locallib import message_file

REMOTE = pwd.getpwnam("postern-remote")
BODY = b"Received: from x\nSubject: hi\n\nhello\n"


class Home:
    def __init__(self, scratch, **control):
        self.dir = scratch / "home"
        self.scratch = scratch
        for d in ("bin", "control", "remote"):
            (self.dir / d).mkdir(parents=True)
        for program in "remote/remote", "remote/stsfetch", "rblcheck/dnsq", "tls/tlsconnect":
            shutil.copy(postern.TREE / program, self.dir / "bin")
        (self.dir / "remote/sts").mkdir(mode=0o700)
        for d in "remote", "remote/sts":
            os.chown(self.dir / d, REMOTE.pw_uid, REMOTE.pw_gid)
        self.control(me="me.example", timeoutconnect="2", timeoutremote="12", **control)

    def control(self, **files):
        for name, text in files.items():
            (self.dir / "control" / name).write_text(text + "\n")

    def env(self, **more):
        return postern.env(self.dir, **more)

    def run(self, *args, body=BODY, before=(), pipe=False, **env):
        """The report, as a list of its NUL-terminated parts."""
        message = self.scratch / "message"
        message.write_bytes(body)
        with open(message, "rb") as f:
            r = subprocess.run(
                [*before, self.dir / "bin/remote", *args], env=self.env(**env),
                capture_output=True, timeout=60, user=REMOTE.pw_uid, group=REMOTE.pw_gid,
                extra_groups=[], **({"input": body} if pipe else {"stdin": f}))
        assert r.returncode == 0, r
        assert r.stderr == b"", r
        assert r.stdout.endswith(b"\0")
        return r.stdout[:-1].split(b"\0")

    def to(self, *servers):
        """smtproutes: everything goes to the first one."""
        s = servers[0]
        host = f"[{s.host}]" if ":" in s.host else s.host
        self.control(smtproutes=f":{host}:{s.port}")
        return self


class Job:
    """remote, as rspawn keeps it."""

    def __init__(self, home, **env):
        self.home = home
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(30)
        self.process = subprocess.Popen(
            [home.dir / "bin/remote"], stdin=theirs, env=home.env(**env), user=REMOTE.pw_uid,
            group=REMOTE.pw_gid, extra_groups=[], stderr=subprocess.PIPE)
        theirs.close()
        self.number = 100

    def start(self, *to, host="d.example", sender="s@a.example", body=BODY, data=None):
        record = b"7001\0" + sender.encode() + b"\0" + host.encode() + b"\0"
        self.asked = []
        for t in to or ("r@d.example",):
            self.number += 1
            self.asked.append(self.number)
            record += b"%d\0%s\0" % (self.number, t.encode())
        path = self.home.scratch / "queued"
        path.write_bytes(message_file(body) if data is None else data)
        with open(path, "rb") as f:
            socket.send_fds(self.sock, [record], [f.fileno()])
        return self

    def answers(self):
        """Texts in the order of the recipients."""
        got = {}
        while len(got) < len(self.asked):
            packet = self.sock.recv(70000)
            assert packet.endswith(b"\0"), packet
            parts = packet[:-1].split(b"\0")
            assert len(parts) % 2 == 0
            for number, text in zip(parts[::2], parts[1::2]):
                assert int(number) in self.asked and int(number) not in got
                got[int(number)] = text
        return [got[n] for n in self.asked]

    def deliver(self, *to, **kw):
        return self.start(*to, **kw).answers()

    def end(self):
        self.sock.close()
        code = self.process.wait(10)
        self.process.stderr.close()
        return code
