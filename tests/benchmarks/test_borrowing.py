"""What borrowing is worth: shares, cut jobs, waits and gains on cases small enough to count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import borrowing
from benchmarks.cases.borrowing import Change, Replays, Run, Trace, Way
from benchmarks.cases.peers import Philly, philly
from benchmarks.run import judge, read_budgets
from gigafactory.units import NS_PER_DAY, NS_PER_S

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "borrowing.md"
HOUR_S, DAY_S = 3600, 86_400


def story(*jobs: tuple[float, float, int, str]) -> Philly:
    """Jobs of (day of submission, hours, accelerators, tenant), ascending."""
    day, hours, size, whose = zip(*jobs, strict=True)
    return Philly(
        (np.array(day) * DAY_S).astype(np.int64),
        np.array(hours) * HOUR_S,
        np.array(size, np.int32),
        np.array(whose, object),
    )


#: `a` asks most before the busy month (days 30 to 60), `b` in it; `b` has a job of two nodes.
SMALL = story(
    (0.0, 30.0, 8, "a"),
    (1.0, 10.0, 8, "b"),
    (30.0, 48.0, 8, "b"),
    (30.0, 48.0, 8, "b"),
    (40.0, 12.0, 16, "b"),
    (59.0, 480.0, 8, "b"),
    (70.0, 1.0, 8, "a"),
)


def test_the_busy_month_is_where_most_was_submitted() -> None:
    begin, end = borrowing.busy_month(SMALL)
    assert (begin, end) == (30 * NS_PER_DAY, 60 * NS_PER_DAY)


def test_shares_are_whole_nodes_by_what_is_known() -> None:
    names, known = borrowing.shares(SMALL, 48, hindsight=False)
    assert names == ["a", "b"]
    assert known.tolist() == [32, 16]  # one node each, and of four 3 and 1 by 240 and 80 hours
    later = borrowing.shares(SMALL, 48, hindsight=True)[1]
    assert later.tolist() == [8, 40]


def test_a_job_larger_than_its_share_is_cut_and_not_compared() -> None:
    trace = borrowing.laid_out(SMALL, 16, hindsight=False)
    assert trace.own.tolist() == [8, 8]
    assert trace.asked.tolist() == [8] * 7
    assert np.flatnonzero(trace.of_month).tolist() == [2, 3, 4, 5]
    assert np.flatnonzero(trace.compared).tolist() == [2, 3, 5]


@pytest.mark.parametrize("way", [Way.POOLS, Way.CAPS])
def test_with_hard_partitions_one_waits_while_the_other_stands_idle(way: Way) -> None:
    trace = borrowing.laid_out(SMALL, 16, hindsight=False)
    run = borrowing.replayed(trace, way)
    assert borrowing.waits_s(trace, run).tolist() == [0.0, 48.0 * HOUR_S, 0.0]
    hours = 48 + 48 + 12 + 24  # of the last one day falls in the month
    assert run.kept_ns == run.held_ns == hours * 8 * HOUR_S * NS_PER_S
    assert run.before_ns == 40 * 8 * HOUR_S * NS_PER_S
    assert run.stops == 0


@pytest.mark.slow
@pytest.mark.parametrize("way", [Way.BORROW, Way.FAIR])
def test_with_borrowing_nobody_waits_for_an_idle_node(way: Way) -> None:
    trace = borrowing.laid_out(SMALL, 16, hindsight=False)
    run = borrowing.replayed(trace, way)
    assert borrowing.waits_s(trace, run).tolist() == [0.0, 0.0, 0.0]
    change = borrowing.changed(trace, [borrowing.replayed(trace, Way.POOLS)], run)
    p95, p99 = -0.9 * 48 * HOUR_S, -0.98 * 48 * HOUR_S  # of three waits, one of 48 hours
    assert (change.p95_s, change.p99_s) == pytest.approx((p95, p99))
    assert change == Change(0.0, change.p95_s, "b", change.p99_s, "b", longer=0, later=0)


def test_who_lent_takes_back_within_the_grace_and_the_first_start_counts() -> None:
    jobs = story(
        (0.0, 1.0, 8, "a"),
        (0.0, 1.0, 8, "b"),
        (30.0, 90.0, 8, "b"),
        (30.0, 90.0, 8, "b"),
        (31.0, 50.0, 8, "a"),
        (65.0, 1.0, 8, "a"),
    )
    trace = borrowing.laid_out(jobs, 16, hindsight=False)
    hard, soft = (borrowing.replayed(trace, way) for way in (Way.POOLS, Way.BORROW))
    assert soft.stops == 1
    assert borrowing.waits_s(trace, hard).tolist() == [0.0, 90.0 * HOUR_S, 0.0]
    assert borrowing.waits_s(trace, soft).tolist() == [0.0, 0.0, float(borrowing.GRACE_S)]
    change = borrowing.changed(trace, [hard], soft)
    assert (change.p95_s, change.p95_of) == (borrowing.GRACE_S, "a")
    assert change.longer == change.later == 0  # the grace itself is not longer than it


def stands(trace: Trace, start_s: list[int], kept: float) -> Run:
    """A run with given first starts, each job ending an hour after it."""
    start = np.array(start_s) * NS_PER_S
    return Run(start, start + HOUR_S * NS_PER_S, kept_ns=kept * trace.month_ns)


def test_the_better_rival_counts_and_the_worst_tenant() -> None:
    jobs = story((0, 1, 8, "a"), (0, 1, 8, "b"), (30, 2, 8, "a"), (30, 2, 8, "b"), (65, 1, 8, "a"))
    trace = borrowing.laid_out(jobs, 16, hindsight=False)
    at = 30 * DAY_S
    busy = [0, 0, at, at, 65 * DAY_S]
    soft = stands(trace, [0, 0, at + 100, at + 10, 65 * DAY_S], 0.9)
    slow = stands(trace, [0, 0, at + 90, at + 900, 65 * DAY_S], 0.7)
    change = borrowing.changed(trace, [slow, stands(trace, busy, 0.6)], soft)
    assert change.gain_share == pytest.approx(0.2)
    assert (change.p95_s, change.p95_of) == (100.0, "a")
    assert (change.longer, change.later) == (1, 1)
    assert borrowing.changed(trace, [slow], soft).p95_s == 10.0


@pytest.mark.parametrize(
    ("number", "value"),
    [
        *((f"{name}_gain_share", 0.0999) for name in (560, 640, 720, "hindsight_640")),
        *((f"{name}_worst_p95_change_s", 60.1) for name in (560, 640, 720, "hindsight_640")),
        ("640_hard_held_share", 0.71),
    ],
)
def test_too_small_a_gain_or_too_long_a_wait_breaks_the_budget(number: str, value: float) -> None:
    entry = next(
        b
        for b in read_budgets(ROOT / "benchmarks" / "budgets.yaml")
        if b.name == "philly-borrowing"
    )
    good = {b.name: b.at_least if b.at_least is not None else b.at_most for b in entry.budgets}
    kept = {name: limit for name, limit in good.items() if limit is not None}
    assert judge(entry, [kept]).good
    assert judge(entry, [kept | {number: value}]).broken == (number,)


@pytest.mark.data
@pytest.mark.slow
def test_every_table_of_the_page_is_what_the_runs_give(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIGAFACTORY_DATA", str(data_dir))
    page = PAGE.read_text("utf-8")
    tables = borrowing.tables(Replays(philly()))
    assert [title for title, table in tables.items() if table not in page] == []
    rows = sum(len(table.splitlines()) for table in tables.values())
    assert rows == sum(line.startswith("|") for line in page.splitlines())
