"""Whatever is broken in a file, and however often, it is told as problems and never as a crash."""

from __future__ import annotations

import copy
import datetime as dt
import math
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.factory import init_text, load_scenario, scenario_text
from gigafactory.factory.checks import check_built
from gigafactory.factory.eventchecks import check_events
from gigafactory.factory.loading import load_factory
from gigafactory.factory.models import Factory
from gigafactory.factory.reading import read_text
from gigafactory.factory.scenario import Scenario, apply_changes
from gigafactory.factory.validating import validate
from gigafactory.plant import load_catalogue
from tests.effort import examples

CHIPS = load_catalogue()
STARTER = read_text(init_text("mine"), "mine.yaml")
GONE = object()
JUNK = st.sampled_from([
    None, True, 0, -1, 10**30, 2.5, math.nan, math.inf, "", "x y", "NL", "home", "1 MW", "-1 MW",
    "1e999 MW", "nan %", "{why}", [], {}, [None], [[]], {"a": 1}, dt.date(2025, 1, 1), ["a", 1],
    {"name": "home"}, "2025-03-30T02:30", GONE,
])  # fmt: skip


def _places(value, path=()):
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _places(item, (*path, at))
    if path:
        yield path


def _break(data, path, junk):
    here = data
    for step in path[:-1]:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return
    kind = {str: dict, int: list}[type(path[-1])]
    if not isinstance(here, kind) or (kind is list and path[-1] >= len(here)):
        return
    if junk is GONE:
        here.pop(path[-1], None) if isinstance(here, dict) else here.pop(path[-1])
    else:
        here[path[-1]] = copy.deepcopy(junk)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(_places(STARTER.data), key=str)), JUNK),
                min_size=1, max_size=6))  # fmt: skip
def test_a_broken_factory_is_told_and_never_crashes(breaks):
    document = read_text("name: x", "mine.yaml")
    document.data = copy.deepcopy(STARTER.data)
    document.places = dict(STARTER.places)
    for path, junk in breaks:
        _break(document.data, path, junk)
    factory, problems, guessed = validate(document, Factory)
    assert factory is not None, "placeholders save every factory whose top is a block"
    problems += check_built(factory, document, CHIPS, guessed, strict=True)
    assert all(problem.why and "XX" not in str(problem) for problem in problems)
    assert len({(p.field, p.why) for p in problems}) == len(problems)
    assert not any("nan" in p.value.lower() for p in problems if "nan" not in str(breaks))
    if document.data == STARTER.data:
        assert problems == []


SCENARIO = read_text(scenario_text(load_scenario("export-ban")), "what-if.yaml")


@cache
def rotterdam() -> Factory:
    return load_factory("rotterdam")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(_places(SCENARIO.data), key=str)), JUNK),
                min_size=1, max_size=4))  # fmt: skip
def test_a_broken_scenario_is_told_and_never_crashes(breaks):
    document = read_text("name: x", "what-if.yaml")
    document.data = copy.deepcopy(SCENARIO.data)
    for path, junk in breaks:
        _break(document.data, path, junk)
    scenario, problems, _ = validate(document, Scenario)
    assert scenario is not None
    if not problems:
        base = read_text("name: x", "mine.yaml")
        base.data = copy.deepcopy(STARTER.data)
        problems += apply_changes(base, scenario)
        problems += check_events(rotterdam(), scenario, CHIPS)
    assert all(problem.why for problem in problems)


@settings(max_examples=examples(60))
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    document = read_text(text, "any.yaml")
    assert document.problems or document.data or text.strip() in {"", "{}"} or "{}" in text
