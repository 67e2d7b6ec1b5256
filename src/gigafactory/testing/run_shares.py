"""The made-up run's figures on shares, waits, goodput and access, in the shape of a real summary.

They are taken from the made-up receipts and hours, and keep the identities of a real run: what the
tenants held is what the pools held, the parts of goodput add up to one, every job has one reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]

#: Groups of the made-up quota tree: title in English and Dutch, share, and how many tenants.
GROUPS: Final = (
    ("reserve", "Reserve (made up)", "Reserve (verzonnen)", 0.5, 5),
    ("missions", "Missions (made up)", "Missies (verzonnen)", 0.3, 7),
    ("abroad", "Abroad (made up)", "Buitenland (verzonnen)", 0.1, 2),
)
#: Group, sector and country of each tenant, in turn.
_KINDS: Final = ("nl_company", "sme", "start_up", "knowledge_institute", "public")
_SECTORS: Final = ("Digital and AI", "Medtech", "Security")
_TARGETS: Final = {"Digital and AI": 0.4, "Medtech": 0.2}


def policy_block() -> dict[str, Any]:
    """The factory file's block that names the groups."""
    return {
        "quota_groups": [
            {"name": name, "title": {"en": english, "nl": dutch}, "nominal": share}
            for name, english, dutch, share, _ in GROUPS
        ]
    }


def share_keys(
    tenants: tuple[str, ...], jobs: pa.Table, hours: Mapping[str, float], days: int
) -> dict[str, Any]:
    """The summary's keys on shares, goodput and access.

    Args:
        tenants: names, in the order of the receipts' codes.
        jobs: the receipts.
        hours: accelerator-hours by fate.
        days: length of the run.
    """
    codes = np.asarray(jobs["tenant"].combine_chunks().indices.to_numpy())
    allocated = np.asarray(jobs["allocated_gpu_s"].to_numpy(), np.float64) / 3600
    held = np.asarray(np.bincount(codes, allocated, minlength=len(tenants)), np.float64)
    rows = _tree(tenants, held, hours["installed"])
    leaves = rows[1 + len(GROUPS) :]
    total, borrowed, short = (
        sum(row[f"{name}_gpu_h"] for row in leaves) for name in ("held", "borrowed", "short")
    )
    own = total - borrowed
    return {
        "goodput": _goodput(hours),
        "shares": rows,
        "shares_of_tenants": {
            "held_gpu_h": total,
            "borrowed_gpu_h": borrowed,
            "short_gpu_h": short,
            "kept_share": own / (own + short) if own + short > 0 else None,
            "borrowed_share": borrowed / total if total > 0 else None,
        },
        **_access(tenants, held, hours["installed"]),
        "programmes": _programmes(tenants, held),
        "time_to_first_job_s": _first_jobs(tenants, days),
        "not_recorded": [],
    }


def wait_keys(jobs: pa.Table) -> dict[str, Any]:
    """Keys of the summary's `jobs` on reasons to wait and to be refused."""
    states = np.asarray(jobs["state"].combine_chunks().dictionary_decode())
    wait_s = np.nan_to_num(np.asarray(jobs["wait_s"], np.float64))
    size = np.asarray(jobs["accelerators"], np.float64)
    refused = states == "refused"
    reason = np.where(wait_s > 0, np.where(size > 200, "cap", "nodes"), "nothing")
    reason = np.where(states == "queued", "order", reason)
    names = ("nothing", "held", "cap", "quota", "nodes", "level", "order")
    mine = {name: (reason == name) & ~refused for name in names}
    rules = [{"rule": "dataset_missing", "jobs": int(refused.sum()), "requested_gpu_h": 40.0}]
    return {
        "refused_by": rules if refused.any() else [],
        "waited_for": {
            name: {
                "jobs": int(some.sum()),
                "waited_gpu_h": float((size * wait_s)[some].sum() / 3600),
            }
            for name, some in mine.items()
        },
    }


def _row(node: str, parent: str | None, level: str, promised: float, held: float) -> dict[str, Any]:
    own = min(held, 0.9 * promised)
    return {
        "node": node,
        "parent": parent,
        "level": level,
        "nominal_gpu_h": promised,
        "held_gpu_h": held,
        "borrowed_gpu_h": held - own,
        "short_gpu_h": 0.05 * (promised - own),
        "unused_gpu_h": promised - own,
    }


def _tree(tenants: tuple[str, ...], held: Floats, installed: float) -> list[dict[str, Any]]:
    """The pools, the groups, and the tenants: those of each group in turn, the last beside them."""
    groups, leaves, at = [], [], 0
    for name, _, _, share, count in GROUPS:
        mine = range(at, at + count)
        groups.append(_row(name, "", "group", share * installed, float(held[mine].sum())))
        leaves += [
            _row(tenants[t], name, "tenant", share * installed / count, float(held[t]))
            for t in mine
        ]
        at += count
    beside = range(at, len(tenants))
    leaves += [_row(tenants[t], "", "tenant", 0.0, float(held[t])) for t in beside]
    return [_row("", None, "all", installed, float(held.sum())), *groups, *leaves]


def _goodput(hours: Mapping[str, float]) -> dict[str, Any]:
    parts = {"useful": hours["useful"]}
    parts |= {"checkpoint": hours["overhead"] * 0.7, "restart": hours["overhead"] * 0.3}
    for name in ("lost_failure", "lost_response", "lost_preemption"):
        parts[name] = hours[name]
    parts |= {name: hours[name] for name in ("idle", "reserved_idle", "held_paused")}
    whole = sum(parts.values())
    sizes = ((1024, 4095, 40, 3, 900.0, 45), (4096, 16_383, 8, 2, 300.0, 40), (16_384, None, 0, 0,
             0.0, 0))  # fmt: skip
    return {
        "in_service_gpu_h": whole,
        "shares": {name: value / whole for name, value in parts.items()},
        "ettr": 0.91,
        "ettr_with_queue": 0.62,
        "gangs": [
            {
                "accelerators_min": least,
                "accelerators_max": most,
                "gangs": gangs,
                "tenants": tenants,
                "run_h": run_h,
                "interruptions": stops,
                "interruptions_per_h": stops / run_h if run_h else None,
                "ettr": 0.91 if gangs else None,
            }
            for least, most, gangs, tenants, run_h, stops in sizes
        ],
    }


def _sums(tenants: tuple[str, ...], held: Floats, kinds: tuple[str, ...], label: str) -> Any:
    """Sums over tenants that take these kinds in turn."""
    total = float(held.sum())
    rows = []
    for k, kind in enumerate(kinds):
        mine = [t for t in range(len(tenants)) if t % len(kinds) == k]
        used = float(held[mine].sum())
        share = used / total if total > 0 else 0.0
        rows.append({label: kind, "tenants": len(mine), "held_gpu_h": used, "share": share})
    return sorted(rows, key=lambda row: str(row[label]))


def _access(tenants: tuple[str, ...], held: Floats, installed: float) -> dict[str, Any]:
    total = float(held.sum())
    shares = held / total if total > 0 else held
    sectors = _sums(tenants, held, _SECTORS, "sector")
    groups = _sums(tenants, held, _KINDS, "group")
    abroad = float(held[-2:].sum())
    of_all = abroad / total if total > 0 else 0.0
    return {
        "concentration": {
            "tenants": {
                "herfindahl_ratio": float((shares**2).sum()),
                "largest": tenants[int(np.argmax(held))],
                "largest_share": float(shares.max()),
                "cap_share": 0.6,
                "months_above_cap": [],
            },
            "tenant_groups": {
                "herfindahl_ratio": sum(row["share"] ** 2 for row in groups),
                "largest": max(groups, key=lambda row: row["share"])["group"],
                "largest_share": max(row["share"] for row in groups),
            },
        },
        "by_tenant_group": groups,
        "by_sector": [row | {"target_share": _TARGETS.get(row["sector"])} for row in sectors],
        "export": {
            "held_gpu_h": abroad,
            "share": of_all,
            "pool_share": abroad / installed,
            "ceiling_share": 0.15,
        },
        "export_by_country": [
            {
                "country": "DE",
                "in_eea": True,
                "tenants": 2,
                "held_gpu_h": abroad,
                "share": of_all,
                "revenue_eur": 2.1 * abroad,
            }
        ],
    }


def _programmes(tenants: tuple[str, ...], held: Floats) -> list[dict[str, Any]]:
    return [
        {
            "programme": "made-up",
            "title": "A made-up programme",
            "kind": "national",
            "tenants": list(tenants[:2]),
            "jobs": 120,
            "requested_gpu_h": 1.2 * float(held[:2].sum()),
            "granted_gpu_h": 1.1 * float(held[:2].sum()),
            "held_gpu_h": float(held[:2].sum()),
            "waiting_jobs": 3,
            "waiting_gpu_h": 0.1 * float(held[:2].sum()),
            "outputs": ["A model", "A test set"],
        }
    ]


def _first_jobs(tenants: tuple[str, ...], days: int) -> dict[str, Any]:
    """Small firms are those of two kinds; each waited a little longer than the one before."""
    names = [(t, name) for t, name in enumerate(tenants) if _KINDS[t % len(_KINDS)] in _KINDS[1:3]]
    waits = [60.0 * (k + 1) * min(days, 3) for k in range(len(names))]
    return {
        "median": float(np.quantile(waits, 0.5)),
        "p90": float(np.quantile(waits, 0.9)),
        "tenants": [
            {
                "tenant": name,
                "group": _KINDS[t % len(_KINDS)],
                "jobs": 30,
                "first_job_s": wait,
                "wait_p95_s": 20.0 * wait,
                "support_h_per_year": 40.0,
            }
            for (t, name), wait in zip(names, waits, strict=True)
        ],
    }
