"""A program dies, or is told of an error, at each of its system calls: what was
acknowledged arrives, whole, and the suite goes on."""
import random

import pytest

import mutants
from crashes import PROGRAMS, Crashes, faults, inject

# what no quick run may leave out
ALWAYS = {
    "queued": [("read", 10, "EIO")],
    "worker": [("fsync", 2, "KILL"), ("renameat2", 1, "KILL"), ("fsync", 3, "EIO"),
               ("unlink", 2, "KILL")],
    "start": [("socketpair", 5, "EMFILE"), ("fork", 4, "ENOMEM"), ("fork", 4, "KILL")],
    "send": [("recvmsg", 2, "KILL"), ("sendmsg", 3, "KILL"), ("openat", 66, "EMFILE"),
             ("mmap", 3, "EINTR")],
    "lspawn": [("sendmsg", 7, "ENOMEM"), ("recvmsg", 2, "KILL"), ("fork", 1, "ENOMEM"),
               ("epoll_pwait", 5, "EINTR")],
    "local": [("fsync", 1, "EIO"), ("fsync", 2, "KILL"), ("renameat2", 1, "KILL"),
              ("sync_file_range", 1, "EIO"), ("write", 1, "ENOSPC"), ("sendmsg", 1, "KILL")],
    "rspawn": [("recvmsg", 3, "KILL"), ("sendmsg", 2, "KILL"), ("sendmsg", 6, "ENOMEM"),
               ("poll", 3, "EINTR")],
    "remote": [("recvmsg", 1, "KILL"), ("sendmsg", 1, "KILL"), ("sendto", 3, "EIO"),
               ("read", 4, "KILL")],
    "bounce": [("sendmsg", 2, "KILL"), ("sendmsg", 3, "KILL"), ("write", 1, "EDQUOT")],
}


# mutant: the fault that it does not survive, at one of the first calls of the
# kind, and what shows
MUTANTS = {
    "a message that has no name in the queue is acknowledged":
        ("worker", "renameat2", "EIO", "lost: "),
    "a dead worker has no successor":
        ("worker", "fsync", "KILL", "waited 10 s in vain: not acknowledged"),
    "a message that could not be written counts as delivered":
        ("local", "write", "ENOSPC", "torn at joe's: "),
    "a message without a name in new/ counts as delivered": ("local", "renameat2", "EIO", "lost: "),
    "what a dead local had counts as delivered": ("local", "renameat2", "KILL", "lost: "),
    "what a dead remote had counts as delivered": ("remote", "sendto", "KILL", "lost: "),
    "what a dead spawner had counts as delivered": ("lspawn", "sendmsg", "KILL", "lost: "),
    "what a dead connection had counts as delivered": ("remote", "sendto", "EIO", "lost: "),
    "a bounce that could not be queued counts as queued":
        ("bounce", "write", "EDQUOT", "lost: "),
}
ORDINALS = 10


@pytest.fixture
def crashes(scratch):
    made = []

    def make(change=None):
        s = Crashes(scratch)
        made.append(s)
        if change:
            change(s)
        return s.start("queued", "send")
    yield make
    for s in made:
        s.stop()


@pytest.fixture
def suite(crashes):
    return crashes()


@pytest.mark.parametrize("program", PROGRAMS)
def test_of(suite, program, full, note):
    every = faults(program, suite.pairs(program))
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


@pytest.mark.full
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(crashes, scratch, note, name):
    program, call, what, shows = MUTANTS[name]
    suite = crashes(mutants.make(name, scratch))
    assert not suite.case(program, ""), "goes wrong by itself"
    for n in range(1, ORDINALS + 1):
        bad = suite.case(program, inject(call, n, what))
        if any(b.startswith(shows) for b in bad):
            note(f"{program} {call} {n} {what}: {bad[0].splitlines()[0]}")
            return
        if bad:
            suite.fresh()
    pytest.fail(f"nobody noticed {what} at the first {ORDINALS} {call} of {program}")


@pytest.mark.full
def test_mutant_a_spawner_stays_dead(crashes, scratch, note):
    suite = crashes(mutants.make("a dead spawner has no successor", scratch))
    bad = suite.case("start", "")
    note(bad[0])
    assert bad[0].startswith("still in the queue: ")
