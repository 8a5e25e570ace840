from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.data.problems import RowsError
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.market.match import match_players
from pytest_nbaprops.market.odds import read_odds

REAL = Path(__file__).parents[2].parent / "shared" / "data"
HEADER = "player_name,event_id,event_date,home_team,away_team,bookmaker,line,timestamp,over_price,under_price\n"
STATS = ("MIN", "FGM", "FGA", "FG3M", "FG3A", "FTM", "FTA", "OREB", "DREB", "REB", "AST", "STL", "BLK", "TOV", "PF")
ROSTERS = {
    "MIL": ("Giannis Antetokounmpo", "Thanasis Antetokounmpo", "Bobby Portis", "Brook Lopez"),
    "ATL": ("Trae Young", "Jalen Johnson", "Bogdan Bogdanović", "Kevin Huerter"),
    "MIA": ("Jaime Jaquez Jr.", "Bam Adebayo", "Caleb Martin", "Cody Martin"),
}


def games() -> pd.DataFrame:
    """MIL - ATL on 5 and 6 January, MIA - ATL on 9 January; Thanasis and Cody Martin do not play."""
    rows = []
    for number, (date, home, away) in enumerate(
        [("2024-01-05", "MIL", "ATL"), ("2024-01-06", "ATL", "MIL"), ("2024-01-09", "MIA", "ATL")], start=1
    ):
        for team in (home, away):
            names = ROSTERS[team][: 3 if team == "MIA" else 4]
            names = tuple(name for name in names if number == 1 or not name.startswith("Thanasis"))
            rows += [_row(number, date, home, away, team, name) for name in names]
    # Cody Martin played for Miami elsewhere.
    rows.append(_row(9, "2024-01-03", "MIA", "MIL", "MIA", "Cody Martin"))
    return normalize_games(pd.DataFrame(rows), source="test")


def _row(number: int, date: str, home: str, away: str, team: str, name: str) -> dict[str, object]:  # noqa: PLR0917
    ids = {name: 100 + i for i, name in enumerate(name for names in ROSTERS.values() for name in names)}
    other = away if team == home else home
    return {
        **dict.fromkeys(STATS, 5),
        "PTS": 20,
        "PLAYER_ID": ids[name],
        "PLAYER_NAME": name,
        "TEAM_ID": list(ROSTERS).index(team) + 1,
        "TEAM_ABBREVIATION": team,
        "GAME_ID": f"00223000{number:02d}",
        "GAME_DATE": date,
        "MATCHUP": f"{team} {'vs.' if team == home else '@'} {other}",
    }


def odds(tmp_path: Path, *rows: str, header: str = HEADER) -> pd.DataFrame:
    path = tmp_path / "odds.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return read_odds(path)


def line(name: str, *, date: str = "2024-01-05", teams: str = "Milwaukee Bucks,Atlanta Hawks", stamp: str = "") -> str:
    return f"{name},e1,{date},{teams},DraftKings,25.5,{stamp},-110,-120"


def meant(tmp_path: Path, row: str) -> tuple[str, str]:
    """Player and game id that a line is matched to, or nobody and why not."""
    found = match_players(odds(tmp_path, row), games())
    if len(found.unmatched):
        return "", found.unmatched["REASON"].item()
    table = games().drop_duplicates("PLAYER_ID").set_index("PLAYER_ID")["PLAYER_NAME"]
    return table[found.matched["PLAYER_ID"].item()], found.matched["GAME_ID"].item()


def test_lines_come_in_one_form(tmp_path: Path) -> None:
    """Types as documented, missing prices NaN, and of lines that come twice the newest."""
    early, late = "2024-01-05T20:00:00Z", "2024-01-05T23:00:00Z"
    found = odds(
        tmp_path,
        f"Trae Young,e1,2024-01-05,MIL,ATL,FanDuel,38.5,{late},-110,",
        f"Trae Young,e1,2024-01-05,MIL,ATL,FanDuel,37.5,{early},-110,-110",
        f"Trae Young,e1,2024-01-05,MIL,ATL,Caesars,36.5,{early},+105,-130",
    )
    assert found["LINE"].tolist() == [38.5, 36.5]
    assert np.isnan(found["UNDER_PRICE"][0])
    assert found["OVER_PRICE"].tolist() == [-110, 105]
    assert found["EVENT_DATE"].tolist() == [pd.Timestamp("2024-01-05")] * 2
    assert str(found["TIMESTAMP"].dtype) == "datetime64[ns, UTC]"


def test_a_handful_of_columns_will_do(tmp_path: Path) -> None:
    """Player, date, teams and line."""
    found = odds(tmp_path, "Trae Young,2024-01-05,MIL,ATL,38.5", header="player,date,home,away,line\n")
    assert found["LINE"].tolist() == [38.5]
    assert match_players(found, games()).matched["GAME_ID"].tolist() == ["0022300001"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "A,e,2024-01-05,MIL,ATL,FD,many,,-110,-110",
            "row 2, column line: found 'many', expected a line from 0 to 200",
        ),
        ("A,e,2024-01-05,MIL,ATL,FD,,,-110,-110", "row 2, column line: found an empty cell, expected a line"),
        ("A,e,2024-01-05,MIL,ATL,FD,9.5,,1.91,-110", "row 2, column over_price: found '1.91', expected an American pr"),
        ("A,e,5 Jan,MIL,ATL,FD,9.5,,-110,-110", "row 2, column event_date: found '5 Jan', expected a date"),
        ("A,e,2024-01-05,MIL,ATL,FD,9.5,noon,-110,-110", "row 2, column timestamp: found 'noon', expected a time"),
        (",e,2024-01-05,MIL,ATL,FD,9.5,,-110,-110", "row 2, column player_name: found an empty cell, expected text"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, row: str, message: str) -> None:
    """One line with row, column, found and expected."""
    with pytest.raises(DataError, match=message):
        odds(tmp_path, row)


def test_every_bad_cell_is_a_line(tmp_path: Path) -> None:
    """In the order of the rows; good ones are not named."""
    rows = [
        line("Trae Young"),
        "A,e,soon,MIL,ATL,FD,many,,-110,-110",
        line("Bobby Portis"),
        ",e,2024-01-05,M,A,FD,9,,1,",
    ]
    with pytest.raises(RowsError) as error:
        odds(tmp_path, *rows)
    assert [text.partition(", ")[2].partition(":")[0] for text in error.value.problems] == [
        "row 3, column event_date",
        "row 3, column line",
        "row 5, column player_name",
        "row 5, column over_price",
    ]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """The header is row 1."""
    with pytest.raises(DataError, match="row 1, column home_team: found no such column, only player_name"):
        odds(tmp_path, "A,x", header="player_name,event_date\n")


@pytest.mark.parametrize(
    ("written", "player"),
    [
        ("Trae Young", "Trae Young"),
        ("G Antetokounmpo", "Giannis Antetokounmpo"),
        ("Huerter Kevin", "Kevin Huerter"),
        ('"Portis, Bobby"', "Bobby Portis"),
        ("Bogdan Bogdanovic", "Bogdan Bogdanović"),
        ("Jalen (2001) Johnson", "Jalen Johnson"),
        ("Brook Robert Lopez", "Brook Lopez"),
        ("Trae Youngg", "Trae Young"),
    ],
)
def test_sportsbooks_names_are_understood(tmp_path: Path, written: str, player: str) -> None:
    """Initials, swapped names, accents, brackets, second names, a typing error."""
    assert meant(tmp_path, line(written)) == (player, "0022300001")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (line("Antetokounmpo"), "could be any of Giannis Antetokounmpo, Thanasis Antetokounmpo"),
        (
            line("Thanasis Antetokounmpo", date="2024-01-06", teams="Atlanta Hawks,Milwaukee Bucks"),
            "Thanasis Antetokounmpo has no row in the game",
        ),
        (
            line("C. Martin", date="2024-01-09", teams="Miami Heat,Atlanta Hawks"),
            "could be any of Caleb Martin, Cody Martin",
        ),
        (line("LeBron James"), "nobody of that name was with either team"),
        (
            line("Trae Young", date="2024-03-05"),
            "no game ATL - MIL on 2024-03-05 or, as that may be UTC, the day before",
        ),
        (line("Trae Young", teams="Seattle SuperSonics,Atlanta Hawks"), "no team 'Seattle SuperSonics' in the data"),
    ],
)
def test_what_cannot_be_told_is_left_with_its_reason(tmp_path: Path, row: str, reason: str) -> None:
    """A missing player's line never goes to his brother."""
    assert meant(tmp_path, row) == ("", reason)


def test_dates_may_be_utc_and_sides_swapped(tmp_path: Path) -> None:
    """The day before, either team at home; of two games running the time of the line decides."""
    swapped = "Atlanta Hawks,Milwaukee Bucks"
    assert meant(tmp_path, line("Trae Young", date="2024-01-05", teams=swapped))[1] == "0022300001"
    heat = "Miami Heat,Atlanta Hawks"
    assert meant(tmp_path, line("Trae Young", date="2024-01-10", teams=heat))[1] == "0022300003"
    assert meant(tmp_path, line("Trae Young", date="2024-01-06"))[1] == "0022300002"
    night = line("Trae Young", date="2024-01-06", stamp="2024-01-06T00:10:00Z")
    assert meant(tmp_path, night)[1] == "0022300001"


def test_the_median_of_the_bookmakers(tmp_path: Path) -> None:
    """One line per player-game, and how many it is from."""
    rows = [f"Trae Young,e1,2024-01-05,MIL,ATL,book{n},{30 + n}.5,,," for n in range(4)]
    found = match_players(odds(tmp_path, *rows), games()).medians()
    assert found[["GAME_ID", "LINE", "BOOKS"]].to_numpy().tolist() == [["0022300001", 32.0, 4]]


@pytest.mark.skipif(not REAL.exists(), reason="real game logs and odds are not here")
def test_a_real_seasons_lines_find_their_players() -> None:
    """99% of the player-games that the logs can have; nearly all others did not play."""
    found = match_players(read_odds(REAL / "odds" / "2023-24.csv"), load_games(REAL / "game_logs" / "2023-24.csv"))
    lost = found.unmatched.drop_duplicates(["EVENT_ID", "PLAYER"])
    playoffs = lost["REASON"].str.startswith("no game")
    assert lost.loc[playoffs, "EVENT_DATE"].min() > pd.Timestamp("2024-04-14")
    absent = lost["REASON"].str.endswith("has no row in the game")
    matched = len(found.medians())
    assert matched / (matched + (~playoffs).sum()) > 0.985
    assert (~playoffs & ~absent).sum() < 20
    assert not found.matched.duplicated(["GAME_ID", "PLAYER_ID", "BOOKMAKER", "PLAYER"]).any()
