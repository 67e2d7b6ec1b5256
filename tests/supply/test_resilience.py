"""Substitutes, spares, autonomy against the time of a remedy, and what matters most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gigafactory.supply import (
    Bond,
    Edge,
    Effect,
    Graph,
    Kind,
    Node,
    Origin,
    Remedy,
    Substitute,
    asset_losses,
    autonomy,
    autonomy_days,
    build,
    is_critical,
    ranking,
    replaceability,
    spares,
    unknowns,
    weight_of,
    what_stops,
)

REMEDY = Remedy(122.0, 56.0, 70.0, 183.0)


def test_each_critical_component_has_a_substitute_and_a_time_or_is_flagged(chain: Graph) -> None:
    found = {one.name: one for one in replaceability(chain)}
    assert set(found) == {"chip", "memory", "gallium", "stack", "cooling"}
    assert found["chip"].flag == ""
    assert found["chip"].switching_months == 18.0  # the faster one may be American too
    assert [s.name for s in found["chip"].substitutes] == ["other", "eu-chip"]
    assert {found[name].flag for name in ("memory", "gallium", "stack", "cooling")} == {"none"}


def test_a_substitute_from_the_same_country_is_no_way_out(chain: Graph) -> None:
    def flag(*substitutes: Substitute) -> str:
        chip = replace(chain.nodes["chip"], substitutes=substitutes)
        nodes = [chip if n.name == "chip" else n for n in chain.nodes.values()]
        graph = build("plant", nodes, chain.edges)
        return next(one.flag for one in replaceability(graph) if one.name == "chip")

    assert flag(Substitute("amd", 12.0, country="US")) == "same_country"
    assert flag(Substitute("some", 12.0)) == "unknown_origin"
    assert flag(Substitute("ours", 12.0, country="FR")) == ""


def test_critical_is_what_the_factory_needs_or_what_the_file_says(chain: Graph) -> None:
    assert is_critical(chain, chain.nodes["chip"])
    assert not is_critical(chain, replace(chain.nodes["chip"], critical=False))
    assert not is_critical(chain, chain.nodes["vendor"])
    lonely = Node("statue", Kind.ASSET, layer="building")
    graph = build("plant", (*chain.nodes.values(), lonely), chain.edges)
    assert not is_critical(graph, lonely)
    assert is_critical(graph, replace(lonely, critical=True))


def test_the_survival_curve_without_the_vendor(chain: Graph) -> None:
    pool, cooling = sorted(spares(chain), key=lambda s: s.name, reverse=True)
    assert (pool.name, pool.of, pool.full_months) == ("pool", "chip", 0.0)
    assert pool.survival[11] == pytest.approx(0.81)
    assert cooling.failures_per_year is None  # said by `unknowns`, never taken for safe


def test_autonomy_days_by_hand(chain: Graph) -> None:
    # 19 % a year: after 3 months 1 - 0.81 ** 0.25, after 2 months 1 - 0.81 ** (1/6)
    stop = what_stops(chain, "vendor", 12)
    two, three = 1 - 0.81 ** (1 / 6), 1 - 0.81 ** (1 / 4)
    months = 2 + (0.05 - two) / (three - two)
    assert autonomy_days(stop, 0.05) == pytest.approx(months * 365.25 / 12)
    assert autonomy_days(what_stops(chain, "stack", 12), 0.05) == 0.0
    assert autonomy_days(what_stops(chain, "cooler-maker", 12), 0.05) is None


def test_autonomy_shorter_than_the_remedy_is_a_red_flag(chain: Graph) -> None:
    rows = {one.country: one for one in autonomy(chain, REMEDY, 0.05)}
    assert REMEDY.determined_days == (178.0, 192.0)
    assert REMEDY.answered_days == 375.0
    assert rows["US"].autonomy_days == 0.0
    assert rows["US"].flag == "red"
    assert rows["US"].share_lost_by_remedy == 1.0
    assert "NL" not in rows  # home
    fast = {one.country: one for one in autonomy(chain, Remedy(0.0, 0.0, 0.0, 0.0), 0.05)}
    assert fast["US"].flag == ""  # a remedy at once would be in time
    patient = {one.country: one for one in autonomy(chain, REMEDY, 1.0)}
    assert patient["US"].autonomy_days is None


def test_autonomy_between_the_determination_and_the_answer_is_amber() -> None:
    nodes = (
        Node("plant", Kind.ASSET, country="NL"),
        Node("pool", Kind.ASSET, accelerators=10, h100_equivalent=10.0),
        Node("part", Kind.COMPONENT, country="KR"),
    )
    edges = (
        Edge("plant", Bond.CONSISTS_OF, "pool"),
        Edge("pool", Bond.DEPENDS_ON, "part", stock_months=8.0),
    )
    (one,) = autonomy(build("plant", nodes, edges), REMEDY, 0.05)
    assert one.autonomy_days == pytest.approx(8 * 365.25 / 12)
    assert one.flag == "amber"


def test_what_is_unknown_does_not_look_safe() -> None:
    nodes = (
        Node("plant", Kind.ASSET, country="NL"),
        Node("pool", Kind.ASSET, accelerators=10, h100_equivalent=10.0),
        Node("part", Kind.COMPONENT, country="KR"),
    )
    edges = (
        Edge("plant", Bond.CONSISTS_OF, "pool"),
        Edge("pool", Bond.DEPENDS_ON, "part", effect=Effect.REPAIRS),
    )
    (one,) = autonomy(build("plant", nodes, edges), REMEDY, 0.05)
    assert (one.autonomy_days, one.flag) == (None, "unknown")


def test_the_loss_of_each_asset_in_megawatts_tenants_and_days(chain: Graph) -> None:
    pair = Node("line", Kind.ASSET, layer="energy", count=3, count_needed=2, lead_time_months=12.0)
    graph = build(
        "plant",
        (*chain.nodes.values(), pair),
        (*chain.edges, Edge("pool", Bond.DEPENDS_ON, "line")),
    )
    rows = {(one.name, one.pieces): one for one in asset_losses(graph)}
    assert set(rows) == {("cooling", 1), ("line", 1), ("line", 2)}
    assert rows["line", 1].lost_power_mw == 0.0  # two of three carry everything
    assert rows["line", 1].tenants == ()
    second = rows["line", 2]
    assert second.lost_power_mw == pytest.approx(0.5)
    assert second.lost_h100_equivalent == pytest.approx(1000.0)
    assert second.tenants == ("lab",)
    assert second.repair_days == pytest.approx(365.25)
    assert rows["cooling", 1].lost_power_mw == pytest.approx(1.0)
    assert rows["cooling", 1].repair_days is None
    assert asset_losses(graph)[0].name == "cooling"


def test_the_part_of_the_factory_that_needs_a_node(chain: Graph) -> None:
    second = (
        Node("pool2", Kind.ASSET, accelerators=10, h100_equivalent=6000.0, power_mw=4.0),
        Node("shop", Kind.TENANT),
    )
    edges = (
        Edge("plant", Bond.CONSISTS_OF, "pool2"),
        Edge("shop", Bond.DEPENDS_ON, "pool2"),
    )
    graph = build("plant", (*chain.nodes.values(), *second), (*chain.edges, *edges))
    weight = weight_of(graph, "chip")
    assert weight.h100_equivalent_share == pytest.approx(0.25)
    assert weight.power_share == pytest.approx(0.2)
    assert weight.tenants_share == pytest.approx(0.5)


def test_the_score_is_impact_times_difficulty_times_concentration_times_lead(chain: Graph) -> None:
    rows = {one.name: one for one in ranking(chain)}
    chip = rows["chip"]
    # fastest substitute 6 of 24 months, one vendor, 12 of 24 months to deliver
    assert chip.score_share == pytest.approx(1.0 * (6 / 24) * 1.0 * (12 / 24))
    assert chip.unknown == ()
    memory = rows["memory"]
    assert memory.concentration_share == pytest.approx(0.6**2 + 0.4**2)
    assert memory.score_share == pytest.approx(0.52)
    assert memory.unknown == ("substitutes", "lead_time")
    assert rows["stack"].share_lost_12 == 1.0
    gallium = rows["gallium"]
    assert gallium.concentration_share == pytest.approx(1.0)  # the rest may be the same hand's


def test_the_ranking_is_the_same_whatever_the_order(chain: Graph) -> None:
    turned = build("plant", reversed(tuple(chain.nodes.values())), reversed(chain.edges))
    assert [one.name for one in ranking(turned)] == [one.name for one in ranking(chain)]
    scores = [one.score_share for one in ranking(chain)]
    assert scores == sorted(scores, reverse=True)


def test_the_graph_says_what_it_does_not_know(chain: Graph) -> None:
    found = {(one.node, one.what) for one in unknowns(chain)}
    assert ("gallium", "mass") in found
    assert ("stack", "substitutes") in found
    assert ("cooling", "failures") in found
    assert ("memory", "value") not in found  # it is in the chip's
    nameless = (Node("ore", Kind.MATERIAL), Node("who", Kind.SUPPLIER))
    more = build("plant", (*chain.nodes.values(), *nameless), chain.edges)
    added = {(one.node, one.what) for one in unknowns(more)} - found
    assert added == {("ore", "origin"), ("ore", "mass"), ("ore", "country"), ("who", "country")}
    known = replace(nameless[0], origins=(Origin("CL", 0.5),), mass_kg=3.0)
    better = build("plant", (*chain.nodes.values(), known), chain.edges)
    assert {(o.node, o.what) for o in unknowns(better)} == found
