"""Planning on rings costs what planning afresh costs, whatever the last basis was."""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
import numpy.typing as npt
import pytest

from gigafactory.planner.numbers import Numbers, fill_line
from gigafactory.planner.program import Program, sold
from gigafactory.planner.ring import ROOMS, Circle, Mixed, RingProgram, Turn
from gigafactory.planner.shape import GroupShape, Horizon, ReserveShape, SiteShape

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WORK = GroupShape("work", (0.6, 0.8, 1.0), (300.0, 500.0, 1000.0), 0.3, sheds=0.5)
DAILY = GroupShape("daily", (1.0,), (1e3,), 0.0, sheds=1.0, rises=True)
SHAPE = SiteShape(
    groups=(WORK, DAILY),
    battery_mw=2.0,
    battery_mwh=6.0,
    charge_efficiency=0.94,
    discharge_efficiency=0.92,
    wear_eur_per_mwh=4.0,
    contracts=1,
    contract_price_eur_per_mwh=(0.0,),
    contract_curtail_eur_per_mwh=(0.0,),
    levy_eur_per_mwh=0.0,
    export_margin_eur_per_mwh=0.0,
    site_per_it=1.1,
    generators=1,
    reserves=ReserveShape(True, True, True, True),
    peaks=True,
    intraday=True,
)
BLOCK = 8  # periods


class World:
    """Endless random numbers per market period."""

    def __init__(self, seed: int, periods: int, shape: SiteShape) -> None:
        r = np.random.default_rng(seed)
        self.shape = shape
        self.price = r.uniform(-20.0, 200.0, periods)
        self.limit = r.uniform(1.0, 6.0, periods)
        self.load = r.uniform(0.2, 0.8, periods)
        self.contract = r.uniform(0.0, 1.0, periods)
        self.work = r.uniform(0.0, 1500.0, periods)
        self.slow = r.random(periods) < 0.5
        self.product = {w: r.uniform(0.0, 60.0, periods // BLOCK + 2) for w in sold(shape)}

    def numbers(self, shape: SiteShape, slots: int, blocks: int) -> Numbers:
        x = Numbers.plain(shape, slots)
        x.soc_mwh, x.soc_eur_per_mwh = 3.0, 60.0
        x.backlog_gpu_h = np.array([40.0, 5.0])[: len(shape.groups)]
        x.peak_eur_per_mw, x.peak_mw = np.array([200.0, 150.0]), np.array([1.0, 0.0])
        for way in sold(shape):
            x.product_eur_per_mw[way] = np.zeros(blocks)
            x.held_mw[way] = np.zeros(blocks)
            x.sells_mw[way] = np.full(blocks, 0.4)
        return x

    def put(self, x: Numbers, slot: Ints, begin: Ints, length: Ints) -> None:
        """Numbers of slots that begin at periods; a long slot takes the mean of what it covers."""

        def mean(values: npt.NDArray[np.generic]) -> Array:
            pairs = zip(begin, length, strict=True)
            return np.array([np.mean(values[b : b + n]) for b, n in pairs])

        price = mean(self.price)
        x.import_eur_per_mwh[slot], x.export_eur_per_mwh[slot] = 2.0, -1.0
        x.buy_eur_per_mwh[slot], x.sell_eur_per_mwh[slot] = price + 1.0, price - 1.0
        x.limit_mw[slot], x.export_mw[slot] = mean(self.limit), 1.5
        x.load_mw[slot], x.capacity[slot] = mean(self.load), 3000.0
        x.contract_mw[:, slot], x.contract_eur_per_mwh[:, slot] = mean(self.contract), 50.0
        x.generator_mw[:, slot], x.generator_eur_per_mwh[:, slot] = 0.5, 120.0
        x.arrivals_gpu_h[0, slot] = mean(self.work) * length / 4
        x.arrivals_gpu_h[1, slot] = np.where(begin % 16 == 0, 600.0, 0.0)
        x.backlog_most[1, slot] = np.where((begin + length) % 16 == 0, 0.0, np.inf)
        x.most[1, slot] = 400.0
        x.delay_eur_per_gpu_h[0, slot] = 0.02 * length / 4
        x.slow[slot] = mean(self.slow) > 0.5
        x.rise_mw[slot] = 1.1 * 0.4
        x.peak_row[slot] = begin >= 120


def afresh(shape: SiteShape, x: Numbers, turn: Turn, length: Ints, block: Ints) -> float:
    """The same plan as a line of steps, solved from nothing."""
    order = turn.slot
    line = Horizon.line(length / 4.0, block[order])
    line = replace(line, peak=np.tile(np.array([0, 1]), (len(order), 1)))
    y = replace(x)
    for name in Numbers.__slots__:
        value = getattr(x, name)
        if isinstance(value, np.ndarray) and value.ndim and value.shape[-1] == len(block):
            setattr(y, name, value[..., order])
    program = Program([shape], line)
    fill_line(program, [y])
    loosen(program, [i for i, slot in enumerate(order) if slot in turn.now.loose])
    # what begins with the long steps is promised by then, and stored by `stored_mw` of the short
    handed = int(np.searchsorted(turn.slot >= 12, True)) - 1 if turn.now.handed >= 0 else -1
    for name, bound in (("eve low", "row_lower_"), ("eve high", "row_upper_")):
        row = program.joining.get((0, name, handed))
        if row is not None:
            values = np.array(getattr(program.lp, bound))
            values[row] = -np.inf if name == "eve low" else np.inf
            setattr(program.lp, bound, values)
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(program.lp)
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value)


def loosen(program: Program, steps: list[int]) -> None:
    """Steps whose block is only partly in sight keep no room for it."""
    low, high = np.array(program.lp.row_lower_), np.array(program.lp.row_upper_)
    for t in steps:
        for name in set(ROOMS) & set(program.layouts[0].rows):
            row = int(program.row(0, name, t))
            low[row], high[row] = -np.inf, np.inf
        for name in ("eve low", "eve high"):
            for at in (t, t - 1):
                if (0, name, at) in program.joining:
                    row = program.joining[(0, name, at)]
                    low[row], high[row] = -np.inf, np.inf
    program.lp.row_lower_, program.lp.row_upper_ = low, high


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, 2))]
)
@pytest.mark.parametrize("kind", ["circle", "mixed"])
def test_a_plan_on_rings_costs_what_a_plan_afresh_costs(seed: int, kind: str) -> None:
    shape = SHAPE if seed != 1 else replace(SHAPE, reserves=None, intraday=False, peaks=False)
    world = World(seed, 400, shape)
    if kind == "circle":
        track: Circle | Mixed = Circle(40, BLOCK)
        block = np.arange(40) // BLOCK
        horizon = Horizon.circle(40, 0.25, block)
    else:
        track = Mixed(12, 14, 4, 2)
        block = np.concatenate([np.full(12, -1), np.arange(14) // 2])
        horizon = Horizon.mixed(12, 14, 4, 0.25, block)
    blocks = int(block.max()) + 1
    x = world.numbers(shape, len(block), blocks)
    ring = RingProgram([shape], horizon, [x])
    r, held = np.random.default_rng(seed), np.full(len(block), -1)
    warm = []
    for period in range(60, 160):
        turn = track.at(period)
        length = np.where(turn.slot >= 12, 4, 1) if kind == "mixed" else np.ones_like(turn.slot)
        new = held[turn.slot] != turn.period
        held[turn.slot] = turn.period
        world.put(x, turn.slot[new], turn.period[new], length[new])
        for way in sold(shape):
            for slot, begin in zip(turn.slot, turn.period, strict=True):
                if block[slot] >= 0:
                    x.product_eur_per_mw[way][block[slot]] = world.product[way][begin // BLOCK]
        assert ring.plan(turn.now, turn.slot[new])
        cost = afresh(shape, x, turn, length, block)
        assert ring.objective_eur == pytest.approx(cost, rel=1e-9, abs=1e-6), period
        warm.append(ring.iterations)
        first = turn.slot[0]
        if "soc" in ring.program.layouts[0].columns:
            noise = r.uniform(-0.1, 0.1)
            x.soc_mwh = float(np.clip(ring.value(0, "soc", first) + noise, 1.0, 5.0))
        x.backlog_gpu_h = np.array([ring.value(0, f"backlog.{g}", first) for g in range(2)])
    assert np.median(warm[1:]) < 0.5 * warm[0], "a warm plan takes fewer steps than a cold one"


def test_a_ring_that_forgets_gives_the_same_plan_whatever_came_before() -> None:
    world, track, block = World(5, 300, SHAPE), Circle(40, BLOCK), np.arange(40) // BLOCK
    found = []
    for before in (0, 25):
        x = world.numbers(SHAPE, 40, 5)
        for way in sold(SHAPE):
            x.product_eur_per_mw[way] = np.full(5, 20.0)
        ring = RingProgram([SHAPE], Horizon.circle(40, 0.25, block), [x])
        for period in range(100 - before, 101):
            turn = track.at(period)
            world.put(x, turn.slot, turn.period, np.ones_like(turn.slot))
            if period == 100:
                ring.forget()
            assert ring.plan(turn.now, turn.slot)
        found.append([ring.values(0, name) for name in ring.program.layouts[0].columns])
    assert np.array_equal(found[0], found[1])
