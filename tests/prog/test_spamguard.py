"""tools/spamguard on logs as services write them."""
import os
import re
import subprocess
import time

import loglib
import postern
import pytest

CONF = 'wcnt = 10\nbcnt = 20\npcnt = 100\nsysadmin = "admin@example.com"\n'


class Guard:
    def __init__(self, home, scratch):
        self.home, self.scratch = home, scratch
        self.logs = loglib.Services(home / "log")
        (home / "rules/smtp").write_text('127.:allow,RELAYCLIENT=""\n10.0.0.5:allow,RELAYCLIENT=""\n:allow')
        self.mails = scratch / "mails"
        self.mails.mkdir()
        self.queue = scratch / "keep"
        self.queue.write_text(f"#!/bin/sh\nn=$(ls {self.mails} | wc -l)\ncat >{self.mails}/$n.txt\n"
                              f"cat <&1 >{scratch}/envelope\n")
        self.queue.chmod(0o755)
        self.conf(CONF)

    def conf(self, text):
        (self.home / "control/spamguard").write_text(text)

    def run(self, *args, ok=True, **env):
        self.logs.done()
        r = subprocess.run([self.home / "bin/spamguard", *map(str, args)], capture_output=True, text=True, timeout=60,
                           env=postern.env(self.home, TZ="UTC0", QMAILQUEUE=str(self.queue), **env))
        assert not ok or (r.returncode, r.stderr) == (0, ""), r
        return r

    def once(self, **more):
        return self.run("-1", **more)

    def listed(self):
        return self.run("-l").stdout.split("\n")[:-1]

    def send(self, n, ip="192.0.2.7", sender="x@y.example", user=None, ago=5):
        t = time.time() - ago
        for i in range(n):
            self.logs.accept(t + i * .001, ip, sender, ["a@example.com", "b@example.com"], user=user)

    def mail(self):
        return [(self.mails / f).read_text() for f in sorted(os.listdir(self.mails))]

    def check(self, ip):
        return subprocess.run([self.home / "bin/rulescheck", "rules/smtp.cdb"], cwd=self.home, text=True,
                              env=postern.env(self.home, TCPREMOTEIP=ip), capture_output=True).stdout


@pytest.fixture
def guard(home, scratch):
    return Guard(home, scratch)


def test_below_every_limit_nothing_happens(guard):
    guard.send(9)
    guard.once()
    assert guard.listed() == [] and guard.mail() == [] and not (guard.home / "rules/smtp.blocked").exists()


def test_warning_is_a_mail_with_the_evidence(guard):
    guard.send(10)
    guard.once()
    [m] = guard.mail()
    assert "\nTo: admin@example.com\n" in m and "Subject: [spamguard] over the limit: 192.0.2.7\n" in m
    assert m.count("    20") == 10 and "192.0.2.7 from <x@y.example> to <a@example.com> session " in m
    assert (guard.scratch / "envelope").read_bytes() == b"F\0Tadmin@example.com\0\0"
    assert guard.listed() == []
    guard.once()
    assert len(guard.mail()) == 1


def test_client_is_blocked_by_a_rule_that_ends(guard):
    guard.send(20)
    guard.send(9, ip="192.0.2.8")
    guard.once()
    [line] = guard.listed()
    m = re.match(r"client 192.0.2.7 until (\S+) \(20 messages\)$", line)
    assert 3500 < time.mktime(time.strptime(m[1], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time() < 3601
    assert f"192.0.2.7:deny until {m[1]}\n" in (guard.home / "rules/smtp.blocked").read_text()
    assert "deny connection" in guard.check("192.0.2.7") and "allow" in guard.check("192.0.2.8")
    assert 'RELAYCLIENT' in guard.check("10.0.0.5")
    assert "blocked until" in guard.mail()[0] and "spamguard -u 192.0.2.7" in guard.mail()[0]
    # the administrator's next "mailctl cdb" leaves it in force
    subprocess.run([guard.home / "bin/mailctl", "cdb"], env=postern.env(guard.home), check=True, capture_output=True)
    assert "deny connection" in guard.check("192.0.2.7")


def test_own_rule_of_an_address_does_not_save_it(guard):
    guard.send(20, ip="10.0.0.5")
    guard.once()
    assert "deny connection" in guard.check("10.0.0.5")


def test_lifted_with_one_command(guard):
    guard.send(20)
    guard.send(20, ip="192.0.2.9")
    guard.once()
    guard.run("-u", "192.0.2.7")
    assert "allow" in guard.check("192.0.2.7") and "deny" in guard.check("192.0.2.9")
    # counting begins anew
    guard.send(5)
    guard.once()
    assert [l.split()[1] for l in guard.listed()] == ["192.0.2.9"]
    guard.run("-u", "all")
    assert guard.listed() == [] and "allow" in guard.check("192.0.2.9")
    assert guard.run("-u", "192.0.2.7", ok=False).returncode == 100


def until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(.1)
    assert true()


def test_ipv6_clients_are_networks(guard):
    for i in range(20):
        guard.send(1, ip=f"2001:db8:1:2::{i:x}")
    guard.once()
    assert guard.listed()[0].startswith("client 2001:db8:1:2::/64 ")
    assert "deny" in guard.check("2001:db8:1:2:9::9") and "allow" in guard.check("2001:db8:1:3::1")


def test_this_host_itself_is_never_blocked(guard):
    guard.send(150, ip="127.0.0.1")
    guard.send(150, ip="::1")
    guard.once()
    assert guard.listed() == [] and guard.mail() == []


def test_recipients_of_one_message_are_one_message(guard):
    t = time.time() - 5
    for i in range(9):
        guard.logs.accept(t + i * .01, "192.0.2.7", "x@y.example", [f"r{j}@example.com" for j in range(50)])
    guard.once()
    assert guard.mail() == []


def test_messages_by_qmtp_are_one_line_each(guard):
    t = time.time() - 5
    for i in range(10):
        guard.logs.smtpd.line(t + i * .01, "qmtpd: info: accepted session=s ip=192.0.2.7 from=<a@b> recipients=3 size=9")
    guard.once()
    assert "192.0.2.7: 10 messages" in guard.mail()[0]


def test_several_messages_of_one_session_all_count(guard):
    session = guard.logs.connect(time.time() - 6, "192.0.2.7")
    for i in range(10):
        guard.logs.accept(time.time() - 5 + i * .01, "192.0.2.7", "x@y.example", ["a@b.example"], session=session)
    guard.once()
    assert "192.0.2.7: 10 messages" in guard.mail()[0]


def test_window_slides(guard):
    guard.send(1, ago=1000)
    guard.once()
    for ago in (900, 450, 4):
        guard.send(9, ago=ago)
    guard.once()
    assert guard.listed() == [] and guard.mail() == []
    guard.send(11, ago=3)
    guard.once()
    assert len(guard.listed()) == 1


def test_counts_add_up_over_calls_and_rotations(guard):
    for log in (guard.logs.smtpd,):
        log.size = 2000
    for i in range(5):
        guard.send(4, ago=5)
        guard.once()
        assert len(guard.listed()) == (i == 4)
    assert len(list((guard.home / "log/smtpd").glob("@*"))) > 3
    assert "(20 messages)" in guard.listed()[0]


def test_old_logs_are_history(guard):
    guard.send(50, ago=4000)
    guard.once()
    assert guard.listed() == [] and guard.mail() == []


def test_after_a_pause_what_was_is_told_and_not_blocked(guard):
    guard.send(1)
    guard.once()
    guard.send(50, ip="192.0.2.9", ago=4)
    state = guard.home / "state/spamguard"
    guard.conf(CONF + "blocktime = 1\n")
    time.sleep(1)
    guard.once()
    assert guard.listed() == [] and "long ago" in guard.mail()[0]
    assert state.stat().st_mode & 0o077 == 0


def test_ignored_and_high(guard):
    (guard.home / "control/ignore").write_text("# ours\n192.0.2.7\n2001:db8:*\n")
    (guard.home / "control/high").write_text("192.0.2.[89]\n")
    guard.conf(CONF + 'ignorefile = "control/ignore"\nhighfile = "control/high"\n')
    guard.send(150)
    guard.send(150, ip="2001:db8::1")
    guard.send(99, ip="192.0.2.8")
    guard.send(100, ip="192.0.2.9")
    guard.once()
    [line] = guard.listed()
    assert line.startswith("client 192.0.2.9 ") and "not blocked: on the high list" in guard.mail()[0]
    # paranoid: a day, not an hour
    until = time.strptime(line.split()[3], "%Y-%m-%dT%H:%M:%SZ")
    assert time.mktime(until) - time.timezone - time.time() > 23 * 3600


def test_authenticated_users(guard):
    for args in (["vadddomain", "example.com", "secret"], ["vadduser", "joe@example.com", "secret"],
                 ["vmoduser", "-p", "joe@example.com"]):
        subprocess.run([guard.home / "bin" / args[0], *args[1:]], env=postern.env(guard.home), check=True, capture_output=True)
    flags = lambda: int((guard.home / "domains/example.com/vpasswd").read_text().split("joe:")[1].split(":")[2])
    guard.send(20, user="Joe@Example.com")
    guard.send(20, user="nobody@elsewhere.example", ip="192.0.2.9")
    guard.once()
    # not the address: others may sit behind it
    assert [l.split()[:2] for l in guard.listed()] == [["user", "joe@example.com"]]
    assert flags() == 0x802
    assert "not blocked: not a user of a virtual domain" in guard.mail()[0]
    guard.run("-u", "joe@example.com")
    assert flags() == 0x2 and guard.listed() == []


def test_blocks_end_by_themselves(guard):
    for args in (["vadddomain", "example.com", "secret"], ["vadduser", "joe@example.com", "secret"]):
        subprocess.run([guard.home / "bin" / args[0], *args[1:]], env=postern.env(guard.home), check=True, capture_output=True)
    flags = lambda: int((guard.home / "domains/example.com/vpasswd").read_text().split("joe:")[1].split(":")[2])
    guard.conf(CONF + "blocktime = 6\n")
    guard.send(20, user="joe@example.com", ago=0)
    guard.send(20, ago=0)
    guard.once()
    assert len(guard.listed()) == 2 and flags() == 0x800
    assert "192.0.2.7" in (guard.home / "rules/smtp.blocked").read_text()
    # the rule without help, the flag with the next round
    until(lambda: "allow" in guard.check("192.0.2.7") and guard.listed() == [])

    def lifted():
        guard.once()
        return flags() == 0
    until(lifted)
    assert "192.0.2.7" not in (guard.home / "rules/smtp.blocked").read_text()


ORIGINAL = '''#spamguard 1.6 Configuration file
logtype = "qmail" #log type qmail, sendmail, postfix
logfile = "%s/current" #
highfile = "%s/high"
ignorefile = "%s/spam-ignore.txt" #
badmailfile = "control/badmailfrom" #
sysadmin = "admin@domain.com" #
hostname = "domain.com" #
mail_command = "/usr/bin/mail"
makemap_command = "makemap hash /etc/mail/access < /etc/mail/access"
#sendmail , postfix only
wcnt = 10 #Warning Count
bcnt = 20 #Blocking Count
pcnt = 100 #Paranoid Count
statfile = "%s/spamguard.stat";
'''


@pytest.fixture
def original(guard, scratch):
    """EnderUNIX's configuration, on a log of qmail-send by multilog."""
    s = guard.scratch
    log = loglib.Log(s / "qmail", leap=10)
    (s / "spam-ignore.txt").write_text("*@sans.org\npostmaster@domain.com\n")
    (s / "high").write_text("list@*\n")
    (s / "spamguard.conf").write_text(ORIGINAL % (s / "qmail", s, s, s))
    guard.badmail = guard.home / "control/badmailfrom"
    guard.badmail.write_text("@spam.example\nold@bad.example")
    guard.badmail.chmod(0o640)

    def feed(sender, n):
        for i in range(n):
            t = time.time() - 3
            feed.id += 1
            log.line(t, f"new msg {feed.id}")
            log.line(t, f"info msg {feed.id}: bytes 5 from <{sender}> qp {feed.id} uid 7")
        log.done()
    feed.id = 100
    guard.feed = feed
    guard.file = s / "spamguard.conf"
    return guard


def test_original_configuration(original):
    original.feed("spammer@bulk.example", 20)
    original.feed("news@sans.org", 200)
    original.feed("list@lists.example", 50)
    original.feed("LIST@other.example", 100)
    original.feed("", 200)
    original.feed("#@[]", 200)
    original.run("-1", "-f", original.file)
    lines = original.badmail.read_text().splitlines()
    # highfile is read, and does not change pcnt
    assert lines[:2] == ["@spam.example", "old@bad.example"]
    assert sorted(lines[2:]) == ["list@other.example", "spammer@bulk.example"]
    assert original.badmail.stat().st_mode & 0o777 == 0o640
    [m] = original.mail()
    assert "To: admin@domain.com" in m and "From: spamguard@domain.com" in m
    original.run("-f", original.file, "-u", "spammer@bulk.example")
    assert original.badmail.read_text().splitlines() == ["@spam.example", "old@bad.example", "list@other.example"]


def test_lines_of_the_administrator_stay(original):
    original.feed("old@bad.example", 30)
    original.run("-1", "-f", original.file)
    assert original.badmail.read_text() == "@spam.example\nold@bad.example"
    assert "in badmailfile already" in original.mail()[0]


WIDE = ["@gmail.example", "x`touch${IFS}/tmp/owned`@y.example", "a@b@c.example", "#c@d.example", "!x@y.example",
        "$(reboot)@x.example", "x@[1.2.3.4]", "*@y.example", "x@*"]


def test_senders_that_would_mean_more_are_not_written_down(original):
    for sender in WIDE:
        original.feed(sender, 30)
    original.run("-1", "-f", original.file)
    assert original.badmail.read_text() == "@spam.example\nold@bad.example"
    [m] = original.mail()
    for sender in WIDE:
        assert f"sender {sender.lower()}: 20 messages in 300 s, not blocked: not a plain address" in m


MISTAKES = [
    ("ignorefil = x\n", "line 1: unknown key: ignorefil"), ("wcnt = 20\nbcnt = 10\n", "wcnt < bcnt < pcnt"),
    ("wcnt = many\n", "line 1: not a number"), ("logtype = sendmail\n", "only postern and qmail"),
    ("# x\nsomething\n", "line 2: not key = value"), ('sysadmin = "x\n', "line 1: a quote without"),
    ("count = user everything\n", "neither user, client nor sender"), ("rules = ../etc/passwd\n", "not a name below rules"),
    ("window = 5\n", "from 10 to 86400")]


def test_mistakes_are_named(guard):
    for text, word in MISTAKES:
        guard.conf(text)
        r = guard.run("-1", ok=False)
        assert r.returncode == 100 and word in r.stderr, text


def test_alerts_are_limited(guard):
    guard.conf(CONF + "alerts = 2\n")
    if time.time() % 3600 > 3570:   # they count by the hour
        time.sleep(35)
    for i in range(5):
        guard.send(10, ip=f"192.0.2.{i + 1}")
        guard.once()
    assert len(guard.mail()) == 2
    state = guard.home / "state/spamguard"
    state.write_text(re.sub(r"alerts \d+", "alerts 5", state.read_text()))
    guard.send(10, ip="192.0.2.99")
    guard.once()
    assert len(guard.mail()) == 3 and "3 more were not told" in guard.mail()[2]


def test_rules_that_do_not_compile_leave_the_old_ones(guard):
    guard.send(20)
    good = (guard.home / "rules/smtp").read_text()
    (guard.home / "rules/smtp").write_text("nonsense\n")
    r = guard.run("-1", ok=False)
    assert r.returncode == 111 and "not in force: rules/smtp.blocked" in r.stderr
    (guard.home / "rules/smtp").write_text(good)
    guard.once()
    assert "deny" in guard.check("192.0.2.7")


def test_queue_that_refuses_loses_no_block(guard):
    guard.queue.write_text("#!/bin/sh\nexit 53\n")
    guard.send(20)
    r = guard.run("-1", ok=False)
    assert r.returncode == 111 and "alert not sent" in r.stderr and len(guard.listed()) == 1


def test_hostile_log(guard):
    guard.logs.smtpd.raw(b"\0\xff\x1b[31m" * 300000 + b"\n", time.time())
    guard.send(20)
    guard.logs.smtpd.line(time.time() - 1, "smtpd: info: accepted session=s ip=1.2.3.4:deny from=<a> to=<b> qp=7")
    guard.once()
    assert [l.split()[1] for l in guard.listed()] == ["192.0.2.7"]


def test_clock_that_was_ahead(guard):
    t = time.time() + 86400
    for i in range(15):
        guard.logs.accept(t + i, "192.0.2.7", "x@y.example", ["a@example.com"])
    guard.once()
    # a time that is still to come counts as now
    assert "10 messages" in guard.mail()[0]
    guard.send(5, ago=0)
    guard.once()
    assert len(guard.listed()) == 1


def test_state_of_another_program_begins_anew(guard):
    (guard.home / "state/spamguard").write_text("4711 0815\n")
    guard.send(20)
    r = guard.run("-1", ok=False)
    assert r.returncode == 0 and "not a state of ours" in r.stderr and len(guard.listed()) == 1


def test_reader_has_no_rights(guard):
    """The calls of the process that reads a log, from its filter on."""
    guard.send(3000)
    guard.logs.done()
    r = subprocess.run(["strace", "-ff", "-o", guard.scratch / "trace", guard.home / "bin/spamguard", "-1"],
                       env=postern.env(guard.home, QMAILQUEUE=str(guard.queue)), capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    readers = [t for t in (f.read_text() for f in guard.scratch.glob("trace.*")) if "SECCOMP_SET_MODE_FILTER" in t]
    assert readers
    for text in readers:
        before, after = text.split("SECCOMP_SET_MODE_FILTER", 1)
        assert re.search(r"^setresuid\([1-9]", before, re.M)
        calls = set(re.findall(r"^(\w+)\(", after, re.M))
        assert "read" in calls and calls <= {"read", "write", "exit_group", "brk", "mmap", "munmap", "madvise"}


def test_many_clients_in_little_memory(guard):
    t = time.time() - 20
    for i in range(30000):
        guard.logs.accept(t + i * .0005, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", "x@y.example", ["a@example.com"])
    guard.send(25)
    guard.logs.done()
    lines = sum(f.read_bytes().count(b"\n") for f in guard.home.glob("log/*/*"))
    assert lines > 100000
    r = subprocess.run(["/usr/bin/python3", "-c",
                        "import resource,subprocess; subprocess.run(['bin/spamguard','-1'],check=True);"
                        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"],
                       cwd=guard.home, env=postern.env(guard.home, QMAILQUEUE=str(guard.queue)), capture_output=True, text=True)
    assert [l.split()[1] for l in guard.listed()] == ["192.0.2.7"]
    assert int(r.stdout) < 40000
