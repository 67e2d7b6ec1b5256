"""What a site owes second by second on a stress day, and how its seconds are settled.

Where `energy.reserves` sells from a site, that is what its desk sold at the auctions for the day,
block by block, and its setpoints are the calls of the market in that day; elsewhere it is what
`energy.response` holds, the same in every second. Nothing sold in a block is nothing owed in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.reserves import Called, Delivered
from gigafactory.factory.models import Reserves
from gigafactory.factory.response import SiteResponse
from gigafactory.planner import ResponsePlant
from gigafactory.planner.balancing import TOLERANCE
from gigafactory.plant.battery import Battery

Array = npt.NDArray[np.float64]

#: Who says what a site owes in its seconds: what was sold for the day, what the file holds, nobody.
AUCTIONS, RESPONSE, NOBODY = "auctions", "response", "nobody"
#: A setpoint goes from nothing to all in so many seconds (assumption).
AFRR_RISE_S: Final = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Owed:
    """What is owed in each market period of a day, shape [P].

    Attributes:
        fcr_mw: FCR, each way.
        up_mw: aFRR up, by battery and work.
        down_mw: aFRR down.
        up_called_mw: mean power called of aFRR up over the period.
        down_called_mw: of aFRR down.
        up_share: share of the period in which it is called.
        down_share: likewise.
    """

    fcr_mw: Array
    up_mw: Array
    down_mw: Array
    up_called_mw: Array
    down_called_mw: Array
    up_share: Array
    down_share: Array

    @classmethod
    def held(cls, plant: ResponsePlant, periods: int) -> Owed:
        """The same in every period; what is called of it is not known here."""
        sold = (plant.fcr.contracted_mw, plant.afrr.up_mw, plant.afrr.down_mw)
        none = (np.zeros(periods) for _ in range(4))
        return cls(*(np.full(periods, mw) for mw in sold), *none)

    @classmethod
    def sold(cls, calls: Sequence[Called]) -> Owed:
        """What was sold for a day, and what the market calls of it."""
        rows = [
            (
                c.fcr_mw,
                c.up_mw + c.load_mw,
                c.down_mw,
                c.up_mw * c.up_share + c.load_mw * c.load_share,
                c.down_mw * c.down_share,
                max(c.up_share if c.up_mw else 0.0, c.load_share if c.load_mw else 0.0),
                c.down_share,
            )
            for c in calls
        ]
        return cls(*np.array(rows, np.float64).reshape(-1, 7).T.copy())

    def of(self, period: int) -> tuple[float, float, float]:
        """FCR, aFRR up and aFRR down owed in a period of the day, MW."""
        at = (self.fcr_mw[period], self.up_mw[period], self.down_mw[period])
        return float(at[0]), float(at[1]), float(at[2])


def most_sold(block: Reserves | None, response: SiteResponse) -> tuple[str, dict[str, float]]:
    """Who says what a site owes, and the most it may be, MW by product.

    A power that `energy.response` names limits what is sold for a stress day; one it leaves at
    nothing is left to what was prequalified in `energy.reserves`.
    """
    named = {"fcr": response.fcr_mw, "up": response.afrr_up_mw, "down": response.afrr_down_mw}
    if block is None:
        return RESPONSE if any(named.values()) else NOBODY, named
    products = block.products_mw
    return AUCTIONS, {n: min(mw, named[n] or mw) for n, mw in products.items()}


def owing(plant: ResponsePlant, owed_mw: tuple[float, float, float]) -> ResponsePlant:
    """A site that owes this much of FCR, aFRR up and aFRR down; all else as it is.

    The fastest honest move of a setpoint follows from what is sold.
    """
    fcr, up, down = owed_mw
    afrr = replace(plant.afrr, up_mw=up, down_mw=down, move_mw_per_s=float("nan"))
    return replace(plant, fcr=replace(plant.fcr, contracted_mw=fcr), afrr=afrr)


def called_setpoints(draw: np.random.Generator, owed: Owed, count: int, every_s: int) -> Array:
    """Setpoints that call in each period what the market calls of it, one per `every_s`.

    All of the bid is called for its share of the period, at an instant that is drawn; where both
    directions are called in one period, one comes after the other. A setpoint moves no faster than
    `AFRR_RISE_S` allows, is back within what is sold when a block ends, and at nothing when the day
    does: what is not sold is not called.

    Args:
        draw: of the day and site.
        owed: what is sold and called.
        count: seconds of the day.
        every_s: seconds between setpoints.
    """
    periods = len(owed.fcr_mw)
    many = -(-count // every_s)
    per = many // periods
    rise = round(AFRR_RISE_S / every_s)
    aim = np.zeros(many)
    chance = draw.random((periods, 2))
    for p in range(periods):
        ways = [(owed.up_called_mw[p], owed.up_share[p]),
                (-owed.down_called_mw[p], owed.down_share[p])]  # fmt: skip
        ways = [way for way in ways if way[0] != 0.0]
        if chance[p, 1] < 0.5:
            ways.reverse()
        span = per // max(len(ways), 1)
        for k, (mean_mw, share) in enumerate(ways):
            lasts = min(round(share * per), span)
            free = max(span - lasts - rise, 0)
            first = p * per + k * span + int(chance[p, 0] * (free + 1))
            aim[first : first + lasts] = mean_mw / share
    at = np.minimum(np.arange(many) // per, periods - 1)
    up, down = owed.up_mw[at], owed.down_mw[at]
    step = np.maximum(up, down) / AFRR_RISE_S * every_s
    high, low = np.append(up, 0.0), np.append(-down, 0.0)
    pace = np.append(step, 0.0)
    for k in range(many - 1, -1, -1):  # what can still be brought back in time
        high[k] = min(high[k], high[k + 1] + pace[k + 1])
        low[k] = max(low[k], low[k + 1] - pace[k + 1])
    out, now = np.zeros(many), 0.0
    for k in range(many):
        goal = min(max(float(aim[k]), low[k]), high[k])
        now += min(max(goal - now, -step[k]), step[k])
        out[k] = now
    return out


# --- what became of it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """The seconds of a period that was walked, shape [N].

    Attributes:
        fcr_mw: FCR delivered.
        fcr_due_mw: FCR owed at the frequency; nan where none was measured.
        afrr_mw: aFRR delivered, by battery and work.
        afrr_work_mw: of it, by work.
        asked_mw: aFRR setpoint sent.
        low_mw: lowest that aFRR may be.
        high_mw: highest.
        battery_mw: discharge less charge.
        soc_mwh: stored energy.
        import_mw: import less export.
        limit_mw: most import.
        off: without a connection.
        export_mw: most export.
    """

    fcr_mw: Array
    fcr_due_mw: Array
    afrr_mw: Array
    afrr_work_mw: Array
    asked_mw: Array
    low_mw: Array
    high_mw: Array
    battery_mw: Array
    soc_mwh: Array
    import_mw: Array
    limit_mw: Array
    off: npt.NDArray[np.bool_]
    export_mw: float


def settled(called: Called, battery: Battery, s: Walked) -> tuple[Called, Delivered]:
    """What was called and delivered of what is sold, as means over the seconds of a period.

    FCR is called by the frequency, aFRR by its setpoints. A second counts as missed by all that it
    lacks where that is more than `TOLERANCE` of what is sold: FCR of what it owed, aFRR of its
    corridor. Without a connection nothing is delivered, and nothing is there.

    Args:
        called: what is sold, and what it is paid.
        battery: the battery.
        s: the seconds.

    Returns:
        What was called, with work's part under the battery's, and what became of it.
    """
    fcr, up, down = called.fcr_mw, called.up_mw + called.load_mw, called.down_mw
    due = np.nan_to_num(s.fcr_due_mw)
    # of what is owed, and no more: what is given where nothing is owed is not missing
    lag = np.minimum(np.abs(due) - np.sign(due) * s.fcr_mw, np.abs(due))
    missed = (
        _missed(lag, fcr),
        _missed(s.low_mw.clip(0.0) - s.afrr_mw.clip(0.0), up),
        _missed(s.afrr_mw.clip(None, 0.0) - s.high_mw.clip(None, 0.0), down),
    )
    asked = replace(
        called,
        up_mw=up,
        load_mw=0.0,
        fcr_work_share=(*_work(due, fcr), *_work(-due, fcr)),
        up_share=_mean_share(s.asked_mw, up),
        load_share=0.0,
        down_share=_mean_share(-s.asked_mw, down),
        drop_w=None,
    )
    there = _there(called, battery, s)
    charge, discharge = (float((way * s.battery_mw).clip(0.0).mean()) for way in (-1.0, 1.0))
    return asked, Delivered(charge, discharge, float(s.soc_mwh[-1]), *missed, *there)


def _missed(short_mw: Array, sold_mw: float) -> float:
    """Mean of what is short, where it is more than the tolerance of what is sold."""
    if sold_mw <= 0.0:
        return 0.0
    return float(np.where(short_mw > TOLERANCE * sold_mw + 1e-9, short_mw, 0.0).mean())


def _work(due_mw: Array, sold_mw: float) -> tuple[float, float]:
    """Share of the seconds that FCR works in one direction, and how deep."""
    at_work = due_mw > 0.0
    if sold_mw <= 0.0 or not at_work.any():
        return 0.0, 0.0
    return float(at_work.mean()), float(due_mw[at_work].mean()) / sold_mw


def _mean_share(asked_mw: Array, sold_mw: float) -> float:
    return float(asked_mw.clip(0.0).mean()) / sold_mw if sold_mw > 0.0 else 0.0


def _there(called: Called, battery: Battery, s: Walked) -> tuple[float, float]:
    """Mean share of the power sold up and down that was there in full for as long as it must last.

    As in an ordinary run, but judged in every second: in power beside what the battery did for its
    schedule and the limit, on the cable, and in energy.
    """
    fcr_h, afrr_h = called.reservoir_h
    base = s.battery_mw - s.fcr_mw - (s.afrr_mw - s.afrr_work_mw)  # discharge, without reserves
    line = s.import_mw + s.fcr_mw + s.afrr_mw
    stock = (s.soc_mwh - battery.soc_min_mwh) * battery.discharge_efficiency
    space = (battery.soc_max_mwh - s.soc_mwh) / battery.charge_efficiency
    export = np.minimum(s.export_mw, s.limit_mw.clip(0.0))
    shares = []
    for afrr_mw, spare, cable, energy in (
        (called.up_mw, battery.power_mw - base, line + export, stock),
        (called.down_mw, battery.power_mw + base, s.limit_mw - line, space),
    ):
        power = called.fcr_mw + afrr_mw
        needed = called.fcr_mw * fcr_h + afrr_mw * afrr_h
        share = np.ones(len(s.fcr_mw))
        if power > 0.0:
            share = np.minimum(share, np.minimum(spare, cable).clip(0.0) / power)
        if needed > 0.0:
            share = np.minimum(share, energy.clip(0.0) / needed)
        share = np.where(share < 1.0 - 1e-9, share, 1.0)
        shares.append(float(np.where(s.off, 0.0, share).mean()) if power > 0.0 else 1.0)
    return shares[0], shares[1]


__all__ = [
    "AUCTIONS",
    "NOBODY",
    "RESPONSE",
    "Owed",
    "Walked",
    "called_setpoints",
    "most_sold",
    "owing",
    "settled",
]
