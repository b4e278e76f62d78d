"""clientname by itself, and listen that runs it."""
import shutil
import socket
import subprocess
import threading
import time

import pytest

import postern
from dnsstub import A, AAAA, LIES, PTR, DnsStub, Later, name, rr

SELF = b"\xc0\x0c"
NAMES = {"7.2.0.192.in-addr.arpa": ["False.Example", "mx.example"],
         "8.2.0.192.in-addr.arpa": ["false.example"],
         "9.2.0.192.in-addr.arpa": ["evil\\.example", "a b.example"],
         "6.2.0.192.in-addr.arpa": ["."],
         "2.0.0.127.in-addr.arpa": ["good.friend.example"],
         "3.0.0.127.in-addr.arpa": ["bad.friend.example"],
         "5.0.0.127.in-addr.arpa": ["good.friend.example"],     # it is not
         "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa": ["six.example"]}
ADDRESSES = {"mx.example": ["192.0.2.1", "192.0.2.7"], "false.example": ["192.0.2.99"],
             "good.friend.example": ["127.0.0.2"], "bad.friend.example": ["127.0.0.3"]}
PRINT = ["sh", "-c", "echo ${TCPREMOTEHOST-none} ${TCP6REMOTEHOST-none}"]


def handler(q):
    if q.kind == PTR and q.name in NAMES:
        return q.reply(*[rr(SELF, PTR, name(n)) for n in NAMES[q.name]])
    if q.kind == A and q.name in ADDRESSES:
        return q.a(*ADDRESSES[q.name])
    if q.kind == AAAA and q.name == "six.example":
        return q.reply(rr(SELF, AAAA, socket.inet_pton(socket.AF_INET6, "2001:db8::1")))
    return q.reply(rcode=3)


@pytest.fixture
def base(scratch):
    (scratch / "bin").mkdir()
    for p in "rblcheck/dnsq", "rblcheck/clientname", "rules/rulesrun", "rules/listen":
        shutil.copy(postern.TREE / p, scratch / "bin")
    return scratch


def run(base, ip, *options, answer=handler, **env):
    with DnsStub(answer) as stub:
        e = postern.env(base, DNSCACHEIP=stub.address, **env)
        if ip is not None:
            e["TCPREMOTEIP"] = ip
        p = subprocess.run([base / "bin/clientname", *options, *PRINT], env=e, text=True,
                           capture_output=True, timeout=30)
    assert p.returncode == 0 and p.stderr == ""
    return p.stdout.split()


def test_the_first_name_is_taken(base):
    assert run(base, "192.0.2.7") == ["false.example"] * 2


def test_paranoid_takes_the_first_name_that_has_the_address(base):
    assert run(base, "192.0.2.7", "-p") == ["mx.example"] * 2
    assert run(base, "192.0.2.8", "-p") == ["none"] * 2
    assert run(base, "2001:db8::1", "-p") == ["six.example"] * 2


def test_without_a_name_the_variables_go(base):
    assert run(base, "192.0.2.1", TCPREMOTEHOST="x", TCP6REMOTEHOST="y") == ["none"] * 2


@pytest.mark.parametrize("ip", [None, "", "unknown", "1.2.3.4 5"])
def test_what_is_no_address_has_no_name(base, ip):
    assert run(base, ip, TCPREMOTEHOST="x") == ["none"] * 2


def test_odd_names_do_not_count(base):
    assert run(base, "192.0.2.9") == ["none"] * 2
    assert run(base, "192.0.2.6") == ["none"] * 2


@pytest.mark.parametrize("place,found", [(7, "mx.example"), (8, "none")])
def test_eight_names_are_looked_at(base, place, found):
    names = [f"n{i}.example" for i in range(60)]
    names[place] = "mx.example"

    def many(q):
        if q.kind == PTR:
            return q.reply(*[rr(SELF, PTR, name(n)) for n in names]) if q.tcp else q.reply(flags=0x8380)
        return handler(q)
    assert run(base, "192.0.2.7", "-p", answer=many) == [found] * 2


def test_silence_ends_with_the_deadline(base):
    start = time.monotonic()
    assert run(base, "192.0.2.7", "-t", "1", answer=lambda q: None) == ["none"] * 2
    assert 0.9 < time.monotonic() - start < 4


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_no_names(base, lie):
    assert run(base, "192.0.2.7", "-t", "1", answer=LIES[lie]) == ["none"] * 2


def test_the_deadline_holds_for_both_questions_together(base):
    def slow(q):
        out = handler(q)
        return Later(0.7, out)
    start = time.monotonic()
    assert run(base, "192.0.2.7", "-p", "-t", "1", answer=slow) == ["none"] * 2
    assert time.monotonic() - start < 4


def test_without_dnsq_there_is_no_name(base):
    (base / "bin/dnsq").unlink()
    assert run(base, "192.0.2.7") == ["none"] * 2


# listen


@pytest.fixture
def listen(base):
    running = []

    def start(rules, *options, answer=handler):
        stub = DnsStub(answer).__enter__()
        subprocess.run([postern.TREE / "rules/rulesmake", base / "r.cdb"], check=True,
                       input=rules.encode())
        p = subprocess.Popen([base / "bin/listen", "-1v", *options, "-x", base / "r.cdb",
                              "127.0.0.1", "0", "sh", "-c", "echo ${TCPREMOTEHOST-none} ${A-unset}"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             env=postern.env(base, DNSCACHEIP=stub.address))
        running.append((p, stub))
        port = int(p.stdout.readline())

        def ask(source):
            with socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as s:
                return s.makefile().read()
        return ask
    yield start
    for p, stub in running:
        p.terminate()
        p.wait(10)
        p.stdout.close()
        stub.__exit__()


class Ident:
    """An identification server on 127.x.y.z, port 113."""

    def __init__(self, address, answer, delay=0):
        self.answer, self.delay, self.asked = answer, delay, []
        self.socket = socket.create_server((address, 113))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, peer = self.socket.accept()
            except OSError:
                return
            with c:
                ports = c.makefile("rb").readline().strip()
                self.asked.append((peer[0], ports))
                time.sleep(self.delay)
                c.sendall(self.answer.replace(b"%", ports))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # shut it down: the thread holds it in accept
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("answer,owner", [
    (b"% : USERID : UNIX : joe\r\n", "joe"), (b"%:USERID:OTHER,x: j o\x1be \r\n", "joe"),
    (b"% : USERID : UNIX : " + b"x" * 500 + b"\n", "x" * 64), (b"% : USERID : UNIX : a:b\r\n", "a:b"),
    (b"% : ERROR : NO-USER\r\n", "none"), (b"% : ERROR : X-WHO : joe\r\n", "none"),
    (b"% : USERID : UNIX : " + b"x" * 2000, "none"), (b"% : USERID : UNIX : \r\n", "none"),
    (b"% : USERID : UNIX : joe", "none"), (b"", "none"), (b"x" * 5000, "none"), (b"\n", "none")])
def test_the_owner_is_asked_for(base, answer, owner):
    with Ident("127.7.7.7", answer) as ident:
        p = subprocess.run(
            [base / "bin/clientname", "-nr", "sh", "-c", "echo ${TCPREMOTEINFO-none} ${TCP6REMOTEINFO-none}"],
            env=postern.env(base, TCPREMOTEIP="127.7.7.7", TCPREMOTEPORT="4711", TCPLOCALIP="127.0.0.5",
                            TCPLOCALPORT="25", TCPREMOTEINFO="forged", TCPREMOTEHOST="kept"),
            capture_output=True, text=True, timeout=20)
    assert p.stdout.split() == [owner, owner] and p.stderr == ""
    assert ident.asked == [("127.0.0.5", b"4711 , 25")]


def test_a_host_that_does_not_answer_in_time_has_no_owner(base):
    with Ident("127.7.7.7", b"% : USERID : UNIX : joe\r\n", delay=8):
        start = time.monotonic()
        p = subprocess.run(
            [base / "bin/clientname", "-nr", "-t1", "sh", "-c", "echo ${TCPREMOTEINFO-none}"],
            env=postern.env(base, TCPREMOTEIP="127.7.7.7", TCPREMOTEPORT="4711", TCPLOCALIP="127.0.0.5",
                            TCPLOCALPORT="25"), capture_output=True, text=True, timeout=20)
        assert p.stdout == "none\n" and time.monotonic() - start < 7


def test_rules_about_owners_decide_with_r_alone(listen):
    with Ident("127.7.7.8", b"% : USERID : UNIX : joe\r\n") as ident:
        rules = 'joe@127.7.7.8:allow,A="joe"\n127.:allow,A="by net"\n'
        assert listen(rules, "-r")("127.7.7.8") == "none joe\n"
        assert len(ident.asked) == 1
        assert listen(rules)("127.7.7.8") == "none by net\n"
        assert listen(rules, "-r", "-R")("127.7.7.8") == "none by net\n"
        assert len(ident.asked) == 1


RULES = ('=good.friend.example:allow,A="by name"\n=bad.friend.example:deny\n'
         '127.:allow,A="by net"\n:deny\n')


def test_rules_about_names_decide_behind_a_lookup(listen):
    ask = listen(RULES, "-p", "-B", "smtp")
    assert ask("127.0.0.2") == "good.friend.example by name\n"
    assert ask("127.0.0.3").startswith("421 ")
    assert ask("127.0.0.4") == "none by net\n"


def test_forged_name_is_no_friend_to_the_paranoid(listen):
    assert listen(RULES, "-p")("127.0.0.5") == "none by net\n"
    assert listen(RULES, "-p", "-P")("127.0.0.5") == "good.friend.example by name\n"


@pytest.mark.parametrize("lie", ["wrong id", "64 KB", "CNAME ring"])
def test_lies_make_no_friend(listen, lie):
    assert listen(RULES, "-h", "-t1", answer=LIES[lie])("127.0.0.4") == "none by net\n"


def test_variables_of_a_rule_without_the_name_do_not_count(listen):
    ask = listen('=good.friend.example:allow\n127.:allow,A="b"\n', "-h")
    assert ask("127.0.0.2") == "good.friend.example unset\n"


def test_denial_of_a_rule_without_the_name_does_not_count(listen):
    ask = listen('=.friend.example:allow\n127.0.0.4:deny\n127.0.0.3:allow,A="b"\n:deny\n', "-h")
    assert ask("127.0.0.2") == "good.friend.example unset\n"
    assert ask("127.0.0.3") == "bad.friend.example b\n"
    assert ask("127.0.0.4") == ""


def test_without_h_nothing_is_looked_up(listen):
    assert listen(RULES)("127.0.0.2") == "none by net\n"
    assert listen(RULES, "-p", "-H")("127.0.0.2") == "none by net\n"


def test_a_slow_name_server_holds_up_its_own_clients_alone(listen):
    def slow_for_one(q):
        return None if q.name.startswith("2.") else handler(q)
    ask = listen(RULES, "-h", "-t3", answer=slow_for_one)
    waiting = threading.Thread(target=ask, args=("127.0.0.2",))
    waiting.start()
    start = time.monotonic()
    assert ask("127.0.0.4") == "none by net\n"
    assert time.monotonic() - start < 2.5
    assert waiting.is_alive()
    waiting.join(10)


def test_limits_of_a_rule_hold_without_the_name(listen):
    ask = listen('127.:allow,MAXRATEIP="1/600"\n', "-h", "-B", "smtp")
    assert ask("127.0.0.4") == "none unset\n"
    assert ask("127.0.0.4").startswith("421 ")
