"""The service's settings: every problem at once, and no secret in sight."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gigafactory.engine.errors import BadInput
from gigafactory.factory import init_text, load_factory
from gigafactory.runtime.live.serve import GATEWAYS, children_of
from gigafactory.runtime.live.settings import Settings, example_settings, load_settings, secret_of
from gigafactory.runtime.live.wiring import ENVIRONMENTS, point_rules, source_rules
from tests.runtime.live.bench import NOON

SECRET = "hunter2-very-secret"


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
    assert children_of(found) == ("controller", "api")
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
    rules = point_rules(load_factory(str(path)), loaded(tmp_path), NOON)["home"]
    assert rules.firm_mw == pytest.approx(1.9)
    assert rules.ramp_mw_per_min == pytest.approx(0.38)
    assert rules.safe_mw == 0.5
    assert set(source_rules(loaded(tmp_path))) == {"operator-api"}


def test_the_table_of_environments_is_whole() -> None:
    assert set(ENVIRONMENTS) == {"simulate", "shadow", "live"}
    assert not ENVIRONMENTS["shadow"].sends
    assert set(GATEWAYS) == {"uftp", "mqtt", "openadr", "iec104"}
