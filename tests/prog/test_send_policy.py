"""send: schedules, destinations, freezing, notices, limits, memory; with the
real queued, and spawners that answer what a test wants."""
import os
import signal
import time

import pytest

import rspawnlib
from ctllib import ctl
from queuelib import until
from sendlib import Sender, message_file
from test_send import bounce_of

DAY = 86400


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    rspawnlib.use(s)
    yield s
    s.close()
    print(s.log_text(), s.log_of_send())


def test_retryschedule_decides_when_the_next_try_comes(sender):
    sender.fake("later", "Znot now")
    sender.control("retryschedule", "3 1h")
    sender.up()
    sender.mail("later@test.example")
    sender.logged("deferral", count=2, seconds=8)
    time.sleep(1.5)
    assert sender.log_of_send().count("deferral") == 2


def test_a_malformed_schedule_is_told_and_not_followed(sender):
    sender.control("retryschedule", "soon")
    sender.up()
    sender.logged("control/retryschedule stays as it was")


def test_an_unknown_host_starts_with_few_jobs_and_gets_more_as_it_answers(sender):
    sender.control("concurrencyremote", "60")
    sender.fake("far.example", "sleep 0.3")
    sender.start()
    for _ in range(60):
        sender.mail("a@far.example")
    sender.up(queued=False)
    sender.logged("end msg", count=60, seconds=20)
    starts = [t for t, what, _, _ in rspawnlib.events(sender) if what == "start"]
    assert sum(t < starts[0] + 0.25 for t in starts) == 5
    assert 10 < rspawnlib.most_at_once(sender, "far.example") <= 20


def test_a_host_that_does_not_answer_gets_one_job_at_a_time(sender):
    sender.fake("dead.example", "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)")
    sender.up()
    for _ in range(6):
        sender.mail("a@dead.example")
    sender.logged("deferral", count=6)
    sender.fake("dead.example", "sleep 0.2")
    before = len(rspawnlib.events(sender))
    for _ in range(3):
        sender.mail("a@dead.example")
    sender.logged("end msg", count=3)
    first = [what for _, what, _, _ in rspawnlib.events(sender)[before:]][:2]
    assert first == ["start", "end"]


def test_control_destinations_limits_jobs_and_rate(sender):
    sender.control("destinations", "few.example:2\nslow.example::10/2")
    sender.fake("few.example", "sleep 0.05")
    sender.up()
    for _ in range(6):
        sender.mail("a@few.example")
        sender.mail("a@slow.example")
    sender.logged("end msg", count=12)
    assert rspawnlib.most_at_once(sender, "few.example") <= 2
    starts = [t for t, what, _, _ in rspawnlib.events(sender, "slow.example") if what == "start"]
    assert starts[5] - starts[0] >= 0.7     # 1 s, but for a slow start of the fake


def test_a_rate_does_not_hold_up_others_nor_busy_the_processor(sender):
    sender.control("destinations", "slow.example::1/60")
    sender.up()
    for _ in range(5):
        sender.mail("a@slow.example")
    sender.logged("end msg", count=1)
    number = sender.mail("b@far.example")
    sender.logged(f"end msg {number}")
    pid = sender.pid("send")

    def ticks():
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(0.5)
    assert ticks() - before < 5


@pytest.mark.parametrize("how", ["one", "many"])
def test_slow_destinations_of_a_list_do_not_hold_back_its_others(sender, how):
    """Jobs that wait for the pace of one domain, or of many."""
    domains = ["slow.example"] if how == "one" else [f"slow{n}.example" for n in range(30)]
    sender.control("destinations", "\n".join(f"{d}::1/600" for d in domains))
    to = [f"x{n}@{domains[n % len(domains)]}" for n in range(60)]
    others = [f"y@r{n}.example" for n in range(40)]
    sender.up()
    number = sender.mail(*to, *others, sender=b"list-@a.example-@[]")
    sender.logged("success: done", count=len(domains) + len(others))
    until(lambda: sender.read(number).recipients == [t.encode() for t in to[len(domains):]])


def test_a_list_does_not_stand_before_others_at_the_same_destination(sender):
    sender.control("destinations", "one.example:1")
    sender.fake("one.example", "sleep 0.1")
    sender.up()
    listed = sender.mail(*(f"x{n}@one.example" for n in range(30)), sender=b"list-@a.example-@[]")
    sender.logged("starting delivery 1:")
    number = sender.mail("y@one.example")
    log = sender.logged(f"end msg {number}")
    assert log.count("success") < 15
    log = sender.logged(f"end msg {listed}")
    assert log.count("success") == 31


def test_a_list_at_a_domain_that_gets_frozen_waits_as_a_whole(sender):
    sender.control("destinations", "cold.example:1")
    sender.fake("cold.example", "sleep 0.5")
    sender.up()
    number = sender.mail(*(f"x{n}@cold.example" for n in range(5)), sender=b"list-@a.example-@[]")
    sender.logged("starting delivery 1:")
    sender.control("frozen", "cold.example")
    sender.send_signal(signal.SIGHUP)
    sender.logged("success")
    until(lambda: len(sender.read(number).recipients) == 4)
    until(lambda: "waiting, next try in" in ctl(sender, "list", number))
    assert len(rspawnlib.events(sender, "cold.example")) == 2
    ctl(sender, "thaw", "cold.example")
    sender.logged(f"end msg {number}")


def test_a_frozen_domain_waits_and_others_flow(sender):
    sender.control("frozen", "cold.example")
    sender.up()
    held = sender.mail("a@cold.example", "b@far.example")
    number = sender.mail("b@far.example")
    sender.logged(f"end msg {number}")
    sender.logged("delivery 1: success")
    assert rspawnlib.events(sender, "cold.example") == []
    (sender.home / "control/frozen").unlink()
    sender.send_signal(signal.SIGHUP)
    sender.send_signal(signal.SIGALRM)
    sender.logged(f"end msg {held}")


def test_jobs_that_wait_for_a_domain_that_gets_frozen_do_not_start(sender):
    sender.control("destinations", "cold.example:1")
    sender.fake("cold.example", "sleep 0.5")
    sender.up()
    for _ in range(4):
        sender.mail("a@cold.example")
    sender.logged("starting delivery")
    sender.control("frozen", "cold.example")
    sender.send_signal(signal.SIGHUP)
    sender.logged("success")
    time.sleep(0.7)
    assert len(rspawnlib.events(sender, "cold.example")) == 2
    assert len(sender.messages()) == 3


def test_an_old_message_to_a_frozen_domain_does_not_bounce(sender):
    sender.control("frozen", "cold.example")
    old = int((time.time() - 8 * DAY) * 1e6) * 1000
    sender.place(old, message_file(recipients=(b"a@cold.example",), birth=time.time() - 8 * DAY))
    sender.up()
    sender.logged(f"info msg {old}")
    time.sleep(0.2)
    assert sender.messages() == [old]


def test_a_delay_is_told_once_to_the_sender(sender):
    sender.control("delaynotice", 3600)
    sender.fake("later", "Znot now (#4.2.1)")
    sender.fake("a.example", "Znot now")
    old = int((time.time() - 7200) * 1e6) * 1000
    sender.place(old, message_file(recipients=(b"later@test.example",), birth=time.time() - 7200))
    sender.up()
    sender.logged(f"delay notice msg {old}")
    sender.send_signal(signal.SIGALRM)
    sender.logged("to local later@test.example", count=2)
    sender.logged("deferral: not_now", count=3)
    time.sleep(0.2)
    assert sender.log_of_send().count("delay notice") == 1
    notice = [n for n in sender.messages() if n != old]
    body = sender.read(notice[0]).body
    assert b"Subject: delivery delayed" in body
    assert b"Action: delayed\nStatus: 4.2.1\n" in body
    assert b"Will-Retry-Until: " in body
    assert sender.read(notice[0]).sender == b""
    assert sender.read(old).recipients == [b"later@test.example"]


@pytest.mark.parametrize("who", [b"", b"list-@a.example-@[]"])
def test_no_delay_is_told_to_bounces_and_lists(sender, who):
    sender.control("delaynotice", 3600)
    sender.fake("later", "Znot now")
    old = int((time.time() - 7200) * 1e6) * 1000
    sender.place(old, message_file(recipients=(b"later@test.example",), sender=who,
                                   birth=time.time() - 7200))
    sender.up()
    sender.logged("deferral")
    time.sleep(0.2)
    assert sender.messages() == [old]


def test_bouncelimit_drops_more_bounces_to_one_address_and_says_so(sender):
    sender.control("bouncelimit", 2)
    sender.fake("no", "DNo. (#5.1.1)")
    sender.fake("a.example", "Zlater")
    sender.up()
    for _ in range(4):
        sender.mail("no@test.example")
    sender.logged("discarding bounce/", count=2)
    sender.logged("end msg", count=4)
    assert sender.log_of_send().count("bounce msg") == 2


def place_of(address):
    """Where send/bouncer.c counts that address's bounces."""
    who = 5381
    for c in address:
        who = who * 33 % 2 ** 32 ^ c
    return who * 0x9e3779b9 % 2 ** 32 >> 22


def test_bouncelimit_counts_nobody_for_another(sender):
    first = b"s@a.example"
    other = next(a for a in (b"s%d@a.example" % n for n in range(100000))
                 if place_of(a) == place_of(first))
    sender.control("bouncelimit", 1)
    sender.fake("no", "DNo. (#5.1.1)")
    sender.fake("a.example", "Zlater")
    sender.up()
    sender.mail("no@test.example", sender=first)
    sender.logged("bounce msg")
    sender.mail("no@test.example", sender=other)
    sender.logged("bounce msg", count=2)
    sender.mail("no@test.example", sender=other)
    sender.logged("discarding bounce/")


def test_a_large_message_comes_back_as_its_header_by_default(sender):
    sender.fake("no", "DNo. (#5.1.1)")
    sender.fake("a.example", "Zlater")
    sender.up()
    sender.mail("no@test.example", body=b"Subject: big\n\n" + b"x" * 99 + b"\n" + b"y\n" * 30000)
    m, _ = bounce_of(sender, sender.logged("bounce msg"))
    assert b"Subject: big" in m.body and len(m.body) < 5000


def test_a_restart_does_not_try_what_was_tried_and_is_not_due(sender):
    sender.fake("later", "Znot now")
    sender.up()
    old = sender.mail("later@test.example")
    sender.logged("deferral")
    time.sleep(1.1)             # arrivals of the last second count as new
    assert sender.down() == 0
    new = sender.mail("joe@test.example")
    sender.up(queued=False)
    sender.logged(f"end msg {new}")
    time.sleep(0.3)
    assert sender.log_of_send().count("deferral") == 1
    sender.send_signal(signal.SIGALRM)
    sender.logged("deferral", count=2)
    assert sender.messages() == [old]


def test_what_waited_for_a_slot_is_tried_after_a_restart(sender):
    sender.control("concurrencyremote", 0)
    sender.up()
    number = sender.mail("a@far.example")
    sender.logged(f"info msg {number}")
    time.sleep(1.1)
    assert sender.down() == 0
    sender.control("concurrencyremote", 20)
    sender.up(queued=False)
    sender.logged(f"end msg {number}")


def test_times_of_the_lock_file_that_make_no_sense_are_not_believed(sender):
    sender.fake("later", "Znot now")
    sender.up()
    sender.mail("later@test.example")
    sender.logged("deferral")
    time.sleep(1.1)
    sender.down()
    future = time.time() + 9999
    os.utime(sender.home / "socket/send/lock", (future, future))
    sender.up(queued=False)
    sender.logged("deferral", count=2)
