"""Moments in a session: each call to MLflow's client and each move of a file to its place, before and after it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pytest_nbaprops.tracking import connection

Kind = Literal["call", "write"]


@dataclass(kw_only=True)
class Moments:
    """Counts the moments of one kind in this process, and does something at the chosen one.

    Every call is two moments: just before it, and just after it.
    """

    kind: Kind
    at: int
    do: Callable[[], object]
    seen: int = 0

    def install(self) -> None:
        """Count from now on; for a process of its own, nothing is put back."""
        if self.kind == "call":
            make = vars(connection)["MlflowClient"]
            vars(connection)["MlflowClient"] = lambda **named: _Counted(make(**named), self)
        else:
            os.replace = self.around(os.replace)

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self._pass()
            answer = method(*arguments, **named)
            self._pass()
            return answer

        return counted

    def _pass(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.do()


class _Counted:
    def __init__(self, client: Any, moments: Moments) -> None:
        self._client, self._moments = client, moments

    def __getattr__(self, name: str) -> Any:
        return self._moments.around(getattr(self._client, name))
