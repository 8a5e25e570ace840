"""Who held which alias of a registered model; stages become aliases.

MLflow's stages tell who is in production, not who was before. What was archived was: so the archived versions below
the one in production are promoted before it, and those between production and staging before the one in staging.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.importing.source import Findings, SourceModel
from pytest_nbaprops.registry.versions import alias_name

_STAGES: Final = ("Production", "Staging", "Archived")
_CHARACTERS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Tenures:
    """An alias with its holders, the last of them the one who has it; `why` it is believed."""

    alias: str
    holders: tuple[int, ...]
    why: str


def tenures_of(model: SourceModel, name: str, findings: Findings) -> list[Tenures]:
    """Aliases of the source, and those of its stages that no alias of the same name contradicts."""
    found: dict[str, Tenures] = {}
    for theirs, number in sorted(model.aliases.items()):
        where = f"model {name} alias {theirs[:60]}"
        if (alias := _allowed(theirs, where, findings)) is None:
            continue
        if alias in found:
            findings.left_out(where, "aliases are lower case", "another is so")
        elif number not in {version.number for version in model.versions}:
            findings.left_out(where, f"it names v{number}", "there is none")
        else:
            found[alias] = Tenures(alias=alias, holders=(number,), why=f"the alias {theirs}")
    for stage in _STAGES:
        alias, numbers = stage.lower(), _in_stage(model, stage)
        if numbers and alias in found and found[alias].holders[-1] != numbers[-1]:
            what = f"the alias says v{found[alias].holders[-1]}, the stage v{numbers[-1]}"
            findings.noted(f"model {name} alias {alias}", what, "the alias counts")
        elif numbers:
            holders = (*_archived_before(model, stage, numbers[0]), *numbers)
            found[alias] = Tenures(alias=alias, holders=holders, why=f"the stage {stage}")
    return list(found.values())


def _allowed(name: str, where: str, findings: Findings) -> str | None:
    if len(name) > _CHARACTERS:
        findings.left_out(where, f"{len(name)} characters", f"an alias has at most {_CHARACTERS}")
        return None
    try:
        return alias_name(name)
    except TrackingError as error:
        findings.left_out(where, "not an alias any more", str(error)[:200])
        return None


def _in_stage(model: SourceModel, stage: str) -> list[int]:
    return sorted(version.number for version in model.versions if version.stage.lower() == stage.lower())


def _archived_before(model: SourceModel, stage: str, number: int) -> list[int]:
    """Archived versions that must have been in the stage before this one."""
    if stage == "Archived":
        return []
    live = _in_stage(model, "Production") if stage == "Staging" else []
    above = max([other for other in live if other < number], default=0)
    return [other for other in _in_stage(model, "Archived") if above < other < number]
