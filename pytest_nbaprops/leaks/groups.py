"""What feature groups give away: each is asked in a clean interpreter, in different worlds, and its answers compared.

The heart: what a group gives for a date when the world ends that morning must be what the fold was given. Everything
else only names a leak, or finds what an answer hangs on besides the games.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.sources import known_sources, read_sources
from pytest_nbaprops.leaks.answers import Answer, example, moved, moved_beyond_rounding
from pytest_nbaprops.leaks.at_hand import data_at_hand
from pytest_nbaprops.leaks.columns import unknown_columns
from pytest_nbaprops.leaks.leak import NO_EXAMPLE, Leak
from pytest_nbaprops.leaks.outside import ANOTHER_DAY, FAR_PAST, Listener, Read, another_outside
from pytest_nbaprops.leaks.perturb import Cutoff, Scene

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

Found = tuple[tuple[str, ...], Mapping[str, object]]
SMALL, SEED = 3000, 1946
BUILT_IN = "built-in groups"  # asked as one: they are this package's own
KINDS = (
    ("future source rows", "sources"),
    ("future outcomes", "future_outcomes"),
    # Who fills a gap with what comes next looks at the next row too, but tonight's outcome is what gets in.
    ("same-day outcomes", "same_day_outcomes"),
    ("future rows", "future_rows"),
    # Sums and thresholds of tonight's outcomes also move when players are hidden.
    ("same-day outcomes", "same_day_highest"),
    ("same-day outcomes", "same_day_lowest"),
    ("row order", "row_order"),
    ("same-day presence", "same_day_presence"),
    ("needs outcomes", "not_yet_played"),
)
OUTSIDES: dict[str, dict[str, Any]] = {
    "": {},
    "everything": {"clock": FAR_PAST, "draws": True, "files": True},
    "another day": {"clock": ANOTHER_DAY, "draws": True, "files": True},
    "clock": {"clock": ANOTHER_DAY},
    "far clock": {"clock": FAR_PAST},
    "draws": {"draws": True},
    "files": {"files": True},
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One question: a group, the league it is asked about, a change of it, how often, and the world outside."""

    group: str
    league: str
    change: str = ""
    date: str | None = None
    times: int = 1
    outside: str = ""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What came of a call: an answer for each time, what was asked for besides, and whether it changed its argument."""

    answers: list[Answer]
    reads: list[Read] = field(default_factory=list)
    at_hand: list[str] = field(default_factory=list)
    hashes: bool = False
    changed: str | None = None


class League:
    """Games to ask about, with the changes that were made of them lately."""

    def __init__(self, games: pd.DataFrame, *, seed: int, known: Collection[str]) -> None:
        self.games = games.reset_index(drop=True)
        self._seed = seed
        self._unknown = unknown_columns(self.games, known)
        self._scenes: dict[tuple[str, str], Scene] = {}

    def cutoff(self, date: str) -> Cutoff:
        return Cutoff(self.games, np.datetime64(date, "D"), seed=self._seed, unknown=self._unknown)

    def scene(self, change: str, date: str | None) -> Scene:
        if date is None:
            rows = np.arange(len(self.games))
            return Scene(frame=self.games, origin=rows, judged=rows)
        if (change, date) not in self._scenes:
            self._scenes.clear()  # one at a time: a season's games take memory
            self._scenes[change, date] = _changed(self.cutoff(date), change)
        return self._scenes[change, date]


def _changed(cutoff: Cutoff, change: str) -> Scene:
    makers: dict[str, Callable[[], Scene]] = {
        "sources": cutoff.all_rows,
        "combined": lambda: cutoff.all_at_once(hide=True, empty=False),
        "combined, all there": lambda: cutoff.all_at_once(hide=False, empty=False),
        "same_day_highest": lambda: cutoff.same_day_extreme(high=True),
        "same_day_lowest": lambda: cutoff.same_day_extreme(high=False),
    }
    scene: Scene = makers[change]() if change in makers else getattr(cutoff, change)()
    return scene


@dataclass(kw_only=True)
class Material:
    """What groups are asked about: `all` games with the features that the folds were given, and parts of them."""

    groups: Mapping[str, FeatureGroup]
    games: pd.DataFrame
    features: pd.DataFrame
    columns: Mapping[str, tuple[str, ...]]
    root: Path
    listener: Listener
    seed: int
    known: tuple[str, ...]
    recent: pd.Series[bool]
    screened: pd.Series[bool]

    @cached_property
    def leagues(self) -> dict[str, League]:
        parts = {"all": self.games, "recent": self.games[self.recent], "screen": self.games[self.screened]}
        parts["small"] = _first_dates(parts["recent"])
        return {name: League(games, seed=self.seed, known=self.known) for name, games in parts.items()}

    @classmethod
    def with_built_in(cls, own: Collection[str], *, groups: Sequence[FeatureGroup], **parts: Any) -> Material:
        """The material with all groups that are not `own` as one."""
        ours = [group for group in groups if group.name not in own]
        together = FeatureGroup(
            name=BUILT_IN, tier="core", known_at="morning", version="1", function=lambda games: _joined(ours, games)
        )
        columns = dict(parts.pop("columns"))
        columns[BUILT_IN] = tuple(name for group in ours for name in columns[group.name])
        by_name = {group.name: group for group in groups if group.name in own} | {BUILT_IN: together}
        return cls(groups=by_name, columns=columns, **parts)

    def given(self, group: str) -> Answer:
        """What the folds were given of a group, for all games."""
        names = self.columns[group]
        values = self.features[list(names)].to_numpy(dtype=np.float32)
        return Answer.of_features(values, names)

    def heard(self, call: Call) -> Heard:
        """Ask; to be run where it is the first call there is."""
        group, league = self.groups[call.group], self.leagues[call.league]
        scene, tables = league.scene(call.change, call.date), read_sources(group, self.root)
        if call.change in ("sources", "combined", "combined, all there") and call.date is not None:
            tables = league.cutoff(call.date).tables(group, tables)
        served = call.date if call.change == "served" else None
        last = scene.frame["GAME_DATE"].max() if served is None else pd.Timestamp(served)
        tables = known_sources(group, tables, last)
        looked = data_at_hand(group.function) if call.times > 1 and call.group != BUILT_IN else None
        self.listener.take()
        random.seed(SEED)  # a fork draws anew
        np.random.seed(SEED)  # noqa: NPY002 - the global state is what groups share
        answers, changed = [], None
        with another_outside(self.listener, **OUTSIDES[call.outside]):
            for _ in range(call.times):
                handed = scene.frame.copy(deep=True)
                answers.append(_asked(group, handed, tables, scene.frame))
                changed = changed or _difference(handed, scene.frame)
        return Heard(
            answers=answers,
            reads=self.listener.take(),
            at_hand=looked.data if looked else [],
            hashes=bool(looked and looked.hashes),
            changed=changed,
        )


def _joined(groups: Sequence[FeatureGroup], games: pd.DataFrame) -> pd.DataFrame:
    made: pd.DataFrame = pd.concat([group(games) for group in groups], axis=1)
    return made


def _first_dates(games: pd.DataFrame) -> pd.DataFrame:
    """The first dates, about three thousand rows and no more than two thirds of all."""
    days = games["GAME_DATE"].to_numpy()
    part: pd.DataFrame = games.loc[days <= days[min(SMALL, len(days) * 2 // 3)]]
    return part


def _asked(
    group: FeatureGroup, handed: pd.DataFrame, tables: Mapping[str, pd.DataFrame], games: pd.DataFrame
) -> Answer:
    try:
        return Answer.of(group(handed, **{name: table.copy() for name, table in tables.items()}), games)
    except Exception as problem:  # noqa: BLE001 - a user's code may raise anything
        return Answer.failed(f"{type(problem).__name__}: {' '.join(str(problem).split())}")


def _difference(handed: pd.DataFrame, games: pd.DataFrame) -> str | None:
    if handed.columns.equals(games.columns) and handed.index.equals(games.index) and handed.equals(games):
        return None
    names = [str(name) for name in handed.columns if name not in games or not handed[name].equals(games[name])]
    return f"changed the games handed over: {', '.join(names) or 'its rows'}"


@dataclass(kw_only=True)
class Looked:
    """What was found of one group: its leaks, its answer to few games, and the dates that were looked at.

    Attributes:
        small: its answer to few games, to be compared with those of other interpreters.
        reads: files that were read while it was asked or while its module was imported.
        hashes: whether its code may hang on how text is hashed.
    """

    leaks: list[Leak]
    small: Answer
    reads: list[Read]
    hashes: bool


class Examination:
    """One group's questions. `ask` has each answered by an interpreter in which nothing was asked before."""

    def __init__(self, material: Material, name: str, ask: Callable[[Call], Heard]) -> None:
        self.material, self.group, self._ask = material, material.groups[name], ask
        self.builtin = name == BUILT_IN
        self.league = "recent" if self.builtin else "all"

    def looked(self, dates: Sequence[dt.date], screened: Sequence[dt.date]) -> Looked:
        """Look at the group on `dates` of all games, and on `screened` of a few of them."""
        first = self._heard("small", times=2)
        small, again = first.answers
        leaks = [] if self.builtin else [*self._behaviour(first)]
        if not leaks or (leaks[0].kind == "undeclared source" and leaks[0].remedy != STABLE):
            found = self._values(dates, screened)
            leaks += found
            if not leaks and (state := self._differences(again, small, self.material.leagues["small"].games)):
                leaks.append(self._leak("keeps state", state))
        reads = first.reads
        if any(read.is_of_the_kernel for read in reads):  # which does not say who opened a file: once more, then
            twice = self._heard("small").reads
            reads = [read for read in reads if not read.is_of_the_kernel or read in twice]
        return Looked(leaks=leaks, small=small, reads=reads, hashes=first.hashes)

    def _heard(self, league: str, change: str = "", date: str | None = None, **how: Any) -> Heard:
        return self._ask(Call(group=self.group.name, league=league, change=change, date=date, **how))

    def _answer(self, league: str, change: str = "", date: str | None = None, outside: str = "") -> Answer:
        return self._heard(league, change, date, outside=outside).answers[0]

    # what an answer hangs on besides the games

    def _behaviour(self, first: Heard) -> Iterator[Leak]:
        small, games = first.answers[0], self.material.leagues["small"].games
        if small.rows is not None:
            yield Leak(group=self.group.name, columns=(), kind="changes rows", example=small.rows)
        elif first.changed:
            yield self._leak("keeps state", ((), {**NO_EXAMPLE, "detail": first.changed}))
        elif noise := self._differences(self._answer("small"), small, games):
            yield self._leak("not deterministic", noise)
        elif outside := [*self._untried(first), *self._depends(small)]:
            details, remedies = zip(*outside, strict=True)
            yield replace(
                Leak.undeclared(self.group.name, "; ".join(dict.fromkeys(details)), remedies[0]),
                columns=self.material.columns[self.group.name],
            )

    def _untried(self, first: Heard) -> Iterator[tuple[str, str]]:
        """What cannot be answered otherwise, so that asking counts."""
        for read in first.reads:
            if not read.tried and not read.is_of_the_kernel:
                yield str(read), remedy_for([read], self.material.root)
        for name in first.at_hand:
            yield name, "keep tables and fitted models in a file that is declared: sources={...} of the group"

    def _depends(self, small: Answer) -> Iterator[tuple[str, str]]:
        """Whether another clock, other draws or other files move the answer, and which of them."""
        games = self.material.leagues["small"].games
        heard = self._heard("small", outside="everything")
        if not self._differences(heard.answers[0], small, games):
            return
        if heard.answers[0].problem and not self._differences(
            self._answer("small", outside="another day"), small, games
        ):
            return  # some libraries cannot do with a date so far away
        for outside, what in (("clock", "the clock"), ("far clock", "the clock"), ("draws", "the global random state")):
            if self._differences(self._answer("small", outside=outside), small, games):
                yield f"asks {what}", STABLE
                return
        files = [read for read in heard.reads if read.path]
        for read in files:
            yield str(read), remedy_for([read], self.material.root)
        if not files:
            yield "asks something outside of the games", STABLE

    # what it knows too early

    def _values(self, dates: Sequence[dt.date], screened: Sequence[dt.date]) -> list[Leak]:
        suspects = [date for number, date in enumerate(dates) if self._moves(self.league, str(date), number == 0)]
        if suspects:
            return self._named(self.league, [str(date) for date in suspects])
        late = next((date for date in screened if self._moves("screen", str(date), combined=False)), None)
        return [] if late is None else self._named("screen", [str(late)])

    def _moves(self, league: str, date: str, combined: bool) -> bool:  # noqa: FBT001 - the first date has both
        """Whether the answer for a date is another one when the world ends that morning."""
        changes = ["served", *([self._combined] if combined else [])]
        return any(self._moved_at_all(league, change, date) for change in changes)

    @property
    def _combined(self) -> str:
        return "combined" if self.group.known_at == "morning" else "combined, all there"

    def _moved_at_all(self, league: str, change: str, date: str) -> bool:
        answer, true = self._answer(league, change, date), self._reference(league)
        scene = self.material.leagues[league].scene(change, date)
        if answer.problem or answer.rows is not None or answer.columns != true.columns:
            return True
        rows, origin = scene.judged, scene.origin[scene.judged]
        return bool(moved(answer.float32[rows], true.float32[origin]).any())

    def _reference(self, league: str) -> Answer:
        """What the folds were given; for a part of the games, what the group gives for all of that part."""
        return self.material.given(self.group.name) if league == "all" else self._true[league]

    @cached_property
    def _true(self) -> dict[str, Answer]:
        return _Lazily(self._answer)

    def _named(self, league: str, suspects: list[str]) -> list[Leak]:
        """One change at a time; a column gets the first kind that moves it."""
        true, games = self._true[league], self.material.leagues[league].games
        if unstable := self._differences(true, self._reference(league), games):
            twice = self._heard(league, times=2).answers
            kind = "keeps state" if self._differences(twice[1], twice[0], games) else "not deterministic"
            return [self._leak(kind, unstable)]
        leaks: list[Leak] = []
        named: set[str] = set()
        for kind, change in self._changes():
            for date in suspects:
                found = self._moved_by(league, change, date, true, named)
                if found:
                    leaks.append(self._leak(kind, found))
                    named |= set(found[0]) or set(true.columns)
            if named.issuperset(true.columns):
                break
        return list(_merged(leaks)) or self._unnamed(league, suspects, true)

    def _changes(self) -> Iterator[tuple[str, str]]:
        for kind, change in KINDS:
            morning_only = change == "same_day_presence" and self.group.known_at != "morning"
            if not morning_only and (change != "sources" or self.group.sources):
                yield kind, change

    def _moved_by(self, league: str, change: str, date: str, true: Answer, named: set[str]) -> Found | None:
        found = self._compared(league, change, date, true)
        if not found:
            return None
        left = tuple(name for name in found[0] if name not in named)
        if found[0] and not left:
            return None
        return (left, found[1]) if left == found[0] else (left, self._compared(league, change, date, true, left)[1])  # type: ignore[index]

    def _unnamed(self, league: str, suspects: list[str], true: Answer) -> list[Leak]:
        """Nothing moved by itself: rounding, or changes that only show together."""
        for date in suspects:
            for change in ("served", self._combined):
                if found := self._compared(league, change, date, true):
                    return [self._leak("future outcomes", found)]
        return []

    def _compared(self, league: str, change: str, date: str, true: Answer, only: tuple[str, ...] = ()) -> Found | None:
        answer = self._answer(league, change, date)
        if answer.rows is not None:
            return (), answer.rows
        if answer.problem or answer.columns != true.columns:
            detail = answer.problem or f"made columns {', '.join(answer.columns)}"
            return true.columns, {**NO_EXAMPLE, "detail": detail}
        scene = self.material.leagues[league].scene(change, date)
        rows, origin = scene.judged, scene.origin[scene.judged]
        columns = only or _moved_columns(answer, rows, true, origin)
        games = self.material.leagues[league].games
        return (columns, example(games, true, origin, answer, rows, columns[0])) if columns else None

    def _differences(self, answer: Answer, other: Answer, games: pd.DataFrame) -> Found | None:
        return differences(answer, other, games)

    def _leak(self, kind: str, found: Found) -> Leak:
        columns = found[0] or self.material.columns[self.group.name]
        return Leak(group=self.group.name, columns=columns, kind=kind, example=found[1])


STABLE = "let it depend on nothing but its arguments"


def remedy_for(reads: Sequence[Read], root: Path) -> str:
    """The line that would declare what was read."""
    paths = [Path(read.path) for read in reads if read.path is not None]
    near = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths]
    return f"nbaprops_sources = {' '.join(dict.fromkeys(near))}" if near else STABLE


class _Lazily(dict[str, Answer]):
    """Answers to whole leagues, asked for once."""

    def __init__(self, ask: Callable[[str], Answer]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, league: str) -> Answer:
        self[league] = self._ask(league)
        return self[league]


def differences(answer: Answer, other: Answer, games: pd.DataFrame) -> Found | None:
    """Where two answers to the same games differ by more than rounding."""
    if other.problem:
        return None
    if answer.problem or answer.rows is not None or answer.columns != other.columns:
        return other.columns, {**NO_EXAMPLE, "detail": answer.problem or "other rows or columns"}
    rows = np.arange(len(games))
    columns = _moved_columns(answer, rows, other, rows)
    return (columns, example(games, other, rows, answer, rows, columns[0])) if columns else None


def _moved_columns(answer: Answer, rows: Any, other: Answer, others: Any) -> tuple[str, ...]:
    different = moved_beyond_rounding(answer, rows, other, others).T
    return tuple(name for name, one in zip(other.columns, different, strict=True) if one.any())


def _merged(leaks: list[Leak]) -> Iterator[Leak]:
    for kind in dict.fromkeys(leak.kind for leak in leaks):
        same = [leak for leak in leaks if leak.kind == kind]
        columns = tuple(dict.fromkeys(name for leak in same for name in leak.columns))
        yield Leak(group=same[0].group, columns=columns, kind=kind, example=same[0].example)
