"""The access ledger: who asked, got, used and waits; quotas proved, carried over and capped.

Pure sums over accelerator-hours per tenant and month, as the ledger of a run counted them. Arrays
have a row per tenant and a column per month; tenants and months stand in tuples of equal length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.policy.rules import Reason
from gigafactory.policy.tables import thresholds

Floats = npt.NDArray[np.float64]

REST: Final = "other"
_HOME: Final = "NL"


@dataclass(frozen=True, slots=True, eq=False)
class Amounts:
    """Accelerator-hours per tenant and month.

    Attributes:
        tenants: names.
        months: as ``2025-01``, ascending.
        requested_gpu_h: asked for in the month.
        granted_gpu_h: of that, admitted by the rules.
        used_gpu_h: run in the month.
        waiting_gpu_h: admitted and not run by the end of the month.
    """

    tenants: tuple[str, ...]
    months: tuple[str, ...]
    requested_gpu_h: Floats
    granted_gpu_h: Floats
    used_gpu_h: Floats
    waiting_gpu_h: Floats

    def __post_init__(self) -> None:
        shape = (len(self.tenants), len(self.months))
        for one in (self.requested_gpu_h, self.granted_gpu_h, self.used_gpu_h, self.waiting_gpu_h):
            assert one.shape == shape, f"a row per tenant and a column per month: {shape}"
        assert list(self.months) == sorted(set(self.months)), "months ascend"


@dataclass(frozen=True, slots=True)
class AccessRow:
    """What a tenant, or all of a mission, sector, programme or country, asked and got.

    Attributes:
        name: of it.
        members: tenants in it.
        requested_gpu_h: asked for.
        granted_gpu_h: admitted.
        used_gpu_h: run.
        waiting_gpu_h: still waiting at the end.
    """

    name: str
    members: int
    requested_gpu_h: float
    granted_gpu_h: float
    used_gpu_h: float
    waiting_gpu_h: float


def access_by(amounts: Amounts, key: Mapping[str, str] | None = None) -> tuple[AccessRow, ...]:
    """Sums over the whole time, per tenant or per anything a tenant belongs to.

    Args:
        amounts: the accelerator-hours.
        key: what each tenant is counted under (its mission, sector, programme, country); one that
            is missing or "" is left out. None counts each tenant for itself.

    Returns:
        Rows in order of name.
    """
    names = [name if key is None else key.get(name, "") for name in amounts.tenants]
    rows = []
    for name in sorted({name for name in names if name}):
        mine = np.array([other == name for other in names])
        rows.append(
            AccessRow(
                name=name,
                members=int(mine.sum()),
                requested_gpu_h=float(amounts.requested_gpu_h[mine].sum()),
                granted_gpu_h=float(amounts.granted_gpu_h[mine].sum()),
                used_gpu_h=float(amounts.used_gpu_h[mine].sum()),
                # what waits is a state and not a flow: that of the last month
                waiting_gpu_h=float(amounts.waiting_gpu_h[mine, -1:].sum()),
            )
        )
    return tuple(rows)


def public_rows(rows: Sequence[AccessRow], members_min: int | None = None) -> tuple[AccessRow, ...]:
    """Rows that may be shown to everybody: each a sum over enough tenants.

    What has too few tenants is put together under "other". Where that is still too few, the
    smallest of the rows that could stand alone goes in as well, so that nothing is found by taking
    the rows shown from the total. If all together are too few, nothing is shown.

    Args:
        rows: rows without tenants in common.
        members_min: tenants in a row, at least; the threshold of the data file when left out.
    """
    least = thresholds().members_min if members_min is None else members_min
    shown = sorted((r for r in rows if r.members >= least), key=lambda r: (r.members, r.name))
    hidden = [row for row in rows if row.members < least]
    while hidden and sum(row.members for row in hidden) < least and shown:
        hidden.append(shown.pop(0))
    shown.sort(key=lambda row: row.name)
    if not hidden or sum(row.members for row in hidden) < least:
        return tuple(shown)
    rest = AccessRow(
        name=REST,
        members=sum(row.members for row in hidden),
        requested_gpu_h=sum(row.requested_gpu_h for row in hidden),
        granted_gpu_h=sum(row.granted_gpu_h for row in hidden),
        used_gpu_h=sum(row.used_gpu_h for row in hidden),
        waiting_gpu_h=sum(row.waiting_gpu_h for row in hidden),
    )
    return (*shown, rest)


@dataclass(frozen=True, slots=True)
class FirstJob:
    """How long it took from asking for access to the first job.

    Attributes:
        name: project or tenant.
        days: from request to the start of its first job; None when none started.
    """

    name: str
    days: float | None


def first_jobs(
    requested_ns: Mapping[str, int], started_ns: Mapping[str, int]
) -> tuple[FirstJob, ...]:
    """Days from request to first job, per project, in order of name.

    Args:
        requested_ns: when each asked for access, ns UTC.
        started_ns: when the first job of each began; those that never ran are missing.
    """
    day_ns = 86_400e9
    return tuple(
        FirstJob(name, None if name not in started_ns else (started_ns[name] - asked) / day_ns)
        for name, asked in sorted(requested_ns.items())
    )


# --- concentration, sectors, export --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Concentration:
    """How far use is in few hands.

    Attributes:
        largest: tenant that used most, "" when nothing was used.
        largest_share: its share of what was used.
        herfindahl_ratio: Herfindahl-Hirschman index, the sum of squared shares: 1 for a single
            user, 1/n for n equal ones, 0 when nothing was used.
        exemptions: months in which a tenant was above the cap, as reasons to log.
    """

    largest: str
    largest_share: float
    herfindahl_ratio: float
    exemptions: tuple[Reason, ...]


def concentration(amounts: Amounts, cap_fraction: float = 1.0) -> Concentration:
    """Concentration of use among tenants, and every month in which one was above the cap.

    Args:
        amounts: the accelerator-hours.
        cap_fraction: share of what was used that one tenant may have. The cap of the factory file
            is one of accelerators and holds at every instant; this says what came of it.
    """
    used = amounts.used_gpu_h.sum(axis=1)
    total = float(used.sum())
    if total <= 0.0:
        return Concentration("", 0.0, 0.0, ())
    shares = used / total
    top = int(np.argmax(shares))
    exemptions = []
    for m, month in enumerate(amounts.months):
        whole = float(amounts.used_gpu_h[:, m].sum())
        for t, tenant in enumerate(amounts.tenants):
            share = float(amounts.used_gpu_h[t, m]) / whole if whole > 0.0 else 0.0
            if share > cap_fraction:
                fields = {"tenant": tenant, "month": month, "share": share, "cap": cap_fraction}
                exemptions.append(Reason.of("concentration_exempt", **fields))
    return Concentration(
        largest=amounts.tenants[top],
        largest_share=float(shares[top]),
        herfindahl_ratio=float((shares**2).sum()),
        exemptions=tuple(exemptions),
    )


@dataclass(frozen=True, slots=True)
class SectorRow:
    """Use by a sector beside its target.

    Attributes:
        sector: its name.
        used_gpu_h: what it used.
        used_share: share of all that was used.
        target_share: the target; None without one.
    """

    sector: str
    used_gpu_h: float
    used_share: float
    target_share: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without one."""
        return None if self.target_share is None else self.used_share >= self.target_share


def sectors(
    amounts: Amounts, sector_of: Mapping[str, str], targets: Mapping[str, float]
) -> tuple[SectorRow, ...]:
    """Use by sector beside the targets, in order of name; a sector without use is there too."""
    total = float(amounts.used_gpu_h.sum())
    used = {row.name: row.used_gpu_h for row in access_by(amounts, sector_of)}
    return tuple(
        SectorRow(
            sector=name,
            used_gpu_h=used.get(name, 0.0),
            used_share=used.get(name, 0.0) / total if total > 0.0 else 0.0,
            target_share=targets.get(name),
        )
        for name in sorted({*used, *targets})
    )


@dataclass(frozen=True, slots=True)
class ExportRow:
    """What went to tenants of another country.

    Attributes:
        country: ISO 3166 code.
        in_eea: whether it is under the law of the EU or EEA.
        used_gpu_h: what they used.
        revenue_eur: what they paid.
    """

    country: str
    in_eea: bool
    used_gpu_h: float
    revenue_eur: float


def exports(
    amounts: Amounts,
    country_of: Mapping[str, str],
    revenue_eur: Mapping[str, float],
    home: str = _HOME,
) -> tuple[ExportRow, ...]:
    """Use and revenue per country other than the home country, in order of code."""
    paid_eur: dict[str, float] = {}
    for name in amounts.tenants:
        country = country_of.get(name, "")
        paid_eur[country] = paid_eur.get(country, 0.0) + revenue_eur.get(name, 0.0)
    return tuple(
        ExportRow(row.name, row.name in thresholds().eea, row.used_gpu_h, paid_eur[row.name])
        for row in access_by(amounts, country_of)
        if row.name != home
    )


# --- reserved shares: proof and roll-over --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QuotaProof:
    """A month of a reserved share.

    Attributes:
        month: as ``2025-01``.
        reserved_gpu_h: what was its own, of the accelerators that were there.
        asked_gpu_h: what its tenants wanted to run in the month.
        used_gpu_h: what they ran.
        undercut_gpu_h: what they asked for within their share and did not get.
    """

    month: str
    reserved_gpu_h: float
    asked_gpu_h: float
    used_gpu_h: float
    undercut_gpu_h: float

    @property
    def kept(self) -> bool:
        """Whether the share was not undercut."""
        return self.undercut_gpu_h <= 0.0


def prove_quota(
    months: Sequence[str], reserved_gpu_h: Floats, asked_gpu_h: Floats, used_gpu_h: Floats
) -> tuple[QuotaProof, ...]:
    """Prove month by month that a reserved share was not undercut.

    Undercut is what was asked within the share and not run: min(asked, reserved) - used, and never
    below zero. Jobs that were asked for too late in a month to end in it count as far as they could
    have run in it; that is for the caller to see to in `asked_gpu_h`.
    """
    within = np.minimum(asked_gpu_h, reserved_gpu_h)
    undercut = np.maximum(within - used_gpu_h, 0.0)
    rows = zip(months, reserved_gpu_h, asked_gpu_h, used_gpu_h, undercut, strict=True)
    return tuple(QuotaProof(m, float(r), float(a), float(u), float(x)) for m, r, a, u, x in rows)


@dataclass(frozen=True, slots=True)
class Rolled:
    """A month of a reserved share whose unused part is carried over.

    Attributes:
        month: as ``2025-01``.
        own_gpu_h: reserved in the month itself.
        carried_in_gpu_h: left over from earlier months and still good.
        used_gpu_h: used of the two together; more than they hold is borrowed and not counted here.
        lapsed_gpu_h: unused, and no longer good after this month.
        carried_out_gpu_h: unused, and good for a later month.
    """

    month: str
    own_gpu_h: float
    carried_in_gpu_h: float
    used_gpu_h: float
    lapsed_gpu_h: float
    carried_out_gpu_h: float


def roll_over(
    months: Sequence[str], reserved_gpu_h: Floats, used_gpu_h: Floats, rule: str
) -> tuple[Rolled, ...]:
    """Carry the unused part of a reserved share over by its rule.

    ``none``: it lapses at the end of its month. ``month``: it is good for one month more.
    ``quarter``: it is good until the end of the calendar quarter after its own. What lapses first
    is used first. In every month own + carried in = used + lapsed + carried out.

    Args:
        months: as ``2025-01``, ascending.
        reserved_gpu_h: reserved in each.
        used_gpu_h: used in each, borrowed hours included.
        rule: none, month or quarter.
    """
    numbers = [int(m[:4]) * 12 + int(m[5:7]) - 1 for m in months]
    left: list[tuple[int, float]] = []  # last month it is good for, and how much
    rows = []
    for month, number, own, used in zip(months, numbers, reserved_gpu_h, used_gpu_h, strict=True):
        carried = sum(amount for _, amount in left)
        left = [*left, (_last_month(number, rule), float(own))]
        spent = min(float(used), carried + float(own))
        still, kept = spent, []
        for until, amount in sorted(left):
            taken = min(amount, still)
            still -= taken
            kept.append((until, amount - taken))
        lapsed = sum(amount for until, amount in kept if until <= number)
        left = [(until, amount) for until, amount in kept if until > number and amount > 0.0]
        out = sum(amount for _, amount in left)
        rows.append(Rolled(month, float(own), carried, spent, lapsed, out))
    return tuple(rows)


def _last_month(number: int, rule: str) -> int:
    """Last month (counted from year 0) in which what is unused of a month is still good."""
    assert rule in ("none", "month", "quarter"), rule
    if rule == "quarter":
        return number // 3 * 3 + 5
    return number + (1 if rule == "month" else 0)


# --- budgets and storage -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StorageRow:
    """What a tenant stores of what is kept for it.

    Attributes:
        tenant: its name.
        quota_pb: kept for it.
        used_pb: what it stores.
        refusal: why it may store no more; None while it may.
    """

    tenant: str
    quota_pb: float
    used_pb: float
    refusal: Reason | None

    @property
    def free_pb(self) -> float:
        """What is left, never below zero."""
        return max(0.0, self.quota_pb - self.used_pb)


def storage(quota_pb: Mapping[str, float], used_pb: Mapping[str, float]) -> tuple[StorageRow, ...]:
    """The storage quotas, in order of tenant; use without a quota is over it."""
    rows = []
    for tenant in sorted({*quota_pb, *used_pb}):
        quota, used = quota_pb.get(tenant, 0.0), used_pb.get(tenant, 0.0)
        full = used > quota or (used == quota and used > 0.0)
        fields = {"tenant": tenant, "used_pb": used, "quota_pb": quota}
        rows.append(
            StorageRow(tenant, quota, used, Reason.of("storage_spent", **fields) if full else None)
        )
    return tuple(rows)


def budget_refusal(
    project: str, budget_gpu_h: float | None, used_gpu_h: float, asked_gpu_h: float
) -> Reason | None:
    """Why a job no longer fits its project's budget; None when it does, or there is no limit."""
    if budget_gpu_h is None or used_gpu_h + asked_gpu_h <= budget_gpu_h:
        return None
    fields = {"used_gpu_h": used_gpu_h, "budget_gpu_h": budget_gpu_h}
    return Reason.of("budget_spent", project=project, **fields)
