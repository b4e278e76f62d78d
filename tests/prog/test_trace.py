"""tools/trace on logs as services write them."""
import json
import subprocess
import time

import loglib
import postern
import pytest

T = 1709078400      # 2024-02-28, midnight UTC


@pytest.fixture
def services(home):
    return loglib.Services(home / "log")


def trace(home, *args):
    r = subprocess.run([home / "bin/trace", *map(str, args)], env=postern.env(home, TZ="UTC0"),
                       capture_output=True, timeout=60)
    # whatever happens: nothing that steers a terminal
    assert all(32 <= c < 127 or c == 10 for c in r.stdout + r.stderr)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def one_message(s, t=T, sender="x@y.example", to=("alice@example.com",), **more):
    id, session = s.accept(t, "192.0.2.7", sender, to, **more)
    for r in to:
        s.deliver(t + .02, id, "example.com-" + r)
    s.end(t + .05, id)
    return id, session


def test_way_of_a_message_in_the_order_of_time(home, services):
    one_message(services, T - 50, sender="other@y.example")
    id, session = one_message(services)
    services.done()
    code, out, _ = trace(home, id)
    assert code == 0
    words = ["session " + session, "listen: ok", "queued: info: queued id", "new msg", "accepted ip=192.0.2.7",
             "info msg", "listen: end", "starting delivery", "delivery 2: success", "end msg", "1 delivered, 0 failed"]
    order = [out.index(w) for w in sorted(words, key=out.index)]
    assert order == sorted(order) and "other@y.example" not in out
    assert "2024-02-28 00:00:00.000     +0.000  smtpd    listen: ok" in out


def test_what_filters_say_about_a_message_stands_in_its_way(home, services):
    id, session = one_message(services)
    services.smtpd.line(T + .005, f"dmarcq: info: checked session={session} spf=pass dkim=none dmarc=fail "
                        "policy=reject action=accepted author=y.example ip=192.0.2.7 from=<x@y.example> ms=3")
    services.done()
    code, out, _ = trace(home, id)
    assert code == 0 and "dmarcq: info: checked spf=pass dkim=none dmarc=fail policy=reject" in out.replace(
        f" session={session}", "")


def test_by_address_and_by_session(home, services):
    id, session = one_message(services)
    one_message(services, T + 10, sender="other@y.example", to=["bob@example.com"])
    refused = services.refuse(T + 20, "192.0.2.9", to="Alice@example.com", reason="no_mailbox")
    services.done()
    for what in [session, "x@y.example", "alice@EXAMPLE.com"]:
        code, out, _ = trace(home, what)
        assert code == 0 and str(id) in out and "bob@example.com" not in out, what
    assert refused in trace(home, "alice@example.com")[1]
    assert "reason=no_mailbox" in trace(home, refused)[1]


def test_by_authenticated_user(home, services):
    id, _ = services.accept(T, "192.0.2.7", "a@b.example", ["c@d.example"], user="joe@example.com")
    services.done()
    assert str(id) in trace(home, "joe@example.com")[1]


def test_other_messages_of_the_session_are_left_out(home, services):
    session = services.connect(T, "192.0.2.7")
    first, _ = services.accept(T, "192.0.2.7", "x@y.example", ["a@example.com"], session=session)
    second, _ = services.accept(T + 1, "192.0.2.7", "x@y.example", ["b@example.com"], session=session)
    services.done()
    out = trace(home, first)[1]
    assert "a@example.com" in out and "b@example.com" not in out and str(second) not in out
    both = trace(home, session[0])[1]
    assert str(first) in both and str(second) in both


def test_across_rotations(home):
    s = loglib.Services(home / "log")
    for log in (s.smtpd, s.queued, s.send):
        log.size = 5000
    for i in range(100):
        one_message(s, T + i * 2, sender=f"s{i}@y.example")
    id, session = s.accept(T + 300, "192.0.2.7", "long@y.example", ["a@far.example"])
    s.deliver(T + 301, id, "a@far.example", "deferral", remote=True, text="greylisted")
    for i in range(100):
        one_message(s, T + 400 + i * 2, sender=f"t{i}@y.example")
    s.deliver(T + 3000, id, "a@far.example", remote=True, text="192.0.2.1_accepted_message./")
    s.end(T + 3001, id)
    s.done()
    assert len(list((home / "log/send").glob("@*"))) > 4
    out = trace(home, id)[1]
    assert all(w in out for w in [session, "greylisted", "accepted_message", "1 delivered, 0 failed, 1 put off"])


def test_bounce_and_forward_are_followed(home, services):
    id, _ = services.accept(T, "192.0.2.7", "x@y.example", ["list@example.com"])
    services.queued.line(T + .02, "queued: info: queued id=1709078400500000000 uid=1000 pid=4711 size=5 from=<x@y.example> recipients=1")
    services.deliver(T + .02, id, "example.com-list@example.com", text="did_0+1+0/qp_4711/")
    services.queued.line(T + .04, "queued: info: queued id=1709078400700000000 uid=991 pid=4712 size=5 from=<> recipients=1")
    services.send.line(T + .05, f"bounce msg {id} qp 4712")
    services.queued.line(T + 900, "queued: info: queued id=1709079300000000000 uid=1000 pid=4711 size=5 from=<z@y.example> recipients=1")
    services.done()
    out = trace(home, id)[1]
    assert "1709078400500000000" in out and "1709078400700000000" in out
    # much later, the same process number
    assert "1709079300000000000" not in out


@pytest.mark.parametrize("word", ["bounce msg", "delay notice msg"])
def test_a_bounce_is_shown_only_with_the_message_that_it_is_about(home, services, word):
    """One process makes them all, moments apart."""
    ids = [services.accept(T + n, "192.0.2.7", f"x{n}@y.example", ["list@example.com"])[0] for n in range(3)]
    bounces = [1709078410000000000 + n for n in range(3)]
    for n, (id, bounce) in enumerate(zip(ids, bounces)):
        services.queued.line(T + 10 + n, f"queued: info: queued id={bounce} uid=991 pid=4712 size=5 from=<> recipients=1")
        services.send.line(T + 10.1 + n, f"{word} {id} qp 4712 id {bounce}")
        services.send.line(T + 10.2 + n, f"new msg {bounce}")
    services.done()
    for n, id in enumerate(ids):
        out = trace(home, id)[1]
        assert [f"new msg {b}" in out for b in bounces] == [n == i for i in range(3)]
        assert [str(i) in out for i in ids] == [n == i for i in range(3)]


def test_json(home, services):
    id, session = one_message(services, sender='a"b\\x@y.example')
    services.done()
    code, out, _ = trace(home, "-j", id)
    j = json.loads(out)
    assert j["asked"] == str(id) and [t["session"] for t in j["traces"]] == [session]
    events = j["traces"][0]["events"]
    assert events[0]["time"] == "2024-02-28T00:00:00.000Z" and events[0]["log"] == "smtpd"
    assert any(e.get("message") == str(id) for e in events)
    assert json.loads(trace(home, "-j", "9")[1])["traces"] == []


def test_nothing_found(home, services):
    one_message(services)
    services.done()
    code, out, err = trace(home, "nobody@nowhere.example")
    assert (code, out) == (100, "") and "nothing about nobody@nowhere.example" in err


def test_hostile_log(home, services):
    id, _ = services.accept(T, "192.0.2.7", "x@y.example", ["a@example.com"])
    services.send.raw(b"\x1b]0;owned\x07\n" + b"x" * 1000000 + b"\n\0\0\xff\n", T)
    services.send.line(T + 1, f"delivery 1: success: nobody has started it \x1b[31m")
    services.send.line(T + 1, f"starting delivery 7: msg {id} to local \x1b[31mred@example.com")
    services.done()
    code, out, _ = trace(home, id)
    assert code == 0 and "\\x1b[31mred" in out


def test_logs_of_multilog_and_of_syslog(home, scratch):
    s = loglib.Services(scratch / "other", leap=10)
    one_message(s)
    s.done()
    code, out, _ = trace(home, "-l", scratch / "other", "x@y.example")
    assert "2024-02-28 00:00:00.000" in out
    (scratch / "mail.log.1").write_text(
        "Nov 25 00:00:01 mx qmail: 1795564801.133785 new msg 4711\n"
        "Nov 25 00:00:01 mx qmail: 1795564801.133786 info msg 4711: bytes 5 from <a@b> qp 5 uid 7\n")
    (scratch / "mail.log").write_text(
        "Nov 25 00:00:02 mx qmail: 1795564802.133785 end msg 4711\n")
    code, out, _ = trace(home, "-l", scratch / "mail.log", 4711)
    assert code == 0 and "new msg 4711" in out and "end msg 4711" in out


def test_users_of_the_group_of_logs_may_read_and_others_not(home, services):
    id, _ = one_message(services)
    services.done()
    (home / "log/send").chmod(0o750)
    r = subprocess.run([home / "bin/trace", str(id)], env=postern.env(home), user="nobody", group="nogroup",
                       extra_groups=[], capture_output=True, text=True)
    assert r.returncode == 111 and "Permission denied" in r.stderr


def test_hundred_thousand_lines_in_little_memory(home, services):
    for i in range(10500):
        one_message(services, T + i, sender=f"s{i % 700}@y.example")
    services.done()
    lines = sum(f.read_bytes().count(b"\n") for f in home.glob("log/*/*"))
    assert lines > 100000
    start = time.monotonic()
    r = subprocess.run(["/bin/sh", "-c", "ulimit -v 65536; exec bin/trace s5@y.example"], cwd=home,
                       env=postern.env(home), capture_output=True)
    assert r.returncode == 0 and r.stdout.count(b"= message") == 15
    assert time.monotonic() - start < 30
