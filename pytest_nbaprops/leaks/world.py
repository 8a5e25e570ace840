"""A world that could have been: the games up to a date as they were, and others from then on.

Everything in it is real: outcomes and features are those of other rows, so that an assertion about ranges, a logarithm
or a one-hot month still holds. An honest test cannot tell: its predictions of the rows that keep their features are the
same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.leaks.columns import Unknown, unknown_columns
from pytest_nbaprops.leaks.leak import NO_EXAMPLE
from pytest_nbaprops.leaks.perturb import Cutoff
from pytest_nbaprops.walkforward.dataset import Dataset

SHARE_HIDDEN, SHARE_OTHERS = 0.35, 0.35
TENTH = 10
# Predictions may be float32; what moves them by less than this decides nothing.
TOLERANCE = 1e-6
# One change at a time, to name the kind.
OUTCOMES, NEIGHBOURS, LATER, PRESENCE = "test outcomes", "test rows", "future rows", "same-day presence"
KINDS = (OUTCOMES, NEIGHBOURS, LATER, PRESENCE)

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class World:
    """The data of a world, and which of its rows to predict kept their features."""

    dataset: Dataset
    others: pd.MultiIndex

    def marked(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Predictions with `judged`: whether the row kept its features."""
        keys = pd.MultiIndex.from_frame(predictions[["GAME_ID", "PLAYER_ID"]])
        return predictions.assign(judged=~keys.isin(self.others))


def world(  # noqa: PLR0913 - what is changed, and how
    dataset: Dataset,
    *,
    cutoff: str,
    last: str,
    changes: Sequence[str] = KINDS,
    high: bool = True,
    seed: int = 0,
    known: Collection[str] = (),
) -> World:
    """A world that is another one from `cutoff` on; `last` is the last date whose predictions are compared.

    Outcomes of the compared dates are `high` or low ones, so that whoever chooses by them must choose another thing
    in one of the two; rows of a third of the players of these dates are hidden, a third of the rest have others'
    features, and later rows are others.
    """
    maker = _Maker(dataset, cutoff=np.datetime64(cutoff, "D"), last=np.datetime64(last, "D"), seed=seed, known=known)
    return maker.made(changes, high=high)


class _Maker:
    def __init__(
        self, dataset: Dataset, *, cutoff: np.datetime64, last: np.datetime64, seed: int, known: Collection[str]
    ) -> None:
        self.dataset, self.cutoff, self.last, self.seed = dataset, cutoff, last, seed
        self.unknown = unknown_columns(dataset.games, known)
        days = dataset.games["GAME_DATE"].to_numpy().astype("datetime64[D]")
        played = dataset.targets["actual"].notna().to_numpy()
        self.earlier: Positions = np.flatnonzero(days < cutoff)
        self.tested: Positions = np.flatnonzero((days >= cutoff) & (days <= last) & played)

    def made(self, changes: Sequence[str], *, high: bool) -> World:
        games = self._other_ending(high=high) if OUTCOMES in changes else self.dataset.games
        games, origin = self._other_rows(games, later=LATER in changes, hidden=PRESENCE in changes)
        source = np.maximum(origin, 0)
        others = self._others(origin) if NEIGHBOURS in changes else np.empty(0, dtype=np.intp)
        features = self._features(source, origin, others, later=LATER in changes)
        actual = target_values(games, self.dataset.target_columns)
        baseline = self.dataset.targets["baseline"].take(source).set_axis(games.index)
        data = replace(
            self.dataset,
            games=games,
            features=features,
            targets=pd.DataFrame({"actual": actual, "baseline": baseline}),
        )
        data.__dict__["game_dates"] = self.dataset.game_dates  # the folds are those of the session
        return World(dataset=data, others=pd.MultiIndex.from_frame(games[["GAME_ID", "PLAYER_ID"]].iloc[others]))

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, int(self.cutoff.astype(np.int64)), purpose])

    def _other_ending(self, *, high: bool) -> pd.DataFrame:
        """Outcomes from the cutoff on are those of other games; on the compared dates, of the best or the worst."""
        games = self.dataset.games
        cutoff = Cutoff(games, self.cutoff, seed=self.seed, unknown=self.unknown)
        ended = cutoff.other_ending().frame.set_axis(games.index)
        source = np.arange(len(games))
        source[self.tested] = self._rng(1).choice(self._tenth(high=high), len(self.tested))
        names = [name for name in self.unknown.outcomes if name in games]
        rows = np.zeros(len(games), dtype=bool)
        rows[self.tested] = True
        taken = {name: games[name].take(source).set_axis(games.index) for name in names}
        return ended.assign(**{name: taken[name].where(rows, ended[name]) for name in names})

    def _tenth(self, *, high: bool) -> Positions:
        """Earlier rows with the highest, or the lowest, tenth of the target."""
        actual = self.dataset.targets["actual"].to_numpy()
        pool = self.earlier[np.isfinite(actual[self.earlier])]
        pool = pool if len(pool) else self.tested
        order = pool[np.argsort(actual[pool], kind="stable")]
        count = max(1, len(order) // TENTH)
        return order[-count:] if high else order[:count]

    def _other_rows(self, games: pd.DataFrame, *, later: bool, hidden: bool) -> tuple[pd.DataFrame, Positions]:
        """Games without the rows that are hidden, and with other later ones; where each row came from."""
        origin = np.arange(len(games))
        if later:
            scene = Cutoff(games, self.last, seed=self.seed, unknown=Unknown(outcomes=())).future_rows()
            games, origin = scene.frame, scene.origin
        if hidden:
            there = ~np.isin(origin, self._hidden())
            games, origin = games[there], origin[there]
        return games.reset_index(drop=True), origin

    def _hidden(self) -> Positions:
        """A third of the rows to predict; one of each side stays, since the schedule is public."""
        rows = self._rng(2).permutation(self.tested)
        others = self.dataset.games[["GAME_ID", "TEAM_ABBREVIATION"]].iloc[rows].duplicated().to_numpy()
        hidden: Positions = rows[others & (self._rng(3).random(len(rows)) < SHARE_HIDDEN)]
        return hidden

    def _others(self, origin: Positions) -> Positions:
        """Positions of the rows to predict that get others' features: never all of a date."""
        rows = self._rng(4).permutation(np.flatnonzero(np.isin(origin, self.tested)))
        return np.sort(rows[: int(SHARE_OTHERS * len(rows))])

    def _features(self, source: Positions, origin: Positions, others: Positions, *, later: bool) -> pd.DataFrame:
        rows = source.copy()
        rows[others] = self._rng(5).choice(self.earlier if len(self.earlier) else source, len(others))
        if later:
            days = self.dataset.games["GAME_DATE"].to_numpy().astype("datetime64[D]")[source]
            after = np.flatnonzero((days > self.last) | (origin < 0))
            rows[after] = self._rng(6).permutation(rows[after])
        features = self.dataset.features
        if len(rows) == len(features) and np.array_equal(rows, np.arange(len(rows))):
            return features
        return features.take(rows).set_axis(pd.RangeIndex(len(rows)))


def moved_prediction(games: pd.DataFrame, true: pd.DataFrame, again: pd.DataFrame) -> dict[str, object] | None:
    """The largest move among the judged rows that both have; None where nothing moved.

    `true` and `again` have GAME_ID, PLAYER_ID, GAME_DATE and `predicted`; `again` says which rows are `judged`.
    """
    keys = ["GAME_ID", "PLAYER_ID"]
    both = true.merge(again.loc[again["judged"], [*keys, "predicted"]], on=keys, suffixes=("", "_again"))
    before, after = both["predicted"].to_numpy(float), both["predicted_again"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        size = np.abs(after - before)
        same = (size <= TOLERANCE * np.maximum(1.0, np.abs(before))) | (np.isnan(before) & np.isnan(after))
    if same.all():
        return None
    worst = int(np.where(same, -1.0, np.nan_to_num(size, nan=np.inf)).argmax())
    row = both.iloc[worst]
    return {
        "player": _name(games, int(row["PLAYER_ID"])),
        "date": f"{row['GAME_DATE']:%Y-%m-%d}",
        "column": None,
        "before": _number(before[worst]),
        "after": _number(after[worst]),
    }


# Nobody predicts every second game to the last digit; a rounded model is right in one of twenty.
EXACT, SHARE_COPIED, TELLING_ROWS = 1e-9, 0.5, 100


def copied_outcomes(predictions: pd.DataFrame) -> dict[str, object] | None:
    """A leak's example where predictions are the outcomes, however the test came by them; None where they are not.

    The most common outcome does not count, which a constant hits often, nor do games that the baseline hits as well.
    """
    actual, baseline = (predictions[name].to_numpy(dtype=np.float64) for name in ("actual", "baseline"))
    hit = np.abs(predictions["predicted"].to_numpy(dtype=np.float64) - actual) <= EXACT
    telling = actual != predictions["actual"].mode().iloc[0]
    if telling.sum() < TELLING_ROWS or hit[telling].mean() < SHARE_COPIED:
        return None
    if (np.abs(baseline - actual) <= EXACT)[telling].mean() > SHARE_COPIED / 2:
        return None
    return {**NO_EXAMPLE, "detail": f"{hit[telling].mean():.0%} of the predictions are the outcome itself"}


def _name(games: pd.DataFrame, player: int) -> str:
    names = games.loc[games["PLAYER_ID"] == player, "PLAYER_NAME"]
    return str(names.iloc[0]) if len(names) else str(player)


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
