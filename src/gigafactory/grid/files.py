"""Read a time series from a file, tell everything that is wrong with it, lay it on market periods.

A table of signals is CSV (plain or gzip) or Parquet, with a column of interval starts that carry
their time zone and one or more columns of numbers. Intervals have one length, found from the file
itself. Nothing is repaired in silence: a gap is refused with the list of what is missing, unless
the caller allows short ones to be filled, and then the note of the series says so.
"""

from __future__ import annotations

import collections
import datetime as dt
import gzip
import io
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar, instant_ns, utc_text
from gigafactory.units import NS_PER_DAY, NS_PER_S, S_PER_H

Array = npt.NDArray[np.float64]
#: At most this many places are written out in one message; the rest is counted.
_LISTED = 10
_STEPS = (300, 900, 1800, 3600)


@dataclass(frozen=True, slots=True, eq=False)
class TimeTable:
    """Values by interval, sorted, without doubles, all finite.

    Attributes:
        where: the file, for messages.
        start_ns: starts of the intervals, UTC ns, rising, shape [n].
        step_s: length of every interval, s.
        columns: values by our name of the column, each of shape [n].
        names: what the column is called in the file, by our name.
        doubled_ns: starts that stood there more than once, UTC ns; of a sound table there are none.
    """

    where: str
    start_ns: npt.NDArray[np.int64]
    step_s: int
    columns: Mapping[str, Array]
    names: Mapping[str, str]
    doubled_ns: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def spans(self, calendar: MarketCalendar) -> bool:
        """Whether the table reaches from the calendar's begin to its end, gaps aside.

        A table cut by the UTC year lacks the local year's first or last hours; it spans it still.
        """
        lead, trail = _edge_allowance_s(calendar)
        last_ns = int(self.start_ns[-1]) + self.step_s * NS_PER_S
        return bool(
            int(self.start_ns[0]) <= calendar.begin_ns + lead * NS_PER_S
            and last_ns >= calendar.end_ns - trail * NS_PER_S
        )


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacking gzip by its name.

    Raises:
        BadInput: missing, unreadable, not gzip although so named, or truncated.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise refuse(str(path), "", None, "there is no such file") from None
    except OSError as error:
        raise refuse(str(path), "", None, f"cannot be read: {error.strerror}") from None
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except EOFError:
        why = "the gzip file is truncated (it ends too early); fetch it again"
        raise refuse(str(path), "", None, why) from None
    except (gzip.BadGzipFile, zlib.error, OSError):
        why = "is not a sound gzip file although its name ends in .gz; fetch it again"
        raise refuse(str(path), "", None, why) from None


def read_columns(path: Path) -> pa.Table:
    """Read CSV (every column as text) or Parquet (typed) into a table.

    Raises:
        BadInput: unreadable, truncated, empty, or of another kind.
    """
    suffixes = [s for s in path.suffixes if s != ".gz"]
    raw = read_bytes(path)
    if not raw:
        raise refuse(str(path), "", None, "the file is empty")
    if suffixes[-1:] == [".parquet"]:
        try:
            return pa_parquet.read_table(io.BytesIO(raw))
        except (pa.ArrowException, OSError):
            why = "is no sound Parquet file (damaged or truncated); write or fetch it again"
            raise refuse(str(path), "", None, why) from None
    try:
        header = raw[: raw.index(b"\n")].decode("utf-8-sig").strip().split(",")
    except (UnicodeDecodeError, ValueError):
        why = "is no CSV with a header line and commas, and no Parquet (name it .parquet)"
        raise refuse(str(path), "", None, why) from None
    names = [name.strip().strip('"') for name in header]
    options = pa_csv.ConvertOptions(column_types={name: pa.string() for name in names})
    try:
        table = pa_csv.read_csv(io.BytesIO(raw), convert_options=options)
    except pa.ArrowException as error:
        why = f"is no readable CSV: {str(error).splitlines()[0]}"
        raise refuse(str(path), "", None, why) from None
    return table.rename_columns([name.strip() for name in table.column_names])


def read_table(
    path: Path,
    columns: Mapping[str, Sequence[str]],
    *,
    time: str = "time_utc",
    shift_s: int = 0,
) -> TimeTable:
    """Read a table of a time column and numbers, telling all problems at once.

    Args:
        path: CSV, CSV.GZ or Parquet.
        columns: wanted column by our name, with the names it may have in the file, best first.
        time: name of the column of interval starts.
        shift_s: added to every stamp, for files known to be stamped early (or late, when negative).

    Raises:
        BadInput: unreadable file, missing column, stamp without zone or no stamp at all, number
            missing, not a number or not finite, doubled or overlapping intervals.
    """
    table, problems = examine_table(path, columns, time=time, shift_s=shift_s)
    if problems or table is None:
        raise BadInput(problems)
    return table


def examine_table(
    path: Path,
    columns: Mapping[str, Sequence[str]],
    *,
    time: str = "time_utc",
    shift_s: int = 0,
) -> tuple[TimeTable | None, list[Problem]]:
    """Read a table as far as it can be read, and say all that is wrong with it.

    So a caller can look for what else is wrong, such as gaps, and tell everything together. Rows
    without a readable moment are left out, a moment without a zone is taken as UTC, of doubled rows
    the first is kept, and a value that is no number is nan.

    Args:
        path: as for `read_table`.
        columns: as for `read_table`.
        time: as for `read_table`.
        shift_s: as for `read_table`.

    Returns:
        The table, None where nothing can be made of it; and every problem, none of a sound file.

    Raises:
        BadInput: unreadable file, missing column, fewer than two rows.
    """
    table = read_columns(path)
    where = str(path)
    problems: list[Problem] = []
    found: dict[str, str] = {}
    if time not in table.column_names:
        have = ", ".join(table.column_names)
        problems.append(Problem(where, time, "", f"this column is missing; the file has: {have}"))
    for name, accepted in columns.items():
        match = next((alias for alias in accepted if alias in table.column_names), None)
        if match is None:
            why = f"this column is missing; accepted names: {', '.join(accepted)}"
            problems.append(Problem(where, name, "", why))
        else:
            found[name] = match
    if problems:
        raise BadInput(problems)
    if table.num_rows < 2:
        raise refuse(where, time, None, "needs at least two rows to tell the length of a period")
    stamps, read = _stamps(table.column(time), where, time, problems)
    values = {n: _numbers(table.column(c), where, c, problems) for n, c in found.items()}
    order = np.flatnonzero(read)
    order = order[np.argsort(stamps[order], kind="stable")]
    stamps = stamps[order] + shift_s * NS_PER_S
    first = np.ones(len(order), np.bool_)
    first[1:] = np.diff(stamps) > 0
    step_s = _step(stamps, where, time, problems)
    if step_s is None:
        return None, problems
    kept = {n: v[order][first] for n, v in values.items()}
    doubled = np.unique(stamps[~first])
    return TimeTable(where, stamps[first], step_s, kept, found, doubled), problems


def _listing(places: Sequence[str]) -> str:
    more = len(places) - _LISTED
    return ", ".join(places[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _stamps(
    column: pa.ChunkedArray, where: str, field: str, problems: list[Problem]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """UTC ns of a column of moments, and which could be read at all.

    What cannot be read or has no zone becomes a problem.
    """
    nowhere = np.zeros(len(column), dtype=np.int64)
    none = np.zeros(len(column), dtype=np.bool_)
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            why = "the stamps have no time zone; store them as timestamp with tz UTC"
            problems.append(Problem(where, field, "", why))
            return nowhere, none
        if column.null_count:
            why = "some stamps are empty"
            problems.append(Problem(where, field, f"{column.null_count} rows", why))
            return nowhere, none
        in_ns = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        return np.asarray(in_ns.to_numpy(), dtype=np.int64), ~none
    unreadable: list[str] = []
    without_zone: list[str] = []
    result, read = nowhere, none
    for row, text in enumerate(column.to_pylist()):
        try:
            moment = dt.datetime.fromisoformat(str(text))
        except ValueError:
            unreadable.append(f"{text} (row {row + 2})")
            continue
        if moment.tzinfo is None:
            without_zone.append(f"{text} (row {row + 2})")
            moment = moment.replace(tzinfo=dt.UTC)
        result[row], read[row] = instant_ns(moment), True
    if unreadable:
        why = "is no moment; write 2024-01-01T00:00:00Z"
        problems.append(Problem(where, field, _listing(unreadable), why))
    if without_zone:
        why = "has no time zone; write 2024-01-01T00:00:00Z or 2024-01-01T01:00:00+01:00"
        problems.append(Problem(where, field, _listing(without_zone), why))
    return result, read


def _numbers(column: pa.ChunkedArray, where: str, field: str, problems: list[Problem]) -> Array:
    """Finite numbers of a column; what is none becomes a problem, and nan."""
    result = np.full(len(column), math.nan)
    wrong: list[str] = []
    for row, value in enumerate(column.to_pylist()):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            result[row] = number
        else:
            wrong.append(f"{'empty' if value in (None, '') else value} (row {row + 2})")
    if wrong:
        why = "is no finite number; every period needs one"
        problems.append(Problem(where, field, _listing(wrong), why))
    return result


def _step(
    stamps: npt.NDArray[np.int64], where: str, field: str, problems: list[Problem]
) -> int | None:
    """Length of the intervals in s: the commonest distance between stamps; None when unusable."""
    gaps = np.diff(stamps)
    doubles = np.unique(stamps[1:][gaps == 0])
    if len(doubles):
        why = "the same period stands there more than once"
        problems.append(Problem(where, field, _listing([utc_text(int(t)) for t in doubles]), why))
    apart = gaps[gaps > 0]
    counted = collections.Counter(apart.tolist())
    step_ns = min(counted, key=lambda g: (-counted[g], g)) if counted else 0
    if step_ns // NS_PER_S not in _STEPS or step_ns % NS_PER_S:
        if counted or not problems:
            why = "the periods are neither 5, 15, 30 nor 60 minutes long"
            problems.append(Problem(where, field, f"{step_ns / NS_PER_S:g} s", why))
        return None
    early = stamps[1:][(gaps > 0) & (gaps < step_ns)]
    if len(early):
        why = f"begins before the period of {step_ns // NS_PER_S} s before it has ended (overlap)"
        problems.append(Problem(where, field, _listing([utc_text(int(t)) for t in early]), why))
    odd = stamps[(stamps % step_ns) != 0]
    if len(odd) and not len(early):
        why = f"does not begin on a multiple of {step_ns // NS_PER_S} s"
        problems.append(Problem(where, field, _listing([utc_text(int(t)) for t in odd]), why))
    return None if len(early) or len(odd) else int(step_ns // NS_PER_S)


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Columns laid on market periods, and what was done to them, in words.

    Attributes:
        columns: values by column, each of shape [P].
        note: spread, averaged, filled; empty when nothing was done.
    """

    columns: Mapping[str, Array]
    note: str


def lay(table: TimeTable, calendar: MarketCalendar, *, fill_h: float = 0.0) -> Laid:
    """Lay a table on the periods of a calendar.

    Intervals longer than a period are repeated over it, shorter ones averaged. Hours missing at the
    very edge of the calendar because the file was cut by the UTC year are filled with the nearest
    value, at most as many as the zone is away from UTC; the note says so.

    Args:
        table: the values.
        calendar: the market periods.
        fill_h: gaps inside up to this many hours are filled with the value before; 0 allows none.

    Raises:
        BadInput: with the list of missing periods.
    """
    unit_s = min(table.step_s, calendar.period_s)
    if table.step_s % unit_s or calendar.period_s % unit_s:
        why = f"periods of {table.step_s} s do not fit market periods of {calendar.period_s} s"
        raise refuse(table.where, "time_utc", table.step_s, why)
    unit_ns = unit_s * NS_PER_S
    fine = np.arange(calendar.begin_ns, calendar.end_ns, unit_ns, dtype=np.int64)
    index = np.searchsorted(table.start_ns, fine, side="right") - 1
    known = (index >= 0) & (fine < table.start_ns[index] + table.step_s * NS_PER_S)
    notes: list[str] = []
    if table.step_s > calendar.period_s:
        many = table.step_s // calendar.period_s
        words = {2: "two", 4: "four", 12: "twelve"}.get(many, str(many))
        notes.append(f"each value of {table.step_s} s stands for {words} market periods")
    elif table.step_s < calendar.period_s:
        notes.append(f"mean of the {table.step_s} s values of each market period")
    if not known.all():
        index = _filled(table, calendar, fine, index, known, fill_h, notes)
    columns = {}
    for name, values in table.columns.items():
        laid = values[index].reshape(calendar.periods, -1)
        columns[name] = np.asarray(laid.mean(axis=1) if laid.shape[1] > 1 else laid[:, 0])
    return Laid(columns, "; ".join(notes))


def _edge_allowance_s(calendar: MarketCalendar) -> tuple[int, int]:
    """How far local and UTC days lie apart at the calendar's begin and end, s."""
    zone = ZoneInfo(calendar.timezone)
    allowance = []
    for edge_ns in (calendar.begin_ns, calendar.end_ns):
        offset = dt.datetime.fromtimestamp(edge_ns // NS_PER_S, zone).utcoffset()
        allowance.append(abs(int(offset.total_seconds())) if offset else 0)
    return allowance[0], allowance[1]


def _filled(
    table: TimeTable,
    calendar: MarketCalendar,
    fine: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
    known: npt.NDArray[np.bool_],
    fill_h: float,
    notes: list[str],
) -> npt.NDArray[np.int64]:
    """Fill the gaps that may be filled; refuse the others, all in one problem."""
    lead_s, trail_s = _edge_allowance_s(calendar)
    unit_ns = calendar.end_ns - int(fine[-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]]).astype(np.int8)))
    index = index.copy()
    zone = ZoneInfo(calendar.timezone)
    refused: list[str] = []
    problems: list[Problem] = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        length_s = (last - first) * unit_ns // NS_PER_S
        begin_ns = int(fine[first])
        span = f"{utc_text(begin_ns)} to {utc_text(int(fine[last - 1]) + unit_ns)}"
        at_utc_midnight = begin_ns if first else int(fine[min(last, len(fine) - 1)])
        cut = at_utc_midnight % NS_PER_DAY == 0
        if cut and first == 0 and length_s <= lead_s and last < len(fine):
            index[:last] = index[last]
            notes.append(
                f"{span} is missing (file cut by the UTC year); the value after it is used"
            )
        elif cut and last == len(fine) and length_s <= trail_s and first > 0:
            index[first:] = index[first - 1]
            notes.append(f"{span} is missing (file cut by the UTC year); the value before is used")
        elif first > 0 and last < len(fine) and length_s <= fill_h * S_PER_H:
            index[first:last] = index[first - 1]
            notes.append(f"{span} is missing; the value before it is used")
        elif problem := _beyond(table, calendar, int(fine[first]), int(fine[last - 1]) + unit_ns):
            problems.append(problem)
        else:
            local = dt.datetime.fromtimestamp(begin_ns // NS_PER_S, zone)
            clocks = ", the hour the clocks repeat in autumn" if local.fold else ""
            refused.append(f"{span} ({last - first} x {unit_ns // NS_PER_S} s{clocks})")
    if refused:
        why = "is missing; every market period needs a value"
        problems.append(Problem(table.where, "time_utc", _listing(refused), why))
    if problems:
        raise BadInput(problems)
    return index


def _beyond(
    table: TimeTable, calendar: MarketCalendar, first_ns: int, last_ns: int
) -> Problem | None:
    """What to say of a gap that lies before a file begins or after it has ended."""
    begins_ns = int(table.start_ns[0])
    ends_ns = int(table.start_ns[-1]) + table.step_s * NS_PER_S
    begins, ends = utc_text(begins_ns), utc_text(ends_ns)
    span = f"{utc_text(first_ns)} to {utc_text(last_ns)}"
    if ends_ns <= first_ns:
        what = f"the file ends at {ends}, the days asked for end at {utc_text(calendar.end_ns)}"
    elif begins_ns >= last_ns:
        begin = utc_text(calendar.begin_ns)
        what = f"the file begins at {begins}, the days asked for begin at {begin}"
    else:
        return None
    why = f"is missing; every market period needs a value, and {what}: take other days or a file "
    return Problem(table.where, "time_utc", span, why + "that reaches that far")
