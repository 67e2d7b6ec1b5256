"""Two runs side by side: every figure of their summaries, the biggest changes first.

Reads only `summary.json` of each folder and knows no figure by name, so a figure added to the
summary is compared from the day it is there.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NoReturn

from gigafactory.engine.errors import BadInput, Problem

RUN: Final = "run"  # the section of figures that stand at the top of the summary


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of two runs.

    Attributes:
        key: where it stands in the summary, as a dotted path.
        a: its value in the first run; None where it has none. Unit: the end of the key.
        b: its value in the second run; None where it has none.
        difference: b - a; None where either is missing.
        ratio: b / a; None where either is missing or a is 0.
    """

    key: str
    a: float | None
    b: float | None
    difference: float | None
    ratio: float | None

    @property
    def section(self) -> str:
        """The part of the summary it belongs to; `run` for a figure at the top."""
        head, dot, _ = self.key.partition(".")
        return head if dot else RUN

    @property
    def change(self) -> float:
        """Size of the change against the larger of the two: 0 the same, 1 from or to nothing.

        Between figures of opposite sign it runs to 2; a figure one run lacks counts as -1, so that
        it comes after every real change.
        """
        if self.a is None or self.b is None:
            return -1.0
        if self.a == self.b:
            return 0.0
        largest = max(abs(self.a), abs(self.b))
        # divided first, since a difference can overflow; never 0, since they do differ
        return max(abs(self.b / largest - self.a / largest), sys.float_info.min)


def _constant(word: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's reader would let through."""
    raise ValueError(f"{word} is not a number a summary may hold")


def _summary(folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Read a run's summary, or tell what is wrong with it."""
    path = folder / "summary.json"
    try:
        content = json.loads(path.read_bytes(), parse_constant=_constant)
    except FileNotFoundError:
        why = "there is no summary: the run is not finished, or this is not a run folder"
        return {}, [Problem(str(path), "", "", why)]
    except OSError as error:
        return {}, [Problem(str(path), "", "", f"cannot be read: {error.strerror}")]
    except ValueError as error:
        return {}, [Problem(str(path), "", "", f"is not a summary: {error}")]
    if not isinstance(content, dict):
        return {}, [Problem(str(path), "", "", "is not a summary: it holds no named figures")]
    return content, []


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number below a value with its dotted path; truth values and words are not figures."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for name, item in zip(_labels(value), value, strict=True):
            yield from _leaves(item, f"{key}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def _labels(rows: list[object]) -> list[str]:
    """What to call the items of a list: records by their first field where it is a name or a count.

    So a tenant is compared with itself, wherever it stands in either list.
    """
    firsts = [next(iter(row.values()), None) if isinstance(row, dict) else None for row in rows]
    heads = [str(f) if isinstance(f, str | int) and not isinstance(f, bool) else "" for f in firsts]
    told = len(set(heads)) == len(heads)
    return [head if told and head else str(place) for place, head in enumerate(heads)]


def _row(key: str, a: float | None, b: float | None) -> Row:
    if a is None or b is None:
        return Row(key, a, b, None, None)
    return Row(key, a, b, b - a, b / a if a else None)


def compare(folder_a: Path, folder_b: Path) -> tuple[Row, ...]:
    """Compare the summaries of two runs.

    Args:
        folder_a: the run to compare with.
        folder_b: the run that is compared.

    Returns:
        A row for every number in either summary. Sections come in the order of their biggest
        change, and the rows of a section likewise; what one run lacks stands last, ties by key.

    Raises:
        BadInput: a summary is missing or cannot be read; both are told at once.
    """
    (a, wrong_a), (b, wrong_b) = _summary(folder_a), _summary(folder_b)
    if wrong_a or wrong_b:
        raise BadInput([*wrong_a, *wrong_b])
    left, right = dict(_leaves(a)), dict(_leaves(b))
    rows = [_row(key, left.get(key), right.get(key)) for key in {**left, **right}]
    biggest: dict[str, float] = {}
    for row in rows:
        biggest[row.section] = max(biggest.get(row.section, -1.0), row.change)
    rows.sort(key=lambda row: (-biggest[row.section], row.section, -row.change, row.key))
    return tuple(rows)


def _number(value: float | None, *, sign: bool = False) -> str:
    """A figure for people: thousands apart, four digits or more where they mean something."""
    if value is None:
        return "-"
    plus = "+" if sign and value > 0 else ""
    if isinstance(value, int) or (abs(value) >= 1000 and abs(value) < 1e15):
        return f"{plus}{value:,.0f}" if isinstance(value, float) else f"{plus}{value:,d}"
    if value and not 1e-3 <= abs(value) < 1e15:
        return f"{plus}{value:.3e}"
    return f"{plus}{value:.4f}"


def _change(row: Row) -> str:
    """The change as a percentage, or as a factor where a percentage would not be read."""
    if row.a is None or row.b is None:
        return "only in b" if row.a is None else "only in a"
    if row.ratio is None or not math.isfinite(row.ratio):
        return "from nothing" if row.b else ""
    if row.ratio > 10:
        return f"x {row.ratio:,.4g}"
    # against the size of a, so that a rise is positive from a debt as well
    return f"{math.copysign(1, row.a) * (row.ratio - 1) * 100:+.2f} %"


def render(rows: Sequence[Row], name_a: str = "a", name_b: str = "b") -> str:
    """Write compared figures as aligned text for a terminal.

    Args:
        rows: from `compare`.
        name_a: heading of the first run.
        name_b: heading of the second run.

    Returns:
        Lines by section, the biggest change first; figures that are the same are only counted.
    """
    table: list[tuple[str, ...]] = [("", name_a, name_b, "difference", "change")]
    for section, members in groupby(rows, key=lambda row: row.section):
        changed = [row for row in members if row.change != 0.0]
        table += [(section,)] if changed else []
        for row in changed:
            label = row.key if section == RUN else row.key.removeprefix(f"{section}.")
            difference = _number(row.difference, sign=True)
            table.append((f"  {label}", _number(row.a), _number(row.b), difference, _change(row)))
    same = sum(1 for row in rows if row.change == 0.0)
    full = [cells for cells in table if len(cells) > 1]
    widths = [max(len(cells[column]) for cells in full) for column in range(5)]
    lines = []
    for cells in table:
        figures = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=False)]
        lines.append("  ".join([cells[0].ljust(widths[0]), *figures]).rstrip())
    if len(table) == 1:
        return f"{name_a} and {name_b}: all {same} figures are the same"
    return "\n".join([*lines, "", f"{same} figures are the same in both"])
