"""scanq while its system calls fail, one at a time: a message is queued whole
and once, or not at all and its sender told to come back."""
import collections
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
