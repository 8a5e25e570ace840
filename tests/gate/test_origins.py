"""Where a module's values come from: its text, or a file that was read when it was imported."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nbaprops.leaks.audit import noted
from pytest_nbaprops.leaks.imports import Origins
from pytest_nbaprops.leaks.reachable import fresh, reached_by
from pytest_nbaprops.leaks.steps import is_from_literals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    Import = Callable[[str], tuple[ModuleType, Origins]]


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """A module of the project with this text, imported while its reads are noted."""
    (tmp_path / "t.json").write_text('{"ATL": 1.5, "BOS": 2.5}', encoding="utf-8")

    def make(text: str) -> tuple[ModuleType, Origins]:
        file = tmp_path / "planted_text.py"
        file.write_text(f"import json\nfrom pathlib import Path\nFILE = Path({str(tmp_path)!r}) / 't.json'\n{text}")
        spec: Any = importlib.util.spec_from_file_location("planted_text", file)
        module: ModuleType = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "planted_text", module)
        origins = Origins()
        with noted(origins.note):
            spec.loader.exec_module(module)
        origins.follow({"planted_text": module})
        return module, origins

    return make


@pytest.mark.parametrize(
    "text",
    [
        "T = json.loads(FILE.read_text())",
        "def load():\n    return json.loads(FILE.read_text())\nT = load()",
        "with FILE.open() as h:\n    T = json.load(h)",
        "T = {}\nT.update(json.loads(FILE.read_text()))",
        "A = json.loads(FILE.read_text())\nT = {k: 2 * v for k, v in A.items()}",
        "A = json.loads(FILE.read_text())\ndef double():\n    return sum(A.values())\nT = double()",
        "T = {}\nfor key, value in json.loads(FILE.read_text()).items():\n    T[key] = value",
        "class T:\n    table = json.loads(FILE.read_text())",
    ],
)
def test_what_was_read_is_followed_into_names(imported: Import, text: str) -> None:
    """A name that an import fills from a file holds data, by whatever way it got there."""
    module, origins = imported(text)
    assert (module.__file__, "T") in origins.names


@pytest.mark.parametrize(
    "text",
    [
        "A = json.loads(FILE.read_text())\nT = {'ATL': 1.0}",
        "A = {k: v for k, v in json.loads(FILE.read_text()).items()}\nT = {k: 1 for k in 'ab'}",
        "if not FILE.exists():\n    T = 1\nelse:\n    T = 2",
        "import logging\nT = logging.getLogger('x')\nT.addHandler(logging.FileHandler(FILE.with_suffix('.log')))",
    ],
)
def test_what_was_not_read_is_left_alone(imported: Import, text: str) -> None:
    """A module that reads a file may have other names, and log files are written."""
    module, origins = imported(text)
    assert (module.__file__, "T") not in origins.names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import numpy as np\nT = np.linspace(0, 60, 601)", True),
        ("import math\nA = {1: (2, 3)}\nT = {(a, b): math.dist(A[a], A[b]) for a in A for b in A}", True),
        ("import pandas as pd\ndef f(n):\n    return n / 2\nT = pd.Series([f(n) for n in range(999)])", True),
        ("import numpy as np\nT = np.random.default_rng(1).random(999)", False),
        ("import pandas as pd, io\nT = pd.read_csv(io.StringIO('a\\n1'))", False),
        ("T = json.loads('[1, 2]')", False),
        ("import os\nT = os.environ.copy()", False),
    ],
)  # fmt: skip
def test_values_made_of_literals_are_code(imported: Import, text: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """What numpy and pandas make of literals follows from the text; what is parsed, drawn or asked for does not."""
    module, _ = imported(text)
    assert is_from_literals(vars(module), "T") is expected


@pytest.mark.parametrize(
    "text",
    [
        "K = {}\ndef f():\n    K['a'] = 1\n    return K",
        "class S:\n    k = None\ndef f():\n    S.k = S.k or {'a': 1}\n    return S.k",
        "def f(k={}):\n    k['a'] = 1\n    return k",
        "from collections import defaultdict\nK = defaultdict(list)\ndef f():\n    K['a'].append(1)\n    return K",
        "import functools\nR = {}\n@functools.cache\ndef g():\n    return {1}\nR[0] = g\ndef f():\n    return R[0]()",
    ],
)
def test_state_begins_afresh_and_comes_back(imported: Import, text: str) -> None:
    """Inside of `fresh` what was kept is gone; afterwards it is there again."""
    module, _ = imported(text)
    kept = module.f()
    assert kept
    reached = reached_by(module.f)
    with fresh(reached):
        assert len(module.f()) == 1
    assert len(reached.places) + len(reached.caches) >= 1


def test_containers_filled_from_others_are_not_emptied(imported: Import) -> None:
    """`list(OTHER)` is no empty list."""
    module, _ = imported("A = {'x': 1}\nT = list(A)\ndef f():\n    return T")
    with fresh(reached_by(module.f)):
        assert module.f() == ["x"]


def test_a_call_that_changes_an_object_shows_in_the_fingerprint(imported: Import) -> None:
    """Attributes are looked at, not only the object's text."""
    module, _ = imported("class A:\n    pass\nT = A()\ndef f():\n    T.n = object()\n    return T.n")
    reached = reached_by(module.f)
    before = reached.fingerprint()
    assert reached.fingerprint() == before
    module.f()
    assert reached.fingerprint() != before
