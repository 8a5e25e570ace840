"""A run of an old file store is the champion: what it predicted is compared with what this session predicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.cli import main
from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.session.snapshot import read_snapshot
from tests.end_to_end.conftest import Session, Train
from tests.importing import old_store
from tests.importing.conftest import line

NAME = "XGB 0.05 <b>deep</b>"
"""As scripts called them; no alias could be called so."""
AGAINST = ("--nbaprops-criterion=mae < champion", "--nbaprops-promote=enforce")


def old_predictions(league: Path) -> str:
    """A script's CSV: every player-game of the last dates by name, with predictions that are far off."""
    games = load_games(league)
    rows = games[games["GAME_DATE"].isin(sorted(games["GAME_DATE"].unique())[-30:])]
    noise = np.random.default_rng(1).normal(0, 25, len(rows))
    actual = rows["PTS"] + rows["REB"] + rows["AST"]
    table = pd.DataFrame({"Player": rows["PLAYER_NAME"], "date": rows["GAME_DATE"].dt.strftime("%m/%d/%Y")})
    return str(table.assign(Actual=actual, Pred=actual + noise).dropna().to_csv(index=False))


@pytest.fixture
def invoke(project: pytest.Pytester, league: Path) -> Callable[..., str]:
    """Runs `nbaprops` in the project, where the old run was imported."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return str(result.output)

    experiment = old_store.experiment(project.path / "mlruns", "7", "Old")
    old = old_store.run(experiment, 1, NAME, metrics={"test_mae": line(0, 20.0)})
    old_store.write(old / "artifacts/results/test_predictions.csv", old_predictions(league))
    assert "predictions" in run("import", "mlruns")
    return run


def test_an_imported_run_is_the_champion(train: Train, invoke: Callable[..., str]) -> None:
    """By its name, under `enforce`: paired on the same player-games, told as a run, kept as the snapshot."""
    session = train(*AGAINST, f"--nbaprops-champion={NAME}")
    (row,) = session.candidate["criteria"]
    assert (session.code, row["outcome"], session.decision["promoted"]) == (0, "passed", True), session.output
    assert "difference -" in row["reason"]
    champion = session.decision["champion"]
    assert (champion["name"], champion["version"], champion["alias"]) == (NAME, None, None)
    assert session.candidate["lineage"]["added"] == []
    _check_words(session)
    kept = read_snapshot(session.folder / "nbaprops-report" / "champion")
    assert (kept.run_id, kept.version) == (champion["run_id"], None)

    compared = json.loads(invoke("compare", NAME, session.candidate["run_id"], "--format", "json"))
    (pair,) = compared["paired"]
    assert pair["rows"] == session.candidate["metrics"]["n_predictions"]
    assert pair["reason"].startswith("only the player-games that both predicted: ")
    assert pair["difference"] == pytest.approx(row["value"] - float(row["threshold"]), abs=1e-3)
    ranked = json.loads(invoke("best", "--any-data", "--format", "json"))
    assert [run["name"] for run in ranked["runs"]][-1] == NAME
    assert "production" not in invoke("history")


def test_a_run_whose_predictions_are_another_models_is_no_champion(
    project: pytest.Pytester, train: Train, league: Path
) -> None:
    """They are four times as bad as what it has logged, so who beats them is not known to beat it."""
    old = old_store.run(
        old_store.experiment(project.path / "mlruns", "7", "Old"), 1, NAME, metrics={"test_mae": line(0, 5.0)}
    )
    old_store.write(old / "artifacts/results/test_predictions.csv", old_predictions(league))
    assert CliRunner().invoke(main, ["import", "mlruns"]).exit_code == 0
    session = train(*AGAINST, f"--nbaprops-champion={NAME}")
    assert session.code == 10
    assert "and it logged an MAE of 5.0000" in session.candidate["reasons"][0]


def _check_words(session: Session) -> None:
    """The run's name is text, on the page and in the summary."""
    page = (session.folder / "nbaprops-report" / "report.html").read_text(encoding="utf-8")
    summary = (session.folder / "nbaprops-report" / "summary.md").read_text(encoding="utf-8")
    assert "the run XGB 0.05 &lt;b&gt;deep&lt;/b&gt;" in page
    assert "<b>deep" not in page
    assert " vNone" not in page + summary + session.output
    assert "XGB 0.05" in summary


@pytest.mark.parametrize(
    ("champion", "said"), [("no such run", "there is no run 'no such run'"), ("0.05", "there is no run '0.05'")]
)
def test_a_run_that_is_not_there_is_one_line(train: Train, champion: str, said: str) -> None:
    """Exit 4 before any fold: a typing error must not compare with nobody."""
    session = train(*AGAINST, f"--nbaprops-champion={champion}")
    assert session.code == 4
    assert said in session.errors
    assert "Traceback" not in session.errors + session.output


@pytest.mark.usefixtures("promoted")
def test_an_alias_nobody_has_is_no_run(train: Train) -> None:
    """With versions but without the alias nothing is decided, and the reason says that no run is called so either."""
    session = train(*AGAINST, "--nbaprops-champion=live", "--nbaprops-param=n_estimators=14")
    assert session.code == 10
    assert "none has the alias 'live', and no run is called so" in session.output.replace("\n", " ")
