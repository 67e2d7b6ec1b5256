"""The server: a post is looked over, stored, and only then taken.

A small ASGI application rather than the library's service, whose parser sees a post before its
signature and size are looked at, and which says 200 before anything is stored.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import uvicorn

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.store.records import Message
from gigafactory.adapters.uftp.keeping import kept
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import CHANNEL, IN
from gigafactory.adapters.uftp.wire import Refused, open_post
from gigafactory.engine.clock import Clock
from gigafactory.engine.errors import refuse
from gigafactory.units import NS_PER_S

_LOG: Final = logging.getLogger("gigafactory.gopacs")
_MINUTE_NS: Final = 60 * NS_PER_S
_BODY_S: Final = 10.0  # a sender that trickles its post is cut off after this
_TOGETHER: Final = 64

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Inbox:
    """Takes posts into the store.

    Attributes:
        settings: whom we listen to, and how much.
        store: where posts are kept.
        clock: what time it is.
        wake: called when there is something new.
        again: ids of messages that came once more; their answers are sent once more.
    """

    settings: UftpSettings
    store: Store
    clock: Clock
    wake: Callable[[], None]
    again: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def post(self, body: bytes, address: str) -> tuple[int, str]:
        """Take a post.

        Args:
            body: its bytes, of a number that is allowed.
            address: where it came from, for the log.

        Returns:
            HTTP status and words. 200 means: stored; everything else: nothing was done with it.
        """
        at_ns = self.clock.now_ns()
        opened = open_post(body, at_ns, self.settings)
        try:
            if isinstance(opened, Refused):
                self._refused(opened, address, at_ns)
                return opened.status, opened.why
            head = opened.record.head
            row = Message(
                channel=CHANNEL,
                direction=IN,
                message_id=head.message_id,
                kind=head.kind,
                at_ns=at_ns,
                body=body,
                conversation=head.conversation,
                detail={"party": head.party, "role": head.role, "digest": opened.digest},
            )
            stored, fresh = kept(self.store, row)
            if not fresh and stored.detail.get("digest") == opened.digest:
                with self._lock:
                    self.again.add(head.message_id)
            elif not fresh:
                name = f"{head.message_id}#{opened.digest[:16]}"
                kept(self.store, replace(row, message_id=name, state="conflict"))
        except StoreTrouble as trouble:
            _LOG.error("a post from %s was not taken: %s", address, trouble)
            return 503, "the store is away; try again"
        self.wake()
        return 200, ""

    def repeated(self) -> set[str]:
        """The ids of messages that came once more since this was last asked."""
        with self._lock:
            found, self.again = self.again, set()
        return found

    def often(self, address: str) -> bool:
        """Whether an address has posted too often in this minute; counts the post."""
        now_ns = self.clock.now_ns()
        with self._lock:
            since, count = self._seen.get(address, (now_ns, 0))
            if now_ns - since >= _MINUTE_NS:
                since, count = now_ns, 0
            if len(self._seen) > 10_000:
                self._seen.clear()
            self._seen[address] = (since, count + 1)
        return count >= self.settings.per_minute_max

    def _refused(self, refused: Refused, address: str, at_ns: int) -> None:
        _LOG.warning("a post from %s was refused (%d): %s", address, refused.status, refused.why)
        if refused.alarm:
            text = f"{refused.why[:1000]} (it came from {address})"
            self.store.raise_alarm(refused.alarm, f"{CHANNEL}:{refused.about}"[:200], text, at_ns)


def application(inbox: Inbox) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application: one path, POST only."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, words = await _answer(inbox, scope, receive)
        body = words.encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _answer(inbox: Inbox, scope: Scope, receive: Receive) -> tuple[int, str]:
    """Status and words for a request; its body is read only once its head has passed."""
    settings = inbox.settings
    if scope["path"] != settings.path:
        return 404, "messages are posted elsewhere"
    if scope["method"] != "POST":
        return 405, "messages are posted"
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    address = (scope.get("client") or ("unknown", 0))[0]
    if inbox.often(address):
        return 429, "too many posts in a minute"
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "Content-Length is missing"
    if int(length) > settings.bytes_max:
        return 413, f"a message is at most {settings.bytes_max} bytes"
    kind = headers.get("content-type", "").lower().replace(" ", "")
    if kind not in ("text/xml", "text/xml;charset=utf-8", 'text/xml;charset="utf-8"'):
        return 400, "Content-Type must be text/xml; charset=utf-8"
    try:
        body = await asyncio.wait_for(_body(receive, settings.bytes_max), _BODY_S)
    except TimeoutError:
        return 408, "the message did not come in time"
    if body is None:
        return 413, f"a message is at most {settings.bytes_max} bytes"
    return await asyncio.to_thread(inbox.post, body, address)


async def _body(receive: Receive, most: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return b""
        part = event.get("body", b"")
        size += len(part)
        if size > most:
            return None
        parts.append(part)
        if not event.get("more_body"):
            return b"".join(parts)


class Server:
    """The application, served in a thread of its own.

    Args:
        inbox: what takes the posts.

    Raises:
        BadInput: the address cannot be bound.
    """

    def __init__(self, inbox: Inbox) -> None:
        settings = inbox.settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((settings.host, settings.port))
            self._socket.listen(_TOGETHER)  # two may bind a port, only one may listen
        except OSError as error:
            self._socket.close()
            where = f"{settings.host}:{settings.port}"
            raise refuse("gopacs", "port", where, f"cannot be bound: {error}") from error
        self.port = int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(inbox),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                limit_concurrency=_TOGETHER,
                timeout_keep_alive=5,
                ssl_certfile=settings.tls_cert or None,
                ssl_keyfile=settings.tls_key or None,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish what is being served, and end."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
