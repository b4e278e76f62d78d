"""local: the .qmail language, one delivery at a time."""
import fcntl
import os
import subprocess
import time

import pytest

from locallib import BODY, OWNER, Box, maildir, owned

LINES = b"Return-Path: <s@a.example>\nDelivered-To: joe@b.example\n"


@pytest.fixture
def box(scratch):
    return Box(scratch)


def test_default_delivery_goes_to_the_maildir_under_two_lines(box):
    r = box.deliver()
    assert (r.returncode, r.stdout) == (0, b"did 1+0+0\n")
    assert box.mail() == LINES + BODY


def test_file_name_tells_both_sizes(box):
    box.deliver(body=b"a: b\n\nx\r\ny")
    size = len(LINES) + 10
    assert box.new()[0].name.endswith(f",S={size},W={size + 6}")


def test_null_sender_and_odd_sender_are_quoted_in_return_path(box):
    box.deliver(sender="")
    assert box.mail().startswith(b"Return-Path: <>\n")
    box.new()[0].unlink()
    box.deliver(sender="a b@c")
    assert box.mail().startswith(b'Return-Path: <"a b"@c>\n')


def test_newline_in_sender_or_recipient_makes_no_header_line(box):
    box.write(".qmail-x:\ny", "")
    r = box.deliver(ext="x.\ny", sender="a\nBcc: z@c")
    assert r.returncode == 0
    head = box.mail().split(b"\n")
    assert head[0].startswith(b"Return-Path: <a_Bcc") and head[2] == b"Received: from x"


def test_extension_finds_its_file_lower_case_dots_as_colons(box):
    box.write(".qmail-a:b", "./Maildir/\n")
    assert box.deliver(ext="A.b").returncode == 0
    assert len(box.new()) == 1


def test_default_files_from_the_longest(box):
    for name in ("a-b-default", "a-default", "default"):
        maildir(box.home / name)
        box.write(f".qmail-{name}", f"./{name}/\n")
    for ext, name in (("a-b-c", "a-b-default"), ("a-c", "a-default"), ("a", "default"),
                      ("c-d", "default")):
        before = len(box.new(box.home / name))
        assert box.deliver(ext=ext).returncode == 0
        assert len(box.new(box.home / name)) == before + 1, ext


def test_unknown_extension_bounces(box):
    r = box.deliver(ext="nobody")
    assert (r.returncode, r.stdout) == (100, b"Sorry, no mailbox here by that name. (#5.1.1)\n")


def test_extension_never_leads_out_of_the_home(box):
    (box.home / ".qmail-").mkdir()
    for path in (box.scratch / "x", box.home / ".qmail-/x"):
        path.write_text(f"{box.home}/Maildir/\n")
    for ext in ("/../../x", "/x", "/./x"):
        assert box.deliver(ext=ext).returncode == 100, ext
    assert box.new() == []


def test_empty_file_means_default_delivery(box):
    box.write(".qmail-x", "")
    assert box.deliver(ext="x").returncode == 0
    assert len(box.new()) == 1


def test_blank_first_line_waits_for_the_owner(box):
    box.write(".qmail", "\n./Maildir/\n")
    r = box.deliver()
    assert r.returncode == 111 and b"first line of .qmail file is blank" in r.stdout


def test_comments_blank_lines_trailing_blanks_and_carriage_returns(box):
    box.write(".qmail", "# a comment\n\n./Maildir/ \t\n+unknown\n./Maildir/\r\n")
    r = box.deliver()
    assert (r.returncode, r.stdout) == (0, b"did 2+0+0\n")


def test_writable_home_is_refused(box):
    box.home.chmod(0o702)
    r = box.deliver()
    assert r.returncode == 111 and r.stdout == b"Uh-oh: home directory is writable. (#4.7.0)\n"


def test_sticky_home_waits(box):
    box.home.chmod(0o1700)
    r = box.deliver()
    assert r.returncode == 111 and b"user is editing his .qmail file" in r.stdout


def test_writable_file_is_refused(box):
    box.write(".qmail", "./Maildir/\n", 0o602)
    r = box.deliver()
    assert r.returncode == 111 and b"Uh-oh: .qmail is writable. (#4.7.0)" in r.stdout


def test_unreadable_file_is_temporary(box):
    box.write(".qmail", "./Maildir/\n", 0)
    assert box.deliver().returncode == 111


def test_x_bit_allows_forwards_only(box):
    box.write(".qmail", "./Maildir/\n", 0o700)
    assert box.deliver().returncode == 111
    box.write(".qmail", "|true\n", 0o700)
    assert box.deliver().returncode == 111
    box.write(".qmail", "&a@c.example\n", 0o700)
    assert box.deliver().returncode == 0


def test_plus_list_allows_forwards_only_from_there(box):
    box.write(".qmail", "./Maildir/\n+list\na@c.example\n")
    assert box.deliver().returncode == 0
    box.write(".qmail", "+list\n./Maildir/\n")
    assert box.deliver().returncode == 111


def test_never_as_root(box):
    with open("/dev/null", "rb") as null:
        r = subprocess.run([box.suite / "bin/local", "-n", *box.arguments("", "", "", "x")],
                           stdin=null, capture_output=True, env=box.env())
    assert r.returncode == 111 and b"as root" in r.stdout


def test_looping_message_bounces(box):
    body = b"Subject: x\nDelivered-To: joe@b.example\n\nx\n"
    r = box.deliver(body=body)
    assert r.returncode == 100 and b"This message is looping" in r.stdout
    assert box.new() == []


def test_delivered_to_in_the_body_or_of_another_is_no_loop(box):
    body = b"Delivered-To: joe@b.example.org\n\nDelivered-To: joe@b.example\n"
    assert box.deliver(body=body).returncode == 0


def test_loop_line_behind_a_header_longer_than_any_buffer(box):
    body = b"X: " + b"y" * 200_000 + b"\nDelivered-To: joe@b.example\n\n"
    assert box.deliver(body=body).returncode == 100


def test_forwards_go_in_one_message_without_return_path(box):
    box.write(".qmail", "&a@c.example\n./Maildir/\nb@c.example\n")
    r = box.deliver()
    assert r.returncode == 0 and r.stdout.startswith(b"did 1+2+0\nqp ")
    message, envelope = box.forwarded()
    assert message == b"Delivered-To: joe@b.example\n" + BODY
    assert envelope == [b"Fs@a.example", b"Ta@c.example", b"Tb@c.example", b"", b""]


def test_failed_delivery_forwards_nothing(box):
    box.write(".qmail", "&a@c.example\n./None/\n")
    r = box.deliver()
    assert r.returncode == 111 and b"./None/: No such file" in r.stdout
    assert not (box.out / "message").exists()


@pytest.mark.parametrize("code,expected", [(53, 111), (31, 100), (11, 100)])
def test_queue_trouble_is_told_with_its_verdict(box, code, expected):
    box.queue_says(code)
    box.write(".qmail", "&a@c.example\n")
    r = box.deliver()
    assert r.returncode == expected and r.stdout.startswith(b"Unable to forward message: ")


def test_owner_file_takes_the_bounces(box):
    box.write(".qmail-list", "&a@c.example\n")
    box.write(".qmail-list-owner", "")
    box.deliver(ext="list")
    assert box.forwarded()[1][0] == b"Fjoe-list-owner@b.example"
    box.deliver(ext="list", sender="")
    assert box.forwarded()[1][0] == b"F"
    box.deliver(ext="list", sender="#@[]")
    assert box.forwarded()[1][0] == b"F#@[]"


def test_owner_default_file_asks_for_a_sender_per_recipient(box):
    for end in ("", "-owner", "-owner-default"):
        box.write(f".qmail-list{end}", "&a@c.example\n")
    box.deliver(ext="list")
    assert box.forwarded()[1][0] == b"Fjoe-list-owner-@b.example-@[]"


def test_command_reads_the_message_and_knows_the_address(box):
    box.write(".qmail-a-default", f"|cat >{box.out}/in; env -0 >{box.out}/env; pwd >{box.out}/pwd\n")
    r = box.deliver(ext="a-b-c-d", host="w.x.y.z", sender="s@a.example")
    assert (r.returncode, r.stdout) == (0, b"did 0+0+1\n")
    assert (box.out / "in").read_bytes() == BODY
    assert (box.out / "pwd").read_text().strip() == str(box.home)
    env = dict(v.split(b"=", 1) for v in (box.out / "env").read_bytes().split(b"\0") if v)
    expected = dict(SENDER="s@a.example", NEWSENDER="s@a.example", USER="joe",
                    HOME=str(box.home), LOCAL="joe-a-b-c-d", RECIPIENT="joe-a-b-c-d@w.x.y.z",
                    EXT="a-b-c-d", EXT2="b-c-d", EXT3="c-d", EXT4="d", DEFAULT="b-c-d",
                    HOST="w.x.y.z", HOST2="w.x.y", HOST3="w.x", HOST4="w",
                    DTLINE="Delivered-To: joe-a-b-c-d@w.x.y.z\n",
                    RPLINE="Return-Path: <s@a.example>\n")
    assert {k: env[k.encode()].decode() for k in expected} == expected
    assert env[b"UFLINE"].startswith(b"From s@a.example ") and env[b"UFLINE"].endswith(b"\n")


def test_command_with_odd_bytes_is_the_shells_alone(box):
    """And what a stranger chose, sender and extension, is no part of it."""
    odd = "'\\001\\033$((1)) `'\"\u00e4 %n %s\""
    box.write(".qmail-default", f"|printf %s {odd} >{box.out}/odd; printf %s \"$EXT\" >{box.out}/ext\n")
    evil = "$(id)`id`;id|id&%n\t'"
    r = box.deliver(ext=evil, sender="$(touch /tmp/x)`id`@a.example")
    assert (r.returncode, r.stdout) == (0, b"did 0+0+1\n")
    assert (box.out / "odd").read_bytes() == b"\\001\\033$((1)) `\xc3\xa4 %n %s"
    assert (box.out / "ext").read_bytes() == evil.encode()


@pytest.mark.parametrize("line", ["/etc/passwd", "./../../../../../../../etc/passwd", "/etc/", "./../../../../../etc/",
                                  "/", "/root/x", "/dev/full", "/proc/self/mem"])
def test_paths_out_of_the_home_have_the_owners_rights_alone(box, line):
    before = os.stat("/etc/passwd")
    box.write(".qmail", line + "\n")
    r = box.deliver()
    assert r.returncode == 111 and r.stdout.startswith(b"Unable to "), r
    assert os.stat("/etc/passwd")[6:9] == before[6:9]


def test_qmail_file_that_is_a_link_shows_nothing_that_its_owner_may_not_read(box):
    (box.home / ".qmail").symlink_to("/etc/shadow")
    r = box.deliver()
    assert r.returncode == 111 and b"root" not in r.stdout + r.stderr
    (box.home / ".qmail").unlink()
    (box.home / ".qmail").symlink_to("/etc/passwd")
    r = box.deliver()           # addresses, however odd: no file, no command
    assert box.new() == [] and r.stdout.startswith(b"did 0+") and b"+0\n" in r.stdout


def test_each_command_reads_from_the_first_byte(box):
    box.write(".qmail", f"|cat >/dev/null\n|cat >{box.out}/in\n")
    assert box.deliver().returncode == 0
    assert (box.out / "in").read_bytes() == BODY


@pytest.mark.parametrize("code", [100, 64, 65, 70, 76, 77, 78, 112])
def test_hard_exit_codes_bounce_with_what_the_command_said(box, code):
    box.write(".qmail", f"|echo no such luck; exit {code}\n./Maildir/\n")
    r = box.deliver()
    assert (r.returncode, r.stdout, box.new()) == (100, b"no such luck\n", [])


@pytest.mark.parametrize("code", [111, 1, 2, 71, 74, 75, 98, 113, 127])
def test_all_other_exit_codes_are_temporary(box, code):
    box.write(".qmail", f"|exit {code}\n./Maildir/\n")
    assert (box.deliver().returncode, box.new()) == (111, [])


def test_killed_command_is_temporary(box):
    box.write(".qmail", "|kill -9 $$\n")
    r = box.deliver()
    assert r.returncode == 111 and b"child crashed" in r.stdout


def test_99_leaves_the_rest_out_but_keeps_earlier_forwards(box):
    box.write(".qmail", "&a@c.example\n|exit 99\n./Maildir/\n&b@c.example\n")
    r = box.deliver()
    assert r.returncode == 0 and r.stdout.startswith(b"did 0+1+1\n")
    assert box.forwarded()[1][1:] == [b"Ta@c.example", b"", b""] and box.new() == []


def test_dry_run_tells_and_does_nothing(box):
    box.write(".qmail", "./Maildir/\n./mbox\n|rm -rf x\n&a@c.example\n")
    r = box.deliver(options=["-n"])
    assert r.returncode == 0
    assert r.stdout == b"maildir ./Maildir/\nmbox ./mbox\nprogram rm -rf x\n" \
                       b"forward a@c.example\ndid 2+1+1\n"
    assert box.new() == [] and not (box.home / "mbox").exists()


def test_mbox_quotes_from_lines_and_ends_in_a_blank_line(box):
    body = b"Subject: x\n\nFrom a\n>From b\n>>From c\n From d\nFromm\nlast"
    r = box.deliver(body=body, fallback="./mbox")
    assert r.returncode == 0
    first, rest = (box.home / "mbox").read_bytes().split(b"\n", 1)
    assert first.startswith(b"From s@a.example ")
    assert rest == LINES + (b"Subject: x\n\n>From a\n>>From b\n>>>From c\n From d\nFromm\n"
                            b"last\n\n")
    assert (box.home / "mbox").stat().st_mode & 0o777 == 0o600


def test_mbox_is_appended_to(box):
    box.deliver(fallback="./mbox")
    one = (box.home / "mbox").read_bytes()
    box.deliver(fallback="./mbox", sender="")
    both = (box.home / "mbox").read_bytes()
    assert both.startswith(one) and b"\nFrom MAILER-DAEMON " in both


@pytest.mark.parametrize("torn", [b"From x\n\nhalf a mess", b"From x\n\nhalf\n", b"F", b"\n"])
def test_mbox_that_ends_torn_does_not_swallow_the_next_message(box, torn):
    path = box.write("mbox", torn)
    assert box.deliver(fallback="./mbox").returncode == 0
    text = path.read_bytes()
    assert text.startswith(torn)
    assert text[len(torn):].lstrip(b"\n").startswith(b"From s@a.example ")
    assert text == b"\n" + text[1:] if torn == b"\n" else b"\n\nFrom s@a.example " in text


def test_mbox_waits_for_the_lock(box):
    path = box.write("mbox", "")
    with open(path, "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        message = box.scratch / "message"
        message.write_bytes(BODY)
        with open(message, "rb") as stdin:
            p = subprocess.Popen([box.suite / "bin/local", *box.arguments("", "", "", "./mbox")],
                                 stdin=stdin, env=box.env(), user=OWNER.pw_uid,
                                 group=OWNER.pw_gid, extra_groups=[], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            p.wait(0.3)
        assert path.read_bytes() == b""
    assert p.wait(10) == 0 and p.stdout.read() == b"did 1+0+0\n"


def test_mbox_is_cut_back_when_the_disk_is_full(box):
    path = box.write("mbox", b"From x\n\nold\n\n")
    r = box.deliver(fallback="./mbox", body=b"a: b\n\n" + b"x" * 100_000,
                    before=["prlimit", "--fsize=50000", "env", "-u", "X",
                            "sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
    assert r.returncode == 111 and b"Unable to write ./mbox" in r.stdout
    assert path.read_bytes() == b"From x\n\nold\n\n"


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_mbox_that_is_no_regular_file_is_left_alone(box, kind):
    victim = box.write("victim", "")
    path = box.home / "mbox"
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    start = time.monotonic()
    assert box.deliver(fallback="./mbox").returncode == 111
    assert victim.read_bytes() == b"" and time.monotonic() - start < 5


@pytest.mark.parametrize("part", ["", "tmp", "new"])
@pytest.mark.parametrize("kind", ["link", "fifo", "file", "none"])
def test_maildir_that_is_none_defers_and_nothing_is_written_elsewhere(box, part, kind):
    victim = maildir(box.home / "victim")
    place = box.maildir / part
    place.rename(box.home / "away")
    if kind == "link":
        place.symlink_to(victim / part if part else victim)
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "file":
        place.write_text("")
    r = box.deliver()
    assert r.returncode == 111 and b"./Maildir/" in r.stdout
    assert not list(victim.glob("*/*")) and not list((box.home / "away").glob("*/*"))


def test_file_of_nul_or_of_great_length_is_refused(box):
    box.write(".qmail", b"./Mail\0dir/\n")
    assert box.deliver().returncode == 111
    box.write(".qmail", b"#" * 1048577)
    assert box.deliver().returncode == 111


def test_message_from_a_pipe_is_refused(box):
    r = box.as_owner([box.suite / "bin/local", *box.arguments("", "", "", "./Maildir/")],
                     input=BODY, env=box.env())
    assert r.returncode == 111 and r.stdout == b"Unable to rewind message. (#4.3.0)\n"


def test_wrong_arguments_are_a_usage_error(box):
    assert box.as_owner([box.suite / "bin/local", "joe"], env=box.env()).returncode == 100
    assert box.as_owner([box.suite / "bin/local", "-x", *box.arguments("", "", "", "x")],
                        env=box.env()).returncode == 100


def test_owned_elsewhere_is_no_way_in(box):
    box.home.chmod(0)
    assert box.deliver().returncode == 111
    owned(box.home)
