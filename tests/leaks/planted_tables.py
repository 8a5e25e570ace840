"""A module of tables read at its import, for groups that import it lazily."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

NET = pd.read_csv(Path(__file__).with_name("net_ratings.csv")).set_index("TEAM")["NET"].to_dict()
