from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pytest_nbaprops.data.arrow import read_arrow, write_arrow
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_games_come_back(tmp_path: Path) -> None:
    """Games keep every value, dtype and the order of columns."""
    games = sample_league(seasons=1, players=20)
    games.loc[games.index[-1], "WL"] = None
    write_arrow(games, tmp_path / "games.arrow")
    pd.testing.assert_frame_equal(read_arrow(tmp_path / "games.arrow"), games)
    assert [path.name for path in tmp_path.iterdir()] == ["games.arrow"]


def test_features_are_mapped(tmp_path: Path) -> None:
    """float32 stays float32 with its NaN, and reading copies nothing."""
    frame = pd.DataFrame({"a": np.arange(100_000, dtype=np.float32), "b": np.float32("nan")})
    frame["b"] = frame["b"].astype(np.float32)
    write_arrow(frame, tmp_path / "features.arrow")
    before = pa.total_allocated_bytes()
    found = read_arrow(tmp_path / "features.arrow")
    assert pa.total_allocated_bytes() - before < 10_000
    assert not found["a"].to_numpy().flags.owndata
    pd.testing.assert_frame_equal(found, frame)


def test_empty_frame(tmp_path: Path) -> None:
    """A frame without rows or without columns can be written."""
    write_arrow(pd.DataFrame({"a": np.empty(0, np.float32)}), tmp_path / "a.arrow")
    assert read_arrow(tmp_path / "a.arrow").shape == (0, 1)


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails leaves what was there and no leftovers."""
    path = tmp_path / "a.arrow"
    write_arrow(pd.DataFrame({"a": [1.0]}), path)
    with pytest.raises((pa.ArrowException, TypeError)):
        write_arrow(pd.DataFrame({"a": [object(), 1]}), path)
    assert read_arrow(path)["a"].tolist() == [1.0]
    assert [file.name for file in tmp_path.iterdir()] == ["a.arrow"]


@pytest.mark.parametrize("content", [None, b"", b"ARROW1 and then nothing"])
def test_unreadable_files(tmp_path: Path, content: bytes | None) -> None:
    """A missing or damaged file is one line."""
    path = tmp_path / "a.arrow"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="no complete Arrow file") as caught:
        read_arrow(path)
    assert "\n" not in str(caught.value)
