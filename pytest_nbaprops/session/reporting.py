"""What the reports show beside the decision, gathered from one session."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.features.baseline import slice_columns
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.reports.html import Tables
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.runlog import mean_importance
from pytest_nbaprops.tracking import provenance
from pytest_nbaprops.walkforward.candidate import Candidate

SLICED_BY = ("minutes", "home", "rest")
SPEC_SETTINGS = ("recipe", "train_window", "refit", "step", "seed")


def report_tables(context: Context, states: Sequence[Candidate], champion: Champion | None) -> Tables:
    """Predictions, the champion's, who played, what the features are worth, and where code is."""
    frames = [frame for state in states if (frame := state.predictions()) is not None]
    return Tables(
        predictions=pd.concat(frames, ignore_index=True) if frames else None,
        champion=champion.predictions if champion is not None else None,
        games=_told_of_games(context) if frames else None,
        importance={state.name: mean_importance(state) for state in states},
        environment=provenance.versions() | provenance.machine(),
        places=_places(context, states),
    )


def _told_of_games(context: Context) -> pd.DataFrame:
    games = context.dataset.games
    told = games[[*KEY_COLUMNS, *(name for name in ("PLAYER_NAME", "MIN") if name in games)]]
    try:
        slices = slice_columns(games, context.dataset.target_columns)[list(SLICED_BY)]
    except Exception:  # noqa: BLE001 - slices are for show: a decision must not hang on them
        return told
    return pd.concat([told, slices], axis=1)


def _places(context: Context, states: Sequence[Candidate]) -> dict[str, tuple[str, int]]:
    """File (relative to the rootdir) and line of each own feature group and each candidate's test."""
    own = (group for group in context.every_group if group.name in context.own_groups)
    found: Mapping[str, tuple[Path, int] | None] = {
        **{group.name: _of_function(group.function) for group in own},
        **{state.name: _of_test(context.root, state.folds[0].nodeid) for state in states if state.folds},
    }
    return {
        name: (os.path.relpath(place[0], context.root), place[1])
        for name, place in found.items()
        if place is not None and place[0].is_relative_to(context.root)
    }


def _of_function(function: Any) -> tuple[Path, int] | None:
    try:
        plain = inspect.unwrap(function)
        return Path(inspect.getfile(plain)).resolve(), plain.__code__.co_firstlineno
    except (TypeError, AttributeError, ValueError):
        return None


def _of_test(root: Path, nodeid: str) -> tuple[Path, int] | None:
    """The line that defines the test; there is none for the built-in suite."""
    file, _, rest = nodeid.partition("::")
    path = root / file
    name = rest.rpartition("::")[2].partition("[")[0]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    defines = re.compile(rf"\s*(async\s+)?def\s+{re.escape(name)}\b")
    return path, next((number for number, line in enumerate(lines, 1) if defines.match(line)), 1)


def parameter_changes(state: Candidate, told: Mapping[str, str]) -> dict[str, list[Any]]:
    """Settings and hyperparameters that differ from the champion's, as its version's tags tell them: [its, ours]."""
    if "spec" not in told:
        return {}
    before, after = json.loads(told["spec"]), state.spec.to_dict()
    ours = {name: after.get(name) for name in SPEC_SETTINGS}
    theirs = {name: before.get(name) for name in SPEC_SETTINGS}
    recipe = state.recipe
    other = json.loads(told.get("recipe", "null"))
    if recipe is not None and other is not None:
        ours |= {"estimator": recipe.import_path, **recipe.identity()["parameters"]}
        theirs |= {"estimator": other["import_path"], **other["parameters"]}
    moved = (name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name))
    return {name: [theirs.get(name), ours.get(name)] for name in moved}
