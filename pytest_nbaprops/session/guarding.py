"""The leak guard in a session: feature groups before the first fold, own tests after the last one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.code.reached import texts_of
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.answers import Answer, Found, difference
from pytest_nbaprops.leaks.at_hand import hashes
from pytest_nbaprops.leaks.columns import undeclared_columns, written
from pytest_nbaprops.leaks.dates import choose, kinds_of
from pytest_nbaprops.leaks.groups import BUILT_IN
from pytest_nbaprops.leaks.leak import Leak, detail_of, is_proven, leak_text
from pytest_nbaprops.leaks.listener import SEES_COMPILED
from pytest_nbaprops.leaks.missing_rows import Gaps, gaps_of
from pytest_nbaprops.leaks.plausible import too_good
from pytest_nbaprops.leaks.reads import Read, confirmed, folders_of, undeclared
from pytest_nbaprops.leaks.rows import changed_rows
from pytest_nbaprops.reports.criteria_tests import LeakTest
from pytest_nbaprops.session.child import Child, order_for, run_all
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.rehearsing import Rehearsed, Rehearsing
from pytest_nbaprops.walkforward.candidate import Candidate, array_digest, content_key, libraries

GUARD_VERSION = "8"  # goes into every key: raise it when the guard sees something that it did not see before
FEW_GAMES, RUN_IN_DATES, WHOLE_NIGHTS = 200, 60, 20
MOST_CALLS, FEWEST_DATES = 400, 20  # of the few games that every date is asked about
DATES_OF_BUILT_IN = 2  # their own tests look at many more
HASH_SEEDS = ("2", "3", "4", "5", "6", "7")
MANY_GROUPS, MANY_DATES = 4, 60  # that are worth a second process to ask them, or about them
DRAWN = Read(what="holds what its module drew, or a time that it asked for, when it was imported")

IMPORTED = "imported"  # the interpreter in which everything is another thing while modules are imported

Dates = dict[str, list[str]]
NO_DATES: Dates = {"dates": [], "few_dates": []}


class GroupGuard:
    """Asks feature groups in interpreters of their own, and remembers on which dates in the fold store.

    Attributes:
        leaks: of each group that was looked at, now or before, by its name.
        known: groups whose leaks, if any, the store had already.
        dates: those on which groups were asked in this session.
        seen: how many of the tested dates have been looked at, in this session or before, by group.
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
        self.problem: str | None = None
        self.seconds = 0.0
        self._few_games: list[str] = []

    def check(
        self, groups: Mapping[str, FeatureGroup], keys: Mapping[str, str], tested: Sequence[date], *, fits: bool
    ) -> None:
        """Look at these groups; `keys` are what their findings are kept under.

        `fits`: there is something to fit, so that looking at more dates than before costs little beside it.
        """
        started = time.perf_counter()
        self.tested, self.fits = tested, fits
        try:
            self._check(groups, keys)
        except Exception as error:  # noqa: BLE001 - the gate fails closed, whatever a user's group does
            self.problem = f"the leak guard could not finish: {detail_of(error)['detail']}"
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
            store.keep_check(keys[name], kept[name])
        self.dates = sorted({day for dates in plan.values() for day in dates["dates"]})
        tested = set(map(str, self.tested))
        self.seen = {name: len(tested & {*found["dates"], *found["few_dates"]}) for name, found in kept.items()}

    def _known(self, name: str, key: str) -> dict[str, Any] | None:
        """What was found of a group before; new games leave it alone, other answers about the old ones do not."""
        kept = self.context.resources.store.check(key) if self.settings.use_cache else None
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
        tell(self.config, f"leak guard: asking {len(own) + len(ours)} feature groups about {dates} dates")
        if ours:
            plan = {**plan, BUILT_IN: {"dates": [], "few_dates": plan[ours[0]]["dates"][:DATES_OF_BUILT_IN]}}
        self._few_games = self._few(plan)
        results = self._results(asked, own, plan)
        for name in own:
            plan[name]["few_dates"] = results[name]["few_dates"]
            found[name] = tuple(map(self._with_column, self._leaks(name, results[name])))
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
        """What the processes left of each group, with its answers in `others`: interpreters of another kind."""
        project = {folder for name in own for folder in folders_of(self._functions[name])}
        order = order_for(self.context, project=tuple(sorted(project)), few_games=self._few_games)
        hashing = [name for name in own if hashes(self._functions[name])]
        with tempfile.TemporaryDirectory(prefix="nbaprops-", ignore_cleanup_errors=True) as folder:

            def child(name: str, hash_seed: str = "1", **more: Any) -> Child:
                return Child(Path(folder, name), {**order, "plan": None, **more}, hash_seed)

            parts = [child(f"part-{n}", groups=list(part), plan=part) for n, part in enumerate(_shared(asked, plan))]
            imported = [child(IMPORTED, groups=own, other=True)] if own else []
            seeds = [child(f"hash-{seed}", seed, groups=hashing) for seed in HASH_SEEDS] if hashing else []
            run_all(self.config, [*parts, *imported, *seeds])
            found: dict[str, dict[str, Any]] = {}
            for part in parts:
                for name, one in _left(part).items():
                    found[name] = _joined(found[name], one) if name in found else one
            opened = [name for name in own if any(read.is_of_the_kernel for read in found[name]["reads"])]
            if opened:
                alone = child("alone", groups=opened)
                run_all(self.config, [alone])
                for name, again in _left(alone).items():
                    found[name]["reads"] = confirmed(found[name]["reads"], again["reads"])
            others = {one.folder.name: one.result for one in (*imported, *seeds)}
            return {name: {**one, "others": others} for name, one in found.items()}

    def _leaks(self, name: str, result: Mapping[str, Any]) -> list[Leak]:
        """What was found of a group, and what its reads and its answers in other interpreters add."""
        leaks: list[Leak] = result["leaks"]
        if leaks:
            return leaks
        reads: list[Read] = result["reads"]
        imported = result["others"][IMPORTED]
        if untried := [read for read in reads if not read.tried]:
            return [undeclared(name, untried, self.context.root)]
        # With other files nothing may be imported at all.
        if imported[name]["moved"] or self._differ(imported[name], result) if imported is not None else reads:
            return [undeclared(name, reads or [DRAWN], self.context.root)]
        for other, groups in result["others"].items():
            if other != IMPORTED and name in (groups or {}) and (moved := self._differ(groups[name], result)):
                return [Leak(group=name, columns=moved[0], kind="not deterministic", example=moved[1])]
        return []

    def _differ(self, there: Mapping[str, Any], here: Mapping[str, Any]) -> Found | None:
        true: Answer = here["few"]
        games = self.games[self.games["GAME_ID"].isin(self._few_games)]
        rows = pd.RangeIndex(len(games)).to_numpy()
        return difference(games, true, rows, there["few"], rows)

    def _changes_rows(self, group: FeatureGroup) -> tuple[Leak, ...]:
        found = changed_rows(self.games, group, root=self.context.root)
        example = detail_of(self.context.broken[group.name])
        return found or (Leak(group=group.name, columns=(), kind="changes rows", example=example),)

    def _with_column(self, leak: Leak) -> Leak:
        """A leak that comes by columns of one's own is only not known: nobody has said what they hold."""
        said = texts_of(self._functions[leak.group])
        used = [name for name in undeclared_columns(self.games, self.settings.known_columns) if name in said]
        if not used or leak.remedy is not None or leak.kind in ("not deterministic", "keeps state", "changes rows"):
            return leak
        return replace(leak, remedy=f"nbaprops_known_columns = {written(used)} (if known before the game)")

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
        "few_dates": sorted({*one["few_dates"], *other["few_dates"]}),
    }


def _left(child: Child) -> dict[str, dict[str, Any]]:
    """What a process left of each group that it asked."""
    if child.result is None:
        raise RuntimeError(child.failure)
    left: dict[str, dict[str, Any]] = child.result
    return left


def tell(config: pytest.Config, text: str) -> None:
    """Say what takes its time; the end of a line of dots comes first."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.verbosity >= 0:
        reporter.ensure_newline()
        reporter.write_line(text)


class LeakChecks:
    """Everything that the session knows of leaks: of feature groups, of the games' rows, of each candidate's test."""

    def __init__(self, config: pytest.Config, context: Context) -> None:
        self.config, self.context = config, context
        self.groups, self.gaps = GroupGuard(config, context), Gaps()
        self.rehearsed: dict[str, Rehearsed] = {}
        self._rehearsing = Rehearsing(config, context, tell=lambda text: tell(config, text))

    def look(self, states: Sequence[Candidate]) -> None:
        """Ask the groups that these candidates use, and count the rows of the games; before the first fold."""
        used = {group.name: group for state in states for group in state.groups}
        tested = sorted({day for state in states for day in state.dates})
        if not tested:
            return
        self.gaps = gaps_of(self.context.dataset.games, tested, known=self.context.settings.known_gaps)
        self.groups.check(used, self._keys(states), tested, fits=any(map(self._fits, states)))

    def rehearse(self, states: Sequence[Candidate]) -> None:
        """Run some folds of the candidates' own tests again on games that end otherwise; after the last fold."""
        self.rehearsed = self._rehearsing.all(states)

    def rehearse_by_hand(self, states: Sequence[Candidate], day: str) -> int:
        """Rehearse one date and say what differs: exit code 1 where something does; nothing is decided or kept."""
        found = self._rehearsing.by_hand(states, date.fromisoformat(day))
        for name, one in found.items():
            said = [leak_text(leak.to_dict()) for leak in one.leaks] or [one.unknown or "its predictions are the same"]
            for text in said:
                tell(self.config, f"rehearsal of {day}: {name}: {text.removeprefix(f'{name}: ')}")
        return int(any(one.leaks or one.unknown for one in found.values()))

    def _fits(self, state: Candidate) -> bool:
        store = self.context.resources.store
        return state.spec.code is not None or not all(fold.key and store.has_fold(fold.key) for fold in state.folds)

    def _keys(self, states: Sequence[Candidate]) -> dict[str, str]:
        settings, dataset = self.context.settings, self.context.dataset
        common = [GUARD_VERSION, settings.seed, sorted(settings.known_columns)]
        start = dict.fromkeys(self.context.own_groups, dataset.digest.chained[0])
        return {
            line.name: content_key(
                {
                    "guard": [*common, start.get(line.name)],
                    "group": line.to_dict(),
                    "libraries": libraries(),
                }
            )
            for state in states
            for line in state.lineage.groups
        }

    # what became of it

    def problems(self, state: Candidate) -> tuple[str, ...]:
        """Why nothing, or not enough, may be known of a candidate's leaks."""
        undeclared_ = (leak_text(leak) for leak in self.of_candidate(state) if not is_proven(leak))
        predictions = None if self.context.settings.known_good else state.predictions()
        good = too_good(predictions) if predictions is not None else None
        unknown = (self.groups.problem, self.gaps.problem, self._of_test(state).unknown, good)
        return (*dict.fromkeys(undeclared_), *filter(None, unknown))

    def leaky(self) -> list[str]:
        """Groups with a proven leak."""
        return [name for name, leaks in self.groups.leaks.items() if any(leak.remedy is None for leak in leaks)]

    def of_candidate(self, state: Candidate) -> tuple[dict[str, Any], ...]:
        """All leaks that a candidate has its share in."""
        return tuple(dict(leak) for test in self.tests([state]) for leak in test.leaks)

    def needs_lineups(self, state: Candidate) -> list[str]:
        """The candidate's groups that are known at tip-off only."""
        return [group.name for group in state.groups if group.known_at == "tipoff"]

    def tests(self, states: Sequence[Candidate]) -> list[LeakTest]:
        """One reported test for the games, each group and each candidate's test."""
        picked = (
            [Leak(group="games", columns=(), kind="rows picked by outcome", example=detail_of(self.gaps.picked))]
            if self.gaps.picked
            else []
        )
        names = dict.fromkeys(group.name for state in states for group in state.groups)
        looked = [name for name in names if name in self.groups.leaks or self.groups.problem]
        return [
            _test("games", picked, self.gaps.problem),
            *(_test(name, self.groups.leaks.get(name, ()), self.groups.problem) for name in looked),
            *(_test(state.name, self._of_test(state).leaks, self._of_test(state).unknown) for state in states),
        ]

    def warnings(self) -> list[str]:
        """What is said of the candidates without being judged."""
        said = [f"{name}: {found.warning}" for name, found in self.rehearsed.items() if found.warning]
        said += self.gaps.said
        if reason := self.context.settings.known_good:
            said.append(f"an error far below the baseline's is no leak, as is known: {reason}")
        if not SEES_COMPILED and any(name in self.context.own_groups for name in self.groups.leaks):
            said.append("files that compiled code reads (Arrow, DuckDB, polars, HDF5) cannot be seen on this system")
        return said

    def to_dict(self, states: Sequence[Candidate]) -> dict[str, Any]:
        """How the guard looked, for decision.json."""
        own = [count for name, count in self.groups.seen.items() if name in self.context.own_groups]
        return {
            "dates": list(self.groups.dates),
            "groups": len(self.groups.leaks),
            "leaks": [leak.to_dict() for leaks in self.groups.leaks.values() for leak in leaks],
            "groups_known": len(self.groups.known),
            "dates_seen": min(own, default=None),
            "dates_tested": len({day for state in states for day in state.dates}),
            "folds_run_again": {state.name: len(self._of_test(state).dates) for state in states},
            "seconds": round(self.groups.seconds + sum(found.seconds for found in self.rehearsed.values()), 2),
        }

    def _of_test(self, state: Candidate) -> Rehearsed:
        return self.rehearsed.get(state.name, Rehearsed())


def _test(name: str, leaks: Sequence[Leak], unknown: str | None) -> LeakTest:
    return LeakTest(name=name, leaks=tuple(leak.to_dict() for leak in leaks), unknown=unknown)
