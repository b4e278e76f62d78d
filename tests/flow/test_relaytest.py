"""relaytest against the real suite, from outside and from inside, and against
servers that are open, rude or endless."""
import re
import subprocess

import postern
from hostile import Close, Smtp

OUTSIDE = "127.9.9.9"       # the rules let 127.0.0.1 relay, this one not


def relaytest(home, *args):
    return subprocess.run([home / "bin/relaytest", *map(str, args)], env=postern.env(home),
                          capture_output=True, text=True, timeout=120)


def test_our_server_relays_for_nobody_outside(suite):
    r = relaytest(suite.home, "-b", OUTSIDE, "-p", suite.smtp_port, "-d", "example.com",
                  "-m", "alice@example.com", "127.0.0.1")
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout.endswith("\nRelay test result\nAll tests performed, no relays accepted.\n")
    assert ">>> RCPT TO:<relaytest%relaytest.example@example.com>\n" \
        "<<< 553 5.7.1 we don't relay (#5.7.1)\n" in r.stdout
    assert ">>> RCPT TO:<relaytest%relaytest.example@[127.0.0.1]>\n" in r.stdout
    tests = re.split(r"\nRelay test \d+\n", r.stdout)[1:]
    assert len(tests) == 38
    for t in tests:
        assert re.search(r">>> (RCPT|MAIL).*\n<<< [45]\d\d ", t), t
    assert r.stdout.count("\nSmuggling test ") == 7


def test_a_trusted_address_is_told_that_it_may(suite):
    r = relaytest(suite.home, "-q", "-p", suite.smtp_port, "-d", "example.com", "127.0.0.1")
    assert r.returncode == 1
    assert "accepts mail for others" in r.stdout and ">>>" not in r.stdout
    assert r.stdout.endswith("from another one, or with -b 127.9.9.9.\n")
    # the advice is good, and not given to who has followed it
    r = relaytest(suite.home, "-q", "-b", OUTSIDE, "-p", suite.smtp_port, "-d", "example.com",
                  "127.0.0.1")
    assert r.returncode == 0 and "-b 127.9.9.9" not in r.stdout


def test_open_relay_is_named(home):
    with Smtp() as server:
        r = relaytest(home, "-p", server.port, server.host)
    assert r.returncode == 1
    assert "\n[127.0.0.1] accepts, in test 6, mail for <relaytest%relaytest.example@[127.0.0.1]>\n" \
        in r.stdout
    assert "38 of 38 tests: [127.0.0.1] accepts mail for others" in r.stdout


def test_smuggling_is_noticed(home):
    with Smtp(end=rb"\r?\n\.\r?\n", RCPT=lambda s, line: b"250 ok\r\n" if b"own@" in line
              else b"550 no\r\n") as server:
        r = relaytest(home, "-p", server.port, "-m", "own@a.example", server.host)
    assert r.returncode == 1
    taken = re.findall(r"takes (.*) for the end of a message", r.stdout)
    assert taken == ["LF . LF", "LF . CR LF", "CR LF . LF"]
    assert "3 of 7 endings" in r.stdout


def test_server_that_hangs_up_after_errors_is_met_again(home):
    def third(session, line):
        session.refused = getattr(session, "refused", 0) + 1
        return Close(b"421 too many\r\n") if session.refused > 2 else b"550 no\r\n"
    with Smtp(RCPT=third) as server:
        r = relaytest(home, "-p", server.port, server.host)
        assert r.returncode == 0, r.stdout + r.stderr
        assert len(server.sessions) > 15


def test_server_that_never_lets_a_test_end_is_given_up(home):
    with Smtp(RSET=Close(b"421 go away\r\n")) as server:
        r = relaytest(home, "-p", server.port, server.host)
    assert r.returncode == 111
    assert "ends the conversation" in r.stderr


def test_odd_bytes_of_a_server_do_not_reach_the_terminal(home):
    with Smtp(RCPT=b"550-\x1b[31mred\x07\r\n550 \xff\r\n") as server:
        r = relaytest(home, "-p", server.port, server.host)
    assert r.returncode == 0
    assert "550-?[31mred?\n" in r.stdout and "\x1b" not in r.stdout


def test_endless_reply_ends(home):
    with Smtp(GREETING=b"220-x\r\n" * 1000) as server:
        r = relaytest(home, "-p", server.port, server.host)
    assert r.returncode == 111


def test_server_that_lets_nobody_in_is_named(home):
    with Smtp(GREETING=b"554 no\r\n") as server:
        r = relaytest(home, "-p", server.port, server.host)
    assert r.returncode == 111 and "does not let us in" in r.stderr


def test_arguments_cannot_hold_commands(home):
    for bad in ("a\nb", "a b", "<x>", "", "x" * 300):
        assert relaytest(home, "-d", bad, "127.0.0.1").returncode == 100


def test_nobody_listens(home):
    r = relaytest(home, "-p", "1", "127.0.0.1")
    assert r.returncode == 111 and "refused" in r.stderr.lower()
