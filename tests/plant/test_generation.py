"""Own generation: an hour by hand, fuel never negative, nothing before it is commissioned."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.engine.errors import BadInput
from gigafactory.plant.generation import (
    Fleet,
    Generator,
    Range,
    account,
    at_rest,
    available_mw,
    commissioned_on,
    kinds,
    load_kinds,
    step,
    typical,
)

DAY = dt.date(2030, 1, 1)


def engine(**changes: object) -> Generator:
    given: dict[str, object] = {
        "name": "engine", "kind": "gas_engine", "driver": "fuel", "capacity_mw": 10.0,
        "commissioned": DAY, "units": 1, "fuel_stock_mwh": 100.0, "fuel_eur_per_mwh": 40.0,
        "fuel_co2_kg_per_mwh": 200.0, "heat_rate_mwh_per_mwh": 2.0, "no_load_share": 0.1,
        "variable_eur_per_mwh": 10.0, "start_eur_per_mw": 5.0, "start_min": 6.0,
        "ramp_share_per_min": 0.1, "block_share": 0.2, "min_load_share": 0.3,
        "nox_kg_per_mwh": 0.5, "water_l_per_kwh": 0.1,
    }  # fmt: skip
    return Generator(**(given | changes))  # type: ignore[arg-type]


def test_every_kind_the_library_promises_has_its_figures() -> None:
    assert {
        "gas_turbine", "gas_engine", "diesel", "fuel_cell", "solar", "wind", "nuclear_smr",
        "geothermal", "hydrogen",
    } == set(kinds())  # fmt: skip
    for kind in kinds().values():
        for key in (
            "levelised_eur_per_mwh",
            "life_co2_kg_per_mwh",
            "water_l_per_kwh",
            "lead_years",
        ):
            figure = kind.figures[key]
            assert figure.low <= figure.base <= figure.high
            assert figure.source.mark in ("verified", "read", "unverified")
            assert figure.unit
            assert figure.source.year >= 2000


def test_a_start_and_a_ramp_by_hand() -> None:
    fleet = Fleet.of([engine()])
    # 6 min to start; at the least load of 3 MW it takes a block of 2 MW at once: 5 MW. Then 1 MW a
    # minute: 3 min from 5 to 8 MW, mean 6.5 MW, and 6 min at 8 MW.
    state, out = step(fleet, at_rest(fleet), [8.0], 0.25)
    assert out.energy_mwh[0] == pytest.approx(6.5 * 3 / 60 + 8.0 * 6 / 60)
    assert out.running_h[0] == pytest.approx(0.15)
    # fuel: 2 x (0.1 x 10 MW x 0.15 h + 0.9 x 1.125 MWh)
    assert out.fuel_burnt_mwh[0] == pytest.approx(2 * (0.15 + 0.9 * 1.125))
    assert state.level_mw[0] == 8.0
    assert state.running[0]
    assert out.starts_count[0] == 1.0
    # full load for an hour burns the heat rate exactly
    state, _ = step(fleet, state, [10.0], 0.25)
    _, out = step(fleet, state, [10.0], 1.0)
    assert out.fuel_burnt_mwh[0] == pytest.approx(20.0)
    assert out.starts_count[0] == 0.0


def test_the_least_load_is_that_of_one_unit() -> None:
    fleet = Fleet.of([engine(units=5, start_min=0.0)])
    _, out = step(fleet, at_rest(fleet), [0.1], 1.0)
    assert out.energy_mwh[0] == pytest.approx(0.6)
    assert out.fuel_burnt_mwh[0] == pytest.approx(2 * (0.1 * 2 + 0.9 * 0.6))


def test_fuel_and_run_hours_end_it() -> None:
    fleet = Fleet.of([engine(start_min=0.0, block_share=1.0, fuel_stock_mwh=10.0)])
    state, out = step(fleet, at_rest(fleet), [10.0], 1.0)
    assert out.fuel_out[0]
    assert out.energy_mwh[0] == pytest.approx(5.0)
    assert state.fuel_mwh[0] == 0.0
    _, out = step(fleet, state, [10.0], 1.0)
    assert out.energy_mwh[0] == 0.0
    fleet = Fleet.of([engine(start_min=0.0, block_share=1.0, run_h_max=500.0)])
    state, out = step(fleet, at_rest(fleet, 499.5), [10.0], 1.0)
    assert out.hours_out[0]
    assert not out.fuel_out[0]
    assert state.run_h[0] == pytest.approx(500.0)
    assert out.energy_mwh[0] == pytest.approx(5.0)


def test_cost_and_emissions_by_hand() -> None:
    fleet = Fleet.of([engine()])
    of = account(fleet, [100.0], [210.0], [2.0])
    assert of.cost_eur[0] == pytest.approx(210 * 40 + 100 * 10 + 2 * 5 * 10)
    assert of.co2_kg[0] == 42_000.0
    assert of.nox_kg[0] == 50.0
    assert of.water_m3[0] == pytest.approx(10.0)
    assert engine().marginal_eur_per_mwh == 90.0
    assert engine().stack_co2_kg_per_mwh == 400.0
    with pytest.raises(BadInput) as caught:
        account(fleet, [-1.0], [math.nan])
    assert len(caught.value.problems) == 2


def test_nothing_exists_before_its_day() -> None:
    day_ns = 86_400_000_000_000
    born = (DAY - dt.date(1970, 1, 1)).days * day_ns
    wind = typical("wind", 50.0, DAY)
    got = available_mw(wind, [born - 1, born, born + day_ns], [0.5, 0.5, 0.2])
    assert got.tolist() == [0.0, 25.0, 10.0]
    with pytest.raises(BadInput, match="capacity_factor"):
        available_mw(wind, [born], 1.2)
    assert commissioned_on("nuclear_smr", dt.date(2027, 1, 1)) == dt.date(2038, 1, 1)
    assert commissioned_on("solar", DAY, "low") < commissioned_on("solar", DAY, "high")


def test_bad_input_is_told_all_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        engine(capacity_mw=-1.0, heat_rate_mwh_per_mwh=math.nan, driver="water", units=0)
    assert len(caught.value.problems) == 4
    with pytest.raises(BadInput, match="burns some"):
        engine(heat_rate_mwh_per_mwh=0.0)
    with pytest.raises(BadInput) as caught:
        typical("diesel", 10.0, DAY, power=3)
    assert len(caught.value.problems) == 2
    with pytest.raises(BadInput, match="one of"):
        typical("coal", 10.0, DAY)
    with pytest.raises(BadInput) as caught:
        commissioned_on("coal", DAY, "late")
    assert len(caught.value.problems) == 2
    with pytest.raises(BadInput, match="name of its own"):
        Fleet.of([engine(), engine()])


def test_a_file_is_read_with_every_problem(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text(
        """
sources:
  a: {source: "x", year: 2020, state: published, mark: unverified}
  b: {source: "y", year: 2020, state: published, mark: read}
fuels:
  gas: {stored: false, figures: {price_eur_per_mwh: {value: [3, 2, 1], source: b}}}
generators:
  mill: {driver: water, figures: {lead_years: 3}}
  other: 3
""",
        encoding="utf-8",
    )
    with pytest.raises(BadInput) as caught:
        load_kinds(tmp_path / "k.yaml")
    text = str(caught.value)
    for part in (
        "sources.a.state",
        "rising order",
        "co2_kg_per_mwh",
        "driver",
        "lead_years",
        "other",
    ):
        assert part in text


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-5, 15), st.floats(0.001, 1.0)), max_size=25),
    st.floats(0, 60),
    st.integers(1, 4),
    st.floats(0, 1),
)
def test_fuel_is_never_negative_and_output_never_above_what_it_is(
    asked: list[tuple[float, float]], stock: float, units: int, block: float
) -> None:
    fleet = Fleet.of([engine(fuel_stock_mwh=stock, units=units, block_share=block)])
    state = at_rest(fleet)
    burnt = made = 0.0
    for wanted, hours in asked:
        state, out = step(fleet, state, [wanted], hours)
        assert 0.0 <= out.energy_mwh[0] <= 10.0 * hours * (1 + 1e-12)
        assert state.fuel_mwh[0] >= 0.0
        assert 0.0 <= out.running_h[0] <= hours
        burnt += out.fuel_burnt_mwh[0]
        made += out.energy_mwh[0]
    assert burnt + state.fuel_mwh[0] == pytest.approx(stock, abs=1e-9)
    # never better than full load: at most a MWh of power from 2 MWh of fuel
    assert made <= burnt / 2.0 + 1e-9


def test_the_page_says_what_the_data_says() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "islanding.md"
    table = page.read_text(encoding="utf-8").partition("| technology |")[2].splitlines()[2:11]
    assert len(table) == len(kinds())
    for row, kind in zip(table, kinds().values(), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        of = kind.figures

        def base(key: str, of: Mapping[str, Range] = of) -> float | None:
            return of[key].base if key in of else None

        told = [None if cell == "-" else float(cell) for cell in (cells[1], *cells[4:6])]
        keys = ("heat_rate_mwh_per_mwh", "life_co2_kg_per_mwh", "water_l_per_kwh")
        assert told == [base(key) for key in keys], cells[0]
        least = None if cells[3] == "-" else float(cells[3].removesuffix("%")) / 100
        assert least == base("min_load_share"), cells[0]
        low, _, high = cells[6].partition(" to ")
        assert (float(low), float(high)) == (of["lead_years"].low, of["lead_years"].high)
