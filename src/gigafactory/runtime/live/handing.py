"""Work is handed over to its manager: what is new, and what a manager has lost; each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gigafactory.adapters.store.records import Work, WorkChange, WorkState
from gigafactory.jobs.ports import Outcome, Receipt, WorkloadSnapshot, WorkOrder
from gigafactory.runtime.live.intake import orders_of
from gigafactory.runtime.live.parts import Parts
from gigafactory.runtime.live.steering import Requests
from gigafactory.runtime.live.watch import Watch
from gigafactory.units import NS_PER_S


class Handing:
    """Knows what was handed over and not seen yet.

    Args:
        parts: what the loop works with.
        requests: keeps what must be handed over again.
        cluster_of: the manager of each pool.
    """

    def __init__(self, parts: Parts, requests: Requests, cluster_of: Mapping[str, str]) -> None:
        self._parts, self._requests, self._cluster_of = parts, requests, dict(cluster_of)
        self._orders: dict[str, WorkOrder] = {}
        self._handed: dict[str, int] = {}

    def orders(
        self, snapshots: Mapping[str, WorkloadSnapshot], watch: Watch, now: int
    ) -> dict[str, list[WorkOrder]]:
        """Work to be handed over now, by manager; what can be nobody's is refused.

        Args:
            snapshots: what the managers show.
            watch: knows the jobs that were seen and those that have ended.
            now: the instant, ns UTC.
        """
        parts, retry = self._parts, int(self._parts.response.retry_s * NS_PER_S)
        found: dict[str, list[WorkOrder]] = {name: [] for name in parts.clusters}
        if parts.book.full or not parts.acts:
            return found
        for order in self._wanted(now):
            cluster = self._cluster_of.get(order.pool)
            if order.key in watch.jobs or order.key in watch.closed:
                self._requests.again.discard(order.key)
            elif cluster is None:
                self._refuse(order.key, f"there is no pool {order.pool!r}", now)
            elif not snapshots[cluster].trouble:
                if now - self._handed.get(order.key, -retry) < retry:
                    continue
                self._orders[order.key] = order
                found[cluster].append(order)
        return found

    def _wanted(self, now: int) -> list[WorkOrder]:
        """What the store has that is new, and what is to be handed over again; each once."""
        intake, again = self._parts.intake, self._requests.again
        works: list[Work] = intake.unplaced()
        unknown = sorted(key for key in again if key not in self._orders)
        works += [work for key in unknown if (work := intake.work(key)) is not None]
        good, bad = orders_of(works)
        for work, why in bad:
            self._refuse(work.id, why, now)
        known = [self._orders[key] for key in again if key in self._orders]
        return list({o.key: o for o in [*good, *known]}.values())

    def note(self, orders: Sequence[WorkOrder], receipts: Sequence[Receipt], now: int) -> None:
        """What became of orders that were handed over; what is unknown is tried again later."""
        for order, receipt in zip(orders, receipts, strict=True):
            self._handed[order.key] = now
            if receipt.outcome is Outcome.ACCEPTED:
                self._requests.again.discard(order.key)
                job = receipt.reason
                change = WorkChange(order.key, WorkState.PLACED, now, job=job, why="held")
                self._parts.intake.note(change)
            elif receipt.outcome is Outcome.REFUSED:
                self._requests.again.discard(order.key)
                self._refuse(order.key, receipt.reason, now)

    def _refuse(self, key: str, why: str, now: int) -> None:
        change = WorkChange(key, WorkState.REFUSED, now, why=why, end_ns=now)
        self._parts.intake.note(change)

    def again(self, key: str) -> None:
        """A manager has lost this job: it is handed over again at once."""
        self._handed.pop(key, None)
        self._requests.again.add(key)

    def forget(self, key: str) -> None:
        """It has ended."""
        self._orders.pop(key, None)
        self._handed.pop(key, None)
