"""AI factory, gigafactory, tender lot: dated definitions, decided in H100-equivalents.

An H100-equivalent compares peaks on paper (see the accelerator catalogue); whether the tender means
the same rule is not confirmed. Megawatts never follow from it, so a lot's IT load is asked apart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

from gigafactory.factory.models import Factory
from gigafactory.factory.reading import read_text
from gigafactory.plant import Chip, h100_equivalents, load_catalogue

FactoryClass = Literal["ai_factory", "between", "ai_gigafactory"]


@dataclass(frozen=True, slots=True)
class LotVerdict:
    """Whether a factory reaches the size a tender lot asks.

    Attributes:
        lot: number of the lot.
        phase_1, phase_2: enough H100-equivalents for the phase.
        it_load: enough IT load when fully operational; None when it was not given.
        asked_phase_1_h100_equivalents, asked_phase_2_h100_equivalents: size the phases ask.
        asked_it_load_mw: IT load the lot asks, MW.
        source, year, state: where the thresholds come from.
    """

    lot: int
    phase_1: bool
    phase_2: bool
    it_load: bool | None
    asked_phase_1_h100_equivalents: float
    asked_phase_2_h100_equivalents: float
    asked_it_load_mw: float
    source: str
    year: int
    state: str


@dataclass(frozen=True, slots=True)
class ClassBounds:
    """The sizes at which classes end and begin, as defined on a day.

    Attributes:
        ai_factory_below_h100_equivalent: below it is an AI factory.
        ai_gigafactory_from_h100_equivalent: from it on it is an AI gigafactory.
        source: who says so, year and state.
    """

    ai_factory_below_h100_equivalent: float
    ai_gigafactory_from_h100_equivalent: float
    source: str


def class_bounds(on: dt.date | None = None) -> ClassBounds:
    """The definition in force on a day; the newest when left out."""
    rule = _in_force("classes", on)[-1]
    return ClassBounds(
        ai_factory_below_h100_equivalent=float(rule["ai_factory_below"]),
        ai_gigafactory_from_h100_equivalent=float(rule["ai_gigafactory_from"]),
        source=f"{rule['source']}, {rule['year']}, {rule['state']}",
    )


def classify(h100_equivalents: float, on: dt.date | None = None) -> FactoryClass:
    """The class of a factory of a size.

    Args:
        h100_equivalents: its size.
        on: the day whose definition counts; the newest when left out.
    """
    rule = _in_force("classes", on)[-1]
    if h100_equivalents < rule["ai_factory_below"]:
        return "ai_factory"
    return "ai_gigafactory" if h100_equivalents >= rule["ai_gigafactory_from"] else "between"


def tender_lots(
    h100_equivalents: float, it_load_mw: float | None = None, on: dt.date | None = None
) -> tuple[LotVerdict, ...]:
    """How a factory stands to each lot of the gigafactory tender, apart from its class.

    Args:
        h100_equivalents: its size.
        it_load_mw: its IT load when fully operational, where known.
        on: the day whose tender counts; the newest when left out. Before the tender opened there
            are no lots.
    """
    return tuple(
        LotVerdict(
            lot=rule["lot"],
            phase_1=h100_equivalents >= rule["h100_equivalents"]["phase_1"],
            phase_2=h100_equivalents >= rule["h100_equivalents"]["phase_2"],
            it_load=None if it_load_mw is None else it_load_mw >= rule["it_load_mw"],
            asked_phase_1_h100_equivalents=rule["h100_equivalents"]["phase_1"],
            asked_phase_2_h100_equivalents=rule["h100_equivalents"]["phase_2"],
            asked_it_load_mw=rule["it_load_mw"],
            source=rule["source"],
            year=rule["year"],
            state=rule["state"],
        )
        for rule in _in_force("lots", on)
    )


def fleet_h100_equivalents(factory: Factory, catalogue: Mapping[str, Chip] | None = None) -> float:
    """Size of a factory's complete fleet in H100-equivalents."""
    counts: dict[str, float] = {}
    for pool in factory.fleet:
        counts[pool.chip] = counts.get(pool.chip, 0.0) + pool.accelerators
    return h100_equivalents(counts, catalogue)


def fleet_rated_mw(factory: Factory, catalogue: Mapping[str, Chip] | None = None) -> float:
    """Rated IT power of a factory's complete fleet, MW: nodes at their name-plate, and the fabric.

    What cables and halls are sized for; work draws less. Chip by chip, since no one figure turns
    H100-equivalents into megawatts.
    """
    chips = load_catalogue() if catalogue is None else catalogue
    watts = sum(
        pool.accelerators
        * (chips[pool.chip].peak_w + factory.sites[pool.site].network.watt_per_accelerator_w)
        for pool in factory.fleet
    )
    return watts / 1e6


def installed_storage_pb(factory: Factory) -> float:
    """Raw storage of all sites, PB."""
    return sum(site.storage_pb for site in factory.sites.values())


def _in_force(table: str, on: dt.date | None) -> list[dict[str, Any]]:
    rules = [rule for rule in _rules()[table] if on is None or rule["valid_from"] <= on]
    if table == "lots" or rules:
        return rules
    return [_rules()[table][0]]  # before the first definition the first one is the best there is


@lru_cache(maxsize=1)
def _rules() -> dict[str, Any]:
    file = resources.files("gigafactory.factory").joinpath("data", "classes.yaml")
    document = read_text(file.read_text(encoding="utf-8"), "classes.yaml")
    assert not document.problems, document.problems
    return document.data
