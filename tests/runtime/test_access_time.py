"""Access time by tenant and mode adds up to the receipts, and knows which project came in how."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gigafactory.factory import load_factory
from gigafactory.ledger.book import RECEIPT
from gigafactory.runtime.accesstime import UNKNOWN, access_time_rows
from tests.runtime.conftest import SmallRun

HOUR_NS = 3_600 * 10**9


def test_projects_bring_their_mode_services_pay_and_traces_are_unknown() -> None:
    factory = load_factory("rotterdam")
    tenant = next(t for t in factory.tenants if any(w.access == "playground" for w in t.work))
    k = next(k for k, work in enumerate(tenant.work) if work.access == "playground")
    served = next(t for t in factory.tenants if t.services)
    table = SimpleNamespace(
        tenants=(tenant.name, served.name),
        projects=(tenant.project_names[k],),
        services=(served.services[0].name,),
        tenant=np.array([0, 0, 1, 0, 0]),
        project=np.array([0, 0, -1, -1, 0]),
        service=np.array([-1, -1, 0, -1, -1]),
        accelerators=np.array([2, 4, 8, 1, 64]),
        work_ns=np.array([1, 2, 3, 4, 5]) * HOUR_NS,
        walltime_ns=np.array([1, 1, 3, 4, 5]) * HOUR_NS,
        submit_ns=np.array([0, 1, 2, 3, 100]) * HOUR_NS,
    )
    receipt = np.zeros((len(RECEIPT), 5), np.int64)
    receipt[RECEIPT.index("gpu_s")] = [7200, 0, 36_000, 3600, 0]
    receipt[RECEIPT.index("revenue_micro_eur")] = [0, 0, 5_000_000, 2_000_000, 0]
    book: Any = SimpleNamespace(
        receipt=receipt,
        refused_by=np.array([-1, 3, -1, -1, -1]),
        periods=24,
        header=SimpleNamespace(edges_ns=(0, 0, HOUR_NS)),
    )
    told: Any = SimpleNamespace(factory=factory, table=table)
    rows = {(r["tenant"], r["access"]): r for r in access_time_rows(told, book)}
    # the second job was cut at its walltime and refused; the last one comes after the days done
    assert rows[tenant.name, "playground"] == {
        "tenant": tenant.name, "access": "playground", "jobs": 2, "requested_gpu_h": 6.0,
        "granted_gpu_h": 2.0, "used_gpu_h": 2.0, "billed_eur": 0.0,
    }  # fmt: skip
    assert rows[served.name, "pay_as_you_go"]["used_gpu_h"] == 10.0
    assert rows[tenant.name, UNKNOWN]["billed_eur"] == 2.0
    assert len(rows) == 3


@pytest.mark.slow
def test_what_was_used_and_billed_is_what_the_receipts_say(small_run: SmallRun) -> None:
    summary = json.loads((small_run.folder / "summary.json").read_text("utf-8"))
    jobs = pq.read_table(small_run.folder / "jobs.parquet")
    rows = summary["access_time"]
    assert {row["access"] for row in rows} == {UNKNOWN}  # a job file names no project
    gpu_h = np.asarray(jobs["gpu_s"].to_numpy(), np.float64).sum() / 3600
    billed = np.asarray(jobs["revenue_micro_eur"].to_numpy(), np.float64).sum() / 1e6
    assert sum(row["used_gpu_h"] for row in rows) == pytest.approx(gpu_h)
    assert sum(row["billed_eur"] for row in rows) == pytest.approx(billed)
    assert sum(row["jobs"] for row in rows) == summary["jobs"]["total"]
