"""The plant: what exists, and its physics.

Knows chips and their watts, power-against-speed curves, electrical losses, cooling and its water,
waste heat, the battery, what breaks and for how long, voltage dips and swings of training, the
layers every asset belongs to, and the ports through which a real plant is metered and steered. Pure
functions over arrays with one value per market period (swings: per tenth of a second); no files
except its own data, no clock, and chance only for failures and swings, from a named stream.
waste heat, the battery, own generation, days without the grid and the way back, what sensors
measured, what breaks and for how long, the layers every asset belongs to, and the ports through
which a real plant is metered and steered. Pure functions over arrays with one value per market
period; no files except its own data, no clock, and chance only where failures are drawn, from a
named stream.

Does not know jobs, prices, the grid connection, quotas or money made: those are other rooms
(``jobs``, ``grid``, ``policy``, ``finance``), and it never imports them. It imports only ``units``
and ``engine``. Any room above it may import it (``policy``, ``factory``, ``planner``, ``adapters``,
``finance``, ``runtime``, ``report``).

Formulas, sources and ranges of validity stand in each docstring and in the documentation pages on
power curves, on cooling and heat, on islanding and on failures. Single steps are in
`gigafactory.plant.battery` and `gigafactory.plant.generation`; a series with gaps is in
`gigafactory.plant.monitoring`.
"""

from gigafactory.plant.assets import Asset, Layer
from gigafactory.plant.battery import Battery
from gigafactory.plant.catalogue import CLASS_LABELS, Chip, h100_equivalents, load_catalogue
from gigafactory.plant.cooling import CoolingYear, WaterCap, cooling_year
from gigafactory.plant.failures import (
    Faults,
    Hazard,
    Hazards,
    checkpoint_interval_s,
    draw_faults,
    expected_ettr,
    hazards_for,
    mtbf_h,
)
from gigafactory.plant.generation import Fleet, Generator, available_mw
from gigafactory.plant.heat import HeatNetwork, deliver
from gigafactory.plant.island import (
    Island,
    Load,
    Outage,
    Plan,
    fuel_needed_mwh,
    outlast,
    plan_shedding,
)
from gigafactory.plant.monitoring import Monitored, exceedance
from gigafactory.plant.ports import Actuator, Meter
from gigafactory.plant.power import PowerCurve, curve_for, fabric_w, it_power_mw
from gigafactory.plant.provenance import Source
from gigafactory.plant.restoration import Restart, restart
from gigafactory.plant.ridethrough import Dip, Ride, RideRules, away, ride
from gigafactory.plant.swings import Smoother, SwingShape, smooth, swings
from gigafactory.plant.thermal import (
    CoolingDesign,
    Electrical,
    Overhead,
    overhead,
    site_factor,
    typical,
    wet_bulb_c,
)

__all__ = [
    "CLASS_LABELS",
    "Actuator",
    "Asset",
    "Battery",
    "Chip",
    "CoolingDesign",
    "CoolingYear",
    "Dip",
    "Electrical",
    "Faults",
    "Fleet",
    "Generator",
    "Hazard",
    "Hazards",
    "HeatNetwork",
    "Island",
    "Layer",
    "Load",
    "Meter",
    "Monitored",
    "Outage",
    "Overhead",
    "Plan",
    "PowerCurve",
    "Restart",
    "Ride",
    "RideRules",
    "Smoother",
    "Source",
    "SwingShape",
    "WaterCap",
    "available_mw",
    "away",
    "checkpoint_interval_s",
    "cooling_year",
    "curve_for",
    "deliver",
    "draw_faults",
    "exceedance",
    "expected_ettr",
    "fabric_w",
    "fuel_needed_mwh",
    "h100_equivalents",
    "hazards_for",
    "it_power_mw",
    "load_catalogue",
    "mtbf_h",
    "outlast",
    "overhead",
    "plan_shedding",
    "restart",
    "ride",
    "site_factor",
    "smooth",
    "swings",
    "typical",
    "wet_bulb_c",
]
