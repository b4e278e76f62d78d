"""A program dies, or is told of an error, at each of its system calls: what was
acknowledged arrives, whole, and the suite goes on."""
import random

import pytest

from crashes import PROGRAMS, Crashes, faults, inject

# what no quick run may leave out
ALWAYS = {
    "queued": [("read", 10, "EIO")],
    "worker": [("fsync", 2, "KILL"), ("renameat2", 1, "KILL"), ("fsync", 3, "EIO"),
               ("unlink", 2, "KILL")],
    "send": [("recvmsg", 2, "KILL"), ("sendmsg", 3, "KILL"), ("openat", 66, "EMFILE"),
             ("mmap", 3, "EINTR")],
    "lspawn": [("sendmsg", 7, "ENOMEM"), ("recvmsg", 2, "KILL"), ("fork", 1, "ENOMEM"),
               ("poll", 5, "EINTR")],
    "local": [("fsync", 1, "EIO"), ("fsync", 2, "KILL"), ("linkat", 1, "KILL"),
              ("write", 1, "ENOSPC"), ("unlinkat", 1, "KILL"), ("sendmsg", 1, "KILL")],
    "rspawn": [("recvmsg", 3, "KILL"), ("sendmsg", 2, "KILL"), ("sendmsg", 6, "ENOMEM"),
               ("poll", 3, "EINTR")],
    "remote": [("recvmsg", 1, "KILL"), ("sendmsg", 1, "KILL"), ("sendto", 3, "EIO"),
               ("read", 4, "KILL")],
    "bounce": [("sendmsg", 2, "KILL"), ("sendmsg", 3, "KILL"), ("write", 1, "EDQUOT")],
}


@pytest.fixture
def suite(scratch):
    s = Crashes(scratch)
    s.start("queued", "send")
    yield s
    s.stop()


@pytest.mark.parametrize("program", PROGRAMS)
def test_of(suite, program, full, note):
    every = faults(suite.pairs(program))
    chosen = every if full else ALWAYS[program] + random.Random(program).sample(every, 2)
    wrong, missed = [], []
    for call, n, what in chosen:
        bad = suite.case(program, inject(call, n, what))
        if not bad and not suite.injected(program):
            bad = suite.case(program, inject(call, n, what))
        if bad:
            wrong.append(f"{program} {call} {n} {what}: {bad[0][:300]}")
            suite.fresh()
        if not suite.injected(program):
            missed.append((call, n, what))
    note(f"{len(every)} faults, {len(chosen)} tried, {len(missed)} not reached, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
    assert len(missed) <= len(chosen) / 5, missed
