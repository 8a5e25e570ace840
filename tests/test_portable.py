"""Windows and macOS: what only POSIX has is called where its twin is, and no text depends on the system's encoding."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_nbaprops import wholefile
from pytest_nbaprops.wholefile import PREFIX, remove_leftovers, write_whole

PACKAGE = Path(__file__).parents[1] / "pytest_nbaprops"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "select", "termios", "tty"}
NAMES = {
    "os": {
        "chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getuid", "kill", "killpg", "mkfifo",
        "nice", "sched_getaffinity", "setsid", "setuid", "uname", "wait", "waitpid", "WNOHANG",
    },
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "alarm", "pause", "setitimer"},
}  # fmt: skip
WITH_A_TWIN = {
    "processes.py": {"os.kill", "os.sched_getaffinity"},  # kernel32, os.cpu_count
    "runs/replay.py": {"os.sched_getaffinity"},  # PYTEST_XDIST_WORKER_COUNT
    "session/sandbox.py": {"os.WNOHANG", "os.fork", "os.kill", "os.waitpid", "signal.SIGKILL"},  # `_spawned`
    "walkforward/store.py": {"os.geteuid"},  # a profile's folders are its user's
}


def posix_only(path: Path) -> Iterator[str]:
    """`os.fork` and the like, and modules that are not everywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NAMES.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in {*MODULES, "os", "signal"}:
            yield from (node.module for _ in node.names[:1] if node.module in MODULES)
            yield from (f"{node.module}.{a.name}" for a in node.names if a.name in NAMES.get(node.module, ()))


def test_what_only_posix_has_is_called_beside_its_twin() -> None:
    """Elsewhere it would be an AttributeError, or end a process."""
    found = {path.relative_to(PACKAGE).as_posix(): set(posix_only(path)) for path in FILES}
    assert {path: names for path, names in found.items() if names} == WITH_A_TWIN


def without_encoding(path: Path) -> Iterator[int]:
    """Lines that read or write text as the system likes it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        plain = isinstance(node.func, ast.Name)
        position = {"read_text": 0, "write_text": 1, "open": 3 if plain else 2}.get(name)
        if position is None or len(node.args) > position or (name == "open" and not _is_text(node, plain=plain)):
            continue
        if not (name == "write_text" and plain):  # our own, which writes UTF-8
            yield node.lineno


def _is_text(node: ast.Call, *, plain: bool) -> bool:
    """Whether the mode says so; other things than files have an `open`, too."""
    mode = node.args[int(plain)] if len(node.args) > int(plain) else None
    if mode is None:
        return plain
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwax+t")


def test_every_text_file_has_an_encoding() -> None:
    """On Windows the default is not UTF-8, and names of players are not ASCII."""
    found = {path.relative_to(PACKAGE).as_posix(): list(without_encoding(path)) for path in FILES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_file_that_another_has_open_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows lets nobody replace it meanwhile; elsewhere the error is a real one, and said at once."""
    real, refusals = Path.replace, [PermissionError(13, "in use"), PermissionError(13, "in use")]

    def replace(file: Path, place: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return real(file, place)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "a", b"old")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(sys, "platform", "win32")
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not refusals


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    """A pipe gets the content and stays one, a link leads on; what it may not write to, a cache's, is left alone."""
    pipe, link, of_cache = (tmp_path / name for name in ("pipe", "link", "of_cache"))
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"streamed")
    assert os.read(reader, 100) == b"streamed"
    os.close(reader)
    assert pipe.is_fifo()
    for place in (link, of_cache):
        (tmp_path / f"target of {place.name}").write_bytes(b"old")
        place.symlink_to(f"target of {place.name}")
    cached = tmp_path / "target of of_cache"
    cached.chmod(0o444)
    for place in (link, of_cache):
        write_whole(place, b"new")
    assert (link.is_symlink(), (tmp_path / "target of link").read_bytes()) == (True, b"new")
    assert (of_cache.read_bytes(), cached.read_bytes()) == (b"new", b"old")


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    """What a living one writes stays, and so does what another machine wrote into a shared folder."""
    dead, living = tmp_path / f"{wholefile._MINE}999999999-a", tmp_path / f"{wholefile._MINE}1-a"  # noqa: SLF001
    elsewhere = tmp_path / f"{PREFIX}0badcafe-999999999-a"
    for file in (dead, living, elsewhere):
        assert file.name.startswith(PREFIX)
        file.touch()
    remove_leftovers(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {living.name, elsewhere.name}
