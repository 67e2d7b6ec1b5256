"""What may be published about several data centres: averages that show nobody's own figures.

Annex IV of Delegated Regulation (EU) 2024/1364: by Member State, by type and by size class,
averages weighted by E_DC, and a cell only where it holds three data centres or more. What one
could find by taking shown cells from a shown total is kept back as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gigafactory.assess.cited import framework_data
from gigafactory.assess.eed import EedRow, rows_by_field

UNION: Final = "EU"
ALL: Final = "all"

_Key = tuple[str, str, str]  # country, by, group


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
        group: the type or the size class; "" for all.
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

    A cell is left out where it holds too few, and also where what it leaves of the cell around it
    would hold too few: the smallest ones go first.

    Args:
        centres: what was reported.
        centres_min: data centres in a cell, at least; three by Annex IV when left out.
    """
    every = sorted(centres, key=lambda one: (one.country, one.name))
    least = framework_data("eed")["public"]["centres_min"] if centres_min is None else centres_min
    members = {key: some for key, some in _members(every).items() if len(some) >= least}
    while (given_away := _given_away(members, least)) is not None:
        country, by, _ = given_away
        gone = [k for k in members if k == given_away or (by == ALL and k[0] == country)]
        for key in gone:
            del members[key]
    return tuple(_cell(*key, members[key], least) for key in sorted(members))


def _members(centres: Sequence[DataCentre]) -> dict[_Key, list[DataCentre]]:
    """Every possible cell with its data centres; one whose type or size is not known is in none."""
    found: dict[_Key, list[DataCentre]] = {}
    for one in centres:
        for country in (one.country, UNION):
            found.setdefault((country, ALL, ""), []).append(one)
            for by, group in (("kind", one.kind), ("size", size_class(one.it_power_kw))):
                if group:
                    found.setdefault((country, by, group), []).append(one)
    return found


def _given_away(members: Mapping[_Key, Sequence[DataCentre]], least: int) -> _Key | None:
    """The smallest cell that must go: it leaves too few of a cell around it. None for none."""
    for around, some in sorted(members.items()):
        for inside in _partitions(around, members):
            rest = len(some) - sum(len(members[key]) for key in inside)
            if inside and 0 < rest < least:
                return min(inside, key=lambda key: (len(members[key]), key))
    return None


def _partitions(around: _Key, members: Iterable[_Key]) -> list[list[_Key]]:
    """The ways a cell is cut into shown cells: by type, by size, by country."""
    country, by, group = around
    known = list(members)
    cuts = []
    if by == ALL:
        cuts = [[k for k in known if k[0] == country and k[1] == way] for way in ("kind", "size")]
    if country == UNION:
        cuts.append([k for k in known if k[0] != UNION and k[1:] == (by, group)])
    return cuts


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
