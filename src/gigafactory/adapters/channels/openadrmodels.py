"""What an OpenADR 3.0.1 server (VTN) says, and what its events mean for a connection.

Field names and types are those of the OpenADR Alliance's `openadr3.yaml`, version 3.0.1 (2024);
payload types, units and report types those of its enumerations. Types are strict: a number as text
is refused. Fields we do not use are passed over, since later versions add some.

Of the payload types one is taken as an order: `IMPORT_CAPACITY_LIMIT` ("the maximum import level
for the site"). Where `ALERT_GRID_EMERGENCY` stands in the same interval the limit is an emergency:
that pairing is our reading, the specification does not give it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.ports import OrderKind
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_MIN, NS_PER_S

VERSION = "3.0.1"
LIMIT, EMERGENCY = "IMPORT_CAPACITY_LIMIT", "ALERT_GRID_EMERGENCY"
#: MW per unit of a descriptor. The enumeration has KW; MW and W are private strings we also read.
UNITS_MW = {"KW": 1e-3, "MW": 1.0, "W": 1e-6}
#: A duration or instant beyond this is no plan of anybody's; it also keeps sums within 64 bits.
_LONGEST_NS = 40_000 * NS_PER_DAY
_DURATION = re.compile(
    r"^P(?=\d|T\d)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})([DW]))?"
    r"(?:T(?:(\d{1,7})H)?(?:(\d{1,9})M)?(?:(\d{1,10}(?:\.\d{1,9})?)S)?)?$"
)


def _moment(value: object) -> int:
    if not isinstance(value, str) or len(value) > 64:
        raise ValueError("must be text, an instant as 2023-06-15T09:30:00Z")
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    return instant_ns(moment)


def _duration(value: object) -> int:
    found = _DURATION.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration as PT1H")
    years, months, count, unit, hours, minutes, seconds = found.groups()
    days = int(years or 0) * 365 + int(months or 0) * 30
    days += int(count or 0) * (7 if unit == "W" else 1)
    total = days * NS_PER_DAY + int(hours or 0) * NS_PER_H + int(minutes or 0) * NS_PER_MIN
    return min(total + round(float(seconds or 0) * NS_PER_S), _LONGEST_NS)


#: An instant, kept as ns UTC.
Moment = Annotated[int, BeforeValidator(_moment)]
#: A duration, kept as ns; years count 365 days and months 30.
Duration = Annotated[int, BeforeValidator(_duration)]
ObjectId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


class Token(_Said):
    """The answer to a request for a token (RFC 6749)."""

    access_token: str = Field(min_length=1, max_length=4096)
    token_type: str
    expires_in: int = Field(3600, ge=1)


class Program(_Said):
    """A programme; only its name and id matter here."""

    id: ObjectId
    programName: str = Field(min_length=1, max_length=128)  # noqa: N815  (the protocol's name)


class ValuesMap(_Said):
    """One or more values of a type."""

    type: str = Field(min_length=1, max_length=128)
    values: list[float | int | str | bool | dict[str, Any]]


class IntervalPeriod(_Said):
    """Begin and length of intervals; a length of 0 means without end."""

    start: Moment
    duration: Duration = 0


class Interval(_Said):
    """A window of time and what holds in it."""

    id: int
    payloads: list[ValuesMap]
    intervalPeriod: IntervalPeriod | None = None  # noqa: N815  (the protocol's name)


class PayloadDescriptor(_Said):
    """The unit of a payload type."""

    payloadType: str  # noqa: N815  (the protocol's name)
    units: str | None = None


class ReportDescriptor(_Said):
    """A report that is asked for."""

    payloadType: str  # noqa: N815  (the protocol's name)


class Event(_Said):
    """An event of a programme."""

    id: ObjectId
    programID: ObjectId  # noqa: N815  (the protocol's name)
    createdDateTime: Moment  # noqa: N815  (the protocol's name)
    modificationDateTime: Moment | None = None  # noqa: N815  (the protocol's name)
    targets: list[ValuesMap] | None = None
    payloadDescriptors: list[PayloadDescriptor] | None = None  # noqa: N815  (the protocol's name)
    reportDescriptors: list[ReportDescriptor] | None = None  # noqa: N815  (the protocol's name)
    intervalPeriod: IntervalPeriod | None = None  # noqa: N815  (the protocol's name)
    intervals: list[Interval] = Field(max_length=2000)

    @property
    def modified_ns(self) -> int:
        """When it was last changed, ns UTC by the server's clock."""
        return max(self.createdDateTime, self.modificationDateTime or 0)


@dataclass(frozen=True, slots=True)
class Limit:
    """What an interval of an event asks.

    Attributes:
        interval: the interval's id.
        kind: limit or emergency.
        power_mw: import at most this, MW.
        start_ns: begin, ns UTC.
        end_ns: end, ns UTC; -1 for without end.
    """

    interval: int
    kind: OrderKind
    power_mw: float
    start_ns: int
    end_ns: int


def spans(event: Event) -> list[tuple[int, int]]:
    """Begin and end of each interval, ns UTC; an end of -1 for without end.

    Intervals without a period of their own follow each other from the event's start.

    Raises:
        ValueError: an interval has no period at all.
    """
    found = []
    after = event.intervalPeriod.start if event.intervalPeriod is not None else None
    for interval in event.intervals:
        period = interval.intervalPeriod
        if period is not None:
            start, length = period.start, period.duration
        elif event.intervalPeriod is not None and after is not None:
            start, length = after, event.intervalPeriod.duration
        else:
            raise ValueError(f"interval {interval.id} has no period")
        end = start + length if length else -1
        after = end if length else None
        found.append((start, end))
    return found


def limits(event: Event) -> list[Limit]:
    """The limits an event asks for; none when it speaks of other things.

    Raises:
        ValueError: it does not say what it means: unit, value, period or ids.
    """
    units = {d.payloadType: d.units for d in event.payloadDescriptors or ()}
    unit = units.get(LIMIT) or "KW"
    found: list[Limit] = []
    speaks = any(p.type == LIMIT for interval in event.intervals for p in interval.payloads)
    if not speaks:
        return found
    if unit not in UNITS_MW:
        raise ValueError(f"a limit in {unit[:20]!r}, not one of {', '.join(UNITS_MW)}")
    for interval, (start, end) in zip(event.intervals, spans(event), strict=True):
        values = [p.values for p in interval.payloads if p.type == LIMIT]
        if not values:
            continue
        number = values[0][0] if len(values) == 1 and len(values[0]) == 1 else None
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"interval {interval.id}: a limit is one number")
        power = float(number) * UNITS_MW[unit]
        if not math.isfinite(power):
            raise ValueError(f"interval {interval.id}: a limit is a finite number")
        emergency = any(p.type == EMERGENCY for p in interval.payloads)
        kind = OrderKind.EMERGENCY if emergency else OrderKind.LIMIT
        found.append(Limit(interval.id, kind, power, start, end))
    if len({limit.interval for limit in found}) != len(found):
        raise ValueError("two intervals have the same id")
    return found


def concerns(event: Event, targets: Sequence[tuple[str, str]]) -> bool:
    """Whether an event is for us: it names no target, or one of ours."""
    if not event.targets:
        return True
    named = {(t.type, v) for t in event.targets for v in t.values if isinstance(v, str)}
    return bool(named & set(targets))
