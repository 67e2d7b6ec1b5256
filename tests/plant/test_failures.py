"""Failures: rates as published, draws with their statistics, nodes that alternate."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.engine.streams import stream
from gigafactory.plant import (
    Faults,
    Hazard,
    Hazards,
    checkpoint_interval_s,
    draw_faults,
    expected_ettr,
    hazards_for,
    load_catalogue,
    mtbf_h,
)
from gigafactory.plant.failures import BUNDLED
from gigafactory.plant.provenance import STATES

HOUR = 3_600_000_000_000
YEAR = 365 * 24 * HOUR
#: Accelerator-hours of the reference run: 16,384 accelerators for 54 days.
RUN_H = 16_384 * 54 * 24


def of(*components: Hazard) -> Hazards:
    return replace(hazards_for(), chip="test", components=components)


def draw(hazards: Hazards, **changes: object) -> Faults:
    given_values: dict[str, object] = {
        "nodes": 12_500,
        "node_size": 8,
        "rack_nodes": 4,
        "begin_ns": 0,
        "end_ns": YEAR,
        "seed": 0,
        "name": "pool",
        **changes,
    }
    return draw_faults(hazards=hazards, **given_values)  # type: ignore[arg-type]


def test_the_rates_are_those_of_the_published_table_by_hand() -> None:
    rates = {h.name: h.rate_per_accelerator_h for h in hazards_for().components}
    assert rates["gpu"] == pytest.approx((148 + 17 + 6) / 21_233_664)
    assert rates["gpu_memory"] == pytest.approx((72 + 19) / 21_233_664)
    assert rates["network"] == pytest.approx(35 / 21_233_664)
    assert rates["host"] == pytest.approx((3 + 2 + 2 + 2 + 2) / 21_233_664)
    assert rates["software"] == pytest.approx((54 + 7 + 2) / 21_233_664)
    events = {name: rate * RUN_H for name, rate in rates.items()}
    assert sum(events.values()) == pytest.approx(419)
    of_the_gpu = events["gpu"] + events["gpu_memory"] + events["data_corruption"]
    assert of_the_gpu / 419 == pytest.approx(0.640, abs=0.001)
    assert 1 / hazards_for().rate_per_accelerator_h == pytest.approx(50_677, abs=1)


def test_a_factory_of_100_000_is_interrupted_about_twice_an_hour() -> None:
    assert 1 / mtbf_h(100_000) == pytest.approx(1.97, abs=0.01)
    faults = draw(hazards_for())
    # what hits a node that is down falls away: a few in a thousand
    assert faults.interruptions / 8760 == pytest.approx(1.97, abs=4 * math.sqrt(1.97 / 8760))
    assert 0.002 < faults.down_node_h(YEAR) / (12_500 * 8760) < 0.006


def test_a_year_of_12_500_nodes_is_drawn_in_under_a_second() -> None:
    begun = time.perf_counter()
    draw(hazards_for())
    assert time.perf_counter() - begun < 1.0


def test_every_component_fails_as_often_as_its_rate_says() -> None:
    hazards = hazards_for()
    faults = draw(hazards)
    hours = 100_000 * 8760
    for index, hazard in enumerate(hazards.components):
        seen = len(np.unique(faults.event[faults.component == index]))
        expected = hazard.rate_per_accelerator_h * hours
        assert abs(seen - expected) < 4 * math.sqrt(expected) + 0.01 * expected


def test_interruptions_are_a_poisson_process() -> None:
    faults = draw(of(Hazard("gpu", 2e-5, 60.0)))
    at = faults.t_ns[faults.change > 0]
    six_hours = np.bincount(at // (6 * HOUR), minlength=1460)
    fano = six_hours.var() / six_hours.mean()
    assert fano == pytest.approx(1.0, abs=4 * math.sqrt(2 / 1460))
    gaps = np.diff(np.unique(at)) / HOUR
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.05)
    per_node = np.bincount(faults.node[faults.change > 0], minlength=12_500)
    assert per_node.var() / per_node.mean() == pytest.approx(1.0, abs=4 * math.sqrt(2 / 12_500))


def test_bursts_make_failures_come_together() -> None:
    hazard = Hazard("switch", 2e-6, 60.0, burst_share=0.3, burst_nodes_mean=4.0)
    faults = draw(of(hazard), nodes=12_480, rack_nodes=48)
    failed = faults.change > 0
    sizes = np.bincount(faults.event[failed])
    sizes = sizes[sizes > 0]
    assert np.mean(sizes > 1) == pytest.approx(0.3, abs=0.05)
    assert sizes[sizes > 1].mean() == pytest.approx(4.0, abs=0.5)
    for event in np.unique(faults.event)[:200]:
        mine = failed & (faults.event == event)
        assert len(np.unique(faults.t_ns[mine])) == 1
        assert len(np.unique(faults.node[mine] // 48)) == 1
        assert len(np.unique(faults.node[mine])) == mine.sum()
    hourly = np.bincount(faults.t_ns[failed] // HOUR, minlength=8760)
    # sizes are 1 (0.7) or 1 + geometric of mean 3 (0.3): E[s^2] / E[s] = (0.7 + 0.3 x 22) / 1.9
    assert hourly.var() / hourly.mean() == pytest.approx(7.3 / 1.9, rel=0.2)


def test_a_burst_takes_no_more_than_its_rack_and_spares_no_node() -> None:
    hazard = Hazard("shelf", 1e-3, 60.0, burst_share=1.0, burst_nodes_mean=9.0)
    faults = draw(of(hazard), nodes=10, rack_nodes=4, node_size=1, end_ns=YEAR)
    failed = faults.change > 0
    sizes = np.bincount(faults.event[failed])
    assert sizes.max() <= 4
    per_node = np.bincount(faults.node[failed], minlength=10)
    full, short = per_node[:8], per_node[8:]  # the last rack has two nodes
    assert full.min() > 0.7 * full.max()
    assert short.min() > 0.7 * short.max()


@pytest.mark.slow
def test_repairs_are_lognormal() -> None:
    hazard = Hazard("gpu", 2e-5, 3600.0, repair_spread_factor=3.0)
    faults = draw(of(hazard), end_ns=20 * YEAR, rack_nodes=1)
    away: dict[int, int] = {}
    repairs = []
    for t, event, change in zip(faults.t_ns, faults.event, faults.change, strict=True):
        if change > 0:
            away[event] = t
        else:
            repairs.append((t - away[event]) / 1e9)
    logs = np.log(np.array(repairs) / 3600.0) / math.log(3.0)
    assert logs.mean() == pytest.approx(0.0, abs=0.02)
    assert logs.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(repairs) == pytest.approx(hazard.repair_mean_s, rel=0.05)


hazards_given = st.builds(
    Hazard,
    name=st.sampled_from(["gpu", "network"]),
    rate_per_accelerator_h=st.floats(0.0, 0.05),
    repair_median_s=st.floats(1.0, 1e6),
    repair_spread_factor=st.floats(1.0, 5.0),
    burst_share=st.floats(0.0, 1.0),
    burst_nodes_mean=st.floats(2.0, 9.0),
)


@settings(max_examples=60)
@given(
    st.lists(hazards_given, min_size=1, max_size=2, unique_by=lambda h: h.name),
    st.integers(1, 30),
    st.integers(1, 8),
    st.integers(1, 12),
    st.integers(0, 300),
    st.integers(-2, 2),
)
def test_a_node_that_is_down_comes_back_before_it_fails_again(
    components: list[Hazard], nodes: int, node_size: int, rack: int, hours: int, seed: int
) -> None:
    begin = 1_767_225_600_000_000_000
    faults = draw(
        of(*components), nodes=nodes, node_size=node_size, rack_nodes=rack,
        begin_ns=begin, end_ns=begin + hours * HOUR, seed=seed,
    )  # fmt: skip
    assert np.all(np.diff(faults.t_ns) >= 0)
    assert np.all((faults.t_ns >= begin) & (faults.t_ns < begin + hours * HOUR))
    assert np.all((faults.node >= 0) & (faults.node < nodes))
    assert [c.dtype for c in (faults.t_ns, faults.node, faults.change, faults.component)] == [
        np.int64, np.int32, np.int8, np.int8,
    ]  # fmt: skip
    for node in range(nodes):
        changes = faults.change[faults.node == node]
        assert np.array_equal(changes, np.resize([1, -1], len(changes)))
        assert np.all(np.diff(faults.t_ns[faults.node == node]) > 0)
    down = faults.down_node_h(begin + hours * HOUR)
    assert -1e-6 <= down <= nodes * hours + 1e-6


def test_the_rate_counts_the_time_nodes_are_up() -> None:
    # up 1 / rate = 100 h, down 50 h on average: 1 failure in 150 h, a third of the time down
    hazard = Hazard("gpu", 0.01, 50 * 3600.0)
    faults = draw(of(hazard), nodes=400, node_size=1, rack_nodes=1)
    per_node_h = (faults.change > 0).sum() / (400 * 8760)
    assert per_node_h == pytest.approx(1 / 150, rel=0.03)
    assert faults.down_node_h(YEAR) / (400 * 8760) == pytest.approx(1 / 3, rel=0.03)


def same(one: Faults, other: Faults) -> bool:
    columns = ("t_ns", "node", "change", "component", "event")
    return all(np.array_equal(getattr(one, c), getattr(other, c)) for c in columns)


def test_seed_and_name_alone_decide() -> None:
    hazards = hazards_for()
    assert same(draw(hazards), draw(hazards))
    assert not same(draw(hazards), draw(hazards, seed=1))
    assert not same(draw(hazards), draw(hazards, name="other"))


def test_another_component_moves_nobody_elses_failures() -> None:
    gpu, nic = Hazard("gpu", 2e-5, 3600.0), Hazard("nic", 1e-5, 3600.0)
    alone = draw(of(nic))
    both = draw(of(gpu, nic))
    mine = both.t_ns[(both.component == 1) & (both.change > 0)]
    alone_at = alone.t_ns[alone.change > 0]
    # all are there but those that hit a node the other component had taken down
    assert np.isin(mine, alone_at).all()
    assert len(mine) > 0.99 * len(alone_at)


def test_figures_say_where_they_come_from() -> None:
    for chip in ("H100", "A100"):
        assert hazards_for(chip).source.state == "published"
    for chip in load_catalogue():
        hazards = hazards_for(chip)
        assert hazards.source.state in STATES
        assert hazards.repair_source.state == hazards.burst_source.state == "assumption"
    assert hazards_for("B200").source.state == "assumption"
    assert hazards_for().chip == "H100"
    raw = yaml.safe_load(BUNDLED.read_text("utf-8"))
    for row in raw["components"].values():
        # the parts named in words add up to the number that is used
        counts = [int(word) for word in row["holds"].split(";")[0].replace(",", " ").split()
                  if word.isdigit()]  # fmt: skip
        assert sum(counts) == row["events"]


def test_metas_research_clusters() -> None:
    a100 = hazards_for("A100")
    assert a100.rate_per_accelerator_h == pytest.approx(6.5 / (1000 * 24 * 8))
    known = yaml.safe_load(BUNDLED.read_text("utf-8"))["compared"]
    large, small = known["rsc_mttf_16384"], known["rsc_mttf_1024"]
    assert mtbf_h(large["accelerators"], a100) == pytest.approx(large["hours"], rel=0.01)
    assert known["kalos_xid"]["hours"] == pytest.approx(882_506 / 852, abs=0.1)
    # The known misfit: small jobs are interrupted by more than broken nodes.
    assert mtbf_h(small["accelerators"], a100) / small["hours"] == pytest.approx(3.65, abs=0.05)


def test_more_of_the_same() -> None:
    twice = hazards_for().times(2.0)
    assert mtbf_h(1000, twice) == pytest.approx(mtbf_h(1000) / 2)
    assert [h.name for h in twice.components] == [h.name for h in hazards_for().components]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate_per_accelerator_h", -1.0),
        ("rate_per_accelerator_h", float("nan")),
        ("repair_median_s", 0.0),
        ("repair_spread_factor", 0.5),
        ("burst_share", 1.5),
        ("burst_nodes_mean", 1.0),
    ],
)
def test_a_hazard_out_of_bounds_is_told(field: str, value: float) -> None:
    hazard = replace(Hazard("gpu", 1e-5, 60.0), **{field: value})
    with pytest.raises(BadInput) as told:
        draw(of(hazard))
    assert [p.field for p in told.value.problems] == [f"gpu.{field}"]


@pytest.mark.parametrize(
    ("cost_s", "mtbf_s"), [(10.0, 36_000.0), (60.0, 7_200.0), (300.0, 3_600.0)]
)
def test_the_checkpoint_interval_is_the_best_one(cost_s: float, mtbf_s: float) -> None:
    def time_per_work(interval_s: float) -> float:
        # Daly's exact expectation for exponential failures without restart time
        return mtbf_s * math.expm1((interval_s + cost_s) / mtbf_s) / interval_s

    tried = np.geomspace(1.0, 10 * mtbf_s, 20_000)
    best = tried[np.argmin([time_per_work(t) for t in tried])]
    interval = checkpoint_interval_s(cost_s, mtbf_s)
    assert interval == pytest.approx(best, rel=0.01)
    assert time_per_work(interval) == pytest.approx(time_per_work(best), rel=1e-4)


def test_a_cheap_checkpoint_is_youngs() -> None:
    assert checkpoint_interval_s(1.0, 1e6) == pytest.approx(math.sqrt(2e6), rel=0.001)
    assert checkpoint_interval_s(0.0, 3600.0) == 0.0
    assert checkpoint_interval_s(7200.0, 3600.0) == 3600.0


def test_ettr_says_what_meta_says() -> None:
    # All of RSC-1 in one job: 0.7 at an hour, 0.93 at five minutes; restart 5 minutes, saving free.
    mtbf_s = mtbf_h(16_384, hazards_for("A100")) * 3600
    hourly = expected_ettr(mtbf_s=mtbf_s, interval_s=3600.0, cost_s=0.0, restart_s=300.0)
    often = expected_ettr(mtbf_s=mtbf_s, interval_s=300.0, cost_s=0.0, restart_s=300.0)
    assert hourly == pytest.approx(0.7, abs=0.03)
    assert often == pytest.approx(0.93, abs=0.005)


def test_ettr_of_llama_3_is_over_nine_tenths() -> None:
    mtbf_s = mtbf_h(16_384) * 3600
    interval_s = checkpoint_interval_s(10.0, mtbf_s)
    assert expected_ettr(mtbf_s=mtbf_s, interval_s=interval_s, cost_s=10.0, restart_s=600.0) > 0.9


@pytest.mark.parametrize("queue_s", [0.0, 900.0])
def test_ettr_against_a_job_followed_by_hand(queue_s: float) -> None:
    mtbf_s, interval_s, cost_s, restart_s = 20_000.0, 900.0, 30.0, 300.0
    random = stream(5, "ettr")
    useful = wall = 0.0
    for runs in random.exponential(mtbf_s, 20_000).tolist():
        # it restarts, then works and saves in turn, until it fails: what was not saved is lost
        worked = max(runs - restart_s, 0.0)
        useful += worked // (interval_s + cost_s) * interval_s
        wall += runs + queue_s
    expected = expected_ettr(
        mtbf_s=mtbf_s, interval_s=interval_s, cost_s=cost_s, restart_s=restart_s, queue_s=queue_s
    )
    assert useful / wall == pytest.approx(expected, abs=0.005)


def test_ettr_stays_a_share() -> None:
    assert expected_ettr(mtbf_s=60.0, interval_s=600.0, cost_s=0.0, restart_s=600.0) == 0.0
    assert expected_ettr(mtbf_s=1e12, interval_s=600.0, cost_s=0.0, restart_s=0.0) <= 1.0
