"""Random facts before the rules and before a naive reading of them, written without the room.

The oracle shares no code, no table and no figure with `gigafactory.policy`: it was written from
docs/explanation/access-and-rules.md.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.policy import (
    Approval,
    Document,
    Party,
    PoolFacts,
    ProjectFacts,
    TenantFacts,
    judge,
)
from tests.effort import examples

DAY = dt.date(2025, 6, 1)
EUROPE = "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEISITLILTLULVMTNLNOPLPTROSESISK"
EUROPE_CODES = {EUROPE[n : n + 2] for n in range(0, len(EUROPE), 2)}
PAPER = {
    "nl_company": "chamber_of_commerce", "knowledge_institute": "research_organisation",
    "start_up": "start_up_declaration", "sme": "sme_declaration", "large": "chamber_of_commerce",
    "public": "public_body", "export": "eu_establishment",
}  # fmt: skip
OWNERS = {"knowledge_institute", "start_up", "sme", "public"}
SHARES = {"reserved", "mission", "union_access"}


@dataclass(frozen=True)
class Answer:
    """What the naive reading says."""

    pools: tuple[str, ...]
    price_factor: float
    steps: int
    reserved: bool
    trial: bool


def on_paper(tenant: TenantFacts, kind: str) -> bool:
    return any(
        d.kind == kind and d.verified and d.issued <= DAY and (not d.expires or d.expires > DAY)
        for d in tenant.evidence
    )


def free_of_foreign_law(pool: PoolFacts) -> bool:
    everybody = [*pool.jurisdictions]
    everybody += [p.country for p in pool.parents] + [p.country for p in pool.suppliers]
    return len(pool.jurisdictions) > 0 and all(country in EUROPE_CODES for country in everybody)


def far(project: ProjectFacts, pool: PoolFacts) -> float:
    assert project.home_latitude_deg is not None
    assert project.home_longitude_deg is not None
    a, b = radians(project.home_latitude_deg), radians(pool.latitude_deg)
    c = radians(pool.longitude_deg - project.home_longitude_deg)
    chord = sqrt(sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(c / 2) ** 2)
    return project.user_distance_km + 12_742.0 * asin(chord)


def naive(
    tenant: TenantFacts, project: ProjectFacts, pools: list[PoolFacts], governed: bool
) -> Answer:
    used = {project.data_class, project.dataset_class}
    secret = "classified" in used or tenant.isolation == "classified"
    passed = {
        r.kind
        for r in project.reviews
        if r.approved <= DAY and (r.expires is None or r.expires > DAY)
    }
    shown = on_paper(tenant, PAPER[tenant.group])

    no = False
    if governed and project.job_class == "fine_tuning" and project.dataset_class == "":
        no = True
    if governed and tenant.mission == "health" and project.outcome == "":
        no = True
    if used & {"personal", "health"} and not {"privacy", "ethics"} <= passed:
        no = True
    if used & {"technical", "classified"} and "security" not in passed:
        no = True
    if project.ends is not None and project.ends <= DAY:
        no = True
    if secret and ("export" in (tenant.group, tenant.quota_kind)):
        no = True
    if secret and not on_paper(tenant, "clearance"):
        no = True
    if project.access == "fast_lane":
        no = no or tenant.group not in ("start_up", "sme") or not shown
        no = no or project.budget_gpu_h is None or not 0 < project.budget_gpu_h <= 50_000
        no = no or project.starts is None or project.ends is None
        if project.starts is not None and project.ends is not None:
            month = project.starts.month + 3
            year = project.starts.year + (month > 12)
            month -= 12 * (month > 12)
            last = dt.date(year, month, min(project.starts.day, 28 if month == 2 else 30))
            no = no or project.ends > last

    good = []
    for pool in pools:
        fits = not project.chips or pool.chip in project.chips
        fits = fits and secret == (pool.isolation == "classified")
        if project.residency == "nl":
            fits = fits and pool.country == "NL"
        if project.residency == "eea":
            fits = fits and pool.country in EUROPE_CODES
        if used & {"health", "trade_secret", "classified"}:
            fits = fits and free_of_foreign_law(pool)
        if project.latency_ms is not None:
            fits = fits and far(project, pool) * 1.5 / 100 + 5 <= project.latency_ms / 2
        if fits:
            good.append(pool.name)

    asks = tenant.group in OWNERS or tenant.quota_kind in SHARES or tenant.mission != ""
    entitled = shown or not governed
    price = 1.0
    if project.access == "fast_lane" and tenant.group in ("start_up", "sme") and entitled:
        price = 0.0
    elif entitled or not asks:
        price = 1.0 - tenant.discount_fraction
    live = project.job_class == "inference_realtime"
    up = governed and shown and not live and (tenant.mission or tenant.quota_kind == "union_access")
    return Answer(
        pools=() if no else tuple(good),
        price_factor=price,
        steps=1 if up else 0,
        reserved=tenant.quota_kind not in SHARES or entitled,
        trial=bool(
            governed and shown and not live and price > 0 and tenant.group in ("sme", "start_up")
        ),
    )


DAYS = st.sampled_from([-300, -1, 0, 1, 300]).map(lambda days: DAY + dt.timedelta(days=days))
MAYBE_DAYS = st.none() | DAYS
COUNTRIES = st.sampled_from(["NL", "DE", "NO", "US", "GB"])
KINDS = sorted({*PAPER.values(), "clearance"})
CLASSES = ["open", "internal", "personal", "health", "trade_secret", "technical", "classified"]
PARTIES = st.lists(st.builds(Party, st.just("p"), COUNTRIES), max_size=2).map(tuple)
REVIEWS = ("privacy", "ethics", "security")
T = TypeVar("T")


def mostly(draw: st.DrawFn, usual: T, other: st.SearchStrategy[T]) -> T:
    """The usual value three times in four: one odd fact alone is what shows a rule."""
    return draw(other) if draw(st.sampled_from([False, False, False, True])) else usual


def paper(draw: st.DrawFn, kind: str) -> Document:
    """A document that counts, or one with something wrong."""
    return Document(
        kind,
        "paper",
        mostly(draw, DAY, DAYS),
        mostly(draw, None, MAYBE_DAYS),
        mostly(draw, True, st.booleans()),
    )


@st.composite
def tenants(draw: st.DrawFn) -> TenantFacts:
    group = draw(st.sampled_from(sorted(PAPER)))
    kinds = mostly(draw, [PAPER[group], "clearance"], st.lists(st.sampled_from(KINDS), max_size=3))
    return TenantFacts(
        name="t",
        group=group,
        country=draw(COUNTRIES),
        mission=draw(st.sampled_from(["", "", "health", "security"])),
        quota_kind=draw(st.sampled_from(["", "commercial", "export", *sorted(SHARES)])),
        discount_fraction=draw(st.sampled_from([0.0, 0.25, 1.0])),
        isolation=mostly(draw, "shared", st.sampled_from(["dedicated_nodes", "classified"])),
        evidence=tuple(paper(draw, kind) for kind in kinds),
        parents=draw(PARTIES),
    )


@st.composite
def projects(draw: st.DrawFn) -> ProjectFacts:
    classes = ["frontier_training", "research", "fine_tuning", "inference_batch"]
    live = draw(st.booleans())
    kinds = mostly(draw, list(REVIEWS), st.lists(st.sampled_from(REVIEWS), max_size=3))
    starts = mostly(draw, dt.date(2025, 5, 28), st.none() | st.just(dt.date(2024, 11, 30)))
    term = st.sampled_from([1, 3, 4, 80, 89, 90, 91, 92, 93, 94, 200])
    ends = None if starts is None else starts + dt.timedelta(days=draw(term))
    latency = st.sampled_from([9.0, 10.0, 15.0, 40.0, 100.0])
    return ProjectFacts(
        name="p",
        job_class="inference_realtime" if live else draw(st.sampled_from(classes)),
        access=draw(st.sampled_from(["pay_as_you_go", "fast_lane"])),
        data_class=draw(st.sampled_from(CLASSES)),
        residency=draw(st.sampled_from(["any", "eea", "nl"])),
        dataset_class=mostly(draw, "internal", st.sampled_from(["", *CLASSES])),
        reviews=tuple(
            Approval(kind, mostly(draw, DAY, DAYS), mostly(draw, None, MAYBE_DAYS))
            for kind in kinds
        ),
        outcome=mostly(draw, "something", st.just("")),
        chips=mostly(draw, (), st.sampled_from([("A",), ("A", "B")])),
        budget_gpu_h=mostly(draw, 50_000.0, st.sampled_from([None, 1.0, 50_001.0])),
        starts=starts,
        ends=mostly(draw, ends, st.none()),
        latency_ms=mostly(draw, 500.0, latency) if live else None,
        user_distance_km=mostly(draw, 0.0, st.sampled_from([1000.0, 2000.0, 3000.0, 4000.0])),
        home_latitude_deg=52.0,
        home_longitude_deg=5.0,
    )


@st.composite
def pools(draw: st.DrawFn, name: str) -> PoolFacts:
    return PoolFacts(
        name=name,
        site="s",
        country=mostly(draw, "NL", COUNTRIES),
        latitude_deg=mostly(draw, 52.0, st.floats(-60.0, 70.0)),
        longitude_deg=mostly(draw, 5.0, st.floats(-180.0, 180.0)),
        chip=draw(st.sampled_from("ABC")),
        accelerators=100,
        isolation=draw(st.sampled_from(["shared", "shared", "classified"])),
        jurisdictions=mostly(draw, ("NL",), st.sampled_from([("NL", "US"), ()])),
        parents=mostly(draw, (Party("h", "DE"),), PARTIES),
        suppliers=mostly(draw, (), st.just((Party("q", "US"),))),
    )


@settings(max_examples=examples(1000), deadline=None)
@given(tenants(), projects(), pools("a"), pools("b"), st.booleans())
def test_the_rules_say_what_the_naive_reading_says(
    tenant: TenantFacts, project: ProjectFacts, one: PoolFacts, other: PoolFacts, governed: bool
) -> None:
    found = judge(tenant, project, [one, other], DAY, governed=governed)
    assert naive(tenant, project, [one, other], governed) == Answer(
        pools=found.pools,
        price_factor=found.price_factor,
        steps=found.priority_change,
        reserved=found.reserved,
        trial=found.free_gpu_h > 0,
    )
    # a project that may not run always hears why, and each pool that bars it says so
    assert bool(found.pools) == found.admitted
    assert all(reason.kind == "refusal" for reason in (*found.refusals, *found.barred))
    assert all(reason.kind == "incentive" for reason in found.incentives)
    assert all(found.sentences(lang) for lang in ("en", "nl")) or found.admitted
    assert judge(tenant, project, [one, other], DAY, governed=governed) == found


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(tenants(), projects(), pools("a"), st.booleans())
def test_nothing_changes_before_the_day_it_says(
    tenant: TenantFacts, project: ProjectFacts, pool: PoolFacts, governed: bool
) -> None:
    found = judge(tenant, project, [pool], DAY, governed=governed)
    until = found.changes_on or DAY + dt.timedelta(days=2000)
    for days in (1, 30, (until - DAY).days - 1):
        day = DAY + dt.timedelta(days=days)
        if DAY < day < until:
            later = judge(tenant, project, [pool], day, governed=governed)
            assert (later.pools, later.price_factor, later.reserved) == (
                found.pools,
                found.price_factor,
                found.reserved,
            )
            assert later.refusals == found.refusals
