"""The suite and real mail servers of others, both ways; tests/interop has the
long run of it."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import interop  # noqa: E402


@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_every_body_arrives_as_it_was_sent(own_suite, kind):
    own_suite.start()
    bad, _ = interop.exchange(own_suite, kind, own_suite.home.parent, 50, 120)
    assert bad == []
