"""The report, every number of it recounted slowly and independently from lines and predictions."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.gate.criteria import MARKET_METRICS
from pytest_nbaprops.market.bets import make_offers
from pytest_nbaprops.market.judge import judge
from pytest_nbaprops.market.report import MarketReport
from pytest_nbaprops.market.settings import MarketSettings
from tests.market.frames import market_of, season

KEYS = ["GAME_DATE", "GAME_ID", "PLAYER_ID"]


def judged(rule: str = "best-value", *, stake: str = "flat", min_edge: str = "0", **kind: Any) -> MarketReport:
    """A model that knows a good deal, at books whose prices differ; some lines are whole."""
    predictions, matched = season(**{"dates": 60, "knows": 0.5, **kind})
    rng = np.random.default_rng(9)
    matched["OVER_PRICE"] = rng.choice([1.8, 1.87, 1.95, 2.05], len(matched))
    matched["UNDER_PRICE"] = 1 / (1.07 - 1 / matched["OVER_PRICE"])
    matched["LINE"] -= rng.choice([0, 0.5], len(matched))
    return judge(predictions, market_of(matched, MarketSettings.read(rule=rule, stake=stake, min_edge=min_edge)))


def slow_bets(report: MarketReport) -> dict[Any, tuple[str, str, float, float]]:
    """Book, side, line and price of each bet, by a plain loop over what each book offers."""
    settings = report.market.settings
    chances = chances_of(report)
    found = {}
    for key, every in chances.items():
        offers = [offer for offer in every if settings.book in (None, offer["book"])]
        if settings.rule == "best-line":
            every_offer, offers = offers, []
            for side, sign in (("over", 1), ("under", -1)):
                mine = [offer for offer in every_offer if offer["side"] == side]
                offers.append(min(mine, key=lambda o: (sign * o["line"], -o["price"], o["book"])))
        worth = [(o["win"] * (o["price"] - 1) - o["lose"], o) for o in offers]
        worth = [(value, o) for value, o in worth if value > 0 and value >= settings.min_edge]
        if worth:
            _, o = min(worth, key=lambda pair: (-pair[0], -pair[1]["price"], pair[1]["book"], pair[1]["side"]))
            found[key] = (o["book"], o["side"], o["line"], o["price"])
    return found


def each(frame: pd.DataFrame) -> list[Any]:
    """Its rows, as named tuples of whatever is in them."""
    return list(frame.itertuples())


def chances_of(report: MarketReport) -> dict[Any, list[dict[str, Any]]]:
    """Every offer with the chances that the report's own function gives; what is bet on them is recounted."""
    captured: list[pd.DataFrame] = []

    def capturing(lines: pd.DataFrame) -> pd.DataFrame:
        captured.append(lines)
        return make_offers(lines)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_nbaprops.market.judge.make_offers", capturing)
        judge(report.rows[[*KEYS, "actual", "predicted"]], report.market)
    by_game = defaultdict(list)
    for row in captured[0].to_dict("records"):
        for side, other in (("over", "under"), ("under", "over")):
            by_game[row["GAME_DATE"], row["GAME_ID"], row["PLAYER_ID"]].append(
                {
                    "book": row["BOOKMAKER"],
                    "side": side,
                    "line": row["LINE"],
                    "price": row[f"{side.upper()}_PRICE"],
                    "win": row[side],
                    "lose": row[other],
                }
            )
    return dict(by_game)


@pytest.mark.parametrize(
    ("rule", "edge"), [("best-value", "0"), ("best-value", "5%"), ("best-line", "0"), ("one-book=book1", "0.02")]
)
def test_bets_are_those_of_a_plain_loop(rule: str, edge: str) -> None:
    """One a player-game, one side, at what one book offered together, worth it by the model's chances."""
    report = judged(rule, min_edge=edge)
    columns = ["BOOKMAKER", "SIDE", "LINE", "PRICE"]
    ours = {tuple(row[:3]): tuple(row[3:]) for row in report.bets[[*KEYS, *columns]].itertuples(index=False)}
    assert ours == slow_bets(report)
    assert len(ours) == len(report.bets) > 50
    board = {tuple(row) for row in report.market.board.lines[[*KEYS, "BOOKMAKER", "LINE", "OVER_PRICE"]].to_numpy()}
    over = report.bets[report.bets["SIDE"] == "over"]
    assert all(tuple(row) in board for row in over[[*KEYS, "BOOKMAKER", "LINE", "PRICE"]].to_numpy())


@pytest.mark.parametrize("stake", ["flat", "kelly 0.25"])
def test_money_is_counted_by_hand(stake: str) -> None:
    """ROI, win rate, profit, drawdown, losing run, break-even, from line, price and outcome alone."""
    report = judged(stake=stake)
    actual = report.rows.set_index(KEYS)["actual"].to_dict()
    put = gained = won = lost = run = longest = 0.0
    top = fall = returns = 0.0
    for bet in each(report.bets):
        beat = actual[bet.GAME_DATE, bet.GAME_ID, bet.PLAYER_ID] - bet.LINE
        beat = beat if bet.SIDE == "over" else -beat
        profit = bet.stake * (bet.PRICE - 1) if beat > 0 else -bet.stake if beat < 0 else 0.0
        put, gained, returns = put + bet.stake, gained + profit, returns + bet.stake * bet.PRICE
        won, lost = won + (beat > 0), lost + (beat < 0)
        run = run + 1 if beat < 0 else 0 if beat > 0 else run
        longest, top = max(longest, run), max(top, gained)
        fall = max(fall, top - gained)
    metrics, money = report.metrics, report.money.set_index("who").loc["model"]
    assert metrics["n_bets"] == len(report.bets)
    assert metrics["profit"] == pytest.approx(gained)
    assert metrics["roi"] == pytest.approx(gained / put) == pytest.approx(money["roi"])
    assert metrics["win_rate"] == pytest.approx(won / (won + lost)) == pytest.approx(money["win_rate"])
    assert metrics["drawdown"] == pytest.approx(fall)
    assert money["longest_losing_run"] == longest
    assert money["break_even"] == pytest.approx(put / returns)
    assert won + lost < len(report.bets)  # some were pushed


def test_kelly_stakes_are_counted_by_hand() -> None:
    """A quarter of (win b - lose) / (b (win + lose)) of 100 units; never more than 100 a date."""
    report = judged(stake="kelly 0.25")
    for date, bets in report.bets.groupby("GAME_DATE"):
        wanted = []
        for bet in each(bets):
            b = bet.PRICE - 1
            wanted.append(25 * (bet.win * b - bet.lose) / (b * (bet.win + bet.lose)))
        scale = min(1, 100 / sum(wanted))
        assert bets["stake"].tolist() == pytest.approx([scale * stake for stake in wanted]), date
        assert bets["stake"].sum() <= 100 + 1e-9


def test_chances_and_the_line_are_counted_by_hand() -> None:
    """Brier, log loss, market MAE and Brier, slope, blend, coverage and CRPS, for model and market."""
    report = judged()
    rows, metrics = report.rows, report.metrics
    scored = [r for r in each(rows) if r.kind == "recalibrated" and r.actual != r.main_line]
    came = [float(r.actual > r.main_line) for r in scored]
    brier = [(r.over - y) ** 2 for r, y in zip(scored, came, strict=True)]
    loss = [-math.log(r.over if y else 1 - r.over) for r, y in zip(scored, came, strict=True)]
    market = [(r.market_over - y) ** 2 for r, y in zip(scored, came, strict=True)]
    assert metrics["brier"] == pytest.approx(np.mean(brier))
    assert metrics["log_loss"] == pytest.approx(np.mean(loss))
    assert metrics["market_brier"] == pytest.approx(np.mean(market))
    assert metrics["market_mae"] == pytest.approx(np.mean([abs(r.actual - r.market) for r in each(rows)]))
    slope = np.polyfit(rows["predicted"] - rows["market"], rows["actual"] - rows["market"], 1)[0]
    assert metrics["beyond_line"] == pytest.approx(slope)
    errors = []
    for date in sorted(rows["GAME_DATE"].unique()):
        before, here = rows[rows["GAME_DATE"] < date], rows[rows["GAME_DATE"] == date]
        if len(before) >= 300:
            x, y = before["predicted"] - before["market"], before["actual"] - before["market"]
            share = min(max(float((x * y).sum() / (x * x).sum()), 0), 1)
            blend = here["market"] + share * (here["predicted"] - here["market"])
            errors += (here["actual"] - blend).abs().tolist()
    assert metrics["blend"] == pytest.approx(np.mean(errors))
    assert set(metrics) == set(MARKET_METRICS) - {"clv"}


def test_medians_and_market_chances_are_counted_by_hand() -> None:
    """From each book's line and prices."""
    report = judged()
    lines = report.market.board.lines
    for row in each(report.rows.head(60)):
        mine = lines[(lines["GAME_ID"] == row.GAME_ID) & (lines["PLAYER_ID"] == row.PLAYER_ID) & (lines["WHY"] == "")]
        assert row.market == np.median(mine["LINE"])
        fair = (1 / mine["OVER_PRICE"]) / (1 / mine["OVER_PRICE"] + 1 / mine["UNDER_PRICE"])
        centre = np.median(mine["LINE"] + (fair - 0.5) * 2.5066 * (4 + 0.17 * mine["LINE"]))
        expected = 0.5 + (centre - row.main_line) / (2.5066 * (4 + 0.17 * row.main_line))
        assert row.market_over == pytest.approx(expected, abs=1e-4)


def test_controls_bet_the_same_player_games() -> None:
    """Blind over and under bet on all that could be bet on, the coin one side of each, all one unit."""
    report = judged("one-book=book0")
    lines = report.market.board.lines
    offered = lines[(lines["BOOKMAKER"] == "book0") & (lines["WHY"] == "")]
    could = report.scope("roi").merge(offered[KEYS], on=KEYS)
    over, under, coin = (report.controls[name] for name in ("over", "under", "coin"))
    assert len(over) == len(under) == len(coin) == len(could)
    assert set(over["SIDE"]) == {"over"}
    both = pd.concat([over, under]).set_index([*KEYS, "SIDE"])["profit"]
    assert coin.set_index([*KEYS, "SIDE"])["profit"].equals(both.loc[coin.set_index([*KEYS, "SIDE"]).index])
    assert 0.4 < (coin["SIDE"] == "over").mean() < 0.6
    again = judged("one-book=book0")
    assert again.controls["coin"].equals(coin)


def test_a_coin_loses_the_books_margin() -> None:
    """At one book whose lines are the truth: 1 - 1/1.07 = 6.5% of what it stakes."""
    predictions, matched = season(dates=200, players=40)
    report = judge(predictions, market_of(matched, MarketSettings.read(rule="one-book=book0")))
    coin = report.money.set_index("who").loc["coin"]
    assert coin["roi"] == pytest.approx(1.87 / 2 - 1, abs=0.02)
    assert coin["roi_high"] < 0


def test_a_model_that_knows_nothing_is_told_so() -> None:
    """Its slope's interval holds 0, and its ROI is no better than a coin's."""
    predictions, matched = season(dates=80)
    report = judge(predictions, market_of(matched))
    slope = report.intervals["beyond_line"]
    assert slope is not None
    assert slope.low < 0.05
    assert report.metrics["roi"] < 0 or report.bets.empty
    assert any("nothing that shows beyond the line" in line or "something" in line for line in report.said)


def test_a_model_that_knows_more_than_the_line_is_told_so() -> None:
    """Slope near 1, money, a blend better than the line, chances better than the market's."""
    predictions, matched = season(dates=80, knows=1.0)
    report = judge(predictions, market_of(matched))
    metrics, roi = report.metrics, report.intervals["roi"]
    assert metrics["beyond_line"] == pytest.approx(1, abs=0.1)
    assert roi is not None
    assert roi.low > 0
    assert metrics["brier"] < metrics["market_brier"] - 0.02
    assert report.comparison["high"] < 0
    assert report.adds["low"] > 0
    assert report.remark("roi") is None


def test_too_few_bets_are_said_in_plain_words() -> None:
    """With the number that it would take."""
    report = judged(knows=0.1, dates=80)
    roi = report.intervals["roi"]
    assert roi is not None
    assert roi.low <= 0 <= roi.high
    said = report.remark("roi") or ""
    assert f"{len(report.bets):,} bets are too few to know: to show an ROI of {report.metrics['roi']:+.1%}" in said
    needed = int(said.split("about ")[1].split(" bets")[0].replace(",", ""))
    spread = (report.bets["profit"] / report.bets["stake"]).std()
    assert needed == pytest.approx((1.96 * spread / report.metrics["roi"]) ** 2, rel=0.1)
    assert said in report.said


def test_closing_line_value_is_counted_by_hand() -> None:
    """Where the first snapshot counts and a later one is there: the closing fair chance times the price, less 1."""
    predictions, matched = season(dates=60, knows=0.5)
    early = matched.assign(TIMESTAMP=(matched["GAME_DATE"] + pd.Timedelta(hours=15)).dt.tz_localize("UTC"))
    late = early.assign(TIMESTAMP=early["TIMESTAMP"] + pd.Timedelta(hours=5), LINE=early["LINE"] + 1)
    both = pd.concat([early, late], ignore_index=True)
    report = judge(predictions, market_of(both, MarketSettings.read(snapshot="first")))
    values = []
    for bet in each(report.bets.head(40)):
        mine = late[(late["GAME_ID"] == bet.GAME_ID) & (late["PLAYER_ID"] == bet.PLAYER_ID)]
        above = 0.5 + (mine["LINE"].median() - bet.LINE) / (2.5066 * (4 + 0.17 * bet.LINE))
        values.append((above if bet.SIDE == "over" else 1 - above) * bet.PRICE - 1)
    assert report.bets["clv"].head(40).tolist() == pytest.approx(values, abs=1e-4)
    assert report.metrics["clv"] == pytest.approx(report.bets["clv"].mean())
    assert "clv" not in judge(predictions, market_of(both)).metrics


def test_the_report_is_plain_json() -> None:
    """Exact builtins, no NaN; the bets in groups add up to all of them."""
    report = judged()
    told = report.to_dict()
    text = json.dumps(told, allow_nan=False)
    assert json.loads(text) == told
    for by in ("edge", "side", "book", "month"):
        assert sum(row["bets"] for row in told["breakdown"] if row["by"] == by) == len(report.bets)
        assert sum(row["profit"] for row in told["breakdown"] if row["by"] == by) == pytest.approx(
            report.metrics["profit"]
        )
    assert {row["who"] for row in told["money"]} == {"model", "blind over", "blind under", "coin", "market's chances"}


def test_without_a_line_there_is_nothing_to_judge() -> None:
    """No metric, no bet, no error."""
    predictions, matched = season(dates=30)
    report = judge(predictions, market_of(matched.assign(PLAYER_ID=matched["PLAYER_ID"] + 1000)))
    assert report.metrics == {"n_bets": 0.0, "profit": 0.0, "drawdown": 0.0}
    assert json.dumps(report.to_dict(), allow_nan=False)
    assert report.missing("roi") == "no player-game of the test has a line"


def test_a_line_without_prices_is_a_line_and_no_chance() -> None:
    """One player-game whose line has no price at any book: the others are judged as without it."""
    predictions, matched = season(dates=60, knows=0.5)
    first = (matched[KEYS] == matched[KEYS].iloc[700]).all(axis=1)
    without = judge(predictions, market_of(matched[~first].reset_index(drop=True)))
    unpriced = matched.assign(
        OVER_PRICE=matched["OVER_PRICE"].mask(first), UNDER_PRICE=matched["UNDER_PRICE"].mask(first)
    )
    report = judge(predictions, market_of(unpriced))
    assert len(report.rows) == len(without.rows) + 1
    for name in ("n_bets", "roi", "market_brier", "coverage80"):
        assert report.metrics[name] == pytest.approx(without.metrics[name], rel=0.02)
    assert json.dumps(report.to_dict(), allow_nan=False)


def test_offers_have_both_sides_of_every_line() -> None:
    """Results are those of the outcome; a push is neither."""
    lines = pd.DataFrame(
        {"GAME_DATE": [pd.Timestamp("2024-01-01")] * 2, "GAME_ID": "g", "PLAYER_ID": [1, 2], "BOOKMAKER": "a"}
    ).assign(LINE=20.0, OVER_PRICE=1.9, UNDER_PRICE=1.8, over=0.5, under=0.4, market_over=0.5, market_under=0.4)
    offers = make_offers(lines.assign(actual=[25.0, 20.0]))
    assert offers[["SIDE", "PRICE", "result"]].to_numpy().tolist() == [
        ["over", 1.9, 1], ["under", 1.8, -1], ["over", 1.9, 0], ["under", 1.8, 0]
    ]  # fmt: skip
    assert offers["value"].tolist()[:2] == pytest.approx([0.5 * 0.9 - 0.4, 0.4 * 0.8 - 0.5])


def test_nobody_is_right_about_all_lines() -> None:
    """Lines of other nights are far off, and whatever the model says is on their right side: nothing is judged by them.

    Half of what the line misses is more than anybody knows; a tenth of it is what a good model may.
    """
    predictions, matched = season(dates=60, knows=0.1)
    assert judge(predictions, market_of(matched)).impossible == ""
    off = np.random.default_rng(3).normal(0, 6, len(matched)).round()
    there = judge(predictions, market_of(matched.assign(LINE=matched["LINE"] + off)))
    assert "nobody is of all of them" in there.impossible
    excused = market_of(matched.assign(LINE=matched["LINE"] + off), MarketSettings(known_good=True))
    assert judge(predictions, excused).impossible == ""
