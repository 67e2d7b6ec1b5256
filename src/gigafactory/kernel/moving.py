"""Jobs that come from another pool or go to one, and jobs that the rules take out of the queue.

A job that could run in several pools is known to each of them and waits, or runs, in one: in the
others it is *away*.
"""

from __future__ import annotations

from gigafactory.kernel.jit import compiled
from gigafactory.kernel.queues import dequeue, enqueue
from gigafactory.kernel.quotas import shift
from gigafactory.kernel.running import give_notice, held_by
from gigafactory.kernel.schedule import give_up_claim
from gigafactory.kernel.state import SOON, JobState, State

_AWAY = int(JobState.AWAY)
_CLAIMING = int(JobState.CLAIMING)
_FUTURE = int(JobState.FUTURE)
_QUEUED = int(JobState.QUEUED)
_RUNNING = int(JobState.RUNNING)


@compiled
def withdraw(s: State, j: int) -> int:
    """Take job `j`, which waits or is still to come, out of this pool; returns 1 if it is away."""
    job = s.job[j]
    t = s.v[0].t
    if job.state == _CLAIMING:
        give_up_claim(s, j, t)
    if job.state == _QUEUED:
        dequeue(s, j, t)
        s.v[0].shadow_valid = 0
    elif job.state != _FUTURE and job.state != _AWAY:
        return 0
    job.state = _AWAY
    return 1


@compiled
def admit(s: State, j: int, kept: int) -> int:
    """Let job `j`, which is away, wait here, with the work it has kept; returns 1 if it does.

    One that has kept some pays for starting again. A job admitted before it was submitted comes
    then.
    """
    job = s.job[j]
    v = s.v[0]
    if job.state != _AWAY:
        return 0
    ask = s.ask[j]
    job.kept = kept
    job.redo = s.group[ask.group].restart if kept > 0 else 0
    job.left = job.need - kept + job.redo
    ask.rest = job.estimate - kept + job.redo
    if j >= v.arrival:
        job.state = _FUTURE
        return 1
    enqueue(s, j, v.t)
    v.shadow_valid = 0
    return 1


@compiled
def dismiss(s: State, j: int) -> int:
    """Give running job `j` notice to leave the pool; returns 1 if it got it.

    It leaves when its grace is over, as any job under notice, and is away then; if it ends or fails
    before, it does that.
    """
    if s.job[j].state != _RUNNING:
        return 0
    t = s.v[0].t
    shift(s, SOON, s.tenant[s.ask[j].tenant].leaf, -held_by(s, j), t)
    give_notice(s, j, t, -1)
    s.v[0].shadow_valid = 0
    return 1
