"""queuectl: with the real queued and send, and spawners that answer what a
test wants."""
import json
import os
import pwd
import signal
import socket
import threading
import time

import pytest

import rspawnlib
from ctllib import ctl, deferred, talk, tried
from queuelib import until
from sendlib import Sender, message_file


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    rspawnlib.use(s)
    s.fake("far.example", "Znot today (#4.2.0)")
    s.fake("a.example", "Zlater")
    s.fake("cold.example", "Zcold")
    yield s
    s.close()
    print(s.log_text(), s.log_of_send())


def test_list_names_state_next_try_and_the_reason_of_the_last_deferral(sender):
    sender.up()
    number = deferred(sender)
    out = ctl(sender, "list")
    assert f"{number}  " in out and "<s@a.example>  waiting, next try in " in out
    assert "\tx@far.example\n\treason: not today (#4.2.0)\n" in out
    one, = json.loads(ctl(sender, "-j", "list", "all"))
    assert one["id"] == str(number) and one["recipients"] == ["x@far.example"]
    assert one["reason"] == "not today (#4.2.0)" and 300 < one["next"] <= 600


@pytest.mark.parametrize("words, want", [
    (["domain=far.example"], "ab"), (["domain=FAR.*"], "ab"), (["to=x@*"], "ac"),
    (["from=s@a.example"], "ac"), (["from="], "b"), (["older=1h"], ""), (["newer=1h"], "abc"),
    (["reason=not today"], "ab"), (["domain=far.example", "from="], "b"), (["held"], "")])
def test_choices(sender, words, want):
    sender.up()
    ids = {"a": deferred(sender, "x@far.example"),
           "b": deferred(sender, "y@far.example", sender=b""),
           "c": deferred(sender, "x@cold.example")}
    got = {m["id"] for m in json.loads(ctl(sender, "--json", "list", *words))}
    assert got == {str(ids[k]) for k in want}


def test_it_lists_without_send_and_orders_nothing(sender):
    sender.start()
    number = sender.mail("x@far.example")
    assert f"{number}  " in ctl(sender, "list")
    assert "  queued" in ctl(sender, "list", number)
    assert ctl(sender, "status", code=111) == "send: not running\n"
    ctl(sender, "retry", "all", code=111)
    ctl(sender, "delete", number, code=111)
    assert sender.messages() == [number]


def test_hold_and_release(sender):
    sender.up()
    number = deferred(sender)
    assert ctl(sender, "hold", number) == f"{number}: held\n"
    assert b"\0hH\0" in sender.path(number).read_bytes()
    sender.fake("far.example", "Kyes")
    sender.send_signal(signal.SIGALRM)
    until(lambda: "\nheld: 1\n" in ctl(sender, "status"))
    ctl(sender, "retry", number, code=100)
    assert "  held" in ctl(sender, "list", "held")
    assert sender.messages() == [number]
    assert ctl(sender, "release", number) == f"{number}: released\n"
    sender.logged(f"end msg {number}")


def test_a_held_message_stays_held_over_a_restart(sender):
    sender.up()
    number = deferred(sender)
    ctl(sender, "hold", number)
    sender.fake("far.example", "Kyes")
    time.sleep(1.1)
    sender.down()
    sender.up(queued=False)
    until(lambda: "held" in ctl(sender, "list", number))
    time.sleep(0.2)
    assert sender.messages() == [number]
    ctl(sender, "release", number)
    sender.logged(f"end msg {number}")


def test_hold_waits_for_what_runs_and_starts_nothing_more(sender):
    sender.control("destinations", "slow.example:1")
    sender.fake("slow.example", "sleep 0.5")
    sender.up()
    number = sender.mail("x@slow.example", "y@far.example")
    sender.logged("starting delivery", count=2)
    ctl(sender, "hold", number)
    assert "success: slept" in sender.log_of_send()
    assert sender.read(number).recipients == [b"y@far.example"]


class FakeQueued(threading.Thread):
    """Says yes to everything; .asked is the requests' letters."""

    def __init__(self, sender):
        super().__init__(daemon=True)
        self.asked = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(sender.socket)
        os.chmod(sender.socket, 0o666)
        self.listener.listen()
        self.start()

    def run(self):
        sock, _ = self.listener.accept()
        while packet := sock.recv(70000):
            self.asked.append(packet[:1].decode())
            sock.send(b"+")


def test_who_waits_hears_when_the_last_request_to_queued_is_done(sender):
    """What was delivered is marked by then, too."""
    number = int(time.time()) * 10 ** 9
    sender.place(number, message_file(recipients=(b"x@slow.example", b"y@far.example")))
    sender.fake("slow.example", "sleep 2")
    queued = FakeQueued(sender)
    sender.up(queued=False)
    sender.logged("starting delivery", count=2)
    assert queued.asked == []
    assert ctl(sender, "hold", number) == f"{number}: held\n"
    assert queued.asked == ["D", "H"]


@pytest.mark.parametrize("how", ["id", "domain", "all"])
def test_retry_now(sender, how):
    sender.up()
    number = deferred(sender)
    other = deferred(sender, "x@cold.example")
    sender.fake("far.example", "Kyes")
    ctl(sender, "retry", {"id": number, "domain": "domain=far.example", "all": "all"}[how])
    sender.logged(f"end msg {number}")
    sender.logged("deferral: cold", count=2 if how == "all" else 1)
    assert sender.messages() == [other]


def test_retry_of_one_recipient_leaves_the_others_with_their_time(sender):
    sender.up()
    number = deferred(sender, "x@far.example", "y@far.example", "z@cold.example")
    before, = json.loads(ctl(sender, "-j", "list", number))
    count = len(tried(sender))
    ctl(sender, "retry", "to=x@far.example")
    sender.logged("deferral", count=4)
    until(lambda: "waiting" in ctl(sender, "list", number))
    assert tried(sender)[count:] == ["x@far.example"]
    after, = json.loads(ctl(sender, "-j", "list", number))
    assert 0 <= before["next"] - after["next"] <= 30
    sender.fake("far.example", "Kyes")
    ctl(sender, "retry", number, "to=y@*")
    sender.logged("success: yes")
    until(lambda: sender.read(number).recipients == [b"x@far.example", b"z@cold.example"])
    assert tried(sender)[count + 1:] == ["y@far.example"]
    ctl(sender, "retry", "domain=far.example")
    until(lambda: sender.read(number).recipients == [b"z@cold.example"])
    assert tried(sender)[count + 2:] == ["x@far.example"]
    sender.fake("cold.example", "Kyes")
    ctl(sender, "retry", "domain=cold.example")
    sender.logged(f"end msg {number}")


def test_retry_of_one_recipient_while_others_are_under_way(sender):
    sender.fake("slow.example", "sleep 2")
    sender.up()
    number = sender.mail("x@slow.example", "y@far.example", "z@cold.example")
    sender.logged("deferral", count=2)
    sender.fake("far.example", "Kyes")
    ctl(sender, "retry", number, "to=y@far.example")
    assert "success" not in sender.log_of_send()
    sender.logged("success: yes")
    assert sorted(tried(sender)) == ["x@slow.example", "y@far.example", "y@far.example", "z@cold.example"]
    until(lambda: sender.read(number).recipients == [b"z@cold.example"])
    until(lambda: "waiting, next try in" in ctl(sender, "list", number))


def test_retry_of_a_recipient_of_a_held_or_frozen_message_tries_nothing(sender):
    sender.up()
    number = deferred(sender, "x@far.example", "y@cold.example")
    count = len(tried(sender))
    ctl(sender, "hold", number)
    assert "it is held" in ctl(sender, "retry", "to=x@far.example", code=100)
    ctl(sender, "freeze", "far.example")
    ctl(sender, "release", number)
    sender.logged("deferral", count=3)          # of cold.example alone
    until(lambda: "waiting" in ctl(sender, "list", number))
    ctl(sender, "retry", "to=x@far.example")
    until(lambda: "waiting" in ctl(sender, "list", number))
    assert tried(sender)[count:] == ["y@cold.example"]
    ctl(sender, "thaw", "far.example")
    sender.logged("deferral", count=4)
    assert tried(sender)[count:] == ["y@cold.example", "x@far.example"]


def test_an_order_right_behind_a_rereading_goes_by_the_new_files(sender):
    """As of a thaw, whose retry send finds in the same round."""
    sender.up()
    ctl(sender, "freeze", "far.example")
    number = sender.mail("x@far.example", "y@cold.example")
    sender.logged("deferral: cold")
    until(lambda: "waiting" in ctl(sender, "list", number))
    at = sender.read(number).raw.index(b"Tx@far.example")
    sender.control("frozen", "")
    assert talk(sender, b"C\0", b"T\0%d\0%d\0" % (number, at)) == [b"0\x000\0", b"%d\x000\0" % number]
    sender.logged("deferral: not_today")


def test_retry_of_one_recipient_each_of_many_messages(sender):
    """More than may be open at once: none is lost, none tried twice."""
    sender.start()
    ids = []
    for n in range(450):
        ids.append(1_795_000_000_000_000_000 + n * 1000)
        sender.place(ids[-1], message_file(recipients=(b"x@far.example", b"y@cold.example")))
    sender.up(queued=False)
    sender.logged("deferral", 60, 900)
    sender.fake("far.example", "sleep 0.2")
    until(lambda: "\nwaiting: 450\n" in ctl(sender, "status"))
    out = ctl(sender, "retry", "domain=far.example")
    assert out.count("tried now") == 450
    sender.logged("success: slept", 60, 450)
    until(lambda: all(sender.read(n).recipients == [b"y@cold.example"] for n in ids), 30)
    assert len(tried(sender)) == 3 * 450


def test_delete_a_message_and_one_recipient(sender):
    sender.up()
    one = deferred(sender)
    two = deferred(sender, "x@far.example", "y@far.example")
    assert ctl(sender, "delete", one) == f"{one}: deleted\n"
    assert sender.messages() == [two]
    ctl(sender, "delete", two, "to=x@far.example")
    assert sender.read(two).recipients == [b"y@far.example"]
    assert sender.read(two).values(b"D") == [b"x@far.example"]
    ctl(sender, "delete", two, "to=y@far.example")
    until(lambda: sender.messages() == [])


def test_delete_a_message_that_waits_for_a_slot(sender):
    sender.control("concurrencyremote", 0)
    sender.up()
    numbers = [sender.mail("x@far.example") for _ in range(300)]
    until(lambda: "\nready: 0" not in ctl(sender, "status"))
    out = ctl(sender, "delete", "domain=far.example")
    assert out.count("deleted") == 300
    assert sender.messages() == []
    sender.control("concurrencyremote", 20)
    sender.send_signal(signal.SIGHUP)
    number = sender.mail("joe@test.example")
    sender.logged(f"end msg {number}")
    assert all(f"{n}: deleted" in out for n in numbers)
    assert not rspawnlib.events(sender, "far.example")
    assert "\nready: 0\n" in ctl(sender, "status")


def test_bounce_now(sender):
    sender.up()
    number = deferred(sender, "x@far.example", "y@far.example")
    ctl(sender, "bounce", number, "to=x@far.example")
    bounce, = (n for n in sender.messages() if n != number)
    body = sender.read(bounce).body
    assert b"<x@far.example>:\nReturned by the administrator." in body
    assert b"y@far.example" not in body
    assert sender.read(number).recipients == [b"y@far.example"]
    ctl(sender, "bounce", number)
    until(lambda: number not in sender.messages())
    assert len(sender.messages()) == 2


def test_bounce_of_a_held_message(sender):
    sender.start()
    held = int(time.time() * 1e6) * 1000
    sender.place(held, message_file(recipients=(b"x@far.example", b"y@far.example"), hold=b"H"))
    sender.up(queued=False)
    until(lambda: "\nheld: 1" in ctl(sender, "status"))
    ctl(sender, "bounce", held, "to=x@*")
    time.sleep(0.1)
    assert "held" in ctl(sender, "list", held)
    assert sender.read(held).recipients == [b"y@far.example"]


def test_change_a_recipient(sender):
    sender.up()
    number = deferred(sender, "x@far.example", "y@far.example", body=b"Subject: c\n\nbody\n")
    out = ctl(sender, "change", number, "X@far.example", "joe@test.example")
    copy = int(out.split()[-2])
    sender.logged(f"end msg {copy}")
    assert sender.read(number).recipients == [b"y@far.example"]
    assert sender.read(number).values(b"h") == [b"-"]
    assert ["joe", "<s@a.example>"] in [line[2:4] for line in sender.fakelog()]
    ctl(sender, "change", number, "nobody@far.example", "joe@test.example", code=100)
    assert sender.read(number).values(b"h") == [b"-"]


def test_freeze_and_thaw(sender):
    sender.fake("far.example", "Kyes")
    sender.up()
    ctl(sender, "freeze", "far.example")
    assert ctl(sender, "frozen") == "far.example\n"
    number = sender.mail("x@far.example")
    until(lambda: "frozen by an administrator" in ctl(sender, "list", number))
    assert not rspawnlib.events(sender, "far.example")
    ctl(sender, "thaw", "far.example")
    sender.logged(f"end msg {number}")
    assert ctl(sender, "frozen") == ""


def test_domains_frozen_at_the_same_moment_are_all_frozen(sender):
    domains = [f"d{i}.example" for i in range(40)]
    threads = [threading.Thread(target=ctl, args=(sender, "freeze", d)) for d in domains]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(ctl(sender, "frozen").split()) == sorted(domains)


def test_count_by_domain_sender_reason_and_state(sender):
    sender.up()
    deferred(sender, "x@far.example", "y@FAR.example")
    deferred(sender, sender=b"")
    assert ctl(sender, "count", "domain").lower() == "3\tfar.example\n"
    assert ctl(sender, "count", "sender") == "1\t\n1\ts@a.example\n"
    assert ctl(sender, "count", "reason") == "2\tnot\\x20today\\x20(#4.2.0)\n"
    assert json.loads(ctl(sender, "-j", "count", "state")) == [{"count": 2, "state": "waiting"}]


def test_show_prints_the_header_and_no_control_byte(sender):
    sender.up()
    number = deferred(sender, body=b"Subject: \x1b[2J\xff\nTo: x\n\nsecret\n")
    out = ctl(sender, "show", number)
    assert "Subject: ?[2J?\n" in out and "secret" not in out and "Received: " in out


def test_hostile_addresses_are_escaped(sender):
    sender.up()
    number = deferred(sender, "\x1b[2J\"x@far.example", sender=b"a\nb\xffc@a.example")
    assert "\x1b" not in ctl(sender, "list", number)
    one, = json.loads(ctl(sender, "-j", "list", number))
    assert one["recipients"] == ["\x1b[2J\"x@far.example"]
    assert one["sender"] == "a\nb\u00ffc@a.example"


def test_export_and_import_move_a_queue(sender, scratch):
    sender.up()
    body = b"Subject: m\n\n" + bytes(range(256)) * 400 + b"\nno newline"
    ids = [deferred(sender, "x@far.example", sender=b"v-@a.example-@[]", body=body),
           deferred(sender, "x@far.example", "y@far.example")]
    ctl(sender, "delete", ids[1], "to=x@*")
    stream = ctl(sender, "export", "all", text=False)
    out = ctl(sender, "import", input=stream)
    new = [int(line.split()[-1]) for line in out.splitlines()]
    assert [int(line.split()[0]) for line in out.splitlines()] == ids
    m = sender.read(new[0])
    assert m.without_received() == sender.read(ids[0]).body
    assert m.sender == b"v-@a.example-@[]"
    assert sender.read(new[1]).recipients == [b"y@far.example"]
    until(lambda: ctl(sender, "list", "all").count("waiting") == 4)
    ctl(sender, "delete", "-", input=out.encode())
    assert sender.messages() == sorted(new)


@pytest.mark.parametrize("how", ["cut", "flip", "garbage", "count", "empty"])
def test_a_stream_that_is_not_whole_is_not_imported(sender, how):
    sender.start()
    number = sender.mail("x@far.example", body=b"Subject: x\n\n" + b"0123456789" * 100 + b"\n")
    stream = bytearray(ctl(sender, "export", number, text=False))
    whole = 0
    if how == "cut":
        del stream[-300:]
    elif how == "flip":
        stream[-100] ^= 1
    elif how == "garbage":
        stream = bytearray(b"POSTERN1\nM 1 2 3\n")
    elif how == "count":
        del stream[-4:]
        whole = 1
    else:
        stream = bytearray()
    ctl(sender, "import", input=bytes(stream), code=100)
    assert len(sender.messages()) == 1 + whole
    until(lambda: sender.unfinished() == [])


def test_a_held_message_is_held_after_import(sender):
    sender.up()
    number = deferred(sender)
    ctl(sender, "hold", number)
    out = ctl(sender, "import", input=ctl(sender, "export", "held", text=False))
    assert out.endswith(", held\n")
    new = int(out.split()[3].rstrip(","))
    assert sender.read(new).values(b"h") == [b"H"]


def test_check_finds_and_repair_puts_right(sender):
    sender.up()
    good = deferred(sender)
    ctl(sender, "check")
    bad = sender.place(1795000000000000000, b"x" + message_file()[1:] + b"y")
    flipped = message_file(recipients=(b"z@far.example",))
    flipped = sender.place(1795000000000001000, b"x" + flipped[1:])
    wrong = sender.dir / "mess/63/1795000000000002000"
    wrong.write_bytes(message_file(recipients=(b"moved@far.example",)))
    (sender.dir / "mess/05/README").write_text("hello")
    out = ctl(sender, "check", code=100)
    assert "mess/05/README: its name is no id" in out
    assert f"{bad.name}: " in out and f"{flipped.name}: body does not fit its checksum" in out
    assert "in the wrong directory" in out
    assert bad.exists() and flipped.exists() and wrong.exists()
    out = ctl(sender, "repair", code=100)
    assert not bad.exists() and not flipped.exists() and not wrong.exists()
    assert {p.name for p in (sender.dir / "bad").iterdir()} == {bad.name, flipped.name}
    sender.logged("to remote moved@far.example")
    assert sender.path(good).exists()
    ctl(sender, "repair", code=100)         # sets the owner of the moved one
    st = (sender.dir / "mess/02" / wrong.name).stat()
    assert pwd.getpwuid(st.st_uid).pw_name == "postern-queue"


@pytest.mark.parametrize("how", ["whole", "linked", "damaged", "symlink"])
def test_repair_puts_back_what_was_set_aside_only_for_its_owner(sender, how):
    sender.up()
    number = 1_700_000_000_000_000_000
    path, aside = sender.path(number), sender.dir / "bad" / str(number)
    data = message_file(recipients=(b"x@near.example",))
    other = sender.home / "other"
    other.write_bytes(data)
    other.chmod(0o600)
    if how == "symlink":
        path.symlink_to(other)
    elif how == "linked":
        path.hardlink_to(other)
    else:
        if how == "damaged":
            other.write_bytes(b"x" + data[1:])
        other.rename(path)
    sender.send_signal(signal.SIGALRM)
    until(lambda: os.path.lexists(aside))
    out = ctl(sender, "check", code=100)
    assert ("was set aside, but is whole" in out) == (how in ("whole", "linked")), out
    assert os.path.lexists(aside)
    if how == "whole":
        assert "put back" in ctl(sender, "repair")
        sender.logged(f"end msg {number}")
        ctl(sender, "check")
    else:
        out = ctl(sender, "repair", code=100)
        assert ("not repaired: Too many links" in out) == (how == "linked"), out
        assert os.path.lexists(aside) and aside.stat().st_uid == 0


def test_repair_gives_uid_queue_nothing_that_has_another_name(sender):
    """A link in its directory to a file of root's, that is a whole message."""
    number = 1_700_000_000_000_000_000
    other = sender.home / "other"
    other.write_bytes(message_file(recipients=(b"x@far.example",)))
    other.chmod(0o644)
    sender.path(number).hardlink_to(other)
    sender.up()
    assert "owner or mode is wrong: not repaired: Too many links" in ctl(sender, "repair", code=100)
    assert other.stat().st_uid == 0


def test_repair_tells_send_what_it_does_not_know(sender):
    sender.up()
    deferred(sender)            # the first reading of the directories is over
    number = int(time.time() * 1e6) * 1000
    sender.place(number, message_file(recipients=(b"joe@test.example",)))
    assert "send does not know it" in ctl(sender, "check", code=100)
    assert "told send" in ctl(sender, "repair")
    sender.logged(f"end msg {number}")


def test_nobody_but_root_and_the_queues_group_is_let_in(sender):
    sender.up()
    deferred(sender)
    ctl(sender, "retry", "all", uid=65534, group=65534, code=111)
    ctl(sender, "status", uid=65534, group=pwd.getpwnam("postern-queue").pw_gid)


def test_an_order_without_a_choice_or_with_nonsense_is_a_mistake(sender):
    sender.up()
    for words in (["delete"], ["delete", "everything"], ["bounce", "older=soon"], ["list", "x=y"],
                  ["freeze"], ["freeze", "a b"], ["nothing"], [], ["change", "1", "2"]):
        ctl(sender, *words, code=100)


def test_garbage_on_the_socket_disturbs_nobody(sender):
    import socket
    sender.up()
    for packet in (b"x", b"Q\0", b"Q\0x\0", b"F\0001\0x\0", b"S", b"QQ\0001\0", b"\0", b"z" * 60000,
                   b"D\0" + b"1\0" * 5000):
        c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        c.connect(str(sender.home / "socket/send/send"))
        c.send(packet)
        c.settimeout(5)
        c.recv(1000)
        c.close()
    number = sender.mail("joe@test.example")
    sender.logged(f"end msg {number}")


def test_ten_clients_that_say_nothing_let_the_eleventh_wait_only_for_one(sender):
    import socket
    sender.up()
    clients = []
    for _ in range(10):
        c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        c.connect(str(sender.home / "socket/send/send"))
        clients.append(c)
    for c in clients[:5]:
        c.close()
    assert "send: running" in ctl(sender, "status")
    for c in clients[5:]:
        c.close()
