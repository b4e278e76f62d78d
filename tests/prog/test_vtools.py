"""Aliases, alias domains, policies, flags, quotas and limits of virtual domains."""
import fcntl
import os
import pathlib
import pwd
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import time

import pytest

import postern
import userhome
from userhome import run

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")


@pytest.fixture
def vhome(scratch):
    home = userhome.make(scratch / "home")
    run(home, "vadddomain", "v.example", "pm-secret", check=0)
    run(home, "vadduser", "-n", "joe@v.example", check=0)
    return home


def everything(home):
    """Each file below the home directory that a tool may change."""
    out = {}
    for top in ("control", "users", "domains"):
        for f in sorted((home / top).rglob("*")):
            if f.name != "lock":
                out[str(f.relative_to(home))] = f.read_bytes() if f.is_file() else None
    return out


def domain(home):
    return home / "domains/v.example"


def known(home, *addresses):
    return [run(home, "rcptcheck", a).returncode for a in addresses]


def field(home, user, letter):
    return run(home, "vuserinfo", letter, f"{user}@v.example", check=0).stdout.strip()


# ---- aliases

def test_an_alias_is_a_file_that_vpopmail_would_read(vhome):
    run(vhome, "valias", "-i", "joe", "-i", "Ann@Elsewhere.example", "-i", "&x@y.example",
        "sales.EU@v.example", check=0)
    f = domain(vhome) / ".qmail-sales:eu"
    assert f.read_text() == "&joe@v.example\n&Ann@Elsewhere.example\n&x@y.example\n"
    assert f.stat().st_mode & 0o777 == 0o640
    assert known(vhome, "sales.eu@v.example", "sales@v.example") == [0, 100]


def test_aliases_are_listed_as_vpopmail_lists_them(vhome):
    run(vhome, "valias", "-i", "joe", "a.b@v.example", check=0)
    run(vhome, "valias", "-i", "x@y.example", "-i", "z@y.example", "c@v.example", check=0)
    out = run(vhome, "valias", "-s", "v.example", check=0).stdout
    assert sorted(out.splitlines()) == [
        "a.b@v.example -> &joe@v.example", "c@v.example -> &x@y.example",
        "c@v.example -> &z@y.example"]
    assert run(vhome, "valias", "c@v.example", check=0).stdout.count("c@v.example -> ") == 2
    assert sorted(run(vhome, "valias", "-n", "v.example", check=0).stdout.split()) == [
        "a.b@v.example", "c@v.example"]


def test_lines_and_aliases_can_be_taken_out(vhome):
    before = everything(vhome)
    run(vhome, "valias", "-i", "joe", "-i", "x@y.example", "a@v.example", check=0)
    run(vhome, "valias", "-r", "joe", "a@v.example", check=0)
    assert (domain(vhome) / ".qmail-a").read_text() == "&x@y.example\n"
    run(vhome, "valias", "-r", "x@y.example", "a@v.example", check=0)
    assert everything(vhome) == before
    run(vhome, "valias", "-i", "joe", "a@v.example", check=0)
    run(vhome, "valias", "-d", "a@v.example", check=0)
    assert everything(vhome) == before


def test_an_alias_in_front_of_a_mailbox_is_pointed_out(vhome):
    r = run(vhome, "valias", "-i", "x@y.example", "joe@v.example", check=0)
    assert "joe@v.example is a mailbox too" in r.stderr


# ---- alias domains

def test_an_alias_domain_is_known_and_goes_with_its_domain(vhome):
    before = everything(vhome)
    run(vhome, "valiasdomain", "Also.example", "v.example", check=0)
    assert "+also.example-:v.example:" in (vhome / "users/assign").read_text()
    assert known(vhome, "joe@also.example", "no@also.example") == [0, 100]
    assert "alias of: v.example" in run(vhome, "vdominfo", "also.example", check=0).stdout
    run(vhome, "vdeldomain", "also.example", check=0)
    assert everything(vhome) == before
    # vpopmail's other order
    run(vhome, "valiasdomain", "v.example", "also.example", check=0)
    assert known(vhome, "joe@also.example") == [0]
    run(vhome, "vdeldomain", "v.example", check=0)
    for f in ("users/assign", "control/virtualdomains", "control/rcpthosts"):
        assert "also" not in (vhome / f).read_text()


# ---- unknown names

@pytest.mark.parametrize("policy,word,code", [
    ("delete", "delete", 0), ("joe", "joe@v.example", 0), ("x@y.example", "x@y.example", 0)])
def test_the_policy_for_unknown_names_can_be_changed(vhome, policy, word, code):
    before = everything(vhome)
    assert run(vhome, "vcatchall", "v.example", check=0).stdout == "bounce-no-mailbox\n"
    run(vhome, "vcatchall", "v.example", policy, check=0)
    assert (domain(vhome) / ".qmail-default").read_text() == \
        f"| {vhome}/bin/vdelivermail '' {word}\n"
    assert run(vhome, "vcatchall", "v.example", check=0).stdout == word + "\n"
    assert known(vhome, "nobody@v.example") == [code]
    run(vhome, "vcatchall", "v.example", "bounce-no-mailbox", check=0)
    assert everything(vhome) == before


@pytest.mark.parametrize("text,word", [
    ("# vpopmail's\n| /x/vdelivermail '' delete\n", "delete"),
    ("|/x/vdelivermail '' bounce-no-mailbox", "bounce-no-mailbox"),
    ("| /x/vdelivermail '' /d/v.example/joe\r\n", "/d/v.example/joe"),
    ("&x@y.example\n", "custom"), ("", "custom")])
def test_vpopmails_policies_are_understood(vhome, text, word):
    (domain(vhome) / ".qmail-default").write_text(text)
    run(vhome, "vmkpasswd", "v.example", check=0)
    assert run(vhome, "vcatchall", "v.example", check=0).stdout == word + "\n"


# ---- users

def test_flags_are_those_of_vpopmail(vhome):
    # the letters of vpopmail's vmoduser, each with its bit
    bits = {"d": 0x1, "p": 0x2, "w": 0x4, "i": 0x8, "b": 0x10, "r": 0x20, "u": 0x40, "0": 0x80,
            "1": 0x100, "2": 0x200, "3": 0x400, "s": 0x800, "a": 0x1000, "o": 0x2000,
            "f": 0x4000, "F": 0x8000, "S": 0x10000, "E": 0x20000, "m": 0x40000}
    for letter, bit in bits.items():
        run(vhome, "vmoduser", "-x" + letter, "joe@v.example", check=0)
        assert field(vhome, "joe", "-g") == str(bit)
    run(vhome, "vmoduser", "-p", "joe@v.example", check=0)
    assert field(vhome, "joe", "-g") == str(0x40002)
    run(vhome, "vmoduser", "-x", "joe@v.example", check=0)
    assert field(vhome, "joe", "-g") == "0"


def test_a_user_who_takes_no_mail_is_refused(vhome):
    run(vhome, "vmoduser", "-b", "joe@v.example", check=0)
    assert "disabled" in run(vhome, "rcptcheck", "joe@v.example", check=100).stdout


def test_comment_hash_and_quota_of_everybody(vhome):
    run(vhome, "vmoduser", "-c", "All", "-e", "$1$x", "-q", "1M", "v.example", check=0)
    for user in ("joe", "postmaster"):
        assert [field(vhome, user, l) for l in ("-c", "-p", "-q")] == ["All", "$1$x", "1048576S"]
    run(vhome, "vsetuserquota", "joe@v.example", "1000S,5C", check=0)
    assert field(vhome, "joe", "-q") == "1000S,5C"
    run(vhome, "vsetuserquota", "v.example", "NOQUOTA", check=0)
    assert field(vhome, "joe", "-q") == field(vhome, "postmaster", "-q") == "NOQUOTA"


def test_a_new_password_is_hashed(vhome):
    a = userhome.Authd(vhome)
    try:
        run(vhome, "vmoduser", "-C", "new secret", "joe@v.example", check=0)
        assert a.ask("joe@v.example", "new secret")[:1] == b"K"
    finally:
        a.end()


# ---- defaults and limits

def test_how_full_a_mailbox_is(vhome, scratch):
    box = domain(vhome) / "joe/Maildir"
    (box / "new/1.a,S=400,W=410").write_bytes(b"")
    (box / "cur/2.a:2,S").write_bytes(b"x" * 100)
    (box / ".Trash/new").mkdir(parents=True)
    (box / ".Trash/new/3.a").write_bytes(b"x" * 1000)       # does not count
    assert field(vhome, "joe", "-Q") == "500 bytes, 2 messages"
    run(vhome, "vsetuserquota", "joe@v.example", "2000S", check=0)
    assert field(vhome, "joe", "-Q") == "500 bytes, 2 messages, 25 %"
    # as local has counted
    (box / "maildirsize").write_text("2000S\n1000 1\n500 1\n")
    shown = run(vhome, "vuserinfo", "joe@v.example", check=0).stdout
    assert "usage:  1500 bytes, 2 messages, 75 %\n" in shown
    everybody = run(vhome, "vuserinfo", "-Q", "-n", "-D", "v.example", check=0).stdout
    assert everybody == "joe\n1500 bytes, 2 messages, 75 %\npostmaster\n0 bytes, 0 messages\n"
    assert "usage" not in run(vhome, "vuserinfo", "-D", "v.example", check=0).stdout
    # through no link
    shutil.move(domain(vhome) / "joe", scratch / "joe")
    (domain(vhome) / "joe").symlink_to(scratch / "joe")
    assert "usage:  unknown" in run(vhome, "vuserinfo", "joe@v.example", check=0).stdout


def test_new_users_get_the_default_quota_and_domain(vhome):
    (vhome / "control/defaultquota").write_text("10M\n")
    (vhome / "control/defaultvdomain").write_text("v.example\n")
    run(vhome, "vadduser", "-n", "ann", check=0)
    assert field(vhome, "ann", "-q") == "10485760S"
    run(vhome, "vmoddomlimits", "-q", "1M", "-m", "9", "v.example", check=0)
    run(vhome, "vadduser", "-n", "bob", check=0)
    run(vhome, "vadduser", "-n", "-q", "NOQUOTA", "eve", check=0)
    assert (field(vhome, "bob", "-q"), field(vhome, "eve", "-q")) == ("1048576S,9C", "NOQUOTA")


def test_limits_keep_what_they_do_not_know(vhome):
    f = domain(vhome) / ".qmailadmin-limits"
    f.write_text("# ours\nmaxmailinglists: 3\nperm_quota 7\nmaxaliases\t5\ndisable_pop\n")
    run(vhome, "vmoddomlimits", "-A", "1", "-F", "-1", "v.example", check=0)
    out = run(vhome, "vmoddomlimits", "-S", "v.example", check=0).stdout
    assert out == f.read_text() == ("# ours\nmaxmailinglists: 3\nperm_quota 7\ndisable_pop\n"
                                    "maxaliases: 1\nmaxforwards: -1\n")
    run(vhome, "vmoddomlimits", "-D", "v.example", check=0)
    assert not f.exists()


def test_no_more_users_aliases_and_forwards_than_allowed(vhome):
    run(vhome, "vmoddomlimits", "-P", "3", "-A", "1", "-F", "1", "v.example", check=0)
    run(vhome, "vadduser", "-n", "ann@v.example", check=0)
    run(vhome, "valias", "-i", "joe", "a@v.example", check=0)
    run(vhome, "valias", "-i", "x@y.example", "f@v.example", check=0)
    before = everything(vhome)
    for what, args in [("users", ["vadduser", "-n", "bob@v.example"]),
                       ("aliases", ["valias", "-i", "ann", "b@v.example"]),
                       ("forwards", ["valias", "-i", "x@y.example", "g@v.example"])]:
        assert f"as many {what} as it may" in run(vhome, *args, check=100).stderr
    assert everything(vhome) == before


def test_what_the_domain_may_not_no_user_may(vhome):
    run(vhome, "vmoduser", "-o", "postmaster@v.example", check=0)
    run(vhome, "vmoddomlimits", "-g", "p", "v.example", check=0)
    a = userhome.Authd(vhome)
    try:
        run(vhome, "vpasswd", "joe@v.example", "secret", check=0)
        assert a.ask("joe@v.example", "secret") == b"N"
        assert a.ask("postmaster@v.example", "pm-secret")[:1] == b"K"
        assert field(vhome, "joe", "-g") == "0"     # the user's own line stays
        run(vhome, "vmoddomlimits", "-g", "", "v.example", check=0)
        assert a.ask("joe@v.example", "secret")[:1] == b"K"
    finally:
        a.end()


def test_the_default_limits_are_for_domains_without_their_own(vhome):
    (vhome / "control/vlimits.default").write_text("maxpopaccounts: 2\n")
    assert "as many users" in run(vhome, "vadduser", "-n", "ann@v.example", check=100).stderr


# ---- autoresponder

def test_an_autoresponder_is_two_lines_and_goes_again(vhome):
    before = everything(vhome)
    run(vhome, "vautorespond", "-d", "3", "joe@v.example", "on", text="away\n", check=0)
    d = domain(vhome) / "joe"
    assert (d / ".qmail").read_text() == (
        f"|{vhome}/bin/autorespond 259200 1 vacation/message vacation\n./Maildir/\n")
    assert (d / "vacation/message").read_text() == "away\n"
    for f in (".qmail", "vacation", "vacation/message"):
        assert userhome.owner(d / f) == userhome.roles()["vmail"]
    run(vhome, "vautorespond", "joe@v.example", "on", text="still away\n", check=0)
    run(vhome, "vautorespond", "joe@v.example", "off", check=0)
    assert everything(vhome) == before


def test_a_users_own_instructions_are_left_alone(vhome):
    (domain(vhome) / "joe/.qmail").write_text("&x@y.example\n")
    for word in ("on", "off"):
        r = run(vhome, "vautorespond", "joe@v.example", word, text="away\n", check=100)
        assert ".qmail of another kind" in r.stderr
    assert (domain(vhome) / "joe/.qmail").read_text() == "&x@y.example\n"


def test_an_autoresponder_is_written_through_no_link(vhome, scratch):
    (scratch / "victim").mkdir()
    joe = domain(vhome) / "joe"
    (joe / "vacation").symlink_to(scratch / "victim")
    assert run(vhome, "vautorespond", "joe@v.example", "on", text="x\n").returncode == 111
    (joe / "vacation").unlink()
    (joe / ".qmail").symlink_to(scratch / "victim/x")
    assert run(vhome, "vautorespond", "joe@v.example", "on", text="x\n").returncode != 0
    joe.rename(scratch / "joe")
    joe.symlink_to(scratch / "joe")
    assert run(vhome, "vautorespond", "joe@v.example", "on", text="x\n").returncode == 111
    assert os.listdir(scratch / "victim") == [] and not (scratch / "joe/vacation").exists()


# ---- what is wrong changes nothing

BAD = [
    ["valias", "-i", "x@y.example", "../a@v.example"], ["valias", "-i", "", "a@v.example"],
    ["valias", "-i", "a\nb@c.example", "a@v.example"], ["valias", "-i", "#x", "a@v.example"],
    ["valias", "-i", "a b@c.example", "a@v.example"], ["valias", "-i", "x@y.example", "a@w.example"],
    ["valias", "-i", "x" * 1001, "a@v.example"], ["valias", "-i", "x@y.example", "default@v.example"],
    ["valias", "-i", "joe", "-i", "joe", "a@v.example"], ["valias", "-i", "joe", "v.example"],
    ["valias", "-d", "joe@v.example"], ["valias", "-r", "x@y.example", "a@v.example"],
    ["valias", "-i", "x@y.example", "x" * 65 + "@v.example"], ["valias", "-s", "no@v.example"],
    ["valiasdomain", "a.example", "b.example"], ["valiasdomain", "v.example", "v.example"],
    ["valiasdomain", "../x", "v.example"], ["valiasdomain", "nodot", "v.example"],
    ["vcatchall", "v.example", "nobody"], ["vcatchall", "v.example", "/etc/passwd"],
    ["vcatchall", "v.example", "a'b@c"], ["vcatchall", "v.example", "`x`@c"],
    ["vcatchall", "v.example", ""], ["vcatchall", "w.example", "delete"],
    ["vmoduser", "-c", "a:b", "joe@v.example"], ["vmoduser", "-c", "a\nb", "v.example"],
    ["vmoduser", "-q", "x", "joe@v.example"], ["vmoduser", "-p", "no@v.example"],
    ["vmoduser", "-p", "w.example"], ["vmoduser", "-C", "", "joe@v.example"],
    ["vmoduser", "-Z", "joe@v.example"],
    ["vsetuserquota", "joe@v.example", "much"], ["vsetuserquota", "no@v.example", "1M"],
    ["vsetuserquota", "joe@v.example", "10S,5S"], ["vsetuserquota", "joe@v.example"],
    ["vmoddomlimits", "-P", "x", "v.example"], ["vmoddomlimits", "-g", "z", "v.example"],
    ["vmoddomlimits", "-P", "1", "w.example"], ["vmoddomlimits", "v.example"],
    ["vautorespond", "joe@v.example", "on"], ["vautorespond", "no@v.example", "on"],
    ["vautorespond", "-d", "0", "joe@v.example", "on"], ["vautorespond", "joe@v.example"],
    ["vmkpasswd", "w.example"], ["vdeldomain", "w.example"], ["vadduser", "-n", "x" * 65 + "@v.example"],
    ["vadduser", "-n", "ann"], ["vadddomain", "-e", "a b@c", "n.example", "x"],
    ["vadddomain", "-e", "nobody", "n.example", "x"],
]


@pytest.fixture(scope="module")
def still():
    """One home for all that must not change it."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-test."))
    d.chmod(0o755)
    home = userhome.make(d / "home")
    run(home, "vadddomain", "v.example", "pm-secret", check=0)
    run(home, "vadduser", "-n", "joe@v.example", check=0)
    yield home
    postern.wipe(d)


@pytest.mark.parametrize("args", BAD, ids=lambda a: " ".join(a)[:36].replace("\n", "LF"))
def test_bad_input_is_named_and_changes_nothing(still, args):
    before = everything(still)
    r = run(still, *args, check=100)
    assert args[0] + ": " in r.stderr and r.stdout == ""
    assert everything(still) == before


def test_files_of_monstrous_size_or_content_are_temporary_trouble(vhome):
    (domain(vhome) / ".qmail-big").write_text("&x@y.example\n" * 90000)
    run(vhome, "vmkpasswd", check=0)
    before = everything(vhome)
    r = run(vhome, "valias", "-i", "z@y.example", "big@v.example", check=111)
    assert ".qmail-big" in r.stderr
    (vhome / "control/vlimits.default").write_text("maxpopaccounts: many\n")
    run(vhome, "vadduser", "-n", "ann@v.example", check=111)
    (vhome / "control/vlimits.default").unlink()
    assert everything(vhome) == before


def test_a_damaged_line_is_named_and_nothing_is_written(vhome):
    f = domain(vhome) / "vpasswd"
    f.write_text(f.read_text() + "zed:broken\n")
    before = everything(vhome)
    r = run(vhome, "vmoduser", "-p", "v.example", check=111)
    assert f"{f}: line 3: " in r.stderr
    after = everything(vhome)
    for name in ("domains/v.example/vpasswd",):
        assert after[name] == before[name]
    r = run(vhome, "vmkpasswd", check=100)
    assert f"{f}: line 3: " in r.stderr
    assert known(vhome, "joe@v.example", "zed@v.example") == [0, 100]
    # the others can be changed, and the line stays
    run(vhome, "vmoduser", "-p", "joe@v.example", check=0)
    assert "zed:broken\n" in f.read_text()


def test_links_in_the_tree_are_not_followed(vhome, scratch):
    victim = scratch / "victim"
    victim.write_text("old\n")
    for name in (".qmail-a", ".qmailadmin-limits"):
        (domain(vhome) / name).symlink_to(victim)
        args = ["valias", "-i", "x@y.example", "a@v.example"] if "qmail-a" == name[1:] else \
            ["vmoddomlimits", "-P", "1", "v.example"]
        assert run(vhome, *args).returncode in (100, 111)
        (domain(vhome) / name).unlink()
    assert victim.read_text() == "old\n"
    (vhome / "domains/out.example").symlink_to(scratch)
    with open(vhome / "users/assign", "w") as f:
        f.write(f"+out.example-:out.example:1:1:{vhome}/domains/out.example:-::\n.\n")
    run(vhome, "usersmake", check=0)
    assert run(vhome, "vadduser", "-n", "joe@out.example").returncode == 111
    assert not (scratch / "joe").exists()


def test_tools_at_the_same_time_lose_nothing(vhome):
    tools = [["valias", "-i", f"x{i}@y.example", "all@v.example"] for i in range(12)]
    tools += [["vadduser", "-e", "*", f"u{i}@v.example"] for i in range(6)]
    tools += [["vmoduser", "-c", f"c{i}", "joe@v.example"] for i in range(6)]
    running = [subprocess.Popen(t, executable=str(vhome / "bin" / t[0]), env=postern.env(vhome))
               for t in tools]
    assert [p.wait(60) for p in running] == [0] * len(tools)
    assert len((domain(vhome) / ".qmail-all").read_text().splitlines()) == 12
    assert len((domain(vhome) / "vpasswd").read_text().splitlines()) == 8


# ---- killed at each step that changes something

CHANGES = "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,fsync,fchown,fchownat,rmdir," \
    "link,utimensat"
KILLED = {
    "vadduser": ["vadduser", "-e", "*", "ann@v.example"],
    "vdeluser": ["vdeluser", "joe@v.example"],
    "valias": ["valias", "-i", "x@y.example", "sales@v.example"],
    "vmoduser": ["vmoduser", "-b", "joe@v.example"],
    "vmoddomlimits": ["vmoddomlimits", "-Q", "5", "-g", "p", "v.example"],
    "vcatchall": ["vcatchall", "v.example", "delete"],
}


def strace(home, args, *more):
    """strace runs the tool as its child, which is what counts the calls."""
    return subprocess.run(["strace", *more, home / "bin" / args[0], *args[1:]],
                          env=postern.env(home), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("tool", KILLED)
def test_killed_at_any_change_the_next_run_finishes_the_work(scratch, tool):
    args = KILLED[tool]

    def fresh(n):
        home = userhome.make(scratch / f"home{n}")
        (home / "users/assign").write_text(
            f"+v.example-:v.example:{pwd.getpwnam('postern-vmail').pw_uid}:"
            f"{pwd.getpwnam('postern-vmail').pw_gid}:{home}/domains/v.example:-::\n.\n")
        run(home, "usersmake", check=0)
        d = home / "domains/v.example"
        d.mkdir()
        (d / ".qmail-default").write_text("| /x/bin/vdelivermail '' bounce-no-mailbox\n")
        run(home, "vadduser", "-e", "*", "joe@v.example", check=0)
        return home

    def state(home):
        table = (home / "users/mailbox/v.example.cdb").read_bytes()
        return {k: v.replace(str(home).encode(), b"HOME") if v else v
                for k, v in everything(home).items()
                if "cdb" not in k and ".tmp." not in k and ".old." not in k}, table

    home = fresh(0)
    old = state(home)
    trace = scratch / "trace"
    assert strace(home, args, "-o", trace, "-e", f"trace={CHANGES}").returncode == 0
    new = state(home)
    assert old != new
    points, count = [], {}
    for line in trace.read_text().splitlines():
        m = re.match(r"(\w+)\(", line)
        if m:
            count[m[1]] = count.get(m[1], 0) + 1
            points.append((m[1], count[m[1]]))
    assert len(points) >= 5
    for i, (name, n) in enumerate(points[::1 + len(points) // 12]):
        home = fresh(i + 1)
        r = strace(home, args, "-o", "/dev/null", "-e", f"trace={name}",
                   "-e", f"inject={name}:signal=KILL:when={n}")
        assert r.returncode == -9, (name, n, r)
        # what is there is whole: old or new, never half a file
        d = home / "domains/v.example"
        for line in (d / "vpasswd").read_text().splitlines():
            assert len(line.split(":")) == 7, (name, n)
        run(home, "vuserinfo", "-D", "v.example", check=0)
        # and again: it is done, or was done
        again = run(home, *args)
        assert again.returncode == 0 or "already" in again.stderr or \
            "no such user" in again.stderr, (name, n, again)
        if "nobody's" in again.stderr:
            run(home, "vdeluser", args[-1], check=0)
            run(home, *args, check=0)
        assert state(home)[0] == new[0], (name, n)
        run(home, "vmkpasswd", "v.example", check=0)
        assert state(home)[1] == new[1], (name, n)
        assert [k for k in everything(home) if ".old." in k] == []


@pytest.mark.parametrize("tool", KILLED)
def test_an_error_at_any_step_takes_everything_back(vhome, scratch, tool):
    args = KILLED[tool]
    trace = scratch / "trace"
    other = userhome.make(scratch / "other")
    run(other, "vadddomain", "v.example", "x", check=0)
    run(other, "vadduser", "-n", "joe@v.example", check=0)
    assert strace(other, args, "-o", trace, "-e", "trace=fsync,rename,fchown").returncode == 0
    count = {}
    for line in trace.read_text().splitlines():
        m = re.match(r"(\w+)\(", line)
        if m:
            count[m[1]] = count.get(m[1], 0) + 1
    assert count["fsync"] >= 3 and count["rename"] >= 2
    before = everything(vhome)
    for name in ("fsync", "rename"):
        for n in range(1, count[name] + 1):
            # or the next tool would mend the tables first
            run(vhome, "vmkpasswd", check=0)
            r = strace(vhome, args, "-o", "/dev/null", "-e", f"trace={name}",
                       "-e", f"inject={name}:error=ENOSPC:when={n}")
            assert r.returncode == 111 and "No space left" in r.stderr, (name, n, r)
            after = everything(vhome)
            assert {k: after.get(k) for k in before.keys() | after.keys()
                    if before.get(k) != after.get(k) and "/.usage" not in k} == {}, (name, n)
    run(vhome, *args, check=0)
    assert everything(vhome) != before


@pytest.mark.parametrize("tool", [["vadddomain", "w.example", "x"],
                                  ["valiasdomain", "w.example", "v.example"],
                                  ["vdeldomain", "old.example"]])
def test_a_domain_is_known_as_before_when_a_tool_fails(vhome, scratch, tool):
    """w.example is a name of this host, and stays one; also on a disk that is full
    and stays so."""
    run(vhome, "valiasdomain", "old.example", "v.example", check=0)
    for f in "locals", "rcpthosts":
        with open(vhome / "control" / f, "a") as out:
            out.write("w.example\n")
    saved = scratch / "saved"
    subprocess.run(["cp", "-a", vhome, saved], check=True)
    before = everything(vhome)
    failed = 0
    for name, more in ("fsync", ""), ("rename", ""), ("fsync", "+"):
        for n in range(1, 40):
            # each process counts for itself: one error of rename, not a second one in
            # what takes the first one back
            follow = ["-f"] if name == "fsync" else []
            r = strace(vhome, tool, *follow, "-o", "/dev/null", "-e", f"trace={name}",
                       "-e", f"inject={name}:error=ENOSPC:when={n}{more}")
            if r.returncode == 0:       # there are no more of them
                break
            failed += 1
            after = everything(vhome)
            assert r.returncode == 111 and "No space left" in r.stderr, (name, n, more, r)
            assert {k: after.get(k) for k in before.keys() | after.keys()
                    if before.get(k) != after.get(k)} == {}, (name, n, more)
        assert r.returncode == 0 and everything(vhome) != before
        shutil.rmtree(vhome)
        subprocess.run(["cp", "-a", saved, vhome], check=True)
    assert failed > 6


def test_a_directory_that_is_no_domain_is_not_taken_or_removed(vhome):
    mail = vhome / "domains/w.example/joe/Maildir/new/1"
    mail.parent.mkdir(parents=True)
    mail.write_text("x\n")
    before = everything(vhome)
    r = run(vhome, "vadddomain", "w.example", "x", check=100)
    assert "domains/w.example exists already" in r.stderr
    assert everything(vhome) == before


def test_a_domain_half_made_can_be_removed_and_made_again(scratch):
    calls = "rename,mkdir"

    def points():
        home = userhome.make(scratch / "whole")
        trace = scratch / "trace"
        assert strace(home, ["vadddomain", "w.example", "x"], "-o", trace,
                      "-e", f"trace={calls}").returncode == 0
        count = {}
        for line in trace.read_text().splitlines():
            m = re.match(r"(\w+)\(", line)
            if m:
                count[m[1]] = count.get(m[1], 0) + 1
                yield m[1], count[m[1]]
    for i, (name, n) in enumerate(list(points())):
        home = userhome.make(scratch / f"home{i}")
        r = strace(home, ["vadddomain", "w.example", "x"], "-o", "/dev/null", "-e",
                   f"trace={name}", "-e", f"inject={name}:signal=KILL:when={n}")
        assert r.returncode == -9
        if run(home, "vadddomain", "w.example", "x").returncode:
            run(home, "vdeldomain", "w.example", check=0)
            run(home, "vadddomain", "w.example", "x", check=0)
        run(home, "vadduser", "-n", "joe@w.example", check=0)
        assert known(home, "joe@w.example", "postmaster@w.example") == [0, 0], (name, n)


# ---- the lock

TOOLS = {
    "vadddomain": ["w.example", "secret"], "vdeldomain": ["v.example"],
    "vadduser": ["-n", "ann@v.example"], "vdeluser": ["joe@v.example"],
    "vpasswd": ["joe@v.example", "secret"], "vuserinfo": ["joe@v.example"],
    "vdominfo": ["v.example"], "valias": ["v.example"],
    "valiasdomain": ["a.example", "v.example"], "vcatchall": ["v.example"],
    "vmkpasswd": ["v.example"], "vmoduser": ["-x", "joe@v.example"],
    "vsetuserquota": ["joe@v.example", "1M"],
    "vmoddomlimits": ["-S", "v.example"], "vautorespond": ["joe@v.example", "off"],
}


def waits_for_a_lock(pid):
    """/proc/locks: N: -> FLOCK ADVISORY WRITE PID ..."""
    return any(line.split()[1:2] == ["->"] and line.split()[5] == str(pid)
               for line in open("/proc/locks"))


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_a_tool_waits_for_the_lock_but_not_to_say_how_it_is_used(vhome, tool):
    with open(vhome / "users/lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert f"usage: {tool} " in run(vhome, tool, "-%", check=100).stderr
        p = subprocess.Popen([tool, *TOOLS[tool]], env=postern.env(vhome),
                             executable=str(vhome / "bin" / tool),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while p.poll() is None and not waits_for_a_lock(p.pid):
            assert time.monotonic() < deadline, "neither waits nor ends"
            time.sleep(0.01)
        assert p.poll() is None, "it did not wait"
    assert p.wait(30) == 0, p.stderr.read()
    p.stderr.close()


@pytest.mark.parametrize("args", [
    ["vpasswd", "joe@v.example"], ["vadduser", "ann@v.example"],
    ["vautorespond", "joe@v.example", "on"]], ids=lambda a: a[0])
def test_nobody_waits_for_somebody_who_types(vhome, args):
    """Nor do other tools, spamguard's vmoduser, and new hashes of authd."""
    r, w = os.pipe()
    p = subprocess.Popen(args, env=postern.env(vhome), executable=str(vhome / "bin" / args[0]),
                         stdin=r, stdout=subprocess.DEVNULL)
    try:
        os.write(w, b"secre")
        deadline = time.monotonic() + 30
        while struct.unpack("i", fcntl.ioctl(r, termios.FIONREAD, b"1234"))[0]:
            assert time.monotonic() < deadline and p.poll() is None, "it reads nothing"
            time.sleep(0.01)
        os.close(r)
        run(vhome, "vmoduser", "-c", "Joe", "joe@v.example", check=0)
        os.write(w, b"ts\n")
    finally:
        os.close(w)
        code = p.wait(30)
    assert code == 0
    assert field(vhome, "joe", "-c") == "Joe"


def test_who_is_not_there_is_asked_nothing(vhome):
    r = run(vhome, "vpasswd", "-r", "nobody@v.example", check=100)
    assert "no such user" in r.stderr and "password" not in r.stdout
    r = run(vhome, "vadduser", "-r", "joe@v.example", check=100)
    assert "exists already" in r.stderr and "password" not in r.stdout


def hashed(vhome):
    """Where vpopmail puts the hundred and first user."""
    d = domain(vhome)
    (d / "0").mkdir(mode=0o700)
    (d / "joe").rename(d / "0/joe")
    f = d / "vpasswd"
    f.write_text(f.read_text().replace(f"{d}/joe", f"{d}/0/joe"))
    run(vhome, "vmkpasswd", "v.example", check=0)
    return d / "0/joe"


@pytest.mark.parametrize("name", ["vpasswd", "vpasswd.cdb", "0"])
def test_what_is_no_mailbox_is_not_removed_by_its_name(vhome, name):
    joe = hashed(vhome)
    before = everything(vhome)
    assert "no such user" in run(vhome, "vdeluser", f"{name}@v.example", check=100).stderr
    assert everything(vhome) == before and (joe / "Maildir/new").is_dir()


def test_mailbox_goes_with_its_user_wherever_it_lies(vhome):
    joe = hashed(vhome)
    run(vhome, "vdeluser", "joe@v.example", check=0)
    assert not joe.exists() and joe.parent.is_dir()
    assert known(vhome, "joe@v.example") == [100]


@pytest.mark.parametrize("odd", ["..", ".", "joe/..", "joe/", "joe/../postmaster", "/"])
def test_no_directory_but_a_users_own_is_removed(vhome, odd):
    """vpasswd is postern-auth's: what it says is not believed that far."""
    f = domain(vhome) / "vpasswd"
    f.write_text(f.read_text().replace(f"{domain(vhome)}/joe", f"{domain(vhome)}/{odd}"))
    r = run(vhome, "vdeluser", "joe@v.example")
    assert r.returncode in (0, 111)
    assert (domain(vhome) / "postmaster/Maildir/new").is_dir() and f.exists()
    assert (vhome / "domains/v.example/vpasswd.cdb").exists()


def test_mailbox_is_not_removed_through_a_link(vhome, scratch):
    joe = hashed(vhome)
    (scratch / "victim/joe").mkdir(parents=True)
    joe.parent.rename(scratch / "0")
    joe.parent.symlink_to(scratch / "victim")
    run(vhome, "vdeluser", "joe@v.example")
    assert (scratch / "victim/joe").is_dir()


@pytest.mark.parametrize("args", [["vpasswd", "joe@v.example", "s3cret-word"],
                                  ["vadduser", "ann@v.example", "s3cret-word"]],
                         ids=lambda a: a[0])
def test_password_does_not_stay_among_the_arguments(vhome, args):
    """Which everybody on the machine can read."""
    with open(vhome / "users/lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        p = subprocess.Popen(args, env=postern.env(vhome), stdin=subprocess.DEVNULL,
                             executable=str(vhome / "bin" / args[0]))
        deadline = time.monotonic() + 30
        while p.poll() is None and not waits_for_a_lock(p.pid):
            assert time.monotonic() < deadline, "neither waits nor ends"
            time.sleep(0.01)
        shown = pathlib.Path(f"/proc/{p.pid}/cmdline").read_bytes()
    assert p.wait(30) == 0
    assert args[1].encode() in shown and b"s3cret" not in shown


@pytest.mark.parametrize("end", ["\r\n", " \n", ""])
def test_files_that_others_wrote_otherwise_are_edited_all_the_same(vhome, end):
    control = vhome / "control"
    for name, lines in [("locals", ["h.example", "w.example"]),
                        ("rcpthosts", ["h.example", "V.example"]),
                        ("virtualdomains", ["v.example:v.example"])]:
        (control / name).write_bytes((end or "\n").join(lines).encode() + end.encode())
    assert run(vhome, "vadddomain", "u.example", "pm-secret", check=0).stderr == ""
    r = run(vhome, "vadddomain", "w.example", "pm-secret", check=0)
    assert "w.example was a name of this host" in r.stderr
    run(vhome, "vdeldomain", "v.example", check=0)

    def lines(name):
        return [s.rstrip() for s in (control / name).read_text().splitlines()]
    assert lines("locals") == ["h.example"]
    assert lines("rcpthosts") == ["h.example", "u.example", "w.example"]
    assert lines("virtualdomains") == ["u.example:u.example", "w.example:w.example"]
