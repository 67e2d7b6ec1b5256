"""Work that moves between sites: within the rules, with its data, and nothing lost or doubled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.journal import frames
from gigafactory.ledger.facts import MOVE
from gigafactory.runtime.run import Outcome, RunOptions, resume_run, start_run
from gigafactory.testing.factories import (
    FIRST_DAY,
    SmallFactory,
    SmallPool,
    SmallSite,
    write_jobs,
)
from gigafactory.testing.proving import run_problems
from tests.runtime.test_resume import Stopper

SITE = SmallSite((SmallPool("H100", 12),))
DEAR = {"price_times": 4.0, "price_add": "250 EUR/MWh", "carbon_times": 2.0}


def settings_of(migration: str, first: SmallSite = SITE, **changes: Any) -> dict[str, Any]:
    """Two equal sites, the first with cheap power: a night of moves is worth it."""
    changed = {"policy.migration": migration, "sites.site1.outside": DEAR} | changes
    return SmallFactory((first, SITE), changes=changed).settings()


def run(
    place: Path, factory: dict[str, Any], jobs: int = 400, load: float = 0.7, **options: Any
) -> Outcome:
    place.mkdir(parents=True, exist_ok=True)
    path = place / "factory.yaml"
    text = yaml.safe_dump(json.loads(json.dumps(factory, default=str)), sort_keys=False)
    path.write_text(text, "utf-8")
    pools = (*SITE.pools, *SITE.pools)
    given_jobs = write_jobs(place / "jobs.csv", pools, jobs, 2.5, 3, load) if jobs else None
    return start_run(
        RunOptions(
            factory=str(path),
            jobs=given_jobs and str(given_jobs),
            start=FIRST_DAY.isoformat(),
            days=3,
        ),
        out=place / "run",
        **options,
    )


def moves(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Every move of the journal, as columns."""
    parts: dict[str, list[np.ndarray[Any, Any]]] = {}
    for frame in frames(folder / "journal.gfj"):
        if frame.kind == "facts":
            for name, column in frame.arrays.items():
                if name.startswith(("move.", "ask.")):
                    parts.setdefault(name, []).append(column)
    return {name: np.concatenate(column) for name, column in parts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("migration", ["none", "placement", "full"])
def test_nothing_is_lost_or_doubled(tmp_path: Path, migration: str) -> None:
    # the cheap site has power from the second day on: then it is worth going there
    late = SmallSite(SITE.pools, dark_days=1)
    outcome = run(tmp_path, settings_of(migration, late), jobs=80, load=0.4)
    assert run_problems(tmp_path / "run") == []
    told = moves(tmp_path / "run")
    sent = int((told["move.kind"] == MOVE).sum())
    dismissed = int(((told["move.kind"] == 8) & (told["move.why"] < 0)).sum())
    assert (sent > 0) == (migration != "none")
    assert (dismissed > 0) == (migration == "full")
    assert outcome.summary["jobs"]["lost"] == 0
    jobs = pq.read_table(tmp_path / "run" / "jobs.parquet").to_pydict()
    assert sum(jobs["moves"]) == sent
    assert max(jobs["moves"]) <= 3, "once when it came, and twice after that"


@pytest.mark.slow
def test_work_waits_less_where_it_may_move(tmp_path: Path) -> None:
    waits = [
        run(tmp_path / m, settings_of(m)).summary["jobs"]["wait_s"]["research"]["mean"]
        for m in ("none", "placement")
    ]
    assert waits[1] < 0.8 * waits[0]


@pytest.mark.slow
def test_dear_power_is_left_alone_while_there_is_room_elsewhere(tmp_path: Path) -> None:
    there = []
    for migration in ("none", "placement"):
        run(tmp_path / migration, settings_of(migration), load=0.3)
        jobs = pq.read_table(tmp_path / migration / "run" / "jobs.parquet").to_pydict()
        there.append(np.mean(np.array(jobs["pool"]) == "pool10"))
    assert there[0] > 0.4
    assert there[1] < 0.5 * there[0]


@pytest.mark.slow
def test_stopped_and_resumed_is_undisturbed(tmp_path: Path) -> None:
    whole = run(tmp_path / "a", settings_of("full"))
    stopped = run(tmp_path / "b", settings_of("full"), progress=Stopper(1))
    assert not stopped.complete
    assert resume_run(tmp_path / "b" / "run").summary["digest"] == whole.summary["digest"]


def generated(migration: str, **work: Any) -> dict[str, Any]:
    """A factory with projects of its own, whose jobs are generated, and a service."""
    factory = settings_of(migration)
    service = yaml.safe_load(SERVICE)
    for tenant in factory["tenants"]:
        tenant["work"] = [
            w | {"share": "15 %", "accelerators_max": 32} | work for w in tenant["work"]
        ]
        tenant["services"] = [service | {"name": f"chat-{tenant['name']}"}]
    return factory


SERVICE = """
name: chat
accelerators_peak: 8
replica_accelerators: 1
mean: "60 %"
latency: "300 ms"
headroom: "10 %"
sources: {"*": "Made up, 2026, assumption"}
"""


@pytest.mark.slow
def test_replicas_of_a_service_never_leave_their_pool(tmp_path: Path) -> None:
    run(tmp_path, generated("full"), jobs=0)
    told = moves(tmp_path / "run")
    realtime = told["ask.job"][told["ask.job_class"] == 4]
    assert len(realtime) > 10
    sent = told["move.job"][told["move.kind"] == MOVE]
    assert not set(realtime.tolist()) & set(sent.tolist())
    assert run_problems(tmp_path / "run") == []


@pytest.mark.slow
def test_work_stays_where_its_rules_allow_it(tmp_path: Path) -> None:
    """The cheap site lies abroad: what must stay in the country runs at the dear one alone."""
    factory = generated("full", residency="nl")
    factory["sites"]["site0"]["place"]["country"] = "DE"
    run(tmp_path, factory, jobs=0)
    told = moves(tmp_path / "run")
    own = told["ask.job"][told["ask.job_class"] != 4]
    ran = np.isin(told["move.job"], own)
    assert ran.any()
    assert set(told["move.pool"][ran].tolist()) == {1}


def test_a_job_waits_for_its_data_and_they_are_paid(tmp_path: Path) -> None:
    factory = generated("placement", data="40 TB", data_site="site1")
    factory["sites"]["site1"]["transfer"] = {"price": "5 EUR/TB", "rate": "100 Gbit/s"}
    outcome = run(tmp_path, factory, jobs=0)
    assert run_problems(tmp_path / "run") == []
    paid = outcome.summary["money"]["paid_eur"]["data"]
    assert paid > 0.0
    assert paid % 200.0 == pytest.approx(0.0), "whole data sets of 40 TB"
    told = moves(tmp_path / "run")
    submit = dict(zip(told["ask.job"].tolist(), told["ask.submit_ns"].tolist(), strict=True))
    first: dict[int, tuple[int, int]] = {}
    for kind, job, t, at in zip(
        *(told[f"move.{n}"].tolist() for n in ("kind", "job", "t_ns", "pool")), strict=True
    ):
        if kind in (1, 2):
            first.setdefault(job, (t, at))
    klass = dict(zip(told["ask.job"].tolist(), told["ask.job_class"].tolist(), strict=True))
    far = [(job, t) for job, (t, at) in first.items() if at == 0 and klass[job] != 4]
    assert far
    road_ns = 40 * 8000 / 100 * 1e9
    assert all(t - submit[job] >= road_ns for job, t in far), "none starts before its data"


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 10), st.floats(0.3, 1.3)), min_size=2, max_size=3),
    st.sampled_from(["placement", "full"]),
    st.floats(0.0, 8.0),
    st.integers(0, 2**20),
)
def test_any_two_or_three_sites_balance(
    tmp_path_factory: pytest.TempPathFactory,
    sites: list[tuple[int, float]],
    migration: str,
    times: float,
    seed: int,
) -> None:
    place = tmp_path_factory.mktemp("sites")
    made = tuple(SmallSite((SmallPool("H100", n),), firm) for n, firm in sites)
    changes = {"policy.migration": migration, "sites.site1.outside": {"price_times": times}}
    factory = SmallFactory(made, changes=changes)
    jobs = write_jobs(place / "jobs.csv", factory.pools, 400, 0.9, seed, 1.2)
    start_run(
        RunOptions(
            factory=str(factory.write(place / "factory.yaml")),
            jobs=str(jobs),
            start=FIRST_DAY.isoformat(),
            days=1,
            seed=seed,
        ),
        out=place / "run",
    )
    assert run_problems(place / "run") == []
