"""qmqpd, qmtpd, qmqpc: with the real queued, spoken to by hand; and nullmailer
as a client."""
import pathlib
import socket
import subprocess
import threading

import pytest

import postern
from queuelib import Queue, envelope, until


@pytest.fixture
def queue(scratch):
    q = Queue(scratch)
    q.control("locals", "test.example")
    q.control("rcpthosts", "test.example")
    q.start()
    yield q
    q.stop()
    print(q.log_text())


def ns(s):
    return b"%d:%s," % (len(s), s)


def qmqp(message, sender, *recipients):
    return ns(ns(message) + ns(sender) + b"".join(map(ns, recipients)))


def qmtp(message, sender, *recipients):
    return ns(message) + ns(sender) + ns(b"".join(map(ns, recipients)))


def answers(data):
    out = []
    while data:
        n, rest = data.split(b":", 1)
        out.append(rest[:int(n)])
        assert rest[int(n):int(n) + 1] == b","
        data = rest[int(n) + 1:]
    return out


def serve(queue, program, data, code=0, **env):
    r = queue.run(program, input=data, env={"TCPREMOTEIP": "192.0.2.7", **env})
    print(r.stdout, r.stderr)
    assert r.returncode == code
    return answers(r.stdout)


BODY = b"Subject: x\n\nbin \x00\xff\r . \n.\n" + b"y" * 20000 + b"\nno newline"


def test_qmqpd_queues_a_message_byte_for_byte(queue):
    got, = serve(queue, "qmqpd", qmqp(BODY, b"s@a.example", b"r@b.example", b"t@c.example"))
    assert got.startswith(b"Kok ") and b" qp " in got
    m = queue.read(queue.messages()[0])
    head, body = m.without_received()[:-len(BODY)], m.body[-len(BODY):]
    assert body == BODY
    assert head.startswith(b"Received: from unknown (192.0.2.7)\n  by unknown with QMQP; ")
    assert m.sender == b"s@a.example" and m.recipients == [b"r@b.example", b"t@c.example"]


@pytest.mark.parametrize("data", [
    b"12:", b"x", b"0" + qmqp(b"m", b"s@x", b"r@x"), b"5:1:a,1", ns(b"9:a,"), ns(ns(b"m") + b"1:"), ns(ns(b"m")),
    ns(ns(b"m") + ns(b"s@x") + ns(b"r@x") + b"z"), qmqp(b"m", b"s@x", b"r@x")[:-1] + b";",
    b"99999999999999999999999:", b"300000000:", ns(b"5:abc,"), b":,"])
def test_what_is_no_qmqp_queues_nothing(queue, data):
    assert serve(queue, "qmqpd", data, code=100) == []
    assert queue.messages() == []


def test_a_cut_connection_queues_nothing(queue):
    whole = qmqp(b"Subject: x\n\nabc\n", b"s@a.example", b"r@b.example")
    for n in range(0, len(whole), 3):
        serve(queue, "qmqpd", whole[:n], code=0 if n == 0 else 100)
    assert queue.messages() == []
    until(lambda: queue.unfinished() == [])


@pytest.mark.parametrize("sender, recipients, databytes, want", [
    (b"s@x", [], None, b"Dno recipient"), (b"s@x", [b"r" * 1003], None, b"Daddress"),
    (b"s\0@x", [b"r@x"], None, b"Daddress"), (b"s@x", [b"r@x"], "5", b"Dsorry, that message"),
    (b"", [b"r" * 1002], "100", b"Kok")])
def test_qmqpd_verdicts(queue, sender, recipients, databytes, want):
    env = {"DATABYTES": databytes} if databytes else {}
    got, = serve(queue, "qmqpd", qmqp(b"Subject: x\n\n", sender, *recipients), **env)
    assert got.startswith(want)
    assert len(queue.messages()) == want.startswith(b"K")


def test_no_queued_is_a_temporary_failure(queue):
    queue.stop()
    got, = serve(queue, "qmqpd", qmqp(b"m\n", b"s@x", b"r@x"))
    assert got.startswith(b"Z")


def test_qmtpd_answers_for_each_recipient_of_each_message(queue):
    names = queue.home / "users/assign"
    names.write_text("=joe:joe:61001:61001:/tmp:::\n.\n")
    queue.run("usersmake")
    data = qmtp(b"\nSubject: 1\n\nunix\n", b"s@a.example", b"joe@test.example",
                b"nobody-here@test.example", b"r@far.example")
    data += qmtp(b"\rSubject: 2\r\n\r\ndos\r\n", b"", b"joe@test.example")
    got = serve(queue, "qmtpd", data)
    assert [g[:4] for g in got] == [b"Kok ", b"Dsor", b"Dsor", b"Kok "]
    assert b"5.1.1" in got[1] and b"5.7.1" in got[2]
    one, two = (queue.read(n) for n in queue.messages())
    assert one.recipients == [b"joe@test.example"] and one.body.endswith(b"\n\nunix\n")
    assert two.body.endswith(b"QMTP; " + two.body.split(b"QMTP; ")[1][:27]
                             + b"Subject: 2\n\ndos\n") or two.body.endswith(b"\n\ndos\n")
    assert b"\r" not in two.body and two.sender == b""


def test_qmtpd_relays_for_relayclient_and_appends_it(queue):
    got, = serve(queue, "qmtpd", qmtp(b"\nx\n", b"s@a.example", b"r@far"), RELAYCLIENT=".example")
    assert got.startswith(b"K")
    assert queue.read(queue.messages()[0]).recipients == [b"r@far.example"]


def test_without_rcpthosts_qmtpd_relays_for_nobody(queue):
    (queue.home / "control/rcpthosts").unlink()
    got, = serve(queue, "qmtpd", qmtp(b"\nx\n", b"s@a.example", b"r@far.example"))
    assert got.startswith(b"D") and queue.messages() == []


@pytest.mark.parametrize("recipient", [
    b"victim%far.example@test.example", b"far.example!victim@test.example",
    b"victim@far.example@test.example", b"victim%far.example", b"victim"])
def test_qmtpd_relays_by_no_detour(queue, recipient):
    """What send makes another host's address of, and what has no domain and gets a foreign one."""
    queue.control("percenthack", "test.example\nhere.example")
    queue.control("envnoathost", "here.example")
    got, = serve(queue, "qmtpd", qmtp(b"\nx\n", b"s@a.example", recipient))
    assert got.startswith(b"D") and b"5.7.1" in got and queue.messages() == []


@pytest.mark.parametrize("message", [b"\rx\n", b"\rx\ry", b"\rx\r", b"\r\r\r\n", b"xyz", b""])
def test_qmtpd_refuses_bare_line_ends_and_unknown_modes(queue, message):
    got, = serve(queue, "qmtpd", qmtp(message, b"s@a.example", b"r@far.example"), RELAYCLIENT="")
    assert got.startswith(b"D") and queue.messages() == []


def test_qmtpd_refused_message_does_not_spoil_the_next(queue):
    data = qmtp(b"\rx\n", b"s@a.example", b"r@x") + qmtp(b"\nok\n", b"s@a.example", b"r@x")
    got = serve(queue, "qmtpd", data, RELAYCLIENT="")
    assert [g[:1] for g in got] == [b"D", b"K"]


class Server(threading.Thread):
    """A QMQP server with one answer."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.answer, self.got, self.clients = answer, b"", 0
        self.start()

    def run(self):
        while True:
            c, _ = self.sock.accept()
            self.clients += 1
            data = b""
            while b":" not in data or len(data) < int(data.split(b":")[0]) + 2 + data.index(b":"):
                more = c.recv(65536)
                if not more:
                    break
                data += more
            self.got = data
            c.sendall(self.answer)
            c.close()


def qmqpc(queue, *servers, body=BODY, env=envelope(b"s@a.example", b"r@b.example") + b"\0"):
    queue.control("qmqpservers", "\n".join(servers))
    envfile = queue.home.parent / "env"
    envfile.write_bytes(env)
    bodyfile = queue.home.parent / "body"
    bodyfile.write_bytes(body)
    r = subprocess.run(["sh", "-c", f"exec {queue.home}/bin/qmqpc <{bodyfile} 1<{envfile}"],
                       env=postern.env(queue.home), timeout=20, capture_output=True)
    print(r.stderr)
    return r.returncode


free_port = postern.free_port


def test_qmqpc_sends_the_message_and_believes_a_k(queue):
    s = Server(ns(b"Kok"))
    assert qmqpc(queue, f"127.0.0.1:{s.port}") == 0
    assert s.got == qmqp(BODY, b"s@a.example", b"r@b.example")


@pytest.mark.parametrize("answer, code", [
    (ns(b"Dno"), 31), (ns(b"Zlater"), 71), (b"", 74), (b"5:Kok", 74), (b"x", 74), (ns(b""), 74),
    (ns(b"Q"), 71)])
def test_qmqpc_exit_codes(queue, answer, code):
    s = Server(answer)
    assert qmqpc(queue, f"127.0.0.1:{s.port}") == code


def test_qmqpc_takes_the_next_server_in_order(queue):
    down, z, good, spare = free_port(), Server(ns(b"Zlater")), Server(ns(b"Kok")), Server(ns(b"K"))
    assert qmqpc(queue, f"127.0.0.1:{down}", f"127.0.0.1:{z.port}", f"127.0.0.1:{good.port}",
                 f"127.0.0.1:{spare.port}") == 0
    assert (z.clients, good.clients, spare.clients) == (1, 1, 0)
    no = Server(ns(b"Dno"))
    assert qmqpc(queue, f"127.0.0.1:{no.port}", f"127.0.0.1:{spare.port}") == 31
    assert spare.clients == 0


def test_qmqpc_without_servers_or_with_nonsense(queue):
    assert qmqpc(queue) == 55
    assert qmqpc(queue, "mail.example") == 55
    assert qmqpc(queue, f"127.0.0.1:{free_port()}") == 73
    s = Server(ns(b"Kok"))
    assert qmqpc(queue, f"127.0.0.1:{s.port}", env=b"Fs@x\0Tr@x\0") == 54
    assert qmqpc(queue, f"127.0.0.1:{s.port}", env=b"X\0\0") == 91
    assert s.clients == 0


def listening(queue, program, port):
    """That program behind listen, everybody let in."""
    return subprocess.Popen([queue.home / "bin/listen", "-X", "-x", "rules/none.cdb", "127.0.0.1",
                             str(port), queue.home / "bin" / program], env=postern.env(queue.home),
                            cwd=queue.home)


def reach(port):
    def there():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False
    until(there)


def test_from_host_to_host(queue, scratch):
    """inject with QMAILQUEUE=qmqpc at the front, qmqpd and queued behind."""
    port = free_port()
    p = listening(queue, "qmqpd", port)
    try:
        reach(port)
        queue.control("qmqpservers", f"127.0.0.1:{port}")
        r = queue.run("inject", "-fs@a.example", "r@b.example", input=b"Subject: far\n\nhello\n",
                      env={"QMAILQUEUE": str(queue.home / "bin/qmqpc")})
        assert r.returncode == 0, r.stderr
    finally:
        p.terminate()
        p.wait(10)
    m = queue.read(queue.messages()[0])
    assert m.recipients == [b"r@b.example"] and m.body.endswith(b"\n\nhello\n")


def test_nullmailer_queues_through_qmqpd(queue, scratch):
    """Debian's nullmailer, unpacked, not installed."""
    cache = pathlib.Path("/var/cache/apt/archives")
    debs = sorted(cache.glob("nullmailer_*.deb"))
    if not debs:
        r = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download",
                            "nullmailer"], cwd=scratch, timeout=60, capture_output=True)
        debs = sorted(scratch.glob("nullmailer_*.deb"))
        if r.returncode or not debs:
            pytest.skip("Debian's nullmailer cannot be had")
    subprocess.run(["dpkg", "-x", debs[-1], scratch / "nullmailer"], check=True)
    port = free_port()
    p = listening(queue, "qmqpd", port)
    body = b"Subject: null\n\n" + b"".join(b"line %d .\n" % n for n in range(5000))
    (scratch / "message").write_bytes(b"s@a.example\nr@b.example\nt@b.example\n\n" + body)
    try:
        reach(port)
        with open(scratch / "message", "rb") as f:
            r = subprocess.run(["sh", "-c", f"exec 3<&0 </dev/null {scratch}/nullmailer/usr/lib/"
                                f"nullmailer/qmqp --host=127.0.0.1 --port={port}"], stdin=f,
                               timeout=20, capture_output=True)
        print(r)
        assert r.returncode == 0
    finally:
        p.terminate()
        p.wait(10)
    m = queue.read(queue.messages()[0])
    assert m.sender == b"s@a.example" and m.recipients == [b"r@b.example", b"t@b.example"]
    assert m.body.endswith(body)
