"""`nbaprops predict`: tomorrow's players in, predictions with intervals out."""

from __future__ import annotations

import contextlib
import json
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pytest_nbaprops.commands.output import Report, Table, finite, format_option, show
from pytest_nbaprops.commands.project import find_project, model_option, open_store, tracking_option
from pytest_nbaprops.errors import DataError, SettingsError, TrackingError
from pytest_nbaprops.spreadsheet import without_formulas
from pytest_nbaprops.wholefile import write_whole

if TYPE_CHECKING:
    import pytest

    from pytest_nbaprops.serving.forecast import Forecast
    from pytest_nbaprops.settings import Settings

SUFFIXES: Final = (".csv", ".parquet", ".json")
SHORT: Final = ("date", "player", "team", "opponent", "home", "predicted", "low", "high")
SHORT_ODDS: Final = (
    "line", "edge", "over", "under", "chance", "fair_over", "bet", "book", "bet_line", "price", "value",
)  # fmt: skip
NUMBERS: Final = {
    **dict.fromkeys(("predicted", "low", "high", "line", "baseline", "bet_line"), ".1f"),
    **dict.fromkeys(("over", "under"), ".2f"),
    **dict.fromkeys(("fair_over", "price"), "+.0f"),
    "edge": "+.1f",
    "value": "+.1%",
}
DIGEST_SHOWN: Final = 12
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--schedule", type=FILE, help="CSV or Parquet: player (or player_id), team, opponent, date, home.")
@click.option(
    "--date",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Rows of this date in the data, not yet played.",
)
@click.option("--data", metavar="PATH", help="Game logs [default: the project's own].")
@click.option("--alias", default="production", show_default=True, help="Which version predicts.")
@click.option(
    "--odds",
    "--nbaprops-odds",
    "odds",
    metavar="PATH",
    help="Player-prop lines (CSV, Parquet, JSON): adds line, chances, fair price and the best offer "
    "[default: nbaprops_odds of the ini file].",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write .csv, .parquet or .json.")
@click.option("--allow-stale", is_flag=True, help="Predict although data or code is not what the model was trained on.")
@click.option("--allow-new-players", is_flag=True, help="Take names that the data does not have for debutants.")
@model_option
@tracking_option
@format_option
def predict(**asked: Any) -> None:
    """Predict the players of games to come with a promoted model, each with an 80% interval.

    Features are made by the same code as in training. Refuses data older than the model and features made by other
    code.

    Example: nbaprops predict --schedule tomorrow.csv --odds lines.csv --out predictions.csv
    """
    if (asked["schedule"] is None) == (asked["date"] is None):
        raise click.UsageError("name the players with --schedule FILE or with --date YYYY-MM-DD, one of the two")
    if asked["out"] is not None:
        _check_out(asked["out"], [asked["schedule"], asked["odds"], asked["data"]])
    from pytest_nbaprops.commands.visit import visit  # noqa: PLC0415 - pandas and MLflow only where they are needed

    options = {"data": asked["data"], "model-name": asked["model"], "tracking-uri": asked["tracking_uri"]}
    arguments = [f"--nbaprops-{name}={value}" for name, value in options.items() if value is not None]
    _tell(visit(arguments, lambda config, settings: _forecast(config, settings, asked)), asked)


def _forecast(config: pytest.Config, settings: Settings, asked: dict[str, Any]) -> Forecast:
    """Whatever can be refused quickly is looked at first."""
    from pytest_nbaprops.data.schedulefile import read_schedule  # noqa: PLC0415
    from pytest_nbaprops.data.schema import parse_target  # noqa: PLC0415
    from pytest_nbaprops.data.upcoming import unplayed_rows, upcoming_rows  # noqa: PLC0415
    from pytest_nbaprops.market.odds import read_odds  # noqa: PLC0415
    from pytest_nbaprops.serving.forecast import predict_upcoming  # noqa: PLC0415
    from pytest_nbaprops.serving.loader import ProductionModelLoader  # noqa: PLC0415
    from pytest_nbaprops.session.hooks import available_groups, read_games  # noqa: PLC0415 - heavy

    target = parse_target(settings.target)
    schedule = None if asked["schedule"] is None else read_schedule(asked["schedule"])
    path = asked["odds"] or settings.odds
    odds = None if path is None else read_odds(path)
    store = open_store(find_project(Path.cwd()), settings.tracking_uri)
    try:
        loader = ProductionModelLoader(
            settings.model_name, asked["alias"], store=store, trusted_types=settings.trusted_types
        )
    except TrackingError as error:
        if settings.data is not None:
            raise
        hint = "the model of the sample league was looked for, as no nbaprops_data is set: name your games with --data"
        raise TrackingError(f"{error}; {hint}") from None
    if asked["out"] is not None:
        _check_no_input(asked["out"], [settings.data, settings.odds])
    games, _ = read_games(config, settings, target)
    if schedule is None:
        upcoming = unplayed_rows(games, asked["date"])
    else:
        upcoming = upcoming_rows(schedule, games, allow_new_players=asked["allow_new_players"])
    return predict_upcoming(
        upcoming,
        games,
        loader,
        groups=available_groups(config, settings).all,
        root=Path(settings.rootdir),
        odds=odds,
        earlier_odds=None if settings.odds in (None, path) else read_odds(str(settings.odds)),
        bets=settings.market,
        allow_stale=asked["allow_stale"],
    )


def _tell(forecast: Forecast, asked: dict[str, Any]) -> None:
    for reason in forecast.stale:
        click.echo(f"Warning: {forecast.model['model_name']} v{forecast.model['version']} is stale: {reason}", err=True)
    for reason in forecast.warnings:
        click.echo(f"Warning: {reason}", err=True)
    if asked["out"] is None:
        show(_report(forecast, asked["style"]), asked["style"])
        return
    _write(forecast, asked["out"])
    for note in forecast.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{asked['out']}: {len(forecast.rows)} predictions by {_who(forecast)}")


def _who(forecast: Forecast) -> str:
    model = forecast.model
    stale = "STALE: " if forecast.stale else ""
    return (
        f"{stale}{model['model_name']} v{model['version']} ({model['alias']}), trained through "
        f"{model['trained_through'] or 'unknown'}; data through {forecast.data_through}, "
        f"digest {forecast.data_digest[:DIGEST_SHOWN]}"
    )


def _report(forecast: Forecast, style: str) -> Report:
    """People get the columns that matter, programs all of them."""
    frame = forecast.table()
    if style != "csv":
        frame = frame[[*SHORT, *(name for name in SHORT_ODDS if name in frame)]]
    plain = frame.astype(object).where(frame.notna(), None)
    rows = list(plain.to_dict("split")["data"])
    table = Table(columns=list(frame.columns), rows=rows, title=_who(forecast), texts=NUMBERS, folding=("player",))
    notes = [f"low to high: {forecast.level:.0%} interval", *forecast.notes]
    return Report(tables=[table], document=forecast.to_dict(), notes=notes)


def _check_out(path: Path, inputs: Sequence[str | Path | None]) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"--out {path}: the suffix is not one of {', '.join(SUFFIXES)}")
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"--out {path}: the folder {path.parent} does not exist; make it first")
    try:
        _check_no_input(path, inputs)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


def _check_no_input(path: Path, inputs: Sequence[str | Path | None]) -> None:
    """Refuse to write over what is read."""
    from pytest_nbaprops.data.files import KNOWN, find_files  # noqa: PLC0415 - pyarrow only where it is needed

    for source in inputs if path.exists() else ():
        with contextlib.suppress(DataError):  # whoever reads it says what is wrong with it
            if source is not None and any(path.samefile(file) for file in find_files(source, formats=KNOWN)):
                raise SettingsError(f"--out {path} is read as {source}: it would be written over; choose another path")


def _write(forecast: Forecast, path: Path) -> None:
    """All of the file or nothing: written beside it and moved into place."""
    writers: dict[str, Callable[[Path], Any]] = {
        ".csv": lambda file: without_formulas(forecast.table()).to_csv(file, index=False),
        ".parquet": lambda file: forecast.table().to_parquet(file, engine="pyarrow", index=False),
        ".json": lambda file: file.write_text(
            json.dumps(finite(forecast.to_dict()), indent=2, allow_nan=False) + "\n", encoding="utf-8"
        ),
    }
    try:
        with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
            file = Path(folder) / path.name
            writers[path.suffix.lower()](file)
            write_whole(path, file.read_bytes(), mode=stat.S_IMODE(file.stat().st_mode))
    except OSError as error:
        raise SettingsError(f"--out {path} cannot be written: {error.strerror or error}; choose another path") from None
