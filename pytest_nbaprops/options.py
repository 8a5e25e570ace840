"""The `--nbaprops-*` options and their ini twins, as a table. Standard library and pytest only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

RUN_NAME_FIELDS = ("date", "phase", "feature_set", "recipe", "candidate", "n")


@dataclass(frozen=True, kw_only=True)
class Option:
    """One `--nbaprops-*` option and its ini twin."""

    name: str
    help: str
    default: str | None = None
    metavar: str | None = None
    repeatable: bool = False
    flag: bool = False
    bare: str | None = None  # the value of an option that may be given without one
    ini_only: bool = False
    cli_only: bool = False

    @property
    def flag_name(self) -> str:
        return f"--nbaprops-{self.name}"

    @property
    def dest(self) -> str:
        return "nbaprops_" + self.name.replace("-", "_")


OPTIONS: tuple[Option, ...] = (
    Option(
        name="train",
        flag=True,
        cli_only=True,
        help="Run walk-forward tests only, and decide the promotion at the end of the session",
    ),
    Option(name="data", metavar="PATH", help="Game logs: CSV or Parquet file (also .gz, .zst), a folder, or a glob"),
    Option(
        name="odds",
        metavar="PATH",
        help="Player-prop lines to judge against: CSV, Parquet or JSON file (also .gz, .zst), a folder, or a glob",
    ),
    Option(
        name="bet-rule",
        metavar="RULE",
        default="best-value",
        help="What is bet: best-value, best-line (best line for a side, then best price) or one-book=NAME",
    ),
    Option(name="min-edge", metavar="EDGE", default="0", help="Lowest expected return that is bet on: 0.02 or 2%"),
    Option(name="stake", metavar="STAKE", default="flat", help="flat, kelly or a fraction of it: 'kelly 0.25'"),
    Option(
        name="snapshot",
        metavar="WHICH",
        default="last",
        help="Which of a book's lines before tip-off counts: last or first",
    ),
    Option(name="target", metavar="EXPR", default="PTS+REB+AST", help="What is predicted: a sum of stat columns"),
    Option(
        name="test",
        metavar="WINDOW",
        default="last 160 dates",
        help="Test dates: 'last N dates', a season (2023-24) or 2024-01-01..2024-02-01",
    ),
    Option(
        name="train-window",
        metavar="W",
        default="3 seasons",
        help="Training rows: 'expanding', 'N seasons' (before the current one, plus the current one) or 'N days'",
    ),
    Option(name="step", metavar="N", default="1", help="Game dates per fold"),
    Option(name="refit", metavar="DAYS", default="7", help="Fit a new model when the last one is this many days old"),
    Option(
        name="recipe",
        metavar="NAME",
        default="advanced",
        repeatable=True,
        help="Candidate model: of the built-in suite, and in place of the one that a walk_forward marker names; "
        "a registered name or module:Class; repeatable",
    ),
    Option(name="param", metavar="K=V", repeatable=True, help="Hyperparameter of the recipe; repeatable"),
    Option(
        name="features",
        metavar="LIST",
        help="Feature groups by name or tier, 'all', and -name to leave one out: all,-opponent",
    ),
    Option(name="seed", metavar="N", default="42", help="Every seed in the session"),
    Option(
        name="criterion",
        metavar="EXPR",
        repeatable=True,
        help="Promotion criterion such as 'mae < baseline'; repeatable",
    ),
    Option(
        name="attribute",
        metavar="GROUPS",
        bare="changed",
        help="Leave out each feature group that changed since the champion in turn, and report what it brings; "
        "--nbaprops-attribute=all does so for every group",
    ),
    Option(
        name="leak-dates",
        metavar="N",
        default="4",
        help="Cutoff dates on which the leak guard looks at every feature group, and folds of own tests it runs again",
    ),
    Option(
        name="promote",
        metavar="MODE",
        default="dry-run",
        help="off: decide nothing; dry-run: decide, write nothing to the registry; enforce: register and promote",
    ),
    Option(name="model-name", metavar="NAME", default="NBAPropsModel", help="Registered model"),
    Option(name="alias", metavar="NAME", default="staging", help="Alias that a promoted version gets"),
    Option(
        name="champion",
        metavar="ALIAS",
        help="Version to beat: an alias; or a run by its name or the beginning of its id, such as an imported one; or "
        "the path of a champion snapshot that an enforcing session left in its report (default: production if it "
        "exists, else the target alias)",
    ),
    Option(name="experiment", metavar="NAME", default="NBA_Props_Model/Phase1_Features", help="MLflow experiment"),
    Option(
        name="run-name",
        metavar="TEMPLATE",
        default="{date}_{phase}_{feature_set}_walkforward_v{n}",
        help="MLflow run name; may use {" + "}, {".join(RUN_NAME_FIELDS) + "}",
    ),
    Option(
        name="tracking-uri",
        metavar="URI",
        help="Where to log (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the rootdir)",
    ),
    Option(name="report", metavar="DIR", default="nbaprops-report", help="Where decision.json and friends are written"),
    Option(
        name="store",
        metavar="PLACE",
        default=".nbaprops",
        help="Where fold results and models lie: a folder, or a URL that fsspec knows (pytest-nbaprops[store]), which "
        "the folder .nbaprops then mirrors",
    ),
    Option(
        name="dask",
        metavar="ADDRESS",
        help="Make the fits on the Dask cluster whose scheduler listens there (pytest-nbaprops[dask]); its workers "
        "need to see the fold store",
    ),
    Option(
        name="shard",
        cli_only=True,
        metavar="K/N",
        help="Run the K-th of N shares of the fits, leave them in the fold store and decide nothing; a later run on "
        "the shares' stores, copied into one, decides without a fit",
    ),
    Option(name="no-cache", flag=True, cli_only=True, help="Read no fold of an earlier session (still writes)"),
    Option(name="phase", ini_only=True, default="p1", help="The {phase} of the run name"),
    Option(
        name="columns",
        ini_only=True,
        repeatable=True,
        help="Column map for sources with other names, a line each: THEIRS = OURS",
    ),
    Option(
        name="games",
        ini_only=True,
        default="regular, playin, playoffs, cup",
        help="Kinds of games that count; exhibitions (preseason, All-Star) never do",
    ),
    Option(
        name="known-columns",
        ini_only=True,
        repeatable=True,
        help="Columns of your own in the games that are known before the game; all others count as its outcomes",
    ),
    Option(
        name="known-gaps",
        ini_only=True,
        metavar="REASON",
        help="Why rows are missing from the games of the tested dates, where that is known; shown with the decision",
    ),
    Option(
        name="sources",
        ini_only=True,
        repeatable=True,
        help="Files that groups, recipes and tests may read beside the games; nothing in them may be learnt from games "
        "later than the first test date",
    ),
    Option(
        name="rehearse",
        cli_only=True,
        metavar="DATE",
        help="Run the leak check of the own tests for one date and show what differs; decides nothing",
    ),
    Option(
        name="trusted-types",
        ini_only=True,
        repeatable=True,
        help="Types that a stored model may hold beyond the reviewed list (skops)",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin; defaults stay None so that the origin of a value is known."""
    group = parser.getgroup("nbaprops", "walk-forward validation of NBA player-prop models")
    for option in OPTIONS:
        if not option.ini_only:
            group.addoption(option.flag_name, **_argparse_keywords(option))
        if not option.cli_only:
            parser.addini(option.dest, option.help, type=_ini_type(option), default=None)


def _argparse_keywords(option: Option) -> dict[str, Any]:
    text = option.help + (f" (default: {option.default})" if option.default and not option.flag else "")
    if option.flag:
        return {"action": "store_true", "default": False, "dest": option.dest, "help": text}
    action = "append" if option.repeatable else "store"
    escaped = text.replace("%", "%%")
    if option.bare is not None:
        optional = {"nargs": "?", "const": option.bare, "default": None}
        return {**optional, "dest": option.dest, "metavar": option.metavar, "help": escaped}
    return {"action": action, "default": None, "dest": option.dest, "metavar": option.metavar, "help": escaped}


def _ini_type(option: Option) -> Any:
    """Lists are lines; single values are text, or TOML integers where pytest can say so (9.2 and later)."""
    if option.repeatable:
        return "linelist"
    return (str | int) if pytest.version_tuple >= (9, 2) else None
