from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.data.schema import OUTCOME_COLUMNS, REQUIRED_COLUMNS
from tests.data.logs import HEADER, LOG, REAL_LOGS, ROWS, with_cell, without_column

if TYPE_CHECKING:
    from pathlib import Path


def load(folder: Path, content: str | bytes, name: str = "games.csv") -> pd.DataFrame:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_games(path)


def parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink)
    return sink.getvalue()


def raw_frame() -> pd.DataFrame:
    return pd.read_csv(io.StringIO(LOG))


def test_canonical_form(tmp_path: Path) -> None:
    """Games come sorted by date, game and player, with the schema's types."""
    games = load(tmp_path, "\n".join([HEADER, *reversed(ROWS)]))
    assert isinstance(games.index, pd.RangeIndex)
    assert games["PLAYER_ID"].tolist() == [101, 102, 101, 102, 103]
    assert games["GAME_ID"].iloc[0] == "0022300001"
    assert str(games["GAME_DATE"].dtype) == "datetime64[ns]"
    assert games[["PLAYER_ID", "TEAM_ID"]].dtypes.eq("int64").all()
    assert games[["MIN", "PTS", "FG_PCT", "PLUS_MINUS"]].dtypes.eq("float64").all()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\ufeff" + LOG, id="byte order mark"),
        pytest.param(LOG.replace("\n", "\r\n"), id="windows line ends"),
        pytest.param(LOG.replace("\n", "\r"), id="old mac line ends"),
        pytest.param("\n" + LOG.replace("\n", "\n\n") + "  \n", id="blank lines"),
        pytest.param(LOG.replace("\n", ",\n"), id="trailing commas"),
        pytest.param(HEADER + "\n" + "".join(f"{row},,\n" for row in ROWS), id="trailing commas in rows"),
        pytest.param(LOG + "," * 32 + "\n", id="row of empty cells"),
        pytest.param(LOG.rstrip(), id="no last line end"),
        pytest.param(LOG.replace("0022300001", "22300001"), id="leading zeros lost"),
        pytest.param(LOG.replace("0022300001", "22300001.0"), id="game id as float"),
        pytest.param(LOG.replace("2024-01-05", "2024-01-05T00:00:00"), id="midnight"),
        pytest.param(LOG.replace("2024-01-05", '"JAN 05, 2024"'), id="named month"),
        pytest.param(LOG.replace("W,34,", "W,34:00,"), id="minutes as clock"),
        pytest.param(LOG.replace("PLAYER_ID", "Player_ID", 1), id="column in other letters"),
        pytest.param(raw_frame().to_csv(), id="index left in"),
        pytest.param(without_column("SEASON"), id="season derived"),
        pytest.param(LOG.replace("NYK @ BOS", "BOS vs. NYK"), id="home team first in both teams' rows"),
    ],
)
def test_same_games_however_written(tmp_path: Path, content: str) -> None:
    """What a spreadsheet or an exporter does to the text does not change the games."""
    assert dataset_digest(load(tmp_path, content)) == dataset_digest(load(tmp_path, LOG))


def test_every_container_gives_the_same_games(tmp_path: Path) -> None:
    """CSV and Parquet, plain, gzipped and with zstd, hold the same games."""
    content = LOG.encode()
    files = {
        "a.csv.gz": gzip.compress(content),
        "a.csv.zst": pa.compress(content, "zstd", asbytes=True),
        "a.parquet": parquet(raw_frame()),
        "a.PARQUET.gz": gzip.compress(parquet(raw_frame())),
        "b.parquet": parquet(raw_frame().assign(GAME_DATE=lambda raw: pd.to_datetime(raw["GAME_DATE"]))),
    }
    expected = load(tmp_path, LOG)
    for name, data in files.items():
        pd.testing.assert_frame_equal(load(tmp_path, data, name), expected)


def test_folder_and_glob(tmp_path: Path) -> None:
    """A folder's data files count together; hidden and foreign ones and subfolders do not."""
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *ROWS[:2]]))
    (tmp_path / "b.CSV").write_text("\n".join([HEADER, *ROWS[2:]]))
    for name in ("README.md", "._a.csv", ".DS_Store", "notes.txt"):
        (tmp_path / name).write_text("not data")
    (tmp_path / "odd.csv").mkdir()
    assert len(load_games(tmp_path)) == len(load_games(str(tmp_path / "*"))) == 5
    assert len(load_games(str(tmp_path / "[a].*"))) == 2


def test_column_map(tmp_path: Path) -> None:
    """Other names are mapped to ours; the rest may stay as it is."""
    (tmp_path / "a.csv").write_text(LOG.replace("PTS", "points", 1).replace("MIN", "time", 1))
    games = load_games(tmp_path / "a.csv", column_map={"points": "PTS", "time": "MIN"})
    assert games["PTS"].tolist() == [22.0] * 5


def test_unplayed_rows_stay_empty(tmp_path: Path) -> None:
    """A row whose outcomes are all empty is a game not yet played."""
    raw = raw_frame()
    raw.loc[2, [name for name in OUTCOME_COLUMNS if name in raw]] = np.nan
    games = load(tmp_path, raw.to_csv(index=False))
    assert games["PTS"].isna().tolist() == [False, False, True, False, False]


def test_minutes_of_zero_are_real(tmp_path: Path) -> None:
    """MIN 0 is a game."""
    assert load(tmp_path, with_cell("MIN", "0"))["MIN"].tolist().count(0.0) == 1


def test_extra_columns_are_kept(tmp_path: Path) -> None:
    """Unknown columns stay, as numbers where all are numbers, as true and false where they hold nothing else."""
    notes, scores = ["NOTE", "a", "1", "", "b", "c"], ["SCORE", "1", "2", "", "4.5", "5"]
    starters, seen = ["STARTER", "True", "False", "true", "FALSE", "False"], ["SEEN", "True", "", "False", "True", ""]
    cells = zip(LOG.splitlines(), notes, scores, starters, seen, strict=True)
    text = "\n".join(",".join(line) for line in cells)
    games = load(tmp_path, text)
    assert games["NOTE"].dropna().tolist() == ["a", "1", "b", "c"]
    assert games["SCORE"].dropna().tolist() == [1.0, 2.0, 4.5, 5.0]
    assert games["STARTER"].dtype == bool
    assert games["STARTER"].tolist() == [True, False, True, False, False]
    assert games["SEEN"].dropna().tolist() == [True, False, True]
    again = normalize_games(games, source="hook")
    pd.testing.assert_frame_equal(again, games)
    assert dataset_digest(games) == dataset_digest(games.assign(STARTER=games["STARTER"].astype(str)))


def test_hook_frames_of_any_dtype() -> None:
    """A frame with other storage types, index and nullable columns is the same games, and is left alone."""
    raw = raw_frame()
    expected = normalize_games(raw, source="hook")
    other = raw.assign(
        GAME_DATE=pd.to_datetime(raw["GAME_DATE"]).dt.tz_localize("US/Eastern"), GAME_ID=raw["GAME_ID"].astype(float)
    ).convert_dtypes()
    other.index = pd.Index(range(5, 0, -1))
    before = other.copy()
    pd.testing.assert_frame_equal(normalize_games(other, source="hook"), expected)
    pd.testing.assert_frame_equal(other, before)
    pd.testing.assert_frame_equal(normalize_games(expected, source="again"), expected)


def test_required_columns_are_enough(tmp_path: Path) -> None:
    """Every optional column may be missing; SEASON is then derived."""
    games = load(tmp_path, raw_frame()[list(REQUIRED_COLUMNS)].to_csv(index=False))
    assert games["SEASON"].unique().tolist() == ["2023-24"]


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real game logs are not here")
def test_real_season() -> None:
    """The real logs pass every rule, and their seasons are those that the dates say."""
    games = load_games(REAL_LOGS)
    assert len(games) == 228_207
    assert games["SEASON"].nunique() == 9
    assert (games["SEASON"].str[:4] == "20" + games["GAME_ID"].str[3:5]).all()
    again = load_games(REAL_LOGS / "2019-20.csv")
    derived = normalize_games(again.drop(columns="SEASON"), source="2019-20")
    assert derived["SEASON"].unique().tolist() == ["2019-20"]
