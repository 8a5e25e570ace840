"""Re-runs: a fold is worth what the worst of its reports says, whatever a re-run of it says."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import Train

pytest.importorskip("pytest_rerunfailures")

FLAKY = """
import pathlib
import pytest

def once(name):
    file = pathlib.Path(name)
    if not file.exists():
        file.touch()
        raise RuntimeError("only the first time")

@pytest.fixture
def table(fold):
    if fold.number == 2:
        once("setup")

@pytest.mark.walk_forward(recipe="quick")
def test_call(fold):
    fold.evaluate()
    if fold.number == 2:
        once("call")

@pytest.mark.walk_forward(recipe="quick")
def test_setup(fold, table):
    fold.evaluate()
"""


def test_a_rerun_mends_nothing(train: Train, project: pytest.Pytester) -> None:
    """A fold that failed first is failed, one whose setup broke first is missing, and both say why."""
    project.makepyfile(FLAKY)
    args = ("--reruns", "2", "--nbaprops-test", "last 4 dates", "--nbaprops-promote", "enforce")
    session = train(*args, process=True)
    by_name = {candidate["name"]: candidate for candidate in session.decision["candidates"]}
    assert session.code == 10, session.output
    failed, missing = by_name["test_call[quick]"], by_name["test_setup[quick]"]
    assert (failed["verdict"], failed["folds"]["failed"]) == ("REJECT", 1)
    assert failed["reasons"][0].endswith("RuntimeError: only the first time; a re-run does not count")
    assert (missing["verdict"], missing["folds"]["missing"]) == ("INCONCLUSIVE", 1)
    assert "fixture error: RuntimeError: only the first time; a re-run does not count" in missing["reasons"][0]
    assert session.decision["promoted"] is False
