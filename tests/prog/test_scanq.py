import os
import pathlib
import subprocess
import time

import pytest

import postern
from fakeclamd import EICAR
from scanqlib import RULES, Scanq, lines, mail


@pytest.fixture
def scanq(scratch):
    s = Scanq(scratch)
    yield s
    s.close()


def test_clean_message_goes_to_the_next_program_with_header(scanq):
    m = mail()
    r = scanq.run(m)
    assert r.code == 0, r.log
    own, rest = lines(r.queued[0])
    assert rest == m
    assert own.startswith(f"Received: (scanq {r.pid} invoked by uid 0);\n  ")
    assert "\nX-Postern-Scan: clean; " in own and "virus scan off" in own
    assert (r.queued[0] / "envelope").read_bytes() == b"Fa@b.example\0Tc@d.example\0\0"


def test_next_program_is_the_same_process(scanq):
    r = scanq.run(mail())
    assert int((r.queued[0] / "pid").read_text()) == r.pid


def test_environment_and_descriptors_are_untouched(scanq):
    given = {"RELAYCLIENT": "", "TCPREMOTEIP": "192.0.2.1", "FOO": "bar=baz", "BYTES": "\x01 \xff\n=",
             "LD_LIBRARY_PATH": "/x", "SMTPAUTHUSER": "joe"}
    r = scanq.run(mail(), **given)
    e = (r.queued[0] / "environment").read_bytes()
    own = {"SCANQ_QUEUE": str(scanq.queue), "RECORD": str(scanq.record)}
    expected = postern.env(scanq.home, **own, **given)
    assert sorted(e.split(b"\0")[:-1]) == sorted(
        os.fsencode(f"{k}={v}") for k, v in expected.items())
    fds = [l.split()[8] for l in (r.queued[0] / "descriptors").read_text().splitlines()[1:]]
    # 10 and above are the shell's own
    assert [f for f in fds if int(f) < 10] == ["0", "1", "2", "4", "6"]


def test_exit_code_and_text_of_next_program_pass(scanq):
    (scanq.record / "code").write_text("82")
    (scanq.record / "text").write_text("Zcome back")
    r = scanq.run(mail())
    assert (r.code, r.text) == (82, "Zcome back")


@pytest.mark.parametrize("envelope,code", [
    (b"Fa@b\0Tc@d\0", 54), (b"", 54), (b"Fa@b\0Tc@d", 54), (b"Xa@b\0\0", 91), (b"Fa\0Xb\0\0", 91),
    (b"F" + b"a" * 1003 + b"\0Tb\0\0", 11)])
def test_bad_envelope_queues_nothing(scanq, envelope, code):
    r = scanq.run(mail(), envelope=envelope)
    assert r.code == code and r.queued == []


def test_large_message_passes_unchanged(scanq):
    m = mail(body="x" * 70 + "\n") + "".join(f"{i:070}\n" for i in range(60000))
    r = scanq.run(m)
    assert r.code == 0 and lines(r.queued[0])[1] == m


def test_filter_list_names_the_next_program(scanq):
    scanq.control("queuefilters", "/first", "scanq", str(scanq.queue), "/other")
    r = scanq.run(mail(), SCANQ_QUEUE=None)
    assert r.code == 0 and len(r.queued) == 1


def test_bin_queue_is_the_last_resort(scanq):
    scanq.queue.rename(scanq.home / "bin/queue")
    r = scanq.run(mail(), SCANQ_QUEUE=None)
    assert r.code == 0 and len(r.queued) == 1


def test_missing_next_program_is_120(scanq):
    r = scanq.run(mail(), SCANQ_QUEUE="/nonexistent")
    assert r.code == 120 and "unable to run" in r.log


def test_who_takes_the_message_apart_has_no_rights(scanq):
    """The walker's pipe is full while clamd hangs: its process can be looked at."""
    scanq.clamd(hang=True)
    scanq.control("clamdtimeout", 3)
    seen = {}

    def look(parent):
        for p in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            status = (pathlib.Path("/proc") / p / "status").read_text()
            if "Seccomp:\t1" in status or "Seccomp:\t2" in status:
                seen["fds"] = sorted(os.listdir(f"/proc/{p}/fd"))
                seen["nnp"] = "NoNewPrivs:\t1" in status
                return True
    r = scanq.run(mail(body="begin 644 a.exe\n`\nend\n" * 20000), during=look)
    assert r.code == 82 and seen == {"fds": ["1"], "nnp": True}


# ---- rules

def test_forbidden_subject_is_quarantined_and_told(scanq):
    assert scanq.rules(RULES).returncode == 0
    m = mail(subject="good sex!")
    r = scanq.run(m, recipients=("c@d.example", "e%f@g.example"))
    assert r.code == 0, r.log
    kept, alert = r.queued
    assert (kept / "envelope").read_bytes() == b"F\0Tquarantine@test.example\0\0"
    text = (kept / "message").read_text()
    assert text.endswith("\n" + m)
    assert "\nX-Postern-Quarantine-Reason: Spam Mail: good sex!\n" in text
    assert ("\nX-Postern-Quarantine-Sender: a@b.example\n"
            "X-Postern-Quarantine-Recipient: c@d.example\n"
            "X-Postern-Quarantine-Recipient: e%25f@g.example\n"
            f"X-Postern-Quarantine-End: {len(m)}\n") in text
    assert (alert / "envelope").read_bytes() == b"F\0Tpostmaster@test.example\0\0"
    text = (alert / "message").read_text()
    assert "MAIL FROM: a@b.example\nRCPT TO:   c@d.example\nRCPT TO:   e%f@g.example\n" in text
    assert "Spam Mail" in text and "\nSubject: good sex!\n" in text
    assert "quarantined" in r.log


def test_without_rules_nothing_is_forbidden(scanq):
    r = scanq.run(mail(subject="good sex!"))
    assert r.code == 0 and len(r.queued) == 1


def test_attachment_name_is_found(scanq):
    scanq.rules(RULES)
    r = scanq.run(mail(parts=[("a.EXE", "application/octet-stream", b"MZ")]))
    assert r.code == 0 and b"Executable File" in (r.queued[0] / "message").read_bytes()


def test_host_in_a_location_is_no_program(scanq):
    scanq.rules(".com\t0\tprogram\n")
    where = "Content-Type: text/html\nContent-Location: http://www.example.com"
    assert len(scanq.run(mail(extra=where + "\n")).queued) == 1
    assert len(scanq.run(mail(extra=where + "/a.com\n")).queued) == 2


def test_size_of_an_attachment_counts(scanq):
    scanq.rules("a.bin\t5\tfive\n")
    assert len(scanq.run(mail(parts=[("a.bin", "x/y", b"12345")])).queued) == 2
    assert len(scanq.run(mail(parts=[("a.bin", "x/y", b"1234")])).queued) == 1


def test_allow_comes_before_what_follows(scanq):
    scanq.rules("good.exe\tSIZE=5 action=allow\tours\n.exe\t0\tother\n")
    assert len(scanq.run(mail(parts=[("good.exe", "x/y", b"12345")])).queued) == 1
    assert len(scanq.run(mail(parts=[("good.exe", "x/y", b"1234")])).queued) == 2


def test_allowed_sender_ends_the_search(scanq):
    scanq.rules("boss@b\\.example\tVirus-MAILFROM: action=allow\tboss\n" + RULES)
    assert len(scanq.run(mail(subject="good sex"), sender="boss@b.example").queued) == 1
    assert len(scanq.run(mail(subject="good sex"), sender="other@b.example").queued) == 2


def test_header_line_cannot_pose_as_envelope(scanq):
    scanq.rules("x@y\\.example\tVirus-MAILFROM: action=allow\tboss\n" + RULES)
    r = scanq.run(mail(subject="good sex", extra="MAILFROM: x@y.example\n"))
    assert len(r.queued) == 2


def test_header_line_is_not_taken_for_the_sender(scanq):
    scanq.rules("x@y\\.example\tVirus-MAILFROM: action=refuse\tspam\n")
    assert scanq.run(mail(extra="MAILFROM: x@y.example\n")).code == 0
    assert scanq.run(mail(), sender="x@y.example").code == 82


def test_strictest_recipient_decides(scanq):
    scanq.rules(".exe\t0 rcpt=strict.example action=refuse\tno programs\n")
    m = mail(parts=[("a.exe", "x/y", b"MZ")])
    assert scanq.run(m, recipients=("a@other.example",)).code == 0
    assert scanq.run(m, recipients=("a@strict.example", "b@other.example")).code == 82


def test_hash_and_magic_rules(scanq):
    import hashlib
    h = hashlib.sha256(b"evil" * 20000).hexdigest()
    scanq.rules(f"{h}\tSHA256 action=refuse\tknown\nelf\tMagic action=refuse\tprogram\n")
    assert "known" in scanq.run(mail(parts=[("a", "x/y", b"evil" * 20000)])).text
    assert "program" in scanq.run(mail(parts=[("a", "x/y", b"\x7fELF\2\1\1" + bytes(60))])).text
    assert scanq.run(mail(parts=[("a", "x/y", b"good")])).code == 0


def test_message_partial_is_refused_by_default(scanq):
    r = scanq.run(mail(extra="Mime-Version: 1.0\nContent-Type: message/partial; id=x; number=1\n"))
    assert r.code == 82 and "partial" in r.text


def test_damaged_rules_are_no_free_pass(scanq):
    (scanq.home / "rules/scan.cdb").write_bytes(b"garbage" * 1000)
    r = scanq.run(mail())
    assert r.code == 55 and r.queued == [] and "scan.cdb" in r.log


def test_many_long_notes_find_room_in_front_of_the_message(scanq):
    scanq.clamd(version="ClamAV 1.4.6/27123/Sun Nov 22 08:00:00 2026" + "v" * 200)
    scanq.rules("".join(f"{c}.*\tVirus-X-{c}: action=header\t{c * 140}\n" for c in "abcdefghij"))
    r = scanq.run(mail(extra="".join(f"X-{c}: {c * 900}\n" for c in "abcdefghij")),
                  POSTERN_SESSION="s" * 100)
    assert r.code == 0, r.log
    assert lines(r.queued[0])[0].count(";\n  ") >= 9


# ---- how to say no

REFUSE = ".exe\t0 action=refuse\tno programs\n"
PROGRAM = mail(parts=[("a.exe", "application/octet-stream", b"MZ")])


def test_refusal_names_the_rule(scanq):
    scanq.rules(REFUSE)
    r = scanq.run(PROGRAM)
    assert r.code == 82 and r.queued == []
    assert r.text == "Dsorry, this message is refused: no programs: a.exe (#5.7.1)"


@pytest.mark.parametrize("text,control,env,code", [
    ("none", None, {}, 31), ("4", None, {}, 31), ("6", None, {}, 31),
    ("4", "4", {}, 82), ("6", "6", {}, 82), ("6", "4", {}, 31), ("7", None, {"ERROR_FD": "7"}, 82),
    ("two", None, {}, 31)])
def test_text_only_where_the_caller_surely_reads_it(scanq, text, control, env, code):
    scanq.rules(REFUSE)
    if control:
        scanq.control("errorfd", control)
    r = scanq.run(PROGRAM, text=text, **env)
    assert r.code == code
    assert (r.text != "") == (code == 82)


def test_hostile_names_stay_printable(scanq):
    scanq.rules(REFUSE)
    r = scanq.run(mail(parts=[("a\x1b[2J\x9b.exe", "x/y", b"MZ")]))
    assert r.code == 82
    assert all(32 <= ord(c) < 127 for c in r.text)
    assert all(c == "\n" or 32 <= ord(c) < 127 for c in r.log)


# ---- clamd

def test_whole_message_and_decoded_contents_are_shown(scanq):
    c = scanq.clamd()
    r = scanq.run(mail(parts=[("a.doc", "application/msword", b"content" * 1000)]))
    assert r.code == 0, r.log
    assert len(c.scanned) == 2
    assert c.scanned[0].startswith(b"Received: (scanq") and b"From: a@b.example" in c.scanned[0]
    assert c.scanned[1] == b"content" * 1000
    own, _ = lines(r.queued[0])
    assert "ClamAV 1.4.6/27123" in own and "h old" in own


def test_large_content_is_shown_whole(scanq):
    c = scanq.clamd()
    data = bytes(range(256)) * 8000
    r = scanq.run(mail(parts=[("a.bin", "application/octet-stream", data)]))
    assert r.code == 0 and c.scanned[1] == data


def test_descriptors_are_for_reading_alone(scanq):
    c = scanq.clamd()
    scanq.run(mail(parts=[("a.doc", "application/msword", b"x" * 100000)]))
    assert c.access == [0, 0]


def test_virus_is_refused(scanq):
    scanq.clamd()
    r = scanq.run(mail(body=EICAR.decode() + "\n"))
    assert r.code == 82 and r.queued == []
    assert "Test.Eicar" in r.text and "virus=Test.Eicar" in r.log


def test_virus_only_in_decoded_content_is_refused(scanq):
    scanq.clamd()
    r = scanq.run(mail(parts=[("a.com", "x/y", EICAR)]))
    assert r.code == 82 and "Test.Eicar" in r.text


def test_stream_where_descriptors_are_denied(scanq):
    c = scanq.clamd(fildes=False)
    r = scanq.run(mail(parts=[("a.com", "x/y", EICAR)]))
    assert r.code == 82
    assert c.commands.count("zFILDES") == 1 and c.commands.count("zINSTREAM") == 2


def test_tcp_takes_a_stream(scanq):
    c = scanq.clamd(tcp=True)
    r = scanq.run(mail(parts=[("a.com", "x/y", b"x" * 200000)]))
    assert r.code == 0 and c.scanned[1] == b"x" * 200000 and "zFILDES" not in c.commands


def test_second_server_takes_over(scanq):
    c = scanq.clamd()
    scanq.control("clamd", "/nonexistent", c.name)
    assert scanq.run(mail(body=EICAR.decode())).code == 82


LIES = [
    b"", b"OK\0", b"stream: OK", b"stream: OK\n", b"stream: OK\0\0", b"fd[1]: OK\0x",
    b"stream: OK FOUND", b"INSTREAM size limit exceeded. ERROR\0", b"COMMAND READ TIMED OUT\n",
    b"x" * 100000, b"\0\0", b"fd[]: OK\0", b"fd[x]: OK\0", b"fd[-1]: OK\0", b"fd[1] : OK\0",
    b"fd[1]:OK\0", b"fd[1]: ok\0", b"fd[1]: OK \0", b" fd[1]: OK\0", b"\nfd[1]: OK\0", b"fd[1]: OK\r\0",
    b"fd[1]: OK\n\0", b"fd[1]: OK\0fd[1]: OK\0", b"fd[1]: OK\0fd[1]: Win.Test FOUND\0", b"fd[1]:  FOUND\0",
    b"fd[1]: FOUND\0", b"fd[1]: Win.Test ERROR\0", b"/tmp/x: OK\0", b"1: fd[1]: OK\0", b"1: stream: OK\0", b"PONG\0",
    b"ClamAV 1.4.6\0", b"UNKNOWN COMMAND\0", b"fd[1]: OK" + b"\0" * 5000, b"fd[1]: " + b"OK" * 3000 + b"\0",
    b"fd[" + b"1" * 5000 + b"]: OK\0", b"fd[1]: O", b"fd[1]: OK\0" + b"fd[1]: OK\0" * 1000,
    [b"fd[1]: OK\0", b"x"], [b"fd[1]: OK\0", b"\0"], [b"fd[1]: OK\0", b"fd[1]: Win.Test FOUND\0"],
    [b"fd[1]: ", b"OK"], [b"x"] * 20]


@pytest.mark.parametrize("raw", LIES, ids=range(len(LIES)))
def test_strange_answers_are_no_verdict(scanq, raw):
    scanq.clamd(raw=raw)
    r = scanq.run(mail())
    assert r.code == 82 and r.text.startswith("Z") and r.queued == []
    assert "trouble=" in r.log and "warning" in r.log


@pytest.mark.parametrize("raw", LIES, ids=range(len(LIES)))
def test_strange_answers_about_a_content_are_no_verdict(scanq, raw):
    """clamd is good about the message as a whole."""
    c = scanq.clamd(raw=lambda data: raw if data == b"x" * 100000 else None)
    r = scanq.run(mail(parts=[("a.doc", "application/msword", b"x" * 100000)]))
    assert c.scanned[0].startswith(b"Received") and c.scanned[1] == b"x" * 100000
    assert r.code == 82 and r.text.startswith("Z") and r.queued == []


@pytest.mark.parametrize("raw", [b"fd[1]: OK\0", b"stream:OK\0", b"1: stream: OK\0", b"stream: OK\0\0",
                                 [b"stream: OK\0", b"stream: Win.Test FOUND\0"], [b"stream: ", b"OK"]])
def test_strange_answers_to_a_stream_are_no_verdict(scanq, raw):
    scanq.clamd(tcp=True, raw=raw)
    r = scanq.run(mail())
    assert r.code == 82 and r.text.startswith("Z") and r.queued == []


@pytest.mark.parametrize("version", ["", "x", "ClamAV ", "ClamAV\0 1.4.6", "ClamAV 1.4.6\nX-Evil: yes", "ClamAV " + "9" * 9000,
                                     "fd[1]: Win.Test FOUND", "ClamAV 1.4.6/x/y/z", "ClamAV 1/99999999999999999999/x"])
def test_strange_versions_change_nothing_but_the_note(scanq, version):
    scanq.clamd(version=version)
    r = scanq.run(mail())
    assert r.code == 0 and lines(r.queued[0])[1] == mail(), r.log
    assert "Evil" not in "".join(l for l in lines(r.queued[0])[0].split("\n") if not l.startswith((" ", "X-Postern")))


def test_a_server_that_lies_once_is_left_for_the_next(scanq):
    lying, honest = scanq.clamd(raw=b"OK\0"), scanq.clamd()
    r = scanq.run(mail(parts=[("a.com", "x/y", EICAR)]))
    assert r.code == 82 and "Test.Eicar" in r.text
    assert len(lying.scanned) == 2 and len(honest.scanned) == 2     # as a file, and as a stream


def test_clamd_away_is_temporary_at_once(scanq):
    scanq.control("clamd", "/nonexistent/clamd")
    r = scanq.run(mail(), text="none")
    assert r.code == 71 and r.queued == []
    assert "trouble=unable\\x20to\\x20connect" in r.log


@pytest.mark.parametrize("more", [{"hang": True}, {"drip": 1}])
def test_clamd_without_answer_is_temporary_in_time(scanq, more):
    scanq.clamd(**more)
    scanq.control("clamdtimeout", 1)
    r = scanq.run(mail())
    assert r.code == 82 and r.text.startswith("Z") and r.queued == []


def test_connection_closed_within_a_stream_is_temporary(scanq):
    scanq.clamd(tcp=True, stop_after=1000)
    r = scanq.run(mail(body="x" * 3000000))
    assert r.code == 82 and r.text.startswith("Z")


def test_optional_lets_pass_and_says_so(scanq):
    scanq.control("clamd", "/nonexistent/clamd")
    scanq.control("virusscan", "optional")
    r = scanq.run(mail())
    assert r.code == 0
    assert "X-Postern-Scan: not-scanned" in lines(r.queued[0])[0]
    assert "scanq: warning: accepted" in r.log and "virus=failed" in r.log


def test_misspelt_setting_is_temporary(scanq):
    scanq.clamd()
    scanq.control("virusscan", "of")
    r = scanq.run(mail())
    assert r.code == 55 and r.queued == []


def test_larger_than_clamd_takes_is_kept(scanq):
    c = scanq.clamd()
    scanq.control("clamdlimit", 10000)
    r = scanq.run(mail(body="x" * 20000))
    assert r.code == 0 and c.scanned == []
    assert b"Limits.Postern.Size" in (r.queued[0] / "message").read_bytes()


@pytest.mark.parametrize("name,code,queued", [
    ("Heuristics.Encrypted.Zip", 0, 1), ("Heuristics.Limits.Exceeded.MaxFiles", 0, 2),
    ("Heuristics.OLE2.ContainsMacros", 0, 1), ("Heuristics.Phishing.Email", 0, 2),
    ("PUA.Win.Foo", 0, 1), ("Win.Test", 82, 0)])
def test_classes_of_signatures_have_their_own_action(scanq, name, code, queued):
    scanq.clamd(verdict=lambda data: name + " FOUND")
    r = scanq.run(mail())
    assert (r.code, len(r.queued)) == (code, queued)


def test_rule_for_a_signature_comes_first(scanq):
    scanq.clamd(verdict=lambda data: "Win.Worm FOUND")
    scanq.rules("Win\\.Worm\tSignature action=discard\tworm\n")
    r = scanq.run(mail())
    assert r.code == 0 and "discarded" in r.log
    assert [b"Tpostmaster" in (q / "envelope").read_bytes() for q in r.queued] == [True]


def test_version_is_asked_for_while_clamd_scans(scanq):
    c = scanq.clamd()

    def verdict(data):
        end = time.monotonic() + 20
        while "zVERSION" not in c.commands and time.monotonic() < end:
            time.sleep(0.01)
        return "OK" if "zVERSION" in c.commands else "too late ERROR"
    c.verdict = verdict
    r = scanq.run(mail())
    assert r.code == 0 and c.commands.count("zVERSION") == 1, r.log
    assert "ClamAV 1.4.6/27123" in lines(r.queued[0])[0]


def test_clamd_that_hides_its_version_gives_verdicts_all_the_same(scanq):
    c = scanq.clamd(version=None)
    scanq.control("clamdtimeout", 2)
    r = scanq.run(mail(parts=[("a.doc", "x/y", b"x" * 100000)]))
    assert r.code == 0 and len(c.scanned) == 2, r.log
    assert scanq.run(mail(parts=[("a.com", "x/y", EICAR)])).code == 82


def test_plain_text_is_shown_once(scanq):
    c = scanq.clamd()
    scanq.run(mail())
    assert len(c.scanned) == 1


# ---- self-test

class SelfTest:
    """scanq -t with options, and the mail that it has sent."""

    def __init__(self, scanq):
        self.scanq = scanq
        (scanq.home / "state").mkdir()
        self.state = scanq.home / "state/scantest"

    def run(self, *options):
        before = len(self.scanq.queued())
        e = postern.env(self.scanq.home, SCANQ_QUEUE=str(self.scanq.queue), RECORD=str(self.scanq.record))
        r = subprocess.run([self.scanq.home / "bin/scanq", "-t", *options], env=e, capture_output=True, text=True,
                           timeout=60)
        self.mail = [(d / "message").read_text() for d in self.scanq.queued()[before:]]
        self.to = [(d / "envelope").read_bytes() for d in self.scanq.queued()[before:]]
        return r.returncode

    def later(self, seconds):
        when, word = self.state.read_text().split()
        self.state.write_text(f"{int(when) - seconds} {word}\n")


@pytest.fixture
def selftest(scanq):
    return SelfTest(scanq)


def good(data):
    return "OK" if b"hello" in data else "Test.Eicar FOUND"


def test_failing_self_test_tells_the_administrator(scanq, selftest):
    scanq.control("clamd", "/nonexistent/clamd")
    assert selftest.run() == 111 and selftest.mail == []
    assert selftest.run("-a") == 111 and len(selftest.mail) == 1
    assert selftest.to == [b"F\0Tpostmaster@test.example\0\0"]
    head, body = selftest.mail[0].split("\n\n", 1)
    assert "Subject: the virus scanner fails its test" in head and "Auto-Submitted: auto-generated" in head
    assert "no verdict: /nonexistent/clamd: unable to connect" in body and "mail waits" in body
    scanq.control("scanadmin", "me@there.example")
    scanq.control("virusscan", "optional")
    selftest.later(86400)
    selftest.run("-a")
    assert selftest.to == [b"F\0Tme@there.example\0\0"] and "Mail passes" in selftest.mail[0]


def test_signatures_that_are_missing_are_told(scanq, selftest):
    scanq.clamd(verdict=lambda data: "OK")
    assert selftest.run("-a") == 111
    assert "EICAR, plain is not found: no signatures?" in selftest.mail[0]


def test_mail_about_the_self_test_is_limited(scanq, selftest):
    c = scanq.clamd(verdict=good)
    sent = []
    for verdict, later, expected in (
            (good, 0, 0), ("x", 0, 1), ("x", 0, 0), ("x", 80000, 0), ("x", 7000, 1),
            (good, 0, 0), ("x", 0, 0), ("x", 3700, 1), ("x", 3700, 0)):
        c.verdict = verdict if verdict == good else lambda data: "OK"
        if later:
            selftest.later(later)
        assert selftest.run("-a") == (0 if verdict == good else 111)
        sent.append((len(selftest.mail), expected))
    assert all(a == b for a, b in sent), sent


def test_mail_that_could_not_be_sent_is_tried_again(scanq, selftest):
    scanq.clamd(verdict=lambda data: "OK")
    (scanq.record / "code").write_text("53")
    assert selftest.run("-a") == 111 and not selftest.state.exists()
    (scanq.record / "code").unlink()
    assert selftest.run("-a") == 111 and len(selftest.mail) == 1


def test_nothing_is_told_where_scanning_is_off(scanq, selftest):
    scanq.control("clamd", "/nonexistent/clamd")
    scanq.control("virusscan", "off")
    assert selftest.run("-a", "-e") == 111 and selftest.mail == []
    (scanq.home / "control/clamd").unlink()
    assert selftest.run("-a") == 111 and selftest.mail == []


@pytest.mark.parametrize("state", ["", "x", "99999999999999999999999 bad", "9999999999 bad", "-1 bad"])
def test_damaged_state_of_the_self_test_counts_as_none(scanq, selftest, state):
    scanq.control("clamd", "/nonexistent/clamd")
    selftest.state.write_text(state)
    assert selftest.run("-a") == 111 and len(selftest.mail) == 1


# ---- alerts

def test_alerts_are_limited_and_the_rest_told_later(scanq):
    scanq.rules(RULES)
    scanq.control("scanalerts", 2)
    m = mail(subject="good sex!")
    assert [len(scanq.run(m).queued) for _ in range(4)] == [2, 2, 1, 1]
    state = scanq.home / "scan/alerts"
    hour, rest = state.read_text().split(" ", 1)
    state.write_text(f"{int(hour) - 1} {rest}")
    alert = scanq.run(m).queued[1]
    text = (alert / "message").read_text()
    assert "no alert was sent for 2 more" in text and text.count("Spam Mail: good sex!") >= 3


def test_recipients_here_are_told_if_so_wanted(scanq):
    scanq.rules(RULES)
    scanq.control("locals", "d.example")
    scanq.control("virtualdomains", "V.example:v.example", "vv.example:x")
    to = ("c@d.example", "e@elsewhere.example", "f@v.example", "g@w.example")
    m = mail(subject="good sex!")
    assert len(scanq.run(m, recipients=to).queued) == 2
    scanq.control("scannotify", "1")
    kept, alert, notice = scanq.run(m, recipients=to).queued
    assert (notice / "envelope").read_bytes() == b"F\0Tc@d.example\0Tf@v.example\0\0"
    text = (notice / "message").read_text()
    assert "\n\n  Spam Mail: good sex!\n\n" in text and "Auto-Submitted: auto-generated" in text
    assert "\n\n  <a@b.example>\n" in text
    assert len(scanq.run(m, recipients=("x@elsewhere.example",)).queued) == 2
    scanq.control("scanalerts", 0)
    assert len(scanq.run(m, recipients=to).queued) == 1


def test_quarantine_without_place_for_state_still_keeps(scanq):
    scanq.rules(RULES)
    (scanq.home / "scan").rmdir()
    r = scanq.run(mail(subject="good sex!"))
    assert r.code == 0 and len(r.queued) == 1 and "no alert was sent" in r.log


def test_quarantine_that_cannot_queue_is_no_accept(scanq):
    scanq.rules(RULES)
    (scanq.record / "code").write_text("53")
    r = scanq.run(mail(subject="good sex!"))
    assert r.code == 53
