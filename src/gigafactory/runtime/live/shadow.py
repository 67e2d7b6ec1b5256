"""Read only by construction: a manager that lets through what is looked at, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from gigafactory.jobs.ports import (
    Command,
    NodeCommand,
    Outcome,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
    WorkOrder,
)

_WHY = "shadow: written down, not sent"


class ShadowManager:
    """A workload manager that is only looked at.

    The real one is kept where nothing but `observe` can reach it: whatever a caller does, no
    command leaves this process.

    Args:
        real: whose jobs are looked at.

    Attributes:
        refused: what was asked of it and not done; empty unless the loop has a fault.
    """

    def __init__(self, real: WorkloadManager) -> None:
        self._observe = real.observe
        self.refused: list[str] = []

    def observe(self) -> WorkloadSnapshot:
        """Look at the real one."""
        return self._observe()

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        """Refuse."""
        return tuple(self._no(c.key) for c in commands)

    def submit(self, orders: Sequence[WorkOrder]) -> tuple[Receipt, ...]:
        """Refuse."""
        return tuple(self._no(o.key) for o in orders)

    def act_on_nodes(self, commands: Sequence[NodeCommand]) -> tuple[Receipt, ...]:
        """Refuse."""
        return tuple(self._no(c.key) for c in commands)

    def set_budget(self, power_kw: int) -> Receipt:  # noqa: ARG002  (the port's)
        """Refuse."""
        return self._no("budget")

    def _no(self, key: str) -> Receipt:
        self.refused.append(key)
        return Receipt(key, Outcome.REFUSED, _WHY)
