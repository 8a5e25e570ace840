"""What the project's hooks bring: games, feature groups, recipes; whatever goes wrong in one is a line."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nbaprops.data.load import load_games, normalize_games
from pytest_nbaprops.data.sample import SAMPLE_LABEL, sample_league
from pytest_nbaprops.data.schema import parse_target
from pytest_nbaprops.errors import DataError, FeatureError, NBAPropsError, RecipeError, SettingsError
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.reads import is_library_file
from pytest_nbaprops.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

PYTESTS_OWN = (pytest.exit.Exception, pytest.skip.Exception)


def read_games(config: pytest.Config, settings: Settings, target: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """The games and where they came from: command line, then hook, then ini, then the sample league."""
    given = given_games(config, settings, target)
    if given is not None:
        return given
    data = str(settings.data)
    return load_games(data, column_map=settings.columns, target_columns=target, kinds=settings.games), data


def given_games(config: pytest.Config, settings: Settings, target: Sequence[str]) -> tuple[pd.DataFrame, str] | None:
    """Games that come from no file: those of a hook, unless the command line names some, or the sample league."""
    if "data" not in settings.from_command_line:
        frame = _answers(config, "pytest_nbaprops_load_games")
        if frame is not None:
            if settings.simulated:
                raise SettingsError(
                    "pytest_nbaprops_load_games is registered too late to count; define it in a conftest.py, or in a "
                    "plugin that is loaded with -p"
                )
            source = "pytest_nbaprops_load_games"
            return normalize_games(frame, source=source, target_columns=target, kinds=settings.games), source
    if settings.simulated:
        return sample_league(), SAMPLE_LABEL
    if settings.data is None:
        raise DataError(
            "pytest_nbaprops_load_games returned None, and no data is named: return the games, set nbaprops_data, or "
            "take the hook out to try the simulated sample league"
        )
    return None


@dataclass(frozen=True, kw_only=True)
class Available:
    """The groups to build, every group there is, and the names of those to build that come from hooks."""

    all: tuple[FeatureGroup, ...]
    every: tuple[FeatureGroup, ...]
    own: tuple[str, ...]


def available_groups(config: pytest.Config, settings: Settings) -> Available:
    """Built-in groups and those of the hooks; where the command line chooses, only what it chooses.

    Raises:
        FeatureError: a hook returns something else, or a name twice.
        SettingsError: the command line chooses a group that does not exist, or a hook fails.
    """
    own: list[FeatureGroup] = []
    for answer in reversed(_answers(config, "pytest_nbaprops_feature_groups")):
        one = isinstance(answer, FeatureGroup)
        answers: list[Any] = [answer] if one else list(answer) if isinstance(answer, Sequence) else [None]
        if not all(isinstance(group, FeatureGroup) for group in answers):
            raise FeatureError(
                f"pytest_nbaprops_feature_groups returned {answer!r}; return a list of functions decorated with "
                "@feature_group(tier=...)"
            )
        own.extend(answers)
    ours = builtin_groups(parse_target(settings.target))
    groups = (*ours, *own)
    names = [group.name for group in groups]
    twice = [repr(name) for name, count in Counter(names).items() if count > 1]
    if twice:
        those = ", ".join(sorted({group.name for group in ours}))
        raise FeatureError(
            f"feature groups called {', '.join(twice)} are there twice; rename them with feature_group(name=...) "
            f"(the plugin's own are {those})"
        )
    chosen = groups
    if "features" in settings.from_command_line:
        chosen = select_groups(groups, settings.features, names)
    own_names = {group.name for group in own}
    return Available(all=chosen, every=groups, own=tuple(each.name for each in chosen if each.name in own_names))


def _answers(config: pytest.Config, hook: str) -> Any:
    """What the project's hooks of this name say; SettingsError with the line where one failed."""
    try:
        return getattr(config.hook, hook)(config=config)
    except (NBAPropsError, pytest.UsageError, *PYTESTS_OWN):
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        (*_, frame) = [frame for frame in frames if not is_library_file(frame.filename)] or frames
        where = f"{os.path.relpath(frame.filename, config.rootpath)}, line {frame.lineno}"
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SettingsError(f"{hook} failed: {text} ({where})") from error


def registered_recipes(config: pytest.Config) -> dict[str, Any]:
    """Recipes of the hooks by name.

    Raises:
        RecipeError: a hook returns something else, or a name twice.
        SettingsError: a hook fails.
    """
    recipes: dict[str, Any] = {}
    for answer in reversed(_answers(config, "pytest_nbaprops_recipes")):
        if not isinstance(answer, Mapping):
            raise RecipeError(f"pytest_nbaprops_recipes returned {answer!r}; return {{'name': Regressor()}}")
        for name, estimator in answer.items():
            if name in recipes:
                raise RecipeError(f"recipe {name!r} is registered twice; rename one in pytest_nbaprops_recipes")
            recipes[str(name)] = estimator
    return recipes
