"""What the leak guard says, where it cuts, what it reads, and when it looks again."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import FeatureGroup, feature_group
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.features.sources import join_as_of
from pytest_nbaprops.leaks.leakage import Leak, check_group, check_groups, check_rows, guard_key, leak_dates
from tests.data.logs import REAL_LOGS
from tests.gate import planted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def league() -> pd.DataFrame:
    return sample_league(seasons=1, players=40, seed=11)


def cutoffs_of(games: pd.DataFrame, count: int = 4) -> tuple[dt.date, ...]:
    days = games[["GAME_DATE", "SEASON"]].drop_duplicates()
    return leak_dates([day.date() for day in days["GAME_DATE"]], list(days["SEASON"]), count)


def checked(games: pd.DataFrame, group: FeatureGroup, root: Path | None = None) -> tuple[Leak, ...]:
    features = build_features(games.copy(), [group], root=root).frame
    return check_group(games, features, group, cutoffs=cutoffs_of(games), root=root)


def group_of(function: Any, **named: Any) -> FeatureGroup:
    return feature_group(tier="core", **named)(function)


def last_points(games: pd.DataFrame) -> Any:
    return games.groupby("PLAYER_ID")["PTS"].shift(1).to_frame("last")


def tonight(games: pd.DataFrame) -> Any:
    return games.groupby("PLAYER_ID")["PTS"].shift(1).to_frame("last").assign(now=games["PTS"], id=games["PLAYER_ID"])


def test_an_example_says_whose_value_moved(league: pd.DataFrame) -> None:
    """The leak names only the column that moved, with player, date, and the values before and after."""
    (leak,) = checked(league, group_of(tonight))
    plain = leak.to_dict()
    assert plain["columns"] == ["now"]
    found = plain["example"]
    row = league[(league["PLAYER_NAME"] == found["player"]) & (league["GAME_DATE"] == found["date"])]
    assert found["column"] == "now"
    assert found["before"] == row["PTS"].item() != found["after"]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_two_kinds_in_one_group_are_told_apart(league: pd.DataFrame) -> None:
    """Each column gets the kind that moves it."""

    def both(games: pd.DataFrame) -> Any:
        return games[["PTS"]].assign(next=games.groupby("PLAYER_ID")["PTS"].shift(-1))

    found = {leak.kind: leak.columns for leak in checked(league, group_of(both))}
    assert found == {"future outcomes": ("next",), "same-day outcomes": ("PTS",)}


def test_rows_that_a_merge_adds_are_named_by_their_keys(league: pd.DataFrame) -> None:
    """The detail holds date, game and player of a row to look at."""
    group = group_of(planted.merge_that_doubles)
    (leak,) = check_rows(league, group)
    first = league["PLAYER_ID"].iloc[0]
    assert leak.kind == "changes rows"
    assert leak.example is not None
    assert f"PLAYER_ID {first}" in str(leak.example["detail"])


def test_rows_of_honest_groups_do_not_change(league: pd.DataFrame) -> None:
    """No leak is made up where the build failed for another reason."""
    assert check_rows(league, group_of(last_points)) == ()
    assert check_rows(league, group_of(lambda games: games["NO_SUCH"], name="broken")) == ()


def write_ratings(league: pd.DataFrame, folder: Path) -> None:
    weeks = league.groupby([league["GAME_DATE"].dt.to_period("W").dt.end_time.dt.normalize(), "PLAYER_ID"])[
        "PTS"
    ].mean()
    weeks.rename("RATING").reset_index().rename(columns={"GAME_DATE": "AS_OF"}).to_csv(folder / "r.csv", index=False)


def test_a_declared_source_joined_as_of_is_honest(league: pd.DataFrame, tmp_path: Path) -> None:
    """Reading what is declared, and using only what was known, is no leak."""

    def rated(games: pd.DataFrame, ratings: pd.DataFrame) -> Any:
        return join_as_of(games, ratings, by="PLAYER_ID")[["RATING"]]

    write_ratings(league, tmp_path)
    assert checked(league, group_of(rated, sources={"ratings": "r.csv"}), tmp_path) == ()


def test_a_declared_source_used_whole_is_a_leak(league: pd.DataFrame, tmp_path: Path) -> None:
    """Rows of a table that were not known on the cutoff date must not move anything."""

    def rated(games: pd.DataFrame, ratings: pd.DataFrame) -> Any:
        means = ratings.groupby("PLAYER_ID")["RATING"].mean()
        return games["PLAYER_ID"].map(means).to_frame("rating")

    write_ratings(league, tmp_path)
    (leak,) = checked(league, group_of(rated, sources={"ratings": "r.csv"}), tmp_path)
    assert leak.kind == "future source rows"


def with_columns(league: pd.DataFrame) -> pd.DataFrame:
    """The games with columns of a user's own: outcomes in many dresses, and what is known."""
    total = league["PTS"] + league["REB"] + league["AST"]
    player, season = total.groupby(league["PLAYER_ID"]), total.groupby([league["PLAYER_ID"], league["SEASON"]])
    return league.assign(
        PRA=total,
        RESULT=league["WL"].map({"W": 1, "L": 0}),
        BAND=pd.cut(total, [-1, 10, 20, 200], labels=False),
        SCORE=league.groupby("GAME_ID")["PTS"].transform("sum").astype(str),
        ROLLING=player.transform(lambda values: values.rolling(5, min_periods=1).mean()),
        SEASON_MEAN=season.transform("mean"),
        CAREER_MEAN=player.transform("mean"),
        CAREER_GAMES=player.transform("size"),
        POSITION=(league["PLAYER_ID"] % 3).astype(str),
        HEIGHT=190 + (league["PLAYER_ID"] * 7919) % 25,
        HOLIDAY=league["GAME_DATE"].dt.day_of_week == 6,
    )


@pytest.fixture(scope="module")
def own_columns() -> pd.DataFrame:
    return with_columns(sample_league(seasons=2, players=40, seed=11))


OUTCOMES = ["PRA", "RESULT", "BAND", "SCORE", "ROLLING"]
SEASONAL = ["SEASON_MEAN", "CAREER_MEAN", "CAREER_GAMES"]


@pytest.mark.parametrize("column", [*OUTCOMES, *SEASONAL, "POSITION", "HEIGHT", "HOLIDAY"])
def test_columns_of_ones_own_count_as_outcomes_unless_they_cannot_be(own_columns: pd.DataFrame, column: str) -> None:
    """Whatever hangs on more than the player or the date is not known before the game, nor are a player's means."""

    def extra(games: pd.DataFrame) -> Any:
        return games[column].astype(float).to_frame("extra")

    kinds = [leak.kind for leak in checked(own_columns, group_of(extra))]
    assert bool(kinds) == (column in (*OUTCOMES, *SEASONAL))


@pytest.mark.parametrize("column", ["SEASON_MEAN", "CAREER_MEAN"])
def test_the_mean_of_a_season_is_not_known_in_the_next_game_either(own_columns: pd.DataFrame, column: str) -> None:
    """A shift does not help: the value of the last game holds the games to come."""

    def shifted(games: pd.DataFrame) -> Any:
        return games.groupby("PLAYER_ID")[column].shift(1).to_frame("shifted")

    assert [leak.kind for leak in checked(own_columns, group_of(shifted))] == ["future outcomes"]


def test_a_column_that_is_named_as_known_is_none_of_the_guards_business(own_columns: pd.DataFrame) -> None:
    """The user's word counts."""

    def line(games: pd.DataFrame) -> Any:
        return games[["ROLLING"]]

    group = group_of(line)
    features = build_features(own_columns.copy(), [group]).frame
    assert check_group(own_columns, features, group, cutoffs=cutoffs_of(own_columns), known=["ROLLING"]) == ()
    assert check_group(own_columns, features, group, cutoffs=cutoffs_of(own_columns)) != ()


def test_unplayed_games_at_the_end_are_no_problem(league: pd.DataFrame) -> None:
    """Rows of games not yet played are neither perturbed nor in the way."""
    from pytest_nbaprops.features.build import without_outcomes  # noqa: PLC0415 - only here

    games = without_outcomes(league, league["GAME_DATE"] >= league["GAME_DATE"].unique()[-3])
    groups = [*builtin_groups()[:4], group_of(last_points)]
    features = [(group, build_features(games, [group]).frame) for group in groups]
    assert not any(check_groups(games, features, cutoffs=cutoffs_of(games)).values())


def test_what_a_notebook_defines_is_not_asked_elsewhere(league: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has no file of `__main__`, and a helper that is missing there is no state."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def helper(games):\n    return games.groupby('PLAYER_ID')['PTS'].shift(1)", scope)  # noqa: S102 - a notebook
    exec("def cell(games):\n    return helper(games).to_frame('last')", scope)  # noqa: S102 - as above
    monkeypatch.setattr(sys.modules["__main__"], "helper", scope["helper"], raising=False)
    assert checked(league, group_of(scope["cell"])) == ()


def test_data_of_an_installed_project_is_no_library_file(
    league: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package among the libraries that defines a group is a project, and its files are data."""
    package = tmp_path / "site-packages" / "planted_pkg"
    package.mkdir(parents=True)
    (package / "t.csv").write_text("A\n1\n", encoding="utf-8")
    (package / "__init__.py").write_text(
        "import pandas as pd\nfrom pathlib import Path\nfrom pytest_nbaprops import feature_group\n"
        "TABLE = pd.read_csv(Path(__file__).with_name('t.csv'))['A'].tolist()\n"
        "@feature_group(tier='core')\ndef installed(games):\n    return games[['PLAYER_ID']] * TABLE[0]\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(package.parent))
    (leak,) = checked(league, importlib.import_module("planted_pkg").installed)
    assert leak.kind == "undeclared source"
    assert "t.csv" in str(leak.example)


def season(first: str, count: int) -> list[dt.date]:
    return [dt.date.fromisoformat(first) + dt.timedelta(days=day) for day in range(count)]


def test_cutoffs_are_landmarks_of_the_latest_seasons() -> None:
    """End and deadline week of the last season, middle and start of the one before."""
    dates = [*season("2022-10-18", 170), *season("2023-10-24", 170)]
    found = leak_dates(dates, ["2022-23"] * 170 + ["2023-24"] * 170, 4)
    assert found == (dt.date(2022, 10, 21), dt.date(2023, 1, 11), dt.date(2024, 2, 8), dt.date(2024, 4, 7))


@pytest.mark.parametrize("count", [1, 4, 9, 40])
def test_more_cutoffs_include_the_fewer(count: int) -> None:
    """A larger count adds dates and keeps those there were; never the first or the last date."""
    dates = season("2023-10-24", 60)
    found = leak_dates(dates, ["2023-24"] * 60, count)
    assert len(found) == count
    assert set(found) >= set(leak_dates(dates, ["2023-24"] * 60, 1))
    assert dates[0] not in found
    assert dates[-1] not in found


def test_few_dates_give_few_cutoffs() -> None:
    """A short log is cut where it can be; an empty one nowhere."""
    assert leak_dates(season("2023-10-24", 2), ["2023-24"] * 2, 4) == tuple(season("2023-10-24", 2))
    assert leak_dates([], [], 4) == ()


def test_keys_change_with_code_data_and_cutoffs(league: pd.DataFrame) -> None:
    """An unchanged group has the same key, so it need not be checked twice; anything else has another."""
    line = lineage_of([group_of(last_points)], {"last_points": ("last",)}).groups[0]
    days = cutoffs_of(league)
    key = guard_key(line, "abc", days)
    assert key == guard_key(line, "abc", days)
    others = [
        guard_key(replace(line, code="0"), "abc", days),
        guard_key(line, "b", days),
        guard_key(line, "abc", days[1:]),
    ]
    assert len({key, *others}) == 4


def test_findings_do_not_depend_on_what_was_checked_before(league: pd.DataFrame) -> None:
    """The same leak twice, to the last digit."""
    assert checked(league, group_of(tonight)) == checked(league, group_of(tonight))


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real game logs are not here")
def test_builtin_groups_are_clean_on_a_real_season() -> None:
    """What comes with the plugin leaks nothing."""
    games = load_games(REAL_LOGS / "2023-24.csv")
    features = [(group, build_features(games, [group]).frame) for group in builtin_groups()]
    assert not any(check_groups(games, features, cutoffs=cutoffs_of(games)).values())
