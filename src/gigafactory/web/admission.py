"""Whether a job may be handed in: the rules of access, and whether it can ever run.

The rules are those a simulated run is judged by (`gigafactory.policy.judge`), and a refusal says
which one, in words a tenant can read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gigafactory.engine.errors import Problem
from gigafactory.factory.models import Factory, Pool, Tenant
from gigafactory.factory.rights import (
    is_governed,
    pool_facts,
    project_facts,
    quota_tree,
    tenant_facts,
)
from gigafactory.plant import Chip
from gigafactory.policy import QuotaTree
from gigafactory.policy.facts import PoolFacts, ProjectFacts, TenantFacts
from gigafactory.policy.judge import Verdict, judge
from gigafactory.policy.rules import Reason
from gigafactory.runtime.apisettings import ApiSettings
from gigafactory.units import S_PER_H
from gigafactory.web.shapes import Submission

#: In a body: the hash of what was asked and what was answered, for a request that is repeated.
ANSWER: Final = "answer"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job that may be handed in.

    Attributes:
        body: what the store keeps: the fields of `jobs.WorkOrder` without key and tenant.
        told: what the tenant should know, in sentences.
        cost_max_eur: its price at list prices if it takes all the time it asks for.
    """

    body: dict[str, Any]
    told: tuple[str, ...]
    cost_max_eur: float


@dataclass(frozen=True, slots=True)
class _Place:
    pool: Pool
    chip: Chip
    tree: QuotaTree
    most: Mapping[str, int]


class Admission:
    """The rules of a factory, ready to be asked; verdicts are kept for the day they hold on."""

    def __init__(
        self, factory: Factory, catalogue: Mapping[str, Chip], settings: ApiSettings
    ) -> None:
        self._factory = factory
        self._settings = settings
        self._governed = is_governed(factory)
        self._pools: tuple[PoolFacts, ...] = pool_facts(factory, catalogue)
        self._tenants = {one.name: one for one in factory.tenants}
        self._facts: dict[str, TenantFacts] = {
            one.name: tenant_facts(factory, one) for one in factory.tenants
        }
        self._projects = {
            one.name: {p.name: p for p in project_facts(factory, one)[: len(one.work)]}
            for one in factory.tenants
        }
        self._places = {pool.name: self._place(pool, catalogue) for pool in factory.fleet}
        self._judged: dict[tuple[str, ProjectFacts, dt.date], Verdict] = {}

    def _place(self, pool: Pool, catalogue: Mapping[str, Chip]) -> _Place:
        tree = quota_tree(self._factory, pool, catalogue)
        most = {name: tree.most(i, pool.accelerators) for i, name in enumerate(tree.tenants)}
        return _Place(pool, catalogue[pool.chip], tree, most)

    def quota(self, tenant: str) -> list[dict[str, Any]]:
        """What a tenant has of its own in each pool, and the most it may hold, in accelerators."""
        found = []
        for name, place in self._places.items():
            node = place.tree.tenant_node[place.tree.tenants.index(tenant)]
            group = place.tree.parent[node]
            found.append(
                {
                    "pool": name,
                    "chip": place.pool.chip,
                    "node_size": place.chip.node_size,
                    "own_accelerators": place.tree.nominal[node],
                    "group": place.tree.names[group],
                    "group_accelerators": place.tree.nominal[group] if group else 0,
                    "most_accelerators": place.most[tenant],
                }
            )
        return found

    def projects(self, tenant: str) -> list[dict[str, Any]]:
        """The projects of a tenant with the accelerator-hours granted to each."""
        return [
            {
                "project": one.name,
                "job_class": one.job_class,
                "data_class": one.data_class,
                "budget_gpu_h": one.budget_gpu_h,
                "starts": one.starts.isoformat() if one.starts else None,
                "ends": one.ends.isoformat() if one.ends else None,
            }
            for one in self._projects[tenant].values()
        ]

    def consider(self, tenant: str, asked: Submission, on: dt.date) -> Admitted | list[Problem]:
        """Whether a job may be handed in on a day; every problem found when it may not."""
        known = self._tenants.get(tenant)
        if known is None:
            return [Problem("body", "tenant", tenant, "is no tenant of this factory any more")]
        problems = self._limits(asked)
        project = self._project(known, asked, problems)
        if project is None:
            return problems
        verdict = self._verdict(tenant, project, on)
        if verdict.refusals or (asked.pool and asked.pool not in verdict.pools):
            problems += self._refusals(verdict, asked)
        if project.starts is not None and on < project.starts:
            fields = {"project": project.name, "day": project.starts}
            early = Reason.of("project_not_started", **fields)
            problems.append(Problem("body", f"rule.{early.rule}", "", early.text()))
        priority = verdict.priority(self._factory.policy.priority[asked.job_class])
        if asked.priority is not None and asked.priority > priority:
            why = f"is above that of its class, {priority}; a tenant may only go lower"
            problems.append(Problem("body", "priority", str(asked.priority), why))
        place = self._home(tenant, asked, verdict, problems) if not problems else None
        if place is None:
            return problems
        told = tuple(reason.text() for reason in verdict.flags)
        cost = self._cost_max_eur(asked, place, verdict)
        answer = {"asked": digest(asked), "told": list(told), "cost_max_eur": cost}
        body = self._body(asked, place, priority) | {ANSWER: answer}
        return Admitted(body, told, cost)

    def _limits(self, asked: Submission) -> list[Problem]:
        problems = []
        most_kb = self._settings.limits.script_kb
        size = len(asked.script.encode())
        if size > most_kb * 1024:
            why = f"has {size} bytes; at most {most_kb * 1024} are taken. Keep data in storage"
            problems.append(Problem("body", "script", "", why))
        if not asked.script.startswith("#!"):
            why = 'must begin with the line that names its shell, such as "#!/bin/sh"'
            problems.append(Problem("body", "script", asked.script[:20], why))
        if "\x00" in asked.script:
            problems.append(Problem("body", "script", "", "holds a byte 0; a script is text"))
        most_s = self._settings.walltime_max_s
        if asked.walltime_s > most_s:
            why = f"is longer than a job may run: at most {most_s:.0f} s ({most_s / S_PER_H:g} h)"
            problems.append(Problem("body", "walltime_s", str(asked.walltime_s), why))
        if asked.accelerators_min > asked.accelerators:
            why = f"must be at most accelerators ({asked.accelerators}), or 0 for a rigid job"
            problems.append(Problem("body", "accelerators_min", str(asked.accelerators_min), why))
        if asked.pool and asked.pool not in self._places:
            why = f"is no pool of this factory; known: {', '.join(self._places)}"
            problems.append(Problem("body", "pool", asked.pool, why))
        return problems

    def _project(
        self, tenant: Tenant, asked: Submission, problems: list[Problem]
    ) -> ProjectFacts | None:
        """The project a job belongs to, with what the job says of its data put in."""
        projects = self._projects[tenant.name]
        if asked.project:
            found = projects.get(asked.project)
            if found is None:
                known = ", ".join(projects) or "none"
                why = f"is no project of yours; known: {known}"
                problems.append(Problem("body", "project", asked.project, why))
                return None
            if found.job_class != asked.job_class:
                why = f"does not belong to the project, whose class is {found.job_class}"
                problems.append(Problem("body", "job_class", asked.job_class, why))
                return None
        else:
            fitting = [one for one in projects.values() if one.job_class == asked.job_class]
            found = fitting[0] if fitting else ProjectFacts(tenant.name, asked.job_class)
        most = found.accelerators_max
        if most is not None and asked.accelerators > most:
            why = f"is more than the largest gang of the project {found.name}, {most}"
            problems.append(Problem("body", "accelerators", str(asked.accelerators), why))
        return replace(
            found,
            data_class=asked.data_class or found.data_class,
            residency=asked.residency or found.residency,
        )

    def _verdict(self, tenant: str, project: ProjectFacts, on: dt.date) -> Verdict:
        key = (tenant, project, on)
        found = self._judged.get(key)
        if found is None:
            if len(self._judged) > 10_000:
                self._judged.clear()
            facts = self._facts[tenant]
            found = judge(facts, project, self._pools, on, governed=self._governed)
            self._judged[key] = found
        return found

    @staticmethod
    def _refusals(verdict: Verdict, asked: Submission) -> list[Problem]:
        """The rules that stand in the way, each by its name and as a sentence."""
        found = [*verdict.refusals]
        if not verdict.pools or asked.pool:
            found += [one for one in verdict.barred if asked.pool in {"", one_pool(one.fields)}]
        return [Problem("body", f"rule.{one.rule}", "", one.text()) for one in found]

    def _home(
        self, tenant: str, asked: Submission, verdict: Verdict, problems: list[Problem]
    ) -> _Place | None:
        """The first pool of those it may run on, in the order of the factory, in which it fits."""
        against = []
        for name in verdict.pools:
            if asked.pool and name != asked.pool:
                continue
            place = self._places[name]
            why = self._unfit(tenant, asked, place)
            if not why:
                return place
            against.append(f"{name}: {why}")
        problems.append(
            Problem("body", "accelerators", str(asked.accelerators), "; ".join(against))
        )
        return None

    @staticmethod
    def _unfit(tenant: str, asked: Submission, place: _Place) -> str:
        chip, size = place.chip, place.chip.node_size
        if asked.job_class not in chip.work_w:
            return f"its accelerators ({chip.name}) cannot do {asked.job_class}"
        if asked.accelerators > place.pool.accelerators:
            return f"it has {place.pool.accelerators} accelerators"
        if asked.accelerators > place.most[tenant]:
            return f"by caps and shares kept for others you hold at most {place.most[tenant]} there"
        if asked.accelerators > size and asked.accelerators % size:
            return f"more than a node ({size}) must be whole nodes, a multiple of {size}"
        return ""

    @staticmethod
    def _body(asked: Submission, place: _Place, priority: int) -> dict[str, Any]:
        size = place.chip.node_size
        return {
            "job_class": asked.job_class,
            "accelerators": asked.accelerators,
            "nodes": asked.accelerators // size if asked.accelerators >= size else 0,
            "walltime_s": asked.walltime_s,
            "priority": priority if asked.priority is None else asked.priority,
            "script": asked.script,
            "name": asked.name,
            "pool": place.pool.name,
            "accelerators_min": asked.accelerators_min,
        }

    def _cost_max_eur(self, asked: Submission, place: _Place, verdict: Verdict) -> float:
        price = self._factory.finance.price_eur_per_gpu_h[asked.job_class].base
        h100_h = asked.accelerators * place.chip.h100_equivalent * asked.walltime_s / S_PER_H
        return round(h100_h * price * verdict.price_factor, 2)


def digest(asked: Submission) -> str:
    """What was asked, as a hash: by it a request is known again when the rules have changed."""
    return hashlib.sha256(asked.model_dump_json().encode()).hexdigest()


def one_pool(fields: tuple[tuple[str, object], ...]) -> str:
    """The pool a reason is about; empty for none."""
    return str(dict(fields).get("pool", ""))
