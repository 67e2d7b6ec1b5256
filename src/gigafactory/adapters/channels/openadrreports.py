"""Reports to an OpenADR server: energy used in the intervals of an event that asked for it.

The controller publishes a counter of energy taken from the grid that only rises. It is sampled
here; a report gives what the counter rose by over an interval, found between samples in
proportion to time. An interval whose edges lie between samples too far apart is told as
`ESTIMATED`, one without samples as `MISSING`, by the payload type `DATA_QUALITY`.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from typing import Any

from gigafactory.adapters.channels.openadrmodels import Event
from gigafactory.grid.calendar import utc_text
from gigafactory.grid.ports import GridOrder
from gigafactory.units import NS_PER_S

#: Samples further apart than this make an edge between them an estimate.
_APART_NS = 60 * NS_PER_S
#: Samples kept: three days, one every two seconds at most.
_SAMPLES = 130_000
_REPORTED = "USAGE"


class Reports:
    """Which reports are owed, and what was metered for them.

    Args:
        ven_name: who reports.
        resource_name: about what.
    """

    def __init__(self, ven_name: str, resource_name: str) -> None:
        self._ven_name, self._resource_name = ven_name, resource_name
        self._at_ns: list[int] = []
        self._wh: list[int] = []
        self._owed: dict[tuple[str, int], tuple[str, GridOrder]] = {}
        self._sent: set[tuple[str, int, str]] = set()

    def sample(self, now_ns: int, metered: Mapping[str, Any] | None) -> None:
        """Note the counter; one that falls (a meter was changed) begins anew."""
        told = metered.get("import_wh") if metered else None
        if not isinstance(told, int) or isinstance(told, bool):
            return
        if self._at_ns and now_ns - self._at_ns[-1] < 2 * NS_PER_S:
            return
        if self._wh and told < self._wh[-1]:
            self._at_ns, self._wh = [], []
        self._at_ns.append(now_ns)
        self._wh.append(told)
        del self._at_ns[:-_SAMPLES], self._wh[:-_SAMPLES]

    def expect(self, event: Event, orders: Mapping[int, GridOrder]) -> None:
        """Owe a report on each interval of an event that asks for usage."""
        if any(d.payloadType == _REPORTED for d in event.reportDescriptors or ()):
            for interval, order in orders.items():
                if (event.id, interval, order.key) not in self._sent:
                    self._owed[(event.id, interval)] = (event.programID, order)

    def send(self, post: Callable[[str, Mapping[str, Any]], Any], now_ns: int) -> int:
        """Send what is due; what cannot be sent stays owed and the trouble goes to the caller.

        Returns:
            How many were sent.
        """
        due = [(k, v) for k, v in sorted(self._owed.items()) if v[1].end_ns + _APART_NS <= now_ns]
        for (event_id, interval), (program, order) in due:
            post("/reports", self.report(event_id, program, interval, order))
            self._sent.add((event_id, interval, order.key))
            del self._owed[(event_id, interval)]
        return len(due)

    def report(
        self, event_id: str, program: str, interval: int, order: GridOrder
    ) -> dict[str, Any]:
        """A report object on one interval."""
        used_kwh, quality = self.usage(order.start_ns, order.end_ns)
        payloads: list[dict[str, Any]] = [{"type": "DATA_QUALITY", "values": [quality]}]
        if quality != "MISSING":
            payloads.insert(0, {"type": _REPORTED, "values": [used_kwh]})
        seconds = (order.end_ns - order.start_ns) // NS_PER_S
        period = {"start": utc_text(order.start_ns), "duration": f"PT{seconds}S"}
        return {
            "programID": program,
            "eventID": event_id,
            "clientName": self._ven_name,
            "reportName": f"usage-{event_id}-{interval}",
            "payloadDescriptors": [
                {
                    "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
                    "payloadType": _REPORTED,
                    "readingType": "DIRECT_READ",
                    "units": "KWH",
                }
            ],
            "resources": [
                {
                    "resourceName": self._resource_name,
                    "intervalPeriod": period,
                    "intervals": [{"id": interval, "payloads": payloads}],
                }
            ],
        }

    def usage(self, start_ns: int, end_ns: int) -> tuple[float, str]:
        """Energy over a span in kWh, and its quality: OK, ESTIMATED or MISSING."""
        first, last = self._counter(start_ns), self._counter(end_ns)
        if first is None or last is None:
            return 0.0, "MISSING"
        quality = "OK" if max(first[1], last[1]) <= _APART_NS else "ESTIMATED"
        return (last[0] - first[0]) / 1000.0, quality

    def _counter(self, at_ns: int) -> tuple[float, int] | None:
        """The counter at an instant in Wh, and how far apart the samples around it are."""
        after = bisect.bisect_left(self._at_ns, at_ns)
        if after < len(self._at_ns) and self._at_ns[after] == at_ns:
            return float(self._wh[after]), 0
        if after in (0, len(self._at_ns)):
            return None
        t0, t1 = self._at_ns[after - 1], self._at_ns[after]
        w0, w1 = self._wh[after - 1], self._wh[after]
        return w0 + (w1 - w0) * (at_ns - t0) / (t1 - t0), t1 - t0
