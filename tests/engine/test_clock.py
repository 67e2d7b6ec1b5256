"""The clock: simulated time jumps, wall time sleeps, the loop sees both the same way."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

import gigafactory
from gigafactory.engine import clock
from gigafactory.engine.clock import SimClock, Stopwatch, Tick, WallClock, ticks
from gigafactory.units import NS_PER_S


def test_simulated_time_jumps_over_uneven_edges() -> None:
    quarter = 900 * NS_PER_S
    edges = [0, quarter, 2 * quarter, 6 * quarter]
    sim = SimClock(0)
    start = Stopwatch()
    seen = [(tick, sim.now_ns()) for tick in ticks(sim, edges)]
    assert start.elapsed_s() < 1
    assert [tick for tick, _ in seen] == [Tick(i, edges[i], edges[i + 1], 0, 0) for i in range(3)]
    assert [now for _, now in seen] == edges[:3]


def test_simulated_time_never_runs_backwards() -> None:
    sim = SimClock(100)
    assert sim.wait_until(50) == 100
    assert sim.now_ns() == 100


@pytest.mark.parametrize("edges", [[0, 10, 10], [0, 10, 5]])
def test_edges_that_do_not_rise_are_refused(edges: list[int]) -> None:
    with pytest.raises(ValueError, match="period 1"):
        list(ticks(SimClock(0), edges))


def test_no_edges_no_ticks() -> None:
    assert list(ticks(SimClock(0), [])) == list(ticks(SimClock(0), [7])) == []


def test_periods_that_went_by_are_counted_not_caught_up() -> None:
    sim = SimClock(0)
    turn = ticks(sim, range(0, 70, 10))
    assert next(turn) == Tick(0, 0, 10, 0, 0)
    sim.wait_until(34)  # a slow decision
    assert next(turn) == Tick(3, 30, 40, 4, 2)
    assert next(turn) == Tick(4, 40, 50, 0, 0)


def test_wall_time_sleeps_until_the_edge() -> None:
    wall = WallClock()
    now = wall.now_ns()
    assert abs(now - time.time_ns()) < 5 * NS_PER_S
    edges = [now + k * 50_000_000 for k in range(1, 4)]
    watch = Stopwatch()
    seen = list(ticks(wall, edges))
    assert [tick.start_ns for tick in seen] == edges[:2]
    assert all(tick.late_ns >= 0 for tick in seen)
    assert 0.05 < watch.elapsed_s() < 5


def test_wall_time_holds_still_while_the_system_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = iter([1_000, 400, 999, 1_001])
    monkeypatch.setattr(clock.time, "time_ns", lambda: next(given))
    wall = WallClock()
    assert [wall.now_ns() for _ in range(4)] == [1_000, 1_000, 1_000, 1_001]


def test_only_the_clock_reads_the_clock() -> None:
    """Every ambient reading stands in engine/clock.py and says so, or says why it is no datum."""
    reading = re.compile(
        r"\btime\.(time|monotonic|perf_counter|process_time|sleep)(_ns)?\(|\b(datetime|date)\.(now|utcnow|today)\("
    )
    root = Path(gigafactory.__file__).parent
    found = [
        (path.relative_to(root).as_posix(), line.strip())
        for path in sorted(root.rglob("*.py"))
        for line in path.read_text().splitlines()
        if reading.search(line) and "``" not in line
    ]
    assert found
    bad = [
        (path, line)
        for path, line in found
        if "# clock-ok" not in line or (path != "engine/clock.py" and "# clock-ok: " not in line)
    ]
    assert not bad, bad
