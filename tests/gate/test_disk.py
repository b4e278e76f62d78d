"""A disk that is full, read-only, or fails: the client is told to come again,
nothing is lost, and when the disk is well again so is the suite."""
import smtplib
import time

import pytest

import disk
import mutants
from disk import run, umount
from gatesuite import GateSuite, empty_tree, until
from mail import Ledger
from powercut import PowerCut

TEMPORARY = (421, 451, 452)


def cpu(pid):
    """Seconds of processor time so far."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Full:
    def __init__(self, scratch, queue="", mailboxes="", change=None):
        """queue, mailboxes: options of a tmpfs for them, if any."""
        self.suite = s = GateSuite(scratch / "home", scratch / "users")
        if change:
            change(s)
        self.ledger = Ledger()
        self.mounts = []
        (s.queue / "trigger").unlink()
        s.mailboxes.mkdir()
        for place, options in (s.queue, queue), (s.mailboxes, mailboxes):
            if options:
                run("mount", "-t", "tmpfs", "-o", options, "gate", place)
                self.mounts.append(place)
        empty_tree(s.queue, s.mailboxes)
        self.sent = 0

    def send(self, size=20000):
        """The code of a message's answer."""
        self.sent += 1
        m = self.ledger.new(f"m{self.sent}", size=size)
        try:
            self.suite.send(m)
        except smtplib.SMTPResponseException as e:
            del self.ledger[m.key]
            return e.smtp_code
        return 250

    def all_delivered_once(self):
        boxes = self.suite.boxes(self.ledger)
        assert not self.ledger.lost(self.ledger, boxes, set())
        assert not boxes["joe"].torn
        assert set(boxes["joe"].whole.values()) <= {1}, "delivered twice"

    def in_tmp(self):
        return list(self.suite.queue.glob("tmp/*"))

    def close(self):
        self.suite.stop()
        for place in self.mounts:
            umount(place)


@pytest.fixture
def full_disk(scratch):
    made = []

    def make(**how):
        made.append(Full(scratch, **how))
        return made[-1]
    yield make
    for f in made:
        f.close()


def without_room(make, change=None):
    f = make(queue="size=700k,mode=755", change=change)
    s = f.suite.start("queued", "smtpd")
    codes = []
    while not codes or codes[-1] == 250 and len(codes) < 100:
        codes.append(f.send())
    assert codes[-1] in (451, 452) and len(codes) > 5, codes
    assert f.send() in (451, 452)
    until(lambda: not f.in_tmp(), say=lambda: f"in tmp/: {f.in_tmp()}")
    assert len(s.in_queue()) == len(f.ledger)
    s.start("send")
    s.wait_empty()
    assert f.send() == 250
    s.wait_empty()
    f.all_delivered_once()


def test_queue_without_room(full_disk):
    without_room(full_disk)


def without_inodes(make, change=None):
    f = make(queue="size=8m,mode=755,nr_inodes=4000", change=change)
    s = f.suite.start("queued", "smtpd", "send")
    assert f.send() == 250
    run("mount", "-o", "remount,nr_inodes=200", s.queue)
    codes = []
    until(lambda: codes.append(f.send()) or codes[-1] != 250, 5)
    assert codes[-1] in (451, 452), codes[-1]
    assert not f.in_tmp()
    run("mount", "-o", "remount,nr_inodes=4000", s.queue)
    until(lambda: f.send() == 250, 5)
    s.wait_empty()
    f.all_delivered_once()


def test_queue_without_inodes(full_disk):
    without_inodes(full_disk)


def mailbox_without_room(make, change=None):
    f = make(mailboxes="size=200k,mode=755", change=change)
    s = f.suite.start("queued", "smtpd", "send")
    filler = s.mailboxes / "filler"
    filler.write_bytes(b"x" * 140000)
    for _ in range(5):
        assert f.send() == 250
    until(lambda: "deferral: " in s.log("send") or not s.in_queue())
    assert not (torn := s.boxes(f.ledger)["joe"].torn), f"torn: {torn}"
    assert s.in_queue()
    filler.unlink()
    s.hurry()
    s.wait_empty()
    f.all_delivered_once()


def test_mailbox_without_room(full_disk):
    mailbox_without_room(full_disk)


def test_read_only_queue(full_disk):
    """As the kernel makes it after an error: for whoever looks from now on."""
    f = full_disk(queue="size=8m,mode=755")
    s = f.suite.start("queued", "smtpd")
    for _ in range(3):
        assert f.send() == 250
    s.stop("queued")
    run("mount", "-o", "remount,ro", s.queue)
    s.spawn("queued")
    assert f.send() in TEMPORARY
    assert len(s.in_queue()) == 3
    s.stop("queued")
    run("mount", "-o", "remount,rw", s.queue)
    s.start("queued", "send")
    assert f.send() == 250
    s.hurry()
    s.wait_empty()
    f.all_delivered_once()


@pytest.fixture
def failing(scratch, full):
    made = []
    if not full and not disk.possible():
        pytest.skip("no FUSE or no loop devices here: no disk failed")

    def make(change=None):
        made.append(PowerCut(scratch, "ext4", 2, change))
        return made[-1]
    yield make
    for p in made:
        p.disk.close()


def one_failing_write(make, change=None):
    """One block: the second attempt of the client is whole, and the only one."""
    p = make(change)

    def traffic():
        s = p.suite.start("queued", "smtpd")
        p.promise(p.ledger.new("before"))
        mail = p.ledger.new("again", size=60000)
        p.disk.fail(1)
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            s.send(mail)
        assert refused.value.smtp_code in (451, 452)
        s.send(mail)
        s.start("send")
        s.wait_empty()
        boxes = s.boxes(p.ledger)
        assert not p.ledger.lost(p.ledger, boxes, set())
        assert boxes["joe"].whole["again", False] == 1 and not boxes["joe"].torn
    p.record(traffic)


def test_a_write_that_fails_is_not_acknowledged(failing):
    one_failing_write(failing)


def dead_disk(make, change=None):
    p = make(change)

    def traffic():
        s = p.suite.start("queued", "smtpd")
        for i in range(3):
            p.promise(p.ledger.new(f"before{i}"))
        p.disk.fail(-1)
        for i in range(3):
            with pytest.raises(smtplib.SMTPResponseException) as refused:
                s.send(p.ledger.new(f"dead{i}"))
            assert refused.value.smtp_code in TEMPORARY
            del p.ledger[f"dead{i}"]
        # it stays so, and nobody runs in circles
        p.disk.cut_power()
        before, start = [cpu(x.pid) for x in s.running.values()], time.monotonic()
        until(lambda: time.monotonic() > start + 1)
        assert sum(cpu(x.pid) for x in s.running.values()) - sum(before) < 0.1
        s.stop()
        p.disk.fail(0)
    p.record(traffic)
    # another machine gets the disk
    _, found = p.replay(6, drain_each=1)
    assert not found, p.report(0, found)


def test_a_dead_disk_acknowledges_nothing_and_loses_nothing(failing):
    dead_disk(failing)


@pytest.mark.full
@pytest.mark.parametrize("name, where, shows", [
    ("a queue without room is the message's fault", without_room, "55[0-9]"),
    ("a queue without room is the message's fault", without_inodes, "55[0-9]"),
    ("an unfinished file stays", without_room, "in tmp/: "),
    ("a message that could not be written counts as delivered", mailbox_without_room, "torn: ")])
def test_mutant_on_a_full_disk(full_disk, scratch, note, name, where, shows):
    red(full_disk, scratch, note, name, where, shows)


@pytest.mark.full
@pytest.mark.parametrize("where", [one_failing_write, dead_disk])
def test_mutant_on_a_disk_that_fails(failing, scratch, note, where):
    red(failing, scratch, note, "a sync that failed is acknowledged", where, "DID NOT RAISE")


def red(make, scratch, note, name, where, shows):
    with pytest.raises((AssertionError, TimeoutError, pytest.fail.Exception), match=shows) as bad:
        where(make, mutants.make(name, scratch))
    note(str(bad.value).splitlines()[0])
