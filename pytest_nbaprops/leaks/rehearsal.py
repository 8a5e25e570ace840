"""The leak check of estimators and tests: a fold, run again on games that end otherwise.

Outcomes of the rows to predict and of all later ones are exchanged, some of the rows to predict are not there, later
rows are others, and so are the features of a third of the rows to predict and of every later one. An honest test
cannot tell: its predictions of the rest are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.extra_columns import Unknown, unknown_columns
from pytest_nbaprops.leaks.leak import NO_EXAMPLE
from pytest_nbaprops.leaks.perturb import Cutoff
from pytest_nbaprops.walkforward.dataset import Dataset, Rows
from pytest_nbaprops.walkforward.plan import Fold

ENOUGH_ROWS = 20
SHARE_HIDDEN, SHARE_KEPT = 0.35, 0.65
# Far from anything a season holds, so that whatever is fitted on changed rows shows it: an imputer, a scaler, a mean.
FAR = 1000.0
# Predictions may be float32; what moves them by less than this decides nothing.
TOLERANCE = 1e-6
# Nobody predicts every second game to the last digit; a rounded model is right in one of twenty.
EXACT, SHARE_COPIED, TELLING_ROWS = 1e-9, 0.5, 100

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is changed in a rehearsal.

    Attributes:
        outcomes: of the rows to predict, to 0 or far up, and of later rows, to other games'.
        neighbours: the features of some of the rows to predict.
        later: later rows, dropped and added, and their features.
        presence: some of the rows to predict are not there.
        mirrored: what went up goes to 0 and the other way round, so that a choice by the outcomes must be another one.
    """

    outcomes: bool = False
    neighbours: bool = False
    later: bool = False
    presence: bool = False
    mirrored: bool = False


EVERYTHING = Changes(outcomes=True, neighbours=True, later=True, presence=True)
MIRRORED = Changes(outcomes=True, mirrored=True)
# One change at a time, to name the kind; a column of predictions that moves with nothing changed is noise.
KINDS = {
    "test outcomes": Changes(outcomes=True),
    "test rows": Changes(neighbours=True),
    "future rows": Changes(later=True),
    "same-day presence": Changes(presence=True),
}


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Dataset):
    """The data of one fold with changes from its cutoff on; everything older is the true data.

    Attributes:
        true: the data as they are.
        fold: the fold that is run again.
        seed: of what is exchanged with what.
        changes: what is changed.
        origin: each row's position in the true data, -1 where it was made up; rows up to the fold keep their places.
        mixed: training rows that have each other's features; whatever imputes or scales by their columns sees the same.
    """

    true: Dataset
    fold: Fold
    seed: int
    changes: Changes
    origin: npt.NDArray[np.intp]
    mixed: pd.Index[Any] | None = None

    def rows(self, positions: npt.NDArray[np.intp], columns: Sequence[str]) -> Rows:
        rows = self._otherwise(self.true.rows(positions, columns))
        if self.mixed is None:
            return rows
        places = np.arange(len(rows))
        chosen = np.flatnonzero(rows.X.index.isin(self.mixed))
        places[chosen] = _rng(self.seed, self.fold, 6).permutation(chosen)
        return replace(rows, X=rows.X.take(places).set_axis(rows.X.index))

    def tested(self, fold: Fold) -> npt.NDArray[np.intp]:
        return np.flatnonzero(np.isin(self.origin, self.true.tested(fold)))

    def test(self, fold: Fold, columns: Sequence[str], groups: Sequence[FeatureGroup]) -> Rows:
        rows = self.true.test(fold, columns, groups)
        index = self.games.index[self.tested(fold)]
        features = rows.X[self.shown].set_axis(index)
        if self.changes.neighbours:
            others = ~self.kept[self.shown]
            features.loc[others] = _far(features.loc[others], _rng(self.seed, fold, 1))
        y, baseline = (part[self.shown].set_axis(index) for part in (rows.y, rows.baseline))
        return self._otherwise(Rows(X=features, y=y, keys=rows.keys[self.shown].set_axis(index), baseline=baseline))

    def _otherwise(self, rows: Rows) -> Rows:
        actual = self.targets["actual"].loc[rows.y.index]
        return replace(rows, y=actual.rename("+".join(self.target_columns)))

    @cached_property
    def all_features(self) -> pd.DataFrame:
        """What a test gets that asks for all features: later rows far off, and some of the rows to predict."""
        if self.changes == Changes(outcomes=self.changes.outcomes, mirrored=self.changes.mirrored):
            return self.features
        days = self.games["GAME_DATE"].to_numpy().astype("datetime64[D]")
        unknown = (days > np.datetime64(self.fold.dates[-1], "D")) & self.changes.later
        unknown[self.tested(self.fold)[~self.kept[self.shown]]] = self.changes.neighbours
        features = self.true.features.take(np.maximum(self.origin, 0)).set_axis(self.games.index)
        features.loc[unknown] = _far(features.loc[unknown], _rng(self.seed, self.fold, 2))
        return features

    @cached_property
    def shown(self) -> Mask:
        """Which of the true rows to predict are there."""
        return np.isin(self.true.tested(self.fold), self.origin)

    @cached_property
    def kept(self) -> Mask:
        """Which of the true rows to predict are there and keep their features: never none."""
        if not self.changes.neighbours:
            return self.shown
        kept = np.zeros(len(self.shown), dtype=bool)
        there = _rng(self.seed, self.fold, 0).permutation(np.flatnonzero(self.shown))
        kept[there[: max(1, int(SHARE_KEPT * len(there)))]] = True
        return kept


def rehearsal(  # noqa: PLR0913 - what is run again, and how it ends otherwise
    dataset: Dataset,
    fold: Fold,
    *,
    seed: int,
    changes: Changes = EVERYTHING,
    train: tuple[pd.Series[float], pd.Index[Any] | None] | None = None,
    known: Collection[str] = (),
) -> Rehearsal:
    """The data on which a fold is run again, if wanted with `train`: a target, and rows that swap their features.

    `known` names extra columns of the games that are known before the game.
    """
    unknown = unknown_columns(dataset.games, known)
    games = _other_ending(dataset, fold, seed, changes, unknown) if changes.outcomes else dataset.games
    games, origin = _other_rows(games, dataset, fold, seed, changes)
    actual = target_values(games, dataset.target_columns)
    if train is not None:
        actual.loc[train[0].index] = train[0]
    baseline = dataset.targets["baseline"].take(np.maximum(origin, 0)).set_axis(games.index)
    return Rehearsal(
        games=games,
        features=dataset.features,
        targets=pd.DataFrame({"actual": actual, "baseline": baseline}),
        target_columns=dataset.target_columns,
        digest=dataset.digest,
        root=dataset.root,
        true=dataset,
        fold=fold,
        seed=seed,
        changes=changes,
        origin=origin,
        mixed=None if train is None else train[1],
    )


def _other_ending(dataset: Dataset, fold: Fold, seed: int, changes: Changes, unknown: Unknown) -> pd.DataFrame:
    """Outcomes from the cutoff on are those of other games; what is predicted is 0 or far up.

    Far, and not only other: whoever chooses among few models by their error chooses the same one again on most other
    games. Never below 0, which no box score is and not every formula can take.
    """
    games = dataset.games
    cutoff = Cutoff(games, np.datetime64(fold.cutoff, "D"), seed=seed, unknown=unknown)
    games = cutoff.other_ending().frame.set_axis(games.index)
    rows = dataset.tested(fold)
    up = _rng(seed, fold, 3).permutation(len(rows)) % 2 == changes.mirrored
    ends = {name: games[name].to_numpy(dtype=np.float64, copy=True) for name in dataset.target_columns}
    for place, values in enumerate(ends.values()):
        values[rows] = np.where(up, FAR if place == 0 else values[rows], 0.0)
    return games.assign(**ends)


def _other_rows(
    games: pd.DataFrame, dataset: Dataset, fold: Fold, seed: int, changes: Changes
) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
    """Games without the rows that are hidden, and with other later ones; where each row came from."""
    origin = np.arange(len(games))
    if not (changes.later or changes.presence):
        return games, origin
    if changes.later:
        last = Cutoff(games, np.datetime64(fold.dates[-1], "D"), seed=seed, unknown=Unknown(outcomes=()))
        scene = last.future_rows()
        games, origin = scene.frame, scene.origin
    if changes.presence:
        there = ~np.isin(origin, _hidden(dataset, fold, seed))
        games, origin = games[there], origin[there]
    return games.reset_index(drop=True), origin


def _hidden(dataset: Dataset, fold: Fold, seed: int) -> npt.NDArray[np.intp]:
    """A third of the rows to predict; one of each side stays, since the schedule is public."""
    rows = _rng(seed, fold, 4).permutation(dataset.tested(fold))
    others = dataset.games[["GAME_ID", "TEAM_ABBREVIATION"]].iloc[rows].duplicated().to_numpy()
    hidden: npt.NDArray[np.intp] = rows[others & (_rng(seed, fold, 5).random(len(rows)) < SHARE_HIDDEN)]
    return hidden


def _rng(seed: int, fold: Fold, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, fold.number, purpose])


def _far(values: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    spread = rng.normal(scale=FAR, size=values.shape)
    return pd.DataFrame(spread, index=values.index, columns=values.columns).astype(values.dtypes)


def sampled_fold(folds: Sequence[Fold], dataset: Dataset) -> Fold:
    """The fold that is run again in any case: in the middle, with enough rows to change some and compare others."""
    middle = len(folds) // 2
    order = sorted(range(len(folds)), key=lambda place: (abs(place - middle), place))
    enough = (folds[place] for place in order if len(dataset.tested(folds[place])) >= ENOUGH_ROWS)
    return next(enough, folds[middle])


def sampled_folds(folds: Sequence[Fold], dataset: Dataset, *, count: int, identity: str) -> tuple[Fold, ...]:
    """That one, the first, the last, and more that the candidate's identity draws: `count` at most."""
    seed = [ord(letter) for letter in identity[:32]]
    drawn = [folds[place] for place in np.random.default_rng(seed).permutation(len(folds))]
    wanted = [sampled_fold(folds, dataset), folds[0], folds[-1], *drawn]
    return tuple({fold.number: fold for fold in wanted}.values())[:count]


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
