"""A graph is checked whole, and every problem is told at once in plain words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.policy.tables import thresholds
from gigafactory.supply import (
    EEA,
    EU,
    Bond,
    Edge,
    Effect,
    Graph,
    Kind,
    Node,
    Origin,
    Substitute,
    build,
    check,
)


def named(*names: str) -> tuple[Node, ...]:
    return tuple(Node(name, Kind.COMPONENT) for name in names)


def told(nodes: tuple[Node, ...], *edges: Edge) -> list[str]:
    return [str(problem) for problem in check(nodes[0].name, nodes, edges)]


def test_a_sound_graph_has_no_problems(chain: Graph) -> None:
    assert check(chain.root, tuple(chain.nodes.values()), chain.edges) == []
    assert [edge.needed for edge in chain.needs["memory"]] == ["korea", "boise"]
    assert {edge.needer for edge in chain.needed_by["chip"]} == {"pool"}


def test_every_problem_comes_out_at_once() -> None:
    nodes = (
        Node("plant", Kind.ASSET),
        Node("plant", Kind.ASSET),
        Node(
            "part", Kind.COMPONENT, layer="kitchen", substitutes=(Substitute("x", 1.0, node="prt"),)
        ),
        Node("ore", Kind.MATERIAL, origins=(Origin("CN", 0.8), Origin("US", 0.3))),
        Node("line", Kind.ASSET, count=1, count_needed=2),
    )
    edges = (
        Edge("plant", Bond.DEPENDS_ON, "prat"),
        Edge("part", Bond.DEPENDS_ON, "part"),
        Edge("a", Bond.OWNS, "plant", share=0.7),
    )
    with pytest.raises(BadInput) as refused:
        build("plant", nodes, edges, "mine/supply.yaml")
    problems = [str(problem) for problem in refused.value.problems]
    for words in (
        "this name is given twice",
        "no such layer",
        "no such node; did you mean part?",
        "come to more than 100 %",
        "more are needed than there are (1)",
        "has the same node at both ends",
    ):
        assert any(words in problem for problem in problems), words
    assert all(problem.startswith("mine/supply.yaml") for problem in problems)


def test_shares_over_all_are_refused() -> None:
    owners = named("plant", "a", "b")
    found = told(
        owners,
        Edge("a", Bond.OWNS, "plant", share=0.6),
        Edge("b", Bond.OWNS, "plant", share=0.5),
    )
    assert len(found) == 1
    assert "its owners hold 110 % of it together" in found[0]
    assert told(
        owners,
        Edge("a", Bond.OWNS, "plant", share=0.6),
        Edge("b", Bond.OWNS, "plant", share=0.4),
    ) == []  # fmt: skip
    parts = told(
        owners,
        Edge("plant", Bond.CONSISTS_OF, "a", share=0.8),
        Edge("plant", Bond.CONSISTS_OF, "b", share=0.3),
    )
    assert "its parts are worth 110 % of it together" in parts[0]


def test_nobody_owns_himself_through_others() -> None:
    found = told(
        named("plant", "a", "b"),
        Edge("a", Bond.OWNS, "b", share=0.5),
        Edge("b", Bond.OWNS, "plant", share=0.5),
        Edge("plant", Bond.OWNS, "a", share=0.5),
    )
    assert len(found) == 1
    assert "a owns b owns plant owns a" in found[0]
    assert "circle of ownership" in found[0]


def test_things_that_need_each_other_are_refused_substitutes_included() -> None:
    plain = told(
        named("plant", "a", "b"),
        Edge("a", Bond.DEPENDS_ON, "b"),
        Edge("b", Bond.DEPENDS_ON, "a"),
    )
    assert "a needs b needs a" in plain[0]
    nodes = named("plant", "a", "b")
    stand_in = replace(nodes[1], substitutes=(Substitute("plant", 1.0, node="plant"),))
    through = told((nodes[0], stand_in, nodes[2]), Edge("plant", Bond.DEPENDS_ON, "a"))
    assert "plant needs plant" in through[0]
    harmless = told(
        named("plant", "a"),
        Edge("plant", Bond.DEPENDS_ON, "a"),
        Edge("a", Bond.DEPENDS_ON, "plant", effect=Effect.NOTHING),
    )
    assert harmless == []


def test_a_sentence_is_said_once() -> None:
    edge = Edge("a", Bond.SUPPLIES, "plant")
    assert "is said twice" in told(named("plant", "a"), edge, edge)[0]


def test_the_economic_area_is_that_of_the_rules() -> None:
    assert thresholds().eea == EEA
    assert len(EU) == 27
