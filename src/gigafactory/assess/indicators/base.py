"""What an indicator is: a pure function from a subject to a value, its evidence and a sentence.

Also what several of them need: who held which hours, whether the factory stands at home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.assess.words import Both
from gigafactory.factory import Tenant

#: The country whose autonomy, economy and society is asked about.
HOME: Final = "NL"
#: What guests may use at most, where a factory file states no ceiling for export.
GUEST_SHARE: Final = 0.15


@dataclass(frozen=True, slots=True)
class Reading:
    """What an indicator found.

    Attributes:
        value: the value; None where nothing is known.
        unit: of the value; empty for a plain ratio or number.
        evidence: what it rests on.
        why: the finding in a sentence, by language.
    """

    value: float | None
    unit: str
    evidence: tuple[Evidence, ...]
    why: Both


Indicator = Callable[[Subject], Reading]

#: Every indicator by its name; `indicator` adds to it.
INDICATORS: dict[str, Indicator] = {}


def indicator(name: str) -> Callable[[Indicator], Indicator]:
    """Register an indicator under a name that frameworks use."""

    def add(function: Indicator) -> Indicator:
        assert name not in INDICATORS, f"two indicators are called {name}"
        INDICATORS[name] = function
        return function

    return add


def unknown(reference: str, why: Both, unit: str = "") -> Reading:
    """Nothing is known."""
    return Reading(None, unit, (Evidence(Proof.MISSING, reference),), why)


def by_file(*paths: str) -> tuple[Evidence, ...]:
    """What stands in the factory file, by paths."""
    return tuple(Evidence(Proof.FACTORY, f"factory:{path}") for path in paths)


@dataclass(frozen=True, slots=True)
class Use:
    """Who uses the factory.

    Attributes:
        shares: share of the used accelerator-hours by tenant; they add up to 1.
        gpu_h: accelerator-hours held in the run; None without one.
        evidence: the ledger of a run, or the shares the factory file offers.
    """

    shares: Mapping[str, float]
    gpu_h: float | None
    evidence: Evidence


def use_of(subject: Subject) -> Use:
    """Who used a factory in its run; without one, who is to use it by the factory file.

    By the file: shares of work that tenants offer, and of services their mean replicas over the
    accelerators; both as parts of their sum.
    """
    rows = subject.summary.get("shares") or ()
    held = {row["node"]: row["held_gpu_h"] for row in rows if row["level"] == "tenant"}
    total = sum(held.values())
    if total > 0.0:
        shares = {name: amount / total for name, amount in held.items()}
        return Use(shares, total, Evidence(Proof.LEDGER, "summary:shares"))
    size = sum(pool.accelerators for pool in subject.factory.fleet)
    offered = {one.name: _offered(one, size) for one in subject.factory.tenants}
    total = sum(offered.values())
    shares = {name: part / total for name, part in offered.items()} if total > 0.0 else {}
    proof = Proof.FACTORY if shares else Proof.MISSING
    return Use(shares, None, Evidence(proof, "factory:tenants"))


def _offered(tenant: Tenant, size: int) -> float:
    work = sum(one.share for one in tenant.work)
    return work + sum(one.accelerators_peak * one.mean_fraction / size for one in tenant.services)


def share_where(subject: Subject, use: Use, keep: Callable[[Tenant], bool]) -> float:
    """Share of the hours of the tenants for which something holds."""
    names = {one.name for one in subject.factory.tenants if keep(one)}
    return sum(share for name, share in use.shares.items() if name in names)


def at_home(subject: Subject) -> bool:
    """Whether the first site stands in the Netherlands."""
    return next(iter(subject.factory.sites.values())).place.country == HOME


def landing(subject: Subject) -> float:
    """How much of what a factory does for its users lands in the Netherlands, 0 to 1.

    All of it when it stands here. Abroad the Dutch are guests, and get at most what this file lets
    guests use here: the cap of its export group, else an assumed 15 %.
    """
    if at_home(subject):
        return 1.0
    groups = subject.factory.policy.quota_groups
    caps = [one.cap_fraction for one in groups if one.kind == "export" and one.cap_fraction < 1.0]
    return min(caps, default=GUEST_SHARE)


def dutch(tenant: Tenant) -> bool:
    """Whether a tenant is Dutch."""
    return tenant.country == HOME


def members(names: Iterable[str]) -> int:
    """How many different names there are."""
    return len(set(names))


__all__ = [
    "GUEST_SHARE",
    "HOME",
    "INDICATORS",
    "Indicator",
    "Reading",
    "Use",
    "at_home",
    "by_file",
    "dutch",
    "indicator",
    "landing",
    "members",
    "share_where",
    "unknown",
    "use_of",
]
