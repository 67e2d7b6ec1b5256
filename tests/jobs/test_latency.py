"""Erlang's formula against textbook values, exact sums and a queue followed by brute force."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gigafactory.engine.streams import stream
from gigafactory.jobs.latency import (
    capacity_for_latency,
    erlang_c,
    rate_carried,
    refused_share,
    wait_s,
    wait_share,
)
from tests.effort import examples
from tests.jobs.event_queue import waits


def exact(slots: int, load: Fraction) -> Fraction:
    """Erlang C by the textbook's sum, in fractions."""
    last = load**slots / math.factorial(slots) * slots / (slots - load)
    return last / (sum(load**k / math.factorial(k) for k in range(slots)) + last)


@pytest.mark.parametrize(
    ("slots", "load", "share"),
    [
        (1, 0.7, 0.7),  # one server: the share of time it is busy
        (2, 1.0, 1 / 3),  # two servers, each half busy: 2 r^2 / (1 + r) with r = 1/2
        (3, 2.0, 4 / 9),
        (
            6,
            2.5,
            0.0474,
        ),  # 30 calls an hour of 5 minutes: 6 people answer 90 % at once
        (5, 2.5, 0.1304),
        (
            10,
            6.0,
            0.1013,
        ),  # 2 a minute of 3 minutes: "about 0.10" on Erlang's curve
        (10, 8.0, 0.4092),
    ],
)
def test_textbook_values(slots: int, load: float, share: float) -> None:
    assert float(erlang_c(slots, load)) == pytest.approx(share, abs=1e-4)


@given(st.integers(1, 60), st.integers(1, 999))
def test_erlang_c_is_the_exact_sum(slots: int, thousandths: int) -> None:
    load = Fraction(slots * thousandths, 1000)
    assert float(erlang_c(slots, float(load))) == pytest.approx(float(exact(slots, load)), rel=1e-9)


def test_edges() -> None:
    shares = erlang_c([0, 0, 5, 5, 5, 100_000], [0.0, 1.0, 0.0, 5.0, 9.0, 1.0])
    assert shares.tolist() == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert erlang_c([[3], [4]], [1.0, 2.0]).shape == (2, 2)
    assert wait_s([0.0, 1.0, 10.0, 11.0], 1.0, 10).tolist() == [0.0, 0.0, np.inf, np.inf]
    assert capacity_for_latency(0.0, 1.0, 4, 0.1) == 0
    assert capacity_for_latency(np.zeros((2, 3)), 1.0, 4, 0.1).shape == (2, 3)
    assert rate_carried([0, 1], 1.0, 4, 0.1)[0] == 0.0


def test_large_halls_wait_as_the_square_root_law_says() -> None:
    # Halfin and Whitt (1981): with c = a + b sqrt(a) slots, C tends to 1 / (1 + b Phi(b) / phi(b)).
    load, b = 40_000.0, 1.0
    normal = math.erfc(-b / math.sqrt(2)) / 2 / (math.exp(-b * b / 2) / math.sqrt(2 * math.pi))
    share = float(erlang_c(round(load + b * math.sqrt(load)), load))
    assert share == pytest.approx(1 / (1 + b * normal), abs=0.005)


@pytest.mark.parametrize(("slots", "service_s", "rate"), [(5, 1.0, 3.5), (40, 2.0, 18.0)])
def test_waits_against_a_queue_followed_by_hand(slots: int, service_s: float, rate: float) -> None:
    # 20 runs of 10,000 requests; waits of neighbours go together, so the runs are the sample
    shares, tails = [], []
    for run in range(20):
        _, waited = waits([rate], [service_s], slots, 10_000 / rate, stream(run, "queue"))
        later = waited[2_000:]
        shares.append(np.mean(later > 0.0))
        tails.append(np.mean(later > 0.5))
    for seen, want in (
        (shares, float(erlang_c(slots, rate * service_s))),
        (tails, float(wait_share(rate, service_s, slots, 0.5))),
    ):
        assert np.mean(seen) == pytest.approx(want, abs=3.5 * np.std(seen) / math.sqrt(20))


def test_the_capacity_meets_the_objective_and_one_less_does_not() -> None:
    rate, service_s, slots, objective_s = 30.0, 2.0, 4, 0.5
    servers = int(capacity_for_latency(rate, service_s, slots, objective_s))
    late = []
    for count in (servers - 1, servers):
        runs = [
            waits([rate], [service_s], count * slots, 500.0, stream(run, "queue"))[1][2_000:]
            for run in range(20)
        ]
        late.append(np.mean(np.concatenate(runs) > objective_s))
    assert late[1] <= 0.01 < late[0]


@example([2.0, 5e-324], 0.5, 1, 0.0, 0.5)
@given(
    st.lists(st.floats(0.0, 300.0), min_size=1, max_size=8),
    st.floats(0.05, 20.0),
    st.integers(1, 64),
    st.floats(0.0, 5.0),
    st.sampled_from([0.5, 0.9, 0.99, 0.999]),
)
def test_the_capacity_is_the_smallest(
    rates: list[float], service_s: float, slots: int, objective_s: float, quantile: float
) -> None:
    servers = capacity_for_latency(rates, service_s, slots, objective_s, quantile)
    for rate, count in zip(rates, servers.tolist(), strict=True):
        if rate == 0.0:
            assert count == 0
            continue
        late = wait_share(rate, service_s, [count * slots, (count - 1) * slots], objective_s)
        assert late[0] <= (1 - quantile) * (1 + 1e-9)
        assert late[1] > (1 - quantile) * (1 - 1e-9)


@settings(max_examples=examples(40))
@given(st.integers(1, 40), st.floats(0.05, 20.0), st.integers(1, 32), st.floats(0.01, 5.0))
def test_the_rate_carried_is_the_inverse(
    servers: int, service_s: float, slots: int, objective_s: float
) -> None:
    rate = float(rate_carried(servers, service_s, slots, objective_s))
    assert 0.0 < rate < servers * slots / service_s
    assert int(capacity_for_latency(rate * (1 - 1e-9), service_s, slots, objective_s)) == servers
    assert int(capacity_for_latency(rate * (1 + 1e-9), service_s, slots, objective_s)) > servers


def test_the_wait_at_a_quantile_is_the_inverse_of_its_share() -> None:
    rates = np.linspace(1.0, 9.9, 30)
    waited = wait_s(rates, 1.0, 10, 0.95)
    some = waited > 0.0
    assert some.any()
    assert wait_share(rates[some], 1.0, 10, waited[some]) == pytest.approx(0.05)
    assert np.all(wait_share(rates[~some], 1.0, 10, 0.0) <= 0.05)


@given(st.integers(1, 30), st.floats(0.05, 3.0), st.integers(0, 50))
def test_the_share_refused_is_that_of_a_finite_room(slots: int, busy: float, room: int) -> None:
    # M/M/c/(c + K), state by state; a patience of K service times over the slots gives room K
    load = busy * slots
    weight = [1.0]
    for n in range(1, slots + room + 1):
        weight.append(weight[-1] * load / min(n, slots))
    want = weight[-1] / sum(weight)
    got = float(refused_share(load, 1.0, slots, room / slots))
    assert got == pytest.approx(want, rel=1e-6, abs=1e-12)


def test_nothing_is_refused_where_nothing_is_asked() -> None:
    assert refused_share([0.0, 1.0, 0.0], 1.0, [0, 0, 5], 1.0).tolist() == [0.0, 1.0, 0.0]
