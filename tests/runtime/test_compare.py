"""Comparing two runs: every figure, the biggest changes first, in words when it cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.runtime.compare import Row, compare, render

A = {
    "name": "rotterdam",
    "synthetic": True,
    "wall_s": 40.0,
    "seed": 0,
    "pue": 1.2,
    "jobs": {"total": 2_000_000, "lost": 0, "wait_s": {"research": {"mean": 100.0, "p95": 400.0}}},
    "energy": {"import_mwh": 1_234_567.8, "export_mwh": 0.0, "it_mwh": 900_000.0},
    "money": {"energy_eur": -50.0},
    "lcoc_eur_per_gpu_h": {"low": 1.1, "base": 1.4, "high": None},
}
B = {
    "name": "rotterdam",
    "synthetic": False,
    "wall_s": 41.0,
    "seed": 0,
    "pue": 1.2,
    "jobs": {"total": 2_000_000, "lost": 3, "wait_s": {"research": {"mean": 5000.0, "p95": 300.0}}},
    "energy": {"import_mwh": 1_111_111.1, "export_mwh": 0.0, "it_mwh": 900_000.0},
    "money": {"energy_eur": 50.0},
    "lcoc_eur_per_gpu_h": {"low": 1.1, "base": 1.4, "high": 2.0},
}


TEXT = """
                        rotterdam-1  rotterdam-2  difference        change
money
  energy_eur               -50.0000      50.0000   +100.0000     +200.00 %
jobs
  lost                            0            3          +3  from nothing
  wait_s.research.mean     100.0000        5,000      +4,900          x 50
  wait_s.research.p95      400.0000     300.0000   -100.0000      -25.00 %
energy
  import_mwh              1,234,568    1,111,111    -123,457      -10.00 %
run
  wall_s                    40.0000      41.0000     +1.0000       +2.50 %
lcoc_eur_per_gpu_h
  high                            -       2.0000           -     only in b

7 figures are the same in both
"""


def folder(place: Path, summary: object) -> Path:
    """A run folder with a made-up summary."""
    place.mkdir()
    text = summary if isinstance(summary, str) else json.dumps(summary)
    (place / "summary.json").write_text(text)
    return place


@pytest.fixture
def rows(tmp_path: Path) -> tuple[Row, ...]:
    return compare(folder(tmp_path / "a", A), folder(tmp_path / "b", B))


def test_every_number_of_either_summary_has_a_row(rows: tuple[Row, ...]) -> None:
    by_key = {row.key: row for row in rows}
    assert set(by_key) == {
        "wall_s",
        "seed",
        "pue",
        "jobs.total",
        "jobs.lost",
        "jobs.wait_s.research.mean",
        "jobs.wait_s.research.p95",
        "energy.import_mwh",
        "energy.export_mwh",
        "energy.it_mwh",
        "money.energy_eur",
        "lcoc_eur_per_gpu_h.low",
        "lcoc_eur_per_gpu_h.base",
        "lcoc_eur_per_gpu_h.high",
    }
    assert by_key["jobs.wait_s.research.mean"] == Row(
        "jobs.wait_s.research.mean", 100.0, 5000.0, 4900.0, 50.0
    )
    assert by_key["jobs.lost"] == Row("jobs.lost", 0, 3, 3, None)
    assert by_key["lcoc_eur_per_gpu_h.high"] == Row(
        "lcoc_eur_per_gpu_h.high", None, 2.0, None, None
    )
    assert by_key["seed"] == Row("seed", 0, 0, 0, None)


def test_the_biggest_change_comes_first_within_its_section(rows: tuple[Row, ...]) -> None:
    changed = [row.key for row in rows if row.change]
    assert changed == [
        "money.energy_eur",  # from -50 to 50: twice its size
        "jobs.lost",  # from nothing
        "jobs.wait_s.research.mean",  # times 50
        "jobs.wait_s.research.p95",
        "energy.import_mwh",
        "wall_s",
        "lcoc_eur_per_gpu_h.high",  # only in one: after every real change
    ]
    sections = [row.section for row in rows]
    assert sections == sorted(sections, key=sections.index)


def test_a_run_against_itself_has_no_change(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", A)
    rows = compare(place, place)
    assert all(row.difference == 0 for row in rows)
    assert render(rows, "a", "a") == f"a and a: all {len(rows)} figures are the same"


def test_the_text_is_aligned_and_shows_what_changed(rows: tuple[Row, ...]) -> None:
    text = render(rows, "rotterdam-1", "rotterdam-2")
    assert text == TEXT.strip("\n")


def test_figures_beyond_a_float_s_integers_are_compared_exactly(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", {"money": {"energy_micro_eur": 2**60 + 1}, "x": {"y": 1e308}})
    b = folder(tmp_path / "b", {"money": {"energy_micro_eur": 2**60 + 2}, "x": {"y": -1e308}})
    by_key = {row.key: row for row in compare(a, b)}
    assert by_key["money.energy_micro_eur"].difference == 1
    assert by_key["x.y"].change == 2.0
    assert "+1" in render(compare(a, b))


def test_records_of_a_list_are_compared_by_name(tmp_path: Path) -> None:
    rows = [{"node": "lab", "held_gpu_h": 1.0}, {"node": "shop", "held_gpu_h": 5.0}]
    a = folder(tmp_path / "a", {"shares": rows, "gangs": [{"least": 8, "run_h": 2.0}]})
    b = folder(tmp_path / "b", {"shares": rows[::-1], "gangs": [{"least": 8, "run_h": 2.0}]})
    found = {row.key: row for row in compare(a, b)}
    assert set(found) == {
        "shares.lab.held_gpu_h",
        "shares.shop.held_gpu_h",
        "gangs.8.least",
        "gangs.8.run_h",
    }
    assert all(row.difference == 0 for row in found.values())
    twice = folder(tmp_path / "c", {"shares": [rows[0], rows[0]]})
    assert {row.key for row in compare(twice, twice)} == {
        "shares.0.held_gpu_h",
        "shares.1.held_gpu_h",
    }


def test_small_and_listed_figures_are_shown(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", {"hall": [{"erf": 0.00012}, {"erf": 0.5}]})
    b = folder(tmp_path / "b", {"hall": [{"erf": 0.00024}]})
    text = render(compare(a, b))
    assert "1.200e-04" in text
    assert "+100.00 %" in text
    assert "only in a" in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"pue": NaN}', "NaN is not a number"),
        ('{"pue": 1.2', "is not a summary"),
        ("[1, 2]", "no named figures"),
        ("\xff", "is not a summary"),
    ],
)
def test_a_summary_that_cannot_be_read_is_told(tmp_path: Path, text: str, why: str) -> None:
    a = folder(tmp_path / "a", A)
    b = folder(tmp_path / "b", text)
    with pytest.raises(BadInput, match=why):
        compare(a, b)


def test_both_missing_summaries_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        compare(tmp_path / "a", tmp_path / "b")
    assert len(caught.value.problems) == 2
    assert all("no summary" in problem.why for problem in caught.value.problems)
