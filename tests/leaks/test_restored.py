"""What a process of the guard's wrote elsewhere is put back when it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nbaprops.leaks.restored import put_back

PROGRAM = """
import os, shutil, sys
from pathlib import Path
from pytest_nbaprops.leaks.listener import Listener
from pytest_nbaprops.leaks.restored import Restorer

sys.addaudithook(Restorer(Path(sys.argv[1]), Listener().unheard))
"""
WAYS = {
    "written over": "open('kept.txt', 'w').write('other')",
    "written twice": "open('kept.txt', 'w').write('other')\nopen('kept.txt', 'a').write('more')",
    "made": "open('new.txt', 'w').write('other')",
    "made in a new folder": "os.makedirs('a/b')\nopen('a/b/new.txt', 'w').write('other')",
    "replaced at once": "open('half', 'w').write('other')\nos.replace('half', 'kept.txt')",
    "removed": "os.remove('kept.txt')",
    "moved": "shutil.move('kept.txt', 'moved.txt')",
    "a folder removed": "shutil.rmtree('empty')",
    "by a fork": "if os.fork() == 0:\n    open('kept.txt', 'w').write('other')\n    os._exit(0)\nos.wait()",
}


def state(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_as_it_was(tmp_path: Path, way: str) -> None:
    """Content, time of writing, folders; what is no file (a pipe) is left alone."""
    project, own = tmp_path / "project", tmp_path / "own"
    for folder in (project / "empty", own):
        folder.mkdir(parents=True)
    (project / "kept.txt").write_text("kept")
    os.mkfifo(project / "pipe")
    before, written = state(project), (project / "kept.txt").stat().st_mtime_ns
    command = [sys.executable, "-c", PROGRAM + WAYS[way], str(own)]
    subprocess.run(command, cwd=project, check=True, env={**os.environ, "HOME": str(tmp_path / "home")})
    assert state(project) != before
    put_back([own])
    assert state(project) == before
    assert (project / "kept.txt").stat().st_mtime_ns == written
