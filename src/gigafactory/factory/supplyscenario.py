"""A cut-off as a scenario that a run can take: the same events anybody may write by hand.

What wears down for want of parts becomes `no_spares`, from the day the spares are gone; what is
still to be delivered becomes `deliveries_stopped`; what stands still becomes less IT power of a
hall (`power`), month by month.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from gigafactory.engine.errors import refuse
from gigafactory.factory.models import Factory, Pool
from gigafactory.factory.scenario import Scenario
from gigafactory.factory.supplybase import slug
from gigafactory.factory.supplygraph import SupplyPicture
from gigafactory.plant import Chip, load_catalogue
from gigafactory.supply import Edge, Effect, Stop

_DAYS_PER_MONTH: Final = 365.25 / 12.0
_FULL: Final = 1.0 - 1e-9
_DIGITS: Final = 6


def cut_scenario(
    factory: Factory,
    picture: SupplyPicture,
    stop: Stop,
    start: dt.date,
    *,
    base: str | None = None,
    catalogue: Mapping[str, Chip] | None = None,
) -> Scenario:
    """The scenario of a cut-off.

    Args:
        factory: the factory.
        picture: its supply graph.
        stop: what stops, as `what_stops` of that graph found it.
        start: local day of the cut; it may lie before the run, which then begins amid it.
        base: the factory's bundled name or path, to write into the scenario.
        catalogue: accelerators; the bundled catalogue when left out.

    Raises:
        BadInput: nothing that a run can show stops.
    """
    chips = load_catalogue() if catalogue is None else catalogue
    events = [
        *_worn(factory, picture, stop, start, chips),
        *_undelivered(factory, stop, start, chips),
        *_still(factory, picture, stop, start),
    ]
    if not events:
        why = "stops no accelerator within the months looked at, so a run would show nothing"
        raise refuse("--scenario", "", stop.cut.name, why)
    return Scenario.model_validate(
        {
            "name": f"cut-{slug(stop.cut.name.replace('=', ' '))}",
            "title": {"en": f"Cut off: {stop.cut.name}", "nl": f"Afgesneden: {stop.cut.name}"},
            "explanation": _explained(stop, start),
            **({} if base is None else {"base": base}),
            "events": events,
            "sources": {
                "*": "Supply graph of the factory, 2026, assumption: follows from its stocks, "
                "spares and substitutes"
            },
        }
    )


def _explained(stop: Stop, start: dt.date) -> dict[str, str]:
    month = min(12, stop.months)
    lost = 100 * stop.share_lost(month)
    hit = len(stop.tenants_hit(month, 0.05))
    return {
        "en": (
            f"From {start} nothing comes of {stop.cut.name}. After {month} months the graph says "
            f"that {lost:.1f} % of the H100-equivalents are lost and {hit} tenants have lost more "
            "than a twentieth of what they can run on."
        ),
        "nl": (
            f"Vanaf {start} komt er niets meer van {stop.cut.name}. Na {month} maanden is volgens "
            f"de toeleveringsgraaf {lost:.1f} % van de H100-equivalenten verloren en zijn {hit} "
            "huurders meer dan een twintigste kwijt van waar zij op kunnen draaien."
        ),
    }


def _day(start: dt.date, months: float) -> str:
    return (start + dt.timedelta(days=round(months * _DAYS_PER_MONTH))).isoformat()


def _worn(
    factory: Factory,
    picture: SupplyPicture,
    stop: Stop,
    start: dt.date,
    chips: Mapping[str, Chip],
) -> list[dict[str, Any]]:
    """One `no_spares` per vendor whose accelerators wear down, from the first pool's on."""
    found: dict[str, dict[str, Any]] = {}
    for pool in sorted(factory.fleet, key=lambda p: _spares_end(stop, p)):
        name = f"pool-{pool.name}"
        levels, vendor = stop.repairs[name], chips[pool.chip].vendor
        edge = _part(picture, name)
        if min(levels) >= _FULL or edge is None or not edge.failures_per_year or vendor in found:
            continue
        event: dict[str, Any] = {
            "kind": "no_spares",
            "vendor": vendor,
            "from": _day(start, _spares_end(stop, pool)),
            "failures_per_year": f"{round(100 * edge.failures_per_year, _DIGITS):g} %",
        }
        worst = levels.index(min(levels))
        if levels[-1] >= _FULL:
            event["until"] = _day(start, worst + 1)
        found[vendor] = event
    return list(found.values())


def _part(picture: SupplyPicture, pool: str) -> Edge | None:
    edges = [e for e in picture.graph.needs.get(pool, ()) if e.effect is Effect.REPAIRS]
    return max(edges, key=lambda e: e.failures_per_year or 0.0, default=None)


def _spares_end(stop: Stop, pool: Pool) -> float:
    name = f"pool-{pool.name}"
    return min(
        (s.month for s in stop.steps if s.what == "spares_end" and s.node == name), default=0.0
    )


def _undelivered(
    factory: Factory, stop: Stop, start: dt.date, chips: Mapping[str, Chip]
) -> list[dict[str, Any]]:
    """One `deliveries_stopped` per vendor that still owes something."""
    found: dict[str, dict[str, Any]] = {}
    for pool in factory.fleet:
        parts, vendor = stop.parts[f"pool-{pool.name}"], chips[pool.chip].vendor
        owed = any(delivery.date > start for delivery in pool.deliveries)
        short = [month for month, level in enumerate(parts) if level < _FULL]
        if not owed or not short or vendor in found:
            continue
        event = {"kind": "deliveries_stopped", "vendor": vendor, "from": _day(start, short[0])}
        if short[-1] + 1 < stop.months:
            event["until"] = _day(start, short[-1] + 1)
        found[vendor] = event
    return list(found.values())


def _still(
    factory: Factory, picture: SupplyPicture, stop: Stop, start: dt.date
) -> list[dict[str, Any]]:
    """Less IT power for each hall whose pools do not run, in stretches of months.

    A hall may be built for more than stands in it: what is left is of what its pools draw.
    """
    events: list[dict[str, Any]] = []
    halls: dict[tuple[str, str], list[Pool]] = {}
    for pool in factory.fleet:
        halls.setdefault((pool.site, pool.hall), []).append(pool)
    for (site, hall), pools in halls.items():
        drawn_mw = sum(picture.graph.nodes[f"pool-{pool.name}"].power_mw for pool in pools)
        filled = min(1.0, drawn_mw / factory.sites[site].halls[hall].it_power_mw_max)
        levels = [stop.runs[f"pool-{pool.name}"] for pool in pools]
        whole = sum(pool.accelerators for pool in pools)
        left = [
            round(
                sum(p.accelerators * one[m] for p, one in zip(pools, levels, strict=True)) / whole,
                _DIGITS,
            )
            for m in range(stop.months)
        ]
        begun = 0
        for month in range(1, stop.months + 1):
            if month < stop.months and left[month] == left[begun]:
                continue
            if left[begun] < 1.0:
                event = {
                    "kind": "power",
                    "site": site,
                    "hall": hall,
                    "from": _day(start, begun),
                    "until": _day(start, month),
                    "factor": f"{round(100 * left[begun] * filled, _DIGITS):g} %",
                }
                events.append(event)
            begun = month
    return events


__all__ = ["cut_scenario"]
