"""Where a result comes from: checkout, versions, machine and environment, without secrets."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from pytest_nbaprops.redaction import redact
from pytest_nbaprops.walkforward.candidate import libraries

SCHEMA_VERSION: Final = 1
PROVENANCE: Final = "provenance.json"
DIFF: Final = "uncommitted.diff"

DIFF_BYTES: Final = 1_000_000  # a tracked CSV that was written anew must not become an artifact of its size
UNTRACKED_NAMES: Final = 200
GIT_SECONDS: Final = 5  # for each of at most three questions

TOOLS: Final = ("mlflow", "pytest", "pytest-xdist", "skops", "scipy")
VARIABLES: Final = (
    "CUDA_VISIBLE_DEVICES", "LC_ALL", "MKL_CBWR", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "PYTEST_ADDOPTS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS",
    "PYTHONHASHSEED", "PYTHONOPTIMIZE", "TZ", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
PREFIXES: Final = ("MLFLOW_", "NBAPROPS_")
HIDDEN: Final = "***"
_SECRET: Final = re.compile(r"PASSW|TOKEN|SECRET|KEY|CREDENTIAL|USERNAME|AUTH|COOKIE|HEADER", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """State of the git checkout around a folder.

    Attributes:
        commit: full id; None outside of a checkout, without a commit or without git.
        dirty: tracked files differ from the commit.
        diff: what differs, as `git diff HEAD` shows it, at most 1 MB.
        untracked: names of files that git neither tracks nor ignores; whole folders end in a slash.
        notes: what was left out, and why.
    """

    commit: str | None
    dirty: bool = False
    diff: str = ""
    untracked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Exact builtins; the diff, which has a file of its own, as its SHA-256."""
        digest = hashlib.sha256(self.diff.encode()).hexdigest() if self.diff else None
        plain = {"commit": self.commit, "dirty": self.dirty, "diff": digest}
        return {**plain, "untracked": list(self.untracked), "notes": list(self.notes)}


def git_commit(folder: Path) -> str | None:
    """Full commit id of the checkout that holds the folder, with `-dirty` if files differ; None outside of one."""
    commit = _commit(folder)
    if commit is None:
        return None
    return f"{commit}-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit


def checkout(folder: Path) -> Checkout:
    """The checkout that holds the folder; never raises, and takes at most some seconds."""
    commit = _commit(folder)
    if commit is None:
        return Checkout(commit=None, notes=("no git commit here",))
    notes = []
    diff = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", limit=DIFF_BYTES + 1)
    if diff is None:
        notes.append(f"git diff gave no answer within {GIT_SECONDS} s: files may differ from the commit")
    elif len(diff.encode()) > DIFF_BYTES:
        diff = diff[:DIFF_BYTES]
        notes.append(f"the diff is cut at {DIFF_BYTES:,} bytes")
    listed = _git(folder, "ls-files", "--others", "--exclude-standard", "--directory", "--full-name", "-z")
    names = sorted(name for name in (listed or "").split("\0") if name)
    if len(names) > UNTRACKED_NAMES:
        notes.append(f"{len(names) - UNTRACKED_NAMES:,} further untracked files are not named")
    return Checkout(
        commit=commit,
        dirty=diff != "",
        diff=redact(diff or ""),
        untracked=tuple(names[:UNTRACKED_NAMES]),
        notes=tuple(notes),
    )


def _commit(folder: Path) -> str | None:
    answer = _git(folder, "rev-parse", "HEAD")
    return answer.strip() if answer is not None else None


def _git(folder: Path, *arguments: str, limit: int = 10_000_000) -> str | None:
    """What git says, at most `limit` bytes of it; None where it fails or takes too long."""
    # Neither optional locks nor diff's refreshing of the index: git writes nothing, so that it cannot get in the way of
    # the user's own git.
    command = ["git", "-c", "diff.autoRefreshIndex=false", "-C", str(folder), *arguments]
    surroundings = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        with tempfile.TemporaryFile() as output:  # a pipe would hold all of it in memory
            subprocess.run(  # noqa: S603 - fixed arguments
                command, stdout=output, stderr=subprocess.DEVNULL, timeout=GIT_SECONDS, check=True, env=surroundings
            )
            output.seek(0)
            return output.read(limit).decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str]:
    """Versions of Python, of the libraries that can move a result and of the tools around them."""
    found = dict(libraries())
    for name in TOOLS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def machine() -> dict[str, str]:
    """Operating system, architecture, processor and Python implementation; no names of hosts or users."""
    cpus = ""
    with suppress(OSError):
        cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    named = re.search(r"^model name\s*:\s*(.+)$", cpus, re.MULTILINE)  # libraries choose their kernels by it
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": named[1].strip() if named else platform.processor(),
        "implementation": platform.python_implementation(),
    }


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that can decide a result, as far as they are set; values of secrets are `***`."""
    named = sorted(name for name in variables if name in VARIABLES or name.startswith(PREFIXES))
    return {name: HIDDEN if _SECRET.search(name) else redact(variables[name]) for name in named}


@cache
def plugin_code() -> str:
    """SHA-256 over the sources of this package: a checkout changes while its version stays."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
