"""Desks: those who decide, at the beginning of a market period, where jobs go and which go nowhere.

The kernel of a pool decides who starts in it. A desk looks over all pools before that: one sends
work to another site, one closes a project whose budget is spent. It sees what is so at the first
instant of the period and nothing later, and gives its orders through `Placement`, which notes them
for the journal.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy.typing as npt

from gigafactory.engine.journal import Journal
from gigafactory.factory.models import Factory
from gigafactory.grid import MarketCalendar
from gigafactory.jobs import JobTable
from gigafactory.ledger import Book
from gigafactory.runtime.limits import LimitsDesk
from gigafactory.runtime.sending import SendingDesk, movable_of
from gigafactory.runtime.wiring import World


class Desk(Protocol):
    """Decides about jobs at the beginning of a market period."""

    def decide(self, period: int) -> None:
        """Give the orders of a period; every pool stands at its first instant."""

    def snapshot(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The state between two days, as arrays of plain numbers and plain fields."""

    def restore(self, arrays: Any, fields: Any) -> None:
        """Put back what `snapshot` gave."""


def desks_of(
    world: World,
    calendar: MarketCalendar,
    book: Book,
    journal: Journal,
    factory: Factory,
    table: JobTable,
) -> tuple[Desk, ...]:
    """The desks that a factory needs, in the order in which they decide.

    Args:
        world: the wired factory.
        calendar: of the run.
        book: accounts what happened up to the period at hand.
        journal: takes what a desk has to say beside its orders.
        factory: what the world was wired of.
        table: the jobs of the run.
    """
    desks: list[Desk] = []
    if not world.limits.idle:
        desks.append(LimitsDesk(world.limits, world.twin, calendar, book, journal))
    movable = movable_of(world, factory, table)
    if len(movable):
        desks.append(SendingDesk(world, calendar, factory, movable))
    return tuple(desks)
