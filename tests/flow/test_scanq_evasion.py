"""Every hiding place of tests/evasion.py, through scanq: with a real clamd for
the viruses, without any for the names."""
import pathlib
import re
import subprocess
import sys
import tempfile

import postern
import pytest

sys.path.insert(0, str(postern.TREE / "tests/prog"))
import evasion  # noqa: E402
from scanqlib import Scanq  # noqa: E402

RULES = ".exe\t0\tprogram\n.com\t0\tprogram\n"


@pytest.fixture(scope="module")
def clamd():
    with tempfile.TemporaryDirectory(prefix="postern-clamd.") as d:
        pathlib.Path(d).chmod(0o755)
        r = subprocess.run([postern.TREE / "tests/clamd.sh", d, "start"], capture_output=True,
                           text=True, timeout=120)
        assert r.returncode == 0, r.stderr
        try:
            yield f"{d}/rt/clamd.sock"
        finally:
            subprocess.run([postern.TREE / "tests/clamd.sh", d, "stop"], timeout=10)


def words(r):
    """What scanq has found, in the words of evasion.py."""
    found = set(re.findall(r" (?:log|header|quarantine|refuse)=([a-z0-9-]+)", r.log))
    if "virus=Test.Eicar" in r.log:
        found.add("virus")
    if "quarantine=program" in r.log:
        found.add("name")
    return found


@pytest.fixture
def scanq(scratch):
    s = Scanq(scratch)
    yield s
    s.close()


@pytest.mark.parametrize("name", sorted(n for n, (_, e) in evasion.TECHNIQUES.items() if "virus" in e))
def test_hidden_viruses_are_refused(scanq, clamd, name):
    make, expected = evasion.TECHNIQUES[name]
    scanq.control("clamd", clamd)
    r = scanq.run(evasion.raw(make()).decode("latin-1"))
    assert words(r) & expected, (expected, r.log)
    if "virus" in words(r):
        assert r.code == 82 and r.queued == [] and "Test.Eicar" in r.text


@pytest.mark.parametrize("name", sorted(n for n, (_, e) in evasion.TECHNIQUES.items()
                                        if e - {"virus", "clean"}))
def test_hidden_names_are_kept_without_clamd(scanq, name):
    make, expected = evasion.TECHNIQUES[name]
    scanq.rules(RULES)
    r = scanq.run(evasion.raw(make()).decode("latin-1"))
    assert words(r) & (expected - {"virus"}) or "virus" in expected, (expected, r.log)
    if "name" in words(r):
        assert r.code == 82 or b"X-Postern-Quarantine-End" in (r.queued[0] / "message").read_bytes()


@pytest.mark.parametrize("name", sorted(evasion.CLEAN))
def test_ordinary_messages_pass(scanq, name):
    scanq.rules(RULES)
    r = scanq.run(evasion.raw(evasion.CLEAN[name]()).decode("latin-1"))
    assert r.code == 0 and b"X-Postern-Scan: clean" in (r.queued[0] / "message").read_bytes(), r.log


def test_self_test_turns_scanning_on(scanq, clamd):
    scanq.control("clamd", clamd)
    scanq.control("virusscan", "off")
    r = subprocess.run([scanq.home / "bin/scanq", "-t", "-e"], capture_output=True, text=True,
                       env=postern.env(scanq.home), timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr
    assert len(re.findall("found: (Test.Eicar|Heuristics)", r.stdout)) == 5
    assert "required" in (scanq.home / "control/virusscan").read_text()


def test_self_test_without_clamd_leaves_it_off(scanq):
    scanq.control("clamd", "/nonexistent")
    scanq.control("virusscan", "off")
    r = subprocess.run([scanq.home / "bin/scanq", "-t", "-e"], capture_output=True, text=True,
                       env=postern.env(scanq.home), timeout=60)
    assert r.returncode == 111 and (scanq.home / "control/virusscan").read_text() == "off\n"
