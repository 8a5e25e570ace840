"""The baseline's own feature group, made for a target: what a model that is the baseline predicts from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.features.baseline import GAMES, earlier_debuts
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "last_ten"
# No tier of --nbaprops-features: the trees of other recipes have these numbers already, as means.
TIER = "reference"
TOTAL, COUNT = "last_ten_total", "last_ten_games"


def last_ten_group(target_columns: Sequence[str]) -> FeatureGroup:
    """The group of a target; it is chosen by its name only, not by `all`."""
    function = partial(last_ten, target_columns=tuple(target_columns))
    return FeatureGroup(name=NAME, tier=TIER, known_at="morning", version="1", function=function)


def last_ten(games: pd.DataFrame, target_columns: tuple[str, ...]) -> pd.DataFrame:
    """Sum of the target over the player's last 10 games, and their number; for debutants of all debuts so far.

    Features are kept as float32, which holds such sums of counts exactly and their means not: the quotient is
    `baseline_predictions` to the last bit.
    """
    history = History(games)
    target = target_values(games, target_columns)
    last = history.player.lag(target.loc[history.played].to_frame("target"), *range(1, GAMES + 1)).to_numpy()
    known = ~np.isnan(last)
    debutant = ~known.any(axis=1)
    sums, counts = earlier_debuts(history, target)
    total = np.where(debutant, sums, np.where(known, last, 0.0).sum(axis=1))
    count = np.where(debutant, counts, known.sum(axis=1))
    return pd.DataFrame({TOTAL: total, COUNT: count}, index=games.index)
