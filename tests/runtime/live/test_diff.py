"""The day as decided beside the day as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gigafactory.cli import main
from gigafactory.engine.errors import BadInput
from gigafactory.runtime.live import frames as f
from gigafactory.runtime.live.diff import diff, lines_of
from tests.runtime.live.made_day import PER_UWH, begin_of, write_day

MINUTE = 60 * 10**9
RESEARCH = 1


def told(first, minute, *commands, recorded):
    rows = tuple(f.Told(f"{minute}-{j}-{a}", a, j, "", 0) for a, j in commands)
    limits = (-1,)
    return first + minute * MINUTE, f.IntentTold(rows, (), (), (-1,), limits, ("",), recorded)


def a_day(path, *, recorded, starts=(5, 9), stop=None, limit=None, moves=()):
    """Half an hour by the minute: two jobs of eight, ordered at 3 and 4, really begun at `starts`.

    Args:
        stop: minute at which job 71 was to be paused.
        limit: first and last minute of a limit of 9 kW, which both jobs together exceed.
        moves: of more rows.
    """
    begin = begin_of(path, environment="shadow" if recorded else "live")
    pool, first = begin.pools[0], begin.edges_ns[0]
    rows = [(n, 0, RESEARCH, 0, 8, 1, 3, first, 7200, 0) for n in (0, 1)]
    frames = [
        (first, begin),
        (first, f.WorkTaken(f.columns_of(f.WORK, rows), ("w0", "w1"), ("70", "71"), ("", ""))),
    ]
    happened = [(f.START, n, first + t * MINUTE, 8, 0, 128, 0, 0, 0) for n, t in enumerate(starts)]
    happened += list(moves)
    for minute in range(30):
        a, b = first + minute * MINUTE, first + (minute + 1) * MINUTE
        if minute in (3, 4):
            frames.append(told(first, minute, ("release", f"7{minute - 3}"), recorded=recorded))
        if stop is not None and stop <= minute < (limit or (0, stop))[1] + 1:
            frames.append(told(first, minute, ("pause", "71"), recorded=recorded))
        mine = sorted((m for m in happened if a <= m[2] < b), key=lambda m: m[2])
        if mine:
            frames.append((b, f.Moves(f.columns_of(f.MOVES, mine))))
        on = sum(1 for t in starts if t <= minute)
        for m in moves:
            on -= m[2] <= a
        idle = 64 * MINUTE * pool.idle_mw // PER_UWH
        active = 8 * on * MINUTE * (pool.full_mw[RESEARCH] - pool.idle_mw) // PER_UWH
        pools = np.zeros((3, len(f.POOL_COLUMNS)), np.int64)
        pools[0] = (
            idle + active,
            idle + active,
            idle,
            1,
            0,
            *(64 * MINUTE,),
            0,
            64 * MINUTE,
            0,
            0,
            0,
        )
        groups = np.zeros((3, 5, len(f.GROUP_COLUMNS)), np.int64)
        groups[0, RESEARCH] = (8 * on * MINUTE, 8 * on * MINUTE, 0, 0, active)
        sites = np.zeros((2, len(f.SITE_COLUMNS)), np.int64)
        held = limit is not None and limit[0] <= minute <= limit[1]
        watts = (idle + active) * 3_600_000 // MINUTE
        over = MINUTE if held and watts > 9_000 else 0
        limit_w = 9_000 if held else -1
        sites[0] = (idle + active, 0, 0, 0, 1, watts, limit_w, 100_000_000, 0, 1, over)
        frames.append((b, f.Metered(a, b, pools, groups, sites)))
    return frames


EIGHT_UWH = 8 * MINUTE * 540_000 // PER_UWH  # of eight accelerators, a minute, above rest


def test_a_shadow_day_tells_what_acting_would_have_brought(live_factory, tmp_path):
    frames = a_day(live_factory, recorded=True, stop=12, limit=(12, 17))
    found = diff(write_day(tmp_path / "day", frames))
    a, b = found["decided"], found["happened"]
    assert (a["starts"], b["starts"]) == (2, 2)
    assert found["same_order"]
    assert [row["later_s"] for row in found["jobs"]] == [120.0, 300.0]
    assert b["waited_h"] - a["waited_h"] == pytest.approx(7 / 60)
    assert a["victims"] == ["w1"]
    assert b["victims"] == []
    # seven minutes earlier, and six minutes paused until the limit is lifted
    assert a["it_mwh"] - b["it_mwh"] == pytest.approx((7 - 6) * EIGHT_UWH / 1e12)
    assert a["energy_eur"] - b["energy_eur"] == pytest.approx(EIGHT_UWH / 1e12 * 100)
    assert b["minutes_over"] == 6
    assert a["minutes_over"] == 0
    assert found["minutes_kept"] == 6
    words = "\n".join(lines_of(found))
    assert "would have been" in words
    assert "exceeded for 6.00 minutes that acting would have kept" in words
    assert "To be stopped: w1. Stopped: none." in words
    first, second = (row for row in found["periods"] if row["site"] == "site0")
    assert first["limit_w"] == 9_000
    assert first["happened"]["minutes_over"] == 3
    assert second["decided"]["minutes_over"] == 0


def test_a_live_day_shows_how_late_and_in_which_order_it_went(live_factory, tmp_path):
    frames = a_day(live_factory, recorded=False, starts=(9, 5))
    found = diff(write_day(tmp_path / "day", frames))
    assert not found["same_order"]
    assert [row["later_s"] for row in found["jobs"]] == [360.0, 60.0]
    assert found["minutes_kept"] == 0
    assert "not in the order" in "\n".join(lines_of(found))


def test_a_job_runs_no_longer_as_decided_than_it_did(live_factory, tmp_path):
    begin = begin_of(live_factory)
    end = (f.FINISH, 0, begin.edges_ns[0] + 20 * MINUTE, 8, 0, 128, 0, 0, 0)
    found = diff(write_day(tmp_path / "day", a_day(live_factory, recorded=True, moves=(end,))))
    # job 70 would have run its 15 minutes from minute 3; job 71 began five minutes earlier
    assert found["decided"]["it_mwh"] - found["happened"]["it_mwh"] == pytest.approx(
        5 * EIGHT_UWH / 1e12
    )


def test_without_intents_the_days_are_the_same(live_factory, tmp_path):
    frames = [
        one for one in a_day(live_factory, recorded=False) if not isinstance(one[1], f.IntentTold)
    ]
    found = diff(write_day(tmp_path / "day", frames))
    same = ("starts", "waited_h", "it_mwh", "import_mwh", "energy_eur", "minutes_over")
    assert {k: found["decided"][k] for k in same} == {k: found["happened"][k] for k in same}


def test_the_command_tells_in_words_and_as_json(live_factory, tmp_path, capsys):
    folder = write_day(tmp_path / "day", a_day(live_factory, recorded=True))
    assert main(["diff", str(folder)]) == 0
    words = capsys.readouterr().out
    assert "jobs started" in words
    assert main(["diff", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(diff(folder)))


def test_nothing_metered_is_told(live_factory, tmp_path):
    begin = begin_of(live_factory)
    folder = write_day(tmp_path / "day", [(begin.edges_ns[0], begin)])
    with pytest.raises(BadInput, match="nothing to compare"):
        diff(folder)
    assert main(["diff", str(tmp_path)]) == 2
