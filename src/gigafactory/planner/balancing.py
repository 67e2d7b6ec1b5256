"""Seconds: what a site does on a frequency, a setpoint, a lower limit and a trip.

A readable wrapper around the compiled stepper. A frozen description of the plant and its contracts
and the arrays of what is given go in, a trajectory and the state at its end come out; running on
from that state gives the same seconds as one long run. Nothing here knows the time of day, reads a
file or draws chance.

Signs: import is positive at the connection, so is consumption at a device. Discharge of the battery
and every reserve are positive *upward*: the site imports less.

Figures that are rules of a market carry their source in `Fcr` and `Afrr`; what nobody published is
called an assumption there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, outside
from gigafactory.kernel.seconds import run_seconds
from gigafactory.kernel.sitestate import (
    CLASS,
    GIVEN,
    HAPPENED,
    MESSAGE,
    PLANT,
    Rows,
    new_shed,
    new_site,
)
from gigafactory.plant.battery import Battery

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: Delivery counts as right within this share of the contracted MW: 5 %, which for FCR is the same
#: as 10 mHz (of 200 mHz), the insensitivity it is allowed anyway. An assumption.
TOLERANCE: Final = 0.05
_MOST_MW: Final = 1e5
_MOST_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Fcr:
    """Frequency containment reserve, by droop on the measured frequency, symmetric.

    Within the insensitivity there is no response; outside it the full proportional one (not the
    part beyond the band), so that at 200 mHz all is delivered.

    Attributes:
        contracted_mw: MW each way. 0 is none.
        reservoir_min: minutes of full activation kept in the battery each way; the regulation says
            15 to 30 (SO GL art. 156(11)), the value in force was not found: 30 is the safe reading.
        full_s: seconds in which the battery goes from nothing to all; the rule is at most 30
            (SO GL, not verified), 2 is an assumption for an inverter.
        full_hz: deviation of full activation (SO GL, not verified).
        insensitive_hz: deviation that is not answered, at most 0.010 (SO GL, not verified).
        hold_s: how long the last frequency is taken for the present one when none arrives.
        recovery_mw: most that the recovery of the state of charge takes or gives, MW.
        inner_share: the inner band leaves out this share of the band at either end; outside it the
            recovery is announced, for one market period ahead.
    """

    contracted_mw: float = 0.0
    reservoir_min: float = 30.0
    full_s: float = 2.0
    full_hz: float = 0.2
    insensitive_hz: float = 0.01
    hold_s: float = 5.0
    recovery_mw: float = 0.0
    inner_share: float = 0.25

    def problems(self) -> Iterable[Problem]:
        """What is out of range."""
        return outside(
            "fcr",
            self,
            contracted_mw=(0.0, _MOST_MW),
            reservoir_min=(15.0, 60.0),
            full_s=(0.01, 30.0),
            full_hz=(0.05, 1.0),
            insensitive_hz=(0.0, 0.01),
            hold_s=(0.0, 60.0),
            recovery_mw=(0.0, _MOST_MW),
            inner_share=(0.0, 0.49),
        )


@dataclass(frozen=True, slots=True)
class Afrr:
    """Automatic frequency restoration reserve: a setpoint every few seconds, to be followed.

    Attributes:
        up_mw: prequalified MW upward. 0 is none.
        down_mw: prequalified MW downward. 0 is none.
        full_s: time in which a setpoint must be reached in full, 300 (5 min; Elia T&C 2024).
        every_s: a setpoint arrives every so many seconds, 4 (PICASSO).
        move_mw_per_s: fastest honest move of the setpoint; nan is from one end of the prequalified
            range to the other in a minute (assumption).
        age_s: an older setpoint is stale (assumption: two of them missed).
        hold_s: the last valid setpoint is held so long, then it counts as zero (assumption).
        keep_s: full activation must last so long from the middle of the battery's band: 900, the
            market time unit (15 min; Elia T&C 2024).
    """

    up_mw: float = 0.0
    down_mw: float = 0.0
    full_s: float = 300.0
    every_s: float = 4.0
    move_mw_per_s: float = math.nan
    age_s: float = 8.0
    hold_s: float = 60.0
    keep_s: float = 900.0

    def __post_init__(self) -> None:
        if math.isnan(self.move_mw_per_s):
            object.__setattr__(self, "move_mw_per_s", (self.up_mw + self.down_mw) / 60.0)

    def problems(self) -> Iterable[Problem]:
        """What is out of range."""
        return outside(
            "afrr",
            self,
            up_mw=(0.0, _MOST_MW),
            down_mw=(0.0, _MOST_MW),
            full_s=(30.0, 900.0),
            every_s=(0.1, 60.0),
            move_mw_per_s=(0.0, _MOST_MW),
            age_s=(0.0, 300.0),
            hold_s=(0.0, 900.0),
            keep_s=(0.0, 14_400.0),
        )


@dataclass(frozen=True, slots=True)
class FlexClass:
    """A flexibility class: what its work draws, how fast it gives way, what its tenants agreed.

    Attributes:
        name: the class.
        active_mw: what its running work draws at full speed, cooling and losses included.
        throttle_mw: how much less at its lowest speed.
        throttle_s: time from full speed to the lowest.
        pause_mw: how much less again when all is paused; throttle and pause are at most active.
        pause_delay_s: until work asked to pause has reached its checkpoint.
        ramp_mw_per_s: how fast power falls after that, and rises again.
        depth_mw: contract: how deep, MW in all.
        lasting_s: contract: how long at a time.
        rest_s: contract: how long it is left alone after that.
        events: contract: how often in a run.
        throttle_eur_per_mwh: what a MWh not used by throttling costs.
        pause_eur_per_mwh: what a MWh not used by pausing costs.
        drop_eur_per_mwh: what a MWh costs that is cut off without a checkpoint, beyond contract;
            nan is as much as pausing, which is too little.
    """

    name: str
    active_mw: float
    throttle_mw: float = 0.0
    throttle_s: float = 5.0
    pause_mw: float = 0.0
    pause_delay_s: float = 60.0
    ramp_mw_per_s: float = 1.0
    depth_mw: float = 0.0
    lasting_s: float = 3600.0
    rest_s: float = 0.0
    events: int = 1
    throttle_eur_per_mwh: float = 0.0
    pause_eur_per_mwh: float = 0.0
    drop_eur_per_mwh: float = math.nan

    def __post_init__(self) -> None:
        if math.isnan(self.drop_eur_per_mwh):
            object.__setattr__(self, "drop_eur_per_mwh", self.pause_eur_per_mwh)

    @property
    def lag_s(self) -> float:
        """From the wish to all of the class paused, when a batch was already under way."""
        paused = 2.0 * self.pause_delay_s + self.pause_mw / self.ramp_mw_per_s
        return max(self.throttle_s, paused if self.pause_mw > 0.0 else 0.0)

    def problems(self) -> Iterable[Problem]:
        """What is out of range."""
        where = f"class {self.name}"
        yield from outside(
            where,
            self,
            active_mw=(0.0, _MOST_MW),
            throttle_mw=(0.0, _MOST_MW),
            throttle_s=(0.1, 3600.0),
            pause_mw=(0.0, _MOST_MW),
            pause_delay_s=(0.0, 7200.0),
            ramp_mw_per_s=(1e-3, _MOST_MW),
            depth_mw=(0.0, _MOST_MW),
            lasting_s=(0.0, _MOST_S),
            rest_s=(0.0, _MOST_S),
            events=(0, 10**9),
            throttle_eur_per_mwh=(0.0, 1e7),
            pause_eur_per_mwh=(0.0, 1e7),
            drop_eur_per_mwh=(0.0, 1e7),
        )
        if self.throttle_mw + self.pause_mw > self.active_mw + 1e-9:
            why = f"throttle and pause together are at most active_mw, {self.active_mw:g}"
            yield Problem(where, "pause_mw", f"{self.throttle_mw:g} + {self.pause_mw:g}", why)


@dataclass(frozen=True, slots=True)
class ResponsePlant:
    """A site as the responder sees it.

    Attributes:
        battery: the battery.
        capacity_mw: capacity of the connection, of which ramp etiquette is a share.
        classes: the flexibility classes; `merit_order` says who gives way first.
        fcr: what is sold of it.
        afrr: what is sold of it.
        ramp_share_per_min: moves for schedule and market are at most this share of the capacity in
            a minute, 0.2 (TenneT's request; the same as aFRR's 5 minutes).
        ups_mw: most that the uninterruptible supplies carry, in a trip only.
        ups_s: how long they carry that.
        ups_recharge_mw: at which they charge again, lossless (assumption).
        period_s: market period.
        dt_s: length of a step.
    """

    battery: Battery
    capacity_mw: float
    classes: tuple[FlexClass, ...] = ()
    fcr: Fcr = field(default_factory=Fcr)
    afrr: Afrr = field(default_factory=Afrr)
    ramp_share_per_min: float = 0.2
    ups_mw: float = 0.0
    ups_s: float = 0.0
    ups_recharge_mw: float = 1.0
    period_s: float = 900.0
    dt_s: float = 1.0

    def __post_init__(self) -> None:
        problems = [*self._ranges(), *self.fcr.problems(), *self.afrr.problems()]
        for one in self.classes:
            problems.extend(one.problems())
        if not problems:
            problems.extend(self._prequalification())
        if problems:
            raise BadInput(problems)

    @property
    def ramp_mw_per_s(self) -> float:
        """Ramp etiquette, MW/s."""
        return self.ramp_share_per_min * self.capacity_mw / 60.0

    @property
    def lag_s(self) -> float:
        """The longest that work needs to take over from the battery."""
        return max([30.0, *(one.lag_s for one in self.classes)])

    def lead_s(self, one: FlexClass) -> float:
        """How long before the end of its contract a class is asked back, so others take over."""
        return min(2.0 * self.lag_s, 0.5 * one.lasting_s)

    @property
    def reserve_mwh(self) -> tuple[float, float]:
        """Stored energy between which FCR can always be delivered for its reservoir minutes."""
        each = self.fcr.contracted_mw * self.fcr.reservoir_min / 60.0
        b = self.battery
        low = b.soc_min_mwh + each / b.discharge_efficiency
        return low, b.soc_max_mwh - each * b.charge_efficiency

    @property
    def inner_mwh(self) -> tuple[float, float]:
        """Stored energy outside which a recovery is announced."""
        low, high = self.reserve_mwh
        edge = self.fcr.inner_share * (high - low)
        return low + edge, high - edge

    def reachable_mw(self) -> tuple[float, float]:
        """What of aFRR can be had within its time from the middle of the band, (up, down) MW.

        The battery goes first, and what it gives it must keep up for `Afrr.keep_s`. Upward, work
        that can be throttled and paused in time and within contract comes on top; where the
        battery's energy does not suffice, the larger of the two is all. Downward: the battery.
        """
        low, high = self.reserve_mwh
        half = 0.5 * max(high - low, 0.0)
        free = self.battery.power_mw - self.fcr.contracted_mw
        # In its last seconds a battery fades, to hand over to work (`lag_s`).
        hours = (self.afrr.keep_s + self.lag_s) / 3600.0
        lasting = half * self.battery.discharge_efficiency / hours
        down = min(free, half / self.battery.charge_efficiency / hours)
        work = 0.0
        for one in self.classes:
            if one.events == 0 or one.lasting_s - self.lead_s(one) < self.afrr.keep_s:
                continue
            quick = one.throttle_mw if one.throttle_s <= self.afrr.full_s else 0.0
            quick += one.pause_mw if one.lag_s <= self.afrr.full_s else 0.0
            work += min(quick, one.depth_mw)
        return (free + work if lasting >= free else max(work, lasting)), down

    def _ranges(self) -> Iterable[Problem]:
        yield from outside(
            "plant",
            self,
            capacity_mw=(0.0, _MOST_MW),
            ramp_share_per_min=(0.0, 100.0),
            ups_mw=(0.0, _MOST_MW),
            ups_s=(0.0, 7200.0),
            ups_recharge_mw=(0.0, _MOST_MW),
            period_s=(60.0, 14400.0),
            dt_s=(0.01, 60.0),
        )
        names = [one.name for one in self.classes]
        yield from (
            Problem("plant", "classes", name, "two classes have this name")
            for name in sorted({n for n in names if names.count(n) > 1})
        )
        for what, length_s in (("period_s", self.period_s), ("afrr.every_s", self.afrr.every_s)):
            steps = length_s / self.dt_s if self.dt_s > 0.0 else math.nan
            if not (steps >= 1.0 - 1e-9 and abs(steps - round(steps)) < 1e-9):
                yield Problem("plant", what, f"{length_s:g}", "must be a whole number of steps")

    def _prequalification(self) -> Iterable[Problem]:
        fcr, afrr = self.fcr, self.afrr
        low, high = self.reserve_mwh
        if low > high:
            why = f"the battery cannot hold {fcr.reservoir_min:g} min of it each way"
            yield Problem("fcr", "contracted_mw", f"{fcr.contracted_mw:g}", why)
        if fcr.contracted_mw + fcr.recovery_mw > self.battery.power_mw:
            why = f"with recovery_mw it exceeds the inverter's {self.battery.power_mw:g} MW"
            yield Problem("fcr", "contracted_mw", f"{fcr.contracted_mw:g}", why)
        for name, sold, most in zip(
            ("up_mw", "down_mw"), (afrr.up_mw, afrr.down_mw), self.reachable_mw(), strict=True
        ):
            if sold > most + 1e-9:
                why = f"at most {most:g} MW can be had within {afrr.full_s:g} s and kept up"
                yield Problem("afrr", name, f"{sold:g}", why)


@dataclass(frozen=True, slots=True, eq=False)
class Setpoints:
    """aFRR setpoints as they arrived, one per `Afrr.every_s`, shape [M].

    Attributes:
        setpoint_mw: asked, MW, positive upward; nan is none.
        issued_s: when each says it was issued, in seconds of the run.
        authentic: whether its seal is sound.
    """

    setpoint_mw: Array
    issued_s: Array
    authentic: Bools

    @classmethod
    def of(
        cls, setpoint_mw: npt.ArrayLike, every_s: float = 4.0, start_s: float = 0.0
    ) -> Setpoints:
        """Setpoints that are all sound and arrive at the moment they are issued."""
        values = np.asarray(setpoint_mw, dtype=np.float64)
        issued_s = np.asarray(start_s + every_s * np.arange(len(values)), dtype=np.float64)
        return cls(values, issued_s, np.ones(len(values), np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Seconds:
    """What is given for N steps. A number stands for all of them.

    Attributes:
        frequency_hz: shape [N], at least one; nan where it was not measured.
        base_mw: what the site draws besides its classes: rest, cooling, losses. Cannot be shed.
        limit_mw: most that may be imported, of which notice was given (`notice_s`).
        export_mw: most that may be exported.
        schedule_mw: what the plan wants of the battery, positive is discharge.
        trip: where there is no connection at all; comes without notice.
        setpoints: of aFRR; None is none.
        notice_s: how long before a limit it is known.
    """

    frequency_hz: Array
    base_mw: npt.ArrayLike
    limit_mw: npt.ArrayLike
    export_mw: npt.ArrayLike = 0.0
    schedule_mw: npt.ArrayLike = 0.0
    trip: npt.ArrayLike = False
    setpoints: Setpoints | None = None
    notice_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a site stands between two runs. Opaque: made by `rest` and by `respond`."""

    site: Rows
    shed: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """What happened, step by step. Shape [N], per class [N, G] in the order of `classes`.

    Attributes:
        grid_mw: import less export; what could not be shed is in it.
        battery_mw: discharge less charge.
        soc_mwh: stored energy after the step.
        ups_mw: given by the uninterruptible supplies; charging is negative.
        shed_mw: what work draws less.
        shortfall_mw: beyond the limit, because nothing was left to shed; in a trip, not supplied.
        scheduled_mw: of the battery's discharge, what schedule and recovery had.
        defend_mw: of it, what defended the limit.
        fcr_mw: of it, FCR.
        fcr_due_mw: what FCR owed at the measured frequency; nan where none was measured.
        afrr_mw: aFRR delivered, by battery and work.
        setpoint_mw: the setpoint in force.
        recovery_mw: recovery in force, part of scheduled_mw.
        announced_mw: recovery announced for the next market period.
        excess_mw: MW beyond flexibility contracts.
        reason: int64, 0 or why a setpoint was refused (`delivery.REASONS`).
        throttled_mw: per class.
        paused_mw: per class.
        dropped_mw: per class, cut off without a checkpoint.
        beyond_mw: per class, beyond its contract.
        end: the state after the last step.
    """

    grid_mw: Array
    battery_mw: Array
    soc_mwh: Array
    ups_mw: Array
    shed_mw: Array
    shortfall_mw: Array
    scheduled_mw: Array
    defend_mw: Array
    fcr_mw: Array
    fcr_due_mw: Array
    afrr_mw: Array
    setpoint_mw: Array
    recovery_mw: Array
    announced_mw: Array
    excess_mw: Array
    reason: Ints
    throttled_mw: Array
    paused_mw: Array
    dropped_mw: Array
    beyond_mw: Array
    end: State

    @property
    def import_mw(self) -> Array:
        """From the grid, never negative; in a trip, what was not supplied is left out."""
        return np.asarray((self.grid_mw - self.shortfall_mw).clip(0.0))

    @property
    def export_mw(self) -> Array:
        """To the grid, never negative."""
        return np.asarray((-self.grid_mw).clip(0.0))

    @property
    def charge_mw(self) -> Array:
        """Into the battery, never negative."""
        return np.asarray((-self.battery_mw).clip(0.0))

    @property
    def discharge_mw(self) -> Array:
        """Out of the battery, never negative."""
        return np.asarray(self.battery_mw.clip(0.0))


def rest(plant: ResponsePlant, soc_mwh: float | None = None) -> State:
    """The state in which all work runs and nothing is activated.

    Args:
        plant: the site.
        soc_mwh: energy in the battery; None is the middle of the reserve band.

    Raises:
        BadInput: outside what the battery may hold.
    """
    low, high = plant.reserve_mwh
    soc = 0.5 * (low + high) if soc_mwh is None else soc_mwh
    bounds = (plant.battery.soc_min_mwh, plant.battery.soc_max_mwh)
    if not bounds[0] <= soc <= bounds[1]:
        why = f"must be from {bounds[0]:g} to {bounds[1]:g}"
        raise BadInput([Problem("state", "soc_mwh", str(soc), why)])
    return State(new_site(soc, plant.ups_mw * plant.ups_s), new_shed(len(plant.classes)))


def respond(plant: ResponsePlant, seconds: Seconds, start: State | None = None) -> Trajectory:
    """Run a site over the given steps.

    Args:
        plant: the site and its contracts.
        seconds: what is given.
        start: where it stands; None is `rest`. A run that is to be continued must have a whole
            number of setpoints' steps.

    Returns:
        What happened. ``start`` is not changed.

    Raises:
        BadInput: with every problem of ``seconds``.
    """
    begun = rest(plant) if start is None else start
    site, shed = begun.site.copy(), begun.shed.copy()
    given, messages = _given(plant, seconds, int(site["step"][0]))
    classes = class_rows(plant)
    happened = np.zeros(len(given), HAPPENED)
    traces = np.zeros((len(given), 4, len(classes)))
    run_seconds(
        plant_row(plant), classes, _orders(plant), site, shed, given, messages, happened, traces
    )
    columns = {name: np.ascontiguousarray(happened[name]) for name in HAPPENED.names or ()}
    per_class = ("throttled_mw", "paused_mw", "dropped_mw", "beyond_mw")
    columns |= {name: traces[:, k, :] for k, name in enumerate(per_class)}
    return Trajectory(**columns, end=State(site, shed))


@dataclass(frozen=True, slots=True)
class Action:
    """One way of importing less.

    Attributes:
        action: ``battery``, ``throttle``, ``pause``, ``reserve`` (the energy and power kept for
            FCR), ``supplies`` (in a trip) or ``drop``.
        flex_class: whose work gives way; empty for the battery.
        power_mw: how much.
        cost_eur_per_mwh: cost per MWh not imported.
        full_s: from the wish to all of it.
        for_limits_only: never taken for money or a setpoint, only where a limit leaves no other
            way.
    """

    action: str
    flex_class: str
    power_mw: float
    cost_eur_per_mwh: float
    full_s: float
    for_limits_only: bool = False


def merit_order(
    plant: ResponsePlant,
    price_eur_per_mwh: float = 0.0,
    now: Sequence[tuple[FlexClass, float, float, float]] | None = None,
    order: Ints | None = None,
) -> list[Action]:
    """The ways of importing less, in the order in which the site takes them.

    Battery, throttling, pausing, each by rising cost per MWh; what breaks a contract or a reserve
    comes last and for limits only. Work comes back in the reverse order.

    Args:
        plant: the site.
        price_eur_per_mwh: energy, for what the battery loses on the way.
        now: of each class what is active, what throttling saves and how deep its contract goes,
            MW; None is what `plant` says.
        order: int64[2, classes], who is throttled and paused first; None is the cheapest first.
    """
    b = plant.battery
    loss = max(price_eur_per_mwh, 0.0) * (1.0 / b.round_trip - 1.0)
    stored = b.wear_eur_per_mwh + loss
    fcr_mw = plant.fcr.contracted_mw
    work = now or [(one, one.active_mw, one.throttle_mw, one.depth_mw) for one in plant.classes]
    rows = (_orders(plant) if order is None else order).tolist()
    throttle, pause = ([work[g] for g in row] for row in rows)
    found = [Action("battery", "", b.power_mw - fcr_mw, stored, plant.dt_s)]
    for one, _, slows, deep in throttle:
        cost = one.throttle_eur_per_mwh
        found.append(Action("throttle", one.name, min(slows, deep), cost, one.throttle_s))
    for one, active, slows, deep in pause:
        depth = min(active - slows if now else one.pause_mw, max(deep - slows, 0.0))
        full_s = one.pause_delay_s + depth / one.ramp_mw_per_s
        found.append(Action("pause", one.name, depth, one.pause_eur_per_mwh, full_s))
    found.append(Action("reserve", "", fcr_mw, stored, plant.dt_s, True))
    found.append(Action("supplies", "", plant.ups_mw, 0.0, plant.dt_s, True))
    found.extend(
        Action("drop", one.name, active, one.drop_eur_per_mwh, plant.dt_s, True)
        for one, active, _, _ in pause
    )
    return [one for one in found if one.power_mw > 0.0]


def see_ahead(limit_mw: Array, steps: int) -> Array:
    """The lowest limit from now to so many steps ahead, shape [N].

    Args:
        limit_mw: shape [N].
        steps: how far notice reaches, 0 is none.
    """
    count, width = len(limit_mw), steps + 1
    if steps <= 0 or count == 0 or float(limit_mw.min()) == float(limit_mw.max()):
        return limit_mw
    blocks = -(-(count + steps) // width)
    padded = np.full(blocks * width, np.inf)
    padded[:count] = limit_mw
    rows = padded.reshape(blocks, width)
    onward = np.minimum.accumulate(rows, axis=1).ravel()
    back = np.minimum.accumulate(rows[:, ::-1], axis=1)[:, ::-1].ravel()
    # A window of one block's width lies in two blocks: the end of one, the begin of the next.
    return np.asarray(np.minimum(back[:count], onward[steps : steps + count]))


def _orders(plant: ResponsePlant) -> Ints:
    """Who is throttled first and who is paused first: the cheapest, then as listed."""
    count = range(len(plant.classes))
    throttle = sorted(count, key=lambda g: plant.classes[g].throttle_eur_per_mwh)
    pause = sorted(count, key=lambda g: plant.classes[g].pause_eur_per_mwh)
    return np.array([throttle, pause], np.int64).reshape(2, len(plant.classes))


def plant_row(plant: ResponsePlant) -> Rows:
    """A site as the compiled stepper reads it, `PLANT`[1]."""
    b, fcr, afrr = plant.battery, plant.fcr, plant.afrr
    row = np.zeros(1, PLANT)
    own: dict[str, float] = {
        name: getattr(source, name)
        for source in (b, fcr, afrr, plant)
        for name in PLANT.names or ()
        if hasattr(source, name)
    }
    low, high = plant.reserve_mwh
    inner_low, inner_high = plant.inner_mwh
    own |= {
        "active_mw": math.fsum(one.active_mw for one in plant.classes),
        "bridge_s": plant.lag_s,
        "low_mwh": low,
        "high_mwh": high,
        "inner_low_mwh": inner_low,
        "inner_high_mwh": inner_high,
        "fcr_mw": fcr.contracted_mw,
        "fcr_full_s": fcr.full_s,
        "frequency_hold_s": fcr.hold_s,
        "afrr_up_mw": afrr.up_mw,
        "afrr_down_mw": afrr.down_mw,
        "setpoint_mw_per_s": afrr.move_mw_per_s,
        "setpoint_age_s": afrr.age_s,
        "setpoint_hold_s": afrr.hold_s,
        "ups_mws": plant.ups_mw * plant.ups_s,
        "message_steps": round(afrr.every_s / plant.dt_s),
        "period_steps": round(plant.period_s / plant.dt_s),
    }
    assert set(own) == set(PLANT.names or ()), set(own) ^ set(PLANT.names or ())
    for name, value in own.items():
        row[name] = value
    return row


def class_rows(plant: ResponsePlant) -> Rows:
    """Its classes as the compiled stepper reads them, `CLASS`[classes]."""
    rows = np.zeros(len(plant.classes), CLASS)
    for row, one in zip(rows, plant.classes, strict=True):
        for name in ("active_mw", "throttle_mw", "pause_mw", "pause_delay_s", "depth_mw"):
            row[name] = getattr(one, name)
        row["throttle_mw_per_s"] = one.throttle_mw / one.throttle_s
        row["pause_mw_per_s"] = one.ramp_mw_per_s
        row["lasting_s"], row["rest_s"], row["events"] = one.lasting_s, one.rest_s, one.events
        row["lead_s"] = plant.lead_s(one)
    return rows


def _given(plant: ResponsePlant, seconds: Seconds, step: int) -> tuple[Rows, Rows]:
    problems: list[Problem] = []
    count = len(seconds.frequency_hz)
    if count == 0:
        problems.append(Problem("seconds", "frequency_hz", "", "needs at least one step"))
    given = np.zeros(count, GIVEN)
    given["frequency_hz"] = seconds.frequency_hz
    bounds = {"base_mw": 0.0, "limit_mw": 0.0, "export_mw": 0.0, "schedule_mw": -_MOST_MW}
    for name, low in bounds.items():
        values = np.asarray(getattr(seconds, name), dtype=np.float64)
        if values.shape not in ((), (count,)):
            why = f"needs one value, or one per step ({count})"
            problems.append(Problem("seconds", name, str(values.shape), why))
            continue
        bad = ~(np.isfinite(values) & (values >= low) & (values <= _MOST_MW))
        if bad.any():
            at = int(np.argmax(bad.reshape(-1)))
            why = f"must be from {low:g} to {_MOST_MW:g}; {int(bad.sum())} are not"
            first = f"{values.reshape(-1)[at]:g} at step {at}"
            problems.append(Problem("seconds", name, first, why))
            continue
        given[name] = values
    trip = np.asarray(seconds.trip, dtype=np.bool_)
    if trip.shape in ((), (count,)):
        given["trip"] = trip
    else:
        why = f"needs one value, or one per step ({count})"
        problems.append(Problem("seconds", "trip", str(trip.shape), why))
    if not 0.0 <= seconds.notice_s <= _MOST_S:
        problems.append(Problem("seconds", "notice_s", str(seconds.notice_s), "must be 0 or more"))
    messages = _messages(plant, seconds.setpoints, count, step, problems)
    if problems:
        raise BadInput(problems)
    ahead = math.ceil(min(seconds.notice_s, plant.lag_s + 2.0 * plant.dt_s) / plant.dt_s)
    given["seen_mw"] = see_ahead(np.ascontiguousarray(given["limit_mw"]), ahead)
    return given, messages


def _messages(
    plant: ResponsePlant, sent: Setpoints | None, count: int, step: int, problems: list[Problem]
) -> Rows:
    every = round(plant.afrr.every_s / plant.dt_s)
    needed = -(-count // every)
    rows = np.zeros(needed, MESSAGE)
    if step % every:
        why = f"a run begins on a setpoint: every {every} steps"
        problems.append(Problem("state", "step", str(step), why))
    if sent is None:
        rows["authentic"] = 1
        rows["issued_s"] = (step + every * np.arange(needed)) * plant.dt_s
        return rows
    for one in fields(Setpoints):
        got = np.asarray(getattr(sent, one.name))
        if got.shape != (needed,):
            why = f"needs one per {plant.afrr.every_s:g} s, {needed} in all"
            problems.append(Problem("setpoints", one.name, str(got.shape), why))
        else:
            rows[one.name] = got
    return rows
