"""Games, features and targets of one session, memory-mapped, and the rows of a fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.arrow import read_arrow, write_arrow
from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.data.schema import KEY_COLUMNS, OUTCOME_COLUMNS, target_values
from pytest_nbaprops.features.baseline import baseline_predictions
from pytest_nbaprops.features.build import build_as_of
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.windows import GameDate

GAMES_FILE, FEATURES_FILE, TARGETS_FILE = "games.arrow", "features.arrow", "targets.arrow"
ARROW_FILES = (GAMES_FILE, FEATURES_FILE, TARGETS_FILE)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Player-games side by side: features, target and keys share one index (row labels of the games).

    Attributes:
        X: features as float64, though kept as float32: linear models would solve in the width they are given.
        y: target, float64.
        keys: GAME_DATE, GAME_ID, PLAYER_ID.
        baseline: the baseline's prediction, float64.
        games: columns of the games of these rows, outcomes included; None for rows to predict.
    """

    X: pd.DataFrame
    y: pd.Series[float]
    keys: pd.DataFrame
    baseline: pd.Series[float]
    games: Callable[[Sequence[str]], pd.DataFrame] | None = None

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The session's data. `games` is sorted by date; `features` and `targets` (actual, baseline) share its index.

    `undeclared` are columns of the user's own that nobody has said to be known before the game.
    """

    games: pd.DataFrame
    features: pd.DataFrame
    targets: pd.DataFrame
    target_columns: tuple[str, ...]
    digest: DatasetDigest
    root: Path
    undeclared: tuple[str, ...] = ()

    @cached_property
    def game_dates(self) -> tuple[GameDate, ...]:
        return game_dates(self.games, self.target_columns)

    @cached_property
    def _days(self) -> npt.NDArray[np.datetime64]:
        return self.games["GAME_DATE"].to_numpy().astype("datetime64[D]")

    @cached_property
    def _played(self) -> npt.NDArray[np.bool_]:
        return self.targets["actual"].notna().to_numpy()

    def positions(self, start: date, stop: date) -> npt.NDArray[np.intp]:
        """Positions of the played rows with start <= GAME_DATE < stop."""
        first, last = np.searchsorted(self._days, np.array([start, stop], dtype="datetime64[D]"))
        positions: npt.NDArray[np.intp] = first + np.flatnonzero(self._played[first:last])
        return positions

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The features by name, mapped as they are."""
        return {str(name): self.features[name].to_numpy() for name in self.features}

    def rows(
        self, positions: npt.NDArray[np.intp], columns: Sequence[str], dtype: type[np.floating[Any]] = np.float64
    ) -> Rows:
        is_run = len(positions) > 0 and positions[-1] - positions[0] + 1 == len(positions)
        chosen = slice(positions[0], positions[-1] + 1) if is_run else positions  # a slice is a view
        targets = self.targets.iloc[chosen]
        # In one block, column by column: a frame of a hundred blocks costs more by the block than by the value.
        values = np.empty((len(columns), len(positions)), dtype=dtype).T
        for place, name in enumerate(columns):
            values[:, place] = self._arrays[name][chosen]
        return Rows(
            X=pd.DataFrame(values, index=self.features.index[chosen], columns=list(columns), copy=False),
            y=targets["actual"].rename("+".join(self.target_columns)),
            keys=self.games.iloc[chosen][list(KEY_COLUMNS)],
            baseline=targets["baseline"],
        )

    def train(self, fold: Fold, columns: Sequence[str], dtype: type[np.floating[Any]] = np.float64) -> Rows:
        """Played rows of the fold's training window; only these come with their games."""
        positions = self.positions(fold.train_start, fold.fitted_at)
        return replace(
            self.rows(positions, columns, dtype), games=lambda names: self.games[list(names)].iloc[positions]
        )

    def test(self, fold: Fold, columns: Sequence[str], groups: Sequence[FeatureGroup]) -> Rows:
        """Played rows of the fold's dates, with what was known of them on the morning of the first one."""
        rows = self.rows(self.tested(fold), columns)
        if len(fold.dates) == 1:
            return rows
        # A later date of the fold would otherwise see the outcomes of an earlier one: everything used is older
        # than the cutoff.
        days = [pd.Timestamp(day) for day in fold.dates]
        features = build_as_of(self.games, groups, dates=days, root=self.root, unknown=self.undeclared)
        features.index = self.games.index[self.games["GAME_DATE"].isin(days)]  # both in canonical order
        known = self.games.iloc[: int(np.searchsorted(self._days, np.datetime64(fold.dates[-1]) + 1))].copy()
        outcomes = [column for column in OUTCOME_COLUMNS if column in known]
        known.loc[known["GAME_DATE"] >= pd.Timestamp(fold.cutoff), outcomes] = None
        return Rows(
            X=features.loc[rows.X.index, list(columns)].astype(np.float64),
            y=rows.y,
            keys=rows.keys,
            baseline=baseline_predictions(known, self.target_columns).loc[rows.y.index],
        )

    def expected(self, folds: Sequence[Fold]) -> pd.DataFrame:
        """Keys and actual value of every player-game that these folds must predict."""
        positions = np.concatenate([self.tested(fold) for fold in folds])
        keys = self.games.iloc[positions][list(KEY_COLUMNS)]
        return keys.assign(actual=self.targets["actual"].iloc[positions]).reset_index(drop=True)

    def covered_by(self, predictions: pd.DataFrame, fold: Fold) -> bool:
        """Whether these are predictions of exactly the fold's player-games, with their actual values and baselines.

        The baseline of a longer fold takes long to make and is left out.
        """
        positions = self.tested(fold)
        names = ("actual", "baseline") if len(fold.dates) == 1 else ("actual",)
        wanted = [self.games[name] for name in KEY_COLUMNS] + [self.targets[name] for name in names]
        return all(
            column.name in predictions and predictions[column.name].array.equals(column.array[positions])
            for column in wanted
        )

    def tested(self, fold: Fold) -> npt.NDArray[np.intp]:
        chosen = [self.positions(day, date.fromordinal(day.toordinal() + 1)) for day in fold.dates]
        return np.concatenate(chosen)


def game_dates(games: pd.DataFrame, target_columns: Sequence[str]) -> tuple[GameDate, ...]:
    """Dates with at least one played game, oldest first, and their seasons."""
    played = games[target_values(games, target_columns).notna().to_numpy()]
    first = played.drop_duplicates("GAME_DATE")[["GAME_DATE", "SEASON"]]
    return tuple(
        GameDate(day=day.date(), season=str(season))
        for day, season in zip(first["GAME_DATE"], first["SEASON"], strict=True)
    )


def targets_of(games: pd.DataFrame, target_columns: Sequence[str]) -> pd.DataFrame:
    """Actual value and baseline of every row."""
    return pd.DataFrame(
        {"actual": target_values(games, target_columns), "baseline": baseline_predictions(games, target_columns)}
    )


def write_dataset(
    folder: Path, games: pd.DataFrame, features: pd.DataFrame | Sequence[pd.DataFrame], targets: pd.DataFrame
) -> None:
    """Write what workers need as Arrow files; the features may be parts that lie side by side."""
    for name, frames in ((GAMES_FILE, games), (FEATURES_FILE, features), (TARGETS_FILE, targets)):
        write_arrow(frames, folder / name)


def read_dataset(folder: Path, *, digest: DatasetDigest, target_columns: Sequence[str], root: Path) -> Dataset:
    """Map the Arrow files of a session."""
    return Dataset(
        games=read_arrow(folder / GAMES_FILE),
        features=read_arrow(folder / FEATURES_FILE),
        targets=read_arrow(folder / TARGETS_FILE),
        target_columns=tuple(target_columns),
        digest=digest,
        root=root,
    )
