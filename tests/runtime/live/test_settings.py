"""The service's settings: every problem at once, and no secret in sight."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from gigafactory.engine.errors import BadInput
from gigafactory.factory import init_text, load_factory
from gigafactory.factory.models import Factory
from gigafactory.factory.timeline import connection_limit_mw
from gigafactory.grid import MarketCalendar
from gigafactory.runtime.live.orders import PointRules
from gigafactory.runtime.live.serve import GATEWAYS, children_of
from gigafactory.runtime.live.settings import Settings, example_settings, load_settings, secret_of
from gigafactory.runtime.live.wiring import ENVIRONMENTS, point_rules, source_rules
from gigafactory.runtime.transport import transport_of
from gigafactory.units import NS_PER_H, NS_PER_S
from tests.runtime.live.bench import NOON

SECRET = "hunter2-very-secret"
#: Of the factory that init writes: its firm right, and what one of its two circuits carries.
FIRM_MW, CARRIED_MW = 1.4, 3.92


def loaded(folder: Path, **changes: object) -> Settings:
    told = yaml.safe_load(example_settings()) | changes
    path = folder / "serve.yaml"
    path.write_text(yaml.safe_dump(told), "utf-8")
    factory = folder / "f.yaml"
    factory.write_text(init_text("f"), "utf-8")
    return load_settings(path, load_factory(str(factory)))


def problems(folder: Path, **changes: object) -> str:
    with pytest.raises(BadInput) as error:
        loaded(folder, **changes)
    return str(error.value)


def test_the_example_suits_the_factory_that_init_writes(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert children_of(found) == ("controller", "books", "api")
    assert found.pools() == {"h100": "main"}


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        environment="production",
        tick=2,
        sites={"away": {"safe": "1 MW"}, "home": {"safe": "9 MW"}},
        speed="fast",
        meters={"m": {"kind": "crystal_ball"}},
    )
    for part in ("environment", "tick", "speed", "meters"):
        assert part in told, part


def test_settings_are_held_against_the_factory(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        sites={"away": {"safe": "1 MW"}, "home": {"safe": "9 MW", "operator": "99 MW"}},
        managers={"main": {"kind": "twin", "pools": ["h100", "b200"]},
                  "other": {"kind": "twin", "pools": ["h100"]}},
        channels={"api": {"kind": "api", "points": ["home"]},
                  "gopacs": {"kind": "uftp", "points": ["moon"], "day_ahead_by": "8 o'clock"}},
        response={"deadline": "4 s", "freeze_after": "5 s"},
    )  # fmt: skip
    for part in ("away", "home.safe", "home.operator", "b200", "managers.other.pools", "moon",
                 "channels = api", "day_ahead_by", "freeze_after", "tick"):  # fmt: skip
        assert part in told, part


@pytest.mark.parametrize(
    "changes",
    [
        {"store": {"url": f"postgresql://me:{SECRET}@db/x"}},
        {"api": {"port": 1, "token": SECRET}},
        {"channels": {"g": {"kind": "uftp", "points": ["home"],
                            "options": {"keys": [{"private_key": SECRET}]}}}},
        {"store": {"url": "postgresql://me@db/x", "password": {}}},
        {"store": {"url": "postgresql://me@db/x", "password": {"file": "a", "env": "B"}}},
    ],
)  # fmt: skip
def test_a_secret_in_the_file_is_refused_and_not_repeated(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    told = problems(tmp_path, **changes)
    assert SECRET not in told
    assert "{file: ...}" in told


def test_secrets_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pw").write_text(SECRET + "\n", "utf-8")
    url = "postgresql://me@db:5432/x"
    found = loaded(tmp_path, store={"url": url, "password": {"file": str(tmp_path / "pw")}})
    assert found.store.full_url(tmp_path) == f"postgresql://me:{SECRET}@db:5432/x"
    assert SECRET not in repr(found)
    monkeypatch.setenv("GF_TEST_SECRET", SECRET)
    assert secret_of({"env": "GF_TEST_SECRET"}) == SECRET
    with pytest.raises(BadInput, match="is not set"):
        secret_of({"env": "GF_TEST_NOTHING"})


def test_the_connection_carries_its_firm_and_its_standing_rights(tmp_path: Path) -> None:
    told = yaml.safe_load(init_text("f"))
    told["sites"]["home"]["connection"] |= {
        "ramp": "20 %",
        "rights": [
            {"name": "tdtr", "form": "duration_bound", "capacity": "0.5 MW"},
            {"name": "night", "form": "time_block", "capacity": "1 MW",
             "blocks": [{"start": 0, "end": 6}]},
        ],
    }  # fmt: skip
    path = tmp_path / "g.yaml"
    path.write_text(yaml.safe_dump(told, allow_unicode=True), "utf-8")
    factory = load_factory(str(path))
    rules = point_rules(factory, loaded(tmp_path), NOON)["home"]
    assert rules.firm_mw == pytest.approx(FIRM_MW + 0.5)
    night = point_rules(factory, loaded(tmp_path), NOON + 14 * NS_PER_H)["home"]
    assert night.firm_mw == pytest.approx(min(FIRM_MW + 1.5, CARRIED_MW))
    _as_the_simulation_has_it(factory, rules)
    assert rules.safe_mw == 0.5
    assert set(source_rules(loaded(tmp_path))) == {"operator-api"}


def _as_the_simulation_has_it(factory: Factory, rules: PointRules) -> None:
    """Each quarter of the day has the limit of the twin's site in a run of that day."""
    calendar = MarketCalendar.of(dt.date(2026, 11, 25), 1, "Europe/Amsterdam")
    site = factory.sites["home"]
    held = transport_of("home", site, calendar, None, 7)
    assert held is not None
    limit = connection_limit_mw("home", site, None, calendar.start_ns)
    twin = np.minimum(limit, held.room_mw)
    assert len(set(twin.tolist())) == 2, "the block of the night, and the day"
    alone = replace(rules, lead_s=0.0)
    assert [alone.right_mw(int(at)) for at in calendar.start_ns[:-1]] == twin.tolist()
    six = int(calendar.start_ns[24])
    assert alone.next_ns(six - 1) == six
    early = replace(rules, lead_s=30.0)
    assert early.right_mw(six - 31 * NS_PER_S) == twin[0]
    assert early.right_mw(six - 30 * NS_PER_S) == twin[24], "there in time"
    assert early.next_ns(six - 60 * NS_PER_S) == six - 30 * NS_PER_S
    assert early.next_ns(NOON) == int(calendar.end_ns), "and back at midnight, not before"


def test_the_table_of_environments_is_whole() -> None:
    assert set(ENVIRONMENTS) == {"simulate", "shadow", "live"}
    assert not ENVIRONMENTS["shadow"].sends
    assert set(GATEWAYS) == {"uftp", "mqtt", "openadr", "iec104"}
