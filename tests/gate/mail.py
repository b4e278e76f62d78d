"""The messages of a gate run, and what has become of them."""
import collections
import functools
import random
import re

import queuelib

FAILING = {"bob", "gone"}
FAR = {"far": "far.example", "away": "away.example", "gone": "far.example"}

Box = collections.namedtuple("Box", "whole torn")


class Mail:
    """A message that can be told whole from torn wherever it is found.  to:
    names of users; those of FAILING are the ones whose deliveries fail, for
    good; those of FAR are at other hosts."""

    def __init__(self, key, size=6000, to=("joe",), sender="ann"):
        r = random.Random(key)
        self.key, self.to, self.sender = key, to, sender
        lines = (size + 63) // 64
        text = r.randbytes(lines * 48)
        text = text.hex()[:lines * 63]
        self.data = f"X-Gate: {key}\nSubject: gate\n\n".encode() + b"".join(
            text[i:i + 63].encode() + b"\n" for i in range(0, len(text), 63))

    def wire(self):
        return self.data.replace(b"\n", b"\r\n")

    def fates(self):
        """(user whose mailbox it must reach, as a bounce?)"""
        return [(self.sender, True) if r in FAILING else (r, False) for r in self.to]


class Ledger(dict):
    """key -> Mail"""

    def new(self, key, **how):
        self[key] = Mail(key, **how)
        return self[key]

    def key_in(self, data):
        m = re.search(rb"^X-Gate: (\S+)$", data, re.M)
        return m and m.group(1).decode()

    def in_mailbox(self, data):
        """(key, bounce?) of a file of a Maildir; None: it is torn."""
        key = self.key_in(data)
        if key not in self:
            return None
        text = self[key].data
        if data.endswith(text) and data.startswith(b"Return-Path: <"):
            return key, False
        if text in data and data.startswith(b"Return-Path: <>\n") and \
                re.search(rb"\n--\S+--\n+\Z", data):
            return key, True
        return None

    @functools.lru_cache(maxsize=5000)
    def box_file(self, data):
        return self.in_mailbox(data)

    @functools.lru_cache(maxsize=5000)
    def queue_file(self, data):
        """[(key, user, bounce?)] still to be delivered; None: it is torn."""
        try:
            m = queuelib.Message(data)
        except (ValueError, IndexError):
            return None
        key = self.key_in(m.body)
        if key not in self or self[key].data not in m.body:
            return None
        out = []
        for r in m.recipients:
            user = r.decode().partition("@")[0]
            bounce = m.sender == b""
            out.append((key, self[key].sender, True) if user in FAILING else (key, user, bounce))
        return out

    __hash__ = object.__hash__

    def mailbox(self, maildir):
        """What is in new/: keys whole, names torn."""
        whole, torn = collections.Counter(), []
        for f in maildir.glob("new/*"):
            data = f.read_bytes()
            got = self.box_file(data)
            if got:
                whole[got] += 1
            else:
                torn.append(f"{f.name} (of {self.key_in(data)})")
        return Box(whole, torn)

    def sink(self, user, sessions):
        """What a server took for that user, as mailbox."""
        whole, torn = collections.Counter(), []
        for s in sessions:
            for to, data in s.taken:
                key = self.key_in(data.replace(b"\r\n", b"\n"))
                if key in self and data.endswith(b"\r\n" + self[key].wire()):
                    whole[key, False] += user in to
                else:
                    torn.append(repr(data[:40]))
        return Box(whole, torn)

    def queue(self, directory):
        """What is still to be delivered, and which files are torn."""
        there, torn = set(), []
        for f in directory.glob("mess/*/*"):
            got = self.queue_file(f.read_bytes())
            if got is None:
                torn.append(f.name)
            else:
                there.update(got)
        return there, sorted(torn)

    def lost(self, keys, boxes, queued):
        """Of these messages, what is neither in its mailbox nor in the queue."""
        out = []
        for key in keys:
            for user, bounce in self[key].fates():
                if not boxes[user].whole[key, bounce] and (key, user, bounce) not in queued:
                    out.append(f"{key} for {user}{' (bounce)' if bounce else ''}")
        return out
