"""Reads points from a Prometheus server by its HTTP API.

A server answers an instant query with what it saw last, up to five minutes ago, so a dead exporter
would pass for a live one. Each point is therefore asked for three things: its sum, the instant of
its oldest sample, and how many series there are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from gigafactory.adapters.metering.judging import Judge, Sample
from gigafactory.adapters.metering.scrape import new_client
from gigafactory.plant.ports import Reading
from gigafactory.units import NS_PER_S


class PrometheusMeter:
    """A meter that asks a Prometheus server.

    Args:
        url: of the server, without ``/api/v1``.
        selectors: per point, the series that make it by their sum, as a plain selector such as
            ``DCGM_FI_DEV_POWER_USAGE{pool="a"}``, and the factor to the point's unit.
        judge: whether samples are good.
        timeout_s: longest wait for an answer.
        expected: per point, how many series must be there for it to be whole; 0 asks for any.
    """

    def __init__(
        self,
        url: str,
        selectors: Mapping[str, tuple[str, float]],
        judge: Judge,
        timeout_s: float,
        expected: Mapping[str, int] | None = None,
    ) -> None:
        self._url, self._selectors, self.judge = url.rstrip("/"), dict(selectors), judge
        self._expected = dict(expected or {})
        self._client = new_client(timeout_s)

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        """Latest readings of the points asked for, those unavailable left out."""
        samples: dict[str, Sample] = {}
        trouble = ""
        for point in points:
            if point not in self._selectors:
                continue
            selector, factor = self._selectors[point]
            sum_of, trouble = self._ask(f"sum({selector})", now_ns)
            if trouble:
                break
            oldest, trouble = self._ask(f"min(timestamp({selector}))", now_ns)
            if trouble:
                break
            count, trouble = self._ask(f"count({selector})", now_ns)
            if trouble:
                break
            if sum_of is None or oldest is None:
                continue
            whole = (count or 0.0) >= self._expected.get(point, 0)
            taken = round(oldest * 1000.0) * (NS_PER_S // 1000)
            samples[point] = Sample(point, taken, sum_of * factor, whole)
        return self.judge.readings(points, samples, now_ns, trouble)

    def _ask(self, query: str, now_ns: int) -> tuple[float | None, str]:
        """The one value of a query, None where it finds nothing; and what went wrong."""
        import httpx

        place = f"{self._url}/api/v1/query"
        asked = {"query": query, "time": f"{now_ns / NS_PER_S:.3f}"}
        try:
            answer = self._client.get(place, params=asked)
            told = answer.json()
        except (httpx.HTTPError, OSError) as error:
            return None, f"{place} does not answer ({type(error).__name__})"
        except json.JSONDecodeError:
            return None, f"{place} answers {answer.status_code} and no JSON"
        return _value(told, place)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()


def _value(told: Any, place: str) -> tuple[float | None, str]:
    """The one value of an answer."""
    if not isinstance(told, dict) or told.get("status") != "success":
        why = told.get("error", "") if isinstance(told, dict) else ""
        return None, f"{place} refuses: {str(why)[:200]}"
    try:
        found = told["data"]["result"]
        if not found:
            return None, ""
        value = float(found[0]["value"][1])
    except (KeyError, IndexError, TypeError, ValueError):
        return None, f"{place} answers in a shape that is not Prometheus's"
    return (None if math.isnan(value) else value), ""


__all__ = ["PrometheusMeter"]
