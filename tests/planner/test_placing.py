"""Where a job should wait: energy, waiting and data, each where it weighs most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.planner.placing import (
    OUTLOOK_H,
    Ask,
    PoolOutlook,
    Road,
    cost_eur,
    first_to_start,
    place,
    worth_moving,
)

NEAR = [[Road(0.0, 0.0), Road(10.0, 0.1)], [Road(10.0, 0.1), Road(0.0, 0.0)]]


def pool(
    site: int, eur_per_mwh: float = 50.0, free: float = 100.0, ahead: float = 0.0
) -> PoolOutlook:
    coming = free + 10.0 * np.arange(OUTLOOK_H)
    return PoolOutlook(site, np.full(OUTLOOK_H, eur_per_mwh), np.full(5, 1.0), coming, ahead)


def ask(**changes: object) -> Ask:
    plain = Ask(1, 16, 10.0, (0, 1), 0.0, 0, 0.2)
    return replace(plain, **changes)


def test_equal_pools_are_taken_by_number() -> None:
    assert place(ask(), [pool(0), pool(1)], NEAR) == 0


def test_a_job_goes_where_power_is_cheaper_if_it_starts_at_once_in_both() -> None:
    assert place(ask(), [pool(0, 60.0), pool(1, 50.0)], NEAR) == 1


def test_waiting_weighs_more_than_power() -> None:
    dear, full = pool(0, 80.0), pool(1, 20.0, free=0.0, ahead=300.0)
    assert full.wait_h(16, 40.0) == 32.0
    assert place(ask(), [dear, full], NEAR) == 0
    assert place(ask(delay_eur_per_gpu_h_day=0.001), [dear, full], NEAR) == 1


def test_a_short_job_slips_in_before_those_that_wait_for_more() -> None:
    wide_first = pool(1, free=50.0, ahead=200.0)  # 15 hours until 200 are free
    assert wide_first.wait_h(16, 15.0) == 0.0
    assert wide_first.wait_h(16, 16.0) == 17.0
    wide_first.take(16, 15.0)
    assert wide_first.free_accelerators[0] == 34.0
    wide_first.take(40, 15.0)
    assert wide_first.ahead_accelerators == 240.0


def test_many_data_keep_a_job_where_they_lie() -> None:
    pools = [pool(0, 60.0), pool(1, 20.0)]
    assert place(ask(data_tb=0.1), pools, NEAR) == 1
    assert place(ask(data_tb=100.0), pools, NEAR) == 0
    assert place(ask(data_tb=100.0, data_site=1), pools, NEAR) == 1


def test_a_job_goes_where_it_starts_first_and_home_among_equals() -> None:
    full = pool(0, free=0.0, ahead=300.0)
    assert first_to_start(ask(), [full, pool(1)], NEAR, 0) == 1
    assert first_to_start(ask(), [pool(0), pool(1)], NEAR, 1) == 1
    assert first_to_start(ask(data_tb=1.0), [pool(0), pool(1)], NEAR, 1) == 0, "its data lie there"


def test_what_may_not_have_it_is_never_taken() -> None:
    assert place(ask(options=(0,)), [pool(0, 500.0), pool(1, 0.0)], NEAR) == 0


def test_one_that_waits_stays_unless_it_gains_enough() -> None:
    pools = [pool(0, 60.0), pool(1, 50.0)]
    # ten euro per MWh at a kilowatt is a cent per accelerator-hour
    assert place(ask(), pools, NEAR, stays_in=0, gain_eur_per_gpu_h=0.011) == 0
    assert place(ask(), pools, NEAR, stays_in=0, gain_eur_per_gpu_h=0.009) == 1


def test_a_running_job_moves_for_more_than_the_move_costs() -> None:
    def saved(gap: float, **changes: object) -> float:
        return worth_moving(ask(**changes), pool(0, 50.0 + gap), pool(1, 50.0), NEAR, 1.0, 2.0, 0.0)

    assert saved(0.0) == pytest.approx(-2.0)
    assert saved(100.0) == pytest.approx(160.0 * 0.1 - 2.0)
    assert saved(100.0, data_tb=2.0) == pytest.approx(160.0 * 0.1 - 2.0 - 20.0)
    full = pool(1, 50.0, free=8.0)
    assert worth_moving(ask(), pool(0, 900.0), full, NEAR, 0.0, 2.0, 0.0) == -np.inf


@given(
    st.lists(st.floats(-500, 3000), min_size=2, max_size=2),
    st.lists(st.floats(0, 500), min_size=2, max_size=2),
    st.floats(0, 50),
    st.floats(0.1, 400),
    st.integers(1, 400),
)
def test_the_choice_is_never_dearer_than_another(
    prices: list[float], ahead: list[float], data_tb: float, run_h: float, accelerators: int
) -> None:
    pools = [pool(s, p, ahead=a) for s, (p, a) in enumerate(zip(prices, ahead, strict=True))]
    one = ask(data_tb=data_tb, run_h=run_h, accelerators=accelerators)
    chosen = place(one, pools, NEAR)
    assert all(cost_eur(one, pools, chosen, NEAR) <= cost_eur(one, pools, i, NEAR) for i in (0, 1))
