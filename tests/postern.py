"""Shared by prog and flow tests: a home directory of one's own, programs in it."""
import atexit
import fcntl
import functools
import os
import pathlib
import shutil
import socket
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


def free_port(host="127.0.0.1"):
    """A port that nobody has and nobody else is given: below those that the
    kernel gives to clients, one after the other, over all test runs on this
    machine."""
    with open("/tmp/postern-test-port", "a+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.seek(0)
        last = f.read()
        port = int(last) if last.isdigit() else 20000
        for _ in range(12000):
            port = port + 1 if 20000 <= port < 32000 else 20000
            try:
                with socket.create_server((host, port)):
                    break
            except OSError:
                pass
        f.truncate(0)
        f.write(str(port))
    return port


def wipe(path):
    shutil.rmtree(path, ignore_errors=True)


def have_root():
    return os.geteuid() == 0
