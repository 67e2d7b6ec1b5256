"""Bound, naive operators and regret, on courses worked out by hand and on random ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner.shape import GroupShape, SiteShape
from gigafactory.planner.yardstick import (
    Course,
    cost_eur,
    end_worth_eur_per_mwh,
    measure,
    naive,
    threshold,
)
from tests.effort import examples

WORK = GroupShape("work", (0.6, 1.0), (300.0, 1000.0), 24.0)
SITE = SiteShape(
    groups=(WORK,),
    battery_mw=10.0,
    battery_mwh=20.0,
    charge_efficiency=0.9,
    discharge_efficiency=0.9,
    wear_eur_per_mwh=5.0,
    contracts=1,
    contract_price_eur_per_mwh=(60.0,),
    contract_curtail_eur_per_mwh=(10.0,),
    levy_eur_per_mwh=2.0,
    export_margin_eur_per_mwh=1.0,
    site_per_it=1.1,
)


def course(price: list[float], hours: float = 1.0, running: float = 0.0) -> Course:
    """A site that draws 5 MW beside its work, battery at rest, a contract of 3 MW taken."""
    n = len(price)
    work_mw = 1.1 * running * 1000.0 / 1e6
    assert hours > 0
    return Course(
        price_eur_per_mwh=np.array(price, dtype=np.float64),
        limit_mw=np.full(n, 50.0),
        export_limit_mw=np.full(n, 20.0),
        import_mw=np.full(n, 5.0 + work_mw),
        export_mw=np.zeros(n),
        charge_mw=np.zeros(n),
        discharge_mw=np.zeros(n),
        contract_mw=np.full((1, n), 3.0),
        taken_mw=np.full((1, n), 3.0),
        running=np.full((1, n), running),
        capacity=np.full(n, 1000.0),
        soc_start_mwh=0.0,
        soc_end_mwh=0.0,
    )


def test_costs_by_hand() -> None:
    # 5 MW x (20 + 2) + 3 MW x (60 - 10 - 20) + the same at 120: 5 x 122 + 3 x -70
    assert cost_eur(SITE, course([20.0, 120.0]), 1.0) == pytest.approx(110 + 90 + 610 - 210)


def test_the_bound_charges_in_the_cheap_hour_and_refuses_what_is_too_dear() -> None:
    held = measure(SITE, course([20.0, 120.0]), 1.0)
    # charge 10 MW at 22 into 9 MWh; give 8.1 MWh at 122 (5 of import) and 119 (the rest), wear 5
    battery = 10 * 22 - 5 * 122 - 3.1 * 119 + 8.1 * 5
    refused = -90  # the contract costs 30 more than the market in the first hour
    assert held.naive_eur == held.realised_eur == pytest.approx(600.0)
    assert held.bound_eur == pytest.approx(600.0 + battery + refused)
    assert held.regret_share == pytest.approx(1.0)


def test_the_bound_puts_work_off_only_where_that_pays() -> None:
    bare = replace(SITE, battery_mw=0.0, battery_mwh=0.0, contracts=0,
                   contract_price_eur_per_mwh=(), contract_curtail_eur_per_mwh=())  # fmt: skip
    done = course([500.0, 20.0], running=400.0)
    done = replace(done, contract_mw=np.zeros((0, 2)), taken_mw=np.zeros((0, 2)))
    # 400 accelerators draw 0.44 MW: an hour later saves 0.44 x 480 = 211 and costs 400 x 24 / 24
    assert measure(bare, done, 1.0).regret_eur == pytest.approx(0.0)
    cheap = replace(bare, groups=(replace(WORK, delay_eur_per_gpu_h=2.4),))
    assert measure(cheap, done, 1.0).regret_eur == pytest.approx(0.44 * 480 - 40)


def test_a_threshold_operator_looks_back_only() -> None:
    price = np.tile(np.r_[np.full(12, 20.0), np.full(12, 120.0)], 5)
    first = threshold(SITE, course(price.tolist()), 1.0)
    changed = price.copy()
    changed[72:] = -5.0
    other = threshold(SITE, course(changed.tolist()), 1.0)
    assert np.array_equal(first.charge_mw[:72], other.charge_mw[:72])
    assert first.charge_mw[:24].max() == 0.0, "nothing is known on the first day"
    assert first.charge_mw[24:].max() > 0.0
    assert first.discharge_mw.max() > 0.0


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32))
def test_nobody_beats_the_bound_at_its_own_steps(seed: int) -> None:
    r = np.random.default_rng(seed)
    n = 72
    done = course(r.uniform(-50, 200, n).tolist(), running=float(r.uniform(0, 900)))
    done = replace(done, taken_mw=done.contract_mw * r.uniform(0, 1, (1, n)))
    held = measure(SITE, done, 1.0)
    assert held.bound_eur <= held.realised_eur + 1e-6
    rule = threshold(SITE, done, 1.0)
    assert np.all(rule.import_mw <= done.limit_mw + 1e-9)
    assert np.all(rule.export_mw <= done.export_limit_mw + 1e-9)
    same_end = replace(done, soc_end_mwh=rule.soc_end_mwh)
    assert measure(SITE, same_end, 1.0).bound_eur <= cost_eur(SITE, rule, 1.0) + 1e-6
    assert naive(done).discharge_mw.max() == 0.0
    assert end_worth_eur_per_mwh(SITE, done) >= 0.0


def test_steps_are_joined_by_their_means() -> None:
    fine = course([10.0, 30.0, 50.0, 70.0, 1.0])
    joined = fine.coarse(4)
    assert len(joined) == 1
    assert joined.price_eur_per_mwh[0] == 40.0
