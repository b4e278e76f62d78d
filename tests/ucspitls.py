"""A front end of the tests' own that speaks UCSPI-TLS (delayed encryption)
or encrypts at once, over Python's ssl: a server for any UCSPI program."""
import functools
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading


@functools.cache
def key():
    """A self-signed key for localhost and 127.0.0.1, in one PEM file."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-key."))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", d / "key", "-out", d / "cert"], check=True, capture_output=True)
    d.chmod(0o755)
    (d / "pem").write_bytes((d / "key").read_bytes() + (d / "cert").read_bytes())
    return d


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(key() / "pem")
    return c


def trusting():
    """A client's context that knows the key."""
    return ssl.create_default_context(cafile=key() / "cert")


def relay(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data:
                break
            b.sendall(data)
    except OSError:
        pass
    for s in a, b:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Front:
    """Accepts on 127.0.0.1 and runs argv for each connection."""

    def __init__(self, argv, env, at_once=False, tls=True):
        self.argv, self.env, self.at_once, self.tls = argv, env, at_once, tls
        self.path = shutil.which(argv[0], path=env["PATH"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.log = tempfile.TemporaryFile("w+")
        self.processes = []
        self.context = context()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                net, peer = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(net, peer), daemon=True).start()

    def start(self, fd, peer, pass_fds=(), **env):
        env = {**self.env, "PROTO": "TCP", "TCPREMOTEIP": peer[0],
               "TCPREMOTEPORT": str(peer[1]), "TCPLOCALIP": "127.0.0.1",
               "TCPLOCALPORT": "995" if self.at_once else "110", **env}
        self.processes.append(subprocess.Popen(
            self.argv, executable=self.path, stdin=fd, stdout=fd, stderr=self.log,
            env=env, pass_fds=pass_fds, cwd="/"))

    def serve(self, net, peer):
        if not self.tls:
            self.start(net, peer)
            net.close()
            return
        ours, theirs = socket.socketpair()
        if self.at_once:
            try:
                crypt = self.context.wrap_socket(net, server_side=True)
            except (OSError, ssl.SSLError):
                return
            self.start(theirs, peer, SSL_PROTOCOL=crypt.version())
            theirs.close()
            self.both_ways(crypt, ours)
            return
        control, theirs_control = socket.socketpair()
        fds = [theirs_control.fileno(), theirs.fileno()]
        self.start(net, peer, fds, SSLCTLFD=str(fds[0]), SSLREADFD=str(fds[1]),
                   SSLWRITEFD=str(fds[1]))
        theirs.close()
        theirs_control.close()
        self.delayed(net, control, ours)

    def delayed(self, net, control, ours):
        word = control.recv(1)
        if word not in (b"y", b"Y"):
            ours.close()
            net.close()
            return
        try:
            crypt = self.context.wrap_socket(net, server_side=True)
        except (OSError, ssl.SSLError):
            control.close()
            ours.close()
            net.close()
            return
        if word == b"Y":
            control.sendall(b"SSL_PROTOCOL=%s\0SSL_CIPHER=%s\0\0" % (
                crypt.version().encode(), crypt.cipher()[0].encode()))
        self.both_ways(crypt, ours)

    def both_ways(self, crypt, ours):
        t = threading.Thread(target=relay, args=(ours, crypt), daemon=True)
        t.start()
        relay(crypt, ours)
        t.join(10)
        crypt.close()
        ours.close()

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        # wakes the thread in accept(): see fakeclamd.py
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for p in self.processes:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
