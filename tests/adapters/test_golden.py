"""Own generation held against a day calculated by hand: committed, dispatched, booked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from gigafactory.adapters.ownplant import Delivery, OwnPlant
from gigafactory.ledger import GROUP_COLUMNS, METERS, POOL_COLUMNS, Book, Facts
from gigafactory.ledger.book import PAID
from gigafactory.ledger.facts import ASK, GENERATOR_COLUMNS, MOVES
from gigafactory.ledger.integrals import SHARED
from gigafactory.planner.own import Own, commit
from gigafactory.plant.generation import Fleet, Generator
from tests.golden.folders import hold, of
from tests.ledger.made_up import header

HOUR_NS = 3_600_000_000_000


def eights(values: Any) -> np.ndarray:
    return np.repeat(np.asarray(values, np.float64), 8)


def own_day(given: dict[str, Any]) -> dict[str, Any]:
    born = dt.date(2020, 1, 1)
    fleet = Fleet.of(
        [
            Generator("turbine", "gas_turbine", "fuel", commissioned=born, **given["turbine"]),
            Generator("panels", "solar", "weather", commissioned=born, **given["panels"]),
        ]
    )
    turbine = fleet.generators[0]
    co2 = given["co2_price_eur_per_t"] / 1000.0
    cost = turbine.marginal_eur_per_mwh + turbine.stack_co2_kg_per_mwh * co2
    available = np.array([np.full(24, 10.0), 5.0 * eights(given["sun_share"])])
    worth = eights(given["worth_eur_per_mwh"])
    worth[given["dear"]["hour"]] = given["dear"]["worth_eur_per_mwh"]
    asked = np.array([np.where(worth > cost, 10.0, 0.0), available[1]])
    own = Own(
        most_mw=available,
        least_mw=np.zeros((2, 24)),
        cost_eur_per_mwh=np.array([[cost], [0.0]]).repeat(24, axis=1),
        unit_min_mw=fleet.min_mw,
        start_eur=np.array([turbine.start_eur_per_mw * 10.0, 0.0]),
        runs=np.zeros(2, np.bool_),
        weather=fleet.weather,
    )
    planned = commit(own, asked, worth, 1.0)
    plant = OwnPlant(
        fleet=fleet,
        number=(0, 1),
        available_mw=available,
        emergency=np.zeros(2, np.bool_),
        keeps=np.zeros(2, np.bool_),
        year=np.full(24, 2030),
        delivery=(Delivery(0, 1, 0, 300_000_000), Delivery(0, 1, 0, 0)),
        stock_wh=[300_000_000, -1],
    )
    rows, level = [], 0.0
    for hour in range(24):
        reach = plant.order(hour, planned[:, hour] > 0.0, 1.0)
        made = np.clip(planned[:, hour], reach.low_mw, reach.high_mw)
        if hour == given["less"]["hour"]:
            made[0] = given["less"]["power_mw"]
        rows.append(plant.settle(made, hour, 1.0))
        level = float(plant.state.level_mw[0]) if hour == given["less"]["hour"] else level
    book, total = booked(turbine, co2, rows), np.sum(rows, axis=0)
    read = [dict(zip(GENERATOR_COLUMNS, row.tolist(), strict=True)) for row in total]
    last = dict(zip(GENERATOR_COLUMNS, rows[-1][0].tolist(), strict=True))
    paid = dict(zip(PAID, book.paid[:, 0].sum(axis=0).tolist(), strict=True))
    return {
        "committed_h": np.flatnonzero(planned[0]),
        "turbine": {
            "made_mwh": read[0]["made_wh"] / 1e6,
            "fuel_mwh": read[0]["fuel_wh"] / 1e6,
            "stock_mwh": last["stock_wh"] / 1e6,
            "starts": read[0]["starts"],
            "run_h": read[0]["run_s"] / 3600,
        },
        "panels": {
            "made_mwh": read[1]["made_wh"] / 1e6,
            "fuel_mwh": read[1]["fuel_wh"] / 1e6,
            "water_m3": read[1]["water_ml"] / 1e6,
        },
        "paid": {name: paid[name] / 1e6 for name in ("fuel", "generation_om", "stack_co2")},
        "stack_co2_kg": int(book.shared_total[:, 0, SHARED.index("co2_stack_mg")].sum()) / 1e6,
        "level_after_mw": level,
    }


def booked(turbine: Generator, co2: float, rows: list[np.ndarray]) -> Book:
    """The book of a day in which nothing happens but what the generators do."""
    first = 1_893_456_000 * 10**9
    of_both = {
        "generators": ("turbine", "panels"),
        "generator_site": (0, 0),
        "generator_fuel": (round(turbine.fuel_eur_per_mwh * 1e6), 0),
        "generator_upkeep": (round(turbine.variable_eur_per_mwh * 1e6), 0),
        "generator_start": (round(turbine.start_eur_per_mw * 10.0 * 1e6), 0),
        "generator_co2": (round(turbine.fuel_co2_kg_per_mwh * 1e6), 0),
        "generator_co2_price": (round(turbine.fuel_co2_kg_per_mwh * co2 * 1e6), 0),
        "generator_stock": (300_000_000, -1),
        "edges_ns": (first, first + 24 * HOUR_NS, HOUR_NS),
    }
    head = header((0,), 24, 1, **of_both)
    book = Book(head)
    for row in rows:
        meter = np.zeros((1, len(METERS)), np.int64)
        book.tick(
            Facts(
                meter,
                np.zeros((1, 2), np.int64),
                np.zeros((1, len(head.classes), len(GROUP_COLUMNS)), np.int64),
                np.zeros((1, len(POOL_COLUMNS)), np.int64),
                {name: np.zeros(0, kind) for name, kind in MOVES.items()},
                {name: np.zeros(0, kind) for name, kind in ASK.items()},
                row,
            )
        )
    book.close_day()
    return book


CASES = {"own-day": own_day}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda path: path.name)
def test_the_code_says_what_was_calculated_by_hand(folder: Any) -> None:
    hold(folder, CASES)
