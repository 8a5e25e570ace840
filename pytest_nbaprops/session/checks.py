"""What is wrong with a plan: values that can have no effect, and criteria on metrics that nobody can bring.

Everything here is known before the first fold, and is a usage error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from pytest_nbaprops.errors import SettingsError, did_you_mean
from pytest_nbaprops.gate.criteria import MARKET_METRICS, POINT_METRICS, parse_criterion, refuse_unknown_metric
from pytest_nbaprops.gate.slices import refuse_unknown_slice
from pytest_nbaprops.metrics.side import SIDE_STATISTICS
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.walkforward.candidate import Candidate

OF_RECIPES = ("recipe", "param", "attribute")


def refuse_without_effect(settings: Settings, candidates: Collection[Candidate]) -> None:
    """Options of recipes on the command line, where no candidate has a recipe.

    Raises:
        SettingsError: naming the option, and how it would have an effect.
    """
    given = [name for name in OF_RECIPES if name in settings.from_command_line]
    if given and candidates and not any(candidate.recipe for candidate in candidates):
        names = ", ".join(sorted(candidate.name for candidate in candidates))
        raise SettingsError(
            f"--nbaprops-{given[0]}: has no effect, since no candidate uses a recipe ({names}); leave it out, or name "
            "a recipe in @pytest.mark.walk_forward(recipe=...)"
        )


def refuse_unknown_metrics(candidate: Candidate, item: pytest.Item, settings: Settings, *, by_hooks: bool) -> None:
    """Criteria on a metric that neither the plugin, nor a hook, nor the candidate's test can bring.

    A metric of one's own is known when it is logged. It counts as possible where there is a hook or a test that may
    bring it, unless its name is nearly one of ours and no file of the project says it.

    Args:
        candidate: what is judged by the criteria.
        item: one of its tests.
        settings: where the criteria may have been written, and the project's folder.
        by_hooks: whether `pytest_nbaprops_metrics` is implemented.

    Raises:
        SettingsError: with what may have been meant, for a column that a slice reads, too.
    """
    option = "nbaprops_criterion"  # where they were written, as their author knows it
    if "criterion" in settings.from_command_line:
        option = "--nbaprops-criterion"
    elif item.get_closest_marker("promotion") is not None:
        option = f"{item.nodeid.partition('[')[0]}: promotion(…)"
    beside = getattr(candidate.recipe.estimator, "side_targets", {}) if candidate.recipe else {}
    known = tuple(f"{kind}_{name}" for name in beside for kind in SIDE_STATISTICS)
    names = (*POINT_METRICS, *MARKET_METRICS, *known)
    for text in candidate.spec.criteria:
        criterion = parse_criterion(text)
        own = by_hooks or candidate.spec.code is not None
        if own and criterion.metric not in names and did_you_mean(criterion.metric, names):
            own = _is_said(criterion.metric, Path(settings.rootdir))
        refuse_unknown_metric(criterion, known, own=own, option=option)
        refuse_unknown_slice(criterion, option)


def _is_said(name: str, root: Path) -> bool:
    """By any of the project's modules that are imported by now, test modules and conftests among them."""
    # As a keyword, an attribute or a key, not in the criterion that asks for it.
    word = re.compile(rf"\b{re.escape(name)}\s*=(?!=)|[\"']{re.escape(name)}[\"']|\.{re.escape(name)}\b")
    named = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    files = (Path(file) for file in named if file and "site-packages" not in file and root in Path(file).parents)
    return any(path.suffix == ".py" and word.search(path.read_text("utf-8", errors="replace")) for path in files)
