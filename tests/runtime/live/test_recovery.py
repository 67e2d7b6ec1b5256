"""What a journal says to a controller that starts again."""

from __future__ import annotations

import numpy as np
import pytest

from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.recovery import Recovery


def metered(from_ns: int, limit_w: int, over_ns: int) -> live.Metered:
    row = np.zeros((1, len(live.SITE_COLUMNS)), np.int64)
    row[0, live.SITE_COLUMNS.index("limit_w")] = limit_w
    row[0, live.SITE_COLUMNS.index("over_ns")] = over_ns
    nothing = np.zeros((0, 0), np.int64)
    return live.Metered(from_ns, from_ns + 10, nothing, nothing, row, away=limit_w < 0)


@pytest.mark.parametrize(
    ("told", "since"),
    [
        ([(0, 50, 0), (10, 50, 10), (20, 40, 10)], {0: 10}),  # broken on and on
        ([(0, 50, 10), (10, -1, 0), (20, -1, 0)], {0: 0}),  # killed twice meanwhile
        ([(0, 50, 10), (10, -1, 0), (20, 50, 0)], {}),  # met since
        ([(0, 50, 10), (10, 50, 0), (20, 50, 10)], {0: 20}),  # met, and broken again
    ],
)
def test_how_long_a_limit_has_been_broken_outlives_the_controller(
    told: list[tuple[int, int, int]], since: dict[int, int]
) -> None:
    found = Recovery()
    for from_ns, limit_w, over_ns in told:
        found.take(from_ns + 10, metered(from_ns, limit_w, over_ns))
    assert found.over_ns == since
