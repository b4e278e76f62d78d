"""Logs as the services write them, made up: s6-log's files, times chosen."""
import os
import pathlib
import random

LEAP = 37


def label(t, leap=LEAP):
    sec = int(t)
    return f"@{(1 << 62) + sec + leap:016x}{int((t - sec) * 1e9):08x}"


class Log:
    """One log directory; lines are rotated as s6-log does it."""

    def __init__(self, path, size=1000000, leap=LEAP):
        self.path, self.size, self.leap = pathlib.Path(path), size, leap
        self.path.mkdir(parents=True, exist_ok=True)
        self.at = 0
        self.out = open(self.path / "current", "ab")

    def line(self, t, text):
        self.raw(f"{label(t, self.leap)} {text}\n".encode("latin-1"), t)

    def raw(self, data, t):
        self.out.write(data)
        self.at += len(data)
        self.last = t
        if self.at > self.size:
            self.rotate(t)

    def rotate(self, t):
        self.done()
        # loggers name a file by their clock, later than any other of theirs
        self.named = max(t, getattr(self, "named", 0) + 1e-6)
        os.rename(self.path / "current", self.path / f"{label(self.named, self.leap)}.s")
        self.out = open(self.path / "current", "ab")
        self.at = 0

    def done(self):
        self.out.flush()
        if hasattr(self, "last"):
            os.utime(self.path / "current", (self.last, self.last))


class Services:
    """The logs of a home directory, with mail going through."""

    def __init__(self, top, leap=LEAP):
        top = pathlib.Path(top)
        self.smtpd, self.queued, self.send, self.authd = (
            Log(top / s, leap=leap) for s in ("smtpd", "queued", "send", "authd"))
        self.n = 0
        self.delivery = 0

    def connect(self, t, ip):
        self.n += 1
        s = f"{int(t):x}-{self.n:x}.1"
        pid = 2000 + self.n
        shown = f"[{ip}]" if ":" in ip else ip
        self.smtpd.line(t, f"listen: pid {pid} from {ip}")
        self.smtpd.line(t, f"listen: ok {pid} mx:192.0.2.1:25 :{shown}::40000 session={s}")
        return s, pid

    def close(self, t, pid):
        self.smtpd.line(t, f"listen: end {pid} status 0")

    def refuse(self, t, ip, sender="x@y.example", to="nobody@example.com", reason="no_mailbox"):
        s, pid = self.connect(t, ip)
        self.smtpd.line(t + .01, f"smtpd: info: refused session={s} ip={ip} helo=h from=<{sender}> "
                        f"to=<{to}> code=550 reason={reason}")
        self.close(t + .02, pid)
        return s

    def accept(self, t, ip, sender, to, size=1000, user=None, session=None):
        """One message; its id and session."""
        s, pid = session or self.connect(t, ip)
        id = int((t + .01) * 1e6) * 1000 + self.n % 1000
        self.queued.line(t + .01, f"queued: info: queued session={s} id={id} uid=990 pid={pid} size={size} "
                         f"from=<{sender}> recipients={len(to)}")
        for r in to:
            self.smtpd.line(t + .011, f"smtpd: info: accepted session={s} ip={ip} helo=h from=<{sender}> to=<{r}> "
                            + (f"user={user} " if user else "") + f"size={size} qp={pid} id={id}")
        if not session:
            self.close(t + .02, pid)
        self.send.line(t + .012, f"new msg {id}")
        self.send.line(t + .012, f"info msg {id}: bytes {size} from <{sender}> qp {pid} uid 990")
        return id, s

    def deliver(self, t, id, to, verdict="success", after=.01, remote=False, text=None):
        self.delivery += 1
        d = self.delivery
        self.send.line(t, f"starting delivery {d}: msg {id} to {'remote' if remote else 'local'} {to}")
        self.send.line(t, "status: local 1/10 remote 0/20")
        self.send.line(t + after, f"delivery {d}: {verdict}: " + (text or "did_1+0+0/"))

    def end(self, t, id):
        self.send.line(t, f"end msg {id}")

    def done(self):
        for log in (self.smtpd, self.queued, self.send, self.authd):
            log.done()


def day(services, start, messages=2000, seed=1):
    """A working day: more at noon, some refused, some put off, viruses."""
    r = random.Random(seed)
    senders = [f"{n}@{d}" for n in ("anna", "newsletter", "office", "joe", "shop") for d in
               ("partner.example", "customers.example", "big-provider.example")]
    hosts = ["example.com", "partner.example", "customers.example", "far-away.example", "mail.example.net"]
    times = sorted(start + 3600 * min(max(r.gauss(12.5, 4), 0), 23.9) for _ in range(messages))
    for t in times:
        ip = f"192.0.2.{r.randrange(1, 250)}"
        x = r.random()
        if x < .35:
            services.refuse(t, f"203.0.113.{int(r.paretovariate(1)) % 250}",
                            reason=r.choice(["no_mailbox"] * 6 + ["rcpthosts", "badmailfrom", "badhelo"]))
            continue
        if x < .37:
            s, pid = services.connect(t, ip)
            services.smtpd.line(t, f"scanq: info: refused session={s} from=<a@b.example> to=<anna@example.com> size=900 "
                                f"ms=12 virus={r.choice(['Win.Test.EICAR_HDB-1', 'Doc.Dropper.Agent-1', 'Html.Phishing.Bank-3'])}")
            services.close(t, pid)
            continue
        host = r.choice(hosts[:2] + hosts)
        id, _ = services.accept(t, ip, r.choice(senders[:6] + senders), ["u@" + host], size=int(r.paretovariate(1.1) * 3000))
        if x > .97:
            services.deliver(t + 1, id, "u@" + host, "deferral", remote=True, text="Connected_to_1.2.3.4_but_greeting_failed./")
            if x > .985:
                continue
        later = r.choice([.1] * 12 + [2, 4, 30, 300, 4000])
        services.deliver(t + later, id, ("example.com-" if host == "example.com" else "") + "u@" + host,
                         "failure" if r.random() < .02 else "success", remote=host != "example.com")
        services.end(t + later + .1, id)
    services.done()
