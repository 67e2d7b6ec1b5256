"""Rounding: whole numbers in, whole numbers out, and what is left is known to the last unit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.ledger import Carry, quantised
from gigafactory.ledger.integrals import FINE, SHARED, Integrals
from gigafactory.ledger.quantise import spread

AMOUNTS = st.integers(-(10**15), 10**15)


@given(
    st.lists(st.lists(AMOUNTS, min_size=3, max_size=3), max_size=20),
    st.integers(1, 10**12),
    st.lists(st.integers(0, 10**12 - 1), min_size=3, max_size=3),
)
def test_quantised_keeps_every_unit(rows: list[list[int]], unit: int, start: list[int]) -> None:
    rest = np.array([r % unit for r in start], np.int64)
    fine = np.array(rows, np.int64).reshape(-1, 3)
    whole, left = quantised(fine, unit, rest)
    assert whole.shape == fine.shape
    for c in range(3):
        given_in = sum(row[c] for row in rows) + int(rest[c])
        assert sum(int(w) for w in whole[:, c]) * unit + int(left[c]) == given_in
        assert 0 <= left[c] < unit
        so_far, told = int(rest[c]), 0
        for row, units in zip(rows, whole[:, c].tolist(), strict=True):
            so_far, told = so_far + row[c], told + units
            assert told == so_far // unit, "no period is ahead of or behind its own sum"


@given(
    st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)), max_size=20),
    st.integers(0, 10**6 - 1),
)
def test_spread_prices_to_the_last_micro_euro(rows: list[tuple[int, int]], rest: int) -> None:
    amount = np.array([r[0] for r in rows], np.int64)
    price = np.array([r[1] for r in rows], np.int64)
    units, left = spread(amount, price, 10**6, rest)
    assert sum(units.tolist()) * 10**6 + left == sum(a * p for a, p in rows) + rest
    assert 0 <= left < 10**6


@given(st.lists(st.floats(-1e9, 1e9), max_size=200))
def test_a_carry_strays_less_than_one_unit(flow: list[float]) -> None:
    carry = Carry()
    taken = [carry.take(amount) for amount in flow]
    assert all(isinstance(units, int) for units in taken)
    off = sum(map(Fraction, flow)) - sum(taken)
    assert -1e-3 <= off < 1 + 1e-3  # the carry itself is a float: its rounding stays far below
    assert 0.0 <= carry.rest <= 1.0


@st.composite
def integrated(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """Energy per period of two groups and rates per period, up to a small load's dear hours."""
    periods = draw(st.integers(1, 6))
    gains = st.lists(st.integers(0, 3 * 10**9), min_size=2, max_size=2)
    rates = st.lists(st.integers(-(10**14), 10**14), min_size=len(SHARED), max_size=len(SHARED))
    return (
        draw(st.lists(gains, min_size=periods, max_size=periods)),
        draw(st.lists(rates, min_size=periods, max_size=periods)),
    )


@given(
    integrated(),
    st.lists(
        st.tuples(
            st.integers(1, 100_000), st.integers(0, 1), st.floats(0.0, 1.0), st.floats(0.0, 1.0)
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 6),
)
def test_receipts_are_floors_of_exact_sums(
    course: tuple[list[list[int]], list[list[int]]],
    segments: list[tuple[int, int, float, float]],
    first_batch: int,
) -> None:
    gains, rates = course
    periods = len(gains)
    integrals = Integrals(periods, 1, 2)
    readings = np.cumsum(np.array(gains, np.int64), axis=0)[:, None, :]
    rate = np.array(rates, np.int64)[:, None, :]
    cut = min(first_batch, periods)
    integrals.extend(0, readings[:cut], rate[:cut])
    integrals.extend(cut, readings[cut:], rate[cut:])
    edges = np.concatenate([np.zeros((1, 2), np.int64), readings[:, 0, :]])
    for accelerators, group, a, b in segments:
        ends = sorted((int(a * int(edges[-1, group])), int(b * int(edges[-1, group]))))
        at = [
            min(int(np.searchsorted(edges[1:, group], e, side="left")), periods - 1) for e in ends
        ]
        one, two = (
            integrals.reading(
                np.array([at[i]]), np.array([0]), np.array([group]), np.array([ends[i]])
            )
            for i in (0, 1)
        )
        got = integrals.receipt(np.array([accelerators]), one, two)
        for c in range(len(SHARED)):
            exact = 0
            for k in range(periods):
                low, high = int(edges[k, group]), int(edges[k + 1, group])
                inside = max(0, min(ends[1], high) - max(ends[0], low))
                exact += inside * rates[k][c]
            assert int(got[0, c]) == accelerators * exact // FINE
