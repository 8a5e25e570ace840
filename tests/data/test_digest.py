from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.digest import EMPTY_DIGEST, DatasetDigest, dataset_digest
from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.errors import DataError
from tests.data.logs import LOG

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def games() -> pd.DataFrame:
    return normalize_games(pd.read_csv(io.StringIO(LOG)), source="log")


def test_every_cell_counts(games: pd.DataFrame) -> None:
    """A change of any cell in any column changes the digest."""
    full = dataset_digest(games).full
    for column in games.columns:
        other = games.copy()
        value = other.loc[4, column]
        changed = {"GAME_DATE": pd.Timestamp("2024-01-08")}.get(column, f"{value}9" if isinstance(value, str) else 7)
        other.loc[4, column] = changed
        assert dataset_digest(other).full != full, column


def test_order_and_storage_do_not_count(games: pd.DataFrame) -> None:
    """Rows and columns in another order, integers, float32, categories and -0.0 are the same content."""
    games["PLUS_MINUS"] = 0.0
    expected = dataset_digest(games)
    other = games.sample(frac=1, random_state=1)[sorted(games.columns)].astype({"PTS": "int64", "REB": "float32"})
    other = other.astype({"MATCHUP": "category", "TEAM_NAME": object, "GAME_DATE": "datetime64[s]"})
    other["PLUS_MINUS"] = -0.0
    assert dataset_digest(other) == expected


def test_kinds_of_empty_do_not_count(games: pd.DataFrame) -> None:
    """None, NaN and an empty text are all nothing."""
    digests = set()
    for nothing in (None, np.nan, ""):
        other = games.astype({"WL": object})
        other.loc[1, "WL"] = nothing
        digests.add(dataset_digest(other).full)
    assert len(digests) == 1
    assert dataset_digest(games).full not in digests


def test_file_format_does_not_count(games: pd.DataFrame, tmp_path: Path) -> None:
    """CSV and Parquet of the same games have the same digest, extra columns included."""
    games["NOTE"] = pd.Series(["1", "a", None, "2.0", "b"], dtype=object)
    games["SCORE"] = [1, 2, 3, np.nan, 5]
    games["FLAG"] = [True, False, True, True, False]
    games["SEEN"] = pd.to_datetime(["2024-01-05"] * 5)
    games.to_csv(tmp_path / "games.csv", index=False)
    games.to_parquet(tmp_path / "games.parquet")
    expected = dataset_digest(load_games(tmp_path / "games.csv"))
    assert dataset_digest(load_games(tmp_path / "games.parquet")) == expected
    assert dataset_digest(normalize_games(games, source="hook")) == expected


def test_new_games_leave_older_digests_alone(games: pd.DataFrame) -> None:
    """Later dates, even with text where there were numbers or a new column, do not disturb earlier digests."""
    games["NOTE"] = ["1", "2.5", "0", "3", "4"]
    first = games.head(2)
    later = games.assign(NOTE=["1", "2.5", "text", "3", "4"], MORE=[np.nan, np.nan, 1.0, 2.0, 3.0])
    short, long = dataset_digest(normalize_games(first, source="first")), dataset_digest(later)
    assert short.full == long.before("2024-01-06") == long.through("2024-01-05")
    assert long.of_date("2024-01-05") == short.of_date("2024-01-05")
    assert long.full != dataset_digest(games).full


def test_as_of_dates(games: pd.DataFrame) -> None:
    """Digests before, through and of a date; nothing is the digest of no rows."""
    digest = dataset_digest(games)
    assert digest.dates == ("2024-01-05", "2024-01-06")
    assert digest.before("2024-01-05") == digest.of_date("2023-12-31") == dataset_digest(games.iloc[:0]).full
    assert digest.before("2024-01-05") == EMPTY_DIGEST
    assert digest.before(pd.Timestamp("2024-01-06")) == digest.through("2024-01-05") == digest.chained[0]
    assert digest.through("2024-01-06") == digest.before("2025-01-01") == digest.full
    assert len(set(digest.date_digests)) == 2


def test_builtins_and_back(games: pd.DataFrame) -> None:
    """A digest survives JSON."""
    digest = dataset_digest(games)
    assert DatasetDigest.from_dict(json.loads(json.dumps(digest.to_dict()))) == digest


def test_large_identifiers_stay_exact(games: pd.DataFrame) -> None:
    """Whole numbers beyond float64 are told apart."""
    first = normalize_games(games.assign(KEY=2**60), source="first")
    second = normalize_games(games.assign(KEY=2**60 + 1), source="second")
    assert dataset_digest(first).full != dataset_digest(second).full


def test_frames_without_keys_are_refused() -> None:
    """Only canonical games have a digest."""
    with pytest.raises(DataError, match="column GAME_DATE: found no such column"):
        dataset_digest(pd.DataFrame({"PTS": [1.0]}))


def test_digest_is_stable(games: pd.DataFrame) -> None:
    """The digest of known content does not change between versions without FORMAT changing too."""
    assert dataset_digest(games).full == "216e9a9dc51d870e0569fc9593468b60c93eb6bed81f7cfd1a6efc7b5335c4e7"
