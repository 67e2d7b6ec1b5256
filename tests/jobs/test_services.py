"""Services: the layer cake is exact, autoscalers cannot see ahead, rates are as published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.jobs import (
    JobClass,
    RateSeries,
    Service,
    capacity,
    capacity_for_latency,
    layer_cake,
    read_rates,
    read_requests,
    ready_replicas,
    replica_jobs,
    served,
    synthetic_rates,
)

S = 1_000_000_000
CHAT = Service("chat", "a", accelerators_peak=100, replica_accelerators=10, scale_down_s=1800.0)


def series(rates: list[float], peak: float | None = None) -> RateSeries:
    values = np.array(rates, dtype=np.float64)
    return RateSeries("r", 0, 900.0, values, peak or float(values.max()), "test", "synthetic")


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(0, 10**15))
def test_running_replicas_are_the_wanted_ones_at_any_time(wanted: list[int], start: int) -> None:
    jobs = layer_cake(
        np.array(wanted, dtype=np.int64), CHAT, start_ns=start, period_s=900.0, chip="H100"
    )
    assert jobs.check() == []
    for step, count in enumerate(wanted):
        middle = start + (2 * step + 1) * 450 * S
        running = (jobs.submit_ns <= middle) & (middle < jobs.submit_ns + jobs.work_ns)
        assert int(running.sum()) == count
    assert int(jobs.work_ns.sum()) == sum(wanted) * 900 * S
    rises = sum(max(b - a, 0) for a, b in zip([0, *wanted], wanted, strict=False))
    assert len(jobs) == rises  # one job per level and contiguous stretch, none cut in two
    assert bool(jobs.timed.all())
    assert set(jobs.job_class.tolist()) <= {JobClass.INFERENCE_REALTIME}


rates_seen = st.lists(st.floats(0.0, 10.0), min_size=2, max_size=30)


@given(rates_seen, st.integers(0, 29), st.floats(0.0, 10.0))
def test_the_autoscaler_sees_only_the_past(rates: list[float], at: int, other: float) -> None:
    at %= len(rates)
    changed = [*rates[:at], other, *rates[at + 1 :]]
    one = capacity(series(rates, 10.0), CHAT)
    two = capacity(series(changed, 10.0), CHAT)
    assert one[: at + 1].tolist() == two[: at + 1].tolist()


@given(rates_seen)
def test_the_autoscaler_follows_its_rule(rates: list[float]) -> None:
    wanted = capacity(series(rates, 10.0), CHAT)
    seen = [10.0, *rates]
    for step in range(len(rates)):
        # 1,800 s are two intervals: a lower number counts once it sufficed for the last two too.
        needs = [
            min(10, max(1, int(np.ceil(seen[k] - 1e-9)))) for k in range(max(0, step - 2), step + 1)
        ]
        assert wanted[step] == max(needs)


def test_a_settled_service_carries_its_headroom() -> None:
    result = served(series([4.0] * 10, 10.0), np.full(10, 4), CHAT)
    assert result.share_beyond == 0.0
    # 4 replicas of peak/10 with 15 % headroom carry 4.6; 5 requests leave 0.4 of 5 beyond.
    result = served(series([5.0] * 10, 10.0), np.full(10, 4), CHAT)
    assert result.share_beyond == pytest.approx(0.4 / 5.0)
    assert result.intervals_beyond == 1.0
    assert result.requests == pytest.approx(5.0 * 900 * 10)


def test_a_starting_replica_does_not_serve_yet() -> None:
    service = Service("s", "a", 100, 10, headroom=0.0, startup_s=450.0)
    result = served(series([1.0, 2.0], 10.0), np.array([1, 2]), service)
    assert result.beyond == pytest.approx(0.5 * 900)


@pytest.mark.parametrize("wanted", [1.9, 2.4, 3.3])
def test_synthetic_peaks_are_the_published_ones(wanted: float) -> None:
    # ServeGen (Alibaba, 2025): 1.9 to 3.3 over 14 days of ten-minute rates.
    for seed in range(3):
        fortnight = synthetic_rates(0, 2016, 600.0, seed=seed, name="s", peak_to_mean=wanted)
        assert fortnight.peak_to_mean == pytest.approx(wanted, rel=0.15)
        assert fortnight.rate_rps.mean() == pytest.approx(1.0, rel=0.1)
        assert fortnight.rate_rps.max() <= fortnight.peak_rps + 1e-9
        assert fortnight.peak_rps == pytest.approx(wanted, rel=1e-6)


def test_synthetic_rates_follow_local_hours_over_the_clock_change() -> None:
    # 2026-03-29 is the spring change; the same local hour is an hour earlier in UTC afterwards.
    before, after = 1774220400, 1774220400 + 7 * 86400  # Mondays 00:00 +01:00 and 01:00 +02:00
    shapes = []
    for start in (before, after - 3600):
        days = [
            synthetic_rates(start * S, 96, 900.0, seed=seed, name="s").rate_rps
            for seed in range(60)
        ]
        shapes.append(np.mean(days, axis=0))
    assert np.corrcoef(shapes[0], shapes[1])[0, 1] > 0.95
    assert int(shapes[0].argmin()) // 4 in {3, 4, 5}


def test_rates_depend_on_seed_and_name_alone() -> None:
    one = synthetic_rates(0, 100, 900.0, seed=0, name="a").rate_rps
    assert np.array_equal(one, synthetic_rates(0, 100, 900.0, seed=0, name="a").rate_rps)
    assert not np.array_equal(one, synthetic_rates(0, 100, 900.0, seed=1, name="a").rate_rps)
    assert not np.array_equal(one, synthetic_rates(0, 100, 900.0, seed=0, name="b").rate_rps)


@given(
    st.lists(st.floats(0.0, 9.0), min_size=1, max_size=20),
    st.sampled_from([300.0, 900.0, 1000.0]),
    st.integers(1, 5),
)
def test_laying_a_series_on_another_window_keeps_the_requests(
    rates: list[float], period_s: float, rounds: int
) -> None:
    own = series(rates, 10.0)
    length_s = len(rates) * 900.0 * rounds
    periods = int(length_s // period_s)
    laid = own.onto(5, periods, period_s)
    assert len(laid) == periods
    edge = periods * period_s
    whole, rest = divmod(edge, len(rates) * 900.0)
    want = whole * sum(rates) * 900.0 + float(
        np.interp(rest, 900.0 * np.arange(len(rates) + 1), [0.0, *np.cumsum(rates) * 900.0])
    )
    assert laid.rate_rps.sum() * period_s == pytest.approx(want, abs=1e-6)


def test_replicas_of_a_year_start_settled() -> None:
    jobs = replica_jobs(CHAT, start_ns=0, end_ns=7 * 86_400 * S, chip="H100", seed=1)
    assert jobs.check() == []
    at_start = int((jobs.submit_ns == 0).sum())
    assert 1 <= at_start < CHAT.replicas_peak


def test_a_service_without_room_for_a_replica_is_told() -> None:
    problems = Service("s", "a", 5, 10, headroom=-1.0, peak_to_mean=1.0).check()
    assert [p.field for p in problems] == ["accelerators_peak", "headroom", "peak_to_mean"]


@pytest.mark.data
def test_real_request_traces_have_their_published_rates(data_dir: Path) -> None:
    azure = read_requests(data_dir / "compute" / "azure_llm_2023_requests.parquet")
    assert sorted(azure) == ["code", "conv"]
    assert azure["conv"].rate_rps.mean() == pytest.approx(5.5, rel=0.05)
    assert azure["code"].rate_rps.mean() == pytest.approx(2.6, rel=0.05)
    mooncake = read_requests(data_dir / "compute" / "mooncake_requests.parquet")
    assert mooncake["conversation"].rate_rps.mean() == pytest.approx(3.4, rel=0.05)


@pytest.mark.data
def test_real_rates_have_their_published_peaks(data_dir: Path) -> None:
    rates = read_rates(data_dir / "compute" / "servegen_client_rates_10min.parquet")
    peaks = {name: round(r.peak_to_mean, 1) for name, r in rates.items()}
    assert peaks["language/m-mid"] == 1.9
    assert peaks["language/m-small"] == 3.3
    assert peaks["reason/deepseek-r1"] == 2.7
    for r in rates.values():
        result = served(r, capacity(r, CHAT), CHAT)
        assert result.share_beyond < 0.03


WAITING = Service(
    "chat", "a", accelerators_peak=2_000, replica_accelerators=40, slots=64, service_s=20.0
)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 30))
def test_replicas_are_ready_once_they_have_run_for_the_start_up(
    running: list[int], hundreds_s: int
) -> None:
    startup_s, period_s, step_s = hundreds_s * 100.0, 900.0, 100.0
    got = ready_replicas(np.array(running), startup_s, period_s)
    # by hand, every 100 s: level l serves when at least l replicas ran at every step before
    for t in range(len(running)):
        seen = []
        for step in range(9):
            at = t * 9 + step
            past = range(at - hundreds_s, at + 1)
            seen.append(min(running[max(k // 9, 0)] for k in past))
        assert got[t] == pytest.approx(np.mean(seen) if step_s else 0.0)


def test_a_start_up_longer_than_an_interval_counts_whole() -> None:
    service = Service("s", "a", 100, 10, headroom=0.0, startup_s=1350.0)
    result = served(series([1.0, 2.0, 2.0, 2.0], 10.0), np.array([1, 2, 2, 2]), service)
    assert result.beyond == pytest.approx((1.0 + 0.5) * 900)


@pytest.mark.slow
@given(rates_seen, st.integers(0, 29), st.floats(0.0, 10.0))
def test_asking_early_sees_only_the_past(rates: list[float], at: int, other: float) -> None:
    at %= len(rates)
    changed = [*rates[:at], other, *rates[at + 1 :]]
    one = capacity(series(rates, 10.0), WAITING)
    two = capacity(series(changed, 10.0), WAITING)
    assert one[: at + 1].tolist() == two[: at + 1].tolist()


def test_the_latency_model_follows_its_rule() -> None:
    service = replace(WAITING, scale_down_s=0.0, startup_s=1800.0)
    rates = series([2.0, 3.0, 5.0, 5.0, 1.0], 10.0)
    wanted = capacity(rates, service, before_rps=[2.0])
    # seen: 2, 2, 3, 5, 5; a rise goes on for the two intervals of start-up and one more
    expected = np.array([2.0, 2.0, 3.0 + 3 * 1.0, 10.0, 5.0])
    asked = expected * service.rps_of(rates) * (1.0 + service.headroom) * (1 - 1e-9)
    assert wanted.tolist() == capacity_for_latency(asked, 20.0, 64, 0.5).tolist()
    assert wanted[3] == service.replicas_peak


def test_asking_early_makes_up_for_a_slow_start() -> None:
    slow = replace(WAITING, startup_s=1800.0)
    late = replace(slow, slots=0)
    rates = synthetic_rates(0, 96 * 28, 900.0, seed=1, name="s")
    early, plain = (served(rates, capacity(rates, s, [1.0]), s) for s in (slow, late))
    assert early.share_beyond < 0.1 * plain.share_beyond
    # what it costs: a fifth to a quarter more replicas than in proportion to the rate
    more = capacity(rates, slow, [1.0]).mean() / capacity(rates, late, [1.0]).mean()
    assert 1.1 < more < 1.35


def test_a_wrong_latency_model_is_told() -> None:
    wrong = replace(WAITING, service_s=0.0, latency_ms=-1.0, quantile=1.0)
    assert [p.field for p in wrong.check()] == ["service_s", "latency_ms", "quantile"]
    assert [p.field for p in replace(WAITING, slots=-1).check()] == ["slots"]
    assert WAITING.check() == []


def test_the_latency_model_is_off_unless_asked_for() -> None:
    service = Service("s", "a", 100, 10)
    assert not service.has_latency_model
    assert replace(service, latency_ms=1.0).check() == []
    rates = series([1.0, 5.0, 2.0], 10.0)
    assert (
        capacity(rates, service).tolist()
        == capacity(rates, replace(service, latency_ms=9.0, startup_s=9000.0)).tolist()
    )
