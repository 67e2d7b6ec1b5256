"""Assets by layer, and the ports on a real (small) implementation."""

from __future__ import annotations

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.plant.assets import Asset, Layer, by_layer
from gigafactory.plant.ports import Actuator, Meter, Reading, Setpoint, SetpointReceipt


def test_every_layer_is_listed_and_dates_count() -> None:
    pool = Asset("pool-1", Layer.COMPUTE, "accelerator", "maasvlakte", 44_000, "accelerators")
    pump = Asset("pump", Layer.ENERGY, "heat_pump", "maasvlakte", 8, "MW", commissioned_ns=50)
    table = by_layer((pump, pool))
    assert list(table) == list(Layer)
    assert table[Layer.COMPUTE] == (pool,)
    assert table[Layer.BUILDING] == ()
    assert pool.exists(0)
    assert not pump.exists(49)
    assert pump.exists(50)


def test_a_bad_asset_tells_all() -> None:
    with pytest.raises(BadInput) as caught:
        Asset("", Layer.NETWORK, "fabric", "x", float("inf"), "MW", life_y=-2.0)
    assert len(caught.value.problems) == 3


class _Device:
    """A device that keeps its setpoint, as a meter and an actuator."""

    def __init__(self) -> None:
        self.value, self.keys = 0.0, set[str]()

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        return tuple(Reading(p, now_ns, self.value, "MW") for p in points if p == "battery/power")

    def apply(self, setpoint: Setpoint, now_ns: int) -> SetpointReceipt:
        if now_ns > setpoint.valid_until_ns:
            return SetpointReceipt(setpoint.key, "refused", "stale")
        if setpoint.key not in self.keys:
            self.keys.add(setpoint.key)
            self.value = setpoint.value
        return SetpointReceipt(setpoint.key, "accepted")


def test_the_ports_fit_a_device() -> None:
    device = _Device()
    actuator: Actuator = device
    meter: Meter = device
    assert actuator.apply(Setpoint("a", "battery/power", 5.0, "MW", 10), 5).outcome == "accepted"
    assert actuator.apply(Setpoint("a", "battery/power", 9.0, "MW", 10), 6).outcome == "accepted"
    assert actuator.apply(Setpoint("b", "battery/power", 9.0, "MW", 10), 11).outcome == "refused"
    (reading,) = meter.read(("battery/power", "absent"), 12)
    assert reading.value == 5.0
