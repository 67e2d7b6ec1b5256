"""Assets and the layer each belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from gigafactory.engine.errors import BadInput, Problem


class Layer(StrEnum):
    """The six layers of a gigafactory; every asset belongs to exactly one."""

    COMPUTE = "compute"
    MEMORY_AND_STORAGE = "memory_and_storage"
    NETWORK = "network"
    CLOUD_SERVICE = "cloud_service"
    BUILDING = "building"
    ENERGY = "energy"


@dataclass(frozen=True, slots=True)
class Asset:
    """One thing that stands (or runs) on a site.

    Attributes:
        name: unique on its site.
        layer: the layer it belongs to.
        kind: what it is, such as ``accelerator``, ``battery``, ``heat_pump``, ``fabric``.
        site: where it stands.
        size: how much of it, in ``unit``.
        unit: the unit of ``size``, such as ``MW``, ``MWh``, ``PB``, ``accelerators``.
        life_y: years until it is replaced; nan where unknown.
        owner: who owns it, in words; empty where unknown.
        country: ISO country of its maker; empty where unknown.
        commissioned_ns: the instant from which it exists (ns UTC); 0 means from the start.
    """

    name: str
    layer: Layer
    kind: str
    site: str
    size: float
    unit: str
    life_y: float = math.nan
    owner: str = ""
    country: str = ""
    commissioned_ns: int = 0

    def __post_init__(self) -> None:
        problems = []
        if not self.name:
            problems.append(Problem("asset", "name", "", "an asset needs a name"))
        if not math.isfinite(self.size) or self.size < 0.0:
            why = "a size is finite and not negative"
            problems.append(Problem(f"asset {self.name}", "size", str(self.size), why))
        if not math.isnan(self.life_y) and self.life_y <= 0.0:
            why = "a life is above zero years, or nan where unknown"
            problems.append(Problem(f"asset {self.name}", "life_y", str(self.life_y), why))
        if problems:
            raise BadInput(problems)

    def exists(self, now_ns: int) -> bool:
        """Whether it is there at an instant."""
        return now_ns >= self.commissioned_ns


def by_layer(assets: tuple[Asset, ...]) -> dict[Layer, tuple[Asset, ...]]:
    """Group assets by layer, every layer present (empty where nothing stands in it), in order."""
    return {layer: tuple(a for a in assets if a.layer is layer) for layer in Layer}
