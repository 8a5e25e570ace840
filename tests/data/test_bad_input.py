"""Every refusal is one line: file, row, column, found, expected and the way out."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.data.remarks import remarks_of
from pytest_nbaprops.errors import DataError, SettingsError
from tests.data.logs import HEADER, LOG, ROWS, with_cell, without_column

if TYPE_CHECKING:
    from pathlib import Path

GZIPPED = gzip.compress(LOG.encode(), mtime=0)
ZSTD = pa.compress(LOG.encode(), "zstd", asbytes=True)


def refusal(source: Path | str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load_games(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    for part in ("found ", "expected ", "; "):
        assert part in message
    return message


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("GAME_DATE", "2023-02-30", "found '2023-02-30', expected a date that exists"),
        ("GAME_DATE", "13/45/2023", "found '13/45/2023', expected a date that exists"),
        ("GAME_DATE", "01/06/2024", "write dates as YYYY-MM-DD"),
        ("GAME_DATE", "45297", "expected a date that exists"),
        ("GAME_DATE", "", "found an empty cell"),
        ("GAME_DATE", "NaN", "found an empty cell"),
        ("GAME_DATE", "2024-01-06T19:30:00", "expected a date without a time of day"),
        ("GAME_DATE", "1899-12-31", "expected a date from 1946-11-01"),
        ("GAME_DATE", "9999-12-31", "expected a date from 1946-11-01"),
        ("GAME_DATE", "2024-01-07", "game 0022300002 on 2024-01-0"),
        ("GAME_ID", "2.23E+07", "expected up to ten digits"),
        ("GAME_ID", "", "found an empty cell"),
        ("GAME_ID", "00223000021", "expected up to ten digits"),
        ("GAME_ID", "202401060BOS", "expected up to ten digits"),
        ("PLAYER_ID", "", "found an empty cell"),
        ("PLAYER_ID", "nan", "found an empty cell"),
        ("PLAYER_ID", "-5", "expected a positive whole number"),
        ("PLAYER_ID", "1.5", "expected a positive whole number"),
        ("TEAM_ID", "BOS", "expected a positive whole number"),
        ("PTS", "-3", "found '-3', expected a number that is not negative"),
        ("PTS", "abc", "found 'abc', expected a number"),
        ("PTS", "inf", "expected a number"),
        ("PTS", "1e999", "expected a number"),
        ("PTS", "", "all outcome columns empty for a game not yet played"),
        ("MIN", "34:72", "expected minutes"),
        ("MIN", "2052", "expected minutes"),
        ("MIN", "-1", "expected minutes"),
        ("PLUS_MINUS", "x", "expected a number"),
        ("MATCHUP", "BOS vs NYK", "'ATL vs. DET' or 'ATL @ DET'"),
        ("MATCHUP", "BOS-NYK", "'ATL vs. DET' or 'ATL @ DET'"),
        ("MATCHUP", "", "'ATL vs. DET' or 'ATL @ DET'"),
        ("MATCHUP", "BOS @ BOS", "'ATL vs. DET' or 'ATL @ DET'"),
        ("MATCHUP", "BOS @ DEN", "found 'NYK vs. BOS' in game 0022300002, which is 'BOS @ DEN' elsewhere"),
        ("MATCHUP", "LAL @ DEN", "TEAM_ABBREVIATION in it"),
        ("PLAYER_NAME", " ", "expected text"),
        ("SEASON", "2022-23", "found '2022-23 on 2024-01-06'"),
        ("SEASON", "2024", "expected a season such as 2023-24"),
    ],
)
def test_bad_cell(tmp_path: Path, column: str, value: str, problem: str) -> None:
    """A bad cell is named by file, line and column, with what it holds."""
    path = tmp_path / "games.csv"
    path.write_text(with_cell(column, value))
    message = refusal(path)
    assert message.startswith(f"{path}, row ")
    assert f", column {column}: " in message
    assert problem in message
    if "elsewhere" not in message:
        assert message.startswith(f"{path}, row 4, ")


def test_row_number_counts_blank_lines_and_breaks(tmp_path: Path) -> None:
    """The row is the line that an editor shows, blank lines and quoted line breaks counted."""
    path = tmp_path / "games.csv"
    path.write_text("\n" + with_cell("PTS", "abc").replace("\n", "\n\n"))
    assert path.read_text().splitlines()[7].count("abc") == 1
    assert refusal(path).startswith(f"{path}, row 8, column PTS")
    path.write_text(with_cell("PTS", "abc").replace("Player Ć101", '"Player\nĆ101"'))
    assert "abc" in path.read_text().splitlines()[5]
    assert refusal(path).startswith(f"{path}, row 6, column PTS")


def test_further_bad_rows_are_counted(tmp_path: Path) -> None:
    """One line tells of all bad cells in the column."""
    path = tmp_path / "games.csv"
    path.write_text(LOG.replace(",22,-2,", ",?,-2,"))
    assert "found '?' (and in 4 more rows)" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", b"", "an empty file"),
        ("a.csv", b" \n\n", "an empty file"),
        ("a.csv", b"\xef\xbb\xbf\n", "an empty file"),
        ("a.csv", HEADER.encode() + b"\n", "a header without rows"),
        ("a.csv", LOG.encode("utf-16"), "UTF-16 text"),
        ("a.csv", LOG.replace("Ć", "é").encode("latin-1"), "row 2, column 3: found the byte 0xe9, which is not UTF-8"),
        ("a.csv", LOG.replace(",", ";").encode(), "a header separated by ';'"),
        ("a.csv", LOG.replace(",", "\t").encode(), "a header separated by '\\t'"),
        ("a.csv", b"\x00\x01" + LOG.encode(), "binary data"),
        ("a.csv", GZIPPED, "gzip data, expected CSV text, as its suffix says"),
        ("a.csv", b"PK\x03\x04...", "a zip or Excel file"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS"),
        ("a.csv", LOG[:-60].encode(), "row 6, column"),
        ("a.csv", LOG.replace("Player Ć102", "Ć102, Player").encode(), "found 34 cells"),
        ("a.csv", LOG.replace("Player Ć102", '"Player Ć102', 1).encode(), "expected 33 as in the header"),
        ("a.csv", b"a,b\n1,2\n", "column PLAYER_ID: found no such column"),
        ("a.csv", LOG.replace("FGA", "FGM", 1).encode(), "2 columns of this name"),
        ("a.csv.gz", GZIPPED[:-20], "cut off or damaged"),
        ("a.csv.gz", GZIPPED[:60] + b"????" + GZIPPED[64:], "cut off or damaged"),
        ("a.csv.gz", LOG.encode(), "no gzip data"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "an empty file"),
        ("a.csv.zst", ZSTD[:-1], "cut off or damaged"),
        ("a.csv.zst", ZSTD[: len(ZSTD) // 2], "cut off or damaged"),
        ("a.csv.zst", GZIPPED, "gzip data, expected zstd data"),
        ("a.parquet", b"PAR1 and then nothing", "Parquet data that cannot be read"),
        ("a.parquet", LOG.encode(), "no Parquet data"),
        ("a.txt", LOG.encode(), "the suffix '.txt'"),
        ("a.xlsx", LOG.encode(), "the suffix '.xlsx'"),
    ],
)
def test_bad_file(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    """A file that cannot be used is named with what it holds."""
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(str(path))
    assert problem in message


def test_nothing_there(tmp_path: Path) -> None:
    """A missing path, a glob without matches and a folder without data say so."""
    assert "no such file or folder" in refusal(tmp_path / "none.csv")
    assert "no data file that matches" in refusal(str(tmp_path / "*.csv"))
    (tmp_path / "README.md").write_text("nothing")
    (tmp_path / "sub").mkdir()
    assert "a folder without data files" in refusal(tmp_path)
    (tmp_path / "season=2023").mkdir()
    (tmp_path / "season=2023" / "part-0.parquet").write_bytes(b"PAR1")
    assert f"by a glob such as {tmp_path / '**' / '*.parquet'}" in refusal(tmp_path)


@pytest.mark.parametrize("column", ["PTS", "GAME_ID", "MATCHUP", "MIN"])
def test_missing_column(tmp_path: Path, column: str) -> None:
    """A missing column is named, with the way to map another name to it."""
    path = tmp_path / "games.csv"
    path.write_text(without_column(column))
    message = refusal(path)
    assert message.startswith(f"{path}, row 1, column {column}: found no such column")
    assert "nbaprops_columns" in message


def test_missing_target(tmp_path: Path) -> None:
    """A target column that is not there is said to be the target's."""
    path = tmp_path / "games.csv"
    path.write_text(without_column("PLUS_MINUS"))
    message = refusal(path, target_columns=("PLUS_MINUS",))
    assert "column PLUS_MINUS: found no such stat column" in message
    assert "--nbaprops-target" in message


def test_empty_target_in_a_played_row(tmp_path: Path) -> None:
    """An optional column may have gaps, unless the target needs it."""
    path = tmp_path / "games.csv"
    path.write_text(with_cell("FANTASY_PTS", ""))
    assert len(load_games(path)) == 5
    assert "row 4, column FANTASY_PTS: found an empty cell" in refusal(path, target_columns=("FANTASY_PTS",))


def test_outcome_in_an_unplayed_row(tmp_path: Path) -> None:
    """One filled outcome in an otherwise unplayed row is refused."""
    raw = pd.read_csv(io.StringIO(LOG))
    raw.loc[2, raw.columns[9:31]] = np.nan
    path = tmp_path / "games.csv"
    raw.to_csv(path, index=False)
    assert "row 4, column VIDEO_AVAILABLE: found '1', expected an empty cell" in refusal(path)


def test_duplicates_name_both_places(tmp_path: Path) -> None:
    """A player-game that is there twice is shown with both files and rows."""
    (tmp_path / "a.csv").write_text(LOG)
    (tmp_path / "b.csv").write_text("\n".join([HEADER, ROWS[2]]))
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'b.csv'}, row 2, column PLAYER_ID: found player 101 a second time")
    assert f"(the other one: {tmp_path / 'a.csv'}, row 4)" in message
    (tmp_path / "b.csv").write_text("\n".join([HEADER, *ROWS]))
    assert f", and {len(ROWS) - 1} more rows that are there already (the other one" in refusal(tmp_path)


def test_two_teams_in_one_game(tmp_path: Path) -> None:
    """A player cannot play for both teams of a game, nor can three teams play."""
    path = tmp_path / "games.csv"
    other = ROWS[0].replace("1610612738,BOS", "1610612752,NYK")
    path.write_text(LOG + other + "\n")
    assert "for team 1610612752 and for team 1610612738" in refusal(path)
    path.write_text(with_cell("TEAM_ID", "77", line=6))
    assert "third team in game 0022300002" in refusal(path)


def test_files_of_a_folder_that_are_not_read_are_told(tmp_path: Path) -> None:
    """A season more may lie in a format that nobody reads, or behind a link that leads nowhere."""
    (tmp_path / "games.csv").write_text(LOG)
    for name in ("2023-24.xlsx", "2022-23.csv.bz2", "notes.md", ".cache.zip"):
        (tmp_path / name).write_text("")
    remarks = remarks_of(load_games(tmp_path))
    assert [remark.partition(" (save it")[0] for remark in remarks] == [
        "a .bz2 file is left out",
        "a .xlsx file is left out",
    ]
    (tmp_path / "more.csv").symlink_to("../.git/annex/more.csv")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'more.csv'}: found a link to nothing")
    assert "dvc pull" in message


def test_mixed_schemas(tmp_path: Path) -> None:
    """Files must have the same columns; SEASON alone may be missing in some."""
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *ROWS[:2]]))
    lines = [line.split(",") for line in [HEADER, *ROWS[2:]]]
    (tmp_path / "b.csv").write_text("\n".join(",".join(cells[:-1]) for cells in lines))
    assert len(load_games(tmp_path)) == 5
    (tmp_path / "b.csv").write_text("\n".join(",".join(cells[:-2] + cells[-1:]) for cells in lines))
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'b.csv'}, row 1, column VIDEO_AVAILABLE: found no such column")


def test_column_map_errors(tmp_path: Path) -> None:
    """A map from a column that is not there, or to a name that is not ours, is refused."""
    path = tmp_path / "games.csv"
    path.write_text(LOG.replace("PTS", "points", 1))
    assert "column pints: found no such column" in refusal(path, column_map={"pints": "PTS"})
    with pytest.raises(SettingsError, match=r"did you mean PTS\?"):
        load_games(path, column_map={"points": "PNTS"})
    with pytest.raises(DataError, match="2 columns of this name"):
        load_games(path, column_map={"points": "AST"})


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("PTS", "abc", "row 3, column PTS: found 'abc'"),
        ("PTS", pd.Timestamp("2024-01-05"), "row 3, column PTS: found '2024-01-05 00:00:00'"),
        ("GAME_DATE", None, "row 3, column GAME_DATE: found an empty cell"),
        ("GAME_DATE", 20240106, "row 3, column GAME_DATE: found '20240106'"),
        ("PLAYER_ID", float("nan"), "row 3, column PLAYER_ID: found an empty cell"),
        ("MATCHUP", 3, "row 3, column MATCHUP: found '3'"),
    ],
)
def test_bad_hook_frame(column: str, value: object, problem: str) -> None:
    """Frames from hooks are checked by the same rules; rows count from 1."""
    raw = pd.read_csv(io.StringIO(LOG)).astype(object)
    raw[column] = pd.Series([*raw[column][:2], value, *raw[column][3:]], dtype=object)
    with pytest.raises(DataError) as caught:
        normalize_games(raw, source="pytest_nbaprops_load_games")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("pytest_nbaprops_load_games, ")


def test_hook_returns_no_frame() -> None:
    """Anything but a DataFrame, and an empty one, is refused."""
    with pytest.raises(DataError, match="found a list"):
        normalize_games([1], source="hook")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="a header without rows"):
        normalize_games(pd.read_csv(io.StringIO(HEADER)), source="hook")
    with pytest.raises(DataError, match="no such column"):
        normalize_games(pd.DataFrame(), source="hook")
