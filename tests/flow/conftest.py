import contextlib
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import postern  # noqa: E402
import suite as suites  # noqa: E402


@contextlib.contextmanager
def prepared(*users):
    """A suite, not started, with the domain example.com."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-flow."))
    d.chmod(0o755)
    s = None
    try:
        s = suites.Suite(d / "home")
        s.add_domain("example.com")
        for user in users:
            s.add_user(user)
        yield s
    finally:
        if s:
            s.stop()
        postern.wipe(d)


@pytest.fixture(scope="module")
def suite():
    """A running suite with two users, for the tests of one file that leave it
    as it is."""
    with prepared("alice@example.com", "bob@example.com") as s:
        yield s.start()


@pytest.fixture
def own_suite():
    """The same, not started yet, for a test that breaks things."""
    with prepared("alice@example.com") as s:
        yield s
