import os
import pathlib
import re
import resource
import signal
import smtplib
import socket
import struct
import subprocess
import threading
import time

import pytest

import postern

SMTPD = postern.TREE / "smtpd/smtpd"
HELLO = b"EHLO c.example\r\n"
MAIL = b"MAIL FROM:<s@client.example>\r\n"
RCPT = b"RCPT TO:<u@away.example>\r\n"
UPTO = HELLO + MAIL + RCPT + b"DATA\r\n"
# a queue program that keeps what it gets, one pair of files a message; no
# envelope means that the message is given up
KEEP = 'cat >"$KEEP/$$.body"; cat <&1 >"$KEEP/$$.part"; ' \
       '[ -s "$KEEP/$$.part" ] || exit 54; mv "$KEEP/$$.part" "$KEEP/$$.env"'


class Site:
    """control files, and a queue program; recipients of away.example are for
    rcpthosts alone to judge."""

    def __init__(self, home):
        self.home = home
        self.kept = home / "kept"
        for d in ("control", "users", "users/mailbox", "kept"):
            (home / d).mkdir(parents=True)
        self.control(me="mx.example", rcpthosts="away.example")
        self.log = home / "log"
        self.vars = {"TCPREMOTEIP": "192.0.2.9", "TCPREMOTEHOST": "h.example",
                     "TCPLOCALIP": "192.0.2.1", "KEEP": str(self.kept),
                     "POSTERN_SESSION": "s-1"}
        self.program("QMAILQUEUE", KEEP)

    def control(self, **files):
        for name, value in files.items():
            (self.home / "control" / name).write_text(value + "\n")

    def program(self, var, script):
        path = self.home / var.lower()
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)
        self.vars[var] = str(path)

    def start(self, conn):
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [SMTPD], stdin=conn, stdout=conn, stderr=log,
                env=postern.env(self.home, **self.vars))

    def connect(self):
        """Our end of a connection, and the process at the other."""
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        p = self.start(theirs)
        theirs.close()
        return ours, p

    def talk(self, what):
        """All replies to a session of these bytes."""
        s, p = self.connect()
        with p, s:
            s.sendall(what)
            s.shutdown(socket.SHUT_WR)
            got = read_all(s)
            assert p.wait(20) == 0
        return got

    def messages(self):
        """(body, envelope) of each message that was queued."""
        return [(e.with_suffix(".body").read_bytes(), e.read_bytes())
                for e in sorted(self.kept.glob("*.env"))]


def read_all(s):
    got = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return got
        if not piece:
            return got
        got += piece


def last(got):
    return got.decode().splitlines()[-1]


@pytest.fixture
def site(scratch):
    return Site(scratch / "home")


@pytest.fixture
def port(site):
    """A port of ours whose first client meets smtpd."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)

    def serve():
        conn, _ = server.accept()
        with conn:
            p = site.start(conn)
        p.wait(20)

    t = threading.Thread(target=serve)
    t.start()
    yield server.getsockname()[1]
    t.join(20)
    server.close()


def test_a_message_reaches_the_queue_program_with_its_envelope(site):
    got = site.talk(UPTO + b"Subject: x\r\n\r\n..\r\nb\0\xff\r\n.\r\nQUIT\r\n")
    assert re.search(rb"354 go ahead\r\n250 2.0.0 ok \d+ qp \d+\r\n221 ", got)
    [(body, envelope)] = site.messages()
    assert re.fullmatch(
        rb"Received: from h.example \(HELO c.example\) \(192.0.2.9\)\n"
        rb"  by mx.example with ESMTP id s-1; \d+ \w{3} \d{4} [\d:]{8} -0000\n"
        rb"Subject: x\n\n\.\nb\0\xff\n", body)
    assert envelope == b"Fs@client.example\0Tu@away.example\0\0"


def test_a_python_client_is_served(port, site):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as c:
        c.sendmail("a@b.example", ["x@away.example", "y@away.example"],
                   "Subject: hello\n\nbody\n", mail_options=["BODY=8BITMIME"])
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            c.sendmail("a@b.example", ["x@foreign.example"], "x")
    [(body, envelope)] = site.messages()
    assert body.endswith(b"\nSubject: hello\n\nbody\n")
    assert envelope == b"Fa@b.example\0Tx@away.example\0Ty@away.example\0\0"


@pytest.mark.parametrize("script, reply", [
    ("exit 31", "554 5.3.0 mail server permanently rejected message (#5.3.0)"),
    ("exit 53", "451 4.3.0 qq write error or disk full (#4.3.0)"),
    ("exit 99", "451 4.3.0 qq temporary problem (#4.3.0)"),
    ("kill -9 $$", "451 4.3.0 qq crashed (#4.3.0)"),
    ("cat >/dev/null; printf 'Dno virus, please' >&4; exit 82",
     "554 5.3.0 no virus, please"),
    ("cat >/dev/null; printf 'Zcome back (#4.7.1)' >&6; exit 82",
     "451 4.7.1 come back (#4.7.1)"),
])
def test_what_the_queue_program_says_goes_to_the_client(site, script, reply):
    site.program("QMAILQUEUE", script)
    got = site.talk(UPTO + b"x\r\n.\r\n")
    assert last(got) == reply
    assert "refused session=s-1 ip=192.0.2.9" in site.log.read_text()


def test_a_queue_program_that_reads_nothing_kills_nobody(site):
    site.program("QMAILQUEUE", "exec 0<&- 1<&-; exit 31")
    got = site.talk(UPTO + b"x" * 900000 + b"\r\n.\r\nNOOP\r\n")
    assert b"\r\n554 5.3.0 mail server permanently" in got or \
        b"\r\n451 4.3.0 qq" in got
    assert last(got) == "250 2.0.0 ok"


def test_no_queue_means_come_again(site):
    del site.vars["QMAILQUEUE"]
    assert last(site.talk(UPTO)).startswith("451 4.3.0 qq ")


@pytest.mark.parametrize("script, reply", [
    ('[ "$SENDER $RECIPIENT $HELO" = "s@client.example u@away.example '
     'c.example" ]', "250 2.1.5 ok"),
    ("exit 100", "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)"),
    ("printf 'gone\\nfishing' >&4; exit 100", "550 5.1.1 gone?fishing"),
    ("exit 111", "451 4.3.0 unable to verify recipient, try again later "
                 "(#4.3.0)"),
    ("kill -9 $$", "451 4.3.0 unable to verify recipient, try again later "
                   "(#4.3.0)"),
    ("echo noise; cat; exit 0", "250 2.1.5 ok"),
])
def test_rcptcheck_judges_recipients(site, script, reply):
    site.program("RCPTCHECK", script)
    assert last(site.talk(HELLO + MAIL + RCPT)) == reply


def test_a_rcptcheck_that_cannot_run_is_temporary(site):
    site.vars["RCPTCHECK"] = "/nonexistent"
    assert last(site.talk(MAIL + RCPT)).startswith("451 4.3.0 unable")
    assert "unable to start recipient check" in site.log.read_text()


def test_rcptcheck_does_not_open_other_domains(site):
    site.program("RCPTCHECK", "exit 0")
    got = site.talk(MAIL + b"RCPT TO:<u@foreign.example>\r\n")
    assert last(got).startswith("553 5.7.1 sorry, that domain")


def test_without_rcpthosts_only_local_domains_are_accepted(site):
    (site.home / "control/rcpthosts").unlink()
    site.control(locals="here.example")
    got = site.talk(MAIL + b"RCPT TO:<nobody-there@here.example>\r\n" + RCPT)
    assert got.splitlines()[-2].startswith(b"550 5.1.1 ")
    assert last(got).startswith("553 5.7.1 ")


# the forms of www.abuse.net's relay test, for an outside client
RELAY = [
    "<v@out.example>", "<v>@out.example", "v@out.example",
    "<v%out.example@mx.example>", "<v%out.example@[192.0.2.1]>",
    '<"v@out.example">', '<"v%out.example">', "<v@out.example@mx.example>",
    '<"v@out.example"@mx.example>', '<v@out.example@[192.0.2.1]>',
    "<@mx.example:v@out.example>", "<@[192.0.2.1]:v@out.example>",
    "<out.example!v>", "<out.example!v@mx.example>",
    "<out.example!v@[192.0.2.1]>", "<v@[192.0.2.77]>", "<v%out.example>",
]


@pytest.mark.parametrize("sender", ["s@client.example", "", "s@mx.example",
                                    "s@[192.0.2.1]", "s"])
def test_no_form_of_address_relays(site, sender):
    site.control(locals="mx.example", rcpthosts="mx.example")
    got = site.talk(f"MAIL FROM:<{sender}>\r\n".encode() + b"".join(
        f"RCPT TO:{r}\r\n".encode() for r in RELAY) + b"DATA\r\n")
    replies = got.decode().splitlines()[2:]
    assert len(replies) == len(RELAY) + 1
    assert [r[:2] for r in replies] == ["55"] * len(RELAY) + ["50"]


def test_a_relay_client_relays(site):
    site.vars["RELAYCLIENT"] = ""
    got = site.talk(MAIL + b"RCPT TO:<v%x@out.example>\r\n")
    assert last(got) == "250 2.1.5 ok"


def test_morercpthosts_is_asked_too(site, scratch):
    assert last(site.talk(MAIL + b"RCPT TO:<u@More.Example>\r\n"))[:3] == "553"
    make_cdb(site.home / "control/morercpthosts.cdb",
             [b"more.example", b".wide.example"])
    for domain, code in (("More.Example", "250"), ("a.b.wide.example", "250"),
                         ("wide.example", "553"), ("most.example", "553")):
        got = site.talk(MAIL + f"RCPT TO:<u@{domain}>\r\n".encode())
        assert last(got)[:3] == code, domain


def make_cdb(path, keys):
    """As http://cr.yip.to/cdb/cdb.txt says; all data empty."""
    records, tables = b"", [[] for _ in range(256)]
    for k in keys:
        h = 5381
        for c in k:
            h = ((h << 5) + h & 0xffffffff) ^ c
        tables[h & 255].append((h, 2048 + len(records)))
        records += struct.pack("<II", len(k), 0) + k
    head, tail = b"", b""
    for t in tables:
        head += struct.pack("<II", 2048 + len(records) + len(tail), 2 * len(t))
        slots = [(0, 0)] * (2 * len(t))
        for h, pos in t:
            i = (h >> 8) % len(slots)
            while slots[i][1]:
                i = (i + 1) % len(slots)
            slots[i] = (h, pos)
        tail += b"".join(struct.pack("<II", *s) for s in slots)
    path.write_bytes(head + records + tail)


def test_a_damaged_morercpthosts_is_temporary_and_named(site):
    (site.home / "control/morercpthosts.cdb").write_bytes(b"not a cdb")
    got = site.talk(MAIL + b"RCPT TO:<u@more.example>\r\n")
    assert last(got)[:3] == "451"
    assert "file=control/morercpthosts.cdb" in site.log.read_text()


def test_a_stray_newline_ends_the_session_and_the_client_hears_why(site):
    s, p = site.connect()
    with p, s:
        # more than the socket holds: the rest is unread when smtpd hangs up
        s.sendall(UPTO + b"a\n.\nb\r\n.\r\n" + MAIL + RCPT + b"DATA\r\nx\r\n"
                  b".\r\n" + b"NOOP\r\n" * 5000)
        assert last(read_all(s)).startswith("554 5.6.0 bare LF in message")
        assert p.wait(20) == 0
    assert site.messages() == []


def test_the_end_of_input_at_any_byte_queues_all_or_nothing(site):
    whole = UPTO + b"Subject: x\r\n\r\nbody\r\n.\r\n"
    for n in range(len(whole) + 1):
        got = site.talk(whole[:n])
        assert (b" qp " in got) == (n == len(whole))
        assert len(site.messages()) == (n == len(whole)), n


def test_a_client_that_is_gone_before_the_reply_is_queued_once(site):
    s, p = site.connect()
    with p, s:
        s.sendall(UPTO)
        while b"354" not in s.recv(4096):
            pass
        s.sendall(b"x\r\n.\r\n")
        s.close()
        assert p.wait(20) == 0
    assert len(site.messages()) == 1


@pytest.mark.parametrize("n", [3, 30, len(UPTO) - 2, len(UPTO) + 3])
def test_a_reset_queues_nothing_and_crashes_nothing(site, n):
    server = socket.create_server(("127.0.0.1", 0))
    c = socket.create_connection(server.getsockname())
    conn, _ = server.accept()
    with conn, server:
        p = site.start(conn)
    with p:
        c.sendall((UPTO + b"Subject: x\r\n")[:n])
        time.sleep(0.02)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
        c.close()
        assert p.wait(20) == 0
    assert site.messages() == []


def test_any_byte_in_an_address_is_refused_or_kept_as_it_is(site):
    site.vars["RELAYCLIENT"] = ""
    atext = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" \
            b"0123456789!#$%&'*+-/=?^_`{|}~"
    accepted = []
    for c in range(256):
        if c == 10:     # ends the command
            continue
        got = site.talk(b"MAIL FROM:<s>\r\nRCPT TO:<x%cy@c.example>\r\n" % c +
                        (b"DATA\r\n.\r\n" if c % 9 == 0 else b""))
        code = got.split(b"\r\n")[2][:3]
        assert code in (b"250", b"500", b"555"), c
        if code == b"250":
            accepted.append(c)
    # what follows a backslash is kept, and it goes
    assert accepted == sorted(atext + b".@\\")
    for _, envelope in site.messages():
        assert re.fullmatch(rb"Fs\0Tx[!-~]y@c.example\0\0", envelope)


@pytest.mark.parametrize("parameter", [
    b"SIZE=1+0A", b"SIZE=\n1", b"SIZE=1\r2", b"SIZE=1\0", b"SIZE=", b"=",
    b"SIZE", b"BODY=", b"BODY=7BIT\0", b"AUTH=<>", b"ENVID=a+0Ab", b"RET=FULL",
    b"SMTPUTF8", b"X=" + b"y" * 10000, b"SIZE=\x85", b'BODY="7BIT"', b"\x80"])
def test_no_parameter_gets_into_the_envelope(site, parameter):
    got = site.talk(HELLO + b"MAIL FROM:<a@b.example> " + parameter + b"\r\n")
    codes = [r[:3] for r in got.splitlines()[6:]]
    assert codes and all(c in (b"500", b"501", b"502", b"555") for c in codes)


@pytest.mark.parametrize("address", [
    "<;sleep 66;@mx.example>", "<|id@mx.example>", "</etc/x@mx.example>",
    "<:include:/etc/passwd@mx.example>", '<"$(id)"@mx.example>',
    "<../../x@mx.example>", "<a/../../b@mx.example>"])
def test_addresses_that_look_like_files_or_commands_are_nobody(site, address):
    site.control(locals="mx.example", rcpthosts="mx.example")
    got = site.talk(MAIL + f"RCPT TO:{address}\r\n".encode())
    assert last(got)[:3] in ("550", "555")


def test_hostile_names_stay_out_of_log_and_header(site):
    site.vars["TCPREMOTEHOST"] = "h\rBcc: x\x1b]0;y"
    site.vars["TCPREMOTEINFO"] = "i\nj" * 400
    site.talk(b"HELO x\x85 %n status: 0/0\r\n" + MAIL + RCPT +
              b"RCPT TO:<u@\x1bx>\r\nRCPT TO:<u@f%n.example>\r\n"
              b"DATA\r\nReturn-Path: <a>\r\n\r\n.\r\n")
    [(body, _)] = site.messages()
    lines = body.split(b"\n")
    assert lines[0].startswith(
        b"Received: from h?Bcc:?x?]0?y (HELO x??%n?status:?0/0) (i?ji?j")
    assert len(lines[0]) < 998
    assert lines[1].startswith(b"  by mx.example with SMTP id s-1; ")
    assert lines[2:] == [b"Return-Path: <a>", b"", b""]
    log = site.log.read_bytes()
    assert all(32 <= c < 127 or c == 10 for c in log)
    assert all(len(line) < 4096 for line in log.split(b"\n"))
    assert all(line.startswith(b"smtpd: info: ")
               for line in log.split(b"\n")[:-1])


def test_endless_lines_and_headers_need_no_memory(site):
    s, p = site.connect()
    with p, s:
        block = b"x" * 1000000
        for _ in range(100):
            s.sendall(block)
        s.sendall(b"\r\n" + UPTO)
        for _ in range(50):
            s.sendall(block)
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text()
        assert int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < 2000
        p.kill()
    assert site.messages() == []


def test_a_client_that_reads_nothing_is_left(site):
    site.control(timeoutsmtpd="1")
    s, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with theirs:
        p = site.start(theirs)
    with p, s:
        s.sendall(MAIL + RCPT * 1900)
        assert p.wait(20) == 0
        assert len(read_all(s)) < 20000


def test_a_silent_client_is_told_to_go(site):
    site.control(timeoutsmtpd="1")
    s, p = site.connect()
    with p, s:
        s.sendall(b"NOOP")
        assert last(read_all(s)) == "421 4.4.2 timeout (#4.4.2)"
        assert p.wait(20) == 0


def test_too_many_recipients_are_for_another_message(site):
    got = site.talk(MAIL + RCPT * 1010 + b"DATA\r\n.\r\n")
    codes = [r[:3] for r in got.splitlines()]
    assert codes == [b"220", b"250"] + [b"250"] * 1000 + [b"452"] * 10 + \
        [b"354", b"250"]
    assert site.messages()[0][1].count(b"\0T") == 1000


def test_idle_commands_end_the_session(site):
    got = site.talk(b"NOOP\r\n" * 5000)
    assert last(got).startswith("421 4.7.0 too many commands")
    assert got.count(b"250 2.0.0 ok") == 100


def test_databytes_of_the_environment_rule(site):
    site.control(databytes="5")
    site.vars["DATABYTES"] = "100"
    got = site.talk(UPTO + b"x" * 80 + b"\r\n.\r\n")
    assert b"250-SIZE 100\r\n" in got and b" qp " in got
    got = site.talk(UPTO + b"x" * 100 + b"\r\n.\r\n")
    assert last(got).startswith("552 5.3.4 ")
    site.vars["DATABYTES"] = "100k"
    assert last(site.talk(MAIL)).startswith("421 4.3.0 unable to read")


def test_a_damaged_control_file_is_named(site):
    site.control(timeoutsmtpd="soon")
    assert last(site.talk(b"")) == \
        "421 4.3.0 unable to read controls (#4.3.0)"
    assert "unable to read session=s-1 file=control/timeoutsmtpd reason=" in \
        site.log.read_text()


def test_no_home_is_a_temporary_failure(scratch):
    p = subprocess.run([SMTPD], env=postern.env(scratch / "none"),
                       stdin=subprocess.DEVNULL, capture_output=True)
    assert p.returncode == 111
    assert p.stderr.startswith(b"smtpd: fatal: unable to enter ")


def test_few_descriptors_are_a_temporary_failure(site):
    s, theirs = socket.socketpair()
    with theirs, open(site.log, "ab") as log:
        p = subprocess.Popen(
            [SMTPD], stdin=theirs, stdout=theirs, stderr=log,
            env=postern.env(site.home, **site.vars), preexec_fn=lambda:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)))
    with p, s:
        s.settimeout(20)
        s.sendall(UPTO)
        s.shutdown(socket.SHUT_WR)
        assert b"\r\n451 4.3." in read_all(s)
        assert p.wait(20) == 0


def test_an_idle_connection_holds_little_memory(site):
    s, p = site.connect()
    with p, s:
        s.sendall(HELLO)
        got = b""
        while b"ENHANCED" not in got:
            got += s.recv(4096)
        smaps = pathlib.Path(f"/proc/{p.pid}/smaps_rollup").read_text()
        # the program's own pages are shared between connections
        assert int(re.search(r"Anonymous:\s+(\d+)", smaps)[1]) <= 40
        p.send_signal(signal.SIGKILL)


def test_sigpipe_and_log_trouble_harm_nothing(site):
    s, theirs = socket.socketpair()
    r, w = os.pipe()
    os.close(r)
    with theirs:
        p = subprocess.Popen([SMTPD], stdin=theirs, stdout=theirs, stderr=w,
                             env=postern.env(site.home, **site.vars))
    os.close(w)
    with p, s:
        s.settimeout(20)
        s.sendall(UPTO + b".\r\nQUIT\r\n")
        assert b" qp " in read_all(s)
        assert p.wait(20) == 0
    assert len(site.messages()) == 1
