"""A battery that speaks SunSpec over Modbus TCP: what it holds, what it does, what it is told.

Models: 701 (measurement), 702 (ratings), 704 (controls), 713 (storage capacity). Registers and
scale factors are read by the SunSpec Alliance's own library; what each point means here:

::

    battery/power   MW   701.W turned round: SunSpec counts what it injects, this house what is
                         taken
    battery/energy  MWh  713.WHAvail, or WHRtg x SoC x SoH where that is not given
    set point       MW   704.WSet in watts, with the reversion timer as dead-man switch: when nobody
                         repeats the set point in time, the battery goes to nought by itself

Verified against the models as the alliance publishes them and a simulated battery; against no real
one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import Count, PositiveCount, PositiveDurationS
from gigafactory.plant.ports import Reading, Setpoint, SetpointReceipt
from gigafactory.units import NS_PER_S

T = TypeVar("T")

POWER: Final = "battery/power"
ENERGY: Final = "battery/energy"
_MEASURE, _RATINGS, _CONTROLS, _STORAGE = 701, 702, 704, 713
_WATTS, _ENABLED = 1, 1
_W_PER_MW: Final = 1e6
_TOLERANCE_W: Final = 1.0


class SunspecSettings(Block):
    """A battery over SunSpec Modbus TCP."""

    host: Text = setting("Its address.")
    port: PositiveCount = setting("Its port.", 502)
    unit: Count = setting("Modbus unit identifier.", 1)
    timeout_s: PositiveDurationS = setting("Longest wait for an answer.", 2.0, key="timeout")
    reversion_s: PositiveDurationS = setting(
        "Without a new set point it goes to nought after this; whole seconds.",
        10.0,
        key="reversion",
        source="assumption, 2026: five ticks of the controller",
    )
    ca: Text | None = setting("Certificates trusted, a PEM file: Modbus over TLS.", None)
    certificate: Text | None = setting("Our own certificate, a PEM file.", None)
    key: Text | None = setting("The key of our certificate, a PEM file.", None)


class SunspecBattery:
    """One battery, as a meter and as an actuator.

    Nothing is asked of it before the first call; a connection that fails is made anew by the next
    call. Not to be shared between threads.

    Args:
        settings: where it is.
        now_ns: tells the time; dates readings, since SunSpec has no timestamps.
    """

    def __init__(self, settings: SunspecSettings, now_ns: Callable[[], int]) -> None:
        self.settings, self._now_ns = settings, now_ns
        self._device: Any = None
        #: Why it cannot be reached, or is no battery of ours; empty when all is well.
        self.trouble = ""

    # --- the meter ----------------------------------------------------------------------------

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:  # noqa: ARG002
        """Power (MW, charging is positive) and stored energy (MWh), those unavailable left out."""
        told = []
        for point in points:
            value = self._guarded(self._power_mw if point == POWER else self._energy_mwh)
            if point not in {POWER, ENERGY} or value is None:
                continue
            unit = "MW" if point == POWER else "MWh"
            told.append(Reading(point, self._now_ns(), value, unit, good=self._healthy()))
        return tuple(told)

    def limits_mw(self) -> tuple[float, float] | None:
        """Most it charges and discharges, MW, both positive; None where it cannot be asked."""
        return self._guarded(self._limits)

    # --- the actuator -------------------------------------------------------------------------

    def apply(self, setpoint: Setpoint, now_ns: int) -> SetpointReceipt:
        """Tell it its power, MW, charging is positive; it holds until the reversion time is over.

        The same set point again winds the reversion timer up again and changes nothing else.
        """
        refusal = self._refusal(setpoint, now_ns)
        if refusal:
            return SetpointReceipt(setpoint.key, "refused", refusal)
        left_s = (setpoint.valid_until_ns - now_ns) / NS_PER_S
        timer_s = max(min(int(self.settings.reversion_s), int(left_s)), 1)
        done = self._guarded(lambda: self._write(-setpoint.value * _W_PER_MW, timer_s))
        if done is None:
            return SetpointReceipt(setpoint.key, "unknown", self.trouble)
        if not done:
            return SetpointReceipt(setpoint.key, "refused", "reads back another set point")
        return SetpointReceipt(setpoint.key, "accepted")

    def _refusal(self, setpoint: Setpoint, now_ns: int) -> str:
        """Why a set point is not passed on; empty when it is."""
        if setpoint.point != POWER or setpoint.unit != "MW":
            return f"this battery takes {POWER} in MW, not {setpoint.point} in {setpoint.unit}"
        if setpoint.valid_until_ns <= now_ns:
            return "was no longer valid when it came"
        limits = self.limits_mw()
        if limits is None:
            return ""  # the write will say what is wrong
        charge, discharge = limits
        if not -discharge - 1e-9 <= setpoint.value <= charge + 1e-9:
            can = f"{charge:g} MW in, {discharge:g} out"
            return f"{setpoint.value:g} MW lies beyond what it can: {can}"
        return ""

    # --- registers ----------------------------------------------------------------------------

    def _guarded(self, ask: Callable[[], T]) -> T | None:
        """Ask, and turn every trouble with the line or the device into None and a word."""
        try:
            self._connect()
            answer = ask()
        except Exception as error:  # the library raises plain exceptions of many kinds
            self.trouble = f"{self.settings.host}:{self.settings.port}: {error or type(error)}"
            self.close()
            return None
        self.trouble = ""
        return answer

    def _connect(self) -> None:
        if self._device is not None:
            return
        from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

        s = self.settings
        device = SunSpecModbusClientDeviceTCP(
            slave_id=s.unit, ipaddr=s.host, ipport=s.port, timeout=s.timeout_s,
            tls=s.ca is not None, cafile=s.ca, certfile=s.certificate, keyfile=s.key,
        )  # fmt: skip
        try:
            device.connect(s.timeout_s)
            device.scan(connect=False)
            lacking = [str(m) for m in (_MEASURE, _CONTROLS, _STORAGE) if m not in device.models]
            if lacking:
                raise LookupError(f"is no SunSpec battery: models {', '.join(lacking)} are missing")
        except BaseException:
            device.disconnect()
            raise
        self._device = device

    def _model(self, number: int) -> Any:
        return self._device.models[number][0]

    def _point(self, number: int, name: str) -> float | None:
        """A point, scaled; None where the device does not have it."""
        value = self._model(number).points[name].cvalue
        return None if value is None else float(value)

    def _power_mw(self) -> float | None:
        self._model(_MEASURE).read()
        watts = self._point(_MEASURE, "W")
        return None if watts is None else -watts / _W_PER_MW

    def _energy_mwh(self) -> float | None:
        self._model(_STORAGE).read()
        stored = self._point(_STORAGE, "WHAvail")
        if stored is not None:
            return stored / _W_PER_MW
        rating, charge = self._point(_STORAGE, "WHRtg"), self._point(_STORAGE, "SoC")
        if rating is None or charge is None:
            return None
        health = self._point(_STORAGE, "SoH")
        return rating * charge / 100.0 * (1.0 if health is None else health / 100.0) / _W_PER_MW

    def _healthy(self) -> bool:
        """Whether the device reports no error of its own; unknown counts as healthy."""
        state = self._guarded(lambda: self._point(_STORAGE, "Sta"))
        return state is None or int(state) < 2

    def _limits(self) -> tuple[float, float] | None:
        if _RATINGS not in self._device.models:
            return None
        self._model(_RATINGS).read()
        for charge, discharge in (
            ("WChaRteMax", "WDisChaRteMax"),
            ("WChaRteMaxRtg", "WDisChaRteMaxRtg"),
        ):
            most_in, most_out = self._point(_RATINGS, charge), self._point(_RATINGS, discharge)
            if most_in is not None and most_out is not None:
                return most_in / _W_PER_MW, most_out / _W_PER_MW
        return None

    def _write(self, injected_w: float, timer_s: int) -> bool:
        """Write a set point in watts injected; whether it reads back as written."""
        controls = self._model(_CONTROLS)
        controls.read()
        points = controls.points
        if points["WSet"].value is None or points["WSetRvrtTms"].value is None:
            raise LookupError("model 704 has no set point in watts with a reversion timer")
        # the way back first: a line cut between two writes must not leave a set point without one
        back = {"WSetRvrt": 0.0, "WSetEnaRvrt": _ENABLED, "WSetRvrtTms": timer_s}
        wish = {"WSetMod": _WATTS, "WSet": injected_w, "WSetEna": _ENABLED}
        for part in (back, wish):
            for name, value in part.items():
                points[name].cvalue = value
            controls.write()
        controls.read()
        step_w = 10.0 ** (points["WSet_SF"].value or 0)
        now_w = self._point(_CONTROLS, "WSet")
        held = points["WSetEna"].value == _ENABLED
        return held and now_w is not None and abs(now_w - injected_w) <= max(step_w, _TOLERANCE_W)

    def close(self) -> None:
        """Let the connection go; the battery falls back when its reversion time is over."""
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(Exception):  # it may be cut already
                device.disconnect()
