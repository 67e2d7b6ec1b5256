"""The response of a site, second by second: one compiled stepper.

Each step, in this order: the setpoint is heeded or refused; the droop answers the frequency; the
battery's schedule moves within ramp etiquette; what the battery does not cover of the limit and of
the setpoint is asked of work; the battery takes up the rest; what is still over the limit in this
very step is met by reserves, then by the uninterruptible supplies (in a trip), then by dropping
work. What no one can shed is told as shortfall.
"""

from __future__ import annotations

import numpy as np

from gigafactory.kernel.jit import compiled, entry
from gigafactory.kernel.shedding import (
    any_work_down,
    drop,
    move_work,
    read_contracts,
    shed_total,
)
from gigafactory.kernel.sitestate import (
    ACCEPTED,
    FORGED,
    HIGHEST_HZ,
    LOWEST_HZ,
    NOT_A_NUMBER,
    NOTHING_MW,
    STALE,
    TOO_FAST,
    TOO_LARGE,
    Orders,
    Rows,
)

S_PER_H = 3600.0


@compiled
def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@compiled
def _heed(plant: Rows, site: Rows, messages: Rows, k: int, now_s: float) -> int:
    """Take a setpoint over, or say why not."""
    p, y, m = plant[0], site[0], messages[k]
    if m.authentic == 0:
        return FORGED
    if m.setpoint_mw != m.setpoint_mw or m.issued_s != m.issued_s:
        return NOT_A_NUMBER
    # From the future, too old, or older than what was already obeyed: sent again by somebody.
    if m.issued_s > now_s or now_s - m.issued_s > p.setpoint_age_s or m.issued_s < y.issued_s:
        return STALE
    if m.setpoint_mw > p.afrr_up_mw or m.setpoint_mw < -p.afrr_down_mw:
        return TOO_LARGE
    moved = abs(m.setpoint_mw - y.setpoint_mw)
    if moved > p.setpoint_mw_per_s * (now_s - y.setpoint_s) + NOTHING_MW:
        return TOO_FAST
    y.setpoint_mw = m.setpoint_mw
    y.setpoint_s = now_s
    y.issued_s = m.issued_s
    return ACCEPTED


@compiled
def droop(plant: Rows, frequency_hz: float) -> float:
    """What FCR owes at a frequency, MW, positive upward."""
    p = plant[0]
    off = frequency_hz - 50.0
    if abs(off) <= p.insensitive_hz:
        return 0.0
    return _within(-off / p.full_hz, -1.0, 1.0) * p.fcr_mw


@compiled
def _answer_frequency(plant: Rows, site: Rows, frequency_hz: float, now_s: float) -> None:
    """Move FCR towards what the last frequency asks; to nothing when that is too old."""
    p, y = plant[0], site[0]
    if LOWEST_HZ < frequency_hz < HIGHEST_HZ:
        y.frequency_hz = frequency_hz
        y.frequency_s = now_s
    due = 0.0
    if now_s - y.frequency_s <= p.frequency_hold_s:
        due = droop(plant, y.frequency_hz)
    most = p.fcr_mw / p.fcr_full_s * p.dt_s
    y.fcr_mw += _within(due - y.fcr_mw, -most, most)


@compiled
def _plan_recovery(plant: Rows, site: Rows) -> None:
    """At the start of a period: what was announced begins, and the next period's is announced."""
    p, y = plant[0], site[0]
    y.recovery_mw = y.announced_mw
    h = p.period_s / S_PER_H
    if y.recovery_mw < 0.0:
        expected = y.soc_mwh - y.recovery_mw * p.charge_efficiency * h
    else:
        expected = y.soc_mwh - y.recovery_mw / p.discharge_efficiency * h
    middle = 0.5 * (p.inner_low_mwh + p.inner_high_mwh)
    y.announced_mw = 0.0
    if expected < p.inner_low_mwh:
        y.announced_mw = -min(p.recovery_mw, (middle - expected) / (p.charge_efficiency * h))
    elif expected > p.inner_high_mwh:
        y.announced_mw = min(p.recovery_mw, (expected - middle) * p.discharge_efficiency / h)


@compiled
def _store(plant: Rows, site: Rows, battery_mw: float) -> None:
    """Take energy out of the battery, or put it in, for one step."""
    p, y = plant[0], site[0]
    h = p.dt_s / S_PER_H
    if battery_mw >= 0.0:
        y.soc_mwh -= battery_mw / p.discharge_efficiency * h
    else:
        y.soc_mwh -= battery_mw * p.charge_efficiency * h
    y.soc_mwh = _within(y.soc_mwh, p.soc_min_mwh, p.soc_max_mwh)


@compiled
def _support(plant: Rows, site: Rows, over: float) -> float:
    """Meet what is over a limit of nothing from the uninterruptible supplies; return MW given."""
    p, y = plant[0], site[0]
    give = min(over, p.ups_mw, y.ups_mws / p.dt_s)
    y.ups_mws = max(y.ups_mws - give * p.dt_s, 0.0)
    return give


@compiled
def _refill(plant: Rows, site: Rows, room: float) -> float:
    """Recharge the uninterruptible supplies within the room of the connection; return MW drawn."""
    p, y = plant[0], site[0]
    draw = min(p.ups_recharge_mw, (p.ups_mws - y.ups_mws) / p.dt_s, max(room, 0.0))
    y.ups_mws += draw * p.dt_s
    return draw


@compiled
def _cut(part: float, excess: float) -> float:
    """How much of an excess a part can give up without changing its sign (same sign as both)."""
    if part > 0.0 and excess > 0.0:
        return min(part, excess)
    if part < 0.0 and excess < 0.0:
        return max(part, excess)
    return 0.0


@compiled
def _signals(plant: Rows, site: Rows, given: Rows, messages: Rows, happened: Rows, i: int) -> float:
    """Read frequency, setpoint and period; return the setpoint in force, MW."""
    p, y, x, o = plant[0], site[0], given[i], happened[i]
    now_s = y.step * p.dt_s
    o.reason = ACCEPTED
    if y.step % p.message_steps == 0:
        o.reason = _heed(plant, site, messages, i // p.message_steps, now_s)
    _answer_frequency(plant, site, x.frequency_hz, now_s)
    known = LOWEST_HZ < x.frequency_hz < HIGHEST_HZ
    o.fcr_due_mw = droop(plant, x.frequency_hz) if known else np.nan
    if y.step % p.period_steps == 0:
        _plan_recovery(plant, site)
    if x.trip != 0:
        y.fcr_mw = 0.0
        y.afrr_load_mw = 0.0
    held = now_s - y.setpoint_s <= p.setpoint_hold_s
    o.setpoint_mw = y.setpoint_mw if held else 0.0
    return 0.0 if x.trip != 0 else o.setpoint_mw


@compiled
def _schedule(plant: Rows, site: Rows, given: Rows, i: int, take: float, give: float) -> float:
    """Move the battery's schedule; return what ramp etiquette leaves for work to come back, MW."""
    p, y, x = plant[0], site[0], given[i]
    before = y.scheduled_mw
    most = p.ramp_mw_per_s * p.dt_s
    if x.trip != 0:
        y.scheduled_mw = 0.0
        return most
    goal = _within(x.schedule_mw + y.recovery_mw, -take, give)
    y.scheduled_mw += _within(goal - before, -most, most)
    return most - max(before - y.scheduled_mw, 0.0)


@compiled
def _settle(
    plant: Rows, classes: Rows, order: Orders, site: Rows, shed: Rows,
    given: Rows, happened: Rows, i: int, load: float, defend: float, reserve: float,
) -> None:  # fmt: skip
    """Bring the battery's wish within its and the connection's limits, and book the step."""
    p, y, x, o = plant[0], site[0], given[i], happened[i]
    h = p.dt_s / S_PER_H
    limit = 0.0 if x.trip != 0 else x.limit_mw
    export = 0.0 if x.trip != 0 else x.export_mw
    take = min(p.power_mw, (p.soc_max_mwh - y.soc_mwh) / (p.charge_efficiency * h))
    give = min(p.power_mw, (y.soc_mwh - p.soc_min_mwh) * p.discharge_efficiency / h)
    wish = y.scheduled_mw + defend + reserve + y.fcr_mw
    battery = _within(_within(wish, load - limit, load + export), -take, give)
    over = max(load - battery - limit, 0.0)
    ups = 0.0
    if x.trip != 0 and over > 0.0:
        ups = _support(plant, site, over)
        over -= ups
    elif x.trip == 0 and y.ups_given_mw > 0.0:  # hands over to the grid little by little
        ups = _support(plant, site, min(y.ups_given_mw, max(load - battery, 0.0)))
        over = max(over - ups, 0.0)
    y.ups_given_mw = ups if ups > NOTHING_MW else 0.0
    if over > NOTHING_MW:
        load -= over
        over = drop(classes, order, shed, over)
        load += over
        y.shedding = 1
    if x.trip == 0 and y.ups_given_mw == 0.0 and y.ups_mws < p.ups_mws:
        ups = -_refill(plant, site, limit - (load - battery))
    # What had to give: the schedule first, then aFRR, then FCR; the rest was defence of the limit.
    excess = wish - battery
    scheduled = y.scheduled_mw - _cut(y.scheduled_mw, excess)
    excess -= y.scheduled_mw - scheduled
    afrr = reserve - _cut(reserve, excess)
    excess -= reserve - afrr
    fcr = y.fcr_mw - _cut(y.fcr_mw, excess)
    y.defend_mw = max(battery - scheduled - afrr - fcr, 0.0)
    _store(plant, site, battery)
    o.grid_mw = load - battery - ups
    o.battery_mw, o.soc_mwh, o.ups_mw = battery, y.soc_mwh, ups
    o.shortfall_mw = over if over > NOTHING_MW else 0.0
    o.scheduled_mw, o.fcr_mw, o.afrr_mw = scheduled, fcr, afrr + y.afrr_load_mw
    o.defend_mw = battery - scheduled - afrr - fcr
    o.recovery_mw, o.announced_mw = y.recovery_mw, y.announced_mw


@compiled
def _step(
    plant: Rows, classes: Rows, order: Orders, site: Rows, shed: Rows,
    given: Rows, messages: Rows, happened: Rows, i: int,
) -> None:  # fmt: skip
    """One step."""
    p, y, x, o = plant[0], site[0], given[i], happened[i]
    now_s = y.step * p.dt_s
    off = x.trip != 0
    seen = 0.0 if off else x.seen_mw
    fcr = 0.0 if off else p.fcr_mw
    setpoint = _signals(plant, site, given, messages, happened, i)
    # Free of the reserve, and so that it lasts until work can take over: power fades with energy.
    # Work is asked for twice as early as the battery must hand over, so that it comes in time.
    h = max(p.bridge_s, p.dt_s) / S_PER_H
    free = p.power_mw - p.fcr_mw
    give = min(free, max(y.soc_mwh - p.low_mwh, 0.0) * p.discharge_efficiency / h)
    take = min(free, max(p.high_mwh - y.soc_mwh, 0.0) / (p.charge_efficiency * h))
    stock = max(y.soc_mwh - p.soc_min_mwh, 0.0) * p.discharge_efficiency
    last = min(p.power_mw, stock / (2.0 * h))
    lasting = min(free, max(y.soc_mwh - p.low_mwh, 0.0) * p.discharge_efficiency / (2.0 * h))
    manners = _schedule(plant, site, given, i, take, give)
    if not off:
        handed = min(y.ups_given_mw, manners)
        y.ups_given_mw -= handed
        manners -= handed
    full = x.base_mw + p.active_mw
    line = full - y.scheduled_mw  # what the site imports without any reserve or defence
    if setpoint < 0.0:
        setpoint = max(setpoint, -max(seen - fcr - line, 0.0))
    else:
        setpoint = min(setpoint, max(line + x.export_mw - fcr, 0.0))
    over = line - (seen - fcr)
    room = max(give - y.scheduled_mw, 0.0)
    counted_on = max(lasting - y.scheduled_mw, 0.0)
    defend = _within(over, 0.0, counted_on)
    for_limit = max(over - defend, 0.0)
    for_afrr = max(setpoint - max(min(setpoint, counted_on - defend), 0.0), 0.0)
    must = max(full - seen - last, 0.0)
    if y.shedding != 0 or for_limit + for_afrr + must > 0.0:
        y.shedding = 1
        exempt = max(y.afrr_load_mw - for_afrr, 0.0)
        manners = move_work(
            classes, order, shed, now_s, p.dt_s, for_limit + for_afrr, must, manners, exempt
        )
    down = shed_total(shed) if y.shedding != 0 else 0.0
    y.afrr_load_mw = _within(down - for_limit, 0.0, max(for_afrr, y.afrr_load_mw))
    load = full - down
    limit = 0.0 if off else x.limit_mw
    need = load + y.afrr_load_mw - y.scheduled_mw - (limit - fcr)
    defend = min(max(need, 0.0, y.defend_mw - manners), room)
    reserve = setpoint - y.afrr_load_mw
    reserve = _within(reserve, -max(take + y.scheduled_mw + defend, 0.0), max(room - defend, 0.0))
    _settle(plant, classes, order, site, shed, given, happened, i, load, defend, reserve)
    o.excess_mw = 0.0
    if y.shedding != 0:
        o.excess_mw = read_contracts(classes, shed, now_s, p.dt_s)
        y.shedding = any_work_down(shed)
    y.step += 1


@entry
def run_seconds(
    plant: Rows, classes: Rows, order: Orders, site: Rows, shed: Rows,
    given: Rows, messages: Rows, happened: Rows, traces: Rows,
) -> None:  # fmt: skip
    """Run a site over all given steps.

    Args:
        plant: `PLANT`[1].
        classes: `CLASS`[G].
        order: int64[2, G], who is throttled first, and who is paused first.
        site: `SITE`[1], the state, changed.
        shed: `SHED`[G], the state of the classes, changed.
        given: `GIVEN`[N].
        messages: `MESSAGE`[ceil(N / message_steps)]; a run begins on a message.
        happened: `HAPPENED`[N], written.
        traces: float64[N, 4, G], written: MW throttled, paused, dropped, beyond contract.
    """
    for i in range(len(given)):
        _step(plant, classes, order, site, shed, given, messages, happened, i)
        happened[i].shed_mw = 0.0
        if site[0].shedding != 0:
            happened[i].shed_mw = shed_total(shed)
            for g in range(len(classes)):
                s = shed[g]
                traces[i, 0, g] = s.throttled_mw
                traces[i, 1, g] = s.paused_mw
                traces[i, 2, g] = s.dropped_mw
                traces[i, 3, g] = s.excess_mw
