"""The gateway as it is run: its command, TLS, the runtime's view, how long a round takes."""

from __future__ import annotations

import datetime as dt
import ipaddress
import signal
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import shapeshifter_uftp.uftp as uftp
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gigafactory.adapters.store import StoreTrouble
from gigafactory.adapters.uftp.inbox import Inbox, Server
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.source import GopacsOrders
from gigafactory.engine.clock import WallClock
from gigafactory.engine.errors import BadInput
from gigafactory.grid.ports import OrderSource
from tests.adapters.uftp.counterpart import AGR_DOMAIN, DSO_DOMAIN, sealed
from tests.adapters.uftp.rig import Rig, waited

pytestmark = pytest.mark.slow
ID = "11111111-2222-4333-8444-555555555555"


def test_the_command_runs_until_it_is_told_to_stop(
    make_rig: Callable[..., Rig], tmp_path: Path
) -> None:
    rig = make_rig()
    file = tmp_path / "gopacs.yaml"
    file.write_text(yaml.safe_dump({"store": rig.url, "gopacs": rig.settings}))
    command = [sys.executable, "-m", "gigafactory.adapters.uftp", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        waited("its status", lambda: rig.store.published("channel:gopacs"))
        waited("its registration", lambda: rig.cro.of(uftp.AgrPortfolioUpdate))
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 2
        assert "cannot be bound" in again.stderr
        assert "Traceback" not in again.stderr
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 0
    private = rig.directory.keys[rig.settings["domain"]].private
    assert private not in said
    assert "Traceback" not in said
    file.write_text("store: x\ngopacs: {}\n")
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "signing_key" in bad.stderr


def test_the_runtime_sees_orders_and_silence(rig: Rig) -> None:
    source = GopacsOrders(rig.store)
    assert isinstance(source, OrderSource)
    assert source.trouble(rig.now_ns()) == ""
    assert rig.store.lead("gateway:gopacs", rig.now_ns()) is None  # one gateway speaks for us
    before = rig.now_ns()
    for number in range(3):
        power = -1_000_000 * (number + 1)
        assert rig.ordered(rig.unasked("CSC-1", power, f"C-{number}")).result == "Accepted"
    assert [one.power_mw for one in source.orders(before)] == [99.0, 97.0, 94.0]
    assert source.orders(rig.now_ns()) == ()
    assert "silent" in source.trouble(rig.now_ns() + 120 * 10**9)


def test_tls_is_spoken_where_a_certificate_is_given(
    make_rig: Callable[..., Rig], tmp_path: Path
) -> None:
    rig = make_rig()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    changes = {"port": 0, "tls_cert": str(cert_file), "tls_key": str(key_file)}
    settings = UftpSettings.model_validate(rig.settings | changes)
    server = Server(Inbox(settings, rig.store, WallClock(), lambda: None))
    server.start()
    try:
        trust = ssl.create_default_context(cafile=str(cert_file))
        with httpx.Client(verify=trust, trust_env=False) as client:

            def answered() -> int:
                try:
                    return client.get(f"https://127.0.0.1:{server.port}/x").status_code
                except httpx.HTTPError:
                    return 0

            assert waited("an answer", answered) == 404
    finally:
        server.stop()


def test_too_many_posts_are_turned_away(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(per_minute_max=5)
    inbox = Inbox(UftpSettings.model_validate(rig.settings), rig.store, WallClock(), lambda: None)
    assert [inbox.often("10.0.0.1") for _ in range(7)] == [False] * 5 + [True] * 2
    assert not inbox.often("10.0.0.2")


def test_a_port_that_is_taken_is_told(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    settings = UftpSettings.model_validate(rig.settings)
    first = Server(Inbox(settings, rig.store, WallClock(), lambda: None))
    with pytest.raises(BadInput, match="cannot be bound"):
        Server(Inbox(settings, rig.store, WallClock(), lambda: None))
    first.start()
    first.stop()


def test_a_post_is_not_taken_while_the_store_is_away(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()

    class Away:
        def put_message(self, _: object) -> None:
            raise StoreTrouble("the database is away")

        raise_alarm = put_message

    settings = UftpSettings.model_validate(rig.settings)
    woken: list[int] = []
    inbox = Inbox(settings, Away(), rig, lambda: woken.append(1))  # type: ignore[arg-type]
    order = rig.unasked("CSC-1", -1_000_000, "C-1")
    order.version, order.message_id, order.conversation_id = "3.1.0", ID, ID
    order.sender_domain, order.recipient_domain = DSO_DOMAIN, AGR_DOMAIN
    order.time_stamp = rig.stamp()
    body = sealed(order, rig.directory.keys[DSO_DOMAIN].private)
    assert inbox.post(body, "127.0.0.1")[0] == 503
    assert woken == []


def test_a_round_trip_takes_a_fraction_of_a_second(
    make_rig: Callable[..., Rig], record_property: Callable[[str, object], None]
) -> None:
    rig = make_rig()
    rig.begin(least_w=0)
    taken_s = []
    for number in range(20):
        begin = time.perf_counter()
        rig.ordered(rig.unasked("CSC-1", -100_000, f"C-{number}"))
        taken_s.append(time.perf_counter() - begin)
    record_property("order_to_answer_ms_median", round(1000 * statistics.median(taken_s), 1))
    assert statistics.median(taken_s) < 2.0
