"""What the loop is made of: the parts that wiring puts together, and what a tick reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gigafactory.engine.clock import Clock
from gigafactory.grid.ports import OrderSource
from gigafactory.jobs.ports import WorkloadManager, WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.planner.tick import TickDecision
from gigafactory.plant.ports import Meter
from gigafactory.runtime.live import frames
from gigafactory.runtime.live.caps import CapPart
from gigafactory.runtime.live.daybook import DayBook
from gigafactory.runtime.live.flexing import Flexibility
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.orders import Desk, PointRules
from gigafactory.runtime.live.pricing import Pricing
from gigafactory.runtime.live.retention import Sweeper
from gigafactory.runtime.live.settings import Response

#: Named fallbacks, in the words of journal, alarms and documentation.
MANAGER_AWAY: Final = "manager_away"
METER_AWAY: Final = "meter_away"
STORE_AWAY: Final = "store_away"
DISK_FULL: Final = "disk_full"
CLOCK_JUMP: Final = "clock_jump"
ORDERS_SILENT: Final = "orders_silent"
LIMIT_BROKEN: Final = "limit_broken"
PLANT_CAP: Final = "plant_cap"
WORK_BACK: Final = "work_back"
WORK_VANISHED: Final = "work_vanished"
GATE_UNSETTLED: Final = "gate_unsettled"
#: Those that end by themselves: an alarm about one is cleared when it is over.
PASSING: Final = frozenset(
    {
        MANAGER_AWAY,
        METER_AWAY,
        STORE_AWAY,
        DISK_FULL,
        CLOCK_JUMP,
        ORDERS_SILENT,
        LIMIT_BROKEN,
        PLANT_CAP,
        WORK_BACK,
        GATE_UNSETTLED,
    }
)


class Decides(Protocol):
    """What the loop needs of the gate of a pool."""

    def decide(
        self,
        snapshot: WorkloadSnapshot,
        at_ns: int,
        *,
        budget_kw: float | None,
        paused_before: Mapping[str, int],
        usage: Sequence[float] | None,
        quotas: tuple[Sequence[int], Sequence[int]] | None,
        touched_before: Mapping[str, int],
    ) -> TickDecision:
        """Decide one tick; see `planner.tick.Gate`."""
        ...

    def modelled_kw(self, snapshot: WorkloadSnapshot) -> float:
        """What the pool should draw by the catalogue, kW."""
        ...


@dataclass(frozen=True, slots=True)
class SitePart:
    """A connection and what is behind it.

    Attributes:
        pools: names.
        overhead: site power per IT power, where no meter says.
        base_mw: what it draws without any IT, where no meter says.
        operator_mw: import that the operator allows; None for the connection's.
    """

    pools: tuple[str, ...]
    overhead: float
    base_mw: float
    operator_mw: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterPart:
    """A workload manager and the pools it runs."""

    manager: WorkloadManager
    pools: tuple[str, ...]


@dataclass(slots=True)
class Parts:
    """Everything a controller works with.

    Attributes:
        environment: shadow or live; in shadow nothing is ever sent.
        begin: the first frame of a day, without day, edges and head.
        sites: connections by name, in the factory file's order.
        clusters: workload managers by name.
        plans: pools by name, in the factory file's order.
        gates: the gate of each pool.
        desk: judges orders.
        intake: the store.
        book: the journal.
        clock: whose time it is.
        response: how fast a limit is met.
        tick_s: from one turn to the next, s.
        meters: asked in order; the first good reading counts.
        sources: channels that are asked directly, beside the store.
        channels: names of channels whose sign of life is in the store.
        caps: the plant's own power caps by pool, whatever its manager does.
        who: name of this controller, for the lease.
        memory_s: a manager remembers ended jobs for so long, s; a job that vanished in a shorter
            time without an end was lost by it.
        points_at: what holds at each connection on the day of an instant.
        sweeper: lets the store go of what is old; None where nobody does.
        flexibility: tells the gateway what can be given; None where there is none.
        pricing: knows what import costs and emits; None where nobody does.
        quotas_at: each pool's quotas on that day, and what is lent of them, per node of its tree;
            None where they are those of the plans.
        prices: gives price (micro-euro per MWh) and carbon (mg per MWh) of an instant, or None.
    """

    environment: str
    begin: frames.Begin
    sites: Mapping[str, SitePart]
    clusters: Mapping[str, ClusterPart]
    plans: Mapping[str, PoolPlan]
    gates: Mapping[str, Decides]
    desk: Desk
    intake: Intake
    book: DayBook
    clock: Clock
    response: Response
    tick_s: float = 2.0
    meters: Sequence[Meter] = ()
    sources: Sequence[OrderSource] = ()
    channels: Sequence[str] = ()
    caps: Mapping[str, Sequence[CapPart]] = field(default_factory=dict)
    who: str = "controller"
    memory_s: float = 240.0
    sweeper: Sweeper | None = None
    flexibility: Flexibility | None = None
    pricing: Pricing | None = None
    prices: Any = None
    points_at: Callable[[int], Mapping[str, PointRules]] | None = None
    quotas_at: Callable[[int], Mapping[str, tuple[Sequence[int], Sequence[int]]]] | None = None

    @property
    def acts(self) -> bool:
        """Whether commands are sent."""
        return self.environment != "shadow"


@dataclass(frozen=True, slots=True)
class TickReport:
    """What a tick saw and did.

    Attributes:
        at_ns: its instant.
        limits_w: limit in force per site, W.
        imports_w: import per site, W.
        sent: commands, in order; in shadow those that would have been sent.
        submitted: keys of work handed over.
        troubles: named fallbacks in force, with what they are about.
        decisions: per pool.
    """

    at_ns: int
    limits_w: Mapping[str, float]
    imports_w: Mapping[str, float]
    sent: tuple[Any, ...] = ()
    submitted: tuple[str, ...] = ()
    troubles: tuple[tuple[str, str], ...] = ()
    decisions: Mapping[str, TickDecision] = field(default_factory=dict)
