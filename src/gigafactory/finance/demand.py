"""Demand for computing until 2041, how far supply lags behind it, and what that does to a price.

Published points lie on exponential paths; three switches add what a shrinking workforce, robots
and inference on the machine would ask. Supply follows the plan except for projects that come late.
A gap moves the price by ``gap ** (1 / (supply elasticity + demand elasticity))``: the less either
side can answer, the more the price must.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import refuse
from gigafactory.finance.tables import Sourced, figures, known, read_table
from gigafactory.plant.provenance import Source, need_source

Floats = npt.NDArray[np.float64]

FILE: Final = "demand.yaml"
FIRST_YEAR: Final = 2023
LAST_YEAR: Final = 2041
_ANCHOR: Final = 2024
_TURN: Final = 2030
_HOURS: Final = 8760.0
_PER_10000: Final = 10_000.0
_KW_PER_GW: Final = 1e6


@dataclass(frozen=True, slots=True)
class Switches:
    """What is added to the published path.

    Attributes:
        labour: machines take over a part of the work of people who are no longer there.
        automation: industry gets as many robots as in the leading country.
        edge: what machines compute on themselves counts too.
    """

    labour: bool = False
    automation: bool = False
    edge: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """What an accelerator-hour cost on a day, and what kind of price it was."""

    date: dt.date
    usd_per_gpu_h: float
    what: str
    source: Source


@dataclass(frozen=True, slots=True)
class Demand:
    """The bundled figures of demand."""

    figures: dict[str, Sourced]
    history: tuple[Price, ...]

    def __getitem__(self, key: str) -> float:
        """The value of a figure by its key."""
        return known(self.figures, key)


def load_demand() -> Demand:
    """The bundled figures of demand.

    Raises:
        BadInput: the bundled file is damaged.
    """
    raw = read_table(FILE)
    history = tuple(
        Price(
            row["date"],
            float(row["usd_per_gpu_h"]),
            row["what"],
            need_source(FILE, f"history[{n}].source", row["source"]),
        )
        for n, row in enumerate(raw.pop("history"))
    )
    return Demand(figures(FILE, raw), history)


def robot_density(number: float, workers: int, demand: Demand | None = None) -> float:
    """A density of robots as robots per 10,000 workers, checked against what is possible.

    Args:
        number: robots.
        workers: per how many workers: 1,000 and 10,000 are confused in print.
        demand: the figures; the bundled ones without.

    Raises:
        BadInput: the density is beyond any country's, so that the unit must be wrong.
    """
    found = demand or load_demand()
    density = number * _PER_10000 / workers
    if not 0 <= density <= found["robots_most"]:
        why = (
            f"is {density:g} robots per 10,000 workers, beyond any country's; "
            "is it meant per 10,000?"
        )
        raise refuse(FILE, "robots", f"{number:g} per {workers:,}", why)
    return density


def world_twh(demand: Demand, year: int) -> float:
    """Electricity of the world's data centres by the published path, TWh a year."""
    rise = (demand["world_2030"] / demand["world_2024"]) ** (1.0 / (_TURN - _ANCHOR))
    if year <= _TURN:
        return float(demand["world_2024"] * rise ** (year - _ANCHOR))
    return float(demand["world_2030"] * (1.0 + demand["growth_after_2030"]) ** (year - _TURN))


def ai_gw(demand: Demand, year: int) -> float:
    """Power of AI by the bank's two figures, GW: its level of 2026, its rise from 2023 to 2030.

    NaN after 2030, where the figures end. The rise is that of all data centres.
    """
    if year > _TURN:
        return float("nan")
    rise = (1.0 + demand["rise_2023_2030"]) ** (1.0 / (_TURN - FIRST_YEAR))
    return float(demand["ai_2026"] * rise ** (year - 2026))


def machines(demand: Demand, year: int, switches: Switches) -> float:
    """Machines more than in 2026 that ask for inference."""
    found = 0.0
    passed = max(0, year - 2026)
    if switches.labour:
        until = min(year, int(demand["workers_lost_until"])) - 2026
        found += max(0, until) * demand["workers_lost"] * demand["filled_by_machines"]
    if switches.automation:
        now = robot_density(demand["robots_now"], 10_000, demand)
        then = robot_density(demand["robots_then"], 10_000, demand)
        share = min(1.0, passed / demand["horizon"])
        found += (then - now) / _PER_10000 * share * demand["industry_workers"]
    return found


def machines_gw(demand: Demand, year: int, switches: Switches) -> float:
    """Power that these machines' inference asks, GW: in data centres, and at the edge if asked."""
    counted = 1.0 if switches.edge else 1.0 - demand["at_the_edge"]
    asked = machines(demand, year, switches) * demand["robot_accelerators"]
    return asked * demand["accelerator_power"] * counted / _KW_PER_GW


def demand_twh(demand: Demand, switches: Switches | None = None) -> Floats:
    """Demand of each year from 2023 to 2041, TWh."""
    on = switches or Switches()
    return np.array(
        [
            world_twh(demand, year) + machines_gw(demand, year, on) * _HOURS / 1000.0
            for year in range(FIRST_YEAR, LAST_YEAR + 1)
        ]
    )


def supply_twh(demand: Demand) -> Floats:
    """What can be supplied: the published path, of which a part of each addition comes late."""
    path = np.array([world_twh(demand, year) for year in range(FIRST_YEAR, LAST_YEAR + 1)])
    added = np.diff(path, prepend=path[0])
    added[: _ANCHOR - FIRST_YEAR + 1] = 0.0  # what was used until 2024 had been supplied
    late = int(demand["delay"])
    delayed = np.zeros_like(added)
    delayed[late:] = added[: len(added) - late]
    coming = (1.0 - demand["at_risk"]) * added + demand["at_risk"] * delayed
    supply: Floats = path[_ANCHOR - FIRST_YEAR] + coming.cumsum()
    until = _ANCHOR - FIRST_YEAR + 1
    supply[:until] = path[:until]
    return supply


@dataclass(frozen=True, slots=True)
class DemandYear:
    """Demand and supply of a year.

    Attributes:
        year: calendar year.
        path_twh: by the published path.
        ai_gw: power of AI by the bank's figures.
        labour_gw, automation_gw: asked by machines in data centres, each switch by itself.
        edge_gw: asked by both on the machines themselves.
        supply_twh: what can be supplied.
        gap_ratio: demand over supply, all switches off.
        price_times: what that gap does to a price.
    """

    year: int
    path_twh: float
    ai_gw: float
    labour_gw: float
    automation_gw: float
    edge_gw: float
    supply_twh: float
    gap_ratio: float
    price_times: float


def demand_years(demand: Demand | None = None) -> list[DemandYear]:
    """Demand and supply of every year from 2023 to 2041."""
    found = demand or load_demand()
    path, supply = demand_twh(found), supply_twh(found)
    both = Switches(labour=True, automation=True)
    whole = Switches(labour=True, automation=True, edge=True)
    rows = []
    for n, year in enumerate(range(FIRST_YEAR, LAST_YEAR + 1)):
        gap = float(path[n] / supply[n])
        rows.append(
            DemandYear(
                year,
                float(path[n]),
                ai_gw(found, year),
                machines_gw(found, year, Switches(labour=True)),
                machines_gw(found, year, Switches(automation=True)),
                machines_gw(found, year, whole) - machines_gw(found, year, both),
                float(supply[n]),
                gap,
                float(price_factor(gap, found["supply_elasticity"], found["demand_elasticity"])),
            )
        )
    return rows


def price_factor(gap: float | Floats, supply_elasticity: float, demand_elasticity: float) -> Floats:
    """What a gap between demand and supply does to a price.

    Args:
        gap: demand over supply at the old price.
        supply_elasticity: answer of supply to a price; nought or more.
        demand_elasticity: answer of demand, as a positive number.

    Returns:
        The price at which both meet, over the old one.
    """
    answer = supply_elasticity + demand_elasticity
    assert answer > 0, "a price that nothing answers to has no level"
    factor: Floats = np.asarray(gap, dtype=np.float64) ** (1.0 / answer)
    return factor


def implied_gap(history: Sequence[Price], demand: Demand) -> list[tuple[dt.date, float]]:
    """How demand moved against supply between dated prices, read backwards from the price."""
    answer = demand["supply_elasticity"] + demand["demand_elasticity"]
    return [
        (after.date, (after.usd_per_gpu_h / before.usd_per_gpu_h) ** answer)
        for before, after in itertools.pairwise(history)
    ]


def rebound_ratio(gain_times: float, elasticity: float) -> float:
    """Energy after an efficiency gain over energy before it: ``g ** (e - 1)``.

    Args:
        gain_times: work per unit of energy after the gain over that before.
        elasticity: of demand for work, with the gain passed on in full.
    """
    return float(gain_times ** (elasticity - 1.0))


def rebound_share(gain_times: float, elasticity: float) -> float:
    """Share of the possible saving that demand takes back; above 1 energy rises."""
    saving = 1.0 - 1.0 / gain_times
    return 0.0 if saving == 0 else 1.0 - (1.0 - rebound_ratio(gain_times, elasticity)) / saving


__all__ = [
    "FIRST_YEAR",
    "LAST_YEAR",
    "Demand",
    "DemandYear",
    "Price",
    "Switches",
    "ai_gw",
    "demand_twh",
    "demand_years",
    "implied_gap",
    "load_demand",
    "machines",
    "machines_gw",
    "price_factor",
    "rebound_ratio",
    "rebound_share",
    "robot_density",
    "supply_twh",
    "world_twh",
]
