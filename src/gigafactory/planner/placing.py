"""Where a job should wait, of the pools that may have it: the least expected cost, in euro.

Pure: outlooks made from forecasts in, pools out. What counts is the energy a job adds at each site
over the time it will run, the hours it waits there before it starts, and its data, which lie
somewhere and cost money and time to move. An accelerator-hour is worth far more than the energy in
it: a job goes where it starts first, unless another pool saves more than a stated gain. Without
that, all work crowds at the site whose power is a little cheaper, and waits there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Hours that an outlook covers; what starts later is taken to start at its end.
OUTLOOK_H = 168


@dataclass(slots=True)
class PoolOutlook:
    """A pool as it will be, as far as anybody knows.

    Attributes:
        site: number of its site.
        cost_eur_per_mwh: what a MWh of IT adds at the site per coming hour, [OUTLOOK_H]: energy,
            levies and carbon, the plant's overhead in it, less what its heat brings.
        power_kw: what an accelerator adds when it works, per class.
        free_accelerators: accelerators free now (first) or expected to be by the end of each hour,
            never falling, [OUTLOOK_H].
        ahead_accelerators: asked by jobs that go first.
    """

    site: int
    cost_eur_per_mwh: Floats
    power_kw: Floats
    free_accelerators: Floats
    ahead_accelerators: float

    def wait_h(self, accelerators: float, run_h: float, ahead: float | None = None) -> float:
        """Hours until a job is expected to start behind those that go first.

        At once if it finds its accelerators free and will have ended when those before it find
        theirs (backfill); else when there are enough for them and it.
        """
        first = self.ahead_accelerators if ahead is None else ahead
        if accelerators <= self.free_accelerators[0] and run_h <= np.searchsorted(
            self.free_accelerators, first
        ):
            return 0.0
        return float(np.searchsorted(self.free_accelerators, first + accelerators))

    def take(self, accelerators: float, run_h: float) -> None:
        """Count on a job that was sent there: it starts at once, or goes before later ones."""
        if self.wait_h(accelerators, run_h) > 0.0:
            self.ahead_accelerators += accelerators
        else:
            self.free_accelerators[: int(np.ceil(run_h))] -= accelerators

    def energy_eur(self, job_class: int, gpu_h: float, from_h: float, run_h: float) -> float:
        """What the energy of a job costs there, by the mean cost of the hours in which it runs."""
        first = min(int(from_h), OUTLOOK_H - 1)
        last = min(max(int(np.ceil(from_h + run_h)), first + 1), OUTLOOK_H)
        mean = float(self.cost_eur_per_mwh[first:last].mean())
        return gpu_h * float(self.power_kw[job_class]) / 1000.0 * mean


@dataclass(frozen=True, slots=True)
class Road:
    """What moving data from one site to another takes.

    Attributes:
        eur_per_tb: price of a TB.
        h_per_tb: time of a TB.
    """

    eur_per_tb: float
    h_per_tb: float


@dataclass(frozen=True, slots=True)
class Ask:
    """A job to be placed.

    Attributes:
        job_class: its class.
        accelerators: it asks.
        run_h: time it will run, by its own estimate.
        options: numbers of the pools that may have it.
        data_tb: data that must be where it runs.
        data_site: site where they are now.
        delay_eur_per_gpu_h_day: cost of one of its accelerator-hours delayed by a day.
        ahead_accelerators: per pool, asked by those that go before it; empty for all that wait.
    """

    job_class: int
    accelerators: int
    run_h: float
    options: tuple[int, ...]
    data_tb: float
    data_site: int
    delay_eur_per_gpu_h_day: float
    ahead_accelerators: tuple[float, ...] = ()

    @property
    def gpu_h(self) -> float:
        """Accelerator-hours it asks."""
        return self.accelerators * self.run_h


def starts_h(
    ask: Ask, pools: Sequence[PoolOutlook], i: int, roads: Sequence[Sequence[Road]]
) -> float:
    """Hours until a job is expected to start in pool `i`, its data there."""
    on_the_road_h = ask.data_tb * roads[ask.data_site][pools[i].site].h_per_tb
    ahead = ask.ahead_accelerators[i] if ask.ahead_accelerators else None
    return max(pools[i].wait_h(ask.accelerators, ask.run_h, ahead), on_the_road_h)


def cost_eur(
    ask: Ask, pools: Sequence[PoolOutlook], i: int, roads: Sequence[Sequence[Road]]
) -> float:
    """What a job is expected to cost in pool `i`: energy, waiting and data."""
    later_h = starts_h(ask, pools, i, roads)
    energy = pools[i].energy_eur(ask.job_class, ask.gpu_h, later_h, ask.run_h)
    waiting = ask.gpu_h * later_h / 24.0 * ask.delay_eur_per_gpu_h_day
    return energy + waiting + ask.data_tb * roads[ask.data_site][pools[i].site].eur_per_tb


def first_to_start(
    ask: Ask, pools: Sequence[PoolOutlook], roads: Sequence[Sequence[Road]], home: int
) -> int:
    """The pool in which a job is expected to start first; its home among equals, then by number."""
    return min(ask.options, key=lambda i: (starts_h(ask, pools, i, roads), i != home, i))


def place(
    ask: Ask,
    pools: Sequence[PoolOutlook],
    roads: Sequence[Sequence[Road]],
    stays_in: int = -1,
    gain_eur_per_gpu_h: float = 0.0,
) -> int:
    """The pool with the least expected cost, the lowest number among equals.

    Args:
        ask: the job.
        pools: every pool.
        roads: from each site to each.
        stays_in: pool in which it waits, or would start first (-1: none); it stays unless another
            is cheaper by more than the gain.
        gain_eur_per_gpu_h: what another pool must save per accelerator-hour of the job.
    """
    costs = {i: cost_eur(ask, pools, i, roads) for i in sorted(ask.options)}
    best = min(costs, key=lambda i: (costs[i], i))
    if stays_in >= 0 and costs[stays_in] - costs[best] <= gain_eur_per_gpu_h * ask.gpu_h:
        return stays_in
    return best


def worth_moving(
    ask: Ask,
    home: PoolOutlook,
    other: PoolOutlook,
    roads: Sequence[Sequence[Road]],
    lost_gpu_h: float,
    gpu_h_eur: float,
    gain_eur_per_gpu_h: float,
) -> float:
    """What moving a running job saves, in euro, beyond what it must save; negative: it stays.

    Args:
        ask: what is left of the job.
        home: the pool it runs in.
        other: the pool it would go to, where it must find its accelerators free now.
        roads: from each site to each.
        lost_gpu_h: accelerator-hours that starting again takes.
        gpu_h_eur: what one of these is worth.
        gain_eur_per_gpu_h: what a move must save per accelerator-hour left.
    """
    if other.wait_h(ask.accelerators, ask.run_h) > 0.0:
        return -np.inf
    road = roads[ask.data_site][other.site]
    here = home.energy_eur(ask.job_class, ask.gpu_h, 0.0, ask.run_h)
    there = other.energy_eur(ask.job_class, ask.gpu_h, 0.0, ask.run_h)
    price = ask.data_tb * road.eur_per_tb + lost_gpu_h * gpu_h_eur
    return here - there - price - gain_eur_per_gpu_h * ask.gpu_h
