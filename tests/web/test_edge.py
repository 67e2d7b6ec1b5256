"""The door: limits, bodies, headers, logs without secrets, health and metrics."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gigafactory.adapters.store import StoreTrouble
from gigafactory.web import lane, logs
from gigafactory.web.limits import Buckets, caller_of
from tests.web.service import JOB, NOW_NS, Service

S = 10**9


def test_a_bucket_empties_and_fills() -> None:
    buckets = Buckets(rate_per_s=2.0, burst=3)
    assert [buckets.take("a", 0).allowed for _ in range(4)] == [True, True, True, False]
    assert buckets.take("a", 0).wait_s == 1
    assert buckets.take("b", 0).allowed
    assert not buckets.take("a", S // 4).allowed
    assert buckets.take("a", S // 2).allowed
    assert buckets.look("a", 100 * S).left == 3


def test_callers_that_are_forgotten_were_the_ones_longest_unseen() -> None:
    buckets = Buckets(rate_per_s=0.001, burst=1)
    for i in range(30_000):
        buckets.take(f"address-{i}", i)
    assert len(buckets._of) == 20_000
    assert not buckets.take("address-29999", 30_000).allowed


def test_an_ipv6_network_counts_as_one() -> None:
    assert caller_of("2001:db8::1") == caller_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert caller_of("2001:db8:1::1") != caller_of("2001:db8::1")
    assert caller_of("::ffff:192.0.2.1") == caller_of("192.0.2.1") == "192.0.2.1"
    assert caller_of("") == ""


def test_a_caller_that_asks_too_much_waits(serve: Callable[..., Service]) -> None:
    service = serve(limits={"per_caller_per_s": 2, "per_caller_burst": 5})
    answers = [service.get("/v1/self", "tenant") for _ in range(6)]
    assert [one.status_code for one in answers] == [200] * 5 + [429]
    assert [one.headers["ratelimit-remaining"] for one in answers] == ["4", "3", "2", "1", "0", "0"]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert service.get("/v1/self", "auditor").status_code == 200  # another caller's bucket
    assert service.get("/healthz").status_code == 200
    service.later(0.5)
    assert service.get("/v1/self", "tenant").status_code == 200


def test_an_address_that_asks_too_much_waits(serve: Callable[..., Service]) -> None:
    service = serve(limits={"per_address_per_s": 1, "per_address_burst": 3})
    found = [service.get("/v1/self", role).status_code for role in ("tenant", "admin", "auditor")]
    assert found == [200] * 3
    assert service.get("/v1/self", "operator").status_code == 429
    assert service.get("/v1/self", "operator", address="192.0.2.9").status_code == 200


def test_guessing_tokens_ends_soon_and_raises_an_alarm(serve: Callable[..., Service]) -> None:
    service = serve(limits={"failures_per_min": 6, "failures_burst": 3})
    guesses = [service.get("/v1/self", secret=f"gf_guess{i}").status_code for i in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    alarms = service.store.alarms()
    assert [(one.kind, one.key) for one in alarms] == [("authentication", "127.0.0.1")]
    # a good token that is not known yet is not even looked at from there; elsewhere it is
    assert service.get("/v1/self", "tenant").status_code == 429
    assert service.get("/v1/self", "tenant", address="192.0.2.9").status_code == 200
    # and once it is known, whoever guesses behind the same address does not shut it out
    assert service.get("/v1/self", "tenant").status_code == 200
    service.later(10.0)
    assert service.get("/v1/self", secret="gf_guess9").status_code == 401


def test_limits_are_divided_among_workers(serve: Callable[..., Service]) -> None:
    service = serve(workers=2, limits={"per_caller_per_s": 2, "per_caller_burst": 6})
    found = [service.get("/v1/self", "tenant").status_code for _ in range(4)]
    assert found == [200] * 3 + [429]


def test_a_body_too_large_is_not_taken_in(serve: Callable[..., Service]) -> None:
    service = serve(limits={"body_kb": 4, "script_kb": 2})
    answer = service.post("/v1/work", "tenant", content=b"x" * 5000)
    assert answer.status_code == 413

    async def drip() -> Any:
        for _ in range(5):
            yield b"x" * 1000

    assert service.post("/v1/work", "tenant", content=drip()).status_code == 413
    long = {**JOB, "script": "#!/bin/sh\n" + "x" * 3000}
    answer = service.post("/v1/work", "tenant", json=long)
    assert answer.status_code == 422
    assert "2048 are taken" in answer.json()["problems"][0]["why"]
    for header in ("-1", "1e3", "99999999999999999999"):
        sent = {"Content-Length": header}
        answer = service.post("/v1/work", "tenant", content=b"{}", headers=sent)
        assert answer.status_code == 413, header


def test_who_is_not_let_in_has_no_body_read(service: Service) -> None:
    read = 0

    async def drip() -> Any:
        nonlocal read
        read += 1
        yield b"x" * 100

    assert service.post("/v1/work", content=drip()).status_code == 401
    assert read == 0


def test_bodies_that_are_no_json_are_told_so(service: Service) -> None:
    for content in (b"{", b"[1", b"\xff\xfe", b"", b"[]", b"null", b'"x"', b"{}" * 2):
        answer = service.post("/v1/work", "tenant", content=content)
        assert answer.status_code in {400, 422}, content
        assert answer.json()["problems"], content
    deep = b'{"script":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert service.post("/v1/work", "tenant", content=deep).status_code in {400, 422}


def test_answers_carry_what_protects_them(service: Service) -> None:
    for answer in (service.get("/healthz"), service.get("/v1/self", "tenant"),
                   service.get("/v1/none", "tenant"), service.get("/v1/self")):  # fmt: skip
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert len(answer.headers["x-request-id"]) == 16
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers
    given = service.get("/healthz", headers={"X-Request-Id": "my-own-id-1"})
    assert given.headers["x-request-id"] == "my-own-id-1"
    bad = service.get("/healthz", headers={"X-Request-Id": "a b\x7f" * 9})
    assert len(bad.headers["x-request-id"]) == 16


def test_unknown_paths_and_methods_are_told_in_the_same_shape(service: Service) -> None:
    for method, path, status in (("GET", "/v1/none", 404), ("PATCH", "/v1/work", 405),
                                 ("GET", "/", 404), ("GET", "/docs", 404),
                                 ("GET", "/openapi.json", 404)):  # fmt: skip
        answer = service.call(method, path, "tenant")
        assert answer.status_code == status
        assert answer.json()["status"] == status
        assert answer.json()["type"].startswith("urn:gigafactory:problem:")
        assert service.call(method, path).status_code == 401


# --- trouble and faults ------------------------------------------------------------------------


def test_a_store_that_is_away_is_told_and_asked_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise StoreTrouble("the database does not answer", doubtful=True)

    assert service.get("/v1/self", "tenant").status_code == 200
    for name in ("list_work", "submit", "ping", "published"):
        monkeypatch.setattr(service.store, name, away)
    answer = service.get("/v1/work", "tenant")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert "same Idempotency-Key" in service.post("/v1/work", "tenant", json=JOB).json()["detail"]
    ready = service.get("/readyz")
    assert ready.status_code == 503
    assert "the store cannot be reached" in ready.json()["why"][0]
    assert "gigafactory_store_up 0.0" in service.get("/metrics").text


def test_a_store_that_is_away_when_a_token_is_looked_up_is_told_as_well(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise StoreTrouble("the database does not answer")

    monkeypatch.setattr(service.store, "token_by_secret", away)
    service.app.state.gate.forget()
    for _ in range(30):  # nor does it count as a token that is not valid
        answer = service.get("/v1/self", "tenant")
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:gigafactory:problem:unavailable"
        assert answer.headers["retry-after"] == "2"


def test_a_fault_of_ours_shows_no_trace(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("password=hunter2-of-the-database")

    monkeypatch.setattr(service.store, "list_work", broken)
    answer = service.get("/v1/work", "tenant")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"]
    assert any("a fault in a request" in record.message for record in caplog.records)


def test_readiness_names_what_is_missing(service: Service) -> None:
    why = service.get("/readyz").json()["why"]
    assert why == [
        "the controller has said nothing yet",
        "the channel afrr has said nothing yet",
        "the channel gopacs has said nothing yet",
    ]
    for kind in ("status", "channel:afrr", "channel:gopacs"):
        service.store.publish(kind, {}, NOW_NS)
    service.later(1.0)
    assert service.get("/readyz").json() == {"status": "ok", "why": []}
    service.later(40.0)
    service.store.publish("status", {}, service.clock.now_ns())
    service.store.publish("channel:afrr", {"trouble": "silent"}, service.clock.now_ns())
    answer = service.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"] == [
        "the channel afrr is in trouble: silent",
        "the channel gopacs has said nothing for 41 s",
    ]


def test_metrics_are_for_this_machine_or_for_a_role(serve: Callable[..., Service]) -> None:
    near = serve()
    near.submit()
    near.store.publish("status", {}, NOW_NS)
    text = near.get("/metrics").text
    assert (
        'gigafactory_http_requests_total{method="POST",route="/v1/work",status="201"} 1.0' in text
    )
    assert "gigafactory_controller_status_age_seconds 0.0" in text
    assert 'gigafactory_channel_up{channel="afrr"} 0.0' in text
    assert near.get("/metrics", address="192.0.2.9").status_code == 404
    role = serve(metrics="role")
    assert role.get("/metrics").status_code == 401
    assert role.get("/metrics", "tenant").status_code == 403
    assert role.get("/metrics", "operator").status_code == 200
    assert serve(metrics="off").get("/metrics").status_code == 404


# --- logs --------------------------------------------------------------------------------------

SECRETS = (
    "gf_01JD8V0000000000000000AAAA_q3J9-abcdefghijklmnopqrstuvwxyz_0123456789AB",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl",
    "hunter2-of-the-database",
)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "{{'authorization': '{}'}}",
        "postgresql://gf:{}@db.example/gf",
        'password="{}"',
        "token={}&x=1",
        '{{"secret": "{}"}}',
        "api_key: {}",
    ],
)
def test_a_secret_in_any_dress_is_taken_out(text: str) -> None:
    for secret in SECRETS:
        assert secret not in logs.redact(text.format(secret)), text
    assert logs.redact("-----BEGIN PRIVATE KEY-----\nMIIEabc\n-----END PRIVATE KEY-----") == (
        logs.HIDDEN
    )


@pytest.mark.parametrize(
    "text",
    ["GET /v1/work 200", "https://issuer.example/jwks", "a token was revoked", "gf_short",
     "the channel afrr is silent", "mailto:anna@example.org"],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.redact(text) == text


def test_no_secret_reaches_the_log(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of request, good and bad, a fault among them, with all logs on."""
    stream = io.StringIO()
    log = logging.getLogger("gigafactory")
    kept = (log.handlers, log.level, log.propagate)
    handler = logs.set_up(logging.DEBUG, stream)
    try:
        made = service.post("/v1/tokens", "admin", json={"label": "l-1", "role": "auditor"}).json()
        given = [*service.secrets.values(), made["secret"], SECRETS[0], SECRETS[1]]
        for secret in given:
            service.get("/v1/self", secret=secret)
            service.get(f"/v1/work/{secret}?token={secret}", secret=secret)
            service.get("/v1/self", headers={"X-Request-Id": secret})

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError(f"postgresql://gf:{SECRETS[2]}@db/gf Bearer {SECRETS[1]}")

        monkeypatch.setattr(service.store, "list_work", broken)
        assert service.get("/v1/work", "tenant").status_code == 500
    finally:
        log.handlers, log.level, log.propagate = kept
        handler.close()
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [secret for secret in (*given, SECRETS[2]) if secret in text] == []
    assert any(line["message"] == "a fault in a request" and line["trace"] for line in lines)
    access = [line for line in lines if line["log"] == logs.ACCESS]
    assert len(access) == 2 + 3 * len(given)
    assert {"request_id", "method", "path", "status", "ms", "who", "role"} <= set(access[0])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/work", 200),
        ("/v1/work?limit=20", 200),
        ("/v1/work?limit=20&limit=21", 200),
        ("/v1/work?limit=0", 422),
        ("/v1/work?limit=x", 422),
        ("/v1/work?state=running&state=paused", 200),
        ("/v1/work?state=flying", 422),
        ("/v1/work?newest=yes&more=1", 200),
        ("/v1/work?newest=perhaps", 422),
    ],
)
def test_the_short_way_answers_as_the_long_one_does(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    for i in range(25):
        service.submit(name=f"job-{i}")
    short = service.get(path, "tenant")
    monkeypatch.setattr(lane._Part, "take", lambda *_: False)
    long = service.get(path, "tenant")
    assert short.status_code == long.status_code == status
    for body in (one := short.json()), (other := long.json()):
        body.pop("request_id", None)
        body.pop("instance", None)
    assert one == other


def test_a_body_in_an_unusual_form_is_read_all_the_same(service: Service) -> None:
    text = json.dumps(JOB)
    for kind, status in (
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 201),
        ("text/plain", 422),
    ):
        headers = {"Content-Type": kind}
        answer = service.post("/v1/work", "tenant", headers=headers, content=text)
        assert answer.status_code == status, (kind, answer.text)
    broken = service.post(
        "/v1/work", "tenant", headers={"Content-Type": "application/json"}, content="{"
    )
    assert broken.status_code == 400
