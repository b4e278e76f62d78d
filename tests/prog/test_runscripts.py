"""What run scripts take from control/ and env/, however a file was written."""
import shutil
import subprocess

import pytest

import postern

COMMON = postern.TREE / "run/common"


def common(home, script):
    """The output of a run script of that home directory."""
    service = home / "service/x"
    (service / "env").mkdir(parents=True, exist_ok=True)
    (home / "run").mkdir(exist_ok=True)
    shutil.copy(COMMON, home / "run")
    r = subprocess.run(["sh", "-c", f". ../../run/common\n{script}"], cwd=service, text=True,
                       env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=20)
    assert r.returncode == 0, r.stdout
    return r.stdout


@pytest.mark.parametrize("text", [
    "2525\n", "2525", "2525 \t\n", "2525\r\n", "2525 \r\n", "2525\r", "# a port\n\n2525\n25\n",
    "# a port\r\n\r\n2525\r\n"])
def test_a_setting_is_the_first_line_without_blanks_at_its_end(scratch, text):
    (scratch / "control").mkdir()
    (scratch / "control/smtpport").write_bytes(text.encode())
    assert common(scratch, 'echo "<$(value smtpport 25)>"') == "<2525>\n"


@pytest.mark.parametrize("text", [None, "", "\n", "# 2525\n", "# 2525", " \r\n"])
def test_without_a_setting_the_default_holds(scratch, text):
    (scratch / "control").mkdir()
    if text is not None:
        (scratch / "control/smtpport").write_bytes(text.encode())
    assert common(scratch, 'echo "<$(value smtpport 25)>"') == "<25>\n"


@pytest.mark.parametrize("text", ["-i -w 5\n", "-i -w 5", "-i -w 5\r\n", "-i -w 5 \n"])
def test_a_variable_is_the_first_line_without_blanks_at_its_end(scratch, text):
    (scratch / "service/x/env").mkdir(parents=True)
    (scratch / "service/x/env/RBLCHECK").write_bytes(text.encode())
    assert common(scratch, 'echo "<$RBLCHECK>"') == "<-i -w 5>\n"
