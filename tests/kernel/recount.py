"""Every derived array of a pool, computed again from its jobs alone and compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from gigafactory.kernel import FULL_SPEED, Pool
from gigafactory.kernel.state import (
    BIG_BLOCK,
    BLOCK,
    BUCKET_NS,
    FULL_RATE,
    NEVER,
    NOW,
    SOON,
    USED,
    WORD,
    JobState,
)

HOLDING = (JobState.RUNNING, JobState.PAUSED, JobState.STOPPING)
ACTIVE = (JobState.RUNNING, JobState.STOPPING)


def jobs_in(pool: Pool, *states: JobState) -> list[int]:
    return np.flatnonzero(np.isin(pool.state.job["state"], states)).tolist()


def instant_of(group: Any, virtual: int) -> int:
    if group["speed"] == 0:
        return NEVER
    turn = (virtual - int(group["clock"])) * FULL_SPEED - int(group["clock_rest"])
    if turn <= 0:
        return int(group["t"])
    return int(group["t"]) - (-turn // int(group["speed"]))


def held(pool: Pool, j: int) -> int:
    job = pool.state.job[j]
    return int(job["nodes"]) * pool.spec.node_size or int(job["width"])


def recount(pool: Pool) -> None:
    s, v = pool.state, pool.state.v[0]
    alive = jobs_in(pool, *HOLDING)
    recount_nodes(pool, alive)
    recount_racks(pool)
    draw = int(v["in_service"]) * pool.spec.node_size * pool.spec.idle_power_mw
    for g in range(8):
        mine = [j for j in jobs_in(pool, *ACTIVE) if s.ask[j]["group"] == g]
        active = sum(int(s.job[j]["width"]) for j in mine)
        assert s.group[g]["running"] == active
        slow = sum(int(s.job[j]["width"]) * (FULL_RATE - int(s.job[j]["rate"])) for j in mine)
        assert s.group[g]["slow"] == slow
        draw += active * (int(s.group[g]["power"]) - pool.spec.idle_power_mw)
        halted = [j for j in jobs_in(pool, JobState.PAUSED) if s.ask[j]["group"] == g]
        assert s.group[g]["paused"] == sum(int(s.job[j]["width"]) for j in halted)
        recount_heap(pool, g, mine)
    assert v["draw"] == draw
    recount_buckets(pool, alive)
    recount_queues(pool)
    recount_running(pool)
    recount_quotas(pool, alive)
    recount_notices(pool)
    stack = follow(pool, int(v["paused_top"]))
    assert sorted(stack) == jobs_in(pool, JobState.PAUSED)
    assert v["paused_jobs"] == len(stack)
    narrow = [j for j in alive if s.ask[j]["least"] <= s.job[j]["nodes"] < s.ask[j]["nodes"]]
    assert v["narrow"] == len(narrow)


def follow(pool: Pool, j: int) -> list[int]:
    line = []
    while j >= 0:
        line.append(j)
        j = int(pool.state.ask[j]["next"])
    return line


def recount_nodes(pool: Pool, alive: list[int]) -> None:
    s, v = pool.state, pool.state.v[0]
    size = pool.spec.node_size
    free = [-1 if s.node[n]["free"] < 0 else size for n in range(pool.spec.nodes)]
    owner = [-1] * pool.spec.nodes
    slots: dict[int, list[int]] = {}
    for j in alive:
        nodes, width = int(s.job[j]["nodes"]), int(s.job[j]["width"])
        n = int(s.job[j]["node"])
        if nodes == 0:
            assert free[n] >= width, "a shared node is given twice"
            free[n] -= width
            slots.setdefault(n, []).append(j)
            continue
        chain = []
        while n >= 0:
            chain.append(n)
            n = int(s.node[n]["chain"])
        assert len(chain) == nodes
        assert s.ask[j]["least"] <= nodes <= s.ask[j]["nodes"]
        for n in chain:
            assert free[n] == size, "a node is given twice"
            free[n] = 0
            owner[n] = j
        level = int(s.job[j]["level"])
        if level:
            wide = pool.spec.rack_nodes if level == 1 else pool.spec.pod_nodes
            assert len({n // wide for n in chain}) == 1, "a required level is not kept"
    assert v["held"] == sum(held(pool, j) for j in alive)
    assert s.node["free"].tolist() == free
    assert s.node["owner"].tolist() == owner
    assert v["in_service"] == sum(f >= 0 for f in free)
    assert v["down"] == int(s.node["down"].sum())
    assert not np.any((s.node["free"] >= 0) & (s.node["down"] == 1)), "a broken node works"
    for n in range(pool.spec.nodes):
        assert sorted(j for j in s.slots[n].tolist() if j >= 0) == sorted(slots.get(n, []))
    for k in range(size):
        listed, n, before = [], int(s.free[k]["head"]), -1
        while n >= 0:
            assert s.node[n]["prev"] == before
            listed.append(n)
            before, n = n, int(s.node[n]["next"])
        assert sorted(listed) == [n for n, f in enumerate(free) if f == k and owner[n] < 0]


def recount_racks(pool: Pool) -> None:
    s, v = pool.state, pool.state.v[0]
    size, rack_nodes = pool.spec.node_size, pool.spec.rack_nodes
    empty = (s.node["free"] == size).tolist()
    common = 0
    for r in range(len(s.rack)):
        mine = range(r * rack_nodes, min((r + 1) * rack_nodes, pool.spec.nodes))
        wanted = [n for n in mine if empty[n]]
        listed, n = [], int(s.rack[r]["head"])
        while n >= 0:
            listed.append(n)
            n = int(s.node[n]["next"])
        assert sorted(listed) == wanted
        assert s.rack[r]["free"] == len(wanted)
        common += 0 if s.rack[r]["aside"] else len(wanted)
        for k in range(1, rack_nodes + 1):
            marked = bool(s.racks[k, 1 + r // WORD] >> (r % WORD) & 1)
            assert marked == (len(wanted) == k and not s.rack[r]["aside"])
    assert s.free[size]["count"] == common
    for p in range(len(s.pod_free)):
        first, last = p * pool.spec.pod_nodes, (p + 1) * pool.spec.pod_nodes
        assert s.pod_free[p] == sum(empty[first:last])
    if v["aside_job"] < 0:
        assert not s.rack["aside"].any()


def recount_heap(pool: Pool, g: int, mine: list[int]) -> None:
    s = pool.state
    group = s.group[g]
    n = int(group["ends"])
    assert sorted(s.ends[g, :n]["job"].tolist()) == mine
    keys = [(int(e["key"]), int(e["job"])) for e in s.ends[g, :n]]
    for i in range(n):
        assert s.job[keys[i][1]]["place"] == i
        assert s.job[keys[i][1]]["v_end"] == keys[i][0]
        if i:
            assert keys[(i - 1) // 2] < keys[i], "the heap is out of order"
    assert group["next_end"] == (instant_of(group, keys[0][0]) if n else NEVER)


def recount_buckets(pool: Pool, alive: list[int]) -> None:
    s, v = pool.state, pool.state.v[0]
    minutes = int(v["blocks"])
    wanted = np.zeros((minutes, 9), np.int32)
    shared: dict[int, int] = {}
    for j in alive:
        job, ask = s.job[j], s.ask[j]
        bucket = minutes - 1
        if job["state"] != JobState.PAUSED:
            over = -(-(int(job["estimate"]) - int(job["need"])) * FULL_RATE // int(job["rate"]))
            at = min(instant_of(s.group[ask["group"]], int(job["v_end"]) + over), int(job["stop"]))
            if at < NEVER:
                bucket = min(-(-(at - int(v["origin"])) // BUCKET_NS), bucket)
        assert job["bucket"] == bucket, f"job {j} is expected at another minute"
        wanted[bucket, 1 + ask["group"]] += job["width"]
        if job["nodes"]:
            wanted[bucket, 0] += job["nodes"]
        else:
            shared[int(job["node"])] = max(shared.get(int(job["node"]), -1), bucket)
    for n, bucket in shared.items():
        assert s.node[n]["bucket"] == bucket
        wanted[bucket, 0] += 1
    assert np.array_equal(s.releases[:minutes], wanted)
    for first, width in ((v["blocks"], BLOCK), (v["big_blocks"], BIG_BLOCK)):
        folded = wanted.reshape(-1, width, 9).sum(axis=1)
        assert np.array_equal(s.releases[first : first + len(folded)], folded)


def recount_queues(pool: Pool) -> None:
    s, v = pool.state, pool.state.v[0]
    queued = jobs_in(pool, JobState.QUEUED)
    claiming = jobs_in(pool, JobState.CLAIMING)
    found = []
    for p in range(8):
        some = []
        for q in range(len(s.tenant)):
            for held in range(2):
                queue = s.queue[held, p, q]
                line = follow(pool, int(queue["head"]))
                assert queue["length"] == len(line)
                assert queue["tail"] == (line[-1] if line else -1)
                assert line == sorted(line, key=lambda j: (int(s.job[j]["submit"]), j))
                assert all(s.ask[j]["priority"] == p and s.ask[j]["tenant"] == q for j in line)
                assert all(
                    (s.ask[j]["rest"] < s.group[s.ask[j]["group"]]["held"]) == held for j in line
                )
                found += line
                if held == 0:
                    assert bool(s.tenant[q]["levels"] >> p & 1) == bool(line)
                    some += [q] if line else []
        n = int(s.active_count[p])
        active = s.queue[0, p, :n]["active"]
        assert sorted(active.tolist()) == some
        assert all(s.queue[0, p, q]["place"] == i for i, q in enumerate(active))
    assert sorted(found) == queued
    assert sorted(follow(pool, int(v["claim_head"]))) == claiming
    assert v["claims"] == len(claiming)
    assert v["queued"] == len(queued) + len(claiming)
    for g in range(8):
        mine = [j for j in queued + claiming if s.ask[j]["group"] == g]
        assert s.group[g]["asking"] == sum(int(s.ask[j]["accelerators"]) for j in mine)
        mine = [j for j in queued if s.ask[j]["group"] == g]
        kept = [j for j in mine if s.ask[j]["rest"] < s.group[g]["held"]]
        assert s.group[g]["kept"] == sum(int(s.ask[j]["accelerators"]) for j in kept)


def recount_running(pool: Pool) -> None:
    s = pool.state
    found = []
    for q in range(len(s.tenant)):
        for g in range(8):
            for kind in range(2):
                line = follow(pool, int(s.run[q, g, kind]["head"]))
                assert s.run[q, g, kind]["tail"] == (line[-1] if line else -1)
                assert [int(s.job[j]["start"]) for j in line] == sorted(
                    int(s.job[j]["start"]) for j in line
                )
                assert all((s.job[j]["nodes"] > 0) == kind for j in line)
                assert int(s.run[q, g, kind]["mature"]) in [-1, *line]
                found += line
    assert sorted(found) == jobs_in(pool, JobState.RUNNING)


def recount_quotas(pool: Pool, alive: list[int]) -> None:
    """Usage, now and soon, the tree's shares, and that no cap and no quota is broken."""
    s = pool.state
    nodes = len(s.quota)
    now, soon = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    asked = np.zeros(nodes, np.int64)

    def add(to: Any, j: int, amount: int) -> None:
        x = int(s.tenant[s.ask[j]["tenant"]]["leaf"])
        while x >= 0:
            to[x] += amount
            x = int(s.quota[x]["parent"])

    size = pool.spec.node_size
    for j in alive:
        add(now, j, held(pool, j))
        if s.job[j]["state"] != JobState.STOPPING:
            add(soon, j, held(pool, j))
    for j in jobs_in(pool, JobState.QUEUED, JobState.CLAIMING):
        full = int(s.ask[j]["nodes"]) * size or int(s.ask[j]["accelerators"])
        add(asked, j, full)
        if s.job[j]["state"] == JobState.CLAIMING:
            add(soon, j, int(s.ask[j]["least"]) * size or int(s.ask[j]["accelerators"]))
    assert s.usage[USED, NOW].tolist() == now.tolist()
    assert s.usage[USED, SOON].tolist() == soon.tolist()
    assert s.quota["asked"].tolist() == asked.tolist()
    assert np.all(now[1:] <= s.quota["cap"][1:]), "a cap is broken"


def recount_notices(pool: Pool) -> None:
    s, v = pool.state, pool.state.v[0]
    going = jobs_in(pool, JobState.STOPPING)
    whole = sum(int(s.job[j]["nodes"]) for j in going)
    for n in range(pool.spec.nodes):
        on = [j for j in s.slots[n].tolist() if j >= 0]
        whole += bool(on) and all(j in going for j in on)
    assert v["stop_nodes"] == whole
    listed = {int(e["job"]): int(e["key"]) for e in s.stops[: v["stops"]]}
    for j in going:
        assert listed[j] == s.job[j]["stop"] < NEVER
    for j in jobs_in(pool, JobState.RUNNING, JobState.PAUSED):
        assert s.job[j]["stop"] == NEVER
    claims = jobs_in(pool, JobState.CLAIMING)
    assert v["claim_nodes"] == sum(int(s.job[j]["claim"]) for j in claims)
