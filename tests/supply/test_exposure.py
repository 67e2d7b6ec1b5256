"""Whose law reaches a node, who sits on both sides, and the way from a job to a metal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.supply import (
    Bond,
    Edge,
    Effect,
    Graph,
    Kind,
    Node,
    build,
    conflicts,
    exposure,
    path_between,
    software_bill,
    ultimate,
)


def more(graph: Graph, *nodes: Node, edges: tuple[Edge, ...] = ()) -> Graph:
    return build(graph.root, (*graph.nodes.values(), *nodes), (*graph.edges, *edges))


def test_a_parent_two_levels_up_flips_the_flag(chain: Graph) -> None:
    before = exposure(chain, "plant")
    assert not before.controlled_from_outside
    assert before.verdict == "reached"  # by supply of chips, not by control
    parent = more(
        chain,
        Node("delaware", Kind.PARENT, country="US"),
        edges=(Edge("delaware", Bond.OWNS, "holding", share=0.51),),
    )
    after = exposure(parent, "plant")
    assert after.controlled_from_outside
    assert after.verdict == "exposed"
    first = after.outside[0]
    assert first.path == ("plant", "runner", "holding", "delaware")
    assert (first.jurisdiction, first.way, first.controls) == ("US", "operation", True)
    assert first.share == pytest.approx(0.51)


def test_a_minority_reaches_without_control(chain: Graph) -> None:
    graph = more(
        chain,
        Node("delaware", Kind.PARENT, country="US"),
        edges=(Edge("delaware", Bond.OWNS, "runner", share=0.0),),
    )
    found = exposure(graph, "plant")
    assert not found.controlled_from_outside
    assert ("plant", "runner", "delaware") in [one.path for one in found.outside]
    # what is said counts before what the share suggests
    said = replace(graph.edges[-1], control=True)
    graph = build("plant", graph.nodes.values(), (*graph.edges[:-1], said))
    assert exposure(graph, "plant").controlled_from_outside


def test_a_european_region_of_a_foreign_provider_is_not_free(chain: Graph) -> None:
    region = (
        Node("eu-region", Kind.SERVICE, country="DE", layer="cloud_service"),
        Node("provider-eu", Kind.SUPPLIER, country="DE", actor="cloud_provider"),
        Node("provider", Kind.PARENT, country="US"),
    )
    tied = (
        Edge("plant", Bond.DEPENDS_ON, "eu-region", reaches=True),
        Edge("provider-eu", Bond.SUPPLIES, "eu-region", reaches=True),
    )
    alone = exposure(more(chain, *region, edges=tied), "plant")
    assert not alone.controlled_from_outside
    owned = (*tied, Edge("provider", Bond.OWNS, "provider-eu", share=1.0))
    found = exposure(more(chain, *region, edges=owned), "plant")
    assert found.controlled_from_outside
    assert found.outside[0].path == ("plant", "eu-region", "provider-eu", "provider")


def test_an_unknown_seat_is_no_freedom() -> None:
    graph = build(
        "plant",
        (Node("plant", Kind.ASSET, country="NL"), Node("runner", Kind.OPERATOR)),
        (Edge("runner", Bond.OPERATES, "plant"),),
    )
    found = exposure(graph, "plant")
    assert found.verdict == "unknown"
    assert found.unknown == ("runner",)


def test_further_laws_bind_too() -> None:
    node = Node("maker", Kind.SUPPLIER, country="IE", jurisdictions=("US",))
    graph = build("maker", (node,), ())
    assert exposure(graph, "maker").controlled_from_outside
    assert exposure(graph, "maker", inside={"IE", "US"}).verdict == "free"


def test_an_unknown_node_is_refused_with_the_nearest_name(chain: Graph) -> None:
    with pytest.raises(BadInput, match="did you mean vendor"):
        exposure(chain, "vendr")


def test_a_supplier_who_owns_a_part_is_a_conflict_of_interest(chain: Graph) -> None:
    assert conflicts(chain) == ()
    graph = more(
        chain, edges=(Edge("vendor", Bond.OWNS, "plant", share=0.1, effect=Effect.NOTHING),)
    )
    found = conflicts(graph)
    assert {(one.party, one.thing) for one in found} == {("vendor", "chip"), ("vendor", "stack")}
    assert found[0].owns == ("plant", "vendor")
    assert found[0].share == pytest.approx(0.1)


def test_a_conflict_through_a_fund_and_a_subsidiary_is_seen(chain: Graph) -> None:
    graph = more(
        chain,
        Node("fund", Kind.INVESTOR, country="US"),
        Node("giant", Kind.PARENT, country="US"),
        edges=(
            Edge("fund", Bond.FINANCES, "plant", share=0.4, effect=Effect.NOTHING),
            Edge("giant", Bond.OWNS, "fund", share=0.5),
            Edge("giant", Bond.OWNS, "vendor", share=1.0),
        ),
    )
    found = {(one.party, one.thing): one for one in conflicts(graph)}
    assert set(found) == {("giant", "chip"), ("giant", "stack")}
    one = found["giant", "chip"]
    assert one.owns == ("plant", "fund", "giant")
    assert one.supplies == ("chip", "vendor", "giant")
    assert one.share == pytest.approx(0.2)


def test_who_controls_at_the_top(chain: Graph) -> None:
    graph = more(
        chain,
        Node("top", Kind.PARENT, country="US"),
        Node("side", Kind.PARENT, country="FR"),
        edges=(
            Edge("top", Bond.OWNS, "holding", share=0.6),
            Edge("side", Bond.OWNS, "holding", share=0.4),
        ),
    )
    assert ultimate(graph, "runner") == "top"
    assert ultimate(graph, "vendor") == "vendor"


def test_the_way_from_a_tenant_to_a_raw_material(chain: Graph) -> None:
    assert path_between(chain, "lab", "gallium") == ("lab", "pool", "chip", "gallium")
    assert path_between(chain, "gallium", "lab") == ()


def test_software_stands_beside_hardware(chain: Graph) -> None:
    assert software_bill(chain) == (("stack", "", "", None, ("vendor",)),)
