"""Demand-response events over a factory: what is kept, what is named, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.runtime.demandresponse import (
    EventAsk,
    answer_event,
    asked,
    demonstration_lines,
    event_lines,
)
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = SmallFactory((SmallSite((SmallPool(nodes=600),), 1.4),)).settings()
    for tenant in made["tenants"]:
        tenant["work"] = [w | {"share": "20 %"} for w in tenant["work"]]
    path = tmp_path_factory.mktemp("event") / "factory.yaml"
    path.write_text(json.dumps(made, default=str), "utf-8")
    return str(path)


def test_a_shallow_event_keeps_every_contract(factory: str) -> None:
    answer = answer_event(factory, EventAsk(0.10, 1.0))
    assert answer.plan.conflict == ()
    assert answer.plan.minutes_above() == 0
    assert answer.product.magnitude_mw * 1000 >= 0.10 * answer.load.full_kw - 1e-6
    assert answer.product.broken == 0
    lines = "\n".join(event_lines(answer))
    assert "every latency-critical service stays inside its objective" in lines
    assert "limits of its classes are unverified" in lines


def test_an_event_too_deep_names_who_is_in_conflict(factory: str) -> None:
    answer = answer_event(factory, EventAsk(0.9, 1.0, mode="caps"))
    assert answer.plan.conflict
    lines = "\n".join(event_lines(answer))
    assert "these cannot all be kept" in lines
    for name in answer.plan.conflict:
        assert name in lines


@pytest.mark.slow
def test_what_runs_at_an_instant_is_what_is_planned_over(factory: str) -> None:
    ask = EventAsk(0.1, 0.5, at="2025-01-20T12:00")
    answer = answer_event(factory, ask)
    work = sum(job.gangs * job.accelerators for job in answer.load.jobs)
    assert 0 < work <= 600 * 8
    assert answer.load.full_kw > answer.load.resting_kw
    assert "simulation" in answer.source
    again = answer_event(factory, ask)
    np.testing.assert_array_equal(answer.plan.power_kw, again.plan.power_kw)


def test_bad_asks_are_refused_with_every_problem() -> None:
    with pytest.raises(BadInput) as caught:
        EventAsk(1.5, 99.0, notice_min=-1, at="noon").check()
    where = [p.where for p in caught.value.problems]
    assert where == ["--reduce", "--hours", "--notice", "--at"]
    for reduce, mode in (("much", "caps"), ("25%", "sleeping")):
        with pytest.raises(BadInput):
            asked(reduce, 3.0, 20, mode, None, None, 0)
    assert asked("25 %", 3.0, 20, "caps", None, None, 0).reduce_share == 0.25
    assert asked("0.25", 3.0, 20, "caps", None, None, 0).reduce_share == 0.25


@pytest.mark.slow
def test_the_measured_demonstration_is_compared(data_dir: Path) -> None:
    lines = "\n".join(demonstration_lines(data_dir))
    assert "0.8991" in lines
    assert "measured above 75 %: 0" in lines
