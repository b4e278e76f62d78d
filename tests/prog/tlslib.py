"""tlsd in a directory of its own, and what stands in for tlsrun and a program."""
import array
import os
import pathlib
import pwd
import signal
import socket
import ssl
import subprocess
import threading
import time

import postern

WAIT = 20       # seconds: more than anything here takes on a busy machine


def wait_until(true, seconds=WAIT, what="condition"):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s: {what}")
        time.sleep(0.02)


def make_key(directory, *names, kind="ec", days=30):
    """Key and certificate for these names: two PEM texts."""
    new = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
           "rsa": ["-newkey", "rsa:2048"]}[kind]
    key, cert = directory / "key.tmp", directory / "cert.tmp"
    subprocess.run(
        ["openssl", "req", "-x509", *new, "-nodes", "-keyout", key, "-out", cert,
         "-days", str(days), "-subj", f"/CN={names[0]}", "-addext",
         "subjectAltName=" + ",".join(f"DNS:{n}" for n in names)],
        check=True, capture_output=True)
    return key.read_text(), cert.read_text()


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(
            f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Tlsd:
    def __init__(self, home, **control):
        self.home = home
        for name, value in control.items():
            (home / "control" / name).write_text(f"{value}\n")
        self.log_file = home / "log/tlsd.test"
        self.process = None

    def put(self, name, pem):
        """A file of tls/, as certbot-hook makes it."""
        f = self.home / "tls" / name
        new = f.with_suffix(".new")
        new.write_text(pem)
        user = pwd.getpwnam("postern-tls")
        os.chown(new, user.pw_uid, user.pw_gid)
        new.chmod(0o600)
        new.rename(f)

    def start(self, says="certificates are in force", nofile=None):
        before = self.log().count(says)
        with open(self.log_file, "ab") as out:
            self.process = subprocess.Popen(
                [*(["prlimit", f"--nofile={nofile}"] if nofile else []),
                 "confine", "tlsd", "tlsd"], env=postern.env(self.home),
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.wait_log(says, before + 1)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(WAIT)
        self.process = None

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, text, count=1):
        wait_until(lambda: self.log().count(text) >= count or
                   self.process.poll() is not None, what=f"{text!r} in:\n{self.log()}")
        assert self.log().count(text) >= count, self.log()

    def workers(self):
        return children(self.process.pid)

    def reload(self, says="certificates are in force"):
        before = self.log().count(says)
        self.process.send_signal(signal.SIGHUP)
        self.wait_log(says, before + 1)

    def sessions(self):
        """Descriptors of all workers: a measure of what they hold."""
        n = 0
        for pid in self.workers():
            try:
                n += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                pass
        return n

    def record(self, data, fds):
        """A record to tlsd's socket; what tlsrun does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(str(self.home / "socket/tls/tlsd"))
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            s.sendmsg([data], ancillary if fds else [])


class Program:
    """The server side of one connection: what tlsrun leaves to a program."""

    def __init__(self, tlsd, net, session=b"test-1"):
        self.net = net
        self.control, control = socket.socketpair()
        self.clear, clear = socket.socketpair()
        with control, clear:
            tlsd.record(session + b"\0" + b"127.0.0.1\0",
                        [control.fileno(), net.fileno(), clear.fileno()])
        for s in (self.control, self.clear, self.net):
            s.settimeout(WAIT)

    def ask(self, letter=b"Y"):
        self.control.sendall(letter)

    def answer(self):
        """What tlsd says of the session; None: nothing."""
        got = b""
        while not got.endswith(b"\0\0"):
            try:
                more = self.control.recv(4096)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            got += more
        return dict(v.split("=", 1) for v in got.decode().split("\0") if v)

    def read_all(self):
        out = b""
        while more := self.clear.recv(65536):
            out += more
        return out

    def close(self):
        for s in (self.control, self.clear, self.net):
            s.close()


def pair():
    """A TCP connection: client's end, server's end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    client.settimeout(WAIT)
    return client, server


def context(ca=None, version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # an end without close_notify shall be seen
    c.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if ca:
        c.load_verify_locations(cadata=ca)
    else:
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE
    if version:
        c.minimum_version = c.maximum_version = version
    return c


def connect(tlsd, ctx=None, name="mx.test.example", letter=b"Y", **more):
    """A whole session: client's socket, program, what the program was told."""
    client, server = pair()
    program = Program(tlsd, server)
    program.ask(letter)
    tls = (ctx or context()).wrap_socket(client, server_hostname=name,
                                         suppress_ragged_eofs=False, **more)
    return tls, program, program.answer() if letter == b"Y" else None


def transfer(source, sink, data):
    """data through two sockets, at once; what arrives."""
    got = bytearray()

    def send():
        view = memoryview(data)
        while view:
            view = view[source.send(view[:1 << 16]):]

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    while len(got) < len(data):
        more = sink.recv(1 << 16)
        if not more:
            break
        got += more
    sender.join(WAIT)
    return bytes(got)
