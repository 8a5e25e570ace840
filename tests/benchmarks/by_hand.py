"""What the benchmarks of commands share: they run in a folder that is named, or in one that goes away."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

COMMAND = "from pytest_nbaprops.cli import main; main()"


def in_folder(main: Callable[[Path], None]) -> None:
    """Run it in the folder of the command line, else in a temporary one."""
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
