"""What was metered over an interval: meters where they vouch for it, the model where they do not.

Power is read at the ends of an interval and taken to run straight between them. Energy is counted
in whole micro-watt-hours with the remainder carried on, so that a day's sum does not depend on how
often it was looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gigafactory.plant.ports import Meter
from gigafactory.units import NS_PER_S

#: W x ns in a micro-watt-hour.
W_NS_PER_UWH: Final = 3_600_000
_W_PER: Final = {"W": 1.0, "kW": 1e3, "MW": 1e6}


def pool_point(pool: str) -> str:
    """The point at which a pool's IT power is read."""
    return f"{pool}/it"


def site_point(site: str) -> str:
    """The point at which a connection's import is read."""
    return f"{site}/import"


@dataclass(frozen=True, slots=True)
class Power:
    """A power, W, and whether a meter vouches for it; `taken_ns` is when it was read."""

    power_w: float
    measured: bool
    taken_ns: int


def read_meters(
    meters: Sequence[Meter], points: Sequence[str], now_ns: int, stale_s: float
) -> dict[str, Power]:
    """The newest good reading of each point, in W; points without one are left out."""
    found: dict[str, Power] = {}
    for meter in meters:
        for one in meter.read(tuple(points), now_ns):
            scale = _W_PER.get(one.unit)
            fresh = abs(now_ns - one.taken_ns) <= stale_s * NS_PER_S
            if one.good and fresh and scale is not None and one.point not in found:
                found[one.point] = Power(one.value * scale, True, one.taken_ns)
    return found


@dataclass(slots=True)
class Integral:
    """Energy from power read now and then.

    Attributes:
        last: the latest power.
        total_uwh: all energy so far, micro-watt-hours.
    """

    last: Power | None = None
    total_uwh: int = 0
    _left: int = 0

    def add(self, now: Power, took_ns: int) -> tuple[int, bool]:
        """Energy over an interval that ends with a reading, and whether it was measured."""
        before = self.last if self.last is not None else now
        mean = (round(before.power_w) + round(now.power_w)) * took_ns
        self.last = now
        whole, self._left = divmod(mean + self._left, 2 * W_NS_PER_UWH)
        self.total_uwh += whole
        return whole, before.measured and now.measured

    def add_uwh(self, energy_uwh: int) -> int:
        """Energy that the model says, where nothing was read."""
        self.total_uwh += energy_uwh
        self.last = None
        return energy_uwh


@dataclass(slots=True)
class Meters:
    """The integrals of every point.

    Attributes:
        points: by name.
    """

    points: dict[str, Integral] = field(default_factory=dict)

    def of(self, point: str) -> Integral:
        """The integral of a point."""
        return self.points.setdefault(point, Integral())


def import_w(
    site: str,
    it_w: float,
    found: Mapping[str, Power],
    overhead: float,
    base_w: float,
    now_ns: int,
) -> Power:
    """Import of a site: as metered, else IT power times the plant's slope, and the base load."""
    metered = found.get(site_point(site))
    if metered is not None:
        return metered
    return Power(it_w * overhead + base_w, False, now_ns)
