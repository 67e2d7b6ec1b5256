"""The workload generator: a year of work by seed, month by month, in bounded memory.

Calibrated on published figures (`gigafactory.jobs.calibration`). With `scale="fleet"` gangs and run
times are multiplied so that the wanted number of jobs offers exactly the wanted accelerator-hours,
and the table says by how much; with `scale=None` both stay as published.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.engine.streams import stream
from gigafactory.jobs.calibration import WorkType, acme_2023
from gigafactory.jobs.services import Service, replica_jobs
from gigafactory.jobs.table import COLUMNS, JobClass, JobTable, Level, Mission
from gigafactory.jobs.windows import Window, month_windows
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_S

#: Higher goes first (assumption; a factory sets its own).
PRIORITIES: Final[Mapping[JobClass, int]] = {
    JobClass.FRONTIER_TRAINING: 5,
    JobClass.FINE_TUNING: 4,
    JobClass.RESEARCH: 3,
    JobClass.INFERENCE_BATCH: 2,
    JobClass.INFERENCE_REALTIME: 7,
}
#: A chunk never holds many more jobs than this, whatever the month.
CHUNK_JOBS: Final = 1_000_000
YEAR_S: Final = 365 * 86_400.0
#: Longest deadline, as a multiple of the walltime: its instant must stay within 64-bit ns.
FACTOR_MAX: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Demand:
    """Jobs of one class that one tenant offers.

    Attributes:
        tenant: whose jobs.
        job_class: any class but real-time inference, which is given as a service.
        share: accelerator-hours it offers over the window, as a share of those installed.
        mission: the mission the work serves.
        monthly: twelve weights, January to December (UTC); None for an even year.
        chips: names of the chips it may run on; empty for all.
        accelerators_max: largest gang it asks for; None for whatever the pool holds.
        project: the project it belongs to; empty for none.
        elastic_min: smallest share of its accelerators on which a gang of two nodes or more still
            runs, above 0 and at most 1, rounded up to whole nodes; None for rigid jobs.
        deadline_factor: deadline after submission as a multiple of the walltime; None for none.
        level: a `Level`: the part of the network that a gang of several nodes must lie in.
        level_accelerators_max: largest gang the level is asked of; larger ones lie anywhere.
    """

    tenant: str
    job_class: JobClass
    share: float
    mission: Mission = Mission.NONE
    monthly: tuple[float, ...] | None = None
    chips: tuple[str, ...] = ()
    accelerators_max: int | None = None
    project: str = ""
    elastic_min: float | None = None
    deadline_factor: float | None = None
    level: int = Level.NONE
    level_accelerators_max: int = 0

    def check(self, where: str) -> list[Problem]:
        """Return what is wrong with the demand itself, whatever the fleet; empty when sound."""
        problems = []
        if not (math.isfinite(self.share) and self.share >= 0.0):
            problems.append(Problem(where, "share", str(self.share), "is 0 or more"))
        if self.job_class == JobClass.INFERENCE_REALTIME:
            why = "real-time inference follows a request rate; give it as a service"
            problems.append(Problem(where, "job_class", self.job_class.label, why))
        weights = self.monthly
        if weights is not None and (
            len(weights) != 12
            or not all(math.isfinite(w) and w >= 0.0 for w in weights)
            or sum(weights) <= 0.0
        ):
            why = "is twelve weights of 0 or more, not all 0"
            problems.append(Problem(where, "monthly", str(weights), why))
        if self.accelerators_max is not None and self.accelerators_max < 1:
            value = str(self.accelerators_max)
            problems.append(Problem(where, "accelerators_max", value, "is 1 or more"))
        if self.elastic_min is not None and not 0.0 < self.elastic_min <= 1.0:
            why = "is a share of a job's accelerators, above 0 and at most 1"
            problems.append(Problem(where, "elastic_min", str(self.elastic_min), why))
        if self.deadline_factor is not None and not 0.0 < self.deadline_factor <= FACTOR_MAX:
            why = f"is a multiple of the walltime, above 0 and at most {FACTOR_MAX:,.0f}"
            problems.append(Problem(where, "deadline_factor", str(self.deadline_factor), why))
        if self.level not in tuple(Level):
            why = f"is one of {', '.join(f'{v.value} ({v.label})' for v in Level)}"
            problems.append(Problem(where, "level", str(self.level), why))
        elif self.level != Level.NONE and self.level_accelerators_max < 1:
            why = "is 1 or more where a level is asked: the largest gang that fits in one"
            value = str(self.level_accelerators_max)
            problems.append(Problem(where, "level_accelerators_max", value, why))
        return problems


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """What the generator makes.

    Attributes:
        pools: per chip (accelerators, accelerators per node).
        demands: who offers what.
        services: real-time inference services.
        jobs_per_year_target: jobs of all demands in 365 days, the whole factory together (the
            replicas of services come on top). 2.2 million suits 100,000 accelerators.
        scale: "fleet" multiplies gangs and run times to fit; None keeps the published ones.
        frontier_fraction: largest frontier gang as a share of its pool.
        run_max_s: longest run of one job, s (longer training is a chain of jobs).
        priorities: 0..7 per class, higher goes first.
        timezone: whose hours and weekdays submissions and requests follow.
        period_s: interval in which autoscalers decide, s.
    """

    pools: Mapping[str, tuple[int, int]]
    demands: tuple[Demand, ...]
    services: tuple[Service, ...] = ()
    jobs_per_year_target: int = 2_200_000
    scale: Literal["fleet"] | None = "fleet"
    frontier_fraction: float = 0.30
    run_max_s: float = 7 * 86_400.0
    priorities: Mapping[JobClass, int] = field(default_factory=lambda: dict(PRIORITIES))
    timezone: str = "Europe/Amsterdam"
    period_s: float = 900.0

    @property
    def accelerators(self) -> int:
        """Physical accelerators of all pools."""
        return sum(count for count, _ in self.pools.values())

    @property
    def tenants(self) -> tuple[str, ...]:
        """Every tenant, in order of appearance."""
        named = [d.tenant for d in self.demands] + [s.tenant for s in self.services]
        return tuple(dict.fromkeys(named))

    @property
    def projects(self) -> tuple[str, ...]:
        """Every project, in order of appearance."""
        return tuple(dict.fromkeys(d.project for d in self.demands if d.project))

    def check(self, where: str = "workload") -> list[Problem]:
        """Return everything wrong with the spec; empty when it is sound."""
        problems = [
            Problem(where, f"pools.{chip}", f"{count} in nodes of {node}", why)
            for chip, (count, node) in self.pools.items()
            if count < max(node, 1) or node < 1
            for why in ("a pool holds at least one node of at least one accelerator",)
        ]
        if not self.pools:
            problems.append(Problem(where, "pools", "", "names no accelerators at all"))
        if not 0.0 < self.frontier_fraction <= 1.0:
            why = "is a share of a pool, above 0 and at most 1"
            problems.append(Problem(where, "frontier_fraction", str(self.frontier_fraction), why))
        if self.jobs_per_year_target < 1:
            value = str(self.jobs_per_year_target)
            problems.append(Problem(where, "jobs_per_year_target", value, "is 1 or more"))
        for index, demand in enumerate(self.demands):
            place = f"{where}.demands[{index}]"
            problems += _unknown_chips(place, demand.chips, self.pools) + demand.check(place)
        for service in self.services:
            problems += service.check(where)
            problems += _unknown_chips(f"{where}.{service.name}", service.chips, self.pools)
            if service.check(where):
                continue
            chip = _service_chip(self, service)
            if service.replica_accelerators > self.pools.get(chip, (0, 0))[0]:
                why = f"one replica is larger than the pool of {chip}"
                value = str(service.replica_accelerators)
                problems.append(Problem(where, f"{service.name}.replica_accelerators", value, why))
        return problems


def _unknown_chips(where: str, chips: tuple[str, ...], pools: Mapping[str, Any]) -> list[Problem]:
    known = ", ".join(pools)
    return [
        Problem(where, "chips", chip, f"is not in the fleet, which has {known}")
        for chip in chips
        if chip not in pools
    ]


def _service_chip(spec: WorkloadSpec, service: Service) -> str:
    """The chip of a service: the largest of the pools it may run on, the first among equals."""
    may = service.chips or tuple(spec.pools)
    return max(may, key=lambda chip: spec.pools.get(chip, (0, 0))[0])


@dataclass(frozen=True, slots=True)
class _Stream:
    """Jobs of one demand on one chip of one type of work, and how they are scaled."""

    demand: Demand
    ordinal: int
    chip: str
    type: WorkType
    share: float
    gangs: Mapping[int, int]
    factor: float
    jobs_per_gpu_s: float
    cap_s: float


def gang_scale(spec: WorkloadSpec, kind: WorkType, chip: str, most: int | None) -> dict[int, int]:
    """Scaled gang of each published gang size of a type on a chip.

    Frontier gangs grow until the largest published one is `frontier_fraction` of the pool; call
    that factor f. Gangs of research and fine-tuning are multiplied by the largest power of two not
    above f / 2; those of evaluation by at most four, and only from eight accelerators up, so that
    single-accelerator work remains. What passes a node takes whole nodes; nothing passes the pool
    or the tenant's own limit.
    """
    count, node = spec.pools[chip]
    ceiling = min(count, most or count)
    if spec.scale is None:
        return {size: min(size, ceiling) for size in kind.sizes.tolist()}
    frontier = spec.frontier_fraction * count / acme_2023().size_max
    others = 2.0 ** math.floor(math.log2(max(frontier / 2.0, 1.0)))
    scaled = {}
    for size in kind.sizes.tolist():
        if kind.job_class == JobClass.FRONTIER_TRAINING:
            want = size * frontier
            ceiling = min(ceiling, max(node, int(spec.frontier_fraction * count)))
        elif kind.job_class == JobClass.INFERENCE_BATCH:
            want = size * min(others, 4.0) if size >= 8 else size
        else:
            want = size * others
        gang = min(max(1, round(want)), ceiling)
        if gang > node:
            gang = min(max(1, round(want / node)) * node, ceiling // node * node)
        scaled[size] = gang
    return scaled


def _streams(spec: WorkloadSpec, start_ns: int, end_ns: int) -> list[_Stream]:
    """Split every demand over chips and types, and settle the factor of each."""
    acme = acme_2023()
    cap_s = min(spec.run_max_s, (end_ns - start_ns) / NS_PER_S) if spec.scale else np.inf
    parts: list[tuple[Demand, int, str, WorkType, float]] = []
    seen: dict[tuple[str, JobClass], int] = {}
    for demand in spec.demands:
        ordinal = seen[demand.tenant, demand.job_class] = (
            seen.get((demand.tenant, demand.job_class), -1) + 1
        )
        chips = demand.chips or tuple(spec.pools)
        room = sum(spec.pools[chip][0] for chip in chips)
        types = acme.of_class(demand.job_class)
        whole = sum(kind.gpu_time_share for kind in types)
        for chip in chips:
            for kind in types:
                share = demand.share * spec.pools[chip][0] / room * kind.gpu_time_share / whole
                if share > 0.0:
                    parts.append((demand, ordinal, chip, kind, share))
    # One common multiplier of accelerator-seconds per job brings the count to the target; where
    # the longest run binds, the other types take over, in a few rounds.
    streams: list[_Stream] = []
    published_per_s = sum(s * spec.accelerators / k.mean_gpu_s() for *_, k, s in parts)
    target_per_s = spec.jobs_per_year_target / YEAR_S
    multiplier = published_per_s / target_per_s if spec.scale and parts else 1.0
    for _ in range(6):
        streams = _settle(spec, parts, multiplier, cap_s)
        excess = _jobs_per_s(spec, streams) / target_per_s
        if spec.scale is None or abs(excess - 1.0) < 0.002 or excess == 0.0:
            break
        multiplier *= excess
    return streams


def _jobs_per_s(spec: WorkloadSpec, streams: list[_Stream]) -> float:
    return sum(s.share * spec.accelerators * s.jobs_per_gpu_s for s in streams)


def _settle(
    spec: WorkloadSpec,
    parts: list[tuple[Demand, int, str, WorkType, float]],
    multiplier: float,
    cap_s: float,
) -> list[_Stream]:
    """Scale gangs first; run times take what remains of the multiplier, up to the cap."""
    streams = []
    settled: dict[tuple[str, str, int | None], tuple[dict[int, int], float, float]] = {}
    for demand, ordinal, chip, kind, share in parts:
        key = (chip, kind.name, demand.accelerators_max)
        if key not in settled:
            gangs = gang_scale(spec, kind, chip, demand.accelerators_max)
            mean = kind.mean_gpu_s() * multiplier
            factor = _run_factor(kind, gangs, mean, cap_s) if spec.scale else 1.0
            settled[key] = gangs, factor, 1.0 / kind.mean_gpu_s(gangs, factor, cap_s)
        gangs, factor, per_gpu_s = settled[key]
        streams.append(_Stream(demand, ordinal, chip, kind, share, gangs, factor, per_gpu_s, cap_s))
    return streams


def _run_factor(kind: WorkType, gangs: Mapping[int, int], mean: float, cap_s: float) -> float:
    """Multiplier of run times at which the mean job takes `mean` accelerator-seconds."""
    low, high = 1e-3, 1e4
    for _ in range(32):
        middle = math.sqrt(low * high)
        if kind.mean_gpu_s(gangs, middle, cap_s) < mean:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _draw(
    spec: WorkloadSpec, part: _Stream, gpu_s: float, window: Window, rate: Any, seed: int
) -> dict[str, npt.NDArray[Any]]:
    """Columns of one stream in one window, offering `gpu_s` accelerator-seconds."""
    acme = acme_2023()
    who = (part.demand.tenant, part.demand.job_class.label, part.ordinal)
    random = stream(seed, "jobs", "work", *who, part.chip, part.type.name, window.index)
    count = round(gpu_s * part.jobs_per_gpu_s)
    if spec.scale:
        count = max(count, 1 if gpu_s > 0.0 else 0)
    lookup = np.zeros(acme.size_max + 1, dtype=np.int32)
    lookup[list(part.gangs)] = list(part.gangs.values())
    while True:
        sizes, published_s = part.type.draw(count, random)
        gangs = lookup[sizes]
        # A short window may draw too few or too small gangs to hold its load: then draw more.
        if not spec.scale or float(gangs.sum()) * part.cap_s >= 1.2 * gpu_s:
            break
        count = 2 * count
    run_s = published_s
    if spec.scale and count:
        run_s = _fitted(gangs, published_s * part.factor, gpu_s, part.cap_s)
    run_s = np.maximum(np.rint(run_s), 1.0)
    states = acme.end_states(sizes * published_s, random)
    limits = acme.walltimes_s(run_s, spec.run_max_s, random)
    submit = acme.submissions(
        count, part.type.batch_mean, rate, window.start_ns, window.end_ns, random
    )
    columns: dict[str, Any] = {
        "submit_ns": submit,
        "accelerators": gangs,
        "work_ns": run_s.astype(np.int64) * NS_PER_S,
        "walltime_ns": limits.astype(np.int64) * NS_PER_S,
        "end_state": states,
        "tenant": spec.tenants.index(part.demand.tenant),
        "job_class": int(part.demand.job_class),
        "priority": spec.priorities[part.demand.job_class],
        "chip": list(spec.pools).index(part.chip),
        "mission": int(part.demand.mission),
        "timed": False,
        "service": -1,
        "project": _project_of(spec, part.demand),
        "accelerators_min": 0,
        "deadline_ns": 0,
        "level": 0,
    }
    columns |= _asked_besides(part.demand, columns, spec.pools[part.chip][1])
    return {
        name: np.broadcast_to(np.asarray(columns[name], dtype=dtype), submit.shape)
        for name, dtype in COLUMNS.items()
    }


def _project_of(spec: WorkloadSpec, demand: Demand) -> int:
    return spec.projects.index(demand.project) if demand.project else -1


def _asked_besides(demand: Demand, columns: dict[str, Any], node: int) -> dict[str, Any]:
    """Columns of what a demand asks besides accelerators and time; draws nothing by chance."""
    asked: dict[str, Any] = {}
    gangs = columns["accelerators"]
    nodes = -(-gangs // node)
    if demand.elastic_min is not None:
        least = np.ceil(gangs * demand.elastic_min / node - 1e-9).astype(np.int64) * node
        asked["accelerators_min"] = np.where(nodes >= 2, np.minimum(least, gangs), 0)
    if demand.deadline_factor is not None:
        room = np.rint(columns["walltime_ns"] * demand.deadline_factor).astype(np.int64)
        asked["deadline_ns"] = columns["submit_ns"] + np.maximum(room, 1)
    if demand.level != Level.NONE:
        fits = (nodes >= 2) & (gangs <= demand.level_accelerators_max)
        asked["level"] = np.where(fits, int(demand.level), 0)
    return asked


def _fitted(gangs: Any, run_s: Any, gpu_s: float, cap_s: float) -> npt.NDArray[np.float64]:
    """Stretch or shrink run times, between 1 s and the cap, until they add up to the load."""
    factor = 1.0
    for _ in range(200):
        run = np.clip(run_s * factor, 1.0, cap_s)
        reached = float((gangs * run).sum())
        if abs(reached - gpu_s) <= 1e-5 * gpu_s or not 1e-9 < factor < 1e9:
            break
        factor *= gpu_s / reached
    return np.asarray(run, dtype=np.float64)


def _month_weights(demand: Demand, windows: list[Window]) -> list[float]:
    """Weight of each window against an even year; their time-weighted mean is 1."""
    if demand.monthly is None:
        return [1.0] * len(windows)
    raw = [demand.monthly[w.month - 1] for w in windows]
    spans = [w.end_ns - w.start_ns for w in windows]
    mean = sum(r * s for r, s in zip(raw, spans, strict=True)) / sum(spans)
    return [r / mean if mean > 0.0 else 0.0 for r in raw]


def scaling_sentences(spec: WorkloadSpec, start_ns: int, end_ns: int) -> tuple[str, ...]:
    """Say, type by type, by how much published gangs and run times were multiplied."""
    return _sentences(spec, _streams(spec, start_ns, end_ns), start_ns, end_ns)


def _sentences(
    spec: WorkloadSpec, streams: list[_Stream], start_ns: int, end_ns: int
) -> tuple[str, ...]:
    if spec.scale is None:
        return ("Gangs and run times are as published; only the number of jobs follows the load.",)
    said = []
    for kind in acme_2023().types.values():
        mine = [s for s in streams if s.type is kind]
        if not mine:
            continue
        largest = kind.sizes.tolist()[-1]
        gangs = _span([s.gangs[largest] / largest for s in mine])
        runs = _span([s.factor for s in mine])
        biggest = max(max(s.gangs.values()) for s in mine)
        said.append(
            f"{kind.name} ({kind.job_class.label}): largest gangs times {gangs} (up to {biggest} "
            f"accelerators), run times times {runs}, then fitted per demand and month to its load."
        )
    longest = min(spec.run_max_s, (end_ns - start_ns) / NS_PER_S) / 3600.0
    count = _jobs_per_s(spec, streams) * YEAR_S
    said.append(
        f"Brought to about {count:,.0f} jobs in 365 days (wanted: {spec.jobs_per_year_target:,}); "
        f"no job runs longer than {longest:g} h; evaluation below eight accelerators keeps its "
        "published gangs."
    )
    return tuple(said)


def _span(values: list[float]) -> str:
    low, high = (f"{v:.3g}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def generate(spec: WorkloadSpec, start_ns: int, end_ns: int, seed: int) -> Iterator[JobTable]:
    """Make the jobs of a window, in chunks of a month or less.

    Args:
        spec: who offers what to which fleet.
        start_ns: start of the window, ns UTC.
        end_ns: end of the window, ns UTC; later than the start.
        seed: the run's seed. The same spec, window and seed give the same bytes.

    Yields:
        Sorted tables, one after the other in time; every table names all tenants, chips and
        services. Memory is bounded by the chunk, not by the window.

    Raises:
        BadInput: everything wrong with the spec at once.
    """
    problems = spec.check()
    if end_ns <= start_ns:
        problems.append(Problem("workload", "end", str(end_ns), "lies after the start"))
    if problems:
        raise BadInput(problems)
    return _chunks(spec, start_ns, end_ns, seed)


def _chunks(spec: WorkloadSpec, start_ns: int, end_ns: int, seed: int) -> Iterator[JobTable]:
    acme = acme_2023()
    streams = _streams(spec, start_ns, end_ns)
    per_ns = _jobs_per_s(spec, streams) / NS_PER_S
    windows = month_windows(start_ns, end_ns, max(NS_PER_H, int(CHUNK_JOBS / max(per_ns, 1e-18))))
    weights = {id(d): _month_weights(d, windows) for d in spec.demands}
    replicas = _replicas(spec, start_ns, end_ns, seed)
    said = (
        *_sentences(spec, streams, start_ns, end_ns),
        *(() if replicas is None else replicas.scaling),
    )
    for window in windows:
        rate = acme.hourly_rate(window.start_ns, window.end_ns, spec.timezone)
        seconds = (window.end_ns - window.start_ns) / NS_PER_S
        pieces = [_none()]
        for part in streams:
            gpu_s = part.share * spec.accelerators * seconds
            gpu_s *= weights[id(part.demand)][window.index]
            pieces.append(_draw(spec, part, gpu_s, window, rate, seed))
        if replicas is not None:
            low, high = np.searchsorted(replicas.submit_ns, [window.start_ns, window.end_ns])
            part_of = slice(low, high)
            pieces.append({name: column[part_of] for name, column in replicas.columns()})
        yield JobTable.of(
            **{name: np.concatenate([p[name] for p in pieces]) for name in COLUMNS},
            tenants=spec.tenants,
            chips=tuple(spec.pools),
            services=tuple(s.name for s in spec.services),
            projects=spec.projects,
            origin=f"generated by seed {seed} on the published figures of {acme.source}",
            state="synthetic",
            scaling=said,
        )


def _none() -> dict[str, npt.NDArray[Any]]:
    return {name: np.zeros(0, dtype=dtype) for name, dtype in COLUMNS.items()}


def _replicas(spec: WorkloadSpec, start_ns: int, end_ns: int, seed: int) -> JobTable | None:
    """Replicas of every service over the whole window, with the names of the spec."""
    if not spec.services:
        return None
    tables = [
        replica_jobs(
            service,
            start_ns=start_ns,
            end_ns=end_ns,
            chip=_service_chip(spec, service),
            seed=seed,
            period_s=spec.period_s,
            timezone=spec.timezone,
        )
        for service in spec.services
    ]
    names = JobTable.of(
        submit_ns=np.zeros(0, dtype=np.int64),
        accelerators=1,
        work_ns=np.zeros(0, dtype=np.int64),
        tenants=spec.tenants,
        chips=tuple(spec.pools),
        services=tuple(s.name for s in spec.services),
    )
    return JobTable.concatenate([names, *tables])


def generate_year(spec: WorkloadSpec, start_ns: int, seed: int, days: int = 365) -> JobTable:
    """Make all jobs of a year (or of another number of days) as one table."""
    return JobTable.concatenate(generate(spec, start_ns, start_ns + days * NS_PER_DAY, seed))


def offered_share(jobs: JobTable, accelerators: int, start_ns: int, end_ns: int) -> float:
    """Accelerator-hours the jobs ask at full speed, as a share of those installed in the window."""
    installed_gpu_s = accelerators * (end_ns - start_ns) / NS_PER_S
    return float(jobs.gpu_seconds().sum()) / installed_gpu_s
