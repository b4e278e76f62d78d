"""dnsrecords: what it prints is a zone that a name server takes and answers from."""
import re
import shutil
import subprocess

import postern


def dnsrecords(home, *args):
    return subprocess.run([home / "bin/dnsrecords", *args], env=postern.env(home),
                          capture_output=True, text=True, timeout=20)


def domain(home, name):
    (home / "users/mailbox" / f"{name}.cdb").write_bytes(b"")


def test_records_of_all_domains(home):
    domain(home, "a.example")
    domain(home, "b.example")
    out = dnsrecords(home, "-a", "192.0.2.9", "-a", "2001:db8::9").stdout
    assert "test.example. IN A 192.0.2.9\n" in out
    assert "test.example. IN AAAA 2001:db8::9\n" in out
    assert "9.2.0.192.in-addr.arpa. IN PTR test.example.\n" in out
    assert "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa." \
        " IN PTR test.example.\n" in out
    for d in "a.example", "b.example":
        assert f"{d}. IN MX 10 test.example.\n" in out
        assert f'{d}. IN TXT "v=spf1 mx -all"\n' in out


def test_named_domains_only(home):
    domain(home, "a.example")
    out = dnsrecords(home, "-a", "192.0.2.9", "c.example").stdout
    assert "c.example. IN MX" in out and "a.example" not in out


def test_private_address_is_not_published(home):
    out = dnsrecords(home, "-a", "10.1.2.3").stdout
    assert " IN A " not in out and "give the public address with -a" in out


def test_keys_of_dkim_as_dkimkey_prints_them(home):
    def dkimkey(*args):
        return subprocess.run([home / "bin/dkimkey", *args], env=postern.env(home), check=True,
                              capture_output=True, text=True, timeout=60).stdout
    told = [l for args in (["-s", "a"], ["-s", "b", "-a", "ed25519"])
            for l in dkimkey(*args, "example.com").splitlines() if l[0] != ";"]
    dkimkey("-a", "ed25519", "xexample.com")
    domain(home, "example.com")
    out = dnsrecords(home, "-a", "192.0.2.9").stdout
    assert len(told) == 2 and [l for l in out.splitlines() if "_domainkey" in l] == told \
        or [l for l in out.splitlines() if "_domainkey" in l] == told[::-1]
    strings = re.findall('"([^"]*)"', told[0])
    assert [len(s) for s in strings][0] == 255 and len(strings) == 2


def test_a_name_server_takes_them(home, scratch):
    checkzone = shutil.which("nsd-checkzone")
    assert checkzone
    domain(home, "example.com")
    (home / "control/me").write_text("mail.example.com\n")
    subprocess.run([home / "bin/dkimkey", "example.com"], env=postern.env(home), check=True,
                   timeout=60, capture_output=True)
    out = dnsrecords(home, "-a", "192.0.2.9").stdout
    zone = scratch / "zone"
    zone.write_text("$TTL 60\nexample.com. IN SOA mail.example.com. a.example.com. 1 2 3 4 5\n"
                    "example.com. IN NS mail.example.com.\n" +
                    "".join(line + "\n" for line in out.splitlines() if "arpa" not in line))
    r = subprocess.run([checkzone, "example.com", zone], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stdout + r.stderr
    assert re.search("zone example.com is ok", r.stdout)


def test_wrong_use(home):
    assert dnsrecords(home, "-a", "300.1.1.1").returncode == 100
    assert dnsrecords(home, "a b").returncode == 100
    assert dnsrecords(home, "-x").returncode == 100
