"""The `--nbaprops-*` options and their ini twins: a table, and their values. Standard library and pytest only."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.errors import SettingsError

MARKER_SIGNATURE = (
    "walk_forward(recipe=None, params=None, features=None, test='last 160 dates', train_window='3 seasons', "
    "step=1, refit=7, seed=42)"
)
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
    Option(name="train", flag=True, cli_only=True,
        help="Run walk-forward tests only, and decide the promotion at the end of the session"),
    Option(name="data", metavar="PATH", help="Game logs: CSV or Parquet file (also .gz, .zst), a folder, or a glob"),
    Option(name="odds", metavar="PATH",
        help="Player-prop lines to judge against: CSV, Parquet or JSON file (also .gz, .zst), a folder, or a glob"),
    Option(name="bet-rule", metavar="RULE", default="best-value",
        help="What is bet: best-value, best-line (best line for a side, then best price) or one-book=NAME"),
    Option(name="min-edge", metavar="EDGE", default="0", help="Lowest expected return that is bet on: 0.02 or 2%"),
    Option(name="stake", metavar="STAKE", default="flat", help="flat, kelly or a fraction of it: 'kelly 0.25'"),
    Option(name="snapshot", metavar="WHICH", default="last",
        help="Which of a book's lines before tip-off counts: last or first"),
    Option(name="target", metavar="EXPR", default="PTS+REB+AST", help="What is predicted: a sum of stat columns"),
    Option(name="test", metavar="WINDOW", default="last 160 dates",
        help="Test dates: 'last N dates', a season (2023-24) or 2024-01-01..2024-02-01"),
    Option(name="train-window", metavar="W", default="3 seasons",
        help="Training rows: 'expanding', 'N seasons' (before the current one, plus the current one) or 'N days'"),
    Option(name="step", metavar="N", default="1", help="Game dates per fold"),
    Option(name="refit", metavar="DAYS", default="7", help="Fit a new model when the last one is this many days old"),
    Option(name="recipe", metavar="NAME", default="advanced", repeatable=True,
        help="Candidate model: of the built-in suite, and in place of the one that a walk_forward marker names; "
        "a registered name or module:Class; repeatable"),
    Option(name="param", metavar="K=V", repeatable=True, help="Hyperparameter of the recipe; repeatable"),
    Option(name="features", metavar="LIST",
        help="Feature groups by name or tier, 'all', and -name to leave one out: all,-opponent"),
    Option(name="seed", metavar="N", default="42", help="Every seed in the session"),
    Option(name="criterion", metavar="EXPR", repeatable=True,
        help="Promotion criterion such as 'mae < baseline'; repeatable"),
    Option(name="attribute", metavar="GROUPS", bare="changed",
        help="Leave out each feature group that changed since the champion in turn, and report what it brings; "
        "--nbaprops-attribute=all does so for every group"),
    Option(name="leak-dates", metavar="N", default="4",
        help="Cutoff dates on which the leak guard asks every feature group about all games, not only about a few"),
    Option(name="promote", metavar="MODE", default="dry-run",
        help="off: decide nothing; dry-run: decide, write nothing to the registry; enforce: register and promote"),
    Option(name="model-name", metavar="NAME", default="NBAPropsModel", help="Registered model"),
    Option(name="alias", metavar="NAME", default="staging", help="Alias that a promoted version gets"),
    Option(name="champion", metavar="ALIAS",
        help="Version to beat: an alias; or a run by its name or the beginning of its id, such as an imported one; or "
        "the path of a champion snapshot that an enforcing session left in its report (default: production if it "
        "exists, else the target alias)"),
    Option(name="experiment", metavar="NAME", default="NBA_Props_Model/Phase1_Features", help="MLflow experiment"),
    Option(name="run-name", metavar="TEMPLATE", default="{date}_{phase}_{feature_set}_walkforward_v{n}",
        help="MLflow run name; may use {" + "}, {".join(RUN_NAME_FIELDS) + "}"),
    Option(name="tracking-uri", metavar="URI",
        help="Where to log (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the rootdir)"),
    Option(name="report", metavar="DIR", default="nbaprops-report", help="Where decision.json and friends are written"),
    Option(name="store", metavar="PLACE", default=".nbaprops",
        help="Where fold results and models lie: a folder, or a URL that fsspec knows (pytest-nbaprops[store]), which "
        "the folder .nbaprops then mirrors"),
    Option(name="dask", metavar="ADDRESS",
        help="Make the fits on the Dask cluster whose scheduler listens there (pytest-nbaprops[dask]); its workers "
        "need to see the fold store"),
    Option(name="shard", cli_only=True, metavar="K/N",
        help="Run the K-th of N shares of the fits, leave them in the fold store and decide nothing; a later run on "
        "the shares' stores, copied into one, decides without a fit"),
    Option(name="no-cache", flag=True, cli_only=True, help="Read no fold of an earlier session (still writes)"),
    Option(name="phase", ini_only=True, default="p1", help="The {phase} of the run name"),
    Option(name="columns", ini_only=True, repeatable=True,
        help="Column map for sources with other names, a line each: THEIRS = OURS"),
    Option(name="games", ini_only=True, default="regular, playin, playoffs, cup",
        help="Kinds of games that count; exhibitions (preseason, All-Star) never do"),
    Option(name="known-columns", ini_only=True, repeatable=True,
        help="Columns of your own in the games that are known before the game; all others count as its outcomes"),
    Option(name="known-gaps", ini_only=True, metavar="REASON",
        help="Why rows are missing from the games of the tested dates, where that is known; shown with the decision"),
    Option(name="known-good", ini_only=True, metavar="REASON",
        help="Why an error of less than two thirds of the baseline's is no leak; shown with the decision"),
    Option(name="sources", ini_only=True, repeatable=True,
        help="Files, or patterns of them, that groups, recipes and tests may read beside the games; nothing in "
        "them may be learnt from games later than the first test date"),
    Option(name="rehearse", cli_only=True, metavar="DATE",
        help="Run the leak check of the own tests for one date and show what differs; decides nothing"),
    Option(name="trusted-types", ini_only=True, repeatable=True,
        help="Types that a stored model may hold beyond the reviewed list (skops)"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin; defaults stay None so that the origin of a value is known."""
    group = parser.getgroup("nbaprops", "walk-forward validation of NBA player-prop models")
    # Lists are lines; single values are text, or TOML integers where pytest can say so (9.2 and later).
    single: Any = None
    if pytest.version_tuple >= (9, 2):
        single = str | int
    for option in OPTIONS:
        if not option.ini_only:
            text = option.help + (f" (default: {option.default})" if option.default else "")
            keywords: dict[str, Any] = {"default": None, "metavar": option.metavar, "help": text.replace("%", "%%")}
            if option.flag:
                keywords = {"action": "store_true", "default": False, "help": option.help}
            elif option.bare is not None:
                keywords |= {"nargs": "?", "const": option.bare}
            elif option.repeatable:
                keywords["action"] = "append"
            group.addoption(option.flag_name, dest=option.dest, **keywords)
        if not option.cli_only:
            kind: Any = "linelist" if option.repeatable else single
            parser.addini(option.dest, option.help, type=kind, default=None)


class OptionValues:
    """Looks values up in the order of precedence, and remembers where each came from."""

    def __init__(self, config: pytest.Config, root: Path) -> None:
        self.config, self.root = config, root
        self.ini_folder = root if config.inipath is None else config.inipath.parent
        self.by_name = {option.name: option for option in OPTIONS}
        self.from_command_line = frozenset(
            option.name for option in OPTIONS if config.getoption(option.dest, None) not in (None, False)
        )

    def spelled(self, name: str) -> str:
        """The option as the user wrote it: on the command line or in the ini file."""
        option = self.by_name[name]
        in_ini = option.ini_only or (name not in self.from_command_line and self.ini(option) is not None)
        return option.dest if in_ini else option.flag_name

    def ini(self, option: Option) -> Any:
        if option.cli_only:
            return None
        try:
            return self.config.getini(option.dest)
        except (TypeError, pytest.UsageError) as error:
            raise SettingsError(
                f"{option.dest} in {self.config.inipath}: {error}; "
                f"expected {'a list of texts' if option.repeatable else 'a text in quotes'}"
            ) from None

    def raw(self, name: str) -> Any:
        option = self.by_name[name]
        if name in self.from_command_line:
            return self.config.getoption(option.dest)
        value = self.ini(option)
        return option.default if value is None else value

    def text(self, name: str) -> str:
        raw = self.raw(name)
        if isinstance(raw, list | tuple):
            texts = ",".join(map(str, raw))
            raise SettingsError(f"{self.spelled(name)} is a list, expected one text; write {texts!r}")
        value = str(raw).strip()
        if not value:
            default = self.by_name[name].default
            instead = "or give it a value" if default is None else f"to get {default!r}"
            raise SettingsError(f"{self.spelled(name)}: is empty; leave it out {instead}")
        return value

    def optional(self, name: str) -> str | None:
        return None if self.raw(name) is None else self.text(name)

    def lines(self, name: str) -> tuple[str, ...]:
        value = self.raw(name)
        if value is None:
            return ()
        return tuple(str(line).strip() for line in ([value] if isinstance(value, str) else value))

    def whole(self, name: str, *, lowest: int, highest: float = math.inf) -> int:
        text = self.text(name)
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            allowed = f", {lowest} or more" if highest == math.inf else f" from {lowest} to {highest}"
            raise SettingsError(f"{self.spelled(name)}: {text!r} is not a whole number{allowed}")
        return number

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        text = self.text(name)
        if text not in allowed:
            raise SettingsError(f"{self.spelled(name)}: {text!r} is not one of {', '.join(allowed)}")
        return text

    def path(self, name: str) -> str | None:
        """Absolute."""
        text = self.optional(name)
        return None if text is None else os.path.normpath(self.base(name, self.root) / Path(text).expanduser())

    def base(self, name: str, otherwise: Path) -> Path:
        """What a relative path belongs to: the working directory on the command line, else the ini file's folder."""
        if name in self.from_command_line:
            return self.config.invocation_params.dir
        return otherwise if self.ini(self.by_name[name]) is None else self.ini_folder

    def checked(self, name: str, read: Callable[..., object]) -> str:
        """A text that is kept as it is, once what will read it has found nothing wrong."""
        text = self.text(name)
        read(text, option=self.spelled(name))
        return text
