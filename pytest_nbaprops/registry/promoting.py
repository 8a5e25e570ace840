"""A version checked against criteria once more, and promoted by hand: what `nbaprops promote` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.errors import SettingsError, TrackingError
from pytest_nbaprops.gate.criteria import parse_criteria, weaker_than
from pytest_nbaprops.gate.verdict import Champion, Outcome
from pytest_nbaprops.registry.history import FORCED
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.registry.versions import (
    DEFAULT_CHAMPION,
    alias_name,
    criteria_of_champion,
    deciding_run,
    known_version,
    listed,
)
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.registering import refuse_damaged
from pytest_nbaprops.tracking.search import versions

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SHOWN: Final = 12


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """Who is to get which alias: `version` is a number, `v3` or an alias; `force` overrules criteria for a `reason`."""

    name: str
    version: str
    alias: str
    criteria: Sequence[str]
    champion_alias: str | None = None
    force: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class PromotionResult:
    """What came of it: `holds` says whether the version has the alias now, `said` all of it in a line."""

    version: str
    alias: str
    holds: bool
    changed: bool = False
    forced: bool = False
    said: str
    criteria: Sequence[Mapping[str, Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "criteria": [dict(row) for row in self.criteria]}


def check_and_promote(registry: ModelRegistry, request: PromotionRequest) -> PromotionResult:
    """Judge the version by what its run has kept, and move the alias if every criterion holds or `force` is set.

    Raises:
        ChampionMovedError: The champion it was compared with moved meanwhile.
        TrackingError: No such version, or the registry refused.
        SettingsError: A criterion cannot be read.
    """
    name, alias = request.name, alias_name(request.alias)
    registry.recover(name)
    holding = registry.aliases(name)
    number = _number(registry, request, holding)
    if holding.get(alias) == number:
        refuse_damaged(registry.store, name, number)
        registry.promote_model(name, number, alias)  # finishes what a killed session left
        said = f"{name} v{number} is {alias} already: nothing to do"
        return PromotionResult(version=number, alias=alias, holds=True, said=said)
    champion_alias = request.champion_alias or (DEFAULT_CHAMPION if DEFAULT_CHAMPION in holding else alias)
    champion = _champion(registry, name, number, champion_alias)
    never = champion is None and not registry.history(name, champion_alias)
    checked = registry.evaluate_for_production(
        name, number, list(request.criteria), champion=champion, never_a_champion=never
    )
    passed, criteria = bool(checked["passed"]), checked["criteria"]
    result = PromotionResult(version=number, alias=alias, criteria=criteria, holds=False, said="")
    if not passed and not request.force:
        why = f"{_not_passed(criteria)}; --force --reason TEXT overrules the criteria"
        return replace(result, said=f"{name} v{number} is not promoted: {why}")
    refuse_damaged(registry.store, name, number)  # force overrules criteria, not that there must be a model
    weaker = _weaker(registry, request, holding)  # as long as the version before has the alias
    _promote(registry, request, result, holding, champion_alias=champion_alias, passed=passed)
    before = f", v{holding[alias]} was" if alias in holding else ""
    forced = "" if passed else " (forced: not every criterion holds)"
    said = f"{name} v{number} is {alias} now{before}{forced}{weaker}"
    return replace(result, holds=True, changed=True, forced=not passed, said=said)


def _weaker(registry: ModelRegistry, request: PromotionRequest, holding: Mapping[str, str]) -> str:
    """What the version that had the alias had to pass, and this one had not."""
    before = registry.champion(request.name, alias_name(request.alias)) if request.alias in holding else None
    asked = None if before is None else criteria_of_champion(before)
    with suppress(SettingsError):  # of criteria that another version wrote
        if weaker := weaker_than(parse_criteria(request.criteria), parse_criteria(asked or ())):
            return f"; v{holding[request.alias]} had to pass {', '.join(map(repr, weaker))}, which was not asked now"
    return ""


def _promote(  # noqa: PLR0913 - what was judged, and against whom
    registry: ModelRegistry,
    request: PromotionRequest,
    result: PromotionResult,
    holding: Mapping[str, str],
    *,
    champion_alias: str,
    passed: bool,
) -> None:
    """Move the alias where nobody else moved it, or the champion's, since `holding` was read."""
    verdict = "PROMOTE"
    if not passed:
        failed = any(row["outcome"] == Outcome.FAILED.value for row in result.criteria)
        verdict = "REJECT" if failed else "INCONCLUSIVE"
    record = VersionRecord(verdict=verdict, criteria=result.criteria)
    registry.promote_model(
        request.name,
        result.version,
        result.alias,
        reason=request.reason or _outcomes(result.criteria),
        expected_version=holding.get(result.alias),
        expected_aliases={champion_alias: holding.get(champion_alias)},
        details={**record.to_tags(), FORCED: str(not passed).lower()},
    )


def _number(registry: ModelRegistry, request: PromotionRequest, holding: Mapping[str, str]) -> str:
    text = request.version.strip().removeprefix("@")
    number = holding.get(text.lower()) or text.removeprefix("v")
    if number.isdecimal():
        return number
    with registry.store.calling(f"list the versions of {request.name}") as client:
        numbers = listed(versions(client, request.name))
    aliases = ", ".join(f"{alias} (v{held})" for alias, held in sorted(holding.items())) or "none"
    raise TrackingError(
        f"{request.name} has no version or alias {request.version!r}; versions: {numbers}; aliases: {aliases}"
    )


def _champion(registry: ModelRegistry, name: str, number: str, alias: str) -> Champion | None:
    """The version to beat with its predictions, as the gate knows it; None where nobody has the alias."""
    known = registry.champion(name, alias)
    if known is None or not known.is_known:
        return None
    try:
        if (walked := registry.walked_again(name, number, known.version)) is not None:
            return replace(known, predictions=walked)
        if (why := _other_data(registry.store, name, number, str(known.version))) is not None:
            return replace(known, unavailable=why)
        return replace(known, predictions=registry.load_predictions(known))
    except TrackingError as error:
        return replace(known, unavailable=str(error))


def _other_data(store: Store, name: str, version: str, champion: str) -> str | None:
    """Why the two cannot be compared by what their runs have kept; None where the data is the same, or not known.

    Where it is not known the gate still compares the outcomes of all player-games.
    """
    with store.calling(f"read the data that v{version} and v{champion} of {name} were judged on") as client:
        ours, theirs = _data_of(client, name, version), _data_of(client, name, champion)
    before = f"v{champion} was judged on other data than v{version}"
    way_out = "walk both forward again in a session on one version of the data"
    shared = sorted(ours.data_digests.keys() & theirs.data_digests.keys())
    if shared:
        apart = [day for day in shared if ours.data_digests[day] != theirs.data_digests[day]]
        return f"{before}, from {apart[0]} on; {way_out}" if apart else None
    mine, other = ours.dataset_digest, theirs.dataset_digest
    if mine is None or other is None or mine == other:
        return None
    return f"{before} ({other[:_SHOWN]}, not {mine[:_SHOWN]}); {way_out}"


def _data_of(client: MlflowClient, name: str, number: str) -> VersionRecord:
    """The version's record, with its run's digest of the data where it says none itself."""
    version = known_version(client, name, number)
    run = deciding_run(client, version)
    values = {**(run.data.tags if run is not None else {}), **version.tags}
    return replace(
        VersionRecord.from_tags(version.tags),
        dataset_digest=values.get(tags.DATASET) or values.get(tags.DATASET_DIGEST) or None,
    )


def _not_passed(criteria: Sequence[Mapping[str, Any]]) -> str:
    bad = [row for row in criteria if row["outcome"] not in (Outcome.PASSED.value, Outcome.NOT_APPLICABLE.value)]
    if not criteria:
        return "no criteria are asked for, so nothing speaks for it"
    if not bad:
        return "no criterion applies, so nothing speaks for it"
    return _outcomes(bad)


def _outcomes(criteria: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{row['expression']} {row['outcome']}" for row in criteria)
