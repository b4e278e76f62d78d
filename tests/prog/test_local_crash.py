"""local killed, or a system call failing, at every point of a Maildir delivery;
and a Maildir whose parts are exchanged for links while mail arrives."""
import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import threading

import pytest

from locallib import BODY, Box, maildir

WHOLE = b"Return-Path: <s@a.example>\nDelivered-To: joe@b.example\n" + BODY


@pytest.fixture
def box(scratch):
    return Box(scratch)


def points(box):
    """(system call, ordinal) of one delivery, from main on."""
    trace = box.out / "trace"
    assert box.deliver(before=["strace", "-o", str(trace)]).returncode == 0
    seen, count = [], {}
    for line in trace.read_text().splitlines():
        m = re.match(r"(\w+)\(", line)
        if not m:
            continue
        name = m.group(1)
        count[name] = count.get(name, 0) + 1
        if name not in ("execve", "arch_prctl", "set_tid_address", "exit_group"):
            seen.append((name, count[name]))
    empty(box)
    return seen


def empty(box):
    for f in [*box.new(), *box.maildir.glob("tmp/*")]:
        f.unlink()


def inject(box, name, n, what):
    return box.deliver(before=["strace", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                               f"inject={name}:{what}:when={n}"]).returncode


def test_killed_at_any_call_leaves_no_torn_message(box):
    where = points(box)
    assert {"write", "fsync", "renameat2"} <= {name for name, _ in where}
    delivered = 0
    for name, n in where:
        assert inject(box, name, n, "signal=KILL") == -9, (name, n)
        found = [f.read_bytes() for f in box.new()]
        assert found in ([], [WHOLE]), (name, n)
        delivered += len(found)
        empty(box)
    assert 0 < delivered < len(where) / 2


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EINTR"])
def test_failing_call_loses_nothing_and_delivers_nothing_torn(box, error):
    for name, n in points(box):
        if (name, n) == ("write", 2):
            continue  # the result's text: the message is in the Maildir
        code = inject(box, name, n, f"error={error}")
        found = [f.read_bytes() for f in box.new()]
        assert code in (0, 111), (name, n, code)
        assert found == ([WHOLE] if code == 0 else []), (name, n, code)
        empty(box)


TWO_SYNCS = ["write", "fsync", "renameat2", "fsync", "write"]
ONE_SYNC = ["write", "sync_file_range", "renameat2", "fsync", "write"]


def order(box, where=None):
    """The calls of a delivery that matter, and what was synced last."""
    trace = box.out / "trace"
    assert box.deliver(before=["strace", "-y", "-o", str(trace)]).returncode == 0
    text = trace.read_text()
    calls = [c for c in re.findall(r"^(\w+)\(", text, re.M)
             if c in ("write", "fsync", "sync_file_range", "renameat2", "linkat", "unlinkat")]
    return calls, re.findall(r"^fsync\(\d+<(.*)>\)", text, re.M)[-1]


@contextlib.contextmanager
def on(kind, box):
    """The Maildir on a file system of that kind."""
    image = box.scratch / "image"
    with open(image, "wb") as f:
        f.truncate(320 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", "-F" if kind == "ext4" else "-f", image], check=True)
    shutil.rmtree(box.maildir)
    box.maildir.mkdir()
    subprocess.run(["mount", "-o", "loop", image, box.maildir], check=True)
    try:
        maildir(box.maildir)
        yield
    finally:
        subprocess.run(["umount", box.maildir], check=True)


@pytest.mark.parametrize("kind, calls, last", [
    ("ext4", ONE_SYNC, "/new/.+"), ("xfs", ONE_SYNC, "/new/.+"), ("btrfs", TWO_SYNCS, "/new")])
def test_syncs_of_a_file_system_come_before_success(box, kind, calls, last):
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("no loop devices here")
    with on(kind, box):
        found, synced = order(box)
        assert found == calls and re.search(f"{last}$", synced)
        (box.suite / "control/strictsync").write_text("1\n")
        found, synced = order(box)
        assert found == TWO_SYNCS and synced.endswith("/new")
        (box.suite / "control/strictsync").write_text("what?\n")
        assert order(box)[0] == TWO_SYNCS


def test_where_contents_cannot_be_written_in_order_there_are_two_syncs(box):
    trace = box.out / "trace"
    assert box.deliver(before=["strace", "-o", str(trace), "-e",
                               "inject=sync_file_range:error=ENOSYS"]).returncode == 0
    calls = [c for c in re.findall(r"^(\w+)\(", trace.read_text(), re.M)
             if c in ("write", "fsync", "renameat2", "linkat", "unlinkat")]
    assert calls == TWO_SYNCS


@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS"])
def test_where_a_move_cannot_spare_a_file_there_is_a_link(box, error):
    trace = box.out / "trace"
    assert box.deliver(before=["strace", "-o", str(trace), "-e",
                               f"inject=renameat2:error={error}"]).returncode == 0
    calls = re.findall(r"^(linkat|unlinkat)\(", trace.read_text(), re.M)
    assert calls == ["linkat", "unlinkat"]
    assert [f.read_bytes() for f in box.new()] == [WHOLE] and not [*box.maildir.glob("tmp/*")]


@pytest.mark.parametrize("part", ["Maildir", "Maildir/tmp", "Maildir/new"])
def test_exchanged_for_links_in_a_loop_nothing_leaves_the_maildir(box, part):
    victim = maildir(box.home / "victim")
    place, link = box.home / part, box.home / "link"
    link.symlink_to(victim / part.partition("/")[2])
    libc = ctypes.CDLL(None)
    stop = threading.Event()

    def exchange():
        while not stop.is_set():
            libc.renameat2(-100, os.fsencode(place), -100, os.fsencode(link), 2)

    server = box.server()
    t = threading.Thread(target=exchange)
    t.start()
    try:
        answers = [server.deliver()[:1] for _ in range(200)]
    finally:
        stop.set()
        t.join()
        server.end()
    assert set(answers) <= {b"K", b"Z"}
    assert not list(victim.glob("*/*"))
    real = place if not place.is_symlink() else link
    home = {"Maildir": real, "Maildir/tmp": box.maildir, "Maildir/new": box.maildir}[part]
    new = list((real if part == "Maildir/new" else home / "new").glob("*"))
    assert len(new) >= answers.count(b"K")
