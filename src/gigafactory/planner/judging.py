"""How far forecasts were off, by lead time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.planner.information import Array, Forecast


@dataclass(frozen=True, slots=True, eq=False)
class ForecastError:
    """How far forecasts were off, by lead time.

    Attributes:
        name: the signal.
        lead_h: upper edges of the lead-time classes, h, shape [L].
        count: periods judged per class, shape [L].
        mae: mean absolute error of the median, in the signal's unit, shape [L].
        pinball: mean pinball loss over the quantiles, in the signal's unit, shape [L].
        bias: mean of forecast median minus actual value, shape [L].
    """

    name: str
    lead_h: Array
    count: npt.NDArray[np.int64]
    mae: Array
    pinball: Array
    bias: Array


def pinball_loss(predicted: Forecast, actual: Array) -> Array:
    """Pinball loss per probability and period, in the signal's unit, shape [Q, H]; lower is better.

    Args:
        predicted: the forecast.
        actual: what came, shape [H].
    """
    miss = actual[None, :] - predicted.values
    probability = np.asarray(predicted.quantiles)[:, None]
    return np.asarray(np.maximum(probability * miss, (probability - 1.0) * miss))


def errors_by_lead(
    pairs: Iterable[tuple[Forecast, Array]], lead_h: tuple[float, ...] = (1, 3, 6, 12, 24, 36, 48)
) -> ForecastError:
    """Judge forecasts against what came, by lead time.

    Args:
        pairs: forecasts of one signal, each with the actual values of its periods, shape [H].
        lead_h: upper edges of the lead-time classes, h, rising.
    """
    edges = np.asarray(lead_h, dtype=np.float64)
    shape = len(edges) + 1
    count, mae, pinball, bias = (np.zeros(shape) for _ in range(4))
    name = ""
    for predicted, actual in pairs:
        name = predicted.name
        which = np.searchsorted(edges, predicted.lead_h(), side="right")
        off = predicted.median() - actual
        loss = pinball_loss(predicted, actual).mean(axis=0)
        for into, weights in ((mae, np.abs(off)), (pinball, loss), (bias, off)):
            into += np.bincount(which, weights=weights, minlength=shape)
        count += np.bincount(which, minlength=shape)
    count, mae, pinball, bias = (column[:-1] for column in (count, mae, pinball, bias))
    some = np.maximum(count, 1)
    return ForecastError(
        name, edges, count.astype(np.int64), mae / some, pinball / some, bias / some
    )
