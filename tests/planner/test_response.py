"""How a plan meets the present: envelopes become speeds, nodes and budgets that never exceed it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.planner import PoolView, Responder, Wish

FULL = 128
GROUPS = 5
IDLE = 300_000
VICTIMS = (1, 2, 3, 0, 4)
FLOOR = np.array([90, 77, 77, 77, 116])
NO_WISH = Wish(np.full(GROUPS, FULL), np.zeros(GROUPS), np.zeros(GROUPS))


def powers(top: int = 1_000_000) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Power by speed step: rises with the square of speed, from rest."""
    steps = np.arange(FULL + 1, dtype=np.int64) ** 2
    rows = [IDLE + (top + 50_000 * g - IDLE) * steps // FULL**2 for g in range(GROUPS)]
    return np.stack(rows)


def pool(running: list[int], nodes: int = 100, waiting: bool = True, top: int = 10**6) -> PoolView:
    return PoolView(np.array(running, np.int64), nodes, nodes, 8, waiting, IDLE, powers(top))


def draw(view: PoolView, nodes: int, speed: np.ndarray) -> int:
    active = sum(int(view.running[g]) * (int(view.power_mw[g, speed[g]]) - IDLE) for g in range(5))
    return nodes * 8 * IDLE + active


@st.composite
def views(draw_: st.DrawFn) -> list[PoolView]:
    out = []
    for _ in range(draw_(st.integers(1, 3))):
        nodes = draw_(st.integers(0, 200))
        left, running = nodes * 8, []
        for _ in range(GROUPS):
            some = draw_(st.integers(0, left))
            running.append(some)
            left -= some
        top = draw_(st.integers(400_000, 2_000_000))
        out.append(pool(running, nodes, draw_(st.booleans()), top))
    return out


@given(views(), st.floats(0.0, 4.0) | st.just(float("inf")), st.data())
def test_budgets_keep_the_envelope(
    pools: list[PoolView], envelope_mw: float, data: st.DataObject
) -> None:
    planned = np.array([data.draw(st.integers(int(f), FULL)) for f in FLOOR], np.int64)
    wish = Wish(planned, NO_WISH.running, NO_WISH.holds_h)
    intent = Responder(FULL, VICTIMS, FLOOR).decide(envelope_mw, wish, pools)
    assert np.all(intent.speed <= planned), "nobody is sped up"
    assert np.all(intent.speed >= np.minimum(FLOOR, planned)), "nor slowed below the floor"
    assert all(0 <= n <= p.nodes for n, p in zip(intent.nodes, pools, strict=True))
    if None in intent.budget_mw:
        assert set(intent.budget_mw) == {None}
        most = sum(p.nodes * 8 * int(p.power_mw[:, -1].max()) for p in pools)
        assert envelope_mw * 1e9 >= most, "no budget only where no limit can be reached"
        return
    budgets = [b for b in intent.budget_mw if b is not None]
    assert sum(budgets) <= intent.envelope_mw <= envelope_mw * 1e9
    for budget, nodes in zip(budgets, intent.nodes, strict=True):
        assert budget >= nodes * 8 * IDLE, "resting nodes always fit their budget"


@given(views(), st.floats(0.0, 4.0))
def test_victims_are_slowed_in_order_and_no_more_than_needed(
    pools: list[PoolView], envelope_mw: float
) -> None:
    intent = Responder(FULL, VICTIMS, FLOOR).decide(envelope_mw, NO_WISH, pools)
    if None in intent.budget_mw or tuple(p.nodes for p in pools) != intent.nodes:
        return
    running = np.sum([p.running for p in pools], axis=0)
    assert np.all(intent.speed == intent.speed[0]), "one site, one speed"
    speed = intent.speed[0]
    slowed = [g for g in VICTIMS if speed[g] < FULL]
    for g in slowed[:-1]:
        assert speed[g] == FLOOR[g] or running[g] == 0, "first the first, to its floor"
    now = sum(draw(p, p.nodes, speed) for p in pools)
    if slowed and now <= intent.envelope_mw:
        last = slowed[-1]
        faster = speed.copy()
        faster[last] += 1
        if running[last]:
            assert sum(draw(p, p.nodes, faster) for p in pools) > intent.envelope_mw


def test_battery_and_limit_allow_all_then_nothing_is_told() -> None:
    intent = Responder(FULL, VICTIMS, FLOOR).decide(
        float("inf"), NO_WISH, [pool([800, 0, 0, 0, 0])]
    )
    assert intent.budget_mw == (None,)
    assert intent.nodes == (100,)
    assert intent.speed.tolist() == [[FULL] * 5]


@given(views(), st.floats(0.0, 4.0) | st.just(float("inf")), st.data())
def test_a_hall_keeps_its_limit_and_the_site_its_own(
    pools: list[PoolView], envelope_mw: float, data: st.DataObject
) -> None:
    places = [data.draw(st.integers(0, 2)) for _ in pools]
    pools = [replace(p, hall=h) for p, h in zip(pools, places, strict=True)]
    halls = {h: data.draw(st.floats(0.0, 2.0)) for h in range(3) if data.draw(st.booleans())}
    respond = Responder(FULL, VICTIMS, FLOOR)
    intent = respond.decide(envelope_mw, NO_WISH, pools, halls)
    free = respond.decide(envelope_mw, NO_WISH, pools)
    budgets = list(zip(intent.budget_mw, pools, strict=True))
    for hall, limit_mw in halls.items():
        mine = [p for p in pools if p.hall == hall]
        most = sum(p.nodes * 8 * int(p.power_mw[:, -1].max()) for p in mine)
        if limit_mw * 1e9 < most:
            assert sum(b or 0 for b, p in budgets if p.hall == hall) <= limit_mw * 1e9
    if None not in intent.budget_mw and envelope_mw < float("inf"):
        total = sum(b or 0 for b in intent.budget_mw)
        site_most = sum(p.nodes * 8 * int(p.power_mw[:, -1].max()) for p in pools)
        assert total <= max(envelope_mw * 1e9, 0) or envelope_mw * 1e9 >= site_most
    for k, (budget, nodes, p) in enumerate(zip(intent.budget_mw, intent.nodes, pools, strict=True)):
        assert budget is None or budget >= nodes * 8 * IDLE
        assert np.all(intent.speed[k] >= FLOOR), "nor slowed below the floor"
        if p.hall not in halls:
            assert nodes == free.nodes[k], "another hall's trouble is not one's own"
            assert intent.speed[k].tolist() == free.speed[k].tolist()


def test_what_a_tight_hall_cannot_take_goes_to_the_others() -> None:
    both = [replace(pool([400, 0, 0, 0, 0]), hall=h) for h in (0, 1)]
    respond = Responder(FULL, VICTIMS, FLOOR)
    alone = respond.decide(1.2, NO_WISH, both).budget_mw
    tight = respond.decide(1.2, NO_WISH, both, {0: 0.4}).budget_mw
    assert alone == (600_000_000, 600_000_000)
    assert tight == (400_000_000, 800_000_000)


def test_nodes_leave_service_only_when_rest_alone_is_too_much() -> None:
    rest = 2 * 100 * 8 * IDLE / 1e9
    both = [pool([400, 0, 0, 0, 0]), pool([0, 400, 0, 0, 0])]
    respond = Responder(FULL, VICTIMS, FLOOR)
    assert respond.decide(rest, NO_WISH, both).nodes == (100, 100)
    assert respond.decide(rest * 0.99, NO_WISH, both).nodes == (89, 89)
    assert respond.decide(0.0, NO_WISH, both).nodes == (0, 0)


def test_only_what_the_plan_defers_and_has_enough_of_is_held() -> None:
    view = pool([100, 50, 0, 0, 10])
    wish = Wish(
        NO_WISH.speed,
        np.array([100.0, 60.0, 0.0, 0.0, 0.0]),
        np.array([4.0, 4.0, 0.5, 0.0, 0.0]),
    )
    intent = Responder(FULL, VICTIMS, FLOOR).decide(float("inf"), wish, [view])
    assert intent.held_s.tolist() == [14_400, 0, 1_800, 0, 0]
