"""Limits by OpenADR 3: a client (VEN) of a grid party's server (VTN), reports back.

The client asks for the events of its programmes every few seconds. What an event asks is compared
with what is known: a new or changed interval becomes an order (a changed one replaces the order
before), an interval that is gone is withdrawn. An event is gone when the server, asked for it by
its id, answers 404; an answer that fails, or a list that is short, changes nothing.

Version 3.0.1 has no number or tag of a modification but `modificationDateTime`; an event with an
older one than is known is a replay. Messages are not signed: what protects them is TLS and OAuth 2
(client credentials, RFC 6749). Subscriptions (webhooks) are not used: they would open a door.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json

from gigafactory.adapters.channels.door import Answer, Bad, Door, Keeper, own_orders, withdrawal
from gigafactory.adapters.channels.needs import needed
from gigafactory.adapters.channels.openadrmodels import (
    Event,
    Limit,
    Program,
    Token,
    concerns,
    limits,
)
from gigafactory.adapters.channels.openadrreports import Reports
from gigafactory.adapters.channels.settings import ChannelSettings
from gigafactory.adapters.secrets import Secret, Tls, is_loopback
from gigafactory.engine.clock import Clock
from gigafactory.factory.blocks import Text, setting
from gigafactory.factory.quantities import PositiveDurationS
from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.ports import GridOrder
from gigafactory.units import NS_PER_S

_PAGE = 50  # the most the specification lets a client ask for
_PAGES_MAX = 100
_BYTES_MAX = 8_000_000
_BACKOFF_S_MAX = 120.0
#: A token is renewed so long before it expires.
_RENEW_S = 30
_WITHDRAWN = "withdrawn"


class OpenAdrSettings(ChannelSettings):
    """A server, our name there, and the programmes we listen to."""

    kind: Literal["openadr"] = setting("openadr.")
    url: Text = setting("Base of the server, as https://vtn.example/openadr3/3.0.1.")
    token_url: Text | None = setting("Where tokens come from; none: url + /auth/token.", None)
    client_id: Text = setting("Our name for a token.")
    client_secret: Secret = setting("Our secret for a token.")
    scope: Text | None = setting("The scope asked for; none: not sent.", None)
    tls: Tls | None = setting("Certificates besides the system's.", None)
    programs: list[Text] = setting("Names of the programmes listened to.")
    ven_name: Text = setting("Our name in reports, agreed with the server's operator.")
    resource_name: Text = setting("The connection's name in reports and targets.")
    groups: list[Text] = setting("Groups whose events are for us too.", [])
    poll_s: PositiveDurationS = setting(
        "Events are asked for this often.", 10.0, key="poll", source="assumption, 2026"
    )
    timeout_s: PositiveDurationS = setting(
        "An answer is waited for so long.", 5.0, key="timeout", source="assumption, 2026"
    )
    skew_s_max: PositiveDurationS = setting(
        "The server's clock may differ from ours by so much before that is trouble.",
        30.0,
        key="skew_max",
        source="assumption, 2026",
    )

    @model_validator(mode="after")
    def _safe(self) -> Self:
        for url in filter(None, (self.url, self.token_url)):
            parts = urlsplit(url)
            if parts.scheme == "https" or (
                parts.scheme == "http" and is_loopback(parts.hostname or "")
            ):
                continue
            raise PydanticCustomError("url", "must begin with https:// (http only on this machine)")
        if not self.programs:
            raise PydanticCustomError("programs", "name a programme")
        return self


class Unreached(Exception):  # noqa: N818  (it says what happened)
    """The server did not answer, or not as the specification has it. Its words hold no secret."""


class NotThere(Exception):  # noqa: N818  (it says what happened)
    """The server says that there is no such object (404)."""


class Ven:
    """Speaks HTTP with a VTN.

    Args:
        settings: the server.
        clock: whose time it is.

    Raises:
        BadInput: a secret, a certificate or a library is missing.
    """

    def __init__(self, settings: OpenAdrSettings, clock: Clock) -> None:
        self._httpx = needed("httpx", "serve")
        self._settings, self._clock = settings, clock
        where = f"channel {settings.name}"
        self._secret = settings.client_secret.read(f"{where}: client_secret")
        verify: Any = settings.tls.context(where) if settings.tls is not None else True
        self._client = self._httpx.Client(
            verify=verify, timeout=settings.timeout_s, follow_redirects=False, trust_env=False
        )
        self._token, self._until_ns = "", 0
        self.skew_s = 0.0

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def get(self, path: str, **query: str | int) -> Any:
        """A resource of the server, as JSON values.

        Raises:
            Unreached, NotThere.
        """
        return self._ask("GET", path, params=query)

    def pages(self, path: str, **query: str | int) -> list[Any]:
        """All of a list, page by page.

        Raises:
            Unreached: any page failed, or there is no end of pages.
        """
        found: list[Any] = []
        for _ in range(_PAGES_MAX):
            page = self.get(path, skip=len(found), limit=_PAGE, **query)
            if not isinstance(page, list):
                raise Unreached(f"{path} gave no list")
            found += page
            if len(page) < _PAGE:
                return found
        raise Unreached(f"{path} gave more than {_PAGES_MAX} pages")

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create an object.

        Raises:
            Unreached: it was not created, or nobody knows.
        """
        return self._ask("POST", path, json=body)

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        for attempt in (1, 2):
            headers = {"Authorization": f"Bearer {self._authorised()}"}
            status, body = self._send(
                method, self._settings.url.rstrip("/") + path, headers=headers, **what
            )
            if status == 401 and attempt == 1:
                self._token = ""  # it may have been revoked: one more try with a new one
                continue
            if status == 404:
                raise NotThere(path)
            if not 200 <= status < 300:
                raise Unreached(f"{path} answered {status}")
            try:
                return from_json(body, allow_inf_nan=False)
            except ValueError:
                raise Unreached(f"{path} gave no JSON") from None
        raise AssertionError("the second attempt returns or raises")

    def _authorised(self) -> str:
        now_ns = self._clock.now_ns()
        if self._token and now_ns < self._until_ns:
            return self._token
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._secret,
        }
        if self._settings.scope is not None:
            form["scope"] = self._settings.scope
        url = self._settings.token_url or self._settings.url.rstrip("/") + "/auth/token"
        status, body = self._send("POST", url, data=form)
        if status != 200:
            raise Unreached(f"no token: answered {status}")
        try:
            token = Token.model_validate_json(body)
        except ValidationError:
            raise Unreached("no token: the answer is none") from None
        if token.token_type.lower() != "bearer":
            raise Unreached("no token: not of the kind Bearer")
        self._token = token.access_token
        self._until_ns = now_ns + max(1, token.expires_in - _RENEW_S) * NS_PER_S
        return self._token

    def _send(self, method: str, url: str, **what: Any) -> tuple[int, bytes]:
        try:
            with self._client.stream(method, url, **what) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _BYTES_MAX:
                        raise Unreached(f"an answer of more than {_BYTES_MAX} bytes")
                self._compare_clocks(answer.headers.get("date", ""))
                return int(answer.status_code), bytes(body)
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            raise Unreached(type(error).__name__) from None

    def _compare_clocks(self, date: str) -> None:
        try:
            said = parsedate_to_datetime(date)
        except (ValueError, TypeError):
            return
        if said.tzinfo is not None:
            self.skew_s = (instant_ns(said) - self._clock.now_ns()) / NS_PER_S


@dataclass(slots=True)
class _Known:
    """An event as last taken up: when it was modified, and the order of each interval."""

    modified_ns: int
    orders: dict[int, GridOrder]


def remembered(kept: Iterable[GridOrder]) -> dict[str, _Known]:
    """What was taken up by a process before, told by the orders in the store, oldest first."""
    found: dict[str, _Known] = {}
    for order in kept:
        event_id, interval, *rest = order.key.split(":")
        known = found.setdefault(event_id, _Known(0, {}))
        known.modified_ns = max(known.modified_ns, order.sequence)
        if rest[-1] == _WITHDRAWN:
            known.orders.pop(int(interval), None)
        else:
            known.orders[int(interval)] = order
    return {event_id: known for event_id, known in found.items() if known.orders}


class OpenAdrChannel:
    """The channel.

    Args:
        settings: the server and what of it is ours.
        store: where everything is kept.
        clock: whose time it is.

    Raises:
        BadInput: a secret, a certificate or a library is missing.
        StoreTrouble: the store is away at the start.
    """

    def __init__(self, settings: OpenAdrSettings, store: Keeper, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.ven = Ven(settings, clock)
        self.door = Door(settings, store, check_age=False)
        self.door.open()
        self._known = remembered(own_orders(store, settings.name))
        self.reports = Reports(settings.ven_name, settings.resource_name)
        self._targets = [
            ("VEN_NAME", settings.ven_name),
            ("RESOURCE_NAME", settings.resource_name),
            *(("GROUP", group) for group in settings.groups),
        ]
        self._started_ns = clock.now_ns()
        self._heard_ns = 0
        self._next_ns = 0
        self._failures = 0
        self._why = ""

    def start(self) -> None:
        """Nothing to start: the server is asked in `step`."""

    def close(self) -> None:
        """Close connections."""
        self.ven.close()

    def step(self, wait_s: float) -> Answer | None:
        """Ask the server when that is due."""
        del wait_s  # the caller waits: nothing arrives between polls
        now_ns = self.clock.now_ns()
        metered = self.door.metered(now_ns, 30.0)
        self.reports.sample(now_ns, metered)
        if now_ns < self._next_ns:
            return None
        try:
            self._poll(now_ns)
            self.reports.send(self.ven.post, now_ns)
        except (Unreached, NotThere) as error:
            self._failures += 1
            self._why = str(error)
            wait = min(self.settings.poll_s * 2.0 ** min(self._failures - 1, 10), _BACKOFF_S_MAX)
            self._next_ns = now_ns + int(wait * NS_PER_S)
            return None
        self._failures, self._why, self._heard_ns = 0, "", now_ns
        self._next_ns = now_ns + int(self.settings.poll_s * NS_PER_S)
        return None

    def trouble(self, now_ns: int) -> str:
        """Why no limit can be relied on; empty when all is well."""
        silent_s = (now_ns - max(self._heard_ns, self._started_ns)) / NS_PER_S
        if silent_s > max(self.settings.silent_s, 2.0 * self.settings.poll_s):
            return f"the server gave no sound answer for {silent_s:.0f} s: {self._why}"
        if abs(self.ven.skew_s) > self.settings.skew_s_max:
            return f"the server's clock is {self.ven.skew_s:.0f} s from ours"
        return ""

    def _poll(self, now_ns: int) -> None:
        said = self._read(Program, self.ven.pages("/programs"), now_ns)
        wanted = {p.id for p in said if p.programName in self.settings.programs}
        missing = set(self.settings.programs) - {p.programName for p in said}
        if missing:
            raise Unreached(f"the server has no programme {', '.join(sorted(missing))}")
        events: dict[str, Event] = {}
        for program in sorted(wanted):
            raw = self.ven.pages("/events", programID=program)
            events |= {e.id: e for e in self._read(Event, raw, now_ns)}
        for event in events.values():
            if event.programID in wanted and concerns(event, self._targets):
                self._take(event, now_ns)
        for gone in sorted(set(self._known) - set(events)):
            self._gone(gone, now_ns)

    def _read(self, model: Any, raw: list[Any], now_ns: int) -> list[Any]:
        """The objects of a list that are what they should be; the others raise an alarm."""
        found = []
        for item in raw:
            try:
                found.append(TypeAdapter(model).validate_python(item))
            except (ValidationError, RecursionError) as error:
                where = ""
                if isinstance(error, ValidationError):
                    first = error.errors(include_url=False, include_input=False)[0]
                    where = ".".join(map(str, first["loc"])) + ": " + first["msg"]
                why = f"a {model.__name__.lower()} that is none: {where}"
                self.door.refuse(Bad.MALFORMED, why[:300], now_ns)
        return found

    def _take(self, event: Event, now_ns: int) -> None:
        known = self._known.get(event.id)
        if known is not None and event.modified_ns < known.modified_ns:
            why = f"event {event.id}: an older version than the one known"
            self.door.refuse(Bad.REPLAYED, why, now_ns)
            return
        if event.modified_ns - now_ns > (self.settings.skew_s_max) * NS_PER_S:
            self.door.refuse(Bad.STALE, f"event {event.id} was modified in the future", now_ns)
            return
        try:
            asked = limits(event)
        except ValueError as error:
            self.door.refuse(Bad.MALFORMED, f"event {event.id}: {error}"[:300], now_ns)
            return
        before = dict(known.orders) if known is not None else {}
        after = {limit.interval: self._order(event, limit, before, now_ns) for limit in asked}
        self._keep(event.id, event.modified_ns, before, after, now_ns)
        self.reports.expect(event, after)

    def _order(
        self, event: Event, limit: Limit, before: Mapping[int, GridOrder], now_ns: int
    ) -> GridOrder:
        settings = self.settings
        old = before.get(limit.interval)
        start_ns, end_ns, part = limit.start_ns, limit.end_ns, 0
        if end_ns < 0:
            # Without end: in parts that overlap by half, each in the place of the one before.
            half = int(settings.lasts_s_max * NS_PER_S) // 2
            part = max(0, (now_ns - start_ns) // half)
            start_ns, end_ns = start_ns + part * half, start_ns + (part + 2) * half
        asks = (limit.kind, limit.power_mw, start_ns, end_ns)
        if old is not None and (old.kind, old.power_mw, old.start_ns, old.end_ns) == asks:
            return old
        return GridOrder(
            key=f"{event.id}:{limit.interval}:{event.modified_ns}" + (f":{part}" if part else ""),
            source=settings.name,
            kind=limit.kind,
            point=settings.point,
            power_mw=limit.power_mw,
            issued_ns=now_ns,  # what the server says now, however long ago it was changed
            received_ns=now_ns,
            start_ns=start_ns,
            end_ns=end_ns,
            sequence=event.modified_ns,
            replaces=old.key if old is not None else "",
        )

    def _gone(self, event_id: str, now_ns: int) -> None:
        """Withdraw an event that is no longer listed, once the server confirms that it is gone."""
        known = self._known[event_id]
        if all(order.end_ns <= now_ns for order in known.orders.values()):
            del self._known[event_id]
            return
        try:
            self.ven.get(f"/events/{event_id}")
        except NotThere:
            self._keep(event_id, known.modified_ns, known.orders, {}, now_ns)

    def _keep(
        self,
        event_id: str,
        modified_ns: int,
        before: Mapping[int, GridOrder],
        after: dict[int, GridOrder],
        now_ns: int,
    ) -> None:
        """Put what changed, withdrawals last; what could not be kept is tried at the next poll."""
        kept: dict[int, GridOrder] = {}
        for interval, order in after.items():
            if before.get(interval) is order:
                kept[interval] = order
                continue
            if self.door.take(order, b"", now_ns) in (Answer.TAKEN, Answer.REPEATED):
                kept[interval] = order
            elif interval in before:
                kept[interval] = before[interval]  # nothing took its place: it still stands
        for interval, order in before.items():
            if interval in after or order.end_ns <= now_ns:
                continue
            key = f"{event_id}:{interval}:{order.sequence}:{_WITHDRAWN}"
            taken_back = withdrawal(order, key, self.settings.power_mw_max, now_ns)
            if self.door.take(taken_back, b"", now_ns) is Answer.LATER:
                kept[interval] = order
        if kept or after:
            self._known[event_id] = _Known(modified_ns, kept)
        else:
            self._known.pop(event_id, None)
