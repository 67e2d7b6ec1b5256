"""A site over the days of a run, added up from its series, for reports to authorities."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gigafactory.engine.errors import refuse
from gigafactory.units import NS_PER_H, NS_PER_S

Floats = npt.NDArray[np.float64]

_POWERS: Final = (
    *("it_mw", "import_mw", "export_mw", "generation_mw", "charge_mw", "discharge_mw"),
    *("heat_mw", "limit_mw", "fcr_sold_mw", "afrr_up_sold_mw", "afrr_down_sold_mw"),
    "called_mw",
)
_AMOUNTS: Final = ("water_m3",)
_MEANS: Final = ("temperature_c",)


@dataclass(frozen=True, slots=True)
class SiteMeters:
    """A site's series, period by period; a column the run does not hold is missing.

    Attributes:
        site: its name.
        hours: length of each period, h, shape [P].
        dates: local day of each period, days since 1970, shape [P].
        columns: powers in MW, amounts per period and temperatures, by the names of the series.
    """

    site: str
    hours: Floats
    dates: npt.NDArray[np.int64]
    columns: dict[str, Floats]

    def mwh(self, name: str) -> float | None:
        """Energy of a power column, MWh; None where the run does not hold it."""
        column = self.columns.get(name)
        return None if column is None else float((column * self.hours).sum())

    def amount(self, name: str) -> float | None:
        """Sum of an amount per period; None where the run does not hold it."""
        column = self.columns.get(name)
        return None if column is None else float(column.sum())

    def highest(self, name: str) -> float | None:
        """Highest value of a column; None where the run does not hold it."""
        column = self.columns.get(name)
        return None if column is None or not len(column) else float(column.max())

    def daily_mean(self, name: str) -> Floats | None:
        """Mean of a column over each local day, shape [days]; None where it is not held."""
        column = self.columns.get(name)
        if column is None:
            return None
        _, day = np.unique(self.dates, return_inverse=True)
        weight = np.bincount(day, self.hours)
        return np.asarray(np.bincount(day, column * self.hours) / weight, np.float64)

    def offered_mw(self) -> float | None:
        """Mean over time of the reserves sold: FCR and the larger of aFRR up and down, MW."""
        names = ("fcr_sold_mw", "afrr_up_sold_mw", "afrr_down_sold_mw")
        if any(name not in self.columns for name in names):
            return None
        fcr, up, down = (self.columns[name] for name in names)
        offered = fcr + np.maximum(up, down)
        return float((offered * self.hours).sum() / self.hours.sum())


def site_meters(run: Path, site: str, timezone: str) -> SiteMeters | None:
    """The series of a site of a run; None where the run holds none.

    Args:
        run: folder of the run.
        site: name of the site.
        timezone: IANA name of its local time.

    Raises:
        BadInput: the series cannot be read.
    """
    path = run / "series.parquet"
    if not path.is_file():
        return None
    try:
        held = pq.read_schema(path).names
        names = [n for n in (*_POWERS, *_AMOUNTS, *_MEANS) if n in held]
        wanted = ["start_ns", "end_ns", *names]
        table = pq.read_table(path, columns=wanted, filters=[("site", "=", site)])
    except (OSError, pa.ArrowException) as error:
        raise refuse(str(path), "", None, f"cannot be read: {error}") from None
    if table.num_rows == 0:
        return None
    start, end = (np.asarray(table[n].to_numpy(), np.int64) for n in ("start_ns", "end_ns"))
    columns = {n: np.asarray(table[n].to_numpy(), np.float64) for n in names}
    hours = np.asarray((end - start) / NS_PER_H, np.float64)
    return SiteMeters(site, hours, _local_days(start, timezone), columns)


def _local_days(start_ns: npt.NDArray[np.int64], timezone: str) -> npt.NDArray[np.int64]:
    """Local day of each instant, days since 1970; the offset is looked up once an hour."""
    zone = ZoneInfo(timezone)
    hours, place = np.unique(start_ns // NS_PER_H, return_inverse=True)
    offset = []
    for hour in hours:
        at = dt.datetime.fromtimestamp(int(hour) * 3600, zone).utcoffset()
        offset.append(0 if at is None else int(at.total_seconds()))
    seconds = start_ns // NS_PER_S + np.asarray(offset, np.int64)[place]
    return np.asarray(seconds // 86_400, np.int64)


__all__ = ["SiteMeters", "site_meters"]
