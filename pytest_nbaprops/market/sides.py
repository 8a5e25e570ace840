"""Rows of one side each, put together to lines with both prices, never across two lines."""

from __future__ import annotations

from typing import Final

import pandas as pd

SIDES: Final = ("Over", "Under")


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per line from rows with SIDE (`Over`, `Under`) and PRICE.

    Over and under belong together where everything else is the same, the line and the time included. A side without
    the other is kept alone: half a market, or a rung of a ladder. The same side twice makes a second row.
    """
    keys = [name for name in rows.columns if name not in ("SIDE", "PRICE")]
    again = rows.groupby([*keys, "SIDE"], dropna=False, sort=False).cumcount()
    numbered = rows.assign(_again=again)
    joined = [*keys, "_again"]
    first = numbered.drop(columns=["SIDE", "PRICE"]).drop_duplicates(joined)
    for side in SIDES:
        prices = numbered.loc[numbered["SIDE"] == side, [*joined, "PRICE"]]
        first = first.merge(
            prices.rename(columns={"PRICE": f"{side.upper()}_PRICE"}), on=joined, how="left", validate="one_to_one"
        )
    return first.drop(columns="_again").reset_index(drop=True)
