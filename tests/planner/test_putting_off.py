"""A start is put off only as far as the mean price over the whole run makes it pay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner.putting_off import RUNS_H, WAIT_H, longest_h


def test_a_price_that_never_changes_puts_nothing_off() -> None:
    assert not longest_h(np.full(48, 80.0), 1.0, 1000.0, 0.0, 24).any()


def test_one_dear_hour_puts_off_the_shortest_and_what_gains_as_well() -> None:
    # hour 0 costs 148 EUR/MWh, every other 100: a run of h hours pays 48/h EUR/MWh too much
    price = np.full(48, 100.0)
    price[0] = 148.0
    # 1 kW for an hour saves 0.048 EUR; an hour's delay of an accelerator-hour costs 0.24 / 24
    assert longest_h(price, 1.0, 1000.0, 0.24, 1)[0] == 4.0  # 0.048 / 4 > 0.01 > 0.048 / 6
    assert longest_h(price, 1.0, 1000.0, 0.24 * 3, 1)[0] == 1.0
    assert longest_h(price, 1.0, 1000.0, 0.24 * 5, 1)[0] == 0.0


def test_a_wait_further_than_we_look_puts_nothing_off() -> None:
    price = np.full(48, 100.0)
    price[WAIT_H + 1 :] = 0.0
    # an hour's run never reaches the cheap hours, so longer ones, which would, are not held either
    assert longest_h(price, 1.0, 1000.0, 0.0, 1)[0] == 0.0
    price[WAIT_H] = 0.0
    assert longest_h(price, 1.0, 1000.0, 0.0, 1)[0] == RUNS_H[-1]


@given(
    st.lists(st.floats(-500.0, 4000.0), min_size=30, max_size=60),
    st.floats(10.0, 2000.0),
    st.floats(0.0, 2.0),
)
@settings(max_examples=60, deadline=None)
def test_it_is_what_looking_at_every_start_finds(
    prices: list[float], active_w: float, delay: float
) -> None:
    price = np.array(prices)
    long = np.concatenate([price, np.full(60, price.mean())])
    found = longest_h(price, 1.0, active_w, delay, 20)
    for t in range(20):
        best = 0.0
        for run_h in RUNS_H:
            run = max(1, round(run_h))
            now = long[t : t + run].mean()
            gains = [
                active_w / 1e6 * (now - long[t + w : t + w + run].mean()) - delay / 24 * w
                for w in range(1, WAIT_H + 1)
            ]
            if max(gains) <= 1e-9:
                if max(gains) > -1e-9:  # too close to tell apart
                    best = float(found[t])
                break
            best = run_h
        assert found[t] == pytest.approx(best)
