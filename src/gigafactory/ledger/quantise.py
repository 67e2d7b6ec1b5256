"""The door of the ledger: where a measurement becomes whole units and its remainder is carried."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Carry:
    """Turns a flow of real amounts into whole units, one reading at a time.

    What a reading leaves is added to the next, so the sum of all readings differs from the sum of
    the amounts by less than one unit, however many there are.
    """

    def __init__(self) -> None:
        self.rest = 0.0

    def take(self, amount: float) -> int:
        """Return the whole units of an amount (negative amounts too), carrying the remainder."""
        total = amount + self.rest
        whole = math.floor(total)
        self.rest = total - whole
        return whole


def quantised(fine: Ints, unit: int, rest: Ints) -> tuple[Ints, Ints]:
    """Quantise integer amounts in a fine unit to a coarser one, down the rows.

    Args:
        fine: int64[periods, columns], amounts in the fine unit.
        unit: fine units in a coarse one.
        rest: int64[columns], remainders carried in, each from 0 to below `unit`.

    Returns:
        ``(whole, rest)``: int64[periods, columns] in the coarse unit, and the remainders.
        The sum of a column of `whole` times `unit`, plus its remainder, is the sum of `fine` plus
        the remainder carried in, exactly.
    """
    whole = fine // unit
    left = rest + np.cumsum(fine - whole * unit, axis=0)
    carried = left // unit
    whole += np.diff(carried, axis=0, prepend=0)
    return whole, left[-1] - carried[-1] * unit if len(fine) else rest


def spread(amount: Ints, price: Ints, per: int, rest: int) -> tuple[Ints, int]:
    """Price whole amounts: ``amount * price / per`` in whole units, the remainder carried.

    Args:
        amount: int64[periods].
        price: int64[periods], units per `per` of the amount.
        per: scale of the price.
        rest: remainder carried in.

    Returns:
        ``(units, rest)``.
    """
    whole, left = quantised((amount * price)[:, None], per, np.array([rest], np.int64))
    return whole[:, 0], int(left[0])
