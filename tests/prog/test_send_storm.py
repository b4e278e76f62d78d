"""send under orders that come at random, about messages in any state: none is
lost, and nothing is delivered twice."""
import collections
import os
import random
import re
import signal
import socket
import time

import pytest

import rspawnlib
from queuelib import Message, until
from sendlib import Sender, message_file

MESSAGES, ORDERS = 250, 1500
DOMAINS = [f"d{n}.example" for n in range(30)]
LOCALS = [f"u{n}" for n in range(20)]
ANSWERS = ["Kyes", "Kyes", "Zlater (#4.2.0)", "Zdead (#4.4.1)", "Dno (#5.1.1)", "sleep 0.1", "sleep 0.4"]


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    rspawnlib.use(s)
    yield s
    s.close()


class Storm:
    def __init__(self, sender, seed):
        self.sender, self.random = sender, random.Random(seed)
        self.messages = {}              # id: [(recipient, offset of its record)]
        self.given_up = set()           # (id, recipient) that an order may have ended
        self.connect()
        self.first = int(time.time()) * 10 ** 9

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(str(self.sender.home / "socket/send/send"))
        self.socket.settimeout(20)

    def order(self, letter, *fields):
        self.socket.send(b"\0".join([letter, *(b"%d" % f for f in fields)]) + b"\0")
        self.socket.setblocking(False)
        try:
            while self.socket.recv(70000):
                pass
        except BlockingIOError:
            pass
        self.socket.settimeout(20)

    def control(self):
        r, s = self.random, self.sender
        s.control("frozen", "\n".join(r.sample(DOMAINS, r.randrange(4))))
        s.control("concurrencylocal", r.choice([0, 3, 10]))
        s.control("concurrencyremote", r.choice([0, 5, 20]))
        s.control("destinations", "\n".join(f"{d}:{r.randrange(1, 4)}:{r.choice(['', '20/1'])}"
                                            for d in r.sample(DOMAINS, 5)))
        for who in r.sample([*DOMAINS, *LOCALS], 20):
            s.fake(who, r.choice(ANSWERS))
        self.order(b"C")

    def stand_still(self):
        """More messages than may be open: the others are parked."""
        self.sender.control("concurrencylocal", 0)
        self.sender.control("concurrencyremote", 0)
        self.order(b"C")
        for _ in range(MESSAGES):
            self.mail()

    def mail(self):
        r = self.random
        to = [f"x{n}@{d}" for n, d in enumerate(r.choices(DOMAINS, k=r.choice([0, 1, 2, 40])))]
        to += [f"{u}@test.example" for u in r.sample(LOCALS, r.choice([0, 1, 20]))]
        to = to or ["x@d0.example"]
        r.shuffle(to)
        data = message_file(recipients=[t.encode() for t in to],
                            sender=r.choice([b"s@a.example", b"list-@a.example-@[]"]))
        raw = Message(data).raw
        number = self.first + len(self.messages) * 1000
        self.messages[number] = [(t, raw.index(b"\0T%s\0" % t.encode()) + 1) for t in to]
        self.place(number, data)
        self.order(b"N", number)

    def place(self, number, data):
        """At once, for send may be reading the directories."""
        new, path = self.sender.dir / "tmp/new", self.sender.path(number)
        new.write_bytes(data)
        os.chown(new, path.parent.stat().st_uid, path.parent.stat().st_gid)
        new.chmod(0o640)
        new.rename(path)

    def any_order(self):
        """Small letters: about some recipients."""
        r = self.random
        number = r.choice(list(self.messages))
        letter = r.choice("HHUUUTTttttRDFfA")
        some = self.messages[number]
        if letter.islower() or letter == "D":
            some = r.sample(some, min(len(some), r.randrange(1, 4)))
        if letter in "RFDf":
            self.given_up |= {(number, t) for t, _ in some}
        if letter == "A":
            self.order(b"A")
        elif letter in "tfD":
            self.order(letter.upper().encode(), number, *(at for _, at in some))
        else:
            self.order(letter.encode(), number)

    def calm(self):
        """Everything may go now, and does."""
        for f in "frozen", "destinations":
            self.sender.control(f, "")
        self.sender.control("concurrencylocal", 10)
        self.sender.control("concurrencyremote", 20)
        for who in [*DOMAINS, *LOCALS]:
            self.sender.fake(who, "Kyes")
        self.order(b"C")

        def gone():
            left = self.sender.messages()
            for number in left:
                self.order(b"U", number)
            self.order(b"A")
            time.sleep(0.2)
            return not left
        until(gone, 120)

    def ended(self):
        """How often each recipient was delivered, or failed for good."""
        what, ends = {}, collections.Counter()
        for line in self.sender.log_of_send().splitlines():
            if m := re.match(r"starting delivery (\d+): msg (\d+) to \w+ (\S+)", line):
                what[m[1]] = (int(m[2]), m[3])
            elif m := re.match(r"delivery (\d+): (success|failure)", line):
                ends[what[m[1]]] += 1
        return ends


@pytest.mark.parametrize("seed, kill", [(1, False), (3, True)])
def test_a_storm_of_orders_loses_nothing_and_repeats_nothing(sender, seed, kill):
    """Spawners that are killed may have delivered what they had."""
    sender.up()
    storm = Storm(sender, seed)
    storm.stand_still()
    for n in range(ORDERS):
        if n % (ORDERS // MESSAGES) == 0:
            storm.mail()
        if n % 50 == 0:
            storm.control()
        if kill and n % 300 == 100:
            pid = sender.pid(storm.random.choice(["lspawn", "rspawn"]))
            if pid:
                os.kill(pid, signal.SIGKILL)
        storm.any_order()
        time.sleep(0.003)
    storm.calm()
    log, ends = sender.log_of_send(), storm.ended()
    assert "log lines lost" not in log and "bounce not queued" not in log
    lost = [(n, t) for n, to in storm.messages.items() for t, _ in to
            if not ends[n, t] and (n, t) not in storm.given_up]
    assert not lost
    if not kill:
        assert [k for k, count in ends.items() if count > 1] == []
    assert sum(ends.values()) > 1000
    assert "\nwaiting: 0\nready: 0\nactive: 0\nmarking: 0\nleaving: 0\nheld: 0\n" in \
        sender.run("queuectl", "status").stdout.decode()
