"""The `python` that the sessions under test are started with does what an interpreter of its own would do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.warm import HASH_SEED

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there processes are forked")
TOLD = """
import json, os, sys
def test_it():
    found = {"argv": sys.argv[1:], "path": sys.path[0], "python": sys.executable, "pandas": "pandas" in sys.modules}
    print(json.dumps(found | {"folder": os.getcwd(), "said": os.environ.get("SAID"), "input": sys.stdin.read()}))
"""


def started(python: str, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    around = {**os.environ, **environment}
    return subprocess.Popen([python, *arguments], cwd=folder, env=around, stdin=pipe, stdout=pipe, text=True)


@pytest.mark.parametrize(("seed", "warm"), [(HASH_SEED, True), ("7", False)])
def test_a_command_has_its_own_surroundings(python: str, tmp_path: Path, seed: str, *, warm: bool) -> None:
    """Arguments, folder, environment and the three files; another hash seed needs another interpreter."""
    (tmp_path / "test_it.py").write_text(TOLD)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    arguments = ["-qs", "-p", "no:randomly", "test_it.py"]
    with started(python, tmp_path, "-m", "pytest", *arguments, SAID="this", PYTHONHASHSEED=seed) as command:
        out, _ = command.communicate("asked")
    found = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    assert found.pop("pandas") is warm
    assert found.pop("python") == (python if warm else sys.executable)
    path = str(tmp_path)
    assert found == {"argv": arguments, "path": path, "folder": path, "said": "this", "input": "asked"}


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "import os; os._exit(4)", "1 / 0"])
def test_its_exit_code_is_the_commands(python: str, tmp_path: Path, program: str) -> None:
    """However it ends."""
    codes = [started(name, tmp_path, "-u", "-c", program).wait(60) for name in (python, sys.executable)]
    assert codes[0] == codes[1] != 0


def test_its_death_is_the_commands(python: str, tmp_path: Path) -> None:
    """A command that is killed by a signal is seen as that."""
    program = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    assert started(python, tmp_path, "-u", "-c", program).wait(60) == -signal.SIGKILL


def test_a_command_ends_with_its_client(python: str, tmp_path: Path) -> None:
    """Whoever kills the process that he started has killed the command."""
    with started(python, tmp_path, "-u", "-c", "import os, time; print(os.getpid()); time.sleep(600)") as client:
        assert client.stdout is not None
        process = int(client.stdout.readline())
        assert process != client.pid
        client.kill()
    end = time.monotonic() + 60
    while Path(f"/proc/{process}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not Path(f"/proc/{process}").exists()
