"""Chain loaders: what they say and exit when the next program cannot be run."""
import subprocess

import pytest

import postern

ENV = {"PROTO": "TCP", "TCPREMOTEIP": "127.0.0.1", "TCPLOCALIP": "127.0.0.1",
       "RBLSMTPD": ""}


@pytest.fixture
def home(scratch):
    return postern.install_home(scratch / "home", {"me": "host.example\n"})


@pytest.mark.skipif(not postern.have_root(), reason="needs root")
@pytest.mark.parametrize("loader", [
    ["rblcheck"], ["clientname", "-n"], ["tlsrun"], ["confine", "log"],
    ["rulesrun", "rules.cdb"],
])
def test_a_program_that_cannot_be_run_is_named_and_temporary(home, tmp_path, loader):
    subprocess.run([home / "bin/rulesmake", "rules.cdb"], input=":allow\n", text=True,
                   cwd=tmp_path, env=postern.env(home), check=True)
    r = subprocess.run([*loader, "./absent"], executable=home / "bin" / loader[0],
                       env=postern.env(home, **ENV), cwd=tmp_path, text=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert r.returncode == 111, r.stderr
    last = r.stderr.splitlines()[-1]
    assert last.startswith(f"{loader[0]}: fatal: unable to "), r.stderr
    assert last.endswith("./absent: No such file or directory"), r.stderr
