"""What the report adds up: receipts, accounts, flows, weeks, missions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_reader import Page

from gigafactory.report.clock import bins_of, day_by_hour, local_time, pick_week
from gigafactory.report.figures.canvas import spread
from gigafactory.report.frames import CLASSES, FATES, read_run
from gigafactory.report.receipts import WAIT_EDGES_S, read_receipts
from gigafactory.report.sections.compute import _fate_table
from gigafactory.report.sections.flows import _contracts, _physical, cost_parts
from gigafactory.report.sections.people import LEAST_TENANTS, mission_groups
from gigafactory.report.sections.tell import Teller
from gigafactory.report.voice import Voice
from gigafactory.testing.run_folder import write_run_folder


@pytest.fixture(scope="module")
def tell(made_up: Path) -> Teller:
    return Teller(read_run(made_up), Voice("en"))


def test_receipts_are_summed_to_the_last_unit(made_up: Path) -> None:
    rows = pq.read_table(made_up / "jobs.parquet").to_pylist()
    found = read_receipts(made_up / "jobs.parquet", CLASSES).by("tenant", "job_class")
    for key in {(row["tenant"], row["job_class"]) for row in rows}:
        own = [row for row in rows if (row["tenant"], row["job_class"]) == key]
        assert found[key]["jobs"] == len(own)
        assert found[key]["energy_wh"] == pytest.approx(sum(r["energy_wh"] for r in own) / 1e6)
        held = sum(r["allocated_gpu_s"] for r in own) / 3600
        assert found[key]["allocated_gpu_s"] == pytest.approx(held)


def test_waits_count_each_started_job_once(made_up: Path) -> None:
    rows = pq.read_table(made_up / "jobs.parquet").to_pylist()
    found = read_receipts(made_up / "jobs.parquet", CLASSES).waits
    for label in CLASSES:
        own = [r for r in rows if r["job_class"] == label]
        waits = [r["wait_s"] for r in own if r["state"] not in ("queued", "refused")]
        assert found[label].sum() == len(waits)
        assert found[label][0] == sum(wait < 1.0 for wait in waits)
        assert found[label][1:11].sum() == sum(1.0 <= wait < 10.0 for wait in waits)
    assert WAIT_EDGES_S[11] == pytest.approx(10.0)


def test_codes_and_names_read_the_same(made_up: Path, tmp_path: Path) -> None:
    table = pq.read_table(made_up / "jobs.parquet")
    for key, names in (("job_class", CLASSES), ("state", None), ("tenant", None)):
        words = table[key].cast(pa.string()).to_pylist()
        column = pa.array([names.index(word) for word in words], pa.int8()) if names else words
        place = table.column_names.index(key)
        table = table.set_column(place, key, pa.chunked_array([column]))
    pq.write_table(table, tmp_path / "jobs.parquet", row_group_size=500)
    coded = read_receipts(tmp_path / "jobs.parquet", CLASSES)
    named = read_receipts(made_up / "jobs.parquet", CLASSES)
    assert coded.rows == named.rows
    assert coded.counts.tolist() == named.counts.tolist()
    assert all((coded.waits[label] == named.waits[label]).all() for label in CLASSES)


def test_the_accounts_of_accelerator_hours_add_up(tell: Teller) -> None:
    table = _fate_table(tell)
    assert len(table.rows) == len(FATES) + 1, "no difference row when the accounts add up"
    values = [float(Page(str(row[1])).all("data")[0].attributes["value"]) for row in table.rows]
    assert sum(values[:-1]) == pytest.approx(values[-1], rel=1e-9)


def test_a_difference_between_the_accounts_is_shown(tell: Teller, copy: Path) -> None:
    path = copy / "summary.json"
    text = path.read_text("utf-8").replace('"useful": ', '"useful": 1', 1)
    path.write_text(text, "utf-8")
    table = _fate_table(Teller(read_run(copy), Voice("en")))
    assert table.rows[-2][0] == "Difference"


def test_energy_flows_balance(tell: Teller) -> None:
    for into, out in (_physical(tell), _contracts(tell)):
        came, went = (sum(flow.energy_mwh for flow in side) for side in (into, out))
        assert came == pytest.approx(went, rel=1e-9)
        assert came > 0


def test_sold_energy_stands_on_the_other_side(made_up: Path) -> None:
    frame = read_run(made_up)
    bought = {flow.name: flow.energy_mwh for flow in _contracts(Teller(frame, Voice("en")))[0]}
    power, hours = frame.series.total("imbalance_mw"), frame.series.hours
    assert bought["imbalance"] == pytest.approx(float((power * hours)[power > 0].sum()))


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ({"energy": {"low": 1, "base": 2, "high": 3}}, [("Energy", 1.0, 2.0, 3.0)]),
        ({"energy": 2.0, "own part": 3}, [("own part", 3.0, 3.0, 3.0), ("Energy", 2.0, 2.0, 2.0)]),
        ([{"name": "staff", "base": 1.5}], [("Staff", 1.5, 1.5, 1.5)]),
        (None, []),
        ("nonsense", []),
    ],
)
def test_parts_of_the_cost_are_read_in_any_agreed_form(
    made_up: Path, components: object, expected: list[tuple[str, float, float, float]]
) -> None:
    frame = read_run(made_up)
    frame.summary["lcoc"]["components"] = components
    found = cost_parts(Teller(frame, Voice("en")))
    assert [(part.label, part.low, part.base, part.high) for part in found] == expected


def test_several_sites_are_added_up_and_any_order_of_rows_will_do(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "two", days=8, jobs=50, sites=("b", "a"))
    table = pq.read_table(folder / "series.parquet")
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(table))
    pq.write_table(table.take(order), folder / "series.parquet")
    series = read_run(folder).series
    assert series.sites == ("a", "b")
    assert (np.diff(series.start_ns) > 0).all()
    whole = np.asarray(table["import_mw"]).sum() / 4
    assert series.energy_mwh("import_mw") == pytest.approx(whole)


# -- time ----------------------------------------------------------------------------------------


def _starts(first: str, quarters: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    begin = int(dt.datetime.fromisoformat(first).timestamp())
    return (begin + 900 * np.arange(quarters, dtype=np.int64)) * 10**9


@pytest.mark.parametrize(
    ("first", "quarters", "blank", "twice"),
    [
        ("2024-03-30T23:00+00:00", 92, 2, None),
        ("2024-10-26T22:00+00:00", 100, None, 2),
        ("2024-06-01T22:00+00:00", 96, None, None),
    ],
)
def test_days_of_23_and_25_hours(
    first: str, quarters: int, blank: int | None, twice: int | None
) -> None:
    local = local_time(_starts(first, quarters), "Europe/Amsterdam")
    assert len(local.days) == 1
    cells = day_by_hour(local, np.arange(quarters, dtype=np.float64))
    assert cells.shape == (24, 1)
    assert np.flatnonzero(np.isnan(cells[:, 0])).tolist() == ([] if blank is None else [blank])
    if twice is not None:
        assert cells[twice, 0] == pytest.approx(np.arange(8, 16).mean())


def test_months_when_long_and_days_when_short() -> None:
    year = local_time(_starts("2023-12-31T23:00+00:00", 366 * 96), "Europe/Amsterdam")
    assert (bins_of(year).kind, len(bins_of(year))) == ("month", 12)
    assert bins_of(year).sum(np.ones(366 * 96))[1] == 29 * 96
    week = local_time(_starts("2023-12-31T23:00+00:00", 7 * 96), "Europe/Amsterdam")
    assert (bins_of(week).kind, len(bins_of(week))) == ("day", 7)


def test_the_week_with_the_widest_price_or_the_bound_limit_is_shown() -> None:
    local = local_time(_starts("2023-12-31T23:00+00:00", 28 * 96), "Europe/Amsterdam")
    price = np.full(28 * 96, 50.0)
    price[10 * 96] = 400.0
    week = pick_week(local, price, None)
    assert (week.first, week.last) == (dt.date(2024, 1, 8), dt.date(2024, 1, 14))
    assert (week.periods.start, week.periods.stop) == (7 * 96, 14 * 96)
    bound = np.zeros(28 * 96, np.bool_)
    bound[21 * 96 :] = True
    assert pick_week(local, None, bound).first == dt.date(2024, 1, 22)
    assert pick_week(local, None, None).first == dt.date(2024, 1, 1)


def test_a_period_without_a_whole_week_is_shown_as_it_is() -> None:
    local = local_time(_starts("2024-01-02T23:00+00:00", 5 * 96), "Europe/Amsterdam")
    week = pick_week(local, np.arange(5 * 96.0), None)
    assert (week.first, week.last, week.chosen) == (dt.date(2024, 1, 3), dt.date(2024, 1, 7), False)


# -- people --------------------------------------------------------------------------------------

_missions = st.dictionaries(
    st.sampled_from("abcdef"), st.frozensets(st.sampled_from("123456789"), min_size=1), min_size=1
)


@given(_missions, st.randoms(use_true_random=False))
def test_no_public_figure_tells_about_fewer_than_three(
    tenants: dict[str, frozenset[str]], draw: object
) -> None:
    size = {name: draw.random() for name in tenants}  # type: ignore[attr-defined]
    groups = mission_groups(tenants, size)
    assert sorted(name for group in groups for name in group) == sorted(tenants)
    for group in groups:
        served = frozenset[str]().union(*(tenants[name] for name in group))
        assert len(served) >= LEAST_TENANTS or len(groups) == 1


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=30).map(sorted),
    st.floats(0.5, 20),
)
def test_labels_keep_their_order_and_their_distance(wanted: list[float], gap: float) -> None:
    free = spread(wanted, gap)
    assert np.mean(free) == pytest.approx(np.mean(wanted), abs=1e-6)
    for places in (free, spread(wanted, gap, (0.0, 100.0))):
        assert (np.diff(places) >= gap - 1e-6).all()
    if gap * len(wanted) <= 100:
        held = spread(wanted, gap, (0.0, 100.0))
        assert min(held) >= -1e-6
        assert max(held) <= 100 + 1e-6
