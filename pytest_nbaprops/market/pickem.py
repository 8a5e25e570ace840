"""Pick'em entries: several picks that pay by how many come true, at multipliers of the stake from a small table file.

`pickem.csv` beside this module has the standard multipliers (play, picks, correct, multiplier) that operators published
in 2023-24; another file with the same columns takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.errors import DataError

Table = Mapping[tuple[str, int], Mapping[int, float]]

MULTIPLIERS: Final = Path(__file__).with_name("pickem.csv")
COLUMNS: Final = ["play", "picks", "correct", "multiplier"]
KEYS: Final = list(KEY_COLUMNS)


def read_multipliers(path: Path = MULTIPLIERS) -> Table:
    """What each play pays: (play, picks) to the multiplier of each number of correct picks.

    Raises:
        DataError: another shape, or numbers that cannot be.
    """
    try:
        frame = pd.read_csv(path)
        rows = frame[COLUMNS].astype({"picks": "int64", "correct": "int64", "multiplier": "float64"})
    except (OSError, ValueError, KeyError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"{path}: {text}; expected the columns {', '.join(COLUMNS)}, as in {MULTIPLIERS}") from None
    wrong = (rows["correct"] < 1) | (rows["correct"] > rows["picks"]) | ~(rows["multiplier"] > 0)
    if wrong.any() or rows.duplicated(COLUMNS[:3]).any():
        row = int(np.flatnonzero(wrong | rows.duplicated(COLUMNS[:3]))[0]) + 2
        raise DataError(f"{path}, row {row}: found a payout that cannot be or is there twice; correct the row")
    table: dict[tuple[str, int], dict[int, float]] = {}
    for play, picks, correct, multiplier in rows.itertuples(index=False):
        table.setdefault((str(play), int(picks)), {})[int(correct)] = float(multiplier)
    return table


def expected_multiplier(pays: Mapping[int, float], picks: int, chance: float) -> float:
    """What an entry pays on average per unit staked if every pick comes true with this chance, independently."""
    wrong = 1.0 - chance
    return sum(comb(picks, k) * chance**k * wrong ** (picks - k) * multiplier for k, multiplier in pays.items())


def break_even_per_pick(pays: Mapping[int, float], picks: int) -> float:
    """The chance per pick at which the entry neither wins nor loses (bisection); 3^(-1/2) for a power play of two."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_multiplier(pays, picks, middle) < 1 else (low, middle)
    return (low + high) / 2


def paid(table: Table, play: str, results: Sequence[float]) -> float:
    """What an entry pays per unit staked, the stake included: results are 1 correct, -1 wrong, 0 push.

    A push takes the pick out and the entry pays as one with fewer picks; where there is no such entry, the stake
    comes back.
    """
    left = [result for result in results if result != 0]
    pays = table.get((play, len(left)))
    if pays is None:
        return 1.0
    return float(pays.get(sum(result > 0 for result in left), 0.0))


def entries(picks: pd.DataFrame, table: Table, play: str, size: int) -> pd.DataFrame:
    """One entry a date, of the picks of that date with the highest chances; no entry where there are too few.

    Args:
        picks: KEYS, chance (that the pick comes true) and result (1, -1, 0), one row per player-game.
        table: What `read_multipliers` gives.
        play: `power` or `flex`.
        size: Picks in an entry.

    Returns:
        GAME_DATE, stake (1), profit, won and decided (picks), one row per entry.
    """
    ordered = picks.sort_values([KEYS[0], "chance", *KEYS[1:]], ascending=[True, False, True, True], kind="stable")
    best = ordered.groupby("GAME_DATE", sort=True).head(size)
    rows = []
    for date, part in best.groupby("GAME_DATE", sort=True):
        results = part["result"].tolist()
        if len(results) == size:
            profit = paid(table, play, results) - 1.0
            won, decided = sum(r > 0 for r in results), sum(r != 0 for r in results)
            rows.append((date, 1.0, profit, float(won), float(decided)))
    return pd.DataFrame(rows, columns=["GAME_DATE", "stake", "profit", "won", "decided"])
