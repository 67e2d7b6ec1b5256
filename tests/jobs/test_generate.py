"""The generator: loads as asked, shapes as published, the same bytes for the same seed."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.jobs import (
    Demand,
    JobClass,
    JobTable,
    Level,
    Mission,
    Service,
    WorkloadSpec,
    generate,
    generate_year,
    offered_share,
    scaling_sentences,
)
from gigafactory.jobs.windows import month_windows
from tests.effort import examples

S = 1_000_000_000
DAY = 86_400 * S
FLEET = 10_000
START = 1_767_225_600 * S  # 2026-01-01T00:00Z
SHARES = {
    JobClass.FRONTIER_TRAINING: 0.30,
    JobClass.RESEARCH: 0.28,
    JobClass.FINE_TUNING: 0.12,
    JobClass.INFERENCE_BATCH: 0.10,
}


def spec(**changes: object) -> WorkloadSpec:
    demands = tuple(
        Demand(f"tenant-{k}", job_class, share / 2, Mission.HEALTH if k else Mission.NONE)
        for job_class, share in SHARES.items()
        for k in range(2)
    )
    base = WorkloadSpec({"H100": (FLEET, 8)}, demands, jobs_per_year_target=220_000)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def year() -> JobTable:
    service = Service("chat", "tenant-0", accelerators_peak=2_000, replica_accelerators=40)
    return generate_year(spec(services=(service,)), START, seed=7)


def test_every_demand_offers_its_share_within_two_percent(year: JobTable) -> None:
    assert year.check() == []
    for demand in spec().demands:
        mine = (year.tenant == year.tenants.index(demand.tenant)) & (
            year.job_class == demand.job_class
        )
        share = offered_share(year.take(mine), FLEET, START, START + 365 * DAY)
        assert share == pytest.approx(demand.share, rel=0.02)
        assert set(year.mission[mine].tolist()) == {demand.mission}


def test_the_year_offers_85_to_95_percent_over_all_classes(year: JobTable) -> None:
    assert 0.85 < offered_share(year, FLEET, START, START + 365 * DAY) < 0.95
    assert set(year.job_class.tolist()) == set(JobClass)


def test_the_number_of_jobs_is_brought_to_the_target(year: JobTable) -> None:
    assert int((~year.timed).sum()) == pytest.approx(220_000, rel=0.02)


def test_frontier_gangs_are_whole_nodes_up_to_a_share_of_the_pool(year: JobTable) -> None:
    gangs = year.accelerators[year.job_class == JobClass.FRONTIER_TRAINING]
    assert int(gangs.max()) == 3_000 // 8 * 8
    assert not (gangs % 8).any()
    batch = year.accelerators[year.job_class == JobClass.INFERENCE_BATCH]
    assert {1, 2, 4} <= set(batch.tolist())


def test_what_passes_a_node_takes_whole_nodes(year: JobTable) -> None:
    gangs = year.accelerators[~year.timed]
    assert not (gangs[gangs > 8] % 8).any()


def test_scaling_is_told_for_every_class(year: JobTable) -> None:
    words = " ".join(year.scaling)
    for job_class in SHARES:
        assert job_class.label in words
    assert "service chat" in words
    assert year.scaling[:-1] == scaling_sentences(spec(), START, START + 365 * DAY)


def test_no_job_passes_the_longest_run_and_limits_are_whole_minutes(year: JobTable) -> None:
    jobs = year.take(~year.timed)
    assert int(jobs.work_ns.max()) <= 7 * DAY
    assert not (jobs.walltime_ns % (60 * S)).any()
    cut = jobs.walltime_ns < jobs.work_ns
    assert 0.005 < cut.mean() < 0.03  # some users guess too low


def test_seasons_follow_the_monthly_weights() -> None:
    summer = tuple(float(month in {5, 6, 7}) for month in range(12))
    farm = Demand("farm", JobClass.RESEARCH, 0.2, monthly=summer)
    jobs = generate_year(spec(demands=(farm,), jobs_per_year_target=5000), START, seed=0)
    months = jobs.submit_ns.view("datetime64[ns]").astype("datetime64[M]").astype(int) % 12
    assert set(months.tolist()) == {5, 6, 7}
    assert offered_share(jobs, FLEET, START, START + 365 * DAY) == pytest.approx(0.2, rel=0.02)


def test_every_month_offers_its_weight() -> None:
    # A growing season: what the mission for agriculture, water and food asks (sensors, harvests).
    weights = (0.2, 0.3, 0.8, 1.5, 1.9, 2.0, 1.9, 1.6, 1.1, 0.6, 0.2, 0.1)
    mission = Mission.AGRICULTURE_WATER_FOOD
    farm = Demand("farm", JobClass.RESEARCH, 0.2, mission, monthly=weights)
    even = Demand("even", JobClass.RESEARCH, 0.2)
    jobs = generate_year(spec(demands=(farm, even), jobs_per_year_target=20_000), START, seed=0)
    months = jobs.submit_ns.view("datetime64[ns]").astype("datetime64[M]").astype(int) % 12
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    asked = [
        np.bincount(months[mine], weights=jobs.gpu_seconds()[mine], minlength=12)
        for mine in (jobs.mission == mission, jobs.mission == Mission.NONE)
    ]
    whole = 0.2 * FLEET * 365 * 86_400
    season = np.array(weights) * days
    assert asked[0] == pytest.approx(whole * season / season.sum(), rel=0.01)
    assert asked[1] == pytest.approx(whole * days / 365, rel=0.01)


OLD_COLUMNS = (
    *("submit_ns", "tenant", "job_class", "accelerators", "work_ns", "walltime_ns", "priority"),
    *("chip", "end_state", "mission", "timed", "service"),
)


def test_what_is_asked_besides_draws_nothing_by_chance() -> None:
    plain = Demand("a", JobClass.FRONTIER_TRAINING, 0.3)
    asking = replace(
        plain, project="wind", elastic_min=0.3, deadline_factor=1.5, level=Level.POD,
        level_accelerators_max=512,
    )  # fmt: skip
    other = Demand("b", JobClass.RESEARCH, 0.2, project="genes")
    before, jobs = (
        generate_year(spec(demands=(d, other), jobs_per_year_target=20_000), START, 3, days=40)
        for d in (plain, asking)
    )
    for name in OLD_COLUMNS:
        assert np.array_equal(getattr(before, name), getattr(jobs, name))
    assert jobs.check() == []
    assert jobs.projects == ("wind", "genes")
    mine = jobs.tenant == 0
    assert set(jobs.project[mine].tolist()) == {0}
    assert set(jobs.project[~mine].tolist()) == {1}
    assert not jobs.accelerators_min[~mine].any()
    assert not jobs.deadline_ns[~mine].any()
    assert not jobs.level[~mine].any()
    gangs = jobs.accelerators[mine].astype(int)
    least = jobs.accelerators_min[mine].astype(int)
    assert np.array_equal(least, np.where(gangs >= 16, -(-gangs * 3 // 80) * 8, 0))
    room = jobs.deadline_ns[mine] - jobs.submit_ns[mine]
    assert np.array_equal(room, jobs.walltime_ns[mine] // 2 * 3)
    wanted = np.where((gangs >= 16) & (gangs <= 512), int(Level.POD), 0)
    assert np.array_equal(jobs.level[mine], wanted)
    assert set(wanted.tolist()) == {0, int(Level.POD)}


def test_a_gang_of_one_node_is_rigid() -> None:
    one = Demand("a", JobClass.FINE_TUNING, 0.2, elastic_min=0.1, accelerators_max=8)
    jobs = generate_year(spec(demands=(one,), jobs_per_year_target=2_000), START, 0, days=5)
    assert not jobs.accelerators_min.any()


def test_several_pools_are_loaded_alike_and_named_chips_are_kept() -> None:
    pools = {"H200": (6_000, 8), "GB200": (4_032, 72)}
    demands = (
        Demand("a", JobClass.RESEARCH, 0.4),
        Demand("b", JobClass.FRONTIER_TRAINING, 0.2, chips=("GB200",), accelerators_max=1000),
    )
    jobs = generate_year(spec(pools=pools, demands=demands), START, seed=0, days=60)
    window = (START, START + 60 * DAY)
    own = jobs.take((jobs.tenant == 0) & (jobs.chip == 1))
    assert offered_share(own, 4_032, *window) == pytest.approx(0.4, rel=0.02)
    limited = jobs.take(jobs.tenant == 1)
    assert set(limited.chip.tolist()) == {1}
    assert int(limited.accelerators.max()) <= 1000
    assert not (limited.accelerators[limited.accelerators > 72] % 72).any()


@settings(max_examples=examples(8), deadline=None)
@given(
    first=st.integers(0, 400),
    days=st.integers(1, 45),
    seed=st.integers(-3, 3),
    target=st.sampled_from([2_000, 100_000]),
)
def test_chunks_follow_each_other_and_lose_nothing(
    first: int, days: int, seed: int, target: int
) -> None:
    start, end = START + first * DAY + 12_345 * S, START + (first + days) * DAY
    service = Service("chat", "tenant-0", accelerators_peak=200, replica_accelerators=10)
    small = spec(services=(service,), jobs_per_year_target=target)
    if end <= start:
        return
    chunks = list(generate(small, start, end, seed))
    for chunk in chunks:
        assert chunk.check() == []
        assert chunk.tenants == small.tenants
    edges = [(int(c.submit_ns[0]), int(c.submit_ns[-1])) for c in chunks if len(c)]
    assert all(low <= high < after for (low, high), (after, _) in pairwise(edges))
    assert edges[0][0] >= start
    assert edges[-1][1] < end
    whole = JobTable.concatenate(chunks)
    assert len(whole) == sum(map(len, chunks))
    work = offered_share(whole.take(~whole.timed), FLEET, start, end)
    assert work == pytest.approx(sum(SHARES.values()), rel=0.02)


def test_same_seed_same_bytes_and_zero_is_a_seed() -> None:
    small = spec(jobs_per_year_target=20_000)
    tables = [generate_year(small, START, seed, days=40) for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    assert not np.array_equal(tables[0].work_ns, tables[2].work_ns)


def test_a_new_demand_changes_nobody_elses_bursts() -> None:
    small = spec(jobs_per_year_target=20_000, scale=None, pools={"H100": (2_000, 8)})
    more = replace(small, demands=(*small.demands, Demand("new", JobClass.RESEARCH, 0.1)))
    before = generate_year(small, START, 0, days=5)
    after = generate_year(more, START, 0, days=5)
    old = after.take(after.tenant != after.tenants.index("new"))
    assert np.array_equal(before.submit_ns, old.submit_ns)
    assert np.array_equal(before.work_ns, old.work_ns)


@pytest.mark.slow
def test_chunks_bound_the_memory_whatever_the_window() -> None:
    # 10 million jobs in a year make 12 chunks of under a million; here a tenth of that.
    big = spec(jobs_per_year_target=1_000_000, pools={"H100": (100_000, 8)})
    tracemalloc.start()
    try:
        largest = max(len(chunk) for chunk in generate(big, START, START + 365 * DAY, 0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert largest < 100_000
    assert peak < 60 * 2**20  # the whole year as columns alone would be 38 MB, the drawing 300 MB


@pytest.mark.slow
def test_ten_million_jobs_by_seed_in_bounded_memory() -> None:
    huge = spec(jobs_per_year_target=10_000_000, pools={"H100": (100_000, 8)})
    tracemalloc.start()
    try:
        total = sum(len(chunk) for chunk in generate(huge, START, START + 365 * DAY, 0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == pytest.approx(10_000_000, rel=0.01)
    assert peak < 400 * 2**20


def test_long_months_are_cut_evenly() -> None:
    windows = month_windows(START + 5, START + 59 * DAY, 10 * DAY)
    assert windows[0].start_ns == START + 5
    assert windows[-1].end_ns == START + 59 * DAY
    assert all(a.end_ns == b.start_ns for a, b in pairwise(windows))
    assert all(w.end_ns - w.start_ns <= 10 * DAY for w in windows)
    assert [w.month for w in windows] == [1] * 4 + [2] * 3


def test_everything_wrong_with_a_spec_is_told_at_once() -> None:
    wrong = WorkloadSpec(
        {"H100": (4, 8)},
        (
            Demand("a", JobClass.INFERENCE_REALTIME, 0.1),
            Demand("b", JobClass.RESEARCH, float("nan"), monthly=(1.0,)),
            Demand("c", JobClass.RESEARCH, -0.1, chips=("H900",), accelerators_max=0),
            Demand(
                "d", JobClass.RESEARCH, 0.1, elastic_min=0.0, deadline_factor=0.0, level=Level.RACK
            ),
            Demand("e", JobClass.RESEARCH, 0.1, level=3),  # type: ignore[arg-type]
        ),
        (Service("s", "a", 64, 64, chips=("H900",)),),
        jobs_per_year_target=0,
        frontier_fraction=0.0,
    )
    with pytest.raises(BadInput) as told:
        generate(wrong, START, START, 0)
    fields = {problem.field for problem in told.value.problems}
    assert {
        "pools.H100", "frontier_fraction", "jobs_per_year_target", "job_class", "share", "monthly",
        "elastic_min", "deadline_factor", "level", "level_accelerators_max",
        "chips", "accelerators_max", "s.replica_accelerators", "end",
    } <= fields  # fmt: skip
