"""Meters as the service's settings describe them, and how each becomes one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from gigafactory.adapters.metering.dcgm import DcgmMeter
from gigafactory.adapters.metering.judging import Bounds, Judge
from gigafactory.adapters.metering.prometheus import PrometheusMeter
from gigafactory.adapters.metering.scrape import Pick, ScrapeMeter
from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.quantities import (
    Count,
    PositiveCount,
    PositiveDurationS,
    PositiveRatio,
    PowerW,
)


class PointSettings(Block):
    """A point a meter gives, and what its values must hold to."""

    unit: Text = setting("Unit of the point's value.", "MW")
    least: float = setting("No real value is lower, in the point's unit.", 0.0)
    most: float = setting("No real value is higher, in the point's unit.", math.inf)
    stale_s: PositiveDurationS = setting(
        "Older than this a sample is not good.",
        10.0,
        key="stale",
        source="assumption, 2026: five ticks of the controller",
    )
    stuck_after: Count = setting(
        "So often the very same value, while others move, and it is stuck; 0 never asks.",
        30,
        source="assumption, 2026: a minute of ticks",
    )
    factor: PositiveRatio = setting("From the source's unit to the point's: 1e-6, W to MW.", 1.0)
    metric: str = setting("On a page: name of the metric.", "")
    labels: dict[Text, str] = setting("On a page: labels that its samples have.", {})
    selector: str = setting("At Prometheus: selector of the series whose sum it is.", "")
    expected: Count = setting("At Prometheus: series that must be there; 0 for any.", 0)

    def bounds(self) -> Bounds:
        """What its samples must hold to."""
        return Bounds(self.unit, self.least, self.most, self.stale_s, stuck_after=self.stuck_after)


class _Asked(Block):
    timeout_s: PositiveDurationS = setting("Longest wait for an answer.", 2.0, key="timeout")


class PrometheusSettings(_Asked):
    """A Prometheus server."""

    kind: Literal["prometheus"] = setting("What it is.")
    url: Text = setting("Address of the server.")
    points: dict[Text, PointSettings] = setting("Points by name, such as it or connection.")


class ScrapeSettings(_Asked):
    """An exposition page, read directly."""

    kind: Literal["page"] = setting("What it is.")
    url: Text = setting("Address of the page.")
    points: dict[Text, PointSettings] = setting("Points by name, such as it or connection.")


class DcgmSettings(_Asked):
    """DCGM exporters on the nodes; the points are pools, in MW."""

    kind: Literal["dcgm"] = setting("What it is.")
    urls: dict[Text, Text] = setting("Address of each node's page.")
    pools: dict[Text, list[Text]] = setting("Names of the nodes of each pool.")
    node_size: PositiveCount = setting("Accelerators of a node.", 8)
    accelerator_w_max: PowerW = setting(
        "No accelerator draws more.",
        1500.0,
        key="accelerator_max",
        source="assumption, 2026: above any catalogued chip",
    )
    stale_s: PositiveDurationS = setting(
        "Older than this a sample is not good.",
        30.0,
        key="stale",
        source="assumption, 2026: dcgm-exporter collects every 30 s unless told otherwise",
    )


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
