"""What the store lets go of, once a day and beside the loop.

A sweep takes as long as it takes, so it runs in a thread of its own and never holds a tick up. Its
outcome is published as `retention`; a new controller reads there when it was done last. Journals,
the audit trail, receipts, orders and offers are kept for good whatever is set here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from gigafactory.adapters.store.errors import StoreTrouble
from gigafactory.runtime.live.settings import Retention
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_S

_LOG: Final = logging.getLogger("gigafactory.live")
#: The store's name for what the last sweep did.
RETENTION: Final = "retention"
_RETRY_NS: Final = NS_PER_H


@dataclass(slots=True)
class Sweeper:
    """Sweeps a store once a day.

    Attributes:
        store: `adapters.store.Store`.
        keep: how long what is kept.
        settled: channels whose messages a settlement needs.
    """

    store: Any
    keep: Retention
    settled: Collection[str] = ()
    _due_ns: int = -1
    _thread: threading.Thread | None = field(default=None)

    def turn(self, now_ns: int) -> None:
        """Begin a sweep where one is due and none runs."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self._due_ns < 0:
            self._due_ns = self._last_ns(now_ns) + NS_PER_DAY
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + NS_PER_DAY
        self._thread = threading.Thread(target=self._sweep, args=(now_ns,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until a sweep that runs is over."""
        if self._thread is not None:
            self._thread.join()

    def _last_ns(self, now_ns: int) -> int:
        """When a sweep was last done; a day ago where that is not known."""
        try:
            found = self.store.published(RETENTION)
        except StoreTrouble:
            found = None
        return min(int(found[0]), now_ns) if found is not None else now_ns - NS_PER_DAY

    def _sweep(self, now_ns: int) -> None:
        settled_ns = now_ns - round(self.keep.settled_s * NS_PER_S)
        try:
            swept = self.store.sweep(
                now_ns - round(self.keep.over_s * NS_PER_S),
                messages_ns=now_ns - round(self.keep.messages_s * NS_PER_S),
                channels_ns=dict.fromkeys(self.settled, settled_ns),
            )
            self.store.publish(RETENTION, {"rows": dict(swept.rows)}, now_ns)
        except StoreTrouble as trouble:
            self._due_ns = now_ns + _RETRY_NS
            _LOG.warning("the store was not swept: %s", trouble.why)
            return
        _LOG.info("the store is swept", extra={"fields": dict(swept.rows)})
