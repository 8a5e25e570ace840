"""What moves the digest of a group: code that it reaches by a name, and by none."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.code.conftests import note_conftest
from pytest_nbaprops.code.reached import code_digest, made_anew, parts_of_digest

HERE = ("group_here", "parts_here", "other_here", "other_plugin_here", "conftest_here")
REGISTRY = """
class Base:
    kinds = []
    def __init_subclass__(cls):
        Base.kinds.append(cls)
class One(Base):
    def build(self):
        return 1
"""
ACCESSOR = """
import pandas as pd
@pd.api.extensions.register_dataframe_accessor("here")
class Here:
    def __init__(self, games):
        self.games = games
    def build(self):
        return 1
"""
DECORATED = """
from other_here import register
@register("one")
def build(games):
    return 1
"""
LATER = """
class Config:
    lag = 0
    def build(self):
        return self.lag
LAG = 1
Config.lag = LAG
"""
# The group's body, and a module of which any 1 may become 2.
REACHED = {
    "a name": ("parts_here.build(games)", "def build(games):\n    return 1\n"),
    "a registry that classes enter": ("[one().build() for one in parts_here.Base.kinds]", REGISTRY),
    "an accessor": ("games.here.build()", ACCESSOR),
    "subclasses": (
        "[one().build() for one in parts_here.Base.__subclasses__()]",
        "class Base:\n    pass\nclass One(Base):\n    def build(self):\n        return 1\n",
    ),
    "a registry that a decorator fills": ("other_here.KNOWN['one'](games)", DECORATED),
    "an attribute of a class set later": ("parts_here.Config().build()", LATER),
    "an attribute of a function": ("parts_here.build()", "def build():\n    return build.lag\nbuild.lag = 1\n"),
    "what a class holds": (
        "parts_here.Config.options['lag']",
        "class Config:\n    options = {}\nConfig.options['lag'] = 1\n",
    ),
    "a function of the project that sets an option": (
        "pd.get_option('display.width')",
        "import pandas as pd\ndef wide(n):\n    pd.set_option('display.width', 80 + n)\nwide(n=1)\n",
    ),
    "what a decorator puts into a library": (
        "pd.DataFrame.built_here()",
        (
            "import pandas as pd\ndef method(name):\n    def put(build):\n        setattr(pd.DataFrame, name, build)\n"
            "        return build\n    return put\n@method('built_here')\ndef build(games):\n    return 1\n"
        ),
    ),
    "an accessor without a decorator": (
        "games.here.build()",
        (
            "import pandas as pd\nclass Here:\n    def __init__(self, games):\n        self.games = games\n"
            "    def build(self):\n        return 1\n"
            "Accessor = pd.api.extensions.register_dataframe_accessor('here')(Here)\n"
        ),
    ),
    "what a condition does": (
        "pd.get_option('display.width')",
        (
            "import pandas as pd\ndef wide():\n    pd.set_option('display.width', 81)\n    return True\n"
            "assert wide()\nif __name__ != '__main__':\n    pd.set_option('display.width', 91)\n"
        ),
    ),
    "what a class body does": (
        "other_here.lag",
        "import other_here\nclass Setup:\n    other_here.lag = 1\n",
    ),
    "another module's attribute": ("other_here.lag", "import other_here\nother_here.lag = 1\n"),
    "an option": ("pd.get_option('display.width')", "import pandas as pd\npd.set_option('display.width', 81)\n"),
    "a value that does not say": (
        "parts_here.LAG.get()",
        "from contextvars import ContextVar\nDEFAULT = 1\nLAG = ContextVar('lag', default=DEFAULT)\n",
    ),
    "a module by its name": ("importlib.import_module('parts_here').lag", "lag = 1\n"),
    "a module by a name that is made": ("importlib.import_module('parts_' + 'here').lag", "lag = 1\n"),
    "a module in sys.modules": ("sys.modules['parts_here'].lag", "lag = 1\n"),
    "a module as a whole": ("vars(parts_here)['lag']", "lag = 1\n"),
    "what a loop sets": ("other_here.KNOWN", "import other_here\nfor n in (1, 3):\n    other_here.KNOWN[n] = n\n"),
}
# Added to the module, these say nothing of the group.
BESIDE = {
    "a comment": "# two\n",
    "another function": "def unused(games):\n    return 2\n",
    "another value": "UNUSED = 2\n",
    "another group": "@feature_group(tier='core')\ndef another(games):\n    return games\n",
    "a hook": "@pytest.hookimpl(tryfirst=True)\ndef pytest_configure(config):\n    config.lag = 2\n",
    "a fixture": "@pytest.fixture\ndef lag():\n    return 2\n",
    "a script": "if __name__ == '__main__':\n    print(build(2))\n",
    "a cached function": "@functools.cache\ndef cached(games):\n    return 2\n",
    "what enters a registry": (
        "GROUPS = []\ndef mine(group):\n    GROUPS.append(group)\n    return group\n"
        "@mine\ndef registered(games):\n    return 2\nmine(registered)\nGROUPS.append(registered)\n"
        "for one in (registered, mine):\n    GROUPS.append(one)\n"
    ),
}
GROUP = """
import functools
import importlib
import math
import sys
import other_here
import pandas as pd
import pytest
import parts_here
from pytest_nbaprops import feature_group

def group(games):
    return {body}
"""
Digest = Callable[..., str]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Digest]:
    """The digest of a group with this body, beside a module with this text, each time in fresh modules."""
    folders = iter(tmp_path / str(n) for n in range(9))
    width = pd.get_option("display.width")

    def one(body: str, parts: str, more: str = "", conftest: str = "", plugin: str = "") -> str:
        folder = next(folders)
        folder.mkdir()
        monkeypatch.syspath_prepend(folder)
        other = "KNOWN = {}\nlag = 0\ndef register(name):\n    return lambda build: KNOWN.setdefault(name, build)\n"
        texts = {"group": GROUP.format(body=body) + more, "parts": parts, "other": other, "other_plugin": plugin}
        for name, text in texts.items():
            (folder / f"{name}_here.py").write_text(text)
        (folder / "conftest.py").write_text(conftest)
        for name in HERE:
            sys.modules.pop(name, None)
        spec: Any = importlib.util.spec_from_file_location("conftest_here", folder / "conftest.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        note_conftest(module)
        if "parts_here" in conftest or plugin:
            importlib.import_module("other_plugin_here" if plugin else "parts_here")  # as pytest has it loaded
        return code_digest(importlib.import_module("group_here").group, lasts=True)

    yield one
    for name in HERE:
        sys.modules.pop(name, None)
    pd.set_option("display.width", width)
    frame: Any = pd.DataFrame
    for library in (frame, math):  # a later test would find it there
        if hasattr(library, "built_here"):
            delattr(library, "built_here")
    if hasattr(frame, "here"):
        frame._accessors.discard("here")  # noqa: SLF001 - registering has no way back
        del frame.here


@pytest.mark.parametrize(("body", "parts"), REACHED.values(), ids=REACHED)
@pytest.mark.filterwarnings("ignore:registration of accessor")
def test_what_a_group_reaches_is_its_code(digest: Digest, body: str, parts: str) -> None:
    """Features and folds of before are those of the code of before: an edit anywhere on the way makes them others."""
    place = parts.rindex("1")
    assert digest(body, parts) == digest(body, parts)
    assert digest(body, parts) != digest(body, f"{parts[:place]}2{parts[place + 1 :]}")


@pytest.mark.parametrize("more", BESIDE.values(), ids=BESIDE)
def test_what_lies_beside_a_group_is_not(digest: Digest, more: str) -> None:
    """Who edits a hook or another group fits nothing anew."""
    body, parts = REACHED["an attribute of a class set later"]
    assert digest(body, parts) == digest(body, parts, more)


def test_what_an_import_found_does_not_count(digest: Digest) -> None:
    """How an effect's names got their values counts, not what they are in this process: a time is another each day."""
    text = "import atexit, time\nSTART = time.perf_counter()\natexit.register(lambda start: None, START)\n"
    assert digest("1", text) == digest("1", text)


MODELS = """
import pydantic
class Config(pydantic.BaseModel):
    lag: int = 1
    @pydantic.field_validator("lag")
    @classmethod
    def checked(cls, lag):
        return lag
@pydantic.dataclasses.dataclass
class Window:
    config: Config
HERE = Config()
WINDOW = Window(HERE)
MANY = pydantic.TypeAdapter(list[Config])
"""


def test_where_a_library_keeps_an_object_does_not_count(digest: Digest) -> None:
    """Pydantic names a model by its address: each process has another one, and its code is the same."""
    body = "(parts_here.HERE.lag, parts_here.WINDOW, parts_here.MANY)"
    one = digest(body, MODELS)
    kept = sys.modules["parts_here"]  # so that the next one lies elsewhere
    assert digest(body, MODELS) == one
    assert digest(body, MODELS.replace("= 1", "= 2")) != one
    assert kept is not sys.modules["parts_here"]


def test_what_is_another_one_in_each_process_is_named(digest: Digest) -> None:
    """Nothing that is made with such code is found again."""
    made, text = [], "import time\nCONFIG = {'at': time.time_ns()}\nSAME = [1]\n"
    for _ in range(2):
        digest("parts_here.CONFIG['lag'] + parts_here.SAME", text)
        made.append(parts_of_digest(sys.modules["group_here"].group))
    assert made_anew(*made) == "at (in parts_here.CONFIG)"
    assert made_anew(made[0], made[0]) is None


@pytest.mark.parametrize(
    "conftest",
    [
        "def pytest_configure(config):\n    import math, parts_here\n    math.built_here = parts_here.build\n",
        "pytest_plugins = ['other_plugin_here']\n",
        "def pytest_nbaprops_feature_groups(config):\n    import parts_here\n    return []\n",
        "import importlib\nfor name in ('parts_here',):\n    importlib.import_module(name)\n",
    ],
)
def test_what_a_conftests_hooks_do_counts(digest: Digest, conftest: str) -> None:
    """They load modules that put code where a group finds it by no name."""
    parts = "import math\ndef build(games):\n    return {}\nmath.built_here = build\n"
    plugin = "import parts_here\n" if "plugin" in conftest else ""
    one, same, other = (
        digest("__import__('math').built_here(games)", parts.format(n), conftest=conftest, plugin=plugin)
        for n in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_conftests_above_count_with_what_they_do(digest: Digest) -> None:
    """Pytest imports them first; several have the same name, and the last one is in `sys.modules`."""
    body, parts = REACHED["a name"]
    acting = "import math\nmath.half = {}\n"
    digests = [digest(body, parts, conftest=text) for text in ("", "half = 2\n", acting.format(1), acting.format(2))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
