"""Another world outside, in which code is asked again: looking is not depending.

Where a read can be answered otherwise (a file opened by Python, the clock, the generators, an environment variable),
only a moved answer counts. Programs, the network, databases and what compiled code opens cannot be answered otherwise
here: there, asking counts.
"""

from __future__ import annotations

import builtins
import datetime as dt
import io
import os
import random
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import time_machine

from pytest_nbaprops.leaks.reads import caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from pytest_nbaprops.leaks.listener import Listener

# Readers that are compiled but have a Python front.
FRONTS = {"pandas": ("read_parquet", "read_feather", "read_orc", "read_hdf")}
FAR_PAST = dt.datetime(1961, 4, 12, 6, 7, 8, 9, tzinfo=dt.UTC)
ANOTHER_DAY = dt.datetime(2001, 9, 9, 1, 46, 40, 123, tzinfo=dt.UTC)
_DIGITS = bytes.maketrans(b"123456789", b"234567891")
_DIGITS_OF_TEXT = str.maketrans("123456789", "234567891")
_LETTERS = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"bcdefghijklmnopqrstuvwxyza")


@contextmanager
def another_outside(
    listener: Listener, *, clock: dt.datetime | None = None, draws: bool = False, files: bool = False
) -> Iterator[None]:
    """Ask in a world with another time, other draws of the global generators, or other content of undeclared files."""
    with ExitStack() as stack:
        if clock is not None:
            stack.enter_context(time_machine.travel(clock, tick=True))
        if draws:
            stack.enter_context(_other_draws())
        stack.callback(setattr, listener, "other", listener.other)
        listener.other = listener.other or files
        yield


def install(listener: Listener, *, other: bool) -> None:
    """Listen from now on; `other`: files, clock and generators answer otherwise while modules are imported, too."""
    sys.addaudithook(listener)
    listener.other = other
    real = io.open
    builtins.open = io.open = _opener(real, listener)
    os.environ.__class__ = _environment(listener)
    for module, names in FRONTS.items():
        package = __import__(module)
        for name in names:
            setattr(package, name, _front(getattr(package, name), listener))
    if other:
        _draw_otherwise_at_import()
        time_machine.travel(ANOTHER_DAY, tick=True).start()


def _opener(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """`open` with another content for what the project reads and nothing declares."""

    def open(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:  # noqa: A001 - it stands in for it
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to see who asks
        reads = mode[:1] == "r" and "+" not in mode
        if not (listener.other and reads and listener.reads(file, frame)):
            return real(file, mode, *rest, **named)
        try:
            with real(file, "rb") as handle:
                content = handle.read()
        except FileNotFoundError:
            content = b"0,1\n0,1\n"  # in another world it is there
        raw = io.BytesIO(_altered(content))
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding=named.get("encoding") or "utf-8")

    return staticmethod(open)  # which is called like one, and becomes no method where a class keeps it


def _altered(content: bytes) -> bytes:
    """Other numbers (other letters, where there are none) and a line less; of binary files the last bytes."""
    if b"\0" in content:
        tail = max(8, len(content) // 8)
        return content[:-tail] + bytes(byte ^ 1 for byte in content[-tail:])
    last = content.rstrip().rfind(b"\n")
    shorter = content[: last + 1] if last > 0 else content
    changed = shorter.translate(_DIGITS)
    return changed if changed != shorter else shorter.translate(_LETTERS)


def _front(real: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    """A compiled reader whose tables say something else in another world."""

    def read(path: Any, *rest: Any, **named: Any) -> Any:
        table = real(path, *rest, **named)
        if not (listener.reads(path, sys._getframe(1)) and listener.other):  # noqa: SLF001 - as above
            return table
        # Every column by another number of rows, so that no key keeps its value.
        rolled = {name: table[name].to_numpy() for name in table.columns}
        steps = {name: place + 1 for place, name in enumerate(rolled)}
        return table.assign(**{n: [*v[steps[n] :], *v[: steps[n]]] for n, v in rolled.items()})

    return read


def _environment(listener: Listener) -> type[Any]:
    """Environment variables with other numbers, where the project asks for one that it did not set itself.

    What names a file stays.
    """
    real, given = type(os.environ), dict(os.environ)  # the class has no public name

    def __getitem__(self: Any, key: str) -> str:  # noqa: N807 - it becomes one
        value: str = real.__getitem__(self, key)
        if given.get(key) != value or os.path.exists(value):  # noqa: PTH110 - a value is not always a path
            return value
        asked = listener.asks_variable(key, sys._getframe(1)) and listener.other  # noqa: SLF001 - as above
        return value.translate(_DIGITS_OF_TEXT) if asked else value

    return type("Environment", (real,), {"__getitem__": __getitem__})


@contextmanager
def _other_draws() -> Iterator[None]:
    """Python's and numpy's global generators draw other numbers, however they are seeded."""
    seeds: dict[Any, Callable[..., Any]] = {random: random.seed, np.random: np.random.seed}
    try:
        for module, seed in seeds.items():
            module.seed = _mixed(seed)
            module.seed(20011)
        yield
    finally:
        for module, seed in seeds.items():
            module.seed = seed


def _mixed(seed: Callable[..., Any]) -> Callable[..., Any]:
    def other(value: Any = None, *rest: Any, **named: Any) -> Any:
        return seed(value + 7 if isinstance(value, int) and value < 2**32 - 8 else value, *rest, **named)

    return other


def _draw_otherwise_at_import() -> None:
    """Numbers that a module draws while it is imported are data that nothing declares."""
    real = np.random.default_rng

    def default_rng(seed: Any = None) -> Any:
        mixed = isinstance(seed, int) and _at_import(sys._getframe(1))  # noqa: SLF001 - as above
        return real([7, seed] if mixed else seed)

    np.random.default_rng = default_rng


def _at_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return caller_of(frame).who == "project"
        frame = frame.f_back
    return False
