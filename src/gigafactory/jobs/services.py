"""Inference services: a request rate, the replicas an autoscaler wants for it, and their jobs.

The autoscaler sees the rate of past intervals only. The replicas it wants become jobs by the layer
cake: level l of a service is one timed job for every contiguous stretch in which at least l
replicas are wanted, so the jobs of a service running at any instant are exactly its replicas.

A service that says how many requests a replica serves at once (`slots`) is sized by its latency
objective (`gigafactory.jobs.latency`) instead of in proportion to the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem
from gigafactory.engine.streams import stream
from gigafactory.jobs.latency import capacity_for_latency, rate_carried
from gigafactory.jobs.table import MIN_WALLTIME_NS, JobClass, JobTable, Mission
from gigafactory.units import NS_PER_H, NS_PER_S

REPLICA_PRIORITY: Final = 7
#: A day of requests by local hour over the mean of the day. Our own shape (assumption) with the
#: trough before dawn and the evening peak of the general models in ServeGen (Alibaba, 2025).
DAY_SHAPE: Final = (
    0.78, 0.68, 0.62, 0.58, 0.56, 0.58, 0.66, 0.80, 0.98, 1.12, 1.18, 1.20,
    1.12, 1.14, 1.20, 1.22, 1.22, 1.18, 1.14, 1.18, 1.26, 1.28, 1.20, 0.98,
)  # fmt: skip
#: Saturday and Sunday over a working day (assumption; the weeks in ServeGen differ by model).
WEEKEND_SHAPE: Final = 0.85
#: Standard deviation of the log of the noise, and how much of it an hour later remains
#: (ServeGen: 0.11 to 0.17 from one ten minutes to the next for models without idle windows).
NOISE_SD: Final = 0.12
NOISE_KEPT_PER_H: Final = 0.7
NOISE_LIMIT_SD: Final = 1.8


@dataclass(frozen=True, slots=True, eq=False)
class RateSeries:
    """Requests per second, one value per interval of equal length.

    Attributes:
        name: of the model or service.
        start_ns: start of the first interval, ns UTC.
        period_s: length of an interval, s.
        rate_rps: float64[T], mean requests per second in each interval; only ratios matter for a
            synthetic series, whose mean is 1.
        peak_rps: the rate the service is sized for; declared beforehand for a synthetic series,
            the highest interval (known only in hindsight) for a real one.
        source: where the figures come from.
        state: "measured" or "synthetic".
        note: what was done to them.
    """

    name: str
    start_ns: int
    period_s: float
    rate_rps: npt.NDArray[np.float64]
    peak_rps: float
    source: str
    state: str
    note: str = ""

    def __len__(self) -> int:
        return len(self.rate_rps)

    @property
    def peak_to_mean(self) -> float:
        """Highest interval over the mean."""
        return float(self.rate_rps.max() / self.rate_rps.mean())

    def onto(self, start_ns: int, periods: int, period_s: float) -> RateSeries:
        """Lay the series on another window by repeating it whole, averaging within intervals.

        Args:
            start_ns: start of the wanted window, ns UTC.
            periods: number of intervals.
            period_s: length of an interval, s.

        Returns:
            The series on the window, its first interval at the window's start. A series of one day
            or more starts at its own time of day, so the hours of the day stay where they were.
        """
        length_s = len(self) * self.period_s
        shift_s = 0.0
        if length_s % 86_400 == 0:
            shift_s = ((start_ns - self.start_ns) / NS_PER_S) % 86_400
        edges = shift_s + period_s * np.arange(periods + 1, dtype=np.float64)
        total = np.concatenate([[0.0], np.cumsum(self.rate_rps)]) * self.period_s
        own = self.period_s * np.arange(len(self) + 1, dtype=np.float64)
        rounds, within = np.divmod(edges, length_s)
        reached = rounds * total[-1] + np.interp(within, own, total)
        rate = np.maximum(np.diff(reached) / period_s, 0.0)
        note = f"{length_s / 3600:.1f} h repeated to {periods * period_s / 3600:.1f} h"
        return replace(self, start_ns=start_ns, period_s=period_s, rate_rps=rate, note=note)


@dataclass(frozen=True, slots=True)
class Service:
    """A real-time inference service.

    Attributes:
        name: of the service.
        tenant: who runs it.
        accelerators_peak: accelerators that carry the peak rate with the headroom.
        replica_accelerators: accelerators of one replica, a gang.
        latency_ms: latency objective, ms; with `slots` the longest wait for one, else unused.
        headroom: capacity kept above the last rate seen, as a share of it.
        startup_s: time from the start of a replica until it serves, s.
        scale_down_s: a replica is given up only after it was not wanted for this long, s.
        peak_to_mean: peak over mean of the synthetic rate; 1.9 to 3.3 in ServeGen.
        chips: names of the chips it may run on; empty for the first of the factory.
        mission: the mission it serves.
        priority: 0..7 of its replicas.
        slots: requests one replica serves at once; 0 leaves latency out, and replicas follow the
            rate in proportion.
        service_s: mean time a request holds its slot, s; needed with `slots`.
        quantile: share of the requests that must meet the latency objective.
    """

    name: str
    tenant: str
    accelerators_peak: int
    replica_accelerators: int
    latency_ms: float = 500.0
    headroom: float = 0.15
    startup_s: float = 300.0
    scale_down_s: float = 3600.0
    peak_to_mean: float = 2.4
    chips: tuple[str, ...] = ()
    mission: Mission = Mission.NONE
    priority: int = REPLICA_PRIORITY
    slots: int = 0
    service_s: float = 0.0
    quantile: float = 0.99

    @property
    def replicas_peak(self) -> int:
        """Most replicas it ever runs."""
        return self.accelerators_peak // self.replica_accelerators

    @property
    def has_latency_model(self) -> bool:
        """Whether its replicas are sized by the latency objective."""
        return self.slots > 0

    def carried_rps(self, replicas: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Requests per second that replicas carry within the objective (latency model only)."""
        assert self.has_latency_model, f"{self.name} has no slots"
        objective_s = self.latency_ms / 1000.0
        return rate_carried(replicas, self.service_s, self.slots, objective_s, self.quantile)

    def rps_of(self, rates: RateSeries) -> float:
        """Requests per second that one unit of a series stands for (latency model only).

        The peak number of replicas carries the peak rate with its headroom: that settles the scale,
        whatever unit the series came in.
        """
        return _most_rps(self) / (rates.peak_rps * (1.0 + self.headroom))

    def check(self, where: str = "services") -> list[Problem]:
        """Return what is wrong with the service; empty when it is sound."""
        problems = []
        name = f"{where}.{self.name}"
        if self.replica_accelerators < 1 or self.replicas_peak < 1:
            why = "the peak holds not one replica; raise it or make the replica smaller"
            problems.append(Problem(name, "accelerators_peak", str(self.accelerators_peak), why))
        for field, value in (("headroom", self.headroom), ("startup_s", self.startup_s)):
            if not value >= 0.0:
                problems.append(Problem(name, field, str(value), "is 0 or more"))
        if not self.peak_to_mean > 1.0:
            why = "a peak lies above the mean; published services lie between 1.9 and 3.3"
            problems.append(Problem(name, "peak_to_mean", str(self.peak_to_mean), why))
        return problems + self._check_latency(name)

    def _check_latency(self, name: str) -> list[Problem]:
        if self.slots == 0:
            return []
        problems = []
        if self.slots < 0:
            why = "is 1 or more, or 0 to leave latency out"
            problems.append(Problem(name, "slots", str(self.slots), why))
        if not (np.isfinite(self.service_s) and self.service_s > 0.0):
            why = "is above 0 where a replica has slots: how long a request holds one"
            problems.append(Problem(name, "service_s", str(self.service_s), why))
        if not self.latency_ms >= 0.0:
            problems.append(Problem(name, "latency_ms", str(self.latency_ms), "is 0 or more"))
        if not 0.0 < self.quantile < 1.0:
            why = "is a share of the requests, above 0 and below 1"
            problems.append(Problem(name, "quantile", str(self.quantile), why))
        if not problems and self.replicas_peak > 0 and not _most_rps(self) > 0.0:
            why = "cannot be met by the peak number of replicas at any rate"
            problems.append(Problem(name, "latency_ms", str(self.latency_ms), why))
        return problems


@lru_cache(maxsize=256)
def _most_rps(service: Service) -> float:
    """What the peak number of replicas carries; found by halving, so kept."""
    return float(service.carried_rps(service.replicas_peak))


def synthetic_rates(
    start_ns: int,
    periods: int,
    period_s: float,
    *,
    seed: int,
    name: str,
    peak_to_mean: float = 2.4,
    timezone: str = "Europe/Amsterdam",
) -> RateSeries:
    """Make a request rate with a daily and a weekly rhythm and correlated noise.

    The rhythm times a lognormal noise (cut at 1.8 standard deviations) is raised to the power that
    makes the declared peak, rhythm's top times noise's limit, `peak_to_mean` times the mean. A long
    series comes close to its declared peak and never passes it.

    Args:
        start_ns: start of the window, ns UTC.
        periods: number of intervals.
        period_s: length of an interval, s.
        seed: the run's seed.
        name: of the service; names the random stream.
        peak_to_mean: declared peak over mean, above 1. ServeGen (Alibaba, 2025): 1.9 to 3.3 over
            14 days of ten-minute rates of language models.
        timezone: whose hours of the day the rhythm follows.

    Returns:
        A synthetic series whose declared peak is `peak_to_mean` and whose mean is about 1 over
        whole weeks.
    """
    rhythm = _rhythm(start_ns, periods, period_s, timezone)
    kept = NOISE_KEPT_PER_H ** (period_s / 3600.0)
    shocks = stream(seed, "jobs", "rates", name).standard_normal(periods)
    noise = _autoregressive(shocks, kept)
    noise = np.clip(noise, -NOISE_LIMIT_SD, NOISE_LIMIT_SD) * NOISE_SD
    week = _rhythm(0, 7 * 24, 3600.0, "UTC")
    top = float(np.log(week.max())) + NOISE_LIMIT_SD * NOISE_SD
    low, high = 0.05, 20.0
    for _ in range(60):
        power = (low + high) / 2
        ratio = np.exp(power * top) / _mean_of_power(week, power)
        low, high = (power, high) if ratio < peak_to_mean else (low, power)
    rate = np.exp(power * (np.log(rhythm) + noise)) / _mean_of_power(week, power)
    return RateSeries(
        name=name,
        start_ns=start_ns,
        period_s=period_s,
        rate_rps=rate,
        peak_rps=float(np.exp(power * top) / _mean_of_power(week, power)),
        source="our generator; peak over mean after ServeGen (Alibaba, 2025)",
        state="synthetic",
        note=f"daily and weekly rhythm, declared peak {peak_to_mean:g} times the mean",
    )


def _mean_of_power(week: npt.NDArray[np.float64], power: float) -> float:
    """Mean of (rhythm times cut lognormal noise) to a power, the noise over its distribution."""
    z = np.linspace(-6.0, 6.0, 1201)
    weight = np.exp(-(z**2) / 2.0)
    noise = np.exp(power * NOISE_SD * np.clip(z, -NOISE_LIMIT_SD, NOISE_LIMIT_SD))
    return float((week**power).mean() * (noise * weight).sum() / weight.sum())


def _autoregressive(shocks: npt.NDArray[np.float64], kept: float) -> npt.NDArray[np.float64]:
    """First-order autoregression with unit variance, as a short moving average of the shocks.

    Weights below a thousandth are dropped, so no loop over time is needed.
    """
    reach = max(1, min(len(shocks), int(np.ceil(np.log(1e-3) / np.log(kept)))))
    weights = kept ** np.arange(reach)
    smooth = np.convolve(shocks, weights)[: len(shocks)]
    spread = np.sqrt(np.cumsum(weights**2))
    spread = np.concatenate([spread, np.full(max(0, len(shocks) - reach), spread[-1])])
    return np.asarray(smooth / spread[: len(shocks)], dtype=np.float64)


def local_hours(
    start_ns: int, hours: int, timezone: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Local hour of day (0..23) and weekday (0 is Monday) of consecutive UTC hours."""
    zone = ZoneInfo(timezone)
    first_s = start_ns // NS_PER_H * 3600
    stamps = [
        datetime.fromtimestamp(first_s + 3600 * h, UTC).astimezone(zone) for h in range(hours)
    ]
    hour = np.array([t.hour for t in stamps], dtype=np.int64)
    return hour, np.array([t.weekday() for t in stamps], dtype=np.int64)


def _rhythm(start_ns: int, periods: int, period_s: float, timezone: str) -> npt.NDArray[np.float64]:
    """Daily times weekly shape at the middle of each interval, linear between hours."""
    middle_h = ((start_ns % NS_PER_H) / NS_PER_S + period_s * (np.arange(periods) + 0.5)) / 3600.0
    hours = int(middle_h[-1]) + 3 if periods else 2
    hour, weekday = local_hours(start_ns, hours, timezone)
    shape = np.array(DAY_SHAPE)[hour] * np.where(weekday >= 5, WEEKEND_SHAPE, 1.0)
    at = np.arange(hours) + 0.5
    return np.asarray(np.interp(middle_h, at, shape), dtype=np.float64)


def capacity(
    rates: RateSeries, service: Service, before_rps: Sequence[float] | None = None
) -> npt.NDArray[np.int64]:
    """Replicas an autoscaler wants in each interval, from the rates of past intervals alone.

    It wants the last rate times (1 + headroom), up at once, down only when the lower number has
    sufficed for `scale_down_s` (the rule of the Kubernetes horizontal autoscaler), between 1 and
    the peak. A replica is sized so that the peak number carries the peak rate with its headroom.

    With the latency model it asks early: a replica asked for now serves only `startup_s` later, so
    the last rise is taken to go on until the middle of the interval that begins then, and the
    replicas are the fewest that meet the objective at that rate times (1 + headroom).

    Args:
        rates: requests per second, T intervals.
        service: the service.
        before_rps: rates of the intervals just before the first; None: nothing is known, and the
            service starts at its peak.

    Returns:
        int64[T], replicas wanted from the start of each interval.
    """
    known = np.array([rates.peak_rps] if before_rps is None else before_rps, dtype=np.float64)
    seen = np.concatenate([known, rates.rate_rps])[:-1] if len(rates) else known[:0]
    wanted = _sufficient(rates, service, seen)
    wanted = np.clip(wanted, 1, service.replicas_peak).astype(np.int64)
    held = max(1, 1 + int(np.ceil(service.scale_down_s / rates.period_s)))
    padded = np.concatenate([np.ones(held - 1, dtype=np.int64), wanted])
    if not len(padded):
        return wanted
    windows = np.lib.stride_tricks.sliding_window_view(padded, held)
    return np.asarray(windows.max(axis=1)[len(known) - 1 :][: len(rates)], dtype=np.int64)


def _sufficient(
    rates: RateSeries, service: Service, seen: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    """Replicas that suffice for what is expected after each rate seen, unbounded."""
    if not service.has_latency_model:
        per_replica = rates.peak_rps * (1.0 + service.headroom) / service.replicas_peak
        return np.asarray(np.ceil(seen * (1.0 + service.headroom) / per_replica - 1e-9))
    rise = np.maximum(np.diff(seen, prepend=seen[:1]), 0.0)
    ahead = 1.0 + service.startup_s / rates.period_s
    expected = np.minimum(seen + ahead * rise, rates.peak_rps)
    # a hair less, so that the peak itself is carried by the peak number and not by one more
    asked_rps = expected * (1.0 + service.headroom) * service.rps_of(rates) * (1.0 - 1e-9)
    objective_s = service.latency_ms / 1000.0
    return capacity_for_latency(
        asked_rps, service.service_s, service.slots, objective_s, service.quantile
    )


def layer_cake(
    replicas: npt.NDArray[np.int64],
    service: Service,
    *,
    start_ns: int,
    period_s: float,
    chip: str,
    state: str = "synthetic",
) -> JobTable:
    """Turn wanted replicas into timed jobs: one per level and contiguous stretch it is wanted.

    Args:
        replicas: int64[T], 0 or more.
        service: whose replicas they are.
        start_ns: start of the first interval, ns UTC.
        period_s: length of an interval, s.
        chip: reference chip of the replicas.
        state: "synthetic", or "measured" when the rates are.

    Returns:
        Jobs submitted at the edge where their level is first wanted, ending by the wall clock where
        it is no longer. The jobs running at any instant are exactly the wanted replicas.
    """
    edge = np.diff(np.concatenate([[0], replicas, [0]]).astype(np.int64))
    before = np.concatenate([[0], replicas]).astype(np.int64)
    after = np.concatenate([replicas, [0]]).astype(np.int64)
    starts, levels = _levels(np.maximum(edge, 0), before)
    ends, ended = _levels(np.maximum(-edge, 0), after)
    # Every level alternates start, end, start, end: sorted by level, then time, they pair up.
    by_start, by_end = np.lexsort((starts, levels)), np.lexsort((ends, ended))
    first, last = starts[by_start], ends[by_end]
    period_ns = round(period_s * NS_PER_S)
    order = np.lexsort((levels[by_start], first))
    work = (last - first)[order] * period_ns
    return JobTable.of(
        submit_ns=start_ns + first[order] * period_ns,
        accelerators=service.replica_accelerators,
        work_ns=work,
        walltime_ns=np.maximum(work, MIN_WALLTIME_NS),
        job_class=int(JobClass.INFERENCE_REALTIME),
        priority=service.priority,
        mission=int(service.mission),
        timed=True,
        service=0,
        tenants=(service.tenant,),
        chips=(chip,),
        services=(service.name,),
        origin="replicas of the inference services",
        state=state,
    )


def _levels(
    steps: npt.NDArray[np.int64], base: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(interval, level) of every level passed: `steps[t]` levels from `base[t]` + 1 upwards."""
    at = np.repeat(np.arange(len(steps)), steps)
    within = np.arange(len(at)) - np.repeat(np.cumsum(steps) - steps, steps)
    return at, base[at] + 1 + within


def ready_replicas(
    replicas: npt.NDArray[np.int64], startup_s: float, period_s: float
) -> npt.NDArray[np.float64]:
    """Replicas that serve, of those that run: each starts up first.

    Args:
        replicas: int64[T], replicas that run in each interval; the service was settled before.
        startup_s: time from the start of a replica until it serves, s, 0 or more.
        period_s: length of an interval, s.

    Returns:
        float64[T], mean over each interval: a replica counts once it has run for `startup_s`.
    """
    whole, part = divmod(startup_s / period_s, 1.0)
    reach = int(whole) + 1
    padded = np.concatenate([np.repeat(replicas[:1], reach), replicas])
    if not len(replicas):
        return padded.astype(np.float64)
    # level l serves at an instant when at least l replicas ran all through the start-up before it
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach + 1)
    longer, shorter = windows.min(axis=1), windows[:, 1:].min(axis=1)
    return np.asarray(part * longer + (1.0 - part) * shorter, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Served:
    """How much of the request rate stood within capacity.

    Attributes:
        requests: requests asked, from rates and interval lengths.
        beyond: requests in excess of the capacity that served.
        share_beyond: `beyond` over `requests`.
        intervals_beyond: share of the intervals in which the rate passed the capacity.
    """

    requests: float
    beyond: float
    share_beyond: float
    intervals_beyond: float


def served(rates: RateSeries, replicas: npt.NDArray[np.int64], service: Service) -> Served:
    """Compare the rate with what the running replicas carry.

    A replica serves only from `startup_s` on. A replica carries the peak rate over the peak number
    of replicas at its latency objective, headroom included (with the latency model, what meets the
    objective): what passes that is counted as beyond capacity, not as lost. What becomes of it is
    told by `gigafactory.jobs.serving.answered`.

    Args:
        rates: requests per second, T intervals.
        replicas: int64[T], replicas that ran.
        service: the service.

    Returns:
        Requests within and beyond capacity.
    """
    serving = ready_replicas(replicas, service.startup_s, rates.period_s)
    if service.has_latency_model:
        carried = service.carried_rps(serving) / service.rps_of(rates)
    else:
        carried = serving * (rates.peak_rps * (1.0 + service.headroom) / service.replicas_peak)
    over = np.maximum(rates.rate_rps - carried, 0.0)
    requests = float(rates.rate_rps.sum()) * rates.period_s
    beyond = float(over.sum()) * rates.period_s
    share = beyond / requests if requests > 0.0 else 0.0
    intervals = float(np.mean(over > 1e-12)) if len(rates) else 0.0
    return Served(requests, beyond, share, intervals)


def _rates_with_warm_up(
    service: Service,
    start_ns: int,
    end_ns: int,
    seed: int,
    period_s: float,
    timezone: str,
    rates: RateSeries | None,
) -> tuple[RateSeries, int]:
    """Rates of a service over a window, and how many intervals before it they begin."""
    period_ns = round(period_s * NS_PER_S)
    warm = 1 + int(np.ceil(service.scale_down_s / period_s))
    periods = warm + max(1, -((start_ns - end_ns) // period_ns))
    begin_ns = start_ns - warm * period_ns
    if rates is not None:
        return rates.onto(begin_ns, periods, period_s), warm
    series = synthetic_rates(
        begin_ns,
        periods,
        period_s,
        seed=seed,
        name=f"{service.tenant}/{service.name}",
        peak_to_mean=service.peak_to_mean,
        timezone=timezone,
    )
    return series, warm


def rates_of(
    service: Service,
    *,
    start_ns: int,
    end_ns: int,
    seed: int,
    period_s: float = 900.0,
    timezone: str = "Europe/Amsterdam",
) -> RateSeries:
    """The synthetic rates that `replica_jobs` follows over the same window with the same seed."""
    series, warm = _rates_with_warm_up(service, start_ns, end_ns, seed, period_s, timezone, None)
    return replace(series, start_ns=start_ns, rate_rps=series.rate_rps[warm:])


def replica_jobs(
    service: Service,
    *,
    start_ns: int,
    end_ns: int,
    chip: str,
    seed: int,
    period_s: float = 900.0,
    timezone: str = "Europe/Amsterdam",
    rates: RateSeries | None = None,
) -> JobTable:
    """Jobs of a service over a window: rates, autoscaler and layer cake in one step.

    Args:
        service: the service.
        start_ns: start of the window, ns UTC.
        end_ns: end of the window, ns UTC.
        chip: reference chip of the replicas.
        seed: the run's seed.
        period_s: interval the autoscaler decides in, s.
        timezone: whose hours the synthetic rhythm follows.
        rates: a real series, repeated over the window; None makes a synthetic one.

    Returns:
        Timed jobs; the autoscaler has seen a warm-up before the window, so it starts settled.
    """
    series, warm = _rates_with_warm_up(service, start_ns, end_ns, seed, period_s, timezone, rates)
    wanted = capacity(series, service, before_rps=series.rate_rps[:1].tolist())[warm:]
    jobs = layer_cake(
        wanted, service, start_ns=start_ns, period_s=period_s, chip=chip, state=series.state
    )
    return jobs.said(f"service {service.name}: {series.note}")
