"""scanq and the opinion of spamd: a fake one, and Debian's."""
import os
import pwd
import signal
import socket
import subprocess
import time

import pytest

from fakespamd import FakeSpamd
from scanqlib import Scanq, lines, mail


@pytest.fixture
def scanq(scratch):
    s = Scanq(scratch)
    s.spamds = []
    yield s
    for d in s.spamds:
        d.close()
    s.close()


def spamd(scanq, tcp=False, **more):
    d = FakeSpamd(None if tcp else scanq.scratch / f"spamd{len(scanq.spamds)}", **more)
    scanq.spamds.append(d)
    scanq.control("spamd", *(d.name for d in scanq.spamds))
    return d


@pytest.mark.parametrize("score,line", [
    (7.3, "X-Postern-Spam: yes; score 7.3; threshold 5.0\n"),
    (-1.5, "X-Postern-Spam: no; score -1.5; threshold 5.0\n")])
@pytest.mark.parametrize("tcp", [False, True])
def test_score_goes_into_the_header_and_the_log(scanq, score, line, tcp):
    d = spamd(scanq, tcp, score=score)
    r = scanq.run(mail())
    assert r.code == 0, r.log
    assert line in (r.queued[0] / "message").read_text()
    assert f" spam={score}" in r.log and "info: accepted" in r.log
    assert d.messages == [mail().encode()]
    assert d.heads[0].startswith(b"CHECK SPAMC/1.")


def test_off_by_default(scanq):
    r = scanq.run(mail())
    assert r.code == 0 and "spam" not in r.log
    assert b"X-Postern-Spam" not in (r.queued[0] / "message").read_bytes()


@pytest.mark.parametrize("score,code,queued", [(5.9, 0, 1), (6, 0, 2), (9.9, 0, 2), (10, 82, 0)])
def test_two_thresholds(scanq, score, code, queued):
    spamd(scanq, score=score)
    scanq.control("spamquarantine", "6")
    scanq.control("spamrefuse", "10.0")
    r = scanq.run(mail())
    assert (r.code, len(r.queued)) == (code, queued), r.log
    if code:
        assert r.text == "Dsorry, this message is refused: spam: 10.0 (#5.7.1)"
    if queued == 2:
        assert b"X-Postern-Quarantine-Reason: spam: " in (r.queued[0] / "message").read_bytes()


def test_without_thresholds_spam_is_only_marked(scanq):
    spamd(scanq, score=900)
    r = scanq.run(mail())
    assert r.code == 0 and len(r.queued) == 1


@pytest.mark.parametrize("env", [{"RELAYCLIENT": ""}, {"SMTPAUTHUSER": "joe@test.example"}])
def test_our_own_users_are_not_asked_about(scanq, env):
    d = spamd(scanq, score=900)
    scanq.control("spamrefuse", "5")
    r = scanq.run(mail(), **env)
    assert r.code == 0 and "spam=not-asked" in r.log and d.heads == []


def test_what_is_refused_is_not_asked_about(scanq):
    d = spamd(scanq)
    scanq.rules(".exe\t0 action=refuse\tno programs\n")
    assert scanq.run(mail(parts=[("a.exe", "x/y", b"MZ")])).code == 82
    assert d.heads == []


def test_large_messages_are_not_shown(scanq):
    d = spamd(scanq)
    scanq.control("spamlimit", "1000")
    r = scanq.run(mail(body="x" * 1001))
    assert r.code == 0 and d.heads == [] and "spam=too-large" in r.log
    assert "X-Postern-Spam: unknown\n" in (r.queued[0] / "message").read_text()


@pytest.mark.parametrize("raw", [
    b"", b"SPAMD/1.1 0 EX_OK\r\n", b"SPAMD/1.1 0 EX_OK\r\n\r\n", b"SPAMD/1.1 74 EX_IOERR\r\n\r\n",
    b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 99999999999999 / 5\r\n\r\n", b"x" * 100000, b"\0\0\0",
    b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 900 / 5\r\n"])
def test_strange_answers_are_no_opinion(scanq, raw):
    spamd(scanq, raw=raw)
    scanq.control("spamrefuse", "5")
    r = scanq.run(mail())
    assert r.code == 0 and "warning: accepted" in r.log and "spam=failed" in r.log
    assert "X-Postern-Spam: unknown\n" in (r.queued[0] / "message").read_text()
    assert all(c == "\n" or 32 <= ord(c) < 127 for c in r.log)


def test_spamd_away_keeps_no_mail(scanq):
    scanq.control("spamd", "/nonexistent", "127.0.0.1:1")
    r = scanq.run(mail())
    assert r.code == 0 and "trouble=unable\\x20to\\x20connect" in r.log


def test_spamd_that_hangs_keeps_no_mail(scanq):
    spamd(scanq, hang=True)
    scanq.control("spamtimeout", "1")
    start = time.monotonic()
    assert scanq.run(mail()).code == 0
    assert time.monotonic() - start < 20


def test_second_server_takes_over(scanq):
    spamd(scanq, cut=10)
    spamd(scanq, score=7)
    assert " spam=7.0" in scanq.run(mail(body="x" * 100000)).log


@pytest.mark.parametrize("name,value", [
    ("spamd", "nonsense"), ("spamquarantine", "five"), ("spamrefuse", "1e3"), ("spamlimit", "-1")])
def test_misspelt_setting_is_temporary(scanq, name, value):
    scanq.control("spamd", "/run/spamd")
    scanq.control(name, value)
    r = scanq.run(mail())
    assert r.code == 55 and r.queued == [] and name in r.log


GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@pytest.fixture
def debians(scratch):
    """Debian's spamd with no other rule than the test text's: asks no network."""
    d = scratch / "sa"
    d.mkdir()
    (d / "v.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
    (d / "rules").mkdir()
    (d / "rules/10.cf").write_text(
        "use_bayes 0\nskip_rbl_checks 1\ndns_available no\nuse_auto_welcomelist 0\n"
        f"body GTUBE /{GTUBE.replace('*', '[*]').replace('.', '[.]')}/\nscore GTUBE 1000\n")
    d.chmod(0o755)
    scratch.chmod(0o755)
    user = pwd.getpwnam("nobody").pw_name
    p = subprocess.Popen(
        ["spamd", "--socketpath", f"{d}/socket", "--socketmode=666", "-x", "-L", "-m", "1",
         "--min-spare=1", "--max-spare=1", "-u", user, "-C", d / "rules", "--siteconfigpath", d,
         "-s", "stderr", "-r", d / "pid"],
        stdout=subprocess.DEVNULL, stderr=open(d / "log", "wb"), start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and p.poll() is None:
        with socket.socket(socket.AF_UNIX) as s:
            if s.connect_ex(f"{d}/socket") == 0:
                break
        time.sleep(0.1)
    yield f"{d}/socket", d / "log"
    if p.poll() is None:
        os.killpg(p.pid, signal.SIGTERM)
        p.wait(20)


def test_debians_spamd(scanq, debians):
    scanq.control("spamd", debians[0])
    scanq.control("spamrefuse", "500")
    r = scanq.run(mail(body=GTUBE + "\n"))
    assert r.code == 82 and "spam: 100" in r.text, (r.log, debians[1].read_text())
    r = scanq.run(mail())
    assert r.code == 0 and "X-Postern-Spam: no; score " in lines(r.queued[0])[0] + lines(r.queued[0])[1]
