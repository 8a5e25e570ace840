"""The leak guard finds what groups know too early and names it, and leaves honest ones alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.features.catalog import builtin_groups
from tests.leaks.planted_memory import PLANTED

if TYPE_CHECKING:
    from pytest_nbaprops.features.group import FeatureGroup

LEAKS, HONEST = PLANTED
ROOT = Path(__file__).parents[2]
CONFTEST = """
from pytest_nbaprops import FeatureGroup
from tests.leaks.planted_memory import PLANTED

class Prefixed(FeatureGroup):
    def __call__(self, games, **tables):
        return self.function(games, **tables).add_prefix(f"{self.name}_")  # many have a column called mean

def pytest_nbaprops_feature_groups(config):
    leaks, honest = PLANTED
    return [Prefixed(**vars(group)) for group in [*(group for group, _ in leaks), *honest]]
"""
INI = """
[pytest]
nbaprops_data = league.parquet
nbaprops_recipe = baseline
nbaprops_test = 2023-12-01..2023-12-10
nbaprops_criterion = mae <= 50
"""

Findings = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """The leaks of all groups in one real session, by group."""
    folder = tmp_path_factory.mktemp("planted")
    sample_league(seasons=1, players=40, seed=3).to_parquet(folder / "league.parquet")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(INI)
    options = ["--nbaprops-train", "--nbaprops-promote=off", "--nbaprops-leak-dates=2", "-q", "-p", "no:randomly"]
    command = [sys.executable, "-m", "pytest", *options]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    document = json.loads((folder / "nbaprops-report" / "decision.json").read_text())
    if not document["leak_guard"] or not document["leak_guard"]["groups"]:
        raise RuntimeError(done.stdout + done.stderr)
    found: Findings = {}
    for leak in document["leak_guard"]["leaks"]:
        found.setdefault(leak["group"], []).append(leak)
    return found


@pytest.mark.parametrize(("group", "kind"), [pytest.param(*one, id=one[0].name) for one in LEAKS])
def test_planted_leaks_are_named_by_kind(findings: Findings, group: FeatureGroup, kind: str) -> None:
    """Each planted leak is caught and named by its kind."""
    assert [leak["kind"] for leak in findings.get(group.name, [])] == [kind]


@pytest.mark.parametrize("group", [*HONEST, *builtin_groups()], ids=lambda group: group.name)
def test_honest_groups_are_not_flagged(findings: Findings, group: FeatureGroup) -> None:
    """Nothing is said about groups that only use what was known."""
    assert findings.get(group.name, []) == []
