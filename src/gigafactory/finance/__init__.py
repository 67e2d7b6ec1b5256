"""Finance: what it costs, over the years.

Knows capital cost by class of asset, lives, the cost of capital and the levelised cost of compute.
Does not know jobs, power flows or the ledger's accounts; it is handed yearly totals. Every result
is a range, never a bare point. Imports `factory` and lower floors only.
"""

from gigafactory.finance.lcoc import CAVEAT, YearTotals, capex_eur, lcoc

__all__ = ["CAVEAT", "YearTotals", "capex_eur", "lcoc"]
