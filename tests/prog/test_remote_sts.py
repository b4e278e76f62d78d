"""MTA-STS: remote, dnsq, stsfetch and curl, a web server on loopback, and a
certificate authority of the test's own."""
import socket
import threading

import pytest

import certs
from dnsstub import A, MX, TXT, DnsStub, name, rr, txt
from hostile import Smtp
from remotelib import Home, Job
from test_remote_tls import encrypted

ARGS = ("d.example", "s@a.example", "r@d.example")
POLICY = "version: STSv1\r\nmode: {mode}\r\nmax_age: {age}\r\nmx: {mx}\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def policy(mode="enforce", mx="mx.example", age=86400):
    return POLICY.format(mode=mode, mx=mx, age=age).encode()


class Web:
    """An HTTPS server that says what it is told to say: a whole response, or
    a function that gets the connection."""

    def __init__(self, cert):
        self.context, self.asked, self.says = cert.context(), [], None
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            with self.context.wrap_socket(conn, server_side=True) as c:
                request = c.recv(65536)
                if not request:
                    return
                self.asked.append(request.split(b"\r\n")[0])
                self.host = request
                if callable(self.says):
                    self.says(c)
                else:
                    c.sendall(self.says)
        except OSError:
            pass

    def gives(self, body):
        self.says = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def keys():
    k = certs.shared()
    k.web = k.make("mta-sts.d.example")
    return k


class Domain:
    """d.example with its exchanger, its record, and its web server."""

    def __init__(self, home, keys, **kw):
        self.home, self.keys, self.id = home, keys, b"1"
        self.web = Web(kw.get("web", keys.web)).__enter__()
        self.smtp = Smtp(tls=kw.get("cert", keys.mx).context() if kw.get("cert", 1) else None).__enter__()
        self.dns = DnsStub(self.answer).__enter__()
        home.control(smtproutes=f"::{self.smtp.port}", notipme="127.0.0.0/8", mtasts="1")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.web, self.smtp, self.dns:
            s.__exit__()

    def answer(self, q):
        if q.kind == MX:
            return q.reply(rr(b"\xc0\x0c", MX, b"\0\x0a" + name("mx.example")))
        if q.kind == TXT and q.name == "_mta-sts.d.example":
            if self.id is None:
                return q.reply(rcode=2)
            return q.reply(*[rr(b"\xc0\x0c", TXT, txt(b"v=STSv1; id=" + i + b";"))
                             for i in self.id.split()])
        return q.a("127.0.0.1") if q.kind == A else q.reply()

    def env(self):
        return {"DNSCACHEIP": self.dns.address, "SSL_CERT_FILE": str(self.keys.ca),
                "STSPORT": str(self.web.port)}

    def send(self):
        return self.home.run(*ARGS, **self.env())

    def kept(self):
        return self.home.dir / "remote/sts/d.example"


@pytest.fixture
def home(scratch):
    return Home(scratch)


def test_enforced_policy_asks_for_a_certificate_and_is_kept(home, keys):
    with Domain(home, keys) as d:
        d.web.gives(policy())
        for _ in range(2):
            assert encrypted(d.send(), "ca")
        assert d.web.asked == [b"GET /.well-known/mta-sts.txt HTTP/1.1"]
        assert b"Host: mta-sts.d.example:" in d.web.host
        assert d.kept().read_text().startswith("id 1\nuntil ")
        assert d.kept().stat().st_mode & 0o777 == 0o600


def test_policy_is_fetched_anew_for_a_new_id(home, keys):
    with Domain(home, keys) as d:
        d.web.gives(policy())
        d.send()
        d.id = b"2"
        d.web.gives(policy(mx="*.other.example"))
        assert d.send()[-1] == b"ZNot sent to 127.0.0.1: the domain does not name mx.example in its " \
            b"MTA-STS policy. (#4.7.5)\n"
        assert len(d.web.asked) == 2


@pytest.mark.parametrize("cert", ["self_signed", "other", None])
def test_server_without_the_right_certificate_gets_nothing(home, keys, cert):
    with Domain(home, keys, cert=cert and getattr(keys, cert)) as d:
        d.web.gives(policy())
        text = d.send()[-1]
        assert b"TLS failed: " in text if cert else \
            b"does not offer STARTTLS, and the policy of its domain (MTA-STS) asks for TLS" in text
        assert d.smtp.messages == []


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_policy_that_is_not_enforced_is_nothing(home, keys, mode):
    with Domain(home, keys, cert=None) as d:
        d.web.gives(policy(mode, mx="nobody.example"))
        assert d.send()[-1][:1] == b"K" and d.send()[-1][:1] == b"K"
        assert len(d.web.asked) == 1


def test_kept_policy_outlives_record_and_web_server(home, keys):
    with Domain(home, keys) as d:
        d.web.gives(policy())
        d.send()
        for d.id in b"", None, b"3":    # gone, SERVFAIL, new but not to be had
            d.web.says = b"HTTP/1.1 500 no\r\n\r\n"
            assert encrypted(d.send(), "ca"), d.id
        assert len(d.web.asked) == 2
        assert encrypted(d.send(), "ca") and len(d.web.asked) == 2  # not asked again and again
        text = d.kept().read_text()
        d.kept().write_text(text.replace(text.split("\n")[1], "until 1000"))
        d.id = b""
        assert encrypted(d.send())      # it has ended


def redirect(c):
    c.sendall(b"HTTP/1.1 301 moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: %d\r\n\r\n"
              % len(policy()) + policy())


@pytest.mark.parametrize("says", [
    b"", b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n", redirect,
    OK + b"Content-Length: 900000\r\n\r\n" + policy() + b"x: y\r\n" * 150000,
    OK + b"\r\n" + policy() + b"x: y\r\n" * 150000,
    OK + b"Content-Length: 500\r\n\r\n" + policy(), OK + b"\r\n<html>hello</html>",
    b"SSH-2.0-x\r\n", OK + b"\r\n" + policy().replace(b"STSv1", b"STSv2"),
    OK.replace(b"plain", b"html") + b"\r\n" + policy(),
    OK.replace(b"plain", b"plaintext") + b"\r\n" + policy(),
    b"HTTP/1.1 200 OK\r\n\r\n" + policy() + b"\n200 text/plain"])
def test_web_server_from_hell_is_no_policy(home, keys, says):
    with Domain(home, keys, cert=keys.self_signed) as d:
        d.web.says = says
        assert encrypted(d.send())
        assert d.kept().read_text().startswith("id -\nuntil 0\nretry ")
        assert encrypted(d.send()) and len(d.web.asked) == 1


def test_the_type_of_a_policy_may_have_parameters(home, keys):
    with Domain(home, keys, cert=keys.self_signed) as d:
        d.web.says = OK.replace(b"text/plain", b"Text/Plain; charset=utf-8") + b"\r\n" + policy()
        d.send()
        assert d.kept().read_text().startswith("id 1")


def test_web_server_needs_a_certificate_of_its_name(home, keys):
    for cert in keys.other, keys.self_signed:
        with Domain(home, keys, web=cert, cert=keys.self_signed) as d:
            d.web.gives(policy())
            assert encrypted(d.send()) and d.web.asked == []
            d.kept().unlink()


def test_two_records_are_none_and_nothing_is_asked_where_it_is_off(home, keys):
    with Domain(home, keys, cert=keys.self_signed) as d:
        d.web.gives(policy())
        d.id = b"1 2"
        assert encrypted(d.send())
        d.id = b"1"
        home.control(mtasts="0")
        assert encrypted(d.send())
        home.control(mtasts="1", smtproutes=f":127.0.0.1:{d.smtp.port}")
        assert encrypted(d.send())
        home.control(smtproutes=f"::{d.smtp.port}|||may")
        assert encrypted(d.send())
        assert d.web.asked == [] and not d.kept().exists()


def test_damaged_files_are_not_there(home, keys):
    with Domain(home, keys, cert=keys.self_signed) as d:
        d.id = b""
        for text in (b"", b"id", b"id 1\nuntil x\nretry 0\n", b"\0" * 100, b"id 1\nuntil 9999999999\n",
                     b"id " + b"1" * 99 + b"\nuntil 9999999999\nretry 0\n" + policy(),
                     b"x" * 200000):
            d.kept().write_bytes(text)
            assert encrypted(d.send()), text


def test_under_its_own_sandbox(home, keys):
    with Domain(home, keys) as d:
        d.web.gives(policy())
        job = Job(home, **d.env())
        assert encrypted(job.deliver(), "ca")
        assert len(d.web.asked) == 1
        assert job.end() == 0
