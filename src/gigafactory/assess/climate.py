"""A run's emissions beside what the country may emit under its climate act.

National targets count what is emitted on national soil. Scopes 1 and 2 of a site are in them (the
grid's power stations are), location-based and market-based told together. Scope 3 arises mostly
abroad and is told beside, not held against a target it does not belong to.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from gigafactory.assess.footprint import Footprint, Span
from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import refuse
from gigafactory.plant.provenance import Cited, load_cited

_DATA: Final = Path(__file__).parent / "data" / "climate.yaml"
_KG_PER_MT: Final = 1e9
#: The country whose targets these are.
COUNTRY: Final = "NL"


@dataclass(frozen=True, slots=True)
class Beside:
    """Emissions of a run beside those the country may have in the same days.

    Attributes:
        year: the year whose allowance counts, that of the run's first day.
        allowed_kg: what the country may emit in as many days of that year.
        location_share: scopes 1 and 2, location-based, over that.
        market_share: scopes 1 and 2, market-based, over that.
        scope_3_kg: told beside; a range between methods.
    """

    year: int
    allowed_kg: float
    location_share: float
    market_share: float
    scope_3_kg: Span


@cache
def climate_figures() -> dict[str, Cited]:
    """The figures of `data/climate.yaml` by name.

    Raises:
        BadInput: with everything wrong with the file.
    """
    return load_cited(_DATA)


def allowed_kg_per_year(year: int) -> float:
    """What the country may emit in a year on straight lines through its targets, kg CO2e.

    Before the latest year known it is that year's emissions, after 2050 nothing. The lines between
    are ours: the act sets 2030 and 2050, not the years between.
    """
    of = {name: factor.value for name, factor in climate_figures().items()}
    points = (
        (of["known_year"], of["known_cut"]),
        (2030.0, of["target_cut_2030"]),
        (2050.0, of["target_cut_2050"]),
    )
    cut = points[0][1] if year < points[0][0] else points[-1][1]
    for (first, low), (last, high) in pairwise(points):
        if first <= year <= last:
            cut = low + (high - low) * (year - first) / (last - first)
    return of["base_mt"] * (1.0 - cut) * _KG_PER_MT


def beside_targets(subject: Subject, found: Footprint) -> Beside | None:
    """A run's footprint beside the country's allowance; None where no site stands in it.

    Args:
        subject: with a run.
        found: its footprint, all sites together.

    Raises:
        BadInput: there is no run, or the country may emit nothing in its year.
    """
    if not any(site.place.country == COUNTRY for site in subject.factory.sites.values()):
        return None
    run = subject.needed_run("a footprint")
    first = dt.date.fromisoformat(str(subject.summary["start"]))
    allowed = allowed_kg_per_year(first.year) * float(subject.summary["days_done"]) / 365.0
    if allowed <= 0.0:
        raise refuse(str(run), "start", first, "from 2050 on the country may emit nothing")
    own = found.stack_kg
    return Beside(
        year=first.year,
        allowed_kg=allowed,
        location_share=(own + found.location_kg) / allowed,
        market_share=(own + found.market_kg) / allowed,
        scope_3_kg=found.capital_kg.plus(found.chain_kg),
    )


__all__ = ["COUNTRY", "Beside", "allowed_kg_per_year", "beside_targets", "climate_figures"]
