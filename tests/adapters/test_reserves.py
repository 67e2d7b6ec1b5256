"""Reserves in the twin: by hand, and never outside battery, cable and what was asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.reserves import Cable, Called, deliver, readings
from gigafactory.grid.ports import Direction
from gigafactory.grid.settlement import settle_afrr, settle_fcr
from gigafactory.ledger import Carry
from gigafactory.ledger.facts import METERS
from gigafactory.ledger.reserves import RESTS, reserve_pay
from gigafactory.plant.battery import Battery
from tests.golden.folders import hold, of


def reserve_day(told):
    b, hours = told["battery"], told["hours"]
    each = b["efficiency"]
    battery = Battery(b["power_mw"], b["energy_mwh"], each, each)
    soc, carries = b["soc_mwh"], {name: Carry() for name in METERS}
    done, meters = [], []
    for quarter in told["quarters"]:
        called = Called(
            **told["sold"],
            fcr_work_share=tuple(quarter["work"]),
            up_share=quarter["up"],
            down_share=quarter["down"],
            price_eur_per_mwh=tuple(told["price_eur_per_mwh"]),
            energy_eur_per_mwh=tuple(quarter["energy"]),
            reservoir_h=tuple(told["reservoir_h"]),
        )
        cable = Cable(-b["power_mw"], quarter["most_mw"])
        got = deliver(battery, soc, quarter["wish_mw"], cable, called, hours)
        soc = got.soc_mwh
        done.append(got)
        read = {k: carries[k].take(v) for k, v in readings(called, got, 0.0, hours).items()}
        for name, price in zip(
            ("fcr", "afrr_up", "afrr_down"), called.price_eur_per_mwh, strict=True
        ):
            read[f"{name}_price_micro_eur"] = round(price * 1e6)
        for name, price in zip(("afrr_up", "afrr_down"), called.energy_eur_per_mwh, strict=True):
            read[f"{name}_energy_micro_eur"] = round(price * 1e6)
        meters.append(read)
    columns = {name: np.array([m.get(name, 0) for m in meters], np.int64) for name in METERS}
    paid = reserve_pay(columns, np.zeros(RESTS, np.int64))
    names = ("fcr_capacity_eur", "afrr_capacity_eur", "afrr_energy_eur", "penalty_eur")
    return {
        "charge_mw": [d.charge_mw for d in done],
        "discharge_mw": [d.discharge_mw for d in done],
        "soc_mwh": [d.soc_mwh for d in done],
        "missed_wh": {n: columns[f"{n}_missed_wh"] for n in ("fcr", "afrr_up", "afrr_down")},
        **{name: column / 1e6 for name, column in zip(names, paid, strict=True)},
        "net_eur": -sum(int(column.sum()) for column in paid) / 1e6,
    }


CASES = {"reserve_day": reserve_day}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda path: path.name)
def test_golden(folder):
    hold(folder, CASES)


share = st.floats(0.0, 1.0)


@st.composite
def happenings(draw):
    power, energy = draw(st.floats(1.0, 100.0)), draw(st.floats(1.0, 400.0))
    battery = Battery(
        power, energy, draw(st.floats(0.7, 1.0)), draw(st.floats(0.7, 1.0)),
        0.05 * energy, 0.95 * energy,
    )  # fmt: skip
    low = draw(share)
    called = Called(
        fcr_mw=draw(share) * power,
        up_mw=draw(share) * power,
        down_mw=draw(share) * power,
        fcr_work_share=(low, draw(share), draw(share) * (1.0 - low), draw(share)),
        up_share=draw(share),
        down_share=draw(share),
        reservoir_h=(0.5, 0.25),
    )
    soc = energy * (0.05 + 0.9 * draw(share))
    limit = draw(st.floats(0.0, 200.0))
    load = draw(st.floats(0.0, 200.0))
    cable = Cable(-load - draw(st.floats(0.0, 50.0)), limit - load)
    return battery, soc, draw(st.floats(-120.0, 120.0)), cable, called


@given(happenings())
def test_never_outside_battery_and_cable(happening):
    battery, soc, wish, cable, called = happening
    done = deliver(battery, soc, wish, cable, called, 0.25)
    assert done.charge_mw >= 0.0
    assert done.discharge_mw >= 0.0
    assert done.charge_mw + done.discharge_mw <= battery.power_mw * (1 + 1e-9)
    assert battery.soc_min_mwh <= done.soc_mwh <= battery.soc_max_mwh
    gained = done.charge_mw * battery.charge_efficiency
    gained -= done.discharge_mw / battery.discharge_efficiency
    assert done.soc_mwh == pytest.approx(soc + 0.25 * gained, abs=1e-6)
    net = done.charge_mw - done.discharge_mw
    assert net >= cable.least_mw - 1e-9
    # an empty battery cannot make room; else import stays below the limit
    if cable.most_mw >= 0.0:
        assert net <= cable.most_mw + 1e-9
    assert 0.0 <= done.up_there_share <= 1.0
    assert 0.0 <= done.down_there_share <= 1.0


@given(happenings())
def test_what_is_missing_was_asked(happening):
    battery, soc, wish, cable, called = happening
    done = deliver(battery, soc, wish, cable, called, 0.25)
    assert 0.0 <= done.up_missed_mw <= called.up_mw * called.up_share + 1e-9
    assert 0.0 <= done.down_missed_mw <= called.down_mw * called.down_share + 1e-9
    assert 0.0 <= done.fcr_missed_mw <= called.fcr_up_mw + called.fcr_down_mw + 1e-9
    read = readings(called, done, 0.0, 0.25)
    for name in ("fcr", "afrr_up", "afrr_down"):
        assert 0.0 <= read[f"{name}_lacking_wh"] <= read[f"{name}_sold_wh"] + 1e-6
        assert 0.0 <= read[f"{name}_withheld_wh"] <= read[f"{name}_sold_wh"] * (1 + 1e-9)


@given(share, share, share, st.floats(-2.0, 2.0))
def test_within_its_band_a_battery_delivers_all(up, down, low, wish):
    """Room in power and energy for all that was sold: nothing is missing."""
    battery = Battery(20.0, 40.0, 0.9, 0.9)
    called = Called(
        fcr_mw=6.0,
        up_mw=6.0,
        down_mw=6.0,
        fcr_work_share=(low, 0.3, 1.0 - low, 0.2),
        up_share=up,
        down_share=down,
        reservoir_h=(0.5, 0.25),
    )
    done = deliver(battery, 20.0, wish, Cable(-100.0, 100.0), called, 0.25)
    assert (done.fcr_missed_mw, done.up_missed_mw, done.down_missed_mw) == (0.0, 0.0, 0.0)
    assert (done.up_there_share, done.down_there_share) == (1.0, 1.0)


def test_work_that_is_slowed_delivers_what_its_meters_show():
    called = Called(load_mw=4.0, load_share=0.5)
    idle = deliver(Battery(1.0, 1.0), 0.5, 0.0, Cable(-9.0, 9.0), called, 0.25)
    assert readings(called, idle, 2.0, 0.25)["afrr_up_missed_wh"] == 0.0
    short = readings(called, idle, 0.5, 0.25)
    assert short["afrr_up_missed_wh"] == pytest.approx(1.5 * 0.25e6)
    assert short["afrr_up_withheld_wh"] == pytest.approx(0.75 * 4.0 * 0.25e6)


@given(happenings(), st.floats(0.0, 100.0), st.floats(-500.0, 500.0))
def test_the_book_pays_as_the_settlement_says(happening, price, energy):
    """The same pay as `grid.settlement`, where nothing lacks but what was not delivered."""
    battery, soc, wish, cable, called = happening
    called = replace(
        called, price_eur_per_mwh=(price, price, price), energy_eur_per_mwh=(energy, energy)
    )
    done = deliver(battery, soc, wish, cable, called, 0.25)
    done = replace(done, up_there_share=1.0, down_there_share=1.0)
    read = readings(called, done, 0.0, 0.25)
    meter = {name: np.array([round(read.get(name, 0.0))], np.int64) for name in METERS}
    for name in ("fcr", "afrr_up", "afrr_down"):
        meter[f"{name}_price_micro_eur"] = np.array([round(price * 1e6)])
        meter[f"{name}_energy_micro_eur"] = np.array([round(energy * 1e6)])
    paid = [column[0] / 1e6 for column in reserve_pay(meter, np.zeros(RESTS, np.int64))]
    pay = [
        settle_afrr(
            way,
            hours=0.25,
            contracted_mw=[sold],
            capacity_eur_per_mw_h=price,
            activated_mwh=[asked * 0.25],
            delivered_mwh=[(asked - missed) * 0.25],
            energy_eur_per_mwh=energy,
            short_eur_per_mwh=0.0,
            long_eur_per_mwh=0.0,
        )
        for way, sold, asked, missed in (
            (Direction.UP, called.up_mw, called.up_mw * called.up_share, done.up_missed_mw),
            (
                Direction.DOWN,
                called.down_mw,
                called.down_mw * called.down_share,
                done.down_missed_mw,
            ),
        )
    ]
    asked = called.fcr_up_mw + called.fcr_down_mw
    fcr = settle_fcr(
        awarded_mw=[called.fcr_mw],
        price_eur_per_mw=price * 0.25,
        undelivered_share=min(done.fcr_missed_mw / asked, 1.0) if asked > 0 else 0.0,
    )
    near = {"abs": 1e-3, "rel": 1e-6}  # whole Wh at up to 500 EUR/MWh
    assert -paid[0] == pytest.approx(fcr.capacity_eur.sum(), **near)
    assert -paid[1] == pytest.approx(sum(p.capacity_eur.sum() for p in pay), **near)
    assert -paid[2] == pytest.approx(sum(p.energy_eur.sum() for p in pay), **near)
    withheld = fcr.deduction_eur.sum() + sum(p.withheld_eur.sum() for p in pay)
    assert paid[3] == pytest.approx(withheld, **near)
