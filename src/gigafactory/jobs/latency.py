"""How long requests wait: Erlang's formula for a queue in front of many slots (M/M/c).

A replica answers `slots` requests at once (the batch a language model decodes together), each for
a mean service time; `servers` replicas make c = servers x slots slots. With requests that come by
chance (Poisson) and service times that are exponential, the share that must wait is Erlang's
C(c, a) for an offered load of a = rate x service time, and a wait passes t with probability
C(c, a) exp(-(c / service time - rate) t) (Erlang 1917; Gross and Harris, *Fundamentals of Queueing
Theory*). The objective is on the wait before a slot is free; what a request takes once it has one
is not in it.

All functions take arrays and broadcast; loads may be tens of thousands.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: A term this small beside the sum adds nothing.
_NOTHING: Final = 1e-17
#: From so many slots on B is found by an integral: the sum would take a term per place.
_MANY: Final = 256
#: Natural logarithms by which the integrand has fallen where it is cut.
_FALLS: Final = 40.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
#: Loads taken together: some megabytes at a time.
_AT_ONCE: Final = 8192
#: Up to so many replicas, what each number carries is tabulated.
_TABULATED: Final = 2000
#: Halvings of an interval of rates: exact to a part in 10^12.
_HALVINGS: Final = 42


def _erlang_b(slots: Ints, load: Floats) -> Floats:
    """Share of requests lost where none may wait, for 0 or more slots and a load above 0."""
    share = np.zeros_like(load)
    many = slots >= _MANY
    share[~many] = _by_sum(slots[~many], load[~many])
    share[many] = _by_integral(slots[many].astype(np.float64), load[many])
    return share


def _by_integral(c: Floats, a: Floats) -> Floats:
    """B(c, a) for many slots: 1 / B is a times the integral of exp(-a t) (1 + t)^c from 0 on.

    The integrand is nearly a bell, at t = c/a - 1 or, where the load passes the slots, cut at 0.
    Gauss's rule over all of it that counts agrees with the sum to a part in 10^10.
    """
    log_share = np.zeros(len(c))
    for first in range(0, len(c), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        slots, load = c[some], a[some]
        top = np.maximum(slots / load - 1.0, 0.0)
        reach = np.sqrt(2.0 * _FALLS / slots)
        low = np.maximum(top - reach * (1.0 + top), 0.0)
        high = top + (reach + _FALLS / slots) * (1.0 + top)
        over = load - slots
        high = np.where(over > 0.0, np.minimum(high, _FALLS / np.maximum(over, 1e-300)), high)
        half = (high - low) / 2.0
        t = low[:, None] + half[:, None] * (1.0 + _NODES)
        peak = slots * np.log1p(top) - load * top
        bell = slots[:, None] * np.log1p(t) - load[:, None] * t - peak[:, None]
        log_share[some] = -np.log(load * half * (np.exp(bell) @ _WEIGHTS)) - peak
    return np.exp(np.minimum(log_share, 0.0))


def _by_sum(slots: Ints, load: Floats) -> Floats:
    """B(c, a): 1 / B is the sum over k of c (c-1) ... (c-k+1) / a^k; nothing cancels."""
    term = np.ones_like(load)
    total = np.ones_like(load)
    c = slots.astype(np.float64)
    for k in range(int(slots.max(initial=0))):
        term = term * np.maximum(c - k, 0.0) / load
        total = total + term
        term = np.where(np.isinf(total), 0.0, term)  # so many spare slots that nothing is lost
        # terms grow while more than a slots are left, and are over once they vanish in the sum
        if not np.any(term > _NOTHING * total):
            break
    return 1.0 / total


def erlang_c(slots: npt.ArrayLike, load: npt.ArrayLike) -> Floats:
    """Share of requests that must wait for a slot.

    Args:
        slots: requests that can be served at once, 0 or more.
        load: offered load, rate times mean service time, 0 or more.

    Returns:
        C(c, a) in 0..1; 1 where the load reaches the slots and the queue grows without end.
    """
    c, a = np.broadcast_arrays(np.asarray(slots, np.int64), np.asarray(load, np.float64))
    shape = c.shape
    c, a = np.atleast_1d(c).ravel(), np.atleast_1d(a).ravel()
    waits = np.ones(len(c))
    waits[a <= 0.0] = np.where(c[a <= 0.0] > 0, 0.0, 1.0)
    some = (a > 0.0) & (a < c)
    with np.errstate(over="ignore"):
        b = _erlang_b(c[some], a[some])
    waits[some] = b / (1.0 - a[some] / c[some] * (1.0 - b))
    return waits.reshape(shape)


def wait_share(
    rate_rps: npt.ArrayLike, mean_service_s: npt.ArrayLike, slots: npt.ArrayLike, t_s: npt.ArrayLike
) -> Floats:
    """Share of requests that wait longer than a time.

    Args:
        rate_rps: requests per second.
        mean_service_s: mean time a request holds its slot, s, above 0.
        slots: requests that can be served at once.
        t_s: the time, s, 0 or more.

    Returns:
        P(wait > t) in 0..1; 1 where the queue grows without end.
    """
    rate, service = np.asarray(rate_rps, np.float64), np.asarray(mean_service_s, np.float64)
    c = np.asarray(slots, np.int64)
    spare_rps = np.maximum(c / service - rate, 0.0)
    return np.asarray(erlang_c(c, rate * service) * np.exp(-spare_rps * np.asarray(t_s)))


def wait_s(
    rate_rps: npt.ArrayLike,
    mean_service_s: npt.ArrayLike,
    slots: npt.ArrayLike,
    quantile: float = 0.99,
) -> Floats:
    """The wait that a share of all requests does not pass.

    Args:
        rate_rps: requests per second.
        mean_service_s: mean time a request holds its slot, s, above 0.
        slots: requests that can be served at once.
        quantile: the share, above 0 and below 1.

    Returns:
        Seconds: 0 where fewer than 1 - quantile must wait, infinite where the queue has no end.
    """
    rate, service = np.asarray(rate_rps, np.float64), np.asarray(mean_service_s, np.float64)
    c = np.asarray(slots, np.int64)
    waits, spare_rps = np.broadcast_arrays(erlang_c(c, rate * service), c / service - rate)
    result = np.full(waits.shape, np.inf)
    result[waits <= 1.0 - quantile] = 0.0
    some = (waits > 1.0 - quantile) & (spare_rps > 0.0)
    result[some] = np.log(waits[some] / (1.0 - quantile)) / spare_rps[some]
    return result


def refused_share(
    rate_rps: npt.ArrayLike,
    mean_service_s: npt.ArrayLike,
    slots: npt.ArrayLike,
    patience_s: float,
) -> Floats:
    """Share of requests refused where nobody is let in who would wait longer than a patience.

    The queue then holds at most K = patience x slots / service time requests, and the share refused
    is that of M/M/c/(c + K): B r^K / (1 + B (r + ... + r^K)) with r = load / slots, at any load.

    Args:
        rate_rps: requests per second.
        mean_service_s: mean time a request holds its slot, s, above 0.
        slots: requests that can be served at once.
        patience_s: longest wait, s, 0 or more.

    Returns:
        The share in 0..1; 1 where there are no slots, 0 where nothing is asked.
    """
    rate, service, c = np.broadcast_arrays(
        np.asarray(rate_rps, np.float64),
        np.asarray(mean_service_s, np.float64),
        np.asarray(slots, np.int64),
    )
    refused = np.where(rate > 0.0, 1.0, 0.0)
    some = (rate > 0.0) & (c > 0)
    load = rate[some] * service[some]
    longest = patience_s * c[some] / service[some]
    # a load at the slots exactly is moved aside by less than shows: the sum needs no own case
    r = load / c[some]
    r = np.where(np.abs(r - 1.0) < 1e-9, 1.0 + 1e-9, r)
    with np.errstate(all="ignore"):  # each branch is computed for every load, and used for its own
        b = _erlang_b(c[some], load)
        small = np.minimum(r, 1.0 / r) ** longest
        below = b * small / (1.0 + b * r * (1.0 - small) / (1.0 - r))
        above = b / (small + b * (1.0 - small) / (1.0 - 1.0 / r))
    refused[some] = np.where(r < 1.0, below, above)
    return refused


def capacity_for_latency(
    rate_rps: npt.ArrayLike,
    mean_service_s: float,
    slots: int,
    objective_s: float,
    quantile: float = 0.99,
) -> Ints:
    """Fewest replicas with which a share of the requests waits no longer than an objective.

    Args:
        rate_rps: requests per second, any shape, 0 or more.
        mean_service_s: mean time a request holds its slot, s, above 0.
        slots: requests one replica serves at once, 1 or more.
        objective_s: longest wait for a slot, s, 0 or more.
        quantile: share of the requests that must meet it, above 0 and below 1.

    Returns:
        Replicas, int64 of the same shape; 0 where nothing is asked.
    """
    asked = np.asarray(rate_rps, np.float64)
    assert np.isfinite(asked).all(), "a rate is finite"
    top_rps = float(asked.max(initial=0.0))
    most = int(top_rps * mean_service_s / slots) + 1
    if slots * most >= _MANY and most <= _TABULATED:
        objective = (mean_service_s, slots, objective_s, quantile)
        while float(rate_carried(most, *objective)) < top_rps:
            most += 1 + most // 64
        carried = rate_carried(np.arange(most + 1), *objective)
        return np.searchsorted(carried, asked).astype(np.int64)
    rates, back = np.unique(asked, return_inverse=True)
    servers = np.zeros(len(rates), dtype=np.int64)
    left = np.flatnonzero(rates > 0.0)
    # a rate may be so small that its product is nought; the smallest number stands for it
    load = np.maximum(rates[left] * mean_service_s, np.finfo(np.float64).tiny)
    c = np.floor(load).astype(np.int64)
    b = _erlang_b(c, load)
    while len(left):
        # one slot more: B(c) = a B(c-1) / (c + a B(c-1)); only whole replicas are looked at
        c = c + 1
        b = load * b / (c + load * b)
        waits = b / (1.0 - load / c * (1.0 - b))
        spare_rps = (c - load) / mean_service_s
        late = waits * np.exp(-spare_rps * objective_s)
        done = (c % slots == 0) & (late <= 1.0 - quantile)
        servers[left[done]] = c[done] // slots
        if done.any():
            left, load, c, b = left[~done], load[~done], c[~done], b[~done]
    return servers[back].reshape(asked.shape)


def rate_carried(
    servers: npt.ArrayLike,
    mean_service_s: float,
    slots: int,
    objective_s: float,
    quantile: float = 0.99,
) -> Floats:
    """Highest rate that replicas carry within an objective: the inverse of `capacity_for_latency`.

    Args:
        servers: replicas, any shape; a fraction counts for the whole slots in it.
        mean_service_s: mean time a request holds its slot, s, above 0.
        slots: requests one replica serves at once, 1 or more.
        objective_s: longest wait for a slot, s, 0 or more.
        quantile: share of the requests that must meet it, above 0 and below 1.

    Returns:
        Requests per second, float64 of the same shape; 0 for no replica.
    """
    given = np.asarray(servers, np.float64)
    held, back = np.unique(np.floor(given * slots + 1e-9).astype(np.int64), return_inverse=True)
    low = np.zeros(len(held))
    high = held / mean_service_s
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        good = wait_share(middle, mean_service_s, held, objective_s) <= 1.0 - quantile
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low[back].reshape(given.shape)
