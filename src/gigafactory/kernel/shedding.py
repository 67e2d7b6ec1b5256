"""How much work gives way, second by second: throttled first, then paused, dropped last.

Work gives way in a fixed order (``order[0]`` for throttling, ``order[1]`` for pausing) and comes
back in the reverse of it. What contracts allow goes first; more is taken only for what `must` be
shed. Throttling and pausing take time; only dropping does not, and it loses work since the last
checkpoint.
"""

from __future__ import annotations

from gigafactory.kernel.jit import compiled
from gigafactory.kernel.sitestate import NOTHING_MW, Orders, Rows


@compiled
def shed_total(shed: Rows) -> float:
    """Power that all classes together do not draw now, MW."""
    total = 0.0
    for g in range(len(shed)):
        s = shed[g]
        total += s.throttled_mw + s.paused_mw + s.dropped_mw
    return total


@compiled
def _allowed(classes: Rows, shed: Rows, g: int, now_s: float) -> float:
    """How deep a class may be asked to go now, MW.

    Work is asked back a lead before its contract ends, so that others can take over in time.
    """
    c, s = classes[g], shed[g]
    if s.in_use != 0:
        in_time = s.allowed != 0 and now_s - s.began_s < c.lasting_s - c.lead_s
        return c.depth_mw if in_time else 0.0
    may_begin = s.events < c.events and now_s - s.ended_s >= c.rest_s
    return c.depth_mw if may_begin else 0.0


@compiled
def _share_out(
    classes: Rows, order: Orders, shed: Rows, now_s: float, wanted: float, must: float
) -> float:
    """Say how much of each class is wanted throttled and paused; return their sum, MW.

    Within contracts first all throttling, then all pausing. Beyond them class by class, so that the
    dearest class is left alone as long as there is any other.
    """
    left = max(wanted, must)
    total = left
    for k in range(len(classes)):
        g = order[0, k]
        take = min(left, classes[g].throttle_mw, _allowed(classes, shed, g, now_s))
        shed[g].want_throttle_mw = take
        left -= take
    for k in range(len(classes)):
        g = order[1, k]
        room = _allowed(classes, shed, g, now_s) - shed[g].want_throttle_mw
        take = min(left, classes[g].pause_mw, max(room, 0.0))
        shed[g].want_pause_mw = take
        left -= take
    found = total - left
    left = max(must - found, 0.0)  # beyond contracts, because nothing else is left
    beyond = left
    for k in range(len(classes)):
        g = order[1, k]
        take = min(left, classes[g].throttle_mw - shed[g].want_throttle_mw)
        shed[g].want_throttle_mw += take
        left -= take
        take = min(left, classes[g].pause_mw - shed[g].want_pause_mw)
        shed[g].want_pause_mw += take
        left -= take
    return found + (beyond - left)


@compiled
def _checkpoint(classes: Rows, shed: Rows, g: int, now_s: float) -> None:
    """Bring work to a checkpoint, one batch at a time: granted once the delay is over."""
    c, s = classes[g], shed[g]
    if s.batch_mw > 0.0:
        s.batch_mw = min(s.batch_mw, max(s.want_pause_mw - s.granted_mw, 0.0))
        if now_s >= s.ready_s:
            s.granted_mw += s.batch_mw
            s.batch_mw = 0.0
    if s.batch_mw == 0.0 and s.want_pause_mw > s.granted_mw + NOTHING_MW:
        if c.pause_delay_s == 0.0:
            s.granted_mw = s.want_pause_mw
        else:
            s.batch_mw = s.want_pause_mw - s.granted_mw
            s.ready_s = now_s + c.pause_delay_s


@compiled
def _give_way(classes: Rows, shed: Rows, now_s: float, dt_s: float) -> float:
    """Throttle and pause what is wanted, as fast as it can be; return how much more, MW."""
    newly = 0.0
    for g in range(len(classes)):
        c, s = classes[g], shed[g]
        free = max(c.active_mw - s.throttled_mw - s.paused_mw - s.dropped_mw, 0.0)
        up = min(s.want_throttle_mw - s.throttled_mw, c.throttle_mw_per_s * dt_s, free)
        if up > 0.0:
            s.throttled_mw += up
            free -= up
            newly += up
        _checkpoint(classes, shed, g, now_s)
        goal = min(s.granted_mw, s.want_pause_mw)
        up = min(goal - s.paused_mw, c.pause_mw_per_s * dt_s, free)
        if up > 0.0:
            s.paused_mw += up
            newly += up
    return newly


@compiled
def _come_back(classes: Rows, order: Orders, shed: Rows, dt_s: float, budget: float) -> float:
    """Let work run again, last shed first, within a budget in MW; return what is left of it."""
    last = len(classes) - 1
    waits = False
    for k in range(len(classes)):
        g = order[1, last - k]
        s = shed[g]
        if s.dropped_mw > 0.0 and not waits:
            down = min(s.dropped_mw, classes[g].pause_mw_per_s * dt_s, budget)
            s.dropped_mw -= down
            budget -= down
            waits = s.dropped_mw > NOTHING_MW
    for k in range(len(classes)):
        g = order[1, last - k]
        s = shed[g]
        if s.paused_mw > s.want_pause_mw and not waits:
            over = s.paused_mw - s.want_pause_mw
            down = min(over, classes[g].pause_mw_per_s * dt_s, budget)
            s.paused_mw -= down
            budget -= down
            waits = s.paused_mw > s.want_pause_mw + NOTHING_MW
        s.granted_mw = min(s.granted_mw, max(s.paused_mw, s.want_pause_mw))
    for k in range(len(classes)):
        g = order[0, last - k]
        s = shed[g]
        if s.throttled_mw > s.want_throttle_mw and not waits:
            over = s.throttled_mw - s.want_throttle_mw
            down = min(over, classes[g].throttle_mw_per_s * dt_s, budget)
            s.throttled_mw -= down
            budget -= down
            waits = s.throttled_mw > s.want_throttle_mw + NOTHING_MW
    return budget


@compiled
def move_work(
    classes: Rows,
    order: Orders,
    shed: Rows,
    now_s: float,
    dt_s: float,
    wanted: float,
    must: float,
    manners: float,
    exempt: float,
) -> float:
    """Shed or give back work for one step.

    Nothing comes back before what takes its place is really there.

    Args:
        classes: what classes can do.
        order: int64[2, classes]: who is throttled first, and who is paused first.
        shed: their state, changed.
        now_s: the instant.
        dt_s: length of the step, s.
        wanted: to be shed within contracts, MW.
        must: to be shed whatever contracts say, MW.
        manners: by how much the site's import may rise by ramp etiquette in this step, MW.
        exempt: what may come back besides, being the end of an activation, MW.

    Returns:
        What the step leaves of the etiquette's MW.
    """
    target = _share_out(classes, order, shed, now_s, wanted, must)
    newly = _give_way(classes, shed, now_s, dt_s)
    active = 0.0
    for g in range(len(classes)):
        active += classes[g].active_mw
    surplus = max(shed_total(shed) - max(target, min(must, active)), 0.0)
    allowed = manners + newly + exempt
    budget = min(surplus, allowed)
    used = budget - _come_back(classes, order, shed, dt_s, budget)
    return min(max(allowed - used, 0.0), manners)


@compiled
def drop(classes: Rows, order: Orders, shed: Rows, over: float) -> float:
    """Cut work off at once, first in the order of pausing; return what could not be cut, MW."""
    for k in range(len(classes)):
        g = order[1, k]
        s = shed[g]
        runs = classes[g].active_mw - s.throttled_mw - s.paused_mw - s.dropped_mw
        cut = min(over, max(runs, 0.0))
        s.dropped_mw += cut
        over -= cut
    return over


@compiled
def read_contracts(classes: Rows, shed: Rows, now_s: float, dt_s: float) -> float:
    """Begin and end uses of the contracts; count what goes beyond them, and return it, MW.

    Dropped work is always beyond a contract; so is work that is shed deeper, longer or more often
    than agreed.
    """
    total = 0.0
    for g in range(len(classes)):
        c, s = classes[g], shed[g]
        down = s.throttled_mw + s.paused_mw
        used = down + s.dropped_mw > NOTHING_MW
        if used and s.in_use == 0:
            allowed = s.events < c.events and now_s - s.ended_s >= c.rest_s
            s.allowed = 1 if allowed else 0
            s.in_use = 1
            s.began_s = now_s
            s.events += 1
        elif not used and s.in_use != 0:
            s.in_use = 0
            s.ended_s = now_s
        agreed = 0.0
        if s.in_use != 0 and s.allowed != 0 and now_s - s.began_s < c.lasting_s:
            agreed = c.depth_mw
        s.excess_mw = s.dropped_mw + max(down - agreed, 0.0)
        if s.excess_mw <= NOTHING_MW:
            s.excess_mw = 0.0
        s.excess_mws += s.excess_mw * dt_s
        total += s.excess_mw
    return total


@compiled
def any_work_down(shed: Rows) -> int:
    """Whether any class is shed, on its way to it, or in a use of its contract: 1 or 0."""
    for g in range(len(shed)):
        s = shed[g]
        down = s.throttled_mw + s.paused_mw + s.dropped_mw + s.granted_mw + s.batch_mw
        if down > 0.0 or s.in_use != 0:
            return 1
    return 0
