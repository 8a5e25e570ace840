from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.group import FeatureGroup, Source, feature_group


def answer(games: Any, *, ctg: Any = None) -> Any:
    return games, ctg


def test_decorated_function_is_a_callable_group_named_after_it() -> None:
    """The decorator keeps the function callable and takes its name."""
    group = feature_group(tier="core")(answer)
    assert isinstance(group, FeatureGroup)
    assert (group.name, group.tier, group.known_at, group.version) == ("answer", "core", "morning", "1")
    assert group(1, ctg=2) == (1, 2)


def test_sources_may_be_paths_or_name_their_as_of_column() -> None:
    """A plain path means a column AS_OF."""
    plain = feature_group(tier="core", sources={"ctg": "ctg.csv"})(answer)
    named = feature_group(tier="core", sources={"ctg": Source(path="ctg.csv", as_of="DATE")})(answer)
    assert plain.sources == {"ctg": Source(path="ctg.csv", as_of="AS_OF")}
    assert named.sources["ctg"].as_of == "DATE"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tier": "cores"}, "tier='cores' is not allowed; use one of core, contextual, temporal, role"),
        ({}, "tier=None is not allowed"),
        ({"tier": "core", "known_at": "noon"}, "known_at='noon' is not allowed; use one of morning, tipoff"),
        ({"tier": "core", "version": 2}, "version=2 is not allowed"),
        ({"tier": "core", "name": "all"}, "the name 'all' cannot be used"),
        ({"tier": "core", "name": "-x"}, "the name '-x' cannot be used"),
        ({"tier": "core", "sources": {"other": "x.csv"}}, "source 'other' is no keyword argument of the function"),
        ({"tier": "core", "sources": {"ctg": 3}}, "source 'ctg' is 3; give a path"),
        ({"tier": "core", "sources": "ctg.csv"}, "use a mapping such as"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments: dict[str, Any], message: str) -> None:
    """Every bad argument is a FeatureError that says what is allowed."""
    with pytest.raises(FeatureError) as caught:
        feature_group(**arguments)(answer)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bare_decorator_says_what_to_write() -> None:
    """Forgetting the arguments is told, not a TypeError."""
    with pytest.raises(FeatureError, match=r"write @feature_group\(tier="):
        feature_group(answer)


def test_lambda_needs_a_name() -> None:
    """A function without a usable name asks for name=."""
    with pytest.raises(FeatureError, match="give name="):
        feature_group(tier="core")(lambda games: games)


def test_group_survives_pickling() -> None:
    """A group whose function can be imported travels to other processes."""
    group = feature_group(tier="core", name="x", sources={"ctg": "a.csv"})(answer)
    assert pickle.loads(pickle.dumps(group)) == group  # noqa: S301 - our own bytes


def test_decorator_imports_the_standard_library_only() -> None:
    """A conftest that imports the decorator imports no heavy library."""
    code = (
        "import sys; import pytest_nbaprops.features.group;"
        "print([m for m in ('pandas', 'numpy', 'xgboost', 'mlflow', 'pyarrow', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
