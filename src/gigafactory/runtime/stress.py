"""What happens to a site within a stress day: frequency, setpoints, limits, trips and dips.

All by the second, and all from the seed, the site and the day alone; or, for the frequency, from a
measured file by the time of day. Nothing here is read by the ordinary run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem, refuse
from gigafactory.engine.streams import stream
from gigafactory.grid import MarketCalendar
from gigafactory.grid.frequency import Frequency, read_frequency_from_folder, synthetic_frequency
from gigafactory.plant.ridethrough import Change, Dip, RideRules, away, ride
from gigafactory.units import NS_PER_S

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TRACES: Final = ("real", "synthetic", "ramp")
SETPOINT_S: Final = 4
DAY_S: Final = 86_400
#: A limit of the grid within a day: its length, its depth as a share of the site's full load, and
#: how long before it is told. Assumptions: congestion orders of this length are named in
#: `grid.products`, nobody published depths.
LIMIT_MIN: Final = (30, 90)
LIMIT_SHARE: Final = (0.55, 0.85)
NOTICE_S: Final = 900.0
#: A trip of the connection: so many seconds (assumption).
TRIP_S: Final = (5, 60)
#: Dips: how deep (share of the voltage left) and how long (assumption); one in three comes with two
#: more behind it within a minute.
DIP_RATIO: Final = (0.05, 0.88)
DIP_S: Final = (0.05, 0.6)
#: A site that locked itself out is released so long after the last dip (assumption).
RELEASED_S: Final = 300.0
#: Share of market periods with an activation of aFRR, and how fast its setpoint moves: from nothing
#: to all in so many seconds. Assumptions; a published series of setpoints was not found.
AFRR_SHARE: Final = 0.5
AFRR_RISE_S: Final = 120.0
#: The ramp: to 200 mHz below in a minute, a quarter of an hour there, then above, then back. It
#: begins an hour into the day.
RAMP_BEGIN_S, RAMP_S, RAMP_HOLD_S, RAMP_HZ = 3600, 60, 900, 0.2


@dataclass(frozen=True, slots=True)
class Stress:
    """What is asked of a stress run.

    Attributes:
        trace: frequency, one of `TRACES`.
        begin: first stress day of the run, from 0.
        days: stress days; None is all that follow.
        limits: limits with notice per site and day.
        trips: trips per site and day.
        dips: voltage dips, or clusters of them, per site and day.
        seconds: only so many seconds at the begin of each stress day, the rest as ordinary; None is
            the whole day. A whole number of market periods.
        data: folder of a measured frequency; None where none is read.
    """

    trace: str = "synthetic"
    begin: int = 0
    days: int | None = None
    limits: int = 2
    trips: int = 1
    dips: int = 2
    seconds: int | None = None
    data: str | None = None

    def problems(self, days: int) -> list[Problem]:
        """What is out of range in a run of so many days."""
        found = []
        if self.trace not in TRACES:
            why = f"is one of {', '.join(TRACES)}"
            found.append(Problem("--second-trace", "", self.trace, why))
        if self.trace == "real" and self.data is None:
            why = "needs measured data: name its folder with --data or GIGAFACTORY_DATA"
            found.append(Problem("--second-trace", "", self.trace, why))
        if not 0 <= self.begin < days:
            why = f"is from 0 to {days - 1}"
            found.append(Problem("--stress-begin", "", str(self.begin), why))
        if self.days is not None and self.days < 1:
            found.append(Problem("--stress-days", "", str(self.days), "is 1 or more"))
        for name in ("limits", "trips", "dips"):
            value = getattr(self, name)
            if not 0 <= value <= 48:
                found.append(Problem(f"--{name}", "", str(value), "is from 0 to 48"))
        if self.seconds is not None and (self.seconds < 900 or self.seconds % 900):
            why = "is a whole number of market periods of 900 s"
            found.append(Problem("--seconds", "", str(self.seconds), why))
        return found

    def covers(self, day: int) -> bool:
        """Whether a day of the run is a stress day."""
        last = None if self.days is None else self.begin + self.days
        return day >= self.begin and (last is None or day < last)


@dataclass(frozen=True, slots=True, eq=False)
class DaySignals:
    """What happens to a site within a day, by the second, shape [N].

    Attributes:
        frequency_hz: nan where it was not measured.
        limit_mw: most import that is allowed beside the connection's own limit; infinite for none.
        trip: where the site has no connection.
        setpoint_mw: aFRR, one per `SETPOINT_S`.
        ride: changes of the ride-through machine, seconds of the day.
        frequency: provenance of the frequency.
    """

    frequency_hz: Array
    limit_mw: Array
    trip: Bools
    setpoint_mw: Array
    ride: tuple[Change, ...]
    frequency: tuple[str, str, str]


class Signals:
    """Makes the signals of any day of a run.

    Args:
        stress: what is asked.
        calendar: market periods of the run.
        seed: of the run.

    Raises:
        BadInput: a measured frequency is asked for that cannot be read.
    """

    def __init__(self, stress: Stress, calendar: MarketCalendar, seed: int) -> None:
        self.stress, self.calendar, self.seed = stress, calendar, seed
        self.measured: Frequency | None = None
        if stress.trace == "real":
            if stress.data is None or not Path(stress.data).is_dir():
                raise refuse("--data", "", stress.data, "is no folder of measured data")
            self.measured = read_frequency_from_folder(Path(stress.data))

    def day(self, day: int, site: int, full_mw: float, afrr_mw: tuple[float, float]) -> DaySignals:
        """The signals of a day at a site.

        Args:
            day: of the run.
            site: number of the site.
            full_mw: what the site draws when everything works; limits are shares of it.
            afrr_mw: sold upward and downward.
        """
        edges = self.calendar.start_ns
        periods = self.calendar.day_slice(day)
        begin_s = int(edges[periods.start]) // NS_PER_S
        count = int(edges[periods.stop]) // NS_PER_S - begin_s
        where = (self.seed, "stress", day, site)
        hz, told = self._frequency(day, begin_s, count)
        span = min(count, self.stress.seconds or count)  # nothing befalls seconds nobody walks
        dips = _dips(stream(*where, "dips"), self.stress.dips, span)
        changes = ride(RideRules(locked_s=RELEASED_S), dips)
        trip = away(changes, float(count))
        draw = stream(*where, "trips")
        for _ in range(self.stress.trips):
            at, lasts = int(draw.integers(0, span)), int(draw.integers(*TRIP_S))
            trip[at : at + lasts] = True
        return DaySignals(
            hz,
            _limits(stream(*where, "limits"), self.stress.limits, count, span, full_mw),
            trip,
            _setpoints(stream(*where, "afrr"), count, *afrr_mw),
            tuple(changes[1:]),
            told,
        )

    def _frequency(self, day: int, begin_s: int, count: int) -> tuple[Array, tuple[str, str, str]]:
        """The frequency of a day, and who says so: source, state, note."""
        if self.measured is not None:
            found = self.measured
            hz = np.full(count, np.nan)
            # what runs over the end of the day is laid at its begin; a day at most
            at = (found.start_s - begin_s + np.arange(min(len(found), DAY_S))) % DAY_S
            inside = at < count
            hz[at[inside]] = found.frequency_hz[: len(at)][inside]
            note = "laid at the same time of day (UTC); " + found.note
            return hz, (found.source, found.state, note)
        part = stream(self.seed, "stress", "frequency", day)
        made = synthetic_frequency(int(part.integers(0, 2**31)), count, begin_s)
        hz = made.frequency_hz.copy()
        if self.stress.trace == "ramp":
            ramp = full_ramp()
            hz[RAMP_BEGIN_S : RAMP_BEGIN_S + len(ramp)] = ramp[: max(count - RAMP_BEGIN_S, 0)]
        return hz, (made.source, made.state, made.note)


def full_ramp() -> Array:
    """Frequency of the full ramp, by the second, Hz: down, held, up, held, and back."""
    down = np.linspace(50.0, 50.0 - RAMP_HZ, RAMP_S)
    up = np.linspace(50.0 - RAMP_HZ, 50.0 + RAMP_HZ, 2 * RAMP_S)
    back = np.linspace(50.0 + RAMP_HZ, 50.0, RAMP_S)
    low, high = (np.full(RAMP_HOLD_S, 50.0 + x) for x in (-RAMP_HZ, RAMP_HZ))
    return np.concatenate([down, low, up, high, back])


def _limits(draw: np.random.Generator, many: int, count: int, span: int, full_mw: float) -> Array:
    limit = np.full(count, np.inf)
    for _ in range(many):
        lasts = 60 * int(draw.integers(LIMIT_MIN[0], LIMIT_MIN[1] + 1))
        at = int(draw.integers(0, max(span - lasts, span // 2, 1)))
        share = float(draw.uniform(*LIMIT_SHARE))
        limit[at : at + lasts] = np.minimum(limit[at : at + lasts], share * full_mw)
    return limit


def _dips(draw: np.random.Generator, many: int, count: int) -> list[Dip]:
    found: list[Dip] = []
    for at in sorted(int(x) for x in draw.integers(0, count, many)):
        for k in range(3 if draw.random() < 1.0 / 3.0 else 1):
            start = float(at + 15 * k)
            before = found[-1].start_s + found[-1].lasts_s if found else -1.0
            if start < before + 1.0:
                continue
            found.append(Dip(start, float(draw.uniform(*DIP_S)), float(draw.uniform(*DIP_RATIO))))
    return found


def _setpoints(draw: np.random.Generator, count: int, up_mw: float, down_mw: float) -> Array:
    """Setpoints that move towards a new aim each market period, as a merit order is walked."""
    many = -(-count // SETPOINT_S)
    if up_mw + down_mw == 0.0:
        return np.zeros(many)
    per = 900 // SETPOINT_S
    spans = -(-many // per)
    aims = draw.uniform(-down_mw, up_mw, spans) * (draw.random(spans) < AFRR_SHARE)
    most = max(up_mw, down_mw) / AFRR_RISE_S * SETPOINT_S
    out, now = np.zeros(many), 0.0
    for k in range(many):
        now += min(max(float(aims[k // per]) - now, -most), most)
        out[k] = now
    return out


def stress_days(stress: Stress, dates: Sequence[dt.date]) -> list[str]:
    """The stress days of a run, as dates."""
    return [date.isoformat() for day, date in enumerate(dates) if stress.covers(day)]


__all__ = ["TRACES", "DaySignals", "Signals", "Stress", "full_ramp", "stress_days"]
