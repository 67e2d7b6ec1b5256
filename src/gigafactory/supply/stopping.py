"""What stops when this stops: month by month, with stock, spares and substitutes giving time.

Every node has a level, 1 when all is well and 0 when it is gone. The level of month k (from 1) is
the mean of that month for what runs on stock, and the level at its end for what breaks and is not
repaired. What needs several suppliers of one thing gets the sum of what each still delivers; what
needs several things gets the least of them. Accelerators in service do not stop because no new ones
are made: they wear down as they break, once the spares are gone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.supply.exposure import ultimate
from gigafactory.supply.graph import (
    Bond,
    Edge,
    Effect,
    Graph,
    Kind,
    Node,
    nearest,
)

MONTHS: Final = 36
DAYS_PER_MONTH: Final = 365.25 / 12.0
_FULL: Final = 1.0 - 1e-9
_NEEDS: Final = frozenset(
    {Bond.SUPPLIES, Bond.OPERATES, Bond.LICENSES, Bond.CONSISTS_OF, Bond.DEPENDS_ON, Bond.FINANCES}
)

Levels = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What is cut off.

    Attributes:
        name: as asked: a node, or a country by its code.
        nodes: nodes that are gone, with the share of each that is left.
        country: the country, where one was asked.
        disables: whether what they supplied is switched off from afar too, installed or not.
    """

    name: str
    nodes: Mapping[str, float]
    country: str = ""
    disables: bool = False


def cut_of(graph: Graph, asked: str, *, disables: bool = False) -> Cut:
    """What is meant by a node's name, by a country's code, or by `asset=1` (one piece of it).

    A country takes with it every supplier, software, service, component and material of its own,
    every supplier whose controlling owner has its seat there, and its part of every raw material.

    Raises:
        BadInput: nothing is meant by it, with the nearest name.
    """
    name, _, pieces = asked.partition("=")
    if name in graph.nodes:
        node = graph.nodes[name]
        if not pieces:
            return Cut(name, {name: 0.0}, disables=disables)
        if not pieces.isdecimal() or not 1 <= int(pieces) <= node.count:
            why = f"{name} has {node.count} equal pieces; ask for 1 to {node.count} of them"
            raise BadInput([Problem("--stop", name, pieces, why)])
        left = (node.count - int(pieces)) / node.count_needed
        return Cut(asked, {name: min(1.0, left)})
    if len(name) == 2 and name.isupper():
        gone = {n.name: 0.0 for n in graph.nodes.values() if _of_country(graph, n, name)}
        for node in graph.nodes.values():
            stages = [o.share for o in node.origins if o.country == name]
            if stages:
                gone[node.name] = min(gone.get(node.name, 1.0), 1.0 - max(stages))
        if gone:
            return Cut(name, gone, name, disables)
        why = "nothing in the supply graph comes from this country"
        raise BadInput([Problem("--stop", "country", name, why)])
    why = f"no such node in the supply graph; {nearest(name, graph.nodes)}"
    raise BadInput([Problem("--stop", "node", name, why)])


def _of_country(graph: Graph, node: Node, country: str) -> bool:
    """Whether a country can keep a node from the factory (what stands on the site it cannot)."""
    if node.kind in {Kind.SOFTWARE, Kind.SERVICE, Kind.COMPONENT, Kind.MATERIAL}:
        return node.country == country
    if node.kind is not Kind.SUPPLIER:
        return False
    return country in (node.country, graph.nodes[ultimate(graph, node.name)].country)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens on the way.

    Attributes:
        month: after how many months.
        what: `stock_ends`, `spares_end`, `substitute`, `replaced` or `unsupported`.
        node: the one who needs.
        of: what it needs.
        by: the substitute; "" otherwise.
        by_nl: the same in Dutch.
    """

    month: float
    what: str
    node: str
    of: str
    by: str = ""
    by_nl: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """What stops when something stops.

    Attributes:
        cut: what was cut off.
        months: how many were looked at.
        levels: of every node that is touched, by month.
        runs: of each pool, what is left for what it runs on, by month.
        repairs: of each pool, what is not broken for want of parts, by month.
        parts: of each pool, whether what it is made of still comes, by month.
        h100_equivalent: what the factory should have, by month.
        lost_h100_equivalent: of it lost, by month.
        lost_accelerators: physical accelerators lost, by month.
        lost_power_mw: IT power that stands still, MW, by month.
        tenants: level of each tenant, by month.
        steps: what happens on the way, by month.
        unknown: needs that were touched and of which nobody knows how long they hold: the one who
            needs, what it needs, and which figure is missing.
    """

    cut: Cut
    months: int
    levels: Mapping[str, Levels]
    runs: Mapping[str, Levels]
    repairs: Mapping[str, Levels]
    parts: Mapping[str, Levels]
    h100_equivalent: Levels
    lost_h100_equivalent: Levels
    lost_accelerators: Levels
    lost_power_mw: Levels
    tenants: Mapping[str, Levels]
    steps: tuple[Step, ...]
    unknown: tuple[tuple[str, str, str], ...]

    def share_lost(self, month: int) -> float:
        """Part of the H100-equivalents lost in a month (from 1)."""
        whole = self.h100_equivalent[month - 1]
        return self.lost_h100_equivalent[month - 1] / whole if whole else 0.0

    @property
    def share_lost_max(self) -> float:
        """The largest part lost in any month."""
        return max(self.share_lost(month) for month in range(1, self.months + 1))

    def first_month(self, tolerance_share: float = 0.0) -> int | None:
        """The first month in which more than a share is lost; None for never."""
        for month in range(1, self.months + 1):
            if self.share_lost(month) > tolerance_share + 1e-9:
                return month
        return None

    def recovered_month(self, tolerance_share: float = 0.0) -> int | None:
        """The month from which no more than a share is lost to the end; None for never."""
        begun = self.first_month(tolerance_share)
        if begun is None:
            return None
        for month in range(self.months, begun - 1, -1):
            if self.share_lost(month) > tolerance_share + 1e-9:
                return month + 1 if month < self.months else None
        return None

    def tenants_hit(self, month: int, tolerance_share: float = 0.0) -> tuple[str, ...]:
        """Tenants that have lost more than a share of what they can run on, in a month."""
        return tuple(
            name
            for name, levels in self.tenants.items()
            if 1.0 - levels[month - 1] > tolerance_share + 1e-9
        )

    def outage_months(self, tenant: str) -> float:
        """What a tenant loses, in months of its whole work."""
        return sum(1.0 - level for level in self.tenants[tenant])


def what_stops(
    graph: Graph, cut: Cut | str, months: int = MONTHS, on: dt.date | None = None
) -> Stop:
    """Follow a cut through the graph.

    Args:
        graph: the graph.
        cut: what is cut off, or its name as `cut_of` reads it.
        months: how many months to look ahead.
        on: the day of the cut, which decides what is still to be delivered; before all of it
            where left out.

    Raises:
        BadInput: nothing is meant by the name.
    """
    asked = cut_of(graph, cut) if isinstance(cut, str) else cut
    march = _March(graph, asked, months)
    pools = {pool.name: march.level(pool.name) for pool in graph.pools}
    tenants = {tenant.name: march.level(tenant.name) for tenant in graph.tenants}
    for node in graph.nodes:
        march.level(node)
    fleet = [_fleet(march, pool, pools[pool.name], on) for pool in graph.pools]

    def summed(place: int) -> Levels:
        return tuple(sum(row[place][m] for row in fleet) for m in range(months))

    touched = {n: found for n, found in march.levels.items() if min(found) < _FULL}
    return Stop(
        asked,
        months,
        touched,
        {pool: march.split(pool)[0] for pool in pools},
        {pool: march.split(pool)[1] for pool in pools},
        {pool: march.parts(pool) for pool in pools},
        summed(0),
        summed(1),
        summed(2),
        summed(3),
        tenants,
        tuple(sorted(march.steps, key=lambda s: (s.month, s.what, s.node, s.of, s.by))),
        tuple(sorted(march.unknown)),
    )


def _fleet(
    march: _March, pool: Node, levels: Levels, on: dt.date | None
) -> tuple[Levels, Levels, Levels, Levels]:
    """Planned and lost H100-equivalents, lost accelerators and lost power of a pool, by month."""
    late = sum(a.accelerators for a in pool.arrivals if on is None or a.day > on)
    begun = pool.accelerators - late
    each = pool.h100_equivalent / pool.accelerators if pool.accelerators else 0.0
    each_mw = pool.power_mw / pool.accelerators if pool.accelerators else 0.0
    parts = march.parts(pool.name)
    planned, there = [], []
    for m in range(march.months):
        due = _due(pool, on, m)
        come = 0
        for k in range(m + 1):  # what was due while nothing came arrives when something does
            if parts[k] >= _FULL:
                come = _due(pool, on, k)
        planned.append(float(begun + due))
        there.append((begun + come) * levels[m])
    lost = [a - b for a, b in zip(planned, there, strict=True)]
    return (
        tuple(each * n for n in planned),
        tuple(each * n for n in lost),
        tuple(lost),
        tuple(each_mw * n for n in lost),
    )


def _due(pool: Node, on: dt.date | None, month: int) -> int:
    """Accelerators due by the end of a month (from 0) after the cut."""
    if on is None:
        return sum(a.accelerators for a in pool.arrivals)
    end = on + dt.timedelta(days=round((month + 1) * DAYS_PER_MONTH))
    return sum(a.accelerators for a in pool.arrivals if on < a.day <= end)


@dataclass(slots=True)
class _March:
    """Levels by month, worked out on demand."""

    graph: Graph
    cut: Cut
    months: int
    levels: dict[str, Levels] = field(default_factory=dict)
    steps: dict[Step, None] = field(default_factory=dict)
    unknown: set[tuple[str, str, str]] = field(default_factory=set)

    def level(self, name: str) -> Levels:
        """Level of a node in every month."""
        if name not in self.levels:
            runs, repairs = self.split(name)
            found = tuple(min(pair) for pair in zip(runs, repairs, strict=True))
            self.levels[name] = self._cut(name, found)
        return self.levels[name]

    def _cut(self, name: str, found: Levels) -> Levels:
        left = self.cut.nodes.get(name)
        if left is None:
            return found
        node = self.graph.nodes[name]
        back = self.months
        if node.kind is Kind.ASSET and node.lead_time_months is not None and left < _FULL:
            back = -int(-node.lead_time_months // 1)
            if back < self.months:  # made again, by whoever can still make it
                self.steps.setdefault(Step(node.lead_time_months, "replaced", name, name))
        return tuple(
            min(level, left) if month < back else level for month, level in enumerate(found)
        )

    def split(self, name: str) -> tuple[Levels, Levels]:
        """What a node runs on, and what of it is not broken, by month."""
        runs = [1.0] * self.months
        repairs = [1.0] * self.months
        for edges in self._groups(name):
            levels = self._group(edges)
            into = repairs if self.effect(edges[0]) is Effect.REPAIRS else runs
            for month, level in enumerate(levels):
                into[month] = min(into[month], level)
        return tuple(runs), tuple(repairs)

    def parts(self, name: str) -> Levels:
        """Whether what a pool is made of still comes, by month."""
        found = [1.0] * self.months
        for edge in self.graph.needs.get(name, ()):
            if edge.effect is Effect.REPAIRS and edge.bond in _NEEDS:
                for month, level in enumerate(self.available(edge)):
                    found[month] = min(found[month], level)
        return tuple(found)

    def effect(self, edge: Edge) -> Effect:
        """What an edge does in this cut: what is switched off from afar stops at once."""
        if not self.cut.disables or edge.effect not in {Effect.REPAIRS, Effect.UPDATES}:
            return edge.effect
        makers = {e.source for e in self.graph.into(edge.needed, Bond.SUPPLIES, Bond.LICENSES)}
        gone = {name for name, left in self.cut.nodes.items() if left <= 0.0}
        return Effect.RUNS if gone & {edge.needed, *makers} else edge.effect

    def _groups(self, name: str) -> list[list[Edge]]:
        """Needs that stand for each other: suppliers of one thing, and what has shares."""
        single: list[list[Edge]] = []
        together: dict[tuple[Bond, Effect], list[Edge]] = {}
        for edge in self.graph.needs.get(name, ()):
            if edge.effect is Effect.NOTHING or edge.bond not in _NEEDS:
                continue
            shared = edge.bond is Bond.SUPPLIES or (
                edge.bond in {Bond.DEPENDS_ON, Bond.FINANCES} and edge.share is not None
            )
            if shared:
                together.setdefault((edge.bond, self.effect(edge)), []).append(edge)
            else:
                single.append([edge])
        return [*single, *together.values()]

    def _group(self, edges: list[Edge]) -> Levels:
        given = sum(e.share for e in edges if e.share is not None)
        silent = sum(1 for e in edges if e.share is None)
        weights = [
            e.share if e.share is not None else max(0.0, 1.0 - given) / silent for e in edges
        ]
        total = sum(weights)
        if total <= 0.0:
            weights, total = [1.0] * len(edges), float(len(edges))
        levels = [self._held(edge) for edge in edges]
        return tuple(
            sum(w * one[month] for w, one in zip(weights, levels, strict=True)) / total
            for month in range(self.months)
        )

    def available(self, edge: Edge) -> Levels:
        """What still comes of what an edge needs, substitutes included, by month."""
        needed = self.graph.nodes[edge.needed]
        found = list(self.level(needed.name))
        if min(found) >= _FULL:
            return tuple(found)
        for one in needed.substitutes:
            if self._is_cut(one.node, one.country):
                continue
            other = self.level(one.node) if one.node else (1.0,) * self.months
            first = -int(-one.switching_months // 1)
            if first < self.months:
                self.steps.setdefault(
                    Step(
                        one.switching_months,
                        "substitute",
                        edge.needer,
                        needed.name,
                        one.name,
                        one.shown("nl"),
                    )
                )
            for month in range(first, self.months):
                found[month] = min(1.0, found[month] + one.cover_share * other[month])
        return tuple(found)

    def _is_cut(self, node: str, country: str) -> bool:
        """Whether a substitute is cut off too; without a known origin it is no proof of another."""
        if self.cut.nodes.get(node, 1.0) <= 0.0:
            return True
        return bool(self.cut.country) and not node and country in {"", self.cut.country}

    def _held(self, edge: Edge) -> Levels:
        """What a need comes to in every month, after stock or spares."""
        available = self.available(edge)
        if min(available) >= _FULL:
            return available
        effect = self.effect(edge)
        if effect is Effect.UPDATES:
            self._unsupported(edge, available)
            return (1.0,) * self.months
        if effect is Effect.REPAIRS:
            if edge.failures_per_year is None:
                self.unknown.add((edge.needer, edge.needed, "failures_per_year"))
                return (1.0,) * self.months
            levels, ended = worn(edge.failures_per_year, edge.spare_share, available)
            self._note("spares_end", ended, edge)
            return levels
        made = self.graph.nodes[edge.needer].kind in {Kind.COMPONENT, Kind.MATERIAL}
        if edge.stock_months is None and made:
            self.unknown.add((edge.needer, edge.needed, "stock_months"))
        if effect is not edge.effect:  # what is switched off has no stock
            return available
        levels, ended = eaten(edge.stock_months or 0.0, available)
        self._note("stock_ends", ended if edge.stock_months else None, edge)
        return levels

    def _note(self, what: str, month: float | None, edge: Edge) -> None:
        if month is not None:
            self.steps.setdefault(Step(month, what, edge.needer, edge.needed))

    def _unsupported(self, edge: Edge, available: Levels) -> None:
        for month, level in enumerate(available):
            if level < _FULL and month >= (edge.stock_months or 0.0) - 1e-9:
                self._note("unsupported", float(month), edge)
                return


def eaten(stock_months: float, available: Levels) -> tuple[Levels, float | None]:
    """What is left to run on when less comes than is used, and a stock makes up for it.

    Args:
        stock_months: the stock, in months of full use.
        available: what comes in each month, as a share of full use.

    Returns:
        The mean level of each month, and after how many months the stock is gone (None for never).
    """
    left, levels, ended = stock_months, [], None
    for month, comes in enumerate(available):
        short = 1.0 - comes
        taken = min(short, left)
        left -= taken
        if short > 1e-9 and taken < short - 1e-9 and ended is None:
            ended = month + taken / short
        levels.append(comes + taken)
    return tuple(levels), ended


def worn(
    failures_per_year: float, spare_share: float, available: Levels
) -> tuple[Levels, float | None]:
    """What still works of a fleet whose parts do not come, the survival curve without the vendor.

    Of what works, ``1 - (1 - failures_per_year) ** (1/12)`` breaks in a month. Spares replace what
    breaks until they are gone. When everything comes again, everything is repaired.

    Args:
        failures_per_year: share of what works that breaks in a year and needs a part.
        spare_share: spares in stock, as a share of the fleet.
        available: which part of the parts needed comes in each month.

    Returns:
        The level at the end of each month, and after how many months the spares are gone (None for
        never).
    """
    rate = 1.0 - (1.0 - failures_per_year) ** (1.0 / 12.0)
    works, spares, ended = 1.0, spare_share, None
    levels = []
    for month, comes in enumerate(available):
        if comes >= _FULL:
            works, spares = 1.0, spare_share
            levels.append(works)
            continue
        short = works * rate * (1.0 - comes)
        taken = min(short, spares)
        spares -= taken
        if taken < short - 1e-12 and ended is None:
            ended = month + taken / short
        works -= short - taken
        levels.append(works)
    return tuple(levels), ended


def rests_on(graph: Graph, name: str) -> frozenset[str]:
    """Everything that in the end needs a node, in whatever way but by ownership or for nothing."""
    found: set[str] = set()
    left = [name]
    while left:
        at = left.pop()
        for edge in graph.needed_by.get(at, ()):
            counts = edge.bond in _NEEDS and edge.effect is not Effect.NOTHING
            if counts and edge.needer not in found:
                found.add(edge.needer)
                left.append(edge.needer)
    return frozenset(found)


__all__ = [
    "DAYS_PER_MONTH",
    "MONTHS",
    "Cut",
    "Levels",
    "Step",
    "Stop",
    "cut_of",
    "eaten",
    "rests_on",
    "what_stops",
    "worn",
]
