"""What a dearer metal does to the price of a factory: kilograms times price, by class of asset.

In the short run nothing can stand in for a metal, and mines do not open: a rise in demand then
moves the price by ``(1 + rise) ** (1 / supply elasticity)``; with substitution, demand answers too.
A price makes a factory dearer; a metal that is not delivered at all stops it, which is a question
for the supply graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.finance.base import Base
from gigafactory.finance.demand import price_factor
from gigafactory.finance.tables import read_table
from gigafactory.plant.provenance import Source, need_source

FILE: Final = "materials.yaml"
#: Without substitution and with mines that barely answer a price runs away; no crisis held such a
#: price for the years of building, so it is cut off here, and the cut is told.
TIMES_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Use:
    """Mass of a material in a class of asset; None where nobody knows it.

    Attributes:
        asset: class of asset.
        per: `mw` of IT power or `accelerator`.
        mass_kg: per one of these.
        source: who says so.
    """

    asset: str
    per: str
    mass_kg: float | None
    source: Source


@dataclass(frozen=True, slots=True)
class Material:
    """A material, its price and how its market answers.

    Attributes:
        price_eur_per_kg: today.
        supply_elasticity, demand_elasticity: answers to a price, both positive.
        demand_rise_fraction: rise of demand that the scenario supposes.
        uses: masses by class of asset.
        sources: of the figures, by name.
    """

    price_eur_per_kg: float
    supply_elasticity: float
    demand_elasticity: float
    demand_rise_fraction: float
    uses: tuple[Use, ...]
    sources: Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Shock:
    """What a dearer material adds to a class of asset.

    Attributes:
        material, asset: which.
        mass_kg: in the whole factory; None where it is not known.
        price_factor: new price over the old.
        extra_eur: mass times the rise of the price; None where the mass is not known.
    """

    material: str
    asset: str
    mass_kg: float | None
    price_factor: float
    extra_eur: float | None


def load_materials() -> dict[str, Material]:
    """The bundled materials.

    Raises:
        BadInput: the bundled file is damaged.
    """
    raw: dict[str, Any] = read_table(FILE)["materials"]
    numbers = ("price_eur_per_kg", "supply_elasticity", "demand_elasticity", "demand_rise")
    found = {}
    for name, row in raw.items():
        sources = {key: need_source(FILE, f"{name}.{key}", row[key]["source"]) for key in numbers}
        price, supply, demand, rise = (float(row[key]["value"]) for key in numbers)
        uses = tuple(
            Use(
                u["asset"],
                u["per"],
                u["kg"],
                need_source(FILE, f"{name}.{u['asset']}", u["source"]),
            )
            for u in row["uses"]
        )
        bad = [u for u in uses if u.per not in ("mw", "accelerator")]
        if bad:
            raise BadInput([Problem(FILE, name, u.per, "is mw or accelerator") for u in bad])
        found[name] = Material(price, supply, demand, rise, uses, sources)
    return found


def new_price_factor(material: Material, *, substitution: bool) -> float:
    """Price after the rise of demand over the price before.

    Args:
        material: and its market.
        substitution: whether demand can turn to something else; in the short run it cannot.
    """
    answer = material.demand_elasticity if substitution else 0.0
    rise = float(
        price_factor(1.0 + material.demand_rise_fraction, material.supply_elasticity, answer)
    )
    return min(rise, TIMES_MAX)


def shocks(
    base: Base,
    materials: Mapping[str, Material] | None = None,
    *,
    substitution: bool = False,
    price_factors: Mapping[str, float] | None = None,
) -> list[Shock]:
    """What dearer materials add to each class of asset.

    Args:
        base: the factory.
        materials: the bundled ones without.
        substitution: whether demand can turn to something else.
        price_factors: prices over the old ones, instead of those that follow from demand.
    """
    found = []
    for name, material in (materials or load_materials()).items():
        factor = (price_factors or {}).get(name)
        if factor is None:
            factor = new_price_factor(material, substitution=substitution)
        for use in material.uses:
            count = base.it_design_mw if use.per == "mw" else float(base.accelerators)
            mass = None if use.mass_kg is None else use.mass_kg * count
            extra = None if mass is None else mass * material.price_eur_per_kg * (factor - 1.0)
            found.append(Shock(name, use.asset, mass, factor, extra))
    return found


def capex_factors(base: Base, found: list[Shock]) -> dict[str, float]:
    """What these shocks make of the price of each class of asset, passed on in full."""
    extra: dict[str, float] = {}
    for shock in found:
        extra[shock.asset] = extra.get(shock.asset, 0.0) + (shock.extra_eur or 0.0)
    return {a: 1.0 + eur / base.assets[a].base_eur for a, eur in extra.items() if a in base.assets}


__all__ = [
    "TIMES_MAX",
    "Material",
    "Shock",
    "Use",
    "capex_factors",
    "load_materials",
    "new_price_factor",
    "shocks",
]
