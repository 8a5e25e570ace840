"""Lines in the JSON of odds services: event, `bookmakers`, `markets`, `outcomes`, alone or in a historical wrapper."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from pytest_nbaprops.data.problems import RowsError, file_problem, shown
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.market.flat import HIGHEST_LINE, LINE, SIDE_WORDS, paired
from pytest_nbaprops.market.markets import read_market
from pytest_nbaprops.market.prices import PROBLEMS, decimal_price, notation_of

EXPECTED: Final = "an event with bookmakers, a list of events, or a historical answer with timestamp and data"
WAY_OUT: Final = "save the service's answer as it came"


def read_json(name: str, content: bytes, *, by_line: bool) -> pd.DataFrame:
    """The lines of the player markets that are sums of stats, none if it has none; other markets are passed over.

    Raises:
        DataError: not JSON, or another shape; RowsError: outcomes cannot be used, one line each.
    """
    rows = [row for event, taken in _events(name, content, by_line=by_line) for row in _outcomes(name, event, taken)]
    if not rows:  # an event on which no book had a line yet
        return pd.DataFrame()
    notation = notation_of(row["PRICE"] for row in rows if row["PRICE"] is not None)  # the file's
    for row in rows:
        price = row["PRICE"]
        row["PRICE"] = None if price is None else decimal_price(price, notation)
        if price is not None and row["PRICE"] is None:
            found = f"{row['where']}, price: found {shown(price)}"
            row["problems"].append(f"{found}, expected {PROBLEMS[notation].expected}; {PROBLEMS[notation].way_out}")
    problems = [problem for row in rows for problem in row["problems"]]
    if problems:
        raise RowsError(problems)
    frame = pd.DataFrame(rows).drop(columns=["problems", "where"])
    for column in ("TIPOFF", "TIMESTAMP"):
        frame[column] = pd.to_datetime(frame[column], utc=True).astype("datetime64[ns, UTC]")
    dates = frame["TIPOFF"].dt.tz_localize(None).dt.normalize().astype("datetime64[ns]")
    return paired(frame.assign(EVENT_DATE=dates))


def _events(name: str, content: bytes, *, by_line: bool) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each event and the time of its snapshot, where a wrapper says it."""
    texts = [line for line in content.splitlines() if line.strip()] if by_line else [content]
    for number, text in enumerate(texts, start=1):
        try:
            document = json.loads(text.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            where = f", line {number}" if by_line else ""
            raise DataError(f"{name}{where}: found text that is no JSON ({error}), expected JSON; {WAY_OUT}") from None
        yield from _inside(name, document, None)


def _inside(name: str, document: Any, taken: Any) -> Iterator[tuple[Mapping[str, Any], Any]]:
    if isinstance(document, list):
        for one in document:
            yield from _inside(name, one, taken)
    elif isinstance(document, dict) and isinstance(document.get("bookmakers"), list):
        yield document, taken
    elif isinstance(document, dict) and "data" in document and taken is None:
        yield from _inside(name, document["data"], document.get("timestamp"))
    else:
        keys = sorted(map(str, document))[:6] if isinstance(document, dict) else []
        found = f"an object with {', '.join(keys) or 'no key'}" if isinstance(document, dict) else shown(document)
        raise file_problem(name, found, EXPECTED, WAY_OUT)


def _outcomes(name: str, event: Mapping[str, Any], taken: Any) -> Iterator[dict[str, Any]]:
    where = f"{name}, event {event.get('id', '?')}"
    tipoff = _time(event.get("commence_time"), f"{where}, commence_time", needed=True)
    teams = [event.get(side) for side in ("home_team", "away_team")]
    for side, team in zip(("home_team", "away_team"), teams, strict=True):
        if not isinstance(team, str) or not team.strip():
            raise DataError(f"{where}, {side}: found {shown(team)}, expected a team's name; {WAY_OUT}")
    for book in _list(event, "bookmakers", where):
        title = str(book.get("title") or book.get("key") or "")
        for market in _list(book, "markets", f"{where}, {title}"):
            key = str(market.get("key", ""))
            known, at = read_market(key), f"{where}, {title}, {key}"
            if known is None:
                continue
            stamp = _time(market.get("last_update") or taken or book.get("last_update"), f"{at}, last_update")
            for number, outcome in enumerate(_list(market, "outcomes", at), start=1):
                yield {
                    **_outcome(outcome, f"{at}, outcome {number}"),
                    "EVENT_ID": str(event.get("id", "")),
                    "TIPOFF": tipoff,
                    "HOME_TEAM": str(teams[0]),
                    "AWAY_TEAM": str(teams[1]),
                    "BOOKMAKER": title,
                    "MARKET": key,
                    "ALTERNATE": known.alternate,
                    "TIMESTAMP": stamp,
                }


def _list(holder: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    inside = holder.get(key, [])
    if not isinstance(inside, list) or not all(isinstance(one, dict) for one in inside):
        raise DataError(f"{where}, {key}: found {shown(inside)}, expected a list of objects; {WAY_OUT}")
    return inside


def _outcome(outcome: Mapping[str, Any], where: str) -> dict[str, Any]:
    side = SIDE_WORDS.get(str(outcome.get("name", "")).lower())
    player, point = outcome.get("description"), outcome.get("point")
    number = isinstance(point, int | float) and not isinstance(point, bool) and math.isfinite(point)
    problems = []
    if side is None:
        problems.append(f"{where}, name: found {shown(outcome.get('name'))}, expected Over or Under; {WAY_OUT}")
    if not isinstance(player, str) or not player.strip():
        problems.append(f"{where}, description: found {shown(player)}, expected a player's name; {WAY_OUT}")
    if not number or not 0 <= float(point or 0) <= HIGHEST_LINE:
        problems.append(f"{where}, point: found {shown(point)}, expected {LINE.expected}; drop the outcome")
    price = outcome.get("price")
    if price is None:
        problems.append(f"{where}, price: found an empty cell, expected a price; drop the outcome")
    return {
        "PLAYER": str(player).strip(),
        "LINE": float(point) if number and point is not None else math.nan,
        "SIDE": side,
        "PRICE": price,
        "where": where,
        "problems": problems,
    }


def _time(value: Any, where: str, *, needed: bool = False) -> pd.Timestamp | None:
    if value is None and not needed:
        return None
    try:
        stamp = pd.Timestamp(str(value)) if value is not None else pd.NaT
    except ValueError:
        stamp = pd.NaT
    if pd.isna(stamp):
        raise DataError(f"{where}: found {shown(value)}, expected a time such as 2024-01-05T23:25:44Z; {WAY_OUT}")
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
