"""The Dutch transport tariff at high and extra-high voltage, as a bill with lines.

Half of the tariff is on contracted power (kW), half on the highest power of each month (kWmax),
which counts with a weight by time of day (Stcrt 2024-23593). Who uses the grid for up to 600 hours
of full load a year pays half of the contract tariff, and kWmax by the week at 18/52 of the month's
tariff. The form of the transport right decides how much of the contract tariff is due
(`gigafactory.grid.rights`).

The EUR/kW in ``data/tariff.yaml`` are placeholders, marked as assumptions. Not part of it: the fee
for the connection itself, reactive power, energy tax and VAT.
"""

from __future__ import annotations

import calendar as months
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.checking import checked
from gigafactory.grid.connection import HIGH_VOLTAGE_KV
from gigafactory.grid.figures import Figure, bundled, source_rows
from gigafactory.grid.rights import TransportRights
from gigafactory.grid.series import SourceRow

Array = npt.NDArray[np.float64]

#: From here on the Dutch transmission grid is extra-high voltage.
EXTRA_HIGH_VOLTAGE_KV: Final = 220.0
KW_PER_MW: Final = 1000.0
#: kWmax is the highest mean power of a quarter of an hour.
_QUARTER_S: Final = 900


@dataclass(frozen=True, slots=True)
class TransportTariff:
    """A transport tariff on a local day.

    Attributes:
        level: "hv" or "ehv".
        contract_eur_per_kw_year: on contracted power, EUR/kW per year.
        peak_eur_per_kw_month: on the weighted highest power of a month, EUR/kW per month.
        fixed_eur_per_year: standing charge, EUR per year.
        low_use_h: hours of full load a year up to which the low-use tariff holds.
        low_use_contract_factor: of the contract tariff that such a user pays.
        low_use_week_factor: of the month's kWmax tariff that such a user pays each week.
        figures: the figures with their origins, by name.
    """

    level: str
    contract_eur_per_kw_year: float
    peak_eur_per_kw_month: float
    fixed_eur_per_year: float
    low_use_h: float
    low_use_contract_factor: float
    low_use_week_factor: float
    figures: Mapping[str, Figure]

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of every figure, one row each."""
        return source_rows(f"tariff.{self.level}", self.figures)


def tariff_on(voltage_kv: float, day: dt.date) -> TransportTariff:
    """The transport tariff for a voltage on a local day.

    Args:
        voltage_kv: of the connection, kV; 110 and more.
        day: local day.

    Raises:
        BadInput: a lower voltage (regional grids have other tariffs), or a day before the first.
    """
    if not voltage_kv >= HIGH_VOLTAGE_KV:
        why = f"must be {HIGH_VOLTAGE_KV:g} kV or more: regional tariffs are not known here"
        raise refuse("tariff", "voltage_kv", voltage_kv, why)
    level = "ehv" if voltage_kv >= EXTRA_HIGH_VOLTAGE_KV else "hv"
    figures = bundled("tariff.yaml")[level].on(day)
    value = {key: figure.value for key, figure in figures.items()}
    return TransportTariff(level=level, figures=figures, **value)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill.

    Attributes:
        name: what is charged.
        quantity: how much, in `unit`.
        unit: unit of the quantity.
        rate: EUR per unit.
    """

    name: str
    quantity: float
    unit: str
    rate: float

    @property
    def amount_eur(self) -> float:
        """Quantity times rate, EUR."""
        return self.quantity * self.rate


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill for transport.

    Attributes:
        lines: what is charged, in order.
        exceeded_mw: highest power taken beyond all rights, MW; what the grid operator does about it
            (a higher contract, a penalty) is not part of the bill.
    """

    lines: tuple[Line, ...]
    exceeded_mw: float

    @property
    def total_eur(self) -> float:
        """Sum of the lines, EUR."""
        return sum(line.amount_eur for line in self.lines)


def usage_h(calendar: MarketCalendar, import_mw: npt.ArrayLike) -> float:
    """Hours of full load over a calendar: energy over highest power, h; 0 without any."""
    power = checked("tariff", {"import_mw": import_mw}, periods=calendar.periods)["import_mw"]
    peak = float(power.max())
    return float((power * calendar.hours()).sum()) / peak if peak > 0.0 else 0.0


def tariff_bill(
    calendar: MarketCalendar,
    import_mw: npt.ArrayLike,
    tariff: TransportTariff,
    rights: TransportRights,
    *,
    weight: npt.ArrayLike = 1.0,
    low_use: bool = False,
) -> Bill:
    """The bill for transport over a calendar.

    Yearly amounts count by days of the local year, kWmax of a month (a week) by the days of it that
    the calendar covers; so bills over whole months add up to the bill over all of them.

    Args:
        calendar: the market periods, quarters of an hour.
        import_mw: mean power taken from the grid per period, MW, shape [P].
        tariff: the tariff in force.
        rights: the transport rights, whose powers are contracted.
        weight: weight of each period in kWmax, 0..1, shape [P] or one number. The weights of the
            time-weighted tariff were not found: 1 is no weighting.
        low_use: whether the user is one of up to `tariff.low_use_h` hours of full load a year.

    Raises:
        BadInput: periods that are not quarters, values not finite or out of bounds, a low-use claim
            that a whole year disproves; every problem at once.
    """
    problems: list[Problem] = []
    if calendar.period_s != _QUARTER_S:
        why = "kWmax is metered per quarter of an hour; write 900"
        problems.append(Problem("tariff", "period_s", str(calendar.period_s), why))
    try:
        of = checked(
            "tariff",
            {"import_mw": import_mw, "weight": weight},
            shares=("weight",),
            periods=calendar.periods,
        )
    except BadInput as told:
        raise BadInput([*problems, *told.problems]) from told
    used = usage_h(calendar, of["import_mw"])
    if low_use and calendar.days >= 365 and used > tariff.low_use_h:
        why = f"{used:g} h of full load are more than {tariff.low_use_h:g}"
        problems.append(Problem("tariff", "low_use", "true", why))
    if problems:
        raise BadInput(problems)
    weighted_kw = of["import_mw"] * of["weight"] * KW_PER_MW
    lines = [
        *_yearly(calendar, tariff, rights, low_use),
        *(
            _weekly(calendar, tariff, weighted_kw)
            if low_use
            else _monthly(calendar, tariff, weighted_kw)
        ),
    ]
    exceeded = max(float(of["import_mw"].max()) - rights.capacity_mw, 0.0)
    return Bill(tuple(lines), exceeded)


def _yearly(
    calendar: MarketCalendar, tariff: TransportTariff, rights: TransportRights, low_use: bool
) -> Iterator[Line]:
    """Standing charge and contracted power, by the days of each local year."""
    years = sum(1.0 / (366 if months.isleap(d.year) else 365) for d in calendar.local_dates)
    yield Line("standing charge", years, "year", tariff.fixed_eur_per_year)
    for right in rights.rights:
        factor = rights.rules.contract_factor[right.form] * right.week_share
        if low_use:
            factor *= tariff.low_use_contract_factor
        rate = tariff.contract_eur_per_kw_year * factor
        contracted = right.capacity_mw * KW_PER_MW * years
        yield Line(f"contracted power, {right.name} ({right.form})", contracted, "kW year", rate)


def _monthly(
    calendar: MarketCalendar, tariff: TransportTariff, weighted_kw: Array
) -> Iterator[Line]:
    """Highest weighted power of each local month, by the days covered."""
    groups = [(date.year, date.month) for date in calendar.local_dates]
    for (year, month), days, peak in _peaks(calendar, groups, weighted_kw):
        share = days / months.monthrange(year, month)[1]
        yield Line(
            f"kWmax {year}-{month:02}", peak * share, "kW month", tariff.peak_eur_per_kw_month
        )


def _weekly(
    calendar: MarketCalendar, tariff: TransportTariff, weighted_kw: Array
) -> Iterator[Line]:
    """Highest weighted power of each local week (from Monday), by the days covered."""
    groups = [(date.isocalendar().year, date.isocalendar().week) for date in calendar.local_dates]
    rate = tariff.peak_eur_per_kw_month * tariff.low_use_week_factor
    for (year, week), days, peak in _peaks(calendar, groups, weighted_kw):
        yield Line(f"kWmax {year}-W{week:02}", peak * days / 7.0, "kW week", rate)


def _peaks(
    calendar: MarketCalendar, groups: Sequence[tuple[int, int]], weighted_kw: Array
) -> Iterator[tuple[tuple[int, int], int, float]]:
    """Each group of local days, with how many there are and their highest power."""
    day_peak = np.maximum.reduceat(weighted_kw, calendar.day_edges[:-1])
    for group in dict.fromkeys(groups):
        of = [day for day, one in enumerate(groups) if one == group]
        yield group, len(of), float(day_peak[of].max())
