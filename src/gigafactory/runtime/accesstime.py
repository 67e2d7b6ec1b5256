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
    some = submitted(told, book)
    fair = some & (book.refused_by < 0)
    need = need_gpu_h(told)
    used = book.receipt[RECEIPT.index("gpu_s")] / S_PER_H
    billed = book.receipt[RECEIPT.index("revenue_micro_eur")] / 1e6
    rows = []
    for t, tenant in enumerate(table.tenants):
        for m, name in enumerate(names):
            mine = some & (table.tenant == t) & (mode == m)
            if not mine.any():
                continue
            rows.append(
                {
                    "tenant": tenant,
                    "access": name,
                    "jobs": int(mine.sum()),
                    "requested_gpu_h": float(need[mine].sum()),
                    "granted_gpu_h": float(need[mine & fair].sum()),
                    "used_gpu_h": float(used[mine].sum()),
                    "billed_eur": float(billed[mine].sum()),
                }
            )
    return rows


__all__ = ["access_time_rows"]
