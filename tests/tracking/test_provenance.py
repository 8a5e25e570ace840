"""What is recorded of where a result comes from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pytest_nbaprops.redaction import redacted_words
from pytest_nbaprops.tracking import provenance
from pytest_nbaprops.tracking.provenance import checkout, environment, git_commit, machine, versions


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)  # noqa: S607


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with one committed file."""
    folder = tmp_path / "project"
    folder.mkdir()
    _git(folder, "init", "-q")
    (folder / "model.py").write_text("depth = 3\n")
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "first")
    return folder


def test_a_clean_checkout_is_its_commit(repository: Path) -> None:
    """Nothing else to record."""
    found = checkout(repository)
    assert found.commit == git_commit(repository)
    assert (found.dirty, found.diff, found.untracked, found.notes) == (False, "", (), ())


def test_uncommitted_changes_are_a_patch(repository: Path) -> None:
    """What is recorded can be applied to the commit again, staged or not."""
    (repository / "model.py").write_text("depth = 4\n")
    (repository / "added.py").write_text("x = 1\n")
    _git(repository, "add", "added.py")
    found = checkout(repository)
    assert found.dirty
    _git(repository, "reset", "-q", "--hard")
    patch = repository.parent / "uncommitted.diff"
    patch.write_text(found.diff)
    _git(repository, "apply", str(patch))
    assert (repository / "model.py").read_text() == "depth = 4\n"
    assert (repository / "added.py").read_text() == "x = 1\n"


def test_untracked_files_are_named_and_ignored_ones_are_not(repository: Path) -> None:
    """Git's diff says nothing of new files; a whole new folder is one name."""
    (repository / ".gitignore").write_text("*.db\n")
    (repository / "new group.py").touch()
    (repository / "mlflow.db").touch()
    (repository / "folder").mkdir()
    (repository / "folder" / "a.py").touch()
    found = checkout(repository)
    assert found.untracked == (".gitignore", "folder/", "new group.py")
    assert not found.dirty


def test_a_large_diff_is_cut_with_a_note(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data file written anew does not become an artifact of its size."""
    monkeypatch.setattr(provenance, "DIFF_BYTES", 1000)
    (repository / "model.py").write_text("depth = 4\n" * 1000)
    found = checkout(repository)
    assert len(found.diff) == 1000
    assert "cut at 1,000 bytes" in found.notes[0]


def test_many_untracked_files_are_cut_with_a_note(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of those that are not named is."""
    monkeypatch.setattr(provenance, "UNTRACKED_NAMES", 2)
    for number in range(5):
        (repository / f"{number}.txt").touch()
    found = checkout(repository)
    assert found.untracked == ("0.txt", "1.txt")
    assert found.notes == ("3 further untracked files are not named",)


def test_passwords_in_a_diff_are_masked(repository: Path) -> None:
    """As everywhere."""
    (repository / "model.py").write_text("uri = 'https://me:secret@host/'\n")
    assert "secret" not in checkout(repository).diff


def test_no_checkout_no_commit_no_git_is_no_error(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is recorded as no commit."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert checkout(empty).commit is None
    _git(empty, "init", "-q")
    assert checkout(empty).commit is None
    monkeypatch.setenv("PATH", str(empty))
    assert checkout(repository).commit is None


def test_a_diff_that_takes_too_long_counts_as_dirty(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to know is no reason to say that nothing was changed."""
    ask = provenance._git  # noqa: SLF001 - one question of several must fail

    def slow(folder: Path, *arguments: str, **rest: int) -> str | None:
        return None if arguments[0] == "diff" else ask(folder, *arguments, **rest)

    monkeypatch.setattr(provenance, "_git", slow)
    found = checkout(repository)
    assert (found.dirty, found.diff) == (True, "")
    assert "no answer" in found.notes[0]


def test_git_that_hangs_is_left_behind(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session does not wait for it."""
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(provenance, "GIT_SECONDS", 0.05)
    assert checkout(repository).commit is None


def test_only_variables_that_matter_are_recorded_and_no_secret_is() -> None:
    """Names of secrets stay, their values do not."""
    found = environment(
        {
            "OMP_NUM_THREADS": "1",
            "HOME": "/home/me",
            "AWS_SECRET_ACCESS_KEY": "abc",
            "MLFLOW_TRACKING_URI": "https://me:hunter2@host",
            "MLFLOW_TRACKING_TOKEN": "abc",
            "NBAPROPS_API_KEY": "abc",
            "PYTEST_ADDOPTS": "--nbaprops-tracking-uri=postgresql://me:hunter2@host/db",
        }
    )
    assert found == {
        "MLFLOW_TRACKING_TOKEN": "***",
        "MLFLOW_TRACKING_URI": "https://me:***@host",
        "NBAPROPS_API_KEY": "***",
        "OMP_NUM_THREADS": "1",
        "PYTEST_ADDOPTS": "--nbaprops-tracking-uri=postgresql://me:***@host/db",
    }


def test_the_command_line_is_recorded_without_passwords() -> None:
    """Wherever they are in an argument."""
    assert redacted_words(["pytest", "--nbaprops-tracking-uri=https://me:hunter2@host"]) == [
        "pytest",
        "--nbaprops-tracking-uri=https://me:***@host",
    ]


def test_versions_name_python_the_libraries_and_the_tools() -> None:
    """Those that can move a result, and those around them."""
    assert {"python", "numpy", "xgboost", "scikit-learn", "mlflow", "pytest", "pytest-xdist"} <= versions().keys()


def test_the_machine_is_recorded_without_its_name() -> None:
    """Neither host nor user."""
    assert set(machine()) == {"system", "machine", "processor", "implementation"}
    assert os.uname().nodename not in machine().values()
