"""A made-up run of the bundled factory: a summary and receipts that agree to the micro-euro."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory.engine.streams import stream
from gigafactory.factory import load_factory

CLASSES = ("frontier_training", "research", "fine_tuning", "inference_batch", "inference_realtime")
DAYS = 73  # a fifth of 365


def write_run(folder: Path, *, heat_homes: int = 9_000, jobs: int = 500) -> dict[str, Any]:
    """Write the folder; returns its summary."""
    folder.mkdir()
    source = Path(str(resources.files("gigafactory.factory"))) / "data" / "factories"
    shutil.copy(source / "rotterdam.yaml", folder / "factory.yaml")
    tenants = [tenant.name for tenant in load_factory("rotterdam").tenants]
    draw = stream(5, "test", "made-up-run")
    gpu_s = draw.integers(0, 1_000_000_000, jobs)
    revenue = draw.integers(0, 3_000_000_000_000, jobs)
    table = pa.table(
        {
            "tenant": pa.array(draw.choice(tenants, jobs)).dictionary_encode(),
            "job_class": pa.array(draw.choice(CLASSES, jobs)).dictionary_encode(),
            "gpu_s": pa.array(gpu_s),
            "revenue_micro_eur": pa.array(revenue),
        }
    )
    pq.write_table(table, folder / "jobs.parquet")
    summary = {
        "name": "rotterdam",
        "days_done": DAYS,
        "start": "2025-01-01",
        "synthetic": True,
        "accelerator_hours": {
            "installed": 100_000 * 24.0 * DAYS,
            "sold": float(gpu_s.sum()) / 3600,
        },
        "energy": {"import_mwh": 200_000.0},
        "money": {
            "energy_eur": 17_000_000.0,
            "revenue_eur": float(revenue.sum()) / 1e6,
            "water_eur": 20_000.0,
            "heat_eur": 350_000.0,
            "reserves_eur": 1_700_000.0,
            "congestion_eur": 10_000.0,
            "grid_tariff_eur": 1_700_000.0,
            "paid_eur": {"guarantees": -250_000.0},
        },
        "storage": [{"tenant": "delta-lab", "charged_eur": 100_000.0}],
        "heat": {
            "sites": [
                {
                    "covered_mwh": 20_000.0,
                    "need_mwh": 30_000.0,
                    "homes": 15_000,
                    "homes_always": heat_homes,
                }
            ]
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
    return summary


def total(folder: Path) -> tuple[int, int]:
    """Accelerator-seconds and micro-euro on the receipts."""
    table = pq.read_table(folder / "jobs.parquet")
    return int(np.sum(table["gpu_s"])), int(np.sum(table["revenue_micro_eur"]))
