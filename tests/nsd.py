"""A real name server, nsd, with one zone, on a port of 127.0.0.1."""
import pathlib
import subprocess
import time

import postern

HEAD = "$TTL 60\n@ SOA ns.example. host.example. 1 60 60 60 60\n NS ns.example.\n"


class Nsd:
    """records: lines of the zone, below zone."""

    def __init__(self, directory, zone, records):
        self.directory, self.zone = pathlib.Path(directory), zone
        self.port = postern.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        (self.directory / "zone").write_text(HEAD + "probe TXT up\n" + records)
        (self.directory / "nsd.conf").write_text(f"""server:
 ip-address: 127.0.0.1@{self.port}
 username: ""
 chroot: ""
 zonesdir: "{self.directory}"
 pidfile: "{self.directory}/pid"
 database: ""
 xfrdfile: "{self.directory}/xfrd"
 zonelistfile: "{self.directory}/list"
 logfile: "{self.directory}/nsdlog"
 server-count: 1
remote-control:
 control-enable: no
zone:
 name: {zone}
 zonefile: zone
""")

    def answers(self):
        p = subprocess.run([postern.TREE / "rblcheck/dnsq", "-t", "1", "txt", "probe." + self.zone],
                           capture_output=True, env={"DNSCACHEIP": self.address})
        return p.returncode == 0

    def start(self):
        self.process = subprocess.Popen(["nsd", "-d", "-c", str(self.directory / "nsd.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                log = self.directory / "nsdlog"
                raise RuntimeError("nsd: " + (log.read_text() if log.exists() else "no log"))
            time.sleep(0.05)
        return self

    def stop(self):
        """All of its processes: the first one takes the others along."""
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
