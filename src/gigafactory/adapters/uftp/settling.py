"""Is a settlement right? What the grid operator settles, against our own orders and meter.

Per ISP (Shapeshifter UFTP 3.1.0, settle phase), with less import counted above 0:

    delivered = what might have been imported - metered, within 0 and what was ordered
    missing   = ordered - delivered

Where several orders meet in an ISP, the earlier ones are served first (our reading). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gigafactory.adapters.uftp.book import Book, OrderEntry
from gigafactory.adapters.uftp.days import by_isp
from gigafactory.adapters.uftp.terms import SettledIsp, SettledOrder, Settlement

_STEP_EUR: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Disposition:
    """What we say to one order of a settlement; no reason when we accept it."""

    reference: str
    why: str

    @property
    def accepted(self) -> bool:
        """Whether we accept it."""
        return not self.why


def delivered_w(before_w: int, asked_w: int, metered_w: int) -> int:
    """Less import delivered of what was ordered, W, from 0 to the order.

    Args:
        before_w: what might have been imported without the order.
        asked_w: deviation ordered, below 0.
        metered_w: mean import.
    """
    return max(0, min(before_w - metered_w, -asked_w))


def dispositions(
    settlement: Settlement, book: Book, tolerance_w: int, *, metered: bool = True
) -> tuple[Disposition, ...]:
    """What we say to each order of a settlement, and to those it leaves out.

    Args:
        settlement: as it came.
        book: our orders and meter.
        tolerance_w: difference of power that is let pass, W.
        metered: whether we meter at all; without a meter, power is not checked.
    """
    party = settlement.head.party
    said: list[Disposition] = []
    seen: set[str] = set()
    for one in settlement.orders:
        entry = book.by_reference(party, one.reference)
        reasons = _money(one, settlement)
        if one.reference in seen:
            reasons.append("settled twice in this message")
        seen.add(one.reference)
        if not settlement.first <= one.date <= settlement.last:
            reasons.append("Period out of bounds: outside the settlement period")
        if entry is None:
            reasons.append("we accepted no such order")
        else:
            reasons += _terms(one, entry)
            reasons += _powers(one, entry, book, tolerance_w, metered)
        said.append(Disposition(one.reference, "; ".join(reasons)))
    said += [
        Disposition(entry.order.reference, "ordered and accepted, but not in this settlement")
        for entry in book.expected(party, settlement.first, settlement.last)
        if entry.order.reference not in seen
    ]
    return tuple(said)


def _money(one: SettledOrder, settlement: Settlement) -> list[str]:
    reasons = []
    if settlement.currency != "EUR":
        reasons.append(f"currency {settlement.currency}")
    if abs(one.price_eur - one.penalty_eur - one.net_eur) > _STEP_EUR:
        reasons.append("NetSettlement is not Price less Penalty")
    if one.penalty_eur < 0:
        reasons.append("Penalty is below 0")
    return reasons


def _terms(one: SettledOrder, entry: OrderEntry) -> list[str]:
    reasons = []
    order = entry.order
    if one.date != order.frame.date:
        reasons.append(f"the order was for {order.frame.date}")
    if one.point != order.frame.point:
        reasons.append("the order was for another congestion point")
    if abs(one.price_eur - order.price_eur) > _STEP_EUR:
        reasons.append(f"Price was {order.price_eur:.4f}")
    if one.prognosis_id and order.prognosis_id and one.prognosis_id != order.prognosis_id:
        reasons.append("based on another D-prognosis")
    return reasons


def _powers(
    one: SettledOrder, entry: OrderEntry, book: Book, tolerance_w: int, metered: bool
) -> list[str]:
    settled: dict[int, SettledIsp] = {
        isp: row for row in one.isps for isp in range(row.start, row.start + row.duration)
    }
    if sum(row.duration for row in one.isps) != len(settled):
        return ["ISP conflict: an ISP is settled more than once"]
    if set(settled) != set(entry.asked_w):
        return ["its ISPs are not those of the order"]
    metering = book.metered.get(entry.order.frame.date)
    readings: Mapping[int, int] = by_isp(metering.spans) if metering else {}
    wrong: list[str] = []
    missing_w = 0
    for isp in sorted(settled):
        row, asked = settled[isp], entry.asked_w[isp]

        def differs(what: str, theirs: int, ours: int, isp: int = isp) -> None:
            if abs(theirs - ours) > tolerance_w:
                wrong.append(f"ISP {isp}: {what} is {ours} W, not {theirs} W")

        if row.ordered_w != asked:
            wrong.append(f"ISP {isp}: OrderedFlexPower was {asked} W, not {row.ordered_w} W")
        differs("BaselinePower", row.baseline_w, entry.baseline_w[isp])
        if not metered:
            continue
        if isp not in readings:
            wrong.append(f"ISP {isp}: we have no reading to compare with")
            continue
        ours = delivered_w(entry.before_w[isp], asked, readings[isp])
        missing_w = max(missing_w, -asked - ours)
        differs("ActualPower", row.actual_w, readings[isp])
        differs("DeliveredFlexPower", abs(row.delivered_w), ours)
        differs("PowerDeficiency", abs(row.missing_w), -asked - ours)
    if metered and one.penalty_eur > 0 and missing_w <= tolerance_w and not wrong:
        wrong.append("Penalty although nothing was missing")
    return _few(wrong)


def _few(wrong: list[str], most: int = 5) -> list[str]:
    """The first few of many reasons, so that a message stays small."""
    if len(wrong) <= most:
        return wrong
    return [*wrong[:most], f"and {len(wrong) - most} more"]
