"""summary.md: the decision for a GitHub job summary or a pull-request comment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_nbaprops.gate.effect import effect_text
from pytest_nbaprops.leaks.leak import leak_text

MARKS = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "not_applicable": "➖", "skipped": "➖"}  # noqa: RUF001
MODES = {"dry-run": "dry run, nothing registered", "enforce": "enforced", "off": "promotion off"}


def headline(document: Mapping[str, Any]) -> str:
    """The verdict in a few words, and what the decided candidates need to be used."""
    deciding = [c for c in document["candidates"] if c["verdict"] == document["verdict"]]
    needed = sorted({name for candidate in deciding for name in candidate.get("needs_lineups", ())})
    return _headline(document) + (f" (needs lineups: {', '.join(needed)})" if needed else "")


def _headline(document: Mapping[str, Any]) -> str:
    verdict = document["verdict"]
    winner = next((c for c in document["candidates"] if c["verdict"] == "PROMOTE"), None)
    if verdict != "PROMOTE" or winner is None:
        return str(verdict)
    if any(reason.startswith("already v") for reason in winner["reasons"]):
        return f"PROMOTE: {winner['name']} is already v{winner['model_version']}"
    if document["promote_mode"] == "dry-run":
        return f"PROMOTE: {winner['name']} would be promoted (dry run)"
    moved = "is" if document["promoted"] else "already was"
    return f"PROMOTE: {winner['name']} {moved} {document['settings']['alias']} as v{winner['model_version']}"


def markdown(document: Mapping[str, Any]) -> str:
    """The whole decision as Markdown."""
    lines = [f"## {headline(document)}", ""]
    if document["simulated"]:
        lines += ["> Simulated sample league: the figures say nothing about the NBA.", ""]
    lines += [f"- {_cell(reason)}" for reason in document["reasons"]]
    lines += [f"- ⚠️ {_cell(warning)}" for warning in document["warnings"]]
    for candidate in document["candidates"]:
        lines += ["", *_candidate(candidate, has_champion=document["champion"] is not None)]
    lines += ["", _footer(document), ""]
    return "\n".join(lines)


def _candidate(candidate: Mapping[str, Any], *, has_champion: bool) -> list[str]:
    folds, metrics = candidate["folds"], candidate["metrics"]
    done = folds["executed"] + folds["cached"]
    shown = ", ".join(f"{name} {number(metrics.get(name))}" for name in ("mae", "rmse", "r2", "bias"))
    head = f"### {candidate['name']}: {candidate['verdict']}"
    counts = f"{done} of {folds['planned']} folds ({folds['cached']} from the store), {shown}"
    rows = [_row(row) for row in candidate["criteria"]]
    leaks = [f"- 🚫 leak in {_cell(leak_text(leak))}" for leak in candidate["leaks"]]
    effects = [
        f"- {_cell(effect['group'])} ({effect['change']}): {_cell(effect_text(effect))}"
        for effect in candidate.get("attribution", ())
    ]
    attribution = (
        ["", "What each feature group brings (change of MAE, below 0 helps):", "", *effects] if effects else []
    )
    table = ["", "| criterion | value | 95% interval | threshold | outcome |", "|---|---|---|---|---|", *rows]
    return [
        head,
        "",
        counts,
        *(["", *leaks] if leaks else []),
        *(table if rows else []),
        *_market(candidate),
        *(lineage_lines(candidate) if has_champion else []),
        *attribution,
    ]


def _market(candidate: Mapping[str, Any]) -> list[str]:
    """What the candidate is worth against the lines."""
    market = candidate.get("market")
    return ["", "Against the market:", "", *(f"- {_cell(line)}" for line in market["said"])] if market else []


def lineage_lines(candidate: Mapping[str, Any]) -> list[str]:
    """What the candidate's features have more, less or otherwise than the champion's."""
    text = lineage_text(candidate)
    return ["", text] if text else []


def lineage_text(candidate: Mapping[str, Any]) -> str:
    """`features 5c9e…: added opponent; changed form`, against the champion's."""
    lineage = candidate["lineage"]
    parts = [f"{kind} {', '.join(lineage[kind])}" for kind in ("added", "removed", "changed") if lineage[kind]]
    return f"features {lineage['feature_version']} against the champion's: {'; '.join(parts)}" if parts else ""


def _row(row: Mapping[str, Any]) -> str:
    cells = (
        f"`{_cell(row['expression'])}`",
        number(row["value"]),
        interval(row),
        number(row["threshold"]),
        f"{MARKS[row['outcome']]} {_cell(row['reason'])}",
    )
    return "| " + " | ".join(cells) + " |"


def _footer(document: Mapping[str, Any]) -> str:
    dataset = document["dataset"]
    if dataset is None:
        return f"Mode: {MODES[document['promote_mode']]}."
    champion = document["champion"]
    against = f"champion {champion['name']} v{champion['version']} ({champion['alias']})" if champion else "no champion"
    guard = document["leak_guard"]
    looked = f" Leak guard: {guard_line(guard)}." if guard else ""
    return (
        f"Mode: {MODES[document['promote_mode']]}; {against}; test {document['test_window']}; "
        f"{dataset['rows']:,} player-games to {dataset['last_date']}, data `{dataset['digest'][:12]}`.{looked}"
    )


def guard_line(guard: Mapping[str, Any]) -> str:
    """How the leak guard looked, and what it cost."""
    known = f", {guard['groups_known']} known from before" if guard["groups_known"] else ""
    cost = f"{guard['seconds']:.1f} s, {guard['share']:.0%} of the session"
    return f"{guard['groups']} feature groups on {len(guard['dates'])} dates{known}; {cost}"


def number(value: float | None) -> str:
    """Four significant decimals, a dash for what is not known."""
    return "–" if value is None else f"{value:.4f}"  # noqa: RUF001


def interval(row: Mapping[str, Any]) -> str:
    """`[low, high]`, a dash where there is none."""
    ends: Sequence[float | None] = (row["ci_low"], row["ci_high"])
    return "–" if None in ends else f"[{number(ends[0])}, {number(ends[1])}]"  # noqa: RUF001


def _cell(text: str) -> str:
    """Text that cannot break out of a table cell or start markup."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
