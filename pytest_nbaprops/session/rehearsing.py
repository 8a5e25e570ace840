"""Own tests, run again: the same pytest command for a few dates, on games that end otherwise from these dates on.

An honest test predicts the same. Where it does not, sessions that change one thing at a time say what moved it.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.code.reached import is_project
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.leaks.dates import choose, kinds_of
from pytest_nbaprops.leaks.groups import remedy_for
from pytest_nbaprops.leaks.leak import Leak
from pytest_nbaprops.leaks.outside import Read
from pytest_nbaprops.leaks.plausible import too_good_folds
from pytest_nbaprops.leaks.world import KINDS, OUTCOMES, PRESENCE, copied_outcomes, moved_prediction
from pytest_nbaprops.session.child import Child, run_all
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import failures_of, problems_of
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState, content_key

REHEARSAL_VERSION = "3"  # with another one nothing is taken from the store
MOST_FITS = 2
MOST_AGAIN = 3  # dates of a fit that are looked at in worlds of their own
NOISE = "its predictions differ from run to run; seed everything random, or set random_state"
STATE = (
    "it keeps state from fold to fold, and its predictions depend on it, so they cannot be checked; "
    "let every fold stand on its own"
)


@dataclass(kw_only=True)
class Rehearsed:
    """What the rehearsals of one candidate found.

    Attributes:
        dates: that were compared.
        unknown: why nothing, or not enough, is known.
        warning: what is said without being judged.
        files: digests of the project's modules that were loaded, by path: while they are the same, nothing is new.
    """

    leaks: list[Leak] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    unknown: str | None = None
    warning: str | None = None
    seconds: float = 0.0
    files: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("dates", "unknown", "warning", "files")}
        return {**plain, "leaks": [leak.to_dict() for leak in self.leaks]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Rehearsed:
        return cls(**{**plain, "leaks": [Leak.from_dict(leak) for leak in plain["leaks"]]})


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One session to run: which folds of which candidates, on what world."""

    folds: tuple[tuple[str, FoldState], ...]
    cutoff: date
    last: date
    high: bool
    changes: tuple[str, ...] = KINDS
    other: bool = True


class Rehearsing:
    """The rehearsals of a session's candidates."""

    def __init__(self, config: pytest.Config, context: Context, *, tell: Callable[[str], None]) -> None:
        self.config, self.context, self.tell = config, context, tell
        self.store = context.resources.store
        self.dataset = context.dataset

    def all(self, states: Sequence[Candidate]) -> dict[str, Rehearsed]:
        """What is known of every candidate that has code of the user's; from the store where nothing has changed.

        Only candidates whose folds all have a result are run again: no other can be promoted.
        """
        found: dict[str, Rehearsed] = {}
        asked = [state for state in states if self._has_own_code(state) and _is_whole(state)]
        known = {state.name: kept for state in asked if (kept := self._known(state)) is not None}
        rest = [state for state in asked if state.name not in known]
        started = time.perf_counter()
        found |= known
        if rest:
            found |= self._rehearsed(rest)
        for state in rest:
            found[state.name].seconds = (time.perf_counter() - started) / len(rest)
            if found[state.name].unknown is None:
                self.store.keep_check(self._key(state), found[state.name].to_dict())
        for state in asked:
            self._judge_predictions(state, found[state.name])
        return found

    def by_hand(self, states: Sequence[Candidate], day: date) -> dict[str, Rehearsed]:
        """What a rehearsal of one date finds, whatever is known."""
        chosen = [(state.name, fold) for state in states for fold in state.folds if day in fold.fold.dates]
        if not chosen:
            raise SettingsError(
                f"--nbaprops-rehearse: {day} is none of the test dates; see them with --collect-only -q"
            )
        scenes = [Scene(folds=tuple(chosen), cutoff=day, last=day, high=high) for high in (True, False)]
        return self._judged(states, scenes)

    def _has_own_code(self, state: Candidate) -> bool:
        """Whether anything of the project's runs in its folds besides the feature groups."""
        return state.spec.code is not None or (state.recipe is not None and _is_own(state.recipe.estimator))

    # what is known

    def _key(self, state: Candidate) -> str:
        plugins = sorted(
            str(file)
            for plugin in self.config.pluginmanager.get_plugins()
            if (file := getattr(plugin, "__file__", None))
        )
        return content_key(
            {
                "rehearsal": REHEARSAL_VERSION,
                "candidate": state.identity,
                "data": self.dataset.digest.full,
                "known": sorted(self.context.settings.known_columns),
                "declared": self.context.declared,
                "plugins": [file for file in plugins if "site-packages" not in file],
            }
        )

    def _known(self, state: Candidate) -> Rehearsed | None:
        kept = self.store.check(self._key(state)) if self.context.settings.use_cache else None
        if kept is None or any(_digest(path) != digest for path, digest in kept["files"].items()):
            return None
        return Rehearsed.from_dict(kept)

    # the sessions

    def _rehearsed(self, states: Sequence[Candidate]) -> dict[str, Rehearsed]:
        scenes = list(self._scenes(states))
        days = sorted({day.isoformat() for scene in scenes for _, fold in scene.folds for day in fold.fold.dates})
        self.tell(f"leak guard: rehearsing {', '.join(days[:3])}{' …' if len(days) > 3 else ''}")  # noqa: PLR2004
        return self._judged(states, scenes)

    def _scenes(self, states: Sequence[Candidate]) -> Iterator[Scene]:
        """For every set of candidates with the same fits: the folds of a few fits, each on one world."""
        plans: dict[tuple[Any, ...], list[Candidate]] = {}
        for state in states:
            plans.setdefault(tuple((fold.fold.fitted_at, fold.fold.dates) for fold in state.folds), []).append(state)
        for alike in plans.values():
            fits: dict[date, list[int]] = {}
            for place, fold in enumerate(alike[0].folds):
                fits.setdefault(fold.fold.fitted_at, []).append(place)
            chosen = self._chosen(alike[0], fits)
            ends = [(chosen[0], True), (chosen[-1], False)] if chosen else []
            for places, high in ends:
                folds = tuple((state.name, state.folds[place]) for state in alike for place in places)
                days = [day for place in places for day in alike[0].folds[place].fold.dates]
                yield Scene(folds=folds, cutoff=min(days), last=max(days), high=high)

    def _chosen(self, state: Candidate, fits: Mapping[date, list[int]]) -> list[list[int]]:
        """The folds of the fits that hold the most kinds of dates, the fullest first."""
        days = [day for fold in state.folds for day in fold.fold.dates]
        kinds = kinds_of(days, self.dataset.games)
        by_fit = {
            fit: tuple({kind for place in places for day in state.folds[place].fold.dates for kind in kinds[day]})
            for fit, places in fits.items()
        }
        return [fits[fit] for fit in choose(by_fit, (), MOST_FITS)]

    def _judged(self, states: Sequence[Candidate], scenes: Sequence[Scene]) -> dict[str, Rehearsed]:
        found = {state.name: Rehearsed() for state in states}
        self._states = {state.name: state for state in states}
        with tempfile.TemporaryDirectory(prefix="nbaprops-", ignore_cleanup_errors=True) as name:
            self._folder = Path(name)
            runs = self._run(scenes)
            for known, one in found.items():
                asked = [
                    result
                    for scene, (_, result) in zip(scenes, runs, strict=True)
                    if result is not None and any(known == candidate for candidate, _ in scene.folds)
                ]
                one.leaks = self._undeclared(known, asked)
            suspects: dict[str, list[tuple[Scene, FoldState]]] = {}
            for scene, run in zip(scenes, runs, strict=True):
                for candidate, fold, moved in self._compared(scene, run, found):
                    if moved is None:
                        found[candidate].dates.append(fold.fold.id)
                    else:
                        suspects.setdefault(candidate, []).append((scene, fold))
            self._name(suspects, found)
        return found

    def _run(self, scenes: Sequence[Scene]) -> list[tuple[Child, dict[str, Any] | None]]:
        children = [
            Child(self._folder / str(time.monotonic_ns()) / str(n), self._order(s)) for n, s in enumerate(scenes)
        ]
        run_all(self.config, children)
        return [(child, child.result()) for child in children]

    def _order(self, scene: Scene) -> dict[str, Any]:
        from pytest_nbaprops.session.guarding import base_order  # noqa: PLC0415 - which uses this module

        world = {
            "cutoff": scene.cutoff.isoformat(),
            "last": scene.last.isoformat(),
            "changes": list(scene.changes),
            "high": scene.high,
            "seed": self.context.settings.seed,
        }
        nodeids = [fold.nodeid for _, fold in scene.folds]
        order = {"kind": "tests", "nodeids": nodeids, "world": world, "other": scene.other, "trusted": False}
        return base_order(self.context) | order

    def _compared(
        self, scene: Scene, run: tuple[Child, dict[str, Any] | None], found: dict[str, Rehearsed]
    ) -> Iterator[tuple[str, FoldState, dict[str, object] | None]]:
        """Each fold of a session with what moved in it; what was learnt besides goes to `found`."""
        child, result = run
        for place, (name, fold) in enumerate(scene.folds):
            known = found[name]
            if result is None:
                known.unknown = known.unknown or f"its test could not be run again on changed games: {child.failure}"
                continue
            known.files |= result["files"]
            again = child.answer(str(place))
            if again is None or len(again) == 0:
                why = result["failures"].get(fold.nodeid, "it did not run")
                known.unknown = known.unknown or (
                    f"its test could not be run again on changed games: {why} "
                    f"(see it with --nbaprops-rehearse {scene.cutoff})"
                )
                continue
            known.warning = known.warning or self._left_out(state=self._states[name], fold=fold, result=result)
            true = fold.result.predictions if fold.result is not None else again.head(0)
            yield name, fold, moved_prediction(self.dataset.games, true, again)

    def _left_out(self, *, state: Candidate, fold: FoldState, result: Mapping[str, Any]) -> str | None:
        """The number of training rows that the largest fit of a test was given; what it does with them is its own."""
        rows = len(self.dataset.positions(fold.fold.train_start, fold.fold.fitted_at))
        given = max(result["fits"].get(fold.nodeid, ()), default=rows)
        return f"fits on {given} of {rows} training rows" if state.spec.code and given < rows else None

    def _undeclared(self, name: str, results: Sequence[Mapping[str, Any]]) -> list[Leak]:
        """What its predictions could hang on, cannot be tried otherwise, and nothing declares.

        Files that only the kernel tells of count where every session saw them: it does not say who opened them.
        """
        heard = [
            {Read(**read): None for read in (*result["reads"], *result["own_reads"].get(name, ())) if not read["tried"]}
            for result in results
        ]
        reads = [read for read in (heard[0] if heard else ()) if read.where or all(read in others for others in heard)]
        found = [(str(read), remedy_for([read], self.context.root)) for read in reads]
        held = dict.fromkeys(text for result in results for text in result["held"].get(name, ()))
        found += [(text, "read it from a file that is named in nbaprops_sources") for text in held]
        if not found:
            return []
        details, remedies = zip(*found, strict=True)
        return [Leak.undeclared(name, "; ".join(dict.fromkeys(details)), remedies[0])]

    # what moved it

    def _name(self, suspects: Mapping[str, list[tuple[Scene, FoldState]]], found: dict[str, Rehearsed]) -> None:
        """Name what moves the predictions, one change at a time and in worlds of their own dates."""
        for turn in range(MOST_AGAIN):
            days: dict[tuple[date, bool], list[tuple[str, FoldState]]] = {}
            for name, moved in suspects.items():
                settled = found[name].unknown or any(leak.remedy is None for leak in found[name].leaks)
                if not settled and turn < len(moved):
                    scene, fold = moved[turn]
                    days.setdefault((fold.fold.dates[0], scene.high), []).append((name, fold))
            for (day, high), folds in days.items():
                self._name_on(day, folds, found, high=high)

    def _name_on(
        self, day: date, folds: Sequence[tuple[str, FoldState]], found: dict[str, Rehearsed], *, high: bool
    ) -> None:
        """Several candidates' folds of one date, in the same sessions."""
        last = max(max(fold.fold.dates) for _, fold in folds)
        one = Scene(folds=tuple(folds), cutoff=day, last=last, high=high)
        plain = replace(one, changes=(), other=False)
        whole, still, again = self._moves([one, plain, plain], found)
        left = []
        for place, (name, fold) in enumerate(folds):
            if found[name].unknown:
                continue
            if whole.get(name) is None:
                found[name].dates.append(fold.fold.id)
            elif still.get(name) is not None:
                found[name].unknown = STATE if self._alike(place) else NOISE
            else:
                left.append((name, fold))
        del again
        if left:
            self._name_kinds(replace(one, folds=tuple(left)), whole, found)

    def _name_kinds(
        self, one: Scene, whole: Mapping[str, dict[str, object] | None], found: dict[str, Rehearsed]
    ) -> None:
        scenes = [replace(one, changes=(kind,), other=False) for kind in KINDS]
        moves = self._moves([*scenes, replace(one, changes=())], found)
        for name, _ in one.folds:
            kind, move = next(
                ((kind, move) for kind, by in zip(KINDS, moves, strict=False) if (move := by.get(name)) is not None),
                (None, None),
            )
            alone = kind == PRESENCE and self._states[name].spec.code is None
            if kind is not None and move is not None:
                found[name].leaks.append(self._leak(name, "test rows" if alone else kind, move))
            elif moves[-1].get(name) is not None:
                found[name].leaks = found[name].leaks or [self._read(name)]
            elif (together := whole.get(name)) is not None:
                found[name].leaks.append(self._leak(name, OUTCOMES, together))

    def _moves(self, scenes: Sequence[Scene], found: dict[str, Rehearsed]) -> list[dict[str, dict[str, object] | None]]:
        """What moved of each candidate in each of these sessions; a candidate that could not be run is not there."""
        self._runs = self._run(scenes)
        return [
            {name: move for name, _, move in self._compared(scene, run, found)}
            for scene, run in zip(scenes, self._runs, strict=True)
        ]

    def _alike(self, place: int) -> bool:
        """Whether two plain runs agree with each other, though not with the session's own."""
        one, other = (self._runs[run][0].answer(str(place)) for run in (1, 2))
        return one is not None and other is not None and moved_prediction(self.dataset.games, one, other) is None

    def _read(self, name: str) -> Leak:
        """The files that the test read, one of which moves its predictions."""
        result = self._runs[-1][1] or {"reads": [], "own_reads": {}}
        everything = (*result["reads"], *result["own_reads"].get(name, ()))
        reads = list(dict.fromkeys(read for one in everything if (read := Read(**one)).path))
        detail = "; ".join(map(str, reads)) or "something outside of the games (the clock, or what an import drew)"
        return Leak.undeclared(name, detail, remedy_for(reads, self.context.root))

    def _leak(self, name: str, kind: str, move: Mapping[str, object]) -> Leak:
        return Leak(group=name, columns=(), kind=kind, example=move)

    # what predictions give away by themselves

    def _judge_predictions(self, state: Candidate, found: Rehearsed) -> None:
        predictions = state.predictions()
        if predictions is None:
            return
        copied = copied_outcomes(predictions)
        if copied is not None and not any(leak.kind == OUTCOMES for leak in found.leaks):
            found.leaks.append(self._leak(state.name, OUTCOMES, copied))
        if found.unknown is None and not found.leaks:
            numbers = [fold.fold.number for fold in state.folds if fold.fold.id in found.dates]
            found.unknown = too_good_folds(predictions, numbers)


def _is_own(estimator: Any) -> bool:
    """Whether an estimator, or anything inside of it, is the project's code."""
    parameters: Mapping[str, Any] = getattr(estimator, "get_params", dict)()
    parts = [part for value in parameters.values() for part in (value if isinstance(value, list | tuple) else [value])]
    inside = [piece for part in parts for piece in (part if isinstance(part, tuple) else [part])]
    return any(_of_project(part) for part in [estimator, *inside])


def _of_project(part: Any) -> bool:
    code = part if callable(part) and hasattr(part, "__module__") and hasattr(part, "__qualname__") else type(part)
    own = str(code.__module__).partition(".")[0] == "pytest_nbaprops"
    return not own and code.__module__ != "builtins" and is_project(code)


def _is_whole(state: Candidate) -> bool:
    return not problems_of(state) and not failures_of(state)


def _digest(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
