"""The own generators of a site in the twin: ordered for a period, then dispatched and metered.

A period is dispatched in two steps. At its first instant generators are ordered on or off, and
`order` says how little and how much each can give over the period: its ramp, its start and its
least load are in both (`plant.generation.step`, once with the least and once with the most asked).
When the load is known, `settle` takes an output between the two. Every output between is a mixture
of the two courses, which ramps no faster than either; fuel and final output mix alike. So the
energy balance closes over the period to the last Wh without a search.

What the tank holds is kept in whole Wh; a stock or a limit of run hours that would end within a
period ends at its beginning (`plant.generation.lasting_mw`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.ledger import GENERATOR_COLUMNS, Carry
from gigafactory.plant.generation import Fleet, Output, State, at_rest, lasting_mw, step

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_S_PER_H = 3600.0
_DELIVERED, _STOCK = (GENERATOR_COLUMNS.index(name) for name in ("delivered_wh", "stock_wh"))
#: Least that is asked of a unit without a least load, so that it runs at all, MW.
_RUNS_MW = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """How fuel comes.

    Attributes:
        amount_wh: what one delivery brings; 0 for none.
        periods: periods from the order to the delivery.
        below_wh: the stock below which one is ordered.
        most_wh: what the tank holds.
    """

    amount_wh: int
    periods: int
    below_wh: int
    most_wh: int


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What generators can do in a period, arrays [G].

    Attributes:
        low_mw: least mean output.
        high_mw: largest mean output.
        after_low: where they stand after the least.
        after_high: where they stand after the most.
        low: what they do at the least.
        high: what they do at the most.
    """

    low_mw: Array
    high_mw: Array
    after_low: State
    after_high: State
    low: Output
    high: Output


@dataclass(slots=True, eq=False)
class OwnPlant:
    """Generators of one site; G generators, P periods of the run.

    Attributes:
        fleet: the generators.
        number: number of each in the run.
        available_mw: what each could give, weather and commissioning included, [G, P].
        emergency: whether each runs in outages alone, [G].
        keeps: whether each is kept at its least load at the least, [G].
        year: calendar year of each period; hours run are counted by it, [P].
        delivery: how fuel comes, [G].
        stock_wh: fuel in the tank, -1 without a tank, [G].
        state: where they stand.
        due: period in which fuel ordered arrives, -1 for none, [G].
    """

    fleet: Fleet
    number: tuple[int, ...]
    available_mw: Array
    emergency: Bools
    keeps: Bools
    year: Ints
    delivery: tuple[Delivery, ...]
    stock_wh: list[int]
    state: State = field(init=False)
    due: list[int] = field(init=False)
    carries: list[dict[str, Carry]] = field(init=False)
    merit: list[int] = field(init=False)
    reach: Reach | None = None

    def __post_init__(self) -> None:
        self.state = at_rest(self.fleet)
        self.due = [-1] * len(self.fleet)
        self.carries = [
            {name: Carry() for name in ("made", "fuel", "water", "run")} for _ in self.number
        ]
        self.merit = np.argsort(self.fleet.marginal_eur_per_mwh, kind="stable").tolist()

    # --- what they can do ------------------------------------------------------------------------

    def most_mw(self, period: int, hours: float) -> Array:
        """What each could give all through a period if it ran, by its fuel and hours, [G]."""
        lasting = lasting_mw(self.fleet, self.state, hours)
        most = np.minimum(self.available_mw[:, period], lasting)
        most = np.where(self.fleet.weather, self.available_mw[:, period], most)
        return np.asarray(np.where(most >= self.fleet.min_mw, most, 0.0))

    def idle(self, period: int) -> bool:
        """Whether nothing can happen in a period unless somebody orders it."""
        weather = self.fleet.weather
        moving = self.state.running.any() or self.state.starting_h.any()
        return not (moving or (weather.any() and self.available_mw[weather, period].any()))

    def order(self, period: int, on: Bools, hours: float) -> Reach:
        """Order generators on (or off), and say what they can give in the period.

        Args:
            period: its number.
            on: whether each is to run or to be started, [G]; the weather needs no order.
            hours: length of the period.
        """
        most = self.most_mw(period, hours)
        weather = self.fleet.weather
        least = np.where(on & ~weather, np.maximum(self.fleet.min_mw, _RUNS_MW), 0.0)
        most_asked = np.where(on | weather, most, 0.0)
        after_low, low = step(self.fleet, self.state, least, hours, most)
        after_high, high = step(self.fleet, self.state, most_asked, hours, most)
        self.reach = Reach(
            low.energy_mwh / hours, high.energy_mwh / hours, after_low, after_high, low, high
        )
        return self.reach

    def few(self, need_mw: float, period: int, hours: float) -> Bools:
        """The fewest generators by cost whose output of this period carries a load, [G].

        Those that are not up in time are started as well, but do not count for it.
        """
        most = self.most_mw(period, hours)
        weather = self.fleet.weather
        left = need_mw - float(most[weather].sum())
        on = np.zeros(len(self.fleet), np.bool_)
        everything = self.order(period, most > 0.0, hours).high_mw
        for k in self.merit:
            if not weather[k] and most[k] > 0.0 and left > 0.0:
                on[k] = True
                left -= float(everything[k])
        return on

    # --- what they do ----------------------------------------------------------------------------

    def settle(self, made_mw: Array, period: int, hours: float) -> Ints:
        """Run the period at a mean output, and read the meters.

        Args:
            made_mw: mean output of each, within what `order` said, [G].
            period: its number.
            hours: its length.

        Returns:
            int64[G, len(GENERATOR_COLUMNS)].
        """
        rows = np.zeros((len(self.fleet), len(GENERATOR_COLUMNS)), np.int64)
        if self.reach is None:  # all stand still; fuel that was ordered may come
            for k in range(len(self.fleet)):
                rows[k, _DELIVERED] = self._deliver(k, period, 0)
                rows[k, _STOCK] = self.stock_wh[k]
            self._count(period)
            return rows
        burnt, ran, starts = self._mix(made_mw)
        for k, g in enumerate(self.fleet.generators):
            c = self.carries[k]
            fuel_wh = c["fuel"].take(float(burnt[k]) * 1e6)
            delivered = self._deliver(k, period, fuel_wh)
            made_mwh = float(made_mw[k]) * hours
            rows[k] = (
                c["made"].take(made_mwh * 1e6),
                fuel_wh,
                delivered,
                self.stock_wh[k],
                c["water"].take(made_mwh * g.water_l_per_kwh * 1e6),
                c["run"].take(float(ran[k]) * _S_PER_H),
                int(starts[k]),
            )
        self._count(period)
        self.reach = None
        return rows

    def _mix(self, made_mw: Array) -> tuple[Array, Array, Array]:
        """Move the state to where the output leads; fuel burnt, hours run, starts, each [G]."""
        r = self.reach
        assert r is not None
        span = r.high_mw - r.low_mw
        part = np.divide(made_mw - r.low_mw, span, out=np.zeros_like(span), where=span > 1e-12)
        part = np.clip(part, 0.0, 1.0)

        def between(low: Array, high: Array) -> Array:
            return low + part * (high - low)

        burnt = between(r.low.fuel_burnt_mwh, r.high.fuel_burnt_mwh)
        level = between(r.after_low.level_mw, r.after_high.level_mw)
        self.state = State(
            level_mw=level,
            running=r.after_high.running,
            starting_h=r.after_high.starting_h,
            fuel_mwh=np.maximum(self.state.fuel_mwh - burnt, 0.0),
            run_h=r.after_high.run_h,
        )
        return burnt, r.high.running_h, r.high.starts_count

    def _deliver(self, k: int, period: int, fuel_wh: int) -> int:
        """Take fuel from the tank and put what arrives into it; Wh delivered."""
        if self.stock_wh[k] < 0:
            return 0
        self.stock_wh[k] -= fuel_wh
        of, brought = self.delivery[k], 0
        if self.due[k] == period:
            brought = min(of.amount_wh, of.most_wh - self.stock_wh[k])
            self.stock_wh[k] += brought
            self.due[k] = -1
        if of.amount_wh and self.due[k] < 0 and self.stock_wh[k] < of.below_wh:
            self.due[k] = period + of.periods
        # what the meter has not shown yet is burnt already
        self.state.fuel_mwh[k] = max(self.stock_wh[k] - self.carries[k]["fuel"].rest, 0.0) / 1e6
        return brought

    def _count(self, period: int) -> None:
        """Begin to count the hours of a new year."""
        if period + 1 < len(self.year) and self.year[period + 1] != self.year[period]:
            self.state.run_h[:] = 0.0

    # --- snapshot --------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The state between two periods, as plain fields."""
        s = self.state
        return {
            "level": s.level_mw.tolist(),
            "running": s.running.tolist(),
            "starting": s.starting_h.tolist(),
            "ran": s.run_h.tolist(),
            "fuel": [float(x) if np.isfinite(x) else None for x in s.fuel_mwh],
            "stock": list(self.stock_wh),
            "due": list(self.due),
            "carries": [{n: c.rest for n, c in one.items()} for one in self.carries],
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self.state = State(
            level_mw=np.array(kept["level"], np.float64),
            running=np.array(kept["running"], np.bool_),
            starting_h=np.array(kept["starting"], np.float64),
            fuel_mwh=np.array([np.inf if x is None else x for x in kept["fuel"]], np.float64),
            run_h=np.array(kept["ran"], np.float64),
        )
        self.stock_wh, self.due = list(kept["stock"]), list(kept["due"])
        for one, rests in zip(self.carries, kept["carries"], strict=True):
            for name, rest in rests.items():
                one[name].rest = rest


__all__ = ["Delivery", "OwnPlant", "Reach"]
