"""A clamd that answers as a test tells it to, on a unix socket or a TCP port.

It knows zPING, zVERSION, zFILDES and zINSTREAM, one command a connection.
verdict(data) gives the answer's text behind "stream: " or "fd[n]: "."""
import array
import os
import socket
import struct
import time

from fakedaemon import FakeDaemon

EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-"
         + b"FILE!$H+H*")


def by_marker(data):
    for mark in (b"EICAR", b"MARKER"):
        if (EICAR if mark == b"EICAR" else mark) in data:
            return "Test.%s FOUND" % mark.decode().title()
    return "OK"


class FakeClamd(FakeDaemon):
    def __init__(self, path=None, verdict=by_marker, version="ClamAV 1.4.6/27123/Sun Nov 22 08:00:00 2026",
                 raw=None, fildes=True, drip=0, hang=False, stop_after=None):
        """raw: bytes instead of any answer to a scan; a list: its pieces, sent one
        by one; a function of the data: what is to be sent, or None.  fildes: descriptors are
        taken.  drip: seconds between bytes of an answer.  hang: never answer.
        stop_after: close after so many bytes of a stream.  version None: none
        is told."""
        self.verdict, self.version, self.raw = verdict, version, raw
        self.fildes, self.drip, self.hang = fildes, drip, hang
        self.stop_after = stop_after
        self.scanned, self.commands, self.access = [], [], []
        self.start(path)

    def talk(self, c):
        c.settimeout(30)
        self.fds = []
        data, fds = self.receive(c)
        while b"\0" not in data:
            more, f = self.receive(c)
            if not more:
                return
            data, fds = data + more, fds + f
        command, _, rest = data.partition(b"\0")
        command = command.decode()
        self.commands.append(command)
        if self.hang:
            return
        if command == "zVERSION":
            if self.version is None:
                time.sleep(30)      # of no interest to those who have closed
                return
            self.answer(c, (self.version + "\0").encode())
        elif command == "zPING":
            self.answer(c, b"PONG\0")
        elif command == "zFILDES":
            while not fds:
                more, fds = self.receive(c)
                if not more:
                    return
            self.scan(c, "fd[11]: ", self.content(fds))
        elif command == "zINSTREAM":
            self.scan(c, "stream: ", self.stream(c, rest))
        else:
            self.answer(c, b"UNKNOWN COMMAND\0")

    def receive(self, c):
        fds = array.array("i")
        data, control, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(4))
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(value[:4])
        return data, list(fds)

    def content(self, fds):
        import fcntl
        self.access.append(fcntl.fcntl(fds[0], fcntl.F_GETFL) & os.O_ACCMODE)
        if not self.fildes:
            os.close(fds[0])
            return None
        data, at = b"", 0
        while True:
            piece = os.pread(fds[0], 1 << 20, at)
            if not piece:
                break
            data, at = data + piece, at + len(piece)
        os.close(fds[0])
        return data

    def stream(self, c, have):
        out = b""
        while True:
            while len(have) < 4:
                have += self.some(c)
            n = struct.unpack(">I", have[:4])[0]
            have = have[4:]
            if not n:
                return out
            while len(have) < n:
                have += self.some(c)
            out, have = out + have[:n], have[n:]
            if self.stop_after is not None and len(out) >= self.stop_after:
                raise OSError

    def some(self, c):
        data = c.recv(65536)
        if not data:
            raise OSError
        return data

    def scan(self, c, prefix, data):
        if data is None:
            self.answer(c, b"fd[11]: Access denied. ERROR\0")
            return
        self.scanned.append(data)
        raw = self.raw(data) if callable(self.raw) else self.raw
        if isinstance(raw, list):
            for piece in raw:
                c.sendall(piece)
                time.sleep(0.05)
        elif raw is not None:
            self.answer(c, raw)
        else:
            self.answer(c, (prefix + self.verdict(data) + "\0").encode())

    def answer(self, c, data):
        if not self.drip:
            c.sendall(data)
            return
        for i in range(len(data)):
            time.sleep(self.drip)
            c.sendall(data[i:i + 1])
