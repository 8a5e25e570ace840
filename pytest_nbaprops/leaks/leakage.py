"""The leak guard for feature groups: what is not known on a cutoff date is changed, and nothing up to it may move.

Pure: games, features and groups in, leaks out. Groups are called on games in which the unknown is perturbed, watched
for what they read besides their arguments, and compared with themselves in another process.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_nbaprops.leaks.cutoffs import leak_dates
from pytest_nbaprops.leaks.group_check import Exam, Material, check_rows
from pytest_nbaprops.leaks.leak import Leak
from pytest_nbaprops.leaks.subprocess_check import Elsewhere

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from pytest_nbaprops.features.group import FeatureGroup
    from pytest_nbaprops.features.lineage import GroupLineage

__all__ = ["Leak", "check_group", "check_groups", "check_rows", "guard_key", "leak_dates"]

# Goes into every key: raise it when the guard sees something that it did not see before.
GUARD_VERSION = "3"


def guard_key(
    line: GroupLineage, digest: str, cutoffs: Sequence[dt.date], *, seed: int = 0, known: Collection[str] = ()
) -> str:
    """SHA-256 (hex) of all that a group's leaks follow from: its code, the data, and how the guard looks at them."""
    libraries = (pd.__version__, np.__version__)
    days = [day.isoformat() for day in cutoffs]
    content = [GUARD_VERSION, line.to_dict(), digest, days, seed, sorted(known), libraries]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_group(  # noqa: PLR0913 - the guard's interface
    games: pd.DataFrame,
    features: pd.DataFrame,
    group: FeatureGroup,
    *,
    cutoffs: Sequence[dt.date],
    root: Path | None = None,
    seed: int = 0,
    known: Collection[str] = (),
) -> tuple[Leak, ...]:
    """The leaks of one group whose columns of all rows are `features` (float32, on the index of the games).

    `known` names extra columns of the games that are known before the game; all others count as outcomes.
    Raises FeatureError when a declared source cannot be read.
    """
    return check_groups(games, [(group, features)], cutoffs=cutoffs, root=root, seed=seed, known=known)[group.name]


def check_groups(  # noqa: PLR0913 - as above
    games: pd.DataFrame,
    features: Sequence[tuple[FeatureGroup, pd.DataFrame]],
    *,
    cutoffs: Sequence[dt.date],
    root: Path | None = None,
    seed: int = 0,
    known: Collection[str] = (),
) -> dict[str, tuple[Leak, ...]]:
    """The leaks of each group, by its name: `check_group` for several, sharing changed games and the other process."""
    material = Material(games, cutoffs=cutoffs, root=root, seed=seed, known=known)
    exams = {group.name: Exam(material, group, made) for group, made in features}
    asked = [(exam.group, exam.small_tables, exam.reached.hashes) for exam in exams.values()]
    with Elsewhere(asked, material.small) as elsewhere:
        here = {name: exam.leaks() for name, exam in exams.items()}
        return {name: found or exams[name].leaks_elsewhere(elsewhere) for name, found in here.items()}
