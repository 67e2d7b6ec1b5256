"""Correlated noise on an endless quarter-hour axis, year by year, from named streams.

Weather and markets are correlated in time. A year's white noise comes from the stream of that year;
it is filtered together with the end of the previous year's, so the result runs on smoothly over New
Year and does not depend on where a calendar begins or how long it is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gigafactory.engine.streams import stream

QUARTERS_PER_DAY = 96
QUARTERS_PER_H = 4
#: How much of the previous year is filtered along; correlation times must stay well below it.
_TAIL = 60 * QUARTERS_PER_DAY
Array = npt.NDArray[np.float64]


class YearNoise:
    """Draws the noise of one calendar year.

    Args:
        seed: the run's seed.
        year: the calendar year.
        quarters: number of quarter-hours of the year.
        quarters_before: number of quarter-hours of the year before.
    """

    def __init__(self, seed: int, year: int, quarters: int, quarters_before: int) -> None:
        self._seed, self._year = seed, year
        self._quarters, self._before = quarters, quarters_before

    def white(self, name: str) -> Array:
        """Independent standard normal numbers, shape [quarters of the year]."""
        rng = stream(self._seed, "signals", name, self._year)
        return rng.standard_normal(self._quarters)

    def smooth(self, name: str, hours: float, *, order: int = 1) -> Array:
        """A standard normal process whose correlation fades over a number of hours.

        Args:
            name: what it drives; names the stream.
            hours: correlation time (of each filter stage) in h.
            order: 1 for a first-order autoregressive process (rough), 2 for the same filter applied
                twice (smooth from one quarter-hour to the next, as weather is).

        Returns:
            Shape [quarters of the year]; unit variance in expectation.
        """
        before = stream(self._seed, "signals", name, self._year - 1)
        white = np.concatenate([before.standard_normal(self._before)[-_TAIL:], self.white(name)])
        response = _response(hours, order, len(white))
        return np.fft.irfft(np.fft.rfft(white) * response, len(white))[-self._quarters :]


@functools.lru_cache(maxsize=64)
def _response(hours: float, order: int, length: int) -> npt.NDArray[np.complex128]:
    decay = math.exp(-1.0 / (hours * QUARTERS_PER_H))
    lag = np.arange(_TAIL, dtype=np.float64)
    kernel = decay**lag if order == 1 else (lag + 1.0) * decay**lag
    kernel /= math.sqrt(float(kernel @ kernel))
    return np.asarray(np.fft.rfft(kernel, length), dtype=np.complex128)


def standardise(values: Array) -> Array:
    """Shift and scale to mean 0 and standard deviation 1."""
    return np.asarray((values - values.mean()) / values.std())


def mapped(latent: Array, knots: Sequence[tuple[float, float]]) -> Array:
    """Give a latent series a published distribution, keeping its order in time.

    Each value is replaced by the quantile of its rank, so that the year has the distribution of the
    table to within its interpolation, whatever the latent series looks like.

    Args:
        latent: any series, shape [n].
        knots: pairs (probability, value), rising in both, from probability 0 to 1.

    Returns:
        Shape [n].
    """
    count = len(latent)
    rank = np.empty(count)
    rank[np.argsort(latent, kind="stable")] = (np.arange(count) + 0.5) / count
    probability, value = zip(*knots, strict=True)
    return np.asarray(np.interp(rank, probability, value), dtype=np.float64)
