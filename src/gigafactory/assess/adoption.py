"""Who is reached, and what came home: counts that may be published, hours against a baseline.

Public counts stop at aggregates of three or more tenants (Delegated Regulation (EU) 2024/1364,
Annex IV, has the same rule for data centres): a smaller cell is told as "fewer than three" and its
hours go to the rest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gigafactory.assess.indicators.base import dutch, share_where, use_of
from gigafactory.assess.indicators.economy import FIRMS
from gigafactory.assess.registers.people import load_baseline
from gigafactory.assess.subject import Subject
from gigafactory.factory import Tenant
from gigafactory.policy.tables import thresholds

#: The cell that takes what is too small to be told.
REST: Final = "other"


@dataclass(frozen=True, slots=True)
class Cell:
    """Tenants of one kind.

    Attributes:
        name: of the kind; `other` for those too few to be told apart.
        tenants: how many; None where there are fewer than the threshold.
        used_share: of all hours; None likewise.
    """

    name: str
    tenants: int | None
    used_share: float | None


@dataclass(frozen=True, slots=True)
class Adoption:
    """Adoption in counts that may be published.

    Attributes:
        firms: Dutch firms; None where fewer than the threshold.
        first_time: Dutch tenants that ran AI nowhere before; None likewise.
        by_field, by_group, by_country: cells.
        regions: None: the factory file knows no regions.
        least: the threshold.
    """

    firms: int | None
    first_time: int | None
    by_field: tuple[Cell, ...]
    by_group: tuple[Cell, ...]
    by_country: tuple[Cell, ...]
    regions: None
    least: int


def adoption(subject: Subject) -> Adoption:
    """Distinct firms, first-time users, fields, groups and countries of a subject's tenants."""
    tenants = subject.factory.tenants
    least = thresholds().members_min

    def public(count: int) -> int | None:
        return count if count == 0 or count >= least else None

    return Adoption(
        public(sum(dutch(one) and one.group in FIRMS for one in tenants)),
        public(sum(dutch(one) and "nowhere" in one.ran_before for one in tenants)),
        cells(subject, lambda one: one.field),
        cells(subject, lambda one: one.group),
        cells(subject, lambda one: one.country),
        None,
        least,
    )


def cells(subject: Subject, key: Callable[[Tenant], str]) -> tuple[Cell, ...]:
    """Tenants by a key; cells below the threshold go together into `other`.

    Where `other` itself would be too small, the next smallest cell goes into it too, so that nobody
    can be worked out from the total.
    """
    use, least = use_of(subject), thresholds().members_min
    names: dict[str, list[str]] = {}
    for one in subject.factory.tenants:
        names.setdefault(key(one), []).append(one.name)
    small = [name for name, members in names.items() if len(members) < least]
    big = sorted(set(names) - set(small), key=lambda name: (len(names[name]), name))
    while small and big and sum(len(names[name]) for name in small) < least:
        small.append(big.pop(0))
    out = []
    for name in sorted(big):
        who = set(names[name])
        part = share_where(subject, use, lambda one, who=who: one.name in who)  # type: ignore[misc]
        out.append(Cell(name, len(who), part))
    rest = {member for name in small for member in names[name]}
    if rest:
        enough = len(rest) >= least
        part = share_where(subject, use, lambda one: one.name in rest)
        out.append(Cell(REST, len(rest) if enough else None, part if enough else None))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Homecoming:
    """Accelerator-hours of a field that came home.

    Attributes:
        field: of work.
        moved_gpu_h: a year, at the run's pace; None without a run.
        moved_share: of the hours of the factory.
        baseline_gpu_h: a year, used elsewhere before; None where nobody counted.
        dated: day of that count.
        source: who counted.
        checked: whether that count was seen or read somewhere; an assumption is none.
    """

    field: str
    moved_gpu_h: float | None
    moved_share: float
    baseline_gpu_h: float | None
    dated: dt.date | None
    source: str
    checked: bool


def homecoming(subject: Subject, place: str) -> tuple[Homecoming, ...]:
    """Hours that ran at a place before and run here now, by field, against a dated baseline.

    A tenant that ran in several places counts for each in equal parts; fields of fewer tenants than
    may be told apart go together. Hours are those held,
    scaled from the days done to a year; they are not converted to the chips used before.

    Args:
        subject: the subject.
        place: `hyperscaler` or `abroad`.
    """
    use, least = use_of(subject), thresholds().members_min
    who = [one for one in subject.factory.tenants if place in one.ran_before and dutch(one)]
    fields = [one.field for one in who]
    moved: dict[str, float] = {}
    for one in who:
        field = one.field if fields.count(one.field) >= least else REST
        part = use.shares.get(one.name, 0.0) / len(one.ran_before)
        moved[field] = moved.get(field, 0.0) + part
    days = subject.figure("days_done")
    per_year = use.gpu_h * 365.0 / days if use.gpu_h is not None and days else None
    known = _baseline(subject, place)
    out = []
    for field, part in sorted(moved.items()):
        row = known.get(field)
        out.append(
            Homecoming(
                field,
                None if per_year is None else part * per_year,
                part,
                row[0] if row else None,
                row[1] if row else None,
                row[2] if row else "",
                bool(row and row[3]),
            )
        )
    return tuple(out)


def _baseline(subject: Subject, place: str) -> Mapping[str, tuple[float, dt.date, str, bool]]:
    register = load_baseline(subject)
    if register is None:
        return {}
    return {
        row.field: (
            row.gpu_h_per_year,
            register.dated,
            row.source.text,
            row.source.mark != "unverified",
        )
        for row in register.rows
        if row.where == place
    }


__all__ = ["REST", "Adoption", "Cell", "Homecoming", "adoption", "cells", "homecoming"]
