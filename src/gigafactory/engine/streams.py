"""Named random streams: the only source of randomness in the house.

A stream is named by the run's seed and by what it is for (``"jobs", "arrivals"``), so adding a
stream never changes the numbers another one draws, and seed 0 is a seed like any other.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random generator of a purpose.

    Args:
        seed: the run's seed; every integer, zero and negative ones included, is a seed of its own.
        names: what the numbers are for, from general to particular.

    Returns:
        A PCG64 generator whose state depends on the seed and the names alone.
    """
    key = "\x1f".join([str(int(seed)), *(str(name) for name in names)]).encode()
    entropy = int.from_bytes(hashlib.sha256(key).digest(), "little")
    return np.random.Generator(np.random.PCG64(entropy))
