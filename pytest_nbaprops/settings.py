"""Command line and ini in, one frozen `Settings` out. Nothing heavier than pytest is imported here."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.data.kinds import parse_kinds
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.criteria import DEFAULT_CRITERIA, parse_criterion
from pytest_nbaprops.market.settings import MarketSettings
from pytest_nbaprops.options import OPTIONS, RUN_NAME_FIELDS, Option
from pytest_nbaprops.walkforward.remote import is_url
from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window

PROMOTE_MODES = ("off", "dry-run", "enforce")
ATTRIBUTE_MODES = ("changed", "all")
SAMPLE_SUFFIX = "-sample"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
RESERVED_ALIAS = re.compile(r"latest|v\d+|\d+", re.IGNORECASE)
ALIAS = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
JOURNAL_SUFFIX = ".nbaprops-journal"
INI_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the user decided for one training session; paths are absolute, texts are checked."""

    rootdir: str
    data: str | None
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
        return {
            name: sorted(value)
            if isinstance(value, frozenset)
            else list(value)
            if isinstance(value, tuple)
            else dict(value)
            if isinstance(value, Mapping)
            else value
            for name, value in plain.items()
        }

    @property
    def market(self) -> MarketSettings:
        """How lines are judged."""
        return MarketSettings.read(
            rule=self.bet_rule, min_edge=self.min_edge, stake=self.stake, snapshot=self.snapshot, seed=self.seed
        )

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Settings:
        tuples = {
            name: tuple(plain[name])
            for name in ("games", "recipes", "params", "criteria", "known_columns", "sources", "trusted_types")
        }
        shard = plain["shard"] and tuple(plain["shard"])
        return cls(**{**plain, **tuples, "shard": shard, "from_command_line": frozenset(plain["from_command_line"])})


def read_settings(config: pytest.Config) -> Settings:
    """Read and check every option: command line before ini before default.

    Raises:
        pytest.UsageError: a value cannot be used; one line that names the option and the way out.
    """
    try:
        _refuse_unknown_keys(config)
        return _Reader(config).settings()
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None


def forget_decision(config: pytest.Config) -> None:
    """Take an older decision out of the report folder: a session that fails to start must not leave its verdict."""
    given = config.known_args_namespace.nbaprops_report
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        here = config.invocation_params.dir
        root = config.rootpath if config.known_args_namespace.rootdir else here
        base = here if given else config.inipath.parent if config.inipath is not None else root
        report = base / Path(str(given or config.getini("nbaprops_report") or "nbaprops-report")).expanduser()
        # INCONCLUSIVE is what a session says until it has ended: xdist's workers find that of their own.
        if json.loads((report / "decision.json").read_text(encoding="utf-8"))["verdict"] != "INCONCLUSIVE":
            for name in ("decision.json", "summary.md", "report.html"):
                (report / name).unlink(missing_ok=True)


def _refuse_unknown_keys(config: pytest.Config) -> None:
    """A key that nobody declared is a typo; pytest only warns of it, and the default would count."""
    text = config.inipath.read_text(encoding="utf-8", errors="replace") if config.inipath is not None else ""
    keys = re.findall(r"^[ \t]*[\"']?(nbaprops_\w+)[\"']?[ \t]*[=:]", text, re.MULTILINE)
    given = [
        name for word in config.option.override_ini or () if (name := word.partition("=")[0]).startswith("nbaprops_")
    ]
    for key, where in [*((key, config.inipath) for key in keys), *((key, "-o") for key in given)]:
        try:
            config.getini(key)
        except ValueError:
            raise SettingsError(f"{key} in {where}: {_no_key(key)}") from None
        except (TypeError, pytest.UsageError):
            continue  # a value of another type: said where it is read


def _no_key(key: str) -> str:
    known = {option.name.replace("-", "_"): option for option in OPTIONS}
    name = key.removeprefix("nbaprops_")
    if name in known:
        return f"is for the command line only; take it out and write {known[name].flag_name} there"
    keys = [own for own, option in known.items() if not option.cli_only]
    close = difflib.get_close_matches(name, keys, n=1)
    hint = f"did you mean nbaprops_{close[0]}?" if close else f"use one of nbaprops_{', nbaprops_'.join(keys)}"
    return f"there is no such key; {hint}"


class _Reader:
    """Looks values up in the order of precedence, and remembers where each came from."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.root = project_root(config)
        self.by_name = {option.name: option for option in OPTIONS}
        self.from_command_line = frozenset(
            option.name for option in OPTIONS if config.getoption(option.dest, None) not in (None, False)
        )

    def settings(self) -> Settings:
        data = self.path("data")
        return Settings(
            rootdir=str(self.root),
            data=data,
            columns=column_map(self.lines("columns")),
            odds=self.path("odds"),
            bet_rule=self.market("bet-rule"),
            min_edge=self.market("min-edge"),
            stake=self.market("stake"),
            snapshot=self.market("snapshot"),
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
            model_name=self.named("model-name", simulated=data is None),
            alias=_alias(self.text("alias"), self.spelled("alias")),
            **self.champion(),
            experiment=self.named("experiment", simulated=data is None),
            run_name=_template(self.text("run-name"), self.spelled("run-name")),
            phase=self.text("phase"),
            tracking_uri=self.tracking_uri(),
            report=self.path("report") or "",
            use_cache=not self.config.getoption("nbaprops_no_cache"),
            games=parse_kinds(", ".join(self.lines("games"))),
            known_columns=self.lines("known-columns"),
            known_gaps=self.optional("known-gaps"),
            sources=self.sources(),
            rehearse=self.rehearse(),
            store=self.store(),
            dask=self.optional("dask"),
            shard=self.shard(),
            trusted_types=self.lines("trusted-types"),
            from_command_line=self.from_command_line,
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
        value = str(self.raw(name)).strip()
        if not value:
            raise SettingsError(f"{self.spelled(name)}: is empty; leave it out to get {self.by_name[name].default!r}")
        return value

    def optional(self, name: str) -> str | None:
        return None if self.raw(name) is None else self.text(name)

    def lines(self, name: str) -> tuple[str, ...]:
        value = self.raw(name)
        if value is None:
            return ()
        return tuple(str(line).strip() for line in ([value] if isinstance(value, str) else value))

    def sources(self) -> tuple[str, ...]:
        """Declared files, absolute; several may stand on a line."""
        base = self.root if self.config.inipath is None else self.config.inipath.parent
        named = [text for line in self.lines("sources") for text in shlex.split(line, posix=os.name == "posix")]
        paths = tuple(os.path.normpath(base / Path(text).expanduser()) for text in named)
        for text, path in zip(named, paths, strict=True):
            if not Path(path).is_file():
                raise SettingsError(
                    f"nbaprops_sources: {text!r} is no file ({path}); name files, relative to the ini file"
                )
        return paths

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

    def whole(self, name: str, *, lowest: int, highest: int | None = None) -> int:
        text = self.text(name)
        allowed = (
            f"a whole number, {lowest} or more" if highest is None else f"a whole number from {lowest} to {highest}"
        )
        try:
            number = int(text)
        except ValueError:
            raise SettingsError(f"{self.spelled(name)}: {text!r} is not {allowed}") from None
        if number < lowest or (highest is not None and number > highest):
            raise SettingsError(f"{self.spelled(name)}: {text!r} is not {allowed}")
        return number

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        text = self.text(name)
        if text not in allowed:
            raise SettingsError(f"{self.spelled(name)}: {text!r} is not one of {', '.join(allowed)}")
        return text

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

    def path(self, name: str) -> str | None:
        """Absolute; relative to the working directory on the command line, else to the ini file."""
        text = self.optional(name)
        if text is None:
            return None
        if name in self.from_command_line or self.config.inipath is None or self.ini(self.by_name[name]) is None:
            base = self.config.invocation_params.dir if name in self.from_command_line else self.root
        else:
            base = self.config.inipath.parent
        return os.path.normpath(base / Path(text).expanduser())

    def market(self, name: str) -> str:
        """A text of what is bet, checked by what will read it."""
        text, option = self.text(name), name.removeprefix("bet-").replace("-", "_")
        try:
            MarketSettings.read(**{option: text})  # type: ignore[arg-type] # none of the four is the seed
        except SettingsError as error:
            raise SettingsError(str(error).replace(f"--nbaprops-{name}", self.spelled(name), 1)) from None
        return text

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
        if name == "model-name":
            _refuse_model_name(text, self.spelled(name))
        return text + SAMPLE_SUFFIX if simulated and not text.endswith(SAMPLE_SUFFIX) else text

    def criteria(self) -> tuple[str, ...]:
        """An empty ini list stays empty: no criteria is a verdict (inconclusive), not a default."""
        if self.raw("criterion") is None:
            return DEFAULT_CRITERIA
        option = self.spelled("criterion")
        return tuple(parse_criterion(text, option=option).expression for text in self.lines("criterion"))

    def tracking_uri(self) -> str:
        """Relative sqlite files belong to the rootdir (ini, default) or the working directory (command line)."""
        uri = self.optional("tracking-uri") or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
        if not uri:
            return sqlite_in(self.root, "mlflow.db")
        return anchored_sqlite(uri, self.anchor("tracking-uri"))

    def anchor(self, name: str) -> Path:
        in_ini = name not in self.from_command_line and self.ini(self.by_name[name]) is not None
        if in_ini:
            return self.config.inipath.parent if self.config.inipath else self.root
        return self.config.invocation_params.dir


def project_root(config: pytest.Config) -> Path:
    """The rootdir, or the working directory where pytest took it from an option's value.

    pytest decides on rootdir and ini file before it knows our options: it takes PATH in `--nbaprops-data PATH` for a
    test path, and where that lies outside of the project, for the rootdir.

    Raises:
        SettingsError: an ini file with our settings was passed over that way.
    """
    here = config.invocation_params.dir
    if config.option.rootdir or config.option.inifilename:
        return config.rootpath
    if config.inipath is not None and here.is_relative_to(config.inipath.parent):
        return config.rootpath
    for passed_over in (folder / name for folder in (here, *here.parents) for name in INI_FILES):
        if passed_over.is_file() and "nbaprops_" in passed_over.read_text(encoding="utf-8", errors="replace"):
            raise SettingsError(
                f"pytest did not read {passed_over}: it took the value of an option for a test path; "
                f"write --nbaprops-data=PATH with an equals sign, or add -c {passed_over}"
            )
    return here


def anchored_sqlite(uri: str, base: Path) -> str:
    """The URI with the path of a relative sqlite file made absolute."""
    prefix = "sqlite:///"
    if not uri.startswith(prefix) or uri.startswith(prefix + "/"):
        return uri
    return sqlite_in(base, uri.removeprefix(prefix))


def sqlite_in(folder: Path, name: str) -> str:
    """The URI of a sqlite file, whatever the folder is called."""
    path = Path(os.path.normpath(folder / name))
    if set("%#?").isdisjoint(str(folder)):
        return f"sqlite:///{path}"
    from pytest_nbaprops.tracking.database import sqlite_uri  # noqa: PLC0415 - SQLAlchemy knows, and is heavy

    return sqlite_uri(path)


def _refuse_model_name(text: str, option: str) -> None:
    if not text.isprintable() or any(sign in text for sign in "/:@"):
        raise SettingsError(
            f"{option}: {text!r} holds '/', ':', '@' or a control character, which MLflow refuses in names"
        )
    if text.endswith(JOURNAL_SUFFIX):
        raise SettingsError(f"{option}: {text!r} is the journal of another model; choose another name")


def _alias(text: str, option: str) -> str:
    if RESERVED_ALIAS.fullmatch(text) or not ALIAS.fullmatch(text):
        raise SettingsError(
            f"{option}: {text!r} can't be an alias: latest, v<number> and numbers are MLflow's own; use letters, "
            "digits, - and _, such as staging or production"
        )
    return text.lower()


def _template(text: str, option: str) -> str:
    try:
        text.format(**dict.fromkeys(RUN_NAME_FIELDS, "x"))
    except (KeyError, IndexError, ValueError, AttributeError):
        allowed = ", ".join("{" + name + "}" for name in RUN_NAME_FIELDS)
        raise SettingsError(f"{option}: {text!r} is not a run name template; it may use {allowed}") from None
    return text


def without_repeats(names: tuple[str, ...], option: str) -> tuple[str, ...]:
    if not names or "" in names:
        raise SettingsError(f"{option}: names no recipe; leave it out to get 'advanced'")
    if len(set(names)) < len(names):
        raise SettingsError(f"{option}: {', '.join(names)} names a recipe twice; name each one once")
    return names


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
