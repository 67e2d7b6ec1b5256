"""Own generation in a factory file: the block of a generator, and what it becomes.

A generator says its kind; what the file leaves out comes from the figures of that kind
(`gigafactory.plant.generation.kinds`), each with its own source.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Final, Literal

from gigafactory.factory.blocks import Day, Name, SourcedBlock, Text, setting
from gigafactory.factory.quantities import (
    CostEURPerMW,
    CostEURPerMWh,
    Count,
    EnergyMWh,
    PositiveDurationS,
    PositivePowerMW,
    PositiveRatio,
    PositiveShare,
    Share,
)
from gigafactory.plant.generation import Generator, commissioned_on, kinds, typical

#: A unit that takes longer to start than this is kept running (assumption: nobody stops overnight
#: what needs a night to come back).
KEEPS_RUNNING_MIN: Final = 360.0
#: Kinds that may not run while the public grid is there: below 500 hours a year no limit of
#: emission holds for them, which excepts a diesel that makes power beside the grid (Infomil, read).
EMERGENCY_KINDS: Final = ("diesel",)
_S_PER_H: Final = 3600.0
_NONE: Final = "Our assumption, 2026, assumption: none"


class OwnGenerator(SourcedBlock):
    """A generator behind the connection; what is left out comes from the figures of its kind."""

    name: Name = setting("Name of the generator.")
    site: Name = setting("Site it stands on.")
    kind: Text = setting(
        "Technology: gas_turbine, gas_engine, diesel, fuel_cell, solar, wind, nuclear_smr, "
        "geothermal or hydrogen."
    )
    power_mw: PositivePowerMW = setting("Net output of all its units together.", key="power")
    units: Count = setting(
        "Equal units behind one fuel stock; with 0 it does not exist.",
        1,
        source="Our assumption, 2026, assumption: one unit",
    )
    ordered: Day | None = setting(
        "Day it was ordered; it exists when the lead time of its kind has passed.", None
    )
    commissioned: Day | None = setting(
        "First day on which it exists; empty for by its order.", None
    )
    use: Literal["market", "emergency"] | None = setting(
        "Whether it runs when that pays, or in outages alone; empty for by its kind: diesels are "
        "for emergencies, all others for the market.",
        None,
    )
    fuel_price_eur_per_mwh: CostEURPerMWh | None = setting(
        "Price of a MWh of fuel, lower heating value; empty for that of its kind.",
        None,
        key="fuel_price",
    )
    heat_rate_mwh_per_mwh: PositiveRatio | None = setting(
        "Fuel burnt per MWh of power at full load; empty for that of its kind.",
        None,
        key="heat_rate",
    )
    start_cost_eur_per_mw: CostEURPerMW | None = setting(
        "Cost of a start per MW; empty for that of its kind.", None, key="start_cost"
    )
    minimum_load_share: Share | None = setting(
        "Least load of a unit; empty for that of its kind.", None, key="minimum_load"
    )
    fuel_stock_mwh: EnergyMWh | None = setting(
        "Fuel at the site when the run begins and after a delivery at the most; empty where it "
        "comes by pipe or none is burnt.",
        None,
        key="fuel_stock",
    )
    fuel_delivery_mwh: EnergyMWh = setting(
        "Fuel one delivery brings.", 0.0, key="fuel_delivery", source=_NONE
    )
    fuel_delivery_time_s: PositiveDurationS = setting(
        "From the order of fuel, given when the stock falls below `fuel_order`, to its delivery.",
        172_800.0,
        key="fuel_delivery_time",
        source="Our assumption, 2026, assumption: two days",
    )
    fuel_order_share: PositiveShare = setting(
        "Share of the stock below which fuel is ordered.",
        0.5,
        key="fuel_order",
        source="Our assumption, 2026, assumption: half",
    )
    run_time_s_max: PositiveDurationS | None = setting(
        "Longest it may run in a calendar year; empty for that of its kind.",
        None,
        key="run_time_max",
    )

    @property
    def exists_from(self) -> dt.date:
        """First day on which it exists; the distant future where neither day is given."""
        if self.commissioned is not None:
            return self.commissioned
        if self.ordered is not None and self.kind in kinds():
            return commissioned_on(self.kind, self.ordered)
        return dt.date.max

    @property
    def emergency(self) -> bool:
        """Whether it runs in outages alone."""
        return (self.use or ("emergency" if self.kind in EMERGENCY_KINDS else "market")) != "market"

    @property
    def taken_from_kind(self) -> tuple[str, ...]:
        """Figures of its kind that hold for it, by their keys there."""
        given = {of for name, of in _SETTABLE.items() if getattr(self, name) is not None}
        if self.run_time_s_max is not None:
            given.add("run_h_max")
        of = kinds()[self.kind]
        return tuple(
            key for key in of.figures if key not in given and key != "levelised_eur_per_mwh"
        )

    def built(self) -> Generator:
        """The plant of it; for a checked file."""
        changes: dict[str, Any] = {
            of: getattr(self, name)
            for name, of in _SETTABLE.items()
            if getattr(self, name) is not None
        }
        if self.run_time_s_max is not None:
            changes["run_h_max"] = min(self.run_time_s_max / _S_PER_H, 8784.0)
        changes["fuel_stock_mwh"] = math.inf if self.fuel_stock_mwh is None else self.fuel_stock_mwh
        return typical(
            self.kind, self.power_mw, self.exists_from, name=self.name, units=self.units, **changes
        )


#: Settings that stand in place of a figure of the kind, and which.
_SETTABLE: Final = {
    "fuel_price_eur_per_mwh": "fuel_eur_per_mwh",
    "heat_rate_mwh_per_mwh": "heat_rate_mwh_per_mwh",
    "start_cost_eur_per_mw": "start_eur_per_mw",
    "minimum_load_share": "min_load_share",
}


def keeps_running(generator: Generator) -> bool:
    """Whether a generator is kept at its least load at the least, since it starts so slowly."""
    return generator.driver != "weather" and generator.start_min >= KEEPS_RUNNING_MIN


__all__ = ["OwnGenerator", "keeps_running"]
