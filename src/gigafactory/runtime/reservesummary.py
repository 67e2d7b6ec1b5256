"""What balancing reserves came to, for the summary: sold, there, delivered, paid."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.ledger import METERS, Book
from gigafactory.ledger.book import PAID
from gigafactory.runtime.loop import Trace
from gigafactory.runtime.told import Told

Ints = npt.NDArray[np.int64]

_M = {name: i for i, name in enumerate(METERS)}
#: Accounts of the ledger that hold what reserves earn and cost.
RESERVE_ACCOUNTS: Final = ("fcr_capacity", "afrr_capacity", "afrr_energy", "reserve_penalty")
#: Power sold, by product: meters without their unit, and columns of the series.
SOLD: Final = ("fcr_sold", "afrr_up_sold", "afrr_down_sold")
#: Products by the names of the meters, and of the planner.
PRODUCTS: Final = {"fcr": "fcr", "afrr_up": "up", "afrr_down": "down"}


def product_rows(meter: Ints) -> list[dict[str, Any]]:
    """What each product came to in some periods: sold, called, there, delivered, paid.

    Args:
        meter: readings, int64[periods, sites, `METERS`].
    """

    def metered(name: str) -> Any:
        return meter[:, :, _M[name]].astype(np.float64)

    def total(name: str) -> float:
        return float(metered(name).sum()) / 1e6

    def paid(wh: str, price: str) -> float:
        return float((metered(wh) * metered(price)).sum()) / 1e12

    rows: list[dict[str, Any]] = []
    for product in PRODUCTS:
        sold, lacking = total(f"{product}_sold_wh"), total(f"{product}_lacking_wh")
        names = ("fcr_up_wh", "fcr_down_wh") if product == "fcr" else (f"{product}_asked_wh",)
        asked, missed = sum(map(total, names)), total(f"{product}_missed_wh")
        energy = 0.0
        if product != "fcr":
            energy = paid(f"{product}_asked_wh", f"{product}_energy_micro_eur")
        rows.append(
            {
                "product": product,
                "sold_mw_h": sold,
                "capacity_eur": paid(f"{product}_sold_wh", f"{product}_price_micro_eur"),
                "withheld_eur": paid(f"{product}_withheld_wh", f"{product}_price_micro_eur"),
                "energy_eur": -energy if product == "afrr_down" else energy,
                "available_share": 1.0 - lacking / sold if sold else None,
                "asked_mwh": asked,
                "missed_mwh": missed,
                "delivered_share": 1.0 - missed / asked if asked else None,
            }
        )
    return rows


def reserves_of(told: Told, book: Book, trace: Trace) -> dict[str, Any] | None:
    """The part of the summary on reserves; None for a factory that sells none."""
    if not any(one.sells for one in told.factory.energy.reserves):
        return None
    n = book.periods
    rows = product_rows(book.meter[:n])
    for row in rows:
        kept = PRODUCTS[row["product"]]
        row["schedule_cost_eur"] = sum(sale.cost_eur.get(kept, 0.0) for sale in trace.sales)
    accounts = {name: -float(book.paid[:n, :, PAID.index(name)].sum()) for name in RESERVE_ACCOUNTS}
    synthetic = any(row.state == "synthetic" for row in told.reserves)
    return {
        "synthetic": synthetic,
        "prices": "synthetic reserve prices" if synthetic else "reserve prices",
        "revenue_eur": sum(accounts.values()) / 1e6,
        "schedule_cost_eur": sum(row["schedule_cost_eur"] for row in rows),
        "auctions": len(trace.sales),
        "without_bid": sum(sale.status != "optimal" for sale in trace.sales),
        "products": rows,
    }


__all__ = ["PRODUCTS", "RESERVE_ACCOUNTS", "SOLD", "product_rows", "reserves_of"]
