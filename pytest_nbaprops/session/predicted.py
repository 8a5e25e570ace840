"""What a champion said, held against what it was judged by, what it says now and what the candidates say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile

import pandas as pd

from pytest_nbaprops.gate.rows import KEYS
from pytest_nbaprops.gate.statistics import MIN_DATES
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.versions import record_of
from pytest_nbaprops.session.holdout import tested_dates
from pytest_nbaprops.walkforward.candidate import Candidate

SAME = 1e-6


def refit_days(candidates: Sequence[Candidate]) -> int:
    """After how many days the candidates are fitted again, at the most often."""
    return min(candidate.spec.refit for candidate in candidates)


def fitted_less_often(made: VersionRecord, candidates: Sequence[Candidate]) -> str | None:
    """Who is fitted every day beats who is fitted every month, and yet the model that is served is the same."""
    theirs, ours = (made.spec or {}).get("refit"), refit_days(candidates)
    if theirs is None or theirs <= ours:
        return None
    return f"it was fitted every {theirs} days and the candidates every {ours} (--nbaprops-refit={theirs} for both)"


def not_as_judged(version: Champion, stored: pd.DataFrame) -> str | None:
    """Why the stored predictions are not those that it was judged by."""
    mae, judged = float((stored["actual"] - stored["predicted"]).abs().mean()), record_of(version).metrics.get("mae")
    if judged is not None and not math.isclose(judged, mae, rel_tol=SAME):
        return f"its stored predictions have MAE {mae:.4f}, and it was judged at {judged:.4f}"
    return None


def at_its_best(walked: pd.DataFrame, stored: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """What it predicts in this session, or what it predicted before where that was nearer, and what to say of it.

    It was promoted for those: that it learns from less here, or from worse, is no reason to beat it. They are held
    against the outcomes as they are now: what was put right since then does not change what it said.
    """
    before = stored[[*KEYS, "predicted"]].drop_duplicates(KEYS)
    both = walked[[*KEYS, "actual", "predicted"]].merge(before, on=KEYS, how="left", suffixes=("", "_before"))
    there = both["predicted_before"].notna().to_numpy()
    now, then = ((both["actual"] - both[name]).abs()[there].mean() for name in ("predicted", "predicted_before"))
    if not then < now * (1 - SAME):
        return walked, ""
    predicted = walked["predicted"].where(~there, both["predicted_before"].to_numpy())
    said = f"; its own predictions, which were better (MAE {then:.4f}, now {now:.4f}), were held against the candidates"
    return walked.assign(predicted=predicted), said


def common_window(candidates: Sequence[Candidate], stored: pd.DataFrame | None) -> str:
    """The way out of a new date: those before it, where they are enough to decide on."""
    covered = set(pd.to_datetime(stored["GAME_DATE"]).dt.date) if stored is not None else set()
    there = [*takewhile(covered.__contains__, tested_dates(candidates))]
    enough = len(there) >= MIN_DATES
    return f"; it can be compared on the dates that it has: --nbaprops-test={there[0]}..{there[-1]}" if enough else ""
