"""A worked example of levelised cost, with the assumptions under which its figures come out.

A rack with a published price split between IT and what houses it: capital is paid off by annuities
over two lives, upkeep is a share of what was paid, energy runs with the load. Chips that wait for
power are paid for, and kept up, all their life; they sell in the years that are left of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.finance.lcoc import annuity
from gigafactory.plant.provenance import Source, read_source, read_yaml

HOURS_PER_YEAR: Final = 8760.0


@dataclass(frozen=True, slots=True)
class Rack:
    """A rack and the terms under which it is paid for.

    Attributes:
        it_usd: price of its IT.
        infrastructure_usd: of what houses, powers and cools it.
        accelerators: in it.
        power_kw: drawn by the facility for it at full load.
        it_life_years, infrastructure_life_years: over which both are paid off.
        wacc_rate: cost of capital a year.
        energy_usd_per_mwh: all-in.
        load_share: mean power over that at full load.
        utilisation: sold hours over all hours.
        upkeep_share: yearly, of everything paid.
        idle_years: whole years in which it waits for power; energy and sales begin after them.
    """

    it_usd: float
    infrastructure_usd: float
    accelerators: int
    power_kw: float
    it_life_years: int
    infrastructure_life_years: int
    wacc_rate: float
    energy_usd_per_mwh: float
    load_share: float
    utilisation: float
    upkeep_share: float
    idle_years: int = 0


@dataclass(frozen=True, slots=True)
class Golden:
    """A figure the example should give.

    Attributes:
        name: of the case.
        changes: fields of `Rack` that differ.
        usd_per_gpu_h: the figure.
    """

    name: str
    changes: Mapping[str, float]
    usd_per_gpu_h: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The worked example: its rack, the figures it should give, and where they come from."""

    rack: Rack
    golden: tuple[Golden, ...]
    components_usd_per_gpu_h: Mapping[str, float]
    sources: Mapping[str, Source]


def levelised_usd(rack: Rack) -> dict[str, float]:
    """Levelised cost of a rack by component, USD per sold accelerator-hour.

    Over the life of the IT: capital and upkeep are paid in each of its years, energy and sales only
    in those after `idle_years`; both sides are discounted at the cost of capital. Without idle
    years this is the sum of the annuities over the hours of a year.
    """
    sold = rack.accelerators * HOURS_PER_YEAR * rack.utilisation
    rate, life = rack.wacc_rate, rack.it_life_years
    assert 0 <= rack.idle_years < life, rack.idle_years
    all_years = 1.0 / annuity(rate, life)
    idle = 1.0 / annuity(rate, rack.idle_years) if rack.idle_years else 0.0
    waiting = all_years / (all_years - idle)
    energy_mwh = rack.power_kw / 1000.0 * rack.load_share * HOURS_PER_YEAR
    return {
        "it": rack.it_usd * annuity(rate, life) / sold * waiting,
        "infrastructure": rack.infrastructure_usd
        * annuity(rate, rack.infrastructure_life_years)
        / sold
        * waiting,
        "energy": energy_mwh * rack.energy_usd_per_mwh / sold,
        "upkeep": (rack.it_usd + rack.infrastructure_usd) * rack.upkeep_share / sold * waiting,
    }


def reference() -> Reference:
    """The bundled worked example.

    Raises:
        BadInput: the bundled file is damaged.
    """
    path = Path(str(resources.files("gigafactory.finance"))) / "data" / "worked_reference.yaml"
    problems: list[Problem] = []
    raw: dict[str, Any] = read_yaml(path, problems)
    if problems:
        raise BadInput(problems)
    sources = {
        key: found
        for key, text in raw["sources"].items()
        if (found := read_source(path.name, f"sources.{key}", text, problems)) is not None
    }
    if problems:
        raise BadInput(problems)
    golden = tuple(
        Golden(name, row.get("changes", {}), row["usd_per_gpu_h"])
        for name, row in raw["golden"].items()
    )
    return Reference(Rack(**raw["rack"]), golden, raw["components"], sources)


def case(example: Reference, golden: Golden) -> float:
    """What the model gives for a case of the example, USD per sold accelerator-hour."""
    changed = replace(example.rack, **golden.changes)  # type: ignore[arg-type]
    return sum(levelised_usd(changed).values())


__all__ = ["Golden", "Rack", "Reference", "case", "levelised_usd", "reference"]
