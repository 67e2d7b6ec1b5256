"""The full model stands for the bundled factory, and its windows keep every limit."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from benchmarks.cases.fullmodel import (
    CAPACITY,
    CONTRACT_MW,
    DAY,
    EXPORT_MW,
    LIMIT_MW,
    PEAK_EUR_PER_MW,
    ROTTERDAM,
    SITE,
    START_MWH,
    H,
    full_numbers,
    full_year,
)
from gigafactory.factory import load_factory
from gigafactory.grid import MarketCalendar, synthetic_signals
from gigafactory.planner.shape import Horizon
from gigafactory.planner.solving import LineSolver
from gigafactory.plant import load_catalogue
from gigafactory.runtime.wiring import build
from gigafactory.runtime.workload import generated_jobs


@pytest.mark.slow
def test_the_site_is_the_one_the_planner_of_the_bundled_factory_has() -> None:
    factory, catalogue = load_factory("rotterdam"), load_catalogue()
    calendar = MarketCalendar.of(dt.date(2025, 1, 1), 1)
    signals = synthetic_signals(calendar, 0, 52.0, 4.5)
    table = generated_jobs(factory, catalogue, calendar, 0)
    wire = build(factory, None, calendar, signals, table, catalogue, "").sites[0]
    shape = wire.planner.shape
    for name in ROTTERDAM.__slots__:
        if name != "groups":
            assert getattr(shape, name) == pytest.approx(getattr(ROTTERDAM, name)), name
    for ours, theirs in zip(ROTTERDAM.groups, shape.groups, strict=True):
        assert ours.label == theirs.label
        assert ours.speed == pytest.approx(theirs.speed)
        assert ours.active_w == pytest.approx(theirs.active_w)
        assert ours.delay_eur_per_gpu_h == theirs.delay_eur_per_gpu_h
    assert (wire.base_limit_mw[0], wire.export_mw) == pytest.approx((LIMIT_MW, EXPORT_MW))
    assert factory.energy.ppas[0].capacity_mw == CONTRACT_MW
    assert sum(p.accelerators for p in factory.fleet) == CAPACITY


@pytest.mark.data
def test_a_window_of_the_full_model_uses_every_part_of_it(data_dir) -> None:  # type: ignore[no-untyped-def]
    """Speeds below one on restricted evenings, reserves, engines, contract, trade, battery."""
    y = full_year()
    steps = np.arange(144)
    solver = LineSolver([SITE], Horizon.line(np.full(144, H), steps // 16))
    x = full_numbers(y, 60 * DAY, 144)
    x.peak_eur_per_mw, x.peak_mw = np.array([PEAK_EUR_PER_MW]), np.zeros(1)
    x.soc_mwh = START_MWH
    found = solver.solve([x])
    assert found is not None
    limit = y.limit_mw[60 * DAY : 60 * DAY + 144]
    assert np.all(found.of(0, "import") <= limit + 1e-6)
    count = sum(found.of(0, f"n.{g}") for g in range(len(SITE.groups)))
    assert np.all(count <= CAPACITY + 1e-3)
    assert found.of(0, "beyond").max() < 1e-6
    used = ("import", "contract.0", "generator.0", "charge", "discharge", "battery.up", "sell")
    for name in used:
        assert found.of(0, name).max() > 0.1, name
    for way in ("fcr", "up", "down"):
        assert found.spanned(0, way).max() > 0.1, way
    for g, group in enumerate(SITE.groups):
        running = found.of(0, f"n.{g}")
        extra = sum(found.of(0, f"seg.{g}.{k}") for k in range(len(group.speed) - 1))
        speed = group.speed[0] + extra / np.maximum(running, 1.0)
        assert np.all(speed[(running > 1.0) & ~x.slow] > 1.0 - 1e-6), "slow only where allowed"
    assert x.slow.any()
    assert max(found.of(0, f"backlog.{g}").max() for g in range(len(SITE.groups))) > 1.0
