"""Bids for balancing capacity, and the band that is kept for what was sold."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.grid.products import product_on
from gigafactory.planner.band import Promise, band_of, reservoir_mwh
from gigafactory.planner.gate import Gate
from gigafactory.planner.reserving import STEP_H, Ahead, Bidder, called_worth
from gigafactory.planner.shape import ReserveShape, SiteShape

RULES = {name: product_on(name, dt.date(2025, 1, 1)) for name in ("fcr", "afrr")}
SHAPE = SiteShape(
    groups=(),
    battery_mw=50.0,
    battery_mwh=180.0,
    charge_efficiency=0.95,
    discharge_efficiency=0.95,
    wear_eur_per_mwh=15.0,
    contracts=0,
    contract_price_eur_per_mwh=(),
    contract_curtail_eur_per_mwh=(),
    levy_eur_per_mwh=4.7,
    export_margin_eur_per_mwh=1.5,
    site_per_it=1.1,
    reserves=ReserveShape(True, True, True, True, 0.75, 1.0),
)
SOLD = {"fcr": 15.0, "up": 20.0, "down": 10.0}
N = 18


def ahead(price=None, load=100.0, fcr=10.0, up=10.0, down=5.0, soc=90.0, **more):
    course = np.full(N, 80.0) if price is None else np.asarray(price, dtype=np.float64)
    return replace(
        Ahead(
            price_eur_per_mwh=course,
            load_mw=np.full(N, float(load)),
            limit_mw=np.full(N, 140.0),
            export_mw=np.full(N, 50.0),
            shed_mw=np.zeros(N),
            soc_mwh=soc,
            capacity_eur_per_mwh={
                "fcr": np.full(6, fcr), "up": np.array([up]), "down": np.array([down])
            },
            energy_eur_per_mwh={"up": 0.0, "down": 0.0},
        ),
        **more,
    )  # fmt: skip


def bidder(sold=SOLD, shape=SHAPE, sheds=False):
    return Bidder(shape, RULES, sold, sheds=sheds, tail_h=12)


def test_a_battery_at_rest_sells_all_it_may():
    bids = bidder().fcr(ahead())
    assert bids.power_mw["fcr"].tolist() == [15.0] * 6
    # on a flat course nothing is given up: the bid asks the wear of what FCR works
    wear = 0.5 * 0.096 * 15.0 * 4
    assert bids.ask_eur_per_mw["fcr"] == pytest.approx(np.full(6, wear), abs=0.02)


def test_a_bid_asks_what_the_schedule_loses():
    """Cheap at night, dear in the evening: there the battery is wanted, and FCR is dear."""
    price = np.full(N, 80.0)
    price[1:3], price[9:11] = 0.0, 300.0
    bids = bidder({"fcr": 50.0, "up": 0.0, "down": 0.0}).fcr(ahead(price, fcr=100.0))
    ask = bids.ask_eur_per_mw["fcr"]
    assert ask[4] > 20.0 + ask[3]
    won = bids.accepted_mw({"fcr": ask - 0.01})
    assert not won["fcr"].any()
    assert np.array_equal(bids.accepted_mw({"fcr": ask})["fcr"], bids.power_mw["fcr"])


def test_no_room_on_the_cable_leaves_nothing_to_sell_downwards():
    full = bidder()
    assert not full.fcr(ahead(load=140.0, soc=0.0)).power_mw["fcr"].any()
    # what it holds is the reservoir of 20 MW up and no more: it cannot make room by giving
    bids = full.afrr(ahead(load=140.0, soc=21.1), Promise.none(N))
    assert bids.power_mw["up"][0] == 20.0
    assert bids.power_mw["down"][0] == 0.0


def test_afrr_is_sold_beside_the_fcr_that_was_sold():
    small = replace(SHAPE, battery_mw=30.0)
    fcr = np.zeros(N)
    fcr[: 24 // STEP_H] = 15.0
    none = np.zeros(N)
    bids = bidder(shape=small).afrr(ahead(), Promise(fcr, none, none, none))
    assert bids.power_mw["up"][0] == 15.0
    assert bids.power_mw["down"][0] == 10.0


def test_work_may_carry_what_the_battery_does_not():
    alone = replace(SHAPE, reserves=replace(SHAPE.reserves, battery_afrr=False))
    seller = bidder({"fcr": 0.0, "up": 20.0, "down": 0.0}, alone, sheds=True)
    bids = seller.afrr(ahead(shed_mw=np.full(N, 7.4)), Promise.none(N))
    assert bids.power_mw["up"][0] == 7.0  # whole megawatts of what is there


def test_a_schedule_that_charges_sells_no_more_than_the_battery_gives_at_rest():
    """Turned round, 50 MW that charge 1 MW would be 51 MW up; nothing keeps them charging."""
    seller = bidder({"fcr": 0.0, "up": 51.0, "down": 0.0})
    view = ahead(np.zeros(N), load=20.0, soc=0.0)
    assert seller.afrr(view, Promise.none(N)).power_mw["up"][0] == 50.0


mw = st.floats(0.0, 60.0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-100.0, 400.0), min_size=N, max_size=N),
    st.floats(20.0, 150.0),
    mw, mw, mw,
    st.floats(0.0, 180.0),
)  # fmt: skip
def test_never_more_than_prequalified_nor_than_the_battery_holds(price, load, fcr, up, down, soc):
    most = {"fcr": fcr, "up": up, "down": down}
    seller = bidder(most)
    view = ahead(price, load=load, soc=soc)
    first = seller.fcr(view)
    at = np.minimum(np.arange(N) * STEP_H // 4, 5)
    sold = np.where(np.arange(N) < 12, first.power_mw["fcr"][at], 0.0)
    none = np.zeros(N)
    second = seller.afrr(view, Promise(sold, none, none, none))
    for bids in (first, second):
        for name, power in bids.power_mw.items():
            assert (power <= most[name] + 1e-9).all()
            assert np.array_equal(power, np.floor(power + 1e-9))
            assert (bids.ask_eur_per_mw[name] >= 0.0).all()
    for name in second.power_mw:
        assert (sold + second.power_mw[name][0] <= SHAPE.battery_mw + 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_schedule_within_the_band_exists_and_keeps_it(data):
    """Whatever is sold and whatever the battery holds: the offer has profiles, all in the band."""
    hours = 36
    price = np.array(data.draw(st.lists(st.floats(-100.0, 400.0), min_size=36, max_size=36)))
    fcr = np.repeat(data.draw(st.lists(st.floats(0.0, 20.0), min_size=9, max_size=9)), 4)
    up, down = data.draw(st.floats(0.0, 25.0)), data.draw(st.floats(0.0, 25.0))
    promise = Promise(fcr, np.full(hours, up), np.zeros(hours), np.full(hours, down))
    load = data.draw(st.floats(80.0, 150.0))
    soc = data.draw(st.floats(0.0, 180.0))
    room = np.full(hours, 140.0 - load)
    band = band_of(SHAPE, promise, np.ones(hours), soc, room)
    assert (band.soc_low_mwh <= band.soc_high_mwh).all()
    gate = Gate(SHAPE, 24, 12, 1.0)
    offer = gate.offer(
        [price],
        load_mw=np.full(hours, load),
        limit_mw=np.maximum(140.0 - band.import_mw, 0.0),
        export_mw=np.full(hours, 50.0),
        contract_mw=np.zeros((0, hours)),
        soc_mwh=soc,
        band=band,
    )
    assert len(offer.position_mw) == 1
    charge, discharge = offer.charge_mw[0], offer.discharge_mw[0]
    assert (charge <= band.charge_mw[:24] + 1e-6).all()
    assert (discharge <= band.discharge_mw[:24] + 1e-6).all()
    assert (charge + fcr[:24] + down <= SHAPE.battery_mw + 1e-6).all()
    assert (discharge + fcr[:24] + up <= SHAPE.battery_mw + 1e-6).all()


def test_a_full_reservoir_is_asked_only_as_fast_as_it_can_be_filled():
    hours = 6
    promise = Promise(np.full(hours, 20.0), *(np.zeros(hours) for _ in range(3)))
    low, _ = reservoir_mwh(SHAPE, promise)
    assert low == pytest.approx(np.full(hours, 20.0 * 0.75 / 0.95))
    band = band_of(SHAPE, promise, np.ones(hours), 0.0, np.full(hours, 25.0))
    # 25 MW of room, 20 of them for FCR: 5 MW x 0.95 an hour
    assert band.soc_low_mwh[:4] == pytest.approx([4.75, 9.5, 14.25, low[0]], abs=1e-4)


def test_worth_of_energy_called():
    """Up 200 at a price of 80: bought back at 83 with losses, less wear; half of the periods."""
    called, price = np.array([0.5, 0.0]), np.array([80.0, 80.0])
    paid = np.array([200.0, np.nan])
    lost = 1 / 0.95**2
    hand = 0.5 * (200 - lost * 83 - 15 - (lost - 1) * 4.7) / 2
    assert called_worth(called, price, paid, SHAPE, 3.0, up=True) == pytest.approx(hand)
    hand = 0.5 * ((80 - 3 - 15) / lost - 20 - (1 - 1 / lost) * 4.7) / 2
    down = np.array([20.0, np.nan])
    assert called_worth(called, price, down, SHAPE, 3.0, up=False) == pytest.approx(hand)
