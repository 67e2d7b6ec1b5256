"""Who used the factory, beside what was promised: groups, sectors, export, programmes, firms.

The sums are those of the access ledger (`gigafactory.policy`); this reads the factory file for whom
they are made. A tenant that the file does not know, as in a trace, counts under "unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gigafactory.factory.models import Factory, Tenant
from gigafactory.ledger import Book
from gigafactory.ledger.book import RECEIPT
from gigafactory.policy import Amounts, access_by, concentration, exports, sectors
from gigafactory.runtime.missions import by_mission, quota_proof
from gigafactory.runtime.shares import Shares, amounts_of, queued, submitted
from gigafactory.runtime.told import Told
from gigafactory.units import NS_PER_S, S_PER_H

#: Groups of tenants that are small firms.
SMALL_FIRMS: Final = ("sme", "start_up")
_UNKNOWN: Final = "unknown"
_NEEDS_SHARES: Final = (
    "concentration",
    "by_tenant_group",
    "by_sector",
    "export",
    "export_by_country",
    "by_mission",
    "quota_proof",
)


def access(told: Told, book: Book, shares: Shares | None) -> dict[str, Any]:
    """The summary's keys on who got what; those that need shares are None without them."""
    amounts = amounts_of(told, book, shares)
    known = {tenant.name: tenant for tenant in told.factory.tenants}
    keys: dict[str, Any] = dict.fromkeys(_NEEDS_SHARES)
    if shares is not None:
        whole = float(shares.promised_gpu_h[0])
        keys = {
            "concentration": _concentration(told.factory, amounts, known),
            "by_tenant_group": _by_group(amounts, known),
            "by_sector": _by_sector(told.factory, amounts, known),
            **_export(told, book, amounts, known, whole),
            "by_mission": by_mission(told, amounts),
            "quota_proof": quota_proof(told, shares),
        }
    keys["programmes"] = _programmes(told, book, amounts, shares is not None)
    keys["time_to_first_job_s"] = _first_jobs(told, book)
    return keys


def _label(amounts: Amounts, known: Mapping[str, Tenant], field: str) -> dict[str, str]:
    """A field of every tenant; "unknown" for those the file does not know."""
    return {
        name: str(getattr(known[name], field)) if name in known else _UNKNOWN
        for name in amounts.tenants
    }


def _concentration(
    factory: Factory, amounts: Amounts, known: Mapping[str, Tenant]
) -> dict[str, Any]:
    """How far use is in few hands, by tenant beside the cap, and by group of tenants."""
    cap = factory.policy.concentration_cap_fraction
    tenants = concentration(amounts, cap)
    rows = access_by(amounts, _label(amounts, known, "group"))
    total = sum(row.used_gpu_h for row in rows)
    shares = {row.name: row.used_gpu_h / total if total > 0 else 0.0 for row in rows}
    largest = max(shares, key=lambda name: shares[name], default="")
    return {
        "tenants": {
            "herfindahl_ratio": tenants.herfindahl_ratio,
            "largest": tenants.largest,
            "largest_share": tenants.largest_share,
            "cap_share": cap if cap < 1.0 else None,
            "months_above_cap": [dict(reason.fields) for reason in tenants.exemptions],
        },
        "tenant_groups": {
            "herfindahl_ratio": sum(share**2 for share in shares.values()),
            "largest": largest,
            "largest_share": shares.get(largest, 0.0),
        },
    }


def _by_group(amounts: Amounts, known: Mapping[str, Tenant]) -> list[dict[str, Any]]:
    rows = access_by(amounts, _label(amounts, known, "group"))
    total = sum(row.used_gpu_h for row in rows)
    return [
        {
            "group": row.name,
            "tenants": row.members,
            "held_gpu_h": row.used_gpu_h,
            "share": row.used_gpu_h / total if total > 0 else 0.0,
        }
        for row in rows
    ]


def _by_sector(
    factory: Factory, amounts: Amounts, known: Mapping[str, Tenant]
) -> list[dict[str, Any]]:
    sector_of = _label(amounts, known, "field")
    members = {row.name: row.members for row in access_by(amounts, sector_of)}
    return [
        {
            "sector": row.sector,
            "tenants": members.get(row.sector, 0),
            "held_gpu_h": row.used_gpu_h,
            "share": row.used_share,
            "target_share": row.target_share,
        }
        for row in sectors(amounts, sector_of, factory.policy.sector_targets)
    ]


def _export(
    told: Told, book: Book, amounts: Amounts, known: Mapping[str, Tenant], whole_gpu_h: float
) -> dict[str, Any]:
    """Use by tenants abroad: of what was used, and of the pools beside the ceiling in the file."""
    home = next(iter(told.factory.sites.values())).place.country
    country_of = {name: known[name].country for name in amounts.tenants if name in known}
    paid = np.zeros(len(amounts.tenants))
    mine = np.flatnonzero(book.ask["tenant"] >= 0)
    earned = book.receipt[RECEIPT.index("revenue_micro_eur"), mine]
    np.add.at(paid, book.ask["tenant"][mine], earned)
    revenue = dict(zip(amounts.tenants, (paid / 1e6).tolist(), strict=True))
    rows = exports(amounts, country_of, revenue, home)
    members = {row.name: row.members for row in access_by(amounts, country_of)}
    total, abroad = float(amounts.used_gpu_h.sum()), sum(row.used_gpu_h for row in rows)
    groups = [g for g in told.factory.policy.quota_groups if g.kind == "export"]
    capped = bool(groups) and all(group.cap_fraction < 1.0 for group in groups)
    return {
        "export": {
            "held_gpu_h": abroad,
            "share": abroad / total if total > 0 else 0.0,
            "pool_share": abroad / whole_gpu_h if whole_gpu_h > 0 else 0.0,
            "ceiling_share": sum(g.cap_fraction for g in groups) if capped else None,
        },
        "export_by_country": [
            {
                "country": row.country,
                "in_eea": row.in_eea,
                "tenants": members[row.country],
                "held_gpu_h": row.used_gpu_h,
                "share": row.used_gpu_h / total if total > 0 else 0.0,
                "revenue_eur": row.revenue_eur,
            }
            for row in rows
        ],
    }


def _programmes(told: Told, book: Book, amounts: Amounts, has_shares: bool) -> list[dict[str, Any]]:
    """What the tenants of every programme in the file asked, got and wait for."""
    of = {t.name: t.programme for t in told.factory.tenants if t.programme is not None}
    rows = {
        row.name: row for row in access_by(amounts, {name: one.name for name, one in of.items()})
    }
    found = []
    for name in sorted({one.name for one in of.values()}):
        mine = [tenant for tenant, one in of.items() if one.name == name]
        first, row = of[mine[0]], rows.get(name)
        at = [amounts.tenants.index(tenant) for tenant in mine if tenant in amounts.tenants]
        ours = np.isin(told.table.tenant, at)
        outputs = [text for tenant in mine for text in of[tenant].outputs]
        found.append(
            {
                "programme": name,
                "title": first.title,
                "kind": first.kind,
                "tenants": mine,
                "jobs": int((ours & submitted(told, book)).sum()),
                "requested_gpu_h": row.requested_gpu_h if row else 0.0,
                "granted_gpu_h": row.granted_gpu_h if row else 0.0,
                "held_gpu_h": (row.used_gpu_h if row else 0.0) if has_shares else None,
                "waiting_jobs": int((ours & queued(book)).sum()),
                "waiting_gpu_h": row.waiting_gpu_h if row else 0.0,
                "outputs": list(dict.fromkeys(outputs)),
            }
        )
    return found


def _first_jobs(told: Told, book: Book) -> dict[str, Any]:
    """How long small firms waited for their first job to start, replicas of services apart."""
    table = told.table
    submit, start = (book.receipt[RECEIPT.index(name)] for name in ("submit_ns", "start_ns"))
    asked = (book.ask["pool"] >= 0) & (book.refused_by < 0) & (table.service < 0)
    tenants: list[dict[str, Any]] = []
    for tenant in told.factory.tenants:
        if tenant.group not in SMALL_FIRMS or tenant.name not in table.tenants:
            continue
        mine = asked & (table.tenant == table.tenants.index(tenant.name))
        begun = mine & (start >= 0)
        first_s, p95_s = None, None
        if begun.any():
            first_s = (int(start[begun].min()) - int(submit[mine].min())) / NS_PER_S
            p95_s = float(np.quantile((start[begun] - submit[begun]) / NS_PER_S, 0.95))
        tenants.append(
            {
                "tenant": tenant.name,
                "group": tenant.group,
                "jobs": int(mine.sum()),
                "first_job_s": first_s,
                "wait_p95_s": p95_s,
                "support_h_per_year": tenant.support_s_per_year / S_PER_H,
            }
        )
    known = [float(row["first_job_s"]) for row in tenants if row["first_job_s"] is not None]
    median, p90 = np.quantile(known, (0.5, 0.9)).tolist() if known else (None, None)
    return {"median": median, "p90": p90, "tenants": tenants}
