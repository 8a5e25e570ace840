"""State of project code, put back for a rehearsal and afterwards."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from sklearn.linear_model import Ridge

from pytest_nbaprops.leaks.state import Kept, as_first

MEANS: dict[str, list[int]] = {"kept": [1]}
LEVEL: int | None = None
MODEL = Ridge()


class Holder:
    """A class that keeps something."""

    seen: int | None = None


@functools.cache
def cached() -> list[int]:
    """A cache."""
    return []


def use(memory: list[int] = []) -> None:  # noqa: B006 - the state that is looked for
    """Change all of it."""
    global LEVEL  # noqa: PLW0603 - as above
    LEVEL = 3
    MEANS["kept"].append(2)
    MEANS["new"] = []
    Holder.seen = 3
    MODEL.fit([[0.0], [1.0]], [0.0, 1.0])
    cached().append(1)
    memory.append(1)


def state() -> tuple[object, ...]:
    """What there is."""
    return LEVEL, str(MEANS), Holder.seen, hasattr(MODEL, "coef_"), len(cached()), str(use.__defaults__)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave nothing behind."""
    first = Kept([use])
    yield
    first.put()


def test_state_is_as_it_was_first() -> None:
    """Globals, containers in containers, class attributes, fits, caches and defaults."""
    first, before = Kept([use]), state()
    use()
    assert state() != before
    with as_first(first, [use]):
        assert state() == before


def test_afterwards_it_is_as_it_was_before() -> None:
    """All but caches, whose content cannot be put back: they are empty."""
    first = Kept([use])
    use()
    *before, _, defaults = state()
    with as_first(first, [use]):
        use()
        use()
    assert state() == (*before, 0, defaults)
