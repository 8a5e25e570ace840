from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pytest_nbaprops.code.reached import code_digest
from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.features.lineage import Lineage, lineage_difference, lineage_of

CODE = '''
"""Features."""
from functools import cache
import math
import {helper} as helper_module

WINDOW = 3
WEIGHTS = {{"a": [1, 2]}}

def smooth(values, window=WINDOW):
    """Smooth."""
    return helper_module.scaled(values) + window  # a comment

class Model:
    """A model."""
    depth = 4
    def run(self):
        return smooth(self.depth)

@cache
def cached(x):
    return smooth(x)

def unused():
    return 1

def feature(games):
    """One."""
    return math.floor(cached(games)) + Model().run() + WEIGHTS["a"][0]

def make(power):
    def inner(x: int) -> int:
        return smooth(x) ** power
    return inner

square = lambda x: smooth(x) ** 2
'''
HELPER = """
FACTOR = 2
def scaled(values):
    return values * FACTOR
def other():
    return 0
"""


class Project:
    """Modules written to a folder and imported from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded: list[str] = []

    def load(self, code: str = CODE, helper: str = HELPER, where: str = "a") -> Any:
        """Import the code under a name and from a place of its own."""
        number = len(self.loaded)
        self._module(f"nbp_helper_{number}", helper, where)
        return self._module(f"nbp_features_{number}", code.format(helper=f"nbp_helper_{number}"), where)

    def _module(self, name: str, text: str, where: str) -> ModuleType:
        path = self.folder / where / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self.loaded.append(name)
        spec.loader.exec_module(module)
        return module


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    for name in made.loaded:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["feature", "Model", "cached", "square"])
def test_digest_does_not_depend_on_place_or_comments(project: Project, name: str) -> None:
    """Comments, docstrings, layout, unused code and the folder do not count."""
    first = project.load()
    cleaned = CODE.replace("# a comment", "").replace('"""One."""', '"""Another."""').replace("return 1", "return 2")
    second = project.load("\n\n# moved down\n" + cleaned.replace('"""A model."""', '"""The model."""'), where="b")
    alias = f"import {'nbp_helper_2'} as helper_module"
    assert alias in Path(str(second.__file__)).read_text()
    assert code_digest(getattr(first, name)) == code_digest(getattr(second, name))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WINDOW = 3", "WINDOW = 4"),
        ("[1, 2]", "[1, 3]"),
        ("+ window", "- window"),
        ("depth = 4", "depth = 5"),
        ("return smooth(x)\n", "return 2 * smooth(x)\n"),
        ("math.floor", "math.ceil"),
    ],
)
def test_digest_follows_what_is_called(project: Project, old: str, new: str) -> None:
    """A change in any function, class or constant that is reached moves the digest."""
    assert old in CODE
    assert code_digest(project.load().feature) != code_digest(project.load(CODE.replace(old, new)).feature)


def test_digest_follows_project_modules(project: Project) -> None:
    """A constant behind a function of another module counts; what is not reached there does not."""
    plain = code_digest(project.load().feature)
    assert plain != code_digest(project.load(helper=HELPER.replace("FACTOR = 2", "FACTOR = 3")).feature)
    assert plain == code_digest(project.load(helper=HELPER.replace("return 0", "return 9")).feature)


def test_digest_sees_closures_defaults_and_partials(project: Project) -> None:
    """What a function carries with it is part of it."""
    module = project.load()
    assert code_digest(module.make(2)) == code_digest(module.make(2))
    assert code_digest(module.make(2)) != code_digest(module.make(3))
    assert code_digest(partial(module.smooth, window=1)) != code_digest(partial(module.smooth, window=2))
    assert code_digest(module.square) != code_digest(project.load(CODE.replace("** 2", "** 3")).square)


def test_digest_follows_imports_inside_a_function(project: Project) -> None:
    """A conftest imports its helpers late: they count all the same."""
    code = CODE + "\ndef late(x):\n    from {helper} import scaled as s\n    return s(x)\n"
    plain = code_digest(project.load(code).late)
    assert plain != code_digest(project.load(code, HELPER.replace("FACTOR = 2", "FACTOR = 3")).late)


def test_two_lambdas_on_a_line_are_told_apart() -> None:
    """Where the source is ambiguous the instructions decide."""
    one, two = (lambda x: x + 1), (lambda x: x + 2)
    assert code_digest(one) != code_digest(two)


def test_functions_without_source_have_a_digest() -> None:
    """Code made by exec is known by its instructions."""
    made: dict[str, Any] = {}
    exec("def f(x): return x + 1\ndef g(x): return x + 2\ndef h(x): return x + 1", made)  # noqa: S102 - the point
    assert code_digest(made["f"]) != code_digest(made["g"])


def test_recursion_ends(project: Project) -> None:
    """Functions that call each other have a digest."""
    code = CODE + "\ndef ping(n):\n    return pong(n)\ndef pong(n):\n    return n and ping(n - 1)\n"
    assert code_digest(project.load(code).ping) != code_digest(project.load(code.replace("n - 1", "n - 2")).ping)


FILLS = """
_CACHE, _table, calls = dict(), None, 0
class Ratings:
    def __init__(self): self.known = []
RATINGS = Ratings()
def lazily():
    global _table
    if _table is None:
        _table = [1.5]
    return _table
def feature(x):
    global calls
    calls += 1
    RATINGS.known.append(x)
    return _CACHE.setdefault(x, x + len(lazily()))
"""


def test_what_code_fills_as_it_runs_is_not_its_code(project: Project) -> None:
    """A cache, a counter, a table that is loaded when it is first needed: the digest is that of before."""
    module = project.load(FILLS)
    before = code_digest(module.feature)
    module.feature(1)
    assert code_digest(module.feature) == before == code_digest(project.load(FILLS).feature)
    assert code_digest(project.load(FILLS.replace(", None, 0", ", None, 1")).feature) != before
    filled = project.load(FILLS.replace("dict()", "dict(a=3)"))
    assert code_digest(filled.feature) != before


def test_a_function_that_takes_another_place_is_other_code(project: Project) -> None:
    """What is patched is seen, however often the code was looked at."""
    module = project.load()
    before = code_digest(module.feature)
    module.smooth = lambda x, window=1: x - window
    assert code_digest(module.feature) != before


def test_data_counts_by_value() -> None:
    """Arrays and sets are their content."""
    assert code_digest({"a", "b"}) == code_digest({"b", "a"})
    assert code_digest(np.array([1.0])) != code_digest(np.array([2.0]))


HOLDS = {
    "slots": ("from dataclasses import dataclass\n@dataclass(slots=True)\nclass Held:\n    n: int\n", "Held(N)"),
    "a library's curve": ("from scipy.interpolate import PchipInterpolator\n", "PchipInterpolator([0, 1], [0, N])"),
    "a library's distribution": ("from scipy.stats import norm\n", "norm(N, 1)"),
    "what is fitted": ("from sklearn.linear_model import Ridge\n", "Ridge().fit([[0.0], [1.0]], [0.0, N])"),
    "what calls a function": ("import numpy as np\n", "np.vectorize(lambda x: x * N)"),
    "what keeps its answers": ("import joblib\n", "joblib.Memory(None).cache(lambda x: x * N)"),
    "a long array": ("import pandas as pd\n", "pd.array([1] * 999 + [N] + [1] * 999)"),
    "any objects": ("import numpy as np\n", "np.array([None] * 999 + [N] + [None] * 999, dtype=object)"),
    "a long pattern": ("import re\n", "re.compile('a' * 300 + str(N))"),
    "a named tuple's method": (
        "from typing import NamedTuple\nclass Held(NamedTuple):\n    n: int\n    def many(self):\n        return N\n",
        "Held(1)",
    ),
    "a list's attribute": ("class Held(list):\n    pass\nHAS = Held()\nHAS.n = 1\n", "[setattr(HAS, 'n', N), HAS][1]"),
    "a factory": ("from collections import defaultdict\n", "defaultdict(lambda: N)"),
    "a view of functions": ("from types import MappingProxyType\n", "MappingProxyType({{'a': lambda x: x * N}})"),
    "a function for each type": (
        "from functools import singledispatch\nmany = singledispatch(len)\nmany.register(int, lambda x: x * N)\n",
        "many",
    ),
    "a time zone": ("import pandas as pd\n", "pd.Series(pd.to_datetime([0], utc=True)).dt.tz_convert(N * 3600)"),
    "a column's name": ("import pandas as pd\n", "pd.Series([0], name=f'PTS{{N}}')"),
}


@pytest.mark.parametrize("kind", HOLDS)
def test_what_a_value_holds_counts_whoever_made_its_class(project: Project, kind: str) -> None:
    """Where its text does not say it, too: a store would hand out what was made with another one."""
    imports, value = HOLDS[kind]
    codes = [CODE + imports + f"N = {n}\nHELD = {value}\ndef held(games):\n    return HELD\n" for n in (3, 4, 3)]
    digests = [code_digest(project.load(code).held.__globals__["HELD"]) for code in codes]
    assert digests[0] == digests[2] != digests[1]


def test_what_cannot_be_made_anew_counts_by_its_class() -> None:
    """A lock, a generator that goes on: they are the same in every process."""
    for make in (threading.Lock, threading.Event, np.random.default_rng):
        assert code_digest(make()) == code_digest(make())


def test_own_package_counts_as_project_code() -> None:
    """A built-in group's digest covers the history primitives."""
    digests = {code_digest(group.function) for group in builtin_groups()}
    assert len(digests) == len(builtin_groups())


def test_lineage_round_trip_and_version() -> None:
    """The version is a function of the content, and the lineage travels as builtins."""
    groups = builtin_groups()[:3]
    columns = {group.name: ("x",) for group in groups}
    lineage = lineage_of(groups, columns)
    assert Lineage.from_dict(lineage.to_dict()) == lineage == lineage_of(groups, columns)
    other = lineage_of(groups, {**columns, groups[0].name: ("x", "y")})
    assert other.feature_version != lineage.feature_version


def test_difference_to_the_champion() -> None:
    """Groups are added, removed or changed; without a champion all are new."""
    groups = builtin_groups()[:3]
    names = [group.name for group in groups]
    columns = dict.fromkeys(names, ("x",))
    mine = lineage_of(groups[:2], {**columns, names[1]: ("x", "y")})
    theirs = lineage_of(groups[1:], columns)
    assert lineage_difference(mine, theirs) == {"added": [names[0]], "removed": [names[2]], "changed": [names[1]]}
    assert lineage_difference(mine, None) == {"added": sorted(names[:2]), "removed": [], "changed": []}


def test_source_content_is_part_of_the_lineage(tmp_path: Path) -> None:
    """Another table makes another version; a missing one is named."""

    def rating(games: Any, ctg: Any) -> Any:
        return games, ctg

    group = feature_group(tier="core", sources={"ctg": "ctg.csv"})(rating)
    with pytest.raises(FeatureError, match=r"source 'ctg': .* cannot be read"):
        lineage_of([group], {"rating": ("x",)}, tmp_path)
    versions = []
    for text in ("a", "b"):
        (tmp_path / "ctg.csv").write_text(text)
        versions.append(lineage_of([group], {"rating": ("x",)}, tmp_path).feature_version)
    assert versions[0] != versions[1]


MADE = {
    "a name in a text": "LEAST = $\ndef held(games):\n    return games.query('PTS >= @LEAST')\n",
    "a class that reads": "import json\nclass Held:\n    N = json.loads('$')\ndef held(games):\n    return Held.N\n",
    "a class of a function": (
        "def make(n):\n    class Held:\n        def run(self):\n            return n\n    return Held()\n"
        "HELD = make($)\ndef held(games):\n    return HELD.run()\n"
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_code_has_from_where_it_ran_counts(project: Project, kind: str) -> None:
    """Its text is the same; what it computes with is not."""
    codes = (CODE + MADE[kind].replace("$", n) for n in "343")
    three, four, again = (code_digest(project.load(code).held) for code in codes)
    assert three == again != four


UNREADABLE = {
    "cells that are lists": "import pandas as pd\nHELD = pd.DataFrame({{'a': [['x'], ['y']]}})\n",
    "a long chain": "HELD = None\nfor _ in range(2000):\n    HELD = [HELD]\n",
    "whoever answers anything": (
        "class Held:\n    def __getattr__(self, name):\n        raise KeyError(name)\nHELD = Held()\n"
    ),
    "parameters of another kind": "class Held:\n    def get_params(self, player):\n        return 1\nHELD = Held()\n",
    "no text": (
        "class Held:\n    def __repr__(self):\n        raise ValueError\n"
        "HELD = {{Held(): 1, frozenset({{'b', 'a'}}): 2}}\n"
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_ends_nothing(project: Project, kind: str) -> None:
    """The rest of the code has a digest all the same, the same one again."""
    code = CODE + UNREADABLE[kind] + "def held(games):\n    return HELD\n"
    assert code_digest(project.load(code).held) == code_digest(project.load(code).held)


def test_sets_and_keys_are_the_same_in_every_process() -> None:
    """Whatever order strings have there, and wherever functions lie."""
    code = (
        "import numpy as np\nfrom pytest_nbaprops.code.reached import code_digest\n"
        "print(code_digest([{frozenset({'BOS', 'LAL'}): 1, np.mean: 2}, {np.mean, np.std}, {frozenset({'a', 'b'})}]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_an_object_too_deep_in_one_place_counts_where_it_is_met_nearer() -> None:
    def chained(value: int) -> Any:
        inner = [value]
        chain: Any = inner
        for _ in range(1000):
            chain = [chain]
        return [chain, inner]

    assert code_digest(chained(1)) != code_digest(chained(2))
    assert code_digest(chained(1)) == code_digest(chained(1))
