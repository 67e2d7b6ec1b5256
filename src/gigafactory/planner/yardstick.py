"""The yardstick of a plan: what the same site could have cost had everything been known.

A `Course` is what a site did, metered, with the prices and limits there were. Three costs of it are
compared, all by the same rule and at the day-ahead price:

- **realised**: as it was done;
- **naive**: a feasible operator who does the same work at the same times, leaves the battery at
  rest and takes every contract;
- **bound**: the linear programme of the site over the whole course at once, with actual values, the
  same work, the same states at both ends.

The bound may put work off at its delay cost and lets none be done before it was: a run's own
deferral is not undone. It knows no gate and no uncertainty, so nobody can reach it; `regret` says
how far off the realised cost is, and the part of the controllable value (naive less bound) that is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from gigafactory.planner.numbers import Numbers
from gigafactory.planner.shape import GroupShape, Horizon, SiteShape
from gigafactory.planner.stitching import solve_whole

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What a site did, per step; arrays over T steps unless said.

    Attributes:
        price_eur_per_mwh: day-ahead price.
        limit_mw: import limit.
        export_limit_mw: export limit.
        import_mw: metered import.
        export_mw: metered export.
        charge_mw: metered charge.
        discharge_mw: metered discharge.
        contract_mw: output each contract offered, [K, T].
        taken_mw: what was taken of it, [K, T].
        running: accelerators at work per class, [classes, T].
        capacity: accelerators installed.
        soc_start_mwh: energy in the battery above its lower bound at the beginning.
        soc_end_mwh: the same at the end.
    """

    price_eur_per_mwh: Array
    limit_mw: Array
    export_limit_mw: Array
    import_mw: Array
    export_mw: Array
    charge_mw: Array
    discharge_mw: Array
    contract_mw: Array
    taken_mw: Array
    running: Array
    capacity: Array
    soc_start_mwh: float
    soc_end_mwh: float

    def __len__(self) -> int:
        return len(self.price_eur_per_mwh)

    @property
    def load_mw(self) -> Array:
        """What the site drew beside its battery; negative where it made more, [T]."""
        return self.import_mw - self.export_mw - self.charge_mw + self.discharge_mw

    def coarse(self, ratio: int) -> Course:
        """Means over so many steps each; what does not fill a last step is left out."""
        if ratio == 1:
            return self
        whole = len(self) // ratio * ratio
        means = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                shape = (*value.shape[:-1], whole // ratio, ratio)
                means[field.name] = value[..., :whole].reshape(shape).mean(axis=-1)
        return replace(self, **means)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Costs of a course, EUR.

    Attributes:
        realised_eur: as it was done.
        naive_eur: battery at rest, every contract taken.
        bound_eur: had everything been known; nan without a solution.
        standing_eur: the same with the work at the times at which it was done; nan likewise.
        step_h: length of the bound's steps, h.
    """

    realised_eur: float
    naive_eur: float
    bound_eur: float
    standing_eur: float
    step_h: float

    @property
    def regret_eur(self) -> float:
        """Realised less bound."""
        return self.realised_eur - self.bound_eur

    @property
    def controllable_eur(self) -> float:
        """Naive less bound: what there was to gain."""
        return self.naive_eur - self.bound_eur

    @property
    def regret_share(self) -> float:
        """Regret as a part of the controllable value; nan where there was nothing to gain."""
        worth = self.controllable_eur
        return self.regret_eur / worth if worth > 1e-6 else float("nan")

    @property
    def energy_regret_eur(self) -> float:
        """What battery, contracts and bids left: realised less the bound with standing work."""
        return self.realised_eur - self.standing_eur

    @property
    def energy_controllable_eur(self) -> float:
        """What there was to gain with battery, contracts and bids."""
        return self.naive_eur - self.standing_eur

    @property
    def scheduler_gap_eur(self) -> float:
        """What moving work as a fluid would have brought, which gangs that start cannot."""
        return self.standing_eur - self.bound_eur


def cost_eur(shape: SiteShape, course: Course, hours: float) -> float:
    """What a course cost at the day-ahead price: energy, levies, contracts, wear."""
    price = course.price_eur_per_mwh
    cost = course.import_mw * (price + shape.levy_eur_per_mwh)
    cost = cost - course.export_mw * (price - shape.export_margin_eur_per_mwh)
    cost = cost + (course.taken_mw * (shape.taking_eur_per_mwh[:, None] - price)).sum(axis=0)
    return float((cost + course.discharge_mw * shape.wear_eur_per_mwh).sum() * hours)


def naive(course: Course) -> Course:
    """The same work at the same times, battery at rest, every contract taken."""
    net = course.load_mw
    rest = np.zeros(len(course))
    return replace(
        course,
        import_mw=np.maximum(net, 0.0),
        export_mw=np.maximum(-net, 0.0),
        charge_mw=rest,
        discharge_mw=rest,
        taken_mw=course.contract_mw,
        soc_end_mwh=course.soc_start_mwh,
    )


#: Days whose prices a threshold operator looks back on, and what shares are cheap and dear.
THRESHOLD_DAYS, CHEAP_SHARE, DEAR_SHARE = 28, 0.25, 0.75


def threshold(shape: SiteShape, course: Course, hours: float) -> Course:
    """The same work at the same times, and a battery run by a rule of thumb.

    It charges when the price is among the cheapest quarter of the last 28 days and discharges when
    it is among the dearest, as far as rating, energy and connection allow, looks at nothing to
    come, and refuses a contract's output when not taking it is cheaper. The quarters are an
    assumption.

    Args:
        shape: the site.
        course: what it did.
        hours: length of a step, h.
    """
    rest, price = naive(course), course.price_eur_per_mwh
    day, n = round(24.0 / hours), len(course)
    load = rest.import_mw - rest.export_mw
    most_out = np.minimum(course.export_limit_mw, course.limit_mw)
    charge, discharge, soc = np.zeros(n), np.zeros(n), course.soc_start_mwh
    into, out_of = shape.charge_efficiency, shape.discharge_efficiency
    for begin in range(day, n, day):
        seen = price[max(0, begin - THRESHOLD_DAYS * day) : begin]
        cheap, dear = np.quantile(seen, (CHEAP_SHARE, DEAR_SHARE))
        for t in range(begin, min(begin + day, n)):
            if price[t] <= cheap:
                room = min((shape.battery_mwh - soc) / (into * hours), course.limit_mw[t] - load[t])
                charge[t] = max(0.0, min(shape.battery_mw, room))
            elif price[t] >= dear:
                able = min(soc * out_of / hours, load[t] + most_out[t])
                discharge[t] = max(0.0, min(shape.battery_mw, able))
            soc += (charge[t] * into - discharge[t] / out_of) * hours
    net = load + charge - discharge
    wanted = shape.taking_eur_per_mwh[:, None] <= price
    return replace(
        rest,
        import_mw=np.maximum(net, 0.0),
        export_mw=np.maximum(-net, 0.0),
        charge_mw=charge,
        discharge_mw=discharge,
        taken_mw=np.where(wanted | shape.firm[:, None], course.contract_mw, 0.0),
        soc_end_mwh=soc,
    )


def end_worth_eur_per_mwh(shape: SiteShape, course: Course) -> float:
    """What a MWh left in the battery counts for: the mean price, less losses and wear."""
    return shape.stored_eur_per_mwh(float(course.price_eur_per_mwh.mean()))


def measure(shape: SiteShape, course: Course, hours: float, ratio: int = 1) -> Yardstick:
    """Hold a course against its bound.

    Energy left in the battery at the end counts at the mean price, less what discharging it costs,
    for the realised and the naive course alike; the bound ends with what the realised one left.

    Args:
        shape: the site; its reserves are left out, their prices being no market's.
        course: what it did.
        hours: length of a step of the course, h.
        ratio: steps of the course per step of the bound.
    """
    idle = naive(course)
    worth = end_worth_eur_per_mwh(shape, course)
    left = (course.soc_end_mwh - idle.soc_end_mwh) * worth
    step_h = hours * ratio
    plain = replace(
        shape,
        groups=tuple(
            GroupShape(g.label, (1.0,), (g.active_w[-1],), g.delay_eur_per_gpu_h)
            for g in shape.groups
        ),
        reserves=None,
        intraday=False,
        peaks=False,
        generators=0,
    )
    seen = course.coarse(ratio)
    bound = _bound_eur(plain, seen, step_h)
    standing = bound
    if plain.groups:
        still = replace(seen, running=np.zeros((0, len(seen))))
        standing = _bound_eur(replace(plain, groups=()), still, step_h)
    return Yardstick(
        cost_eur(shape, course, hours), cost_eur(shape, idle, hours) + left, bound, standing, step_h
    )


def _bound_eur(shape: SiteShape, course: Course, step_h: float) -> float:
    """The least a course could have cost; nan without a solution."""
    line = Horizon.line(np.full(len(course), step_h))
    found = solve_whole([shape], line, [_known(shape, course, step_h)])
    return float("nan") if found is None else found.solution.objective_eur


def _known(shape: SiteShape, course: Course, step_h: float) -> Numbers:
    """The numbers of a course in hindsight."""
    n, x = len(course), Numbers.plain(shape, len(course))
    price = course.price_eur_per_mwh
    x.import_eur_per_mwh = price + shape.levy_eur_per_mwh
    x.export_eur_per_mwh = price - shape.export_margin_eur_per_mwh
    # what went beyond a limit did go; the bound may do the same
    x.limit_mw = np.maximum(course.limit_mw, course.import_mw)
    x.export_mw = np.maximum(course.export_limit_mw, course.export_mw)
    active_mw = np.array([g.active_w[-1] for g in shape.groups]) / 1e6
    work_mw = shape.site_per_it * (active_mw @ course.running if len(active_mw) else np.zeros(n))
    x.load_mw = course.load_mw - work_mw
    x.capacity = np.maximum(course.capacity, course.running.sum(axis=0))
    x.contract_mw = course.contract_mw
    x.contract_eur_per_mwh = shape.taking_eur_per_mwh[:, None] - price
    x.arrivals_gpu_h = course.running * step_h
    delay = np.array([g.delay_eur_per_gpu_h for g in shape.groups]).reshape(-1, 1)
    x.delay_eur_per_gpu_h = np.repeat(delay * step_h / 24.0, n, axis=1)
    x.backlog_most[:, -1] = 0.0
    x.may_exceed = False
    x.soc_mwh, x.soc_end_mwh = course.soc_start_mwh, course.soc_end_mwh
    return x
