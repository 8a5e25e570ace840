"""Candidates against one another: on the player-games that all of them predicted, and what that leaves out."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.metrics.point import point_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_nbaprops.gate.verdict import CandidateDecision

NAMED_DATES = 3


def compare(candidates: Sequence[CandidateDecision]) -> tuple[Mapping[str, float], str | None]:
    """MAE of each candidate by name, in the target's units, and what to say of the rows that it leaves out.

    All MAEs are of the same player-games. Nothing but the reason where there is none that all have predicted.
    """
    own = {candidate.name: candidate.metrics["mae"] for candidate in candidates}
    rows = {candidate.name: candidate.rows for candidate in candidates if candidate.rows is not None}
    if len(candidates) == 1 or len(rows) < len(candidates):
        return own if len(candidates) == 1 else {}, None if len(candidates) == 1 else "not all have their player-games"
    keys = {name: pd.MultiIndex.from_frame(frame[list(KEY_COLUMNS)]) for name, frame in rows.items()}
    common = reduce(lambda one, other: one.intersection(other), keys.values())
    if all(len(index) == len(common) for index in keys.values()):
        return own, None
    if not len(common):
        return {}, "they have no player-game in common; give them the same test window"
    same = {name: frame[keys[name].isin(common)] for name, frame in rows.items()}
    compared = {name: point_metrics(frame["actual"], frame["predicted"])["mae"] for name, frame in same.items()}
    # `candidates were compared on 1,204 player-games of 24 dates; left out: b 43 player-games of 2024-04-14`
    parts = []
    for name, frame in rows.items():
        left = frame[~keys[name].isin(common)]
        if len(left):
            days = sorted({f"{day:%Y-%m-%d}" for day in left["GAME_DATE"]})
            more = f" and {len(days) - NAMED_DATES} more" if len(days) > NAMED_DATES else ""
            parts.append(f"{name} {len(left):,} player-games of {', '.join(days[:NAMED_DATES])}{more}")
    dates = common.get_level_values("GAME_DATE").nunique()
    return compared, (
        f"candidates were compared on the {len(common):,} player-games of {dates} dates that all of them predicted; "
        f"left out: {'; '.join(parts)}"
    )
