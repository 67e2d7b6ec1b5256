"""The published shape of AI work: sizes, run times, end states and bursts, per type of work.

Reads `data/acme_2023.yaml`, whose head says where every figure comes from, and draws from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from gigafactory.jobs.services import local_hours
from gigafactory.jobs.table import EndState, JobClass
from gigafactory.units import NS_PER_H, NS_PER_S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Points of the grid on which means are taken; enough for three digits on these tables.
GRID: Final = 8_001


@dataclass(frozen=True, slots=True, eq=False)
class WorkType:
    """One type of work as the trace names it.

    Attributes:
        name: "pretrain", "multimodal", "debug", "other", "sft" or "evaluation".
        job_class: the class it counts as here.
        job_share: published share of the GPU jobs, 0..1.
        gpu_time_share: published share of the GPU time, 0..1.
        levels: float64[q], probabilities of the run-time quantiles, 0 to 1.
        duration_s: float64[q], run time at each level, s.
        sizes: int64[m], gang sizes.
        size_levels: float64[m], cumulative share of jobs up to each size.
        together: share of jobs whose size and run time have the same rank.
        batch_mean: mean number of jobs submitted at once.
    """

    name: str
    job_class: JobClass
    job_share: float
    gpu_time_share: float
    levels: Floats
    duration_s: Floats
    sizes: Ints
    size_levels: Floats
    together: float
    batch_mean: float

    def durations(self, rank: Floats) -> Floats:
        """Run time in s at each rank in 0..1, log-linear between the published quantiles."""
        return np.asarray(np.exp(np.interp(rank, self.levels, np.log(self.duration_s))))

    def gangs(self, rank: Floats) -> Ints:
        """Gang size at each rank in 0..1."""
        at = np.searchsorted(self.size_levels, rank, side="right")
        return np.asarray(self.sizes[np.minimum(at, len(self.sizes) - 1)])

    def mean_gpu_s(
        self, gangs: Mapping[int, int] | None = None, factor: float = 1.0, cap_s: float = np.inf
    ) -> float:
        """Mean accelerator-seconds of a job.

        Args:
            gangs: scaled size of each published size; None keeps them.
            factor: multiplier of run times.
            cap_s: longest run time, s.
        """
        rank = (np.arange(GRID) + 0.5) / GRID
        gang = self.gangs(rank).astype(np.float64)
        if gangs is not None:
            gang = np.array([gangs[int(s)] for s in self.sizes], dtype=np.float64)[
                np.searchsorted(self.sizes, gang)
            ]
        run = np.clip(self.durations(rank) * factor, 1.0, cap_s)
        apart = gang.mean() * run.mean()
        return float((1.0 - self.together) * apart + self.together * (gang * run).mean())

    def draw(self, count: int, random: np.random.Generator) -> tuple[Ints, Floats]:
        """Draw gang sizes (int64) and run times in s (float64) of a number of jobs.

        Ranks are stratified (one per equal slice, in random order), so that a short month of few
        jobs still has the published distribution.
        """
        run_rank = _stratified(count, random)
        size_rank = _stratified(count, random)
        same = random.random(count) < self.together
        size_rank = np.where(same, run_rank, size_rank)
        return self.gangs(size_rank), self.durations(run_rank)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Everything the generator knows of the published trace.

    Attributes:
        source: where the figures come from.
        year: of the figures.
        accelerators: of the published cluster.
        gpu_jobs: jobs with accelerators in the trace.
        gpu_hours: accelerator-hours in the trace.
        size_max: largest published gang.
        types: by name.
        odds: (a, b) of cancelled and failed: odds against completing exp(a + b log10 gpu_s).
        published: published shares of the end states, "jobs" and "gpu_time".
        arrivals: settings of the bursts.
        walltime: settings of the estimates.
    """

    source: str
    year: int
    accelerators: int
    gpu_jobs: int
    gpu_hours: float
    size_max: int
    types: Mapping[str, WorkType]
    odds: Mapping[str, tuple[float, float]]
    published: Mapping[str, Mapping[str, float]]
    arrivals: Mapping[str, Any]
    walltime: Mapping[str, Any]

    def of_class(self, job_class: JobClass) -> tuple[WorkType, ...]:
        """The types that make up a class."""
        return tuple(t for t in self.types.values() if t.job_class == job_class)

    def end_states(self, gpu_s: Floats, random: np.random.Generator) -> npt.NDArray[np.int8]:
        """Draw how each job ends by itself, from its published-scale accelerator-seconds."""
        size = np.log10(np.maximum(gpu_s, 1.0))
        cancelled, failed = (np.exp(a + b * size) for a, b in self.odds.values())
        whole = 1.0 + cancelled + failed
        rank = random.random(len(gpu_s)) * whole
        states = np.full(len(gpu_s), int(EndState.COMPLETED), dtype=np.int8)
        states[rank < cancelled + failed] = int(EndState.FAILED)
        states[rank < cancelled] = int(EndState.CANCELLED)
        return states

    def walltimes_s(self, run_s: Floats, cap_s: float, random: np.random.Generator) -> Floats:
        """Draw the limits users give for run times, s: whole minutes, mostly too long."""
        low, high = self.walltime["factor"]
        factor = low + (high - low) * random.random(len(run_s))
        low, high = self.walltime["too_low_factor"]
        short = random.random(len(run_s)) < self.walltime["too_low_share"]
        factor = np.where(short, low + (high - low) * random.random(len(run_s)), factor)
        minutes = np.ceil(run_s * factor / 60.0)
        most = np.maximum(np.ceil(cap_s / 60.0), np.ceil(run_s * np.minimum(factor, 1.0) / 60.0))
        return np.asarray(np.maximum(np.minimum(minutes, most), 1.0) * 60.0)

    def submissions(
        self,
        count: int,
        batch_mean: float,
        rate: Floats,
        start_ns: int,
        end_ns: int,
        random: np.random.Generator,
    ) -> Ints:
        """Instants of submission in ns UTC, in bursts, all within [start_ns, end_ns).

        Args:
            count: number of jobs.
            batch_mean: mean number submitted at once.
            rate: float64[hours], expected rate by hour of the window, any scale (`hourly_rate`).
            start_ns: start of the window.
            end_ns: end of the window.
            random: the stream to draw from.
        """
        spread = float(self.arrivals["batch_log_sd"])
        batches = _batches(count, batch_mean, spread, random)
        hours = int(self.arrivals["noise_hours"])
        shape = float(self.arrivals["noise_shape"])
        noise = random.gamma(shape, 1.0 / shape, size=-(-len(rate) // hours))
        reached = np.concatenate([[0.0], np.cumsum(rate * np.repeat(noise, hours)[: len(rate)])])
        edges = np.minimum(start_ns + NS_PER_H * np.arange(len(rate) + 1), end_ns)
        aims = random.random(len(batches)) * reached[-1]
        first = np.interp(aims, reached, (edges - start_ns) / NS_PER_S)
        gap = random.random(len(batches)) * float(self.arrivals["gap_max_s"])
        within = np.arange(count) - np.repeat(np.cumsum(batches) - batches, batches)
        after = np.repeat(first, batches) + within * np.repeat(gap, batches)
        submit = start_ns + (after * NS_PER_S).astype(np.int64)
        return np.asarray(np.minimum(submit, end_ns - 1))

    def hourly_rate(self, start_ns: int, end_ns: int, timezone: str) -> Floats:
        """Expected rate of submissions in each hour from `start_ns`, over the working-week mean."""
        hours = max(1, -((start_ns - end_ns) // NS_PER_H))
        hour, weekday = local_hours(start_ns, hours, timezone)
        rate = np.array(self.arrivals["hour"], dtype=np.float64)[hour]
        return np.asarray(rate * np.where(weekday >= 5, float(self.arrivals["weekend"]), 1.0))


def _stratified(count: int, random: np.random.Generator) -> Floats:
    """One uniform number in each of `count` equal slices of 0..1, in random order."""
    return np.asarray((random.permutation(count) + random.random(count)) / max(count, 1))


def _batches(count: int, mean: float, log_sd: float, random: np.random.Generator) -> Ints:
    """Sizes of bursts that add up to `count`: lognormal, rounded, at least 1."""
    middle = np.log(mean) - log_sd**2 / 2.0
    sizes = np.zeros(0, dtype=np.int64)
    while sizes.sum() < count:
        more = 8 + int(1.2 * (count - sizes.sum()) / mean)
        drawn = np.exp(middle + log_sd * random.standard_normal(more))
        sizes = np.concatenate([sizes, np.maximum(np.rint(drawn).astype(np.int64), 1)])
    reached = np.cumsum(sizes)
    last = int(np.searchsorted(reached, count)) if count else 0
    sizes = sizes[: last + 1] if count else sizes[:0]
    if count:
        sizes[-1] -= int(reached[last]) - count
    return sizes


@cache
def acme_2023() -> Calibration:
    """The bundled calibration, on Acme's cluster Seren of 2023."""
    text = (resources.files("gigafactory.jobs") / "data" / "acme_2023.yaml").read_text("utf-8")
    raw = yaml.safe_load(text)
    levels = np.array(raw["levels"], dtype=np.float64)
    types = {}
    for name, row in raw["types"].items():
        shares = row["accelerators"]
        reached = np.cumsum(np.array(list(shares.values()), dtype=np.float64))
        assert abs(reached[-1] - 1.0) < 1e-9, f"the sizes of {name} do not add up to 1"
        types[name] = WorkType(
            name=name,
            job_class=JobClass[row["job_class"].upper()],
            job_share=row["job_share"] / 100.0,
            gpu_time_share=row["gpu_time_share"] / 100.0,
            levels=levels,
            duration_s=np.array(row["duration_s"], dtype=np.float64),
            sizes=np.array(list(shares), dtype=np.int64),
            size_levels=reached,
            together=float(row["together"]),
            batch_mean=float(raw["arrivals"]["batch_mean"][name]),
        )
    ends = raw["end_state"]
    return Calibration(
        source=raw["source"],
        year=int(raw["year"]),
        accelerators=int(raw["accelerators"]),
        gpu_jobs=int(raw["gpu_jobs"]),
        gpu_hours=float(raw["gpu_hours"]),
        size_max=int(raw["size_max"]),
        types=types,
        odds={name: (ends[name][0], ends[name][1]) for name in ("cancelled", "failed")},
        published={"jobs": ends["published_jobs"], "gpu_time": ends["published_gpu_time"]},
        arrivals=raw["arrivals"],
        walltime=raw["walltime"],
    )
