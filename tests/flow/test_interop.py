"""The suite and real mail servers of others, both ways; tests/interop has the
long run of it."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import interop  # noqa: E402
import suite as suites  # noqa: E402
from conftest import prepared  # noqa: E402


@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_every_body_arrives_as_it_was_sent(own_suite, kind):
    own_suite.start()
    bad, _ = interop.exchange(own_suite, kind, own_suite.home.parent, 50, 120)
    assert bad == []


def test_ours_to_ours_encrypted(own_suite):
    with prepared() as other:
        other.add_domain("b.example")
        other.add_user("bob@b.example")
        other.start()
        (own_suite.home / "control/smtproutes").write_text(f":127.0.0.1:{other.smtp_port}|||encrypt\n")
        own_suite.start()
        sent = list(interop.bodies(20, seed=3))
        interop.send_all(own_suite.smtp_port, "alice@example.com", "bob@b.example", sent, b"ours")
        mailbox = other.home / "domains/b.example/bob/Maildir/new"
        suites.wait_until(lambda: len(list(mailbox.glob("*"))) == len(sent), 60, "the messages")
        assert interop.compare(mailbox.glob("*"), sent, b"ours") == []
        assert all(b" with ESMTPS" in f.read_bytes() for f in mailbox.glob("*"))
        assert "/Encrypted:_TLSv1.3_TLS_AES_256_GCM_SHA384_unverified/" in own_suite.log("send")
