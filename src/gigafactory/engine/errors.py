"""The three kinds of error, and the words in which bad input is told.

::

    a bug              AssertionError (or any other exception): crash, the journal stays intact
    bad input          BadInput: a list of Problem, all at once; exit code 2; nothing written
    trouble outside    a value in a receipt or a plan status, with a named fallback, accounted

Nothing here prints; the command line does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with what was given.

    Attributes:
        where: the file (and line, row or column where known) it stands in.
        field: the setting or column, as a dotted path.
        value: what was found, as text.
        why: what is wrong with it, and what would be right.
    """

    where: str
    field: str
    value: str
    why: str

    def __str__(self) -> str:
        place = f"{self.where}: {self.field}" if self.field else self.where
        found = f" = {self.value}" if self.value else ""
        return f"{place}{found}: {self.why}"


class BadInput(Exception):  # noqa: N818  (it is the name of the kind, and reads so where it is caught)
    """What was given cannot be used. Carries every problem found, never only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        assert self.problems, "bad input needs at least one problem"
        super().__init__("\n".join(map(str, self.problems)))


def outside(where: str, record: object, **bounds: tuple[float, float]) -> list[Problem]:
    """The fields of a record that do not lie within their bounds, ends included; nan lies nowhere.

    Args:
        where: what the record is, for the reader.
        record: has a number by each name of `bounds`.
        bounds: lowest and highest value of each field.
    """
    return [
        Problem(where, name, str(value), f"must be from {low:g} to {high:g}")
        for name, (low, high) in bounds.items()
        if not low <= (value := getattr(record, name)) <= high
    ]


def refuse(where: str, field: str, value: object, why: str) -> BadInput:
    """Build a `BadInput` with a single problem; raise the result."""
    return BadInput([Problem(where, field, "" if value is None else str(value), why)])
