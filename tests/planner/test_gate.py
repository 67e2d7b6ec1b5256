"""The gate: exclusive groups of schedules that the battery can carry out, made of what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner.gate import PROFILES, Gate, Offer, operate, past_paths
from gigafactory.planner.shape import SiteShape
from gigafactory.planner.yardstick import cost_eur, measure
from gigafactory.plant.battery import Battery, fit, step

Array = npt.NDArray[np.float64]

SITE = SiteShape(
    groups=(),
    battery_mw=10.0,
    battery_mwh=20.0,
    charge_efficiency=0.9,
    discharge_efficiency=0.9,
    wear_eur_per_mwh=5.0,
    contracts=0,
    contract_price_eur_per_mwh=(),
    contract_curtail_eur_per_mwh=(),
    levy_eur_per_mwh=2.0,
    export_margin_eur_per_mwh=1.0,
    site_per_it=1.0,
)


def offered(gate: Gate, scenarios: list[Array], soc_mwh: float = 0.0, load: float = 15.0) -> Offer:
    n = gate.steps
    return gate.offer(
        scenarios,
        load_mw=np.full(n, load),
        limit_mw=np.full(n, 40.0),
        export_mw=np.full(n, 5.0),
        contract_mw=np.zeros((gate.shape.contracts, n)),
        soc_mwh=soc_mwh,
    )


def test_scenarios_are_the_latest_days_and_the_same_day_of_the_week_before() -> None:
    """Each day strays by its own number; the paths say which days they are made of."""
    days = np.full((100, 24), 50.0)
    days[:, 12] += np.arange(100) ** 2  # nowhere as it was before
    paths = past_paths(days.ravel(), 24, 24)
    course = days[72:].mean(axis=0)

    def strayed(k: int) -> float:
        return float(days[k, 12] - days[max(0, k - 28) : k, 12].mean() + course[12])

    back = [*range(1, 16), *range(21, 71, 7)]
    assert len(back) == 23
    assert [float(p[12]) for p in paths[1:]] == [strayed(100 - b) for b in back]
    assert len(past_paths(days[:9].ravel(), 24, 24)) == 9, "as many as there are"
    assert len(past_paths(days[:30].ravel(), 24, 24)) == 24, "filled up with the latest others"


def test_the_auction_takes_the_schedule_that_suits_its_prices() -> None:
    morning, evening = np.full(36, 80.0), np.full(36, 80.0)
    morning[[3, 8]], evening[[3, 19]] = [10.0, 200.0], [10.0, 200.0]
    offer = offered(Gate(SITE, 24, 12, 1.0), [morning, evening])
    assert offer.cleared(morning[:24]) == 0
    assert offer.cleared(evening[:24]) == 1
    assert offer.discharge_mw[1, 19] > 0.0 == offer.discharge_mw[1, 8]
    assert offer.position_mw == pytest.approx(15.0 + offer.charge_mw - offer.discharge_mw)


def test_a_group_is_no_larger_than_the_auction_allows() -> None:
    r = np.random.default_rng(0)
    offer = offered(Gate(SITE, 24, 12, 1.0), [r.uniform(0, 200, 36) for _ in range(PROFILES + 5)])
    assert len(offer.position_mw) == PROFILES


def test_contracts_lower_what_is_bought() -> None:
    site = replace(SITE, contracts=1, contract_price_eur_per_mwh=(60.0,),
                   contract_curtail_eur_per_mwh=(60.0,), battery_mw=0.0)  # fmt: skip
    gate = Gate(site, 24, 12, 1.0)
    offer = gate.offer(
        [np.r_[np.full(12, -5.0), np.full(24, 50.0)]],
        load_mw=np.full(36, 15.0),
        limit_mw=np.full(36, 40.0),
        export_mw=np.zeros(36),
        contract_mw=np.full((1, 36), 6.0),
        soc_mwh=0.0,
    )
    assert offer.position_mw[0] == pytest.approx(np.r_[np.full(12, 15.0), np.full(12, 9.0)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_every_profile_is_one_the_battery_can_run(seed: int) -> None:
    r = np.random.default_rng(seed)
    soc = float(r.uniform(0, 20))
    scenarios = [r.uniform(-100, 300, 36) for _ in range(3)]
    offer = offered(Gate(SITE, 24, 12, 1.0), scenarios, soc, float(r.uniform(0, 38)))
    battery = Battery(10.0, 20.0, 0.9, 0.9)
    assert len(offer.position_mw) == 3
    for k in range(3):
        level = soc
        for charge, discharge in zip(offer.charge_mw[k], offer.discharge_mw[k], strict=True):
            able = fit(battery, level, float(charge), float(discharge), 1.0)
            if min(scenarios[k]) > 0.0:  # below that wasting energy may pay, and is netted
                assert able == pytest.approx((charge, discharge), abs=1e-6)
            level = step(battery, level, *able, 1.0)
        assert offer.position_mw[k].max() <= 40.0 + 1e-6
        assert offer.position_mw[k].min() >= -5.0 - 1e-6


def prices(days: int, seed: int = 0) -> Array:
    r = np.random.default_rng(seed)
    shape = 80 + 50 * np.sin(2 * np.pi * (np.arange(24) - 14) / 24)
    return np.asarray((shape + r.normal(0, 25, (days, 24))).ravel())


def test_what_happens_later_changes_nothing_offered_before() -> None:
    price = prices(20)

    def run(p: Array) -> Array:
        done = operate(
            SITE,
            price_eur_per_mwh=p,
            load_mw=np.full(len(p), 15.0),
            limit_mw=40.0,
            export_mw=0.0,
            day_steps=24,
            step_h=1.0,
            scenarios=lambda day: past_paths(p[: day * 24], 24, 6),
        )
        return done.charge_mw - done.discharge_mw

    later = price.copy()
    later[12 * 24 :] = 999.0
    # day 12 is offered before its prices are known, and cleared by them
    assert np.array_equal(run(price)[: 12 * 24], run(later)[: 12 * 24])


def test_knowing_costs_less_than_guessing_and_nobody_beats_the_bound() -> None:
    price = prices(40)
    days = price.reshape(-1, 24)

    def known(day: int) -> list[Array]:
        return [np.concatenate([days[day], days[min(day + 1, 39)][:12]])]

    costs = {}
    for name, scenarios in (
        ("known", known),
        ("group", lambda day: past_paths(price[: day * 24], 24, 12)),
        ("one", lambda day: past_paths(price[: day * 24], 24, 1)),
    ):
        done = operate(
            SITE,
            price_eur_per_mwh=price,
            load_mw=np.full(len(price), 15.0),
            limit_mw=40.0,
            export_mw=0.0,
            day_steps=24,
            step_h=1.0,
            scenarios=scenarios,
        )
        held = measure(SITE, done, 1.0)
        assert held.bound_eur <= held.realised_eur + 1e-6
        costs[name] = held.regret_share
        assert cost_eur(SITE, done, 1.0) == held.realised_eur
    assert costs["known"] < 0.02
    assert costs["known"] < costs["group"] < costs["one"]
