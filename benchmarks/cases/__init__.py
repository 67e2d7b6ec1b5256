"""The benchmarks; importing this module registers every one of them."""

from benchmarks.cases import (
    borrowing,
    demonstration,
    energy,
    full,
    gate,
    kernel,
    livecut,
    main_job,
    parts,
    peers,
    regret,
    rules,
    slurm,
    store,
)

__all__ = [
    "borrowing",
    "demonstration",
    "energy",
    "full",
    "gate",
    "kernel",
    "livecut",
    "main_job",
    "parts",
    "peers",
    "regret",
    "rules",
    "slurm",
    "store",
]
