"""The files of a run: each is written to a temporary folder first, and stored from there."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import InconclusiveError, TrackingError
from pytest_nbaprops.gate.rows import keyed
from pytest_nbaprops.spreadsheet import without_formulas
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.wholefile import file_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pytest_nbaprops.tracking.connection import Store

DECISION, SUMMARY, REPORT = "decision.json", "summary.md", "report.html"
PREDICTIONS = "predictions.parquet"
CHAMPION = "champion_v{}.parquet"
"""What that version predicts for the run's player-games, where the session walked it forward again."""
LINEAGE = "feature_lineage.json"
IMPORTANCE_TABLE = "feature_importance.csv"
IMPORTANCE_PLOT = "feature_importance.png"
_BARS = 30
_BARS_WIDTH, _DPI = 6.2, 100  # of the plot: inches beside the names, pixels an inch


def write_predictions(frame: pd.DataFrame, folder: Path) -> Path:
    """One Parquet file of the frame's columns, without its index."""
    path = folder / PREDICTIONS
    frame.to_parquet(path, engine="pyarrow", index=False)
    return path


def read_predictions(client: MlflowClient, run_id: str, name: str = PREDICTIONS) -> pd.DataFrame:
    """Predictions that a run has kept.

    Raises:
        TrackingError: They are not those that it stored, as far as it says which these were.
    """
    stored = client.get_run(run_id).data.tags.get(f"{tags.FILE_DIGEST}{name}")
    with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
        path = Path(client.download_artifacts(run_id, name, folder))
        if stored not in {None, file_digest(path)}:
            raise TrackingError(f"{name} of the run {run_id} was changed after the run had stored it")
        return pd.read_parquet(path, engine="pyarrow")


def importance_table(names: Sequence[str] | pd.Series, values: Sequence[float] | None) -> pd.DataFrame:
    """Columns feature and importance, the most important first, equal ones by name."""
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
    without_formulas(table).to_csv(csv, index=False)
    shown = table.head(_BARS).iloc[::-1]
    with quiet():
        # A Figure of its own: pyplot would keep global state and may want a display.
        from matplotlib.figure import Figure  # noqa: PLC0415  0.3 s

        # Drawn once: a tight box, or a layout engine, would draw it twice.
        names = shown["feature"].astype(str).to_list()
        margin, height = 0.4 + 0.09 * max(map(len, names), default=0), 1 + 0.25 * len(names)
        width = margin + _BARS_WIDTH
        figure = Figure(figsize=(width, height), dpi=_DPI)
        axes = figure.add_axes((margin / width, 0.6 / height, (_BARS_WIDTH - 0.2) / width, 1 - 1 / height))
        axes.barh(range(len(names)), shown["importance"].to_numpy())
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set(xlabel="importance", title=f"The {len(names)} most important features", ylim=(-0.6, len(names) - 0.4))
        figure.savefig(png, metadata={"Software": None})
    return csv, png


class RunFiles(ABC):
    """A run that may be open, and what the tracker stores as files of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._run_id: str | None = None

    @property
    def run_id(self) -> str:
        """Id of the run that is open.

        Raises:
            TrackingError: None is.
        """
        if self._run_id is None:
            raise TrackingError("no run is open: call start_run first")
        return self._run_id

    @property
    def is_open(self) -> bool:
        return self._run_id is not None

    @abstractmethod
    def set_tags(self, values: Mapping[str, object]) -> None:
        """Keep tags for the next flush."""

    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """Store one file under its own name, in `folder` of the run's artifacts."""
        with self.store.calling(f"store {Path(path).name}", artifacts=True) as client:
            client.log_artifact(self.run_id, str(path), folder)

    def log_artifacts(self, directory: str | Path) -> None:
        """Store all files of a folder; which predictions they are is a tag."""
        files = [*Path(directory).iterdir()]
        with self.store.calling(f"store {len(files)} files or folders of the run", artifacts=True) as client:
            client.log_artifacts(self.run_id, str(directory))
        kept = [file for file in files if fnmatch(file.name, CHAMPION.format("*")) or file.name == PREDICTIONS]
        self.set_tags({f"{tags.FILE_DIGEST}{file.name}": file_digest(file) for file in kept})

    def log_json(self, document: Mapping[str, Any], name: str) -> None:
        """Store the document as a JSON file of this name; NaN and infinity are refused."""
        with self._files() as folder:
            (folder / name).write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")

    def log_predictions(self, df: pd.DataFrame) -> None:
        """Store the predictions as `predictions.parquet`, in the order given.

        Columns GAME_DATE, GAME_ID, PLAYER_ID, actual and predicted, one row for each player-game; more may be there.

        Raises:
            TrackingError: A column is missing, a player-game is there twice, or a number is none.
        """
        _ = self.run_id
        try:
            keyed(df, "predictions", numbers=("actual", "predicted"))
        except InconclusiveError as problem:
            raise TrackingError(f"{problem}; the run keeps none: criteria could not be judged by them") from None
        with self._files() as folder:
            write_predictions(df, folder)

    def log_feature_importance(
        self, names: Sequence[str] | pd.Series, values: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Store `feature_importance.csv` and a plot of the first 30; give the table.

        One value for each name, or a Series of importances indexed by feature.
        """
        table = importance_table(names, values)
        with self._files() as folder:
            write_importance(table, folder)
        return table

    @contextmanager
    def _files(self) -> Iterator[Path]:
        """A temporary folder, stored as it is when the block ends."""
        _ = self.run_id
        with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
            yield Path(folder)
            self.log_artifacts(folder)
