"""A full year of a factory as money sees it: what is sold to whom, what is paid, how much work.

From the ledger of a run where there is one, scaled to a year; else from the factory file and the
estimate of the plan, and then said to be an estimate. Revenue by segment and product comes from the
receipts of the run's jobs, so that it adds up to the ledger's to the last micro-euro.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel

from gigafactory.engine.errors import refuse
from gigafactory.factory import Factory, fleet_h100_equivalents, load_factory
from gigafactory.factory.dossier import Dossier, dossier_of
from gigafactory.factory.provenance import read_citation
from gigafactory.finance.lcoc import capex_eur
from gigafactory.finance.planfile import INFRASTRUCTURE, Plan, load_plan
from gigafactory.plant import Chip, h100_equivalents, load_catalogue

YEAR_H: Final = 8766.0
#: What is sold beside compute, in the order shown.
BESIDE: Final = ("storage", "heat", "reserves", "congestion", "guarantees")
#: Storage is priced by the month.
_MONTHS: Final = 12.0


@dataclass(frozen=True, slots=True)
class Sale:
    """Compute of one class of work sold to one kind of customer in a full year.

    Attributes:
        segment: of the plan.
        product: class of work.
        sold_gpu_h: accelerator-hours.
        revenue_micro_eur: earned by them; of a run exactly what its receipts say.
    """

    segment: str
    product: str
    sold_gpu_h: float
    revenue_micro_eur: int


@dataclass(frozen=True, slots=True)
class Asset:
    """What a class of asset costs when new, EUR, and how long it lives, years.

    Attributes:
        low_eur, base_eur, high_eur: range of its price.
        life_years: short, middle and long life.
    """

    low_eur: float
    base_eur: float
    high_eur: float
    life_years: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Base:
    """A factory with its plan and a full year of it.

    Attributes:
        factory: the factory file.
        plan: the plan of its money.
        run: name of the run that counted the year; "" for an estimate.
        days: days that were counted; 0 for an estimate.
        synthetic: whether prices or jobs of the run were generated.
        sales: compute sold, by segment and product.
        beside_eur: earned beside compute in the year, by name.
        opex_eur: paid in the year, by line of the plan.
        assets: by class.
        installed_gpu_h: accelerator-hours of the complete fleet.
        it_design_mw: IT power the buildings are made for.
        import_mwh: energy drawn in the year.
        accelerators: physical.
        h100_equivalents: the same in H100-equivalents.
        spillover_gpu_h: hours used by tenant group.
        firms: distinct tenants by tenant group.
        programmes: research programmes among the tenants.
        summary: of the run; empty without one.
    """

    factory: Factory
    plan: Plan
    run: str
    days: int
    synthetic: bool
    sales: tuple[Sale, ...]
    beside_eur: Mapping[str, float]
    opex_eur: Mapping[str, float]
    assets: Mapping[str, Asset]
    installed_gpu_h: float
    it_design_mw: float
    import_mwh: float
    accelerators: int
    h100_equivalents: float
    spillover_gpu_h: Mapping[str, float]
    firms: Mapping[str, int]
    programmes: int
    summary: Mapping[str, Any]

    @property
    def sold_gpu_h(self) -> float:
        """Accelerator-hours sold in the year."""
        return sum(sale.sold_gpu_h for sale in self.sales)

    @property
    def revenue_eur(self) -> float:
        """Earned by compute in the year."""
        return sum(sale.revenue_micro_eur for sale in self.sales) / 1e6

    @property
    def capex_eur(self) -> float:
        """Everything new, at base prices."""
        return sum(asset.base_eur for asset in self.assets.values())


def design_mw(factory: Factory, catalogue: Mapping[str, Chip]) -> float:
    """IT power when every accelerator does its dearest work, fabric included, MW."""
    return (
        sum(
            pool.accelerators
            * (
                max(catalogue[pool.chip].work_w.values())
                + factory.sites[pool.site].network.watt_per_accelerator_w
            )
            for pool in factory.fleet
        )
        / 1e6
    )


def base_of(name_or_run: str | Path) -> Base:
    """Read a factory or a run, and its plan.

    Args:
        name_or_run: a run folder, a bundled factory or a factory file.

    Raises:
        BadInput: with every problem of the first file that has any, or because there is no plan.
    """
    folder = Path(name_or_run)
    if (folder / "summary.json").is_file():
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        if not summary.get("days_done"):
            raise refuse(str(folder), "", None, "no day of this run is done: there is no money yet")
        factory = load_factory(folder / "factory.yaml")
        plan = _plan(factory, dossier_of(factory, folder))
        return _sold(from_run(factory, plan, folder, summary), str(folder))
    factory = load_factory(name_or_run)
    return _sold(estimated(factory, _plan(factory, dossier_of(factory))), factory.name)


def _sold(base: Base, where: str) -> Base:
    if base.sold_gpu_h <= 0:
        why = "no accelerator-hour was sold, so there is no price and no cost of one"
        raise refuse(where, "", None, why)
    return base


def _plan(factory: Factory, dossier: Dossier) -> Plan:
    plan = load_plan(dossier)
    if plan is None:
        why = "has no plan.yaml in its dossier; years of money need one (docs: The plan file)"
        raise refuse(factory.name, "governance.dossier", dossier.name or None, why)
    return plan


def assets_of(factory: Factory, plan: Plan, catalogue: Mapping[str, Chip]) -> dict[str, Asset]:
    """Every class of asset of a plan, with the factory file's prices and lives."""
    it_mw = design_mw(factory, catalogue)
    cases = [capex_eur(factory, catalogue, it_mw, case) for case in ("low", "base", "high")]
    lives = factory.finance.life_years
    found: dict[str, Asset] = {}
    for name, asset in plan.assets.items():
        if asset.cost_eur is not None and asset.life_years is not None:
            cost, life = asset.cost_eur, asset.life_years
            found[name] = Asset(cost.low, cost.base, cost.high, (life.low, life.base, life.high))
            continue
        key = "infrastructure" if name in INFRASTRUCTURE else name
        part = asset.part if name in INFRASTRUCTURE else 1.0
        low, base, high = (case[key] * part for case in cases)
        if asset.spread is not None:
            low, high = base * asset.spread.low, base * asset.spread.high
        if name == "connection" and plan.field_eur is not None and asset.spread is None:
            # the fields have a range of their own; what is beyond them does not
            rest = base - plan.connection_fields * plan.field_eur.base
            low = rest + plan.connection_fields * plan.field_eur.low
            high = rest + plan.connection_fields * plan.field_eur.high
        life = getattr(lives, "infrastructure" if name == "connection" else key)
        found[name] = Asset(low, base, high, (life.low, life.base, life.high))
    return found


def segment_of(plan: Plan, sector: str, group: str) -> str:
    """The segment of a tenant: the first that names its sector, else its group, else the last."""
    for segment in plan.segments:
        if sector in segment.sectors:
            return segment.name
    for segment in plan.segments:
        if group in segment.groups:
            return segment.name
    return plan.segments[-1].name


def from_run(factory: Factory, plan: Plan, folder: Path, summary: Mapping[str, Any]) -> Base:
    """A full year from the ledger of a run; a shorter or longer one is scaled to 8,766 hours."""
    scale = YEAR_H / (24.0 * summary["days_done"])
    money, hours = summary["money"], summary["accelerator_hours"]
    sales, held = _receipts(factory, plan, folder / "jobs.parquet")
    paid = money.get("paid_eur", {})
    guarantees = -paid.get("guarantees", 0.0)
    base = _frame(factory, plan)
    opex = {
        **base.opex_eur,
        "energy": (money["energy_eur"] + guarantees) * scale,
        "water": money["water_eur"] * scale,
        "grid_tariff": money.get("grid_tariff_eur", 0.0) * scale,
    }
    stored = sum(row["charged_eur"] for row in summary.get("storage", ()))
    return replace(
        base,
        run=str(summary["name"]) if folder.name in ("", ".") else folder.name,
        days=int(summary["days_done"]),
        synthetic=bool(summary.get("synthetic")),
        sales=tuple(
            replace(
                sale,
                sold_gpu_h=sale.sold_gpu_h * scale,
                revenue_micro_eur=round(sale.revenue_micro_eur * scale),
            )
            for sale in sales
        ),
        beside_eur={
            "storage": stored * scale,
            "heat": money["heat_eur"] * scale,
            "reserves": money.get("reserves_eur", 0.0) * scale,
            "congestion": money.get("congestion_eur", 0.0) * scale,
            "guarantees": guarantees * scale,
        },
        opex_eur=opex,
        installed_gpu_h=hours["installed"] * scale,
        import_mwh=summary["energy"]["import_mwh"] * scale,
        spillover_gpu_h={group: gpu_h * scale for group, gpu_h in held.items()},
        summary=summary,
    )


def receipts(factory: Factory, plan: Plan, folder: Path) -> tuple[Sale, ...]:
    """Compute sold in a run by segment and product, as its receipts say, not scaled."""
    return _receipts(factory, plan, folder / "jobs.parquet")[0]


def _receipts(
    factory: Factory, plan: Plan, path: Path
) -> tuple[tuple[Sale, ...], dict[str, float]]:
    """Sales by segment and product from the jobs' receipts, and hours by tenant group."""
    tenants = {t.name: (segment_of(plan, t.sector, t.group), t.group) for t in factory.tenants}
    table = pq.read_table(path, columns=["tenant", "job_class", "gpu_s", "revenue_micro_eur"])
    for name in ("tenant", "job_class"):
        column = pc.cast(table[name], "string")
        table = table.set_column(table.schema.get_field_index(name), name, column)
    rows = table.group_by(["tenant", "job_class"]).aggregate(
        [("gpu_s", "sum"), ("revenue_micro_eur", "sum")]
    )
    sums: dict[tuple[str, str], list[int]] = {}
    held: dict[str, float] = {}
    for row in rows.to_pylist():
        segment, group = tenants.get(row["tenant"], (plan.segments[-1].name, "large"))
        at = sums.setdefault((segment, row["job_class"]), [0, 0])
        at[0] += row["gpu_s_sum"]
        at[1] += row["revenue_micro_eur_sum"]
        held[group] = held.get(group, 0.0) + row["gpu_s_sum"] / 3600.0
    order = {s.name: n for n, s in enumerate(plan.segments)}
    keys = sorted(sums, key=lambda key: (order[key[0]], key[1]))
    sales = tuple(Sale(s, p, sums[s, p][0] / 3600.0, sums[s, p][1]) for s, p in keys)
    return sales, held


def estimated(factory: Factory, plan: Plan) -> Base:
    """A full year from the factory file and the plan's estimate, without any run."""
    guess = plan.estimate
    base = _frame(factory, plan)
    energy_mwh = base.it_design_mw * guess.load_share * guess.pue * YEAR_H
    return replace(
        base,
        sales=_asked(factory, plan, base.installed_gpu_h * guess.utilisation),
        beside_eur={
            "storage": sum(t.storage_quota_pb for t in factory.tenants)
            * factory.finance.storage_price_eur_per_pb_month
            * _MONTHS,
            "heat": guess.heat_eur,
            "reserves": guess.reserves_eur,
            "congestion": guess.congestion_eur,
            "guarantees": guess.guarantees_eur,
        },
        opex_eur={
            **base.opex_eur,
            "energy": energy_mwh * guess.energy_eur_per_mwh,
            "water": guess.water_eur,
            "grid_tariff": guess.grid_tariff_eur,
        },
        import_mwh=energy_mwh,
    )


def _asked(factory: Factory, plan: Plan, sold_gpu_h: float) -> tuple[Sale, ...]:
    """Hours shared out over what the tenants ask, at list prices less their discounts."""
    chips = {p.chip for p in factory.fleet}
    count = sum(p.accelerators for p in factory.fleet)
    # the list price is per H100-equivalent; work is taken to lie over the whole fleet
    worth = {chip: h100_equivalents({chip: 1.0}) for chip in chips}
    mean = sum(p.accelerators * worth[p.chip] for p in factory.fleet) / count
    asked: dict[tuple[str, str], list[float]] = {}

    def add(segment: str, product: str, hours: float, keeps: float) -> None:
        at = asked.setdefault((segment, product), [0.0, 0.0])
        at[0] += hours
        at[1] += hours * keeps * factory.finance.price_eur_per_gpu_h[product].base * mean  # type: ignore[index]

    for tenant in factory.tenants:
        segment = segment_of(plan, tenant.sector, tenant.group)
        keeps = 1.0 - tenant.discount_fraction
        for work in tenant.work:
            add(segment, work.job_class, work.share * count, keeps)
        for service in tenant.services:
            mean_count = service.accelerators_peak * service.mean_fraction
            add(segment, "inference_realtime", mean_count, keeps)
    total = sum(hours for hours, _ in asked.values())
    scale = sold_gpu_h / total if total else 0.0
    order = {s.name: n for n, s in enumerate(plan.segments)}
    keys = sorted(asked, key=lambda key: (order[key[0]], key[1]))
    return tuple(
        Sale(s, p, asked[s, p][0] * scale, round(asked[s, p][1] * scale * 1e6)) for s, p in keys
    )


def _frame(factory: Factory, plan: Plan) -> Base:
    """What does not depend on how a year goes."""
    catalogue = load_catalogue()
    assets = assets_of(factory, plan, catalogue)
    finance = factory.finance
    count = sum(pool.accelerators for pool in factory.fleet)
    # upkeep is a share of what the factory file prices; land and development need none
    kept = sum(a.base_eur for n, a in assets.items() if n not in ("land", "development"))
    capex = sum(a.base_eur for a in assets.values())
    opex = {
        "maintenance": finance.opex_fraction * kept,
        "staff": finance.staff_fte * finance.staff_eur_per_fte,
    }
    for name, line in plan.opex.items():
        if line.eur_per_year is not None:
            opex[name] = line.eur_per_year
        elif line.of_capex is not None:
            opex[name] = line.of_capex * capex
    firms: dict[str, int] = {}
    for tenant in factory.tenants:
        firms[tenant.group] = firms.get(tenant.group, 0) + 1
    return Base(
        factory=factory,
        plan=plan,
        run="",
        days=0,
        synthetic=False,
        sales=(),
        beside_eur=dict.fromkeys(BESIDE, 0.0),
        opex_eur=opex,
        assets=assets,
        installed_gpu_h=count * YEAR_H,
        it_design_mw=design_mw(factory, catalogue),
        import_mwh=0.0,
        accelerators=count,
        h100_equivalents=fleet_h100_equivalents(factory, catalogue),
        spillover_gpu_h={},
        firms=firms,
        programmes=len({t.programme.name for t in factory.tenants if t.programme}),
        summary={},
    )


def by_segment(sales: Iterable[Sale]) -> dict[str, float]:
    """Revenue of a year by segment, EUR."""
    sums: dict[str, int] = {}
    for sale in sales:
        sums[sale.segment] = sums.get(sale.segment, 0) + sale.revenue_micro_eur
    return {name: micro / 1e6 for name, micro in sums.items()}


def unsourced(plan: Plan) -> Sequence[str]:
    """Source texts of a plan that do not name source, year and state."""
    found: list[str] = []
    stack: list[tuple[str, object]] = [("", plan)]
    while stack:
        at, value = stack.pop()
        if isinstance(value, tuple):
            stack += [(f"{at}[{n}]", item) for n, item in enumerate(value)]
        elif isinstance(value, dict):
            stack += [(f"{at}.{key}", item) for key, item in value.items()]
        elif isinstance(value, BaseModel):
            sources = getattr(value, "sources", {})
            found += [f"{at}.{k}: {t}" for k, t in sources.items() if not read_citation(t)[1]]
            stack += [(f"{at}.{n}", getattr(value, n)) for n in type(value).model_fields]
    return sorted(found)


__all__ = [
    "BESIDE",
    "YEAR_H",
    "Asset",
    "Base",
    "Sale",
    "assets_of",
    "base_of",
    "by_segment",
    "design_mw",
    "estimated",
    "from_run",
    "receipts",
    "segment_of",
    "unsourced",
]
