"""What a load is made of, and how its times are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

#: Of a hundred reads, how many are which.
MIX: Final = (
    (40, "/v1/work?limit=20"),
    (25, "/v1/work/{work}"),
    (10, "/v1/work/{work}/explain"),
    (10, "/v1/budget"),
    (5, "/v1/receipts?limit=20"),
    (5, "/v1/self"),
    (5, "/v1/work?limit=20&state=running&newest=true"),
)


def quantiles(times_s: Sequence[float]) -> dict[str, float]:
    """How many, and p50, p95, p99 and the longest, in ms."""
    rows = sorted(times_s)
    if not rows:
        return {"count": 0}

    def at(share: float) -> float:
        return round(rows[min(len(rows) - 1, int(share * len(rows)))] * 1000.0, 1)

    return {"count": len(rows), "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99),
            "max_ms": at(1.0)}  # fmt: skip


def read(path: str, secret: str) -> str:
    """A request that reads."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\r\n"


def submit(body: dict[str, Any], secret: str) -> str:
    """A request that hands a job in, under a key of its own each time."""
    text = json.dumps(body)
    return (
        f"POST /v1/work HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
        f"Idempotency-Key: load-key-{{n}}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text.encode())}\r\n\r\n{text}"
    )


def reads(callers: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """A round of reads by callers (secret, ids of their work), mixed as `MIX` says."""
    found = []
    for i in range(100 * len(callers)):
        secret, works = callers[i % len(callers)]
        place, path = (i // len(callers)) * 37 % 100, ""
        for share, path in MIX:  # noqa: B007  (the one it stops at is meant)
            place -= share
            if place < 0:
                break
        found.append(read(path.format(work=works[i % len(works)]), secret))
    return found
