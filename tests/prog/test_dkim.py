"""dkimsign, dkimd, dkimkey: what is signed, and that others find it good."""
import base64
import os
import pwd
import signal
import socket
import subprocess
import time

import dkim
import pytest

import dkimlib
import postern
from dkimlib import ENVELOPE, split_off, verify, wire

NOBODY = pwd.getpwnam("nobody").pw_uid
MESSAGE = (b"Received: from x\n  by y; 1 Jan 2026 00:00:00 -0000\nFrom: Alice <alice@example.com>\n"
           b"To: bob@elsewhere.example\nSubject: a  test\nDate: 1 Jan 2026 00:00:00 -0000\n"
           b"Message-ID: <1@example.com>\n\nHello,\n\nBob.\n")
HEAD = MESSAGE[:MESSAGE.index(b"\n\n") + 2]


@pytest.fixture(scope="module")
def signer():
    """dkimd with both kinds of keys for example.com; tests leave it as it is."""
    import pathlib
    import tempfile
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-dkim."))
    d.chmod(0o755)
    s = dkimlib.Signer(postern.install_home(d / "home", {"me": "test.example\n"}), d)
    try:
        s.dkimkey("example.com")
        s.dkimkey("-a", "ed25519", "-s", "ed", "example.com")
        yield s.start()
    finally:
        s.stop()
        postern.wipe(d)


@pytest.fixture
def own(home, scratch):
    s = dkimlib.Signer(home, scratch)
    yield s
    s.stop(signal.SIGKILL)


def signed(signer, message=MESSAGE, **more):
    r = signer.sign(message, **more)
    assert r.code == 0, r.stderr + r.text
    assert r.envelope == ENVELOPE
    return r.message


ODD = {
    "plain": MESSAGE,
    "empty body": HEAD,
    "no body, no empty line": HEAD[:-1],
    "no LF at the end of the header": HEAD[:-2],
    "body of an empty line": HEAD + b"\n",
    "blank lines at the end": MESSAGE + b"\n\n  \n\t\n\n",
    "blank lines in front": HEAD + b"\n\n\nx\n",
    "white space at ends of lines": HEAD + b"a \nb\t\n\t c  d \t e\n   \nx\n ",
    "no LF at the end": MESSAGE[:-1],
    "folded": MESSAGE.replace(b"Subject: a  test", b"Subject:\n\ta\n   test\n \n\tof folds "),
    "8 bits": MESSAGE.replace(b"a  test", "größe".encode()) + "äöü\xff\n".encode("latin-1"),
    "long lines": MESSAGE.replace(b"a  test", b"x" * 5000) + b"y" * 100000 + b"\n",
    "CR LF": MESSAGE.replace(b"\n", b"\r\n"),
    "CR LF in the body": MESSAGE + b"a\r\nb\r\n\r\n\r\n",
    "CR inside": HEAD + b"a\rb\n\rc\nd \r\r\ne\r",
    "CR in a field": MESSAGE.replace(b"a  test", b"a\rtest"),
    "twice": MESSAGE.replace(b"Subject:", b"Subject: first\nSubject:").replace(b"To:", b"To: x\nTo:"),
    "five times": MESSAGE.replace(b"To:", b"Cc: a\nCc: b\nCc: c\nCc: d\nCc: e\nTo:"),
    "strange case": MESSAGE.replace(b"From:", b"fROM:").replace(b"Subject:", b"SUBJECT:"),
    "lists": b"List-Id: x <y.example>\nList-Unsubscribe: <https://x>\n"
             b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\n" + MESSAGE,
    "MIME": b"MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"x\"\n"
            b"Content-Transfer-Encoding: 8bit\n" + MESSAGE + b"--x\n\nhi\n--x--\n",
    "dots": MESSAGE + b".\n..\n.x\n",
    "NUL": MESSAGE + b"a\0b\n",
    "signed already": b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=y;\n\tbh=z; b=z\n" + MESSAGE,
    "colons": MESSAGE.replace(b"a  test", b": :a: b :"),
    "empty fields": MESSAGE.replace(b"a  test", b"").replace(b"To: bob@elsewhere.example", b"To:"),
    "several authors": MESSAGE.replace(b"From: ", b"From: carol@example.com,\n "),
    "beyond 1 MB": MESSAGE + b"0123456789 \n" * 200000,
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_message_is_signed_and_good(signer, what):
    message = ODD[what]
    got = signed(signer, message)
    ours = got[:len(got) - len(message)]
    # byte for byte
    assert got[len(ours):] == message and ours.endswith(b"\n")
    assert len(split_off(ours)[0]) == 2
    if what == "signed already":
        d = dkim.DKIM(wire(got))
        assert d.verify(0, dnsfunc=signer.dns) and d.verify(1, dnsfunc=signer.dns)
    else:
        assert verify(got, signer.dns, 2)


def test_two_fields_one_of_each_kind(signer):
    first, second = split_off(signed(signer))[0]
    assert b"a=rsa-sha256;" in first and b"s=rsa-" in first
    assert b"a=ed25519-sha256;" in second and b"s=ed;" in second
    for f in first, second:
        assert b"c=relaxed/relaxed" in f and b" t=" in f and b"d=example.com" in f
        assert b" l=" not in f and b" z=" not in f
        assert b"h=from:from:reply-to:to:to:cc:subject:subject:" in f.replace(b"\n\t", b"")
        assert max(len(l.expandtabs(8)) for l in f.decode().splitlines()) <= 78


@pytest.mark.parametrize("what,old,new", [
    ("body", b"Bob.", b"Eve."),
    ("body gets longer", b"Bob.\n", b"Bob.\nmore\n"),
    ("subject", b"a  test", b"a  tests"),
    ("author", b"alice@", b"eve@"),
    ("second author", b"From: Alice", b"From: eve@example.com\nFrom: Alice"),
    ("second subject", b"Subject: a", b"Subject: other\nSubject: a"),
    ("another recipient", b"To: bob", b"To: eve@example.com\nTo: bob"),
    ("Reply-To", b"Subject: a", b"Reply-To: eve@else.example\nSubject: a"),
    ("Cc", b"Subject: a", b"Cc: eve@else.example\nSubject: a"),
    ("date", b"Date: 1", b"Date: 2"),
    ("no id", b"Message-ID: <1@example.com>\n", b""),
])
def test_a_changed_message_is_bad(signer, what, old, new):
    got = signed(signer)
    fields, rest = split_off(got)
    assert rest.count(old) == 1
    bad = b"".join(fields) + rest.replace(old, new)
    d = dkim.DKIM(wire(bad))
    for i in range(2):
        try:
            assert not d.verify(i, dnsfunc=signer.dns)
        except dkim.DKIMException:
            pass


def test_what_says_nothing_may_change(signer):
    fields, rest = split_off(signed(signer))
    other = rest.replace(b"Subject: a  test", b"SUBJECT:\n a test ").replace(b"Hello,", b"Hello,  ")
    assert other != rest
    assert verify(b"".join(fields) + b"Received: by z; x\n" + other + b"\n\n", signer.dns, 2)


def test_the_key_of_rfc_8463_signs_as_there(own):
    raw = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    der = bytes.fromhex("302e020100300506032b657004220420") + raw
    pem = subprocess.run(["openssl", "pkey", "-inform", "DER"], input=der, capture_output=True,
                         check=True, timeout=20).stdout
    file = own.scratch / "key"
    file.write_bytes(pem)
    out = own.dkimkey("-f", file, "-s", "brisbane", "football.example.com")
    assert "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" in out
    own.start()
    digest = bytes.fromhex("48ce9a2c710ece1710ff156996b836a7f45470e43efe5643074d6e1690ed62e7")
    keys, signature = dkimlib.ask(own.home, b"Kfootball.example.com",
                                  b"Sebrisbane\0football.example.com\0" + digest)
    assert keys == b"Kebrisbane\0"
    assert signature == b"S" + base64.b64decode(
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
        "Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==")


# ---- who is signed for

@pytest.mark.parametrize("environment,yes", [
    ({}, True),
    ({"TCPREMOTEIP": "192.0.2.1"}, False),
    ({"TCPREMOTEIP": "192.0.2.1", "RELAYCLIENT": ""}, True),
    ({"TCPREMOTEIP": "192.0.2.1", "SMTPAUTHUSER": "alice@example.com"}, True),
    ({"DTLINE": "Delivered-To: x"}, False),
    ({"DKIMSIGN": "0"}, False),
    ({"TCPREMOTEIP": "192.0.2.1", "RELAYCLIENT": "", "DKIMSIGN": "0"}, False),
])
def test_only_our_own_people_are_signed_for(signer, environment, yes):
    got = signed(signer, **environment)
    assert (got != MESSAGE) == yes
    assert got.endswith(MESSAGE)


@pytest.mark.parametrize("login,yes", [
    ("alice@example.com", True), ("bob@EXAMPLE.com", True), ("carol@alias.example", True),
    ("eve@other.example", False), ("eve", False), ("dave@other.example", True),
    ("fred@other.example", True)])
def test_who_has_logged_in_is_signed_for_in_his_own_domain(own, login, yes):
    own.dkimkey("-a", "ed25519", "example.com")
    (own.home / "control/usersenders").write_text("dave@other.example:info@example.com\n"
                                                  "fred@other.example:*\n")
    (own.home / "users/assign").write_text(
        "+example.com-:example.com:89:89:/x:-::\n+alias.example-:example.com:89:89:/x:-::\n"
        "+other.example-:other.example:89:89:/y:-::\n.\n")
    subprocess.run([own.home / "bin/usersmake"], env=postern.env(own.home), check=True, timeout=60)
    own.start()
    for more in {}, {"RELAYCLIENT": ""}:
        got = signed(own, TCPREMOTEIP="192.0.2.1", SMTPAUTHUSER=login, **more)
        assert (got != MESSAGE) == yes


@pytest.mark.parametrize("message", [
    MESSAGE.replace(b"alice@example.com", b"alice@other.example"),
    MESSAGE.replace(b"alice@example.com", b"alice@sub.example.com"),
    MESSAGE.replace(b"alice@example.com", b"alice@xexample.com"),
    MESSAGE.replace(b"From:", b"From: eve@example.com\nFrom:"),
    MESSAGE.replace(b"From:", b"From: eve@other.example,"),
    MESSAGE.replace(b"From:", b"Sender:"),
    b"no header at all\n\n" + MESSAGE,
    b"\n" + MESSAGE,
    b"",
    b"From: <alice@example.com\n\nx\n",
    b"X: " + b"y" * 1100000 + b"\n" + MESSAGE,
], ids=range(11))
def test_what_is_not_signed_passes_byte_for_byte(signer, message):
    assert signed(signer, message) == message


def test_a_local_user_is_signed_for_but_not_the_resolver_of_mail(signer):
    assert verify(signed(signer, user=NOBODY), signer.dns, 2)
    for role in "remote", "popup":
        assert signed(signer, user=pwd.getpwnam(f"postern-{role}").pw_uid) == MESSAGE


def test_dkimusers_names_the_few(own):
    own.dkimkey("-a", "ed25519", "example.com")
    (own.home / "control/dkimusers").write_text("# web server\nwww-data\n")
    own.start()
    assert signed(own, user=NOBODY) == MESSAGE
    for user in "www-data", "postern-smtpd", "root":
        assert verify(signed(own, user=pwd.getpwnam(user).pw_uid), own.dns, 1), user


def test_without_a_key_nothing_is_asked_or_read(own):
    r = own.sign(MESSAGE)
    assert r.code == 0 and r.message == MESSAGE
    strace = own.scratch / "calls"
    subprocess.run(["strace", "-o", strace, own.home / "bin/dkimsign"], input=MESSAGE, timeout=60,
                   env=postern.env(own.home, DKIMSIGN_QUEUE="/bin/true"), capture_output=True)
    calls = strace.read_text()
    assert "execve(\"/bin/true\"" in calls and "read(0" not in calls.split("/bin/true")[0]


# ---- when something is wrong

def put_off(r):
    assert r.code == 82 and r.text.startswith("Z") and "(#4.3.0)" in r.text, (r.code, r.text)
    assert r.message is None
    assert "domain=example.com" in r.stderr


def test_dkimd_gone_puts_mail_off(own):
    own.dkimkey("-a", "ed25519", "example.com")
    put_off(own.sign(MESSAGE))
    own.start()
    assert verify(signed(own), own.dns, 1)
    own.stop(signal.SIGKILL)
    put_off(own.sign(MESSAGE))
    # other domains' mail goes on
    other = MESSAGE.replace(b"@example.com", b"@other.example")
    assert own.sign(other).message == other


def test_dkimd_hung_puts_mail_off(own):
    own.dkimkey("-a", "ed25519", "example.com")
    own.start()
    own.daemon.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    put_off(own.sign(MESSAGE))
    assert time.monotonic() - started < 100
    own.daemon.send_signal(signal.SIGCONT)
    assert verify(signed(own), own.dns, 1)


GOOD_KEYS = b"Kesel\0"


@pytest.mark.parametrize("answers", [
    [b"X"], [b"K"], [b"Kesel"], [b"Kxsel\0"], [b"Ke\0"], [b"K\0sel\0"], [b"Kese;l\0"],
    [b"Kesel\r\n x\0"], [b"Ke" + b"s" * 64 + b"\0"], [b"Kesel\0" * 5], [b"K" + b"e" * 1000], [],
    [GOOD_KEYS, b"S" + b"x" * 63], [GOOD_KEYS, b"S" + b"x" * 65], [GOOD_KEYS, b"S"],
    [GOOD_KEYS, b"R"], [GOOD_KEYS, b"K" + b"x" * 64], [GOOD_KEYS],
    [b"Krsel\0", b"S" + b"x" * 64], [b"Krsel\0", b"S" + b"x" * 513],
], ids=range(20))
def test_dkimd_lying_puts_mail_off(own, answers):
    (own.home / "control/dkim").write_text("example.com:sel\n")
    child = None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.bind(str(own.home / "socket/dkim/dkimd"))
        s.listen(1)
        s.settimeout(30)
        child = os.fork()
        if not child:
            try:
                c, _ = s.accept()
                for a in answers:
                    c.recv(1000)
                    c.send(a)
                c.close()
            finally:
                os._exit(0)
        try:
            put_off(own.sign(MESSAGE))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_caller_that_takes_no_text_hears_71(own):
    own.dkimkey("-a", "ed25519", "example.com")
    r = subprocess.run([own.home / "bin/dkimsign"], input=MESSAGE, timeout=60, capture_output=True,
                       env=postern.env(own.home, DKIMSIGN_QUEUE="/bin/true"))
    assert r.returncode == 71


def test_the_next_programs_code_and_text_are_the_callers(signer):
    (signer.record / "code").write_text("82")
    (signer.record / "text").write_text("Dno (#5.7.1)")
    try:
        r = signer.sign(MESSAGE)
    finally:
        (signer.record / "code").unlink()
        (signer.record / "text").unlink()
    assert (r.code, r.text) == (82, "Dno (#5.7.1)")
    assert signer.sign(MESSAGE, DKIMSIGN_QUEUE="/no/such").code == 120


def test_a_service_logs_what_it_does(signer):
    own = {"TCPREMOTEIP": "192.0.2.1", "RELAYCLIENT": "", "POSTERN_SESSION": "1-1"}
    r = signer.sign(MESSAGE, **own)
    assert "dkimsign: info: signed session=1-1 domain=example.com selector=ed\n" in r.stderr
    r = signer.sign(MESSAGE.replace(b"From:", b"From: x@example.com\nFrom:"), **own)
    assert r.stderr == "dkimsign: info: not signed session=1-1 reason=there\\x20are\\x20several\\x20From\\x20fields\n"
    assert signer.sign(MESSAGE).stderr == ""


# ---- dkimd

def test_dkimd_answers_what_it_is_asked_and_nothing_else(signer):
    [a] = dkimlib.ask(signer.home, b"Kother.example")
    assert a == b"K"
    [a] = dkimlib.ask(signer.home, b"KEXAMPLE.com")
    assert a.count(b"\0") == 2
    [a] = dkimlib.ask(signer.home, b"Sred\0example.com\0" + bytes(32))
    assert a == b"R"
    for bad in [b"", b"X", b"S", b"Se", b"Seed\0", b"Seed\0example.com", b"Seed\0example.com\0" +
                bytes(31), b"Seed\0example.com\0" + bytes(33), b"S" + b"e" * 511, b"K" * 600]:
        if bad:
            with pytest.raises((ConnectionResetError, BrokenPipeError, AssertionError)):
                [a] = dkimlib.ask(signer.home, bad)
                assert a
    assert verify(signed(signer), signer.dns, 2)


def test_idle_connections_of_one_user_do_not_keep_others_out(own):
    own.dkimkey("-a", "ed25519", "example.com")
    own.start()
    held = []
    try:
        os.seteuid(NOBODY)
        for _ in range(300):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.connect(str(own.home / "socket/dkim/dkimd"))
            held.append(s)
    finally:
        os.seteuid(0)
    assert verify(signed(own), own.dns, 1)
    for s in held:
        s.close()


def test_dkimd_holds_on_to_nothing_it_does_not_need(signer):
    status = open(f"/proc/{signer.daemon.pid}/status").read()
    assert f"Uid:\t{dkimlib.DKIM.pw_uid}\t" in status
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    for f in signer.home.glob("dkim/*.pem"):
        st = f.stat()
        assert (st.st_uid, st.st_mode & 0o777) == (dkimlib.DKIM.pw_uid, 0o600)
    fds = os.listdir(f"/proc/{signer.daemon.pid}/fd")
    assert len(fds) <= 8, fds


def test_keys_are_read_anew_at_a_sighup(own):
    # the first key comes when it has locked itself in
    (own.home / "control/dkim").write_text("\n")
    own.start()
    own.dkimkey("example.com")
    own.reload()
    assert verify(signed(own), own.dns, 1)
    own.dkimkey("-a", "ed25519", "-s", "e1", "example.com")
    own.reload()
    assert verify(signed(own), own.dns, 2)


def test_a_bad_key_leaves_the_old_ones_in_force(own):
    own.dkimkey("-a", "ed25519", "-s", "e1", "example.com")
    own.start()
    good = (own.home / "control/dkim").read_text()
    for bad in ["other.example:none", "example.com:../x", "example.com", ":x", "example.com:e1:" * 5]:
        (own.home / "control/dkim").write_text(good + bad + "\n")
        own.reload("the old keys stay in force")
    small = subprocess.run(["openssl", "genrsa", "512"], capture_output=True, timeout=60).stdout
    curve = subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                            "ec_paramgen_curve:P-256"], capture_output=True, timeout=60).stdout
    for pem in small, curve, b"", b"x" * 20000:
        dkimlib.put_key(own.home, "other.example", "s", pem)
        (own.home / "control/dkim").write_text(good + "other.example:s\n")
        own.reload("the old keys stay in force")
    assert verify(signed(own), own.dns, 1)
    # at its start what is bad is left out, and that domain's mail waits
    own.stop()
    own.log.unlink()
    own.start()
    assert verify(signed(own), own.dns, 1)
    r = own.sign(MESSAGE.replace(b"alice@example.com", b"alice@other.example"))
    assert r.code == 82 and "dkimd has no key in use" in r.stderr


# ---- dkimkey

def test_dkimkey_makes_lists_uses_and_removes(own):
    (own.home / "control/dkim").write_text("# ours\n")
    own.dkimkey("-a", "ed25519", "-s", "x", "other.example")
    out = own.dkimkey("-s", "r1", "Example.COM")
    assert "r1._domainkey.example.com. IN TXT ( \"v=DKIM1; k=rsa; p=" in out
    strings = out.split("IN TXT (")[1].split('"')[1::2]
    assert len(strings) == 2 and max(map(len, strings)) == 255
    assert (own.home / "control/dkim").read_text().splitlines() == ["# ours", "other.example:x",
                                                                    "example.com:r1"]
    assert "dkimkey -u -s r2 example.com" in own.dkimkey("-s", "r2", "example.com")
    own.dkimkey("-a", "ed25519", "-s", "e1", "example.com")
    listed = own.dkimkey("-l", "example.com")
    assert "; example.com r1 rsa, in use\n" in listed and "r2 rsa, not in use\n" in listed
    assert "e1 ed25519, in use\n" in listed and listed in own.dkimkey("-l")
    assert "other.example" not in listed
    own.start()
    assert b"s=r1;" in signed(own)
    own.dkimkey("-u", "-s", "r2", "example.com")
    own.reload()
    got = signed(own)
    assert b"s=r2;" in got and b"s=r1;" not in got and verify(got, own.dns, 2)
    own.dkimkey("-d", "-s", "r1", "example.com")
    assert not list(own.home.glob("dkim/r1*"))
    for s in "r2", "e1":
        own.dkimkey("-d", "-s", s, "example.com")
    own.reload()
    assert (own.home / "control/dkim").read_text() == "# ours\nother.example:x\n"
    assert signed(own) == MESSAGE
    assert len(list(own.home.glob("dkim/*"))) == 2 and not list(own.home.glob("control/.dkim*"))


def test_dkimkey_refuses(own):
    own.dkimkey("-s", "a", "-a", "ed25519", "example.com")
    before = (own.home / "control/dkim").read_text()
    own.dkimkey("-s", "a", "example.com", code=111)
    own.dkimkey("-u", "-s", "b", "example.com", code=111)
    own.dkimkey("-d", "-s", "b", "example.com", code=111)
    own.dkimkey("-f", "/etc/passwd", "-s", "b", "example.com", code=111)
    for args in [[], ["-a", "dsa", "example.com"], ["-s", "../x", "example.com"],
                 ["exam ple.com"], ["../x"], ["-u", "example.com"], ["-s", "s" * 64, "example.com"],
                 ["a.example", "b.example"]]:
        own.dkimkey(*args, code=100)
    assert (own.home / "control/dkim").read_text() == before
    assert len(list(own.home.glob("dkim/*"))) == 2


def test_the_last_key_gone_turns_it_off(own):
    own.dkimkey("-s", "a", "-a", "ed25519", "example.com")
    own.dkimkey("-d", "-s", "a", "example.com")
    assert not (own.home / "control/dkim").exists()


# ---- beside the others

def test_an_answer_is_its_owner_s_word(own):
    own.dkimkey("-a", "ed25519", "example.com")
    own.start()
    text, seen = own.scratch / "text", own.scratch / "seen"
    text.write_text("I am away.\n")
    seen.mkdir()
    e = postern.env(own.home, RECORD=str(own.record), DKIMSIGN_QUEUE=str(own.queue),
                    SENDER="bob@elsewhere.example", LOCAL="alice", HOST="example.com", EXT="",
                    DTLINE="Delivered-To: alice@example.com\n")
    r = subprocess.run([own.home / "bin/autorespond", "3600", "1", text, seen], env=e, timeout=60,
                       input=MESSAGE.replace(b"bob@elsewhere", b"alice@example.com, bob@elsewhere"),
                       capture_output=True)
    assert (own.record / "message").exists(), r.stderr
    got = (own.record / "message").read_bytes()
    assert b"I am away." in got and verify(got, own.dns, 1)


@pytest.mark.parametrize("program", ["inject", "sendmail"])
def test_inject_is_signed_without_being_asked_to(own, program):
    e = postern.env(own.home, RECORD=str(own.record), DKIMSIGN_QUEUE=str(own.queue))
    own.dkimkey("-a", "ed25519", "example.com")
    own.start()
    subprocess.run([own.home / "bin" / program, "bob@elsewhere.example"], env=e, check=True,
                   input=b"From: alice@example.com\nSubject: x\n\nhi\n", timeout=60)
    assert verify((own.record / "message").read_bytes(), own.dns, 1)
