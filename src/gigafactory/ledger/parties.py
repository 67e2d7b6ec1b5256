"""Finance and operate: what a power contract leaves each party, in whole micro-euro.

A party carries its share of the cost and of the operating fee, gets its share of the benefit, and
the operator gets the fee (`gigafactory.grid.settlement.split_between`, here in integers). Shares
are taken of running totals and the last party gets what is left of each, so the parties add up to
benefit less cost in every period, to the last micro-euro.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gigafactory.ledger.book import CONTRACT_MONEY, Book
from gigafactory.ledger.quantise import spread

Ints = npt.NDArray[np.int64]
_PPM = 1_000_000
_ENERGY, _CURTAILED, _GUARANTEES, _WORTH = range(len(CONTRACT_MONEY))


def contract_result(book: Book, contract: int) -> tuple[Ints, Ints, Ints]:
    """Cost, benefit and operating fee of a contract, micro-euro, int64[periods] each.

    Cost is what the producer is paid; benefit is the worth of the energy at the day-ahead price and
    what guarantees of origin sold on brought; the fee passes between the parties alone.
    """
    money = book.contract_money[: book.periods, contract]
    cost = money[:, _ENERGY] + money[:, _CURTAILED]
    benefit = -(money[:, _GUARANTEES] + money[:, _WORTH])
    rate = book.header.contract_fee[contract] if book.header.contract_fee else 0
    taken = book.contract[: book.periods, contract, 0]
    fee, _ = spread(taken, np.full(len(taken), rate, np.int64), _PPM, 0)
    return cost, benefit, fee


def party_columns(book: Book, contract: int) -> dict[str, Ints]:
    """Net result of each party of a contract, micro-euro, int64[periods]; empty without parties."""
    h = book.header
    mine = [p for p, of in enumerate(h.party_contract) if of == contract]
    if not mine:
        return {}
    cost, benefit, fee = contract_result(book, contract)
    carried = _divided(cost + fee, [h.party_finance_ppm[p] for p in mine])
    gained = _divided(benefit, [h.party_benefit_ppm[p] for p in mine])
    return {
        h.parties[p]: gained[k] - carried[k] + (fee if h.party_operates[p] else 0)
        for k, p in enumerate(mine)
    }


def _divided(amount: Ints, ppm: list[int]) -> list[Ints]:
    """An amount per period in parts that add up to it; the last party takes what is left."""
    # the running total in two halves: a year's micro-euro times a million do not fit in 64 bits
    total = np.cumsum(amount)
    parts = [
        np.diff(total // _PPM * share + total % _PPM * share // _PPM, prepend=0)
        for share in ppm[:-1]
    ]
    return [*parts, amount - sum(parts, np.zeros_like(amount))]
