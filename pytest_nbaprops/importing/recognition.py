"""What an old run was, told by the habits of scripts: names, tags, params and the experiment it stands in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pytest_nbaprops.importing.source import Point, SourceRun

# In this order: a stacked or two-stage model is made of the others.
_MODEL_TYPES: Final = (
    ("two_stage", r"two[ _-]?stage|2[ _-]?stage"),
    ("ensemble", r"ensemble|stack(?:ed|ing)?|voting|blend(?:ed|ing)?"),
    ("xgboost", r"xgb(?:oost|regressor)?"),
    ("lightgbm", r"lgbm?(?:regressor)?|lightgbm"),
    ("catboost", r"catboost(?:regressor)?|cat[ _-]?boost"),
    ("random_forest", r"random[ _-]?forest(?:regressor)?|rf"),
    ("gradient_boosting", r"(?:hist)?gradient[ _-]?boost(?:ing|ed)?(?:regressor)?|gbm|gbr"),
    ("neural_network", r"neural[ _-]?net(?:work)?|mlp(?:regressor)?|lstm|pytorch|keras"),
    ("elastic_net", r"elastic[ _-]?net"),
    ("ridge", r"ridge"),
    ("lasso", r"lasso"),
    ("linear", r"linear(?:[ _-]?regression)?|ols"),
    ("baseline", r"baseline|last[ _-]?(?:10|ten)|rolling[ _-]?mean"),
)
_VALIDATIONS: Final = (
    ("walk_forward", r"walk[ _-]?forward(?:[ _-]?validation)?|wf(?:v|cv)?|rolling[ _-]?origin|expanding[ _-]?window"),
    ("time_series_split", r"time[ _-]?series[ _-]?(?:split|cv)|tscv"),
    ("cross_validation", r"cross[ _-]?val(?:idation)?|k[ _-]?fold|\d+[ _-]?fold|cv"),
    ("holdout", r"hold[ _-]?out|train[ _-]?test(?:[ _-]?split)?|train[ _-]?val(?:[ _-]?split)?|single[ _-]?split"),
    ("backtest", r"back[ _-]?test"),
)
_PHASE: Final = re.compile(r"(?:^|[^A-Za-z0-9])(?:phase[ _-]?|ph|p)(\d{1,2})(?![A-Za-z0-9])", re.IGNORECASE)
_PHASE_WORD: Final = re.compile(r"phase[ _-]?(\d{1,2})(?!\d)", re.IGNORECASE)
_DATE: Final = re.compile(r"(?<!\d)(20\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_TIME: Final = re.compile(r"(?<!\d)[0-2]\d[-_:]?[0-5]\d(?:[-_:]?[0-5]\d)?(?!\d)")
_NUMBER: Final = re.compile(r"(?:^|[_\s-])v(?:ersion)?[ _-]?(\d{1,4})$", re.IGNORECASE)
_STANDARD: Final = re.compile(r"\d{4}-\d{2}-\d{2}_p\d{1,2}_[\w.-]+_v\d+")
_GIVEN: Final = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")
"""MLflow's own names, `bemused-crab-42`, say nothing."""

_PHASE_KEYS: Final = ("phase", "experiment_phase", "project_phase", "nbaprops_phase")
_MODEL_KEYS: Final = (
    "model_type", "model", "model_name", "model_class", "estimator_name", "estimator_class", "algorithm", "algo",
    "estimator", "regressor", "recipe",
)  # fmt: skip
_VALIDATION_KEYS: Final = (
    "validation_type", "validation", "validation_method", "validation_strategy", "cv_type", "cv_method", "cv",
    "split_method", "split_type", "evaluation_type",
)  # fmt: skip
_FEATURE_KEYS: Final = ("feature_set", "features", "feature_group", "feature_groups", "feature_version", "featureset")
_WORD: Final = re.compile(r"[^A-Za-z0-9.]+")
_LONGEST_SLUG: Final = 60


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What could be told of a run; None where it could not."""

    name: str
    """The standard name without its number (it ends in `_v{n}`), or the name as it was."""
    standard: bool
    number: int | None = None
    """The number that its old name had."""
    phase: str | None = None
    model_type: str | None = None
    validation_type: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        told = {"phase": self.phase, "model_type": self.model_type, "validation_type": self.validation_type}
        return {name: value for name, value in told.items() if value is not None}


def recognise(run: SourceRun, experiment: str) -> Recognised:
    """What the run was, and its name in this tool's way: `{date}_{phase}_{feature_set}_{validation}_v{n}`.

    Only what is told by the run itself or its experiment goes into the name; where there is no phase or nothing that
    would be a feature set, the name stays as it was.
    """
    known = {key.lower(): value for key, value in (run.params | run.tags).items()}
    phase = _phase(known, run.name, experiment)
    model_type = _kind(_MODEL_TYPES, known, _MODEL_KEYS, (run.name, experiment))
    validation = _kind(_VALIDATIONS, known, _VALIDATION_KEYS, (run.name, experiment))
    if validation is None and any(name.startswith("fold_") and len(points) > 1 for name, points in run.metrics.items()):
        validation = "walk_forward"
    told = Recognised(name=run.name, standard=False, phase=phase, model_type=model_type, validation_type=validation)
    if _STANDARD.fullmatch(run.name):
        return told
    features = _features(known, run.name)
    if found := _DATE.search(run.name):
        day: str | None = "-".join(found.groups())
    else:
        day = None if run.start_time is None else f"{datetime.fromtimestamp(run.start_time / 1000, UTC):%Y-%m-%d}"
    if day is None or phase is None or not features:
        return told
    parts = [day, phase, features, *([(validation or "").replace("_", "")] if validation else []), "v{n}"]
    number = _NUMBER.search(run.name)
    return replace(told, name="_".join(parts), standard=True, number=int(number[1]) if number else None)


def _phase(known: Mapping[str, str], name: str, experiment: str) -> str | None:
    for key in _PHASE_KEYS:
        if value := known.get(key, "").strip():
            found = re.search(r"\d{1,2}", value)
            return f"p{int(found[0])}" if found else _slug(value) or None
    for text in (name, experiment):
        if found := _PHASE.search(text) or _PHASE_WORD.search(text):
            return f"p{int(found[1])}"
    return None


def _kind(
    kinds: Sequence[tuple[str, str]], known: Mapping[str, str], keys: Iterable[str], names: Iterable[str]
) -> str | None:
    said = [known[key] for key in keys if known.get(key, "").strip()]
    for text in (*said, *names):
        for kind, pattern in kinds:
            if re.search(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z])", text, re.IGNORECASE):
                return kind
    return None


def _features(known: Mapping[str, str], name: str) -> str:
    """The feature set: as a tag or param says, else what the name has beside date, phase, validation and number."""
    for key in _FEATURE_KEYS:
        value = known.get(key, "")
        if 0 < len(value.strip()) <= _LONGEST_SLUG and (slug := _slug(value)):
            return slug
    if _GIVEN.fullmatch(name):
        return ""
    rest = _NUMBER.sub("", name)
    for pattern in (
        _DATE,
        _PHASE,
        _PHASE_WORD,
        *(re.compile(rf"(?<![A-Za-z])(?:{p})(?![A-Za-z])", re.IGNORECASE) for _, p in _VALIDATIONS),
    ):
        rest = pattern.sub(" ", rest)
    return _slug(_TIME.sub(" ", rest))


def _slug(text: str) -> str:
    return "_".join(part for part in _WORD.split(text) if part)[:_LONGEST_SLUG].strip("_.").lower()


# metrics

_SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "mae": ("mae", "mean_absolute_error"),
    "rmse": ("rmse", "root_mean_squared_error"),
    "r2": ("r2", "r2_score", "r_squared", "rsquared", "r_2"),
    "bias": ("bias",),
    "within_3_pct": ("within_3_pct", "within_3", "within_3_points", "pct_within_3", "accuracy_within_3"),
    "within_5_pct": ("within_5_pct", "within_5", "within_5_points", "pct_within_5", "accuracy_within_5"),
    "within_10_pct": ("within_10_pct", "within_10", "within_10_points", "pct_within_10", "accuracy_within_10"),
    "n_predictions": ("n_predictions", "num_predictions", "total_predictions", "n_preds", "prediction_count"),
    "roi": ("roi", "return_on_investment"),
}
# What the number was measured on, the likeliest to be the whole validation first. Never the training rows.
_MEASURED: Final = (
    "", "overall", "total", "final", "walk_forward", "wf", "oos", "out_of_sample", "test", "holdout", "val",
    "validation", "valid", "cv", "cv_mean", "eval", "avg", "mean", "average",
)  # fmt: skip
_PERCENT: Final = ("within_3_pct", "within_5_pct", "within_10_pct")


@dataclass(frozen=True, kw_only=True)
class Synonym:
    """A metric under its standard name; `last_of` is how many steps the original has, of which this is the last."""

    name: str
    original: str
    point: Point
    last_of: int


def standard_metrics(metrics: Mapping[str, list[Point]]) -> list[Synonym]:
    """Standard metrics that the run has under another name only; the original one stays beside it.

    A single number is preferred to the last of a series, then what was measured on the whole validation.
    """
    plain = {name: _plain(name) for name in metrics}
    return [
        found
        for standard, words in _SYNONYMS.items()
        if standard not in metrics and (found := _synonym(standard, words, metrics, plain)) is not None
    ]


def _synonym(
    standard: str, words: Sequence[str], metrics: Mapping[str, list[Point]], plain: Mapping[str, str]
) -> Synonym | None:
    ranks: dict[str, int] = {}
    for rank, measured in enumerate(_MEASURED):
        for word in words:
            spellings = (f"{measured}_{word}", f"{word}_{measured}") if measured else (word,)
            ranks |= dict.fromkeys(spellings, rank)
    steps = {name: len({point.step for point in metrics[name]}) for name in metrics if plain[name] in ranks}
    best = min(steps, key=lambda name: (steps[name] > 1, ranks[plain[name]], name), default=None)
    if best is None:
        return None
    point = metrics[best][-1]
    if not math.isfinite(point.value):
        return None
    if standard in _PERCENT and 0 <= point.value <= 1:  # a share, not a percentage: not surely the same thing
        return None
    return Synonym(name=standard, original=best, point=point, last_of=steps[best])


def _plain(name: str) -> str:
    """`Test MAE`, `test/mae`, `testMae` and `test-mae` are `test_mae`; `R²` is `r2`."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("²", "2"))
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
