"""What keeps the quick loop quick: fewer examples of a property, and long tests told by name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

import pytest

#: Set by `make check`.
QUICK: Final = os.environ.get("GIGAFACTORY_QUICK", "") == "true"
#: Set where the examples of a property are the same on every run.
IN_CI: Final = os.environ.get("CI", "") == "true"
#: The quick loop tries a property on this part of its examples, and on at least two.
SHARE: Final = 10
#: A test whose own work takes more processor time than this carries the mark slow.
TEST_CPU_S: Final = 1.0
#: The same for what must be made for it first, such as a run that a whole file looks at.
MADE_CPU_S: Final = 5.0
#: Tests are named from this multiple on: a core that others use too is up to half as fast, and
#: whoever is first reads the compiled kernel from disk.
PATIENCE: Final = 2.0


def examples(count: int, ci: int | None = None) -> int:
    """How many examples hypothesis draws where the whole test draws some.

    For a property whose whole count takes too long for `make check`; `make test` draws them all.

    Args:
        count: of the whole test.
        ci: where the examples are the same on every run, so that more of them find nothing the
            second time; None for as many.
    """
    if QUICK:
        return max(2, count // SHARE)
    return ci if ci is not None and IN_CI else count


def too_long(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Tests that `make check` should not wait for, in words, the longest first."""
    found = []
    for report in reports:
        if report.when != "call" or {"slow", "proof"} & set(report.keywords):
            continue
        took = dict(report.user_properties)
        test_s, made_s = float(took.get("test_cpu_s", 0.0)), float(took.get("made_cpu_s", 0.0))
        if test_s > TEST_CPU_S * PATIENCE or made_s > MADE_CPU_S * PATIENCE:
            words = f"{test_s:5.1f} s, and {made_s:5.1f} s to make what it needs: {report.nodeid}"
            found.append((-test_s - made_s, words))
    return [words for _, words in sorted(found)]
