"""The sessions in which folds are run again: on what world, and what one of them found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pandas as pd

from pytest_nbaprops.leaks.otherwise import NUMBERS, OF_WORDS, WORDS
from pytest_nbaprops.leaks.reads import Read
from pytest_nbaprops.leaks.world import KINDS, LATER, NEIGHBOURS, OUTCOMES, PRESENCE
from pytest_nbaprops.session.rehearsal import Again, FoldAgain
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState

Move = Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is another thing where a move is named: one kind, or files, the clock and draws; of outcomes, which end."""

    kind: str | None = None
    other_end: bool = False
    other: bool = False


NOTHING, OUTSIDE = Change(), Change(other=True)
# In this order, two at once for two cores, until one moves the predictions. With nothing changed they must not move.
# Who chooses by outcomes may choose the same among the high ones, but not among the low ones, too.
CHANGES = (
    (NOTHING, Change(kind=OUTCOMES)),
    (Change(kind=OUTCOMES, other_end=True), Change(kind=NEIGHBOURS)),
    (Change(kind=LATER), Change(kind=PRESENCE)),
    (OUTSIDE,),
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One session to run: which folds of which candidates, on what world."""

    folds: tuple[tuple[Candidate, FoldState], ...]
    high: bool
    changes: tuple[str, ...] = KINDS
    other: bool = True  # files answer otherwise, too
    words: str = WORDS  # what else than numbers, in the other of the two worlds
    known: tuple[str, ...] = ()  # columns of the user's own that are as they were

    @property
    def dates(self) -> list[date]:
        return sorted({day for _, fold in self.folds for day in fold.fold.dates})

    @property
    def files(self) -> str | None:
        """What files say in it: other numbers or, where outcomes are low ones, other words."""
        return None if not self.other else NUMBERS if self.high else self.words

    def of(self, names: Collection[str]) -> Scene:
        """With the folds of these candidates only."""
        return replace(self, folds=tuple(one for one in self.folds if one[0].name in names))

    def changed(self, change: Change) -> Scene:
        """With this change alone."""
        kinds = () if change.kind is None else (change.kind,)
        return replace(self, changes=kinds, high=self.high is not change.other_end, other=change.other)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one change did to a candidate's predictions on one date."""

    state: Candidate
    run: Again
    predictions: pd.DataFrame
    move: Move


def merged(scenes: Sequence[Scene]) -> list[Scene]:
    """The folds of several candidates on the same world, in one session."""
    together: dict[tuple[Any, ...], list[tuple[Candidate, FoldState]]] = {}
    for scene in scenes:
        fitted = {fold.fold.fitted_at for _, fold in scene.folds}
        together.setdefault((*scene.dates, *fitted, scene.high), []).extend(scene.folds)
    return [Scene(folds=tuple(folds), high=key[-1]) for key, folds in together.items()]


def speechless(scene: Scene, run: Again) -> set[str]:
    """Candidates of whose folds one predicts nothing where files that they read have other words."""
    if scene.files not in OF_WORDS:
        return set()
    broken = {state for state, fold in scene.folds if run.folds.get(fold.nodeid, FoldAgain()).predictions.empty}
    return {state.name for state in broken if any(read.tried for read in reads_of(state, run))}


def asserting(scene: Scene, run: Again) -> set[str]:
    """Candidates of whose folds one ended because an assertion did not hold."""
    return {state.name for state, fold in scene.folds if fold.nodeid in run.folds and run.folds[fold.nodeid].asserted}


def reads_of(state: Candidate, run: Again) -> list[Read]:
    """What was read around a candidate's tests and by them, in one session."""
    own = (read for fold in state.folds if fold.nodeid in run.folds for read in run.folds[fold.nodeid].reads)
    return list(dict.fromkeys([*run.reads, *own]))
