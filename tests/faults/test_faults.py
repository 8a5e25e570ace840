"""A short part of the harness, always the same: `python -m tests.faults` by hand meets them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc")


def test_what_faults_leave_is_mended() -> None:
    """Killed at a call and at a write, ended with its workers: nothing is lost, and the next session mends it."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults", "--kills=2", "--others=1", "--seed=484"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
