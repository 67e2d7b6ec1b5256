"""The battery: limits, one step, losses and wear. Pure functions; the state is one number.

All powers are at the grid side of the inverter (AC), in MW; the state of charge is what the cells
hold, in MWh. Charging and discharging share the inverter, so in one period
``charge + discharge <= power_mw``: doing half of each is allowed, and wastes energy, as it would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gigafactory.engine.errors import BadInput, outside, refuse

#: What rounding may add to a limit before a step is refused, relative to the battery's size.
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Battery:
    """A stationary battery.

    Attributes:
        power_mw: inverter rating, both ways together.
        energy_mwh: what the cells hold when full.
        charge_efficiency: share of AC energy that reaches the cells, 0.9 to 0.98 typical.
        discharge_efficiency: share of cell energy that reaches the AC side.
        soc_min_mwh: lowest state of charge allowed.
        soc_max_mwh: highest; ``energy_mwh`` where left out (nan).
        wear_eur_per_mwh: cost of ageing per MWh discharged at the AC side.
    """

    power_mw: float
    energy_mwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    soc_min_mwh: float = 0.0
    soc_max_mwh: float = math.nan
    wear_eur_per_mwh: float = 0.0

    def __post_init__(self) -> None:
        if math.isnan(self.soc_max_mwh):
            object.__setattr__(self, "soc_max_mwh", self.energy_mwh)
        most_mwh = min(self.energy_mwh, 1e6)
        problems = outside(
            "battery",
            self,
            power_mw=(0.0, 1e5),
            energy_mwh=(0.0, 1e6),
            charge_efficiency=(0.3, 1.0),
            discharge_efficiency=(0.3, 1.0),
            soc_min_mwh=(0.0, most_mwh),
            soc_max_mwh=(self.soc_min_mwh, most_mwh),
            wear_eur_per_mwh=(0.0, 1e4),
        )
        if problems:
            raise BadInput(problems)

    @property
    def round_trip(self) -> float:
        """Share of the energy charged that comes back."""
        return self.charge_efficiency * self.discharge_efficiency


def limits(battery: Battery, soc_mwh: float, hours: float) -> tuple[float, float]:
    """Most that can be charged, and most that can be discharged, alone, over a period.

    Args:
        battery: the battery.
        soc_mwh: its state of charge at the start.
        hours: length of the period, above zero.

    Returns:
        ``(charge_mw, discharge_mw)`` at the AC side, neither negative.
    """
    room = max(battery.soc_max_mwh - soc_mwh, 0.0) / (battery.charge_efficiency * hours)
    stock = max(soc_mwh - battery.soc_min_mwh, 0.0) * battery.discharge_efficiency / hours
    return min(battery.power_mw, room), min(battery.power_mw, stock)


def fit(
    battery: Battery, soc_mwh: float, charge_mw: float, discharge_mw: float, hours: float
) -> tuple[float, float]:
    """Bring a wish within what the battery can do over a period.

    The smaller of the two directions is given up first (doing both only wastes energy), then the
    rest is cut to `limits`.

    Returns:
        ``(charge_mw, discharge_mw)``, at most one of them above zero.
    """
    net = max(charge_mw, 0.0) - max(discharge_mw, 0.0)
    most_in, most_out = limits(battery, soc_mwh, hours)
    return min(max(net, 0.0), most_in), min(max(-net, 0.0), most_out)


def step(
    battery: Battery, soc_mwh: float, charge_mw: float, discharge_mw: float, hours: float
) -> float:
    """State of charge after a period.

    Args:
        battery: the battery.
        soc_mwh: state of charge at the start.
        charge_mw: AC power charged, not negative.
        discharge_mw: AC power discharged, not negative.
        hours: length of the period.

    Returns:
        soc + (charge * charge_efficiency - discharge / discharge_efficiency) * hours, held within
        the bounds against rounding.

    Raises:
        BadInput: when the wish breaks the inverter's rating or the bounds; use `fit` first.
    """
    slack = _SLACK * max(battery.power_mw, battery.energy_mwh, 1.0)
    if min(charge_mw, discharge_mw) < -slack or charge_mw + discharge_mw > battery.power_mw + slack:
        why = f"charge and discharge share an inverter of {battery.power_mw:g} MW; neither negative"
        raise refuse("battery", "power_mw", f"+{charge_mw:g} -{discharge_mw:g}", why)
    gained = charge_mw * battery.charge_efficiency - discharge_mw / battery.discharge_efficiency
    after = soc_mwh + gained * hours
    if not battery.soc_min_mwh - slack <= after <= battery.soc_max_mwh + slack:
        why = f"must stay from {battery.soc_min_mwh:g} to {battery.soc_max_mwh:g} MWh"
        raise refuse("battery", "soc_mwh", after, why)
    return min(max(after, battery.soc_min_mwh), battery.soc_max_mwh)


def losses_mwh(battery: Battery, charge_mw: float, discharge_mw: float, hours: float) -> float:
    """Energy turned into heat by inverter and cells over a period, MWh, never negative."""
    lost_in = charge_mw * (1.0 - battery.charge_efficiency)
    lost_out = discharge_mw * (1.0 / battery.discharge_efficiency - 1.0)
    return (lost_in + lost_out) * hours


def wear_eur(battery: Battery, discharge_mw: float, hours: float) -> float:
    """Cost of ageing over a period, EUR: the energy discharged times its price."""
    return battery.wear_eur_per_mwh * discharge_mw * hours
