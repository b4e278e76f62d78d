"""Virtual domains with everything, in a running suite."""
import subprocess

import conftest
import pytest
import suite as suites

DATA = b"From: <carol@elsewhere.example>\r\nTo: <%s>\r\nSubject: %s\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def suite():
    with conftest.prepared("alice@example.com", "bob@example.com", "vault@example.com") as s:
        (s.home / "control/archive").write_text("kept.example:vault@example.com\n")
        yield s.start()


def send(suite, to, subject=b"hi", sender="carol@elsewhere.example"):
    suite.send(sender, [to], DATA % (to.encode(), subject))


def subjects(suite, user):
    suite.wait_empty_queue()
    return [l for m in suite.mailbox(user) for l in m.splitlines() if l.startswith(b"Subject: ")]


def refusal(suite, to):
    with suite.smtp() as s:
        s.ehlo()
        s.mail("carol@elsewhere.example")
        return s.rcpt(to)


def test_an_alias_gets_mail_to_many(suite):
    suite.run("valias", "-i", "alice", "-i", "bob", "both@example.com")
    send(suite, "Both@example.com", b"to both")
    for user in ("alice@example.com", "bob@example.com"):
        suites.wait_until(lambda: b"Subject: to both" in subjects(suite, user), what=user)


def test_an_alias_domain_has_the_same_users_and_logins(suite):
    suite.run("valiasdomain", "other.example", "example.com")
    send(suite, "alice@other.example", b"by the other name")
    assert b"Subject: by the other name" in subjects(suite, "alice@other.example")
    assert refusal(suite, "nobody@other.example")[0] == 550


def test_unknown_names_go_where_the_policy_says(suite):
    suite.run("vadddomain", "all.example", "x")
    assert refusal(suite, "anybody@all.example")[0] == 550
    suite.run("vcatchall", "all.example", "alice@example.com")
    send(suite, "anybody@all.example", b"caught")
    suites.wait_until(lambda: b"Subject: caught" in subjects(suite, "alice@example.com"))


def test_a_full_mailbox_is_refused_and_a_new_quota_opens_it(suite):
    suite.add_user("small@example.com")
    suite.run("vsetuserquota", "small@example.com", "1C")
    send(suite, "small@example.com")
    assert subjects(suite, "small@example.com")
    code, text = refusal(suite, "small@example.com")
    assert (code, text[:5]) == (552, b"5.2.2")
    (suite.home / "control/overquota").write_text("452\n")
    assert refusal(suite, "small@example.com")[0] == 452
    suite.run("vsetuserquota", "small@example.com", "1M")
    assert refusal(suite, "small@example.com")[0] == 250


def test_a_full_mailbox_that_is_read_by_pop3_takes_mail_again(suite):
    (suite.home / "control/overquota").write_text("552\n")
    suite.add_user("tiny@example.com")
    suite.run("vsetuserquota", "tiny@example.com", "1C")
    send(suite, "tiny@example.com")
    suite.wait_empty_queue()
    assert refusal(suite, "tiny@example.com")[0] == 552
    p = suite.pop("tiny@example.com")
    for i in range(p.stat()[0]):
        p.dele(i + 1)
    p.quit()
    suites.wait_until(lambda: refusal(suite, "tiny@example.com")[0] == 250)


def test_a_user_who_is_away_answers_once(suite):
    suite.add_user("away@example.com")
    subprocess.run([suite.home / "bin/vautorespond", "away@example.com", "on"],
                   input=b"Subject: gone\n\nback on Monday\n", check=True,
                   env={"POSTERN_HOME": str(suite.home)})
    for n in (b"1", b"2"):
        send(suite, "away@example.com", n, "bob@example.com")
        suite.wait_empty_queue()
    got = [m for m in suite.mailbox("bob@example.com") if b"Subject: gone" in m]
    assert len(got) == 1 and b"Auto-Submitted: auto-replied" in got[0]
    assert got[0].startswith(b"Return-Path: <>\n") and b"back on Monday" in got[0]
    assert len(subjects(suite, "away@example.com")) == 2


def test_mail_of_a_kept_domain_is_copied(suite):
    suite.run("vadddomain", "kept.example", "x")
    suite.run("vadduser", "joe@kept.example", "secret")
    send(suite, "joe@kept.example", b"kept")
    assert b"Subject: kept" in subjects(suite, "vault@example.com")
    send(suite, "bob@example.com", b"not kept")
    assert b"Subject: not kept" not in subjects(suite, "vault@example.com")
