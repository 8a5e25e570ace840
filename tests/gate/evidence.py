"""Evidence made for the gate's tests: a short season whose errors are chosen, not simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pytest_nbaprops.gate.criteria import parse_criteria
from pytest_nbaprops.gate.decision import judge
from pytest_nbaprops.gate.verdict import CandidateDecision, CandidateEvidence, Champion, FoldCounts

KEYS = ["GAME_DATE", "GAME_ID", "PLAYER_ID"]
NO_CHAMPION = "NBAPropsModel has no version yet"


def season(dates: int = 24, players: int = 30, *, error: float = 4.0, seed: int = 0) -> pd.DataFrame:
    """Predictions whose absolute errors are near `error`, of a baseline that is near 6, and slice columns."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=dates).repeat(players)
    actual = rng.poisson(18.0, dates * players).astype("float64")
    sign = rng.choice([-1.0, 1.0], len(actual))
    frame = pd.DataFrame({"GAME_DATE": days, "GAME_ID": [f"002230{d:%m%d}" for d in days]})
    frame["PLAYER_ID"] = np.tile(np.arange(players, dtype="int64"), dates)
    frame["actual"] = actual
    frame["predicted"] = actual + sign * (error + rng.normal(0, 0.3, len(actual)))
    frame["baseline"] = actual + sign * (6.0 + rng.normal(0, 0.3, len(actual)))
    frame["minutes"] = np.tile(np.linspace(0, 36, players), dates)
    frame["home"] = frame["PLAYER_ID"] % 2 == 0
    return frame


def folds(planned: int = 24, **counts: int) -> FoldCounts:
    rest = {"cached": 0, "failed": 0, "missing": 0} | counts
    return FoldCounts(planned=planned, executed=planned - sum(rest.values()), **rest)


def evidence(frame: pd.DataFrame | None = None, **changes: Any) -> CandidateEvidence:
    """Sound evidence of a good candidate, but for the changes."""
    predictions = season() if frame is None else frame
    sound: dict[str, Any] = {
        "name": "advanced",
        "folds": folds(),
        "predictions": predictions,
        "expected_rows": season()[[*KEYS, "actual"]],
        "registrable": True,
    }
    return CandidateEvidence(**(sound | changes))


def champion(frame: pd.DataFrame | None = None, **changes: Any) -> Champion:
    """A champion with errors near 5, but for the changes."""
    stored = season(error=5.0) if frame is None else frame
    sound: dict[str, Any] = {"name": "NBAPropsModel", "alias": "production", "version": "3", "run_id": "r"}
    return Champion(**(sound | {"predictions": stored[[*KEYS, "actual", "predicted"]]} | changes))


def judged(
    candidate: CandidateEvidence, *criteria: str, against: Champion | None = None, **options: Any
) -> CandidateDecision:
    settings: dict[str, Any] = {"champion_reason": NO_CHAMPION, "seed": 1} | options
    return judge(candidate, parse_criteria(criteria), against, **settings)
