"""The real lines of 2023-24, judged with the last-10 mean: what was measured on them must come out again."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.schema import KEY_COLUMNS, target_values
from pytest_nbaprops.features.baseline import baseline_predictions
from pytest_nbaprops.market import board
from pytest_nbaprops.market.inspection import inspect_odds
from pytest_nbaprops.market.judge import judge
from pytest_nbaprops.market.odds import read_odds
from pytest_nbaprops.market.opening import open_market
from pytest_nbaprops.market.report import MarketReport
from pytest_nbaprops.market.settings import MarketSettings

REAL = Path(__file__).parents[2].parent / "shared" / "data"
TARGET = ("PTS", "REB", "AST")
pytestmark = pytest.mark.skipif(not REAL.exists(), reason="real game logs and odds are not here")


@cache
def games() -> pd.DataFrame:
    return load_games(REAL / "game_logs" / "202[23]-*.csv")


@cache
def report(rule: str = "best-value") -> MarketReport:
    """The mean of the last ten games against the lines."""
    frame = games()[[*KEY_COLUMNS, "SEASON"]].assign(
        actual=target_values(games(), TARGET), predicted=np.asarray(baseline_predictions(games(), TARGET))
    )
    frame = frame[frame["SEASON"] == "2023-24"]
    market = open_market(odds(), games(), "PTS+REB+AST", MarketSettings.read(rule=rule))
    return judge(frame, market)


@cache
def odds() -> pd.DataFrame:
    return read_odds(REAL / "odds" / "2023-24.csv")


def test_the_line_is_better_than_the_last_ten_games() -> None:
    """6.13 against 6.76 on the player-games with a line."""
    rows = report().rows
    assert len(rows) == pytest.approx(4578, abs=4)
    assert report().metrics["market_mae"] == pytest.approx(6.13, abs=0.02)
    assert (rows["actual"] - rows["predicted"]).abs().mean() == pytest.approx(6.757, abs=0.02)


def exchanged(*books: str) -> board.Board:
    """The board with over's price as under's and the other way round at these books."""
    lines = odds()
    theirs, over, under = lines["BOOKMAKER"].isin(books), lines["OVER_PRICE"], lines["UNDER_PRICE"]
    other = lines.assign(OVER_PRICE=over.mask(theirs, under), UNDER_PRICE=under.mask(theirs, over))
    return open_market(other, games(), "PTS+REB+AST", MarketSettings()).board


@pytest.mark.parametrize("books", [(), ("DraftKings",), ("BetMGM", "DraftKings", "FanDuel")])
def test_books_with_exchanged_prices_are_contrary_to_the_others(books: tuple[str, ...]) -> None:
    """And no other book is, nor one as it is in the file."""
    found = exchanged(*books)
    assert (sorted(found.contrary), found.impossible) == (sorted(books), "")


def test_exchanged_prices_at_all_books_do_not_come_true() -> None:
    """With them betting would have brought 8% on this season."""
    assert "those of over and under are exchanged" in exchanged(*odds()["BOOKMAKER"].unique()).impossible


def test_two_books_mix_rungs_and_no_other() -> None:
    """71% of their rows are off, at most 0.3% of any other's."""
    mixed = report().market.board.mixed
    assert sorted(mixed) == ["BetRivers", "Unibet"]
    assert all(row["share"] == pytest.approx(0.72, abs=0.02) for row in mixed.values())
    lines = report().market.board.lines
    others = lines[~lines["BOOKMAKER"].isin(mixed)]
    far = (others["WHY"] == board.FAR).groupby(others["BOOKMAKER"]).mean()
    assert far.max() < 0.004


def test_the_outcomes_find_the_same_two_books() -> None:
    """By their own prices alone, which is what is left where a file has one book."""
    found = odds()[odds()["BOOKMAKER"].isin(["Unibet", "FanDuel"])]
    for book, wrong in (("Unibet", True), ("FanDuel", False)):
        alone = open_market(found[found["BOOKMAKER"] == book], games(), "PTS+REB+AST", MarketSettings())
        assert alone.board.mixed == {}
        assert bool(alone.board.contradicted) == wrong
    assert report().market.board.contradicted == {}  # those that the others had not found already


def test_lines_of_points_are_not_those_of_the_three() -> None:
    """The file has no column of its market: 84% of the player-games would go over. As they are, its lines can be."""
    assert report().market.board.impossible == ""
    points = odds().assign(LINE=np.floor(odds()["LINE"] * 0.62) + 0.5)
    said = open_market(points, games(), "PTS+REB+AST", MarketSettings()).board.impossible
    assert "84% went over the line, where the prices say 50%" in said


@pytest.mark.parametrize("rule", ["best-value", "best-line", "one-book=BetMGM"])
def test_there_is_no_money_in_this_file(rule: str) -> None:
    """Not for the last-10 mean under any rule."""
    roi = report(rule).intervals["roi"]
    assert roi is not None
    assert roi.low < 0
    assert not (report(rule).bets["BOOKMAKER"].isin(["BetRivers", "Unibet"])).any()


def test_with_the_mixed_books_there_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is why the check is always on."""
    frame = report().rows[[*KEY_COLUMNS, "actual", "predicted"]]  # made, and kept for all tests, with the check
    monkeypatch.setattr(board, "rungs_mixed", lambda *_: {})
    monkeypatch.setattr(board, "contradicted", lambda *_: {})
    monkeypatch.setattr(board, "off_the_others", lambda lines, _: np.zeros(len(lines), dtype=bool))
    unchecked = judge(frame, open_market(odds(), games(), "PTS+REB+AST", MarketSettings()))
    roi = unchecked.intervals["roi"]
    assert roi is not None
    assert roi.low > 0.05


def test_a_coin_at_one_book_loses_its_margin() -> None:
    """Within the interval; blind over loses more, blind under less."""
    money = report("one-book=BetMGM").money.set_index("who")
    lines = report().market.board.lines
    margin = (1 / lines["OVER_PRICE"] + 1 / lines["UNDER_PRICE"] - 1)[lines["BOOKMAKER"] == "BetMGM"].mean()
    lost = -margin / (1 + margin)
    assert money["roi_low"]["coin"] < lost < money["roi_high"]["coin"]
    assert money["roi"]["blind over"] < money["roi"]["coin"] < money["roi"]["blind under"]


def test_recalibrated_chances_come_true() -> None:
    """Brier at most .2505 on the second half; nine of ten tenths within the binomial interval; 80% cover 78 to 82%."""
    rows = report().rows
    second = rows.iloc[len(rows) // 2 :]
    assert second["brier"].mean() <= 0.2505
    assert second["said_brier"].mean() > 0.26  # the errors alone are no chances against lines
    assert report().calibration["model"]["holds"].sum() >= 9
    assert report().metrics["coverage80"] == pytest.approx(0.8, abs=0.02)


def test_a_look_at_the_file_finds_the_same() -> None:
    """What `nbaprops check` says."""
    found = inspect_odds(odds(), games(), "PTS+REB+AST")
    assert found.facts["rows"] == 29_592
    assert found.facts["matched"] > 0.999
    assert sorted(found.facts["mixed rungs"]) == ["BetRivers", "Unibet"]
    assert found.facts["duplicates"] > 800
    assert len(found.problems) == 2
