"""Whose law reaches a thing, by which way; and who sits on both sides of a table.

A law reaches through everybody above: an owner within the EEA does not shield from the parent above
it, nor does an operator within the EEA from the one who owns it. A reach that controls can compel
the one who runs the thing; a reach by supply alone can only keep something from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

from gigafactory.supply.graph import Bond, Edge, Graph, Kind
from gigafactory.supply.places import EEA


@dataclass(frozen=True, slots=True)
class Reach:
    """A way by which a law reaches a node.

    Attributes:
        jurisdiction: country whose law it is.
        holder: the node that law binds.
        path: names from the node up to the holder.
        bonds: what leads from each to the next.
        share: product of the ownership shares on the way; 1 where none is known.
        controls: whether whoever is bound can decide over the node, or stop it.
    """

    jurisdiction: str
    holder: str
    path: tuple[str, ...]
    bonds: tuple[Bond, ...]
    share: float
    controls: bool

    @property
    def way(self) -> str:
        """How it reaches: law, ownership, operation, supply, licence or finance."""
        if not self.bonds:
            return "law"
        first = self.bonds[0]
        names = {
            Bond.OWNS: "ownership",
            Bond.OPERATES: "operation",
            Bond.LICENSES: "licence",
            Bond.FINANCES: "finance",
        }
        return names.get(first, "supply")


@dataclass(frozen=True, slots=True)
class Exposure:
    """What reaches a node from outside.

    Attributes:
        node: the node.
        reaches: every way, those that control first, then the shorter ones.
        inside: countries whose law counts as one's own.
        unknown: nodes on the way whose country nobody knows.
    """

    node: str
    reaches: tuple[Reach, ...]
    inside: frozenset[str]
    unknown: tuple[str, ...]

    @property
    def outside(self) -> tuple[Reach, ...]:
        """Reaches of laws from outside."""
        return tuple(one for one in self.reaches if one.jurisdiction not in self.inside)

    @property
    def controlled_from_outside(self) -> bool:
        """The flag: somebody bound by a law from outside can decide over it or stop it."""
        return any(one.controls for one in self.outside)

    @property
    def verdict(self) -> str:
        """exposed, reached (without control), unknown, or free."""
        if self.controlled_from_outside:
            return "exposed"
        if self.unknown:
            return "unknown"
        return "reached" if self.outside else "free"


def exposure(graph: Graph, name: str, inside: Collection[str] = EEA) -> Exposure:
    """Every law that reaches a node through ownership, operation, supply, licence and finance.

    Args:
        graph: the graph.
        name: of the node.
        inside: countries whose law counts as one's own.

    Returns:
        For each node that is reached from it and each law that binds that node, the shortest way,
        and besides it the shortest one that controls.

    Raises:
        BadInput: there is no such node.
    """
    graph.node(name)
    found: list[Reach] = []
    unknown: list[str] = []
    seen: set[tuple[str, bool]] = set()
    queue: deque[Reach] = deque([Reach("", name, (name,), (), 1.0, True)])
    while queue:
        at = queue.popleft()
        if (at.holder, at.controls) in seen or (at.holder, True) in seen:
            continue
        seen.add((at.holder, at.controls))
        node = graph.nodes[at.holder]
        if not node.laws and at.controls and node.kind.is_party:
            unknown.append(node.name)
        found += [
            Reach(law, at.holder, at.path, at.bonds, at.share, at.controls) for law in node.laws
        ]
        for edge in graph.needs.get(at.holder, ()):
            if edge.needed not in at.path:
                queue.append(_onwards(at, edge))
    ranked = sorted(found, key=lambda r: (not r.controls, len(r.path), r.path, r.jurisdiction))
    return Exposure(name, tuple(ranked), frozenset(inside), tuple(dict.fromkeys(unknown)))


def _onwards(at: Reach, edge: Edge) -> Reach:
    """The way, one edge further."""
    if edge.bond is Bond.OWNS:
        controls, share = edge.controls, 1.0 if edge.share is None else edge.share
    elif edge.bond is Bond.OPERATES:
        controls, share = True, 1.0
    else:
        controls, share = edge.reaches, 1.0
    return Reach(
        "",
        edge.needed,
        (*at.path, edge.needed),
        (*at.bonds, edge.bond),
        at.share * share,
        at.controls and controls,
    )


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody who owns or finances the factory and supplies it.

    Attributes:
        party: who.
        owns: names from the factory up to the party, by ownership or finance.
        supplies: names from what is supplied to the party.
        thing: what is supplied.
        share: part of the factory held, where known on every step; None otherwise.
    """

    party: str
    owns: tuple[str, ...]
    supplies: tuple[str, ...]
    thing: str
    share: float | None


def conflicts(graph: Graph) -> tuple[Conflict, ...]:
    """Every party that owns or finances the factory and, itself or through others, supplies it.

    Returns:
        One for each party and thing, by party; a group counts through the parent it shares.
    """
    holders = _upwards(graph, graph.root, {Bond.OWNS, Bond.FINANCES})
    found: dict[tuple[str, str], Conflict] = {}
    for thing in needed_by(graph, graph.root):
        for edge in graph.into(thing, Bond.SUPPLIES, Bond.LICENSES):
            for party, path in _upwards(graph, edge.source, {Bond.OWNS}).items():
                if party not in holders:
                    continue
                held = holders[party]
                found[party, thing] = Conflict(
                    party, held, (thing, *path), thing, _held(graph, held)
                )
                break  # whoever stands above it is in the same conflict through it
    return tuple(found[key] for key in sorted(found))


def _upwards(graph: Graph, name: str, bonds: set[Bond]) -> dict[str, tuple[str, ...]]:
    """Everybody above a node by these bonds, with the way; itself too, unless it is the root."""
    paths: dict[str, tuple[str, ...]] = {name: (name,)}
    queue = deque([name])
    while queue:
        at = queue.popleft()
        for edge in graph.into(at, *sorted(bonds)):
            if edge.source not in paths:
                paths[edge.source] = (*paths[at], edge.source)
                queue.append(edge.source)
    if name == graph.root:
        del paths[name]
    return paths


def _held(graph: Graph, path: tuple[str, ...]) -> float | None:
    share = 1.0
    for below, above in pairwise(path):
        edges = [e for e in graph.into(below, Bond.OWNS, Bond.FINANCES) if e.source == above]
        if not edges or edges[0].share is None:
            return None
        share *= edges[0].share
    return share


def needed_by(graph: Graph, name: str) -> dict[str, tuple[str, ...]]:
    """Everything a node needs, directly or through others (owners and financiers left out).

    Returns:
        The shortest way to each, from the node itself, which comes first.
    """
    paths: dict[str, tuple[str, ...]] = {name: (name,)}
    queue = deque([name])
    while queue:
        at = queue.popleft()
        for edge in graph.needs.get(at, ()):
            if edge.bond in {Bond.OWNS, Bond.FINANCES} or edge.needed in paths:
                continue
            paths[edge.needed] = (*paths[at], edge.needed)
            queue.append(edge.needed)
    return paths


def path_between(graph: Graph, name: str, needed: str) -> tuple[str, ...]:
    """The shortest way from one who needs to what it needs, such as from a tenant to a metal.

    Returns:
        Names from the first to the last; empty where it does not need it.

    Raises:
        BadInput: one of them is no node.
    """
    graph.node(name)
    graph.node(needed)
    return needed_by(graph, name).get(needed, ())


def ultimate(graph: Graph, party: str) -> str:
    """The controlling owner at the top, by control at each step; itself where there is none."""
    at, seen = party, {party}
    while True:
        above = [e.source for e in graph.into(at, Bond.OWNS) if e.controls]
        if len(above) != 1 or above[0] in seen:  # several at the top: nobody alone decides
            return at
        at = above[0]
        seen.add(at)


def software_bill(graph: Graph) -> tuple[tuple[str, str, str, bool | None, tuple[str, ...]], ...]:
    """Software the factory needs: name, version, licence, whether open source, who licenses it."""
    rows = []
    for name in sorted(needed_by(graph, graph.root)):
        node = graph.nodes[name]
        if node.kind is Kind.SOFTWARE:
            by = tuple(e.source for e in graph.into(name, Bond.LICENSES, Bond.SUPPLIES))
            rows.append((name, node.version, node.licence, node.open_source, by))
    return tuple(rows)


__all__ = [
    "Conflict",
    "Exposure",
    "Reach",
    "conflicts",
    "exposure",
    "needed_by",
    "path_between",
    "software_bill",
    "ultimate",
]
