"""The twin: meters that add up, a battery that defends the connection, state that can be saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.site import METER_MW, SiteOrder, TwinSite
from gigafactory.adapters.twin import SENSES, PoolPlace, Twin
from gigafactory.kernel import FULL_SPEED, Pool, PoolSpec
from gigafactory.ledger import METERS, POOL_COLUMNS, Facts
from gigafactory.plant.battery import Battery

H = 3600 * 10**9
QUARTER = H // 4
PERIODS = 8
EDGES = np.arange(PERIODS + 1, dtype=np.int64) * QUARTER
IDLE_W, WORK_W = 300.0, 1000.0


def site(
    limit_mw: float = 1.0, battery: Battery | None = None, soc_mwh: float = 0.0, export: float = 0.0
) -> TwinSite:
    grid = np.linspace(0.0, 1.0, 5)
    rows = np.ones((PERIODS, 1))
    return TwinSite(
        it_grid_mw=grid,
        cooling_mw=rows * (0.02 + 0.1 * grid + 0.05 * grid**2)[None],
        losses_mw=rows * (0.01 + 0.04 * grid)[None],
        water_m3_per_h=rows * (0.3 * grid)[None],
        heat_mw=rows * (0.9 * grid)[None],
        auxiliary_mw=0.03,
        heat_demand_mw=np.full(PERIODS, 0.25),
        limit_mw=np.full(PERIODS, limit_mw),
        export_mw=export,
        fabric_w=30.0,
        battery=battery,
        soc_mwh=soc_mwh,
        price_eur_per_mwh=np.linspace(-50.0, 100.0, PERIODS),
        imbalance_eur_per_mwh=np.full(PERIODS, 90.0),
        temperature_c=np.full(PERIODS, 11.0),
        wet_bulb_c=np.full(PERIODS, 9.0),
        carbon_kg_per_mwh=np.full(PERIODS, 200.0),
    )


BATTERY = Battery(0.2, 0.4, 0.9, 0.9, 0.04, 0.36, 10.0)


def twin_of(plant: TwinSite, jobs: int = 12, output_mw: float = 0.5) -> Twin:
    kernel = Pool(
        PoolSpec(64, 8, int(IDLE_W * 1000), 50, (0, 1)),
        origin_ns=0,
        end_ns=int(EDGES[-1]),
        submit_ns=np.arange(jobs, dtype=np.int64) * 600 * 10**9,
        need_ns=np.full(jobs, 2000 * 10**9),
        walltime_ns=np.full(jobs, 4000 * 10**9),
        accelerators=np.array([8 * (1 + j % 5) for j in range(jobs)], np.int32),
        priority=np.zeros(jobs, np.int8),
        group=np.array([j % 2 for j in range(jobs)], np.int8),
    )
    kernel.set_service(64)
    kernel.set_groups(
        np.full(8, FULL_SPEED), np.array([WORK_W * 1000] * 2 + [0] * 6).astype(np.int64)
    )
    place = PoolPlace(
        kernel=kernel,
        site=0,
        installed=np.full(PERIODS, 520, np.int64),
        usable=np.full(PERIODS, 64, np.int64),
        down=np.full(PERIODS, 8, np.int64),
        jobs=np.arange(100, 100 + jobs, dtype=np.int32),
        asks={"job": np.arange(100, 100 + jobs, dtype=np.int32)},
    )
    return Twin([place], [plant], EDGES, np.full((1, PERIODS), output_mw), (0,), (True,), 2)


def order(charge: float = 0.0, share: float = 1.0) -> SiteOrder:
    return SiteOrder(max(charge, 0.0), max(-charge, 0.0), np.array([share]), 0.6, 0.0, 0.5, 1.0)


def turn(
    twin: Twin, period: int, what: SiteOrder
) -> tuple[Facts, dict[str, int], dict[str, float]]:
    records = [place.kernel.advance(int(EDGES[period + 1])) for place in twin.pools]
    facts, senses = twin.meter(period, records, [what])
    meter = dict(zip(METERS, facts.meter[0].tolist(), strict=True))
    return facts, meter, dict(zip(SENSES, senses[0].tolist(), strict=True))


@given(st.floats(0.0, 2.0))
def test_what_is_allowed_is_what_just_fits(room_mw: float) -> None:
    plant = site()
    allowed = plant.it_allowed_mw(0, room_mw)
    it_mw = min(allowed, 1.0)  # where all fits nothing is limited
    cooling, losses, heat, water = plant.overheads(0, it_mw)
    load_mw = it_mw + cooling + losses + plant.auxiliary_mw
    if allowed == 0.0:
        assert room_mw <= load_mw + METER_MW
    elif allowed == float("inf"):
        assert room_mw >= load_mw
    else:
        assert load_mw == pytest.approx(room_mw - METER_MW)
        assert 0.0 < heat <= allowed
        assert water > 0.0


def test_a_site_without_power_draws_nothing_at_all() -> None:
    plant = site(limit_mw=0.0)
    assert plant.overheads(0, 0.0) == (0.0, 0.0, 0.0, 0.0)
    assert min(plant.overheads(0, 0.1)) > 0.0


@given(
    st.lists(st.floats(-0.3, 0.3), min_size=PERIODS, max_size=PERIODS),
    st.sampled_from([0.25, 0.35, 0.6]),
    st.sampled_from([0.0, 0.1, 5.0]),
    st.floats(0.04, 0.36),
)
def test_the_battery_defends_the_connection_and_every_meter_adds_up(
    wishes: list[float], limit: float, export: float, soc: float
) -> None:
    plant = site(limit, BATTERY, soc, export)
    twin = twin_of(plant)
    taken = np.zeros(2, np.int64)
    charged = discharged = 0
    for period, wish in enumerate(wishes):
        before = plant.soc_mwh
        facts, meter, sense = turn(twin, period, order(wish))
        out = ("it_wh", "cooling_wh", "auxiliary_wh", "losses_wh", "charge_wh", "export_wh")
        assert sum(meter[n] for n in out) == meter["import_wh"] + meter["discharge_wh"]
        load_mw = sum(meter[n] for n in out[:4]) * 4 / 1e6
        able = min(BATTERY.power_mw, max(before - 0.04, 0) * 0.9 * 4)
        if load_mw - able <= limit:
            assert meter["import_wh"] * 4 / 1e6 <= limit + 4e-5, "the battery could have helped"
        assert meter["export_wh"] * 4 / 1e6 <= min(export, limit) + 4e-5
        assert 0.04 <= plant.soc_mwh == sense["soc_mwh"] <= 0.36
        charged, discharged = charged + meter["charge_wh"], discharged + meter["discharge_wh"]
        held = soc * 1e6 + charged * 0.9 - discharged / 0.9
        assert plant.soc_mwh * 1e6 == pytest.approx(held, abs=4.0)
        pool = dict(zip(POOL_COLUMNS, facts.pools[0].tolist(), strict=True))
        parts = ("awaiting_ns", "down_ns", "service_ns")
        assert pool["installed_ns"] == sum(pool[n] for n in parts) == 520 * QUARTER
        taken += facts.contracts[0]
    assert taken.tolist() == [0.5 * PERIODS / 4 * 1e6, 0]


def test_it_energy_is_integrated_and_not_guessed() -> None:
    twin = twin_of(site(), jobs=1)
    facts, meter, _ = turn(twin, 0, order())
    resting_h = (64 * 8 * 900 - 8 * 900) / 3600
    assert meter["it_wh"] == int(8 * WORK_W * 0.25 + resting_h * IDLE_W)
    assert meter["it_idle_uwh"] == resting_h * IDLE_W * 1e6
    assert meter["network_wh"] == int(64 * 8 * 0.25 * 30.0)
    assert facts.moves["job"].tolist() == [100], "the run's number, not the pool's"
    assert facts.asks["job"].tolist() == [100]


@pytest.mark.parametrize(("share", "taken", "cut"), [(1.0, 125_000, 0), (0.4, 50_000, 75_000)])
def test_contracts_are_taken_or_curtailed(share: float, taken: int, cut: int) -> None:
    twin = twin_of(site())
    facts, meter, sense = turn(twin, 0, order(share=share))
    assert facts.contracts.tolist() == [[taken, cut]]
    assert meter["guaranteed_wh"] == taken
    assert sense["ppa_available_mw"] == 0.5


def test_heat_is_what_the_network_takes_and_no_more_than_there_is() -> None:
    twin = twin_of(site())
    _, meter, _ = turn(twin, 0, order())
    assert meter["heat_demand_wh"] == 62_500
    assert meter["heat_wh"] == pytest.approx(0.9 * meter["it_wh"], abs=1)
    assert meter["heat_wh"] < 62_500


def test_a_saved_twin_goes_on_to_the_last_bit() -> None:
    one, other = (twin_of(site(0.35, BATTERY, 0.2)) for _ in range(2))
    for period in range(3):
        turn(one, period, order(0.07))
    saved: Any = one.snapshot()
    other.restore(*saved)
    for period in range(3, PERIODS):
        first, second = (turn(t, period, order(-0.03, 0.7)) for t in (one, other))
        assert first[1:] == second[1:]
        for name, array in first[0].arrays().items():
            assert np.array_equal(array, second[0].arrays()[name]), name
    assert np.array_equal(one.energy_uwh(), other.energy_uwh())
