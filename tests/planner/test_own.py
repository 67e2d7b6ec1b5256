"""A schedule of own generators: from the least load up, and only where it earns its start."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.planner.own import Own, commit


def one(steps: int, **changes: object) -> Own:
    fields: dict[str, object] = {
        "most_mw": np.full((1, steps), 10.0),
        "least_mw": np.zeros((1, steps)),
        "cost_eur_per_mwh": np.full((1, steps), 100.0),
        "unit_min_mw": np.array([4.0]),
        "start_eur": np.array([50.0]),
        "runs": np.array([False]),
        "weather": np.array([False]),
    }
    return Own(**(fields | changes))  # type: ignore[arg-type]


def test_a_stretch_that_does_not_pay_for_its_start_is_left_out() -> None:
    asked = np.array([[10.0, 10.0, 0.0, 10.0]])
    worth = np.array([110.0, 110.0, 0.0, 104.0])
    # two hours gain 200, one hour 40
    assert commit(one(4), asked, worth, 1.0).tolist() == [[10.0, 10.0, 0.0, 0.0]]


def test_what_runs_already_needs_no_start() -> None:
    asked, worth = np.array([[10.0, 0.0]]), np.array([104.0, 0.0])
    assert commit(one(2), asked, worth, 1.0).tolist() == [[0.0, 0.0]]
    assert commit(one(2, runs=np.array([True])), asked, worth, 1.0).tolist() == [[10.0, 0.0]]


def test_less_than_the_least_load_is_lifted_where_that_still_pays() -> None:
    asked = np.array([[1.0, 1.0]])
    assert commit(one(2), asked, np.full(2, 120.0), 1.0).tolist() == [[4.0, 4.0]]
    assert commit(one(2), asked, np.full(2, 101.0), 1.0).tolist() == [[0.0, 0.0]]


def test_what_is_kept_running_stays_on_at_a_loss() -> None:
    own = one(2, least_mw=np.full((1, 2), 4.0))
    assert commit(own, np.full((1, 2), 4.0), np.zeros(2), 1.0).tolist() == [[4.0, 4.0]]


def test_the_weather_has_no_least_load() -> None:
    own = one(2, weather=np.array([True]), most_mw=np.array([[0.5, 0.2]]))
    assert commit(own, np.array([[0.3, 0.9]]), np.zeros(2), 1.0).tolist() == [[0.3, 0.2]]


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=40), st.integers(0, 2**20))
def test_a_schedule_is_nought_or_between_least_and_most(asked: list[float], seed: int) -> None:
    dice = np.random.default_rng(seed)
    steps = len(asked)
    most = dice.choice([0.0, 3.0, 6.0, 10.0], steps)[None, :]
    own = one(steps, most_mw=most)
    out = commit(own, np.minimum(np.array([asked]), most), dice.normal(100, 30, steps), 0.25)
    on = out > 0.0
    assert np.all(out[on] >= 4.0 - 1e-12)
    assert np.all(out <= most + 1e-12)
    assert not on[np.array([asked]) <= 1e-6].any()
