"""Products of a factory: counted by hand on a small one, and kept promises on the bundled one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gigafactory.factory import load_factory
from gigafactory.factory.models import Factory
from gigafactory.planner.event import EventJob
from gigafactory.plant import Chip, load_catalogue
from gigafactory.runtime.demonstration import (
    GANGS,
    REALTIME,
    FactoryLoad,
    Prices,
    factory_load,
    product,
    products,
)

CATALOGUE: dict[str, Chip] = dict(load_catalogue())


@pytest.fixture(scope="module")
def rotterdam() -> Factory:
    return load_factory("rotterdam")


def small() -> FactoryLoad:
    """10 gangs of 100 kW that give half of their power for a quarter of their work; 200 kW rest."""
    job = EventJob(
        "pool research", 100, (500.0, 1000.0), (0.75, 1.0), 0.4, 1.0, gangs=10, idle_w=100.0,
        may_pause=True, restart_min=2.0,
    )  # fmt: skip
    service = EventJob(f"pool {REALTIME}", 10, (999.0, 1000.0), (0.999, 1.0), 0.0, 1.0)
    prices = (Prices(2.0, 0.5), Prices(9.0, 9.0))
    return FactoryLoad((job, service), prices, 200.0, (60.0, math.inf), 24_000.0)


def test_a_product_is_counted_by_hand() -> None:
    load = small()
    assert load.full_kw == pytest.approx(1210.0)
    got, plan = product(load, "x", 0.2, 60, 2, "caps")
    assert not plan.conflict
    # 242 kW less for an hour, and on the ramps of 121 kW a minute half of it for a minute each;
    # half of a gang's power is a quarter of its work
    assert got.magnitude_mw == pytest.approx(0.242)
    assert got.magnitude_share == pytest.approx(0.2)
    shed_mwh = 0.242 + 2 * 0.121 / 60
    lost = shed_mwh * 1000.0 / 500.0 * 0.25 * 1000.0
    assert got.shed_mwh == pytest.approx(shed_mwh)
    assert got.lost_gpu_h == pytest.approx(lost)
    assert got.lost_eur_per_mwh == pytest.approx(lost * 2.0 / shed_mwh)
    assert got.delayed_eur_per_mwh == pytest.approx(lost * 0.5 / shed_mwh)
    assert got.realtime_share == pytest.approx(1.0)
    assert got.broken == 0
    assert got.frequency_per_day == pytest.approx(1440 / 64), "the day, not the idle hours, limits"


def test_only_gangs_at_a_checkpoint_pause_at_short_notice() -> None:
    load = small()
    load = replace(load, jobs=(replace(load.jobs[0], tolerance=0.5), load.jobs[1]))
    _, long = product(load, "x", None, 180, 20, "pausing")
    # five minutes of sixty: not one gang of ten comes to its checkpoint
    short, plan = product(load, "x", None, 180, 5, "pausing", at_checkpoints=True)
    assert long.paused.max() == 3, "0.7 x 0.75 less two restarts of 2 in 180 min is above a half"
    assert plan.paused.max() == 0
    assert short.broken == 0


def test_a_factory_is_all_its_accelerators(rotterdam: Factory) -> None:
    for at_peak in (False, True):
        load = factory_load(rotterdam, CATALOGUE, at_peak)
        working = sum(job.gangs * job.accelerators for job in load.jobs)
        idle = load.idle_gpu_h_per_day / 24.0
        assert working + idle == pytest.approx(100_000)
        services = sum(s.accelerators_peak * (1.0 if at_peak else s.mean_fraction)
                       for t in rotterdam.tenants for s in t.services)  # fmt: skip
        kept = [job for job in load.jobs if job.name.endswith(REALTIME)]
        held = sum(job.gangs * job.accelerators for job in kept)
        assert abs(held - services) <= len(kept) * GANGS[REALTIME]
        assert all(job.tolerance == 0.0 and not job.may_pause for job in kept)


def test_a_quarter_for_three_hours_and_how_far_it_goes(rotterdam: Factory) -> None:
    found = products(factory_load(rotterdam, CATALOGUE))
    assert [p.broken for p in found] == [0] * len(found)
    assert min(p.realtime_share for p in found) >= 1.0 - 1e-6
    for asked in found[:3]:
        assert asked.magnitude_share == pytest.approx(0.25)
        assert asked.duration_min == 180
    caps, pausing, resizing, short, paused = (p.magnitude_mw for p in found[3:])
    assert caps < pausing < resizing
    assert short == pytest.approx(caps)
    assert short < paused < pausing
    assert all(p.delayed_eur_per_mwh < p.lost_eur_per_mwh for p in found)


def test_work_that_was_promised_no_speed_goes_further(rotterdam: Factory) -> None:
    plain = factory_load(rotterdam, CATALOGUE)
    patient = factory_load(rotterdam, CATALOGUE, patient=("research",))
    less, more = (product(l_, "x", None, 180, 20, "pausing")[0] for l_ in (plain, patient))
    assert more.magnitude_mw > less.magnitude_mw + 2.0
    assert more.broken == 0
