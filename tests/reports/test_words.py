"""The decision in words: Markdown, sentences, next steps, and texts that anyone may have chosen."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_nbaprops.reports import text, wording
from pytest_nbaprops.reports.steps import next_steps
from pytest_nbaprops.reports.summary import summary_text
from tests.reports.documents import HOSTILE, candidate_of, criterion, document_of, hostile_document


def test_code_spans_hold_no_entities() -> None:
    """GitHub shows `&lt;` in a code span as it is: criteria are written with their own signs."""
    made = summary_text(document_of())
    assert "`mae < baseline`" in made
    assert "&lt;" not in made


def test_the_summary_begins_with_the_pull_requests_question() -> None:
    """Candidate against champion on the same games, what changed, then the criteria."""
    effect = {"group": "opponent", "change": "added", "difference": -0.04, "low": -0.06, "high": -0.02, "said": "helps"}
    made = summary_text(document_of(candidate_of(attribution=[effect])))
    places = [made.index(part) for part in ("## PROMOTE", "v3 5.884", "features added `opponent`", "helps", "| criter")]
    assert places == sorted(places)
    assert "`max_depth` `4` → `6`" in made
    assert "| `mae <= champion + 0.02` | 5.8440 | 5.8835 | -0.0395 | [-0.0614, -0.0177] | ✅ passed: better |" in made


@pytest.mark.parametrize("run", [False, True], ids=["version", "run"])
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_makes_markdown(name: str, run: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Nothing becomes HTML, a link, a mention, a heading or another cell, and it stays under 1 MiB."""
    made = summary_text(hostile_document(name, run=run))
    assert len(made.encode()) < 200_000
    outside = re.sub(r"(`+).*?\1", "", made)  # code spans show all as it is
    assert not re.search(r"(?<!\\)<(?!sub|/sub)", outside.replace("<=", "")), outside
    assert not re.search(r"(?<![\\])\]\(", outside)
    assert not re.search(r"@\w", outside)
    rows = [line for line in made.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert [line for line in made.splitlines() if line.startswith("#")] == [
        line for line in made.splitlines() if re.match(r"##+ .*(REJECT)", line)
    ]


def test_code_outlives_backticks() -> None:
    """A span's fence is longer than any run of backticks in it."""
    assert text.code("a`b``c") == "```a`b``c```"
    assert text.code("`x`") == "`` `x` ``"
    assert text.code("a|b") == "`a\\|b`"


def test_unseen_characters_go() -> None:
    """What turns, hides or cannot be written is left out; letters of every language stay."""
    assert text.plain("Dončić\u202e\x1b[31m 王\n\ud800x") == "Dončić [31m 王 x"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("mae < champion", "passed", 5.80, 5.78, 5.84, 5.88), "better"),
        (("mae < champion", "failed", 5.87, 5.85, 5.89, 5.88), "not clearly better"),
        (("mae < champion", "failed", 5.98, 5.95, 5.99, 5.88), "worse"),
        (
            ("mae <= champion + 0.02", "passed", 5.88, 5.87, 5.89, 5.90),
            "not worse by more than 0.02, not clearly better",
        ),
        (("mae <= champion + 0.02", "passed", 5.80, 5.78, 5.84, 5.90), "better"),
        (("mae <= champion + 0.02", "passed", 5.89, 5.882, 5.898, 5.90), "worse, by no more than 0.02"),
        (("mae <= champion + 0.02", "failed", 5.88, 5.85, 5.95, 5.90), "may be worse by more than 0.02"),
        (("mae <= champion", "failed", 5.88, 5.85, 5.95, 5.88), "may be worse"),
        (("mae < baseline + 0.1", "failed", 5.88, 5.85, 5.99, 5.98), "may be worse by 0.1"),
        (("r2 > baseline", "passed", 0.63, 0.62, 0.64, 0.55), "better"),
        (("r2 > baseline", "failed", 0.50, 0.49, 0.51, 0.55), "worse"),
        (("mae <= 6.2", "passed", 5.84, 5.74, 5.93, 6.2), "holds"),
        (("mae <= 5", "failed", 5.84, 5.74, 5.93, 5.0), "does not hold"),
        (("mae < champion", "inconclusive"), "inconclusive"),
    ],
)
def test_each_outcome_has_words_of_its_own(row: tuple[Any, ...], said: str) -> None:
    """Whoever reads `passed` learns whether it is better or only not worse."""
    assert wording.compared(criterion(*row)).said == said


@pytest.mark.parametrize(
    ("changes", "candidate", "command"),
    [
        ({}, {}, "pytest --nbaprops-train -n 2 --nbaprops-promote=enforce"),
        (
            {"promote_mode": "enforce", "promoted": True},
            {"model_version": "4"},
            "nbaprops promote v4 --alias production",
        ),
        ({}, {"reasons": ["already v3"], "model_version": "3"}, None),
        ({"verdict": "REJECT"}, {"verdict": "REJECT"}, "nbaprops compare champion 71d3fea8"),
        ({"verdict": "REJECT", "champion": None}, {"verdict": "REJECT"}, "pytest --nbaprops-train -n 2"),
        ({"verdict": "ERROR"}, {}, "pytest --nbaprops-train -n 2"),
        ({"promote_mode": "off"}, {}, "pytest --nbaprops-train -n 2 --nbaprops-promote=dry-run"),
        ({"verdict": "INCONCLUSIVE"}, {"verdict": "INCONCLUSIVE"}, "pytest --nbaprops-train -n 2"),
    ],
)
def test_every_verdict_has_a_next_step(changes: dict[str, Any], candidate: dict[str, Any], command: str | None) -> None:
    """As a command that can be pasted, unless there is nothing to do."""
    assert next_steps(document_of(candidate_of(**candidate), **changes))[0].command == command


def test_a_rejection_is_told_by_what_failed() -> None:
    """Not worse than the champion is no reason to reject: the sentence is about the baseline, which it may not beat."""
    failed = criterion("mae <= baseline + 0.3", "failed", 5.95, 5.70, 6.10, 6.05)
    folds = {"planned": 30, "executed": 30, "cached": 0, "failed": 0, "missing": 0}
    passed = criterion("mae <= champion + 0.2", "passed", 5.95, 5.85, 6.05, 6.15)
    leader = candidate_of(verdict="REJECT", criteria=[passed, failed], folds=folds)
    document = document_of(leader, verdict="REJECT")
    assert "It may be worse than the last-10 mean by more than 0.3" in wording.by_how_much(document, leader)
    *_, dates = next_steps(document)
    assert dates.text == "Or test more dates for a narrower interval"
    assert dates.command == "pytest --nbaprops-train -n 2 '--nbaprops-test=last 160 dates'"


def test_the_champion_on_other_games_is_nothing_to_compare() -> None:
    """Its code and parameters are the candidate's own."""
    same = {"feature_version": "1cb5235b0cd7", "added": [], "removed": [], "changed": [], "parameters": {}}
    document = document_of(candidate_of(verdict="REJECT", lineage=same), verdict="REJECT")
    assert next_steps(document)[0].text == "It is v3 on other games: there is nothing to compare"


def test_commands_name_what_the_ini_file_does_not_tell() -> None:
    """The store, the model and the criteria of the session's own command line."""
    document = document_of(candidate_of(model_version="4"), promote_mode="enforce", promoted=True)
    chosen = {"model_name": "Ours", "tracking_uri": "sqlite:///x.db", "criteria": ["mae < baseline"]}
    document["settings"] |= chosen | {"from_command_line": ["criterion", "model-name", "promote", "tracking-uri"]}
    promote, undo = (step.command for step in next_steps(document))
    criteria = "--criteria 'mae < baseline' --criteria 'mae <= champion + 0.02'"
    where = "--model Ours --tracking-uri sqlite:///x.db"
    assert promote == f"nbaprops promote v4 --alias production {criteria} {where}"
    assert undo == f"nbaprops rollback --alias staging --reason ... {where}"


def test_what_cannot_be_registered_is_not_said_to_be_promoted() -> None:
    """A dry run of a test that hands over no model."""
    document = document_of(candidate_of(unregistrable="the test records predictions without their model"))
    assert wording.headline(document) == "PROMOTE: advanced passes, and has nothing to register (dry run)"
    assert "without their model" in next_steps(document)[0].text


def test_where_the_champion_lacks_a_date_the_next_step_is_the_window_that_it_has() -> None:
    """The everyday case: a new date, and a group that has changed since."""
    reason = (
        "v1 cannot be compared; it can be compared on the dates that it has: --nbaprops-test=2023-11-01..2023-12-18"
    )
    document = document_of(candidate_of(verdict="INCONCLUSIVE"), verdict="INCONCLUSIVE", reasons=[reason])
    [step] = next_steps(document)
    assert step.command == "pytest --nbaprops-train -n 2 --nbaprops-test=2023-11-01..2023-12-18"


def test_what_an_option_says_is_no_test() -> None:
    """A warning's class is named with colons, as tests are; what passed is registered as it was selected."""
    command = ["pytest", "--nbaprops-train", "-W", "error::FutureWarning", "tests/test_a.py::test_a"]
    folds = {"planned": 160, "executed": 1, "cached": 0, "failed": 0, "missing": 159}
    part = candidate_of(verdict="INCONCLUSIVE", folds=folds)
    [step, *_] = next_steps(document_of(part, command=command, verdict="INCONCLUSIVE"))
    assert step.command == "pytest --nbaprops-train -W error::FutureWarning"
    whole = document_of(candidate_of(verdict="REJECT"), command=[*command, "--lf"], verdict="REJECT", champion=None)
    assert next_steps(whole)[-1].command == " ".join(command)
    [step, *_] = next_steps(document_of(command=command))
    assert step.command == f"{' '.join(command)} --nbaprops-promote=enforce"


def test_a_part_of_the_folds_is_run_whole_next() -> None:
    """The command is the session's without what chose the folds."""
    command = ["pytest", "--nbaprops-train", "-k", "2024-01-05", "-x", "tests", "tests/test_a.py::test_a[x]", "--lf"]
    folds = {"planned": 160, "executed": 1, "cached": 0, "failed": 0, "missing": 159}
    part = candidate_of(verdict="INCONCLUSIVE", folds=folds, reasons=["folds 2024-01-06: not selected"])
    document = document_of(part, verdict="INCONCLUSIVE", command=command)
    assert next_steps(document)[0].command == "pytest --nbaprops-train tests"
    assert wording.headline(document) == "INCONCLUSIVE: 1 of 160 folds ran, and a part is never a decision"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("folds 2024-01-06: not selected", "Run every fold"),
        ("folds 2024-01-06: did not run", "Run every fold"),
        ("fold 2024-01-06: skipped: bad night", "Mend what keeps folds from a result"),
        ("folds 2024-01-05, 2024-01-06 and 18 more: marked xfail (known weak)", "Mend what keeps folds from a result"),
        ("fold 2024-01-06: fixture error: RuntimeError: no connection", "Mend what keeps folds from a result"),
    ],
)
def test_who_keeps_folds_from_a_result_is_not_sent_in_a_circle(reason: str, said: str) -> None:
    """The same command would give the same answer for ever."""
    folds = {"planned": 20, "executed": 19, "cached": 0, "failed": 0, "missing": 1}
    part = candidate_of(verdict="INCONCLUSIVE", folds=folds, reasons=[reason])
    [step] = next_steps(document_of(part, verdict="INCONCLUSIVE", reasons=[reason]))
    assert step.text.startswith(said)


LEAK, READS = {"group": "h2h", "kind": "needs outcomes"}, {"group": "travel", "kind": "undeclared source"}


@pytest.mark.parametrize(
    ("leaks", "failed", "said"),
    [
        ([LEAK], 0, "Mend the leak in h2h"),
        ([], 1, "Mend what failed"),
        ([LEAK, READS], 0, "Mend the leak in h2h, declare what travel hangs on"),
        ([READS], 1, "Mend what failed, declare what travel hangs on"),
        ([LEAK, READS], 1, "Mend the leak in h2h, mend what failed, declare what travel hangs on"),
    ],
)
def test_what_is_wrong_is_mended_before_anything_runs_again(
    leaks: list[dict[str, str]], failed: int, said: str
) -> None:
    """A part would be no decision. What only reads a file is declared."""
    folds = {"planned": 20, "executed": 20 - failed, "cached": 0, "failed": failed, "missing": 0}
    [step] = next_steps(document_of(candidate_of(verdict="REJECT", folds=folds, leaks=leaks), verdict="REJECT"))
    assert step.text == f"{said}, then run again; stored folds cost nothing"
    assert step.command == "pytest --nbaprops-train -n 2"


def test_counts_have_no_decimals() -> None:
    """200 bets are 200."""
    made = summary_text(
        document_of(candidate_of(criteria=[criterion("n_bets >= 200", "passed", 2159.0, None, None, 200.0)]))
    )
    assert "| `n_bets >= 200` | 2159 | 200 | +1959 |" in made


def test_long_names_of_tests_keep_their_ends() -> None:
    """Where they differ."""
    assert text.end_of("tests/wf/test_linear.py::TestLasso::test_ridge[weak]", 28) == "…TestLasso::test_ridge[weak]"
    assert text.end_of("ridge", 5) == "ridge"


def test_the_slowest_of_several_that_were_waited_for_long_are_named() -> None:
    """Of one, or of none, there is nothing to name."""
    spent = {"form": 20.0, "elo": 31.0, "rest": 1.0}
    assert wording.slowest(spent, 52.0) == "52 s; the slowest: elo 31 s, form 20 s"
    assert wording.slowest(spent, 12.0) is None
    assert wording.slowest({"elo": 31.0}, 31.0) is None
    assert wording.slowest({}, 31.0) is None
