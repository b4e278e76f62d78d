"""For tests of queuectl, with the real queued and send."""
import json
import os
import signal
import socket
import subprocess

import postern
from queuelib import until


def ctl(s, *args, code=0, uid=None, group=None, **kw):
    env = postern.env(s.home)
    r = subprocess.run([s.home / "bin/queuectl", *map(str, args)], env=env, timeout=20,
                       capture_output=True, user=uid, group=group,
                       extra_groups=[] if uid else None, **kw)
    print(r.stdout, r.stderr)
    assert code in (None, r.returncode), (r.returncode, r.stdout, r.stderr)
    return r.stdout if kw.get("text") is False else r.stdout.decode(errors="replace")


def deferred(s, *to, **kw):
    """A message whose first try has failed for now."""
    n = s.log_of_send().count("deferral")
    number = s.mail(*(to or ("x@far.example",)), **kw)
    s.logged("deferral", count=n + max(1, len(to)))
    until(lambda: json.loads(ctl(s, "-j", "list", number))[0]["state"] == "waiting")
    return number


def tried(sender):
    """To whom deliveries were started."""
    return [line.rsplit(" ", 1)[1] for line in sender.log_of_send().splitlines()
            if line.startswith("starting delivery")]


def talk(sender, *packets):
    """The answers to these packets, which send finds all at once."""
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.connect(str(sender.home / "socket/send/send"))
    c.settimeout(10)
    c.send(b"S\0")
    c.recv(1000)                # let in
    pid = sender.pid("send")
    os.kill(pid, signal.SIGSTOP)
    for p in packets:
        c.send(p)
    os.kill(pid, signal.SIGCONT)
    answers = [c.recv(1000) for _ in packets]
    c.close()
    return answers
