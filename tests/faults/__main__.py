"""`python -m tests.faults --kills 300 --seed 1`: every fault, a line each, and the table."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.aftermath import HARMS
from tests.faults.case import Case
from tests.faults.kills import kills
from tests.faults.project import Template
from tests.faults.troubles import troubles


def table(cases: Sequence[Case]) -> str:
    """Faults down, what must not happen across."""
    rows: list[tuple[str, ...]] = [("fault", "cases", *HARMS)]
    by_fault: dict[str, list[Case]] = {}
    for case in cases:
        by_fault.setdefault(case.fault, []).append(case)
    for fault, some in [*by_fault.items(), ("all", list(cases))]:
        counts = [sum(any(harm.kind == kind for harm in case.harms) for case in some) for kind in HARMS]
        rows.append((fault, str(len(some)), *map(str, counts)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def run(cases: Iterable[Case], template: Template) -> list[Case]:
    """Run them one after another, with a line for each."""
    done = []
    for case in cases:
        began = time.monotonic()
        case.run(template)
        done.append(case)
        verdict = "; ".join(map(str, case.harms)) or "ok"
        print(f"{len(done):4d} {case}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)  # noqa: T201 - the answer
    return done


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="How many kills")
    parser.add_argument("--others", type=int, default=60, help="How many other faults; none twice before all were met")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="Faults whose name holds this text")
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311 - no secret
    cases = [*kills(options.kills, rng), *troubles(options.others, rng)]
    rng.shuffle(cases)
    folder = Path(tempfile.mkdtemp(prefix="nbaprops-faults-"))
    try:
        done = run([case for case in cases if options.only in case.fault], Template(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(done))  # noqa: T201 - the answer
    return int(any(case.harms for case in done))


if __name__ == "__main__":
    sys.exit(main())
