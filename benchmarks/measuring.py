"""What every benchmark uses: a stopwatch, the register of cases, and the memory of the process."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

Case = Callable[[], dict[str, float]]
CASES: dict[str, Case] = {}


class Skipped(Exception):  # noqa: N818 (it is no error)
    """A benchmark cannot run here, and says why."""


class Timer:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def wall_s(self) -> float:
        """Seconds on the wall."""
        return time.perf_counter() - self._wall

    def cpu_s(self) -> float:
        """Processor seconds of this process: a busy neighbour does not count."""
        return time.process_time() - self._cpu


def case(name: str) -> Callable[[Case], Case]:
    """Register a benchmark under the name `budgets.yaml` calls it by."""

    def register(function: Case) -> Case:
        CASES[name] = function
        return function

    return register


def peak_mib(who: int = resource.RUSAGE_SELF) -> float:
    """Largest resident memory so far, MiB; of this process, or of the largest child ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / 2**20


def data(*parts: str) -> Path:
    """A file of the real data.

    Raises:
        Skipped: GIGAFACTORY_DATA does not name a folder that holds it.
    """
    base = os.environ.get("GIGAFACTORY_DATA")
    if not base:
        raise Skipped("GIGAFACTORY_DATA is not set")
    path = Path(base).joinpath(*parts)
    if not path.exists():
        raise Skipped(f"{path} is not there")
    return path
