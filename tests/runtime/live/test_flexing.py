"""What is published for the gateway: a plan that an order does not move, and what can be given."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.uftp.published import KIND, grant_of
from gigafactory.adapters.uftp.terms import Grant
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.flexing import Flexibility
from gigafactory.runtime.live.isps import IspEnergy
from gigafactory.units import NS_PER_H, NS_PER_MIN, NS_PER_S
from tests.runtime.live.bench import NOON, SITE, Bench

ZONE = "Europe/Amsterdam"
ISP_NS = 15 * NS_PER_MIN


class Given(Bench):
    """A loop that publishes what it can give."""

    def _open(self) -> Any:
        controller = super()._open()
        told = Flexibility(self.parts.intake, ZONE, self.parts.response)
        self.parts = controller.parts = replace(self.parts, flexibility=told)
        return controller

    def grant(self) -> Grant:
        found, why = grant_of(self.store.published(KIND), SITE, self.clock.now_ns(), 60 * NS_PER_S)
        assert not why
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Given]:
    made = Given(tmp_path)
    yield made
    made.close()


def test_the_plan_is_what_is_imported_and_the_rest_is_headroom(bench: Given) -> None:
    for i in range(6):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(40)
    grant = bench.grant()
    here = bench.twin.power_w("pool00") * 1.1
    start = NOON + ISP_NS
    assert grant.baseline_w[start] == pytest.approx(here, rel=1e-3)
    assert len(grant.baseline_w) == 3 * 96
    assert grant.headroom_w(start) == 0, "all of it is sold as reserve"
    point = bench.parts.desk.points[SITE]
    bench.parts.desk.points[SITE] = replace(point, up_mw=0.0)
    bench.turn(12)
    grant = bench.grant()
    above_w = 6 * 8 * (int(bench.plan.power_mw[1].max()) - bench.plan.idle_power_mw) / 1000
    idle_w = 8 * 8 * bench.plan.idle_power_mw / 1000 * 1.1
    assert 0.5 * above_w < grant.headroom_w(start) <= bench.twin.power_w("pool00") * 1.1 - idle_w
    assert grant.least_w[start] >= idle_w, "no more than pausing all of our work gives"


def test_an_order_does_not_move_the_plan_it_is_counted_from(bench: Given) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(40)
    free = NOON + 4 * ISP_NS
    before = bench.grant().baseline_w[free]
    bench.limit("cut", 0.6, lasts_s=1500.0)
    bench.turn(60)
    assert bench.it_share <= 0.6
    grant = bench.grant()
    assert grant.baseline_w[free] == pytest.approx(before, rel=0.01), "paused work counts on"
    assert grant.baseline_w[NOON + ISP_NS] <= 0.6 * bench.full_mw * 1.1 * 1e6 + 1, (
        "and the limit holds"
    )


def test_work_that_waits_counts_as_far_as_nodes_are_free(bench: Given) -> None:
    bench.turn(20)
    idle = bench.grant().baseline_w[NOON + ISP_NS]
    for i in range(20):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(40)
    full = bench.grant().baseline_w[NOON + ISP_NS]
    here = bench.twin.power_w("pool00") * 1.1
    assert full == pytest.approx(here, rel=0.01), "eight nodes that run, not twenty jobs"
    assert idle < full / 2


def imported(bench: Bench) -> list[tuple[int, int, int]]:
    column = live.SITE_COLUMNS.index("import_uwh")
    return [
        (f.from_ns, f.to_ns, int(f.sites[0, column]))
        for _, _, f in bench.frames()
        if isinstance(f, live.Metered)
    ]


def test_what_was_metered_is_told_per_whole_isp_also_over_a_restart(bench: Given) -> None:
    for i in range(4):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(16 * 60)
    first = bench.grant().metered_w
    assert list(first) == [NOON]
    bench.parts.book.sync()
    bench.restart()
    bench.turn(16 * 60)
    metered = bench.grant().metered_w
    assert list(metered) == [NOON, NOON + ISP_NS]
    assert metered[NOON] == pytest.approx(first[NOON], abs=2)
    rows = [(a, b, e) for a, b, e in imported(bench) if a >= NOON and b <= NOON + ISP_NS]
    mean_w = sum(e for _, _, e in rows) * 4 / 1e6
    assert metered[NOON] == pytest.approx(mean_w, abs=2)


@given(
    cuts=st.lists(st.integers(0, 3 * 3600), min_size=1, max_size=20, unique=True),
    power=st.integers(0, 10**8),
)
def test_energy_per_isp_adds_up_whatever_the_intervals(cuts: list[int], power: int) -> None:
    edges = sorted({0, 3 * 3600, *cuts})
    energy = IspEnergy()
    for a, b in itertools.pairwise(edges):
        uwh = power * (b - a) * 1_000_000 // 3600
        energy.add("s", NOON + a * NS_PER_S, NOON + b * NS_PER_S, uwh)
    begin, found = energy.whole("s", ISP_NS)
    assert (begin, len(found)) == (NOON, 12)
    assert all(abs(mean - power) <= 1 for mean in found)


def test_a_hole_is_not_told_as_metered() -> None:
    energy = IspEnergy()
    energy.add("s", NOON, NOON + NS_PER_H, 10**9)
    energy.add("s", NOON + NS_PER_H + NS_PER_S, NOON + 2 * NS_PER_H, 10**9)
    begin, found = energy.whole("s", ISP_NS)
    assert (begin, len(found)) == (NOON + NS_PER_H + ISP_NS, 3)
    assert energy.whole("other", ISP_NS) == (0, [])
