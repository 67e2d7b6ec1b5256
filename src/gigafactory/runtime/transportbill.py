"""The transport bill of a month, from what was metered and what is contracted.

The bill comes from outside (the grid operator sends it), so the loop writes it into the journal and
the book posts it; its kWmax must be the highest quarter that the book itself holds.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gigafactory.factory.models import Factory
from gigafactory.factory.sites import GridConnection
from gigafactory.factory.transport import TariffTerms
from gigafactory.factory.transportchecks import FIRM_NAME, KNOWN_KV
from gigafactory.grid import MarketCalendar
from gigafactory.grid.connection import HIGH_VOLTAGE_KV
from gigafactory.grid.figures import bundled
from gigafactory.grid.rights import (
    Form,
    RightsRules,
    TimeBlock,
    TransportRight,
    TransportRights,
    rights_on,
)
from gigafactory.grid.series import SourceRow
from gigafactory.grid.tariff import (
    EXTRA_HIGH_VOLTAGE_KV,
    Line,
    TransportTariff,
    tariff_bill,
    tariff_on,
)

Array = npt.NDArray[np.float64]


def rules_for(day: dt.date) -> RightsRules:
    """The rules of transport rights on a day; before the first known day, those of that day."""
    return rights_on(max(day, bundled("tariff.yaml")["rights"].since))


def tariff_for(line: GridConnection, terms: TariffTerms, day: dt.date) -> TransportTariff:
    """The tariff on a day; before the first known day that of that day, own figures put in."""
    level_kv = {"hv": HIGH_VOLTAGE_KV, "ehv": EXTRA_HIGH_VOLTAGE_KV, None: line.voltage_kv}
    voltage_kv = max(level_kv[terms.level], KNOWN_KV)
    name = "ehv" if voltage_kv >= EXTRA_HIGH_VOLTAGE_KV else "hv"
    tariff = tariff_on(voltage_kv, max(day, bundled("tariff.yaml")[name].since))
    own = {
        "contract_eur_per_kw_year": terms.contract_eur_per_kw,
        "peak_eur_per_kw_month": terms.peak_eur_per_kw,
        "fixed_eur_per_year": terms.fixed_eur_per_year,
    }
    used = {name: getattr(tariff, name) if mine is None else mine for name, mine in own.items()}
    return replace(
        tariff,
        contract_eur_per_kw_year=used["contract_eur_per_kw_year"],
        peak_eur_per_kw_month=used["peak_eur_per_kw_month"],
        fixed_eur_per_year=used["fixed_eur_per_year"],
        figures={name: f for name, f in tariff.figures.items() if own.get(name) is None},
    )


@dataclass(frozen=True, slots=True)
class MonthBill:
    """The bill for the days of a month.

    Attributes:
        lines: what is charged.
        firm_instead_eur: what the bill would be if every right were firm, the same power taken.
    """

    lines: tuple[Line, ...]
    firm_instead_eur: float

    @property
    def total_eur(self) -> float:
        """Sum of the lines, EUR."""
        return sum(line.amount_eur for line in self.lines)


def month_bill(
    line: GridConnection,
    timezone: str,
    dates: tuple[dt.date, ...],
    firm_mw: Array,
    import_mw: Array,
) -> MonthBill:
    """The bill for days of one month.

    Contracted power counts by the days it was held: a right that grew during the month with its
    mean over the days, which gives the same sum.

    Args:
        line: the connection, with a tariff.
        timezone: of the local days.
        dates: local days, one after another, of one month.
        firm_mw: firm right on each day, [D].
        import_mw: mean power taken in each quarter of these days.
    """
    assert line.tariff is not None
    calendar = MarketCalendar.of(dates[0], len(dates), timezone)
    tariff = tariff_for(line, line.tariff, dates[0])
    rules = rules_for(dates[0])
    held: list[tuple[str, Form, float, tuple[TimeBlock, ...]]] = [
        (FIRM_NAME, Form.FIRM, float(firm_mw.mean()), ())
    ]
    for right in line.rights:
        share = np.mean([right.from_ is None or day >= right.from_ for day in dates])
        blocks = tuple(TimeBlock(b.start_h, b.end_h, b.weekdays) for b in right.blocks)
        held.append((right.name, Form(right.form), right.capacity_mw * float(share), blocks))
    own = tuple(TransportRight(*one) for one in held if one[2] > 0.0)
    bill = tariff_bill(calendar, import_mw, tariff, TransportRights(own, rules))
    firm = tuple(TransportRight(r.name, Form.FIRM, r.capacity_mw) for r in own)
    instead = tariff_bill(calendar, import_mw, tariff, TransportRights(firm, rules))
    return MonthBill(bill.lines, instead.total_eur)


def sources_of_transport(factory: Factory, day: dt.date) -> tuple[SourceRow, ...]:
    """The figures of rights and tariffs that a factory's connections use on a day."""
    rows: dict[str, SourceRow] = {}
    for site in factory.sites.values():
        line = site.connection
        if line.rights or line.tariff is not None:
            rows |= {row.figure: row for row in rules_for(day).sources()}
        if line.tariff is not None and line.tariff.charged:
            rows |= {row.figure: row for row in tariff_for(line, line.tariff, day).sources()}
    return tuple(rows.values())


__all__ = ["MonthBill", "month_bill", "rules_for", "sources_of_transport", "tariff_for"]
