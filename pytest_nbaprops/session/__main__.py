"""`python -m pytest_nbaprops.session`: how a process of the leak guard's is started."""

from __future__ import annotations

from pytest_nbaprops.session.child import main

main()
