"""Valid game logs and everything that exports, spreadsheets and hands do to them, to compose at random."""

from __future__ import annotations

import csv
import gzip
import io
import random
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import pandas as pd
import pyarrow as pa

from tests.data.logs import COLUMNS

Outcome = Literal["read", "told", "refused", "either"]
"""What must come of it: the same games; games with a remark, or a refusal; a refusal; anything but a crash."""

TEAMS: Final = (("BOS", 1610612738), ("NYK", 1610612752), ("DEN", 1610612743), ("LAL", 1610612747))
DATES: Final = ("2023-10-24", "2023-11-03", "2024-01-05", "2024-02-29", "2024-04-14")
COUNTS: Final = ("FGM", "REB", "AST", "TOV", "PTS")


@dataclass(kw_only=True)
class Log:
    """A log on its way to a file: cells first, then text, then bytes; `columns` still to be compared at the end."""

    rng: random.Random
    header: list[str]
    rows: list[list[str]]
    columns: list[str] = field(default_factory=list)
    outcome: Outcome = "read"
    remarks: list[str] = field(default_factory=list)
    text: list[Callable[[str], str]] = field(default_factory=list)
    encode: Callable[[str], bytes] = str.encode
    pack: tuple[str, Callable[[bytes], bytes]] = ("games.csv", bytes)
    folder: list[Callable[[Path], None]] = field(default_factory=list)
    ordinary: list[list[str]] = field(default_factory=list)

    def at(self, column: str) -> int | None:
        names = [name.upper() for name in self.header]
        return names.index(column) if column in names else None

    def some(self) -> list[str]:
        return self.rng.choice(self.ordinary)

    def set(self, row: list[str], column: str, value: str) -> bool:
        """Whether that changed something."""
        position = self.at(column)
        if position is None or position >= len(row) or row[position] == value:
            return False
        row[position] = value
        return True

    def each(self, column: str, change: Callable[[str], str]) -> bool:
        position = self.at(column)
        cells = [(row, row[position]) for row in self.ordinary if position is not None and position < len(row)]
        return sum(self.set(row, column, change(cell)) for row, cell in cells) > 0

    def refuse(self) -> None:
        self.outcome = "refused"

    def tell(self) -> None:
        if self.outcome == "read":
            self.outcome = "told"
        self.columns = []

    def let_go(self) -> None:
        self.outcome, self.columns = "either", []


def valid_log(seed: int) -> Log:
    """A few games of a few players each, every rule kept."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    rows = []
    for number, date in enumerate(sorted(rng.choices(DATES, k=rng.randint(1, 4))), start=1):
        home, away = rng.sample(TEAMS, 2)
        for side, other, mark in ((home, away, "vs."), (away, home, "@")):
            players = rng.sample(range(1, 6), rng.randint(1, 3))
            game = {
                "GAME_ID": f"{22300000 + number:010d}",
                "GAME_DATE": date,
                "MATCHUP": f"{side[0]} {mark} {other[0]}",
            }
            rows += [_row(rng, side, player, game) for player in players]
    return Log(rng=rng, header=list(COLUMNS), rows=rows, columns=list(COLUMNS), ordinary=list(rows))


def _row(rng: random.Random, team: tuple[str, int], player: int, game: dict[str, str]) -> list[str]:
    abbreviation, team_id = team
    made, threes, free, offensive, defensive = (rng.randint(0, 4) for _ in range(5))
    made += threes
    box = {
        "SEASON_ID": "22023", "PLAYER_ID": f"{team_id % 100}{player:02d}",
        "PLAYER_NAME": f"Jokić {abbreviation}{player}",
        "TEAM_ID": str(team_id), "TEAM_ABBREVIATION": abbreviation, "TEAM_NAME": f"Team {abbreviation}",
        "WL": rng.choice("WL"), **game,
        "MIN": str(rng.randint(1, 45)), "FGM": str(made), "FGA": str(made + 3), "FG_PCT": f"{made / (made + 3):.3f}",
        "FG3M": str(threes), "FG3A": str(threes + 1), "FG3_PCT": f"{threes / (threes + 1):.3f}", "FTM": str(free),
        "FTA": str(free + 1), "FT_PCT": f"{free / (free + 1):.3f}", "OREB": str(offensive), "DREB": str(defensive),
        "REB": str(offensive + defensive), "AST": "3", "STL": "1", "BLK": "0", "TOV": "2", "PF": "4",
        "PTS": str(2 * made + threes + free), "PLUS_MINUS": str(rng.randint(-20, 20)), "FANTASY_PTS": "22.5",
        "VIDEO_AVAILABLE": "1", "SEASON": "2023-24",
    }  # fmt: skip
    return [box[name] for name in COLUMNS]


def write(log: Log, folder: Path) -> Path:
    """The damaged log as a file, or as a folder of files where a damage asks for one; what to read."""
    name, pack = log.pack
    text = "".join(f"{_line(cells)}\n" for cells in [log.header, *log.rows])
    for change in log.text:
        text = change(text)
    path = folder / name
    path.write_bytes(pack(log.encode(text)))
    for add in log.folder:
        add(path)
    return folder if log.folder else path


def _line(cells: list[str]) -> str:
    return ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)


# cells


def _value(column: str, value: str) -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        if log.set(log.some(), column, value):
            log.refuse()

    damage.__name__ = f"{column} = {value!r}"
    return damage


def _form(column: str, change: Callable[[str], str], outcome: Outcome, remark: str = "") -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        if not log.each(column, change):
            return
        if remark:
            log.remarks.append(remark)
        if outcome != "read":
            log.refuse()

    examples = {"GAME_ID": "0022300061", "GAME_DATE": "2024-01-05", "FG_PCT": "0.471"}
    damage.__name__ = f"{column} as {change(examples.get(column, '34'))!r}"
    return damage


def _day(form: str) -> Callable[[str], str]:
    # A date that another damage has changed already is left to it.
    def change(text: str) -> str:
        try:
            return f"{pd.Timestamp(text[:10]):{form}}" if text[4:5] == "-" and len(text) == 10 else text
        except ValueError:
            return text

    return change


def _in_percent(text: str) -> str:
    return f"{float(text) * 100 + 1.5}" if re.fullmatch(r"0\.\d+", text) else text


def _drop_column(log: Log) -> None:
    if any(len(row) != len(log.header) for row in log.rows):
        return  # a row of another width has no such cell to drop
    position = log.rng.randrange(len(log.header))
    name = log.header.pop(position)
    for row in log.rows:
        del row[position]
    if name.upper() in log.columns:
        log.columns.remove(name.upper())
    optional = ("SEASON_ID", "TEAM_NAME", "WL", "FG_PCT", "FG3_PCT", "FT_PCT", "PLUS_MINUS", "FANTASY_PTS",
                "VIDEO_AVAILABLE", "SEASON")  # fmt: skip
    if name.upper() not in optional:
        log.refuse()


def _merge_columns(log: Log) -> None:
    position = log.at("GAME_ID") or 0
    for cells in (log.header, *log.rows):
        cells[position : position + 2] = [" ".join(cells[position : position + 2])]
    log.refuse()


def _other_width(log: Log, row: list[str]) -> None:
    """A row of another width than the header is refused; one that fits again has its numbers in other columns."""
    if len(row) >= len(log.header) and not any(row[len(log.header) :]):
        log.tell()
    else:
        log.refuse()


def _merge_cells(log: Log) -> None:
    row, position = log.some(), log.rng.randrange(5, 25)
    row[position : position + 2] = [" ".join(row[position : position + 2])]
    _other_width(log, row)


def _drop_cell(log: Log) -> None:
    row = log.some()
    del row[log.rng.randrange(5, 25)]
    _other_width(log, row)


def _bare_decimal_comma(log: Log) -> None:
    row = log.some()
    row.insert((log.at("MIN") or 4) + 1, "2")
    _other_width(log, row)


def _shifted_row(log: Log) -> None:
    """A decimal comma and a missing cell: as wide as the header, and every number between them one column off."""
    row, first, last = log.some(), log.at("MIN"), log.at("PLUS_MINUS")
    if first is not None and last is not None and first < last and len(row) == len(log.header):
        del row[last]
        row.insert(first + 1, "2")
        log.tell()


def _repeat_row(log: Log) -> None:
    log.rows.append(list(log.some()))
    log.refuse()


def _repeat_header(log: Log) -> None:
    log.rows.insert(log.rng.randint(1, len(log.rows)), list(log.header))
    log.remarks.append("the header repeated")


def _blank_row(log: Log) -> None:
    log.rows.insert(log.rng.randint(0, len(log.rows)), [" " * log.rng.randint(0, 2) for _ in log.header])


def _trailing_cells(log: Log) -> None:
    for row in log.rows:
        row.append("")


def _other_case(log: Log) -> None:
    change = log.rng.choice([str.lower, str.title])
    if log.header != [change(name) for name in log.header]:
        log.remarks.append("read as the column")
    log.header = [change(name) for name in log.header]


def _shuffle_columns(log: Log) -> None:
    order = log.rng.sample(range(len(log.header)), len(log.header))
    if all(len(row) == len(log.header) for row in log.rows):
        for cells in (log.header, *log.rows):
            cells[:] = [cells[position] for position in order]


def _all_star(log: Log) -> None:
    """Rows of an exhibition, whose teams and players are none of the league's."""
    row = list(log.ordinary[0])
    for column, value in {"GAME_ID": "0032300001", "SEASON_ID": "32023", "MATCHUP": "EST v WST", "PTS": "211"}.items():
        log.set(row, column, value)
    log.rows.append(row)
    log.remarks.append("exhibitions are left out: 1 all-star game")


# text and bytes


def _text(name: str, change: Callable[[str, random.Random], str], outcome: Outcome = "read") -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        log.text.append(lambda text: change(text, log.rng))
        if outcome == "refused":
            log.refuse()
        elif outcome == "either":
            log.let_go()

    damage.__name__ = name
    return damage


def _quote_all(log: Log) -> None:
    def quoted(text: str) -> str:
        rows = csv.reader(io.StringIO(text))
        sink = io.StringIO()
        csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        return sink.getvalue()

    log.text.append(quoted)


def _stray_quotes(text: str, rng: random.Random) -> str:
    """Two quotes before two names: what stands between them would be one cell."""
    lines = text.split("\n")
    hit = [number for number, line in enumerate(lines) if ",Jokić" in line]
    for number in rng.sample(hit, min(2, len(hit))):
        lines[number] = lines[number].replace(",Jokić", ',"Jokić', 1)
    return "\n".join(lines)


def _blank_lines(text: str, rng: random.Random) -> str:
    return "".join(line + rng.choice(["\n", "\n\n", "\n  \n"]) for line in text.split("\n") if line)


def _cut(text: str, rng: random.Random) -> str:
    return text[: -rng.randint(2, 100)]


def _encoded(encoding: str, outcome: Outcome) -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        log.encode = lambda text: text.encode(encoding, errors="replace" if encoding != "utf-8-sig" else "strict")
        if outcome == "refused":
            log.refuse()

    damage.__name__ = encoding
    return damage


def _latin(log: Log) -> None:
    log.each("PLAYER_NAME", lambda name: name.replace("ć", "é"))
    log.encode = lambda text: text.encode("latin-1", errors="replace")
    log.refuse()


def _packed(
    name: str, pack: Callable[[bytes, random.Random], bytes], outcome: Outcome = "read"
) -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        log.pack = (name, lambda content: pack(content, log.rng))
        if outcome == "refused":
            log.refuse()
        elif outcome == "either":
            log.let_go()

    damage.__name__ = f"{name} {outcome}"
    return damage


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 5)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _flip_bytes(log: Log) -> None:
    log.pack = ("games.csv", lambda content: _flipped(content, log.rng))
    log.let_go()


def _parquet(content: bytes, change: Callable[[pd.DataFrame], pd.DataFrame]) -> bytes:
    try:
        with warnings.catch_warnings(action="ignore"):
            raw = pd.read_csv(io.BytesIO(content), dtype=str, index_col=False)
    except ValueError:  # then it is no Parquet file
        return content
    sink = io.BytesIO()
    try:
        change(raw).to_parquet(sink)
    except (ValueError, TypeError, KeyError, pa.ArrowException):  # other damages are in the way of this one
        sink = io.BytesIO()
        raw.to_parquet(sink)
    return sink.getvalue()


def _days(raw: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(raw["GAME_DATE"], format="%Y-%m-%d")


def _in_parquet(
    name: str, change: Callable[[pd.DataFrame], pd.DataFrame], outcome: Outcome = "read"
) -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        log.pack = ("games.parquet", lambda content: _parquet(content, change))
        if outcome == "refused":
            log.refuse() if set(COLUMNS) == set(log.header) else log.let_go()
        # pandas, which writes the file, makes something else of much that is damaged.
        elif log.outcome != "read" or log.text or log.encode is not str.encode or log.rows != log.ordinary:
            log.let_go()

    damage.__name__ = f"parquet {name}"
    return damage


# folders


def _second_file(change: Callable[[str], str], outcome: Outcome) -> Callable[[Log], None]:
    def damage(log: Log) -> None:
        def add(path: Path) -> None:
            (path.parent / "more.csv").write_text(
                change(path.read_text(encoding="utf-8", errors="replace")), encoding="utf-8"
            )

        log.folder.append(add)
        if outcome == "refused":
            log.refuse()

    damage.__name__ = "a second file"
    return damage


def _folder_called_csv(log: Log) -> None:
    log.folder.append(lambda path: (path.parent / "x.csv").mkdir(exist_ok=True))
    log.remarks.append("a folder called like a data file")


def _split(log: Log) -> None:
    """The later half of the rows in a file of its own."""

    def add(path: Path) -> None:
        lines = path.read_bytes().split(b"\n")
        middle = len(lines) // 2
        path.write_bytes(b"\n".join(lines[:middle]))
        (path.parent / "later.csv").write_bytes(b"\n".join([lines[0], *lines[middle:]]))

    if len(log.rows) > 3 and not log.text and log.encode is str.encode:
        log.folder.append(add)


BAD_CELLS: Final = [
    *(
        _value(column, value)
        for column in COUNTS
        for value in ("-", "NULL", "nan", "1e999", "99999", "-3", "12%", "1_0")
    ),
    *(_value("MIN", value) for value in ("34,2", "34:72", "2052", "-1", "34:12:00", "NULL")),
    *(_value("FG_PCT", value) for value in ("47.1%", "47.1", "0,471", "-0.2")),
    *(_value("TEAM_ID", value) for value in ("1.61E+09", "", "-1", "NULL", "1e400", "9007199254740993")),
    *(_value("PLAYER_ID", value) for value in ("2.03E+06", "1.5", "-", "0")),
    *(_value("GAME_ID", value) for value in ("2.23E+07", '="0022300001"', "'0022300001", "NULL", "99022300001")),
    *(
        _value("GAME_DATE", value)
        for value in ("45297", "2024-02-30", "NULL", "2024-01-05T19:30:00-05:00", "0000-00-00")
    ),
    *(_value("MATCHUP", value) for value in ("bos vs. nyk", "BOS-NYK", "-", "")),
    _value("PLAYER_NAME", "null"),
    _value("SEASON", "1999-00"),
    _value("PLUS_MINUS", "1e7"),
]
FORMS: Final = [
    *(_form("GAME_DATE", _day(form), "read") for form in ("%b %d, %Y",)),
    *(_form("GAME_DATE", _day(form), "refused") for form in ("%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d %B %Y")),
    *(
        _form("GAME_DATE", _day(f"%Y-%m-%d{zone}"), "read", "GAME_DATE with a time or a zone")
        for zone in ("T00:00:00Z", "T00:00:00+02:00", " 00:00:00")
    ),
    _form("GAME_DATE", _day("%Y-%m-%dT00:30:00Z"), "refused"),
    _form("GAME_ID", lambda text: text.lstrip("0"), "read", "GAME_ID without its leading zeros"),
    _form("PLAYER_ID", lambda text: f"{text}.0" if text.isdigit() else text, "read"),
    _form("MIN", lambda text: f"{text}:00" if text.isdigit() else text, "read", "MIN in minutes and seconds"),
    _form("FG_PCT", _in_percent, "refused"),
    _form("FGA", lambda text: f"{text}.0" if text.isdigit() else text, "read"),
    _form("AST", lambda text: f" {text} ", "read"),
]
SHAPES: Final = [
    _drop_column, _merge_columns, _merge_cells, _drop_cell, _bare_decimal_comma, _shifted_row, _repeat_row,
    _repeat_header, _blank_row, _trailing_cells, _other_case, _shuffle_columns, _all_star,
]  # fmt: skip
TEXTS: Final = [
    _encoded("utf-8-sig", "read"),
    _encoded("utf-16", "refused"),
    _encoded("utf-32", "refused"),
    _latin,
    _text("windows line ends", lambda text, _: text.replace("\n", "\r\n")),
    _text("old mac line ends", lambda text, _: text.replace("\n", "\r")),
    _text("blank lines", _blank_lines),
    _text("no last line end", lambda text, _: text.rstrip("\n")),
    *(_text(f"separator {mark!r}", lambda text, _, mark=mark: text.replace(",", mark), "refused") for mark in ";\t|"),  # type: ignore[misc]
    _text("stray quotes", _stray_quotes, "refused"),
    _text("cut off", _cut, "either"),
    _quote_all,
]
CONTAINERS: Final = [
    _packed("games.csv.gz", lambda content, _: gzip.compress(content)),
    _packed("games.csv.zst", lambda content, _: bytes(pa.compress(content, "zstd", asbytes=True))),
    _packed("games.csv.gz", lambda content, rng: gzip.compress(content)[: -rng.randint(1, 60)], "refused"),
    _packed(
        "games.csv.zst",
        lambda content, rng: bytes(pa.compress(content, "zstd", asbytes=True))[: -rng.randint(1, 60)],
        "refused",
    ),
    _packed("games.csv", lambda content, _: gzip.compress(content), "refused"),
    _packed("games.csv.gz", lambda content, rng: _flipped(gzip.compress(content), rng), "either"),
    _flip_bytes,
    _in_parquet("of text", lambda raw: raw),
    _in_parquet("of categories", lambda raw: raw.astype("category")),
    _in_parquet("of bytes", lambda raw: raw.map(lambda cell: cell.encode() if isinstance(cell, str) else None)),
    _in_parquet("of days", lambda raw: raw.assign(GAME_DATE=_days(raw))),
    _in_parquet("of days in New York", lambda raw: raw.assign(GAME_DATE=_days(raw).dt.tz_localize("US/Eastern"))),
    _in_parquet(
        "of ids in float32",
        lambda raw: raw.assign(
            GAME_ID=raw["GAME_ID"].astype(float),
            TEAM_ID=raw["TEAM_ID"].astype("int64"),
            AST=raw["AST"].astype("float32"),
        ),
    ),
    _in_parquet(
        "with lists", lambda raw: raw.assign(PLAYER_NAME=raw["PLAYER_NAME"].map(lambda name: [name])), "refused"
    ),
    _in_parquet("with yes and no", lambda raw: raw.assign(PTS=True), "refused"),
    _second_file(lambda text: text, "refused"),
    _second_file(lambda text: text.split("\n")[0] + "\n", "refused"),
    _second_file(lambda _: "", "refused"),
    _folder_called_csv,
    _split,
]
DAMAGES: Final = [*BAD_CELLS, *FORMS, *SHAPES, *TEXTS, *CONTAINERS]
