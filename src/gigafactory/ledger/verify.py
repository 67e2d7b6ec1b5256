"""Conservation, to the last integer: what must be equal in every period, and in the receipts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import Problem
from gigafactory.ledger.book import INVOICED, PAID, RECEIPT, Book
from gigafactory.ledger.facts import GENERATOR_COLUMNS, GROUP_COLUMNS, METERS
from gigafactory.ledger.integrals import SHARED
from gigafactory.ledger.parties import contract_result, party_columns
from gigafactory.ledger.tables import account_columns

Ints = npt.NDArray[np.int64]


def conservation(book: Book) -> tuple[list[Problem], dict[str, int]]:
    """Check that the books balance.

    Per site and period: accelerator-seconds sum to those installed; energy in equals energy out;
    the contractual position equals import less export; what was shared out, with its rounding,
    equals what was paid, emitted and drunk; power contracts add up to what was paid for them, and
    the parties of a contract to what it left. Over the run: receipts plus rounding equal the totals
    of active work, and rounding is less than one unit per segment and per period's share.

    Returns:
        ``(problems, rounding)``; `rounding` names what quantising left, in whole units.
    """
    problems: list[Problem] = []
    rounding: dict[str, int] = {}
    for site, name in enumerate(book.header.sites):
        columns = account_columns(book, site)

        def group(prefix: str, *without: str, columns: dict[str, Ints] = columns) -> Ints:
            total = np.zeros(book.periods, np.int64)
            for key, column in columns.items():
                if key.startswith(prefix) and key not in without:
                    total += column
            return total

        meter = {m: book.meter[: book.periods, site, i] for i, m in enumerate(METERS)}
        into = meter["import_wh"] + meter["discharge_wh"] + meter["generation_wh"]
        sources = ("energy.import_wh", "energy.discharge_wh", "energy.generation_wh")
        out = group("energy.", *sources)
        checks = {
            "energy in = energy out": into - out,
            "import - export = contracts": meter["import_wh"]
            - meter["export_wh"]
            - group("contract."),
            "installed = fates": columns["hours.installed_gpu_s"]
            - group("hours.", "hours.installed_gpu_s"),
            **_own(book, site, meter["generation_wh"]),
        }
        for commodity in SHARED:
            stem = commodity.rsplit("_micro_eur", 1)[0].rsplit("_mg", 1)[0].rsplit("_ml", 1)[0]
            total = next(k for k in columns if k.startswith(f"{stem}.total"))
            checks[f"{stem} shared = {stem} total"] = columns[total] - group(f"{stem}.", total)
            key = next(k for k in columns if k.startswith(f"{stem}.rounding"))
            rounding[f"{name}.{stem}"] = int(columns[key].sum())
            # a rate is short of the exact one by less than a trillionth per micro-watt-hour
            most = meter["it_wh"] // 10**6 + len(book.header.classes) + 3
            for period in np.flatnonzero((columns[key] < 0) | (columns[key] > most))[:3]:
                why = f"{int(columns[key][period])} units in period {period} are no rounding"
                problems.append(Problem(f"ledger, site {name}", key, "", why))
        for what, difference in checks.items():
            for period in np.flatnonzero(difference)[:3]:
                why = f"differs by {int(difference[period])} units in period {period}"
                problems.append(Problem(f"ledger, site {name}", what, "", why))
        off = np.abs(columns["hours.rounding_gpu_s"]).max(initial=0)
        if off > len(columns):
            why = f"rounding of {off} accelerator-seconds in one period is no rounding"
            problems.append(Problem(f"ledger, site {name}", "hours.rounding", str(off), why))
    problems += _contracts(book)
    problems += _invoices(book)
    problems += _receipts(book, rounding)
    return problems, rounding


def _contracts(book: Book) -> list[Problem]:
    """Contracts add up to what their sites paid for them, and parties to their contract."""
    problems: list[Problem] = []
    n = book.periods
    for site, name in enumerate(book.header.sites):
        mine = [c for c, of in enumerate(book.header.contract_site) if of == site]
        booked = book.contract_money[:n, mine].sum(axis=1)
        for k, account in enumerate(("ppa", "ppa_curtailed", "guarantees")):
            off = book.paid[:n, site, PAID.index(account)] - booked[:, k]
            if np.any(off):
                why = f"contracts and paid differ by up to {int(np.abs(off).max())} micro-euro"
                problems.append(Problem(f"ledger, site {name}", f"paid.{account}", "", why))
    for c, name in enumerate(book.header.contracts):
        parts = party_columns(book, c)
        if parts:
            cost, benefit, _ = contract_result(book, c)
            left = benefit - cost - sum(parts.values(), np.zeros(n, np.int64))
            if np.any(left):
                why = f"its parties are off by up to {int(np.abs(left).max())} micro-euro"
                problems.append(Problem("ledger, contracts", name, "", why))
    return problems


def _own(book: Book, site: int, generation: Ints) -> dict[str, Ints]:
    """What must be nought of own generators: their sum against the meter, and every tank."""
    h, n = book.header, book.periods
    mine = [k for k, of in enumerate(h.generator_site) if of == site]
    read = {c: book.generator[:n, :, i] for i, c in enumerate(GENERATOR_COLUMNS)}
    found = {"generators = generation": generation - read["made_wh"][:, mine].sum(axis=1)}
    for k in mine:
        if h.generator_stock[k] < 0 or n == 0:
            continue
        stock = read["stock_wh"][:, k]
        before = np.concatenate([[h.generator_stock[k]], stock[:-1]])
        moved = read["delivered_wh"][:, k] - read["fuel_wh"][:, k]
        found[f"fuel of {h.generators[k]}"] = before + moved - stock
        found[f"fuel of {h.generators[k]} below nought"] = np.minimum(stock, 0)
    return found


def _invoices(book: Book) -> list[Problem]:
    """Accounts paid by invoice hold the rows of the invoices, and a bill's peak was metered."""
    problems: list[Problem] = []
    rows = np.zeros((book.periods, len(book.header.sites), len(PAID)), np.int64)
    imported = METERS.index("import_wh")
    for row in book.invoices:
        period, site = int(row["period"]), int(row["site"])
        rows[period, site, PAID.index(row["account"])] += int(row["micro_eur"])
        if "peak_wh" in row:
            metered = int(book.meter[int(row["from"]) : period + 1, site, imported].max())
            if metered != int(row["peak_wh"]):
                name = f"ledger, site {book.header.sites[site]}"
                why = f"the highest quarter metered is {metered} Wh"
                problems.append(Problem(name, str(row["line"]), str(row["peak_wh"]), why))
    for account in INVOICED:
        at = PAID.index(account)
        off = book.paid[: book.periods, :, at] - rows[:, :, at]
        for period, site in np.argwhere(off)[:3].tolist():
            why = f"differs by {int(off[period, site])} units in period {period} from its invoices"
            problems.append(Problem(f"ledger, site {book.header.sites[site]}", account, "", why))
    return problems


def _receipts(book: Book, rounding: dict[str, int]) -> list[Problem]:
    problems: list[Problem] = []
    used = GROUP_COLUMNS.index("used_uwh")
    energy_uwh = sum(int(x) for x in book.group[: book.periods, :, :, used].sum(axis=(1, 2)))
    totals = {"energy_wh": energy_uwh // 10**6}
    classes = len(book.header.classes)
    for c, commodity in enumerate(SHARED):
        totals[commodity] = int(book.shared[: book.periods, :, :classes, c].sum())
    # one unit per segment, one per period, site and class for the floor of its share
    parts = book.periods * len(book.header.sites) * classes
    for commodity, total in totals.items():
        left = total - int(book.receipt[RECEIPT.index(commodity)].sum())
        rounding[f"receipts.{commodity}"] = left
        if not -parts <= left <= book.segments + 1:
            why = (
                f"receipts leave {left} units of {total}, more than one per segment "
                f"({book.segments})"
            )
            problems.append(Problem("ledger, receipts", commodity, str(left), why))
    return problems


__all__ = ["conservation"]
