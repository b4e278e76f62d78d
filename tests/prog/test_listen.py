"""listen, with small shell programs behind it."""
import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from postern import TREE, have_root

RULES = TREE / "rules"
HOLD = ["/bin/sh", "-c", "echo up; cat >/dev/null"]
ENV = ["/usr/bin/env"]


class Listen:
    """A running listen; its log is in a file."""

    def __init__(self, scratch, options, prog, host="127.0.0.1", env=None, **more):
        self.log_file = scratch / "log"
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [RULES / "listen", "-1", *map(str, options), host, "0", *prog],
                stdout=subprocess.PIPE, stderr=log, cwd=scratch,
                env=env or {"PATH": os.environ["PATH"]}, **more)
        line = self.process.stdout.readline()
        self.port = int(line) if line else None

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_file.read_text()

    def wait_log(self, pattern, seconds=5):
        return until(lambda: re.search(pattern, self.log(), re.M), seconds,
                     lambda: f"{pattern!r} not in:\n{self.log()}")

    def connect(self, source=None, host="127.0.0.1"):
        return socket.create_connection(
            (host, self.port), 5, (source, 0) if source else None)

    def ask(self, source=None, host="127.0.0.1", send=b""):
        """All that a client gets, as text."""
        with self.connect(source, host) as s:
            s.sendall(send)
            return read_all(s)

    def environment(self, **where):
        lines = self.ask(**where).splitlines()
        return dict(line.split("=", 1) for line in lines)


def read_all(s):
    b = b""
    with contextlib.suppress(ConnectionResetError):
        while True:
            more = s.recv(65536)
            if not more:
                break
            b += more
    return b.decode("latin-1")


def until(what, seconds=5, why=lambda: "too late"):
    end = time.monotonic() + seconds
    while True:
        result = what()
        if result:
            return result
        assert time.monotonic() < end, why()
        time.sleep(0.01)


@pytest.fixture
def listen(scratch):
    running = []

    def start(*options, prog=HOLD, **more):
        running.append(Listen(scratch, options, prog, **more))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stdout.close()


def rules(scratch, text):
    subprocess.run([RULES / "rulesmake", "-q", scratch / "r.cdb"], input=text.encode(),
                   check=True)
    return "-x" + str(scratch / "r.cdb")


# -- the environment

def test_a_program_gets_the_ucspi_environment(listen):
    server = listen("-l", "mx.example", prog=ENV)
    with server.connect("127.0.0.2") as s:
        port = s.getsockname()[1]
        e = dict(line.split("=", 1) for line in read_all(s).splitlines())
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+\.[0-9a-f]+", e.pop("POSTERN_SESSION"))
    e.pop("PATH")
    assert e == {
        "PROTO": "TCP", "TCPLOCALHOST": "mx.example", "TCP6LOCALHOST": "mx.example",
        "TCPLOCALIP": "127.0.0.1", "TCPLOCALPORT": str(server.port),
        "TCP6LOCALIP": "::ffff:127.0.0.1", "TCP6LOCALPORT": str(server.port),
        "TCPREMOTEIP": "127.0.0.2", "TCPREMOTEPORT": str(port),
        "TCP6REMOTEIP": "::ffff:127.0.0.2", "TCP6REMOTEPORT": str(port)}


def test_the_environment_of_an_ipv6_client(listen):
    e = listen(prog=ENV, host="::1").environment(host="::1")
    assert (e["PROTO"], e["TCPREMOTEIP"], e["TCP6REMOTEIP"]) == ("TCP6", "::1", "::1")


def test_what_another_connection_left_over_is_not_passed_on(listen):
    e = listen(prog=ENV, env={"PATH": os.environ["PATH"], "TCPREMOTEHOST": "x", "A": "b",
                              "TCPREMOTEINFO": "y", "TCPLOCALHOST": "z"}).environment()
    assert e["A"] == "b"
    assert not {"TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST"} & set(e)


def test_a_rule_sets_variables_over_everything(listen, scratch):
    x = rules(scratch, '127.:allow,RELAYCLIENT="",PATH="/x",TCPREMOTEHOST="h",'
                       'TCPREMOTEIP="9.9.9.9",GREETDELAY="0"\n')
    lines = listen(x, prog=ENV).ask().splitlines()
    assert {"RELAYCLIENT=", "PATH=/x", "TCPREMOTEHOST=h", "TCPREMOTEIP=9.9.9.9"} <= set(lines)
    names = [line.split("=")[0] for line in lines]
    assert len(names) == len(set(names))
    assert "GREETDELAY" not in names


def test_sessions_differ(listen):
    server = listen(prog=ENV)
    ids = {server.environment()["POSTERN_SESSION"] for _ in range(3)}
    assert len(ids) == 3


def test_a_program_gets_default_signals(listen):
    server = listen(prog=["/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"],
                    preexec_fn=lambda: [signal.signal(s, signal.SIG_IGN)
                                        for s in (signal.SIGINT, signal.SIGALRM)])
    _, blocked, _, ignored = server.ask().split()
    libc = 0b111 << 31      # musl keeps 32 to 34 for itself
    assert int(blocked, 16) == 0
    assert int(ignored, 16) & ~libc == 0


def test_a_program_gets_no_other_descriptor(listen):
    assert listen(prog=["/bin/ls", "/proc/self/fd"]).ask().split() == ["0", "1", "2", "3"]


def test_replies_go_out_without_nagle(listen):
    code = "import socket; s = socket.socket(fileno=0); print(s.getsockopt(6, 1))"
    assert int(listen(prog=["/usr/bin/python3", "-c", code]).ask()) != 0
    assert int(listen("-d", prog=["/usr/bin/python3", "-c", code]).ask()) == 0


# -- addresses

@pytest.mark.parametrize("host,reached", [
    ("0", ["127.0.0.1"]), ("::", ["::1"]), (":0", ["127.0.0.1", "::1"]),
    ("localhost", ["127.0.0.1"]), ("127.0.0.1,::1", ["127.0.0.1"])])
def test_host_names_what_is_bound(listen, host, reached):
    server = listen(prog=ENV, host=host)
    for one in ["127.0.0.1", "::1"]:
        if one in reached:
            e = server.environment(host=one)
            assert e["TCPREMOTEIP"] == e["TCPLOCALIP"] == one
        else:
            with pytest.raises(OSError):
                server.connect(host=one)


def test_the_local_address_of_a_wildcard_socket_is_the_clients(listen):
    assert listen(prog=ENV, host="0").environment(host="127.0.0.5")["TCPLOCALIP"] == "127.0.0.5"


def test_several_addresses_and_ports(scratch):
    free = []
    for _ in range(2):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        free.append(s)
    ports = [str(s.getsockname()[1]) for s in free]
    for s in free:
        s.close()
    p = subprocess.Popen([RULES / "listen", "-1", "127.0.0.1,127.0.0.2", ",".join(ports), *ENV],
                         stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline().decode().strip() == ports[0]
        for host in ["127.0.0.1", "127.0.0.2"]:
            for port in ports:
                with socket.create_connection((host, int(port)), 5) as s:
                    assert f"TCPLOCALIP={host}\n" in (text := read_all(s))
                    assert f"TCPLOCALPORT={port}\n" in text
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def adopt(*fds, pid=0, options=(), prog=ENV):
    """listen with such descriptors from 3 on, for process getpid() + pid."""
    code = (f"import os, fcntl; high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in {list(fds)}];"
            "[os.dup2(fd, 3 + i) for i, fd in enumerate(high)];"
            f"os.environ.update(LISTEN_FDS='{len(fds)}', LISTEN_PID=str(os.getpid() + {pid}));"
            f"os.execv('{RULES}/listen', ['listen', '-1', *{list(options)}, '127.0.0.1', '0', *{prog}])")
    return subprocess.Popen(["/usr/bin/python3", "-c", code], pass_fds=fds, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(p):
    p.kill()
    p.wait()
    p.stdout.close()
    p.stderr.close()


def test_a_supervisor_may_pass_sockets(scratch):
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.2", 0)) as b:
        p = adopt(a.fileno(), b.fileno())
        try:
            assert int(p.stdout.readline()) == a.getsockname()[1]
            for s in a, b:
                with socket.create_connection(s.getsockname(), 5) as c:
                    text = read_all(c)
                assert f"TCPLOCALIP={s.getsockname()[0]}\n" in text and "LISTEN" not in text
        finally:
            end(p)


def test_sockets_for_another_process_are_not_taken(scratch):
    with socket.create_server(("127.0.0.1", 0)) as s:
        p = adopt(s.fileno(), pid=1)
        try:
            port = int(p.stdout.readline())
            assert port != s.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), 5) as c:
                assert "LISTEN" not in read_all(c)
        finally:
            end(p)


def test_what_is_passed_must_be_a_listening_socket(scratch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        p = adopt(s.fileno())
        try:
            assert p.wait(10) == 100 and b"not a listening socket: descriptor 3" in p.stderr.read()
        finally:
            end(p)


@pytest.mark.parametrize("args,code", [
    ([], 100), (["127.0.0.1", "0"], 100), (["-c", "x", "0", "0", "true"], 100),
    (["-c", "0", "0", "0", "true"], 100), (["mx.example", "0", "true"], 100),
    (["127.0.0.1", "65536", "true"], 100), (["127.0.0.1", "nosuchservice", "true"], 100),
    (["-z", "0", "0", "true"], 100), (["-w", "5", "0", "0", "true"], 100),
    (["-y", "10.0.0.0/33", "0", "0", "true"], 100), (["-g", "x", "0", "0", "true"], 100),
    (["-U", "0", "0", "true"], 100), (["192.0.2.1", "0", "true"], 111)])
def test_a_wrong_command_line_is_told_and_ends(args, code):
    r = subprocess.run([RULES / "listen", *args], capture_output=True, timeout=5,
                       env={"PATH": "/bin"})
    assert r.returncode == code and r.stderr.startswith(b"listen: ")


def test_an_address_in_use_is_named(listen):
    port = listen().port
    r = subprocess.run([RULES / "listen", "127.0.0.1", str(port), "true"],
                       capture_output=True, text=True, timeout=5)
    assert r.returncode == 111
    assert r.stderr == (f"listen: fatal: unable to bind 127.0.0.1 port {port}: "
                        "Address in use\n")


# -- privileges

@pytest.mark.skipif(not have_root(), reason="needs root")
@pytest.mark.parametrize("options,env", [
    (["-u65533", "-g65532"], {}), (["-U"], {"UID": "65533", "GID": "65532"})])
def test_rights_are_dropped_before_the_first_client(listen, options, env):
    server = listen(*options, prog=["/usr/bin/id"], env={"PATH": os.environ["PATH"], **env})
    status = Path(f"/proc/{server.pid}/status").read_text()
    assert re.search(r"^Uid:(\s65533){4}$", status, re.M)
    assert re.search(r"^Gid:(\s65532){4}$", status, re.M)
    assert re.search(r"^Groups:\s*65532\s*$", status, re.M)
    assert server.ask().startswith("uid=65533 gid=65532 groups=65532")


@pytest.mark.skipif(not have_root(), reason="needs root")
def test_u_takes_a_role(listen, scratch):
    (scratch / "conf-users").write_text("smtpd daemon\n")
    e = {"PATH": os.environ["PATH"], "POSTERN_HOME": str(scratch)}
    assert "uid=1(daemon) gid=1(daemon)" in listen("-u", "smtpd", prog=["/usr/bin/id"], env=e).ask()


# -- rules

def test_a_denied_client_gets_nothing(listen, scratch):
    assert listen(rules(scratch, "127.0.0.2:deny\n")).ask("127.0.0.2") == ""


@pytest.mark.parametrize("b,line", [
    ("smtp", "421 4.7.0 access denied\r\n"), ("pop3", "-ERR access denied\r\n"),
    ("go away", "go away\r\n")])
def test_a_denied_client_gets_a_line_of_its_protocol(listen, scratch, b, line):
    server = listen(rules(scratch, "127.0.0.2:deny\n"), "-B", b)
    assert server.ask("127.0.0.2") == line


def test_an_early_talker_is_refused_without_a_reset(listen, scratch):
    server = listen(rules(scratch, "127.0.0.2:deny\n"), "-Bsmtp")
    server.process.send_signal(signal.SIGSTOP)
    with server.connect("127.0.0.2") as s:
        s.sendall(b"EHLO early.example\r\n" * 100)
        server.process.send_signal(signal.SIGCONT)
        assert s.recv(99) == b"421 4.7.0 access denied\r\n"
        assert s.recv(99) == b""
        server.ask("127.0.0.2")     # by now the first one has been closed
        state = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        assert state == 8           # CLOSE_WAIT: an end, no reset


def test_first_word_of_the_program_is_left_out_while_a_file_is_empty(listen, scratch):
    file = scratch / "optional"
    server = listen("-s", file, prog=["echo", "echo", "served"])
    assert server.ask() == "served\n"
    file.write_text("")
    assert server.ask() == "served\n"
    file.write_text("x")
    assert server.ask() == "echo served\n"
    file.unlink()
    assert server.ask() == "served\n"


def test_an_edit_of_the_rules_is_live_at_once(listen, scratch):
    server = listen(rules(scratch, '127.:allow,A="1"\n'), prog=ENV)
    for n in range(20):
        rules(scratch, f'127.:allow,A="{n}"\n')
        assert server.environment()["A"] == str(n)


def test_missing_rules_refuse_everybody_unless_told_otherwise(listen, scratch):
    server = listen("-x", "absent.cdb", "-Bsmtp", prog=ENV)
    assert server.ask().startswith("421 ")
    assert server.log() == (
        "listen: warning: unable to read absent.cdb: No such file or directory\n")
    assert listen("-X", "-x", "absent.cdb", prog=ENV).environment()
    rules(scratch, "127.:deny\n")
    (scratch / "r.cdb").rename(scratch / "absent.cdb")
    assert server.ask() == "421 4.7.0 access denied\r\n"


def test_damaged_rules_refuse_everybody(listen, scratch):
    (scratch / "r.cdb").write_bytes(b"x" * 3000)
    assert listen("-x", "r.cdb", "-Bsmtp").ask().startswith("421 ")


def test_rules_of_tcprules_are_read(listen, scratch):
    subprocess.run(["tcprules", scratch / "r.cdb", scratch / "tmp"], check=True,
                   input=b'127.0.0.2:deny\n127.:allow,A="tcprules"\n')
    server = listen("-x", "r.cdb", prog=ENV)
    assert server.environment()["A"] == "tcprules"
    assert server.ask("127.0.0.2") == ""


# -- limits

def test_at_the_limit_clients_wait_for_a_place(listen):
    server = listen("-c1", prog=["/bin/sh", "-c", "echo up; read x"])
    first = server.connect()
    assert first.recv(9) == b"up\n"
    with server.connect() as second:
        second.settimeout(0.5)
        used = cpu(server.pid)
        with pytest.raises(socket.timeout):
            second.recv(9)
        assert cpu(server.pid) - used < 0.1
        first.close()
        second.settimeout(5)
        assert second.recv(9) == b"up\n"


def test_the_limit_holds_for_all_sockets_together():
    """Both have a client when listen looks, and there is one place."""
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.2", 0)) as b:
        p = adopt(a.fileno(), b.fileno(), options=["-c1"], prog=HOLD)
        try:
            p.stdout.readline()
            p.send_signal(signal.SIGSTOP)
            clients = [socket.create_connection(s.getsockname(), 5) for s in (a, b)]
            p.send_signal(signal.SIGCONT)
            served, _, _ = select.select(clients, [], [], 10)
            assert len(served) == 1 and served[0].recv(9) == b"up\n"
            clients.remove(served[0])
            assert not select.select(clients, [], [], 0.5)[0]
            served[0].close()
            assert select.select(clients, [], [], 10)[0]
            clients[0].close()
        finally:
            end(p)


def hold(server, source=None):
    """A connection whose program runs, or None: it was refused."""
    s = server.connect(source)
    if s.recv(9) == b"up\n":
        return s
    s.close()
    return None


def refused(server, source, reason):
    assert server.ask(source) == "421 4.7.0 too many connections, try again later\r\n"
    server.wait_log(f"deny 0 .* {reason}$")


def test_too_many_connections_of_one_address(listen):
    server = listen("-C2", "-vBsmtp")
    a, b = hold(server), hold(server)
    refused(server, "127.0.0.1", "connections of address")
    c = hold(server, "127.0.0.2")
    assert a and b and c
    a.close()
    server.wait_log(r"end \d+ status 0")
    d = hold(server)
    assert d
    for s in (b, c, d):
        s.close()


def test_too_many_connections_of_one_network(listen):
    server = listen("-n2", "-vBsmtp")
    a, b = hold(server, "127.0.0.1"), hold(server, "127.0.0.2")
    refused(server, "127.0.0.3", "connections of network")
    c = hold(server, "127.0.1.1")
    assert a and b and c
    for s in (a, b, c):
        s.close()


@pytest.mark.parametrize("option,other,reason", [
    ("-w3/60", "127.0.0.2", "rate of address"), ("-W3/60", "127.0.1.2", "rate of network")])
def test_clients_that_come_too_fast(listen, option, other, reason):
    server = listen(option, "-vBsmtp", prog=["/bin/echo", "up"])
    assert [server.ask() for _ in range(3)] == ["up\n"] * 3
    refused(server, "127.0.0.1", reason)
    assert server.ask(other) == "up\n"


def test_a_rate_recovers_with_time(listen):
    server = listen("-w1/1", prog=["/bin/echo", "up"])
    assert server.ask() == "up\n"
    assert server.ask() == ""
    until(lambda: server.ask() == "up\n")


def test_a_rule_sets_limits_of_its_own(listen, scratch):
    server = listen(rules(scratch, '127.0.0.2:allow,MAXPERIP="1"\n'
                                   '127.0.0.3:allow,MAXRATEIP="1/60"\n'), "-C3")
    a = hold(server, "127.0.0.2")
    assert a and not hold(server, "127.0.0.2")
    b = [hold(server, "127.0.0.1") for _ in range(3)]
    assert all(b) and not hold(server, "127.0.0.1")
    c = hold(server, "127.0.0.3")
    assert c and not hold(server, "127.0.0.3")
    for s in (a, *b, c):
        s.close()


@pytest.mark.parametrize("variable,second,reason", [
    ('MAXPERIP="1"', "127.0.0.2", "connections of address"), ('MAXPERNET="1"', "127.0.0.3", "connections of network"),
    ('MAXRATEIP="1/60"', "127.0.0.2", "rate of address"), ('MAXRATENET="1/60"', "127.0.0.3", "rate of network")])
def test_each_limit_may_be_a_rules(listen, scratch, variable, second, reason):
    server = listen(rules(scratch, f"127.0.0.:allow,{variable}\n:allow\n"), "-vBsmtp")
    first, others = hold(server, "127.0.0.2"), [hold(server, "127.0.1.2"), hold(server, "127.0.1.2")]
    refused(server, second, reason)
    assert first and all(others)
    for s in first, *others:
        s.close()


@pytest.mark.parametrize("option,variable", [("-C1", "MAXPERIP"), ("-n1", "MAXPERNET"), ("-w1/60", "MAXRATEIP"),
                                             ("-W1/60", "MAXRATENET")])
def test_zero_in_a_rule_is_no_limit(listen, scratch, option, variable):
    server = listen(rules(scratch, f'127.0.0.2:allow,{variable}="0"\n:allow\n'), option)
    held = [hold(server, "127.0.0.2") for _ in range(3)] + [hold(server, "127.0.1.2")]
    assert all(held) and not hold(server, "127.0.1.2")
    for s in held:
        s.close()


def test_a_malformed_limit_in_a_rule_is_told_and_passed_over(listen, scratch):
    server = listen(rules(scratch, '127.:allow,MAXPERIP="many"\n'))
    s = hold(server)
    assert s
    assert "unable to use a rule's MAXPERIP=many: Invalid argument" in server.log()
    s.close()


def test_a_greeting_is_delayed(listen, scratch):
    server = listen("-G3", rules(scratch, '127.0.0.2:allow,GREETDELAY="0"\n'))
    start = time.monotonic()
    s = hold(server, "127.0.0.2")
    assert time.monotonic() - start < 2.8
    late = hold(server)
    assert s and late and time.monotonic() - start >= 2.99
    s.close()
    late.close()


def test_waiting_for_a_greeting_counts_as_a_connection(listen):
    server = listen("-G2", "-C1", "-Bsmtp")
    with server.connect():
        assert server.ask().startswith("421 ")


def test_rules_are_asked_again_after_a_delay(listen, scratch):
    server = listen("-G1", "-Bsmtp", rules(scratch, ":allow\n"))
    with server.connect() as s:
        rules(scratch, ":deny\n")
        assert read_all(s) == "421 4.7.0 access denied\r\n"


# -- PROXY headers

V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton("192.0.2.7") + \
    socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4711, 25)


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", V2])
@pytest.mark.parametrize("pieces", [1, 1000])
def test_a_balancer_says_who_the_client_is(listen, header, pieces):
    server = listen("-y127.0.0.0/8", prog=["/bin/sh", "-c", "env; cat"])
    data = header + b"EHLO x\r\n"
    with server.connect() as s:
        if pieces == 1:
            s.sendall(data)
        else:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(data)):
                s.sendall(data[i:i + 1])
                time.sleep(0.001)
        s.shutdown(socket.SHUT_WR)
        text = read_all(s)
    assert {"TCPREMOTEIP=192.0.2.7", "TCPREMOTEPORT=4711", "TCPLOCALIP=192.0.2.1",
            "TCPLOCALPORT=25"} <= set(text.splitlines())
    assert text.endswith("\nEHLO x\r\n")


def test_rules_and_limits_apply_to_the_client_behind_the_balancer(listen, scratch):
    server = listen(rules(scratch, "192.0.2.7:deny\n"), "-y127.0.0.1", "-Bsmtp", "-C1")
    assert server.ask(send=V2) == "421 4.7.0 access denied\r\n"
    a = server.connect()
    a.sendall(b"PROXY TCP4 192.0.2.8 192.0.2.1 4711 25\r\n")
    assert a.recv(9) == b"up\n"
    assert "too many" in server.ask(send=b"PROXY TCP4 192.0.2.8 192.0.2.1 4712 25\r\n")
    b = server.connect()
    b.sendall(b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 25\r\n")
    assert b.recv(9) == b"up\n"
    a.close()
    b.close()


def test_only_listed_addresses_may_say_so(listen):
    server = listen("-y127.0.0.9", prog=["/bin/sh", "-c", "env; cat"])
    with server.connect() as s:
        s.sendall(V2)
        s.shutdown(socket.SHUT_WR)
        assert "TCPREMOTEIP=127.0.0.1\n" in read_all(s)


@pytest.mark.parametrize("data", [b"EHLO x\r\n", b"PROXY TCP4 x\r\n", b"P" * 5000,
                                  b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"])
def test_a_balancer_without_a_header_is_refused(listen, data):
    server = listen("-vy127.0.0.1")
    assert server.ask(send=data) == ""
    server.wait_log("deny 0 .* proxy header$")


def test_silent_balancers_hold_nobody_up_and_are_dropped(listen):
    server = listen("-vy127.0.0.1")
    silent = [server.connect() for _ in range(5)]
    s = hold(server, "127.0.0.2")
    assert s
    s.close()
    used = cpu(server.pid)
    silent[0].sendall(b"PROXY TC")
    for one in silent:
        one.settimeout(8)
        assert one.recv(1) == b""
        one.close()
    assert cpu(server.pid) - used < 0.1
    until(lambda: server.log().count("proxy header") == 5)


def test_silent_balancers_count_as_connections(listen):
    server = listen("-c2", "-y127.0.0.1")
    silent = [server.connect() for _ in range(2)]
    with server.connect("127.0.0.2") as s:
        assert not select.select([s], [], [], 0.5)[0]
        silent[0].close()
        s.settimeout(4)
        assert s.recv(9) == b"up\n"
    silent[1].close()


def cpu(pid):
    """Seconds of processor time that a process has used."""
    f = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


# -- log, signals, trouble

def test_the_log_has_the_lines_of_tcpserver(listen):
    server = listen("-v", "-l", "mx:1", "-c7", prog=["/bin/sh", "-c", "exit 3"])
    with server.connect() as s:
        port = s.getsockname()[1]
        read_all(s)
    server.wait_log(r"status: 0/7\n[^$]*status: 0/7")
    pid = re.search(r"pid (\d+)", server.log())[1]
    log = re.sub(r"session=[0-9a-f.-]+", "session=S", server.log())
    assert log == (
        "listen: status: 0/7\nlisten: status: 1/7\n"
        f"listen: pid {pid} from 127.0.0.1\n"
        f"listen: ok {pid} mx?1:127.0.0.1:{server.port} :127.0.0.1::{port} session=S\n"
        f"listen: end {pid} status 768\nlisten: status: 0/7\n")


def test_an_ipv6_address_in_the_log_is_bracketed(listen):
    server = listen("-v", host="::1", prog=ENV)
    server.ask(host="::1")
    server.wait_log(r"ok \d+ :\[::1\]:\d+ :\[::1\]::\d+ session=")


def test_without_v_the_log_is_silent(listen, scratch):
    server = listen(rules(scratch, "127.0.0.2:deny\n"), prog=ENV)
    server.ask()
    server.ask("127.0.0.2")
    assert server.log() == ""


def test_term_stops_accepting_and_lets_children_finish(listen):
    server = listen()
    s = hold(server)
    server.process.terminate()
    until(lambda: connection_refused(server))
    used = cpu(server.pid)
    time.sleep(0.5)
    assert server.process.poll() is None and cpu(server.pid) - used < 0.1
    s.sendall(b"still there\n")
    s.close()
    assert server.process.wait(5) == 0


def test_term_lets_clients_who_wait_for_a_greeting_have_it(listen):
    server = listen("-G4", "-k30")

    def waiting():
        server.process.send_signal(signal.SIGUSR1)
        return "waiting=1" in server.log()
    with server.connect() as s:
        s.settimeout(20)
        until(waiting)
        server.process.terminate()
        until(lambda: connection_refused(server))
        assert s.recv(9) == b"up\n"
    assert server.process.wait(5) == 0


def connection_refused(server):
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:    # it was in the kernel's queue
        pass
    return False


@pytest.mark.parametrize("options,times", [(["-k1"], 1), (["-k60"], 2)])
def test_children_outlive_the_grace_of_listen(listen, options, times):
    server = listen(*options, prog=["/bin/sh", "-c", "echo up; read x; echo $x"])
    s = hold(server)
    for _ in range(times):
        server.process.terminate()
        time.sleep(0.05)
    assert server.process.wait(5) == 0
    s.sendall(b"alive\n")
    assert s.recv(9) == b"alive\n"
    s.close()


def test_usr1_shows_the_limits(listen):
    server = listen("-c9")
    held = [hold(server), hold(server), hold(server, "127.0.0.2")]
    server.process.send_signal(signal.SIGUSR1)
    server.wait_log(r"^listen: info: connections=3 limit=9 waiting=0 accepted=3 refused=0 "
                    r"busiest=127\.0\.0\.1\*2,127\.0\.0\.2\*1$")
    for s in held:
        s.close()


def test_signals_are_understood_as_soon_as_the_port_is_known(listen):
    for _ in range(30):
        server = listen()
        server.process.send_signal(signal.SIGUSR1)
        server.wait_log("connections=0")
        server.process.terminate()
        assert server.process.wait(5) == 0
        server.log_file.unlink()


def test_a_program_that_cannot_run_is_named_once_a_second(listen):
    server = listen("-Bsmtp", prog=["/nowhere/prog"])
    for _ in range(5):
        assert server.ask().startswith("421 ")
    assert 1 <= server.log().count("\n") <= 3
    assert server.log().startswith(
        "listen: warning: unable to run /nowhere/prog: No such file or directory\n")


def test_without_descriptors_listen_rests_and_recovers(listen):
    import resource
    server = listen()
    hold(server).close()
    have = len(os.listdir(f"/proc/{server.pid}/fd"))
    whole = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (have, whole[1]))
    s = server.connect()
    server.wait_log("unable to accept a client: (Too many open files|No file descriptors)")
    used = cpu(server.pid)
    time.sleep(1.5)
    assert cpu(server.pid) - used < 0.1
    assert server.log().count("\n") <= 3
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, whole)
    assert s.recv(9) == b"up\n"
    s.close()


def test_clients_that_vanish_do_no_harm(listen):
    server = listen(prog=["/bin/echo", "up"])
    for _ in range(50):
        s = server.connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    assert server.ask() == "up\n"


def test_memory_stays_small_with_hundreds_of_idle_clients(listen):
    server = listen("-c1000", prog=["/bin/sleep", "60"])
    held = [server.connect(f"127.0.{i}.1") for i in range(200)]
    until(lambda: len(children(server.pid)) == 200)
    text = Path(f"/proc/{server.pid}/smaps_rollup").read_text()
    private = sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M))
    assert private < 300    # KiB
    for pid in children(server.pid):
        os.kill(pid, signal.SIGKILL)
    for s in held:
        s.close()
    until(lambda: not children(server.pid))


def children(pid):
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_debians_rblsmtpd_works_behind_it(listen):
    server = listen(prog=["rblsmtpd", "-t5", "/bin/echo", "up"],
                    env={"PATH": os.environ["PATH"], "RBLSMTPD": "you are listed"})
    with server.connect() as s:
        f = s.makefile("rw", newline="")
        assert f.readline().startswith("220 rblsmtpd.local")
        f.write("RCPT TO:<a@b.example>\r\n")
        f.flush()
        assert f.readline() == "451 you are listed\r\n"
