"""One content, four formats."""

from __future__ import annotations

import json
import math
import re

import pytest

from pytest_nbaprops.commands.output import FORMATS, Cell, Report, Table, cell_text, show

REPORT = Report(
    tables=[
        Table(
            columns=["run", "mae", "n"],
            rows=[["a|b", 6.123456789, 12], ["\x1b[31mred\nline", math.nan, None]],
            best=frozenset({(0, 1)}),
        ),
        Table(title="More", columns=["x"], rows=[[1]]),
    ],
    notes=["a note"],
    document={"mae": [6.1, math.inf]},
)


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            "table",
            "run         mae       n\na|b         6.1235 *  12\n[31mred line  -          -\n\nMore\nx\n1\na note\n",
        ),
        ("csv", "run,mae,n\na|b,6.123456789,12\n[31mred line,,\n"),
        (
            "md",
            (
                "| run | mae | n |\n| --- | ---: | ---: |\n| a\\|b | 6.1235 * | 12 |\n| [31mred line | - | - |\n\n"
                "### More\n\n| x |\n| ---: |\n| 1 |\n\n- a note\n"
            ),
        ),
    ],
)
def test_formats_for_people_and_programs(capsys: pytest.CaptureFixture[str], style: str, expected: str) -> None:
    """Numbers to the right, a star at the best, every digit in CSV, and nothing that could steer a terminal."""
    show(REPORT, style)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert said.replace(" ", "") == expected.replace(" ", "")


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """Infinity is null."""
    show(REPORT, "json")
    assert json.loads(capsys.readouterr().out) == {"mae": [6.1, None]}


def test_a_terminal_gets_a_drawn_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same content, with lines around it, and no markup out of a run's name."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(Report(tables=[Table(columns=["run"], rows=[["[bold]name[/bold]"]])], document=None), "table")
    said = capsys.readouterr().out
    assert "[bold]name[/bold]" in said
    assert "─" in said


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_breaks_text_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Numbers, dates and ids stay whole; what does not fit goes on below, with the first column again."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ["run", "name", "started", "mae", "rmse", "dataset", "commit", "verdict"]
    row: list[Cell] = ["a1b2c3d4", "2024-01-05_p1_advanced_walkforward_v1", "2024-01-05 19:30", 6.1, 7.9]
    row += ["d" * 12, "c" * 18, "OK"]
    show(Report(tables=[Table(columns=columns, rows=[row], folding=("name",))], document=None), "table")
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, said.splitlines())) <= width
    assert all(text in said for text in ("2024-01-05 19:30", "6.1000", "7.9000", "d" * 12, "c" * 18))
    assert said.count("a1b2c3d4") > 1


def test_cells() -> None:
    """Yes and no, nothing, and a format of one's own."""
    assert [cell_text(value) for value in (True, None, 3, 0.5)] == ["yes", "-", "3", "0.5000"]
    assert cell_text(0.5, "+.2f") == "+0.50"
    assert set(FORMATS) == {"table", "csv", "json", "md"}
