"""Stress days of a site that sells reserves by day: what was sold is delivered and paid for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gigafactory.engine.journal import frames
from gigafactory.ledger.facts import METERS
from gigafactory.planner.band import Promise
from gigafactory.report import write_report
from gigafactory.runtime.replay import rebuild, replay, verify
from gigafactory.runtime.reserves import ReserveDesk, Sale
from gigafactory.runtime.run import Outcome, RunOptions, resume_run, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    small_sites,
    write_jobs,
)
from tests.runtime.test_resume import Stopper
from tests.runtime.test_stress import CALM, quiet_day

SITE = SmallSite((SmallPool("H100", 900),), 2.5, battery=1.0, battery_h=4.0, export=0.3)
BLOCK = {"site": "site0", "fcr": "2 MW", "afrr_up": "3 MW", "afrr_down": "3 MW"}
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
M = {name: i for i, name in enumerate(METERS)}
PRODUCTS = ("fcr", "afrr_up", "afrr_down")
HOURS = 0.25


def run(place: Path, name: str, *, stress: dict[str, Any] | None, days: int = 1,
        response: dict[str, Any] | None = None, site: SmallSite = SITE, stop: Any = None,
        seed: int = 4, reporter: Any = None,
        block: dict[str, Any] | None = None) -> Outcome:  # fmt: skip
    changes: dict[str, Any] = {"energy.reserves": [block or BLOCK]}
    if response is not None:
        changes["energy.response"] = [{"site": "site0", **response}]
    factory = SmallFactory((site,), changes=changes)
    options = RunOptions(
        str(factory.write(place / f"{name}.yaml")),
        jobs=str(write_jobs(place / f"{name}.csv", factory.pools, 120, days * 0.9, 5)),
        start=FIRST_DAY.isoformat(),
        days=days,
        seed=seed,
        yardstick="off",
        stress=stress,
    )
    return start_run(options, stop, out=place / name, reporter=reporter)


def promise_by(monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[float]], every: int) -> None:
    """Let a day's promise be what is told, so many periods each."""

    def begin(self: ReserveDesk, day: int) -> None:
        span = self.calendar.day_slice(day)
        n = span.stop - span.start
        wide = {k: np.resize(np.repeat(v, every), n) for k, v in rows.items()}
        none = np.zeros(n)
        self.today = Promise(wide.get("fcr", none), wide.get("up", none), none,
                             wide.get("down", none))  # fmt: skip
        self.tomorrow = Promise.none(0)
        self._today = self._calls(span)

    monkeypatch.setattr(ReserveDesk, "begin", begin)


def seconds_of(outcome: Outcome) -> dict[str, Any]:
    table = pq.read_table(outcome.folder / "seconds.parquet")
    return {name: table.column(name).to_numpy() for name in table.column_names if name != "site"}


def meters_of(outcome: Outcome) -> dict[str, Any]:
    rows = [
        f.arrays["meter"][0] for f in frames(outcome.folder / "journal.gfj") if f.kind == "facts"
    ]
    return {name: np.array(rows)[:, at] for name, at in M.items()}


def test_what_was_sold_for_a_block_is_delivered_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of half an hour: 2 MW, nothing, 1 MW; the frequency stands 100 mHz low."""
    quiet_day(monkeypatch, hz=(0, np.full(5400, 49.9)))
    promise_by(monkeypatch, {"fcr": [2.0, 0.0, 1.0], "up": [3.0, 3.0, 0.0]}, 2)
    done = run(tmp_path, "blocks", stress={**CALM, "seconds": 5400}, reporter=write_report)
    c, m = seconds_of(done), meters_of(done)
    for first, sold in ((0, 2.0), (1800, 0.0), (3600, 1.0)):
        part = slice(first, first + 1800)
        assert set(c["fcr_sold_mw"][part]) == {sold}
        # two seconds to get there when a block begins, and none to stop when nothing is sold
        assert c["fcr_mw"][first + 2 : first + 1800] == pytest.approx(0.5 * sold, abs=1e-9)
        assert np.abs(c["fcr_mw"][part]).max() <= 0.5 * sold + 1e-9
    up = c["afrr_up_sold_mw"]
    assert (c["setpoint_mw"] <= up + 1e-9).all()
    block = done.summary["stress"]["sites"]["site0"]
    assert block["sold_by"] == "auctions"
    assert block["fcr"]["sold_s"] == 3600
    assert block["fcr"]["within_share"] >= 0.999
    assert block["above_limit_s"] == 0
    # the meters that are paid by hold what was sold and called, in Wh
    sold_wh = np.array([2, 2, 0, 0, 1, 1]) * HOURS * 1e6
    assert m["fcr_sold_wh"][:6].tolist() == sold_wh.tolist()
    assert m["fcr_up_wh"][:6] == pytest.approx(0.5 * sold_wh, abs=1.0)
    assert not m["fcr_withheld_wh"][:6].any()
    assert m["afrr_up_sold_wh"][:6].tolist() == [750_000] * 4 + [0, 0]
    asked = c["setpoint_mw"].clip(0.0).reshape(6, 900).mean(axis=1) * HOURS * 1e6
    assert m["afrr_up_asked_wh"][:6] == pytest.approx(asked, abs=1.0)
    # and the rest of the day, which is no stress, goes on as an ordinary one
    assert m["fcr_sold_wh"][6:].any()
    pay = {row["product"]: row for row in block["pay"]}
    price = m["fcr_price_micro_eur"][:6] / 1e6
    assert pay["fcr"]["capacity_eur"] == pytest.approx(float(sold_wh @ price) / 1e6)
    assert pay["fcr"]["energy_eur"] == pay["fcr"]["withheld_eur"] == 0.0
    paid = done.summary["money"]["paid_eur"]
    assert paid["fcr_capacity"] < 0.0
    assert done.summary["conservation"]["holds"]
    assert not verify(done.folder)[1]
    assert not replay(done.folder)[1]
    told = (done.folder / "report.html").read_text("utf-8")
    assert "had been sold at the auctions for the day" in told
    assert "sold for the days by the second" in told


def test_a_trip_withholds_the_pay_of_its_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch, trip=(450, np.ones(90, np.bool_)))
    promise_by(monkeypatch, {"fcr": [2.0]}, 96)
    answer = {"ups": f"{2 * SITE.full_mw} MW", "ups_lasting": "2 min"}
    done = run(tmp_path, "trip", stress={**CALM, "seconds": 1800}, response=answer)
    m = meters_of(done)
    assert m["fcr_withheld_wh"][0] == pytest.approx(0.1 * 500_000, rel=0.02)
    assert m["fcr_withheld_wh"][1] == 0
    pay = {row["product"]: row for row in done.summary["stress"]["sites"]["site0"]["pay"]}
    price = m["fcr_price_micro_eur"][0] / 1e6
    assert pay["fcr"]["withheld_eur"] == pytest.approx(m["fcr_withheld_wh"][0] * price / 1e6)
    withheld = done.summary["money"]["paid_eur"]["reserve_penalty"]
    assert withheld >= pay["fcr"]["withheld_eur"] - 1e-5  # the ledger holds whole micro-euro
    assert not verify(done.folder)[1]


@pytest.mark.slow
def test_the_desk_sells_for_stress_days_what_the_response_lets_it(tmp_path: Path) -> None:
    """Bid the day before as ever; less for a stress day; the same bytes after a stop."""
    stress = {"begin": 2, "limits": 2, "trips": 1, "dips": 1, "seconds": 2700}
    kept = {"stress": stress, "days": 4, "response": {"fcr": "1 MW", "fcr_recovery": "1 MW"}}
    whole = run(tmp_path, "whole", **kept)
    plain = run(tmp_path, "plain", stress=None, days=4)
    _, trace, _, _ = rebuild(whole.folder)
    _, usual, _, _ = rebuild(plain.folder)
    by_day = {(sale.day, sale.auction): sale for sale in trace.sales}
    assert by_day[1, "fcr"] == {(s.day, s.auction): s for s in usual.sales}[1, "fcr"]
    assert max(sale.sold_mwh["fcr"] for sale in trace.sales if sale.auction == "fcr") > 24.0
    for day in (2, 3):
        assert by_day[day, "fcr"].sold_mwh["fcr"] <= 24.0, "1 MW, and not the 2 of other days"
    c = seconds_of(whole)
    assert c["fcr_sold_mw"].max() <= 1.0
    site = whole.summary["stress"]["sites"]["site0"]
    assert site["above_limit_s"] == 0
    # what stands in the journal as sold is what is owed in the seconds, period by period
    told = [f for f in frames(whole.folder / "journal.gfj") if f.kind == "reserve"]
    sold = {f.fields["day"]: f.arrays["won_mw.fcr"] for f in told if f.fields["auction"] == "fcr"}
    for k, day in enumerate((2, 3)):
        part = c["fcr_sold_mw"][2700 * k : 2700 * (k + 1)]
        assert set(part) == {sold[day][0]}
    assert [Sale.of(dict(f.fields)) for f in told] == trace.sales
    assert not verify(whole.folder)[1]
    stopped = run(tmp_path, "stopped", stop=Stopper(3), **kept)
    assert not stopped.complete
    resumed = resume_run(tmp_path / "stopped")
    assert resumed.summary["digest"] == whole.summary["digest"]
    for name in ("journal.gfj", "accounts.parquet", "seconds.parquet"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("meter", ["fcr_sold_wh", "afrr_up_asked_wh"])
def test_verify_sees_what_the_seconds_do_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meter: str
) -> None:
    """A meter that says more was sold, or called, than in the seconds is told from a true one."""
    from gigafactory.adapters import twin

    quiet_day(monkeypatch)
    promise_by(monkeypatch, {"fcr": [2.0]}, 96)
    honest = twin.read_reserves

    def generous(*given: Any) -> dict[str, int]:
        found = honest(*given)
        return found | {meter: found.get(meter, 0) + 1000}

    monkeypatch.setattr(twin, "read_reserves", generous)
    done = run(tmp_path, "generous", stress={**CALM, "seconds": 900})
    problems = verify(done.folder)[1]
    assert any(p.field == meter and "seconds come to" in p.why for p in problems)


@pytest.mark.slow
def test_an_outage_of_the_grid_suspends_what_was_sold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an ordinary run nothing is owed or paid while the grid is away; the books agree."""
    promise_by(monkeypatch, {"fcr": [2.0], "up": [3.0]}, 96)
    factory = SmallFactory((SITE,), changes={"energy.reserves": [BLOCK]})
    day = FIRST_DAY.isoformat()
    outage = {"kind": "grid_outage", "site": "site0"}
    outage |= {"from": f"{day}T00:30:00", "until": f"{day}T01:00:00"}
    words = {"en": "dark", "nl": "donker"}
    told = {"name": "dark", "title": words, "explanation": words, "events": [outage]}
    (tmp_path / "dark.yaml").write_text(json.dumps(told), "utf-8")
    options = RunOptions(
        str(factory.write(tmp_path / "factory.yaml")),
        str(tmp_path / "dark.yaml"),
        jobs=str(write_jobs(tmp_path / "jobs.csv", factory.pools, 120, 0.9, 5)),
        start=day,
        days=1,
        yardstick="off",
        stress={**CALM, "seconds": 7200},
    )
    done = start_run(options, out=tmp_path / "run")
    c, m = seconds_of(done), meters_of(done)
    assert set(c["fcr_sold_mw"][:1800]) == {2.0}
    assert not c["fcr_sold_mw"][1800:3600].any()
    assert not np.abs(c["fcr_mw"][1800:3600]).any()
    assert m["fcr_sold_wh"][:2].tolist() == [500_000] * 2
    assert not m["fcr_sold_wh"][2:4].any()
    assert not verify(done.folder)[1]


def documented(heading: str, table: int = 0) -> list[str]:
    text = (REFERENCE / "summary.md").read_text("utf-8").split(f"\n## {heading}\n")[1]
    rows = text.split("|---|---|\n")[table + 1].split("\n\n")[0].splitlines()
    return [name for row in rows for name in row.split("|")[1].strip().split(", ")]


def test_every_field_of_a_site_is_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet_day(monkeypatch)
    promise_by(monkeypatch, {"fcr": [2.0], "up": [3.0]}, 96)
    done = run(tmp_path, "fields", stress={**CALM, "seconds": 900})
    site = done.summary["stress"]["sites"]["site0"]
    site["swing"] = site["swing"] or {}

    def leaves(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            for name, item in value.items():
                below = "<class>" if key in ("shed_mwh", "beyond_mwh") else name
                yield from leaves(item, f"{key}.{below}" if key else below)
        else:
            yield key

    names = {name for name in documented("Days by the second") if not name.startswith("swing.")}
    assert {key for key in leaves(site) if not key.startswith("swing.")} == names
    assert {row["day"] for row in site["pay"]} == {FIRST_DAY.isoformat()}
    of_all = {*site["pay"][0]} - {"day"}
    assert of_all | {"schedule_cost_eur"} == set(done.summary["reserves"]["products"][0])


@pytest.mark.slow
@settings(max_examples=3, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(small_sites(), st.lists(st.sampled_from([0.0, 0.1, 0.25]), min_size=3, max_size=3),
       st.integers(0, 2**20), st.sampled_from(["synthetic", "ramp"]))  # fmt: skip
def test_no_limit_is_exceeded_whatever_is_sold(tmp_path_factory, site, shares, seed, trace):
    """Promises that change every quarter: no second above a limit, none that gives unsold FCR."""
    place = tmp_path_factory.mktemp("random")
    times = int(np.ceil(6.0 / site.full_mw))  # large enough for whole megawatts
    pools = tuple(replace(p, nodes=times * p.nodes, late=times * p.late) for p in site.pools)
    site = replace(site, pools=pools, battery=1.0, battery_h=4.0, dark_days=0)
    most = 0.25 * site.full_mw
    block = BLOCK | dict.fromkeys(("fcr", "afrr_up", "afrr_down"), f"{most:.3f} MW")
    fcr, up, down = (share * site.full_mw * 0.999 for share in shares)
    rows = {"fcr": [fcr, 0.0, most / 2], "up": [0.0, up, up], "down": [down, down, 0.0]}
    with pytest.MonkeyPatch.context() as patch:
        promise_by(patch, rows, 1)
        done = run(place, "run", site=site, days=1, block=block, seed=seed,
                   stress={"trace": trace, "limits": 2, "trips": 1, "dips": 2,
                           "seconds": 5400})  # fmt: skip
    c = seconds_of(done)
    assert done.summary["stress"]["sites"]["site0"]["above_limit_s"] == 0
    assert (c["import_mw"] <= c["limit_mw"] + 1e-4).all()
    assert (np.abs(c["fcr_mw"]) <= c["fcr_sold_mw"] + 1e-9).all()
    assert (c["setpoint_mw"] <= c["afrr_up_sold_mw"] + 1e-9).all()
    assert (c["setpoint_mw"] >= -c["afrr_down_sold_mw"] - 1e-9).all()
    assert not verify(done.folder)[1]
    assert not replay(done.folder)[1]
