"""Collecting folds: one parametrized test per fold, candidates and their plans. Runs where tests run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops import suite
from pytest_nbaprops.autologging import autologging_off
from pytest_nbaprops.code.reached import code_digest
from pytest_nbaprops.errors import NBAPropsError, SettingsError
from pytest_nbaprops.markers import marker_arguments, promotion_criteria
from pytest_nbaprops.recipes.catalog import parse_param
from pytest_nbaprops.session.around import COMPUTING, acts_around_tests, other_values, patches
from pytest_nbaprops.session.checks import refuse_unknown_metrics, refuse_without_effect
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import FOLD, KEY, LOST, PROBLEM, cleaned, note_raised, write_plan
from pytest_nbaprops.session.exhaustion import exhaustion_told
from pytest_nbaprops.session.fixtures import active_fold_key, asks_for_fold
from pytest_nbaprops.walkforward.active import ActiveFold
from pytest_nbaprops.walkforward.candidate import Candidate, CandidateSpec, FoldState
from pytest_nbaprops.walkforward.estimators import HANDED_OVER
from pytest_nbaprops.walkforward.plan import Fold

LATE = "late-"  # files in the session's folder
SUITE = "nbaprops"
OWN_HOOKS = "pytest_nbaprops_"

planned_key = pytest.StashKey[tuple[Candidate, FoldState]]()
called_key = pytest.StashKey[bool]()


@dataclass(frozen=True, kw_only=True)
class FoldParam:
    """The parameter behind one fold test."""

    spec: CandidateSpec
    fold: Fold
    folds: tuple[Fold, ...]

    @property
    def id(self) -> str:
        return self.fold.id if self.spec.recipe is None else f"{self.spec.recipe}-{self.fold.id}"


class FoldCollector:
    """Turns walk-forward tests into folds. Registered where tests are collected: without xdist, or on its workers."""

    def __init__(
        self, context: Context, *, pasted: Sequence[str], worker: str | None, in_time: Iterable[str], rehearses: bool
    ) -> None:
        """`in_time`: files of the plugins that were there before collection, whose hooks count.

        What a process that `rehearses` makes is kept nowhere, so that patches matter only where the folds were run.
        """
        self.context, self.rehearses = context, rehearses
        self.pasted = tuple(pasted)
        self.worker = worker
        self.in_time = frozenset(in_time)
        self.problems: list[str] = []
        self.candidates: dict[str, Candidate] = {}
        self.patches: dict[str, str] = {}
        self.made: dict[str, str | None] = {}
        """Keys of the folds that this process made, with those of their fits."""

    # collection

    def pytest_plugin_registered(self, plugin: object) -> None:
        """A hook in a later conftest would count without xdist and be missed by its controller: refuse it."""
        path = getattr(plugin, "__file__", None)
        counts = path is None or path in self.in_time
        late = [] if counts else [name for name in vars(plugin) if name.startswith(OWN_HOOKS)]
        if late:
            self.problems.append(
                f"{path}: {', '.join(late)} is defined too late to count; move it to the conftest.py of the rootdir, "
                "a testpaths folder or a folder named on the command line, or load it with -p"
            )

    @pytest.hookimpl(trylast=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize over recipes and folds; last, so that the date ends the id."""
        if not asks_for_fold(metafunc.definition):
            return
        params: list[FoldParam] = []
        try:
            params = self._params(metafunc.definition)
        except NBAPropsError as error:
            # Raised here it would be a collection error with a traceback.
            self.problems.append(str(error))
        metafunc.parametrize("fold", params, indirect=True, ids=[param.id for param in params])

    def _params(self, definition: Any) -> list[FoldParam]:
        arguments = self._arguments(definition)
        recipes: Sequence[str | None] = arguments.get("recipe", (None,))
        if _built_in(definition) or ("recipe" in arguments and "recipe" in self.context.settings.from_command_line):
            recipes = self.context.settings.recipes
        elif "params" in arguments and "recipe" not in arguments:
            raise SettingsError(
                f"{definition.nodeid}: walk_forward(params=…) has no effect without a recipe; name one with recipe=…, "
                "or leave params out"
            )
        params: list[FoldParam] = []
        for recipe in recipes:
            spec = self._spec(definition, recipe, arguments)
            folds = self.context.plan(spec)
            params.extend(FoldParam(spec=spec, fold=fold, folds=folds) for fold in folds)
        return params

    def _arguments(self, node: Any) -> dict[str, Any]:
        """The marker's arguments; where several levels have one, the closest wins name by name."""
        arguments: dict[str, Any] = {}
        for marker in reversed(list(node.iter_markers("walk_forward"))):
            arguments |= marker_arguments(marker.args, marker.kwargs, node.nodeid)
        return arguments

    def _spec(self, node: Any, recipe: str | None, arguments: dict[str, Any]) -> CandidateSpec:
        settings = self.context.settings

        def chosen(option: str, name: str) -> Any:
            """Command line before marker before ini and default."""
            of_settings = getattr(settings, name)
            return of_settings if option in settings.from_command_line else arguments.get(name, of_settings)

        own, session = arguments.get("params", {}), dict(map(parse_param, settings.params))
        if recipe not in arguments.get("recipe", (recipe,)):
            own = {}  # they belong to the recipe that the command line has replaced
        params = {**own, **session} if "param" in settings.from_command_line else {**session, **own}
        criteria, marker = settings.criteria, node.get_closest_marker("promotion")
        if marker is not None and "criterion" not in settings.from_command_line:
            criteria = promotion_criteria(marker.args, marker.kwargs, node.nodeid)
        return CandidateSpec(
            name=recipe or "",
            recipe=recipe,
            params=params if recipe else {},
            features=chosen("features", "features"),
            test=chosen("test", "test"),
            train_window=chosen("train-window", "train_window"),
            step=chosen("step", "step"),
            refit=chosen("refit", "refit"),
            seed=chosen("seed", "seed"),
            criteria=criteria,
            code=None if _built_in(node) else code_digest(node.obj),
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Before anything is deselected: add the built-in suite where it is wanted, and write the full plan."""
        folds = [item for item in items if asks_for_fold(item)]
        if self.pasted or not (folds or session.testsfailed or _names_tests(config)):
            folds += self._built_in_items(session)
        try:
            if not self.problems:  # where there are some, a test has no fold to its name
                self._register(config, folds)
                refuse_without_effect(self.context.settings, self.candidates.values())
                self._check_metrics(config, folds)
        except NBAPropsError as error:
            self.problems.append(str(error))
        planned = [] if self.problems else list(self.candidates.values())
        try:
            with exhaustion_told():
                write_plan(self.context.folder, self.worker or "main", planned, self.problems)
        except NBAPropsError as error:
            self.problems.append(str(error))
        if self.problems:
            items.clear()
            if self.worker is None:
                raise pytest.UsageError(self.problems[0])
            return
        chosen = self._share(folds)
        others = [item for item in items if not asks_for_fold(item)] + [item for item in folds if item not in chosen]
        if others:
            config.hook.pytest_deselected(items=others)
        items[:] = chosen

    def _share(self, folds: list[pytest.Item]) -> list[pytest.Item]:
        """The folds of this share's fits; all of them where the session is not shared."""
        if self.context.settings.shard is None:
            return folds
        share, shares = self.context.settings.shard
        fits = {
            (name, state.fold.fitted_at): None
            for name, candidate in self.candidates.items()
            for state in candidate.folds
        }
        mine = set(list(fits)[share - 1 :: shares])
        planned = ((item, *item.stash[planned_key]) for item in folds)
        return [item for item, candidate, state in planned if (candidate.name, state.fold.fitted_at) in mine]

    def _check_metrics(self, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
        by_hooks = bool(config.hook.pytest_nbaprops_metrics.get_hookimpls())
        first_of_each = {item.stash[planned_key][0].name: item for item in reversed(items)}
        for name, candidate in self.candidates.items():
            refuse_unknown_metrics(candidate, first_of_each[name], self.context.settings, by_hooks=by_hooks)

    def _built_in_items(self, session: pytest.Session) -> list[pytest.Item]:
        module = pytest.Module.from_parent(session, path=Path(suite.__file__), nodeid=SUITE)
        items = list(session.genitems(module))
        for item in items:
            item.location = (SUITE, None, item.name)  # where the file lies is nobody's business
        if not self.pasted or self.problems:
            return items
        chosen = [item for item in items if any(_selects(pasted, item.nodeid) for pasted in self.pasted)]
        unknown = [p for p in self.pasted if not any(_selects(p, item.nodeid) for item in items)]
        if unknown:
            known = f"{items[0].nodeid} to {items[-1].nodeid}" if items else "none"
            self.problems.append(f"not found: {unknown[0]} (the built-in suite has {known})")
        return chosen

    def _register(self, config: pytest.Config, items: Sequence[pytest.Item]) -> None:
        """Candidates by name, with their whole plan, also folds that were not collected; each item gets its own."""
        self.patches = {} if self.rehearses else patches(*COMPUTING)
        around = acts_around_tests(config) or bool(self.patches)
        one_of_each: dict[str, pytest.Item] = {}
        for item in items:
            one_of_each.setdefault(_stem(item.nodeid, _param(item)), item)
        shorts = Counter(map(_short_name, one_of_each.values()))
        by_stem: dict[str, Candidate] = {}
        for stem, item in one_of_each.items():
            param = _param(item)
            # With the path where two would clash, whichever is collected first.
            clashes = shorts[_short_name(item)] > 1 and not _built_in(item)
            name = _without_date(item.nodeid, param) if clashes else _short_name(item)
            arguments = self._arguments(item)
            spec = self._spec(item, param.spec.recipe or self._recipe_of(item, arguments), arguments)
            if self.context.plan(spec) != param.folds:
                raise SettingsError(
                    f"{item.nodeid}: a walk_forward mark on a parameter cannot change test, train_window, step or "
                    "refit; put these on the function"
                )
            candidate = self.context.candidate(replace(spec, name=name))
            nodeids = [f"{stem}{fold.id}]" for fold in param.folds]
            # A test of the user's own runs around its recipe's fits by itself.
            planned = candidate.planned(
                param.folds, self.context.dataset.digest, nodeids, around=around or spec.code is not None
            )
            self.candidates[name] = by_stem[stem] = planned
        for item in items:
            param = _param(item)
            item.extra_keyword_matches.update(day.isoformat() for day in param.fold.dates)
            candidate = by_stem[_stem(item.nodeid, param)]
            item.stash[planned_key] = candidate, candidate.folds[param.fold.number - 1]

    def _recipe_of(self, item: pytest.Item, arguments: Mapping[str, Any]) -> str | None:
        """Of a test that has none the recipe that a mark on one of its parameters names."""
        if "recipe" not in arguments:
            return None
        named = self.context.settings.from_command_line
        recipe, *more = self.context.settings.recipes if "recipe" in named else arguments["recipe"]
        if more:
            raise SettingsError(
                f"{item.nodeid}: a walk_forward mark on a parameter can name one recipe; put several on the function"
            )
        return str(recipe)

    def activate(self, item: pytest.Item) -> ActiveFold:
        """The fold that this item runs."""
        candidate, state = item.stash[planned_key]
        broken = [group.name for group in candidate.groups if group.name in self.context.broken]
        if broken:
            pytest.skip(self.context.broken[broken[0]])
        return ActiveFold(state=state, candidate=candidate, resources=self.context.resources)

    # running

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """A test module that was imported since may have switched it on."""
        with autologging_off():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Tell of what was exchanged after the tests were collected, and keep no fold that may be made with it."""
        if self.rehearses:
            return
        late = {name: file for name, file in patches(*COMPUTING).items() if name not in self.patches}
        if late and self.candidates and self.context.folder.is_dir():
            (self.context.folder / f"{LATE}{self.worker or 'main'}").write_text(json.dumps(late), encoding="utf-8")
        if late or (self.made and other_values()):
            for fold, fit in self.made.items():
                self.context.resources.store.forget(fold=fold, fit=fit)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note a failure as close to the test as can be: whatever a conftest makes of it, it is known."""
        item.stash[called_key] = False
        try:
            return (yield)
        except (pytest.skip.Exception, pytest.xfail.Exception):
            raise
        except Exception as error:
            if planned_key in item.stash:
                note_raised(self.context.folder, item.nodeid, error)
            raise
        finally:
            item.stash[called_key] = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Send the key of what the fold left behind, and what speaks against it, along with the report of its call.

        Subtests report before the call has ended.
        """
        active = item.stash.get(active_fold_key, None)
        if active is not None:
            told: dict[str, str | None] = {}
            if call.when == "call" and item.stash.get(called_key, False):
                key = active.sealed(self.context.folder / HANDED_OVER)  # first: it may find that something is lost
                if key is not None and active.result is not None and not active.result.cached:
                    self.made |= {one: active.result.details.get("fit_key") for one in {key, active.result.key or key}}
                told = {FOLD: str(active.number), KEY: key, LOST: active.lost, PROBLEM: active.problem}
            own = [(name, value) for name, value in told.items() if value is not None]
            item.user_properties[:] = [*cleaned(item.user_properties), *own]
            if call.when == "teardown":
                del item.stash[active_fold_key]  # it holds the fold's rows
        return (yield)


def _param(item: Any) -> FoldParam:
    param: FoldParam = item.callspec.params["fold"]
    return param


def _stem(nodeid: str, param: FoldParam) -> str:
    """What the node ids of a candidate's folds have in common: all but the date and the closing bracket."""
    return nodeid.removesuffix("]").removesuffix(param.fold.id)


def _without_date(text: str, param: FoldParam) -> str:
    stem = _stem(text, param)
    return stem.removesuffix("[") if stem.endswith("[") else f"{stem.removesuffix('-')}]"


def _short_name(item: pytest.Item) -> str:
    """The id without path and date, or just the recipe in the built-in suite."""
    param = _param(item)
    return param.spec.recipe or "" if _built_in(item) else _without_date(item.name, param)


def _names_tests(config: pytest.Config) -> bool:
    """Whether the command line names files or tests: then nobody asks for others."""
    named = {*config.args} & {*map(str, config.invocation_params.args)}
    return any("::" in name or (config.invocation_params.dir / name).is_file() for name in named)


def _built_in(node: Any) -> bool:
    return bool(node.nodeid.startswith(f"{SUITE}::"))


def _selects(pasted: str, nodeid: str) -> bool:
    return nodeid == pasted or nodeid.startswith((f"{pasted}[", f"{pasted}::"))
