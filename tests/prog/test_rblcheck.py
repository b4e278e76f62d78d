import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import postern
from dnsstub import A, LIES, TXT, DnsStub, Later, rr, txt
from nsd import Nsd

RBLCHECK = postern.TREE / "rblcheck/rblcheck"
SELF = b"\xc0\x0c"
DIALOGUE = (b"HELO a\r\nEHLO b\r\nMAIL FROM:<x@y>\r\nRCPT TO:<a@b>\r\nDATA\r\n"
            b"NOOP\r\nRSET\r\nVRFY x\r\nHELP\r\nfoo\r\n\r\n heLO\r\nheLO:x\r\nhelo\nquit\r\n")


@pytest.fixture
def base(scratch):
    """A home with dnsq and no settings."""
    for d in "bin", "control":
        (scratch / d).mkdir()
    shutil.copy(postern.TREE / "rblcheck/dnsq", scratch / "bin/dnsq")
    return scratch


class Result:
    def __init__(self, p, took):
        self.out, self.code = p.stdout, p.returncode
        self.log, self.took = p.stderr.decode(), took
        self.ran = b"ran\n" in p.stdout

    def line(self, event):
        found = [x for x in self.log.splitlines() if f": {event} " in x]
        assert len(found) == 1, self.log
        return found[0]


def check(base, *args, stub=None, stdin=b"", ip="192.0.2.7", prog=("echo", "ran"), **env):
    e = {"PATH": "/usr/bin:/bin", "POSTERN_HOME": str(base), "DNSCACHEIP": "127.0.0.1:1"}
    if ip is not None:
        e["TCPREMOTEIP"] = ip
    if stub:
        e["DNSCACHEIP"] = stub.address
    e.update(env)
    start = time.time()
    p = subprocess.run([RBLCHECK, *args, *prog], input=stdin, capture_output=True,
                       timeout=30, env=e)
    return Result(p, time.time() - start)


def zones(**kinds):
    """A handler: list name (dots as _) to A codes, text, or a callable."""
    table = {k.replace("_", "."): v for k, v in kinds.items()}

    def handler(q):
        for zone, what in table.items():
            if not q.name.endswith("." + zone):
                continue
            if callable(what):
                return what(q)
            codes, text = what
            if q.kind == A:
                return q.a(*codes) if codes else q.reply()
            return q.reply(*([rr(SELF, TXT, txt(text))] if text else []))
        return q.reply(rcode=3)
    return handler


def refused(result, text=b"451"):
    assert not result.ran
    return text in result.out


LISTED = (["127.0.0.2"], b"you are listed")

# rblsmtpd's dialogue, compared with rblsmtpd's


@pytest.mark.parametrize("value", ["go away", "-bounce me", "x" * 300, "caf\xe9\x1b\t", "", None])
@pytest.mark.parametrize("args", [[], ["-t", "0"], ["-b"], ["-B", "-C"]])
def test_same_dialogue_as_rblsmtpd(base, value, args):
    env = {} if value is None else {"RBLSMTPD": value}
    ours = check(base, *args, stdin=DIALOGUE, **env)
    theirs = subprocess.run(["rblsmtpd", *args, "echo", "ran"], input=DIALOGUE,
                            capture_output=True, timeout=30,
                            env={"PATH": "/usr/bin:/bin", "TCPREMOTEIP": "192.0.2.7", **env})
    assert ours.out == theirs.stdout and ours.code == theirs.returncode


def test_end_of_input_and_half_a_line_as_rblsmtpd(base):
    ours = check(base, stdin=b"helo a\r\nquit", RBLSMTPD="x")
    assert ours.out == b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n" and ours.code == 0


def test_a_line_without_end(base):
    ours = check(base, stdin=b"x" * 100000 + b"\r\nquit\r\n", RBLSMTPD="x")
    assert ours.out == b"220 rblsmtpd.local\r\n451 x\r\n221 rblsmtpd.local\r\n"


def test_conversation_ends_after_the_timeout(base):
    p = subprocess.Popen([RBLCHECK, "-t", "1", "true"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         env={"RBLSMTPD": "x", "POSTERN_HOME": str(base)})
    start = time.time()
    assert p.wait(5) == 0 and 0.9 < time.time() - start < 5
    p.stdin.close()
    p.stdout.close()


def test_dialogue_of_the_reference_deployment(base):
    say = b"mail from:<me>\r\nrcpt to:<me>\r\nquit\r\n"
    text = b"Listed by ORDB - for testing purposes only"
    with DnsStub(zones(relays_example=(["127.0.0.2"], text))) as stub:
        got = check(base, "-r", "relays.example", stub=stub, stdin=say, ip="127.0.0.2")
    assert got.out == (b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n451 " + text +
                       b"\r\n221 rblsmtpd.local\r\n")
    assert [q.name for q in stub.seen] == ["2.0.0.127.relays.example"] * 2


# no list, no cost

def test_without_lists_the_program_runs_at_once(base):
    got = check(base)
    assert got.ran and not got.log


def test_empty_variable_stops_all_lookups(base):
    with DnsStub(zones(bl_example=LISTED)) as stub:
        got = check(base, "-r", "bl.example", stub=stub, RBLSMTPD="")
        assert got.ran and not stub.seen


# lists

def test_not_listed(base):
    with DnsStub(zones()) as stub:
        got = check(base, "-r", "bl.example", stub=stub)
    assert got.ran and "verdict=pass" in got.line("checked") and "not=bl.example" in got.log


def test_listed_by_a_record_alone(base):
    with DnsStub(zones(bl_example=(["127.0.0.4"], None))) as stub:
        got = check(base, "-r", "bl.example", stub=stub, stdin=DIALOGUE)
    assert refused(got, b"451 192.0.2.7 is listed by bl.example\r\n")
    assert "listed=bl.example:127.0.0.4" in got.line("checked")


def test_listed_by_text_alone(base):
    with DnsStub(zones(bl_example=([], b"old list"))) as stub:
        assert refused(check(base, "-r", "bl.example", stub=stub, stdin=DIALOGUE), b"451 old list\r\n")


def test_text_alone_is_no_listing_where_codes_are_given(base):
    with DnsStub(zones(bl_example=([], b"old list"))) as stub:
        assert check(base, "-r", "bl.example=127.0.0.2", stub=stub).ran


@pytest.mark.parametrize("message,text", [
    ("bl.example:see http://x/?%IP%&%IP%", b"451 see http://x/?192.0.2.7&192.0.2.7\r\n"),
    ("bl.example message=no: %IP", b"451 no: %IP\r\n")])
def test_message_of_ones_own(base, message, text):
    with DnsStub(zones(bl_example=LISTED)) as stub:
        assert refused(check(base, "-r", message, stub=stub, stdin=DIALOGUE), text)


@pytest.mark.parametrize("codes,code,blocked", [
    ("127.0.0.2", "127.0.0.2", True), ("127.0.0.2", "127.0.0.3", False),
    ("127.0.0.2-11", "127.0.0.11", True), ("127.0.0.2-11", "127.0.0.12", False),
    ("127.0.0.2,127.0.0.9-10", "127.0.0.10", True), ("127.0.*.3", "127.0.77.3", True),
    ("127.*.*.*", "127.255.255.254", False), ("127.0.0.1", "127.0.0.1", True)])
def test_codes(base, codes, code, blocked):
    with DnsStub(zones(bl_example=([code], b"x"))) as stub:
        assert check(base, "-r", "bl.example=" + codes, stub=stub).ran != blocked


@pytest.mark.parametrize("code", ["8.8.8.8", "127.255.255.252", "127.255.255.254", "127.0.0.1"])
def test_codes_that_mean_trouble_never_list_but_are_logged(base, code):
    with DnsStub(zones(bl_example=([code], b"Error: open resolver"))) as stub:
        for closed in "-C", "-c":
            got = check(base, closed, "-r", "bl.example", stub=stub)
            assert got.ran and f"error=bl.example:{code}" in got.line("checked")
            assert got.log.startswith("rblcheck: warning: ")


def test_one_of_several_codes_lists(base):
    with DnsStub(zones(bl_example=(["127.255.255.254", "8.8.8.8", "127.0.0.3"], None))) as stub:
        got = check(base, "-r", "bl.example", stub=stub)
    assert refused(got, b"") and "listed=bl.example:127.0.0.3" in got.log


def test_ipv6_is_asked_for_in_nibbles(base):
    with DnsStub(zones(bl_example=LISTED)) as stub:
        got = check(base, "-r", "bl.example", stub=stub, ip="2001:db8::a1")
        assert not got.ran
        assert stub.seen[0].name == "1.a.0.0." + "0.0.0.0." * 5 + "8.b.d.0.1.0.0.2.bl.example"


def test_ipv4_in_ipv6_is_ipv4(base):
    with DnsStub(zones(bl_example=LISTED)) as stub:
        assert not check(base, "-r", "bl.example", stub=stub, ip="::ffff:192.0.2.7").ran
        assert stub.seen[0].name == "7.2.0.192.bl.example"


def test_bounce(base):
    with DnsStub(zones(bl_example=LISTED)) as stub:
        assert refused(check(base, "-b", "-r", "bl.example", stub=stub, stdin=DIALOGUE),
                       b"553 you are listed\r\n")


def test_options_act_on_the_sources_behind_them(base):
    with DnsStub(zones(one_example=LISTED, two_example=(["127.0.0.2"], b"second"))) as stub:
        got = check(base, "-b", "-r", "none.example", "-B", "-r", "two.example", "-b",
                    "-r", "one.example", stub=stub, stdin=DIALOGUE)
    assert refused(got, b"451 second\r\n")


@pytest.mark.parametrize("order,ran", [
    (["-a", "white.example", "-r", "bl.example"], True),
    (["-r", "bl.example", "-a", "white.example"], False)])
def test_order_of_lists_is_order_of_meaning(base, order, ran):
    with DnsStub(zones(bl_example=LISTED, white_example=(["127.0.0.2"], None))) as stub:
        assert check(base, *order, stub=stub).ran == ran


def test_weights_and_score(base):
    with DnsStub(zones(one_example=LISTED, two_example=LISTED, good_example=LISTED)) as stub:
        def ran(*lists):
            args = sum((["-r", x] for x in lists), [])
            return check(base, "-s", "5", *args, stub=stub).ran
        assert ran("one.example weight=2", "two.example weight=2")
        assert not ran("one.example weight=2", "two.example weight=3")
        assert ran("good.example weight=-4", "one.example weight=4", "two.example weight=4")


def test_text_of_64_kilobytes_is_cut(base):
    def handler(q):
        if q.kind == A:
            return q.a("127.0.0.2")
        return q.reply(rr(SELF, TXT, txt(*[b"x" * 255] * 200))) if q.tcp else q.reply(flags=0x8380)
    with DnsStub(handler) as stub:
        assert refused(check(base, "-r", "bl.example", stub=stub, stdin=DIALOGUE), b"451 " + b"x" * 200 + b"\r\n")


# failures

SERVFAIL = staticmethod(lambda q: q.reply(rcode=2)).__func__


def silence(q):
    return None


@pytest.mark.parametrize("lie", LIES)
def test_lies_list_nobody(base, lie):
    with DnsStub(LIES[lie]) as stub:
        got = check(base, "-d", "1", "-r", "bl.example", stub=stub, stdin=DIALOGUE)
        closed = check(base, "-d", "1", "-c", "-r", "bl.example", stub=stub, stdin=DIALOGUE)
    assert got.ran and got.took < 4 and b"believed" not in closed.out
    if lie == "another's record":   # there is none of ours
        assert closed.ran and "not=bl.example/" in got.log
    else:
        assert refused(closed, b"451 temporary RBL lookup error\r\n") and "failed=bl.example:" in got.log


@pytest.mark.parametrize("args,ran,text", [
    (["-r", "down.example"], True, b""),
    (["-C", "-r", "down.example"], True, b""),
    (["-c", "-r", "down.example"], False, b"451 temporary RBL lookup error\r\n"),
    (["-b", "-c", "-r", "down.example"], False, b"451 temporary RBL lookup error\r\n"),
    (["-a", "down.example", "-r", "bl.example"], True, b""),
    (["-c", "-a", "down.example", "-r", "bl.example"], False, b"451 you are listed\r\n"),
    (["-c", "-b", "-a", "down.example", "-r", "bl.example"], False, b"451 you are listed\r\n"),
    (["-b", "-r", "down.example", "-r", "bl.example"], False, b"451 you are listed\r\n")])
def test_fail_open_and_closed_as_rblsmtpd(base, args, ran, text):
    with DnsStub(zones(down_example=SERVFAIL, bl_example=LISTED)) as stub:
        got = check(base, *args, stub=stub, stdin=DIALOGUE)
    assert got.ran == ran and text in got.out
    line = got.line("checked")
    assert "failed=down.example:servfail" in line and " warning: " in line


def test_silent_list_is_named_and_mail_goes_on(base):
    with DnsStub(zones(slow_example=silence, bl_example=([], None))) as stub:
        got = check(base, "-d", "1", "-r", "slow.example", "-r", "bl.example", stub=stub)
    assert got.ran and got.took < 3.5
    assert "failed=slow.example:timeout" in got.line("checked")


def test_nobody_listens_at_the_resolver(base):
    got = check(base, "-r", "bl.example")
    assert got.ran and got.took < 3 and "unreachable" in got.log


def test_without_dnsq_mail_goes_on_and_nobody_is_killed(base):
    """In a process namespace: a kill of process -1 must not leave it."""
    (base / "bin/dnsq").unlink()
    script = "sleep 20 & s=$!; %s -r bl.example echo ran; kill $s && echo alive" % RBLCHECK
    p = subprocess.run(["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", script],
                       capture_output=True, timeout=30,
                       env={"PATH": "/usr/bin:/bin", "POSTERN_HOME": str(base),
                            "TCPREMOTEIP": "192.0.2.7"})
    assert p.stdout == b"ran\nalive\n" and b"failed=bl.example:no-dnsq" in p.stderr


def test_want_of_descriptors_is_told_from_a_list_that_is_down(base):
    os.rename(base / "bin/dnsq", base / "bin/real")
    (base / "bin/dnsq").write_text('#!/bin/sh\nulimit -n 4\nexec "${0%dnsq}real" "$@"\n')
    (base / "bin/dnsq").chmod(0o755)
    with DnsStub(zones(bl_example=LISTED)) as stub:
        got = check(base, "-r", "none.example", "-r", "bl.example", stub=stub)
        assert got.ran and "not=none.example/" in got.log and "failed=bl.example:nodescriptors/" in got.line("checked")
        assert refused(check(base, "-c", "-r", "none.example", "-r", "bl.example", stub=stub, stdin=DIALOGUE),
                       b"451 temporary RBL lookup error\r\n")


def test_dnsq_that_hangs_is_killed(base):
    (base / "bin/dnsq").write_text("#!/bin/sh\nexec sleep 60\n")
    got = check(base, "-d", "1", "-r", "bl.example")
    assert got.ran and got.took < 10 and "timeout" in got.log


def test_dnsq_that_says_too_much_is_not_heard_to_the_end(base):
    (base / "bin/dnsq").write_text("#!/bin/sh\nhead -c 300000 /dev/zero\nexec sleep 60\n")
    got = check(base, "-d", "8", "-r", "bl.example")
    assert got.ran and "failed=bl.example:no-answer/" in got.log and got.took < 7


def test_dnsq_that_talks_nonsense(base):
    (base / "bin/dnsq").write_text(
        "#!/bin/sh\nhead -c 200000 /dev/zero\necho; echo '1 a'; echo '99 a x answer - x 127.0.0.2'\n")
    assert check(base, "-r", "bl.example").ran


def test_client_without_address(base):
    assert check(base, "-r", "bl.example", ip=None).ran
    assert not check(base, "-c", "-r", "bl.example", ip="nonsense").ran


def test_eight_lists_that_answer_after_a_second(base):
    def slow(q):
        return Later(1, q.reply(rcode=3))
    with DnsStub(slow) as stub:
        args = sum((["-r", f"l{i}.example"] for i in range(8)), [])
        got = check(base, *args, stub=stub)
    assert got.ran and 1 <= got.took < 4 and got.log.count("not=") == 8


def test_the_first_that_decides_is_not_kept_waiting(base):
    with DnsStub(zones(bl_example=LISTED, slow_example=silence)) as stub:
        got = check(base, "-r", "bl.example", "-r", "slow.example", stub=stub)
    assert not got.ran and got.took < 3 and "skipped=slow.example" in got.log


def test_log_tells_how_long_each_list_took(base):
    table = zones(quick_example=LISTED, slow_example=lambda q: Later(.6, q.reply(rcode=3)), dead_example=silence)
    with DnsStub(table) as stub:
        got = check(base, "-d", "1", "-s", "9", "-r", "slow.example", "-r", "quick.example", "-r", "dead.example",
                    stub=stub)
    ms = {k: int(v) for k, v in re.findall(r" \w+=(\w+)\.example[^ ]*/(\d+)ms", got.line("checked"))}
    assert 600 <= ms["slow"] < 1000 and ms["quick"] < ms["slow"]
    assert "failed=dead.example:timeout/" in got.log and 1000 <= ms["dead"] < 3000


def test_list_that_was_not_waited_for_has_no_time(base):
    with DnsStub(zones(bl_example=LISTED, slow_example=silence)) as stub:
        got = check(base, "-r", "bl.example", "-r", "slow.example", stub=stub)
    assert got.line("checked").endswith(" skipped=slow.example")


# control/dnsbl

def dnsbl(base, text):
    (base / "control/dnsbl").write_text(text)


def test_lists_of_the_file(base):
    dnsbl(base, "# lists\n\nallow white.example\nbl.example=127.0.0.2-4 weight=3 bounce"
          " message=no %IP% here\n")
    with DnsStub(zones(bl_example=LISTED)) as stub:
        assert refused(check(base, "-s", "3", stub=stub, stdin=DIALOGUE),
                       b"553 no 192.0.2.7 here\r\n")
    with DnsStub(zones(bl_example=LISTED, white_example=LISTED)) as stub:
        assert check(base, "-s", "3", stub=stub).ran


@pytest.mark.parametrize("line", [
    "bl..example", "bl.example=", "bl.example=127.0.0", "bl.example=127.0.0.256", "bl.example=1.2.3.4,",
    "bl.example=127.0.0.9-2", "bl.example weight=x", "bl.example weight=", "bl.example weihgt=2",
    "bl.example=127.0.0.2x", "allow ", "b l", "x" * 64 + ".example", "\x1b[m"])
def test_mistake_in_the_file(base, line):
    dnsbl(base, "good.example\n" + line + "\n")
    got = check(base)
    assert got.code == 111 and not got.ran and "control/dnsbl" in got.log
    assert got.out.startswith(b"421 ")


def test_too_many_lists(base):
    dnsbl(base, "".join(f"l{i}.example\n" for i in range(33)))
    assert "too many lists" in check(base).log


@pytest.mark.parametrize("args", [["-Z"], ["-t", "x"], ["-r", "x..y"], ["-d", "0"], ["-w", "-1"], ["-s", ""]])
def test_mistake_in_options(base, args):
    got = check(base, *args)
    assert got.code == 100 and not got.ran


def test_no_program(base):
    assert check(base, "-b", prog=()).code == 100


def test_lists_of_names_are_handed_to_the_server(base):
    dnsbl(base, "name dbl.example=127.0.1.2-99\nname other.example\n")
    got = check(base, prog=("printenv", "RHSBL"))
    assert got.out == b"dbl.example=127.0.1.2-99\nother.example\n" and not got.log


# marking

@pytest.mark.parametrize("args,value", [([], b"you are listed\n"), (["-b"], b"-you are listed\n")])
def test_only_mark(base, args, value):
    with DnsStub(zones(bl_example=LISTED)) as stub:
        got = check(base, "-i", *args, "-r", "bl.example", stub=stub, prog=("printenv", "RBLSMTPD"))
    assert got.out == value and "verdict=mark" in got.log


def test_mark_not_needed(base):
    with DnsStub(zones()) as stub:
        got = check(base, "-i", "-r", "bl.example", stub=stub, prog=("printenv", "RBLSMTPD"))
    assert got.code == 1 and got.out == b""


def test_mark_is_printable_and_says_no_bounce_by_itself(base):
    with DnsStub(zones(bl_example=(["127.0.0.2"], b"-a\nb\x1b" + b"x" * 240))) as stub:
        got = check(base, "-i", "-r", "bl.example", stub=stub, prog=("printenv", "RBLSMTPD"))
    assert re.fullmatch(rb" -a\?b\?x{195}\n", got.out)


# log

def test_refused_recipients_are_logged(base):
    got = check(base, stdin=b"HELO evil\x1b\r\nMAIL FROM:<s@x.y> SIZE=1\r\nRCPT TO:<a@b>\r\n"
                b"rcpt to: c@d\r\n", RBLSMTPD="go away")
    lines = [x for x in got.log.splitlines() if "refused" in x]
    assert len(lines) == 2
    assert "ip=192.0.2.7 list=RBLSMTPD helo=evil\\x1b from=<s@x.y> rcpt=<a@b> reply=451\\x20go" in lines[0]
    assert "rcpt=<c@d>" in lines[1]


def test_client_that_names_no_recipient_is_logged_once(base):
    got = check(base, stdin=b"quit\r\n", RBLSMTPD="go away")
    assert "helo= from=<> reply=" in got.line("refused")


def test_log_of_many_recipients_is_bounded(base):
    got = check(base, stdin=b"RCPT TO:<a@b>\r\n" * 1000, RBLSMTPD="go away")
    assert got.log.count("refused") == 20 and got.out.count(b"451 ") == 1000


def test_session_id_is_shared_with_the_server(base):
    with DnsStub(zones()) as stub:
        got = check(base, "-r", "bl.example", stub=stub, prog=("printenv", "POSTERN_SESSION"))
    assert f"session={got.out.decode().strip()} " in got.line("checked")


def test_client_that_has_gone_is_logged_all_the_same(base):
    p = subprocess.Popen([RBLCHECK, "true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE,
                         env={"RBLSMTPD": "x", "POSTERN_HOME": str(base)})
    p.stdout.close()
    log = p.communicate(b"noop\r\n" * 2000)[1]
    assert p.returncode == 0 and b"refused" in log


# early talkers

def talk(base, args, early, late=b"", **env):
    a, b = socket.socketpair()
    p = subprocess.Popen([RBLCHECK, *args, "sh", "-c", "echo 220 ran; cat"], stdin=b, stdout=b,
                         stderr=subprocess.PIPE,
                         env={"PATH": "/usr/bin:/bin", "POSTERN_HOME": str(base),
                              "TCPREMOTEIP": "192.0.2.7", **env})
    b.close()
    start = time.time()
    if early:
        a.sendall(early)
    a.settimeout(10)
    got = a.recv(4096)
    took = time.time() - start
    a.sendall(late)
    a.shutdown(socket.SHUT_WR)
    while True:
        more = a.recv(4096)
        if not more:
            break
        got += more
    a.close()
    log = p.stderr.read().decode()
    p.stderr.close()
    p.wait(10)
    return got, log, took


def test_client_that_speaks_first_is_refused(base):
    got, log, took = talk(base, ["-w", "5"], b"HELO x\r\n", b"RCPT TO:<a@b>\r\nquit\r\n")
    assert took < 4 and b"ran" not in got and "list=early" in log
    assert b"250 rblsmtpd.local\r\n451 protocol error" in got


def test_lists_asked_about_a_client_that_speaks_first_are_logged(base):
    with DnsStub(zones()) as stub:
        _, log, _ = talk(base, ["-w", "3", "-r", "bl.example"], b"HELO x\r\n", b"quit\r\n", DNSCACHEIP=stub.address)
    assert " verdict=early " in log and "bl.example" in log


def test_quiet_client_waits_and_is_served(base):
    got, log, took = talk(base, ["-w", "1"], b"", b"hello\n")
    assert got == b"220 ran\nhello\n" and 0.9 < took < 5 and not log


def test_greetdelay(base):
    _, _, with_delay = talk(base, ["-W"], b"", GREETDELAY="1")
    _, _, without = talk(base, ["-W"], b"")
    assert with_delay > 0.9 and without < with_delay


def test_client_that_leaves_is_no_early_talker(base):
    p = subprocess.run([RBLCHECK, "-w", "3", "echo", "ran"], stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=10, env={"PATH": "/usr/bin:/bin",
                                                             "POSTERN_HOME": str(base)})
    assert p.stdout == b"ran\n"


def test_client_that_hangs_up_is_no_early_talker(base):
    a, b = socket.socketpair()
    a.close()
    p = subprocess.run([RBLCHECK, "-w", "2", "echo", "ran"], stdin=b, capture_output=True, timeout=20,
                       env={"PATH": "/usr/bin:/bin", "POSTERN_HOME": str(base)})
    b.close()
    assert p.stdout == b"ran\n" and not p.stderr


def test_lookups_and_silence_run_side_by_side(base):
    def slow(q):
        return Later(3, q.reply(rcode=3))
    with DnsStub(slow) as stub:
        _, _, took = talk(base, ["-w", "3", "-r", "bl.example"], b"", DNSCACHEIP=stub.address)
    assert took < 5.9


# the postmaster's way in

SERVER = r"""
import sys
w = sys.stdout.buffer
r = sys.stdin.buffer
log = open(sys.argv[1], "ab")
def say(s): w.write(s + b"\r\n"); w.flush()
say(b"220-real\r\n220 server")
data = False
for line in r:
    log.write(line); log.flush()
    if data:
        if line == b".\r\n":
            data = False
            say(b"250 queued")
        continue
    verb = line[:4].upper()
    if verb == b"DATA": data = True; say(b"354 go")
    elif verb == b"QUIT": say(b"221 bye"); break
    elif b"nobody" in line: say(b"550 no such mailbox")
    else: say(b"250 real")
"""


def postmaster(base, dialogue, *args):
    server = base / "server.py"
    server.write_text(SERVER)
    got = check(base, "-p", *args, stdin=dialogue, RBLSMTPD="go away",
                prog=("/usr/bin/python3", str(server), str(base / "seen")))
    seen = base / "seen"
    return got, seen.read_bytes() if seen.exists() else b""


def test_mail_for_the_postmaster_goes_through(base):
    body = b"Subject: x\r\n\r\n..dots\r\n.\nx\r\n\r.\r\n.\r\n"
    got, seen = postmaster(base, b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<other@x.y>\r\n"
                           b"RCPT TO:<PostMaster@x.y>\r\nRCPT TO:<third@x.y>\r\nDATA\r\n" + body +
                           b"RCPT TO:<postmaster@x.y>\r\nQUIT\r\n")
    assert got.out.split(b"\r\n") == [
        b"220 rblsmtpd.local", b"250 rblsmtpd.local", b"250 rblsmtpd.local", b"451 go away",
        b"250 real", b"451 go away", b"354 go", b"250 queued", b"451 go away",
        b"221 rblsmtpd.local", b""]
    assert seen == b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<PostMaster@x.y>\r\nDATA\r\n" + body


@pytest.mark.parametrize("rcpt", [
    b"RCPT TO:<postmaster%x@y>", b"RCPT TO:<postmasters@y>", b"RCPT TO:<x@postmaster>",
    b"RCPT TO:<postmaster>\rRCPT TO:<x@y>", b"RCPT TO:<postmaster>\0", b"RCPT TO:<@postmaster:x@y>"])
def test_others_do_not(base, rcpt):
    got, seen = postmaster(base, b"HELO c\r\nMAIL FROM:<a@b>\r\n" + rcpt + b"\r\nDATA\r\n")
    assert got.out.count(b"451 go away") == 2 and not seen


def test_server_that_refuses_the_postmaster(base):
    got, seen = postmaster(base, b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<postmaster@nobody>\r\n"
                           b"DATA\r\n")
    assert b"550 no such mailbox\r\n451 go away\r\n" in got.out and b"DATA" not in seen


def test_other_commands_do_not_reach_the_server(base):
    _, seen = postmaster(base, b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\nAUTH PLAIN x\r\n"
                         b"STARTTLS\r\nBDAT 3 LAST\r\nVRFY x\r\nNOOP\r\nHELP\r\n")
    assert seen == b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n"


def test_without_the_option_the_postmaster_is_refused_too(base):
    got = check(base, stdin=b"MAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n", RBLSMTPD="x")
    assert got.out.endswith(b"451 x\r\n")


def test_server_that_dies(base):
    got = check(base, "-p", stdin=b"MAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n" * 20 + b"QUIT\r\n",
                RBLSMTPD="x", prog=("true",))
    assert got.out.count(b"451 the mail server cannot be reached") == 20
    assert got.out.endswith(b"221 rblsmtpd.local\r\n")


BROKEN = b"451 the mail server cannot be reached (#4.3.0)\r\n"


@pytest.mark.parametrize("script", ["echo; cat", "echo 2; cat", "printf 220", "yes 220-endless",
                                    "head -c 100000 /dev/zero"])
def test_server_that_talks_nonsense(base, script):
    got = check(base, "-p", stdin=b"MAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\nQUIT\r\n", RBLSMTPD="x",
                prog=("sh", "-c", script))
    assert got.out == b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n" + BROKEN + b"221 rblsmtpd.local\r\n"


def test_a_client_starts_ten_servers_and_no_more(base):
    got = check(base, "-p", stdin=b"MAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n" * 30, RBLSMTPD="x",
                prog=("sh", "-c", f"echo x >>{base}/starts"))
    assert got.out.count(BROKEN) == 30 and (base / "starts").read_text().count("x") == 10


def test_server_that_dies_within_a_message(base):
    server = base / "server.py"
    server.write_text(SERVER.replace('say(b"354 go")', 'say(b"354 go"); sys.exit()'))
    got = check(base, "-p", RBLSMTPD="x", prog=("/usr/bin/python3", str(server), str(base / "seen")),
                stdin=b"MAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\nDATA\r\n" + b"x\r\n" * 100000 +
                b".\r\nNOOP\r\n")
    assert got.code == 0 and got.out.count(b"\r\n") == 5
    assert got.out.endswith(b"354 go\r\n451 the mail server cannot be reached (#4.3.0)\r\n")


# a real name server

@pytest.fixture
def nsd(scratch):
    with Nsd(scratch, "bl.example",
             "2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"Blocked, see https://bl.example/?127.0.0.2\"\n"
             "7.2.0.192 A 127.0.0.10\n*.100.51.198 A 127.0.0.3\n"
             "1.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2\n") as server:
        yield server.address


def test_against_nsd(base, nsd):
    def ask(ip, *args):
        return check(base, *args, "-r", "bl.example", ip=ip, DNSCACHEIP=nsd, stdin=DIALOGUE)
    assert refused(ask("127.0.0.2"), b"451 Blocked, see https://bl.example/?127.0.0.2\r\n")
    assert refused(ask("192.0.2.7"), b"451 192.0.2.7 is listed by bl.example\r\n")
    assert refused(ask("198.51.100.77", "-b"), b"553 198.51.100.77 is listed")
    assert refused(ask("2001:db8::a1"), b"451 2001:db8::a1 is listed")
    assert ask("192.0.2.8").ran


def test_behind_tcpserver_in_front_of_a_server(base, nsd):
    """The chain as an administrator writes it."""
    env = {"PATH": "/usr/bin:/bin", "POSTERN_HOME": str(base), "DNSCACHEIP": nsd}
    p = subprocess.Popen(["tcpserver", "-1HRl0", "127.0.0.2", "0", RBLCHECK, "-r", "bl.example",
                          "echo", "220 real"], env=env, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    try:
        port = int(p.stdout.readline())
        def greeting(source):
            with socket.create_connection(("127.0.0.2", port), 10, (source, 0)) as s:
                return s.makefile("rb").readline()
        assert greeting("127.0.0.2") == b"220 rblsmtpd.local\r\n"
        assert greeting("127.0.0.3") == b"220 real\n"
    finally:
        p.terminate()
        p.wait()
        p.stdout.close()
