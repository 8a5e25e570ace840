"""An `mlruns` folder as MLflow 2 wrote it, file by file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

START = 1_672_700_000_000  # 2023-01-02


def run_id(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def meta(path: Path, **entries: Any) -> None:
    lines = [f"{key}: {'null' if value is None else value}" for key, value in sorted(entries.items())]
    write(path / "meta.yaml", "\n".join(lines) + "\n")


def experiment(root: Path, key: str, name: str, **entries: Any) -> Path:
    folder = root / key
    defaults = {"artifact_location": folder.as_uri(), "lifecycle_stage": "active", "creation_time": START}
    meta(folder, **{"experiment_id": f"'{key}'", "name": name, **defaults, **entries})
    return folder


def run(
    folder: Path,
    number: int,
    name: str,
    *,
    metrics: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    **entries: Any,
) -> Path:
    """A run of the experiment; `metrics` are the files' contents."""
    identity = run_id(number)
    place = folder / identity
    defaults = {
        "artifact_uri": (place / "artifacts").as_uri(),
        "end_time": START + number * 1000 + 500,
        "entry_point_name": "''",
        "experiment_id": f"'{folder.name}'",
        "lifecycle_stage": "active",
        "run_id": identity,
        "run_name": name,
        "run_uuid": identity,
        "source_name": "''",
        "source_type": 4,
        "source_version": "''",
        "start_time": START + number * 1000,
        "status": 3,
        "tags": "[]",
        "user_id": "ann",
    }
    meta(place, **{**defaults, **entries})
    for kind, files in (("metrics", metrics), ("params", params), ("tags", {"mlflow.runName": name, **(tags or {})})):
        (place / kind).mkdir(exist_ok=True)
        for key, text in (files or {}).items():
            write(place / kind / key, text)
    (place / "artifacts").mkdir(exist_ok=True)
    return place


def version(root: Path, model: str, number: int, *, stage: str, source: str, run: str | None, **entries: Any) -> Path:
    """A version of a registered model, in the registry's files."""
    folder = root / "models" / model
    if not (folder / "meta.yaml").exists():
        meta(folder, name=model, creation_timestamp=START, last_updated_timestamp=START, description="the model")
    values = {
        "creation_timestamp": START + number,
        "current_stage": stage,
        "description": f"version {number}",
        "last_updated_timestamp": START + number,
        "name": model,
        "run_id": run or "''",
        "run_link": "''",
        "source": source,
        "status": "READY",
        "status_message": "''",
        "storage_location": source,
        "user_id": "''",
        "version": number,
    }
    meta(folder / f"version-{number}", **{**values, **entries})
    return folder


def fingerprint(root: Path) -> dict[str, tuple[str, int, int]]:
    """Content, mode and time of change of everything below."""
    found = {}
    for path in sorted(root.rglob("*")):
        kept = path.lstat()
        content = "" if not path.is_file() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = (content, kept.st_mode, kept.st_mtime_ns)
    return found
