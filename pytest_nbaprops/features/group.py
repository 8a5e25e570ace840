"""The feature-group decorator. Standard library only: a conftest that imports it costs an idle session nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_nbaprops.errors import FeatureError

TIERS = ("core", "contextual", "temporal", "role")
KNOWN_AT = ("morning", "tipoff")
RESERVED_NAMES = (*TIERS, "all")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table beside the games; a row of it is known from the day after its as-of date, whatever the group.

    `path` is a CSV or Parquet file, relative to the rootdir or absolute; `as_of` names its date column. Columns are
    those that pandas reads: GAME_ID of a CSV is a number.
    """

    path: str
    as_of: str = "AS_OF"


@dataclass(frozen=True, kw_only=True)
class FeatureGroup:
    """A named, versioned function from all player-games to columns with the same index."""

    name: str
    tier: str
    known_at: str
    version: str
    function: Callable[..., Any]
    sources: Mapping[str, Source] = field(default_factory=dict, hash=False)

    def __call__(self, games: Any, **tables: Any) -> Any:
        """Return the function's own answer; checks and source tables are the business of `build_features`."""
        return self.function(games, **tables)


def feature_group(  # noqa: PLR0913 - the contract's own arguments
    function: object = None,
    /,
    *,
    tier: str | None = None,
    known_at: str = "morning",
    version: str = "1",
    name: str | None = None,
    sources: Mapping[str, str | Source] | None = None,
) -> Callable[[Callable[..., Any]], FeatureGroup]:
    """Make a feature group of a function `games, **tables -> DataFrame`.

    `tier` is one of `TIERS`, `known_at` one of `KNOWN_AT`. `sources` maps keyword arguments of the function to
    tables (a path, or `Source` where the as-of column is not called AS_OF). Raises FeatureError on bad arguments.
    """
    if function is not None:
        called = getattr(function, "__name__", repr(function))
        raise FeatureError(f'@feature_group on {called!r} needs arguments: write @feature_group(tier="core")')

    def decorate(function: Callable[..., Any]) -> FeatureGroup:
        if not callable(function):
            raise FeatureError(f"feature_group: expected a function games -> DataFrame, got {function!r}")
        label = getattr(function, "__name__", "") if name is None else name
        if not isinstance(label, str) or not _NAME.fullmatch(label) or label in RESERVED_NAMES:
            raise FeatureError(
                f"feature_group: the name {label!r} cannot be used; give name= a word of letters, digits and "
                f"underscores that is none of {', '.join(RESERVED_NAMES)}"
            )
        return FeatureGroup(
            name=label,
            tier=_one_of("tier", tier, TIERS, label),
            known_at=_one_of("known_at", known_at, KNOWN_AT, label),
            version=_checked_version(version, label),
            function=function,
            sources=_checked_sources(sources, function, label),
        )

    return decorate


def _one_of(what: str, value: object, allowed: tuple[str, ...], label: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise FeatureError(f"feature group {label!r}: {what}={value!r} is not allowed; use one of {', '.join(allowed)}")
    return value


def _checked_version(version: object, label: str) -> str:
    if not isinstance(version, str) or not version.strip():
        raise FeatureError(f'feature group {label!r}: version={version!r} is not allowed; use a text such as "1"')
    return version


def _checked_sources(
    sources: Mapping[str, str | Source] | None, function: Callable[..., Any], label: str
) -> dict[str, Source]:
    if sources is None:
        return {}
    if not isinstance(sources, Mapping):
        raise FeatureError(
            f'feature group {label!r}: sources={sources!r} is not allowed; use a mapping such as {{"ctg": "ctg.csv"}}'
        )
    return {_argument(key, function, label): _source(key, value, label) for key, value in sources.items()}


def _source(key: str, value: object, label: str) -> Source:
    source = value if isinstance(value, Source) else Source(path=value) if isinstance(value, str) else None
    if source is None or not source.path or not source.as_of:
        raise FeatureError(
            f"feature group {label!r}: source {key!r} is {value!r}; give a path, "
            'or Source(path="ctg.csv", as_of="DATE")'
        )
    return source


def _argument(key: object, function: Callable[..., Any], label: str) -> str:
    parameters = inspect.signature(function).parameters.values()
    names = [one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    if not isinstance(key, str) or (key not in names and not takes_any):
        raise FeatureError(
            f"feature group {label!r}: source {key!r} is no keyword argument of the function; "
            f"its arguments are {', '.join(names) or 'none'}"
        )
    return key
