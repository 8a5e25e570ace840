"""The leak guard in a session: feature groups before the first fold, own tests after the last one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.answers import Answer
from pytest_nbaprops.leaks.at_hand import holds_values
from pytest_nbaprops.leaks.callers import folders_of
from pytest_nbaprops.leaks.columns import undeclared_columns
from pytest_nbaprops.leaks.dates import choose, kinds_of
from pytest_nbaprops.leaks.groups import BUILT_IN, differences, remedy_for
from pytest_nbaprops.leaks.leak import NO_EXAMPLE, Leak, is_proven, leak_text
from pytest_nbaprops.leaks.missing_rows import Gaps, gaps_of
from pytest_nbaprops.leaks.opened import SEEN
from pytest_nbaprops.leaks.outside import Read
from pytest_nbaprops.leaks.rows import changed_rows
from pytest_nbaprops.reports.criteria_tests import LeakTest
from pytest_nbaprops.session.child import Child, run_all
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.rehearsing import Rehearsed, Rehearsing
from pytest_nbaprops.walkforward.candidate import Candidate, content_key, libraries

GUARD_VERSION = "4"  # goes into every key: raise it when the guard sees something that it did not see before
RECENT_SEASONS = 2  # the features of a season hardly look further back, and the time goes with the rows
SCREENED_GAMES, RUN_IN_DATES = 200, 60
MOST_CALLS, FEWEST_DATES = 400, 20  # of the few games that every date is asked about
DATES_OF_BUILT_IN = 2  # their own tests look at many more
HASH_SEEDS = ("2", "3", "4", "5", "6", "7")
MANY_ROWS = 50_000


@dataclass(kw_only=True)
class Findings:
    """What became of the groups' checks.

    Attributes:
        leaks: of each group that was looked at, now or before, by its name.
        known: groups whose leaks, if any, the store had already.
        dates: those on which groups were asked about all games, in this session.
        seen: how many of the tested dates have been looked at, in this session or before, by group.
        problem: why the guard could not finish; nothing is known then.
        seconds: what it cost.
    """

    leaks: dict[str, tuple[Leak, ...]] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    dates: tuple[date, ...] = ()
    seen: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    seconds: float = 0.0


class GroupGuard:
    """Asks feature groups in interpreters of their own, and remembers on which dates in the fold store."""

    def __init__(self, config: pytest.Config, context: Context, tested: Sequence[date], *, fits: bool) -> None:
        """`fits`: there is something to fit, so that looking at more dates than before costs little beside it."""
        self.config, self.context, self.tested, self.fits = config, context, tested, fits
        self.settings = context.settings

    def check(self, groups: Mapping[str, FeatureGroup], keys: Mapping[str, str]) -> Findings:
        """The leaks of these groups; `keys` are what their findings are kept under."""
        started = time.perf_counter()
        findings = Findings()
        try:
            self._check(groups, keys, findings)
        except Exception as error:  # noqa: BLE001 - the gate fails closed, whatever a user's group does
            findings.problem = f"the leak guard could not finish: {type(error).__name__}: {_line(error)}"
        findings.seconds = time.perf_counter() - started
        return findings

    def _check(self, groups: Mapping[str, FeatureGroup], keys: Mapping[str, str], findings: Findings) -> None:
        store = self.context.resources.store
        use_cache = self.settings.use_cache
        kept = {name: found for name in groups if use_cache and (found := store.check(keys[name])) is not None}
        for name, found in kept.items():
            findings.leaks[name] = tuple(map(Leak.from_dict, found["leaks"]))
            findings.known.append(name)
        plan = {name: looks for name in groups if (looks := self._looks(name, kept.get(name))) is not None}
        found = self._examined({name: groups[name] for name in plan}, plan)
        for name, leaks in found.items():
            findings.leaks[name] = leaks
            before = kept.get(name, {"dates": [], "screened": []})
            seen = {part: sorted({*before[part], *plan[name][part]}) for part in _PARTS}
            kept[name] = {"leaks": [leak.to_dict() for leak in leaks], **seen}
            store.keep_check(keys[name], kept[name])
        findings.dates = tuple(sorted({date.fromisoformat(d) for looks in plan.values() for d in looks["dates"]}))
        findings.seen = {name: len({*found["dates"], *found["screened"]}) for name, found in kept.items()}

    def _looks(self, name: str, kept: Mapping[str, Any] | None) -> dict[str, list[str]] | None:
        """The dates that a group is asked about now; None where nothing is asked."""
        if name in self.context.broken:
            return None if kept else {"dates": [], "screened": []}
        own = name in self.context.own_groups
        if kept is not None and (kept["leaks"] or not own or not self.fits):
            return None
        before = {part: {date.fromisoformat(text) for text in (kept or {}).get(part, ())} for part in _PARTS}
        dates = choose(self.kinds, before["dates"], self.settings.leak_dates)
        many = max(FEWEST_DATES, MOST_CALLS // max(1, len(self.context.own_groups)))
        screened = choose(self.kinds, before["screened"] | set(dates), many) if own else ()
        if kept is not None and not dates and not screened:
            return None
        return {"dates": [str(day) for day in dates], "screened": [str(day) for day in screened]}

    @cached_property
    def kinds(self) -> dict[date, tuple[str, ...]]:
        return kinds_of(self.tested, self.context.dataset.games)

    # the processes

    def _examined(
        self, groups: Mapping[str, FeatureGroup], plan: Mapping[str, dict[str, list[str]]]
    ) -> dict[str, tuple[Leak, ...]]:
        broken = [name for name in groups if name in self.context.broken]
        found = {name: self._changes_rows(groups[name]) for name in broken}
        whole = [name for name in groups if name not in broken]
        if not whole:
            return found
        own = [name for name in whole if name in self.context.own_groups]
        dates = max((len(looks["dates"]) + len(looks["screened"]) for looks in plan.values()), default=0)
        asked = [*own, *([BUILT_IN] if len(own) < len(whole) else [])]
        _tell(self.config, f"leak guard: asking {len(whole)} feature groups about {dates} dates")
        with _folder() as folder:
            order = self._order(groups, plan)
            parts = self._parts(asked)
            children = [Child(folder / f"part-{n}", {**order, "groups": part}) for n, part in enumerate(parts)]
            others = [Child(folder / "other", {**order, "groups": own, "small": True, "other": True})] if own else []
            run_all(self.config, [*children, *others])
            results = {result["group"]: (child, result) for child in children for result in child.results()}
            opened = {
                read["path"]
                for _, one in results.values()
                for read in (*one["reads"], *one["imported"])
                if read["tried"]
            }
            for name in asked:
                child, result = results.get(name) or _lost(children)
                leaks = [Leak.from_dict(leak) for leak in result["leaks"]]
                if name == BUILT_IN:
                    found |= self._by_group([one for one in whole if one not in own], leaks)
                    continue
                plan[name]["screened"] = result["screened"]
                if not any(leak.remedy is None for leak in leaks):
                    leaks += [] if leaks else self._compiled(name, result, opened)
                    leaks += self._outside(name, child, result, others[0], leaks)
                    leaks += [] if leaks or not result["hashes"] else self._hashed(name, child, order, folder)
                found[name] = tuple(map(self._with_column, leaks))
        return found

    def _by_group(self, groups: Sequence[str], leaks: Sequence[Leak]) -> dict[str, tuple[Leak, ...]]:
        """The leaks of all built-in groups together, each with the group that made its columns."""
        found: dict[str, tuple[Leak, ...]] = {}
        for name in groups:
            mine = [
                (leak, [column for column in leak.columns if column in self.context.columns[name]]) for leak in leaks
            ]
            found[name] = tuple(replace(leak, group=name, columns=tuple(columns)) for leak, columns in mine if columns)
        return found

    def _parts(self, asked: list[str]) -> list[list[str]]:
        """Which process asks which groups; a process of its own does not pay for a few groups and games."""
        few = len(self.context.dataset.games) < MANY_ROWS and len(asked) < 4  # noqa: PLR2004 - a few
        count = 1 if few else min(2, len(asked), os.cpu_count() or 1)
        return [asked[n::count] for n in range(count)]

    def _order(self, groups: Mapping[str, FeatureGroup], plan: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Any]:
        project = {folder for group in groups.values() for folder in folders_of(group.function)}
        return base_order(self.context) | {
            "project": sorted(project),
            **{
                part: {name: plan[name][part] for name in groups} | {BUILT_IN: self._of_built_in(plan, part)}
                for part in _PARTS
            },
            "seasons": self._seasons,
            "screened_games": self._screened_games,
        }

    def _of_built_in(self, plan: Mapping[str, Mapping[str, list[str]]], part: str) -> list[str]:
        own = self.context.own_groups
        return next((looks[part] for name, looks in plan.items() if name not in own), [])[:DATES_OF_BUILT_IN]

    def _compiled(self, name: str, result: Mapping[str, Any], opened: Collection[str]) -> list[Leak]:
        """Files that only compiled code opened while the group was asked; not those that another group opened."""
        reads = [read for one in result["reads"] if (read := Read(**one)).is_of_the_kernel and read.path not in opened]
        if not reads:
            return []
        return [Leak.undeclared(name, "; ".join(map(str, reads)), remedy_for(reads, self.context.root))]

    def _outside(
        self, name: str, child: Child, result: Mapping[str, Any], other: Child, leaks: Sequence[Leak]
    ) -> list[Leak]:
        """Whether files and draws of the import move the answer: there they were others."""
        imported = [Read(**read) for read in result["imported"]]
        untried = [read for read in imported if not read.tried]
        if untried and not leaks:
            return [Leak.undeclared(name, "; ".join(map(str, untried)), remedy_for(untried, self.context.root))]
        here, there = child.answer(name), other.answer(name)
        if (
            there is None
        ):  # with other files nothing could be imported: whoever holds values of a module may hold theirs
            holds = holds_values(self._functions[name])
            return [self._read_at_import(name, imported)] if imported and holds and not leaks else []
        if leaks or not _differ(there, here):
            return []
        return [self._read_at_import(name, imported)]

    def _read_at_import(self, name: str, imported: Sequence[Read]) -> Leak:
        detail = "; ".join(map(str, imported)) or "holds numbers that were drawn when its module was imported"
        return Leak.undeclared(name, detail, remedy_for(imported, self.context.root))

    def _hashed(self, name: str, child: Child, order: Mapping[str, Any], folder: Path) -> list[Leak]:
        """Whether it answers otherwise where text has other hashes; asked only of code that may hang on them."""
        here = child.answer(name)
        for seed in HASH_SEEDS:
            again = Child(folder / f"{name}-{seed}", {**order, "groups": [name], "small": True}, hash_seed=seed)
            run_all(self.config, [again])
            there = again.answer(name)
            if here is not None and there is not None and (found := _differ(there, here)):
                return [Leak(group=name, columns=found[0], kind="not deterministic", example=found[1])]
        return []

    def _changes_rows(self, group: FeatureGroup) -> tuple[Leak, ...]:
        found = changed_rows(self.context.dataset.games, group, root=self.context.root)
        detail = {"detail": self.context.broken[group.name]}
        return found or (Leak(group=group.name, columns=(), kind="changes rows", example=detail),)

    def _with_column(self, leak: Leak) -> Leak:
        """A leak that comes by columns of one's own is only not known: nobody has said what they hold."""
        extra = undeclared_columns(self.context.dataset.games, self.settings.known_columns)
        used = [name for name in extra if _mentions(self._functions[leak.group], name)]
        if not used or leak.remedy is not None or leak.kind in ("not deterministic", "keeps state", "changes rows"):
            return leak
        remedy = f"nbaprops_known_columns = {' '.join(used)} (if known before the game)"
        return Leak(**{**vars(leak), "remedy": remedy})

    @cached_property
    def _functions(self) -> dict[str, Any]:
        return {group.name: group.function for group in self.context.groups}

    # the games

    @cached_property
    def _seasons(self) -> list[str]:
        """The tested season and the one before it."""
        games = self.context.dataset.games
        last = str(games["SEASON"][games["GAME_DATE"] <= pd.Timestamp(self.tested[-1])].iloc[-1])
        return [str(season) for season in pd.unique(games["SEASON"]) if str(season) <= last][-RECENT_SEASONS:]

    @cached_property
    def _screened_games(self) -> list[str]:
        """A few games of every tested date and of the dates before, mostly of the same teams."""
        games = self.context.dataset.games
        days = games["GAME_DATE"].dt.date
        earlier = sorted(set(days[days < self.tested[0]]))[-RUN_IN_DATES:]
        wanted = games[days.isin({*earlier, *self.tested})][["GAME_DATE", "GAME_ID", "TEAM_ABBREVIATION"]]
        often = wanted.drop_duplicates(["GAME_ID", "TEAM_ABBREVIATION"])["TEAM_ABBREVIATION"].value_counts()
        rank = wanted["TEAM_ABBREVIATION"].map({team: place for place, team in enumerate(often.index)})
        best = wanted.assign(rank=rank).groupby(["GAME_DATE", "GAME_ID"], sort=False)["rank"].min().reset_index()
        each = max(1, SCREENED_GAMES // max(1, best["GAME_DATE"].nunique()))
        chosen = best.sort_values(["GAME_DATE", "rank"]).groupby("GAME_DATE").head(each)
        return [str(game) for game in chosen["GAME_ID"]]


_PARTS = ("dates", "screened")


def _mentions(function: Any, name: str) -> bool:
    from pytest_nbaprops.code.reached import texts_of  # noqa: PLC0415 - only where there is a leak

    return name in texts_of(function)


def _differ(there: Answer, here: Answer | None) -> Any:
    if here is None:
        return None
    games = pd.DataFrame({"PLAYER_ID": range(len(here.numbers)), "GAME_DATE": pd.Timestamp(0)})
    return differences(there, here, games)


def _lost(children: Sequence[Child]) -> Any:
    raise RuntimeError(next((said for child in children if (said := child.failure)), "a group was not asked"))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def base_order(context: Context) -> dict[str, Any]:
    """What every process of the guard has to know."""
    settings, root = context.settings, context.root
    database = settings.tracking_uri.removeprefix("sqlite:///") if settings.tracking_uri.startswith("sqlite") else ""
    ignored = [settings.report, str(context.resources.store.folder), *filter(None, [database, settings.data])]
    return {
        "kind": "groups",
        "context": str(context.folder),
        "root": str(root),
        "project": [],
        "declared": list(context.declared),
        "ignored": ignored,
        "other": False,
        "small": False,
        "call": None,
        "spawn": os.environ.get("NBAPROPS_SANDBOX") == "spawn",
        "seed": settings.seed,
    }


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nbaprops-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _tell(config: pytest.Config, text: str) -> None:
    """Say what takes its time; the end of a line of dots comes first."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.verbosity >= 0:
        reporter.ensure_newline()
        reporter.write_line(text)


class LeakChecks:
    """Everything that the session knows of leaks: of feature groups, of the games' rows, of each candidate's test."""

    def __init__(self, config: pytest.Config, context: Context) -> None:
        self.config, self.context = config, context
        self.findings = Findings()
        self.rehearsed: dict[str, Rehearsed] = {}
        self.gaps = Gaps()

    def look(self, states: Sequence[Candidate]) -> None:
        """Ask the groups that these candidates use, and count the rows of the games; before the first fold."""
        used = {group.name: group for state in states for group in self._groups(state)}
        tested = sorted({day for state in states for fold in state.folds for day in fold.fold.dates})
        if not tested:
            return
        self.gaps = gaps_of(self.context.dataset.games, tested, known=self.context.settings.known_gaps)
        fits = any(self._fits(state) for state in states)
        guard = GroupGuard(self.config, self.context, tested, fits=fits)
        self.findings = guard.check(used, self._keys(states))

    def rehearse(self, states: Sequence[Candidate]) -> None:
        """Run some folds of the candidates' own tests again on games that end otherwise; after the last fold."""
        self.rehearsed = Rehearsing(self.config, self.context, tell=lambda text: _tell(self.config, text)).all(states)

    def rehearse_by_hand(self, states: Sequence[Candidate], day: str) -> int:
        """Rehearse one date and say what differs: exit code 1 where something does; nothing is decided or kept."""
        rehearsing = Rehearsing(self.config, self.context, tell=lambda text: _tell(self.config, text))
        found = rehearsing.by_hand(states, date.fromisoformat(day))
        for name, one in found.items():
            said = [leak_text(leak.to_dict()) for leak in one.leaks] or [one.unknown or "its predictions are the same"]
            for text in said:
                _tell(self.config, f"rehearsal of {day}: {name}: {text.removeprefix(f'{name}: ')}")
        return int(any(one.leaks or one.unknown for one in found.values()))

    def _fits(self, state: Candidate) -> bool:
        store = self.context.resources.store
        return state.spec.code is not None or not all(fold.key and store.has_fold(fold.key) for fold in state.folds)

    def _keys(self, states: Sequence[Candidate]) -> dict[str, str]:
        settings = self.context.settings
        lines = {line.name: line for state in states for line in state.lineage.groups}
        common = [GUARD_VERSION, self.context.dataset.digest.full, settings.seed, sorted(settings.known_columns)]
        return {
            name: content_key({"guard": common, "group": line.to_dict(), "libraries": libraries()})
            for name, line in lines.items()
        }

    # what became of it

    def leaky(self) -> list[str]:
        """Groups with a proven leak."""
        return [name for name, leaks in self.findings.leaks.items() if any(leak.remedy is None for leak in leaks)]

    def problems(self, state: Candidate) -> tuple[str, ...]:
        """Why nothing, or not enough, may be known of a candidate's leaks."""
        undeclared = (leak_text(leak) for leak in self.of_candidate(state) if not is_proven(leak))
        rehearsed = self.rehearsed.get(state.name)
        unknown = (self.findings.problem, self.gaps.problem, rehearsed.unknown if rehearsed else None)
        return (*dict.fromkeys(undeclared), *filter(None, unknown))

    def of_candidate(self, state: Candidate) -> tuple[dict[str, Any], ...]:
        """All leaks that a candidate has its share in."""
        groups = (leak for group in self._groups(state) for leak in self.findings.leaks.get(group.name, ()))
        return (*self._games, *(leak.to_dict() for leak in groups), *self._own(state))

    def needs_lineups(self, state: Candidate) -> list[str]:
        """The candidate's groups that are known at tip-off only."""
        return [group.name for group in self._groups(state) if group.known_at == "tipoff"]

    def tests(self, states: Sequence[Candidate]) -> list[LeakTest]:
        """One reported test for the games, each group and each candidate's test."""
        groups = {name: tuple(leak.to_dict() for leak in leaks) for name, leaks in self.findings.leaks.items()}
        if self.findings.problem is not None:
            groups = {name: groups.get(name, ()) for state in states for name in map(_name, self._groups(state))}
        return [
            LeakTest(name="games", leaks=self._games, unknown=self.gaps.problem),
            *(LeakTest(name=name, leaks=leaks, unknown=self.findings.problem) for name, leaks in groups.items()),
            *(
                LeakTest(
                    name=state.name,
                    leaks=self._own(state),
                    unknown=getattr(self.rehearsed.get(state.name), "unknown", None),
                )
                for state in states
            ),
        ]

    def count(self, states: Sequence[Candidate]) -> int:
        """How many tests these are."""
        return len(self.tests(states))

    def warnings(self) -> list[str]:
        """What is said of the candidates without being judged."""
        said = [f"{name}: {found.warning}" for name, found in self.rehearsed.items() if found.warning]
        said += self.gaps.said
        if not SEEN and any(name in self.context.own_groups for name in self.findings.leaks):
            said.append("files that compiled code reads (Arrow, DuckDB, polars, HDF5) cannot be seen on this system")
        return said

    def to_dict(self, states: Sequence[Candidate]) -> dict[str, Any]:
        """How the guard looked, for decision.json."""
        rehearsed = {
            state.name: len(self.rehearsed[state.name].dates) for state in states if state.name in self.rehearsed
        }
        tested = {day for state in states for fold in state.folds for day in fold.fold.dates}
        own = [count for name, count in self.findings.seen.items() if name in self.context.own_groups]
        return {
            "dates": [day.isoformat() for day in self.findings.dates],
            "groups": len(self.findings.leaks),
            "leaks": [leak.to_dict() for leaks in self.findings.leaks.values() for leak in leaks],
            "groups_known": len(self.findings.known),
            "dates_seen": min(own, default=None),
            "dates_tested": len(tested),
            "folds_run_again": {state.name: rehearsed.get(state.name, 0) for state in states},
            "seconds": round(self.findings.seconds + sum(found.seconds for found in self.rehearsed.values()), 2),
        }

    @property
    def _games(self) -> tuple[dict[str, Any], ...]:
        if self.gaps.picked is None:
            return ()
        example = {**NO_EXAMPLE, "detail": self.gaps.picked}
        return (Leak(group="games", columns=(), kind="rows picked by outcome", example=example).to_dict(),)

    def _own(self, state: Candidate) -> tuple[dict[str, Any], ...]:
        found = self.rehearsed.get(state.name)
        return () if found is None else tuple(leak.to_dict() for leak in found.leaks)

    def _groups(self, state: Candidate) -> tuple[FeatureGroup, ...]:
        return state.groups


def _name(group: FeatureGroup) -> str:
    return group.name
