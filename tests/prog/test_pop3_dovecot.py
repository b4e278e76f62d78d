"""Debian's Dovecot, configured as INSTALL says, beside pop3d on one mailbox."""
import imaplib
import pathlib
import poplib
import sys

import pytest

sys.path[:0] = [str(p) for p in pathlib.Path(__file__).resolve().parents[:2]]
import dovecotlib  # noqa: E402
import pop3lib  # noqa: E402
import postern  # noqa: E402
import userhome  # noqa: E402
from pop3lib import USER, WORD  # noqa: E402

pytestmark = pytest.mark.skipif(not postern.have_root(), reason="needs root")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    home = pop3lib.make(tmp_path_factory.mktemp("pop3"))
    authd = userhome.Authd(home)
    server = pop3lib.Server(home)
    try:
        server.dovecot = dovecotlib.Dovecot(home)
        yield server
        server.dovecot.end()
    finally:
        authd.end()


@pytest.fixture
def server(both):
    for i in range(1, 6):
        # as local names them, as qmail-local does, and what vpopmail does
        size = ["", ",S=24", ",S=24,W=28"][i % 3]
        both.deliver(f"170000000{i}.M{i}P{i}.mx.example.com{size}",
                     b"Subject: message %d\n\nx%d\n\n" % (i, i))
    yield both
    for d in "cur", "new":
        for f in (both.maildir / d).iterdir():
            f.unlink()


def ours(server):
    port = server.front(tls=False, env={"PLAINTEXTAUTH": ""}).port
    return login(poplib.POP3("127.0.0.1", port, timeout=20))


def theirs(server):
    return login(poplib.POP3("127.0.0.1", server.dovecot.pop3, timeout=20))


def login(p):
    p.user(USER)
    p.pass_(WORD)
    return p


def imap(server):
    i = imaplib.IMAP4("127.0.0.1", server.dovecot.imap, timeout=20)
    i.login(USER, WORD)
    i.select()
    return i


def number(i, n):
    """What IMAP calls message n: it numbers in an order of its own."""
    [found] = i.search(None, "SUBJECT", f'"message {n}"')[1][0].split()
    return found


def test_imap_takes_the_same_password_and_no_other(server):
    i = imap(server)
    assert len(i.search(None, "ALL")[1][0].split()) == 5, server.dovecot.said()
    i.logout()
    i = imaplib.IMAP4("127.0.0.1", server.dovecot.imap, timeout=20)
    for user, word in (USER, "wrong"), ("ann@v.example", WORD), (USER, ""):
        with pytest.raises(imaplib.IMAP4.error):
            i.login(user, word)
    i.logout()


def test_both_pop3_servers_give_the_same_numbers_sizes_and_unique_ids(server):
    seen = []
    for connect in ours, theirs, ours:
        p = connect(server)
        seen.append((p.list()[1], p.uidl()[1], [p.retr(n)[1] for n in range(1, 6)]))
        p.quit()
    assert seen[0] == seen[1] == seen[2]


def test_a_session_survives_flags_and_moves_by_imap(server):
    p = ours(server)
    assert p.stat()[0] == 5
    i = imap(server)        # moves everything to cur/
    for n in 1, 3:
        i.store(number(i, n), "+FLAGS", "(\\Seen \\Flagged)")
    assert p.retr(1)[1][0] == b"Subject: message 1"
    assert p.retr(2)[1][0] == b"Subject: message 2"
    i.store(number(i, 1), "-FLAGS", "(\\Flagged)")
    for n in 1, 3:
        p.dele(n)
    p.quit()
    i.noop()
    found = [i.fetch(n, "BODY[HEADER.FIELDS (SUBJECT)]")[1][0][1].strip()
             for n in i.search(None, "ALL")[1][0].split()]
    assert sorted(found) == [b"Subject: message %d" % n for n in (2, 4, 5)]
    i.logout()


def test_what_imap_removes_pop3_does_not_find(server):
    p = ours(server)
    i = imap(server)
    i.store(number(i, 2), "+FLAGS", "\\Deleted")
    i.expunge()
    i.logout()
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
        p.retr(2)
    assert p.retr(3)[1][0] == b"Subject: message 3"
    p.dele(2)
    assert p.quit() == b"+OK"
    p = ours(server)
    assert p.stat()[0] == 4
    p.quit()
