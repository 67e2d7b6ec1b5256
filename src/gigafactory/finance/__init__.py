"""Finance: what it costs, over the years.

Knows capital cost by class of asset, lives, the cost of capital and the levelised cost of compute;
the plan of a dossier, years of cash between actors, loans, scenarios, ranges, and what was promised
against what was found. Does not know jobs or power flows; it is handed a factory file, or the
folder of a run with its totals and receipts. Every result is a range, never a bare point. Imports
`factory` and lower floors only.

::

    planfile   the file `plan.yaml`           base       a full year, of a run or estimated
    levers     what may go otherwise          operating  years before debt and tax
    debt       loans, tax, owners             flows      payments between actors, whole cents
    years      all of it, and its measures    measures   present value, rate of return, payback
    scenarios, chances, sensitivity, countries, materials, demand, publicmoney, benchmarks
    statement  everything in one record       words      the tables a reader sees
"""

from gigafactory.finance.lcoc import CAVEAT, YearTotals, capex_eur, lcoc

__all__ = ["CAVEAT", "YearTotals", "capex_eur", "lcoc"]
