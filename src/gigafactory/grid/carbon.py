"""Carbon accounts of electricity: one load, every way of counting it, side by side.

**Location-based**: energy x average intensity of the mix in that period. **Market-based**: what
contracts do not cover x residual mix, guarantees counted over the whole span (today's yearly rule).
**Hourly matched**, in both readings a tender may mean:

* as energy: sum over hours of min(load, carbon-free energy) / load (24/7 CFE; what is made beyond
  the load of an hour is lost to the score), beside the share of hours that are covered in full;
* as emissions: what is not matched in its hour x residual mix of that hour.

The **marginal** factor stands beside the average one: it says what a MWh more changes, and never
belongs in an inventory. Definitions: GHG Protocol Scope 2 Guidance (2015) for the first two; the
energy-matched and hours-matched shares and the share with the grid's own carbon-free part from
general knowledge of Google's 24/7 methodology (2021; not read here), so they carry their names.

All arrays have one value per period, shape [P]; a period lies in one hour.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.grid.checking import checked
from gigafactory.grid.figures import Figure, bundled
from gigafactory.grid.ppa import market_based_co2_kg

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CarbonAccount:
    """One load counted in every way. Arrays are per hour, shape [H].

    Attributes:
        load_mwh: energy drawn.
        matched_mwh: carbon-free energy of the same hour, up to the load.
        excess_mwh: carbon-free energy beyond the load of its hour.
        location_kg: location-based.
        market_kg: market-based, by the yearly rule.
        hourly_kg: unmatched energy of each hour at the residual mix of that hour.
        marginal_kg: what drawing the load has changed, by the marginal factor; nan when not given.
        location_total_kg: sum.
        market_total_kg: sum.
        hourly_total_kg: sum.
        marginal_total_kg: sum; nan when no marginal factor was given.
        annual_matched_share: carbon-free energy over load, at most 1, over the whole span.
        cfe_share: the 24/7 score: matched over load.
        hours_matched_share: share of the hours with a load that are covered in full.
        cfe_with_grid_share: the score when the grid's own carbon-free part counts for what is not
            matched; nan when that part was not given.
    """

    load_mwh: Array
    matched_mwh: Array
    excess_mwh: Array
    location_kg: Array
    market_kg: Array
    hourly_kg: Array
    marginal_kg: Array
    location_total_kg: float
    market_total_kg: float
    hourly_total_kg: float
    marginal_total_kg: float
    annual_matched_share: float
    cfe_share: float
    hours_matched_share: float
    cfe_with_grid_share: float


def carbon_account(
    *,
    load_mwh: npt.ArrayLike,
    cfe_mwh: npt.ArrayLike,
    average_kg_per_mwh: npt.ArrayLike,
    residual_kg_per_mwh: npt.ArrayLike,
    hour: npt.ArrayLike,
    marginal_kg_per_mwh: npt.ArrayLike | None = None,
    grid_cfe_share: npt.ArrayLike | None = None,
) -> CarbonAccount:
    """Count a load in every way.

    Within an hour energy is added up before it is matched, so a quarter of an hour of sun covers
    the three others; intensities of an hour are weighed by the load in it.

    Args:
        load_mwh: energy drawn from the grid, MWh, shape [P].
        cfe_mwh: carbon-free energy of own contracts with retired guarantees of origin, MWh, [P].
        average_kg_per_mwh: average intensity of the mix, kg/MWh, [P] or one number.
        residual_kg_per_mwh: intensity of what nobody's guarantees cover, kg/MWh, likewise. Where
            none is published the average stands in; say so in the sources.
        hour: number of the hour each period lies in, integers ascending without gaps from 0, [P].
        marginal_kg_per_mwh: intensity of the next MWh, kg/MWh, likewise.
        grid_cfe_share: carbon-free share of the mix, 0..1, likewise; without what others' contracts
            took out of it, or it counts twice.

    Returns:
        The account.

    Raises:
        BadInput: arrays of unlike length, values that are negative, not finite or not a share,
            hours that do not ascend; all at once.
    """
    given: dict[str, npt.ArrayLike] = {
        "load_mwh": load_mwh,
        "cfe_mwh": cfe_mwh,
        "average_kg_per_mwh": average_kg_per_mwh,
        "residual_kg_per_mwh": residual_kg_per_mwh,
    }
    if marginal_kg_per_mwh is not None:
        given["marginal_kg_per_mwh"] = marginal_kg_per_mwh
    if grid_cfe_share is not None:
        given["grid_cfe_share"] = grid_cfe_share
    at = np.atleast_1d(np.asarray(hour))
    problems: list[Problem] = []
    if not _ascends(at):
        why = "needs whole numbers ascending from 0 without gaps, one per period"
        problems.append(Problem("carbon", "hour", f"shape {at.shape}", why))
    of: dict[str, Array] = {}
    try:
        # a marginal plant may be one that would have been switched off: negative is possible
        of = checked(
            "carbon",
            given,
            signed=("marginal_kg_per_mwh",),
            shares=("grid_cfe_share",),
            periods=len(at),
        )
    except BadInput as bad:
        problems += bad.problems
    if problems:
        raise BadInput(problems)
    return _account(of, at.astype(np.int64))


def _ascends(hour: npt.NDArray[np.generic]) -> bool:
    """Whether hours are whole numbers that ascend from 0 without gaps."""
    if hour.ndim != 1 or not len(hour) or not np.issubdtype(hour.dtype, np.integer):
        return False
    steps = np.diff(hour.astype(np.int64))
    return int(hour[0]) == 0 and bool(np.all((steps == 0) | (steps == 1)))


def _account(of: Mapping[str, Array], hour: npt.NDArray[np.int64]) -> CarbonAccount:
    count = int(hour[-1]) + 1

    def by_hour(values: Array) -> Array:
        return np.asarray(np.bincount(hour, values, count), dtype=np.float64)

    load, cfe = by_hour(of["load_mwh"]), by_hour(of["cfe_mwh"])
    total = float(load.sum())
    matched = np.minimum(load, cfe)
    drawn = load > 0.0

    def weighed(key: str) -> Array:
        """An intensity per hour, weighed by the load; plain where nothing was drawn."""
        plain = by_hour(of[key]) / np.bincount(hour, minlength=count)
        sums = by_hour(of[key] * of["load_mwh"])
        return np.asarray(np.divide(sums, load, out=plain, where=drawn))

    residual = weighed("residual_kg_per_mwh")
    market = by_hour(
        market_based_co2_kg(
            of["load_mwh"], of["cfe_mwh"], of["residual_kg_per_mwh"], matching="total"
        )
    )
    location = by_hour(of["load_mwh"] * of["average_kg_per_mwh"])
    hourly = market_based_co2_kg(load, cfe, residual)
    marginal = np.full(count, np.nan)
    if "marginal_kg_per_mwh" in of:
        marginal = by_hour(of["load_mwh"] * of["marginal_kg_per_mwh"])
    with_grid = math.nan
    if "grid_cfe_share" in of and total > 0.0:
        rest = (load - matched) * np.clip(weighed("grid_cfe_share"), 0.0, 1.0)
        with_grid = float((matched + rest).sum()) / total
    full = drawn & (cfe >= load)
    hours = int(drawn.sum())
    return CarbonAccount(
        load_mwh=load,
        matched_mwh=matched,
        excess_mwh=cfe - matched,
        location_kg=location,
        market_kg=market,
        hourly_kg=hourly,
        marginal_kg=marginal,
        location_total_kg=float(location.sum()),
        market_total_kg=float(market.sum()),
        hourly_total_kg=float(hourly.sum()),
        marginal_total_kg=float(marginal.sum()),
        annual_matched_share=min(float(cfe.sum()) / total, 1.0) if total > 0.0 else math.nan,
        cfe_share=float(matched.sum()) / total if total > 0.0 else math.nan,
        hours_matched_share=float(full.sum()) / hours if hours else math.nan,
        cfe_with_grid_share=with_grid,
    )


def water_factors(day: dt.date) -> dict[str, Figure]:
    """Water consumed per kWh by source of electricity, L/kWh, with its origin, on a local day.

    Raises:
        BadInput: a day before the first known figure.
    """
    return {
        name: figures.on(day)["water_l_per_kwh"] for name, figures in bundled("water.yaml").items()
    }


def indirect_water_m3(
    energy_mwh: npt.ArrayLike, mix_share: Mapping[str, npt.ArrayLike], day: dt.date
) -> Array:
    """Water consumed where the electricity was made, m3 per period.

    Litres per kWh are cubic metres per MWh: energy x sum over sources of share x factor. With it,
    WUE at source = WUE of the site + indirect water / IT energy.

    Args:
        energy_mwh: energy drawn, MWh, shape [P].
        mix_share: share of each source of the mix, 0..1, [P] or one number; names of
            `water_factors`. They must add up to 1: imports count as what made them.
        day: local day whose factors hold.

    Raises:
        BadInput: an unknown source, shares that do not add up, values out of range; all at once.
    """
    factors = water_factors(day)
    problems = [
        Problem("water", f"mix_share.{name}", "", f"unknown source; known: {', '.join(factors)}")
        for name in sorted(set(mix_share) - set(factors))
    ]
    given = {"energy_mwh": energy_mwh, **mix_share}
    of: dict[str, Array] = {}
    try:
        of = checked("water", given, shares=mix_share)
    except BadInput as bad:
        problems += bad.problems
    if of:
        whole = sum((of[name] for name in mix_share), np.zeros(len(of["energy_mwh"])))
        if np.any(np.abs(whole - 1.0) > 1e-6):
            worst = float(whole[int(np.argmax(np.abs(whole - 1.0)))])
            problems.append(Problem("water", "mix_share", f"{worst:g}", "must add up to 1"))
    if problems:
        raise BadInput(problems)
    per_mwh = sum((of[name] * factors[name].value for name in mix_share), np.zeros(1))
    return np.asarray(of["energy_mwh"] * per_mwh)
