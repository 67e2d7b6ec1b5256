"""Day-ahead prices of the ENTSO-E transparency platform, by the library entsoe-py.

The platform answers in XML, with resolutions that changed (hours before 1 October 2025, quarters
since) and points left out where a price repeats (curve type A03). All that is the library's; ours
are the key, which must not show (the platform takes it in the address), the bounds and the count.
"""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any, Literal

from gigafactory.adapters.channels.needs import needed
from gigafactory.adapters.feeds.feed import Feed, FeedSettings, Fetched, Unsound
from gigafactory.factory.blocks import Text, setting
from gigafactory.factory.quantities import PriceEURPerMWh
from gigafactory.units import NS_PER_S

_BOUNDS_SOURCE = (
    "harmonised limits of the single day-ahead coupling: -500 EUR/MWh, and 4000 EUR/MWh since May "
    "2022, which rises by rule after days of high prices; 5000 leaves room for that: published, "
    "2022; the room is an assumption, 2026"
)


class DayAheadSettings(FeedSettings):
    """The platform and the bidding zone."""

    kind: Literal["entsoe"] = setting("entsoe.")
    url: Text = setting("Where it is asked.", "https://web-api.tp.entsoe.eu/api")
    zone: Text = setting("Bidding zone, as the library names it.", "NL")
    price_eur_per_mwh_min: PriceEURPerMWh = setting(
        "A lower price is absurd.", -500.0, key="price_min", source=_BOUNDS_SOURCE
    )
    price_eur_per_mwh_max: PriceEURPerMWh = setting(
        "A higher price is absurd.", 5000.0, key="price_max", source=_BOUNDS_SOURCE
    )


class _Session:
    """Asks the address of our settings, whatever the library has built in."""

    def __init__(self, session: Any, url: str) -> None:
        session.trust_env = False
        self._session, self._url, self.headers = session, url, session.headers

    def get(self, url: str, **what: Any) -> Any:  # noqa: ARG002  (the library's call)
        return self._session.get(self._url, allow_redirects=False, **what)


class DayAhead(Feed):
    """The feed.

    Args:
        settings: the platform and the zone.

    Raises:
        BadInput: the key or the library is missing.
    """

    signals = ("price",)

    def __init__(self, settings: DayAheadSettings) -> None:
        low, high = settings.price_eur_per_mwh_min, settings.price_eur_per_mwh_max
        self.bounds = {"price": ("EUR/MWh", low, high)}
        super().__init__(settings, "ENTSO-E day-ahead prices")
        requests, library = needed("requests", "entsoe"), needed("entsoe", "entsoe")
        self._zone = settings.zone
        self._client = library.EntsoePandasClient(
            api_key=self._key,
            session=_Session(requests.Session(), settings.url),
            retry_count=1,
            retry_delay=0,
            timeout=settings.timeout_s,
        )

    def _fetch(self, date: dt.date, now_ns: int) -> Fetched:
        del now_ns
        pandas = needed("pandas", "entsoe")
        begin_ns, end_ns = self._window(date)
        start, end = (pandas.Timestamp(ns, unit="ns", tz="UTC") for ns in (begin_ns, end_ns))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library's, on its own use of pandas
                prices = self._client.query_day_ahead_prices(self._zone, start=start, end=end)
        except (
            Exception
        ) as error:  # whatever the library makes of an answer; its words may hold the key
            name = type(error).__name__
            if name == "NoMatchingDataError":
                raise Unsound("not published yet") from None
            status = getattr(getattr(error, "response", None), "status_code", "")
            raise Unsound(f"no sound answer ({name} {status})".replace(" )", ")")) from None
        rows = [
            (int(at.value), float(price))
            for at, price in zip(prices.index, prices.to_numpy(), strict=True)
            if begin_ns <= at.value < end_ns
        ]
        step_ns = (end_ns - begin_ns) // max(len(rows), 1)
        if [at for at, _ in rows] != list(range(begin_ns, end_ns, max(step_ns, NS_PER_S))):
            raise Unsound(f"{len(rows)} prices that do not fill the day evenly")
        source = f"ENTSO-E transparency platform, day-ahead prices of {self._zone} (A44)"
        return {"price": ([price for _, price in rows], source, "published", "")}
