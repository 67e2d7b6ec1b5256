"""The checks between settings: what one model alone cannot see.

Each check looks at a built factory and yields what is wrong: the path, the value, and why with what
would be right. Values already found wrong arrive as NaN or as placeholders (`validating`); no
comparison with NaN is true, and what points at a placeholder is left out, so nobody is told the
same thing twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final, get_args
from zoneinfo import ZoneInfo

from gigafactory.engine.errors import Problem
from gigafactory.factory.accesschecks import ACCESS_CHECKS, STRICT_ACCESS_CHECKS
from gigafactory.factory.blocks import JobClassLabel
from gigafactory.factory.contracts import Pool, Ppa
from gigafactory.factory.demand import Tenant
from gigafactory.factory.finding import SLACK, Found, View
from gigafactory.factory.generatorchecks import check_generators
from gigafactory.factory.models import Factory
from gigafactory.factory.provenance import (
    STATES,
    read_citation,
    source_of,
    sourced_blocks,
)
from gigafactory.factory.reading import Document, Path_, nearest
from gigafactory.factory.reserves import wrong_with
from gigafactory.factory.shape import leaves, settings
from gigafactory.factory.transportchecks import check_transport
from gigafactory.plant import Chip

#: Largest rack each kind of cooling can be relied on for, kW. Air: industry overviews put optimised
#: air cooling with containment at 20 to 40 kW (Coolnet, 2025, published). Liquid and immersion: our
#: assumption, 2026, above the announced 120 to 250 kW racks, there to catch a slip of the pen.
RACK_KW_MAX: Final[Mapping[str, float]] = {"air": 40.0, "liquid": 600.0, "immersion": 400.0}

CLASSES: Final[tuple[str, ...]] = get_args(JobClassLabel)


def check_built(
    factory: Factory,
    document: Document,
    chips: Mapping[str, Chip],
    guessed: frozenset[Path_] = frozenset(),
    *,
    strict: bool = False,
) -> list[Problem]:
    """Run every check between settings.

    Args:
        factory: the built factory.
        document: the file, for lines.
        chips: the accelerators known.
        guessed: paths that hold placeholders; what is found there is not told.
        strict: also insist that every figure the file gives has a source, and that the records
            and the evidence that access asks for are there.
    """
    view = View(factory, chips)
    every = (*CHECKS, *STRICT_ACCESS_CHECKS, _unsourced) if strict else CHECKS
    return [
        document.problem(found.path, found.value, found.why)
        for check in every
        for found in check(view)
        if not any(_rests_on(path, guessed) for path in (found.path, *found.rests))
    ]


def _rests_on(path: Path_, guessed: frozenset[Path_]) -> bool:
    return any(path[:length] in guessed for length in range(1, len(path) + 1))


def _not_empty(view: View) -> Iterator[Found]:
    factory = view.factory
    for key, part in (
        ("sites", factory.sites),
        ("fleet", factory.fleet),
        ("tenants", factory.tenants),
    ):
        if not part:
            yield Found((key,), None, "must hold at least one entry")
    for name, site in factory.sites.items():
        if not site.halls:
            yield Found(("sites", name, "halls"), None, "must hold at least one hall")


def _unique(view: View) -> Iterator[Found]:
    factory = view.factory
    groups: list[tuple[Path_, list[str]]] = [
        (("fleet",), [pool.name for pool in factory.fleet]),
        (("energy", "batteries"), [one.name for one in factory.energy.batteries]),
        (("tenants",), [tenant.name for tenant in factory.tenants]),
    ]
    answers = [one.site for one in factory.energy.response]
    for at, site in enumerate(answers):
        if site in answers[:at]:
            why = "has such a block above already; give one per site"
            yield Found(("energy", "response", at, "site"), site, why)
    groups += [
        (("sites", name, "assets"), [asset.name for asset in site.assets])
        for name, site in factory.sites.items()
    ]
    for path, names in groups:
        for at, name in enumerate(names):
            if name in names[:at]:
                yield Found((*path, at, "name"), name, "is the name of an earlier one; use another")
    seen: dict[str, str] = {}
    for at, tenant in enumerate(factory.tenants):
        for of, service in enumerate(tenant.services):
            path = ("tenants", at, "services", of, "name")
            if service.name in seen:
                why = f"is already a service of {seen[service.name]}; use another name"
                yield Found(path, service.name, why)
            seen.setdefault(service.name, tenant.name)


def _references(view: View) -> Iterator[Found]:
    factory, sites = view.factory, view.factory.sites
    for at, pool in enumerate(factory.fleet):
        if pool.site not in sites:
            why = f"no such site; {nearest(pool.site, sites)}"
            yield Found(("fleet", at, "site"), pool.site, why, (("sites", pool.site),))
        elif pool.hall not in sites[pool.site].halls:
            why = f"no such hall at {pool.site}; {nearest(pool.hall, sites[pool.site].halls)}"
            rests = (("sites", pool.site, "halls", pool.hall),)
            yield Found(("fleet", at, "hall"), pool.hall, why, rests)
        if pool.chip not in view.chips:
            why = f"is not in the accelerator catalogue; {nearest(pool.chip, view.chips)}"
            yield Found(("fleet", at, "chip"), pool.chip, why)
    for at, tenant in enumerate(factory.tenants):
        for of, work in enumerate(tenant.work):
            if work.data_site is not None and work.data_site not in sites:
                why = f"no such site; {nearest(work.data_site, sites)}"
                path = ("tenants", at, "work", of, "data_site")
                yield Found(path, work.data_site, why, (("sites", work.data_site),))
    placed = [(("batteries", at), one.site) for at, one in enumerate(factory.energy.batteries)]
    placed += [(("response", at), one.site) for at, one in enumerate(factory.energy.response)]
    placed += [(("ppas", at), one.site) for at, one in enumerate(factory.energy.ppas)]
    for place, name in placed:
        if name not in sites:
            why = f"no such site; {nearest(name, sites)}"
            yield Found(("energy", *place, "site"), name, why, (("sites", name),))
    for name in factory.finance.capex.chip_price_eur:
        if name not in view.chips:
            why = f"is not in the accelerator catalogue; {nearest(name, view.chips)}"
            yield Found(("finance", "capex", "chip_price", name), name, why)
    yield from _fleet_references(view)


def _fleet_references(view: View) -> Iterator[Found]:
    installed = sorted({pool.chip for pool in view.factory.fleet})
    rests: tuple[Path_, ...] = tuple(
        ("fleet", at, "chip") for at in range(max(len(view.factory.fleet), 1))
    )
    for at, tenant in enumerate(view.factory.tenants):
        asked = [(("work", of), work.chips) for of, work in enumerate(tenant.work)]
        asked += [(("services", of), service.chips) for of, service in enumerate(tenant.services)]
        for path, chips in asked:
            for of, chip in enumerate(chips):
                if chip not in installed:
                    why = f"the fleet has no such accelerator; {nearest(chip, installed)}"
                    yield Found(("tenants", at, *path, "chips", of), chip, why, rests)


def _racks(view: View) -> Iterator[Found]:
    for name, site in view.factory.sites.items():
        for hall_name, hall in site.halls.items():
            limit = RACK_KW_MAX[hall.cooling]
            if hall.rack_power_kw_max > limit:
                why = (
                    f"{hall.cooling} cooling carries at most {limit:g} kW per rack; give at most "
                    f"{limit:g} kW or another cooling"
                )
                path = ("sites", name, "halls", hall_name)
                found = f"{hall.rack_power_kw_max:g} kW"
                yield Found((*path, "rack_power_max"), found, why, ((*path, "cooling"),))
    for at, pool in enumerate(view.factory.fleet):
        chip = view.chip_of(pool)
        halls = view.factory.sites[pool.site].halls if pool.site in view.factory.sites else {}
        if chip is None or pool.hall not in halls:
            continue
        hall = halls[pool.hall]
        rack_kw = pool.rack_accelerators * chip.peak_w / 1000.0
        limit = hall.rack_power_kw_max
        if rack_kw > limit * (1 + SLACK):
            fits = int(limit * 1000.0 / chip.peak_w / chip.node_size) * chip.node_size
            why = (
                f"a rack of {pool.rack_accelerators} {pool.chip} is rated {rack_kw:g} kW, but the "
                f"{hall.cooling}-cooled hall {pool.hall} cools at most {limit:g} kW per rack; put "
                f"at most {fits} in a rack or take a hall with other cooling"
            )
            yield Found(("fleet", at, "rack_accelerators"), pool.rack_accelerators, why)


def _hall_power(view: View) -> Iterator[Found]:
    """The work a hall's accelerators do at full speed must fit its IT limit.

    Name-plate power sizes the rack; a hall is sized on what nodes draw when every one of them
    works, as measured, which is well below the sum of the name plates.
    """
    for name, site in view.factory.sites.items():
        for hall_name, hall in site.halls.items():
            needed_mw = 0.0
            for pool in view.factory.fleet:
                chip = view.chip_of(pool)
                if chip is not None and (pool.site, pool.hall) == (name, hall_name):
                    each_w = max(chip.work_w.values()) + site.network.watt_per_accelerator_w
                    needed_mw += pool.accelerators * each_w / 1e6
            if needed_mw > hall.it_power_mw_max * (1 + SLACK):
                why = (
                    f"the pools in this hall draw up to {needed_mw:.2f} MW at full work, network "
                    "included; give the hall at least that or move accelerators"
                )
                path = ("sites", name, "halls", hall_name, "it_power_max")
                yield Found(path, f"{hall.it_power_mw_max:g} MW", why)


def _nodes(view: View) -> Iterator[Found]:
    for at, pool in enumerate(view.factory.fleet):
        chip = view.chip_of(pool)
        if chip is None:
            continue
        size = chip.node_size
        counts: list[tuple[Path_, int]] = [
            (("accelerators",), pool.accelerators),
            (("rack_accelerators",), pool.rack_accelerators),
        ]
        counts += [
            (("deliveries", of, "accelerators"), delivery.accelerators)
            for of, delivery in enumerate(pool.deliveries)
        ]
        for path, count in counts:
            if math.isfinite(count) and count % size:
                below = count - count % size
                why = (
                    f"must be a multiple of {size}, the accelerators in one {pool.chip} node; "
                    f"{below or size} or {below + size} would do"
                )
                yield Found(("fleet", at, *path), count, why)
        yield from _deliveries(pool, at)


def _deliveries(pool: Pool, at: int) -> Iterator[Found]:
    if not pool.deliveries:
        return
    total = sum(delivery.accelerators for delivery in pool.deliveries)
    if math.isfinite(total) and math.isfinite(pool.accelerators) and total != pool.accelerators:
        why = f"must add up to the pool's {pool.accelerators} accelerators, not {total}"
        yield Found(("fleet", at, "deliveries"), total, why)
    for of, (one, after) in enumerate(pairwise(pool.deliveries), start=1):
        if after.date <= one.date:
            why = f"must come after the delivery before it ({one.date})"
            rests = (("fleet", at, "deliveries", of - 1, "date"),)
            yield Found(("fleet", at, "deliveries", of, "date"), after.date, why, rests)


def _demand(view: View) -> Iterator[Found]:
    fleet = sum(pool.accelerators for pool in view.factory.fleet)
    total = 0.0
    for at, tenant in enumerate(view.factory.tenants):
        for of, work in enumerate(tenant.work):
            path = ("tenants", at, "work", of)
            total += work.share
            if work.job_class == "inference_realtime":
                why = "real-time inference follows a request rate; give it under services"
                yield Found((*path, "job_class"), work.job_class, why)
            if work.monthly is not None and (len(work.monthly) != 12 or not sum(work.monthly)):
                why = "must be twelve weights, January to December, not all zero"
                yield Found((*path, "monthly"), len(work.monthly), why)
            if work.accelerators_max is not None and 0 < fleet < work.accelerators_max:
                why = f"is larger than the fleet of {fleet} accelerators"
                yield Found((*path, "accelerators_max"), work.accelerators_max, why, (("fleet",),))
        for of, service in enumerate(tenant.services):
            path = ("tenants", at, "services", of)
            total += service.accelerators_peak * service.mean_fraction / fleet if fleet else 0.0
            needed = service.accelerators_peak * (1.0 + service.headroom)
            if 0 < fleet < needed:
                why = (
                    f"with its headroom needs {needed:.0f}, but the fleet has {fleet} accelerators"
                )
                place = (*path, "accelerators_peak")
                yield Found(place, service.accelerators_peak, why, (("fleet",),))
            if service.replica_accelerators > service.accelerators_peak:
                why = f"is more than the service's peak of {service.accelerators_peak}"
                yield Found((*path, "replica_accelerators"), service.replica_accelerators, why)
    if total > 1.0 + SLACK:
        why = (
            f"the shares and the mean of the services come to {total:.1%} of the installed "
            "accelerator-hours; they must not exceed 100 %"
        )
        yield Found(("tenants",), f"{total:.1%}", why, (("fleet",),))


def _connections(view: View) -> Iterator[Found]:
    for name, site in view.factory.sites.items():
        path: Path_ = ("sites", name, "connection")
        line = site.connection
        whole_mw = line.capacity_mva * line.power_factor
        safe = line.circuits - 1 if line.n_minus_1 and line.circuits > 1 else line.circuits
        circuits_mw = safe * line.circuit_capacity_mva * line.power_factor
        firms: list[tuple[Path_, float]] = [(("firm",), line.firm_mw)]
        firms += [(("phases", of, "firm"), p.firm_mw) for of, p in enumerate(line.phases)]
        for rest, firm_mw in firms:
            if firm_mw > whole_mw * (1 + SLACK):
                why = (
                    f"is more than {line.capacity_mva:g} MVA at power factor "
                    f"{line.power_factor:g} can carry ({whole_mw:.1f} MW)"
                )
                yield Found((*path, *rest), f"{firm_mw:g} MW", why)
            elif firm_mw > circuits_mw * (1 + SLACK):
                lost = " when one is lost" if safe < line.circuits else ""
                why = f"is more than the circuits carry{lost} ({circuits_mw:.1f} MW)"
                yield Found((*path, *rest), f"{firm_mw:g} MW", why)
        for of, (one, after) in enumerate(pairwise(line.phases), start=1):
            if after.from_ <= one.from_:
                why = f"must start after the phase before it ({one.from_}); phases may not overlap"
                rests = ((*path, "phases", of - 1, "from"),)
                yield Found((*path, "phases", of, "from"), after.from_, why, rests)
        for of, phase in enumerate(line.phases):
            if line.energised is not None and phase.from_ < line.energised:
                why = f"starts before the connection is energised ({line.energised})"
                rests = ((*path, "energised"),)
                yield Found((*path, "phases", of, "from"), phase.from_, why, rests)


def _timezones(view: View) -> Iterator[Found]:
    for name, site in view.factory.sites.items():
        try:
            ZoneInfo(site.timezone)
        except (KeyError, ValueError, OSError):
            why = "is no IANA time zone; write for example Europe/Amsterdam"
            yield Found(("sites", name, "timezone"), site.timezone, why)


def _energy(view: View) -> Iterator[Found]:
    for at, battery in enumerate(view.factory.energy.batteries):
        if battery.soc_min >= battery.soc_max:
            why = f"must be below soc_max ({battery.soc_max:.0%})"
            path: Path_ = ("energy", "batteries", at, "soc_min")
            yield Found(path, f"{battery.soc_min:.0%}", why)
    yield from _mix(view)
    for at, response in enumerate(view.factory.energy.response):
        labels = [str(one.job_class) for one in response.contracts]
        for of, label in enumerate(labels):
            if label in labels[:of]:
                why = "has a contract above already; give one per class"
                yield Found(("energy", "response", at, "contracts", of, "job_class"), label, why)
    for at, ppa in enumerate(view.factory.energy.ppas):
        path = ("energy", "ppas", at)
        start = ((*path, "from"),)
        if ppa.until <= ppa.from_:
            yield Found((*path, "until"), ppa.until, f"must be after from ({ppa.from_})", start)
        if ppa.commissioned >= ppa.until:
            why = f"the plant would only exist after the contract ends ({ppa.until})"
            yield Found((*path, "commissioned"), ppa.commissioned, why, ((*path, "until"),))
        yield from _same_contract(view, at, path)
        yield from _parties(ppa, path)


def _mix(view: View) -> Iterator[Found]:
    mix = view.factory.energy.mix
    if mix is not None and abs(sum(mix.shares.values()) - 1.0) > SLACK:
        why = "the shares of the sources must add up to 100 %"
        rests: tuple[Path_, ...] = tuple(("energy", "mix", name) for name in mix.shares)
        yield Found(("energy", "mix"), f"{sum(mix.shares.values()):.4%}", why, rests)


def _heat_and_water(view: View) -> Iterator[Found]:
    """Blocks that fit the cooling they stand beside, and sensors named once."""
    for name, site in view.factory.sites.items():
        technology = site.cooling.technology
        path: Path_ = ("sites", name)
        if site.cooling.surface_water is not None and technology != "seawater":
            why = f"belongs to seawater cooling; this site has {technology} cooling"
            yield Found((*path, "cooling", "surface_water"), None, why)
        if site.monitoring is None:
            continue
        names = [sensor.name for sensor in site.monitoring.sensors]
        for at, sensor in enumerate(names):
            if sensor in names[:at]:
                place = (*path, "monitoring", "sensors", at, "name")
                yield Found(place, sensor, "is the name of an earlier one; use another")


def _parties(ppa: Ppa, path: Path_) -> Iterator[Found]:
    """Guarantees that are sold must come; shares add up to the whole, one party operates."""
    if ppa.guarantees == "sold" and not ppa.guarantees_of_origin:
        why = "the contract brings no guarantees of origin (guarantees_of_origin: false)"
        yield Found((*path, "guarantees"), ppa.guarantees, why, ((*path, "guarantees_of_origin"),))
    parties = ppa.parties
    if not parties:
        return
    place = (*path, "parties")
    for key, shares in (
        ("finance", [p.finance_share for p in parties]),
        ("benefit", [p.benefit_share for p in parties]),
    ):
        if abs(sum(shares) - 1.0) > SLACK:
            why = f"the shares of {key} must add up to 100 %"
            rests = tuple((*place, at, key) for at in range(len(parties)))
            yield Found(place, f"{sum(shares):.4%}", why, rests)
    operators = sum(p.operates for p in parties)
    if operators != 1:
        yield Found(place, operators, "exactly one party operates (operates: true)")
    names = [p.name for p in parties]
    for at, name in enumerate(names):
        if name in names[:at]:
            yield Found((*place, at, "name"), name, "is the name of an earlier one; use another")


def _reserves(view: View) -> Iterator[Found]:
    """Reserves: one entry per site, within its batteries, and no work slowed without consent."""
    energy = view.factory.energy
    for at, sold in enumerate(energy.reserves):
        path: Path_ = ("energy", "reserves", at)
        if sold.site not in view.factory.sites:
            why = f"no such site; {nearest(sold.site, view.factory.sites)}"
            yield Found((*path, "site"), sold.site, why, (("sites", sold.site),))
        if sold.site in [one.site for one in energy.reserves[:at]]:
            why = "already sells reserves in an earlier entry; put both into one"
            yield Found((*path, "site"), sold.site, why)
        mine = [one for one in energy.batteries if one.site == sold.site]
        power = sum(one.power_mw for one in mine)
        usable = sum(one.energy_mwh * (one.soc_max - one.soc_min) for one in mine)
        each = [(b.efficiency_charge, b.efficiency_discharge) for b in mine] or [(1.0, 1.0)]
        worst = (max(charge for charge, _ in each), min(give for _, give in each))
        for key, value, why in wrong_with(sold, power, usable, worst):
            yield Found((*path, key), value, why, (("energy", "batteries"),))
        for label in sold.sheds:
            asked = [t.name for t in view.factory.tenants if _has_work(t, label)]
            without = [name for name in asked if name not in sold.tenants_agree]
            if without:
                why = f"slows work of tenants who did not agree: {', '.join(without)}"
                yield Found((*path, "sheds", label), f"{sold.sheds[label]:.0%}", why)
        for of, name in enumerate(sold.tenants_agree):
            if name not in [t.name for t in view.factory.tenants]:
                why = f"no such tenant; {nearest(name, [t.name for t in view.factory.tenants])}"
                yield Found((*path, "tenants_agree", of), name, why)


def _has_work(tenant: Tenant, label: str) -> bool:
    if label == "inference_realtime":
        return bool(tenant.services)
    return any(work.job_class == label for work in tenant.work)


def _same_contract(view: View, at: int, path: Path_) -> Iterator[Found]:
    ppas = view.factory.energy.ppas
    ppa = ppas[at]
    for of, other in enumerate(ppas[:at]):
        if other.name != ppa.name:
            continue
        before = ("energy", "ppas", of)
        if other.from_ < ppa.until and ppa.from_ < other.until:
            why = (
                f"overlaps the earlier contract of the same name ({other.from_} to {other.until}); "
                "its energy would be counted twice"
            )
            rests = ((*path, "until"), (*before, "from"), (*before, "until"))
            yield Found((*path, "from"), ppa.from_, why, rests)
        else:
            yield Found((*path, "name"), ppa.name, "is the name of an earlier one; use another")


def _policy(view: View) -> Iterator[Found]:
    policy, finance = view.factory.policy, view.factory.finance
    tables: list[tuple[Path_, set[str]]] = [
        (("policy", "priority"), set(policy.priority)),
        (("policy", "checkpoint"), set(policy.checkpoint)),
        (("policy", "speed_min"), set(policy.speed_min)),
        (("policy", "delay_cost"), set(policy.delay_cost_eur_per_gpu_h)),
        (("finance", "price"), set(finance.price_eur_per_gpu_h)),
    ]
    for path, named in tables:
        missing = [label for label in CLASSES if label not in named]
        if missing:
            yield Found(path, None, f"must name every class; missing: {', '.join(missing)}")
    order = policy.victim_order
    if sorted(order) != sorted(CLASSES):
        why = f"must name every class once: {', '.join(CLASSES)}"
        place: Path_ = ("policy", "victim_order")
        rests = tuple((*place, at) for at in range(len(order)))
        yield Found(place, ", ".join(order), why, rests)


def _ranges(view: View) -> Iterator[Found]:
    finance = view.factory.finance
    ranges: list[tuple[Path_, float, float, float]] = []
    rate = finance.wacc
    ranges.append((("finance", "wacc"), rate.low, rate.base, rate.high))
    for key in ("accelerators", "network", "storage", "infrastructure", "battery"):
        life = getattr(finance.life_years, key)
        ranges.append((("finance", "life", key), life.low, life.base, life.high))
    cost = finance.capex.infrastructure_eur_per_mw
    ranges.append((("finance", "capex", "infrastructure"), cost.low, cost.base, cost.high))
    for name, one in finance.capex.chip_price_eur.items():
        ranges.append((("finance", "capex", "chip_price", name), one.low, one.base, one.high))
    for label, price in finance.price_eur_per_gpu_h.items():
        ranges.append((("finance", "price", label), price.low, price.base, price.high))
    for path, low, base, high in ranges:
        if low > base or base > high:
            why = "must rise: low, base, high"
            yield Found(path, f"{low:g}, {base:g}, {high:g}", why)


def _citations(view: View) -> Iterator[Found]:
    for path, block in sourced_blocks(view.factory):
        known = settings(type(block))
        for key, text in block.sources.items():
            place = (*path, "sources", key)
            if key != "*" and key.split(".")[0] not in known:
                yield Found(place, None, f"names no setting of this block; {nearest(key, known)}")
            if not read_citation(text)[1]:
                why = f"must read: source, year, one of {', '.join(STATES)} (and : note)"
                yield Found(place, text, why)


def _unsourced(view: View) -> Iterator[Found]:
    for leaf in leaves(view.factory):
        if not source_of(leaf):
            why = "has no source; name it under sources of this block (or a block around it)"
            yield Found(leaf.path, leaf.figure.write(leaf.value), why)


CHECKS: Final[tuple[Callable[[View], Iterator[Found]], ...]] = (
    _not_empty,
    _unique,
    _references,
    _racks,
    _hall_power,
    _nodes,
    _demand,
    _connections,
    _timezones,
    _energy,
    _heat_and_water,
    _reserves,
    _policy,
    _ranges,
    _citations,
    *ACCESS_CHECKS,
    check_generators,
    check_transport,
)
