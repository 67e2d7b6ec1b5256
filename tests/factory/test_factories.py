"""The bundled factories, the starter, the round trip, the schema and the reference page."""

from __future__ import annotations

import datetime as dt
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.factory import (
    Factory,
    Scenario,
    bundled,
    bundled_scenarios,
    check_factory,
    classify,
    factory_text,
    fleet_h100_equivalents,
    init_text,
    json_schema,
    load_factory,
    load_scenario,
    reference_markdown,
    scenario_schema,
    scenario_text,
    sources,
    tender_lots,
)
from gigafactory.factory import shape as shapes
from gigafactory.factory.blocks import Block
from gigafactory.factory.provenance import read_citation
from gigafactory.factory.quantities import Figure
from gigafactory.factory.reading import read_document, read_text
from gigafactory.plant import CLASS_LABELS, load_catalogue
from tests.effort import examples


@pytest.mark.parametrize("name", bundled())
def test_bundled_factories_pass_with_a_source_for_every_figure(name):
    assert check_factory(name, strict=True) == []
    rows = sources(load_factory(name))
    assert len(rows) > 100
    assert all(row.source and row.year and row.state for row in rows)
    assert len({row.path for row in rows}) == len(rows)


def test_strict_names_a_figure_without_a_source(broken, only):
    problem = only(
        broken.problems(
            ("rack_accelerators: 64\n", "rack_accelerators: 64\n    # none\n"),
            ('    sources: {"*": "My own plan, 2026, assumption"}\n',
             '    sources: {accelerators: "My own plan, 2026, assumption"}\n'),
            strict=True,
        )
    )  # fmt: skip
    assert problem.field == "fleet.h100.rack_accelerators"
    assert "has no source" in problem.why


def test_a_source_is_the_nearest_one(broken):
    factory = load_factory(
        broken.write(('{"*": "My own policy, 2026, assumption"}',
                      '{"*": "A, 2020, published", priority: "B, 2021, measured: read off"}'))
    )  # fmt: skip
    rows = {row.path: row for row in sources(factory)}
    near = rows["policy.priority.research"]
    assert (near.source, near.year, near.state) == ("B: read off", 2021, "measured")
    assert rows["policy.speed_min.research"].source == "A"
    assert rows["policy.backfill_depth"].state == "measured"  # a default brings its own source


def test_rotterdam_is_what_it_says():
    factory = load_factory("rotterdam")
    assert sum(pool.accelerators for pool in factory.fleet) == 100_000
    assert {p.name: (p.chip, p.accelerators) for p in factory.fleet} == {
        "b200": ("B200", 60_000), "h200": ("H200", 40_000),
    }  # fmt: skip
    size = fleet_h100_equivalents(factory)
    assert size == pytest.approx(176_433, abs=1)
    assert classify(size) == "ai_gigafactory"
    assert f"{round(size, -3):,.0f}" in factory.governance.description.en
    assert factory.sites["maasvlakte"].storage_pb >= 20
    assert factory.sites["maasvlakte"].place.built_area_m2 <= 100_000
    assert factory.title.nl.startswith("AI-gigafabriek")


def test_groningen_is_an_ai_factory():
    assert classify(fleet_h100_equivalents(load_factory("groningen"))) == "ai_factory"


def test_rotterdams_tenants_fill_most_of_it_in_the_stated_mix():
    factory = load_factory("rotterdam")
    fleet = sum(pool.accelerators for pool in factory.fleet)
    offered = dict.fromkeys(CLASS_LABELS, 0.0)
    for tenant in factory.tenants:
        for work in tenant.work:
            offered[work.job_class] += work.share
        for service in tenant.services:
            mean = service.accelerators_peak * service.mean_fraction
            offered["inference_realtime"] += mean / fleet
    total = sum(offered.values())
    assert 0.84 <= total <= 0.90
    mix = {label: share / total for label, share in offered.items()}
    assert mix["frontier_training"] == pytest.approx(0.37, abs=0.01)
    assert mix["research"] == pytest.approx(0.27, abs=0.01)
    assert mix["fine_tuning"] == pytest.approx(0.08, abs=0.01)
    inference = mix["inference_batch"] + mix["inference_realtime"]
    assert inference == pytest.approx(0.28, abs=0.01)
    assert mix["inference_realtime"] / inference == pytest.approx(0.7, abs=0.02)


def test_every_mission_has_three_fictional_tenants_and_agriculture_has_seasons():
    tenants = load_factory("rotterdam").tenants
    assert all(tenant.fictional for tenant in tenants)
    missions: dict[str, list[str]] = {}
    for tenant in tenants:
        if tenant.mission:
            missions.setdefault(tenant.mission, []).append(tenant.name)
    assert sorted(missions) == [
        "agriculture_water_food", "circular_economy", "energy_transition", "health", "security",
    ]  # fmt: skip
    assert all(len(names) >= 3 for names in missions.values())
    farming = [w for t in tenants if t.mission == "agriculture_water_food" for w in t.work]
    assert farming
    assert all(w.monthly and max(w.monthly) > 1.4 * min(w.monthly) for w in farming)


def test_rotterdam_fits_its_connection_in_normal_weather_and_not_in_a_heat_wave():
    from gigafactory.plant.thermal import Electrical, overhead, typical, wet_bulb_c

    factory = load_factory("rotterdam")
    site = factory.sites["maasvlakte"]
    chips = load_catalogue()
    it_mw = sum(
        pool.accelerators
        * (max(chips[pool.chip].work_w.values()) + site.network.watt_per_accelerator_w)
        for pool in factory.fleet
    ) / 1e6  # fmt: skip
    cooling = site.cooling
    design = typical(
        cooling.technology, it_mw, cooling.supply_c, approach_k=cooling.approach_k,
        fan_fraction=cooling.fan_fraction, pump_fraction=cooling.pump_fraction,
        chiller_cop_max=cooling.chiller_cop,
    )  # fmt: skip
    chain = Electrical(
        cooling.ups_efficiency,
        cooling.transformer_loss_fraction,
        cooling.distribution_loss_fraction,
    )

    def site_mw(temperature_c: float, humidity_pct: float) -> float:
        wet = wet_bulb_c(temperature_c, humidity_pct)
        over = overhead(design, chain, it_mw, temperature_c, wet)
        return float(it_mw + over.overhead_mw) + site.auxiliary_mw

    line = site.connection
    firm = line.firm_mw + sum(right.capacity_mw for right in line.rights)
    assert 0.90 * firm < site_mw(20.0, 70.0) < firm
    assert site_mw(30.0, 45.0) < firm
    assert site_mw(38.0, 30.0) > firm


def test_the_starter_passes_and_bears_the_name_given(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(init_text("mijn-fabriek_2"), encoding="utf-8")
    assert check_factory(path, strict=True) == []
    assert load_factory(path).name == "mijn-fabriek_2"
    with pytest.raises(BadInput):
        init_text("no spaces")


def test_a_name_that_looks_like_a_number_stays_a_name(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(init_text("2026"), encoding="utf-8")
    factory = load_factory(path)
    assert factory.name == "2026"
    path.write_text(factory_text(factory), encoding="utf-8")
    assert load_factory(path) == factory


@pytest.mark.parametrize("name", bundled())
def test_a_factory_written_reads_back_the_same(name, tmp_path):
    factory = load_factory(name)
    path = tmp_path / "again.yaml"
    path.write_text(factory_text(factory), encoding="utf-8")
    again = load_factory(path, strict=True)
    assert again == factory
    assert factory_text(again) == factory_text(factory)
    assert sources(again) == sources(factory)


def test_factories_are_frozen():
    factory = load_factory("groningen")
    with pytest.raises(ValueError, match="frozen"):
        factory.name = "x"


DIMENSIONS = sorted({"power_mw", "fraction", "voltage_kv", "price_eur_per_mwh", "data_pb"})


@given(st.floats(-1e12, 1e12), st.sampled_from(DIMENSIONS))
def test_every_quantity_written_reads_back_exactly(value, dimension):
    figure = Figure(dimension, "")
    assert figure.read(figure.write(value)) == pytest.approx(value, rel=1e-15, abs=0.0)
    if dimension != "fraction":
        assert figure.read(figure.write(value)) == value


@given(st.integers(0, 100_000))
def test_percentages_of_a_file_survive_the_round_trip(thousandths):
    text = f"{thousandths / 1000} %"
    figure = Figure("fraction", "")
    assert figure.read(figure.write(figure.read(text))) == figure.read(text)


@settings(max_examples=examples(40))
@given(
    firm=st.floats(0.01, 3.9), share=st.floats(0, 0.2), accelerators=st.integers(1, 128),
    name=st.text("abcxyz019-_", min_size=1, max_size=12), latency=st.floats(0.1, 1e5),
)  # fmt: skip
def test_any_valid_factory_survives_the_round_trip(firm, share, accelerators, name, latency):
    document = read_text(init_text("mine"), "mine")
    data = document.data
    data["sites"]["home"]["connection"]["firm"] = f"{firm!r} MW"
    data["sites"]["home"]["connection"]["energised"] = dt.date(2025, 2, 28)
    data["tenants"][0]["work"][0]["share"] = f"{share!r} %"
    data["tenants"][1]["services"][0]["latency"] = f"{latency!r} ms"
    data["fleet"][0]["accelerators"] = 8 * accelerators
    data["fleet"][0]["name"] = name
    factory = Factory.model_validate(data)
    again = read_text(factory_text(factory), "again")
    assert again.problems == []
    assert Factory.model_validate(again.data) == factory


def _plain(value):
    """As another reader of YAML hands it to a schema: dates as text."""
    if isinstance(value, dict):
        return {key: _plain(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_plain(inside) for inside in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _bundled_data(folder, name):
    from importlib import resources

    file = resources.files("gigafactory.factory").joinpath("data", folder, f"{name}.yaml")
    with resources.as_file(file) as path:
        return _plain(read_document(path).data)


def test_the_schema_accepts_what_is_bundled_and_refuses_what_is_not():
    jsonschema = pytest.importorskip("jsonschema", reason="the validator of JSON Schema is absent")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in bundled():
        data = _bundled_data("factories", name)
        assert [error.message for error in validator.iter_errors(data)] == []
    data = _bundled_data("factories", "groningen")
    data["sites"]["groningen"]["connection"]["firm"] = 3.4
    data["fleet"][0]["extra"] = 1
    data["staff"] = 3
    wrong = {tuple(error.absolute_path) for error in validator.iter_errors(data)}
    assert wrong == {("sites", "groningen", "connection", "firm"), ("fleet", 0), ()}


def test_the_scenario_schema_accepts_what_is_bundled():
    jsonschema = pytest.importorskip("jsonschema", reason="the validator of JSON Schema is absent")
    schema = scenario_schema()
    validator = jsonschema.Draft202012Validator(schema)
    for name in bundled_scenarios():
        errors = validator.iter_errors(_bundled_data("scenarios", name))
        assert [error.message for error in errors] == []


def test_the_schema_carries_title_meaning_and_unit():
    schema = json_schema()
    json.dumps(schema)
    assert len(schema["properties"]) == 8
    line = schema["$defs"]["GridConnection"]["properties"]
    assert line["firm"]["unit"] == "MW"
    assert line["firm"]["description"] == "Firm import right."
    assert line["export"]["default"] == "0.0 MW"
    for part in (schema, *schema["$defs"].values()):
        for key, described in part["properties"].items():
            assert described["title"]
            assert described["description"], key


def _models(shape: shapes.Shape, seen: dict[str, type[Block]]) -> None:
    for _, variant in shape.variants:
        _models(shapes.Shape("block", model=variant), seen)
    if shape.item is not None:
        _models(shape.item, seen)
    if shape.model is not None and shape.model.__name__ not in seen:
        seen[shape.model.__name__] = shape.model
        for one in shapes.settings(shape.model).values():
            _models(one.shape, seen)


def test_every_numeric_default_has_a_source_and_every_setting_a_meaning():
    seen: dict[str, type[Block]] = {}
    for root in (Factory, Scenario):
        _models(shapes.Shape("block", model=root), seen)
    for model in seen.values():
        for one in shapes.settings(model).values():
            assert one.meaning.endswith((".", ".)")), f"{model.__name__}.{one.key}"
            if one.shape.kind == "figure" and one.default is not None:
                assert read_citation(one.source)[1], f"{model.__name__}.{one.key}"


def test_attributes_are_the_keys_with_the_unit_last():
    seen: dict[str, type[Block]] = {}
    _models(shapes.Shape("block", model=Factory), seen)
    for model in seen.values():
        for one in shapes.settings(model).values():
            figure = one.shape.figure
            if figure is not None and figure.dimension not in {"", "fraction"}:
                stem = one.key.removesuffix("_max").removesuffix("_cost")
                assert one.attribute.startswith(stem), f"{model.__name__}.{one.key}"
                assert one.attribute != one.key or model.__name__.endswith("Range")


def test_the_reference_page_lists_every_setting_once():
    page = reference_markdown()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    paths = [row.split("`")[1] for row in rows]
    assert len(paths) == len(set(paths)) > 150
    assert "sites.<name>.connection.firm" in paths
    assert "tenants[].services[].latency" in paths
    assert "policy.checkpoint.<class>.interval" in paths
    assert all(len(row.split(" | ")) == 5 for row in rows)


def test_class_labels_are_those_of_the_jobs():
    from typing import get_args

    from gigafactory.factory.blocks import JobClassLabel, MissionLabel
    from gigafactory.jobs import JobClass, Mission

    assert get_args(JobClassLabel) == tuple(label.label for label in JobClass)
    assert get_args(MissionLabel) == tuple(
        mission.name.lower() for mission in Mission if mission is not Mission.NONE
    )


@pytest.mark.parametrize(
    ("size", "name"),
    [(0, "ai_factory"), (24_999, "ai_factory"), (25_000, "between"), (99_999.9, "between"),
     (100_000, "ai_gigafactory"), (500_000, "ai_gigafactory")],
)  # fmt: skip
def test_the_class_is_decided_in_h100_equivalents(size, name):
    assert classify(size) == name


def test_tender_lots_stand_apart_from_the_class():
    first, second = tender_lots(80_000, it_load_mw=130)
    assert (first.lot, first.phase_1, first.phase_2, first.it_load) == (1, True, True, True)
    assert (second.lot, second.phase_1, second.phase_2, second.it_load) == (2, True, False, False)
    assert tender_lots(80_000)[0].it_load is None
    assert tender_lots(80_000, on=dt.date(2026, 7, 29)) == ()
    assert first.year == 2026
    assert first.state == "published"


@pytest.mark.parametrize("name", bundled_scenarios())
def test_a_scenario_written_reads_back_the_same(name, tmp_path):
    scenario = load_scenario(name)
    path = tmp_path / "again.yaml"
    path.write_text(scenario_text(scenario), encoding="utf-8")
    assert load_scenario(path).model_dump() == scenario.model_dump()


def test_written_nan_is_not_a_percentage():
    assert math.isnan(float(str(Figure("fraction", "").write(math.nan)).split()[0]))


@pytest.mark.parametrize("name", bundled())
def test_research_gives_way_first_and_is_saved(name):
    policy = load_factory(name).policy
    assert policy.victim_order[0] == "research"
    assert policy.victim_order[-1] == "inference_realtime"
    trained = ("frontier_training", "research", "fine_tuning")
    assert min(trained, key=policy.priority.get) == "research"
    assert 0 < policy.checkpoint["research"].interval_s <= 3600
