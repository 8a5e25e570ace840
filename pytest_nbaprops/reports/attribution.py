"""attribution.csv and attribution.png: what each feature group brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pytest_nbaprops.gate.effect import Effect
from pytest_nbaprops.spreadsheet import without_formulas

TABLE, PLOT = "attribution.csv", "attribution.png"
COLOURS = {"helps": "#2a7f3f", "hurts": "#b3302a", "not clear": "#8a8a8a"}


def write_attribution(folder: Path, effects: Mapping[str, Sequence[Effect]]) -> None:
    """Write both files; the plot has a bar for each group whose difference is known, with its 95% interval."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"candidate": name, **effect.to_dict()} for name, some in effects.items() for effect in some]
    without_formulas(pd.DataFrame(rows)).to_csv(folder / TABLE, index=False)
    bars = [
        (("" if len(effects) == 1 else f"{name}: ") + f"{effect.group} ({effect.change})", effect)
        for name, some in effects.items()
        for effect in some
        if effect.difference is not None
    ]
    if bars:
        _plot(bars[::-1], folder / PLOT)


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
