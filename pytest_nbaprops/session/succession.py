"""Whether who wins may take the alias from whoever holds it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.registry.versions import DEFAULT_CHAMPION, record_of
from pytest_nbaprops.session.rewalk import OTHER_TARGET
from pytest_nbaprops.session.snapshot import OPTION
from pytest_nbaprops.settings import Settings


def what_forbids_it(
    publication: Publication, settings: Settings, target: str, beaten: Champion | None
) -> Iterator[str]:
    """Why the alias is not to be moved to a winner that predicts the target and was compared with `beaten`, if it was.

    Raises:
        TrackingError: the registry cannot be read.
    """
    if publication.is_untouched:
        return
    held = publication.registry().aliases(settings.model_name)
    for alias in filter(held.__contains__, dict.fromkeys((settings.alias, DEFAULT_CHAMPION))):
        holder = publication.champion(alias, alias)
        theirs = record_of(holder).target if holder is not None else None
        if holder is not None and theirs not in (None, target):
            yield f"{alias} is {holder.label}, which predicts {theirs}, and the candidates {target}; {OTHER_TARGET}"
            return
    replaced = held.get(settings.alias)
    if settings.champion is None or replaced is None or beaten is None or not beaten.is_known:
        return
    if beaten.version is None or beaten.version not in (replaced, held.get(DEFAULT_CHAMPION)):
        yield (
            f"{settings.alias} is v{replaced}, and the champion that was named is {beaten.label}: whether "
            f"v{replaced} is any worse is not known; leave {OPTION} out, or give the alias by hand (nbaprops promote)"
        )
