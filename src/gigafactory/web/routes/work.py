"""Work: what a tenant hands in, watches, has explained, cancels and pays for."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from starlette.responses import Response

from gigafactory.adapters.store import KeyConflict
from gigafactory.adapters.store.records import Asked, Role, Work, WorkState
from gigafactory.engine.errors import Problem
from gigafactory.policy.rules import explain, rules
from gigafactory.units import NS_PER_S
from gigafactory.web import shown
from gigafactory.web.admission import ANSWER, digest
from gigafactory.web.desk import STARTS, Desk
from gigafactory.web.problems import Refusal, not_found
from gigafactory.web.routes.common import (
    CHANGE,
    PAGE,
    PAGE_MAX,
    AfterId,
    AfterSeq,
    Key,
    Limit,
    admission_of,
    desk_of,
    open_to,
    reply,
    router,
    who_of,
)
from gigafactory.web.shapes import (
    Budget,
    Explanation,
    Page,
    ReceiptView,
    Submission,
    WorkMade,
    WorkStateLabel,
    WorkView,
)

work_router = router("work")

_EVERY: Final = "/work"
_ONE: Final = _EVERY + "/{work_id}"

WorkId = Annotated[
    str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$", description="Its id, as `id` gives it.")
]
OfTenant = Annotated[
    str | None,
    Query(max_length=64, description="Of this tenant only; a tenant always gets its own."),
]
#: `NODES`, or `QUOTA:missions`: the scheduler's reason and the share or cap it means.
_WHY: Final = re.compile(r"([A-Za-z_]+)(?::(.*))?")
#: Own work that is looked at to say how much waits before a piece of it.
_AHEAD: Final = 50
_WAITING: Final = (WorkState.ASKED, WorkState.PLACED)


def _tenant(request: Request, asked: str | None) -> str | None:
    """Whose work a caller may see: its own, or (None) everybody's."""
    who = who_of(request)
    if who.role != Role.TENANT:
        return asked
    if asked not in {None, who.party}:
        raise not_found("tenant")
    return who.party


def _work(request: Request, work_id: str) -> Work:
    """A piece of work that the caller may see.

    Another tenant's is asked for with the same query as one that does not exist, so that neither
    the answer nor the time it takes tells them apart.
    """
    found = desk_of(request).store.work(work_id, _tenant(request, None))
    if found is None:
        raise not_found("work")
    return found


@work_router.post(
    _EVERY,
    status_code=201,
    response_model=WorkMade,
    summary="Hand in a job",
    **open_to("tenant", errors=(409, 413), again=WorkMade),
)
def submit(request: Request, key: Key, asked: Submission) -> Response:
    """Hand in a job. It is judged by the rules of access, and every reason against it is told.

    What is let in is kept, and starts when the scheduler finds room for it.
    """
    desk, who = desk_of(request), who_of(request)
    before = desk.store.work_by_key(who.party, key)
    if before is not None and isinstance(before.body.get(ANSWER), Mapping):
        return _repeated(before, key, asked)
    now_ns = desk.now_ns()
    on = dt.datetime.fromtimestamp(now_ns / NS_PER_S, dt.UTC).date()
    admitted = admission_of(request).consider(who.party, asked, on)
    if isinstance(admitted, list):
        rules_broken = [one.field for one in admitted if one.field.startswith("rule.")]
        if rules_broken:
            desk.audit(who, "submit", asked.name, "refused", {"rules": rules_broken})
        raise Refusal(422, "The job cannot be taken.", problems=admitted)
    work, fresh = desk.store.submit(
        Asked(who.party, key, admitted.body, who.name, now_ns, Role.TENANT)
    )
    more = {"told": list(admitted.told), "cost_max_eur": admitted.cost_max_eur}
    return reply(shown.work(work) | more, 201 if fresh else 200)


def _repeated(before: Work, key: str, asked: Submission) -> Response:
    """The answer given before: the rules may have changed, what was promised has not.

    Raises:
        KeyConflict: the key came with another job.
    """
    answer = before.body[ANSWER]
    if answer["asked"] != digest(asked):
        raise KeyConflict(key, before)
    more = {"told": list(answer["told"]), "cost_max_eur": answer["cost_max_eur"]}
    return reply(shown.work(before) | more, 200)


@work_router.get(
    _EVERY,
    response_model=Page[WorkView],
    summary="List work",
    **open_to("tenant", "operator", "auditor", errors=(404,)),
)
def list_work(
    request: Request,
    tenant: OfTenant = None,
    state: Annotated[list[WorkStateLabel], Query(description="In these states only.")] = [],  # noqa: B006
    after: AfterId = None,
    limit: Limit = PAGE,
    newest: Annotated[bool, Query(description="Newest first.")] = False,
) -> Response:
    """Work by pages, in order of arrival. A tenant gets its own, whatever it asks."""
    states = [WorkState(one) for one in state] or None
    rows = desk_of(request).store.list_work(
        _tenant(request, tenant), states, after, limit, newest_first=newest, scripts=False
    )
    return reply(shown.page(rows, limit, shown.work, rows[-1].id if rows else None))


@work_router.get(
    _ONE,
    response_model=WorkView,
    summary="One piece of work",
    **open_to("tenant", "operator", "auditor", errors=(404,)),
)
def one_work(request: Request, work_id: WorkId) -> Response:
    """Where it stands, and why."""
    return reply(shown.work(_work(request, work_id)))


@work_router.get(
    _ONE + "/explain",
    response_model=Explanation,
    summary="Why it waits, or what happened to it",
    **open_to("tenant", "operator", "auditor", errors=(404,)),
)
def explain_work(request: Request, work_id: WorkId) -> Response:
    """Why it waits, what happened to it and who was helped first, in words."""
    work = _work(request, work_id)
    english, dutch = (why_text(work, lang) for lang in ("en", "nl"))
    ahead = 0
    if work.state in _WAITING:
        store = desk_of(request).store
        before = store.list_work(
            work.tenant, _WAITING, work.id, _AHEAD, newest_first=True, scripts=False
        )
        ahead = len(before)
    told = work.detail.get("told", [])
    helped = work.detail.get("helped_first")
    if helped is None:
        helped = helped_first(work, desk_of(request).part(STARTS, "pools", _pool(work)))
    return reply(
        {
            "id": work.id,
            "state": str(work.state),
            "why_en": english,
            "why_nl": dutch,
            "told": [str(one) for one in told] if isinstance(told, list | tuple) else [],
            "helped_first": [dict(one) for one in helped if isinstance(one, Mapping)],
            "own_ahead": ahead,
        }
    )


def _pool(work: Work) -> str:
    return str(work.body.get("pool", ""))


def helped_first(work: Work, starts: Any) -> list[dict[str, Any]]:
    """Who was started in its pool while it waited, by class and priority.

    Whose work it was is said of one's own only: what others run is theirs to tell.

    Args:
        work: the one that waited.
        starts: the latest starts of its pool, as the controller publishes them.
    """
    until = work.start_ns or work.end_ns or None
    found: dict[tuple[bool, str, int], dict[str, Any]] = {}
    for row in starts if isinstance(starts, list | tuple) else ():
        at_ns = row["at_ns"]
        if row["key"] == work.id or at_ns < work.asked_ns or (until and at_ns > until):
            continue
        own = row["tenant"] == work.tenant
        group = found.setdefault(
            (own, row["job_class"], row["priority"]),
            {
                "own": own,
                "job_class": row["job_class"],
                "priority": row["priority"],
                "jobs": 0,
                "accelerators": 0,
                "asked_earlier": 0,
            },
        )
        group["jobs"] += 1
        group["accelerators"] += row["accelerators"]
        group["asked_earlier"] += row["submit_ns"] < work.asked_ns
        group["last"] = shown.stamp(at_ns)
    return [found[name] for name in sorted(found, key=lambda n: (-n[2], n[1], n[0]))]


#: What is said of work that no rule or scheduler has said anything of.
_STATE_TEXT: Final = {
    WorkState.ASKED: (
        "It has been taken and waits to be handed to the cluster.",
        "De taak is aangenomen en wacht tot ze aan het cluster wordt doorgegeven.",
    ),
    WorkState.PLACED: ("It waits for its turn.", "De taak wacht op haar beurt."),
    WorkState.RUNNING: ("It is running.", "De taak loopt."),
    WorkState.PAUSED: ("It is paused.", "De taak is gepauzeerd."),
    WorkState.COMPLETED: ("It has completed.", "De taak is voltooid."),
    WorkState.FAILED: ("It has failed.", "De taak is mislukt."),
    WorkState.CANCELLED: ("It was cancelled.", "De taak is geannuleerd."),
    WorkState.TIMED_OUT: (
        "It reached its walltime and was ended.",
        "De taak bereikte haar tijdslimiet en is beëindigd.",
    ),
    WorkState.REFUSED: ("It was refused.", "De taak is geweigerd."),
}


def why_text(work: Work, lang: str) -> str:
    """Why a piece of work is where it is, as a sentence."""
    found = _WHY.fullmatch(work.why)
    rule = f"wait_{found[1].lower()}" if found else ""
    if found and rule in rules():
        node = found[2] or work.tenant
        fields = {"node": node, "asked": work.body.get("accelerators", 0)}
        return explain(rule, lang, **fields)
    return work.why or _STATE_TEXT[work.state][lang == "nl"]


@work_router.post(
    _ONE + "/cancel",
    response_model=WorkView,
    summary="Cancel a piece of work",
    **open_to("tenant", errors=CHANGE),
)
def cancel(request: Request, work_id: WorkId, key: Key) -> Response:
    """Ask for its end. Work that has ended stays as it is; asking twice changes nothing more."""
    desk, who = desk_of(request), who_of(request)
    work = desk.store.ask_cancel(
        work_id, who.party, key, who.name, desk.now_ns(), role=Role(who.role)
    )
    if work is None:
        raise not_found("work")
    return reply(shown.work(work))


@work_router.get(
    _ONE + "/receipts",
    response_model=Page[ReceiptView],
    summary="What a piece of work took",
    **open_to("tenant", "operator", "auditor", errors=(404,)),
)
def work_receipts(
    request: Request, work_id: WorkId, after: AfterSeq = 0, limit: Limit = PAGE
) -> Response:
    """Its receipts, one a day, from the sealed ledger."""
    work = _work(request, work_id)
    rows = desk_of(request).store.receipts(work.tenant, work.id, after, limit)
    return reply(shown.page(rows, limit, shown.receipt, str(rows[-1].seq) if rows else None))


@work_router.get(
    "/receipts",
    response_model=Page[ReceiptView],
    summary="List receipts",
    **open_to("tenant", "operator", "auditor", errors=(404,)),
)
def receipts(
    request: Request, tenant: OfTenant = None, after: AfterSeq = 0, limit: Limit = PAGE
) -> Response:
    """Receipts by pages, in order of writing. A tenant gets its own."""
    rows = desk_of(request).store.receipts(_tenant(request, tenant), None, after, limit)
    return reply(shown.page(rows, limit, shown.receipt, str(rows[-1].seq) if rows else None))


class Sums:
    """What each tenant's receipts add up to. Receipts are only ever added, so a sum only grows."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, dict[str, int]]] = {}
        self._lock = threading.Lock()

    def spent(self, desk: Desk, tenant: str) -> tuple[int, dict[str, int]]:
        """The last receipt in the sum, and the sum by name of the amount."""
        with self._lock:
            last, sums = self._of.get(tenant, (0, {}))
        sums = dict(sums)
        while True:
            rows = desk.store.receipts(tenant, None, last, PAGE_MAX)
            for row in rows:
                for name, amount in row.body.items():
                    if isinstance(amount, int) and not isinstance(amount, bool):
                        sums[name] = sums.get(name, 0) + amount
                last = row.seq
            if len(rows) < PAGE_MAX:
                break
        with self._lock:
            self._of[tenant] = (last, sums)
        return last, sums


@work_router.get(
    "/budget",
    response_model=Budget,
    summary="Quota, use and cost of a tenant",
    **open_to("tenant", "operator", "auditor", errors=(404,)),
)
def budget(request: Request, tenant: OfTenant = None) -> Response:
    """What a tenant has of its own, what it holds now, and what its receipts add up to."""
    desk, admission = desk_of(request), admission_of(request)
    name = _tenant(request, tenant)
    if name is None:
        raise Refusal(422, problems=[Problem("query", "tenant", "", "is missing; name one")])
    known = next((one for one in desk.factory.tenants if one.name == name), None)
    if known is None:
        raise not_found("tenant")
    sums: Sums = request.app.state.sums
    last, spent = sums.spent(desk, name)
    prices = desk.factory.finance.price_eur_per_gpu_h
    body: dict[str, Any] = {
        "tenant": name,
        "quota": admission.quota(name),
        "projects": admission.projects(name),
        "held_accelerators": _held(desk, name),
        "work": {str(state): n for state, n in sorted(desk.store.count_work(name).items())},
        "spent": spent,
        "spent_until_seq": last,
        "price_eur_per_gpu_h": {
            label: round(price.base * (1.0 - known.discount_fraction), 6)
            for label, price in prices.items()
        },
    }
    return reply(body)


def _held(desk: Desk, tenant: str) -> int:
    """Accelerators that a tenant's running work holds."""
    held, after = 0, None
    while True:
        rows = desk.store.list_work(tenant, (WorkState.RUNNING,), after, PAGE_MAX, scripts=False)
        held += sum(int(row.body.get("accelerators", 0)) for row in rows)
        if len(rows) < PAGE_MAX:
            return held
        after = rows[-1].id
