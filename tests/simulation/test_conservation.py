"""Any factory, work, trouble: nothing is lost, made, given twice or drawn beyond a limit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    events,
    small_factories,
    write_jobs,
    write_scenario,
)
from gigafactory.testing.proving import ROUNDING_WH, run_problems
from tests.effort import examples


@st.composite
def small_runs(draw: st.DrawFn, days: int, jobs: int) -> dict[str, Any]:
    factory = draw(small_factories())
    span = draw(st.integers(1, days))
    return {
        "factory": factory,
        "days": span,
        "count": draw(st.integers(1, jobs)),
        "seed": draw(st.integers(0, 2**20)),
        "load": draw(st.sampled_from([0.2, 0.8, 1.5, 4.0])),
        "happens": draw(events(span, len(factory.sites))),
    }


def prove(
    factory: SmallFactory, days: int, count: int, seed: int, load: float, happens: list[Any]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        jobs = write_jobs(here / "jobs.csv", factory.pools, count, days * 0.9, seed, load)
        scenario = write_scenario(here / "trouble.yaml", happens) if happens else None
        options = RunOptions(
            factory=str(factory.write(here / "factory.yaml")),
            scenario=scenario and str(scenario),
            jobs=str(jobs),
            start=FIRST_DAY.isoformat(),
            days=days,
            seed=seed,
        )
        outcome = start_run(options, out=here / "run")
        problems = run_problems(here / "run")
        assert not problems, "\n".join(problems)
    summary = outcome.summary
    assert summary["conservation"]["holds"], summary["conservation"]["problems"]
    assert summary["jobs"]["total"] + summary["jobs"]["not_yet_submitted"] == count
    at_most = days * 100 * len(factory.sites) * ROUNDING_WH / 1e6
    assert summary["energy"]["beyond_limit_mwh"] <= at_most
    assert set(summary["plans"]) <= {"optimal", "flat out"}
    return summary


@settings(max_examples=examples(6))
@given(small_runs(days=1, jobs=300))
def test_random_factories_balance(case: dict[str, Any]) -> None:
    prove(**case)


@pytest.mark.slow
@settings(max_examples=60)
@given(small_runs(days=3, jobs=3000))
def test_many_random_factories_balance(case: dict[str, Any]) -> None:
    prove(**case)


def test_a_day_in_which_everything_goes_wrong() -> None:
    site = SmallSite(
        pools=(SmallPool("H100", 10), SmallPool("GB200", 6, late=2)),
        firm=0.8,
        second_phase=0.3,
        battery=0.3,
        export=0.5,
        ppa=0.8,
    )
    day = FIRST_DAY.isoformat()
    trouble = [
        {"kind": "connection", "from": f"{day}T06:00", "until": f"{day}T08:00", "factor": "0 %"},
        {"kind": "connection", "from": f"{day}T08:00", "until": f"{day}T20:00", "factor": "40 %"},
        {"kind": "temperature", "from": f"{day}T00:00", "until": f"{day}T22:00", "add": "25 K"},
        {"kind": "price", "from": f"{day}T10:00", "until": f"{day}T12:00", "add": "-400 EUR/MWh"},
    ]
    summary = prove(SmallFactory((site,)), 2, 800, 7, 1.5, trouble)
    hours = summary["accelerator_hours"]
    assert hours["held_paused"] > 0, "power fell below what could be throttled"
    assert hours["lost_failure"] + hours["lost_response"] > 0, "nodes had to leave service"
    assert summary["jobs"]["completed"] > 0
