"""Concentration, content and raw materials, calculated by hand on the small chain.

Values: chip 60 (vendor, US; a quarter of it memory from Korea), stack 30 (vendor, US), cooling 10
(cooler-maker, NL); together 100.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from gigafactory.supply import (
    UNKNOWN,
    Baseline,
    Bond,
    Edge,
    Graph,
    Kind,
    Node,
    Origin,
    before_and_after,
    build,
    concentration,
    content,
    criticality,
    hhi,
    materials,
    placed,
    register,
    spending,
)


def test_the_index_by_hand() -> None:
    assert hhi({"a": 1.0}) == pytest.approx(10_000.0)
    assert hhi({"a": 50.0, "b": 30.0, "c": 20.0}) == pytest.approx(2500 + 900 + 400)
    assert hhi({}) == 0.0


def test_concentration_by_layer_vendor_and_country(chain: Graph) -> None:
    rows = {one.layer: one for one in concentration(chain)}
    assert rows["all"].value_eur == {"vendor": 90.0, "cooler-maker": 10.0}
    assert rows["all"].concentration_low == pytest.approx(8100 + 100)
    assert rows["all"].concentration_high == rows["all"].concentration_low
    assert rows["compute"].concentration_low == pytest.approx(10_000.0)
    land = concentration(chain, "country")[-1]
    assert land.value_eur == {"US": 90.0, "NL": 10.0}


def test_what_is_unknown_makes_a_range(chain: Graph) -> None:
    nodes = (*chain.nodes.values(), Node("x", Kind.ASSET, layer="energy", value_eur=100.0))
    one = concentration(build("plant", nodes, chain.edges))[-1]
    # of 200: vendor 45 %, cooler-maker 5 %, unknown 50 %
    assert one.concentration_low == pytest.approx(45**2 + 5**2)
    assert one.concentration_high == pytest.approx(95**2 + 5**2)


def test_content_by_value(chain: Graph) -> None:
    seat = {one.layer: one for one in content(chain)}
    assert seat["all"].share_home == pytest.approx(0.1)
    assert seat["all"].share_union == pytest.approx(0.1)
    assert seat["all"].share_other == pytest.approx(0.9)
    assert seat["building"].share_home == pytest.approx(1.0)
    assert seat["energy"].things == 0


def test_content_by_origin_goes_into_the_parts(chain: Graph) -> None:
    assert placed(chain, chain.nodes["chip"], "origin") == pytest.approx({"KR": 0.25, "US": 0.75})
    made_here = replace(chain.nodes["memory"], country="DE")
    graph = build(
        "plant", [made_here if n.name == "memory" else n for n in chain.nodes.values()], chain.edges
    )
    whole = content(graph, "origin")[-1]
    assert whole.share_union == pytest.approx((0.25 * 60 + 10) / 100)
    assert whole.share_home == pytest.approx(0.1)


def test_content_by_criticality(chain: Graph) -> None:
    # all four things are needed by the whole factory: chip US, memory KR and US, stack US,
    # cooling NL
    whole = content(chain, criticality=criticality(chain))[-1]
    assert whole.weight == "criticality"
    assert whole.things == 4
    assert whole.share_home == pytest.approx(0.25)


def test_content_by_who_controls(chain: Graph) -> None:
    nodes = (*chain.nodes.values(), Node("giant", Kind.PARENT, country="JP"))
    edges = (*chain.edges, Edge("giant", Bond.OWNS, "cooler-maker", share=0.8))
    whole = content(build("plant", nodes, edges), "group")[-1]
    assert whole.share_home == 0.0
    assert content(build("plant", nodes, edges), "country")[-1].share_home == pytest.approx(0.1)


def test_each_order_line_has_origin_owner_and_alternative_or_says_not(chain: Graph) -> None:
    lines = {line.thing: line for line in register(chain)}
    assert set(lines) == {"chip", "memory", "stack", "cooling"}
    chip = lines["chip"]
    assert chip.origins == pytest.approx({"KR": 0.25, "US": 0.75})
    assert chip.owners == ("vendor",)
    assert chip.alternatives == (("eu-chip", 18.0), ("other", 6.0))
    assert chip.missing == ()
    assert lines["cooling"].missing == ("alternative", "lead_time")
    assert lines["memory"].missing == ("alternative", "lead_time")  # its value is in the chip's


def test_spending_by_type_of_party(chain: Graph) -> None:
    assert spending(chain) == {"chip_vendor": 90.0, "cooling": 10.0}


WORLD = Baseline(
    dt.date(2025, 12, 31), 900.0, (("big", "US", 0.8), ("lot", "CN", 0.15), ("few", "FR", 0.05))
)


def test_ownership_before_and_after() -> None:
    before, after = before_and_after(WORLD, 100.0, "runner", "NL")
    assert before.share_union == pytest.approx(0.05)
    assert before.union_h100_equivalent == pytest.approx(45.0)
    assert before.owners_concentration_low == pytest.approx(80**2 + 15**2 + 5**2)
    assert after.h100_equivalent == pytest.approx(1000.0)
    assert after.share_union == pytest.approx(0.145)
    assert after.owners_concentration_low == pytest.approx(72**2 + 13.5**2 + 4.5**2 + 10**2)
    # owned from outside it takes from the Union's share instead
    assert before_and_after(WORLD, 100.0, "runner", "US")[1].share_union == pytest.approx(0.045)
    nobody = before_and_after(WORLD, 100.0, "runner", "")[1]
    assert nobody.countries_concentration_low < nobody.countries_concentration_high


def test_a_baseline_that_leaves_some_out_gives_a_range() -> None:
    partly = replace(WORLD, holders=WORLD.holders[:1])
    before, _ = before_and_after(partly, 1.0, "x", "NL")
    assert before.owners_concentration_low == pytest.approx(6400.0)
    assert before.owners_concentration_high == pytest.approx(10_000.0)


def test_raw_materials_against_the_limit(chain: Graph) -> None:
    (gallium,) = materials(chain, 0.65)
    assert (gallium.country, gallium.share, gallium.exceeds) == ("CN", 0.9, True)
    assert gallium.mass_kg is None
    assert gallium.way == ("plant", "pool", "chip", "gallium")
    assert gallium.used_in == ("chip",)
    assert materials(chain, 0.9)[0].exceeds is False  # at the limit is within it


def test_the_limit_is_about_third_countries_and_the_unknown_is_said() -> None:
    nodes = (
        Node("plant", Kind.ASSET),
        Node("here", Kind.MATERIAL, origins=(Origin("DE", 0.9), Origin("CN", 0.1))),
        Node("inside", Kind.MATERIAL, origins=(Origin("FI", 1.0),)),
        Node("nowhere", Kind.MATERIAL),
        Node("mined", Kind.MATERIAL, origins=(Origin("CN", 0.5), Origin("CD", 0.7, "extraction"))),
    )
    found = {m.name: m for m in materials(build("plant", nodes, ()), 0.65)}
    assert (found["here"].country, found["here"].exceeds) == ("CN", False)
    assert (found["inside"].share, found["inside"].exceeds) == (0.0, False)
    assert (found["nowhere"].share, found["nowhere"].exceeds) == (None, None)
    assert (found["mined"].stage, found["mined"].country) == ("extraction", "CD")
    assert found["mined"].exceeds is True


def test_suppliers_that_do_not_add_up_leave_an_unknown_rest(chain: Graph) -> None:
    edges = [
        replace(e, share=0.3) if (e.source, e.target) == ("boise", "memory") else e
        for e in chain.edges
    ]
    graph = build("plant", chain.nodes.values(), edges)
    found = placed(graph, graph.nodes["memory"], "vendor")
    assert found == pytest.approx({"korea": 0.6, "boise": 0.3, UNKNOWN: 0.1})
