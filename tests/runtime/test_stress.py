"""Days by the second with every job: limits, reserves, trips, books, and the same after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import frames
from gigafactory.ledger.facts import METERS, PAUSE
from gigafactory.runtime import stress as stressing
from gigafactory.runtime.replay import replay, verify
from gigafactory.runtime.run import Outcome, RunOptions, resume_run, start_run
from gigafactory.runtime.seconds import EXCEEDED, PAUSED, TRIP
from gigafactory.runtime.stress import DaySignals, Signals, Stress, full_ramp
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    small_factories,
    write_jobs,
)
from tests.golden.folders import GOLDEN, read
from tests.runtime.test_resume import Stopper

#: Nothing happens: no limit, no trip, no dip; 50 Hz is made by the tests that need it.
CALM = {"limits": 0, "trips": 0, "dips": 0}
FULL_MW = SmallSite((SmallPool(nodes=12),)).full_mw


def quiet_day(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Make every stress day one in which nothing happens but what is told."""

    def day(self: Signals, day: int, site: int, full_mw: float, afrr_mw: Any) -> DaySignals:
        count = 86_400
        hz = np.full(count, 50.0)
        limit, trip = np.full(count, np.inf), np.zeros(count, np.bool_)
        setpoint = np.zeros(count // 4)
        for name, values in (("hz", hz), ("limit", limit), ("trip", trip), ("setpoint", setpoint)):
            if name in changes:
                first, told = changes[name]
                values[first : first + len(told)] = told
        return DaySignals(hz, limit, trip, setpoint, (), ("a test", "made up", ""))

    monkeypatch.setattr(Signals, "day", day)


def run(place: Path, name: str, *, site: SmallSite | None = None, response: Any = None,
        stress: dict[str, Any] | None, days: int = 1, jobs: int = 300, load: float = 1.3,
        seed: int = 1, stop: Any = None, wear: str | None = None) -> Outcome:  # fmt: skip
    factory = SmallFactory((site or SmallSite((SmallPool(nodes=12),), 3.0),))
    changes: dict[str, Any] = {}
    if response is not None:
        changes["energy.response"] = [{"site": "site0", **response}]
    factory = replace(factory, changes=changes)
    path = place / f"{name}.yaml"
    made = factory.settings()
    if wear:
        made["energy"]["batteries"][0]["wear"] = wear
    path.write_text(json.dumps(made, default=str), "utf-8")
    options = RunOptions(
        str(path),
        jobs=str(write_jobs(place / f"{name}.csv", factory.pools, jobs, days, 5, load)),
        start=FIRST_DAY.isoformat(),
        days=days,
        seed=seed,
        yardstick="off",
        stress=stress,
    )
    return start_run(options, stop, out=place / name)


def seconds_of(outcome: Outcome) -> dict[str, Any]:
    table = pq.read_table(outcome.folder / "seconds.parquet")
    return {name: table.column(name).to_numpy() for name in table.column_names if name != "site"}


def moves_of(folder: Path) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for frame in frames(folder / "journal.gfj"):
        if frame.kind == "facts" and "move.job" in frame.arrays:
            a = frame.arrays
            columns = (a["move.kind"], a["move.job"], a["move.t_ns"])
            found += zip(*(c.tolist() for c in columns), strict=True)
    return found


@pytest.mark.slow
def test_without_anything_to_answer_jobs_fare_as_in_an_ordinary_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch)
    plain = run(tmp_path, "plain", stress=None)
    walked = run(tmp_path, "walked", stress={**CALM, "seconds": 3600})
    assert moves_of(walked.folder) == moves_of(plain.folder)
    assert len(seconds_of(walked)["unix_s"]) == 3600
    it = [o.summary["energy"]["it_mwh"] for o in (plain, walked)]
    assert it[0] == it[1]
    for key in ("cooling_mwh", "losses_mwh"):  # by the second, not of a mean
        a, b = (o.summary["energy"][key] for o in (plain, walked))
        assert a == pytest.approx(b, rel=1e-3)
    assert not verify(walked.folder)[1]


def test_golden_ramp_of_200_mhz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, due = (read(GOLDEN / "fcr-ramp", name) for name in ("ramp.yaml", "hand.yaml"))
    step = told["ramp_step_hz"]
    down = 50.0 - step * np.arange(told["ramp_s"] + 1)
    low = np.full(told["hold_s"], down[-1])
    up = low[-1] + step * np.arange(1, 2 * told["ramp_s"] + 1)
    high = np.full(told["hold_s"], up[-1])
    back = high[-1] - step * np.arange(1, told["ramp_s"] + 1)
    hz = np.concatenate([down, low, up, high, back])
    quiet_day(monkeypatch, hz=(0, hz))
    site = SmallSite((SmallPool(nodes=12),), 3.0, battery=1.0, battery_h=2.0)
    sold = 0.5 * FULL_MW
    answer = {"fcr": f"{sold} MW"}
    done = run(tmp_path, "ramp", site=site, response=answer, wear="9000 EUR/MWh",
               stress={**CALM, "seconds": 900})  # fmt: skip
    c = seconds_of(done)
    sold = float(done.summary["stress"]["sites"]["site0"]["fcr"]["contracted_mw"])
    up_mws = c["fcr_mw"].clip(0.0).sum() / sold
    down_mws = -c["fcr_mw"].clip(None, 0.0).sum() / sold
    assert up_mws == pytest.approx(due["up_s"], abs=1e-6)
    assert down_mws == pytest.approx(due["down_s"], abs=1e-6)
    for at, share in due["fcr_share_at"].items():
        assert c["fcr_mw"][int(at)] / sold == pytest.approx(share, abs=1e-9)
    # the battery, by hand: what it gives over 0.94, what it takes times 0.95
    flow = np.where(c["battery_mw"] > 0, c["battery_mw"] / 0.94, c["battery_mw"] * 0.95)
    assert np.diff(c["soc_mwh"]) == pytest.approx(-flow[1:] / 3600.0, abs=1e-9)
    assert c["battery_mw"] == pytest.approx(c["fcr_mw"], abs=1e-9)
    gone = sold * (due["up_s"] / 0.94 - due["down_s"] * 0.95) / 3600.0
    begin = c["soc_mwh"][0] + flow[0] / 3600.0
    assert begin - c["soc_mwh"][-1] == pytest.approx(gone, abs=1e-6)
    fcr = done.summary["stress"]["sites"]["site0"]["fcr"]
    assert fcr["within_share"] == 1.0
    assert fcr["outside_reserve_s"] == 0
    # nothing is sold by day here: what the file holds is owed in every second, and not paid
    site0 = done.summary["stress"]["sites"]["site0"]
    assert (site0["sold_by"], site0["pay"]) == ("response", None)
    assert set(c["fcr_sold_mw"]) == {sold}
    assert done.summary["money"]["paid_eur"]["fcr_capacity"] == 0.0


@pytest.mark.slow
def test_a_trip_is_met_and_work_comes_back_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch, trip=(20_000, np.ones(90, np.bool_)))
    site = SmallSite((SmallPool(nodes=12),), 2.0, battery=0.5, battery_h=2.0)
    answer = {"ups": f"{2 * FULL_MW} MW", "ups_lasting": "60 s"}
    done = run(tmp_path, "trip", site=site, response=answer, stress={**CALM, "seconds": 25_200})
    c = seconds_of(done)
    off = (c["flags"].astype(int) & TRIP) != 0
    assert off.sum() == 90
    assert np.abs(c["import_mw"][off]).max() < 1e-9
    assert c["shortfall_mw"].max() < 1e-9, "battery and supplies carry what cannot be shed"
    assert c["throttled_mw"][off].max() > 0.0
    assert c["paused_mw"].max() > 0.0
    after = np.flatnonzero(off)[-1] + 1
    last = {n: int(np.flatnonzero(c[f"{n}_mw"] > 1e-6)[-1]) for n in ("paused", "throttled")}
    assert after < last["paused"] <= last["throttled"], "paused work is back before slowed work"
    end = last["throttled"] + 60
    assert (c["flags"].astype(int)[end:] & PAUSED).max() == 0
    assert any(kind == PAUSE for kind, _, _ in moves_of(done.folder))
    block = done.summary["stress"]["sites"]["site0"]
    # real-time work has no contract: what it gave is beyond it, and paid
    assert block["beyond_mwh"]["inference_realtime"] > 0.0
    assert block["paid_eur"] > 0.0
    assert done.summary["money"]["paid_eur"]["breach"] == block["paid_eur"]
    meter = [f.arrays["meter"] for f in frames(done.folder / "journal.gfj") if f.kind == "facts"]
    told = sum(int(m[0, METERS.index("breach_micro_eur")]) for m in meter)
    assert told == round(block["paid_eur"] * 1e6)
    assert block["exceeded_s"] == ((c["flags"].astype(int) & EXCEEDED) != 0).sum()
    assert not verify(done.folder)[1]
    assert not replay(done.folder)[1]


@pytest.mark.slow
def test_a_long_trip_cuts_work_off_and_it_begins_again_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch, trip=(20_000, np.ones(600, np.bool_)))
    site = SmallSite((SmallPool(nodes=12),), 2.0)
    done = run(tmp_path, "dark", site=site, stress={**CALM, "seconds": 25_200})
    c = seconds_of(done)
    off = (c["flags"].astype(int) & TRIP) != 0
    assert c["it_mw"][off].max() == 0.0
    assert done.summary["stress"]["sites"]["site0"]["cut_s"] > 0
    assert done.summary["accelerator_hours"]["lost_response"] > 0.0
    assert c["it_mw"][-1] > 0.3 * c["it_mw"][19_999], "nodes came back"
    assert not verify(done.folder)[1]


@pytest.mark.slow
def test_a_limit_with_notice_is_kept_without_a_battery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch, limit=(20_000, np.full(1800, 0.55 * FULL_MW)))
    done = run(tmp_path, "limit", stress={**CALM, "seconds": 25_200})
    c = seconds_of(done)
    assert (c["import_mw"] <= c["limit_mw"] + 1e-4).all()
    assert c["throttled_mw"][19_950:20_000].max() > 0.0, "work gives way before the limit comes"
    block = done.summary["stress"]["sites"]["site0"]
    assert block["above_limit_s"] == 0
    assert block["cut_s"] == 0
    assert c["import_mw"][24_000] > c["import_mw"][21_000]


@pytest.mark.slow
def test_afrr_is_followed_by_battery_and_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch, setpoint=(2000, np.full(900, 0.3 * FULL_MW)))
    site = SmallSite((SmallPool(nodes=12),), 3.0, battery=0.5, battery_h=1.5)
    answer = {"afrr_up": f"{0.3 * FULL_MW} MW"}
    done = run(tmp_path, "afrr", site=site, response=answer, stress={**CALM, "seconds": 12_600})
    block = done.summary["stress"]["sites"]["site0"]
    assert block["afrr"]["within_share"] >= 0.999
    assert block["afrr"]["up_mwh"] == pytest.approx(0.3 * FULL_MW, rel=0.05)


@pytest.mark.slow
@settings(max_examples=4, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(small_factories(), st.integers(0, 2**20), st.sampled_from(["synthetic", "ramp"]))
def test_no_limit_is_exceeded_in_any_second(tmp_path_factory, factory, seed, trace):
    place = tmp_path_factory.mktemp("random")
    options = RunOptions(
        str(factory.write(place / "factory.yaml")),
        jobs=str(write_jobs(place / "jobs.csv", factory.pools, 200, 1.2, seed)),
        start=FIRST_DAY.isoformat(),
        days=2,
        seed=seed,
        yardstick="off",
        stress={"trace": trace, "begin": 1, "limits": 2, "trips": 1, "dips": 2, "seconds": 5400},
    )
    done = start_run(options, out=place / "run")
    for name, site in done.summary["stress"]["sites"].items():
        assert site["above_limit_s"] == 0, name
    table = pq.read_table(done.folder / "seconds.parquet").to_pandas()
    over = table["import_mw"] > table["limit_mw"] + 1e-4
    assert not over.any(), table[over].iloc[0].to_dict()
    working = (table["shortfall_mw"] > 1e-4) & (table["it_mw"] > 1e-4)
    assert not working.any(), table[working].iloc[0].to_dict()  # short only of what is no work
    assert not verify(done.folder)[1]
    assert not replay(done.folder)[1]


@pytest.mark.slow
def test_stopped_and_resumed_is_undisturbed(tmp_path: Path) -> None:
    site = SmallSite((SmallPool(nodes=8),), 1.1, battery=0.5)
    answer = {"fcr": f"{0.1 * site.full_mw} MW", "fcr_recovery": f"{0.05 * site.full_mw} MW"}
    stress = {"limits": 3, "trips": 2, "dips": 2, "seconds": 7200}
    kept = {"site": site, "response": answer, "stress": stress, "days": 3}
    whole = run(tmp_path, "whole", **kept)
    stopped = run(tmp_path, "stopped", stop=Stopper(1), **kept)
    assert not stopped.complete
    assert not verify(stopped.folder)[1]
    resumed = resume_run(tmp_path / "stopped")
    assert resumed.complete
    assert resumed.summary["digest"] == whole.summary["digest"]
    for name in ("journal.gfj", "jobs.parquet", "accounts.parquet", "seconds.parquet"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert resumed.summary["stress"] == whole.summary["stress"]
    assert not (resumed.folder / "seconds").exists()


def test_verify_sees_a_changed_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_day(monkeypatch)
    done = run(tmp_path, "changed", stress={**CALM, "seconds": 900})
    path = done.folder / "seconds.parquet"
    table = pq.read_table(path)
    values = table.column("import_mw").to_numpy().copy()
    values[7] += 1.0
    at = table.column_names.index("import_mw")
    pq.write_table(table.set_column(at, "import_mw", pa.array(values)), path)
    whys = [p.why for p in verify(done.folder)[1]]
    assert any("journal says of day 0" in why for why in whys)


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        run(tmp_path, "none", stress={"trace": "loud", "begin": 4, "limits": 99, "seconds": 901})
    said = {p.where for p in caught.value.problems}
    assert said == {"--second-trace", "--stress-begin", "--limits", "--seconds"}
    with pytest.raises(BadInput) as caught:
        run(tmp_path, "none", response={"fcr": "900 MW"}, stress=dict(CALM))
    assert "energy.response, site site0" in {p.where for p in caught.value.problems}
    assert not (tmp_path / "none").exists()


def test_the_ramp_reaches_both_ends_and_comes_back() -> None:
    ramp = full_ramp()
    assert (ramp.min(), ramp.max()) == (49.8, 50.2)
    assert (ramp[0], ramp[-1]) == (50.0, 50.0)
    assert len(ramp) == 4 * stressing.RAMP_S + 2 * stressing.RAMP_HOLD_S


def test_days_are_the_same_whenever_they_are_drawn() -> None:
    stress = Stress(seconds=None)
    from gigafactory.grid import MarketCalendar

    calendar = MarketCalendar.of(FIRST_DAY, 3, "Europe/Amsterdam")
    one, other = Signals(stress, calendar, 5), Signals(stress, calendar, 5)
    other.day(0, 0, 100.0, (5.0, 5.0))
    a, b = one.day(2, 0, 100.0, (5.0, 5.0)), other.day(2, 0, 100.0, (5.0, 5.0))
    for name in ("frequency_hz", "limit_mw", "trip", "setpoint_mw"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.ride == b.ride
    assert np.abs(np.diff(a.setpoint_mw)).max() <= 5.0 / stressing.AFRR_RISE_S * 4 + 1e-12
