"""The table of attempts counts what did not hold, and a run with such a row fails."""

import subprocess
import sys

from conftest import PROJECT

TESTS = """
import pytest

@pytest.mark.attempt("files", "a fix")
@pytest.mark.parametrize("how", ["held", "failed", "skipped"])
def test_one(how):
    assert how != "failed"
    if how == "skipped":
        pytest.skip("no such kernel")

@pytest.mark.attempt("leftovers")
def test_many(tried):
    tried("SIGKILL", times=30)
    tried("SIGTERM | 1", "a lock stayed", held=False, times=2)

@pytest.mark.attempt("secrets")
def test_a_failed_set_up(absent):
    pass

def test_no_attempt():
    pass
"""


def test_the_rows_of_every_worker_come_together_and_what_did_not_hold_fails_the_run(tmp_path):
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path.append({str(PROJECT / 'tests')!r})\n"
        "import attempts, pathlib; from attempts import tried\n"
        "attempts.RESULT = pathlib.Path(__file__).parent / 'out' / 'attempts.md'\n"
        "def pytest_configure(config): config.pluginmanager.register(attempts.Plugin(config))\n"
    )

    def run(*words):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = run("-n", "2")
    assert "35 attempts: escapes 1, leaks 1, leftovers 2" in done.stdout, done.stdout
    table = (tmp_path / "out" / "attempts.md").read_text()
    assert "| a fix: held | refused, nothing was changed |" in table
    assert "| a fix: failed | **escapes**: the test failed |" in table
    assert "| a fix: skipped | not tried here: no such kernel |" in table
    assert "| SIGKILL (30 times) | nothing left behind |" in table
    assert "| SIGTERM \\| 1 (2 times) | **leftovers**: a lock stayed |" in table
    assert "| Files of the user are changed | 2 | 1 |" in table
    # Told as not held, and asserted by nobody.
    only = run("-k", "many")
    assert only.returncode == 1 and "1 passed" in only.stdout
    assert run("-k", "no_attempt").returncode == 0
