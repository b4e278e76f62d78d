"""scanq while its system calls fail, one at a time: a message is queued whole
and once, or not at all and its sender told to come back."""
import collections
import os
import re

import pytest

from scanqlib import Scanq, lines, mail

GOOD = mail(parts=[("a.bin", "application/octet-stream", b"good" * 30000)])
BAD = mail(parts=[("a.exe", "application/octet-stream", b"MZ" * 30000)])
# the first of them load the program; a close that fails has closed; who waits in
# vain cannot know, and has it queued twice
NOT = {"wait4", "execve", "exit_group", "arch_prctl", "set_tid_address", "close"}


@pytest.fixture
def scanq(scratch):
    s = Scanq(scratch)
    s.clamd()
    s.rules(".exe\t0\tprogram\n")
    yield s
    s.close()


def calls(scanq, message):
    """How often it makes each system call, before the next program."""
    trace = scanq.scratch / "trace"
    r = scanq.run(message, under=["strace", "-b", "execve", "-o", trace])
    assert r.code == 0
    counted = collections.Counter(re.findall(r"^(\w+)\(", trace.read_text("latin-1"), re.M))
    return {name: n for name, n in counted.items() if name not in NOT}


def failing(scanq, message, call, error, when):
    return scanq.run(message, under=["strace", "-b", "execve", "-o", "/dev/null", "-e",
                                     f"inject={call}:error={error}:when={when}"])


def put_off(code):
    return 51 <= code < 100 or code == 120


@pytest.mark.parametrize("error", ["ENOMEM", "EINTR"])
def test_a_failing_call_loses_nothing(scanq, error):
    for call, n in calls(scanq, GOOD).items():
        r = failing(scanq, GOOD, call, error, n)
        where = (call, n, r.code, r.log)
        if r.code == 0:
            assert len(r.queued) == 1 and lines(r.queued[0])[1] == GOOD, where
        else:
            assert r.queued == [] and put_off(r.code), where


def test_a_failing_call_frees_nothing_that_is_forbidden(scanq):
    def kept(d):
        text = (d / "message").read_bytes()
        return b"X-Postern-Quarantine: " in text and text.endswith(b"\n" + BAD.encode())
    for call, n in calls(scanq, BAD).items():
        r = failing(scanq, BAD, call, "EIO", n)
        where = (call, n, r.code, r.log)
        assert not any(b"Tc@d.example" in (d / "envelope").read_bytes() for d in r.queued), where
        assert (r.code == 0 and kept(r.queued[0])) or (put_off(r.code) and not r.queued), where


@pytest.mark.parametrize("most", range(7, 16))
def test_few_descriptors(scanq, most):
    """Below 7 even the caller's own are too many."""
    r = scanq.run(GOOD, under=["prlimit", f"--nofile={most}"])
    if r.code == 0:
        assert len(r.queued) == 1 and lines(r.queued[0])[1] == GOOD, r.log
    else:
        assert r.queued == [] and put_off(r.code), (r.code, r.log)


@pytest.mark.parametrize("kilobytes", [300, 500, 1000, 2000, 4000])
def test_little_memory(scanq, kilobytes):
    r = scanq.run(GOOD, under=["prlimit", f"--as={kilobytes * 1024}"])
    if r.code == 0:
        assert len(r.queued) == 1 and lines(r.queued[0])[1] == GOOD, r.log
    else:
        # the kernel, or the next program's shell
        assert r.queued == [] and (put_off(r.code) or r.code < 0 or r.code == 127), (r.code, r.log)


@pytest.mark.parametrize("what", ["filling", "full", "missing", "a file", "read-only"])
def test_where_large_messages_are_kept_is_no_good(scanq, what):
    """Above 1 MB they go to TMPDIR, or stay in memory if nothing can be made there."""
    where = scanq.scratch / "tmp"
    mount = {"filling": f"mount -t tmpfs -o size=1500k tmp {where}",
             "full": f"mount -t tmpfs -o size=64k tmp {where}",
             "read-only": f"mount -t tmpfs -o ro tmp {where}"}.get(what, "true")
    if what == "a file":
        where.write_text("")
    elif what != "missing":
        where.mkdir()
    large = mail(body="x" * 75 + "\n") + ("y" * 75 + "\n") * 30000
    r = scanq.run(large, under=["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"],
                  TMPDIR=where)
    if what == "filling":
        assert put_off(r.code) and r.queued == [], (r.code, r.log)
    else:
        assert r.code == 0 and lines(r.queued[0])[1] == large, (r.code, r.log)


def test_large_message_goes_whole_into_quarantine(scanq):
    large = BAD + "\n" + ("y" * 75 + "\n") * 30000
    r = scanq.run(large)
    assert r.code == 0 and b"Tquarantine@" in (r.queued[0] / "envelope").read_bytes(), r.log
    assert (r.queued[0] / "message").read_bytes().endswith(b"\n" + large.encode())


@pytest.mark.parametrize("make", [
    lambda p: p.write_text(""), lambda p: p.mkdir(), lambda p: os.mkfifo(p),
    lambda p: p.symlink_to("/nonexistent"), lambda p: p.symlink_to(p)])
def test_clamd_is_something_else(scanq, make):
    where = scanq.scratch / "not-clamd"
    make(where)
    scanq.control("clamd", where)
    r = scanq.run(GOOD)
    assert r.code == 82 and r.text.startswith("Z") and r.queued == []


@pytest.mark.parametrize("make", [
    lambda p: p.write_bytes(b""), lambda p: p.write_bytes(b"1 2 3\n\xff" * 100000), lambda p: p.mkdir(),
    lambda p: os.mkfifo(p), lambda p: p.symlink_to("/etc/passwd")])
def test_the_count_of_alerts_is_something_else(scanq, make):
    """What is bad is kept all the same; an alert may fail."""
    make(scanq.home / "scan/alerts")
    before = open("/etc/passwd", "rb").read()
    r = scanq.run(BAD)
    assert r.code == 0 and b"Tquarantine@" in (r.queued[0] / "envelope").read_bytes()
    assert open("/etc/passwd", "rb").read() == before
