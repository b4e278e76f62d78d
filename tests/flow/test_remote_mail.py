"""Mail to other hosts: queued, start, send, rspawn, remote, dnsq and bounce at
work, and servers that behave as told."""
import os
import pathlib
import pwd
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import postern
from dnsstub import A, MX, DnsStub, name, rr

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "prog"))
from hostile import Close, Smtp  # noqa: E402
from queuelib import until  # noqa: E402
from sendlib import Sender, message_file  # noqa: E402


@pytest.fixture
def flow(scratch):
    s = Sender(scratch)
    s.control("timeoutremote", "30")    # a busy machine may stop for some seconds
    with Smtp() as server:
        s.server = server
        s.control("smtproutes", f":127.0.0.1:{server.port}")
        yield s
        s.close()


def retry(flow, text, count=1):
    """Everything now, until that is logged: what is just being dealt with does
    not hear the first signal."""
    def tried():
        flow.send_signal(signal.SIGALRM)
        time.sleep(0.05)
        return flow.log_of_send().count(text) >= count
    until(tried)


def body_of(message):
    """Without our Received lines."""
    return re.sub(rb"\A(Received: .*\r\n([ \t].*\r\n)*)+", b"", message)


def test_message_to_several_recipients_goes_out_once_each_host(flow):
    flow.up()
    number = flow.mail("a@one.example", "b@one.example", "c@two.example")
    flow.logged(f"end msg {number}")
    log = flow.log_of_send()
    assert log.count("success: 127.0.0.1_accepted_message./Remote_host_said:_250_2.0.0_queued_as_1234/") == 3
    sent = sorted(c for c in flow.server.commands if c.startswith(b"RCPT"))
    assert sent == [b"RCPT TO:<a@one.example>", b"RCPT TO:<b@one.example>", b"RCPT TO:<c@two.example>"]
    assert [body_of(m) for m in flow.server.messages] == [b"Subject: x\r\n\r\nhello\r\n"] * 2


def test_mail_for_a_host_goes_through_one_connection(flow):
    flow.control("concurrencyremote", "1")
    flow.up()
    for _ in range(20):
        flow.mail("a@one.example")
    flow.logged("end msg", count=20)
    assert len(flow.server.messages) == 20 and len(flow.server.sessions) == 1


def test_refused_recipient_bounces_to_the_sender(flow):
    flow.server.answers["RCPT"] = b"550 5.1.1 no\rsuch \x1b[31muser\r\n"
    flow.user("joe")
    flow.up()
    number = flow.mail("a@one.example", sender=b"joe@test.example")
    log = flow.logged(f"end msg {number}")
    assert "failure: 127.0.0.1_does_not_like_recipient./Remote_host_said:_550_5.1.1_no?such_?[31muser" \
        "/Giving_up_on_127.0.0.1./" in log
    flow.logged("to local joe@test.example")


def test_refused_for_now_is_tried_again_and_delivered_once(flow):
    flow.server.answers["MAIL"] = b"451 later\r\n"
    flow.up()
    number = flow.mail("a@one.example")
    flow.logged("deferral: Connected_to_127.0.0.1_but_sender_was_rejected./Remote_host_said:_451_later/")
    flow.server.answers["MAIL"] = b"250 ok\r\n"
    retry(flow, f"end msg {number}")
    assert len([m for m in flow.server.messages if m]) == 1


def test_mixed_verdicts_of_one_transaction(flow):
    flow.server.answers["RCPT"] = lambda _, line: \
        b"550 no\r\n" if b"<b@" in line else b"450 wait\r\n" if b"<c@" in line else b"250 ok\r\n"
    flow.up()
    number = flow.mail("a@one.example", "b@one.example", "c@one.example", sender=b"")
    log = flow.logged("deferral: 127.0.0.1_does_not_like_recipient./Remote_host_said:_450_wait/")
    log = flow.logged("delivery", count=6)
    assert log.count(": success: 127.0.0.1_accepted") == 1 and log.count(": failure: ") == 1
    flow.server.answers["RCPT"] = b"250 ok\r\n"
    retry(flow, ": success: 127.0.0.1_accepted", 2)
    rcpts = [c for c in flow.server.commands if b"<a@" in c or b"<c@" in c]
    assert rcpts == [b"RCPT TO:<a@one.example>", b"RCPT TO:<c@one.example>", b"RCPT TO:<c@one.example>"]


def test_remote_killed_in_the_middle_loses_nothing(flow):
    flow.up()
    for moment in ("MAIL", "DATA", "END"):
        def kill(session, _):
            os.kill(flow.pid("remote"), signal.SIGKILL)
            return Close(b"")
        before = len(flow.server.messages)
        deferred = flow.log_of_send().count("deferral: remote_crashed.")
        flow.server.answers[moment] = kill
        number = flow.mail("a@one.example")
        flow.logged("deferral: remote_crashed._(#4.3.0)/", count=deferred + 1)
        flow.server.answers[moment] = {"MAIL": b"250 ok\r\n", "DATA": b"354 go\r\n",
                                       "END": b"250 2.0.0 ok\r\n"}[moment]
        retry(flow, f"end msg {number}")
        assert len(flow.server.messages) - before == (2 if moment == "END" else 1)


def test_hostile_reply_leaves_the_queue_file_as_it_is(flow):
    flow.server.answers["RCPT"] = b"450 x\rTroot@x\0\r\n"
    flow.up()
    number = flow.mail("a@one.example")
    before = flow.path(number).read_bytes()
    flow.logged("deferral: 127.0.0.1_does_not_like_recipient./Remote_host_said:_450_x?Troot@x?/")
    assert flow.path(number).read_bytes() == before
    assert all(32 <= ord(c) < 127 or c == "\n" for c in flow.log_of_send())


def test_damaged_message_is_set_aside_and_never_sent(flow):
    data = message_file(recipients=(b"a@one.example",)).replace(b"hello", b"hellO")
    flow.place(1700000000000001, data)
    flow.up()
    flow.logged("is damaged and set aside")
    assert flow.server.sessions == []


def test_rspawn_killed_loses_nothing(flow):
    flow.server.answers["END"] = lambda *_: (time.sleep(0.5), b"250 2.0.0 ok\r\n")[1]
    flow.up()
    number = flow.mail("a@one.example")
    flow.server.wait(lambda s: s.messages)
    os.kill(flow.pid("rspawn"), signal.SIGKILL)
    flow.logged("oh no! lost spawn connection")
    flow.server.answers["END"] = b"250 2.0.0 ok\r\n"
    retry(flow, f"end msg {number}")
    assert flow.start_process.poll() is None
    # what the dead one had under way may be there twice
    assert len(flow.server.messages) in (1, 2)


@pytest.mark.parametrize("program", ["#!/bin/true\n", "#!/bin/false\n", "#!/bin/sh\nexit 111\n",
                                     "#!/bin/sh\nkill -SEGV $$\n", "#!/bin/sh\ncat /dev/urandom >&0\n"])
def test_any_program_in_the_place_of_remote_is_a_deferral(flow, program):
    real = (flow.home / "bin/remote").read_bytes()
    (flow.home / "bin/remote").unlink()
    (flow.home / "bin/remote").write_text(program)
    (flow.home / "bin/remote").chmod(0o755)
    flow.up()
    number = flow.mail("a@one.example")
    flow.logged("deferral: ")
    (flow.home / "bin/remote").unlink()
    (flow.home / "bin/remote").write_bytes(real)
    (flow.home / "bin/remote").chmod(0o755)
    retry(flow, f"end msg {number}")
    assert len(flow.server.messages) == 1


def test_dead_dns_is_waited_for(flow):
    """No MX for a while; then the message is delivered, once."""
    alive = []

    def answer(q):
        if not alive:
            return q.reply(rcode=2)
        if q.kind == MX:
            return q.reply(rr(b"\xc0\x0c", MX, b"\0\x0a" + name("mx.one.example")))
        return q.a("127.0.0.1") if q.kind == A else q.reply()
    with DnsStub(answer) as dns:
        flow.control("smtproutes", f"::{flow.server.port}")
        flow.control("notipme", "127.0.0.0/8")
        flow.control("resolver", dns.address)
        flow.up()
        number = flow.mail("a@one.example")
        flow.logged("deferral: CNAME_lookup_failed_temporarily._(#4.4.3)/")
        alive.append(1)
        retry(flow, f"end msg {number}")
        assert len(flow.server.messages) == 1


class OurSmtpd:
    """smtpd on a port, with a program in place of the queue that keeps what
    it gets."""

    def __init__(self, home, scratch):
        self.kept = scratch / "kept"
        self.kept.mkdir()
        self.kept.chmod(0o777)
        queue = scratch / "keep"
        queue.write_text(f"#!/bin/sh\ncat >{self.kept}/$$.new; cat <&1 >/dev/null\n"
                         f"mv {self.kept}/$$.new {self.kept}/$$\n")
        queue.chmod(0o755)
        self.argv = [home / "bin/smtpd"]
        self.env = postern.env(home, QMAILQUEUE=str(queue), RELAYCLIENT="",
                               TCPREMOTEIP="127.0.0.1", TCPLOCALIP="127.0.0.1")
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                subprocess.Popen(self.argv, stdin=conn, stdout=conn, env=self.env,
                                 stderr=subprocess.DEVNULL)

    def messages(self):
        return [f.read_bytes() for f in self.kept.glob("*[0-9]")]

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def bodies():
    """Messages of all sorts, each with a number in its first line."""
    some = random.Random(7)
    parts = [b"\n", b".\n", b"..\n", b".", b"x", b"\xe9\xff", b" \t", b"\0", b"From x\n", b"y" * 998,
             b"z" * 3000, b"\n.\n", b"word " * 30]
    for i in range(40):
        text = b"".join(some.choice(parts) for _ in range(some.choice((0, 3, 30, 300))))
        yield b"Subject: %d\n\n" % i + text + (b"" if text.endswith(b"\n") or not text else b"\n")


def test_our_smtpd_gets_from_our_remote_what_was_queued(flow, scratch):
    smtpd = OurSmtpd(flow.home, scratch)
    try:
        flow.control("smtproutes", f":127.0.0.1:{smtpd.port}")
        flow.up()
        sent = list(bodies())
        for body in sent:
            flow.mail("a@one.example", body=body)
        flow.logged("\nend msg", seconds=20, count=len(sent))
        got = {re.search(rb"^Subject: (\d+)\n", m, re.M).group(1): m[m.index(b"Subject: "):]
               for m in smtpd.messages()}
        assert len(smtpd.messages()) == len(sent)
        for i, body in enumerate(sent):
            assert got[b"%d" % i] == body, i
    finally:
        smtpd.close()


def test_from_a_client_to_another_host_under_the_real_sandbox(own_suite):
    """From smtpd to a server that DNS names; remote has no more rights than
    its profile and itself allow."""
    def answer(q):
        if q.kind == MX:
            return q.reply(rr(b"\xc0\x0c", MX, b"\0\x0a" + name("mx.far.example")))
        return q.a("127.0.0.1") if q.kind == A else q.reply()
    status = []

    def look(*_):
        pid = own_suite.named("remote")[0]
        status.append(pathlib.Path(f"/proc/{pid}/status").read_text())
        return b"250 ok\r\n"
    with DnsStub(answer) as dns, Smtp(MAIL=look) as server:
        for file, text in [("smtproutes", f"::{server.port}"), ("resolver", dns.address),
                           ("notipme", "127.0.0.0/8")]:
            (own_suite.home / "control" / file).write_text(text + "\n")
        own_suite.start()
        own_suite.send("alice@example.com", ["far@far.example"], b"Subject: hi\r\n\r\nhello\r\n")
        own_suite.wait_log("send", "success: 127.0.0.1_accepted_message.")
        assert server.messages[0].endswith(b"Subject: hi\r\n\r\nhello\r\n")
        server.answers.update(MAIL=b"250 ok\r\n", RCPT=b"550 nobody\r\n", DATA=b"503 no\r\n")
        own_suite.send("alice@example.com", ["far@far.example"], b"Subject: two\r\n\r\nhello\r\n")
        (bounce,) = own_suite.wait_mail("alice@example.com")
        assert b"Remote host said: 550 nobody" in bounce and b"Subject: failure notice" in bounce
    assert "NoNewPrivs:\t1\nSeccomp:\t2" in status[0]
    uid = pwd.getpwnam("postern-remote").pw_uid
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status[0]
