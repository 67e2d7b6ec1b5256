"""The one door between Python and the compiled code: every order to a pool goes through it.

One compiled entry instead of seven: the compiler works through all that an entry calls each time,
and a newcomer waits for it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from gigafactory.kernel.advance import advance
from gigafactory.kernel.control import (
    hold_groups,
    set_budget,
    set_groups,
    set_limits,
    set_quotas,
    set_service,
    turn,
)
from gigafactory.kernel.jit import entry
from gigafactory.kernel.loading import load
from gigafactory.kernel.moving import admit, dismiss, withdraw
from gigafactory.kernel.schedule import explain, note_reasons
from gigafactory.kernel.state import State


class Order(IntEnum):
    """What a pool is told."""

    ADVANCE = 0
    TURN = 1
    GROUPS = 2
    HOLD = 3
    BUDGET = 4
    SERVICE = 5
    EXPLAIN = 6
    WITHDRAW = 7
    ADMIT = 8
    DISMISS = 9
    LIMITS = 10
    QUOTAS = 11
    LOAD = 12


_ADVANCE = int(Order.ADVANCE)
_TURN = int(Order.TURN)
_GROUPS = int(Order.GROUPS)
_HOLD = int(Order.HOLD)
_BUDGET = int(Order.BUDGET)
_SERVICE = int(Order.SERVICE)
_WITHDRAW = int(Order.WITHDRAW)
_ADMIT = int(Order.ADMIT)
_DISMISS = int(Order.DISMISS)
_LIMITS = int(Order.LIMITS)
_QUOTAS = int(Order.QUOTAS)
_LOAD = int(Order.LOAD)


@entry
def obey(s: State, order: int, number: int, first: Any, second: Any) -> int:
    """Carry out an order.

    Args:
        s: the pool.
        order: an `Order`.
        number: instant to advance to, budget in milliwatts, nodes in service, jobs laid, or a job;
            for reasons, -1 stands for all that wait.
        first: speeds, groups held back, limits, nominal quotas, the work a job brings, or jobs to
            be laid, int64; read by those orders only.
        second: milliwatts per active accelerator, what is lent of each quota, or nodes, int64.

    Returns:
        What the order's function returns; 0 where it returns nothing.
    """
    if order == _ADVANCE:
        return advance(s, number)
    if order == _TURN:
        turn(s)
        return 0
    if order == _GROUPS:
        set_groups(s, first, second)
        return 0
    if order == _HOLD:
        hold_groups(s, first)
        return 0
    if order == _BUDGET:
        return set_budget(s, number)
    if order == _SERVICE:
        return set_service(s, number)
    if order == _WITHDRAW:
        return withdraw(s, number)
    if order == _ADMIT:
        return admit(s, number, first[0])
    if order == _DISMISS:
        return dismiss(s, number)
    if order == _LIMITS:
        set_limits(s, first)
        return 0
    if order == _QUOTAS:
        set_quotas(s, first, second)
        return 0
    if order == _LOAD:
        load(s, number, first, second)
        return 0
    if number < 0:
        note_reasons(s, 0, s.job.shape[0])
        return 0
    return explain(s, number)
