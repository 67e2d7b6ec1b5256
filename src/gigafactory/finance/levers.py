"""What may go otherwise than planned: the levers that scenarios and random draws pull.

Each lever is one number, or one a draw; nought, or one for a factor, leaves the plan as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Number = float | Floats


@dataclass(frozen=True, slots=True)
class Dip:
    """Bad years with a way back.

    Attributes:
        from_year: first year of operation that is hit, 1 for the first one.
        years: how long it is hit in full.
        recovery_years: years of an even way back.
        price_factor: prices at the bottom over the plan's.
        utilisation_fraction: share of the installed hours less.
    """

    from_year: int
    years: int
    recovery_years: int
    price_factor: float = 1.0
    utilisation_fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class Levers:
    """What differs from the plan.

    Attributes:
        price_factor: prices of compute.
        price_change_fraction: yearly change of a price while a generation grows old; the plan's
            where None.
        utilisation_factor: hours sold.
        utilisation_fraction: share of the installed hours that is sold less.
        energy_price_factor: price of energy and transport.
        energy_per_hour_factor: energy of an accelerator-hour.
        opex_factor: yearly cost by line, other than energy, transport and water.
        capex_factor: price of assets by class.
        all_capex_factor: price of all assets.
        power_delay_years: years that power comes late, while everything else is there and paid.
        approval_delay_years: years by which everything but development shifts: whole years, the
            same for all draws; parts are rounded up.
        it_life_years: years until accelerators are bought again; the middle life where None.
        rate_fraction: interest beyond the plan's.
        rate_from_year: first year of operation in which it counts.
        granted: names of grants that count beside those the plan counts.
        grant_of_capex_fraction: a grant of another country, as a share of the first capex.
        access_fraction: share of the hours that goes without price for that grant.
        tax_rate: the plan's where None.
        dip: bad years.
    """

    price_factor: Number = 1.0
    price_change_fraction: Number | None = None
    utilisation_factor: Number = 1.0
    utilisation_fraction: Number = 0.0
    energy_price_factor: Number = 1.0
    energy_per_hour_factor: Number = 1.0
    opex_factor: Mapping[str, Number] = field(default_factory=dict)
    capex_factor: Mapping[str, Number] = field(default_factory=dict)
    all_capex_factor: Number = 1.0
    power_delay_years: Number = 0.0
    approval_delay_years: float = 0.0
    it_life_years: Number | None = None
    rate_fraction: Number = 0.0
    rate_from_year: int = 1
    granted: tuple[str, ...] = ()
    grant_of_capex_fraction: float = 0.0
    access_fraction: float = 0.0
    tax_rate: float | None = None
    dip: Dip | None = None


def column(value: Number, draws: int) -> Floats:
    """A lever as one value a draw, in a column."""
    spread: Floats = np.broadcast_to(np.asarray(value, dtype=np.float64).ravel(), (draws,))
    return spread.reshape(-1, 1).astype(np.float64)


def shifted(profile: Floats, years: Floats) -> Floats:
    """A yearly profile that comes later; parts of a year are shared between two years.

    Args:
        profile: years along the last axis, one row or one a draw; what is pushed beyond the end
            is lost, so leave room.
        years: one a draw, in a column, nought or more.
    """
    rows = np.broadcast_to(np.atleast_2d(profile), (len(years), np.atleast_2d(profile).shape[1]))
    span = rows.shape[1]
    whole = np.floor(years).astype(np.int64)
    part = years - whole
    at = np.arange(span, dtype=np.int64)[None, :]

    def moved(by: npt.NDArray[np.int64]) -> Floats:
        source = at - by
        taken = np.take_along_axis(rows, np.clip(source, 0, span - 1), axis=1)
        kept: Floats = np.where(source >= 0, taken, 0.0)
        return kept

    result: Floats = (1.0 - part) * moved(whole) + part * moved(whole + 1)
    return result


__all__ = ["Dip", "Levers", "Number", "column", "shifted"]
