"""What ends and what is carried over: spells of equal days, budgets, shares that change."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.policy import (
    Approval,
    Document,
    GroupShare,
    PoolFacts,
    ProjectFacts,
    QuotaTree,
    Reason,
    TenantFacts,
    TenantShare,
    compile_quotas,
    judge,
    roll_over,
)
from gigafactory.policy.limits import (
    budget_of,
    budget_spent,
    closed,
    from_plain,
    plain,
    promised_to_nobody,
    raises,
    shares_now,
    spells,
    term_over,
)
from tests.effort import examples

FIRST, LAST = dt.date(2025, 1, 1), dt.date(2025, 12, 31)
POOL = PoolFacts("p", "s", "NL", 52.0, 5.0, "A", 100, jurisdictions=("NL",))
DAYS = st.dates(dt.date(2024, 11, 1), dt.date(2026, 2, 1))


@st.composite
def asked(draw: st.DrawFn) -> tuple[TenantFacts, ProjectFacts]:
    """A small firm and its project, with dates anywhere around the year."""
    issued = draw(st.lists(DAYS, max_size=2))
    expires = st.none() | DAYS
    tenant = TenantFacts(
        name="t",
        group="sme",
        country="NL",
        quota_kind=draw(st.sampled_from(["reserved", "commercial"])),
        evidence=tuple(Document("sme_declaration", "x", one, draw(expires)) for one in issued),
    )
    project = ProjectFacts(
        name="p",
        job_class="research",
        access=draw(st.sampled_from(["pay_as_you_go", "fast_lane"])),
        data_class=draw(st.sampled_from(["internal", "technical"])),
        reviews=tuple(
            Approval("security", one, draw(expires)) for one in draw(st.lists(DAYS, max_size=2))
        ),
        budget_gpu_h=draw(st.none() | st.just(1000.0)),
        starts=draw(st.none() | DAYS),
        ends=draw(st.none() | DAYS),
    )
    return tenant, project


@settings(max_examples=examples(200))
@given(asked())
def test_spells_say_for_every_day_what_its_own_verdict_says(
    case: tuple[TenantFacts, ProjectFacts],
) -> None:
    tenant, project = case
    found = spells(tenant, project, [POOL], FIRST, LAST)
    begins = [spell.begins for spell in found]
    assert begins[0] == FIRST
    assert begins == sorted(set(begins))
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + dt.timedelta(days=number)
        spell = [one for one in found if one.begins <= day][-1]
        verdict = judge(tenant, project, [POOL], day)
        assert closed(project, verdict, day) == spell.refusal
        mine, its = spell.verdict, verdict
        assert (mine.price_factor, mine.reserved, mine.priority_change) == (
            its.price_factor, its.reserved, its.priority_change,
        )  # fmt: skip
        if project.starts is not None and day < project.starts:
            assert spell.refusal is not None
            assert spell.refusal.rule == "project_not_started"
        if project.ends is not None and day >= project.ends:
            assert spell.refusal is not None
        assert (spell.refusal is None) <= verdict.admitted


def test_the_earlier_of_the_stated_end_and_the_longest_term_ends_a_project() -> None:
    own = ProjectFacts("p", "research", ends=dt.date(2025, 5, 1))
    assert term_over(own) == (
        dt.date(2025, 5, 1), Reason.of("project_over", project="p", day=dt.date(2025, 5, 1)),
    )  # fmt: skip
    assert term_over(ProjectFacts("p", "research")) is None
    # three months at most in the fast lane, from the last of November
    lane = ProjectFacts("p", "research", access="fast_lane", starts=dt.date(2025, 11, 30))
    over = term_over(lane)
    assert over is not None
    assert (over[0], over[1].rule) == (dt.date(2026, 2, 28), "term_over")
    assert "28 February 2026" in over[1].text("en")
    assert "Snelle baan" in over[1].text("nl")
    long = ProjectFacts(
        "p", "research", access="fast_lane", starts=dt.date(2025, 1, 1), ends=dt.date(2026, 1, 1)
    )
    over = term_over(long)
    assert over is not None
    assert over[0] == dt.date(2025, 4, 1)


def test_a_budget_is_the_stated_one_or_the_most_of_its_mode() -> None:
    assert budget_of(ProjectFacts("p", "research")) is None
    assert budget_of(ProjectFacts("p", "research", budget_gpu_h=7.0)) == 7.0
    assert budget_of(ProjectFacts("p", "research", access="playground")) == 5000.0
    assert budget_of(ProjectFacts("p", "research", access="large_scale")) is None
    assert budget_of(ProjectFacts("p", "research", access="fast_lane", budget_gpu_h=9.0)) == 9.0


@pytest.mark.parametrize(("used", "spent"), [(0.0, False), (99.9, False), (100.0, True)])
def test_a_budget_is_spent_when_it_is_reached(used: float, spent: bool) -> None:
    found = budget_spent("p", 100.0, used)
    assert (found is not None) is spent
    if found is not None:
        assert "100 of the 100 GPU-hours" in found.text("en")
        assert "100 van de 100 toegekende GPU-uren" in found.text("nl")


# --- shares --------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(
    st.lists(st.floats(0.0, 1e6), max_size=6), st.sampled_from([672.0, 743.0, 744.0]),
    st.sampled_from([1, 4, 8, 72]), st.integers(0, 5000),
)  # fmt: skip
def test_raises_are_whole_nodes_within_what_nobody_was_promised(
    carried: list[float], month_h: float, size: int, free: int
) -> None:
    found = raises(carried, month_h, size, free)
    assert len(found) == len(carried)
    assert sum(found) <= free
    left = free
    for hours, more in zip(carried, found, strict=True):
        assert more % size == 0
        assert 0 <= more * month_h <= hours * (1 + 1e-9) + 1e-6
        # served in order, and short only where nothing is left or less than a node is due
        assert more + size > min(hours / month_h, left) or more + size > left
        left -= more


def tree_of(lost: tuple[str, ...] = (), lending: float = 1.0) -> QuotaTree:
    """Half of a hundred nodes is a reserve of two, a fifth is a firm's, the rest is nobody's."""
    tenants = [
        TenantShare("a", None if "a" in lost else "reserve", 0.0 if "a" in lost else 0.3),
        TenantShare("b", "reserve", 0.1),
        TenantShare("firm", None, 0.2),
    ]
    return compile_quotas([GroupShare("reserve", 0.5, lending)], tenants, 800, 8)


def test_a_share_is_lost_with_the_papers_and_comes_back_with_them() -> None:
    stated = tree_of()
    assert promised_to_nobody(stated) == 240
    nominal, lend = shares_now(stated, stated, (), {}, 8)
    assert (nominal, lend) == (stated.nominal, stated.lend)
    nominal, _ = shares_now(stated, stated, {"a"}, {}, 8)
    assert nominal == (800, 400, 0, 80, 160), "its group keeps what it was promised"
    # without papers when the run began it hung on the pool, with nothing
    laid = tree_of(("a",))
    nominal, _ = shares_now(stated, laid, {"a"}, {}, 8)
    assert nominal == (800, 400, 0, 80, 160)
    nominal, lend = shares_now(tree_of(lending=0.5), laid, (), {}, 8)
    assert nominal == (800, 160, 240, 80, 160), "its own comes from its group"
    assert lend[1] == 80
    assert sum(n for n, above in zip(nominal, laid.parent, strict=True) if above == 0) <= 800


def test_a_raise_is_lent_in_full() -> None:
    stated = tree_of(lending=0.5)
    nominal, lend = shares_now(stated, stated, (), {1: 64}, 8)
    assert (nominal[1], lend[1]) == (464, 200 + 64)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 2e5)), min_size=1, max_size=14),
    st.sampled_from(["none", "month", "quarter"]),
)
def test_no_hour_is_given_back_twice(amounts: list[tuple[float, float]], rule: str) -> None:
    """Whatever is raised, a group is never given more than what it left and what is still good."""
    months = [f"{2025 + m // 12}-{m % 12 + 1:02d}" for m in range(len(amounts))]
    reserved, used = (np.array(one) for one in zip(*amounts, strict=True))
    rows = roll_over(months, reserved, used, rule)
    given_h = sum(row.carried_out_gpu_h for row in rows[-1:])
    left_h = float(np.maximum(reserved - used, 0.0).sum())
    assert given_h <= left_h + 1e-6
    if rule == "none":
        assert given_h == 0.0


@given(st.dates(), st.floats(0, 1e9), st.text(max_size=5))
def test_a_reason_survives_as_plain_data(day: dt.date, hours: float, name: str) -> None:
    for reason in (
        Reason.of("project_over", project=name, day=day),
        Reason.of("budget_spent", project=name, used_gpu_h=hours, budget_gpu_h=hours),
    ):
        assert from_plain(json.loads(json.dumps(plain(reason)))) == reason
