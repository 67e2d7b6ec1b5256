"""Access time of a run: what every tenant asked, got and used by way of each access mode.

What the yearly report to EuroHPC is made of. Work of a trace that names no project counts under
"unknown"; replicas of services come by the factory's own mode, which they have no other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gigafactory.factory.rights import project_facts
from gigafactory.ledger import Book
from gigafactory.ledger.book import RECEIPT
from gigafactory.runtime.shares import need_gpu_h, submitted
from gigafactory.runtime.told import Told
from gigafactory.units import S_PER_H

UNKNOWN: Final = "unknown"


def access_time_rows(told: Told, book: Book) -> list[dict[str, Any]]:
    """A row per tenant and access mode that asked for anything in the days done, in their order."""
    table = told.table
    modes = {
        project.name: project.access
        for tenant in told.factory.tenants
        for project in project_facts(told.factory, tenant)
    }
    names = [UNKNOWN, *dict.fromkeys(modes.values())]
    by_project = [names.index(modes.get(name, UNKNOWN)) for name in table.projects]
    by_service = [names.index(modes.get(name, UNKNOWN)) for name in table.services]
    mode = np.zeros(len(table.project), np.int64)
    for of, column in ((by_service, table.service), (by_project, table.project)):
        if of:
            known = column >= 0
            mode[known] = np.asarray(of, np.int64)[column[known]]
    key = np.asarray(table.tenant, np.int64) * len(names) + mode
    some = submitted(told, book)
    fair = some & (book.refused_by < 0)
    need = need_gpu_h(told)
    used = book.receipt[RECEIPT.index("gpu_s")] / S_PER_H
    billed = book.receipt[RECEIPT.index("revenue_micro_eur")] / 1e6
    size = len(table.tenants) * len(names)
    jobs = np.bincount(key[some], minlength=size)
    columns = {
        "requested_gpu_h": np.bincount(key[some], need[some], size),
        "granted_gpu_h": np.bincount(key[fair], need[fair], size),
        "used_gpu_h": np.bincount(key[some], used[some], size),
        "billed_eur": np.bincount(key[some], billed[some], size),
    }
    return [
        {
            "tenant": table.tenants[at // len(names)],
            "access": names[at % len(names)],
            "jobs": int(jobs[at]),
            **{name: float(column[at]) for name, column in columns.items()},
        }
        for at in np.flatnonzero(jobs).tolist()
    ]


__all__ = ["access_time_rows"]
