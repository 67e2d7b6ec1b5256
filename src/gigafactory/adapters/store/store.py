"""Signatures first; the bodies follow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from gigafactory.adapters.store.records import (
    Alarm,
    Anchor,
    Asked,
    AuditRow,
    Body,
    KeptOrder,
    Message,
    Offer,
    OfferState,
    Request,
    RequestState,
    Role,
    Swept,
    Token,
    Verdict,
    Work,
    WorkChange,
    WorkReceipt,
    WorkState,
)
from gigafactory.engine.errors import Problem
from gigafactory.grid.ports import GridOrder


class Lease(Protocol):
    name: str
    epoch: int
    holder: str

    def held(self) -> bool: ...
    def release(self) -> None: ...


class Store:
    """The service's store. Thread-safe; one per process. Any method may raise StoreTrouble."""

    @classmethod
    def open(cls, url: str, *, limit_s: float = 3.0) -> Store: ...
    def close(self) -> None: ...
    def ping(self) -> None: ...  # raises StoreTrouble; for readiness

    # work; submit, ask_cancel, put_request, add_token and revoke_token write their own audit row
    # in the same transaction
    def submit(self, asked: Asked) -> tuple[Work, bool]: ...
    def work(self, id: str, tenant: str | None = None) -> Work | None: ...
    def list_work(
        self,
        tenant: str | None = None,
        states: Collection[WorkState] | None = None,
        after: str | None = None,
        limit: int = 100,
        *,
        newest_first: bool = False,
    ) -> list[Work]: ...
    def ask_cancel(
        self, id: str, tenant: str | None, key: str, by: str, at_ns: int, *, role: str = Role.TENANT
    ) -> Work | None: ...
    def unplaced(self, limit: int = 1000) -> list[Work]: ...
    def cancels(self, limit: int = 1000) -> list[Work]: ...
    def note_work(self, changes: Sequence[WorkChange], lease: Lease) -> None: ...
    def count_work(self, tenant: str | None = None) -> dict[WorkState, int]: ...

    # grid
    def put_order(self, order: GridOrder, body: bytes = b"") -> bool: ...
    def orders_after(self, seq: int, limit: int = 1000) -> list[tuple[int, GridOrder]]: ...
    def judge_order(
        self, source: str, key: str, verdict: Verdict, why: str, at_ns: int, lease: Lease
    ) -> None: ...
    def orders(
        self,
        now_ns: int | None = None,
        *,
        source: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[KeptOrder]: ...  # now_ns: only those in force or to come
    def put_message(self, message: Message) -> tuple[Message, bool]: ...
    def message(self, channel: str, direction: str, message_id: str) -> Message | None: ...
    def messages(
        self,
        channel: str,
        *,
        direction: str | None = None,
        conversation: str | None = None,
        states: Collection[str] | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[Message]: ...
    def note_message(
        self, channel: str, direction: str, message_id: str, state: str, detail: Body | None = None
    ) -> None: ...
    def put_request(self, request: Request) -> tuple[Request, bool]: ...
    def requests(
        self,
        states: Collection[RequestState] | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Request]: ...
    def settle_request(
        self, id: str, state: RequestState, outcome: str, at_ns: int, lease: Lease
    ) -> None: ...
    def put_offer(self, offer: Offer) -> tuple[Offer, bool]: ...
    def offers(
        self,
        *,
        channel: str | None = None,
        party: str | None = None,
        states: Collection[OfferState] | None = None,
        after: tuple[int, str, str] | None = None,
        limit: int = 1000,
    ) -> list[Offer]: ...
    def settle_offer(
        self,
        channel: str,
        key: str,
        state: OfferState,
        at_ns: int,
        why: str = "",
        body: Body | None = None,
        *,
        was: Collection[OfferState] | None = None,
    ) -> Offer | None: ...

    # controller
    def lead(self, name: str, at_ns: int, who: str = "") -> Lease | None: ...
    def publish(self, kind: str, body: Body, at_ns: int, lease: Lease | None = None) -> None: ...
    def published(self, kind: str) -> tuple[int, Body] | None: ...
    def raise_alarm(self, kind: str, key: str, text: str, at_ns: int) -> bool: ...
    def clear_alarm(self, kind: str, key: str, at_ns: int) -> bool: ...
    def alarms(
        self, open_only: bool = True, after: str | None = None, limit: int = 1000
    ) -> list[Alarm]: ...
    def put_receipts(self, rows: Sequence[WorkReceipt], lease: Lease | None = None) -> int: ...
    def receipts(
        self, tenant: str | None = None, work: str | None = None, after: int = 0, limit: int = 100
    ) -> list[WorkReceipt]: ...

    # people
    def add_token(
        self, label: str, role: Role, party: str, expires_ns: int | None, at_ns: int, by: str = ""
    ) -> tuple[Token, str]: ...
    def token_by_secret(self, secret: str, now_ns: int) -> Token | None: ...
    def revoke_token(self, id: str, at_ns: int, by: str = "") -> bool: ...
    def tokens(self) -> list[Token]: ...
    def audit(
        self, who: str, role: str, action: str, target: str, outcome: str, detail: Body, at_ns: int
    ) -> int: ...
    def audit_after(self, seq: int, limit: int = 1000) -> list[AuditRow]: ...
    def verify_audit(self) -> list[Problem]: ...
    def anchor(self, day: str) -> Anchor: ...
    def anchors(self) -> list[Anchor]: ...

    # keeping
    def backup(self, path: Path) -> None: ...
    def restore(self, path: Path, *, replace: bool = False) -> None: ...
    def sweep(self, before_ns: int) -> Swept: ...
