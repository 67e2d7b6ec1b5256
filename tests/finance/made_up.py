"""A factory of round numbers whose years can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from gigafactory.factory import load_factory
from gigafactory.factory.dossier import dossier_of
from gigafactory.finance.base import Asset, Base, Sale, base_of
from gigafactory.finance.planfile import Plan, load_plan

YEARS = 15
#: Present value of one euro a year for fifteen years at 9 %, the first one a year from now.
ANNUITY_15_AT_9 = 8.060688
#: The same for ten years at 5 %.
ANNUITY_10_AT_5 = 7.721735


@cache
def rotterdam() -> Base:
    return base_of("rotterdam")


@cache
def bundled_plan() -> Plan:
    plan = load_plan(dossier_of(load_factory("rotterdam")))
    assert plan is not None
    return plan


def simple_plan(**changes: Any) -> Plan:
    """One year of building, fifteen of operation; no tax, no loans, no indexation, cash at once."""
    place = {"nl": "50 %", "eu": "30 %"}
    asset = {"paid": ["100 %"], "payee": "maker", "places": place, "refresh": "0 %"}
    line = {"payee": "supplier", "places": place}
    raw: dict[str, Any] = {
        "first_year": 2027,
        "building": 1,
        "operating": YEARS,
        "ramp": ["100 %"],
        "assets": {
            **{n: dict(asset) for n in ("accelerators", "network", "storage")},
            **{n: dict(asset) for n in ("battery", "connection")},
            "shell": {**asset, "part": "100 %"},
            "power": dict(asset),
            "cooling": dict(asset),
        },
        "opex": {
            **{n: {**line, "fixed": "0 %"} for n in ("energy", "water", "grid_tariff")},
            **{n: dict(line) for n in ("staff", "maintenance")},
        },
        "estimate": {
            "utilisation": "80 %", "load_share": "80 %", "pue": 1.1, "energy": "80 EUR/MWh",
            "grid_tariff": "0 EUR/y", "water": "0 EUR/y",
        },
        "uncertain": {
            "price": {"low": "80 %", "high": "120 %"},
            "utilisation": {"low": "80 %", "high": "110 %"},
            "energy_price": {"low": "80 %", "high": "130 %"},
            "power_delay": {"low": 0, "base": 0, "high": 2},
            "price_change": {"low": "-10 %", "base": "0 %", "high": "10 %"},
        },
        "segments": [{"name": "all", "title": {"en": "All", "nl": "Alle"}, "places": {}}],
        "owners": [{"name": "owner", "part": "100 %", "places": {"nl": "100 %"}}],
        "tax": {"rate": "0 %"},
        "valuation": {"multiple": {"low": 5, "base": 10, "high": 20}, "exit_year": 5},
        "discount": {"low": "6 %", "base": "9 %", "high": "12 %"},
    }  # fmt: skip
    return Plan.model_validate({**raw, **changes})


def simple_base(plan: Plan | None = None, *, life_years: float = 15.0) -> Base:
    """Capex of EUR 1,000; a year earns 200, costs 50, and sells 1,000 hours of 2,000."""
    found = plan or simple_plan()
    nothing = Asset(0.0, 0.0, 0.0, (20.0, 20.0, 20.0))
    chips = Asset(800.0, 1000.0, 1500.0, (life_years, life_years, life_years))
    return replace(
        rotterdam(),
        plan=found,
        sales=(Sale("all", "research", 1000.0, 200_000_000),),
        beside_eur={},
        opex_eur={
            "energy": 20.0, "water": 0.0, "grid_tariff": 0.0, "staff": 10.0, "maintenance": 20.0,
        },
        assets={n: chips if n == "accelerators" else nothing for n in found.assets},
        installed_gpu_h=2000.0,
        import_mwh=1.0,
        accelerators=1,
        h100_equivalents=2.0,
    )  # fmt: skip
