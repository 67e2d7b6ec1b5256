"""What the checks between settings share: what they look at, and what they find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gigafactory.factory.contracts import Pool
from gigafactory.factory.models import Factory
from gigafactory.factory.reading import Path_
from gigafactory.plant import Chip

#: Room for rounding when two sums are compared.
SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Found:
    """Something wrong at a path.

    Attributes:
        path: where, in the factory file.
        value: what stands there.
        why: what is wrong and what would be right.
        rests: further paths it was computed from; a placeholder there makes it unsure.
    """

    path: Path_
    value: object
    why: str
    rests: tuple[Path_, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What a check may look at."""

    factory: Factory
    chips: Mapping[str, Chip]

    def chip_of(self, pool: Pool) -> Chip | None:
        """The pool's accelerator, or None when it is not in the catalogue."""
        return self.chips.get(pool.chip)
