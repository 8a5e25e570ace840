"""A session with player-prop lines: judged, logged and decided by them."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.cli import main
from tests.end_to_end.conftest import Train


def lines_of(league: Path) -> pd.DataFrame:
    """Three books' lines on every player-game: his mean of the games before it, or near it."""
    games = pd.read_csv(league, dtype={"GAME_ID": str}).sort_values(["GAME_DATE", "GAME_ID", "PLAYER_ID"])
    total = games["PTS"] + games["REB"] + games["AST"]
    mean = total.groupby(games["PLAYER_ID"]).transform(lambda past: past.shift().expanding().mean()).fillna(15)
    teams = games["MATCHUP"].str.extract(r"(?P<left>\w+) (?P<at>\S+) (?P<right>\w+)")
    home = teams["left"].where(teams["at"] == "vs.", teams["right"])
    away = teams["right"].where(teams["at"] == "vs.", teams["left"])
    rng = np.random.default_rng(0)
    books = [
        pd.DataFrame(
            {
                "player_name": games["PLAYER_NAME"], "event_id": games["GAME_ID"], "event_date": games["GAME_DATE"],
                "home_team": home, "away_team": away, "bookmaker": f"book{book}",
                "line": np.floor(np.maximum(mean + rng.normal(0, 0.4, len(games)), 0)) + 0.5,
                "timestamp": games["GAME_DATE"] + "T20:00:00Z",
                "over_price": rng.choice([-110, -115, -120], len(games)),
                "under_price": rng.choice([-110, -105], len(games)),
            }
        )
        for book in range(3)
    ]  # fmt: skip
    return pd.concat(books, ignore_index=True)


def test_a_session_is_judged_against_the_market(
    train: Train, project: pytest.Pytester, league: Path, workers: tuple[str, ...]
) -> None:
    """Metrics in decision.json and MLflow, criteria on them, every bet in bets.csv; with and without workers."""
    lines_of(league).to_csv(project.path / "lines.csv", index=False)
    session = train(
        "--nbaprops-odds=lines.csv",
        "--nbaprops-test=last 40 dates",
        "--nbaprops-criterion=mae[line] < market",
        "--nbaprops-criterion=n_bets >= 1",
        "--nbaprops-criterion=coverage80 >= 0.7",
        *workers,
    )
    candidate = session.candidate
    outcomes = {row["expression"]: row["outcome"] for row in candidate["criteria"]}
    assert outcomes["n_bets >= 1"] == "passed", session.output
    market, metrics = candidate["market"], candidate["metrics"]
    assert market["lines"]["matched"] == 1.0
    assert market["lines"]["mixed_rungs"] == {}
    assert metrics["n_bets"] == market["metrics"]["n_bets"] > 20
    bets = pd.read_csv(session.folder / "nbaprops-report" / "bets.csv")
    assert len(bets) == metrics["n_bets"]
    assert bets["profit"].sum() == pytest.approx(metrics["profit"])
    last = market["curve"][-1]
    money = {row["who"]: row["profit"] for row in market["money"]}
    assert [last[who] for who in ("profit", "blind_over", "blind_under", "coin")] == pytest.approx(
        [money[who] for who in ("model", "blind over", "blind under", "coin")]
    )
    page = (session.folder / "nbaprops-report" / "report.html").read_text()
    assert "always under" in page
    assert "Drawdown" in page
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{session.folder / 'mlflow.db'}")
    run = client.get_run(candidate["run_id"])
    for name in ("roi", "brier", "market_mae", "beyond_line", "coverage80"):
        assert run.data.metrics[name] == pytest.approx(metrics[name])
    assert "bets.csv" in {file.path for file in client.list_artifacts(candidate["run_id"])}
    assert f"ROI {metrics['roi']:+.1%}" in session.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nbaprops-odds=none.csv"], "none.csv: found no such file or folder, expected player-prop lines"),
        (["--nbaprops-odds=bad.csv"], "bad.csv, row 2, column line: found 'x'"),
        (["--nbaprops-odds=lines.csv", "--nbaprops-bet-rule=one-book=Nobody"], "the odds have no book 'Nobody'"),
        (["--nbaprops-bet-rule=most"], "--nbaprops-bet-rule: 'most' is not one of best-value, best-line or one-book="),
        (["--nbaprops-min-edge=lots"], "--nbaprops-min-edge: 'lots' is not an expected return"),
        (["--nbaprops-stake=kelly 2"], "--nbaprops-stake: 'kelly 2' is not one of flat, kelly"),
        (["--nbaprops-snapshot=middle"], "--nbaprops-snapshot: 'middle' is not one of last, first"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_the_first_fold(
    train: Train, project: pytest.Pytester, league: Path, arguments: list[str], message: str
) -> None:
    """Exit code 4."""
    lines_of(league).head(50).to_csv(project.path / "lines.csv", index=False)
    (project.path / "bad.csv").write_text("player,date,home,away,line\nA,2024-01-01,B,C,x\n")
    session = train(*arguments)
    assert session.code == 4
    assert message in session.errors


def test_a_look_at_the_lines(project: pytest.Pytester, league: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nbaprops check`: 0 where they can be used as they are, 1 where something should be known, or they cannot."""
    monkeypatch.chdir(project.path)
    lines = lines_of(league)
    lines.to_csv("lines.csv", index=False)
    clean = CliRunner().invoke(main, ["check", "--odds", "lines.csv", "--format", "json"])
    assert clean.exit_code == 0, clean.output
    (only,) = json.loads(clean.stdout)
    assert (only["facts"]["rows"], only["facts"]["matched"], only["problems"]) == (len(lines), 1.0, [])
    assert [book["rows"] for book in only["books"]] == [len(lines) // 3] * 3
    spoilt = lines.assign(line=lines["line"] + np.where((lines.index % 3 == 0) & (lines["bookmaker"] == "book1"), 9, 0))
    spoilt.to_csv("spoilt.csv", index=False)
    found = CliRunner().invoke(main, ["check", "--odds", "spoilt.csv"])
    assert found.exit_code == 1
    assert "problem: PTS+REB+AST: book1: " in found.output
    (project.path / "bad.csv").write_text("player,date,home,away,line\nA,2024-01-01,B,C,x\n,2024-01-01,B,C,9\n")
    bad = CliRunner().invoke(main, ["check", "--odds", "bad.csv"])
    assert bad.exit_code == 1
    assert bad.output.count("Error: bad.csv, row ") == 2
