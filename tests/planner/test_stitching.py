"""A line solved through windows against the same line at once, and what its proof is worth."""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from test_program import any_instance, solved

from gigafactory.planner.lean import Lean
from gigafactory.planner.numbers import Numbers, fill_line
from gigafactory.planner.program import Program
from gigafactory.planner.proof import Proof, prove
from gigafactory.planner.shape import GroupShape, Horizon, ReserveShape, SiteShape
from gigafactory.planner.solving import Solution
from gigafactory.planner.stitching import Cut, Whole, solve_whole

#: Cuts so short that a line of hours has several windows and stretches.
SHORT = Cut(stride_h=1.0, ahead_h=2.0, stretch_h=5.0)
DAYS = Cut(stride_h=24.0, ahead_h=36.0, stretch_h=96.0)


def lean_of(shapes: list[SiteShape], numbers: list[Numbers], h: Horizon) -> Lean:
    program = Program(shapes, h)
    assert fill_line(program, numbers)
    return Lean(program)


def most_missed(
    shapes: list[SiteShape], numbers: list[Numbers], h: Horizon, found: Solution
) -> float:
    """What a plan misses of any bound of the programme, before anything was taken out of it."""
    program = Program(shapes, h)
    assert fill_line(program, numbers)
    lp, x = program.lp, found.columns
    column = np.repeat(np.arange(lp.num_col_), np.diff(np.asarray(lp.a_matrix_.start_)))
    value = np.asarray(lp.a_matrix_.value_) * x[column]
    row = np.bincount(np.asarray(lp.a_matrix_.index_), value, lp.num_row_)
    missed = [
        np.asarray(lp.row_lower_) - row, row - np.asarray(lp.row_upper_),
        np.asarray(lp.col_lower_) - x, x - np.asarray(lp.col_upper_),
    ]  # fmt: skip
    assert np.asarray(lp.col_cost_) @ x == pytest.approx(found.objective_eur, rel=1e-9, abs=1e-6)
    return max(float(some.max(initial=0.0)) for some in missed)


def plant(seed: int, days: int, may_exceed: bool = True) -> tuple[SiteShape, Numbers, Horizon]:
    """A small factory with everything on, prices that swing by day, two months."""
    r, n = np.random.default_rng(seed), days * 24
    shape = SiteShape(
        groups=(
            GroupShape("patient", (0.6, 0.8, 1.0), (300.0, 450.0, 700.0), 0.2, sheds=0.3),
            GroupShape("urgent", (0.9, 1.0), (600.0, 700.0), 3.0),
        ),
        battery_mw=2.0,
        battery_mwh=6.0,
        charge_efficiency=0.95,
        discharge_efficiency=0.95,
        wear_eur_per_mwh=10.0,
        contracts=1,
        contract_price_eur_per_mwh=(60.0,),
        contract_curtail_eur_per_mwh=(20.0,),
        levy_eur_per_mwh=4.0,
        export_margin_eur_per_mwh=1.0,
        site_per_it=1.1,
        generators=1,
        reserves=ReserveShape(fcr=True, afrr_up=True, afrr_down=True, battery_afrr=True),
        peaks=True,
        intraday=True,
    )
    hour, x = np.arange(n) % 24, Numbers.plain(shape, n)
    price = 70.0 + 40.0 * np.sin(2 * np.pi * (hour - 13.0) / 24.0) + r.normal(0.0, 15.0, n)
    x.import_eur_per_mwh[:], x.export_eur_per_mwh[:] = 4.0, -1.0
    x.buy_eur_per_mwh, x.sell_eur_per_mwh = price + 3.0, price - 3.0
    x.limit_mw = np.where((hour >= 17) & (hour < 20), 5.0, 8.0)
    x.export_mw[:], x.load_mw[:], x.capacity[:] = 3.0, 2.0, 8000.0
    x.may_exceed = may_exceed
    x.contract_mw[0], x.contract_eur_per_mwh[0] = r.uniform(0.0, 4.0, n), 40.0
    x.generator_mw[:], x.generator_eur_per_mwh[:] = 1.0, 140.0
    x.arrivals_gpu_h = r.uniform(0.4, 1.0, (2, n)) * np.array([[4000.0], [3000.0]])
    x.delay_eur_per_gpu_h = np.repeat(np.array([[0.2], [3.0]]) / 24.0, n, axis=1)
    x.delay_eur_per_gpu_h[:, -1] += 0.3
    x.slow = r.random(n) < 0.3
    x.position_mw = r.uniform(1.0, 5.0, n)
    x.soc_mwh = x.soc_end_mwh = 3.0
    blocks = n // 4
    for way in ("fcr", "up", "down"):
        x.product_eur_per_mw[way] = r.uniform(0.0, 60.0, blocks)
        x.sells_mw[way] = np.full(blocks, 1.5)
    month = np.arange(n) * 2 // n
    x.peak_eur_per_mw, x.peak_mw = np.array([900.0, 700.0]), np.zeros(2)
    return shape, x, Horizon.line(np.ones(n), np.arange(n) // 4, month)


@pytest.mark.parametrize(
    "seed", [*range(24), *(pytest.param(s, marks=pytest.mark.slow) for s in range(24, 150))]
)
def test_random_lines_cost_what_they_cost_at_once(seed: int) -> None:
    shapes, numbers, h = any_instance(seed)
    once, found = solved(shapes, numbers, h), solve_whole(shapes, h, numbers, SHORT)
    assert (found is None) == (once is None)
    if found is None or once is None:
        return
    assert found.solution.objective_eur == pytest.approx(once, rel=1e-8, abs=1e-6)
    assert found.proof.gap_share <= 1e-6
    assert found.proof.bound_eur <= once + 1e-6 * max(abs(once), 1.0)
    assert most_missed(shapes, numbers, h, found.solution) < 1e-5


@pytest.mark.parametrize("seed", range(4))
def test_a_factory_with_two_months_is_stitched_to_the_optimum(seed: int) -> None:
    shape, x, h = plant(seed, 10)
    once, found = solved([shape], [x], h), solve_whole([shape], h, [x], DAYS)
    assert once is not None
    assert found is not None
    assert found.method in ("stretches", "whole"), found.reason
    assert found.reason == ""
    assert found.solution.objective_eur == pytest.approx(once, rel=1e-8)
    assert found.proof.gap_share <= 1e-8
    assert most_missed([shape], [x], h, found.solution) < 1e-5
    peak, half = found.solution.spanned(0, "peak"), len(h) // 2
    imported = found.solution.of(0, "import")
    assert peak == pytest.approx([imported[:half].max(), imported[half:].max()], abs=1e-6)
    # the peaks bind, or their levels would not have been looked for
    assert (peak < x.limit_mw.max() - 0.01).any()


def test_the_same_line_gives_the_same_plan() -> None:
    shape, x, h = plant(7, 10)
    one, other = solve_whole([shape], h, [x], DAYS), solve_whole([shape], h, [x], DAYS)
    assert isinstance(one, Whole)
    assert isinstance(other, Whole)
    assert one.solution.columns.tobytes() == other.solution.columns.tobytes()
    assert one.proof == other.proof


@pytest.mark.parametrize("seed", range(40))
def test_any_prices_bound_the_best_plan_from_below(seed: int) -> None:
    shapes, numbers, h = any_instance(seed)
    once = solved(shapes, numbers, h)
    if once is None:
        return
    lean, r = lean_of(shapes, numbers, h), np.random.default_rng(seed)
    best = solve_whole(shapes, h, numbers)
    assert best is not None
    for scale in (0.0, 1e-6, 1.0, 100.0):
        y = r.normal(0.0, scale, len(lean.row_lower))
        bound = prove(lean, numbers, np.zeros(len(lean.cost)), y).bound_eur
        assert bound <= once + 1e-9 * max(abs(once), 1.0)


@pytest.mark.parametrize("seed", range(12))
def test_right_prices_off_by_little_bound_it_by_little_less(seed: int) -> None:
    shape, x, h = plant(seed, 3)
    lean = lean_of([shape], [x], h)
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(lean.model())
    highs.run()
    found = highs.getSolution()
    values, prices = np.asarray(found.col_value), np.asarray(found.row_dual)
    exact = prove(lean, [x], values, prices)
    assert exact.gap_share < 1e-9
    off = np.random.default_rng(seed).normal(0.0, 1e-9, len(prices))
    near = prove(lean, [x], values, prices + off)
    assert near.bound_eur <= exact.objective_eur + 1e-6
    assert near.gap_share < 1e-4  # and not -inf


def test_a_plan_that_costs_more_has_a_gap_as_large() -> None:
    shape, x, h = plant(1, 3)
    lean = lean_of([shape], [x], h)
    highs = highspy.Highs()
    highs.silent()
    highs.passModel(lean.model())
    highs.run()
    found = highs.getSolution()
    values, prices = np.asarray(found.col_value).copy(), np.asarray(found.row_dual)
    best = prove(lean, [x], values, prices)
    layout = lean.program.layouts[0]
    for name in ("buy", "sell"):  # both at once cost the spread of 6 EUR/MWh
        number = int(lean.program.column(0, name, 5))
        assert layout.columns[name] == number - 5 * lean.program.width
        values[np.flatnonzero(lean.column == number)[0]] += 2.0
    worse = prove(lean, [x], values, prices)
    assert worse.gap_eur - best.gap_eur == pytest.approx(12.0, abs=1e-6)


def test_a_plan_that_breaks_a_row_pays_for_it() -> None:
    proof = Proof(objective_eur=100.0, bound_eur=100.0, amiss_eur=0.5, most_amiss=0.1)
    assert proof.gap_share == pytest.approx(0.005)
    shape, x, h = plant(2, 2)
    lean = lean_of([shape], [x], h)
    nothing = prove(lean, [x], np.zeros(len(lean.cost)), np.ones(len(lean.row_lower)))
    assert nothing.amiss_eur > 1.0
    assert nothing.most_amiss == pytest.approx(np.abs(lean.row_lower[lean.row_lower > 0]).max())


def late_work() -> tuple[SiteShape, Numbers, Horizon]:
    """Work that nobody pays for waiting, and that has to be done by the end."""
    shape, x, h = plant(3, 8)
    x.delay_eur_per_gpu_h[:] = 0.0
    x.backlog_most[:, -1] = 0.0
    # little can be done on the last day, so work left until then has no plan
    x.arrivals_gpu_h[:, -30:] = 0.0
    x.most[:, -30:] = 10.0
    x.may_exceed = False
    return shape, x, h


def test_a_window_without_a_plan_is_named_and_the_whole_is_solved_at_once() -> None:
    shape, x, h = late_work()
    once = solved([shape], [x], h)
    assert once is not None
    found = solve_whole([shape], h, [x], Cut(stride_h=12.0, ahead_h=12.0, stretch_h=96.0))
    assert found is not None
    assert found.method == "at once"
    assert found.reason.startswith("the window from step ")
    assert found.reason.endswith(" has no plan")
    assert found.solution.objective_eur == pytest.approx(once, rel=1e-8)
    assert found.proof.gap_share <= 1e-8


def test_a_short_line_is_solved_at_once_without_a_reason() -> None:
    shape, x, h = plant(4, 4)
    found = solve_whole([shape], h, [x])
    assert found is not None
    assert (found.method, found.reason) == ("at once", "")
    assert found.solution.objective_eur == pytest.approx(solved([shape], [x], h), rel=1e-8)


def test_no_plan_and_no_numbers_give_nothing() -> None:
    shape, x, h = plant(5, 8, may_exceed=False)
    x.limit_mw[100] = 0.0
    x.generator_mw[:, 100] = 0.0
    x.load_mw[100] = 50.0
    assert solve_whole([shape], h, [x], DAYS) is None
    shape, x, h = plant(5, 8)
    x.buy_eur_per_mwh[3] = np.nan
    assert solve_whole([shape], h, [x], DAYS) is None


def test_a_lean_programme_knows_every_column_and_row() -> None:
    shape, x, h = plant(6, 2)
    lean, p = lean_of([shape], [x], h), Program([shape], h)
    assert len(lean.column) < len(h) * p.width
    assert len(lean.row) < len(h) * p.height
    assert (np.diff(lean.first_column) > 0).all()
    peaks = [c for (_, name, _), c in p.spanning.items() if name == "peak"]
    assert lean.column[lean.peaks].tolist() == peaks
    # a slowed step keeps its segments, another one has none
    width = np.diff(lean.first_column)
    begins = np.arange(len(h)) % 4 == 0
    assert len(set((width - 3 * begins)[x.slow].tolist())) == 1
    assert (width - 3 * begins)[x.slow][0] == (width - 3 * begins)[~x.slow][0] + 3
