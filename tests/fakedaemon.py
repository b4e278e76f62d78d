"""What the fakes of clamd and spamd share: a unix socket or a TCP port, a thread
for each connection, and an end."""
import os
import socket
import threading


class FakeDaemon:
    """Its talk(c) serves one connection, which then is closed, unless hang."""
    hang = False

    def start(self, path):
        self.open = []
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            os.chmod(path, 0o666)
            self.name = str(path)
        else:
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.name = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(64)
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
        finally:
            if not self.hang:
                c.close()

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
