"""A battery over SunSpec tells what it holds, obeys, and falls back when nobody speaks to it."""

from __future__ import annotations

import time

import pytest

from gigafactory.adapters.battery import SunspecBattery, SunspecSettings
from gigafactory.adapters.battery.sunspec import ENERGY, POWER
from gigafactory.plant.ports import Setpoint
from gigafactory.testing.contracts.plant import (
    check_absent_actuator,
    check_actuator,
    check_meter,
    check_silent_meter,
)
from gigafactory.testing.sunspec import BatteryKind, simulated_battery
from gigafactory.units import NS_PER_S


def _battery(port: int, reversion: str = "10 s") -> SunspecBattery:
    told = {"host": "127.0.0.1", "port": port, "timeout": "1 s", "reversion": reversion}
    return SunspecBattery(SunspecSettings.model_validate(told), time.time_ns)


def _wish(value_mw: float, seconds: float = 60.0, key: str = "k") -> Setpoint:
    return Setpoint(key, POWER, value_mw, "MW", time.time_ns() + round(seconds * NS_PER_S))


def test_it_tells_power_and_energy_in_the_units_and_signs_of_the_house() -> None:
    with simulated_battery(BatteryKind(50e6, 100e6, 0.25)) as (_, port):
        battery = _battery(port)
        power, energy = battery.read((POWER, ENERGY), time.time_ns())
        assert (power.value, power.unit, power.good) == (0.0, "MW", True)
        assert (energy.value, energy.unit) == (pytest.approx(25.0), "MWh")
        assert battery.limits_mw() == (50.0, 50.0)
        assert battery.read(("battery/colour",), time.time_ns()) == ()
        battery.close()


@pytest.mark.parametrize("value", [20.0, -35.5, 0.0, 50.0, -50.0])
def test_charging_is_positive_and_what_is_told_is_done(value: float) -> None:
    with simulated_battery() as (device, port):
        battery = _battery(port)
        assert battery.apply(_wish(value), time.time_ns()).outcome == "accepted"
        assert device.power_w == pytest.approx(-value * 1e6)
        (power,) = battery.read((POWER,), time.time_ns())
        assert power.value == pytest.approx(value)
        battery.close()


@pytest.mark.slow
def test_without_a_new_set_point_it_goes_to_nought() -> None:
    with simulated_battery() as (device, port):
        battery = _battery(port, reversion="1 s")
        battery.apply(_wish(10.0), time.time_ns())
        for _ in range(3):  # wound up again in time, it goes on
            time.sleep(0.5)
            battery.apply(_wish(10.0), time.time_ns())
        assert device.power_w == pytest.approx(-10e6)
        battery.close()  # as when the controller dies
        time.sleep(1.2)
        assert device.power_w == 0.0


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (_wish(51.0), "beyond what it can"),
        (_wish(-50.1), "beyond what it can"),
        (_wish(1.0, seconds=-1.0), "no longer valid"),
        (Setpoint("k", "hall/power", 1.0, "MW", 2**62), "takes battery/power"),
        (Setpoint("k", POWER, 1.0, "kW", 2**62), "takes battery/power"),
    ],
)
def test_what_it_cannot_do_is_refused_and_moves_nothing(wish: Setpoint, said: str) -> None:
    with simulated_battery() as (device, port):
        battery = _battery(port)
        receipt = battery.apply(wish, time.time_ns())
        assert (receipt.outcome, said in receipt.why) == ("refused", True)
        assert device.writes == 0
        battery.close()


def test_a_line_that_is_cut_is_unknown_and_mends_by_itself() -> None:
    with simulated_battery() as (_, port):
        battery = _battery(port)
        assert battery.read((POWER,), time.time_ns())
    receipt = battery.apply(_wish(1.0), time.time_ns())
    assert receipt.outcome == "unknown"
    assert battery.trouble
    assert battery.read((POWER, ENERGY), time.time_ns()) == ()
    with simulated_battery() as (_, port):
        battery.settings = battery.settings.model_copy(update={"port": port})
        assert battery.apply(_wish(1.0), time.time_ns()).outcome == "accepted"
        assert battery.trouble == ""
        battery.close()


def test_another_device_is_no_battery() -> None:
    with simulated_battery(BatteryKind(models=(1, 701))) as (_, port):
        battery = _battery(port)
        assert battery.apply(_wish(1.0), time.time_ns()).outcome == "unknown"
        assert "models 704, 713 are missing" in battery.trouble


def test_what_is_stored_follows_what_is_told() -> None:
    with simulated_battery(BatteryKind(power_w=50e6, energy_wh=100e3, soc=0.5)) as (_, port):
        battery = _battery(port)
        battery.apply(_wish(-50.0), time.time_ns())
        time.sleep(0.5)
        (energy,) = battery.read((ENERGY,), time.time_ns())
        assert energy.value < 0.05 - 0.004
        battery.close()


def test_it_holds_to_the_contracts_of_meter_and_actuator() -> None:
    def wish(key: str, value: float, until_ns: int) -> Setpoint:
        return Setpoint(key, POWER, value, "MW", until_ns)

    with simulated_battery() as (device, port):
        battery = _battery(port)
        check_meter(battery, (POWER, ENERGY), time.time_ns)
        check_actuator(
            battery,
            lambda: -device.power_w / 1e6,
            wish,
            (12.0, -7.0),
            lambda: device.writes,
            time.time_ns,
        )
    check_silent_meter(battery, (POWER, ENERGY), time.time_ns)
    check_absent_actuator(battery, wish, time.time_ns)
