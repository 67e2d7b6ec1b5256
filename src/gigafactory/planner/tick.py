"""The gate: what one tick of the live controller decides for a pool, made by the kernel.

Pure: a snapshot in, a decision out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gigafactory.jobs.ports import WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan


@dataclass(frozen=True, slots=True)
class TickDecision:
    """What a tick decides for one pool; carry out holds, requeues and pauses first.

    Attributes:
        starts: jobs to release, in the order in which the kernel started them. One that stands in
            `requeues` too makes way where it is and starts again.
        pauses: victims of the power budget, in the order in which they were taken.
        resumes: paused jobs to go on, in order.
        requeues: jobs that make way for others' guarantees or priorities, in order.
        waits: of every job that waits, what for: the name of a kernel `Why` in lower case, for a
            quota or a cap followed by ``:`` and the name of the quota.
        draw_kw: modelled IT draw of the pool after the decision, kW.
        holds: released jobs that have not started and must be taken back, in order.
    """

    starts: tuple[str, ...] = ()
    pauses: tuple[str, ...] = ()
    resumes: tuple[str, ...] = ()
    requeues: tuple[str, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    draw_kw: float = 0.0
    holds: tuple[str, ...] = ()


class Gate:
    """Decides for one pool, tick by tick, and remembers nothing between ticks."""

    def __init__(self, plan: PoolPlan) -> None:
        self.plan = plan

    def decide(
        self,
        snapshot: WorkloadSnapshot,
        at_ns: int,
        *,
        budget_kw: float | None,
        speeds: Sequence[int] | None = None,
        paused_before: Mapping[str, int] | None = None,
        held_s: Sequence[float] | None = None,
        class_limit_kw: Sequence[float | None] | None = None,
        usage: Sequence[float] | None = None,
        quotas: tuple[Sequence[int], Sequence[int]] | None = None,
        touched_before: Mapping[str, int] | None = None,
    ) -> TickDecision:
        """Decide. Signatures only: see the next commit."""
        raise NotImplementedError

    def modelled_kw(self, snapshot: WorkloadSnapshot) -> float:
        """What the pool should draw by the catalogue, kW: running jobs and resting nodes."""
        raise NotImplementedError


def correct(
    budget_kw: float | None, modelled_kw: float, metered_kw: float | None
) -> float | None:
    """A budget that is kept by the meter although the model says less, kW."""
    raise NotImplementedError
