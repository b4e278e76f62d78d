"""local as lspawn keeps it: job after job; and the mailboxes of a domain."""
import contextlib
import hashlib
import os
import pathlib
import sys
import time

import pytest

import cdblib
from locallib import BODY, OWNER, Box, maildir, message_file, owned
from queuelib import Queue, until

LINES = b"Return-Path: <s@a.example>\nDelivered-To: joe@b.example\n"


@pytest.fixture
def box(scratch):
    return Box(scratch)


@pytest.fixture
def server(box):
    s = box.server()
    yield s
    assert s.end() == 0


def test_only_the_body_of_the_queue_file_is_delivered(box, server):
    assert server.deliver() == b"Kdid 1+0+0\n"
    assert box.mail() == LINES + BODY


def test_job_after_job_leaves_no_state(box, server):
    other = owned(box.dir(box.scratch / "other"))
    maildir(other / "Maildir")
    first, box.home = box.home, other
    box.write(".qmail-x", "&a@c.example\n|echo $EXT; exit 100\n")
    assert server.deliver(ext="x", sender="me@d.example") == b"Dx\n"
    box.write(".qmail-y", "|[ -z \"$DEFAULT\" ] && echo $SENDER $EXT && umask\n&z@c.example\n")
    answer = server.deliver(ext="y")
    assert answer.startswith(b"Ks@a.example y\n0077\ndid 0+1+1\n")
    assert box.forwarded()[1][1:] == [b"Tz@c.example", b"", b""]
    box.home = first
    for _ in range(20):
        assert server.deliver() == b"Kdid 1+0+0\n"
    assert len(box.new()) == 20 and box.new(other / "Maildir") == []
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) == 3


def test_unknown_name_and_trouble_have_their_letters(box, server):
    assert server.deliver(ext="x") == b"DSorry, no mailbox here by that name. (#5.1.1)\n"
    assert server.deliver(fallback="./None/")[:1] == b"Z"


def test_damaged_message_is_never_delivered(box, server):
    good = message_file(BODY)
    for bad in (good.replace(b"hello", b"hellO"), good[:-1], good[5:], b"",
                good.replace(b"Tr@b", b"Tr@c")):
        answer = server.deliver(data=bad)
        assert answer[:1] == b"C" and len(answer) > 5, bad
    assert box.new() == []
    assert server.deliver()[:1] == b"K"


def test_malformed_job_is_answered_and_survived(box, server):
    for record in (b"joe\0", b"x", b"a\0b\0c\0d\0e\0f\0g\0h"):
        assert server.ask(record, message_file(BODY)) == b"ZMalformed job. (#4.3.0)\n"
    server.sock.send(b"a\0b\0c\0d\0e\0f\0g\0h\0")
    assert server.sock.recv(1000)[:1] == b"Z"
    assert server.deliver()[:1] == b"K"


def test_command_sees_neither_envelope_nor_a_writable_message(box, server):
    box.write(".qmail", f"|cat >{box.out}/in; echo x >&0; true\n|cat >{box.out}/again\n")
    assert server.deliver().endswith(b"\ndid 0+0+2\n")
    assert (box.out / "in").read_bytes() == BODY == (box.out / "again").read_bytes()


# twice, from the start, without holding it
TWICE = """
import hashlib, os
for _ in range(2):
    os.lseek(0, 0, os.SEEK_SET)
    h = hashlib.sha256()
    while s := os.read(0, 65536):
        h.update(s)
    print(h.hexdigest())
"""


@contextlib.contextmanager
def memory_group(most):
    """A control group whose processes have so many bytes, and no swap."""
    top = pathlib.Path("/sys/fs/cgroup")
    limits = {"memory.max": most, "memory.swap.max": 0}
    if (top / "memory").is_dir():
        top = top / "memory"
        limits = {"memory.limit_in_bytes": most, "memory.swappiness": 0}
    elif "memory" not in (top / "cgroup.subtree_control").read_text().split():
        pytest.skip("no control groups with memory here")
    group = top / f"postern-test.{os.getpid()}"
    group.mkdir()
    try:
        for name, value in limits.items():
            if (group / name).exists():
                (group / name).write_text(str(value))
        yield group
    finally:
        # who has ended is out of the group a moment later
        until(lambda: not (group / "cgroup.procs").read_text(), 20)
        group.rmdir()


def test_command_reads_a_huge_message_in_little_memory(box):
    large = 200 << 20
    queue = Queue(box.scratch / "queue.d")
    for name in ("queue.d", "queue.d/home"):
        (box.scratch / name).chmod(0o755)
    with open(box.scratch / "large", "wb") as f:
        f.write(b"Subject: large\n\n")
        for _ in range(large >> 20):
            f.write(os.urandom(1 << 19).hex().encode())
    queue.start()
    try:
        with open(box.scratch / "large") as f:
            r = queue.run("sendmail", "-f", "s@a.example", "joe@b.example", stdin=f)
        assert r.returncode == 0, r.stderr
    finally:
        queue.stop()
    path = queue.path(*queue.messages())
    with open(path, "rb") as f:
        f.seek(-83, os.SEEK_END)
        size = int(f.read().split()[1], 16)
        f.seek(0)
        digest = hashlib.sha256()
        for at in range(0, size, 1 << 20):
            digest.update(f.read(min(1 << 20, size - at)))
    (box.scratch / "twice.py").write_text(TWICE)
    box.write(".qmail", f"|exec {sys.executable} {box.scratch}/twice.py\n")
    with memory_group(48 << 20) as group:
        s = box.server()
        (group / "cgroup.procs").write_text(str(s.process.pid))
        answer = s.deliver(data=path)
        assert s.end() == 0
    assert answer.decode().split("\n")[:2] == ["K" + digest.hexdigest(), digest.hexdigest()]


def test_command_has_three_descriptors(box, server):
    box.write(".qmail", "|exec ls -m /proc/self/fd\n")  # 3: the directory itself
    assert server.deliver() == b"K0, 1, 2, 3\ndid 0+0+1\n"


def test_endless_output_of_a_command_is_cut(box, server):
    box.write(".qmail", "|yes | head -c 1000000; printf 'a\\0b'; exit 100\n")
    answer = server.deliver()
    assert answer[:3] == b"Dy\n" and answer.endswith(b"Error report too long, sorry.\n")
    assert len(answer) < 3100


def test_what_a_command_leaves_running_is_not_waited_for(box, server):
    box.write(".qmail", "|sleep 30 & echo $!; exit 0\n")
    start = time.monotonic()
    answer = server.deliver()
    os.kill(int(answer[1:].split()[0]), 9)
    assert answer[:1] == b"K" and time.monotonic() - start < 5


def test_session_of_the_message_goes_on_with_its_forward(box, server):
    box.write(".qmail", "&a@c.example\n")
    assert server.deliver(data=message_file(BODY, session=b"abc-1"))[:1] == b"K"
    assert (box.out / "session").read_text() == "abc-1"


def test_large_message_is_whole(box, server):
    body = b"a: b\n\n" + os.urandom(50_000)
    assert server.deliver(body=body)[:1] == b"K"
    assert box.mail() == LINES + body


def test_forward_is_on_disk_in_the_real_queue_when_told(box):
    queue = Queue(box.scratch / "queue.d")
    for name in ("queue.d", "queue.d/home"):
        (box.scratch / name).chmod(0o755)
    queue.start()
    try:
        box.suite_env = {"POSTERN_HOME": str(queue.home)}
        box.write(".qmail", "&a@c.example\n&b@c.example\n")
        s = box.server()
        answer = s.deliver(data=message_file(BODY, session=b"abc-1"))
        assert answer.startswith(b"Kdid 0+2+0\nqp ")
        assert s.end() == 0
        number, = queue.messages()
        m = queue.read(number)
        assert m.without_received() == b"Delivered-To: joe@b.example\n" + BODY
        assert (m.sender, m.recipients) == (b"s@a.example", [b"a@c.example", b"b@c.example"])
        assert m.values(b"u") == [b"%d" % OWNER.pw_uid] and m.values(b"s") == [b"abc-1"]
        queue.stop()
        s = box.server()
        assert s.deliver().startswith(b"ZUnable to forward message: ")
        assert s.end() == 0
    finally:
        queue.stop()


class Domain(Box):
    """A virtual domain v.example, as vadddomain makes it."""

    def __init__(self, scratch):
        super().__init__(scratch)
        self.user = owned(self.dir(self.home / "joe"))
        self.box = maildir(self.user / "Maildir")
        self.policy("bounce-no-mailbox")
        cdblib.write(self.suite / "users/mailbox/v.example.cdb", [
            (b"joe", b"u0\0joe\0\0"), (b"off", b"u16\0joe\0\0"), (b"lost", b"u0\0lost\0\0"),
            (b"", b"dbounce-no-mailbox\0")])

    def policy(self, word):
        self.write(".qmail-default", f"| /home/vpopmail/bin/vdelivermail '' {word}\n")


def virtual(server, ext, **kw):
    return server.deliver(ext=ext, dash="-", user="v.example", host="v.example", **kw)


@pytest.fixture
def domain(scratch):
    return Domain(scratch)


@pytest.fixture
def vserver(domain):
    s = domain.server()
    yield s
    assert s.end() == 0


def test_mailbox_gets_its_mail_without_another_program(domain):
    trace = domain.scratch / "trace"
    trace.touch()
    trace.chmod(0o666)
    r = domain.deliver(ext="Joe", user="v.example", host="v.example",
                       before=["strace", "-f", "-o", trace, "-e", "trace=execve,fork,vfork,clone"])
    assert r.returncode == 0 and r.stdout == b"did 1+0+0\n"
    assert domain.mail(domain.box).startswith(
        b"Return-Path: <s@a.example>\nDelivered-To: v.example-Joe@v.example\n")
    assert trace.read_text().count("execve(") == 1 and "clone" not in trace.read_text()


def test_unknown_mailbox_bounces_in_the_domains_own_words(domain, vserver):
    assert virtual(vserver, "nobody") == b"DSorry, no mailbox here by that name. (#5.1.1)\n"
    domain.write(".no-user.msg", "Gone fishing\nx\n")
    assert virtual(vserver, "nobody") == b"DGone fishing\n"


def test_unknown_mailbox_may_be_dropped(domain, vserver):
    domain.policy("delete")
    assert virtual(vserver, "nobody") == b"Kdid 0+0+0\n"


def test_unknown_mailbox_may_be_forwarded(domain, vserver):
    domain.policy("all@c.example")
    assert virtual(vserver, "nobody").startswith(b"Kdid 0+1+0\n")
    assert domain.forwarded()[1] == [b"Fs@a.example", b"Tall@c.example", b"", b""]


@pytest.mark.parametrize("end", ["", "/Maildir/"])
def test_unknown_mailbox_may_be_anothers(domain, vserver, end):
    domain.policy(f"{domain.user}{end}")
    assert virtual(vserver, "nobody") == b"Kdid 1+0+0\n"
    domain.mail(domain.box)


def test_mailbox_that_takes_no_mail_bounces(domain, vserver):
    assert virtual(vserver, "off")[:1] == b"D"


def test_mailbox_without_its_directory_is_deferred(domain, vserver):
    assert virtual(vserver, "lost")[:1] == b"Z"


def test_domain_without_a_table_is_deferred_by_name(domain, vserver):
    (domain.suite / "users/mailbox/v.example.cdb").unlink()
    answer = virtual(vserver, "joe")
    assert answer[:1] == b"Z" and b"v.example" in answer


def test_alias_file_comes_before_the_mailbox(domain, vserver):
    domain.write(".qmail-joe", "&a@c.example\n")
    assert virtual(vserver, "joe").startswith(b"Kdid 0+1+0\n")
    assert domain.new(domain.box) == []


def test_mailboxs_own_file_takes_the_place_of_its_maildir(domain, vserver):
    domain.write(".qmail", f"|pwd >{domain.out}/pwd\n&a@c.example\n", where=domain.user)
    assert virtual(vserver, "joe").startswith(b"Kdid 0+1+1\n")
    assert (domain.out / "pwd").read_text().strip() == str(domain.user)
    assert domain.forwarded()[1][:2] == [b"Fs@a.example", b"Ta@c.example"]
    assert domain.new(domain.box) == []
    domain.write(".qmail", "", where=domain.user)
    assert virtual(vserver, "joe") == b"Kdid 1+0+0\n"


def test_a_real_command_in_the_default_file_is_still_run(domain, vserver):
    domain.write(".qmail-default", "|echo a; true /bin/vdelivermail '' delete\n")
    assert virtual(vserver, "joe") == b"Ka\ndid 0+0+1\n"


def limit(domain, quota):
    cdblib.write(domain.suite / "users/mailbox/v.example.cdb",
                 [(b"joe", b"u0\0joe\0" + quota + b"\0")])


def size_file(domain):
    return (domain.box / "maildirsize").read_text().splitlines()


def test_full_mailbox_bounces_in_the_domains_own_words(domain, vserver):
    limit(domain, b"300S")
    for _ in range(2):
        assert virtual(vserver, "joe") == b"Kdid 1+0+0\n"
    assert virtual(vserver, "joe") == b"Duser is over quota\n"
    domain.write(".over-quota.msg", "No room\n")
    assert virtual(vserver, "joe") == b"DNo room\n"
    assert len(domain.new(domain.box)) == 2


def test_what_came_is_noted_and_the_size_is_the_files(domain, vserver):
    limit(domain, b"1MB,50C")
    for n in range(3):
        assert virtual(vserver, "joe")[:1] == b"K"
    size = domain.new(domain.box)[0].stat().st_size
    assert size_file(domain) == ["1048576S,50C", "0 0"] + [f"{size} 1"] * 3


def test_number_of_messages_may_be_limited(domain, vserver):
    limit(domain, b"2C")
    assert [virtual(vserver, "joe")[:1] for _ in range(3)] == [b"K", b"K", b"D"]


def test_room_made_by_others_is_found(domain, vserver):
    limit(domain, b"2C")
    assert [virtual(vserver, "joe")[:1] for _ in range(2)] == [b"K", b"K"]
    for f in domain.new(domain.box):
        f.unlink()
    assert virtual(vserver, "joe")[:1] == b"K"


def test_folders_count_and_the_trash_does_not(domain, vserver):
    limit(domain, b"3C")
    for name in (".Work", ".Trash"):
        folder = maildir(domain.box / name)
        for i in range(2):
            domain.write(f"{name[1:]}.{i}:2,S", "x", where=folder / "cur")
    assert [virtual(vserver, "joe")[:1] for _ in range(2)] == [b"K", b"D"]


@pytest.mark.parametrize("text", [b"", b"x", b"300S\n", b"300S\n-5000 -20\n", b"\0" * 100,
                                  b"300S\n1 x\n", b"1S\n1 1\n", b"300S\n" + b"1 1\n" * 2000,
                                  b"300S\n9999999999999999999999 1\n", b"300S\n1 1"])
def test_broken_size_file_is_made_anew(domain, vserver, text):
    limit(domain, b"300S")
    domain.write("maildirsize", text, where=domain.box)
    assert virtual(vserver, "joe")[:1] == b"K"
    assert size_file(domain)[:2] == ["300S", "0 0"] and len(size_file(domain)) == 3
    assert not list((domain.box / "tmp").glob("*"))


def test_size_file_that_is_a_link_is_never_written_through(domain, vserver):
    limit(domain, b"300S")
    victim = domain.write("victim", "old")
    (domain.box / "maildirsize").symlink_to(victim)
    assert virtual(vserver, "joe")[:1] == b"K"
    assert victim.read_text() == "old" and not (domain.box / "maildirsize").is_symlink()


def helper(box, *argv, body=BODY, **more):
    message = box.scratch / "message"
    message.write_bytes(body)
    env = box.env(SENDER="s@a.example", NEWSENDER="n@a.example", DTLINE="Delivered-To: x\n",
                  RPLINE="Return-Path: <s>\n", UFLINE="From s\n")
    env.update(more)
    with open(message, "rb") as f:
        return box.as_owner(argv, stdin=f, env={k: v for k, v in env.items() if v}, cwd=box.home)


def test_forward_sends_on_with_the_new_sender(box):
    r = helper(box, "forward", "a@c.example", "b@c.example")
    assert r.returncode == 0 and r.stderr.startswith(b"forward: qp ")
    assert box.forwarded() == (b"Delivered-To: x\n" + BODY, [
        b"Fn@a.example", b"Ta@c.example", b"Tb@c.example", b"", b""])


def test_forward_tells_of_a_missing_variable_and_of_queue_trouble(box):
    r = helper(box, "forward", "a@c.example", NEWSENDER="")
    assert r.returncode == 100 and b"NEWSENDER" in r.stderr
    box.queue_says(31)
    assert helper(box, "forward", "a@c.example").returncode == 100
    box.queue_says(53)
    assert helper(box, "forward", "a@c.example").returncode == 111
    assert helper(box, "forward").returncode == 100


@pytest.mark.parametrize("code,expected,sent", [(0, 99, True), (1, 0, False), (100, 0, False),
                                                (111, 111, False)])
def test_condredirect_asks_the_program(box, code, expected, sent):
    r = helper(box, "condredirect", "a@c.example", "sh", "-c", f"cat >{box.out}/in; exit {code}")
    assert r.returncode == expected
    assert (box.out / "in").read_bytes() == BODY
    assert (box.out / "message").exists() == sent
    if sent:
        assert box.forwarded() == (b"Delivered-To: x\n" + BODY,
                                   [b"Fs@a.example", b"Ta@c.example", b"", b""])


@pytest.mark.parametrize("code,expected", [(0, 100), (1, 0), (100, 0), (111, 111)])
def test_except_turns_the_answer_around(box, code, expected):
    assert helper(box, "except", "sh", "-c", f"exit {code}").returncode == expected


@pytest.mark.parametrize("code,expected", [(0, 100), (1, 0), (111, 111)])
def test_bouncesaying_says_so(box, code, expected):
    r = helper(box, "bouncesaying", "go away", "sh", "-c", f"exit {code}")
    assert (r.returncode, b"go away" in r.stderr) == (expected, code == 0)
    r = helper(box, "bouncesaying", "go away")
    assert (r.returncode, r.stderr) == (100, b"go away\n")


def test_helpers_treat_a_crash_as_temporary(box):
    for name, *args in (("except",), ("bouncesaying", "x"), ("condredirect", "a@c"), ("preline",)):
        assert helper(box, name, *args, "sh", "-c", "kill -9 $$").returncode == 111, name
        assert helper(box, name, *args, "/nonexistent").returncode == 111, name


def test_preline_puts_the_lines_in_front(box):
    assert helper(box, "preline", "cat").stdout == \
        b"From s\nReturn-Path: <s>\nDelivered-To: x\n" + BODY
    assert helper(box, "preline", "-f", "-d", "cat").stdout == b"Return-Path: <s>\n" + BODY
    assert helper(box, "preline", "sh", "-c", "exit 7", body=BODY * 10000).returncode == 7


def test_maildirmake_makes_a_maildir_and_folders(box):
    assert helper(box, "maildirmake", "New").returncode == 0
    for part in ("", "tmp", "new", "cur"):
        assert (box.home / "New" / part).stat().st_mode & 0o777 == 0o700
    assert helper(box, "maildirmake", "New").returncode == 111
    assert helper(box, "maildirmake", "-f", "Work.Old", "New").returncode == 0
    assert (box.home / "New/.Work.Old/maildirfolder").exists()
    assert (box.home / "New/.Work.Old/cur").is_dir()
    for bad in ("", ".", "..", "a/b"):
        assert helper(box, "maildirmake", "-f", bad, "New").returncode == 100, bad
    assert helper(box, "maildirmake").returncode == 100


def test_maildirmake_sets_a_quota(box):
    assert helper(box, "maildirmake", "-q", "1000S,10C", "New").returncode == 0
    assert (box.home / "New/maildirsize").read_text() == "1000S,10C\n"
    assert helper(box, "maildirmake", "-q", "2000S", "New").returncode == 0
    assert (box.home / "New/maildirsize").read_text() == "2000S\n"
    for bad in ("", "x", "10", "10M", "S", "10S,", "10S,10S,10C", "10C,1S"):
        assert helper(box, "maildirmake", "-q", bad, "New").returncode == 100, bad
