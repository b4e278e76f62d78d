"""authd: renewed hashes, challenges, limits on sending, authctl."""
import hashlib
import hmac
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt as libcrypt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import postern  # noqa: E402
import userhome  # noqa: E402
from userhome import run  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")
CHALLENGE = "<17.4711@mx.test.example>"


@pytest.fixture
def home(scratch):
    h = userhome.make(scratch / "home")
    (h / "control/authdelay").write_text("20\n")
    run(h, "vadddomain", "v.example", "pm-secret", check=0)
    run(h, "vadduser", "joe@v.example", "joe-secret", check=0)
    return h


@pytest.fixture
def authd(home):
    a = userhome.Authd(home)
    yield a
    a.end()


def vpasswd(home):
    return (home / "domains/v.example/vpasswd").read_text()


def entry(home, name):
    [line] = [l for l in vpasswd(home).splitlines() if l.startswith(name + ":")]
    return line.split(":")


def change(home, name, hash_=None, clear=None):
    """By hand, as another program's domain would have it; no cdb."""
    f = home / "domains/v.example/vpasswd"
    lines = []
    for line in vpasswd(home).splitlines():
        p = line.split(":")
        if p[0] == name:
            p[1] = hash_ or p[1]
            p += [clear] if clear else []
        lines.append(":".join(p) + "\n")
    f.write_text("".join(lines))
    (home / "domains/v.example/vpasswd.cdb").unlink(missing_ok=True)


def crypt(salt, password):
    return libcrypt.crypt(password, salt)


def cheap_hashes(home):
    """For tests that guess a lot, of names that are nobody's too."""
    (home / "control/rehash").write_text("0\n")
    change(home, "joe", crypt("$1$abcdefgh$", "joe-secret"))
    change(home, "postmaster", crypt("$1$abcdefgh$", "pm-secret"))


def wait_for(true, what):
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def record(home, *fields):
    """What checkpw says to these on descriptor 3."""
    r, w = os.pipe()
    os.write(w, b"".join(f.encode() + b"\0" for f in fields))
    os.close(w)
    try:
        return subprocess.run(["checkpw", "true"], preexec_fn=lambda: os.dup2(r, 3),
                              close_fds=False, env=postern.env(home), timeout=30,
                              executable=str(home / "bin/checkpw")).returncode
    finally:
        os.close(r)


def order(home, what):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(20)
        s.connect(str(home / "socket/auth/limits"))
        s.send(what)
        return s.recv(65536)


def send(home, user, count):
    return order(home, f"S{user}\0{count}\0".encode())


@pytest.mark.parametrize("salt", ["$1$abcdefgh$", "$6$abcdefgh$", "$2b$05$" + "a" * 21 + "."],
                         ids=["MD5", "SHA-512", "bcrypt"])
def test_an_old_hash_is_good_and_becomes_one_of_today(home, authd, salt):
    change(home, "joe", crypt(salt, "joe-secret"), "clear-text")
    old = entry(home, "joe")
    assert authd.ask("joe@v.example", "wrong") == b"N"
    assert authd.ask("joe@v.example", "joe-secret")[:1] == b"K"
    wait_for(lambda: entry(home, "joe")[1].startswith("$y$"), lambda: authd.log.read_text())
    new = entry(home, "joe")
    assert new[2:] == old[2:] and new[0] == old[0]
    assert authd.ask("joe@v.example", "joe-secret")[:1] == b"K"
    assert authd.ask("joe@v.example", "wrong") == b"N"
    st = os.stat(home / "domains/v.example/vpasswd")
    assert st.st_mode & 0o777 == 0o600
    assert userhome.owner(home / "domains/v.example/vpasswd") == userhome.roles()["auth"]


def test_the_cdb_gets_the_new_hash_too(home, authd):
    run(home, "vpasswd", "-e", crypt("$1$abcdefgh$", "joe-secret"), "joe@v.example", check=0)
    cdb = home / "domains/v.example/vpasswd.cdb"
    assert b"$1$" in cdb.read_bytes()
    assert authd.ask("joe@v.example", "joe-secret")[:1] == b"K"
    wait_for(lambda: b"$1$" not in cdb.read_bytes(), lambda: authd.log.read_text())
    assert entry(home, "joe")[1].encode() in cdb.read_bytes()
    assert b"Postmaster" in cdb.read_bytes()
    assert authd.ask("postmaster@v.example", "pm-secret")[:1] == b"K"


def test_a_password_set_meanwhile_is_not_undone(home, authd):
    old = crypt("$1$abcdefgh$", "joe-secret")
    before = entry(home, "joe")[1]
    r = subprocess.run(["rehash"], executable=str(home / "bin/rehash"),
                       input=f"joe@v.example\0{old}\0joe-secret\0", text=True,
                       env=postern.env(home), timeout=30)
    assert r.returncode == 0 and entry(home, "joe")[1] == before


def test_hashes_stay_where_control_rehash_says_so(home, authd):
    (home / "control/rehash").write_text("0\n")
    change(home, "joe", crypt("$1$abcdefgh$", "joe-secret"))
    assert authd.ask("joe@v.example", "joe-secret")[:1] == b"K"
    (home / "control/rehash").unlink()
    run(home, "vadduser", "-e", crypt("$1$abcdefgh$", "x"), "ann@v.example", check=0)
    assert authd.ask("ann@v.example", "x")[:1] == b"K"
    wait_for(lambda: entry(home, "ann")[1].startswith("$y$"), lambda: authd.log.read_text())
    assert entry(home, "joe")[1].startswith("$1$")


def test_challenges_are_answered_with_the_clear_secret(home, authd):
    change(home, "joe", clear="tanstaaf")
    cram = hmac.new(b"tanstaaf", CHALLENGE.encode(), "md5").hexdigest()
    apop = hashlib.md5(CHALLENGE.encode() + b"tanstaaf").hexdigest()
    assert record(home, "joe@v.example", cram, CHALLENGE) == 0
    assert record(home, "joe@v.example", apop, CHALLENGE) == 0
    assert record(home, "joe@v.example", "joe-secret", CHALLENGE) == 0
    assert record(home, "joe@v.example", "joe-secret", "") == 0
    assert record(home, "joe@v.example", "joe-secret") == 0
    assert record(home, "joe@v.example", cram, CHALLENGE[:-1]) == 1
    assert record(home, "joe@v.example", cram, "") == 1
    assert record(home, "joe@v.example", "tanstaaf", CHALLENGE) == 1
    # a user without one, an unknown one, one that is locked
    empty = hmac.new(b"", CHALLENGE.encode(), "md5").hexdigest()
    assert record(home, "postmaster@v.example", empty, CHALLENGE) == 1
    assert record(home, "nobody@v.example", empty, CHALLENGE) == 1
    change(home, "joe", "*")
    assert record(home, "joe@v.example", cram, CHALLENGE) == 1


def test_what_a_user_sends_is_counted_and_survives_a_restart(home):
    (home / "control/userlimits").write_text(
        "# ours\n* - - 10 -\n@v.example - - 20 -\njoe@v.example 3 - 30 100\n"
        "ann@v.example 1 1 1\n")
    a = userhome.Authd(home)
    try:
        assert send(home, "joe@v.example", 25) == b"K"
        assert send(home, "JOE%v.example", 5) == b"K"
        assert send(home, "joe@v.example", 1) == b"Rtoo many recipients within an hour"
        assert send(home, "ann@v.example", 20) == b"K"
        assert send(home, "x@other.example", 11)[:1] == b"R"
        assert send(home, "x@other.example", 10) == b"K"
        assert "malformed line in control/userlimits" in a.log.read_text()
        assert a.log.read_text().count("limited user=joe@v.example") == 1
    finally:
        a.end()
    a = userhome.Authd(home)
    try:
        assert send(home, "joe@v.example", 1)[:1] == b"R"
        (home / "control/userlimits").write_text("* 2 - - -\n")
        assert send(home, "joe@v.example", 1) == b"Mtoo many messages within an hour"
        run(home, "authctl", "clear", "joe@v.example", check=0)
        assert send(home, "joe@v.example", 1000) == b"K"
    finally:
        a.end()
    (home / "auth/usage").write_text("joe@v.example 0 1:2\nno sense\n")
    a = userhome.Authd(home)
    try:
        assert "malformed" in a.log.read_text()
        assert send(home, "joe@v.example", 1) == b"K"
    finally:
        a.end()


def test_orders_that_are_none_are_not_answered(home, authd):
    for what in [b"S", b"Sjoe@v.example\0", b"Sjoe@v.example\0x\0", b"Sjoe@v.example\0" b"0\0",
                 b"Sjoe@v.example\0" b"1001\0", b"C", b"Lx", b"X\0", b"\0"]:
        try:
            assert order(home, what) == b"", what
        except ConnectionResetError:
            pass
    assert send(home, "a b", 1) == b"T" and send(home, "x" * 300, 1) == b"T"


def test_only_root_sees_and_clears(home, authd):
    script = ("import socket\nfor w in b'L', b'Cjoe@v.example\\0', b'Sjoe@v.example\\x001\\0':\n"
              " s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
              f" s.connect('{home}/socket/auth/limits'); s.send(w)\n"
              " try: print(s.recv(99))\n except ConnectionResetError: print(b'')")

    def ask(user):
        return subprocess.run(["setpriv", "--reuid", user, "--clear-groups", sys.executable,
                               "-c", script], capture_output=True, text=True, timeout=20)
    assert ask(userhome.roles()["smtpd"]).stdout == "b''\nb''\nb'K'\n"
    assert "K" not in ask(userhome.roles()["popup"]).stdout
    assert "K" not in ask("nobody").stdout


def test_guessing_is_listed_and_lifted(home, authd):
    cheap_hashes(home)

    def guess(n, login, remote):
        threads = [threading.Thread(target=authd.ask, args=(login, f"x{i}", remote))
                   for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    guess(51, "u@v.example", "2001:db8:1:2::7")
    guess(4, "joe@v.example", "192.0.2.66")
    out = run(home, "authctl", check=0).stdout
    assert re.search(r"^blocked  address 2001:db8:1:2::/64: 51 failures, for (9|10) minutes$",
                     out, re.M), out
    assert "slowed   address 192.0.2.66: 4 failures" in out
    assert "slowed   account u@v.example: 51 failures" in out
    assert "slowed   account joe@v.example: 4 failures" in out
    # the whole /64 is blocked, its neighbour is not
    assert authd.ask("joe@v.example", "joe-secret", "2001:db8:1:2:ffff::1") == b"N"
    assert authd.ask("joe@v.example", "joe-secret", "2001:db8:1:3::1")[:1] == b"K"
    run(home, "authctl", "clear", "2001:db8:1:2::/64", check=0)
    run(home, "authctl", "clear", "2001:db8:1:2::1", check=1)
    assert authd.ask("joe@v.example", "joe-secret", "2001:db8:1:2:ffff::1")[:1] == b"K"
    run(home, "authctl", "clear", check=100)


def test_guessed_names_do_not_steer_the_terminal(home, authd):
    """A name is what anybody says as USER or by AUTH."""
    cheap_hashes(home)
    threads = [threading.Thread(target=authd.ask, args=("\x1b]0;x\x07\n@v.example", "x"))
               for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    out = run(home, "authctl", check=0).stdout
    assert r"slowed   account \x1b]0;x\x07\x0a@v.example: 4 failures" in out
    assert all(c == "\n" or " " <= c < "\x7f" for c in out)


def test_an_account_is_blocked_from_all_addresses(home, authd):
    cheap_hashes(home)
    assert authd.ask("joe@v.example", "joe-secret", "192.0.2.1")[:1] == b"K"
    threads = [threading.Thread(target=authd.ask, args=("joe@v.example", "x", f"198.51.100.{i}"))
               for i in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert authd.ask("joe@v.example", "joe-secret", "192.0.2.2") == b"N"
    assert authd.ask("joe@v.example", "joe-secret", "192.0.2.1")[:1] == b"K"
    run(home, "authctl", "clear", "JOE@v.example")
    assert authd.ask("joe@v.example", "joe-secret", "192.0.2.2")[:1] == b"K"


def test_authctl_without_authd_says_so(home):
    assert "unable to ask authd" in run(home, "authctl", check=111).stderr


def test_fail2ban_finds_who_guesses(home, authd, scratch):
    authd.ask("joe@v.example", "wrong", "192.0.2.7", "smtp")
    authd.ask("ann@v.example", "wrong", "192.0.2.8", "submission")
    authd.ask("joe@v.example", "joe-secret", "192.0.2.9", "smtp")
    # as filters for vpopmail's vchkpw have it
    regex = r"vchkpw-(?:smtps?|submission|pop3s?): (?:vpopmail user not found|password fail) " \
            r"[^:]*:<HOST>$"
    log = scratch / "log"
    log.write_text("".join(f"Nov 25 12:00:00 mx {l}\n"
                           for l in authd.log.read_text().splitlines()))
    r = subprocess.run(["fail2ban-regex", "--print-all-matched", log, regex],
                       capture_output=True, text=True, timeout=60)
    assert "Failregex: 2 total" in r.stdout, r.stdout + r.stderr


def test_unknown_users_take_as_long_as_known_ones(home):
    """What is left when nothing is waited for; tests/bench/logins measures 2,000
    of each with a narrower bound."""
    (home / "control/authdelay").write_text("0\n")
    a = userhome.Authd(home)
    try:
        times = {"joe": [], "nobody": []}
        for i in range(20):
            for login in times:
                start = time.monotonic()
                assert a.ask(f"{login}@v.example", "wrong", f"198.51.100.{i}") == b"N"
                times[login].append(time.monotonic() - start)
        known, unknown = (statistics.median(times[k]) for k in times)
        # one that is not hashed for is quicker by a factor of 5 and more
        assert 0.5 < unknown / known < 2, (known, unknown)
    finally:
        a.end()
