"""Who was promised, held, borrowed and lacked what, over a run: the quota tree in hours.

Everything here is summed from what the kernel integrated exactly and the journal keeps per day.
Promised is the nominal quota of each day in pools that are complete; what failures and late
deliveries take from it is nobody's own loss but shared pro rata, and is not taken off here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.factory.rights import quota_tree, verdicts, without_reserve
from gigafactory.ledger import SHARE_COLUMNS, Book
from gigafactory.ledger.book import RECEIPT
from gigafactory.ledger.tables import job_states
from gigafactory.policy import Amounts
from gigafactory.runtime.told import Told
from gigafactory.units import NS_PER_H, S_PER_H

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Why there are no shares, as the summary says it.
NO_SHARES: Final = (
    "shares: the run's journal holds no frames of shares, or those of another quota tree; with "
    "them go shares_of_tenants, concentration, by_tenant_group, by_sector, export, "
    "export_by_country, by_mission, quota_proof and what programmes held"
)


@dataclass(frozen=True, slots=True)
class Shares:
    """What every node of the quota tree was promised and had, all pools together.

    Attributes:
        names: of the nodes; the root's is "".
        parent: of each node, -1 for the root.
        leaf: node of each tenant, in the order of the run's tenants.
        daily_promised_gpu_h: nominal quota of the day times its length, per day and node.
        daily_gpu_h: held per day and node.
        daily_borrowed_gpu_h: of what was held, beyond the effective quota.
        daily_short_gpu_h: asked within the nominal quota and not had.
    """

    names: tuple[str, ...]
    parent: tuple[int, ...]
    leaf: tuple[int, ...]
    daily_promised_gpu_h: Floats
    daily_gpu_h: Floats
    daily_borrowed_gpu_h: Floats
    daily_short_gpu_h: Floats

    @property
    def promised_gpu_h(self) -> Floats:
        """Promised over the whole run, per node."""
        return np.asarray(self.daily_promised_gpu_h.sum(axis=0), np.float64)

    @property
    def held_gpu_h(self) -> Floats:
        """Held over the whole run, per node."""
        return np.asarray(self.daily_gpu_h.sum(axis=0), np.float64)

    @property
    def borrowed_gpu_h(self) -> Floats:
        """Borrowed over the whole run, per node."""
        return np.asarray(self.daily_borrowed_gpu_h.sum(axis=0), np.float64)

    @property
    def short_gpu_h(self) -> Floats:
        """Short over the whole run, per node."""
        return np.asarray(self.daily_short_gpu_h.sum(axis=0), np.float64)


def read_shares(told: Told, book: Book) -> Shares | None:
    """The shares of a run; None where its journal holds none of this tree."""
    tenants = told.table.tenants
    on = told.calendar.local_dates[0]
    lost = without_reserve(verdicts(told.factory, told.catalogue, on))
    trees = [quota_tree(told.factory, p, told.catalogue, tenants, lost) for p in told.factory.fleet]
    tree = trees[0]
    if not book.share_s or book.header.shares != tree.names:
        return None
    # [days, nodes, columns]: whole seconds, summed as such
    by_day = np.stack(book.share_s).sum(axis=1)
    nominal = np.sum([t.nominal for t in trees], axis=0)
    promised = np.zeros(by_day.shape[:2])
    for day, hours in enumerate(_day_hours(told)[: len(by_day)]):
        if day in book.promised:
            nominal = book.promised[day].sum(axis=0)
        promised[day] = nominal * hours
    columns = {name: by_day[:, :, i] / S_PER_H for i, name in enumerate(SHARE_COLUMNS)}
    return Shares(
        names=tree.names,
        parent=tree.parent,
        leaf=tree.tenant_node,
        daily_promised_gpu_h=promised,
        daily_gpu_h=columns["held_s"],
        daily_borrowed_gpu_h=columns["borrowed_s"],
        daily_short_gpu_h=columns["short_s"],
    )


def _day_hours(told: Told) -> Floats:
    edges = told.calendar.start_ns[told.calendar.day_edges]
    return np.asarray(np.diff(edges) / NS_PER_H, np.float64)


def share_rows(shares: Shares) -> list[dict[str, Any]]:
    """One row per node of the tree, parents before their children.

    Promised is own use (held less borrowed) and unused; of what is unused, `short_gpu_h` was asked
    for and not had, the rest was lent out or idle.
    """
    held = shares.held_gpu_h
    leaves = set(shares.leaf)
    rows = []
    for x, name in enumerate(shares.names):
        above = shares.parent[x]
        promised, borrowed = float(shares.promised_gpu_h[x]), float(shares.borrowed_gpu_h[x])
        rows.append(
            {
                "node": name,
                "parent": None if above < 0 else shares.names[above],
                "level": "all" if above < 0 else "tenant" if x in leaves else "group",
                "nominal_gpu_h": promised,
                "held_gpu_h": float(held[x]),
                "borrowed_gpu_h": borrowed,
                "short_gpu_h": float(shares.short_gpu_h[x]),
                "unused_gpu_h": promised - (float(held[x]) - borrowed),
            }
        )
    return rows


def share_totals(shares: Shares) -> dict[str, float | None]:
    """Sums over the tenants: held, borrowed, lacked, and how far their shares were kept."""
    leaf = list(shares.leaf)
    held = float(shares.held_gpu_h[leaf].sum())
    borrowed, short = (
        float(shares.borrowed_gpu_h[leaf].sum()),
        float(shares.short_gpu_h[leaf].sum()),
    )
    asked = held - borrowed + short
    return {
        "held_gpu_h": held,
        "borrowed_gpu_h": borrowed,
        "short_gpu_h": short,
        "kept_share": (held - borrowed) / asked if asked > 0 else None,
        "borrowed_share": borrowed / held if held > 0 else None,
    }


def amounts_of(told: Told, book: Book, shares: Shares | None) -> Amounts:
    """Accelerator-hours per tenant and month, as the access ledger takes them.

    Asked is accelerators times run time at full speed of the jobs submitted in the month, admitted
    what of these no rule refused, used what the tenant held in it. What waits is counted at the end
    only: work of queued jobs that is not done yet. Without shares nothing counts as used.
    """
    table, days = told.table, _days_done(told, book)
    months, month_of = told.calendar.months(days)
    need = need_gpu_h(told)
    some = submitted(told, book)
    edges = told.calendar.start_ns[told.calendar.day_edges[: days + 1]]
    day = np.clip(np.searchsorted(edges, table.submit_ns, side="right") - 1, 0, days - 1)
    shape = (len(table.tenants), len(months))
    requested, granted, used, waiting = (np.zeros(shape) for _ in range(4))
    np.add.at(requested, (table.tenant[some], month_of[day[some]]), need[some])
    fair = some & (book.refused_by < 0)
    np.add.at(granted, (table.tenant[fair], month_of[day[fair]]), need[fair])
    if shares is not None:
        for d, row in enumerate(shares.daily_gpu_h):
            used[:, month_of[d]] += row[list(shares.leaf)]
    late = queued(book)
    np.add.at(waiting[:, -1], table.tenant[late], _undone_gpu_h(book, need)[late])
    return Amounts(table.tenants, months, requested, granted, used, waiting)


def _days_done(told: Told, book: Book) -> int:
    """Local days that were simulated, at least one."""
    return max(1, int(np.searchsorted(told.calendar.day_edges, book.periods, side="right")) - 1)


def need_gpu_h(told: Told) -> Floats:
    """What every job asks: its accelerators times its run time at full speed, walltime applied."""
    table = told.table
    run_ns = np.minimum(table.work_ns, table.walltime_ns)
    return np.asarray(table.accelerators * (run_ns / NS_PER_H), np.float64)


def submitted(told: Told, book: Book) -> Flags:
    """Jobs that were submitted within the days simulated, those refused among them."""
    end = book.header.edges_ns[0] + book.periods * book.header.edges_ns[2]
    return np.asarray(told.table.submit_ns < end, np.bool_)


def queued(book: Book) -> Flags:
    """Jobs that wait at the end: never started, or stopped and not started again."""
    asked = (book.ask["pool"] >= 0) & (book.refused_by < 0)
    return np.asarray(asked & (job_states(book) == 0), np.bool_)


def _undone_gpu_h(book: Book, need: Floats) -> Floats:
    """What is left to do of every job, by what its receipt says it ran and lost."""
    ran, lost = (book.receipt[RECEIPT.index(name)] for name in ("gpu_s", "lost_gpu_s"))
    return np.asarray(np.maximum(need - (ran - lost) / S_PER_H, 0.0), np.float64)
