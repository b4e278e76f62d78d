"""Messages that wait for a slot of one channel, all of which are taken by
deliveries that take long: the other channel goes by its own time."""
import collections
import os
import re
import signal
import time

import pytest

import rspawnlib
from ctllib import talk
from queuelib import until
from sendlib import Sender, message_file

TO = {"local": "who@test.example", "remote": "x@who.example"}
FAKE = {"local": "who", "remote": "who.example"}


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    rspawnlib.use(s)
    s.control("retryschedule", "1")
    yield s
    for fake in FAKE.values():
        s.fake(fake, "K")
    s.close()
    print(s.log_text(), s.log_of_send())


def other(channel):
    return "remote" if channel == "local" else "local"


def fill(sender, full, answer="Znot now"):
    """All slots of that channel are taken; the other one answers that.  The
    recipients there, and at the full one."""
    sender.control(f"concurrency{full}", 2)
    sender.fake(FAKE[full], "wait 120")
    sender.fake(FAKE[other(full)], answer)
    sender.up(queued=not sender.daemon)
    for _ in range(2):
        sender.mail(TO[full])
    sender.logged(f"{full} 2/2")
    return [TO[other(full)]], [TO[full]]


@pytest.mark.parametrize("count", [1, 400])
@pytest.mark.parametrize("full", ["local", "remote"])
def test_a_message_that_waits_for_a_slot_is_tried_again_at_the_other_channel(sender, full, count):
    """All slots of a channel are taken by deliveries that take long; also when
    more messages wait than may be open."""
    later, hang = fill(sender, full)
    numbers = [sender.mail(*later, *hang) for _ in range(count)]

    def tries():
        what = re.findall(r"^starting delivery \d+: msg (\d+) to (\w+) ",
                          sender.log_of_send(), re.M)
        tried = collections.Counter(n for n, where in what if where != full)
        return min(tried[str(n)] for n in numbers)
    until(lambda: tries() >= 3, 60)
    assert sender.log_of_send().count(f" to {full} ") == 2
    sender.fake(FAKE[full], "Kgone")
    sender.logged("success: gone", 60, count)
    assert sender.log_of_send().count(f" to {full} ") == 2 + count
    sender.fake(FAKE[other(full)], "Kyes")
    until(lambda: not sender.messages(), 60)
    log = sender.log_of_send()
    assert log.count("success: yes") == count and log.count("success: gone") == count


def test_what_waits_for_its_time_at_one_channel_has_its_turn_at_the_other(sender):
    """More messages than may be open; one of them is being tried by an order."""
    sender.control("retryschedule", "1h")
    later, hang = fill(sender, "remote")
    numbers = [sender.mail(*later, *hang) for _ in range(400)]
    sender.logged("deferral: not_now", 30, 400)

    def in_line():
        return [n for n in numbers[-100:]
                if b"waiting, next try" in sender.run("queuectl", "show", str(n)).stdout]
    one = until(in_line, 30)[0]
    sender.fake("who", "wait 120")
    sender.run("queuectl", "retry", str(one), f"to={later[0]}")
    sender.logged(f"msg {one} to local", count=2)
    sender.fake("who.example", "Kgone")
    sender.logged("success: gone", 30, 400)
    assert "local 1/" in sender.log_of_send().rsplit("status:", 1)[1]


@pytest.mark.parametrize("full", ["local", "remote"])
def test_a_bounce_comes_at_the_time_of_the_next_try(sender, full):
    later, hang = fill(sender, full, "Dno (#5.1.1)")
    number = sender.mail(*later, *hang)
    sender.logged(f"bounce msg {number}")
    until(lambda: sender.read(number).recipients == [hang[0].encode()])
    assert sender.log_of_send().count("failure: no") == 1


def test_a_bounce_that_cannot_be_queued_has_its_recipient_tried_again(sender):
    os.chmod(sender.home / "bin/bounce", 0)
    later, hang = fill(sender, "remote", "Dno (#5.1.1)")
    sender.mail(*later, *hang)
    sender.logged("trouble injecting bounce message, will try later")
    sender.logged("failure: no", count=3)


def test_a_delay_is_told_once_and_of_what_is_late(sender):
    """Also while the delivery at the other channel is under way."""
    sender.control("delaynotice", 3600)
    birth = time.time() - 7200
    old = int(birth * 1e6) * 1000
    sender.fake("good", "Znot yet")
    sender.start()
    sender.place(old, message_file(birth=birth, recipients=[
        b"who@test.example", b"good@test.example", b"x@who.example"]))
    fill(sender, "remote")
    sender.logged(f"delay notice msg {old}")
    sender.fake("good", "Kyes")
    until(lambda: sender.read(old).values(b"D") == [b"good@test.example"])
    sender.logged("deferral: not_now", count=4)
    log = sender.log_of_send()
    assert log.count("delay notice") == 1
    notice = next(m for n in sender.messages() if not (m := sender.read(n)).sender)
    assert notice.body.count(b"Final-Recipient:") == 2
    assert log.count(" to remote ") == 2 and log.count("success: yes") == 1


def test_a_domain_that_is_frozen_meanwhile_is_tried_when_it_is_not_any_more(sender):
    later, hang = fill(sender, "remote")
    number = sender.mail(*later, *hang)
    sender.logged("deferral: not_now")
    sender.control("frozen", "test.example")
    sender.send_signal(signal.SIGHUP)
    until(lambda: b"frozen" in sender.run("queuectl", "show", str(number)).stdout)
    count = sender.logged("deferral: not_now").count("deferral")
    sender.control("frozen", "")
    sender.send_signal(signal.SIGHUP)
    sender.logged("deferral: not_now", count=count + 1)


@pytest.mark.parametrize("what", [[], ["to=who@test.example"]])
def test_an_order_to_try_it_does_not_wait_for_the_slot(sender, what):
    sender.control("retryschedule", "1h")
    later, hang = fill(sender, "remote")
    number = sender.mail(*later, *hang)
    for n in range(1, 4):
        sender.logged("deferral: not_now", count=n)
        sender.run("queuectl", "retry", str(number), *what)
    sender.logged("deferral: not_now", count=4)


def test_an_order_that_takes_long_at_one_channel_does_not_keep_the_other_from_its_time(sender):
    """Of a message that this send has not tried yet."""
    sender.control("retryschedule", "5")
    for fake in FAKE.values():
        sender.fake(fake, "Znot now")
    birth = time.time() - 1000
    number = int(birth * 1e6) * 1000
    sender.start()
    sender.place(number, message_file(birth=birth, recipients=[t.encode() for t in TO.values()]))
    sender.up(queued=False)
    sender.logged("deferral", count=2)
    sender.down()
    sender.fake(FAKE["remote"], "wait 120")
    sender.up(queued=False)
    sender.run("queuectl", "retry", str(number), f"to={TO['remote']}")
    sender.logged("to remote", count=2)
    count = sender.log_of_send().count("to local")
    sender.logged("to local", 20, count + 1)


def test_a_hold_that_is_taken_back_has_it_tried_at_the_other_channel(sender):
    sender.control("retryschedule", "1h")
    sender.fake(FAKE["local"], "Znot now")
    sender.fake(FAKE["remote"], "wait 120")
    sender.up()
    number = sender.mail(*TO.values())
    sender.logged("deferral")
    sender.logged("to remote")
    talk(sender, b"H\0%d\0" % number, b"U\0%d\0" % number)
    sender.logged("deferral", count=2)


def test_an_order_to_try_it_that_waits_for_a_slot_outlives_another_order(sender):
    sender.control("retryschedule", "1h")
    sender.control("concurrencyremote", 1)
    for fake in FAKE.values():
        sender.fake(fake, "Znot now")
    sender.fake("other.example", "wait 120")
    sender.up()
    number = sender.mail(*TO.values())
    sender.logged("deferral", count=2)
    sender.mail("x@other.example")
    sender.logged("to remote x@other.example")
    sender.run("queuectl", "retry", str(number), f"to={TO['remote']}")
    sender.run("queuectl", "bounce", str(number), f"to={TO['local']}")
    sender.fake("other.example", "Kgone")
    sender.logged(f"to remote {TO['remote']}", count=2)


def test_what_is_parked_and_what_is_open_take_turns_at_a_destination(sender):
    """So that those who come do not stand before all who wait."""
    fill(sender, "remote")
    numbers = [sender.mail("x@who.example") for _ in range(300)]
    sender.logged("new msg", 20, 302)
    sender.fake("who.example", "sleep 0.01")
    sender.logged("end msg", 30, 302)
    ended = [int(n) for n in re.findall(r"end msg (\d+)", sender.log_of_send())]
    late = [n for n in ended[:130] if n in numbers[150:]]
    # 131 of the first 302 are open; each second turn is of a parked one
    assert len(late) > 20


def test_what_comes_back_is_found_while_its_old_place_is_not_cleared(sender):
    sender.fake("good", "Kyes")
    later, hang = fill(sender, "remote")
    numbers = [sender.mail(*hang) for _ in range(300)]
    sender.logged("new msg", 20, 302)

    def parked():
        return sender.run("queuectl", "show", str(numbers[-1])).stdout
    until(lambda: b"next try" in parked() or b"ready" in parked(), 20)
    sender.run("queuectl", "delete", str(numbers[-1]))
    sender.logged(f"end msg {numbers[-1]}")
    sender.place(numbers[-1], message_file(recipients=[b"good@test.example"]))
    with open(sender.dir / "trigger", "w") as trigger:
        trigger.write(f"{numbers[-1]}\n")
    sender.logged("success: yes")
