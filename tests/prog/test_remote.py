"""remote, with servers that behave as told, and DNS that lies as told."""
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import pytest

from dnsstub import A, AAAA, CNAME, MX, DnsStub, name, rr
from hostile import EHLO, Close, Reset, Smtp
from locallib import message_file
from remotelib import BODY, Home, Job

SENT = b"Received: from x\r\nSubject: hi\r\n\r\nhello\r\n"
OK = b"K127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 queued as 1234\n"
ARGS = ("d.example", "s@a.example", "r@d.example")


@pytest.fixture
def home(scratch):
    return Home(scratch)


@pytest.fixture
def job(home):
    j = Job(home)
    yield j
    assert j.end() == 0


def once(home, *args, server=None, body=BODY, **answers):
    """One message to a server with these answers: (report, server)."""
    with Smtp(**answers) as s:
        home.to(s)
        return home.run(*(args or ARGS), body=body), s


# what is said and sent

def test_message_is_handed_over_and_reported_as_qmail_remote_does(home):
    report, s = once(home)
    assert report == [b"r", OK]
    assert s.messages == [SENT]
    assert s.sessions[0].commands[:4] == [
        b"EHLO me.example", b"MAIL FROM:<s@a.example> SIZE=40", b"RCPT TO:<r@d.example>", b"DATA"]


def test_recipients_have_reports_of_their_own(home):
    said = {b"b": b"550 5.1.1 no\r\n", b"c": b"450-later\r\n450 maybe\r\n"}
    report, s = once(home, "d.example", "", "a@d.example", "b@d.example", "c@d.example",
                     RCPT=lambda _, line: said.get(line[9:10], b"250 ok\r\n"))
    assert report == [
        b"r", b"h127.0.0.1 does not like recipient.\nRemote host said: 550 5.1.1 no\n",
        b"s127.0.0.1 does not like recipient.\nRemote host said: 450-later\n450 maybe\n", OK]
    assert s.commands[1] == b"MAIL FROM:<> SIZE=40" and len(s.messages) == 1


@pytest.mark.parametrize("ehlo", [EHLO, b"250 sink.example\r\n"])
def test_all_recipients_refused_nothing_is_sent(home, ehlo):
    report, s = once(home, RCPT=b"550 no\r\n", DATA=b"503 no recipients\r\n", EHLO=ehlo)
    assert report == [b"h127.0.0.1 does not like recipient.\nRemote host said: 550 no\n",
                      b"DGiving up on 127.0.0.1.\n"]
    assert s.messages == []


@pytest.mark.parametrize("moment, text", [
    ("MAIL", "Connected to 127.0.0.1 but sender was rejected.\n"),
    ("DATA", "127.0.0.1 failed on DATA command.\n"),
    ("END", "127.0.0.1 failed after I sent the message.\n")])
def test_refusals_have_qmails_words_and_letters(home, moment, text):
    for code, letter in ("554", "D"), ("451", "Z"):
        report, _ = once(home, **{moment: code.encode() + b" because\r\n"})
        assert report[-1] == f"{letter}{text}Remote host said: {code} because\n".encode()


def test_connection_lost_after_the_last_dot_may_be_a_duplicate(home):
    for end in Close(b""), Reset(b""), Close(b"250-half"):
        report, s = once(home, END=end)
        assert report[-1].startswith(b"ZConnected to 127.0.0.1 but connection died. "
                                     b"Possible duplicate! (#4.4.2)\n")


def test_connection_lost_earlier_is_no_duplicate(home):
    for moment in "MAIL", "RCPT", "DATA", "EHLO", "GREETING":
        report, _ = once(home, **{moment: Close(b"")})
        assert report[-1] == b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n" \
            b"It closed the connection.\n", moment


def test_no_connection(home):
    home.control(smtproutes=":127.0.0.1:1")
    assert home.run(*ARGS) == [
        b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"
        b"127.0.0.1: Connection refused.\n"]


def test_helo_where_ehlo_is_refused(home):
    report, s = once(home, EHLO=b"500 what\r\n")
    assert report == [b"r", OK]
    assert s.commands[:3] == [b"EHLO me.example", b"HELO me.example", b"MAIL FROM:<s@a.example>"]
    report, _ = once(home, EHLO=b"500 what\r\n", HELO=b"550 you\r\n")
    assert report == [b"ZConnected to 127.0.0.1 but my name was rejected.\n"
                      b"Remote host said: 550 you\n"]


def test_step_by_step_without_pipelining(home):
    """Each command comes after the answer to the one before."""
    seen = []

    def slow(session, line):
        time.sleep(0.1)
        seen.append(session.waiting())
        return b"250 ok\r\n"
    report, s = once(home, EHLO=b"250 x\r\n", MAIL=slow, RCPT=slow)
    assert report[-1] == OK and seen == [b"", b""]
    report, s = once(home, MAIL=slow)
    assert seen[2:] == [b"RCPT TO:<r@d.example>\r\nDATA\r\n"]


def test_too_large_for_size_is_not_sent(home):
    report, s = once(home, EHLO=b"250-x\r\n250 SIZE 39\r\n")
    assert report == [b"DConnected to 127.0.0.1 but the message is too large for it: "
                      b"40 bytes of at most 39. (#5.3.4)\n"]
    assert s.messages == [] and b"MAIL" not in s.sessions[0].verbs()
    for size in b"SIZE 40", b"SIZE 0", b"SIZE", b"SIZE 99999999999999999999999":
        assert once(home, EHLO=b"250-x\r\n250 " + size + b"\r\n")[0][-1] == OK


def test_8bit_needs_8bitmime_or_the_policy(home):
    body = "Subject: é\n\n".encode()
    report, s = once(home, body=body)
    assert report[-1] == OK and s.commands[1].endswith(b" SIZE=15 BODY=8BITMIME")
    report, s = once(home, body=body, EHLO=b"250 x\r\n")
    assert report[-1][:1] == b"D" and b"(#5.6.3)" in report[-1] and s.messages == []
    with Smtp(EHLO=b"250 x\r\n") as s:
        home.control(smtproutes=f":127.0.0.1:{s.port}|||send8")
        assert home.run(*ARGS, body=body)[-1] == OK
        assert s.messages == ["Subject: é\r\n\r\n".encode()]


@pytest.mark.parametrize("body, sent", [
    (b"", b""), (b"a", b"a\r\n"), (b".\n..\n.a", b"..\r\n...\r\n..a\r\n"),
    (b"a\r\nb\rc\r", b"a\r\nb c \r\n"), (b"\0\xff" * 3, b"\0\xff" * 3 + b"\r\n"),
    (b"x" * 200000, b"x" * 200000 + b"\r\n"), (b".\n" * 60000, b"..\r\n" * 60000),
    (b"\r" * 40000 + b"\n", b" " * 39999 + b"\r\n")], ids=range(8))
def test_body_on_the_wire(home, body, sent):
    report, s = once(home, body=body)
    assert report[-1] == OK
    assert s.messages == [sent]


SEQUENCES = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n",
             b"\n\r.\r\n", b"\r\r\n.\r\r\n", b"\n.\0\n"]


def test_no_sequence_ends_a_message_early_at_a_lenient_server(home, job):
    with Smtp(end=rb"(\r\n|\r|\n)\.(\r\n|\r(?!\n)|\n)") as s:
        home.to(s)
        for sequence in SEQUENCES:
            body = b"a" + sequence + b"MAIL FROM:<x@y>\nRCPT TO:<z@y>\nDATA\n"
            assert job.deliver(body=body) == [OK], sequence
        assert len(s.messages) == len(SEQUENCES)
        assert not any(b"x@y" in c for c in s.commands)


def test_message_may_come_through_a_pipe(home):
    with Smtp() as s:
        home.to(s)
        assert home.run(*ARGS, body=BODY * 5000, pipe=True)[-1] == OK
        assert s.messages == [SENT * 5000]


def test_wrong_arguments(home):
    assert home.run("d.example", "s@a.example") == [
        b"DI (remote) was invoked improperly. (#5.3.5)\n"]


def test_addresses_are_quoted_and_unspeakable_ones_refused_alone(home):
    report, s = once(home, "d.example", 'a"b@c.example', "x y@d.example", "a\nb@d.example")
    assert report == [b"r", b"hThe address cannot be sent by SMTP. (#5.1.3)\n", OK]
    assert s.commands[1:3] == [b'MAIL FROM:<"a\\"b"@c.example> SIZE=40',
                               b'RCPT TO:<"x y"@d.example>']
    report, s = once(home, "d.example", "a\r\nRSET@c.example", "r@d.example")
    assert report[-1] == b"DThe sender's address cannot be sent by SMTP. (#5.1.7)\n"
    assert b"MAIL" not in s.sessions[0].verbs()


# settings

def test_control_files_that_cannot_be_used(home):
    home.control(me="", smtproutes=":127.0.0.1:1")
    assert home.run(*ARGS)[0].startswith(b"ZUnable to read control files. (#4.3.0)\ncontrol/me: ")
    home.control(me="me.example", timeoutremote="soon")
    assert b"control/timeoutremote: Invalid argument" in home.run(*ARGS)[0]
    home.control(timeoutremote="3", smtproutes=":127.0.0.1:smtp")
    assert home.run(*ARGS) == [
        b"ZThe line for this message in control/smtproutes is malformed. (#4.3.5)\n"]


def test_helohost_and_me(home):
    home.control(helohost="other.example")
    assert once(home)[1].commands[0] == b"EHLO other.example"


def test_outgoingip_by_family_and_sender(home):
    home.control(outgoingip="127.0.0.7\na.example:127.0.0.9\na.example:::1")
    assert once(home)[1].sessions[0].peer[0] == "127.0.0.9"
    assert once(home, "d.example", "s@b.example", "r@d.example")[1].sessions[0].peer[0] == "127.0.0.7"
    home.control(outgoingip="0.0.0.0")
    assert once(home)[1].sessions[0].peer[0] == "127.0.0.1"


def test_ipv6_relay(home):
    with Smtp(host="::1") as s:
        home.to(s)
        assert home.run(*ARGS)[-1].startswith(b"K::1 accepted message.\n")


def test_authsenders_come_before_smtproutes(home):
    with Smtp() as s, Smtp() as other:
        home.to(other)
        home.control(authsenders=f"@a.example:127.0.0.1:{s.port}")
        assert home.run(*ARGS)[-1] == OK and len(s.messages) == 1
        assert home.run("d.example", "s@b.example", "r@d.example")[-1] == OK
        assert len(other.messages) == 1


PLAIN = b"AUTH PLAIN AG1lAHNlOmNyZXQ="


def auth(home, **answers):
    with Smtp(**answers) as s:
        home.control(smtproutes=f":127.0.0.1:{s.port}|me|se:cret")
        return home.run(*ARGS), s


def test_password_for_a_smarthost(home):
    report, s = auth(home, EHLO=b"250-x\r\n250 AUTH LOGIN PLAIN\r\n", AUTH=b"235 hello me\r\n")
    assert report[-1] == OK and s.commands[1] == PLAIN
    steps = {b"AUTH": b"334 VXNlcm5hbWU6\r\n", b"bWU=": b"334 UGFzc3dvcmQ6\r\n",
             b"c2U6Y3JldA==": b"235 hello me\r\n"}
    report, s = auth(home, EHLO=b"250-x\r\n250 AUTH LOGIN\r\n", AUTH=steps[b"AUTH"],
                     **{"BWU=": steps[b"bWU="], "C2U6Y3JLDA==": steps[b"c2U6Y3JldA=="]})
    assert report[-1] == OK


def test_password_that_is_refused_or_not_asked_for(home):
    report, s = auth(home, EHLO=b"250-x\r\n250 AUTH PLAIN\r\n", AUTH=b"535 no\r\n")
    assert report == [b"ZConnected to 127.0.0.1 but authentication was rejected.\n"
                      b"Remote host said: 535 no\n"]
    report, s = auth(home)
    assert b"offers no AUTH" in report[0] and report[0][:1] == b"Z"
    assert not any(c.startswith(b"AUTH") for c in s.commands)


# servers from hell

def hostile(home, **answers):
    begin = time.monotonic()
    report, s = once(home, **answers)
    assert time.monotonic() - begin < 15
    assert report[-1][:1] in b"ZDK" and sum(map(len, report)) < 10000
    for text in report:
        assert all(c == 10 or 32 <= c < 127 for c in text), text
    return report[-1]


@pytest.mark.parametrize("said", [
    b"220", b"250-", b"250-\n250\n", b"25\r\n", b"\r\n", b"\n", b"\0\0\0\r\n", b"HTTP/1.1 400 Bad\r\n",
    b"abc def\r\n", b"220\0\r\n", b"999 x\r\n", b"-50 x\r\n", b"2147483648 x\r\n"])
def test_greeting_that_is_none(home, said):
    assert hostile(home, GREETING=Close(said))[:1] == b"Z"


@pytest.mark.parametrize("moment", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_reply_without_end(home, moment):
    """Some of it is read, then we hang up."""
    for line in (b"250-x\r\n", b"250 x" + b"x" * 100000):
        assert hostile(home, **{moment: Close(line * (20_000_000 // len(line)))})[:1] == b"Z"


def test_reply_that_takes_too_long(home):
    home.control(timeoutremote="1")

    def slow(session, _):
        time.sleep(1.5)
        return b"250 ok\r\n"
    assert b"connection died. (#4.4.2)" in hostile(home, MAIL=slow)
    assert b"Possible duplicate!" in hostile(home, END=slow)


def test_reply_in_drips_has_one_deadline(home):
    home.control(timeoutremote="1")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        home.control(smtproutes=f":127.0.0.1:{listener.getsockname()[1]}")

        def drip():
            conn, _ = listener.accept()
            with conn:
                try:
                    for _ in range(60):
                        conn.sendall(b"2")
                        time.sleep(0.2)
                except OSError:
                    pass
        threading.Thread(target=drip, daemon=True).start()
        begin = time.monotonic()
        assert b"connection died" in home.run(*ARGS)[-1]
        assert time.monotonic() - begin < 9


def test_tarpit_is_left_after_three_times_the_patience(home):
    home.control(timeoutremote="1")
    recipients = [f"r{i}@d.example" for i in range(40)]
    begin = time.monotonic()
    report, _ = once(home, "d.example", "s@a.example", *recipients, EHLO=b"250 x\r\n",
                     RCPT=lambda *_: (time.sleep(0.3), b"250 ok\r\n")[1])
    assert report[-1].startswith(b"ZConnected to 127.0.0.1 but connection died.")
    assert time.monotonic() - begin < 9


def test_text_of_a_reply_is_made_harmless(home):
    said = b"550-a\rTroot@x\0\r\n550 \x1b[2J\xff\x80\r\n"
    report = hostile(home, MAIL=said)
    assert report.endswith(b"Remote host said: 550-a?Troot@x?\n550 ?[2J??\n")


def test_long_reply_is_cut(home):
    report = hostile(home, MAIL=b"".join(b"550-%d " % i + b"y" * 500 + b"\r\n" for i in range(99)) +
                     b"550 z\r\n")
    assert report[:1] == b"D" and len(report) < 3000 and report.endswith(b"...\n")


def test_replies_before_they_are_due(home):
    """None of them may be taken for what comes after."""
    assert hostile(home, GREETING=b"220 x\r\n250 x\r\n")[:1] == b"Z"
    assert hostile(home, EHLO=EHLO + b"250 x\r\n250 x\r\n354 go\r\n250 done\r\n")[:1] == b"Z"
    report = hostile(home, DATA=b"354 go\r\n250 2.0.0 already\r\n")
    assert report[:1] == b"Z" and b"before the message was sent" in report
    report = hostile(home, DATA=b"354 go\r\n554 I changed my mind\r\n")
    assert report == (b"D127.0.0.1 failed while I sent the message.\n"
                      b"Remote host said: 554 I changed my mind\n")


def test_data_accepted_though_no_recipient_was(home):
    report, s = once(home, RCPT=b"550 no\r\n")
    assert report[-1] == b"DGiving up on 127.0.0.1.\n"
    s.wait(lambda s: s.messages == [b""])


@pytest.mark.parametrize("moment", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_every_place_where_the_connection_can_end(home, moment):
    for cut in (Close(b""), Reset(b""), Close(b"2"), Close(b"250-x\r\n25")):
        text = hostile(home, **{moment: cut})
        assert text[:1] == b"Z"
        assert (b"Possible duplicate!" in text) == (moment == "END"), text


# which host: DNS

class Servers:
    """Servers at addresses of 127/8 with one port, and DNS that names them."""

    def __init__(self, home, *hosts, **answers):
        self.home, self.zone, self.at = home, {}, {}
        port = 0
        for h in hosts:
            self.at[h] = Smtp(host=h, port=port, **answers).__enter__()
            port = self.at[h].port
        # no relay: exchangers, at this port; loopback addresses are not us
        home.control(smtproutes=f"::{port}", notipme="127.0.0.0/8\n::1")
        self.dns = DnsStub(self.answer).__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.at.values():
            s.__exit__()
        self.dns.__exit__()

    def answer(self, q):
        found = self.zone.get((q.name, q.kind))
        if callable(found):
            return found(q)
        if found is None and not any(n == q.name for n, _ in self.zone):
            return q.reply(rcode=3)
        return q.reply(*[rr(b"\xc0\x0c", q.kind, d) for d in found or []])

    def mx(self, domain, *exchangers):
        self.zone[domain, MX] = [struct.pack(">H", p) + (name(n) if isinstance(n, str) else n)
                                 for p, n in exchangers]

    def a(self, host, *addresses):
        self.zone[host, A] = [socket.inet_aton(a) for a in addresses]

    def aaaa(self, host, *addresses):
        self.zone[host, AAAA] = [socket.inet_pton(socket.AF_INET6, a) for a in addresses]

    def send(self, domain="d.example"):
        return self.home.run(domain, "s@a.example", f"r@{domain}",
                             DNSCACHEIP=self.dns.address)[-1].decode()

    def went(self):
        return [h for h, s in self.at.items() for _ in s.messages]


def test_exchangers_in_order_of_preference(home):
    with Servers(home, "127.0.1.1", "127.0.1.2", "127.0.1.3") as s:
        s.mx("d.example", (30, "c.example"), (10, "b.example"), (20, "a.example"))
        s.a("a.example", "127.0.1.2")
        s.a("b.example", "127.0.1.1")
        s.a("c.example", "127.0.1.3")
        assert s.send().startswith("K127.0.1.1 accepted")
        s.at["127.0.1.1"].answers["GREETING"] = b"554 go away\r\n"
        assert s.send().startswith("K127.0.1.2 accepted")
        s.at["127.0.1.2"].answers["GREETING"] = Close(b"")
        assert s.send().startswith("K127.0.1.3 accepted")
        s.at["127.0.1.3"].answers["RCPT"] = b"450 busy\r\n"
        assert s.send().startswith("DGiving up on 127.0.1.3")


def test_exchangers_of_equal_preference_share_the_load(home):
    with Servers(home, "127.0.1.1", "127.0.1.2") as s:
        s.mx("d.example", (10, "a.example"), (10, "b.example"))
        s.a("a.example", "127.0.1.1")
        s.a("b.example", "127.0.1.2")
        for _ in range(60):
            s.send()
            if len(set(s.went())) == 2:
                break
        assert len(set(s.went())) == 2


def test_next_host_when_the_connection_breaks_before_the_message(home):
    for moment in ("EHLO", "MAIL", "RCPT", "DATA"):
        for says in (Close(b""), Close(b"421 closing\r\n")):
            with Servers(home, "127.0.1.1", "127.0.1.2") as s:
                s.mx("d.example", (10, "a.example"), (20, "b.example"))
                s.a("a.example", "127.0.1.1")
                s.a("b.example", "127.0.1.2")
                s.at["127.0.1.1"].answers[moment] = says
                assert s.send().startswith("K127.0.1.2 accepted"), (moment, says)


def test_next_host_when_one_refuses_our_name(home):
    with Servers(home, "127.0.1.1", "127.0.1.2") as s:
        s.mx("d.example", (10, "a.example"), (20, "b.example"))
        s.a("a.example", "127.0.1.1")
        s.a("b.example", "127.0.1.2")
        s.at["127.0.1.1"].answers.update(EHLO=b"550 blocked\r\n", HELO=b"550 blocked\r\n")
        assert s.send().startswith("K127.0.1.2 accepted")


def test_no_next_host_once_the_message_was_sent(home):
    with Servers(home, "127.0.1.1", "127.0.1.2", END=Close(b"")) as s:
        s.mx("d.example", (10, "a.example"), (20, "b.example"))
        s.a("a.example", "127.0.1.1")
        s.a("b.example", "127.0.1.2")
        assert "Possible duplicate!" in s.send()
        assert s.went() == ["127.0.1.1"]


def test_domain_without_exchangers_is_its_own(home):
    with Servers(home, "127.0.1.1") as s:
        s.a("d.example", "127.0.1.1")
        assert s.send().startswith("K127.0.1.1")


def test_names_that_do_not_exist_or_take_no_mail(home):
    with Servers(home, "127.0.1.1") as s:
        assert s.send() == "DSorry, I couldn't find any host named d.example. (#5.1.2)\n"
        s.mx("d.example", (0, "."))
        assert s.send() == ("D556 Sorry, d.example takes no mail: it says so in DNS. "
                            "(#5.1.10)\n")
        s.mx("d.example", (0, "gone.example"))
        assert s.send() == ("DSorry, I couldn't find a mail exchanger or IP address. "
                            "(#5.4.4)\n")
        s.zone["d.example", MX] = None
        s.zone["d.example", A] = []
        assert s.send().endswith("IP address. (#5.4.4)\n")
    assert home.run("a b.example", "s@a.example", "r@x") == [
        b"DSorry, I couldn't find any host named a?b.example. (#5.1.2)\n"]


def test_dns_trouble_is_temporary(home):
    with Servers(home, "127.0.1.1") as s:
        for said in (lambda q: q.reply(rcode=2), lambda q: q.reply(rcode=5)):
            s.zone["d.example", MX] = said
            assert s.send().startswith("ZCNAME lookup failed temporarily. (#4.4.3)\n")
        s.mx("d.example", (10, "a.example"))
        s.zone["a.example", A] = lambda q: q.reply(rcode=2)
        assert s.send().startswith("ZCNAME lookup failed temporarily. (#4.4.3)\n")


def test_missing_dnsq_is_temporary(home):
    (home.dir / "bin/dnsq").unlink()
    assert home.run(*ARGS)[0].startswith(b"ZCNAME lookup failed temporarily. (#4.4.3)\n")


def wire(*labels):
    return b"".join(bytes([len(x)]) + x for x in labels) + b"\0"


HOSTILE_NAMES = [
    wire(b"$(touch /tmp/postern-pwned)", b"x"), wire(b"`id`"), wire(b"a;b"), wire(b"a\nq mx z"),
    wire(b"a\0b", b"example"), wire(b"..", b"..", b"etc"), wire(b"a b"), wire(b"\xff\xfe"),
    wire(b"%n%s"), wire(b"a\\032b"), wire(b"x" * 63, b"y" * 63, b"z" * 63, b"w" * 61)]


def test_hostile_names_of_exchangers_are_ignored(home):
    pwn = pathlib.Path("/tmp/postern-pwned")
    with Servers(home, "127.0.1.1") as s:
        for wire in HOSTILE_NAMES:
            s.mx("d.example", (10, wire))
            text = s.send()
            assert text[0] in "DZ" and text.isascii() and len(text) < 500, (wire, text)
        s.mx("d.example", *[(10, w) for w in HOSTILE_NAMES], (20, "a.example"))
        s.a("a.example", "127.0.1.1")
        assert s.send().startswith("K127.0.1.1")
    assert not pwn.exists()


def test_many_exchangers_and_addresses(home):
    with Servers(home, "127.0.1.1") as s:
        s.mx("d.example", *[(i, f"m{i}.example") for i in range(300)])
        s.a("m0.example", *[f"127.9.9.{i}" for i in range(200)])
        for i in range(1, 300):
            s.a(f"m{i}.example", "127.0.1.1")
        assert s.send().startswith("K127.0.1.1")


def test_an_address_is_tried_once(home):
    with Servers(home, "127.0.1.1", GREETING=b"450 no\r\n") as s:
        s.mx("d.example", (10, "a.example"), (20, "b.example"))
        s.a("a.example", "127.0.1.1")
        s.a("b.example", "127.0.1.1")
        assert s.send().startswith("ZConnected to 127.0.1.1 but greeting failed.")
        assert len(s.at["127.0.1.1"].sessions) == 1


def test_own_address_stops_the_list(home):
    with Servers(home, "127.0.1.1", "127.0.1.2") as s:
        s.mx("d.example", (10, "a.example"), (20, "us.example"), (30, "b.example"))
        s.a("a.example", "127.0.1.1")
        s.a("us.example", "127.0.7.7")
        s.a("b.example", "127.0.1.2")
        s.at["127.0.1.1"].answers["GREETING"] = b"421 later\r\n"
        s.home.control(notipme="127.0.1.0/24", moreipme="127.0.7.7")
        assert s.send().startswith("ZConnected to 127.0.1.1 but greeting failed.")
        assert s.at["127.0.1.2"].sessions == []
        s.mx("d.example", (10, "a.example"), (10, "us.example"))
        assert s.send().startswith("DSorry. Although I'm listed as a best-preference MX or A")
        s.home.control(moreipme="192.0.2.0/24")
        s.a("us.example", "192.0.2.77")
        assert s.send().endswith("so I don't treat it as local. (#5.4.6)\n")
        s.home.control(notipme="", moreipme="")
        s.mx("d.example", (10, "a.example"))
        assert s.send().endswith("so I don't treat it as local. (#5.4.6)\n")


def interface_address():
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        try:
            u.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return u.getsockname()[0]


def test_own_interface_address_is_known(home):
    own = interface_address()
    if not own:
        pytest.skip("no interface but loopback")
    with Servers(home, "127.0.1.1") as s:
        s.a("d.example", own)
        assert s.send().endswith("so I don't treat it as local. (#5.4.6)\n")


def test_alias_is_followed_and_the_recipient_not_rewritten(home):
    with Servers(home, "127.0.1.1") as s:
        real = struct.pack(">H", 10) + name("a.example")
        s.zone["d.example", MX] = lambda q: q.reply(
            rr(b"\xc0\x0c", CNAME, name("real.example")), rr("real.example", MX, real))
        s.a("a.example", "127.0.1.1")
        assert s.send().startswith("K127.0.1.1")
        assert b"RCPT TO:<r@d.example>" in s.at["127.0.1.1"].commands


def test_families_in_turn_and_by_policy(home):
    with Servers(home, "127.0.1.1", "::1") as s:
        s.mx("d.example", (10, "a.example"))
        s.a("a.example", "127.0.1.1")
        s.aaaa("a.example", "::1")
        port = s.at["::1"].port
        assert s.send().startswith("K::1 accepted")
        s.home.control(smtproutes=f"::{port}|||ipv4first")
        assert s.send().startswith("K127.0.1.1")
        s.home.control(smtproutes=f"::{port}|||ipv4")
        assert s.send().startswith("K127.0.1.1")
        s.home.control(smtproutes=f"::{port}")
        s.at["::1"].answers["GREETING"] = b"450 no\r\n"
        assert s.send().startswith("K127.0.1.1")
        s.home.control(smtproutes=f"::{port}|||ipv6")
        assert s.send().startswith("ZConnected to ::1")


def test_literal_addresses(home):
    with Servers(home, "127.0.1.1", "::1") as s:
        assert s.send("[127.0.1.1]").startswith("K127.0.1.1")
        assert s.send("[IPv6:::1]").startswith("K::1")
        assert s.dns.seen == []


def test_relay_by_name_has_no_exchangers(home):
    with Servers(home, "127.0.1.1", "127.0.1.2") as s:
        s.mx("relay.example", (10, "b.example"))
        s.a("relay.example", "127.0.1.1")
        s.a("b.example", "127.0.1.2")
        s.home.control(smtproutes=f":relay.example:{s.at['127.0.1.1'].port}", notipme="")
        assert s.send().startswith("K127.0.1.1")
        s.home.control(smtproutes=":gone.example")
        assert s.send() == ("ZSorry, I couldn't find any host named gone.example, "
                            "which control/smtproutes names. (#4.3.5)\n")


def test_host_that_does_not_answer_is_left_alone(home):
    """A full backlog drops what knocks."""
    home.control(timeoutconnect="1")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        fill = [socket.socket() for _ in range(3)]
        for f in fill:
            f.setblocking(False)
            f.connect_ex(address)
        home.control(smtproutes=f":127.0.0.1:{address[1]}")
        for _ in range(2):
            assert b"127.0.0.1: Operation timed out" in home.run(*ARGS)[0]
        begin = time.monotonic()
        assert b"left alone for now" in home.run(*ARGS)[0]
        assert time.monotonic() - begin < 0.5
        for f in fill:
            f.close()
    table = home.dir / "remote/deadhosts"
    raw = table.read_bytes()
    assert len(raw) == 32 and struct.unpack("=I", raw[24:28]) == (2,)
    old = struct.pack("=Q", int(time.time()) - 121)
    table.write_bytes(raw[:16] + old + raw[24:])
    assert once(home)[0][-1] == OK      # tried again, and forgiven
    assert struct.unpack("=I", table.read_bytes()[24:28]) == (0,)
    for damaged in (b"", b"x" * 100, os.urandom(9000)):
        table.write_bytes(damaged)
        assert once(home)[0][-1] == OK


# job after job

def test_connection_is_kept_for_the_next_message(home, job):
    with Smtp() as s:
        home.to(s)
        for i in range(3):
            assert job.deliver(f"r{i}@d.example", sender=f"s{i}@a.example") == [OK]
        assert job.deliver(host="e.example") == [OK]    # the same relay
        assert len(s.sessions) == 1 and s.messages == [SENT] * 4
        assert s.sessions[0].verbs() == [b"EHLO"] + [b"MAIL", b"RCPT", b"DATA"] * 4


def test_another_way_is_another_connection(home, job):
    with Smtp() as s, Smtp() as other:
        home.control(smtproutes=f"d.example:127.0.0.1:{s.port}\n:127.0.0.1:{other.port}",
                     outgoingip="b.example:127.0.0.9")
        assert job.deliver() == [OK] == job.deliver(host="e.example")
        assert len(s.messages) == 1 == len(other.messages)
        s.wait(lambda s: s.sessions[0].ended)
        assert s.commands[-1] == b"QUIT"
        assert job.deliver(host="e.example", sender="s@b.example") == [OK]
        assert [p.peer[0] for p in other.sessions] == ["127.0.0.1", "127.0.0.9"]


def test_connection_ends_after_so_many_messages_or_seconds(home, job):
    home.control(remotereuse="2")
    with Smtp() as s:
        home.to(s)
        for _ in range(5):
            job.deliver()
        assert [len(x.messages) for x in s.sessions] == [2, 2, 1]
        s.wait(lambda s: s.sessions[1].ended)
        assert s.sessions[1].commands[-1] == b"QUIT"
        home.control(remotereuse="100 1")
        time.sleep(1.1)
        job.deliver()
        time.sleep(1.1)
        job.deliver()
        assert len(s.sessions) >= 5


def test_kept_connection_that_the_server_closed_is_opened_anew(home, job):
    with Smtp() as s:
        home.to(s)
        assert job.deliver() == [OK]
        for says in (Close(b""), Reset(b""), Close(b"421 idle\r\n")):
            s.answers["MAIL"] = lambda session, _, says=says: \
                says if len(session.messages) else b"250 ok\r\n"
            assert job.deliver() == [OK]
        s.answers["MAIL"] = b"250 ok\r\n"
        s.sessions[-1].conn.sendall(b"421 bye\r\n")
        assert job.deliver() == [OK]
        assert len(s.messages) == 5 == len(s.sessions)


@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("says", [Close(b""), Reset(b""), Close(b"421 4.4.2 idle for too long\r\n"),
                                  Close(b"354 go\r\n"), Close(b"354 go\r\n421 good-bye\r\n")])
def test_kept_connection_that_dies_before_the_end_costs_no_deferral(home, job, moment, says):
    if says.text[:3] == b"354" and moment != "DATA":
        return
    normal = {"MAIL": b"250 ok\r\n", "RCPT": b"250 ok\r\n", "DATA": b"354 go\r\n"}[moment]
    body = BODY * 20000
    with Smtp(**{moment: lambda session, _: says if session.messages else normal}) as s:
        home.to(s)
        assert job.deliver(body=body)[0][:1] == b"K"
        assert job.deliver(body=body)[0][:1] == b"K"
        assert len(s.sessions) == 2 and s.messages == [SENT * 20000] * 2


def test_connection_that_dies_in_the_middle_of_a_message_is_not_tried_at_every_host(home):
    with Servers(home, "127.0.1.1", "127.0.1.2", DATA=Close(b"354 go\r\n")) as s:
        s.mx("d.example", (10, "a.example"), (20, "b.example"))
        s.a("a.example", "127.0.1.1")
        s.a("b.example", "127.0.1.2")
        report = home.run(*ARGS, body=BODY * 20000, DNSCACHEIP=s.dns.address)
        assert report[-1].startswith(b"ZConnected to 127.0.1.1 but connection died.")
        assert s.at["127.0.1.2"].sessions == []


def test_idle_connection_is_closed_with_quit(home, job):
    with Smtp() as s:
        home.to(s)
        assert job.deliver() == [OK]
        s.wait(lambda s: s.sessions[0].ended, 8)
        assert s.commands[-1] == b"QUIT"
        assert job.deliver() == [OK]


def test_refused_message_is_reset_and_the_connection_kept(home, job):
    with Smtp(RCPT=lambda _, line: b"550 no\r\n" if b"bad" in line else b"250 ok\r\n",
              DATA=lambda session, _: b"354 go\r\n" if b"bad" not in session.commands[-2]
              else b"503 whom?\r\n") as s:
        home.to(s)
        assert job.deliver("bad@d.example") == [
            b"D127.0.0.1 does not like recipient.\nRemote host said: 550 no\n"
            b"Giving up on 127.0.0.1.\n"]
        assert job.deliver() == [OK]
        assert len(s.sessions) == 1 and b"RSET" in s.commands
        assert job.deliver("bad@d.example", "r@d.example") == [
            b"D127.0.0.1 does not like recipient.\nRemote host said: 550 no\n", OK]


def test_many_recipients_with_long_answers(home, job):
    home.control(remotereuse="100")
    with Smtp(RCPT=b"550 " + b"x" * 5000 + b"\r\n", DATA=b"503 no\r\n") as s:
        home.to(s)
        texts = job.deliver(*[f"r{i}@d.example" for i in range(100)])
        assert all(t[:1] == b"D" and len(t) < 3000 for t in texts)
        s.answers.update(RCPT=b"250 ok\r\n", DATA=b"354 go\r\n")
        assert job.deliver(*[f"r{i}@d.example" for i in range(100)]) == [OK] * 100


def test_damaged_message_is_never_sent(home, job):
    good = message_file(BODY)
    with Smtp() as s:
        home.to(s)
        for bad in (good.replace(b"hello", b"hellO"), good[:-1], good[5:], b"",
                    good.replace(b"Tr@b", b"Tr@c")):
            text = job.deliver(data=bad)[0]
            assert text[:1] == b"C" and len(text) > 5, bad
        assert s.sessions == []
        assert job.deliver() == [OK]


def test_what_is_no_job_ends_it(home):
    for record in (b"x", b"1\0s\0h\0", b"1\0s\0h\0" b"7\0", b"1\0s\0h\0" b"7\0r@d"):
        j = Job(home)
        j.sock.send(record)
        assert j.process.wait(10) == 100
        j.end()


def test_it_confines_itself_and_leaks_nothing(home, job):
    with Smtp() as s:
        home.to(s)
        for _ in range(20):
            assert job.deliver() == [OK]
        status = pathlib.Path(f"/proc/{job.process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        fds = {os.readlink(f"/proc/{job.process.pid}/fd/{n}").split(":")[0]
               for n in os.listdir(f"/proc/{job.process.pid}/fd")}
        assert len(os.listdir(f"/proc/{job.process.pid}/fd")) == 4, fds
