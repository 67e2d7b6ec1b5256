"""No look-ahead: what happens later changes nothing of what was decided, done and metered before.

Every signal, every job and every dated event after an instant is changed; the journal's entries
before it must be the same bytes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gigafactory.engine.journal import Journal, frames, record_of
from gigafactory.factory import load_scenario
from gigafactory.grid import Signals
from gigafactory.jobs import JobTable
from gigafactory.ledger import Book
from gigafactory.plant import load_catalogue
from gigafactory.runtime.desks import desks_of
from gigafactory.runtime.loop import Loop, Trace
from gigafactory.runtime.run import Inputs, Quiet, RunOptions, read_inputs
from gigafactory.runtime.wiring import build
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
    write_scenario,
)
from gigafactory.units import NS_PER_H

DAYS = 4
FACTORY = SmallFactory(
    (
        SmallSite(
            (SmallPool("H100", 8), SmallPool("GB200", 4)), 0.7, battery=0.5, export=0.3, ppa=1.0
        ),
        SmallSite((SmallPool("B200", 4), SmallPool("H100", 6)), 0.5),
    ),
    changes={
        "policy.migration": "full",
        "sites.site1.outside": {"price_times": 3.0, "temperature_add": "-2 K"},
        # towers with too little water for the year, and a heat pump of the site's own
        "sites.site0.cooling.technology": "evaporative",
        "sites.site0.water.cap": "150 m3",
        "sites.site0.water.cap_day": "2 m3",
        "sites.site0.heat": {
            "power_max": "0.03 MW",
            "source": "42 °C",
            "network": "70 °C",
            "cop_quality": "50 %",
            "price": "15 EUR/MWh",
            "peak_demand": "0.04 MW",
            "homes": 20,
            "pump": {"owner": "site"},
        },
    },
)


def inputs_of(place: Path, cadence: str) -> Inputs:
    jobs = write_jobs(place / "jobs.csv", FACTORY.pools, 900, DAYS * 0.95, 9)
    options = RunOptions(
        factory=str(FACTORY.write(place / "factory.yaml")),
        jobs=str(jobs),
        start=FIRST_DAY.isoformat(),
        days=DAYS,
        seed=6,
        cadence=cadence,
    )
    return read_inputs(options, Quiet())


def turned(inputs: Inputs, path: Path) -> list[tuple[str, int, bytes]]:
    """Turn the loop over some inputs; the journal's entries as canonical records."""
    world = build(
        inputs.factory,
        inputs.scenario,
        inputs.calendar,
        inputs.signals,
        inputs.table,
        load_catalogue(),
        "test",
    )
    path.unlink(missing_ok=True)
    with Journal.create(path) as journal:
        trace = Trace.empty(inputs.calendar.periods, len(world.sites))
        book = Book(world.header)
        desks = desks_of(world, inputs.calendar, book, journal, inputs.factory, inputs.table)
        loop = Loop(world, inputs.calendar, journal, book, trace, desks=desks)
        loop.run(0, lambda _: False)
    return [
        (f.kind, f.tick_ns, record_of(f.kind, f.tick_ns, f.fields, f.arrays)) for f in frames(path)
    ]


def until(course: list[tuple[str, int, bytes]], instant_ns: int) -> list[tuple[str, int, bytes]]:
    """Entries decided before an instant; what is metered of a period is known at its end."""
    return [
        entry
        for entry in course
        if entry[1] < instant_ns and (entry[0] != "facts" or entry[1] + NS_PER_H // 4 <= instant_ns)
    ]


def other_signals(signals: Signals, first: int, keep_prices: int) -> Signals:
    """Every signal is something else from a period on; prices from when they are not known yet."""
    changed: dict[str, Any] = {}
    for series in signals:
        at = keep_prices if series.name == "price" else first
        values = series.values.copy()
        if at < len(values):
            values[at:] = values[at:][::-1] * 0.6 + values[at:].mean() * 0.2
        changed[series.name] = replace(series, values=values)
    return replace(signals, **changed)


def other_jobs(table: JobTable, instant_ns: int) -> JobTable:
    """Every job submitted from an instant on is another one, and those under way last longer."""
    later = table.submit_ns >= instant_ns
    columns: dict[str, Any] = {
        "accelerators": np.where(later, 1, table.accelerators).astype(np.int32),
        "work_ns": np.where(later, table.work_ns // 2 + 10**9, table.work_ns),
        "walltime_ns": np.where(later, table.walltime_ns * 2, table.walltime_ns),
        "job_class": np.where(later, 0, table.job_class).astype(np.int8),
    }
    assert later.any()
    assert not later.all()
    return replace(table, **columns)


@pytest.fixture(scope="module", params=["daily", pytest.param("15 min", marks=pytest.mark.slow)])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Inputs, list[Any]]:
    """A run planned once a day, and one planned again every quarter of an hour."""
    place = tmp_path_factory.mktemp("ahead")
    inputs = inputs_of(place, request.param)
    return place, inputs, turned(inputs, place / "base.gfj")


@pytest.mark.parametrize(
    "hour", [30.25, *(pytest.param(h, marks=pytest.mark.slow) for h in (48.0, 61.5))]
)
def test_nothing_that_comes_later_changes_what_was(
    world: tuple[Path, Inputs, list[Any]], hour: float
) -> None:
    place, inputs, base = world
    calendar = inputs.calendar
    first = round(hour * 4)
    instant = int(calendar.start_ns[first])
    day = int(hour // 24)
    # at 13:00 the prices of the next day are known; those of the days after are not
    known = int(calendar.day_edges[min(day + (2 if hour % 24 >= 13 else 1), calendar.days)])
    later = replace(
        inputs,
        signals=other_signals(inputs.signals, first, known),
        table=other_jobs(inputs.table, instant),
    )
    course = turned(later, place / "later.gfj")
    assert until(course, instant) == until(base, instant)
    assert course[len(until(base, instant)) :] != base[len(until(base, instant)) :]


@pytest.mark.slow
def test_no_event_is_felt_before_it_happens(world: tuple[Path, Inputs, list[Any]]) -> None:
    place, inputs, base = world
    begin = dt.datetime.combine(FIRST_DAY, dt.time()) + dt.timedelta(hours=37)
    span = {"from": begin.isoformat(), "until": (begin + dt.timedelta(hours=30)).isoformat()}
    # at noon of the second day its own prices are out and those of the third are not
    price = {
        "from": (FIRST_DAY + dt.timedelta(days=2)).isoformat(),
        "until": (FIRST_DAY + dt.timedelta(days=3)).isoformat(),
    }
    trouble = [
        {"kind": "connection", **span, "factor": "10 %"},
        {"kind": "temperature", **span, "add": "25 K"},
        {"kind": "price", **price, "times": 9.0},
        {
            "kind": "no_spares",
            "vendor_country": "US",
            "from": begin.isoformat(),
            "failures_per_year": "90 %",
        },
        {"kind": "deliveries_stopped", "vendor_country": "US", "from": begin.isoformat()},
    ]
    scenario = load_scenario(str(write_scenario(place / "trouble.yaml", trouble)))
    course = turned(replace(inputs, scenario=scenario), place / "trouble.gfj")
    instant = int(inputs.calendar.start_ns[37 * 4])
    assert until(course, instant) == until(base, instant)
    assert course != base


@pytest.mark.slow
def test_the_test_can_fail(world: tuple[Path, Inputs, list[Any]]) -> None:
    """A price that is known already changes the plan made from it."""
    place, inputs, base = world
    signals = other_signals(inputs.signals, inputs.calendar.periods, 100)
    course = turned(replace(inputs, signals=signals), place / "known.gfj")
    instant = int(inputs.calendar.start_ns[150])
    assert until(course, instant) != until(base, instant)
