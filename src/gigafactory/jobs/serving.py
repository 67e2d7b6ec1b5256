"""What becomes of the requests: answered, waiting, refused, or answered by a smaller model.

Given the replicas that were ready, and how much of their speed was left when power ran short. The
backlog is a fluid (requests per interval, none by itself), which is exact where many are served;
the wait of a quantile adds to the fluid's wait what chance does within the interval, from Erlang's
formula and never more than a queue can grow by chance in that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem
from gigafactory.jobs.latency import refused_share, wait_s
from gigafactory.jobs.services import RateSeries, Service

Floats = npt.NDArray[np.float64]

Policy = Literal["queue", "shed", "smaller_model"]


@dataclass(frozen=True, slots=True)
class Shortage:
    """What a service does with more requests than it can answer.

    Attributes:
        policy: "queue" lets them wait up to `patience_s`; "shed" refuses at once what would wait
            longer than the latency objective; "smaller_model" answers as many as it must by a
            smaller model, and refuses what even that cannot answer within the objective.
        patience_s: longest wait in the queue, s, 0 or more; a longer queue is refused. Ours
            (assumption).
        smaller_times: requests that the smaller model answers in the time of one, above 1.
            ML.ENERGY's fullest batches, 2025: Llama 3.1 8B over 70B gives 5.7 on H100, 2.9 on B200
            (output tokens per accelerator; measured). That an 8B stands in for a 70B is ours
            (assumption).
        quality: what the reader must know of the answers.
    """

    policy: Policy = "queue"
    patience_s: float = 60.0
    smaller_times: float = 2.9
    quality: str = (
        "a smaller model answers worse; by how much is not modelled: such answers are counted"
    )

    def check(self, where: str = "shortage") -> list[Problem]:
        """Return what is wrong; empty when it is sound."""
        problems = []
        if self.policy not in get_args(Policy):
            why = f"is one of {', '.join(get_args(Policy))}"
            problems.append(Problem(where, "policy", self.policy, why))
        if not (np.isfinite(self.patience_s) and self.patience_s >= 0.0):
            problems.append(Problem(where, "patience_s", str(self.patience_s), "is 0 or more"))
        if not (np.isfinite(self.smaller_times) and self.smaller_times > 1.0):
            why = "is above 1: a smaller model answers more in the same time"
            problems.append(Problem(where, "smaller_times", str(self.smaller_times), why))
        return problems


QUEUE: Final = Shortage()
#: A share of the speed below this is no speed.
_OFF: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Requests of each interval by what became of them, float64[T] each.

    In every interval: asked + queued before = served + shed + queued.

    Attributes:
        asked_requests: that came.
        served_requests: answered, by whatever model.
        queued_requests: waiting at the end of the interval.
        shed_requests: refused.
        degraded_requests: of those served, answered by the smaller model.
        wait_s: the wait that the service's quantile of the requests that are served did not pass;
            infinite where nothing could be served.
        met: bool[T], whether that lay within the latency objective; true where nobody asked.
    """

    asked_requests: Floats
    served_requests: Floats
    queued_requests: Floats
    shed_requests: Floats
    degraded_requests: Floats
    wait_s: Floats
    met: npt.NDArray[np.bool_]

    @property
    def met_share(self) -> float:
        """Share of the requests that came in intervals in which the objective was met."""
        asked = float(self.asked_requests.sum())
        met = float(self.asked_requests[self.met].sum())
        return min(met / asked, 1.0) if asked > 0.0 else 1.0


def answered(
    rates: RateSeries,
    ready: npt.ArrayLike,
    service: Service,
    *,
    capacity_share: npt.ArrayLike = 1.0,
    shortage: Shortage = QUEUE,
) -> Answered:
    """Follow the requests of a service through the replicas that were ready.

    Args:
        rates: the series the service follows, T intervals; `Service.rps_of` settles its scale.
        ready: float[T], replicas that served in each interval (`ready_replicas` of those that ran).
        service: the service; it must have the latency model.
        capacity_share: float[T] or one number in 0..1, speed left to the replicas: a throttled
            replica holds as many requests and takes longer over each.
        shortage: what is done with more requests than can be answered.

    Returns:
        Requests by interval, and the wait met in each.
    """
    rate_rps = rates.rate_rps * service.rps_of(rates)
    share = np.broadcast_to(np.asarray(capacity_share, np.float64), rate_rps.shape)
    replicas = np.broadcast_to(np.asarray(ready, np.float64), rate_rps.shape)
    assert np.all((share >= 0.0) & (share <= 1.0)), "a share of the speed lies in 0..1"
    share = np.where(share > _OFF, share, 0.0)
    slots = np.floor(replicas * service.slots + 1e-9).astype(np.int64)
    objective_s = service.latency_ms / 1000.0
    smaller = np.zeros(len(rate_rps))
    if shortage.policy == "smaller_model":
        smaller = _smaller_share(rate_rps, service.carried_rps(replicas) * share, shortage)
    times = 1.0 - smaller * (1.0 - 1.0 / shortage.smaller_times)
    full_rps = slots / service.service_s * share / times
    # while the power is off nothing is served: its wait is set below, any service time will do
    holds_s = service.service_s * times / np.where(share > 0.0, share, 1.0)
    patience_s = shortage.patience_s
    by_chance = np.zeros(len(rate_rps))
    if shortage.policy != "queue":
        patience_s = objective_s
        by_chance = refused_share(rate_rps, holds_s, slots, patience_s)
    fluid = _fluid(rate_rps, full_rps, rates.period_s, patience_s, service.quantile)
    queued, shed, behind_s = fluid
    asked = rate_rps * rates.period_s
    shed = np.maximum(shed, np.minimum(by_chance * asked, asked - queued))
    served = asked - np.diff(queued, prepend=0.0) - shed
    chance_s = wait_s(rate_rps, holds_s, slots, service.quantile)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a queue grows by chance no faster than the sum of its comings and goings lets it
        walk = np.sqrt((rate_rps + full_rps) * rates.period_s) / full_rps
    sigmas = NormalDist().inv_cdf((1.0 + service.quantile) / 2.0)
    wait = np.minimum(behind_s + np.minimum(chance_s, sigmas * walk), patience_s)
    wait = np.where(full_rps > 0.0, wait, np.where(rate_rps > 0.0, np.inf, 0.0))
    return Answered(
        asked_requests=asked,
        served_requests=served,
        queued_requests=queued,
        shed_requests=shed,
        degraded_requests=served * smaller,
        wait_s=wait,
        met=wait <= objective_s + 1e-9,
    )


def _smaller_share(rate_rps: Floats, carried_rps: Floats, shortage: Shortage) -> Floats:
    """Smallest share of the requests that must go to the smaller model for all to be carried."""
    excess = np.maximum(rate_rps - carried_rps, 0.0)
    over = np.divide(excess, rate_rps, out=np.zeros_like(excess), where=excess > 0.0)
    return np.minimum(over / (1.0 - 1.0 / shortage.smaller_times), 1.0)


def _fluid(
    rate_rps: Floats, full_rps: Floats, period_s: float, patience_s: float, quantile: float
) -> tuple[Floats, Floats, Floats]:
    """Queued and shed requests of each interval, and the fluid's wait at the quantile, s.

    Within an interval the backlog moves in a straight line between 0 and the longest queue that is
    answered within the patience; what passes that is refused.
    """
    queued, shed, behind_s = (np.zeros(len(rate_rps)) for _ in range(3))
    backlog = 0.0
    for t, (rate, full) in enumerate(zip(rate_rps.tolist(), full_rps.tolist(), strict=True)):
        longest = full * patience_s
        refused = max(backlog - longest, 0.0)
        first = backlog - refused
        slope = rate - full
        last = max(first + slope * period_s, 0.0)
        refused += max(last - longest, 0.0)
        last = min(last, longest)
        # the longest waits are at the end of a rise and at the beginning of a fall
        at_s = period_s * (quantile if slope > 0.0 else 1.0 - quantile)
        if full > 0.0:
            behind_s[t] = min(max(first + slope * at_s, 0.0), longest) / full
        queued[t], shed[t] = last, refused
        backlog = last
    return queued, shed, behind_s
