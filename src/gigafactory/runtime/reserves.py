"""The reserve desk of a site: bids the day before, keeps what was sold, says what is called.

Everything bid rests on `Information` cut at the gate. The auctions answer at once, since their
results are out before the next gate; both are journaled. What is sold stands in the plan of the day
and in the offer at the day-ahead gate as a band (`planner.band`). What activation takes out of the
battery, or puts into it, is traded back after the day-ahead auction, a market period later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.reserves import Called
from gigafactory.grid import MarketCalendar
from gigafactory.kernel import FULL_SPEED
from gigafactory.planner import Information, Plan, PoolView
from gigafactory.planner.band import Band, Promise, band_of, reservoir_mwh
from gigafactory.planner.reserving import DAY_H, STEP_H, Ahead, Bidder, Bids, called_worth
from gigafactory.planner.rolling import Window
from gigafactory.runtime.outlook import PER_HOUR, Expected, Outlook, expected_load, hourly
from gigafactory.runtime.reservewires import TAIL_H, ReserveWires
from gigafactory.runtime.wiring import CLASSES, World

Array = npt.NDArray[np.float64]

#: Days of past prices and calls that expectations are made of.
PAST_DAYS = 28
#: Time in which the battery is brought back to its planned course, h, and below what it is left.
BACK_H, LEAVE_MWH = 1.0, 0.05
#: Days whose spread of prices is taken as usual, and how far a course is stretched at most.
SPREAD_DAYS, MOST_SPREAD = 14, 3.0
#: Probability with which the load leaves the room that is sold.
LOAD_QUANTILE, LEAST_QUANTILE = 0.9, 0.1
_KINDS = ("fcr_mw", "up_mw", "load_mw", "down_mw")


@dataclass(frozen=True, slots=True)
class Sale:
    """What came of an auction: the `reserve` frames of the journal, and the rows of a report.

    Attributes:
        site: number of the site.
        day: local day of delivery.
        auction: "fcr" or "afrr".
        status: of the bids.
        sold_mwh: MW sold times hours, by product.
        cost_eur: what it was expected to cost the other markets, by product.
    """

    site: int
    day: int
    auction: str
    status: str
    sold_mwh: dict[str, float]
    cost_eur: dict[str, float]

    def fields(self) -> dict[str, Any]:
        """As the fields of a journal frame."""
        return {n: getattr(self, n) for n in self.__slots__}

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Sale:
        """Read back from the fields of a journal frame."""
        return cls(**{n: fields[n] for n in cls.__slots__})


class ReserveDesk:
    """Sells the reserves of one site.

    Args:
        world: the wired factory.
        calendar: its market periods.
        site: number of the site; it sells reserves.
        outlook: what may be expected.
        bidder_on: who bids for a day of delivery; None is the same for every day.
    """

    def __init__(
        self,
        world: World,
        calendar: MarketCalendar,
        site: int,
        outlook: Outlook,
        bidder_on: Callable[[int], Bidder] | None = None,
    ) -> None:
        wires = world.sites[site].reserves
        assert wires is not None, "a site that sells nothing has no desk"
        self.world, self.calendar, self.site, self.outlook = world, calendar, site, outlook
        self.wires: ReserveWires = wires
        self.bidder_on = bidder_on or (lambda _: wires.bidder)
        self.today = self.tomorrow = Promise.none(0)
        self.back_mw = 0.0
        self._today: list[Called] = []
        self._seen: Ahead | None = None
        self._course_mwh = np.zeros(0)
        self._low_mwh = self._high_mwh = np.zeros(0)

    def gates(self) -> list[tuple[float, str]]:
        """Local hours of the gates in their order, and the auction that each closes."""
        sold = {"fcr": ("fcr",), "afrr": ("up", "down")}
        power = self.wires.block.products_mw
        return sorted(
            (rules.capacity_gate_time_h, name)
            for name, rules in self.wires.rules.items()
            if any(power[product] > 0 for product in sold[name])
        )

    @property
    def calls(self) -> Sequence[Called]:
        """What is sold and called in every period of today."""
        return self._today

    # --- the day ------------------------------------------------------------------------------

    def begin(self, day: int) -> None:
        """What was sold for tomorrow is what is sold today."""
        span = self.calendar.day_slice(day)
        n = span.stop - span.start
        self.today = self.tomorrow if len(self.tomorrow.fcr_mw) == n else Promise.none(n)
        self.tomorrow = Promise.none(0)
        self._today = self._calls(span)

    def band(self, hours: Array, e: Expected, soc_mwh: float, n: int) -> Band | None:
        """The band of the plan of a day, over all its steps; none where nothing is sold.

        Args:
            hours: length of each step, h.
            e: what is expected of the day.
            soc_mwh: energy in the battery above its lower bound, when the day begins.
            n: market periods of the day.
        """
        if not self.today.anything:
            return None
        steps = len(hours)
        promise = Promise(*(np.append(getattr(self.today, k), np.zeros(steps - n)) for k in _KINDS))
        load = expected_load(self.world.sites[self.site], e)
        room = np.zeros(steps)
        room[:n] = (e.limit_mw - load)[:n]
        return band_of(self.wires.shape, promise, hours, soc_mwh, room)

    def band_over(self, window: Window, e: Expected, soc_mwh: float, step: int) -> Band | None:
        """The band of a plan made again; none where nothing is sold.

        Args:
            window: what it reaches over.
            e: what is expected of its market periods.
            soc_mwh: energy in the battery above its lower bound, when it begins.
            step: period of today with which it begins.
        """
        parts = []
        for kind in _KINDS:
            sold = np.append(getattr(self.today, kind)[step:], getattr(self.tomorrow, kind))
            values = np.zeros(window.periods)
            values[: len(sold)] = sold[: window.periods]
            parts.append(window.most(values))  # sold in any part of a step is kept all of it
        promise = Promise(*parts)
        if not promise.anything:
            return None
        room = window.means(e.limit_mw - expected_load(self.world.sites[self.site], e))
        return band_of(self.wires.shape, promise, window.hours, soc_mwh, room)

    def under_way_mwh(self) -> float:
        """Energy that what is traded back in this period puts into the battery."""
        shape = self.wires.shape
        gain = shape.charge_efficiency if self.back_mw > 0 else 1.0 / shape.discharge_efficiency
        return self.back_mw * gain / PER_HOUR

    def follow(self, plan: Plan, soc_mwh: float, step: int = 0) -> None:
        """Note the course of the battery that a plan leads to, and what it keeps on the way.

        Args:
            plan: of the day.
            soc_mwh: energy in the battery above its lower bound, when a period begins; with what is
                traded back in it.
            step: the period of the day.
        """
        shape = self.wires.shape
        gained = plan.charge_mw[step:] * shape.charge_efficiency
        gained = gained - plan.discharge_mw[step:] / shape.discharge_efficiency
        course = np.append(soc_mwh, soc_mwh + np.cumsum(gained) * 0.25)
        before = self._course_mwh[:step]
        self._course_mwh = np.clip(np.append(before, course), 0.0, shape.battery_mwh)
        self._low_mwh, space = reservoir_mwh(shape, self.today)
        self._high_mwh = shape.battery_mwh - space

    # --- the gates ----------------------------------------------------------------------------

    def promise_ahead(self, step_h: int = 1) -> Promise | None:
        """What is sold over the steps of tomorrow and those planned behind it."""
        if not self.tomorrow.anything:
            return None
        day = self.tomorrow
        cut = min(len(day.fcr_mw), DAY_H * PER_HOUR)
        parts = []
        for kind in _KINDS:
            values = np.zeros((DAY_H + TAIL_H) * PER_HOUR)
            values[:cut] = getattr(day, kind)[:cut]
            # what is sold in any part of a step is kept all of it
            parts.append(values.reshape(-1, PER_HOUR * step_h).max(axis=1))
        return Promise(*parts)

    def bid(self, auction: str, now: int, day: int, soc_mwh: float) -> tuple[Sale, dict[str, Any]]:
        """Bid in an auction for a later day, and take its answer.

        Args:
            auction: "fcr" or "afrr".
            now: the market period that begins now.
            day: local day of delivery.
            soc_mwh: energy expected in the battery when it begins, above its lower bound.

        Returns:
            What came of it, and the arrays of its journal frame.
        """
        span = self.calendar.day_slice(day)
        if len(self.tomorrow.fcr_mw) != span.stop - span.start:
            self.tomorrow = Promise.none(span.stop - span.start)
        if auction == self.gates()[0][1]:
            info = self.outlook.known(self.site, now)
            self._seen = self._ahead(info, now, span, soc_mwh)
        # the second gate closes an hour after the first: it looks through the same glass
        assert self._seen is not None, "the first auction of a day looks ahead"
        ahead = replace(self._seen, soc_mwh=soc_mwh)
        bidder = self.bidder_on(day)
        if auction == "fcr":
            bids = bidder.fcr(ahead)
        else:
            sold = self.promise_ahead(STEP_H) or Promise.none(bidder.steps)
            bids = bidder.afrr(ahead, sold)
        won = bids.accepted_mw(self._clearing(auction, bids, span))
        self._take(auction, won, ahead, span)
        return self._told(auction, day, bids, won, span)

    def _ahead(self, info: Information, now: int, span: slice, soc_mwh: float) -> Ahead:
        """What is expected of the steps from a day's first on, as it is known now."""
        wire, block = self.world.sites[self.site], self.wires.block
        count = (DAY_H + TAIL_H) * PER_HOUR
        e = self.outlook.expect(
            info, self.site, now, span.start, count, "mean_course", LOAD_QUANTILE, contracts=False
        )
        load = expected_load(wire, e)
        shape = wire.planner.shape
        shed = np.zeros(count)
        if (
            self.wires.sheds_share
        ):  # only work that runs can be slowed: here little is the careful view
            least = self.outlook.expect(
                info, self.site, now, span.start, count, "mean_course", LEAST_QUANTILE,
                contracts=False,
            )  # fmt: skip
            for g, share in self.wires.sheds_share.items():
                shed += share * shape.groups[g].active_w[-1] * least.demand[g]
        return Ahead(
            price_eur_per_mwh=self._spread_out(info, _steps(e.price_eur_per_mwh)),
            load_mw=_steps(load),
            limit_mw=_steps(e.limit_mw - block.load_margin * load),
            export_mw=np.full(self.wires.bidder.steps, wire.export_mw),
            shed_mw=_steps(shed) * shape.site_per_it / 1e6,
            soc_mwh=soc_mwh,
            capacity_eur_per_mwh={n: self._usual(info, n) for n in ("fcr", "up", "down")},
            energy_eur_per_mwh={n: self._worth(info, n) for n in ("up", "down")},
        )

    def _spread_out(self, info: Information, price: Array) -> Array:
        """An expected course of prices, stretched to the spread that days have had of late.

        What is expected is smoother than any day will be, and the battery runs on what comes: on
        the smooth course a reserve would look as if it cost its schedule next to nothing.
        """
        a_day = DAY_H * PER_HOUR
        past = info.history("price", SPREAD_DAYS * a_day)
        whole = len(past) // a_day * a_day
        mean = float(price.mean())
        own = float(price[: self.wires.bidder.day_steps].std())
        if not whole or own <= 0.0:
            return price
        days = past[len(past) - whole :].reshape(-1, DAY_H // STEP_H, PER_HOUR * STEP_H)
        usual = float(days.mean(axis=2).std(axis=1).mean())
        return np.asarray(mean + (price - mean) * min(max(usual / own, 1.0), MOST_SPREAD))

    def _usual(self, info: Information, product: str) -> Array:
        """Expected price of a product per block: its mean of late, the file's level before that."""
        auction = "fcr" if product == "fcr" else "afrr"
        a_day = self.wires.bidder.blocks[auction]
        block = self.wires.block
        level = {
            "fcr": block.fcr_price_eur_per_mw / (DAY_H / a_day),
            "up": block.afrr_up_price_eur_per_mwh,
            "down": block.afrr_down_price_eur_per_mwh,
        }[product]
        known = info.history(f"{product}_price", PAST_DAYS * DAY_H * PER_HOUR)
        of = self.wires.blocks[auction][info.known(f"{product}_price") - len(known) :][: len(known)]
        of = of % a_day
        count = np.bincount(of, minlength=a_day)
        total = np.bincount(of, known, a_day)
        return np.where(count > 0, total / np.maximum(count, 1), level)

    def _worth(self, info: Information, way: str) -> float:
        """What a MW's energy earned per hour of late, had it been sold."""
        periods = PAST_DAYS * DAY_H * PER_HOUR
        called = info.history(f"{way}_called", periods)
        n = len(called)
        first = info.known(f"{way}_called") - n
        if n == 0:
            return 0.0
        price = info.history("price")[first : first + n]
        paid = info.history(f"{way}_paid", periods)
        spread = self.world.twin.sites[self.site].intraday_spread_eur_per_mwh
        return called_worth(called, price, paid, self.wires.shape, spread, way == "up")

    def _clearing(self, auction: str, bids: Bids, span: slice) -> dict[str, Array]:
        """Clearing price per MW and block: the sum over its hours of the price per hour."""
        first = self._local_block(auction, span)
        count = self.wires.bidder.blocks[auction]
        hours = 1.0 / PER_HOUR
        return {
            name: np.bincount(
                first, self.wires.signals.price(name).values[span] * hours, count
            ).astype(np.float64)
            for name in bids.power_mw
        }

    def _local_block(self, auction: str, span: slice) -> npt.NDArray[np.int64]:
        """Block of the day of each of its periods, from 0."""
        return self.wires.blocks[auction][span] % self.wires.bidder.blocks[auction]

    def _take(self, auction: str, won: dict[str, Array], ahead: Ahead, span: slice) -> None:
        """Note what was sold, per period of tomorrow."""
        at = self._local_block(auction, span)
        if auction == "fcr":
            self.tomorrow = replace(self.tomorrow, fcr_mw=won["fcr"][at])
            return
        none = np.zeros(len(at))
        up = won["up"][at] if "up" in won else none
        down = won["down"][at] if "down" in won else none
        # work carries what it may at its least hour; the battery has the rest
        spare = (
            float(ahead.shed_mw[: self.wires.bidder.day_steps].min())
            if self.wires.sheds_share
            else 0.0
        )
        load = np.minimum(up, spare)
        if not self.wires.block.battery_afrr:
            up = load
        self.tomorrow = replace(self.tomorrow, up_mw=up - load, load_mw=load, down_mw=down)

    def _told(
        self, auction: str, day: int, bids: Bids, won: dict[str, Array], span: slice
    ) -> tuple[Sale, dict[str, Any]]:
        at = self._local_block(auction, span)
        hours = np.bincount(at, minlength=self.wires.bidder.blocks[auction]) / PER_HOUR
        sold = {name: float((power * hours).sum()) for name, power in won.items()}
        cost = {
            name: float((power * bids.cost_eur_per_mw[name]).sum()) for name, power in won.items()
        }
        arrays = {f"bid_mw.{n}": power for n, power in bids.power_mw.items()}
        arrays |= {f"ask_eur_per_mw.{n}": ask for n, ask in bids.ask_eur_per_mw.items()}
        arrays |= {f"won_mw.{n}": power for n, power in won.items()}
        return Sale(self.site, day, auction, bids.status, sold, cost), arrays

    # --- the period ---------------------------------------------------------------------------

    def schedule(
        self, plan: Plan, step: int, soc_mwh: float, room_mw: float
    ) -> tuple[float, float, float]:
        """Charge and discharge of the schedule in a period, and what of it is traded back.

        The schedule leaves what was sold alone: in power, and in energy both ways.

        Args:
            plan: of the day.
            step: period of the day.
            soc_mwh: energy in the battery above its lower bound.
            room_mw: what the connection leaves beside the load there is now.
        """
        shape, today = self.wires.shape, self.today
        planned = float(plan.charge_mw[step] - plan.discharge_mw[step])
        wish = planned + self.back_mw
        free = max(float(self._high_mwh[step]) - soc_mwh, 0.0) / shape.charge_efficiency
        most = shape.battery_mw - float(today.fcr_mw[step] + today.down_mw[step])
        stock = max(soc_mwh - float(self._low_mwh[step]), 0.0) * shape.discharge_efficiency
        least = shape.battery_mw - float(today.fcr_mw[step] + today.up_mw[step])
        room = room_mw - float(today.fcr_mw[step] + today.down_mw[step])
        wish = min(wish, max(min(most, room), 0.0), free * PER_HOUR)
        wish = max(wish, -max(least, 0.0), -stock * PER_HOUR)
        return max(wish, 0.0), max(-wish, 0.0), self.back_mw

    def spare_mw(self, step: int, soc_mwh: float) -> float:
        """What the battery may give to defend the connection, beside what was sold."""
        shape, today = self.wires.shape, self.today
        power = shape.battery_mw - float(today.fcr_mw[step] + today.up_mw[step])
        stock = max(soc_mwh - float(self._low_mwh[step]), 0.0) * shape.discharge_efficiency
        return max(min(power, stock * PER_HOUR), 0.0)

    def look(self, plan: Plan, step: int, soc_mwh: float, room_mw: float) -> None:
        """Order what the next period trades back, seen from the start of this one.

        Args:
            plan: of the day.
            step: this period of the day.
            soc_mwh: energy in the battery above its lower bound, now.
            room_mw: what the connection leaves beside the load there is now.
        """
        shape, ahead = self.wires.shape, step + 1
        under_way_mwh, self.back_mw = self.under_way_mwh(), 0.0
        if ahead >= len(plan.charge_mw):
            return
        off = soc_mwh + under_way_mwh - float(self._course_mwh[step])
        if abs(off) < LEAVE_MWH:
            return
        if off < 0:
            wish = -off / (shape.charge_efficiency * BACK_H)
        else:
            wish = -off * shape.discharge_efficiency / BACK_H
        planned = float(plan.charge_mw[ahead] - plan.discharge_mw[ahead])
        today = self.today
        most = shape.battery_mw - float(today.fcr_mw[ahead] + today.down_mw[ahead])
        least = shape.battery_mw - float(today.fcr_mw[ahead] + today.up_mw[ahead])
        room = room_mw - float(today.fcr_mw[ahead] + today.down_mw[ahead])
        if wish > 0:
            self.back_mw = max(min(wish, most - planned, room - planned), 0.0)
        else:
            self.back_mw = min(max(wish, -least - planned), 0.0)

    def _calls(self, span: slice) -> list[Called]:
        """What is sold and called in every period of today."""
        wires, work, today = self.wires, self.wires.signals.work, self.today
        rules, signals = wires.rules, wires.signals
        reservoir_h = (rules["fcr"].reservoir_min / 60, rules["afrr"].reservoir_min / 60)

        def rows(*columns: Array) -> list[Any]:
            return list(zip(*(c.tolist() for c in columns), strict=True))

        sold = rows(today.fcr_mw, today.up_mw, today.load_mw, today.down_mw)
        works = rows(
            work.up_time_share[span],
            work.up_depth[span],
            work.down_time_share[span],
            work.down_depth[span],
        )
        shares = rows(*(wires.called_share[n][span] for n in ("up", "load", "down")))
        prices = rows(*(signals.price(n).values[span] for n in ("fcr", "up", "down")))
        energy = rows(
            np.nan_to_num(wires.activation.up_eur_per_mwh[span]),
            np.nan_to_num(wires.activation.down_eur_per_mwh[span]),
        )
        penalty = wires.block.penalty_factor
        return [
            Called(
                fcr_mw=mw[0],
                up_mw=mw[1],
                load_mw=mw[2],
                down_mw=mw[3],
                fcr_work_share=fcr_work_share,
                up_share=share[0],
                load_share=share[1],
                down_share=share[2],
                price_eur_per_mwh=price,
                energy_eur_per_mwh=paid,
                reservoir_h=reservoir_h,
                penalty_factor=penalty,
            )
            for mw, fcr_work_share, share, price, paid in zip(
                sold, works, shares, prices, energy, strict=True
            )
        ]

    def called(self, step: int, pools: list[PoolView]) -> tuple[Called, Any]:
        """What is sold and called in a period of today, and the speeds it asks of the classes."""
        called = self._today[step]
        if called.load_mw <= 0.0 or called.load_share <= 0.0:
            return called, None
        speed, drop = self._slow(called.load_mw * called.load_share, pools)
        return replace(called, drop_w=drop), speed

    def _slow(self, asked_mw: float, pools: list[PoolView]) -> tuple[Any, Array]:
        """Speeds of the classes that shed a power, and the W each accelerator drops by them."""
        shape = self.wires.shape
        steps = np.arange(FULL_SPEED + 1)
        saved = np.zeros(FULL_SPEED + 1)
        floor = {}
        for g in self.wires.sheds_share:
            low = int(np.ceil(shape.groups[g].speed[0] * FULL_SPEED - 1e-9))
            floor[g] = low
            for pool in pools:
                full = pool.power_mw[g, -1] - pool.power_mw[g, np.maximum(steps, low)]
                saved += pool.running[g] * full / 1e9 * shape.site_per_it
        enough = np.flatnonzero(saved >= asked_mw)
        at = int(enough[-1]) if len(enough) else 0
        speed = np.full(len(CLASSES), FULL_SPEED, np.int64)
        drop = np.zeros((len(pools), len(CLASSES)))
        for g, low in floor.items():
            speed[g] = max(at, low)
            for i, pool in enumerate(pools):
                watts = (pool.power_mw[g, -1] - pool.power_mw[g, speed[g]]) / 1e3
                drop[i, g] = watts * shape.site_per_it
        return speed, drop

    # --- snapshot -----------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """What is sold for tomorrow, and what is traded back, at the end of a day."""
        return {k: getattr(self.tomorrow, k) for k in _KINDS}, {"back_mw": self.back_mw}

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""
        self.tomorrow = Promise(*(np.asarray(arrays[k]) for k in _KINDS))
        self.back_mw = float(fields["back_mw"])


def _steps(values: Array) -> Array:
    """Means over the steps of a bid."""
    return np.asarray(hourly(values).reshape(-1, STEP_H).mean(axis=1))


__all__ = ["ReserveDesk", "Sale"]
