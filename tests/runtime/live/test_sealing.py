"""Receipts of market periods reach the store once, whatever happens in between."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from gigafactory.factory import load_factory
from gigafactory.runtime.live import days
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.accounting import SUMMED, book_of, receipts_of
from gigafactory.runtime.live.metering import Correction
from gigafactory.runtime.live.sealing import Sealer, late_receipts, seal_day
from tests.runtime.live.made_day import MadeDay, begin_of, write_day


class Kept:
    """A store that keeps one receipt per work and key, and refuses another under the same."""

    def __init__(self):
        self.rows = {}
        self.away = False

    def put(self, rows):
        if self.away:
            raise ConnectionError("the store is away")
        for row in rows:
            before = self.rows.setdefault((row.work, row.day), row.body)
            assert before == row.body, "another receipt under the same key"

    def sums(self):
        total = Counter()
        for (work, _), body in self.rows.items():
            for name in SUMMED:
                total[work, name] += body[name]
        return total


def test_a_day_sealed_as_it_goes_and_again_from_its_journal(live_factory, tmp_path):
    factory = load_factory(live_factory)
    made = MadeDay(begin_of(live_factory), 21, 300 * 10**9)
    frames = made.frames(120)
    kept, sealed = Kept(), 0
    sealer = Sealer(factory, kept.put)
    assert sealer.due == 0
    for n, (at_ns, frame) in enumerate(frames):
        sealer.take(frame)
        kept.away = 50 < n < 90
        if kept.away and sealer.due:
            with pytest.raises(ConnectionError):
                sealer.seal(at_ns)
        else:
            sealed += sealer.seal(at_ns)
    assert sealed == sealer.sealed == 40
    assert sealer.due == 0
    folder = write_day(tmp_path / "day", frames)
    shutil.copy(live_factory, folder / "factory.yaml")
    before = dict(kept.rows)
    assert seal_day(folder, kept.put, 7) == 40
    assert kept.rows == before
    had = receipts_of(book_of(sealer.gather, factory, 40))
    sums = kept.sums()
    for number, row in had.items():
        assert {n: sums[sealer.gather.jobs[number].key, n] for n in SUMMED} == row


@pytest.mark.slow
def test_a_new_day_starts_afresh_and_late_data_has_receipts_of_its_own(live_factory, tmp_path):
    factory = load_factory(live_factory)
    made = MadeDay(begin_of(live_factory), 22, 900 * 10**9)
    frames = made.frames(10**4, end=True)
    kept = Kept()
    sealer = Sealer(factory, kept.put)
    for at_ns, frame in frames:
        sealer.take(frame)
        if isinstance(frame, f.End):
            sealer.seal(at_ns)
    assert sealer.sealed == 96
    sealer.take(begin_of(live_factory, "2025-01-16"))
    assert (sealer.sealed, sealer.due) == (0, 0)
    folder = write_day(tmp_path / "2025-01-15", frames)
    shutil.copy(live_factory, folder / "factory.yaml")
    assert late_receipts(folder, 1) == []
    busy = [k for k in range(96) if made_ran(folder, k)][:2]
    late = [Correction(k, "it_wh", "pool00", 500, "read by hand") for k in busy]
    days.correct(folder, late, 1)
    kept.put(late_receipts(folder, 2))
    kept.put(late_receipts(folder, 3))
    day = days.read_day(folder)
    sums = kept.sums()
    for number, row in receipts_of(book_of(day.gather, factory)).items():
        assert {n: sums[day.gather.jobs[number].key, n] for n in SUMMED} == row
    reasons = {body.get("reason") for (_, key), body in kept.rows.items() if "late" in key}
    assert reasons == {"read by hand"}


def made_ran(folder, period):
    """Whether anything ran in the first pool in a period."""
    gather = days.read_day(folder).gather
    return bool(gather.group[period, 0, :, 0].any())
