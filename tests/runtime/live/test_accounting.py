"""Accounts of live days made up by dice: they close, wherever the day is cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.factory import load_factory
from gigafactory.ledger import GROUP_COLUMNS, METERS, conservation
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.accounting import SUMMED, book_of, receipts_of, seal_period
from gigafactory.runtime.live.metering import Correction, Gather
from tests.runtime.live.made_day import MadeDay, begin_of

USED = GROUP_COLUMNS.index("used_uwh")


def gathered(frames, corrections=()):
    gather = Gather(corrections)
    for _, frame in frames:
        gather.take(frame)
    return gather


def booked_uwh(gather):
    """IT energy of each pool in the accounts, micro-watt-hours."""
    return (gather.group[..., USED].sum(axis=(0, 2)) + gather.energy[..., 0].sum(axis=0)).tolist()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tick_s=st.sampled_from((20, 60, 137, 1700)),
    gaps=st.sampled_from((0.0, 0.2, 1.0)),
    error=st.sampled_from((0.0, 0.3, 0.9)),
    cut=st.floats(0.0, 1.0),
)
def test_every_prefix_closes(live_factory, seed, tick_s, gaps, error, cut):
    factory = load_factory(live_factory)
    made = MadeDay(begin_of(live_factory), seed, tick_s * 10**9, gaps, error)
    frames = made.frames(60)
    upto = frames[: 1 + int(cut * (len(frames) - 1))]
    gather = gathered(upto)
    assert not gather.problems
    day = book_of(gather, factory)
    problems, _ = conservation(day.book)
    assert not problems
    said = [frame.pools[:, 0] for _, frame in upto if isinstance(frame, f.Metered)]
    assert booked_uwh(gather) == np.sum([np.zeros(3, np.int64), *said], axis=0).tolist()
    assert (gather.energy[..., 0] >= 0).all()
    had = receipts_of(day)
    used = int(gather.group[..., USED].sum())
    assert sum(row["energy_uwh"] for row in had.values()) == used
    assert all(0 <= row["modelled_uwh"] <= row["energy_uwh"] for row in had.values())
    if gaps == 1.0:
        assert all(row["modelled_uwh"] == row["energy_uwh"] for row in had.values())
    if gaps == 0.0:
        assert not any(row["modelled_uwh"] for row in had.values())


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), tick_s=st.sampled_from((60, 500)))
def test_receipts_of_periods_add_up_and_stay(live_factory, seed, tick_s):
    factory = load_factory(live_factory)
    frames = MadeDay(begin_of(live_factory), seed, tick_s * 10**9).frames(90)
    gather = gathered(frames)
    whole = (gather.until_ns - gather.first_ns) // gather.step_ns
    total: Counter[tuple[str, str]] = Counter()
    for period in range(whole):
        rows = seal_period(gather, factory, period)
        for row in rows:
            assert row["country"] == "NL"
            assert row["site"] in ("site0", "site1")
            assert row["price_and_carbon_ppm"] == 10**6
            assert row["water_from"] == "model"
            for name in SUMMED:
                total[row["work"], name] += row[name]
        if period == whole // 2:  # made as soon as the period is over they are the same
            end = gather.first_ns + (period + 1) * gather.step_ns
            early = []
            for at_ns, frame in frames:
                early.append((at_ns, frame))
                if isinstance(frame, f.Metered) and frame.to_ns >= end:
                    break
            assert seal_period(gathered(early), factory, period) == rows
    day = receipts_of(book_of(gather, factory, whole)) if whole else {}
    for number, had in day.items():
        key = gather.jobs[number].key
        assert {name: total[key, name] for name in SUMMED} == had


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_two_days_add_up(live_factory, seed):
    """Work over midnight: what both days hold of it is what was metered while it ran."""
    factory = load_factory(live_factory)
    first = MadeDay(begin_of(live_factory), seed, 1200 * 10**9)
    a = gathered(first.frames(10**4, end=True))
    assert a.ended
    assert a.until_ns == first.begin.edges_ns[-1]
    going = {job.submit_ns: job.key for job in a.jobs.values() if job.width}
    jobs = [replace(job) for job in first.jobs]
    second = MadeDay(begin_of(live_factory, "2025-01-16"), seed + 1, 1200 * 10**9, jobs=jobs)
    b = gathered(second.frames(30))
    assert not b.problems
    assert booked_uwh(a) == first.energy
    assert booked_uwh(b) == second.energy
    for gather in (a, b):
        day = book_of(gather, factory)
        assert not conservation(day.book)[0]
        used = int(gather.group[..., USED].sum())
        assert sum(row["energy_uwh"] for row in receipts_of(day).values()) == used
    over = [job for job in b.jobs.values() if job.carried and job.submit_ns in going]
    ran = receipts_of(book_of(b, factory))
    # what ran at midnight began again there, not at its submission
    for job in over:
        if job.first_ns == second.begin.edges_ns[0]:
            assert ran[job.number]["gpu_s"] <= job.accelerators * 30 * 1200


@pytest.mark.parametrize(
    ("day", "periods"), [("2025-03-30", 92), ("2025-10-26", 100), ("2025-01-15", 96)]
)
def test_days_the_clocks_change(live_factory, day, periods):
    factory = load_factory(live_factory)
    made = MadeDay(begin_of(live_factory, day), 5, 900 * 10**9)
    gather = gathered(made.frames(10**4, end=True))
    book = book_of(gather, factory).book
    assert book.periods == periods
    assert not conservation(book)[0]
    assert booked_uwh(gather) == made.energy
    installed = 8 * sum(len(pool.nodes) for pool in made.begin.pools)
    assert int(book.installed_s.sum()) == installed * periods * 900


def test_late_data_goes_to_those_who_ran(live_factory):
    factory = load_factory(live_factory)
    made = MadeDay(begin_of(live_factory), 11, gaps=0.5)
    frames = made.frames(120)
    before = book_of(gathered(frames), factory)
    late = (
        Correction(3, "it_wh", "pool00", 900, "the meter was read by hand"),
        Correction(3, "it_wh", "pool00", -100, "once more"),
        Correction(4, "import_wh", "site1", 77, "late", metered=False),
    )
    gather = gathered(frames, late)
    after = book_of(gather, factory)
    assert not conservation(after.book)[0]
    it, taken = METERS.index("it_wh"), METERS.index("import_wh")
    change = after.book.meter - before.book.meter
    assert change[3, 0, it] == 800
    assert change[:, :, it].sum() == 800
    assert change[4, 1, taken] == 77
    assert change[:, :, taken].sum() == 77
    assert booked_uwh(gather)[0] == made.energy[0] + 800 * 10**6
    # in the period corrected nothing of that pool is modelled any more
    assert gather.energy[3, 0, 1] == int(gather.energy[3, 0, 0] + gather.group[3, 0, :, USED].sum())
    was, now = receipts_of(before), receipts_of(after)
    assert {n for n in now if now[n]["energy_uwh"] != was[n]["energy_uwh"]}, "jobs ran in it"


def test_work_that_is_not_ours_gets_none_of_the_bill(live_factory):
    begin = begin_of(live_factory)
    first, step = begin.edges_ns[0], begin.edges_ns[1] - begin.edges_ns[0]
    rows = [(0, 0, 1, 0, 8, 1, 3, first, 600, 0), (1, -1, -1, 0, 8, 1, 3, first, 600, 0)]
    start = [(f.START, n, first, 8, 0, 128, 0, 0, 0) for n in (0, 1)]
    pool = begin.pools[0]
    installed = 64 * step
    idle = installed * pool.idle_mw // 3_600_000_000
    active = 8 * step * (pool.full_mw[1] - pool.idle_mw) // 3_600_000_000
    pools = np.zeros((3, len(f.POOL_COLUMNS)), np.int64)
    model = idle + 2 * active
    pools[0] = (model, model, idle, 1, 0, installed, 0, installed, 8 * step, 0, 0)
    groups = np.zeros((3, 5, len(f.GROUP_COLUMNS)), np.int64)
    groups[0, 1] = (8 * step, 8 * step, 0, 0, active)
    sites = np.zeros((2, len(f.SITE_COLUMNS)), np.int64)
    sites[0] = (model * 5 // 4, 0, 0, 0, 1, 0, -1, 10**8, 10**8, 1, 0)
    gather = Gather()
    gather.take(begin)
    gather.take(f.WorkTaken(f.columns_of(f.WORK, rows), ("w", ""), ("7", "8"), ("", "")))
    gather.take(f.Moves(f.columns_of(f.MOVES, start)))
    gather.take(f.Metered(first, first + step, pools, groups, sites))
    day = book_of(gather, load_factory(live_factory))
    assert not gather.problems
    assert not conservation(day.book)[0]
    had = receipts_of(day)
    at_work = active + 8 * step * pool.idle_mw // 3_600_000_000
    assert list(had) == [0]
    assert at_work - 8 <= had[0]["energy_uwh"] <= at_work
    reserved = int(day.book.fate_s[0, 0, 3])
    assert reserved == 8 * 900, "its nodes are taken, and not by ours"


def test_what_does_not_fit_is_told(live_factory):
    made = MadeDay(begin_of(live_factory), 1)
    frames = made.frames(30)
    gather = Gather()
    for _, frame in frames:
        if isinstance(frame, f.Metered) and frame.from_ns > gather.until_ns + 10 * made.tick_ns:
            break
        if isinstance(frame, f.Metered) and frame.from_ns == made.begin.edges_ns[0] + made.tick_ns:
            continue  # a hole
        if isinstance(frame, f.Metered):
            frame = replace(frame, groups=frame.groups + 1)
        gather.take(frame)
    told = "\n".join(map(str, gather.problems))
    assert "does not follow" in told
    assert "ran by the moves" in told


def test_a_frozen_job_keeps_its_nodes_and_a_withdrawn_one_leaves(live_factory):
    begin = begin_of(live_factory)
    first, step = begin.edges_ns[0], begin.edges_ns[1] - begin.edges_ns[0]
    rows = [(n, 0, 1, 0, 8, 1, 3, first, 600, 0) for n in (0, 1)]
    half = first + step // 2
    moves = [
        (f.START, 0, first, 8, 0, 128, 0, 0, 0),
        (f.PAUSE, 0, half, 8, 0, 128, 0, 0, 1),
        (f.GONE, 1, half, 8, 0, 128, 0, 0, 0),
    ]
    installed = 64 * step
    pools = np.zeros((3, len(f.POOL_COLUMNS)), np.int64)
    pools[0] = (10**9, 10**9, 10**8, 1, 0, installed, 0, installed, 0, 0, 0)
    groups = np.zeros((3, 5, len(f.GROUP_COLUMNS)), np.int64)
    groups[0, 1] = (4 * step, 4 * step, 4 * step, 0, 10**8)
    sites = np.zeros((2, len(f.SITE_COLUMNS)), np.int64)
    sites[0] = (2 * 10**9, 0, 0, 0, 1, 0, -1, 10**8, 10**8, 1, 0)
    gather = Gather()
    gather.take(begin)
    gather.take(f.WorkTaken(f.columns_of(f.WORK, rows), ("a", "b"), ("7", "8"), ("", "")))
    gather.take(f.Moves(f.columns_of(f.MOVES, moves)))
    gather.take(f.Metered(first, first + step, pools, groups, sites))
    day = book_of(gather, load_factory(live_factory))
    assert not gather.problems
    assert not conservation(day.book)[0]
    assert day.book.fate_s[0, 0, 3:5].tolist() == [0, 4 * 900], "held by the paused job"
    assert gather.jobs[1].ended == 2
    assert int(day.book.receipt[2, day.jobs.index(1)]) == half
    assert receipts_of(day)[1]["gpu_s"] == 0


def test_work_handed_over_again_has_one_receipt(live_factory):
    factory = load_factory(live_factory)
    begin = begin_of(live_factory)
    first, step = begin.edges_ns[0], begin.edges_ns[1] - begin.edges_ns[0]
    third = step // 3
    rows = [(n, 0, 1, 0, 8, 1, 3, first, 600, 0) for n in (0, 1)]
    moves = [
        (f.START, 0, first, 8, 0, 128, 0, 0, 0),
        (f.FAIL, 0, first + third, 8, 0, 128, 0, 0, 0),
        (f.START, 1, first + third, 8, 0, 128, 0, 0, 0),
    ]
    pools = np.zeros((3, len(f.POOL_COLUMNS)), np.int64)
    pools[0] = (10**9, 10**9, 10**8, 1, 0, 64 * step, 0, 64 * step, 0, 0, 0)
    groups = np.zeros((3, 5, len(f.GROUP_COLUMNS)), np.int64)
    groups[0, 1] = (8 * step, 8 * step, 0, 0, 10**8)
    sites = np.zeros((2, len(f.SITE_COLUMNS)), np.int64)
    sites[0] = (2 * 10**9, 0, 0, 0, 1, 0, -1, -1, -1, 0, 0)
    gather = Gather()
    gather.take(begin)
    gather.take(f.WorkTaken(f.columns_of(f.WORK, rows), ("a", "a"), ("7", "8"), ("", "")))
    gather.take(f.Moves(f.columns_of(f.MOVES, moves)))
    gather.take(f.Metered(first, first + step, pools, groups, sites))
    (row,) = seal_period(gather, factory, 0)
    assert not gather.problems
    assert row["gpu_s"] == 8 * 900
    assert row["energy_uwh"] == int(gather.group[0, 0, 1, USED])
    assert row["price_and_carbon_ppm"] == 0, "no price was known"
    assert row["cost_micro_eur"] >= 0
