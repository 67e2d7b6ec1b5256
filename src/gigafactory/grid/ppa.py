"""Power purchase agreements, guarantees of origin and market-based carbon.

An off-site contract is a matter of money and of certificates: its energy comes through the import
meter like all other, and never relieves the connection.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.series import Series
from gigafactory.grid.signals import Signals

Array = npt.NDArray[np.float64]

TECHNOLOGIES = ("offshore_wind", "onshore_wind", "solar")
KINDS = ("pay_as_produced", "baseload")


@dataclass(frozen=True, slots=True)
class Ppa:
    """A power purchase agreement.

    Attributes:
        name: name of the contract.
        technology: one of `TECHNOLOGIES`.
        capacity_mw: contracted capacity, MW (with baseload the constant delivery).
        price_eur_per_mwh: contract price, EUR/MWh.
        start: first local day of the contract.
        until: first local day after it.
        commissioned: day the plant goes into operation; nothing comes before.
        guarantees_of_origin: whether they come with the energy and are retired for it.
        kind: "pay_as_produced" (what the plant makes) or "baseload" (a constant delivery; the
            seller buys what the plant lacks).
        curtail_eur_per_mwh: paid to the producer per MWh the buyer asks not to be made, EUR/MWh.
    """

    name: str
    technology: str
    capacity_mw: float
    price_eur_per_mwh: float
    start: dt.date
    until: dt.date
    commissioned: dt.date
    guarantees_of_origin: bool = True
    kind: str = "pay_as_produced"
    curtail_eur_per_mwh: float = 0.0

    def __post_init__(self) -> None:
        problems = list(_faults(self))
        if problems:
            raise BadInput(problems)

    def in_force(self, calendar: MarketCalendar) -> npt.NDArray[np.bool_]:
        """Periods in which the contract runs and the plant exists, shape [P]."""
        begin = max(self.start, self.commissioned)
        return calendar.since(begin) & ~calendar.since(self.until)

    def available_mw(self, calendar: MarketCalendar, capacity_factor: Array) -> Array:
        """Contract energy on offer in each period, MW, shape [P].

        Args:
            calendar: the market periods.
            capacity_factor: of the technology, 0..1, shape [P]; unused with baseload.
        """
        assert len(capacity_factor) == calendar.periods, "one capacity factor per market period"
        share = np.ones(calendar.periods) if self.kind == "baseload" else capacity_factor
        return np.where(self.in_force(calendar), self.capacity_mw * share, 0.0)

    def series(self, signals: Signals) -> Series:
        """The capacity factor series of this contract's technology."""
        return {
            "offshore_wind": signals.wind_offshore,
            "onshore_wind": signals.wind_onshore,
            "solar": signals.solar,
        }[self.technology]

    def cost_eur(self, taken_mwh: Array, curtailed_mwh: Array) -> Array:
        """What the contract costs, EUR, shape [P].

        Args:
            taken_mwh: energy taken at the contract price, MWh per period.
            curtailed_mwh: energy on offer that was asked not to be made, MWh per period.
        """
        return taken_mwh * self.price_eur_per_mwh + curtailed_mwh * self.curtail_eur_per_mwh

    def guaranteed_mwh(self, taken_mwh: Array) -> Array:
        """Energy for which guarantees of origin are retired, MWh, shape [P]."""
        return taken_mwh if self.guarantees_of_origin else np.zeros_like(taken_mwh)


def market_based_co2_kg(
    import_mwh: Array,
    guaranteed_mwh: Array,
    residual_kg_per_mwh: Array,
    *,
    matching: str = "period",
) -> Array:
    """Market-based carbon of imported energy, kg CO2 per period, shape [P].

    Energy with retired guarantees of origin of wind or sun counts as 0, the rest with the residual
    mix. Where no residual mix is published the location-based intensity stands in, as the GHG
    Protocol Scope 2 Guidance (2015) allows; that is the caller's choice and belongs in the sources.

    Args:
        import_mwh: energy imported, MWh, shape [P].
        guaranteed_mwh: energy with retired guarantees of origin, MWh, shape [P].
        residual_kg_per_mwh: intensity of what is not guaranteed, kg/MWh, shape [P].
        matching: "period" lets a guarantee count only in the period it was produced in (24/7);
            "total" spreads all guarantees over all import, as today's yearly rule does.
    """
    if matching == "period":
        uncovered = np.maximum(import_mwh - guaranteed_mwh, 0.0)
    elif matching == "total":
        whole = float(import_mwh.sum())
        share = max(0.0, 1.0 - float(guaranteed_mwh.sum()) / whole) if whole > 0 else 0.0
        uncovered = import_mwh * share
    else:
        raise ValueError(f'matching is "period" or "total", not {matching!r}')
    return np.asarray(uncovered * residual_kg_per_mwh, dtype=np.float64)


def _faults(ppa: Ppa) -> Sequence[Problem]:
    problems: list[Problem] = []
    where = f"PPA {ppa.name}"

    def wrong(field: str, value: object, why: str) -> None:
        problems.append(Problem(where, field, str(value), why))

    if ppa.technology not in TECHNOLOGIES:
        wrong("technology", ppa.technology, f"must be one of {', '.join(TECHNOLOGIES)}")
    if ppa.kind not in KINDS:
        wrong("kind", ppa.kind, f"must be one of {', '.join(KINDS)}")
    if not (np.isfinite(ppa.capacity_mw) and ppa.capacity_mw > 0):
        wrong("capacity_mw", ppa.capacity_mw, "must be above 0")
    if not np.isfinite(ppa.price_eur_per_mwh):
        wrong("price_eur_per_mwh", ppa.price_eur_per_mwh, "must be a finite number")
    if not (np.isfinite(ppa.curtail_eur_per_mwh) and ppa.curtail_eur_per_mwh >= 0):
        wrong("curtail_eur_per_mwh", ppa.curtail_eur_per_mwh, "must be 0 or more")
    if ppa.until <= ppa.start:
        wrong("until", ppa.until, f"must come after the start ({ppa.start})")
    return problems
