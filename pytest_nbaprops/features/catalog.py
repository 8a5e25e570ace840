"""The groups that come with the plugin, and the selection language of --nbaprops-features."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nbaprops.errors import FeatureError, SettingsError, did_you_mean
from pytest_nbaprops.features import contextual, core, role, temporal
from pytest_nbaprops.features.group import TIERS, FeatureGroup
from pytest_nbaprops.features.last_ten import last_ten_group

OPTION = "--nbaprops-features"


def builtin_groups(target_columns: Sequence[str] = ()) -> tuple[FeatureGroup, ...]:
    """All groups that come with the plugin, tier by tier, then the baseline's own if a target is given."""
    return (
        core.production,
        core.rates,
        core.usage,
        core.efficiency,
        contextual.venue,
        contextual.opponent,
        contextual.team,
        contextual.matchup,
        temporal.rest,
        temporal.form,
        temporal.volatility,
        temporal.trend,
        temporal.season,
        role.minutes,
        role.tenure,
        role.standing,
        role.availability,
        *((last_ten_group(target_columns),) if target_columns else ()),
    )


def select_groups(
    available: Sequence[FeatureGroup], expression: str | None, default: Sequence[str]
) -> tuple[FeatureGroup, ...]:
    """The groups that an expression such as ``all,-opponent`` or ``core,hot_hand`` names, in the order of `available`.

    Items are separated by commas: group names, tiers, `all` (every group of every tier), each with a leading ``-`` to
    leave them out; they are read from left to right, and an expression that begins by leaving out begins from
    `default`. Without an expression `default` is read in its place. Raises SettingsError naming the option, the value
    and the way out, FeatureError when two groups have the same name.
    """
    seen: dict[str, FeatureGroup] = {}
    for group in available:
        if seen.setdefault(group.name, group) is not group:
            raise FeatureError(f"two feature groups are called {group.name!r}; give one another name= in its decorator")
    items = list(default)
    if expression is not None:
        asked = [item.strip() for item in expression.split(",")]
        items = [*items, *asked] if asked[0].startswith("-") else asked
    chosen: set[str] = set()
    for item in items:
        names = _named(item.removeprefix("-").strip(), available, expression)
        chosen = chosen - names if item.startswith("-") else chosen | names
    if not chosen:
        raise SettingsError(
            f"{OPTION} {','.join(items)!r} selects no feature group; name at least one of {_allowed(available)}"
        )
    return tuple(group for group in available if group.name in chosen)


def _named(name: str, available: Sequence[FeatureGroup], expression: str | None) -> set[str]:
    # `all` and tiers mean the groups of a tier; others are chosen by their name only.
    tiered = [group for group in available if group.tier in TIERS]
    found = {group.name for group in available if name == group.name}
    found |= {group.name for group in tiered if name in ("all", group.tier)}
    if not found and name not in TIERS:
        hint = did_you_mean(name, [*(group.name for group in available), "all", *TIERS])
        raise SettingsError(
            f"{OPTION} {expression!r}: no feature group {name!r}{hint}; "
            f"use {_allowed(available)}, with - in front to leave one out"
        )
    return found


def _allowed(available: Sequence[FeatureGroup]) -> str:
    return ", ".join(["all", *TIERS, *(group.name for group in available)])
