"""What this room needs to know of the supply chain, and what the factory file says of it.

One place feeds the assessment: `supply_facts`. Substitutes, stocks and autonomy-days are those of
the supply graph where the dossier has one, unless somebody checked a procurement register; shares
are that register's, or the factory file's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gigafactory.assess.registers.supplies import load_procurement
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory.rights import pool_facts
from gigafactory.factory.supplygraph import FILE, supply_of
from gigafactory.plant import load_catalogue
from gigafactory.policy.reach import Exposure, operator_exposures
from gigafactory.policy.tables import thresholds
from gigafactory.supply import autonomy, replaceability

HOME: Final = "NL"
DAYS_PER_MONTH: Final = 365.25 / 12.0
#: Layers whose loss stops the factory, where no register says which lines are critical.
CRITICAL_LAYERS: Final = ("compute", "network", "cloud_service", "energy")


@dataclass(frozen=True, slots=True)
class SupplyFacts:
    """The supply chain of a factory, as far as it is known.

    Attributes:
        eu_share: of its components and services, from the European Economic Area; what nobody
            knows the country of does not count as European. None where nothing is known.
        nl_share: the same, from the Netherlands.
        unknown_share: of which nobody knows the country.
        exposed: every way by which law from outside reaches the operator, its owners or suppliers.
        controlled: of these, those of the operator itself and its owners: who decides.
        critical: components and services whose loss stops the factory.
        without_substitute: of these, those for which no other supplier is named.
        autonomy_days: how long the shortest critical stock lasts; None where no stock is known.
        concentration_hhi: Herfindahl-Hirschman index over countries; None where nothing is known.
        looked: whether somebody said whose law binds the operator.
        substitutes_known: whether somebody listed other suppliers at all.
        switching_days: of the critical things that can be replaced, the longest time to switch;
            None where nobody says.
        evidence: what the shares rest on.
        paper: what substitutes and stocks rest on.
    """

    eu_share: float | None
    nl_share: float | None
    unknown_share: float | None
    exposed: tuple[Exposure, ...]
    controlled: tuple[Exposure, ...]
    critical: tuple[str, ...]
    without_substitute: tuple[str, ...]
    autonomy_days: float | None
    concentration_hhi: float | None
    looked: bool
    substitutes_known: bool
    switching_days: float | None
    evidence: tuple[Evidence, ...]
    paper: Evidence


def supply_facts(subject: Subject) -> SupplyFacts:
    """The supply chain of a subject, from its procurement register or else its factory file.

    Shares are by value of the order lines of a register that somebody checked. Without one the six
    layers of assets weigh the same, and within a layer its assets; the pools stand for the compute
    layer, by accelerators, with the country of the chip's maker. Substitutes and stocks are the
    register's, checked or not, and `paper` says which.
    """
    return subject.once("supply_facts", lambda: _facts(subject))


def _facts(subject: Subject) -> SupplyFacts:
    exposed, controlled = _exposures(subject)
    register = load_procurement(subject)
    governance = subject.factory.governance
    lines = register.lines if register is not None else ()
    checked = register is not None and register.verified_by is not None
    by_country, critical = _from_assets(subject)
    evidence = Evidence(Proof.FACTORY if by_country else Proof.MISSING, "factory:sites.assets")
    paper = Evidence(Proof.MISSING, "register:procurement")
    if register is not None:
        proof = Proof.VERIFIED if checked else Proof.CLAIMED
        paper = Evidence(proof, "register:procurement", verified_by=register.verified_by or "")
    if lines and checked:
        by_country = _shares({}, [(one.owner_country, one.value_eur) for one in lines])
        evidence = paper
    if lines:
        critical = tuple(one.id for one in lines if one.critical)
    alone = tuple(one.id for one in lines if one.critical and not one.alternatives)
    stocks = [one.stock_days for one in lines if one.critical and one.stock_days is not None]
    slow = [min(o.switching_days for o in one.alternatives) for one in lines if one.alternatives]
    lasts, switching = min(stocks, default=None), max(slow, default=None)
    picture = supply_of(subject.factory, subject.dossier)
    if picture.stated and not checked:
        rows = replaceability(picture.graph)
        critical = tuple(row.name for row in rows)
        alone = tuple(row.name for row in rows if row.flag)
        months = [row.switching_months for row in rows if row.switching_months is not None]
        switching = max(months, default=None)
        switching = None if switching is None else switching * DAYS_PER_MONTH
        ends = autonomy(picture.graph, picture.remedy, picture.rules.tolerance)
        lasts = min((a.autonomy_days for a in ends if a.autonomy_days is not None), default=None)
        paper = Evidence(Proof.CLAIMED, f"document:{FILE}")
    eea = thresholds().eea
    known = bool(by_country)
    return SupplyFacts(
        eu_share=sum(v for k, v in by_country.items() if k in eea) if known else None,
        nl_share=by_country.get(HOME, 0.0) if known else None,
        unknown_share=by_country.get("unknown", 0.0) if known else None,
        exposed=exposed,
        controlled=controlled,
        critical=critical,
        without_substitute=alone,
        autonomy_days=lasts,
        concentration_hhi=sum(v * v for v in by_country.values()) if known else None,
        looked=bool(governance.jurisdictions),
        substitutes_known=bool(lines) or picture.stated,
        switching_days=switching,
        evidence=(evidence, Evidence(Proof.FACTORY, "factory:fleet.chip")),
        paper=paper,
    )


def _exposures(subject: Subject) -> tuple[tuple[Exposure, ...], tuple[Exposure, ...]]:
    pools = pool_facts(subject.factory, load_catalogue())
    if not pools:
        return (), ()
    everything = operator_exposures(pools[0])
    outside = sum(one.country not in thresholds().eea for one in pools[0].suppliers)
    return everything, everything[: len(everything) - outside]


def _from_assets(subject: Subject) -> tuple[Mapping[str, float], tuple[str, ...]]:
    chips = load_catalogue()
    layers: dict[str, list[tuple[str, float]]] = {}
    names: list[str] = []
    for pool in subject.factory.fleet:
        layers.setdefault("compute", []).append((chips[pool.chip].origin, pool.accelerators))
        names.append(pool.name)
    for site in subject.factory.sites.values():
        for asset in site.assets:
            if asset.layer != "compute":
                layers.setdefault(asset.layer, []).append((asset.country, 1.0))
                names += [asset.name] if asset.layer in CRITICAL_LAYERS else []
    shares: dict[str, float] = {}
    for rows in layers.values():
        for country, share in _shares({}, rows).items():
            shares[country] = shares.get(country, 0.0) + share / len(layers)
    return shares, tuple(dict.fromkeys(names))


def _shares(into: dict[str, float], rows: list[tuple[str, float]]) -> dict[str, float]:
    total = sum(amount for _, amount in rows)
    for country, amount in rows:
        into[country] = into.get(country, 0.0) + (amount / total if total > 0.0 else 0.0)
    return into


__all__ = ["CRITICAL_LAYERS", "HOME", "SupplyFacts", "supply_facts"]
