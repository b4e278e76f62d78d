import os
import re
import signal
import socket
import subprocess
import threading
import time

import postern
import pytest
from queuelib import Client, Message, Queue, envelope, uid, until


@pytest.fixture
def queue(scratch):
    q = Queue(scratch).start()
    yield q
    q.stop()


def number(answer):
    if not answer:
        raise ConnectionError
    assert answer[:2] == b"K ", answer
    return int(answer[2:])


def test_message_is_queued_whole(queue):
    n = number(Client(queue).message(b"Subject: hi\n\nbody\n", envelope(b"s@x", b"a@y", b"b@y")))
    m = queue.read(n)
    assert m.without_received() == b"Subject: hi\n\nbody\n"
    assert (m.sender, m.recipients) == (b"s@x", [b"a@y", b"b@y"])
    assert m.values(b"u") == [b"0"] and m.values(b"p") == [b"%d" % os.getpid()]
    assert m.values(b"s") == [b"test-1"] and m.values(b"h") == [b"-"]
    assert queue.unfinished() == []


def test_received_line_names_the_invoker(queue):
    for user, text in [(0, "by uid 0"), (uid("smtpd"), "from network"),
                       (uid("send"), "for bounce"), (65534, "by uid 65534")]:
        m = queue.read(number(Client(queue, user).message()))
        line = m.body.split(b"\n")[0].decode()
        assert re.fullmatch(rf"Received: \(postern {os.getpid()} invoked {text}\); "
                            r"\d+ [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d -0000", line), line


def test_log_line_of_a_message(queue):
    n = number(Client(queue).message(env=envelope(b"a b\n@x")))
    line = until(lambda: [x for x in queue.log_text().splitlines() if f"id={n}" in x])[0]
    assert re.fullmatch(rf"queued: info: queued session=test-1 id={n} uid=0 pid={os.getpid()} "
                        r"size=\d+ from=<a\\x20b\\x0a@x> recipients=1", line)


def test_file_is_for_the_group_only(queue):
    st = queue.path(number(Client(queue).message())).stat()
    assert st.st_mode & 0o7777 == 0o640
    assert (st.st_uid, st.st_gid) == (uid("queue"), os.stat(queue.dir).st_gid)


def test_many_messages_on_one_connection(queue):
    c = Client(queue)
    ids = [number(c.message()) for _ in range(20)]
    assert ids == sorted(set(ids)) == queue.messages()


def test_envelope_in_pieces(queue):
    c = Client(queue)
    c.begin()
    c.write(b"x\n")
    env = envelope(b"s@x", *(b"r%d@y" % i for i in range(9000)))
    for i in range(0, 100000, 50000):
        c.sock.send(b"V" + env[i:i + 50000])
    m = queue.read(number(c.commit(env[100000:])))
    assert len(m.recipients) == 9000 and m.recipients[-1] == b"r8999@y"


@pytest.mark.parametrize("env, code", [
    (b"", 91), (b"F\0", 91), (b"Fs@x\0Tr@y", 91), (b"Tr@y\0", 91), (b"Fs@x\0Xr@y\0", 91),
    (b"Fs@x\0Fs@x\0Tr@y\0", 91), (b"Fs@x\0\0Tr@y\0", 91), (b"Fs@x\0Dr@y\0", 91),
    (b"F" + b"s" * 1003 + b"\0Tr\0", 11), (b"F\0T" + b"r" * 1003 + b"\0", 11)],
    ids=range(10))
def test_envelope_refused(queue, env, code):
    c = Client(queue)
    c.begin()
    c.write(b"x\n")
    assert c.commit(env).startswith(b"E %d " % code)
    assert queue.messages() == [] and queue.unfinished() == []
    assert c.message()[:1] == b"K"  # and the client may go on


def test_longest_address_is_taken(queue):
    assert queue.read(number(Client(queue).message(env=envelope(b"s" * 1002)))).sender == b"s" * 1002


def test_too_large_envelope_is_refused_for_good(queue):
    c = Client(queue)
    c.begin()
    c.write(b"x\n")
    piece = envelope(b"s@x", *[b"r" * 998] * 60)
    c.sock.send(b"V" + piece)
    for _ in range(35):
        c.sock.send(b"V" + piece[5:])
    assert c.commit(b"Tx\0").startswith(b"E 31 ")


def test_size_must_be_what_was_written(queue):
    c = Client(queue)
    c.begin()
    c.write(b"hello\n")
    assert c.commit(envelope(), size=5).startswith(b"E 54 ")
    assert queue.messages() == [] and queue.unfinished() == []


def test_descriptors_that_a_client_sends_are_not_kept(queue):
    """Any user may talk to us: what he passes must not fill our table of descriptors."""
    def held():
        return sum(len(os.listdir(f"/proc/{p}/fd")) for p in queue.workers())
    before = held()
    c = Client(queue, 65534)
    c.begin()
    for _ in range(20):
        for n in range(4):
            socket.send_fds(c.sock, [b"V" + envelope()[:1]], [0] * n)
    c.sock.send(b"out of place")
    assert c.sock.recv(10) == b""
    until(lambda: held() == before)


def test_client_that_goes_away_leaves_nothing(queue):
    c = Client(queue)
    c.begin()
    c.write(b"hello\n")
    assert len(queue.unfinished()) == 1
    os.close(c.fd)
    c.close()
    until(lambda: queue.unfinished() == [])


@pytest.mark.parametrize("record", [b"X", b"V x", b"C 1 1\0", b"N", b"N ", b"N a b", b"N " + b"a" * 40,
                                    b"N \xff\0", b"K", b"C"])
def test_nonsense_costs_only_the_one_who_sent_it(queue, record):
    good = Client(queue)
    good.begin()
    bad = Client(queue, 65534)
    try:
        answer = bad.ask(record)
    except ConnectionError:
        answer = b""
    assert answer == b"" or answer.startswith(b"E ")
    good.write(b"x\n")
    assert good.commit(envelope())[:1] == b"K"


def test_second_message_before_the_end_of_the_first(queue):
    c = Client(queue)
    c.begin()
    assert c.ask(b"N test-2") == b""
    until(lambda: queue.unfinished() == [])


@pytest.mark.parametrize("record", [b"R 1\0", b"D 1\0", b"B 1\0x\0", b"H 1\0H\0"])
def test_changes_are_for_send_and_root(queue, record):
    assert Client(queue, 65534).ask(record) == b""
    assert Client(queue, uid("smtpd")).ask(record) == b""
    assert Client(queue, uid("send")).ask(record) == b"-2"
    assert Client(queue).ask(record) == b"-2"


def test_done_marks(queue):
    c = Client(queue)
    n = number(c.message(env=envelope(b"s", b"a", b"b", b"c")))
    raw = queue.read(n).raw
    offsets = [raw.index(b"Ta\0"), raw.index(b"Tc\0")]
    assert c.ask(b"D %d\0%d\0%d\0" % (n, *offsets)) == b"+"
    m = queue.read(n)
    assert m.recipients == [b"b"] and m.values(b"D") == [b"a", b"c"]
    assert c.ask(b"D %d\0%d\0" % (n, offsets[0] + 1)) == b"-22"
    assert c.ask(b"D %d\0%d\0" % (n, 0)) == b"-22"
    assert c.ask(b"D %d\0%d\0" % (n, 10**9)) == b"-22"
    assert queue.read(n).raw == m.raw


def test_hold_and_release(queue):
    c = Client(queue)
    n = number(c.message())
    assert c.ask(b"H %d\0H\0" % n) == b"+" and queue.read(n).values(b"h") == [b"H"]
    assert c.ask(b"H %d\0-\0" % n) == b"+" and queue.read(n).values(b"h") == [b"-"]
    assert c.ask(b"H %d\0x\0" % n) == b"-22"


def test_remove(queue):
    c = Client(queue)
    n = number(c.message())
    assert c.ask(b"R %d\0" % n) == b"+" and queue.messages() == []
    assert c.ask(b"R %d\0" % n) == b"-2"


def test_set_aside(queue):
    c = Client(queue)
    n = number(c.message())
    assert c.ask(b"B %d\0no end record\n\0" % n) == b"+"
    assert queue.messages() == [] and (queue.dir / f"bad/{n}").exists()
    until(lambda: f"set aside in queue/bad id={n} reason=no\\x20end\\x20record\\x0a"
          in queue.log_text())


def test_damaged_file_is_not_marked(queue):
    c = Client(queue)
    n = number(c.message())
    with open(queue.path(n), "r+b") as f:
        f.truncate(100)
    assert c.ask(b"D %d\0" % n) == b"-74"


def test_changes_may_be_sent_ahead(queue):
    c = Client(queue)
    ids = [number(c.message()) for _ in range(40)]
    for n in ids:
        c.sock.send(b"R %d\0" % n)
    assert [c.sock.recv(100) for _ in ids] == [b"+"] * 40


def test_trigger_tells_ids(queue):
    fifo = os.open(queue.dir / "trigger", os.O_RDONLY | os.O_NONBLOCK)
    ids = [number(Client(queue).message()) for _ in range(3)]
    until(lambda: queue.log_text().count("info: queued") == 3)
    assert os.read(fifo, 1000) == b"0\n" + b"".join(b"%d\n" % n for n in ids)
    os.close(fifo)


def test_death_of_a_worker_makes_send_look(queue):
    fifo = os.open(queue.dir / "trigger", os.O_RDONLY | os.O_NONBLOCK)
    os.kill(queue.workers()[0], signal.SIGKILL)
    until(lambda: "worker died" in queue.log_text())
    assert os.read(fifo, 1000) == b"0\n0\n"  # at its start, and now
    os.close(fifo)


def test_full_trigger_delays_nobody(queue):
    fifo = os.open(queue.dir / "trigger", os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(fifo, b"x" * 4096)
    assert Client(queue).message()[:1] == b"K"
    os.close(fifo)


def test_slow_client_holds_up_nobody(scratch):
    q = Queue(scratch, workers=1).start()
    try:
        slow = Client(q)
        slow.begin()
        assert Client(q).message()[:1] == b"K"
        slow.write(b"x\n")
        assert slow.commit(envelope())[:1] == b"K"
    finally:
        q.stop()


def test_many_clients_at_once(scratch):
    """Kept and new connections, more clients than workers: none waits in vain."""
    q = Queue(scratch, workers=4).start()
    ids, slow = [], [Client(q) for _ in range(6)]
    for c in slow:
        c.begin()

    def work(kept):
        c = Client(q)
        for i in range(15):
            try:
                ids.append(number(c.message(b"x%d\n" % i)))
            except ConnectionError:
                c = Client(q)
                ids.append(number(c.message(b"x%d\n" % i)))
            if not kept:
                c.close()
                c = Client(q)

    try:
        threads = [threading.Thread(target=work, args=(n % 2,)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30)
        assert len(ids) == 180 and sorted(ids) == q.messages()
        for n in ids:
            q.read(n)
    finally:
        for c in slow:  # or queued waits for them
            c.close()
            os.close(c.fd)
        q.stop()


def test_users_leave_places_to_smtpd(scratch):
    q = Queue(scratch, workers=1).start()
    clients = []

    def take(uid):
        """A place of a worker's 128, for an unfinished message; the answer."""
        c = Client(q, uid)
        answer = c.begin()
        clients.append(c) if answer[:1] == b"F" else c.close()
        return answer
    try:
        answers = [take(62000 + n // 15) for n in range(90)]
        assert {a[:1] for a in answers[:64]} == {b"F"}
        assert {a[:5] for a in answers[64:]} == {b"E 71 "}
        assert b"too many connections of all users" in answers[64]
        assert [take(uid("smtpd"))[:1] for _ in range(40)] == [b"F"] * 40
        assert Client(q, uid("smtpd")).message()[:1] == b"K"
        os.close(clients[0].fd)
        clients.pop(0).close()
        until(lambda: take(62500)[:1] == b"F")
        assert take(62500)[:5] == b"E 71 "
    finally:
        for c in clients:
            c.close()
            os.close(c.fd)
        q.stop()


def test_connections_of_one_user_are_limited(queue):
    clients = [Client(queue, 65534) for _ in range(20)]
    for c in clients:
        c.begin()
    late = Client(queue, 65534)
    assert late.begin().startswith(b"E 71 ")
    assert Client(queue, uid("smtpd")).message()[:1] == b"K"
    clients.pop().close()
    until(lambda: Client(queue, 65534).message()[:1] == b"K")


def test_programs_wait_for_the_other_connections_of_their_user(queue):
    clients = [Client(queue, 65534) for _ in range(20)]
    for c in clients:
        c.begin()
    with subprocess.Popen([queue.home / "bin/inject", "r@test.example"], user=65534,
                          stdin=subprocess.DEVNULL, env=postern.env(queue.home)) as late:
        until(lambda: "warning: message refused" in queue.log_text()
              or late.poll() is not None)
        assert late.poll() is None
        clients.pop().close()
        assert late.wait(20) == 0
    assert len(queue.messages()) == 1


def test_disk_without_room(scratch):
    """queue/tmp on a file system smaller than the reserve."""
    q = Queue(scratch)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=8m,mode=700,uid={uid('queue')}", "none",
                    q.dir / "tmp"], check=True)
    try:
        q.start()
        assert Client(q).begin().startswith(b"E 53 No space")
        assert q.unfinished() == []
    finally:
        q.stop()
        subprocess.run(["umount", q.dir / "tmp"], check=True)


def test_sighup_reads_settings(queue):
    c = Client(queue)
    assert c.message()[:1] == b"K"
    queue.control("strictsync", "nonsense")
    os.kill(queue.master(), signal.SIGHUP)
    until(lambda: "warning: unable to read control/strictsync: Invalid argument" in queue.log_text())
    assert Client(queue).message()[:1] == b"K"


@pytest.mark.parametrize("name", ["concurrencyqueue", "databytes", "archive"])
def test_a_file_that_cannot_be_read_is_named(scratch, name):
    q = Queue(scratch)
    (q.home / "control" / name).unlink(missing_ok=True)
    (q.home / "control" / name).mkdir()
    r = q.run("queued")
    assert r.returncode == 111
    assert r.stderr.decode() == f"queued: fatal: unable to read control/{name}: Is a directory\n"


def test_leftovers_are_removed_at_start(scratch):
    q = Queue(scratch)
    (q.dir / "tmp/123").write_text("torn")
    q.start()
    try:
        assert q.unfinished() == []
    finally:
        q.stop()


def test_dead_worker_is_replaced_and_its_file_removed(queue):
    c = Client(queue)
    c.begin()
    for pid in queue.workers():
        os.kill(pid, signal.SIGKILL)
    assert c.sock.recv(10) == b""
    until(lambda: queue.unfinished() == [])
    until(lambda: len(queue.workers()) == 3)
    assert Client(queue).message()[:1] == b"K"
    assert queue.log_text().count("worker died") == 3


def test_only_one_runs(queue):
    assert queue.run("queued").returncode == 111


def test_sigterm_finishes_what_is_in_hand(queue):
    c = Client(queue)
    c.begin()
    os.kill(queue.master(), signal.SIGTERM)
    time.sleep(0.1)
    c.write(b"x\n")
    assert c.commit(envelope())[:1] == b"K"
    assert queue.daemon.wait(5) == 0
    with pytest.raises(OSError):
        Client(queue)


def test_killed_master_takes_all_along_and_can_start_again(queue):
    os.kill(queue.master(), signal.SIGKILL)
    queue.daemon.wait()
    queue.start()
    assert Client(queue).message()[:1] == b"K"


def test_late_writing_spoils_only_the_own_message(queue):
    c = Client(queue)
    c.begin()
    c.write(b"hello\n")
    n = number(c.commit(envelope()))
    os.pwrite(c.fd, b"X", 0)
    with pytest.raises(ValueError):
        queue.read(n)


def test_descriptor_is_for_writing_only(queue):
    c = Client(queue)
    c.begin()
    with pytest.raises(OSError):
        os.pread(c.fd, 1, 0)


def test_ids_never_go_back(queue):
    ids = []
    for _ in range(30):
        ids.append(number(Client(queue).message()))
    assert len(set(ids)) == 30
    by_worker = {}
    for n in ids:
        assert n > by_worker.get(n % 1000, 0)
        by_worker[n % 1000] = n


def test_missing_directory_is_named(scratch):
    q = Queue(scratch)
    (q.dir / "mess/17").rmdir()
    r = q.run("queued")
    assert r.returncode == 111 and b"queue/mess/17" in r.stderr


def test_idle_sockets_do_not_pass_for_messages(queue):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(queue.socket)
    s.close()
    assert Client(queue).message()[:1] == b"K"


def test_reader_of_this_test_finds_damage(queue):
    data = queue.path(number(Client(queue).message())).read_bytes()
    for at in range(0, len(data), 7):
        bad = data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]
        with pytest.raises(ValueError):
            Message(bad)
