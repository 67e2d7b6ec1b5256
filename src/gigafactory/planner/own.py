"""Own generators in a plan: what they could give, and a schedule that they can keep to.

The programme of a day knows their power and the cost of a MWh, not that a unit has a least load and
that a start costs money. So its answer is rounded afterwards: a stretch that does not earn its
start is left out, the rest is lifted to the least load. What that changes is traded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Output below this is none, MW.
_NONE_MW = 1e-6


def _nothing() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """Own generators over the T steps of a plan, arrays [G, T] unless said.

    Attributes:
        most_mw: what each could give; of those the weather runs, what is expected.
        least_mw: what each has to give, of those kept running.
        cost_eur_per_mwh: cost of one more MWh: fuel, upkeep, price of CO2.
        unit_min_mw: least load of one unit, [G].
        start_eur: cost of a start, [G].
        runs: whether each runs when the plan begins, [G].
        weather: whether the weather runs it, [G].
    """

    most_mw: Array = field(default_factory=_nothing)
    least_mw: Array = field(default_factory=_nothing)
    cost_eur_per_mwh: Array = field(default_factory=_nothing)
    unit_min_mw: Array = field(default_factory=lambda: np.zeros(0))
    start_eur: Array = field(default_factory=lambda: np.zeros(0))
    runs: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    weather: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))


def commit(own: Own, asked_mw: Array, worth_eur_per_mwh: Array, step_h: float) -> Array:
    """Round what a programme asks of generators to what they can do.

    Args:
        own: the generators; steps beyond those asked are not looked at.
        asked_mw: output the programme wants, [G, P].
        worth_eur_per_mwh: what a MWh of their own saves or brings in each step, [P].
        step_h: length of a step, h.

    Returns:
        Output, [G, P]: nought, or from the least load of a unit to what there is. A stretch is
        kept when what it saves beyond its cost, at the output asked and at least the least load,
        pays for its start; one that goes on from before the plan begins needs no start.
    """
    count, steps = asked_mw.shape
    out = np.zeros_like(asked_mw)
    for k in range(count):
        most = own.most_mw[k, :steps]
        if own.weather[k]:
            out[k] = np.clip(asked_mw[k], 0.0, most)
            continue
        least = np.maximum(own.least_mw[k, :steps], own.unit_min_mw[k])
        level = np.minimum(np.maximum(asked_mw[k], least), most)
        wanted = (asked_mw[k] > _NONE_MW) & (most >= own.unit_min_mw[k])
        gain = (worth_eur_per_mwh - own.cost_eur_per_mwh[k, :steps]) * level * step_h
        for begin, end in _stretches(wanted):
            kept = own.least_mw[k, begin:end].any()
            start = 0.0 if begin == 0 and own.runs[k] else float(own.start_eur[k])
            if kept or float(gain[begin:end].sum()) >= start:
                out[k, begin:end] = level[begin:end]
    return out


def _stretches(on: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last-plus-one of every run of True."""
    edge = np.diff(np.concatenate([[0], on.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


__all__ = ["Own", "commit"]
