"""What `nbaprops init` writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PYTEST_INI: Final = """\
[pytest]
testpaths = tests
# Game logs in the stats.nba.com LeagueGameLog schema: a CSV or Parquet file, a folder or a glob.
# Without this line the simulated sample league is used.
# nbaprops_data = data/game_logs
nbaprops_model_name = NBAPropsModel
nbaprops_criterion =
    mae < baseline
    mae <= champion + 0.02
"""

CONFTEST: Final = '''\
"""Feature groups of this project, added to every recipe's own."""

import pytest

from pytest_nbaprops import feature_group


@feature_group(tier="temporal", known_at="morning", version="1")
def hot_hand(games):
    """Points in the last three games against the player's mean so far; only earlier games are used."""
    past = games.groupby("PLAYER_ID")["PTS"].shift(1)
    recent = past.groupby(games["PLAYER_ID"]).rolling(3).mean().droplevel(0)
    usual = past.groupby(games["PLAYER_ID"]).expanding().mean().droplevel(0)
    return (recent - usual).reindex(games.index).to_frame("hot_hand")


@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_feature_groups(config):
    return [hot_hand]
'''

TEST: Final = '''\
"""The walk-forward validation of this project's model: every game date is one test."""

import pytest


@pytest.mark.walk_forward(recipe="advanced", refit=7)
def test_props(fold):
    result = fold.evaluate()
    assert result.mae < 12, result.worst(5)
'''

WORKFLOW: Final = """\
name: promotion gate

on:
  pull_request:
  push:
    branches: [main]

permissions: {}

concurrency:
  group: promotion-gate-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}

jobs:
  gate:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0
        with:
          python-version: "3.12"
      - run: python -m pip install pytest-nbaprops
      - name: The project's own requirements
        run: |
          if [ -f requirements.txt ]; then python -m pip install -r requirements.txt; fi
          if [ -f pyproject.toml ] && grep -q '^\\[build-system\\]' pyproject.toml; then python -m pip install -e .; fi
      - uses: actions/cache@55cc8345863c7cc4c66a329aec7e433d2d1c52a9 # v6.1.0
        with:
          path: |
            .nbaprops
            champion
          key: nbaprops-${{ github.sha }}
          restore-keys: nbaprops-
      - name: Walk-forward validation and promotion decision
        env:
          MODE: ${{ github.event_name == 'pull_request' && 'dry-run' || 'enforce' }}
          # Secrets reach pushes to main only; pull requests decide without the registry.
          MLFLOW_TRACKING_URI: ${{ github.event_name == 'push' && secrets.MLFLOW_TRACKING_URI || '' }}
        # A pull request compares with the champion that the job on main left in the cache.
        run: |
          args=()
          if [ "$MODE" = enforce ] && [ -z "$MLFLOW_TRACKING_URI" ]; then
            echo "::warning::Nothing is promoted: the secret MLFLOW_TRACKING_URI is not set, so this is a dry run"
            MODE=dry-run
          fi
          if [ "$MODE" = dry-run ] && [ -d champion ]; then args+=(--nbaprops-champion=champion/version.json); fi
          pytest --nbaprops-train -n auto --nbaprops-promote "$MODE" "${args[@]}" --junitxml nbaprops-report/junit.xml
      - if: always() && github.event_name == 'push'
        run: if [ -d nbaprops-report/champion ]; then rm -rf champion && cp -r nbaprops-report/champion champion; fi
      - if: always()
        run: if [ -f nbaprops-report/summary.md ]; then cat nbaprops-report/summary.md >> "$GITHUB_STEP_SUMMARY"; fi
      - if: always()
        uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a # v7.0.1
        with:
          name: nbaprops-report
          path: nbaprops-report
          if-no-files-found: warn
"""

STARTER: Final[Mapping[str, str]] = {
    "pytest.ini": PYTEST_INI,
    "tests/conftest.py": CONFTEST,
    "tests/test_props.py": TEST,
    ".github/workflows/promotion-gate.yml": WORKFLOW,
}
