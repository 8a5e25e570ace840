from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.market.match import NO_GAME, NOT_IN_GAME, UNCLEAR, match_players
from pytest_nbaprops.market.odds import read_odds
from pytest_nbaprops.market.opening import open_market
from pytest_nbaprops.market.settings import MarketSettings

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


def test_two_names_at_one_book_are_never_one_player(tmp_path: Path) -> None:
    """Bobby Portis beside a `B. Portis` of the same book: the sure name keeps the player, the other is listed."""
    rows = [line("Bobby Portis"), line("B. Portis"), line("Trae Young").replace("DraftKings", "Caesars")]
    found = match_players(odds(tmp_path, *rows), games())
    assert found.matched["PLAYER"].tolist() == ["Bobby Portis", "Trae Young"]
    assert found.unmatched["REASON"].tolist() == ["would be the player of Bobby Portis, at the same book"]


def test_two_spellings_at_two_books_are_one_player(tmp_path: Path) -> None:
    """Each book has him once."""
    rows = [line("Bobby Portis"), line("B. Portis").replace("DraftKings", "Caesars")]
    assert len(set(match_players(odds(tmp_path, *rows), games()).matched["PLAYER_ID"])) == 1


def test_a_name_of_another_team_is_never_bent_to_fit(tmp_path: Path) -> None:
    """Kevin Martin is nobody; Cody Martin is Miami's and not in Milwaukee, where no Martin is."""
    assert meant(tmp_path, line("Cody Martin")) == ("", "Cody Martin was with neither team that season")


def test_the_tip_off_decides_between_two_games_running(tmp_path: Path) -> None:
    """Where it is there: 00:30 UTC on the 6th is the evening of the 5th."""
    header = "player,commence_time,home,away,line\n"
    late = odds(tmp_path, "Trae Young,2024-01-06T00:30:00Z,MIL,ATL,38.5", header=header)
    assert match_players(late, games()).matched["GAME_ID"].tolist() == ["0022300001"]
    early = odds(tmp_path, "Trae Young,2024-01-06T20:30:00Z,ATL,MIL,38.5", header=header)
    assert match_players(early, games()).matched["GAME_ID"].tolist() == ["0022300002"]


def test_no_line_is_no_error(tmp_path: Path) -> None:
    """Of another target, or of none: nothing is matched, and nothing is judged."""
    none = odds(tmp_path, line("Trae Young")).head(0)
    found = match_players(none, games())
    assert (len(found.matched), len(found.unmatched)) == (0, 0)
    market = open_market(odds(tmp_path, line("Trae Young")).assign(MARKET="PTS"), games(), "REB", MarketSettings())
    assert market.problems() == ["no line on REB is for a player-game of the data"]
    far = odds(tmp_path, line("Trae Young", date="2031-01-01"))
    assert open_market(far, games(), "PTS+REB+AST", MarketSettings()).board.consensus.empty


@pytest.mark.skipif(not REAL.exists(), reason="real game logs and odds are not here")
def test_a_real_seasons_lines_find_their_players() -> None:
    """99% of the lines whose player played, the rest listed with reasons; playoffs are not in the logs."""
    found = match_players(read_odds(REAL / "odds" / "2023-24.csv"), load_games(REAL / "game_logs" / "2023-24.csv"))
    assert found.share > 0.999
    assert found.reasons().to_dict() == {NO_GAME: 3448, NOT_IN_GAME: 113, UNCLEAR: 6}
    lost = found.unmatched[found.unmatched["KIND"] == NO_GAME]
    assert lost["EVENT_DATE"].min() > pd.Timestamp("2024-04-14")
    pairs = found.matched.groupby(["GAME_ID", "BOOKMAKER", "PLAYER_ID"])["PLAYER"].nunique()
    assert (pairs > 1).sum() == 1  # Jabari Smith and Jabari Smith Jr, one book's two spellings of one man
