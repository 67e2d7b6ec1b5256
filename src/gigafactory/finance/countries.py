"""The same factory in other countries: tax, public money, and what still has to be found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gigafactory.finance.base import Base
from gigafactory.finance.levers import Levers, Number
from gigafactory.finance.planfile import INFRASTRUCTURE
from gigafactory.finance.tables import read_table
from gigafactory.finance.years import measure, play
from gigafactory.plant.provenance import Source, need_source

FILE: Final = "countries.yaml"


@dataclass(frozen=True, slots=True)
class Country:
    """The factory in one country.

    Attributes:
        code: ISO 3166.
        title: by language.
        tax_rate: of corporate income tax.
        union: whether it takes part in the joint procurement.
        national_eur: public money announced; None where nothing was found.
        energy_eur_per_mwh: given by the plan; None: the plan's own price stands in.
        sources: of the figures.
        missing: figures nobody has found, by key.
        npv_eur, irr_rate: with this tax and price, without public money.
        npv_supported_eur, irr_supported_rate: with the money it could get; as before where none.
        support_eur: that money.
    """

    code: str
    title: Mapping[str, str]
    tax_rate: float
    union: bool
    national_eur: float | None
    energy_eur_per_mwh: float | None
    sources: Mapping[str, Source]
    missing: tuple[str, ...]
    npv_eur: float
    irr_rate: float
    npv_supported_eur: float
    irr_supported_rate: float
    support_eur: float


def countries(base: Base) -> list[Country]:
    """The same factory in every country of the table.

    Raises:
        BadInput: the bundled file is damaged.
    """
    raw = read_table(FILE)
    return [_one(base, raw, code) for code in raw["countries"]]


def _one(base: Base, raw: Mapping[str, Any], code: str) -> Country:
    row = raw["countries"][code]
    abroad = base.plan.abroad.get(code)
    home = code in {site.place.country for site in base.factory.sites.values()}
    sources = {
        "tax_rate": need_source(FILE, f"{code}.tax", row.get("tax_note", raw["tax_source"])),
        "union": need_source(FILE, "union", raw["union_source"]),
    }
    national = row.get("national_eur")
    if "national_source" in row:
        sources["national_eur"] = need_source(FILE, f"{code}.national", row["national_source"])
    energy = abroad.energy_eur_per_mwh if abroad else None
    building = abroad.building if abroad else None
    missing = []
    if not home:
        missing += ["energy"] if energy is None else []
        missing += ["building"] if building is None else []
    missing += ["national"] if national is None else []
    own = base.opex_eur["energy"] / base.import_mwh
    capex: dict[str, Number] = dict.fromkeys(INFRASTRUCTURE, building or 1.0)

    def levers(grant: float, access: float) -> Levers:
        return Levers(
            tax_rate=float(row["tax_rate"]),
            energy_price_factor=1.0 if energy is None else energy / own,
            capex_factor=capex,
            grant_of_capex_fraction=grant,
            access_fraction=access,
        )

    bare = measure(play(base, levers(0.0, 0.0)))
    union = float(raw["union_of_capex"]) if row["union"] else 0.0
    share = union + (national or 0.0) / base.capex_eur
    course = play(base, levers(share, union))
    helped = measure(course)
    return Country(
        code=code,
        title=row["title"],
        tax_rate=float(row["tax_rate"]),
        union=bool(row["union"]),
        national_eur=None if national is None else float(national),
        energy_eur_per_mwh=energy,
        sources=sources,
        missing=tuple(missing),
        npv_eur=float(bare.npv_eur[0]),
        irr_rate=float(bare.irr_rate[0]),
        npv_supported_eur=float(helped.npv_eur[0]),
        irr_supported_rate=float(helped.irr_rate[0]),
        support_eur=float(course.given.sum() / 100.0),
    )


__all__ = ["Country", "countries"]
