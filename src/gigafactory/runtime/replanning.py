"""Plans made again within the day, where a factory asks for it.

What is seen when a market period begins decides from the next one on: the present one is sold
already, since intraday trade closes some minutes before delivery. What was bought at the gate
stands; a plan made again trades what it needs beside that, a period before delivery, so that a
newer plan costs nothing for having been made later. Where it finds no plan, the one before stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.grid import MarketCalendar
from gigafactory.planner import Information, Plan
from gigafactory.planner.gate import Offer
from gigafactory.planner.nowcast import Nowcast
from gigafactory.planner.rolling import RollingPlanner, Window
from gigafactory.runtime.inputs import plan_input
from gigafactory.runtime.outlook import Outlook
from gigafactory.runtime.reserves import ReserveDesk
from gigafactory.runtime.transportdesk import TransportDesk
from gigafactory.runtime.wiring import World

Array = npt.NDArray[np.float64]

#: What is told of a plan made again, per site: made, or the one before kept.
AGAIN, KEPT = "again", "kept"
#: What of a plan made again stands in the journal.
_TOLD = ("it_mw", "charge_mw", "discharge_mw", "intraday_mw", "contract_share")


class Replanning:
    """Makes plans again at a cadence.

    Args:
        world: the wired factory.
        calendar: its market periods.
        outlook: what may be expected.
        transport: knows the month's peaks.
        reserves: the desks that sell reserves, per site.
        every: market periods from one plan to the next; 0 for one a day.
    """

    def __init__(
        self,
        world: World,
        calendar: MarketCalendar,
        outlook: Outlook,
        transport: TransportDesk,
        reserves: dict[int, ReserveDesk],
        every: int,
    ) -> None:
        self.world, self.calendar, self.outlook = world, calendar, outlook
        self.transport, self.reserves, self.every = transport, reserves, every
        sites = world.sites if every else ()
        self._planners = [RollingPlanner(wire.planner) for wire in sites]
        self._views = [Nowcast() for _ in sites]

    def view(self, s: int) -> Nowcast | None:
        """The forecasts kept for a site; none where plans are made once a day."""
        return self._views[s] if self.every else None

    def begin(self) -> None:
        """Begin a day: it depends on nothing that was solved or forecast before."""
        for planner, view in zip(self._planners, self._views, strict=True):
            planner.forget()
            view.forget()

    def due(self, step: int, periods: int) -> bool:
        """Whether plans are made again when a period of a day of so many begins."""
        return self.every > 0 and step > 0 and step % self.every == 0 and step + 1 < periods

    def again(
        self,
        s: int,
        period: int,
        step: int,
        plan: Plan,
        soc_mwh: float,
        ahead: tuple[Offer, Array] | None,
    ) -> tuple[Plan, Array] | None:
        """Make the plan of a site again from the period after this one on.

        Args:
            s: the site.
            period: the market period that begins now.
            step: its place in the day.
            plan: that was made before.
            soc_mwh: energy in the battery above its lower bound, now.
            ahead: what was offered for tomorrow, where it was.

        Returns:
            The plan of the day, and what own generators are expected to be able to give from the
            next period on, [market, periods left]; nothing where no plan was found.
        """
        wire, desk = self.world.sites[s], self.reserves.get(s)
        day = int(self.calendar.day_of[period])
        window = self._planners[s].window(period + 1)
        info = self.outlook.known(s, period)
        e = self.outlook.expect(info, s, period, window.begin, window.periods, view=self._views[s])
        e = replace(e, demand=self._not_held(s, plan, step, e.demand))
        begins = self._after(s, plan, step, soc_mwh + (desk.under_way_mwh() if desk else 0.0))
        left = len(plan.it_mw) - step - 1
        position, spread = self._sold(s, day, window, plan.day_ahead_mw[step + 1 :], info, ahead)
        x = plan_input(
            wire,
            e,
            window.means,
            window.hours,
            periods=left,
            soc_mwh=begins,
            position_mw=window.means(position),
            spread_eur_per_mwh=window.means(spread),
            offered=True,
            band=desk.band_over(window, e, begins, step + 1) if desk is not None else None,
        )
        x = self.transport.with_peak(s, day, x, window.firsts() >= period + 1 + left)
        newer = self._planners[s].plan(window, x)
        if newer is None:
            return None
        most = np.zeros((0, left)) if e.own is None else e.own.most_mw[:, :left]
        joined = plan.followed_by(step + 1, newer)
        if desk is not None:
            desk.follow(joined, soc_mwh + desk.under_way_mwh(), step)
        return joined, most

    def _after(self, s: int, plan: Plan, step: int, soc_mwh: float) -> float:
        """Energy that the battery will hold when this period ends, above its lower bound."""
        shape = self.world.sites[s].planner.shape
        if shape.battery_mw <= 0:
            return 0.0
        gained = plan.charge_mw[step] * shape.charge_efficiency
        gained -= plan.discharge_mw[step] / shape.discharge_efficiency
        return float(min(max(soc_mwh + 0.25 * gained, 0.0), shape.battery_mwh))

    def _not_held(self, s: int, plan: Plan, step: int, demand: Array) -> Array:
        """Work asked for, less what is held back now while the plan of the day holds on.

        Args:
            s: the site.
            plan: of the day.
            step: the period of the day that begins now.
            demand: accelerators asked for from the next period on, [classes, N].
        """
        groups = len(demand)
        kept = np.zeros(groups)
        for i in self.world.sites[s].pools:
            kept += self.world.twin.pools[i].kernel.state.group["kept"][:groups]
        holds = plan.holds_h[:, step + 1 :] > 0.0
        out = demand.copy()
        out[:, : holds.shape[1]] -= holds * kept[:, None]
        return np.maximum(out, 0.0)

    def _sold(
        self,
        s: int,
        day: int,
        window: Window,
        today: Array,
        info: Information,
        ahead: tuple[Offer, Array] | None,
    ) -> tuple[Array, Array]:
        """What stands bought over a window, and what trade beside it costs, per market period.

        Of tomorrow what the auction made of the offer, once its prices are out. Where nothing
        stands yet, trade costs the price alone: the auction is still to come.
        """
        position, spread = np.zeros(window.periods), np.zeros(window.periods)
        a_spread = self.world.twin.sites[s].intraday_spread_eur_per_mwh
        position[: len(today)], spread[: len(today)] = today, a_spread
        if ahead is None or day + 1 >= self.calendar.days:
            return position, spread
        span = self.calendar.day_slice(day + 1)
        if info.known("price") >= span.stop:
            tomorrow = self.outlook.position(s, day + 1, *ahead)
            at = slice(len(today), min(len(today) + len(tomorrow), window.periods))
            position[at], spread[at] = tomorrow[: at.stop - at.start], a_spread
        return position, spread


def told_again(
    day: int, step: int, every: int, plans: list[Plan], statuses: list[str]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The journal frame of plans made again: what they say until the next ones.

    Args:
        day: the local day.
        step: the period of the day in which they were made.
        every: periods until the next ones.
        plans: of the day, per site.
        statuses: `AGAIN` or `KEPT`, per site.
    """
    cut = slice(step + 1, step + 1 + every)
    arrays = {
        f"{name}.{s}": getattr(plan, name)[..., cut]
        for s, plan in enumerate(plans)
        for name in _TOLD
        if statuses[s] == AGAIN
    }
    return {"day": day, "step": step, "status": statuses}, arrays


__all__ = ["AGAIN", "KEPT", "Replanning", "told_again"]
