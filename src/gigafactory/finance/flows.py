"""Who pays whom: the cash of every actor, in integer cents, year by year.

Every flow has a payer and a receiver, so that the cash of all actors together is nought in every
year. What leaves the company is split over the places where it ends; the parts are whole cents and
add up to the flow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Cents = npt.NDArray[np.int64]

#: The company that builds and runs the factory.
COMPANY: Final = "company"
PLACES: Final = ("nl", "eu", "elsewhere")
Kind = Literal[
    "revenue", "byproduct", "grant", "residual", "equity", "loan",
    "capex", "ip", "opex", "tax", "interest", "repayment", "profit",
]  # fmt: skip
#: What comes into the company, and what leaves it.
SOURCES: Final[tuple[Kind, ...]] = ("revenue", "byproduct", "grant", "residual", "equity", "loan")
USES: Final[tuple[Kind, ...]] = (
    "capex", "ip", "opex", "tax", "interest", "repayment", "profit",
)  # fmt: skip
#: Of what leaves, what is value and not capital that goes back to where it came from.
VALUE: Final[tuple[Kind, ...]] = ("capex", "ip", "opex", "tax", "interest", "profit")


@dataclass(frozen=True, slots=True)
class Flow:
    """Cash between two actors.

    Attributes:
        kind: what it is.
        line: which asset, line of cost, product or loan.
        payer: who pays.
        receiver: who receives.
        cents: in each year; negative where it goes the other way.
        places: shares that end in the Netherlands and elsewhere in the Union.
    """

    kind: Kind
    line: str
    payer: str
    receiver: str
    cents: Cents
    places: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All flows of one course of the years.

    Attributes:
        first_year: calendar year of the first column.
        flows: each between two actors.
    """

    first_year: int
    flows: tuple[Flow, ...]

    @property
    def years(self) -> range:
        """Calendar years, one a column."""
        span = len(self.flows[0].cents) if self.flows else 0
        return range(self.first_year, self.first_year + span)

    def by_actor(self) -> dict[str, Cents]:
        """Net cash of every actor in each year: received less paid, cents."""
        nets: dict[str, Cents] = {}
        for flow in self.flows:
            zero = np.zeros_like(flow.cents)
            nets[flow.payer] = nets.get(flow.payer, zero) - flow.cents
            nets[flow.receiver] = nets.get(flow.receiver, zero) + flow.cents
        return nets

    def of(self, *kinds: Kind) -> Cents:
        """Sum of the flows of some kinds in each year, cents."""
        rows = [flow.cents for flow in self.flows if flow.kind in kinds]
        return added(rows) if rows else np.zeros(len(self.years), np.int64)

    def lines(self, kind: Kind) -> dict[str, Cents]:
        """Flows of a kind by line, cents."""
        sums: dict[str, Cents] = {}
        for flow in self.flows:
            if flow.kind == kind:
                sums[flow.line] = sums.get(flow.line, np.zeros_like(flow.cents)) + flow.cents
        return sums

    def problems(self) -> list[str]:
        """What does not add up; empty when everything does."""
        found = []
        nets = self.by_actor()
        if added(nets.values()).any():
            found.append("the cash of all actors does not come to nought")
        held = nets.get(COMPANY, np.zeros(1, np.int64)).cumsum()
        if (held < 0).any():
            found.append("the company pays more than it has")
        if len(held) and held[-1] != 0:
            found.append("the company keeps cash at the end")
        cells = sum(cell.cents for cell in sankey(self))
        if cells != int(self.of(*USES).sum()) or cells != int(self.of(*SOURCES).sum()):
            found.append("what is retained by place does not come to the cash that flowed")
        return found


@dataclass(frozen=True, slots=True)
class Cell:
    """Cash of one kind that ends in one place, over all years, in cents."""

    kind: Kind
    place: str
    cents: int


def split(cents: int, places: tuple[float, float]) -> tuple[int, int, int]:
    """Split whole cents over places; the parts are whole and add up."""
    nl = round(cents * places[0])
    eu = round(cents * places[1])
    return nl, eu, cents - nl - eu


def sankey(ledger: Ledger) -> list[Cell]:
    """Everything that left the company, by kind and by the place where it ends."""
    sums: dict[tuple[Kind, str], int] = {(k, p): 0 for k in USES for p in PLACES}
    for flow in ledger.flows:
        if flow.kind in USES:
            parts = split(int(flow.cents.sum()), flow.places)
            for place, cents in zip(PLACES, parts, strict=True):
                sums[flow.kind, place] += cents
    return [Cell(kind, place, cents) for (kind, place), cents in sums.items()]


def retained_share(cells: Iterable[Cell], place: str) -> float:
    """Share of the value (loans and equity paid back aside) that ends in a place."""
    kept = [cell for cell in cells if cell.kind in VALUE]
    total = sum(cell.cents for cell in kept)
    return sum(cell.cents for cell in kept if cell.place == place) / total if total else 0.0


def added(rows: Iterable[Cents]) -> Cents:
    """Sum of rows of cents, year by year."""
    total: Cents = np.asarray(np.sum(list(rows), axis=0, dtype=np.int64))
    return total


def whole(eur: npt.ArrayLike) -> Cents:
    """Euros as whole cents."""
    cents: Cents = np.rint(np.asarray(eur, dtype=np.float64) * 100.0).astype(np.int64)
    return cents


__all__ = [
    "COMPANY",
    "PLACES",
    "SOURCES",
    "USES",
    "VALUE",
    "Cell",
    "Cents",
    "Flow",
    "Kind",
    "Ledger",
    "added",
    "retained_share",
    "sankey",
    "split",
    "whole",
]
