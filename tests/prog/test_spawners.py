"""lspawn and rspawn killed in the middle of deliveries, or not to be started:
send waits, says so, and goes on by itself when there is another one."""
import json
import os
import pathlib
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


class Channel:
    """One that is made to stand still, and to go on."""

    def __init__(self, sender, name, how):
        self.sender, self.name, self.how = sender, name, how
        self.program = sender.home / "bin" / {"local": "lspawn", "remote": "rspawn"}[name]

    def stop(self):
        """Before send is started."""
        if self.how == "spawner":
            self.saved = self.program.read_bytes(), self.program.stat().st_mode & 0o777
            self.program.unlink()
        else:
            self.sender.control(f"concurrency{self.name}", 0)

    def go_on(self):
        if self.how == "spawner":
            self.program.write_bytes(self.saved[0])
            self.program.chmod(self.saved[1])
        else:
            self.sender.control(f"concurrency{self.name}", 10)
            self.sender.send_signal(signal.SIGHUP)


@pytest.mark.parametrize("how", ["spawner", "concurrency"])
@pytest.mark.parametrize("still", ["local", "remote"])
def test_a_channel_that_stands_still_does_not_keep_the_other_from_trying_again(
        sender, still, how):
    """A message with a recipient at each."""
    rspawnlib.use(sender)
    sender.control("retryschedule", "1")
    to = {"local": "later@test.example", "remote": "x@later.example"}
    for name in "later", "later.example":
        sender.fake(name, "Znot now")
    channel = Channel(sender, still, how)
    channel.stop()
    sender.up()
    other = "remote" if still == "local" else "local"
    number = sender.mail(*to.values())
    log = sender.logged("deferral: not_now", count=3)
    assert f" to {still} " not in log
    sender.fake({"local": "later", "remote": "later.example"}[still], "Kyes")
    channel.go_on()
    sender.logged("success: yes", 30)
    until(lambda: sender.read(number).recipients == [to[other].encode()])
    for name in "later", "later.example":
        sender.fake(name, "Kyes")
    log = sender.logged(f"end msg {number}")
    assert log.count(f" to {still} ") == 1 and log.count("success: yes") == 2


def status(sender):
    return json.loads(sender.run("queuectl", "-j", "status").stdout)


def work(pid):
    """How often it waited for something; how many ticks it has run."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    ticks = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0]),
            int(ticks[11]) + int(ticks[12]))


def test_what_waits_for_a_channel_that_stands_still_costs_nothing(sender):
    """Active or in line."""
    sender.control("retryschedule", "1h")
    channel = Channel(sender, "remote", "concurrency")
    channel.stop()
    sender.fake("later", "Znot now")
    sender.up()
    numbers = [sender.mail("later@test.example", "x@far.example") for _ in range(400)]
    sender.logged("deferral: not_now", 30, 400)
    until(lambda: (s := status(sender))["waiting"] + s["active"] == 400
          and s["waiting"] > 100)
    waited, ran = work(sender.pid("send"))
    time.sleep(1)
    now_waited, now_ran = work(sender.pid("send"))
    assert now_waited - waited <= 5 and now_ran - ran <= 10
    # what is left there alone stays in line, nobody knows how long
    sender.run("queuectl", "delete", str(numbers[-1]), "to=later@test.example")
    until(lambda: sender.read(numbers[-1]).recipients == [b"x@far.example"])
    shown = sender.run("queuectl", "show", str(numbers[-1])).stdout.decode()
    assert "ready\n" in shown or "waiting, next try in 0 s\n" in shown, shown


def wait_at_a_stopped_channel(sender, schedule):
    """A message there, whose other recipient has failed once; the channel."""
    rspawnlib.use(sender)
    sender.control("retryschedule", schedule)
    channel = Channel(sender, "remote", "concurrency")
    channel.stop()
    sender.fake("later", "Znot now")
    sender.up()
    sender.mail("later@test.example", "x@far.example")
    sender.logged("deferral: not_now")
    return channel


def test_a_channel_that_goes_on_does_not_wait_for_a_try_at_the_other(sender):
    channel = wait_at_a_stopped_channel(sender, "1")
    sender.fake("later", "wait 60")
    until(lambda: "local 1/" in sender.log_of_send().rsplit("status:", 1)[1]
          and len(sender.fakelog()) == sender.log_of_send().count("deferral") + 1)
    channel.go_on()
    assert "waited" not in sender.logged("success: done", 20)
    sender.fake("later", "K")


def test_what_waits_at_a_channel_that_comes_to_a_stop_is_tried_again_at_the_other(sender):
    rspawnlib.use(sender)
    sender.control("retryschedule", "1")
    sender.control("concurrencyremote", 1)
    sender.fake("hangs.example", "wait 120")
    sender.fake("later", "Znot now")
    sender.up()
    sender.mail("x@hangs.example")
    sender.logged("remote 1/1")
    number = sender.mail("later@test.example", "x@far.example")
    sender.logged("deferral: not_now")
    sender.control("concurrencyremote", 0)
    sender.send_signal(signal.SIGHUP)
    sender.logged("deferral: not_now", count=2)
    sender.control("concurrencyremote", 2)
    sender.send_signal(signal.SIGHUP)
    sender.logged("success: done")
    sender.fake("hangs.example", "K")
    sender.fake("later", "K")
    sender.logged(f"end msg {number}")


def test_what_waited_for_a_channel_is_tried_after_a_restart(sender):
    wait_at_a_stopped_channel(sender, "1h")
    time.sleep(1.1)     # send remembers seconds
    assert sender.down() == 0
    sender.control("concurrencyremote", 20)
    sender.up(queued=False)
    sender.logged("success: done")


def test_an_order_to_try_one_at_a_channel_that_stands_still_waits_for_it(sender):
    rspawnlib.use(sender)
    sender.control("retryschedule", "1h")
    sender.fake("later", "Znot now")
    sender.fake("far.example", "Znot now")
    sender.up()
    number = sender.mail("later@test.example", "x@far.example")
    sender.logged("deferral: not_now", count=2)
    sender.control("concurrencyremote", 0)
    sender.send_signal(signal.SIGHUP)
    until(lambda: status(sender)["remotelimit"] == 0)
    sender.run("queuectl", "retry", str(number), "to=x@far.example")
    sender.run("queuectl", "retry", str(number), "to=later@test.example")
    sender.logged("deferral: not_now", count=3)
    sender.fake("far.example", "Kyes")
    sender.control("concurrencyremote", 20)
    sender.send_signal(signal.SIGHUP)
    sender.logged("success: yes")
    assert sender.log_of_send().count("starting delivery") == 4


def test_what_stood_in_line_at_a_channel_that_comes_to_a_stop_goes_on_at_the_other(sender):
    """More messages than may be open: when all slots were taken, the others
    were put in line at the channel that had moved last."""
    rspawnlib.use(sender)
    sender.control("concurrencylocal", 1)
    sender.control("concurrencyremote", 2)
    sender.fake("slow", "wait 120")
    for host, answer in ("hangs1", "wait 120"), ("hangs2", "wait 120"), ("moves", "sleep 1"):
        sender.fake(f"{host}.example", answer)
    sender.up()
    sender.mail("slow@test.example")
    for host in "hangs1", "moves", "hangs2":
        sender.mail(f"x@{host}.example")
    sender.logged("success: slept")
    sender.logged("local 1/1 remote 2/2", count=2)
    numbers = [sender.mail(f"u{n}@test.example", f"x@r{n}.example") for n in range(300)]
    sender.logged("new msg", 20, 304)
    until(lambda: status(sender)["ready"] > 100)
    sender.control("concurrencyremote", 0)
    sender.control("concurrencylocal", 20)
    sender.send_signal(signal.SIGHUP)
    until(lambda: len(sender.fakelog()) == 301, 30)
    until(lambda: all(len(sender.read(n).recipients) == 1 for n in numbers), 30)
    assert "success: done" not in sender.log_of_send()
    sender.control("concurrencyremote", 20)
    sender.send_signal(signal.SIGHUP)
    sender.logged("success: done", 30, 300)
    assert len(sender.fakelog()) == 301
    for name in "slow", "hangs1.example", "hangs2.example":
        sender.fake(name, "K")


def reads(pid):
    """How often it has read from anything; a message takes one read."""
    return int(pathlib.Path(f"/proc/{pid}/io").read_text().split("syscr: ")[1].split()[0])


def test_what_stands_in_line_for_one_channel_alone_is_not_read_again_when_it_stops(sender):
    """Nothing of it could be tried at the other."""
    rspawnlib.use(sender)
    sender.control("concurrencyremote", 2)
    sender.fake("hangs.example", "wait 120")
    sender.up()
    for _ in range(300):
        sender.mail("x@hangs.example")
    sender.logged("new msg", 20, 300)
    until(lambda: status(sender)["ready"] > 100)
    ready, before = status(sender)["ready"], reads(sender.pid("send"))
    sender.control("concurrencyremote", 0)
    sender.send_signal(signal.SIGHUP)
    for _ in range(10):
        sender.logged(f"end msg {sender.mail('joe@test.example')}")
    assert status(sender)["ready"] == ready and status(sender)["remotelimit"] == 0
    assert reads(sender.pid("send")) - before < 100
    sender.fake("hangs.example", "K")


def test_a_spawner_without_send_rests_until_its_last_delivery_ends(sender):
    sender.fake("slow", "sleep 3")
    sender.up()
    sender.mail("slow@test.example")
    sender.logged("starting delivery 1")
    stat = open(f"/proc/{sender.pid('lspawn')}/stat")
    os.kill(sender.pid("send"), signal.SIGKILL)
    ticks = []

    def ended():
        try:
            stat.seek(0)
            fields = stat.read().rsplit(")", 1)[1].split()
        except ProcessLookupError:
            return True
        ticks.append(int(fields[11]) + int(fields[12]))
        return fields[0] == "Z"
    with stat:
        until(ended, 30)
    assert ticks[-1] < os.sysconf("SC_CLK_TCK") / 2
