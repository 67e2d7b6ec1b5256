"""Facts to start from: a tenant, a project and a pool that nothing stands against."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from gigafactory.policy import (
    Approval,
    Document,
    Party,
    PoolFacts,
    ProjectFacts,
    TenantFacts,
    Verdict,
    judge,
)

ON = dt.date(2025, 6, 1)
SOON, PAST, FAR = dt.date(2025, 7, 1), dt.date(2025, 1, 1), dt.date(2030, 1, 1)

SHOWN = (Document("sme_declaration", "SME declaration", PAST, FAR),)
CLEARED = (*SHOWN, Document("clearance", "Clearance", PAST, FAR))
PRIVACY, ETHICS, SECURITY = (
    Approval(kind, PAST, FAR) for kind in ("privacy", "ethics", "security")
)

TENANT = TenantFacts(name="firm", group="sme", country="NL", evidence=SHOWN)
PROJECT = ProjectFacts(name="study", job_class="research")
POOL = PoolFacts(
    name="pool", site="here", country="NL", latitude_deg=52.0, longitude_deg=4.0, chip="H100",
    accelerators=1000, exporter="US", power_w_per_accelerator=1500.0, operator="Runner",
    jurisdictions=("NL",), parents=(Party("Holding", "NL"),),
)  # fmt: skip


def ruling(
    tenant: dict[str, Any] | None = None,
    project: dict[str, Any] | None = None,
    pool: dict[str, Any] | None = None,
    on: dt.date = ON,
    *,
    governed: bool = True,
) -> Verdict:
    """The verdict on the facts above with some of them changed."""
    return judge(
        replace(TENANT, **(tenant or {})),
        replace(PROJECT, **(project or {})),
        [replace(POOL, **(pool or {}))],
        on,
        governed=governed,
    )


def names(reasons: tuple[Any, ...]) -> list[str]:
    """The ids of some reasons."""
    return [reason.rule for reason in reasons]
