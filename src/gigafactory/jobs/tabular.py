"""The door for tables from outside: CSV (plain or gzip) and Parquet into checked columns.

Every fault is told in plain words; nothing is half-read. Rows are counted from 1 below the header.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.units import NS_PER_S

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Bad rows told one by one; the rest is counted.
ROWS_TOLD: Final = 20
#: Seconds from 1970 to the edges of 64-bit nanoseconds, a little within.
MAX_S: Final = 9_214_646_400
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?\s?(Z|[+-]\d{2}:?\d{2})?$"
_ZONED = r"(Z|[+-]\d{2}:?\d{2})$"


@dataclass(slots=True)
class Sheet:
    """A table as read, with the faults found in its rows so far.

    Attributes:
        path: where it came from.
        table: columns by lower-case name.
        rows: int64[n], number of each row in the file, from 1 below the header.
        faults: (row, field, value, why) of every bad row found.
    """

    path: Path
    table: pa.Table
    rows: Ints
    faults: list[tuple[int, str, str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.table.column_names)

    def _column(self, name: str) -> pa.Array:
        column = _plain(self.table.column(name))
        kind = column.type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            why = "holds lists or bytes; a column of plain numbers, text or instants is right"
            raise refuse(str(self.path), name, kind, why)
        return column

    def text(self, name: str) -> pa.Array:
        """A column as text, trimmed; blank is null."""
        column = self._column(name)
        if pa.types.is_floating(column.type):  # 3.0 is written 3, as a person would
            whole = pc.all(pc.equal(pc.round(column), column)).as_py()
            column = pc.cast(column, pa.int64()) if whole and len(column) else column
        words = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
        return pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)

    def bad(self, mask: Mask, name: str, why: str | Callable[[int], str]) -> None:
        """Note every row where the mask is true as bad, with the value that stood there."""
        at = np.flatnonzero(mask)
        if not len(at):
            return
        column = self.table.column(name)
        for row in at.tolist():
            reason = why if isinstance(why, str) else why(row)
            # Values are only shown for the rows that can be told; the others are counted.
            value = _shown(column[row]) if len(self.faults) < 50 * ROWS_TOLD else ""
            self.faults.append((int(self.rows[row]), name, value, reason))

    def numbers(self, name: str, *, needed: bool = True) -> tuple[Floats, Mask]:
        """A column as float64 and where it is blank; text that is no number is noted as bad.

        Blank, NaN and infinite values come back as NaN; blank ones are bad when needed.
        """
        column = self._column(name)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            blank = _mask(pc.is_null(column))
            values = _floats(pc.cast(column, pa.float64(), safe=False))
            wrong = ~np.isfinite(values) & ~blank
        else:
            words = self.text(name)
            blank = _mask(pc.is_null(words))
            right = pc.match_substring_regex(words, _NUMBER)
            values = _floats(pc.cast(pc.if_else(right, words, None), pa.float64()))
            wrong = ~np.isfinite(values) & ~blank
        self.bad(wrong, name, "is not a finite number")
        if needed:
            self.bad(blank, name, "is blank and has to be given")
        return np.where(np.isfinite(values), values, np.nan), blank

    def instants(self, name: str, *, zoned: bool, needed: bool = True) -> tuple[Ints, Mask]:
        """A column as ns UTC, and where it is blank or bad (0 there).

        Args:
            name: of the column.
            zoned: text without a zone is bad; otherwise it is read as UTC.
            needed: blank is bad.
        """
        column = self._column(name)
        if pa.types.is_timestamp(column.type):
            blank = _mask(pc.is_null(column))
            per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
            far = np.abs(_ints(pc.cast(column, pa.int64())) // per_s) > MAX_S
            self.bad(far, name, "lies outside the years 1678 to 2262")
            blank = blank | far
            ns = pc.cast(column, pa.timestamp("ns", tz=column.type.tz), safe=False)
            values = _ints(pc.cast(ns, pa.int64()))
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            counts, blank = self.numbers(name, needed=False)
            exact = _ints(column) if pa.types.is_integer(column.type) else None
            values, blank = self._counted(name, counts, exact, blank)
        else:
            values, blank = self._written(name, zoned)
        if needed:
            written = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            unset = pc.is_null(self.text(name) if written else column)
            self.bad(_mask(unset), name, "is blank and has to be given")
        return np.where(blank, 0, values), blank

    def _counted(
        self, name: str, counts: Floats, exact: Ints | None, blank: Mask
    ) -> tuple[Ints, Mask]:
        """Seconds (below 9.2e9) or nanoseconds (from 1e16) since 1970 as ns."""
        size = np.abs(np.where(np.isnan(counts), 0.0, counts))
        seconds, nanos = size < 9.2e9, (size >= 1e16) & (size < 9.2e18)
        why = "is neither seconds (below 9.2e9) nor nanoseconds (from 1e16) since 1970"
        self.bad(~seconds & ~nanos & ~blank, name, why)
        clean = np.nan_to_num(counts)
        whole = exact if exact is not None else np.where(nanos, clean, 0.0).astype(np.int64)
        from_s = np.rint(np.where(seconds, clean, 0.0) * NS_PER_S).astype(np.int64)
        values = np.where(nanos, whole, from_s)
        return values.astype(np.int64), blank | ~(seconds | nanos)

    def _written(self, name: str, zoned: bool) -> tuple[Ints, Mask]:
        words = self.text(name)
        blank = _mask(pc.is_null(words))
        number = _mask(pc.fill_null(pc.match_substring_regex(words, _NUMBER), False))
        dated = _mask(pc.fill_null(pc.match_substring_regex(words, _INSTANT), False))
        has_zone = _mask(pc.fill_null(pc.match_substring_regex(words, _ZONED), False))
        why = "is no instant; write ISO 8601 with a zone, such as 2026-01-31T12:00:00Z"
        self.bad(~number & ~dated & ~blank, name, why)
        if zoned:
            why = "has no zone; add Z for UTC or an offset such as +01:00"
            self.bad(dated & ~has_zone, name, why)
            dated = dated & has_zone
        values = np.zeros(len(blank), dtype=np.int64)
        usable = dated.copy()
        for mask, tz in ((dated & has_zone, "UTC"), (dated & ~has_zone, None)):
            some = np.flatnonzero(mask)
            if len(some):
                read, fine = _parse_instants(words.take(pa.array(some)), tz)
                values[some], usable[some] = read, fine
        self.bad(dated & ~usable, name, "is no day of the calendar or no time of the day")
        if number.any():
            digits = pc.if_else(pa.array(number), words, None)
            counts = _floats(pc.cast(digits, pa.float64()))
            exact = None
            if _mask(pc.fill_null(pc.match_substring_regex(words, r"^[+-]?\d{1,18}$"), True)).all():
                exact = _ints(pc.cast(digits, pa.int64()))
            counted, wrong = self._counted(name, counts, exact, ~number)
            values = np.where(number & ~wrong, counted, values)
            usable |= number & ~wrong
        return values, blank | ~usable

    def raise_faults(self) -> None:
        """Raise every bad row noted so far, the first ones in full and the others as a count."""
        if not self.faults:
            return
        self.faults.sort(key=lambda fault: fault[:2])
        problems = [
            Problem(f"{self.path.name}, row {row}", name, value, why)
            for row, name, value, why in self.faults[:ROWS_TOLD]
        ]
        more = len(self.faults) - ROWS_TOLD
        if more > 0:
            why = f"and {more:,} more problems in rows; correct these first and read again"
            problems.append(Problem(str(self.path), "", "", why))
        raise BadInput(problems)


def read_sheet(path: Path) -> Sheet:
    """Read a CSV (plain or gzip; comma, semicolon or tab) or Parquet file whole.

    Raises:
        BadInput: the file is absent, empty, cut short or damaged, or has no rows or names.
    """
    if not path.is_file():
        raise refuse(str(path), "", None, "there is no such file")
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise refuse(str(path), "", None, "is an empty file")
    if head == b"PAR1" or path.suffix in {".parquet", ".pq"}:
        sheet = _parquet(path)
    else:
        sheet = _csv(path, head)
    names = [name.strip().lower() for name in sheet.table.column_names]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise refuse(str(path), ", ".join(double), None, "stands twice in the header")
    if not len(sheet) and not sheet.faults:
        raise refuse(str(path), "", None, "has a header and no rows")
    sheet.table = sheet.table.rename_columns(names)
    return sheet


def _parquet(path: Path) -> Sheet:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        why = "is not readable as Parquet: cut short, damaged or another format; fetch it again"
        raise refuse(str(path), "", None, why) from error
    return Sheet(path, table, np.arange(1, table.num_rows + 1))


def _csv(path: Path, head: bytes) -> Sheet:
    content = path.read_bytes()
    if head[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            why = "is a gzip file that is cut short or damaged; fetch it again"
            raise refuse(str(path), "", None, why) from error
    elif path.suffix == ".gz":
        raise refuse(str(path), "", None, "is named .gz and is not a gzip file")
    first = content.split(b"\n", 1)[0].decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if not first:
        raise refuse(str(path), "", None, "has no header in its first line")
    split = max((",", ";", "\t"), key=first.count)
    short: list[tuple[int, str]] = []

    def note(row: Any) -> str:
        short.append((int(row.number), f"{row.actual_columns} of {row.expected_columns} columns"))
        return "skip"

    names = [name.strip().strip('"') for name in first.split(split)]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(use_threads=False),
            parse_options=pa_csv.ParseOptions(delimiter=split, invalid_row_handler=note),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],  # "nan" is not blank: it is wrong, and told
            ),
        )
    except (pa.ArrowException, OSError) as error:
        why = "is not readable as CSV in UTF-8 with one header line"
        raise refuse(str(path), "", None, why) from error
    # Arrow counts the header as row 1.
    wrong = np.array([number - 1 for number, _ in short], dtype=np.int64)
    every = np.arange(1, table.num_rows + len(wrong) + 1)
    sheet = Sheet(path, table, np.setdiff1d(every, wrong))
    for (number, found), _ in zip(short, wrong, strict=True):
        sheet.faults.append(
            (number - 1, "", found, "has another number of columns than the header")
        )
    return sheet


def _parse_instants(words: pa.Array, tz: str | None) -> tuple[Ints, Mask]:
    """Written instants as ns; slow word by word only when one of them is wrong."""
    joined = pc.replace_substring_regex(
        words, pattern=r"\s(Z|[+-]\d{2}:?\d{2})$", replacement=r"\1"
    )
    try:
        ns = pc.cast(joined, pa.timestamp("ns", tz=tz))
        return _ints(pc.cast(ns, pa.int64())), np.ones(len(words), dtype=np.bool_)
    except pa.ArrowInvalid:
        values = np.zeros(len(words), dtype=np.int64)
        fine = np.ones(len(words), dtype=np.bool_)
        for row, word in enumerate(joined.to_pylist()):
            try:
                values[row] = ns_of(word)
            except ValueError:
                fine[row] = False
        return values, fine


def ns_of(word: str) -> int:
    """One instant in ISO 8601 as ns UTC; without a zone it is UTC.

    Raises:
        ValueError: it is no instant of the calendar, or outside the years 1678 to 2262.
    """
    stamp = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", word))
    stamp = stamp.replace(tzinfo=stamp.tzinfo or UTC)
    micros = int((stamp - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    if abs(micros) > MAX_S * 1_000_000:
        raise ValueError(f"{word} lies outside the years 1678 to 2262")
    return micros * 1000


def _shown(value: pa.Scalar) -> str:
    """A value as text; an instant Python cannot hold is shown as its count."""
    try:
        return str(value.as_py())
    except (OverflowError, ValueError):
        return str(value.value)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # an empty column stays chunked
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    if pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_decode()
    if pa.types.is_decimal(whole.type):
        whole = pc.cast(whole, pa.float64())
    return whole


def _mask(column: pa.Array) -> Mask:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _floats(column: pa.Array) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _ints(column: pa.Array) -> Ints:
    filled = pc.fill_null(column, 0)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)
