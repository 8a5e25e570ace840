"""What the test dates have decided before: the more often a holdout chooses, the more it flatters what it chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.gate.verdict import CandidateDecision
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.walkforward.candidate import Candidate

NAMED = 5  # versions, the newest
MANY_TRIED = 5  # with 5% each, one in four times one of them passes by chance


def tested_dates(candidates: Sequence[Candidate]) -> list[date]:
    """All dates that any of them was tested on, in their order."""
    return sorted({day for candidate in candidates for day in candidate.dates})


def used_before(
    publication: Publication, candidates: Sequence[Candidate], winner: CandidateDecision | None
) -> Iterator[str]:
    """What to say where versions were chosen on these dates, or of one that passes where many others were judged.

    That it cannot be read is no error of the session.
    """
    if publication.error is not None:
        return
    dates, these = tested_dates(candidates), {candidate.made_of for candidate in candidates}
    try:
        if earlier := publication.versions_tested_on(dates[0], dates[-1], but=these):
            more = f" and {len(earlier) - NAMED} more" if len(earlier) > NAMED else ""
            named = ", ".join(f"v{number}" for number in [*earlier][-NAMED:]) + more
            yield (
                f"dates of this test window decided {len(earlier)} earlier promotion(s) ({named}): the more often a "
                "holdout chooses, the more it flatters what it chose"
            )
        target = candidates[0].target
        if winner is not None and (said := _lost_in_steps(winner, earlier, target, (dates[0], dates[-1]))):
            yield said
        tried = publication.candidates_tested_on(dates[0], dates[-1], target, but=these) if winner is not None else 0
        if tried >= MANY_TRIED:
            yield (
                f"{tried} other candidates were judged on dates of this test window before, and who tries often passes "
                "by chance sooner or later: confirm it on dates that decided nothing yet"
            )
    except TrackingError as error:
        yield f"what these test dates decided before is not known: {error}"


def _lost_in_steps(
    winner: CandidateDecision, earlier: Mapping[int, VersionRecord], target: str, tested: tuple[date, date]
) -> str | None:
    """How much better than the winner the best version was that these very dates and player-games decided on."""
    rows, ours = winner.metrics.get("n_predictions"), winner.metrics["mae"]
    same = {
        number: mae
        for number, one in earlier.items()
        if (one.target, one.tested, one.metrics.get("n_predictions")) == (target, tested, rows)
        and (mae := one.metrics.get("mae")) is not None
    }
    best = min(same, key=same.__getitem__, default=None)
    if best is None or same[best] >= ours:
        return None
    return (
        f"v{best} was promoted on these very dates with MAE {same[best]:.4f}, and {winner.name} has {ours:.4f}: what "
        "is allowed from champion to champion adds up"
    )
