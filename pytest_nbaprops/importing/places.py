"""Where the files of a run or a model lie: places of other machines found again, others never followed.

A place that a store names is taken where it exists and lies inside the store's own folder. Outside of it only a folder
that has the shape which MLflow itself gives to a run's artifacts, `…/<run id>/artifacts`, is taken: a store of unknown
making must not be able to name anybody's home as "artifacts". What was written on another machine is looked for by the
end of its path, below the store and beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

ARTIFACTS: Final = "artifacts"
_DRIVE: Final = re.compile(r"^/?[A-Za-z]:[\\/]")
_LOCAL: Final = ("", "file", "mlflow-artifacts", "dbfs")
_LOGGED_MODEL: Final = re.compile(r"m-[0-9a-f]{32}")


def local_parts(uri: str) -> tuple[str, ...] | None:
    r"""The path's parts, whatever system wrote it; None for a bucket or another place that is no folder.

    `file:///C:/a%20b/x`, a Windows path with its backslashes, `/home/me/x` and `mlflow-artifacts:/x` are understood.
    """
    text = uri.strip()
    if not _DRIVE.match(text) and (scheme := re.match(r"([A-Za-z][\w+.-]+):", text)):
        if scheme[1].lower() not in _LOCAL:
            return None
        text = unquote(text[scheme.end() :])
        if text.startswith("//"):  # a host, which is none for files
            text = "/" + text[2:].partition("/")[2]
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    return tuple(parts) if ".." not in parts else None


def is_absolute_here(uri: str) -> Path | None:
    """The path as it would be on this machine; None for one of another system, or no folder."""
    parts = local_parts(uri)
    scheme = uri.partition(":")[0].lower() if ":" in uri else ""
    if parts is None or not parts or scheme in ("mlflow-artifacts", "dbfs") or re.fullmatch(r"[A-Za-z]:", parts[0]):
        return None
    text = uri.strip()
    rooted = text.startswith("/") or scheme == "file"
    return Path(PurePosixPath("/", *parts)) if rooted else None


class Places:
    """Finds the folders that a store speaks of. `roots` are where its files may lie: the store, and beside it."""

    def __init__(self, store: Path, roots: list[Path]) -> None:
        self._inside = store.resolve()
        self.roots = roots

    def run_files(self, uri: str, run_id: str) -> Path | None:
        """The artifact folder that belongs to the run, None where it is nowhere."""
        here = is_absolute_here(uri)
        if here is not None and here.is_dir():
            real = here.resolve()
            if real.is_relative_to(self._inside) or real.parts[-2:] == (run_id, ARTIFACTS):
                return here
        parts = local_parts(uri) or ()
        if parts[-1:] != (ARTIFACTS,):
            return None
        return next((found for length in (3, 4, 2, 5, 6) if (found := self.below_roots(parts, length))), None)

    def version_files(self, source: str, experiments: Iterable[Path]) -> Path | None:
        """The folder of a version's model: found by the run that its source names, else by the end of the path."""
        run_id, below = run_and_path(source)
        for experiment in experiments if run_id else ():
            folder = experiment.joinpath(str(run_id), ARTIFACTS, *below.split("/"))
            if folder.exists() and folder.resolve().is_relative_to(experiment.resolve()):
                return folder
        parts = local_parts(source) or ()
        for length in range(min(len(parts), 8), 1, -1):
            if (found := self.below_roots(parts, length)) is not None:
                return found
        here = is_absolute_here(source)
        is_the_runs = here is not None and here.is_dir() and run_id is not None and run_id in here.resolve().parts
        return here if is_the_runs else None

    def below_roots(self, parts: tuple[str, ...], length: int) -> Path | None:
        """The folder that the last parts of a path name below one of the roots."""
        for root in self.roots if len(parts) >= length else ():
            folder = root.joinpath(*parts[-length:])
            if folder.is_dir() and folder.resolve().is_relative_to(root.resolve()):
                return folder
        return None


def run_and_path(source: str) -> tuple[str | None, str]:
    """`…/<run>/artifacts/model` and `runs:/<run>/model`: the run and the path among its artifacts."""
    if source.startswith("runs:/"):
        run_id, _, path = source.removeprefix("runs:/").strip("/").partition("/")
        return run_id or None, path if ".." not in path.split("/") else ""
    parts = local_parts(source) or tuple(source.replace("\\", "/").split("/"))
    if ARTIFACTS not in parts[1:]:
        return None, ""
    at = parts.index(ARTIFACTS, 1)
    return parts[at - 1], "/".join(parts[at + 1 :])


def logged_model_id(source: str) -> str | None:
    """The `m-…` of a source that names a logged model."""
    found = _LOGGED_MODEL.search(source)
    return found[0] if found else None
