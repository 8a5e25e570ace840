"""What feature groups give away: each is asked in a clean interpreter, in different worlds, and its answers compared.

The heart: what a group gives for a date when the world ends that morning must be what the fold was given. Everything
else only names a leak, or finds what an answer hangs on besides the games.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.features.build import COPY_ON_WRITE
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.sources import known_sources, read_sources
from pytest_nbaprops.leaks.answers import Answer, Found, difference
from pytest_nbaprops.leaks.at_hand import data_at_hand
from pytest_nbaprops.leaks.columns import unknown_columns
from pytest_nbaprops.leaks.leak import UNDECLARED, Leak, detail_of
from pytest_nbaprops.leaks.otherwise import NUMBERS, OF_WORDS
from pytest_nbaprops.leaks.outside import ANOTHER_DAY, FAR_PAST, another_outside
from pytest_nbaprops.leaks.perturb import Cutoff, Scene
from pytest_nbaprops.leaks.reads import SEEDED, STABLE, Read, undeclared

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from pytest_nbaprops.leaks.listener import Listener

SEED = 1946
BUILT_IN = "built-in groups"  # asked as one: they are this package's own
ALL, FEW = "all", "few"  # the leagues to ask about
MOST_SUSPECTS = 4
FEWEST_DATES = {ALL: 1, FEW: 4}  # that even a slow group is asked about
SCENES_KEPT = 1 << 26  # bytes of games: all dates of a few, but one of all seasons' games
# Kinds of leaks by the change that shows them; a column gets the first that moves it.
KINDS = (
    ("future source rows", "source_rows"),
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
CONTENTS = "files or variables"
WITH_TABLES = ("source_rows", "combined", "combined_all_there")
OUTSIDES: dict[str, dict[str, Any]] = {
    "everything": {"clock": FAR_PAST, "draws": True, "files": NUMBERS},
    "a server": {},
    "the clock": {"clock": ANOTHER_DAY},
    "the clock, long ago": {"clock": FAR_PAST},
    "the global random state": {"draws": True},
    CONTENTS: {"files": NUMBERS},
    **{world: {"files": world} for world in OF_WORDS},
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One question: a group, the league it is asked about, a change of it or of the world outside, and how often."""

    group: str
    league: str
    change: str = ""
    date: str | None = None
    times: int = 1

    @property
    def is_offline(self) -> bool:
        """Whether whoever answers must not reach a server, and never will again."""
        return self.change in ("everything", "a server")


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What came of a call: an answer for each time, what was learnt besides, and whether it changed its argument.

    `seconds` is the work that it was, of this process.
    """

    answers: list[Answer]
    seconds: float
    reads: list[Read] = field(default_factory=list)
    changed: str | None = None


class League:
    """Games to ask about, with the changes that were made of them last: as many as take little memory."""

    def __init__(self, games: pd.DataFrame, *, seed: int, known: Collection[str]) -> None:
        self.games = games.reset_index(drop=True)
        self._seed = seed
        self._unknown = unknown_columns(self.games, known)
        self._scenes: dict[Any, Scene] = {}
        self._most = max(1, SCENES_KEPT // max(1, int(self.games.memory_usage().sum())))

    def cutoff(self, date: str) -> Cutoff:
        return Cutoff(self.games, np.datetime64(date, "D"), seed=self._seed, unknown=self._unknown)

    def scene(self, change: str, date: str | None) -> Scene:
        if date is None:
            rows = np.arange(len(self.games))
            return Scene(frame=self.games, origin=rows, judged=rows)
        if (change, date) not in self._scenes:
            if len(self._scenes) >= self._most:
                self._scenes.clear()
            self._scenes[change, date] = getattr(self.cutoff(date), change)()
        return self._scenes[change, date]


@dataclass(kw_only=True)
class Material:
    """What groups are asked about: `games` with the features that the folds were given, and a `few` of them."""

    groups: Mapping[str, FeatureGroup]
    games: pd.DataFrame
    features: pd.DataFrame
    columns: Mapping[str, tuple[str, ...]]
    root: Path
    data: str | None
    listener: Listener
    seed: int
    known: tuple[str, ...]
    few: pd.Series[bool]

    @cached_property
    def _leagues(self) -> dict[str, League]:
        return {}

    def league(self, name: str) -> League:
        """The games to ask about, made when they are first asked for: all of them may be many."""
        if name not in self._leagues:
            games = self.games if name == ALL else self.games[self.few]
            self._leagues[name] = League(games, seed=self.seed, known=self.known)
        return self._leagues[name]

    @classmethod
    def with_built_in(cls, own: Collection[str], *, groups: Sequence[FeatureGroup], **parts: Any) -> Material:
        """The material with all groups that are not `own` as one."""
        ours = [group for group in groups if group.name not in own]
        together = FeatureGroup(
            name=BUILT_IN,
            tier="core",
            known_at="morning",
            version="1",
            function=lambda games: pd.concat([group(games) for group in ours], axis=1),
        )
        by_name = {group.name: group for group in groups if group.name in own} | {BUILT_IN: together}
        columns = parts.pop("columns")
        all_ours = tuple(name for group in ours for name in columns[group.name])
        return cls(groups=by_name, columns={**columns, BUILT_IN: all_ours}, **parts)

    def given(self, group: str) -> Answer:
        """What the folds were given of a group, for all games."""
        names = self.columns[group]
        return Answer(numbers=self.features[list(names)].to_numpy(np.float64), columns=names, kept=True)

    def heard(self, call: Call) -> Heard:
        """Ask; to be run where it is the first call there is."""
        group, league = self.groups[call.group], self.league(call.league)
        scene, tables = league.scene(call.change, call.date), read_sources(group, self.root)
        if call.change in WITH_TABLES and call.date is not None:
            tables = league.cutoff(call.date).tables(group, tables)
        morning = call.date if call.change in ("served", "served_early") else None
        last = scene.frame["GAME_DATE"].max() if morning is None else pd.Timestamp(morning)
        tables = known_sources(group, tables, last)
        looks = call.times > 1 and call.group != BUILT_IN  # at what it holds, and does to its argument, too
        held = data_at_hand(group.function, rows_declared=self.listener.rows_declared) if looks else []
        self.listener.take()
        random.seed(SEED)  # a fork draws anew
        np.random.seed(SEED)  # noqa: NPY002 - the global state is what groups share
        answers, changed, started = [], None, time.process_time()
        with another_outside(self.listener, **OUTSIDES.get(call.change, {})):
            for _ in range(call.times):
                handed = scene.frame.copy(deep=looks or not COPY_ON_WRITE)
                answers.append(_asked(group, handed, tables, scene.frame))
                changed = changed or (_changes(handed, scene.frame) if looks else None)
        seconds = time.process_time() - started
        return Heard(answers=answers, seconds=seconds, reads=[*self.listener.take(), *held], changed=changed)


def _asked(
    group: FeatureGroup, handed: pd.DataFrame, tables: Mapping[str, pd.DataFrame], games: pd.DataFrame
) -> Answer:
    try:
        return Answer.of(group(handed, **{name: table.copy() for name, table in tables.items()}), games)
    except Exception as problem:  # noqa: BLE001 - a user's code may raise anything
        return Answer.failed(detail_of(problem))


def _changes(handed: pd.DataFrame, games: pd.DataFrame) -> str | None:
    if handed.columns.equals(games.columns) and handed.index.equals(games.index) and handed.equals(games):
        return None
    names = [str(name) for name in handed.columns if name not in games or not handed[name].equals(games[name])]
    return f"changed the games handed over: {', '.join(names) or 'its rows'}; begin with games = games.copy()"


class Examination:
    """One group's questions. `ask` has each answered by an interpreter in which nothing was asked before.

    Attributes:
        leaks: that were found.
        few: its answer about a few games, to be compared with those of other interpreters.
        reads: what it read meanwhile.
        looked: the dates that it was asked about, of all games and of a few.
    """

    def __init__(
        self,
        material: Material,
        name: str,
        ask: Callable[[Call], Heard],
        days: Mapping[str, Sequence[dt.date]],
        seconds: float = math.inf,
    ) -> None:
        """Look at the group on these dates of all games, and of a few of them, in their order.

        Where it is slow on fewer: until its work on either has taken so many `seconds`.
        """
        self.material, self.group, self._ask = material, material.groups[name], ask
        self.looked: dict[str, list[str]] = {ALL: [], FEW: []}
        self._seconds, self._spent = seconds, 0.0
        first, second = self._heard(FEW, times=2), self._heard(FEW)
        self.few, again = first.answers
        self.reads = first.reads
        self.leaks = [] if name == BUILT_IN else list(self._behaviour(first, second.answers[0]))
        if not self.leaks or (self.leaks[0].kind == UNDECLARED and self.leaks[0].remedy not in (STABLE, SEEDED)):
            self.leaks += self._known_too_early({league: days[league] for league in (ALL, FEW)})
        if not self.leaks and (state := self._moved(again)):
            self.leaks.append(self._leak("keeps state", state))

    def _heard(self, league: str, change: str = "", date: str | None = None, times: int = 1) -> Heard:
        heard = self._ask(Call(group=self.group.name, league=league, change=change, date=date, times=times))
        self._spent += heard.seconds
        return heard

    def _moved(self, answer: Answer, true: Answer | None = None, league: str = FEW) -> Found | None:
        rows = np.arange(len(self.material.league(league).games))
        return difference(self.material.league(league).games, true or self.few, rows, answer, rows)

    # what an answer hangs on besides the games

    def _behaviour(self, first: Heard, again: Answer) -> Iterator[Leak]:
        untried = [read for read in first.reads if not read.tried and not read.is_of_the_kernel]
        if self.few.changed_rows:
            yield Leak(group=self.group.name, columns=(), kind="changes rows", example=self.few.broken or {})
        elif first.changed:
            yield self._leak("keeps state", ((), detail_of(first.changed)))
        elif noise := self._moved(again):
            yield self._leak("not deterministic", noise)
        elif outside := untried or self._depends_on(first.reads):
            yield undeclared(
                self.group.name, outside, self.material.root, self.material.data, self.material.columns[self.group.name]
            )

    def _depends_on(self, reads: Sequence[Read]) -> list[Read]:
        """What moves the answer when it is another one: the clock, the draws, or the files that were read."""
        tried = [read for read in reads if read.tried]
        league = ALL if tried else FEW  # what a file says of one game is not asked of a few others
        true = self.material.given(self.group.name) if tried else self.few
        together = self._heard(league, "everything").answers[0]
        if not self._moved(together, true, league):
            return tried if tried and self._depends_on_words(true, league) else []
        for outside in (name for name in OUTSIDES if name not in ("everything", *OF_WORDS)):
            alone = self._heard(league, outside)
            # Some libraries cannot do with a date so far away.
            if self._moved(alone.answers[0], true, league) and not (
                alone.answers[0].broken and OUTSIDES[outside] == {"clock": FAR_PAST}
            ):
                tried = [read for read in alone.reads if read.tried]
                return tried if tried and outside == CONTENTS else [Read(what=f"asks {outside}")]
        return [] if together.broken else [Read(what="asks something outside of the games")]

    def _depends_on_words(self, true: Answer, league: str) -> bool:
        """Who cannot do with other words at all (a level of logging) does not hang on them."""
        answers = (self._heard(league, world).answers[0] for world in OF_WORDS)
        answer = next((one for one in answers if not one.broken), None)
        return answer is not None and self._moved(answer, true, league) is not None

    # what it knows too early

    def _known_too_early(self, days: Mapping[str, Sequence[dt.date]]) -> list[Leak]:
        for league, dates in days.items():
            if not dates:
                continue  # all that a group has given is much
            true = self.few if league == FEW else self.material.given(self.group.name)
            moving = (day for day in self._in_time(league, dates) if self._moves(league, day, true))
            if suspects := list(islice(moving, MOST_SUSPECTS)):
                return self._named(league, suspects, true)
        return []

    @property
    def _is_in_time(self) -> bool:
        return self._spent <= self._seconds

    def _in_time(self, league: str, dates: Sequence[dt.date]) -> Iterator[str]:
        """The dates, one by one, as long as there is time."""
        self._spent = 0.0
        for place, day in enumerate(dates):
            if place >= FEWEST_DATES[league] and not self._is_in_time:
                return
            self.looked[league].append(str(day))
            yield str(day)

    def _moves(self, league: str, date: str, true: Answer) -> bool:
        """Whether the answer for a date is another one when the world ends that morning.

        On the first one all changes together are tried as well.
        """
        first = self.looked[league] == [date]
        asked = (change for place, change in enumerate(self._mornings) if place == 0 or (first and self._is_in_time))
        return any(self._compared(league, change, date, true) is not None for change in asked)

    @property
    def _mornings(self) -> tuple[str, str]:
        """The world that ends that morning, and everything changed at once: with tonight's players if it knows them."""
        return ("served_early", "combined") if self.group.known_at == "morning" else ("served", "combined_all_there")

    def _named(self, league: str, suspects: list[str], given: Answer) -> list[Leak]:
        """One change at a time; a column gets the first kind that moves it."""
        true, again = self._heard(league, times=2).answers
        if unstable := self._moved(true, given, league):
            kind = "keeps state" if self._moved(again, true, league) else "not deterministic"
            return [self._leak(kind, unstable)]
        leaks: dict[str, Leak] = {}
        named: set[str] = set()
        for kind, change in self._changes():
            for date in suspects:
                if found := self._compared(league, change, date, true, named):
                    before = leaks.get(kind) or Leak(group=self.group.name, columns=(), kind=kind, example=found[1])
                    leaks[kind] = replace(before, columns=(*before.columns, *found[0]))
                    named |= set(found[0])
        # Nothing moved by itself: rounding, or changes that only show together.
        together = ((date, change) for date in suspects for change in self._mornings)
        moved = (found for date, change in together if (found := self._compared(league, change, date, true)))
        return list(leaks.values()) or [self._leak("future outcomes", found) for found in islice(moved, 1)]

    def _changes(self) -> Iterator[tuple[str, str]]:
        for kind, change in KINDS:
            at_tipoff = change == "same_day_presence" and self.group.known_at != "morning"
            if not at_tipoff and (change != "source_rows" or self.group.sources):
                yield kind, change

    def _compared(self, league: str, change: str, date: str, true: Answer, named: Collection[str] = ()) -> Found | None:
        if len(named) == len(true.columns) and named:
            return None
        answer = self._heard(league, change, date).answers[0]
        scene = self.material.league(league).scene(change, date)
        games = self.material.league(league).games
        return difference(games, true, scene.origin[scene.judged], answer, scene.judged, named)

    def _leak(self, kind: str, found: Found) -> Leak:
        columns = found[0] or self.material.columns[self.group.name]
        return Leak(group=self.group.name, columns=columns, kind=kind, example=found[1])
