"""The catalogue: data only, every figure sourced, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.plant import CLASS_LABELS, h100_equivalents, load_catalogue
from gigafactory.plant.provenance import STATES

FICTION = """
chips:
  Zuiderzee-1:
    vendor: Fictional Silicon
    origin: NL
    fabrication: "nowhere, this chip is a test"
    dense_8bit_tops: 3958
    memory: "0.2 TB"
    node_size: 4
    tdp: "0.9 kW"
    idle: "250 W"
    work: {research: "1.1 kW", inference_batch: "1000 W"}
    peak: "1400 W"
    embodied: ["150 kg", "0.5 t"]
    price: ["10 kEUR", "20000 EUR", "30000 EUR"]
    sources:
      origin: &us {source: "this test", year: 2026, state: synthetic}
      dense_8bit_tops: *us
      memory: *us
      node_size: *us
      tdp: *us
      idle: *us
      work.research: *us
      work.inference_batch: *us
      peak: *us
      embodied: *us
      price: *us
"""


def test_the_bundled_chips_are_there_and_every_figure_names_its_source() -> None:
    chips = load_catalogue()
    assert {"H100", "H200", "B200", "GB200", "MI300X", "Trainium2"} <= set(chips)
    assert list(chips) == sorted(chips)
    assert any(chip.origin == "NL" for chip in chips.values())
    for chip in chips.values():
        figures = {"origin", "dense_8bit_tops", "memory", "node_size", "tdp", "idle", "peak"}
        figures |= {"embodied", "price"} | {f"work.{label}" for label in chip.work_w}
        assert set(chip.sources) == figures
        assert all(s.state in STATES and s.source and s.year > 2000 for s in chip.sources.values())
        assert all(chip.idle_w < watts <= chip.peak_w for watts in chip.work_w.values())


def test_equivalents_follow_the_rule() -> None:
    chips = load_catalogue()
    assert chips["H100"].h100_equivalent == 1.0
    assert chips["B200"].h100_equivalent == pytest.approx(2.27, abs=0.005)
    assert h100_equivalents({"H100": 10, "B200": 44_000}) == pytest.approx(100_060.5, abs=0.1)
    assert h100_equivalents({}) == 0.0
    with pytest.raises(BadInput) as caught:
        h100_equivalents({"H100": -1, "H101": 5, "B200": float("nan")})
    assert [p.field for p in caught.value.problems] == ["B200", "H100", "H101"]


def test_the_european_part_does_inference_only() -> None:
    part = load_catalogue()["Axelera-Europa"]
    assert {label for label in CLASS_LABELS if part.can(label)} == {
        "inference_batch",
        "inference_realtime",
    }


def test_a_new_chip_is_added_by_a_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(FICTION)
    chips = load_catalogue(path)
    mine = chips["Zuiderzee-1"]
    assert mine.h100_equivalent == 2.0
    assert (mine.memory_gb, mine.tdp_w, mine.work_w["research"]) == (200.0, 900.0, 1100.0)
    assert mine.embodied_kg == (150.0, 500.0)
    assert mine.price_eur == (10_000.0, 20_000.0, 30_000.0)
    assert h100_equivalents({"Zuiderzee-1": 50_000}, chips) == 100_000.0
    assert "Zuiderzee-1" not in load_catalogue()


def test_all_problems_come_at_once_and_in_words(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = FICTION.replace("NL", "Nederland").replace('"0.9 kW"', "900")
    text = text.replace("research: ", "resurch: ").replace("node_size: 4", "node_size: 0")
    text = text.replace('"150 kg"', '"900 kg"').replace("vendor:", "vender:")
    text = text.replace("3958", ".nan").replace('"1000 W"', '"100 W"')
    path.write_text(text)
    other = tmp_path / "again.yaml"
    other.write_text(FICTION.replace("Zuiderzee-1", "H100"))
    gone = tmp_path / "gone.yaml"
    with pytest.raises(BadInput) as caught:
        load_catalogue(path, other, gone)
    fields = {p.field.removeprefix("chips.Zuiderzee-1.") for p in caught.value.problems}
    assert {"origin", "tdp", "work.resurch", "node_size", "embodied", "vendor"} <= fields
    assert {"vender", "dense_8bit_tops", "work.inference_batch", "chips.H100"} <= fields
    assert any(p.where == str(gone) for p in caught.value.problems)
    assert "900 has no unit" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("chips: [", "YAML"),
        ("- a list", "mapping"),
        ("chips: {}", "at least one chip"),
        ("chips: {A: 3}\nspeed: 4", "unknown key"),
        ("chips:\n  A: {vendor: x}\n  A: {vendor: y}", "twice"),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "shape.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=word):
        load_catalogue(path)


def test_sources_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(FICTION.replace("year: 2026, state: synthetic", "year: 26, state: true-ish"))
    with pytest.raises(BadInput) as caught:
        load_catalogue(path)
    assert {p.field.rsplit(".", 1)[-1] for p in caught.value.problems} == {"year", "state"}
