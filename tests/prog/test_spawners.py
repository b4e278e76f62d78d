"""lspawn and rspawn killed in the middle of deliveries, or not to be started:
send waits, says so, and goes on by itself when there is another one."""
import os
import signal
import time

import pytest

import rspawnlib
from queuelib import until
from sendlib import Sender

LOST = "alert: oh no! lost spawn connection! waiting for another ({})"
ANOTHER = "info: another spawner ({})"


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    yield s
    s.close()
    print(s.log_text(), s.log_of_send())


def at_once(sender, seconds=10):
    """All is tried now, until nothing is left: what is just being dealt with
    does not hear the first signal."""
    def tried():
        sender.send_signal(signal.SIGALRM)
        return not sender.messages()
    until(tried, seconds)


def test_a_delivery_that_a_dead_spawner_had_is_a_deferral_and_others_go_on(sender):
    sender.fake("slow", "sleep 30")
    sender.up()
    send = sender.pid("send")
    number = sender.mail("slow@test.example")
    sender.logged("starting delivery 1")
    os.kill(sender.pid("lspawn"), signal.SIGKILL)
    sender.logged(LOST.format("local"))
    other = sender.mail("joe@test.example")
    sender.logged(f"end msg {other}")
    log = sender.log_of_send()
    assert "delivery 1: report mangled, will defer" in log
    assert "start: warning: bin/lspawn was killed by signal 9: starting another one" in log
    assert log.index(ANOTHER.format("local")) < log.index(f"end msg {other}")
    assert sender.pid("send") == send and sender.start_process.poll() is None
    assert sender.messages() == [number]
    assert sender.down() == 0


def test_a_spawner_killed_again_and_again_loses_nothing_and_repeats_only_what_ran(sender):
    sender.up()
    names = [f"u{n}" for n in range(90)]
    for n, name in enumerate(names):
        sender.fake(name, "sleep 0.3")
        sender.mail(f"{name}@test.example")
        if n % 30 == 29:
            until(lambda: "local 10/" in sender.log_of_send().rsplit("status:", 1)[1])
            os.kill(sender.pid("lspawn"), signal.SIGKILL)
            sender.logged(ANOTHER.format("local"), count=n // 30 + 1)
    began = time.monotonic()
    at_once(sender, 60)
    log = sender.log_of_send()
    given = [line[2] for line in sender.fakelog()]
    assert set(given) == set(names)
    # each try is in the log; each one that was lost too, and nothing else is repeated
    assert len(given) <= log.count("starting delivery")
    assert log.count("starting delivery") == 90 + log.count("report mangled, will defer")
    assert 20 <= log.count("report mangled, will defer") <= 30
    assert log.count(": success: ") == 90
    assert log.count(LOST.format("local")) == 3
    assert time.monotonic() - began < 60


def test_a_spawner_that_cannot_be_started_is_waited_for(sender):
    """More and more seldom; the other channel has all its slots meanwhile."""
    sender.control("concurrencyremote", "20")
    rspawnlib.use(sender)
    program = sender.home / "bin/lspawn"
    real = program.read_bytes()
    program.unlink()
    program.write_text("no program\n")
    program.chmod(0o755)
    sender.up()
    began = time.monotonic()
    for n in range(200):
        sender.mail(f"u{n}@test.example")
    for n in range(20):
        sender.fake(f"r{n}.example", "sleep 2")
        sender.mail(f"x@r{n}.example")
    sender.logged("remote 20/20")
    sender.logged("success: slept", count=20)
    sender.logged("start: warning: bin/lspawn has ended with exit code 111: starting another one",
                  30, 3)
    passed = time.monotonic() - began
    log = sender.log_of_send()
    tries = log.count("bin/lspawn: fatal: unable to run it")
    assert 3 <= tries <= 2 + passed / 2
    assert len(log.splitlines()) - log.count("delivery") - log.count("msg") \
        - log.count("status") <= 5 * tries
    assert len(sender.messages()) == 200
    program.unlink()
    program.write_bytes(real)
    program.chmod(0o700)
    until(lambda: not sender.messages(), 60)
    assert sorted(line[2] for line in sender.fakelog()) == sorted(f"u{n}" for n in range(200))


def test_a_stop_does_not_wait_for_a_spawner(sender):
    program = sender.home / "bin/lspawn"
    program.unlink()
    sender.up()
    number = sender.mail("joe@test.example")
    sender.logged(f"new msg {number}")
    sender.logged(LOST.format("local"))
    began = time.monotonic()
    assert sender.down() == 0
    assert time.monotonic() - began < 10
    assert sender.messages() == [number]


def test_spawners_end_with_send(sender):
    """Also those that were started later."""
    sender.up()
    os.kill(sender.pid("lspawn"), signal.SIGKILL)
    os.kill(sender.pid("rspawn"), signal.SIGKILL)
    for channel in "local", "remote":
        sender.logged(ANOTHER.format(channel))
    assert sender.down() == 0
    assert sender.log_of_send().count("starting another one") == 2
    until(lambda: not sender.pid("lspawn") and not sender.pid("rspawn"))


def test_what_one_channel_leaves_does_not_keep_the_other_from_its_work(sender):
    """Messages with recipients at both, of which one is at a standstill."""
    rspawnlib.use(sender)
    program = sender.home / "bin/lspawn"
    real = program.read_bytes()
    program.unlink()
    sender.up()
    count = 600
    for n in range(count):
        sender.mail(f"u{n}@test.example", f"x@r{n % 50}.example")
    sender.logged("success: done", 30, count)
    assert len(sender.messages()) == count
    program.write_bytes(real)
    program.chmod(0o700)
    until(lambda: not sender.messages(), 100)
    # none was sent twice for having been put back
    assert sender.log_of_send().count("success: done") == count
    assert len(sender.fakelog()) == count


@pytest.mark.parametrize("dead", ["lspawn", "rspawn"])
def test_many_recipients_at_a_dead_spawner_do_not_hold_back_the_others(sender, dead):
    """Of the same message: those at the other channel are named last."""
    rspawnlib.use(sender)
    (sender.home / "bin" / dead).unlink()
    local = [f"u{n}@test.example" for n in range(40)]
    remote = [f"x@r{n}.example" for n in range(40)]
    to = local + remote if dead == "lspawn" else remote + local
    sender.up()
    sender.logged(LOST.format("local" if dead == "lspawn" else "remote"))
    number = sender.mail(*to)
    sender.logged(": success: ", count=40)
    until(lambda: sender.read(number).recipients == [t.encode() for t in to[:40]])
    assert len(sender.fakelog()) == (0 if dead == "lspawn" else 40)
