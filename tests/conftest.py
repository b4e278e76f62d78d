import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import postern  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """tmp_path below a directory of this run's own: pytest closes the one that
    all runs share to other users, which may be at work in it for another run."""
    if not config.option.basetemp:
        config.option.basetemp = tempfile.mkdtemp(prefix="postern-pytest.")
        config.add_cleanup(lambda: postern.wipe(config.option.basetemp))


@pytest.fixture
def scratch():
    """A directory that other uids can reach; removed afterwards."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="postern-test."))
    d.chmod(0o755)
    yield d
    postern.wipe(d)


@pytest.fixture
def home(scratch):
    """A fresh installation; control/me is test.example."""
    return postern.install_home(scratch / "home", {"me": "test.example\n"})
