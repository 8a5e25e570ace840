from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.core import production
from pytest_nbaprops.features.group import FeatureGroup, Source, feature_group
from pytest_nbaprops.features.history import History
from pytest_nbaprops.features.sources import join_as_of
from pytest_nbaprops.features.temporal import rest
from tests.features.boxes import box, frame

GAMES = frame(*(box(f"2024-01-0{day}", 1, "ATL vs. BOS", 30, PTS=day) for day in (1, 2, 3)))


def group(answer: Any, name: str = "mine") -> FeatureGroup:
    return feature_group(tier="core", name=name)(lambda games: answer(games) if callable(answer) else answer)


def column(values: Any, name: str = "x") -> pd.DataFrame:
    return pd.DataFrame({name: values}, index=GAMES.index)


def test_columns_are_float32_by_group() -> None:
    """Numbers and booleans become float32, and the table says who made them."""
    groups = [group(column([1, 2, 3]), "a"), group(column([True, False, True], "y"), "b")]
    table = build_features(GAMES, groups)
    assert table.columns == {"a": ("x",), "b": ("y",)}
    assert table.frame["y"].tolist() == [1, 0, 1]
    assert set(map(str, table.frame.dtypes)) == {"float32"}


def test_missing_values_of_nullable_columns_are_nan() -> None:
    """Pandas' own missing value is a number's missing value."""
    table = build_features(GAMES, [group(column(pd.array([1, None, 3], dtype="Int64")))])
    np.testing.assert_array_equal(table.frame["x"], [1, np.nan, 3])


def broken(games: pd.DataFrame) -> pd.DataFrame:
    return games[["NO_SUCH\nCOLUMN"]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (broken, "feature group 'mine' failed: KeyError:"),
        (7, "gave a int; return a DataFrame"),
        (column([1, 2, 3]).iloc[:2], "gave 2 rows for 3 games"),
        (column([1, 2, 3]).iloc[::-1], "another index or order"),
        (column(["a", "b", "c"]), "column 'x' has dtype"),
        (column([1j, 2, 3]), "column 'x' has dtype complex128"),
        (column(pd.to_datetime(["2024-01-01"] * 3)), "column 'x' has dtype datetime64"),
        (column([1, np.inf, 3]), "column 'x' is infinite or beyond float32 in 1 rows"),
        (column([1, 1e300, 3]), "column 'x' is infinite or beyond float32"),
        (pd.concat([column([1, 2, 3])] * 2, axis=1), "the column 'x' twice"),
        (pd.DataFrame({3: [1, 2, 3]}), "a column called 3"),
        (pd.DataFrame(index=GAMES.index), "gave no columns"),
    ],
)
def test_bad_answers_are_one_line_that_names_the_group(answer: Any, message: str) -> None:
    """Whatever a group does wrong is told in one line."""
    with pytest.raises(FeatureError) as caught:
        build_features(GAMES, [group(answer)])
    assert "'mine'" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def column_of_a_helper(games: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"x": games.groupby("PLAYER_ID")["PST"].cumsum()})


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        (lambda games: games["PST"].to_frame(), "KeyError: 'PST'"),
        (lambda games: games[["PTS", "PST"]], "PST"),
        (lambda games: games.PST.to_frame(), "AttributeError: 'DataFrame' object has no attribute 'PST'"),
        (column_of_a_helper, "Column not found: PST"),
    ],
)
def test_a_mistyped_column_is_named_with_its_place(function: Any, asked: str) -> None:
    """The line says the group, what was asked for, the file and line of the group's own code, and the column meant."""
    here, line = function.__code__.co_filename, function.__code__.co_firstlineno
    with pytest.raises(FeatureError) as caught:
        build_features(GAMES, [feature_group(tier="core", name="mine")(function)], root=Path(here).parent)
    message = str(caught.value)
    assert message.startswith("feature group 'mine' failed: ")
    assert asked in message
    assert f"({Path(here).name}, line " in message
    assert int(message.partition(", line ")[2].partition(";")[0]) - line in (0, 1)
    assert message.endswith("; did you mean PTS?)")


def test_a_group_that_changes_the_games_changes_its_own(league: pd.DataFrame) -> None:
    """Also one that calls itself after one of ours."""

    @functools.wraps(rest.function)
    def function(games: pd.DataFrame) -> pd.DataFrame:
        games["PTS"] = 0.0
        return pd.DataFrame({"mine": History(games).player.lag("PTS", 1).iloc[:, 0]}, index=games.index)

    before = league["PTS"].copy()
    own = FeatureGroup(name="mine", tier="core", known_at="morning", version="1", function=function)
    table = build_features(league, [rest, own, production])
    assert set(table.frame["mine"].dropna()) == {0.0}
    pd.testing.assert_series_equal(league["PTS"], before)
    assert table.frame["player_pts_ewm10"].max() > 0


def test_two_groups_cannot_make_the_same_column() -> None:
    """A clash names both groups and the column."""
    groups = [group(column([1, 2, 3]), "a"), group(column([1, 2, 3]), "b")]
    with pytest.raises(FeatureError, match="'a' and 'b' both make the column 'x'"):
        build_features(GAMES, groups)


def with_source(path: str, as_of: str = "AS_OF") -> FeatureGroup:
    def rating(games: pd.DataFrame, ctg: pd.DataFrame) -> pd.DataFrame:
        return join_as_of(games, ctg, by="PLAYER_ID", as_of=as_of).assign(rows=len(ctg))

    return feature_group(tier="core", sources={"ctg": Source(path=path, as_of=as_of)})(rating)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_source_rows_are_known_from_the_day_after(tmp_path: Path, suffix: str) -> None:
    """A table is cut before the last date, and joined with what was known on each date."""
    days = ["2023-12-31", "2024-01-02", "2024-01-03"]
    table = pd.DataFrame({"PLAYER_ID": 1, "AS_OF": days, "rating": [5.0, 6.0, 7.0]})
    path = tmp_path / f"ctg.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    found = build_features(GAMES, [with_source(path.name)], root=tmp_path).frame
    assert found["rating"].tolist() == [5, 5, 6]
    assert found["rows"].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "days",
    [
        [20231231, 20240102, 20240103],
        ["2023/12/31", "2024/1/2", "2024/01/03"],
        ["31 Dec 2023", "Jan 2, 2024", "JAN 03, 2024"],
        ["2023-12-31T18:00:00Z", "2024-01-02 09:30", "2024-01-03 00:00:00+00:00"],
        [dt.date(2023, 12, 31), dt.date(2024, 1, 2), dt.date(2024, 1, 3)],
    ],
)
def test_days_may_be_written_as_they_are_read_in_one_way(tmp_path: Path, days: list[object]) -> None:
    """Month and day cannot be taken for each other."""
    pd.DataFrame({"PLAYER_ID": 1, "AS_OF": days, "rating": [5.0, 6.0, 7.0]}).to_parquet(tmp_path / "ctg.parquet")
    found = build_features(GAMES, [with_source("ctg.parquet")], root=tmp_path).frame
    assert found["rating"].tolist() == [5, 5, 6]


@pytest.mark.parametrize("written", ["0022300010", 22300010, 22300010.0])
def test_games_of_a_table_are_called_as_the_games_are(tmp_path: Path, written: object) -> None:
    """CSV drops the zeros in front, and a column with a gap holds fractions."""
    pd.DataFrame({"GAME_ID": [written, None], "AS_OF": "2023-12-31", "tv": [1, 0]}).to_csv(tmp_path / "ctg.csv")

    def on_tv(games: pd.DataFrame, ctg: pd.DataFrame) -> pd.DataFrame:
        return join_as_of(games, ctg, by="GAME_ID")[["tv"]]

    group = feature_group(tier="core", sources={"ctg": "ctg.csv"})(on_tv)
    games = GAMES.assign(GAME_ID=pd.Series(["0022300010", "0022300011", "0022300010"], dtype=GAMES["GAME_ID"].dtype))
    assert build_features(games, [group], root=tmp_path).frame["tv"].fillna(-1).tolist() == [1, -1, 1]


def test_a_table_that_is_joined_may_have_any_columns(tmp_path: Path) -> None:
    """Also some called like ours; one without the column that is meant is told which one."""
    table = pd.DataFrame({"PLAYER_ID": [1], "AS_OF": ["2023-12-31"], "date": [1.0], "key": [2.0], "row": [3.0]})
    table.to_csv(tmp_path / "ctg.csv", index=False)
    found = build_features(GAMES, [with_source("ctg.csv")], root=tmp_path).frame
    assert found[["date", "key", "row"]].iloc[0].tolist() == [1, 2, 3]
    with pytest.raises(FeatureError, match=r"the table has no column 'AS_OF' .there: PLAYER_ID, PUBLISHED"):
        join_as_of(GAMES, table.rename(columns={"AS_OF": "PUBLISHED"}), by="PLAYER_ID")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as CSV or Parquet"),
        ("PLAYER_ID,DATE\n1,2024-01-01\n", "no as-of column 'AS_OF' among PLAYER_ID, DATE"),
        ("PLAYER_ID\tAS_OF\n1\t2024-01-01\n", "separated by tabs; export it with commas"),
        ("PLAYER_ID;AS_OF\n1;2024-01-01\n", "separated by semicolons; export it with commas"),
        ("PLAYER_ID,AS_OF\n1,soon\n", "column 'AS_OF' holds 'soon', which is no date"),
        ("PLAYER_ID,AS_OF\n1,2023\n", "which is no date"),
        ("PLAYER_ID,AS_OF\n1,2024-03\n", "holds '2024-03', which is no date that can be read in one way only"),
        ("PLAYER_ID,AS_OF\n1,2024Q1\n", "use YYYY-MM-DD, for a period its last day"),
        ("PLAYER_ID,AS_OF\n1,2024-01-05\n1,01/03/2024\n", "holds '01/03/2024'"),
        ("PLAYER_ID,AS_OF\n1,March\n", "which is no date"),
        ("", "cannot be read as CSV or Parquet"),
    ],
)
def test_unusable_source_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    """File, group and column are in the message."""
    if content is not None:
        (tmp_path / "ctg.csv").write_text(content)
    with pytest.raises(FeatureError) as caught:
        build_features(GAMES, [with_source("ctg.csv")], root=tmp_path)
    assert message in str(caught.value)
    assert "feature group 'rating', source 'ctg'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_source_of_another_format_is_not_read_as_csv(tmp_path: Path) -> None:
    """What is one line of JSON would be a header of a hundred columns."""
    (tmp_path / "ctg.json").write_text('[{"PLAYER_ID": 1, "AS_OF": "2024-01-01"}]')
    with pytest.raises(FeatureError, match=r"ctg.json.: a table is CSV or Parquet; write it as one of them$"):
        build_features(GAMES, [with_source("ctg.json")], root=tmp_path)
