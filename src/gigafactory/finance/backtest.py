"""Whether a price answers to scarcity as the model says: tried on history, step by step.

The one long public price series at hand is that of Dutch electricity, a good whose supply cannot
follow in the short run. The form ``price = usual price * scarcity ** k`` is fitted on what lies
before each day and held against that day; "as usual" is what it must beat. How much wind and sun
there were that day is given: the response of the price is tried, not a forecast of the weather.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

USUAL_DAYS: Final = 28
FIT_DAYS: Final = 180
#: Prices below this are taken as this: a logarithm needs a positive price.
FLOOR_EUR: Final = 1.0


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a trial on history came to.

    Attributes:
        days: days tried, none of which its own fit had seen.
        exponent_mean: mean of the fitted exponents: the answer of the price to scarcity.
        mae_model_eur, mae_usual_eur: mean absolute error of the model and of "as usual", per MWh.
    """

    days: int
    exponent_mean: float
    mae_model_eur: float
    mae_usual_eur: float

    @property
    def skill_share(self) -> float:
        """How much of the error of "as usual" the model takes away; negative where it adds."""
        return 1.0 - self.mae_model_eur / self.mae_usual_eur

    @property
    def elasticity(self) -> float:
        """Answer of supply and demand together that the exponent implies: its inverse."""
        return 1.0 / self.exponent_mean if self.exponent_mean > 0 else float("inf")


def daily(hours: Floats) -> Floats:
    """Means of whole days; a rest is left out."""
    days = len(hours) // 24
    means: Floats = hours[: days * 24].reshape(days, 24).mean(axis=1)
    return means


def _usual(series: Floats) -> Floats:
    """Mean of the days before each day; NaN where there are too few."""
    found = np.full(len(series), np.nan)
    total = np.concatenate([[0.0], series.cumsum()])
    found[USUAL_DAYS:] = (total[USUAL_DAYS:-1] - total[: -USUAL_DAYS - 1]) / USUAL_DAYS
    return found


def backtest(price: npt.ArrayLike, scarcity: npt.ArrayLike) -> Backtest:
    """Try the response of a price to scarcity on history, walking forward.

    Args:
        price: mean of each day, EUR per MWh, without gaps.
        scarcity: what demand could not get elsewhere on that day, such as load less wind and sun;
            positive.

    Returns:
        Errors over all days after the first 28 + 180; each fit sees earlier days only.
    """
    prices = np.maximum(np.asarray(price, dtype=np.float64), FLOOR_EUR)
    scarce = np.asarray(scarcity, dtype=np.float64)
    assert len(prices) == len(scarce)
    assert (scarce > 0).all(), "scarcity must be positive"
    usual, usual_scarce = _usual(prices), _usual(scarce)
    y, x = np.log(prices / usual), np.log(scarce / usual_scarce)
    first = USUAL_DAYS + FIT_DAYS
    if len(prices) <= first:
        raise ValueError(f"needs more than {first} days, not {len(prices)}")
    exponents, model, plain = [], [], []
    for day in range(first, len(prices)):
        past = slice(day - FIT_DAYS, day)
        square = float(x[past] @ x[past])
        k = float(x[past] @ y[past]) / square if square > 0 else 0.0
        exponents.append(k)
        model.append(abs(usual[day] * np.exp(k * x[day]) - prices[day]))
        plain.append(abs(usual[day] - prices[day]))
    return Backtest(
        len(model), float(np.mean(exponents)), float(np.mean(model)), float(np.mean(plain))
    )


__all__ = ["FIT_DAYS", "USUAL_DAYS", "Backtest", "backtest", "daily"]
