"""What every process of a training session shares: settings, data, feature groups and recipes.

The controller prepares it once and writes it to the session's folder; workers read it from there.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.data.arrow import release_memory
from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, parse_target
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.features.catalog import select_groups
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import Lineage, lineage_of
from pytest_nbaprops.features.sources import source_path
from pytest_nbaprops.leaks.columns import named_columns, undeclared_columns
from pytest_nbaprops.processes import is_alive
from pytest_nbaprops.recipes.catalog import Recipe, resolve_recipe
from pytest_nbaprops.session.hooks import Available, available_groups, given_games, registered_recipes
from pytest_nbaprops.session.sources import declared_files, refuse_games
from pytest_nbaprops.session.tables import digested, open_store, take_tables
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.walkforward.candidate import Candidate, CandidateSpec, content_key
from pytest_nbaprops.walkforward.dataset import Dataset, read_dataset, write_dataset
from pytest_nbaprops.walkforward.estimators import last_step
from pytest_nbaprops.walkforward.evaluate import Resources
from pytest_nbaprops.walkforward.plan import Fold, plan
from pytest_nbaprops.walkforward.store import not_writable
from pytest_nbaprops.walkforward.windows import TestWindow, parse_test_window, parse_train_window

CONTEXT_FILE = "context.json"


@dataclass(frozen=True, kw_only=True)
class Context:
    """One session's shared ground.

    Attributes:
        folder: the session's folder (Arrow files, context.json, plans of the workers).
        columns: feature columns by group name, for every group that was built.
        groups: the groups that were built, from which candidates choose.
        every_group: all that there are, also those that the command line left out.
        own_groups: names of the groups that come from hooks.
        broken: groups that changed rows and so made no column, with what was wrong.
        source: where the games came from, for reports.
        remarks: what was odd about the games, and yet read.
    """

    settings: Settings
    folder: Path
    dataset: Dataset
    groups: tuple[FeatureGroup, ...]
    every_group: tuple[FeatureGroup, ...]
    own_groups: tuple[str, ...]
    broken: Mapping[str, str]
    columns: Mapping[str, tuple[str, ...]]
    registered: Mapping[str, Any]
    source: str
    remarks: tuple[str, ...]
    threads: int
    _candidates: dict[str, Candidate] = field(default_factory=dict, init=False, repr=False)
    _lineages: dict[object, Lineage] = field(default_factory=dict, init=False, repr=False)

    @property
    def simulated(self) -> bool:
        return self.settings.simulated

    @property
    def root(self) -> Path:
        return Path(self.settings.rootdir)

    @cached_property
    def files(self) -> dict[str, str]:
        """SHA-256 of the declared files, by their path from the rootdir."""
        return declared_files(self.settings)

    @cached_property
    def declared(self) -> tuple[str, ...]:
        """Absolute paths of all files that may be read beside the games."""
        tables = [source_path(source, self.root) for group in self.every_group for source in group.sources.values()]
        return tuple(dict.fromkeys([*self.settings.sources, *(os.path.abspath(path) for path in tables)]))  # noqa: PTH100

    @cached_property
    def resources(self) -> Resources:
        return Resources(
            dataset=self.dataset,
            store=open_store(self.settings),
            threads=self.threads,
            use_cache=self.settings.use_cache,
            session=self.folder.name,
        )

    def plan(self, spec: CandidateSpec, test: TestWindow | None = None) -> tuple[Fold, ...]:
        """The folds of a candidate, in its own test window or another one."""
        return plan(
            self.dataset.game_dates,
            test=test if test is not None else parse_test_window(spec.test),
            step=spec.step,
            refit=spec.refit,
            train_window=parse_train_window(spec.train_window),
        )

    def candidate(self, spec: CandidateSpec) -> Candidate:
        """Look up a candidate's recipe and feature groups, once: digests of their code take a while.

        Raises:
            SettingsError: an unknown recipe, parameter or feature group, or one that the recipe needs is not chosen.
        """
        key = content_key(spec.to_dict())
        if key not in self._candidates:
            self._candidates[key] = self._complete(self.candidate_of(spec, None, self.columns))
        return self._candidates[key]

    def candidate_of(
        self, spec: CandidateSpec, groups: Sequence[FeatureGroup] | None, columns: Mapping[str, tuple[str, ...]]
    ) -> Candidate:
        """A candidate of these very groups, whatever the settings choose; None for those that it asks for.

        Raises:
            SettingsError: an unknown recipe, parameter or feature group.
        """
        recipe = None
        if spec.recipe is not None:
            recipe = resolve_recipe(
                spec.recipe, registered=self.registered, params=spec.params, seed=spec.seed, threads=self.threads
            )
        groups = tuple(groups) if groups is not None else self._selected(spec.features, recipe)
        key = tuple((id(group.function), columns[group.name]) for group in groups)
        if key not in self._lineages:  # made once for all candidates of the same groups
            self._lineages[key] = lineage_of(groups, columns, self.root, self.files)
        return Candidate(
            spec=spec,
            target="+".join(self.dataset.target_columns),
            groups=groups,
            columns=tuple(column for group in groups for column in columns[group.name]),
            undeclared=self.dataset.undeclared,
            lineage=self._lineages[key],
            recipe=recipe,
        )

    def _complete(self, candidate: Candidate) -> Candidate:
        """The candidate, if it has the features that its recipe names in `needs_features`."""
        recipe = candidate.recipe
        needed = getattr(last_step(recipe.estimator)[1], "needs_features", ()) if recipe else ()
        is_broken = any(group.name in self.broken for group in candidate.groups)  # which is told by itself
        if recipe and not is_broken and (missing := [name for name in needed if name not in candidate.columns]):
            raise SettingsError(
                f"{candidate.spec.recipe} needs the features {', '.join(missing)}, which no chosen group makes: "
                f"add it to --nbaprops-features, or leave these out (by itself the recipe takes {recipe.features!r})"
            )
        return candidate

    def _selected(self, expression: str | None, recipe: Recipe | None) -> tuple[FeatureGroup, ...]:
        """The groups asked for, else the recipe's own plus the hooks'."""
        built = {group.name for group in self.groups}
        # Of every group: what the command line left out is no mistake in the recipe's own list.
        own = select_groups(self.every_group, recipe.features if recipe else "all", ())
        default = [group.name for group in own if group.name in built]
        extra = [name for name in self.own_groups if name not in default]
        chosen = select_groups(self.every_group, expression, [*default, *extra])
        return tuple(group for group in chosen if group.name in built)


def prepare(config: pytest.Config, settings: Settings, *, threads: int) -> Context:
    """Read the games, build the features, write both to a fresh session folder and return the context.

    Raises:
        NBAPropsError: the data, a feature group, a recipe or a setting cannot be used.
    """
    target_columns = parse_target(settings.target)
    store = open_store(settings)
    tables = take_tables(config, settings, threads=threads)
    given = given_games(config, settings, target_columns)
    games = digested(given[0]) if given is not None else tables.games(str(settings.data))
    source = given[1] if given is not None else str(settings.data)
    settings = replace(settings, known_columns=named_columns(games.frame, settings.known_columns))
    for name in settings.known_columns:
        if name in CANONICAL_COLUMNS or name not in games.frame:
            own = [str(column) for column in games.frame.columns if column not in CANONICAL_COLUMNS]
            raise SettingsError(
                f"nbaprops_known_columns: {name!r} is no column of your own in the games (there: "
                f"{', '.join(own) or 'none'}); what is known of the league's columns is settled"
            )
    groups = available_groups(config, settings)
    refuse_games(settings, games.frame, target_columns, groups.all)
    folder = _session_folder(store.folder)
    try:
        table = tables.features(games, groups.all)
        write_dataset(folder, games.frame, table.parts, tables.targets(games))
        stored = {
            "settings": settings.to_dict(),
            "digest": games.digest.to_dict(),
            "target_columns": list(target_columns),
            "columns": {name: list(columns) for name, columns in table.columns.items()},
            "broken": dict(table.broken),
            "source": source,
            "remarks": list(games.remarks),
        }
        (folder / CONTEXT_FILE).write_text(json.dumps(stored), encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    rows = len(games.frame)
    tables.close()
    del games, table, tables  # from here on they are mapped from files, which processes share
    release_memory(rows)
    return _context(config, folder, stored, groups, threads)


def read_context(config: pytest.Config, folder: Path, *, threads: int) -> Context:
    """The context that the controller prepared, on a worker."""
    stored = json.loads((folder / CONTEXT_FILE).read_text(encoding="utf-8"))
    settings = Settings.from_dict(stored["settings"])
    return _context(config, folder, stored, available_groups(config, settings), threads)


def _context(
    config: pytest.Config, folder: Path, stored: Mapping[str, Any], groups: Available, threads: int
) -> Context:
    settings = Settings.from_dict(stored["settings"])
    dataset = read_dataset(
        folder,
        digest=DatasetDigest.from_dict(stored["digest"]),
        target_columns=stored["target_columns"],
        root=Path(settings.rootdir),
    )
    dataset = replace(dataset, undeclared=undeclared_columns(dataset.games, settings.known_columns))
    return Context(
        settings=settings,
        folder=folder,
        dataset=dataset,
        groups=groups.all,
        every_group=groups.every,
        own_groups=groups.own,
        broken=stored["broken"],
        columns={name: tuple(columns) for name, columns in stored["columns"].items()},
        registered=registered_recipes(config),
        source=stored["source"],
        remarks=tuple(stored["remarks"]),
        threads=threads,
    )


def _session_folder(store: Path) -> Path:
    """A fresh folder below the store; folders of sessions that are no longer alive are removed."""
    sessions = store / "sessions"
    try:
        sessions.mkdir(exist_ok=True)
        for folder in sessions.iterdir():
            pid = folder.name.partition("-")[0]
            if not pid.isdecimal() or not is_alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=sessions, prefix=f"{os.getpid()}-"))
    except PermissionError as error:
        raise not_writable(store, error) from None
