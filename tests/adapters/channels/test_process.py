"""A gateway as a process of its own: started from the service's settings, killed, started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gigafactory.adapters.channels.__main__ import main
from gigafactory.adapters.channels.door import PUBLISHED, Bad
from gigafactory.adapters.store import Store
from gigafactory.engine.clock import WallClock
from gigafactory.testing.mosquitto import LocalBroker, available, free_port
from tests.adapters.channels.common import (
    SECRET,
    alarms,
    open_store,
    payload,
    sealed,
    secret,
    shared,
    until,
)
from tests.adapters.channels.test_mqtt import TOPIC, Tso
from tests.conftest import missing


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path)
    yield made
    made.close()


def serve_yaml(folder: Path, port: int, /, **more: Any) -> Path:
    options = {
        "power_max": "140 MW",
        "host": "127.0.0.1",
        "port": port,
        "user": "plant",
        "password": secret(folder, "broker", "for-tests"),
        "client_id": "plant-1",
        "setpoint_topic": TOPIC,
        "status_topic": "plant/status",
        "reconnect_max": "1 s",
        "keys": {"tso-1": {"algorithm": "hmac-sha256", "secret": secret(folder, "tso")}},
    }
    told = {
        "store": {"url": f"sqlite:///{folder / 'store.db'}"},
        "channels": {"afrr": {"kind": "mqtt", "points": ["home"], "options": options | more}},
    }
    path = folder / "serve.yaml"
    path.write_text(json.dumps(told), encoding="utf-8")  # JSON is YAML
    return path


def started(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gigafactory.adapters.channels"]
    return subprocess.Popen(
        [*command, "--settings", str(path), "--name", "afrr"], stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, told = process.communicate(timeout=20.0)
    return process.returncode, told


@pytest.mark.slow
def test_a_gateway_killed_and_started_again_takes_no_old_message(
    store: Store, tmp_path: Path
) -> None:
    if not available():
        missing("the system package mosquitto is missing; `make system` lists and installs it")
    folder = tmp_path / "broker"
    folder.mkdir()
    key = shared(SECRET, tmp_path)
    now = WallClock().now_ns
    with LocalBroker(folder) as broker:
        path = serve_yaml(tmp_path, broker.port)
        process, tso = started(path), Tso(broker)
        until(lambda: any(m.payload == b"online" for m in tso.heard), 30.0)
        old = sealed(key, payload(1, now(), 5.0))
        tso.say(old)
        until(lambda: len(store.orders()) == 1)
        ended(process, signal.SIGKILL)
        until(lambda: any(m.payload == b"offline" for m in tso.heard), 30.0)  # the last will
        tso.say(sealed(key, payload(2, now(), 6.0)))  # the broker keeps it for our session
        process = started(path)
        until(lambda: len(store.orders()) == 2, 30.0)
        tso.say(old)
        until(lambda: Bad.REPLAYED.value in alarms(store))
        assert [kept.order.power_mw for kept in store.orders()] == [5.0, 6.0]
        code, told = ended(process, signal.SIGTERM)
        assert (code, told) == (0, "")
        found = store.published(PUBLISHED + "afrr")
        assert found is not None
        assert found[1]["trouble"] == "the gateway was stopped"
        tso.close()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"port": "many"}, "port"),
        ({"password": {"file": "/nowhere/at/all"}}, "cannot be read"),
        ({"host": "broker.example"}, "needs tls"),
        ({"keys": {"a": {"algorithm": "hmac-sha256", "secret": {"env": "SHORT"}}}}, "32 bytes"),
    ],
)
def test_bad_settings_end_it_with_words_and_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    word: str,
) -> None:
    monkeypatch.setenv("SHORT", "c2hvcnQ=")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    path = serve_yaml(tmp_path, free_port(), **change)
    assert main(["--settings", str(path), "--name", "afrr"]) == 2
    told = capsys.readouterr().err
    assert word in told
    assert "Traceback" not in told
    assert "c2hvcnQ=" not in told


def test_a_channel_that_is_not_there_or_no_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    path = serve_yaml(tmp_path, free_port())
    assert main(["--settings", str(path), "--name", "other"]) == 2
    assert "known: afrr" in capsys.readouterr().err
    assert main(["--settings", str(tmp_path / "none.yaml"), "--name", "afrr"]) == 2
    path.write_text('{"channels": {"afrr": {"kind": "smoke", "points": ["home"]}}}')
    assert main(["--settings", str(path), "--name", "afrr"]) == 2
    assert "known: mqtt, openadr, iec104" in capsys.readouterr().err


@pytest.mark.slow
def test_encryption_is_checked_both_ways(store: Store, tmp_path: Path) -> None:
    """A broker with a certificate of the right authority is spoken with, any other is not."""
    if not available():
        missing("the system package mosquitto is missing; `make system` lists and installs it")
    authority = authority_of(tmp_path, "right")
    other = authority_of(tmp_path, "other")
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = LocalBroker(folder)
    config = folder / "mosquitto.conf"
    secure = free_port()
    lines = f"listener {secure} 127.0.0.1\ncertfile {authority[1]}\nkeyfile {authority[2]}\n"
    config.write_text(config.read_text() + lines)
    key = shared(SECRET, tmp_path)
    with broker:
        tso = Tso(broker)
        for ca, works in ((other[0], False), (authority[0], True)):
            path = serve_yaml(tmp_path, secure, tls={"ca": str(ca)})
            process = started(path)
            if works:
                until(lambda: any(m.payload == b"online" for m in tso.heard), 30.0)
                tso.say(sealed(key, payload(1, WallClock().now_ns())))
                until(lambda: len(store.orders()) == 1)
            else:
                until(lambda: "out of reach" in _trouble(store), 30.0)
                assert not any(m.payload == b"online" for m in tso.heard)
            assert ended(process, signal.SIGTERM)[0] == 0
        tso.close()


def _trouble(store: Store) -> str:
    found = store.published(PUBLISHED + "afrr")
    return str(found[1]["trouble"]) if found else ""


def authority_of(folder: Path, name: str, host: str = "127.0.0.1") -> tuple[Path, Path, Path]:
    """A certificate authority, and a certificate and key of it for an address."""
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name} {part}")])
        for part in ("authority", "broker")
    ]
    now = dt.datetime.now(dt.UTC)

    def made(own: int, *extensions: tuple[Any, bool]) -> Any:
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[own])
            .issuer_name(names[0])
            .public_key(keys[own].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(keys[0], hashes.SHA256())

    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    both = [
        made(0, (x509.BasicConstraints(ca=True, path_length=0), True)),
        made(1, (address, False)),
    ]
    paths = tuple(folder / f"{name}-{part}.pem" for part in ("ca", "broker", "key"))
    for path, certificate in zip(paths[:2], both, strict=True):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[2].chmod(0o600)
    return paths[0], paths[1], paths[2]
