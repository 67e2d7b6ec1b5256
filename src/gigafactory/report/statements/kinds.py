"""The eight kinds of statement: who each is for, what its summary says, and which parts it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from gigafactory.report.sections.carbon import carbon_section
from gigafactory.report.sections.flexibility import flexibility_section
from gigafactory.report.sections.flows import cost_section, energy_section, footprint_section
from gigafactory.report.sections.people import tenants_section
from gigafactory.report.sections.reserves import reserves_section
from gigafactory.report.sections.shares import shares_section
from gigafactory.report.sections.surroundings import surroundings_section
from gigafactory.report.sections.tell import Section, Teller
from gigafactory.report.sections.transport import transport_section
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.parts.chain import chain_part, chain_told
from gigafactory.report.statements.parts.emissions import circular_part, scopes_part
from gigafactory.report.statements.parts.frameworks import (
    framework_part,
    tornado_of_axes,
    way_to_seal,
)
from gigafactory.report.statements.parts.ledger import (
    cash_part,
    equivalences_part,
    national_told,
)
from gigafactory.report.statements.parts.reporting import (
    access_time_part,
    eed_told,
    fields_part,
)
from gigafactory.report.statements.parts.told import (
    carbon_told,
    cost_told,
    energy_told,
    framework_told,
    grid_told,
    ledger_told,
    shares_told,
    together,
    what_ran,
)
from gigafactory.report.statements.parts.value import (
    promises_part,
    public_part,
    retained_part,
)
from gigafactory.report.statements.parts.years import (
    capital_part,
    scenarios_part,
    years_part,
    years_told,
)

#: Turns the subject into a chapter, or says what is lacking.
Part = Callable[[Desk], Section | Absent]
#: Adds sentences to a summary.
Told = Callable[[Desk], list[Markup]]

OPERATIONS: Final = "operations"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of statement.

    Attributes:
        told: what its summary says, in order.
        parts: its chapters, in order.
    """

    told: tuple[Told, ...]
    parts: tuple[Part, ...]


def _of_report(part: str, lacking: str, section: Callable[[Teller], Section | None]) -> Part:
    """A chapter of the report as a part of a statement; where it has none, so it says."""

    def told(desk: Desk) -> Section | Absent:
        return section(desk) or Absent(part, "run", lacking)

    return told


_ENERGY: Final = _of_report("energy", "energy", energy_section)
_CARBON: Final = _of_report("carbon", "carbon", carbon_section)
_GRID: Final = _of_report("grid", "transport", transport_section)
_COST: Final = _of_report("cost", "lcoc", cost_section)
_FLEXIBILITY: Final = _of_report("flexibility", "flexibility", flexibility_section)
_RESERVES: Final = _of_report("reserves", "reserves", reserves_section)
_FLOWS: Final = _of_report("water_and_heat", "water_m3", footprint_section)
_METERS: Final = _of_report("surroundings", "monitoring", surroundings_section)


def _shares(desk: Desk) -> Section | Absent:
    return shares_section(desk, public=True)


def _tenants(desk: Desk) -> Section | Absent:
    return tenants_section(desk, public=True)


KINDS: Final[Mapping[str, Kind]] = {
    OPERATIONS: Kind((), ()),
    "strategy": Kind(
        (what_ran, framework_told("axes", "cloud"), chain_told, shares_told, national_told),
        (
            framework_part("axes", then=tornado_of_axes),
            framework_part("recommendations"),
            framework_part("classes"),
            framework_part("cloud", brief=True, then=way_to_seal),
            chain_part,
            framework_part("registers"),
            _shares,
            _tenants,
            equivalences_part,
        ),
    ),
    "eed": Kind(
        (what_ran, eed_told, carbon_told),
        (
            fields_part,
            framework_part("eed", groups=("obligations",), scores=False),
            _ENERGY,
            _FLOWS,
        ),
    ),
    "tender": Kind(
        (what_ran, framework_told("tender", "cloud", "siting"), energy_told, grid_told),
        (
            framework_part("tender"),
            framework_part("cloud", then=way_to_seal),
            framework_part("controls", scores=False),
            framework_part("siting"),
            framework_part("classes"),
            _GRID,
            _CARBON,
            _FLEXIBILITY,
        ),
    ),
    "access": Kind(
        (what_ran, framework_told("access"), shares_told),
        (framework_part("access"), access_time_part, _shares, _tenants),
    ),
    "finance": Kind(
        (years_told, together(cost_told, ledger_told), grid_told),
        (
            years_part,
            capital_part,
            scenarios_part,
            retained_part,
            public_part,
            promises_part,
            _COST,
            cash_part,
            _FLEXIBILITY,
            _RESERVES,
        ),
    ),
    "sustainability": Kind(
        (energy_told, carbon_told, national_told),
        (scopes_part, _CARBON, _ENERGY, _FLOWS, circular_part, _METERS, equivalences_part),
    ),
    "board": Kind(
        (
            what_ran,
            framework_told("axes", "cloud"),
            chain_told,
            together(energy_told, grid_told),
            carbon_told,
            together(years_told, ledger_told),
        ),
        (
            framework_part("axes", brief=True),
            framework_part("cloud", brief=True, then=way_to_seal),
            chain_part,
            _ENERGY,
            _GRID,
            scopes_part,
            framework_part("registers", brief=True),
            years_part,
            _COST,
            cash_part,
        ),
    ),
}

__all__ = ["KINDS", "OPERATIONS", "Kind", "Part", "Told"]
