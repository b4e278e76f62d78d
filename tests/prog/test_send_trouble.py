"""send when the clock jumps, and when the queue's directories cannot be changed:
it waits, says so once a minute, and goes on by itself."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import postern
import rspawnlib
from queuelib import until
from sendlib import Sender

DAY = 86400
HERE = pathlib.Path(__file__).resolve().parent
MAINS = {"bounce", "lspawn", "rspawn", "start", "pool"}
JUMPED = "warning: the clock has jumped"


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    rspawnlib.use(s)
    yield s
    s.close()
    print(s.log_text(), s.log_of_send())


@pytest.fixture(scope="module")
def send_with_a_clock(tmp_path_factory):
    """send, with a clock of ours in it."""
    out = tmp_path_factory.mktemp("clock") / "send"
    tree = postern.TREE
    libc, cc = ("musl", "musl-gcc") if (tree / "deps/musl/done").exists() else ("glibc", "gcc")
    objects = sorted(o for o in tree.glob("send/*.o") if o.stem not in MAINS)
    subprocess.run([cc, "-O2", "-static", "-no-pie", "-Wl,--wrap=clock_gettime,--gc-sections",
                    "-o", out, HERE / "clockjump.c", *objects, tree / "lib/libpostern.a",
                    tree / f"deps/{libc}/lib/libskarnet.a"], check=True)
    return out


def wrong(sender, seconds):
    """From now on the time of day is wrong by that much."""
    new = sender.home / "wrong.new"
    new.write_text(str(seconds))
    new.chmod(0o644)
    new.rename(sender.home / "wrong")


@pytest.mark.parametrize("seconds", [30 * DAY, -30 * DAY, 15 * 365 * DAY])
def test_a_jump_of_the_clock_is_told_and_neither_bounces_nor_stops_anything(
        sender, send_with_a_clock, seconds):
    """Also past 2038."""
    program = sender.home / "bin/send"
    program.unlink()
    shutil.copy(send_with_a_clock, program)
    sender.control("retryschedule", "2")
    sender.control("queuelifetime", "600")
    sender.fake("later", "Znot now")
    sender.up()
    number = sender.mail("later@test.example")
    sender.logged("deferral")
    wrong(sender, seconds)
    sender.logged(JUMPED)
    there = sender.log_of_send().count("deferral")
    sender.logged("deferral", 20, there + 2)
    sender.logged(f"end msg {sender.mail('joe@test.example')}")
    wrong(sender, 0)
    there = sender.log_of_send().count("deferral")
    sender.logged("deferral", 20, there + 2)
    log = sender.log_of_send()
    assert log.count(JUMPED) == 1       # and not when it is right again
    assert "bounce msg" not in log and ": failure: " not in log
    assert sender.messages() == [number]
    sender.fake("later", "Kyes")
    sender.logged(f"end msg {number}")


def test_directories_that_cannot_be_changed_are_waited_for(sender):
    """As on a file system that the kernel has made read-only."""
    sender.fake("later", "Znot now")
    sender.start()
    directories = list(sender.dir.glob("mess/*"))
    owner = directories[0].stat()
    sender.up(queued=False)
    held = [sender.mail(f"u{n}@test.example") for n in range(3)]
    for n in held:
        sender.logged(f"end msg {n}")
    sender.fake("slow", "sleep 1")
    stuck = [sender.mail("slow@test.example") for _ in range(5)]
    for d in directories:
        os.chown(d, 0, owner.st_gid)
    sender.logged("success: slept", count=5)
    sender.logged("warning: queued is unable to mark or remove a message, will try again: "
                  "Permission denied")
    began = time.monotonic()
    with open(f"/proc/{sender.pid('send')}/stat") as f:
        before = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
    sender.send_signal(signal.SIGALRM)          # nothing is sent a second time for that
    until(lambda: time.monotonic() - began > 3)
    with open(f"/proc/{sender.pid('send')}/stat") as f:
        assert sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) - before < 10
    assert sender.messages() == sorted(stuck)
    for d in directories:
        os.chown(d, owner.st_uid, owner.st_gid)
    until(lambda: not sender.messages(), 80)    # it asks again each minute
    log = sender.log_of_send()
    assert log.count("queued is unable to mark or remove") == 1
    assert [line[2] for line in sender.fakelog()].count("slow") == 5
    for n in stuck:
        sender.logged(f"end msg {n}")
