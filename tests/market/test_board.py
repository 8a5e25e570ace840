"""Which lines count: time, snapshots, duplicates, rungs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nbaprops.market.board import (
    FAR,
    HALF,
    MARGIN,
    MIXED,
    NO_PRICE,
    SPREADS,
    Board,
    chance_at,
    implied_centre,
    make_board,
)
from pytest_nbaprops.market.judge import judge
from pytest_nbaprops.market.settings import MarketSettings
from tests.market.frames import market_of, season

TARGET = "PTS+REB+AST"
KEYS = ["GAME_DATE", "GAME_ID", "PLAYER_ID"]
DAY = pd.Timestamp("2024-01-05")


def lines(*rows: dict[str, Any]) -> pd.DataFrame:
    """Matched lines of one player-game; what is not said is the same for all."""
    same = {
        "GAME_DATE": DAY, "GAME_ID": "0022300001", "PLAYER_ID": 1, "PLAYER": "A", "EVENT_ID": "e", "MARKET": "",
        "BOOKMAKER": "a", "ALTERNATE": False, "LINE": 25.5, "OVER_PRICE": 1.9, "UNDER_PRICE": 1.9,
        "TIMESTAMP": None, "TIPOFF": None,
    }  # fmt: skip
    frame = pd.DataFrame([{**same, **row} for row in rows])
    for name in ("TIMESTAMP", "TIPOFF"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ns, UTC]")
    return frame.astype({"GAME_DATE": "datetime64[ns]", "OVER_PRICE": "float64", "UNDER_PRICE": "float64"})


def board(*rows: dict[str, Any], snapshot: Any = "last") -> Board:
    return make_board(lines(*rows), TARGET, snapshot=snapshot)


def test_lines_after_tip_off_do_not_count() -> None:
    """Nor at it; nor, whatever the file says of it, after the latest tip-off of the date."""
    tipoff = "2024-01-06T00:10:00Z"
    found = board(
        {"TIPOFF": tipoff, "TIMESTAMP": "2024-01-06T00:09:59Z", "LINE": 25.5},
        {"TIPOFF": tipoff, "TIMESTAMP": tipoff, "LINE": 26.5},
        {"BOOKMAKER": "b", "TIMESTAMP": "2024-01-06T03:59:00Z", "LINE": 27.5},
        {"BOOKMAKER": "b", "TIMESTAMP": "2024-01-06T04:00:00Z", "LINE": 28.5},
        {"BOOKMAKER": "c", "TIPOFF": "2024-01-08T00:10:00Z", "TIMESTAMP": "2024-01-07T04:00:00Z", "LINE": 29.5},
    )
    assert found.lines["LINE"].tolist() == [25.5, 27.5]
    assert found.counts["after tip-off"] == 3


def test_the_snapshot_that_counts_is_a_setting() -> None:
    """Last before tip-off, or first; with the first comes the centre on which all books closed."""
    rows: list[dict[str, Any]] = [
        {"TIMESTAMP": f"2024-01-05T{hour}:00:00Z", "LINE": line} for hour, line in ((15, 24.5), (18, 25.5), (23, 26.5))
    ]
    assert board(*rows).lines["LINE"].tolist() == [26.5]
    first = board(*rows, {"BOOKMAKER": "b", "TIMESTAMP": "2024-01-05T16:00:00Z", "LINE": 27.5}, snapshot="first")
    assert first.lines["LINE"].tolist() == [24.5, 27.5]
    assert first.lines["CLOSE_CENTRE"][0] == pytest.approx(27.0)  # the median of 26.5 and 27.5
    assert np.isnan(first.lines["CLOSE_CENTRE"][1])  # the book has no later snapshot
    assert first.counts["other snapshots"] == 2


def test_a_line_that_comes_twice_counts_once() -> None:
    """The same twice is a duplicate; of two main lines at once the more balanced one counts."""
    found = board({}, {}, {"BOOKMAKER": "b", "LINE": 30.5, "OVER_PRICE": 3.0, "UNDER_PRICE": 1.3}, {"BOOKMAKER": "b"})
    assert found.lines[["BOOKMAKER", "LINE"]].to_numpy().tolist() == [["a", 25.5], ["b", 25.5]]
    assert found.counts["duplicates"] == 1


def test_what_is_not_bet_on_says_why() -> None:
    """No price, half a market, prices that cannot be of one line, a ladder; the lines still make the median."""
    found = board(
        {"BOOKMAKER": "a"},
        {"BOOKMAKER": "b", "OVER_PRICE": None, "UNDER_PRICE": None, "LINE": 24.5},
        {"BOOKMAKER": "c", "UNDER_PRICE": None, "LINE": 26.5},
        {"BOOKMAKER": "d", "OVER_PRICE": 2.4, "UNDER_PRICE": 2.4, "LINE": 60.5},
        {"BOOKMAKER": "e", "ALTERNATE": True, "LINE": 35.5},
    )
    assert found.lines["WHY"].tolist() == ["", NO_PRICE, HALF, MARGIN, "ladder beside the main line"]
    assert found.consensus["market"].tolist() == [25.5]
    assert found.consensus["books"].tolist() == [3]


def test_the_main_line_is_one_that_somebody_offers() -> None:
    """The one nearest to the median, the commoner of two."""
    found = board(*({"BOOKMAKER": str(i), "LINE": line} for i, line in enumerate([24.5, 24.5, 25.5, 25.5, 25.5, 26.5])))
    assert found.consensus[["market", "main_line"]].to_numpy().tolist() == [[25.5, 25.5]]
    even = board({"BOOKMAKER": "a", "LINE": 24.5}, {"BOOKMAKER": "b", "LINE": 25.5})
    assert even.consensus[["market", "main_line"]].to_numpy().tolist() == [[25.0, 24.5]]


@given(st.floats(5, 55), st.floats(0.3, 0.7), st.sampled_from([*SPREADS, "STL"]))
def test_centre_and_chance_undo_each_other(line: float, chance: float, target: str) -> None:
    """For every market; even money is the line itself."""
    centre = float(implied_centre(line, chance, target))
    assert float(chance_at(line, centre, target)) == pytest.approx(chance)
    assert float(implied_centre(line, 0.5, target)) == pytest.approx(line)


def with_mixed_rungs(matched: pd.DataFrame, book: str, share: float, seed: int) -> pd.DataFrame:
    """The lines with a book that joins the main price with a line several points away, as a join on the player does."""
    rng = np.random.default_rng(seed)
    theirs = (matched["BOOKMAKER"] == book) & (rng.random(len(matched)) < share)
    shift = rng.choice([-6.0, -5.0, 5.0, 6.0], len(matched))
    return matched.assign(LINE=matched["LINE"] + np.where(theirs, shift, 0.0))


@settings(max_examples=8, deadline=None)
# Below that, twenty dates may not show it: 6 of 120 seasons at 5%, 1 at 6%, none at 8%.
@given(st.integers(0, 10_000), st.floats(0.08, 0.9), st.sampled_from(["book0", "book3"]))
def test_a_book_with_mixed_rungs_is_found_and_no_other(seed: int, share: float, book: str) -> None:
    """Whatever the share; none of its lines counts any more."""
    _, matched = season(seed=seed, dates=20, books=5)
    found = make_board(with_mixed_rungs(matched, book, share, seed), TARGET)
    assert list(found.mixed) == [book]
    assert found.mixed[book]["share"] == pytest.approx(share, abs=0.12)
    assert (found.lines.loc[found.lines["BOOKMAKER"] == book, "WHY"] == MIXED).all()
    assert not (found.lines.loc[found.lines["BOOKMAKER"] != book, "WHY"] == MIXED).any()


def test_two_mixed_books_of_five_are_found() -> None:
    """Also where they err on the same rows."""
    _, matched = season(dates=40, books=5)
    for book in ("book1", "book4"):
        matched = with_mixed_rungs(matched, book, 0.6, 3)
    assert sorted(make_board(matched, TARGET).mixed) == ["book1", "book4"]


@pytest.mark.parametrize("book", ["book0", "book2"])
def test_a_book_alone_is_held_against_the_outcomes(book: str) -> None:
    """A line of its ladder with the main line's price: without another book only the outcomes say so."""
    predictions, matched = season(dates=40, books=3)
    actual = predictions[["GAME_DATE", "GAME_ID", "PLAYER_ID", "actual"]]
    alone = matched[matched["BOOKMAKER"] == book].reset_index(drop=True)
    honest = make_board(alone, TARGET, actual=actual)
    assert (honest.mixed, honest.contradicted) == ({}, {})
    # The price of 6 points below at the line, of 6 above at other times: as if the main line lay elsewhere.
    low = np.random.default_rng(1).random(len(alone)) < 0.5
    spoilt = alone.assign(OVER_PRICE=np.where(low, 1.4, 2.7), UNDER_PRICE=np.where(low, 2.7, 1.4))
    found = make_board(spoilt, TARGET, actual=actual)
    assert list(found.contradicted) == [book]
    assert (found.lines["WHY"] == MIXED).all()
    assert found.consensus.empty


def test_lines_as_a_whole_have_to_come_true() -> None:
    """Of another market, with unders missing, or each with the line and book that its outcome would have chosen."""
    predictions, matched = season(dates=90, books=3)
    matched["OVER_PRICE"] = np.random.default_rng(9).choice([1.8, 1.87, 1.95], len(matched))
    matched["UNDER_PRICE"] = 1 / (1.07 - 1 / matched["OVER_PRICE"])
    actual = predictions[["GAME_DATE", "GAME_ID", "PLAYER_ID", "actual"]]

    def impossible(lines: pd.DataFrame) -> str:
        return make_board(lines, TARGET, actual=actual).impossible

    assert impossible(matched) == ""
    assert impossible(matched.groupby(KEYS).head(1)) == ""
    points = impossible(matched.assign(LINE=np.floor(matched["LINE"] * 0.62) + 0.5))
    assert re.search(r"of 1,8\d\d player-games 9\d% went over the line, where the prices say 50% \(z = ", points)
    assert "of another market, or were picked" in points
    over = matched.merge(actual, on=KEYS)
    over["won"] = over["actual"] > over["LINE"]
    lost = over["won"] | (over["PLAYER_ID"] % 2 == 0)  # half of the unders
    assert "went over the line" in impossible(over[lost])
    best = np.where(over["won"], over["OVER_PRICE"], over["UNDER_PRICE"])
    chosen = over.assign(best=best).sort_values("best").drop_duplicates(KEYS, keep="last")
    assert "contrary to the prices" in impossible(chosen)
    assert make_board(chosen.drop_duplicates("GAME_ID").head(50), TARGET, actual=actual).impossible == ""  # too few


def exchanged(matched: pd.DataFrame, *books: str) -> pd.DataFrame:
    """With over's price as under's and the other way round at these books."""
    theirs = matched["BOOKMAKER"].isin(books)
    over, under = matched["OVER_PRICE"], matched["UNDER_PRICE"]
    return matched.assign(OVER_PRICE=over.mask(theirs, under), UNDER_PRICE=under.mask(theirs, over))


@pytest.fixture(scope="module")
def true_prices() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A season's outcomes, and one line each at five books, at chances between 0.45 and 0.55 that come true."""
    predictions, matched = season(dates=150, books=5)
    rng = np.random.default_rng(4)
    games = predictions[KEYS].assign(chance=rng.uniform(0.45, 0.55, len(predictions)), LINE=24.5)
    chance = matched[KEYS].merge(games, on=KEYS)["chance"].to_numpy() + rng.normal(0, 0.01, len(matched))
    priced = matched.assign(LINE=24.5, OVER_PRICE=1 / (chance * 1.07), UNDER_PRICE=1 / ((1 - chance) * 1.07))
    went_over = rng.random(len(games)) < games["chance"]
    return games[KEYS].assign(actual=np.where(went_over, 30.0, 20.0)), priced


@pytest.mark.parametrize("books", [(), ("book1",), ("book1", "book4")])
def test_a_book_with_over_and_under_exchanged_is_found(
    true_prices: tuple[pd.DataFrame, pd.DataFrame], books: tuple[str, ...]
) -> None:
    """Against the other books at the same line, with and without outcomes; nobody else is accused."""
    actual, matched = true_prices
    for outcomes in (None, actual):
        found = make_board(exchanged(matched, *books), TARGET, actual=outcomes)
        assert sorted(found.contrary) == list(books)
        assert set(found.lines.loc[found.lines["WHY"] == MIXED, "BOOKMAKER"]) == set(books)
        assert (found.contradicted, found.impossible) == ({}, "")


def test_all_prices_exchanged_do_not_come_true(true_prices: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """No book is contrary to another one then."""
    actual, matched = true_prices
    found = make_board(exchanged(matched, *matched["BOOKMAKER"].unique()), TARGET, actual=actual)
    assert found.contrary == {}
    assert "those of over and under are exchanged" in found.impossible


def test_the_closing_lines_have_to_come_true_too() -> None:
    """Who is measured by the close, and bets before it, is not measured by lines of another market."""
    predictions, matched = season(dates=60)
    actual = predictions[[*KEYS, "actual"]]
    first = matched.assign(TIMESTAMP=(matched["GAME_DATE"] + pd.Timedelta("15h")).dt.tz_localize("UTC"))
    close = first.assign(TIMESTAMP=first["TIMESTAMP"] + pd.Timedelta("6h"))
    other = close.assign(LINE=np.floor(close["LINE"] * 0.75) + 0.5)

    def impossible(late: pd.DataFrame) -> str:
        both = pd.concat([first, late], ignore_index=True)
        return make_board(both, TARGET, snapshot="first", actual=actual).impossible

    assert impossible(close) == ""
    assert impossible(other).startswith("at the close, of ")


def test_clean_books_are_not_accused() -> None:
    """And a single line far away is set aside without the book."""
    _, matched = season(dates=40, books=5)
    assert make_board(matched, TARGET).mixed == {}
    matched["LINE"] = matched["LINE"].where(matched.index != 3, matched["LINE"] + 8)
    found = make_board(matched, TARGET)
    assert found.mixed == {}
    assert (found.lines["WHY"] == FAR).sum() == 1


def test_mixed_rungs_make_no_money() -> None:
    """With them best-value betting would win for ever; the check takes them out."""
    predictions, matched = season(dates=80, books=5)
    spoilt = with_mixed_rungs(matched, "book2", 0.7, 1)
    honest, report = judge(predictions, market_of(matched)), judge(predictions, market_of(spoilt))
    assert not (report.bets["BOOKMAKER"] == "book2").any()
    assert report.metrics["roi"] < 0.1
    assert abs(report.metrics["roi"] - honest.metrics["roi"]) < 0.1
    assert report.market.problems()[0].startswith("book2: ")


def test_the_book_of_the_rule_is_found_in_any_case() -> None:
    """One-book=NAME; only its offers are taken."""
    predictions, matched = season(dates=40, knows=0.8)
    found = judge(predictions, market_of(matched, MarketSettings.read(rule="one-book=BOOK1")))
    assert set(found.bets["BOOKMAKER"]) == {"book1"}
