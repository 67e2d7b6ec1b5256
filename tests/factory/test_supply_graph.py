"""The supply file of a dossier, merged with what the factory file says already."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.factory import Factory, bundled, fleet_h100_equivalents, load_factory
from gigafactory.factory.dossier import Dossier, dossier_of
from gigafactory.factory.models import Owner
from gigafactory.factory.provenance import STATES
from gigafactory.factory.supplybase import slug
from gigafactory.factory.supplyfile import SupplyFile
from gigafactory.factory.supplygraph import FILE, SupplyPicture, supply_of
from gigafactory.supply import (
    Bond,
    Effect,
    Kind,
    cut_of,
    exposure,
    materials,
    path_between,
    register,
    replaceability,
    software_bill,
    spares,
    spending,
    unknowns,
    what_stops,
)


@pytest.fixture(scope="module")
def rotterdam() -> Factory:
    return load_factory("rotterdam")


@pytest.fixture(scope="module")
def picture(rotterdam: Factory) -> SupplyPicture:
    return supply_of(rotterdam, dossier_of(rotterdam))


def with_file(tmp_path: Path, text: str) -> Dossier:
    (tmp_path / FILE).write_text(text, "utf-8")
    return Dossier("mine", tmp_path)


def test_every_bundled_factory_has_a_graph_with_or_without_a_file() -> None:
    for name in bundled():
        factory = load_factory(name)
        found = supply_of(factory, dossier_of(factory))
        pools = found.graph.pools
        assert sum(p.h100_equivalent for p in pools) == pytest.approx(
            fleet_h100_equivalents(factory)
        )
        assert len(found.graph.tenants) == len(factory.tenants)
        assert found.stated == (dossier_of(factory).file(FILE) is not None)


def test_an_operator_called_as_its_factory_is_somebody_else() -> None:
    factory = load_factory("two-ports")
    graph = supply_of(factory, dossier_of(factory)).graph
    (runs,) = graph.into("two-ports", Bond.OPERATES)
    assert runs.source == "party-two-ports"
    assert graph.nodes["party-two-ports"].kind is Kind.OPERATOR
    assert "asset-b200" not in graph.nodes  # it is chip-b200 already


def test_without_a_file_the_graph_is_small_and_says_what_is_unknown(rotterdam: Factory) -> None:
    found = supply_of(rotterdam, Dossier())
    graph = found.graph
    assert not found.stated
    assert found.baseline is None
    assert graph.nodes["nvidia"].country == "US"
    assert graph.nodes["chip-b200"].value_eur == pytest.approx(60_000 * 40_000)
    assert path_between(graph, "tenant-delta-lab", "nvidia") == (
        "tenant-delta-lab",
        "pool-b200",
        "chip-b200",
        "nvidia",
    )
    said = {(one.node, one.what) for one in unknowns(graph)}
    assert ("eneco", "country") in said
    assert ("asset-fabric", "supplier") in said
    assert ("chip-b200", "substitutes") in said
    pool = next(one for one in spares(graph) if one.name == "pool-b200")
    assert pool.failures_per_year == pytest.approx(0.09)
    assert pool.spare_share == pytest.approx(38 * 8 / 60_000)


def test_the_file_adds_to_what_the_factory_says(picture: SupplyPicture) -> None:
    graph = picture.graph
    chip = graph.nodes["chip-b200"]
    assert chip.value_eur == pytest.approx(60_000 * 40_000)  # of the factory file
    assert chip.lead_time_months == 9.0  # of the dossier
    assert len(chip.sources) > 1
    pool = next(e for e in graph.edges if e.key == ("pool-b200", "depends_on", "chip-b200"))
    assert pool.effect is Effect.REPAIRS
    link = graph.nodes["connection-maasvlakte"]
    assert (link.count, link.lead_time_months) == (2, 36.0)
    assert link.value_eur == pytest.approx(40e6)


def test_rotterdam_is_reached_from_japan_and_controlled_from_home(picture: SupplyPicture) -> None:
    found = exposure(picture.graph, "rotterdam")
    assert not found.controlled_from_outside
    japan = [one for one in found.outside if one.holder == "mitsubishi-corporation"]
    assert japan[0].path == ("rotterdam", "eneco", "mitsubishi-corporation")
    assert japan[0].share == pytest.approx(0.8)
    assert exposure(picture.graph, "slurm").controlled_from_outside


def test_rotterdam_knows_its_chain_down_to_the_metal(picture: SupplyPicture) -> None:
    graph = picture.graph
    way = path_between(graph, "tenant-hospitals", "gallium")
    assert way[0], way[-1] == ("tenant-hospitals", "gallium")
    assert "wafers" in way
    assert path_between(graph, "chip-b200", "asml") == (
        "chip-b200",
        "wafers",
        "lithography",
        "asml",
    )
    names = {m.name: m for m in materials(graph, picture.rules.third_country_max)}
    assert {"copper", "gallium", "germanium", "rare-earths", "helium", "tantalum"} <= set(names)
    assert names["gallium"].exceeds is True
    assert names["germanium"].exceeds is False
    assert names["tantalum"].exceeds is None
    assert names["copper"].mass_kg == pytest.approx(3.8e6)
    assert names["gallium"].mass_kg is None


def test_cooling_parts_and_fluids_have_lead_time_and_origin(picture: SupplyPicture) -> None:
    lines = {line.thing: line for line in register(picture.graph)}
    for part in ("asset-dry-coolers", "cooling-units", "cold-plates", "coolant"):
        assert lines[part].lead_time_months
        assert "origin" not in lines[part].missing
        assert lines[part].vendors


def test_software_and_licences_stand_beside_hardware(picture: SupplyPicture) -> None:
    bill = {row[0]: row for row in software_bill(picture.graph)}
    assert {"linux", "slurm", "kubernetes", "cuda", "firmware"} <= set(bill)
    assert bill["slurm"][2:4] == ("GPL-2.0", True)
    assert bill["cuda"][3] is False
    assert bill["cuda"][4] == ("nvidia",)
    assert all(row[1] for name, row in bill.items() if name != "firmware"), "versions"


def test_spending_reaches_utilities_grid_equipment_and_flexible_power(
    picture: SupplyPicture,
) -> None:
    found = spending(picture.graph)
    assert {"energy_company", "grid_equipment", "flexible_power", "grid_operator"} <= set(found)
    whole = sum(n.value_eur or 0.0 for n in picture.graph.things() if n.layer)
    assert sum(found.values()) == pytest.approx(whole)


def test_a_country_cut_off_gives_loss_by_month_and_a_way_back(picture: SupplyPicture) -> None:
    stop = what_stops(picture.graph, "TW")
    assert stop.share_lost(1) == 0.0
    assert 0.02 < stop.share_lost(12) < 0.09  # no more than all failures of a year
    assert stop.recovered_month(0.05) is not None
    assert any(step.what == "substitute" for step in stop.steps)
    disabled = what_stops(picture.graph, cut_of(picture.graph, "nvidia", disables=True))
    assert disabled.share_lost(1) == 1.0
    assert len(disabled.tenants_hit(1)) == 27


def test_one_transformer_is_enough_and_none_is_not(picture: SupplyPicture) -> None:
    assert what_stops(picture.graph, "asset-transformers=1").share_lost_max == 0.0
    both = what_stops(picture.graph, "asset-transformers=2")
    assert both.share_lost(1) == 1.0
    assert both.lost_power_mw[0] == pytest.approx(sum(p.power_mw for p in picture.graph.pools))
    assert both.recovered_month() == 13


def test_the_factory_adds_to_what_the_union_owns(picture: SupplyPicture) -> None:
    found = picture.ownership()
    assert found is not None
    before, after = found
    assert after.share_union > before.share_union
    assert after.countries_concentration_low < before.countries_concentration_low
    assert after.h100_equivalent - before.h100_equivalent == pytest.approx(
        sum(p.h100_equivalent for p in picture.graph.pools)
    )


def test_every_critical_thing_of_rotterdam_is_judged(picture: SupplyPicture) -> None:
    rows = {one.name: one for one in replaceability(picture.graph)}
    assert rows["chip-b200"].flag == ""
    assert rows["hbm"].flag == "none"
    assert rows["cuda"].flag == "none"
    for one in rows.values():
        assert one.flag or one.switching_months is not None or one.substitutes


def test_what_is_said_carries_source_year_and_state(
    picture: SupplyPicture, rotterdam: Factory
) -> None:
    cited = [c for n in picture.graph.nodes.values() for c in n.sources]
    cited += [c for e in picture.graph.edges for c in e.sources]
    assert picture.baseline is not None
    cited += picture.baseline.sources
    assert len(cited) > 60
    said = dossier_of(rotterdam).load(FILE, SupplyFile)
    assert said is not None
    assert all(picture.graph.nodes[name].sources for name in said.nodes)
    ties = {edge.key: edge for edge in picture.graph.edges}
    assert all(ties[row.from_, row.bond, row.to].sources for row in said.edges)
    assert all(c.text and 1990 < c.year < 2100 and c.state in STATES for c in cited)


def test_who_can_stop_the_service_stops_it_and_exposes_it(rotterdam: Factory) -> None:
    supplier = Owner(name="Remote Hands Inc. (demo)", country="US")
    governance = rotterdam.governance.model_copy(update={"suppliers": (supplier,)})
    factory = rotterdam.model_copy(update={"governance": governance})
    graph = supply_of(factory, Dossier()).graph
    found = exposure(graph, "rotterdam")
    assert found.controlled_from_outside
    assert found.outside[0].path[:2] == ("rotterdam", "service-remote-hands-inc")
    assert what_stops(graph, "remote-hands-inc", 1).share_lost(1) == 1.0
    before = supply_of(rotterdam, Dossier()).graph
    assert not exposure(before, "rotterdam").controlled_from_outside
    assert what_stops(before, "volt", 1).share_lost(1) == 1.0  # nobody runs it


def test_names_are_made_as_the_page_says() -> None:
    assert slug("VOLT (De Groot Family Office)") == "volt"
    assert slug("Amazon Web Services") == "amazon-web-services"
    assert slug("(demo)") == "unnamed"


SMALL = """
nodes:
  cloud: {kind: service, country: DE, layer: cloud_service}
  cloud-eu: {kind: supplier, country: DE}
edges:
  - {from: rotterdam, bond: depends_on, to: cloud, reaches: true}
  - {from: cloud-eu, bond: supplies, to: cloud, reaches: true}
"""


def test_a_parent_added_to_the_file_flips_the_flag(tmp_path: Path, rotterdam: Factory) -> None:
    before = supply_of(rotterdam, with_file(tmp_path, SMALL))
    assert not exposure(before.graph, "rotterdam").controlled_from_outside
    text = SMALL.replace("edges:", "  cloud-us: {kind: parent, country: US}\nedges:")
    text += "  - {from: cloud-us, bond: owns, to: cloud-eu, share: 100 %}\n"
    after = supply_of(rotterdam, with_file(tmp_path, text))
    found = exposure(after.graph, "rotterdam")
    assert found.controlled_from_outside
    assert found.outside[0].path == ("rotterdam", "cloud", "cloud-eu", "cloud-us")


def test_a_cheaper_word_for_an_edge_has_its_default_effect(
    tmp_path: Path, rotterdam: Factory
) -> None:
    text = SMALL + "  - {from: cloud-eu, bond: owns, to: rotterdam, share: 10 %}\n"
    graph = supply_of(rotterdam, with_file(tmp_path, text)).graph
    edges = {(e.source, e.target): e for e in graph.edges}
    assert edges["cloud-eu", "rotterdam"].effect is Effect.NOTHING
    assert edges["cloud-eu", "cloud"].effect is Effect.RUNS
    assert edges["cloud-eu", "rotterdam"].bond is Bond.OWNS
    assert graph.nodes["cloud"].kind is Kind.SERVICE


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path, rotterdam: Factory) -> None:
    shape = SMALL.replace("kind: service", "kind: servce").replace("bond: supplies", "bond: gives")
    with pytest.raises(BadInput) as told:
        supply_of(rotterdam, with_file(tmp_path, shape))
    assert len(told.value.problems) == 2
    assert all(p.where.startswith(f"mine/{FILE}:") for p in told.value.problems)
    meaning = SMALL.replace(
        "to: cloud, reaches: true}\n  - {from: cloud-eu", "to: clod}\n  - {from: cloudy"
    )
    meaning += "  - {from: eneco, bond: owns, to: rotterdam, share: 101 %}\n"
    with pytest.raises(BadInput) as told:
        supply_of(rotterdam, with_file(tmp_path, meaning))
    assert any("at most 100 %" in str(p) for p in told.value.problems)
    meaning = meaning.replace("101 %", "60 %") + (
        "  - {from: cloud-eu, bond: owns, to: rotterdam, share: 50 %}\n"
        "  - {from: cloud-eu, bond: owns, to: rotterdam, share: 50 %}\n"
        'sources: {"*": "somebody said so"}\n'
    )
    with pytest.raises(BadInput) as told:
        supply_of(rotterdam, with_file(tmp_path, meaning))
    words = "\n".join(map(str, told.value.problems))
    for part in ("did you mean cloud", "is said twice", "hold 110 %", "must read: source, year"):
        assert part in words, words
