"""What reads logs, on those of the running suite: trace, mailreport, spamguard; fail2ban and awstats."""
import contextlib
import datetime
import re
import smtplib
import subprocess
import time

import conftest
import pytest
import suite as suites

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
BALANCER = "127.0.0.9"


class Proxied(smtplib.SMTP):
    """A client whose address a load balancer tells, at 127.0.0.9."""
    client = "192.0.2.77"

    def _get_socket(self, host, port, timeout):
        s = super()._get_socket(host, port, timeout)
        family = "TCP6" if ":" in self.client else "TCP4"
        s.sendall(f"PROXY {family} {self.client} {self.client} 40000 25\r\n".encode())
        return s


@pytest.fixture(scope="module")
def busy():
    """A suite in which known things have happened."""
    with conftest.prepared("alice@example.com", "bob@example.com") as s:
        s.day = time.localtime().tm_yday
        s.start()
        for i in range(3):
            s.send("x@y.example", ["alice@example.com", "bob@example.com"], MESSAGE)
        with s.smtp() as c:
            for i in range(2):
                c.sendmail("two@y.example", ["bob@example.com"], MESSAGE)
        for to in ("nobody@example.com", "z@elsewhere.example"):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                s.send("x@y.example", [to], MESSAGE, source="127.0.0.2")
        s.send("x@y.example", ["z@elsewhere.example"], MESSAGE)     # put off: nobody listens
        with pytest.raises(Exception):
            s.mailbox("alice@example.com", "wrong")
        s.wait_mail("alice@example.com", 3)
        s.wait_mail("bob@example.com", 5)
        s.wait_log("send", "deferral")
        suites.wait_until(lambda: s.log("send").count("end msg") == 5, 10, "all ends")
        s.wait_log("smtpd", "elsewhere.example> size=")
        yield s


def test_trace_shows_the_way_of_a_message(busy):
    accepted = [l for l in busy.log("smtpd").splitlines() if "accepted" in l and "<two@y.example>" in l]
    first, second = (re.search(r" id=(\d+)", l)[1] for l in accepted)
    out = busy.run("trace", first)
    for word in ["listen: ok", f"queued: info: queued id={first}", f"new msg {first}", "accepted ip=127.0.0.1",
                 "to local example.com-bob@example.com", "success: did_1+0+0/", f"end msg {first}", "listen: end",
                 "1 delivered, 0 failed, 0 put off; finished"]:
        assert word in out, (word, out)
    # it came through the same connection
    assert second not in out
    session = re.search(r"session=(\S+)", accepted[0])[1]
    assert second in busy.run("trace", session) and first in busy.run("trace", session)
    assert "reason=no_mailbox" in busy.run("trace", "nobody@example.com")
    assert "not finished" in busy.run("trace", "z@elsewhere.example")


def test_times_are_right(busy):
    out = busy.run("trace", "two@y.example")
    first = datetime.datetime.strptime(re.search(r"session \S+, (\S+ [\d:]+)", out)[1], "%Y-%m-%d %H:%M:%S")
    assert abs((datetime.datetime.now() - first).total_seconds()) < 120


def test_mailreport_counts_what_was_sent(busy):
    text = busy.run("mailreport")
    c = {m[2]: int(m[1]) for m in re.finditer(r"^ +(\d+)  (.+)$", text, re.M)}
    if busy.day != time.localtime().tm_yday:
        pytest.skip("midnight went by")
    assert {k: c[k] for k in ["messages", "recipients accepted from the network", "refused", "delivered here",
                              "failed here", "put off elsewhere", "logins refused"]} == {
        "messages": 6, "recipients accepted from the network": 9, "refused": 2, "delivered here": 8,
        "failed here": 0, "put off elsewhere": 1, "logins refused": 1}
    assert c["x@y.example"] == 4 and c["two@y.example"] == 2 and c["no_mailbox"] == 1 and c["rcpthosts"] == 1


def test_page_and_mail_and_metrics(busy):
    www = busy.home / "www"
    www.mkdir()
    busy.run("mailreport", "-o", www, "-m", "alice@example.com")
    assert "x@y.example" in (www / "index.html").read_text()
    assert any(b"Subject: mail of mx.test.example on " in m for m in busy.wait_mail("alice@example.com", 4))
    m = busy.run("mailreport", "--metrics")
    assert 'postern_refused_total{reason="no_mailbox"} 1' in m
    assert 'postern_deliveries_total{channel="remote",result="deferral"} 1' in m


def test_fail2ban_reads_our_logs(busy, tmp_path):
    """The filters that INSTALL shows, by fail2ban's own tester."""
    text = (suites.postern.TREE / "INSTALL").read_text()
    filters = re.findall(r"(/etc/fail2ban/filter\.d/(\S+)\.conf):\n\n((?:\t.*\n)+)", text)
    assert [f[1] for f in filters] == ["postern-login", "postern-smtp"]
    for (path, name, body), log, want in zip(filters, ["authd", "smtpd"], ["127.0.0.1", "127.0.0.2"]):
        conf = tmp_path / f"{name}.conf"
        conf.write_text(body.replace("\t", ""))
        r = subprocess.run(["fail2ban-regex", "--print-all-matched", busy.home / "log" / log / "current", conf],
                           capture_output=True, text=True, timeout=60)
        n = int(re.search(r"Lines: .* (\d+) matched", r.stdout)[1])
        assert n == {"authd": 1, "smtpd": 2}[log], r.stdout
        assert f"{want}" in r.stdout


AWSTATS = '''LogFile="%s/log"
LogType=M
LogFormat="%%time2 %%email %%email_r %%host %%host_r %%method %%url %%code %%bytesd"
SiteDomain="mx.test.example"
DirData="%s"
DNSLookup=0
ShowEMailSenders=HBML
ShowEMailReceivers=HBML
'''


def test_awstats_reads_our_logs(busy, tmp_path):
    """By the command that INSTALL shows."""
    text = (suites.postern.TREE / "INSTALL").read_text()
    command = text[text.index("\ts6-tai64nlocal <"):]
    command = command[:command.index("standard 2026")] + "standard " + str(datetime.date.today().year)
    r = subprocess.run(["/bin/sh", "-c", command], cwd=busy.home, capture_output=True, text=True, timeout=60)
    (tmp_path / "log").write_text(r.stdout)
    (tmp_path / "awstats.mail.conf").write_text(AWSTATS % (tmp_path, tmp_path))
    subprocess.run(["perl", "/usr/lib/cgi-bin/awstats.pl", "-config=mail", f"-configdir={tmp_path}", "-update"],
                   capture_output=True, timeout=60, check=True)
    [data] = tmp_path.glob("awstats*.mail.txt")
    # hits are deliveries: 3 messages for two, and one put off
    assert re.search(r"^BEGIN_EMAILSENDER.*^x@y\.example 6 ", data.read_text(), re.M | re.S), r.stdout


@pytest.fixture
def guarded():
    with conftest.prepared("alice@example.com") as s:
        run = s.home / "service/smtpd/run"
        run.write_text(run.read_text().replace("listen -v -U", f"listen -v -U -y {BALANCER}"))
        (s.home / "profiles/smtpd.local").write_text("exec /bin /usr/bin /lib /lib64 /usr/lib\n")    # true(1)
        (s.home / "service/spamguard/down").unlink()
        (s.home / "control/spamguard").write_text(
            'wcnt = 3\nbcnt = 5\npcnt = 5000\nblocktime = 8\nsysadmin = alice@example.com\n')
        s.rules("smtp", ':allow,PLAINTEXTAUTH=""\n')
        yield s.start()


def proxied(s, ip):
    class C(Proxied):
        client = ip
    return C("127.0.0.1", s.smtp_port, timeout=20, local_hostname="client.test.example", source_address=(BALANCER, 0))


def refused(connect):
    try:
        connect().close()
    except (smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected, smtplib.SMTPAuthenticationError):
        return True
    return False


def test_spamguard_blocks_who_sends_too_much_and_lets_go(guarded):
    """A client, and a user who comes from somewhere else."""
    def client():
        return proxied(guarded, "192.0.2.77")

    def user():
        c = proxied(guarded, "192.0.2.78")
        c.login("alice@example.com", "secret")
        return c

    def until_refused(connect, sender):
        """Goes on sending: a block that nobody has seen would be made anew."""
        deadline = time.monotonic() + 60
        while not refused(connect):
            assert time.monotonic() < deadline, guarded.log("spamguard")
            with contextlib.suppress(smtplib.SMTPException), connect() as c:
                c.sendmail(sender, ["alice@example.com"], MESSAGE)
            time.sleep(.2)

    for connect, sender in ((client, "x@y.example"), (user, "alice@example.com")):
        until_refused(connect, sender)
    # where the user has come from is not blocked, nor is somebody else
    for ip in ("192.0.2.78", "192.0.2.79"):
        with proxied(guarded, ip) as c:
            c.sendmail("x@y.example", ["alice@example.com"], MESSAGE)
    for what in ("client=192.0.2.77", "user=alice@example.com"):
        guarded.wait_log("spamguard", f"spamguard: warning: blocked {what} count=")
    suites.wait_until(lambda: any(b"[spamguard]" in m for m in guarded.mailbox("alice@example.com")), 20, "an alert")
    for connect in (client, user):
        suites.wait_until(lambda: not refused(connect), 60, "the end of the block: " + guarded.log("spamguard"))
    suites.wait_until(lambda: guarded.run("spamguard", "-l") == "", 30, "no block")


def test_reader_and_guard_are_confined(guarded):
    table = dict(re.findall(r"^\t(\S+)\s+(root|postern-\S+)\s.*\byes\b", (suites.postern.TREE / "SECURITY").read_text(), re.M))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not guarded.named("spamguard"):
        time.sleep(.05)
    [pid] = guarded.named("spamguard")[:1]
    status = dict(l.split(":\t", 1) for l in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in l)
    assert table["spamguard"] == "root" and table["spamguard-read"] == "postern-popup"
    assert status["Uid"].split() == ["0"] * 4 and (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert int(status["CapEff"], 16) == 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7
