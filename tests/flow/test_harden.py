"""harden in network namespaces: a server, a neighbour in its LAN, and somebody
on the internet, with the real nft, sshd and nmap."""
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import postern

SERVER = {"lan": "192.168.77.1", "net": "192.88.77.1"}
OTHER = {"lan": "192.168.77.2", "net": "192.88.77.2"}
DOORS = {"smtp": 25, "submission": 587, "smtps": 465, "pop3": 110, "pop3s": 995, "ssh": 22}
LISTEN = """
import socket, sys, threading
held = [socket.create_server(("", int(p)), backlog=64) for p in sys.argv[1:]]
open("/proc/self/comm", "w").write("py\\x1b[3\\\\1")     # hostile to a terminal
print("up", flush=True)
def serve(s):
    while True:
        s.accept()[0].close()
for s in held:
    threading.Thread(target=serve, args=(s,), daemon=True).start()
sys.stdin.read()
"""


def sh(*args, check=True, **more):
    return subprocess.run([str(a) for a in args], check=check, capture_output=True, text=True,
                          timeout=60, **more)


class Nets:
    """Namespaces srv, lan and net, named after this process."""

    def __init__(self):
        self.names = {n: f"pt{os.getpid()}{n}" for n in ("srv", "lan", "net")}
        self.processes = []
        for n in self.names.values():
            sh("ip", "netns", "add", n)
            sh("ip", "-n", n, "link", "set", "lo", "up")
        for n in "lan", "net":
            a, b = f"{n}s", f"{n}c"
            sh("ip", "link", "add", a, "netns", self.names["srv"], "type", "veth",
               "peer", "name", b, "netns", self.names[n])
            for where, dev, address in (("srv", a, SERVER[n]), (n, b, OTHER[n])):
                sh("ip", "-n", self.names[where], "addr", "add", address + "/24", "dev", dev)
                sh("ip", "-n", self.names[where], "link", "set", dev, "up")

    def run(self, where, *args, check=True, **more):
        return sh("ip", "netns", "exec", self.names[where], *args, check=check, **more)

    def listen(self, *ports):
        p = subprocess.Popen(["ip", "netns", "exec", self.names["srv"], "/usr/bin/python3", "-c",
                              LISTEN, *map(str, ports)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        self.processes.append(p)
        assert p.stdout.readline() == "up\n"

    def open_ports(self, where, *options):
        """What nmap says, of the server's doors and two more."""
        ports = ",".join(map(str, [*DOORS.values(), 80, 3306]))
        out = self.run(where, "nmap", "-n", "-Pn", "--max-retries", "2", "--initial-rtt-timeout",
                       "100ms", "--max-rtt-timeout", "400ms", "--host-timeout", "40s",
                       *(options or ("-sS",)), "-p", ports, SERVER[where]).stdout
        return {int(p) for p in re.findall(r"^(\d+)/tcp +open ", out, re.M)}

    def close(self):
        for p in self.processes:
            p.stdin.close()
            p.wait(10)
            p.stdout.close()
        for n in self.names.values():
            subprocess.run(["ip", "netns", "del", n])


@pytest.fixture
def nets():
    n = Nets()
    n.listen(*DOORS.values(), 80, 3306)
    yield n
    n.close()


@pytest.fixture
def harden(home, nets, scratch):
    root = scratch / "root"
    (root / "etc/ssh").mkdir(parents=True)
    shutil.copy("/etc/ssh/sshd_config", root / "etc/ssh")

    def run(*args, check=True, **env):
        return nets.run("srv", home / "bin/harden", *args, "--root", root, check=check,
                        env=postern.env(home, **env))
    run.root, run.home = root, home
    return run


PUBLIC = {25, 587, 465}
LAN = PUBLIC | {22, 110, 995}


def test_doors_are_open_to_those_they_are_for(nets, harden):
    everything = set(DOORS.values()) | {80, 3306}
    assert nets.open_ports("lan") == nets.open_ports("net") == everything
    r = harden("--apply", "--lan", "192.168.77.0/24", "--ssh", "22", "firewall")
    assert "harden --confirm" in r.stdout
    assert nets.open_ports("lan") == LAN
    assert nets.open_ports("net") == PUBLIC
    # and the server itself reaches whom it likes
    nets.run("srv", "/usr/bin/python3", "-c", "import socket; socket.create_connection("
             "('127.0.0.1', 3306), 5)")
    harden("--confirm")
    assert harden("--check", "--lan", "192.168.77.0/24", "--ssh", "22", "firewall").returncode == 0
    conf = (harden.root / "etc/nftables.conf").read_text()
    assert conf.count("harden/firewall.nf") == 1
    # what is loaded at boot is what is in force
    before = nets.run("srv", "nft", "list", "table", "inet", "postern").stdout
    nets.run("srv", "nft", "flush", "ruleset")
    nets.run("srv", "nft", "-f", harden.root / "etc/nftables.conf")
    assert nets.run("srv", "nft", "list", "table", "inet", "postern").stdout == before
    # all the way back
    harden("--revert")
    assert nets.open_ports("net") == everything
    assert "firewall.nf" not in (harden.root / "etc/nftables.conf").read_text()


def test_other_tables_are_loaded_at_boot_when_the_suite_is_gone(nets, harden):
    conf = harden.root / "etc/nftables.conf"
    conf.write_text("#!/usr/sbin/nft -f\ntable inet mine { }\n"
                    f'include "{harden.home}/state/harden/firewall.nft"\n')     # as it once was
    harden("--apply", "--lan", "192.168.77.0/24", "--ssh", "22", "firewall")
    harden("--confirm")
    assert conf.read_text().count("include") == 1
    shutil.rmtree(harden.home / "state")
    nets.run("srv", "nft", "flush", "ruleset")
    nets.run("srv", "nft", "-f", conf)
    assert nets.run("srv", "nft", "list", "tables").stdout == "table inet mine\n"


def test_odd_packets_and_forged_sources_are_dropped(nets, harden):
    harden("--apply", "--lan", "192.168.77.0/24", "--ssh", "22", "firewall")
    for scan in "-sN", "-sF", "-sX":
        out = nets.run("lan", "nmap", "-n", "-Pn", scan, "--max-retries", "0", "-p", "21",
                       SERVER["lan"]).stdout
        assert "closed" not in out, out         # no reset came back
    # a private source from outside
    nets.run("net", "ip", "addr", "add", "10.9.9.9/32", "dev", "netc")
    nets.run("srv", "ip", "route", "add", "10.9.9.9/32", "dev", "nets")
    r = nets.run("net", "/usr/bin/python3", "-c", "import socket; socket.create_connection("
                 f"('{SERVER['net']}', 25), 2, ('10.9.9.9', 0))", check=False)
    assert r.returncode != 0 and "timed out" in r.stderr
    harden("--revert")
    nets.run("net", "/usr/bin/python3", "-c", "import socket; socket.create_connection("
             f"('{SERVER['net']}', 25), 5, ('10.9.9.9', 0))")


def test_unconfirmed_rules_go_away_by_themselves(nets, harden):
    harden("--apply", "--lan", "192.168.77.0/24", "--patience", "2", "--ssh", "22", "firewall")
    assert 3306 not in nets.open_ports("lan")
    end = time.monotonic() + 20
    while nets.run("srv", "nft", "list", "tables").stdout:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert 3306 in nets.open_ports("lan")
    assert harden("--confirm", check=False).returncode == 111
    assert not (harden.root / "etc/nftables.conf").exists()


def test_who_applies_it_is_not_locked_out(nets, harden):
    r = harden("--apply", "--lan", "192.168.77.0/24", "--ssh", "22", "firewall",
               SSH_CONNECTION="192.88.77.2 50000 192.88.77.1 22")
    assert r.returncode == 0
    assert 22 in nets.open_ports("net")
    harden("--revert")


def test_networks_are_found(nets, harden):
    out = harden("--show", "--ssh", "22", "firewall").stdout
    assert "elements = { 192.168.77.0/24 }" in out
    assert "192.88.77" not in out


def test_ipv6_neighbours_and_strangers(nets, harden):
    for where, dev, address in (("srv", "lans", "fd00:77::1/64"), ("lan", "lanc", "fd00:77::2/64"),
                                ("srv", "nets", "2a00:77::1/64"), ("net", "netc", "2a00:77::2/64")):
        nets.run(where, "ip", "addr", "add", address, "dev", dev, "nodad")
    out = harden("--show", "--ssh", "22", "firewall").stdout
    assert "fd00:77::/64" in out and "2a00" not in out
    code = "import socket,sys; s = socket.create_server(('::', int(sys.argv[1])), " \
        "family=socket.AF_INET6); print('up', flush=True); sys.stdin.read()"
    for port in 2525, 2222:
        p = subprocess.Popen(["ip", "netns", "exec", nets.names["srv"], "/usr/bin/python3", "-c",
                              code, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
        nets.processes.append(p)
        assert p.stdout.readline() == "up\n"
    (harden.home / "control/smtpport").write_text("2525\n")
    harden("--apply", "--ssh", "2222", "firewall")

    def reaches(where, address, port):
        return nets.run(where, "/usr/bin/python3", "-c", "import socket; socket.create_connection("
                        f"('{address}', {port}), 2)", check=False).returncode == 0
    assert reaches("lan", "fd00:77::1", 2525) and reaches("lan", "fd00:77::1", 2222)
    assert reaches("net", "2a00:77::1", 2525) and not reaches("net", "2a00:77::1", 2222)
    harden("--revert")


QUESTION = """
import socket, sys
def said(s, wanted):
    try:
        while True:
            if wanted(s.recv(2000)):
                return True
    except TimeoutError:
        return False
device = socket.if_nametoindex("netc")
hear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
hear.bind(("netc", 0))
hear.settimeout(5)
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, b"\\x3a\\0\\5\\2\\0\\0\\1\\0")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, device)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
# a general query: who listens to what, within 100 ms
s.sendto(b"\\x82\\0\\0\\0\\0\\x64\\0\\0" + bytes(16) + b"\\2\\x7d\\0\\0", ("ff02::1", 0, 0, device))
# 14 bytes of Ethernet, 40 of IPv6, 8 of options; type 143 is a report
if not said(hear, lambda p: p[62:63] == b"\\x8f"):
    sys.exit("no report")
"""


def test_ipv6_switches_and_dhcp_servers_are_heard(nets, harden):
    """RFC 4890 4.4.1: a switch that asks who listens, and hears nobody, passes no
    neighbour solicitations on; a DHCP server answers from another address than the
    one that was asked."""
    end = time.monotonic() + 20         # until addresses of the link may be used
    while "tentative" in nets.run("net", "ip", "-6", "addr", "show", "dev", "netc").stdout + \
            nets.run("srv", "ip", "-6", "addr", "show", "dev", "nets").stdout:
        assert time.monotonic() < end
        time.sleep(0.1)
    harden("--apply", "--lan", "192.168.77.0/24", "--ssh", "22", "firewall")
    r = nets.run("net", "/usr/bin/python3", "-c", QUESTION, check=False)
    assert r.returncode == 0, r.stderr
    out = nets.run("srv", "ip", "-6", "-o", "addr", "show", "dev", "nets", "scope", "link").stdout
    link = re.search(r"inet6 (fe80:[0-9a-f:]+)", out).group(1)
    client = subprocess.Popen(
        ["ip", "netns", "exec", nets.names["srv"], "/usr/bin/python3", "-c",
         "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::', 546));"
         "s.settimeout(5); print('up', flush=True); print(s.recv(100))"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    nets.processes.append(client)
    assert client.stdout.readline() == "up\n"
    for port in 53, 547:
        nets.run("net", "/usr/bin/python3", "-c",
                 "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM);"
                 f"s.bind(('::', {port})); s.sendto(b'from {port}', ('{link}', 546, 0,"
                 "socket.if_nametoindex('netc')))")
    assert client.stdout.readline() == "b'from 547'\n"     # and nobody else's
    harden("--revert")


def test_kernel_settings_come_and_go(nets, harden, scratch):
    """In a namespace of its own; what is not of the network is a copy."""
    for part in "fs", "kernel":
        (scratch / part).mkdir()
    for name in "fs/protected_symlinks", "fs/suid_dumpable", "kernel/kptr_restrict":
        (scratch / name).write_text("7\n")

    def run(*args, check=True):
        return nets.run("srv", "sh", "-c", 'mount --bind "$0/fs" /proc/sys/fs && '
                        'mount --bind "$0/kernel" /proc/sys/kernel && exec "$@"', scratch,
                        harden.home / "bin/harden", *args, "--root", harden.root, check=check,
                        env=postern.env(harden.home))

    def redirects():
        return nets.run("srv", "cat", "/proc/sys/net/ipv4/conf/all/accept_redirects").stdout
    nets.run("srv", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/accept_redirects")
    r = run("--check", "sysctl", check=False)
    assert r.returncode == 1
    assert "sysctl: net.ipv4.conf.all.accept_redirects is 1, not 0\n" in r.stdout
    assert "sysctl: fs.suid_dumpable is 7, not 0\n" in r.stdout
    run("--apply", "sysctl")
    assert redirects() == "0\n" and (scratch / "fs/protected_symlinks").read_text() == "1\n"
    run("--confirm")
    kept = (harden.root / "etc/sysctl.d/60-postern.conf").read_text()
    assert "net.ipv4.conf.all.accept_redirects = 0\n" in kept and "kernel.sysrq" not in kept
    run("--revert")
    assert redirects() == "1\n" and (scratch / "fs/protected_symlinks").read_text() == "7\n"
    assert not (harden.root / "etc/sysctl.d/60-postern.conf").exists()


def test_sshd_takes_the_settings(nets, harden):
    out = harden("--show", "ssh").stdout
    # nobody has a key below this root: passwords must stay
    assert "\nPasswordAuthentication no" not in out and "passwords stay" in out
    (harden.root / "home/joe/.ssh").mkdir(parents=True)
    (harden.root / "home/joe/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA joe\n")
    out = harden("--show", "ssh").stdout
    assert "\nPasswordAuthentication no" in out and "PermitRootLogin no" in out
    assert harden("--check", "ssh", check=False).returncode == 1
    harden("--apply", "ssh")
    f = harden.root / "etc/ssh/sshd_config.d/60-postern.conf"
    assert f.read_text() in out
    harden("--confirm")
    assert harden("--check", "ssh").returncode == 0
    harden("--revert")
    assert not f.exists()


def test_settings_that_sshd_refuses_are_not_written(nets, harden):
    with open(harden.root / "etc/ssh/sshd_config", "a") as f:
        f.write("NoSuchKeyword yes\n")
    assert harden("--apply", "ssh", check=False).returncode == 111
    assert not (harden.root / "etc/ssh/sshd_config.d").exists()


def test_what_else_listens_is_listed(nets, harden):
    out = harden("--check", "services", check=False)
    assert out.returncode == 1
    assert re.search(r"services: py\?\[3\?1 listens at \S+:3306 \(tcp\)", out.stdout), out.stdout


def test_aide_takes_its_file(nets, harden, scratch):
    harden("--apply", "aide")
    f = harden.root / "etc/aide/aide.conf.d/70_postern"
    conf = scratch / "aide.conf"
    conf.write_text("database_in=file:/nonexistent\n" + f.read_text())
    r = sh("aide", "--config-check", "--config", conf, check=False)
    assert r.returncode == 0, r.stdout + r.stderr


def test_wrong_use(nets, harden):
    for wrong in (["--nonsense"], ["--show", "nothing"], ["--apply", "--lan", "x;y"],
                  ["--apply", "--ssh", "22;"], []):
        assert harden(*wrong, check=False).returncode == 100
    nets.run("srv", "ip", "addr", "flush", "dev", "lans")
    r = harden("--apply", "firewall", check=False)
    assert r.returncode == 111 and "--lan" in r.stderr
