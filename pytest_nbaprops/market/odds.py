"""Player-prop lines in, from every shape that people save them in, checked and in one form.

Formats: CSV or Parquet with a row per line (`over_price`, `under_price`) or per side (`side`, `price`), and the JSON
of odds services: event, bookmakers, markets, outcomes, also in its historical wrapper. Files, folders, globs, gz, zst.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from pytest_nbaprops.data.files import KNOWN, find_files, read_bytes, suffixes
from pytest_nbaprops.data.problems import file_problem
from pytest_nbaprops.market.apijson import read_json
from pytest_nbaprops.market.flat import read_flat
from pytest_nbaprops.market.markets import canonical_target, read_market

ODDS_COLUMNS: Final = (
    "PLAYER", "EVENT_ID", "EVENT_DATE", "TIPOFF", "HOME_TEAM", "AWAY_TEAM", "BOOKMAKER", "MARKET", "ALTERNATE",
    "LINE", "TIMESTAMP", "OVER_PRICE", "UNDER_PRICE",
)  # fmt: skip


def read_odds(path: str | Path) -> pd.DataFrame:
    """Every line of a file, folder or glob, as often as it is there.

    Columns PLAYER, EVENT_ID, EVENT_DATE (datetime64[ns], local or UTC), TIPOFF (UTC, NaT where not said), HOME_TEAM,
    AWAY_TEAM, BOOKMAKER, MARKET (as written, empty where not said), ALTERNATE (of a ladder of lines beside the main
    one), LINE (the target's units), TIMESTAMP (UTC, NaT where missing), OVER_PRICE and UNDER_PRICE (decimal, NaN where
    missing).

    Raises:
        DataError: one line with file, row, column, found, expected and the way out; RowsError has one for every
            bad cell.
    """
    files = find_files(path, formats=KNOWN, what="player-prop lines")
    frames = [frame for file in files if not (frame := _read(file)).empty]
    if not frames:
        expected = "over and under of a player market such as player_points"
        raise file_problem(str(path), "no player-prop line", expected, "ask the service for player_ markets")
    return pd.concat(frames, ignore_index=True)[list(ODDS_COLUMNS)]


def _read(file: Path) -> pd.DataFrame:
    form, _ = suffixes(file) or (".csv", "")
    content = read_bytes(file)
    if form in (".json", ".jsonl"):
        return read_json(str(file), content, by_line=form == ".jsonl")
    return read_flat(str(file), content, parquet=form == ".parquet")


def unread_markets(odds: pd.DataFrame) -> dict[str, int]:
    """Rows of each market that is on no target that is known here, the most first."""
    counts = odds["MARKET"].value_counts()
    return {str(text): int(rows) for text, rows in counts.items() if text and read_market(str(text)) is None}


def of_target(odds: pd.DataFrame, target: str) -> pd.DataFrame:
    """The lines on a target such as `PTS+REB+AST`; those whose market is not said count as being on it."""
    wanted = canonical_target(target.split("+"))
    texts = odds["MARKET"].unique()
    known = {text: read_market(text) for text in texts}
    fits = {text for text, name in known.items() if not text or (name is not None and name.target == wanted)}
    ladders = {text for text, name in known.items() if name is not None and name.alternate}
    chosen = odds[odds["MARKET"].isin(fits)]
    return chosen.assign(ALTERNATE=chosen["ALTERNATE"] | chosen["MARKET"].isin(ladders))
