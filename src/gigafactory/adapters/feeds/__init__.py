"""Feeds: live prices and weather, each a source that may be late, wrong or silent.

::

    feed        gives                                  from
    DayAhead    price                                  ENTSO-E transparency platform (entsoe-py)
    Settlement  imbalance                              TenneT, settlement prices
    Weather     temperature, humidity                  Open-Meteo, forecast

A feed gives one local day of a signal at a time. The runtime polls it (`LiveFeed.poll`), and it
never raises: what it has lies on disk, what it lacks is told in words (`trouble`). `LiveSignals`
puts feeds together behind the port `grid.SignalSource`; a day that no feed has is filled by name:
the last good day's shape (an assumption), then our generator (synthetic), and each series says so.
"""

from gigafactory.adapters.feeds.entsoe import DayAhead, DayAheadSettings
from gigafactory.adapters.feeds.feed import DayValues, Feed, FeedSettings, LiveFeed
from gigafactory.adapters.feeds.live import LiveSignals
from gigafactory.adapters.feeds.tennet import Settlement, SettlementSettings
from gigafactory.adapters.feeds.weather import Weather, WeatherSettings

__all__ = [
    "DayAhead",
    "DayAheadSettings",
    "DayValues",
    "Feed",
    "FeedSettings",
    "LiveFeed",
    "LiveSignals",
    "Settlement",
    "SettlementSettings",
    "Weather",
    "WeatherSettings",
]
