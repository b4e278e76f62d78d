import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import postern  # noqa: E402


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
