"""control/archive: queued gives copies of mail to somebody more."""
import os
import signal

import pytest

from queuelib import Client, Queue, envelope, until

RULE = "kept.example:archive@vault.example\n"


@pytest.fixture
def queue(scratch):
    q = Queue(scratch, workers=1, archive=RULE)
    q.start()
    yield q
    q.stop()


def recipients(queue, env):
    c = Client(queue)
    answer = c.message(env=env)
    assert answer[:1] == b"K", answer
    c.close()
    return queue.read(int(answer.split()[1])).recipients


def test_mail_from_and_to_a_domain_is_copied(queue):
    assert recipients(queue, envelope(b"joe@Kept.example", b"a@b.example")) == \
        [b"a@b.example", b"archive@vault.example"]
    assert recipients(queue, envelope(b"", b"x@b.example", b"joe@kept.example")) == \
        [b"x@b.example", b"joe@kept.example", b"archive@vault.example"]
    assert recipients(queue, envelope(b"a@b.example", b"c@b.example")) == [b"c@b.example"]


def test_a_long_envelope_is_copied_too(queue):
    many = [b"u%d@%s.example" % (i, b"x" * 200) for i in range(250)]
    got = recipients(queue, envelope(b"joe@kept.example", *many))
    assert got == many + [b"archive@vault.example"]


def test_an_envelope_that_a_copy_makes_too_long_is_refused(queue):
    """It was acknowledged, and then found to be no message."""
    queue.control("archive", f"*:{'a' * 500}@vault.example\n")
    queue.stop()
    queue.start()
    env = envelope(b"joe@kept.example", *[b"x" * 1000] * 2092)
    env += b"T" + b"y" * (2097152 - len(env) - 2) + b"\0"
    c = Client(queue)
    c.begin()
    c.write(b"x\n")
    for i in range(0, len(env), 60000):
        c.sock.send(b"V" + env[i:i + 60000])
    answer = c.commit(b"")
    assert answer.startswith(b"E 31 ") and queue.messages() == queue.unfinished() == []


def test_the_rules_are_read_again(queue):
    queue.control("archive", "*:all@vault.example\n")
    os.kill(queue.master(), signal.SIGHUP)
    until(lambda: recipients(queue, envelope(b"a@b.example", b"c@b.example"))[1:] ==
          [b"all@vault.example"])
    queue.control("archive", "nonsense\n")
    os.kill(queue.master(), signal.SIGHUP)
    until(lambda: "control/archive: not who:address: nonsense" in queue.log_text())
    # the old ones stay
    assert recipients(queue, envelope(b"a@b.example", b"c@b.example"))[1:] == \
        [b"all@vault.example"]
