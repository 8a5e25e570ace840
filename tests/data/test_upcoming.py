from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops.data.load import normalize_games
from pytest_nbaprops.data.names import Players, bare_name, plain_name
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.data.schedulefile import read_schedule, schedule_of
from pytest_nbaprops.data.schema import OUTCOME_COLUMNS
from pytest_nbaprops.data.upcoming import ScheduleError, Upcoming, unplayed_rows, upcoming_rows
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.features.build import without_outcomes

NAMES = ("Luka Dončić", "Jaime Jaquez Jr.", "Marcus Morris Sr.", "Mike James", "Mike James", "Tim Hardaway Jr.")
HEADER = "player,team,opponent,date,home\n"
DATE = "2024-06-01"


@cache
def league() -> pd.DataFrame:
    """A small season in which a few players have names that people write in many ways."""
    games = sample_league(seasons=1, players=60)
    ids = games["PLAYER_ID"].drop_duplicates().iloc[: len(NAMES)]
    return games.assign(
        PLAYER_NAME=games["PLAYER_ID"].map(dict(zip(ids, NAMES, strict=True))).fillna(games["PLAYER_NAME"])
    )


def named(name: str) -> list[int]:
    return sorted(league().loc[league()["PLAYER_NAME"] == name, "PLAYER_ID"].unique().tolist())


def teams() -> list[str]:
    return sorted(league()["TEAM_ABBREVIATION"].unique())


def schedule(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "tomorrow.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def read(path: Path, *, allow_new_players: bool = False) -> Upcoming:
    return upcoming_rows(read_schedule(path), league(), allow_new_players=allow_new_players)


def problems(path: Path) -> list[str]:
    with pytest.raises(ScheduleError) as error:
        read(path)
    return [line.removeprefix(f"{path}, ") for line in error.value.problems]


def test_a_schedule_becomes_canonical_unplayed_rows(tmp_path: Path) -> None:
    """The games' columns and dtypes, outcomes empty, ids and season filled in; valid together with the games."""
    home, away = teams()[:2]
    rows = read(
        schedule(tmp_path, f"Luka Dončić,{home},{away},{DATE},1", f"Jaime Jaquez Jr.,{away},{home},{DATE},0")
    ).rows
    assert rows.dtypes.equals(league().dtypes)
    assert rows[[name for name in OUTCOME_COLUMNS if name in rows]].isna().all(axis=None)
    assert rows["MATCHUP"].tolist() == [f"{home} vs. {away}", f"{away} @ {home}"]
    assert rows["PLAYER_ID"].tolist() == [*named("Luka Dončić"), *named("Jaime Jaquez Jr.")]
    assert len(set(rows["GAME_ID"])) == 1
    assert set(rows["SEASON"]) == {"2023-24"}
    together = pd.concat([league(), rows], ignore_index=True)
    assert len(normalize_games(together, source="both")) == len(together)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("luka doncic", "Luka Dončić"),
        ("LUKA  DONČIĆ", "Luka Dončić"),
        ("Jaime Jaquez", "Jaime Jaquez Jr."),
        ("Marcus Morris", "Marcus Morris Sr."),
        ("Tim Hardaway, Jr", "Tim Hardaway Jr."),
    ],
)
def test_names_are_understood_the_way_people_write_them(written: str, meant: str) -> None:
    """Accents, case, blanks, punctuation and suffixes do not matter."""
    assert [player.name for player in Players.of(league()).called(written)] == [meant]


def test_plain_and_bare_names() -> None:
    """Letters that Unicode does not take apart, hyphens, curly apostrophes, and a man who is only called a suffix."""
    assert plain_name("Nikola Đurišić-Ødegård") == "nikola durisic odegard"
    assert plain_name("D\u2019Angelo P.J. O'Neal") == "dangelo pj oneal"
    assert bare_name("Gary Payton II") == "gary payton"
    assert bare_name("V") == "v"


def test_a_name_that_two_players_have_is_settled_by_the_team_or_the_id(tmp_path: Path) -> None:
    """Else the line names both with id and team."""
    one, two = named("Mike James")
    latest = Players.of(league()).by_id
    home, other = latest[one].team, latest[two].team
    away = next(team for team in teams() if team not in {home, other})
    if home != other:
        found = read(schedule(tmp_path, f"Mike James,{home},{away},{DATE},1")).rows
        assert found["PLAYER_ID"].tolist() == [one]
    by_id = read(schedule(tmp_path, f"{two},{away},{home},{DATE},1")).rows
    assert by_id[["PLAYER_NAME", "TEAM_ABBREVIATION"]].to_numpy().tolist() == [["Mike James", away]]
    third = next(team for team in teams() if team not in {home, other, away})
    (line,) = problems(schedule(tmp_path, f"Mike James,{third},{away},{DATE},1"))
    assert line.startswith("row 2, column player: found 'Mike James', expected one player, it could be Mike James (")
    assert all(str(player) in line for player in (one, two))
    assert line.endswith("give the PLAYER_ID")


@cache
def pairs() -> pd.DataFrame:
    """The league with a father and a son on two teams, and two men of one team whom only an accent tells apart."""
    latest = league().drop_duplicates("PLAYER_ID", keep="last")
    team = latest["TEAM_ABBREVIATION"].value_counts().index
    first, second = (latest.loc[latest["TEAM_ABBREVIATION"] == name, "PLAYER_ID"].tolist() for name in team[:2])
    names = {
        first[0]: "Jaren Jackson Jr.",
        second[0]: "Jaren Jackson",
        first[1]: "Nikola Jović",
        first[2]: "Nikola Jovic",
    }
    return league().assign(PLAYER_NAME=league()["PLAYER_ID"].map(names).fillna(league()["PLAYER_NAME"]))


@pytest.mark.parametrize(
    ("written", "of", "meant"),
    [
        ("Jaren Jackson", "Jaren Jackson Jr.", ["Jaren Jackson Jr."]),
        ("Jaren Jackson", "Jaren Jackson", ["Jaren Jackson"]),
        ("Jaren Jackson", "nobody", ["Jaren Jackson", "Jaren Jackson Jr."]),
        ("jaren jackson jr", "nobody", ["Jaren Jackson Jr."]),
        ("Nikola Jovic", "Nikola Jović", ["Nikola Jovic"]),
        ("Nikola Jović", "Nikola Jović", ["Nikola Jović"]),
        ("NIKOLA JOVIC", "Nikola Jović", ["Nikola Jovic", "Nikola Jović"]),
    ],
)
def test_names_alike_are_settled_by_team_then_spelling(written: str, of: str, meant: list[str]) -> None:
    """Never by the spelling against the team; where neither settles it, both are left, for the error to name."""
    players = Players.of(pairs())
    team = next((player.team for player in players.by_id.values() if player.name == of), "XXX")
    assert sorted(player.name for player in players.meant(written, team)) == meant


def test_a_name_must_be_that_of_its_id(tmp_path: Path) -> None:
    """As people write it; another one is a problem that names both."""
    home, away = teams()[:2]
    header = "player,player_id,team,opponent,date,home\n"
    (luka,), (jaime,) = named("Luka Dončić"), named("Jaime Jaquez Jr.")
    path = schedule(
        tmp_path,
        f"luka doncic,{luka},{home},{away},{DATE},1",
        f"Luka Dončić,{jaime},{away},{home},{DATE},0",
        header=header,
    )
    (line,) = problems(path)
    assert line.startswith(f"row 3, column player: found 'Luka Dončić', expected the name of Jaime Jaquez Jr. ({jaime}")
    assert f"or the id of Luka Dončić ({luka}" in line
    (line,) = problems(schedule(tmp_path, f"Luka Dončić,77,{home},{away},{DATE},1", header=header))
    assert line.startswith(f"row 2, column player_id: found '77', expected the id of Luka Dončić ({luka}")


def test_every_problem_is_one_line(tmp_path: Path) -> None:
    """All rows are checked; file, row, column, found, expected, way out."""
    home, away = teams()[:2]
    path = schedule(
        tmp_path,
        f"Luka Doncik,{home},{away},{DATE},1",
        f"Luka Dončić,{home},{home},{DATE},1",
        f"Jaime Jaquez,{away},XYZ,2024-13-01,maybe",
        f",{home},{away},2024-06-01 19:30,0",
    )
    found = problems(path)
    assert found[0].startswith("row 2, column player: found 'Luka Doncik', expected a player of the data (near: Luka D")
    assert found[0].endswith("correct the name, or give a debutant a player_id or --allow-new-players")
    assert found[1].startswith(f"row 3, column opponent: found '{home}', expected another team")
    assert [line.partition(":")[0] for line in found[2:]] == [
        "row 4, column date",
        "row 4, column home",
        "row 4, column opponent",
        "row 5, column date",
        "row 5, column player",
    ]
    assert not any("\n" in line for line in found)


def test_rows_must_fit_together(tmp_path: Path) -> None:
    """A player twice a date, a team against two others, an id for two games."""
    a, b, c = teams()[:3]
    header = "player,team,opponent,date,home,game_id\n"
    path = schedule(
        tmp_path,
        f"Luka Dončić,{a},{b},{DATE},1,22300001",
        f"luka doncic,{a},{b},{DATE},1,22300001",
        f"Jaime Jaquez,{a},{c},{DATE},1,",
        f"Marcus Morris,{b},{a},{DATE},0,22300002",
        header=header,
    )
    assert [line.partition(", expected")[0] for line in problems(path)] == [
        "row 3, column player: found 'luka doncic', and the same in row 2",
        f"row 4, column opponent: found '{c}', and something else in row 2",
        "row 5, column game_id: found '22300002', and something else in row 2",
    ]
    (line,) = problems(schedule(tmp_path, f"Luka Dončić,{a},{b},{DATE},1", f"Jaime Jaquez,{a},{b},{DATE},0"))
    assert line.startswith("row 3, column home: found '0', and something else in row 2")


def test_a_team_plays_once_a_date_whoever_is_its_opponent(tmp_path: Path) -> None:
    """Also where only its opponents have rows."""
    a, b, c = teams()[:3]
    (line,) = problems(schedule(tmp_path, f"Luka Dončić,{a},{b},{DATE},1", f"Jaime Jaquez,{c},{b},{DATE},1"))
    assert line.startswith(
        f"row 3, column opponent: found '{b}', and something else in row 2, expected an opponent that"
    )


def test_data_that_ends_long_before_the_game_is_noted(tmp_path: Path) -> None:
    """With both dates; not within the usual gap."""
    a, b = teams()[:2]
    last = league()["GAME_DATE"].max()
    for days, noted in ((10, 0), (11, 1)):
        date = f"{last + pd.Timedelta(days=days):%Y-%m-%d}"
        notes = read(schedule(tmp_path, f"Luka Dončić,{a},{b},{date},1")).notes
        assert len(notes) == noted
    assert notes[0].startswith(f"the data ends on {last:%Y-%m-%d}, 11 days before {date}")


def test_both_sides_at_home_is_noted(tmp_path: Path) -> None:
    """Right at neutral sites only."""
    a, b = teams()[:2]
    found = read(schedule(tmp_path, f"Luka Dončić,{a},{b},{DATE},1", f"Jaime Jaquez,{b},{a},{DATE},1"))
    assert found.notes[:1] == (
        f"{tmp_path / 'tomorrow.csv'}: {a} and {b} are both at home on {DATE}; right at neutral sites",
    )


def test_a_debutant_has_an_id_of_his_own_or_is_allowed(tmp_path: Path) -> None:
    """Made-up ids clash with nobody's."""
    a, b = teams()[:2]
    header = "player,player_id,team,opponent,date,home\n"
    given = read(schedule(tmp_path, f"New Guy,77,{a},{b},{DATE},1", header=header))
    assert given.rows[["PLAYER_ID", "PLAYER_NAME"]].to_numpy().tolist() == [[77, "New Guy"]]
    assert not given.new_players
    allowed = read(schedule(tmp_path, f"New Guy,{a},{b},{DATE},1"), allow_new_players=True)
    assert set(allowed.rows["PLAYER_ID"]) == allowed.new_players
    assert not allowed.new_players & set(league()["PLAYER_ID"])
    (line,) = problems(schedule(tmp_path, f"77,{a},{b},{DATE},1"))
    assert line.startswith("row 2, column player: found '77', expected the PLAYER_ID of a player of the data")


def test_the_datas_game_id_is_taken_where_it_has_the_game(tmp_path: Path) -> None:
    """So that keys agree with the logs."""
    game = league().iloc[-1]
    a, _, b = game["MATCHUP"].split(" ")
    row = f"{game['PLAYER_NAME']},{a},{b},{game['GAME_DATE']:%Y-%m-%d},1"
    assert read(schedule(tmp_path, row)).rows["GAME_ID"].tolist() == [game["GAME_ID"]]


def test_columns_may_have_their_usual_other_names(tmp_path: Path) -> None:
    """Any case, the logs' own names, and Parquet."""
    a, b = teams()[:2]
    frame = pd.DataFrame(
        {
            "PLAYER_ID": named("Luka Dončić"),
            "TEAM_ABBREVIATION": [a.lower()],
            "Opp": [b],
            "GAME_DATE": [pd.Timestamp(DATE)],
            "is_home": [False],
        }
    )
    frame.to_parquet(tmp_path / "tomorrow.parquet")
    rows = read(tmp_path / "tomorrow.parquet").rows
    assert rows["MATCHUP"].tolist() == [f"{a} @ {b}"]
    assert rows.equals(upcoming_rows(schedule_of(frame), league()).rows)


def test_columns_of_ones_own_are_those_of_the_games(tmp_path: Path) -> None:
    """What a group learnt from is there tonight, too; what the games do not have is nobody's."""
    games = league().assign(IMPLIED=110.5, REFEREE="Foster", AWAKE=True, TIPOFF=pd.Timestamp("2024-01-01T19:00"))
    a, b = teams()[:2]
    header = HEADER.replace("\n", ",implied,REFEREE,awake,TIPOFF,arena\n")
    row = f"Luka Doncic,{a},{b},{DATE},1,{{}},Brothers,no,{DATE} 19:30,Here"
    rows = upcoming_rows(read_schedule(schedule(tmp_path, row.format("104.5"), header=header)), games).rows
    assert list(rows.columns) == list(games.columns)
    assert rows[["IMPLIED", "REFEREE", "AWAKE", "TIPOFF"]].iloc[0].tolist() == [
        *(104.5, "Brothers", False),
        pd.Timestamp(f"{DATE} 19:30"),
    ]
    empty = upcoming_rows(read_schedule(schedule(tmp_path, row.format(""), header=header)), games).rows
    assert empty["IMPLIED"].isna().all()
    with pytest.raises(ScheduleError, match=r"row 2, column implied: found 'many', expected float64, as the games"):
        upcoming_rows(read_schedule(schedule(tmp_path, row.format("many"), header=header)), games)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "player,team,opponent,date\nx,y,z,2024-01-01\n",
            "row 1, column home: found no such column, only player, team",
        ),
        ("team,opponent,date,home\ny,z,2024-01-01,1\n", "row 1, column player: found no such column"),
        ("date\n2024-01-01\n", "row 1, column team, opponent, home, player: found no such column, only date"),
        (
            "player,Player,team,opponent,date,home\n",
            "row 1, column player: found it 2 times, expected every column once",
        ),
        (HEADER, "found a header without rows"),
        ("", "found an empty file"),
    ],
)
def test_a_file_that_is_no_schedule(tmp_path: Path, text: str, message: str) -> None:
    """One line that says what is missing."""
    path = tmp_path / "tomorrow.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_schedule(path)


def test_the_unplayed_rows_of_a_date() -> None:
    """Those with empty outcomes; all played or none there is an error that says so."""
    games = league()
    last = games["GAME_DATE"].max()
    emptied = without_outcomes(games, games["GAME_DATE"] == last)
    assert len(unplayed_rows(emptied, last).rows) == (games["GAME_DATE"] == last).sum()
    with pytest.raises(DataError, match=r"player-games of .*, all of them played, expected rows with empty outcome"):
        unplayed_rows(games, last)
    with pytest.raises(DataError, match=r"--date 2031-01-01: the data has no row of 2031-01-01 \(the last date is 20"):
        unplayed_rows(games, "2031-01-01")
