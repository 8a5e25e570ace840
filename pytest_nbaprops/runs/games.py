"""The games that a recorded run had, cut out of those there are now."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from pytest_nbaprops.data.digest import DatasetDigest, dataset_digest
from pytest_nbaprops.data.kinds import COUNTED
from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.data.sample import SAMPLE_LABEL, sample_league
from pytest_nbaprops.data.schema import parse_target
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.runs.recorded import SAME, Check, Recorded

HOOK: Final = "pytest_nbaprops_load_games"


def games_again(recorded: Recorded, *, data: str | None, root: Path) -> tuple[pd.DataFrame | None, Check]:
    """The games that the run had, cut out of those there are now; None where a hook of the project loads them.

    Raises:
        DataError: the data is not there, was changed, or lacks dates.
    """
    source = str(recorded.document["dataset"]["source"])
    if data is None and source == HOOK:
        text = f"{recorded.digest.full[:12]} from {HOOK}"
        return None, Check(what="data", recorded=text, now=text, outcome=SAME, cause="")
    target = str(recorded.settings["target"])
    if data is None and source == SAMPLE_LABEL:
        games, source = sample_league(), SAMPLE_LABEL
    else:
        source = str(_place(recorded, data, root))
        kinds = recorded.settings.get("games", COUNTED)
        games = load_games(
            source, column_map=recorded.settings["columns"], target_columns=parse_target(target), kinds=kinds
        )
    now = dataset_digest(games)
    cut = _cut(games, now, recorded.digest, source)
    was = f"{recorded.digest.full[:12]}, {_extent(recorded.digest)}"
    grown = len(now.dates) - len(recorded.digest.dates)
    text = was if not grown else f"{now.full[:12]}, {_extent(now)}"
    outcome = f"cut to {recorded.digest.dates[-1]}" if grown else SAME
    return cut, Check(what="data", recorded=was, now=text, outcome=outcome, cause="")


def _place(recorded: Recorded, data: str | None, root: Path) -> Path:
    """Where the data is: as asked for, where it was, or at the same place in a project that has moved."""
    if data is not None:
        return Path(data)
    was = Path(recorded.settings["data"])
    moved = root / os.path.relpath(was, recorded.settings["rootdir"])
    for path in (was, moved):
        if path.exists() or any(sign in path.name for sign in "*?["):
            return path
    raise DataError(f"the data of the run, {was}, is not there any more; say where it is with --data PATH")


def recorded_games(
    games: pd.DataFrame, digest: Mapping[str, Any], *, source: str, target: str, kinds: Sequence[str] = COUNTED
) -> pd.DataFrame:
    """Games from a hook, in canonical form and cut to the recorded dates.

    Raises:
        DataError: they were changed, or lack dates.
    """
    found = normalize_games(games, source=source, target_columns=parse_target(target), kinds=kinds)
    return _cut(found, dataset_digest(found), DatasetDigest.from_dict(digest), source)


def _cut(games: pd.DataFrame, now: DatasetDigest, recorded: DatasetDigest, source: str) -> pd.DataFrame:
    """The games through the last recorded date, which must be the recorded ones."""
    last = recorded.dates[-1]
    if now.through(last) == recorded.full:
        return games[games["GAME_DATE"] <= pd.Timestamp(last)].reset_index(drop=True)
    for date in sorted({*recorded.dates, *(date for date in now.dates if date <= last)}):
        if now.of_date(date) != recorded.of_date(date):
            what = "was changed" if date in recorded.dates else "was added"
            what = what if date in now.dates else "is missing"
            raise DataError(
                f"{source}: the data is not what the run had: {date} {what}, the first date that differs of "
                f"{_extent(recorded)}; name the data of that time with --data PATH"
            )
    raise DataError(f"{source}: the data is not what the run had, though every date is; record the run again")


def _extent(digest: DatasetDigest) -> str:
    return f"{len(digest.dates)} dates from {digest.dates[0]} to {digest.dates[-1]}"
