"""Policy: what may be. Rules and shares as data and pure functions, compiled for the scheduler.

Imports only lower floors; reads nothing but its own data, has no clock and no chance.
"""

from gigafactory.policy.quotas import GroupShare, QuotaTree, TenantShare, compile_quotas

__all__ = ["GroupShare", "QuotaTree", "TenantShare", "compile_quotas"]
