"""Asks feature groups before the first fold, in interpreters of their own, and remembers what was found of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.code.reached import made_anew, parts_of_digest, texts_of
from pytest_nbaprops.errors import FeatureError, NBAPropsError
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.answers import Answer, Found, difference
from pytest_nbaprops.leaks.at_hand import hashes
from pytest_nbaprops.leaks.columns import known_line
from pytest_nbaprops.leaks.dates import choose, kinds_of
from pytest_nbaprops.leaks.groups import BUILT_IN
from pytest_nbaprops.leaks.leak import UNDECLARED, Leak, detail_of
from pytest_nbaprops.leaks.otherwise import NUMBERS, OF_WORDS
from pytest_nbaprops.leaks.reads import Read, confirmed, folders_of, undeclared
from pytest_nbaprops.leaks.rows import changed_rows
from pytest_nbaprops.reports import terminal, wording
from pytest_nbaprops.session.child import Child, folder_for_children, order_for, run_all
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import array_digest

GUARD_VERSION = "15"  # goes into every key: raise it when the guard sees something that it did not see before
FEW_GAMES, RUN_IN_DATES, WHOLE_NIGHTS = 200, 60, 20
MOST_CALLS, FEWEST_DATES = 400, 20  # of the few games that every date is asked about
DATES_OF_BUILT_IN = 2  # their own tests look at many more
HASH_SEEDS = ("2", "3", "4", "5", "6", "7")
MANY_GROUPS, MANY_DATES = 4, 60  # that are worth a second process to ask them, or about them
DRAWN = Read(what="holds what its module drew, or a time that it asked for, when it was imported")

Dates = dict[str, list[str]]
NOT_BY_COLUMNS = ("not deterministic", "keeps state", "changes rows")
NO_DATES: Dates = {"dates": [], "few_dates": []}


class GroupGuard:
    """Asks feature groups in interpreters of their own, and remembers on which dates in the fold store.

    Attributes:
        leaks: of each group that was looked at, now or before, by its name.
        known: groups whose leaks, if any, the store had already.
        dates: those on which groups were asked in this session.
        seen: how many of the tested dates have been looked at, in this session or before, by group.
        unstable: what is another one in each process, by the group whose code refers to it.
        problem: why the guard could not finish; nothing is known then.
        seconds: what it cost.
    """

    def __init__(self, config: pytest.Config, context: Context) -> None:
        self.config, self.context = config, context
        self.settings, self.games = context.settings, context.dataset.games
        self.leaks: dict[str, tuple[Leak, ...]] = {}
        self.known: list[str] = []
        self.dates: list[str] = []
        self.seen: dict[str, int] = {}
        self.unstable: dict[str, str] = {}
        self.problem: str | None = None
        self.seconds = 0.0
        self._few_games: list[str] = []

    def check(
        self,
        groups: Mapping[str, FeatureGroup],
        keys: Mapping[str, str],
        tested: Sequence[date],
        *,
        fits: bool,
        keeps: bool,
    ) -> None:
        """Look at these groups; `keys` are what their findings are kept under.

        `fits`: there is something to fit, so that looking at more dates than before costs little beside it. `keeps`:
        findings are kept, and kept ones believed.
        """
        started = time.perf_counter()
        self.tested, self.fits, self.keeps = tested, fits, keeps
        try:
            self._check(groups, keys)
        except Exception as error:  # noqa: BLE001 - the gate fails closed, whatever a user's group does
            why = error if isinstance(error, NBAPropsError) else detail_of(error)["detail"]
            self.problem = f"the leak guard could not finish: {why}"
        self.seconds = time.perf_counter() - started

    def _check(self, groups: Mapping[str, FeatureGroup], keys: Mapping[str, str]) -> None:
        store = self.context.resources.store
        kept = {name: found for name in groups if (found := self._known(name, keys[name])) is not None}
        self.known = list(kept)
        self.leaks = {name: tuple(map(Leak.from_dict, found["leaks"])) for name, found in kept.items()}
        plan = {name: dates for name in groups if (dates := self._dates(name, kept.get(name))) is not None}
        for name, leaks in self._asked({name: groups[name] for name in plan}, plan).items():
            self.leaks[name] = leaks
            before = kept.get(name, NO_DATES)
            seen = {part: sorted({*before[part], *plan[name][part]}) for part in NO_DATES}
            through = self.context.dataset.digest.dates[-1]
            rests_on = {"through": through, "rests_on": self._rests_on(name, through)}
            kept[name] = {"leaks": [leak.to_dict() for leak in leaks], **seen, **rests_on}
            # What is declared nowhere may have come from code that the key does not know, and be mended there.
            if self.keeps and not any(leak.kind == UNDECLARED for leak in leaks):
                store.keep_check(keys[name], kept[name])
        self.dates = sorted({day for dates in plan.values() for day in dates["dates"]})
        tested = set(map(str, self.tested))
        self.seen = {name: len(tested & {*found["dates"], *found["few_dates"]}) for name, found in kept.items()}

    def _known(self, name: str, key: str) -> dict[str, Any] | None:
        """What was found of a group before; new games leave it alone, other answers about the old ones do not."""
        kept = self.context.resources.store.check(key) if self.settings.use_cache and self.keeps else None
        return kept if kept is not None and kept["rests_on"] == self._rests_on(name, kept["through"]) else None

    def _rests_on(self, name: str, through: str) -> list[str]:
        """Digests of what findings about an own group hold for: the games through a date, and what it gave for them.

        Ours read nothing but the league's own columns, and their own tests look at more data than a session does.
        """
        if name not in self.context.own_groups:
            return []
        games = self.context.dataset.digest.through(through)
        if name in self.context.broken:
            return [games]
        rows = (self.games["GAME_DATE"] <= pd.Timestamp(through)).to_numpy()
        given = self.context.dataset.features.loc[rows, list(self.context.columns[name])]
        return [games, array_digest(given.to_numpy(np.float64))]

    def _dates(self, name: str, kept: Mapping[str, Any] | None) -> Dates | None:
        """The dates that a group is asked about now, others than before; None where nothing is asked."""
        own, broken = name in self.context.own_groups, name in self.context.broken
        if kept is not None and (kept["leaks"] or broken or not own or not self.fits):
            return None
        if broken:
            return NO_DATES
        seen = {date.fromisoformat(day) for days in NO_DATES for day in (kept or NO_DATES)[days]}
        dates = choose(self._kinds, seen, self.settings.leak_dates)
        many = max(FEWEST_DATES, MOST_CALLS // max(1, len(self.context.own_groups)))
        few = choose(self._kinds, {*seen, *dates}, many) if own else ()
        return {"dates": list(map(str, dates)), "few_dates": list(map(str, few))} if dates or kept is None else None

    @cached_property
    def _kinds(self) -> dict[date, tuple[str, ...]]:
        return kinds_of(self.tested, self.games)

    # the processes

    def _asked(self, groups: Mapping[str, FeatureGroup], plan: dict[str, Dates]) -> dict[str, tuple[Leak, ...]]:
        broken = [name for name in groups if name in self.context.broken]
        found = {name: self._changes_rows(groups[name]) for name in broken}
        own = [name for name in groups if name in self.context.own_groups and name not in broken]
        ours = [name for name in groups if name not in (*own, *broken)]
        asked = [*own, *([BUILT_IN] if ours else [])]
        if not asked:
            return found
        dates = max(len(plan[name]["dates"]) + len(plan[name]["few_dates"]) for name in (*own, *ours))
        groups_ = len(own) + len(ours)
        what = f"{groups_} feature group{'s' * (groups_ != 1)} about {dates} date{'s' * (dates != 1)}"
        terminal.tell(self.config, f"leak guard: asking {what}")
        if ours:
            plan = {**plan, BUILT_IN: {"dates": [], "few_dates": plan[ours[0]]["dates"][:DATES_OF_BUILT_IN]}}
        self._few_games = self._few(plan)
        started = time.perf_counter()
        results = self._results(asked, own, plan)
        if slowest := wording.slowest({name: results[name]["seconds"] for name in own}, time.perf_counter() - started):
            terminal.tell(self.config, f"leak guard: asked {len(own)} feature groups in {slowest}")
        for name in own:
            plan[name].update({part: results[name][part] for part in NO_DATES})
            columns = results[name]["declarable"]
            if other := made_anew(parts_of_digest(self._functions[name]), results[name]["made_of"]):
                self.unstable[name] = other
            found[name] = tuple(_to_be_declared(columns, leak) for leak in self._leaks(name, results[name]))
        for name in ours:  # were asked together: each has the leaks of the columns that it made
            leaks = [
                (leak, [one for one in leak.columns if one in self.context.columns[name]])
                for leak in results[BUILT_IN]["leaks"]
            ]
            found[name] = tuple(replace(leak, group=name, columns=tuple(mine)) for leak, mine in leaks if mine)
        return found

    def _results(
        self, asked: Sequence[str], own: Sequence[str], plan: Mapping[str, Dates]
    ) -> dict[str, dict[str, Any]]:
        """What the processes left of each group, and its answers in interpreters of other kinds.

        Those are `imported` and `words`, in which everything, or the words of files, are others while modules are
        imported, and `seeds` with other hash seeds; None where an interpreter broke.
        """
        project = {folder for name in own for folder in folders_of(self._functions[name])}
        order = order_for(self.context, project=tuple(sorted(project)), few_games=self._few_games)
        hashing = [name for name in own if hashes(self._functions[name])]
        with folder_for_children() as folder:

            def child(name: str, hash_seed: str = "1", **more: Any) -> Child:
                return Child(folder / name, {**order, "plan": None, **more}, hash_seed)

            parts = [child(f"part-{n}", groups=list(part), plan=part) for n, part in enumerate(_shared(asked, plan))]
            imported = child("imported", groups=own, other=NUMBERS)
            seeds = [child(f"hash-{seed}", seed, groups=hashing) for seed in HASH_SEEDS] if hashing else []
            run_all(self.config, [*parts, *([imported] if own else []), *seeds])
            found: dict[str, dict[str, Any]] = {}
            for part in parts:
                for name, one in _left(part).items():
                    found[name] = _joined(found[name], one) if name in found else one
            words: dict[str, Mapping[str, Any]] = {}
            for world in OF_WORDS:  # who cannot do with the first is asked in the next
                if reading := [name for name in own if found[name]["reads"] and name not in words]:
                    run_all(self.config, [otherwise := child(world, groups=reading, other=world)])
                    left = otherwise.result or {}
                    words |= {name: one for name, one in left.items() if not one["few"].broken}
            opened = [name for name in own if any(read.is_of_the_kernel for read in found[name]["reads"])]
            if opened:
                alone = child("alone", groups=opened)
                run_all(self.config, [alone])
                for name, again in _left(alone).items():
                    found[name]["reads"] = confirmed(found[name]["reads"], again["reads"])
            for name in own:
                found[name]["declarable"] = self._declarable(name, found[name]["leaks"], child, plan[name])
            there = {"imported": imported.result or {}, "words": words}
            other_seeds = [seed.result or {} for seed in seeds]
            for name in own:
                found[name] |= {kind: groups.get(name) for kind, groups in there.items()}
                found[name]["seeds"] = [groups[name] for groups in other_seeds if name in groups]
            return found

    def _declarable(
        self, name: str, leaks: Sequence[Leak], child: Callable[..., Child], plan: Dates
    ) -> tuple[str, ...]:
        """The undeclared columns that a group leaks by: those which, if they were known, would leave no leak."""
        said = texts_of(self._functions[name])
        used = tuple(column for column in self.context.dataset.undeclared if column in said)
        if not used or all(leak.remedy is not None or leak.kind in NOT_BY_COLUMNS for leak in leaks):
            return ()
        sets = [*((column,) for column in used), *([used] if len(used) > 1 else [])]
        runs = [
            child(f"known-{name}-{n}", groups=[name], plan={name: plan}, known=known) for n, known in enumerate(sets)
        ]
        run_all(self.config, runs)
        return next((known for known, run in zip(sets, runs, strict=True) if not _left(run)[name]["leaks"]), ())

    def _leaks(self, name: str, result: Mapping[str, Any]) -> list[Leak]:
        """What was found of a group, and what its reads and its answers in other interpreters add."""
        leaks: list[Leak] = result["leaks"]
        if leaks:
            return leaks
        reads: list[Read] = result["reads"]
        there = result["imported"]["reads"] if result["imported"] is not None else []  # what it is when it is asked so
        if untried := [*(one for one in reads if not one.tried), *(one for one in there if not _is_tried(one))]:
            return [self._undeclared(name, untried)]
        # With other files nothing may be imported at all.
        imported, words = result["imported"], result["words"]
        if imported["moved"] or self._differ(imported, result) if imported is not None else reads:
            return [self._undeclared(name, reads or there or [DRAWN])]
        if words is not None and (words["moved"] or self._differ(words, result)):
            return [self._undeclared(name, reads)]
        for seed in result["seeds"]:
            if moved := self._differ(seed, result):
                return [Leak(group=name, columns=moved[0], kind="not deterministic", example=moved[1])]
        return []

    def _undeclared(self, name: str, reads: Sequence[Read]) -> Leak:
        return undeclared(name, reads, self.context.root, self.settings.data)

    def _differ(self, there: Mapping[str, Any], here: Mapping[str, Any]) -> Found | None:
        true: Answer = here["few"]
        games = self.games[self.games["GAME_ID"].isin(self._few_games)]
        rows = pd.RangeIndex(len(games)).to_numpy()
        return difference(games, true, rows, there["few"], rows)

    def _changes_rows(self, group: FeatureGroup) -> tuple[Leak, ...]:
        found = changed_rows(self.games, group, root=self.context.root)
        example = detail_of(self.context.broken[group.name])
        return found or (Leak(group=group.name, columns=(), kind="changes rows", example=example),)

    @cached_property
    def _functions(self) -> dict[str, Any]:
        return {group.name: group.function for group in self.context.groups}

    def _few(self, plan: Mapping[str, Dates]) -> list[str]:
        """All games of some dates that are asked about, and a few of every other one, mostly of the same teams.

        How many games a night has may be what a leak goes by.
        """
        asked = {date.fromisoformat(day) for dates in plan.values() for day in dates["few_dates"]}
        whole = choose({day: self._kinds[day] for day in asked}, (), WHOLE_NIGHTS)
        days = self.games["GAME_DATE"].dt.date
        earlier = sorted(set(days[days < self.tested[0]]))[-RUN_IN_DATES:]
        wanted = self.games[days.isin({*earlier, *self.tested})]
        sides = wanted.drop_duplicates(["GAME_ID", "TEAM_ABBREVIATION"])["TEAM_ABBREVIATION"].value_counts()
        rank = wanted["TEAM_ABBREVIATION"].map({team: place for place, team in enumerate(sides.index)})
        best = wanted.assign(RANK=rank).groupby(["GAME_DATE", "GAME_ID"], sort=False)["RANK"].min().reset_index()
        each = max(1, FEW_GAMES // max(1, best["GAME_DATE"].nunique()))
        few = best.sort_values(["GAME_DATE", "RANK"]).groupby("GAME_DATE").head(each)
        return sorted({*map(str, few["GAME_ID"]), *map(str, best["GAME_ID"][best["GAME_DATE"].dt.date.isin(whole)])})


def _is_tried(read: Read) -> bool:
    return read.tried or read.is_of_the_kernel


def _shared(groups: Sequence[str], plan: Mapping[str, Dates]) -> list[dict[str, Dates]]:
    """What each process asks: two share the groups where these are many, or else the dates where those are."""
    if len(groups) >= MANY_GROUPS:
        return [{name: plan[name] for name in groups[n::2]} for n in range(2)]
    count = 2 if sum(len(dates) for name in groups for dates in plan[name].values()) >= MANY_DATES else 1
    return [{name: {part: plan[name][part][n::count] for part in NO_DATES} for name in groups} for n in range(count)]


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two processes found of a group on different dates."""
    return {
        **one,
        "leaks": one["leaks"] or other["leaks"],
        "reads": list(dict.fromkeys([*one["reads"], *other["reads"]])),
        "seconds": one["seconds"] + other["seconds"],
        **{part: sorted({*one[part], *other[part]}) for part in NO_DATES},
    }


def _to_be_declared(columns: Sequence[str], leak: Leak) -> Leak:
    """A leak that comes by columns of one's own is only not known: nobody has said what they hold."""
    if not columns or leak.remedy is not None or leak.kind in NOT_BY_COLUMNS:
        return leak
    return replace(leak, remedy=known_line(columns))


def _left(child: Child) -> dict[str, dict[str, Any]]:
    """What a process left of each group that it asked."""
    if child.result is None:
        raise FeatureError(child.failure)
    left: dict[str, dict[str, Any]] = child.result
    return left
