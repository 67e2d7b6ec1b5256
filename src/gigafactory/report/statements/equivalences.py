"""What a figure is as many as: homes here and in the United States, a city, a share of the country.

Nothing is written out beforehand: each row is a formula, what it takes from the run, and the figure
it is compared with, which stands in `data/equivalences.yaml` with source, year and state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from gigafactory.plant.provenance import Cited, load_cited

_DATA: Final = Path(__file__).parents[1] / "data" / "equivalences.yaml"
_DAYS_PER_YEAR: Final = 365.25
_KWH_PER_MWH: Final = 1e3
_MWH_PER_TWH: Final = 1e6


@dataclass(frozen=True, slots=True)
class Equivalence:
    """One comparison.

    Attributes:
        name: among the words of equivalences.
        value: what it comes to; a count, or a share where `share` is set.
        uses: the figures of the data file in its formula, by name.
        keys: the keys of the summary in its formula.
        share: whether the value is a share.
    """

    name: str
    value: float
    uses: tuple[str, ...]
    keys: tuple[str, ...]
    share: bool = False

    @property
    def trail(self) -> str:
        """What it rests on, as in `Voice.traced`."""
        held = [f"summary:{key}" for key in self.keys]
        return " ".join(held + [f"equivalence:{name}" for name in self.uses])


@cache
def compared() -> Mapping[str, Cited]:
    """The figures of `data/equivalences.yaml` by name.

    Raises:
        BadInput: with everything wrong with the file.
    """
    return load_cited(_DATA)


def a_year(amount: float, days: float) -> float:
    """What an amount comes to in a year, were the whole year like these days."""
    return amount * _DAYS_PER_YEAR / days


def equivalences(
    energy_mwh: float, days: float, heat_mwh: float | None = None
) -> tuple[Equivalence, ...]:
    """Every comparison of a site's energy.

    Args:
        energy_mwh: what the site used over the days.
        days: of the run.
        heat_mwh: heat put into a network over the days; None where there is none.

    Returns:
        The comparisons, each for a year like these days.
    """
    known = {name: one.value for name, one in compared().items()}
    energy = ("energy.site_mwh", "days")
    yearly_mwh = a_year(energy_mwh, days)
    homes = yearly_mwh * _KWH_PER_MWH / known["home_nl_kwh"]
    national_mwh = known["national_twh"] * _MWH_PER_TWH
    rows = [
        Equivalence("homes_nl", homes, ("home_nl_kwh",), energy),
        Equivalence(
            "homes_us", yearly_mwh * _KWH_PER_MWH / known["home_us_kwh"], ("home_us_kwh",), energy
        ),
        Equivalence(
            "homes_us_claimed",
            yearly_mwh * _KWH_PER_MWH / known["home_us_claimed_kwh"],
            ("home_us_claimed_kwh",),
            energy,
        ),
        Equivalence(
            "city_homes",
            homes * known["people_per_home"],
            ("home_nl_kwh", "people_per_home"),
            energy,
        ),
        Equivalence(
            "city_all",
            yearly_mwh / (national_mwh / known["inhabitants"]),
            ("national_twh", "inhabitants"),
            energy,
        ),
        Equivalence("national", yearly_mwh / national_mwh, ("national_twh",), energy, share=True),
        Equivalence(
            "data_centres",
            yearly_mwh / (national_mwh * known["data_centres_share"]),
            ("national_twh", "data_centres_share"),
            energy,
            share=True,
        ),
    ]
    if heat_mwh:
        warm = a_year(heat_mwh, days) / known["home_heat_mwh"]
        rows.append(Equivalence("homes_warm", warm, ("home_heat_mwh",), ("heat_mwh", "days")))
    return tuple(rows)


__all__ = ["Equivalence", "a_year", "compared", "equivalences"]
