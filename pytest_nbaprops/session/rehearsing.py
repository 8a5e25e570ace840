"""Own tests, run again: the same pytest command for a few dates, on games that end otherwise from these dates on.

An honest test predicts the same. Where it does not, sessions that change one thing at a time say what moved it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.leaks.columns import known_line
from pytest_nbaprops.leaks.dates import choose, kinds_of
from pytest_nbaprops.leaks.leak import Leak
from pytest_nbaprops.leaks.otherwise import NUMBERS, OF_WORDS, WORDS
from pytest_nbaprops.leaks.plausible import too_good_folds
from pytest_nbaprops.leaks.reads import Read, confirmed, undeclared
from pytest_nbaprops.leaks.reviewed import is_only_chosen, is_projects
from pytest_nbaprops.leaks.world import NEIGHBOURS, OUTCOMES, PRESENCE, copied_outcomes, moved_prediction
from pytest_nbaprops.reports import wording
from pytest_nbaprops.session.child import Child, folder_for_children, order_for, run_all
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import failures_of, fold_threads, problems_of
from pytest_nbaprops.session.fixtures import variables_key
from pytest_nbaprops.session.rehearsal import Again, FoldAgain
from pytest_nbaprops.session.scenes import (
    CHANGES,
    NOTHING,
    Change,
    Move,
    Scene,
    Trial,
    asserting,
    merged,
    reads_of,
    speechless,
)
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState, content_key
from pytest_nbaprops.wholefile import file_digest

REHEARSAL_VERSION = "16"  # with another one nothing is taken from the store
# Fits that run again hold two weeks of dates, but are no larger share of all fits.
FEWEST_FITS, DATES_AGAIN, ONE_IN = 2, 14, 8
MOST_AGAIN = 7  # dates, one of each weekday if they are there, that are looked at in worlds of their own
NOISE = "its predictions differ from run to run; seed everything random, or set random_state"
STATE = (
    "it keeps state from fold to fold, and its predictions depend on it, so they cannot be checked; "
    "let every fold stand on its own"
)
STORED = (
    "its stored folds are others than it gives now: what is no code of its own has changed since (run it once with "
    "--nbaprops-no-cache), or it keeps state from fold to fold"
)
CONNECTING = re.compile("connect|denied|://|socket|OperationalError|EOFError", re.IGNORECASE)  # as drivers say it
OTHERWISE = Read(what="something outside of the games (the clock, or what an import drew)")


@dataclass(kw_only=True)
class Rehearsed:
    """What the rehearsals of one candidate found.

    Attributes:
        dates: that were compared.
        unknown: why nothing, or not enough, is known.
        warning: what is said without being judged.
        files: digests of the project's modules that were loaded, by path (from the rootdir where it is below that, so
            that a copy of the project knows what this one does): while they and the predictions are the same, nothing
            is new.
        variables: digests of the environment variables that the project asked for, None for one that was not set: the
            same holds for them.
    """

    leaks: list[Leak] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    unknown: str | None = None
    warning: str | None = None
    seconds: float = 0.0
    files: dict[str, str | None] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "leaks": [leak.to_dict() for leak in self.leaks], "seconds": 0.0}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Rehearsed:
        return cls(**{**plain, "leaks": [Leak.from_dict(leak) for leak in plain["leaks"]]})


class Rehearsing:
    """The rehearsals of a session's candidates."""

    def __init__(self, config: pytest.Config, context: Context, *, tell: Callable[[str], None]) -> None:
        self.config, self.context, self.tell = config, context, tell
        self.store, self.games = context.resources.store, context.dataset.games
        self.found: dict[str, Rehearsed] = {}
        self._spent: dict[str, float] = {}  # seconds in each candidate's folds, over all sessions
        self._dates_again = max(DATES_AGAIN, context.settings.leak_dates)

    def all(self, states: Sequence[Candidate]) -> dict[str, Rehearsed]:
        """What is known of every candidate that has code of the user's; from the store where nothing has changed.

        Only candidates whose folds all have a result are run again: no other can be promoted.
        """
        asked = [
            state
            for state in states
            if (state.around or is_projects(state)) and not problems_of(state) and not failures_of(state)
        ]
        known = {state.name: kept for state in asked if (kept := self._known(state)) is not None}
        rest = [state for state in asked if state.name not in known]
        if rest:
            started, scenes = time.perf_counter(), list(self._scenes(rest))
            days = sorted({day.isoformat() for scene in scenes for day in scene.dates})
            self.tell(f"leak guard: rehearsing {', '.join(days[:3])}{' …' if len(days) > 3 else ''}")  # noqa: PLR2004
            known |= self._judged(rest, scenes)
            self._tell_what_took(took := time.perf_counter() - started)
            for state in rest:
                known[state.name].seconds = took / len(rest)
                if known[state.name].unknown is None:
                    self.store.keep_check(self._key(state), known[state.name].to_dict())
        for state in asked:
            _judge_predictions(state, known[state.name])
        return known

    def _tell_what_took(self, seconds: float) -> None:
        """Of many tests that were waited for those that took most of it."""
        if slowest := wording.slowest(self._spent, seconds):
            self.tell(f"leak guard: rehearsed {len(self._spent)} tests in {slowest}")

    def by_hand(self, states: Sequence[Candidate], day: date) -> dict[str, Rehearsed]:
        """What a rehearsal of one date finds, whatever is known."""
        chosen = tuple(
            (state, fold) for state in states for fold in state.folds if day in fold.fold.dates and fold.collected
        )
        asked = [state for state in states if any(state is one for one, _ in chosen)]
        return self._judged(asked, [Scene(folds=chosen, high=high) for high in (True, False)])

    # what is known

    def _key(self, state: Candidate) -> str:
        plugins = (getattr(plugin, "__file__", None) for plugin in self.config.pluginmanager.get_plugins())
        own = (str(file) for file in plugins if file and "site-packages" not in str(file))
        return content_key(
            {
                "rehearsal": [REHEARSAL_VERSION, self._dates_again],
                "candidate": state.identity,
                "predicted": state.predicted(),  # whatever else it may hang on: a file, a variable, a program
                "data": self.context.dataset.digest.full,
                "known": sorted(self.context.settings.known_columns),
                "declared": [self._near(path) for path in self.context.declared],
                "plugins": sorted(map(self._near, own)),
            }
        )

    def _known(self, state: Candidate) -> Rehearsed | None:
        kept = self.store.check(self._key(state)) if self.context.settings.use_cache else None
        if kept is None or any(file_digest(self.context.root / path) != was for path, was in kept["files"].items()):
            return None
        return Rehearsed.from_dict(kept) if kept["variables"] == self._variables(kept["variables"]) else None

    def _variables(self, names: Iterable[str]) -> dict[str, str | None]:
        """What these environment variables were when the session began, as rehearsals get them."""
        values = self.config.stash.get(variables_key, dict(os.environ))
        return {name: content_key({"value": values[name]}) if name in values else None for name in names}

    def _near(self, file: str) -> str:
        path = Path(file)
        return path.relative_to(self.context.root).as_posix() if path.is_relative_to(self.context.root) else file

    # the sessions

    def _scenes(self, states: Sequence[Candidate]) -> Iterator[Scene]:
        """For every set of candidates with the same fits: the folds of the fits that hold the most kinds of dates.

        One fold where libraries alone fit and predict: what the project chose it by shows in any.
        """
        plans: dict[tuple[Any, ...], list[Candidate]] = {}
        for state in states:
            dates = tuple((fold.fold.fitted_at, fold.fold.dates) for fold in state.folds)
            plans.setdefault((is_only_chosen(state), *dates), []).append(state)
        for (only_chosen, *_), alike in plans.items():
            kinds = kinds_of(alike[0].dates, self.games)
            by_fit: dict[date, tuple[str, ...]] = {}
            for fold in alike[0].plan:
                of_fold = (kind for day in fold.dates for kind in kinds[day])
                by_fit[fold.fitted_at] = (*by_fit.get(fold.fitted_at, ()), *of_fold)
            holding = -(-self._dates_again * len(by_fit) // len(kinds))
            most = len(by_fit) // ONE_IN if self._dates_again == DATES_AGAIN else len(by_fit)
            chosen = sorted(choose(by_fit, (), max(FEWEST_FITS, min(holding, most))))
            if only_chosen:
                first = ((state, fold) for state in alike for fold in state.folds if fold.fold.fitted_at == chosen[0])
                yield Scene(folds=tuple({state.name: (state, fold) for state, fold in first}.values()), high=True)
                continue
            for number, fit in enumerate(chosen if len(chosen) > 1 else chosen * 2):
                folds = ((state, fold) for state in alike for fold in state.folds if fold.fold.fitted_at == fit)
                yield Scene(folds=tuple(folds), high=number % 2 == 0)

    def _run(self, scenes: Sequence[Scene]) -> list[Again]:
        """What each session left; candidates that asserted something in vain run again without assertions.

        They judge what a test is given and do not predict, and a world that could be is no world that was. Those run
        again, too, that cannot do with other words in their files: they keep what values are found by and, where that
        is not enough, all words in other places, or where they are.
        """
        runs, worlds = self._left_by(scenes), [*scenes]
        self._run_again(worlds, runs, asserting)
        for words in (*OF_WORDS[1:], NUMBERS):
            self._run_again(worlds, runs, speechless, words)
        return runs

    def _run_again(
        self,
        scenes: list[Scene],
        runs: list[Again],
        which: Callable[[Scene, Again], set[str]],
        words: str | None = None,
    ) -> None:
        """Run those candidates again, without assertions, which give the folds that predicted nothing."""
        wanted = {number: names for number, run in enumerate(runs) if (names := which(scenes[number], run))}
        for number in wanted:
            scenes[number] = replace(scenes[number], words=words or scenes[number].words)
        again = self._left_by([scenes[number].of(names) for number, names in wanted.items()], asserts=False)
        for number, run in zip(wanted, again, strict=True):
            folds = runs[number].folds
            folds |= {name: fold for name, fold in run.folds.items() if folds.get(name, FoldAgain()).predictions.empty}

    def _left_by(self, scenes: Sequence[Scene], *, asserts: bool = True) -> list[Again]:
        with folder_for_children() as folder:
            orders = [self._order(scene) | {"asserts": asserts} for scene in scenes]
            children = [Child(folder / str(number), order) for number, order in enumerate(orders)]
            run_all(self.config, children)
            runs = [child.result or Again(failure=child.failure, reads=child.heard) for child in children]
        for scene, run in zip(scenes, runs, strict=True):
            for state, fold in scene.folds:
                again = run.folds.get(fold.nodeid)
                self._spent[state.name] = self._spent.get(state.name, 0.0) + (again.seconds if again else 0.0)
        return runs

    def _order(self, scene: Scene) -> dict[str, Any]:
        world = {
            "start": min(fold.fold.train_start for _, fold in scene.folds).isoformat(),
            "fitted": min(fold.fold.fitted_at for _, fold in scene.folds).isoformat(),
            "cutoff": scene.dates[0].isoformat(),
            "last": scene.dates[-1].isoformat(),
            "hide": [fold.fold.dates[-1].isoformat() for _, fold in scene.folds],
            "changes": scene.changes,
            "high": scene.high,
            "seed": self.context.settings.seed,
            "known": (*self.context.settings.known_columns, *scene.known),
        }
        nodeids = {fold.nodeid for _, fold in scene.folds}
        threads = fold_threads(self.context)  # neighbours, for one, come out otherwise on another number
        return order_for(self.context, nodeids=nodeids, world=world, other=scene.files, threads=threads)

    def _judged(self, states: Sequence[Candidate], scenes: Sequence[Scene]) -> dict[str, Rehearsed]:
        self.found = {state.name: Rehearsed() for state in states}
        runs = self._run(scenes)
        scenes = [*scenes, *(more := self._with_words(scenes, runs))]
        runs += self._run(more)
        suspects = self._moving(scenes, runs)
        for name, reads in self._learnt(states, scenes, runs).items():
            self.found[name].leaks = [self._undeclared(name, reads)] if reads else []
        self._name(self._moving_alone(suspects))
        return self.found

    @staticmethod
    def _with_words(scenes: Sequence[Scene], runs: Sequence[Again]) -> list[Scene]:
        """One more scene for those who read files whose words were never other ones."""
        worded = {state.name for scene in scenes if scene.files == WORDS for state, _ in scene.folds}
        more = []
        for scene, run in zip(scenes, runs, strict=True):
            reading = {state.name for state, _ in scene.folds if any(read.tried for read in reads_of(state, run))}
            if names := reading - worded:
                more.append(replace(scene.of(names), high=False))
                worded |= names
        return more

    def _moving_alone(self, suspects: Mapping[str, Sequence[tuple[Scene, Move]]]) -> dict[str, tuple[Scene, Move]]:
        """Those that move in a world of one date alone, too: there, who learns from the nights before is honest again.

        More dates are looked at where nothing moves on the first.
        """
        moving: dict[str, tuple[Scene, Move]] = {}
        various = {name: self._various([scene for scene, _ in ones]) for name, ones in suspects.items()}
        for some in (slice(1), slice(1, MOST_AGAIN)):
            alone = merged([scene for name, ones in various.items() if name not in moving for scene in ones[some]])
            moving |= {name: first for name, (first, *_) in self._moving(alone, self._run(alone)).items()}
        return moving

    def _various(self, alone: Sequence[Scene]) -> list[Scene]:
        """Of scenes of a date each those of the most kinds: a test may do another thing on weekends."""
        by_day: dict[date, list[Scene]] = {}
        for scene in alone:
            by_day.setdefault(scene.dates[-1], []).append(scene)
        days = sorted(choose(kinds_of([*by_day], self.games), (), MOST_AGAIN))
        return [by_day[day][place % len(by_day[day])] for place, day in enumerate(days)]

    def _moving(self, scenes: Sequence[Scene], runs: Sequence[Again]) -> dict[str, list[tuple[Scene, Move]]]:
        """For each candidate the folds that moved, each as a scene of its own; the others are well."""
        moving: dict[str, list[tuple[Scene, Move]]] = {}
        for scene, run in zip(scenes, runs, strict=True):
            for state, fold, move in self._moves(scene, run):
                if move is None:
                    self.found[state.name].dates.append(fold.fold.id)
                else:
                    alone = Scene(folds=((state, fold),), high=scene.high)
                    moving.setdefault(state.name, []).append((alone, move))
        return moving

    def _moves(self, scene: Scene, run: Again) -> Iterator[tuple[Candidate, FoldState, Move]]:
        """Each fold of a session that could be run again with what moved in it; what else was learnt is noted."""
        for state, fold in scene.folds:
            known = self.found[state.name]
            again = run.folds.get(fold.nodeid) or FoldAgain(failure=run.failure)
            if again.predictions.empty:
                offline = "no server is reached there; " if run.offline and CONNECTING.search(again.failure) else ""
                see_it = "" if self.context.settings.rehearse else f"see it with --nbaprops-rehearse {scene.dates[0]}"
                hint = f"{offline}{see_it}".removesuffix("; ")
                why = f"{again.failure} ({hint})" if hint else again.failure
                known.unknown = known.unknown or f"its test could not be run again on changed games: {why}"
                continue
            known.variables |= self._variables(run.variables)
            known.files |= {self._near(file): digest for file, digest in run.files.items()}
            rows = len(self.context.dataset.positions(fold.fold.train_start, fold.fold.fitted_at))
            if state.spec.code and max(again.fits, default=rows) < rows:
                known.warning = known.warning or f"fits on {max(again.fits)} of {rows} training rows"
            true = fold.result.predictions if fold.result is not None else again.predictions.head(0)
            yield state, fold, moved_prediction(self.games, true, again.predictions)

    def _learnt(
        self, states: Sequence[Candidate], scenes: Sequence[Scene], runs: Sequence[Again]
    ) -> dict[str, list[Read]]:
        """What predictions could hang on, cannot be tried otherwise, and nothing declares.

        Who broke where files were others may hang on them.
        """
        heard: dict[str, list[Read]] = {}
        watched: dict[str, tuple[Candidate, FoldState]] = {}
        for scene, run in zip(scenes, runs, strict=True):
            for state, fold in scene.folds:
                known = heard.setdefault(state.name, [])  # what is the first's own work is there for those that follow
                known += [read for read in reads_of(state, run) if read not in known]
                if fold.nodeid in run.folds:
                    watched.setdefault(state.name, (state, fold))
        opened = {name for name, reads in heard.items() if any(read.is_of_the_kernel for read in reads)}
        alone = Scene(folds=tuple(one for name, one in watched.items() if name in opened), high=True)
        [again] = self._run([alone]) if alone.folds else [Again()]
        for state in states:
            reads = heard.setdefault(state.name, [])
            sure = confirmed([read for read in reads if not read.tried], reads_of(state, again))
            heard[state.name] = sure or [read for read in reads if read.tried and self.found[state.name].unknown]
        return heard

    def _name(self, moving: Mapping[str, tuple[Scene, Move]]) -> None:
        """Name what moves predictions on one date, by the first change that does; who is named is not run again."""
        left = {name: scene for name, (scene, _) in moving.items()}
        by_outcomes: dict[str, Scene] = {}
        for changes in CHANGES:
            trials = self._trials(left, changes)
            unstable = {name: trial for name, trial in trials.get(NOTHING, {}).items() if trial.move is not None}
            self._tell_noise_from_state({name: left[name] for name in unstable}, unstable)
            for name in [*left]:
                moved = [change for change in changes if name in trials[change] and trials[change][name].move]
                if moved and name not in unstable:
                    self._tell(name, moved[0], trials[moved[0]][name])
                    if moved[0].kind == OUTCOMES:
                        by_outcomes[name] = left[name].changed(moved[0])
                if moved or (NOTHING in changes and name not in trials[NOTHING]):
                    del left[name]
        for name in left:
            self.found[name].leaks.append(_leak(name, OUTCOMES, moving[name][1]))
        self._declare(by_outcomes)

    def _declare(self, moving: Mapping[str, Scene]) -> None:
        """Who does not move where columns of the user's own are known leaks by these, and of them nobody knows."""
        tries = [
            (name, replace(scene, known=known))
            for name, scene in moving.items()
            for known in self._undeclared_by(scene.folds[0][1].nodeid)
        ]
        settled: dict[str, tuple[str, ...]] = {}
        for (name, scene), run in zip(tries, self._run([scene for _, scene in tries]), strict=True):
            moves = [move for _, _, move in self._moves(scene, run)]
            if moves and not any(moves):
                settled.setdefault(name, scene.known)
        for name, known in settled.items():
            leaks = self.found[name].leaks
            leaks[:] = [replace(leak, remedy=known_line(known)) if leak.kind == OUTCOMES else leak for leak in leaks]

    def _undeclared_by(self, nodeid: str) -> list[tuple[str, ...]]:
        """Undeclared columns that the test's file names: each alone, then together."""
        path = self.context.root / nodeid.partition("::")[0]
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        used = tuple(column for column in self.context.dataset.undeclared if column in text)
        return [*((column,) for column in used), *([used] if len(used) > 1 else [])]

    def _trials(self, suspects: Mapping[str, Scene], changes: Sequence[Change]) -> dict[Change, dict[str, Trial]]:
        """What each change did to each candidate that could be run again with it."""
        scenes = [(change, scene.changed(change)) for change in changes for scene in merged([*suspects.values()])]
        trials: dict[Change, dict[str, Trial]] = {change: {} for change in changes}
        for (change, scene), run in zip(scenes, self._run([scene for _, scene in scenes]), strict=True):
            for state, fold, move in self._moves(scene, run):
                predictions = run.folds[fold.nodeid].predictions
                trials[change][state.name] = Trial(state=state, run=run, predictions=predictions, move=move)
        return trials

    def _tell_noise_from_state(self, scenes: Mapping[str, Scene], before: Mapping[str, Trial]) -> None:
        """What moves though nothing is changed is not known; why is seen where it is run once more."""
        for name, trial in self._trials(scenes, (NOTHING,))[NOTHING].items():
            noise = moved_prediction(self.games, before[name].predictions, trial.predictions)
            result = scenes[name].folds[0][1].result
            self.found[name].unknown = NOISE if noise else STORED if result is not None and result.cached else STATE

    def _tell(self, name: str, change: Change, trial: Trial) -> None:
        known = self.found[name]
        if change.kind is None:
            tried = [read for read in reads_of(trial.state, trial.run) if read.tried]
            known.leaks = known.leaks or [self._undeclared(name, tried or [OTHERWISE])]
        else:
            of_rows = change.kind == PRESENCE and trial.state.spec.code is None  # a recipe is handed nothing but rows
            known.leaks.append(_leak(name, NEIGHBOURS if of_rows else change.kind, trial.move))

    def _undeclared(self, name: str, reads: Sequence[Read]) -> Leak:
        return undeclared(name, reads, self.context.root, self.context.settings.data)


def _leak(name: str, kind: str, move: Move) -> Leak:
    return Leak(group=name, columns=(), kind=kind, example=move or {})


def _judge_predictions(state: Candidate, found: Rehearsed) -> None:
    """What predictions give away by themselves."""
    predictions = state.predictions()
    if predictions is None:
        return
    copied = copied_outcomes(predictions)
    if copied is not None and not any(leak.kind == OUTCOMES for leak in found.leaks):
        found.leaks.append(_leak(state.name, OUTCOMES, copied))
    if found.unknown is None and not found.leaks:
        numbers = [fold.fold.number for fold in state.folds if fold.fold.id in found.dates]
        found.unknown = too_good_folds(predictions, numbers)
