"""instfiles: what conf-files lists, and nothing else, gets an owner."""
import os
import pwd
import shutil
import subprocess

import pytest

import postern

LIST = """\
# comment
d root  root  0755 .
d root  root  0755 bin
x root  root  0755 bin/hello hello
o root  root  0755 bin/absent absent
d queue queue 0750 queue
d queue queue 0700 queue/tmp
D queue queue 0750 queue/tmp
p queue queue 0660 queue/trigger
d alias alias 0755 alias
c alias alias 0644 alias/.qmail-q hello
d log   log   0755 log
d log   log   0750 log/a
"""
QUEUE = pwd.getpwnam("postern-queue")


class Place:
    def __init__(self, top):
        self.tree = top / "tree"
        self.home = top / "home"
        self.victim = top / "victim"
        self.tree.mkdir()
        (self.tree / "conf-files").write_text(LIST)
        (self.tree / "hello").write_text("#!/bin/sh\necho hello\n")
        shutil.copy(postern.TREE / "conf-users", self.tree)
        self.victim.mkdir(mode=0o755)

    def run(self, *more):
        return subprocess.run([postern.TREE / "tools/instfiles", *more, "", self.home],
                              cwd=self.tree, text=True, capture_output=True, timeout=120)

    def is_(self, path):
        st = os.lstat(self.home / path)
        return st.st_uid, f"{st.st_mode & 0o7777:o}"


@pytest.fixture
def place(scratch):
    p = Place(scratch)
    r = p.run()
    assert r.returncode == 0, r.stderr
    return p


def test_installs_what_the_list_says(place):
    assert place.is_("queue/tmp/63") == (QUEUE.pw_uid, "750")
    assert place.is_("queue/trigger") == (QUEUE.pw_uid, "660")
    assert place.is_("bin/hello") == (0, "755")
    assert place.is_("alias/.qmail-q") == (pwd.getpwnam("postern-alias").pw_uid, "644")
    assert sorted(os.listdir(place.home)) == ["alias", "bin", "log", "queue"]
    r = place.run("--check")
    assert (r.returncode, r.stderr) == (0, "")


def test_second_time_mends_owners_and_modes_and_keeps_settings(place):
    (place.home / "alias/.qmail-q").write_text("mine\n")
    for p in ["queue", "queue/tmp", "queue/tmp/07", "queue/trigger", "bin/hello", "log/a"]:
        os.chown(place.home / p, 4711, 4711)
        (place.home / p).chmod(0o500)
    assert place.run("--check").returncode == 1
    assert place.run().returncode == 0
    assert place.run("--check").returncode == 0
    assert (place.home / "alias/.qmail-q").read_text() == "mine\n"


def unchanged(place):
    st = place.victim.stat()
    return (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (0, 0, 0o755) and \
        not list(place.victim.iterdir())


@pytest.mark.parametrize("path", ["queue/tmp", "queue/tmp/07", "log/a"])
def test_link_in_place_of_a_service_s_directory_is_not_followed(place, path):
    """Else who is postern-queue could have any directory at the next upgrade."""
    shutil.rmtree(place.home / path)
    (place.home / path).symlink_to(place.victim)
    r = place.run()
    assert unchanged(place)
    assert r.returncode == 111 and "link" in r.stderr and path.split("/")[-1] in r.stderr


def test_link_in_place_of_the_trigger_is_replaced(place):
    other = place.victim.parent / "fifo"
    os.mkfifo(other, 0o600)
    (place.home / "queue/trigger").unlink()
    (place.home / "queue/trigger").symlink_to(other)
    assert place.run().returncode == 0
    st = other.stat()
    assert (st.st_uid, st.st_mode & 0o777) == (0, 0o600)
    assert place.is_("queue/trigger") == (QUEUE.pw_uid, "660")
    assert not (place.home / "queue/trigger").is_symlink()


def test_root_s_own_link_is_followed(place):
    """The queue may lie on another disk."""
    shutil.rmtree(place.home / "queue")
    (place.home / "queue").symlink_to(place.victim)
    r = place.run()
    assert r.returncode == 0, r.stderr
    assert (place.victim / "tmp").stat().st_uid == QUEUE.pw_uid
    assert place.is_("queue/tmp/00") == (QUEUE.pw_uid, "750")


def test_unknown_role_and_type_are_named(place):
    (place.tree / "conf-files").write_text("d nobody_such root 0755 x\n")
    r = place.run()
    assert r.returncode == 111 and "nobody_such" in r.stderr
    (place.tree / "conf-files").write_text("q root root 0755 x\n")
    r = place.run()
    assert r.returncode == 111 and "type q" in r.stderr
