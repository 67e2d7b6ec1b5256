"""Air temperature and humidity at the site, forecast by Open-Meteo.

`GET /v1/forecast` with `hourly=temperature_2m,relative_humidity_2m`, a range of dates, times as
unix seconds in UTC. Its data are licensed CC BY 4.0; without a key use is free for what is not
commercial, so a running factory needs a key (`apikey`, another address): published, 2026, from its
documentation; no call was made to it here: not verified.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Literal

from gigafactory.adapters.channels.needs import needed
from gigafactory.adapters.feeds.feed import Feed, FeedSettings, Fetched, Unsound
from gigafactory.adapters.feeds.fetching import fetch
from gigafactory.factory.blocks import Text, setting
from gigafactory.factory.quantities import Latitude, Longitude
from gigafactory.units import NS_PER_H, NS_PER_S

_WANTED = {"temperature": ("temperature_2m", "°C"), "humidity": ("relative_humidity_2m", "%")}


class WeatherSettings(FeedSettings):
    """Where the forecast is asked, and for which place."""

    kind: Literal["open_meteo"] = setting("open_meteo.")
    url: Text = setting("Where it is asked.", "https://api.open-meteo.com/v1/forecast")
    latitude: Latitude = setting("Of the site.")
    longitude: Longitude = setting("Of the site.")


class Weather(Feed):
    """The feed; a forecast changes until its day has passed.

    Args:
        settings: where it is, and the place.

    Raises:
        BadInput: the library is missing.
    """

    signals = ("temperature", "humidity")
    bounds = {"temperature": ("degC", -60.0, 60.0), "humidity": ("% RH", 0.0, 100.0)}  # noqa: RUF012
    changes = True

    def __init__(self, settings: WeatherSettings) -> None:
        super().__init__(settings, "Open-Meteo forecast")
        self._httpx = needed("httpx", "serve")
        self._place = settings.latitude, settings.longitude

    def _fetch(self, date: dt.date, now_ns: int) -> Fetched:
        del now_ns
        begin_ns, end_ns = self._window(date)
        first, last = (
            dt.datetime.fromtimestamp(ns // NS_PER_S, dt.UTC).date()
            for ns in (begin_ns, end_ns - NS_PER_S)
        )
        query: dict[str, Any] = {
            "latitude": self._place[0],
            "longitude": self._place[1],
            "hourly": ",".join(name for name, _ in _WANTED.values()),
            "timeformat": "unixtime",
            "timezone": "GMT",
            "start_date": first.isoformat(),
            "end_date": last.isoformat(),
        }
        if self._key:
            query["apikey"] = self._key
        text = fetch(self._httpx, self.settings.url, query, {}, self.settings.timeout_s)
        return {
            signal: (values, "Open-Meteo, weather forecast (CC BY 4.0)", "published", "forecast")
            for signal, values in read_hours(text, begin_ns, end_ns).items()
        }


def read_hours(text: str, begin_ns: int, end_ns: int) -> dict[str, list[float]]:
    """Hourly values between two instants, by signal.

    Raises:
        Unsound: another form, another unit, or an hour missing.
    """
    try:
        told = json.loads(text)
        units, hourly = told["hourly_units"], told["hourly"]
        times = [int(at) * NS_PER_S for at in hourly["time"]]
        found = {}
        for signal, (name, unit) in _WANTED.items():
            if units[name] != unit:
                raise Unsound(f"{name} in {str(units[name])[:20]!r}, not {unit!r}")
            rows = dict(zip(times, hourly[name], strict=True))
            hours = range(begin_ns, end_ns, NS_PER_H)
            found[signal] = [float(rows[at]) for at in hours]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise Unsound("an answer of another form, or an hour missing") from None
    return found
