"""The programme against a model of it written with another library, on random small instances."""

from __future__ import annotations

import highspy
import numpy as np
import pytest

from gigafactory.planner.numbers import Numbers, fill_line
from gigafactory.planner.program import Program, sold
from gigafactory.planner.shape import GroupShape, Horizon, ReserveShape, SiteShape
from gigafactory.planner.solving import solve_once


def any_group(r: np.random.Generator, g: int, moves: bool) -> GroupShape:
    levels = int(r.integers(1, 4))
    slower = r.choice(np.arange(40, 95, 5), levels - 1, replace=False)
    speed = (*(np.sort(slower) / 100).tolist(), 1.0)
    watts = np.cumsum(r.uniform(100.0, 400.0, levels) * np.arange(1, levels + 1))
    return GroupShape(
        f"class {g}",
        speed,
        tuple(watts.round(1).tolist()),
        float(r.uniform(0.0, 3.0)),
        sheds=float(r.choice([0.0, 0.4, 1.0])),
        rises=bool(r.random() < 0.4),
        moves=moves,
    )


def any_shape(r: np.random.Generator, groups: tuple[GroupShape, ...]) -> SiteShape:
    contracts, battery = int(r.integers(0, 3)), r.random() < 0.8
    reserves = None
    if r.random() < 0.7:
        reserves = ReserveShape(*(bool(b) for b in r.random(4) < 0.6), 0.5, float(r.uniform(0, 1)))
    return SiteShape(
        groups=groups,
        battery_mw=float(r.uniform(0.5, 2.0)) if battery else 0.0,
        battery_mwh=float(r.uniform(1.0, 6.0)) if battery else 0.0,
        charge_efficiency=float(r.uniform(0.85, 1.0)),
        discharge_efficiency=float(r.uniform(0.85, 1.0)),
        wear_eur_per_mwh=float(r.uniform(0.0, 20.0)),
        contracts=contracts,
        contract_price_eur_per_mwh=(0.0,) * contracts,
        contract_curtail_eur_per_mwh=(0.0,) * contracts,
        levy_eur_per_mwh=0.0,
        export_margin_eur_per_mwh=0.0,
        site_per_it=float(r.uniform(1.0, 1.3)),
        generators=int(r.integers(0, 3)),
        reserves=reserves,
        peaks=bool(r.random() < 0.5),
        intraday=bool(r.random() < 0.4),
        shares=bool(r.random() < 0.8),
    )


def any_numbers(r: np.random.Generator, shape: SiteShape, h: Horizon) -> Numbers:
    n, x = len(h), Numbers.plain(shape, len(h))
    price = r.uniform(-50.0, 250.0, n)
    x.import_eur_per_mwh, x.export_eur_per_mwh = price + r.uniform(0, 10), price - r.uniform(0, 3)
    low = 0.3 if sold(shape) else -0.2  # what is promised needs a cable
    x.limit_mw = r.uniform(low, float(r.choice([1.5, 4.0])), n)
    x.export_mw = np.full(n, float(r.choice([0.0, 1.0])))
    x.load_mw = r.uniform(-0.2, 1.0, n)
    x.capacity = np.full(n, float(r.choice([0.0, 800.0, 4000.0])))
    x.contract_mw = np.abs(r.uniform(-1.0, 2.0, x.contract_mw.shape))
    x.contract_eur_per_mwh = r.uniform(-60.0, 60.0, x.contract_mw.shape)
    x.generator_mw = np.abs(r.uniform(-0.5, 1.0, x.generator_mw.shape))
    x.generator_eur_per_mwh = r.uniform(20.0, 300.0, x.generator_mw.shape)
    x.most = np.where(r.random(x.most.shape) < 0.5, np.inf, r.uniform(0, 900, x.most.shape))
    x.arrivals_gpu_h = r.uniform(0.0, 900.0, x.most.shape) * h.hours
    x.delay_eur_per_gpu_h = r.uniform(0.0, 0.5, x.most.shape)
    x.slow = r.random(n) < 0.5
    x.position_mw = r.uniform(-1.0, 2.0, n)
    x.buy_eur_per_mwh = price + r.uniform(0.0, 5.0, n)
    x.sell_eur_per_mwh = price - r.uniform(0.0, 5.0, n)
    x.rise_mw = r.uniform(0.0, 1.0, n)
    x.move_eur_per_gpu_h = float(r.uniform(0.0, 0.05))
    x.soc_mwh = shape.battery_mwh * float(r.uniform(0.3, 0.7))
    x.soc_eur_per_mwh = float(r.uniform(0.0, 150.0))
    x.soc_end_mwh = shape.battery_mwh * float(r.choice([0.0, 0.4]))
    x.backlog_gpu_h = r.uniform(0.0, 200.0, len(shape.groups))
    for way in sold(shape):
        x.product_eur_per_mw[way] = r.uniform(0.0, 80.0, h.blocks)
        x.sells_mw[way] = r.uniform(0.0, 1.0, h.blocks)
        if r.random() < 0.3:
            x.held_mw[way] = x.sells_mw[way] * (r.random(h.blocks) < 0.1) * 0.05
        if r.random() < 0.2:
            x.promised_mw[way] = r.uniform(0.0, 0.02, n)
    if r.random() < 0.2:
        x.stored_mw = r.uniform(0.0, 0.2, n)
    x.peak_eur_per_mw, x.peak_mw = r.uniform(0, 300, h.peaks), r.uniform(0, 1, h.peaks)
    return x


def any_instance(seed: int) -> tuple[list[SiteShape], list[Numbers], Horizon]:
    r = np.random.default_rng(seed)
    n = int(r.integers(5, 30))
    hours = np.where(r.random(n) < 0.1, 0.0, r.choice([0.25, 1.0], n))
    block = np.arange(n) // 4 - int(r.integers(0, 2))
    h = Horizon.line(hours, np.maximum(block, -1), np.arange(n) * 2 // n)
    count, classes = int(r.integers(1, 4)), int(r.integers(0, 4))
    moves = [bool(r.random() < 0.5) for _ in range(classes)]
    shapes = [
        any_shape(r, tuple(any_group(r, g, moves[g]) for g in range(classes))) for _ in range(count)
    ]
    return shapes, [any_numbers(r, shape, h) for shape in shapes], h


#: Small instances, on which the other library is quick.
QUICK_SEEDS = (1, 2, 6)


def solved(shapes: list[SiteShape], numbers: list[Numbers], h: Horizon) -> float | None:
    program = Program(shapes, h)
    fill_line(program, numbers)
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(program.lp)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return float(highs.getInfo().objective_function_value)


@pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=() if s in QUICK_SEEDS else pytest.mark.slow) for s in range(60)]
)
def test_the_programme_costs_what_an_independent_model_says(seed: int) -> None:
    from linopy_model import objective  # half a second, which other workers need not wait for

    instance = any_instance(seed)
    ours, theirs = solved(*instance), objective(*instance)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_a_programme_solved_once_costs_the_same(seed: int) -> None:
    shapes, numbers, h = any_instance(seed)
    found, once = solved(shapes, numbers, h), solve_once(shapes, h, numbers)
    assert (found is None) == (once is None)
    if found is not None and once is not None:
        assert once.objective_eur == pytest.approx(found, rel=1e-9, abs=1e-6)
        for name in once.program.layouts[0].columns:
            assert len(once.of(0, name)) == len(h)


def test_most_random_instances_have_a_plan() -> None:
    assert sum(solved(*any_instance(seed)) is not None for seed in range(60)) >= 40
