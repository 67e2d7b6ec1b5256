"""A real server: TLS, events, several workers, many pages in little memory, and its settings."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Asked, Role
from gigafactory.engine.errors import BadInput
from gigafactory.factory import load_factory
from gigafactory.runtime.apisettings import is_loopback, read_api
from tests.web.service import JOB, Service
from tests.web.test_load import server


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def token(url: str, role: str, party: str = "") -> str:
    """A new token; its secret."""
    store = Store.open(url)
    secret = store.add_token(f"{role}-t", Role(role), party, None, time.time_ns(), "test")[1]
    store.close()
    return secret


def bearer(secret: str, key: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", **({"Idempotency-Key": key} if key else {})}


def certificate(folder: Path) -> dict[str, str]:
    """A certificate for the loopback that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


@pytest.mark.slow
def test_tls_is_at_least_1_2_and_says_so_to_browsers(url: str, tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    with server(url, tls=tls) as (port, _):
        trust = ssl.create_default_context(cafile=tls["cert"])
        answer = httpx.get(f"https://localhost:{port}/healthz", verify=trust)
        assert answer.json()["status"] == "ok"
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        assert "server" not in answer.headers
        old = ssl.create_default_context(cafile=tls["cert"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is what is tried
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(httpx.ConnectError, match=r"(?i)alert|protocol|version|EOF"):
            httpx.get(f"https://localhost:{port}/healthz", verify=old)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://localhost:{port}/healthz")


@contextmanager
def listening(port: int, secret: str) -> Iterator[Iterator[str]]:
    """The lines of an event stream."""
    with (
        httpx.Client(timeout=15.0) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/v1/events", headers=bearer(secret)) as got,
    ):
        assert got.status_code == 200, got.read()
        yield got.iter_lines()


def until(lines: Iterator[str], event: str) -> Any:
    """What the next event of a kind carries."""
    for line in lines:
        if line == f"event: {event}":
            for more in lines:
                if more.startswith("data: "):
                    return json.loads(more[6:])
    pytest.fail(f"the stream ended before {event}")


@pytest.mark.slow
def test_events_tell_news_until_the_token_is_revoked(url: str) -> None:
    secret = token(url, "operator")
    store = Store.open(url)
    with server(url, remember="0 s", limits={"streams_per_caller": 1}) as (port, _):
        store.publish("status", {"power_mw": 1.0}, time.time_ns())
        with listening(port, secret) as lines:
            assert until(lines, "status")["power_mw"] == 1.0
            store.publish("status", {"power_mw": 2.0}, time.time_ns())
            assert until(lines, "status")["power_mw"] == 2.0
            store.raise_alarm("meter", "m1", "the meter is silent", time.time_ns())
            assert until(lines, "alarms")[0]["about"] == "m1"
            at = f"http://127.0.0.1:{port}/v1/events"
            assert httpx.get(at, headers=bearer(secret)).status_code == 429
            store.revoke_token(store.tokens()[0].id, time.time_ns(), "test")
            begin = time.monotonic()
            for _ in lines:
                assert time.monotonic() - begin < 10.0
        assert httpx.get(at, headers=bearer(secret)).status_code == 401
    store.close()


@pytest.mark.slow
def test_several_workers_share_a_port_and_their_counts(url: str) -> None:
    secret = token(url, "tenant", "delta-lab")
    limits = {"per_caller_per_s": 1000, "per_caller_burst": 1000}
    with server(url, workers=2, limits=limits) as (port, process):
        at = f"http://127.0.0.1:{port}"
        for _ in range(100):
            if len(process.children()) >= 2:
                break
            time.sleep(0.1)
        for i in range(40):  # a connection each, so that both workers get some
            assert httpx.get(f"{at}/v1/self", headers=bearer(secret)).status_code == 200, i
        made = [
            httpx.post(f"{at}/v1/work", headers=bearer(secret, "one-key-for-all"), json=JOB)
            for _ in range(6)
        ]
        assert sorted(one.status_code for one in made) == [200] * 5 + [201]
        assert len({one.json()["id"] for one in made}) == 1
        line = 'gigafactory_http_requests_total{method="GET",route="/v1/self",status="200"} 40.0'
        assert line in httpx.get(f"{at}/metrics").text


@pytest.mark.slow
def test_a_hundred_thousand_jobs_are_listed_in_little_memory(url: str) -> None:
    """Page after page to the end, and again: the second time the server grows no more.

    All of them at once would be 100 MB.
    """
    secret = token(url, "tenant", "delta-lab")
    _fill(url, 100_000)
    with (
        server(url) as (port, process),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer(secret)) as client,
    ):
        first = _through_all(client, process)
        second = _through_all(client, process)
    grown_mb = (second - first) / 1e6
    assert grown_mb < 8.0, f"{first / 1e6:.0f} MB after one pass, {grown_mb:.0f} MB more after two"


def _through_all(client: httpx.Client, process: psutil.Process) -> int:
    """Every page in turn; the most memory the server had."""
    count, most = 0, 0
    after: str | None = ""
    while after is not None:
        page = client.get("/v1/work", params={"limit": 1000, **({"after": after} if after else {})})
        body = page.json()
        count, after = count + len(body["items"]), body["next"]
        most = max(most, process.memory_info().rss)
    assert count == 100_000
    assert most < 400e6
    return most


def _fill(url: str, count: int) -> None:
    """Many jobs at once, by the store's own tables: one call each would take minutes."""
    import sqlalchemy as sa

    store = Store.open(url)
    body = {**JOB, "nodes": 1, "priority": 3, "pool": "b200", "accelerators_min": 0}
    first = store.submit(Asked("delta-lab", "fill-first", body, "test", 1_000_000_000))[0]
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        row = dict(conn.execute(sa.text("select * from work")).mappings().one())
        rows = [
            {**row, "id": f"{first.id[:-6]}{i:06d}", "idempotency_key": f"fill-{i}"}
            for i in range(1, count)
        ]
        names = ", ".join(row)
        conn.execute(sa.text("delete from work"))
        put = sa.text(f"insert into work ({names}) values ({', '.join(':' + n for n in row)})")
        conn.execute(put, [{**row, "id": f"{first.id[:-6]}000000"}, *rows])
    engine.dispose()
    store.close()


# --- settings ----------------------------------------------------------------------------------


def told(raw: dict[str, Any]) -> dict[str, str]:
    """Every problem of a block of settings, by field."""
    with pytest.raises(BadInput) as caught:
        read_api(raw, load_factory("rotterdam"), "serve.yaml")
    return {one.field: one.why for one in caught.value.problems}


def test_the_usual_settings_are_closed() -> None:
    settings = read_api({}, load_factory("rotterdam"), "serve.yaml")
    assert is_loopback(settings.host)
    assert settings.metrics == "loopback"
    assert (settings.issuers, settings.grid_operators, settings.energy_partners) == ((), {}, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "service.example"])
def test_beyond_loopback_there_is_tls_or_a_proxy(host: str, tmp_path: Path) -> None:
    assert "no TLS" in told({"host": host})["api.host"]
    factory = load_factory("rotterdam")
    read_api({"host": host, "behind_proxy": True, "metrics": "off"}, factory, "serve.yaml")
    read_api({"host": host, "tls": certificate(tmp_path)}, factory, "serve.yaml")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1"])
def test_what_is_loopback(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("localhost.example")


def test_every_problem_of_the_settings_is_told_at_once() -> None:
    issuer = {
        "issuer": "https://login.example",
        "audience": "gf",
        "jwks_url": "http://login.example/jwks",
        "grants": [
            {"value": "a", "role": "tenant"},
            {"value": "b", "role": "operator", "party": "x"},
        ],
    }
    found = told(
        {
            "behind_proxy": True,
            "port": 70_000,
            "tls": {"cert": "/no/cert", "key": "/no/key"},
            "limits": {"script_kb": 512},
            "issuers": [issuer],
            "grid_operators": {"tennet": {"points": ["moon"]}},
            "energy_partners": {"p": {"contracts": ["none"]}},
        }
    )
    assert set(found) == {
        "api.port",
        "api.tls.cert",
        "api.tls.key",
        "api.metrics",
        "api.limits.script_kb",
        "api.issuers.0.jwks_url",
        "api.issuers.0.grants.0.party",
        "api.issuers.0.grants.1.party",
        "api.grid_operators.tennet.points",
        "api.energy_partners.p.contracts",
    }


def test_only_asymmetric_signatures_can_be_named() -> None:
    issuer = {"issuer": "i", "audience": "a", "jwks_url": "https://x/j", "grants": []}
    for name in ("HS256", "none", "HS512"):
        found = told({"issuers": [{**issuer, "algorithms": [name]}]})
        assert any("RS256" in why for why in found.values()), found


@pytest.mark.slow
def test_the_same_on_postgresql(database: str) -> None:
    """The ways through every part of the store, on the other engine."""
    service = Service(database)
    try:
        _through(service)
    finally:
        service.close()


def _through(service: Service) -> None:
    work = service.submit()
    assert service.get(f"/v1/work/{work}/explain", "tenant").json()["state"] == "asked"
    other = {**JOB, "accelerators": 16}
    assert service.post("/v1/work", "tenant", key="key-000001", json=other).status_code == 409
    assert service.post(f"/v1/work/{work}/cancel", "tenant").status_code == 200
    why = {"reason": "for a test"}
    assert service.post("/v1/nodes/n1/drain", "operator", json=why).status_code == 202
    for path in ("/v1/changes", "/v1/orders", "/v1/offers", "/v1/alarms", "/v1/audit",
                 "/v1/audit/anchors", "/v1/tokens", "/v1/receipts", "/v1/work"):  # fmt: skip
        assert service.get(path, "auditor").status_code == 200, path
    assert service.get("/v1/budget", "tenant").json()["tenant"] == "delta-lab"
    assert service.store.verify_audit() == []
