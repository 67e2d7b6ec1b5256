"""How long the factory lasts alone, what can take the place of what, and what matters most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gigafactory.engine.errors import BadInput
from gigafactory.supply.concentration import UNKNOWN, bounds, is_within, placed
from gigafactory.supply.graph import Effect, Graph, Kind, Node, Substitute
from gigafactory.supply.places import EEA, EU
from gigafactory.supply.stopping import (
    DAYS_PER_MONTH,
    MONTHS,
    Levels,
    Stop,
    cut_of,
    rests_on,
    what_stops,
    worn,
)

#: A thing is taken as critical when this part of the factory needs it, where nobody says so.
CRITICAL_FROM_SHARE: Final = 0.05
#: Months at which a switch or a delivery counts as hard as it can be.
HARDEST_MONTHS: Final = 24.0
_FLAGS: Final = ("none", "same_country", "unknown_origin", "")


@dataclass(frozen=True, slots=True)
class Weight:
    """What part of the factory needs a node.

    Attributes:
        h100_equivalent_share: of its H100-equivalents.
        power_share: of its IT power.
        tenants_share: of its tenants.
    """

    h100_equivalent_share: float
    power_share: float
    tenants_share: float


def weight_of(graph: Graph, name: str) -> Weight:
    """What part of the factory in the end needs a node, however long it could do without."""
    above = rests_on(graph, name) | {name}
    pools, tenants = graph.pools, graph.tenants
    whole = sum(p.h100_equivalent for p in pools)
    whole_mw = sum(p.power_mw for p in pools)
    hit = [p for p in pools if p.name in above]
    return Weight(
        sum(p.h100_equivalent for p in hit) / whole if whole else 0.0,
        sum(p.power_mw for p in hit) / whole_mw if whole_mw else 0.0,
        sum(1 for t in tenants if t.name in above) / len(tenants) if tenants else 0.0,
    )


def is_critical(graph: Graph, node: Node, from_share: float = CRITICAL_FROM_SHARE) -> bool:
    """Whether the factory cannot do without a thing: as it says itself, or by what needs it."""
    if node.critical is not None:
        return node.critical
    if node.kind.is_party or node.name == graph.root or node.accelerators or node.arrivals:
        return False
    if node.kind is Kind.ASSET and not node.layer:  # a place, such as a site or a hall
        return False
    return weight_of(graph, node.name).h100_equivalent_share >= from_share


def criticality(graph: Graph) -> dict[str, float]:
    """Weight of each thing in a layer: the part of the H100-equivalents that needs it."""
    return {
        node.name: weight_of(graph, node.name).h100_equivalent_share
        for node in graph.things()
        if node.layer and not node.accelerators
    }


@dataclass(frozen=True, slots=True)
class Replaceability:
    """What can take the place of a critical thing.

    Attributes:
        name: of the thing.
        layer: of the factory.
        substitutes: what can, the fastest first.
        switching_months: of the fastest that is not bound by the same law; None where there is
            none.
        flag: `none` where nothing can take its place, `same_country` where only something from the
            same country can, `unknown_origin` where nobody knows whence, "" where something from
            another country can.
    """

    name: str
    layer: str
    substitutes: tuple[Substitute, ...]
    switching_months: float | None
    flag: str


def replaceability(graph: Graph) -> tuple[Replaceability, ...]:
    """Each critical thing with its substitutes and time to switch, or flagged; flagged ones first.

    Of a thing from outside the EEA, a substitute from its own country helps against the loss of a
    vendor and not against that of the country, and is flagged so.
    """
    found = []
    for node in graph.things():
        if not is_critical(graph, node):
            continue
        ranked = tuple(sorted(node.substitutes, key=lambda s: (s.switching_months, s.name)))
        places = [_country(graph, s) for s in ranked]
        near = node.country in EEA
        others = [
            s for s, c in zip(ranked, places, strict=True) if near or (c and c != node.country)
        ]
        same = "unknown_origin" if "" in places else "same_country"
        flag = "" if others else same if ranked else "none"
        months = others[0].switching_months if others else None
        found.append(Replaceability(node.name, node.layer, ranked, months, flag))
    return tuple(sorted(found, key=lambda r: (_FLAGS.index(r.flag), r.layer, r.name)))


def _country(graph: Graph, one: Substitute) -> str:
    return one.country or (graph.nodes[one.node].country if one.node else "")


@dataclass(frozen=True, slots=True)
class Spares:
    """How a pool or asset lasts without whoever makes its parts.

    Attributes:
        name: what needs parts.
        of: what it needs.
        failures_per_year: share that breaks; None where unknown.
        spare_share: spares over what is installed.
        full_months: until the spares are gone; None where they last, or where nobody knows.
        survival: what still works at the end of each month.
    """

    name: str
    of: str
    failures_per_year: float | None
    spare_share: float
    full_months: float | None
    survival: Levels


def spares(graph: Graph, months: int = MONTHS) -> tuple[Spares, ...]:
    """Survival curve without the vendor of everything that needs parts, by name."""
    found = []
    for edge in graph.edges:
        if edge.effect is not Effect.REPAIRS:
            continue
        curve, ended = (1.0,) * months, None
        if edge.failures_per_year is not None:
            curve, ended = worn(edge.failures_per_year, edge.spare_share, (0.0,) * months)
        found.append(
            Spares(edge.needer, edge.needed, edge.failures_per_year, edge.spare_share, ended, curve)
        )
    return tuple(sorted(found, key=lambda s: (s.name, s.of)))


@dataclass(frozen=True, slots=True)
class Remedy:
    """How long the Union takes to answer economic coercion.

    Attributes:
        examination_days: of the measure, by the Commission.
        decision_days_low: of the Council, the shorter.
        decision_days_high: of the Council, the longer.
        response_days: from the decision until counter-measures may apply.
    """

    examination_days: float
    decision_days_low: float
    decision_days_high: float
    response_days: float

    @property
    def determined_days(self) -> tuple[float, float]:
        """Until coercion is determined: shorter and longer."""
        return (
            self.examination_days + self.decision_days_low,
            self.examination_days + self.decision_days_high,
        )

    @property
    def answered_days(self) -> float:
        """Until counter-measures may apply, at the longest."""
        return self.determined_days[1] + self.response_days


@dataclass(frozen=True, slots=True)
class Autonomy:
    """How long the factory lasts without a country, against the time a remedy takes.

    Attributes:
        country: that is cut off.
        autonomy_days: until more than the tolerance is lost; None for longer than was looked at.
        remedy_days: until coercion is determined, the longer.
        answered_days: until counter-measures may apply.
        flag: `red` where it lasts less than until the determination, `amber` where it lasts less
            than until an answer, `unknown` where it seems to last but somebody's stock or failures
            are unknown, "" where it lasts.
        share_lost_by_remedy: part of the H100-equivalents lost when the determination comes.
        unknown: needs of which nobody knows how long they hold.
    """

    country: str
    autonomy_days: float | None
    remedy_days: float
    answered_days: float
    flag: str
    share_lost_by_remedy: float
    unknown: tuple[tuple[str, str, str], ...]


def autonomy(
    graph: Graph, remedy: Remedy, tolerance_share: float, months: int = MONTHS
) -> tuple[Autonomy, ...]:
    """Autonomy-days against the remedy time, for every third country that something comes from.

    Args:
        graph: the graph.
        remedy: how long the Union takes.
        tolerance_share: part of the H100-equivalents that may be lost before autonomy ends.
        months: how many months to look ahead.

    Returns:
        By country, those that end first before the others.
    """
    countries = {n.country for n in graph.nodes.values() if n.country and n.kind is not Kind.TENANT}
    countries |= {o.country for n in graph.nodes.values() for o in n.origins}
    countries -= {""}
    found = []
    for country in sorted(countries):
        if country in EU or country == graph.nodes[graph.root].country:
            continue  # the remedy is against third countries
        one = _autonomy(graph, country, remedy, tolerance_share, months)
        if one is not None:
            found.append(one)
    return tuple(
        sorted(
            found,
            key=lambda a: (
                a.autonomy_days is None,
                a.autonomy_days or 0.0,
                -a.share_lost_by_remedy,
                a.country,
            ),
        )
    )


def _autonomy(
    graph: Graph, country: str, remedy: Remedy, tolerance: float, months: int
) -> Autonomy | None:
    try:
        cut = cut_of(graph, country)
    except BadInput:  # owners and investors alone come from there
        return None
    stop = what_stops(graph, cut, months)
    days = autonomy_days(stop, tolerance)
    due = remedy.determined_days[1]
    if days is not None:
        flag = "red" if days < due else "amber" if days < remedy.answered_days else ""
    else:
        flag = "unknown" if stop.unknown else ""
    month = min(months, max(1, -int(-due / DAYS_PER_MONTH // 1)))
    return Autonomy(
        country, days, due, remedy.answered_days, flag, stop.share_lost(month), stop.unknown
    )


def autonomy_days(stop: Stop, tolerance_share: float) -> float | None:
    """Days until more than a share of the H100-equivalents is lost; None where that never happens.

    Within the month in which it happens the loss is taken to grow in a straight line from that of
    the month before.
    """
    month = stop.first_month(tolerance_share)
    if month is None:
        return None
    before = stop.share_lost(month - 1) if month > 1 else 0.0
    after = stop.share_lost(month)
    if after - before >= 0.5:  # it goes at once, not bit by bit
        return (month - 1) * DAYS_PER_MONTH
    return (month - 1 + (tolerance_share - before) / (after - before)) * DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class AssetLoss:
    """What the loss of pieces of an asset takes, such as by sabotage (N-1, N-2).

    Attributes:
        name: of the asset.
        pieces: how many of its equal pieces are lost.
        count: how many there are.
        lost_power_mw: IT power that stands still, MW.
        lost_h100_equivalent: H100-equivalents that stand still.
        tenants: tenants that lose any of what they can run on.
        repair_days: until it is made again (its lead time); None where unknown.
    """

    name: str
    pieces: int
    count: int
    lost_power_mw: float
    lost_h100_equivalent: float
    tenants: tuple[str, ...]
    repair_days: float | None


def asset_losses(graph: Graph) -> tuple[AssetLoss, ...]:
    """The loss of one and of two pieces of every asset that something runs on.

    Returns:
        Those that take most first; an asset of one piece has no second row.
    """
    found = []
    for node in graph.nodes.values():
        runs = any(e.effect is Effect.RUNS for e in graph.needed_by.get(node.name, ()))
        if node.kind is not Kind.ASSET or not node.layer or node.accelerators or not runs:
            continue
        for pieces in range(1, min(2, node.count) + 1):
            stop = what_stops(graph, f"{node.name}={pieces}", 1)
            lead = node.lead_time_months
            found.append(
                AssetLoss(
                    node.name,
                    pieces,
                    node.count,
                    stop.lost_power_mw[0],
                    stop.lost_h100_equivalent[0],
                    stop.tenants_hit(1),
                    None if lead is None else lead * DAYS_PER_MONTH,
                )
            )
    return tuple(sorted(found, key=lambda a: (-a.lost_power_mw, a.pieces, a.name)))


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node by how much hangs on it.

    Attributes:
        name: of the node.
        kind: what it is.
        weight: what part of the factory needs it.
        share_lost_12: part of the H100-equivalents lost after twelve months without it.
        impact_share: the larger of the parts of H100-equivalents, power and tenants that need it.
        difficulty_share: months of the fastest substitute over 24, at most 1; 1 without one.
        concentration_share: index of its suppliers over 10,000, unknown ones taken as one.
        lead_share: lead time over 24 months, at most 1; 1 where unknown.
        score_share: the four multiplied.
        unknown: which of lead_time, suppliers and substitutes are unknown and taken as worst.
    """

    name: str
    kind: Kind
    weight: Weight
    share_lost_12: float
    impact_share: float
    difficulty_share: float
    concentration_share: float
    lead_share: float
    score_share: float
    unknown: tuple[str, ...]


def ranking(graph: Graph, months: int = 12) -> tuple[Ranked, ...]:
    """Things by criticality: impact x substitutability x concentration x lead time.

    Returns:
        Those on which anything hangs, the highest score first, then by loss and name.
    """
    found = []
    for node in graph.things():
        if node.accelerators or node.arrivals or (node.kind is Kind.ASSET and not node.layer):
            continue
        weight = weight_of(graph, node.name)
        impact = max(weight.h100_equivalent_share, weight.power_share, weight.tenants_share)
        if impact <= 0.0:
            continue
        best = min((s.switching_months for s in node.substitutes), default=HARDEST_MONTHS)
        difficulty = min(1.0, best / HARDEST_MONTHS)
        held = _held_by(graph, node)
        lead = node.lead_time_months
        late = 1.0 if lead is None else min(1.0, lead / HARDEST_MONTHS)
        gaps = (
            ("substitutes", not node.substitutes),
            ("suppliers", UNKNOWN in placed(graph, node, "vendor") and not node.origins),
            ("lead_time", lead is None),
        )
        stop = what_stops(graph, cut_of(graph, node.name), months)
        found.append(
            Ranked(
                node.name,
                node.kind,
                weight,
                stop.share_lost(months),
                impact,
                difficulty,
                held,
                late,
                impact * difficulty * held * late,
                tuple(name for name, gone in gaps if gone),
            )
        )
    return tuple(sorted(found, key=lambda r: (-r.score_share, -r.share_lost_12, r.name)))


def _held_by(graph: Graph, node: Node) -> float:
    """Concentration of its suppliers (of a material: of its origins), 0..1, unknown as one."""
    if node.origins:
        stage = max(node.origins, key=lambda o: o.share).stage
        amounts = {o.country: o.share for o in node.origins if o.stage == stage}
        rest = 1.0 - sum(amounts.values())
        if rest > 1e-9:
            amounts[UNKNOWN] = rest
        return bounds(amounts)[1] / 10_000.0
    return bounds(placed(graph, node, "vendor"))[1] / 10_000.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something nobody says.

    Attributes:
        node: of what.
        what: `country`, `supplier`, `owner`, `value`, `origin`, `mass`, `substitutes` or
            `failures`.
    """

    node: str
    what: str


def unknowns(graph: Graph) -> tuple[Unknown, ...]:
    """What the graph does not know about what it holds, so that silence is not taken for safety."""
    found = []
    for node in graph.nodes.values():
        if node.name == graph.root or node.kind is Kind.TENANT:
            continue
        gaps = [("country", not node.country and not node.origins)]
        if not node.kind.is_party:
            bought = bool(node.layer) and not node.accelerators
            gaps += [
                ("supplier", bought and UNKNOWN in placed(graph, node, "vendor")),
                ("value", bought and node.value_eur is None and not is_within(graph, node.name)),
                ("origin", node.kind is Kind.MATERIAL and not node.origins),
                ("mass", node.kind is Kind.MATERIAL and node.mass_kg is None),
                ("substitutes", is_critical(graph, node) and not node.substitutes),
            ]
        found += [Unknown(node.name, what) for what, gone in gaps if gone]
    found += [
        Unknown(edge.needer, "failures")
        for edge in graph.edges
        if edge.effect is Effect.REPAIRS and edge.failures_per_year is None
    ]
    return tuple(dict.fromkeys(found))


__all__ = [
    "CRITICAL_FROM_SHARE",
    "HARDEST_MONTHS",
    "AssetLoss",
    "Autonomy",
    "Ranked",
    "Remedy",
    "Replaceability",
    "Spares",
    "Unknown",
    "Weight",
    "asset_losses",
    "autonomy",
    "autonomy_days",
    "criticality",
    "is_critical",
    "ranking",
    "replaceability",
    "spares",
    "unknowns",
    "weight_of",
]
