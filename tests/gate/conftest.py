import pathlib
import sys

import pytest

here = pathlib.Path(__file__).resolve().parent
for p in (here.parent / "prog", here):
    sys.path.insert(0, str(p))


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="all of the gate, not the quick part")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes long: make gate, not make gate-quick")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        left_out = [i for i in items if i.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


@pytest.fixture
def full(request):
    return request.config.getoption("--full")


@pytest.fixture
def note(request):
    """A line for the end of the report, from whichever process."""
    return lambda text: request.node.user_properties.append(("note", text))


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for r in reports:
            for _, text in getattr(r, "user_properties", []):
                if r.when == "call":
                    terminalreporter.write_line(f"{r.nodeid.partition('::')[2]}: {text}")
