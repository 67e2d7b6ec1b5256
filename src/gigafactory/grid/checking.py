"""What arrays of a settlement must be before anything is computed with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem

Array = npt.NDArray[np.float64]


def checked(
    where: str,
    given: Mapping[str, npt.ArrayLike],
    *,
    signed: Iterable[str] = (),
    shares: Iterable[str] = (),
    periods: int | None = None,
) -> dict[str, Array]:
    """Numbers and arrays of one length, checked together.

    Args:
        where: what they belong to, for the reader of a problem.
        given: arrays of shape [P] and single numbers that hold in every period, by name.
        signed: names that may be negative; all others must be 0 or more.
        shares: names that must lie from 0 to 1.
        periods: P where it is known; otherwise the longest array says it.

    Returns:
        The same names, every array float64 of shape [P].

    Raises:
        BadInput: arrays of unlike length, values that are not finite or out of bounds; every
            argument at fault is told.
    """
    signed, shares = set(signed), set(shares)
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in given.items()}
    length = periods
    if length is None:
        length = max((len(a) for a in arrays.values() if a.ndim == 1), default=1)
    problems: list[Problem] = []

    def wrong(name: str, value: object, why: str) -> None:
        problems.append(Problem(where, name, str(value), why))

    for name, values in arrays.items():
        if values.ndim > 1 or (values.ndim == 1 and len(values) != length):
            wrong(name, f"shape {values.shape}", f"must have one value per period, {length}")
        elif not bool(np.isfinite(values).all()):
            wrong(name, int((~np.isfinite(values)).sum()), "values are not finite numbers")
        elif name in shares and bool(((values < 0.0) | (values > 1.0)).any()):
            worst = values.min() if values.min() < 0.0 else values.max()
            wrong(name, worst, "must be from 0 to 1")
        elif name not in signed and bool((values < 0.0).any()):
            wrong(name, values.min(), "must be 0 or more")
    if problems:
        raise BadInput(problems)
    return {name: np.broadcast_to(values, (length,)) for name, values in arrays.items()}
