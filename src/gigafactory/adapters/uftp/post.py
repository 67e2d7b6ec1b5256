"""The post: stored messages of ours are delivered, in order, until they are taken.

One courier per counterpart, so that one that hangs holds up nobody else. What is to go stands in
the store; a message goes with the same id and the same bytes however often it is tried, and a crash
between the delivery and the note of it sends it once more.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.store.records import Message
from gigafactory.adapters.uftp.settings import Counterpart, UftpSettings
from gigafactory.adapters.uftp.terms import CHANNEL, OUT
from gigafactory.engine.clock import Clock

_LOG: Final = logging.getLogger("gigafactory.gopacs")

#: States of a message of ours.
HELD: Final = "held"  # decided; what it promises is not in the store yet
DUE: Final = "due"
SENT: Final = "sent"
FAILED: Final = "undeliverable"

#: Refusals that may pass (the specification counts 404 and 419 among them).
_PASSING: Final = frozenset({404, 408, 419, 425, 429})


@dataclass(slots=True)
class Courier:
    """Delivers to one counterpart.

    Attributes:
        to: the counterpart.
        settings: how long to wait and how often to try.
        store: where messages stand.
        clock: what time it is.
        stop: set when it is to end.
        due: set when there is something to deliver.
    """

    to: Counterpart
    settings: UftpSettings
    store: Store
    clock: Clock
    stop: threading.Event
    due: threading.Event = field(default_factory=threading.Event)
    _tries: int = 0
    _after: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _oauth: Any = None

    def run(self) -> None:
        """Deliver until told to stop."""
        with httpx.Client(timeout=self.settings.timeout_s, trust_env=False) as client:
            while not self.stop.is_set():
                try:
                    idle = self.round(client)
                except StoreTrouble as trouble:
                    _LOG.error("nothing can be delivered: %s", trouble)
                    idle = self.settings.retry_first_s
                self.due.wait(idle)
                self.due.clear()

    def round(self, client: httpx.Client) -> float:
        """Deliver what is due, in order, up to the first that does not get through.

        Returns:
            How long to wait before the next round, s.
        """
        after = self._after
        rows = self.store.messages(
            CHANNEL, direction=OUT, states={HELD, DUE}, after=after, limit=1000
        )
        held = False
        for row in rows:
            mine = (row.detail.get("party"), row.detail.get("role")) == (
                self.to.domain,
                self.to.role,
            )
            if self.stop.is_set():
                break
            held = held or row.state == HELD
            if not mine or row.state == HELD:
                continue
            if not self._deliver(client, row):
                self._tries += 1
                wait = self.settings.retry_first_s * 2.0 ** min(self._tries - 1, 20)
                # new messages must not cut the wait short: the counterpart is not to be flooded
                self.stop.wait(min(wait, self.settings.retry_most_s))
                return 0.0
            self._tries = 0
        else:
            with self._lock:
                if rows and not held and after == self._after:
                    self._after = rows[-1].seq  # nothing up to here is left for this courier
        return self.settings.poll_s

    def again(self, seq: int) -> None:
        """Look once more from before a message on: it is to go again."""
        with self._lock:
            self._after = min(self._after, seq - 1)
        self.due.set()

    def _deliver(self, client: httpx.Client, row: Message) -> bool:
        """Try once; whether the message is done with."""
        try:
            headers = {"Content-Type": "text/xml; charset=utf-8", **self._authorised()}
            answer = client.post(self.to.endpoint, content=row.body, headers=headers)
            status, words = answer.status_code, answer.text[:200]
        except (httpx.HTTPError, OSError, RuntimeError) as error:
            status, words = 0, f"{type(error).__name__}: {error}"
        now_ns = self.clock.now_ns()
        key = f"{CHANNEL}:{self.to.domain}/{self.to.role}"
        if status == 200:
            self.store.note_message(CHANNEL, OUT, row.message_id, SENT)
            if self._tries >= self.settings.retry_count:
                self.store.clear_alarm("undelivered", key, now_ns)
            return True
        _LOG.warning("%s %s was not taken: %d %s", row.kind, row.message_id, status, words)
        if 400 <= status < 500 and status not in _PASSING:
            # the library's own server can say 400 to a good message while it starts: try again
            if self._tries + 1 < self.settings.retry_count:
                return False
            self.store.note_message(CHANNEL, OUT, row.message_id, FAILED)
            text = f"our {row.kind} {row.message_id} was refused for good: {status} {words}"
            self.store.raise_alarm("undeliverable", f"{CHANNEL}:{row.message_id}", text, now_ns)
            return True
        if self._tries + 1 >= self.settings.retry_count:
            text = f"{self.to.domain} does not take our messages ({status} {words}); still trying"
            self.store.raise_alarm("undelivered", key, text, now_ns)
        return False

    def _authorised(self) -> dict[str, str]:
        """The header the counterpart asks for; by the library's client of OAuth."""
        if self.to.oauth is None:
            return {}
        from shapeshifter_uftp.oauth import AuthorizationError, OAuthClient

        if self._oauth is None:
            terms = self.to.oauth
            secret = terms.client_secret.read(f"gopacs oauth of {self.to.domain}")
            self._oauth = OAuthClient(terms.url, terms.client_id, secret)
        try:
            with self._oauth.ensure_authenticated():
                return dict(self._oauth.auth_header)
        except AuthorizationError:  # its text may quote what the server said to our secret
            raise RuntimeError("no access token was given") from None
