"""Reserves in the twin: what a battery and slowed work deliver of what is called, in one period.

Signs: up is less import. FCR first, then aFRR: what is short is taken to be short of aFRR before it
is of FCR. Pure functions; the state of charge is the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.plant.battery import Battery, limits


@dataclass(frozen=True, slots=True)
class Called:
    """What is sold at a site in a period, and how much of it is called.

    Attributes:
        fcr_mw: FCR sold.
        up_mw: aFRR up sold that the battery carries.
        load_mw: aFRR up sold that work carries.
        down_mw: aFRR down sold.
        fcr_work_share: share of the period and mean depth of FCR up, then of FCR down.
        up_share: mean share of the battery's aFRR up that is called.
        load_share: mean share of the work's that is.
        down_share: mean share of aFRR down that is.
        drop_w: watts an accelerator at work is slowed down by, per pool of the site and class; none
            where nothing is slowed for reserves.
        price_eur_per_mwh: capacity prices per MW and hour: FCR, up, down.
        energy_eur_per_mwh: prices of energy activated: up, down.
        reservoir_h: time at full power that the rules ask for: FCR, aFRR.
        penalty_factor: capacity pay taken off, times that of what was missing.
    """

    fcr_mw: float = 0.0
    up_mw: float = 0.0
    load_mw: float = 0.0
    down_mw: float = 0.0
    fcr_work_share: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    up_share: float = 0.0
    load_share: float = 0.0
    down_share: float = 0.0
    drop_w: npt.NDArray[np.float64] | None = None
    price_eur_per_mwh: tuple[float, float, float] = (0.0, 0.0, 0.0)
    energy_eur_per_mwh: tuple[float, float] = (0.0, 0.0)
    reservoir_h: tuple[float, float] = (0.0, 0.0)
    penalty_factor: float = 1.0

    @property
    def fcr_up_mw(self) -> float:
        """Mean power of FCR upwards over the period."""
        return self.fcr_mw * self.fcr_work_share[0] * self.fcr_work_share[1]

    @property
    def fcr_down_mw(self) -> float:
        """Mean power of FCR downwards."""
        return self.fcr_mw * self.fcr_work_share[2] * self.fcr_work_share[3]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of it, as means over the period.

    Attributes:
        charge_mw: battery charge in all, at the grid side.
        discharge_mw: battery discharge.
        soc_mwh: state of charge after it.
        fcr_missed_mw: FCR asked and not delivered, both ways.
        up_missed_mw: aFRR up of the battery asked and not delivered.
        down_missed_mw: aFRR down.
        up_there_share: share of the power sold upwards that was there to be given.
        down_there_share: likewise downwards.
    """

    charge_mw: float
    discharge_mw: float
    soc_mwh: float
    fcr_missed_mw: float = 0.0
    up_missed_mw: float = 0.0
    down_missed_mw: float = 0.0
    up_there_share: float = 1.0
    down_there_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Cable:
    """How far the battery may go beside the load: net charge between two powers.

    Attributes:
        least_mw: lowest net charge (export, or a dead cable), MW; negative is discharge.
        most_mw: highest net charge, below the import limit.
    """

    least_mw: float
    most_mw: float


def deliver(
    battery: Battery, soc_mwh: float, wish_mw: float, cable: Cable, called: Called, hours: float
) -> Delivered:
    """Run a battery through a period with what is called of its reserves.

    FCR is taken as three states: low frequency, high frequency, none. So the energy that goes in
    and out again within the period is there, and with it losses and wear.

    Args:
        battery: the battery.
        soc_mwh: its state of charge at the start.
        wish_mw: net charge of the schedule, MW.
        cable: what the connection leaves.
        called: what is sold and called.
        hours: length of the period.
    """
    power = battery.power_mw
    least, most = (min(max(edge, -power), power) for edge in (cable.least_mw, cable.most_mw))
    base = min(max(wish_mw, least), max(most, least))
    most_in, most_out = limits(battery, soc_mwh, hours)
    base = min(max(base, -most_out), most_in)
    up = called.up_mw * called.up_share
    down = called.down_mw * called.down_share
    low_time, low_depth, high_time, high_depth = called.fcr_work_share
    middle = base - up + down
    states = (
        (low_time, middle - called.fcr_mw * low_depth),
        (high_time, middle + called.fcr_mw * high_depth),
        (max(1.0 - low_time - high_time, 0.0), middle),
    )
    charge = discharge = 0.0
    for share, net in states:
        held = min(max(net, least), max(most, least))
        charge += share * max(held, 0.0)
        discharge += share * max(-held, 0.0)
    gain, give = battery.charge_efficiency, battery.discharge_efficiency
    after = soc_mwh + (charge * gain - discharge / give) * hours
    if after > battery.soc_max_mwh:
        charge = max(charge - (after - battery.soc_max_mwh) / (gain * hours), 0.0)
    elif after < battery.soc_min_mwh:
        discharge = max(discharge - (battery.soc_min_mwh - after) * give / hours, 0.0)
    after = soc_mwh + (charge * gain - discharge / give) * hours
    after = min(max(after, battery.soc_min_mwh), battery.soc_max_mwh)
    asked = up - down + called.fcr_up_mw - called.fcr_down_mw
    short = asked - (base - (charge - discharge))  # above 0: too little up
    there = _there(battery, after, base, (least, most), called)
    up_missed = min(max(short, 0.0), up)
    down_missed = min(max(-short, 0.0), down)
    fcr = min(max(short - up_missed, 0.0), called.fcr_up_mw)
    fcr += min(max(-short - down_missed, 0.0), called.fcr_down_mw)
    return Delivered(charge, discharge, after, _whole(fcr), _whole(up_missed),
                     _whole(down_missed), *there)  # fmt: skip


def _whole(power_mw: float) -> float:
    """A shortfall, with what rounding makes of nought left out."""
    return power_mw if power_mw > 1e-9 else 0.0


def _there(
    battery: Battery,
    soc_mwh: float,
    base_mw: float,
    cable_mw: tuple[float, float],
    called: Called,
) -> tuple[float, float]:
    """Share of the power sold up and down that could be given in full for as long as the rules ask.

    Judged at the end of the period, against the schedule, in power and in energy.
    """
    fcr_h, afrr_h = called.reservoir_h
    shares = []
    stock = (soc_mwh - battery.soc_min_mwh) * battery.discharge_efficiency
    space = (battery.soc_max_mwh - soc_mwh) / battery.charge_efficiency
    for afrr_mw, room_mw, energy in (
        (called.up_mw, base_mw - cable_mw[0], stock),
        (called.down_mw, cable_mw[1] - base_mw, space),
    ):
        power = called.fcr_mw + afrr_mw
        needed = called.fcr_mw * fcr_h + afrr_mw * afrr_h
        share = 1.0
        if power > 0.0:
            share = min(share, max(room_mw, 0.0) / power)
        if needed > 0.0:
            share = min(share, max(energy, 0.0) / needed)
        shares.append(share if share < 1.0 - 1e-9 else 1.0)
    return shares[0], shares[1]


def readings(called: Called, done: Delivered, shed_mw: float, hours: float) -> dict[str, float]:
    """What the meters show of the reserves of a period, in Wh, not yet whole.

    Args:
        called: what was sold and called.
        done: what the battery did.
        shed_mw: what slowed work drew less, at the connection.
        hours: length of the period.

    Returns:
        By the names of the ledger's meters. Pay is withheld for the larger share: of what was asked
        and not delivered, or of what was not there.
    """
    wh = hours * 1e6
    load_asked = called.load_mw * called.load_share
    load_missed = max(load_asked - shed_mw, 0.0)
    fcr_asked = called.fcr_up_mw + called.fcr_down_mw
    up_asked = called.up_mw * called.up_share + load_asked
    up_missed = done.up_missed_mw + load_missed
    down_asked = called.down_mw * called.down_share
    up_sold = called.up_mw + called.load_mw
    # what work carries is there while it runs; only what the battery carries may be lacking
    up_lacks = (1.0 - done.up_there_share) * called.up_mw / up_sold if up_sold else 0.0
    lacks = {
        "fcr": max(1.0 - done.up_there_share, 1.0 - done.down_there_share),
        "afrr_up": up_lacks,
        "afrr_down": 1.0 - done.down_there_share,
    }
    out = {"fcr_up_wh": called.fcr_up_mw * wh, "fcr_down_wh": called.fcr_down_mw * wh}
    for name, sold, asked, missed in (
        ("fcr", called.fcr_mw, fcr_asked, done.fcr_missed_mw),
        ("afrr_up", up_sold, up_asked, up_missed),
        ("afrr_down", called.down_mw, down_asked, done.down_missed_mw),
    ):
        lost = max(missed / asked if asked > 0 else 0.0, lacks[name])
        out[f"{name}_sold_wh"] = sold * wh
        out[f"{name}_lacking_wh"] = sold * lacks[name] * wh
        out[f"{name}_withheld_wh"] = called.penalty_factor * sold * lost * wh
        out[f"{name}_missed_wh"] = missed * wh
        if name != "fcr":
            out[f"{name}_asked_wh"] = asked * wh
    return out


#: Readings that are made whole with the remainder carried.
CARRIED = (
    "fcr_up_wh",
    "fcr_down_wh",
    *(
        f"{product}_{what}_wh"
        for product in ("fcr", "afrr_up", "afrr_down")
        for what in ("sold", "lacking", "withheld", "missed")
    ),
    "afrr_up_asked_wh",
    "afrr_down_asked_wh",
)


__all__ = ["CARRIED", "Cable", "Called", "Delivered", "deliver", "readings"]
