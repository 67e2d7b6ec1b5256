"""Own generators in a factory file: what is left out, and what is refused in plain words."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.factory import load_factory, load_scenario
from gigafactory.plant.generation import kinds
from gigafactory.testing.factories import SmallFactory, SmallSite, write_scenario

GOOD = {
    "name": "own",
    "site": "site0",
    "kind": "gas_turbine",
    "power": "1 MW",
    "ordered": "2020-01-01",
}


def read(tmp_path, **changes):
    block = {key: value for key, value in (GOOD | changes).items() if value is not None}
    factory = SmallFactory((SmallSite(),), changes={"energy.generators": [block]})
    return load_factory(factory.write(tmp_path / "f.yaml")).energy.generators[0]


def test_what_is_left_out_comes_from_its_kind(tmp_path):
    one, of = read(tmp_path), kinds()["gas_turbine"]
    built = one.built()
    assert built.min_load_share == of.figures["min_load_share"].base
    assert built.fuel_eur_per_mwh == of.fuel.figures["price_eur_per_mwh"].base
    assert built.fuel_stock_mwh == math.inf
    assert one.exists_from == dt.date(2020, 1, 1) + dt.timedelta(days=1461), "four years after"
    assert not one.emergency
    assert "heat_rate_mwh_per_mwh" in one.taken_from_kind


def test_what_is_given_holds(tmp_path):
    one = read(tmp_path, heat_rate=2.0, minimum_load="10 %", run_time_max="500 h", use="emergency")
    built = one.built()
    assert (built.heat_rate_mwh_per_mwh, built.min_load_share, built.run_h_max) == (2.0, 0.1, 500.0)
    assert one.emergency
    assert "heat_rate_mwh_per_mwh" not in one.taken_from_kind


def test_a_diesel_is_for_emergencies_unless_said_otherwise(tmp_path):
    assert read(tmp_path, kind="diesel", fuel_stock="1 MWh").emergency
    assert not read(tmp_path, kind="diesel", fuel_stock="1 MWh", use="market").emergency


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"kind": "gas_turbin"}, "kind", "did you mean gas_turbine?"),
        ({"site": "sit0"}, "site", "did you mean site0?"),
        ({"ordered": None}, "commissioned", "when it was ordered"),
        ({"commissioned": "2019-01-01"}, "commissioned", "before the day it was ordered"),
        ({"kind": "diesel"}, "fuel_stock", "stands in a tank"),
        ({"kind": "solar", "fuel_stock": "1 MWh"}, "fuel_stock", "burns no fuel"),
        ({"kind": "wind", "minimum_load": "10 %"}, "minimum_load", "what the weather gives"),
        ({"fuel_delivery": "1 MWh"}, "fuel_delivery", "needs a tank"),
        ({"heat_rate": 0.5}, "heat_rate", "from 1"),
        ({"minimum_load": "110 %"}, "minimum_load", "100 %"),
        ({"power": "0 MW"}, "power", "above 0"),
    ],
)
def test_a_mistake_is_told_at_its_field(tmp_path, changes, field, words):
    with pytest.raises(BadInput) as told:
        read(tmp_path, **changes)
    (problem,) = told.value.problems
    assert problem.field.endswith(f"energy.generators.own.{field}")
    assert words in str(problem)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"site": "nowhere"}, "no such site"),
        ({"until": "2025-01-15T09:00"}, "must be after from"),
        ({"announced": "2025-01-16T00:00"}, "must not be after from"),
    ],
)
def test_an_outage_that_cannot_be_is_refused(tmp_path, changes, words):

    event = {"kind": "grid_outage", "from": "2025-01-15T10:00", "until": "2025-01-15T12:00"}
    path = SmallFactory((SmallSite(),)).write(tmp_path / "f.yaml")
    scenario = load_scenario(write_scenario(tmp_path / "s.yaml", [event | changes]))
    with pytest.raises(BadInput, match=words):
        load_factory(path, scenario)
