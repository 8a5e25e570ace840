"""A champion as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops import wholefile
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.session.snapshot import PREDICTIONS, VERSION, read_snapshot, write_snapshot


@pytest.fixture
def champion() -> Champion:
    return Champion(
        name="League",
        alias="staging",
        version="3",
        run_id="a1",
        content="c",
        tags={"mae": "6"},
        predictions=pd.DataFrame({"predicted": [20.5, 31.0]}),
    )


def test_it_is_read_as_it_was_written(tmp_path: Path, champion: Champion) -> None:
    """From the folder, or from its version.json."""
    write_snapshot(tmp_path, champion)
    for place in (tmp_path, tmp_path / VERSION):
        read = read_snapshot(place)
        assert replace(read, predictions=None) == replace(champion, predictions=None)
        pd.testing.assert_frame_equal(pd.DataFrame(read.predictions), pd.DataFrame(champion.predictions))


def test_what_a_session_left_that_was_killed_while_it_wrote_one_goes(tmp_path: Path, champion: Champion) -> None:
    """Beside the two files nothing lies there."""
    (tmp_path / f"{wholefile._MINE}999999999-a").touch()  # noqa: SLF001 - as `write_whole` calls it
    write_snapshot(tmp_path, champion)
    assert {file.name for file in tmp_path.iterdir()} == {VERSION, PREDICTIONS}


def test_half_of_one_is_refused(tmp_path: Path, champion: Champion) -> None:
    """Killed between the two files: the predictions are another version's."""
    write_snapshot(tmp_path, champion)
    pd.DataFrame({"predicted": [1.0]}).to_parquet(tmp_path / PREDICTIONS)
    with pytest.raises(SettingsError, match="is not whole"):
        read_snapshot(tmp_path)
