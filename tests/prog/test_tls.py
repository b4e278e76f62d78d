import hashlib
import os
import pathlib
import pwd
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import postern
import tlslib
from tlslib import Program, connect, context, pair, transfer, wait_until

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
NAME = "mx.test.example"


@pytest.fixture(scope="module")
def keys():
    """name -> (key, certificate)"""
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        return {"default": tlslib.make_key(d, NAME),
                "other": tlslib.make_key(d, "other.example", "*.wild.example", kind="rsa"),
                "new": tlslib.make_key(d, NAME)}


def pem(pair):
    return pair[0] + pair[1]


def place():
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-test."))
    d.chmod(0o755)
    return d, postern.install_home(d / "home", {"me": f"{NAME}\n"})


@pytest.fixture(scope="module")
def tlsd(keys):
    """One for the tests that leave it as it is."""
    d, home = place()
    t = tlslib.Tlsd(home)
    t.put("default.pem", pem(keys["default"]))
    t.put("other.pem", pem(keys["other"]))
    yield t.start()
    t.stop()
    postern.wipe(d)


@pytest.fixture
def own(keys):
    """One of its own for a test that breaks things; not started."""
    d, home = place()
    t = tlslib.Tlsd(home)
    t.put("default.pem", pem(keys["default"]))
    yield t
    t.stop()
    postern.wipe(d)


# handshakes

@pytest.mark.parametrize("version,name", [(V12, "TLSv1.2"), (V13, "TLSv1.3")])
def test_program_is_told_of_the_session(tlsd, keys, version, name):
    ctx = context(keys["default"][1], version)
    client, program, told = connect(tlsd, ctx)
    assert told["SSL_PROTOCOL"] == client.version() == name
    assert told["SSL_CIPHER"] == client.cipher()[0]
    assert told["SSL_TLS_SNI_SERVERNAME"] == NAME
    assert int(told["SSL_CIPHER_USEKEYSIZE"]) == client.cipher()[2]
    client.sendall(b"ping")
    assert program.clear.recv(10) == b"ping"
    program.clear.sendall(b"pong")
    assert client.recv(10) == b"pong"


def test_small_y_gets_no_answer_and_the_same_encryption(tlsd):
    client, program, _ = connect(tlsd, letter=b"y")
    client.sendall(b"ping")
    assert program.clear.recv(10) == b"ping"
    assert program.control.recv(10) == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_protocol_is_refused(tlsd, version):
    ctx = context()
    ctx.minimum_version = ctx.maximum_version = version
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    client, server = pair()
    program = Program(tlsd, server)
    program.ask()
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        ctx.wrap_socket(client)
    assert program.answer() is None


def test_ssl3_is_refused(tlsd):
    client, server = pair()
    program = Program(tlsd, server)
    program.ask()
    hello = b"\3\0" + bytes(32) + b"\0" + b"\0\2\0\x0a" + b"\1\0"
    client.sendall(b"\x16\3\0" + (len(hello) + 4).to_bytes(2, "big") +
                   b"\1" + len(hello).to_bytes(3, "big") + hello)
    answer = client.recv(100)
    assert answer[0] == 0x15 and answer[5] == 2     # a fatal alert
    assert program.answer() is None


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256",
                                    "ECDHE-ECDSA-AES256-SHA384"])
def test_weak_cipher_is_refused(tlsd, cipher):
    ctx = context(version=V12)
    ctx.set_ciphers(cipher + ":@SECLEVEL=0")
    client, server = pair()
    program = Program(tlsd, server)
    program.ask()
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        ctx.wrap_socket(client)


def test_ciphers_can_be_set(own):
    (own.home / "control/tlsciphers").write_text("HIGH:!aNULL\n")
    own.start()
    ctx = context(version=V12)
    ctx.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
    _, _, told = connect(own, ctx)
    assert told["SSL_CIPHER"] == "ECDHE-ECDSA-AES256-SHA384"


@pytest.mark.parametrize("name,cert", [
    (NAME, "default"), ("other.example", "other"), ("a.wild.example", "other"),
    ("OTHER.example", "other"), ("unknown.example", "default"), (None, "default")])
def test_certificate_is_that_of_the_name(tlsd, keys, name, cert):
    client, _, _ = connect(tlsd, name=name)
    assert ssl.DER_cert_to_PEM_cert(client.getpeercert(True)).strip() == \
        keys[cert][1].strip()


def test_odd_server_name_is_not_passed_on(tlsd):
    ctx = context()
    client, server = pair()
    program = Program(tlsd, server)
    program.ask()
    r = subprocess.run([sys.executable, "-c", f"""
import socket, ssl
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
c.check_hostname = False
c.verify_mode = ssl.CERT_NONE
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
x = c.wrap_bio(i, o, server_hostname="aaaaaaaaaa")
try:
    x.do_handshake()
except ssl.SSLWantReadError:
    pass
import os
s = socket.socket(fileno={client.fileno()})
s.sendall(o.read().replace(b"aaaaaaaaaa", b"a=b;$(x) \\n"))
s.settimeout(10)
s.recv(5)
"""], pass_fds=[client.fileno()], timeout=20)
    assert r.returncode == 0
    client.close()
    told = program.answer()
    assert not told or "SSL_TLS_SNI_SERVERNAME" not in told


# sessions are resumed

@pytest.mark.parametrize("version", [V12, V13])
def test_session_is_resumed_by_any_process(tlsd, version):
    ctx = context(version=version)
    client, program, _ = connect(tlsd, ctx)
    program.clear.sendall(b"x")
    client.recv(1)              # tickets of TLS 1.3 come with the first data
    session = client.session
    for _ in range(6):
        again, program, told = connect(tlsd, ctx, session=session)
        assert again.session_reused
        assert told["SSL_SESSION_RESUMED"] == "Resumed"
        program.close()


def test_session_outlives_a_reload(own):
    own.start()
    ctx = context(version=V12)
    client, program, _ = connect(own, ctx)
    session = client.session
    own.reload()
    again, _, _ = connect(own, ctx, session=session)
    assert again.session_reused


def test_session_of_another_tlsd_is_not_taken(own, tlsd):
    own.start()
    ctx = context(version=V12)
    client, _, _ = connect(tlsd, ctx)
    again, _, _ = connect(own, ctx, session=client.session)
    assert not again.session_reused


# certificates change

def serial(client):
    return hashlib.sha256(client.getpeercert(True)).digest()


def test_new_certificate_is_in_force_and_old_connections_go_on(own, keys):
    own.start()
    old, program, _ = connect(own)
    offered_client, server = pair()
    offered = Program(own, server)
    own.put("default.pem", pem(keys["new"]))
    own.reload()
    # an old process may still take one that has just come
    wait_until(lambda: serial(connect(own)[0]) != serial(old), what="new certificate")
    old.sendall(b"still")
    assert program.clear.recv(10) == b"still"
    program.clear.sendall(b"here")
    assert old.recv(10) == b"here"
    # one that was offered before is served as well
    offered.ask()
    context().wrap_socket(offered_client)
    assert offered.answer()


def test_old_processes_end_with_their_last_connection(own):
    own.start()
    before = set(own.workers())
    old, program, _ = connect(own)
    own.reload()
    wait_until(lambda: len(own.workers()) == len(before) + 1, what="one old left")
    old.close()
    program.close()
    wait_until(lambda: not before & set(own.workers()), what="no old process")


@pytest.mark.parametrize("broken", ["garbage", "mismatch", "no key", "empty", "directory",
                                    "symlink", "huge", "locked"])
def test_broken_key_leaves_the_old_ones_in_force(own, keys, broken):
    own.start()
    bad = {"garbage": "-----BEGIN CERTIFICATE-----\nAAAA\n",
           "mismatch": keys["new"][0] + keys["default"][1],
           "no key": keys["new"][1], "empty": "", "huge": "x" * 300000,
           "locked": pem(keys["new"])}.get(broken)
    if broken == "directory":
        (own.home / "tls/bad.pem").mkdir()
    elif broken == "symlink":
        (own.home / "tls/bad.pem").symlink_to("/etc/passwd")
    else:
        own.put("bad.pem", bad)
        if broken == "locked":
            (own.home / "tls/bad.pem").chmod(0)
    own.put("default.pem", pem(keys["new"]))
    own.reload("the old certificates stay in force")
    what = "use a certificate" if broken in ("garbage", "mismatch", "no key") else "read a key"
    assert f"unable to {what} file=bad.pem reason=" in own.log()
    client, _, _ = connect(own, context(keys["default"][1]))
    # and at a start what is good is used
    own.stop()
    own.start()
    connect(own, context(keys["new"][1]))


def test_without_a_key_nothing_is_offered_until_there_is_one(own, keys):
    (own.home / "tls/default.pem").unlink()
    own.start("no certificate in tls/")
    wait_until(lambda: subprocess.run(
        [own.home / "bin/tlsrun", "true"], env=postern.env(own.home),
        capture_output=True).stderr.count(b"TLS is not offered"), what="refusal")
    own.put("default.pem", pem(keys["default"]))
    own.process.send_signal(signal.SIGHUP)
    assert own.process.wait(10) == 0        # to be started anew
    own.start()
    connect(own)


def test_key_that_others_can_read_is_told(own):
    (own.home / "tls/default.pem").chmod(0o644)
    own.start()
    assert "others may read a key file=default.pem" in own.log()


# bytes

@pytest.mark.parametrize("version", [V12, V13])
def test_big_transfers_are_equal(tlsd, version):
    client, program, _ = connect(tlsd, context(version=version))
    data = random.Random(1).randbytes(6 << 20)
    assert transfer(client, program.clear, data) == data
    assert transfer(program.clear, client, data) == data


def test_both_directions_at_once_are_equal(tlsd):
    """An echo: what comes back is held up by what goes out."""
    client, program, _ = connect(tlsd)
    data = random.Random(2).randbytes(4 << 20)
    echo = threading.Thread(target=copy, args=[program.clear], daemon=True)
    echo.start()
    client.setblocking(False)
    sent, got = 0, bytearray()
    end = time.monotonic() + 3 * tlslib.WAIT
    while len(got) < len(data) and time.monotonic() < end:
        moved = 0
        try:
            moved = client.send(data[sent:sent + 50000]) if sent < len(data) else 0
            sent += moved
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            more = client.recv(30000)
            got += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not moved:
                time.sleep(0.001)
    assert bytes(got) == data
    client.close()
    echo.join(tlslib.WAIT)


def copy(sock):
    while more := sock.recv(40000):
        sock.sendall(more)


def test_many_small_pieces_arrive_in_order(tlsd):
    client, program, _ = connect(tlsd)
    sent = b"".join(b"%d\n" % i for i in range(3000))
    for line in sent.splitlines(keepends=True):
        client.send(line)
    got = b""
    while len(got) < len(sent):
        got += program.clear.recv(65536)
    assert got == sent


# ends

def test_close_notify_of_the_client_is_the_end_for_the_program(tlsd):
    client, program, _ = connect(tlsd)
    client.sendall(b"last")
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    assert program.read_all() == b"last"
    # and the other direction still works
    program.clear.sendall(b"answer")
    program.clear.shutdown(socket.SHUT_WR)
    got = b""
    end = time.monotonic() + tlslib.WAIT
    while got != b"answer" and time.monotonic() < end:
        try:
            got += client.recv(100)
        except ssl.SSLWantReadError:
            time.sleep(0.01)
    assert got == b"answer"


def test_end_of_the_connection_is_the_end_for_the_program(tlsd):
    client, program, _ = connect(tlsd)
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert program.read_all() == b"last"


def test_program_that_exits_says_its_last_word_and_close_notify(tlsd):
    client, program, _ = connect(tlsd)
    program.clear.sendall(b"221 bye\r\n" * 20000)
    program.close()
    got = b""
    while more := client.recv(65536):   # raises without close_notify
        got += more
    assert got == b"221 bye\r\n" * 20000
    assert client._sslobj.pending() == 0


def test_half_closed_program_still_reads(tlsd):
    client, program, _ = connect(tlsd)
    program.clear.sendall(b"done")
    program.clear.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b"done"
    assert client.recv(10) == b""       # close_notify
    client.sendall(b"more")
    assert program.clear.recv(10) == b"more"
    client.close()
    assert program.read_all() == b""


def test_last_word_is_not_lost_to_a_client_that_still_sends(tlsd):
    """A socket closed with unread bytes in it takes back what it has sent."""
    client, program, _ = connect(tlsd)
    word = b"421 too much\r\n" * 70000
    program.clear.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(word))
    sender = threading.Thread(target=lambda: (program.clear.sendall(word), program.close()))
    sender.start()
    got = client.recv(100)
    while len(got) < len(word) // 2:
        got += client.recv(65536)
    client.sendall(b"x" * 50000)
    while more := client.recv(65536):
        got += more
    sender.join(tlslib.WAIT)
    assert got == word


def test_reset_ends_the_session(tlsd):
    client, program, _ = connect(tlsd)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    try:
        assert program.read_all() == b""
    except ConnectionResetError:
        pass


def test_nothing_is_left_of_ended_sessions(own):
    own.start()
    connect(own)
    wait_until(lambda: len(own.workers()) >= 2, what="workers")
    clients = [connect(own) for _ in range(20)]
    used = own.sessions()
    for client, program, _ in clients:
        client.close()
        program.close()
    wait_until(lambda: own.sessions() <= used - 2 * len(clients),
               what="descriptors are closed")


# what is not TLS

@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.0\r\n\r\n", b"EHLO x\r\n", b"\x16\3\1\xff\xff" + b"A" * 70000,
    b"\0" * 1000, b"\x80\x2e\1\3\1" + bytes(60)],
    ids=["http", "smtp", "huge", "zeros", "ssl2"])
def test_garbage_in_place_of_a_hello_ends_it(tlsd, garbage):
    client, server = pair()
    program = Program(tlsd, server)
    program.ask()
    try:
        client.sendall(garbage)
        while client.recv(1000):
            pass
    except ConnectionError:
        pass
    assert program.answer() is None
    assert program.read_all() == b""
    connect(tlsd)


def test_garbage_behind_the_handshake_ends_it(tlsd):
    client, program, _ = connect(tlsd)
    raw = socket.socket(fileno=os.dup(client.fileno()))
    raw.sendall(b"EVIL\r\n" * 100)
    assert program.read_all() == b""
    raw.close()


@pytest.mark.parametrize("data,count", [
    (b"", 3), (b"a", 3), (b"a\0b\0", 2), (b"a\0b\0", 0), (b"a\0b\0", 4), (b"a\0b\0c\0", 3),
    (b"a" * 200 + b"\0b\0", 3), (b"a\0" + b"b" * 64 + b"\0", 3), (b"a\0" * 5000, 3)], ids=range(9))
def test_malformed_record_is_dropped(tlsd, data, count):
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
    tlsd.record(data, fds)
    for fd in fds:
        os.close(fd)
    connect(tlsd)


def test_descriptors_of_other_kinds_harm_nobody(tlsd):
    files = [open("/dev/null", "r+b"), open(__file__, "rb")]
    for f in files:
        control, mine = socket.socketpair()
        tlsd.record(b"a\0b\0", [control.fileno(), f.fileno(), f.fileno()])
        control.close()
        mine.settimeout(tlslib.WAIT)
        mine.sendall(b"Y")
        try:
            assert mine.recv(10) == b""
        except ConnectionResetError:
            pass
    connect(tlsd)


def test_other_letter_is_refused(tlsd):
    client, server = pair()
    program = Program(tlsd, server)
    program.ask(b"x")
    assert program.answer() is None
    client.sendall(b"plain")
    assert program.net.recv(10) == b"plain"     # as it was


# before the switch

def test_nothing_is_read_before_the_program_asks(tlsd):
    client, server = pair()
    client.sendall(b"EHLO x\r\n")
    program = Program(tlsd, server)
    connect(tlsd)       # its turn has come since
    client.sendall(b"STARTTLS\r\n")
    connect(tlsd)
    assert program.net.recv(100) == b"EHLO x\r\nSTARTTLS\r\n"
    program.net.sendall(b"220 go\r\n")
    assert client.recv(100) == b"220 go\r\n"
    program.ask()
    context().wrap_socket(client)
    assert program.answer()


def test_program_that_goes_without_asking_leaves_nothing(own):
    own.start()
    held = connect(own)     # not to end meanwhile
    before = own.sessions()
    programs = [Program(own, pair()[1]) for _ in range(20)]
    # three each; some of those before may have been on their way out
    wait_until(lambda: own.sessions() >= before + 50, what="offers have arrived")
    for p in programs:
        p.close()
    wait_until(lambda: own.sessions() <= before, what="descriptors are closed")
    held[0].close()


# others

def test_slow_handshake_holds_up_nobody(tlsd):
    stalled = []
    for _ in range(30):
        client, server = pair()
        p = Program(tlsd, server)
        p.ask()
        client.sendall(b"\x16\3\1\2\0\1\0")     # the beginning of a hello
        stalled.append((client, p))
    start = time.monotonic()
    connect(tlsd)
    assert time.monotonic() - start < 10


def test_client_that_does_not_read_holds_up_nobody(tlsd):
    stuck, program, _ = connect(tlsd)
    program.clear.setblocking(False)
    sent = 0
    end = time.monotonic() + tlslib.WAIT
    quiet = 0
    while quiet < 20 and time.monotonic() < end:
        try:
            sent += program.clear.send(b"x" * 65536)
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.01)
    assert sent < 64 << 20          # back-pressure reaches the program
    other, p, _ = connect(tlsd)
    assert transfer(p.clear, other, b"y" * 1000000) == b"y" * 1000000
    # and what waited comes, whole
    program.clear.setblocking(True)
    program.clear.shutdown(socket.SHUT_WR)
    got = 0
    while more := stuck.recv(1 << 20):
        got += len(more)
    assert got == sent


def test_program_that_does_not_read_slows_its_client_down(tlsd):
    client, program, _ = connect(tlsd)
    client.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            sent += client.send(b"x" * 16384)
    other, p, _ = connect(tlsd)
    assert transfer(other, p.clear, b"y" * 1000000) == b"y" * 1000000


def ticks(pids):
    total = 0
    for pid in pids:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        total += sum(int(n) for n in stat.rsplit(")", 1)[1].split()[11:13])
    return total


def turns_for_nothing(pids):
    """Ticks of 10 ms in a time in which nothing comes."""
    time.sleep(0.5)
    before = ticks(pids)
    time.sleep(1.5)
    return ticks(pids) - before


def test_waiting_costs_nothing(own):
    """In no state does the loop turn for nothing."""
    own.start()
    kept = [connect(own) for _ in range(6)]
    kept[0][0].shutdown(socket.SHUT_WR)             # the client has ended
    kept[1][1].clear.shutdown(socket.SHUT_WR)       # the program has
    kept[2][1].clear.setblocking(False)             # the client does not read
    kept[3][0].setblocking(False)                   # the program does not
    with pytest.raises(BlockingIOError):
        while True:
            kept[2][1].clear.send(b"x" * 65536)
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            kept[3][0].send(b"x" * 16384)
    kept[4][1].clear.sendall(b"x" * 100000)         # it has gone, with more to say
    kept[4][1].clear.close()
    stalled, server = pair()
    program = Program(own, server)
    program.ask()
    stalled.sendall(b"\x16\3\1")
    offered = Program(own, pair()[1])
    connect(own)
    assert turns_for_nothing(own.workers()) <= 20   # of 300: two of them
    offered.close()


def test_waiting_for_the_last_connection_costs_nothing(own):
    own.start()
    before = set(own.workers())
    kept = connect(own)
    own.reload()
    wait_until(lambda: len(own.workers()) == len(before) + 1, what="one old left")
    assert turns_for_nothing(before & set(own.workers())) <= 20
    kept[0].close()


def private(pids):
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += sum(int(n) for n in re.findall(r"Private_\w+: *(\d+) kB", text))
    return total


@pytest.mark.parametrize("count,bytes_each", [(500, 0), (100, 100000)])
def test_memory_of_idle_connections(own, count, bytes_each):
    """Also after a transfer: no buffer stays."""
    own.start()
    kept = [connect(own)]
    before = private(own.workers())
    for _ in range(count):
        client, program, _ = connect(own)
        if bytes_each:
            transfer(client, program.clear, b"x" * bytes_each)
            transfer(program.clear, client, b"x" * bytes_each)
        kept.append((client, program))
    each = (private(own.workers()) - before) / count
    print(f"{each:.1f} KiB for each connection")
    assert each <= 60, each
    del kept


def test_deadline_of_the_handshake(own):
    (own.home / "control/timeouttls").write_text("1\n")
    own.start()
    client, server = pair()
    program = Program(own, server)
    program.ask()
    client.sendall(b"\x16\3\1")
    assert client.recv(100) == b""
    assert program.answer() is None
    assert "handshake failed" in own.log() and "took" in own.log()


def test_deadline_of_a_dead_client(own):
    (own.home / "control/timeouttlsidle").write_text("1\n")
    own.start()
    client, program, _ = connect(own)
    assert program.read_all() == b""
    assert "idle" in own.log()


# limits

def test_limit_of_sessions(own):
    (own.home / "control/concurrencytls").write_text("4\n")
    own.start()
    # a quarter is kept for other users
    kept = [connect(own) for _ in range(3)]
    client, server = pair()
    program = Program(own, server)
    program.ask()
    assert program.answer() is None
    program.net.sendall(b"454 not now\r\n")     # it may still say so in clear
    assert client.recv(100) == b"454 not now\r\n"
    kept[0][1].close()
    kept[0][0].close()
    wait_until(lambda: own.log().count("too many connections") == 1, what="log")

    def again():
        client, server = pair()
        p = Program(own, server)
        p.ask()
        try:
            context().wrap_socket(client)
            return True
        except (ssl.SSLError, OSError):
            return False
        finally:
            p.close()
            client.close()
    # the client sees a closed connection until there is room
    wait_until(again, what="room again")


def test_limit_of_offers(own):
    own.start(nofile=100)
    programs = []
    for _ in range(80):
        try:
            programs.append(Program(own, pair()[1]))
        except OSError:
            break
    wait_until(lambda: "too many offers" in own.log(), what="limit")
    for p in programs:
        p.close()
    wait_until(lambda: own.sessions() < 60, what="room")
    connect(own)


# is the offer there, after all processes of tlsd had a second to refuse it?
IS_OPEN = """
import os, select
p = select.poll()
if "SSLCTLFD" in os.environ:
    p.register(int(os.environ["SSLCTLFD"]), 0)
print("open" if "SSLCTLFD" in os.environ and not p.poll(1000) else "closed")
"""


def as_user(name, *args, env, **more):
    u = pwd.getpwnam(name)
    return subprocess.run(args, user=u.pw_uid, group=u.pw_gid, extra_groups=[],
                          env=env, capture_output=True, timeout=20, **more)


def test_only_known_users_may_hand_over(own):
    own.start()
    env = postern.env(own.home)
    tlsrun = own.home / "bin/tlsrun"
    client, server = pair()
    for user, may in [("postern-smtpd", True), ("postern-popup", True),
                      ("postern-remote", False), ("nobody", False)]:
        r = as_user(user, tlsrun, sys.executable, "-c", IS_OPEN, env=env, stdin=server)
        assert r.stdout == (b"open\n" if may else b"closed\n"), (user, r.stderr)
    nobody = pwd.getpwnam("nobody").pw_uid
    assert f"refused to serve uid={nobody}" in own.log()


def test_other_users_can_be_let_in(own):
    (own.home / "control/tlsusers").write_text("# others\nnobody\n")
    own.start()
    client, server = pair()
    r = as_user("nobody", own.home / "bin/tlsrun", sys.executable, "-c", IS_OPEN,
                env=postern.env(own.home), stdin=server)
    assert r.stdout == b"open\n", r.stderr


@pytest.mark.parametrize("setting,value,says", [
    ("concurrencytls", "many", "not\\x20a\\x20number"),
    ("tlsusers", "no-such-user", "no such user"),
    ("tlsciphers", "NO-SUCH-CIPHER", "unable to use a certificate file=control/tlsciphers")])
def test_malformed_setting_is_told(own, setting, value, says):
    (own.home / "control" / setting).write_text(value + "\n")
    r = subprocess.Popen(["confine", "tlsd", "tlsd"], env=postern.env(own.home),
                         executable=own.home / "bin/confine", stderr=subprocess.PIPE)
    line = r.stderr.readline().decode()
    r.terminate()
    r.wait()
    assert says.replace("\\x20", " ") in line


# who holds what

def open_files(pid):
    out = {}
    for f in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            out[int(f.name)] = os.readlink(f)
        except OSError:
            pass
    return out


def test_keys_are_open_nowhere_and_their_directory_in_tlsd_alone(tlsd):
    connect(tlsd)
    tls = str(tlsd.home / "tls")
    holders = {}
    for d in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            paths = [p for p in open_files(d.name).values() if p.startswith(tls)]
        except OSError:
            continue
        if paths:
            holders[int(d.name)] = paths
    assert holders == {tlsd.process.pid: [tls]}


def test_processes_have_no_rights(tlsd):
    uid = str(pwd.getpwnam("postern-tls").pw_uid)
    for pid in [tlsd.process.pid, *tlsd.workers()]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        field = dict(l.split(":\t", 1) for l in status.splitlines() if ":\t" in l)
        assert set(field["Uid"].split()) == {uid}
        assert field["Groups"].split() == field["Gid"].split()[:1]
        assert field["NoNewPrivs"] == "1"
        assert field["CapEff"] == field["CapPrm"] == "0" * 16
        assert os.readlink(f"/proc/{pid}/root") == str(tlsd.home / "empty")
        if pid != tlsd.process.pid and "Seccomp_filters" in field:
            assert field["Seccomp_filters"] == "2"


def test_key_is_readable_by_tls_alone(tlsd):
    for user in ["postern-smtpd", "postern-popup", "postern-queue", "nobody"]:
        r = as_user(user, "cat", tlsd.home / "tls/default.pem", env=os.environ)
        assert r.returncode != 0 and b"Permission denied" in r.stderr


# deaths

def test_process_that_dies_is_replaced(own):
    own.start()
    client, program, _ = connect(own)
    wait_until(lambda: len(own.workers()) >= 2, what="workers")
    old = own.workers()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    assert program.read_all() == b""
    program.close()
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        client.recv(10)
    wait_until(lambda: len(own.workers()) == len(old) and
               not set(old) & set(own.workers()), what="new ones")
    connect(own)
    assert "a process died" in own.log()


def test_sessions_of_a_dead_process_are_not_counted(own):
    (own.home / "control/concurrencytls").write_text("4\n")
    own.start()
    for _ in range(3):
        kept = [connect(own) for _ in range(3)]
        old = own.workers()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(own.workers()) == len(old) and
                   not set(old) & set(own.workers()), what="new ones")
        del kept


def test_processes_end_with_their_parent(own):
    own.start()
    client, program, _ = connect(own)
    workers = own.workers()
    own.process.kill()
    own.process.wait()
    own.process = None
    wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in workers),
               what="end of workers")
    assert program.read_all() == b""
    own.start()
    connect(own)


def test_worker_killed_at_a_forbidden_call(own):
    """The filter is there: nothing but what the loop needs."""
    own.start()
    wait_until(own.workers, what="workers")
    for pid in own.workers():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Seccomp:\t2$", status, re.M)


# tlsrun

STUB = r"""
import os, socket, sys
out = sys.stdout.buffer
inp = sys.stdin.buffer
def say(s):
    out.write(s + b"\r\n")
    out.flush()
say(b"220 stub")
while line := inp.readline():
    line = line.strip()
    if line == b"STARTTLS" and "SSLCTLFD" in os.environ:
        say(b"220 go")
        ctl = int(os.environ["SSLCTLFD"])
        os.write(ctl, b"Y")
        told = b""
        while not told.endswith(b"\0\0"):
            more = os.read(ctl, 1000)
            if not more:
                sys.exit(1)
            told += more
        os.close(ctl)
        inp = os.fdopen(int(os.environ["SSLREADFD"]), "rb")
        out = os.fdopen(int(os.environ["SSLWRITEFD"]), "wb")
    elif line == b"QUIT":
        say(b"221 bye")
        break
    else:
        say(b"250 " + line)
"""


class Served:
    """A client's end of a connection that tlsrun serves."""

    def __init__(self, home, *args, **env):
        self.client, server = pair()
        self.process = subprocess.Popen(
            [home / "bin/tlsrun", *args], stdin=server, stdout=server,
            stderr=subprocess.PIPE, env=postern.env(home, **env))
        server.close()

    def line(self, sock=None):
        got = b""
        while not got.endswith(b"\n"):
            more = (sock or self.client).recv(1)
            if not more:
                break
            got += more
        return got

    def end(self):
        self.client.close()
        code = self.process.wait(tlslib.WAIT)
        return code, self.process.stderr.read().decode()


def stub(home, **env):
    s = Served(home, sys.executable, "-u", "-c", STUB, **env)
    assert s.line() == b"220 stub\r\n"
    return s


def test_starttls_through_tlsrun(tlsd, keys):
    s = stub(tlsd.home, POSTERN_SESSION="abc-1", TCPREMOTEIP="192.0.2.7")
    s.client.sendall(b"hello\r\n")
    assert s.line() == b"250 hello\r\n"
    s.client.sendall(b"STARTTLS\r\n")
    assert s.line() == b"220 go\r\n"
    tls = context(keys["default"][1]).wrap_socket(s.client, server_hostname=NAME)
    tls.sendall(b"secret\r\n")
    assert s.line(tls) == b"250 secret\r\n"
    tls.sendall(b"QUIT\r\n")
    assert s.line(tls) == b"221 bye\r\n"
    assert tls.recv(10) == b""
    tls.close()
    assert s.end()[0] == 0
    assert re.search(r"encrypted session=abc-1 remote=192\.0\.2\.7 protocol=TLSv1\.3 ",
                     tlsd.log())


@pytest.mark.parametrize("together", [True, False])
def test_plaintext_behind_starttls_is_never_delivered(tlsd, together):
    """CVE-2011-0411: in the same segment, and right behind it."""
    s = stub(tlsd.home)
    s.client.sendall(b"STARTTLS\r\nEVIL\r\n" if together else b"STARTTLS\r\n")
    assert s.line() == b"220 go\r\n"
    if not together:
        s.client.sendall(b"EVIL\r\n")
    try:
        tls = context().wrap_socket(s.client)
        tls.sendall(b"first\r\n")
        assert s.line(tls) == b"250 first\r\n"
        tls.close()
    except (ssl.SSLError, OSError):
        pass            # refused: as good
    code, err = s.end()
    assert "EVIL" not in err


def test_program_finds_three_descriptors_and_nothing_else(tlsd):
    s = Served(tlsd.home, sys.executable, "-c",
               "import os\n"
               "fds = [int(os.environ[n]) for n in ('SSLCTLFD', 'SSLREADFD', 'SSLWRITEFD')]\n"
               "have = set()\n"
               "for fd in range(64):\n"
               "    try:\n"
               "        os.fstat(fd)\n"
               "        have.add(fd)\n"
               "    except OSError:\n"
               "        pass\n"
               "print(sorted(have) == sorted([0, 1, 2] + fds), len(set(fds)))")
    assert s.line() == b"True 3\n"
    s.end()


def test_tls_at_once(tlsd, keys):
    s = Served(tlsd.home, "-i", "sh", "-c",
               "echo $SSL_PROTOCOL $SSL_TLS_SNI_SERVERNAME ${SSLCTLFD-none}; cat")
    tls = context(keys["default"][1]).wrap_socket(s.client, server_hostname=NAME)
    assert s.line(tls) == b"TLSv1.3 mx.test.example none\n"
    tls.sendall(b"ping\n")
    assert s.line(tls) == b"ping\n"
    tls.close()
    assert s.end()[0] == 0


def test_tls_at_once_does_not_run_a_program_for_garbage(tlsd):
    s = Served(tlsd.home, "-i", "touch", tlsd.home / "run-for-garbage")
    s.client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    code, err = s.end()
    assert code == 111 and "ended without TLS" in err
    assert not (tlsd.home / "run-for-garbage").exists()


def test_without_tlsd_the_program_runs_without_an_offer(own):
    s = Served(own.home, "sh", "-c", "echo ${SSLCTLFD-none}${SSLREADFD-none}",
               SSLCTLFD="7", SSLREADFD="8")
    assert s.line() == b"nonenone\n"
    code, err = s.end()
    assert code == 0 and "TLS is not offered" in err


def test_without_tlsd_tls_at_once_is_refused(own):
    s = Served(own.home, "-i", "echo", "hello")
    assert s.line() == b""
    code, err = s.end()
    assert code == 111 and "unable to reach tlsd" in err


def test_stopped_tlsd_does_not_hold_up_the_program(own):
    """Until its backlog is full it is asked, then no longer."""
    own.start()
    wait_until(lambda: len(own.workers()) >= 2, what="workers")
    pids = own.workers()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        s = Served(own.home, "echo", "hello")
        assert s.line() == b"hello\n"
        assert time.monotonic() - start < 10
        s.end()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("args", [[], ["-x", "true"], ["-i"]])
def test_misuse_of_tlsrun(own, args):
    r = subprocess.run([own.home / "bin/tlsrun", *args], env=postern.env(own.home),
                       capture_output=True, timeout=10)
    assert r.returncode == 100


def test_missing_program_is_temporary(own):
    r = subprocess.run([own.home / "bin/tlsrun", "nosuchprogram"],
                       env=postern.env(own.home), capture_output=True, timeout=10)
    assert r.returncode == 111 and b"nosuchprogram" in r.stderr


# other people's programs

def test_openssl_s_client_sees_a_good_server(tlsd, keys):
    ca = tlsd.home / "ca.pem"
    ca.write_text(keys["default"][1])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % listener.getsockname()[1],
             "-CAfile", ca, "-verify_return_error", "-verify_hostname", NAME,
             "-servername", NAME, "-quiet", "-no_ign_eof"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        server, _ = listener.accept()
        process = subprocess.Popen([tlsd.home / "bin/tlsrun", "-i", "cat"], stdin=server,
                                   stdout=server, env=postern.env(tlsd.home))
        server.close()
    client.stdin.write(b"hello\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"hello\n"
    client.stdin.close()
    client.wait(tlslib.WAIT)
    assert process.wait(tlslib.WAIT) == 0
    client.stdout.close()
    client.stderr.close()


def test_mailfront_offers_starttls_behind_tlsrun(tlsd, keys):
    import smtplib
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    process = subprocess.Popen(
        [tlsd.home / "bin/tlsrun", "mailfront", "smtp", "echo"],
        stdin=server, stdout=server,
        env=postern.env(tlsd.home, PLUGINS="starttls-ucspi:accept", UCSPITLS="1",
                        TCPREMOTEIP="127.0.0.1", TCPLOCALIP="127.0.0.1", PROTO="TCP",
                        RELAYCLIENT=""))
    server.close()
    s = smtplib.SMTP()
    s.sock, s.file = client, None
    client.settimeout(tlslib.WAIT)
    assert s.getreply()[0] == 220
    s._host = NAME
    s.ehlo("x.example")
    assert s.has_extn("starttls")
    assert s.starttls(context=context(keys["default"][1]))[0] == 220
    assert s.ehlo("x.example")[0] == 250
    assert s.quit()[0] == 221
    assert process.wait(tlslib.WAIT) == 0


# certbot-hook

def hook(home, *args, **env):
    return subprocess.run([home / "bin/certbot-hook", *args], text=True, timeout=30,
                          capture_output=True, env=postern.env(home, **env))


@pytest.fixture
def lineage(scratch, keys):
    d = scratch / "live/mail.example"
    d.mkdir(parents=True)
    (d / "privkey.pem").write_text(keys["new"][0])
    (d / "fullchain.pem").write_text(keys["new"][1])
    return d


def test_hook_installs_what_certbot_names(own, lineage, keys):
    (own.home / "control/me").write_text("elsewhere.example\n")
    r = hook(own.home, RENEWED_LINEAGE=str(lineage), RENEWED_DOMAINS="mail.example")
    f = own.home / "tls/mail.example.pem"
    assert f.read_text() == pem(keys["new"])
    assert f.stat().st_mode & 0o777 == 0o600
    assert f.owner() == "postern-tls"
    assert (own.home / "tls/default.pem").read_text() == pem(keys["default"])
    assert sorted(p.name for p in (own.home / "tls").iterdir()) == \
        ["default.pem", "mail.example.pem"]
    own.start()


def test_hook_writes_through_no_link_that_is_there(own, lineage, keys, scratch):
    """tls/ belongs to postern-tls, and the hook is root."""
    victim = scratch / "victim"
    victim.mkdir()
    file = victim / "file"
    file.write_text("mine\n")
    tls = own.home / "tls"
    (tls / "mail.example.pem").symlink_to(victim)
    # whatever number its process gets
    script = 'ln -s "$1" "$2/tls/.new.$$" && exec "$2/bin/certbot-hook" "$3"'
    subprocess.run(["sh", "-c", script, "sh", file, own.home, lineage], timeout=30,
                   capture_output=True, env=postern.env(own.home))
    assert file.read_text() == "mine\n" and file.stat().st_uid == 0
    assert list(victim.iterdir()) == [file]
    assert (tls / "mail.example.pem").read_text() == pem(keys["new"])
    assert not (tls / "mail.example.pem").is_symlink()


def test_hook_replaces_the_default_for_this_host(own, lineage, keys):
    (own.home / "control/me").write_text("mail.example\n")
    hook(own.home, RENEWED_LINEAGE=str(lineage))
    assert (own.home / "tls/default.pem").read_text() == pem(keys["new"])


def expired(d, key):
    """A certificate for that key, of the year 2020."""
    (d / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = a\n[a]\ndatabase = {d}/index\nserial = {d}/serial\n"
        f"new_certs_dir = {d}\ndefault_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n")
    (d / "index").touch()
    (d / "serial").write_text("01\n")
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", f"/CN={NAME}",
                    "-out", d / "csr"], check=True, capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-selfsign", "-config", d / "ca.cnf", "-in",
                    d / "csr", "-keyfile", key, "-startdate", "20200101000000Z",
                    "-enddate", "20200201000000Z", "-notext", "-out", d / "old.pem"],
                   check=True, capture_output=True)
    return (d / "old.pem").read_text()


def test_expired_certificate_is_told_and_used(own, keys, scratch):
    """Better than none, where nobody looks."""
    key = scratch / "key"
    key.write_text(keys["default"][0])
    own.put("default.pem", keys["default"][0] + expired(scratch, key))
    own.start()
    assert "a certificate has expired file=default.pem" in own.log()
    connect(own)


@pytest.mark.parametrize("fault", ["mismatch", "missing", "expired", "garbage"])
def test_hook_installs_nothing_that_is_broken(own, lineage, keys, fault, scratch):
    if fault == "mismatch":
        (lineage / "privkey.pem").write_text(keys["default"][0])
    elif fault == "missing":
        (lineage / "privkey.pem").unlink()
    elif fault == "garbage":
        (lineage / "fullchain.pem").write_text("x")
    else:
        (lineage / "fullchain.pem").write_text(expired(scratch, lineage / "privkey.pem"))
    r = hook(own.home, "-d", lineage)
    assert r.returncode == 111 and "fatal" in r.stderr
    assert [p.name for p in (own.home / "tls").iterdir()] == ["default.pem"]


@pytest.mark.parametrize("args", [[], ["a", "b", "c"], ["-x"], ["/", "../x"], ["/", ".x"]])
def test_misuse_of_the_hook(own, args):
    assert hook(own.home, *args).returncode == 100
