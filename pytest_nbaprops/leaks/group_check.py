"""One feature group called again and again: on changed games, watched, twice, and elsewhere."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.features.sources import known_sources, read_sources
from pytest_nbaprops.leaks.answers import Answer, example, moved, moved_beyond_rounding, row_changes
from pytest_nbaprops.leaks.audit import watched
from pytest_nbaprops.leaks.callers import folders_of
from pytest_nbaprops.leaks.extra_columns import unknown_columns
from pytest_nbaprops.leaks.leak import NO_EXAMPLE, Leak
from pytest_nbaprops.leaks.perturb import Cutoff, Scene
from pytest_nbaprops.leaks.reachable import Reached, fresh, reached_by

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_nbaprops.features.group import FeatureGroup
    from pytest_nbaprops.leaks.answers import Positions
    from pytest_nbaprops.leaks.subprocess_check import Elsewhere

    Found = tuple[tuple[str, ...], Mapping[str, object]]

SMALL = 3000
SAFE_COPIES = int(pd.__version__.split(".")[0]) >= 3  # noqa: PLR2004 - from 3.0 on shallow copies are safe


class Material:
    """Cutoffs and changed games, made once for all groups of a session."""

    def __init__(
        self, games: pd.DataFrame, *, cutoffs: Sequence[dt.date], root: Path | None, seed: int, known: Collection[str]
    ) -> None:
        self.games = games.reset_index(drop=True)
        self.root = root
        unknown = unknown_columns(self.games, known)
        days = [np.datetime64(day, "D") for day in cutoffs]
        self.cutoffs = [Cutoff(self.games, day, seed=seed, unknown=unknown) for day in days]
        self._scenes: dict[tuple[int, bool, bool], Scene] = {}

    @cached_property
    def small(self) -> pd.DataFrame:
        """The first dates, about three thousand rows and no more than two thirds of all."""
        days = self.games["GAME_DATE"].to_numpy()
        last = days[min(SMALL, len(days) * 2 // 3)]
        first: pd.DataFrame = self.games.loc[days <= last].reset_index(drop=True)
        return first

    def combined(self, number: int, *, hide: bool, empty: bool) -> Scene:
        key = (number, hide, empty)
        if key not in self._scenes:
            self._scenes[key] = self.cutoffs[number].all_at_once(hide=hide, empty=empty)
        return self._scenes[key]


class Exam:
    """One group's checks."""

    def __init__(self, material: Material, group: FeatureGroup, features: pd.DataFrame) -> None:
        self.material = material
        self.group = group
        self.features = features.to_numpy(dtype=np.float32)
        self.columns = tuple(map(str, features.columns))
        self.tables = read_sources(group, material.root)
        self.reached: Reached = reached_by(group.function)
        self.folders = folders_of(group.function)
        self.reads: list[str] = []
        self.small_answer: Answer | None = None

    @cached_property
    def small_tables(self) -> dict[str, pd.DataFrame]:
        return self._cut(self.tables, self.material.small)

    def leaks(self) -> tuple[Leak, ...]:
        """What can be seen in this process."""
        behaviour = self._small_leaks()
        values = self._value_leaks() if not behaviour else ()
        state = self._state_leaks() if not (behaviour or values) else ()
        return (*self._source_leaks(), *behaviour, *values, *state)

    def leaks_elsewhere(self, elsewhere: Elsewhere) -> tuple[Leak, ...]:
        """Other values or other reading in new processes with other hash seeds, where the group can be sent there.

        What is data and what is code shows when modules are imported: a model may have been fitted here since, and a
        small table may have been read then. Only where nobody can be asked it is judged by what is in memory here.
        """
        there = elsewhere.answer(self.group.name)
        here = self.small_answer
        data = self.reached.data if there is None else there.data
        self.reads += () if there is None else there.reads
        if data or self.reads:
            return self._source_leaks(data)
        if there is None or here is None or here.problem:
            return ()
        found = self._differences(there, here, self.material.small)
        if not found and not self.reached.hashes:
            return ()
        return self._unlike_here(found, there, elsewhere)

    def _unlike_here(self, found: Found | None, there: Answer, elsewhere: Elsewhere) -> tuple[Leak, ...]:
        """What is the same in all other processes but not here was kept here; else every process has its own."""
        for again in elsewhere.more_answers(self.group.name, hashes=self.reached.hashes):
            if unlike := self._differences(again, there, self.material.small):
                return (self._leak("not deterministic", found or unlike),)
        return (self._leak("keeps state", found),) if found else ()

    def _source_leaks(self, data: Sequence[str] = ()) -> tuple[Leak, ...]:
        what = [*self.reads, *self.reached.readers, *(f"data kept in memory: {name}" for name in data)]
        if not what:
            return ()
        detail = "; ".join(dict.fromkeys(what))
        return (self._leak("undeclared source", (self.columns, {**NO_EXAMPLE, "detail": detail})),)

    def _small_leaks(self) -> tuple[Leak, ...]:
        """Rows added or lost, games changed in place, the clock: on few rows, since watching the clock is slow."""
        handed = self.material.small.copy(deep=True)
        answer = self._answer(handed, self.small_tables, clock=True)
        self.small_answer = answer
        if answer.rows is not None:
            return check_rows(self.material.small, self.group, root=self.material.root)
        if not _unchanged(handed, self.material.small):
            detail = f"changed the games handed over: {_changed_columns(handed, self.material.small)}"
            return (self._leak("keeps state", ((), {**NO_EXAMPLE, "detail": detail})),)
        return ()

    def _value_leaks(self) -> tuple[Leak, ...]:
        suspects = [number for number in range(len(self.material.cutoffs)) if self._moves(number)]
        if not suspects:
            return ()
        true = self._answer(self.material.games, self._cut(self.tables, self.material.games))
        unstable = self._differences(true, Answer.of_features(self.features, self.columns), self.material.games)
        if unstable:
            # Who draws from elsewhere answers differently every time; that is said already.
            return () if self.reads else (self._leak(self._unstable_kind(), unstable),)
        return self._named(suspects, true)

    def _moves(self, number: int) -> bool:
        """Whether anything moves at a cutoff; outcomes are emptied at every other one, exchanged at the rest."""
        cutoff = self.material.cutoffs[number]
        scene = self.material.combined(number, hide=self._hides, empty=number % 2 == 1)
        answer = self._answer(scene.frame, cutoff.tables(self.group, self.tables))
        if answer.problem or answer.rows is not None or answer.columns != self.columns:
            return True
        return bool(moved(answer.float32[scene.judged], self.features[scene.origin[scene.judged]]).any())

    @property
    def _hides(self) -> bool:
        return self.group.known_at == "morning"

    def _named(self, suspects: list[int], true: Answer) -> tuple[Leak, ...]:
        """One change at a time; a column gets the first kind that moves it."""
        leaks: list[Leak] = []
        named: set[str] = set()
        for kind, change in self._changes():
            for number in suspects:
                if named.issuperset(self.columns):
                    break
                found = self._moved_by(change, number, true, named)
                if found:
                    leaks.append(self._leak(kind, found))
                    named |= set(found[0]) or set(self.columns)
        return tuple(_merged(leaks)) or self._unnamed(suspects, true)

    def _changes(self) -> Iterator[tuple[str, Callable[[Cutoff], tuple[Scene, bool]]]]:
        if self.tables:
            yield "future source rows", lambda cutoff: (cutoff.all_rows(), True)
        yield "future outcomes", lambda cutoff: (cutoff.future_outcomes(), False)
        # Who fills a gap with what comes next looks at the next row too, but tonight's outcome is what gets in.
        yield "same-day outcomes", lambda cutoff: (cutoff.same_day_outcomes(), False)
        yield "future rows", lambda cutoff: (cutoff.future_rows(), False)
        # Sums and thresholds of tonight's outcomes also move when players are hidden.
        yield "same-day outcomes", lambda cutoff: (cutoff.same_day_extreme(high=True), False)
        yield "same-day outcomes", lambda cutoff: (cutoff.same_day_extreme(high=False), False)
        yield "row order", lambda cutoff: (cutoff.row_order(), False)
        if self._hides:
            yield "same-day presence", lambda cutoff: (cutoff.same_day_presence(), False)
        yield "needs outcomes", lambda cutoff: (cutoff.not_yet_played(), False)

    def _moved_by(
        self, change: Callable[[Cutoff], tuple[Scene, bool]], number: int, true: Answer, named: set[str]
    ) -> Found | None:
        cutoff = self.material.cutoffs[number]
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
            cutoff = self.material.cutoffs[number]
            scene = self.material.combined(number, hide=self._hides, empty=number % 2 == 1)
            answer = self._answer(scene.frame, cutoff.tables(self.group, self.tables))
            found = self._compared(answer, true, scene)
            if found:
                return (self._leak("future outcomes", found),)
        return ()

    def _compared(self, answer: Answer, true: Answer, scene: Scene) -> Found | None:
        if answer.rows is not None:
            return (), answer.rows
        if answer.problem or answer.columns != self.columns:
            return self.columns, {**NO_EXAMPLE, "detail": answer.problem or f"made columns {', '.join(answer.columns)}"}
        rows, origin = scene.judged, scene.origin[scene.judged]
        columns = _moved_columns(answer, rows, true, origin)
        return (columns, self._example(answer, true, scene, columns)) if columns else None

    def _example(self, answer: Answer, true: Answer, scene: Scene, columns: tuple[str, ...]) -> dict[str, object]:
        rows, origin = scene.judged, scene.origin[scene.judged]
        return example(self.material.games, true, origin, answer, rows, columns[0])

    def _differences(self, answer: Answer, other: Answer, games: pd.DataFrame) -> Found | None:
        rows = np.arange(len(games))
        if other.problem:
            return None
        if answer.problem or answer.rows is not None or answer.columns != other.columns:
            return self.columns, {**NO_EXAMPLE, "detail": answer.problem or "other rows or columns"}
        columns = _moved_columns(answer, rows, other, rows)
        return (columns, example(games, other, rows, answer, rows, columns[0])) if columns else None

    def _state_leaks(self) -> tuple[Leak, ...]:
        """The small call once more without a fresh start, after all the others; it must answer as it did first."""
        if self.small_answer is None or self.small_answer.problem or self.reads:
            return ()
        small = self.material.small
        again = [self._answer(small, self.small_tables, renew=False) for _ in range(2)]
        found = next(filter(None, (self._differences(one, self.small_answer, small) for one in again)), None)
        return (self._leak(self._unstable_kind(), found),) if found else ()

    def _unstable_kind(self) -> str:
        """Noise differs every time; state does not when every call starts afresh, or shows where it is kept."""
        small = self.material.small
        one, other = (self._answer(small, self.small_tables) for _ in range(2))
        noisy = self._differences(one, other, small)
        return "not deterministic" if noisy and not self._state_grows() else "keeps state"

    def _state_grows(self) -> bool:
        before = self.reached.fingerprint()
        self._answer(self.material.small, self.small_tables, renew=False)
        return self.reached.fingerprint() != before

    def _answer(
        self, games: pd.DataFrame, tables: Mapping[str, pd.DataFrame], *, clock: bool = False, renew: bool = True
    ) -> Answer:
        """Call the group, watched, on a copy of its own (`clock`: on the very frame)."""
        handed = games if clock else _copy(games)
        given = {name: table.copy() for name, table in self._cut(tables, games).items()}
        try:
            with fresh(self.reached if renew else Reached()), watched(self.reads, clock=clock, project=self.folders):
                raw = self.group(handed, **given)
        except Exception as problem:  # noqa: BLE001 - a user's code may raise anything
            return Answer.failed(f"{type(problem).__name__}: {' '.join(str(problem).split())}")
        return Answer.of(raw, games)

    def _cut(self, tables: Mapping[str, pd.DataFrame], games: pd.DataFrame) -> dict[str, pd.DataFrame]:
        return known_sources(self.group, dict(tables), games["GAME_DATE"].max())

    def _leak(self, kind: str, found: Found) -> Leak:
        return Leak(group=self.group.name, columns=found[0] or self.columns, kind=kind, example=found[1])


def check_rows(games: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> tuple[Leak, ...]:
    """A leak of kind "changes rows" where the group's answer has other rows than the games; for builds that failed."""
    tables = known_sources(group, read_sources(group, root), games["GAME_DATE"].max())
    try:
        change = _row_changes(games, lambda rows: group(_copy(rows), **tables))
    except Exception:  # noqa: BLE001 - a user's code may raise anything; the build has said so already
        return ()
    return () if change is None else (Leak(group=group.name, columns=(), kind="changes rows", example=change),)


def _row_changes(games: pd.DataFrame, call: Callable[[pd.DataFrame], Any]) -> dict[str, object] | None:
    """How rows change, told by the fewest games that still show it, so that the keys named are the ones to look at."""
    change = row_changes(games, call(games))
    whole = change
    while change is not None and len(games) > 1:
        middle = len(games) // 2
        for part in (games.iloc[:middle], games.iloc[middle:]):
            rows = part.reset_index(drop=True)
            smaller = row_changes(rows, call(rows))
            if smaller is not None:
                break
        else:
            break
        games, change = rows, smaller
    if change is None or whole is None:
        return None
    return {
        **change,
        "before": whole["before"],
        "after": whole["after"],
        "detail": f"{whole['detail']}"
        if change is whole
        else f"{whole['before']:.0f} games, {whole['after']:.0f} rows; {change['detail']}",
    }


def _copy(games: pd.DataFrame) -> pd.DataFrame:
    return games.copy(deep=not SAFE_COPIES)


def _moved_columns(answer: Answer, rows: Positions, other: Answer, others: Positions) -> tuple[str, ...]:
    different = moved_beyond_rounding(answer, rows, other, others).T
    return tuple(name for name, one in zip(other.columns, different, strict=True) if one.any())


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
