"""A time series that never travels without its origin.

Every figure from outside carries who says so, of which year, and how far it was verified. A
`Series` is one value per market period with that provenance attached, so that a report can trace
each number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: How far a figure was verified, from best to least.
STATES = ("measured", "published", "assumption", "synthetic")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the list of sources: a figure, its value, and where it comes from.

    Attributes:
        figure: dotted name of the figure.
        value: a representative value (a series gives its mean).
        unit: unit of the value.
        source: who says so.
        year: year the source speaks of.
        state: one of `STATES`.
        note: what a reader must know besides (gaps filled, shifts applied); may be empty.
    """

    figure: str
    value: float
    unit: str
    source: str
    year: int
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One value per market period, with its provenance. The array is read-only.

    Attributes:
        name: what it is, snake case.
        unit: unit of every value.
        values: shape [P], finite.
        source: who says so; for a generated series the publication it is calibrated on.
        year: year the source speaks of.
        state: one of `STATES`.
        note: what was done to the values on the way (spread, shifted, filled), in words.
    """

    name: str
    unit: str
    values: npt.NDArray[np.float64]
    source: str
    year: int
    state: str
    note: str = ""

    def __post_init__(self) -> None:
        assert self.state in STATES, f"{self.state!r} is not one of {STATES}"
        values = np.array(self.values, dtype=np.float64)
        assert values.ndim == 1, "a series has one value per market period"
        assert bool(np.isfinite(values).all()), f"{self.name} has values that are not finite"
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)

    def row(self) -> SourceRow:
        """The provenance of the series, with its mean as representative value."""
        mean = float(self.values.mean()) if len(self.values) else 0.0
        return SourceRow(
            f"signals.{self.name}", mean, self.unit, self.source, self.year, self.state, self.note
        )
