"""The footprint of a run and of a job: scopes 1 to 3, embodied carbon, receipts.

What a run meters is taken from its accounts; what it cannot (carbon that was emitted to make the
machine, and the chain behind the grid's electricity) is worked out from ranges with their sources,
and never told as one number. A software carbon intensity (SCI, ISO/IEC 21031:2024) counts
operation at the location's intensity alone: market instruments have no place in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import refuse
from gigafactory.plant import load_catalogue
from gigafactory.plant.provenance import Cited, load_cited

H_PER_YEAR: Final = 8760.0
_DATA: Final = Path(__file__).parent / "data" / "footprint.yaml"
#: What scope 3 leaves out, by language, since nothing is known of it here.
NOT_COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        "building, power equipment, cooling and network: no masses or declarations are given",
        "batteries, spare parts, transport, staff travel",
        "what tenants do with what they made",
    ),
    "nl": (
        "gebouw, elektrische installatie, koeling en netwerk: zonder massa of milieuverklaring",
        "batterijen, reservedelen, transport, reizen van personeel",
        "wat huurders doen met wat zij maakten",
    ),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A range between two ways of counting, never one number.

    Attributes:
        low: by the method that counts least.
        high: by the one that counts most.
    """

    low: float
    high: float

    def times(self, factor: float) -> Span:
        """Both ends times a number."""
        return Span(self.low * factor, self.high * factor)

    def plus(self, other: float) -> Span:
        """Both ends and a number."""
        return Span(self.low + other, self.high + other)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a run emitted, kg CO2e.

    Attributes:
        stack_kg: scope 1: own stacks.
        location_kg: scope 2 by the intensity of the grid.
        market_kg: scope 2 by contracts; shown beside the other, never instead.
        hourly_kg: scope 2 matched hour by hour; None where it was not counted.
        capital_kg: scope 3: making the accelerators, the part of their life that passed.
        chain_kg: scope 3: the chain behind the electricity imported.
        delivered_gpu_h: accelerator-hours of work done.
        per_gpu_h_g: all scopes, location-based, per accelerator-hour delivered, g.
        embodied_share: part of it that was emitted in making the accelerators.
        not_counted: what scope 3 leaves out, by language.
    """

    stack_kg: float
    location_kg: float
    market_kg: float
    hourly_kg: float | None
    capital_kg: Span
    chain_kg: float
    delivered_gpu_h: float
    per_gpu_h_g: Span
    embodied_share: Span
    not_counted: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one job took, in all and per accelerator-hour delivered.

    Attributes:
        job: its number.
        tenant: whose it was.
        chip: the accelerator it ran on.
        place: where, in words.
        delivered_gpu_h: accelerator-hours of work.
        held_gpu_h: accelerator-hours for which others could not have them.
        energy_kwh: drawn by its accelerators with their share of node and fabric.
        cost_eur: its share of what the site paid.
        water_l: its share of the water.
        location_kg: its share of the emissions, by the grid's intensity, own stacks included.
        market_kg: the same by contracts.
        embodied_kg: its share of making the accelerators: time held over expected life.
        sci_g_per_gpu_h: software carbon intensity, per accelerator-hour delivered.
        embodied_share: part of that which is embodied.
    """

    job: int
    tenant: str
    chip: str
    place: str
    delivered_gpu_h: float
    held_gpu_h: float
    energy_kwh: float
    cost_eur: float
    water_l: float
    location_kg: float
    market_kg: float
    embodied_kg: Span
    sci_g_per_gpu_h: Span
    embodied_share: Span

    def per_gpu_h(self) -> dict[str, float]:
        """What one delivered accelerator-hour took: kWh, EUR, g, L."""
        hours = self.delivered_gpu_h
        return {
            "energy_kwh": self.energy_kwh / hours,
            "cost_eur": self.cost_eur / hours,
            "location_g": 1000.0 * self.location_kg / hours,
            "market_g": 1000.0 * self.market_kg / hours,
            "water_l": self.water_l / hours,
        }


@cache
def factors() -> Mapping[str, Cited]:
    """The figures of `data/footprint.yaml` by name.

    Raises:
        BadInput: with everything wrong with the file.
    """
    return load_cited(_DATA)


def embodied_g_per_h(
    embodied_kg: tuple[float, float], life_years: Span, share: float = 1.0
) -> Span:
    """Carbon of making an accelerator per hour of its life, g.

    Args:
        embodied_kg: cradle to gate, by the method that counts least and the one that counts most.
        life_years: short and long life; the short one makes the higher figure.
        share: part of the hours over which it is spread: 1 for all hours it is held, the delivered
            share where idle hours are to be carried by those delivered.
    """
    hours = H_PER_YEAR * share
    return Span(
        1000.0 * embodied_kg[0] / (life_years.high * hours),
        1000.0 * embodied_kg[1] / (life_years.low * hours),
    )


def _life(subject: Subject) -> Span:
    lives = subject.factory.finance.life_years.accelerators
    return Span(lives.low, lives.high)


def footprint_of(subject: Subject) -> Footprint:
    """The footprint of a run.

    Raises:
        BadInput: there is no run.
    """
    subject.needed_run("a footprint")
    catalogue, life = load_catalogue(), _life(subject)
    delivered = subject.figure("accelerator_hours.useful") or 0.0
    installed = subject.figure("accelerator_hours.installed") or 0.0
    fleet = sum(pool.accelerators for pool in subject.factory.fleet)
    low = high = 0.0
    for pool in subject.factory.fleet:
        rate = embodied_g_per_h(catalogue[pool.chip].embodied_kg, life)
        hours = installed * pool.accelerators / fleet
        low, high = low + rate.low * hours / 1000.0, high + rate.high * hours / 1000.0
    location, stack = (
        subject.figure("co2_kg.location") or 0.0,
        subject.figure("co2_kg.stack") or 0.0,
    )
    imported = subject.figure("carbon.import_mwh") or subject.figure("energy.import_mwh") or 0.0
    chain = imported * factors()["chain_g_per_kwh"].value
    capital = Span(low, high)
    whole = capital.plus(location + stack + chain)
    per = whole.times(1000.0 / delivered) if delivered else Span(0.0, 0.0)
    return Footprint(
        stack_kg=stack,
        location_kg=location,
        market_kg=subject.figure("co2_kg.market") or 0.0,
        hourly_kg=subject.figure("carbon.hourly_kg"),
        capital_kg=capital,
        chain_kg=chain,
        delivered_gpu_h=delivered,
        per_gpu_h_g=per,
        embodied_share=Span(
            capital.low / whole.low if whole.low else 0.0,
            capital.high / whole.high if whole.high else 0.0,
        ),
        not_counted=NOT_COUNTED,
    )


def receipt_of(subject: Subject, job: int) -> Receipt:
    """The receipt of a job of a run.

    Args:
        subject: with a run.
        job: number of the job.

    Raises:
        BadInput: there is no run, no such job, or it never did any work.
    """
    path = subject.needed_run("a receipt") / "jobs.parquet"
    table = pq.read_table(path, filters=pc.field("job") == job)
    if not table.num_rows:
        raise refuse(str(path), "job", str(job), "there is no such job in this run")
    row = {name: table.column(name)[0].as_py() for name in table.column_names}
    if not row["gpu_s"]:
        why = f"it never did any work (it is {row['state']}): there is nothing to put on a receipt"
        raise refuse(str(path), "job", str(job), why)
    return _receipt(subject, row)


def _receipt(subject: Subject, row: Mapping[str, Any]) -> Receipt:
    pool = next(p for p in subject.factory.fleet if p.name == row["pool"])
    site = subject.factory.sites[pool.site]
    delivered, held = row["gpu_s"] / 3600.0, row["allocated_gpu_s"] / 3600.0
    rate = embodied_g_per_h(load_catalogue()[row["chip"]].embodied_kg, _life(subject))
    embodied = rate.times(held / 1000.0)
    location = (row["co2_location_mg"] + row["co2_stack_mg"]) / 1e6
    sci = embodied.plus(location).times(1000.0 / delivered)
    return Receipt(
        job=int(row["job"]),
        tenant=str(row["tenant"]),
        chip=str(row["chip"]),
        place=f"{pool.site} ({site.place.country})",
        delivered_gpu_h=delivered,
        held_gpu_h=held,
        energy_kwh=row["energy_wh"] / 1000.0,
        cost_eur=row["cost_micro_eur"] / 1e6,
        water_l=row["water_ml"] / 1000.0,
        location_kg=location,
        market_kg=(row["co2_market_mg"] + row["co2_stack_mg"]) / 1e6,
        embodied_kg=embodied,
        sci_g_per_gpu_h=sci,
        embodied_share=Span(
            embodied.low / (embodied.low + location) if embodied.low + location else 0.0,
            embodied.high / (embodied.high + location) if embodied.high + location else 0.0,
        ),
    )


__all__ = [
    "Footprint",
    "Receipt",
    "Span",
    "embodied_g_per_h",
    "factors",
    "footprint_of",
    "receipt_of",
]
