"""The signals a site sees: prices, weather, renewable output, carbon and heat demand.

`Signals` is nine `Series` of equal length over one market calendar. Two doors make it:
`synthetic_signals` (our generators, in `gigafactory.grid.synthetic`) and `real_signals` (files, in
`gigafactory.grid.real`); both say for each series where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gigafactory.grid.series import Series, SourceRow

#: Name and unit of every signal, in the order of the fields of `Signals`.
UNITS: dict[str, str] = {
    "price": "EUR/MWh",
    "imbalance": "EUR/MWh",
    "temperature": "degC",
    "humidity": "% RH",
    "wind_offshore": "capacity factor",
    "wind_onshore": "capacity factor",
    "solar": "capacity factor",
    "carbon": "kg/MWh",
    "heat_demand": "fraction of yearly peak",
}


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What the outside world does in every market period, each series with its provenance.

    Attributes:
        price: day-ahead price, EUR/MWh.
        imbalance: imbalance price, one price for both directions, EUR/MWh.
        temperature: dry-bulb air temperature, °C.
        humidity: relative humidity, %.
        wind_offshore: capacity factor of offshore wind, 0..1.
        wind_onshore: capacity factor of onshore wind, 0..1.
        solar: capacity factor of photovoltaics, 0..1.
        carbon: location-based carbon intensity of the grid mix, kg CO2 per MWh.
        heat_demand: demand of the heat network as a fraction 0..1 of its yearly peak.
    """

    price: Series
    imbalance: Series
    temperature: Series
    humidity: Series
    wind_offshore: Series
    wind_onshore: Series
    solar: Series
    carbon: Series
    heat_demand: Series

    def __post_init__(self) -> None:
        lengths = {series.name: len(series) for series in self}
        assert len(set(lengths.values())) == 1, f"signals of unequal length: {lengths}"
        for name, series in zip(UNITS, self, strict=True):
            assert series.name == name, f"{series.name} stands in the place of {name}"
            assert series.unit == UNITS[name], f"{name} in {series.unit}, not {UNITS[name]}"

    def __iter__(self) -> Iterator[Series]:
        return (getattr(self, name) for name in UNITS)

    def __len__(self) -> int:
        return len(self.price)

    @property
    def synthetic(self) -> bool:
        """Whether any series was made by our generators."""
        return any(series.state == "synthetic" for series in self)

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of every series, one row each, in field order."""
        return tuple(series.row() for series in self)
