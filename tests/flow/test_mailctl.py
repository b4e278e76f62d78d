import contextlib
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

import postern
import suite as suites
from conftest import prepared

SUPERVISORS = ["s6-svscan", "svscan", "runsvdir"]


def begin(suite, *args):
    """mailctl, which is still at work."""
    return subprocess.Popen([suite.home / "bin/mailctl", *args], text=True, env=postern.env(suite.home),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(p):
    out, err = p.communicate(timeout=60)
    return subprocess.CompletedProcess(p.args, p.returncode, out, err)


def mailctl(suite, *args):
    return end(begin(suite, *args))


def deliver(suite, subject):
    suite.send("carol@elsewhere.example", ["alice@example.com"],
               f"Subject: {subject}\r\n\r\nhello\r\n".encode())
    suites.wait_until(
        lambda: any(subject.encode() in m for m in
                    suite.mailbox("alice@example.com")), 10, subject)


@pytest.mark.parametrize("supervisor", SUPERVISORS)
def test_services_run_and_obey_under(own_suite, supervisor):
    own_suite.start(supervisor=supervisor)
    deliver(own_suite, "first")
    r = mailctl(own_suite, "stat")
    assert r.returncode == 0, r.stdout + r.stderr
    for s in suites.SERVICES:
        assert re.search(rf"^{s} +up +\d+ s  pid \d+$", r.stdout, re.M), r.stdout

    assert mailctl(own_suite, "stop").returncode == 0
    r = mailctl(own_suite, "stat")
    assert r.returncode == 111
    assert len(re.findall(r"^\w+ +down ", r.stdout, re.M)) == len(suites.SERVICES)
    assert re.search("^qmtpd +off$", r.stdout, re.M)
    assert not suites.answers("127.0.0.1", own_suite.smtp_port)

    assert own_suite.run("mailctl", "start") == ""
    deliver(own_suite, "second")

    for i in range(3):
        assert own_suite.run("mailctl", "restart") == ""
        tls(own_suite)
        deliver(own_suite, f"restarted {i}")


def tls(suite):
    context = ssl.create_default_context(cadata=suites.certificate())
    with suite.smtp() as s:
        s._host = suites.HOST
        s.starttls(context=context)
        return s.ehlo()[0] == 250


def connect(suite, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(str(suite.home / "socket" / path))
    return True


AT_ONCE = {
    "queued": lambda s: connect(s, "queue/queued"),
    "authd": lambda s: connect(s, "auth/authd"),
    "tlsd": lambda s: connect(s, "tls/tlsd"),
    "dkimd": lambda s: connect(s, "dkim/dkimd"),
    "dmarcd": lambda s: connect(s, "dmarc/dmarcd"),
    "send": lambda s: connect(s, "send/send"),
    "smtpd": lambda s: suites.answers("127.0.0.1", s.smtp_port),
    "pop3": lambda s: suites.answers("127.0.0.1", s.pop3_port),
}


class Gate:
    """Keeps a service from starting, from when it has come until open()."""

    def __init__(self, suite, service):
        self.fifo = suite.home / f"gate-{service}"
        os.mkfifo(self.fifo)
        self.fd = None

    def reached(self):
        with contextlib.suppress(OSError):      # ENXIO: nobody reads
            self.fd = self.fd or os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        return self.fd is not None

    def wait(self):
        suites.wait_until(self.reached, 30, self.fifo.name)

    def open(self):
        self.fifo.unlink()
        os.close(self.fd)


def change_run(suite, service, old, new):
    run = suite.home / "service" / service / "run"
    text = run.read_text()
    assert old in text
    run.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def gated():
    """A running suite whose services pass by gates; how long a restart takes."""
    with prepared() as s:
        (s.home / "service/dmarcd/down").unlink()
        s.run("dkimkey", "example.com")
        for service in AT_ONCE:
            gate = f"gate-{service}"
            change_run(s, service, "exec confine", f"[ ! -p {gate} ] || read -r x <{gate}\nexec confine")
        s.start(wait=False)
        assert s.run("mailctl", "start") == ""
        before = time.monotonic()
        assert s.run("mailctl", "restart") == ""
        yield s, time.monotonic() - before


def pids(suite):
    return dict(re.findall(r"^(\w+) +up .* pid (\d+)$", suite.run("mailctl", "stat"), re.M))


@pytest.mark.parametrize("service", AT_ONCE)
def test_restart_waits_for_one_that_is_slow(gated, service):
    suite, takes = gated
    before = pids(suite)
    gate = Gate(suite, service)
    p = begin(suite, "restart")
    gate.wait()
    with pytest.raises(subprocess.TimeoutExpired):
        p.wait(takes + .2)      # it would have ended
    gate.open()
    r = end(p)
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert AT_ONCE[service](suite)
    after = pids(suite)
    assert before.keys() == after.keys() == set(AT_ONCE)
    assert not before.items() & after.items()


def test_start_waits_for_one_after_the_other(gated):
    suite, takes = gated
    suite.run("mailctl", "stop")
    gates = {service: Gate(suite, service) for service in AT_ONCE}
    p = begin(suite, "start")
    for service in list(AT_ONCE):
        gates[service].wait()
        time.sleep(takes / 3)     # as long as it takes for several
        assert p.poll() is None
        assert not any(g.reached() for name, g in gates.items() if name != service)
        gates.pop(service).open()
        suites.wait_until(lambda: any(g.reached() for g in gates.values()) or p.poll() is not None, 30, service)
        assert AT_ONCE[service](suite)
    assert end(p).returncode == 0
    assert pids(suite).keys() == set(AT_ONCE)


@pytest.fixture(scope="module")
def hung():
    """Three suites and what mailctl says of them, at once, for it waits 15 seconds
    each time.  restart, where authd never answers; restart, where a delivery lasts,
    with the fifo that it waits for and the send from before; start, where another
    program has a port."""
    with prepared() as one, prepared("alice@example.com") as other, prepared() as third, \
            socket.create_server(("127.0.0.1", third.smtp_port)):
        change_run(one, "authd", "exec confine", "[ ! -e hang ] || exec sleep 1000\nexec confine")
        one.start()
        (one.home / "hang").touch()
        fifo = other.home / "fifo"
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        (other.home / "alias/.qmail-slow").write_text(f"|read x <{fifo}\n")
        other.run("usersmake")
        other.start()
        other.send("carol@elsewhere.example", [f"slow@{suites.HOST}"], b"a: b\r\n\r\nc\r\n")
        other.wait_log("send", "starting delivery")
        [before] = other.named("send")
        third.start(wait=False)
        said = [end(p) for p in [begin(one, "restart"), begin(other, "restart"), begin(third, "start")]]
        yield one, said[0], other, said[1], fifo, before, third, said[2]


def test_one_that_does_not_come_back_is_named(hung):
    suite, r, *_ = hung
    assert (r.returncode, r.stderr) == (
        111, "mailctl: authd: is up, but does not answer: mailctl logs authd\n")
    assert AT_ONCE["smtpd"](suite)


def test_one_that_cannot_start_says_why(hung):
    """As where an old mail server has the port."""
    *_, suite, r = hung
    assert (r.returncode, r.stderr) == (
        111, "mailctl: smtpd: still not up: listen: fatal: unable to bind 127.0.0.1 port "
        f"{suite.smtp_port}: Address in use\n")


def test_restart_does_not_fail_for_a_delivery_that_lasts(hung):
    suite, r, fifo, before = hung[2:6]
    assert (r.returncode, r.stderr) == (
        0, "mailctl: send: starts anew when the deliveries under way have ended\n")
    assert suite.named("send") == [before]
    fifo.write_text("x\n")
    suites.wait_until(lambda: suite.named("send") not in ([], [before]), 30, "new send")
    deliver(suite, "afterwards")


def test_tls_is_there_when_its_first_certificate_is_in_force(own_suite):
    (own_suite.home / "tls/default.pem").unlink()
    own_suite.start(wait=False)
    assert own_suite.run("mailctl", "start") == ""
    for _ in range(2):
        with pytest.raises(OSError):
            AT_ONCE["tlsd"](own_suite)
        own_suite.put_certificate("default", suites.certificate())
        assert own_suite.run("mailctl", "tls") == ""
        assert tls(own_suite)
        (own_suite.home / "tls/default.pem").unlink()
        assert own_suite.run("mailctl", "restart") == ""


def test_reload_and_doqueue_reach_send(suite):
    deliver(suite, "first")
    before = suite.named("send")
    assert mailctl(suite, "reload").returncode == 0
    assert mailctl(suite, "doqueue").returncode == 0
    deliver(suite, "still there")
    assert suite.named("send") == before


def test_reload_makes_a_new_local_domain_known(own_suite):
    own_suite.start()
    (own_suite.home / "control/rcpthosts").write_text(
        "example.com\nlater.example\n")
    (own_suite.home / "control/virtualdomains").write_text(
        "example.com:example.com\nlater.example:example.com\n")
    assert mailctl(own_suite, "reload").returncode == 0
    own_suite.send("carol@elsewhere.example", ["alice@later.example"],
                   b"Subject: new domain\r\n\r\nhello\r\n")
    assert b"Subject: new domain" in own_suite.wait_mail("alice@example.com")[0]


def test_pause_holds_mail_back_and_cont_lets_it_go(suite):
    deliver(suite, "not held")
    with suite.smtp() as s:
        assert mailctl(suite, "pause").returncode == 0
        s.sendmail("carol@elsewhere.example", ["alice@example.com"],
                   b"Subject: held\r\n\r\nhello\r\n")
    assert suite.queue_ids() != []
    for verb, text in [("stat", r"^{} +paused "), ("status", r"^{} +PAUSED: mailctl cont")]:
        r = mailctl(suite, verb)
        assert r.returncode == 111
        for service in "smtpd", "pop3", "send":
            assert re.search(text.format(service), r.stdout, re.M), r.stdout
    r = mailctl(suite, "cont")
    assert r.returncode == 0, r.stderr
    suite.wait_empty_queue()
    assert any(b"Subject: held" in m
               for m in suite.mailbox("alice@example.com"))


def test_start_waits_for_a_supervisor_that_is_late(own_suite):
    """As on a slow machine, or after an upgrade that brings a service."""
    suite = own_suite.start()
    new = suite.home / "service/new"
    new.mkdir()
    (new / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (new / "run").chmod(0o755)
    assert suite.run("mailctl", "start") == ""
    assert re.search("^new +up ", suite.run("mailctl", "stat"), re.M)


@pytest.fixture(scope="module")
def idle_suite():
    """Not started, and left as it is."""
    with prepared() as s:
        yield s


def test_restart_without_a_supervisor_says_so(idle_suite):
    r = mailctl(idle_suite, "restart")
    assert (r.returncode, r.stderr) == (111, "mailctl: no supervisor is running\n")


def test_stat_without_a_supervisor_says_so(idle_suite):
    r = mailctl(idle_suite, "stat")
    assert r.returncode == 111
    assert r.stdout.count("no supervisor is running") >= 5


def test_bad_rules_are_named_and_the_old_stay(idle_suite):
    old = (idle_suite.home / "rules/smtp.cdb").read_bytes()
    (idle_suite.home / "rules/smtp").write_text(":allow\n1.2.3.4:perhaps\n")
    r = mailctl(idle_suite, "cdb")
    assert r.returncode == 111
    assert "rules/smtp" in r.stderr
    assert (idle_suite.home / "rules/smtp.cdb").read_bytes() == old


@pytest.mark.parametrize("args", [[], ["frobnicate"]])
def test_misuse_is_named(idle_suite, args):
    r = mailctl(idle_suite, *args)
    assert r.returncode == 100
    assert r.stderr.startswith("usage: mailctl start|stop|")


def test_queue_shows_what_is_queued(own_suite):
    (own_suite.home / "control/concurrencyremote").write_text("0\n")
    own_suite.start()
    subprocess.run([own_suite.home / "bin/sendmail", "-f", "alice@example.com",
                    "dave@elsewhere.example"], check=True, timeout=20,
                   input=b"Subject: waits\n\nhello\n",
                   env={**postern.env(own_suite.home), "PATH": os.environ["PATH"]})
    own_suite.wait_log("send", "info msg")
    r = mailctl(own_suite, "queue")
    assert r.returncode == 0
    assert "dave@elsewhere.example" in r.stdout


def test_service_that_is_off_stays_off_until_its_down_file_goes(own_suite):
    (own_suite.home / "control/qmtpport").write_text(f"{suites.free_port()}\n")
    own_suite.start()
    assert mailctl(own_suite, "stop").returncode == 0
    assert mailctl(own_suite, "start").returncode == 0
    r = mailctl(own_suite, "stat")
    assert r.returncode == 0 and re.search("^qmtpd +off$", r.stdout, re.M)
    (own_suite.home / "service/qmtpd/down").unlink()
    subprocess.run([postern.TREE / "tools/instfiles", "", str(own_suite.home)],
                   cwd=postern.TREE, check=True)
    assert not (own_suite.home / "service/qmtpd/down").exists()
    own_suite.rules("qmtp", ":deny\n")
    assert mailctl(own_suite, "start").returncode == 0
    r = mailctl(own_suite, "stat")
    assert r.returncode == 0 and re.search("^qmtpd +up ", r.stdout, re.M)


def test_variable_in_env_reaches_the_service(own_suite):
    (own_suite.home / "service/smtpd/env").mkdir()
    (own_suite.home / "service/smtpd/env/DATABYTES").write_text("100\n")
    own_suite.start()
    with own_suite.smtp() as s:
        s.ehlo()
        assert s.esmtp_features["size"] == "100"


def test_status_is_for_people(own_suite):
    own_suite.start()
    deliver(own_suite, "first")
    own_suite.wait_log("send", "end msg")
    r = mailctl(own_suite, "status")
    assert r.returncode == 0, r.stdout + r.stderr
    rows = dict(re.match(r"(\S+(?: hour)?) +(.*)", line).groups()
                for line in r.stdout.splitlines())
    assert rows[suites.HOST]
    for s in suites.SERVICES:
        assert re.search(rf"\b{s} \d+ s", rows["services"]), r.stdout
    assert rows["queue"] == "0 messages"
    assert rows["last hour"] == "1 in, 1 delivered, 0 put off, 0 failed, 0 refused"
    assert "% used" in rows["disk"]

    (own_suite.home / "queue/mess/17").mkdir(exist_ok=True)
    (own_suite.home / "queue/bad/1").write_text("x")
    subprocess.run(["s6-svc", "-wD", "-d", own_suite.home / "service/pop3"], check=True,
                   timeout=20)
    r = mailctl(own_suite, "status")
    assert r.returncode == 111
    assert re.search("^pop3 +NOT UP", r.stdout, re.M)
    assert re.search("^damaged +1 SET ASIDE", r.stdout, re.M)


def test_logs_are_readable_and_in_order(suite):
    deliver(suite, "logged")
    suite.wait_log("send", "end msg")
    r = mailctl(suite, "logs", "-n", "100")
    assert r.returncode == 0 and r.stderr == ""
    lines = r.stdout.splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ ", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line[:29])
    # each logger gives its own times: of two services any may be first
    for text in ("smtpd: info: accepted", "new msg", "end msg"):
        assert any(text in line for line in lines)
    only = mailctl(suite, "logs", "send").stdout
    assert "new msg" in only and "smtpd:" not in only
    for wrong in (["nonsense"], ["../etc"], ["-x"], ["-n", "many"]):
        assert mailctl(suite, "logs", *wrong).returncode in (100, 111)
