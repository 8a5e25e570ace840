"""Secrets are planted wherever a session may meet them, and all that it leaves is searched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.conftest import CONFTEST, Train

if TYPE_CHECKING:
    from pathlib import Path

PLANTED = {
    "MLFLOW_TRACKING_PASSWORD": "Pl4nted-password",
    "GITHUB_TOKEN": "Pl4nted-token",
    "DATABASE_URL": "postgresql://bob:Pl4nted-database@db/props",
    "EXTRA_HEADERS": "Authorization: Bearer Pl4nted-header",
}
HOOKS = """
import os

def pytest_addoption(parser):
    parser.addoption("--lines-password")

@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_metrics(predictions):
    raise RuntimeError("no lines from " + os.environ["DATABASE_URL"] + " with " + os.environ["GITHUB_TOKEN"])
"""
TEST = """
import os
import pytest

@pytest.mark.walk_forward(recipe="quick")
def test_lines(fold):
    fold.evaluate()
    if fold.number == 3:
        raise RuntimeError("401 from https://lines?key=Pl4nted-query for " + os.environ["MLFLOW_TRACKING_PASSWORD"])

@pytest.mark.walk_forward(recipe="quick")
def test_other(fold):
    fold.evaluate()
"""


def left(folder: Path) -> list[str]:
    """Files that hold something planted, but the test's own."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    return [str(path.relative_to(folder)) for path in files if b"Pl4nted" in path.read_bytes()]


@pytest.mark.parametrize("code", [TEST, ""], ids=["a session of errors", "a promotion"])
def test_no_secret_is_left_anywhere(
    project: pytest.Pytester, train: Train, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Neither in the store, its artifacts, the fold store or the report, nor on the terminal."""
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    project.makeconftest(CONFTEST + HOOKS)
    if code:
        project.makepyfile(code)
    options = ("--lines-password", "Pl4nted-option", "--tb=no", "-rN", "--nbaprops-promote=enforce")
    session = train(*options, "--nbaprops-criterion=mae <= 50")
    assert session.decision["promoted"], session.output  # of the candidate without a fault
    assert left(session.folder) == []
    assert "Pl4nted" not in session.output + session.errors
