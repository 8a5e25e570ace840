"""Types that a skops file may hold beside those that skops trusts itself, each one reviewed.

Reviewed means: loading one runs no code that the file brings, and its state is plain arrays and numbers. That is all
that is claimed: the compiled ones (trees, Booster) trust their arrays, so a file made by an attacker could still crash
the process, as a crafted UBJ file could. The estimators of scikit-learn are in skops' own list.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

REVIEWED_TYPES: Final = frozenset(
    {
        "numpy.dtype",  # what SimpleImputer remembers
        # The recipes that are not XGBoost's own: numbers, names and XGBoost regressors.
        "pytest_nbaprops.recipes.baseline.LastTenMean",
        "pytest_nbaprops.recipes.two_stage.TwoStageRegressor",
        # Links, losses and the bin mapper are in skops' own list in newer versions only.
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.HalfGammaLoss",
        "sklearn._loss.loss.HalfPoissonLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn._loss.loss.HuberLoss",
        "sklearn._loss.loss.PinballLoss",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.DotProduct",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.RationalQuadratic",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._dist_metrics.EuclideanDistance32",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._ball_tree.BallTree32",
        "sklearn.neighbors._ball_tree.BallTree64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._kd_tree.KDTree32",
        "sklearn.neighbors._kd_tree.KDTree64",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "xgboost.core.Booster",  # its state is the UBJ text of the booster
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRegressor",
    }
)

ENVIRONMENT: Final = "NBAPROPS_TRUSTED_TYPES"
"""Further types, separated by commas, where a model is loaded outside a session. Never read from the model itself:
whoever can change the file could name anything there."""


def environment_types() -> frozenset[str]:
    """What the environment variable adds."""
    return frozenset(name.strip() for name in os.environ.get(ENVIRONMENT, "").split(",") if name.strip())


def refused_types(found: Iterable[str], trusted: Iterable[str]) -> list[str]:
    """Those of the found types that nobody trusts."""
    return sorted(set(found) - REVIEWED_TYPES - set(trusted))
