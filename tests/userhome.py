"""A home directory with the programs of users/ and pop3d/, and authd in it."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

import postern

PROGRAMS = ("users/authd users/checkpw users/pwhash users/authctl users/rehash "
            "users/rcptcheck "
            "users/usersmake users/vadddomain users/vdeldomain users/vadduser "
            "users/vdeluser users/vpasswd users/vuserinfo users/vdominfo "
            "users/valias users/valiasdomain users/vcatchall users/vmkpasswd "
            "users/vmoduser users/vsetuserquota users/vmoddomlimits "
            "users/clearopensmtp "
            "users/vautorespond users/import "
            "pop3d/popup pop3d/pop3d").split()


def roles():
    lines = (postern.TREE / "conf-users").read_text().splitlines()
    return dict(line.split() for line in lines if line and line[0] != "#")


def make(home):
    """The directories of conf-files, and those programs."""
    home = pathlib.Path(home)
    users = roles()
    for line in (postern.TREE / "conf-files").read_text().splitlines():
        if not line.startswith("d "):
            continue
        _, owner, group, mode, path = line.split()
        d = home / path
        d.mkdir(parents=True, exist_ok=True)
        d.chmod(int(mode, 8))
        shutil.chown(d, users.get(owner, "root"), users.get(group, "root"))
    shutil.copy(postern.TREE / "conf-users", home)
    for p in PROGRAMS:
        shutil.copy(postern.TREE / p, home / "bin")
    (home / "control/me").write_text("test.example\n")
    (home / "control/locals").write_text("test.example\n")
    (home / "control/rcpthosts").write_text("test.example\n")
    (home / "users/assign").write_text(".\n")
    return home


def run(home, *args, text="", check=None, **env):
    r = subprocess.run([str(a) for a in args], input=text, text=True,
                       capture_output=True, env=postern.env(home, **env),
                       timeout=30)
    if check is not None:
        assert r.returncode == check, (args, r)
    return r


class Authd:
    def __init__(self, home):
        self.home = home
        self.log = home / "authd.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["authd"], env=postern.env(home), stderr=log,
                executable=str(home / "bin/authd"))
        deadline = time.monotonic() + 5
        while not self.answers():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def answers(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            return s.connect_ex(str(self.home / "socket/auth/authd")) == 0

    def ask(self, login, password, remote="192.0.2.1", service="pop3"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(30)
            s.connect(str(self.home / "socket/auth/authd"))
            fields = [f.encode() if isinstance(f, str) else f
                      for f in (login, password, remote, service, "")]
            s.send(b"\0".join(fields) + b"\0")
            return s.recv(4096)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(5)


def owner(path):
    return pwd.getpwuid(os.stat(path).st_uid).pw_name
