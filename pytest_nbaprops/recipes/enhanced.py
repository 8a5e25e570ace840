"""The enhanced recipe: the advanced one's trees on the small feature set that an enhanced validation starts from.

Chosen with tests/benchmarks/choose_recipe.py on the seasons 2021-22 and 2022-23, a fit every 60 days. Mean MAE there:
last-10 mean 6.228, these 56 columns 5.929, without those of minutes 5.957, all 111 columns (advanced) 5.883.
On 2023-24, with a fit a week: 5.884.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_nbaprops.recipes import advanced

if TYPE_CHECKING:
    from xgboost import XGBRegressor

# Lags and means of production and minutes, the last three games, rest, opponent.
FEATURES = "production,minutes,form,rest,opponent"

PARAMETERS: dict[str, Any] = {**advanced.PARAMETERS}


def enhanced() -> XGBRegressor:
    """The unfitted estimator."""
    from xgboost import XGBRegressor  # noqa: PLC0415 - 1.6 s that only a session that fits should pay

    return XGBRegressor(**PARAMETERS)
