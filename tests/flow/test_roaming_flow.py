"""POP before SMTP in the real suite: authd under its profile, smtpd behind
rulesrun."""
import poplib
import smtplib
import socket

import suite as suites

OUTSIDE = "127.5.5.5"       # the rules let 127.0.0.1 relay, this one not
OTHER = "127.5.5.6"


class Pop(poplib.POP3):
    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), timeout, (OUTSIDE, 0))


def relays(s, source):
    with s.smtp(source) as c:
        c.ehlo()
        c.mail("alice@example.com")
        return c.rcpt("someone@far.example")[0] == 250


def test_who_has_read_mail_may_send_it_from_there(own_suite):
    s = own_suite
    (s.home / "control/roaming").write_text("30\n")
    s.start()
    assert not relays(s, OUTSIDE)
    p = Pop("127.0.0.1", s.pop3_port, timeout=20)
    p.user("alice@example.com")
    p.pass_("secret")
    p.quit()
    assert relays(s, OUTSIDE), s.everything_logged()
    assert not relays(s, OTHER)
    # who is denied by name stays outside, and limits of rules stay
    s.rules("smtp", f"{OUTSIDE}:deny\n:allow\n")
    try:
        with s.smtp(OUTSIDE):
            raise AssertionError("let in")
    except (smtplib.SMTPException, OSError):
        pass
    s.rules("smtp", ":allow\n")
    suites.wait_until(lambda: relays(s, OUTSIDE), 10, "relaying again")
    (s.home / "control/roaming").unlink()
    assert s.run("clearopensmtp").startswith("0 ")
    assert not relays(s, OUTSIDE)
