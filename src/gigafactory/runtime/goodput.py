"""How much of what was in service did work that lasted, and how large gangs fared.

Goodput is here the share of the accelerator-hours in service (installed, not broken, with power)
that went into work that was kept. The effective training time ratio (ETTR) follows Kokolis et al.,
"Revisiting Reliability in Large-Scale Machine Learning Research Clusters" (Meta, 2024,
arXiv 2410.21680, read second-hand): productive run time of a job over the time it ran or could have
run, its waiting included.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.ledger import GROUP_COLUMNS, Book
from gigafactory.ledger.book import FATES, RECEIPT
from gigafactory.ledger.facts import EVICT, FAIL, PREEMPT
from gigafactory.runtime.told import Told
from gigafactory.units import NS_PER_H, NS_PER_S, S_PER_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Smallest gang that counts for the ETTR, and where the classes of larger ones begin.
GANG_SIZES: Final = (1024, 4096, 16_384)
#: What is not in service.
_AWAY: Final = ("awaiting_power", "down")


def fragmentation(book: Book) -> list[dict[str, Any]] | None:
    """How what was free lay in each pool at the ends of the days, means; None where not recorded.

    The index is the share of what is free that is not on empty nodes, so that no gang can have it.
    """
    if not book.fragments:
        return None
    days = np.stack(book.fragments).astype(np.float64)
    rows = []
    for p, name in enumerate(book.header.pools):
        free, empty, pod, rack = days[:, p].mean(axis=0).tolist()
        rows.append(
            {
                "pool": name,
                "free_mean": free,
                "on_empty_nodes_mean": empty,
                "in_one_pod_mean": pod,
                "in_one_rack_mean": rack,
                "index": 1.0 - empty / free if free > 0.0 else 0.0,
            }
        )
    return rows


def goodput(told: Told, book: Book) -> dict[str, Any]:
    """Shares of the accelerator-hours in service, which add up to one, and the ETTR."""
    n = book.periods
    restart = GROUP_COLUMNS.index("restart_ns")
    # a year of a large factory in nanoseconds does not fit in 64 bits
    restart_h = float(book.group[:n, ..., restart].astype(np.float64).sum()) / NS_PER_H
    overhead_h = float(book.overhead_s[:n].sum()) / S_PER_H
    hours = {
        "useful": float(book.useful_s[:n].sum()) / S_PER_H,
        "checkpoint": overhead_h - restart_h,
        "restart": restart_h,
    }
    fates = [name for name in FATES if name not in _AWAY]
    hours |= {
        name: float(book.fate_s[:n, :, FATES.index(name)].sum()) / S_PER_H
        for name in sorted(fates, key=lambda name: not name.startswith("lost"))
    }
    whole = sum(hours.values())
    gangs = _Gangs(told, book)
    everyone = np.ones(len(gangs.job), np.bool_)
    return {
        "in_service_gpu_h": whole,
        "shares": {name: value / whole if whole > 0 else None for name, value in hours.items()},
        "ettr": gangs.ettr(everyone, gangs.held_s),
        "ettr_with_queue": gangs.ettr(everyone, gangs.asked_s),
        "gangs": gangs.rows(),
    }


class _Gangs:
    """Rigid gangs of training and batch work, large enough, that began.

    Elastic gangs are left out: on fewer nodes they run slower, which is not an interruption.

    Attributes:
        job: their numbers.
        tenant: whose they are.
        size: accelerators.
        run_s: seconds each ran.
        useful_s: of these, what lasted: less what was rolled back, restarts and checkpoints.
        held_s: from the first start to the end, of the job or else of the run.
        asked_s: the same from submission on.
        stops: how often each was interrupted: by failures, by others or for a limit.
    """

    def __init__(self, told: Told, book: Book) -> None:
        table, receipt = told.table, dict(zip(RECEIPT, book.receipt, strict=True))
        rigid = (table.accelerators_min == 0) | (table.accelerators_min >= table.accelerators)
        large = rigid & (table.accelerators >= GANG_SIZES[0]) & (table.service < 0)
        self.job = np.flatnonzero(large & (receipt["start_ns"] >= 0))
        job, (first, _, step) = self.job, book.header.edges_ns
        self.tenant = table.tenant[job]
        self.size = table.accelerators[job].astype(np.int64)
        end_ns = receipt["end_ns"][job]
        end_ns = np.where(end_ns >= 0, end_ns, first + book.periods * step)
        self.stops = receipt["stops"][job]
        self.run_s = receipt["gpu_s"][job] / self.size
        self.held_s = (end_ns - receipt["start_ns"][job]) / NS_PER_S
        self.asked_s = (end_ns - receipt["submit_ns"][job]) / NS_PER_S
        kind = table.job_class[job]
        saving = np.array(book.header.overhead_ppm)[kind] / 1e6
        policy = {str(label): value for label, value in told.factory.policy.restart_s.items()}
        restart_s = np.array([policy.get(label, 0.0) for label in book.header.classes])[kind]
        again = self.stops - np.isin(book.fate[job], (EVICT, FAIL, PREEMPT))
        lost_s = receipt["lost_gpu_s"][job] / self.size + again * restart_s
        self.useful_s = np.clip(self.run_s * (1.0 - saving) - lost_s, 0.0, None)

    def ettr(self, some: npt.NDArray[np.bool_], wall_s: Floats) -> float | None:
        """Useful over wall time of some of them, weighted by accelerators; None without any."""
        size = self.size[some]
        whole = float((size * wall_s[some]).sum())
        return float((size * self.useful_s[some]).sum()) / whole if whole > 0 else None

    def rows(self) -> list[dict[str, Any]]:
        """One row per class of size, smallest first."""
        rows = []
        for least, beyond in zip(GANG_SIZES, (*GANG_SIZES[1:], None), strict=True):
            some = (self.size >= least) & (self.size < (beyond or np.iinfo(np.int64).max))
            run_h, stops = float(self.run_s[some].sum()) / S_PER_H, int(self.stops[some].sum())
            rows.append(
                {
                    "accelerators_min": least,
                    "accelerators_max": None if beyond is None else beyond - 1,
                    "gangs": int(some.sum()),
                    "tenants": len(np.unique(self.tenant[some])),
                    "run_h": run_h,
                    "interruptions": stops,
                    "interruptions_per_h": stops / run_h if run_h > 0 else None,
                    "ettr": self.ettr(some, self.held_s),
                }
            )
        return rows
