"""The guard's own processes: what libraries would do in others is done here."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os
import sys

import sklearn.neighbors  # brings OpenMP
from joblib import Parallel, delayed
from joblib.externals import loky
from sklearn.utils.parallel import Parallel as OfSklearn
from threadpoolctl import threadpool_info, threadpool_limits

from pytest_nbaprops.session import child

loky.cpu_count = lambda: 4
child._tame_joblib()
threadpool_limits(3, user_api="openmp")
if len(sys.argv) > 1:
    os.environ["OMP_NUM_THREADS"] = sys.argv[1]

def threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "openmp"}, os.getpid()

processes = (Parallel(n_jobs=2), Parallel(2), OfSklearn(n_jobs=-1))
here = (Parallel(n_jobs=1), Parallel(), Parallel(2, prefer="threads"), Parallel(2, require="sharedmem"))
for parallel in (*processes, *here):
    [(count, process)] = parallel([delayed(threads)()])
    assert process == os.getpid()
    print(*count)
"""


@pytest.mark.parametrize(("own", "expected"), [((), "2 2 1 3 3 3 3"), (("1",), "1 1 1 3 3 3 3")])
def test_what_joblibs_workers_would_compute_has_their_threads(own: tuple[str, ...], expected: str) -> None:
    """Nearest neighbours come out otherwise on another number of threads: a search over them seemed to keep state."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["JOBLIB_MULTIPROCESSING"] = "0"
    command = [sys.executable, "-c", CODE, *own]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected.split()
