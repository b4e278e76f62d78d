"""Orders of queuectl about messages in each state: being delivered, bouncing,
with a notice on its way, waiting to be held, held, leaving, set aside."""
import os
import signal
import subprocess
import time

import pytest

import postern
import rspawnlib
from ctllib import ctl, deferred, talk, tried
from queuelib import until
from sendlib import Sender, message_file


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    rspawnlib.use(s)
    s.fake("far.example", "Znot today (#4.2.0)")
    s.fake("a.example", "Zlater")
    s.fake("cold.example", "Zcold")
    s.fake("slow.example", "sleep 2")
    yield s
    s.close()
    print(s.log_text(), s.log_of_send())


def running(sender, *to):
    """A message of which one recipient is under way, and the others, if there
    are any, have failed for now."""
    n = sender.log_of_send().count("deferral")
    number = sender.mail("x@slow.example", *to)
    sender.logged("to remote x@slow.example")
    sender.logged("deferral", count=n + len(to))
    return number


def waits(sender, number):
    until(lambda: "waiting, next try in" in ctl(sender, "list", number))


def background(sender, *args):
    return subprocess.Popen([sender.home / "bin/queuectl", *map(str, args)], text=True,
                            env=postern.env(sender.home), stdout=subprocess.PIPE)


def is_active(sender, number):
    return "active" in ctl(sender, "list", number)


# ---- being delivered

@pytest.mark.parametrize("verb, done", [("hold", "held"), ("delete", "deleted"), ("bounce", "bounced")])
def test_an_order_that_comes_too_late_says_so(sender, verb, done):
    """All that was left has been delivered meanwhile."""
    sender.up()
    number = running(sender)
    assert ctl(sender, verb, number, code=100) == \
        f"{number}: not {done}: no recipient of it was left\n"
    sender.logged(f"end msg {number}")
    assert sender.messages() == []


@pytest.mark.parametrize("verb, done", [("delete", "deleted"), ("bounce", "bounced")])
def test_an_order_about_one_recipient_that_comes_too_late_says_so(sender, verb, done):
    sender.up()
    number = running(sender, "y@far.example")
    out = ctl(sender, verb, number, "to=x@*", code=100)
    assert out == f"{number}: not {done}: no recipient of it was left\n"
    waits(sender, number)
    assert sender.messages() == [number]
    assert sender.read(number).recipients == [b"y@far.example"]


def test_a_bounce_that_could_not_be_queued_is_told_though_others_were_marked(sender):
    os.chmod(sender.home / "bin/bounce", 0)
    sender.up()
    number = running(sender, "y@far.example")
    assert "the bounce could not be queued" in ctl(sender, "bounce", number, code=100)
    waits(sender, number)
    assert sender.read(number).recipients == [b"y@far.example"]


@pytest.mark.parametrize("verb, done", [("hold", "held"), ("delete", "deleted"), ("bounce", "bounced")])
def test_an_order_about_what_is_found_damaged_says_so(sender, verb, done):
    sender.fake("slow.example", "sleep 2 C")
    sender.up()
    number = running(sender, "y@far.example")
    assert ctl(sender, verb, number, code=100) == \
        f"{number}: not {done}: it is damaged, and set aside\n"
    until(lambda: (sender.dir / f"bad/{number}").exists())
    assert "no such message" not in ctl(sender, "list", code=0)
    assert sender.messages() == []
    assert ctl(sender, verb, number, code=100) == ""       # and it says so on descriptor 2


@pytest.mark.parametrize("order", ["hold", "delete", "bounce"])
def test_who_is_late_hears_of_no_delay_when_an_administrator_decides(sender, order):
    sender.control("delaynotice", 3600)
    sender.start()
    old = int((time.time() - 7200) * 1e6) * 1000
    sender.place(old, message_file(recipients=(b"x@slow.example", b"y@far.example"),
                                   birth=time.time() - 7200))
    sender.up(queued=False)
    sender.logged("deferral: not_today")
    assert is_active(sender, old)
    ctl(sender, order, old)
    if order == "hold":
        assert sender.read(old).values(b"h") == [b"H"]
    else:
        until(lambda: old not in sender.messages())
    assert "delay notice" not in sender.log_of_send()
    assert sender.log_of_send().count("bounce msg") == (order == "bounce")


def test_a_delay_is_told_once_though_a_recipient_is_retried_in_the_same_pass(sender):
    sender.control("delaynotice", 3600)
    sender.start()
    old = int((time.time() - 7200) * 1e6) * 1000
    sender.place(old, message_file(recipients=(b"x@slow.example", b"y@far.example"),
                                   birth=time.time() - 7200))
    sender.up(queued=False)
    sender.logged("deferral: not_today")
    ctl(sender, "retry", old, "to=y@*")
    assert is_active(sender, old)
    sender.logged("deferral: not_today", count=2)
    waits(sender, old)
    assert sender.log_of_send().count("delay notice") == 1


def test_a_retry_is_not_lost_when_another_recipient_is_deleted(sender):
    sender.up()
    number = running(sender, "y@far.example", "z@cold.example")
    ctl(sender, "retry", number, "to=y@*")
    sender.fake("far.example", "Kyes")
    assert ctl(sender, "delete", number, "to=z@*") == f"{number}: deleted\n"
    sender.logged(f"end msg {number}")
    assert tried(sender).count("y@far.example") == 2
    assert tried(sender).count("z@cold.example") == 1


def test_retry_all_reaches_what_is_under_way(sender):
    """As soon as that has ended."""
    sender.up()
    number = running(sender, "y@far.example")
    sender.fake("far.example", "Kyes")
    ctl(sender, "retry", "all")
    assert is_active(sender, number)
    sender.logged(f"end msg {number}")


def test_a_changed_recipient_that_was_delivered_meanwhile_leaves_nothing_held(sender):
    sender.up()
    number = running(sender, "y@far.example")
    ctl(sender, "change", number, "x@slow.example", "joe@test.example", code=100)
    assert sender.messages() == [number]
    assert sender.read(number).values(b"h") == [b"-"]
    assert sender.read(number).recipients == [b"y@far.example"]
    waits(sender, number)


# ---- waits to be held

def test_release_takes_a_hold_back_that_waits(sender):
    sender.up()
    number = running(sender, "y@far.example")
    hold = background(sender, "hold", number)
    until(lambda: ctl(sender, "release", "all", code=None) == f"{number}: released\n")
    assert hold.communicate(timeout=10)[0] == f"{number}: not held: it was released\n"
    assert hold.returncode == 100
    sender.fake("far.example", "Kyes")
    sender.logged(f"end msg {number}")


def test_release_of_what_is_not_held(sender):
    sender.up()
    number = deferred(sender)
    count = len(tried(sender))
    assert ctl(sender, "release", number, code=100) == f"{number}: not released: it is not held\n"
    assert ctl(sender, "release", "all", code=100) == "no message fits\n"
    waits(sender, number)
    assert len(tried(sender)) == count


# ---- held

def test_who_holds_a_message_a_second_time_hears_when_it_is_on_disk(sender):
    sender.up()
    number = deferred(sender)
    hold = b"H\0%d\0" % number
    assert talk(sender, hold, hold) == [b"%d\x0016\0" % number, b"%d\x000\0" % number]
    assert talk(sender, hold) == [b"%d\x000\0" % number]


@pytest.mark.parametrize("held", [True, False])
def test_retry_and_release_of_what_was_not_read_since_the_start(sender, held):
    """Its file says whether it is held."""
    sender.up()
    number = deferred(sender)
    if held:
        ctl(sender, "hold", number)
    time.sleep(1.1)             # arrivals of the last second count as new
    assert sender.down() == 0
    sender.up(queued=False)
    until(lambda: "\nnew: 0\nwaiting: 1\n" in ctl(sender, "status"))
    sender.fake("far.example", "Kyes")
    if held:
        assert "it is held" in ctl(sender, "retry", number, code=100)
        assert ctl(sender, "release", number) == f"{number}: released\n"
    else:
        assert "it is not held" in ctl(sender, "release", number, code=100)
        assert sender.messages() == [number]
        ctl(sender, "retry", number)
    sender.logged(f"end msg {number}")


def test_orders_about_what_alrm_has_put_back_though_it_is_held(sender):
    sender.up()
    number = deferred(sender)
    ctl(sender, "hold", number)
    count = len(tried(sender))
    sender.fake("far.example", "Kyes")
    for _ in range(20):
        sender.send_signal(signal.SIGALRM)
        assert ctl(sender, "retry", number, code=100) == f"{number}: not tried now: it is held\n"
    assert len(tried(sender)) == count
    sender.send_signal(signal.SIGALRM)
    assert ctl(sender, "release", number) == f"{number}: released\n"
    sender.logged(f"end msg {number}")


# ---- bouncing, or a notice on its way

def slow_bounces(sender):
    """They take 2 s."""
    real = sender.home / "bin/bounce"
    real.rename(sender.home / "bin/bounce.real")
    real.write_text(f"#!/bin/sh\nsleep 2\nexec {real}.real\n")
    real.chmod(0o755)


@pytest.mark.parametrize("verb", ["hold", "delete", "bounce", "retry", "retry all"])
@pytest.mark.parametrize("why", ["failure", "delay"])
def test_an_order_while_a_bounce_or_a_notice_is_being_queued(sender, verb, why):
    slow_bounces(sender)
    sender.fake("no.example", "Dno")
    birth = time.time()
    if why == "delay":
        sender.control("delaynotice", 3600)
        sender.fake("no.example", "Kyes")
        birth -= 7200
    number = int(birth * 1e6) * 1000
    sender.start()
    sender.place(number, message_file(recipients=(b"x@no.example", b"y@far.example"), birth=birth))
    sender.up(queued=False)
    sender.logged("deferral: not_today")
    sender.logged("failure: no" if why == "failure" else "success: yes")
    until(lambda: sender.pid("dash") is None)
    sender.fake("far.example", "Kyes")
    assert is_active(sender, number)
    ctl(sender, *verb.split(), *([] if "all" in verb else [number]))
    word = "bounce msg" if why == "failure" else "delay notice msg"
    sender.logged(f"{word} {number}")
    if verb == "hold":
        until(lambda: "  held" in ctl(sender, "list", number))
        assert sender.read(number).recipients == [b"y@far.example"]
    else:
        sender.logged(f"end msg {number}")
    assert sender.log_of_send().count("bounce msg") == (why == "failure") + (verb == "bounce")
    assert sender.log_of_send().count("delay notice msg") == (why == "delay")
    assert tried(sender).count("y@far.example") == 1 + ("retry" in verb)


# ---- leaving

def test_what_is_being_removed_is_not_known_any_more(sender):
    sender.up()
    number = deferred(sender)
    orders = [b"%c\0%d\0" % (c, number) for c in b"RTHUFR"]
    gone = b"%d\x002\0" % number
    assert talk(sender, *orders) == [gone] * 5 + [b"%d\x000\0" % number]
    assert sender.messages() == []


# ---- many recipients

@pytest.mark.parametrize("verb", ["delete", "bounce", "retry"])
def test_orders_about_more_recipients_than_one_request_takes(sender, verb):
    sender.control("bouncelimit", 0)
    sender.start()
    number = int(time.time() * 1e6) * 1000
    names = [f"u{n}@far.example".encode() for n in range(2500)]
    sender.place(number, message_file(recipients=(*names, b"x@cold.example")))
    sender.up(queued=False)
    sender.logged("deferral", 30, 2501)
    waits(sender, number)
    out = ctl(sender, verb, "domain=far.example")
    done = {"delete": "deleted", "bounce": "bounced", "retry": "tried now"}[verb]
    assert out == f"{number}: {done}\n"
    if verb == "retry":
        sender.logged("deferral", 30, 5001)
        waits(sender, number)
        assert sorted(set(tried(sender)[2501:])) == sorted(n.decode() for n in names)
    else:
        assert sender.read(number).recipients == [b"x@cold.example"]
