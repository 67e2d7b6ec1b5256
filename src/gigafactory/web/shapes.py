"""What is taken and what is given, as the OpenAPI page tells it.

What comes in is read by these models, and an unknown field is an error. What goes out is made of
plain values and is not read a second time: the tests hold it to these models instead.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gigafactory.factory.access import DataClass, Residency
from gigafactory.web.shown import instant_of

_INSTANT = "2026-11-28T12:00:00.000Z"


def _instant(text: str) -> str:
    if instant_of(text) is None:
        told = "must be an instant with its zone, such as 2026-11-28T12:00:00Z"
        raise PydanticCustomError("instant", told)
    return text


def _plain(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("text", "holds a byte 0; it must be text")
    return text


Instant = Annotated[
    str, AfterValidator(_instant), Field(max_length=40, json_schema_extra={"format": "date-time"})
]
PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
NameOrNone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
Reason = Annotated[
    str, AfterValidator(_plain), StringConstraints(min_length=3, max_length=500, pattern=r"\S")
]


class Taken(BaseModel):
    """What comes in: an unknown field is an error, and no value is bent to another kind."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Given(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid")


Item = TypeVar("Item")


class Page(Given, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


# --- problems -----------------------------------------------------------------------------------


class ProblemRow(Given):
    """One thing that is wrong."""

    field: str = Field(description="Which field, as a dotted path; `rule.<name>` for a rule.")
    value: str = Field(description="What was given.")
    why: str = Field(description="What is wrong with it, and what would be right.")


class ProblemBody(Given):
    """Why a request was not carried out (RFC 9457)."""

    type: str = Field(examples=["urn:gigafactory:problem:refused"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    request_id: str = Field(description="Quote it when you ask about this.")
    problems: list[ProblemRow] = Field([], description="Every problem found, not only the first.")


# --- work ---------------------------------------------------------------------------------------


class Submission(Taken):
    """A job to hand in."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "adapt-ward-notes",
                    "job_class": "research",
                    "accelerators": 8,
                    "walltime_s": 7200,
                    "script": "#!/bin/sh\nsrun ./train.sh\n",
                }
            ]
        },
    )

    job_class: Literal["frontier_training", "research", "fine_tuning", "inference_batch"] = Field(
        description="Class of work; it decides priority, price and who is paused first."
    )
    accelerators: int = Field(
        ge=1, le=10_000_000, description="Asked for, all at once; whole nodes above one node."
    )
    walltime_s: int = Field(
        ge=1, le=400_000_000, description="Longest it may run, s; it is ended then."
    )
    script: str = Field(description="Shell script that it runs, first line `#!`.", min_length=3)
    name: Annotated[str, AfterValidator(_plain)] = Field(
        "", max_length=100, description="What you call it."
    )
    project: NameOrNone = Field(
        "", description="Project it belongs to; empty for your first one of this class."
    )
    pool: NameOrNone = Field("", description="Pool it must run on; empty for the first that fits.")
    accelerators_min: int = Field(
        0, ge=0, le=10_000_000, description="Fewest it can run on; 0 where it needs all."
    )
    priority: int | None = Field(
        None, ge=0, le=7, description="0 to 7, at most that of its class; null for its class's."
    )
    data_class: DataClass | None = Field(
        None, description="Most sensitive data it works on; null for its project's."
    )
    residency: Residency | None = Field(
        None, description="Where its data must stay; null for its project's."
    )


WorkStateLabel = Literal[
    "asked",
    "placed",
    "running",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "timed_out",
    "refused",
]


class WorkView(Given):
    """A piece of work."""

    id: str
    tenant: str
    state: WorkStateLabel
    name: str | None
    job_class: str | None
    accelerators: int | None
    accelerators_min: int | None
    nodes: int | None
    walltime_s: float | None
    priority: int | None
    pool: str | None
    job: str = Field(description="The workload manager's name for it; empty before it is placed.")
    why: str = Field(description="Why it waits, or why it ended so.")
    asked: str = Field(examples=[_INSTANT])
    asked_by: str
    changed: str
    started: str | None
    ended: str | None
    cancel_asked: str | None


class WorkMade(WorkView):
    """A piece of work that was handed in."""

    told: list[str] = Field(description="What the rules have to say beside letting it in.")
    cost_max_eur: float = Field(
        description="Price at list prices and your discount if it takes all its walltime, EUR."
    )


class Explanation(Given):
    """Why a piece of work is where it is."""

    id: str
    state: WorkStateLabel
    why_en: str
    why_nl: str
    told: list[str] = Field(description="What happened to it, in order, in sentences.")
    helped_first: list[dict[str, Any]] = Field(
        description="Who was helped first: what each got and by which right, without names of "
        "other tenants."
    )
    own_ahead: int = Field(description="Own work that waits before it; 50 stands for 50 or more.")


class ReceiptView(Given):
    """What a piece of work took in a day, from the sealed ledger."""

    seq: int
    work: str
    tenant: str
    day: str
    amounts: dict[str, Any] = Field(
        description="Integers; the unit is the last part of each name (micro_eur, wh, mg, ml)."
    )
    written: str


class QuotaRow(Given):
    """What a tenant has in a pool."""

    pool: str
    chip: str
    node_size: int
    own_accelerators: int
    group: str
    group_accelerators: int
    most_accelerators: int = Field(description="Most it may hold, by caps and shares of others.")


class ProjectRow(Given):
    """A project of a tenant."""

    project: str
    job_class: str
    data_class: str
    budget_gpu_h: float | None = Field(description="Granted; null for no limit.")
    starts: str | None
    ends: str | None


class Budget(Given):
    """What a tenant has, holds and has spent."""

    tenant: str
    quota: list[QuotaRow]
    projects: list[ProjectRow]
    held_accelerators: int = Field(description="By running work now.")
    work: dict[str, int] = Field(description="Pieces of work by state.")
    spent: dict[str, int] = Field(description="Sum over all receipts, in the ledger's units.")
    spent_until_seq: int = Field(description="The last receipt in the sum.")
    price_eur_per_gpu_h: dict[str, float] = Field(
        description="List price per H100-equivalent accelerator-hour, less your discount, by class."
    )


# --- operator -----------------------------------------------------------------------------------


class PublishedView(Given):
    """What was last published of a kind."""

    kind: str
    at: str | None = Field(description="When; null when nothing was ever published.")
    age_s: float | None
    body: dict[str, Any]


class LimitAsk(Taken):
    """A lower limit of power, set by the operator."""

    point: PlainName = Field(description="Connection, as the site is named.")
    power_mw: float = Field(ge=0, le=100_000, description="Import at most, MW.")
    start: Instant | None = Field(None, description="From; null for at once.", examples=[_INSTANT])
    end: Instant = Field(description="Until.", examples=["2026-11-28T18:00:00.000Z"])
    reason: Reason = Field(description="Why.", examples=["Work on transformer 2"])


class Why(Taken):
    """A reason, in words."""

    reason: Reason = Field(description="Why.", examples=["Fits the plan of tomorrow"])


class OverrideAsk(Taken):
    """A decision of the operator in place of the controller's."""

    action: Literal["pause", "resume", "requeue", "cancel", "hold", "release"]
    work: PlainName = Field(description="The piece of work.")
    reason: Reason = Field(description="Why; the tenant reads it.")


class RequestView(Given):
    """A change that was asked for; the controller carries it out and says what became of it."""

    id: str
    kind: str
    target: str
    body: dict[str, Any]
    reason: str
    by: str
    asked: str
    state: Literal["asked", "done", "refused"]
    outcome: str
    settled: str | None


class OrderView(Given):
    """A grid order."""

    seq: int
    key: str
    source: str
    kind: str
    point: str
    power_mw: float
    issued: str
    received: str
    start: str
    end: str
    replaces: str
    verdict: Literal["waiting", "taken", "refused"]
    why: str
    judged: str | None


class OfferView(Given):
    """A request for flexibility and our offer on it."""

    id: str
    channel: str
    party: str
    point: str
    start: str
    end: str
    expires: str
    state: Literal["requested", "offered", "accepted", "refused", "expired", "withdrawn", "settled"]
    why: str
    body: dict[str, Any]
    came: str
    changed: str


class AlarmView(Given):
    """Something a person should know."""

    id: str
    kind: str
    about: str
    text: str
    raised: str
    last: str
    times: int
    cleared: str | None


# --- grid operator and energy partner -----------------------------------------------------------


class ConnectionView(Given):
    """A connection of a grid operator."""

    point: str
    voltage_kv: float
    capacity_mva: float
    firm_mw: float
    export_mw: float
    power_mw: float | None = Field(description="Metered now, import positive; null if unknown.")
    limit_mw: float | None = Field(description="Limit in force; null when unknown.")
    at: str | None


class ScheduleView(Given):
    """The planned import of a connection."""

    point: str
    at: str | None
    periods: list[dict[str, Any]]


class DeliveryView(Given):
    """What was asked and what was metered, per order."""

    point: str
    at: str | None
    deliveries: list[dict[str, Any]]


class MessageView(Given):
    """A protocol message."""

    seq: int
    channel: str
    direction: str
    message_id: str
    kind: str
    conversation: str
    at: str
    state: str
    body_base64: str


class ContractView(Given):
    """A contract of an energy partner, as far as it was agreed to be shared."""

    name: str
    site: str | None
    terms: dict[str, Any] | None
    settlement: dict[str, Any] | None


class PartnerData(Given):
    """The data agreed with an energy partner, by site."""

    agreed: list[str]
    at: str | None
    sites: list[dict[str, Any]]


# --- auditor, admin, health ---------------------------------------------------------------------


class AuditView(Given):
    """A line of the audit trail."""

    seq: int
    at: str
    who: str
    role: str
    action: str
    target: str
    outcome: str
    detail: dict[str, Any]
    hash: str = Field(description="SHA-256 over the hash before and this line.")


class AnchorView(Given):
    """The end of the audit trail's chain on a day, to be kept elsewhere."""

    day: str
    seq: int
    hash: str
    line: str


class TokenAsk(Taken):
    """A token to make."""

    label: PlainName = Field(description="What it is for; unique among those in use.")
    role: Literal["tenant", "operator", "grid_operator", "energy_partner", "auditor", "admin"]
    party: NameOrNone = Field(
        "", description="Tenant, grid operator or energy partner; empty for the other roles."
    )
    expires: Instant | None = Field(None, description="Until when; null for no end.")


class TokenView(Given):
    """A token, without its secret."""

    id: str
    label: str
    role: str
    party: str
    created: str
    expires: str | None
    revoked: str | None
    used: str | None


class TokenMade(TokenView):
    """A token that was made."""

    secret: str | None = Field(
        description="Shown once. Null when this is the answer to a repeated request."
    )


class Self(Given):
    """Who is asking."""

    name: str
    role: str
    party: str


class Health(Given):
    """Whether the service answers, or is ready."""

    status: Literal["ok", "not ready"]
    why: list[str] = Field([], description="Why it is not ready.")
