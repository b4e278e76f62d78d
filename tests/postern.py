"""Shared by prog and flow tests: a home directory of one's own, programs in it."""
import atexit
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

TREE = pathlib.Path(__file__).resolve().parent.parent


@functools.cache
def template():
    """One installation by tools/instfiles, which tests copy."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="postern-template."))
    atexit.register(wipe, top)
    subprocess.run([TREE / "tools/instfiles", "", str(top / "home")], cwd=TREE, check=True)
    return top / "home"


def install_home(home, control=None):
    """A whole installation below home, as "make install" makes it."""
    home = pathlib.Path(home)
    home.mkdir(parents=True, exist_ok=True)
    for parent in [home, *home.parents]:
        # services run as users of their own: let them reach it
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o111)
    subprocess.run(["cp", "-a", f"{template()}/.", home], check=True)
    for name, value in (control or {}).items():
        (home / "control" / name).write_text(value)
    return home


def env(home, **more):
    """The environment for a program of that installation."""
    e = {"PATH": f"{home}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
         "POSTERN_HOME": str(home), "LC_ALL": "C"}
    e.update(more)
    return e


def wipe(path):
    shutil.rmtree(path, ignore_errors=True)


def have_root():
    return os.geteuid() == 0
