"""The compiler door: two typed decorators over numba, so the kernel reads as plain functions.

Machine code is kept in a folder named after a hash of all kernel sources: numba itself looks only
at the file a function stands in, and would run stale code after a change in a function it calls.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

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
    """Whether the scheduler's compiled code of an earlier run is there; else the first compiles.

    The stepper of seconds lies in the same folder, is small, and says nothing about the scheduler.
    """
    return bool(os.environ.get("NUMBA_CACHE_DIR")) or any(cache_folder().glob("**/door.*.nbc"))


def _widened(kind: Any) -> Any:
    """The type as which an argument of a kernel function is taken: whole numbers are int64."""
    kind = numba.types.unliteral(kind)  # type: ignore[no-untyped-call]
    return numba.types.int64 if isinstance(kind, numba.types.Integer) else kind


def _one_version(machine: Any) -> None:
    """Compile a function once, for int64, whatever kinds of whole numbers it is called with.

    Else numba compiles it anew for every mix of int32, int16 and constants, which doubled the time
    a newcomer waits.
    """
    inner = machine.get_call_template
    machine.get_call_template = lambda args, kws: inner(tuple(map(_widened, args)), kws)


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel function that only other kernel functions call.

    No fast-math: the same input gives the same bytes on one processor family. No reference counting
    (`_nrt`): kernel functions make no arrays, their caller holds the state for as long as they run,
    and counting who looks at it took four fifths of an overloaded machine's time. No door to Python
    either, which took a third of the time to compile.
    """
    machine = numba.njit(_nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]
    _one_version(machine)
    return cast(Callable[P, R], machine)


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that Python calls, with all it calls, and keep the machine code on disk.

    Otherwise as `compiled`.
    """
    if not os.environ.get("NUMBA_CACHE_DIR"):
        numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
    machine = numba.njit(cache=True, _nrt=False, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload]
    return cast(Callable[P, R], machine)
