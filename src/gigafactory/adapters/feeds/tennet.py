"""Settlement prices of imbalance, from TenneT's public interface.

`GET /publications/v1/settlement-prices` with `date_from` and `date_to` as local time, the header
`apikey`, and CSV: one row per imbalance settlement period (`Isp`, counted from 1 within the local
day) with `Price Shortage` and `Price Surplus` in EUR/MWh. Read from the columns that several public
clients of it agree on (2024 to 2026); no call was made to it here: not verified.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Literal

from gigafactory.adapters.channels.needs import needed
from gigafactory.adapters.feeds.feed import Feed, FeedSettings, Fetched, Unsound
from gigafactory.adapters.feeds.fetching import fetch
from gigafactory.factory.blocks import Text, setting
from gigafactory.factory.quantities import PriceEURPerMWh

_START, _ISP = "Timeinterval Start Loc", "Isp"
_SHORT, _LONG = "Price Shortage", "Price Surplus"


class SettlementSettings(FeedSettings):
    """TenneT's interface."""

    kind: Literal["tennet"] = setting("tennet.")
    url: Text = setting("Where it is asked.", "https://api.tennet.eu/publications/v1")
    price_eur_per_mwh_max: PriceEURPerMWh = setting(
        "A price beyond this, either way, is absurd.",
        15_000.0,
        key="price_max",
        source="limit of bids for balancing energy, 15000 EUR/MWh: published, 2022, not verified",
    )


class Settlement(Feed):
    """The feed: one price for both directions, the mean of shortage and surplus.

    Args:
        settings: where it is.

    Raises:
        BadInput: the key or the library is missing.
    """

    signals = ("imbalance",)

    def __init__(self, settings: SettlementSettings) -> None:
        most = settings.price_eur_per_mwh_max
        self.bounds = {"imbalance": ("EUR/MWh", -most, most)}
        super().__init__(settings, "TenneT settlement prices")
        self._httpx = needed("httpx", "serve")

    def _fetch(self, date: dt.date, now_ns: int) -> Fetched:
        del now_ns
        text = fetch(
            self._httpx,
            self.settings.url.rstrip("/") + "/settlement-prices",
            {
                "date_from": f"{date:%d-%m-%Y} 00:00:00",
                "date_to": f"{date:%d-%m-%Y} 23:59:59",
            },
            {"apikey": self._key, "Accept": "text/csv"},
            self.settings.timeout_s,
        )
        values, dual = read_settlement(text, date)
        note = "mean of shortage and surplus" + (f", which differ in {dual} periods" * bool(dual))
        source = "TenneT, settlement prices of imbalance"
        return {"imbalance": (values, source, "published", note)}


def read_settlement(text: str, date: dt.date) -> tuple[list[float], int]:
    """Prices of a local day by settlement period, and in how many the two differ.

    Raises:
        Unsound: no such table, a period missing or twice, or no number.
    """
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    found: dict[int, tuple[float, float]] = {}
    for row in rows:
        try:
            if (row[_START] or "")[:10] != date.isoformat():
                continue
            period = int(row[_ISP])
            prices = float(row[_SHORT]), float(row[_LONG])
        except (KeyError, ValueError, TypeError):
            raise Unsound("a row that is none") from None
        if period in found and found[period] != prices:
            raise Unsound(f"period {period} stands there twice")
        found[period] = prices
    if not found:
        raise Unsound("not published yet")
    if sorted(found) != list(range(1, len(found) + 1)):
        raise Unsound("periods are missing")
    ordered = [found[period] for period in sorted(found)]
    dual = sum(short != surplus for short, surplus in ordered)
    return [0.5 * (short + surplus) for short, surplus in ordered], dual
