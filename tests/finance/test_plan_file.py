"""A plan is read through the same door as a factory, and never contradicts it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from gigafactory.engine.errors import BadInput
from gigafactory.factory import load_factory
from gigafactory.factory.dossier import Dossier, dossier_of
from gigafactory.finance import capex_eur
from gigafactory.finance.base import base_of, unsourced
from gigafactory.finance.planfile import FILE, load_plan
from gigafactory.finance.statement import capex_rows
from gigafactory.plant import load_catalogue
from tests.finance.made_up import bundled_plan, rotterdam


def raw() -> dict[str, Any]:
    path = dossier_of(load_factory("rotterdam")).file(FILE)
    assert path is not None
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def problems(folder: Path, plan: dict[str, Any]) -> list[str]:
    (folder / FILE).write_text(yaml.safe_dump(plan, allow_unicode=True), "utf-8")
    with pytest.raises(BadInput) as told:
        load_plan(Dossier("mine", folder))
    return [str(problem) for problem in told.value.problems]


def test_the_bundled_plan_says_where_its_figures_come_from() -> None:
    assert unsourced(bundled_plan()) == []
    assert "*" in bundled_plan().sources


def test_the_money_of_the_union_is_off() -> None:
    grants = {grant.name: grant for grant in bundled_plan().grants}
    assert grants["union-aigf"].of_capex == pytest.approx(0.17)
    assert not any(grant.granted for grant in grants.values())


def test_capex_is_the_factory_file_s() -> None:
    factory, base = load_factory("rotterdam"), rotterdam()
    for case in ("low", "base", "high"):
        cost = capex_eur(factory, load_catalogue(), base.it_design_mw, case)  # type: ignore[arg-type]
        parts = {n: getattr(a, f"{case}_eur") for n, a in base.assets.items()}
        assert parts["accelerators"] == pytest.approx(cost["accelerators"])
        assert parts["shell"] + parts["power"] + parts["cooling"] == pytest.approx(
            cost["infrastructure"]
        )
    cost = capex_eur(factory, load_catalogue(), base.it_design_mw, "base")
    for name in ("network", "storage", "battery", "connection"):
        assert base.assets[name].base_eur == pytest.approx(cost[name])
    field = base.plan.field_eur
    assert field is not None
    assert base.plan.connection_fields * field.base <= cost["connection"]


def test_capex_rows_add_up_and_say_what_each_unit_costs() -> None:
    base = rotterdam()
    *parts, total = capex_rows(base)
    assert total.name == "total"
    for end in ("low_eur", "base_eur", "high_eur"):
        assert sum(getattr(row, end) for row in parts) == pytest.approx(getattr(total, end))
    assert total.low_eur < total.base_eur < total.high_eur
    assert total.eur_per_mw * base.it_design_mw == pytest.approx(total.base_eur)
    assert total.eur_per_accelerator * 100_000 == pytest.approx(total.base_eur)
    assert total.eur_per_h100e * base.h100_equivalents == pytest.approx(total.base_eur)
    assert {"shell", "power", "cooling", "accelerators", "network"} <= {r.name for r in parts}


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    plan = raw()
    plan["owners"][0]["part"] = "90 %"
    plan["assets"]["shell"]["part"] = "5 %"
    plan["assets"]["network"]["paid"] = ["50 %"]
    plan["assets"]["storage"]["places"] = {"nl": "80 %", "eu": "40 %"}
    plan["assets"]["battery"]["cost"] = {"low": "1 EUR", "base": "2 EUR", "high": "3 EUR"}
    plan["tranches"][0]["term"] = 40
    plan["tranches"][2]["grace"] = 9
    plan["tranches"][1]["part"] = "90 %"
    plan["opex"]["energy"]["yearly"] = "3 EUR/y"
    del plan["opex"]["insurance"]["of_capex"]
    del plan["opex"]["water"]
    plan["grants"][1]["name"] = "union-aigf"
    told = "\n".join(problems(tmp_path, plan))
    for words in (
        "owners", "assets: part", "assets.network.paid", "assets.storage.places", "assets.battery",
        "tranches.senior.term", "tranches.junior.grace", "more is borrowed", "opex.energy",
        "opex.insurance", "opex.water", "twice",
    ):  # fmt: skip
        assert words in told, words


def test_figures_out_of_range_and_unknown_keys_are_told_with_their_line(tmp_path: Path) -> None:
    plan = raw()
    plan["tax"]["rate"] = "140 %"
    plan["operating"] = 0
    plan["tranches"][0]["rates"] = "5 %"
    plan["cash_min"] = 12
    told = problems(tmp_path, plan)
    assert len(told) == 4
    assert all("mine/plan.yaml" in line for line in told)


def test_a_factory_without_a_plan_says_so() -> None:
    with pytest.raises(BadInput, match=r"no plan.yaml"):
        base_of("groningen")


def test_a_connection_has_its_range_from_its_fields() -> None:
    asset = rotterdam().assets["connection"]
    assert asset.base_eur - asset.low_eur == pytest.approx(2 * 1e6)
    assert asset.high_eur - asset.base_eur == pytest.approx(2 * 2e6)


def test_a_plan_of_another_shape_is_refused(tmp_path: Path) -> None:
    plan = copy.deepcopy(raw())
    del plan["ramp"]
    plan["segments"] = []
    told = "\n".join(problems(tmp_path, plan))
    assert "ramp" in told
    assert "segments" in told or "missing" in told
