"""The built-in walk-forward suite: collected where users have no walk-forward test of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.active import ActiveFold


def test_walk_forward(fold: ActiveFold) -> None:
    """Predict one fold with the session's recipe; what it is worth is the promotion criteria's business."""
    fold.evaluate()
