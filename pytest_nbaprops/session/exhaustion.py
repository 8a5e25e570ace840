"""What a machine runs out of, told in one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pytest_nbaprops.errors import NBAPropsError

_WAYS_OUT: Final = {
    "ENOSPC": "make room",
    "EDQUOT": "make room",
    "EFBIG": "raise the limit of a file's size (ulimit -f)",
    "EROFS": "name places that can be written",
    "EMFILE": "allow more open files (ulimit -n)",
    "ENFILE": "allow more open files",
    "EIO": "look at the disk",
}
_EXHAUSTED: Final = {number: way for name, way in _WAYS_OUT.items() if (number := getattr(errno, name, None))}


class ExhaustedError(NBAPropsError):
    """A disk is full or read-only, or there are no file handles left."""


@contextmanager
def exhaustion_told() -> Iterator[None]:
    """Say it in a line.

    Raises:
        ExhaustedError: instead of the system's own error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        file = f" ({error.filename})" if error.filename else ""
        raise ExhaustedError(
            f"the session cannot go on: {error.strerror}{file}; {_EXHAUSTED[error.errno]} and run the same command "
            "again, what is computed is kept"
        ) from None
