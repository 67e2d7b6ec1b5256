"""Handing in work: what is taken, what is refused and why, what a repeated request does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gigafactory.adapters.store.records import Offer, WorkChange, WorkReceipt, WorkState
from gigafactory.policy.rules import explain
from tests.web.service import JOB, NOW_NS, Service


def problems(answer: Any) -> dict[str, str]:
    """The problems of a refusal by field."""
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {row["field"]: row["why"] for row in answer.json()["problems"]}


def test_a_job_is_taken_with_what_its_owner_should_know(service: Service) -> None:
    answer = service.post("/v1/work", "tenant", json={**JOB, "accelerators": 16})
    body = answer.json()
    assert answer.status_code == 201
    assert (body["state"], body["pool"], body["nodes"], body["priority"]) == ("asked", "b200", 2, 3)
    # 16 B200, an hour: equivalents times the list price of research in the factory file
    chip = service.app.state.desk.catalogue["B200"]
    price = service.factory.finance.price_eur_per_gpu_h["research"].base
    assert body["cost_max_eur"] == pytest.approx(16 * chip.h100_equivalent * price, abs=0.01)
    kept = service.store.work(body["id"])
    assert kept is not None
    assert kept.body["script"] == JOB["script"]
    assert set(kept.body) == {
        *("job_class", "accelerators", "nodes", "walltime_s", "priority", "script", "name"),
        *("pool", "accelerators_min", "answer"),
    }


def test_every_problem_is_told_at_once(service: Service) -> None:
    found = problems(
        service.post(
            "/v1/work",
            "tenant",
            json={
                "job_class": "fine_tuning",
                "accelerators": 13,
                "accelerators_min": 20,
                "walltime_s": 36_000_000,
                "script": "true",
                "pool": "moon",
            },
        )
    )
    assert set(found) == {
        *("accelerators_min", "walltime_s", "script", "pool", "rule.dataset_missing"),
    }
    assert "b200, h200" in found["pool"]
    assert "720 h" in found["walltime_s"]


def test_what_cannot_be_read_is_told_field_by_field(service: Service) -> None:
    body = {"job_class": "mining", "accelerators": "8", "walltime_s": 1.5, "colour": "red"}
    found = problems(service.post("/v1/work", "tenant", json=body))
    assert set(found) == {"job_class", "accelerators", "walltime_s", "colour", "script"}
    assert found["script"] == "is missing"
    assert found["colour"] == "is not known here"


@pytest.mark.parametrize(
    ("changes", "rule", "fields"),
    [
        ({"data_class": "classified"}, "clearance_missing", {"tenant": "delta-lab"}),
        ({"data_class": "health"}, "review_missing", {"review": "privacy", "data_class": "health"}),
    ],
)
def test_a_refusal_names_the_rule_in_the_words_of_the_simulation(
    service: Service, changes: dict[str, Any], rule: str, fields: dict[str, Any]
) -> None:
    answer = service.post("/v1/work", "tenant", json={**JOB, **changes})
    project = "delta-lab-research"
    told = [r["why"] for r in answer.json()["problems"] if r["field"] == f"rule.{rule}"]
    assert explain(rule, project=project, **fields) in told


def test_a_job_that_could_never_run_is_refused(service: Service) -> None:
    most = service.get("/v1/budget", "tenant").json()["quota"][0]["most_accelerators"]
    project = {"job_class": "frontier_training", "walltime_s": 60}
    fits = {**JOB, **project, "accelerators": 32768}
    assert service.post("/v1/work", "tenant", json=fits).status_code == 201
    small = service.token("tenant", "polder-university")
    quota = service.get("/v1/budget", secret=small).json()["quota"]
    too_many = max(row["most_accelerators"] for row in quota) + 8
    found = problems(service.post("/v1/work", secret=small, json={**JOB, "accelerators": too_many}))
    assert "accelerators" in found
    assert most > 0
    odd = problems(service.post("/v1/work", "tenant", json={**JOB, "accelerators": 12}))
    assert "multiple of 8" in odd["accelerators"]


def test_priority_goes_down_but_not_up(service: Service) -> None:
    assert service.post("/v1/work", "tenant", json={**JOB, "priority": 0}).status_code == 201
    found = problems(service.post("/v1/work", "tenant", json={**JOB, "priority": 7}))
    assert "may only go lower" in found["priority"]


def test_the_same_key_gives_the_same_job(service: Service) -> None:
    first = service.post("/v1/work", "tenant", key="once-and-only", json=JOB)
    again = service.post("/v1/work", "tenant", key="once-and-only", json=JOB)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = service.post(
        "/v1/work", "tenant", key="once-and-only", json={**JOB, "accelerators": 16}
    )
    assert other.status_code == 409
    assert len(service.get("/v1/work", "tenant").json()["items"]) == 1
    for key in ("", "short", "with space", "x" * 201):
        answer = service.post("/v1/work", "tenant", key="", json=JOB,
                              headers={"Idempotency-Key": key} if key else {})  # fmt: skip
        assert answer.status_code == 400, key
        assert answer.json()["problems"][0]["field"] == "Idempotency-Key"


def test_a_job_is_cancelled_once(service: Service) -> None:
    work = service.submit()
    first = service.post(f"/v1/work/{work}/cancel", "tenant", key="cancel-it").json()
    service.later(5.0)
    again = service.post(f"/v1/work/{work}/cancel", "tenant", key="cancel-it").json()
    assert first["cancel_asked"] == again["cancel_asked"] is not None
    assert [one.id for one in service.store.cancels()] == [work]


def test_a_wait_is_explained_in_both_languages(service: Service) -> None:
    first = service.submit()
    service.later(1.0)
    work = service.submit(accelerators=64)
    lease = service.store.lead("controller", NOW_NS)
    assert lease is not None
    helped = [{"group": "missions", "accelerators": 512, "right": "its guaranteed share"}]
    change = WorkChange(
        work, WorkState.PLACED, NOW_NS, why="QUOTA:commercial",
        detail={"told": ["It was handed to the cluster."], "helped_first": helped},
    )  # fmt: skip
    service.store.note_work([change], lease)
    told = service.get(f"/v1/work/{work}/explain", "tenant").json()
    assert told["why_en"] == explain("wait_quota", "en", node="commercial", asked=64)
    assert told["why_nl"] == explain("wait_quota", "nl", node="commercial", asked=64)
    assert told["helped_first"] == helped
    assert told["told"] == ["It was handed to the cluster."]
    assert told["own_ahead"] == 1
    assert service.get(f"/v1/work/{first}/explain", "tenant").json()["own_ahead"] == 0
    lease.release()


def test_the_budget_adds_receipts_up_as_they_come(service: Service) -> None:
    work = service.submit()
    row = {"gpu_s": 3600, "revenue_micro_eur": 1_500_000, "energy_wh": 9000, "note": "x"}
    service.store.put_receipts([WorkReceipt(work, "delta-lab", "2025-06-01", row, NOW_NS)])
    spent = service.get("/v1/budget", "tenant").json()["spent"]
    assert spent == {"gpu_s": 3600, "revenue_micro_eur": 1_500_000, "energy_wh": 9000}
    service.store.put_receipts([WorkReceipt(work, "delta-lab", "2025-06-02", row, NOW_NS)])
    again = service.get("/v1/budget?tenant=delta-lab", "auditor").json()
    assert again["spent"]["gpu_s"] == 7200
    assert again["work"] == {"asked": 1}
    assert service.get("/v1/budget?tenant=none-such", "auditor").status_code == 404


def test_lists_go_by_pages_to_the_end(service: Service) -> None:
    made = []
    for _ in range(7):
        made.append(service.submit())
        service.later(1.0)
    seen: list[str] = []
    after = ""
    while True:
        page = service.get(f"/v1/work?limit=3{after}", "tenant").json()
        seen += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == made
    newest = service.get("/v1/work?limit=2&newest=true", "tenant").json()
    assert [row["id"] for row in newest["items"]] == made[:-3:-1]
    assert service.get("/v1/work?state=running", "tenant").json()["items"] == []
    for wrong in ("limit=0", "limit=1001", "limit=x", "state=flying", "after=%00"):
        assert service.get(f"/v1/work?{wrong}", "tenant").status_code == 422


def test_rules_are_those_of_the_day_it_is(service: Service) -> None:
    """A review that has run out counts no more (the factory file: 18 November 2026)."""
    secret = service.token("tenant", "toegepast")
    assert service.post("/v1/work", secret=secret, json=JOB).status_code == 201
    service.later((dt.date(2026, 11, 20) - dt.date(2025, 6, 3)).total_seconds())
    found = problems(service.post("/v1/work", secret=secret, json=JOB))
    assert set(found) == {"rule.review_expired"}


# --- what is written down ----------------------------------------------------------------------


def test_every_change_leaves_a_line_in_the_audit_trail(service: Service) -> None:
    start = service.store.audit_after(0)[-1].seq
    work = service.submit()
    why = {"reason": "because of a test"}
    limit = {"point": "maasvlakte", "power_mw": 100.0, "end": "2025-06-03T18:00:00Z", **why}
    service.post(f"/v1/work/{work}/cancel", "tenant")
    made = service.post("/v1/limits", "operator", json=limit)
    assert made.status_code == 202, made.text
    service.call("DELETE", f"/v1/limits/{made.json()['id']}", "operator")
    service.store.put_offer(
        Offer("gopacs", "k1", "stedin", "maasvlakte", NOW_NS, NOW_NS + 1, NOW_NS, {}, NOW_NS)
    )
    service.post("/v1/offers/gopacs/k1/accept", "operator", json=why)
    service.post("/v1/offers/gopacs/k1/refuse", "operator", json=why)
    service.post("/v1/overrides", "operator", json={"action": "pause", "work": work, **why})
    service.post("/v1/nodes/n1/drain", "operator", json=why)
    service.post("/v1/nodes/n1/undrain", "operator", json=why)
    token = service.post("/v1/tokens", "admin", json={"label": "t-1", "role": "auditor"}).json()
    service.call("DELETE", f"/v1/tokens/{token['id']}", "admin")
    service.post("/v1/limits", "tenant", json=limit)
    service.post("/v1/work", "tenant", json={**JOB, "data_class": "classified"})
    rows = service.get(f"/v1/audit?after={start}", "auditor").json()["items"]
    assert [(row["role"], row["outcome"]) for row in rows] == [
        ("tenant", "accepted"),
        ("tenant", "accepted"),
        *[("operator", "accepted")] * 7,
        ("admin", "accepted"),
        ("admin", "accepted"),
        ("tenant", "refused"),
        ("tenant", "refused"),
    ]
    assert [row["seq"] for row in rows] == list(range(start + 1, start + 14))
    assert service.store.verify_audit() == []
    kinds = {one.kind for one in service.store.requests()}
    assert kinds == {
        *("limit", "withdraw_limit", "accept_offer", "refuse_offer", "override", "drain"),
        "undrain",
    }


def test_an_operators_change_is_made_once(service: Service) -> None:
    body = {"point": "maasvlakte", "power_mw": 100.0, "end": "2025-06-03T18:00:00Z",
            "reason": "work on a transformer"}  # fmt: skip
    first = service.post("/v1/limits", "operator", key="limit-one", json=body)
    again = service.post("/v1/limits", "operator", key="limit-one", json=body)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    other = service.post("/v1/limits", "operator", key="limit-one", json={**body, "power_mw": 9.0})
    assert other.status_code == 409
    late = {**body, "end": "2025-06-03T11:00:00Z", "point": "moon"}
    found = problems(service.post("/v1/limits", "operator", json=late))
    assert set(found) == {"end", "point"}
    bare = {**body, "end": "2025-06-03T18:00:00"}
    assert "zone" in problems(service.post("/v1/limits", "operator", json=bare))["end"]


def test_a_token_is_made_once_and_its_secret_shown_once(service: Service) -> None:
    asked = {"label": "desk", "role": "tenant", "party": "open-dutch"}
    first = service.post("/v1/tokens", "admin", key="make-it-1", json=asked)
    again = service.post("/v1/tokens", "admin", key="make-it-1", json=asked)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["secret"]
    assert again.json()["secret"] is None
    assert first.json()["id"] == again.json()["id"]
    other = {**asked, "party": "delta-lab"}
    assert service.post("/v1/tokens", "admin", json=other).status_code == 409
    found = problems(service.post("/v1/tokens", "admin", json={**asked, "party": "nobody"}))
    assert "is not known as tenant" in found["party"]
    rows = service.get("/v1/tokens", "auditor").json()
    assert "secret" not in rows[0]
    assert first.json()["secret"] not in service.get("/v1/audit", "auditor").text
    assert service.call("DELETE", "/v1/tokens/none", "admin").status_code == 404


def test_what_an_operator_decides_on_must_be_there(service: Service) -> None:
    why = {"reason": "because of a test"}
    drained = service.post("/v1/nodes/n1/drain", "operator", json=why).json()["id"]
    for method, path in (
        ("POST", "/v1/offers/gopacs/none/accept"),
        ("POST", "/v1/offers/gopacs/none/refuse"),
        ("DELETE", "/v1/limits/0123456789ABCDEFGHJKMNPQRS"),
        ("DELETE", f"/v1/limits/{drained}"),
    ):
        given = {"json": why} if method == "POST" else {}
        assert service.call(method, path, "operator", **given).status_code == 404, path
    assert [one.kind for one in service.store.requests()] == ["drain"]


def test_a_repeated_submission_is_answered_as_before_though_a_rule_has_changed(
    service: Service,
) -> None:
    secret = service.token("tenant", "toegepast")
    first = service.post("/v1/work", secret=secret, key="the-same-key", json=JOB)
    service.later((dt.date(2026, 11, 20) - dt.date(2025, 6, 3)).total_seconds())
    again = service.post("/v1/work", secret=secret, key="the-same-key", json=JOB)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    other = {**JOB, "data_class": "internal"}
    answer = service.post("/v1/work", secret=secret, key="the-same-key", json=other)
    assert answer.status_code == 409, answer.text


def test_who_waits_reads_who_was_helped_first_but_not_whose_it_was(service: Service) -> None:
    work = service.submit()
    asked_ns = service.clock.now_ns()
    pool = service.get(f"/v1/work/{work}", "tenant").json()["pool"]

    def start(key: str, tenant: str, after_s: int, submit_s: int) -> dict[str, object]:
        return {"at_ns": asked_ns + after_s * 10**9, "key": key, "tenant": tenant,
                "job_class": "research", "priority": 3, "accelerators": 16,
                "submit_ns": asked_ns + submit_s * 10**9, "restarts": 0}  # fmt: skip

    rows = [
        start("before", "open-dutch", -5, -50),
        start("a", "open-dutch", 5, -50),
        start("b", "polder-university", 6, 3),
        start("c", "delta-lab", 7, -1),
        start(work, "delta-lab", 8, 0),
    ]
    service.store.publish("starts", {"pools": {pool: rows}}, asked_ns)
    answer = service.get(f"/v1/work/{work}/explain", "tenant")
    common = {"job_class": "research", "priority": 3}
    assert answer.json()["helped_first"] == [
        {"own": False, **common, "jobs": 2, "accelerators": 32, "asked_earlier": 1,
         "last": "2025-06-03T12:00:06.000Z"},
        {"own": True, **common, "jobs": 1, "accelerators": 16, "asked_earlier": 1,
         "last": "2025-06-03T12:00:07.000Z"},
    ]  # fmt: skip
    assert "dutch" not in answer.text
    assert "polder" not in answer.text


def test_a_schedule_does_not_say_whose_order_it_is_to_another_party(service: Service) -> None:
    row = {"start": "s", "end": "e", "import_mw": 1.0, "limit_mw": 2.0,
           "why": "limit of gopacs", "source": "gopacs"}  # fmt: skip
    service.store.publish("schedule", {"points": {"maasvlakte": [row]}}, NOW_NS)
    path = "/v1/grid/connections/maasvlakte/schedule"
    tennet = service.get(path, "grid_operator").json()["periods"]
    stedin = service.get(path, secret=service.token("grid_operator", "stedin")).json()["periods"]
    assert stedin == service.get(path, "operator").json()["periods"] == [row]
    assert tennet == [{**row, "why": "another order", "source": ""}]
    sites = service.get("/v1/partner/data", "energy_partner").json()["sites"]
    assert sites[0]["schedule"] == [{"start": "s", "end": "e", "import_mw": 1.0}]
