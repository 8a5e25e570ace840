"""The README as a newcomer walks it: its blocks pasted into a project, its commands run one after the other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.cli import main
from pytest_nbaprops.data.load import load_games
from tests.end_to_end.conftest import Train

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
# The small league's last dates, and its quick recipe: what is tested here is the text.
QUICK = ("--nbaprops-test=last 21 dates", "--nbaprops-recipe=quick", "--nbaprops-features=core")


def section(title: str, language: str) -> list[str]:
    """Blocks of a language in the section."""
    text = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(title: str, block: int = 0) -> list[list[str]]:
    """The words of each line of a shell block, without its comment."""
    return [shlex.split(line, comments=True) for line in section(title, "bash")[block].splitlines()]


@pytest.fixture
def invoke() -> Callable[..., str]:
    def run(*words: str) -> str:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        return str(result.output)

    return run


def test_the_pasted_examples_are_judged(train: Train, project: pytest.Pytester) -> None:
    """Own tests, own feature group and own model, as they stand: two candidates, nothing that leaks or is missing."""
    tests, conftest = section("Your own tests, features and models", "python")
    (ini,) = section("Your own data", "ini")
    kept = project.path.joinpath("pytest.ini").read_text()
    data = next(line for line in kept.splitlines() if line.startswith("nbaprops_data"))
    project.makeini(re.sub(r"(?m)^nbaprops_data = .*$", data, ini) + "addopts = -p no:randomly -p no:cacheprovider\n")
    project.path.joinpath("pytest.ini").unlink()
    project.makeconftest(conftest)
    project.path.joinpath("test_props.py").write_text(tests)
    session = train("--nbaprops-test=2024-03-18..2024-04-13", process=True)
    assert session.decision["verdict"] in ("PROMOTE", "REJECT"), session.output
    own, other = session.decision["candidates"]
    assert (own["name"], other["name"]) == ("test_advanced[advanced]", "test_my_model")
    assert [row["expression"] for row in own["criteria"]] == ["mae <= 6.2", "mae < baseline"]
    assert [row["expression"] for row in other["criteria"]] == ["mae < baseline", "mae <= champion + 0.02"]
    for candidate in (own, other):
        assert candidate["leaks"] == []
        assert candidate["folds"]["failed"] == candidate["folds"]["missing"] == 0
        assert "hot_hand" in candidate["lineage"]["added"]


def test_every_day(train: Train, project: pytest.Pytester, league: Path, invoke: Callable[..., str]) -> None:
    """Dry run, enforce, production, tonight's numbers, and back; then what comes after the verdict."""
    dry, enforce, promote, predict, rollback = commands("Every day")
    session = train(*_without(dry[2:], "-n", "auto"), *QUICK)
    assert session.code == 0
    assert train(*_without(enforce[2:], "-n", "auto"), *QUICK).decision["promoted"] is True
    assert "NBAPropsModel v1 is production now" in invoke(*promote[1:])

    games = load_games(league)
    tomorrow = games["GAME_DATE"].max() + pd.Timedelta(days=1)
    rows = games.drop_duplicates("TEAM_ABBREVIATION", keep="last").head(2)
    teams = list(rows["TEAM_ABBREVIATION"])
    schedule = pd.DataFrame(
        {"player": rows["PLAYER_NAME"], "team": teams, "opponent": teams[::-1], "date": tomorrow, "home": [1, 0]}
    )
    schedule.to_csv(project.path / "tomorrow.csv", index=False)
    invoke(*predict[1:])
    assert len(pd.read_csv(project.path / "predictions.csv")) == 2

    compare, again, back = commands("After the verdict")
    assert train("--nbaprops-promote=enforce", *QUICK, "--nbaprops-param=n_estimators=14").code == 0
    invoke(*compare[1:])
    assert (project.path / "comparison.html").is_file()
    assert again[:5] == ["nbaprops", "promote", "staging", "--alias", "production"]
    invoke(*again[1:5], "--criteria", "mae <= 62")
    assert "v1" in invoke(*rollback[1:])
    assert rollback[:4] == back[:4]
    for words in (("best",), ("history",), ("history", "--verify"), ("cache", "size"), ("cache", "clean")):
        invoke(*words)


def _without(words: list[str], *left_out: str) -> list[str]:
    return [word for word in words if word not in left_out]
