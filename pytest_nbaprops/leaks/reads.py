"""What code learns besides its arguments, and whose code that is: the project's, an import's, a library's."""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
import zoneinfo
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.code.installed import INSTALLED, own_packages
from pytest_nbaprops.leaks.leak import Leak
from pytest_nbaprops.processes import files_only_written

if TYPE_CHECKING:
    from types import FrameType

CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so", ".dylib", ".dll", ".pth", ".nbi", ".nbc")  # the last two are numba's
CODE_AND_SETTINGS = (*CODE_SUFFIXES, ".ini", ".toml", ".cfg")
# What an importer does for those who name a file or a module to it themselves.
LOADING = {"get_data", "get_source", "get_code", "load_module", "_check_name_wrapper", "exec_module"}
# Which packages are installed is looked up all over `sys.path`; that is asking for versions, not for data.
IMPORTERS = ("<frozen importlib", "<frozen zipimport", str(Path(os.__file__).parent / "importlib" / "metadata"))
# macOS and Linux tell libraries about processors and time zones through these.
SYSTEM = (
    "/proc/",
    "/sys/",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/etc/localtime",
    "/usr/share/zoneinfo/",
)
# Its variables and its memory: of another's nobody knows what is in them, and its own are asked for otherwise.
OF_A_PROCESS = re.compile(r"/proc/\d+(/task/\d+)?/(environ|mem)")
PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
TABLES = frozenset(
    """
    .csv .tsv .parquet .feather .arrow .xlsx .xls .h5 .hdf5 .db .sqlite .sqlite3 .duckdb .npy .npz .pkl .pickle .joblib
    .ubj
    """.split()  # noqa: SIM905 - twenty quoted names are no easier to read
)
# Functions of these may be groups too, and they stay libraries.
NEVER_PROJECT = {"numpy", "pandas", "sklearn", "xgboost", "scipy", "pyarrow", "polars", "builtins"}
OWN_FOLDER = str(Path(__file__).parents[1]) + os.sep
MOST_SAID = 5
VARIABLE = "asks for the variable "
LISTS = "lists "
LOOKS_AT = "asks for the size, times or link of"
SET_HERE = "set it in the code, or read it from a declared file: dotenv_values(...)"
STABLE = "let it depend on nothing but its arguments"
SEEDED = f"{STABLE}: draw from np.random.default_rng(SEED), which nobody shares"
IF_STATIC = "(if nothing in it was learnt from the tested games)"
THE_GAMES = "these are the games themselves: learn from fold.train, or from the games that a group is handed"
IN_A_FILE = "keep it in a file that is declared: nbaprops_sources, or sources={...} of a feature group"


@dataclass(frozen=True, kw_only=True)
class Read:
    """One thing that code learnt: `what` it did and where, `path` where that was a file.

    `tried`: another world answers it otherwise, so that only a moved answer counts.
    """

    what: str
    path: str | None = None
    tried: bool = False
    where: str | None = None

    @property
    def is_of_the_kernel(self) -> bool:
        """Whether only the kernel told of it, which does not say who asked."""
        return self.path is not None and not self.tried and self.where is None

    def __str__(self) -> str:
        said = f"{self.what if self.what == LOOKS_AT else 'reads'} {self.path}" if self.path else self.what
        return f"{said} ({self.where})" if self.where else said


def confirmed(reads: Sequence[Read], again: Sequence[Read]) -> list[Read]:
    """Without those of the kernel that are somebody else's: not heard `again`, where nothing else ran, or of a log.

    Whoever looks into a session's output now and then opens a file that somebody only writes.
    """
    logs = files_only_written() if any(read.is_of_the_kernel for read in reads) else set()
    return [
        read
        for read in reads
        if not read.is_of_the_kernel or (read in again and os.path.realpath(str(read.path)) not in logs)
    ]


def undeclared(name: str, reads: Sequence[Read], root: Path, data: str | None, columns: tuple[str, ...] = ()) -> Leak:
    """The leak of who hangs on what nothing declares, with the line that would declare it.

    The games themselves, which lie where `data` says, cannot be declared.
    """
    said = list(dict.fromkeys(map(str, reads)))
    detail = "; ".join([*said[:MOST_SAID], *([f"{len(said) - MOST_SAID} more"] if len(said) > MOST_SAID else [])])
    paths = [Path(read.path) for read in reads if read.path is not None]
    listed = [Path(read.what.removeprefix(LISTS)) for read in reads if read.what.startswith(LISTS)]
    # What a folder holds is declared by a pattern, but for the project's own folder, which holds everything.
    paths += [folder / "*" for folder in listed if folder != root and not any(folder in path.parents for path in paths)]
    if len(paths) > MOST_SAID:
        paths = [folder if folder == root else folder / "*" for folder in dict.fromkeys(path.parent for path in paths)]
    near = dict.fromkeys(str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths)
    held = any(read.what.startswith(("holds", "is handed", LISTS)) for read in reads)
    asked = [read.what for read in reads]
    otherwise = SEEDED if any("random state" in what for what in asked) else STABLE
    otherwise = SET_HERE if all(what.startswith(VARIABLE) for what in asked) else otherwise
    remedy = f"nbaprops_sources = {' '.join(near)} {IF_STATIC}" if near else IN_A_FILE if held else otherwise
    if data is not None and any(Path(data) in (path, *path.parents) for path in paths):
        remedy = THE_GAMES
    return Leak.undeclared(name, detail, remedy, columns)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is behind a call: the `project` (in which line), an `import` or a `library`; `itself`: by Python alone."""

    who: str
    line: str | None = None
    itself: bool = True


def caller_of(
    frame: FrameType | None, project: tuple[str, ...] = (), *, through: Collection[str] | None = None
) -> Caller:
    """The innermost project code or import behind a frame; in a thread of its own there may be none.

    Who has a file run that it names reads it: no digest holds its code. But while a module of the project is imported
    that is one more import, and what comes of it a value of the module's. `through` are the modules of the standard
    library by which the project asks by itself, all of them for None: `platform` runs programs, too.
    """
    itself, runs = True, False
    while frame is not None:
        name, function, outer = frame.f_code.co_filename, frame.f_code.co_name, frame.f_back
        if name.startswith(IMPORTERS):
            if outer is not None and outer.f_code.co_filename.startswith(IMPORTERS):
                frame = outer  # whom the code around it has asked counts
                continue
            if function not in LOADING:
                return Caller(who="import", itself=itself)
            runs = function not in {"get_data", "get_source"}
        elif _stem(name) == "runpy":
            runs = True
        elif not is_library_file(name) or name.startswith(project):
            imports = runs and is_imported(frame)
            line = f"{Path(name).name}:{frame.f_lineno}"
            return Caller(who="import", itself=itself) if imports else Caller(who="project", line=line, itself=itself)
        itself = itself and is_standard(name) and (through is None or _stem(name) in through)
        frame = outer
    return Caller(who="library", itself=itself)


def is_imported(frame: FrameType | None) -> bool:
    """Whether a frame runs while a module of the project is imported."""
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame is not None and not is_library_file(frame.f_code.co_filename)


def folders_of(function: object) -> tuple[str, ...]:
    """Where the package that defines a group lies (a single module: its file), as the beginning of paths."""
    package = str(getattr(function, "__module__", None) or "").partition(".")[0]
    if package in NEVER_PROJECT or package in sys.stdlib_module_names or package == __name__.partition(".")[0]:
        return ()
    module = sys.modules.get(package)
    folders = [os.path.abspath(path) + os.sep for path in getattr(module, "__path__", ())]  # noqa: PTH100 - as below
    return tuple(folders or filter(None, [getattr(module, "__file__", None)]))


@functools.lru_cache(maxsize=2048)
def is_library_file(name: str) -> bool:
    """Whether code from this file is Python's, an installed package's or this package's own."""
    return name.startswith(("<frozen", *_library_folders(), OWN_FOLDER)) and not name.startswith(own_packages())


def is_harmless(path: str, project: tuple[str, ...] = ()) -> bool:
    """Whether an absolute path tells nothing about games: the system's and libraries' files, but for tables there."""
    of_libraries = path.startswith(_library_folders()) and not path.startswith((*project, *own_packages()))
    if OF_A_PROCESS.fullmatch(path):
        return False
    return path.startswith(SYSTEM) or (of_libraries and not _is_table(path))


def _is_table(path: str) -> bool:
    """Whether a file holds a table or something that was learnt, by its name."""
    *_, last = ("", *(suffix for suffix in Path(path.lower()).suffixes if suffix not in PACKED))
    return last in TABLES


def absolute(path: Any) -> str:
    """The absolute path of anything that `open` takes for one; what goes through a process's links leads elsewhere."""
    place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path is slower and does the same
    return os.path.realpath(place) if place.startswith(("/proc/", "/dev/fd/")) else place


def looks_up_source(frame: FrameType | None, path: str) -> bool:
    """Whether Python asks for the lines of code that runs, for a warning or a traceback."""
    by = frame.f_code.co_filename if frame is not None else ""
    loaded = (vars(one).get("__file__") for one in list(sys.modules.values()) if isinstance(one, ModuleType))
    return is_standard(by) and _stem(by) in {"linecache", "tokenize"} and path in loaded


@functools.lru_cache(maxsize=2048)
def _stem(name: str) -> str:
    """The top-level module of a file of the standard library."""
    if name.startswith("<frozen "):
        return name[len("<frozen ") : -1].partition(".")[0]
    inside = next((name[len(folder) :] for folder in _folders("stdlib", "platstdlib") if name.startswith(folder)), name)
    return inside.partition(os.sep)[0].removesuffix(".py")


@functools.lru_cache(maxsize=2048)
def is_standard(name: str) -> bool:
    inside = name.startswith(("<frozen", *_folders("stdlib", "platstdlib")))
    return inside and not name.startswith(_folders("purelib", "platlib"))


@functools.cache
def _library_folders() -> tuple[str, ...]:
    return (
        *_folders("stdlib", "platstdlib", "purelib", "platlib"),
        *_installed(),
        *(f"{path}{os.sep}" for path in zoneinfo.TZPATH),
    )


def _installed() -> tuple[str, ...]:
    """The user's site, another environment's below this one, Debian's own: wherever Python finds installed packages."""
    folders = [path for path in sys.path if any(part in Path(path).parts for part in INSTALLED)]
    both = (place for plain in folders for place in (os.path.abspath(plain), os.path.realpath(plain)))  # noqa: PTH100
    return tuple(dict.fromkeys(place.rstrip(os.sep) + os.sep for place in both))


@functools.cache
def _folders(*names: str) -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in names}
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(folder.rstrip(os.sep) + os.sep for folder in folders)
