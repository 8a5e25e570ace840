"""Lines in, from every shape that people save them in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pytest_nbaprops.data.problems import RowsError
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.market.markets import misspelt, read_market
from pytest_nbaprops.market.odds import of_target, read_odds, unread_markets

HEADER = "player_name,event_id,event_date,home_team,away_team,bookmaker,line,timestamp,over_price,under_price\n"
EARLY, LATE = "2024-01-05T20:00:00Z", "2024-01-05T23:00:00Z"


def read(tmp_path: Path, *rows: str, header: str = HEADER, name: str = "odds.csv") -> pd.DataFrame:
    path = tmp_path / name
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return read_odds(path)


def event(*markets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An event as odds services answer it."""
    return {
        "id": "e1",
        "sport_key": "basketball_nba",
        "commence_time": "2024-01-06T00:10:00Z",
        "home_team": "Milwaukee Bucks",
        "away_team": "Atlanta Hawks",
        "bookmakers": [{"key": "draftkings", "title": "DraftKings", "markets": list(markets)}],
        **changes,
    }


def market(*outcomes: tuple[str, str, float, float], key: str = "player_points", stamp: str = LATE) -> dict[str, Any]:
    return {
        "key": key,
        "last_update": stamp,
        "outcomes": [
            {"name": side, "description": player, "price": price, "point": point}
            for side, player, price, point in outcomes
        ],
    }


BOTH = (("Over", "Trae Young", 1.91, 27.5), ("Under", "Trae Young", 1.87, 27.5))


def test_the_flat_export_comes_in_one_form(tmp_path: Path) -> None:
    """American prices as decimal ones, missing ones NaN, every snapshot kept."""
    found = read(
        tmp_path,
        f"Trae Young,e1,2024-01-05,MIL,ATL,FanDuel,38.5,{LATE},-110,",
        f"Trae Young,e1,2024-01-05,MIL,ATL,FanDuel,37.5,{EARLY},-110,+105",
    )
    assert found["LINE"].tolist() == [38.5, 37.5]
    assert found["OVER_PRICE"].to_numpy() == pytest.approx(1 + 100 / 110)
    assert np.isnan(found["UNDER_PRICE"][0])
    assert found["UNDER_PRICE"][1] == pytest.approx(2.05)
    assert found["EVENT_DATE"].tolist() == [pd.Timestamp("2024-01-05")] * 2
    assert str(found["TIMESTAMP"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.parametrize(
    ("over", "under", "expected"),
    [
        ("-110", "+120", (1.909, 2.2)),
        ("1.91", "2.2", (1.91, 2.2)),
        ("10/11", "6/5", (1.909, 2.2)),
        ("evens", "4/5", (2.0, 1.8)),
    ],
)
def test_all_three_notations_of_prices_are_read(
    tmp_path: Path, over: str, under: str, expected: tuple[float, float]
) -> None:
    """American, decimal and fractional, the notation being the file's."""
    found = read(tmp_path, f"Trae Young,e1,2024-01-05,MIL,ATL,FanDuel,38.5,,{over},{under}")
    assert (found["OVER_PRICE"][0], found["UNDER_PRICE"][0]) == pytest.approx(expected, abs=0.001)


def test_a_handful_of_columns_will_do(tmp_path: Path) -> None:
    """Player, date, teams and line, by the names that others give them."""
    found = read(tmp_path, "Trae Young,2024-01-05,MIL,ATL,38.5", header="Player,Date,Home,Away,Point\n")
    assert found[["PLAYER", "LINE", "HOME_TEAM", "MARKET"]].to_numpy().tolist() == [["Trae Young", 38.5, "MIL", ""]]


def test_a_row_per_side_is_put_together(tmp_path: Path) -> None:
    """Over and under of the same line and time, and no others; a tip-off stands for the date."""
    found = read(
        tmp_path,
        "Trae Young,2024-01-06T00:10:00Z,MIL,ATL,FD,player_points,Over,27.5,1.91",
        "Trae Young,2024-01-06T00:10:00Z,MIL,ATL,FD,player_points,Under,27.5,1.87",
        "Trae Young,2024-01-06T00:10:00Z,MIL,ATL,FD,player_points,Over,29.5,2.40",
        header="player,commence_time,home_team,away_team,book,market,side,line,price\n",
    )
    assert found[["LINE", "OVER_PRICE", "UNDER_PRICE"]].fillna(0).to_numpy().tolist() == [
        [27.5, 1.91, 1.87],
        [29.5, 2.4, 0],
    ]
    assert found["EVENT_DATE"].tolist() == [pd.Timestamp("2024-01-06")] * 2
    assert found["TIPOFF"].notna().all()


@pytest.mark.parametrize("shape", ["event", "list", "wrapper", "wrapper of a list", "jsonl"])
def test_api_answers_are_read_however_they_were_saved(tmp_path: Path, shape: str) -> None:
    """One event, a list, the historical wrapper, a line per answer."""
    one = event(market(*BOTH))
    wrapper = {"timestamp": EARLY, "previous_timestamp": None, "next_timestamp": None, "data": one}
    shapes: dict[str, Any] = {
        "event": one,
        "list": [one],
        "wrapper": wrapper,
        "wrapper of a list": {**wrapper, "data": [one]},
        "jsonl": one,
    }
    path = tmp_path / ("odds.jsonl" if shape == "jsonl" else "odds.json")
    path.write_text(json.dumps(shapes[shape]))
    found = read_odds(path)
    assert found[["PLAYER", "BOOKMAKER", "MARKET", "LINE", "OVER_PRICE", "UNDER_PRICE"]].to_numpy().tolist() == [
        ["Trae Young", "DraftKings", "player_points", 27.5, 1.91, 1.87]
    ]
    assert found["TIPOFF"][0] == pd.Timestamp("2024-01-06T00:10:00Z")
    assert found["TIMESTAMP"][0] == pd.Timestamp(LATE)


def test_a_snapshots_time_stands_in_where_the_market_has_none(tmp_path: Path) -> None:
    """In the historical wrapper."""
    one = market(*BOTH)
    del one["last_update"]
    path = tmp_path / "odds.json"
    path.write_text(json.dumps({"timestamp": EARLY, "data": event(one)}))
    assert read_odds(path)["TIMESTAMP"][0] == pd.Timestamp(EARLY)


def test_ladders_are_kept_one_sided_and_never_paired_across_rungs(tmp_path: Path) -> None:
    """Alternate markets; other markets are passed over."""
    ladder = market(
        ("Over", "Trae Young", 250, 34.5),
        ("Under", "Trae Young", -300, 35.5),
        ("Over", "Trae Young", -400, 19.5),
        ("Under", "Trae Young", 280, 19.5),
        key="player_points_alternate",
    )
    other = market(("Yes", "Trae Young", 600, 0), key="player_double_double")
    quarter = market(("Over", "Trae Young", -110, 6.5), key="player_points_q1")
    path = tmp_path / "odds.json"
    path.write_text(json.dumps(event(ladder, other, quarter)))
    found = read_odds(path)
    assert found["ALTERNATE"].all()
    assert found["LINE"].tolist() == [34.5, 35.5, 19.5]
    assert found["OVER_PRICE"].notna().tolist() == [True, False, True]
    assert found["UNDER_PRICE"].notna().tolist() == [False, True, True]


def test_files_folders_globs_and_compressions_are_one(tmp_path: Path) -> None:
    """CSV, gz, zst, Parquet and JSON side by side; sorted by name."""
    row = HEADER + "Trae Young,e1,2024-01-05,MIL,ATL,{},38.5,,-110,-110\n"
    folder = tmp_path / "odds"
    folder.mkdir()
    (folder / "a.csv").write_text(row.format("A"))
    (folder / "b.csv.gz").write_bytes(gzip.compress(row.format("B").encode()))
    (folder / "c.csv.zst").write_bytes(pa.compress(row.format("C").encode(), codec="zstd", asbytes=True))
    (folder / "d.json").write_text(json.dumps(event(market(*BOTH))))
    read_odds(folder / "a.csv").rename(columns=str.lower).rename(
        columns={"player": "player_name", "event_date": "date"}
    ).drop(columns=["tipoff", "alternate", "market"]).to_parquet(folder / "e.parquet")
    found = read_odds(folder)
    assert found["BOOKMAKER"].tolist() == ["A", "B", "C", "DraftKings", "A"]
    assert len(read_odds(str(folder / "*.csv*"))) == 3
    assert found["OVER_PRICE"].round(3).tolist() == [1.909, 1.909, 1.909, 1.91, 1.909]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("player_points_rebounds_assists", "PTS+REB+AST"),
        ("PRA", "PTS+REB+AST"),
        ("Pts + Rebs + Asts", "PTS+REB+AST"),
        ("player_points", "PTS"),
        ("Rebounds", "REB"),
        ("player_assists_alternate", "AST"),
        ("player_threes", "FG3M"),
        ("player_points_rebounds", "PTS+REB"),
        ("player_rebounds_assists", "REB+AST"),
        ("player_blocks_steals", "STL+BLK"),
        ("player_points_q1", None),
        ("player_first_basket", None),
        ("h2h", None),
    ],
)
def test_markets_are_known_by_their_names(name: str, target: str | None) -> None:
    """Sums in any order; halves, quarters and games are other markets."""
    found = read_market(name)
    assert (found.target if found else None) == target


def test_only_the_targets_lines_count(tmp_path: Path) -> None:
    """Those that do not say what they are on count as being on it."""
    header = HEADER.replace("line,", "line,market,")
    rows = [f"A,e,2024-01-05,MIL,ATL,B,9.5,{m},,-110,-110" for m in ("points", "", "player_points_alternate", "REB")]
    found = of_target(read(tmp_path, *rows, header=header), "PTS")
    assert found["MARKET"].tolist() == ["points", "", "player_points_alternate"]
    assert found["ALTERNATE"].tolist() == [False, False, True]
    assert len(of_target(read(tmp_path, *rows, header=header), "AST+REB+PTS")) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "A,e,2024-01-05,MIL,ATL,FD,many,,-110,-110",
            "row 2, column line: found 'many', expected a line from 0 to 200",
        ),
        ("A,e,2024-01-05,MIL,ATL,FD,,,-110,-110", "row 2, column line: found an empty cell, expected a line"),
        ("A,e,2024-01-05,MIL,ATL,FD,9.5,,1.91,-110", "row 2, column over_price: found '1.91', expected an American pr"),
        ("A,e,2024-01-05,MIL,ATL,FD,9.5,,-50,-110", "row 2, column over_price: found '-50', expected an American pr"),
        ("A,e,2024-01-05,MIL,ATL,FD,9.5,,1.91,1.0", "row 2, column under_price: found '1.0', expected a decimal price"),
        ("A,e,5 Jan,MIL,ATL,FD,9.5,,-110,-110", "row 2, column event_date: found '5 Jan', expected a date"),
        ("A,e,2024-01-05,MIL,ATL,FD,9.5,noon,-110,-110", "row 2, column timestamp: found 'noon', expected a time"),
        (",e,2024-01-05,MIL,ATL,FD,9.5,,-110,-110", "row 2, column player_name: found an empty cell, expected text"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, row: str, message: str) -> None:
    """One line with row, column, found, expected and the way out."""
    with pytest.raises(DataError, match=message):
        read(tmp_path, row)


def test_every_column_with_bad_cells_is_a_line(tmp_path: Path) -> None:
    """The first one is named, and how many more there are: a thousand are no reason to fill the screen."""
    good = "Trae Young,e1,2024-01-05,MIL,ATL,FD,38.5,,-110,-110"
    rows = [
        good,
        "A,e,soon,MIL,ATL,FD,many,,-110,-110",
        *[good] * 1000,
        ",e,2024-01-05,M,A,FD,9,,1,",
        "A,e,late,MIL,ATL,FD,9,,,",
    ]
    with pytest.raises(RowsError) as error:
        read(tmp_path, *rows)
    assert sorted(text.partition(", ")[2].partition(":")[0] for text in error.value.problems) == [
        "row 1004, column over_price",
        "row 1004, column player_name",
        "row 3, column event_date",
        "row 3, column line",
    ]
    assert [text for text in error.value.problems if "found 'soon' (and in 1 more rows)" in text]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1}', "found an object with id, expected an event with bookmakers"),
        ("[1]", "found '1', expected an event with bookmakers"),
        ("not json", "found text that is no JSON"),
        (json.dumps(event()), "found no player-prop line, expected over and under of a player market"),
        (json.dumps(event(market(*BOTH), commence_time="soon")), "commence_time: found 'soon', expected a time"),
        (json.dumps(event(market(*BOTH), home_team=None)), "home_team: found an empty cell, expected a team's name"),
        (json.dumps(event(market(("Yes", "A", 1.9, 9.5)))), "outcome 1, name: found 'Yes', expected Over or Under"),
        (
            json.dumps(event(market(("Over", "A", 0.5, 9.5), *BOTH))),
            "outcome 1, price: found '0.5', expected a decimal",
        ),
        (json.dumps(event(market(("Over", "", 1.9, 9.5)))), "outcome 1, description: found '', expected a player"),
        (json.dumps(event(market(("Over", "A", 1.9, -2)))), "outcome 1, point: found '-2', expected a line from 0"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(tmp_path: Path, content: str, message: str) -> None:
    """One line with file, event, book, market and outcome."""
    path = tmp_path / "odds.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        read_odds(path)
    assert "\n" not in str(error.value)
    assert "odds.json" in str(error.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """The header is row 1; half a row per side is no shape."""
    with pytest.raises(DataError, match="row 1, column home_team: found no such column, only player_name"):
        read(tmp_path, "A,x", header="player_name,event_date\n")
    with pytest.raises(DataError, match="row 1, column side: found no such column, only price"):
        read(tmp_path, "A,2024-01-05,B,C,9.5,1.9", header="player,date,home,away,line,price\n")


def test_a_misspelt_market_is_said() -> None:
    """Its rows would be left out without a word; halves and yes or no are other markets, and nobody meant them."""
    assert misspelt("player_points_rebonds_assists") == "'rebonds' (did you mean rebounds?)"
    for text in ("player_points_q1", "player_double_double", "PTS+REB", "first basket", ""):
        assert misspelt(text) is None
    odds = pd.DataFrame({"MARKET": ["player_points", "player_pionts", "player_double_double", ""]})
    assert unread_markets(odds) == {"player_pionts": 1, "player_double_double": 1}
