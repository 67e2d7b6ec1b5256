"""The response of a site in plain Python, written from the rules: slow, readable, compiled nowhere.

It shares only the description of the plant with the stepper it checks. Work is a list of *ways* to
shed, in the order they are taken: all throttling, then all pausing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from gigafactory.planner import FlexClass, ResponsePlant, Seconds

TINY = 1e-9
LONG_AGO = -1e18


@dataclass(eq=False)
class Work:
    """The work of one class."""

    c: FlexClass
    lead_s: float
    throttled: float = 0.0
    paused: float = 0.0
    dropped: float = 0.0
    at_checkpoint: float = 0.0
    on_its_way: float = 0.0
    there_at: float = 0.0
    busy_since: float | None = None
    free_since: float = LONG_AGO
    uses: int = 0
    legal: bool = True
    excess: float = 0.0

    @property
    def down(self) -> float:
        return self.throttled + self.paused + self.dropped

    def may_go(self, now: float) -> float:
        """How deep the contract lets it be asked to go."""
        if self.busy_since is None:
            fresh = self.uses < self.c.events and now - self.free_since >= self.c.rest_s
            return self.c.depth_mw if fresh else 0.0
        soon_over = now - self.busy_since >= self.c.lasting_s - self.lead_s
        return 0.0 if soon_over or not self.legal else self.c.depth_mw

    def keep_book(self, now: float) -> float:
        """Begin or end a use of the contract; MW beyond it."""
        if self.down > TINY and self.busy_since is None:
            self.legal = self.uses < self.c.events and now - self.free_since >= self.c.rest_s
            self.busy_since, self.uses = now, self.uses + 1
        elif self.down <= TINY and self.busy_since is not None:
            self.busy_since, self.free_since = None, now
        within = self.busy_since is not None and now - self.busy_since < self.c.lasting_s
        agreed = self.c.depth_mw if within and self.legal else 0.0
        self.excess = self.dropped + max(self.throttled + self.paused - agreed, 0.0)
        if self.excess <= TINY:
            self.excess = 0.0
        return self.excess


@dataclass
class Way:
    """One way to shed: throttle or pause the work of a class."""

    kind: str
    work: Work
    want: float = 0.0

    @property
    def most(self) -> float:
        return self.work.c.throttle_mw if self.kind == "throttle" else self.work.c.pause_mw

    @property
    def speed(self) -> float:
        c = self.work.c
        return c.throttle_mw / c.throttle_s if self.kind == "throttle" else c.ramp_mw_per_s

    @property
    def now(self) -> float:
        return self.work.throttled if self.kind == "throttle" else self.work.paused

    def add(self, mw: float) -> None:
        if self.kind == "throttle":
            self.work.throttled += mw
        else:
            self.work.paused += mw


def clamp(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


@dataclass
class Naive:
    """A site that is stepped."""

    plant: ResponsePlant
    soc: float
    works: list[Work] = field(default_factory=list)
    scheduled: float = 0.0
    fcr: float = 0.0
    defence: float = 0.0
    afrr_work: float = 0.0
    setpoint: float = 0.0
    heeded_at: float = LONG_AGO
    issued: float = LONG_AGO
    hz: float = 0.0
    hz_at: float = LONG_AGO
    carried: float = 0.0  # by the supplies
    recovery: float = 0.0
    announced: float = 0.0

    def __post_init__(self) -> None:
        p = self.plant
        self.supplies = p.ups_mw * p.ups_s
        self.works = [Work(c, min(2 * p.lag_s, c.lasting_s / 2)) for c in p.classes]
        cheap = sorted(self.works, key=lambda w: w.c.throttle_eur_per_mwh)
        self.pausing = sorted(self.works, key=lambda w: w.c.pause_eur_per_mwh)
        self.ways = [Way("throttle", w) for w in cheap] + [Way("pause", w) for w in self.pausing]

    # ------------------------------------------------------------------ signals

    def owed(self, hz: float) -> float:
        fcr = self.plant.fcr
        if abs(hz - 50.0) <= fcr.insensitive_hz:
            return 0.0
        return clamp((50.0 - hz) / fcr.full_hz, -1.0, 1.0) * fcr.contracted_mw

    def listen(self, value: float, issued: float, sealed: bool, now: float) -> int:
        a = self.plant.afrr
        if not sealed:
            return 1
        if math.isnan(value) or math.isnan(issued):
            return 2
        if issued > now or issued < now - a.age_s or issued < self.issued:
            return 3
        if not -a.down_mw <= value <= a.up_mw:
            return 4
        if abs(value - self.setpoint) > a.move_mw_per_s * (now - self.heeded_at) + TINY:
            return 5
        self.setpoint, self.heeded_at, self.issued = value, now, issued
        return 0

    def new_period(self) -> None:
        b, fcr, h = self.plant.battery, self.plant.fcr, self.plant.period_s / 3600
        inner_low, inner_high = self.plant.inner_mwh
        self.recovery = self.announced
        if self.recovery >= 0:
            then = self.soc - self.recovery * h / b.discharge_efficiency
        else:
            then = self.soc - self.recovery * h * b.charge_efficiency
        middle = (inner_low + inner_high) / 2
        if then < inner_low:
            self.announced = -min(fcr.recovery_mw, (middle - then) / (b.charge_efficiency * h))
        elif then > inner_high:
            self.announced = min(fcr.recovery_mw, (then - middle) * b.discharge_efficiency / h)
        else:
            self.announced = 0.0

    # ------------------------------------------------------------------ work

    def want(self, soft: float, hard: float, now: float) -> float:
        """Spread what is to be shed over the ways; their sum."""
        for way in self.ways:
            way.want = 0.0
        for way in self.ways:
            asked = sum(w.want for w in self.ways if w.work is way.work)
            room = max(way.work.may_go(now) - asked, 0.0)
            way.want = min(max(soft, hard) - sum(w.want for w in self.ways), way.most, room)
        for way in sorted(self.ways, key=lambda way: self.pausing.index(way.work)):
            left = max(hard - sum(w.want for w in self.ways), 0.0)
            way.want += min(left, way.most - way.want)
        return sum(w.want for w in self.ways)

    def shed_more(self, now: float, dt: float) -> float:
        before = sum(w.down for w in self.works)
        for way in self.ways:
            work, goal = way.work, way.want
            if way.kind == "pause":
                self.checkpoint(way, now)
                goal = min(work.at_checkpoint, way.want)
            awake = max(work.c.active_mw - work.down, 0.0)
            way.add(max(min(goal - way.now, way.speed * dt, awake), 0.0))
        return sum(w.down for w in self.works) - before

    def checkpoint(self, way: Way, now: float) -> None:
        work = way.work
        if work.on_its_way > 0:
            missing = max(way.want - work.at_checkpoint, 0.0)
            work.on_its_way = min(work.on_its_way, missing)
            if now >= work.there_at:
                work.at_checkpoint, work.on_its_way = work.at_checkpoint + work.on_its_way, 0.0
        if work.on_its_way == 0 and way.want > work.at_checkpoint + TINY:
            if work.c.pause_delay_s == 0:
                work.at_checkpoint = way.want
            else:
                work.on_its_way = way.want - work.at_checkpoint
                work.there_at = now + work.c.pause_delay_s

    def give_back(self, budget: float, dt: float) -> float:
        """Last shed comes back first; nothing earlier moves while something later waits."""
        start, waits = budget, False
        for work in reversed(self.pausing):
            if work.dropped > 0 and not waits:
                back = min(work.dropped, work.c.ramp_mw_per_s * dt, budget)
                work.dropped, budget = work.dropped - back, budget - back
                waits = work.dropped > TINY
        for way in reversed(self.ways):
            if way.now > way.want and not waits:
                back = min(way.now - way.want, way.speed * dt, budget)
                way.add(-back)
                budget -= back
                waits = way.now > way.want + TINY
            if way.kind == "pause":
                keep = max(way.work.paused, way.want)
                way.work.at_checkpoint = min(way.work.at_checkpoint, keep)
        return start - budget

    # ------------------------------------------------------------------ one step

    def step(self, i: int, x: dict[str, float], message: tuple[float, float, bool]) -> dict:
        p, b = self.plant, self.plant.battery
        dt = p.dt_s
        h, now, off = dt / 3600, i * dt, bool(x["trip"])
        reason = 0
        if i % round(p.afrr.every_s / dt) == 0:
            reason = self.listen(*message, now)
        sound = 45 < x["hz"] < 55
        if sound:
            self.hz, self.hz_at = x["hz"], now
        heard = now - self.hz_at <= p.fcr.hold_s
        target = self.owed(self.hz) if heard else 0.0
        most = p.fcr.contracted_mw / p.fcr.full_s * dt
        self.fcr += clamp(target - self.fcr, -most, most)
        if i % round(p.period_s / dt) == 0:
            self.new_period()
        in_force = self.setpoint if now - self.heeded_at <= p.afrr.hold_s else 0.0
        limit, seen, export, fcr_room = x["limit"], x["seen"], x["export"], p.fcr.contracted_mw
        asked = in_force
        if off:
            limit = seen = export = fcr_room = asked = self.fcr = self.afrr_work = 0.0
            export = 0.0
        low, high = p.reserve_mwh
        bridge = max(p.lag_s, dt) / 3600
        spare = b.power_mw - p.fcr.contracted_mw
        above = max(self.soc - low, 0.0) * b.discharge_efficiency
        could_give, counted = min(spare, above / bridge), min(spare, above / (2 * bridge))
        could_take = min(spare, max(high - self.soc, 0.0) / (b.charge_efficiency * bridge))
        in_need = max(self.soc - b.soc_min_mwh, 0.0) * b.discharge_efficiency / (2 * bridge)
        # schedule
        ramp = p.ramp_share_per_min * p.capacity_mw / 60 * dt
        manners = ramp
        if off:
            self.scheduled = 0.0
        else:
            goal = clamp(x["schedule"] + self.recovery, -could_take, could_give)
            move = clamp(goal - self.scheduled, -ramp, ramp)
            self.scheduled += move
            manners -= max(-move, 0.0)
            handed = min(self.carried, manners)
            self.carried, manners = self.carried - handed, manners - handed
        # what is asked of work
        full = x["base"] + sum(w.c.active_mw for w in self.works)
        line = full - self.scheduled
        if asked < 0:
            asked = -min(-asked, max(seen - fcr_room - line, 0.0))
        else:
            asked = min(asked, max(line + export - fcr_room, 0.0))
        over = line - (seen - fcr_room)
        count = max(counted - self.scheduled, 0.0)
        defended = clamp(over, 0.0, count)
        for_limit = max(over - defended, 0.0)
        by_battery = max(min(asked, count - defended), 0.0)
        for_afrr = max(asked - by_battery, 0.0)
        must = max(full - seen - min(b.power_mw, in_need), 0.0)
        target = self.want(for_limit + for_afrr, must, now)
        newly = self.shed_more(now, dt)
        down = sum(w.down for w in self.works)
        needed = max(target, min(must, sum(w.c.active_mw for w in self.works)))
        allowed = manners + newly + max(self.afrr_work - for_afrr, 0.0)
        used = self.give_back(min(max(down - needed, 0.0), allowed), dt)
        manners = min(max(allowed - used, 0.0), manners)
        down = sum(w.down for w in self.works)
        self.afrr_work = clamp(down - for_limit, 0.0, max(for_afrr, self.afrr_work))
        # the battery
        load = full - down
        room = max(could_give - self.scheduled, 0.0)
        need = load + self.afrr_work - self.scheduled - (limit - fcr_room)
        defence = min(max(need, 0.0, self.defence - manners), room)
        lowest = -max(could_take + self.scheduled + defence, 0.0)
        afrr = clamp(asked - self.afrr_work, lowest, max(room - defence, 0.0))
        most_in = min(b.power_mw, (b.soc_max_mwh - self.soc) / (b.charge_efficiency * h))
        most_out = min(b.power_mw, (self.soc - b.soc_min_mwh) * b.discharge_efficiency / h)
        wish = self.scheduled + defence + afrr + self.fcr
        battery = clamp(wish, load - limit, load + export)
        battery = clamp(battery, -most_in, most_out)
        over = max(load - battery - limit, 0.0)
        carry = over if off else min(self.carried, max(load - battery, 0.0))
        supplies = min(carry, p.ups_mw, self.supplies / dt)
        self.supplies = max(self.supplies - supplies * dt, 0.0)
        self.carried = supplies if supplies > TINY else 0.0
        over = max(over - supplies, 0.0)
        shortfall = 0.0
        if over > TINY:
            shortfall = over
            for work in self.pausing:
                cut = min(shortfall, max(work.c.active_mw - work.down, 0.0))
                work.dropped += cut
                shortfall -= cut
                load -= cut
        if not off and self.carried == 0 and self.supplies < p.ups_mw * p.ups_s:
            lacking = (p.ups_mw * p.ups_s - self.supplies) / dt
            free = max(limit - (load - battery), 0.0)
            supplies = -min(p.ups_recharge_mw, lacking, free)
            self.supplies -= supplies * dt
        parts, rest = [], wish - battery
        for part in (self.scheduled, afrr, self.fcr):
            same = part * rest > 0
            cut = math.copysign(min(abs(part), abs(rest)), rest) if same else 0.0
            parts.append(part - cut)
            rest -= cut
        remainder = battery - sum(parts)
        self.defence = max(remainder, 0.0)
        flow = battery / b.discharge_efficiency if battery >= 0 else battery * b.charge_efficiency
        self.soc = clamp(self.soc - flow * h, b.soc_min_mwh, b.soc_max_mwh)
        return {
            "grid_mw": load - battery - supplies,
            "battery_mw": battery,
            "soc_mwh": self.soc,
            "ups_mw": supplies,
            "shortfall_mw": shortfall if shortfall > TINY else 0.0,
            "scheduled_mw": parts[0],
            "afrr_mw": parts[1] + self.afrr_work,
            "fcr_mw": parts[2],
            "fcr_due_mw": self.owed(x["hz"]) if sound else math.nan,
            "defend_mw": remainder,
            "setpoint_mw": in_force,
            "recovery_mw": self.recovery,
            "announced_mw": self.announced,
            "reason": reason,
            "excess_mw": sum(w.keep_book(now) for w in self.works),
            "shed_mw": sum(w.down for w in self.works),
            "throttled_mw": [w.throttled for w in self.works],
            "paused_mw": [w.paused for w in self.works],
            "dropped_mw": [w.dropped for w in self.works],
            "beyond_mw": [w.excess for w in self.works],
        }


def naive(plant: ResponsePlant, seconds: Seconds, soc_mwh: float) -> dict[str, np.ndarray]:
    """Step a site over all that is given; the columns of a trajectory."""
    n = len(seconds.frequency_hz)
    names = {"base": "base_mw", "limit": "limit_mw", "export": "export_mw", "trip": "trip"}
    names |= {"schedule": "schedule_mw", "hz": "frequency_hz"}
    x = {k: np.broadcast_to(np.asarray(getattr(seconds, v), float), (n,)) for k, v in names.items()}
    ahead = math.ceil(min(seconds.notice_s, plant.lag_s + 2 * plant.dt_s) / plant.dt_s)
    seen = [float(x["limit"][i : i + ahead + 1].min()) for i in range(n)]
    every = round(plant.afrr.every_s / plant.dt_s)
    sent, site, rows = seconds.setpoints, Naive(plant, soc_mwh), []
    for i in range(n):
        now = {k: float(v[i]) for k, v in x.items()} | {"seen": seen[i]}
        message = (0.0, i * plant.dt_s, True)
        if sent is not None:
            k = i // every
            message = (
                float(sent.setpoint_mw[k]), float(sent.issued_s[k]), bool(sent.authentic[k])
            )  # fmt: skip
        rows.append(site.step(i, now, message))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
