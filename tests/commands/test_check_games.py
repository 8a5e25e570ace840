"""`nbaprops check` says what a session would say about the games, without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.commands.conftest import Run
from tests.data.logs import LOG, REAL_LOGS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def looked_at(run: Run, *arguments: str, code: int = 0) -> Any:
    return json.loads(run("check", "--format", "json", *arguments, code=code))


@pytest.mark.usefixtures("here")
def test_sample_league(run: Run) -> None:
    """The sample league, which is read where no data is named, has nothing wrong with it; the table says what it is."""
    text = run("check")
    assert "simulated" in text
    assert "duplicates: none" in text
    assert "sides: every played game adds up" in text
    assert "columns of your own that count as outcomes: none" in text
    assert len(next(line for line in text.splitlines() if "digest " in line).rpartition(" ")[2]) == 64


def test_sides_that_do_not_add_up(run: Run, here: Path) -> None:
    """Games with one side, few players or points that do not say who won are listed, and the exit code is 1."""
    (here / "games.csv").write_text(LOG)
    found = looked_at(run, "--data", "games.csv", code=1)
    assert found["ok"] is False
    assert len(found["sides"]) == found["games"] == 2
    assert "and W for NYK with" in found["sides"][1] or "players of" in found["sides"][1]
    assert "sides: 2 games do not add up" in run("check", "--data", "games.csv", code=1)


def test_what_a_session_refuses(run: Run, here: Path) -> None:
    """A duplicate ends in the loader's one line, also inside the JSON document, with exit code 1."""
    (here / "games.csv").write_text(LOG + LOG.splitlines()[-1] + "\n")
    problem = looked_at(run, "--data", "games.csv", code=1)["problem"]
    assert "row 7, column PLAYER_ID: found player 103 a second time" in problem
    assert problem in run("check", "--data", "games.csv", code=1)


def test_the_projects_settings_count(run: Run, here: Path) -> None:
    """Columns, kinds of games and known columns are the ini file's; extra columns are named as outcomes or not."""
    ini = "[pytest]\nnbaprops_data = games.csv\nnbaprops_games = regular\nnbaprops_known_columns = SEAT\n"
    (here / "pytest.ini").write_text(ini)
    lines = LOG.splitlines()
    cup = [line.replace("0022300002", "0062300001") for line in lines[3:]]
    rows = [f"{line},{n},{n}" for n, line in enumerate([*lines[1:], *cup])]
    (here / "games.csv").write_text("\n".join([f"{lines[0]},SEAT,NOISE", *rows]))
    found = looked_at(run, code=1)
    assert found["kinds"]["cup"] == {"games": 1, "rows": 3}
    assert found["games"] == 2
    assert found["outcome_columns"] == ["NOISE"]
    assert found["known_columns"] == ["SEAT"]
    assert any("nbaprops_games leaves out 1 cup game (3 rows)" in remark for remark in found["remarks"])


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real game logs are not here")
def test_real_season(run: Run, here: Path) -> None:
    """A real season has nothing wrong with it, its break is named, and a player who is left out is found."""
    path = REAL_LOGS / "2019-20.csv"
    found = looked_at(run, "--data", str(path))
    assert found["ok"] is True
    assert found["seasons"][0]["breaks"] == [["2020-03-11", "2020-07-30", 141]]
    assert found["seasons"][0]["missing"] == 259
    raw = pd.read_csv(path, dtype=str)
    first = raw.index[raw["GAME_ID"] == "0021900001"][0]
    raw.drop(index=first).to_csv(here / "less.csv", index=False)
    assert [line[:15] for line in looked_at(run, "--data", "less.csv", code=1)["sides"]] == ["game 0021900001"]
