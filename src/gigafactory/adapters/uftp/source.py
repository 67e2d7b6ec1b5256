"""The gateway as the runtime sees it: orders that stand in the store, and whether it lives."""

from __future__ import annotations

from gigafactory.adapters.store import Store
from gigafactory.adapters.uftp.terms import CHANNEL, STATUS
from gigafactory.grid.calendar import utc_text
from gigafactory.grid.ports import GridOrder
from gigafactory.units import NS_PER_S

_PAGE = 1000


class GopacsOrders:
    """A `grid.OrderSource` over the store the gateway writes to.

    Args:
        store: the service's store.
        silent_s: the gateway is in trouble when it has not said for so long that it lives.
    """

    def __init__(self, store: Store, silent_s: float = 60.0) -> None:
        self._store = store
        self._silent_ns = round(silent_s * NS_PER_S)

    def orders(self, since_ns: int) -> tuple[GridOrder, ...]:
        """Orders received from an instant on, in order of receipt and key.

        Raises:
            StoreTrouble: the store is away.
        """
        found: list[GridOrder] = []
        after = 0
        while rows := self._store.orders(source=CHANNEL, after=after, limit=_PAGE):
            found += [row.order for row in rows if row.order.received_ns >= since_ns]
            after = rows[-1].seq
        return tuple(sorted(found, key=lambda one: (one.received_ns, one.key)))

    def trouble(self, now_ns: int) -> str:
        """Why the channel cannot be relied on now; empty when all is well.

        Raises:
            StoreTrouble: the store is away.
        """
        said = self._store.published(STATUS)
        if said is None:
            return "the GOPACS gateway has never run"
        if now_ns - said[0] > self._silent_ns:
            return f"the GOPACS gateway is silent since {utc_text(said[0])}"
        return trouble_of(self._store)


def trouble_of(store: Store) -> str:
    """What keeps the gateway from a counterpart, as its open alarms say; empty for nothing."""
    away = (
        one.text
        for one in store.alarms()
        if one.kind == "undelivered" and one.key.startswith(f"{CHANNEL}:")
    )
    return next(away, "")
