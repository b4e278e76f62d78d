"""A DNS server that lies as told.

    with DnsStub(handler) as stub:
        ... DNSCACHEIP=stub.address ...

handler(query) gets a Query and returns what to send: bytes, a list of bytes,
or None for silence.  query.tcp tells the transport, query.count how many
times this name and type were asked before.  Answers may be wrapped:
Later(seconds, bytes), Elsewhere(bytes) (from another port).
"""
import collections
import socket
import struct
import threading
import time

A, CNAME, PTR, MX, TXT, AAAA, OPT, TLSA = 1, 5, 12, 15, 16, 28, 41, 52

Later = collections.namedtuple("Later", "seconds packet")
Elsewhere = collections.namedtuple("Elsewhere", "packet")


def name(text):
    """A name in wire form, not compressed."""
    out = b""
    for label in text.rstrip(".").split("."):
        if label:
            raw = label.encode("latin-1")
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def rr(owner, kind, data, ttl=60, cls=1):
    owner = owner if isinstance(owner, bytes) else name(owner)
    return owner + struct.pack(">HHIH", kind, cls, ttl, len(data)) + data


def txt(*strings):
    return b"".join(bytes([len(s)]) + s for s in strings)


class Query:
    def __init__(self, packet, tcp=False):
        self.packet, self.tcp, self.count = packet, tcp, 0
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]])
            at += 1 + packet[at]
        self.end = at + 5           # behind the question
        self.raw = b".".join(labels).decode("latin-1")
        self.name = self.raw.lower()
        self.kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
        self.id = packet[:2]
        self.edns = packet[11] != 0
        self.question = packet[12:self.end]

    def reply(self, *answers, rcode=0, flags=0x8180, qid=None, question=None,
              count=None):
        head = struct.pack(">HHHHH", flags | rcode, 1,
                           len(answers) if count is None else count, 0, 0)
        return ((self.id if qid is None else qid) + head +
                (self.question if question is None else question) +
                b"".join(answers))

    def a(self, *addresses):
        return self.reply(*[rr(b"\xc0\x0c", A, socket.inet_aton(a))
                            for a in addresses])


def claim(q):
    """What a liar wants believed: listed, or a name that is another's."""
    data = {A: socket.inet_aton("127.0.0.2"), TXT: txt(b"believed"), PTR: name("good.friend.example")}[q.kind]
    return rr(b"\xc0\x0c", q.kind, data)


def bulk(q):
    """All that TCP carries, good from end to end, but nobody means it."""
    record = claim(q)
    return q.reply(*[record] * ((65535 - q.end) // len(record))) if q.tcp else q.reply(flags=0x8380)


LIES = {
    "wrong id": lambda q: q.reply(claim(q), qid=bytes([q.id[0] ^ 1, q.id[1]])),
    "wrong question": lambda q: q.reply(claim(q), question=name("other.example") + q.question[-4:]),
    "wrong port": lambda q: Elsewhere(q.reply(claim(q))),
    "another's record": lambda q: q.reply(b"\5other\0" + claim(q)[2:]),
    "self pointer": lambda q: q.reply(bytes([0xc0, q.end]) + claim(q)[2:], claim(q)),
    "64 KB": bulk,
    "CNAME ring": lambda q: q.reply(rr(b"\xc0\x0c", CNAME, name("b.x")), rr("b.x", CNAME, b"\xc0\x0c"), claim(q)),
    "servfail": lambda q: q.reply(claim(q), rcode=2),
    "silence": lambda q: None}


class DnsStub:
    def __init__(self, handler, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.handler, self.host, self.seen = handler, host, []
        self.counts, self.stopped = collections.Counter(), False
        for _ in range(50):
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            self.udp.bind((host, 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket(family, socket.SOCK_STREAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind((host, self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(64)
        self.other = socket.socket(family, socket.SOCK_DGRAM)
        self.other.bind((host, 0))
        form = "[%s]:%d" if ":" in host else "%s:%d"
        self.address = form % (host, self.port)

    def __enter__(self):
        for target in self._serve_udp, self._serve_tcp:
            threading.Thread(target=target, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        # wakes both threads: closing alone leaves them waiting
        for s in self.udp, self.tcp:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        self.other.close()

    def _answers(self, query):
        key = (query.name, query.kind, query.tcp)
        query.count = self.counts[key]
        self.counts[key] += 1
        self.seen.append(query)
        out = self.handler(query)
        if out is None:
            return []
        return out if isinstance(out, list) else [out]

    def _send(self, packet, peer):
        if isinstance(packet, Later):
            timer = threading.Timer(packet.seconds, self._send,
                                    (packet.packet, peer))
            timer.daemon = True
            timer.start()
            return
        sock = self.udp
        if isinstance(packet, Elsewhere):
            sock, packet = self.other, packet.packet
        try:
            sock.sendto(packet, peer)
        except OSError:
            pass

    def _serve_udp(self):
        while not self.stopped:
            try:
                packet, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            if packet:
                for answer in self._answers(Query(packet)):
                    self._send(answer, peer)

    def _serve_tcp(self):
        while not self.stopped:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(5)
                try:
                    self._talk(conn)
                except OSError:
                    pass

    def _talk(self, conn):
        with conn.makefile("rb") as f:
            size = f.read(2)
            if len(size) < 2:
                return
            packet = f.read(struct.unpack(">H", size)[0])
        for answer in self._answers(Query(packet, tcp=True)):
            if isinstance(answer, Later):
                time.sleep(answer.seconds)
                answer = answer.packet
            conn.sendall(struct.pack(">H", len(answer)) + answer)


LISTED = "Listed by ORDB - for testing purposes only"


def listing(q):
    """A list, bl.example: 127.0.0.2 is on it, as on every list."""
    if q.name != "2.0.0.127.bl.example":
        return q.reply(rcode=3)
    if q.kind == A:
        return q.a("127.0.0.2")
    return q.reply(rr(b"\xc0\x0c", TXT, txt(LISTED.encode())))
