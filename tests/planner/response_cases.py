"""Plants and what may befall them: one good example, and random ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from gigafactory.planner import Afrr, Fcr, FlexClass, ResponsePlant, Seconds, Setpoints
from gigafactory.plant.battery import Battery

#: Name, active, throttle, pause (MW), checkpoint delay (s), ramp (MW/s), depth (MW), how long (s),
#: rest (s), how often, and EUR/MWh of throttling and pausing. Assumptions.
ROWS = (
    ("research", 20.0, 5.0, 15.0, 60.0, 0.5, 20.0, 14_400.0, 600.0, 6, 150.0, 600.0),
    ("fine-tuning", 15.0, 4.0, 11.0, 60.0, 0.5, 15.0, 14_400.0, 600.0, 6, 200.0, 800.0),
    ("batch inference", 10.0, 3.0, 7.0, 10.0, 1.0, 10.0, 14_400.0, 0.0, 99, 120.0, 400.0),
    ("frontier training", 45.0, 9.0, 36.0, 120.0, 2.0, 9.0, 7200.0, 3600.0, 2, 900.0, 2000.0),
    ("real-time inference", 30.0, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0, 5000.0, 9000.0),
)
CLASSES = tuple(FlexClass(name, active, low, 5.0, *rest) for name, active, low, *rest in ROWS)
BATTERY = Battery(100.0, 400.0, 0.94, 0.94, 20.0, 380.0, 4.0)
PLANT = ResponsePlant(
    BATTERY,
    200.0,
    CLASSES,
    Fcr(40.0, recovery_mw=15.0),
    Afrr(40.0, 30.0),
    ups_mw=120.0,
    ups_s=60.0,
    ups_recharge_mw=2.0,
)
BASE_MW = 30.0


def calm(n: int, **changes: object) -> Seconds:
    """N seconds at 50 Hz with room under the limit, changed as told."""
    given = Seconds(np.full(n, 50.0), BASE_MW, 250.0, 100.0)
    return replace(given, **changes)  # type: ignore[arg-type]


def power(most: float) -> st.SearchStrategy[float]:
    return st.one_of(st.just(0.0), st.floats(0.0, most, allow_subnormal=False))


@st.composite
def classes(draw: st.DrawFn, name: str) -> FlexClass:
    active = draw(power(60.0))
    throttle = active * draw(st.floats(0.0, 0.5))
    return FlexClass(
        name,
        active,
        throttle,
        draw(st.floats(0.5, 30.0)),
        (active - throttle) * draw(st.sampled_from([0.0, 0.3, 1.0])),
        draw(st.sampled_from([0.0, 5.0, 20.0])),
        draw(st.floats(0.1, 10.0)),
        active * draw(st.sampled_from([0.0, 0.2, 1.0])),
        draw(st.sampled_from([0.0, 30.0, 120.0, 7200.0])),
        draw(st.sampled_from([0.0, 60.0])),
        draw(st.integers(0, 3)),
        draw(st.floats(0.0, 1000.0)),
        draw(st.floats(0.0, 3000.0)),
    )


@st.composite
def plants(draw: st.DrawFn) -> ResponsePlant:
    size = draw(st.floats(1.0, 120.0))
    energy = size * draw(st.sampled_from([0.05, 0.5, 1.0, 4.0]))
    efficiency = draw(st.sampled_from([1.0, 0.94, 0.8]))
    battery = Battery(size, energy, efficiency, 0.95, 0.05 * energy, 0.97 * energy)
    work = [draw(classes(f"class {k}")) for k in range(draw(st.integers(0, 4)))]
    share, minutes = draw(st.sampled_from([0.0, 0.3, 0.6])), draw(st.sampled_from([15.0, 30.0]))
    fits = 0.9199 * energy / (minutes / 60 * (1 / 0.95 + efficiency))
    fcr = Fcr(min(share * size, fits), minutes, 2.0, hold_s=3.0, recovery_mw=0.2 * size)
    base = ResponsePlant(
        battery,
        draw(st.floats(10.0, 250.0)),
        tuple(work),
        fcr,
        ups_mw=draw(power(100.0)),
        ups_s=draw(st.sampled_from([0.0, 10.0, 60.0])),
        ups_recharge_mw=draw(power(5.0)),
        period_s=60.0,
    )
    up, down = base.reachable_mw()
    part = draw(st.sampled_from([0.0, 0.5, 1.0]))
    rate = draw(st.sampled_from([math.nan, 1.0]))
    return replace(base, afrr=Afrr(up * part, down * part, move_mw_per_s=rate, hold_s=20.0))


@st.composite
def seconds(draw: st.DrawFn, plant: ResponsePlant, n: int = 300) -> Seconds:
    """Steps of limit, trips, gaps and jumps of frequency, honest and dishonest setpoints."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))

    def steps(low: float, high: float, every: int = 60) -> np.ndarray:
        values = rng.uniform(low, high, -(-n // every))
        return np.repeat(values, every)[:n]

    hz = 50.0 + rng.normal(0.0, 0.05, n).cumsum() * 0.2
    hz[rng.random(n) < 0.05] = np.nan
    hz[rng.random(n) < 0.01] = 0.0
    base = steps(0.0, 40.0) + rng.uniform(0.0, 2.0, n)
    load = float(base.mean()) + sum(one.active_mw for one in plant.classes)
    limit = steps(0.0, 2.0 * load + 1.0, draw(st.sampled_from([30, 60, 150])))
    trip = np.repeat(rng.random(-(-n // 20)) < draw(st.sampled_from([0.0, 0.1])), 20)[:n]
    up, down = plant.afrr.up_mw, plant.afrr.down_mw
    m = -(-n // 4)
    asked = np.repeat(rng.uniform(-down, up, -(-m // 15)), 15)[:m]
    issued = 4.0 * np.arange(m) - rng.uniform(0.0, 1.0, m)
    sealed = np.ones(m, np.bool_)
    if draw(st.booleans()):
        asked[rng.random(m) < 0.05] = np.nan
        asked[rng.random(m) < 0.05] = 1e6
        asked[rng.random(m) < 0.02] = -np.inf
        issued[rng.random(m) < 0.1] -= 50.0
        issued[rng.random(m) < 0.05] += 50.0
        sealed[rng.random(m) < 0.1] = False
    schedule = steps(-1.0, 1.0) * plant.battery.power_mw
    notice = draw(st.sampled_from([0.0, 30.0, 300.0]))
    sent = Setpoints(asked, issued, sealed)
    export = steps(0.0, 50.0)
    return Seconds(hz, base, limit, export, schedule, trip, sent, notice)
