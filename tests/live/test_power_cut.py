"""A grid operator asks for a quarter less: real message, real service, real Slurm, own meter."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gigafactory.adapters.store.records import WorkState
from gigafactory.runtime.live import days
from gigafactory.testing import mosquitto, slurm
from gigafactory.testing.livecut import POOL, LiveCut
from tests.conftest import IN_CI

#: A lower limit is met within, s; by the meter.
DEADLINE_S = 30.0
#: A job that heeds no signal saves by itself after so much work, s.
SAVES_EVERY_S = 3.0
_TICK_S = 1.0


@pytest.fixture(autouse=True)
def parts() -> None:
    """A cluster and a broker must be there; they fail the test where CI=true."""
    why = slurm.available()
    if not why and not mosquitto.available():
        why = "the system package mosquitto is missing (make system)"
    if why and IN_CI:
        pytest.fail(why)
    if why:
        pytest.skip(why)


def check_work(live: LiveCut, keys: list[str], deaf: int, cuts: int) -> None:
    """No job is lost or doubled; work is lost only since the last checkpoint, and if unsaved."""
    assert live.lost() == []
    lost = live.lost_s()
    assert set(lost) <= {f"job-{i}" for i in range(deaf)}, "a job that was told to save lost work"
    assert all(s <= cuts * (SAVES_EVERY_S + 2 * _TICK_S) for s in lost.values()), lost
    for key in keys:
        steps = [e for e in live.events(key) if e.what in ("start", "saved")]
        for before, after in zip(steps, steps[1:], strict=False):
            if before.what == "saved" and after.what == "start":
                assert after.work_s == before.work_s, "goes on from what it saved last"


def check_books(live: LiveCut) -> dict[str, object]:
    """The day's journal verifies, and its accounts can be made again."""
    problems, proved = days.verify(live.day())
    assert problems == []
    assert days.replay(live.day())[0] == []
    return proved


@pytest.mark.slow
def test_a_quarter_less_within_the_deadline_and_nothing_lost(tmp_path: Path) -> None:
    with LiveCut(tmp_path, nodes=8) as live:
        keys = live.hand_over(100, saving=12, deaf=2, save_every_s=SAVES_EVERY_S)
        live.fill()
        time.sleep(2.5)  # a job that has just started is not told to save
        live.operator.forge(0.5)
        cut = live.cut(0.25, hold_s=1.0)
        assert cut.below_s <= DEADLINE_S, cut
        assert cut.stored_s < cut.intent_s < cut.below_s, cut
        assert cut.frozen, "there was no time for these to save"
        assert cut.victims - cut.frozen, "these saved and gave their nodes back"
        assert live.sight().working == live.accelerators - len(cut.victims), "none started in it"
        live.release(cut)
        states = [work.state for work in live.works()]
        assert states.count(WorkState.RUNNING) + states.count(WorkState.PLACED) == 100
        check_work(live, keys, deaf=2, cuts=1)
        assert {a.kind for a in live.store.alarms()} == {"forged_message"}
        assert live.stop() == 0
        proved = check_books(live)
    assert proved["segments"], POOL
