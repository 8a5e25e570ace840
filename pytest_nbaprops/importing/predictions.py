"""Per-row predictions that old scripts kept as CSV, turned into this tool's `predictions.parquet`."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.names import Players
from pytest_nbaprops.importing.source import Findings
from pytest_nbaprops.tracking.artifacts import PREDICTIONS

_LARGEST: Final = 256 * 1024 * 1024
_GAME_ID_DIGITS: Final = 10
_INT64_DIGITS: Final = 18
_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "GAME_DATE": ("gamedate", "date", "day", "gameday"),
    "GAME_ID": ("gameid", "game", "idgame", "gid"),
    "PLAYER_ID": ("playerid", "idplayer", "pid", "personid"),
    "PLAYER_NAME": ("playername", "player", "name", "fullname", "playerfullname"),
    "actual": (
        "actual", "actuals", "actualpra", "praactual", "ytrue", "true", "truevalue", "truth", "target", "actualvalue",
        "actualpts", "ytest", "yactual", "observed", "y", "pra", "targetpra",
    ),
    "predicted": (
        "predicted", "prediction", "predictions", "pred", "preds", "predictedpra", "predpra", "prapred", "ypred",
        "yhat", "prapredicted", "forecast", "predictedvalue", "projection", "projected", "praprediction",
    ),
}  # fmt: skip
_TRAINING: Final = re.compile(r"(?:^|[^a-z])(?:train|training|in[ _-]?sample|insample)(?:[^a-z]|$)", re.IGNORECASE)
# By which it may be worse: less than the usual margin of 0.02, so that no champion is beaten by its file.
WORSE: Final = 0.003
ALIKE: Final = 0.02  # by which a file's MAE may differ from the run's: it is rounded, or rows were lost
_WANTED: Final = re.compile(r"pred|forecast|walk|oos|result", re.IGNORECASE)


class GamesIndex:
    """Player-games by date and player, to find who and which game a row of names and dates means."""

    def __init__(self, load: Callable[[], pd.DataFrame]) -> None:
        self._games = cache(load)

    @cached_property
    def _players(self) -> Players:
        return Players.of(self._games())

    @cached_property
    def _game_of(self) -> dict[tuple[int, int], str]:
        games = self._games()
        days = games["GAME_DATE"].to_numpy("datetime64[D]").astype("int64")
        keys = zip(days.tolist(), games["PLAYER_ID"].tolist(), strict=True)
        return dict(zip(keys, games["GAME_ID"].astype(str).tolist(), strict=True))

    def located(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows whose player-game is known, with GAME_ID and PLAYER_ID; a name that two of that day have is not."""
        days = rows["GAME_DATE"].to_numpy("datetime64[D]").astype("int64").tolist()
        if "PLAYER_ID" in rows:
            meant: list[tuple[int, ...]] = [(int(player),) for player in rows["PLAYER_ID"]]
        else:
            called = {
                name: tuple(one.player_id for one in self._players.called(name)) for name in set(rows["PLAYER_NAME"])
            }
            meant = [called[name] for name in rows["PLAYER_NAME"]]
        found = [
            [(player, game) for player in players if (game := self._game_of.get((day, player))) is not None]
            for day, players in zip(days, meant, strict=True)
        ]
        known = [len(games) == 1 for games in found]
        kept = rows[known].copy()
        kept["PLAYER_ID"] = np.array([games[0][0] for games in found if len(games) == 1], dtype=np.int64)
        kept["GAME_ID"] = [games[0][1] for games in found if len(games) == 1]
        return kept


def old_predictions(  # noqa: PLR0913, PLR0917 - a run's, and where they and their players are looked up
    folder: Path,
    files: Sequence[Path],
    candidate: str,
    where: str,
    games: GamesIndex | None,
    findings: Findings,
    mae: float | None = None,
) -> pd.DataFrame | None:
    """The run's predictions, from the one CSV (or the series of CSVs, one a fold) that looks the most like them.

    That is one whose MAE is what the run has logged, if there is one. In this tool's columns, sorted by the keys; a
    fold is a game date. Without `games` rows that only name their players stay what they are.
    """
    if any(path == folder / PREDICTIONS for path in files):
        return None
    tables = _tables(folder, files, where, findings)
    if not tables:
        return None
    every: dict[str, list[str]] = {}  # those that differ only in numbers
    for short in sorted(tables):
        every.setdefault(re.sub(r"\d+", "#", short), []).append(short)
    order = [(not _WANTED.search(short), short.count("/"), len(short), short) for short, *_ in every.values()]
    ranked = [one for _, one in sorted(zip(order, every.values(), strict=True))]
    series = next((one for one in ranked if mae is not None and _has_mae([tables[t] for t in one], mae)), ranked[0])
    chosen = series[0]
    label = f"{where}/{chosen}" if len(series) == 1 else f"{where}/{chosen} and {len(series) - 1} more"
    for other in sorted(set(tables) - set(series)):
        findings.noted(f"{where}/{other}", "further per-row predictions", f"{chosen} was taken")
    rows = _usable(pd.concat([tables[one] for one in series], ignore_index=True), label, findings)
    keyed = _keyed(rows, label, games, findings)
    if keyed is None:
        return None
    ordered = keyed.sort_values(["GAME_DATE", "GAME_ID", "PLAYER_ID"], ignore_index=True)
    fold = ordered["GAME_DATE"].rank(method="dense").astype("int64")
    columns = ["candidate", "fold", "GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted"]
    return ordered.assign(candidate=candidate, fold=fold)[columns]


def _has_mae(tables: Sequence[pd.DataFrame], mae: float) -> bool:
    numbers = [table[["actual", "predicted"]].apply(pd.to_numeric, errors="coerce") for table in tables]
    errors = pd.concat([one["actual"] - one["predicted"] for one in numbers])
    return math.isclose(errors.abs().mean(), mae, rel_tol=ALIKE)


def _tables(folder: Path, files: Sequence[Path], name: str, findings: Findings) -> dict[str, pd.DataFrame]:
    found = {}
    for path in files:
        short = path.relative_to(folder).as_posix()
        if path.suffix.lower() != ".csv" or _TRAINING.search(short):
            continue
        if path.stat().st_size > _LARGEST:
            findings.noted(f"{name}/{short}", "a very large CSV", "copied, not looked into")
        elif (table := _table(path)) is not None:
            found[short] = table
    return found


def _table(path: Path) -> pd.DataFrame | None:
    """The file under our names; None where it holds no predictions of player-games."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            header = file.readline(65_536)
        if not any(_plain(word) in _SPELLINGS["predicted"] for word in re.split(r"[,;\t|]", header)):
            return None
        separator = max(",;\t|", key=header.count)
        raw = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", encoding_errors="replace",
                          on_bad_lines="skip", keep_default_na=True)  # fmt: skip
    except (OSError, ValueError, pd.errors.ParserError):
        return None
    names = _renamed([str(column) for column in raw.columns])
    has_keys = "GAME_DATE" in names.values() and {"PLAYER_ID", "PLAYER_NAME"} & set(names.values())
    if not has_keys or not {"actual", "predicted"} <= set(names.values()):
        return None
    return raw[list(names)].rename(columns=names)


def _renamed(columns: Sequence[str]) -> dict[str, str]:
    """Their name of each of our columns, the likeliest spelling first."""
    plain = {column: _plain(column) for column in reversed(columns)}
    found = {}
    for ours, spellings in _SPELLINGS.items():
        at = {text: column for column, text in plain.items()}
        theirs = next((at[text] for text in (_plain(ours), *spellings) if text in at), None)
        if theirs is not None:
            found[theirs] = ours
    return found


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _usable(rows: pd.DataFrame, label: str, findings: Findings) -> pd.DataFrame:
    """Rows with a date and two finite numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dates = pd.to_datetime(rows["GAME_DATE"].str.strip(), format="mixed", errors="coerce", utc=True)
    numbers = {name: pd.to_numeric(rows[name], errors="coerce").astype("float64") for name in ("actual", "predicted")}
    typed = rows.assign(GAME_DATE=dates.dt.tz_localize(None).dt.normalize().astype("datetime64[ns]"), **numbers)
    good = typed["GAME_DATE"].notna() & np.isfinite(typed["actual"]) & np.isfinite(typed["predicted"])
    if not good.all():
        findings.repaired(label, f"{int((~good).sum()):,} of {len(rows):,} rows without a date or a number", "left out")
    kept: pd.DataFrame = typed[good]
    return kept


def _keyed(rows: pd.DataFrame, label: str, games: GamesIndex | None, findings: Findings) -> pd.DataFrame | None:
    """Rows with all three keys, each player-game once; None where that cannot be."""
    players = _whole(rows, "PLAYER_ID")
    if players is not None and players.str.len().le(_INT64_DIGITS).all():
        rows = rows.assign(PLAYER_ID=players.astype("int64"))
        game_ids = _whole(rows, "GAME_ID")
    else:
        names = rows["PLAYER_NAME"].fillna("").str.strip() if "PLAYER_NAME" in rows else ""
        rows, game_ids = rows.drop(columns="PLAYER_ID", errors="ignore").assign(PLAYER_NAME=names), None
    if game_ids is not None:
        keyed = rows.assign(GAME_ID=game_ids.str.zfill(_GAME_ID_DIGITS))
    elif games is None:
        what = "predictions that only name their players"
        findings.noted(label, what, "copied as a file; --data GAMES finds who")
        return None
    else:
        keyed = games.located(rows)
        if len(keyed) < len(rows):
            lost = f"{len(rows) - len(keyed):,} of {len(rows):,} rows that mean no one player-game of the data"
            findings.repaired(label, lost, "left out of the predictions")
    keyed = keyed.drop_duplicates(["GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted"])
    twice = int(keyed.duplicated(["GAME_DATE", "GAME_ID", "PLAYER_ID"]).sum())
    if keyed.empty or twice:
        what = f"{twice:,} player-games with two predictions" if twice else "no row that could be used"
        findings.noted(label, what, "copied as a file, not as predictions")
        return None
    return keyed


def _whole(rows: pd.DataFrame, column: str) -> pd.Series[str] | None:
    """Ids as pandas, Excel and stats.nba.com write them: `203999`, `203999.0`, `0022300061`; None if one is missing."""
    if column not in rows:
        return None
    digits = rows[column].str.strip().str.extract(r"^(\d+)(?:\.0+)?$")[0]
    return None if digits.isna().any() else digits
