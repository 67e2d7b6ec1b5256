"""A cut-off becomes a scenario file that the same door reads back, with the events it means."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.factory import (
    Factory,
    check_factory,
    compile_timeline,
    instant_of,
    load_factory,
    load_scenario,
    scenario_text,
)
from gigafactory.factory.dossier import dossier_of
from gigafactory.factory.scenario import NoSparesEvent, PowerEvent, Scenario
from gigafactory.factory.supplygraph import SupplyPicture, supply_of
from gigafactory.factory.supplyscenario import cut_scenario
from gigafactory.supply import cut_of, what_stops
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite

DAY = dt.date(2025, 1, 1)


@pytest.fixture(scope="module")
def rotterdam() -> Factory:
    return load_factory("rotterdam")


@pytest.fixture(scope="module")
def picture(rotterdam: Factory) -> SupplyPicture:
    return supply_of(rotterdam, dossier_of(rotterdam))


def cut(factory: Factory, picture: SupplyPicture, asked: str, **more: bool) -> Scenario:
    stop = what_stops(picture.graph, cut_of(picture.graph, asked, **more), 36, DAY)
    return cut_scenario(factory, picture, stop, DAY, base="rotterdam")


@pytest.mark.parametrize(
    ("asked", "disables"),
    [("US", False), ("nvidia", True), ("TW", False), ("asset-transformers", False)],
)
def test_it_reads_back_and_has_no_problems(
    tmp_path: Path, rotterdam: Factory, picture: SupplyPicture, asked: str, disables: bool
) -> None:
    made = cut(rotterdam, picture, asked, disables=disables)
    path = tmp_path / "cut.yaml"
    path.write_text(scenario_text(made), "utf-8")
    again = load_scenario(path)
    assert again.model_dump() == made.model_dump()
    assert check_factory("rotterdam", again) == []


def test_a_vendor_s_silence_wears_the_fleet_down_from_the_day_the_spares_end(
    rotterdam: Factory, picture: SupplyPicture
) -> None:
    made = cut(rotterdam, picture, "nvidia")
    (worn,) = [event for event in made.events if isinstance(event, NoSparesEvent)]
    assert worn.vendor == "NVIDIA"
    assert worn.vendor_country is None
    assert worn.failures_per_year == pytest.approx(0.09)
    stop = what_stops(picture.graph, "nvidia", 36, DAY)
    ends = min(step.month for step in stop.steps if step.what == "spares_end")
    assert 1.0 < ends < 2.0  # a month of stock at the vendor's, then our spares
    assert worn.from_.date() == DAY + dt.timedelta(days=round(ends * 365.25 / 12))
    assert worn.until is not None  # when the substitute comes, everything works again
    start_ns = np.array(
        [instant_of(DAY + dt.timedelta(days=day), "Europe/Amsterdam") for day in range(366)]
    )
    down = compile_timeline(rotterdam, start_ns, made).down["b200"]
    assert down[0] == 0
    assert down[-20] / 60_000 == pytest.approx(stop.share_lost(11), abs=0.015)


def test_what_is_switched_off_stands_still(rotterdam: Factory, picture: SupplyPicture) -> None:
    made = cut(rotterdam, picture, "nvidia", disables=True)
    first = next(event for event in made.events if isinstance(event, PowerEvent))
    assert (first.hall, first.factor, first.from_.date()) == ("north", 0.0, DAY)


def test_a_hall_that_is_larger_than_its_pools_is_held_to_what_they_draw(
    rotterdam: Factory, picture: SupplyPicture
) -> None:
    made = cut(rotterdam, picture, "cooling-units=10")
    first = next(event for event in made.events if isinstance(event, PowerEvent))
    drawn_mw = picture.graph.nodes["pool-b200"].power_mw
    hall_mw = rotterdam.sites["maasvlakte"].halls["north"].it_power_mw_max
    assert first.factor == pytest.approx(50 / 54 * drawn_mw / hall_mw, abs=1e-6)


def test_what_is_still_to_come_does_not_come(tmp_path: Path) -> None:
    factory = load_factory(
        SmallFactory((SmallSite((SmallPool("H100", 4, late=2), SmallPool("B200", 2))),)).write(
            tmp_path / "small.yaml"
        )
    )
    picture = supply_of(factory, dossier_of(factory))
    stop = what_stops(picture.graph, "nvidia", 12, DAY)
    made = cut_scenario(factory, picture, stop, DAY)
    kinds = [event.kind for event in made.events]
    assert kinds == ["no_spares", "deliveries_stopped"]
    assert made.base is None
    start_ns = np.array(
        [instant_of(DAY + dt.timedelta(days=d), "Europe/Amsterdam") for d in (0, 60)]
    )
    assert compile_timeline(factory, start_ns, None).installed["pool00"].tolist() == [16]
    later = np.array([instant_of(dt.date(2025, 6, d), "Europe/Amsterdam") for d in (1, 2)])
    assert compile_timeline(factory, later, made).installed["pool00"].tolist() == [16]
    assert compile_timeline(factory, later, None).installed["pool00"].tolist() == [32]


def test_what_stops_nothing_makes_no_scenario(rotterdam: Factory, picture: SupplyPicture) -> None:
    with pytest.raises(BadInput, match="a run would show nothing"):
        cut(rotterdam, picture, "asset-transformers=1")


def test_spares_may_stay_away_by_country_or_by_vendor_not_both(tmp_path: Path) -> None:
    text = (
        "name: x\ntitle: {en: a, nl: b}\nexplanation: {en: a, nl: b}\nevents:\n"
        "  - {kind: no_spares, WHO from: 2025-05-01, failures_per_year: 9 %}\n"
    )
    path = tmp_path / "x.yaml"
    for who, words in (
        ("", "needs either vendor_country or vendor"),
        ("vendor: NVIDIA, vendor_country: US,", "needs either vendor_country or vendor"),
        ("vendor: NVIDEA,", "nobody in the accelerator catalogue"),
    ):
        path.write_text(text.replace("WHO", who), "utf-8")
        problems = check_factory("rotterdam", load_scenario(path))
        assert len(problems) == 1
        assert words in str(problems[0])
    path.write_text(text.replace("WHO", "vendor: nvidia,"), "utf-8")
    assert check_factory("rotterdam", load_scenario(path)) == []
