"""Policy: what may be. Rules of access and of place, quotas, and the ledger of who got what.

Knows every rule by which work is refused, waits, is marked or is helped, each with the law or the
document behind it and a sentence in English and Dutch; the dated figures they rest on; how shares
become whole nodes of a pool; and the sums that show whether a promise was kept.

Does not know a factory file, a run, a clock or a scheduler: facts come in as plain records, and the
day as an argument. Pure, but for reading its own data. It imports units, engine and plant; it may
be imported by factory and everything above it.
"""

from gigafactory.policy.access import (
    AccessRow,
    Amounts,
    Concentration,
    ExportRow,
    FirstJob,
    QuotaProof,
    Rolled,
    SectorRow,
    StorageRow,
    access_by,
    budget_refusal,
    concentration,
    exports,
    first_jobs,
    prove_quota,
    public_rows,
    roll_over,
    sectors,
    storage,
)
from gigafactory.policy.facts import (
    Approval,
    Document,
    Party,
    PoolFacts,
    ProjectFacts,
    TenantFacts,
)
from gigafactory.policy.judge import Verdict, evidence_kinds, judge, largest_gang, standing
from gigafactory.policy.quotas import GroupShare, QuotaTree, TenantShare, compile_quotas
from gigafactory.policy.reach import Exposure, operator_exposures, tenant_exposures
from gigafactory.policy.rules import Reason, Rule, explain, rules
from gigafactory.policy.tables import (
    AccessMode,
    Thresholds,
    access_modes,
    frontier_minimum_mw,
    thresholds,
)
from gigafactory.policy.waits import wait_text

__all__ = [
    "AccessMode",
    "AccessRow",
    "Amounts",
    "Approval",
    "Concentration",
    "Document",
    "ExportRow",
    "Exposure",
    "FirstJob",
    "GroupShare",
    "Party",
    "PoolFacts",
    "ProjectFacts",
    "QuotaProof",
    "QuotaTree",
    "Reason",
    "Rolled",
    "Rule",
    "SectorRow",
    "StorageRow",
    "TenantFacts",
    "TenantShare",
    "Thresholds",
    "Verdict",
    "access_by",
    "access_modes",
    "budget_refusal",
    "compile_quotas",
    "concentration",
    "evidence_kinds",
    "explain",
    "exports",
    "first_jobs",
    "frontier_minimum_mw",
    "judge",
    "largest_gang",
    "operator_exposures",
    "prove_quota",
    "public_rows",
    "roll_over",
    "rules",
    "sectors",
    "standing",
    "storage",
    "tenant_exposures",
    "thresholds",
    "wait_text",
]
