"""The Dutch siting rule: more than 10 ha and 70 MW or more, outside the designated areas."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.assess.results import Grade
from gigafactory.assess.siting import assess_siting, is_hyperscale
from tests.assess.cases import changed, subject

PLACE = "sites.maasvlakte.place"


def settings(area_ha: float, mw: float) -> dict[str, object]:
    return {
        f"{PLACE}.built_area": f"{area_ha} ha",
        "sites.maasvlakte.connection.capacity": f"{mw / 0.98:.9f} MVA",
        "sites.maasvlakte.connection.circuit_capacity": f"{mw / 0.98:.9f} MVA",
        "sites.maasvlakte.connection.firm": f"{mw * 0.5:.6f} MW",
        "sites.maasvlakte.connection.rights": [],
        "sites.maasvlakte.connection.congestion": None,
    }


def test_eleven_hectares_and_80_mw_outside_an_exempt_area_is_not_permitted(tmp_path: Path) -> None:
    assessed = assess_siting(subject(changed(settings(11, 80), tmp_path)))
    finding = assessed.of("maasvlakte")
    assert (finding.grade, finding.gate) == (Grade.UNMET, True)
    assert assessed.scores["refused"] == 1
    assert "not permitted" in finding.why["en"]
    assert "niet toegestaan" in finding.why["nl"]


def test_the_same_in_a_designated_area_or_abroad_is_another_matter(tmp_path: Path) -> None:
    exempt = changed(settings(11, 80) | {f"{PLACE}.hyperscale_exempt": True}, tmp_path)
    assert assess_siting(subject(exempt)).of("maasvlakte").grade is Grade.MET
    abroad = changed(settings(11, 80) | {f"{PLACE}.country": "DE"}, tmp_path)
    assert assess_siting(subject(abroad)).of("maasvlakte").grade is Grade.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("area_ha", "mw", "is_one"),
    [
        (10.0, 500, False),
        (10.01, 70, True),
        (50, 69.9, False),
        (10.01, 69.9, False),
        (11, 80, True),
    ],
)
def test_both_bounds_at_once(area_ha: float, mw: float, is_one: bool) -> None:
    assert is_hyperscale(area_ha, mw) is is_one


def test_the_bundled_factory_stays_clear_by_its_built_area() -> None:
    finding = assess_siting(subject()).of("maasvlakte")
    assert finding.grade is Grade.MET
    assert finding.value == pytest.approx(8)
    assert "196 MW" in finding.why["en"]
