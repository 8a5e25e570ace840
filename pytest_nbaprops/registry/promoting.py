"""A version checked against criteria once more, and promoted by hand: what `nbaprops promote` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.gate.verdict import Champion, Outcome
from pytest_nbaprops.redaction import redact
from pytest_nbaprops.registry.history import FORCED
from pytest_nbaprops.registry.judgeddata import other_data
from pytest_nbaprops.registry.versions import CRITERIA, ChampionVersion, alias_name, listed, versions
from pytest_nbaprops.tracking.quiet import quiet

with quiet():
    from mlflow.artifacts import list_artifacts

if TYPE_CHECKING:
    from pytest_nbaprops.registry.registry import ModelRegistry

_PRODUCTION: Final = "production"
_DESCRIPTION: Final = "MLmodel"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Who is to get which alias: `version` is a number, `v3` or an alias; `force` overrules criteria for a `reason`."""

    name: str
    version: str
    alias: str
    criteria: Sequence[str]
    champion_alias: str | None = None
    force: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it: `holds` says whether the version has the alias now."""

    version: str
    alias: str
    criteria: Sequence[Mapping[str, Any]]
    holds: bool
    changed: bool
    forced: bool
    said: str

    def to_dict(self) -> dict[str, Any]:
        names = ("version", "alias", "holds", "changed", "forced", "said")
        return {**{name: getattr(self, name) for name in names}, "criteria": [dict(row) for row in self.criteria]}


def check_and_promote(registry: ModelRegistry, wish: Wish) -> Answer:
    """Judge the version by what its run has kept, and move the alias if every criterion holds or `force` is set.

    Raises:
        ChampionMovedError: The champion it was compared with moved meanwhile.
        TrackingError: No such version, or the registry refused.
        SettingsError: A criterion cannot be read.
    """
    alias = alias_name(wish.alias)
    registry.settle(wish.name)
    holding = registry.aliases(wish.name)
    number = _number(registry, wish, holding)
    if holding.get(alias) == number:
        registry.promote_model(wish.name, number, alias)  # finishes what a killed session left
        return _answer(wish, number, (), f"{wish.name} v{number} is {alias} already: nothing to do", holds=True)
    return _judged(registry, wish, number, holding)


def _judged(registry: ModelRegistry, wish: Wish, number: str, holding: Mapping[str, str]) -> Answer:
    alias = alias_name(wish.alias)
    champion_alias = wish.champion_alias or (_PRODUCTION if _PRODUCTION in holding else alias)
    champion = _champion(registry, wish, number, champion_alias)
    checked = registry.evaluate_for_production(
        wish.name,
        number,
        list(wish.criteria),
        champion=champion,
        never_a_champion=champion is None and not registry.history(wish.name, champion_alias),
    )
    passed, criteria = bool(checked["passed"]), checked["criteria"]
    if not passed and not wish.force:
        why = f"{wish.name} v{number} is not promoted: {_not_passed(criteria)}"
        return _answer(wish, number, criteria, f"{why}; --force --reason TEXT overrules the criteria", holds=False)
    if not passed:
        _refuse_lost_model(registry, wish.name, number)
    registry.promote_model(
        wish.name,
        number,
        alias,
        reason=wish.reason or "; ".join(f"{row['expression']} {row['outcome']}" for row in criteria),
        expected_version=holding.get(alias),
        expected_aliases={champion_alias: holding.get(champion_alias)},
        details=_details(criteria, passed=passed),
    )
    before = f", v{holding[alias]} was" if alias in holding else ""
    said = f"{wish.name} v{number} is {alias} now{before}" + ("" if passed else " (forced: not every criterion holds)")
    return _answer(wish, number, criteria, said, holds=True, changed=True, forced=not passed)


def _refuse_lost_model(registry: ModelRegistry, name: str, number: str) -> None:
    """Force overrules criteria, not that there must be a model: whoever serves the alias would have none."""
    with registry.store.calling(f"promote {name} v{number}, whose model must be there,", artifacts=True) as client:
        source = client.get_model_version_download_uri(name, number)
        files = list_artifacts(artifact_uri=source, tracking_uri=registry.store.uri)
    if not any(Path(file.path).name == _DESCRIPTION for file in files):
        raise TrackingError(
            f"{name} v{number} is not promoted, not even by force: its model is not at {redact(source)}; store it"
            " with StandardNBAPropsTracker.log_model and register it again"
        )


def _details(criteria: Sequence[Mapping[str, Any]], *, passed: bool) -> dict[str, str]:
    """What the event keeps of the judgement."""
    verdict = _verdict(criteria, passed=passed)
    return {"verdict": verdict, FORCED: str(not passed).lower(), CRITERIA: json.dumps(list(criteria))}


def _answer(  # noqa: PLR0913 - the fields of the answer
    wish: Wish,
    number: str,
    criteria: Sequence[Mapping[str, Any]],
    said: str,
    *,
    holds: bool,
    changed: bool = False,
    forced: bool = False,
) -> Answer:
    return Answer(
        version=number,
        alias=alias_name(wish.alias),
        criteria=criteria,
        holds=holds,
        changed=changed,
        forced=forced,
        said=said,
    )


def _number(registry: ModelRegistry, wish: Wish, holding: Mapping[str, str]) -> str:
    text = wish.version.strip().removeprefix("@")
    number = holding.get(text.lower()) or text.removeprefix("v")
    if number.isdecimal():
        return number
    with registry.store.calling(f"list the versions of {wish.name}") as client:
        numbers = sorted(int(version.version) for version in versions(client, wish.name))
    aliases = ", ".join(f"{alias} (v{held})" for alias, held in sorted(holding.items())) or "none"
    raise TrackingError(
        f"{wish.name} has no version or alias {wish.version!r}; versions: {listed(numbers)}; aliases: {aliases}"
    )


def _champion(registry: ModelRegistry, wish: Wish, number: str, alias: str) -> Champion | None:
    """The version to beat with its predictions, as the gate knows it; None where nobody has the alias."""
    known = registry.champion(wish.name, alias)
    if not isinstance(known, ChampionVersion):
        return None
    champion = Champion(
        name=known.name, alias=alias, version=known.version, run_id=known.run_id, predictions=None, unavailable=None
    )
    try:
        if (why := other_data(registry.store, wish.name, number, known.version)) is not None:
            return replace(champion, unavailable=why)
        return replace(champion, predictions=registry.load_predictions(known))
    except TrackingError as error:
        return replace(champion, unavailable=str(error))


def _not_passed(criteria: Sequence[Mapping[str, Any]]) -> str:
    bad = [row for row in criteria if row["outcome"] not in (Outcome.PASSED.value, Outcome.NOT_APPLICABLE.value)]
    if not criteria:
        return "no criteria are asked for, so nothing speaks for it"
    if not bad:
        return "no criterion applies, so nothing speaks for it"
    return "; ".join(f"{row['expression']} {row['outcome']}" for row in bad)


def _verdict(criteria: Sequence[Mapping[str, Any]], *, passed: bool) -> str:
    if passed:
        return "PROMOTE"
    failed = any(row["outcome"] == Outcome.FAILED.value for row in criteria)
    return "REJECT" if failed else "INCONCLUSIVE"
