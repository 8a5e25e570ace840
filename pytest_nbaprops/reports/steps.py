"""What to do next, as commands that can be pasted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_nbaprops.leaks.leak import UNDECLARED
from pytest_nbaprops.reports.text import plain
from pytest_nbaprops.reports.wording import (
    Document,
    champion_label,
    has_nothing_to_register,
    is_the_champion,
    leading,
    main_comparison,
)

# Options that leave tests out, and those that end a session early, with whether a value follows them.
_SELECTING: Final = dict.fromkeys(("-k", "-m", "--deselect"), True)
_STOPPING: Final = {
    "--maxfail": True,
    **dict.fromkeys(("-x", "--exitfirst", "--lf", "--last-failed", "--ff", "--sw", "--stepwise", "--pdb"), False),
}
_WITH_COLONS: Final = ("-W", "--pythonwarnings", "-o", "--override-ini", "-p")  # whose value may have a `::`
_NAMED: Final = {"model_name": "--model", "tracking_uri": "--tracking-uri"}
_KEPT: Final = re.compile(": (marked xfail|skipped|fixture error|error in teardown|worker crashed)")
_UNCLEAR: Final = ("not clearly better", "may be worse")
_MANY_FOLDS: Final = 100  # about when a season's worth of dates is there
_CHANGES: Final = ("added", "removed", "changed", "parameters")
_COMMON: Final = re.compile(r"on the dates that it has: --nbaprops-test=(\S+)")


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do, and the command that does it, None where there is none."""

    text: str
    command: str | None = None


def next_steps(document: Document) -> list[Step]:
    """The likeliest next steps, the first one first."""
    leader = leading(document)
    if document["promote_mode"] == "off" and document["exit_code"] == 1:
        return [Step(text="Mend what the leak guard has found, then run again", command=_again(document))]
    if document["promote_mode"] == "off":
        return [Step(text="Decide", command=_again(document, promote="dry-run"))]
    steps = {"PROMOTE": _promoted, "REJECT": _rejected, "INCONCLUSIVE": _inconclusive}.get(document["verdict"])
    if steps is None or leader is None:
        return [
            Step(text="Mend what is named above, then run again; stored folds cost nothing", command=_again(document))
        ]
    return steps(document, leader)


def _promoted(document: Document, leader: Mapping[str, Any]) -> list[Step]:
    settings, alias = document["settings"], document["settings"]["alias"]
    if is_the_champion(leader):
        return [Step(text="Nothing to do: this model is registered already")]
    unable = leader.get("unregistrable")
    if document["promote_mode"] == "dry-run" and unable:
        return [_register_something(document, leader)]
    if document["promote_mode"] == "dry-run":
        again = _again(document, selected=True, promote="enforce")
        return [Step(text=f"Register it and give it the alias {alias}", command=again)]
    undo = Step(text="Undo it", command=nbaprops_command(settings, "rollback", "--alias", alias, "--reason", "..."))
    if alias == "production":
        predict = nbaprops_command(settings, "predict", "--schedule", "tomorrow.csv")
        return [Step(text="Predict tomorrow", command=predict), undo]
    words = ["promote", f"v{leader['model_version']}", "--alias", "production", *_criteria(document, leader)]
    return [Step(text="Put it into production", command=nbaprops_command(settings, *words)), undo]


def _register_something(document: Document, leader: Mapping[str, Any]) -> Step:
    why = leader["unregistrable"]
    return Step(text=f"Give it something to register ({why}), then run again", command=_again(document))


def _criteria(document: Document, leader: Mapping[str, Any]) -> list[str]:
    """The criteria that it passed, where the ini file would not tell them."""
    passed, settings = [str(row["expression"]) for row in leader["criteria"]], document["settings"]
    if passed == settings.get("criteria") and "criterion" not in settings.get("from_command_line", ()):
        return []
    return [word for expression in passed for word in ("--criteria", expression)]


def _rejected(document: Document, leader: Mapping[str, Any]) -> list[Step]:
    undeclared = _groups(leak for leak in leader["leaks"] if leak.get("kind") == UNDECLARED)
    leaking = [name for name in _groups(leader["leaks"]) if name not in undeclared]
    to_do = [
        *([f"mend the leak in {', '.join(leaking)}"] if leaking else []),
        *(["mend what failed"] if leader["folds"]["failed"] else []),
        *([f"declare what {', '.join(undeclared)} hangs on"] if undeclared else []),
    ]
    if to_do:
        text = ", ".join([*to_do, "then run again; stored folds cost nothing"])
        return [Step(text=text[0].upper() + text[1:], command=_again(document))]
    steps = [Step(text="Change features or parameters, then run again", command=_again(document))]
    row = main_comparison(leader)
    if row is not None and row.said.startswith(_UNCLEAR) and leader["folds"]["planned"] < _MANY_FOLDS:
        several = ", or fewer candidates," if len(document["candidates"]) > 1 else ""
        text = f"Or test more dates{several} for a narrower interval"
        steps.append(Step(text=text, command=_again(document, test="last 160 dates")))
    lineage = leader.get("lineage") or {}
    if document.get("champion") and not any(lineage.get(part) for part in _CHANGES):
        return [Step(text=f"It is {champion_label(document)} on other games: there is nothing to compare"), *steps]
    return [*_compare(document, leader), *steps]


def _groups(leaks: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({str(leak.get("group", "a feature group")) for leak in leaks})


def _compare(document: Document, leader: Mapping[str, Any]) -> list[Step]:
    champion = document.get("champion")
    if not leader.get("run_id") or not champion:
        return []
    run, other = str(leader["run_id"])[:8], "champion" if champion["version"] else str(champion["run_id"])[:8]
    command = nbaprops_command(document["settings"], "compare", other, run)
    return [Step(text="See where it differs from the champion", command=command)]


def _inconclusive(document: Document, leader: Mapping[str, Any]) -> list[Step]:
    if has_nothing_to_register(leader):
        return [_register_something(document, leader)]
    reasons = " ".join(map(str, document["reasons"]))
    if leader["folds"]["missing"]:
        text = "Run every fold: a part is never a decision, and stored folds cost nothing"
        if _KEPT.search(reasons):
            text = "Mend what keeps folds from a result, or leave their dates out of the test, then run again"
        return [Step(text=text, command=_again(document))]
    if "test more dates" in reasons:
        return [Step(text="Test at least 20 game dates", command=_again(document, test="last 160 dates"))]
    if common := _COMMON.search(reasons):
        text = "Decide on the dates that the champion has predicted"
        return [Step(text=text, command=_again(document, test=common[1]))]
    if "already" not in reasons and "champion" in reasons:
        return [*_compare(document, leader), Step(text="Get what is missing, then run again", command=_again(document))]
    return [Step(text="Get what is missing, then run again", command=_again(document))]


def reproduce(document: Document, candidate: Mapping[str, Any]) -> str | None:
    """The command that runs the candidate again and compares fold by fold."""
    run = candidate.get("run_id")
    return nbaprops_command(document["settings"], "reproduce", str(run)[:8]) if run else None


def nbaprops_command(settings: Mapping[str, Any], *words: str) -> str:
    """A command in the session's own store, for its own model, where its command line named these.

    What holds a password is left out: it would not be the right one.
    """
    named = [
        word
        for setting, flag in _NAMED.items()
        if setting.replace("_", "-") in settings.get("from_command_line", ()) and "***" not in settings[setting]
        for word in (flag, str(settings[setting]))
    ]
    return plain(shlex.join(["nbaprops", *words, *named]))


def _again(document: Document, *, selected: bool = False, **options: str) -> str:
    """The session's command with these options of ours instead of those it had: for all folds, or those `selected`.

    Where whole candidates were chosen, and no part of one, it is for these.
    """
    name, *kept = map(str, document["command"] or ["pytest", "--nbaprops-train"])
    if not selected:
        kept = _without(kept, _STOPPING)
    if not (selected or _is_whole(document)):
        words = _without(kept, _SELECTING)
        kept = [
            word
            for word, before in zip(words, ["", *words], strict=False)
            if word.startswith("-") or "::" not in word or before in _WITH_COLONS
        ]
    for option, value in options.items():
        flag = f"--nbaprops-{option}"
        kept = [*_without(kept, {flag: True}), f"{flag}={value}"]
    return plain(shlex.join([name, *kept]))


def _is_whole(document: Document) -> bool:
    folds = [candidate["folds"] for candidate in document["candidates"]]
    return bool(folds) and not any(counts["missing"] for counts in folds)


def _without(arguments: Sequence[str], options: Mapping[str, bool]) -> list[str]:
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
            continue
        flag, has_value, _ = argument.partition("=")
        if flag in options:
            skip = options[flag] and not has_value
            continue
        kept.append(argument)
    return kept
