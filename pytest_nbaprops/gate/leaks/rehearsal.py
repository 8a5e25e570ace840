"""The leak check of estimators and tests: one fold, run again on games that end otherwise.

Outcomes of the rows to predict and of all later ones are exchanged, and so are the features of half of these rows and
of every later one. An honest test cannot tell: its predictions of the other half are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.gate.leaks.extra_columns import unknown_columns
from pytest_nbaprops.gate.leaks.leak import NO_EXAMPLE
from pytest_nbaprops.gate.leaks.perturb import Cutoff
from pytest_nbaprops.walkforward.dataset import Dataset, Rows
from pytest_nbaprops.walkforward.plan import Fold

ENOUGH_ROWS = 20
# Far from anything a season holds, so that whatever is fitted on changed rows shows it: an imputer, a scaler, a mean.
FAR = 1000.0
# Predictions may be float32; what moves them by less than this decides nothing.
TOLERANCE = 1e-6
# Nobody predicts every second game to the last digit; a rounded model is right in one of twenty.
EXACT, SHARE_COPIED, TELLING_ROWS = 1e-9, 0.5, 100


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is changed: outcomes of test rows and later ones, features of half of the test rows, features later on."""

    outcomes: bool = False
    neighbours: bool = False
    later: bool = False


EVERYTHING = Changes(outcomes=True, neighbours=True, later=True)
# One change at a time, to name the kind; a column of predictions that moves with nothing changed is noise.
KINDS = {
    "test outcomes": Changes(outcomes=True),
    "test rows": Changes(neighbours=True),
    "future rows": Changes(later=True),
}


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Dataset):
    """The data of one fold with changes from its cutoff on; everything older is the true data.

    Attributes:
        true: the data as they are.
        fold: the fold that is run again.
        seed: of what is exchanged with what.
        changes: what is changed.
    """

    true: Dataset
    fold: Fold
    seed: int
    changes: Changes

    def rows(self, positions: npt.NDArray[np.intp], columns: Sequence[str]) -> Rows:
        return self._otherwise(self.true.rows(positions, columns))

    def test(self, fold: Fold, columns: Sequence[str], groups: Sequence[FeatureGroup]) -> Rows:
        rows = self._otherwise(self.true.test(fold, columns, groups))
        if not self.changes.neighbours:
            return rows
        features = rows.X.copy()
        features.loc[~self.kept] = _far(features.loc[~self.kept], self._rng(1))
        return replace(rows, X=features)

    def _otherwise(self, rows: Rows) -> Rows:
        actual = self.targets["actual"].loc[rows.y.index]
        return replace(rows, y=actual.rename("+".join(self.target_columns)))

    @cached_property
    def all_features(self) -> pd.DataFrame:
        """What a test gets that asks for all features: later rows far off, and half of the rows to predict."""
        if not (self.changes.later or self.changes.neighbours):
            return self.features
        days = self.games["GAME_DATE"].to_numpy().astype("datetime64[D]")
        unknown = (days > np.datetime64(self.fold.dates[-1], "D")) & self.changes.later
        unknown[self.true.tested(self.fold)[~self.kept]] = self.changes.neighbours
        features = self.features.copy()
        features.loc[unknown] = _far(features.loc[unknown], self._rng(2))
        return features

    @cached_property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which of the rows to predict keep their features: about half, never none."""
        count = len(self.true.tested(self.fold))
        kept: npt.NDArray[np.bool_] = self._rng(0).permutation(count) < max(1, count // 2)
        return kept

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.fold.number, purpose])


def rehearsal(dataset: Dataset, fold: Fold, *, seed: int, changes: Changes = EVERYTHING) -> Rehearsal:
    """The data on which a fold is run again."""
    games = dataset.games
    if changes.outcomes:
        cutoff = Cutoff(games, np.datetime64(fold.cutoff, "D"), seed=seed, unknown=unknown_columns(games))
        games = cutoff.other_ending().frame.set_axis(games.index)
    return Rehearsal(
        games=games,
        features=dataset.features,
        targets=dataset.targets.assign(actual=target_values(games, dataset.target_columns)),
        target_columns=dataset.target_columns,
        digest=dataset.digest,
        root=dataset.root,
        true=dataset,
        fold=fold,
        seed=seed,
        changes=changes,
    )


def _far(values: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    spread = rng.normal(scale=FAR, size=values.shape)
    return pd.DataFrame(spread, index=values.index, columns=values.columns).astype(values.dtypes)


def sampled_fold(folds: Sequence[Fold], dataset: Dataset) -> Fold:
    """The fold that is run again: in the middle, with enough rows to change half of them."""
    middle = len(folds) // 2
    order = sorted(range(len(folds)), key=lambda place: (abs(place - middle), place))
    enough = (folds[place] for place in order if len(dataset.tested(folds[place])) >= ENOUGH_ROWS)
    return next(enough, folds[middle])


def moved_prediction(
    games: pd.DataFrame, true: pd.DataFrame, again: pd.DataFrame, kept: npt.NDArray[np.bool_]
) -> dict[str, object] | None:
    """The largest move among the rows that kept their features; None where nothing moved.

    `true` and `again` have the key columns and `predicted`, row by row.
    """
    before, after = (frame["predicted"].to_numpy()[kept] for frame in (true, again))
    with np.errstate(invalid="ignore"):
        size = np.abs(after - before)
        same = (size <= TOLERANCE * np.maximum(1.0, np.abs(before))) | (np.isnan(before) & np.isnan(after))
    if same.all():
        return None
    worst = int(np.where(same, -1.0, np.nan_to_num(size, nan=np.inf)).argmax())
    row = true.loc[kept].iloc[worst]
    return {
        "player": _name(games, int(row["PLAYER_ID"])),
        "date": f"{row['GAME_DATE']:%Y-%m-%d}",
        "column": None,
        "before": _number(before[worst]),
        "after": _number(after[worst]),
    }


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


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
