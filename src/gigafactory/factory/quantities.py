"""The numbers a factory file may hold: each with its unit, its range and its text form.

A quantity with a unit stands in the file as text (``"150 MW"``) and becomes a plain float whose
attribute name ends in the canonical unit. A count or a ratio stands there as a bare number. Both
are read, bounded, written back and described in the JSON Schema by one marker, `Figure`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gigafactory import units


class Unreadable:
    """Stands for a value already found wrong, so that the other checks can still run around it.

    It is read as NaN, which no comparison finds too large or too small.
    """


UNREADABLE: Final = Unreadable()


@dataclass(frozen=True, slots=True)
class Figure:
    """Marks a numeric field: how it is read, bounded, written and described.

    Attributes:
        dimension: key of `gigafactory.units.SCALES`, or "" for a bare number.
        unit: the unit of the value inside, as shown to a reader ("" for a ratio).
        low, high: the smallest and largest value allowed, inclusive unless `above`.
        above: the value must lie strictly above `low`.
        whole: only whole numbers.
        scale: canonical unit of the dimension to the unit inside (1000 for s to ms).
    """

    dimension: str = ""
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    whole: bool = False
    scale: float = 1.0

    def read(self, value: object) -> float:
        """Turn what stood in the file into the number inside.

        Raises:
            PydanticCustomError: in plain words, with what would be right.
        """
        if isinstance(value, Unreadable):
            return math.nan
        number = self._quantity(value) if self.dimension else self._bare(value)
        if self.low > number or (self.above and number <= self.low):
            raise _wrong(f"must be {'above' if self.above else 'at least'} {self._shown(self.low)}")
        if number > self.high:
            raise _wrong(f"must be at most {self._shown(self.high)}")
        return number

    def _quantity(self, value: object) -> float:
        if self.dimension == "fraction" and isinstance(value, int | float) and not _is_bool(value):
            hint = f"{value * 100:g} %" if math.isfinite(value) else "90 %"
            raise _wrong(f'{value!r} has no unit; write for example "{hint}"')
        try:
            number = units.parse(value, self.dimension)
            # rounded, so that what is written back reads as the same number
            return number if self.scale == 1.0 else round(number * self.scale, 9)
        except ValueError as wrong:
            raise _wrong(str(wrong)) from None

    def _bare(self, value: object) -> float:
        kind = "a whole number" if self.whole else "a number"
        if _is_bool(value) or not isinstance(value, int | float):
            raise _wrong(f"must be {kind} without a unit")
        if not math.isfinite(value):
            raise _wrong(f"must be {kind}, not {value}")
        if self.whole and value != int(value):
            raise _wrong("must be a whole number")
        return int(value) if self.whole else float(value)

    def _shown(self, number: float) -> str:
        if self.dimension == "fraction":
            return f"{number * 100:g} %"
        return f"{number:g} {self.unit}".strip()

    def write(self, number: float) -> str | float:
        """Write the number back as it may stand in a file, so that `read` returns it."""
        if not self.dimension:
            return number
        if self.dimension == "fraction":
            return f"{_percent(number)} %"
        if self.scale != 1.0:
            return f"{number!r} {self.unit}"
        return units.text(number, self.dimension)

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Tell pydantic to read and write through this marker."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self.write),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the field: text with one of the known units, or a bounded number."""
        if self.dimension:
            known = "|".join(re.escape(name) for name in units.SCALES[self.dimension])
            return {
                "type": "string",
                "pattern": rf"^\s*[+-]?[0-9_.eE+-]+\s*({known})\s*$",
                "unit": self.unit,
            }
        described: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        if math.isfinite(self.low):
            described["exclusiveMinimum" if self.above else "minimum"] = self.low
        if math.isfinite(self.high):
            described["maximum"] = self.high
        if self.unit:
            described["unit"] = self.unit
        return described


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _wrong(why: str) -> PydanticCustomError:
    """An error pydantic collects; braces would be read as a template, so the words travel apart."""
    return PydanticCustomError("figure", "{why}", {"why": why})


def _percent(fraction: float) -> str:
    """The shortest percentage that reads back as exactly this fraction."""
    if not math.isfinite(fraction):
        return repr(fraction)
    near = fraction * 100.0
    for digits in range(17):
        short = f"{near:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{near:.0f}"
        if float(short) * 0.01 == fraction:
            return short
    lower = higher = near
    for _ in range(4):  # a percentage read from a file lies within a few steps of the product
        for candidate in (lower, higher):
            if candidate * 0.01 == fraction:
                return repr(candidate)
        lower, higher = math.nextafter(lower, -math.inf), math.nextafter(higher, math.inf)
    return repr(near)


Count = Annotated[int, Figure(low=0, whole=True)]
PositiveCount = Annotated[int, Figure(low=1, whole=True)]
Level = Annotated[int, Figure(low=0, high=7, whole=True)]
SealLevel = Annotated[int, Figure(low=0, high=4, whole=True)]
Ratio = Annotated[float, Figure(low=0)]
PositiveRatio = Annotated[float, Figure(low=0, above=True)]
PowerFactor = Annotated[float, Figure(low=0, high=1, above=True)]
Latitude = Annotated[float, Figure(low=-90, high=90, unit="degrees north")]
Longitude = Annotated[float, Figure(low=-180, high=180, unit="degrees east")]

Share = Annotated[float, Figure("fraction", "fraction", low=0.0, high=1.0)]
PositiveShare = Annotated[float, Figure("fraction", "fraction", low=0.0, high=1.0, above=True)]
AnyShare = Annotated[float, Figure("fraction", "fraction", low=0.0)]
SignedShare = Annotated[float, Figure("fraction", "fraction", low=-1.0)]

PowerMW = Annotated[float, Figure("power_mw", "MW", low=0.0)]
PositivePowerMW = Annotated[float, Figure("power_mw", "MW", low=0.0, above=True)]
PowerKW = Annotated[float, Figure("power_kw", "kW", low=0.0, above=True)]
PowerW = Annotated[float, Figure("power_w", "W", low=0.0)]
EnergyMWh = Annotated[float, Figure("energy_mwh", "MWh", low=0.0)]
PositiveEnergyMWh = Annotated[float, Figure("energy_mwh", "MWh", low=0.0, above=True)]
ApparentMVA = Annotated[float, Figure("apparent_mva", "MVA", low=0.0, above=True)]
VoltageKV = Annotated[float, Figure("voltage_kv", "kV", low=0.0, above=True)]
DurationS = Annotated[float, Figure("duration_s", "s", low=0.0)]
DurationMonths = Annotated[float, Figure("duration_months", "months", low=0.0)]
MassKg = Annotated[float, Figure("mass_kg", "kg", low=0.0)]
PositiveDurationS = Annotated[float, Figure("duration_s", "s", low=0.0, above=True)]
LatencyMs = Annotated[float, Figure("duration_s", "ms", low=0.0, above=True, scale=1000.0)]
TemperatureC = Annotated[float, Figure("temperature_c", "degC", low=-60.0, high=150.0)]
TemperatureK = Annotated[float, Figure("temperature_k", "K", low=0.0)]
TemperatureChangeK = Annotated[float, Figure("temperature_k", "K", low=-30.0, high=30.0)]
PriceEURPerMWh = Annotated[float, Figure("price_eur_per_mwh", "EUR/MWh")]
CostEURPerMWh = Annotated[float, Figure("price_eur_per_mwh", "EUR/MWh", low=0.0)]
CostEURPerMW = Annotated[float, Figure("price_eur_per_mw", "EUR/MW", low=0.0)]
CostEURPerKW = Annotated[float, Figure("price_eur_per_kw", "EUR/kW", low=0.0)]
CostEURPerYear = Annotated[float, Figure("price_eur_per_year", "EUR/y", low=0.0)]
CostEURPerGPUh = Annotated[float, Figure("price_eur_per_gpu_h", "EUR/GPU-h", low=0.0)]
CostEURPerPBMonth = Annotated[float, Figure("price_eur_per_pb_month", "EUR/PB-month", low=0.0)]
CostEURPerT = Annotated[float, Figure("price_eur_per_t", "EUR/t", low=0.0)]
CostEURPerTB = Annotated[float, Figure("price_eur_per_tb", "EUR/TB", low=0.0)]
RateGbitPerS = Annotated[float, Figure("rate_gbit_per_s", "Gbit/s", low=0.0, above=True)]
CostEURPerM3 = Annotated[float, Figure("price_eur_per_m3", "EUR/m3", low=0.0)]
MoneyEUR = Annotated[float, Figure("money_eur", "EUR", low=0.0)]
AreaM2 = Annotated[float, Figure("area_m2", "m2", low=0.0, above=True)]
VolumeM3 = Annotated[float, Figure("volume_m3", "m3", low=0.0)]
DataPB = Annotated[float, Figure("data_pb", "PB", low=0.0)]
ScalingExponent = Annotated[float, Figure(low=0, high=1, above=True)]
Score = Annotated[float, Figure(low=0, high=1)]
DistanceKm = Annotated[float, Figure(low=0, high=20_040, unit="km")]
WorkGPUh = Annotated[float, Figure(low=0, above=True, unit="GPU-h")]
LifeYears = Annotated[float, Figure(unit="years", low=0.5, high=100.0)]

# Ranges within which the physics of cooling and heat is valid (see the plant's thermal functions).
SupplyC = Annotated[float, Figure("temperature_c", "degC", low=5.0, high=60.0)]
NetworkC = Annotated[float, Figure("temperature_c", "degC", low=20.0, high=120.0)]
ApproachK = Annotated[float, Figure("temperature_k", "K", low=0.5, high=30.0)]
WaterRangeK = Annotated[float, Figure("temperature_k", "K", low=2.0, high=30.0)]
ChillerCop = Annotated[float, Figure(low=1.0, high=20.0)]
CopQuality = Annotated[float, Figure("fraction", "fraction", low=0.1, high=0.8)]
Cycles = Annotated[float, Figure(low=1.5, high=20.0)]
SmallShare = Annotated[float, Figure("fraction", "fraction", low=0.0, high=0.3)]
LossShare = Annotated[float, Figure("fraction", "fraction", low=0.0, high=0.2)]
DriftShare = Annotated[float, Figure("fraction", "fraction", low=0.0, high=0.01)]
UpsEfficiency = Annotated[float, Figure("fraction", "fraction", low=0.5, high=1.0)]
SurfaceC = Annotated[float, Figure("temperature_c", "degC", low=-2.0, high=35.0)]
PinchK = Annotated[float, Figure("temperature_k", "K", low=0.0, high=20.0)]
FlowM3PerS = Annotated[float, Figure(low=0, above=True, unit="m3/s")]
YearDay = Annotated[int, Figure(low=1, high=366, whole=True)]
