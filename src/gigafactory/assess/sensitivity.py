"""How far the axes depend on weights nobody can prove: stability of ranks, and a tornado."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gigafactory.assess.axes import AXES, axis_of
from gigafactory.assess.counterfactuals import alternatives
from gigafactory.assess.results import Assessment, Finding
from gigafactory.assess.subject import Subject
from gigafactory.engine.streams import stream

DRAWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Stability:
    """How often the order of alternatives on an axis stays, whatever the weights.

    Attributes:
        axis: which.
        order: the factory and its alternatives, best first, at equal weights.
        same_order_share: of the draws, with the same order.
        factory_first_share: of the draws, in which no alternative is better than the factory.
        value_p05, value_p50, value_p95: quantiles of the factory's own value over the draws.
        unit: of these: none, ratios.
        draws: how many.
    """

    axis: str
    order: tuple[str, ...]
    same_order_share: float
    factory_first_share: float
    value_p05: float
    value_p50: float
    value_p95: float
    unit: str
    draws: int


def stability(
    found: Assessment,
    others: Mapping[str, Sequence[Finding]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[Stability, ...]:
    """Draw weights at random and rank the factory against its alternatives on each axis.

    Weights of the opportunities of an axis, and of its risks, are drawn evenly from all that add
    up to one (a flat Dirichlet distribution), the same for every alternative. No factory at all is
    0 on every axis.

    Args:
        found: the axes of the factory.
        others: the findings of its alternatives by name.
        seed: of the named stream the weights come from.
        draws: how often.
    """
    findings = {"factory": found.findings, **others}
    out = []
    for axis in AXES:
        random = stream(seed, "assess", "weights", axis)
        names = [one.criterion for one in found.findings if one.group == axis and _weighs(one)]

        def values(weights: Mapping[str, float], axis: str = axis) -> dict[str, float]:
            got = {
                name: axis_of(axis, rows, weights).value or 0.0 for name, rows in findings.items()
            }
            return {**got, "none": 0.0}

        base = values({})
        order = _order(base)
        drawn = []
        for _ in range(draws):
            parts = random.exponential(size=len(names))
            drawn.append(values(dict(zip(names, parts.tolist(), strict=True))))
        own = np.array([one["factory"] for one in drawn])
        p05, p50, p95 = (float(q) for q in np.quantile(own, (0.05, 0.5, 0.95)))
        same = sum(_order(one) == order for one in drawn) / draws
        first = sum(one["factory"] >= max(one.values()) for one in drawn) / draws
        out.append(Stability(axis, order, same, first, p05, p50, p95, "", draws))
    return tuple(out)


def _weighs(one: Finding) -> bool:
    return one.kind in {"opportunity", "risk"}


def _order(values: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda name: (-round(values[name], 12), name)))


@dataclass(frozen=True, slots=True)
class Swing:
    """What one criterion could do to its axis.

    Attributes:
        axis: which.
        criterion: which.
        low, high: the axis if this came out worst, and best, all else as found.
        found: the axis as found.
        unit: of these: none, ratios.
    """

    axis: str
    criterion: str
    low: float
    high: float
    found: float
    unit: str

    @property
    def width(self) -> float:
        """How far it moves the axis."""
        return self.high - self.low


def tornado(found: Assessment) -> tuple[Swing, ...]:
    """For each axis its opportunities and risks by how far they can move it, widest first.

    An opportunity runs from -1 to 1, a risk from 1 to 0; the cap of the gates stays.
    """
    out = []
    for axis in AXES:
        value = axis_of(axis, found.findings).value or 0.0
        for one in found.findings:
            if one.group != axis or not _weighs(one):
                continue
            worst, best = (-1.0, 1.0) if one.kind == "opportunity" else (1.0, 0.0)
            low, high = (
                axis_of(axis, found.findings, instead={one.criterion: points}).value or 0.0
                for points in (worst, best)
            )
            out.append(Swing(axis, one.criterion, low, high, value, ""))
    return tuple(sorted(out, key=lambda one: (AXES.index(one.axis), -one.width, one.criterion)))


def sensitivity(
    subject: Subject, found: Assessment, *, seed: int = 0, draws: int = DRAWS
) -> tuple[Stability, ...]:
    """Rank stability of a subject against its own counterfactuals."""
    others = {name: one.findings for name, one in alternatives(subject).items()}
    return stability(found, others, seed=seed, draws=draws)


__all__ = ["DRAWS", "Stability", "Swing", "sensitivity", "stability", "tornado"]
