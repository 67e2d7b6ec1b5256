"""What a row of yearly cash comes to: present value, rate of return, payback, cover of debt.

All functions take cash of whole years, the first one undiscounted, as rows of an array, so that
ten thousand draws cost one call. Formulas as in every textbook; `numpy-financial` agrees (tests).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Bounds between which a rate of return is looked for: nearly all is lost, or tenfold in a year.
RATE_MIN: Final = -0.9
RATE_MAX: Final = 10.0
_HALVINGS: Final = 50
#: Where a turn of the present value is looked for first.
_GRID: Final = np.concatenate(
    [np.arange(-90, 0, 5) / 100.0, np.arange(0, 50, 5) / 100.0, [0.5, 0.75, 1.0, 2.0, 5.0, 10.0]]
)


def npv(rate: npt.ArrayLike, cash: npt.ArrayLike) -> Floats:
    """Net present value of yearly cash, the first year not discounted.

    Args:
        rate: yearly, one or one a row.
        cash: years along the last axis.

    Returns:
        One value a row: the sum of ``cash[t] / (1 + rate) ** t``.
    """
    flows = np.atleast_2d(np.asarray(cash, dtype=np.float64))
    rates = np.asarray(rate, dtype=np.float64).reshape(-1, 1)
    years = np.arange(flows.shape[1], dtype=np.float64)
    value: Floats = (flows / (1.0 + rates) ** years).sum(axis=1)
    return value


def irr(cash: npt.ArrayLike) -> Floats:
    """Internal rate of return: the rate at which the present value is nought.

    Args:
        cash: years along the last axis.

    Returns:
        One rate a row between `RATE_MIN` and `RATE_MAX`: where cash turns more than once and there
        are several, the one nearest to nought. NaN where there is none.
    """
    flows = np.atleast_2d(np.asarray(cash, dtype=np.float64))
    n = len(flows)
    signs = np.stack([np.sign(npv(np.full(n, rate), flows)) for rate in _GRID], axis=1)
    turns = signs[:, :-1] * signs[:, 1:] <= 0
    # all nought, or a lone zero, is no turn unless it lies between unlike signs
    turns &= (signs[:, :-1] != 0) | (signs[:, 1:] != 0)
    valid = turns.any(axis=1)
    near = np.minimum(np.abs(_GRID[:-1]), np.abs(_GRID[1:]))
    at = np.where(turns, near[None, :], np.inf).argmin(axis=1)
    low, high = _GRID[at], _GRID[at + 1]
    at_low = signs[np.arange(n), at]
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        same = np.sign(npv(middle, flows)) == at_low
        low = np.where(same, middle, low)
        high = np.where(same, high, middle)
    found: Floats = np.where(valid, 0.5 * (low + high), np.nan)
    return found


def payback_years(cash: npt.ArrayLike) -> Floats:
    """Years until what was spent is back, for good, undiscounted, counted from the first year.

    Within the year in which the sum of all cash turns positive to stay, cash is taken to come
    evenly. NaN where it does not turn within the years given.
    """
    flows = np.atleast_2d(np.asarray(cash, dtype=np.float64))
    total = flows.cumsum(axis=1)
    n, years = flows.shape
    found = np.full(n, np.nan)
    for row in range(n):
        short = np.flatnonzero(total[row] < 0)
        if not len(short):
            found[row] = 0.0
        elif short[-1] < years - 1:
            last = int(short[-1])
            found[row] = last + 1 - total[row, last] / flows[row, last + 1]
    return found


def payment(rate: npt.ArrayLike, years: npt.ArrayLike, debt: npt.ArrayLike) -> Floats:
    """Level yearly payment that serves a debt over a number of years."""
    r, n, d = (np.asarray(v, dtype=np.float64) for v in (rate, years, debt))
    safe = np.where(r == 0.0, 1.0, r)
    left = np.maximum(n, 1.0)
    level: Floats = np.where(r == 0.0, d / left, d * safe / -np.expm1(-left * np.log1p(safe)))
    return level


__all__ = ["RATE_MAX", "RATE_MIN", "irr", "npv", "payback_years", "payment"]
