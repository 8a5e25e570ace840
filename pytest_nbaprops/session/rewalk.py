"""Walks a candidate forward outside of the collected tests: a champion on other dates, a variant without a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import Candidate
from pytest_nbaprops.walkforward.evaluate import Resources, evaluate_fold, fits_to_make, stored_fold
from pytest_nbaprops.walkforward.executor import FitsAhead
from pytest_nbaprops.walkforward.plan import Fold

Columns = Mapping[str, tuple[str, ...]]


def resources_for(context: Context, groups: Sequence[FeatureGroup]) -> tuple[Resources, Columns]:
    """The session's resources, or such with features that the session did not build, and each group's columns.

    Raises:
        FeatureError: a group cannot be built.
    """
    if all(group.name in context.columns for group in groups):
        return context.resources, {group.name: tuple(context.columns[group.name]) for group in groups}
    table = build_features(context.dataset.games, groups, root=context.root)
    dataset = replace(context.dataset, features=table.frame)
    return replace(context.resources, dataset=dataset, ahead=FitsAhead()), table.columns


def walk(candidate: Candidate, folds: Sequence[Fold], resources: Resources) -> pd.DataFrame:
    """Predictions of all folds, from the store where it has them; what is computed is kept there."""
    resources.ahead.expect(fits_to_make(candidate, folds, resources))
    resources.ahead.start(candidate.name)
    frames = []
    for fold in folds:
        key = candidate.fold_key(fold, resources.dataset.digest)
        result = stored_fold(fold, key, resources)
        if result is None:
            rows = resources.dataset.test(fold, candidate.columns, candidate.groups)
            result = evaluate_fold(candidate, fold, key, rows, resources)
        frames.append(result.predictions)
    return pd.concat(frames, ignore_index=True)
