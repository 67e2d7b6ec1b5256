"""Any own generators, any outage: no limit broken, no fuel made up, no grid where there is none."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    events,
    generators,
    small_factories,
    write_jobs,
    write_scenario,
)
from gigafactory.testing.proving import run_problems


@st.composite
def islands(draw: st.DrawFn, days: int) -> dict[str, Any]:
    """Factories with generators, and an outage of the grid beside whatever else happens."""
    factory = draw(small_factories())
    own = [g for s, x in enumerate(factory.sites) for g in draw(generators(f"site{s}", x.full_mw))]
    named = [g | {"name": f"{g['name']}-{k}"} for k, g in enumerate(own)]
    happens = [e for e in draw(events(days, 1)) if e["kind"] != "grid_outage"]
    first, last = sorted(draw(st.lists(st.integers(0, 24 * days), min_size=2, max_size=2)))
    begin = FIRST_DAY.isoformat()
    outage = {
        "kind": "grid_outage",
        "from": f"{begin}T00:00" if first == 0 else moment(first),
        "until": moment(max(last, first + 1)),
    }
    price = draw(st.sampled_from(["0 EUR/t", "80 EUR/t"]))
    changes = {"energy.generators": named, "energy.market.co2_price": price}
    return {
        "factory": replace(factory, changes=factory.changes | changes),
        "days": days,
        "happens": [*happens, outage],
        "seed": draw(st.integers(0, 2**20)),
    }


def moment(hour: int) -> str:
    return str((np.datetime64(FIRST_DAY.isoformat()) + np.timedelta64(hour, "h")).item())


def prove(factory: SmallFactory, days: int, happens: list[Any], seed: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        options = RunOptions(
            factory=str(factory.write(here / "factory.yaml")),
            scenario=str(write_scenario(here / "dark.yaml", happens)),
            jobs=str(write_jobs(here / "jobs.csv", factory.pools, 200, days * 0.9, seed)),
            start=FIRST_DAY.isoformat(),
            days=days,
            seed=seed,
        )
        outcome = start_run(options, out=here / "run")
        problems = run_problems(here / "run")
        assert not problems, "\n".join(problems)
        for row in outcome.summary["outages"]:
            assert row["import_mwh"] == row["export_mwh"] == 0.0, row


@pytest.mark.slow
@settings(max_examples=5)
@given(islands(days=1))
def test_islands_balance_and_import_nothing(case: dict[str, Any]) -> None:
    prove(**case)


@pytest.mark.slow
@settings(max_examples=60)
@given(islands(days=3))
def test_many_islands_balance_and_import_nothing(case: dict[str, Any]) -> None:
    prove(**case)
