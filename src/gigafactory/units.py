"""Units: names, scales, and the door where text becomes a number.

Inside the house every quantity is a plain float (or an integer in the ledger) whose name ends in
its unit: ``power_mw``, ``energy_mwh``, ``price_eur_per_mwh``, ``water_m3``, ``co2_kg``. Text with a
unit (``"150 MW"``, ``"4 h"``) is accepted only at the door and parsed here, once.

Knows no factory, job or market. Imports nothing from the house.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

NS_PER_S: Final = 1_000_000_000
NS_PER_MIN: Final = 60 * NS_PER_S
NS_PER_H: Final = 3600 * NS_PER_S
NS_PER_DAY: Final = 24 * NS_PER_H
S_PER_H: Final = 3600
WH_PER_MWH: Final = 1_000_000
MICRO_EUR_PER_EUR: Final = 1_000_000
ML_PER_M3: Final = 1_000_000
MG_PER_KG: Final = 1_000_000

#: Every dimension the product reads, with the scale of each accepted unit to the canonical one
#: (the first listed, whose scale is 1). Names are the field's own.
SCALES: Final[Mapping[str, Mapping[str, float]]] = {
    "power_mw": {"MW": 1.0, "kW": 1e-3, "W": 1e-6, "GW": 1e3},
    "power_w": {"W": 1.0, "kW": 1e3, "MW": 1e6},
    "power_kw": {"kW": 1.0, "W": 1e-3, "MW": 1e3},
    "energy_mwh": {"MWh": 1.0, "kWh": 1e-3, "GWh": 1e3, "TWh": 1e6},
    "apparent_mva": {"MVA": 1.0, "kVA": 1e-3, "GVA": 1e3},
    "voltage_kv": {"kV": 1.0, "V": 1e-3},
    "duration_s": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "d": 86400.0, "y": 31_557_600.0},
    "duration_months": {"months": 1.0, "y": 12.0, "weeks": 84.0 / 365.25, "d": 12.0 / 365.25},
    "temperature_c": {"°C": 1.0, "degC": 1.0, "C": 1.0},
    "temperature_k": {"K": 1.0},
    "price_eur_per_mwh": {"EUR/MWh": 1.0, "EUR/kWh": 1e3, "ct/kWh": 10.0},
    "price_eur_per_mw": {"EUR/MW": 1.0, "EUR/kW": 1e3},
    "price_eur_per_kw": {"EUR/kW": 1.0, "EUR/MW": 1e-3},
    "price_eur_per_year": {"EUR/y": 1.0, "kEUR/y": 1e3},
    "price_eur_per_gpu_h": {"EUR/GPU-h": 1.0},
    "price_eur_per_m3": {"EUR/m3": 1.0, "EUR/m³": 1.0},
    "price_eur_per_t": {"EUR/t": 1.0},
    "price_eur_per_pb_month": {"EUR/PB-month": 1.0, "EUR/TB-month": 1e3},
    "price_eur_per_tb": {"EUR/TB": 1.0, "EUR/GB": 1e3, "EUR/PB": 1e-3},
    "rate_gbit_per_s": {"Gbit/s": 1.0, "Tbit/s": 1e3, "Mbit/s": 1e-3},
    "money_eur": {"EUR": 1.0, "kEUR": 1e3, "MEUR": 1e6, "GEUR": 1e9},
    "mass_kg": {"kg": 1.0, "g": 1e-3, "t": 1e3},
    "intensity_kg_per_mwh": {"kg/MWh": 1.0, "g/kWh": 1.0, "kg/kWh": 1e3},
    "volume_m3": {"m3": 1.0, "m³": 1.0, "L": 1e-3},
    "area_m2": {"m2": 1.0, "m²": 1.0, "ha": 1e4},
    "data_pb": {"PB": 1.0, "TB": 1e-3, "EB": 1e3},
    "memory_gb": {"GB": 1.0, "TB": 1e3},
    "fraction": {"%": 0.01},
}

_QUANTITY = re.compile(r"^\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d].*?)\s*$")


def parse(text: object, dimension: str) -> float:
    """Read a quantity with its unit, such as ``"150 MW"``, into the canonical unit of a dimension.

    Args:
        text: what stood in the file; anything but text with a unit is refused.
        dimension: a key of `SCALES`; its name ends in the canonical unit.

    Returns:
        The value in the canonical unit (the first unit of the dimension).

    Raises:
        ValueError: in plain words, with the units that would be right.
    """
    scales = SCALES[dimension]
    right = ", ".join(scales)
    if isinstance(text, bool) or not isinstance(text, str):
        raise ValueError(f'{text!r} has no unit; write for example "{text} {next(iter(scales))}"')
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number with a unit; known units here: {right}")
    number, unit = match.groups()
    if unit not in scales:
        raise ValueError(
            f"{text!r}: the unit {unit!r} does not fit here; known units here: {right}"
        )
    value = float(number.replace("_", "")) * scales[unit]
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def text(value: float, dimension: str) -> str:
    """Write a canonical value back as text with its first unit, so that `parse` returns it."""
    unit, scale = next(iter(SCALES[dimension].items()))
    return f"{value / scale!r} {unit}"


def mwh_from(power_mw: float, hours: float) -> float:
    """Energy in MWh of a constant power in MW held for a number of hours."""
    return power_mw * hours


def gpu_h_from_ns(accelerator_ns: int) -> float:
    """Accelerator-hours of an accelerator-nanosecond count."""
    return accelerator_ns / NS_PER_H
