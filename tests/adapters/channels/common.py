"""What tests of channels share: a store, a clock that is told, waiting for something."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gigafactory.adapters.channels.running import channel_settings
from gigafactory.adapters.channels.signing import KeySettings, read_key, seal
from gigafactory.adapters.store import Store
from gigafactory.units import NS_PER_S

T0 = 1_795_000_000 * NS_PER_S
SECRET = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


class TestClock:
    """A clock that stands where it is put."""

    __test__ = False

    def __init__(self, now_ns: int = T0) -> None:
        self.at_ns = now_ns

    def now_ns(self) -> int:
        return self.at_ns

    def wait_until(self, instant_ns: int) -> int:
        self.at_ns = max(self.at_ns, instant_ns)
        return self.at_ns

    def on(self, seconds: float) -> int:
        self.at_ns += int(seconds * NS_PER_S)
        return self.at_ns


def open_store(folder: Path) -> Store:
    return Store.open(f"sqlite:///{folder / 'store.db'}")


def alarms(store: Store) -> dict[str, int]:
    """How often each kind of alarm was raised."""
    return {alarm.kind: alarm.times for alarm in store.alarms()}


def until(what: Callable[[], Any], wait_s: float = 10.0) -> Any:
    """Wait for something true; fails when it does not come."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError(f"did not come within {wait_s} s")


def secret(folder: Path, name: str, text: str = SECRET) -> dict[str, str]:
    path = folder / f"{name}.secret"
    path.write_text(text + "\n", encoding="utf-8")
    return {"file": str(path)}


def mqtt_settings(folder: Path, port: int = 1883, **more: Any) -> Any:
    key = {"algorithm": "hmac-sha256", "secret": secret(folder, "tso")}
    options = {
        "power_max": "140 MW",
        "host": "127.0.0.1",
        "port": port,
        "user": "plant",
        "password": secret(folder, "broker", "for-tests"),
        "client_id": "plant-1",
        "setpoint_topic": "tso/afrr/home",
        "frequency_topic": "tso/frequency",
        "telemetry_topic": "plant/telemetry",
        "status_topic": "plant/status",
        "keys": {"tso-1": key},
        "signing_key": "plant-1",
        "signing": {"algorithm": "hmac-sha256", "secret": secret(folder, "plant", OTHER)},
    }
    return channel_settings("afrr", "mqtt", "home", options | more, "serve.yaml")


def shared(text: str = SECRET, folder: Path | None = None) -> Any:
    """A key that signs, of a shared secret."""
    assert folder is not None
    told = {"algorithm": "hmac-sha256", "secret": secret(folder, f"k{hash(text)}", text)}
    return read_key(KeySettings.model_validate(told), "test", signs=True)


def payload(sequence: int, at_ns: int, value: float = 12.5, /, **more: Any) -> str:
    told = {
        "v": 1,
        "stream": "afrr",
        "point": "home",
        "sequence": sequence,
        "issued_ms": at_ns // 1_000_000,
        "value": value,
        "unit": "MW",
    }
    return json.dumps(told | more)


def sealed(key: Any, text: str, topic: str = "tso/afrr/home", name: str = "tso-1") -> bytes:
    return seal(topic, text, name, key)
