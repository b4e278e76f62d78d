"""A rspawn of a test's own: answers what control/fake/DOMAIN says, else K:
an answer, or "sleep SECONDS", and then one; "wait SECONDS" ends when the file
says something else."""
import sys

FAKE = r'''#!{python}
"""In place of bin/rspawn.  remotelog: time, host, recipients, when a job comes
and when it ends."""
import os, pathlib, socket, threading, time
home = pathlib.Path(os.environ["POSTERN_HOME"])
s = socket.socket(fileno=0)
lock = threading.Lock()
log = open(home / "remotelog", "a", buffering=1)
def note(what, host, n):
    with lock:
        log.write("%.3f %s %s %d\n" % (time.monotonic(), what, host, n))
def job(fields):
    host, pairs = fields[2].decode(), list(zip(fields[3::2], fields[4::2]))
    note("start", host, len(pairs))
    f = home / "control/fake" / host
    text = f.read_bytes() if f.exists() else b"Kdone"
    if text.startswith(b"sleep "):
        _, seconds, *then = text.split(b" ", 2)
        time.sleep(float(seconds))
        text = then[0] if then else b"Kslept"
    if text.startswith(b"wait "):
        end = time.monotonic() + float(text.split()[1])
        while time.monotonic() < end and f.read_bytes() == text:
            time.sleep(0.02)
        text = b"Kwaited"
    note("end", host, len(pairs))
    with lock:
        s.send(b"".join(n + b"\0" + text + b"\0" for n, _ in pairs))
while True:
    packet, fds, _, _ = socket.recv_fds(s, 70000, 1)
    if not packet:
        break
    os.close(fds[0])
    threading.Thread(target=job, args=(packet.split(b"\0")[:-1],), daemon=True).start()
'''


def use(sender):
    """In place of the real one, in that home."""
    program = sender.home / "bin/rspawn"
    program.unlink(missing_ok=True)
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    log = sender.home / "remotelog"
    log.touch()
    log.chmod(0o666)


def events(sender, host=None):
    """[(time, what, host, recipients)]"""
    out = []
    for line in (sender.home / "remotelog").read_text().splitlines():
        t, what, where, n = line.split()
        if host in (None, where):
            out.append((float(t), what, where, int(n)))
    return out


def most_at_once(sender, host):
    n = most = 0
    for _, what, _, _ in events(sender, host):
        n += 1 if what == "start" else -1
        most = max(most, n)
    return most
