"""What a machine runs out of, told in one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pytest_nbaprops.errors import NBAPropsError

_RUN_OUT: Final = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EMFILE", "ENFILE", "EIO")
    if hasattr(errno, name)
}


class RunOutError(NBAPropsError):
    """A disk is full or read-only, or there are no file handles left."""


@contextmanager
def run_out_said() -> Iterator[None]:
    """Say it in a line.

    Raises:
        RunOutError: instead of the system's own error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _RUN_OUT:
            raise
        file = f" ({error.filename})" if error.filename else ""
        raise RunOutError(
            f"the session cannot go on: {error.strerror}{file}; make room and run the same command again, "
            "what is computed is kept"
        ) from None
