"""The event loop: every end, stop, failure and arrival between two instants, in order.

At one instant: jobs end, jobs whose grace is over leave, nodes fail or come back, jobs become
urgent, jobs arrive, then one scheduling pass. An interval is half open: what falls on its end
belongs to the next one.
"""

from __future__ import annotations

from gigafactory.kernel.clocks import drop_end, first_stop, read_group, read_held
from gigafactory.kernel.control import node_fails, node_returns
from gigafactory.kernel.jit import compiled
from gigafactory.kernel.queues import dequeue, enqueue
from gigafactory.kernel.quotas import read_quota
from gigafactory.kernel.running import close_segment, leave, vacate
from gigafactory.kernel.schedule import cannot_start, note_reasons, schedule
from gigafactory.kernel.state import GROUPS, URGENT, JobState, Kind, State

_DONE = int(JobState.DONE)
_FUTURE = int(JobState.FUTURE)
_QUEUED = int(JobState.QUEUED)
_FINISH = int(Kind.FINISH)
_LIMIT = int(Kind.LIMIT)


@compiled
def _end_all_due(s: State, t: int) -> None:
    """End every job due at instant `t`, by job number over all groups."""
    due = 0
    for g in range(GROUPS):
        if s.group[g].next_end == t:
            read_group(s, g, t)
        while s.group[g].next_end == t:
            j = s.ends[g, 0].job
            drop_end(s, g, j)
            at = due
            while at > 0 and s.batch[at - 1] > j:
                s.batch[at] = s.batch[at - 1]
                at -= 1
            s.batch[at] = j
            due += 1
    read_held(s, t)
    for i in range(due):
        j = s.batch[i]
        close_segment(s, j, t, _LIMIT if s.job[j].limited else _FINISH)
        vacate(s, j, t)
        s.job[j].state = _DONE


@compiled
def _leave_all_due(s: State, t: int) -> bool:
    """Stop every job whose grace is over at instant `t`; returns whether there was one."""
    some = False
    j = first_stop(s)
    while j >= 0 and s.job[j].stop == t:
        some = True
        leave(s, j, t, False)
        j = first_stop(s)
    return some


@compiled
def _break_and_mend(s: State, t: int) -> bool:
    """Let nodes fail and come back at instant `t`; returns whether any did."""
    v = s.v[0]
    some = False
    while v.fault < s.fault.shape[0] and s.fault[v.fault].t <= t:
        n = s.fault[v.fault].node
        if s.fault[v.fault].change > 0:
            node_fails(s, n, t)
        else:
            node_returns(s, n, t)
        v.fault += 1
        some = True
    return some


@compiled
def _urge(s: State, t: int) -> bool:
    """Raise the priority of jobs whose deadline has come near; returns whether there was one."""
    v = s.v[0]
    some = False
    while v.urgent < s.urgent.shape[0] and s.urgent[v.urgent].t <= t:
        j = s.urgent[v.urgent].job
        v.urgent += 1
        if s.ask[j].priority >= URGENT:
            continue
        if s.job[j].state == _QUEUED:
            dequeue(s, j, t)
            s.ask[j].priority = URGENT
            enqueue(s, j, t)
            some = True
        else:
            s.ask[j].priority = URGENT
    return some


@compiled
def next_event(s: State, until: int) -> int:
    """The instant of the next event, `until` when there is none before."""
    v = s.v[0]
    t = until
    for g in range(GROUPS):
        t = min(t, s.group[g].next_end)
    if v.stops > 0:
        j = first_stop(s)
        if j >= 0:
            t = min(t, s.job[j].stop)
    if v.fault < s.fault.shape[0]:
        t = min(t, max(s.fault[v.fault].t, v.t))
    if v.urgent < s.urgent.shape[0]:
        t = min(t, max(s.urgent[v.urgent].t, v.t))
    if v.arrival < v.horizon:
        t = min(t, s.job[v.arrival].submit)
    return t


@compiled
def advance(s: State, until: int) -> int:
    """Process all events before `until`.

    Returns:
        The instant reached: `until`, or an earlier one when the notes must be drained first.
    """
    v = s.v[0]
    room = s.out.shape[0] - 4 * s.batch.shape[0] - 64
    while True:
        if v.records > room:
            return v.t
        t = next_event(s, until)
        if t >= until:
            break
        v.t = t
        changed = False
        for g in range(GROUPS):
            if s.group[g].next_end == t:
                changed = True
        if changed:
            _end_all_due(s, t)
        drawn = v.fault + v.urgent
        changed = _leave_all_due(s, t) or changed
        changed = _break_and_mend(s, t) or changed
        changed = _urge(s, t) or changed
        first, came, lone = v.arrival, 0, 0
        while v.arrival < v.horizon and s.job[v.arrival].submit == t:
            if s.job[v.arrival].state == _FUTURE:
                enqueue(s, v.arrival, t)
                came += 1
                lone = v.arrival
            v.arrival += 1
        v.events += 1
        # an instant at which nothing came but what is away is none
        quiet = came == 0 and v.arrival > first and v.fault + v.urgent == drawn
        if changed or not (quiet or (came == 1 and cannot_start(s, lone, t))):
            schedule(s, t)
        note_reasons(s, first, v.arrival)
    v.t = until
    for g in range(GROUPS):
        read_group(s, g, until)
    read_held(s, until)
    for x in range(s.quota.shape[0]):
        read_quota(s, x, until)
    return until
