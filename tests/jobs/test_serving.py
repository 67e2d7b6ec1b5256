"""What becomes of requests: the books balance, and waits are those of a followed queue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.streams import stream
from gigafactory.jobs import Answered, RateSeries, Service, Shortage, answered
from tests.jobs.event_queue import waits

PERIOD_S = 300.0
#: Ten replicas of ten slots, each held for 4 s: 25 requests a second when all are full.
CHAT = Service(
    "chat", "a", accelerators_peak=40, replica_accelerators=4, latency_ms=500.0, headroom=0.1,
    slots=10, service_s=4.0,
)  # fmt: skip
FULL_RPS = 25.0
HILL = [0.4, 0.6, 0.8, 0.9, 0.97, 1.1, 1.3, 1.0, 0.8, 0.6, 0.5, 0.4]


def in_rps(rates_rps: list[float]) -> RateSeries:
    """A series whose unit is one request a second for `CHAT`."""
    peak = float(CHAT.carried_rps(CHAT.replicas_peak)) / (1.0 + CHAT.headroom)
    return RateSeries("r", 0, PERIOD_S, np.array(rates_rps), peak, "test", "synthetic")


def followed(
    rates: RateSeries, services_s: list[float], patience_s: float
) -> tuple[list[float], list[float]]:
    """p99 wait of the requests let in, and requests refused, per interval, over 20 runs."""
    runs = [
        waits(rates.rate_rps.tolist(), services_s, 100, PERIOD_S, stream(k, "q"), patience_s)
        for k in range(20)
    ]
    waited_s, refused = [], []
    for t in range(len(rates)):
        mine = np.concatenate([w[(at // PERIOD_S).astype(int) == t] for at, w in runs])
        let_in = np.isfinite(mine)
        waited_s.append(float(np.quantile(mine[let_in], 0.99)) if let_in.any() else np.inf)
        refused.append(float((~let_in).sum()) / 20)
    return waited_s, refused


def books_balance(result: Answered) -> None:
    before = np.concatenate([[0.0], result.queued_requests[:-1]])
    gone = result.served_requests + result.shed_requests + result.queued_requests
    assert gone == pytest.approx(result.asked_requests + before, abs=1e-6)
    for column in (result.served_requests, result.queued_requests, result.shed_requests):
        assert column.min(initial=0.0) >= -1e-9
    assert np.all(result.degraded_requests <= result.served_requests + 1e-9)


def test_the_unit_of_the_series_is_settled_by_the_peak() -> None:
    rates = in_rps([1.0])
    assert CHAT.rps_of(rates) == pytest.approx(1.0)
    assert CHAT.rps_of(replace(rates, peak_rps=rates.peak_rps / 7)) == pytest.approx(7.0)


@pytest.mark.slow
@pytest.mark.parametrize("patience_s", [60.0, 1e6])
def test_a_queue_over_a_hill_of_requests(patience_s: float) -> None:
    rates = in_rps([share * FULL_RPS for share in HILL])
    result = answered(rates, 10.0, CHAT, shortage=Shortage(patience_s=patience_s))
    books_balance(result)
    waited_s, refused = followed(rates, [4.0] * len(HILL), patience_s)
    assert result.wait_s == pytest.approx(waited_s, rel=0.35, abs=0.3)
    assert result.shed_requests.sum() == pytest.approx(sum(refused), rel=0.08, abs=1.0)
    assert result.met.tolist() == [w <= 0.5 for w in waited_s]
    met = sum(h for h, w in zip(HILL, waited_s, strict=True) if w <= 0.5)
    assert result.met_share == pytest.approx(met / sum(HILL))


@pytest.mark.slow
def test_shedding_keeps_the_objective() -> None:
    rates = in_rps([share * FULL_RPS for share in HILL])
    result = answered(rates, 10.0, CHAT, shortage=Shortage("shed"))
    books_balance(result)
    waited_s, refused = followed(rates, [4.0] * len(HILL), 0.5)
    assert result.met.all()
    assert max(waited_s) <= 0.5
    assert result.wait_s == pytest.approx(waited_s, abs=0.1)
    assert result.shed_requests == pytest.approx(refused, rel=0.12, abs=4.0)


@pytest.mark.parametrize("busy", [0.8, 0.9])
def test_half_the_power_is_half_the_speed(busy: float) -> None:
    rates = in_rps([busy * FULL_RPS / 2] * 8)
    result = answered(rates, 10.0, CHAT, capacity_share=0.5)
    books_balance(result)
    waited_s, _ = followed(rates, [8.0] * 8, 60.0)
    assert result.wait_s[0] == pytest.approx(np.mean(waited_s[2:]), rel=0.35, abs=0.1)


def test_a_smaller_model_answers_what_the_large_one_cannot() -> None:
    rates = in_rps([0.5 * FULL_RPS, 0.9 * FULL_RPS, 2.0 * FULL_RPS])
    result = answered(
        rates, 10.0, CHAT, capacity_share=0.6, shortage=Shortage("smaller_model", smaller_times=3.0)
    )
    books_balance(result)
    carried = float(CHAT.carried_rps(10)) * 0.6
    share = result.degraded_requests / result.served_requests
    # a share x of them takes a third of the time: rate (1 - x 2/3) = carried
    assert share[0] == pytest.approx(max(1 - carried / (0.5 * FULL_RPS), 0.0) * 1.5)
    assert share[1] == pytest.approx((1 - carried / (0.9 * FULL_RPS)) * 1.5)
    assert result.met.all()
    assert result.shed_requests[1] < 0.011 * result.asked_requests[1]  # by chance alone
    assert share[2] == 1.0
    limit = 3 * 0.6 * FULL_RPS
    assert result.served_requests[2] == pytest.approx(limit * PERIOD_S, rel=0.02)


def test_without_power_or_replicas_all_is_refused() -> None:
    rates = in_rps([10.0, 0.0, 10.0])
    for policy in ("queue", "shed", "smaller_model"):
        for ready, share in ((0.0, 1.0), (10.0, 0.0)):
            result = answered(
                rates, ready, CHAT, capacity_share=share, shortage=Shortage(policy)
            )  # fmt: skip
            books_balance(result)
            assert result.served_requests.sum() == 0.0
            assert result.shed_requests.sum() == pytest.approx(20.0 * PERIOD_S)
            assert result.met.tolist() == [False, True, False]
            assert result.met_share == 0.0


def test_a_queue_outlives_the_interval_and_is_answered_later() -> None:
    rates = in_rps([1.2 * FULL_RPS, 0.5 * FULL_RPS])
    result = answered(rates, 10.0, CHAT, shortage=Shortage(patience_s=1e6))
    waiting = 0.2 * FULL_RPS * PERIOD_S
    assert result.queued_requests.tolist() == pytest.approx([waiting, 0.0])
    assert result.served_requests[1] == pytest.approx(0.5 * FULL_RPS * PERIOD_S + waiting)


loads = st.lists(
    st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 12.0), st.floats(0.0, 1.0)), max_size=20
)


@given(loads, st.sampled_from(["queue", "shed", "smaller_model"]), st.floats(0.0, 1e4))
def test_no_request_is_lost_from_the_books(
    steps: list[tuple[float, float, float]], policy: str, patience_s: float
) -> None:
    rates, ready, share = ([step[k] for step in steps] for k in range(3))
    shortage = Shortage(policy, patience_s)  # type: ignore[arg-type]
    result = answered(in_rps(rates), ready, CHAT, capacity_share=share, shortage=shortage)
    books_balance(result)
    limit_s = patience_s if policy == "queue" else 0.5
    finite = np.isfinite(result.wait_s)
    assert np.all(result.wait_s[finite] <= limit_s + 1e-9)
    assert 0.0 <= result.met_share <= 1.0
    if policy != "smaller_model":
        assert not result.degraded_requests.any()


def test_a_shortage_out_of_bounds_is_told() -> None:
    wrong = Shortage("pray", -1.0, 1.0)  # type: ignore[arg-type]
    assert [p.field for p in wrong.check()] == ["policy", "patience_s", "smaller_times"]
    assert Shortage().check() == []
    assert "worse" in Shortage("smaller_model").quality
