"""Lines of games to come: chance, fair price, the best offer, and how sure all of that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.market.bets import allowed, choose, make_offers, offered_lines
from pytest_nbaprops.market.board import KEYS
from pytest_nbaprops.market.chances import FEWEST_LINES, Recalibration, given_no_push, moved
from pytest_nbaprops.market.prices import fair_price, to_american
from pytest_nbaprops.metrics.intervals import ErrorModel, sides_of

if TYPE_CHECKING:
    from pytest_nbaprops.market.opening import Market
    from pytest_nbaprops.market.report import MarketReport

COLUMNS: Final = (
    "line", "edge", "over", "under", "chance", "over_low", "over_high", "fair_over", "fair_under",
    "bet", "book", "bet_line", "price", "value", "books",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Experience:
    """What earlier lines say of a model: how to recalibrate its chances, and whether it was ever right.

    Attributes:
        recalibration: None where there were too few lines.
        warning: why its chances should not be bet on; None where earlier lines say they may.
    """

    recalibration: Recalibration | None
    warning: str | None

    @classmethod
    def of(cls, report: MarketReport | None) -> Experience:
        """From a judgement on earlier lines; None: there were none."""
        if report is None or report.rows.empty:
            said = "has never been held against lines: its chances are those of its own errors, which lines mostly know"
            return cls(recalibration=None, warning=f"{said}; give earlier lines with nbaprops_odds")
        lines, slope = len(report.rows), report.intervals.get("beyond_line")
        if report.recalibration is None:
            said = (
                f"has been held against {lines:,} earlier lines, {FEWEST_LINES} are needed to recalibrate its chances"
            )
            return cls(recalibration=None, warning=said)
        if slope is None or slope.low <= 0:
            inside = f" (slope {slope.point:+.3f} [{slope.low:+.3f}, {slope.high:+.3f}])" if slope else ""
            said = f"has never been right against lines: on {lines:,} of them nothing shows beyond the line{inside}"
            return cls(recalibration=report.recalibration, warning=said)
        return cls(recalibration=report.recalibration, warning=None)


def priced(
    rows: pd.DataFrame, market: Market, errors: ErrorModel | None, recalibration: Recalibration | None
) -> pd.DataFrame:
    """The COLUMNS of each row, on the rows' index.

    line (median of the books), edge (prediction minus line), over and under (chances), chance (`recalibrated` on
    earlier lines, or of the model's `errors` alone), over_low and over_high (95% interval of the recalibration),
    fair_over and fair_under (American prices without a margin), and the offer worth most under the bet rule: bet
    (`over` or `under`), book, bet_line, price (American), value (expected return per unit); books.

    `rows` has KEYS and predicted, one row per player-game. Without `errors` there are no chances.
    """
    merged = rows[[*KEYS, "predicted"]].reset_index().merge(market.board.consensus, on=KEYS, how="left")
    merged = merged.set_index("index").loc[rows.index]
    found = pd.DataFrame(index=rows.index, columns=list(COLUMNS), dtype=object)
    found["line"], found["books"] = merged["market"], merged["books"].astype("Int64")
    found["edge"] = merged["predicted"] - merged["market"]
    lined = merged[merged["market"].notna()]
    if errors is not None and len(lined):
        _fill(found, lined, market, errors, recalibration)
    numbers = [name for name in COLUMNS if name not in ("chance", "bet", "book", "books")]
    return found.astype(dict.fromkeys(numbers, "float64"))


def _fill(
    found: pd.DataFrame, lined: pd.DataFrame, market: Market, errors: ErrorModel, recalibration: Recalibration | None
) -> None:
    """Chances, fair prices and offers into `found`."""
    raw = errors.quantiles(lined["predicted"])
    main, line = lined["main_line"].to_numpy(), lined["market"].to_numpy()
    said = given_no_push(*sides_of(raw, main, whole=errors.whole))
    used = raw if recalibration is None else moved(raw, main, recalibration.apply(said))
    under, over = sides_of(used, line, whole=errors.whole)
    values: dict[str, Any] = {
        "over": over,
        "under": under,
        "chance": "errors" if recalibration is None else "recalibrated",
        "fair_over": to_american(fair_price(over, under)),
        "fair_under": to_american(fair_price(under, over)),
    }
    if recalibration is not None:
        low, high = recalibration.interval(said)
        values |= {"over_low": low, "over_high": high}
    for name, value in values.items():
        found.loc[lined.index, name] = value
    best = _best(lined, used, market, whole=errors.whole)
    for name in best.columns:
        found.loc[best.index, name] = best[name]


def _best(lined: pd.DataFrame, used: Any, market: Market, *, whole: bool) -> pd.DataFrame:
    """The offer worth most of each row, whether or not it is worth taking, on the rows' index."""
    told = lined[[*KEYS, "centre"]].assign(actual=np.nan)
    offers = make_offers(offered_lines(market.board.lines, told, used, market.target, whole=whole))
    chosen = choose(allowed(offers, market.settings), "value", min_edge=None)
    best = chosen.merge(lined[KEYS].assign(_index=lined.index), on=KEYS).set_index("_index")
    named = best.rename(columns={"SIDE": "bet", "BOOKMAKER": "book", "LINE": "bet_line"})
    return named.assign(price=to_american(best["PRICE"]))[["bet", "book", "bet_line", "price", "value"]]
