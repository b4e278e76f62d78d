import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import postern
from dnsstub import (A, CNAME, MX, PTR, TLSA, TXT, AAAA, DnsStub, Elsewhere,
                     Later, name, rr, txt)

DNSQ = postern.TREE / "rblcheck/dnsq"
SELF = b"\xc0\x0c"


def dnsq(server, *args, stdin=None, **env):
    address = server if isinstance(server, str) else server.address
    return subprocess.run([DNSQ, *args], input=stdin, capture_output=True,
                          timeout=30, env={"DNSCACHEIP": address, **env})


def line(server, *args):
    """The fields of the only line."""
    out = dnsq(server, *args).stdout.decode()
    assert out.count("\n") == 1, out
    return out.rstrip("\n").split(" ")


def ask(handler, *args, host="127.0.0.1"):
    with DnsStub(handler, host) as stub:
        return line(stub, *args)


def a_record(q):
    return q.a("192.0.2.1")


def dead_port(host="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


# what an answer looks like

def test_addresses():
    got = ask(lambda q: q.a("192.0.2.1", "192.0.2.2"), "a", "Example.org")
    assert got == ["1", "a", "example.org", "answer", "-", "example.org",
                   "192.0.2.1", "192.0.2.2"]


def test_ipv6_address():
    got = ask(lambda q: q.reply(rr(SELF, AAAA, socket.inet_pton(
        socket.AF_INET6, "2001:db8::7"))), "aaaa", "example.org")
    assert got[6:] == ["2001:db8::7"]


def test_mail_exchangers():
    got = ask(lambda q: q.reply(
        rr(SELF, MX, struct.pack(">H", 10) + name("mx.example.org")),
        rr(SELF, MX, struct.pack(">H", 65535) + b"\1B" + SELF)),
        "mx", "example.org")
    assert got[6:] == ["10:mx.example.org", "65535:b.example.org"]


def test_null_mx():
    got = ask(lambda q: q.reply(rr(SELF, MX, b"\0\0\0")), "mx", "example.org")
    assert got[6:] == ["0:."]


def test_300_mail_exchangers():
    def handler(q):
        many = q.reply(*[rr(SELF, MX, struct.pack(">H", i) + name(f"m{i}.x"))
                         for i in range(300)])
        return many if q.tcp else q.reply(flags=0x8380)
    got = ask(handler, "mx", "example.org")
    assert got[6:] == [f"{i}:m{i}.x" for i in range(300)]


def test_strings_of_a_text_are_joined_and_escaped():
    got = ask(lambda q: q.reply(
        rr(SELF, TXT, txt(b"v=spf1 -", b'all"\\\n\0\xff')), rr(SELF, TXT, txt(b""))),
        "txt", "example.org")
    assert got[6:] == ['"v=spf1\\040-all\\042\\134\\012\\000\\377"', '""']


def test_tlsa():
    got = ask(lambda q: q.reply(rr(SELF, TLSA, b"\3\1\1\xab\xcd\x0f")),
              "tlsa", "_25._tcp.mx.example.org")
    assert got[2] == "_25._tcp.mx.example.org" and got[6:] == ["3:1:1:abcd0f"]


@pytest.mark.parametrize("address,reverse", [
    ("192.0.2.3", "3.2.0.192.in-addr.arpa"),
    ("2001:db8::1", "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa")])
def test_ptr_takes_an_address(address, reverse):
    got = ask(lambda q: q.reply(rr(SELF, PTR, name("host.example"))), "ptr", address)
    assert got[2:] == [reverse, "answer", "-", reverse, "host.example"]


def test_odd_bytes_in_names_never_come_out_raw():
    evil = b"\x0f$(touch /x)\n\0;\xff\0"
    got = ask(lambda q: q.reply(rr(SELF, PTR, evil)), "ptr", "192.0.2.3")
    assert got[6] == ("\\044\\050touch\\040\\057x\\051\\012\\000\\073\\377")


def test_cname_itself():
    got = ask(lambda q: q.reply(rr(SELF, CNAME, name("b.x"))), "cname", "a.x")
    assert got[3:] == ["answer", "-", "a.x", "b.x"]


# the five results, also as exit codes

@pytest.mark.parametrize("handler,word,code", [
    (a_record, "answer", 0),
    (lambda q: q.reply(), "nodata", 1),
    (lambda q: q.reply(rcode=3), "nxdomain", 2),
    (lambda q: q.reply(rcode=2), "failed", 3),
    (lambda q: None, "timeout", 4)])
def test_result(handler, word, code):
    with DnsStub(handler) as stub:
        got = dnsq(stub, "-t", "1", "a", "example.org")
    assert got.stdout.split()[3] == word.encode() and got.returncode == code


@pytest.mark.parametrize("rcode,word", [(2, "servfail"), (5, "refused"), (9, "notauth"),
                                        (15, "rcode")])
def test_reason_of_a_failure(rcode, word):
    assert ask(lambda q: q.reply(rcode=rcode), "a", "x.y")[3:] == ["failed", "-", word]


def test_several_questions_exit_0():
    with DnsStub(lambda q: q.reply(rcode=3)) as stub:
        got = dnsq(stub, "a", "x.y", "mx", "x.y")
    assert got.returncode == 0 and got.stdout.count(b"nxdomain") == 2


@pytest.mark.parametrize("args", [
    ["a"], ["axfr", "x.y"], ["a", "x..y"], ["a", ".x"], ["a", "x\\"], ["a", ""],
    ["a", "l" * 64 + ".x"], ["a", "abcdefg." * 33], ["-t", "0", "a", "x"],
    ["-t", "x", "a", "x"], ["-Z"]])
def test_mistakes_in_arguments(args):
    got = dnsq("127.0.0.1", *args)
    assert got.returncode == 100 and not got.stdout and got.stderr


# CNAME chains

def test_chain_is_followed_in_any_order():
    got = ask(lambda q: q.reply(rr("c.x", A, bytes([192, 0, 2, 9])),
                                rr("b.x", CNAME, name("C.x")),
                                rr(SELF, CNAME, name("b.x"))), "a", "a.x")
    assert got[3:] == ["answer", "-", "c.x", "192.0.2.9"]


def test_record_of_another_owner_is_no_answer():
    got = ask(lambda q: q.reply(rr("evil.x", A, bytes(4))), "a", "a.x")
    assert got[3:] == ["nodata", "-", "a.x"]


def test_record_of_another_class_is_no_answer():
    got = ask(lambda q: q.reply(rr(SELF, A, bytes(4), cls=3)), "a", "a.x")
    assert got[3] == "nodata"


@pytest.mark.parametrize("target", ["a.x", "b.x"])
def test_cname_ring(target):
    got = ask(lambda q: q.reply(rr(SELF, CNAME, name(target)),
                                rr("b.x", CNAME, name("a.x"))), "a", "a.x")
    assert got[3:] == ["failed", "-", "cnameloop"]


def test_chain_of_17():
    got = ask(lambda q: q.reply(*[rr(f"n{i}.x", CNAME, name(f"n{i + 1}.x"))
                                  for i in range(17)]), "a", "n0.x")
    assert got[3:] == ["failed", "-", "cnameloop"]


# packets that are wrong

RDATA_PAST_END = rr(SELF, A, bytes(4))[:-5] + b"\x05" + bytes(4)


@pytest.mark.parametrize("records", [
    [b"\xc0"], [SELF], [rr(SELF, A, b"\1\2\3")], [rr(SELF, A, b"")], [RDATA_PAST_END],
    [rr(b"\xc0\x15", A, bytes(4))],                     # pointer to itself
    [rr(b"\xff\xff", A, bytes(4))],                     # forward, past the end
    [rr(b"\x40", A, bytes(4))],                         # reserved label type
    [rr(SELF, CNAME, b"\0\0")], [rr(SELF, CNAME, b"\xc0")],
    [rr(SELF, A, bytes(4)), b"\0"]])
def test_malformed_answer(records):
    got = ask(lambda q: q.reply(*records), "-t", "2", "a", "a.x")
    assert got[3:] == ["failed", "-", "malformed"]


@pytest.mark.parametrize("data", [b"", b"\5abc", b"\3abc\1"])
def test_malformed_text(data):
    got = ask(lambda q: q.reply(rr(SELF, TXT, data)), "txt", "a.x")
    assert got[3:] == ["failed", "-", "malformed"]


def test_text_that_goes_on_behind_the_packet():
    record = rr(SELF, TXT, b"\3abc")[:-6] + b"\0\x09\3abc"
    assert ask(lambda q: q.reply(record), "txt", "a.x")[3:] == ["failed", "-", "malformed"]


def test_more_records_announced_than_sent():
    got = ask(lambda q: q.reply(rr(SELF, A, bytes(4)), count=65535), "a", "a.x")
    assert got[3:] == ["failed", "-", "malformed"]


def questions(packet, n):
    """The same, but for the number of questions that it says it holds."""
    return packet[:4] + bytes([0, n]) + packet[6:]


@pytest.mark.parametrize("lie", [
    lambda q: q.reply(rr(SELF, A, bytes(4)), flags=0x8980),
    lambda q: questions(q.reply(rr(SELF, A, bytes(4))), 0),
    lambda q: questions(q.reply(rr(SELF, A, bytes(4))), 2),
    lambda q: q.reply(rr(SELF, A, bytes(4)), question=q.question[:-1] + b"\3"),
    lambda q: q.reply(rr(SELF, A, bytes(4)), qid=bytes([q.id[0] ^ 1, q.id[1]])),
    lambda q: q.reply(rr(SELF, A, bytes(4)), question=name("b.x") + q.question[-4:]),
    lambda q: q.reply(rr(SELF, A, bytes(4)), question=q.question[:-3] + b"\2\0\1"),
    lambda q: q.reply(rr(SELF, A, bytes(4)), flags=0x0180),
    lambda q: Elsewhere(q.reply(rr(SELF, A, bytes(4)))),
    lambda q: q.id, lambda q: b"", lambda q: q.packet,
    lambda q: q.id + struct.pack(">HHHHH", 0x8183, 0, 0, 0, 0)],
    ids=["opcode", "questions 0", "questions 2", "class", "id", "name", "type", "not a reply", "source", "short", "empty", "echo",
         "no question"])
def test_forgery_is_passed_over(lie):
    got = ask(lambda q: [lie(q), Later(0.1, q.a("192.0.2.1"))], "a", "a.x")
    assert got[3:] == ["answer", "-", "a.x", "192.0.2.1"]


# ids, case of letters, sockets

def test_ids_and_letters_are_random():
    with DnsStub(a_record) as stub:
        dnsq(stub, *["a", "abcdefghijklmnopqrstuvwxyz.example"] * 60)
        assert len({q.id for q in stub.seen}) > 50
        assert len({q.raw for q in stub.seen}) > 50


def test_resolver_that_loses_the_case_of_letters_is_asked_plainly():
    def handler(q):
        question = name(q.name) + q.question[-4:]
        return q.reply(rr(SELF, A, bytes([192, 0, 2, 1])), question=question)
    with DnsStub(handler) as stub:
        got = line(stub, "a", "abcdefghijklmnopqrstuvwxyz.example")
        assert got[3] == "answer"
        assert [q.raw == q.name for q in stub.seen] == [False, True]
        assert stub.seen[0].id != stub.seen[1].id


def test_names_in_capitals_and_a_resolver_that_loses_them():
    with DnsStub(lambda q: q.reply(rr(SELF, A, bytes(4)),
                                   question=name(q.name) + q.question[-4:])) as stub:
        assert line(stub, "-t", "2", "a", "EXAMPLE.ORG")[3] == "answer"
        assert len(stub.seen) <= 2


# EDNS0, TCP, loss

def test_edns_and_dnssec_wish():
    with DnsStub(a_record) as stub:
        line(stub, "a", "a.x")
        q = stub.seen[0].packet
    assert q[-11:] == b"\0\0\x29\x04\xd0\0\0\0\0\0\0" and q[2:4] == b"\x01\x20"


@pytest.mark.parametrize("refusal", [
    lambda q: q.reply(rcode=1), lambda q: q.reply(rcode=4),
    lambda q: q.id + struct.pack(">HHHHH", 0x8181, 0, 0, 0, 0)],
    ids=["formerr", "notimp", "without question"])
def test_again_without_edns(refusal):
    with DnsStub(lambda q: refusal(q) if q.edns else q.a("192.0.2.1")) as stub:
        assert line(stub, "a", "a.x")[6:] == ["192.0.2.1"]
        assert [q.edns for q in stub.seen] == [True, False]


def test_formerr_even_without_edns():
    got = ask(lambda q: q.reply(rcode=1), "a", "a.x")
    assert got[3:] == ["failed", "-", "formerr"]


def test_truncated_is_fetched_by_tcp():
    with DnsStub(lambda q: q.a("192.0.2.1") if q.tcp
                 else q.reply(rr(SELF, A, bytes(4)), flags=0x8380)) as stub:
        assert line(stub, "a", "a.x")[6:] == ["192.0.2.1"]
        assert [q.tcp for q in stub.seen] == [False, True]


def test_64_kilobytes_by_tcp():
    def handler(q):
        if not q.tcp:
            return q.reply(flags=0x8380)
        packet = q.reply(*[rr(SELF, TXT, txt(*[b"x" * 255] * 16))] * 15)
        return packet + b"y" * (65535 - len(packet))
    got = ask(handler, "txt", "a.x")
    assert [len(v) for v in got[6:]] == [255 * 16 + 2] * 14 or got[3:] == ["failed", "-", "toolong"]


def test_answer_too_long_for_a_line():
    def handler(q):
        if not q.tcp:
            return q.reply(flags=0x8380)
        return q.reply(*[rr(SELF, TXT, txt(*[b"\xff" * 255] * 16))] * 15)
    assert ask(handler, "txt", "a.x")[3:] == ["failed", "-", "toolong"]


def test_tcp_answer_in_pieces(scratch):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))

    def serve():
        packet, peer = udp.recvfrom(512)
        udp.sendto(packet[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + packet[12:-11], peer)
        conn, _ = listener.accept()
        q = conn.recv(512)[2:]
        body = q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:-11] + rr(SELF, A, bytes(4))
        for byte in struct.pack(">H", len(body)) + body:
            conn.sendall(bytes([byte]))
            time.sleep(0.001)
        conn.close()
    t = threading.Thread(target=serve)
    t.start()
    got = line(f"127.0.0.1:{port}", "a", "a.x")
    t.join()
    udp.close()
    listener.close()
    assert got[6:] == ["0.0.0.0"]


def test_tcp_answer_that_says_it_is_truncated_is_all_there_is():
    with DnsStub(lambda q: q.reply(rr(SELF, A, bytes(4)), flags=0x8380)) as stub:
        assert line(stub, "-t", "2", "a", "a.x")[3] == "answer"
        assert [q.tcp for q in stub.seen] == [False, True]


def test_more_records_than_anybody_has():
    def handler(q):
        n = 1000 if q.name == "most.x" else 1001
        return q.reply(*[rr(SELF, A, bytes(4))] * n) if q.tcp else q.reply(flags=0x8380)
    assert len(ask(handler, "a", "most.x")) == 6 + 1000
    assert ask(handler, "a", "more.x")[3:] == ["failed", "-", "malformed"]


def test_tcp_that_stays_silent():
    def handler(q):
        return Later(3, a_record(q)) if q.tcp else q.reply(flags=0x8380)
    start = time.time()
    assert ask(handler, "-t", "1", "a", "a.x")[3:] == ["timeout", "-", "-"] and time.time() - start < 2.9


@pytest.mark.parametrize("answer,word", [(b"", "unreachable"), (b"\0", "unreachable"), (b"\0\0", "unreachable"),
                                         (b"\0\x0c" + bytes(11), "unreachable"), (b"\0\x0c" + bytes(12), "malformed")])
def test_tcp_that_ends_early(answer, word):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))

    def serve():
        packet, peer = udp.recvfrom(512)
        udp.sendto(packet[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + packet[12:-11], peer)
        conn, _ = listener.accept()
        conn.recv(512)
        conn.sendall(answer)
        conn.close()
    t = threading.Thread(target=serve)
    t.start()
    got = line(f"127.0.0.1:{port}", "-t", "5", "a", "a.x")
    t.join()
    udp.close()
    listener.close()
    assert got[3:] == ["failed", "-", word]


def test_tcp_answer_to_another_question():
    got = ask(lambda q: q.reply(rr(SELF, A, bytes(4)), qid=b"\0\0" if q.id != b"\0\0" else b"\1\1")
              if q.tcp else q.reply(flags=0x8380), "a", "a.x")
    assert got[3:] == ["failed", "-", "malformed"]


def test_lost_packet_is_sent_again():
    with DnsStub(lambda q: q.a("192.0.2.1") if q.count else None) as stub:
        assert line(stub, "a", "a.x")[6:] == ["192.0.2.1"]
        assert stub.seen[0].packet == stub.seen[1].packet


def test_late_answer_of_the_first_server_counts():
    with DnsStub(lambda q: Later(1.7, q.a("192.0.2.1"))) as slow, \
            DnsStub(lambda q: None) as silent:
        got = line(f"{slow.address} {silent.address}", "-t", "4", "a", "a.x")
        assert got[6:] == ["192.0.2.1"] and len(silent.seen) == 1


def test_a_failure_of_the_second_server_leaves_the_first_at_work():
    with DnsStub(lambda q: Later(2, q.a("192.0.2.1"))) as slow, DnsStub(lambda q: q.reply(rcode=2)) as bad:
        assert line(f"{slow.address} {bad.address}", "-t", "9", "a", "a.x")[6:] == ["192.0.2.1"]
        assert len(slow.seen) == 1 and len(bad.seen) == 1


def test_ipv6_transport():
    assert ask(a_record, "a", "a.x", host="::1")[3] == "answer"


def test_ipv6_transport_by_tcp():
    assert ask(lambda q: a_record(q) if q.tcp else q.reply(flags=0x8380),
               "a", "a.x", host="::1")[3] == "answer"


# several servers

@pytest.mark.parametrize("handler", [
    lambda q: q.reply(rcode=2), lambda q: q.reply(b"\xc0"), lambda q: None],
    ids=["servfail", "malformed", "silent"])
def test_second_server_when_the_first_fails(handler):
    with DnsStub(handler) as bad, DnsStub(a_record) as good:
        got = line(f"{bad.address},{good.address}", "-t", "4", "a", "a.x")
        assert got[3] == "answer"


def test_second_server_when_nobody_listens_at_the_first():
    with DnsStub(a_record) as good:
        start = time.time()
        assert line(f"127.0.0.1:{dead_port()} {good.address}", "a", "a.x")[3] == "answer"
        assert time.time() - start < 1.4    # less than the patience with silence


def test_nobody_listens_anywhere():
    start = time.time()
    got = line(f"127.0.0.1:{dead_port()}", "a", "a.x")
    assert got[3:] == ["failed", "-", "unreachable"] and time.time() - start < 5


def test_nxdomain_is_an_answer_and_the_second_server_is_not_asked():
    with DnsStub(lambda q: q.reply(rcode=3)) as one, DnsStub(a_record) as two:
        assert line(f"{one.address} {two.address}", "a", "a.x")[3] == "nxdomain"
        assert not two.seen


def test_a_failure_counts_more_than_silence():
    with DnsStub(lambda q: q.reply(rcode=2)) as one, DnsStub(lambda q: None) as two:
        got = line(f"{one.address} {two.address}", "-t", "1", "a", "a.x")
        assert got[3:] == ["failed", "-", "servfail"]


# this machine runs short

class Lines:
    """dnsq that reads questions, with limits that change under it."""

    def __init__(self, server):
        self.p = subprocess.Popen([DNSQ, "-t", "5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  env={"DNSCACHEIP": server if isinstance(server, str) else server.address})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()

    def limit(self, what, n):
        resource.prlimit(self.p.pid, what, (n, n))

    def ask(self, *questions):
        self.p.stdin.write(b"".join(b"t%d %s\n" % q for q in enumerate(questions)))
        self.p.stdin.flush()
        got = [self.p.stdout.readline().decode().split() for _ in questions]
        return [f[3:] for f in sorted(got)]


SHORT = ["failed", "-", "nodescriptors"]


def test_without_descriptors_the_servers_are_not_blamed():
    with DnsStub(a_record) as one, DnsStub(a_record) as two, Lines(f"{one.address} {two.address}") as d:
        d.limit(resource.RLIMIT_NOFILE, 3)
        assert d.ask(b"a a.x") == [SHORT] and not one.seen and not two.seen


def test_one_descriptor_is_enough_for_udp_and_then_tcp():
    with DnsStub(lambda q: q.reply(flags=0x8380) if not q.tcp else a_record(q)) as stub, Lines(stub) as d:
        d.limit(resource.RLIMIT_NOFILE, 4)
        assert d.ask(b"a a.x") == [["answer", "-", "a.x", "192.0.2.1"]]


def test_few_descriptors_serve_few_questions_at_a_time():
    with DnsStub(lambda q: Later(.3, a_record(q))) as stub, Lines(stub) as d:
        d.limit(resource.RLIMIT_NOFILE, 5)
        got = d.ask(*[b"a a.x"] * 4)
        assert [g[0] for g in got] == ["answer", "answer", "failed", "failed"]
        assert got[2] == got[3] == SHORT
        assert d.ask(b"a a.x")[0][0] == "answer"


def test_without_memory_the_server_is_not_blamed():
    """A reply by TCP needs 64 KB."""
    def handler(q):
        return q.reply(flags=0x8380) if q.name == "big.x" and not q.tcp else a_record(q)
    with DnsStub(handler) as stub, Lines(stub) as d:
        assert d.ask(b"a a.x")[0][0] == "answer"
        pages = int(pathlib.Path(f"/proc/{d.p.pid}/statm").read_text().split()[0])
        d.limit(resource.RLIMIT_AS, pages * resource.getpagesize() + 32768)
        assert d.ask(b"a big.x") == [["failed", "-", "nomemory"]]
        assert d.ask(b"a a.x")[0][0] == "answer"


# time

def test_deadline_of_the_whole_run():
    with DnsStub(lambda q: None) as stub:
        start = time.time()
        got = dnsq(stub, "-t", "1", *["a", "x.y"] * 300)
        assert got.stdout.count(b" timeout - -\n") == 300
        assert 0.9 < time.time() - start < 8


def test_all_at_once():
    with DnsStub(lambda q: Later(0.5, q.a("192.0.2.1"))) as stub:
        start = time.time()
        got = dnsq(stub, *sum((["a", f"n{i}.x"] for i in range(100)), []))
        assert got.stdout.count(b" answer ") == 100 and time.time() - start < 10


def test_more_questions_than_slots():
    with DnsStub(a_record) as stub:
        got = dnsq(stub, *sum((["a", f"n{i}.x"] for i in range(400)), []))
    assert sorted(int(x.split()[0]) for x in got.stdout.splitlines()) == list(range(1, 401))


# whom to ask, and whom to trust

def secure(q):
    return q.reply(rr(SELF, A, bytes(4)), flags=0x81a0)


def test_authenticated_data_from_loopback():
    assert ask(secure, "a", "a.x")[4] == "secure"


def test_authenticated_denial():
    assert ask(lambda q: q.reply(flags=0x81a0, rcode=3), "a", "a.x")[3:5] == ["nxdomain", "secure"]


def other_address():
    """An address of this host that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this host has no address but loopback")
        return s.getsockname()[0]


def test_authenticated_data_from_elsewhere_is_not_believed():
    assert ask(secure, "a", "a.x", host=other_address())[4] == "-"


def test_authenticated_data_from_a_trusted_resolver(scratch):
    with DnsStub(secure, other_address()) as stub:
        (scratch / "control").mkdir()
        (scratch / "control/resolver").write_text(f"# ours\n\n{stub.address} trusted\n")
        got = subprocess.run([DNSQ, "a", "a.x"], capture_output=True, timeout=30,
                             env={"POSTERN_HOME": str(scratch)})
    assert got.stdout.split()[4] == b"secure"


def test_environment_goes_before_control(scratch):
    (scratch / "control").mkdir()
    (scratch / "control/resolver").write_text("nonsense\n")
    with DnsStub(a_record) as stub:
        assert dnsq(stub, "a", "a.x", POSTERN_HOME=str(scratch)).returncode == 0


@pytest.mark.parametrize("text", ["nonsense", "127.0.0.1:0", "127.0.0.1:65536", "[::1",
                                  "127.0.0.1 trust", "1.2.3.4.5", "[::1]x"])
def test_mistake_in_control_resolver(scratch, text):
    (scratch / "control").mkdir()
    (scratch / "control/resolver").write_text(text + "\n")
    got = subprocess.run([DNSQ, "a", "a.x"], capture_output=True, timeout=30,
                         env={"POSTERN_HOME": str(scratch)})
    assert got.returncode == 111 and b"control/resolver" in got.stderr


def test_mistake_in_environment():
    got = dnsq("127.0.0.256", "a", "a.x")
    assert got.returncode == 111 and b"$DNSCACHEIP" in got.stderr


# questions as lines

def test_lines_in_lines_out():
    with DnsStub(a_record) as stub:
        p = subprocess.Popen([DNSQ], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env={"DNSCACHEIP": stub.address})
        for i in range(3):
            p.stdin.write(b"tag-%d a n%d.x\n" % (i, i))
            p.stdin.flush()
            assert p.stdout.readline() == (
                b"tag-%d a n%d.x answer - n%d.x 192.0.2.1\n" % (i, i, i))
        p.stdin.close()
        assert p.wait(5) == 0
        p.stdout.close()


def test_questions_still_open_at_the_end_are_answered():
    with DnsStub(lambda q: Later(0.2, a_record(q))) as stub:
        got = dnsq(stub, stdin=b"x a a.x\ny a b.x\n")
    assert got.stdout.count(b" answer ") == 2 and got.returncode == 0


@pytest.mark.parametrize("question,answer", [
    (b"t a\n", b"t - - failed - malformed-question\n"),
    (b"t a b c\n", b"t - - failed - malformed-question\n"),
    (b"t any x\n", b"t - - failed - malformed-question\n"),
    (b"t a x..y\n", b"t - - failed - malformed-question\n"),
    (b"t a x\0y\n", b"- - - failed - malformed-question\n"),
    (b"\x1bt a x\n", b"- - - failed - malformed-tag\n"),
    (b"t" * 33 + b" a x\n", b"- - - failed - malformed-tag\n"),
    (b"t a " + b"x" * 9000 + b"\n", b"- - - failed - line-too-long\n"),
    (b"\n", b""), (b"t a x", b"")])
def test_mistake_in_a_line_spoils_only_that_line(question, answer):
    with DnsStub(a_record) as stub:
        got = dnsq(stub, stdin=question + b"u a y\n" if question.endswith(b"\n") else question)
    want = answer + (b"u a y answer - y 192.0.2.1\n" if question.endswith(b"\n") else b"")
    assert sorted(got.stdout.splitlines()) == sorted(want.splitlines())


def test_thousands_of_lines():
    with DnsStub(a_record) as stub:
        p = subprocess.Popen([DNSQ], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env={"DNSCACHEIP": stub.address})
        out, _ = p.communicate(b"".join(b"%d a n%d.x\n" % (i, i) for i in range(3000)), 30)
    assert sorted(int(x.split()[0]) for x in out.splitlines()) == list(range(3000))


# rights

def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(x.split(":\t", 1) for x in text.splitlines() if ":\t" in x)


def test_confines_itself():
    with DnsStub(lambda q: None) as stub:
        p = subprocess.Popen([DNSQ, "-t", "10", "a", "a.x"], stdout=subprocess.DEVNULL,
                             env={"DNSCACHEIP": stub.address})
        deadline = time.time() + 5
        while not stub.seen and time.time() < deadline:
            time.sleep(0.01)
        status = status_of(p.pid)
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
