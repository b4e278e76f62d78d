"""A queue in which files are damaged, or none of ours: those are set aside or
left alone, nobody gets a torn message, and the others flow."""
import os
import re

import pytest

import mutants
from gatesuite import GateSuite, until
from mail import Ledger
from queuelib import Message

FIRST = 1_700_000_000_000_000_000
END = 83


def truncated(whole):
    """At each 512 bytes, and everywhere within envelope and end record."""
    envelope = Message(whole).raw
    ends = set(range(0, len(whole), 512)) | \
        set(range(len(whole) - END - len(envelope), len(whole)))
    return {f"cut at {n}": whole[:n] for n in sorted(ends)}


def flipped(whole):
    """A bit of every byte of envelope and end record, and of some of the body.
    (T and D differ by one bit, and D is our own mark: no checksum tells.)"""
    start = len(whole) - END - len(Message(whole).raw)
    out = {}
    for n in [*range(0, start, 211), *range(start, len(whole))]:
        c = whole[n] ^ 1 << n % 8
        if n >= start and {c, whole[n]} == set(b"TD"):
            c = whole[n] ^ 1
        out[f"bit of byte {n}"] = whole[:n] + bytes([c]) + whole[n + 1:]
    return out


def lengthened(whole):
    return {"a byte more": whole + b"\n", "twice": whole + whole, "end twice": whole + whole[-END:],
            "zeros": b"\0" * len(whole), "zero tail": whole[:-4096] + b"\0" * 4096}


class Damage:
    def __init__(self, scratch, change=None):
        self.suite = GateSuite(scratch / "home", scratch / "users",
                               queuelifetime=10 ** 9).on_plain_directories()
        if change:
            change(self.suite)
        self.ledger = Ledger()
        self.number = FIRST
        self.aside = {}         # id -> what was done to it
        self.left = {}

    def good(self, key):
        self.suite.send(self.ledger.new(key))

    def template(self):
        """A whole message's bytes; it is taken out of the queue again."""
        before = set(self.suite.in_queue())
        self.good("template")
        [name] = set(self.suite.in_queue()) - before
        [path] = self.suite.queue.glob("mess/*/" + name)
        whole = path.read_bytes()
        path.unlink()
        return whole

    def place(self, what, make, expected):
        """make(path) puts something there that is no message."""
        self.number += 1000
        path = self.suite.queue / "mess" / f"{self.number // 1000 % 64:02}" / str(self.number)
        make(path)
        os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid, follow_symlinks=False)
        expected[str(self.number)] = what

    def place_all(self, whole):
        for files in truncated(whole), flipped(whole), lengthened(whole):
            for what, data in files.items():
                self.place(what, lambda p: p.write_bytes(data) and p.chmod(0o640) or p.touch(),
                           self.aside)

        def sparse(path):
            with open(path, "wb") as f:
                f.truncate(1 << 30)
        elsewhere = self.suite.home / "elsewhere"
        elsewhere.write_bytes(whole)
        self.place("sparse", sparse, self.aside)
        self.place("directory", os.mkdir, self.aside)
        self.place("link", lambda p: p.symlink_to(elsewhere), self.aside)
        self.place("dangling link", lambda p: p.symlink_to("nowhere"), self.aside)
        self.place("fifo", os.mkfifo, self.aside)

    def place_unreadable(self, whole):
        """Not for send to read, or no message at all."""
        self.place("mode 0", lambda p: p.write_bytes(whole) and p.chmod(0), self.aside)
        self.place("shut directory", lambda p: p.mkdir(0o700), self.aside)
        for mode in 0o600, 0o640:
            self.place("foreign owner", lambda p: p.write_bytes(whole) and p.chmod(mode), self.aside)
            path = self.suite.queue / "mess" / f"{self.number // 1000 % 64:02}" / str(self.number)
            os.chown(path, 0, 0)
        path = self.suite.queue / "mess/07" / "not-a-number"
        path.write_bytes(whole)
        self.left[path.name] = "foreign name"

    def run(self):
        """What went wrong, in words."""
        s = self.suite.start("queued", "smtpd")
        whole = self.template()
        for i in range(3):
            self.good(f"good{i}")
        s.stop("queued")
        self.place_all(whole)
        self.place_unreadable(whole)
        s.start("queued", "send")
        self.good("later")
        try:
            until(lambda: set(s.in_queue()) == set(self.left), 40)
        except TimeoutError:
            pass
        if s.running["send"].poll() is not None:
            return ["send has died"]
        return self.wrong()

    def wrong(self):
        s = self.suite
        bad = []
        there, aside = set(s.in_queue()), {f.name for f in s.queue.glob("bad/*")}
        logged = set(re.findall(r"alert: msg (\d+) is damaged and set aside in bad/", s.log("send")))
        for name, what in self.aside.items():
            if name not in aside:
                bad.append(f"not set aside: {what}{' (still queued)' if name in there else ''}")
            elif name not in logged:
                bad.append(f"set aside in silence: {what}")
        bad += [f"gone: {what}" for name, what in self.left.items() if name not in there]
        boxes = s.boxes(self.ledger)
        bad += [f"torn message delivered to {u}" for u in boxes for _ in boxes[u].torn]
        if boxes["joe"].whole["template", False]:
            bad.append("a damaged message was delivered")
        for key in "good0", "good1", "good2", "later":
            if boxes["joe"].whole[key, False] != 1:
                bad.append(f"{key} delivered {boxes['joe'].whole[key, False]} times")
        return bad


@pytest.fixture
def damage(scratch):
    made = []

    def make(change=None):
        made.append(Damage(scratch, change))
        return made[-1]
    yield make
    for d in made:
        d.suite.stop()


def test_damaged_files_are_set_aside_and_the_rest_flows(damage, note):
    d = damage()
    bad = d.run()
    note(f"{len(d.aside)} damaged files, {len(bad)} wrong")
    assert not bad, (bad[:20], d.suite.logs()[-2000:])


@pytest.mark.full
@pytest.mark.parametrize("name", ["the checksum of the end record is not checked",
                                  "the checksum of the envelope is not checked",
                                  "the checksum of the body is not checked",
                                  "the end record is not checked"])
def test_mutant(damage, note, scratch, name):
    bad = damage(mutants.make(name, scratch)).run()
    note(f"{len(bad)} wrong: {bad[:2]}")
    assert bad
