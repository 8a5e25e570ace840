"""The leak guard in a session: every feature group that a candidate uses is looked at once, before the first fold."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd

from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.build import compute_group
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import GroupLineage
from pytest_nbaprops.leaks.extra_columns import extra_outcomes
from pytest_nbaprops.leaks.leakage import Leak, check_groups, check_rows, guard_key, leak_dates
from pytest_nbaprops.leaks.missing_rows import WHOLE, incomplete_sides, picked_games
from pytest_nbaprops.leaks.rehearsal import copied_outcomes
from pytest_nbaprops.reports.criteria_tests import LeakTest
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import Candidate

# The features of a season hardly look further back than the two before it, and the time goes with the rows.
RECENT_SEASONS = 3
COPIED = "test outcomes"

Pairs = list[tuple[FeatureGroup, pd.DataFrame]]


@dataclass(kw_only=True)
class Findings:
    """What became of the groups' checks.

    Attributes:
        leaks: of each group that was looked at, by its name.
        known: groups whose leaks, if any, the store had already.
        cutoffs: the dates on which they were looked at.
        problem: why the guard could not finish; nothing is known then.
        seconds: what it cost.
    """

    leaks: dict[str, tuple[Leak, ...]] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    cutoffs: tuple[date, ...] = ()
    problem: str | None = None
    seconds: float = 0.0


class Guard:
    """Looks at feature groups; what it found of unchanged groups on unchanged data comes from the store.

    Every group is looked at on the games of the last seasons up to the tested one; the project's own ones once more
    on all games, against the very features that the folds use.
    """

    def __init__(self, context: Context, lines: Mapping[str, GroupLineage], *, last_tested: date) -> None:
        """`lines`: the lineage of every group that may be looked at, by its name."""
        self.context, self.lines = context, lines
        self.store = context.resources.store
        self.last_tested = last_tested

    def check(self, groups: Collection[FeatureGroup]) -> Findings:
        """The leaks of these groups; a guard that breaks says so, and whoever uses the groups is not promoted."""
        started = time.perf_counter()
        findings = Findings()
        try:
            findings.cutoffs = self._cutoffs
            self._check(list(groups), findings)
        except Exception as error:  # noqa: BLE001 - the gate fails closed, whatever a user's group does
            text = " ".join(str(error).split())
            findings.problem = f"the leak guard could not finish: {type(error).__name__}: {text}"
        findings.seconds = time.perf_counter() - started
        return findings

    def _check(self, groups: list[FeatureGroup], findings: Findings) -> None:
        keys = self._keys(groups)
        for group in groups:
            kept = self.store.check(keys[group.name]) if self.context.settings.use_cache else None
            if kept is not None:
                findings.leaks[group.name] = tuple(Leak.from_dict(leak) for leak in kept["leaks"])
                findings.known.append(group.name)
        found = self._examined([group for group in groups if group.name not in findings.leaks])
        for name, leaks in found.items():
            self.store.keep_check(keys[name], {"leaks": [leak.to_dict() for leak in leaks]})
        findings.leaks |= found

    def _keys(self, groups: Sequence[FeatureGroup]) -> dict[str, str]:
        """Under what each group's findings are kept."""
        digest = f"{self.context.dataset.digest.full}, recent {len(self._recent)}"
        seed, known = self.context.settings.seed, self.context.settings.known_columns
        return {
            group.name: guard_key(self.lines[group.name], digest, self._cutoffs, seed=seed, known=known)
            for group in groups
        }

    def _examined(self, groups: Sequence[FeatureGroup]) -> dict[str, tuple[Leak, ...]]:
        broken = [group for group in groups if group.name in self.context.broken]
        whole = [group for group in groups if group not in broken]
        found = {group.name: self._changed_rows(group) for group in broken}
        found |= self._leaks(self._recent, self._on_recent(whole), self._cutoffs)
        own = [group for group in whole if self._again(group) and not found.get(group.name)]
        return found | self._leaks(self.context.dataset.games, self._as_used(own), self._cutoffs[-1:])

    def _again(self, group: FeatureGroup) -> bool:
        """Whether the group is looked at on all games, too."""
        return group.name in self.context.own_groups and len(self._recent) < len(self.context.dataset.games)

    def _changed_rows(self, group: FeatureGroup) -> tuple[Leak, ...]:
        found = check_rows(self.context.dataset.games, group, root=self.context.root)
        detail = {"detail": self.context.broken[group.name]}
        return found or (Leak(group=group.name, columns=(), kind="changes rows", example=detail),)

    def _leaks(self, games: pd.DataFrame, pairs: Pairs, cutoffs: Sequence[date]) -> dict[str, tuple[Leak, ...]]:
        if not pairs:
            return {}
        settings, root = self.context.settings, self.context.root
        known = settings.known_columns
        return check_groups(games, pairs, cutoffs=cutoffs, root=root, seed=settings.seed, known=known)

    def _as_used(self, groups: Sequence[FeatureGroup]) -> Pairs:
        features = self.context.dataset.features
        return [(group, features[list(self.context.columns[group.name])]) for group in groups]

    def _on_recent(self, groups: Sequence[FeatureGroup]) -> Pairs:
        if len(self._recent) == len(self.context.dataset.games):
            return self._as_used(groups)
        return [(group, self._computed(group)) for group in groups]

    def _computed(self, group: FeatureGroup) -> pd.DataFrame:
        try:
            return compute_group(self._recent, group, root=self.context.root)
        except FeatureError as error:
            raise FeatureError(f"{error} (on the games of the last {RECENT_SEASONS} seasons)") from None

    @cached_property
    def _recent(self) -> pd.DataFrame:
        """The games of the tested season and the two before it."""
        games = self.context.dataset.games
        last = str(games["SEASON"][games["GAME_DATE"] <= pd.Timestamp(self.last_tested)].iloc[-1])
        seasons = [season for season in pd.unique(games["SEASON"]) if str(season) <= last][-RECENT_SEASONS:]
        recent: pd.DataFrame = games.loc[games["SEASON"].isin(seasons)].reset_index(drop=True)
        return recent

    @cached_property
    def _cutoffs(self) -> tuple[date, ...]:
        days = self._recent.drop_duplicates("GAME_DATE")
        dates = [day.date() for day in days["GAME_DATE"]]
        return leak_dates(dates, days["SEASON"].astype(str).to_list(), self.context.settings.leak_dates)


class LeakChecks:
    """Everything that the session knows of leaks: of feature groups, of the games' rows, of each candidate's test."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.findings = Findings()
        self.games: tuple[dict[str, Any], ...] = ()

    def look(self, states: Sequence[Candidate]) -> None:
        """Check the groups that these candidates use, and the rows of the games; tests are checked as they run."""
        used = {group.name: group for state in states for group in self._groups(state)}
        last = max((state.folds[-1].fold.dates[-1] for state in states), default=None)
        if last is not None:
            lineages = [state.lineage for state in states]
            lines = {line.name: line for lineage in lineages for line in lineage.groups}
            self.findings = Guard(self.context, lines, last_tested=last).check(used.values())
        if (picked := picked_games(self.context.dataset.games)) is not None:
            leak = Leak(group="games", columns=(), kind="rows picked by outcome", example={"detail": picked})
            self.games = (leak.to_dict(),)

    def problems(self, state: Candidate) -> tuple[str, ...]:
        """Why nothing may be known of a candidate's leaks."""
        del state
        return (self.findings.problem,) if self.findings.problem is not None else ()

    def of_candidate(self, state: Candidate) -> tuple[dict[str, Any], ...]:
        """All leaks that a candidate has its share in."""
        groups = (leak for group in self._groups(state) for leak in self.findings.leaks.get(group.name, ()))
        return (*self.games, *(leak.to_dict() for leak in groups), *_own_leaks(state))

    def needs_lineups(self, state: Candidate) -> list[str]:
        """The candidate's groups that are known at tip-off only."""
        return [group.name for group in self._groups(state) if group.known_at == "tipoff"]

    def tests(self, states: Sequence[Candidate]) -> list[LeakTest]:
        """One reported test for the games, each group and each candidate's test."""
        groups = {name: tuple(leak.to_dict() for leak in leaks) for name, leaks in self.findings.leaks.items()}
        if self.findings.problem is not None:
            groups = {name: groups.get(name, ()) for state in states for name in map(_name, self._groups(state))}
        return [
            LeakTest(name="games", leaks=self.games),
            *(LeakTest(name=name, leaks=leaks, unknown=self.findings.problem) for name, leaks in groups.items()),
            *(LeakTest(name=state.name, leaks=_own_leaks(state), unknown=None) for state in states),
        ]

    def count(self, states: Sequence[Candidate]) -> int:
        """How many tests these are."""
        return len(self.tests(states))

    def warnings(self, states: Sequence[Candidate]) -> list[str]:
        """What is said of the candidates without being judged."""
        said: list[str] = []
        known = self.context.settings.known_columns
        if any(self.findings.leaks.values()) and (extra := extra_outcomes(self.context.dataset.games, known)):
            said.append(
                f"columns of your own count as outcomes of the game: {', '.join(extra)}; name those that are known "
                "before it in nbaprops_known_columns"
            )
        if not self.games and (share := incomplete_sides(self.context.dataset.games)) > 1 - WHOLE:
            said.append(f"{share:.0%} of the games' sides lack players, and the guard cannot tell why")
        return said

    def to_dict(self, states: Sequence[Candidate]) -> dict[str, Any]:
        """How the guard looked, for decision.json; seconds include what it cost where the tests ran."""
        return {
            "dates": [day.isoformat() for day in self.findings.cutoffs],
            "groups": len(self.findings.leaks),
            "groups_known": len(self.findings.known),
            "folds_run_again": dict.fromkeys((state.name for state in states), 0),
            "seconds": round(self.findings.seconds, 2),
        }

    def _groups(self, state: Candidate) -> tuple[FeatureGroup, ...]:
        return state.groups


def _own_leaks(state: Candidate) -> tuple[dict[str, Any], ...]:
    """What the rehearsal of a candidate's test found, and what its predictions themselves give away."""
    found: tuple[dict[str, Any], ...] = ()
    predictions = state.predictions()
    if predictions is None or any(leak["kind"] == COPIED for leak in found):
        return found
    example = copied_outcomes(predictions)
    return (
        found
        if example is None
        else (*found, Leak(group=state.name, columns=(), kind=COPIED, example=example).to_dict())
    )


def _name(group: FeatureGroup) -> str:
    return group.name
