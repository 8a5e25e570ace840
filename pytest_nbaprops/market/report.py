"""What judging against the market came to: metrics for the gate, tables for people, one dict for decision.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import InconclusiveError
from pytest_nbaprops.gate.criteria import MARKET_METRICS
from pytest_nbaprops.gate.statistics import LEVEL, MIN_DATES, Interval, interval
from pytest_nbaprops.market.measures import MARKET_MEASURES, MEASURES, Measure, ratio_of, rounded_critical_value
from pytest_nbaprops.market.pickem import KEYS, break_even_per_pick, entries, read_multipliers
from pytest_nbaprops.metrics.betting import bets_to_know, break_even, drawdown, longest_losing_run
from pytest_nbaprops.metrics.point import Floats
from pytest_nbaprops.metrics.probability import calibration_error, calibration_table

if TYPE_CHECKING:
    from pytest_nbaprops.market.chances import Recalibration
    from pytest_nbaprops.market.opening import Market

MONEY: Final = ("roi", "win_rate", "n_bets", "profit", "clv")
# A model of the season 2023-24 is on the right side of 50% of all real lines, and bets break even at 52.4%. Lines of
# the player's game before put it on that of 57%, a noise of four points in each line on that of 62%.
MOST_RIGHT, ERRORS = 0.54, 3.0
EDGES: Final = (0.0, 0.01, 0.02, 0.04, 0.08, math.inf)


@dataclass(frozen=True, kw_only=True)
class MarketReport:
    """One model against the market.

    Attributes:
        market: the lines it was held against.
        rows: one row per player-game with a line and a prediction: the keys, actual, predicted, market (median line),
            main_line, books, kind of chance, over (chance of over at the main line, given no push), came, the scores of
            model and market, beyond and missed (the slope's x and y), blend, stake and profit where there was a bet.
        bets: one row per bet: book, side, line, decimal price, win and lose (chances), value (expected return),
            result, stake, profit, clv.
        controls: the same of blind over, blind under, a coin and the market's own chances.
        recalibration: what all lines teach, for games to come.
    """

    market: Market
    rows: pd.DataFrame
    bets: pd.DataFrame
    controls: Mapping[str, pd.DataFrame]
    recalibration: Recalibration | None

    # for the gate

    @cached_property
    def impossible(self) -> str:
        """Why the lines cannot be what the market said, so that nothing can be judged by them; else empty.

        Nobody is on the right side of all lines so often: not of those on which bets are lost, but of every one.
        """
        if self.market.board.impossible or self.market.settings.known_good:
            return self.market.board.impossible
        sides = np.sign(self.rows["predicted"] - self.rows["market"]) * np.sign(self.rows["missed"])
        right, count = int((sides > 0).sum()), int((sides != 0).sum())
        if not count or right / count - ERRORS * math.sqrt(0.25 / count) <= MOST_RIGHT:
            return ""
        return (
            f"the model is on the right side of {right / count:.0%} of {count:,} lines, and nobody is of all of them: "
            "they are not what the market said before these games; look at how they are joined, or say why with "
            "nbaprops_known_good = REASON"
        )

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric that is known, by the names that criteria, MLflow and decision.json use."""
        found = {name: measure.of(self.scope(name)) for name, measure in MEASURES.items()}
        found["drawdown"] = drawdown(self.bets["profit"])
        return {name: float(found[name]) for name in MARKET_METRICS if math.isfinite(found[name])}

    def measure(self, name: str) -> Measure | None:
        """The metric as a function of sums per game date; None where there is no such metric, or no interval of it."""
        return MEASURES.get(name)

    def market_measure(self, name: str) -> Measure | None:
        """What `market` stands for in a comparison with the metric; None where it stands for nothing."""
        return MARKET_MEASURES.get(name)

    def scope(self, name: str) -> pd.DataFrame:
        """The rows that the metric is about: for money those that could be bet on."""
        return self.rows[self.rows["kind"] == "recalibrated"] if name in MONEY else self.rows

    def interval_of(self, measure: Measure, rows: pd.DataFrame, *, level: float = LEVEL) -> Interval:
        """The interval of a metric on some of the rows; InconclusiveError with fewer than 20 dates."""
        return self._over_dates(measure.value, measure.sums(rows), level)

    def difference_of(self, ours: Measure, theirs: Measure, rows: pd.DataFrame, *, level: float = LEVEL) -> Interval:
        """The interval of ours - theirs, resampled together; InconclusiveError with fewer than 20 dates."""
        first, second = ours.sums(rows), theirs.sums(rows)
        width = first.shape[1]

        def difference(sums: Floats) -> Floats:
            return np.asarray(ours.value(sums[..., :width]) - theirs.value(sums[..., width:]))

        return self._over_dates(difference, np.concatenate([first, second], axis=1), level)

    def _over_dates(self, value: Callable[[Floats], Floats], sums: Floats, level: float) -> Interval:
        seed = self.market.settings.seed
        if len(sums) < MIN_DATES:
            raise InconclusiveError(
                f"{len(sums)} of the tested dates have a line that this is about, an interval needs {MIN_DATES}"
            )
        found = interval(value, sums, seed=seed, level=level, critical=rounded_critical_value)
        if not (math.isfinite(found.low) and math.isfinite(found.high)):
            telling = int(np.any(sums != 0, axis=1).sum())
            raise InconclusiveError(f"{telling} of {len(sums)} dates with a line tell of it, too few for an interval")
        return found

    def missing(self, name: str) -> str:
        if self.rows.empty:
            return "no player-game of the test has a line"
        if name == "clv":
            return "it takes --nbaprops-snapshot=first, bets, and a later snapshot of the same book before tip-off"
        if name in MONEY and self.bets.empty:
            return f"no bet was made; {self.chances_text}"
        return f"too few player-games have a line: {len(self.rows):,}"

    def remark(self, name: str) -> str | None:
        """What to say beside a metric of money: whether there are enough bets to know, and how many it would take."""
        if name not in ("roi", "profit", "win_rate"):
            return None
        if self.bets.empty:
            return "no bet was made"
        interval, roi = self.intervals.get("roi"), self.metrics.get("roi", math.nan)
        if interval is None:
            dates = self.bets["GAME_DATE"].nunique()
            return f"{len(self.bets):,} bets on {dates} dates are too few to know: an interval needs {MIN_DATES} dates"
        if interval.low > 0 or interval.high < 0:
            return None
        returns = self.bets["profit"] / self.bets["stake"].where(self.bets["stake"] > 0)
        needed = bets_to_know(roi, float(returns.std()))
        count = "no number of bets"
        if math.isfinite(needed):  # two digits are as much as such an estimate knows
            size = 10 ** max(0, math.floor(math.log10(max(needed, 1))) - 1)
            count = f"about {math.ceil(needed / size) * size:,} bets"
        return f"{len(self.bets):,} bets are too few to know: to show an ROI of {roi:+.1%} takes {count}"

    @cached_property
    def intervals(self) -> Mapping[str, Interval | None]:
        """The 95% interval of each metric that is known and more than a count; None with too few dates."""
        named = [name for name in MEASURES if name in self.metrics and name != "n_bets"]
        return {name: self._interval(MEASURES[name], self.scope(name)) for name in named}

    def _interval(self, measure: Measure, rows: pd.DataFrame) -> Interval | None:
        try:
            found = self.interval_of(measure, rows)
        except InconclusiveError:
            return None
        return found if math.isfinite(found.low) and math.isfinite(found.high) else None

    # for people

    @cached_property
    def money(self) -> pd.DataFrame:
        """Model and controls, a row each: bets, roi, win_rate, profit with low and high, break_even, drawdown, run."""
        played = {"model": self.bets, **{f"blind {side}": self.controls[side] for side in ("over", "under")}}
        played |= {"coin": self.controls["coin"], "market's chances": self.controls["market"]}
        return pd.DataFrame([{"who": who, **self._summary(bets)} for who, bets in played.items()])

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Profit so far after each date that could be bet on: `profit` is the model's, the others are the controls'."""
        if self.bets.empty:
            return pd.DataFrame()
        dates = pd.DatetimeIndex(sorted(self.scope("roi")["GAME_DATE"].unique()))
        played = {"profit": self.bets, "blind_over": self.controls["over"], "blind_under": self.controls["under"]}
        played |= {"coin": self.controls["coin"]}
        daily = {who: bets.groupby("GAME_DATE")["profit"].sum() for who, bets in played.items()}
        so_far = {who: sums.reindex(dates, fill_value=0.0).cumsum().to_numpy() for who, sums in daily.items()}
        return pd.DataFrame({"date": dates.strftime("%Y-%m-%d"), **so_far})

    def _summary(
        self, bets: pd.DataFrame, *, intervals: Sequence[str] = ("roi", "win_rate", "profit")
    ) -> dict[str, Any]:
        dated = self._dated(bets)
        row: dict[str, Any] = {"bets": len(bets)}
        for name in ("roi", "win_rate", "profit"):
            found = self._interval(MEASURES[name], dated) if name in intervals and len(bets) else None
            row[name] = MEASURES[name].of(dated)
            row |= {f"{name}_low": found.low if found else math.nan, f"{name}_high": found.high if found else math.nan}
        return row | {
            "break_even": break_even(bets["PRICE"], bets["stake"]),
            "drawdown": drawdown(bets["profit"]),
            "longest_losing_run": longest_losing_run(bets["result"]),
        }

    def _dated(self, bets: pd.DataFrame) -> pd.DataFrame:
        """The bets, and an empty row for each date on which there could have been one."""
        dates = self.scope("roi")[["GAME_DATE"]].drop_duplicates()
        money = bets[["GAME_DATE", "stake", "profit", "result"]]
        decided = money.assign(won=(money["result"] > 0) * 1.0, decided=(money["result"] != 0) * 1.0)
        return pd.concat([dates, decided.drop(columns="result")], ignore_index=True)

    @cached_property
    def breakdown(self) -> pd.DataFrame:
        """The model's bets by edge, side, book and month: `by`, `group` and the columns of `money`."""
        bets = self.bets
        steps = [f"{low:.0%} to {high:.0%}" for low, high in pairwise(EDGES[:-1])]
        edges = pd.cut(bets["value"], list(EDGES), labels=[*steps, f"{EDGES[-2]:.0%} and more"])
        groups = {
            "edge": edges.astype(str),
            "side": bets["SIDE"],
            "book": bets["BOOKMAKER"],
            "month": bets["GAME_DATE"].dt.strftime("%Y-%m"),
        }
        rows = [
            {"by": by, "group": str(group), **self._summary(part, intervals=() if by == "month" else ("roi",))}
            for by, labels in groups.items()
            for group, part in bets.groupby(labels, sort=True)
        ]
        return pd.DataFrame(rows)

    @cached_property
    def adds(self) -> dict[str, Any]:
        """What the model adds to the better blind side: the difference of the two ROIs on the same dates, paired."""
        table = self.money.set_index("who")["roi"]
        blind = table[["blind over", "blind under"]]
        if self.bets.empty or blind.isna().all():
            return {"side": None, "difference": None, "low": None, "high": None}
        side = str(blind.idxmax()).removeprefix("blind ")
        theirs = self._dated(self.controls[side]).rename(columns={"stake": "put", "profit": "gained"})
        both = pd.concat([self._dated(self.bets), theirs[["GAME_DATE", "put", "gained"]]], ignore_index=True)
        return {"side": side, **self._difference(MEASURES["roi"], ratio_of("gained", "put"), both)}

    def _difference(self, first: Measure, second: Measure, rows: pd.DataFrame) -> dict[str, float | None]:
        """First - second on the rows, with its 95% interval where there is one."""
        value = first.of(rows) - second.of(rows)
        try:
            found = self.difference_of(first, second, rows)
        except InconclusiveError:
            return {"difference": value, "low": None, "high": None}
        return {"difference": value, "low": found.low, "high": found.high}

    @cached_property
    def calibration(self) -> Mapping[str, pd.DataFrame]:
        """What was said and what came, in tenths: recalibrated chances, the model's before that, the market's."""
        judged = self.rows[self.rows["judged"]]
        columns = {"model": "over", "errors alone": "said", "market": "market_over"}
        return {who: calibration_table(judged[column], judged["came"]) for who, column in columns.items()}

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Model, its chances before the recalibration, and market on the same rows: every probability metric."""
        rows = []
        named = (("model", "used_", ""), ("errors alone", "", "said_"), ("market", "market_", "market_"))
        for who, prefix, scored in named:
            means = {
                "n": int(self.rows["judged"].sum()),
                "brier": self.rows[f"{scored}brier"].mean(),
                "log_loss": self.rows[f"{scored}log_loss"].mean(),
                "calibration_error": calibration_error(self.calibration[who]),
                "crps": self.rows[f"{prefix}crps"].mean(),
            }
            spans = {
                f"{what}{level}": self.rows[f"{prefix}{what}{level}"].mean()
                for level in (50, 80, 95)
                for what in ("coverage", "width")
            }
            rows.append({"who": who, **means, **spans})
        return pd.DataFrame(rows)

    @cached_property
    def pickem(self) -> pd.DataFrame:
        """What pick'em entries of the picks with the highest chances would have paid, at the books' main lines."""
        scope = self.scope("roi")
        over = scope["over"] >= 0.5  # noqa: PLR2004 - the likelier side
        side = np.where(over, 1, -1)
        chance = np.where(over, scope["over"], 1 - scope["over"])
        result = np.sign(scope["actual"] - scope["main_line"]) * side
        picks, table = scope[KEYS].assign(chance=chance, result=result), read_multipliers()
        rows = []
        for (play, size), pays in table.items():
            made = entries(picks, table, play, size)
            found = self._interval(MEASURES["roi"], made) if len(made) else None
            row = {
                "play": play,
                "picks": size,
                "break_even": break_even_per_pick(pays, size),
                "entries": len(made),
                "hit_rate": MEASURES["win_rate"].of(made) if len(made) else math.nan,
                "paid": float((made["stake"] + made["profit"]).sum()),
                "roi": MEASURES["roi"].of(made) if len(made) else math.nan,
                "roi_low": found.low if found else math.nan,
                "roi_high": found.high if found else math.nan,
            }
            rows.append(row)
        return pd.DataFrame(rows)

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """The blend's MAE minus the line's, on the rows where there is a blend; below 0 the model helps the line."""
        return self._difference(MEASURES["blend"], MARKET_MEASURES["blend"], self.rows)

    @property
    def said(self) -> tuple[str, ...]:
        """The report in plain words, a line each."""
        metrics, found = self.metrics, []
        if "beyond_line" in metrics:
            slope = self.intervals["beyond_line"]
            inside = f" [{slope.low:+.3f}, {slope.high:+.3f}]" if slope else ""
            more = slope is not None and slope.low > 0
            knows = "something that the line does not" if more else "nothing that shows beyond the line"
            found.append(f"beyond the line: slope {metrics['beyond_line']:+.3f}{inside}: the model knows {knows}")
        found.append(f"chances: {self.chances_text}")
        if "roi" in metrics:
            roi = self.intervals["roi"]
            inside = f" [{roi.low:+.1%}, {roi.high:+.1%}]" if roi else ""
            settings = self.market.settings
            rule = settings.rule if settings.book is None else f"{settings.rule}={settings.book}"
            found.append(f"{rule}: ROI {metrics['roi']:+.1%}{inside} on {len(self.bets):,} bets")
        if remark := self.remark("roi"):
            found.append(remark)
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """`market` of a candidate in decision.json: exact builtins, NaN and infinity as None."""
        board = self.market.board
        told: dict[str, Any] = _plain(
            {
                "target": self.market.target,
                "settings": asdict(self.market.settings),
                "lines": {
                    **board.counts,
                    "matched": self.market.lines.share,
                    "unmatched": {str(kind): int(n) for kind, n in self.market.lines.reasons().items()},
                    "mixed_rungs": board.mixed,
                    "contradicted": board.contradicted,
                    "contrary": board.contrary,
                    "not_bet_on": board.lines["WHY"].value_counts().drop("", errors="ignore").to_dict(),
                },
                "player_games": len(self.rows),
                "chances": self.chances_text,
                "metrics": self.metrics,
                "intervals": {n: [i.low, i.high] if i else None for n, i in self.intervals.items()},
                "money": self.money.to_dict("records"),
                "curve": self.curve.to_dict("records"),
                "breakdown": self.breakdown.to_dict("records"),
                "adds_to_blind": self.adds,
                "scores": self.scores.to_dict("records"),
                "calibration": {who: table.to_dict("records") for who, table in self.calibration.items()},
                "pickem": self.pickem.to_dict("records"),
                "blend_minus_line": self.comparison,
                "said": list(self.said),
            }
        )
        return told

    @property
    def chances_text(self) -> str:
        kinds = self.rows["kind"].value_counts()
        again, raw = int(kinds.get("recalibrated", 0)), int(kinds.get("errors", 0))
        if not again:
            return f"the model's own errors alone, not recalibrated: {raw:,} earlier lines are too few"
        return f"recalibrated on earlier lines for {again:,} player-games; on the {raw:,} before them nothing is bet"


def _plain(value: Any) -> Any:
    """Exact builtins all the way down."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
