"""Scaling a trace: every job stays, no gang grows, and everything done is said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.jobs import (
    JobTable,
    offered_share,
    peak_accelerators,
    read_trace,
    scale_to_fleet,
)

S = 1_000_000_000
DAY = 86_400 * S
START = 1_767_225_600 * S


def trace(rows: list[tuple[int, int, int]]) -> JobTable:
    hour, gangs, run_s = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return JobTable.of(
        submit_ns=hour * 3600 * S,
        accelerators=gangs,
        work_ns=run_s * S,
        tenants=("a",),
        chips=("P100",),
        origin="a trace",
        state="measured",
    )


rows_given = st.lists(
    st.tuples(st.integers(0, 2_000), st.integers(1, 64), st.integers(1, 10**6)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60)
@given(rows_given, st.integers(1, 60), st.integers(64, 5_000), st.integers(0, 9))
def test_whole_copies_in_the_window_with_nothing_inflated(
    rows: list[tuple[int, int, int]], days: int, fleet: int, seed: int
) -> None:
    jobs = trace(rows)
    end = START + days * DAY
    grown = scale_to_fleet(
        jobs, accelerators=fleet, node_size=8, start_ns=START, end_ns=end, seed=seed,
        original_accelerators=100,
    )  # fmt: skip
    copies = max(1, round(fleet / 100))
    assert grown.check() == []
    assert int(grown.submit_ns[0]) >= START
    assert int(grown.submit_ns[-1]) < end
    once = Counter(zip(jobs.accelerators.tolist(), jobs.work_ns.tolist(), strict=True))
    many = Counter(zip(grown.accelerators.tolist(), grown.work_ns.tolist(), strict=True))
    assert many == Counter({key: count * copies for key, count in once.items()})
    assert grown.state == "measured"
    # Copy 0 stands there job by job, moved by whole weeks (and wrapped in a short window).
    first = int(jobs.submit_ns[0])
    home = -((first - START) // (7 * DAY)) * 7 * DAY
    assert 0 <= first + home - START < 7 * DAY
    placed = set(zip(grown.submit_ns.tolist(), grown.work_ns.tolist(), strict=True))
    for submit, work in zip(jobs.submit_ns.tolist(), jobs.work_ns.tolist(), strict=True):
        assert (START + (submit + home - START) % (end - START), work) in placed


@given(rows_given, st.floats(0.1, 2.0))
def test_the_wanted_load_is_reached_as_nearly_as_whole_copies_allow(
    rows: list[tuple[int, int, int]], offered: float
) -> None:
    jobs = trace(rows)
    end = START + 30 * DAY
    one = offered_share(jobs, 1_000, START, end)
    if offered / one * len(jobs) > 50_000:
        return
    grown = scale_to_fleet(
        jobs, accelerators=1_000, node_size=8, start_ns=START, end_ns=end, offered=offered, seed=0
    )
    reached = offered_share(grown, 1_000, START, end)
    assert abs(reached - offered) <= max(one / 2, one - offered) + 1e-9
    assert f"{100 * reached:.3g} %" in " ".join(grown.scaling)


def test_a_gang_larger_than_the_fleet_is_told() -> None:
    jobs = trace([(0, 13, 60), (1, 17, 60), (2, 8, 60)])
    with pytest.raises(BadInput) as caught:
        scale_to_fleet(jobs, accelerators=16, node_size=8, start_ns=0, end_ns=DAY, seed=0)
    (problem,) = caught.value.problems
    assert problem.value == "17"
    assert "can never start" in problem.why


def test_a_load_beyond_memory_is_told_with_what_is_possible() -> None:
    with pytest.raises(BadInput, match="can offer at most"):
        scale_to_fleet(
            trace([(0, 1, 1)]), accelerators=10_000, node_size=8, start_ns=0, end_ns=365 * DAY,
            offered=0.9, seed=0,
        )  # fmt: skip


def test_empty_windows_and_tables_are_told() -> None:
    jobs = trace([(0, 1, 1)])
    with pytest.raises(BadInput, match="after the start"):
        scale_to_fleet(jobs, accelerators=8, node_size=8, start_ns=5, end_ns=5, seed=0)
    none = jobs.take(np.zeros(1, dtype=bool))
    with pytest.raises(BadInput, match="no jobs"):
        scale_to_fleet(none, accelerators=8, node_size=8, start_ns=0, end_ns=DAY, seed=0)


def test_jobs_are_dealt_over_chips_that_can_hold_them() -> None:
    jobs = trace([(k % 99, 8 if k % 2 else 120, 60) for k in range(4_000)])
    grown = scale_to_fleet(
        jobs, accelerators=400, node_size=8, start_ns=START, end_ns=START + 30 * DAY, seed=0,
        original_accelerators=400, chips={"small": 100, "large": 300},
    )  # fmt: skip
    assert grown.chips == ("small", "large")
    assert set(grown.chip[grown.accelerators == 120].tolist()) == {1}
    assert np.mean(grown.chip[grown.accelerators == 8] == 0) == pytest.approx(0.25, abs=0.04)


def test_seeds_move_the_other_copies() -> None:
    jobs = trace([(k, 8, 600) for k in range(50)])
    tables = [
        scale_to_fleet(
            jobs, accelerators=1_000, node_size=8, start_ns=START, end_ns=START + 90 * DAY,
            seed=seed, original_accelerators=100,
        )
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert tables[0].equals(tables[1])
    assert not np.array_equal(tables[0].submit_ns, tables[2].submit_ns)


def test_a_deadline_keeps_its_distance_in_every_copy() -> None:
    one = JobTable.of(
        submit_ns=np.array([0, 3600 * S]),
        accelerators=8,
        work_ns=60 * S,
        tenants=("a",),
        chips=("H100",),
        projects=("p",),
        project=[0, -1],
        deadline_ns=[7200 * S, 0],
    )
    grown = scale_to_fleet(
        one, accelerators=500, node_size=8, start_ns=START, end_ns=START + 60 * DAY, seed=0,
        original_accelerators=100,
    )  # fmt: skip
    assert grown.check() == []
    assert grown.projects == ("p",)
    due = grown.deadline_ns > 0
    assert int(due.sum()) == 5
    assert set((grown.deadline_ns - grown.submit_ns)[due].tolist()) == {7200 * S}
    assert np.array_equal(due, grown.project == 0)


def test_the_peak_of_a_trace() -> None:
    # 8 until 3600 s; 4 from 1800 s; the third starts as the first ends.
    jobs = trace([(0, 8, 3600), (0, 4, 7200), (1, 8, 60)])
    assert peak_accelerators(jobs) == 12


@pytest.mark.slow
@pytest.mark.data
def test_all_of_philly_stands_in_a_year_of_100_000_accelerators(data_dir: Path) -> None:
    philly = read_trace(data_dir / "compute" / "philly_jobs.parquet")
    grown = scale_to_fleet(
        philly.jobs, accelerators=100_000, node_size=8, start_ns=START, end_ns=START + 365 * DAY,
        seed=0, original_accelerators=philly.accelerators,
    )  # fmt: skip
    assert len(grown) == 40 * 82_247
    assert grown.tenants == philly.jobs.tenants
    first = int(philly.jobs.submit_ns[0])
    home = -((first - START) // (7 * DAY)) * 7 * DAY
    # Submission and run time are whole seconds: together they fit in one integer per job.
    copy = (philly.jobs.submit_ns + home) // S * 2**23 + philly.jobs.work_ns // S
    assert np.isin(copy, grown.submit_ns // S * 2**23 + grown.work_ns // S).all()
    assert "all 82,247 jobs" in grown.scaling[0]
    assert "39 further whole copies" in grown.scaling[1]
