"""Channels of grid parties: each a process of its own that turns messages into orders in the store.

::

    kind      carries                                    module
    mqtt      setpoints of a reserve, grid frequency     mqtt
    openadr   limits (OpenADR 3.0.1), reports back       openadr
    iec104    setpoints and limits (IEC 60870-5-104)     iec104host, and the plug-in iec104

All go through `door`: bounded, checked, kept before acknowledged, alarmed. `run` runs one until it
is told to stop; `python -m gigafactory.adapters.channels` does so from the service's settings.

Knows protocols. Does not know whether an order is obeyed: the runtime judges it again. Only the
runtime, the web and the command line import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any, Protocol

from gigafactory.adapters.channels.door import PUBLISHED, TELEMETRY, Answer, Door, StoredSource
from gigafactory.adapters.channels.iec104host import Iec104Channel, Iec104Settings
from gigafactory.adapters.channels.mqtt import MqttChannel, MqttSettings
from gigafactory.adapters.channels.openadr import OpenAdrChannel, OpenAdrSettings
from gigafactory.adapters.store.errors import StoreTrouble
from gigafactory.engine.clock import Clock, WallClock
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.reading import Document
from gigafactory.factory.validating import validate
from gigafactory.units import NS_PER_S

__all__ = [
    "KINDS",
    "PUBLISHED",
    "TELEMETRY",
    "AnySettings",
    "StoredSource",
    "channel_settings",
    "run",
]

AnySettings = MqttSettings | OpenAdrSettings | Iec104Settings
#: The settings of each kind of channel.
KINDS: dict[str, type[AnySettings]] = {
    "mqtt": MqttSettings,
    "openadr": OpenAdrSettings,
    "iec104": Iec104Settings,
}
_HEALTH_EVERY_NS = NS_PER_S
_BACKOFF_S_MAX = 30.0
#: A step waits so long for a message, so that a stop is heard soon.
_WAIT_S = 0.2


class Channel(Protocol):
    """A channel that `run` can run."""

    door: Door

    def start(self) -> None: ...
    def close(self) -> None: ...
    def step(self, wait_s: float) -> Answer | None: ...
    def trouble(self, now_ns: int) -> str: ...


def channel_settings(
    name: str, kind: str, point: str, options: Mapping[str, Any], where: str
) -> AnySettings:
    """The settings of a channel from what the service's settings say of it.

    Args:
        name: the channel.
        kind: a key of `KINDS`.
        point: the connection it speaks about.
        options: its own settings.
        where: the file, for problems.

    Raises:
        BadInput: with every problem found.
    """
    if kind not in KINDS:
        why = f"no channel of this kind runs here; known: {', '.join(KINDS)}"
        raise BadInput([Problem(where, f"channels.{name}.kind", kind, why)])
    data = {**options, "name": name, "kind": kind, "point": point}
    document = Document(f"{where}: channels.{name}.options", data)
    found, problems, _ = validate(document, KINDS[kind])
    if problems or found is None:
        raise BadInput(problems)
    return found


def make(settings: AnySettings, store: Any, clock: Clock) -> Channel:
    """A channel of the kind its settings say.

    Raises:
        BadInput: a secret, a certificate or a library is missing.
        StoreTrouble: the store is away.
    """
    if isinstance(settings, MqttSettings):
        return MqttChannel(settings, store, clock)
    if isinstance(settings, OpenAdrSettings):
        return OpenAdrChannel(settings, store, clock)
    return Iec104Channel(settings, store, clock)


def run(settings: AnySettings, store: Any, stop: Event, clock: Clock | None = None) -> None:
    """Run a channel until it is told to stop.

    Args:
        settings: the channel's.
        store: the service's store (`adapters.store.Store`).
        stop: set from outside to end it.
        clock: whose time it is; the wall's where not given.

    Raises:
        BadInput: a secret, a certificate or a library is missing.
    """
    clock = clock or WallClock()
    channel, wait_s = None, 1.0
    while channel is None and not stop.is_set():
        try:
            channel = make(settings, store, clock)
        except StoreTrouble:
            # Without the counters in the store a replay could not be told: nothing is let in.
            stop.wait(wait_s)
            wait_s = min(2.0 * wait_s, _BACKOFF_S_MAX)
    if channel is None:
        return
    channel.start()
    told_ns = 0
    try:
        while not stop.is_set():
            if channel.step(_WAIT_S) is Answer.LATER or settings.kind == "openadr":
                stop.wait(_WAIT_S)
            now_ns = clock.now_ns()
            if now_ns - told_ns >= _HEALTH_EVERY_NS:
                told_ns = now_ns
                channel.door.health(channel.trouble(now_ns), now_ns)
    finally:
        channel.close()
        now_ns = clock.now_ns()
        channel.door.health("the gateway was stopped", now_ns)
