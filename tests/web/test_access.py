"""Every route times every role: who may, who may not, and what one party sees of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from fastapi.routing import APIRoute

from gigafactory.adapters.store.records import Message, WorkReceipt
from tests.web.service import JOB, NOW_NS, PARTIES, ROLES, Service, order

ALL: Final = set(ROLES)
READERS: Final = {"operator", "auditor"}
GRID: Final = {"grid_operator", *READERS}
WORK: Final = {"tenant", *READERS}
WHY: Final = {"reason": "because of a test"}
#: Who may use each route, and what a request to it carries. A route that is not here fails.
MATRIX: Final[dict[tuple[str, str], tuple[set[str], dict[str, Any] | None]]] = {
    ("POST", "/v1/work"): ({"tenant"}, dict(JOB)),
    ("GET", "/v1/work"): (WORK, None),
    ("GET", "/v1/work/{work_id}"): (WORK, None),
    ("GET", "/v1/work/{work_id}/explain"): (WORK, None),
    ("POST", "/v1/work/{work_id}/cancel"): ({"tenant"}, None),
    ("GET", "/v1/work/{work_id}/receipts"): (WORK, None),
    ("GET", "/v1/receipts"): (WORK, None),
    ("GET", "/v1/budget"): (WORK, None),
    ("GET", "/v1/status"): (READERS, None),
    ("GET", "/v1/schedule"): (READERS, None),
    ("GET", "/v1/changes"): (READERS, None),
    ("POST", "/v1/limits"): (
        {"operator"},
        {"point": "maasvlakte", "power_mw": 100.0, "end": "2025-06-03T18:00:00Z", **WHY},
    ),
    ("DELETE", "/v1/limits/{change_id}"): ({"operator"}, None),
    ("GET", "/v1/orders"): (READERS, None),
    ("GET", "/v1/offers"): (READERS, None),
    ("POST", "/v1/offers/{channel}/{offer_key}/accept"): ({"operator"}, WHY),
    ("POST", "/v1/offers/{channel}/{offer_key}/refuse"): ({"operator"}, WHY),
    ("POST", "/v1/overrides"): ({"operator"}, {"action": "pause", "work": "{work}", **WHY}),
    ("POST", "/v1/nodes/{node}/drain"): ({"operator"}, WHY),
    ("POST", "/v1/nodes/{node}/undrain"): ({"operator"}, WHY),
    ("GET", "/v1/alarms"): (READERS, None),
    ("GET", "/v1/grid/connections"): (GRID, None),
    ("GET", "/v1/grid/connections/{point}/schedule"): (GRID, None),
    ("GET", "/v1/grid/connections/{point}/telemetry"): (GRID, None),
    ("GET", "/v1/grid/connections/{point}/limits"): (GRID, None),
    ("GET", "/v1/grid/connections/{point}/activations"): (GRID, None),
    ("GET", "/v1/grid/connections/{point}/delivery"): (GRID, None),
    ("GET", "/v1/grid/channels/{channel}/messages"): (GRID, None),
    ("GET", "/v1/partner/contracts"): ({"energy_partner", "auditor"}, None),
    ("GET", "/v1/partner/data"): ({"energy_partner", "auditor"}, None),
    ("GET", "/v1/self"): (ALL, None),
    ("GET", "/v1/audit"): ({"auditor"}, None),
    ("GET", "/v1/audit/anchors"): ({"auditor"}, None),
    ("GET", "/v1/tokens"): ({"admin", "auditor"}, None),
    ("POST", "/v1/tokens"): ({"admin"}, {"label": "fresh", "role": "auditor"}),
    ("DELETE", "/v1/tokens/{token_id}"): ({"admin"}, None),
    ("GET", "/v1/openapi.json"): (ALL, None),
    ("GET", "/v1/events"): (READERS, None),
}
#: Routes that need no token.
OPEN: Final = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
#: Answered as long as the caller listens; a caller that may is tried in test_events.
ENDLESS: Final = ("GET", "/v1/events")


def routes(service: Service) -> dict[tuple[str, str], APIRoute]:
    """Every route of the application by method and path."""
    found = {}
    for route in service.app.routes:
        assert isinstance(route, APIRoute), (
            f"{route} is of another kind: it would not look at roles"
        )
        for method in route.methods:
            found[method, route.path] = route
    return found


def test_every_route_is_in_the_matrix(service: Service) -> None:
    assert set(routes(service)) == set(MATRIX) | OPEN


def test_every_route_with_the_matrix_tells_its_roles(service: Service) -> None:
    for spot, (allowed, _) in MATRIX.items():
        told = (routes(service)[spot].openapi_extra or {})["x-roles"]
        assert set(told) == allowed, spot


def filled(path: str, work: str) -> str:
    """A path with something in each of its places."""
    places = {
        "work_id": work,
        "change_id": "none",
        "channel": "afrr",
        "offer_key": "key-1",
        "node": "n1",
        "point": "maasvlakte",
        "token_id": "none",
    }
    return path.format(**places) + ("?tenant=delta-lab" if path == "/v1/budget" else "")


@pytest.mark.slow
def test_every_role_on_every_route(service: Service) -> None:
    work = service.submit()
    wrong = []
    for spot, (allowed, body) in MATRIX.items():
        method, path = spot
        given = None if body is None else {k: v.format(work=work) if isinstance(v, str) else v
                                           for k, v in body.items()}  # fmt: skip
        for role in (*ROLES, None):
            if role in allowed and spot == ENDLESS:
                continue
            answer = service.call(method, filled(path, work), role, json=given)
            right = 401 if role is None else 403
            good = answer.status_code not in {401, 403, 405, 422, 500} if role in allowed else (
                answer.status_code == right
            )  # fmt: skip
            if not good:
                wrong.append((method, path, role, answer.status_code, answer.text[:200]))
    assert wrong == []


def test_a_refusal_of_a_role_comes_before_anything_is_read(service: Service) -> None:
    """Who may not use a route does not learn what it would have taken."""
    for content in (b"{", b'{"unknown": 1}'):
        answer = service.post("/v1/limits", "tenant", content=content)
        assert answer.status_code == 403
        assert "problems" not in answer.json()
    assert service.post("/v1/limits", "tenant", key="").status_code == 403


def test_only_a_valid_token_opens(service: Service) -> None:
    good = service.secrets["tenant"]
    for header in ("", "Bearer", "Bearer ", "Basic " + good, "Bearer x", f"Bearer {good}x",
                   f"Bearer {good[:-1]}", "Bearer " + "é" * 20, f"Token {good}"):  # fmt: skip
        answer = service.get("/v1/self", headers={"Authorization": header.encode("latin-1")})
        assert answer.status_code == 401, header
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert service.get("/v1/self", "tenant").json()["party"] == "delta-lab"


def test_a_token_ends_at_its_instant_and_when_it_is_revoked(service: Service) -> None:
    short = service.token("auditor", expires_ns=NOW_NS + 10 * 10**9)
    assert service.get("/v1/self", secret=short).status_code == 200
    service.later(10.0)
    assert service.get("/v1/self", secret=short).status_code == 401

    made = service.post("/v1/tokens", "admin", json={"label": "guest", "role": "auditor"}).json()
    assert service.get("/v1/self", secret=made["secret"]).status_code == 200
    assert service.call("DELETE", f"/v1/tokens/{made['id']}", "admin").status_code == 200
    assert service.get("/v1/self", secret=made["secret"]).status_code == 401


def test_a_token_revoked_elsewhere_stops_within_seconds(service: Service) -> None:
    """Another process revokes it: what is remembered here has to age."""
    secret = service.token("auditor")
    assert service.get("/v1/self", secret=secret).status_code == 200
    token = next(one for one in service.store.tokens() if one.label == "auditor-")
    other = type(service.store).open(service.url)
    for one in service.store.tokens():
        if one.label == token.label:
            other.revoke_token(one.id, service.clock.now_ns(), "elsewhere")
    other.close()
    service.later(5.1)
    assert service.get("/v1/self", secret=secret).status_code == 401


def test_another_tenants_work_looks_like_none(serve: Callable[..., Service]) -> None:
    service = serve()
    mine = service.submit()
    rival = service.token("tenant", "open-dutch")
    service.store.put_receipts([WorkReceipt(mine, "delta-lab", "2025-06-03", {"gpu_s": 7}, NOW_NS)])
    for path in ("", "/explain", "/receipts"):
        theirs = service.get(f"/v1/work/{mine}{path}", secret=rival)
        none = service.get(f"/v1/work/{'0' * len(mine)}{path}", secret=rival)
        assert theirs.status_code == none.status_code == 404
        assert _without_ids(theirs.json()) == _without_ids(none.json())
    assert service.post(f"/v1/work/{mine}/cancel", secret=rival).status_code == 404
    assert service.get(f"/v1/work/{mine}", "tenant").json()["cancel_asked"] is None
    assert service.get("/v1/work", secret=rival).json()["items"] == []
    assert service.get("/v1/receipts", secret=rival).json()["items"] == []
    for path in ("/v1/work", "/v1/receipts", "/v1/budget"):
        assert service.get(f"{path}?tenant=delta-lab", secret=rival).status_code == 404
        assert service.get(f"{path}?tenant=no-such", secret=rival).status_code == 404
    assert service.get("/v1/budget", secret=rival).json()["spent"] == {}
    assert service.get("/v1/budget", "tenant").json()["spent"] == {"gpu_s": 7}


def _without_ids(body: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in body.items() if k not in {"instance", "request_id"}}


def test_the_same_key_of_two_tenants_is_two_jobs(service: Service) -> None:
    rival = service.token("tenant", "open-dutch")
    first = service.post("/v1/work", "tenant", key="same-key-1", json=JOB)
    second = service.post("/v1/work", secret=rival, key="same-key-1", json=JOB)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert second.json()["tenant"] == "open-dutch"


def test_operator_and_auditor_see_all_work(service: Service) -> None:
    mine = service.submit()
    service.later(1.0)
    other = service.submit(secret=service.token("tenant", "open-dutch"))
    for role in ("operator", "auditor"):
        rows = service.get("/v1/work", role).json()["items"]
        assert [row["id"] for row in rows] == [mine, other]
        rows = service.get("/v1/work?tenant=open-dutch", role).json()["items"]
        assert [row["id"] for row in rows] == [other]


def test_a_grid_operator_sees_its_own_channels_alone(service: Service) -> None:
    service.store.put_order(order("afrr", "ours"), b"raw")
    service.store.put_order(order("gopacs", "theirs"), b"raw")
    for channel in ("afrr", "gopacs"):
        service.store.put_message(Message(channel, "in", "m1", "Order", NOW_NS, b"<secret/>"))
    stedin = service.token("grid_operator", "stedin")
    for secret, key in ((service.secrets["grid_operator"], "ours"), (stedin, "theirs")):
        for path in ("limits", "activations"):
            rows = service.get(f"/v1/grid/connections/maasvlakte/{path}", secret=secret).json()
            assert [row["key"] for row in rows["items"]] == [key]
    own = service.get("/v1/grid/channels/afrr/messages", "grid_operator")
    assert [row["message_id"] for row in own.json()["items"]] == ["m1"]
    assert service.get("/v1/grid/channels/gopacs/messages", "grid_operator").status_code == 404
    assert service.get("/v1/grid/channels/none/messages", "grid_operator").status_code == 404
    nobody = service.token("grid_operator", "nobody")
    assert service.get("/v1/grid/connections", secret=nobody).json() == []
    for path in ("schedule", "telemetry", "limits", "activations", "delivery"):
        at = f"/v1/grid/connections/maasvlakte/{path}"
        assert service.get(at, secret=nobody).status_code == 404


def test_a_grid_operator_reads_what_was_published_of_its_connection(service: Service) -> None:
    now = {"power_mw": 181.5, "limit_mw": 200.0, "measured": True}
    secret = {"why": "an order of another party", "order": "gopacs:1"}
    points = {"maasvlakte": now | secret, "other": {"power_mw": 1.0}}
    service.store.publish("telemetry", {"maasvlakte": {"import_wh": 5}, "other": {}}, NOW_NS)
    service.store.publish("status", {"points": points}, NOW_NS)
    rows = [{"start": "x", "import_mw": 180.0}]
    service.store.publish("schedule", {"points": {"maasvlakte": rows, "other": rows}}, NOW_NS)
    proof = [{"source": "afrr", "key": "a"}, {"source": "gopacs", "key": "b"}]
    service.store.publish("delivery", {"points": {"maasvlakte": proof}}, NOW_NS)
    line = service.get("/v1/grid/connections", "grid_operator").json()[0]
    assert (line["power_mw"], line["limit_mw"]) == (181.5, 200.0)
    at = "/v1/grid/connections/maasvlakte"
    assert service.get(f"{at}/telemetry", "grid_operator").json()["body"] == {
        **now,
        "import_wh": 5,
    }
    assert service.get(f"{at}/schedule", "grid_operator").json()["periods"] == rows
    assert service.get(f"{at}/delivery", "grid_operator").json()["deliveries"] == proof[:1]


def test_an_energy_partner_sees_only_what_was_agreed(service: Service) -> None:
    status = {"points": {"maasvlakte": {"power_mw": 181.5, "limit_mw": 200.0}}, "tenants": {"a": 1}}
    service.store.publish("status", status, NOW_NS)
    service.store.publish("settlement", {"contracts": {"north-sea": {"mwh": 5}, "x": {}}}, NOW_NS)
    service.store.publish("schedule", {"points": {"maasvlakte": [{"import_mw": 1.0}]}}, NOW_NS)
    full = service.get("/v1/partner/data", "energy_partner").json()
    assert full["sites"] == [
        {"site": "maasvlakte", "power_mw": 181.5, "schedule": [{"import_mw": 1.0}]}
    ]
    row = service.get("/v1/partner/contracts", "energy_partner").json()[0]
    assert row["settlement"] == {"mwh": 5}
    assert row["terms"]["capacity_mw"] > 0
    shy = service.token("energy_partner", "shy-power")
    assert service.get("/v1/partner/data", secret=shy).json()["sites"] == []
    row = service.get("/v1/partner/contracts", secret=shy).json()[0]
    assert row["settlement"] is None
    assert row["terms"] is not None
    none = service.token("energy_partner", "no-power")
    assert service.get("/v1/partner/contracts", secret=none).json() == []
    gone = service.token("energy_partner", "never-named")
    assert service.get("/v1/partner/contracts", secret=gone).json() == []
    assert service.get("/v1/partner/data", secret=gone).json()["agreed"] == []


def test_the_parties_of_the_tests_are_those_of_the_factory() -> None:
    assert set(PARTIES) == {"tenant", "grid_operator", "energy_partner"}
