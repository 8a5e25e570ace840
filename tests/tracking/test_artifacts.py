from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking.artifacts import importance_table, write_importance, write_predictions

if TYPE_CHECKING:
    from pathlib import Path


def test_importance_is_sorted() -> None:
    """The most important feature comes first, equal ones by name."""
    table = importance_table(["b", "c", "a"], [0.1, 0.8, 0.1])
    assert table.to_dict("list") == {"feature": ["c", "a", "b"], "importance": [0.8, 0.1, 0.1]}


def test_a_series_is_its_index_and_values() -> None:
    """A Series of importances needs no names beside it."""
    assert importance_table(pd.Series({"a": 1.0, "b": 2.0}), None)["feature"].to_list() == ["b", "a"]


@pytest.mark.parametrize("values", [None, [1.0]])
def test_every_feature_needs_a_value(values: list[float] | None) -> None:
    """Names without values are refused."""
    with pytest.raises(TrackingError, match="2 names and "):
        importance_table(["a", "b"], values)


def test_the_table_holds_all_and_the_plot_is_a_picture(tmp_path: Path) -> None:
    """A CSV of all features and a PNG, without touching pyplot's global state."""
    csv, png = write_importance(importance_table([f"f{i}" for i in range(50)], [float(i) for i in range(50)]), tmp_path)
    assert len(pd.read_csv(csv)) == 50
    assert png.read_bytes().startswith(b"\x89PNG")


def test_predictions_are_the_same_bytes_every_time(tmp_path: Path, predictions: pd.DataFrame) -> None:
    """Equal predictions make equal files, whatever their index."""
    (tmp_path / "again").mkdir()
    first = write_predictions(predictions, tmp_path).read_bytes()
    assert write_predictions(predictions.set_index(predictions.index + 5), tmp_path / "again").read_bytes() == first
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "predictions.parquet"), predictions)
