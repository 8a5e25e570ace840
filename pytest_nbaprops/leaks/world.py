"""A world that could have been: the games up to a date as they were, and others from then on.

Everything in it is real: outcomes and features are those of other rows, so that an assertion about ranges, a logarithm
or a one-hot month still holds. An honest test cannot tell: its predictions of the rows that keep their features are the
same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.leaks.columns import Unknown, unknown_columns
from pytest_nbaprops.leaks.leak import detail_of, moved_value
from pytest_nbaprops.leaks.perturb import Cutoff, days_of
from pytest_nbaprops.walkforward.dataset import Dataset

SHARE_HIDDEN = 0.35
TENTH = 10
# Predictions may be float32; what moves them by less than this decides nothing.
TOLERANCE = 1e-6
# One change at a time, to name the kind.
OUTCOMES, NEIGHBOURS, LATER, PRESENCE = "test outcomes", "test rows", "future rows", "same-day presence"
KINDS = (OUTCOMES, NEIGHBOURS, LATER, PRESENCE)
KEYS = ["GAME_ID", "PLAYER_ID"]

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class World:
    """The data of a world, and which of its rows to predict have others' features."""

    dataset: Dataset
    others: pd.MultiIndex

    def judged(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Those of rows that kept their features."""
        return predictions[~pd.MultiIndex.from_frame(predictions[KEYS]).isin(self.others)]


def world(  # noqa: PLR0913 - what is changed, and how
    dataset: Dataset,
    *,
    fitted: str,
    cutoff: str,
    last: str,
    changes: Sequence[str] = KINDS,
    high: bool = True,
    seed: int = 0,
    known: Collection[str] = (),
    start: str = "1900-01-01",
    hide: Collection[str] | None = None,
) -> World:
    """A world that is another one from `cutoff` on; `last` is the last date whose predictions are compared.

    Outcomes of the compared dates are `high` or low ones, so that whoever chooses by them must choose another thing
    in one of the two; rows of a third of the players of these dates are hidden, half of the rest have others' features
    (the other half in the other of the two, so that no row is a neighbour in both), and later rows are others. What is
    handed out is from `start` on and older than `fitted`, as what is learnt from, and drawn date by date: a date looks
    the same, whatever else is compared. Rows are hidden on the dates of `hide`, if there are such: in a fold of several
    dates the later ones are told who plays on the earlier ones.
    """
    days = (np.datetime64(day, "D") for day in (start, fitted, cutoff, last))
    maker = _Maker(dataset, *days, seed=seed)
    games, origin = dataset.games, np.arange(len(dataset.games))
    if OUTCOMES in changes:
        games = maker.other_ending(unknown_columns(games, known), high=high)
    if LATER in changes:
        scene = Cutoff(games, maker.last, seed=seed, unknown=Unknown(outcomes=())).future_rows()
        games, origin = scene.frame, scene.origin
    if PRESENCE in changes:
        there = ~np.isin(origin, maker.hidden(hide))
        games, origin = games[there].reset_index(drop=True), origin[there]
    others = maker.others(origin, first=high) if NEIGHBOURS in changes else {}
    baseline = dataset.targets["baseline"].take(np.maximum(origin, 0)).set_axis(games.index)
    data = replace(
        dataset,
        games=games,
        features=maker.features(origin, others, later=LATER in changes),
        targets=pd.DataFrame({"actual": target_values(games, dataset.target_columns), "baseline": baseline}),
    )
    data.__dict__["game_dates"] = dataset.game_dates  # the folds are those of the session
    return World(dataset=data, others=pd.MultiIndex.from_frame(games[KEYS].iloc[[*chain(*others.values())]]))


class _Maker:
    """What is changed in the rows between two dates, and in those after them."""

    def __init__(  # noqa: PLR0913 - four dates in their order
        self,
        dataset: Dataset,
        start: np.datetime64,
        fitted: np.datetime64,
        cutoff: np.datetime64,
        last: np.datetime64,
        *,
        seed: int,
    ) -> None:
        self.dataset, self.cutoff, self.last, self.seed = dataset, cutoff, last, seed
        self._days = days_of(dataset.games)
        played = dataset.targets["actual"].notna().to_numpy()
        tested: Positions = np.flatnonzero((self._days >= cutoff) & (self._days <= last) & played)
        self._tested: dict[int, Positions] = {  # of each date
            int(day.astype(np.int64)): tested[self._days[tested] == day] for day in np.unique(self._days[tested])
        }
        earlier: Positions = np.flatnonzero((self._days >= start) & (self._days < fitted))
        self._earlier = earlier if len(earlier) else tested

    def other_ending(self, unknown: Unknown, *, high: bool) -> pd.DataFrame:
        """Outcomes from the cutoff on are those of other games; on the compared dates, of the best or the worst."""
        games = self.dataset.games
        ended = Cutoff(games, self.cutoff, seed=self.seed, unknown=unknown).other_ending().frame
        source, tenth = np.arange(len(games)), self._tenth(high=high)
        for day, rows in self._tested.items():
            source[rows] = self._rng(day, 1).choice(tenth, len(rows))
        tested = np.isin(np.arange(len(games)), [*chain(*self._tested.values())])
        taken = {name: games[name].take(source).set_axis(games.index) for name in unknown.outcomes}
        return ended.assign(**{name: values.where(tested, ended[name]) for name, values in taken.items()})

    def _tenth(self, *, high: bool) -> Positions:
        """Earlier rows with the highest, or the lowest, tenth of the target."""
        actual = self.dataset.targets["actual"].to_numpy()
        known = self._earlier[np.isfinite(actual[self._earlier])]
        pool = known if len(known) else self._earlier
        order = pool[np.argsort(actual[pool], kind="stable")]
        count = max(1, len(order) // TENTH)
        return order[-count:] if high else order[:count]

    def hidden(self, days: Collection[str] | None) -> Positions:
        """A third of the rows to predict; one of each side stays, since the schedule is public."""
        hidden = [np.empty(0, dtype=np.intp)]
        for day, tested in self._tested.items():
            if days is not None and str(np.datetime64(day, "D")) not in days:
                continue
            rng = self._rng(day, 2)
            rows = rng.permutation(tested)
            others = self.dataset.games[["GAME_ID", "TEAM_ABBREVIATION"]].iloc[rows].duplicated().to_numpy()
            hidden.append(rows[others & (rng.random(len(rows)) < SHARE_HIDDEN)])
        return np.concatenate(hidden)

    def others(self, origin: Positions, *, first: bool) -> dict[int, Positions]:
        """Positions of the rows to predict that get others' features: one half of each date, or the other one."""
        there = {day: np.flatnonzero(np.isin(origin, tested)) for day, tested in self._tested.items()}
        return {  # never all of a date
            day: np.sort(self._rng(day, 3).permutation(rows)[int(first) :: 2]) if len(rows) > 1 else rows[:0]
            for day, rows in there.items()
        }

    def features(self, origin: Positions, others: Mapping[int, Positions], *, later: bool) -> pd.DataFrame:
        """Everybody's own features, but other earlier rows' for `others`, and shuffled ones after the last date."""
        rows = np.maximum(origin, 0)
        after = np.flatnonzero((self._days[rows] > self.last) | (origin < 0))
        for day, changed in others.items():
            rows[changed] = self._rng(day, 4).choice(self._earlier, len(changed))
        if later:
            rows[after] = self._rng(int(self.last.astype(np.int64)), 5).permutation(rows[after])
        features = self.dataset.features
        same = len(rows) == len(features) and np.array_equal(rows, np.arange(len(rows)))
        return features if same else features.take(rows).set_axis(pd.RangeIndex(len(rows)))

    def _rng(self, day: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, day, purpose])


def moved_prediction(games: pd.DataFrame, true: pd.DataFrame, again: pd.DataFrame) -> dict[str, object] | None:
    """The largest move among the rows that both have; None where nothing moved.

    `true` and `again` have GAME_ID, PLAYER_ID, GAME_DATE and `predicted`.
    """
    both = true.merge(again[[*KEYS, "predicted"]], on=KEYS, suffixes=("", "_again"))
    before, after = both["predicted"].to_numpy(float), both["predicted_again"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        size = np.abs(after - before)
        same = (size <= TOLERANCE * np.maximum(1.0, np.abs(before))) | (np.isnan(before) & np.isnan(after))
        same |= before == after  # both infinite
    if same.all():
        return None
    worst = int(np.where(same, -1.0, np.nan_to_num(size, nan=np.inf)).argmax())
    row = both.iloc[worst].to_dict()
    names = games.loc[games["PLAYER_ID"] == row["PLAYER_ID"], "PLAYER_NAME"]
    return moved_value({**row, "PLAYER_NAME": names.iloc[0] if len(names) else None}, before[worst], after[worst])


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
    return detail_of(f"{hit[telling].mean():.0%} of the predictions are the outcome itself")
