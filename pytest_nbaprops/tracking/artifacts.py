"""Files that a run keeps: predictions, feature importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PREDICTIONS = "predictions.parquet"
LINEAGE = "feature_lineage.json"
IMPORTANCE_TABLE = "feature_importance.csv"
IMPORTANCE_PLOT = "feature_importance.png"
_BARS = 30


def write_predictions(frame: pd.DataFrame, folder: Path) -> Path:
    """One Parquet file of the frame's columns, without its index."""
    path = folder / PREDICTIONS
    frame.to_parquet(path, engine="pyarrow", index=False)
    return path


def importance_table(names: Sequence[str] | pd.Series, values: Sequence[float] | None) -> pd.DataFrame:
    """Columns feature and importance, the most important first, equal ones by name.

    Raises:
        TrackingError: Not one value for each name.
    """
    if isinstance(names, pd.Series):
        values = names.to_list()
        names = [str(name) for name in names.index]
    if values is None or len(values) != len(names):
        found = "no values" if values is None else f"{len(values)} values"
        raise TrackingError(f"feature importance has {len(names)} names and {found}: give one value for each name")
    table = pd.DataFrame({"feature": list(names), "importance": np.asarray(values, dtype=np.float64)})
    return table.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)


def write_importance(table: pd.DataFrame, folder: Path) -> tuple[Path, Path]:
    """CSV of all features and a bar chart of the first 30."""
    csv, png = folder / IMPORTANCE_TABLE, folder / IMPORTANCE_PLOT
    table.to_csv(csv, index=False)
    with quiet():
        _plot(table.head(_BARS).iloc[::-1], png)
    return csv, png


def _plot(table: pd.DataFrame, path: Path) -> None:
    # A Figure of its own and the Agg canvas: pyplot would keep global state and may want a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  0.3 s
    from matplotlib.figure import Figure  # noqa: PLC0415

    # Labels are fitted by saving: a layout engine would draw the figure several times.
    figure = Figure(figsize=(8, 1 + 0.25 * len(table)))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.barh(table["feature"].astype(str).to_list(), table["importance"].to_numpy())
    axes.set_xlabel("importance")
    axes.set_title(f"The {len(table)} most important features")
    figure.savefig(path, dpi=100, bbox_inches="tight", metadata={"Software": None})
