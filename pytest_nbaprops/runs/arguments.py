"""Which arguments of a recorded command line are repeated: none that could load code.

The record is a file in MLflow, and whoever may write there must not run code here. What a session runs is the checkout
at hand with its ini file and conftests; the recorded settings take the place of the plugin's options (`replay`), and
what selects, distributes or reports tests is not needed to repeat a candidate's folds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, NamedTuple

from pytest_nbaprops.options import OPTIONS

# Put in place by the repetition, or without influence on a prediction: not repeated, and not worth a line.
_REPLACED_SWITCHES: Final = frozenset((
    "-q", "-v", "-x", "-s", "-l", "--quiet", "--verbose", "--exitfirst", "--lf", "--last-failed", "--ff",
    "--failed-first", "--nf", "--new-first", "--sw", "--stepwise", "--sw-skip", "--stepwise-skip",
    "--no-header", "--no-summary", "--strict", "--strict-markers", "--strict-config", "--showlocals",
    "--no-showlocals", "--full-trace", "--disable-warnings", "--disable-pytest-warnings", "--cache-clear",
    "--force-short-summary", "--self-contained-html",
))  # fmt: skip
_REPLACED_VALUES: Final = frozenset((
    "-n", "-k", "-m", "-r", "--numprocesses", "--maxprocesses", "--dist", "--maxfail", "--tb", "--capture",
    "--color", "--code-highlight", "--durations", "--durations-min", "--verbosity", "--show-capture",
    "--deselect", "--junitxml", "--junit-xml", "--junitprefix", "--junit-prefix", "--basetemp", "--rootdir",
    "--log-level", "--log-file", "--log-file-level", "--log-cli-level", "--html", "--report-log",
))  # fmt: skip
# What may decide a result and can only leave code out, or seed it.
_REPEATED_SWITCHES: Final = frozenset((
    "--runxfail", "--noconftest", "--randomly-dont-reset-seed", "--randomly-dont-reorganize",
))  # fmt: skip
_REPEATED_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "--randomly-seed": re.compile(r"\d+|default|last"),
    "-W": re.compile(r"(ignore|default|always|module|once|error)(::[A-Za-z]*Warning)?"),  # a dotted class is imported
    "--pythonwarnings": re.compile(r"(ignore|default|always|module|once|error)(::[A-Za-z]*Warning)?"),
    "--ignore": re.compile(r".*"),
    "--ignore-glob": re.compile(r".*"),
}
_OUR_SWITCHES: Final = frozenset(option.flag_name for option in OPTIONS if option.flag)
_OUR_MODULES: Final = ("nbaprops", "pytest_nbaprops.plugin")
_OTHER_VALUES: Final = frozenset((
    "-p", "-c", "-o", "--config-file", "--override-ini", "--import-mode", "--confcutdir",
))  # fmt: skip
_VALUES: Final = _REPLACED_VALUES | _REPEATED_VALUES.keys() | _OTHER_VALUES
_BUILT_IN: Final = "nbaprops::"
_PLUGIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """`repeated` may be given to pytest again; `left_out` might have decided something, and is shown.

    `places` are the files and folders that were collected, whole; none means where pytest looks by itself.
    """

    repeated: tuple[str, ...]
    places: tuple[str, ...]
    left_out: tuple[str, ...]


class _Word(NamedTuple):
    """An option with its value, or a place with an empty option."""

    option: str
    value: str | None = None

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.option, self.value) if part)


def sift(words: Sequence[str], *, directory: Path, root: Path) -> Arguments:
    """What of a recorded command line is repeated in the checkout at `root`, called from `directory`."""
    repeated: list[str] = []
    places: list[str] = []
    left_out: list[str] = []
    for word in _parsed(words):
        if word.text.startswith(_BUILT_IN):
            continue
        if not word.option:
            path = (directory / word.text.partition("::")[0]).resolve()  # whole, not the tests that were asked for
            inside = path.exists() and path.is_relative_to(root.resolve())
            (places if inside else left_out).append(str(path) if inside else word.text)
        elif _is_repeated(word):
            if word.value is None:
                repeated.append(word.option)
            elif word.option.startswith("--"):
                repeated.append(f"{word.option}={word.value}")
            else:
                repeated += [word.option, word.value]
        elif not _is_replaced(word):
            left_out.append(word.text)
    return Arguments(repeated=tuple(repeated), places=tuple(places), left_out=tuple(left_out))


def _parsed(words: Sequence[str]) -> Iterator[_Word]:
    left = list(words)[::-1]
    while left:
        word = left.pop()
        if not word.startswith("-") or word == "-":
            yield _Word("", word)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            yield _Word(name, value if equals else _following(name, left))
        elif word[:2] in _VALUES:
            yield _Word(word[:2], word[2:].removeprefix("=") or (left.pop() if left else None))
        else:
            yield from (_Word(f"-{letter}") for letter in word[1:])


def _following(name: str, left: list[str]) -> str | None:
    """The value that stands after the option: of an unknown one whatever does not look like an option itself."""
    if name in _REPLACED_SWITCHES | _REPEATED_SWITCHES | _OUR_SWITCHES or not left:
        return None
    return left.pop() if name in _VALUES or not left[-1].startswith("-") else None


def _is_repeated(word: _Word) -> bool:
    if word.value is None:
        return word.option in _REPEATED_SWITCHES
    if word.option == "-p":  # one that is not to be loaded, or an installed one that pytest loads by itself
        off, name = word.value.startswith("no:"), word.value.removeprefix("no:")
        if not _PLUGIN_NAME.fullmatch(name) or "nbaprops" in name:
            return False
        return off or name in {entry.name for entry in entry_points(group="pytest11")}
    pattern = _REPEATED_VALUES.get(word.option)
    return pattern is not None and pattern.fullmatch(word.value) is not None


def _is_replaced(word: _Word) -> bool:
    if word.option.startswith("--nbaprops-") or word.option in _REPLACED_SWITCHES | _REPLACED_VALUES:
        return True
    if word.option == "-p":
        return word.value in _OUR_MODULES
    return word.option in ("-o", "--override-ini") and (word.value or "").startswith("nbaprops_")
