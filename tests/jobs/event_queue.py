"""A queue by brute force, one request after the other: what the formulas are held against."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def waits(
    rates_rps: list[float],
    services_s: list[float],
    slots: int,
    period_s: float,
    random: np.random.Generator,
    patience_s: float = np.inf,
) -> tuple[Floats, Floats]:
    """Instant and wait of every request, first come first served; infinite where it was refused.

    Each interval has a rate (Poisson) and a mean time (exponential) that a request holds its slot.
    """
    free = [0.0] * slots
    instants, waited = [], []
    for t, (rate, mean) in enumerate(zip(rates_rps, services_s, strict=True)):
        count = random.poisson(rate * period_s)
        arrivals = np.sort(random.random(count)) * period_s + t * period_s
        for at, holds in zip(arrivals.tolist(), random.exponential(mean, count), strict=True):
            wait = max(free[0] - at, 0.0)
            instants.append(at)
            waited.append(wait if wait <= patience_s else np.inf)
            if wait <= patience_s:
                heapq.heapreplace(free, at + wait + holds)
    return np.array(instants), np.array(waited)
