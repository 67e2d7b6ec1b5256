"""The supply graph of a factory: what its file says, and what `supply.yaml` of its dossier adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import SourcedBlock
from gigafactory.factory.dossier import Dossier
from gigafactory.factory.models import Factory
from gigafactory.factory.provenance import read_citation
from gigafactory.factory.supplybase import Draft, base_of
from gigafactory.factory.supplyfile import (
    OwnershipBaseline,
    SupplyEdge,
    SupplyFile,
    SupplyNode,
    SupplyRules,
)
from gigafactory.plant import Chip, load_catalogue
from gigafactory.supply import (
    Baseline,
    Bond,
    Citation,
    Edge,
    Effect,
    Graph,
    Kind,
    Node,
    Origin,
    Ownership,
    Remedy,
    Substitute,
    before_and_after,
    build,
    ultimate,
)

#: The file of a dossier.
FILE: Final = "supply.yaml"
_S_PER_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class SupplyPicture:
    """The supply graph of a factory and what it is held against.

    Attributes:
        graph: the graph.
        rules: limits and times.
        baseline: who owned the world's accelerators before; None where nobody says.
        stated: whether the dossier has a supply file; without one the graph knows little.
    """

    graph: Graph
    rules: SupplyRules
    baseline: Baseline | None
    stated: bool

    @property
    def remedy(self) -> Remedy:
        """How long the Union takes to answer coercion."""
        rules = self.rules
        return Remedy(
            rules.examination_s / _S_PER_DAY,
            rules.decision_low_s / _S_PER_DAY,
            rules.decision_high_s / _S_PER_DAY,
            rules.response_s / _S_PER_DAY,
        )

    def ownership(self) -> tuple[Ownership, Ownership] | None:
        """Ownership of the world's accelerators without the factory and with it.

        The factory counts for the country of the owner who controls whoever operates it.
        """
        if self.baseline is None:
            return None
        graph = self.graph
        runs = graph.into(graph.root, Bond.OPERATES)
        top = ultimate(graph, runs[0].source) if runs else ""
        country = graph.nodes[top].country if top else ""
        size = sum(pool.h100_equivalent for pool in graph.pools)
        return before_and_after(self.baseline, size, top or graph.root, country)


def supply_of(
    factory: Factory, dossier: Dossier, catalogue: Mapping[str, Chip] | None = None
) -> SupplyPicture:
    """The supply graph of a factory.

    Args:
        factory: a checked factory.
        dossier: its dossier; without a `supply.yaml` the graph is what the factory file says.
        catalogue: accelerators; the bundled catalogue when left out.

    Raises:
        BadInput: with every problem of `supply.yaml`.
    """
    chips = load_catalogue() if catalogue is None else catalogue
    said = dossier.load(FILE, SupplyFile)
    rules = said.rules if said is not None else SupplyRules()
    draft = base_of(factory, chips, rules.chip_failures)
    if said is None:
        graph = build(factory.name, draft.nodes.values(), draft.edges.values(), factory.name)
        return SupplyPicture(graph, rules, None, False)
    where = f"{dossier.name}/{FILE}"
    problems = [
        problem
        for at, block in _blocks(said)
        for problem in _citations_wrong(where, at, block.sources)
    ]
    for name, node in said.nodes.items():
        draft.nodes[name] = _merged(draft, name, node, said.sources)
    seen: set[tuple[str, str, str]] = set()
    for row in said.edges:
        edge = _edge(row, said.sources)
        if edge.key in seen:
            words = f"{row.from_} {row.bond} {row.to}"
            problems.append(Problem(where, "edges", words, "is said twice"))
        seen.add(edge.key)
        draft.edges[edge.key] = _known(draft, row, edge)
    try:
        graph = build(factory.name, draft.nodes.values(), draft.edges.values(), where)
    except BadInput as bad:
        raise BadInput([*problems, *bad.problems]) from None
    if problems:
        raise BadInput(problems)
    baseline = None if said.baseline is None else _baseline(said.baseline, said.sources)
    return SupplyPicture(graph, rules, baseline, True)


def _blocks(said: SupplyFile) -> list[tuple[str, SourcedBlock]]:
    found: list[tuple[str, SourcedBlock]] = [("", said), ("rules", said.rules)]
    found += [(f"nodes.{name}", node) for name, node in said.nodes.items()]
    found += [(f"edges.{e.from_} {e.bond} {e.to}", e) for e in said.edges]
    if said.baseline is not None:
        found.append(("baseline", said.baseline))
    return found


def _citations_wrong(where: str, at: str, sources: Mapping[str, str]) -> list[Problem]:
    why = "must read: source, year, measured|published|assumption"
    return [
        Problem(where, f"{at}.sources.{key}".lstrip("."), text, why)
        for key, text in sources.items()
        if not read_citation(text)[1]
    ]


def _cited(
    sources: Mapping[str, str], around: Mapping[str, str] | None = None
) -> tuple[Citation, ...]:
    """The sources of a block; what they leave open has that of the file around it."""
    found = dict(sources)
    if around and "*" in around:
        found.setdefault("*", around["*"])
    return tuple(Citation(key, *read_citation(text)) for key, text in found.items())


def _merged(draft: Draft, name: str, said: SupplyNode, around: Mapping[str, str]) -> Node:
    """A node of the file; what it leaves open is as the factory file says it."""
    node = Node(
        name,
        Kind(said.kind),
        said.title or "",
        said.title_nl or "",
        "" if said.country == "unknown" else said.country,
        said.jurisdictions,
        said.layer or "",
        said.actor or "",
        said.value_eur,
        said.critical,
        said.lead_time_months,
        tuple(
            Substitute(
                s.name,
                s.switching_months,
                s.cover_share,
                s.node or "",
                "" if s.country == "unknown" else s.country,
                s.name_nl or "",
            )
            for s in said.substitutes
        ),
        tuple(Origin(o.country, o.share, o.stage) for o in said.origins),
        said.mass_kg,
        said.strategic,
        said.licence or "",
        said.version or "",
        said.open_source,
        said.count,
        said.count_needed,
        sources=_cited(said.sources, around),
    )
    before = draft.nodes.get(name)
    if before is None:
        return node
    given = said.model_fields_set
    open_: dict[str, Any] = {
        one.name: getattr(before, one.name)
        for one in fields(Node)
        if one.name not in {*given, "name", "sources"} and getattr(before, one.name)
    }
    return replace(node, **open_, sources=(*node.sources, *before.sources))


def _edge(row: SupplyEdge, around: Mapping[str, str]) -> Edge:
    bond = Bond(row.bond)
    quiet = bond in {Bond.OWNS, Bond.FINANCES}
    effect = Effect(row.effect) if row.effect else Effect.NOTHING if quiet else Effect.RUNS
    return Edge(
        row.from_,
        bond,
        row.to,
        row.share,
        row.control,
        row.reaches,
        effect,
        row.stock_months,
        row.failures_per_year,
        row.spare_share,
        _cited(row.sources, around),
    )


def _known(draft: Draft, row: SupplyEdge, edge: Edge) -> Edge:
    """An edge of the file; what it leaves open is as the factory file says it."""
    before = draft.edges.get(edge.key)
    if before is None:
        return edge
    given = row.model_fields_set
    names = ("share", "effect", "stock_months", "failures_per_year", "spare_share", "reaches")
    return replace(edge, **{n: getattr(before, n) for n in names if n not in given})


def _baseline(said: OwnershipBaseline, around: Mapping[str, str]) -> Baseline:
    return Baseline(
        said.day,
        said.h100_equivalents,
        tuple((h.name, h.country, h.share) for h in said.holders),
        _cited(said.sources, around),
    )


__all__ = ["FILE", "SupplyPicture", "supply_of"]
