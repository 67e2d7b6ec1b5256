"""Contracts of a connection in whole runs: limits, no look-ahead, resumption, proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gigafactory.engine.journal import frames
from gigafactory.factory import load_factory
from gigafactory.grid import MarketCalendar
from gigafactory.grid.rights import hours_of_year
from gigafactory.runtime.replay import replay, verify
from gigafactory.runtime.run import RunOptions, resume_run, start_run
from gigafactory.runtime.transport import transport_of
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
    write_scenario,
)
from gigafactory.units import NS_PER_H
from tests.runtime.test_resume import Stopper

HOURS = {"per_year": 366, "start": 6, "end": 20, "duration": "2 h"}


def contracts(full_mw: float, **changes: Any) -> dict[str, Any]:
    """Settings of a connection with every kind of contract, called nearly every day."""
    line = "sites.site0.connection."
    part = f"{full_mw * 0.4:.6f} MW"
    less = f"{full_mw * 0.1:.6f} MW"
    return {
        f"{line}rights": [
            {"name": "loose", "form": "duration_bound", "capacity": part},
            {"name": "any", "form": "fully_variable", "capacity": less},
            {
                "name": "night",
                "form": "time_block",
                "capacity": less,
                "blocks": [{"start": 0, "end": 6}, {"start": 22, "end": 24}],
            },
        ],
        f"{line}tariff": {
            "contract": "48 EUR/kW",
            "peak": "4 EUR/kW",
            "fixed": "2760 EUR/y",
        },
        f"{line}ramp": "20 %",
        f"{line}congestion": {
            "restrictions": {"calls": HOURS, "remaining": "20 %", "late": "30 %"},
            "steering": {
                "capacity": less,
                "price": "100 EUR/MWh",
                "hours_max": 100,
                "notice": "30 min",
                "calls": HOURS | {"start": 8, "duration": "1 h"},
            },
            "redispatch": {
                "capacity": less,
                "price_max": "5000 EUR/MWh",
                "baseline": "schedule",
                "calls": HOURS | {"per_year": 200},
            },
        },
        **changes,
    }


def options(place: Path, days: int, seed: int = 3, **changes: Any) -> RunOptions:
    site = SmallSite((SmallPool("H100", 6),), 0.7, battery=0.3)
    factory = SmallFactory((site,), changes=contracts(site.full_mw, **changes))
    return RunOptions(
        factory=str(factory.write(place / "factory.yaml")),
        jobs=str(write_jobs(place / "jobs.csv", factory.pools, 300, days - 0.5, 11)),
        start=FIRST_DAY.isoformat(),
        days=days,
        seed=seed,
        yardstick="off",
    )


def within_limits(folder: Path, options_: RunOptions) -> None:
    """Import stays within the limit, the limit within the rights; told in time; books balance."""
    told = pq.read_table(folder / "series.parquet").to_pandas()
    forms = ("firm", "fully_variable", "duration_bound", "time_block")
    rights = sum(told[f"right_{form}_mw"] for form in forms)
    assert (told.import_mw <= told.limit_mw + 4e-6).all()
    assert (told.limit_mw <= rights + 1e-9).all()
    zone = MarketCalendar.of(FIRST_DAY, options_.days or 1)
    for frame in frames(folder / "journal.gfj"):
        said = frame.fields
        if frame.kind != "congestion":
            continue
        assert said["announced_ns"] <= frame.tick_ns <= said["start_ns"]
        if (said["what"], said["key"]) == ("restriction", "loose"):
            day = int(np.searchsorted(zone.start_ns[zone.day_edges], said["start_ns"], "right")) - 1
            due = zone.local_ns(day - 1, 8, 30)
            assert said["accepted"] == (said["announced_ns"] <= due)
    found, problems, _ = verify(folder)
    assert not problems
    assert not replay(found)[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunOptions, Path]:
    place = tmp_path_factory.mktemp("transport")
    asked = options(place, 4)
    start_run(asked, out=place / "run")
    return asked, place / "run"


def test_import_stays_within_what_contracts_allow(whole: tuple[RunOptions, Path]) -> None:
    asked, folder = whole
    within_limits(folder, asked)
    kinds = [frame.kind for frame in frames(folder / "journal.gfj")]
    assert kinds.count("invoice") == 4
    said = [f.fields for f in frames(folder / "journal.gfj") if f.kind == "congestion"]
    for what in ("restriction", "steering", "redispatch"):
        assert any(one["what"] == what and one["accepted"] for one in said), what
    series = pq.read_table(folder / "series.parquet").to_pandas()
    assert (series.called_mw > 0).any()
    assert (series.restricted_mw > 0).any()
    accounts = pq.read_table(folder / "accounts.parquet").to_pandas()
    bill = accounts["paid.grid_tariff_micro_eur"]
    assert (bill.to_numpy()[:-1] == 0).all()
    # four of 31 and of 365 days: the highest quarter, the firm right, half of the hours of a night
    peak_kw = accounts["energy.import_wh"].max() * 4 / 1000
    line = load_factory(asked.factory).sites["site0"].connection
    night = next(right.capacity_mw for right in line.rights if right.name == "night")
    yearly = 48 * (line.firm_mw + night * 8 / 24) * 1000 + 2760
    expected = 4 * peak_kw * 4 / 31 + yearly * 4 / 365
    assert bill.iloc[-1] == pytest.approx(expected * 1e6, abs=4)
    total = sum(accounts[name] for name in accounts.columns if name.startswith("paid."))
    invoiced = bill + accounts["paid.congestion_micro_eur"]
    assert (accounts["cost.total_micro_eur"] == total - invoiced).all()


@pytest.mark.slow
@pytest.mark.parametrize("day", [1, 3])
def test_resumed_is_whole_to_the_byte(
    whole: tuple[RunOptions, Path], tmp_path: Path, day: int
) -> None:
    asked, folder = whole
    stopped = start_run(asked, Stopper(day), out=tmp_path / "run")
    assert not stopped.complete
    assert not verify(tmp_path / "run")[1]
    assert resume_run(tmp_path / "run").complete
    for name in ("journal.gfj", "accounts.parquet", "series.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes()


def test_nothing_is_known_before_it_is_announced(tmp_path: Path) -> None:
    """Two worlds that differ in what is announced on the second day, at eight, for the third."""
    asked = options(tmp_path, 4, **{"sites.site0.connection.congestion": None})
    days = [MarketCalendar.of(FIRST_DAY, 4).local_dates[k].isoformat() for k in range(4)]
    event = {
        "kind": "restriction",
        "site": "site0",
        "right": "loose",
        "announced": f"{days[1]}T08:00",
        "from": f"{days[2]}T10:00",
        "until": f"{days[2]}T13:00",
        "remaining": "0 %",
    }
    other = RunOptions(
        **{
            **{name: getattr(asked, name) for name in RunOptions.__dataclass_fields__},
            "scenario": str(write_scenario(tmp_path / "told.yaml", [event])),
        }
    )
    start_run(asked, out=tmp_path / "plain")
    start_run(other, out=tmp_path / "told")
    told_ns = MarketCalendar.of(FIRST_DAY, 4).local_ns(1, 8)
    pair = []
    for name in ("plain", "told"):
        some = [f for f in frames(tmp_path / name / "journal.gfj") if f.kind != "begin"]
        pair.append([f for f in some if f.tick_ns < told_ns])
    assert len(pair[0]) == len(pair[1]) > 100
    for one, same in zip(*pair, strict=True):
        assert (one.kind, one.tick_ns) == (same.kind, same.tick_ns)
        assert one.fields == same.fields
        assert one.arrays.keys() == same.arrays.keys()
        assert all(np.array_equal(one.arrays[n], same.arrays[n]) for n in one.arrays)

    def plan(name: str, day: int) -> np.ndarray:
        found = [f for f in frames(tmp_path / name / "journal.gfj") if f.kind == "plan"]
        return np.asarray(found[day].arrays["day_ahead_mw.0"])

    # the offer of the second day at noon knows it, and so does the plan of the third
    assert not np.array_equal(plan("plain", 2), plan("told", 2))
    series = pq.read_table(tmp_path / "told" / "series.parquet").to_pandas()
    assert (series.restricted_mw.to_numpy() > 0).sum() == 12


@pytest.mark.slow
@settings(max_examples=4)
@example(seed=3, remaining=0, late=0, start=0, quarters=1)  # a call below what dark halls draw
@given(
    seed=st.integers(0, 2**32),
    remaining=st.integers(0, 90),
    late=st.integers(0, 100),
    start=st.integers(0, 80),
    quarters=st.integers(1, 16),
)
def test_any_contract_keeps_its_word(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    remaining: int,
    late: int,
    start: int,
    quarters: int,
) -> None:
    place = tmp_path_factory.mktemp("any")
    calls = {"per_year": 366, "start": start / 4, "end": 24, "duration": f"{quarters * 15} min"}
    asked = options(place, 3, seed)
    text = Path(asked.factory).read_text("utf-8")
    assert text.count("remaining: 20 %") == 1
    changed = contracts(1.0)["sites.site0.connection.congestion"]
    changed["restrictions"] = {
        "calls": calls,
        "remaining": f"{remaining} %",
        "late": f"{late} %",
    }
    site = SmallSite((SmallPool("H100", 6),), 0.7, battery=0.3)
    changed["steering"]["capacity"] = changed["redispatch"]["capacity"] = (
        f"{site.full_mw * 0.1:.6f} MW"
    )
    again = options(place, 3, seed, **{"sites.site0.connection.congestion": changed})
    start_run(again, out=place / "run")
    within_limits(place / "run", again)


@pytest.mark.slow
@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32),
    days=st.integers(1, 400),
    per_year=st.integers(0, 366),
    hours=st.integers(1, 24),
    late=st.integers(0, 100),
)
def test_a_year_never_takes_more_than_the_right_allows(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    days: int,
    per_year: int,
    hours: int,
    late: int,
) -> None:
    place = tmp_path_factory.mktemp("year")
    calls = {"per_year": per_year, "start": 0, "end": 24, "duration": f"{hours} h"}
    changes = contracts(1.0)["sites.site0.connection.congestion"] | {
        "restrictions": {"calls": calls, "remaining": "0 %", "late": f"{late} %"}
    }
    changes.pop("steering")
    changes.pop("redispatch")
    asked = options(place, 2, **{"sites.site0.connection.congestion": changes})
    site = load_factory(asked.factory).sites["site0"]
    calendar = MarketCalendar.of(FIRST_DAY, days)
    held = transport_of("site0", site, calendar, None, seed)
    assert held is not None
    for right, share in (("loose", 0.15), ("any", 1.0)):
        used: dict[int, float] = {}
        mine = [one for one in held.announced if one.right == right]
        for one in mine:
            year = calendar.local_dates[calendar.day_of[calendar.period_at(one.start_ns)]].year
            used[year] = used.get(year, 0.0) + (one.end_ns - one.start_ns) / NS_PER_H
            if right == "loose":
                day = int(calendar.day_of[calendar.period_at(one.start_ns)])
                assert one.announced_ns <= calendar.local_ns(day - 1, 8, 30)
        assert all(h <= share * hours_of_year(year) + 24.0 for year, h in used.items())
        if right == "loose":
            assert all(h <= share * hours_of_year(year) + 1e-6 for year, h in used.items())
    # what was told does not depend on where the run begins
    if days > 3:
        later = transport_of(
            "site0", site, MarketCalendar.of(calendar.local_dates[2], days - 2), None, seed
        )
        assert later is not None
        cut = calendar.start_ns[calendar.day_edges[2]]
        assert [o for o in held.announced if o.start_ns >= cut] == [
            o for o in later.announced if o.start_ns >= cut
        ]
