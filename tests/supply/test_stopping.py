"""What stops when something stops, by hand: stocks, spares, shares, substitutes, ways back."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.supply import (
    Arrival,
    Bond,
    Cut,
    Edge,
    Effect,
    Graph,
    Kind,
    Node,
    Substitute,
    build,
    cut_of,
    eaten,
    rests_on,
    what_stops,
    worn,
)
from tests.supply.conftest import FACTORY, SENTENCES

#: Of 19 % a year, what breaks in a month.
MONTHLY = 1.0 - 0.81 ** (1.0 / 12.0)


def test_a_stock_is_eaten() -> None:
    assert eaten(2.5, (0.0,) * 4) == ((1.0, 1.0, 0.5, 0.0), 2.5)
    # half comes: the stock lasts twice as long
    assert eaten(1.0, (0.5,) * 4) == ((1.0, 1.0, 0.5, 0.5), 2.0)
    assert eaten(0.0, (1.0, 1.0)) == ((1.0, 1.0), None)


def test_a_fleet_wears_down_without_parts() -> None:
    levels, ended = worn(0.19, 0.0, (0.0,) * 24)
    assert levels[11] == pytest.approx(0.81)  # what a year leaves
    assert levels[23] == pytest.approx(0.81**2)
    assert ended == 0.0


def test_spares_put_it_off_and_parts_repair_everything() -> None:
    levels, ended = worn(0.19, 2.5 * MONTHLY, (0.0,) * 4 + (1.0,))
    assert levels[:2] == pytest.approx((1.0, 1.0))
    assert levels[2] == pytest.approx(1.0 - 0.5 * MONTHLY)
    assert levels[4] == 1.0
    assert ended == pytest.approx(2.5)
    half, _ = worn(0.19, 0.0, (0.5,) * 2)
    assert half[0] == pytest.approx(1.0 - 0.5 * MONTHLY)


def test_the_example_of_the_page_by_hand() -> None:
    levels, ended = worn(0.09, 0.005, (0.0,) * 12)
    assert ended == pytest.approx(0.64, abs=0.005)
    assert levels[0] == pytest.approx(0.9972, abs=5e-5)
    assert levels[11] == pytest.approx(0.9146, abs=5e-5)


def test_the_vendor_stops_and_another_takes_its_place(chain: Graph) -> None:
    stop = what_stops(chain, "vendor", 12)
    assert stop.share_lost(1) == pytest.approx(MONTHLY)
    assert stop.share_lost(6) == pytest.approx(1.0 - 0.9)  # half a year of 19 %
    assert stop.share_lost(7) == 0.0  # the substitute came after six months
    assert stop.lost_h100_equivalent[5] == pytest.approx(200.0)
    assert stop.lost_accelerators[5] == pytest.approx(100.0)
    assert stop.lost_power_mw[5] == pytest.approx(0.1)
    assert (stop.first_month(), stop.recovered_month()) == (1, 7)
    assert (stop.first_month(0.05), stop.recovered_month(0.05)) == (3, 7)
    assert stop.tenants_hit(6, 0.05) == ("lab",)
    assert stop.tenants_hit(7) == ()
    whats = [(step.what, step.month) for step in stop.steps]
    assert ("substitute", 6.0) in whats
    assert ("unsupported", 2.0) in whats  # the software goes on, but alone


def test_a_supplier_of_a_part_is_felt_after_its_stock(chain: Graph) -> None:
    stop = what_stops(chain, "korea", 12)
    # 60 % of the memory is gone; three months of stock last five
    assert stop.levels["memory"][0] == pytest.approx(0.4)
    assert stop.levels["chip"][4] == pytest.approx(1.0)
    assert stop.levels["chip"][5] == pytest.approx(0.4)
    assert stop.share_lost(5) == 0.0
    assert stop.share_lost(6) == pytest.approx(0.6 * MONTHLY)


def test_what_it_runs_on_stops_it_at_once(chain: Graph) -> None:
    stop = what_stops(chain, "stack", 3)
    assert stop.share_lost(1) == 1.0
    assert stop.runs["pool"] == (0.0, 0.0, 0.0)
    assert stop.repairs["pool"] == (1.0, 1.0, 1.0)
    assert stop.outage_months("lab") == pytest.approx(3.0)
    assert stop.recovered_month() is None


def test_a_provider_is_cut_off_and_the_government_goes_on_or_its_outage_is_told(
    chain: Graph,
) -> None:
    tenant = Node("ministry", Kind.TENANT, country="NL")
    service = Node("directory", Kind.SERVICE, country="US", layer="cloud_service")
    tied = Edge("ministry", Bond.DEPENDS_ON, "directory", stock_months=0.0)
    graph = build("plant", (*FACTORY, tenant, service), (*SENTENCES, tied))
    stop = what_stops(graph, "directory", 12)
    assert stop.share_lost_max == 0.0  # the factory runs
    assert stop.outage_months("ministry") == pytest.approx(12.0)
    assert stop.outage_months("lab") == 0.0
    own = replace(service, substitutes=(Substitute("own directory", 2.0, country="NL"),))
    graph = build("plant", (*FACTORY, tenant, own), (*SENTENCES, tied))
    assert what_stops(graph, "directory", 12).outage_months("ministry") == pytest.approx(2.0)


def test_a_country_takes_its_substitutes_with_it(chain: Graph) -> None:
    cut = cut_of(chain, "US")
    assert set(cut.nodes) == {"chip", "vendor", "boise", "stack"}
    stop = what_stops(chain, cut, 24)
    # "other" has no known origin and does not count; the European chip does, after 18 months
    assert [s.by for s in stop.steps if s.what == "substitute"] == ["eu-chip"]
    # a subsidiary counts by who controls it
    nodes = (*FACTORY, Node("giant", Kind.PARENT, country="CN"))
    edges = (*SENTENCES, Edge("giant", Bond.OWNS, "cooler-maker", share=0.9))
    assert "cooler-maker" in cut_of(build("plant", nodes, edges), "CN").nodes


def test_a_country_takes_its_part_of_a_raw_material(chain: Graph) -> None:
    assert cut_of(chain, "CN").nodes == pytest.approx({"gallium": 0.1})
    stop = what_stops(chain, "CN", 12)
    # six months of stock against nine tenths missing: 6.67 months
    (ended,) = [s.month for s in stop.steps if s.what == "stock_ends"]
    assert ended == pytest.approx(6 + 0.6 / 0.9)


def test_a_vendor_can_switch_off_what_it_sold(chain: Graph) -> None:
    worn_down = what_stops(chain, "vendor", 12)
    disabled = what_stops(chain, cut_of(chain, "vendor", disables=True), 12)
    assert worn_down.share_lost(1) < 0.05
    assert disabled.share_lost(1) == 1.0
    assert disabled.lost_h100_equivalent[0] == pytest.approx(2000.0)
    assert disabled.tenants_hit(1) == ("lab",)
    # another vendor's chips are not touched
    other = what_stops(chain, cut_of(chain, "korea", disables=True), 3)
    assert other.share_lost(1) == 0.0


def lines(count: int, needed: int, lead: float | None) -> Graph:
    nodes = (
        Node("plant", Kind.ASSET),
        Node("pool", Kind.ASSET, accelerators=10, h100_equivalent=10.0, power_mw=0.02),
        Node("line", Kind.ASSET, count=count, count_needed=needed, lead_time_months=lead),
    )
    edges = (Edge("plant", Bond.CONSISTS_OF, "pool"), Edge("pool", Bond.DEPENDS_ON, "line"))
    return build("plant", nodes, edges)


def test_one_of_two_carries_everything_and_two_of_two_nothing() -> None:
    graph = lines(2, 1, 3.0)
    assert what_stops(graph, "line=1", 6).share_lost_max == 0.0
    both = what_stops(graph, "line=2", 6)
    assert [both.share_lost(m) for m in range(1, 7)] == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert both.recovered_month() == 4
    assert both.lost_power_mw[0] == pytest.approx(0.02)
    assert [(s.what, s.month) for s in both.steps] == [("replaced", 3.0)]
    tenth = what_stops(lines(10, 9, 3.0), "line=3", 3)
    assert tenth.share_lost(1) == pytest.approx(2 / 9)


def test_nonsense_is_refused_in_plain_words(chain: Graph) -> None:
    for asked, words in (
        ("vendr", "did you mean vendor"),
        ("FR", "nothing in the supply graph comes from this country"),
        ("cooling=2", "has 1 equal pieces"),
        ("cooling=x", "has 1 equal pieces"),
    ):
        with pytest.raises(BadInput, match=words):
            cut_of(chain, asked)


def test_what_is_still_to_be_delivered_stays_away(chain: Graph) -> None:
    day = dt.date(2025, 1, 1)
    late = replace(
        chain.nodes["pool"], arrivals=(Arrival(dt.date(2025, 3, 15), 400), Arrival(day, 600))
    )
    graph = build("plant", [late if n.name == "pool" else n for n in FACTORY], SENTENCES)
    stop = what_stops(graph, "vendor", 8, day)
    assert stop.h100_equivalent[:4] == pytest.approx((1200.0, 1200.0, 2000.0, 2000.0))
    # of the 600 that stand there a third month's worth is worn; 400 did not come
    left = 600 * (1.0 - MONTHLY) ** 3
    assert stop.lost_accelerators[2] == pytest.approx(1000 - left)
    assert stop.lost_accelerators[6] == 0.0  # the substitute brings what was due
    assert what_stops(graph, "cooling", 1, day).lost_h100_equivalent[0] == pytest.approx(1200.0)


def test_a_need_of_unknown_strength_is_said_not_guessed(chain: Graph) -> None:
    stop = what_stops(chain, "cooler-maker", 6)
    assert stop.share_lost_max == 0.0
    assert stop.unknown == (("cooling", "cooler-maker", "failures_per_year"),)


def test_what_in_the_end_needs_a_node(chain: Graph) -> None:
    assert rests_on(chain, "gallium") == {"chip", "pool", "plant", "lab"}
    assert "plant" not in rests_on(chain, "holding")  # owning is not needing


@given(
    cut=st.sets(st.sampled_from([node.name for node in FACTORY]), max_size=4),
    extra=st.sampled_from([node.name for node in FACTORY]),
    spare=st.floats(0.0, 0.3),
    stock=st.floats(0.0, 9.0),
)
@settings(max_examples=60, deadline=None)
def test_levels_are_shares_and_losing_more_never_helps(
    cut: set[str], extra: str, spare: float, stock: float
) -> None:
    edges = [
        replace(e, spare_share=spare)
        if e.effect is Effect.REPAIRS
        else replace(e, stock_months=stock)
        for e in SENTENCES
    ]
    graph = build("plant", FACTORY, edges)
    less = what_stops(graph, Cut("some", dict.fromkeys(cut, 0.0)), 24)
    more = what_stops(graph, Cut("more", dict.fromkeys({*cut, extra}, 0.0)), 24)
    for levels in (*less.levels.values(), *more.levels.values()):
        assert all(-1e-9 <= level <= 1.0 + 1e-9 for level in levels)
    for month in range(1, 25):
        assert more.share_lost(month) >= less.share_lost(month) - 1e-9
    if not cut:
        assert less.share_lost_max == 0.0
        assert less.levels == {}
