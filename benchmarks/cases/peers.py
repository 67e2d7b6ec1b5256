"""Two workloads that peers have run, on the kernel: the same jobs and rules, their figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.measuring import Timer, case, data, peak_mib
from gigafactory.kernel import Kind, Pool, PoolReading, PoolSpec
from gigafactory.units import NS_PER_S

Ints = npt.NDArray[np.int64]
DAY_S = 86_400
#: Virtual clusters of the Helios study of the Philly trace and their nodes of eight.
CLUSTERS = {
    "6214e9": 64,
    "7f04ca": 32,
    "11cb48": 16,
    "b436b2": 64,
    "ee9e8c": 64,
    "e13805": 16,
    "6c71a0": 32,
    "2869ce": 16,
    "ed69ec": 8,
    "103959": 8,
    "0e4a51": 32,
}


@dataclass(frozen=True, slots=True)
class Philly:
    """Columns of the Philly trace, by submission.

    Attributes:
        submit_s: seconds UTC.
        duration_s: run time as in the file.
        accelerators: asked for.
        cluster: virtual cluster.
    """

    submit_s: Ints
    duration_s: npt.NDArray[np.float64]
    accelerators: npt.NDArray[np.int32]
    cluster: npt.NDArray[np.object_]

    def where(self, keep: npt.NDArray[np.bool_] | Ints) -> Philly:
        """The jobs of a mask or an order."""
        return Philly(
            self.submit_s[keep],
            self.duration_s[keep],
            self.accelerators[keep],
            self.cluster[keep],
        )


def philly() -> Philly:
    """The trace, by submission, then in the order of the file."""
    table = pq.read_table(data("compute", "philly_jobs.parquet"))
    stamp = np.array([str(v)[:19] for v in table["timestamp"].to_pylist()], "datetime64[s]")
    order = np.argsort(stamp, kind="stable")
    return Philly(
        stamp.astype(np.int64)[order],
        table["duration"].to_numpy()[order].astype(np.float64),
        table["num_gpus"].to_numpy()[order].astype(np.int32),
        np.array(table["cluster"].to_pylist(), object)[order],
    )


def between(jobs: Philly, first: str, last: str) -> Philly:
    """Jobs submitted from an instant until before another."""
    low, high = (int(np.datetime64(t, "s").astype(np.int64)) for t in (first, last))
    return jobs.where((jobs.submit_s >= low) & (jobs.submit_s < high))


def _instants(
    pool: Pool, jobs: int, end_ns: int, step_ns: int
) -> tuple[Ints, Ints, list[PoolReading]]:
    """Start and end of every job, seconds, -1 where there is none by the end; the meters per step.

    Meters count accelerator-nanoseconds in 64 bits, so a large pool is read at least once a day.
    """
    begun, ended = np.full(jobs, -1, np.int64), np.full(jobs, -1, np.int64)
    readings: list[PoolReading] = []
    at = pool.t_ns
    while at < end_ns:
        at = min(at + step_ns, end_ns)
        records = pool.advance(at)
        starts = records.kind <= int(Kind.BACKFILL)
        ends = records.kind == int(Kind.FINISH)
        begun[records.job[starts]] = records.t_ns[starts] // NS_PER_S
        ended[records.job[ends]] = records.t_ns[ends] // NS_PER_S
        readings.append(pool.read())
    return begun, ended, readings


def whole_seconds(jobs: Philly) -> Ints:
    """Run times in whole seconds, at least one."""
    return np.maximum(np.floor(jobs.duration_s), 1).astype(np.int64)


def helios_jobs() -> Philly:
    """The 68,503 jobs of October and November 2017 whose virtual cluster can hold them."""
    jobs = between(philly(), "2017-10-01T00:00:00", "2017-12-01T00:00:00")
    nodes = np.array([CLUSTERS.get(c, 0) for c in jobs.cluster])
    return jobs.where((nodes > 0) & (jobs.accelerators <= nodes * 8))


@case("philly-68k")
def philly_68k() -> dict[str, float]:
    """Strict first come, first served in eleven virtual clusters: Helios simulator's figures."""
    jobs = helios_jobs()
    strict("6214e9", jobs)  # compiled code is loaded before the clock starts
    timer = Timer()
    wait, turn = [], []
    for name in CLUSTERS:
        submit, begun, ended = strict(name, jobs)
        wait.append(begun - submit)
        turn.append(ended - submit)
    spent = timer.wall_s()
    waits, turns = np.concatenate(wait), np.concatenate(turn)
    return {
        "jobs": len(waits),
        "mean_jct_s": float(turns.mean()),
        "mean_queue_s": float(waits.mean()),
        "jobs_per_s": len(waits) / spent,
        "wall_s": spent,
    }


def strict(name: str, jobs: Philly) -> tuple[Ints, Ints, Ints]:
    """One virtual cluster, no backfill: its submissions, starts and ends in seconds."""
    mine = jobs.where(jobs.cluster == name)
    submit, run = mine.submit_s, whole_seconds(mine)
    end_ns = int(submit[-1] + 400 * DAY_S) * NS_PER_S
    pool = Pool(
        PoolSpec(CLUSTERS[name], 8, 0, 0, (0,)),
        origin_ns=int(submit[0]) * NS_PER_S,
        end_ns=end_ns,
        submit_ns=submit * NS_PER_S,
        need_ns=run * NS_PER_S,
        walltime_ns=run * NS_PER_S,
        accelerators=mine.accelerators,
        priority=np.zeros(len(submit), np.int8),
        group=np.zeros(len(submit), np.int8),
    )
    pool.set_service(CLUSTERS[name])
    pool.set_budget(None)
    begun, ended, _ = _instants(pool, len(submit), end_ns, 60 * DAY_S * NS_PER_S)
    assert (ended >= 0).all(), "every job ends within a year"
    return submit, begun, ended


@dataclass(frozen=True, slots=True)
class RapsNode:
    """Power of a node of eight as RAPS was set for this workload, watts.

    Attributes:
        resting: accelerators, two CPUs, memory, NVMe and eight NICs of an idle node.
        working: the same with accelerators at 0.9 and one CPU at 0.5.
    """

    resting: float = 8 * 100 + 2 * 100 + 200 + 45 + 8 * 20
    working: float = 8 * (100 + 0.9 * 600) + 2 * 100 + 0.5 * 250 + 200 + 45 + 8 * 20

    @staticmethod
    def drawn_w(load_w: float) -> float:
        """What the grid side gives for a load: converter 13 W + 2 %, rectifier 17 W + 4 %."""
        return (load_w * 1.02 + 13.0) * 1.04 + 17.0


#: Switches of 250 W per chassis of four nodes and cooling units of 8.47 kW times 125, MW.
RAPS_CONSTANT_MW = (12_500 / 4 * 250 + 8_470 * 125) / 1e6


@case("gf-100k")
def gf_100k() -> dict[str, float]:
    """A week of Philly, gangs times 128, on 100,000 accelerators: RAPS's figures."""
    nodes, days = 12_500, 7
    timer = Timer()
    jobs = between(philly(), "2017-10-09T00:00:00", "2017-10-16T00:00:00")
    run = whole_seconds(jobs) * NS_PER_S
    asked = -(-jobs.accelerators.astype(np.int64) * 128 // 8) * 8
    begin = int(np.datetime64("2017-10-09", "s").astype(np.int64)) * NS_PER_S
    end = begin + days * DAY_S * NS_PER_S
    power = RapsNode()
    rest_mw = round(power.drawn_w(power.resting) / 8 * 1000)  # milliwatts, the kernel's unit
    work_mw = round(power.drawn_w(power.working) / 8 * 1000)
    pool = Pool(
        PoolSpec(nodes, 8, rest_mw, 100, (0,)),
        origin_ns=begin,
        end_ns=end,
        submit_ns=jobs.submit_s * NS_PER_S,
        need_ns=run,
        walltime_ns=run,
        accelerators=asked.astype(np.int32),
        priority=np.zeros(len(run), np.int8),
        group=np.zeros(len(run), np.int8),
    )
    pool.set_groups(np.full(8, 128), np.full(8, work_mw))
    pool.set_service(nodes)
    pool.set_budget(None)
    begun, ended, readings = _instants(pool, len(run), end, DAY_S * NS_PER_S // 4)
    resting_ns = sum(r.service_ns - int(r.groups.used_ns.sum()) for r in readings)
    used_uwh = sum(int(r.groups.used_uwh.sum()) for r in readings)
    energy_mwh = used_uwh / 1e12 + resting_ns * rest_mw / 3.6e21
    wait = (begun - jobs.submit_s)[begun >= 0]
    return {
        "jobs": len(run),
        "done": int((ended >= 0).sum()),
        "mean_wait_s": float(wait.mean()),
        "longest_wait_s": int(wait.max()),
        "mean_mw": energy_mwh / (days * 24) + RAPS_CONSTANT_MW,
        "wall_s": timer.wall_s(),
        "peak_rss_mib": peak_mib(),
    }
