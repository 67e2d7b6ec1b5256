"""The access ledger: sums that add up, shares that were kept, carried over and capped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.policy import (
    AccessRow,
    Amounts,
    access_by,
    budget_refusal,
    concentration,
    exports,
    first_jobs,
    prove_quota,
    public_rows,
    roll_over,
    sectors,
    storage,
)

MONTHS = ("2025-01", "2025-02", "2025-03")
TENANTS = ("anna", "bert", "cora", "dirk")
USED = np.array([[10.0, 0.0, 20.0], [30.0, 30.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 0.0]])


def amounts(used: np.ndarray = USED, months: tuple[str, ...] = MONTHS) -> Amounts:
    return Amounts(
        TENANTS[: len(used)],
        months,
        requested_gpu_h=used * 3,
        granted_gpu_h=used * 2,
        used_gpu_h=used,
        waiting_gpu_h=used + 1,
    )


def test_sums_per_tenant_and_per_group() -> None:
    rows = access_by(amounts())
    assert [row.name for row in rows] == sorted(TENANTS)
    assert rows[0] == AccessRow("anna", 1, 90.0, 60.0, 30.0, 21.0)  # what waits is of March
    missions = access_by(amounts(), {"anna": "health", "cora": "health", "bert": ""})
    assert [(row.name, row.members, row.used_gpu_h) for row in missions] == [("health", 2, 40.0)]


@given(
    st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(st.sampled_from("xyz"), min_size=4, max_size=4),
)
def test_groups_hold_all_that_tenants_hold(used: list[list[int]], keys: list[str]) -> None:
    given_amounts = amounts(np.array(used, float))
    rows = access_by(given_amounts, dict(zip(TENANTS, keys, strict=True)))
    assert sum(row.used_gpu_h for row in rows) == float(np.sum(used))
    assert sum(row.members for row in rows) == len(used)


def row(name: str, members: int, used_gpu_h: float = 1.0) -> AccessRow:
    return AccessRow(name, members, used_gpu_h, used_gpu_h, used_gpu_h, 0.0)


def test_public_sums_are_of_three_or_more() -> None:
    assert public_rows([row("a", 3), row("b", 5)]) == (row("a", 3), row("b", 5))
    rest = public_rows([row("a", 5), row("b", 1, 2.0), row("c", 2, 3.0)])
    assert [(r.name, r.members, r.used_gpu_h) for r in rest] == [("a", 5, 1.0), ("other", 3, 5.0)]
    # one small group alone could be found from the total: the smallest of the others hides it
    rest = public_rows([row("a", 5), row("b", 4), row("c", 1)])
    assert [(r.name, r.members) for r in rest] == [("a", 5), ("other", 5)]
    assert public_rows([row("a", 1), row("b", 1)]) == ()
    assert public_rows([row("a", 1), row("b", 1)], members_min=2)[0].members == 2


@given(st.lists(st.integers(1, 6), max_size=7), st.integers(1, 5))
def test_no_public_row_is_small_nor_found_from_the_total(sizes: list[int], least: int) -> None:
    rows = [row(f"r{at}", size) for at, size in enumerate(sizes)]
    shown = public_rows(rows, least)
    assert all(one.members >= least for one in shown)
    missing = sum(sizes) - sum(one.members for one in shown)
    assert missing == 0 or not shown
    kept = {one.name for one in shown}
    assert all(one in shown for one in rows if one.name in kept)


def test_days_to_the_first_job() -> None:
    day_ns = 86_400 * 10**9
    rows = first_jobs({"b": 0, "a": day_ns, "c": 5}, {"a": 3 * day_ns, "b": day_ns // 2})
    assert [(one.name, one.days) for one in rows] == [("a", 2.0), ("b", 0.5), ("c", None)]


def test_concentration_is_herfindahls_and_exemptions_are_logged() -> None:
    found = concentration(amounts(), 0.70)
    assert (found.largest, found.largest_share) == ("bert", 0.6)
    assert found.herfindahl_ratio == pytest.approx(0.3**2 + 0.6**2 + 0.1**2)
    told = [(r.rule, r.value("tenant"), r.value("month")) for r in found.exemptions]
    assert told == [
        ("concentration_exempt", "bert", "2025-01"), ("concentration_exempt", "bert", "2025-02"),
        ("concentration_exempt", "anna", "2025-03"),
    ]  # fmt: skip
    assert concentration(amounts(), 1.0).exemptions == ()
    assert concentration(amounts(USED * 0), 0.5).largest == ""
    even = concentration(amounts(np.ones((4, 3))))
    assert even.herfindahl_ratio == pytest.approx(0.25)


def test_sectors_beside_their_targets() -> None:
    rows = sectors(amounts(), {"anna": "care", "bert": "chips"}, {"care": 0.3, "farms": 0.1})
    assert [(r.sector, r.used_gpu_h, r.met) for r in rows] == [
        ("care", 30.0, True), ("chips", 60.0, None), ("farms", 0.0, False),
    ]  # fmt: skip
    assert rows[0].used_share == pytest.approx(0.3)
    assert sectors(amounts(USED * 0), {"anna": "care"}, {"care": 0.3})[0].met is False


def test_exports_by_country() -> None:
    where = {"anna": "NL", "bert": "DE", "cora": "DE", "dirk": "US"}
    rows = exports(amounts(), where, {"anna": 9.0, "bert": 5.0, "cora": 2.0})
    assert [(r.country, r.in_eea, r.used_gpu_h, r.revenue_eur) for r in rows] == [
        ("DE", True, 70.0, 7.0), ("US", False, 0.0, 0.0),
    ]  # fmt: skip


def test_a_kept_and_an_undercut_share() -> None:
    kept, small, undercut = prove_quota(
        MONTHS, np.full(3, 100.0), np.array([150.0, 20.0, 90.0]), np.array([120.0, 20.0, 60.0])
    )
    assert (kept.undercut_gpu_h, kept.kept) == (0.0, True)
    assert small.kept
    assert (undercut.undercut_gpu_h, undercut.kept) == (30.0, False)


def test_what_is_unused_lapses_or_is_carried_over() -> None:
    year = tuple(f"2025-{month:02d}" for month in range(1, 8))
    own, used = np.full(7, 100.0), np.array([60.0, 110.0, 100.0, 0.0, 100.0, 100.0, 500.0])
    none = roll_over(year, own, used, "none")
    assert [(r.carried_in_gpu_h, r.lapsed_gpu_h) for r in none] == [
        (0.0, 40.0), (0.0, 0.0), (0.0, 0.0), (0.0, 100.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0),
    ]  # fmt: skip
    month = roll_over(year, own, used, "month")
    # January leaves 40: they are used first in February, which then leaves 30 of its own
    assert [r.carried_in_gpu_h for r in month] == [0.0, 40.0, 30.0, 30.0, 100.0, 100.0, 100.0]
    assert [r.lapsed_gpu_h for r in month] == [0.0, 0.0, 0.0, 30.0, 0.0, 0.0, 0.0]
    assert month[-1].used_gpu_h == 200.0  # the rest of the 500 is borrowed
    quarter = roll_over(year, own, used, "quarter")
    # what the first quarter leaves (30) is good until June, what April leaves until September
    assert [r.lapsed_gpu_h for r in quarter] == [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert quarter[3].carried_out_gpu_h == 130.0
    assert quarter[6].carried_in_gpu_h == 130.0
    with pytest.raises(AssertionError):
        roll_over(year, own, used, "year")


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 250)), min_size=1, max_size=30),
    st.sampled_from(["none", "month", "quarter"]),
    st.integers(0, 11),
)
def test_rolling_over_loses_and_makes_nothing(
    amounts_: list[tuple[int, int]], rule: str, first: int
) -> None:
    months = [
        f"{2025 + (first + n) // 12}-{(first + n) % 12 + 1:02d}" for n in range(len(amounts_))
    ]
    own = np.array([a for a, _ in amounts_], float)
    used = np.array([b for _, b in amounts_], float)
    rows = roll_over(months, own, used, rule)
    before = 0.0
    for one, mine, taken in zip(rows, own, used, strict=True):
        assert one.carried_in_gpu_h == before
        assert one.own_gpu_h + one.carried_in_gpu_h == (
            one.used_gpu_h + one.lapsed_gpu_h + one.carried_out_gpu_h
        )
        assert one.used_gpu_h == min(taken, mine + before)
        before = one.carried_out_gpu_h
    # naively: every hour has a last month, and the oldest go first
    ages: list[int] = []
    span = {"none": 0, "month": 1, "quarter": None}[rule]
    for n, (mine, taken) in enumerate(amounts_):
        last = n + span if span is not None else n + (5 - (first + n) % 3)
        ages = sorted([*ages, *[last] * mine])[taken:]
        assert rows[n].lapsed_gpu_h == sum(age <= n for age in ages)
        ages = [age for age in ages if age > n]


def test_storage_and_budgets_refuse_when_they_are_full() -> None:
    rows = storage({"anna": 2.0, "bert": 1.0}, {"anna": 0.5, "bert": 1.0, "cora": 0.1})
    assert [(r.tenant, r.free_pb, r.refusal is not None) for r in rows] == [
        ("anna", 1.5, False), ("bert", 0.0, True), ("cora", 0.0, True),
    ]  # fmt: skip
    assert rows[2].refusal is not None
    assert "0.1 PB of the 0 PB" in rows[2].refusal.text("en")
    assert "0,1 PB van de 0 PB" in rows[2].refusal.text("nl")
    assert budget_refusal("p", None, 1e9, 1e9) is None
    assert budget_refusal("p", 100.0, 60.0, 40.0) is None
    refusal = budget_refusal("p", 100.0, 60.0, 40.1)
    assert refusal is not None
    assert "60 of the 100 GPU-hours" in refusal.text("en")


def test_misshapen_amounts_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        Amounts(("a",), MONTHS, *[np.zeros((2, 3))] * 4)
    with pytest.raises(AssertionError):
        Amounts(("a",), MONTHS[::-1], *[np.zeros((1, 3))] * 4)
