"""Desks: those who decide, at the beginning of a market period, where jobs go and which go nowhere.

The kernel of a pool decides who starts in it. A desk looks over all pools before that: one sends
work to another site, one closes a project whose budget is spent. It sees what is so at the first
instant of the period and nothing later, and gives its orders through `Placement`, which notes them
for the journal.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt


class Desk(Protocol):
    """Decides about jobs at the beginning of a market period."""

    def decide(self, period: int) -> None:
        """Give the orders of a period; every pool stands at its first instant."""

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state between two days, as arrays of plain numbers and plain fields."""

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""


def desks_of() -> tuple[Desk, ...]:
    """The desks that a factory needs, in the order in which they decide."""
    return ()
