"""Loans over the years, tax, and what is left for the owners. Whole cents; rows are draws.

Uses of money while building are paid by loans in their shares and by the owners for the rest;
interest and fees of these years are among the uses. In operation cash pays yearly cost and tax,
then loans in the order of their rank, then what is bought again; the owners get what is left beyond
a reserve for the next purchase, unless a covenant stops it. Where cash does not suffice, the owners
pay in, and the year is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gigafactory.finance.flows import Cents, added
from gigafactory.finance.levers import Floats, Levers, column
from gigafactory.finance.measures import payment
from gigafactory.finance.operating import IT, REFRESH_LEFT_YEARS, Operating
from gigafactory.finance.planfile import Plan, Tax, Tranche

#: Order in which loans are served.
RANK: Final = {"senior": 0, "refresh": 0, "shell_notes": 1, "junior": 2}


@dataclass(slots=True)
class Loan:
    """A loan over the years. Rows are draws, columns years; euros as paid, in whole cents.

    Attributes:
        terms: from the plan.
        drawn, fee, interest, repaid: cash of each year.
        owed: at the end of each year, in cents of its currency at the first year's rate.
        rate: interest, a year.
        left_years: of a refresh loan, until it is repaid.
    """

    terms: Tranche
    drawn: Cents
    fee: Cents
    interest: Cents
    repaid: Cents
    owed: Cents
    rate: Floats
    left_years: Floats

    @classmethod
    def of(cls, terms: Tranche, zero: Cents, rate: Floats) -> Loan:
        """A loan nobody has drawn yet."""
        drawn, fee, interest, repaid, owed = (zero.copy() for _ in range(5))
        return cls(terms, drawn, fee, interest, repaid, owed, rate, np.zeros(len(zero)))

    @property
    def service(self) -> Cents:
        """Interest and repayment while operating, cents."""
        both: Cents = self.interest + self.repaid
        return both


@dataclass(frozen=True, slots=True)
class Financed:
    """The years after debt and tax.

    Attributes:
        loans: in the order in which they are served.
        tax: with interest as it is, cents.
        tax_without_debt: without interest, cents.
        equity: put in by the owners as planned while building, cents.
        called: put in because cash did not suffice, cents.
        dividend: taken out by the owners, cents.
        held: cash at the end of each year, cents.
        cfads: cash flow available for debt service, cents.
        residual: what the assets fetch at the end, cents.
        cover: debt service cover of each loan with all that rank with or before it; NaN in years
            in which it has no service.
    """

    loans: tuple[Loan, ...]
    tax: Cents
    tax_without_debt: Cents
    equity: Cents
    called: Cents
    dividend: Cents
    held: Cents
    cfads: Cents
    residual: Cents
    cover: tuple[Floats, ...]


def finance(plan: Plan, operating: Operating, levers: Levers) -> Financed:
    """Finance the years of a factory.

    Args:
        plan: terms of loans, tax and reserves.
        operating: the years before debt and tax.
        levers: what differs from the plan.
    """
    draws, years = operating.sold_gpu_h.shape
    building = operating.building_years
    zero = np.zeros((draws, years), dtype=np.int64)
    loans = [
        Loan.of(t, zero, _rates(t, levers, draws, years, building))
        for t in sorted(plan.tranches, key=lambda t: RANK[t.kind])
    ]
    equity = zero.copy()
    _build(plan, operating, loans, equity)
    residual = _residual(plan, operating)
    taxes = _Taxes.of(plan.tax, levers, draws), _Taxes.of(plan.tax, levers, draws)
    out = {n: zero.copy() for n in ("tax", "bare", "called", "dividend", "held", "cfads")}
    covers = [np.full((draws, years), np.nan) for _ in loans]
    write_off = _written_off(operating, residual)
    bank = np.zeros(draws, dtype=np.int64)
    for k in range(years):
        interest = added([loan.interest[:, k] for loan in loans])
        if k >= building:
            for loan in loans:
                _serve(plan, operating, loan, k)
            interest = added([loan.interest[:, k] for loan in loans])
        ebitda = operating.ebitda[:, k]
        profit = ebitda - write_off[:, k]
        out["tax"][:, k] = taxes[0].due(profit, ebitda, interest)
        out["bare"][:, k] = taxes[1].due(profit, ebitda, np.zeros_like(interest))
        out["cfads"][:, k] = operating.cash[:, k] - out["tax"][:, k]
        if k < building:
            continue
        bank = _settle(plan, operating, loans, residual, out, covers, bank, k)
    return Financed(
        loans=tuple(loans),
        tax=out["tax"],
        tax_without_debt=out["bare"],
        equity=equity,
        called=out["called"],
        dividend=out["dividend"],
        held=out["held"],
        cfads=out["cfads"],
        residual=residual,
        cover=tuple(covers),
    )


def _rates(terms: Tranche, levers: Levers, draws: int, years: int, building: int) -> Floats:
    rates = np.full((draws, years), terms.rate)
    from_ = 0 if levers.rate_from_year <= 1 else building + levers.rate_from_year - 1
    rates[:, from_:] += column(levers.rate_fraction, draws)
    return rates


def _fx(plan: Plan, loan: Loan, k: int) -> float:
    return (1.0 + plan.usd_change) ** k if loan.terms.currency == "USD" else 1.0


def _euro(plan: Plan, loan: Loan, k: int, native: Cents) -> Cents:
    cents: Cents = np.rint(native * _fx(plan, loan, k)).astype(np.int64)
    return cents


def _build(plan: Plan, operating: Operating, loans: list[Loan], equity: Cents) -> None:
    """Draw loans and equity while building: in proportion, year by year."""
    uses = operating.first_capex - operating.cash
    for cents in operating.grants.values():
        uses = uses - cents
    drawing = [loan for loan in loans if loan.terms.kind != "refresh"]
    fees = sum(loan.terms.part * loan.terms.fee for loan in drawing)
    for k in range(operating.building_years):
        need = uses[:, k].copy()
        for loan in drawing:
            owed = loan.owed[:, k - 1] if k else np.zeros_like(need)
            loan.interest[:, k] = _euro(
                plan, loan, k, np.rint(owed * loan.rate[:, k]).astype(np.int64)
            )
            need += loan.interest[:, k]
        gross = np.maximum(need, 0) / (1.0 - fees)
        rest = need
        for loan in drawing:
            drawn = np.rint(gross * loan.terms.part).astype(np.int64)
            fee = np.rint(drawn * loan.terms.fee).astype(np.int64)
            loan.drawn[:, k], loan.fee[:, k] = drawn, fee
            owed = loan.owed[:, k - 1] if k else np.zeros_like(need)
            loan.owed[:, k] = owed + np.rint(drawn / _fx(plan, loan, k)).astype(np.int64)
            rest = rest + fee - drawn
        equity[:, k] = rest


def _serve(plan: Plan, operating: Operating, loan: Loan, k: int) -> None:
    """One loan in one year of operation: interest on what was owed, repayment, a new draw."""
    terms, last = loan.terms, operating.sold_gpu_h.shape[1] - 1
    j = k - operating.building_years
    owed = loan.owed[:, k - 1]
    rate = loan.rate[:, k]
    interest = np.rint(owed * rate).astype(np.int64)
    if terms.kind == "refresh":
        left = loan.left_years
    else:
        left = np.full(len(owed), float(terms.term_years - j))
    level = payment(rate, left, owed)
    back = np.clip(np.rint(level - interest).astype(np.int64), 0, owed)
    if terms.kind != "refresh" and j < terms.grace_years:
        back = np.zeros_like(owed)
    back = np.where((left <= 1) | (k == last), owed, back)
    loan.interest[:, k] = _euro(plan, loan, k, interest)
    loan.repaid[:, k] = _euro(plan, loan, k, back)
    loan.owed[:, k] = owed - back
    loan.left_years = np.maximum(0.0, loan.left_years - 1.0)
    if terms.kind != "refresh":
        return
    again = added([operating.bought[n].again[:, k] for n in IT])
    drawn = np.rint(again * terms.part).astype(np.int64)
    loan.drawn[:, k] = drawn
    loan.fee[:, k] = np.rint(drawn * terms.fee).astype(np.int64)
    loan.owed[:, k] += np.rint(drawn / _fx(plan, loan, k)).astype(np.int64)
    # repaid before the next purchase, and before the years end
    life = np.minimum(operating.bought["accelerators"].life_years, max(1, last - k))
    loan.left_years = np.where(drawn > 0, np.minimum(terms.term_years, life), loan.left_years)


def served_with(loans: Sequence[Loan], loan: Loan) -> Cents:
    """Service of a loan and of all that rank with or before it, cents."""
    rank = RANK[loan.terms.kind]
    rows = [other.service for other in loans if RANK[other.terms.kind] <= rank]
    return added(rows)


def _settle(
    plan: Plan,
    operating: Operating,
    loans: list[Loan],
    residual: Cents,
    out: dict[str, Cents],
    covers: list[Floats],
    bank: Cents,
    k: int,
) -> Cents:
    """Cash of one year of operation, in the order in which it is paid; what the bank then holds."""
    cfads = out["cfads"][:, k]
    bank = bank + cfads + residual[:, k] - operating.later_capex[:, k]
    sound = np.ones(len(cfads), dtype=bool)
    for loan, cover in zip(loans, covers, strict=True):
        service = loan.service[:, k]
        served = served_with(loans, loan)[:, k]
        with np.errstate(divide="ignore", invalid="ignore"):
            cover[:, k] = np.where(service > 0, cfads / np.maximum(served, 1), np.nan)
        if loan.terms.dscr_min:
            sound &= ~(cover[:, k] < loan.terms.dscr_min)
        bank = bank - service + loan.drawn[:, k] - loan.fee[:, k]
    called = np.maximum(0, -bank)
    out["called"][:, k] = called
    bank = bank + called
    if k == operating.sold_gpu_h.shape[1] - 1:
        free = bank
    else:
        keep = round(plan.cash_min_eur * 100) + _reserve(plan, operating, k)
        free = np.where(sound, np.maximum(0, bank - keep), 0)
    out["dividend"][:, k] = free
    left: Cents = bank - free
    out["held"][:, k] = left
    return left


def _reserve(plan: Plan, operating: Operating, k: int) -> Cents:
    """What must lie ready at the end of a year for the next purchases, in even steps, cents."""
    borrowed = sum(t.part for t in plan.tranches if t.kind == "refresh")
    kept = np.zeros(len(operating.sold_gpu_h), dtype=np.int64)
    rows = np.arange(len(kept))
    j = k - operating.building_years
    span = plan.operating_years
    for name, asset in operating.bought.items():
        life = asset.life_years.astype(np.int64)
        due = (j // life + 1) * life  # year of operation of the next purchase
        bought = due <= span - REFRESH_LEFT_YEARS
        column_ = np.minimum(operating.building_years + due, asset.again.shape[1] - 1)
        price = np.where(bought, asset.again[rows, column_], 0)
        own = 1.0 - (borrowed if name in IT else 0.0)
        kept += np.rint(price * own * (j % life + 1) / life).astype(np.int64)
    return kept


def _residual(plan: Plan, operating: Operating) -> Cents:
    found = np.zeros(operating.sold_gpu_h.shape, dtype=np.int64)
    for name, asset in operating.bought.items():
        share = plan.assets[name].residual  # type: ignore[index]
        found[:, -1] += np.rint(asset.book[:, -1] * share).astype(np.int64)
    return found


def _written_off(operating: Operating, residual: Cents) -> Cents:
    """What tax lets count: depreciation of what grants did not pay, and the rest at the end."""
    found = added([b.depreciation for b in operating.bought.values()])
    given = added(list(operating.grants.values())) if operating.grants else 0
    first = operating.first_capex.sum(axis=1, keepdims=True)
    share = np.sum(given, axis=1, keepdims=True) / first if operating.grants else np.zeros((1, 1))
    # a grant pays for a part of the first assets: that part cannot be written off
    span = operating.sold_gpu_h.shape[1] - operating.building_years
    back = np.zeros_like(found)
    back[:, operating.building_years :] = np.rint(first * share / span).astype(np.int64)
    found = found - back
    book = added([b.book[:, -1] for b in operating.bought.values()])
    found[:, -1] += book - residual[:, -1]
    return found


@dataclass(slots=True)
class _Taxes:
    """Corporate income tax with losses carried forward."""

    rate: float
    free: float
    loss_share: float
    interest_share: float
    losses: Floats

    @classmethod
    def of(cls, tax: Tax, levers: Levers, draws: int) -> _Taxes:
        rate = tax.rate if levers.tax_rate is None else levers.tax_rate
        free = tax.loss_free_eur * 100.0
        return cls(rate, free, tax.loss_share, tax.interest_share, np.zeros(draws))

    def due(self, profit: Cents, ebitda: Cents, interest: Cents) -> Cents:
        """Tax of a year, cents; interest beyond the bar does not count, in no year."""
        bar = np.maximum(0.0, ebitda * self.interest_share)
        taxable = profit - np.minimum(interest, bar)
        gain = np.maximum(0.0, taxable)
        most = np.minimum(gain, self.free) + np.maximum(0.0, gain - self.free) * self.loss_share
        used = np.minimum(self.losses, most)
        self.losses = self.losses - used + np.maximum(0.0, -taxable)
        cents: Cents = np.rint((gain - used) * self.rate).astype(np.int64)
        return cents


__all__ = ["RANK", "Financed", "Loan", "finance"]
