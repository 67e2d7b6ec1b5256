"""The power tree: a short hall slows its own pools; of a class that is short nothing starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gigafactory.engine.journal import frames
from gigafactory.factory import load_factory
from gigafactory.ledger import GROUP_COLUMNS, METERS
from gigafactory.plant import load_catalogue
from gigafactory.runtime.run import RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
    write_scenario,
)
from gigafactory.testing.proving import run_problems

TWO_SITES = SmallFactory(
    (SmallSite((SmallPool("H100", 12),)), SmallSite((SmallPool("H100", 12),))),
    changes={"policy.migration": "none"},
)
FROM, UNTIL = f"{FIRST_DAY}T06:00", f"{FIRST_DAY}T18:00"
#: Quarters of the day during which the events hold.
DURING = slice(24, 72)


def run(place: Path, event: dict[str, Any]) -> Path:
    jobs = write_jobs(place / "jobs.csv", TWO_SITES.pools, 2000, 1.0, 5, 3.0)
    happens = [{"kind": "power", "from": FROM, "until": UNTIL, **event}]
    start_run(
        RunOptions(
            factory=str(TWO_SITES.write(place / "factory.yaml")),
            scenario=str(write_scenario(place / "short.yaml", happens)),
            jobs=str(jobs),
            start=FIRST_DAY.isoformat(),
            days=1,
        ),
        out=place / "run",
    )
    assert run_problems(place / "run") == []
    return place / "run"


def facts(folder: Path, name: str) -> np.ndarray[Any, Any]:
    return np.stack(
        [f.arrays[name] for f in frames(folder / "journal.gfj") if f.kind == "facts"]
    ).astype(np.int64)


def test_a_hall_keeps_within_what_its_cooling_carries(tmp_path: Path) -> None:
    folder = run(tmp_path, {"site": "site0", "hall": "room", "factor": "40 %"})
    most = load_factory(folder / "factory.yaml").sites["site0"].halls["room"].it_power_mw_max
    it_mw = facts(folder, "meter")[:, :, METERS.index("it_wh")] / 0.25e6
    assert np.all(it_mw[DURING, 0] <= 0.4 * most + 1e-5)
    assert it_mw[DURING, 0].mean() > 0.25 * most, "what is left is used"
    assert it_mw[:24, 0].max() > 0.5 * most, "it is the event that makes it short"
    assert it_mw[DURING, 1].mean() > 0.5 * most, "the hall at the other site goes on"


def test_a_class_starts_no_more_than_its_limit_carries(tmp_path: Path) -> None:
    folder = run(tmp_path, {"job_class": "research", "factor": "10 %"})
    chip = load_catalogue()["H100"]
    factory = load_factory(folder / "factory.yaml")
    fabric_w = factory.sites["site0"].network.watt_per_accelerator_w
    active_w = np.array(list(chip.work_w.values())).max() + fabric_w
    research_w = chip.work_w["research"] + fabric_w
    running = facts(folder, "groups")[:, 0, 1, GROUP_COLUMNS.index("running")]
    limit = 0.1 * 96 * active_w
    inside = running[DURING] * research_w
    # what ran before goes on; once it is below the limit nothing starts that breaks it
    first = int(np.argmax(inside <= limit))
    assert np.all(inside[first:] <= limit)
    assert running[:24].max() * research_w > limit, "it is the limit that holds them"
