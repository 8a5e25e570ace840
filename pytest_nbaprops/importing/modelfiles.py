"""Model files of old scripts: which can be served. Nothing is ever unpickled, not even looked into."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from pytest_nbaprops.importing.texts import SafeFolder

if TYPE_CHECKING:
    from xgboost import XGBRegressor

_SUFFIXES: Final = (".ubj", ".json", ".xgb", ".model", ".bst", ".bin")
_PICKLES: Final = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth")
_SECONDS: Final = 120
# In a process of its own: the file is a stranger's, and XGBoost's reader is C++.
_TRIAL: Final = """
import sys, numpy, xgboost
model = xgboost.XGBRegressor()
model.load_model(sys.argv[1])

width = model.get_booster().num_features()
model.get_booster().inplace_predict(numpy.zeros((1, width), dtype="float32"), validate_features=False)
"""


def files_below(folder: Path, safe: SafeFolder) -> list[Path]:
    """All plain files below the folder that may be read; links that lead out of it are among the findings."""
    found: list[Path] = []
    for entry in safe.entries(folder):
        path = Path(entry.path)
        if entry.is_dir():
            if not entry.is_symlink():
                found += files_below(path, safe)
            else:
                safe.findings.left_out(safe.name_of(path), "a link to a folder", "not followed")
        elif path.is_file():
            found.append(path)
        else:
            safe.findings.left_out(safe.name_of(path), "no plain file", "not copied")
    return found


def servable_file(folder: Path, files: Sequence[Path]) -> tuple[Path | None, str]:
    """The XGBoost file to serve, or None and why there is none."""
    candidates = [path for path in files if path.suffix.lower() in _SUFFIXES and _is_xgboost(path)]
    reasons = []
    for path in sorted(candidates, key=lambda path: _SUFFIXES.index(path.suffix.lower())):
        if (problem := _trial(path)) is None:
            return path, ""
        reasons.append(f"{path.relative_to(folder).as_posix()}: {problem}")
    if reasons:
        return None, reasons[0]
    pickles = [path.relative_to(folder).as_posix() for path in files if path.suffix.lower() in _PICKLES]
    return None, f"{pickles[0]} is a pickle, which is never loaded" if pickles else "no XGBoost model file in it"


def _is_xgboost(path: Path) -> bool:
    """By the first bytes: JSON or UBJ with a learner. The old binary format is no longer read by XGBoost."""
    with path.open("rb") as file:
        head = file.read(4096)
    return (head[:1] == b"{" and b"learner" in head) or path.suffix.lower() == ".ubj"


def _trial(path: Path) -> str | None:
    """Why XGBoost cannot read the file, None where it can."""
    with tempfile.TemporaryDirectory(prefix="nbaprops-import-") as folder:
        copy = _copied(path, Path(folder))
        try:
            tried = subprocess.run(  # noqa: S603 - this interpreter
                [sys.executable, "-c", _TRIAL, str(copy)], capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return "XGBoost does not come to an end reading it"
    return None if tried.returncode == 0 else "XGBoost can't read it: a damaged or older file"


def _copied(path: Path, folder: Path) -> Path:
    """Under the suffix that tells XGBoost its format."""
    with path.open("rb") as file:
        head = file.read(2)
    is_text = head[:1] == b"{" and head[1:2] in b'" \t\r\n'
    copy = folder / f"model.{'json' if is_text else 'ubj'}"
    shutil.copyfile(path, copy)
    return copy


def loaded(path: Path, folder: Path, temporary: Path) -> XGBRegressor | str:
    """The regressor of a file that a trial could read, or why it can't be served: it must know its columns."""
    import xgboost  # noqa: PLC0415  1.6 s

    model = xgboost.XGBRegressor()
    model.load_model(_copied(path, temporary))
    booster = model.get_booster()
    objective = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    if not objective.startswith(("reg:", "count:")):
        return f"it is no regressor ({objective})"
    if not booster.feature_names:
        names = _signature_names(folder)
        if len(names) != booster.num_features():
            return "it does not know its features' names"
        booster.feature_names = names
    return model


def _signature_names(folder: Path) -> list[str]:
    """The input columns that the model's MLmodel names."""
    try:
        document: Any = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        columns = json.loads(document["signature"]["inputs"])
        return [str(column["name"]) for column in columns]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []
