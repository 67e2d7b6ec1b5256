"""Scenarios: changes, events, and the arrays per market period they compile to."""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.factory import (
    Factory,
    Scenario,
    bundled_scenarios,
    compile_timeline,
    instant_of,
    load_factory,
    load_scenario,
    sources,
)
from gigafactory.factory.sites import GridConnection
from gigafactory.factory.timeline import connection_limit_mw
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.connection import Connection, Phase

NL = "Europe/Amsterdam"


def calendar(start="2025-01-01", days=365):
    return MarketCalendar.of(dt.date.fromisoformat(start), days)


def scenario(tmp_path: Path, body: str) -> Scenario:
    path = tmp_path / "what-if.yaml"
    head = "name: what-if\ntitle: {en: a, nl: b}\nexplanation: {en: a, nl: b}\n"
    path.write_text(head + body, encoding="utf-8")
    return load_scenario(path)


def problems(tmp_path: Path, body: str, base="rotterdam"):
    try:
        load_factory(base, scenario(tmp_path, body))
    except BadInput as bad:
        return bad.problems
    return ()


@pytest.mark.parametrize("name", bundled_scenarios())
def test_bundled_scenarios_work_on_rotterdam_for_the_default_year(name):
    found = load_scenario(name)
    assert found.base == "rotterdam"
    assert len(found.explanation.en) > 80
    assert len(found.explanation.nl) > 80
    base, factory = load_factory("rotterdam"), load_factory("rotterdam", found, strict=True)
    edges = calendar().start_ns
    calm, stormy = compile_timeline(base, edges), compile_timeline(factory, edges, found)
    changed = [
        *(np.any(calm.installed[pool] != stormy.installed[pool]) for pool in calm.installed),
        *(np.any(stormy.down[pool] != 0) for pool in stormy.down),
        np.any(calm.connection_limit_mw["maasvlakte"] != stormy.connection_limit_mw["maasvlakte"]),
        np.any(stormy.temperature_add_k["maasvlakte"] != 0.0),
        np.any(stormy.price_times != 1.0),
    ]
    assert any(changed)


def test_there_are_five_bundled_scenarios():
    assert bundled_scenarios() == (
        "blackout-72h", "cable-cut", "export-ban", "heat-wave", "late-grid-connection",
    )  # fmt: skip


def test_changes_replace_multiply_and_add(tmp_path):
    found = scenario(tmp_path, """
changes:
  fleet.b200.accelerators: {times: 0.5}
  fleet.h200.accelerators: {add: -8}
  sites.maasvlakte.connection.firm: {add: "-20 MW"}
  sites.maasvlakte.connection.capacity: {times: 0.9}
  sites.*.auxiliary: "1 MW"
  energy.ppas.north-sea.until: {add: "365 d"}
  energy.batteries: []
  energy.reserves: []
  tenants.delta-lab.work.0.share: "10 %"
  tenants.antwoord.services.antwoord-api.accelerators_peak: 6000
  policy.priority.research: 6
  sites.maasvlakte.connection.energised: 2025-02-01
""")  # fmt: skip
    factory = load_factory("rotterdam", found, strict=True)
    line = factory.sites["maasvlakte"].connection
    assert [pool.accelerators for pool in factory.fleet] == [30_000, 39_992]
    assert (line.firm_mw, line.capacity_mva) == (80.0, 180.0)
    assert factory.sites["maasvlakte"].auxiliary_mw == 1.0
    assert factory.energy.ppas[0].until == dt.date(2040, 1, 1)
    assert factory.energy.batteries == ()
    assert factory.tenants[0].work[0].share == pytest.approx(0.1)
    assert line.energised == dt.date(2025, 2, 1)
    assert factory.policy.priority["research"] == 6


def test_a_changed_figure_says_what_it_was(tmp_path):
    found = scenario(tmp_path, 'changes: {sites.maasvlakte.connection.firm: "90 MW"}\n')
    rows = {row.path: row for row in sources(load_factory("rotterdam", found, strict=True))}
    row = rows["sites.maasvlakte.connection.firm"]
    assert row.state == "assumption"
    assert row.source == "Scenario what-if: was 100 MW"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('{sites.maasvlake.auxiliary: "1 MW"}', "did you mean maasvlakte?"),
        ('{fleet.b20.accelerators: 8}', "did you mean b200?"),
        ('{sites.maasvlakte.auxilary: "1 MW"}', "did you mean auxiliary?"),
        ('{sites.maasvlakte.auxiliary: 1}', "has no unit"),
        ('{sites.maasvlakte.auxiliary: {times: -1}}', "at least 0 MW"),
        ('{sites.maasvlakte.auxiliary: {times: much}}', "needs a number"),
        ('{sites.maasvlakte.auxiliary: {add: "1 kW"}}', "unit of the factory's value, MW"),
        ('{sites.maasvlakte.place.municipality: {times: 2}}', "not a number"),
        ('{sites.maasvlakte.connection.energised: {add: "1 d"}}', "is not given"),
        ('{energy.ppas.north-sea.until: {add: "1 h"}}', "whole number of days"),
        ('{energy.ppas.north-sea.until: {add: 1}}', "has no unit"),
        ('{fleet.b200.accelerators: {times: 0.33333}}', "whole number"),
        ('{fleet.*.colour: red}', "unknown key"),
        ('{nothing.at.all: 1}', "has no nothing"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_made_is_told_at_its_line(tmp_path, change, words):
    found = problems(tmp_path, f"changes:\n  {change[1:-1]}\n")
    assert found
    assert all(words in str(p) for p in found)
    assert all(p.where == f"{tmp_path / 'what-if.yaml'}:5" for p in found)


@pytest.mark.parametrize(
    ("event", "field", "words"),
    [
        ("{kind: price, from: 2025-01-02, until: 2025-01-01, times: 2}", "until", "after from"),
        ("{kind: price, from: 2025-03-30T02:30, until: 2025-04-01, times: 2}", "from",
         "does not exist in Europe/Amsterdam"),
        ("{kind: price, from: 2025-10-01, until: 2025-10-26T02:30, times: 2}", "until",
         "happens twice in Europe/Amsterdam"),
        ("{kind: price, from: 2025-10-01, until: 2025-10-26T02:30+02:00}", "until", "local date"),
        ('{kind: temperature, site: maasvlake, from: 2025-01-01, until: 2025-01-02, add: "1 K"}',
         "site", "did you mean maasvlakte?"),
        ('{kind: connection, from: 2025-01-01, until: 2025-01-02, factor: 0.5}', "factor",
         '"50 %"'),
        ("{kind: deliveries_stopped, from: 2025-01-01}", "events.0", "vendor_country or vendor"),
        ("{kind: deliveries_stopped, vendor: NVIDA, from: 2025-01-01}", "vendor", "NVIDIA"),
        ('{kind: no_spares, vendor_country: ZW, from: 2025-01-01, failures_per_year: "9 %"}',
         "vendor_country", "no accelerator"),
        ("{kind: flood, from: 2025-01-01}", "events.0", "temperature, connection"),
        ("{from: 2025-01-01}", "events.0", "needs a kind"),
        ("{kind: price, form: 2025-01-01, from: 2025-01-01, until: 2025-01-02}", "form",
         "did you mean from?"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_happen_is_told(tmp_path, event, field, words):
    found = problems(tmp_path, f"events:\n  - {event}\n")
    assert len(found) == 1, found
    assert found[0].field.endswith(field)
    assert words in found[0].why
    assert found[0].where == f"{tmp_path / 'what-if.yaml'}:5"


def test_events_of_one_kind_may_not_overlap_on_one_object(tmp_path):
    found = problems(tmp_path, """
events:
  - {kind: connection, site: maasvlakte, from: 2025-01-01, until: 2025-01-03, factor: "50 %"}
  - {kind: connection, from: 2025-01-02, until: 2025-01-04, factor: "50 %"}
  - {kind: connection, site: maasvlakte, from: 2025-01-04, until: 2025-01-05, factor: "50 %"}
  - {kind: temperature, from: 2025-01-02, until: 2025-01-04, add: "5 K"}
  - {kind: deliveries_stopped, vendor_country: US, from: 2025-01-01}
  - {kind: deliveries_stopped, vendor_country: US, from: 2026-01-01}
""")  # fmt: skip
    assert [p.field for p in found] == ["events.1.from", "events.5.from"]
    assert all("overlaps" in p.why for p in found)


def test_the_limit_follows_energising_phases_n_minus_1_and_the_cut(tmp_path):
    found = scenario(tmp_path, """
changes:
  sites.maasvlakte.connection.energised: 2025-01-02
  sites.maasvlakte.connection.phases:
    - {from: 2025-01-03, firm: "30 MW"}
    - {from: 2025-01-05, firm: "99 MW"}
events:
  - {kind: connection, from: 2025-01-05T12:00, until: 2025-01-05T13:05, factor: "50 %"}
""")  # fmt: skip
    factory = load_factory("rotterdam", found)
    limit = compile_timeline(factory, calendar(days=6).start_ns, found).connection_limit_mw[
        "maasvlakte"
    ].reshape(6, 96)  # fmt: skip
    assert np.all(limit[0] == 0.0)
    assert np.all(limit[1] == 140.0)
    assert np.all(limit[2:4] == 70.0)  # the duration-bound right is held beside the firm one
    # the cut holds in every quarter it touches: 12:00 to 13:15
    assert np.flatnonzero(limit[4] == 69.5).tolist() == list(range(48, 53))
    assert np.all(np.delete(limit[4], range(48, 53)) == 139.0)
    assert np.all(limit[5] == 139.0)


def test_n_minus_1_and_the_power_factor_bound_the_limit():
    factory = load_factory("rotterdam")
    site = factory.sites["maasvlakte"]
    tight = site.connection.model_copy(update={"circuit_capacity_mva": 100.0})
    loose = tight.model_copy(update={"n_minus_1": False})
    edges = calendar(days=1).start_ns
    for line, limit in ((tight, 98.0), (loose, 140.0)):
        changed = factory.model_copy(
            update={"sites": {"maasvlakte": site.model_copy(update={"connection": line})}}
        )
        found = compile_timeline(changed, edges).connection_limit_mw["maasvlakte"]
        assert np.all(found == pytest.approx(limit))


@pytest.mark.parametrize(("day", "quarters"), [("2025-03-30", 92), ("2025-10-26", 100)])
def test_a_day_on_which_the_clocks_change_is_one_whole_day(tmp_path, day, quarters):
    after = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    found = scenario(tmp_path, f"""
events:
  - {{kind: temperature, from: {day}, until: {after}, add: "5 K"}}
  - {{kind: price, from: {day}, until: {after}, times: 2, add: "-10 EUR/MWh"}}
""")  # fmt: skip
    factory = load_factory("rotterdam", found)
    start = dt.date.fromisoformat(day) - dt.timedelta(days=1)
    days = MarketCalendar.of(start, 3)
    line = compile_timeline(factory, days.start_ns, found)
    hot = line.temperature_add_k["maasvlakte"] == 5.0
    assert hot.sum() == quarters
    assert np.array_equal(hot, days.day_of == 1)
    price = line.price_adjust(np.full(days.periods, 50.0))
    assert np.array_equal(price == 90.0, days.day_of == 1)
    assert np.all(price[~hot] == 50.0)


def test_deliveries_arrive_on_their_local_day_also_when_the_clocks_change(tmp_path):
    found = scenario(tmp_path, """
changes:
  fleet.b200.deliveries:
    - {date: 2025-03-30, accelerators: 20000}
    - {date: 2025-03-31, accelerators: 40000}
""")  # fmt: skip
    factory = load_factory("rotterdam", found)
    days = MarketCalendar.of(dt.date(2025, 3, 29), 3)
    installed = compile_timeline(factory, days.start_ns).installed
    assert [int((days.day_of == d).sum()) for d in range(3)] == [96, 92, 96]
    assert np.array_equal(installed["b200"], np.array([0, 20_000, 60_000])[days.day_of])
    assert np.all(installed["h200"] == 40_000)


def test_stopped_deliveries_wait_for_the_end_of_the_stop_or_for_ever(tmp_path):
    base = """
changes:
  fleet.b200.deliveries:
    - {date: 2025-01-01, accelerators: 20000}
    - {date: 2025-01-03, accelerators: 20000}
    - {date: 2025-01-07, accelerators: 20000}
events:
"""
    for event, counts in (
        ("{kind: deliveries_stopped, vendor: nvidia, from: 2025-01-02, until: 2025-01-05}",
         [20, 20, 20, 20, 40, 40, 60, 60]),
        ("{kind: deliveries_stopped, vendor_country: US, from: 2025-01-02}", [20] * 8),
        ("{kind: deliveries_stopped, vendor: AMD, from: 2025-01-02}",
         [20, 20, 40, 40, 40, 40, 60, 60]),
    ):  # fmt: skip
        found = scenario(tmp_path, f"{base}  - {event}\n")
        factory = load_factory("rotterdam", found)
        installed = compile_timeline(factory, calendar(days=8).start_ns, found).installed["b200"]
        assert installed[::96].tolist() == [1000 * count for count in counts]


def test_without_spare_parts_whole_nodes_are_lost_year_by_year(tmp_path):
    found = scenario(tmp_path, """
events:
  - kind: no_spares
    vendor_country: US
    from: 2025-01-01
    until: 2027-01-01
    failures_per_year: "9 %"
""")  # fmt: skip
    factory = load_factory("rotterdam", found)
    year_ns = int(365.25 * 86_400e9)
    start = instant_of(dt.date(2025, 1, 1), NL)
    edges = np.array([start, start + year_ns, start + 2 * year_ns - 1, start + 3 * year_ns])
    down = compile_timeline(factory, edges.astype(np.int64), found).down["h200"]
    assert down[0] == 0
    assert down[1] == 40_000 * 9 // 100 // 8 * 8
    assert np.all(down % 8 == 0)
    assert down[2] == 0  # parts came again on 1 January 2027, a little before two Julian years
    assert np.all(compile_timeline(factory, edges.astype(np.int64)).down["h200"] == 0)


@given(
    begin=st.integers(0, 40_000), length=st.integers(1, 60_000),
    factor=st.integers(0, 100),
)  # fmt: skip
def test_an_event_holds_in_exactly_the_periods_it_touches(begin, length, factor):
    start = dt.datetime.combine(dt.date(2025, 3, 29), dt.time())
    from_ = start + dt.timedelta(minutes=begin)
    until = from_ + dt.timedelta(minutes=length)
    found = Scenario.model_validate({
        "name": "x", "title": {"en": "x", "nl": "x"}, "explanation": {"en": "x", "nl": "x"},
        "events": [{"kind": "connection", "from": from_, "until": until, "factor": f"{factor} %"}],
    })  # fmt: skip
    edges = MarketCalendar.of(dt.date(2025, 3, 28), 60).start_ns
    limit = compile_timeline(rotterdam(), edges, found).connection_limit_mw["maasvlakte"]
    a_ns, b_ns = instant_of(from_, NL), instant_of(until, NL)
    touched = (edges[1:] > a_ns) & (edges[:-1] < b_ns)
    assert np.all(limit[touched] == 140.0 * (factor * 0.01))
    assert np.all(limit[~touched] == 140.0)


@cache
def rotterdam() -> Factory:
    return load_factory("rotterdam")


def test_instants_of_local_days_around_the_change_of_clocks():
    hour = 3600 * 10**9
    spring = [instant_of(dt.date(2025, 3, day), NL) for day in (29, 30, 31)]
    autumn = [instant_of(dt.date(2025, 10, day), NL) for day in (25, 26, 27)]
    assert np.diff(spring).tolist() == [24 * hour, 23 * hour]
    assert np.diff(autumn).tolist() == [24 * hour, 25 * hour]


def test_a_scenario_nobody_has():
    with pytest.raises(BadInput, match="did you mean heat-wave"):
        load_scenario("heatwave")


@given(
    energised=st.one_of(st.none(), st.integers(0, 20)),
    phases=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 140)), max_size=3),
    circuits=st.integers(1, 3),
    n_minus_1=st.booleans(),
)
def test_the_limit_is_that_of_the_grid_room(energised, phases, circuits, n_minus_1):
    first = dt.date(2025, 3, 20)
    days = sorted(dict(phases).items())
    site = rotterdam().sites["maasvlakte"]
    line = GridConnection.model_validate({
        "voltage": "380 kV", "capacity": "200 MVA", "circuits": circuits,
        "circuit_capacity": "90 MVA", "n_minus_1": n_minus_1, "firm": "140 MW",
        "mv_lv_impact": "0 MW", "mv_lv_assumption": "none",
        "energised": None if energised is None else first + dt.timedelta(days=energised),
        "phases": [
            {"from": first + dt.timedelta(days=day), "firm": f"{firm} MW"} for day, firm in days
        ],
    })  # fmt: skip
    twin = Connection(
        line.voltage_kv, line.capacity_mva, line.power_factor, line.circuits,
        line.circuit_capacity_mva, line.firm_mw, n_minus_1=line.n_minus_1,
        energised=line.energised,
        phases=tuple(Phase(phase.from_, phase.firm_mw) for phase in line.phases),
    )  # fmt: skip
    days_run = MarketCalendar.of(first, 25)
    changed = site.model_copy(update={"connection": line})
    found = connection_limit_mw("maasvlakte", changed, None, days_run.start_ns)
    assert np.array_equal(found, twin.limit_mw(days_run))
