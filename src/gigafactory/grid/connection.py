"""The grid connection: what may flow, when, and what it does to the nets below.

Import from the grid is positive at the connection. Apparent power is what cables and transformers
carry; real power is what is bought, and the power factor stands between them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.grid.calendar import MarketCalendar

#: In the Netherlands grids from 110 kV up are high voltage and TenneT's; below they are regional.
HIGH_VOLTAGE_KV = 110.0


@dataclass(frozen=True, slots=True)
class Phase:
    """From a local date on, another firm import right.

    Attributes:
        start: first local day.
        firm_mw: firm import right from then on, MW.
    """

    start: dt.date
    firm_mw: float


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection at one point of the grid.

    Attributes:
        voltage_kv: voltage level, kV.
        capacity_mva: contracted apparent power, MVA.
        power_factor: real over apparent power, 0..1.
        circuits: number of circuits.
        circuit_capacity_mva: apparent power one circuit carries, MVA.
        firm_mw: firm import right before the first phase, MW.
        export_mw: export right, MW.
        n_minus_1: whether import stays within what is left when one of several circuits fails.
        energised: first local day with power; None means before any run.
        phases: dated firm rights, ascending.
        mv_lv_impact_mw: load on the medium and low voltage nets around, MW.
        mv_lv_assumption: what that figure assumes.
    """

    voltage_kv: float
    capacity_mva: float
    power_factor: float
    circuits: int
    circuit_capacity_mva: float
    firm_mw: float
    export_mw: float = 0.0
    n_minus_1: bool = True
    energised: dt.date | None = None
    phases: tuple[Phase, ...] = ()
    mv_lv_impact_mw: float = 0.0
    mv_lv_assumption: str = "construction power and staff supply are left out"

    def __post_init__(self) -> None:
        problems = list(_faults(self))
        if problems:
            raise BadInput(problems)

    @property
    def capacity_mw(self) -> float:
        """Real power the contract and the intact circuits can carry, MW."""
        return self._real_mw(self.circuits)

    @property
    def secure_mw(self) -> float:
        """Real power that remains when one circuit fails, MW; 0 with a single circuit."""
        return self._real_mw(self.circuits - 1)

    @property
    def usable_mw(self) -> float:
        """Real power that may be planned with, MW.

        With N-1 what remains after a failure. A single circuit has nothing to fall back on: it may
        be used in full, and is gone in full when it fails.
        """
        return self.secure_mw if self.n_minus_1 and self.circuits > 1 else self.capacity_mw

    def _real_mw(self, circuits: int) -> float:
        return min(self.capacity_mva, circuits * self.circuit_capacity_mva) * self.power_factor

    def limit_mw(self, calendar: MarketCalendar) -> npt.NDArray[np.float64]:
        """Import limit in force in each market period, MW, shape [P].

        The firm right of the phase in force, never above `usable_mw`; 0 before energisation. Dates
        are local days of the calendar's zone.
        """
        limit: npt.NDArray[np.float64] = np.full(calendar.periods, float(self.firm_mw))
        for phase in self.phases:
            limit[calendar.since(phase.start)] = phase.firm_mw
        np.minimum(limit, self.usable_mw, out=limit)
        if self.energised is not None:
            limit[~calendar.since(self.energised)] = 0.0
        return limit

    def export_limit_mw(self, calendar: MarketCalendar) -> npt.NDArray[np.float64]:
        """Export limit in force in each market period, MW (positive), shape [P]."""
        limit = np.full(calendar.periods, min(self.export_mw, self.usable_mw))
        if self.energised is not None:
            limit[~calendar.since(self.energised)] = 0.0
        return limit

    def impact(self) -> str:
        """What the connection does to medium and low voltage nets, in words, with the assumption.

        A high voltage connection bypasses them; whatever load they still carry for the site is
        stated, and so is what was assumed.
        """
        if self.voltage_kv >= HIGH_VOLTAGE_KV:
            where = f"connected at {self.voltage_kv:g} kV, above the medium and low voltage nets"
        else:
            where = f"connected at {self.voltage_kv:g} kV, in the regional net itself"
        load = f"{self.mv_lv_impact_mw:g} MW" if self.mv_lv_impact_mw else "no load"
        return f"{where}: {load} on them (assumption: {self.mv_lv_assumption})"


def _faults(line: Connection) -> Sequence[Problem]:
    problems: list[Problem] = []

    def wrong(field: str, value: object, why: str) -> None:
        problems.append(Problem("connection", field, str(value), why))

    for field in ("voltage_kv", "capacity_mva", "circuit_capacity_mva"):
        value: float = getattr(line, field)
        if not (np.isfinite(value) and value > 0):
            wrong(field, value, "must be above 0")
    if not 0.0 < line.power_factor <= 1.0:
        wrong("power_factor", line.power_factor, "must lie above 0 and up to 1")
    if line.circuits < 1:
        wrong("circuits", line.circuits, "a connection has at least one circuit")
    rights = [("firm_mw", line.firm_mw), ("export_mw", line.export_mw)]
    rights += [("mv_lv_impact_mw", line.mv_lv_impact_mw)]
    rights += [(f"phases.{k}.firm_mw", phase.firm_mw) for k, phase in enumerate(line.phases)]
    for field, value in rights:
        if not (np.isfinite(value) and value >= 0):
            wrong(field, value, "must be 0 or more")
    for k, (one, after) in enumerate(pairwise(line.phases), start=1):
        if after.start <= one.start:
            wrong(f"phases.{k}.start", after.start, f"must come after {one.start}")
    return problems
