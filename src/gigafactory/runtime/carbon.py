"""Carbon of a run's electricity, counted in every way from the book."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.grid.carbon import CarbonAccount, carbon_account, indirect_water_m3
from gigafactory.ledger import METERS, Book
from gigafactory.runtime.told import Told
from gigafactory.units import NS_PER_H

Array = npt.NDArray[np.float64]

_M = {name: i for i, name in enumerate(METERS)}
_WATER_OF = {"offshore_wind": "wind", "onshore_wind": "wind", "solar": "solar"}
NO_MARGINAL = (
    "carbon.marginal_kg: no series of marginal intensity is given, so what one MWh more changes is "
    "not told; the average says what was drawn"
)
NO_RESIDUAL = (
    "carbon.market_kg, carbon.hourly_kg: no residual mix by the hour is public, so the grid's "
    "average stands in, which understates them"
)
NO_MIX = "carbon.indirect_water_m3: the factory file does not say what the grid's power is made of"


def _accounts(book: Book) -> list[CarbonAccount]:
    """The account of each site, by the hour."""
    n, step = book.periods, book.header.edges_ns[2]
    hour = np.arange(n, dtype=np.int64) * step // NS_PER_H
    accounts = []
    for s in range(len(book.header.sites)):
        meter = {name: book.meter[:n, s, _M[name]] for name in ("import_wh", "guaranteed_wh")}
        factor = book.meter[:n, s, _M["carbon_mg"]] / 1e6
        accounts.append(
            carbon_account(
                load_mwh=meter["import_wh"] / 1e6,
                cfe_mwh=meter["guaranteed_wh"] / 1e6,
                average_kg_per_mwh=factor,
                residual_kg_per_mwh=factor,
                hour=hour,
            )
        )
    return accounts


def carbon(told: Told, book: Book) -> dict[str, Any] | None:
    """The block `carbon` of the summary: all sites together; None before a period is done.

    Energy is matched at each site for itself: a contract belongs to the site whose use it covers.
    """
    if not book.periods:
        return None
    accounts = _accounts(book)
    load, matched = (
        np.sum([getattr(a, name) for a in accounts], axis=0) for name in ("load_mwh", "matched_mwh")
    )
    total = float(load.sum())
    drawn = load > 0.0
    # an hour is covered when each of its sites is
    full = drawn & np.all([a.matched_mwh >= a.load_mwh for a in accounts], axis=0)
    made = sum(float((a.matched_mwh + a.excess_mwh).sum()) for a in accounts)
    covered = sum(
        min(float(a.load_mwh.sum()), float((a.matched_mwh + a.excess_mwh).sum())) for a in accounts
    )
    water, matched_water = _water(told.factory, told, book, accounts)
    it = float(book.meter[: book.periods, :, _M["it_wh"]].sum()) / 1e6
    own = float(book.meter[: book.periods, :, _M["water_ml"]].sum()) / 1e6
    lacking = [NO_MARGINAL, NO_RESIDUAL, *([NO_MIX] if water is None else [])]
    return {
        "import_mwh": total,
        "carbon_free_mwh": made,
        "matched_mwh": float(matched.sum()),
        "excess_mwh": made - float(matched.sum()),
        "location_kg": sum(a.location_total_kg for a in accounts),
        "market_kg": sum(a.market_total_kg for a in accounts),
        "hourly_kg": sum(a.hourly_total_kg for a in accounts),
        "marginal_kg": None,
        "annual_matched_share": covered / total if total else None,
        "cfe_share": float(matched.sum()) / total if total else None,
        "hours_matched_share": float(full.sum()) / int(drawn.sum()) if drawn.any() else None,
        "average_kg_per_mwh": _ratio(sum(a.location_total_kg for a in accounts), total),
        "unmatched_kg_per_mwh": _ratio(
            sum(a.hourly_total_kg for a in accounts), total - float(matched.sum())
        ),
        "indirect_water_m3": water,
        "indirect_water_matched_m3": matched_water,
        "wue_source_l_per_kwh": _ratio(own + water, it) if water is not None else None,
        "by_month": _months(told, accounts),
        "not_counted": lacking,
    }


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 1e-9 and math.isfinite(above) else None


def _water(
    factory: Factory, told: Told, book: Book, accounts: list[CarbonAccount]
) -> tuple[float | None, float | None]:
    """Water taken where the electricity was made: all by the mix, and matched energy by its own.

    Factors are those of the run's first day.
    """
    mix = factory.energy.mix
    if mix is None:
        return None, None
    day = told.calendar.local_dates[0]
    names = list(factory.sites)
    all_by_mix = by_contract = 0.0
    for s, account in enumerate(accounts):
        load = float(account.load_mwh.sum())
        all_by_mix += float(indirect_water_m3(load, mix.shares, day).sum())
        rest = load - float(account.matched_mwh.sum())
        by_contract += float(indirect_water_m3(rest, mix.shares, day).sum())
        given = {
            k: float(book.contract[: book.periods, k, 0].sum())
            for k, p in enumerate(factory.energy.ppas)
            if p.site == names[s] and book.header.contract_guaranteed[k]
        }
        whole = sum(given.values())
        for k, wh in given.items():
            part = float(account.matched_mwh.sum()) * wh / whole if whole else 0.0
            source = _WATER_OF[factory.energy.ppas[k].technology]
            by_contract += float(indirect_water_m3(part, {source: 1.0}, day).sum())
    return all_by_mix, by_contract


def _months(told: Told, accounts: list[CarbonAccount]) -> list[dict[str, Any]]:
    """Import, matched energy and carbon by calendar month."""
    calendar, hours = told.calendar, len(accounts[0].load_mwh)
    per_hour = round(1.0 / float(calendar.hours()[0]))
    at = np.minimum(np.arange(hours) * per_hour, calendar.periods - 1)
    names, of_day = calendar.months(calendar.days)
    month = of_day[calendar.day_of[at]]
    rows = []
    for m, name in enumerate(names):
        mine = month == m
        if not mine.any():
            continue
        load = sum(float(a.load_mwh[mine].sum()) for a in accounts)
        matched = sum(float(a.matched_mwh[mine].sum()) for a in accounts)
        rows.append(
            {
                "month": name,
                "import_mwh": load,
                "matched_mwh": matched,
                "cfe_share": _ratio(matched, load),
                "location_kg": sum(float(a.location_kg[mine].sum()) for a in accounts),
                "hourly_kg": sum(float(a.hourly_kg[mine].sum()) for a in accounts),
            }
        )
    return rows


__all__ = ["carbon"]
