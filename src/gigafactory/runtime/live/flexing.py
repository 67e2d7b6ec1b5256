"""What the site could do without: planned import, least import and meter per ISP, for the gateway.

A simple baseline that says what it is. What is imported now, and what work of ours that is paused
or waits would draw on nodes that are free, is taken to go on: nobody knows when work ends that is
not there yet, and the plan must not fall because an order holds. It is never more than the
contracts and the limits known for an ISP allow. The least import is the same without any work of
ours, every watt of it counted once (what cooling saves on top is kept as a margin), plus the
reserve that is sold upward, plus the margin with which a limit is obeyed. What was metered is the
mean of the import that was accounted, over each whole ISP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gigafactory.adapters.uftp.published import KIND, site_body
from gigafactory.grid import MarketCalendar
from gigafactory.jobs.ports import JobView, Phase, WorkloadSnapshot
from gigafactory.planner.poolplan import PoolPlan
from gigafactory.runtime.live.budgets import group_number
from gigafactory.runtime.live.daybook import day_date
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.isps import IspEnergy
from gigafactory.runtime.live.orders import Desk
from gigafactory.runtime.live.readings import Power
from gigafactory.runtime.live.settings import Response
from gigafactory.units import NS_PER_DAY, NS_PER_MIN, NS_PER_S

_SAY_NS: Final = 10 * NS_PER_S
#: From the local day of now on, so many days are planned; so many before it are told as metered.
_AHEAD: Final = 3
_BACK_NS: Final = 3 * NS_PER_DAY
_W: Final = 1e6


@dataclass(frozen=True, slots=True)
class SiteView:
    """A connection as it is now.

    Attributes:
        plans: of its pools.
        snapshots: what each pool's manager shows.
        power: import now.
        overhead: site power per IT power, where no meter says.
    """

    plans: tuple[PoolPlan, ...]
    snapshots: Mapping[str, WorkloadSnapshot]
    power: Power
    overhead: float


@dataclass(slots=True)
class Flexibility:
    """Publishes what can be given, every few seconds.

    Attributes:
        intake: the store.
        timezone: of the market's days.
        response: margins with which a limit is obeyed.
        isp_min: length of an ISP, minutes.
    """

    intake: Intake
    timezone: str
    response: Response
    isp_min: int = 15
    energy: IspEnergy = field(default_factory=IspEnergy)
    _said_ns: int = -_SAY_NS
    _recalled: bool = False

    def turn(self, sites: Mapping[str, SiteView], desk: Desk, now_ns: int) -> None:
        """Publish where it is due.

        Args:
            sites: the connections that can be seen now.
            desk: what is allowed.
            now_ns: the present instant; everything before it is accounted.
        """
        if now_ns - self._said_ns < _SAY_NS:
            return
        self._said_ns = now_ns
        self._recall()
        if self.intake.away:
            return
        self.energy.forget(now_ns - _BACK_NS)
        body = {site: self._site(site, view, desk, now_ns) for site, view in sites.items()}
        self.intake.publish(KIND, body)

    def _recall(self) -> None:
        """Take up what a controller before us has told as metered."""
        if self._recalled:
            return
        said = self.intake.told(KIND)
        if self.intake.away:
            return
        self._recalled = True
        for site, told in (said[1] if said is not None else {}).items():
            begin_ns, step_ns = int(told["metered_begin_ns"]), int(told["isp_min"]) * NS_PER_MIN
            for k, mean_w in enumerate(told["metered_w"]):
                self.energy.recall(site, begin_ns + k * step_ns, step_ns, int(mean_w))

    def _site(self, site: str, view: SiteView, desk: Desk, now_ns: int) -> dict[str, Any]:
        step_ns = self.isp_min * NS_PER_MIN
        calendar = MarketCalendar.of(day_date(now_ns, self.timezone), _AHEAD, self.timezone)
        planned_w, given_w = planned_and_given(view)
        margin = self.response.margin + (0.0 if view.power.measured else self.response.model_margin)
        sold_w = desk.points[site].up_mw * _W
        least_w = max(planned_w - given_w + sold_w, 0.0) / (1.0 - margin)
        baseline, least = [], []
        for start_ns in range(calendar.begin_ns, calendar.end_ns, step_ns):
            allowed_w = desk.allowed_mw(site, start_ns) * _W
            plan = round(min(planned_w, allowed_w))
            baseline.append(plan)
            least.append(min(round(least_w), plan))
        begin_ns, metered = self.energy.whole(site, step_ns)
        return site_body(
            calendar.begin_ns,
            self.isp_min,
            baseline_w=baseline,
            least_w=least,
            metered_begin_ns=begin_ns,
            metered_w=metered,
        )


def planned_and_given(view: SiteView) -> tuple[float, float]:
    """Import of a connection if nothing held its work back, and how much of it is our work, W."""
    planned_w, given_w = view.power.power_w, 0.0
    for plan in view.plans:
        snapshot = view.snapshots[plan.name]
        running = [v for v in _ours(plan, snapshot) if v.phase is Phase.RUNNING]
        waiting_w = sum(_above_w(plan, v, n) for v, n in _would_run(plan, snapshot))
        planned_w += waiting_w * view.overhead
        given_w += waiting_w + sum(_above_w(plan, v, v.accelerators) for v in running)
    return planned_w, given_w


def _ours(plan: PoolPlan, snapshot: WorkloadSnapshot) -> list[JobView]:
    return [v for v in snapshot.jobs if v.pool == plan.name and v.ours]


def _would_run(plan: PoolPlan, snapshot: WorkloadSnapshot) -> Iterator[tuple[JobView, int]]:
    """Work that is paused or waits, and its accelerators, as far as nodes are free."""
    names = frozenset(plan.nodes)
    there = sum(n.accelerators for n in snapshot.nodes if n.node in names and (n.up or n.off))
    taken = sum(
        v.accelerators for v in snapshot.jobs if v.pool == plan.name and v.phase is Phase.RUNNING
    )
    free = there - taken
    still = [v for v in _ours(plan, snapshot) if v.phase is not Phase.RUNNING]
    for view in sorted(still, key=lambda v: (v.phase is not Phase.PAUSED, -v.priority, v.job)):
        if view.accelerators <= free:
            free -= view.accelerators
            yield view, view.accelerators


def _above_w(plan: PoolPlan, view: JobView, accelerators: int) -> float:
    """What work draws above rest at full speed, W."""
    full = int(plan.power_mw[group_number(view.job_class, plan), plan.full_speed])
    return max(full - plan.idle_power_mw, 0) * accelerators / 1000.0
