"""A spamd that answers as a test tells it to, on a unix socket or a TCP port."""
import re

from fakedaemon import FakeDaemon


class FakeSpamd(FakeDaemon):
    def __init__(self, path=None, score=0.0, raw=None, hang=False, cut=None):
        """raw: bytes instead of an answer.  hang: never answer.  cut: close
        after so many bytes of a message."""
        self.score, self.raw, self.hang, self.cut = score, raw, hang, cut
        self.messages, self.heads = [], []
        self.start(path)

    def talk(self, c):
        data = b""
        while True:
            piece = c.recv(65536)
            data += piece
            if self.cut is not None and len(data) >= self.cut:
                return
            if not piece:
                break
        head, _, message = data.partition(b"\r\n\r\n")
        self.heads.append(head)
        if self.hang:
            return
        assert int(re.search(rb"Content-length: (\d+)", head)[1]) == len(message)
        self.messages.append(message)
        if self.raw is not None:
            c.sendall(self.raw)
            return
        c.sendall(b"SPAMD/1.1 0 EX_OK\r\nSpam: %s ; %.1f / 5.0\r\n\r\n" % (
            b"True" if self.score >= 5 else b"False", self.score))
