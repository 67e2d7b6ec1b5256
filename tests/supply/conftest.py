"""A small chain, made up, that every question can be asked of."""

from __future__ import annotations

import pytest

from gigafactory.supply import Bond, Edge, Effect, Graph, Kind, Node, Origin, Substitute, build

FACTORY = (
    Node("plant", Kind.ASSET, country="NL"),
    Node("runner", Kind.OPERATOR, country="NL"),
    Node("holding", Kind.PARENT, country="DE"),
    Node(
        "pool", Kind.ASSET, layer="compute", accelerators=1000, h100_equivalent=2000.0, power_mw=1.0
    ),
    Node(
        "chip",
        Kind.COMPONENT,
        country="US",
        layer="compute",
        value_eur=60.0,
        lead_time_months=12.0,
        substitutes=(Substitute("eu-chip", 18.0, country="NL"), Substitute("other", 6.0)),
    ),
    Node("vendor", Kind.SUPPLIER, country="US", actor="chip_vendor"),
    Node("memory", Kind.COMPONENT, country="KR", layer="memory_and_storage"),
    Node("korea", Kind.SUPPLIER, country="KR", actor="memory_maker"),
    Node("boise", Kind.SUPPLIER, country="US", actor="memory_maker"),
    Node("gallium", Kind.MATERIAL, strategic=True, origins=(Origin("CN", 0.9),)),
    Node("stack", Kind.SOFTWARE, country="US", layer="cloud_service", value_eur=30.0),
    Node("cooling", Kind.ASSET, country="NL", layer="building", value_eur=10.0),
    Node("cooler-maker", Kind.SUPPLIER, country="NL", actor="cooling"),
    Node("lab", Kind.TENANT, country="NL"),
)
SENTENCES = (
    Edge("runner", Bond.OPERATES, "plant"),
    Edge("holding", Bond.OWNS, "runner", share=1.0),
    Edge("plant", Bond.CONSISTS_OF, "pool"),
    Edge(
        "pool",
        Bond.DEPENDS_ON,
        "chip",
        effect=Effect.REPAIRS,
        failures_per_year=0.19,
        spare_share=0.0,
    ),
    Edge("pool", Bond.DEPENDS_ON, "stack", effect=Effect.RUNS, stock_months=0.0),
    Edge("pool", Bond.DEPENDS_ON, "cooling"),
    Edge("vendor", Bond.SUPPLIES, "chip", stock_months=0.0),
    Edge("vendor", Bond.LICENSES, "stack", effect=Effect.UPDATES, stock_months=2.0),
    Edge("chip", Bond.CONSISTS_OF, "memory", share=0.25, stock_months=3.0),
    Edge("korea", Bond.SUPPLIES, "memory", share=0.6, stock_months=0.0),
    Edge("boise", Bond.SUPPLIES, "memory", share=0.4, stock_months=0.0),
    Edge("chip", Bond.DEPENDS_ON, "gallium", stock_months=6.0),
    Edge("cooler-maker", Bond.SUPPLIES, "cooling", effect=Effect.REPAIRS),
    Edge("lab", Bond.DEPENDS_ON, "pool"),
)


@pytest.fixture
def chain() -> Graph:
    return build("plant", FACTORY, SENTENCES)
