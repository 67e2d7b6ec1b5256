"""The connection: N-1, dated phases, local days."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import Connection, MarketCalendar
from gigafactory.grid.connection import Phase

LINE = Connection(
    voltage_kv=150, capacity_mva=400, power_factor=0.95, circuits=3, circuit_capacity_mva=160,
    firm_mw=350,
)  # fmt: skip


def test_n_minus_1_leaves_what_the_other_circuits_carry():
    assert LINE.capacity_mw == pytest.approx(380)  # the contract is less than 3 x 160 MVA
    assert LINE.secure_mw == pytest.approx(304)
    assert LINE.usable_mw == LINE.secure_mw
    assert dataclasses.replace(LINE, n_minus_1=False).usable_mw == LINE.capacity_mw


def test_a_single_circuit_is_used_in_full_and_has_nothing_behind_it():
    single = dataclasses.replace(LINE, circuits=1, firm_mw=100)
    assert single.secure_mw == 0.0
    assert single.usable_mw == pytest.approx(152)


def test_limits_follow_local_dates_and_energisation():
    calendar = MarketCalendar.of(dt.date(2026, 3, 28), 3)  # with the day of 92 quarters
    line = dataclasses.replace(
        LINE,
        energised=dt.date(2026, 3, 29),
        phases=(Phase(dt.date(2026, 3, 29), 80.0), Phase(dt.date(2026, 3, 30), 500.0)),
        export_mw=50.0,
    )
    limit = line.limit_mw(calendar)
    assert set(limit[:96]) == {0.0}
    assert set(limit[96:188]) == {80.0}
    assert limit[188:] == pytest.approx(np.full(96, 304.0))  # a right beyond the cables is none
    export = line.export_limit_mw(calendar)
    assert (set(export[:96]), set(export[96:])) == ({0.0}, {50.0})


@given(
    capacity=st.floats(1, 1000), factor=st.floats(0.5, 1.0), circuits=st.integers(1, 5),
    each=st.floats(1, 500), firm=st.floats(0, 2000),
)  # fmt: skip
def test_never_more_than_the_contract_or_the_cables(capacity, factor, circuits, each, firm):
    line = Connection(150, capacity, factor, circuits, each, firm)
    limit = line.limit_mw(MarketCalendar.of(dt.date(2026, 1, 1), 1))
    assert limit.max() <= min(firm, capacity * factor, circuits * each * factor) + 1e-9
    assert line.secure_mw <= line.capacity_mw


def test_impact_on_the_nets_below_is_stated_with_its_assumption():
    assert "connected at 150 kV, above" in LINE.impact()
    assert "no load on them (assumption: construction power" in LINE.impact()
    low = dataclasses.replace(LINE, voltage_kv=20, mv_lv_impact_mw=12.5, mv_lv_assumption="all")
    assert "in the regional net itself: 12.5 MW on them (assumption: all)" in low.impact()


def test_all_faults_are_told_at_once():
    with pytest.raises(BadInput) as told:
        Connection(
            -1, float("nan"), 1.2, 0, 10, -5,
            phases=(Phase(dt.date(2026, 2, 1), 1), Phase(dt.date(2026, 2, 1), 2)),
        )  # fmt: skip
    fields = {problem.field for problem in told.value.problems}
    assert fields == {
        "voltage_kv", "capacity_mva", "power_factor", "circuits", "firm_mw", "phases.1.start",
    }  # fmt: skip
