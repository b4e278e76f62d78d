"""The whole suite in a directory of its own, under real s6, on free ports."""
import functools
import os
import pathlib
import poplib
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

import postern

SERVICES = ["queued", "authd", "tlsd", "send", "smtpd", "pop3"]
HOST = "mx.test.example"


free_port = postern.free_port


def wait_until(true, seconds=10, what="condition"):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s: {what}")
        time.sleep(0.02)


def answers(host, port):
    try:
        with socket.create_connection((host, port), timeout=5) as s:
            return s.recv(3) != b""
    except OSError:
        return False


def children():
    """parent's pid -> pids"""
    table = {}
    for d in pathlib.Path("/proc").iterdir():
        if d.name.isdigit():
            try:
                stat = (d / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            table.setdefault(parent, []).append(int(d.name))
    return table


@functools.cache
def certificate():
    """Key and certificate of HOST, for all suites of a run."""
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={HOST}",
             "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", f"{d}/k", "-out", f"{d}/c"],
            check=True, capture_output=True)
        return pathlib.Path(d, "k").read_text() + pathlib.Path(d, "c").read_text()


class Suite:
    def __init__(self, home, control=None):
        self.smtp_port = free_port()
        self.submission_port = free_port()
        self.smtps_port = free_port()
        self.pop3_port = free_port()
        self.pop3s_port = free_port()
        settings = {"me": HOST + "\n", "locals": HOST + "\n",
                    "rcpthosts": HOST + "\n",
                    "smtproutes": ":127.0.0.1:1\n",    # where nobody listens
                    "smtpaddress": "127.0.0.1\n",
                    # nothing leaves this machine
                    "smtproutes": ":127.0.0.1:1\n",
                    "smtpport": f"{self.smtp_port}\n",
                    "submissionaddress": "127.0.0.1\n",
                    "submissionport": f"{self.submission_port}\n",
                    "smtpsaddress": "127.0.0.1\n",
                    "smtpsport": f"{self.smtps_port}\n",
                    "pop3address": "127.0.0.1\n",
                    "pop3port": f"{self.pop3_port}\n",
                    "pop3saddress": "127.0.0.1\n",
                    "pop3sport": f"{self.pop3s_port}\n"}
        settings.update(control or {})
        self.home = postern.install_home(home, settings)
        self.rules("smtp", '127.0.0.1:allow,RELAYCLIENT="",MAXRATEIP="0"\n:allow\n')
        self.rules("submission", ":allow\n")
        self.rules("pop3", '127.:allow,PLAINTEXTAUTH=""\n:deny\n')
        self.put_certificate("default", certificate())
        self.svscan = None

    def put_certificate(self, name, pem):
        f = self.home / f"tls/{name}.pem"
        f.touch(mode=0o600)
        f.write_text(pem)
        shutil.chown(f, "postern-tls", "postern-tls")

    def run(self, *args, **more):
        """One of the suite's programs; its output."""
        r = subprocess.run([self.home / "bin" / args[0], *map(str, args[1:])],
                           env=postern.env(self.home), text=True, timeout=60,
                           capture_output=True, **more)
        if r.returncode:
            raise RuntimeError(f"{args}: {r.returncode}: {r.stdout}{r.stderr}")
        return r.stdout

    def rules(self, name, text):
        (self.home / "rules" / name).write_text(text)
        self.run("mailctl", "cdb")

    def start(self, wait=True, supervisor="s6-svscan"):
        """supervisor: s6-svscan, svscan (daemontools) or runsvdir (runit)"""
        (self.home / "log/supervision").touch()
        with open(self.home / "log/supervision", "a") as out:
            self.svscan = subprocess.Popen(
                [supervisor, self.home / "service"], stdout=out, stderr=out,
                stdin=subprocess.DEVNULL, env=postern.env(self.home),
                start_new_session=True)
        self.supervisor = supervisor
        if wait:
            self.ready()
        return self

    def ready(self):
        for host, port in [("127.0.0.1", self.smtp_port),
                           ("127.0.0.1", self.pop3_port)]:
            wait_until(lambda: answers(host, port), 15,
                       f"port {port}: {self.everything_logged()}")
        for s in ["queue/queued", "auth/authd", "tls/tlsd"]:
            wait_until((self.home / "socket" / s).exists, 10, s)

    def stop(self):
        if not self.svscan:
            return
        pids = self.processes()
        if self.supervisor == "s6-svscan":
            subprocess.run(["s6-svscanctl", "-t", self.home / "service"])
        elif self.supervisor == "runsvdir":
            self.svscan.send_signal(signal.SIGHUP)
        else:
            self.svscan.terminate()
            for log in ["", "/log"]:
                subprocess.run(["svc", "-dx", *(f"{self.home}/service/{s}{log}"
                                                for s in SERVICES)])
        try:
            self.svscan.wait(10)
        except subprocess.TimeoutExpired:
            self.svscan.kill()
            self.svscan.wait()
        for pid in pids:    # whatever outlived its supervisor
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.svscan = None

    def processes(self):
        """Pids of everything that runs under the supervisor."""
        table, found = children(), []
        todo = [self.svscan.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += table.get(pid, [])
        return found

    def named(self, name):
        """Pids of the suite's processes of that name."""
        out = []
        for pid in self.processes():
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == name + "\n":
                    out.append(pid)
            except OSError:
                pass
        return out

    def log(self, service):
        """What a service has said, without the times."""
        try:
            text = (self.home / "log" / service / "current").read_bytes()
        except OSError:
            return ""
        return "".join(l.partition(" ")[2] for l in
                       text.decode("latin-1").splitlines(keepends=True))

    def everything_logged(self):
        return "".join(f"[{s}]\n{self.log(s)}" for s in SERVICES) + \
            (self.home / "log/supervision").read_text()

    def wait_log(self, service, text, seconds=10):
        wait_until(lambda: text in self.log(service), seconds,
                   f"{text!r} in log/{service}")

    def add_domain(self, domain, password="postmaster-secret"):
        self.run("vadddomain", domain, password)

    def add_user(self, address, password="secret"):
        self.run("vadduser", address, password)

    def smtp(self, source=None):
        return smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=20,
                            local_hostname="client.test.example",
                            source_address=(source, 0) if source else None)

    def send(self, sender, to, data, source=None):
        """A message over SMTP; data: bytes with CRLF ends of line."""
        with self.smtp(source) as s:
            return s.sendmail(sender, to, data)

    def pop(self, user, password="secret"):
        p = poplib.POP3("127.0.0.1", self.pop3_port, timeout=20)
        p.user(user)
        p.pass_(password)
        return p

    def mailbox(self, user, password="secret"):
        """All messages of a mailbox, as POP3 gives them, LF ends of line."""
        p = self.pop(user, password)
        count = p.stat()[0]
        out = [b"".join(l + b"\n" for l in p.retr(i + 1)[1])
               for i in range(count)]
        p.quit()
        return out

    def wait_mail(self, user, count=1, password="secret", seconds=10):
        got = []

        def there():
            got[:] = self.mailbox(user, password)
            return len(got) >= count
        try:
            wait_until(there, seconds, f"{count} messages for {user}")
        except TimeoutError as e:
            raise TimeoutError(f"{e}\n{self.everything_logged()}") from None
        return got

    def queue_ids(self):
        return sorted(int(f.name) for f in self.home.glob("queue/mess/*/*"))

    def wait_empty_queue(self, seconds=10):
        wait_until(lambda: not self.queue_ids(), seconds, "empty queue")
