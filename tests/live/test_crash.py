"""The service on real parts, killed at random: nothing lost, nothing doubled, limits kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.runtime.live.daybook import day_path, days_in, live_frames
from gigafactory.testing import postgres, slurm
from gigafactory.testing.crashing import CrashRig
from tests.conftest import IN_CI
from tests.runtime.live.bench import check_journal

KILLS = 20


@pytest.fixture(autouse=True)
def parts() -> None:
    """A cluster and a database must be there; they fail the test where CI=true."""
    why = slurm.available() or postgres.available()
    if why and IN_CI:
        pytest.fail(why)
    if why:
        pytest.skip(why)


def check(rig: CrashRig) -> None:
    said = f"seed {rig.seed}, folder {rig.folder}"
    assert rig.problems() == [], said
    folder = rig.folder / "state" / "live"
    check_journal(
        [(d, at, f) for d in days_in(folder) for at, f in live_frames(day_path(folder, d))]
    )


@pytest.mark.slow
def test_killed_at_random_on_real_parts(tmp_path: Path) -> None:
    with CrashRig(tmp_path, seed=6) as rig:
        rig.crash(KILLS, pause_s=0.6)
        rig.finish()
        check(rig)
