"""The graph: who owns, runs, supplies and finances what, and what each thing needs.

A node is somebody or something; an edge reads as a sentence, `source bond target`. What an edge
does when its other end stops is part of it: the same vendor's silence stops a licence server at
once, wears a fleet down for want of parts, and leaves a building as it was.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gigafactory.engine.errors import BadInput, Problem

#: Layers of a factory, as its file names them.
LAYERS: Final = (
    "compute",
    "memory_and_storage",
    "network",
    "cloud_service",
    "building",
    "energy",
)
_SLACK: Final = 1e-9


class Kind(StrEnum):
    """What a node is."""

    OWNER = "owner"
    PARENT = "parent"
    INVESTOR = "investor"
    SUPPLIER = "supplier"
    OPERATOR = "operator"
    SOFTWARE = "software"
    COMPONENT = "component"
    MATERIAL = "material"
    SERVICE = "service"
    ASSET = "asset"
    TENANT = "tenant"

    @property
    def is_party(self) -> bool:
        """Whether it is somebody rather than something."""
        return self in (
            Kind.OWNER,
            Kind.PARENT,
            Kind.INVESTOR,
            Kind.SUPPLIER,
            Kind.OPERATOR,
            Kind.TENANT,
        )


class Bond(StrEnum):
    """What an edge says: source, bond, target."""

    OWNS = "owns"
    SUPPLIES = "supplies"
    OPERATES = "operates"
    CONSISTS_OF = "consists_of"
    DEPENDS_ON = "depends_on"
    LICENSES = "licenses"
    FINANCES = "finances"


#: Bonds whose target needs the source; of the others (`consists_of`, `depends_on`) it is the
#: source that needs the target.
FROM_SOURCE: Final = frozenset(
    {Bond.OWNS, Bond.SUPPLIES, Bond.OPERATES, Bond.LICENSES, Bond.FINANCES}
)


class Effect(StrEnum):
    """What happens to the one who needs, when what it needs stops."""

    RUNS = "runs"  # it stops too, once its stock is used
    REPAIRS = "repairs"  # what breaks stays broken, once its spares are used
    UPDATES = "updates"  # it keeps running, without support
    NOTHING = "nothing"  # it goes on


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a figure or statement comes from.

    Attributes:
        about: the setting it stands for; "*" for all of the node or edge.
        text: who said it, in words a reader can look up.
        year: when.
        state: measured, published or assumption.
    """

    about: str
    text: str
    year: int
    state: str


@dataclass(frozen=True, slots=True)
class Substitute:
    """What can take the place of a thing.

    Attributes:
        name: what it is, in words.
        switching_months: from the decision until it works.
        cover_share: part of the need that it covers.
        node: the node it is, where the graph knows it; "" otherwise.
        country: where it comes from; "" where that is not known.
        name_nl: its name in Dutch; the name where empty.
    """

    name: str
    switching_months: float
    cover_share: float = 1.0
    node: str = ""
    country: str = ""
    name_nl: str = ""

    def shown(self, lang: str = "en") -> str:
        """Its name in English or Dutch."""
        return (self.name_nl if lang == "nl" else "") or self.name


@dataclass(frozen=True, slots=True)
class Origin:
    """Part of the world's (or the factory's) supply of a material that comes from a country.

    Attributes:
        country: ISO code.
        share: part of the supply at this stage.
        stage: extraction, processing or supply.
    """

    country: str
    share: float
    stage: str = "processing"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Accelerators still to be delivered.

    Attributes:
        day: local day from which they should work.
        accelerators: how many.
    """

    day: dt.date
    accelerators: int


@dataclass(frozen=True, slots=True)
class Node:
    """Somebody or something.

    Attributes:
        name: its identity.
        kind: what it is.
        title: as shown; the name where empty.
        title_nl: the same in Dutch; the title where empty.
        country: seat of a party, origin of a thing (ISO code); "" where nobody knows.
        jurisdictions: further laws that bind it.
        layer: one of `LAYERS`; "" for what belongs to none.
        actor: type of a party (utility, chip vendor, ...); "" where not said.
        value_eur: what the factory pays for it; None where unknown.
        critical: whether the factory cannot do without it; None to let the graph decide.
        lead_time_months: from order to delivery; None where unknown.
        substitutes: what can take its place.
        origins: where a material comes from, by stage.
        mass_kg: how much of a material is in the factory; None where unknown.
        strategic: whether the law lists a material as strategic; None for what is no material.
        licence: of software.
        version: of software.
        open_source: whether anybody may change and pass it on; None where unknown.
        count: equal pieces of an asset, such as circuits or transformers.
        count_needed: how many of them carry everything.
        accelerators: in it, for a pool.
        h100_equivalent: its size, for a pool.
        power_mw: its IT power at work, for a pool.
        arrivals: accelerators still to come, for a pool.
        sources: where its figures come from.
    """

    name: str
    kind: Kind
    title: str = ""
    title_nl: str = ""
    country: str = ""
    jurisdictions: tuple[str, ...] = ()
    layer: str = ""
    actor: str = ""
    value_eur: float | None = None
    critical: bool | None = None
    lead_time_months: float | None = None
    substitutes: tuple[Substitute, ...] = ()
    origins: tuple[Origin, ...] = ()
    mass_kg: float | None = None
    strategic: bool | None = None
    licence: str = ""
    version: str = ""
    open_source: bool | None = None
    count: int = 1
    count_needed: int = 1
    accelerators: int = 0
    h100_equivalent: float = 0.0
    power_mw: float = 0.0
    arrivals: tuple[Arrival, ...] = ()
    sources: tuple[Citation, ...] = ()

    def shown(self, lang: str = "en") -> str:
        """Its title in English or Dutch, or its name."""
        return (self.title_nl if lang == "nl" else "") or self.title or self.name

    @property
    def laws(self) -> tuple[str, ...]:
        """Countries whose law binds it, its own first."""
        own = (self.country,) if self.country else ()
        return tuple(dict.fromkeys((*own, *self.jurisdictions)))


@dataclass(frozen=True, slots=True)
class Edge:
    """A sentence: source, bond, target.

    Attributes:
        source: a node.
        bond: what it does.
        target: a node.
        share: of what is owned or financed; of what is supplied; of the value of the whole; of
            what rests on it. None where unknown, or where it is all.
        control: whether an owner controls; None to go by more than half, and to take an unknown
            share for control.
        reaches: whether the source can reach data or stop what runs, by a service.
        effect: what happens to the one who needs when the other stops.
        stock_months: what the one who needs has in stock, in months of use; None where unknown.
        failures_per_year: share of what works that breaks in a year and needs a part; None where
            unknown.
        spare_share: spares in stock as a share of what is installed.
        sources: where its figures come from.
    """

    source: str
    bond: Bond
    target: str
    share: float | None = None
    control: bool | None = None
    reaches: bool = False
    effect: Effect = Effect.RUNS
    stock_months: float | None = None
    failures_per_year: float | None = None
    spare_share: float = 0.0
    sources: tuple[Citation, ...] = ()

    @property
    def needer(self) -> str:
        """The end that needs the other one."""
        return self.target if self.bond in FROM_SOURCE else self.source

    @property
    def needed(self) -> str:
        """The end that is needed."""
        return self.source if self.bond in FROM_SOURCE else self.target

    @property
    def controls(self) -> bool:
        """Whether an owner controls what it owns."""
        if self.control is not None:
            return self.control
        return self.share is None or self.share > 0.5

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same sentence as another."""
        return (self.source, str(self.bond), self.target)


@dataclass(frozen=True, slots=True)
class Graph:
    """A checked graph.

    Attributes:
        root: the node that is the factory.
        nodes: by name.
        edges: in the order given.
        needs: edges of which a node is the one who needs, by its name.
        needed_by: edges of which a node is what is needed, by its name.
    """

    root: str
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    needs: Mapping[str, tuple[Edge, ...]] = field(repr=False, default_factory=dict)
    needed_by: Mapping[str, tuple[Edge, ...]] = field(repr=False, default_factory=dict)

    def into(self, name: str, *bonds: Bond) -> tuple[Edge, ...]:
        """Edges of these bonds that end in a node."""
        return tuple(
            edge
            for edge in (*self.needs.get(name, ()), *self.needed_by.get(name, ()))
            if edge.target == name and edge.bond in bonds
        )

    def node(self, name: str) -> Node:
        """A node by its name.

        Raises:
            BadInput: there is none, with the nearest name.
        """
        if name not in self.nodes:
            why = f"no such node in the supply graph; {nearest(name, self.nodes)}"
            raise BadInput([Problem("supply graph", "node", name, why)])
        return self.nodes[name]

    @property
    def pools(self) -> tuple[Node, ...]:
        """Nodes with accelerators."""
        return tuple(n for n in self.nodes.values() if n.accelerators or n.arrivals)

    @property
    def tenants(self) -> tuple[Node, ...]:
        """Tenants."""
        return tuple(n for n in self.nodes.values() if n.kind is Kind.TENANT)

    def things(self) -> Iterator[Node]:
        """What is bought or built, rather than who; without the factory itself."""
        for node in self.nodes.values():
            if not node.kind.is_party and node.name != self.root:
                yield node


def build(root: str, nodes: Iterable[Node], edges: Iterable[Edge], where: str = "graph") -> Graph:
    """Check nodes and edges and make a graph of them.

    Args:
        root: name of the node that is the factory.
        nodes: in any order.
        edges: in any order.
        where: the file, for the reader of a problem.

    Raises:
        BadInput: with every problem, in plain words.
    """
    listed, sentences = tuple(nodes), tuple(edges)
    problems = check(root, listed, sentences, where)
    if problems:
        raise BadInput(problems)
    needs: dict[str, list[Edge]] = {}
    needed: dict[str, list[Edge]] = {}
    for edge in sentences:
        needs.setdefault(edge.needer, []).append(edge)
        needed.setdefault(edge.needed, []).append(edge)
    return Graph(
        root,
        MappingProxyType({node.name: node for node in listed}),
        sentences,
        MappingProxyType({name: tuple(found) for name, found in needs.items()}),
        MappingProxyType({name: tuple(found) for name, found in needed.items()}),
    )


def check(
    root: str, nodes: tuple[Node, ...], edges: tuple[Edge, ...], where: str = "graph"
) -> list[Problem]:
    """Every problem of nodes and edges; empty when a graph can be made of them.

    Found are: a name given twice, an end or substitute that is not there, a sentence said twice,
    somebody who owns himself through others, things that need each other in a circle, and shares
    that come to more than 100 % or lie outside of 0 to 100 %.
    """
    known = {node.name for node in nodes}
    problems = _names(root, nodes, known, where)
    problems += _ends(edges, known, where)
    problems += _shares(nodes, edges, where)
    sound = [edge for edge in edges if edge.source in known and edge.target in known]
    owned: dict[str, list[str]] = {}
    for edge in sound:
        if edge.bond is Bond.OWNS:
            owned.setdefault(edge.source, []).append(edge.target)
    for circle in _circles(owned):
        why = "is a circle of ownership: nobody owns himself through others; take one of them out"
        problems.append(Problem(where, "edges", " owns ".join(circle), why))
    needs: dict[str, list[str]] = {}
    stand_ins = {node.name: [s.node for s in node.substitutes if s.node in known] for node in nodes}
    for edge in sound:
        if edge.effect is not Effect.NOTHING and edge.bond not in {Bond.OWNS, Bond.FINANCES}:
            needs.setdefault(edge.needer, []).extend((edge.needed, *stand_ins[edge.needed]))
    for circle in _circles(needs):
        why = (
            "need each other in a circle (substitutes included), so nothing says which stops first"
        )
        problems.append(Problem(where, "edges", " needs ".join(circle), why))
    return problems


def _names(root: str, nodes: tuple[Node, ...], known: set[str], where: str) -> list[Problem]:
    problems = []
    if root not in known:
        problems.append(Problem(where, "root", root, "the factory itself is no node"))
    seen: set[str] = set()
    for node in nodes:
        at = f"nodes.{node.name}"
        if node.name in seen:
            problems.append(Problem(where, at, "", "this name is given twice"))
        seen.add(node.name)
        if node.layer and node.layer not in LAYERS:
            why = f"no such layer; one of {', '.join(LAYERS)}"
            problems.append(Problem(where, f"{at}.layer", node.layer, why))
        if node.count_needed > node.count:
            why = f"more are needed than there are ({node.count})"
            problems.append(Problem(where, f"{at}.count_needed", str(node.count_needed), why))
        for one in node.substitutes:
            if one.node and one.node not in known:
                why = f"no such node; {nearest(one.node, known)}"
                problems.append(Problem(where, f"{at}.substitutes", one.node, why))
            elif one.node == node.name:
                why = "nothing is its own substitute"
                problems.append(Problem(where, f"{at}.substitutes", one.node, why))
    return problems


def _ends(edges: tuple[Edge, ...], known: set[str], where: str) -> list[Problem]:
    problems = []
    said: set[tuple[str, str, str]] = set()
    for edge in edges:
        words = f"{edge.source} {edge.bond} {edge.target}"
        for key, end in (("from", edge.source), ("to", edge.target)):
            if end not in known:
                why = f"no such node; {nearest(end, known)}"
                problems.append(Problem(where, f"edges.{key}", end, why))
        if edge.source == edge.target:
            problems.append(Problem(where, "edges", words, "has the same node at both ends"))
        if edge.key in said:
            problems.append(Problem(where, "edges", words, "is said twice"))
        said.add(edge.key)
    return problems


def _shares(nodes: tuple[Node, ...], edges: tuple[Edge, ...], where: str) -> list[Problem]:
    problems = []
    sums: dict[tuple[Bond, str], float] = {}
    for edge in edges:
        if edge.share is None:
            continue
        if not 0.0 <= edge.share <= 1.0:
            words = f"{edge.source} {edge.bond} {edge.target}"
            problems.append(Problem(where, "edges.share", words, "must be from 0 to 100 %"))
        whole = edge.source if edge.bond in {Bond.CONSISTS_OF, Bond.DEPENDS_ON} else edge.target
        sums[edge.bond, whole] = sums.get((edge.bond, whole), 0.0) + edge.share
    told = {
        Bond.OWNS: "its owners hold {0:.4g} % of it together, which is more than 100 %",
        Bond.FINANCES: "its financiers carry {0:.4g} % of it together, which is more than 100 %",
        Bond.SUPPLIES: "its suppliers supply {0:.4g} % of it together, which is more than 100 %",
        Bond.CONSISTS_OF: "its parts are worth {0:.4g} % of it together, which is more than 100 %",
        Bond.DEPENDS_ON: "{0:.4g} % of it rests on others together, which is more than 100 %",
    }
    for (bond, name), total in sums.items():
        if bond in told and total > 1.0 + _SLACK:
            why = told[bond].format(100 * total)
            problems.append(Problem(where, f"nodes.{name}", f"{100 * total:.4g} %", why))
    for node in nodes:
        stages: dict[str, float] = {}
        for origin in node.origins:
            stages[origin.stage] = stages.get(origin.stage, 0.0) + origin.share
        for stage, total in stages.items():
            if total > 1.0 + _SLACK:
                why = f"its origins in {stage} come to more than 100 %"
                at = f"nodes.{node.name}.origins"
                problems.append(Problem(where, at, f"{100 * total:.4g} %", why))
    return problems


def _circles(next_of: Mapping[str, list[str]]) -> list[tuple[str, ...]]:
    """Each circle that a depth-first search meets, once, from its least name."""
    found: dict[tuple[str, ...], None] = {}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = above[above.index(name) :]
            least = circle.index(min(circle))
            turned = (*circle[least:], *circle[:least])
            found.setdefault((*turned, turned[0]))
            return
        if name in done:
            return
        for other in next_of.get(name, ()):
            visit(other, (*above, name))
        done.add(name)

    for name in sorted(next_of):
        visit(name, ())
    return list(found)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name nearest to a wrong one, or what is known where nothing is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), [n.lower() for n in names], 1, 0.5)
    if close:
        match = next(n for n in names if n.lower() == close[0])
        return f"did you mean {match}?"
    few = ", ".join(names[:8])
    return f"known are {few}{', ...' if len(names) > 8 else ''}"


__all__ = [
    "FROM_SOURCE",
    "LAYERS",
    "Arrival",
    "Bond",
    "Citation",
    "Edge",
    "Effect",
    "Graph",
    "Kind",
    "Node",
    "Origin",
    "Substitute",
    "build",
    "check",
    "nearest",
]
