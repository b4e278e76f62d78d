"""A home directory with a mailbox, authd, and popup behind front ends of the
tests' own: shared by the tests of pop3d/."""
import os
import pathlib

import postern
import ucspitls
import userhome

USER, WORD = "joe@v.example", "joe secret"


def make(d):
    """In a directory that services of other users can reach."""
    for p in [d, *d.parents]:
        if p != pathlib.Path("/tmp") and str(p).startswith("/tmp/"):
            p.chmod(0o755)
    home = userhome.make(d / "home")
    userhome.run(home, "vadddomain", "v.example", "pm-secret", check=0)
    userhome.run(home, "vadduser", USER, WORD, check=0)
    (home / "control/authdelay").write_text("50\n")
    return home


class Server:
    def __init__(self, home):
        self.home = home
        self.maildir = home / "domains/v.example/joe/Maildir"
        self.fronts = []
        self.settings = set(os.listdir(home / "control"))

    def control(self, name, value):
        (self.home / "control" / name).write_text(f"{value}\n")

    def front(self, *prog, env=(), **more):
        return self.run("popup", "pop.example", *(prog or ("checkpw", "pop3d", "Maildir")),
                        env=env, **more)

    def run(self, *argv, env=(), **more):
        f = ucspitls.Front(argv, postern.env(self.home, **dict(env)), **more)
        self.fronts.append(f)
        return f

    def deliver(self, name, text, where="new"):
        f = self.maildir / where / name
        f.write_bytes(text)
        st = os.stat(self.maildir)
        os.chown(f, st.st_uid, st.st_gid)

    def names(self):
        return sorted(f.name for d in ("new", "cur") for f in (self.maildir / d).iterdir())

    def clear(self):
        for f in self.fronts:
            f.end()
        for name in set(os.listdir(self.home / "control")) - self.settings:
            (self.home / "control" / name).unlink()
        for d in "new", "cur", ".":
            for f in (self.maildir / d).iterdir():
                if f.is_file():
                    f.unlink()
