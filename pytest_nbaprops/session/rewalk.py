"""Walks a candidate forward outside of the collected tests: a champion on other dates, a variant without a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import pandas as pd

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import lineage_difference
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry.versions import record_of
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import Candidate, CandidateSpec
from pytest_nbaprops.walkforward.evaluate import Resources, evaluate_fold, fits_to_make, stored_fold
from pytest_nbaprops.walkforward.executor import FitsAhead
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.windows import TestWindow

Columns = Mapping[str, tuple[str, ...]]
OTHER_TARGET = "another target is another model, with a name of its own: --nbaprops-model-name=NAME"


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


def walk_version(context: Context, version: Champion, dates: Sequence[date], *, most_days: int) -> pd.DataFrame:
    """Predictions of a registered version's recipe and features for all played rows of these dates, like a fold's.

    Fitted as often as when it was made, and at least every `most_days` days.

    Raises:
        TrackingError: the version does not say how it was made, or it cannot be made so here.
    """
    candidate = _candidate_of(context, version)
    window = TestWindow(text=f"{dates[0]}..{dates[-1]}", pick=lambda _: list(dates))
    folds = context.plan(replace(candidate.spec, refit=min(candidate.spec.refit, most_days)), window)
    resources, _ = resources_for(context, candidate.groups)
    return walk(candidate, folds, resources)


def _candidate_of(context: Context, version: Champion) -> Candidate:
    made = record_of(version)
    if made.spec is None or made.lineage is None or made.target is None:
        raise TrackingError("the version does not say of what recipe and features it was made")
    ours = "+".join(context.dataset.target_columns)
    if made.target != ours:
        raise TrackingError(f"it predicts {made.target}, the candidates {ours}; {OTHER_TARGET}")
    spec = CandidateSpec.from_dict(made.spec)
    if spec.recipe is None or made.recipe is None:
        raise TrackingError("its estimator was a test's own, and only recipes can be walked forward again")
    wanted = {group.name for group in made.lineage.groups}
    groups = tuple(group for group in context.every_group if group.name in wanted)
    candidate = context.candidate_of(spec, groups, {group.name: group.columns for group in made.lineage.groups})
    difference = lineage_difference(candidate.lineage, made.lineage)
    names = [name for kind in ("removed", "changed") for name in difference[kind]]
    if names:
        raise TrackingError(
            f"its feature groups {', '.join(names)} are not the ones at hand any more: "
            "keep what the champion was made with under its name, and give what you change another"
        )
    if candidate.recipe is None or candidate.recipe.identity() != made.recipe:
        raise TrackingError(f"its recipe {spec.recipe!r} is not the one at hand any more")
    return candidate
