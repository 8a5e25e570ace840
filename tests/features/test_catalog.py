from __future__ import annotations

import pandas as pd
import pytest

from pytest_nbaprops.errors import FeatureError, SettingsError
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from pytest_nbaprops.features.group import FeatureGroup, feature_group


def named(name: str, tier: str) -> FeatureGroup:
    def nothing(games: pd.DataFrame) -> pd.DataFrame:
        return games

    return feature_group(tier=tier, name=name)(nothing)


AVAILABLE = (named("shots", "core"), named("rest", "temporal"), named("form", "temporal"), named("hot", "role"))


@pytest.mark.parametrize(
    ("expression", "default", "expected"),
    [
        ("all", (), "shots rest form hot"),
        ("all,-rest", (), "shots form hot"),
        ("temporal", (), "rest form"),
        ("temporal, -form ,hot", (), "rest hot"),
        ("hot,shots", (), "shots hot"),
        ("-form", ("temporal", "hot"), "rest hot"),
        (None, ("all",), "shots rest form hot"),
        (None, ("shots",), "shots"),
        ("-all,rest", ("all",), "rest"),
    ],
)
def test_selection(expression: str | None, default: tuple[str, ...], expected: str) -> None:
    """Names and tiers add, a minus takes away, left to right; the order is that of the groups."""
    assert " ".join(group.name for group in select_groups(AVAILABLE, expression, default)) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("shot", "no feature group 'shot' (did you mean shots or hot?)"),
        ("all,-xyz", "no feature group 'xyz'; use all, core, contextual, temporal, role, shots, rest, form, hot"),
        ("all,", "no feature group ''"),
        ("contextual", "selects no feature group"),
        ("all,-all", "selects no feature group"),
    ],
)
def test_bad_selections_name_the_option_and_the_way_out(expression: str, message: str) -> None:
    """Unknown names and empty selections are one line."""
    with pytest.raises(SettingsError) as caught:
        select_groups(AVAILABLE, expression, ())
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"--nbaprops-features {expression!r}")


def test_two_groups_of_one_name_are_refused() -> None:
    """Which one is meant could not be told."""
    with pytest.raises(FeatureError, match="two feature groups are called 'shots'"):
        select_groups((*AVAILABLE, named("shots", "role")), "all", ())


def test_builtin_groups_can_all_be_left_out_by_name() -> None:
    """`all,-opponent` leaves out exactly that group."""
    left = select_groups(builtin_groups(), "all,-opponent", ())
    assert {group.name for group in builtin_groups()} - {group.name for group in left} == {"opponent"}
