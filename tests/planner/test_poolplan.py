"""A pool's plan is what a run of the same file gives its twin."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.factory import load_factory
from gigafactory.grid import MarketCalendar
from gigafactory.jobs import JobTable
from gigafactory.kernel import FULL_SPEED
from gigafactory.planner.poolplan import CLASSES, PoolPlan
from gigafactory.planner.tick import Gate
from gigafactory.plant import load_catalogue
from gigafactory.runtime.rights import rules_of

CHIPS = load_catalogue()
FACTORY = load_factory("groningen")
POOL = FACTORY.fleet[0]
NODES = POOL.accelerators // CHIPS[POOL.chip].node_size


def plan_of(nodes: int = NODES, name: str = POOL.name) -> PoolPlan:
    return PoolPlan.of(FACTORY, name, [f"n{n}" for n in range(nodes)], CHIPS)


def test_a_plan_is_wired_as_the_twin_is() -> None:
    plan = plan_of()
    calendar = MarketCalendar.of(dt.date(2026, 1, 1), 1)
    table = cast(JobTable, SimpleNamespace(tenants=plan.tenants))  # nothing else is read of it
    rules = rules_of(FACTORY, 0, CHIPS, calendar, table, seed=0)
    for one in fields(rules):
        if not one.name.startswith("fault"):
            assert np.array_equal(getattr(rules, one.name), getattr(plan.rules, one.name)), one.name
    assert plan.rules.fault_ns.size == 0
    assert plan.power_mw.shape == (len(CLASSES), FULL_SPEED + 1)
    assert plan.node_size * len(plan.nodes) <= POOL.accelerators
    assert len(plan.quotas) == len(plan.rules.parent)
    assert (plan.floor <= FULL_SPEED).all()
    Gate(plan)


def test_a_pool_that_is_not_there_and_nodes_too_many_are_told() -> None:
    with pytest.raises(BadInput, match="the pools are"):
        plan_of(name="none")
    with pytest.raises(BadInput, match="nodes"):
        plan_of(NODES - 1)
    with pytest.raises(BadInput, match="named twice"):
        PoolPlan.of(FACTORY, POOL.name, ["n"] * NODES, CHIPS)
