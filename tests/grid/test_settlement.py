"""Settlement: sums are conserved, the dual price is never the better one, bad input is told."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import (
    MarketCalendar,
    Party,
    Ppa,
    activated_share,
    imbalance_prices,
    product_on,
    settle_afrr,
    settle_fcr,
    settle_imbalance,
    settle_ppa,
    split_between,
    undelivered_share,
)
from gigafactory.grid.ports import Direction
from gigafactory.grid.settlement import undelivered_mwh

ENERGY = st.floats(-100, 100)
AMOUNT = st.floats(0, 100)
PRICE = st.floats(-500, 4000)
PERIODS = st.lists(st.tuples(ENERGY, ENERGY, PRICE, PRICE), min_size=1, max_size=30)
CALENDAR = MarketCalendar.of(dt.date(2026, 6, 1), 2)
WIND = Ppa(
    name="sea", technology="offshore_wind", capacity_mw=80, price_eur_per_mwh=70,
    start=dt.date(2026, 1, 1), until=dt.date(2027, 1, 1), commissioned=dt.date(2026, 6, 1),
    curtail_eur_per_mwh=5,
)  # fmt: skip


def columns(rows):
    return [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]


def split(values, share):
    """Each period cut into two parts, the first with the share."""
    return np.column_stack([values * share, values * (1.0 - share)]).ravel()


def settle(contracted, metered, short, long):
    return settle_imbalance(
        contracted_mwh=contracted,
        metered_mwh=metered,
        short_eur_per_mwh=short,
        long_eur_per_mwh=long,
    )


@given(PERIODS, st.floats(0, 1))
def test_splitting_a_period_changes_no_sum_of_imbalance(rows, share):
    contracted, metered, short, long = columns(rows)
    whole = settle(contracted, metered, short, long)
    parts = settle(
        split(contracted, share), split(metered, share), np.repeat(short, 2), np.repeat(long, 2)
    )
    for name in ("short_mwh", "long_mwh", "cost_eur", "revenue_eur", "net_eur"):
        assert getattr(parts, name).sum() == pytest.approx(
            getattr(whole, name).sum(), rel=1e-9, abs=1e-6
        )
    assert whole.short_mwh - whole.long_mwh == pytest.approx(metered - contracted)


@given(st.lists(st.tuples(ENERGY, PRICE, PRICE, PRICE, st.sampled_from([-1, 0, 1])), min_size=1))
def test_the_dual_price_is_never_better_for_the_party_than_a_single_one(rows):
    energy, one, other, mid, state = columns(rows)
    up, down = np.maximum(one, other), np.minimum(one, other)
    prices = {"up_eur_per_mwh": up, "down_eur_per_mwh": down, "mid_eur_per_mwh": mid}
    single = settle(0.0, energy, *imbalance_prices(state, **prices))
    dual = settle(0.0, energy, *imbalance_prices(np.full(len(energy), 2), **prices))
    assert (dual.net_eur <= single.net_eur + 1e-9).all()


def test_imbalance_tells_every_fault():
    with pytest.raises(BadInput) as told:
        imbalance_prices(
            [3, 1, -1, 0],
            up_eur_per_mwh=np.nan,
            down_eur_per_mwh=np.nan,
            mid_eur_per_mwh=np.nan,
        )
    assert {problem.field for problem in told.value.problems} == {
        "state", "up_eur_per_mwh", "down_eur_per_mwh", "mid_eur_per_mwh"
    }  # fmt: skip
    with pytest.raises(BadInput) as told:
        settle([1.0, 2.0], [1.0, 2.0, 3.0], np.nan, [[1.0]])
    assert len(told.value.problems) == 3


SIDE = st.tuples(AMOUNT, AMOUNT, AMOUNT, ENERGY, PRICE, PRICE, PRICE)


def afrr(direction, hours, rows, **more):
    contracted, capacity, activated, delivered, energy, short, long = rows
    return settle_afrr(
        direction,
        hours=hours,
        contracted_mw=contracted,
        capacity_eur_per_mw_h=capacity,
        activated_mwh=activated,
        delivered_mwh=delivered,
        energy_eur_per_mwh=energy,
        short_eur_per_mwh=short,
        long_eur_per_mwh=long,
        **more,
    )


@given(
    st.lists(SIDE, min_size=1, max_size=20),
    st.floats(0.01, 0.99),
    st.sampled_from([Direction.UP, Direction.DOWN]),
)
def test_splitting_a_period_changes_no_sum_of_afrr(rows, share, direction):
    of = columns(rows)
    of[3] = np.where(np.abs(of[3]) < 1e-6, 0.0, of[3])
    of[2] = np.where(of[2] < 1e-6, 0.0, of[2])
    hours = np.full(len(of[0]), 0.25)
    whole = afrr(direction, hours, of)
    halves = [np.repeat(column, 2) for column in of]
    halves[2], halves[3] = split(of[2], share), split(of[3], share)
    parts = afrr(direction, split(hours, share), halves)
    for name in ("undelivered_mwh", "capacity_eur", "withheld_eur", "energy_eur", "net_eur"):
        assert getattr(parts, name).sum() == pytest.approx(
            getattr(whole, name).sum(), rel=1e-9, abs=1e-5
        )
    assert (whole.withheld_eur <= whole.capacity_eur + 1e-9).all()
    assert (whole.undelivered_mwh <= of[2] + 1e-12).all()


@given(AMOUNT, AMOUNT, PRICE)
def test_who_delivers_all_has_no_imbalance_and_nothing_withheld(power, activated, price):
    for direction, sign in ((Direction.UP, 1.0), (Direction.DOWN, -1.0)):
        pay = afrr(direction, 0.25, (power, 10.0, activated, activated, price, 90.0, 40.0))
        assert pay.net_eur[0] == pytest.approx(power * 2.5 + sign * activated * price)
        assert pay.imbalance.net_eur[0] == 0.0


def test_a_small_shortfall_is_let_pass():
    assert list(undelivered_mwh(np.array([10.0, 10.0]), np.array([9.6, 9.4]), 0.05)) == [
        0.0,
        pytest.approx(0.6),
    ]
    pay = afrr(Direction.DOWN, 0.25, (20, 4, 5, 4, 30, 60, 50), tolerance_share=0.2)
    # four of five MWh drawn: the fifth was due and not taken, which is long
    assert (pay.withheld_eur[0], pay.imbalance.revenue_eur[0], pay.energy_eur[0]) == (0, 50, -150)


def test_afrr_tells_every_fault():
    with pytest.raises(BadInput, match="apart"):
        afrr(Direction.SYMMETRIC, 0.25, (1, 1, 1, 1, 1, 1, 1))
    with pytest.raises(BadInput) as told:
        afrr(Direction.UP, -1, (-1, np.inf, -1, np.nan, 1, 1, 1), tolerance_share=2)
    assert len(told.value.problems) == 6


@given(st.lists(st.tuples(PRICE, PRICE), min_size=1))
def test_the_merit_order_calls_a_bid_that_is_no_worse_than_the_margin(rows):
    bid, margin = columns(rows)
    up = activated_share(bid, margin, Direction.UP, at_margin_share=0.5)
    down = activated_share(bid, margin, Direction.DOWN, at_margin_share=0.5)
    assert ((up == 1.0) == (bid < margin)).all()
    assert (up + down == 1.0).all()


def test_the_merit_order_without_activation_and_with_bad_input():
    assert list(activated_share(5.0, [np.nan, 5.0, 4.0], Direction.UP)) == [0.0, 1.0, 0.0]
    with pytest.raises(BadInput) as told:
        activated_share([np.nan, 1.0], [1.0], Direction.SYMMETRIC, at_margin_share=3)
    assert len(told.value.problems) == 3


@given(
    st.lists(st.tuples(AMOUNT, AMOUNT, st.floats(0, 1)), min_size=1, max_size=12),
    st.floats(0, 3),
)
def test_fcr_pays_in_proportion_to_what_was_delivered(rows, penalty):
    awarded, price, missed = columns(rows)

    def net(power):
        return settle_fcr(
            awarded_mw=power,
            price_eur_per_mw=price,
            undelivered_share=missed,
            penalty_factor=penalty,
        ).net_eur

    assert net(awarded) == pytest.approx(net(awarded * 0.4) + net(awarded * 0.6), abs=1e-6)
    assert (net(awarded) <= awarded * price + 1e-9).all()
    assert net(awarded) == pytest.approx(awarded * price * (1 - penalty * missed), abs=1e-6)


@given(
    st.lists(st.tuples(ENERGY, ENERGY, st.integers(0, 5)), min_size=1, max_size=40),
    st.sampled_from(["energy", "seconds"]),
)
def test_the_share_undelivered_is_a_share_and_delivery_of_all_is_none_missing(rows, by):
    asked, delivered, _ = columns(rows)
    block = np.array([row[2] for row in rows])
    share = undelivered_share(asked, delivered, block, by=by)
    assert len(share) == block.max() + 1
    assert ((share >= 0.0) & (share <= 1.0)).all()
    assert not undelivered_share(asked, asked * 1.1, block, by=by).any()
    # wholly missing is 1 where anything was asked
    gone = undelivered_share(asked, 0.0 * asked, block, by="energy")
    want = np.bincount(block, np.abs(asked)) > 0.0
    assert gone == pytest.approx(want.astype(float))


def test_fcr_tells_every_fault():
    with pytest.raises(BadInput) as told:
        settle_fcr(
            awarded_mw=[-1.0], price_eur_per_mw=np.nan, undelivered_share=1.5, penalty_factor=-1
        )
    assert len(told.value.problems) == 4
    with pytest.raises(BadInput, match="seconds"):
        undelivered_share([1.0], [1.0], np.array([0]), by="night")
    assert product_on("fcr", dt.date(2026, 1, 1)).setpoint_s == 0


@given(st.lists(st.floats(0, 1), min_size=192, max_size=192), st.floats(0, 1))
def test_a_ppa_conserves_energy_whatever_is_curtailed(factors, share):
    factor = np.array(factors)
    offered = WIND.available_mw(CALENDAR, factor) * CALENDAR.hours()
    pays = [
        settle_ppa(
            WIND,
            CALENDAR,
            capacity_factor=factor,
            day_ahead_eur_per_mwh=50.0,
            curtailed_mwh=offered * share,
            keep_guarantees=keep,
            guarantee_eur_per_mwh=3.0,
        )
        for keep in (True, False)
    ]
    for pay in pays:
        assert pay.taken_mwh + pay.curtailed_mwh == pytest.approx(offered)
    kept, sold = pays
    assert kept.retired_mwh.sum() == pytest.approx(sold.guarantees_eur.sum() / 3.0)
    assert kept.guarantees_eur.sum() == sold.retired_mwh.sum() == 0.0
    assert (kept.cost_eur == sold.cost_eur).all()


def test_a_ppa_tells_every_fault():
    with pytest.raises(BadInput) as told:
        settle_ppa(
            WIND,
            CALENDAR,
            capacity_factor=1.5,
            day_ahead_eur_per_mwh=[1.0],
            curtailed_mwh=-1.0,
            guarantee_eur_per_mwh=np.nan,
        )
    assert len(told.value.problems) == 4
    with pytest.raises(BadInput, match="on offer"):
        settle_ppa(
            WIND, CALENDAR, capacity_factor=0.0, day_ahead_eur_per_mwh=1.0, curtailed_mwh=1.0
        )


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), AMOUNT, AMOUNT)
def test_a_split_between_parties_adds_up(finance, benefit, cost, gain, energy, fee):
    nets = split_between(
        [Party("a", finance, benefit, operates=True), Party("b", 1 - finance, 1 - benefit)],
        cost_eur=cost,
        benefit_eur=gain,
        operated_mwh=energy,
        fee_eur_per_mwh=fee,
    )
    assert sum(net[0] for net in nets.values()) == pytest.approx(gain - cost, abs=1e-5)


def test_a_split_tells_every_fault():
    with pytest.raises(BadInput) as told:
        split_between(
            [Party("a", 0.5, 1.5), Party("a", 0.2, 0.1)],
            cost_eur=np.nan,
            benefit_eur=0.0,
            operated_mwh=-1.0,
        )
    assert len(told.value.problems) == 7


def test_the_dual_price_by_hand_where_the_mid_price_lies_outside():
    prices = imbalance_prices(
        [2, 2], up_eur_per_mwh=50, down_eur_per_mwh=40, mid_eur_per_mwh=[30, 60]
    )
    assert [list(price) for price in prices] == [[50, 60], [30, 40]]


def test_a_tolerance_lets_a_small_miss_pass_and_counts_a_large_one_in_full():
    share = undelivered_share([10.0, -10.0], [9.5, -8.0], np.array([0, 0]), tolerance_mw=1.0)
    assert list(share) == [0.1]


def test_the_penalty_factor_multiplies_what_is_withheld():
    pay = afrr(Direction.UP, 0.25, (20, 4, 5, 4, 30, 60, 50), penalty_factor=3.0)
    assert pay.withheld_eur[0] == pytest.approx(3 * 20 * 4 * 0.25 / 5)
