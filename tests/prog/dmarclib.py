"""For tests of dmarc/: a home directory with dmarcd in it, as its own user,
DNS as told, and a fake queue that keeps what dmarcq hands over."""
import os
import signal
import subprocess
import time

import dkim

import postern
from dnsstub import A, AAAA, CNAME, MX, PTR, TXT, DnsStub, name, rr, txt

QUEUE = """#!/bin/sh
cat >"$RECORD/message" && cat <&1 >"$RECORD/envelope" || exit 81
exit "$(cat "$RECORD/code" 2>/dev/null || echo 0)"
"""
ME = "mx.test.example"
MESSAGE = (b"Received: from x\n  by y; 1 Jan 2026 00:00:00 -0000\nFrom: Alice <alice@example.com>\n"
           b"To: bob@test.example\nSubject: a  test\nDate: 1 Jan 2026 00:00:00 -0000\n"
           b"Message-ID: <1@example.com>\n\nHello,\n\nBob.\n")


def wait_until(true, seconds=20, what="condition"):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.02)


def wire_data(kind, value):
    import socket
    if kind == TXT:
        raw = value if isinstance(value, bytes) else value.encode()
        return txt(*[raw[i:i + 255] for i in range(0, len(raw), 255)] or [b""])
    if kind == A:
        return socket.inet_aton(value)
    if kind == AAAA:
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == MX:
        preference, host = value.split()
        return int(preference).to_bytes(2, "big") + name(host)
    return name(value)      # PTR, CNAME


class Zone:
    """records[name, kind]: values; or "servfail", "silence", or a function of
    the query.  A name with a record of another kind exists."""

    def __init__(self, records=None):
        self.records = dict(records or {})

    def __call__(self, q):
        value = self.records.get((q.name, q.kind))
        if value is None:
            owner = self.records.get((q.name, CNAME))
            if owner:
                answers = self.chain(q, owner[0])
                return q.reply(*answers)
            return q.reply(rcode=0 if any(n == q.name for n, _ in self.records) else 3)
        if value == "servfail":
            return q.reply(rcode=2)
        if value == "silence":
            return None
        if callable(value):
            return value(q)
        answers = [rr(b"\xc0\x0c", q.kind, wire_data(q.kind, v)) for v in value]
        if not q.tcp and sum(map(len, answers)) > 1000:
            return q.reply(flags=0x8380)
        return q.reply(*answers)

    def chain(self, q, to):
        """As a resolver follows it, 20 steps at most."""
        out, at = [rr(b"\xc0\x0c", CNAME, name(to))], to
        for _ in range(20):
            if (at, q.kind) in self.records:
                return out + [rr(at, q.kind, wire_data(q.kind, v))
                              for v in self.records[at, q.kind]]
            if (at, CNAME) not in self.records:
                break
            out.append(rr(at, CNAME, name(self.records[at, CNAME][0])))
            at = self.records[at, CNAME][0]
        return out


class Result:
    """code, text, stderr, message, envelope; field: what stands in front."""


class Checker:
    def __init__(self, home, scratch):
        self.home, self.scratch = home, scratch
        self.record = scratch / "record"
        self.record.mkdir()
        self.record.chmod(0o777)
        self.queue = scratch / "fake-queue"
        self.queue.write_text(QUEUE)
        self.queue.chmod(0o755)
        self.log = scratch / "dmarcd.log"
        self.daemon, self.zone = None, Zone()
        self.stub = DnsStub(self.zone)
        self.stub.__enter__()
        (home / "profiles/dmarcd.local").write_text(f"connect {self.stub.port}\n")

    def start(self, before=()):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                [*before, self.home / "bin/confine", "dmarcd", self.home / "bin/dmarcd"],
                env=postern.env(self.home, DNSCACHEIP=self.stub.address), stderr=log)
        wait_until(lambda: "info: ready" in self.logged() or self.daemon.poll() is not None,
                   what="dmarcd")
        assert self.daemon.poll() is None, self.logged()
        return self

    def logged(self):
        return self.log.read_text() if self.log.exists() else ""

    def stop(self, how=signal.SIGTERM):
        if self.daemon:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.send_signal(how)
            self.daemon.wait(20)
            self.daemon = None

    def close(self):
        self.stop(signal.SIGKILL)
        self.stub.__exit__()

    def policy(self, *lines):
        (self.home / "control/dmarcpolicy").write_text("".join(l + "\n" for l in lines))

    def check(self, message=MESSAGE, sender="alice@example.com", helo="mail.example.com",
              ip="192.0.2.1", user=None, **environment):
        """dmarcq with that message from that client."""
        for f in "message", "envelope":
            (self.record / f).unlink(missing_ok=True)
        e = postern.env(self.home, RECORD=str(self.record), DMARCQ_QUEUE=str(self.queue))
        e.update(TCPREMOTEIP=ip, HELO=helo)
        e.update(environment)
        e = {k: v for k, v in e.items() if v is not None}
        source, envelope = self.scratch / "source", self.scratch / "envelope"
        source.write_bytes(message)
        envelope.write_bytes(b"F" + sender.encode() + b"\0Tbob@test.example\0\0")
        text, to = os.pipe()
        env, one = os.open(envelope, os.O_RDONLY), os.open(source, os.O_RDONLY)

        def descriptors():
            os.dup2(to, 104)
            os.dup2(env, 1)
            os.dup2(104, 4)
            os.dup2(104, 6)
        r = Result()
        start = time.monotonic()
        p = subprocess.Popen([self.home / "bin/dmarcq"], stdin=one, stderr=subprocess.PIPE, env=e,
                             preexec_fn=descriptors, user=user, close_fds=False)
        os.close(to)
        os.close(env)
        os.close(one)
        r.stderr = p.communicate(timeout=120)[1].decode()
        r.seconds = time.monotonic() - start
        r.code = p.returncode
        r.text = os.read(text, 1000).decode()
        os.close(text)
        r.message = r.envelope = None
        if (self.record / "message").exists():
            r.message = (self.record / "message").read_bytes()
            r.envelope = (self.record / "envelope").read_bytes()
            assert r.envelope == envelope.read_bytes()
        return r

    def results(self, message=MESSAGE, **more):
        """The field in front, unfolded, without its name; the message behind it
        is the one that was given."""
        r = self.check(message, **more)
        assert r.code == 0, r.stderr + r.text + self.logged()
        field, rest = split_off(r.message)
        assert rest == message
        return field


def split_off(message):
    start = f"Authentication-Results: {ME};\n".encode()
    assert message.startswith(start), message[:400]
    end = message.index(b"\n") + 1
    while message[end:end + 1] == b"\t":
        end = message.index(b"\n", end) + 1
    return message[len(start):end].decode().replace("\n", "").replace("\t", " ").strip(), \
        message[end:]


def wire(message):
    return message.replace(b"\n", b"\r\n")


def sign(message, key, domain="example.com", selector="s", **more):
    """With a DKIM-Signature of dkimpy's in front."""
    field = dkim.sign(wire(message), selector.encode(), domain.encode(), key,
                      canonicalize=(b"relaxed", b"relaxed"), **more)
    return field.replace(b"\r\n", b"\n") + message
