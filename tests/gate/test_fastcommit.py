"""ext4 with fast_commit without any of our programs: is it the file system that
breaks its word?  Plain processes write files as queued and local do, or in the
simplest way there is, and the same crash states are looked at."""
import os
import threading

import pytest

import disk
from disk import Disk, states

WRITERS, EACH, SIZE = 6, 8, 60000


class Plain:
    """queue/ and new/ on one file system, in place of the suite."""

    def __init__(self, scratch, kind):
        self.disk = Disk(scratch / "disk", kind)
        self.disk.make(lambda places: [(places[0] / d).mkdir() for d in ("tmp", "queue", "new")])
        self.lock = threading.Lock()

    def body(self, name):
        return (name + "\n").encode() * (SIZE // (len(name) + 1))

    def write(self, path, name):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        data = self.body(name)
        for at in range(0, len(data), 8192):
            os.write(fd, data[at:at + 8192])
        return fd

    def accept(self, top, name):
        """Named file, rename, fsync: reliability's recipe."""
        fd = self.write(top / "tmp" / name, name)
        os.rename(top / "tmp" / name, top / "queue" / name)
        os.fsync(fd)
        os.close(fd)
        with self.lock:
            self.disk.mark(name)

    def deliver(self, top, name):
        """File, fsync, link, fsync of the directory; then it leaves the queue."""
        tmp = top / "tmp" / (name + ".m")
        fd = self.write(tmp, name)
        os.fsync(fd)
        os.close(fd)
        os.link(tmp, top / "new" / name)
        fd = os.open(top / "new", os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        tmp.unlink()
        (top / "queue" / name).unlink()

    def traffic(self, top, deliver):
        def one(n):
            for i in range(EACH):
                self.accept(top, f"w{n}f{i}")
                if deliver:
                    self.deliver(top, f"w{n}f{i}")
        threads = [threading.Thread(target=one, args=(n,)) for n in range(WRITERS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def broken(self, state):
        """What an acknowledged file misses, in words."""
        image = self.disk.image(state.writes(self.disk.records))
        try:
            with self.disk.mounted(image) as places:
                return [name for name in state.marks(self.disk.records)
                        if not any(self.whole(places[0] / d / name, name)
                                   for d in ("queue", "new"))]
        except RuntimeError as e:
            return [f"does not mount: {e}"]

    def whole(self, path, name):
        return path.is_file() and path.read_bytes() == self.body(name)


@pytest.mark.full
@pytest.mark.parametrize("deliver", [False, True])
@pytest.mark.parametrize("kind", ["ext4", "ext4fc"])
def test_plain_files(scratch, note, kind, deliver):
    """With fast_commit: whatever it is, it is told; nothing of ours ran."""
    p = Plain(scratch, kind)
    try:
        with p.disk.recorded() as places:
            p.traffic(places[0], deliver)
            p.disk.cut_power()
        tried = found = unmountable = 0
        for state in states(p.disk.records, 180):
            bad = p.broken(state)
            tried += 1
            found += bool(bad)
            unmountable += any(b.startswith("does not mount") for b in bad)
        note(f"{tried} crash states, {found} break a promise, {unmountable} of them do not mount")
    finally:
        p.disk.close()
    assert tried
    assert kind == "ext4fc" or not found


@pytest.fixture(autouse=True)
def needs():
    if not disk.possible():
        pytest.skip("no FUSE or no loop devices here")
