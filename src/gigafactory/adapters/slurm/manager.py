"""The adapter: `jobs.WorkloadManager` on a Slurm cluster."""

from __future__ import annotations

from collections.abc import Sequence

from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.engine.clock import Clock, WallClock
from gigafactory.jobs.ports import (
    Command,
    NodeCommand,
    Receipt,
    WorkloadSnapshot,
    WorkOrder,
)


class SlurmManager:
    """A Slurm cluster behind `jobs.WorkloadManager`.

    Args:
        settings: which cluster, which rights, how long.
        clock: whose time snapshots and pauses carry.
    """

    def __init__(self, settings: SlurmSettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or WallClock()

    def observe(self) -> WorkloadSnapshot:
        """Look at every job and node; see `WorkloadManager.observe`."""
        raise NotImplementedError

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        """Carry commands out, and move on every pause on its way; call it every tick."""
        raise NotImplementedError

    def submit(self, orders: Sequence[WorkOrder]) -> tuple[Receipt, ...]:
        """Hand jobs over, held; see `WorkloadManager.submit`."""
        raise NotImplementedError

    def act_on_nodes(self, commands: Sequence[NodeCommand]) -> tuple[Receipt, ...]:
        """Drain nodes, take them back, power them down and up."""
        raise NotImplementedError

    def set_budget(self, power_kw: int) -> Receipt:
        """Leave no more than so many licences to running work."""
        raise NotImplementedError
