"""An SMTP server that behaves as told, and remembers what it was sent.

    with Smtp(RCPT=b"550 no\\r\\n") as server:
        ... connect to server.host, server.port ...
    server.sessions[0].commands, .messages

Keywords are moments: GREETING, EHLO, HELO, MAIL, RCPT, DATA, END (the last
dot), RSET, AUTH, QUIT.  A value is what to answer: bytes; None (silence); a
Close or Reset with bytes to say before; or a function of (session, line) that
returns one of these.  With tls, an ssl.SSLContext, it offers STARTTLS; with
at_once the connection begins with TLS.
"""
import collections
import re
import select
import socket
import struct
import threading
import time

Close = collections.namedtuple("Close", "text")
Reset = collections.namedtuple("Reset", "text")

EHLO = b"250-sink.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n"
NORMAL = {
    "GREETING": b"220 sink.example ESMTP\r\n", "EHLO": EHLO, "HELO": b"250 sink.example\r\n",
    "MAIL": b"250 sender ok\r\n", "RCPT": b"250 recipient ok\r\n", "DATA": b"354 go\r\n",
    "END": b"250 2.0.0 queued as 1234\r\n", "RSET": b"250 reset\r\n", "QUIT": b"221 bye\r\n",
}


class Session:
    def __init__(self):
        self.commands, self.messages, self.ended = [], [], False
        self.peer = self.conn = self.tls = None
        self.data = b""     # read, and not used yet

    def more(self):
        """Reads; false at the end."""
        got = self.conn.recv(65536)
        self.data += got
        return got != b""

    def take(self, pattern):
        """What stands before the first match; None at the end."""
        start = 0
        while not (m := re.compile(pattern).search(self.data, start)):
            start = max(0, len(self.data) - 8)
            if not self.more():
                return None
        out, self.data = self.data[:m.start()], self.data[m.end():]
        return out

    def waiting(self):
        """What the client has sent and nobody has used yet."""
        if select.select([self.conn], [], [], 0)[0]:
            return self.data + self.conn.recv(65536, socket.MSG_PEEK)
        return self.data

    def verbs(self):
        return [c.split(b":")[0].split(b" ")[0] for c in self.commands]


class Smtp:
    def __init__(self, host="127.0.0.1", port=0, end=rb"\r\n\.\r\n", tls=None, at_once=False,
                 **answers):
        self.answers = {**NORMAL, **answers}
        self.tls, self.at_once = tls, at_once
        if tls and not at_once:
            self.answers = {**NORMAL, "EHLO": self._ehlo, "STARTTLS": b"220 go\r\n", **answers}
        self.end = end      # a regular expression: what ends a message
        self.sessions, self.stopped, self.trouble = [], False, []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.create_server((host, port), family=family, backlog=128)
        self.host, self.port = host, self.sock.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    @property
    def messages(self):
        return [m for s in self.sessions for m in s.messages]

    @property
    def commands(self):
        return [c for s in self.sessions for c in s.commands]

    def wait(self, true, seconds=10):
        end = time.monotonic() + seconds
        while not true(self):
            assert time.monotonic() < end, (self.commands, self.messages)
            time.sleep(0.005)

    def _accept(self):
        while not self.stopped:
            try:
                conn, peer = self.sock.accept()
            except OSError as e:
                if self.stopped:
                    return
                self.trouble.append(e)
                time.sleep(0.01)
                continue
            session = Session()
            session.peer, session.conn = peer, conn
            self.sessions.append(session)
            threading.Thread(target=self._serve, args=(conn, session), daemon=True).start()

    @staticmethod
    def _ehlo(session, _):
        return EHLO if session.tls else EHLO.replace(b"250 8BIT", b"250-STARTTLS\r\n250 8BIT")

    def _encrypt(self, session):
        """What was said before is forgotten, RFC 3207 4.2."""
        session.data = b""
        session.conn = self.tls.wrap_socket(session.conn, server_side=True)
        session.tls = session.conn.version()

    def _serve(self, conn, session):
        conn.settimeout(30)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.at_once:
                self._encrypt(session)
            self._talk(session)
        except OSError:
            pass
        finally:
            session.conn.close()
            session.ended = True

    def _answer(self, session, moment, line=b""):
        """What was said; None: the conversation is over."""
        conn = session.conn
        a = self.answers.get(moment, b"502 what?\r\n")
        if callable(a):
            a = a(session, line)
        if a is None:
            return b""
        conn.sendall(a if isinstance(a, bytes) else a.text)
        if isinstance(a, Reset):
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return a if isinstance(a, bytes) else None

    def _talk(self, session):
        if self._answer(session, "GREETING") is None:
            return
        while (line := session.take(rb"\r?\n")) is not None:
            session.commands.append(line)
            verb = line.split(b":")[0].split(b" ")[0].strip().decode("latin-1").upper()
            said = self._answer(session, verb, line)
            if said is None or verb == "QUIT":
                return
            if verb == "STARTTLS" and said == b"220 go\r\n":
                self._encrypt(session)
            if verb == "DATA" and said.startswith(b"354"):
                session.data = b"\r\n" + session.data
                message = session.take(self.end)
                if message is None:
                    return
                # the CR LF in front is ours, the one behind the message's
                session.messages.append(message[2:] + b"\r\n" if message else b"")
                if self._answer(session, "END", session.messages[-1]) is None:
                    return
