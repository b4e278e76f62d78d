"""listen, rblcheck and a server in a row, as a run script has them."""
import shutil
import socket
import subprocess

import pytest

import postern
from dnsstub import LISTED, DnsStub, listing

TREE = postern.TREE


@pytest.fixture
def door(scratch):
    """Starts a chain; gives a function that talks to it from an address."""
    for d in "bin", "control", "rules", "users":
        (scratch / d).mkdir()
    for p in "rules/listen", "rblcheck/rblcheck", "rblcheck/dnsq", "smtpd/smtpd":
        shutil.copy(TREE / p, scratch / "bin")
    (scratch / "control/me").write_text("mx.test.example\n")
    (scratch / "control/rcpthosts").write_text("test.example\n")
    (scratch / "control/dnsbl").write_text("bl.example\n")
    running = []

    def start(front, *server):
        stub = DnsStub(listing).__enter__()
        env = postern.env(scratch, DNSCACHEIP=stub.address)
        p = subprocess.Popen([*front, "127.0.0.2", "0", *server], cwd=scratch, env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        running.append((p, stub))
        port = int(p.stdout.readline())

        def talk(source, *lines):
            with socket.create_connection(("127.0.0.2", port), 10, (source, 0)) as s:
                f = s.makefile("rwb")
                out = [f.readline().decode().strip()]
                for line in lines:
                    f.write(line.encode() + b"\r\n")
                    f.flush()
                    out.append(f.readline().decode().strip())
            return out
        return talk
    yield start
    for p, stub in running:
        p.terminate()
        p.wait(10)
        p.stdout.close()
        stub.__exit__()


DIALOGUE = ["mail from:<me@x.example>", "rcpt to:<me@test.example>", "quit"]
REFUSED = ["220 rblsmtpd.local", "250 rblsmtpd.local",
           f"451 {LISTED}", "221 rblsmtpd.local"]


def test_listed_client_meets_rblcheck_and_others_smtpd(door):
    talk = door(["listen", "-1HR", "-l", "mx"], "rblcheck", "smtpd")
    assert talk("127.0.0.2", *DIALOGUE) == REFUSED
    assert talk("127.0.0.3", "quit")[0] == "220 mx.test.example ESMTP"


def test_our_smtpd_and_rblcheck_behind_tcpserver(door):
    talk = door(["tcpserver", "-1HR", "-l", "mx"], "rblcheck", "smtpd")
    assert talk("127.0.0.2", *DIALOGUE) == REFUSED
    assert talk("127.0.0.3", "quit")[0] == "220 mx.test.example ESMTP"


def test_our_smtpd_behind_tcpserver_and_rblsmtpd(door):
    talk = door(["tcpserver", "-1HR", "-l", "mx"], "rblsmtpd", "smtpd")
    assert talk("127.0.0.2", "quit")[0] == "220 mx.test.example ESMTP"


def test_rule_of_listen_overrides_the_lists(door, scratch):
    # a cdb with one record, made by Debian's own compiler
    subprocess.run(["tcprules", "rules/smtp.cdb", "rules/tmp"], cwd=scratch, check=True,
                   input=b'127.0.0.2:allow,RBLSMTPD=""\n127.0.0.4:allow,RBLSMTPD="-no"\n:allow\n')
    talk = door(["listen", "-1HR", "-l", "mx", "-x", "rules/smtp.cdb"], "rblcheck", "smtpd")
    assert talk("127.0.0.2", "quit")[0] == "220 mx.test.example ESMTP"
    assert talk("127.0.0.4", *DIALOGUE)[2] == "553 no"
