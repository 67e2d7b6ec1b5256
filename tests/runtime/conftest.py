"""One small run, made once, for everybody who looks at what a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gigafactory.report import write_report
from gigafactory.runtime.run import Outcome, RunOptions, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
    write_scenario,
)


@dataclass(frozen=True)
class SmallRun:
    """A finished run of a factory of two sites in trouble, and what it was made of."""

    place: Path
    options: RunOptions
    outcome: Outcome

    @property
    def folder(self) -> Path:
        return self.outcome.folder

    def again(self, name: str, **changes: object) -> Outcome:
        """The same run once more, in another folder, with some options changed."""
        options = replace(self.options, **changes)  # type: ignore[arg-type]
        return start_run(options, out=self.place / name)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    place = tmp_path_factory.mktemp("small")
    sites = (
        SmallSite((SmallPool("H100", 6), SmallPool("GB200", 4, late=2)), 0.7, battery=0.4, ppa=0.5),
        SmallSite((SmallPool("B200", 4),), 1.3),
    )
    factory = SmallFactory(sites)
    day = FIRST_DAY.isoformat()
    cut = {
        "kind": "connection",
        "site": "site0",
        "from": f"{day}T10:00",
        "until": f"{day}T15:00",
        "factor": "30 %",
    }
    options = RunOptions(
        factory=str(factory.write(place / "factory.yaml")),
        scenario=str(write_scenario(place / "cut.yaml", [cut])),
        jobs=str(write_jobs(place / "jobs.csv", factory.pools, 400, 2.5, 11)),
        start=day,
        days=3,
        seed=3,
    )
    outcome = start_run(options, out=place / "run", reporter=write_report)
    return SmallRun(place, options, outcome)
