"""import: an old installation is taken over, and the suite runs on it."""
import os
import subprocess
import sys

import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import oldqmail  # noqa: E402
import postern  # noqa: E402
import suite as suites  # noqa: E402


def run_import(suite, old, *options):
    return subprocess.run([suite.home / "bin/import", *options, old.root], text=True, timeout=60,
                          capture_output=True, env=postern.env(suite.home))


@pytest.fixture
def both(scratch):
    suite = suites.Suite(scratch / "home")
    yield suite, oldqmail.typical(scratch / "old")
    suite.stop()


def everything(home):
    return {str(f.relative_to(home)): f.read_bytes() if f.is_file() else None
            for top in ("control", "users", "domains", "alias", "rules")
            for f in sorted((home / top).rglob("*")) if f.name != "lock"}


def test_an_old_installation_goes_on_here(both):
    suite, old = both
    before = old.state()
    r = run_import(suite, old)
    assert r.returncode == 100, r        # some things are named
    missed = [l for l in r.stdout.splitlines() if l.startswith("not carried over: ")]
    assert [l for l in missed if "spfbehavior: nothing here reads it" in l]
    assert [l for l in missed if "alias/.qmail-list: runs a program" in l]
    assert len(missed) == 2, missed
    assert old.state() == before
    suite.start()
    # old passwords, old mail
    joe = suite.mailbox("joe@shop.example", "joe-old")
    assert sorted(m.split(b"\n")[1] for m in joe) == [b"Subject: read", b"Subject: unread"]
    assert b"Subject: hashed" in suite.mailbox("ann@shop.test", "ann-old")[0]
    d = suite.home / "domains/shop.example"
    assert (d / "joe/Maildir/.Sent/cur/1500000003.3.old:2,").exists()
    assert (d / "joe/Maildir/cur").stat().st_uid == os.stat(d / "joe").st_uid != 0
    # new mail, to mailboxes, aliases, other names; and not to nobody
    for to in ("joe@shop.example", "sales@shop.example", "old.name@shop.test",
               "anybody@all.example"):
        suite.send("carol@elsewhere.example", [to], b"Subject: to %s\r\n\r\nx\r\n" % to.encode())
    suite.wait_empty_queue()
    got = b"".join(suite.mailbox("joe@shop.example", "joe-old"))
    assert b"Subject: to joe@" in got and b"Subject: to sales@" in got
    assert b"Subject: to old.name@" in got
    assert b"to anybody@" in suite.mailbox("postmaster@all.example", "pm-old")[0]
    assert b"to sales@" in b"".join(suite.mailbox("ann@shop.example", "ann-old"))
    with suite.smtp() as s:
        s.ehlo()
        s.mail("carol@elsewhere.example")
        assert [s.rcpt(a)[0] for a in ("nobody@shop.example", "off@shop.example",
                                       "postmaster@" + suites.HOST)] == [550, 550, 250]


def test_the_rest_is_where_it_belongs(both):
    suite, old = both
    run_import(suite, old)
    home = suite.home
    text = lambda p: (home / p).read_text()
    assert "far.example:relay.example|u|secret" in text("control/smtproutes")
    assert (home / "control/smtproutes").stat().st_mode & 0o777 == 0o640
    assert text("control/badmailfrom") == "@spam.example\n"
    assert text("control/databytes") == "10000000\n"
    assert text("control/concurrencyincoming") == "20\n"
    assert text("control/me") == suites.HOST + "\n"     # ours stays
    assert text("control/locals").split() == [suites.HOST, "old.example", "localhost"]
    assert sorted(text("control/virtualdomains").split()) == [
        f"{d}:{d}" for d in ("all.example", "shop.example", "shop.test")]
    assert text("control/defaultvdomain") == "shop.example\n"
    assert text("alias/.qmail-fwd") == f"|{home}/bin/forward joe@shop.example\n"
    assert text("domains/shop.example/0/ann/.qmail") == (
        f"{home}/domains/shop.example/0/ann/Maildir/\n|{home}/bin/autorespond 86400 3 "
        f"{home}/domains/shop.example/0/ann/vacation/message x\n")
    rules = text("rules/smtp")
    assert f'10.1.:allow,RELAYCLIENT="",QMAILQUEUE="{home}/bin/scanq"' in rules
    assert rules.count(":allow\n") == 1
    assert '10.1.:allow,PLAINTEXTAUTH=""' in text("rules/pop3")
    scan = text("rules/quarantine-attachments.txt")
    for line in (".mp3\t0\t", ".scr\t0\t", ".xyz\t0\tnever seen here"):
        assert line in scan
    assert suite.run("mailctl", "cdb")
    vpasswd = text("domains/shop.example/vpasswd").splitlines()
    assert [l.split(":")[0] for l in vpasswd] == ["ann", "joe", "off", "postmaster"]
    assert f":{home}/domains/shop.example/0/ann:10485760S" in vpasswd[0]
    assert "maxpopaccounts: 10" in suite.run("vmoddomlimits", "-S", "shop.example")


def test_a_dry_run_says_the_same_and_does_nothing(both):
    suite, old = both
    before = everything(suite.home), old.state()
    dry = run_import(suite, old, "-n")
    assert (everything(suite.home), old.state()) == before
    wet = run_import(suite, old)
    shape = lambda r: sorted(l for l in r.stdout.splitlines() if "ttachments" not in l)
    assert [l for l in shape(dry) if "simcontrol" not in l] == shape(wet)


def test_another_run_leaves_alone_what_has_changed_here(both):
    suite, old = both
    run_import(suite, old)
    first = everything(suite.home)
    again = run_import(suite, old)
    assert everything(suite.home) == first
    assert "carried over" not in again.stdout.replace("not carried over", "").replace(
        "be carried over", "")
    # changed here
    suite.run("vpasswd", "-e", "$1$changed", "joe@shop.example")
    suite.run("vdeluser", "off@shop.example")
    suite.run("valias", "-d", "sales@shop.example")
    (suite.home / "control/badmailfrom").write_text("")
    os.unlink(next((suite.home / "domains/shop.example/joe/Maildir/cur").iterdir()))
    # changed there
    joe = old.vpopmail / "domains/shop.example/joe"
    old.message(joe, "1600000000.9.old:2,", "late")
    old.user("shop.example", "new", "*")
    vpasswd = old.vpopmail / "domains/shop.example/vpasswd"
    vpasswd.write_text(vpasswd.read_text().replace(":Ann:", ":Ann Smith:"))
    before = everything(suite.home)
    r = run_import(suite, old)
    assert "kept: joe@shop.example: is here already" not in r.stdout
    assert "kept: off@shop.example: was removed here" in r.stdout
    after = everything(suite.home)
    changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    changed = {k for k in changed if "users/imported" not in k and ".cdb" not in k}
    assert {k for k in changed if "/new" not in k} == {
        "domains/shop.example/vpasswd",
        "domains/shop.example/joe/Maildir/cur/1600000000.9.old:2,"}
    lines = (suite.home / "domains/shop.example/vpasswd").read_text()
    assert "$1$changed" in lines and ":Ann Smith:" in lines and "new:*" in lines
    assert "\noff:" not in lines
