"""Back after an outage: the order, the ramp and the surge."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.generation import typical
from gigafactory.plant.island import Load
from gigafactory.plant.restoration import restart

DAY = dt.date(2030, 1, 1)


def test_a_timetable_by_hand() -> None:
    loads = [Load("research", 40.0, 5, 0.1), Load("networks", 10.0, 1)]
    of = restart(loads, limit_mw=100.0, running_mw=20.0)
    # synchronise 5 min; 20 MW a minute: networks 0.5 min, cooling 0.2, lead 5, research 2
    told = [(s.kind, s.what, round(s.begin_min, 3), round(s.end_min, 3)) for s in of.stages]
    assert told == [
        ("synchronise", "grid", 0.0, 5.0),
        ("load", "networks", 5.0, 5.5),
        ("cooling", "research", 5.5, 5.7),
        ("load", "research", 10.7, 12.7),
    ]
    assert of.stages[-1].power_mw == pytest.approx(74.0)
    assert of.held == ()
    assert of.done_min == pytest.approx(12.7)


def test_a_surge_comes_in_blocks_or_not_at_all() -> None:
    surging = Load("pumps", 40.0, 1, inrush_times=3.0)
    # 80 MW of surge on top, 20 MW of room: four blocks
    of = restart([surging], limit_mw=60.0)
    assert of.held[0].fallback == "in 4 blocks"
    assert max(s.peak_mw for s in of.stages) == pytest.approx(60.0)
    of = restart([surging, Load("work", 1.0, 2)], limit_mw=40.0)
    assert [h.fallback for h in of.held] == ["stays off", "stays off"]


def test_a_dead_site_starts_itself() -> None:
    diesel = typical("diesel", 10.0, DAY, fuel_stock_mwh=100.0, start_min=1.0)
    cell = typical("fuel_cell", 30.0, DAY, start_min=60.0)
    wind = typical("wind", 30.0, DAY)
    loads = [Load("vital", 5.0, 1), Load("research", 20.0, 2)]
    of = restart(loads, limit_mw=0.0, generators=[diesel, cell, wind])
    assert [s.kind for s in of.stages] == ["generator", "generator", "load", "load"]
    assert of.stages[1].end_min == 61.0
    vital, research = of.stages[2:]
    assert vital.begin_min == 1.0
    assert research.begin_min == 61.0
    assert [h.what for h in of.held] == ["wind"]
    dead = restart(loads, limit_mw=0.0, generators=[cell])
    assert [h.fallback for h in dead.held] == ["waits for the grid", "stays off", "stays off"]


def test_bad_input_is_told_all_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        restart([], limit_mw=-1.0, ramp_share_per_min=0.0, cooling_lead_min=float("nan"))
    assert len(caught.value.problems) == 3


@given(
    st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 0.5), st.floats(1, 6)), max_size=6),
    st.floats(1, 200),
    st.floats(0.05, 1.0),
)
def test_the_ramp_and_the_limit_are_kept(
    drawn: list[tuple[float, float, float]], limit: float, ramp: float
) -> None:
    loads = [
        Load(f"load {k}", power, k + 1, cooling, inrush_times=inrush)
        for k, (power, cooling, inrush) in enumerate(drawn)
    ]
    of = restart(loads, limit_mw=limit, ramp_share_per_min=ramp)
    power, free = 0.0, 0.0
    for stage in of.stages:
        assert stage.peak_mw <= limit * (1 + 1e-6)
        assert stage.begin_min >= free - 1e-9
        rise = stage.power_mw - power
        assert rise <= ramp * limit * (stage.end_min - stage.begin_min) * (1 + 1e-6) + 1e-9
        power, free = stage.power_mw, stage.end_min
    # cooling comes before its load
    first = {}
    for k, stage in enumerate(of.stages):
        first.setdefault((stage.what, stage.kind), k)
    for (what, kind), k in first.items():
        if kind == "cooling":
            assert k < first[what, "load"]
