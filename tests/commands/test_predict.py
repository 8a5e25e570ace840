"""`nbaprops predict` end to end: a project folder, a real store with a registered model, files in and out."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.cli import main
from pytest_nbaprops.features.build import without_outcomes
from pytest_nbaprops.serving.forecast import predict_upcoming
from pytest_nbaprops.serving.loader import ProductionModelLoader
from pytest_nbaprops.tracking.connection import connect
from tests import mlflow_server
from tests.serving.served import promote, world

if TYPE_CHECKING:
    from click.testing import Result

MODEL = "NBAPropsModel"
INI = "[pytest]\nnbaprops_data = games.csv\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sqlite store with a model in production; commands only read it."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    promote(connect(uri), name=MODEL)
    return uri


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> Path:
    """A project on the working directory: games through the day before, tonight's rows not yet played."""
    league = world()
    games = league.games[league.games["GAME_DATE"] <= league.tonight]
    without_outcomes(games, games["GAME_DATE"] == league.tonight).to_csv(tmp_path / "games.csv", index=False)
    league.schedule().to_csv(tmp_path / "tomorrow.csv", index=False)
    (tmp_path / "pytest.ini").write_text(INI)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return tmp_path


@pytest.fixture(scope="module")
def expected(store: str) -> pd.DataFrame:
    """What the Python function gives, as CSV keeps it."""
    league = world()
    forecast = predict_upcoming(league.schedule(), league.past, ProductionModelLoader(MODEL, tracking_uri=store))
    return forecast.table()


def call(*arguments: object) -> Result:
    # click 8.1 mixes stderr into stdout unless it is told not to.
    apart: Any = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart).invoke(main, ["predict", *map(str, arguments)], catch_exceptions=False)


def refused(result: Result, code: int = 1) -> str:
    """The one line of a refusal; nothing else was said."""
    assert result.exit_code == code
    assert not result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.json"])
def test_a_schedule_is_predicted_into_a_file(project: Path, expected: pd.DataFrame, name: str) -> None:
    """Predictions, intervals, model version and data digest, the same from Python and in every format."""
    result = call("--schedule", "tomorrow.csv", "--out", name)
    assert result.exit_code == 0, result.stderr
    said = f"{name}: {len(expected)} predictions by NBAPropsModel v1 (production), trained through "
    assert result.stdout.startswith(said)
    assert not result.stderr
    path = project / name
    if name == "out.json":
        document = json.loads(path.read_text())
        found = pd.DataFrame(document["predictions"])
        assert (document["model"]["version"], document["interval"], document["stale"]) == ("1", 0.8, [])
        assert document["data_digest"] == expected["data_digest"][0]
        expected = expected[found.columns]
    elif name == "out.csv":
        found = pd.read_csv(path, dtype={"game_id": str, "model_version": str})
    else:
        found = pd.read_parquet(path)
    assert list(found.columns) == list(expected.columns)
    for column in ("predicted", "low", "high"):  # pandas 2 reads the last digit of a CSV's numbers differently
        assert found[column].to_numpy() == pytest.approx(expected[column].to_numpy(), abs=1e-12)
    for column in ("date", "player", "home"):
        assert found[column].tolist() == expected[column].tolist()
    assert not list(project.glob(".nbaprops-*"))


@pytest.mark.parametrize(("name", "code"), [("tomorrow.csv", 2), ("./lines.csv", 2), ("games.csv", 1), ("link.csv", 1)])
def test_nothing_that_is_read_is_written_over(project: Path, name: str, code: int) -> None:
    """Schedule, odds and the project's games, by whatever path."""
    (project / "lines.csv").write_text("player_name,event_date,home_team,away_team,line\nA,2024-01-01,B,C,9.5\n")
    (project / "link.csv").symlink_to("games.csv")
    before = (project / name).read_bytes()
    said = refused(call("--schedule", "tomorrow.csv", "--odds", "lines.csv", "--out", name), code)
    assert "it would be written over; choose another path" in said
    assert (project / name).read_bytes() == before


def test_the_unplayed_rows_of_a_date_are_predicted(project: Path, expected: pd.DataFrame) -> None:
    """--date takes them from the data; a table of plain text when piped."""
    result = call("--date", f"{world().tonight:%Y-%m-%d}")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("NBAPropsModel v1 (production), trained through ")
    assert lines[1].split() == ["date", "player", "team", "opponent", "home", "predicted", "low", "high"]
    assert len(lines) == len(expected) + 3
    assert lines[-1] == "low to high: 80% interval"
    by_player = {line.split("  ")[1]: line for line in lines[2:-1]}
    for row in expected.itertuples():
        assert f"{row.predicted:.1f}" in by_player[str(row.player)]
    assert project.exists()


def test_odds_add_line_edge_and_chances(project: Path) -> None:
    """In the table and, with all columns, as CSV on stdout."""
    first = world().schedule().iloc[0]
    (project / "odds.csv").write_text(
        "player_name,event_date,home_team,away_team,line\n"
        f"{first['player'].lower()},{first['date']},{first['team']},{first['opponent']},20.5\n"
    )
    table = call("--schedule", "tomorrow.csv", "--odds", "odds.csv")
    assert table.stdout.splitlines()[1].split()[8:12] == ["line", "edge", "over", "under"]
    piped = call("--schedule", "tomorrow.csv", "--odds", "odds.csv", "--format", "csv")
    (project / "piped.csv").write_text(piped.stdout)
    found = pd.read_csv(project / "piped.csv").iloc[0]
    assert found["edge"] == pytest.approx(found["predicted"] - 20.5)
    assert found["over"] + found["under"] == pytest.approx(1)
    assert found["model_version"] == 1


def test_other_data_can_be_named(project: Path) -> None:
    """--data overrules the ini file; data that ends before the model's last training date is refused."""
    league = world()
    old = league.past[league.past["GAME_DATE"] < league.past["GAME_DATE"].max()]
    old.to_csv(project / "old.csv", index=False)
    line = refused(call("--schedule", "tomorrow.csv", "--data", "old.csv", "--out", "out.csv"))
    assert line.startswith("Error: NBAPropsModel v1 is not used: it was trained through ")
    assert "or overrule this with --allow-stale" in line
    assert not (project / "out.csv").exists()
    allowed = call("--schedule", "tomorrow.csv", "--data", "old.csv", "--out", "out.csv", "--allow-stale")
    assert allowed.exit_code == 0
    assert allowed.stderr.startswith("Warning: NBAPropsModel v1 is stale: it was trained through ")
    assert "by STALE: NBAPropsModel v1" in allowed.stdout
    assert pd.read_csv(project / "out.csv")["stale"].all()


def test_every_problem_of_a_schedule_is_a_line(project: Path) -> None:
    """All rows are checked before anything is predicted."""
    first = world().schedule().iloc[0]
    (project / "bad.csv").write_text(
        f"player,team,opponent,date,home\nNobody,{first['team']},XXX,{first['date']},1\n{first['player']},?,?,?,?\n"
    )
    result = call("--schedule", "bad.csv")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 6
    assert all(line.startswith(("Error: bad.csv, row 2, column ", "Error: bad.csv, row 3, column ")) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name the players with --schedule FILE or with --date"),
        (["--schedule", "tomorrow.csv", "--date", "2024-01-01"], 2, "one of the two"),
        (["--schedule", "nowhere.csv"], 2, "'nowhere.csv' does not exist"),
        (["--schedule", "tomorrow.csv", "--out", "out.xls"], 2, "not one of .csv, .parquet, .json"),
        (["--schedule", "tomorrow.csv", "--out", "no/out.csv"], 2, "the folder no does not exist"),
        (["--date", "2031-01-01"], 1, "--date 2031-01-01: the data has no row of 2031-01-01"),
        (["--date", "2023-11-01"], 1, "expected rows with empty outcome columns"),
        (["--schedule", "tomorrow.csv", "--alias", "staging"], 1, "none has the alias 'staging' (aliases there: prod"),
        (["--schedule", "tomorrow.csv", "--model", "Other"], 1, "Other has no promoted version"),
        (["--schedule", "tomorrow.csv", "--tracking-uri", "sqlite:///none.db"], 1, "there is no tracking store"),
        (["--schedule", "tomorrow.csv", "--tracking-uri", "http://u:pw@127.0.0.1:9"], 1, "nothing answers at this"),
        (["--schedule", "tomorrow.csv", "--data", "none.csv"], 1, "none.csv: found no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(project: Path, arguments: list[str], code: int, message: str) -> None:
    """With the way out, without traceback or password, and no file."""
    line = refused(call(*arguments), code)
    assert message in line
    assert "pw" not in line
    assert not (project / "out.csv").exists()


def test_a_projects_own_data_and_groups_are_used(project: Path) -> None:
    """Through the hooks of its conftest, as in training; what it prints does not get into the output."""
    (project / "pytest.ini").write_text("[pytest]\nnbaprops_model_name = NBAPropsModel\nnbaprops_data = missing.csv\n")
    (project / "conftest.py").write_text(
        "import pandas as pd\n"
        "from pytest_nbaprops import feature_group\n"
        "print('conftest talks')\n\n\n"
        "@feature_group(tier='core')\n"
        "def own(games):\n"
        "    return games[['PLAYER_ID']].rename(columns={'PLAYER_ID': 'own'})\n\n\n"
        "def pytest_nbaprops_load_games(config):\n"
        "    return pd.read_csv('games.csv')\n\n\n"
        "def pytest_nbaprops_feature_groups(config):\n"
        "    return [own]\n"
    )
    command = [sys.executable, "-W", "error::FutureWarning", "-c", "from pytest_nbaprops.cli import main; main()"]
    result = subprocess.run(
        [*command, "predict", "--schedule", "tomorrow.csv", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": "-q"},
    )
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["predictions"]) == len(world().rows)
    assert "conftest talks" in result.stderr
    (project / "conftest.py").write_text("import nothing_of_this_name\n")
    broken = subprocess.run(
        [*command, "predict", "--schedule", "tomorrow.csv"], capture_output=True, text=True, check=False
    )
    assert broken.returncode == 1
    assert broken.stderr == (
        "Error: pytest cannot start here: ModuleNotFoundError: No module named 'nothing_of_this_name'; "
        "see pytest --collect-only\n"
    )


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ("[pytest]\naddopts = -p no:nbaprops\n", "switches the plugin nbaprops off"),
        ("[pytest]\nnbaprops_target = PTS+XYZ\n", "'XYZ' is not a stat column"),
        ("[pytest]\nnbaprops_step = many\n", "nbaprops_step: 'many' is not a whole number"),
        ("[pytest]\naddopts = --nothing-of-this-name\n", "pytest cannot start here: "),
    ],
)
def test_a_project_that_cannot_be_used_is_one_line(project: Path, ini: str, message: str) -> None:
    """Whatever pytest would say about the ini file."""
    (project / "pytest.ini").write_text(ini)
    assert message in refused(call("--schedule", "tomorrow.csv"))


def test_a_debutant_is_predicted_without_an_id(project: Path) -> None:
    """--allow-new-players; his made-up id is not written."""
    first = world().schedule().iloc[0]
    (project / "new.csv").write_text(
        f"player,team,opponent,date,home\nNew Guy,{first['team']},{first['opponent']},{first['date']},1\n"
    )
    assert "near" not in refused(call("--schedule", "new.csv"))
    assert call("--schedule", "new.csv", "--allow-new-players", "--out", "out.csv").exit_code == 0
    row = pd.read_csv(project / "out.csv").iloc[0]
    assert row["player"] == "New Guy"
    assert pd.isna(row["player_id"])
    assert row["predicted"] > 0


def test_against_a_server(project: Path, expected: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The model comes over HTTP, with the same bits."""
    folder = tmp_path_factory.mktemp("server")
    connect(f"sqlite:///{folder / 'mlflow.db'}")
    with mlflow_server.running(folder / "mlflow.db", folder) as running:
        promote(connect(running.uri), name=MODEL)
        result = call("--schedule", "tomorrow.csv", "--tracking-uri", running.uri, "--out", "out.parquet")
    assert result.exit_code == 0, result.stderr
    assert pd.read_parquet(project / "out.parquet")["predicted"].equals(expected["predicted"])
