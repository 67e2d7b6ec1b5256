"""The plant: what exists, and its physics.

Knows chips and their watts, power-against-speed curves, electrical losses, cooling and its water,
waste heat, the battery, the layers every asset belongs to, and the ports through which a real plant
is metered and steered. Pure functions over arrays with one value per market period; no files except
its own data, no clock, no randomness.

Does not know jobs, prices, the grid connection, quotas or money made: those are other rooms
(``jobs``, ``grid``, ``policy``, ``finance``), and it never imports them. It imports only ``units``
and ``engine``. Any room above it may import it (``policy``, ``factory``, ``planner``, ``adapters``,
``finance``, ``runtime``, ``report``).

Formulas, sources and ranges of validity stand in each docstring and in the documentation pages on
power curves and on cooling and heat. The battery's steps are in `gigafactory.plant.battery`.
"""

from gigafactory.plant.assets import Asset, Layer
from gigafactory.plant.battery import Battery
from gigafactory.plant.catalogue import CLASS_LABELS, Chip, h100_equivalents, load_catalogue
from gigafactory.plant.heat import HeatNetwork, deliver
from gigafactory.plant.ports import Actuator, Meter
from gigafactory.plant.power import PowerCurve, curve_for, fabric_w, it_power_mw
from gigafactory.plant.provenance import Source
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
    "Electrical",
    "HeatNetwork",
    "Layer",
    "Meter",
    "Overhead",
    "PowerCurve",
    "Source",
    "curve_for",
    "deliver",
    "fabric_w",
    "h100_equivalents",
    "it_power_mw",
    "load_catalogue",
    "overhead",
    "site_factor",
    "typical",
    "wet_bulb_c",
]
