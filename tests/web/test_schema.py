"""What the OpenAPI page promises, held against what comes back for requests nobody thought of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from schemathesis.checks import CHECKS
from schemathesis.core import NotSet

from gigafactory.adapters.store.records import Message, Offer, WorkReceipt
from gigafactory.web.shapes import Budget, OfferView, OrderView, Page, WorkView
from tests.web.service import NOW_NS, ROLES, Service, order

#: Requests tried per operation: in the usual run, and in a proof.
FEW: Final = 5
MANY: Final = 300
#: Checks of schemathesis: no fault of ours, a status, a type and a body as promised.
PROMISES: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
ENDLESS: Final = "/v1/events"


def asked(service: Service, case: Any, secret: str) -> httpx.Response:
    """Send what was drawn."""
    headers = {
        name: str(value).encode("latin-1", "ignore").strip()
        for name, value in (case.headers or {}).items()
        if name.lower() != "authorization"
    }
    given: dict[str, Any] = {}
    if not isinstance(case.body, NotSet):
        raw = isinstance(case.body, bytes)
        given["content"] = case.body if raw else json.dumps(case.body)
        headers.setdefault("Content-Type", b"application/json")
    query = {k: v for k, v in (case.query or {}).items() if v is not None}
    return service.call(
        case.method,
        case.formatted_path,
        secret=secret,
        key="",
        headers=headers,
        params=query,
        **given,
    )


def tried(service: Service, examples: int) -> dict[str, int]:
    """Try every operation; how many requests each got."""
    schema = schemathesis.openapi.from_dict(service.app.openapi())
    chosen = [CHECKS.get_one(name) for name in PROMISES]
    counts: dict[str, int] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == ENDLESS:
            continue
        roles = operation.definition.raw.get("x-roles", [])
        secret = service.secrets[next(r for r in ROLES if r in roles)] if roles else ""
        counts[operation.label] = _try(service, operation, secret, examples, chosen)
    return counts


def _try(service: Service, operation: Any, secret: str, examples: int, chosen: Any) -> int:
    """Try one operation with requests that keep to its description and with some that do not."""
    count = 0
    cases = operation.as_strategy()
    if takes_anything(operation):
        wild = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        cases = st.one_of(cases, wild)

    @given(case=cases)
    @settings(max_examples=examples, derandomize=True, deadline=None, database=None,
              phases=[Phase.explicit, Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def once(case: Any) -> None:
        nonlocal count
        count += 1
        answer = asked(service, case, secret)
        assert answer.status_code not in {401, 403}, answer.text
        case.validate_response(answer, checks=chosen)

    once()
    return count


def takes_anything(operation: Any) -> bool:
    """Whether there is anything in a request to it that could be wrong."""
    return bool(operation.body or any(p.location != "header" for p in operation.iter_parameters()))


def filled(service: Service) -> None:
    """Something of everything, so that answers are not empty."""
    work = service.submit()
    store = service.store
    store.put_receipts([WorkReceipt(work, "delta-lab", "2025-06-01", {"gpu_s": 1}, NOW_NS)])
    store.put_order(order("afrr", "k1"), b"raw")
    store.put_message(Message("afrr", "in", "m1", "Order", NOW_NS, b"raw"))
    store.put_offer(
        Offer(
            "gopacs", "o1", "stedin", "maasvlakte", NOW_NS, NOW_NS + 10**9, NOW_NS, {"a": 1}, NOW_NS
        )
    )
    store.publish("status", {"points": {"maasvlakte": {"power_mw": 1.5}}}, NOW_NS)
    store.publish("schedule", {"points": {"maasvlakte": [{"import_mw": 1.0}]}}, NOW_NS)
    for channel in ("afrr", "gopacs"):
        store.publish(f"channel:{channel}", {}, NOW_NS)
    store.raise_alarm("test", "a", "for a test", NOW_NS)
    store.anchor("2025-06-02", NOW_NS)
    service.post("/v1/nodes/n1/drain", "operator", json={"reason": "for a test"})


@pytest.mark.slow
def test_every_operation_keeps_its_promise(service: Service) -> None:
    filled(service)
    counts = tried(service, FEW)
    schema = service.app.openapi()
    operations = sum(len(methods) for methods in schema["paths"].values()) - 1
    assert len(counts) == operations
    assert min(counts.values()) >= 1


@pytest.mark.proof
def test_every_operation_keeps_its_promise_for_long(service: Service, proof_dir: Path) -> None:
    filled(service)
    counts = tried(service, MANY)
    told = {"requests": sum(counts.values()), "operations": counts}
    (proof_dir / "api-schema.json").write_text(json.dumps(told, indent=1), "utf-8")
    assert len(counts) > 30


def test_every_operation_says_what_a_reader_needs(service: Service) -> None:
    for path, methods in service.app.openapi()["paths"].items():
        for method, told in methods.items():
            assert told["summary"], path
            assert told["description"], path
            assert told["tags"], path
            if path.startswith("/v1/"):
                assert set(told["x-roles"]) <= set(ROLES), path
                assert {"401", "403", "422", "429", "503"} <= set(told["responses"]), path
            if method in {"post", "delete"}:
                names = [one["name"] for one in told["parameters"]]
                assert "Idempotency-Key" in names, path


def test_answers_are_of_the_shapes_they_are_told_to_be(service: Service) -> None:
    """A model is not read on the way out; here every answer is, by its own."""
    filled(service)
    work = service.get("/v1/work", "tenant").json()["items"][0]
    WorkView.model_validate(work)
    Budget.model_validate(service.get("/v1/budget", "tenant").json())
    Page[OrderView].model_validate(service.get("/v1/orders", "operator").json())
    Page[OfferView].model_validate(service.get("/v1/offers", "operator").json())
    with pytest.raises(ValidationError):
        WorkView.model_validate({**work, "more": 1})
