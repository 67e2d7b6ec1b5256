"""What a factory is used for decides what it draws: the same machines under two mixes of work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gigafactory.plant import load_catalogue
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite

POOL = SmallPool("H100", 8)
SIZE = POOL.accelerators


def drawn(place: Path, label: str, work: list[tuple[float, int, float]]) -> dict[str, Any]:
    """Series of a day of a mix: rows of hour of submission, accelerators, hours of work."""
    place.mkdir()
    factory = SmallFactory((SmallSite((POOL,), 3.0),)).write(place / "factory.yaml")
    begin = 1_700_000_000.0
    head = "submit,tenant,class,accelerators,work_s,walltime_s,priority,chip,end_state"
    rows = [
        f"{begin + hour * 3600:.1f},lab,{label},{count},{hours * 3600:.1f},{hours * 7200:.1f},3,"
        "H100,completed"
        for hour, count, hours in work
    ]
    (place / "jobs.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")
    options = RunOptions(
        str(factory), jobs=str(place / "jobs.csv"), start=FIRST_DAY.isoformat(), days=1,
        yardstick="off",
    )  # fmt: skip
    start_run(options, out=place / "run")
    table = pq.read_table(place / "run" / "series.parquet")
    return {name: table[name].to_numpy() for name in table.column_names if name != "site"}


@pytest.mark.slow
def test_the_same_hardware_has_two_load_curves_under_two_mixes(tmp_path: Path) -> None:
    """One gang that trains for eight hours, and the same hours asked in small pieces all day."""
    training = drawn(tmp_path / "training", "frontier_training", [(0.0, SIZE, 8.0)])
    pieces = [(float(hour), SIZE // 8, 8.0 / 3.0) for hour in range(24)]
    answers = drawn(tmp_path / "answers", "inference_batch", pieces)
    watts = load_catalogue()["H100"].work_w
    # by hand: at work all accelerators of the gang draw what training draws, and nothing else does
    busy = training["running_frontier_training"] > 0.999 * SIZE
    assert busy.sum() == pytest.approx(32, abs=1)
    swing = watts["frontier_training"] * SIZE / 1e6
    assert training["it_frontier_training_mw"][busy] == pytest.approx(swing, rel=1e-3)
    each = watts["inference_batch"] / 1e6
    assert answers["it_inference_batch_mw"] == pytest.approx(
        answers["running_inference_batch"] * each, rel=1e-3, abs=1e-6
    )
    # the same hours make a block and a plateau: the one peaks far above its mean
    peaks = [s["it_mw"].max() / s["it_mw"].mean() for s in (training, answers)]
    assert peaks[0] > 1.3 * peaks[1]
    assert np.abs(training["it_mw"] - answers["it_mw"]).max() > 0.3 * swing
