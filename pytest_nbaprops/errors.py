"""The project's errors: one line each, saying what, where, what was expected and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, most: int = 2) -> str:
    """` (did you mean X or Y?)`, or nothing where no known name is near."""
    close = difflib.get_close_matches(name, list(known), n=most)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


class NBAPropsError(Exception):
    """Base of every error that a user can cause and mend; its text is one line."""


class SettingsError(NBAPropsError):
    """An option, ini key or marker argument has a value that cannot be used."""


class DataError(NBAPropsError):
    """Game logs or a declared source do not have the shape that is needed."""


class FeatureError(NBAPropsError):
    """A feature group is unknown, clashes with another or does not keep its promise."""


class RowsChangedError(FeatureError):
    """A feature group's answer has other rows than the games: what the leak guard rejects."""


class RecipeError(NBAPropsError):
    """A recipe or its parameters cannot be turned into an estimator."""


class FoldError(NBAPropsError):
    """A fold was used in a way that gives no honest result (wrong length, recorded twice, ...)."""


class StoreError(NBAPropsError):
    """The fold store cannot be written: a full disk, a folder taken away."""


class TrackingError(NBAPropsError):
    """The tracking store or the registry could not be reached, or refused."""


class ChampionMovedError(TrackingError):
    """The champion that a candidate was compared with is no longer the champion: the comparison proves nothing."""


class InconclusiveError(Exception):
    """A criterion cannot be judged; the text says why. Never reaches a user as an error."""
