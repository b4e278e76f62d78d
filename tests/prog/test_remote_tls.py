"""remote and tlsconnect: what is encrypted, whose certificate is believed, and
what happens where TLS goes wrong."""
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

import certs
import postern
from dnsstub import A, AAAA, CNAME, MX, TLSA, DnsStub, name, rr
from hostile import EHLO, Close, Smtp
from remotelib import BODY, Home, Job

SENT = b"Received: from x\r\nSubject: hi\r\n\r\nhello\r\n"
ARGS = ("d.example", "s@a.example", "r@d.example")
OFFERS = EHLO.replace(b"250 8BIT", b"250-STARTTLS\r\n250 8BIT")


@pytest.fixture(scope="module")
def keys():
    return certs.shared()


@pytest.fixture
def home(scratch, keys):
    h = Home(scratch)
    h.control(notipme="127.0.0.0/8")
    h.ca = str(keys.ca)
    return h


@pytest.fixture
def job(home):
    j = Job(home, SSL_CERT_FILE=home.ca)
    yield j
    assert j.end() == 0


def send(home, server, policy="", user="", args=ARGS, relay=None, **env):
    """One message to a server that stands on 127.0.0.1."""
    relay = server.host if relay is None else relay
    home.control(smtproutes=f":{relay}:{server.port}|{user}|{policy}" if user
                 else f":{relay}:{server.port}|||{policy}")
    return home.run(*args, SSL_CERT_FILE=home.ca, **env)


def encrypted(report, how="unverified"):
    return re.search(rb"\AK127.0.0.1 accepted message.\nRemote host said: .*\n"
                     rb"Encrypted: TLSv1.[23] \S+ %s\n\Z" % how.encode(), report[-1])


def server_names(context):
    """The names that clients send, as they come."""
    seen = []
    context.sni_callback = lambda sock, name, ctx: seen.append(name)
    return seen


# opportunistic

def test_starttls_where_it_is_offered(home, keys):
    with Smtp(tls=keys.self_signed.context()) as s:
        assert encrypted(send(home, s))
        assert s.messages == [SENT] and s.sessions[0].tls == "TLSv1.3"
        s.wait(lambda s: s.sessions[0].ended)
        assert s.sessions[0].verbs() == [b"EHLO", b"STARTTLS", b"EHLO", b"MAIL", b"RCPT", b"DATA",
                                         b"QUIT"]


def test_large_message_comes_through_whole(home, keys):
    body = os.urandom(3_000_000).replace(b"\r", b"x") + b"\n"
    with Smtp(tls=keys.self_signed.context(), EHLO=lambda s, _: OFFERS.replace(b"1000000", b"0")) as s:
        home.control(smtproutes=f":127.0.0.1:{s.port}")
        assert encrypted(home.run(*ARGS, body=body))
        assert s.messages[0].replace(b"\r\n..", b"\r\n.").replace(b"\r\n", b"\n") == body


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions(home, keys, version):
    context = keys.mx.context(minimum_version=version, maximum_version=version)
    with Smtp(tls=context) as s:
        assert encrypted(send(home, s, "encrypt"))
        assert s.sessions[0].tls == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_not_spoken(home, keys):
    context = keys.mx.context(minimum_version=ssl.TLSVersion.TLSv1,
                              maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with Smtp(tls=context) as s:
        assert re.match(rb"ZConnected to 127.0.0.1 but TLS failed: .+ \(#4.7.5\)\n",
                        send(home, s, "encrypt")[-1])
        assert s.messages == []


def test_no_tls_where_it_is_not_offered_or_not_wanted(home, keys):
    with Smtp() as s:
        assert b"Encrypted" not in send(home, s)[-1] and s.messages == [SENT]
    with Smtp(tls=keys.mx.context()) as s:
        assert b"Encrypted" not in send(home, s, "notls")[-1] and s.messages == [SENT]
        assert b"STARTTLS" not in s.commands


def test_refused_starttls_goes_on_in_the_clear(home, keys):
    with Smtp(tls=keys.mx.context(), STARTTLS=b"454 not now\r\n") as s:
        assert send(home, s)[-1][:1] == b"K" and len(s.sessions) == 1
        report = send(home, s, "encrypt")[-1]
        assert report == b"ZConnected to 127.0.0.1 but STARTTLS was refused.\n" \
            b"Remote host said: 454 not now\n"


class Garbage:
    """A server that answers STARTTLS well and then speaks something else,
    to the first client only."""

    def __init__(self, said, then=Close(b"")):
        self.said, self.then, self.times = said, then, 0

    def __call__(self, session, _):
        self.times += 1
        session.conn.sendall(b"220 go\r\n")
        if self.said is not None:
            session.conn.recv(1)       # the handshake begins
            session.conn.sendall(self.said)
        else:
            try:
                session.conn.settimeout(20)
                while session.conn.recv(4096):
                    pass
            except OSError:
                pass
        return self.then


@pytest.mark.parametrize("said", [b"", b"250 ok\r\n", b"\x15\x03\x03\x00\x02\x02\x28",
                                  b"\x16\x03\x03\xff\xff" + b"x" * 70000, b"\0" * 5,
                                  bytes(range(256)) * 200])
def test_handshake_that_fails_means_plain_text_on_a_new_connection(home, keys, said):
    with Smtp(EHLO=OFFERS, STARTTLS=Garbage(said)) as s:
        report = send(home, s)
        assert report[-1].startswith(b"K127.0.0.1 accepted") and s.messages == [SENT]
        assert b"Not encrypted, for TLS failed: " in report[-1]
        assert len(s.sessions) == 2 and b"STARTTLS" not in s.sessions[1].commands
        report = send(home, s, "encrypt")
        assert report[-1].startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")
        assert len(s.messages) == 1


def test_handshake_that_never_ends(home):
    home.control(timeoutremote="2")
    with Smtp(EHLO=OFFERS, STARTTLS=Garbage(None)) as s:
        begin = time.monotonic()
        report = send(home, s, "encrypt")
        assert report[-1].startswith(b"ZConnected to 127.0.0.1 but TLS failed: "), report
        assert time.monotonic() - begin < 20


# STARTTLS injection

@pytest.mark.parametrize("behind", [b"250-AUTH PLAIN\r\n", b"250 x\r\n" * 20, b"x", b"\0", b"\n"])
def test_bytes_behind_the_answer_to_starttls_are_never_used(home, keys, behind):
    """CVE-2011-0411, seen from the client's side."""
    with Smtp(tls=keys.mx.context(), STARTTLS=b"220 go\r\n" + behind) as s:
        report = send(home, s, "encrypt")
        assert report == [b"ZConnected to 127.0.0.1 but it sent more behind its answer to STARTTLS. "
                          b"(#4.7.5)\n"]
        assert s.messages == [] and len(s.sessions) == 1


def test_bytes_that_come_a_little_later_break_the_handshake(home, keys):
    def late(session, _):
        session.conn.sendall(b"220 go\r\n")
        time.sleep(0.2)
        return Close(b"250-AUTH PLAIN\r\n250 x\r\n")
    with Smtp(tls=keys.mx.context(), STARTTLS=late) as s:
        assert send(home, s, "encrypt")[-1].startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")


def test_what_was_offered_in_the_clear_is_forgotten(home, keys):
    """AUTH and SIZE of the first EHLO were anybody's."""
    first = b"250-x\r\n250-STARTTLS\r\n250-SIZE 1\r\n250 AUTH PLAIN\r\n"
    with Smtp(tls=keys.mx.context(), EHLO=lambda s, _: b"250 x\r\n" if s.tls else first) as s:
        assert encrypted(send(home, s)) and s.messages == [SENT]
        report = send(home, s, "encrypt", user="me|secret")
        assert b"offers no AUTH" in report[-1]


# whose certificate

def names(q):
    if q.kind == MX:
        return q.reply(rr(b"\xc0\x0c", MX, b"\0\x0a" + name("mx.example")))
    return q.a("127.0.0.1") if q.kind == A else q.reply()


def test_verify_asks_for_authority_and_name(home, keys):
    with DnsStub(names) as dns:
        def to(context, policy, **kw):
            with Smtp(tls=context) as s:
                return send(home, s, policy, DNSCACHEIP=dns.address, **kw)
        context = keys.mx.context()
        seen = server_names(context)
        assert encrypted(to(context, "verify", relay=""), "ca") and seen == ["mx.example"]
        assert encrypted(to(context, "verify", relay="mx.example"), "ca")
        assert encrypted(to(keys.other.context(), "verify=other.example", relay=""), "ca")
        assert encrypted(to(keys.mx.context(), "verify=.example", relay=""), "ca")
        for cert, policy in ((keys.other, "verify"), (keys.mx, "verify=x.example"),
                             (keys.mx, "verify=.mx.example")):
            assert b"TLS failed: hostname mismatch. " in to(cert.context(), policy, relay="")[-1]
        assert b"TLS failed: self-signed certificate. " in to(
            keys.self_signed.context(), "verify", relay="")[-1]
        assert b"it does not offer STARTTLS, and its policy asks for TLS" in to(None, "verify")[-1]


def test_certificate_for_an_address(home, keys):
    with Smtp(tls=keys.make("here.example", names=("IP:127.0.0.1",)).context()) as s:
        assert encrypted(send(home, s, "verify"), "ca")
    with Smtp(tls=keys.mx.context()) as s:
        assert b"TLS failed: IP address mismatch" in send(home, s, "verify")[-1]


def test_expired_certificate_is_refused_where_it_counts(home, keys):
    old = keys.make("old.example", days=-1)
    with Smtp(tls=old.context()) as s:
        assert b"certificate has expired" in send(home, s, "verify=old.example")[-1]
        assert encrypted(send(home, s, "encrypt"))


def test_pinned_certificate_or_key(home, keys):
    with Smtp(tls=keys.self_signed.context()) as s:
        for digest in keys.self_signed.sha256, keys.self_signed.spki.upper():
            assert encrypted(send(home, s, "pin=" + digest), "dane")
            colons = ":".join(re.findall("..", digest))
            assert encrypted(send(home, s, "pin=" + colons), "dane")
        assert b"TLS failed: " in send(home, s, "pin=" + keys.mx.sha256)[-1]
        assert len(s.messages) == 4


def test_policy_that_is_malformed(home):
    with Smtp() as s:
        for policy in ("verify,may", "pin=12", "pin", "tls", "encrypt=x", "smtps,notls", "verify="):
            assert b"smtproutes is malformed" in send(home, s, policy)[-1], policy


# a password

def test_password_goes_to_a_verified_server_only(home, keys):
    with DnsStub(names) as dns:
        # a name on another address than loopback's is what a smarthost has
        home.control(notipme="127.0.0.0/8")
        answers = {"EHLO": lambda s, _: b"250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
                   "AUTH": b"235 ok\r\n"}
        with Smtp(tls=keys.mx.context(), **answers) as s:
            report = send(home, s, "verify", user="me|secret", relay="mx.example",
                          DNSCACHEIP=dns.address)
            assert encrypted(report, "ca")
            verbs = s.sessions[0].verbs()
            assert verbs.index(b"AUTH") > verbs.index(b"STARTTLS")


# TLS at once

def test_implicit_tls(home, keys):
    with Smtp(tls=keys.self_signed.context(), at_once=True) as s:
        assert encrypted(send(home, s, "smtps")) and s.messages == [SENT]
        assert b"STARTTLS" not in s.commands
    with Smtp() as s:   # never in the clear
        assert b"TLS failed: " in send(home, s, "smtps")[-1]
        assert not any(c.startswith((b"EHLO", b"MAIL")) for c in s.commands)


# a kept connection

def test_encrypted_connection_is_kept(home, job, keys):
    with Smtp(tls=keys.self_signed.context()) as s:
        home.to(s)
        for _ in range(3):
            assert encrypted(job.deliver())
        assert len(s.sessions) == 1 and len(s.messages) == 3


def test_another_policy_is_another_connection(home, job, keys):
    with Smtp(tls=keys.self_signed.context()) as s:
        for policy in "may", "notls", "encrypt", "pin=" + keys.self_signed.sha256:
            home.control(smtproutes=f":127.0.0.1:{s.port}|||{policy}")
            time.sleep(1.1)     # settings are read once a second
            assert job.deliver()[-1][:1] == b"K"
        assert len(s.sessions) == 4
        home.control(smtproutes=f":127.0.0.1:{s.port}|||pin=" + keys.mx.sha256)
        time.sleep(1.1)
        assert b"TLS failed" in job.deliver()[-1]
        assert len(s.messages) == 4


def test_connection_that_the_server_closed_is_opened_anew(home, job, keys):
    with Smtp(tls=keys.self_signed.context()) as s:
        home.to(s)
        assert encrypted(job.deliver())
        s.sessions[0].conn.shutdown(socket.SHUT_RDWR)
        assert encrypted(job.deliver())
        assert len(s.sessions) == 2


# DANE

SECURE, PLAIN = 0x81a0, 0x8180


class Zone:
    """mx.example for d.example, with TLSA records; flags: is it signed?"""

    def __init__(self, *records, flags=SECURE, tlsa_flags=None, rcode=0, mx_flags=None, cname=None):
        self.records, self.flags, self.rcode = records, flags, rcode
        self.tlsa_flags = flags if tlsa_flags is None else tlsa_flags
        self.mx_flags = flags if mx_flags is None else mx_flags
        self.cname, self.asked = cname, []

    def __call__(self, q):
        owner = b"\xc0\x0c"
        if q.kind == MX:
            return q.reply(rr(owner, MX, b"\0\x0a" + name("mx.example")), flags=self.mx_flags)
        if q.kind == TLSA:
            self.asked.append(q.name)
            here = q.name.endswith("._tcp." + (self.cname or "mx.example"))
            found = self.records if here else ()
            return q.reply(*[rr(owner, TLSA, bytes(r[:3]) + bytes.fromhex(r[3])) for r in found],
                           flags=self.tlsa_flags, rcode=self.rcode)
        if q.kind == A:
            if self.cname and q.name == "mx.example":
                return q.reply(rr(owner, CNAME, name(self.cname)),
                               rr(self.cname, A, b"\x7f\0\0\1"), flags=self.flags)
            return q.reply(rr(owner, A, b"\x7f\0\0\1"), flags=self.flags)
        return q.reply(flags=self.flags)


def dane(home, zone, context, policy="", **kw):
    with Smtp(tls=context) as s, DnsStub(zone) as dns:
        return send(home, s, policy, relay="", DNSCACHEIP=dns.address, **kw), s


def test_dane_certificate_or_key(home, keys):
    alone = keys.self_signed
    der = alone.der.hex()
    for record in ((3, 1, 1, alone.spki), (3, 0, 1, alone.sha256), (3, 0, 0, der)):
        zone = Zone(record, (3, 1, 1, "00" * 32))
        report, s = dane(home, zone, alone.context())
        assert encrypted(report, "dane"), record
        assert zone.asked == [f"_{s.port}._tcp.mx.example"]
    old = keys.make("older.example", days=-1, by=None)
    assert encrypted(dane(home, Zone((3, 1, 1, old.spki)), old.context())[0], "dane")


def test_dane_authority(home, keys):
    ca = keys.authority
    assert encrypted(dane(home, Zone((2, 0, 1, ca.sha256)), keys.mx.context())[0], "dane")
    assert encrypted(dane(home, Zone((2, 1, 1, ca.spki)), keys.mx.context())[0], "dane")
    domain = keys.make("d.example").context()
    assert encrypted(dane(home, Zone((2, 0, 1, ca.sha256)), domain)[0], "dane")
    report, s = dane(home, Zone((2, 0, 1, ca.sha256)), keys.other.context())
    assert b"hostname mismatch" in report[-1] and s.messages == []


def test_dane_mismatch_is_never_delivered(home, keys):
    for policy in "", "dane", "dane-only":
        report, s = dane(home, Zone((3, 1, 1, keys.other.spki)), keys.mx.context(), policy)
        assert report[-1].startswith(b"ZConnected to 127.0.0.1 but TLS failed: "), policy
        assert s.messages == []


def test_dane_means_tls(home, keys):
    report, s = dane(home, Zone((3, 1, 1, keys.mx.spki)), None)
    assert b"does not offer STARTTLS, and its TLSA record asks for TLS" in report[-1]
    assert s.messages == []


def test_records_that_cannot_be_used_ask_for_encryption_alone(home, keys):
    for record in ((0, 1, 1, keys.mx.spki), (1, 0, 1, keys.mx.sha256), (3, 2, 1, keys.mx.spki),
                   (3, 1, 9, keys.mx.spki), (3, 1, 1, keys.mx.spki[:-2])):
        report, s = dane(home, Zone(record), keys.self_signed.context())
        assert encrypted(report), record
        assert b"asks for TLS" in dane(home, Zone(record), None)[0][-1]
        report, s = dane(home, Zone(record), keys.mx.context(), "dane-only")
        assert b"asks for a TLSA record that can be used" in report[-1] and s.sessions == []


@pytest.mark.parametrize("zone", [
    {"flags": PLAIN}, {"flags": SECURE, "mx_flags": PLAIN}, {"flags": PLAIN, "mx_flags": SECURE},
    {"flags": SECURE, "tlsa_flags": PLAIN}])
def test_records_without_dnssec_are_nobodys(home, keys, zone):
    records = (3, 1, 1, keys.other.spki)
    assert encrypted(dane(home, Zone(records, **zone), keys.mx.context())[0])
    report, s = dane(home, Zone(records, **zone), keys.mx.context(), "dane-only")
    assert b"DNS has none that is secure" in report[-1] and s.messages == []


def test_no_records_is_opportunistic(home, keys):
    for rcode in 0, 3:
        assert encrypted(dane(home, Zone(rcode=rcode), keys.self_signed.context())[0])
        assert dane(home, Zone(rcode=rcode), None)[0][-1][:1] == b"K"


def test_dane_lookup_that_fails_is_waited_for(home, keys):
    report, s = dane(home, Zone(rcode=2), keys.mx.context())
    assert report == [b"ZNot sent to 127.0.0.1: DNS does not say for now which certificate it has "
                      b"(DANE). (#4.7.0)\n"]
    assert s.sessions == []
    assert encrypted(dane(home, Zone(rcode=2), keys.mx.context(), "may")[0])


def test_dane_where_the_cname_leads_and_then_at_the_name_itself(home, keys):
    real = Zone((3, 1, 1, keys.mx.spki), cname="real.example")
    context = keys.mx.context()
    seen = server_names(context)
    report, s = dane(home, real, context)
    assert encrypted(report, "dane") and seen == ["real.example"]
    assert real.asked == [f"_{s.port}._tcp.real.example"]

    class Itself(Zone):
        def __call__(self, q):
            if q.kind == TLSA and "real" in q.name:
                self.asked.append(q.name)
                return q.reply(flags=SECURE, rcode=3)
            if q.kind == TLSA:
                self.cname, before = None, self.cname
                try:
                    return super().__call__(q)
                finally:
                    self.cname = before
            return super().__call__(q)
    zone = Itself((3, 1, 1, keys.mx.spki), cname="real.example")
    report, s = dane(home, zone, context)
    assert encrypted(report, "dane") and seen[1:] == ["mx.example"]
    assert [n.split("._tcp.")[1] for n in zone.asked] == ["real.example", "mx.example"]


def test_next_host_where_dane_fails(home, keys):
    """Two exchangers: the better one shows the wrong certificate."""
    def zone(q):
        if q.kind == MX:
            return q.reply(rr(b"\xc0\x0c", MX, b"\0\x0a" + name("bad.example")),
                           rr(b"\xc0\x0c", MX, b"\0\x14" + name("mx.example")), flags=SECURE)
        if q.kind == TLSA:
            return q.reply(rr(b"\xc0\x0c", TLSA, b"\3\1\1" + bytes.fromhex(keys.mx.spki)), flags=SECURE)
        if q.kind == A:
            return q.reply(rr(b"\xc0\x0c", A, b"\x7f\0\1\1" if q.name.startswith("bad") else b"\x7f\0\1\2"),
                           flags=SECURE)
        return q.reply(flags=SECURE)
    with Smtp(host="127.0.1.1", tls=keys.other.context()) as bad, \
            Smtp(host="127.0.1.2", port=bad.port, tls=keys.mx.context()) as good, DnsStub(zone) as dns:
        report = send(home, good, relay="", DNSCACHEIP=dns.address)
        assert report[-1].startswith(b"K127.0.1.2 accepted")
        assert b" dane\n" in report[-1] and bad.messages == [] and len(bad.sessions) == 1


# what tlsconnect may do

def test_tlsconnect_has_two_sockets_and_no_rights(home, job, keys):
    seen = {}

    def look(session, _):
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(p / "exe") == str(home.dir / "bin/tlsconnect"):
                    status = (p / "status").read_text()
                    fds = {f.name: os.readlink(f) for f in (p / "fd").iterdir()}
                    seen[p.name] = status, fds
            except OSError:
                pass
        return b"250 ok\r\n"
    with Smtp(tls=keys.mx.context(), MAIL=look) as s:
        home.control(smtproutes=f":127.0.0.1:{s.port}|||verify=mx.example")
        assert encrypted(job.deliver(), "ca")
    [(status, fds)] = seen.values()
    assert "NoNewPrivs:\t1\nSeccomp:\t2" in status
    assert set(fds) == {"0", "1", "2"} and fds["0"].startswith("socket:") and fds["1"].startswith("socket:")
    assert fds["2"].startswith("pipe:")


def tlsconnect(keys, *args):
    """The program, and both ends: (process, the network's, the clear side)."""
    net, theirs = socket.socketpair()
    clear, his = socket.socketpair()
    p = subprocess.Popen([postern.TREE / "tls/tlsconnect", *args], stdin=theirs, stdout=his,
                         stderr=subprocess.PIPE, env={"SSL_CERT_FILE": str(keys.ca)})
    theirs.close()
    his.close()
    for s in net, clear:
        s.settimeout(20)
    return p, net, clear


def test_arguments_that_make_no_sense(keys):
    for args in (["x"], ["-t", "0"], ["-t", "1x"], ["-q"], ["-v", "-d", "3:1:1:00"]):
        p, net, clear = tlsconnect(keys, *args)
        assert p.wait(10) == 100, args
        p.stderr.close()
    p, net, clear = tlsconnect(keys, "-d", "3:1:1:zz", "-d", "3:1:1", "-d", "x")
    assert clear.recv(100) == b"-no TLSA record is usable\n" and p.wait(10) == 0
    p.stderr.close()


def test_authorities_are_those_of_debian(keys):
    """With the file of all of them in its place, and no variable."""
    net, theirs = socket.socketpair()
    clear, his = socket.socketpair()
    script = 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
    p = subprocess.Popen(["unshare", "-m", "sh", "-c", script, keys.ca, postern.TREE / "tls/tlsconnect",
                          "-v", "-n", "mx.example"], stdin=theirs, stdout=his)
    theirs.close()
    his.close()
    server = keys.mx.context().wrap_socket(net, server_side=True)
    clear.settimeout(20)
    assert re.match(rb"\+TLSv1.3 \S+ ca\n", clear.recv(200))
    clear.close()
    server.close()
    assert p.wait(15) == 0


def test_what_was_said_last_still_goes_out(keys):
    p, net, clear = tlsconnect(keys, "-s", "mx.example")
    server = keys.mx.context().wrap_socket(net, server_side=True, do_handshake_on_connect=False)
    server.do_handshake()
    assert clear.recv(200).startswith(b"+TLSv1.3 ")
    clear.sendall(b"x" * 100_000 + b"QUIT\r\n")
    clear.close()
    got = b""
    while part := server.recv(65536):
        got += part
    assert got == b"x" * 100_000 + b"QUIT\r\n"
    assert p.wait(15) == 0
    p.stderr.close()


def test_end_of_either_side_is_the_end(keys):
    for how in "server", "server without good-bye", "caller":
        p, net, clear = tlsconnect(keys)
        server = keys.mx.context().wrap_socket(net, server_side=True)
        server.sendall(b"last words")
        got = b""
        while not got.endswith(b"last words"):
            got += clear.recv(100)
        assert got.startswith(b"+TLSv1.3 "), how
        if how == "server":
            server.setblocking(False)
            try:
                server.unwrap()
            except OSError:
                pass
        if how != "caller":
            server.close()
            assert clear.recv(100) == b"", how
        clear.close()
        assert p.wait(15) == 0, how
        p.stderr.close()
        server.close()


@pytest.mark.parametrize("moment, says", [
    ("EHLO", Close(b"")), ("MAIL", Close(b"250-x\r\n" * 100_000)), ("RCPT", b"x" * 200_000),
    ("END", Close(b"")), ("GREETING", b"220 x\r\n250 early\r\n")])
def test_hostile_servers_over_tls(home, keys, moment, says):
    with Smtp(tls=keys.mx.context(), at_once=True, **{moment: says}) as s:
        begin = time.monotonic()
        text = send(home, s, "smtps")[-1]
        assert text[:1] == b"Z" and time.monotonic() - begin < 20
        assert (b"Possible duplicate!" in text) == (moment == "END")
