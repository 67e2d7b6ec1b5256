"""Frames of a live day come back from the journal as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.journal import Journal, frames
from gigafactory.runtime.live import frames as live


def _all() -> list[live.LiveFrame]:
    pool = live.PoolFact("a", "home", "H100", ("n0", "n1"), 8, 90_000, (700_000, 600_000))
    told = live.Told("k1", "release", "j1", "it is its turn", 0)
    work = live.columns_of(live.WORK, [(0, 1, 2, 0, 16, 2, 3, 5, 3600, 0)])
    moves = live.columns_of(live.MOVES, [(1, 0, 7, 16, 0, 128, 0, 0, 0)])
    return [
        live.Begin("live", "2026-11-28", "Europe/Amsterdam", (0, 9), "f", "ab", ("home",),
                   ("lab",), ("research",), (pool,)),
        live.Resumed(3, "crash", 12),
        live.WorkTaken(work, ("w1",), ("17",), ("train",)),
        live.Moves(moves, {"0": "it was its turn"}),
        live.OrderJudged("gopacs", "m1", "limit", "home", 5, 1, 2, 3, 4, -1, "", "accepted", "",
                         ""),
        live.IntentTold((told,), (), ("w1",), (-1,), (1000,), ("firm",)),
        live.Receipts((live.Answer("k1", "accepted"),)),
        live.Metered(
            0,
            2,
            np.zeros((1, len(live.POOL_COLUMNS)), np.int64),
            np.zeros((1, 1, len(live.GROUP_COLUMNS)), np.int64),
            np.zeros((1, len(live.SITE_COLUMNS)), np.int64),
        ),
        live.TroubleTold("manager_away", True, "a", "it hangs"),
        live.End("2026-11-29", 1),
    ]  # fmt: skip


def _plain(frame: live.LiveFrame) -> dict[str, object]:
    told = {name: getattr(frame, name) for name in type(frame).__dataclass_fields__}
    return {
        k: {n: a.tolist() for n, a in v.items()}
        if k == "columns"
        else v.tolist()
        if isinstance(v, np.ndarray)
        else v
        for k, v in told.items()
    }


def test_every_kind_comes_back(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.gfj") as journal:
        for at, frame in enumerate(_all()):
            live.write(journal, at, frame)
    found = [live.read(f) for f in frames(tmp_path / "j.gfj")]
    assert [type(f) for f in found] == [type(f) for f in _all()]
    for was, now in zip(_all(), found, strict=True):
        assert _plain(was) == _plain(now)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "j.gfj") as journal:
        journal.append("rumour", 0, {})
    with pytest.raises(ValueError, match="rumour"):
        live.read(next(frames(tmp_path / "j.gfj")))
