"""In how few hands it lies: concentration, shares of home and Union, spending, raw materials.

Concentration is the Herfindahl-Hirschman index: the sum of the squared shares in per cent, from
near 0 (very many) to 10,000 (one). What nobody knows is never left out silently: an index is given
as the lowest and the highest it can be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gigafactory.supply.exposure import needed_by, ultimate
from gigafactory.supply.graph import LAYERS, Bond, Citation, Graph, Kind, Node
from gigafactory.supply.places import EU, side_of

UNKNOWN: Final = "unknown"
By = Literal["vendor", "group", "country", "origin"]


def hhi(amounts: Mapping[str, float]) -> float:
    """The Herfindahl-Hirschman index of amounts, 0 to 10,000; 0 where there is nothing.

    ``10,000 * sum((amount / total) ** 2)``.
    """
    total = sum(amounts.values())
    if total <= 0.0:
        return 0.0
    return 10_000.0 * sum((amount / total) ** 2 for amount in amounts.values())


@dataclass(frozen=True, slots=True)
class Concentration:
    """In how few hands a layer lies.

    Attributes:
        layer: one of `LAYERS`, or "all".
        by: vendor, group (its controlling owner), country (of the vendor) or origin.
        value_eur: by name, the largest first; `unknown` is what cannot be placed.
        concentration_low: index if what is unknown is spread over very many.
        concentration_high: index if all that is unknown belongs to the largest.
    """

    layer: str
    by: str
    value_eur: Mapping[str, float]
    concentration_low: float
    concentration_high: float

    @property
    def total_eur(self) -> float:
        """The value of the layer."""
        return sum(self.value_eur.values())


def concentration(graph: Graph, by: By = "vendor") -> tuple[Concentration, ...]:
    """Concentration of every layer by value, and of all together."""
    found = []
    everything: dict[str, float] = {}
    for layer in LAYERS:
        amounts: dict[str, float] = {}
        for node in graph.things():
            if node.layer == layer and node.value_eur:
                for name, share in placed(graph, node, by).items():
                    amounts[name] = amounts.get(name, 0.0) + share * node.value_eur
        for name, eur in amounts.items():
            everything[name] = everything.get(name, 0.0) + eur
        found.append(_concentration(layer, by, amounts))
    return (*found, _concentration("all", by, everything))


def _concentration(layer: str, by: str, amounts: Mapping[str, float]) -> Concentration:
    low, high = bounds(amounts)
    ranked = dict(sorted(amounts.items(), key=lambda item: (-item[1], item[0])))
    return Concentration(layer, by, ranked, low, high)


def bounds(amounts: Mapping[str, float]) -> tuple[float, float]:
    """The lowest and highest index of amounts of which `unknown` cannot be placed."""
    total = sum(amounts.values())
    known = {name: amount for name, amount in amounts.items() if name != UNKNOWN}
    if total <= 0.0:
        return 0.0, 0.0
    low = 10_000.0 * sum((amount / total) ** 2 for amount in known.values())
    if len(known) == len(amounts):
        return low, low
    largest = max(known, key=lambda name: known[name]) if known else UNKNOWN
    known[largest] = known.get(largest, 0.0) + amounts[UNKNOWN]
    return low, hhi(known)


def placed(graph: Graph, node: Node, by: By) -> dict[str, float]:
    """To whom, or to which country, the value of a thing belongs, by share; the shares sum to 1.

    Args:
        graph: the graph.
        node: a thing.
        by: `vendor`, its suppliers by the share they supply; `group`, the owners who control them;
            `country`, their seats; `origin`, the countries of its parts by their share of its
            value (in their turn by origin), and its own country (else its vendors') for the rest.
    """
    if by == "origin":
        return _origins(graph, node)
    vendors = _vendors(graph, node.name)
    found: dict[str, float] = {}
    for vendor, share in vendors.items():
        name = vendor
        if by == "group" and vendor != UNKNOWN:
            name = ultimate(graph, vendor)
        elif by == "country":
            name = graph.nodes[vendor].country or UNKNOWN if vendor != UNKNOWN else UNKNOWN
        found[name] = found.get(name, 0.0) + share
    if by == "country" and set(found) == {UNKNOWN} and node.country:
        return {node.country: 1.0}
    return found


def is_within(graph: Graph, name: str) -> bool:
    """Whether a thing is bought only as a part of something else, whose value holds its own."""
    above = [graph.nodes[e.needer] for e in graph.needed_by.get(name, ())]
    inside = {Kind.COMPONENT, Kind.MATERIAL, Kind.SOFTWARE}
    return bool(above) and all(node.kind in inside for node in above)


def _vendors(graph: Graph, name: str) -> dict[str, float]:
    edges = graph.into(name, Bond.SUPPLIES, Bond.LICENSES)
    edges = edges or graph.into(name, Bond.OPERATES)  # whoever runs a service is paid for it
    if not edges:
        return {UNKNOWN: 1.0}
    given = sum(e.share for e in edges if e.share is not None)
    silent = [e for e in edges if e.share is None]
    left = max(0.0, 1.0 - given)
    found = {e.source: e.share if e.share is not None else left / len(silent) for e in edges}
    if not silent and left > 1e-9:
        found[UNKNOWN] = left
    return found


def _origins(graph: Graph, node: Node) -> dict[str, float]:
    found: dict[str, float] = {}
    rest = 1.0
    for edge in graph.needs.get(node.name, ()):
        if edge.bond is Bond.CONSISTS_OF and edge.share:
            rest -= edge.share
            for country, share in _origins(graph, graph.nodes[edge.target]).items():
                found[country] = found.get(country, 0.0) + edge.share * share
    own = {node.country: 1.0} if node.country else placed(graph, node, "country")
    if rest > 1e-9:
        for country, share in own.items():
            found[country] = found.get(country, 0.0) + rest * share
    return found


@dataclass(frozen=True, slots=True)
class Content:
    """How much of a layer comes from home, from the rest of the Union, and from elsewhere.

    Attributes:
        layer: one of `LAYERS`, or "all".
        weight: `value` or `criticality`.
        by: country (seat of the vendor), group (seat of who controls the vendor) or origin.
        share_home: of the weight, 0..1.
        share_union: of the weight, home included.
        share_other: from third countries.
        share_unknown: from nobody knows where.
        value_eur: of the layer; 0 when weighed by criticality.
        things: how many have a weight.
        unvalued: how many have none, so are not in the shares.
    """

    layer: str
    weight: str
    by: str
    share_home: float
    share_union: float
    share_other: float
    share_unknown: float
    value_eur: float
    things: int
    unvalued: int


def content(
    graph: Graph,
    by: By = "country",
    home: str = "NL",
    criticality: Mapping[str, float] | None = None,
) -> tuple[Content, ...]:
    """Share of home and Union in every layer and in all, by value or by criticality.

    Args:
        graph: the graph.
        by: as `placed`, whose countries count; of a `group` the seat of who controls.
        home: the country that is home.
        criticality: weight of each thing by name, such as the part of the factory that needs it;
            None to weigh by value.
    """
    rows: dict[str, list[tuple[Node, float]]] = {layer: [] for layer in LAYERS}
    missing = dict.fromkeys(LAYERS, 0)
    for node in graph.things():
        if not node.layer or node.accelerators:
            continue
        weight = node.value_eur if criticality is None else criticality.get(node.name)
        if weight:
            rows[node.layer].append((node, weight))
        elif weight is None and not is_within(graph, node.name):
            missing[node.layer] += 1
    layers = [(layer, rows[layer], missing[layer]) for layer in LAYERS]
    layers.append(("all", [one for row in rows.values() for one in row], sum(missing.values())))
    return tuple(
        _content(graph, layer, found, gone, by, home, criticality is None)
        for layer, found, gone in layers
    )


def _content(
    graph: Graph,
    layer: str,
    weighed: list[tuple[Node, float]],
    unvalued: int,
    by: By,
    home: str,
    by_value: bool,
) -> Content:
    sides = {"home": 0.0, "eu": 0.0, "other": 0.0, "unknown": 0.0}
    for node, weight in weighed:
        for name, share in placed(graph, node, by).items():
            country = name
            if by in {"group", "vendor"}:
                country = "" if name == UNKNOWN else graph.nodes[name].country
            sides[side_of("" if country == UNKNOWN else country, home)] += weight * share
    total = sum(sides.values())
    of = {name: amount / total if total else 0.0 for name, amount in sides.items()}
    return Content(
        layer,
        "value" if by_value else "criticality",
        by,
        of["home"],
        of["home"] + of["eu"],
        of["other"],
        of["unknown"],
        total if by_value else 0.0,
        len(weighed),
        unvalued,
    )


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of the procurement register.

    Attributes:
        thing: what is bought.
        layer: of the factory.
        value_eur: None where unknown.
        origins: countries it comes from, by share of its value.
        vendors: who supplies it.
        owners: who controls them.
        alternatives: substitutes with months to switch.
        lead_time_months: None where unknown.
        missing: which of origin, owner, alternative, value and lead time nobody knows.
    """

    thing: str
    layer: str
    value_eur: float | None
    origins: Mapping[str, float]
    vendors: tuple[str, ...]
    owners: tuple[str, ...]
    alternatives: tuple[tuple[str, float], ...]
    lead_time_months: float | None
    missing: tuple[str, ...]


def register(graph: Graph) -> tuple[OrderLine, ...]:
    """The procurement register: every thing in a layer with origin, owner and alternative."""
    lines = []
    for node in graph.things():
        if not node.layer or node.accelerators:
            continue
        origins = _origins(graph, node)
        vendors = tuple(v for v in _vendors(graph, node.name) if v != UNKNOWN)
        owners = tuple(dict.fromkeys(ultimate(graph, v) for v in vendors))
        others = tuple((s.name, s.switching_months) for s in node.substitutes)
        gaps = (
            ("origin", UNKNOWN in origins),
            ("owner", not owners),
            ("alternative", not others),
            ("value", node.value_eur is None and not is_within(graph, node.name)),
            ("lead_time", node.lead_time_months is None),
        )
        lines.append(
            OrderLine(
                node.name,
                node.layer,
                node.value_eur,
                origins,
                vendors,
                owners,
                others,
                node.lead_time_months,
                tuple(name for name, gone in gaps if gone),
            )
        )
    return tuple(sorted(lines, key=lambda o: (LAYERS.index(o.layer), -(o.value_eur or 0), o.thing)))


def spending(graph: Graph) -> dict[str, float]:
    """Value by type of the party it is paid to, EUR, the largest first; `unknown` for nobody."""
    found: dict[str, float] = {}
    for node in graph.things():
        if not node.layer or not node.value_eur:
            continue
        for vendor, share in _vendors(graph, node.name).items():
            actor = graph.nodes[vendor].actor or UNKNOWN if vendor != UNKNOWN else UNKNOWN
            found[actor] = found.get(actor, 0.0) + share * node.value_eur
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True)
class Baseline:
    """Who owned the world's accelerators on a day.

    Attributes:
        day: the day it stands for.
        h100_equivalent: all of them.
        holders: owner (or group of owners), country, share.
        sources: where it comes from.
    """

    day: dt.date
    h100_equivalent: float
    holders: tuple[tuple[str, str, float], ...]
    sources: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns the world's accelerators, without this factory or with it.

    Attributes:
        h100_equivalent: all of them.
        share_union: owned in the Union.
        union_h100_equivalent: owned in the Union.
        owners_concentration_low: index by owner if the rest is spread over very many.
        owners_concentration_high: if the rest belongs to the largest.
        countries_concentration_low: the same by country.
        countries_concentration_high: the same by country.
    """

    h100_equivalent: float
    share_union: float
    union_h100_equivalent: float
    owners_concentration_low: float
    owners_concentration_high: float
    countries_concentration_low: float
    countries_concentration_high: float


def before_and_after(
    baseline: Baseline, h100_equivalent: float, owner: str, country: str
) -> tuple[Ownership, Ownership]:
    """Ownership of accelerators without the factory and with it.

    Args:
        baseline: the world without it.
        h100_equivalent: its size.
        owner: who owns it.
        country: of the owner who controls it; "" for unknown.
    """
    total = baseline.h100_equivalent
    rows = [(name, place, share * total) for name, place, share in baseline.holders]
    rest = total - sum(amount for _, _, amount in rows)
    if rest > 1e-9 * total:
        rows.append((UNKNOWN, UNKNOWN, rest))
    return _ownership(rows), _ownership([*rows, (owner, country or UNKNOWN, h100_equivalent)])


def _ownership(rows: list[tuple[str, str, float]]) -> Ownership:
    owners: dict[str, float] = {}
    countries: dict[str, float] = {}
    for name, country, amount in rows:
        owners[name] = owners.get(name, 0.0) + amount
        countries[country] = countries.get(country, 0.0) + amount
    total = sum(owners.values())
    union = sum(amount for place, amount in countries.items() if place in EU or place == "EU")
    return Ownership(
        total, union / total if total else 0.0, union, *bounds(owners), *bounds(countries)
    )


@dataclass(frozen=True, slots=True)
class Material:
    """A raw material against the rule that no third country supplies more than 65 % of it.

    Attributes:
        name: of the material.
        stage: the stage at which its largest third country is largest.
        country: that country; "" where no origin is known.
        share: its part; None where no origin is known.
        exceeds: whether it is over the limit; None where no origin is known.
        strategic: whether the law lists it as strategic, so that the rule is about it.
        share_by_country: its part by country at that stage; what is not listed is left out.
        mass_kg: how much the factory holds; None where unknown.
        used_in: things of the factory that need it.
        way: from the factory down to the material.
    """

    name: str
    stage: str
    country: str
    share: float | None
    exceeds: bool | None
    strategic: bool | None
    share_by_country: Mapping[str, float]
    mass_kg: float | None
    used_in: tuple[str, ...]
    way: tuple[str, ...]


def materials(graph: Graph, third_country_share_max: float) -> tuple[Material, ...]:
    """Every raw material in the graph against the limit for one third country.

    Args:
        graph: the graph.
        third_country_share_max: the limit, 0..1.
    """
    ways = needed_by(graph, graph.root)
    found = []
    for node in graph.nodes.values():
        if node.kind is not Kind.MATERIAL:
            continue
        stage, country, share = "", "", None
        for origin in node.origins:
            if origin.country not in EU and (share is None or origin.share > share):
                stage, country, share = origin.stage, origin.country, origin.share
        if share is None and node.origins:  # all of it from within the Union
            stage, share = node.origins[0].stage, 0.0
        used = tuple(sorted(e.needer for e in graph.needed_by.get(node.name, ())))
        found.append(
            Material(
                node.name,
                stage,
                country,
                share,
                None if share is None else share > third_country_share_max,
                node.strategic,
                {o.country: o.share for o in node.origins if o.stage == stage},
                node.mass_kg,
                used,
                ways.get(node.name, ()),
            )
        )
    return tuple(sorted(found, key=lambda m: (m.share is None, -(m.share or 0.0), m.name)))


__all__ = [
    "UNKNOWN",
    "Baseline",
    "Concentration",
    "Content",
    "Material",
    "OrderLine",
    "Ownership",
    "before_and_after",
    "bounds",
    "concentration",
    "content",
    "hhi",
    "materials",
    "placed",
    "register",
    "spending",
]
