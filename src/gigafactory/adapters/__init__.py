"""Adapters: the doers, and the only door to the outside besides the web and the command line.

Each adapter stands behind a port that lives with its noun (`jobs.WorkloadManager`, `plant.Meter`,
`grid.SignalSource`). The twin is one adapter among others; the planner never imports any of them.
"""
