"""POP before SMTP: authd opens an address, rulesrun lets it relay, time and
clearopensmtp close it."""
import os
import pathlib
import stat
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import postern  # noqa: E402
import userhome  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")
USER, WORD = "joe@v.example", "joe secret"


@pytest.fixture(scope="module")
def authd(tmp_path_factory):
    d = tmp_path_factory.mktemp("roaming")
    for p in [d, *d.parents]:
        if p != pathlib.Path("/tmp") and str(p).startswith("/tmp/"):
            p.chmod(0o755)
    home = userhome.make(d / "home")
    userhome.run(home, "vadddomain", "v.example", "pm-secret", check=0)
    userhome.run(home, "vadduser", USER, WORD, check=0)
    (home / "control/authdelay").write_text("50\n")
    a = userhome.Authd(home)
    yield a
    a.end()


@pytest.fixture(autouse=True)
def closed(authd):
    """Each test begins with nothing open, and with 60 minutes."""
    for f in (authd.home / "roaming").iterdir():
        f.unlink()
    control(authd, 60)


def control(a, minutes):
    (a.home / "control/roaming").write_text(f"{minutes}\n")


def text(a):
    f = a.home / "roaming/open-smtp"
    return f.read_text() if f.exists() else ""


def relay(a, ip):
    """What smtpd would get as $RELAYCLIENT and $RBLSMTPD; None: nothing."""
    r = subprocess.run(
        [postern.TREE / "rules/rulesrun", "-q", "-X", "roaming/smtp.cdb", "env"],
        cwd=a.home, env={"TCPREMOTEIP": ip, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r
    found = dict(line.split("=", 1) for line in r.stdout.splitlines())
    return found.get("RELAYCLIENT"), found.get("RBLSMTPD")


OPEN, SHUT = ("", ""), (None, None)


def test_a_pop3_login_opens_its_address_and_no_other(authd):
    assert relay(authd, "192.0.2.7") == SHUT
    before = int(time.time())
    assert authd.ask(USER, WORD, "192.0.2.7")[:1] == b"K"
    line, tab, when = text(authd).rstrip("\n").partition("\t")
    assert line == '192.0.2.7:allow,RELAYCLIENT="",RBLSMTPD=""'
    assert before <= int(when) <= time.time()
    assert relay(authd, "192.0.2.7") == OPEN
    for ip in "192.0.2.70", "192.0.2.", "192.0.2.6", "2001:db8::7":
        assert relay(authd, ip) == SHUT, ip


def test_ipv6_too(authd):
    authd.ask(USER, WORD, "2001:DB8:0::7", service="pop3s")
    assert relay(authd, "2001:db8::7") == OPEN
    assert relay(authd, "2001:db8::8") == SHUT


def test_refused_logins_and_other_services_open_nothing(authd):
    assert authd.ask(USER, "wrong", "192.0.2.7")[:1] == b"N"
    assert authd.ask(USER, WORD, "192.0.2.7", service="submission")[:1] == b"K"
    assert authd.ask(USER, WORD, "unknown")[:1] == b"K"
    assert text(authd) == "" and relay(authd, "192.0.2.7") == SHUT


@pytest.mark.parametrize("value", ["0\n", "", None, "junk\n"])
def test_it_is_off_unless_asked_for(authd, value):
    f = authd.home / "control/roaming"
    f.unlink() if value is None else f.write_text(value)
    assert authd.ask(USER, WORD, "192.0.2.7")[:1] == b"K"
    assert os.listdir(authd.home / "roaming") == []


def test_a_user_who_may_not_relay_opens_nothing(authd):
    vpasswd = authd.home / "domains/v.example/vpasswd"
    old = vpasswd.read_text()
    userhome.run(authd.home, "vadduser", "jim@v.example", "jims word", check=0)
    lines = vpasswd.read_text().replace("jim:", "jim:", 1).splitlines()
    lines = [":".join([*l.split(":")[:3], "32", *l.split(":")[4:]])
             if l.startswith("jim:") else l for l in lines]
    (authd.home / "domains/v.example/vpasswd.cdb").unlink()
    vpasswd.write_text("\n".join(lines) + "\n")
    try:
        assert authd.ask("jim@v.example", "jims word", "192.0.2.7")[:1] == b"K"
        assert text(authd) == ""
    finally:
        vpasswd.write_text(old)


def test_it_closes_when_its_time_is_over(authd):
    authd.ask(USER, WORD, "192.0.2.7")
    old = int(time.time()) - 3601
    f = authd.home / "roaming/open-smtp"
    f.write_text(f'192.0.2.8:allow,RELAYCLIENT="",RBLSMTPD=""\t{old}\n' + f.read_text()
                 + f'192.0.2.9:allow,RELAYCLIENT="",RBLSMTPD=""\t{old + 30}\n')
    r = userhome.run(authd.home, "clearopensmtp", check=0)
    assert r.stdout == "2 addresses may send mail after a POP3 login.\n"
    assert text(authd).count("\n") == 2 and "192.0.2.8" not in text(authd)
    assert [relay(authd, f"192.0.2.{n}") for n in (7, 8, 9)] == [OPEN, SHUT, OPEN]
    # the rule ends by itself, without anybody's help
    (authd.home / "control/roaming").write_text("1\n")
    f.write_text(f'192.0.2.9:allow,RELAYCLIENT="",RBLSMTPD=""\t{int(time.time()) - 57}\n')
    userhome.run(authd.home, "clearopensmtp", check=0)
    assert relay(authd, "192.0.2.9") == OPEN
    deadline = time.monotonic() + 20
    while relay(authd, "192.0.2.9") == OPEN:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_second_login_prolongs_it_when_half_is_over(authd):
    authd.ask(USER, WORD, "192.0.2.7")
    first = text(authd)
    authd.ask(USER, WORD, "192.0.2.7")
    assert text(authd) == first
    old = int(time.time()) - 1900
    (authd.home / "roaming/open-smtp").write_text(first.split("\t")[0] + f"\t{old}\n")
    userhome.run(authd.home, "clearopensmtp", check=0)
    authd.ask(USER, WORD, "192.0.2.7")
    assert text(authd).count("\n") == 1
    assert int(text(authd).split("\t")[1]) > old + 1800


def test_switched_off_everything_is_closed(authd):
    authd.ask(USER, WORD, "192.0.2.7")
    (authd.home / "control/roaming").unlink()
    r = userhome.run(authd.home, "clearopensmtp", check=0)
    assert r.stdout.startswith("0 ") and relay(authd, "192.0.2.7") == SHUT


def test_lines_that_are_none_are_left_out(authd):
    now = int(time.time())
    rule = 'allow,RELAYCLIENT="",RBLSMTPD=""'
    (authd.home / "roaming/open-smtp").write_text(
        f":{rule}\t{now}\n192.0.2.:{rule}\t{now}\n0/0:{rule}\t{now}\nx\n\n"
        f"192.0.2.5:{rule}\t{now + 500000}\n192.0.2.6:{rule}\tx\n"
        f"192.0.2.4:{rule}\t{'9' * 30}\n192.0.2.3:{rule}\t{now}")
    r = userhome.run(authd.home, "clearopensmtp", check=0)
    assert r.stdout.startswith("1 ")
    assert [relay(authd, f"192.0.2.{n}") for n in range(3, 8)] == [OPEN] + [SHUT] * 4


def test_files_belong_to_authd_and_smtpd_may_read_the_rules(authd):
    authd.ask(USER, WORD, "192.0.2.7")
    for name, mode in ("smtp.cdb", 0o644), ("open-smtp", 0o600), ("lock", 0o600):
        f = authd.home / "roaming" / name
        assert userhome.owner(f) == userhome.roles()["auth"]
        assert stat.S_IMODE(f.stat().st_mode) == mode, name
    userhome.run(authd.home, "clearopensmtp", check=0)
    assert userhome.owner(authd.home / "roaming/smtp.cdb") == userhome.roles()["auth"]


def test_trouble_with_the_files_lets_people_read_mail(authd):
    d = authd.home / "roaming"
    d.rename(authd.home / "away")
    try:
        assert authd.ask(USER, WORD, "192.0.2.7")[:1] == b"K"
        assert "unable to write roaming/" in authd.log.read_text()
        assert userhome.run(authd.home, "clearopensmtp").returncode == 111
    finally:
        (authd.home / "away").rename(d)
    assert userhome.run(authd.home, "clearopensmtp", "x").returncode == 100


def test_many_addresses_at_a_time(authd):
    import concurrent.futures
    ips = [f"192.0.2.{n}" for n in range(1, 41)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        clear = pool.submit(lambda: [userhome.run(authd.home, "clearopensmtp")
                                     for _ in range(10)])
        assert {a[:1] for a in pool.map(lambda ip: authd.ask(USER, WORD, ip), ips)} == {b"K"}
        clear.result()
    assert all(relay(authd, ip) == OPEN for ip in ips)
