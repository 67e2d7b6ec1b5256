"""Present value, rate of return and payment agree with numpy-financial; payback by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.streams import stream
from gigafactory.finance.measures import irr, npv, payback_years, payment

npf = pytest.importorskip("numpy_financial", reason="a development dependency")


@given(
    cash=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=40),
    rate=st.floats(-0.5, 1.0),
)
def test_present_value_as_numpy_financial_has_it(cash: list[float], rate: float) -> None:
    size = max(1.0, sum(abs(c) for c in cash)) * (2.0 ** len(cash) if rate < 0 else 1.0)
    assert npv(rate, cash)[0] == pytest.approx(float(npf.npv(rate, cash)), abs=1e-9 * size)


@pytest.mark.parametrize("seed", range(200))
def test_rate_of_return_as_numpy_financial_has_it(seed: int) -> None:
    draw = stream(seed, "test", "irr")
    years = int(draw.integers(3, 30))
    spent = draw.uniform(1e6, 1e9)
    earned = draw.uniform(0.02, 0.6, years) * spent
    cash = np.concatenate([[-spent], earned])
    assert irr(cash)[0] == pytest.approx(float(npf.irr(cash)), abs=1e-8)


@given(
    rate=st.just(0.0) | st.floats(1e-4, 0.3), years=st.integers(1, 40), debt=st.floats(1.0, 1e10)
)
def test_payment_as_numpy_financial_has_it(rate: float, years: int, debt: float) -> None:
    assert float(payment(rate, years, debt)) == pytest.approx(
        -float(npf.pmt(rate, years, debt)), rel=1e-6
    )


def test_many_rows_are_as_one_after_the_other() -> None:
    draw = stream(1, "test", "rows")
    rows = draw.uniform(-1, 1, (50, 12))
    rows[:, 0] = -3.0
    together = irr(rows)
    alone = [irr(row)[0] for row in rows]
    assert np.array_equal(together, np.array(alone), equal_nan=True)


def test_no_rate_where_nothing_comes_back() -> None:
    assert math.isnan(irr([-1.0, -1.0, -1.0])[0])
    assert math.isnan(irr([1.0, 1.0])[0])
    assert irr([-100.0, 50.0])[0] == pytest.approx(-0.5)


def test_of_several_rates_the_one_nearest_to_nought() -> None:
    # -100 + 360 / (1 + r) - 431 / (1 + r)^2 + 171.6 / (1 + r)^3 is nought at 10, 20 and 30 %
    assert irr([-100.0, 360.0, -431.0, 171.6])[0] == pytest.approx(0.10, abs=1e-9)


def test_payback_by_hand() -> None:
    # 80 is back after the third year; half of the fourth one's 40 is needed
    assert payback_years([-100.0, 40.0, 40.0, 40.0])[0] == pytest.approx(3.5)
    # back after the second year, but not for good: half of the fourth one's 100 is needed again
    assert payback_years([-100.0, 200.0, -150.0, 100.0])[0] == pytest.approx(3.5)
    assert math.isnan(payback_years([-100.0, 40.0])[0])
    assert payback_years([5.0, 5.0])[0] == 0.0
