"""What every route needs: the factory, the settings, the store and the clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.engine.clock import Clock, WallClock
from gigafactory.factory.models import Factory
from gigafactory.plant import Chip, load_catalogue
from gigafactory.runtime.apisettings import ApiSettings
from gigafactory.units import NS_PER_S
from gigafactory.web import shown
from gigafactory.web.identity import Who
from gigafactory.web.metrics import Metrics, Sample
from gigafactory.web.problems import Refusal

_LOG = logging.getLogger("gigafactory.web")

#: What the controller and the channels publish, by kind.
STATUS: Final = "status"
TELEMETRY: Final = "telemetry"
SCHEDULE: Final = "schedule"
DELIVERY: Final = "delivery"
STARTS: Final = "starts"
SETTLEMENT: Final = "settlement"
CHANNEL: Final = "channel:"
#: Published bodies are read at most this often: many callers look at one status.
_FRESH_NS: Final = NS_PER_S // 2

Published = tuple[int, Mapping[str, Any]]


class Desk:
    """What every route needs.

    Args:
        factory: the factory.
        settings: of the interface.
        store: the service's store.
        clock: the time; the wall's when left out.
        catalogue: accelerators; the bundled ones when left out.
    """

    def __init__(
        self,
        factory: Factory,
        settings: ApiSettings,
        store: Store,
        clock: Clock | None = None,
        catalogue: Mapping[str, Chip] | None = None,
    ) -> None:
        self.factory = factory
        self.settings = settings
        self.store = store
        self.catalogue = catalogue or load_catalogue()
        self.metrics = Metrics(self._look)
        self._clock = clock or WallClock()
        self._published: dict[str, tuple[int, Published | None]] = {}
        self._alarms: tuple[int, list[dict[str, Any]]] = (-_FRESH_NS, [])
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """The present instant, ns UTC."""
        return self._clock.now_ns()

    def store_away(self, error: StoreTrouble, request_id: str) -> Refusal:
        """What a caller is told where the store is away; counted and logged."""
        self.metrics.trouble.inc()
        _LOG.warning("the store: %s", error.why, extra={"fields": {"request_id": request_id}})
        why = "The store cannot be reached at present."
        if error.doubtful:
            why += " The change may have been made: ask again with the same Idempotency-Key."
        return Refusal(503, why)

    def published(self, kind: str) -> Published | None:
        """What was last published of a kind, with its instant; at most half a second old.

        Raises:
            StoreTrouble: the store is away and nothing is known.
        """
        now_ns = self.now_ns()
        found = self._published.get(kind)
        if found is not None and 0 <= now_ns - found[0] < _FRESH_NS:
            return found[1]
        with self._lock:
            got = self.store.published(kind)
            self._published[kind] = (now_ns, got)
        return got

    def open_alarms(self) -> list[dict[str, Any]]:
        """The alarms that are open, as shown; at most half a second old.

        Raises:
            StoreTrouble: the store is away.
        """
        now_ns = self.now_ns()
        at_ns, rows = self._alarms
        if not 0 <= now_ns - at_ns < _FRESH_NS:
            with self._lock:
                rows = [shown.alarm(one) for one in self.store.alarms(limit=100)]
                self._alarms = (now_ns, rows)
        return rows

    def part(self, kind: str, *names: str) -> Any:
        """A part of what was last published of a kind; None where it is not there."""
        found = self.published(kind)
        here: Any = None if found is None else found[1]
        for name in names:
            here = here.get(name) if isinstance(here, Mapping) else None
        return here

    def channels(self) -> tuple[str, ...]:
        """Every channel that a grid operator speaks on, sorted."""
        operators = self.settings.grid_operators.values()
        return tuple(sorted({name for one in operators for name in one.channels}))

    def alarm(self, kind: str, key: str, text: str) -> None:
        """Raise an alarm; one that cannot be stored is logged."""
        _LOG.warning(text, extra={"fields": {"alarm": kind, "about": key}})
        try:
            self.store.raise_alarm(kind, key, text, self.now_ns())
        except StoreTrouble as why:
            self.metrics.trouble.inc()
            _LOG.warning("an alarm could not be stored: %s", why)

    def audit(
        self, who: Who, action: str, target: str, outcome: str, detail: Mapping[str, Any]
    ) -> None:
        """Write a line of the audit trail, for what the store does not write itself."""
        self.store.audit(who.name, who.role, action, target, outcome, detail, self.now_ns())

    def not_ready(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        try:
            self.store.ping()
            status = self.store.published(STATUS)
            channels = {name: self._channel(name) for name in self.channels()}
        except StoreTrouble as why:
            self.metrics.trouble.inc()
            return [f"the store cannot be reached: {why.why}"]
        now_ns = self.now_ns()
        found = []
        if (why_not := self._stale(status, now_ns)) is not None:
            found.append(f"the controller {why_not}")
        for name, said in channels.items():
            why_not = self._stale(said, now_ns)
            if why_not is None and said is not None and said[1].get("trouble"):
                why_not = f"is in trouble: {said[1]['trouble']}"
            if why_not is not None:
                found.append(f"the channel {name} {why_not}")
        return found

    def _channel(self, name: str) -> Published | None:
        """What a channel last said of itself; some say it under their bare name."""
        return self.store.published(CHANNEL + name) or self.store.published(name)

    def _stale(self, said: Published | None, now_ns: int) -> str | None:
        if said is None:
            return "has said nothing yet"
        age_s = (now_ns - said[0]) / NS_PER_S
        if age_s > self.settings.status_stale_s:
            return f"has said nothing for {age_s:.0f} s"
        return None

    def _look(self) -> list[Sample]:
        """What is measured when the metrics are read."""
        now_ns = self.now_ns()
        try:
            self.store.ping()
            status = self.store.published(STATUS)
            channels = {name: self._channel(name) for name in self.channels()}
            alarms = len(self.store.alarms(limit=1000))
        except StoreTrouble:
            self.metrics.trouble.inc()
            return [("gigafactory_store_up", {}, 0.0)]
        found: list[Sample] = [
            ("gigafactory_store_up", {}, 1.0),
            ("gigafactory_alarms_open", {}, float(alarms)),
        ]
        if status is not None:
            age_s = (now_ns - status[0]) / NS_PER_S
            found.append(("gigafactory_controller_status_age_seconds", {}, age_s))
        for name, said in channels.items():
            label = {"channel": name}
            good = said is not None and not said[1].get("trouble")
            found.append(("gigafactory_channel_up", label, float(good)))
            if said is not None:
                age_s = (now_ns - said[0]) / NS_PER_S
                found.append(("gigafactory_channel_status_age_seconds", label, age_s))
        return found
