"""What ends: a project's term, its budget, its tenant's share; and what is carried over.

A project is *closed* on a day when it has not begun, has ended, or when a rule refuses it then.
Dates stand in the file, so this is said for a whole stretch of days beforehand; what has been used
comes in as a number. Nothing here knows a run or a scheduler.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gigafactory.policy.facts import PoolFacts, ProjectFacts, TenantFacts
from gigafactory.policy.judge import Verdict, judge, months_later
from gigafactory.policy.quotas import QuotaTree
from gigafactory.policy.rules import Reason
from gigafactory.policy.tables import access_modes


@dataclass(frozen=True, slots=True)
class Spell:
    """Days on which the rules say the same of a project or service.

    Attributes:
        begins: first of them.
        verdict: what the rules say on it.
        refusal: why nothing of it may start on these days; None where it may.
    """

    begins: dt.date
    verdict: Verdict
    refusal: Reason | None


def term_over(project: ProjectFacts) -> tuple[dt.date, Reason] | None:
    """First day after a project's term and what is said then; None for no end.

    The end it states, or the longest term of its access mode counted from its start, whichever is
    earlier. (A mode asks for both days, so a project without an end is refused before that.)
    """
    over: list[tuple[dt.date, Reason]] = []
    if project.ends is not None:
        over.append(
            (project.ends, Reason.of("project_over", project=project.name, day=project.ends))
        )
    mode = access_modes()[project.access]
    if mode.is_granted and project.starts is not None:
        day = months_later(project.starts, mode.longest_months)
        fields = {"project": project.name, "mode": mode.name, "day": day}
        over.append((day, Reason.of("term_over", **fields, months=mode.longest_months)))
    return min(over, key=lambda end: end[0], default=None)


def closed(project: ProjectFacts, verdict: Verdict, on: dt.date) -> Reason | None:
    """Why nothing of a project may start on a day, by the verdict of that day; None if it may."""
    if project.starts is not None and on < project.starts:
        return Reason.of("project_not_started", project=project.name, day=project.starts)
    if verdict.refusals:
        return verdict.refusals[0]
    over = term_over(project)
    return over[1] if over is not None and on >= over[0] else None


def spells(
    tenant: TenantFacts,
    project: ProjectFacts,
    pools: Sequence[PoolFacts],
    first: dt.date,
    last: dt.date,
    *,
    governed: bool = True,
) -> tuple[Spell, ...]:
    """What the rules say of a project from day to day, as spells of equal days, ascending.

    Args:
        tenant: who asks.
        project: what is asked.
        pools: where it might run.
        first: first day.
        last: last day, not before the first.
        governed: the factory states rules of access (see `judge`).
    """
    found: list[Spell] = []
    over = term_over(project)
    day: dt.date | None = first
    while day is not None and day <= last:
        verdict = judge(tenant, project, pools, day, governed=governed)
        found.append(Spell(day, verdict, closed(project, verdict, day)))
        turns = (verdict.changes_on, project.starts, None if over is None else over[0])
        day = min((turn for turn in turns if turn is not None and turn > day), default=None)
    return tuple(found)


# --- budgets -------------------------------------------------------------------------------------


def budget_of(project: ProjectFacts) -> float | None:
    """Accelerator-hours granted: what it states, else the most its access mode grants.

    None for no limit. (A mode that grants hours asks for a stated budget, so one that states none
    is refused before its mode's figure matters.)
    """
    if project.budget_gpu_h is not None:
        return project.budget_gpu_h
    return access_modes()[project.access].most_gpu_h


def budget_spent(project: str, budget_gpu_h: float, used_gpu_h: float) -> Reason | None:
    """Why nothing more of a project starts, once what it used reaches its budget; else None."""
    if used_gpu_h < budget_gpu_h:
        return None
    return Reason.of(
        "budget_spent", project=project, used_gpu_h=used_gpu_h, budget_gpu_h=budget_gpu_h
    )


# --- shares that change --------------------------------------------------------------------------


def raises(
    carried_gpu_h: Sequence[float], month_gpu_h: float, node_size: int, free: int
) -> tuple[int, ...]:
    """By how much the shares of groups are raised for a month, in accelerators.

    What a group carries over the hours of the month, rounded down to whole nodes, as far as
    accelerators are promised to nobody; groups are served in their order.

    Args:
        carried_gpu_h: accelerator-hours each group carries into the month.
        month_gpu_h: hours of the month, times one accelerator.
        node_size: accelerators in a node.
        free: accelerators that are promised to nobody.
    """
    found = []
    for carried in carried_gpu_h:
        wanted = int(carried / month_gpu_h / node_size + 1e-9) * node_size
        found.append(min(wanted, free // node_size * node_size))
        free -= found[-1]
    return tuple(found)


def promised_to_nobody(tree: QuotaTree) -> int:
    """Accelerators of a pool that no group and no tenant beside the groups has of its own."""
    given = sum(own for own, above in zip(tree.nominal, tree.parent, strict=True) if above == 0)
    return tree.nominal[0] - given


def shares_now(
    stated: QuotaTree,
    laid: QuotaTree,
    lost: Collection[str],
    raised: Mapping[int, int],
    node_size: int,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Nominal quotas and what is lent of them, for every node of a pool's tree as it stands.

    A tenant that lost its right has nothing of its own. One that hung on the pool when the run
    began (it had no papers then) and has its right back gets its own from its group, so nothing is
    promised twice. A raise is lent in full.

    Args:
        stated: the tree of the file, everybody with papers.
        laid: the tree as it was laid out when the run began; its shape stays.
        lost: tenants without a right to their share now.
        raised: accelerators by which nodes are raised, by number of the node.
        node_size: accelerators in a node.
    """
    nominal, lend = list(stated.nominal), list(stated.lend)
    for name, leaf in zip(stated.tenants, stated.tenant_node, strict=True):
        if name in lost:
            nominal[leaf] = lend[leaf] = 0
        elif laid.parent[leaf] != stated.parent[leaf]:
            group = stated.parent[leaf]
            nominal[group] -= nominal[leaf]
            part = stated.lend[group] * nominal[group] // max(stated.nominal[group], 1)
            lend[group] = part // node_size * node_size
    for node, more in raised.items():
        nominal[node] += more
        lend[node] += more
    return tuple(nominal), tuple(lend)


# --- reasons as plain data -----------------------------------------------------------------------


def plain(reason: Reason) -> dict[str, Any]:
    """A reason as JSON holds it: the rule, its particulars, and those that are days as text."""
    fields = dict(reason.fields)
    days = {name: day.isoformat() for name, day in fields.items() if isinstance(day, dt.date)}
    rest = {name: value for name, value in fields.items() if name not in days}
    return {"rule": reason.rule, "fields": rest, "days": days}


def from_plain(data: Mapping[str, Any]) -> Reason:
    """Read back what `plain` gave."""
    days = {name: dt.date.fromisoformat(text) for name, text in data["days"].items()}
    return Reason.of(data["rule"], **data["fields"], **days)
