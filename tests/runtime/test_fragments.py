"""How what is free lies: recounted from the nodes of each pool, and the same after a replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.journal import frames
from gigafactory.runtime.replay import rebuild
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
)


@pytest.mark.slow
def test_what_is_free_is_on_empty_nodes_or_between_jobs(tmp_path: Path) -> None:
    factory = SmallFactory((SmallSite((SmallPool("H100", 10), SmallPool("B200", 4))),))
    jobs = write_jobs(tmp_path / "jobs.csv", factory.pools, 900, 2.8, 4, 0.6)
    outcome = start_run(
        RunOptions(
            factory=str(factory.write(tmp_path / "factory.yaml")),
            jobs=str(jobs),
            start=FIRST_DAY.isoformat(),
            days=3,
        ),
        out=tmp_path / "run",
    )
    told = [f for f in frames(tmp_path / "run" / "journal.gfj") if f.kind == "shares"]
    days = np.stack([f.arrays["fragments"] for f in told])
    free, empty, pod, rack = np.moveaxis(days, 2, 0)
    assert days.shape == (3, 2, 4)
    assert np.all((rack <= pod) & (pod <= empty) & (empty <= free))
    assert np.all(free <= np.array([80, 32]))
    assert np.all(empty % 8 == 0)
    rows = outcome.summary["fragmentation"]
    assert [row["pool"] for row in rows] == ["pool00", "pool01"]
    assert rows[0]["free_mean"] == free[:, 0].mean()
    assert 0.0 <= rows[0]["index"] <= 1.0
    book = rebuild(tmp_path / "run")[0]
    assert np.array_equal(np.stack(book.fragments), days)
