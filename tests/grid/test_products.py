"""Balancing products: rules by day, blocks on days the clocks change, bids within limits."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.grid import MarketCalendar
from gigafactory.grid.figures import MARKS, read_figures
from gigafactory.grid.ports import Direction
from gigafactory.grid.products import bid_mw, blocks, market_on, product_on

DAY = dt.date(2026, 6, 1)
FCR = product_on("fcr", DAY)


def test_the_rules_of_a_day():
    assert (FCR.block_min, FCR.bid_min_mw, FCR.reservoir_min) == (240, 1, 30)
    assert (FCR.full_activation_s, FCR.full_deviation_hz, FCR.insensitivity_hz) == (30, 0.2, 0.01)
    assert FCR.directions == (Direction.SYMMETRIC,)
    assert product_on("afrr", DAY).directions == (Direction.UP, Direction.DOWN)
    assert product_on("fcr", DAY, reservoir_min=15).reservoir_min == 15


def test_rules_change_on_the_day_they_change():
    assert product_on("afrr", dt.date(2023, 12, 31)).full_activation_s == 450
    assert product_on("afrr", dt.date(2024, 1, 1)).full_activation_s == 300
    assert market_on("day_ahead", dt.date(2025, 9, 30)).period_min == 60
    assert market_on("day_ahead", dt.date(2025, 10, 1)).period_min == 15
    assert market_on("day_ahead", dt.date(2021, 1, 1)).price_max_eur_per_mwh == 3000
    assert market_on("intraday", DAY).gate_before_min == 5


def test_what_is_left_out_says_why():
    with pytest.raises(BadInput, match="unknown length"):
        product_on("mfrr", DAY)
    with pytest.raises(BadInput) as told:
        product_on("gold", DAY, reservoir_min=5)
    assert len(told.value.problems) == 2
    with pytest.raises(BadInput, match="known from 2020-07-01"):
        product_on("fcr", dt.date(2019, 1, 1))
    with pytest.raises(BadInput, match="day_ahead"):
        market_on("gold", DAY)


@pytest.mark.parametrize("rules", [FCR, product_on("afrr", DAY), market_on("day_ahead", DAY)])
def test_every_figure_says_where_it_comes_from(rules):
    rows = rules.sources()
    numbers = [
        field.name
        for field in dataclasses.fields(rules)
        if field.name not in {"name", "day", "figures"}
    ]
    assert {row.figure.rpartition(".")[2] for row in rows} == set(numbers)
    assert all(row.source and row.year and row.note.split(";")[0] in MARKS for row in rows)


def test_a_period_longer_than_a_block_is_refused():
    hourly = MarketCalendar.of(DAY, 1, period_s=3600)
    assert list(np.bincount(blocks(hourly, FCR))) == [4] * 6
    fine = MarketCalendar.of(DAY, 1, period_s=300)
    assert list(np.bincount(blocks(fine, FCR))) == [48] * 6
    short = dataclasses.replace(FCR, block_min=15.0)
    with pytest.raises(BadInput, match="longer than a block"):
        blocks(hourly, short)


@given(
    st.lists(st.floats(0, 500), min_size=1, max_size=20),
    st.floats(0, 200),
    st.floats(0, 100),
    st.sampled_from([0.1, 1.0, 5.0]),
)
def test_a_bid_is_never_more_than_there_is(offers, prequalified, energy, step):
    rules = dataclasses.replace(FCR, bid_step_mw=step)
    offered = np.array(offers)
    bid = bid_mw(offered, rules, prequalified_mw=prequalified, energy_mwh=energy)
    assert (bid <= offered).all()
    assert (bid <= prequalified).all()
    assert (bid * rules.reservoir_min / 60 <= energy * (1 + 1e-12)).all()
    assert ((bid == 0) | (bid >= rules.bid_min_mw * (1 - 1e-8))).all()
    assert np.allclose(bid / step, np.round(bid / step), atol=1e-6)
    # nothing is left lying that could have been one step more
    most = np.minimum(np.minimum(offered, prequalified), energy * 60 / rules.reservoir_min)
    assert ((bid + step > most - 1e-6) | (bid + step < rules.bid_min_mw)).all()


def test_bids_by_hand():
    assert list(bid_mw([0.9, 1.0, 7.8, 60.0], FCR, prequalified_mw=50)) == [0, 1, 7, 50]
    assert bid_mw(20.0, FCR, energy_mwh=5.2) == 10.0
    assert bid_mw(0.3, dataclasses.replace(FCR, bid_step_mw=0.1, bid_min_mw=0.1)) == 0.3
    with pytest.raises(BadInput) as told:
        bid_mw([-1.0, 2.0], FCR, prequalified_mw=np.nan, energy_mwh=-1)
    assert len(told.value.problems) == 3


def test_a_damaged_file_tells_every_fault(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(
        "sources:\n"
        "  a: {source: '', year: 1, state: rumour, mark: seen}\n"
        "  b: {source: x, year: 2024, state: published, mark: unverified}\n"
        "  c: {source: x, year: 2024, state: published, mark: read}\n"
        "subjects:\n"
        "  one:\n"
        "    p_mw:\n"
        "      - {from: 2024-01-01, value: 1, source: c}\n"
        "      - {from: 2024-01-01, value: x, source: z}\n"
        "    q_mw: 3\n"
    )
    with pytest.raises(BadInput) as told:
        read_figures(path)
    assert len(told.value.problems) == 9
    path.write_text("[")
    with pytest.raises(BadInput, match="YAML"):
        read_figures(path)
    path.write_text("a: 1")
    with pytest.raises(BadInput, match="sources"):
        read_figures(path)
