"""What each mission got, and whether reserved shares were kept month by month."""

from __future__ import annotations

from typing import Any

import numpy as np

from gigafactory.factory.models import Tenant
from gigafactory.policy import Amounts, access_by, prove_quota
from gigafactory.runtime.shares import Shares
from gigafactory.runtime.told import Told


def by_mission(told: Told, amounts: Amounts) -> list[dict[str, Any]]:
    """Per mission of the factory file: its tenants, projects, use, and what it is to change.

    A mission is the tenant's; all its projects and services serve it. Outcomes are the words of the
    factory file: what was promised, not what came of it.
    """
    of = {t.name: str(t.mission) for t in told.factory.tenants if t.mission is not None}
    used = {row.name: row for row in access_by(amounts, of)}
    rows = []
    for mission in sorted(set(of.values())):
        mine = [t for t in told.factory.tenants if of.get(t.name) == mission]
        projects = [
            name for t in mine for name in (*t.project_names, *(s.name for s in t.services))
        ]
        outcomes = [text for t in mine for text in _outcomes(t)]
        row = used.get(mission)
        rows.append(
            {
                "mission": mission,
                "tenants": [t.name for t in mine],
                "projects": projects,
                "requested_gpu_h": row.requested_gpu_h if row else 0.0,
                "held_gpu_h": row.used_gpu_h if row else 0.0,
                "outcomes": list(dict.fromkeys(outcomes)),
            }
        )
    return rows


def _outcomes(tenant: Tenant) -> list[str]:
    said = [*(work.outcome for work in tenant.work), *(one.outcome for one in tenant.services)]
    return [text for text in said if text]


def quota_proof(told: Told, shares: Shares) -> list[dict[str, Any]]:
    """Per month and node with a reserved share: what of it was asked, had and not had.

    Own use is what was held less what was borrowed; asked is that and what was short, which is
    counted within the share alone. So undercut is what others, a failure or the grace of those who
    give back kept from a node that asked for its own.
    """
    days = len(shares.daily_gpu_h)
    months, of_day = told.calendar.months(days)
    rows = []
    for x, name in enumerate(shares.names):
        if shares.parent[x] < 0 or shares.promised_gpu_h[x] <= 0.0:
            continue
        reserved, used, short = (
            np.bincount(of_day, weights=values[:, x], minlength=len(months)).astype(np.float64)
            for values in (
                shares.daily_promised_gpu_h,
                shares.daily_gpu_h - shares.daily_borrowed_gpu_h,
                shares.daily_short_gpu_h,
            )
        )
        for proof in prove_quota(months, reserved, used + short, used):
            asked = proof.used_gpu_h + proof.undercut_gpu_h
            rows.append(
                {
                    "month": proof.month,
                    "node": name,
                    "reserved_gpu_h": proof.reserved_gpu_h,
                    "asked_gpu_h": proof.asked_gpu_h,
                    "used_gpu_h": proof.used_gpu_h,
                    "undercut_gpu_h": proof.undercut_gpu_h,
                    "kept_share": proof.used_gpu_h / asked if asked > 0.0 else None,
                }
            )
    return rows
