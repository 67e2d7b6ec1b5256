"""Wiring of balancing reserves: a factory's block and the reserve market become wires of a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from gigafactory.adapters.site import TwinSite
from gigafactory.factory.blocks import JobClassLabel
from gigafactory.factory.models import Factory, Reserves
from gigafactory.grid import MarketCalendar
from gigafactory.grid.ports import Direction
from gigafactory.grid.products import ProductRules, blocks, product_on
from gigafactory.grid.reserves import (
    Activation,
    ReserveSignals,
    activation_of,
    synthetic_reserves,
)
from gigafactory.grid.series import SourceRow
from gigafactory.grid.settlement import activated_share
from gigafactory.planner.reserving import Bidder
from gigafactory.planner.shape import ReserveShape, SiteShape
from gigafactory.units import S_PER_H

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Hours planned behind the day bid for.
TAIL_H = 12
_CLASSES = get_args(JobClassLabel)


@dataclass(frozen=True, slots=True, eq=False)
class ReserveWires:
    """What the loop needs to sell the reserves of a site.

    Attributes:
        block: the factory's block.
        shape: the site with its reserves.
        rules: of "fcr" and "afrr".
        bidder: makes the bids.
        signals: capacity prices and how hard FCR works.
        activation: what is activated of aFRR.
        called_share: share of a MW called per period, [P], by "up", "load" and "down".
        blocks: capacity block of each period, [P], by "fcr" and "afrr".
        sheds_share: share of a class's power at work that may be shed, by class number.
    """

    block: Reserves
    shape: SiteShape
    rules: Mapping[str, ProductRules]
    bidder: Bidder
    signals: ReserveSignals
    activation: Activation
    called_share: Mapping[str, Array]
    blocks: Mapping[str, Ints]
    sheds_share: Mapping[int, float]

    @property
    def metered(self) -> dict[str, Array]:
        """Capacity prices and calls by name, to be cut at the instant they are asked at."""
        prices = {f"{n}_price": self.signals.price(n).values for n in ("fcr", "up", "down")}
        # the price of energy activated is the imbalance price of its period, out when it has ended
        prices["up_paid"] = self.activation.up_eur_per_mwh
        prices["down_paid"] = self.activation.down_eur_per_mwh
        return prices | {f"{n}_called": share for n, share in self.called_share.items()}

    def sources(self, site: str) -> tuple[SourceRow, ...]:
        """Where prices, calls and product rules come from, one row each, named by the site."""
        rows = [*self.signals.sources()]
        for rules in self.rules.values():
            rows += rules.sources()
        share = float((self.called_share["up"] > 0.0).mean())
        words = (
            "read out of the imbalance price: it is that of the last bid activated (comcamenergy."
            "com, tennet.org, read second-hand)"
        )
        note = "share of the periods with a call on the bid up; not verified"
        called = SourceRow("signals.afrr_called", share, "", words, 2024, "assumption", note)
        return tuple(replace(row, figure=f"{row.figure}.{site}") for row in (*rows, called))


def reserve_wires(
    factory: Factory,
    site: str,
    shape: SiteShape,
    plant: TwinSite,
    calendar: MarketCalendar,
    seed: int,
) -> ReserveWires | None:
    """The wires of a site that sells reserves; none for one that does not."""
    mine = [one for one in factory.energy.reserves if one.site == site and one.sells]
    if not mine:
        return None
    block = mine[0]
    day = calendar.local_dates[0]
    rules = {name: product_on(name, day) for name in ("fcr", "afrr")}
    signals = synthetic_reserves(
        calendar,
        seed,
        rules["fcr"],
        rules["afrr"],
        fcr_eur_per_mw=block.fcr_price_eur_per_mw,
        up_eur_per_mwh=block.afrr_up_price_eur_per_mwh,
        down_eur_per_mwh=block.afrr_down_price_eur_per_mwh,
    )
    activation = activation_of(calendar, seed, plant.price_eur_per_mwh, plant.imbalance_eur_per_mwh)
    with_battery = block.battery_afrr and shape.battery_mw > 0
    there = replace(
        shape,
        reserves=ReserveShape(
            fcr=block.fcr_mw > 0,
            afrr_up=block.afrr_up_mw > 0,
            afrr_down=block.afrr_down_mw > 0,
            battery_afrr=with_battery,
            fcr_reservoir_h=block.fcr_reservoir_s / S_PER_H,
            afrr_reservoir_h=block.afrr_reservoir_s / S_PER_H,
        ),
    )
    return ReserveWires(
        block=block,
        shape=there,
        rules=rules,
        bidder=Bidder(there, rules, block.products_mw, sheds=bool(block.sheds), tail_h=TAIL_H),
        signals=signals,
        activation=activation,
        called_share=_called(block, plant.price_eur_per_mwh, activation),
        blocks={name: blocks(calendar, rules[name]) for name in rules},
        sheds_share=_sheds(block, shape),
    )


def _called(block: Reserves, price: Array, activation: Activation) -> dict[str, Array]:
    """Share of a MW called in every period: within the merit order, and then not all the time."""
    up, down = activation.up_eur_per_mwh, activation.down_eur_per_mwh
    asks = {
        "up": (price + block.up_markup_eur_per_mwh, up, Direction.UP),
        "load": (np.full(len(price), block.shed_bid_eur_per_mwh), up, Direction.UP),
        "down": (price - block.down_markdown_eur_per_mwh, down, Direction.DOWN),
    }
    return {
        name: block.called_share * activated_share(bid, marginal, way)
        for name, (bid, marginal, way) in asks.items()
    }


def _sheds(block: Reserves, shape: SiteShape) -> dict[int, float]:
    """Share of a class's power at work that may be shed: the block's, and what slowing can give."""
    asked = {str(label): share for label, share in block.sheds.items()}
    found = {}
    for g, label in enumerate(_CLASSES):
        watts = shape.groups[g].active_w
        share = min(asked.get(label, 0.0), 1.0 - watts[0] / watts[-1] if watts[-1] > 0 else 0.0)
        if share > 0.0:
            found[g] = share
    return found


def settle_imbalance(
    factory: Factory, plant: TwinSite, calendar: MarketCalendar, seed: int
) -> None:
    """Set the imbalance prices of a site by the market block: one or two, and its share of them.

    The share of the difference between imbalance and day-ahead price that does not fall on the site
    is borne by its balance responsible party.
    """
    market, base = factory.energy.market, plant.price_eur_per_mwh
    short = long = plant.imbalance_eur_per_mwh
    if market.imbalance_pricing == "dual":
        found = activation_of(calendar, seed, base, plant.imbalance_eur_per_mwh)
        short, long = found.short_eur_per_mwh, found.long_eur_per_mwh
    share = market.imbalance_exposure
    if share < 1.0:
        short, long = base + share * (short - base), base + share * (long - base)
    plant.short_eur_per_mwh, plant.long_eur_per_mwh = short, long


__all__ = ["TAIL_H", "ReserveWires", "reserve_wires", "settle_imbalance"]
