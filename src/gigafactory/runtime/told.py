"""What a run was made of, for those who sum it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gigafactory.factory.models import Factory
from gigafactory.grid import MarketCalendar, Signals
from gigafactory.grid.series import SourceRow
from gigafactory.jobs import JobTable
from gigafactory.plant import Chip


@dataclass(frozen=True, slots=True)
class Told:
    """What a run was made of, for its summary.

    Attributes:
        seed: of every random stream.
        calendar: market periods.
        factory: the factory, changes in it.
        catalogue: accelerators.
        signals: prices and weather.
        table: what was asked.
        notes: what a reader must know of the inputs.
        reserves: where the prices and calls of balancing reserves come from; none without them.
    """

    seed: int
    calendar: MarketCalendar
    factory: Factory
    catalogue: Mapping[str, Chip]
    signals: Signals
    table: JobTable
    notes: tuple[str, ...]
    reserves: tuple[SourceRow, ...] = ()
