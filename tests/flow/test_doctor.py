"""doctor on the running suite: all well, and each thing broken in turn."""
import json
import os
import shutil
import socket
import subprocess
import time

import pytest

import postern
from dnsstub import A, MX, PTR, TXT, DnsStub, name, rr, txt

HOST = "mx.test.example"
ZONE = {
    (HOST, A): [rr(b"\xc0\x0c", A, socket.inet_aton("192.0.2.9"))],
    ("9.2.0.192.in-addr.arpa", PTR): [rr(b"\xc0\x0c", PTR, name(HOST))],
    ("example.com", MX): [rr(b"\xc0\x0c", MX, b"\0\x0a" + name(HOST))],
    ("example.com", TXT): [rr(b"\xc0\x0c", TXT, txt(b"v=spf1 mx -all")),
                           rr(b"\xc0\x0c", TXT, txt(b"other"))],
    ("_dmarc.example.com", TXT): [rr(b"\xc0\x0c", TXT, txt(b"v=DMARC1; p=none"))],
    ("_domainkey.example.com", TXT): [],
}


@pytest.fixture(scope="module")
def zone():
    """What the stub answers: tests may change it, and put it back."""
    return dict(ZONE)


@pytest.fixture(scope="module")
def dns(zone):
    def answer(q):
        found = zone.get((q.name, q.kind), ())
        if found is None:
            return q.reply(rcode=5)
        if found or (q.name, q.kind) in zone:
            return q.reply(*found)
        return q.reply(rcode=0 if any(n == q.name for n, _ in zone) else 3)
    with DnsStub(answer) as stub:
        yield stub


def doctor(suite, dns, *checks, code=None):
    r = subprocess.run([suite.home / "bin/doctor", "--json", *checks], text=True, timeout=120,
                       env=postern.env(suite.home, DNSCACHEIP=dns.address), capture_output=True)
    assert r.stderr == ""
    if code is not None:
        assert r.returncode == code, r.stdout
    return json.loads(r.stdout)


def one(found, grade, text):
    [f] = [f for f in found if text in f["what"]]
    assert f["grade"] == grade, f
    if grade in ("warning", "bad"):
        assert f["why"] and f["mend"]
    return f


def test_a_healthy_server_has_nothing_bad(suite, dns):
    found = doctor(suite, dns)
    assert not [f for f in found if f["grade"] == "bad"], found
    one(found, "ok", "services are up")
    one(found, "ok", "every file has its owner and mode")
    one(found, "ok", "127.9.9.9 may not relay")
    one(found, "ok", "unknown recipients at example.com are refused")
    one(found, "ok", "smtpd answers at 127.0.0.1")
    one(found, "ok", "pop3 answers at 127.0.0.1")
    one(found, "ok", "the resolver answers")
    one(found, "ok", "0 messages are queued")
    one(found, "ok", f"192.0.2.9 is called {HOST}")
    one(found, "ok", f"mail for example.com comes to {HOST}")
    one(found, "ok", "example.com has an SPF record")
    one(found, "ok", "example.com has a DMARC record")
    one(found, "note", "no address of this machine")
    assert not [f for f in found if "DKIM" in f["what"]]


@pytest.mark.parametrize("key,grade,text", [
    ((HOST, A), "bad", f"{HOST} has no address in DNS"),
    (("9.2.0.192.in-addr.arpa", PTR), "warning", "192.0.2.9 has no name"),
    (("example.com", MX), "bad", f"no MX record of example.com names {HOST}"),
    (("example.com", TXT), "warning", "example.com has no SPF record"),
    (("_dmarc.example.com", TXT), "warning", "example.com has no DMARC record"),
    (("_domainkey.example.com", TXT), "note", "example.com publishes no DKIM key"),
])
def test_what_dns_lacks_is_named(suite, dns, zone, key, grade, text):
    old = zone.pop(key)
    try:
        one(doctor(suite, dns, "dns"), grade, text)
    finally:
        zone[key] = old


def test_a_key_is_compared_with_what_dns_says(suite, dns, zone):
    key = "sel._domainkey.example.com", TXT
    try:
        suite.run("dkimkey", "-s", "sel", "example.com")
        one(doctor(suite, dns, "dns", code=2), "bad", "sel._domainkey.example.com, with which")
        value = (suite.home / "dkim/sel._domainkey.example.com.txt").read_bytes().strip()
        # in other pieces, with blanks, and a tag more
        for parts in [[value[:255], value[255:]], [value[:100], value[100:300], value[300:]],
                      [value.replace(b"; ", b" ;t=s;")[:200], value.replace(b"; ", b" ;t=s;")[200:]]]:
            zone[key] = [rr(b"\xc0\x0c", TXT, txt(*parts))]
            one(doctor(suite, dns, "dns"), "ok", "sel._domainkey.example.com is the key")
        for bad in value[:-20] + b"A" * 20, value[:-1], b"v=DKIM1; k=rsa; p=", b"x":
            zone[key] = [rr(b"\xc0\x0c", TXT, txt(bad[:255], bad[255:]))]
            one(doctor(suite, dns, "dns", code=2), "bad", "sel._domainkey.example.com is not the key")
        del zone[key]
        (suite.home / "control/dkim").unlink()
        one(doctor(suite, dns, "dns"), "note", "sel._domainkey.example.com is not in DNS yet")
    finally:
        zone.pop(key, None)
        subprocess.run([suite.home / "bin/dkimkey", "-d", "-s", "sel", "example.com"],
                       env=postern.env(suite.home), capture_output=True, timeout=60)


def test_two_spf_records_are_bad(suite, dns, zone):
    key = "example.com", TXT
    zone[key] = [rr(b"\xc0\x0c", TXT, txt(b"v=spf1 mx -all"))] * 2
    try:
        one(doctor(suite, dns, "dns", code=2), "bad", "has 2 SPF records")
    finally:
        zone[key] = ZONE[key]


@pytest.mark.parametrize("part", ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"])
def test_a_mailbox_of_another_owner_is_bad(suite, dns, part):
    box = suite.home / "domains/example.com/alice"
    path = box / part
    right = path.stat()
    os.chown(path, 0, 0)
    try:
        bad = one(doctor(suite, dns, "mailboxes", code=2), "bad", "belongs to")
        assert bad["what"] == f"{path} belongs to root, not to postern-vmail"
        assert bad["mend"] == f"chown -Rh {right.st_uid}:{right.st_gid} {box}"
        subprocess.run(bad["mend"].split(), check=True, timeout=20)
        one(doctor(suite, dns, "mailboxes", code=0), "ok", "mailboxes belong to the users")
    finally:
        os.chown(path, right.st_uid, right.st_gid)


def test_a_maildir_of_an_assigned_user_is_his(suite, dns, tmp_path):
    assign = suite.home / "users/assign"
    old = assign.read_text()
    new = tmp_path / "Maildir/new"
    new.mkdir(parents=True)
    os.chown(new.parent, 61001, 61001)
    try:
        assign.write_text(f"=box:box:61001:61001:{tmp_path}:::\n" + old)
        suite.run("usersmake")
        bad = one(doctor(suite, dns, "mailboxes", code=2), "bad", "belongs to")
        assert bad["what"] == f"{new} belongs to root, not to uid 61001"
        os.chown(new, 61001, 61001)
        doctor(suite, dns, "mailboxes", code=0)
    finally:
        assign.write_text(old)
        suite.run("usersmake")


def test_of_many_mailboxes_of_another_owner_the_first_are_named(suite, dns):
    boxes = [suite.home / f"domains/example.com/many{n}" for n in range(7)]
    try:
        for box in boxes:
            suite.add_user(f"{box.name}@example.com")
            os.chown(box, 0, 0)
        bad = [f["what"] for f in doctor(suite, dns, "mailboxes", code=2)]
        assert len(bad) == 6 and bad[5] == "2 more mailboxes belong to others"
    finally:
        for box in boxes:
            subprocess.run([suite.home / "bin/vdeluser", f"{box.name}@example.com"], timeout=20,
                           env=postern.env(suite.home), capture_output=True)


def test_open_relay_is_bad(suite, dns):
    old = (suite.home / "rules/smtp").read_text()
    suite.rules("smtp", ':allow,RELAYCLIENT=""\n')
    try:
        one(doctor(suite, dns, "relay", code=2), "bad", "127.9.9.9 may relay")
    finally:
        suite.rules("smtp", old)


def test_wrong_mode_is_bad(suite, dns):
    f = suite.home / "bin/qstat"
    f.chmod(0o775)
    try:
        one(doctor(suite, dns, "files", code=2), "bad", "bin/qstat")
    finally:
        f.chmod(0o755)
    doctor(suite, dns, "files", code=0)


def test_service_that_is_down_is_bad(suite, dns):
    subprocess.run(["s6-svc", "-wD", "-d", suite.home / "service/pop3"], check=True, timeout=20)
    try:
        one(doctor(suite, dns, "services", code=2), "bad", "pop3 is down")
        one(doctor(suite, dns, "ports", code=2), "bad", "pop3 does not answer")
        with socket.create_server(("127.0.0.1", suite.pop3_port)):
            one(doctor(suite, dns, "ports", code=2), "bad", "another program than pop3 answers")
    finally:
        subprocess.run(["s6-svc", "-wu", "-u", suite.home / "service/pop3"], check=True,
                       timeout=20)


def test_mistakes_in_settings_are_named(suite, dns):
    f = suite.home / "control/concurrencyincoming"
    f.write_text("many\n")
    try:
        one(doctor(suite, dns, "settings", code=2), "bad", "control/concurrencyincoming")
        f.write_text("1\n")
        one(doctor(suite, dns, "settings", code=1), "warning", "control/concurrencyincoming is 1")
    finally:
        f.unlink()


def test_a_setting_that_services_cannot_read_is_bad(suite, dns):
    f = suite.home / "control/me"
    routes = suite.home / "control/smtproutes"
    mode = routes.stat().st_mode
    try:
        f.chmod(0o640)
        routes.chmod(0o640)
        shutil.chown(routes, group="postern-remote")    # as INSTALL has it
        [bad] = [b for b in doctor(suite, dns, "settings", code=2) if b["grade"] == "bad"]
        assert bad["what"] == "control/me (mode 640) is for root alone"
    finally:
        f.chmod(0o644)
        shutil.chown(routes, group="root")
        routes.chmod(mode)
    doctor(suite, dns, "settings", code=0)


@pytest.mark.parametrize("text", ["", "# nothing\n", None])
def test_a_host_without_a_name_is_bad(suite, dns, text):
    f = suite.home / "control/me"
    old = f.read_text()
    try:
        f.unlink() if text is None else f.write_text(text)
        [bad] = doctor(suite, dns, code=2)
        assert bad["what"] == "control/me is missing or empty" and bad["grade"] == "bad"
        for program in "dnsrecords", "systemtest":
            r = subprocess.run([suite.home / "bin" / program], text=True, timeout=60,
                               env=postern.env(suite.home), capture_output=True)
            assert (r.returncode, r.stderr) == (
                111, f"{program}: fatal: control/me names no host\n")
    finally:
        f.write_text(old)


def test_what_a_catch_all_takes_is_no_relaying(suite, dns):
    suite.run("vcatchall", "example.com", "alice@example.com")
    try:
        one(doctor(suite, dns, "recipients", code=1), "warning", "example.com are accepted")
        one(doctor(suite, dns, "relay", code=0), "ok", "127.9.9.9 may not relay")
    finally:
        suite.run("vcatchall", "example.com", "bounce-no-mailbox")


def test_a_quarantine_that_nobody_has_is_bad(suite, dns):
    """As when the name of this host becomes a domain with mailboxes."""
    env = suite.home / "service/smtpd/env"
    env.mkdir()
    (env / "QMAILQUEUE").write_text(f"{suite.home}/bin/scanq\n")
    locals_ = (suite.home / "control/locals").read_text()
    try:
        one(doctor(suite, dns, "scanner"), "ok", f"quarantine@{HOST} takes")
        suite.run("vadddomain", HOST)
        one(doctor(suite, dns, "scanner", code=2), "bad", f"quarantine@{HOST}, is refused")
        # what it says mends it
        (suite.home / "control/locals").write_text("localhost\n")
        (suite.home / "control/quarantine").write_text("quarantine@localhost\n")
        one(doctor(suite, dns, "scanner"), "ok", "quarantine@localhost takes")
    finally:
        suite.run("vdeldomain", HOST)
        for f in "locals", "rcpthosts":
            (suite.home / "control" / f).write_text(locals_)
        (suite.home / "control/quarantine").unlink(missing_ok=True)
        shutil.rmtree(env)


def test_certificate_is_looked_at(suite, dns):
    f = suite.home / "tls/default.pem"
    old = f.read_bytes() if f.exists() else None

    def put(days, *names):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-out", f,
                        "-days", str(days), "-subj", "/CN=x", "-addext",
                        "subjectAltName=" + ",".join(f"DNS:{n}" for n in names)],
                       check=True, capture_output=True, timeout=30)
    try:
        put(90, HOST)
        one(doctor(suite, dns, "tls", code=0), "ok", f"certificate is for {HOST}")
        put(90, "other.example")
        one(doctor(suite, dns, "tls", code=1), "warning", f"does not name {HOST}")
        put(10, HOST)
        one(doctor(suite, dns, "tls", code=1), "warning", "the certificate ends in")
        put(1, HOST)
        one(doctor(suite, dns, "tls", code=2), "bad", "the certificate ends in")
        f.write_text("nothing")
        one(doctor(suite, dns, "tls", code=2), "bad", "no certificate in")
    finally:
        f.unlink()
        if old:
            f.write_bytes(old)


def test_damaged_messages_are_bad(suite, dns):
    f = suite.home / "queue/bad/17"
    f.write_text("x")
    try:
        one(doctor(suite, dns, "queue", code=2), "bad", "1 damaged messages are set aside")
    finally:
        f.unlink()


def test_leftovers_and_stale_tables(suite, dns):
    f = suite.home / "rules/smtp.tmp"
    f.write_text("")
    os.utime(f, (time.time() - 200000,) * 2)
    source = suite.home / "rules/smtp"
    os.utime(source, (time.time() + 5,) * 2)
    try:
        found = doctor(suite, dns, "leftovers", code=1)
        one(found, "warning", "rules/smtp.tmp is left over")
        one(found, "warning", "rules/smtp is newer than rules/smtp.cdb")
    finally:
        f.unlink()
        os.utime(source, (time.time() - 100,) * 2)
    doctor(suite, dns, "leftovers", code=0)


def test_a_dead_resolver_is_bad(suite, dns):
    class Nobody:
        address = "127.0.0.1:1"
    one(doctor(suite, Nobody, "resolver", code=2), "bad", "the resolver does not answer")
    # and nothing is claimed that nobody has said
    found = doctor(suite, Nobody, "dns")
    one(found, "warning", f"no answer about {HOST}")
    assert not [f for f in found if f["grade"] in ("ok", "bad")], found


def test_lists_are_spoken_of_without_a_public_address(suite):
    f = suite.home / "control/dnsbl"
    f.write_text("bl.example=127.0.0.2\n")
    try:
        r = subprocess.run(["unshare", "--net", suite.home / "bin/doctor", "--json", "lists"],
                           text=True, capture_output=True, timeout=60,
                           env=postern.env(suite.home))
        one(json.loads(r.stdout), "note", "no public address of its own")
    finally:
        f.unlink()


def test_an_address_whose_name_is_not_told_is_not_called_nameless(suite, dns, zone):
    key = "9.2.0.192.in-addr.arpa", PTR
    zone[key] = None            # the stub refuses
    try:
        found = doctor(suite, dns, "dns")
        one(found, "note", "no answer about the name of 192.0.2.9")
        assert not [f for f in found if "has no name" in f["what"]]
    finally:
        zone[key] = ZONE[key]


def test_text_for_people_and_wrong_use(suite, dns):
    def run(*args):
        return subprocess.run([suite.home / "bin/doctor", *args], capture_output=True, text=True,
                              timeout=60, env=postern.env(suite.home, DNSCACHEIP=dns.address))
    r = run("disk")
    assert r.returncode in (0, 1, 2) and "disk       queue: " in r.stdout
    assert "\033" not in r.stdout
    assert run("nonsense").returncode == 100
    assert run("-x").returncode == 100
    assert run("-l").stdout.split()[0] == "services"
