"""Meters as the service's settings describe them, and how each becomes one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gigafactory.adapters.metering.dcgm import DcgmMeter
from gigafactory.adapters.metering.judging import Bounds, Judge
from gigafactory.adapters.metering.prometheus import PrometheusMeter
from gigafactory.adapters.metering.scrape import Pick, ScrapeMeter


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PointSettings(_Closed):
    """A point a meter gives, and what its values must hold to."""

    unit: str = Field("MW", description="unit of the point's value")
    least: float = Field(0.0, description="no real value is lower, in the point's unit")
    most: float = Field(math.inf, description="no real value is higher, in the point's unit")
    stale_s: float = Field(10.0, gt=0.0, description="older than this a sample is not good, s")
    stuck_after: int = Field(30, ge=0, description="same values after which it is stuck; 0 never")
    factor: float = Field(
        1.0, description="from the source's unit to the point's: 1e-6 for W to MW"
    )
    metric: str = Field("", description="exposition pages: name of the metric")
    labels: dict[str, str] = Field(default_factory=dict, description="labels its samples have")
    selector: str = Field("", description="Prometheus: selector of the series whose sum it is")
    expected: int = Field(0, ge=0, description="Prometheus: series that must be there; 0 for any")

    def bounds(self) -> Bounds:
        """What its samples must hold to."""
        return Bounds(self.unit, self.least, self.most, self.stale_s, stuck_after=self.stuck_after)


class _Asked(_Closed):
    timeout_s: float = Field(2.0, gt=0.0, le=30.0, description="longest wait for an answer, s")


class PrometheusSettings(_Asked):
    """A Prometheus server."""

    kind: Literal["prometheus"]
    url: str = Field(description="address of the server")
    points: dict[str, PointSettings] = Field(description="points by name, such as it or connection")


class ScrapeSettings(_Asked):
    """An exposition page, read directly."""

    kind: Literal["page"]
    url: str = Field(description="address of the page")
    points: dict[str, PointSettings] = Field(description="points by name, such as it or connection")


class DcgmSettings(_Asked):
    """DCGM exporters on the nodes; the points are pools, in MW."""

    kind: Literal["dcgm"]
    urls: dict[str, str] = Field(description="address of each node's page")
    pools: dict[str, list[str]] = Field(description="names of the nodes of each pool")
    node_size: int = Field(8, ge=1, description="accelerators of a node")
    accelerator_w_max: float = Field(1500.0, gt=0.0, description="no accelerator draws more, W")
    stale_s: float = Field(30.0, gt=0.0, description="older than this a sample is not good, s")


MeterSettings = Annotated[
    PrometheusSettings | ScrapeSettings | DcgmSettings, Field(discriminator="kind")
]


def open_meter(
    settings: PrometheusSettings | ScrapeSettings | DcgmSettings, now_ns: Callable[[], int]
) -> PrometheusMeter | ScrapeMeter | DcgmMeter:
    """Make the meter that settings describe; nothing is asked of it yet.

    Args:
        settings: of the meter.
        now_ns: tells the time.
    """
    if isinstance(settings, DcgmSettings):
        bounds = {
            pool: Bounds(
                "MW",
                most=len(nodes) * settings.node_size * settings.accelerator_w_max / 1e6,
                stale_s=settings.stale_s,
            )
            for pool, nodes in settings.pools.items()
        }
        return DcgmMeter(
            settings.urls, settings.pools, settings.node_size, Judge(bounds),
            settings.timeout_s, now_ns,
        )  # fmt: skip
    points = settings.points
    judge = Judge({name: point.bounds() for name, point in points.items()})
    if isinstance(settings, ScrapeSettings):
        picks = {name: Pick(p.metric, p.labels, p.factor) for name, p in points.items()}
        return ScrapeMeter(settings.url, picks, judge, settings.timeout_s, now_ns)
    selectors = {name: (p.selector, p.factor) for name, p in points.items()}
    expected = {name: p.expected for name, p in points.items()}
    return PrometheusMeter(settings.url, selectors, judge, settings.timeout_s, expected)
