"""autorespond: who gets an answer, what is in it (RFC 3834)."""
import email
import os
import time

import pytest

import postern
from locallib import OWNER, Box, owned

HEADER = b"From: Sue <s@a.example>\nTo: joe@v.example\nSubject: Lunch?\nMessage-ID: <1@a.example>\n"


class Away(Box):
    def __init__(self, scratch):
        super().__init__(scratch)
        self.write("answer", "I am away.\n")
        self.variables = {"SENDER": "s@a.example", "LOCAL": "v.example-joe", "EXT": "joe",
                          "HOST": "v.example"}

    def run(self, header=HEADER, args=("1000", "1", "answer", "sent"), **variables):
        """The line on standard error; the answer is in the queue, or not."""
        for name in ("message", "envelope"):
            (self.out / name).unlink(missing_ok=True)
        env = {**self.env(), **self.variables, **variables}
        r = self.as_owner([postern.TREE / "local/autorespond", *args], cwd=self.home,
                          input=header + b"\nhi\n", env=env)
        self.code = r.returncode
        return r.stderr.decode().strip()

    def answered(self):
        return (self.out / "message").exists()


@pytest.fixture
def away(scratch):
    return Away(scratch)


def test_an_answer_is_marked_as_one(away):
    assert away.run() == "" and away.code == 0
    message, envelope = away.forwarded()
    assert envelope[:2] == [b"F", b"Ts@a.example"]
    m = email.message_from_bytes(message)
    assert m["Auto-Submitted"] == "auto-replied"
    assert (m["From"], m["To"]) == ("joe@v.example", "<s@a.example>")
    assert (m["Subject"], m["In-Reply-To"], m["References"]) == \
        ("Auto: Lunch?", "<1@a.example>", "<1@a.example>")
    assert m["Date"] and m["Message-ID"].endswith("@v.example>")
    assert m.get_payload() == "I am away.\n"


def test_the_answers_own_header_goes_along(away):
    away.write("answer", "From: Joe D. <joe@v.example>\nSubject: away\nTo: x\n"
               "Content-Type: text/html\nDate: never\n\n<b>away</b>\n\nTo: end\n")
    away.run()
    m = email.message_from_bytes(away.forwarded()[0])
    assert m.get_all("From") == ["Joe D. <joe@v.example>"] and m.get_all("Subject") == ["away"]
    assert m.get_all("To") == ["<s@a.example>"] and m.get_content_type() == "text/html"
    assert "never" not in m.get_all("Date")
    assert m.get_payload() == "<b>away</b>\n\nTo: end\n"


def test_each_sender_gets_one_in_the_time(away):
    for sender, header, answer in [("s@a.example", HEADER, True), ("S@A.example", HEADER, False),
                                   ("t@a.example", HEADER, True), ("s@a.example", HEADER, False)]:
        away.run(header, SENDER=sender)
        assert away.answered() == answer, sender
    for f in (away.home / "sent").iterdir():
        old = time.time() - 1001
        f.write_text(f"{int(old)}\n")
        os.utime(f, (old, old))
    away.run()
    assert away.answered()
    # the other one's file is gone
    assert len(list((away.home / "sent").iterdir())) == 1


def test_a_number_of_answers_may_be_allowed(away):
    got = []
    for _ in range(4):
        away.run(args=("1000", "3", "answer", "sent"))
        got.append(away.answered())
    assert got == [True, True, True, False]


@pytest.mark.parametrize("sender", [
    "", "#@[]", "joe@v.example", "JOE@V.example", "v.example-joe@v.example",
    "MAILER-DAEMON@a.example", "postmaster@a.example", "owner-x@a.example", "x-owner@a.example",
    "x-request@a.example", "x-bounces@a.example", "x-bounces+joe=v.example@a.example",
    "bounce-12@a.example", "noreply@a.example", "no-reply+7@a.example", "listserv@a.example",
    "x-return-12-joe=v.example@a.example", "nodomain", "x@"])
def test_programs_lists_and_oneself_get_none(away, sender):
    assert "no answer: " in away.run(SENDER=sender)
    assert not away.answered() and away.code == 0


@pytest.mark.parametrize("line", [
    "Auto-Submitted: auto-replied", "auto-submitted:auto-generated", "Precedence: bulk",
    "PRECEDENCE:  List", "Precedence: junk", "List-Id: <x>", "List-Unsubscribe: <x>",
    "Mailing-List: x", "X-Auto-Response-Suppress: All", "X-Spam-Flag: YES",
    "Content-Type: multipart/report; report-type=x", "Auto-Submitted:\n auto-replied"])
def test_what_its_header_forbids_is_not_answered(away, line):
    assert "no answer: " in away.run(HEADER + line.encode() + b"\n")
    assert not away.answered() and away.code == 0


@pytest.mark.parametrize("line", ["Auto-Submitted: no", "Precedence: first-class",
                                  "Subject2: Precedence: bulk", "X-Spam-Flag: NO"])
def test_what_only_looks_like_it_is_answered(away, line):
    away.run(HEADER + line.encode() + b"\n")
    assert away.answered()


@pytest.mark.parametrize("line,answer", [
    ("To: ann@v.example", False), ("Cc: ann@v.example,\n Joe <JOE@v.example>", True),
    ("To: xjoe@v.example", False), ("To: joe@v.example.org", False),
    ("Resent-To: joe@v.example", True), ("X: joe@v.example", False), ("To: undisclosed:;", False),
    ("To: sales@v.example", True)])
def test_the_recipient_must_be_named(away, line, answer):
    away.run(b"From: s@a.example\n" + line.encode() + b"\n",
             args=("-a", "sales@v.example", "9", "1", "answer", "sent"))
    assert away.answered() == answer


def test_nothing_of_the_message_breaks_the_answers_header(away):
    away.run(b"To: joe@v.example\nSubject: a\x01b\x7f\r\nMessage-ID: <a\x02 b>\n")
    m = email.message_from_bytes(away.forwarded()[0])
    assert m["Subject"] == "Auto: a?b?" and m["In-Reply-To"] is None
    for sender in ("a\nBcc: x@y.example@a.example", "a b@a.example"):
        away.run(SENDER=sender)
        if away.answered():
            assert b"\nBcc:" not in away.forwarded()[0]
            assert email.message_from_bytes(away.forwarded()[0])["To"] == '<"a b"@a.example>'
    away.run(b"X" * 200000)
    away.run(b"")
    away.run(b"\0" * 70000)
    assert away.code == 0


def test_a_thousand_senders_are_enough(away):
    (away.home / "sent").mkdir()
    owned(away.home / "sent")
    for i in range(1000):
        (away.home / f"sent/sent.{i}").touch()
    assert "too many" in away.run()
    assert not away.answered() and away.code == 0


@pytest.mark.parametrize("sender", ["../../x@a.example", "/etc/passwd@a.example",
                                    "x" * 900 + "@a.example", ".@a.example", "%s%n@a.example"])
def test_hostile_senders_are_names_of_files_and_no_more(away, sender):
    before = {p for p in away.home.rglob("*")}
    away.run(SENDER=sender)
    new = {p for p in away.home.rglob("*")} - before
    assert {p.parent for p in new} <= {away.home, away.home / "sent"}


def test_trouble_holds_up_nothing(away):
    for args in [("9", "1", "missing", "sent"), ("9", "1", "answer", "/proc/x/y")]:
        assert "no answer: " in away.run(args=args) and away.code == 0
    (away.home / "link").symlink_to("/tmp")
    assert "no answer: " in away.run(args=("9", "1", "answer", "link"))
    away.queue_says(53)
    assert "the queue does not take it" in away.run()
    assert away.code == 0


@pytest.mark.parametrize("args", [(), ("1", "2", "3"), ("x", "1", "answer", "sent"),
                                  ("1", "x", "answer", "sent"), ("-z", "1", "1", "answer", "s")])
def test_wrong_arguments_defer(away, args):
    away.run(args=args)
    assert away.code == 111 and OWNER
