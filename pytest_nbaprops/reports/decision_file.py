"""decision.json and the files beside it: written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.redaction import redacted, redacted_words
from pytest_nbaprops.spreadsheet import without_formulas
from pytest_nbaprops.tracking.artifacts import DECISION, PREDICTIONS, REPORT, SUMMARY
from pytest_nbaprops.wholefile import remove_leftovers, write_whole

SCHEMA_VERSION = 1
FOLDS, ERROR, ATTRIBUTION, ATTRIBUTION_PLOT = "folds.csv", "error.txt", "attribution.csv", "attribution.png"
COLOURS = {"helps": "#2a7f3f", "hurts": "#b3302a", "not clear": "#8a8a8a"}
KEYS = ["candidate", "fold", "GAME_DATE", "GAME_ID", "PLAYER_ID"]


def unfinished(settings: Mapping[str, Any], *, command: Sequence[str], reason: str) -> dict[str, Any]:
    """The decision of a session that has not come to one: nobody can read an older verdict by mistake.

    Others read it: passwords in the settings and on the command line are left out.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": "INCONCLUSIVE",
        "exit_code": 10,
        "promoted": False,
        "promote_mode": settings["promote"],
        "simulated": settings["simulated"],
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": None,
        "command": redacted_words(command),
        "settings": redacted(settings),
        "dataset": None,
        "test_window": settings["test"],
        "champion": None,
        "warnings": [],
        "leak_guard": None,
        "reasons": [reason],
        "candidates": [],
    }


def write_decision(folder: Path, document: Mapping[str, Any]) -> Path:
    text = json.dumps(redacted(document), indent=2, allow_nan=False, default=str) + "\n"
    return write_text(folder / DECISION, text)


def write_text(path: Path, text: str, *, option: str = "--nbaprops-report") -> Path:
    """Write beside the place and move there, as `write_bytes` does."""
    return write_bytes(path, text.encode(), option=option)


def write_bytes(path: Path, content: bytes, *, option: str = "--nbaprops-report") -> Path:
    """Write beside the place, which the `option` names, and move there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, mode=0o644)  # 0600 would hide the report from a CI's next step
    except OSError as error:
        raise SettingsError(
            f"{option}: {path.parent} cannot be written ({error.strerror}); choose another folder"
        ) from None
    return path


def write_tables(folder: Path, predictions: pd.DataFrame | None, folds: pd.DataFrame) -> None:
    """folds.csv and predictions.parquet, sorted, with nothing in them that depends on the run."""
    write_text(folder / FOLDS, without_formulas(folds).to_csv(index=False, lineterminator="\n"))
    if predictions is None:
        (folder / PREDICTIONS).unlink(missing_ok=True)
        return
    ordered = predictions[[*KEYS, "actual", "predicted", "baseline"]].sort_values(KEYS, ignore_index=True)
    write_bytes(folder / PREDICTIONS, ordered.to_parquet(index=False))


def write_attribution(folder: Path, effects: Mapping[str, Sequence[Effect]]) -> None:
    """Write both files; the plot has a bar for each group whose difference is known, with its 95% interval."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"candidate": name, **effect.to_dict()} for name, some in effects.items() for effect in some]
    without_formulas(pd.DataFrame(rows)).to_csv(folder / ATTRIBUTION, index=False)
    bars = [
        (("" if len(effects) == 1 else f"{name}: ") + f"{effect.group} ({effect.change})", effect)
        for name, some in effects.items()
        for effect in some
        if effect.difference is not None
    ]
    if bars:
        _plot(bars[::-1], folder / ATTRIBUTION_PLOT)


def _plot(bars: Sequence[tuple[str, Effect]], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - few sessions draw

    figure = Figure(figsize=(8, 1.2 + 0.3 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    values = [effect.difference or 0.0 for _, effect in bars]
    colours = [COLOURS.get(effect.said, COLOURS["not clear"]) for _, effect in bars]
    axes.barh([label for label, _ in bars], values, color=colours)
    for place, (_, effect) in enumerate(bars):
        if effect.low is not None and effect.high is not None:
            axes.plot([effect.low, effect.high], [place, place], color="black", linewidth=1.2)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("change of MAE that the group brings, with its 95% interval (below 0 helps)")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def remove_old(folder: Path) -> None:
    """Take away what an older session left beside its decision."""
    remove_leftovers(folder)
    for name in (SUMMARY, REPORT, FOLDS, PREDICTIONS, ERROR, ATTRIBUTION, ATTRIBUTION_PLOT):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise SettingsError(
                f"--nbaprops-report: {folder / name} cannot be removed ({error.strerror}); choose another folder"
            ) from None
