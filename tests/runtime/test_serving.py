"""Requests of real-time services: by the replicas that ran, none lost, none answered twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.runtime.serving import ready_over
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite

S = 10**9
SERVICE = """
name: chat
accelerators_peak: 32
replica_accelerators: 4
slots: 64
service_time: "10 s"
mean: "50 %"
latency: "500 ms"
headroom: "10 %"
sources: {"*": "Made up, 2026, assumption"}
"""


def run(place: Path, firm: float = 1.3, **service: Any) -> dict[str, Any]:
    """Two days of a factory that runs one service and nothing else."""
    factory = SmallFactory((SmallSite((SmallPool("H100", 8),), firm),)).settings()
    for tenant in factory["tenants"]:
        tenant["work"] = []
    factory["tenants"][0]["services"] = [yaml.safe_load(SERVICE) | service]
    place.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(factory, sort_keys=False, allow_unicode=True)
    (place / "factory.yaml").write_text(text, "utf-8")
    options = RunOptions(str(place / "factory.yaml"), start=FIRST_DAY.isoformat(), days=2)
    (row,) = start_run(options, out=place / "run").summary["services"]
    return dict(row)


def test_a_service_with_room_answers_nearly_all_in_time(tmp_path: Path) -> None:
    row = run(tmp_path)
    assert row["requests"] > 1_000_000
    parts = ("in_time", "late", "refused", "waiting_at_end")
    assert sum(row[part] for part in parts) == row["requests"]
    assert all(row[part] >= 0 for part in parts)
    assert row["in_time_share"] > 0.97
    assert 0 < row["replicas_mean"] < row["replicas_peak"] == 8


@pytest.mark.slow
def test_too_little_power_answers_fewer_in_time(tmp_path: Path) -> None:
    enough = run(tmp_path / "a")
    tight = run(tmp_path / "b", firm=0.25, degradation="shed")
    assert tight["requests"] == enough["requests"], "what is asked does not depend on the power"
    assert tight["replicas_mean"] < enough["replicas_mean"]
    assert tight["in_time_share"] < 0.9 * enough["in_time_share"]
    assert tight["refused"] > 0
    smaller = run(tmp_path / "c", firm=0.25, degradation="smaller_model")
    assert smaller["by_smaller_model"] > 0
    assert smaller["refused"] < tight["refused"]


def test_a_slow_start_answers_later(tmp_path: Path) -> None:
    quick, slow = run(tmp_path / "a"), run(tmp_path / "b", startup="40 min")
    # replicas are asked for earlier where they start slowly, and more of them stand idle
    assert slow["in_time_share"] <= quick["in_time_share"]


segments = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(1, 9_000)), min_size=0, max_size=12
)


@given(segments, st.integers(0, 2000))
def test_ready_replicas_are_the_time_they_ran_beyond_their_start(
    spans: list[tuple[int, int]], startup_s: int
) -> None:
    edges = np.arange(0, 25_200, 900, dtype=np.int64) * S
    rows = np.array([(b * S, (b + n) * S) for b, n in spans], np.int64).reshape(-1, 2)
    found = ready_over(rows, edges, float(startup_s))
    plain = np.zeros(len(edges) - 1)
    for begin, length in spans:
        for t in range(len(plain)):
            first = max(begin + startup_s, t * 900)
            last = min(begin + length, (t + 1) * 900)
            plain[t] += max(last - first, 0) / 900
    assert np.allclose(found, plain, atol=1e-6)
