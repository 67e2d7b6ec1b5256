"""What separates the kernel from a peer's figures, shown with a naive simulation of its rules."""

from __future__ import annotations

import heapq
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cases import peers

pytestmark = pytest.mark.data


@pytest.fixture
def jobs(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> peers.Philly:
    monkeypatch.setenv("GIGAFACTORY_DATA", str(data_dir))
    return peers.helios_jobs()


def first_come(
    nodes: int, submit: list[int], run: list[int], gangs: list[int], *, lowest: bool
) -> list[int]:
    """Starts of strict first come, first served, second by second.

    Args:
        lowest: among equally full nodes take the lowest number; else the one that changed last.
    """
    free, changed, changes = [8] * nodes, [0] * nodes, 0
    starts, ends, queue = [-1] * len(submit), [], deque[int]()
    after = 0
    while after < len(submit) or queue or ends:
        t = min(
            submit[after] if after < len(submit) else 2**60,
            ends[0][0] if ends else 2**60,
        )
        while ends and ends[0][0] == t:
            for n, part in heapq.heappop(ends)[2]:
                changes += 1
                free[n], changed[n] = free[n] + part, changes
        while after < len(submit) and submit[after] == t:
            queue.append(after)
            after += 1
        while queue:
            gang = gangs[queue[0]]
            if gang < 8:
                room = [n for n in range(nodes) if free[n] >= gang]
                room.sort(key=lambda n: (free[n], n if lowest else -changed[n]))
                place = [(n, gang) for n in room[:1]]
            else:
                whole = [n for n in range(nodes) if free[n] == 8]
                need = -(-gang // 8)
                place = [(n, 8) for n in whole[:need]] if len(whole) >= need else []
            if not place:
                break
            j = queue.popleft()
            starts[j] = t
            for n, part in place:
                changes += 1
                free[n], changed[n] = free[n] - part, changes
            heapq.heappush(ends, (t + run[j], j, place))
    return starts


def in_cluster(
    jobs: peers.Philly, name: str, *, lowest: bool
) -> tuple[list[int], np.ndarray, np.ndarray]:
    mine = jobs.where(jobs.cluster == name)
    run = peers.whole_seconds(mine)
    starts = first_come(
        peers.CLUSTERS[name],
        mine.submit_s.tolist(),
        run.tolist(),
        mine.accelerators.tolist(),
        lowest=lowest,
    )
    return starts, mine.submit_s, run


@pytest.mark.parametrize("name", ["11cb48", "2869ce", "103959", "ed69ec"])
def test_kernel_starts_as_a_naive_queue_does(jobs: peers.Philly, name: str) -> None:
    starts, submit, _ = in_cluster(jobs, name, lowest=False)
    same, begun, _ = peers.strict(name, jobs)
    assert np.array_equal(same, submit)
    assert np.array_equal(begun, starts)


@pytest.mark.slow
def test_two_unstated_rules_explain_the_last_half_second(jobs: peers.Philly) -> None:
    """Lowest node first, and jobs of one second in reverse: Helios's figures to the last digit."""
    order = np.lexsort((-np.arange(len(jobs.submit_s)), jobs.submit_s))
    reverse = jobs.where(order)
    wait, turn = [], []
    for name in peers.CLUSTERS:
        starts, submit, run = in_cluster(reverse, name, lowest=True)
        wait.append(np.array(starts) - submit)
        turn.append(np.array(starts) + run - submit)
    assert np.concatenate(wait).mean() == pytest.approx(104.9, abs=0.05)
    assert np.concatenate(turn).mean() == pytest.approx(11_585.6, abs=0.05)
