import os
import re
import signal
import subprocess
import time

import pytest
from queuelib import Queue, install, uid, until

import postern


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    q = Queue(tmp_path_factory.mktemp("queue")).start()
    for p in [q.home, *q.home.parents]:
        if str(p).startswith("/tmp/"):
            p.chmod(0o755)
    yield q
    q.stop()


def new(q, before):
    fresh = set(q.messages()) - set(before)
    assert len(fresh) == 1
    return q.read(fresh.pop())


def run_queue(q, message, env, user=65534, **more):
    """queue, with message and envelope on pipes 0 and 1."""
    r, w = os.pipe()
    r2, w2 = os.pipe()
    p = subprocess.Popen([q.home / "bin/queue"], stdin=r, stdout=r2, stderr=subprocess.PIPE,
                         user=user, env=dict(postern.env(q.home), **more))
    os.close(r)
    os.close(r2)
    for fd, data in ((w, message), (w2, env)):
        try:
            while data:
                data = data[os.write(fd, data):]
        except BrokenPipeError:
            pass
        os.close(fd)
    err = p.stderr.read()
    return p.wait(20), err


def test_queue_takes_a_message(running):
    before = running.messages()
    assert run_queue(running, b"Subject: x\n\nhi\n", b"Fa@b\0Tc@d\0Te@f\0\0") == (0, b"")
    m = new(running, before)
    assert (m.sender, m.recipients) == (b"a@b", [b"c@d", b"e@f"])
    assert m.without_received() == b"Subject: x\n\nhi\n"
    assert m.values(b"u") == [b"65534"]


def test_queue_takes_a_large_message(running):
    before = running.messages()
    body = os.urandom(3 << 20)
    env = b"F\0" + b"".join(b"Tr%d@x\0" % i for i in range(30000)) + b"\0"
    assert run_queue(running, body, env)[0] == 0
    m = new(running, before)
    assert m.without_received() == body and len(m.recipients) == 30000


@pytest.mark.parametrize("env, code", [
    (b"", 54), (b"Fa@b\0Tc@d\0", 54), (b"Fa@b\0Tc@d", 54), (b"X\0", 91), (b"\0", 91),
    (b"Fa\0Xb\0\0", 91), (b"Fa\0\0", 91), (b"F" + b"a" * 1003 + b"\0Tb\0\0", 11),
    (b"Fa\0T" + b"b" * 1100, 11), (b"Fa\0T" + b"b" * 1003, 11)], ids=range(10))
def test_queue_exit_codes(running, env, code):
    before = running.messages()
    assert run_queue(running, b"x\n", env)[0] == code
    assert running.messages() == before
    until(lambda: running.unfinished() == [])


def waits_for_alarm(pid):
    caught = re.search(r"^SigCgt:\s+([0-9a-f]+)$", open(f"/proc/{pid}/status").read(), re.M)[1]
    return int(caught, 16) >> signal.SIGALRM - 1 & 1


@pytest.mark.parametrize("program, more", [
    ("queue", {}), ("scanq", {}), ("dkimsign", {"RELAYCLIENT": ""}), ("dmarcq", {"TCPREMOTEIP": "192.0.2.1"})])
def test_a_client_has_a_day(running, program, more):
    keys = running.home / "control/dkim"
    keys.write_text("example.com:s\n")     # without any, dkimsign is out of the way
    before = running.messages()
    with subprocess.Popen([running.home / "bin" / program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=postern.env(running.home, **more)) as p:
        try:
            p.stdin.write(b"Subject: x\n")
            p.stdin.flush()
            until(lambda: waits_for_alarm(p.pid))
            p.send_signal(signal.SIGALRM)      # as alarm(2) does, after that time
            assert p.wait(20) == 52
        finally:
            p.kill()
            keys.unlink()
    assert running.messages() == before
    until(lambda: running.unfinished() == [])


def test_queue_ignores_qmailqueue(running):
    assert run_queue(running, b"x\n", b"Fa@b\0Tc@d\0\0", QMAILQUEUE="/bin/false")[0] == 0


def test_queue_without_queued(scratch):
    class Dead:
        home = install(scratch / "home")
    assert run_queue(Dead, b"x\n", b"Fa@b\0Tc@d\0\0")[0] == 56
    assert run_queue(Dead, b"x\n", b"Fa@b\0Tc@d\0\0", POSTERN_HOME="/nonexistent")[0] == 61


def test_queue_waiting_for_input_does_not_hold_up_others(running):
    r, w = os.pipe()
    p = subprocess.Popen([running.home / "bin/queue"], stdin=r, env=postern.env(running.home))
    os.close(r)
    until(running.unfinished)
    assert run_queue(running, b"x\n", b"Fa@b\0Tc@d\0\0")[0] == 0
    p.kill()
    p.wait()
    os.close(w)
    until(lambda: running.unfinished() == [])


# ---- inject

def inject(q, message, *args, **env):
    if isinstance(message, str):
        message = message.encode()
    env.setdefault("USER", "joe")
    return q.run("inject", *args, input=message, env=env)


def dry(q, message, *args, **env):
    r = inject(q, message, "-n", *args, **env)
    assert r.returncode == 0, r.stderr
    return r.stdout.decode()


def queued(q, message, *args, **env):
    before = q.messages()
    r = inject(q, message, *args, **env)
    assert (r.returncode, r.stderr) == (0, b"")
    return new(q, before)


def test_inject_adds_what_is_missing(running):
    out = dry(running, "Subject: x\n\nbody\n", "a@b.example")
    assert re.fullmatch(
        r"Subject: x\n"
        r"Date: \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\n"
        r"Message-ID: <\d{14}\.\d{6}\.\d+\.postern@test\.example>\n"
        r"From: joe@test\.example\n"
        r"Cc: recipient list not shown: ;\n\nbody\n", out), out


def test_inject_keeps_what_is_there(running):
    given = ("Date: then\nMessage-ID: <x@y>\nFrom: \"A, B\" <a@b.example> (c)\n"
             "To: c@d.example,\n\te@f.example\nX-Odd : y\n\nbody\n")
    assert dry(running, given) == given


def test_inject_completes_addresses_in_place(running):
    (running.home / "control/plusdomain").write_text("plus.example\n")
    (running.home / "control/defaultdomain").write_text("dom.example\n")
    out = dry(running, "To: Joe <joe> (hi), ann@host, bob@h+, \"x y\", ok@a.b, z@[1.2.3.4]\n"
                       "Reply-To: me\nSender: root\n\n")
    assert ("To: Joe <joe@test.example> (hi), ann@host.dom.example, bob@h.plus.example, "
            "\"x y\"@test.example, ok@a.b, z@[1.2.3.4]\n") in out
    assert "Reply-To: me@test.example\nSender: root@test.example\n" in out
    for name in "plusdomain", "defaultdomain":
        (running.home / "control" / name).unlink()


def test_inject_defaulthost_from_environment(running):
    assert "To: a@h.i\n" in dry(running, "To: a\n\n", QMAILDEFAULTHOST="h.i")


@pytest.mark.parametrize("text,why", [
    ("", "control/me names no host"), ("# \n", "control/me names no host"),
    (None, "unable to read control/me: Is a directory")])
def test_inject_names_the_file_that_has_no_host(running, text, why):
    me = running.home / "control/me"
    old = me.read_text()
    try:
        me.unlink()
        me.mkdir() if text is None else me.write_text(text)
        r = inject(running, "To: a\n\n")
        assert r.returncode == 111
        assert r.stderr.decode() == f"inject: fatal: {why}\n"
    finally:
        me.rmdir() if me.is_dir() else me.unlink()
        me.write_text(old)


def test_inject_recipients_from_header(running):
    m = queued(running, "To: a@x.example, B <b>\nCc: c@x.example\nBcc: d@x.example\n\nhi\n")
    assert m.recipients == [b"a@x.example", b"b@test.example", b"c@x.example", b"d@x.example"]
    assert b"Bcc" not in m.body and m.sender == b"joe@test.example"


def test_inject_arguments_replace_header(running):
    m = queued(running, "To: a@x.example\n\n", "b@x.example", "c, \"d e\"@x.example")
    assert m.recipients == [b"b@x.example", b"c@test.example", b"d e@x.example"]


def test_inject_header_and_arguments(running):
    assert queued(running, "To: a@x.example\n\n", "-H", "b@x.example").recipients == [
        b"b@x.example", b"a@x.example"]
    assert queued(running, "To: a@x.example\n\n", "-h", "b@x.example").recipients == [
        b"a@x.example"]


def test_inject_resent(running):
    m = queued(running, "From: a@x.example\nTo: b@x.example\nDate: then\nMessage-ID: <i@j>\n"
                        "Resent-To: c@x.example\nResent-Bcc: d@x.example\n\nhi\n")
    assert m.recipients == [b"c@x.example", b"d@x.example"]
    assert b"\nResent-From: joe@test.example\n" in m.body
    assert b"\nResent-Date: " in m.body and b"\nResent-Message-ID: <" in m.body
    assert m.body.count(b"\nDate:") == 1 and b"Resent-Bcc" not in m.body


@pytest.mark.parametrize("args, env, header, sender", [
    (["-f", "s@x.example"], {}, "", b"s@x.example"), (["-f", "short"], {}, "", b"short@test.example"),
    (["-f", ""], {}, "", b""), (["-f", "<>"], {}, "", b""), (["-f", "#@[]"], {}, "", b"#@[]"),
    ([], {}, "Return-Path: <r@x.example>\n", b"r@x.example"),
    ([], {"QMAILINJECT": "s"}, "Return-Path: <r@x.example>\n", b"joe@test.example"),
    (["-f", "s@x.example"], {}, "Return-Path: <r@x.example>\n", b"s@x.example"),
    ([], {"QMAILSUSER": "u", "QMAILSHOST": "h.example"}, "", b"u@h.example"),
    ([], {"QMAILUSER": "u", "QMAILHOST": "h.example"}, "", b"u@h.example"),
    ([], {"QMAILINJECT": "r"}, "", b"joe-@test.example-@[]")])
def test_inject_sender(running, args, env, header, sender):
    m = queued(running, header + "Subject: x\n\n", *args, "a@x.example", **env)
    assert m.sender == sender and b"Return-Path" not in m.body


def test_inject_full_name(running):
    assert 'From: "J. \\"X\\" Doe" <joe@test.example>\n' in dry(
        running, "\n", "a", QMAILNAME='J. "X" Doe')
    assert "From: joe@test.example (J\\(\\) Doe)\n" in dry(
        running, "\n", "a", QMAILNAME="J() Doe", QMAILINJECT="c")
    assert "From: joe@test.example (x)\n" in dry(running, "\n", "a", NAME="x\nBcc: y",
                                                 QMAILINJECT="c").replace("xBcc: y", "x")


def test_inject_deletes_from_and_id_when_told(running):
    out = dry(running, "From: x@y.z\nMessage-ID: <1@2>\n\n", "a", QMAILINJECT="fi")
    assert "x@y.z" not in out and "<1@2>" not in out and "From: joe@test.example" in out


@pytest.mark.parametrize("text, body", [
    ("hello\n", "\nhello\n"), ("", "\n"), ("\nhello", "\nhello\n"), ("Subject: x", "\n"),
    ("Subject: x\nno field\n", "\nno field\n"), ("From me Mon\nSubject: x\n\nFrom\n", "\nFrom\n"),
    (" indented\n", "\n indented\n"), ("Subject: x\r\n\r\nhi\r\nho\r\n", "\nhi\nho\n"),
    ("Subject: x\r\n y\r\n\r\na\rb\r\n\r", "\na\rb\n\n")])
def test_inject_header_end(running, text, body):
    out = dry(running, text, "a")
    assert out.split("not shown: ;\n", 1)[1] == body, out


@pytest.mark.parametrize("text, args, code", [
    ("To: joe smith\n\n", [], 100), ("Subject: x\n\n", [], 100), ("Bcc: <a\n\n", [], 100),
    ("\n", ["a b"], 100), ("\n", ["-z"], 100), ("\n", ["a" * 1003], 100)])
def test_inject_refuses(running, text, args, code):
    before = running.messages()
    r = inject(running, text, *args)
    assert r.returncode == code and r.stderr.startswith(b"inject: ")
    assert running.messages() == before


def test_inject_leaves_odd_fields_alone_when_not_needed(running):
    assert "To: joe smith\n" in dry(running, "To: joe smith\n\n", "a")


def test_inject_without_queued_is_temporary(scratch):
    q = Queue(scratch)
    r = inject(q, "\n", "a")
    assert r.returncode == 111
    assert r.stderr == b"inject: fatal: message not queued: qq trouble making network connection (#4.3.0)\n"


def test_inject_program_refuses(running, scratch):
    p = scratch / "program"
    p.write_text("#!/bin/sh\nprintf 'Dnot here (#5.7.1)' >&6; exit 82\n")
    p.chmod(0o755)
    r = inject(running, "\n", "a", QMAILQUEUE=str(p))
    assert (r.returncode, r.stderr) == (
        100, b"inject: fatal: message not queued: not here (#5.7.1)\n")


def test_inject_long_header(running):
    out = dry(running, "".join(f"X-{i}: y\n" for i in range(100000)) + "\nhi\n", "a")
    assert out.count("\nX-") == 99999 and out.endswith("\n\nhi\n")
    assert inject(running, "X: y\n" * 1000000, "a").returncode == 100


# ---- sendmail

def sendmail(q, text, *args, **env):
    before = q.messages()
    r = q.run("sendmail", *args, input=text.encode(), env=dict(USER="joe", **env))
    assert (r.returncode, r.stderr) == (0, b"")
    return new(q, before)


def test_sendmail_t(running):
    m = sendmail(running, "To: a@x.example\nBcc: b@x.example\n\nhi\n.\nho\n", "-t", "-i")
    assert m.recipients == [b"a@x.example", b"b@x.example"] and m.body.endswith(b"hi\n.\nho\n")


@pytest.mark.parametrize("args", [
    ["-oi", "-fs@x.example", "r@x.example"], ["-i", "-f", "s@x.example", "--", "r@x.example"],
    ["-r", "s@x.example", "-oem", "-v", "-B8BITMIME", "-bm", "r@x.example"],
    ["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-fs@x.example", "r@x.example"],
    ["-N", "never", "-R", "hdrs", "-V", "id", "-O", "Foo=x", "-fs@x.example", "r@x.example"]])
def test_sendmail_options(running, args):
    m = sendmail(running, "Subject: x\n\n", *args)
    assert (m.sender, m.recipients) == (b"s@x.example", [b"r@x.example"])


def test_sendmail_name(running):
    m = sendmail(running, "\n", "-F", "Full Name", "r@x.example")
    assert b'From: "Full Name" <joe@test.example>\n' in m.body


def test_sendmail_recipient_that_looks_like_an_option(running):
    assert sendmail(running, "\n", "--", "-f@x.example").recipients == [b"-f@x.example"]


def test_sendmail_without_recipient(running):
    assert running.run("sendmail", input=b"x\n").returncode == 100
    assert running.run("sendmail", "-bd", input=b"").returncode == 100


def test_sendmail_bs_is_smtpd(running, scratch):
    home = scratch / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin/smtpd").write_text("#!/bin/sh\necho $PROTO $TCPREMOTEIP ${RELAYCLIENT-unset}.\n")
    (home / "bin/smtpd").chmod(0o755)
    r = subprocess.run([running.home / "bin/sendmail", "-bs"], capture_output=True,
                       env=postern.env(home))
    assert r.stdout == b"TCP 127.0.0.1 .\n"


# ---- qread, qstat

def test_qread_and_qstat(scratch):
    q = Queue(scratch)
    q.control("locals", "test.example")
    q.start()
    try:
        m = queued(q, "\n", "-f", "a b@x\x1b.example", "joe", "ann@far.example")
        number = q.messages()[0]
        with open(q.path(number), "r+b") as f:
            f.seek(len(m.body) + m.raw.index(b"Tjoe"))
            f.write(b"D")
        damaged = q.dir / "mess/17/17000"
        damaged.write_text("torn")
        (q.dir / "mess/03/junk").write_text("x")
        out = q.run("qread")
        date = time.strftime("%-d %b %Y %H:", time.gmtime())
        head, *rest = out.stdout.decode().splitlines()
        assert head.startswith(date[:-4])
        assert re.fullmatch(rf".* GMT  #{number}  {len(m.body)}  <a\\x20b@x\\x1b.example>", head)
        assert rest == ["  done\tlocal\tjoe@test.example", "\tremote\tann@far.example"]
        assert b"message damaged id=17000 reason=no\\x20end\\x20record" in out.stderr
        assert b"name=junk" in out.stderr and out.returncode == 0
        out = q.run("qstat").stdout
        assert out == (b"messages in queue: 2\nmessages being written: 0\n"
                       b"messages set aside as damaged: 0\n")
        assert q.run("qread", uid=65534).returncode == 111
    finally:
        q.stop()


def test_newaliases_has_nothing_to_do(running):
    """Debian Policy 11.6: who brings a sendmail brings a newaliases."""
    os.symlink("sendmail", running.home / "bin/newaliases")
    for command in ["newaliases"], ["newaliases", "-v"], ["sendmail", "-bi"]:
        r = running.run(*command)
        assert (r.returncode, r.stdout, r.stderr) == (0, b"", b"")
    assert running.run("sendmail", "-bx").returncode == 100


def test_mailq_is_qread(running):
    os.symlink("sendmail", running.home / "bin/mailq")
    assert running.run("mailq").stdout == running.run("sendmail", "-bp").stdout == \
        running.run("qread").stdout


def test_send_may_list(running):
    assert running.run("qstat", uid=uid("send"), group=running.dir.stat().st_gid,
                       extra_groups=[]).returncode == 0
