"""Which feature group made the model better: each is left out in turn, and walked forward as its own candidate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from pytest_nbaprops.errors import InconclusiveError, NBAPropsError
from pytest_nbaprops.features.lineage import Lineage, lineage_difference
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.gate.rows import error_sums
from pytest_nbaprops.gate.statistics import paired_interval
from pytest_nbaprops.metrics.point import statistic
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import counts_of
from pytest_nbaprops.session.rewalk import resources_for, walk
from pytest_nbaprops.walkforward.candidate import Candidate

ALL = "all"
Progress = Callable[[str], object]


class Attribution:
    """The effects of one candidate's groups; folds of variants are kept in the fold store like all others."""

    def __init__(self, context: Context, champion: Lineage | None, *, tell: Progress) -> None:
        self.context, self.champion, self.tell = context, champion, tell

    def effects(self, candidate: Candidate) -> list[Effect]:
        """The largest help first; nothing for a test that brings its own estimator, which cannot be run without it."""
        predictions = candidate.predictions()
        if candidate.spec.recipe is None or predictions is None or not counts_of(candidate).complete:
            return []
        # How each group that is looked at came about; without a champion all are new.
        difference = lineage_difference(candidate.lineage, self.champion)
        changes = {name: kind for kind in ("added", "changed", "removed") for name in difference[kind]}
        if self.context.settings.attribute == ALL:
            changes = {group.name: "kept" for group in candidate.groups} | changes
        effects = []
        for number, (name, change) in enumerate(changes.items(), 1):
            self.tell(f"nbaprops: attribution of {candidate.name}, {number} of {len(changes)}: {name} ({change})")
            try:
                theirs = self._variant(candidate, name, removed=change == "removed")
            except NBAPropsError as error:
                effects.append(Effect(group=name, change=change, reason=str(error)))
            else:
                effects.append(_compared(name, change, predictions, theirs, seed=candidate.spec.seed))
        return sorted(effects, key=lambda effect: (effect.difference is None, effect.difference or 0.0, effect.group))

    def _variant(self, candidate: Candidate, name: str, *, removed: bool) -> pd.DataFrame:
        """Predictions of all folds without this group; with it again if it was removed."""
        names = {group.name for group in self.context.candidate(candidate.spec).groups}
        wanted = names | {name} if removed else names - {name}
        groups = tuple(group for group in self.context.every_group if group.name in wanted)
        if removed and name not in {group.name for group in groups}:
            raise NBAPropsError("the group is not there any more")
        if not groups:
            raise NBAPropsError("it is the only group")
        resources, columns = resources_for(self.context, groups)
        spec = replace(candidate.spec, features=",".join(columns))
        return walk(self.context.candidate_of(spec, groups, columns), candidate.plan, resources)


def _compared(name: str, change: str, ours: pd.DataFrame, theirs: pd.DataFrame, *, seed: int) -> Effect:
    one, other = error_sums(ours), error_sums(theirs)
    mae, variant = (float(statistic("mae", sums.sum(axis=0))) for sums in (one, other))
    known = Effect(group=name, change=change, mae_variant=variant, difference=mae - variant)
    try:
        interval = paired_interval("mae", one, other, seed=seed)
    except InconclusiveError as problem:
        return replace(known, reason=str(problem))
    return replace(known, low=interval.low, high=interval.high)
