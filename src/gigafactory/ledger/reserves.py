"""What balancing reserves pay, in whole micro-euro, out of the meters of a site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.ledger.quantise import spread

Ints = npt.NDArray[np.int64]
_PPM: Final = 1_000_000
#: Sums that are priced, and so remainders that are carried.
RESTS: Final = 8
_AFRR: Final = ("afrr_up", "afrr_down")


def activated_wh(meter: Mapping[str, Ints]) -> Ints:
    """What aFRR adds to what was bought, Wh per period: activated down less activated up.

    The position of a party is corrected by what was *activated*; that this is the Dutch rule was
    not verified. The energy of FCR is not corrected: it stays in the imbalance.
    """
    return np.asarray(meter["afrr_down_asked_wh"] - meter["afrr_up_asked_wh"])


def imbalance_micro_eur(meter: Mapping[str, Ints], off_wh: Ints) -> Ints:
    """Imbalance price per period, micro-euro per MWh: that of the short or that of the long."""
    short, long = meter["imbalance_price_micro_eur"], meter["imbalance_long_micro_eur"]
    return np.where(off_wh > 0, short, long)


def reserve_pay(meter: Mapping[str, Ints], rest: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """What reserves cost per period, micro-euro; what they earn is negative.

    Args:
        meter: readings of a site by name, each int64[periods].
        rest: remainders of the sums, int64[`RESTS`]; carried on in place.

    Returns:
        Capacity of FCR, capacity of aFRR, energy of aFRR, and pay withheld: the last four accounts
        of `PAID`.
    """

    def priced(at: int, wh: str, price: str) -> Ints:
        units, left = spread(meter[wh], meter[price], _PPM, int(rest[at]))
        rest[at] = left
        return units

    fcr = priced(0, "fcr_sold_wh", "fcr_price_micro_eur")
    up, down = (
        priced(k, f"{p}_sold_wh", f"{p}_price_micro_eur") for k, p in enumerate(_AFRR, start=1)
    )
    # up we sell energy at the price of the last bid activated, down we buy it
    given, taken = (
        priced(k, f"{p}_asked_wh", f"{p}_energy_micro_eur") for k, p in enumerate(_AFRR, start=3)
    )
    withheld = sum(
        (
            priced(k, f"{p}_withheld_wh", f"{p}_price_micro_eur")
            for k, p in enumerate(("fcr", *_AFRR), start=5)
        ),
        np.zeros_like(fcr),
    )
    return -fcr, -(up + down), taken - given, withheld


__all__ = ["RESTS", "activated_wh", "imbalance_micro_eur", "reserve_pay"]
