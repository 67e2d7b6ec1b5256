"""Adapters: the doers, and the only door to the outside besides the web and the command line.

Each adapter stands behind a port that lives with its noun (`jobs.WorkloadManager`, `plant.Meter`,
`grid.SignalSource`). The twin is one adapter among others: the kernel's pools and the plant's
physics, obeying an intent and then metered. `datasets` fetches public traces from their origin.

Knows how to reach and to move things. Does not know why: no plan, no rule and no price is decided
here, and what an adapter reports is what was metered, never what was wanted.

Imports the nouns below it (plant, jobs, grid, ledger, kernel) and the engine. The planner and
finance stand on the same floor and neither sees it; only the runtime, the web and the command line
import it.
"""
