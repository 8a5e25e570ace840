"""Walks a candidate forward outside of the collected tests: a champion on other dates, a variant without a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import Candidate
from pytest_nbaprops.walkforward.evaluate import Workbench, evaluate_fold, stored_fold
from pytest_nbaprops.walkforward.plan import Fold

Columns = Mapping[str, tuple[str, ...]]


def bench_for(context: Context, groups: Sequence[FeatureGroup]) -> tuple[Workbench, Columns]:
    """The session's bench, or one with features that the session did not build, and each group's columns.

    Raises:
        FeatureError: a group cannot be built.
    """
    if all(group.name in context.columns for group in groups):
        return context.bench, {group.name: tuple(context.columns[group.name]) for group in groups}
    table = build_features(context.dataset.games, groups, root=context.root)
    return replace(context.bench, dataset=replace(context.dataset, features=table.frame)), table.columns


def walk(candidate: Candidate, folds: Sequence[Fold], bench: Workbench) -> pd.DataFrame:
    """Predictions of all folds, from the store where it has them; what is computed is kept there."""
    frames = []
    for fold in folds:
        entry = stored_fold(candidate, fold, bench)
        if entry is None:
            entry = evaluate_fold(candidate, fold, bench.dataset.test(fold, candidate.columns, candidate.groups), bench)
        frames.append(entry.predictions)
    return pd.concat(frames, ignore_index=True)
