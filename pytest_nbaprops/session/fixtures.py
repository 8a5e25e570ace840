"""The fixtures. Imports nothing heavier than pytest: they are registered in idle sessions too."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_nbaprops.errors import NBAPropsError

if TYPE_CHECKING:
    import pandas as pd

    from pytest_nbaprops.session.context import Context
    from pytest_nbaprops.walkforward.active import ActiveFold
    from pytest_nbaprops.walkforward.dataset import Dataset


class HandsOutFolds(Protocol):
    """The session's collector, as the fixtures see it."""

    context: Context

    def activate(self, item: pytest.Item) -> ActiveFold: ...


collector_key: pytest.StashKey[HandsOutFolds] = pytest.StashKey()
active_fold_key: pytest.StashKey[ActiveFold] = pytest.StashKey()
on_demand_key: pytest.StashKey[Context] = pytest.StashKey()
variables_key: pytest.StashKey[dict[str, str]] = pytest.StashKey()
"""Environment variables as they were before the first conftest."""


@pytest.fixture
def fold(request: pytest.FixtureRequest) -> ActiveFold:
    """One fold of the walk-forward validation; a test that asks for it runs under --nbaprops-train only."""
    collector = request.config.stash[collector_key]
    active = collector.activate(request.node)
    request.node.stash[active_fold_key] = active
    return active


@pytest.fixture(scope="session")
def nbaprops_games(request: pytest.FixtureRequest) -> pd.DataFrame:
    """All player-games, sorted by GAME_DATE, GAME_ID, PLAYER_ID; read on demand outside --nbaprops-train.

    The tests' own: what one does to it, the session's baselines and slices do not see.
    """
    import pandas as pd  # noqa: PLC0415

    return _dataset(request.config).games.copy(deep=pd.__version__ < "3")  # since pandas 3 what changes is copied


@pytest.fixture(scope="session")
def nbaprops_features(request: pytest.FixtureRequest) -> pd.DataFrame:
    """Every built feature column, float64 as in `fold.train.X`, with the index of `nbaprops_games`."""
    return _dataset(request.config).features.astype("float64")


def _dataset(config: pytest.Config) -> Dataset:
    collector = config.stash.get(collector_key, None)
    if collector is not None:
        return collector.context.dataset
    if on_demand_key not in config.stash:
        from pytest_nbaprops.session.context import prepare  # noqa: PLC0415 - heavy, and most sessions never come here
        from pytest_nbaprops.settings import read_settings  # noqa: PLC0415

        try:
            config.stash[on_demand_key] = prepare(config, read_settings(config), threads=1)
        except NBAPropsError as error:
            pytest.fail(str(error), pytrace=False)
    return config.stash[on_demand_key].dataset


def forget_on_demand(config: pytest.Config) -> None:
    """Remove the session's folder, if one was made on demand."""
    context = config.stash.get(on_demand_key, None)
    if context is not None:
        shutil.rmtree(context.folder, ignore_errors=True)
        del config.stash[on_demand_key]


def asks_for_fold(node: Any) -> bool:
    """Whether this item or function definition asks for the plugin's own `fold`, not for one of the user's.

    A test with `parametrize("fold", range(5))`, or a project's own fixture of that name, has nothing to do with us,
    unless that fixture asks for ours in turn. pytest has no public way to see which fixture a name means.
    """
    info = getattr(node, "_fixtureinfo", None)
    if info is None or "fold" not in info.names_closure:
        return False
    for definition in reversed(info.name2fixturedefs.get("fold", ())):
        if getattr(definition.func, "__module__", None) == __name__:
            return True
        if "fold" not in definition.argnames:
            return False
    return False
