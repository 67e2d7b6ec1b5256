"""Whether a meter's sample can be relied on: its age, its bounds, and whether it is stuck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gigafactory.plant.ports import Reading
from gigafactory.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class Sample:
    """What a source said of a point.

    Attributes:
        point: its name.
        taken_ns: when the sample was taken, by the source's clock, ns UTC.
        value: in the unit of its bounds.
        whole: whether everything that belongs to the point was in it.
        why: what is wrong with it; empty when nothing is known to be.
    """

    point: str
    taken_ns: int
    value: float
    whole: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a point's samples must hold to.

    Attributes:
        unit: of its value, such as ``MW``.
        least: no real value is lower.
        most: no real value is higher.
        stale_s: older than this a sample is not good.
        ahead_s: further in the future than this it is not good: a clock is wrong.
        stuck_after: samples with the very same value, taken at different instants, after which the
            meter counts as stuck while other points moved; 0 never asks.
    """

    unit: str
    least: float = 0.0
    most: float = math.inf
    stale_s: float = 10.0
    ahead_s: float = 2.0
    stuck_after: int = 30


@dataclass(slots=True)
class _Past:
    """What was seen of a point."""

    value: float
    taken_ns: int
    same: int = 1


class Judge:
    """Turns samples into readings, and keeps in mind why a reading is not good.

    Args:
        bounds: by point.
    """

    def __init__(self, bounds: Mapping[str, Bounds]) -> None:
        self._bounds = dict(bounds)
        self._past: dict[str, _Past] = {}
        #: Why the latest reading of a point is not good, or there is none; empty for good ones.
        self.why: dict[str, str] = {}

    @property
    def points(self) -> tuple[str, ...]:
        """Every point there are bounds for."""
        return tuple(self._bounds)

    def readings(
        self, points: Sequence[str], samples: Mapping[str, Sample], now_ns: int, trouble: str = ""
    ) -> tuple[Reading, ...]:
        """Judge the samples of the points asked for.

        Args:
            points: asked for, in the order wanted.
            samples: what the source gave, by point.
            now_ns: the present instant, ns UTC.
            trouble: why the source gave nothing at all; empty where it answered.

        Returns:
            A reading for every point that has a sample, in the order asked.
        """
        self._note(samples)
        told = []
        for point in points:
            bounds = self._bounds.get(point)
            sample = samples.get(point)
            if bounds is None or sample is None or math.isnan(sample.value):
                unknown = "is no point of this meter" if bounds is None else "no sample came"
                self.why[point] = trouble or unknown
                continue
            why = sample.why or self._fault(sample, bounds, now_ns)
            self.why[point] = why
            told.append(Reading(point, sample.taken_ns, sample.value, bounds.unit, good=not why))
        return tuple(told)

    def _note(self, samples: Mapping[str, Sample]) -> None:
        """Count how often each point has shown the very same value."""
        for point, sample in samples.items():
            past = self._past.get(point)
            if past is None or past.value != sample.value:
                self._past[point] = _Past(sample.value, sample.taken_ns)
            elif sample.taken_ns > past.taken_ns:
                past.same, past.taken_ns = past.same + 1, sample.taken_ns

    def _fault(self, sample: Sample, bounds: Bounds, now_ns: int) -> str:
        """What is wrong with a sample; empty when nothing is."""
        age_s = (now_ns - sample.taken_ns) / NS_PER_S
        if age_s > bounds.stale_s:
            return f"is {age_s:.1f} s old, more than {bounds.stale_s:g} s"
        if age_s < -bounds.ahead_s:
            return f"is dated {-age_s:.1f} s in the future: a clock is wrong"
        if not bounds.least <= sample.value <= bounds.most:
            return (
                f"{sample.value:g} {bounds.unit} lies outside {bounds.least:g} to {bounds.most:g}"
            )
        if not sample.whole:
            return "is not whole: a part of what belongs to it did not report"
        if self._stuck(sample.point, bounds):
            return f"shows the same value {bounds.stuck_after} times while others moved: stuck"
        return ""

    def _stuck(self, point: str, bounds: Bounds) -> bool:
        """Whether a point has stood still while another one moved.

        A value of nought may rightly stand still, and so may one at its bound.
        """
        past = self._past.get(point)
        if not bounds.stuck_after or past is None or past.same < bounds.stuck_after:
            return False
        if past.value in {0.0, bounds.least, bounds.most}:
            return False
        return any(other.same < past.same // 2 for name, other in self._past.items()
                   if name != point)  # fmt: skip
