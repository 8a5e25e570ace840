"""Can I get this result again? A recorded run against now: data, code, versions, and its folds once more."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.kinds import COUNTED, GAMES_OPTION
from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.runs.arguments import Arguments, sift
from pytest_nbaprops.runs.games import games_again
from pytest_nbaprops.runs.recorded import (
    OPTIONS_VARIABLE,
    Check,
    Recorded,
    ReproduceError,
    argument_checks,
    checks,
    is_given_again,
    likely_cause,
    metric_checks,
    variable_checks,
)
from pytest_nbaprops.runs.replay import REPORT, REQUEST, TRACKING, Request
from pytest_nbaprops.tracking import provenance
from pytest_nbaprops.tracking.artifacts import PREDICTIONS
from pytest_nbaprops.tracking.connection import connect

IDENTICAL, CLOSE, DIFFERENT = "identical", "equal within 1e-6", "different"
TOLERANCE: Final = 1e-6  # in the target's units
_NO_AUTOLOAD: Final = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
_NOT_PASSED_ON: Final = (OPTIONS_VARIABLE, "PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "MLFLOW_RUN_ID")


# the repetition


def run_again(recorded: Recorded, games: pd.DataFrame | None, *, root: Path, folder: Path) -> Recorded:
    """The recorded candidate in a pytest session of its own, which leaves nothing behind but what is in `folder`."""
    data = None
    if games is not None:
        data = folder / "games.parquet"
        games.to_parquet(data, index=False)
    request = Request(
        folder=str(folder),
        threads=int(recorded.document["threads"]),
        nodeids=tuple(recorded.candidate["nodeids"]),
        options=_options(recorded, data),
        digest=recorded.digest.to_dict(),
    )
    request.write(folder / "request.json")
    said = _pytest(recorded, root=root, folder=folder, columns_given=data is None)
    for path in sorted(folder.glob(f"mlartifacts/**/{provenance.PROVENANCE}")):
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["candidate"]["name"] == recorded.candidate["name"]:
            break
    else:
        raise ReproduceError(f"the run {recorded.run_name} could not be repeated in {root}: {_complaint(said)}")
    if document["dataset"]["digest"]["full"] != recorded.digest.full:
        raise ReproduceError("the repetition read other data than the run had; leave out conftest hooks that change it")
    predictions = pd.read_parquet(folder / REPORT / PREDICTIONS)
    own = predictions[predictions["candidate"] == recorded.candidate["name"]]
    with connect(f"sqlite:///{folder / TRACKING}").calling("read what the repetition logged") as client:
        metrics = dict(client.get_run(path.parents[1].name).data.metrics)  # below <run id>/artifacts
    return replace(recorded, document=document, predictions=own, metrics=metrics)


def _options(recorded: Recorded, data: Path | None) -> dict[str, Any]:
    spec = recorded.candidate["spec"]
    # What the command line cannot say came from the marker, and comes from there again.
    said = {name: value for name, value in spec["params"].items() if isinstance(value, bool | int | float | str | None)}
    params = {name: value for name, value in said.items() if not isinstance(value, float) or math.isfinite(value)}
    if hidden := [name for name, value in params.items() if value == provenance.HIDDEN]:
        raise ReproduceError(
            f"the run {recorded.run_name} was given {', '.join(hidden)}, which a record does not tell, since it is"
            " called like a secret: it can't be repeated"
        )
    groups = [group["name"] for group in recorded.document["lineage"]["groups"]]
    return {
        "nbaprops_target": recorded.settings["target"],
        "nbaprops_test": spec["test"],
        "nbaprops_train_window": spec["train_window"],
        "nbaprops_step": str(spec["step"]),
        "nbaprops_refit": str(spec["refit"]),
        "nbaprops_seed": str(spec["seed"]),
        "nbaprops_features": ",".join(groups),
        "nbaprops_param": [f"{name}={value!r}" for name, value in params.items()] or None,
        "nbaprops_data": str(data) if data is not None else None,
        **({"nbaprops_recipe": [spec["recipe"]]} if spec["code"] is None else {}),  # of the built-in suite
    }


def _pytest(recorded: Recorded, *, root: Path, folder: Path, columns_given: bool) -> str:
    """Run the session from where it was called; what it printed."""
    command = [sys.executable, "-m", "pytest", *_command_line(recorded, root)]
    command += ["-p", "pytest_nbaprops.runs.replay", f"--rootdir={root}"]
    command += ["-o", f"{GAMES_OPTION}={', '.join(recorded.settings.get('games', COUNTED))}"]
    if not columns_given:
        command += ["-o", "nbaprops_columns="]  # the cut data has our names
    done = subprocess.run(  # noqa: S603 - what the record says was sifted
        command,
        cwd=_directory(recorded, root),
        env=_environment(recorded, folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return f"{done.stdout}\n{done.stderr}"


def _directory(recorded: Recorded, root: Path) -> Path:
    """Where the session was called from, if that is in the checkout: Python looks for modules there."""
    directory = (root / recorded.document["directory"]).resolve()
    return directory if directory.is_dir() and directory.is_relative_to(root.resolve()) else root


def _arguments(recorded: Recorded, root: Path) -> Arguments:
    options = shlex.split(recorded.document["environment"].get(OPTIONS_VARIABLE, ""))
    words = [*options, *recorded.document["command"][1:]]
    return sift(words, directory=_directory(recorded, root), root=root)


def _command_line(recorded: Recorded, root: Path) -> list[str]:
    """The arguments that are repeated, and the files of the tests where others were asked for."""
    arguments = _arguments(recorded, root)
    command = list(arguments.repeated)
    if recorded.document["environment"].get(_NO_AUTOLOAD) and "nbaprops" not in os.environ.get("PYTEST_PLUGINS", ""):
        command += ["-p", "nbaprops"]
    if not arguments.places:
        return command
    asked = [Path(place) for place in arguments.places]
    files = {(root / nodeid.partition("::")[0]).resolve() for nodeid in recorded.candidate["nodeids"]}
    missing = [path for path in files if path.is_file() and not any(path.is_relative_to(place) for place in asked)]
    return [*command, *arguments.places, *(str(path) for path in missing if path.is_relative_to(root.resolve()))]


def _environment(recorded: Recorded, folder: Path) -> dict[str, str]:
    """The environment as it is, with the variables that decide as they were recorded."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not is_given_again(name) and not name.startswith(_NOT_PASSED_ON)
    }
    given = {name: value for name, value in recorded.document["environment"].items() if is_given_again(name)}
    coverage = {"COVERAGE_FILE": str(folder / "coverage")}  # a recorded --cov must not replace the user's figures
    return {**kept, **given, **coverage, REQUEST: str(folder / "request.json")}


def _complaint(said: str) -> str:
    """The line of pytest's output that says why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"ERROR:|E  |INTERNALERROR> \w*(Error|Exception)|\w+Error:", line)]
    return redact(re.sub(r"^(ERROR:|E )\s*", "", (errors or lines or ["pytest said nothing"])[-1]))


# the comparison


@dataclass(frozen=True, kw_only=True)
class FoldComparison:
    """One fold then and now.

    `difference` is the largest absolute one of a prediction, in the target's units; None where the rows differ.
    """

    date: str
    rows: int
    outcome: str
    difference: float | None


def compare_folds(recorded: pd.DataFrame, again: pd.DataFrame) -> tuple[FoldComparison, ...]:
    """Compare the predictions of each recorded fold, to the bit, with those of the repetition.

    Both have fold, GAME_DATE, GAME_ID, PLAYER_ID, actual, predicted and baseline, a row per player-game.
    """
    by_fold = dict(iter(again.groupby("fold")))
    return tuple(_compared(before, by_fold.get(number)) for number, before in recorded.groupby("fold"))


def _compared(before: pd.DataFrame, after: pd.DataFrame | None) -> FoldComparison:
    keys = list(KEY_COLUMNS)
    before = before.sort_values(keys, ignore_index=True)
    date = str(before["GAME_DATE"].iloc[0].date())
    if after is None or not before[keys].equals(after.sort_values(keys, ignore_index=True)[keys]):
        return FoldComparison(date=date, rows=len(before), outcome=DIFFERENT, difference=None)
    after = after.sort_values(keys, ignore_index=True)
    values = ["actual", "predicted", "baseline"]
    old, new = before[values].to_numpy(np.float64), after[values].to_numpy(np.float64)
    unequal = (old.view(np.int64) != new.view(np.int64)) & ~(np.isnan(old) & np.isnan(new))
    apart = np.abs(old[unequal] - new[unequal])
    largest = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
    outcome = IDENTICAL if not unequal.any() else CLOSE if largest <= TOLERANCE else DIFFERENT
    return FoldComparison(date=date, rows=len(before), outcome=outcome, difference=largest)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The answer: what differs in what was recorded, in the metrics, and fold by fold in what came out."""

    run: Recorded
    checks: tuple[Check, ...]
    folds: tuple[FoldComparison, ...]
    metrics: tuple[Check, ...] = ()

    @property
    def outcome(self) -> str:
        outcomes = {fold.outcome for fold in self.folds}
        return next(outcome for outcome in (DIFFERENT, CLOSE, IDENTICAL) if outcome in outcomes)

    @property
    def first(self) -> FoldComparison | None:
        """The first fold that differs beyond the tolerance."""
        return next((fold for fold in self.folds if fold.outcome == DIFFERENT), None)

    @property
    def largest(self) -> float:
        """The largest difference of a prediction, in the target's units."""
        return max((fold.difference for fold in self.folds if fold.difference is not None), default=0.0)

    @property
    def cause(self) -> str:
        """What may have moved the result, in words."""
        stored = self.run.candidate["folds_from_store"]
        older = f"; {stored} of its folds came from the fold store, from sessions before it" if stored else ""
        return likely_cause(self.checks) + older


def reproduce(recorded: Recorded, *, data: str | None, root: Path, tell: Callable[[str], None]) -> Reproduction:
    """Check the data, run the candidate again and compare; `tell` gets a line before the long part begins.

    Raises:
        NBAPropsError: it cannot be repeated; one line says why.
    """
    games, data_check = games_again(recorded, data=data, root=root)
    variables = variable_checks(recorded.document["environment"], provenance.environment(os.environ))
    arguments = argument_checks(_arguments(recorded, root).left_out)
    count, threads = len(recorded.candidate["nodeids"]), recorded.document["threads"]
    tell(f"{recorded.run_name}: running {count} folds of {recorded.candidate['name']} again (threads: {threads}) …")
    with tempfile.TemporaryDirectory(prefix="nbaprops-reproduce-", ignore_cleanup_errors=True) as folder:
        again = run_again(recorded, games, root=root, folder=Path(folder).resolve())
    return Reproduction(
        run=recorded,
        metrics=tuple(metric_checks(recorded.metrics, again.metrics)),
        checks=(data_check, *checks(recorded.document, again.document), *arguments, *variables),
        folds=compare_folds(recorded.predictions, again.predictions),
    )
