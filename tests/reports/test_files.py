"""The files of a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pytest_nbaprops.reports.decision_file import write_tables


def test_folds_csv_holds_no_formula(tmp_path: Path) -> None:
    """Names of candidates and of own metrics come from others; numbers, also negative ones, stay numbers."""
    folds = pd.DataFrame({"candidate": ["=HYPERLINK(1)", "plain"], "bias": [-1.5, np.nan], "own_x": [1.0, 2.0]})
    write_tables(tmp_path, None, folds.rename(columns={"own_x": "@x"}))
    assert (tmp_path / "folds.csv").read_text(encoding="utf-8").splitlines() == [
        "candidate,bias,'@x",
        "'=HYPERLINK(1),-1.5,1.0",
        "plain,,2.0",
    ]
