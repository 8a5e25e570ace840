"""The ini file that counts, and what is taken from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nbaprops.commands.project import find_project
from pytest_nbaprops.errors import SettingsError

URI = "nbaprops_tracking_uri"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest.ini", f"[pytest]\n{URI} = sqlite:///here.db\n"),
        ("tox.ini", f"[pytest]\n{URI} = sqlite:///here.db\n"),
        ("setup.cfg", f"[tool:pytest]\n{URI} = sqlite:///here.db\n"),
        ("pyproject.toml", f'[tool.pytest.ini_options]\n{URI} = "sqlite:///here.db"\n'),
        ("pyproject.toml", f'[tool.pytest]\n{URI} = "sqlite:///here.db"\n'),
        ("pytest.toml", f'[pytest]\n{URI} = "sqlite:///here.db"\n'),
    ],
)
def test_every_ini_file_of_pytest_counts(tmp_path: Path, name: str, content: str) -> None:
    """From a folder below it, too; a relative store belongs to the file's folder."""
    (tmp_path / name).write_text(content)
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)
    assert find_project(below).tracking_uri(None) == f"sqlite:///{tmp_path / 'here.db'}"


def test_a_file_that_is_not_pytests_is_passed_over(tmp_path: Path) -> None:
    """A pyproject.toml without pytest's table is not the project's, a pytest.ini is even when empty."""
    (tmp_path / "pytest.ini").write_text("")
    below = tmp_path / "package"
    below.mkdir()
    (below / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert find_project(below).root == tmp_path


def test_the_command_line_comes_first_and_the_default_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option, ini file, MLFLOW_TRACKING_URI, mlflow.db in the root."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    project = find_project(tmp_path)
    assert project.tracking_uri(None) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere")
    assert project.tracking_uri(None) == "http://somewhere"
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\n{URI} = http://ini\nnbaprops_criterion =\n    mae <= 6\n    r2 > 0\n"
    )
    project = find_project(tmp_path)
    assert project.tracking_uri(None) == "http://ini"
    assert project.tracking_uri("sqlite:///x.db") == f"sqlite:///{tmp_path / 'x.db'}"
    assert project.lines("criterion") == ("mae <= 6", "r2 > 0")


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    """It names the file."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest\n")
    with pytest.raises(SettingsError, match=r"pyproject\.toml cannot be read") as caught:
        find_project(tmp_path)
    assert "\n" not in str(caught.value)
