"""Quotas of mailboxes and domains: maildirsize as Maildir++ has it, warnings,
marks, and many deliveries at the same moment."""
import os
import subprocess
import time

import pytest

import cdblib
import postern
from locallib import BODY, Box, maildir, owned

DOMAIN = b"dbounce-no-mailbox\0"


class Domain(Box):
    def __init__(self, scratch):
        super().__init__(scratch)
        self.box = self.add("joe")
        self.write(".qmail-default", "| /x/vdelivermail '' bounce-no-mailbox\n")
        (self.suite / "users/full").mkdir()
        owned(self.suite / "users/full", 0o755)
        (self.suite / "control/virtualdomains").write_text("v.example:v.example\n")
        (self.suite / "control/me").write_text("mx.example\n")

    def add(self, name):
        owned(self.dir(self.home / name))
        return maildir(self.home / name / "Maildir")

    def limits(self, all_=b"", **quotas):
        tail = all_ + b"\0" if all_ else b""
        cdblib.write(self.suite / "users/mailbox/v.example.cdb", [
            (n.encode(), b"u0\0" + n.encode() + b"\0" + q + b"\0" + tail)
            for n, q in quotas.items()] + [(b"", DOMAIN)])

    def to(self, name="joe", **kw):
        """The exit code."""
        return self.deliver(ext=name, dash="-", user="v.example", host="v.example", **kw).returncode

    def sizes(self, name="joe"):
        return (self.home / name / "Maildir/maildirsize").read_text().splitlines()

    def marks(self):
        return sorted(os.listdir(self.suite / "users/full"))


@pytest.fixture
def domain(scratch):
    return Domain(scratch)


def body(n):
    return b"Subject: x\n\n" + b"x" * n + b"\n"


def of(size, name="joe"):
    """A body with which the message in the mailbox has that size."""
    return body(size - len(body(0)) - len("Return-Path: <s@a.example>\n") -
                len(f"Delivered-To: v.example-{name}@v.example\n"))


def test_the_sum_is_what_lies_there(domain):
    domain.limits(joe=b"100000S,100C")
    for n in (10, 2000, 30):
        assert domain.to(body=body(n)) == 0
    lines = domain.sizes()
    assert lines[0] == "100000S,100C"
    sums = [tuple(map(int, l.split())) for l in lines[1:]]
    assert [sum(x) for x in zip(*sums)] == [
        sum(f.stat().st_size for f in domain.new(domain.box)), 3]


def test_a_file_of_5120_bytes_is_counted_anew(domain):
    domain.limits(joe=b"100000S")
    domain.write("maildirsize", "100000S\n" + "1 1\n" * 1300, where=domain.box)
    assert domain.to() == 0
    assert domain.sizes()[:2] == ["100000S", "0 0"]


def test_a_fresh_count_is_believed_for_fifteen_minutes(domain):
    domain.limits(joe=b"1000S")
    f = domain.write("maildirsize", "1000S\n1000 5\n", where=domain.box)
    assert domain.to() == 100           # one line, and fresh
    os.utime(f, (time.time() - 1000,) * 2)
    assert domain.to() == 0             # old: counted
    f.write_text("1000S\n900 5\n100 1\n")
    assert domain.to() == 0             # more than one line: counted


def test_negative_lines_of_others_are_added(domain):
    domain.limits(joe=b"1000S")
    domain.write("maildirsize", "1000S\n1000 5\n-950 -4\n", where=domain.box)
    before = domain.sizes()
    assert domain.to() == 0
    assert domain.sizes()[:3] == before     # appended to, not made anew


def test_another_quota_is_counted_anew(domain):
    domain.limits(joe=b"5000S")
    domain.write("maildirsize", "1000S\n1000 5\n", where=domain.box)
    assert domain.to() == 0
    assert domain.sizes()[0] == "5000S"


def test_sizes_are_taken_from_names(domain):
    domain.limits(joe=b"5000S")
    domain.write("1.2.h,S=4000:2,S", "x", where=domain.box / "cur")
    assert domain.to() == 0
    assert domain.sizes()[1] == "4000 1"


# ---- a mailbox's own .qmail

@pytest.mark.parametrize("line", ["./Maildir/", "./Maildir/.Folder/", "{home}/joe/Maildir/"])
def test_the_mailboxs_own_file_is_no_way_around_the_quota(domain, line):
    maildir(domain.box / ".Folder")
    domain.write(".qmail", line.format(home=domain.home) + "\n", where=domain.home / "joe")
    domain.limits(joe=b"1000S")
    assert domain.to() == 0
    assert len(domain.sizes()) == 3
    assert domain.to(body=body(1000)) == 100


@pytest.mark.parametrize("line", ["./.Spam/", "././.Spam/", "{home}/joe/.Spam/", "./.Spam/.Old/"])
def test_a_hidden_maildir_beside_the_mailbox_is_one_of_its_own(domain, line):
    place = maildir(domain.home / "joe/.Spam")
    maildir(place / ".Old")
    domain.write(".qmail", line.format(home=domain.home) + "\n", where=domain.home / "joe")
    domain.limits(joe=b"1000S")
    assert domain.to() == 0
    assert (place / "maildirsize").read_text().startswith("1000S\n")
    assert domain.to(body=body(1000)) == 100


@pytest.mark.parametrize("end", ["", "/", "/Maildir/"])
def test_a_catch_all_of_vpopmails_has_its_owners_quota(domain, end):
    domain.write(".qmail-default", f"| /x/vdelivermail '' {domain.home}/joe{end}\n")
    domain.limits(joe=b"1000S")
    assert domain.to("nobody", body=of(990)) == 0
    assert domain.to("nobody") == 100
    assert domain.marks() == ["joe@v.example"] and domain.sizes()[0] == "1000S"
    assert b"To: <joe@v.example>" in warnings(domain)[0]


def test_an_alias_may_name_the_mailboxes_as_vpopmail_does(domain):
    domain.write(".qmail-joe", "&x@y.example\n| /x/vdelivermail '' bounce-no-mailbox\n")
    domain.limits(joe=b"NOQUOTA")
    assert domain.to() == 0
    assert len(domain.new(domain.box)) == 1
    assert domain.forwarded()[1][1] == b"Tx@y.example"


# ---- warning

def warnings(domain, name="joe"):
    return [t for t in (f.read_bytes() for f in domain.new(domain.home / name / "Maildir"))
            if b"nearly full" in t]


def test_a_user_is_warned_once_a_day(domain):
    domain.limits(joe=b"5000S")
    assert domain.to(body=of(4499)) == 0 and not warnings(domain)
    assert domain.to(body=of(200)) == 0
    w, = warnings(domain)
    head = w.split(b"\n\n")[0].splitlines()
    assert head[0] == b"Return-Path: <>" and b"Auto-Submitted: auto-generated" in head
    assert b"To: <joe@v.example>" in head
    total = sum(f.stat().st_size for f in domain.new(domain.box))
    assert sum(int(l.split()[0]) for l in domain.sizes()[1:]) == total
    domain.limits(joe=b"5700S")     # so that there is room; 90 % are used still
    assert domain.to() == 0
    assert len(warnings(domain)) == 1
    f = domain.box / "quotawarn"
    os.utime(f, (time.time() - 90000,) * 2)
    assert domain.to() == 0
    assert len(warnings(domain)) == 2


def test_the_warning_may_have_the_domains_words(domain):
    domain.write(".quotawarn.msg", "From: boss@v.example\nSubject: tidy up\n\nnearly full!\n")
    domain.limits(joe=b"200S")
    assert domain.to(body=of(180)) == 0
    w, = warnings(domain)
    assert b"\nSubject: tidy up\n\nnearly full!\n" in w and b"Mail server" not in w


# ---- marks, which smtpd sees

def ask(domain, name="joe"):
    r = subprocess.run([postern.TREE / "users/rcptcheck", f"{name}@v.example"], text=True,
                       capture_output=True, env=postern.env(domain.suite))
    return r.returncode, r.stdout.strip().split(": ", 1)[1]


@pytest.fixture
def asked(domain):
    cdblib.write(domain.suite / "users/cdb", [
        (b"!v.example-", b"v.example\0001\0001\0%s\0-\0" % str(domain.home).encode()), (b"", b"-")])
    return domain


def test_a_full_mailbox_is_refused_in_the_dialogue(asked):
    asked.limits(joe=b"1000S")
    assert asked.to(body=of(200)) == 0 and asked.marks() == []
    assert asked.to(body=of(1000)) == 100
    # too big for what is left, but not full
    assert asked.marks() == [] and ask(asked) == (0, "yes")
    assert asked.to(body=of(790)) == 0
    assert asked.marks() == ["joe@v.example"]
    assert ask(asked) == (100, "no: the mailbox is full")
    (asked.suite / "control/overquota").write_text("452\n")
    assert ask(asked) == (111, "not now: the mailbox is full")
    assert asked.to() == 111
    (asked.suite / "control/overquota").write_text("what\n")
    assert ask(asked)[0] == 111


def test_a_mark_goes_with_the_next_delivery_or_an_hour(asked):
    asked.limits(joe=b"1000S")
    mark = asked.write("joe@v.example", "", where=asked.suite / "users/full")
    assert ask(asked)[0] == 100
    os.utime(mark, (time.time() - 3700,) * 2)
    assert ask(asked) == (0, "yes")
    assert asked.to() == 0
    assert asked.marks() == []
    asked.write("joe@v.example", "", where=asked.suite / "users/full")
    asked.limits(joe=b"NOQUOTA")
    assert ask(asked) == (0, "yes")


def test_no_place_for_marks_is_no_reason_not_to_deliver(asked):
    asked.limits(joe=b"1000S")
    (asked.suite / "users/full").rmdir()
    assert asked.to(body=body(850)) == 0
    assert ask(asked) == (0, "yes")


# ---- domains

@pytest.fixture
def usage(domain):
    domain.add("ann")
    owned(domain.dir(domain.home / ".usage"))
    owned(domain.dir(domain.home / ".usage/tmp"))
    return domain


def test_a_domain_is_full_together(usage):
    usage.limits(b"3000S", joe=b"NOQUOTA", ann=b"NOQUOTA")
    assert usage.to("joe", body=body(1000)) == usage.to("ann", body=body(1000)) == 0
    assert usage.to("joe", body=body(1000)) == 100
    assert usage.to("joe", body=body(500)) == 0
    first = (usage.home / ".usage/maildirsize").read_text().splitlines()
    assert first[0] == "3000S"
    # what ann removes makes room for joe
    for f in usage.new(usage.home / "ann/Maildir"):
        f.unlink()
    assert usage.to("joe", body=body(1000)) == 0


def test_a_domain_is_counted_from_the_files_of_its_users(usage):
    usage.limits(b"5000S", joe=b"NOQUOTA", ann=b"2000S")
    usage.write("maildirsize", "2000S\n1500 3\n", where=usage.home / "ann/Maildir")
    usage.write("1.h,S=2500", "x", where=usage.box / "new")
    assert usage.to("joe") == 0
    assert (usage.home / ".usage/maildirsize").read_text().splitlines()[1] == "4000 4"


def test_a_full_domain_is_refused_in_the_dialogue(usage):
    cdblib.write(usage.suite / "users/cdb", [
        (b"!v.example-", b"v.example\0001\0001\0%s\0-\0" % str(usage.home).encode()), (b"", b"-")])
    usage.limits(b"1000S", joe=b"NOQUOTA", ann=b"NOQUOTA")
    assert usage.to("joe", body=of(990)) == 0
    assert usage.marks() == ["@v.example"]
    assert ask(usage, "ann")[0] == 100


def test_what_a_client_removes_makes_room_in_the_domain_at_once(usage):
    cdblib.write(usage.suite / "users/cdb", [
        (b"!v.example-", b"v.example\0001\0001\0%s\0-\0" % str(usage.home).encode()), (b"", b"-")])
    usage.limits(b"3000S", joe=b"NOQUOTA", ann=b"NOQUOTA")
    assert usage.to("joe", body=body(1000)) == usage.to("ann", body=body(1000)) == 0
    # counted just now, and believed for a while
    assert usage.to("joe", body=body(1000)) == 100
    st = os.stat(usage.home)
    r = subprocess.run([postern.TREE / "pop3d/pop3d", "Maildir"], cwd=usage.home / "ann",
                       input=b"DELE 1\r\nQUIT\r\n", capture_output=True, timeout=30,
                       env={**usage.env(), "VPOPUSER": "ann@v.example"},
                       user=st.st_uid, group=st.st_gid, extra_groups=[])
    assert r.stdout.count(b"+OK") == 3, r
    assert usage.to("joe", body=body(1000)) == 0


# ---- at the same moment

def test_fifty_deliveries_at_once_exceed_by_less_than_fifty_messages(domain):
    many = 50
    size = len(BODY) + 80
    domain.limits(joe=b"%dS" % (10 * size))
    message = domain.scratch / "message"
    message.write_bytes(BODY)
    running = []
    for _ in range(many):
        with open(message, "rb") as f:
            running.append(subprocess.Popen(
                [domain.suite / "bin/local",
                 *domain.arguments("joe", "-", "s@a.example", "./Maildir/", host="v.example",
                                   user="v.example")],
                stdin=f, stdout=subprocess.DEVNULL, env=domain.env(), extra_groups=[],
                user=os.stat(domain.home).st_uid, group=os.stat(domain.home).st_gid))
    codes = [p.wait(60) for p in running]
    assert set(codes) <= {0, 100}
    there = [f for f in domain.new(domain.box) if b"nearly full" not in f.read_bytes()]
    assert len(there) == codes.count(0)
    assert 10 * size <= sum(f.stat().st_size for f in there) + size
    assert sum(f.stat().st_size for f in there) <= (10 + many - 1) * size
    assert len(warnings(domain)) <= 1
    # and no more from now on
    assert domain.to() == 100
    # what was delivered while another one counted may be missing in the sum,
    # until the next count
    [f.unlink() for f in domain.box.rglob("maildirsize")]
    assert domain.to() == 100
    sums = [tuple(map(int, l.split())) for l in domain.sizes()[1:]]
    assert [sum(x) for x in zip(*sums)] == [
        sum(f.stat().st_size for f in domain.new(domain.box)), len(domain.new(domain.box))]
