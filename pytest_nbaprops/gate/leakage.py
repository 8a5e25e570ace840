"""The leak guard for feature groups: what is not known on a cutoff date is changed, and nothing up to it may move.

Pure: games, features and groups in, leaks out. Groups are called on games in which the unknown is perturbed, watched
for what they read besides their arguments, and compared with themselves in another process.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.sources import known_sources, read_sources
from pytest_nbaprops.gate.elsewhere import Elsewhere
from pytest_nbaprops.gate.moves import Answer, example, moved, moved_beyond_rounding, row_changes
from pytest_nbaprops.gate.perturb import Cutoff, Scene, outcome_columns
from pytest_nbaprops.gate.state import Reached, fresh, reached_by
from pytest_nbaprops.gate.watch import watched

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_nbaprops.features.group import FeatureGroup
    from pytest_nbaprops.features.lineage import GroupLineage

GUARD_VERSION = "1"
SMALL = 3000
DEADLINE = (2, 8)  # the trade deadline is in the first or second week of February
NEW_COPIES = int(pd.__version__.split(".")[0]) >= 3  # noqa: PLR2004 - from 3.0 on shallow copies are safe


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One kind of leak in one group: which columns, and one value that should not have moved."""

    group: str
    columns: tuple[str, ...]
    kind: str
    example: Mapping[str, object] | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "columns": [str(name) for name in self.columns],
            "kind": self.kind,
            "example": None if self.example is None else dict(self.example),
        }


def leak_dates(dates: Sequence[dt.date], seasons: Sequence[str], count: int = 4) -> tuple[dt.date, ...]:
    """Sampled cutoffs from all game dates and the season of each: end, deadline week, middle and start of seasons.

    The end and the deadline of the latest season come first, then the middle and the start of the one before, then
    what is left, latest season first; beyond that, dates evenly in between. In ascending order, `count` at most.
    """
    days = sorted(set(dates))
    calendar = {season: _days_of(season, dates, seasons) for season in sorted(set(seasons), reverse=True)}
    # Something must be left to look ahead at, and something to look back on.
    usable = days[1:-1] or days
    chosen: dict[dt.date, None] = {}
    for day in (*_landmarks(list(calendar.values())), *_in_between(usable, count)):
        if len(chosen) < count and day in usable:
            chosen.setdefault(day)
    return tuple(sorted(chosen))


def guard_key(line: GroupLineage, digest: str, cutoffs: Sequence[dt.date], *, seed: int = 0) -> str:
    """SHA-256 (hex) of all that a group's leaks follow from: its code, the data, and how the guard looks at them."""
    content = [
        GUARD_VERSION, line.to_dict(), digest, [day.isoformat() for day in cutoffs], seed, pd.__version__,
        np.__version__,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_group(  # noqa: PLR0913 - the guard's interface
    games: pd.DataFrame,
    features: pd.DataFrame,
    group: FeatureGroup,
    *,
    cutoffs: Sequence[dt.date],
    root: Path | None = None,
    seed: int = 0,
) -> tuple[Leak, ...]:
    """The leaks of one group whose columns of all rows are `features` (float32, on the index of the games).

    Raises FeatureError when a declared source cannot be read.
    """
    return LeakGuard(games, cutoffs=cutoffs, root=root, seed=seed).check({group: features})[group.name]


def check_rows(games: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> tuple[Leak, ...]:
    """A leak of kind "changes rows" where the group's answer has other rows than the games; for builds that failed."""
    tables = known_sources(group, read_sources(group, root), games["GAME_DATE"].max())
    try:
        answer = group(_copy(games), **tables)
    except Exception:  # noqa: BLE001 - a user's code may raise anything; the build has said so already
        return ()
    change = row_changes(games, answer)
    return () if change is None else (Leak(group=group.name, columns=(), kind="changes rows", example=change),)


class LeakGuard:
    """Cutoffs and changed games, made once for all groups of a session."""

    def __init__(self, games: pd.DataFrame, *, cutoffs: Sequence[dt.date], root: Path | None, seed: int) -> None:
        self.games = games.reset_index(drop=True)
        self.root = root
        outcomes = outcome_columns(self.games)
        days = [np.datetime64(day, "D") for day in cutoffs]
        self.cutoffs = [Cutoff(self.games, day, seed=seed, outcomes=outcomes) for day in days]
        self._scenes: dict[tuple[int, bool, bool], Scene] = {}

    def check(self, features: Mapping[FeatureGroup, pd.DataFrame]) -> dict[str, tuple[Leak, ...]]:
        """The leaks of each group, by its name; one other process answers for all of them meanwhile."""
        exams = [Exam(self, group, made) for group, made in features.items()]
        with Elsewhere([(exam.group, exam.small_tables) for exam in exams], self.small) as elsewhere:
            here = {exam.group.name: exam.leaks() for exam in exams}
            for exam in exams:
                if not here[exam.group.name]:
                    here[exam.group.name] = exam.leaks_elsewhere(elsewhere)
        return here

    @cached_property
    def small(self) -> pd.DataFrame:
        """The first dates, about three thousand rows and no more than two thirds of all."""
        days = self.games["GAME_DATE"].to_numpy()
        last = days[min(SMALL, len(days) * 2 // 3)]
        return self.games.loc[days <= last].reset_index(drop=True)

    def combined(self, number: int, *, hide: bool, empty: bool) -> Scene:
        key = (number, hide, empty)
        if key not in self._scenes:
            self._scenes[key] = self.cutoffs[number].all_at_once(hide=hide, empty=empty)
        return self._scenes[key]


class Exam:
    """One group's checks."""

    def __init__(self, guard: LeakGuard, group: FeatureGroup, features: pd.DataFrame) -> None:
        self.guard = guard
        self.group = group
        self.features = features.to_numpy(dtype=np.float32)
        self.columns = tuple(map(str, features.columns))
        self.tables = read_sources(group, guard.root)
        self.reached: Reached = reached_by(group.function)
        self.reads: list[str] = []
        self.small_answer: Answer | None = None

    @cached_property
    def small_tables(self) -> dict[str, pd.DataFrame]:
        return self._cut(self.tables, self.guard.small)

    def leaks(self) -> tuple[Leak, ...]:
        """What can be seen in this process."""
        behaviour = self._small_leaks()
        values = self._value_leaks() if not behaviour else ()
        state = self._state_leaks() if not (behaviour or values) else ()
        return (*self._source_leaks(), *behaviour, *values, *state)

    def leaks_elsewhere(self, elsewhere: Elsewhere) -> tuple[Leak, ...]:
        """Other values, or other reading, in a new process with another hash seed, where the group can be sent there."""
        there = elsewhere.answer(self.group.name)
        if there is None or self.small_answer is None or self.small_answer.problem:
            return ()
        self.reads += there.reads
        if there.reads:
            return self._source_leaks()
        found = self._differences(there, self.small_answer, self.guard.small)
        if not found:
            return ()
        again = elsewhere.ask_again(self.group.name)
        same = again is not None and not self._differences(again, there, self.guard.small)
        return (self._leak("keeps state" if same else "not deterministic", found),)

    def _source_leaks(self) -> tuple[Leak, ...]:
        what = [*self.reads, *self.reached.readers, *(f"data kept in memory: {name}" for name in self.reached.data)]
        if not what:
            return ()
        detail = "; ".join(dict.fromkeys(what))
        return (self._leak("undeclared source", (self.columns, {**_NOTHING, "detail": detail})),)

    def _small_leaks(self) -> tuple[Leak, ...]:
        """Rows added or lost, games changed in place, clock and files: on few rows, since watching the clock is slow."""
        handed = self.guard.small.copy(deep=True)
        answer = self._answer(handed, self.small_tables, clock=True)
        self.small_answer = answer
        if answer.rows is not None:
            return (self._leak("changes rows", ((), answer.rows)),)
        if not _unchanged(handed, self.guard.small):
            detail = f"changed the games handed over: {_changed_columns(handed, self.guard.small)}"
            return (self._leak("keeps state", ((), {**_NOTHING, "detail": detail})),)
        return ()

    def _value_leaks(self) -> tuple[Leak, ...]:
        suspects = [number for number in range(len(self.guard.cutoffs)) if self._moves(number)]
        if not suspects:
            return ()
        true = self._answer(self.guard.games, self._cut(self.tables, self.guard.games))
        unstable = self._differences(true, Answer.of_features(self.features, self.columns), self.guard.games)
        if unstable:
            return (self._leak(self._unstable_kind(), unstable),)
        return self._named(suspects, true)

    def _moves(self, number: int) -> bool:
        """Whether anything moves at a cutoff; outcomes are emptied at every other one, exchanged at the rest."""
        cutoff = self.guard.cutoffs[number]
        scene = self.guard.combined(number, hide=self._hides, empty=number % 2 == 1)
        answer = self._answer(scene.frame, cutoff.tables(self.group, self.tables))
        if answer.problem or answer.rows is not None or answer.columns != self.columns:
            return True
        return moved(answer.float32[scene.judged], self.features[scene.origin[scene.judged]]).any()

    @property
    def _hides(self) -> bool:
        return self.group.known_at == "morning"

    def _named(self, suspects: list[int], true: Answer) -> tuple[Leak, ...]:
        """One change at a time; a column gets the first kind that moves it."""
        leaks: list[Leak] = []
        named: set[str] = set()
        for kind, change in self._changes():
            for number in suspects:
                found = self._moved_by(change, number, true, named)
                if found:
                    leaks.append(self._leak(kind, found))
                    named |= set(found[0]) or set(self.columns)
        return tuple(_merged(leaks)) or self._unnamed(suspects, true)

    def _changes(self) -> Iterator[tuple[str, Callable[[Cutoff], tuple[Scene, bool]]]]:
        if self.tables:
            yield "future source rows", lambda cutoff: (cutoff.all_rows(), True)
        yield "future outcomes", lambda cutoff: (cutoff.future_outcomes(), False)
        yield "future rows", lambda cutoff: (cutoff.future_rows(), False)
        yield "same-day outcomes", lambda cutoff: (cutoff.same_day_outcomes(), False)
        yield "row order", lambda cutoff: (cutoff.row_order(), False)
        if self._hides:
            yield "same-day presence", lambda cutoff: (cutoff.same_day_presence(), False)
        yield "needs outcomes", lambda cutoff: (cutoff.not_yet_played(), False)

    def _moved_by(
        self, change: Callable[[Cutoff], tuple[Scene, bool]], number: int, true: Answer, named: set[str]
    ) -> tuple[tuple[str, ...], dict[str, object]] | None:
        cutoff = self.guard.cutoffs[number]
        scene, tables_too = change(cutoff)
        tables = cutoff.tables(self.group, self.tables) if tables_too else self.tables
        answer = self._answer(scene.frame, tables)
        found = self._compared(answer, true, scene)
        left = tuple(name for name in found[0] if name not in named) if found else ()
        if not found or (found[0] and not left):
            return None
        return found if left == found[0] else (left, self._example(answer, true, scene, left))

    def _unnamed(self, suspects: list[int], true: Answer) -> tuple[Leak, ...]:
        """Nothing moved by itself: rounding, or changes that only show together."""
        for number in suspects:
            cutoff = self.guard.cutoffs[number]
            scene = self.guard.combined(number, hide=self._hides, empty=number % 2 == 1)
            answer = self._answer(scene.frame, cutoff.tables(self.group, self.tables))
            found = self._compared(answer, true, scene)
            if found:
                return (self._leak("future outcomes", found),)
        return ()

    def _compared(self, answer: Answer, true: Answer, scene: Scene) -> Any:
        if answer.rows is not None:
            return (), answer.rows
        if answer.problem or answer.columns != self.columns:
            return self.columns, {**_NOTHING, "detail": answer.problem or f"made columns {', '.join(answer.columns)}"}
        rows, origin = scene.judged, scene.origin[scene.judged]
        different = moved_beyond_rounding(answer, rows, true, origin)
        columns = tuple(name for name, any_moved in zip(self.columns, different.any(axis=0), strict=True) if any_moved)
        return (columns, self._example(answer, true, scene, columns)) if columns else None

    def _example(self, answer: Answer, true: Answer, scene: Scene, columns: tuple[str, ...]) -> dict[str, object]:
        rows, origin = scene.judged, scene.origin[scene.judged]
        return example(self.guard.games, true, origin, answer, rows, columns[0])

    def _differences(self, answer: Answer, other: Answer, games: pd.DataFrame) -> Any:
        rows = np.arange(len(games))
        if other.problem:
            return None
        if answer.problem or answer.rows is not None or answer.columns != other.columns:
            return self.columns, {**_NOTHING, "detail": answer.problem or "other rows or columns"}
        different = moved_beyond_rounding(answer, rows, other, rows)
        columns = tuple(name for name, any_moved in zip(other.columns, different.any(axis=0), strict=True) if any_moved)
        return (columns, example(games, other, rows, answer, rows, columns[0])) if columns else None

    def _state_leaks(self) -> tuple[Leak, ...]:
        """The small call once more without a fresh start, after all the others; it must answer as it did first."""
        if self.small_answer is None or self.small_answer.problem:
            return ()
        small = self.guard.small
        again = [self._answer(small, self.small_tables, renew=False) for _ in range(2)]
        found = next(filter(None, (self._differences(one, self.small_answer, small) for one in again)), None)
        return (self._leak(self._unstable_kind(), found),) if found else ()

    def _unstable_kind(self) -> str:
        """Noise differs every time; state does not when every call starts afresh, or shows where it is kept."""
        small = self.guard.small
        one, other = (self._answer(small, self.small_tables) for _ in range(2))
        noisy = self._differences(one, other, small)
        return "not deterministic" if noisy and not self._state_grows() else "keeps state"

    def _state_grows(self) -> bool:
        before = self.reached.fingerprint()
        self._answer(self.guard.small, self.small_tables, renew=False)
        return self.reached.fingerprint() != before

    def _answer(
        self, games: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, clock: bool = False, renew: bool = True
    ) -> Answer:
        """Call the group, watched, on a copy of its own (`clock`: on the very frame)."""
        handed = games if clock else _copy(games)
        given = {name: table.copy() for name, table in self._cut(tables, games).items()}
        try:
            with fresh(self.reached if renew else Reached()), watched(self.reads, clock=clock):
                raw = self.group(handed, **given)
        except Exception as problem:  # noqa: BLE001 - a user's code may raise anything
            return Answer.failed(f"{type(problem).__name__}: {' '.join(str(problem).split())}")
        return Answer.of(raw, games)

    def _cut(self, tables: Mapping[str, pd.DataFrame], games: pd.DataFrame) -> dict[str, pd.DataFrame]:
        return known_sources(self.group, dict(tables), games["GAME_DATE"].max())

    def _leak(self, kind: str, found: tuple[tuple[str, ...], Mapping[str, object]]) -> Leak:
        return Leak(group=self.group.name, columns=found[0] or self.columns, kind=kind, example=found[1])


_NOTHING: dict[str, object] = {"player": None, "date": None, "column": None, "before": None, "after": None}


def _copy(games: pd.DataFrame) -> pd.DataFrame:
    return games.copy(deep=not NEW_COPIES)


def _merged(leaks: list[Leak]) -> Iterator[Leak]:
    for kind in dict.fromkeys(leak.kind for leak in leaks):
        same = [leak for leak in leaks if leak.kind == kind]
        columns = tuple(dict.fromkeys(name for leak in same for name in leak.columns))
        yield Leak(group=same[0].group, columns=columns, kind=kind, example=same[0].example)


def _unchanged(handed: pd.DataFrame, before: pd.DataFrame) -> bool:
    return handed.columns.equals(before.columns) and handed.index.equals(before.index) and handed.equals(before)


def _changed_columns(handed: pd.DataFrame, before: pd.DataFrame) -> str:
    names = [str(name) for name in handed.columns if name not in before or not handed[name].equals(before[name])]
    return ", ".join(names) or "its rows"


def _days_of(season: str, dates: Sequence[dt.date], seasons: Sequence[str]) -> list[dt.date]:
    return sorted({day for day, name in zip(dates, seasons, strict=True) if name == season})


def _landmarks(calendar: list[list[dt.date]]) -> Iterator[dt.date]:
    """End and deadline of the newest season, middle and start of the one before (or the same), then all the others."""
    before = calendar[1] if len(calendar) > 1 else calendar[0] if calendar else []
    if not calendar:
        return
    yield from (_end(calendar[0]), _deadline(calendar[0]), _middle(before), _start(before))
    for days in calendar:
        yield from (_middle(days), _start(days), _deadline(days), _end(days))


def _start(days: list[dt.date]) -> dt.date:
    return days[min(3, len(days) // 2)]


def _middle(days: list[dt.date]) -> dt.date:
    return days[len(days) // 2]


def _end(days: list[dt.date]) -> dt.date:
    # A few dates before the last one, so that there is a future to look at.
    return days[max(len(days) - 4, len(days) // 2)]


def _deadline(days: list[dt.date]) -> dt.date:
    return min(days, key=lambda day: abs((day - day.replace(year=days[-1].year, month=DEADLINE[0], day=DEADLINE[1])).days))


def _in_between(days: list[dt.date], count: int) -> Iterator[dt.date]:
    for parts in range(1, count + 2):
        yield from (days[len(days) * part // (parts + 1)] for part in range(1, parts + 1))
    yield from days
