"""What flexibility earned, what held a run back and what the grid got, recalculated from tables."""

from __future__ import annotations

import datetime as dt
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gigafactory.ledger import METERS
from gigafactory.ledger.book import RECEIPT
from gigafactory.runtime import contribution as room
from gigafactory.units import NS_PER_H
from tests.runtime.conftest import SmallRun

H = NS_PER_H


@pytest.fixture(scope="module")
def summary(small_run: SmallRun) -> dict[str, Any]:
    return dict(json.loads((small_run.folder / "summary.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def series(small_run: SmallRun) -> dict[str, np.ndarray[Any, Any]]:
    table = pq.read_table(small_run.folder / "series.parquet")
    return {name: table[name].to_numpy() for name in table.column_names if name != "site"}


def test_every_hour_is_bound_by_one_resource(
    summary: dict[str, Any], series: dict[str, np.ndarray[Any, Any]]
) -> None:
    hours = sum(sum(row["hours"].values()) for row in summary["binding"])
    assert hours == pytest.approx(len(series["start_ns"]) * 0.25)
    assert hours == sum(row["site_hours"] for row in summary["binding"])
    for row in summary["binding"]:
        assert row["hours"][row["most"]] == max(row["hours"].values())


def test_a_cut_cable_shows_as_hours_bound_by_the_connection(
    summary: dict[str, Any], series: dict[str, np.ndarray[Any, Any]]
) -> None:
    queued = series["queued_accelerators"] > 0
    at_limit = series["import_mw"] >= 0.98 * series["limit_mw"]
    slowed = np.zeros(len(queued), bool)
    for label in ("frontier_training", "research", "fine_tuning", "inference_batch"):
        slowed |= (series[f"speed_{label}"] < 1) & (series[f"running_{label}"] > 0)
    least = 0.25 * float((slowed | (queued & at_limit)).sum())
    told = sum(row["hours"]["connection"] for row in summary["binding"])
    assert least > 0
    assert told >= least


def test_accelerator_hours_at_rest_are_those_not_used(
    summary: dict[str, Any], series: dict[str, np.ndarray[Any, Any]]
) -> None:
    running = sum(v for k, v in series.items() if k.startswith("running_"))
    still = series["hours_installed"] - series["hours_down"] - running * 0.25
    told = sum(sum(row["idle_gpu_h"].values()) for row in summary["binding"])
    assert told == pytest.approx(float(still.sum()), rel=1e-3)


def test_the_balance_adds_up(summary: dict[str, Any]) -> None:
    told, measured = summary["flexibility"], summary["yardstick"]
    net = sum(told["earned_eur"].values()) - sum(told["given_up_eur"].values())
    assert told["net_eur"] == pytest.approx(net)
    hourly = measured["hourly"]
    saved = hourly["naive_eur"] - hourly["realised_eur"]
    assert told["earned_eur"]["battery_and_contracts"] == pytest.approx(saved)
    assert hourly["regret_eur"] == pytest.approx(
        hourly["energy_regret_eur"] + hourly["scheduler_gap_eur"]
    )
    assert hourly["standing_eur"] >= hourly["bound_eur"] - 1e-6
    assert told["lost_gpu_h"]["slowed"] > 0
    for cause, hours in told["lost_gpu_h"].items():
        assert (told["given_up_eur"][cause] > 0) == (hours > 0)


def test_quarters_take_and_give_what_the_tables_say(
    summary: dict[str, Any], series: dict[str, np.ndarray[Any, Any]]
) -> None:
    rows = summary["contribution"]["quarters"]
    assert [row["quarter"] for row in rows] == sorted({row["quarter"] for row in rows})
    taken = sum(row["import_mwh"] for row in rows)
    assert taken == pytest.approx(float(series["import_mw"].sum()) * 0.25)
    bought = sum(row["taken_mwh"] for row in summary["contribution"]["contracts"])
    assert bought == pytest.approx(summary["energy"]["ppa_mwh"])


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("commissioned", "months"),
    [("2024-03-15", 2), ("2024-03-16", 1), ("2021-05-15", 36), ("2021-05-14", 36)],
)
def test_months_before_a_contract_are_whole_ones(commissioned: str, months: int) -> None:
    begins = dt.date(2024, 5, 15)
    plant = SimpleNamespace(commissioned=dt.date.fromisoformat(commissioned), from_=begins)
    assert room._months_before(plant) == months  # type: ignore[arg-type]


def _one_job_book(submit_h: int, start_h: int, end_h: int, mwh: float) -> Any:
    """A book of 48 hours, one site, one pool and one job; the site draws 1.25 MWh per MWh of IT."""
    receipt = np.zeros((len(RECEIPT), 1), np.int64)
    for name, hour in (("submit_ns", submit_h), ("start_ns", start_h), ("end_ns", end_h)):
        receipt[RECEIPT.index(name)] = hour * H
    receipt[RECEIPT.index("energy_wh")] = round(mwh * 1e6)
    meter = np.zeros((48, 1, len(METERS)), np.int64)
    meter[:, 0, METERS.index("it_wh")] = 4_000_000
    meter[:, 0, METERS.index("cooling_wh")] = 1_000_000
    header = SimpleNamespace(edges_ns=(0, 48 * H, H), pool_site=(0,), sites=("here",))
    asked = {"pool": np.zeros(1, np.int8)}
    return SimpleNamespace(periods=48, receipt=receipt, meter=meter, header=header, ask=asked)


def test_work_put_off_saves_the_difference_of_two_mean_prices() -> None:
    price = np.repeat([100.0, 40.0, 60.0], 16)
    senses = np.zeros((48, 1, 16))
    senses[:, 0, room._SENSE["price_eur_per_mwh"]] = price
    trace: Any = SimpleNamespace(senses=senses)
    # asked at 08:00, begun at 16:00, eight hours of 2 MWh: 100 against 40 EUR/MWh, times 1.25
    book = _one_job_book(8, 16, 24, 2.0)
    assert room._saved_eur(book, trace, np.ones(1, bool)) == pytest.approx(60 * 2 * 1.25)
    # asked at 12:00: the first four of its eight hours would have been dear, the last four not
    book = _one_job_book(12, 16, 24, 2.0)
    assert room._saved_eur(book, trace, np.ones(1, bool)) == pytest.approx(30 * 2 * 1.25)
    assert room._saved_eur(book, trace, np.zeros(1, bool)) == 0.0
