"""Bad contracts of a connection are told in plain words, with the place and what would be right."""

from __future__ import annotations

import copy

import pytest
import yaml

from gigafactory.engine.errors import BadInput
from gigafactory.factory import load_factory, load_scenario
from gigafactory.testing.factories import SmallFactory

CALLS = {"per_year": 10, "start": 16, "end": 20, "duration": "1 h"}
BLOCK = {"start": 0, "end": 6}


def right(**changes):
    return {"name": "loose", "form": "duration_bound", "capacity": "0.01 MW"} | changes


def asked(**changes):
    steering = {
        "capacity": "0.01 MW",
        "price": "100 EUR/MWh",
        "hours_max": 10,
        "notice": "30 min",
        "calls": CALLS,
    }
    return {"steering": steering | changes}


CASES = [
    ({"rights": [right(capacity="500 MW")]}, "more than"),
    ({"rights": [right(form="flexible")]}, "form"),
    ({"rights": [right(name="firm")]}, "connection.firm"),
    ({"rights": [right(), right()]}, "name of an earlier one"),
    ({"rights": [right(form="time_block")]}, "needs the hours in which it holds"),
    ({"rights": [right(blocks=[BLOCK])]}, "belong to a time_block right"),
    (
        {"rights": [right(form="time_block", blocks=[BLOCK, {"start": 5, "end": 8}])]},
        "overlaps an earlier block",
    ),
    ({"rights": [right(form="time_block", blocks=[{"start": 6, "end": 0}])]}, "must be after"),
    ({"rights": [right(form="time_block", blocks=[{"start": 0.1, "end": 6}])]}, "quarter of"),
    (
        {"rights": [right(form="time_block", blocks=[BLOCK | {"weekdays": []}])]},
        "at least one day",
    ),
    ({"congestion": {"restrictions": {"calls": CALLS}}}, "no right of this connection may be"),
    (
        {"rights": [right()], "congestion": {"restrictions": {"calls": CALLS | {"end": 16.5}}}},
        "for a call to fit",
    ),
    (
        {
            "rights": [right()],
            "congestion": {"restrictions": {"calls": CALLS, "remaining": "100 %"}},
        },
        "below 100 %",
    ),
    ({"congestion": asked(notice="20 min")}, "whole quarters of an hour"),
    ({"congestion": asked(capacity="500 MW")}, "more than the rights"),
    ({"congestion": asked(calls=CALLS | {"duration": "50 min"})}, "whole quarters"),
    ({"congestion": asked(calls=CALLS | {"months": []})}, "must not be empty"),
    ({"congestion": asked(calls=CALLS | {"months": [13]})}, "at most 12"),
    (
        {
            "congestion": {
                "redispatch": {
                    "capacity": "0.01 MW",
                    "price_max": "100 EUR/MWh",
                    "published": 12,
                    "calls": CALLS,
                }
            }
        },
        "after the day-ahead results",
    ),
    ({"voltage": "10 kV", "tariff": {}}, "no tariff is known below 110 kV"),
]


def write(tmp_path, changes):
    settings = copy.deepcopy(SmallFactory().settings())
    settings["sites"]["site0"]["connection"] |= changes
    path = tmp_path / "factory.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
    return str(path)


@pytest.mark.parametrize(("changes", "words"), CASES)
def test_a_bad_contract_is_told(tmp_path, changes, words):
    with pytest.raises(BadInput) as told:
        load_factory(write(tmp_path, changes))
    assert words in str(told.value)
    assert "connection" in str(told.value)


def test_every_problem_is_told_at_once(tmp_path):
    changes = {
        "rights": [right(name="firm"), right(form="time_block")],
        "congestion": asked(notice="20 min"),
    }
    with pytest.raises(BadInput) as told:
        load_factory(write(tmp_path, changes))
    assert len(told.value.problems) == 3


def test_good_contracts_and_own_figures_pass(tmp_path):
    own = {"contract": "30 EUR/kW", "peak": "2 EUR/kW", "fixed": "100 EUR/y"}
    factory = load_factory(
        write(tmp_path, {"rights": [right()], "tariff": own, "congestion": asked(), "ramp": "20 %"})
    )
    line = factory.sites["site0"].connection
    assert line.tariff is not None
    assert (line.tariff.contract_eur_per_kw, line.tariff.fixed_eur_per_year) == (30.0, 100.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"right": "firm"}, "no right of site0 that may be restricted"),
        ({"right": "loos"}, "did you mean loose"),
        ({"remaining": "100 %"}, "below 100 %"),
        ({"announced": "2025-03-30T02:30"}, "does not exist"),
        ({"site": "site9"}, "no such site"),
    ],
)
def test_a_bad_restriction_of_a_scenario_is_told(tmp_path, change, words):
    event = {
        "kind": "restriction",
        "site": "site0",
        "right": "loose",
        "announced": "2025-01-15T08:00",
        "from": "2025-01-16T10:00",
        "until": "2025-01-16T12:00",
        "remaining": "0 %",
    } | change
    path = tmp_path / "what-if.yaml"
    text = {"en": "made up", "nl": "verzonnen"}
    scenario = {"name": "what-if", "title": text, "explanation": dict(text), "events": [event]}
    path.write_text(yaml.safe_dump(scenario), "utf-8")
    with pytest.raises(BadInput) as told:
        load_factory(write(tmp_path, {"rights": [right()]}), load_scenario(str(path)))
    assert words in str(told.value)
