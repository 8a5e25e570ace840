"""Walk-forward validation of NBA player-prop models as a pytest session that decides the promotion.

Importing this package, or `feature_group` from it, costs nothing: everything else is loaded when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_nbaprops.features.group import FeatureGroup, Source, feature_group
    from pytest_nbaprops.registry.registry import ModelRegistry
    from pytest_nbaprops.runs.compare import compare_runs
    from pytest_nbaprops.serving.loader import ProductionModelLoader
    from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

__all__ = [
    "FeatureGroup",
    "ModelRegistry",
    "ProductionModelLoader",
    "Source",
    "StandardNBAPropsTracker",
    "compare_runs",
    "feature_group",
]

_HOMES = {
    "FeatureGroup": "features.group",
    "Source": "features.group",
    "feature_group": "features.group",
    "ModelRegistry": "registry.registry",
    "ProductionModelLoader": "serving.loader",
    "StandardNBAPropsTracker": "tracking.tracker",
    "compare_runs": "runs.compare",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pytest_nbaprops' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"pytest_nbaprops.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
