"""Receipts by metering difference: what a job's energy cost, by two readings of running integrals.

Within a period every micro-watt-hour of a site's IT carries the same share of what the site paid,
emitted and drank. Per group a running integral of that share per accelerator is kept as two
integers, whole units and trillionths; a segment's receipt is its accelerators times the difference
of two readings, floored once. Any number of periods costs the same.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

#: What is shared out over IT energy, and the unit of each.
SHARED: Final = ("cost_micro_eur", "co2_location_mg", "co2_market_mg", "water_ml", "co2_stack_mg")
#: Rates are whole trillionths of a unit per micro-watt-hour.
FINE: Final = 10**12
_MILLION: Final = 10**6


def _times(energy_uwh: Ints, rate: Ints) -> tuple[Ints, Ints]:
    """Energy times rate as ``(whole, rest)``, multiplied in halves.

    Few busy nodes beside a battery that charges make rates whose product leaves 64 bits.
    """
    low = energy_uwh * (rate % _MILLION)
    high = energy_uwh * (rate // _MILLION) + low // _MILLION
    return high // _MILLION, high % _MILLION * _MILLION + low % _MILLION


class Integrals:
    """Running integrals per period, pool and class of every shared commodity.

    Args:
        periods: periods of the whole run.
        pools: number of pools.
        classes: groups per pool.
    """

    def __init__(self, periods: int, pools: int, classes: int) -> None:
        shape = (periods + 1, pools, classes)
        self.energy = np.zeros(shape, np.int64)  # readings at the start of each period
        self.whole = np.zeros((*shape, len(SHARED)), np.int64)
        self.rest = np.zeros((*shape, len(SHARED)), np.int64)
        self.rate = np.zeros((periods, pools, len(SHARED)), np.int64)

    def extend(self, first: int, energy_end: Ints, rate: Ints) -> None:
        """Append periods from number `first` on.

        Args:
            first: number of the first of them.
            energy_end: int64[n, pools, classes], energy readings at their ends.
            rate: int64[n, pools, shared], trillionths of a unit per micro-watt-hour.
        """
        n = len(energy_end)
        now = slice(first, first + n)
        self.rate[now] = rate
        self.energy[first + 1 : first + n + 1] = energy_end
        drawn = np.diff(self.energy[first : first + n + 1], axis=0)
        whole, gain = _times(drawn[..., None], rate[:, :, None, :])
        rest = self.rest[first] + np.cumsum(gain, axis=0)
        over = rest // FINE
        self.whole[first + 1 : first + n + 1] = self.whole[first] + np.cumsum(whole, axis=0) + over
        self.rest[first + 1 : first + n + 1] = rest - over * FINE

    def reading(self, period: Ints, pool: Ints, group: Ints, energy_uwh: Ints) -> tuple[Ints, Ints]:
        """Readings at given energy readings, as ``(whole, rest)``, int64[n, shared] each."""
        past = energy_uwh - self.energy[period, pool, group]
        whole, rest = _times(past[:, None], self.rate[period, pool])
        total = self.rest[period, pool, group] + rest
        over = total // FINE
        return self.whole[period, pool, group] + whole + over, total - over * FINE

    def receipt(self, accelerators: Ints, begin: tuple[Ints, Ints], end: tuple[Ints, Ints]) -> Ints:
        """Whole units of each shared commodity for segments between two readings, floored.

        Returns:
            int64[n, shared]: floor(accelerators * (end - begin)), exactly.
        """
        rest = end[1] - begin[1]
        borrow = (rest < 0).astype(np.int64)
        whole = end[0] - begin[0] - borrow
        rest += borrow * FINE
        a = accelerators[:, None]
        low = a * (rest % _MILLION) // _MILLION
        units: Ints = a * whole + (a * (rest // _MILLION) + low) // _MILLION
        return units
