"""What GitHub Actions is told, and that no name can tell it anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.reports.github import MOST_ANNOTATIONS, MOST_BYTES, annotation_lines, outputs, short, tell_github
from tests.reports.documents import CRITERIA, HOSTILE, candidate_of, criterion, document_of, hostile_document

LEAK = {"group": "hot_hand", "columns": ["hot_hand"], "kind": "future outcomes", "example": None}


def parsed(text: str) -> dict[str, str]:
    """The outputs as the runner reads them."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        value = []
        for inner in lines:
            if inner == end:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The variables of a step, with a report in the workspace."""
    (tmp_path / "nbaprops-report").mkdir()
    (tmp_path / "nbaprops-report" / "summary.md").write_text("## PROMOTE\n", encoding="utf-8")
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    return {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path), **files}


def of(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    document = document_of(**changes)
    settings = {**document["settings"], "rootdir": str(tmp_path / "sub"), "report": str(tmp_path / "nbaprops-report")}
    return {**document, "settings": settings}


def test_summary_and_outputs_are_appended(tmp_path: Path, runner: dict[str, str]) -> None:
    """verdict, mae, model_version, run_id and the decision's path, beside what other steps wrote."""
    Path(runner["GITHUB_OUTPUT"]).write_text("other=1\n", encoding="utf-8")
    assert tell_github(of(tmp_path), {}, runner) == []
    assert Path(runner["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8") == "## PROMOTE\n"
    text = Path(runner["GITHUB_OUTPUT"]).read_text(encoding="utf-8")
    assert text.startswith("other=1\n")
    assert parsed(text.partition("\n")[2]) == {
        "verdict": "PROMOTE",
        "mae": "5.844",
        "model_version": "",
        "run_id": "71d3fea8f1184ca2be25c6b8a149f5f3",
        "decision": str(tmp_path / "nbaprops-report" / "decision.json"),
    }


def test_elsewhere_nothing_is_told(tmp_path: Path, runner: dict[str, str]) -> None:
    """Outside of GitHub Actions, and where nothing is decided."""
    assert tell_github(of(tmp_path), {}, {**runner, "GITHUB_ACTIONS": "false"}) == []
    assert tell_github(of(tmp_path, promote_mode="off"), {}, runner) == []
    assert not Path(runner["GITHUB_OUTPUT"]).exists()


def test_what_cannot_be_written_is_an_annotation(tmp_path: Path, runner: dict[str, str]) -> None:
    """The decision stays the decision."""
    (told,) = tell_github(of(tmp_path), {}, {**runner, "GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "folder")})
    assert told.startswith("::warning title=nbaprops::GitHub cannot be told")


def test_annotations_stand_on_the_code(tmp_path: Path, runner: dict[str, str]) -> None:
    """A leak on its group's line, a criterion on its test's, with the path from the workspace."""
    rows = [criterion("mae <= 5", "failed", reason="mae is 5.844"), CRITERIA[0]]
    candidate = candidate_of(verdict="REJECT", leaks=[LEAK], criteria=rows, reasons=["leak in hot_hand"])
    document = of(tmp_path) | {"verdict": "REJECT", "candidates": [candidate]}
    places = {"hot_hand": ("tests/conftest.py", 8), "advanced": ("tests/test_props.py", 5)}
    assert tell_github(document, places, runner) == [
        (
            "::error file=sub/tests/conftest.py,line=8,title=hot_hand::leak in hot_hand: future outcomes (hot_hand); "
            "later games are in it: no mean over the whole season, no shift(-1), no bfill, and no values on other rows "
            "(reset_index)"
        ),
        "::error file=sub/tests/test_props.py,line=5,title=advanced::mae <= 5: mae is 5.844",
    ]


def test_there_are_at_most_ten() -> None:
    """The last one says how many are left out."""
    rows = [criterion(f"mae <= {number}", "failed") for number in range(25)]
    told = list(annotation_lines(document_of(candidate_of(criteria=rows)), {}))
    assert len(told) == MOST_ANNOTATIONS
    assert told[-1] == "::error title=nbaprops::16 more are in the job's summary"


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_is_a_command(name: str) -> None:
    """An annotation stays one line and one command, an output stays its own value."""
    document = hostile_document(name)
    for line in annotation_lines(document, {name: (name[:50], 3)}):
        assert len(line.splitlines()) == 1
        command = re.fullmatch(r"::(error|warning) ((?:[a-z]+=[^,:]*,?)*)::.*", line)
        assert command, line
        keys = [part.partition("=")[0] for part in command[2].split(",")]
        assert keys in (["file", "line", "title"], ["title"])
        assert "%0A" not in line.replace("%250A", "")
    found = parsed(outputs(document, Path("/x/decision.json")))
    assert list(found) == ["verdict", "mae", "model_version", "run_id", "decision"]
    assert found["verdict"] == "REJECT"


def test_a_long_summary_is_cut_where_github_would_refuse_it() -> None:
    """At a line's end, and it says so."""
    made = short("é" * 99 + "\n" + "line\n" * 300_000)
    assert len(made.encode()) < MOST_BYTES + 200 < 1024 * 1024
    assert made.endswith("longer than GitHub shows: all of it is in the report.\n")
