"""remote killed, or a system call failing, at every point of a delivery: no
message counts as sent that was not, and none is sent in part."""
import re
import subprocess

import pytest

from hostile import Smtp
from remotelib import BODY, REMOTE, Home

SENT = b"Received: from x\r\nSubject: hi\r\n\r\nhello\r\n"


@pytest.fixture
def home(scratch):
    h = Home(scratch)
    (scratch / "trace").mkdir()
    (scratch / "trace").chmod(0o777)
    (scratch / "message").write_bytes(BODY)
    return h


def deliver(home, *strace):
    with open(home.scratch / "message", "rb") as f:
        return subprocess.run(
            ["strace", *strace, home.dir / "bin/remote", "d.example", "s@a.example", "r@d.example"],
            stdin=f, env=home.env(), capture_output=True, timeout=30, user=REMOTE.pw_uid,
            group=REMOTE.pw_gid, extra_groups=[])


def points(home):
    """(system call, ordinal) of one delivery, from main on."""
    trace = home.scratch / "trace/out"
    assert deliver(home, "-o", trace).returncode == 0
    seen, count = [], {}
    for line in trace.read_text().splitlines():
        m = re.match(r"(\w+)\(", line)
        if m:
            name = m.group(1)
            count[name] = count.get(name, 0) + 1
            if name not in ("execve", "arch_prctl", "set_tid_address", "exit_group", "brk", "mmap"):
                seen.append((name, count[name]))
    return seen


def inject(home, server, name, n, what):
    """(exit code, report, messages that the server took)."""
    before = len(server.messages)
    r = deliver(home, "-o", "/dev/null", "-e", f"trace={name}", "-e",
                f"inject={name}:{what}:when={n}")
    return r.returncode, r.stdout, server.messages[before:]


def test_killed_at_any_call_sends_whole_messages_or_none(home):
    with Smtp() as s:
        home.to(s)
        where = points(home)
        assert {"connect", "poll", "sendto", "read", "pread64"} <= {name for name, _ in where}
        killed = 0
        for name, n in where:
            code, out, messages = inject(home, s, name, n, "signal=KILL")
            # replies may come in fewer pieces this time
            assert code in (-9, 0), (name, n)
            killed += code == -9
            assert messages in ([], [SENT]), (name, n)
            # what has been reported has been done
            assert b"K" not in out or messages == [SENT], (name, n)
        assert killed > len(where) - 6 and len(s.messages) > 3


@pytest.mark.parametrize("error", ["EIO", "ENOMEM", "EMFILE", "EINTR"])
def test_failing_call_is_never_a_success_that_was_none(home, error):
    with Smtp() as s:
        home.to(s)
        good = 0
        for name, n in points(home):
            if name in ("close", "writev"):
                continue
            code, out, messages = inject(home, s, name, n, f"error={error}")
            assert code in (0, 111), (name, n, code)
            assert messages in ([], [SENT]), (name, n)
            if code == 0:
                last = out.split(b"\0")[-2]
                assert last[:1] in b"KZ", (name, n, out)
                assert (last[:1] == b"K") <= (messages == [SENT]), (name, n)
                # sent, and said not to be: only if it is called that
                assert last[:1] == b"K" or not messages or b"Possible duplicate!" in last, \
                    (name, n, out)
                good += last[:1] == b"K"
        assert good
        if error == "EINTR":
            assert good > 10


def test_message_that_cannot_be_read_to_its_end_is_not_sent(home):
    """The first reading is for its checksum and size, the second goes out."""
    (home.scratch / "message").write_bytes(BODY * 3000)
    with Smtp() as s:
        home.to(s)
        reads = [n for name, n in points(home) if name == "pread64"]
        assert len(reads) > 5 and s.messages.pop() == SENT * 3000
        begun = 0
        for n in reads:
            code, out, messages = inject(home, s, "pread64", n, "error=EIO")
            assert code == 0 and messages == []
            assert out.endswith(b"ZUnable to read message. (#4.3.0)\n\0"), out
            begun += out.startswith(b"r\0")
        assert begun
