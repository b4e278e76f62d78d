"""tools/quarantine over a Maildir, with a recorded fake qmail-queue."""
import os
import pwd
import shutil
import subprocess
import time

import postern
import pytest
from scanqlib import Scanq, mail

RULES = "bad.*\tVirus-Subject:\tbad\x1b subject\n"


class Quarantine(Scanq):
    def __init__(self, scratch):
        super().__init__(scratch)
        shutil.copy(postern.TREE / "tools/quarantine", self.home / "bin")
        self.dir = self.home / "alias/quarantine"
        for d in ("tmp", "new", "cur"):
            (self.dir / d).mkdir(parents=True)
        self.rules(RULES)

    def keep(self, message, **more):
        """Through scanq into the Maildir, as local delivers it; its id."""
        r = self.run(message, **more)
        assert r.code == 0 and len(r.queued) >= 1, r.log
        data = (r.queued[0] / "message").read_bytes()
        assert b"X-Postern-Quarantine: id " in data
        number = len(list(self.dir.glob("*/*")))
        (self.dir / "new" / f"{int(time.time())}.M{number}P1.host").write_bytes(
            b"Return-Path: <>\nDelivered-To: quarantine@test.example\n"
            b"Received: (qmail 1 invoked by uid 2); 22 Nov 2026 00:00:00 -0000\n" + data)
        return data.split(b"X-Postern-Quarantine: id ")[1].split(b"\n")[0].decode()

    def tool(self, *args, **env):
        return subprocess.run([self.home / "bin/quarantine", *map(str, args)], capture_output=True, timeout=30,
                              env=postern.env(self.home, SCANQ_QUEUE=str(self.queue),
                                              RECORD=str(self.record), **env))


@pytest.fixture
def q(scratch):
    x = Quarantine(scratch)
    yield x
    x.close()


def test_list_shows_envelope_and_reason(q):
    i = q.keep(mail(subject="bad"), recipients=("c@d.example", "e@f.example"))
    line = q.tool("list").stdout.decode()
    assert line.startswith(i + " ") and " kept     <a@b.example> <c@d.example> +1 " in line


def test_what_is_not_from_scanq_is_not_listed(q):
    (q.dir / "new/1").write_text("X-Postern-Quarantine: id 5\nSubject: x\n\nX-Postern-Quarantine-End: 0\n")
    (q.dir / "new/2").write_text("Received: from forger\nX-Postern-Quarantine: id 5\n\n")
    r = q.tool("list")
    assert (r.returncode, r.stdout) == (0, b"")


def test_release_gives_the_message_as_it_came(q):
    m = mail(subject="bad", body="line\n.\n\xff\x00 end without newline")
    i = q.keep(m, sender="", recipients=("c%41\x01 @d.example", "e@f.example"))
    r = q.tool("release", i)
    assert r.returncode == 0, r.stderr
    d = q.queued()[-1]
    assert (d / "envelope").read_bytes() == b"F\0Tc%41\x01 @d.example\0Te@f.example\0\0"
    head, rest = (d / "message").read_bytes().split(b"\n", 1)
    assert head.startswith(b"X-Postern-Released: " + i.encode())
    assert rest == m.encode("latin-1")
    assert b" released " in q.tool("list").stdout
    assert list((q.dir / "cur").glob("*:2,P")) and not list((q.dir / "new").iterdir())


def test_release_that_is_not_queued_stays_kept(q):
    i = q.keep(mail(subject="bad"))
    (q.record / "code").write_text("53")
    assert q.tool("release", i).returncode == 111
    assert b" kept " in q.tool("list").stdout


def test_show_lets_no_raw_byte_to_the_terminal(q):
    i = q.keep(mail(subject="bad \x1b]0;x\x07", body="\x9b31m\x7f\r\nx\ry\n"))
    for args in (("show", i), ("headers", i), ("list",)):
        out = q.tool(*args).stdout
        assert out and all(c in b"\n\t" or 32 <= c < 127 for c in out)
    assert b"\\x9b31m" in q.tool("show", i).stdout
    assert b"\\x9b31m" not in q.tool("headers", i).stdout


def test_delete(q):
    i = q.keep(mail(subject="bad"))
    assert q.tool("delete", i).returncode == 0
    assert not list(q.dir.glob("*/*"))
    assert q.tool("delete", i).returncode == 100


def test_expire_by_age_and_size(q):
    q.keep(mail(subject="bad", body="x" * 600000))
    q.keep(mail(subject="bad", body="y" * 600000))
    old = next((q.dir / "new").glob("*M0P1*"))
    os.utime(old, (1, 1))
    assert q.tool("expire", 30).returncode == 0
    assert not old.exists() and len(list((q.dir / "new").iterdir())) == 1
    assert q.tool("expire", "-s", 1, 30).returncode == 0
    assert len(list((q.dir / "new").iterdir())) == 1
    assert q.tool("expire", "-s", 0, 30).returncode == 0
    assert not list((q.dir / "new").iterdir())


def test_root_acts_as_the_owner_of_the_maildir(q):
    """Where the Maildir is somebody else's, what is a message now may be a link
    to anything when it is deleted."""
    owner = pwd.getpwnam("postern-alias")
    for d in ("quarantine", "quarantine/cur", "quarantine/tmp"):
        os.chown(q.home / "alias" / d, owner.pw_uid, owner.pw_gid)
    q.home.chmod(0o755)
    i = q.keep(mail(subject="bad"))
    assert i.encode() in q.tool("list").stdout
    # new/ is still root's
    r = q.tool("delete", i)
    assert r.returncode == 111 and b"Permission denied" in r.stderr
    assert len(list((q.dir / "new").iterdir())) == 1
    os.chown(q.dir / "new", owner.pw_uid, owner.pw_gid)
    assert q.tool("delete", i).returncode == 0
    assert not list((q.dir / "new").iterdir())


def test_link_in_place_of_the_maildir_is_not_followed(q, scratch):
    i = q.keep(mail(subject="bad"))
    q.dir.rename(scratch / "elsewhere")
    q.dir.symlink_to(scratch / "elsewhere")
    assert q.tool("delete", i).returncode == 111
    assert len(list((scratch / "elsewhere/new").iterdir())) == 1


def test_digest_is_a_mail(q):
    i = q.keep(mail(subject="bad"))
    assert q.tool("digest").returncode == 0
    d = q.queued()[-1]
    assert (d / "envelope").read_bytes() == b"F\0Tpostmaster@test.example\0\0"
    assert i in (d / "message").read_text()


def test_usage(q):
    assert q.tool().returncode == 100 and q.tool("foo").returncode == 100
