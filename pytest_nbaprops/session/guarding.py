"""The leak guard in a session: feature groups before the first fold, own tests after the last one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import pytest

from pytest_nbaprops.code.installed import OURS
from pytest_nbaprops.leaks.leak import Leak, detail_of, is_proven, leak_text
from pytest_nbaprops.leaks.missing_rows import Gaps, gaps_of
from pytest_nbaprops.leaks.plausible import too_good, too_telling, usual_rows
from pytest_nbaprops.leaks.watched import sees_compiled
from pytest_nbaprops.reports import terminal
from pytest_nbaprops.reports.criteria_tests import LeakTest
from pytest_nbaprops.session.around import BUILDING, other_values, patches
from pytest_nbaprops.session.asking import GUARD_VERSION, GroupGuard
from pytest_nbaprops.session.collection import LATE
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.rehearsing import Rehearsed, Rehearsing
from pytest_nbaprops.walkforward.candidate import Candidate, content_key, libraries

MINUTES = "who knew tonight's minutes would explain 34%"


class LeakChecks:
    """Everything that the session knows of leaks: of feature groups, of the games' rows, of each candidate's test."""

    def __init__(self, config: pytest.Config, context: Context) -> None:
        self.config, self.context = config, context
        self.groups, self.gaps = GroupGuard(config, context), Gaps()
        self.empty: list[str] = []
        self.rehearsed: dict[str, Rehearsed] = {}
        self.patched: dict[str, str] = {}
        self.late: dict[str, str] = {}
        self.changed: list[str] = []
        self.beside: dict[str, None] = {}
        self._rehearsing = Rehearsing(config, context, tell=partial(terminal.tell, config))

    def look(self, states: Sequence[Candidate]) -> None:
        """Ask the groups that these candidates use, and count the rows of the games; before the first fold."""
        patched = self._look_at_patches(*BUILDING)
        used = {group.name: group for state in states for group in state.groups}
        tested = sorted({day for state in states for day in state.dates})
        if not tested:
            return
        self.gaps = gaps_of(self.context.dataset.games, tested, known=self.context.settings.known_gaps)
        fits = any(map(self._fits, states))
        self.groups.check(used, self._keys(states), tested, fits=fits, keeps=not patched)
        self._look_at_columns(tested)

    def _look_at_columns(self, tested: Sequence[date]) -> None:
        """Columns of the user's own that tell too much, whatever way it came in, or nothing at all."""
        dataset, broken = self.context.dataset, self.context.broken
        own = [name for name in self.groups.leaks if name in self.context.own_groups and name not in broken]
        if not own:
            return
        rows = usual_rows(dataset.games, tested)
        for name in own:
            columns = dataset.features[list(self.context.columns[name])]
            self.empty += [f"{name}: the column {one} is empty" for one in columns if columns[one].isna().all()]
            if not self.groups.leaks[name] and self.context.settings.known_good is None:
                telling = too_telling(columns, dataset.targets, rows)
                self.groups.leaks[name] = tuple(
                    Leak(
                        group=name,
                        columns=(column,),
                        kind="too good to be true",
                        example=detail_of(f"alone it explains {share:.0%} of what the baseline gets wrong; {MINUTES}"),
                        remedy="look at where it comes from, or say why with nbaprops_known_good = REASON",
                    )
                    for column, share in telling.items()
                )

    def rehearse(self, states: Sequence[Candidate]) -> None:
        """Run some folds of the candidates' own tests again on games that end otherwise; after the last fold."""
        self._look_at_patches(OURS)
        self.changed = other_values()
        for told in self.context.folder.glob(f"{LATE}*"):
            self.late |= json.loads(told.read_text(encoding="utf-8"))
        self.rehearsed = self._rehearsing.all(states)

    def _look_at_patches(self, *libraries: str) -> bool:
        """Whether something of the project's stands in for a part of these libraries.

        Of a part of this plugin it is remembered, since that says of a session whatever it likes.
        """
        found = patches(*libraries)
        ours = {name: file for name, file in found.items() if name.startswith(f"{OURS}.")}
        self.patched |= ours
        self.beside |= {
            f"{os.path.relpath(file, self.context.root)} puts a function of its own into {name}: what is made and "
            "found beside that is not kept": None
            for name, file in found.items()
            if name not in ours
        }
        return bool(found)

    def rehearse_by_hand(self, states: Sequence[Candidate], day: str) -> int:
        """Rehearse one date and say what differs: exit code 1 where something does; nothing is decided or kept."""
        found, writer = self._rehearsing.by_hand(states, date.fromisoformat(day)), self.config.get_terminal_writer()
        writer.line()
        for name, one in found.items():
            said = [leak_text(leak.to_dict()) for leak in one.leaks] or [one.unknown or "its predictions are the same"]
            for text in said:
                # What was asked for is said however quiet the session is.
                writer.line(f"rehearsal of {day}: {name}: {text.removeprefix(f'{name}: ')}")
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
                {"guard": [*common, start.get(line.name)], "group": line.to_dict(), "libraries": libraries()}
            )
            for state in states
            for line in state.lineage.groups
        }

    # what became of it

    def problems(self, state: Candidate) -> tuple[str, ...]:
        """Why nothing, or not enough, may be known of a candidate's leaks."""
        undeclared_ = [leak for leak in self.of_candidate(state) if not is_proven(leak)]
        # Who hangs on a file breaks where it says another thing: the file is what there is to mend.
        by_itself = any(leak["group"] == state.name for leak in undeclared_)
        of_test = None if by_itself else self._of_test(state).unknown
        predictions = None if self.context.settings.known_good else state.predictions()
        good = too_good(predictions) if predictions is not None else None
        patched = [
            f"{os.path.relpath(file, self.context.root)} puts a function of its own in place of {name}, so that nobody "
            "knows what the session says; leave the plugin as it is"
            for name, file in self.patched.items()
        ]
        patched += [
            f"{name} is not what this plugin says that it is, so that nobody knows what the session says; leave the "
            "plugin as it is"
            for name in self.changed
        ]
        patched += [
            f"{os.path.relpath(file, self.context.root)} put a function of its own into {name} after the tests were "
            "collected, so that nobody knows which folds it made; do so where it is imported, or leave it"
            for name, file in self.late.items()
        ]
        unknown = (*patched, self.groups.problem, self.gaps.problem, of_test, good)
        return (*dict.fromkeys(map(leak_text, undeclared_)), *filter(None, unknown))

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
        said += [
            f"{name}: its code refers to {part}, which is another one in each process, so that nothing made with it is "
            "found again: no fold, no finding, and no model by predict; make it where it is used"
            for name, part in self.groups.unstable.items()
        ]
        said += [*self.empty, *self.gaps.said, *self.beside]
        if reason := self.context.settings.known_good:
            said.append(f"an error far below the baseline's is no leak, as is known: {reason}")
        asked = bool(self.rehearsed) or any(name in self.context.own_groups for name in self.groups.leaks)
        if asked and not sees_compiled(self.context.root):
            said.append(
                "files that compiled code reads (Arrow, DuckDB, polars, HDF5) cannot be seen on this system, or not in "
                "all folders (on Linux raise fs.inotify.max_user_watches and max_user_instances)"
            )
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
            "folds_run_again": {state.name: len({*self._of_test(state).dates}) for state in states},
            "folds_tested": {state.name: len(state.folds) for state in states},
            "seconds": round(self.groups.seconds + sum(found.seconds for found in self.rehearsed.values()), 2),
        }

    def _of_test(self, state: Candidate) -> Rehearsed:
        return self.rehearsed.get(state.name, Rehearsed())


def _test(name: str, leaks: Sequence[Leak], unknown: str | None) -> LeakTest:
    return LeakTest(name=name, leaks=tuple(leak.to_dict() for leak in leaks), unknown=unknown)
