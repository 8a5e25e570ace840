"""The version to beat: who it is, and what it predicts for the very player-games that the candidates predicted.

Its stored predictions are used where they were made on the same data; otherwise its registered recipe and features
are walked forward again in this session, and the better of the two counts; where neither can be, criteria on it are
inconclusive, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.errors import NBAPropsError, SettingsError, TrackingError
from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.registry.events import Event
from pytest_nbaprops.registry.publication import Publication
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.versions import DEFAULT_CHAMPION, is_alias, record_of, run_as_champion
from pytest_nbaprops.reports.steps import nbaprops_command
from pytest_nbaprops.runs.lookup import Lookup
from pytest_nbaprops.runs.storedrun import stored_run, with_files
from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.holdout import tested_dates
from pytest_nbaprops.session.predicted import at_its_best, common_window, fitted_less_often, not_as_judged, refit_days
from pytest_nbaprops.session.remarks import Remarks
from pytest_nbaprops.session.rewalk import walk_version
from pytest_nbaprops.session.snapshot import OPTION, no_such_champion, read_snapshot
from pytest_nbaprops.settings import SAMPLE_SUFFIX
from pytest_nbaprops.tracking.registering import refuse_damaged
from pytest_nbaprops.walkforward.candidate import Candidate, content_key, libraries

DIGEST_LENGTH = 16
FITTING = {"xgboost": "XGBoost", "scikit-learn": "scikit-learn"}
"""Libraries whose versions fit the same settings in other ways."""


def version_record(context: Context, candidate: Candidate) -> VersionRecord:
    """What a version keeps of its candidate, so that it can be compared with, walked forward again and served."""
    spec = candidate.spec
    dates = candidate.dates
    return VersionRecord(
        identity=candidate.identity,
        spec=spec.to_dict(),
        recipe=candidate.recipe.identity() if candidate.recipe else None,
        lineage=candidate.lineage,
        target=candidate.target,
        dataset_digest=context.dataset.digest.full,
        trained_through=context.dataset.game_dates[-1].day.isoformat(),
        tested=(dates[0], dates[-1]),
        data_digests=data_digests(context.dataset.digest, dates),
        libraries=libraries(),
    )


def content_of(context: Context, candidate: Candidate) -> str | None:
    """Identity of the model that the candidate would be registered with; None without predictions.

    Beside the settings and the code it is told by all the data, which the final fit sees, by the estimator that the
    test handed over and by what was predicted: fixtures and libraries that no digest knows of show there.
    """
    predicted = candidate.predicted()
    if predicted is None:
        return None
    return content_key(
        {
            "candidate": candidate.identity,
            "data": context.dataset.digest.full,
            "estimator": candidate.estimator()[0],
            "predicted": predicted,
        }
    )


def data_digests(digest: DatasetDigest, dates: Sequence[date]) -> dict[str, str]:
    """For each date a short form of the digest of all data through it."""
    return {day.isoformat(): digest.through(day)[:DIGEST_LENGTH] for day in dates}


class SessionChampion:
    """The version to beat in one session, from the registry or from a snapshot that an enforcing session left."""

    def __init__(self, context: Context, publication: Publication, remarks: Remarks) -> None:
        self.context, self.publication, self.remarks = context, publication, remarks
        self.settings = context.settings
        self.holders: dict[str, str | None] = {}
        """Who held the target alias, and the one that makes a champion, when the candidates were compared."""
        if self.settings.promote != "off" and self.snapshot is None:
            # What a killed session left half done: its alias change, and the run of a version that it promoted.
            remarks.warn("champion", *publication.mend(aliases=self.settings.promote == "enforce"))
        self.at_start = self._read()
        self.walked: Champion | None = None
        """The version with its predictions of this session, where the stored ones would not do."""

    @cached_property
    def snapshot(self) -> Champion | None:
        """Who it is and what it predicted, where a path was given.

        Raises:
            SettingsError: there is no snapshot at the path, or it is not whole.
        """
        path = self.settings.champion_path
        return None if path is None else read_snapshot(Path(path))

    def _read(self) -> Champion | None:
        if self.snapshot is not None:
            return self.snapshot
        named = self.settings.champion
        if named is not None and not is_alias(named):
            return self._run
        version = self.publication.champion(named, self.settings.alias)
        if named is None or (version is not None and version.is_known):
            return version
        if version is not None and self._run is None:
            return replace(version, unavailable=f"{version.unavailable}, and no run is called so")
        return self._run or version

    @cached_property
    def _run(self) -> Champion | None:
        """The run that was named instead of an alias; None where an alias may be meant that nobody has yet.

        Raises:
            SettingsError: several runs are called so, or it was deleted, or there is none and it can be no alias.
        """
        named, store = str(self.settings.champion), self.publication.store_at_hand()
        try:
            run = None if store is None else Lookup(store=store, model_name=self.settings.model_name).called(named)
        except TrackingError as error:
            raise SettingsError(f"{OPTION}: {error}") from None
        if run is None and not is_alias(named):
            raise no_such_champion(named, redact(self.publication.uri))
        return None if run is None else run_as_champion(run)

    def _read_with_holders(self) -> Champion | None:
        """The version to beat, and the aliases that must not have moved when the winner gets his."""
        if self.settings.promote == "enforce" and not self.publication.is_untouched:
            held = self.publication.registry().aliases(self.settings.model_name)
            deciding = {self.settings.alias, (self.settings.champion or DEFAULT_CHAMPION).lower()}
            self.holders = {alias: held.get(alias) for alias in deciding if is_alias(alias)}
        return self._read()  # after the aliases: what moves in between is no longer as expected

    # for the gate

    def now(self, candidates: Sequence[Candidate], *, asked: bool) -> tuple[Champion | None, str | None]:
        """The version as the gate knows it, or why there is none; predictions only if a criterion asked for them."""
        now = self.publication.attempt(self._read_with_holders)
        if self.publication.error is not None:
            return self._unavailable(self.at_start, self.publication.error), None
        if _label(now) != _label(self.at_start):
            start = self.at_start if self.at_start is not None else now
            said = f"it was {_label(self.at_start)} when the session started and is {_label(now)} now; run again"
            return self._unavailable(start, f"the champion changed: {said}"), None
        if now is None:
            reason = f"{self.settings.model_name} has no registered version yet"
            if not asked and self.settings.champion is not None:
                self.remarks.warn("champion", f"{OPTION} {self.settings.champion}: {reason}")
            with suppress(TrackingError):  # it is no more than a hint
                if asked and (alike := self.publication.models_called_alike(but=SAMPLE_SUFFIX)):
                    self.remarks.warn("champion", f"nothing was compared with a champion: {reason}{alike}")
            return None, reason
        if not now.is_known:
            if not asked and self.settings.champion is not None:
                self.remarks.warn("champion", f"{OPTION} {self.settings.champion}: {now.unavailable}")
            return now, None
        self.remarks.warn("champion", *_other_libraries(now))
        stored, problem = self._stored(now)
        uncovered = self._uncovered(now, stored, candidates) if asked and stored is not None else problem
        if asked and uncovered is not None:
            return self._walked_again(now, candidates, uncovered, stored), None
        return replace(now, predictions=stored, unavailable=now.unavailable if asked else problem), None

    @cached_property
    def lineage(self) -> Lineage | None:
        """The version's lineage as its tags tell it, a run's as its file does; None where nobody knows."""
        if self.at_start is None or not self.at_start.is_known:
            return None
        if self.at_start.version is None and self.snapshot is None:
            found: Lineage | None = self.publication.attempt(self._lineage_of_run)
            return found
        return record_of(self.at_start).lineage

    def reference(self, lineage: Lineage) -> Lineage | None:
        """What a candidate's lineage is compared with: itself where the champion's features are not known."""
        unknown = self.lineage is None and self.at_start is not None and self.at_start.is_known
        return lineage if unknown else self.lineage

    def _lineage_of_run(self) -> Lineage | None:
        store = self.publication.registry().store
        lookup = Lookup(store=store, model_name=self.settings.model_name)
        (run,) = lookup.runs([str(self._run and self._run.run_id)])
        return with_files(store, stored_run(run)).groups

    def snapshot_now(self) -> Champion | None:
        """The version to beat as it is in the registry by now, with its predictions."""
        now = self._read()
        if now is None or not now.is_known:
            return None
        return replace(now, predictions=self.publication.registry().load_predictions(now))

    @cached_property
    def _rollbacks(self) -> dict[str, Event]:
        """By the content of a model the rollback that took the alias from it; the last one is said at once."""
        if self.snapshot is not None or self.settings.promote == "off":
            return {}
        found = self.publication.attempt(partial(self.publication.rollbacks, self.settings.alias)) or []
        last = [_told(event) for _, event, still_there in found if still_there]
        self.remarks.warn("champion", *(f"{said}: what is promoted now may have the same fault" for said in last))
        return {content: event for content, event, _ in found}

    def rolled_back(self, content: str | None) -> str | None:
        """Why a model does not get the alias again by itself: a rollback took it away."""
        event = self._rollbacks.get(content or "")
        if content is None or event is None:
            return None
        words = ("promote", f"v{event.previous}", "--alias", event.alias)
        by_hand = nbaprops_command(redacted(self.settings.to_dict()), *words)
        return (
            f"this very model was registered before, and {_told(event)}; "
            f"change it, or give it the alias by hand: {by_hand}"
        )

    def lost_model(self, version: str) -> str | None:
        """Why a version of the registry is none to go on with: its files are gone."""
        if self.snapshot is None:
            try:
                refuse_damaged(self.publication.registry().store, self.settings.model_name, version)
            except TrackingError as error:
                return str(error)
        return None

    def _unavailable(self, version: Champion | None, reason: str) -> Champion:
        return replace(version or Champion(name=self.settings.model_name), predictions=None, unavailable=reason)

    def _stored(self, version: Champion) -> tuple[pd.DataFrame | None, str | None]:
        try:
            stored = version.predictions
            if stored is None:
                stored = self.publication.registry().load_predictions(version)
        except TrackingError as error:
            return None, str(error)
        problem = not_as_judged(version, stored)
        return (stored, None) if problem is None else (None, problem)

    # the same rows on the same data

    def _uncovered(self, version: Champion, stored: pd.DataFrame, candidates: Sequence[Candidate]) -> str | None:
        """Why the stored predictions will not do; None where they cover every tested date on the same data."""
        dates = tested_dates(candidates)
        covered = set(pd.to_datetime(stored["GAME_DATE"]).dt.date)
        if missing := [day for day in dates if day not in covered]:
            return f"its stored predictions lack {len(missing)} of {len(dates)} tested dates, first {missing[0]}"
        made = record_of(version)
        if (rarer := fitted_less_often(made, candidates)) is not None:
            return rarer
        theirs = made.data_digests
        if not theirs:
            return None  # registered by hand: the gate still compares the outcomes of all rows
        ours = data_digests(self.context.dataset.digest, dates)
        other = [day for day, digest in ours.items() if theirs.get(day) != digest]
        return f"its predictions were made on other data, from {other[0]} on" if other else None

    def _walked_again(
        self, version: Champion, candidates: Sequence[Candidate], why: str, stored: pd.DataFrame | None
    ) -> Champion:
        try:
            dates = tested_dates(candidates)
            predictions = walk_version(self.context, version, dates, most_days=refit_days(candidates))
        except Exception as error:  # noqa: BLE001 - a recipe may raise anything; without predictions nothing passes
            known = isinstance(error, NBAPropsError)
            text = " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())
            same_target = record_of(version).target in (None, "+".join(self.context.dataset.target_columns))
            reason = (
                f"the champion {version.label} cannot be compared: {why}; nor walked forward again: {text}"
                f"{common_window(candidates, stored) if same_target else ''}"
            )
            return self._unavailable(version, reason)
        said = f"the champion {version.label} was walked forward again in this session: {why}"
        if stored is not None:
            predictions, instead = at_its_best(predictions, stored)
            said += instead
        self.remarks.warn("champion", said)
        self.walked = replace(version, predictions=predictions)
        return self.walked


def _told(rollback: Event) -> str:
    when, why = rollback.at[:10], rollback.reason or "no reason given"  # noqa: PD008 - a date, not a frame's
    return f"v{rollback.previous} was rolled back from {rollback.alias} on {when} ({why})"


def _other_libraries(version: Champion) -> Iterator[str]:
    theirs, ours = record_of(version).libraries, libraries()  # one that does not say is taken as it is
    for name, title in FITTING.items():
        if name in theirs and theirs[name] != ours.get(name):
            yield (
                f"the champion {version.label} was made with {title} {theirs[name]}, and this session has "
                f"{ours[name]}: the same settings can predict otherwise"
            )


def _label(champion: Champion | None) -> str:
    return "none" if champion is None else champion.label
