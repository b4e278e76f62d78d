"""import: hostile and broken sources, two at once, killed in the middle."""
import os
import re
import shutil
import subprocess

import pytest

import oldqmail
import postern
import userhome
from userhome import run

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")


@pytest.fixture
def home(scratch):
    return userhome.make(scratch / "home")


@pytest.fixture
def old(scratch):
    return oldqmail.Old(scratch / "old")


def take(home, old, *options):
    r = run(home, "import", *options, old.root)
    assert r.returncode in (0, 100), r
    return r.stdout.splitlines()


def missed(lines):
    return [l[len("not carried over: "):] for l in lines if l.startswith("not carried over: ")]


def everything(home):
    return {str(f.relative_to(home)): f.read_bytes() if f.is_file() else None
            for top in ("control", "users", "domains", "alias", "rules")
            for f in sorted((home / top).rglob("*")) if f.name != "lock"}


def test_broken_lines_are_named_with_their_number(home, old):
    d = old.domain("x.example")
    good = "joe:h:1:0:Joe:/home/vpopmail/domains/x.example/joe:NOQUOTA\n"
    bad = ["broken", "a:b:c", ":h:1:0::/d:NOQUOTA", "joe2:h:x:0::/d:NOQUOTA", "../up:h:1:0::/d:",
           "a/b:h:1:0::/d:", "x" * 65 + ":h:1:0::/d:", ".dot:h:1:0::/d:", "Up:h:1:0::/d:",
           "up:h:1:0:x:/home/vpopmail/domains/x.example/../../../etc:NOQUOTA",
           "in:h:1:0:x:/home/vpopmail/domains/x.example/a/../../../etc:NOQUOTA", "n\0ul:h:1:0::/d:"]
    (d / "vpasswd").write_bytes("".join([good] + [b + "\n" for b in bad]).encode())
    (d / "joe/Maildir/new").mkdir(parents=True)
    lines = missed(take(home, old))
    for i in range(len(bad)):
        assert any(f"/x.example/vpasswd: line {i + 2}: " in l for l in lines), (bad[i], lines)
    vpasswd = (home / "domains/x.example/vpasswd").read_text()
    assert vpasswd == good.replace("/home/vpopmail", str(home))


def test_links_lead_nowhere(home, old, scratch):
    secret = scratch / "secret"
    (secret / "cur").mkdir(parents=True)
    (secret / "cur/1.x").write_text("SECRET\n")
    d = old.domain("x.example")
    joe = old.user("x.example", "joe", "*")
    (joe / "Maildir/cur/2.x").symlink_to(secret / "cur/1.x")
    os.mkfifo(joe / "Maildir/cur/3.x")
    os.link(old.message(joe, "4.x", "fine"), joe / "Maildir/cur/5.x")
    (joe / ".qmail").symlink_to(secret / "cur/1.x")
    (joe / "Maildir/.Out").symlink_to(secret)
    ann = old.user("x.example", "ann", "*")
    shutil.rmtree(ann / "Maildir")
    (ann / "Maildir").symlink_to(secret)
    (d / ".qmail-a").symlink_to(secret / "cur/1.x")
    os.mkfifo(d / ".qmail-b")
    (old.qmail / "control/badmailfrom").symlink_to(secret / "cur/1.x")
    (old.qmail / "alias/.qmail-x").symlink_to(secret / "cur/1.x")
    old.assign += ["+y.example-:y.example:89:89:/home/vpopmail/domains/y.example:-::",
                   f"+z.example-:z.example:89:89:/home/../../../..{secret}:-::"]
    (old.vpopmail / "domains/y.example").symlink_to(secret)
    old.file("var/qmail/users/assign", "\n".join([*sorted(old.assign), ".", ""]))
    take(home, old)
    for f, text in everything(home).items():
        assert b"SECRET" not in (text or b""), f
    box = home / "domains/x.example/joe/Maildir"
    assert sorted(os.listdir(box / "cur")) == ["4.x", "5.x"]


def test_a_target_that_is_a_link_is_not_written_through(home, old, scratch):
    old.domain("x.example")
    joe = old.user("x.example", "joe", "*")
    old.message(joe, "1.x", "one")
    take(home, old)
    (scratch / "victim").mkdir()
    box = home / "domains/x.example/joe/Maildir"
    shutil.rmtree(box / "cur")
    (box / "cur").symlink_to(scratch / "victim")
    old.message(joe, "2.x", "two")
    r = run(home, "import", old.root)
    assert r.returncode == 111 and "joe@x.example" in r.stderr
    assert os.listdir(scratch / "victim") == []


def test_monstrous_and_hostile_names(home, old):
    d = old.domain("x.example")
    joe = old.user("x.example", "joe", "*")
    for name in ("7.\x1b[31m:2,", "8.a\nb", "9.'`$(x)", "1." + "y" * 250):
        (joe / "Maildir/cur" / name).write_text("x\n")
    (d / ".qmail-\n").write_text("&x@y.example\n")
    with open(d / ".qmail-big", "w") as f:
        f.truncate(2 << 20)
    with open(old.control("badrcptto", "x\n"), "w") as f:
        f.truncate(65 << 20)
    old.assign += ["+..-:..:89:89:/x:-::", "+a/b.example-:a/b.example:89:89:/x:-::",
                   "+" + "l" * 200 + ".example-:l.example:89:89:/x:-::", "=root:root:0:0:/root:::",
                   "=joe:nosuchuser:7:7:/home/joe:::", "garbage"]
    old.file("var/qmail/users/assign", "\n".join([*sorted(old.assign), ".", ""]))
    r = run(home, "import", old.root)
    assert r.returncode == 100
    assert all(c == "\n" or " " <= c <= "~" for c in r.stdout)
    lines = missed(r.stdout.splitlines())
    assert any("badrcptto: larger than 64 MiB" in l for l in lines)
    assert any(".qmail-big: larger than 1 MiB" in l for l in lines)
    assert any("=joe: no user nosuchuser" in l for l in lines)
    assert any("odd name" in l for l in lines)
    assert sorted(os.listdir(home / "domains")) == ["x.example"]


def test_no_source_is_said(home, scratch):
    (scratch / "nothing").mkdir()
    r = run(home, "import", scratch / "nothing", check=100)
    assert "no qmail in /var/qmail below" in r.stderr
    run(home, "import", scratch / "missing", check=111)
    run(home, "import", "-x", check=100)
    run(home, "import", "-q", "relative", check=100)


def test_two_at_once_do_not_meet(home, scratch):
    old = oldqmail.typical(scratch / "old")
    shutil.copy(postern.TREE / "scanq/scanrules", home / "bin")
    both = [subprocess.Popen([home / "bin/import", old.root], env=postern.env(home),
                             stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [p.wait(60) for p in both] == [100, 100]
    vpasswd = (home / "domains/shop.example/vpasswd").read_text().splitlines()
    assert [l.split(":")[0] for l in vpasswd] == ["ann", "joe", "off", "postmaster"]
    assert len(list((home / "domains/shop.example/joe/Maildir").glob("*/1500*"))) == 2


def test_killed_in_the_middle_the_next_run_finishes(scratch):
    old = oldqmail.typical(scratch / "old")

    def state(home):
        # lists: in any order
        return {k: b"\n".join(sorted(v.replace(str(home).encode(), b"HOME").split(b"\n")))
                if v and k.startswith(("users/imported/", "control/", "rules/")) else
                v.replace(str(home).encode(), b"HOME") if v else v
                for k, v in everything(home).items() if "cdb" not in k and ".tmp." not in k}, {
            str(f.relative_to(home)): f.stat().st_uid for f in (home / "domains").rglob("*")
            if ".tmp." not in f.name}

    def fresh(name):
        home = userhome.make(scratch / name)
        shutil.copy(postern.TREE / "scanq/scanrules", home / "bin")
        return home
    whole = fresh("whole")
    trace = scratch / "trace"
    calls = "rename,renameat,fchown,fchownat,mkdir,mkdirat"
    subprocess.run(["strace", "-o", trace, "-e", f"trace={calls}", whole / "bin/import", old.root],
                   env=postern.env(whole), capture_output=True, timeout=120)
    points, count = [], {}
    for line in trace.read_text().splitlines():
        m = re.match(r"(\w+)\(", line)
        if m:
            count[m[1]] = count.get(m[1], 0) + 1
            points.append((m[1], count[m[1]]))
    assert len(points) > 60
    for i, (name, n) in enumerate(points[3::len(points) // 8]):
        home = fresh(f"home{i}")
        r = subprocess.run(["strace", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                            f"inject={name}:signal=KILL:when={n}", home / "bin/import", old.root],
                           env=postern.env(home), capture_output=True, timeout=120)
        assert r.returncode == -9, (name, n, r)
        r = run(home, "import", old.root)
        assert r.returncode == 100, (name, n, r)
        for here, there in zip(state(home), state(whole)):
            assert {k: here.get(k) for k in here.keys() | there.keys()
                    if here.get(k) != there.get(k)} == {}, (name, n)
        run(home, "rcptcheck", "joe@shop.example", "ann@shop.test", "sales@shop.example", check=0)
