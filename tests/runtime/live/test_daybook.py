"""The journals of live days: torn ends, full disks, midnights that nothing could be written at."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gigafactory.engine.journal import recover
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import DayBook, day_at, day_path, days_in, live_frames
from gigafactory.units import NS_PER_S
from tests.runtime.live.bench import NOON

BEGIN = live.Begin("live", "", "Europe/Amsterdam", (0, 1), "f", "00", (), (), (), ())


def trouble(n: int) -> live.TroubleTold:
    return live.TroubleTold("meter_away", True, str(n), "x" * 400)


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """A disk that is full: the kernel lets no file grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def abouts(folder: Path) -> list[str]:
    return [f.about for d in days_in(folder) for _, f in live_frames(day_path(folder, d))
            if isinstance(f, live.TroubleTold)]  # fmt: skip


@pytest.mark.parametrize("room", [60, 700, 1500, 2600])
def test_nothing_is_missing_after_a_full_disk_even_over_midnight(tmp_path: Path, room: int) -> None:
    book = DayBook(tmp_path)
    book.begin("2026-11-25", 1, BEGIN)
    book.write(2, trouble(0))
    assert book.sync()
    size = day_path(tmp_path, "2026-11-25").stat().st_size
    with files_no_longer_than(size + room):
        for n in range(1, 8):
            book.write(2 + n, trouble(n))
        assert not book.sync()
        assert book.full
        book.begin("2026-11-26", 20, BEGIN)
        for n in range(8, 16):
            book.write(20 + n, trouble(n))
            book.sync()
        assert book.full
    assert book.sync()
    assert not book.full
    book.write(50, trouble(16))
    book.close()
    assert abouts(tmp_path) == [str(n) for n in range(17)]
    second = next(f for _, f in live_frames(day_path(tmp_path, "2026-11-26")))
    assert isinstance(second, live.Begin)
    assert second.previous_day == "2026-11-25"
    assert second.previous_head == recover(day_path(tmp_path, "2026-11-25")).head


@pytest.mark.parametrize("cut", [1, 37, 60, 400])
def test_a_torn_end_is_cut_and_the_rest_goes_on(tmp_path: Path, cut: int) -> None:
    book = DayBook(tmp_path)
    book.begin("2026-11-25", 1, BEGIN)
    for n in range(3):
        book.write(n, trouble(n))
    book.close()
    path = day_path(tmp_path, "2026-11-25")
    path.write_bytes(path.read_bytes()[:-cut])
    again = DayBook(tmp_path)
    found = again.resume("2026-11-25")
    assert found.torn_bytes > 0
    again.write(9, trouble(9))
    again.close()
    kept = abouts(tmp_path)
    assert kept[-1] == "9"
    assert kept[:-1] == [str(n) for n in range(len(kept) - 1)]


def test_days_are_local() -> None:
    assert day_at(NOON, "Europe/Amsterdam").name == "2026-11-25"
    late = NOON + 11 * 3600 * NS_PER_S + 1800 * NS_PER_S
    assert day_at(late, "Europe/Amsterdam").name == "2026-11-25"
    assert day_at(late + 1800 * NS_PER_S, "Europe/Amsterdam").name == "2026-11-26"
    spring = day_at(1_774_737_000 * NS_PER_S, "Europe/Amsterdam")  # 2026-03-28T22:30Z
    assert (spring.name, len(spring.edges_ns) - 1) == ("2026-03-28", 96)
    assert len(day_at(spring.end_ns, "Europe/Amsterdam").edges_ns) - 1 == 92
