"""A spamd that answers as a test tells it to, on a unix socket or a TCP port."""
import os
import re
import socket
import threading


class FakeSpamd:
    def __init__(self, path=None, score=0.0, raw=None, hang=False, cut=None):
        """raw: bytes instead of an answer.  hang: never answer.  cut: close
        after so many bytes of a message."""
        self.score, self.raw, self.hang, self.cut = score, raw, hang, cut
        self.messages, self.heads, self.open = [], [], []
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            os.chmod(path, 0o666)
            self.name = str(path)
        else:
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.name = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(16)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            self.talk(c)
        except OSError:
            pass
        if not self.hang:
            c.close()

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

    def close(self):
        # wakes the thread in accept(), which might otherwise be let loose on
        # another socket that gets this descriptor's number
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        for c in self.open:
            c.close()
