"""Whatever a message looks like, scanq comes to a verdict, soon and with little
memory: tests/corpus.py, with messages that are made here.  It takes a directory
of real ones, too."""
import pathlib
import random
import tempfile

import pytest

import corpus
import evasion
from corpus import Outcome, Scanner, faults


@pytest.fixture(scope="module")
def scanner():
    with tempfile.TemporaryDirectory(prefix="postern-corpus.") as d:
        s = Scanner(pathlib.Path(d))
        yield s
        s.close()


def damaged():
    """Every technique, with bytes changed, moved and lost."""
    r = random.Random(6)
    for name in sorted(evasion.TECHNIQUES):
        message = bytearray(evasion.raw(evasion.TECHNIQUES[name][0]())[:20000])
        for _ in range(r.randrange(1, 8)):
            at = r.randrange(len(message))
            what = r.randrange(4)
            if what == 0:
                message[at] = r.randrange(256)
            elif what == 1:
                message[at:at] = message[r.randrange(len(message)):][:r.randrange(200)]
            elif what == 2:
                del message[at:at + r.randrange(20)]
            else:
                message[at:at] = r.choice([b"\r", b"\n", b"\0", b"--b1", b"\n\n", b"=", b'"'])
        yield bytes(message)


SETS = {
    "techniques": lambda: [evasion.raw(make()) for make, _ in evasion.TECHNIQUES.values()],
    "ordinary": lambda: [evasion.raw(make()) for make in evasion.CLEAN.values()],
    "damaged": damaged,
    "shapes": lambda: [evasion.mixed(*[b"\nx\n"] * 100000), evasion.deep(10000), b"", b"\n", b"\0" * 100000,
                       evasion.mixed(*[evasion.attached(evasion.wrap(evasion.zipped()))] * 150)],
}


@pytest.mark.parametrize("which", sorted(SETS))
def test_each_message_gets_a_verdict_soon(scanner, which):
    bad = []
    for n, message in enumerate(SETS[which]()):
        outcome = scanner.run(message)
        if faults(outcome):
            bad.append((n, faults(outcome), outcome.log))
    assert not bad


def test_faults_are_told_from_verdicts():
    assert faults(Outcome(0, 0.1, "scanq: info: accepted")) == []
    assert len(faults(Outcome(-11, 2, "scanq: warning: x"))) == 3
    assert faults(Outcome(71, 0.1, ""))


def test_too_little_memory_is_a_fault(scratch, monkeypatch):
    monkeypatch.setattr(corpus, "MEMORY", 1 << 20)
    s = Scanner(scratch)
    try:
        assert faults(s.run(evasion.mixed(evasion.TEXT)))
    finally:
        s.close()
