"""Setpoints of a balancing reserve and the grid frequency over MQTT 3.1.1, telemetry back.

MQTT signs nothing: whoever may publish on a topic may say anything. So every message carries its
own signature (`signing`), a counter that only rises, the instant it was issued and its unit. The
order is in the store before the broker is told that it came (QoS 1, manual acknowledgement).
Retained messages are judged like any other: an old one is stale and does nothing.

The payload, version 1::

    {"v": 1, "stream": "afrr" | "frequency", "point": "...", "sequence": 7, "issued_ms": ...,
     "value": 12.5, "unit": "MW" | "Hz"}

`value` of `afrr` is the deviation asked for: importing less is positive. A grid operator's own
payload is not published for the Netherlands; another form takes another `read_payload`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from gigafactory.adapters.channels.door import Answer, Bad, Door, Inbox, Keeper
from gigafactory.adapters.channels.needs import needed
from gigafactory.adapters.channels.settings import ChannelSettings, Port
from gigafactory.adapters.channels.signing import KeySettings, Untrue, read_key, seal, unseal
from gigafactory.adapters.secrets import Secret, Tls, is_loopback
from gigafactory.adapters.store.errors import StoreTrouble
from gigafactory.engine.clock import Clock
from gigafactory.factory.blocks import Text, setting
from gigafactory.factory.quantities import PositiveCount, PositiveDurationS
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.units import NS_PER_S

_NS_PER_MS = NS_PER_S // 1000
#: Mains of the Continental synchronous area never were outside this; a meter that says so is wrong.
_HZ_LOW, _HZ_HIGH = 45.0, 55.0
_INBOX = 256
#: The published frequency goes under this and the point.
FREQUENCY = "frequency:"


class MqttSettings(ChannelSettings):
    """A broker, its topics, and the keys by which messages are proved."""

    kind: Literal["mqtt"] = setting("mqtt.")
    host: Text = setting("The broker.")
    port: Port = setting("Its port.", 8883)
    user: Text | None = setting("Our name at the broker.", None)
    password: Secret | None = setting("Our password there.", None)
    client_id: Text = setting("Our session at the broker; one process at a time uses it.")
    tls: Tls | None = setting("Encryption; only a broker on this machine goes without.", None)
    setpoint_topic: Text = setting("Where setpoints come.")
    frequency_topic: Text | None = setting("Where the frequency comes; none: it does not.", None)
    telemetry_topic: Text | None = setting("Where we tell what is metered; none: nowhere.", None)
    status_topic: Text | None = setting("Where our presence stands, with a last will.", None)
    keys: dict[str, KeySettings] = setting("Keys that prove messages, by the name they carry.")
    signing_key: Text | None = setting("The name our telemetry's key carries.", None)
    signing: KeySettings | None = setting("The key our telemetry is signed with.", None)
    hold_s: PositiveDurationS = setting(
        "A setpoint holds for so long unless another comes.",
        30.0,
        key="hold",
        source="assumption, 2026: the grid operator's own rule on lost setpoints is not verified",
    )
    telemetry_s: PositiveDurationS = setting(
        "Telemetry goes out this often.",
        4.0,
        key="telemetry_every",
        source="assumption, 2026: the cycle of aFRR setpoints",
    )
    keepalive_s: PositiveCount = setting(
        "A broker that does not answer for twice as long is out of reach; whole seconds.",
        10,
        key="keepalive",
        source="assumption, 2026",
    )
    reconnect_s_max: PositiveDurationS = setting(
        "Between attempts to connect at most this passes; it begins at 1 s and doubles.",
        30.0,
        key="reconnect_max",
        source="assumption, 2026",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.tls is None and not is_loopback(self.host):
            why = "a broker elsewhere needs tls: (plain text only on this machine itself)"
            raise PydanticCustomError("tls", why)
        if (self.signing is None) != (self.signing_key is None):
            raise PydanticCustomError("signing", "signing: and signing_key: go together")
        if self.telemetry_topic is not None and self.signing is None:
            raise PydanticCustomError("signing", "telemetry needs signing: and signing_key:")
        if not self.keys:
            raise PydanticCustomError("keys", "needs a key that proves the sender's messages")
        return self


class Payload(BaseModel):
    """A message, version 1; nothing is converted and nothing else may stand in it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    v: Literal[1]
    stream: Literal["afrr", "frequency"]
    point: str = Field(max_length=128)
    sequence: int = Field(ge=0, lt=2**62)
    issued_ms: int = Field(ge=0, lt=2**43)
    value: float = Field(ge=-1e6, le=1e6)
    unit: Literal["MW", "Hz"]

    @model_validator(mode="after")
    def _unit(self) -> Self:
        if self.unit != {"afrr": "MW", "frequency": "Hz"}[self.stream]:
            raise ValueError("a setpoint is in MW and a frequency in Hz")
        return self


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as the broker delivered it.

    Attributes:
        topic: where.
        body: its bytes.
        received_ns: when, by our clock.
        mid: the broker's number for it, for the acknowledgement.
        qos: 0 or 1.
        again: the broker says that it delivers it once more.
        session: number of the connection it came by; an acknowledgement on another means nothing.
    """

    topic: str
    body: bytes
    received_ns: int
    mid: int = 0
    qos: int = 0
    again: bool = False
    session: int = 0


def read_payload(topic: str, body: bytes, keys: dict[str, Any]) -> Payload:
    """Prove and read a message.

    Raises:
        Untrue: forged or malformed.
    """
    payload = unseal(topic, body, keys)
    try:
        return Payload.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "payload"
        raise Untrue(f"{place}: {first['msg']}", malformed=True) from None


class MqttChannel:
    """The channel: a client in its own thread fills the inbox, `step` empties it.

    Args:
        settings: the broker and its topics.
        store: where everything is kept.
        clock: whose time it is.

    Raises:
        BadInput: a secret or certificate is missing.
        StoreTrouble: the store is away at the start.
    """

    def __init__(self, settings: MqttSettings, store: Keeper, clock: Clock) -> None:
        self.settings, self.store, self.clock = settings, store, clock
        where = f"channel {settings.name}"
        self._keys = {
            name: read_key(key, f"{where}: key {name}", signs=False)
            for name, key in settings.keys.items()
        }
        self._signing = (
            read_key(settings.signing, f"{where}: signing", signs=True)
            if settings.signing is not None
            else None
        )
        self.door = Door(settings, store)
        self.door.open()
        self._inbox: Inbox[Arrived] = Inbox(_INBOX)
        self._started_ns = clock.now_ns()
        self._heard_ns = 0
        self._telemetry_ns = 0
        self._sent = 0
        self._session = 0
        self._why = "not connected yet"
        self._lost = threading.Event()
        self._client = self._made(where)

    def start(self) -> None:
        """Begin to connect, and to connect again whenever that is lost."""
        self._client.connect_async(
            self.settings.host, self.settings.port, self.settings.keepalive_s
        )
        self._client.loop_start()

    def close(self) -> None:
        """Say that we leave, and leave."""
        if self.settings.status_topic is not None and not self._why:
            told = self._client.publish(self.settings.status_topic, b"offline", 1, retain=True)
            # Where the connection goes meanwhile, the last will says the same.
            with contextlib.suppress(RuntimeError, ValueError):
                told.wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()

    def step(self, wait_s: float) -> Answer | None:
        """Take one message in, waiting for it so long; send telemetry that is due.

        Returns:
            What became of the message; None when none came or it was no order.
        """
        if self._lost.is_set():
            self._lost.clear()
            why = f"more than {_INBOX} messages waited; the oldest were dropped"
            self.door.refuse(Bad.FLOODED, why, self.clock.now_ns())
        arrived = self._inbox.get(wait_s)
        answer = None
        if arrived is not None:
            answer = self.judge(arrived)
            if answer is Answer.LATER:
                self._acknowledge(self._inbox.back(arrived))
            else:
                self._acknowledge(arrived)
        self._tell(self.clock.now_ns())
        return answer

    def judge(self, arrived: Arrived) -> Answer | None:
        """Prove, check and keep one message; never raises for anything a message can hold."""
        now_ns = self.clock.now_ns()
        try:
            payload = read_payload(arrived.topic, arrived.body, self._keys)
        except Untrue as untrue:
            bad = Bad.MALFORMED if untrue.malformed else Bad.FORGED
            return self.door.refuse(bad, f"{arrived.topic}: {untrue}", now_ns)
        expected = {
            self.settings.setpoint_topic: "afrr",
            self.settings.frequency_topic: "frequency",
        }.get(arrived.topic)
        if payload.stream != expected or payload.point != self.settings.point:
            why = f"{arrived.topic}: speaks of {payload.stream} at {payload.point[:40]}"
            return self.door.refuse(Bad.ABSURD, why, now_ns)
        if payload.stream == "frequency":
            return self._frequency(payload, now_ns)
        order = GridOrder(
            key=f"{payload.stream}:{payload.sequence}",
            source=self.settings.name,
            kind=OrderKind.SETPOINT,
            point=payload.point,
            power_mw=payload.value,
            issued_ns=payload.issued_ms * _NS_PER_MS,
            received_ns=arrived.received_ns,
            start_ns=arrived.received_ns,
            end_ns=arrived.received_ns + int(self.settings.hold_s * NS_PER_S),
            sequence=payload.sequence,
        )
        answer = self.door.take(order, arrived.body, now_ns, stream="afrr", again=arrived.again)
        if answer is Answer.TAKEN:
            self._heard_ns = now_ns
        return answer

    def trouble(self, now_ns: int) -> str:
        """Why no setpoint can be relied on; empty when all is well."""
        if self._why:
            return f"the broker {self.settings.host} is out of reach: {self._why}"
        silent_s = (now_ns - max(self._heard_ns, self._started_ns)) / NS_PER_S
        if silent_s > self.settings.silent_s:
            return f"no sound setpoint for {silent_s:.0f} s"
        return ""

    def _frequency(self, payload: Payload, now_ns: int) -> Answer | None:
        if not _HZ_LOW <= payload.value <= _HZ_HIGH:
            why = f"a frequency of {payload.value:g} Hz"
            return self.door.refuse(Bad.ABSURD, why, now_ns)
        issued_ns = payload.issued_ms * _NS_PER_MS
        if self.door.passes("frequency", payload.sequence, issued_ns, now_ns):
            body = {"frequency_hz": payload.value, "issued_ns": issued_ns}
            try:
                self.store.publish(FREQUENCY + payload.point, body, now_ns)
            except StoreTrouble as away:
                self.door.store_trouble = away.why
        return None

    def _tell(self, now_ns: int) -> None:
        """Send what is metered, marked as good or not."""
        settings = self.settings
        if settings.telemetry_topic is None or self._signing is None or self._why:
            return
        if 0 <= now_ns - self._telemetry_ns < settings.telemetry_s * NS_PER_S:
            return
        self._telemetry_ns = now_ns
        metered = self.door.metered(now_ns, 3.0 * settings.telemetry_s) or {}
        # The counter is the clock's, so that it rises over restarts too.
        self._sent = max(self._sent + 1, now_ns // _NS_PER_MS)
        body: dict[str, Any] = {
            "v": 1,
            "point": settings.point,
            "sequence": self._sent,
            "issued_ms": now_ns // _NS_PER_MS,
            "good": "metered_mw" in metered,
        }
        for name in ("metered_mw", "up_mw", "down_mw"):
            body[name] = metered.get(name)
        payload = json.dumps(body, separators=(",", ":"), sort_keys=True)
        assert settings.signing_key is not None, "telemetry is signed; the settings saw to it"
        sealed = seal(settings.telemetry_topic, payload, settings.signing_key, self._signing)
        self._client.publish(settings.telemetry_topic, sealed, qos=0)

    def _acknowledge(self, arrived: Arrived | None) -> None:
        if arrived is not None and arrived.qos and arrived.session == self._session:
            self._client.ack(arrived.mid, arrived.qos)

    def _made(self, where: str) -> Any:
        client_module = needed("paho.mqtt.client", "serve")
        settings = self.settings
        client = client_module.Client(
            client_module.CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=False,
            manual_ack=True,
        )
        if settings.user is not None:
            password = settings.password.read(f"{where}: password") if settings.password else None
            client.username_pw_set(settings.user, password)
        if settings.tls is not None:
            client.tls_set_context(settings.tls.context(where))
        if settings.status_topic is not None:
            client.will_set(settings.status_topic, b"offline", qos=1, retain=True)
        client.reconnect_delay_set(1, max(1, int(settings.reconnect_s_max)))
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_connect_fail = self._failed
        client.on_message = self._arrived
        return client

    # --- called by the client's own thread ----------------------------------------------------

    def _connected(self, client: Any, _: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._why = str(reason)
            return
        self._session += 1
        wanted = filter(None, (self.settings.setpoint_topic, self.settings.frequency_topic))
        client.subscribe([(topic, 1) for topic in wanted])
        if self.settings.status_topic is not None:
            client.publish(self.settings.status_topic, b"online", 1, retain=True)
        self._why = ""

    def _disconnected(self, _client: Any, _: Any, _flags: Any, reason: Any, _props: Any) -> None:
        self._why = str(reason)

    def _failed(self, _client: Any, _: Any) -> None:
        self._why = "no connection"

    def _arrived(self, _client: Any, _: Any, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "?"
        arrived = Arrived(
            topic,
            bytes(message.payload),
            self.clock.now_ns(),
            message.mid,
            message.qos,
            bool(message.dup),
            self._session,
        )
        lost = self._inbox.put(arrived)
        if lost is not None:
            self._lost.set()
            self._acknowledge(lost)
