"""A training session's way to MLflow: a run per candidate while it goes, registration and promotion at its end.

After the first failure nothing more is tried: the fold store keeps every fold, so the next session logs it all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from pytest_nbaprops.errors import TrackingError, did_you_mean
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry.events import Event, happened, taken_back
from pytest_nbaprops.registry.moves import RUN, Promotion
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.registry.verify import end_runs_of_versions
from pytest_nbaprops.registry.versions import DEFAULT_CHAMPION, holders, model_names
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import REPORT, SUMMARY
from pytest_nbaprops.tracking.connection import Store, connect
from pytest_nbaprops.tracking.database import sqlite_path
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.ownership import BEAT_SECONDS, Owner, take_over
from pytest_nbaprops.tracking.runs import next_version_number
from pytest_nbaprops.tracking.search import versions
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker, Status

FLUSH_SECONDS = 5.0
MOST_RUNS = 100  # that are counted: more need not be known exactly
DESCRIBED = 4_900  # a run's tag holds 8,000 characters, a version's description 5,000


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is known of a candidate's run before its first fold.

    Attributes:
        identity: same candidate, same data, same folds: same identity; with the params it tells a run left RUNNING.
        run_name: template in which only `{n}` is left open.
    """

    identity: str
    run_name: str
    params: Mapping[str, object]
    tags: Mapping[str, object]


@dataclass(kw_only=True)
class _OpenRun:
    """A candidate's run; `flushed` is by the process's own clock, `version` what was registered of it."""

    tracker: StandardNBAPropsTracker
    run_id: str
    owner: Owner
    flushed: float
    version: str | None = None


class Publication:
    """Runs, registry and champion of one session. `error` holds the first failure; `tell` gets lines of waiting.

    What asks the store or the registry raises TrackingError where they cannot be reached, read or written.
    """

    def __init__(
        self, *, uri: str, experiment: str, model_name: str, tell: Callable[[str], None] | None = None
    ) -> None:
        self.uri, self.experiment, self.model_name, self.tell = uri, experiment, model_name, tell
        self.error: str | None = None
        self._store: Store | None = None
        self._runs: dict[str, _OpenRun] = {}

    # the start

    @property
    def is_untouched(self) -> bool:
        """Whether there is no store yet: a sqlite file that nothing was written to."""
        if self._store is not None or not self.uri.startswith("sqlite"):
            return False
        path = sqlite_path(self.uri)
        return not path.exists() and path.parent.is_dir()

    def store_at_hand(self) -> Store | None:
        """The store, once it can be reached; None where there is none yet: a sqlite file is not made."""
        return None if self.is_untouched else self._connected()

    def champion(self, alias: str | None, target: str) -> Champion | None:
        """The version to beat: the alias asked for, else production if it exists, else the target alias."""
        if self.is_untouched:
            return None
        registry = self.registry()
        held = registry.aliases(self.model_name)
        wanted = (DEFAULT_CHAMPION, target) if alias is None else (alias.lower(),)
        for name, version in held.items():  # MLflow tells them apart, and whoever serves that one serves another model
            if name != name.lower() and name.lower() in wanted:
                reason = (
                    f"v{version} has the alias {name!r}, and aliases are in lower case here: set {name.lower()}, and "
                    f"take that one away: MlflowClient().delete_registered_model_alias({self.model_name!r}, {name!r})"
                )
                return Champion(name=self.model_name, alias=name.lower(), unavailable=reason)
        if alias is None:
            alias = DEFAULT_CHAMPION if DEFAULT_CHAMPION in held else target
        return registry.champion(self.model_name, alias)

    def mend(self, *, aliases: bool) -> list[str]:
        """Finish what killed sessions left: runs of promoted versions, wanted alias changes; says what was done."""
        if self.is_untouched:
            return []
        if aliases:
            self.registry().recover(self.model_name)
        return end_runs_of_versions(self._connected(), self.model_name)

    def versions_tested_on(self, first: date, last: date, *, but: Collection[str]) -> dict[int, VersionRecord]:
        """Others than these (by `made_of`) that were promoted on some of these dates, in their order."""
        store = self._connected()
        with store.calling(f"read the versions of {self.model_name}") as client:
            known = versions(client, self.model_name)
        decided = {int(v.version): VersionRecord.from_tags(v.tags) for v in known if tags.INTENT not in v.tags}
        return {n: one for n, one in sorted(decided.items()) if one.overlaps(first, last) and one.made_of not in but}

    def rollbacks(self, alias: str) -> list[tuple[str, Event, bool]]:
        """Models that a rollback took the alias from: content, the rollback, and whether the alias is still there."""
        if self.is_untouched:
            return []
        with self._connected().calling(f"read the versions of {self.model_name}") as client:
            known, holder = versions(client, self.model_name), holders(client, self.model_name).get(alias)
        contents = {str(version.version): version.tags.get(tags.CONTENT, "") for version in known}
        taken = taken_back(happened(known, alias, holder))
        return [
            (contents.get(number, ""), event, event.version == holder)
            for number, event in taken.items()
            if number != holder  # somebody gave it back by hand
        ]

    def models_called_alike(self, *, but: str) -> str:
        """` (did you mean X?)` where another model has a name that is near and does not end in `but`; else nothing."""
        if self.is_untouched:
            return ""
        with self._connected().calling("list the registered models") as client:
            names = model_names(client)
        return did_you_mean(self.model_name, [name for name in names if not name.endswith(but)])

    def candidates_tested_on(self, first: date, last: date, target: str, *, but: Collection[str]) -> int:
        """How many others than these (by `made_of`) were judged for the target on some of these dates.

        As far as the newest MOST_RUNS runs tell.
        """
        judged = f"params.target = '{target}' AND metrics.mae >= 0"
        with self._connected().calling("count the runs on these dates") as client:
            experiment = client.get_experiment_by_name(self.experiment)
            runs = client.search_runs([experiment.experiment_id], judged, max_results=MOST_RUNS) if experiment else []
        told = {
            run.data.tags.get(tags.MADE_OF)
            for run in runs
            if run.data.params.get("first_test_date", "") <= str(last)
            and run.data.params.get("last_test_date", "") >= str(first)
        }
        return len(told - {None, *but})

    def registry(self) -> ModelRegistry:
        return ModelRegistry(store=self._connected())

    def _connected(self) -> Store:
        if self._store is None:
            store = connect(self.uri, tell=self.tell)
            store.check_writable()  # known before the first fold
            self._store = store
        return self._store

    # runs

    def attempt(self, work: Callable[[], Any]) -> Any:
        """Do it unless something failed before; a failure is kept, not raised."""
        if self.error is not None:
            return None
        try:
            return work()
        except TrackingError as error:
            self.error = str(error)
        except Exception as error:  # noqa: BLE001 - logging must never end the session that it logs
            self.error = f"logging failed: {one_line(error)}"
        return None

    def run_id(self, candidate: str) -> str | None:
        return self._runs[candidate].run_id if candidate in self._runs else None

    def tracker(self, candidate: str) -> StandardNBAPropsTracker:
        return self._runs[candidate].tracker

    def start(self, candidate: str, record: RunRecord, games: pd.DataFrame, source: str, digest: str) -> None:
        """Open the candidate's run, or the one that a killed session left RUNNING, and say what it is."""
        tracker = StandardNBAPropsTracker(self.experiment, store=self._connected())
        owner = Owner.myself()
        # MLflow lets no param change: grown data or another spelling is another run.
        params = json.dumps([digest, dict(record.params)], default=str, sort_keys=True)
        same = f"{record.identity}-{hashlib.sha256(params.encode()).hexdigest()[:16]}"
        run_id = take_over(tracker.store, tracker.experiment_id, same, owner)
        name = None
        if run_id is None:
            number = next_version_number(tracker.store, tracker.experiment_id, record.run_name)
            name = record.run_name.replace("{n}", str(number))
        run_tags = {**record.tags, **owner.to_tag(), tags.CANDIDATE: same}
        run_id = tracker.start_run(name, run_tags, run_id=run_id)
        self._runs[candidate] = _OpenRun(tracker=tracker, run_id=run_id, owner=owner, flushed=time.monotonic())
        tracker.log_training_config(record.params)
        tracker.log_dataset_info(games, Path(source).name, source, digest=digest)
        tracker.flush()

    def fold(self, candidate: str, number: int, day: date, metrics: Mapping[str, float]) -> None:
        """Keep one fold's metrics; what is kept is sent every few seconds, now and then with a sign of life."""
        run = self._runs[candidate]
        run.tracker.log_fold_metrics(number, day, metrics)
        if time.monotonic() - run.flushed > FLUSH_SECONDS:
            if time.time() - run.owner.at > BEAT_SECONDS:
                run.owner = run.owner.beat()
                run.tracker.set_tags(run.owner.to_tag())
            run.tracker.flush()
            run.flushed = time.monotonic()

    def finish(self, candidate: str, *, decision_file: Path, verdict: str, status: Status) -> None:
        """The last entries of a run: its verdict, the report, and the summary as its and its version's description."""
        tracker, version = self._runs[candidate].tracker, self._runs[candidate].version
        tracker.set_tags({tags.VERDICT: verdict})
        for name in (decision_file.name, REPORT, SUMMARY):
            if (file := decision_file.with_name(name)).is_file():
                tracker.log_artifact(file)
        if (summary := decision_file.with_name(SUMMARY)).is_file():
            text = summary.read_text(encoding="utf-8")
            text = text if len(text) <= DESCRIBED else f"{text[:DESCRIBED]}…"
            tracker.set_tags({tags.DESCRIPTION: text})
            if version is not None:
                with self._connected().calling(f"describe {self.model_name} v{version}") as client:
                    client.update_model_version(self.model_name, version, description=text)
        tracker.flush()  # where this fails the run stays open, for `fail` to give it the verdict ERROR
        tracker.end_run(status)

    def run_url(self, candidate: str) -> str | None:
        """Where a browser shows the candidate's run; None without a server."""
        run, parts = self._runs.get(candidate), urlsplit(self.uri)
        if run is None or parts.scheme not in ("http", "https"):
            return None
        place = parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")  # without the password
        page = f"#/experiments/{run.tracker.experiment_id}/runs/{run.run_id}?workflowType=machine_learning"
        return f"{parts.scheme}://{place}/{page}"

    def flush(self) -> None:
        """Send what is kept of all runs; a failure is kept like any other."""
        for run in self._runs.values():
            self.attempt(run.tracker.flush)

    def fail(self, candidate: str) -> None:
        """End the candidate's run as FAILED with the verdict ERROR if it is still open; never raises.

        For a session that broke: a run left RUNNING would be taken over by the next one as if it had been killed.
        """
        run = self._runs.get(candidate)
        if run is not None and run.tracker.is_open:
            with contextlib.suppress(Exception):
                run.tracker.abandon({tags.VERDICT: "ERROR"})

    # the promotion

    def promote(  # noqa: PLR0913 - a promotion's whole story
        self,
        candidate: str,
        *,
        model: Any,
        model_type: str,
        example: pd.DataFrame,
        content: str,
        trusted_types: tuple[str, ...],
        alias: str,
        expected: Mapping[str, str | None],
        reason: str,
        record: VersionRecord,
    ) -> Promotion:
        """Log the model, register it (once) and move the alias last.

        `content` is the identity of the model: a version that has it already is promoted instead of a second one.
        `expected` is the version that each of some aliases must hold still, None for no one.

        Raises:
            ChampionMovedError: one of them was moved since the comparison.
            TrackingError: it could not be done; the alias is where it was, or on the complete new version.
        """
        tracker = self._runs[candidate].tracker
        uri = tracker.log_model(model, model_type, input_example=example, content=content, trusted_types=trusted_types)
        registry = self.registry()
        version = registry.register_model(
            uri, self.model_name, content=content, run_id=tracker.run_id, alias=alias, version_tags=record.to_tags()
        )
        details = {**record.event_details(), RUN: tracker.run_id}
        self._runs[candidate].version = version
        return registry.promote_model(
            self.model_name, version, alias, reason=reason, expected_aliases=expected, details=details
        )
