"""The benchmarks; importing this module registers every one of them."""

from benchmarks.cases import kernel, main_job, parts, peers, rules

__all__ = ["kernel", "main_job", "parts", "peers", "rules"]
