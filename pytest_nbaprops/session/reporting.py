"""What the reports show beside the decision, gathered from one session."""

from __future__ import annotations

import contextlib
import inspect
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


def report_tables(context: Context, candidates: Sequence[Candidate], champion: Champion | None) -> Tables:
    """Predictions, the champion's, who played, what the features are worth, and where code is."""
    frames = [frame for candidate in candidates if (frame := candidate.predictions()) is not None]
    games = None
    if frames:
        league = context.dataset.games
        games = league[[*KEY_COLUMNS, *(name for name in ("PLAYER_NAME", "MIN") if name in league)]]
        with contextlib.suppress(Exception):  # slices are for show: a decision must not hang on them
            slices = slice_columns(league, context.dataset.target_columns)[list(SLICED_BY)]
            games = pd.concat([games, slices], axis=1)
    return Tables(
        predictions=pd.concat(frames, ignore_index=True) if frames else None,
        champion=champion.predictions if champion is not None else None,
        games=games,
        importance={candidate.name: mean_importance(candidate) for candidate in candidates},
        environment=provenance.versions() | provenance.machine(),
        places=_places(context, candidates),
    )


def _places(context: Context, candidates: Sequence[Candidate]) -> dict[str, tuple[str, int]]:
    """File (relative to the rootdir) and line of each own feature group and each candidate's test."""
    own = (group for group in context.every_group if group.name in context.own_groups)
    found: Mapping[str, tuple[Path, int] | None] = {
        **{group.name: _of_function(group.function) for group in own},
        **{
            candidate.name: _of_test(context.root, candidate.folds[0].nodeid)
            for candidate in candidates
            if candidate.folds
        },
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
