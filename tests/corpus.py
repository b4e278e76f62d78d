#!/usr/bin/python3
"""Messages, each a file, through scanq with its archivenames: each has to get a
verdict, within a second of the processor and within little memory.

usage: tests/corpus.py [--clamd SOCKET] DIRECTORY ...

Without a clamd, one that answers OK stands in.  Exit 1 if a message fails.
"""
import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE / "tests"))
import postern  # noqa: E402
from fakeclamd import FakeClamd  # noqa: E402

SECONDS = 1             # of the processor
LIMIT = 60              # on the clock: other work may be going on
MEMORY = 8 << 20        # that each of its processes can write to
ACCEPTED, REFUSED = 0, 31
RULES = ".exe\t0 action=header\tprogram\n"

Outcome = collections.namedtuple("Outcome", "code seconds log")


class Scanner:
    """scanq in a home directory of its own below scratch."""

    def __init__(self, scratch, clamd=None):
        self.scratch, self.home, self.fake = scratch, scratch / "home", None
        for d in ("bin", "control", "rules", "scan"):
            (self.home / d).mkdir(parents=True)
        for p in ("scanq", "scanrules", "archivenames"):
            if (TREE / "scanq" / p).exists():
                shutil.copy(TREE / "scanq" / p, self.home / "bin")
        (self.home / "control/me").write_text("test.example\n")
        if not clamd:
            self.fake = FakeClamd(scratch / "clamd", verdict=lambda data: "OK")
            clamd = self.fake.name
        (self.home / "control/clamd").write_text(f"{clamd}\n")
        (self.home / "rules/quarantine-attachments.txt").write_text(RULES)
        self.env = postern.env(self.home, SCANQ_QUEUE="/bin/true")
        subprocess.run([self.home / "bin/scanrules"], env=self.env, check=True, timeout=30,
                       stderr=subprocess.DEVNULL)
        (scratch / "envelope").write_bytes(b"Fa@b.example\0Tc@d.example\0\0")

    def run(self, message):
        (self.scratch / "message").write_bytes(message)
        err = self.scratch / "log"
        pid = os.posix_spawnp("prlimit", [
            "prlimit", f"--data={MEMORY}", "timeout", f"{LIMIT}", self.home / "bin/scanq"], self.env, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, self.scratch / "message", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self.scratch / "envelope", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)])
        _, status, used = os.wait4(pid, 0)
        return Outcome(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime,
                       err.read_text("latin-1"))

    def close(self):
        if self.fake:
            self.fake.close()


def faults(outcome):
    """What is wrong with an outcome, in words; nothing if it is good."""
    found = []
    if outcome.code not in (ACCEPTED, REFUSED):
        found.append(f"exit code {outcome.code}")
    if "warning" in outcome.log or "fatal" in outcome.log:
        found.append("trouble")
    if outcome.seconds > SECONDS:
        found.append(f"{outcome.seconds:.2f} s")
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--clamd")
    p.add_argument("directory", nargs="+", type=pathlib.Path)
    a = p.parse_args()
    files = [f for d in a.directory for f in sorted(d.rglob("*")) if f.is_file()]
    words, bad, slowest = collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory(prefix="postern-corpus.") as d:
        scanner = Scanner(pathlib.Path(d), a.clamd)
        for f in files:
            outcome = scanner.run(f.read_bytes())
            found = faults(outcome)
            if found:
                bad += 1
                print(f"{f}: {', '.join(found)}: {outcome.log.strip()}")
            slowest = max(slowest, outcome.seconds)
            words.update(re.findall(r"^scanq: \w+: (\w+|not accepted) ", outcome.log))
        scanner.close()
    print(f"{len(files)} messages: " + ", ".join(f"{n} {w}" for w, n in words.most_common()) +
          f"; {bad} with faults; slowest {slowest:.3f} s of the processor")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
