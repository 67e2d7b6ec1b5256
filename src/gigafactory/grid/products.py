"""Balancing products and energy markets: the rules in force on a local day, blocks and bids.

The figures stand in ``data/products.yaml``, each with its source, year, mark and first day. mFRR is
left out; asking for it says why.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import yaml

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.figures import DATA, Figure, bundled, source_rows
from gigafactory.grid.ports import Direction
from gigafactory.grid.series import SourceRow

Array = npt.NDArray[np.float64]

_FILE: Final = "products.yaml"
BALANCING: Final = ("fcr", "afrr")
MARKETS: Final = ("day_ahead", "intraday")
#: What rounding may take from a bid before a whole step of it is lost, in steps.
_SLACK: Final = 1e-9
_MIN_PER_DAY: Final = 1440


@dataclass(frozen=True, slots=True)
class ProductRules:
    """The rules of one balancing product on one local day.

    Attributes:
        name: "fcr" or "afrr".
        day: the local day of delivery they hold on.
        symmetric: whether one bid offers both directions.
        block_min: length of a capacity block in local wall-clock minutes; divides a day.
        bid_min_mw: smallest bid, MW.
        bid_step_mw: granularity of bids, MW.
        full_activation_s: time to full delivery, s.
        full_deviation_hz: frequency deviation of full delivery, Hz; 0 where a setpoint is followed.
        insensitivity_hz: deviation within which nothing need be delivered, Hz.
        reservoir_min: minutes at full power, each way, that a limited energy reservoir must hold.
        setpoint_s: time between two setpoints, s; 0 where the frequency is followed.
        capacity_gate_time_h: local hour the day before by which capacity is offered.
        energy_period_min: validity of an energy bid, min; 0 where there are none.
        energy_gate_min: minutes before delivery by which energy is offered.
        figures: the figures with their origins, by name.
    """

    name: str
    day: dt.date
    symmetric: bool
    block_min: float
    bid_min_mw: float
    bid_step_mw: float
    full_activation_s: float
    full_deviation_hz: float
    insensitivity_hz: float
    reservoir_min: float
    setpoint_s: float
    capacity_gate_time_h: float
    energy_period_min: float
    energy_gate_min: float
    figures: Mapping[str, Figure]

    @property
    def directions(self) -> tuple[Direction, ...]:
        """What is sold: one symmetric product, or up and down apart."""
        return (Direction.SYMMETRIC,) if self.symmetric else (Direction.UP, Direction.DOWN)

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of every figure, one row each."""
        return source_rows(f"products.{self.name}", self.figures)


@dataclass(frozen=True, slots=True)
class MarketRules:
    """The rules of one energy market on one local day.

    Attributes:
        name: "day_ahead" or "intraday".
        day: the local day of delivery they hold on.
        gate_time_h: local hour the day before at which the auction closes (trade opens).
        publication_time_h: local hour the day before at which prices are known.
        gate_before_min: minutes before delivery at which trade ends; 0 for the auction.
        period_min: length of a market period, min.
        price_min_eur_per_mwh: lowest price possible, EUR/MWh.
        price_max_eur_per_mwh: highest price possible, EUR/MWh.
        figures: the figures with their origins, by name.
    """

    name: str
    day: dt.date
    gate_time_h: float
    publication_time_h: float
    gate_before_min: float
    period_min: float
    price_min_eur_per_mwh: float
    price_max_eur_per_mwh: float
    figures: Mapping[str, Figure]

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of every figure, one row each."""
        return source_rows(f"products.{self.name}", self.figures)


def product_on(name: str, day: dt.date, *, reservoir_min: float | None = None) -> ProductRules:
    """The rules of a balancing product in force on a local day of delivery.

    Args:
        name: one of `BALANCING`.
        day: local day of delivery.
        reservoir_min: another reservoir than the file's, min. SO GL art. 156(11) leaves 15 to 30
            min for FCR; the final value was not found.

    Raises:
        BadInput: no such product (with the reason where it is left out), a day before its rules are
            known, or a reservoir out of bounds; every problem at once.
    """
    problems: list[Problem] = []
    if name not in BALANCING:
        left = _left_out().get(name)
        why = f"is left out: {left}" if left else f"must be one of {', '.join(BALANCING)}"
        problems.append(Problem("products", "name", name, why))
    if reservoir_min is not None and not 15.0 <= reservoir_min <= 30.0:
        why = "must be from 15 to 30 min (SO GL art. 156(11))"
        problems.append(Problem("products", "reservoir_min", str(reservoir_min), why))
    figures: dict[str, Figure] = {}
    if name in BALANCING:
        try:
            figures = bundled(_FILE)[name].on(day)
        except BadInput as told:
            problems += told.problems
    if problems:
        raise BadInput(problems)
    value = {key: figure.value for key, figure in figures.items()}
    if reservoir_min is not None:
        value["reservoir_min"] = reservoir_min
    symmetric = bool(value.pop("symmetric"))
    return ProductRules(name=name, day=day, symmetric=symmetric, figures=figures, **value)


def market_on(name: str, day: dt.date) -> MarketRules:
    """The rules of an energy market in force on a local day of delivery.

    Args:
        name: one of `MARKETS`.
        day: local day of delivery.

    Raises:
        BadInput: no such market, or a day before its rules are known.
    """
    if name not in MARKETS:
        raise refuse("products", "name", name, f"must be one of {', '.join(MARKETS)}")
    figures = bundled(_FILE)[name].on(day)
    value = {key: figure.value for key, figure in figures.items()}
    return MarketRules(name=name, day=day, figures=figures, **value)


def blocks(calendar: MarketCalendar, product: ProductRules) -> npt.NDArray[np.int64]:
    """Index of the capacity block that each market period belongs to, shape [P], from 0.

    Blocks are local wall-clock time: with six a day, day d has blocks 6 d to 6 d + 5. On the days
    the clocks change the block with the missing (doubled) hour has 12 (20) quarters and not 16.

    Args:
        calendar: the market periods.
        product: the rules, for the length of a block.

    Raises:
        BadInput: a market period is longer than a block.
    """
    if calendar.period_s > product.block_min * 60:
        why = f"a market period may not be longer than a block of {product.block_min:g} min"
        raise refuse("market calendar", "period_s", calendar.period_s, why)
    a_day = round(_MIN_PER_DAY / product.block_min)
    within = np.floor(calendar.local_hour * 60.0 / product.block_min + _SLACK).astype(np.int64)
    return np.asarray(calendar.day_of.astype(np.int64) * a_day + within)


def bid_mw(
    offered_mw: npt.ArrayLike,
    rules: ProductRules,
    *,
    prequalified_mw: npt.ArrayLike = np.inf,
    energy_mwh: npt.ArrayLike = np.inf,
) -> Array:
    """What may be bid of what could be offered, MW, in the shape of the offers.

    Never more than the offer, the prequalified power, or what the energy lasts for; rounded down to
    the granularity; 0 below the smallest bid.

    Args:
        offered_mw: power that could be offered, MW, 0 or more; any shape.
        rules: of the product.
        prequalified_mw: power accepted by the grid operator, MW; one number or the same shape.
        energy_mwh: energy that stands behind the power in the worse of the product's directions,
            MWh; one number or the same shape. It must last `rules.reservoir_min`.

    Raises:
        BadInput: a value is negative or not a number; every argument at fault is told.
    """
    given = {
        "offered_mw": np.asarray(offered_mw, dtype=np.float64),
        "prequalified_mw": np.asarray(prequalified_mw, dtype=np.float64),
        "energy_mwh": np.asarray(energy_mwh, dtype=np.float64),
    }
    problems = [
        Problem("bid", name, str(values.min()), "must be 0 or more, and a number")
        for name, values in given.items()
        if not bool((values >= 0.0).all())
    ]
    if problems:
        raise BadInput(problems)
    lasting = given["energy_mwh"] / (rules.reservoir_min / 60.0) if rules.reservoir_min else np.inf
    most = np.minimum(np.minimum(given["offered_mw"], given["prequalified_mw"]), lasting)
    stepped = np.floor(most / rules.bid_step_mw + _SLACK) * rules.bid_step_mw
    bid = np.where(stepped >= rules.bid_min_mw * (1.0 - _SLACK), stepped, 0.0)
    # the slack above may have lifted a bid by a billionth of a step: never beyond what there is
    return np.asarray(np.minimum(bid, most), dtype=np.float64)


@cache
def _left_out() -> Mapping[str, str]:
    raw = yaml.safe_load((DATA / _FILE).read_text(encoding="utf-8"))
    return {str(key): str(why) for key, why in raw["left_out"].items()}
