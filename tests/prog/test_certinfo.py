"""certinfo: what it prints against what openssl prints."""
import subprocess

import pytest

import postern


def certinfo(home, *args):
    return subprocess.run([home / "bin/certinfo", *args], capture_output=True, text=True,
                          timeout=20, env=postern.env(home))


@pytest.fixture
def pem(scratch):
    """Key and certificate in one file, as tls/ has them."""
    key, cert, both = scratch / "key", scratch / "cert", scratch / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "30", "-subj", "/CN=mx.example", "-addext",
                    "subjectAltName=DNS:mx.example,DNS:*.b.example,IP:192.0.2.1"],
                   check=True, capture_output=True, timeout=30)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


def test_what_others_see(home, pem):
    r = certinfo(home, pem)
    assert r.returncode == 0
    lines = r.stdout.splitlines()
    assert lines[0] in ("days 29", "days 30") and lines[1] == "self-signed"
    assert lines[2:4] == ["name mx.example", "name *.b.example"]
    der = subprocess.run(f"openssl x509 -in {pem} -noout -pubkey | "
                         "openssl pkey -pubin -outform DER | sha256sum", shell=True, check=True,
                         capture_output=True, text=True).stdout.split()[0]
    assert lines[4] == f"key-sha256 {der}"


def test_no_certificate(home, scratch, pem):
    assert certinfo(home, scratch / "key").returncode == 111
    assert certinfo(home, scratch / "absent").returncode == 111
    (scratch / "junk").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert certinfo(home, scratch / "junk").returncode == 111
    assert certinfo(home).returncode == 100
