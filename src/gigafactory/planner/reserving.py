"""Bids for balancing capacity: how much of each product, and at what price, the day before.

Two auctions, one after the other, each with a programme over the next day and half the day after.
The first offers FCR by its blocks, with aFRR in the programme at what it is expected to pay, so
that FCR does not take what aFRR pays better; the second offers aFRR beside the FCR that was sold,
which stands as a promise outside the columns.

A bid asks what it costs: the programme is solved with the bids held and once more without each of
them. The difference is what energy costs more because of it (schedules not run, wear), less what
its energy is expected to earn. Where an auction clears below that, the bid is not accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.grid.products import ProductRules, bid_mw
from gigafactory.planner.band import Promise
from gigafactory.planner.numbers import Numbers
from gigafactory.planner.shape import GroupShape, Horizon, SiteShape
from gigafactory.planner.solving import LineSolver, Solution

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_H: Final = 24
#: Length of a step: half of the shortest block. A battery of four hours loses little by it, and the
#: bids of a day are found in a third of the time that steps of an hour take.
STEP_H: Final = 2
#: Mean share of the FCR sold at which it works, both ways (netzfrequenz.info, 14 June 2016,
#: measured): half of it is energy given, with its wear.
FCR_WORK_SHARE: Final = 0.096


@dataclass(frozen=True, slots=True, eq=False)
class Bids:
    """What is offered in one auction.

    Attributes:
        power_mw: per product and block, MW, [B] each; 0 where nothing is offered.
        ask_eur_per_mw: least capacity price per MW and block at which it is sold, [B] each.
        cost_eur_per_mw: what it is expected to cost the other markets, before what energy called is
            expected to earn, [B] each.
        status: "optimal", or "no bid" where the programme has no solution.
    """

    power_mw: dict[str, Array]
    ask_eur_per_mw: dict[str, Array]
    cost_eur_per_mw: dict[str, Array]
    status: str

    def accepted_mw(self, price_eur_per_mw: Mapping[str, Array]) -> dict[str, Array]:
        """What an auction takes at its clearing prices per MW and block: all of a bid or nothing.

        Our own bid is taken not to move the price.
        """
        return {
            name: np.where(price_eur_per_mw[name] >= self.ask_eur_per_mw[name], power, 0.0)
            for name, power in self.power_mw.items()
        }


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What is expected of a site over the steps planned, as it is known at the gate; [T] each.

    Attributes:
        price_eur_per_mwh: day-ahead price.
        load_mw: what the site draws with its work.
        limit_mw: import limit, a margin taken off.
        export_mw: export limit.
        shed_mw: power that work may shed, at the connection.
        soc_mwh: energy in the battery when the day begins, above its lower bound.
        capacity_eur_per_mwh: expected price per MW and hour of each product, one number each.
        energy_eur_per_mwh: expected worth of aFRR's energy per MW and hour, "up" and "down".
    """

    price_eur_per_mwh: Array
    load_mw: Array
    limit_mw: Array
    export_mw: Array
    shed_mw: Array
    soc_mwh: float
    capacity_eur_per_mwh: Mapping[str, Array]
    energy_eur_per_mwh: Mapping[str, float]


class Bidder:
    """Bids for one site, day after day.

    Args:
        shape: the site, with its reserves.
        rules: of "fcr" and "afrr".
        prequalified_mw: by product: "fcr", "up", "down".
        sheds: whether work may carry aFRR up.
        tail_h: hours planned behind the day.
    """

    def __init__(
        self,
        shape: SiteShape,
        rules: Mapping[str, ProductRules],
        prequalified_mw: Mapping[str, float],
        *,
        sheds: bool,
        tail_h: int,
    ) -> None:
        assert shape.reserves is not None, "a site that sells nothing has no bidder"
        self.rules, self.prequalified_mw = rules, prequalified_mw
        group = GroupShape("shed", (1.0,), (1e6,), 0.0, sheds=1.0)  # one unit is one MW of IT
        bare = replace(shape, contracts=0, contract_price_eur_per_mwh=(), peaks=False,
                       contract_curtail_eur_per_mwh=(), intraday=False)  # fmt: skip
        self.shape = replace(bare, groups=(group,) if sheds else ())
        self.day_steps, self.steps = DAY_H // STEP_H, (DAY_H + tail_h) // STEP_H
        hours = np.full(self.steps, float(STEP_H))
        self.blocks = {name: max(1, round(24 * 60 / r.block_min)) for name, r in rules.items()}
        self._block_h = {name: DAY_H // count for name, count in self.blocks.items()}
        self._solver = {}
        for name, length in self._block_h.items():
            block = np.full(self.steps, -1, np.int64)
            block[: self.day_steps] = np.arange(self.day_steps) * STEP_H // length
            r = replace(shape.reserves, fcr=shape.reserves.fcr and name == "fcr")
            there = replace(self.shape, reserves=r)
            line = Horizon.line(hours, block=block)
            self._solver[name] = LineSolver([there], line, warm=True)

    def fcr(self, ahead: Ahead) -> Bids:
        """Bids for FCR, when nothing is sold yet."""
        return self._bids("fcr", ("fcr",), ahead, Promise.none(self.steps))

    def afrr(self, ahead: Ahead, sold: Promise) -> Bids:
        """Bids for aFRR up and down, beside the FCR that is sold over the steps, [T]."""
        products = tuple(n for n in ("up", "down") if self.prequalified_mw.get(n, 0.0) > 0)
        return self._bids("afrr", products, ahead, sold)

    def _bids(self, auction: str, products: tuple[str, ...], ahead: Ahead, sold: Promise) -> Bids:
        count = self.blocks[auction]
        none = {name: np.zeros(count) for name in products}
        solver = self._solver[auction]
        solver.forget()  # a bid depends on its own numbers alone, so a resumed run repeats it
        x = self._numbers(auction, ahead, sold)
        found = solver.solve([x])
        if found is None:
            return Bids(none, none, none, "no bid")
        offered = {
            name: bid_mw(
                # a solver's 3 may be a hair less; what is bid is whole
                np.round(np.maximum(found.spanned(0, name), 0.0), 9),
                self.rules[auction],
                prequalified_mw=self.prequalified_mw[name],
            )
            for name in products
        }
        costs = self._costs(solver, found, offered)
        if costs is None:
            return Bids(none, none, none, "no bid")
        length = self._block_h[auction]
        asks = {
            name: np.maximum(cost - self._worth(name, ahead) * length, 0.0)
            for name, cost in costs.items()
        }
        return Bids(offered, asks, costs, "optimal")

    def _numbers(self, auction: str, ahead: Ahead, sold: Promise) -> Numbers:
        s, x = self.shape, Numbers.plain(self.shape, self.steps)
        length, count = self._block_h[auction], self.blocks[auction]
        x.import_eur_per_mwh = ahead.price_eur_per_mwh + s.levy_eur_per_mwh
        x.export_eur_per_mwh = ahead.price_eur_per_mwh - s.export_margin_eur_per_mwh
        x.limit_mw, x.export_mw = ahead.limit_mw, ahead.export_mw
        x.load_mw, x.soc_mwh = ahead.load_mw, ahead.soc_mwh
        if s.groups:  # what may be shed is part of the load, and runs whatever it costs
            shed = ahead.shed_mw / s.site_per_it
            x.load_mw = ahead.load_mw - ahead.shed_mw
            x.most, x.arrivals_gpu_h = shed[None, :], shed[None, :] * STEP_H
            x.backlog_most = np.zeros((1, self.steps))
        x.soc_eur_per_mwh = s.stored_eur_per_mwh(
            float(ahead.price_eur_per_mwh[self.day_steps :].mean())
        )
        x.promised_mw = {"fcr": sold.fcr_mw}
        x.stored_mw = np.maximum(sold.fcr_mw, np.append(sold.fcr_mw[1:], 0.0))
        carried = self._carried(ahead, sold)
        for name in ("fcr", "up", "down"):
            price = ahead.capacity_eur_per_mwh.get(name, np.zeros(1))
            each = price[np.arange(count) * len(price) // count] + self._worth(name, ahead)
            x.product_eur_per_mw[name] = np.maximum(each, 0.0) * length
            most = min(self.prequalified_mw.get(name, 0.0), carried[name])
            x.sells_mw[name] = np.full(count, max(most, 0.0))
        return x

    def _carried(self, ahead: Ahead, sold: Promise) -> dict[str, float]:
        """Most of each product that battery and work can give at all, MW.

        A schedule that charges could be turned round by more than the battery's power; what is
        sold is kept by the battery at rest, so that no schedule has to.
        """
        power = self.shape.battery_mw
        left = power - float(sold.fcr_mw.max(initial=0.0))
        spare = (
            float(ahead.shed_mw[: self.day_steps].max(initial=0.0)) if self.shape.groups else 0.0
        )
        return {"fcr": power, "up": left + spare, "down": left}

    def _worth(self, name: str, ahead: Ahead) -> float:
        """What energy called is expected to earn per MW and hour; FCR's is only wear."""
        if name == "fcr":
            return -0.5 * FCR_WORK_SHARE * self.shape.wear_eur_per_mwh
        return ahead.energy_eur_per_mwh.get(name, 0.0)

    @staticmethod
    def _costs(
        solver: LineSolver, found: Solution, offered: Mapping[str, Array]
    ) -> dict[str, Array] | None:
        """Cost per MW of every bid: that of all bids held, less that without this one."""
        keys = [k for k in found.program.spanning if k[1] in ("fcr", "up", "down")]
        columns = np.array([found.program.spanning[k] for k in keys], np.int32)
        held = np.array([offered[k[1]][k[2]] if k[1] in offered else 0.0 for k in keys])
        free = np.zeros(len(keys))
        costs = {name: np.zeros(len(power)) for name, power in offered.items()}
        if not held.any():
            return costs
        whole = solver.solve_changed(columns, free, held, held)
        if whole is None:
            return None
        for at, (_, name, block) in enumerate(keys):
            if held[at] <= 0.0:
                continue
            less = held.copy()
            less[at] = 0.0
            without = solver.solve_changed(columns, free, less, less)
            if without is None:
                return None
            more = whole.objective_eur - without.objective_eur
            costs[name][block] = max(more, 0.0) / held[at]
        return costs


def called_worth(
    called_share: Array,
    price_eur_per_mwh: Array,
    energy_eur_per_mwh: Array,
    shape: SiteShape,
    spread_eur_per_mwh: float,
    up: bool,
) -> float:
    """What aFRR's energy earned per MW and hour, traded back at the day-ahead price and its spread.

    Args:
        called_share: share of a MW that was called in past periods, [N].
        price_eur_per_mwh: day-ahead prices then, [N].
        energy_eur_per_mwh: prices of energy activated then, [N]; nan where there was none.
        shape: for losses and wear.
        spread_eur_per_mwh: what trade after the auction costs.
        up: upwards, or downwards.
    """
    on = called_share > 0.0
    if not on.any():
        return 0.0
    price, paid, share = price_eur_per_mwh[on], energy_eur_per_mwh[on], called_share[on]
    lost = 1.0 / (shape.charge_efficiency * shape.discharge_efficiency)
    if up:  # a MWh given is bought back, with what is lost on the way
        each = paid - lost * (price + spread_eur_per_mwh) - shape.wear_eur_per_mwh
        each = each - (lost - 1.0) * shape.levy_eur_per_mwh
    else:  # a MWh taken is given later, less what is lost on the way
        each = (price - spread_eur_per_mwh - shape.wear_eur_per_mwh) / lost - paid
        each = each - (1.0 - 1.0 / lost) * shape.levy_eur_per_mwh
    return float((share * each).sum() / len(called_share))


__all__ = ["DAY_H", "STEP_H", "Ahead", "Bidder", "Bids", "called_worth"]
