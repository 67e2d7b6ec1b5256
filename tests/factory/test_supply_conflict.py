"""A vendor that becomes an owner of the bundled factory is flagged, by name."""

from __future__ import annotations

from gigafactory.factory import load_factory
from gigafactory.factory.dossier import dossier_of
from gigafactory.factory.supplygraph import supply_of
from gigafactory.supply import Bond, Edge, Effect, build, conflicts


def test_nvidia_as_owner_and_supplier_is_flagged() -> None:
    factory = load_factory("rotterdam")
    graph = supply_of(factory, dossier_of(factory)).graph
    assert "nvidia" not in {one.party for one in conflicts(graph)}
    share = Edge("nvidia", Bond.OWNS, graph.root, share=0.05, effect=Effect.NOTHING)
    owned = build(graph.root, graph.nodes.values(), (*graph.edges, share))
    found = {one.thing: one for one in conflicts(owned) if one.party == "nvidia"}
    assert {"chip-b200", "chip-h200"} <= set(found)
    assert found["chip-b200"].owns[-1] == "nvidia"
    assert found["chip-b200"].share == 0.05
