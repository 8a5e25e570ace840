"""Command line and ini in, one frozen `Settings` out. Nothing heavier than pytest is imported here."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from pytest_nbaprops.data.kinds import parse_kinds
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.criteria import DEFAULT_CRITERIA, asked_criteria
from pytest_nbaprops.markers import without_repeats
from pytest_nbaprops.market.settings import MarketSettings, read_kelly, read_min_edge, read_rule, read_snapshot
from pytest_nbaprops.options import RUN_NAME_FIELDS, OptionValues
from pytest_nbaprops.rootdir import anchored_sqlite, project_root, refuse_unknown_keys, sqlite_in
from pytest_nbaprops.walkforward.remote import is_url
from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window

PROMOTE_MODES = ("off", "dry-run", "enforce")
ATTRIBUTE_MODES = ("changed", "all")
OF_LINES = ("bet-rule", "min-edge", "stake", "snapshot")
SAMPLE_SUFFIX = "-sample"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
RESERVED_ALIAS = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)
ALIAS = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
JOURNAL_SUFFIX = ".nbaprops-journal"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the user decided for one training session; paths are absolute, texts are checked."""

    rootdir: str
    data: str | None
    simulated: bool
    columns: Mapping[str, str]
    odds: str | None
    bet_rule: str
    min_edge: str
    stake: str
    snapshot: str
    target: str
    test: str
    train_window: str
    step: int
    refit: int
    recipes: tuple[str, ...]
    params: tuple[str, ...]
    features: str | None
    seed: int
    criteria: tuple[str, ...]
    attribute: str | None
    leak_dates: int
    promote: str
    model_name: str
    alias: str
    champion: str | None
    champion_path: str | None
    experiment: str
    run_name: str
    phase: str
    tracking_uri: str
    report: str
    use_cache: bool
    games: tuple[str, ...]
    known_columns: tuple[str, ...]
    known_gaps: str | None
    known_good: str | None
    sources: tuple[str, ...]
    rehearse: str | None
    store: str
    dask: str | None
    shard: tuple[int, int] | None
    trusted_types: tuple[str, ...]
    from_command_line: frozenset[str]

    def to_dict(self) -> dict[str, Any]:
        """Exact builtins, as they go to xdist workers and into decision.json."""
        plain: dict[str, Any] = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        plain |= {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
        return {**plain, "columns": dict(self.columns), "from_command_line": sorted(self.from_command_line)}

    @property
    def market(self) -> MarketSettings:
        """How lines are judged."""
        read = MarketSettings.read(
            rule=self.bet_rule, min_edge=self.min_edge, stake=self.stake, snapshot=self.snapshot, seed=self.seed
        )
        return replace(read, known_good=self.known_good is not None)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Settings:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
        }
        return cls(**{**values, "from_command_line": frozenset(plain["from_command_line"])})


def read_settings(config: pytest.Config) -> Settings:
    """Read and check every option: command line before ini before default.

    Raises:
        pytest.UsageError: a value cannot be used; one line that names the option and the way out.
    """
    try:
        refuse_unknown_keys(config)
        return _Reader(config, project_root(config)).all()
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None


class _Reader(OptionValues):
    """Reads each setting and checks it."""

    def all(self) -> Settings:
        settings = self.settings()
        self.refuse_bets_without_lines()
        return settings

    def settings(self) -> Settings:
        data = self.path("data")
        simulated = data is None and not self.config.hook.pytest_nbaprops_load_games.get_hookimpls()
        return Settings(
            rootdir=str(self.root),
            data=data,
            simulated=simulated,
            columns=column_map(self.lines("columns")),
            odds=self.path("odds"),
            bet_rule=self.checked("bet-rule", read_rule),
            min_edge=self.checked("min-edge", read_min_edge),
            stake=self.checked("stake", read_kelly),
            snapshot=self.checked("snapshot", read_snapshot),
            target=self.text("target"),
            test=parse_test_window(self.text("test"), option=self.spelled("test")).text,
            train_window=parse_train_window(self.text("train-window"), option=self.spelled("train-window")).text,
            step=self.whole("step", lowest=1),
            refit=self.whole("refit", lowest=1),
            recipes=without_repeats(self.lines("recipe"), self.spelled("recipe")),
            params=self.params(),
            features=self.optional("features"),
            seed=self.whole("seed", lowest=0, highest=2**32 - 1),
            criteria=self.criteria(),
            attribute=self.attribute(),
            leak_dates=self.whole("leak-dates", lowest=1, highest=100),
            promote=self.choice("promote", PROMOTE_MODES),
            model_name=self.model_name(simulated=simulated),
            alias=self.alias(),
            **self.champion(),
            experiment=self.named("experiment", simulated=simulated),
            run_name=self.run_name(),
            phase=self.text("phase"),
            tracking_uri=self.tracking_uri(),
            report=self.path("report") or "",
            use_cache=not self.config.getoption("nbaprops_no_cache"),
            games=parse_kinds(", ".join(self.lines("games"))),
            known_columns=self.lines("known-columns"),
            known_gaps=self.optional("known-gaps"),
            known_good=self.optional("known-good"),
            sources=self.sources(),
            rehearse=self.rehearse(),
            store=self.store(),
            dask=self.optional("dask"),
            shard=self.shard(),
            trusted_types=tuple(" ".join(self.lines("trusted-types")).replace(",", " ").split()),
            from_command_line=self.from_command_line,
        )

    def sources(self) -> tuple[str, ...]:
        """Declared files, absolute; several, or patterns, may stand on a line, with or without commas between them."""
        paths: list[str] = []
        words = (word for line in self.lines("sources") for word in shlex.split(line, posix=os.name == "posix"))
        for text in (word.removesuffix(",") for word in words):
            path = os.path.normpath(self.ini_folder / Path(text).expanduser())
            files = [path] if Path(path).is_file() else _matching(path)
            if not files:
                raise SettingsError(
                    f"nbaprops_sources: {text!r} is no file ({path}); name files (config.yaml) or patterns (config/*), "
                    "relative to the ini file"
                )
            paths += files
        return tuple(dict.fromkeys(paths))

    def refuse_bets_without_lines(self) -> None:
        """Options of betting on the command line itself (in addopts they may be for other sessions), and no lines."""
        typed = {str(word).partition("=")[0] for word in self.config.invocation_params.args}
        for name in OF_LINES if self.path("odds") is None else ():
            if f"--nbaprops-{name}" in typed:
                raise SettingsError(
                    f"--nbaprops-{name}: has no effect without player-prop lines; add --nbaprops-odds=PATH"
                )

    def rehearse(self) -> str | None:
        text = self.optional("rehearse")
        if text is not None and not _DATE.fullmatch(text):
            raise SettingsError(f"--nbaprops-rehearse: {text!r} is no date; give one of the test dates as YYYY-MM-DD")
        return text

    def store(self) -> str:
        """An absolute path, or a URL."""
        text = self.text("store")
        return text if is_url(text) else self.path("store") or ""

    def shard(self) -> tuple[int, int] | None:
        """Which share of the fits, and of how many."""
        text = self.optional("shard")
        if text is None:
            return None
        match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
        if match is None or int(match[1]) > int(match[2]):
            raise SettingsError(
                f"--nbaprops-shard: {text!r} is no share; write K/N, such as 2/5 for the second of five"
            )
        for name in ("promote", "attribute", "rehearse"):
            if name in self.from_command_line:
                raise SettingsError(
                    f"--nbaprops-{name}: has no effect with --nbaprops-shard, which decides nothing; "
                    "give it to the run that decides on the shares' stores"
                )
        return int(match[1]), int(match[2])

    def params(self) -> tuple[str, ...]:
        """Hyperparameters, each named once: of two values one would have no effect."""
        lines = self.lines("param")
        names = [line.partition("=")[0].strip() for line in lines]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"{self.spelled('param')}: {name!r} is set twice; set it once")
        return lines

    def attribute(self) -> str | None:
        if self.raw("attribute") is None:
            return None
        if "attribute" in self.from_command_line and self.text("promote") == "off":
            raise SettingsError(
                "--nbaprops-attribute: has no effect with --nbaprops-promote=off, which decides nothing; "
                "use dry-run, or leave it out"
            )
        return self.choice("attribute", ATTRIBUTE_MODES)

    def champion(self) -> dict[str, str | None]:
        """An alias or a run, or the absolute path of a champion snapshot.

        Raises:
            SettingsError: a snapshot under `enforce`, which compares with the registry that it writes to.
        """
        text = self.optional("champion")
        # A run may be called what no file can be: Path.exists raises then.
        if text is None or not os.path.exists(self.path("champion") or ""):  # noqa: PTH110
            return {"champion": text, "champion_path": None}
        if self.text("promote") == "enforce":
            raise SettingsError(
                f"{self.spelled('champion')}: {text!r} is a champion snapshot, which is for sessions that cannot reach "
                "the registry; with --nbaprops-promote=enforce name an alias, or leave it out"
            )
        return {"champion": None, "champion_path": self.path("champion")}

    def named(self, name: str, *, simulated: bool) -> str:
        """Names of models and experiments on the sample league say so, whatever was asked for."""
        text = self.text(name)
        return text + SAMPLE_SUFFIX if simulated and not text.endswith(SAMPLE_SUFFIX) else text

    def model_name(self, *, simulated: bool) -> str:
        text, option = self.text("model-name"), self.spelled("model-name")
        if not text.isprintable() or any(sign in text for sign in "/:@"):
            raise SettingsError(
                f"{option}: {text!r} holds '/', ':', '@' or a control character, which MLflow refuses in names"
            )
        if text.endswith(JOURNAL_SUFFIX):
            raise SettingsError(f"{option}: {text!r} is the journal of another model; choose another name")
        return self.named("model-name", simulated=simulated)

    def alias(self) -> str:
        text = self.text("alias")
        if RESERVED_ALIAS.fullmatch(text) or not ALIAS.fullmatch(text):
            raise SettingsError(
                f"{self.spelled('alias')}: {text!r} can't be an alias: latest, v<number> and numbers are MLflow's own; "
                "use letters, digits, - and _, such as staging or production"
            )
        return text.lower()

    def run_name(self) -> str:
        text = self.text("run-name")
        try:
            parts = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
        except ValueError:
            parts = [("", None, None)]
        if not text.isprintable() or any(part[0] not in RUN_NAME_FIELDS or part[1] or part[2] for part in parts):
            allowed = ", ".join("{" + name + "}" for name in RUN_NAME_FIELDS)
            option = self.spelled("run-name")
            raise SettingsError(f"{option}: {text!r} is not a run name template; it may use {allowed}")
        return text

    def criteria(self) -> tuple[str, ...]:
        """An empty ini list stays empty: no criteria is a verdict (inconclusive), not a default."""
        if self.raw("criterion") is None:
            return DEFAULT_CRITERIA
        asked = asked_criteria(self.lines("criterion"), option=self.spelled("criterion"))
        return tuple(criterion.expression for criterion in asked)

    def tracking_uri(self) -> str:
        """Relative sqlite files belong to the rootdir (ini, default) or the working directory (command line)."""
        uri = self.optional("tracking-uri") or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
        if not uri:
            return sqlite_in(self.root, "mlflow.db")
        return anchored_sqlite(uri, self.base("tracking-uri", self.config.invocation_params.dir))


def column_map(lines: tuple[str, ...]) -> dict[str, str]:
    """`THEIRS = OURS` lines."""
    mapping: dict[str, str] = {}
    for line in lines:
        theirs, sign, ours = (part.strip() for part in line.partition("="))
        if not (theirs and sign and ours):
            raise SettingsError(f"nbaprops_columns: {line!r} is not a line like 'player_id = PLAYER_ID'")
        if theirs in mapping or ours in mapping.values():
            raise SettingsError(f"nbaprops_columns: {line!r} maps a column a second time; keep one line per column")
        mapping[theirs] = ours
    return mapping


def _matching(pattern: str) -> list[str]:
    """The files of an absolute pattern; none for what is no pattern."""
    anchor = Path(pattern).anchor
    try:
        return sorted(str(path) for path in Path(anchor).glob(pattern.removeprefix(anchor)) if path.is_file())
    except ValueError:  # `**` beside other characters, or nothing at all
        return []
