"""Debian's Dovecot on free ports, with the configuration that INSTALL gives."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import postern


def documented(home):
    """INSTALL's lines, for another home directory."""
    text = (postern.TREE / "INSTALL").read_text()
    part = re.search(r"\n[0-9]+\. IMAP, by Dovecot.*?\n\n(\tmail_location.*?)\n\n", text, re.S)[1]
    return part.replace("/var/postern", str(home)).replace("\t", "").replace(
        "POSTERN_SERVICE", f"POSTERN_HOME={home} POSTERN_SERVICE", 1)


REST = """
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/log
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def free_ports(n):
    return [postern.free_port() for _ in range(n)]


class Dovecot:
    def __init__(self, home, more="", config=None):
        # paths of sockets are short
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="dove.", dir="/tmp"))
        self.dir.chmod(0o755)
        self.imap, self.pop3 = free_ports(2)
        conf = self.dir / "conf"
        conf.write_text((config or documented(home)) + REST.format(
            dir=self.dir, imap=self.imap, pop3=self.pop3) + more)
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", conf], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 20
        for port, word in (self.imap, b"* OK"), (self.pop3, b"+OK"):
            while not self.answers(port, word):
                if time.monotonic() > deadline:
                    said = self.said()
                    self.end()
                    raise TimeoutError(said)
                time.sleep(0.05)

    def answers(self, port, word):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                return s.recv(4).startswith(word)
        except OSError:
            return False

    def said(self):
        f = self.dir / "log"
        return f.read_text() if f.exists() else "no log"

    def pids(self):
        """Its processes share its session."""
        found = []
        for d in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                fields = (d / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                found.append(int(d.name))
        return found

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
