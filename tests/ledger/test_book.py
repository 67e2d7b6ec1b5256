"""The book: facts in, accounts and receipts out; every unit is somewhere, and somewhere once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.journal import record_of
from gigafactory.ledger import (
    METERS,
    Book,
    Facts,
    Header,
    account_table,
    conservation,
    job_table,
    transfer_table,
)
from gigafactory.ledger.book import PAID, RECEIPT
from gigafactory.ledger.integrals import SHARED
from tests.ledger.made_up import (
    BACKFILL,
    EVICT,
    FAIL,
    FINISH,
    LIMIT,
    PAUSE,
    PREEMPT,
    RESUME,
    START,
    World,
    booked,
    header,
)

WORLDS = {
    "pool_site": st.sampled_from([(0,), (0, 0), (0, 1), (0, 1, 0)]),
    "periods": st.integers(1, 12),
    "jobs": st.integers(1, 25),
    "seed": st.integers(0, 2**32),
    "site_wh": st.sampled_from([1, 10**5, 10**8]),
}


@settings(max_examples=60)
@given(**WORLDS)
def test_books_balance_whatever_happened(
    pool_site: tuple[int, ...], periods: int, jobs: int, seed: int, site_wh: int
) -> None:
    book, _ = booked(header(pool_site, periods, jobs), seed, periods, site_wh=site_wh)
    problems, _ = conservation(book)
    assert not problems, "\n".join(map(str, problems))


@settings(max_examples=40)
@given(**WORLDS)
def test_receipts_are_what_each_job_drew(
    pool_site: tuple[int, ...], periods: int, jobs: int, seed: int, site_wh: int
) -> None:
    book, world = booked(header(pool_site, periods, jobs), seed, periods, site_wh=site_wh)
    energy = book.receipt[RECEIPT.index("energy_wh")]
    segments = max(book.segments, 1)
    for j in range(jobs):
        exact = world.work.get(j, 0) / 1e6
        assert exact - segments <= energy[j] <= exact
    for c, name in enumerate(SHARED):
        # who paid, emitted and drank: by energy, period by period, in exact fractions
        total = int(book.receipt[RECEIPT.index(name)].sum())
        shared = int(book.shared[:periods, :, :-1, c].sum())
        assert abs(shared - total) <= segments + periods * len(pool_site) * 2


@settings(max_examples=40)
@given(**WORLDS)
def test_transfers_in_two_phases(
    pool_site: tuple[int, ...], periods: int, jobs: int, seed: int, site_wh: int
) -> None:
    book, _ = booked(header(pool_site, periods, jobs), seed, periods, site_wh=site_wh)
    rows = transfer_table(book).to_pylist()
    by_id = {row["id"]: row for row in rows}
    assert list(by_id) == list(range(len(rows)))
    resolved: dict[int, int] = {}
    for row in rows:
        assert row["amount"] != 0
        if row["phase"] in {"post", "void"}:
            pending = by_id[row["pending_id"]]
            assert pending["phase"] == "pending"
            assert pending["id"] < row["id"]
            same = ("start_ns", "site", "commodity", "debit", "credit")
            assert [pending[k] for k in same] == [row[k] for k in same]
            assert 0 < row["amount"] <= pending["amount"]
            resolved[pending["id"]] = resolved.get(pending["id"], 0) + row["amount"]
        else:
            assert row["pending_id"] == -1
    assert resolved == {r["id"]: r["amount"] for r in rows if r["phase"] == "pending"}
    for s, site in enumerate(book.header.sites):
        it_wh = int(book.meter[:periods, s, METERS.index("it_wh")].sum())
        mine = [r for r in rows if r["site"] == site and r["debit"] == "reserved.it"]
        assert sum(r["amount"] for r in mine if r["phase"] in {"post", "single"}) == it_wh
        of_phase = {
            phase: {r["start_ns"]: r["amount"] for r in mine if r["phase"] == phase}
            for phase in ("pending", "post", "single")
        }
        for start in of_phase["single"]:  # only what went beyond the whole reservation
            assert of_phase["post"].get(start) == of_phase["pending"].get(start)


@settings(max_examples=25)
@given(**WORLDS)
def test_accounts_and_transfers_say_the_same(
    pool_site: tuple[int, ...], periods: int, jobs: int, seed: int, site_wh: int
) -> None:
    book, _ = booked(header(pool_site, periods, jobs), seed, periods, site_wh=site_wh)
    accounts, transfers = account_table(book), transfer_table(book)
    moved: dict[tuple[str, str], int] = {}
    for row in transfers.to_pylist():
        if row["phase"] == "single" and row["debit"] != "reserved.it":
            for name in (row["debit"], row["credit"]):
                key = (row["site"], name)
                moved[key] = moved.get(key, 0) + row["amount"]
    site_of = accounts.column("site").to_pylist()
    for name in accounts.column_names:
        if name in {"site", "start_ns"} or ".total_" in name or "installed" in name:
            continue
        unit = next(u for u in ("_gpu_s", "_micro_eur", "_wh", "_mg", "_ml") if name.endswith(u))
        if name.startswith("heat."):
            continue  # heat is not taken from any account
        values = accounts.column(name).to_pylist()
        for site in book.header.sites:
            total = sum(v for v, s in zip(values, site_of, strict=True) if s == site and v)
            assert moved.get((site, name.removesuffix(unit)), 0) == total, name


@settings(max_examples=25)
@given(**WORLDS)
def test_a_book_is_a_function_of_its_frames(
    pool_site: tuple[int, ...], periods: int, jobs: int, seed: int, site_wh: int
) -> None:
    of = header(pool_site, periods, jobs)
    book, world = Book(of), World(of, seed, site_wh=site_wh)
    again = Book(Header.of(of.fields()))
    for period in range(periods):
        facts = world.facts(period)
        book.tick(facts)
        again.tick(Facts.of(facts.arrays()))
        if period % 3 == 1:
            book.close_day()
        if period % 4 == 2:
            again.close_day()
    book.close(world.energy)
    again.close(world.energy)
    for table in (account_table, transfer_table):
        assert table(book).equals(table(again)), "days may be closed when one likes"
    assert receipts(book).equals(receipts(again))
    assert record_of("header", 0, of.fields()) == record_of("header", 0, again.header.fields())


def receipts(book: Book) -> pa.Table:
    return job_table(book, ("none",), dict.fromkeys(range(9), "H100"))


# --- one job at a time -----------------------------------------------------------------------


def one_job(kinds: list[int], end_state: int = 1) -> dict[str, object]:
    """The receipt of a job of 8 accelerators to which these things happened, 100 s apart."""
    of = header((0,), 2, 1, overhead_ppm=(0, 0))
    world = World(of, 3)
    world.asked = 1  # the world's own dice stay out of it
    book = Book(of)
    facts = [world.facts(0), world.facts(1)]
    world.accelerators[:] = 8
    first = of.edges_ns[0]
    asks = world._asks(np.array([0]), first)
    asks["end_state"][:] = end_state
    asks["job_class"][:] = 0
    moves = {
        "kind": np.array(kinds, np.uint8),
        "job": np.zeros(len(kinds), np.int32),
        "t_ns": first + np.arange(len(kinds), dtype=np.int64) * 100 * 10**9,
        "energy_uwh": np.arange(len(kinds), dtype=np.int64) * 10**6,
        "width": np.full(len(kinds), 8, np.int32),
        "why": np.zeros(len(kinds), np.int32),
        # what stops a job here takes all it did since it started
        "lost_ns": np.isin(kinds, (EVICT, PREEMPT, FAIL)) * np.int64(800 * 10**9),
        "pool": np.zeros(len(kinds), np.int8),
    }
    book.tick(dataclasses.replace(facts[0], moves=moves, asks=asks))
    book.close(np.full((1, 2), 10**7))
    (row,) = receipts(book).to_pylist()
    return row


@pytest.mark.parametrize(
    ("kinds", "own", "state", "gpu_s", "billed_s"),
    [
        ([], 1, "queued", 0, 0),
        ([START], 1, "running", 7200, 7200),
        ([BACKFILL, FINISH], 1, "completed", 800, 800),
        ([START, FINISH], 0, "completed", 800, 800),
        ([START, FINISH], 2, "cancelled", 800, 800),
        ([START, FINISH], 3, "failed", 800, 800),
        ([START, LIMIT], 1, "timeout", 800, 800),
        ([START, PAUSE], 1, "running", 800, 800),
        ([START, PAUSE, RESUME, FINISH], 1, "completed", 1600, 1600),
        ([START, EVICT], 1, "queued", 800, 0),
        ([START, EVICT, START, FINISH], 3, "failed", 1600, 800),
        ([START, PAUSE, RESUME, EVICT, BACKFILL, LIMIT], 1, "timeout", 2400, 1600),
        ([START, FAIL], 1, "queued", 800, 0),
        ([START, PREEMPT], 1, "queued", 800, 800),
    ],
)
def test_what_became_of_a_job(
    kinds: list[int], own: int, state: str, gpu_s: int, billed_s: int
) -> None:
    row = one_job(kinds, own)
    assert row["state"] == state
    assert row["gpu_s"] == gpu_s
    assert row["revenue_micro_eur"] == billed_s * 1_900_001 // 3600 or len(kinds) > 3
    first = header((0,), 2, 1).edges_ns[0]
    assert row["start_ns"] == (first if kinds else -1)
    ended = bool(kinds) and kinds[-1] in (FINISH, LIMIT)
    assert row["end_ns"] == (first + (len(kinds) - 1) * 100 * 10**9 if ended else -1)


def test_energy_of_a_job_is_its_accelerators_times_the_difference_of_two_readings() -> None:
    assert one_job([START, FINISH])["energy_wh"] == 8
    assert one_job([START, PAUSE, RESUME, FINISH])["energy_wh"] == 16
    assert one_job([START])["energy_wh"] == 80


# --- a book that does not balance ------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("import_wh", "energy in = energy out"),
        ("cooling_wh", "energy in = energy out"),
        ("day_ahead_wh", None),  # the imbalance takes it up
    ],
)
def test_a_meter_that_lies_is_found(what: str, where: str | None) -> None:
    of = header((0,), 3, 5)
    book, world = Book(of), World(of, 1)
    for period in range(3):
        facts = world.facts(period)
        facts.meter[0, METERS.index(what)] += 1 if period == 1 else 0
        book.tick(facts)
    book.close(world.energy)
    problems, _ = conservation(book)
    assert [p.field for p in problems] == ([where] if where else [])
    assert all("period 1" in p.why for p in problems)


def test_a_receipt_that_lies_is_found() -> None:
    book, _ = booked(header((0, 0), 8, 20), 5, 8)
    assert not conservation(book)[0]
    job = int(np.argmax(book.receipt[RECEIPT.index("energy_wh")]))
    book.receipt[RECEIPT.index("energy_wh"), job] -= book.segments + 2
    (problem,) = conservation(book)[0]
    assert problem.field == "energy_wh"


def test_accounts_name_what_is_paid() -> None:
    book, _ = booked(header((0,), 4, 5), 2, 4)
    names = account_table(book).column_names
    assert [n for n in names if n.startswith("paid.")] == [f"paid.{p}_micro_eur" for p in PAID]
