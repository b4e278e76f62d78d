import contextlib
import fcntl
import os
import pathlib
import poplib
import re
import shutil
import smtplib
import ssl
import socket
import subprocess
import tempfile
import threading

import pytest

import postern
import suite as suites

SYSTEMD = pathlib.Path("/run/systemd/system").exists()

SHIMS = {
    "dpkg-query": 'case $* in *clamav*) exit 1 ;; esac\necho install ok installed\n',
    "apt-get": 'case $* in *clamav-daemon*) mkdir /etc/clamav 2>/dev/null || exit 0\n'
               'echo "TCPSocket 3310" >/etc/clamav/clamd.conf ;; esac\n',
    "service": "", "systemctl": ""}


class Machine:
    """A copy of the tree, and the installation that its setup makes."""

    def __init__(self, place):
        self.tree = place / "tree"
        self.home = place / "home"
        self.tree.mkdir()
        shutil.copytree(postern.TREE, self.tree, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns(
                            ".git", "musl", "glibc", "src", "flags", "*.o",
                            "*.d", "*.a", "*.lo", "unit", "__pycache__"))
        for d in ["musl", "glibc", "src"]:
            if (postern.TREE / "deps" / d).exists():
                (self.tree / "deps" / d).symlink_to(postern.TREE / "deps" / d)
        self.smtp = suites.free_port()
        self.submission = suites.free_port()
        self.smtps = suites.free_port()
        self.pop3 = suites.free_port()
        self.pop3s = suites.free_port()
        # names a resolver: this machine gets none of its own
        (self.home / "control").mkdir(parents=True)
        (self.home / "control/resolver").write_text("127.0.0.1\n")

    def command(self, *args):
        # a machine under systemd keeps its units
        more = ["--no-start"] if SYSTEMD else []
        return [self.tree / "setup", "--home", self.home, "--address", "127.0.0.1",
                "--smtp", str(self.smtp), "--submission", str(self.submission),
                "--smtps", str(self.smtps), "--pop3", str(self.pop3),
                "--pop3s", str(self.pop3s), *more, *args]

    def setup(self, *args):
        return subprocess.run(self.command("--no-scan", *args), text=True,
                              capture_output=True, timeout=600)

    def in_own_etc(self, place, script, *args):
        """A script in an /etc of its own, with Debian's package and service
        programs as scripts that only note what they are told."""
        shims = place / "shims"
        shims.mkdir()
        for name, text in SHIMS.items():
            (shims / name).write_text(f"#!/bin/sh\necho {name} \"$@\" >>{place}/told\n{text}")
            (shims / name).chmod(0o755)
        script = (f"mkdir {place}/etc && mount -t tmpfs etc {place}/etc &&"
                  f" mkdir {place}/etc/upper {place}/etc/work && mount -t overlay"
                  f" -o lowerdir=/etc,upperdir={place}/etc/upper,workdir={place}/etc/work etc /etc &&"
                  f" rm -rf /etc/clamav /etc/cron.d && mkdir /etc/cron.d && PATH={shims}:$PATH;"
                  f" cd {place} && {script}")
        r = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *args], text=True,
                           capture_output=True, timeout=600)
        return r, (place / "told").read_text()

    def setup_with_scanner(self, place, *args):
        return self.in_own_etc(place, '"$@"; code=$?; cp /etc/clamav/clamd.conf'
                               ' /etc/cron.d/postern-scan .; exit $code', *self.command(*args))

    def mailctl(self, verb):
        return subprocess.run([self.home / "bin/mailctl", verb], text=True,
                              capture_output=True, timeout=60)

    def settings(self):
        return {str(f.relative_to(self.home)): f.read_bytes()
                for d in ["control", "rules", "alias", "users", "domains"]
                for f in sorted((self.home / d).rglob("*")) if f.is_file()}


@contextlib.contextmanager
def watched_arguments(home):
    """What ps would show meanwhile, of setup's own programs; vadddomain, which
    wants users/lock, does not get it before it has been seen."""
    seen, done = set(), threading.Event()
    (home / "users").mkdir()
    lock = open(home / "users/lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)

    def watch():
        while not done.wait(0.02):
            if any("vadddomain" in a for a in seen):
                lock.close()
            for f in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(f.read_bytes().decode(errors="replace"))
                except OSError:
                    pass
    t = threading.Thread(target=watch)
    t.start()
    try:
        yield seen
    finally:
        done.set()
        t.join()
        lock.close()


@pytest.fixture(scope="module")
def machine():
    place = pathlib.Path(tempfile.mkdtemp(prefix="postern-setup."))
    place.chmod(0o755)
    m = Machine(place)
    with watched_arguments(m.home) as m.arguments:
        m.first = m.setup("Example.COM")
    if SYSTEMD:
        m.mailctl("start")
    yield m
    m.mailctl("stop")
    subprocess.run(["s6-svscanctl", "-t", m.home / "service"])
    suites.wait_until(lambda: subprocess.run(
        ["s6-svok", m.home / "service/queued"]).returncode, 10, "end")
    postern.wipe(place)


def test_setup_succeeds_and_says_what_runs_where(machine):
    assert machine.first.returncode == 0, machine.first.stderr
    out = machine.first.stdout
    assert "takes mail for example.com" in out
    assert f"SMTP   127.0.0.1, port {machine.smtp}" in out
    assert f"POP3   127.0.0.1, port {machine.pop3}" in out
    assert len(out.partition("Next:\n\n")[2].split("\n\n")[0].splitlines()) == 4


def test_printed_mailbox_takes_and_gives_mail(machine):
    out = machine.first.stdout
    mailbox = re.search(r"first mailbox +(\S+)", out)[1]
    password = re.search(r"its password +(\S+)", out)[1]
    assert mailbox == "postmaster@example.com"
    with smtplib.SMTP("127.0.0.1", machine.smtp, timeout=10) as s:
        s.sendmail("a@b.example", [mailbox], b"Subject: hi\r\n\r\nhello\r\n")

    def there():
        p = poplib.POP3("127.0.0.1", machine.pop3, timeout=10)
        p.user(mailbox)
        p.pass_(password)
        n = p.stat()[0]
        got = b"\n".join(p.retr(1)[1]) if n else b""
        p.quit()
        return b"Subject: hi" in got
    suites.wait_until(there, 10, "the message")


def test_password_is_in_no_arguments(machine):
    password = re.search(r"its password +(\S+)", machine.first.stdout)[1]
    assert any("vadddomain" in a for a in machine.arguments)
    assert not [a for a in machine.arguments if password in a]


def test_port_995_is_open_with_tls_from_the_first_byte(machine):
    unknown = ssl.create_default_context()      # nobody has signed the certificate
    unknown.check_hostname, unknown.verify_mode = False, ssl.CERT_NONE
    p = poplib.POP3_SSL("127.0.0.1", machine.pop3s, timeout=20, context=unknown)
    assert p.welcome.startswith(b"+OK") and "USER" in p.capa()
    p.quit()


def test_mail_to_postmaster_of_the_host_arrives(machine):
    me = (machine.home / "control/me").read_text().strip()
    with smtplib.SMTP("127.0.0.1", machine.smtp, timeout=10) as s:
        assert s.sendmail("a@b.example", [f"postmaster@{me}"],
                          b"Subject: host\r\n\r\nhello\r\n") == {}
    suites.wait_until(lambda: any(
        b"Subject: host" in f.read_bytes()
        for f in machine.home.glob("domains/*/postmaster/Maildir/*/*")),
        10, "the message")


def test_outsider_may_not_relay(machine):
    with smtplib.SMTP("127.0.0.1", machine.smtp, timeout=10,
                      source_address=("127.9.9.9", 0)) as s:
        s.ehlo("x.example")
        s.mail("a@b.example")
        assert s.rcpt("c@elsewhere.example")[0] == 553


def mailed(machine, subject, source=None):
    """A message as the postmaster has it."""
    with smtplib.SMTP("127.0.0.1", machine.smtp, timeout=30, source_address=source and (source, 0)) as s:
        s.sendmail("a@b.example", ["postmaster@example.com"],
                   f"From: a@b.example\r\nSubject: {subject}\r\n\r\nhello\r\n".encode())

    def got():
        return [t for f in machine.home.glob("domains/*/postmaster/Maildir/*/*")
                if f"Subject: {subject}\n".encode() in (t := f.read_bytes())]
    suites.wait_until(got, 30, subject)
    return got()[0]


def test_mail_from_outside_is_marked_and_passes(machine):
    assert "dmarcd     up" in machine.mailctl("stat").stdout
    # there is no resolver: the results say so
    assert b"\tdmarc=temperror header.from=b.example\n" in mailed(machine, "strange", "127.9.9.9")
    assert b"Authentication-Results" not in mailed(machine, "own")


def test_second_run_changes_no_setting(machine):
    (machine.home / "control/me").write_text("renamed.example\n")
    (machine.home / "rules/smtp").write_text("# mine\n:allow\n")
    before = machine.settings()
    r = machine.setup("example.com")
    assert r.returncode == 0, r.stderr
    before.pop("rules/smtp.cdb")
    after = machine.settings()
    assert {k: after.get(k) for k in before} == before
    assert "as you set it" in r.stdout


def test_domains_of_another_machine_get_the_numbers_of_this_one(machine):
    """As after a restore: tar keeps owners by name, users/assign has numbers."""
    assign = machine.home / "users/assign"
    before = assign.read_text()
    theirs = re.sub(r":\d+:\d+:", ":12345:12346:", before)
    assert theirs != before
    foreign = "=someone:someone:12345:12346:/home/someone:::\n"
    assign.write_text(foreign + theirs)
    r = subprocess.run([machine.tree / "setup", "--upgrade", "--home", machine.home, "--no-start"],
                       text=True, capture_output=True, timeout=600)
    assert r.returncode == 0, r.stderr
    assert assign.read_text() == foreign + before
    assign.write_text(before)


def test_an_upgrade_adds_roles_and_changes_none(machine):
    users = machine.home / "conf-users"
    before = users.read_text()
    old = "# ours\n" + before.replace("dkim\tpostern-dkim\n", "")
    assert "dkim" not in old
    users.write_text(old)
    try:
        for _ in range(2):
            r = subprocess.run([machine.tree / "setup", "--upgrade", "--home", machine.home,
                                "--no-start"], text=True, capture_output=True, timeout=600)
            assert r.returncode == 0, r.stderr
            assert users.read_text() == old + "dkim\tpostern-dkim\n"
    finally:
        users.write_text(before)


def test_nothing_is_written_through_a_link_in_alias(machine, scratch):
    """alias/ belongs to postern-alias, and setup is root."""
    victim = scratch / "victim"
    victim.write_text("mine\n")
    (machine.home / "alias/.qmail-root").unlink()
    (machine.home / "alias/.qmail-root.new").symlink_to(victim)
    r = machine.setup("example.com")
    assert r.returncode == 0, r.stderr
    assert victim.read_text() == "mine\n"
    assert (machine.home / "alias/.qmail-root").read_text() == "&postmaster@example.com\n"


def test_option_that_contradicts_a_setting_is_told(machine):
    r = machine.setup("--smtp", "2525", "example.com")
    assert r.returncode == 0
    assert "control/smtpport says" in r.stderr


def test_port_of_another_program_is_named(machine):
    machine.mailctl("stop")
    with socket.create_server(("127.0.0.1", machine.smtp)):
        r = machine.setup("example.com")
        if SYSTEMD:
            pytest.skip("setup does not start services here")
    assert r.returncode == 111
    assert (f"port {machine.smtp} is taken by another program (pytest, process {os.getpid()}):"
            in r.stderr.replace(pathlib.Path("/proc/self/comm").read_text().strip(), "pytest"))
    # the same port at another address is no obstacle
    with socket.create_server(("127.0.0.9", machine.smtp)):
        r = machine.setup("example.com")
    assert r.returncode == 0, r.stderr
    assert machine.mailctl("start").returncode == 0


def test_programs_here_find_a_sendmail_unless_there_is_one(machine, scratch):
    """Only for the installation that the tree is for; in a /usr of its own."""
    conf = machine.tree / "conf-home"
    was = conf.read_text()
    links = "/usr/sbin/sendmail /usr/bin/mailq /usr/bin/newaliases"
    script = (f"for d in sbin bin; do mkdir {scratch}/$d && mount -t tmpfs none {scratch}/$d &&"
              f" mkdir {scratch}/$d/upper {scratch}/$d/work && mount -t overlay -o lowerdir=/usr/$d,"
              f"upperdir={scratch}/$d/upper,workdir={scratch}/$d/work none /usr/$d; done &&"
              f" rm -f {links}; [ $1 = none ] || ln -s true /usr/sbin/sendmail; shift; \"$@\";"
              f" code=$?; readlink {links} >{scratch}/links; exit $code")

    def run(there):
        for d in "sbin", "bin":
            postern.wipe(scratch / d)
        r = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", there,
                            *machine.command("--no-scan", "--no-start", "example.com")],
                           text=True, capture_output=True, timeout=600)
        assert r.returncode == 0, r.stderr
        return "Programs on this machine" in r.stderr, \
            (scratch / "links").read_text().splitlines()
    try:
        # a second installation
        assert run("none") == (False, [])
        conf.write_text(f"{machine.home}\n")
        ours = f"{machine.home}/bin/sendmail"
        assert run("none") == (False, [ours] * 3)
        assert run("other") == (True, ["true"])
    finally:
        conf.write_text(was)


def test_scanner_is_put_before_the_queue(machine, scratch):
    r, told = machine.setup_with_scanner(scratch, "example.com")
    assert r.returncode == 0, r.stderr
    assert "NOT SCANNED FOR YET" in r.stderr or "clamd needs" in r.stderr
    with smtplib.SMTP("127.0.0.1", machine.smtp, timeout=10) as s:
        s.sendmail("a@b.example", ["postmaster@example.com"],
                   b"Subject: scanned\r\n\r\nhello\r\n")
        s.sendmail("a@b.example", ["postmaster@example.com"],
                   b"Subject: bad\r\n\r\nbegin 644 a.exe\r\n`\r\nend\r\n")

    def found(where, text):
        return [f for f in machine.home.glob(where) if text in f.read_bytes()]
    suites.wait_until(lambda: found("domains/*/postmaster/Maildir/*/*", b"Subject: scanned"), 20, "message")
    [m] = found("domains/*/postmaster/Maildir/*/*", b"Subject: scanned")
    assert b"virus scan off" in m.read_bytes()
    suites.wait_until(lambda: found("alias/quarantine/new/*", b"Subject: bad"), 20, "quarantine")
    # behind dmarcq, though the first setup was without a scanner
    got = mailed(machine, "both", "127.9.9.9")
    assert got.index(b"X-Postern-Scan") < got.index(b"Authentication-Results")
    assert "SCANNING IS OFF" in machine.mailctl("stat").stdout
    if "clamd needs" in r.stderr:
        return
    assert "clamav-daemon clamav-freshclam" in told
    assert re.search("clamav-daemon restart|restart clamav-daemon", told)
    conf = (scratch / "clamd.conf").read_text()
    assert "AlertEncrypted true" in conf and "TCPSocket" not in conf
    assert "mailctl scan" in (scratch / "postern-scan").read_text()
    assert (machine.home / "control/virusscan").read_text().endswith("\noff\n")


UPGRADES = """
set -e
cron=/etc/cron.d/postern-scan clamd=/etc/clamav/clamd.conf
home=$1 setup="$2/setup --upgrade --no-start --home $1"
shift 2
kept() { cp $cron $1.cron 2>/dev/null || :; cp $clamd $1.clamd; }
rm -rf $home/state/setup
"$@" --scan --no-start; kept fresh
$setup; kept nothing
# as an older setup left them
rm -r $home/state/setup
echo "*/10 * * * * root $home/bin/mailctl scan >/dev/null 2>&1" >$cron
$setup; kept older
# as the one before this would have: other lines of ours
echo "*/9 * * * * root $home/bin/mailctl scan -a >/dev/null 2>&1" | tee $cron >$home/state/setup/postern-scan
sed -i 's/^MaxFileSize .*/MaxFileSize 9M/' $clamd $home/state/setup/clamd.conf
$setup; kept before
sed -i 's/10/30/' $cron
sed -i 's/^ReadTimeout .*/ReadTimeout 30/' $clamd
: >told
$setup 2>changed.err; kept changed
"$@" --scan --no-start 2>again.err; kept again
cp $home/state/setup/postern-scan.new new.cron
cp told changed.told
echo "# nothing here" >$cron
$setup 2>foreign.err; kept foreign
rm $cron
cp fresh.clamd $clamd
echo TCPSocket 3310 >>$clamd
$setup 2>absent.err; kept absent
rm -r $home/state/setup
"""


def test_files_outside_become_new_unless_somebody_changed_them(machine, scratch):
    (scratch / "upgrades").write_text(UPGRADES)
    r, _ = machine.in_own_etc(scratch, 'sh ./upgrades "$@"', machine.home, machine.tree,
                              *machine.command("example.com"))
    assert r.returncode == 0, r.stderr

    def got(name):
        return (scratch / name).read_text() if (scratch / name).exists() else None
    cron, clamd = got("fresh.cron"), got("fresh.clamd")
    assert cron == f"*/10 * * * * root {machine.home}/bin/mailctl scan -a >/dev/null 2>&1\n"
    assert "MaxFileSize 110M\n" in clamd
    for state in "nothing", "older", "before":
        assert (got(state + ".cron"), sorted(got(state + ".clamd"))) == (cron, sorted(clamd)), state
    for state in "changed", "again":
        assert got(state + ".cron") == cron.replace("10", "30")
        assert got(state + ".clamd") == clamd.replace("ReadTimeout 120", "ReadTimeout 30")
        err = got(state + ".err")
        assert "/etc/cron.d/postern-scan has been changed" in err
        assert "/etc/clamav/clamd.conf has been changed" in err
    assert "clamav-daemon" not in got("changed.told").replace("dpkg-query", "").partition("restart")[2]
    assert got("new.cron") == cron
    assert got("foreign.cron") == "# nothing here\n" and "does not name" in got("foreign.err")
    assert got("absent.cron") is None and "cron" not in got("absent.err")
    assert got("absent.clamd") == clamd + "TCPSocket 3310\n"


SECOND = """
echo "*/10 * * * * root /var/first/bin/mailctl scan -a" >/etc/cron.d/postern-scan
mkdir -p /etc/systemd/system
echo "ExecStart=/usr/bin/s6-svscan /var/first/service" >/etc/systemd/system/postern.service
mount -t tmpfs run /run && mkdir -p /run/systemd/system
"$@" --scan example.com; code=$?
cp /etc/cron.d/postern-scan* /etc/systemd/system/postern*.service .
exit $code
"""


@pytest.mark.skipif(SYSTEMD, reason="writes no unit beside a real systemd's")
def test_a_second_installation_has_a_unit_and_a_cron_job_of_its_own(machine, scratch):
    (scratch / "second").write_text(SECOND)
    r, told = machine.in_own_etc(scratch, 'sh ./second "$@"', *machine.command())
    assert r.returncode == 0, r.stderr
    assert "does not name" not in r.stderr
    own = re.sub("[^A-Za-z0-9]", "-", str(machine.home))
    assert "/var/first/" in (scratch / "postern-scan").read_text()
    assert "/var/first/" in (scratch / "postern.service").read_text()
    assert f"{machine.home}/bin/mailctl scan" in (scratch / f"postern-scan{own}").read_text()
    assert f"{machine.home}/service\n" in (scratch / f"postern{own}.service").read_text()
    assert f"systemctl -q enable postern{own}.service\n" in told


@pytest.mark.parametrize("args", [
    [], ["a.example", "b.example"], ["--frob", "a.example"], ["--home"],
    ["not_a_domain"], ["example"], ["-"], ["exa mple.com"], ["x/../y.com"],
    ["--smtp", "99999", "a.example"], ["--pop3", "pop", "a.example"],
    ["--home", "relative", "a.example"], ["--home", "/", "a.example"],
    ["--home", "/tmp/a b", "a.example"]])
def test_misuse_is_refused_before_anything_happens(args):
    r = subprocess.run([postern.TREE / "setup", *args], text=True,
                       capture_output=True, timeout=20)
    assert r.returncode == 100
    assert r.stdout == ""
    assert r.stderr.startswith(("usage:", "setup: fatal: not a"))
