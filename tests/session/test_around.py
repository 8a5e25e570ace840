"""Where the project's own code runs around the fits of libraries."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from pytest_nbaprops.gate import evaluate
from pytest_nbaprops.session.around import COMPUTING, acts_around_tests, other_values, patches
from pytest_nbaprops.walkforward import estimators
from tests.end_to_end.conftest import CONFTEST

QUICKLY = ("-p", "no:unraisableexception")  # which looks through all of this process for garbage, five times
OBJECT = "\n\ndef pytest_configure(config):\n    config.pluginmanager.register(Mine())\n"


@pytest.mark.parametrize(
    ("more", "acts"),
    [
        ("", False),
        ("def pytest_configure(config):\n    config.mine = 1\n", False),
        ("def pytest_runtest_setup(item):\n    pass\n", True),
        ("def pytest_runtestloop(session):\n    pass\n", True),
        ("def pytest_collection_modifyitems(items):\n    pass\n", True),
        ("@pytest.fixture(autouse=True)\ndef mine():\n    pass\n", True),
        ("class Mine:\n    x = 1\n" + OBJECT, False),
        ("class Mine:\n    def pytest_runtest_call(self, item):\n        pass\n" + OBJECT, True),
        ("class Mine:\n    @pytest.fixture(autouse=True)\n    def mine(self):\n        pass\n" + OBJECT, True),
    ],
)
def test_hooks_and_fixtures_of_the_project_run_around_tests(
    pytester: pytest.Pytester, more: str, *, acts: bool
) -> None:
    """Of a conftest, or of an object that it registers; those of installed plugins do not count."""
    pytester.makeconftest(CONFTEST + more)
    assert acts_around_tests(pytester.parseconfigure(*QUICKLY)) == acts


def test_a_plugin_that_is_named_counts_wherever_it_lies(pytester: pytest.Pytester) -> None:
    """A team's own may be installed like any other."""
    for plugin, acts in (("numpy.testing", False), ("pytester", True)):
        assert acts_around_tests(pytester.parseconfigure("-p", plugin, *QUICKLY)) == acts


class Called:
    """Something that can be called and is no function."""

    def __call__(self, games: object) -> object:
        return games


def rolled(games: object) -> object:
    return games


made_of_text: dict[str, object] = {"__file__": __file__}
exec("def made(games):\n    return games\n", made_of_text)  # noqa: S102 - as one who hides it would
STAND_INS: tuple[Any, ...] = (
    functools.partial(rolled),
    functools.partial(map, rolled),
    functools.cache(rolled),
    functools.singledispatch(rolled),
    functools.wraps(pd.concat)(rolled),
    np.vectorize(rolled),
    joblib.Memory(None).cache(rolled),
    mock.MagicMock(side_effect=rolled),
    mock.create_autospec(pd.concat, side_effect=rolled),
    made_of_text["made"],
    Called(),
    Called,
)


def test_a_patch_of_a_library_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it, and whenever; of the plugin itself, too."""
    mine = ModuleType("pandas_helpers")  # a module of the project's is no library, whatever its name begins with
    monkeypatch.setattr(mine, "rolled", lambda games: games, raising=False)
    monkeypatch.setitem(sys.modules, mine.__name__, mine)
    assert not patches(*COMPUTING)
    for stand_in in STAND_INS:
        with monkeypatch.context() as patch:
            patch.setattr(pd, "concat", stand_in)
            assert list(patches("pandas")) == ["pandas.concat"]
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "values", property(mine.rolled))
        assert patches("pandas") == {"pandas.DataFrame.values": __file__}
    monkeypatch.setattr(Ridge, "predict", lambda _self, rows: rows[0])
    monkeypatch.setattr(estimators, "predict", lambda _model, rows: rows.y)
    assert patches(*COMPUTING) == {
        "sklearn.linear_model._ridge.Ridge.predict": __file__,
        "pytest_nbaprops.walkforward.estimators.predict": __file__,
    }


def test_constants_of_this_plugin_are_what_its_lines_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level, a number of dates, a name imported from another room: each is looked up where it is written."""
    assert other_values() == []
    monkeypatch.setattr(evaluate, "LEVEL", 0.1)
    monkeypatch.setattr(evaluate, "metric_interval", len)
    prefix = "pytest_nbaprops.gate.evaluate"
    assert other_values() == [f"{prefix}.LEVEL", f"{prefix}.metric_interval"]
