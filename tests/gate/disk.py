"""A disk that remembers (recblk), with real file systems on it, and what it
may hold after a power cut.  Runs in namespaces of its own: tests/gate/run."""
import collections
import contextlib
import os
import pathlib
import random
import struct
import subprocess
import time

import postern

WRITE, FLUSH, MARK = 1, 2, 3
Record = collections.namedtuple("Record", "type offset data")
Kind = collections.namedtuple("Kind", "type megabytes mkfs options")
# The journal's timer (5 s) must not come to the help of a missing sync.
KINDS = {
    "ext4": Kind("ext4", 32, ["mkfs.ext4", "-qF", "-O", "^fast_commit"], "noatime,commit=300"),
    "ext4fc": Kind("ext4", 64, ["mkfs.ext4", "-qF", "-O", "fast_commit"], "noatime,commit=300"),
    "xfs": Kind("xfs", 320, ["mkfs.xfs", "-qf"], "noatime"),
    "btrfs": Kind("btrfs", 160, ["mkfs.btrfs", "-qf"], "noatime,commit=300"),
}


def run(*args):
    r = subprocess.run([str(a) for a in args], text=True, timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {r.returncode}: {r.stdout}")
    return r.stdout.strip()


def umount(place):
    for _ in range(100):
        r = subprocess.run(["umount", place], stderr=subprocess.PIPE, text=True)
        if r.returncode == 0 or "busy" not in r.stderr:
            return
        time.sleep(0.05)
    raise RuntimeError(f"umount {place}: {r.stderr}")


def possible():
    return os.path.exists("/dev/fuse") and os.path.exists("/dev/loop-control")


class Disk:
    """One or two file systems of a kind in one image.  fill(places) puts the
    first files in; places are the mount points."""

    def __init__(self, work, kind, count=1):
        self.work = pathlib.Path(work)
        self.work.mkdir()
        run("mount", "-t", "tmpfs", "gate", self.work)  # so that no real disk slows us
        self.work.chmod(0o755)
        self.kind = KINDS[kind]
        self.size = self.kind.megabytes << 20
        self.base = self.work / "base"
        with open(self.base, "w") as f:
            f.truncate(self.size * count)
        self.places = [self.work / "ab"[i] for i in range(count)]
        for p in self.places:
            p.mkdir()
        self.recorder = None

    def close(self):
        subprocess.run(["umount", "-l", self.work])

    @contextlib.contextmanager
    def mounted(self, image):
        """By mount, whose loop devices go with the mounts."""
        mounts = []
        try:
            for i, place in enumerate(self.places):
                run("mount", "-t", self.kind.type, "-o", f"{self.kind.options},loop,"
                    f"offset={i * self.size},sizelimit={self.size}", image, place)
                mounts.append(place)
            yield self.places
        finally:
            for place in mounts:
                umount(place)

    def make(self, fill):
        for i in range(len(self.places)):
            loop = run("losetup", "-f", "--show", "-o", i * self.size,
                       "--sizelimit", self.size, self.base)
            try:
                run(*self.kind.mkfs, loop)
            finally:
                run("losetup", "-d", loop)
        with self.mounted(self.base) as places:
            fill(places)

    @contextlib.contextmanager
    def recorded(self):
        """Mounted, on the disk that remembers.  Afterwards: self.records."""
        fuse, log = self.work / "fuse", self.work / "log"
        fuse.mkdir(exist_ok=True)
        recorder = subprocess.Popen(
            [postern.TREE / "tests/gate/recblk", self.base, log, fuse, "-f", "-s"])
        try:
            end = time.monotonic() + 10
            while not (fuse / "disk").exists():
                if recorder.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("recblk does not start")
                time.sleep(0.01)
            self.marks = open(fuse / "mark", "wb", 0)
            self.control = fuse / "fault"
            self.log = log
            self.cut = None
            with self.mounted(fuse / "disk") as places:
                yield places
                if self.cut is None:
                    self.cut_power()
            self.marks.close()
            umount(fuse)        # busy as long as the loop devices are
            recorder.wait(10)
        finally:
            if recorder.poll() is None:
                recorder.kill()
                recorder.wait()
                subprocess.run(["umount", "-l", fuse], stderr=subprocess.DEVNULL)
        self.records = self.read()

    def cut_power(self):
        """Nothing that is written from now on counts."""
        self.cut = os.path.getsize(self.log)

    def mark(self, text):
        self.marks.write(text.encode())

    def fail(self, writes):
        with open(self.control, "wb", 0) as f:
            f.write(b"%d" % writes)

    def read(self):
        data, at, out = self.log.read_bytes()[:self.cut], 0, []
        while at + 16 <= len(data):
            kind, n, offset = struct.unpack_from("<IIQ", data, at)
            out.append(Record(kind, offset, data[at + 16:at + 16 + n]))
            at += 16 + n
        return out

    def image(self, writes):
        """What a disk holds on which just these writes have arrived."""
        path = self.work / "state"
        path.unlink(missing_ok=True)
        run("cp", "--sparse=always", self.base, path)
        with open(path, "r+b") as f:
            for w in writes:
                f.seek(w.offset)
                f.write(w.data)
        return path


class State(collections.namedtuple("State", "at how seed")):
    """A power cut behind the first "at" records.  how: "prefix", all of them
    arrived; "flushed", nothing that was not flushed; "some", a part of that
    too."""

    def writes(self, records):
        before = records[:self.at]
        flushed = max((i for i, r in enumerate(before) if r.type == FLUSH), default=-1) + 1
        safe = [r for r in before[:flushed] if r.type == WRITE]
        rest = [r for r in before[flushed:] if r.type == WRITE]
        if self.how == "prefix":
            return safe + rest
        if self.how == "flushed":
            return safe
        r = random.Random(self.seed)
        return safe + [w for w in rest if r.random() < 0.5]

    def marks(self, records):
        return [r.data.decode() for r in records[:self.at] if r.type == MARK]


def states(records, count, seed=1):
    """About so many crash states: behind each promise, and anywhere."""
    r = random.Random(seed)
    marks = [i + 1 for i, x in enumerate(records) if x.type == MARK]
    other = [i for i in range(marks[0], len(records) + 1) if i not in set(marks)]
    wanted = max(1, count // 3)
    chosen = marks if len(marks) <= wanted // 2 else r.sample(marks, wanted // 2)
    chosen = chosen + r.sample(other, min(len(other), wanted - len(chosen)))
    chosen = sorted({*chosen, len(records)})
    return [State(at, how, at) for at in chosen for how in ("prefix", "flushed", "some")]
