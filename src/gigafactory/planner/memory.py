"""Where the C library puts large arrays while a large programme is solved.

glibc learns from what is freed: after the first few large arrays are given back it keeps those up
to 32 MiB in its heap, between small things that stay, and the gaps do not fit what comes next. Of a
year at 15 minutes that is a fifth of the memory: the benchmark model takes 1,057 MiB with it and
848 MiB without.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: `mallopt` parameters of glibc (malloc.h).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
#: From this on an array gets pages of its own, which go back when it is freed, bytes.
_APART: Final = 256 * 1024
#: What glibc arrives at by itself in a long run (its own upper ends), bytes.
_USUAL: Final = 32 * 1024 * 1024


def _mallopt() -> Callable[[int, int], int] | None:
    """The setting of the C library; None where there is no such thing."""
    try:
        found: Callable[[int, int], int] = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return None
    return found


@contextmanager
def large_apart() -> Iterator[None]:
    """Give large arrays pages of their own meanwhile; where that cannot be set nothing happens."""
    mallopt = _mallopt()
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _APART)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _USUAL)
        mallopt(_TRIM_THRESHOLD, 2 * _USUAL)
