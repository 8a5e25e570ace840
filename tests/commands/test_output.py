"""One content, four formats."""

from __future__ import annotations

import json
import math

import pytest

from pytest_nbaprops.commands.output import FORMATS, Report, Table, cell_text, show

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
    assert "━" in said


def test_cells() -> None:
    """Yes and no, nothing, and a format of one's own."""
    assert [cell_text(value) for value in (True, None, 3, 0.5)] == ["yes", "-", "3", "0.5000"]
    assert cell_text(0.5, "+.2f") == "+0.50"
    assert set(FORMATS) == {"table", "csv", "json", "md"}
