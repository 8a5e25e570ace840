"""What differs between what a run recorded and now."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pytest_nbaprops.runs.recorded import DIFFERS, SAME, checks, likely_cause, variable_checks


@pytest.fixture
def document() -> dict[str, Any]:
    """A record, as far as it is compared."""
    group = {"name": "form", "version": "1", "code": "a" * 64, "columns": ["x"], "sources": {"ctg": "b" * 64}}
    return {
        "candidate": {
            "spec": {"code": None},
            "recipe": {"import_path": "m:Model", "code_digest": "c" * 64, "parameters": {"depth": 3, "rate": 0.1}},
            "estimator": None,
        },
        "lineage": {"groups": [group, {**group, "name": "usage", "sources": {}}]},
        "seed": 42,
        "threads": 1,
        "libraries": {"numpy": "2.0", "xgboost": "3.0"},
        "plugin_code": "d" * 64,
        "platform": {"system": "Linux"},
        "git": {"commit": "e" * 40, "dirty": False, "diff": None},
    }


def test_what_is_the_same_is_a_row_for_each_kind(document: dict[str, Any]) -> None:
    """Nothing differs, so no cause is known."""
    found = checks(document, copy.deepcopy(document))
    assert {check.outcome for check in found} == {SAME}
    assert len({check.what for check in found}) == len(found)
    assert likely_cause(found) == "unknown: everything that was recorded is the same"


@pytest.mark.parametrize(
    ("path", "value", "what", "cause"),
    [
        (
            ("lineage", "groups", 0, "code"),
            "f" * 64,
            "feature group: form",
            "code or sources of the feature group form",
        ),
        (("lineage", "groups", 0, "sources"), {}, "feature group: form", "code or sources of the feature group form"),
        (
            ("candidate", "recipe", "parameters", "depth"),
            4,
            "recipe: parameter depth",
            "the recipe's parameter depth: 3 -> 4",
        ),
        (("candidate", "spec", "code"), "f" * 64, "test function", "the code of the test function"),
        (("seed",), 43, "seed", "the seed: 42 -> 43"),
        (("libraries", "xgboost"), "3.1", "library: xgboost", "library version of xgboost: 3.0 -> 3.1"),
        (("plugin_code",), "f" * 64, "plugin code", "the code of pytest-nbaprops itself"),
        (("threads",), 2, "threads", "the number of threads: 1 -> 2"),
        (("platform", "system"), "Darwin", "platform", "the machine (system): Linux -> Darwin"),
        (
            ("git", "diff"),
            "f" * 64,
            "git: uncommitted changes",
            "the checkout (uncommitted changes): none -> ffffffffffff",
        ),
    ],
)
def test_what_differs_is_a_row_and_a_cause(
    document: dict[str, Any], path: tuple[Any, ...], value: Any, what: str, cause: str
) -> None:
    """One for each thing."""
    now = copy.deepcopy(document)
    place = now
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    differing = [check for check in checks(document, now) if check.outcome == DIFFERS]
    assert [check.what for check in differing] == [what]
    assert likely_cause(differing) == cause


def test_the_likeliest_cause_comes_first(document: dict[str, Any]) -> None:
    """Code of the candidate before versions before the machine; three are named."""
    now = copy.deepcopy(document)
    now["git"]["commit"], now["threads"], now["seed"] = "f" * 40, 2, 43
    now["libraries"] = {"numpy": "2.1", "xgboost": "3.0"}
    said = likely_cause(checks(document, now))
    assert said.startswith("the seed: 42 -> 43; library version of numpy")
    assert said.endswith("and 1 more (see the table)")


def test_variables_that_decide_are_set_as_recorded() -> None:
    """They differ in this shell, but not in the repetition; where MLflow is moves no result."""
    found = variable_checks({"OMP_NUM_THREADS": "1"}, {"MLFLOW_TRACKING_URI": "http://host", "NBAPROPS_MINE": "1"})
    assert [(check.what, check.outcome) for check in found] == [
        ("environment: MLFLOW_TRACKING_URI", "other store"),
        ("environment: NBAPROPS_MINE", DIFFERS),
        ("environment: OMP_NUM_THREADS", "as recorded"),
    ]
    assert likely_cause(found) == "the environment variable NBAPROPS_MINE"
