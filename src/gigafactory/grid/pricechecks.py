"""Whether a file of prices can be what it says: its unit, and the clock it was written by.

Magnitudes are judged by the **typical high**: the median over the weeks of a file of the highest
absolute price of each (of a file of less than a week, its highest). Of the Dutch day-ahead prices
of 2019 to 2021 and of 2024 to July 2025 no week stayed below 33 EUR/MWh, and half of the weeks in
ct/kWh stay below 11. Prices in ct/kWh of a year as dear as 2022 look like cheap ones in EUR/MWh and
are not found out; nor is a file whose stamps are all off by the same time.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem
from gigafactory.grid.calendar import utc_text
from gigafactory.grid.files import TimeTable
from gigafactory.units import NS_PER_S, S_PER_H

Array = npt.NDArray[np.float64]

#: EUR/MWh per unit of a price column, by the end of its name.
SCALES = {"ct_per_kwh": 10.0, "ct_kwh": 10.0, "eur_per_kwh": 1000.0, "eur_kwh": 1000.0}
#: Beyond this no European day-ahead price has been possible (harmonised limits -500..5000 EUR/MWh).
ABSURD_EUR_PER_MWH = 10_000.0
#: Typical highs below which a file said to be in EUR/MWh is taken to be in EUR/kWh or ct/kWh; above
#: which one said to be per kWh is not. Assumptions; see above.
EUR_PER_KWH, CT_PER_KWH, PER_MWH = 2.0, 30.0, 4000.0
_WEEK_H = 168
_LISTED = 5


def scale_of(name: str) -> float:
    """EUR/MWh per unit of a price column, by what the column is called."""
    return next((scale for end, scale in SCALES.items() if name.endswith(end)), 1.0)


def typical_high(values: Array, step_s: int) -> float:
    """Median over weeks of the highest absolute value of each; nan counts as none."""
    size = np.abs(values[np.isfinite(values)])
    week = _WEEK_H * S_PER_H // step_s
    if len(size) < week:
        return float(size.max(initial=0.0))
    return float(np.median(size[: len(size) // week * week].reshape(-1, week).max(axis=1)))


def price_problems(table: TimeTable) -> list[Problem]:
    """What is wrong with the size of the prices of a file, in words that say what would be right.

    Args:
        table: of a column ``price``, in the unit its name in the file says.
    """
    name, step_s, values = table.names["price"], table.step_s, table.columns["price"]
    scale = scale_of(name)
    price = values * scale
    high, given = typical_high(price, step_s), typical_high(values, step_s)
    whole_day = len(price) * step_s >= 24 * S_PER_H
    whole_week = len(price) * step_s >= _WEEK_H * S_PER_H
    usual = "prices usually reach tens to hundreds of EUR/MWh"
    if scale == 1.0 and whole_day and high < EUR_PER_KWH:
        why = f"{usual}; are these EUR/kWh? Name the column price_eur_per_kwh, or multiply by 1000"
        return [Problem(table.where, name, f"typical high {given:.4g}", why)]
    if scale == 1.0 and whole_week and high < CT_PER_KWH:
        why = (
            f"{usual}; are these ct/kWh? Name the column price_ct_per_kwh, or multiply by 10. If "
            "they are so low, give them in EUR/kWh as price_eur_per_kwh"
        )
        return [Problem(table.where, name, f"typical high {given:.4g}", why)]
    if scale > 1.0 and high > PER_MWH:
        why = f"would be {high:,.0f} EUR/MWh; are these EUR/MWh (price_eur_per_mwh) or ct/kWh "
        why += "(price_ct_per_kwh)? Name the column by what it holds"
        return [Problem(table.where, name, f"typical high {given:.4g}", why)]
    wild = np.flatnonzero(np.abs(price) > ABSURD_EUR_PER_MWH)
    if not len(wild):
        return []
    shown = [f"{values[k]:g} at {utc_text(int(table.start_ns[k]))}" for k in wild[:_LISTED]]
    more = f" and {len(wild) - _LISTED} more" if len(wild) > _LISTED else ""
    why = "no European price can be so high; is it in EUR/MWh?"
    return [Problem(table.where, name, ", ".join(shown) + more, why)]


def clock_problems(table: TimeTable, timezone: str) -> list[Problem]:
    """Whether the stamps say UTC and are local time: told by the hours the clocks skip and repeat.

    Args:
        table: the file.
        timezone: the local zone, as ``Europe/Amsterdam``.
    """
    zone, step_ns = ZoneInfo(timezone), table.step_s * NS_PER_S
    after = np.flatnonzero(np.diff(table.start_ns) > step_ns)
    gaps = [int(table.start_ns[k]) + step_ns for k in after[:100]]
    skipped = [t for t in gaps if _skipped(_wall(t), zone)]
    repeated = [int(t) for t in table.doubled_ns[:100] if _repeated(_wall(int(t)), zone)]
    if not skipped and not repeated:
        return []
    told = []
    if repeated:
        told.append(f"twice: {utc_text(repeated[0])}")
    if skipped:
        told.append(f"missing: {utc_text(skipped[0])}")
    why = (
        f"the clocks of {timezone} repeat or skip just these; the stamps look like local time "
        "written as UTC. Write them with their offset, as 2024-01-01T01:00:00+01:00"
    )
    return [Problem(table.where, "time_utc", "; ".join(told), why)]


def _wall(at_ns: int) -> dt.datetime:
    """What a stamp says, taken for a wall clock."""
    return dt.datetime.fromtimestamp(at_ns // NS_PER_S, dt.UTC).replace(tzinfo=None)


def _skipped(wall: dt.datetime, zone: ZoneInfo) -> bool:
    """Whether no clock of the zone ever shows this."""
    there = wall.replace(tzinfo=zone).astimezone(dt.UTC).astimezone(zone)
    return there.replace(tzinfo=None) != wall


def _repeated(wall: dt.datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks of the zone show this twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second and not _skipped(wall, zone)
