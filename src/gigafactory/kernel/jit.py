"""The compiler door: one typed decorator over numba, so the kernel reads as plain functions.

Machine code is kept in a folder named after a hash of all kernel sources: numba itself looks only
at the file a function stands in, and would run stale code after a change in a function it calls.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def _sources_hash() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled code is kept: the user's cache folder, or what NUMBA_CACHE_DIR names."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "gigafactory" / f"kernel-{_sources_hash()}"


def is_cached() -> bool:
    """Whether compiled code of an earlier run is there; else the first run compiles."""
    return bool(os.environ.get("NUMBA_CACHE_DIR")) or any(cache_folder().glob("**/*.nbc"))


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel function to machine code on first use and keep it on disk.

    No fast-math: the same input gives the same bytes on one processor family.
    """
    if not os.environ.get("NUMBA_CACHE_DIR"):
        numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
    return cast(Callable[P, R], numba.njit(cache=True)(function))
