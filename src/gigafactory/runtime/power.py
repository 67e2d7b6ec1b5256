"""Power contracts of a run: their terms for the book, and what became of each for the summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gigafactory.factory.models import Factory, Ppa
from gigafactory.ledger import METERS, Book
from gigafactory.ledger.parties import contract_result, party_columns

_PPM = 1_000_000


def contract_terms(ppas: Sequence[Ppa]) -> dict[str, Any]:
    """Fields of the book's header on guarantees sold and on the parties of contracts."""

    def micro(value: float) -> int:
        return round(value * 1e6)

    parties = [(k, party) for k, ppa in enumerate(ppas) for party in ppa.parties]
    return {
        "contract_resale": tuple(
            micro(p.guarantee_price_eur_per_mwh)
            if p.guarantees_of_origin and p.guarantees == "sold"
            else 0
            for p in ppas
        ),
        "contract_fee": tuple(micro(p.operating_fee_eur_per_mwh) for p in ppas),
        "parties": tuple(party.name for _, party in parties),
        "party_contract": tuple(k for k, _ in parties),
        "party_finance_ppm": tuple(round(party.finance_share * _PPM) for _, party in parties),
        "party_benefit_ppm": tuple(round(party.benefit_share * _PPM) for _, party in parties),
        "party_operates": tuple(party.operates for _, party in parties),
    }


def contract_rows(factory: Factory, book: Book) -> list[dict[str, Any]]:
    """What each power contract gave, cost and brought, from the book; a list for the summary."""
    n, header = book.periods, book.header
    rows = []
    for c, ppa in enumerate(factory.energy.ppas):
        cost, benefit, fee = contract_result(book, c)
        taken, cut = (float(book.contract[:n, c, k].sum()) / 1e6 for k in (0, 1))
        money = book.contract_money[:n, c].sum(axis=0) / 1e6
        kept = header.contract_guaranteed[c]
        parties = {name: int(net.sum()) / 1e6 for name, net in party_columns(book, c).items()}
        rows.append(
            {
                "contract": ppa.name,
                "site": ppa.site,
                "form": ppa.form,
                "technology": ppa.technology,
                "taken_mwh": taken,
                "curtailed_mwh": cut,
                "cost_eur": int(cost.sum()) / 1e6,
                "worth_eur": 0.0 - float(money[3]),
                "guarantees_sold_eur": 0.0 - float(money[2]),
                "guarantees_kept_mwh": taken if kept else 0.0,
                "result_eur": int((benefit - cost).sum()) / 1e6,
                "operating_fee_eur": int(fee.sum()) / 1e6,
                "beyond_use_mwh": _beyond_use_mwh(book, c),
                "parties_eur": parties,
            }
        )
    return rows


def _beyond_use_mwh(book: Book, c: int) -> float:
    """Energy of a contract beyond what its site imported in the period, sold on the market."""
    n, site = book.periods, book.header.contract_site[c]
    drawn = book.meter[:n, site, METERS.index("import_wh")]
    over = np.maximum(book.contract[:n, c, 0] - drawn, 0)
    return float(over.sum()) / 1e6


__all__ = ["contract_rows", "contract_terms"]
