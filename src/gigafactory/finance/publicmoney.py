"""What public money comes to in use: hours, firms and research per euro, for every grant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gigafactory.finance.base import Base
from gigafactory.finance.levers import Levers
from gigafactory.finance.years import play


@dataclass(frozen=True, slots=True)
class Spillover:
    """A grant and what it comes to.

    Attributes:
        name: of the grant.
        title: by language.
        granted: whether the plan counts it.
        amount_eur: over the years.
        bought_gpu_h: hours it buys for others than paying customers.
        group_gpu_h_per_year: hours of the groups it is meant for, in a full year; without a run
            their share is not known and this is nought.
        firms: distinct tenants in these groups.
        programmes: research programmes among the tenants.
        bought_gpu_h_per_eur: hours bought per euro.
        group_gpu_h_per_eur: hours of these groups over the years of operation, per euro.
        firms_per_meur: tenants per million euro.
        research_eur_per_eur: what research pays for compute over these years, per euro.
        counted: whether the hours of groups were counted by a run.
    """

    name: str
    title: Mapping[str, str]
    granted: bool
    amount_eur: float
    bought_gpu_h: float
    group_gpu_h_per_year: float
    firms: int
    programmes: int
    bought_gpu_h_per_eur: float
    group_gpu_h_per_eur: float
    firms_per_meur: float
    research_eur_per_eur: float
    counted: bool


def spillovers(base: Base) -> list[Spillover]:
    """Every grant of the plan, whether it counts or stands there as a scenario."""
    found = []
    for grant in base.plan.grants:
        course = play(base, Levers(granted=(grant.name,)))
        amount = float(course.operating.grants[grant.name].sum()) / 100.0
        o = course.operating
        start = o.building_years
        first = o.sold_gpu_h[0, start : start + grant.access_years].sum()
        bought = float(first) * grant.buys_access
        occupied = float(o.sold_gpu_h.sum()) / base.sold_gpu_h  # full years' worth of operation
        hours = sum(base.spillover_gpu_h.get(group, 0.0) for group in grant.groups)
        firms = sum(base.firms.get(group, 0) for group in grant.groups)
        segments = {s.name for s in base.plan.segments if {"knowledge_institute"} & set(s.groups)}
        research = sum(
            float(cents.sum()) / 100.0
            for sale, cents in zip(base.sales, o.revenue, strict=True)
            if sale.segment in segments
        )
        euro = amount or float("nan")
        found.append(
            Spillover(
                name=grant.name,
                title={"en": grant.title.en, "nl": grant.title.nl},
                granted=grant.granted,
                amount_eur=amount,
                bought_gpu_h=bought,
                group_gpu_h_per_year=hours,
                firms=firms,
                programmes=base.programmes,
                bought_gpu_h_per_eur=bought / euro,
                group_gpu_h_per_eur=hours * occupied / euro,
                firms_per_meur=firms / euro * 1e6,
                research_eur_per_eur=research / euro,
                counted=bool(base.spillover_gpu_h),
            )
        )
    return found


__all__ = ["Spillover", "spillovers"]
