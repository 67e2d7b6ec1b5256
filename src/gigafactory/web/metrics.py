"""Metrics in Prometheus' format, in a registry of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

#: Upper bounds of the response times counted, s; 0.25 is the target for 99 of 100.
_TIMES_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: What is measured when somebody looks: name, labels and value.
Sample = tuple[str, dict[str, str], float]

#: Gauges by name, with their meaning.
GAUGES: Final = {
    "gigafactory_store_up": "1 while the store can be reached",
    "gigafactory_controller_status_age_seconds": "Age of the controller's last status",
    "gigafactory_channel_status_age_seconds": "Age of a channel's last status",
    "gigafactory_channel_up": "1 while a channel can be relied on",
    "gigafactory_alarms_open": "Alarms that are open",
}


class Metrics:
    """What the interface counts.

    Args:
        look: what is measured at each reading; see `GAUGES`.
    """

    def __init__(self, look: Callable[[], list[Sample]]) -> None:
        self._registry = CollectorRegistry()
        several = bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
        own = None if several else self._registry
        if several:  # each worker writes its counts to files, and one reading sums them
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self.requests: Final = Counter(
            "gigafactory_http_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=own,
        )
        self.seconds: Final = Histogram(
            "gigafactory_http_request_seconds",
            "Time from the first byte of a request to the last of its answer",
            ["route"],
            buckets=_TIMES_S,
            registry=own,
        )
        self.open: Final = Gauge(
            "gigafactory_http_requests_open",
            "Requests being answered",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.refused: Final = Counter(
            "gigafactory_http_refused",
            "Requests turned away at the door, by reason",
            ["reason"],
            registry=own,
        )
        self.trouble: Final = Counter(
            "gigafactory_store_trouble", "Times the store could not be used", registry=own
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._registry.register(_Looked(look))

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count a request that was answered."""
        known = self._known.get((method, route, status))
        if known is None:
            shown = method if method in _METHODS else "other"
            known = (
                self.requests.labels(shown, route, str(status)),
                self.seconds.labels(route),
            )
            if shown == method:  # any word can be sent as a method; those are not kept
                self._known[method, route, status] = known
        known[0].inc()
        known[1].observe(took_s)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Looked(Collector):
    def __init__(self, look: Callable[[], list[Sample]]) -> None:
        self._look = look

    def describe(self) -> Iterator[Metric]:
        """Nothing before it is asked: a registry would else look when it is made."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """What is seen now."""
        found = self._look()
        for name, meaning in GAUGES.items():
            rows = [row for row in found if row[0] == name]
            if rows:
                family = GaugeMetricFamily(name, meaning, labels=list(rows[0][1]))
                for _, labels, value in rows:
                    family.add_metric(list(labels.values()), value)
                yield family
