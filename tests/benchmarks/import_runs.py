"""How long `nbaprops import` takes for 1,000 runs of 20 metrics and 200 steps, into a store that is not there yet.

By hand: `python -m tests.benchmarks.import_runs [FOLDER]`. The `mlruns` of a folder that has one already is used.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.importing import old_store
from tests.importing.old_store import START

RUNS, METRICS, STEPS = 1000, 20, 200
_COMMAND = "from pytest_nbaprops.cli import main; main()"


def fill(root: Path) -> None:
    """The store of old runs."""
    experiment = old_store.experiment(root, "1", "NBA_Props_Model/Phase1_Features")
    for number in range(RUNS):
        names = ("mae", *(f"metric_{metric}" for metric in range(1, METRICS)))
        metrics = {name: _history(number, metric) for metric, name in enumerate(names)}
        params = {f"param_{param}": str(param) for param in range(10)}
        old_store.run(experiment, number, f"run_{number}", metrics=metrics, params=params)


def _history(number: int, metric: int) -> str:
    begun = START + number * 1000
    values = (5 + ((number * 31 + metric * 7 + step * 13) % 1000) / 997 for step in range(STEPS))
    return "".join(f"{begun + step} {value} {step}\n" for step, value in enumerate(values))


def main(folder: Path) -> None:
    root = folder / "mlruns"
    if not root.exists():
        fill(root)
    (folder / "mlflow.db").unlink(missing_ok=True)
    shutil.rmtree(folder / "mlartifacts", ignore_errors=True)
    for which in ("first", "second"):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-W", "ignore", "-c", _COMMAND, "import", "mlruns"], cwd=folder, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{which} import: {time.perf_counter() - began:.1f} s, processor {processor:.1f} s")  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
