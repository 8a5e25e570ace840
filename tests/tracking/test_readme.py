"""The README's section for scripts without pytest, run as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from xgboost import XGBRegressor

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.serving.loader import ProductionModelLoader
from tests.league import outcomes

if TYPE_CHECKING:
    import pandas as pd

README = Path(__file__).parents[2] / "README.md"


def blocks() -> list[str]:
    """The Python blocks of the section: before, after, later."""
    section = README.read_text(encoding="utf-8").split("\n## Without pytest\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def names(uri: str, monkeypatch: pytest.MonkeyPatch, features: pd.DataFrame, target: pd.Series) -> dict[str, Any]:
    """What a training script has by then, on a store without a single run."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    games = outcomes()
    noise = np.random.default_rng(1).normal(0, 5, len(games))
    model = XGBRegressor(n_estimators=3, n_jobs=1).fit(features, target)
    return {"games": games, "predictions": games.assign(predicted=games["actual"] + noise), "model": model}


def test_the_readme_runs_on_a_fresh_store(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The script promotes its first version, its second run compares with it, and then there is a way back."""
    _, after, later = blocks()
    exec(compile(after, "README.md", "exec"), names)  # noqa: S102  our own text
    assert names["checked"]["passed"], names["checked"]
    exec(compile(after, "README.md", "exec"), names)  # noqa: S102
    assert ModelRegistry().aliases("NBAPropsModel") == {"production": "2"}
    assert capsys.readouterr().out.count("my run") == 2
    told = ProductionModelLoader("NBAPropsModel").get_model_info()
    assert told["metrics"]["mae"] == pytest.approx(names["checked"]["criteria"][0]["value"])
    assert len(told["dataset_digest"]) == 64
    assert names["registry"].register_model(names["uri"], "NBAPropsModel") == "2"
    exec(compile(later, "README.md", "exec"), names)  # noqa: S102
    assert ModelRegistry().aliases("NBAPropsModel") == {"production": "1"}
