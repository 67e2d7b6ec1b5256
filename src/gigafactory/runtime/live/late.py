"""Late data of meters from a file, as `gigafactory correct DAY FILE` takes it in.

::

    period,meter,place,delta_wh,reason
    37,import_wh,rotterdam-maasvlakte,-1200,allocation of 12 December

A row says what is to be added to what is booked. The same row twice would add it twice, so one that
was taken in before is refused: a second correction of a period names another reason.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.runtime.live import days
from gigafactory.runtime.live.metering import Correction

COLUMNS: Final = ("period", "meter", "place", "delta_wh", "reason")
_WHOLE: Final = ("period", "delta_wh")


def read_late(path: Path) -> tuple[Correction, ...]:
    """The corrections of a file.

    Args:
        path: comma-separated values with the columns `COLUMNS`; energy in Wh.

    Raises:
        BadInput: it cannot be read, or a row is not what it should be; every problem is told.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            read = csv.DictReader(file)
            rows, names = list(read), tuple(read.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise refuse(str(path), "", None, f"cannot be read: {error}") from error
    problems = [
        Problem(str(path), name, "", "this column is missing")
        for name in COLUMNS
        if name not in names
    ]
    problems += [
        Problem(str(path), str(name), "", f"is no column here; these are: {', '.join(COLUMNS)}")
        for name in names
        if name not in COLUMNS
    ]
    if problems:
        raise BadInput(problems)
    for number, row in enumerate(rows, 2):
        problems += _wrong(f"{path}:{number}", row)
    if not rows:
        problems.append(Problem(str(path), "", "", "holds no row"))
    if problems:
        raise BadInput(problems)
    return tuple(
        Correction(
            int(r["period"]), r["meter"], r["place"], int(r["delta_wh"]), r["reason"].strip()
        )
        for r in rows
    )


def _wrong(where: str, row: dict[str, str]) -> list[Problem]:
    if None in row or None in row.values():
        return [Problem(where, "", "", f"has not {len(COLUMNS)} values")]
    found = []
    for name in _WHOLE:
        try:
            int(row[name])
        except ValueError:
            found.append(Problem(where, name, row[name], "must be a whole number"))
    if not row["reason"].strip():
        found.append(Problem(where, "reason", "", "says why, such as the number of a message"))
    return found


def correct_lines(day: str, file: Path, now_ns: int) -> list[str]:
    """Take late data of a day in; what was done, in words.

    Args:
        day: folder of a live day.
        file: see `read_late`.
        now_ns: when it came, ns UTC.

    Raises:
        BadInput: it is no day, or the data does not fit; nothing is taken in then.
        Damaged: the journal of the day is not what was written.
    """
    folder = Path(day)
    late = read_late(file)
    if not days.is_day(folder):
        raise refuse(day, "", None, "is not the folder of a live day")
    known = set(days.read_corrections(folder))
    problems = [
        Problem(f"{file}:{i}", "", "", "was taken in before; another one names another reason")
        for i, one in enumerate(late, 2)
        if one in known or one in late[: i - 2]
    ]
    if problems:
        raise BadInput(problems)
    days.correct(folder, late, now_ns)
    total, first = sum(one.delta_wh for one in late), len(known) + 1
    told = [f"{len(late)} taken in as from number {first}, {total:+} Wh in all."]
    if (folder / days.BOOKS).is_dir():
        told.append(f"The books are made again: {days.write_books(folder)}")
    told.append("Receipts of the difference follow once the day is over.")
    return told
