import os
import re
import socket
import ssl
import subprocess

import pytest

import postern
import suite as suites

SUPERVISORS = ["s6-svscan", "svscan", "runsvdir"]


def mailctl(suite, *args):
    return subprocess.run([suite.home / "bin/mailctl", *args], text=True,
                          env=postern.env(suite.home), capture_output=True,
                          timeout=60)


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


def change_run(suite, service, old, new):
    run = suite.home / "service" / service / "run"
    text = run.read_text()
    assert old in text
    run.write_text(text.replace(old, new))


@pytest.mark.parametrize("service", AT_ONCE)
def test_restart_and_start_wait_for_one_that_is_slow(own_suite, service):
    (own_suite.home / "service/dmarcd/down").unlink()
    own_suite.run("dkimkey", "example.com")
    own_suite.start(wait=False)
    assert own_suite.run("mailctl", "start") == ""
    change_run(own_suite, service, "exec confine", "sleep 2\nexec confine")
    before = mailctl(own_suite, "stat").stdout
    assert own_suite.run("mailctl", "restart") == ""
    assert AT_ONCE[service](own_suite)
    pid = re.compile(rf"^{service} +up .* pid (\d+)$", re.M)
    assert pid.search(before)[1] != pid.search(own_suite.run("mailctl", "stat"))[1]

    own_suite.run("mailctl", "stop")
    assert own_suite.run("mailctl", "start") == ""
    assert AT_ONCE[service](own_suite)


def test_one_that_does_not_come_back_is_named(own_suite):
    own_suite.start()
    change_run(own_suite, "authd", "exec confine", "exec sleep 1000\nexec confine")
    r = mailctl(own_suite, "restart")
    assert (r.returncode, r.stderr) == (
        111, "mailctl: authd: is up, but does not answer: mailctl logs authd\n")
    assert AT_ONCE["smtpd"](own_suite)


def test_one_that_cannot_start_says_why(own_suite):
    """As where an old mail server has the port."""
    with socket.create_server(("127.0.0.1", own_suite.smtp_port)):
        own_suite.start(wait=False)
        r = mailctl(own_suite, "start")
        assert (r.returncode, r.stderr) == (
            111, "mailctl: smtpd: still not up: listen: fatal: unable to bind 127.0.0.1 port "
            f"{own_suite.smtp_port}: Address in use\n")


def test_restart_does_not_fail_for_a_delivery_that_lasts(own_suite):
    fifo = own_suite.home / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    (own_suite.home / "alias/.qmail-slow").write_text(f"|read x <{fifo}\n")
    own_suite.run("usersmake")
    own_suite.start()
    own_suite.send("carol@elsewhere.example", [f"slow@{suites.HOST}"], b"a: b\r\n\r\nc\r\n")
    own_suite.wait_log("send", "starting delivery")
    [before] = own_suite.named("send")
    r = mailctl(own_suite, "restart")
    assert (r.returncode, r.stderr) == (
        0, "mailctl: send: starts anew when the deliveries under way have ended\n")
    assert own_suite.named("send") == [before]
    fifo.write_text("x\n")
    suites.wait_until(lambda: own_suite.named("send") not in ([], [before]), 30, "new send")
    deliver(own_suite, "afterwards")


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


def test_reload_and_doqueue_reach_send(own_suite):
    own_suite.start()
    deliver(own_suite, "first")
    before = own_suite.named("send")
    assert mailctl(own_suite, "reload").returncode == 0
    assert mailctl(own_suite, "doqueue").returncode == 0
    deliver(own_suite, "still there")
    assert own_suite.named("send") == before


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


def test_pause_holds_mail_back_and_cont_lets_it_go(own_suite):
    own_suite.start()
    deliver(own_suite, "first")
    with own_suite.smtp() as s:
        assert mailctl(own_suite, "pause").returncode == 0
        s.sendmail("carol@elsewhere.example", ["alice@example.com"],
                   b"Subject: held\r\n\r\nhello\r\n")
    assert own_suite.queue_ids() != []
    for verb, text in [("stat", r"^{} +paused "), ("status", r"^{} +PAUSED: mailctl cont")]:
        r = mailctl(own_suite, verb)
        assert r.returncode == 111
        for service in "smtpd", "pop3", "send":
            assert re.search(text.format(service), r.stdout, re.M), r.stdout
    r = mailctl(own_suite, "cont")
    assert r.returncode == 0, r.stderr
    own_suite.wait_empty_queue()
    assert any(b"Subject: held" in m
               for m in own_suite.mailbox("alice@example.com"))


def test_start_waits_for_a_supervisor_that_is_late(own_suite):
    """As on a slow machine, or after an upgrade that brings a service."""
    suite = own_suite.start()
    new = suite.home / "service/new"
    new.mkdir()
    (new / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (new / "run").chmod(0o755)
    assert suite.run("mailctl", "start") == ""
    assert re.search("^new +up ", suite.run("mailctl", "stat"), re.M)


def test_restart_without_a_supervisor_says_so(own_suite):
    r = mailctl(own_suite, "restart")
    assert (r.returncode, r.stderr) == (111, "mailctl: no supervisor is running\n")


def test_stat_without_a_supervisor_says_so(own_suite):
    r = mailctl(own_suite, "stat")
    assert r.returncode == 111
    assert r.stdout.count("no supervisor is running") >= 5


def test_bad_rules_are_named_and_the_old_stay(own_suite):
    old = (own_suite.home / "rules/smtp.cdb").read_bytes()
    (own_suite.home / "rules/smtp").write_text(":allow\n1.2.3.4:perhaps\n")
    r = mailctl(own_suite, "cdb")
    assert r.returncode == 111
    assert "rules/smtp" in r.stderr
    assert (own_suite.home / "rules/smtp.cdb").read_bytes() == old


@pytest.mark.parametrize("args", [[], ["frobnicate"]])
def test_misuse_is_named(own_suite, args):
    r = mailctl(own_suite, *args)
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


def test_logs_are_readable_and_in_order(own_suite):
    own_suite.start()
    deliver(own_suite, "first")
    own_suite.wait_log("send", "end msg")
    r = mailctl(own_suite, "logs", "-n", "100")
    assert r.returncode == 0 and r.stderr == ""
    lines = r.stdout.splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ ", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line[:29])
    # each logger gives its own times: of two services any may be first
    for text in ("smtpd: info: accepted", "new msg", "end msg"):
        assert any(text in line for line in lines)
    only = mailctl(own_suite, "logs", "send").stdout
    assert "new msg" in only and "smtpd:" not in only
    for wrong in (["nonsense"], ["../etc"], ["-x"], ["-n", "many"]):
        assert mailctl(own_suite, "logs", *wrong).returncode in (100, 111)
