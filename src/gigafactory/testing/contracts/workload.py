"""What every `jobs.WorkloadManager` must do, as checks to run on each: a real Slurm, the twin.

::

    for check in CHECKS:
        check(bench)          # a WorkloadBench; raises AssertionError in words

Each check submits its own work under keys of its own and cancels it again, so that checks may
share one bench in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gigafactory.jobs.ports import (
    Action,
    Command,
    Ending,
    JobView,
    NodeAction,
    NodeCommand,
    Outcome,
    Phase,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
    WorkOrder,
)


class WorkloadBench(Protocol):
    """An adapter under test and what surrounds it.

    Attributes:
        manager: the adapter.
        pool: a pool that work may be bound to.
        node_size: accelerators of each of its nodes.
        nodes: nodes it has; at least four, all free between checks.
        patience_s: how long an effect may take to be seen, s.
        kw_per_node: what a busy node takes of the power budget, kW.
        budget_kw: a budget in which everything may run, kW.
    """

    manager: WorkloadManager
    pool: str
    node_size: int
    nodes: int
    patience_s: float
    kw_per_node: int
    budget_kw: int

    def script(self, work_s: float) -> str:
        """A script that works for so long, saves on signal and goes on from what it saved."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let time go by: sleep, or turn the clock."""
        ...

    def foreign(self) -> str:
        """Hand a job of one node to the manager past the adapter; returns its name there."""
        ...

    def remove_foreign(self, job: str) -> None:
        """Take away what `foreign` handed over."""
        ...

    def drawing(self) -> frozenset[str]:
        """Jobs whose work takes power now, found without the adapter."""
        ...


Check = Callable[[WorkloadBench], None]
CHECKS: list[Check] = []
