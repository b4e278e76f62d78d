"""send, lspawn, rspawn, start: with the real queued, and a delivery program
that answers what a test wants."""
import email
import email.policy
import fcntl
import json
import os
import pwd
import re
import signal
import struct
import subprocess
import time

import pytest

import postern
from queuelib import Client, envelope, until
from sendlib import UID, Sender, message_file

DAY = 86400


@pytest.fixture
def sender(scratch):
    s = Sender(scratch)
    yield s
    s.close()
    print(s.log_text(), s.log_of_send())


def tell(sender, number):
    """As queued does when it has a message."""
    fd = os.open(sender.dir / "trigger", os.O_WRONLY | os.O_NONBLOCK)
    os.write(fd, b"%d\n" % number)
    os.close(fd)


def bounce_of(sender, log):
    """The message that a "bounce msg" line speaks of: it goes to a remote
    address, so it stays in the queue."""
    assert "bounce msg" in log
    numbers = [n for n in sender.messages() if b"failure notice" in sender.read(n).body]
    assert len(numbers) == 1
    m = sender.read(numbers[0])
    return m, email.message_from_bytes(m.without_received(), policy=email.policy.default)


def test_a_local_message_is_delivered_logged_as_qmail_send_does_and_removed(sender):
    sender.up()
    number = sender.mail("joe@test.example")
    log = sender.logged(f"end msg {number}")
    lines = [re.sub(r"(bytes|qp|uid) \d+", r"\1 N", line) for line in log.splitlines()]
    assert lines == [
        "status: local 0/10 remote 0/20",
        f"new msg {number}",
        f"info msg {number}: bytes N from <s@a.example> qp N uid N",
        f"starting delivery 1: msg {number} to local joe@test.example",
        "status: local 1/10 remote 0/20",
        "delivery 1: success: did_1+0+0/",
        "status: local 0/10 remote 0/20",
        f"end msg {number}"]
    assert sender.messages() == []


def test_what_is_in_the_queue_at_start_is_delivered(sender):
    sender.start()
    numbers = [sender.mail(f"u{n}@test.example") for n in range(5)]
    sender.up(queued=False)
    for n in numbers:
        sender.logged(f"end msg {n}")
    assert sender.messages() == []


def test_local_runs_as_the_user_of_users_assign_and_is_reused(sender):
    sender.up()
    for n in range(5):
        sender.logged(f"end msg {sender.mail('a@test.example')}")
    log = sender.fakelog()
    assert [line[1] for line in log] == [str(UID)] * 5
    assert len({line[0] for line in log}) == 1


def test_deliveries_to_one_user_run_side_by_side(sender):
    for n in range(4):
        sender.fake(f"s{n}", "sleep 0.5")
    sender.up()
    start = time.monotonic()
    number = sender.mail(*(f"s{n}@test.example" for n in range(4)))
    sender.logged(f"end msg {number}")
    assert time.monotonic() - start < 1.5
    assert "status: local 4/10" in sender.log_of_send()


def test_concurrencylocal_is_kept(scratch):
    s = Sender(scratch, concurrencylocal=2)
    try:
        for n in range(5):
            s.fake(f"s{n}", "sleep 0.1")
        s.up()
        s.logged(f"end msg {s.mail(*(f's{n}@test.example' for n in range(5)))}")
        assert "local 2/2" in s.log_of_send()
        assert "local 3/2" not in s.log_of_send()
    finally:
        s.close()


def test_uid_0_gets_nothing_and_waits_for_the_administrator(sender):
    sender.assign("+:root:0:0:/root:-::")
    sender.up()
    n = sender.mail("joe@test.example")
    sender.logged("delivery 1: deferral: Not_allowed_to_perform_deliveries_as_root._(#4.7.0)/")
    assert sender.messages() == [n] and sender.fakelog() == []


def test_a_deferred_recipient_stays_and_the_delivered_one_is_marked(sender):
    sender.fake("later", "ZNot now. (#4.2.0)\n")
    sender.up()
    number = sender.mail("later@test.example", "joe@test.example")
    sender.logged("deferral: Not_now._(#4.2.0)/")
    until(lambda: sender.read(number).values(b"D") == [b"joe@test.example"])
    assert sender.read(number).recipients == [b"later@test.example"]


def test_done_recipients_are_marked_while_others_still_run(sender):
    sender.fake("slow", "sleep 1.5")
    sender.up()
    number = sender.mail("slow@test.example", "joe@test.example")
    until(lambda: sender.read(number).values(b"D") == [b"joe@test.example"], 1)


def test_alrm_tries_again_at_once_and_only_what_is_left(sender):
    sender.fake("later", "ZNot now.\n")
    sender.up()
    number = sender.mail("later@test.example", "joe@test.example")
    until(lambda: sender.read(number).values(b"D"))
    time.sleep(0.1)
    sender.fake("later", "Kgood")
    sender.send_signal(signal.SIGALRM)
    sender.logged(f"end msg {number}")
    assert [line[2] for line in sender.fakelog()].count("joe") == 1


def test_the_next_try_comes_by_itself_for_a_young_message_after_100_seconds(sender):
    """As far as a test can wait: not within the first second."""
    sender.fake("later", "ZNot now.\n")
    sender.up()
    sender.mail("later@test.example")
    sender.logged("deferral:")
    time.sleep(1.2)
    assert sender.log_of_send().count("deferral:") == 1


def test_remote_recipients_wait_with_a_clear_reason(sender):
    sender.up()
    number = sender.mail("x@far.example", "y@far.example", "z@other.example")
    log = sender.logged("deferral: Sorry,_I_wasn't_able_to_establish_an_SMTP_connection.", count=3)
    assert "to remote x@far.example" in log
    assert "remote 2/20" in log     # two jobs for three recipients
    assert sender.read(number).recipients == [b"x@far.example", b"y@far.example", b"z@other.example"]


def test_virtualdomains_prepends_and_a_bounce_does_not_show_it(sender):
    sender.control("virtualdomains", "v.example:vee")
    sender.fake("vee-joe", "DNo.\n")
    sender.up()
    number = sender.mail("joe@v.example")
    sender.logged("to local vee-joe@v.example")
    log = sender.logged(f"end msg {number}")
    m, parsed = bounce_of(sender, log)
    assert "<joe@v.example>:\nNo.\n" in parsed.get_payload(0).get_content()


def test_hup_rereads_locals_and_concurrency(sender):
    sender.up()
    sender.control("locals", "new.example")
    sender.control("concurrencylocal", "7")
    sender.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    sender.mail("joe@new.example")
    sender.logged("to local joe@new.example")
    sender.logged("status: local 1/7 remote 0/20")


@pytest.mark.parametrize("name", ["locals", "virtualdomains", "percenthack", "envnoathost"])
def test_a_file_that_cannot_be_read_is_named_and_the_old_stay(sender, name):
    sender.up()
    f = sender.home / "control" / name
    f.unlink(missing_ok=True)
    f.mkdir()
    sender.send_signal(signal.SIGHUP)
    sender.logged(f"warning: unable to reread control/{name}, the old tables stay: ")
    sender.mail("joe@test.example")
    sender.logged("to local joe@test.example")
    sender.down()
    sender.up(queued=False)
    sender.logged(f"send: fatal: unable to read control/{name}: Is a directory")


def test_a_failure_bounces_with_qsbmf_text_and_delivery_status(sender):
    sender.fake("nobody", "DSorry, no mailbox here by that name. (#5.1.1)\n\nreally\n")
    sender.up()
    number = sender.mail("nobody@test.example", "joe@test.example",
                         body=b"Subject: original\n\nbody \xe4\n")
    log = sender.logged(f"end msg {number}")
    queued_as = re.search(rf"^bounce msg {number} qp \d+ id (\d+)$", log, re.M).group(1)
    m, parsed = bounce_of(sender, log)
    assert int(queued_as) in sender.messages()
    assert (m.sender, m.recipients) == (b"", [b"s@a.example"])
    assert parsed["Subject"] == "failure notice"
    assert parsed["To"] == "s@a.example"
    assert parsed["From"] == "MAILER-DAEMON@test.example"
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    text, status, original = parsed.get_payload()
    assert text.get_content() == (
        "Hi. This is the qmail-send program at test.example.\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        "This is a permanent error; I've given up. Sorry it didn't work out.\n"
        "\n"
        "<nobody@test.example>:\n"
        "Sorry, no mailbox here by that name. (#5.1.1)\n/\nreally\n"
        "\n"
        "--- Below this line is a copy of the message.\n")
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"] == "dns; test.example"
    assert per_recipient["Final-Recipient"] == "rfc822; nobody@test.example"
    assert per_recipient["Action"] == "failed"
    assert per_recipient["Status"] == "5.1.1"
    assert original.get_content_type() == "message/rfc822"
    inner = original.get_payload(0)
    assert inner["Return-Path"] == "<s@a.example>"
    assert inner["Subject"] == "original"
    assert b"body \xe4\n" in m.body


def test_all_failures_of_one_pass_are_one_bounce(sender):
    for n in range(3):
        sender.fake(f"no{n}", f"DNo {n}.\n")
    sender.up()
    number = sender.mail(*(f"no{n}@test.example" for n in range(3)))
    log = sender.logged(f"end msg {number}")
    assert log.count("bounce msg") == 1
    m, parsed = bounce_of(sender, log)
    assert len(parsed.get_payload(1).get_payload()) == 4


def test_more_failures_than_a_packet_takes_are_all_bounced(sender):
    for n in range(150):
        sender.fake(f"no{n}", "D" + "long " * 500 + f"{n}.\n")
    sender.up()
    number = sender.mail(*(f"no{n}@test.example" for n in range(150)))
    sender.logged(f"end msg {number}", 20)
    told = b"".join(sender.read(n).body for n in sender.messages())
    assert all(told.count(b"\n<no%d@test.example>:" % n) == 1 for n in range(150))


def test_bouncemaxbytes_leaves_the_header_alone(sender):
    sender.control("bouncemaxbytes", "100")
    sender.fake("nobody", "DNo.\n")
    sender.up()
    number = sender.mail("nobody@test.example", body=b"Subject: original\n\n" + b"secret\n" * 100)
    log = sender.logged(f"end msg {number}")
    m, parsed = bounce_of(sender, log)
    assert parsed.get_payload(2).get_content_type() == "text/rfc822-headers"
    assert b"Subject: original" in m.body and b"secret" not in m.body


def test_a_bounce_that_bounces_goes_to_the_postmaster(sender):
    sender.control("doublebounceto", "boss")
    sender.fake("nobody", "DNo.\n")
    sender.fake("boss", "Znot now\n")
    sender.up()
    number = sender.mail("nobody@test.example", sender=b"")
    sender.logged(f"end msg {number}")
    sender.logged("from <#@[]>")
    m, parsed = bounce_of(sender, sender.log_of_send())
    assert (m.sender, m.recipients) == (b"#@[]", [b"boss@test.example"])
    assert "but the bounce bounced!" in parsed.get_payload(0).get_content()
    assert "--- Below this line is the original bounce." in parsed.get_payload(0).get_content()


@pytest.mark.parametrize("name,text,why", [
    ("bouncehost", None, "unable to read control/bouncehost: Is a directory"),
    ("bouncefrom", None, "unable to read control/bouncefrom: Is a directory"),
    ("bouncemaxbytes", "many", "unable to read control/bouncemaxbytes: Invalid argument"),
    ("doublebounceto", None, "unable to read control/doublebounceto: Is a directory"),
    ("doublebouncehost", None, "unable to read control/doublebouncehost: Is a directory"),
    ("me", "", "control/me names no host")])
def test_a_file_that_a_bounce_cannot_read_is_named(sender, name, text, why):
    f = sender.home / "control" / name
    sender.fake("nobody", "DNo.\n")
    sender.up()
    f.mkdir() if text is None else f.write_text(text)
    number = sender.mail("nobody@test.example", sender=b"" if "double" in name else b"s@a.example")
    sender.logged("warning: bounce not queued: " + why.replace(" ", "_") + "\n")
    assert sender.messages() == [number]


def test_a_third_bounce_is_dropped_and_logged(sender):
    sender.fake("nobody", "DNo.\n")
    sender.up()
    number = sender.mail("nobody@test.example", sender=b"#@[]")
    log = sender.logged(f"end msg {number}")
    assert f"triple bounce: discarding bounce/{number}" in log
    assert sender.messages() == []


def test_verp_senders_are_expanded_and_their_bounces_go_to_the_owner(sender):
    sender.fake("no", "DNo.\n")
    sender.up()
    number = sender.mail("joe@test.example", "no@test.example", sender=b"owner-@list.example-@[]")
    log = sender.logged(f"end msg {number}")
    assert {line[3] for line in sender.fakelog()} == {
        "<owner-joe=test.example@list.example>", "<owner-no=test.example@list.example>"}
    m, _ = bounce_of(sender, log)
    assert m.recipients == [b"owner-@list.example"]


def test_after_queuelifetime_a_last_try_fails_for_good(sender):
    sender.fake("later", "ZNot now. (#4.2.0)\n")
    number = 1_700_000_000_000_000_000 + 1
    sender.start()
    sender.place(number, message_file(birth=time.time() - 8 * DAY, recipients=(b"later@test.example",)))
    sender.up(queued=False)
    log = sender.logged(f"end msg {number}")
    assert "delivery 1: failure: Not_now._(#4.2.0)/" in log
    m, parsed = bounce_of(sender, log)
    assert ("Not now. (#4.2.0)\nI'm not going to try again; this message has been in the queue "
            "too long.\n") in parsed.get_payload(0).get_content()


def test_a_bounce_that_cannot_be_queued_keeps_the_recipient(sender):
    number = 1_700_000_000_000_000_001
    sender.fake("nobody", "DNo.\n")
    sender.start()
    sender.place(number, message_file(recipients=(b"nobody@test.example", b"joe@test.example")))
    os.chmod(sender.home / "bin/bounce", 0)
    sender.up(queued=False)
    sender.logged("trouble injecting bounce message, will try later")
    until(lambda: sender.read(number).values(b"D") == [b"joe@test.example"])
    assert sender.read(number).recipients == [b"nobody@test.example"]


@pytest.mark.parametrize("what", ["empty", "torn", "flipped", "sparse", "directory", "symlink", "fifo",
                                  "shut directory", "mode 0", "foreign"])
def test_a_damaged_file_is_set_aside_and_the_rest_flows(sender, what):
    number = 1_700_000_000_000_000_000 + 5001
    path = sender.path(number)
    whole = message_file()
    sender.start()
    if what == "directory":
        path.mkdir()
        os.chown(path, path.parent.stat().st_uid, 0)
    elif what == "symlink":
        (sender.home / "elsewhere").write_bytes(whole)     # to follow it would deliver
        (sender.home / "elsewhere").chmod(0o644)
        os.symlink(sender.home / "elsewhere", path)
    elif what == "shut directory":
        path.mkdir(0o700)
        os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "sparse":
        sender.place(number, b"")
        os.truncate(path, 1 << 40)
    elif what == "mode 0":
        sender.place(number, whole).chmod(0)
    elif what == "foreign":
        path.write_bytes(whole)
        path.chmod(0o640)               # root's, and root's group's
    else:
        sender.place(number, {"empty": b"", "torn": whole[:-20],
                              "flipped": whole.replace(b"joe@", b"job@")}[what])
    sender.up(queued=False)
    good = sender.mail("joe@test.example")
    sender.logged(f"end msg {good}")
    sender.logged(f"alert: msg {number} is damaged and set aside")
    until(lambda: os.path.lexists(sender.dir / "bad" / str(number)))
    assert [line[2] for line in sender.fakelog()] == ["joe"]


def test_a_directory_that_lets_nobody_in_is_waited_for(sender):
    """That is no damage of the messages in it."""
    number = 1_700_000_000_000_000_000
    sender.start()
    path = sender.place(number, message_file())
    sender.up(queued=False)
    sender.logged(f"end msg {number}")
    path = sender.place(number + 64000, message_file())
    assert path.parent == sender.path(number).parent
    path.parent.chmod(0)
    tell(sender, number + 64000)
    sender.logged(f"warning: unable to read msg {number + 64000}, will try again later: Permission denied")
    sender.logged(f"end msg {sender.mail('joe@test.example')}")
    path.parent.chmod(0o750)
    sender.send_signal(signal.SIGALRM)
    sender.logged(f"end msg {number + 64000}")


def test_what_shuts_send_out_unseen_is_waited_for(sender):
    """An access list, as a security module would: owner and mode are right."""
    number = 1_700_000_000_000_000_000
    sender.start()
    path = sender.place(number, message_file())
    send = pwd.getpwnam("postern-send").pw_uid
    entries = [(1, 6, -1), (2, 0, send), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *e) for e in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError as e:
        pytest.skip(f"no access lists here: {e}")
    sender.up(queued=False)
    sender.logged(f"warning: unable to read msg {number}, will try again later: Permission denied")
    os.removexattr(path, "system.posix_acl_access")
    sender.send_signal(signal.SIGALRM)
    sender.logged(f"end msg {number}")


def test_what_cannot_be_set_aside_is_left_alone_and_the_rest_flows(sender):
    number = 1_700_000_000_000_000_000
    sender.start()
    sender.path(number).mkdir()     # root's: uid queue cannot move it
    sender.up(queued=False)
    sender.logged("queued is unable to set a message aside")
    sender.logged(f"end msg {sender.mail('joe@test.example')}")
    assert sender.path(number).is_dir()


def test_what_queued_may_not_mark_is_delivered_once_and_waits(sender):
    """A file of a foreign owner: as after a restore by hand."""
    number = 1_700_000_000_000_000_000
    sender.fake("later", "Znot now")
    sender.start()
    path = sender.place(number, message_file(recipients=(b"joe@test.example", b"later@test.example"),
                                             birth=time.time()))
    os.chown(path, 12345, path.parent.stat().st_gid)
    sender.up(queued=False)
    sender.logged("queued is unable to mark or remove a message, will try again")
    sender.send_signal(signal.SIGALRM)
    good = sender.mail("ann@test.example")
    sender.logged(f"end msg {good}")
    assert [line[2] for line in sender.fakelog()].count("joe") == 1
    assert sender.messages() == [number]


def test_a_message_that_local_finds_damaged_is_set_aside(sender):
    sender.fake("joe", "Cits sum is wrong")
    sender.up()
    number = sender.mail("joe@test.example", "other@test.example")
    sender.logged(f"alert: msg {number} is damaged and set aside")
    until(lambda: (sender.dir / "bad" / str(number)).exists())


def test_a_held_message_waits_until_it_is_released(sender):
    number = 1_700_000_000_000_000_000 + 1
    sender.start()
    sender.place(number, message_file(hold=b"H"))
    sender.up(queued=False)
    sender.logged(f"new msg {number}")
    sender.place(number, message_file())
    sender.send_signal(signal.SIGALRM)
    sender.logged(f"end msg {number}")
    assert sender.log_of_send().count(f"new msg {number}") == 1


def test_recipients_that_are_done_are_not_tried_again(sender):
    number = 1_700_000_000_000_000_000 + 1
    sender.start()
    sender.place(number, message_file(recipients=(b"a@test.example", b"b@test.example"),
                                      done=(b"a@test.example",)))
    sender.up(queued=False)
    sender.logged(f"end msg {number}")
    assert [line[2] for line in sender.fakelog()] == ["b"]


def test_a_local_that_crashes_is_a_deferral_and_the_next_job_gets_a_new_one(sender):
    sender.fake("boom", "crash")
    sender.up()
    sender.mail("boom@test.example")
    sender.logged("deferral: local_crashed.")
    number = sender.mail("joe@test.example")
    sender.logged(f"end msg {number}")


@pytest.mark.parametrize("text", ["", "Xwhat", "+ok"])
def test_a_mangled_report_defers(sender, text):
    sender.fake("odd", text)
    sender.up()
    number = sender.mail("odd@test.example")
    sender.logged("delivery 1: deferral: local's_report_is_malformed")
    assert sender.messages() == [number]


def test_a_long_report_is_cut(sender):
    sender.fake("long", "D" + "x" * 20000)
    sender.up()
    number = sender.mail("long@test.example")
    log = sender.logged(f"end msg {number}")
    line = next(x for x in log.splitlines() if x.startswith("delivery 1: failure"))
    assert len(line) < 3100 and "Error_report_too_long,_sorry./" in line


def test_hostile_bytes_do_not_reach_the_log(sender):
    sender.fake("odd", "Z\x1b[2J%n\r\nnew msg 1\n")
    sender.up()
    sender.mail("odd@test.example", sender=b"a\x1b\n%\xff@b.example")
    log = sender.logged("deferral: _[2J_n_/new_msg_1/")
    assert "from <a_/__@b.example>" in log


def test_term_lets_deliveries_end_and_exits_0(sender):
    sender.fake("slow", "sleep 0.7")
    sender.up()
    number = sender.mail("slow@test.example")
    sender.logged("starting delivery 1")
    assert sender.down() == 0
    log = sender.log_of_send()
    assert "status: local 1/10 remote 0/20 exitasap" in log
    assert f"end msg {number}" in log
    assert log.splitlines()[-1] == "status: exiting"


def test_send_killed_ends_start_and_a_restart_delivers(sender):
    sender.fake("slow", "sleep 0.5")
    sender.up()
    number = sender.mail("slow@test.example")
    sender.logged("starting delivery 1")
    os.kill(sender.pid("send"), signal.SIGKILL)
    assert sender.start_process.wait(10) == 111
    sender.fake("slow", "Kdone")
    sender.up(queued=False)
    sender.logged(f"end msg {number}")


def test_a_second_send_does_not_run_beside_the_first(sender):
    sender.up()
    first = sender.start_process
    sender.up(queued=False)
    assert sender.start_process.wait(10) == 111
    assert "another send is running" in sender.log_of_send()
    sender.start_process = first


def test_queued_away_is_waited_for(sender):
    sender.fake("slow", "sleep 0.7")
    sender.up()
    number = sender.mail("slow@test.example")
    sender.logged("starting delivery 1")
    sender.stop()
    sender.logged("warning: queued does not answer, will try again")
    sender.start()
    sender.logged(f"end msg {number}")
    assert sender.messages() == []


@pytest.mark.parametrize("room", [65536, 4096])
def test_a_lost_trigger_is_found_by_reading_the_directories(sender, room):
    """Ids beyond what the fifo holds: send is stopped while they come."""
    sender.up()
    pid = sender.pid("send")
    os.kill(pid, signal.SIGSTOP)
    number = 1_700_000_000_000_000_000
    sender.place(number, message_file())
    fifo = os.open(sender.dir / "trigger", os.O_WRONLY | os.O_NONBLOCK)
    assert fcntl.fcntl(fifo, fcntl.F_SETPIPE_SZ, room) == room
    with pytest.raises(BlockingIOError):
        for n in range(5000):
            os.write(fifo, b"1600000000000%06d\n" % n)
    os.close(fifo)
    os.kill(pid, signal.SIGCONT)
    sender.logged(f"end msg {number}")


@pytest.mark.parametrize("hint", ["word", "alarm"])
def test_a_message_that_nobody_told_of_is_found_after(sender, hint):
    sender.up()
    sender.logged(f"end msg {sender.mail('first@test.example')}")
    number = 1_700_000_000_000_000_000 + 7
    sender.place(number, message_file())
    if hint == "alarm":
        sender.send_signal(signal.SIGALRM)
    else:
        fifo = os.open(sender.dir / "trigger", os.O_WRONLY | os.O_NONBLOCK)
        os.write(fifo, b"0\n")
        os.close(fifo)
    sender.logged(f"end msg {number}")


def test_garbage_in_the_trigger_is_ignored(sender):
    sender.up()
    fifo = os.open(sender.dir / "trigger", os.O_WRONLY | os.O_NONBLOCK)
    os.write(fifo, b"x" * 3000 + b"\n-1\n../../etc\n\n18446744073709551616\n")
    os.close(fifo)
    sender.logged(f"end msg {sender.mail('joe@test.example')}")


def test_a_new_message_does_not_wait_behind_deferred_ones(sender):
    sender.start()
    for n in range(2000):
        sender.place(1_700_000_000_000_000_000 + n * 1000,
                     message_file(recipients=(b"x@d%d.example" % (n % 7),)))
    sender.up(queued=False)
    number = sender.mail("joe@test.example")
    sender.logged(f": msg {number} to local")
    log = sender.log_of_send()
    between = log[log.index(f"new msg {number}"):log.index(f": msg {number} to local")]
    assert between.count("starting delivery") < 100


def test_a_user_whose_deliveries_hang_leaves_slots_to_others(sender):
    sender.fake("hang", "sleep 3")
    sender.up()
    for _ in range(15):
        sender.mail("hang@test.example")
    number = sender.mail("joe@test.example")
    sender.logged(f"end msg {number}")
    log = sender.log_of_send()
    assert log.find("slept") in (-1, *range(log.index(f": msg {number} to local"), len(log)))


def test_defaultdelivery_is_the_argument_or_the_control_file(sender):
    sender.control("defaultdelivery", "./Mailbox")
    sender.up()
    sender.logged(f"end msg {sender.mail('joe@test.example')}")
    assert sender.fakelog()[-1][4] == "./Mailbox"
    sender.down()
    sender.up(queued=False, args=["./Box/"])
    sender.logged(f"end msg {sender.mail('joe@test.example')}")
    assert sender.fakelog()[-1][4] == "./Box/"


def test_a_logger_given_to_start_gets_the_log_as_its_own_user(sender):
    out = sender.home / "collected"
    out.touch()
    out.chmod(0o666)
    sender.start_process = subprocess.Popen(
        [sender.home / "bin/start", "./Maildir/", "sh", "-c", f"id -un >>{out}; cat >>{out}"],
        env=postern.env(sender.home), stdin=subprocess.DEVNULL)
    until(lambda: "status: local 0/10" in out.read_text())
    assert out.read_text().splitlines()[0] == "postern-log"
    assert sender.down() == 0
    assert "status: exiting" in out.read_text()


def test_each_program_runs_as_its_own_user(sender):
    sender.fake("slow", "sleep 1")
    sender.up()
    sender.mail("slow@test.example")
    sender.logged("starting delivery 1")
    for program, user in [("send", "postern-send"), ("rspawn", "postern-remote"), ("lspawn", "root")]:
        status = dict(line.split(":\t", 1) for line in
                      open(f"/proc/{sender.pid(program)}/status").read().splitlines() if ":\t" in line)
        entry = pwd.getpwnam(user)
        assert status["Uid"].split() == [str(entry.pw_uid)] * 4
        if program != "lspawn":
            assert status["Groups"].split() in ([], [str(entry.pw_gid)])
            assert int(status["CapEff"], 16) == 0
    local = int(until(lambda: sender.fakelog())[0][0])
    status = open(f"/proc/{local}/status").read()
    assert re.search(rf"^Uid:\t{UID}\t{UID}\t{UID}\t{UID}$", status, re.M)
    assert re.search(rf"^Groups:\t{UID} ?$", status, re.M)
    assert sorted(int(p) for p in os.listdir(f"/proc/{local}/fd") if int(p) > 2) == []


def test_an_address_without_a_user_goes_to_alias(sender):
    sender.assign(f"=someone:joe:{UID}:{UID}:/nonexistent:-::")
    sender.up()
    sender.mail("no-such-user@test.example")
    alias = pwd.getpwnam("postern-alias").pw_uid
    until(lambda: sender.fakelog())
    assert sender.fakelog()[0][1] == str(alias)


def test_a_getpw_that_fails_defers(sender):
    sender.assign(f"=someone:joe:{UID}:{UID}:/nonexistent:-::")
    scripts = ["exit 111", "echo x", "kill -9 $$", r"printf 'root\0000\0000\0/\0\0\0'"]
    for n, script in enumerate(scripts):
        (sender.home / "bin/getpw").write_text(f"#!/bin/sh\n{script}\n")
        if n == 0:
            sender.up()
        sender.mail(f"joe{n}@test.example")
        sender.logged(f"\ndelivery {n + 1}: ")
    log = sender.log_of_send()
    assert "delivery 1: deferral: Unable_to_look_up" in log
    assert "delivery 2: deferral: The_user's_entry_is_malformed" in log
    assert "delivery 3: deferral: Unable_to_look_up" in log
    assert "delivery 4: deferral: Not_allowed_to_perform_deliveries_as_root." in log
    assert sender.fakelog() == []


def test_send_killed_again_and_again_loses_nothing(sender):
    sender.up()
    ids = []
    for n in range(60):
        ids.append(sender.mail(f"u{n}@test.example"))
        if n % 12 == 5:
            os.kill(sender.pid("send"), signal.SIGKILL)
            assert sender.start_process.wait(10) == 111
            sender.up(queued=False)
    until(lambda: sender.messages() == [])
    assert {line[2] for line in sender.fakelog()} == {f"u{n}" for n in range(60)}


def test_the_real_local_delivers_into_maildirs(scratch):
    s = Sender(scratch, fake=False)
    try:
        homes = [s.user(f"u{n}", UID + n) for n in range(3)]
        s.assign(*(f"=u{n}:u{n}:{UID + n}:{UID + n}:{h}:::" for n, h in enumerate(homes)))
        s.up()
        for n in range(9):
            s.mail("u0@test.example", "u1@test.example", "u2@test.example",
                   body=b"Subject: %d\n\nhello\n" % n)
        until(lambda: s.messages() == [])
        for h in homes:
            new = list((h / "Maildir/new").iterdir())
            assert len(new) == 9
            assert len({m.read_bytes().split(b"Subject: ")[1] for m in new}) == 9
            assert all(m.stat().st_uid == h.stat().st_uid for m in new)
        assert s.log_of_send().count("success: did_1+0+0/") == 27
    finally:
        s.close()


def test_the_real_local_finds_a_flipped_body(scratch):
    s = Sender(scratch, fake=False)
    try:
        home = s.user("u0")
        s.assign(f"=u0:u0:{UID}:{UID}:{home}:::")
        number = 1_700_000_000_000_000_000
        s.start()
        s.place(number, message_file(recipients=(b"u0@test.example",)).replace(b"hello", b"hallo"))
        s.up(queued=False)
        s.logged(f"alert: msg {number} is damaged and set aside")
        assert list((home / "Maildir/new").iterdir()) == []
    finally:
        s.close()


def test_recipients_without_number_do_not_take_memory_without_limit(sender):
    """Of long lists one is at work at least, whatever comes beside it."""
    sender.control("concurrencylocal", "0")
    sender.up()

    def states():
        r = sender.run("queuectl", "-j", "status")
        status = json.loads(r.stdout)
        return status["active"], status["waiting"]
    lists = []
    for _ in range(3):
        c = Client(sender)
        c.begin()
        c.write(b"x\n")
        for piece in [envelope(b"s@a.example", b"a")] + [b"Ta\0" * 11000] * 10:
            c.sock.send(b"V" + piece)
        lists.append(int(c.commit(b"")[2:]))
        os.close(c.fd)
        c.close()
        until(lambda: sum(states()) == len(lists))
    assert states() == (1, 2)
    sender.mail("joe@test.example")
    until(lambda: states() == (2, 2))
    assert sender.run("queuectl", "delete", str(lists[0])).returncode == 0
    sender.send_signal(signal.SIGALRM)
    until(lambda: states() == (2, 1))
