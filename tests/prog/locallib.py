"""For tests of local/: a mailbox owner with a home directory, local run as that
owner with a message, once or as lspawn runs it; a stand-in for the queue."""
import os
import pwd
import shutil
import socket
import subprocess

import postern
from queuelib import crc32c

OWNER = pwd.getpwnam("postern-alias")
BODY = b"Received: from x\nSubject: hi\n\nhello\n"


def message_file(body, env=b"", session=b"sess-1"):
    """A file as lib/msgfile.h describes it."""
    env = b"u0\0p1\0s" + session + b"\0h-\0" + (env or b"Fs@a.example\0Tr@b.example\0Tother@c.example\0")
    end = b"END1 %016x %016x %016x %08x %08x " % (len(body), len(env), 1, crc32c(body), crc32c(env))
    return body + env + end + b"%08x\n" % crc32c(end)


def owned(path, mode=0o700):
    os.chown(path, OWNER.pw_uid, OWNER.pw_gid)
    path.chmod(mode)
    return path


def maildir(path):
    for d in (path, path / "tmp", path / "new", path / "cur"):
        d.mkdir(exist_ok=True)
        owned(d)
    return path


class Box:
    """A home directory with a Maildir; .qmail files by write()."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.suite = scratch / "suite"
        for d in ("bin", "users/mailbox", "control"):
            (self.suite / d).mkdir(parents=True)
        for name in ("local", "forward", "condredirect", "except", "bouncesaying", "preline",
                     "maildirmake"):
            shutil.copy(postern.TREE / "local" / name, self.suite / "bin" / name)
        self.home = owned(self.dir(scratch / "home"))
        self.out = owned(self.dir(scratch / "out"))
        self.maildir = maildir(self.home / "Maildir")
        self.suite_env = None  # in place of a queue program's: a real queue's
        self.queue = scratch / "queue.sh"
        self.queue_says(0)

    def dir(self, path):
        path.mkdir()
        return path

    def queue_says(self, code, text=""):
        self.queue.write_text(f"""#!/bin/sh
cat >{self.out}/message; cat <&1 >{self.out}/envelope
printf '%s' "${{POSTERN_SESSION-}}" >{self.out}/session
[ -z '{text}' ] || printf '{text}' >&4
exit {code}
""")
        self.queue.chmod(0o755)

    def write(self, name, text, mode=0o600, where=None):
        path = (where or self.home) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return owned(path, mode)

    def env(self, **more):
        if self.suite_env:
            return postern.env(self.suite, **self.suite_env)
        return postern.env(self.suite, QMAILQUEUE=str(self.queue), **more)

    def as_owner(self, argv, **kw):
        return subprocess.run([str(a) for a in argv], user=OWNER.pw_uid, group=OWNER.pw_gid,
                              extra_groups=[], capture_output=True, timeout=30, **kw)

    def arguments(self, ext, dash, sender, fallback, host="b.example", user="joe"):
        local = user + dash + ext
        return [user, str(self.home), local, dash, ext, host, sender, fallback]

    def deliver(self, ext="", dash=None, sender="s@a.example", body=BODY, fallback="./Maildir/",
                before=(), options=(), **kw):
        dash = ("-" if ext else "") if dash is None else dash
        message = self.scratch / "message"
        message.write_bytes(body)
        with open(message, "rb") as f:
            return self.as_owner([*before, self.suite / "bin/local", *options,
                                  *self.arguments(ext, dash, sender, fallback, **kw)],
                                 stdin=f, env=self.env())

    def server(self):
        return Server(self)

    def new(self, where=None):
        return sorted((where or self.maildir).glob("new/*"))

    def mail(self, where=None):
        files = self.new(where)
        assert len(files) == 1, files
        assert not list((where or self.maildir).glob("tmp/*"))
        return files[0].read_bytes()

    def forwarded(self):
        """(message, envelope records) of the one that was queued."""
        return ((self.out / "message").read_bytes(),
                (self.out / "envelope").read_bytes().split(b"\0"))


class Server:
    """local, as lspawn keeps it."""

    def __init__(self, box):
        self.box = box
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(60)
        self.sock = ours
        self.process = subprocess.Popen(
            [box.suite / "bin/local"], stdin=theirs, env=box.env(), user=OWNER.pw_uid,
            group=OWNER.pw_gid, extra_groups=[])
        theirs.close()

    def ask(self, record, data):
        path = data
        if isinstance(data, bytes):
            path = self.box.scratch / "queued"
            path.write_bytes(data)
        with open(path, "rb") as f:
            socket.send_fds(self.sock, [record], [f.fileno()])
        answer = self.sock.recv(70000)
        assert answer.endswith(b"\0")
        return answer[:-1]

    def deliver(self, ext="", dash=None, sender="s@a.example", body=BODY, fallback="./Maildir/",
                data=None, **kw):
        dash = ("-" if ext else "") if dash is None else dash
        fields = self.box.arguments(ext, dash, sender, fallback, **kw)
        return self.ask(b"".join(f.encode() + b"\0" for f in fields),
                        message_file(body) if data is None else data)

    def end(self):
        self.sock.close()
        return self.process.wait(10)
