"""The real suite on a disk that remembers, and each state of that disk after a
power cut."""
import contextlib
import os
import shutil
import subprocess
import threading

from disk import Disk, run, states, umount
from gatesuite import GateSuite, empty_tree
from mail import Ledger


class PowerCut:
    """file_systems: 1, queue and mailboxes on the same; 2, each its own.
    change(suite): makes a mutant of it."""

    def __init__(self, scratch, kind, file_systems=1, change=None, **control):
        self.disk = Disk(scratch / "disk", kind, file_systems)
        self.disk.make(lambda places: empty_tree(places[0] / "queue", places[-1] / "users"))
        self.suite = GateSuite(scratch / "home", self.disk.places[-1] / "users", **control)
        self.ledger = Ledger()
        self.lock = threading.Lock()
        self.drained = 0
        if change:
            change(self.suite)

    @contextlib.contextmanager
    def placed(self, mounting):
        """queue/ is the disk's.  Services that still run are ended first."""
        with mounting as places:
            run("mount", "--bind", places[0] / "queue", self.suite.queue)
            try:
                yield
            finally:
                self.suite.stop()
                umount(self.suite.queue)

    def promise(self, mail, smtp=None):
        """The client has read its 250."""
        self.suite.send(mail, smtp)
        with self.lock:
            self.disk.mark(mail.key)

    def one_by_one(self):
        """Nobody else's sync helps: first no deliveries, then each message
        delivered before the next one comes."""
        s = self.suite.start("queued", "smtpd")
        for i in range(4):
            self.promise(self.ledger.new(f"early{i}", size=[6000, 300, 20000, 6000][i]))
        s.start("send")
        s.wait_empty()
        for i, to in enumerate([("joe",), ("ann",), ("joe", "ann"), ("bob",), ("joe",), ("bob", "joe")]):
            self.promise(self.ledger.new(f"late{i}", to=to))
            s.wait_empty()
        self.promise(self.ledger.new("last"))

    def all_at_once(self, clients=6, each=4, size=60000):
        """Many files half written at any moment."""
        s = self.suite.start("queued", "smtpd", "send")
        errors = []

        def client(n):
            try:
                for i in range(each):
                    to = ("bob",) if (n, i) == (0, 1) else ("joe", "ann") if n == 1 else ("joe",)
                    self.promise(self.ledger.new(f"c{n}m{i}", size=size, to=to))
            except Exception as e:  # told to the test, which fails with it
                errors.append(e)
        threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(120)
        if errors:
            raise errors[0]
        s.wait_empty(60)

    def record(self, traffic):
        with self.placed(self.disk.recorded()):
            traffic()
            self.disk.cut_power()
        return self

    def violations(self, state, drain):
        """What the state breaks, in words."""
        records = self.disk.records
        image = self.disk.image(state.writes(records))
        try:
            with self.placed(self.disk.mounted(image)):
                return self.look(state.marks(records), drain)
        except (RuntimeError, TimeoutError) as e:
            return [f"does not come up again: {e}"]

    def look(self, promised, drain):
        boxes = self.suite.boxes(self.ledger)
        queued, damaged = self.ledger.queue(self.suite.queue)
        bad = ["lost: " + x for x in self.ledger.lost(promised, boxes, queued)]
        bad += [f"torn in {u}'s new/: {t}" for u in boxes for t in boxes[u].torn]
        if not bad and drain:
            self.drained += 1
            bad = self.drain(promised, damaged)
        return bad

    def drain(self, promised, damaged):
        """The suite starts again: everything reaches its mailbox."""
        s = self.suite
        # what send remembers of its tries is from after the cut
        (s.home / "socket/send/lock").unlink(missing_ok=True)
        s.start("queued", "send")
        s.wait_empty()
        s.stop()
        boxes = s.boxes(self.ledger)
        bad = ["not delivered: " + x for x in self.ledger.lost(promised, boxes, set())]
        bad += [f"delivered torn to {u}: {t}" for u in boxes for t in boxes[u].torn]
        aside = sorted(f.name for f in s.queue.glob("bad/*"))
        if aside != damaged:
            bad.append(f"damaged {damaged}, but set aside {aside}")
        bad += [f"left in tmp/: {f.name}" for f in s.queue.glob("tmp/*")]
        return bad

    def replay(self, count, drain_each=4, enough=None, seed=1):
        """Tries about count crash states, lets the suite drain each n-th.
        Returns how many, and [(state, violations)]; stops after enough."""
        found, tried = [], 0
        for i, state in enumerate(states(self.disk.records, count, seed)):
            tried += 1
            bad = self.violations(state, drain=i % drain_each == 0)
            if bad:
                found.append((state, bad))
                self.keep()
                if enough and len(found) >= enough:
                    break
        return tried, found

    def keep(self):
        """For later: GATE_KEEP names a directory for image and log."""
        where = os.environ.get("GATE_KEEP")
        if where and not os.path.exists(where + "/log"):
            os.makedirs(where, exist_ok=True)
            subprocess.run(["cp", "--sparse=always", self.disk.base, where + "/base"])
            shutil.copy(self.disk.log, where + "/log")

    def report(self, tried, found):
        r = self.disk.records
        text = (f"{sum(x.type == 1 for x in r)} writes, {sum(x.type == 2 for x in r)} flushes, "
                f"{sum(x.type == 3 for x in r)} promises; {tried} crash states, "
                f"{self.drained} drained, {len(found)} violated")
        if found:
            text += "".join(f"\n  {s}: {b[:3]}" for s, b in found[:3])
        return text
