"""What may be published about several data centres: averages that show nobody's own figures.

Annex IV of Delegated Regulation (EU) 2024/1364: by Member State, by type and by size class,
averages weighted by E_DC, and a cell only where it holds three data centres or more. What one
could find by taking shown cells from a shown total is kept back as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gigafactory.assess.cited import framework_data
from gigafactory.assess.eed import EedRow, rows_by_field

UNION: Final = "EU"
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class DataCentre:
    """What one data centre reported.

    Attributes:
        name: never published.
        country: Member State, ISO code.
        kind: type of data centre; "" where not known.
        it_power_kw: installed IT power, EU definition.
        energy_kwh: E_DC.
        pue, wue, erf, ref: its indicators; None where one is not known.
    """

    name: str
    country: str
    kind: str
    it_power_kw: float
    energy_kwh: float
    pue: float | None
    wue: float | None
    erf: float | None
    ref: float | None


@dataclass(frozen=True, slots=True)
class PublicCell:
    """An average that may be published.

    Attributes:
        country: Member State, or EU.
        by: "all", "kind" or "size".
        group: the type or the size class; "" for all, "other" for classes put together.
        centres: data centres in it.
        energy_kwh: their E_DC together.
        pue, wue, erf, ref: averages weighted by E_DC; None unless enough of them reported one.
    """

    country: str
    by: str
    group: str
    centres: int
    energy_kwh: float
    pue: float | None
    wue: float | None
    erf: float | None
    ref: float | None


def size_class(it_power_kw: float) -> str:
    """The size class of an installed IT power: "2000-10000", "10000-"; "" below the least."""
    for low, high in framework_data("eed")["public"]["size_classes_kw"]:
        if it_power_kw >= low and (high is None or it_power_kw < high):
            return f"{low}-{high or ''}"
    return ""


def centre_of(rows: tuple[EedRow, ...], site: str, country: str) -> DataCentre | None:
    """A data centre from the fields of its report; None where its energy is not known."""
    mine = rows_by_field(rows, site)
    energy, power = mine["energy"].number, mine["it_power"].number
    if energy is None or power is None:
        return None
    return DataCentre(
        name=site,
        country=country,
        kind=str(mine["kind"].value or ""),
        it_power_kw=power,
        energy_kwh=energy,
        pue=mine["pue"].number,
        wue=mine["wue"].number,
        erf=mine["erf"].number,
        ref=mine["ref"].number,
    )


def public_cells(
    centres: Iterable[DataCentre], centres_min: int | None = None
) -> tuple[PublicCell, ...]:
    """Every average that may be published, by country and for the Union.

    Args:
        centres: what was reported.
        centres_min: data centres in a cell, at least; three by Annex IV when left out.
    """
    every = sorted(centres, key=lambda one: (one.country, one.name))
    least = framework_data("eed")["public"]["centres_min"] if centres_min is None else centres_min
    cells: list[PublicCell] = []
    countries = sorted({one.country for one in every})
    for country in (*countries, UNION):
        mine = [one for one in every if country in (one.country, UNION)]
        if len(mine) < least:
            continue
        cells.append(_cell(country, "all", "", mine, least))
        cells += _grouped(country, "kind", mine, lambda one: one.kind, least)
        cells += _grouped(country, "size", mine, lambda one: size_class(one.it_power_kw), least)
    return tuple(cells)


def _grouped(
    country: str,
    by: str,
    centres: Sequence[DataCentre],
    key: Callable[[DataCentre], str],
    least: int,
) -> list[PublicCell]:
    """Cells by a key; groups too small go together, with the smallest large one if need be."""
    groups: dict[str, list[DataCentre]] = {}
    for one in centres:
        groups.setdefault(key(one), []).append(one)
    shown = {name: some for name, some in groups.items() if len(some) >= least and name}
    rest = [one for name, some in groups.items() if name not in shown for one in some]
    while rest and len(rest) < least and shown:
        smallest = min(shown, key=lambda name: (len(shown[name]), name))
        rest += shown.pop(smallest)
    cells = [_cell(country, by, name, shown[name], least) for name in sorted(shown)]
    if len(rest) >= least:
        cells.append(_cell(country, by, OTHER, rest, least))
    return cells


def _cell(
    country: str, by: str, group: str, centres: Sequence[DataCentre], least: int
) -> PublicCell:
    def mean(values: list[tuple[float, float]]) -> float | None:
        """Weighted mean; None unless all in the cell report, or enough of them do."""
        hidden = len(centres) - len(values)
        if len(values) < least or 0 < hidden < least:
            return None
        return sum(v * w for v, w in values) / sum(w for _, w in values)

    def of(name: str) -> float | None:
        pairs = [(getattr(one, name), one.energy_kwh) for one in centres]
        return mean([(v, w) for v, w in pairs if v is not None])

    return PublicCell(
        country=country,
        by=by,
        group=group,
        centres=len(centres),
        energy_kwh=sum(one.energy_kwh for one in centres),
        pue=of("pue"),
        wue=of("wue"),
        erf=of("erf"),
        ref=of("ref"),
    )


__all__ = ["DataCentre", "PublicCell", "centre_of", "public_cells", "size_class"]
