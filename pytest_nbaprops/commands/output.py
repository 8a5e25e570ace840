"""Tables on the terminal, plain text in a pipe, CSV, JSON and Markdown of the same content."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from pytest_nbaprops.spreadsheet import cell

if TYPE_CHECKING:
    from rich.console import Console

FORMATS: Final = ("table", "csv", "json", "md")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
NOTHING: Final = "-"
BETWEEN: Final = 2  # blanks between two columns
NARROWEST: Final = 16  # a column of text is not folded below this

Cell = str | float | int | bool | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells.

    Attributes:
        best: (row, column) positions to mark.
        texts: how a column's numbers are written.
        folding: columns of text that may go on in the next line on a narrow terminal; others are never broken.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str | None = None
    best: frozenset[tuple[int, int]] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)
    folding: Collection[str] = ()

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers alone, which stand at the right."""
        kinds = {type(row[column]) for row in self.rows if row[column] is not None}
        return bool(kinds) and kinds <= {int, float}

    def shown(self, row: int, column: int) -> str:
        """A cell as people read it, the best ones with a star."""
        text = cell_text(self.rows[row][column], self.texts.get(self.columns[column], ".4f"))
        return f"{text} *" if (row, column) in self.best else text


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a command says: tables, the first of them the main one, remarks, and the same as a JSON document."""

    tables: Sequence[Table]
    document: Any
    notes: Sequence[str] = ()


def format_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--format table|csv|json|md`."""
    text = "table: aligned text; csv: the main table only, remarks go to stderr."
    choice = click.Choice(FORMATS)
    return click.option("--format", "style", type=choice, default="table", show_default=True, help=text)(command)


def show(report: Report, style: str) -> None:
    styles: dict[str, Callable[[Report], None]] = {
        "table": _show_rich if sys.stdout is not None and sys.stdout.isatty() else _show_plain,
        "csv": _show_csv,
        "json": lambda asked: click.echo(json.dumps(finite(asked.document), indent=2, allow_nan=False, default=str)),
        "md": _show_markdown,
    }
    styles[style](report)


def cell_text(value: Cell, number: str = ".4f") -> str:
    """A dash for nothing; control characters, which could steer a terminal, are taken out."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format(value, number)
    return " ".join(_CONTROL.sub("", str(value)).split())


def finite(value: Any) -> Any:
    """The document with NaN and infinity as None, as JSON has neither."""
    if isinstance(value, Mapping):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _texts(table: Table) -> list[list[str]]:
    return [[table.shown(row, column) for column in range(len(table.columns))] for row in range(len(table.rows))]


def _show_plain(report: Report) -> None:
    for position, table in enumerate(report.tables):
        if position:
            click.echo()
        if table.title:
            click.echo(cell_text(table.title))
        for line in aligned(table):
            click.echo(line)
    for note in report.notes:
        click.echo(cell_text(note))


def aligned(table: Table) -> list[str]:
    """Header and rows in columns two blanks apart, numbers to the right."""
    rows = [list(table.columns), *_texts(table)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    right = [table.is_number(column) for column in range(len(table.columns))]
    return [
        "  ".join(
            text.rjust(width) if numeric else text.ljust(width)
            for text, width, numeric in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def _show_rich(report: Report) -> None:
    """For the terminal's width: columns of text fold, and a table that is still too wide goes on below itself."""
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False)
    for position, table in enumerate(report.tables):
        if position:
            console.print()
        if table.title:
            console.print(Text(cell_text(table.title)))
        for number, part in enumerate(_parts(table, console.width)):
            if number:
                console.print()
            _draw(console, table, part)
    for note in report.notes:
        console.print(Text(cell_text(note)))


def _draw(console: Console, table: Table, part: Sequence[int]) -> None:
    """Some of the table's columns; as plain lines where not even they fit."""
    widths = _widths(table, part, console.width)
    if widths is None:
        console.print("\n".join(aligned(table)), soft_wrap=True)
        return
    from rich import box  # noqa: PLC0415 - only on a terminal
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    rich = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for column, width in zip(part, widths, strict=True):
        side: Literal["left", "right"] = "right" if table.is_number(column) else "left"
        name = Text(table.columns[column])
        rich.add_column(name, justify=side, overflow="fold", width=width)
    for row in range(len(table.rows)):
        best = ["bold green" if (row, column) in table.best else "" for column in part]
        rich.add_row(*(Text(table.shown(row, column), style=style) for column, style in zip(part, best, strict=True)))
    console.print(rich)


def _parts(table: Table, room: int) -> list[list[int]]:
    """All columns, or groups of them that fit, each with the first column, which says whose row it is."""
    parts: list[list[int]] = [[]]
    for column in range(len(table.columns)):
        tried = [*parts[-1], column]
        if len(parts[-1]) > 1 and _widths(table, tried, room) is None:
            parts.append([0, column])
        else:
            parts[-1] = tried
    return parts


def _widths(table: Table, part: Sequence[int], room: int) -> list[int] | None:
    """The columns' widths, those that may fold made narrower where they must be; None where that is not enough."""
    from rich.cells import cell_len  # noqa: PLC0415 - only on a terminal

    names, rows = [table.columns[column] for column in part], range(len(table.rows))
    widths = [
        max(map(cell_len, (name, *(table.shown(row, column) for row in rows))))
        for name, column in zip(names, part, strict=True)
    ]
    over = sum(widths) + BETWEEN * (len(part) - 1) - room
    for at in sorted(range(len(part)), key=lambda at: -widths[at]):
        least = min(widths[at], max(NARROWEST, len(names[at])))
        if over > 0 and names[at] in table.folding:
            saved = min(over, widths[at] - least)
            widths[at], over = widths[at] - saved, over - saved
    return widths if over <= 0 else None


def _show_csv(report: Report) -> None:
    table = report.tables[0]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        texts = [_raw(value) for value in row]
        writer.writerow(["" if cell_text(value) == NOTHING else text for value, text in zip(row, texts, strict=True)])
    click.echo(text.getvalue(), nl=False)
    for note in report.notes:
        click.echo(cell_text(note), err=True)


def _raw(value: Cell) -> str:
    """Every digit, and True or False as pandas writes them: a CSV file is read by programs."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return str(cell(cell_text(value)))  # nothing that a spreadsheet would compute
    return repr(value) if isinstance(value, float) else cell_text(value)


def _show_markdown(report: Report) -> None:
    for table in report.tables:
        if table.title:
            click.echo(f"### {_escaped(table.title)}\n")
        rule = ["---:" if table.is_number(column) else "---" for column in range(len(table.columns))]
        for row in (list(table.columns), rule, *_texts(table)):
            click.echo(f"| {' | '.join(_escaped(text) for text in row)} |")
        click.echo()
    for note in report.notes:
        click.echo(f"- {_escaped(cell_text(note))}")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
