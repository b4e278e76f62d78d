"""usersmake: users/assign compiled, and which local names exist; getpw."""
import os
import pwd
import re
import shutil
import subprocess
import time

import pytest

import cdblib
import postern

OWNER = pwd.getpwnam("postern-vmail")
ALIAS = pwd.getpwnam("postern-alias")


@pytest.fixture
def suite(scratch):
    home = scratch / "suite"
    for d in ("users", "alias", "bin"):
        (home / d).mkdir(parents=True)
    os.chown(home / "alias", ALIAS.pw_uid, ALIAS.pw_gid)
    (home / "alias").chmod(0o700)
    shutil.copy(postern.TREE / "conf-users", home)
    for name in ("usersmake", "getpw"):
        shutil.copy(postern.TREE / "users" / name, home / "bin")
    return home


def run(suite, *argv, **kw):
    return subprocess.run(argv, env=postern.env(suite), capture_output=True, timeout=30, **kw)


def make(suite, assign=None):
    if assign is not None:
        (suite / "users/assign").write_text(assign)
    return run(suite, "usersmake")


def owned_home(suite, *names):
    home = suite / "home"
    home.mkdir()
    for n in names:
        (home / n).touch()
    os.chown(home, OWNER.pw_uid, OWNER.pw_gid)
    home.chmod(0o700)
    return home


def ids(home):
    return f"{OWNER.pw_uid}:{OWNER.pw_gid}:{home}"


class Names:
    """users/names.cdb, asked as INTERNALS 5 says."""

    def __init__(self, suite):
        self.records = {}
        for key, value in cdblib.read(suite / "users/names.cdb"):
            self.records.setdefault(key.decode(), value)

    def __contains__(self, local):
        for key in ["=" + local] + ["+" + local[:n] for n in range(len(local), -1, -1)]:
            if key in self.records:
                return self.records[key] == b"y"
        return False


def test_cdb_has_qmails_format(suite):
    home = owned_home(suite)
    assert make(suite, f"=Joe:joe:{ids(home)}:::\n+Joe-:joe:{ids(home)}:-::\n"
                       f"+x.example-:x.example:{ids(home)}:-:pre:junk\n.\nignored").returncode == 0
    data = f"joe\0{OWNER.pw_uid}\0{OWNER.pw_gid}\0{home}\0".encode()
    assert cdblib.read(suite / "users/cdb") == [
        (b"!joe\0", data + b"\0"), (b"!joe-", data + b"-\0"),
        (b"!x.example-", data.replace(b"joe", b"x.example", 1) + b"-\0pre"), (b"", b"-")]
    for name in ("cdb", "names.cdb"):
        assert (suite / "users" / name).stat().st_mode & 0o777 == 0o644
    assert sorted(os.listdir(suite / "users")) == ["assign", "cdb", "names.cdb"]


def test_no_assign_file_is_an_empty_one(suite):
    assert make(suite).returncode == 0
    assert cdblib.read(suite / "users/cdb") == [(b"", b"")]


@pytest.mark.parametrize("text,line,why", [
    ("", 1, "must be a dot"), ("=a:b:1:1:/:::\n", 2, "must be a dot"),
    (".", None, ""), ("=a:b:1:1:/:::", 1, "no end"), ("\n.\n", 1, "empty"),
    ("=a:b:1:1:/::\n.\n", 1, "six colons"), ("+a:b:1:1:/:::\n=a\n.\n", 2, "no colon"),
    ("a:b:1:1:/:::\n.\n", 1, "neither = nor +"), ("=a:b:x:1:/:::\n.\n", 1, "uid"),
    ("=a:b:1::/:::\n.\n", 1, "gid"), ("=a:b:1:1:home:::\n.\n", 1, "absolute"),
    ("=a::1:1:/:::\n.\n", 1, "no user"), ("=a:b:1:99999999999:/:::\n.\n", 1, "gid"),
    ("=a:\0b:1:1:/:::\n.\n", 1, "NUL")])
def test_wrong_line_is_named_and_the_old_tables_stay(suite, text, line, why):
    assert make(suite, ".\n").returncode == 0
    before = [(suite / "users" / n).stat().st_ino for n in ("cdb", "names.cdb")]
    r = make(suite, text)
    after = [(suite / "users" / n).stat().st_ino for n in ("cdb", "names.cdb")]
    if line is None:
        assert r.returncode == 0
        return
    assert r.returncode == 100 and after == before
    assert f"usersmake: fatal: users/assign, line {line}: ".encode() in r.stderr
    assert why.encode() in r.stderr
    assert sorted(os.listdir(suite / "users")) == ["assign", "cdb", "names.cdb"]


def waits_for_a_lock(p):
    return any("->" in line and f" {p.pid} " in line
               for line in open("/proc/locks")) or p.poll() is not None


def test_two_at_a_time_do_not_leave_the_older_table(suite):
    """One that has read users/assign before vadddomain changed it ends last."""
    assign = suite / "users/assign"
    os.mkfifo(assign)
    slow = subprocess.Popen(["usersmake"], env=postern.env(suite))
    old = open(assign, "w")     # it has opened it
    (suite / "users/new").write_text("=joe:joe:1:1:/:::\n.\n")
    (suite / "users/new").rename(assign)
    quick = subprocess.Popen(["usersmake"], env=postern.env(suite))
    end = time.monotonic() + 30
    while not waits_for_a_lock(quick) and time.monotonic() < end:
        time.sleep(0.01)
    old.write(".\n")
    old.close()
    assert (slow.wait(30), quick.wait(30)) == (0, 0)
    assert cdblib.read(suite / "users/cdb")[0][0] == b"!joe\0"


def test_alias_files_are_names(suite):
    for n in ("root", "a:b", "list-default", "Upper"):
        (suite / f"alias/.qmail-{n}").touch()
    (suite / "alias/.qmail-dir").mkdir()
    make(suite)
    names = Names(suite)
    for good in ("root", "a.b", "list-x", "list-"):
        assert good in names, good
    for bad in ("nobody-here", "a:b", "Upper", "upper", "list", "dir", ""):
        assert bad not in names, bad


def test_alias_default_takes_all_that_is_nobody_elses(suite):
    (suite / "alias/.qmail-default").touch()
    (suite / "alias/.qmail-joe-x").touch()
    home = owned_home(suite)
    make(suite, f"+joe-:joe:{ids(home)}:-::\n.\n")
    names = Names(suite)
    assert "whoever" in names and "joey" in names
    assert "joe-x" not in names and "joe-" not in names


def test_assigned_user_exists_and_his_extensions_do(suite):
    home = owned_home(suite, ".qmail-a", ".qmail-b-default", ".qmail-l-x", ".qmail-l-default")
    make(suite, f"=joe:joe:{ids(home)}:::\n+joe-:joe:{ids(home)}:-::\n"
                f"+list-:joe:{ids(home)}:-:l-:\n=one:joe:{ids(home)}:-:a:\n"
                f"=two:joe:{ids(home)}:-:c:\n=three:joe:{ids(home)}:-:b-z:\n.\n")
    names = Names(suite)
    for good in ("joe", "joe-a", "joe-b-c", "list-x", "list-any", "one", "three"):
        assert good in names, good
    for bad in ("joe-c", "joe-b", "lis", "two", "four"):
        assert bad not in names, bad


def test_longer_wildcard_shadows_the_shorter(suite):
    home = owned_home(suite, ".qmail-default", ".qmail-a-b")
    empty = suite / "empty"
    empty.mkdir()
    make(suite, f"+j-:joe:{ids(home)}:-::\n+j-a-:joe:{ids(empty)}:-::\n.\n")
    names = Names(suite)
    assert "j-x" in names and "j-a-b" not in names


def test_wildcard_without_a_dash_takes_everything(suite):
    make(suite, f"+j:joe:{ids('/nonexistent')}:::\n.\n")
    assert "jim" in Names(suite) and "tim" not in Names(suite)


def test_homes_are_read_with_their_owners_rights(suite):
    secret = suite / "secret"
    secret.mkdir(mode=0o700)
    (secret / ".qmail-hidden").touch()
    r = make(suite, f"+joe-:joe:{ids(secret)}:-::\n=me:joe:{ids('/')}:::\n.\n")
    assert r.returncode == 0 and str(secret).encode() in r.stderr
    assert "joe-hidden" not in Names(suite) and "me" in Names(suite)


def test_nothing_is_read_for_root(suite):
    home = owned_home(suite, ".qmail-a")
    home.chmod(0o755)
    make(suite, f"+r-:root:0:0:{home}:-::\n.\n")
    assert "r-a" not in Names(suite)


def test_system_users_exist_and_the_systems_own_do_not(suite):
    (suite / "alias/.qmail-default").touch()
    make(suite)
    names = Names(suite)
    for p in pwd.getpwall():
        try:
            mine = os.stat(p.pw_dir).st_uid == p.pw_uid
        except OSError:
            mine = False
        if p.pw_uid and mine:
            assert (p.pw_name in names) == (p.pw_uid >= 1000), p
            assert p.pw_name + "-nothing" not in names


def domains(home, n):
    return "".join(f"+d{i}.example-:d{i}.example:{ids(home)}:-::\n" for i in range(n)) + ".\n"


def test_ten_thousand_domains_are_quick(suite):
    home = owned_home(suite, ".qmail-default")
    start = time.monotonic()
    assert make(suite, domains(home, 10000)).returncode == 0
    assert time.monotonic() - start < 8
    names = Names(suite)
    assert "d9999.example-x" in names and "d10000.example-x" not in names


def test_one_process_reads_all_homes_of_a_user(suite):
    (suite / "users/assign").write_text(domains(owned_home(suite, ".qmail-default"), 100))
    trace = suite / "trace"
    assert run(suite, "strace", "-f", "-o", trace, "-e", "trace=fork,vfork,clone",
               "usersmake").returncode == 0
    others = [p for p in pwd.getpwall() if p.pw_uid >= 1000]
    assert len(re.findall(r"(fork|clone)\(", trace.read_text())) < 10 + len(others)


def test_a_home_that_is_not_to_be_read_spoils_no_other(suite):
    """They are read by one process."""
    home = owned_home(suite, ".qmail-a")
    secret = suite / "secret"
    secret.mkdir(mode=0o700)
    file = suite / "file"
    file.touch()
    r = make(suite, "".join(f"+{n}-:{n}:{ids(h)}:-::\n" for n, h in (
        ("a", home), ("b", secret), ("c", "/nonexistent"), ("d", file), ("e", home))) + ".\n")
    assert r.returncode == 0 and r.stderr.count(b"not all .qmail files") == 1
    names = Names(suite)
    assert "a-a" in names and "e-a" in names and "b-a" not in names and "c-a" not in names


def fields(r):
    assert r.returncode == 0, r.stderr
    return r.stdout.decode().split("\0")


def test_getpw_gives_the_rest_to_alias(suite):
    expected = [ALIAS.pw_name, str(ALIAS.pw_uid), str(ALIAS.pw_gid), f"{suite}/alias", "-"]
    for local in ("nobody-here", "root", "root-x", "", "-", "x" * 1000):
        assert fields(run(suite, "getpw", local)) == expected + [local, ""], local


def test_getpw_finds_users_whatever_the_case_and_their_extensions(suite):
    for p in pwd.getpwall():
        if not p.pw_uid or not os.path.isdir(p.pw_dir) or os.stat(p.pw_dir).st_uid != p.pw_uid:
            continue
        who = [p.pw_name, str(p.pw_uid), str(p.pw_gid), p.pw_dir]
        assert fields(run(suite, "getpw", p.pw_name.upper())) == who + ["", "", ""]
        assert fields(run(suite, "getpw", p.pw_name + "-A-b")) == who + ["-", "A-b", ""]
        return
    pytest.skip("no user with a home of his own")


def test_getpw_tells_of_trouble(suite):
    (suite / "conf-users").unlink()
    r = run(suite, "getpw", "x")
    assert r.returncode == 111 and b"conf-users" in r.stderr
    assert run(suite, "getpw").returncode == 100
