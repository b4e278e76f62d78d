#!/usr/bin/python3
"""The sources that each installed program is linked of, its own first, as make
has them; of lib/, those that have left a function in it.  Run by itself it
prints them, a line a program, behind its name."""
import functools
import os
import re
import subprocess


def programs():
    """Where in the tree each program that goes into bin/ is built."""
    with open("conf-files") as f:
        return [line.split()[5] for line in f
                if re.match(r"[xo]\s", line) and line.split()[4].startswith("bin/")]


@functools.cache
def objects():
    made = subprocess.run(["make", "-pnq", "all"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return {m[1]: re.findall(r"\S+(?=\.d?o\b)", m[2])
            for m in re.finditer(r"^([a-z]\S+): ([^=\n]*)$", made, re.M)}


def functions(*files):
    """The functions that each of the files defines."""
    out = {}
    nm = subprocess.run(["nm", "-A", "--defined-only", *files], text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    for m in re.finditer(r"^([^:\n]+):.* T (\S+)$", nm, re.M):
        out.setdefault(m[1], set()).add(m[2])
    return out


@functools.cache
def library():
    return functions(*sorted("lib/" + f for f in os.listdir("lib") if f.endswith(".o")))


@functools.cache
def linked():
    return functions(*filter(os.path.exists, programs()))


def sources(program):
    """C files, or the script itself; nothing if it is not built."""
    if not os.path.exists(program + ".c"):
        return [program]
    if not os.path.exists(program):
        return []
    own = dict.fromkeys([program] + objects().get(program, []))
    has = linked().get(program, set())
    lib = [f[:-2] for f, names in library().items() if names & has]
    return [o + ".c" for o in dict.fromkeys([*own, *lib]) if os.path.exists(o + ".c")]


if __name__ == "__main__":
    for p in programs():
        print(os.path.basename(p), *sources(p))
