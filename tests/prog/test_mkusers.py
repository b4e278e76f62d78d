"""mkusers --remove, in an /etc and among processes of its own."""
import subprocess

import pytest

import postern

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")

REMOVE = """
set -u
mount -t tmpfs etc "$1" && mkdir "$1/upper" "$1/work" &&
    mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" etc /etc || exit
tools/mkusers || exit
setpriv --reuid postern-log --clear-groups sleep 1000 & pid=$!
until [ "$(cat /proc/$pid/comm)" = sleep ]; do :; done
tools/mkusers --remove; echo "code $?"
id -un postern-log postern-smtpd
kill $pid
wait
tools/mkusers --remove; echo "code $?"
grep -c postern- /etc/passwd /etc/group
"""


def test_users_are_removed_all_or_none(tmp_path):
    r = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
         "sh", "-c", REMOVE, "sh", tmp_path], cwd=postern.TREE, text=True,
        capture_output=True, timeout=120)
    assert r.stdout.splitlines() == [
        "code 111", "postern-log", "postern-smtpd", "code 0", "/etc/passwd:0", "/etc/group:0"
    ], r.stdout + r.stderr
    [line] = [s for s in r.stderr.splitlines() if s.startswith("mkusers: ")]
    assert line.startswith("mkusers: fatal: postern-log runs sleep (process ")
