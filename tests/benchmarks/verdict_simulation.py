"""How often the gate is wrong, by simulation on a real season's schedule. Run by hand; prints tables.

    python -m tests.benchmarks.verdict_simulation [--games "season.csv"] [--simulations 2000]

A candidate and the champion are compared on the first 20, 40 or all game dates. What is simulated is the date's sum
of the differences of their absolute errors, which is all of the rows that the bootstrap ever sees. Its standard
deviation grows with the root of the number of player-games and is one measured between two gradient-boosted models of
different objective (16.7 to 21.0 at 165 player-games, seasons 2021-22 to 2023-24; rows alone would make 13, the rest is
errors of one date going together). From date to date it is an AR(1) series. The rows "drift" are a harder process than
the gate promises to be exact for: a slow component (0.85 from date to date) under noise, 0.3 autocorrelation at lag 1,
as in those seasons of boosted trees against the last-10 mean.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from pytest_nbaprops.gate.criteria import parse_criterion
from pytest_nbaprops.gate.statistics import block_length, influence, paired_interval, resampled_sums
from pytest_nbaprops.metrics.point import MOMENTS, statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    Promotes = Callable[[FloatArray, FloatArray, int], bool]

CHAMPION_MAE = 5.9
DATE_SUM_SD = 20.0
USUAL_ROWS = 165
NOMINAL = 0.025
SUPERIOR = parse_criterion("mae < champion")


@dataclass(frozen=True, kw_only=True)
class Process:
    """Date-to-date dependence: an AR(1) series, alone or under as much white noise as `share` leaves."""

    name: str
    coefficient: float
    share: float = 1.0


PROCESSES = tuple(Process(name=f"{rho:.1f}", coefficient=rho) for rho in (0.0, 0.3, 0.5))
DRIFT = Process(name="drift", coefficient=0.85, share=0.3 / 0.85)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of simulations and its 95% Monte Carlo interval (Wilson 1927)."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        return self.hits / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        z2, n = 1.96**2, self.trials
        middle = (self.value + z2 / (2 * n)) / (1 + z2 / n)
        half = 1.96 * math.sqrt(self.value * (1 - self.value) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return middle - half, middle + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:5.1f}% [{100 * low:4.1f}, {100 * high:4.1f}]"


def seasons(
    rows: FloatArray, process: Process, change: float, *, count: int, seed: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Candidate's and champion's moment sums (dates, MOMENTS) of `count` simulated seasons.

    `rows` is the number of player-games per date, `change` the candidate's true relative change of MAE.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        champion = np.zeros((len(rows), len(MOMENTS)))
        champion[:, MOMENTS.index("n")] = rows
        champion[:, MOMENTS.index("absolute")] = CHAMPION_MAE * rows
        candidate = champion.copy()
        noise = DATE_SUM_SD * np.sqrt(rows / USUAL_ROWS) * _series(len(rows), process, rng)
        candidate[:, MOMENTS.index("absolute")] += CHAMPION_MAE * change * rows + noise
        yield candidate, champion


def gate(candidate: FloatArray, champion: FloatArray, seed: int) -> bool:
    """What the gate does with `mae < champion`."""
    return SUPERIOR.holds(paired_interval("mae", candidate, champion, seed=seed, resamples=2_000).high, 0.0)


def percentile(candidate: FloatArray, champion: FloatArray, seed: int) -> bool:
    """The textbook percentile interval on the same blocks."""
    point, drawn, _ = _bootstrap(candidate, champion, block_length(len(candidate)), seed)
    return bool(point + np.quantile(drawn, 0.975) < 0)


def bca(candidate: FloatArray, champion: FloatArray, seed: int) -> bool:
    """Efron's 1987 bias-corrected and accelerated interval on the same blocks."""
    point, drawn, shares = _bootstrap(candidate, champion, block_length(len(candidate)), seed)
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(float((drawn < 0).mean()), 1e-4), 1 - 1e-4))
    spread = shares - shares.mean()
    acceleration = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))
    reach = bias + 1.96
    return bool(point + np.quantile(drawn, normal.cdf(bias + reach / (1 - acceleration * reach))) < 0)


def studentised(candidate: FloatArray, champion: FloatArray, seed: int) -> bool:
    """Bootstrap-t on the same blocks, the standard error of every resample from its own circular blocks."""
    block = block_length(len(candidate))
    point, _, shares = _bootstrap(candidate, champion, block, seed)
    dates, blocks = len(shares), -(-len(shares) // block)
    starts = np.random.default_rng(seed).integers(0, dates, (2_000, blocks))
    positions = ((starts[:, :, None] + np.arange(block)) % dates).reshape(2_000, -1)[:, :dates]
    series = (shares - shares.mean())[positions]
    error = series.mean(axis=1) / _block_error(series.T, block)
    return bool(point - np.quantile(error, 0.025) * _block_error(shares[:, None], block)[0] < 0)


METHODS: dict[str, Promotes] = {"gate": gate, "percentile": percentile, "BCa": bca, "studentised": studentised}


def promotion_rate(
    promotes: Promotes, rows: FloatArray, process: Process, change: float, *, count: int, seed: int
) -> Rate:
    """How often a candidate with that true change is promoted."""
    drawn = seasons(rows, process, change, count=count, seed=seed)
    return Rate(hits=sum(promotes(ours, theirs, seed + i) for i, (ours, theirs) in enumerate(drawn)), trials=count)


def usual_rows(dates: int, seed: int = 0) -> FloatArray:
    """A made-up schedule: one to fifteen games a date, 22 player-games each."""
    games = np.random.default_rng(seed).integers(1, 16, dates)
    return np.asarray(22.0 * games)


def _series(dates: int, process: Process, rng: np.random.Generator) -> FloatArray:
    slow = rng.standard_normal(dates)
    for date in range(1, dates):
        slow[date] = (
            process.coefficient * slow[date - 1] + math.sqrt(1 - process.coefficient**2) * rng.standard_normal()
        )
    noise = rng.standard_normal(dates)
    return np.asarray(math.sqrt(process.share) * slow + math.sqrt(1 - process.share) * noise)


def _bootstrap(
    candidate: FloatArray, champion: FloatArray, block: int, seed: int
) -> tuple[float, FloatArray, FloatArray]:
    """Point estimate, resampled deviations from it and the dates' shares in it (their mean is the estimate)."""
    both = np.concatenate([candidate, champion], axis=1)

    def value(sums: FloatArray) -> FloatArray:
        return statistic("mae", sums[..., : len(MOMENTS)]) - statistic("mae", sums[..., len(MOMENTS) :])

    point = float(value(both.sum(axis=0)))
    drawn = value(resampled_sums(both, block, 2_000, np.random.default_rng(seed))) - point
    return point, drawn, point + (len(both) - 1) * influence(value, both)


def _block_error(series: FloatArray, block: int) -> FloatArray:
    """Standard error of the mean of each column, from circular blocks."""
    dates = len(series)
    around = series - series.mean(axis=0)
    cumulated = np.concatenate(
        [np.zeros((1, around.shape[1])), np.concatenate([around, around[:block]]).cumsum(axis=0)]
    )
    sums = cumulated[block : block + dates] - cumulated[:dates]
    return np.asarray(np.sqrt((sums**2).mean(axis=0) / block / dates))


def _schedule(games: str | None) -> FloatArray:
    if games is None:
        return usual_rows(160)
    from pytest_nbaprops.data.load import load_games  # noqa: PLC0415 - only with a file of games

    dates = load_games(games)["GAME_DATE"].to_numpy()
    return np.asarray(np.unique(dates, return_counts=True)[1], dtype=np.float64)


def _false_promotions(rows: FloatArray, process: Process, options: argparse.Namespace) -> list[Rate]:
    """The gate's rate, and those of the methods it was chosen over on a quarter of the simulations."""
    counts = {name: options.simulations // (1 if name == "gate" else 4) for name in METHODS}
    return [
        promotion_rate(promotes, rows, process, 0.0, count=counts[name], seed=options.seed)
        for name, promotes in METHODS.items()
    ]


def _say(cells: Iterable[object]) -> None:
    sys.stdout.write(" | ".join(str(cell) for cell in cells) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", help="game logs whose dates are the schedule; a made-up one without")
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    rows = _schedule(options.games)
    lengths = (20, 40, len(rows))
    _say([f"False promotions under no change, nominal {NOMINAL:.1%}, {options.simulations} simulations"])
    _say(["dates", "autocorrelation", *METHODS])
    for dates in lengths:
        for process in (*PROCESSES, DRIFT):
            _say([f"{dates:5}", f"{process.name:>5}", *_false_promotions(rows[:dates], process, options)])
    _say([f"Promotions by true change of MAE, {len(rows)} dates"])
    changes = (-0.02, -0.01, -0.005, 0.005, 0.01, 0.02)
    _say(["autocorrelation", *(f"{change:+.1%}" for change in changes)])
    for process in (*PROCESSES, DRIFT):
        counts = {"count": options.simulations // 4, "seed": options.seed + 1}
        _say([process.name, *(promotion_rate(gate, rows, process, change, **counts) for change in changes)])


if __name__ == "__main__":
    main()
