"""Meters of a real plant, behind `plant.Meter`: Prometheus, exposition pages, DCGM exporters.

What they have in common stands in `judging`: a sample that is too old, out of bounds or stuck is
passed on as not good, and says why; one that is missing is left out. Nothing here raises for
trouble outside.
"""

from gigafactory.adapters.metering.dcgm import DcgmMeter, Missing, pool_sums
from gigafactory.adapters.metering.judging import Bounds, Judge, Sample
from gigafactory.adapters.metering.prometheus import PrometheusMeter
from gigafactory.adapters.metering.scrape import ScrapeMeter, read_page
from gigafactory.adapters.metering.settings import (
    DcgmSettings,
    MeterSettings,
    PointSettings,
    PrometheusSettings,
    ScrapeSettings,
    open_meter,
)

__all__ = [
    "Bounds",
    "DcgmMeter",
    "DcgmSettings",
    "Judge",
    "MeterSettings",
    "Missing",
    "PointSettings",
    "PrometheusMeter",
    "PrometheusSettings",
    "Sample",
    "ScrapeMeter",
    "ScrapeSettings",
    "open_meter",
    "pool_sums",
    "read_page",
]
