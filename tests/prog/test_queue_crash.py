"""queued killed, or told of errors, at each system call of a worker: what was
acknowledged is whole, and what is in the queue is whole.  strace is the one
who kills; each test looks whether it did."""
import re
import signal
import subprocess
import time

import pytest
from queuelib import Client, Queue, envelope

BODY = b"Subject: x\n\n" + b"hello\n" * 300


class Traced:
    """One worker of queued under strace."""

    def __init__(self, scratch, *inject, **control):
        self.queue = Queue(scratch, workers=1, **control).start()
        self.trace = scratch / "trace"
        self.strace = subprocess.Popen(
            ["strace", "-f", "-o", self.trace, "-p", str(self.queue.workers()[0]), *inject],
            stderr=subprocess.PIPE)
        line = self.strace.stderr.readline()
        assert b"attached" in line, line

    def lines(self):
        return self.trace.read_text().splitlines()

    def close(self):
        self.strace.send_signal(signal.SIGTERM)
        self.strace.wait(10)
        self.strace.stderr.close()
        self.queue.stop()


def send(queue):
    """The id that was acknowledged, the refusal, or None."""
    try:
        answer = Client(queue).message(BODY, envelope(b"s@a", b"r@b", b"r@c"))
    except OSError:
        return None
    return int(answer[2:]) if answer[:2] == b"K " else answer or None


def check(queue, answers):
    """Everything acknowledged is there; everything that is there is whole."""
    there = queue.messages()
    for n in there:
        m = queue.read(n)
        assert m.without_received() == BODY and m.recipients == [b"r@b", b"r@c"]
    for a in answers:
        assert not isinstance(a, int) or a in there


def calls(scratch):
    """What one message costs a worker."""
    t = Traced(scratch)
    assert isinstance(send(t.queue), int)
    time.sleep(0.1)
    t.close()
    return [m.group(1) for line in t.lines() if (m := re.match(r"\d+ +(\w+)\(", line))]


def test_order_is_name_then_sync_then_answer(scratch):
    t = Traced(scratch)
    assert isinstance(send(t.queue), int)
    time.sleep(0.1)
    t.close()
    text = "\n".join(t.lines())
    at = [re.search(p, text).start() for p in
          (r"pwritev\(", r"renameat2\(", r"fsync\(", r"sendmsg\(.*\"K ")]
    assert at == sorted(at)


def test_strictsync_syncs_the_directory_before_the_answer(scratch):
    t = Traced(scratch, strictsync=1)
    assert isinstance(send(t.queue), int)
    time.sleep(0.1)
    t.close()
    text = "\n".join(t.lines())
    assert len(re.findall(r"fsync\(", text[:re.search(r"\"K ", text).start()])) == 2


def test_system_calls_of_a_message(scratch):
    """Not a limit of nature: whoever adds one should know."""
    assert len(calls(scratch)) <= 30


# every call of a message, as test_system_calls_of_a_message sees them
EACH = ["epoll_pwait", "accept4", "getsockopt", "epoll_ctl", "recvmsg", "openat", "write", "sendmsg",
        "fstat", "pwritev", "renameat2", "fsync", "close"]
KILLS = [(c, n) for c in EACH for n in (1, 2, 3)]


@pytest.mark.parametrize("call, when", KILLS)
def test_killed_worker(scratch, call, when):
    t = Traced(scratch, "-e", f"inject={call}:signal=KILL:when={when}")
    answers = [send(t.queue) for _ in range(3)]
    t.strace.wait(10)  # it ends with what it traces
    t.close()
    assert any("+++ killed by SIGKILL" in line for line in t.lines()), "nothing was injected"
    check(t.queue, answers)
    assert t.queue.unfinished() == []


ERRORS = [("openat", "ENOSPC"), ("openat", "EMFILE"), ("write", "ENOSPC"), ("pwritev", "EIO"),
          ("pwritev", "EDQUOT"), ("renameat2", "EIO"), ("renameat2", "ENOSPC"), ("fsync", "EIO"),
          ("fsync", "ENOSPC"), ("fsync", "EDQUOT"), ("fstat", "EIO")]


@pytest.mark.parametrize("call, error", ERRORS)
def test_error_of_a_call(scratch, call, error):
    t = Traced(scratch, "-e", f"inject={call}:error={error}:when=1")
    first = send(t.queue)
    second = send(t.queue)
    t.close()
    assert any("(INJECTED)" in line for line in t.lines()), "nothing was injected"
    assert isinstance(first, bytes) and first.startswith(b"E "), first
    assert first[2:4] in (b"53", b"64")
    assert isinstance(second, int)
    assert t.queue.messages() == [second] and t.queue.unfinished() == []
    check(t.queue, [first, second])


@pytest.mark.parametrize("call", ["write", "pwritev"])
def test_short_write(scratch, call):
    """A full disk may take a part."""
    t = Traced(scratch, "-e", f"inject={call}:retval=3:when=1")
    first, second = send(t.queue), send(t.queue)
    t.close()
    assert any("(INJECTED)" in line for line in t.lines())
    assert first.startswith(b"E 53 ") and isinstance(second, int)
    assert t.queue.messages() == [second] and t.queue.unfinished() == []


def test_failed_sync_is_not_tried_again(scratch):
    t = Traced(scratch, "-e", "inject=fsync:error=EIO:when=1")
    assert send(t.queue).startswith(b"E 53 ")
    t.close()
    assert sum("fsync(" in line for line in t.lines()) == 1


def test_rename_never_replaces(scratch):
    """The name is taken: another is found, and the answer says which."""
    t = Traced(scratch, "-e", "inject=renameat2:error=EEXIST:when=1")
    n = send(t.queue)
    t.close()
    assert isinstance(n, int) and t.queue.messages() == [n]


def test_file_system_without_noreplace(scratch):
    t = Traced(scratch, "-e", "inject=renameat2:error=EINVAL:when=1")
    n = send(t.queue)
    t.close()
    assert isinstance(n, int) and t.queue.messages() == [n] and t.queue.unfinished() == []


def test_out_of_descriptors_is_no_busy_loop(scratch):
    t = Traced(scratch, "-e", "inject=accept4:error=EMFILE:when=1..3")
    assert isinstance(send(t.queue), int)
    t.close()
    assert len(t.lines()) < 60
