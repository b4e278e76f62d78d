"""A real Postfix or Exim on loopback and the suite exchange messages, both
ways; every body has to arrive as it was sent.

As a program: interop.py COUNT [postfix|exim ...]: so many each way.
"""
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import signal
import smtplib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
for folder in (HERE.parent, HERE.parent / "flow", HERE.parent / "prog"):
    sys.path.insert(0, str(folder))
import certs  # noqa: E402
import suite as suites  # noqa: E402

PARTS = [b"\n", b".\n", b"..\n", b".", b"...x\n", b"x", b"\xe9\xff\x80", b" \t", b"From x\n", b"y" * 998,
         b"z" * 3000, b"\n.\n", b"word " * 30, b"\n\n\n", b"--\n", b"=20=\n", b"\t\n"]


def bodies(count, seed=7):
    """Texts of all sorts, without CR and NUL, which not everybody carries."""
    some = random.Random(seed)
    for _ in range(count):
        size = some.choice((0, 1, 3, 30, 300)) if some.random() < 0.98 else 3000
        text = b"".join(some.choice(PARTS) for _ in range(size))
        yield text + (b"" if text.endswith(b"\n") or not text else b"\n")


def message(number, body, way):
    return b"Subject: %s %d\nMIME-Version: 1.0\nContent-Type: text/plain\n" \
        b"Content-Transfer-Encoding: 8bit\n\n%s" % (way, number, body)


class Peer:
    """Postfix or Exim, from when it answers until it is closed."""

    def __init__(self, kind, where, next_port):
        self.dir = where / kind
        self.dir.mkdir()
        certificate = certs.shared().make(f"peer.{kind}", by=None)
        (self.dir / "cert.pem").write_bytes(certificate.cert.read_bytes())
        (self.dir / "key.pem").write_bytes(certificate.key.read_bytes())
        self.port = suites.free_port()
        self.log = open(where / f"{kind}.log", "w+b")
        self.process = subprocess.Popen(
            [HERE / "peer", kind, self.dir, str(self.port), str(next_port)], stdout=self.log,
            stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True)
        suites.wait_until(lambda: suites.answers("127.0.0.1", self.port) or self.process.poll() is not None,
                          120, "the peer")
        if self.process.poll() is not None:
            self.log.seek(0)
            raise RuntimeError(f"{kind} does not run: {self.log.read().decode()}")

    def received(self):
        return self.dir.glob("home/u/Maildir/new/*")

    def close(self):
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.log.close()


def descendants(pid):
    table, found = suites.children(), []
    todo = [pid]
    while todo:
        for child in table.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def inject(port, sender, to, numbered, way):
    """Over SMTP, a hundred messages a connection."""
    smtp = None
    for i, (number, body) in enumerate(numbered):
        if i % 100 == 0:
            if smtp:
                smtp.quit()
            smtp = smtplib.SMTP("127.0.0.1", port, timeout=60, local_hostname="client.test.example")
        smtp.sendmail(sender, [to], message(number, body, way).replace(b"\n", b"\r\n"),
                      mail_options=["BODY=8BITMIME"])
    smtp.quit()


def send_all(port, sender, to, sent, way, connections=4):
    numbered = list(enumerate(sent))
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        for f in [pool.submit(inject, port, sender, to, numbered[i::connections], way)
                  for i in range(connections)]:
            f.result()


def compare(files, sent, way):
    """What is wrong, in words."""
    got, bad = collections.Counter(), []
    for f in files:
        head, _, body = f.read_bytes().partition(b"\n\n")
        m = re.search(rb"^Subject: %s (\d+)$" % way, head, re.M)
        if not m:
            bad.append(f"not ours: {head[-200:]!r}")
            continue
        number = int(m[1])
        got[number] += 1
        if body != sent[number]:
            bad.append(f"{way.decode()} {number} differs: {sent[number][:80]!r} {body[:80]!r}")
    for number in range(len(sent)):
        if got[number] != 1:
            bad.append(f"{way.decode()} {number} came {got[number]} times")
    return bad


def exchange(suite, kind, where, count, seconds):
    """What is wrong, in words; and how long each way took.  The suite runs; its
    user alice@example.com has no mail yet."""
    peer = Peer(kind, where, suite.smtp_port)
    try:
        (suite.home / "control/smtproutes").write_text(
            f"peer.test:127.0.0.1:{peer.port}|||encrypt\n:127.0.0.1:1\n")
        sent, bad, took = list(bodies(count)), [], []
        mailbox = suite.home / "domains/example.com/alice/Maildir/new"
        for way, port, sender, to, there in (
                (b"out", suite.smtp_port, "alice@example.com", "u@peer.test", peer.received),
                (b"in", peer.port, "u@peer.test", "alice@example.com", lambda: mailbox.glob("*"))):
            begin = time.monotonic()
            send_all(port, sender, to, sent, way)
            suites.wait_until(lambda: len(list(there())) >= count, seconds,
                              f"{way}: {len(list(there()))} of {count}\n{suite.log('send')[-3000:]}")
            took.append(time.monotonic() - begin)
            bad += compare(there(), sent, way)
        # a long log is in several files
        if not any(b"Encrypted:_TLSv1.3" in f.read_bytes()
                   for f in (suite.home / "log/send").glob("[@c]*")):
            bad.append("nothing went out encrypted")
        return bad, took
    finally:
        peer.close()


def main():
    count = int(sys.argv[1])
    sys.path.insert(0, str(HERE.parent / "flow"))
    from conftest import prepared
    for kind in sys.argv[2:] or ["postfix", "exim"]:
        with prepared("alice@example.com") as s:
            s.start()
            bad, took = exchange(s, kind, s.home.parent, count, 1800)
            print(f"{kind}: {count} out in {took[0]:.0f} s, {count} in in {took[1]:.0f} s, "
                  f"{len(bad)} wrong", *bad[:20], sep="\n")
            if bad:
                sys.exit(1)


if __name__ == "__main__":
    main()
