"""What GitHub Actions shows of a decision: the job summary, annotations on the code, and the step's outputs.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pytest_nbaprops.leaks.leak import leak_text
from pytest_nbaprops.reports import wording
from pytest_nbaprops.reports.text import plain
from pytest_nbaprops.tracking.artifacts import DECISION, SUMMARY

MOST_ANNOTATIONS: Final = 10
"""GitHub shows no more of a kind and step."""
MOST_BYTES: Final = 1_000_000
"""GitHub refuses a step's summary above 1 MiB, all of it."""

Places = Mapping[str, tuple[str, int]]


def tell_github(document: Mapping[str, Any], places: Places, environment: Mapping[str, str] | None = None) -> list[str]:
    """Append to the files that GitHub's runner names, and give the annotations, a line each to be printed.

    Nothing where the session does not run in GitHub Actions, or decides nothing. A file that cannot be written is
    one more annotation, never an error. `places` are the file, relative to the rootdir, and line of groups and tests.
    """
    variables = os.environ if environment is None else environment
    if variables.get("GITHUB_ACTIONS") != "true" or document["promote_mode"] == "off":
        return []
    root = Path(document["settings"]["rootdir"])
    report = Path(document["settings"]["report"])
    # Annotations name files from the workspace's root, ours are from the rootdir.
    workspace = variables.get("GITHUB_WORKSPACE")
    inside = root.relative_to(workspace).as_posix() if workspace and root.is_relative_to(workspace) else "."
    told = list(annotation_lines(document, places, prefix="" if inside == "." else f"{inside}/"))
    try:
        summary = (report / SUMMARY).read_text(encoding="utf-8") if (report / SUMMARY).is_file() else ""
        _append(variables.get("GITHUB_STEP_SUMMARY"), short(summary))
        _append(variables.get("GITHUB_OUTPUT"), outputs(document, report / DECISION))
    except OSError as error:
        told.append(f"::warning title=nbaprops::{_data(f'GitHub cannot be told: {error.strerror}: {error.filename}')}")
    return told


def outputs(document: Mapping[str, Any], decision: Path) -> str:
    """`verdict`, `mae`, `model_version`, `run_id` and `decision` as GitHub's file of outputs has them."""
    leader = wording.leading(document) or {}
    values = {
        "verdict": document["verdict"],
        "mae": (leader.get("metrics") or {}).get("mae"),
        "model_version": leader.get("model_version"),
        "run_id": leader.get("run_id"),
        "decision": decision,
    }
    # A value may not end its own entry: the delimiter is one that nobody could have known.
    end = f"end-{secrets.token_hex(16)}"
    return "".join(f"{name}<<{end}\n{'' if value is None else plain(value)}\n{end}\n" for name, value in values.items())


def annotation_lines(document: Mapping[str, Any], places: Places, *, prefix: str = "") -> Iterator[str]:
    """Leaks and what did not pass, on the code that it is about; the last one says how many are left out."""
    found = [
        (kind, name, places.get(name), text)
        for candidate in document["candidates"]
        for kind, name, text in _remarks(document, candidate)
    ]
    shown = found if len(found) <= MOST_ANNOTATIONS else found[: MOST_ANNOTATIONS - 1]
    for kind, name, place, text in shown:
        at = f"file={_property(prefix + place[0])},line={place[1]}," if place else ""
        yield f"::{kind} {at}title={_property(plain(name, 100))}::{_data(text)}"
    if len(found) > len(shown):
        yield f"::error title=nbaprops::{len(found) - len(shown)} more are in the job's summary"


def _remarks(document: Mapping[str, Any], candidate: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for leak in candidate["leaks"]:
        yield "error", str(leak.get("group", candidate["name"])), f"leak in {leak_text(leak)}"
    for row in candidate["criteria"]:
        if row["outcome"] == "failed":
            yield "error", candidate["name"], f"{row['expression']}: {row['reason']}"
        elif row["outcome"] == "inconclusive":
            yield "warning", candidate["name"], f"inconclusive: {row['expression']}: {row['reason']}"
    told = [f"{row['expression']}: {row['reason']}" for row in candidate["criteria"]]
    if document["verdict"] != "PROMOTE":
        for reason in candidate["reasons"]:
            if reason not in told and not reason.startswith("leak in "):
                yield "warning", candidate["name"], str(reason)


def short(text: str) -> str:
    """The text, cut at a line's end where GitHub would refuse it."""
    if len(text.encode()) <= MOST_BYTES:
        return text
    kept = text.encode()[:MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nThe summary is longer than GitHub shows: all of it is in the report.\n"


def _append(path: str | None, text: str) -> None:
    if path and text:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")


def _data(text: str) -> str:
    return plain(text).replace("%", "%25")  # no line ends are left in it


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
