"""Kinds of games: exhibitions never count, the others as asked; what was left out or odd is said."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops.data.kinds import kind_of_game, kind_of_season, parse_kinds
from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.data.remarks import KIND_COUNTS, remarks_of
from pytest_nbaprops.errors import DataError, SettingsError
from tests.data.logs import HEADER, LOG, ROWS, row, with_cell

SIDES = ((101, "BOS vs. NYK"), (102, "NYK @ BOS"))


def kinds_log(*ids: str) -> str:
    """A log with a game of two rows for each id."""
    rows = [
        row(player, int(game), side, f"2024-01-0{day}")
        for day, game in enumerate(ids, start=1)
        for player, side in SIDES
    ]
    return "\n".join([HEADER, *rows, ""])


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (("0012300001", "12023"), "preseason"),
        (("0022300001", "22023"), "regular"),
        (("0032300001", "32023"), "all-star"),
        (("0042300101", "42023"), "playoffs"),
        (("0052300101", "52023"), "playin"),
        (("0062300001", "62023"), "cup"),
        (("0092300001", "2023"), "other"),
        (("9922300001", "2023-24"), "other"),
    ],
)
def test_kind_of_an_id(ids: tuple[str, str], kind: str) -> None:
    """GAME_ID and SEASON_ID say of what kind a game is."""
    assert (kind_of_game(ids[0]), kind_of_season(ids[1])) == (kind, kind)


def test_exhibitions_are_left_out(tmp_path: Path) -> None:
    """All-Star and preseason rows are counted and left out with a remark, the rest stays, whatever is wrong in them."""
    text = kinds_log("0012300001", "0022300001", "0032300001", "0042300101", "0052300001", "0062300001")
    text = text.replace("BOS,Team,0032300001,2024-01-03,BOS vs. NYK", "EST,Team,0032300001,2024-01-03,EST v WST")
    games = load_games(written(tmp_path / "games.csv", text))
    assert sorted(set(games["GAME_ID"])) == ["0022300001", "0042300101", "0052300001", "0062300001"]
    assert games.attrs[KIND_COUNTS]["all-star"] == (1, 2)
    remark = "exhibitions are left out: 1 preseason game (2 rows), 1 all-star game (2 rows)"
    assert remarks_of(games) == (remark,)
    hooked = normalize_games(pd.read_csv(io.StringIO(text), dtype=str), source="hook")
    assert remarks_of(hooked) == (remark,)
    pd.testing.assert_frame_equal(hooked, games)


def test_a_season_id_of_an_exhibition_is_enough(tmp_path: Path) -> None:
    """A row is an exhibition's where either id says so."""
    games = load_games(written(tmp_path / "games.csv", with_cell("SEASON_ID", "32023", line=6)))
    assert len(games) == 4
    assert "1 all-star game (1 row)" in remarks_of(games)[0]


def test_games_of_several_leagues_are_told(tmp_path: Path) -> None:
    """Their players are not each other's: somebody has put a file into the wrong folder."""
    games = load_games(written(tmp_path / "games.csv", kinds_log("0022300001", "1022300001", "1022300002")))
    told = "games of several leagues by the first two digits of GAME_ID: 1 of the NBA, 2 of the WNBA"
    assert remarks_of(games) == (told,)


def test_games_of_several_files_are_counted_once(tmp_path: Path) -> None:
    """A file for each player: the same games in all of them."""
    head, *rows = kinds_log("0022300001", "0032300001").splitlines()
    for number, text in enumerate(rows):
        written(tmp_path / f"{number}.csv", f"{head}\n{text}\n")
    assert remarks_of(load_games(tmp_path)) == ("exhibitions are left out: 1 all-star game (2 rows)",)


def test_kinds_asked_for(tmp_path: Path) -> None:
    """Kinds that the setting does not name are left out with a remark."""
    path = written(tmp_path / "games.csv", kinds_log("0022300001", "0042300101", "0062300001"))
    games = load_games(path, kinds=parse_kinds("regular, playoffs"))
    assert sorted(set(games["GAME_ID"])) == ["0022300001", "0042300101"]
    assert remarks_of(games) == ("nbaprops_games leaves out 1 cup game (2 rows)",)


def test_nothing_that_counts(tmp_path: Path) -> None:
    """Files with nothing but exhibitions are refused; one of them among others is not."""
    path = written(tmp_path / "a.csv", kinds_log("0032300001"))
    with pytest.raises(DataError, match=r"found only 1 all-star game \(2 rows\), expected games of the kinds regular"):
        load_games(path)
    written(tmp_path / "b.csv", LOG)
    assert len(load_games(tmp_path)) == len(ROWS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("regular, playof", "'playof' is no kind of game"),
        ("all-star", "is an exhibition, which never counts"),
        (" , ", "names no kind of game"),
    ],
)
def test_unusable_kinds(text: str, problem: str) -> None:
    """A kind that is unknown or never counts is refused with those that do."""
    with pytest.raises(SettingsError, match=problem) as caught:
        parse_kinds(text)
    assert "nbaprops_games" in str(caught.value)
    assert "use one or more of regular, playin, playoffs, cup" in str(caught.value)


def test_kinds_as_people_write_them() -> None:
    """Capitals, hyphens, lines and repetitions do not matter."""
    assert parse_kinds("Playoffs\nREGULAR, Play-In, regular") == ("regular", "playin", "playoffs")


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        (
            LOG.replace("0022300002", "22300002"),
            "GAME_ID without its leading zeros, which were added (3 rows, first {}, row 4: '22300002')",
        ),
        (with_cell("MIN", "34:12"), "MIN in minutes and seconds (1 row, first {}, row 4: '34:12')"),
        (
            LOG.replace("2024-01-06", "2024-01-06T00:00:00Z"),
            "GAME_DATE with a time or a zone, read as the day that it shows (3 rows",
        ),
        (LOG.replace("PTS", "Pts", 1), "'Pts' read as the column PTS ({})"),
        (
            LOG.replace("PTS", "Pts", 1).replace("PLAYER_NAME", "player_name", 1),
            "'player_name' read as the column PLAYER_NAME, and 1 more in other letters ({})",
        ),
        (LOG + HEADER + "\n", "the header repeated between the rows, left out (1 row, first {}, row 7)"),
        (with_cell("WL", "Win"), "WL that is neither W nor L (1 row, first {}, row 4: 'Win')"),
        (
            "\n".join([HEADER, *ROWS[:2], row(101, 22300003, date="2024-01-05"), ""]),
            "a player in two games of one date (1 row, first {}, row 4",
        ),
        ("\ufeff\ufeff" + LOG + "\ufeff" + HEADER, "the header repeated between the rows, left out (1 row"),
        (with_cell("AST", "3.5"), "AST with a fraction (1 row, first {}, row 4: '3.5')"),
        (with_cell("PTS", "23"), "PTS that are not 2 FGM + FG3M + FTM (1 row, first {}, row 4: '23')"),
        (with_cell("DREB", "9"), "REB that are not OREB + DREB"),
        (LOG.replace("0022300002", "0022200002"), "GAME_ID of another season than GAME_DATE"),
    ],
)
def test_what_is_odd_is_said(tmp_path: Path, text: str, remark: str) -> None:
    """What is read although it is odd is said: what, in how many rows, and where the first one is."""
    path = written(tmp_path / "games.csv", text)
    assert any(line.startswith(remark.format(path)) for line in remarks_of(load_games(path))), remarks_of(
        load_games(path)
    )


def test_nothing_odd_nothing_said(tmp_path: Path) -> None:
    """A proper log has no remarks."""
    assert remarks_of(load_games(written(tmp_path / "games.csv", LOG))) == ()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file to which rows are added between its first and its last byte is not read by halves."""
    path = written(tmp_path / "games.csv", "\n".join([HEADER, *ROWS[:2], ""]))
    read = Path.read_bytes

    def slowly(self: Path) -> bytes:
        content = read(self)
        with self.open("a", encoding="utf-8") as file:
            file.write("\n".join([*ROWS[2:], ""]))
        return content

    monkeypatch.setattr(Path, "read_bytes", slowly)
    with pytest.raises(DataError, match="found a file that changes while it is read, expected a complete file; wait"):
        load_games(path)
